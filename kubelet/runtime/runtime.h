// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the kubelet asks of a container runtime. Everything that knows containerd
// stands behind this interface, in this folder; another driver can take its
// place. One loop owns a runtime. Every completion comes exactly once, never from
// inside the call that started it; a started operation can't be cancelled, it ends
// by itself within its deadline, so a caller's context must outlive it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/macros.h"

struct loop;
struct runtime;

// --- images ------------------------------------------------------------------

// An image that is present and unpacked. Reference counted, immutable.
struct runtime_image {
	unsigned references;
	const char *reference; // as it was asked for, normalised ("docker.io/library/busybox:latest")
	const char *id;        // "sha256:…" of its configuration
	const char *digest;    // "sha256:…" of its manifest
	int64_t size_bytes;
	const char *const *entrypoint; // NULL-terminated, never NULL
	const char *const *command;
	const char *const *environment;
	const char *user;              // "" when the image names none
	const char *working_directory; // "" likewise
	const char *stop_signal;       // "" likewise
	const char *chain_id;          // of its layers, for the driver
};
struct runtime_image *runtime_image_ref(struct runtime_image *image);
struct runtime_image *runtime_image_unref(struct runtime_image *image);
DEFINE_CLEANUP(struct runtime_image *, runtime_image_unref)

// One row of the node's image list.
struct runtime_image_info {
	const char *reference;
	const char *digest;
	int64_t size_bytes;
};

// "busybox" → "docker.io/library/busybox:latest"; caller owns.
char *runtime_normalize_reference(const char *reference);

// --- containers --------------------------------------------------------------

enum runtime_propagation {
	RUNTIME_PROPAGATION_PRIVATE,
	RUNTIME_PROPAGATION_HOST_TO_CONTAINER,
	RUNTIME_PROPAGATION_BIDIRECTIONAL,
};

struct runtime_mount {
	const char *host_path;
	const char *container_path;
	bool read_only;
	bool recursive_read_only; // what is mounted below it, too
	enum runtime_propagation propagation;
};

struct runtime_label {
	const char *key;
	const char *value;
};

enum runtime_seccomp {
	RUNTIME_SECCOMP_UNCONFINED,
	RUNTIME_SECCOMP_DEFAULT,
	RUNTIME_SECCOMP_FILE,
};

struct runtime_hugepage_limit {
	const char *page_size; // "2MB"
	int64_t bytes;
};

// Everything about one container. Lives, with all it points to, until the start is done.
struct runtime_container_config {
	const char *id;        // 64 hex digits, chosen by the caller
	const char *directory; // exists; the driver's own files of this container go below it
	const struct runtime_label *labels;
	size_t label_count;
	struct runtime_image *image;

	const char *const *command; // NULL: the image's entrypoint (and its command, unless arguments are given)
	const char *const *arguments;
	const char *const *environment; // "NAME=value", over the image's
	const char *working_directory;  // NULL: the image's
	bool tty;
	bool stdin_open;
	bool stdin_once; // ended when the first who gave input has ended it

	const struct runtime_mount *mounts;
	size_t mount_count;

	const char *hostname;          // NULL when the UTS namespace is the host's
	const char *network_namespace; // path; NULL: the host's
	const char *ipc_namespace;
	const char *uts_namespace;
	const char *pid_namespace; // path of a shared one; NULL: own, or the host's
	bool host_pid;

	bool privileged;
	bool read_only_root;
	bool allow_privilege_escalation;
	bool unmask_proc;     // procMount: Unmasked
	int64_t run_as_user;  // -1: the image's
	int64_t run_as_group; // -1: the user's
	bool run_as_non_root; // refuse to start as uid 0
	bool strict_groups;   // those of the image's /etc/group don't count
	const int64_t *supplemental_groups;
	size_t supplemental_group_count;
	const char *const *add_capabilities; // "NET_ADMIN" or "ALL"; NULL-terminated or NULL
	const char *const *drop_capabilities;
	enum runtime_seccomp seccomp;
	const char *seccomp_profile_path; // RUNTIME_SECCOMP_FILE
	const struct runtime_label *sysctls;
	size_t sysctl_count;

	const char *cgroup_path; // "/kubepods/…"; the container's own is made below it by the runtime
	int64_t cpu_shares;      // 0: unset
	int64_t cpu_quota_us;    // 0: none
	int64_t cpu_period_us;
	int64_t memory_limit_bytes; // 0: none
	int64_t oom_score_adj;
	const struct runtime_hugepage_limit *hugepage_limits;
	size_t hugepage_limit_count;

	const char *log_path; // NULL: output is dropped
};

enum runtime_start_stage {
	RUNTIME_STAGE_CONFIG, // the config can't be turned into a container (CreateContainerConfigError)
	RUNTIME_STAGE_CREATE, // CreateContainerError
	RUNTIME_STAGE_START,  // the process could not be started (RunContainerError / StartError)
};

struct runtime_start_result {
	enum runtime_start_stage stage; // where it failed
	struct err err;                 // ERR_NONE: it runs
	int pid;
};

enum runtime_container_state {
	RUNTIME_CREATED, // exists without a process
	RUNTIME_RUNNING,
	RUNTIME_STOPPED,
};

struct runtime_container {
	const char *id;
	enum runtime_container_state state;
	int pid;
};

struct runtime_exec_config {
	const char *container_id;
	const char *const *command; // NULL-terminated
	bool tty;                   // fds[0] is a terminal and serves as all three
	int fds[3];                 // -1: none; duplicated for the child
	int64_t timeout_ns;         // 0: none
};
struct runtime_exec;
enum { RUNTIME_EXEC_CLOSED = -2 };

// Joining the streams of a container that has a terminal or an open standard input.
struct runtime_attach_config {
	const char *container_id;
	const char *directory; // as it was given at the start
	void (*on_output)(void *context, bool is_error, const void *data, size_t length);
	void (*on_drain)(void *context); // of what was written
	// Once: the container has ended, or `err` says why it can't be joined. The owner still closes.
	void (*on_end)(void *context, const struct err *err);
	void *context;
};
struct runtime_attach;

// What happened to a container: delivered by the driver as it hears of it.
struct runtime_listener {
	void (*on_exit)(void *context, const char *container_id, int exit_code, int64_t exited_at_ns);
	void (*on_oom)(void *context, const char *container_id);
	// The runtime came within reach, or was lost.
	void (*on_ready_changed)(void *context, bool ready);
	void *context;
};

struct runtime_operations;
struct runtime {
	const struct runtime_operations *operations;
};

struct runtime_operations {
	// Nothing that was begun is under way.
	bool (*is_idle)(struct runtime *runtime);
	struct runtime *(*close)(struct runtime *runtime);
	void (*set_listener)(struct runtime *runtime, const struct runtime_listener *listener);
	bool (*is_ready)(struct runtime *runtime, const char **ret_reason);
	const char *(*version)(struct runtime *runtime); // "containerd://1.6.20"; "" until known

	// NULL image with err unset: the image isn't there.
	void (*image_get)(struct runtime *runtime, const char *reference,
	                  void (*done)(void *context, struct runtime_image *image, const struct err *err),
	                  void *context);
	void (*image_pull)(struct runtime *runtime, const char *reference,
	                   void (*done)(void *context, const struct err *err), void *context);
	void (*image_list)(struct runtime *runtime,
	                   void (*done)(void *context, const struct runtime_image_info *images, size_t count,
	                                const struct err *err),
	                   void *context);

	void (*container_start)(struct runtime *runtime, const struct runtime_container_config *config,
	                        void (*done)(void *context, const struct runtime_start_result *result), void *context);
	// Sends a signal ("TERM", "KILL"); `all` reaches every process of the container. A process that is gone is no
	// error.
	void (*container_kill)(struct runtime *runtime, const char *id, const char *signal_name, bool all,
	                       void (*done)(void *context, const struct err *err), void *context);
	// Kills what still runs and removes every trace. `directory` as it was given at the start.
	void (*container_remove)(struct runtime *runtime, const char *id, const char *directory,
	                         void (*done)(void *context, const struct err *err), void *context);
	// Only containers that carry the driver's own label.
	void (*container_list)(struct runtime *runtime,
	                       void (*done)(void *context, const struct runtime_container *containers, size_t count,
	                                    const struct err *err),
	                       void *context);
	// The exit code of a stopped container whose end was not heard; -1: not known.
	void (*container_collect)(struct runtime *runtime, const char *id, void (*done)(void *context, int exit_code),
	                          void *context);

	// exit_code -1 with a text: it could not be run. RUNTIME_EXEC_CLOSED: the runtime was closed, from inside of
	// close.
	struct runtime_exec *(*exec_start)(struct runtime *runtime, const struct runtime_exec_config *config,
	                                   void (*done)(void *context, int exit_code, const char *error_text),
	                                   void *context);
	void (*exec_kill)(struct runtime_exec *exec);    // done still comes
	void (*exec_resized)(struct runtime_exec *exec); // the terminal has another size

	// Never fails at once.
	struct runtime_attach *(*attach_start)(struct runtime *runtime, const struct runtime_attach_config *config);
	void (*attach_write)(struct runtime_attach *attach, const void *data, size_t length);
	void (*attach_end_input)(struct runtime_attach *attach);
	void (*attach_resize)(struct runtime_attach *attach, unsigned columns, unsigned rows);
	void (*attach_pause)(struct runtime_attach *attach, bool pause);
	size_t (*attach_pending_bytes)(const struct runtime_attach *attach);
	void (*attach_close)(struct runtime_attach *attach); // no callback follows; accepts NULL
};

// The driver for containerd by its command line tool.
struct ctr_runtime_config {
	const char *address;        // of containerd's socket
	const char *namespace_name; // "k8s.io"
	const char *logger_path;    // the program that writes container logs
	const char *runtime_name;   // "io.containerd.runc.v2"
	int64_t log_max_bytes;      // of each log file; 0: never rotated
	int64_t log_max_files;
	const char *lock_path; // tells of commands that outlived an earlier kubelet; NULL: none
};
struct runtime *ctr_runtime_new(struct loop *loop, const struct ctr_runtime_config *config);
