// SPDX-License-Identifier: Apache-2.0
// Start:
//
//   record → cgroup, shm [worker] → namespaces ─┬─ CNI ADD ───────────┬─ READY
//               pause image ───────────┴─ pause container ───┘
//
// The record is written first, so that whatever a crash leaves is known by its names.
// The network namespace is kept by a bind mount, not by a process: CNI and the pause
// container need nothing from each other and run at the same time. Any failure leaves
// the sandbox BROKEN: the plan takes it down and tries again after a pause.
//
// Stop:
//
//   remove pause ∥ CNI DEL → namespaces, shm → cgroup → record gone
//
// Every step of it may be run again on what is half gone.

#include "kubelet/pod/pod_sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/cgroup.h"
#include "kubelet/kubelet.h"
#include "kubelet/network/pod_namespaces.h"
#include "kubelet/pod/image_ensure.h"
#include "kubelet/pod/pod_files.h"
#include "kubelet/pod/pod_record.h"
#include "kubelet/pod/pod_resources.h"
#include "kubelet/volumes/mounts.h"

#define FIRST_RETRY_NS (1 * NSEC_PER_SEC)
#define MAX_RETRY_NS (16 * NSEC_PER_SEC)

enum { MAX_LIST_BYTES = 1 << 20 };

struct sandbox_op {
	struct pod *pod;
	struct arena *arena;
	unsigned waiting; // branches under way
	bool pause_begun;
	struct err err;
	struct api_object *object; // the config refers to its texts
	struct runtime_image *image;
	struct runtime_container_config config;
	struct pod_namespaces namespaces;
	struct work work;
};

void pod_sandbox_done(struct pod_sandbox *sandbox)
{
	free(sandbox->network_path);
	free(sandbox->ipc_path);
	free(sandbox->uts_path);
	free(sandbox->network_list);
	free(sandbox->network_result);
	for (size_t index = 0; index < sandbox->address_count; index++)
		free(sandbox->addresses[index]);
	struct backoff backoff = sandbox->backoff;
	int64_t retry_at_ns = sandbox->retry_at_ns;
	*sandbox = (struct pod_sandbox){.backoff = backoff, .retry_at_ns = retry_at_ns};
}

static struct sandbox_op *op_new(struct pod *pod)
{
	struct sandbox_op *op = NEW(struct sandbox_op);
	*op = (struct sandbox_op){.pod = pod, .arena = arena_new(0), .object = api_object_ref(pod->object)};
	pod->sandbox.op = op;
	return op;
}

static void op_free(struct sandbox_op *op)
{
	op->pod->sandbox.op = NULL;
	runtime_image_unref(op->image);
	api_object_unref(op->object);
	arena_free(op->arena);
	free(op);
}

static void note_error(struct sandbox_op *op, const struct err *err)
{
	if (err && op->err.code == ERR_NONE)
		op->err = *err;
}

// 1, 2, 4, … 16 s.
static void postpone(struct pod_sandbox *sandbox, int64_t now_ns)
{
	int64_t delay_ns = sandbox->backoff.delay_ns * 2;
	sandbox->backoff.delay_ns = delay_ns < FIRST_RETRY_NS ? FIRST_RETRY_NS
	                            : delay_ns > MAX_RETRY_NS ? MAX_RETRY_NS
	                                                      : delay_ns;
	sandbox->retry_at_ns = now_ns + sandbox->backoff.delay_ns;
}

size_t pod_sandbox_ports(struct arena *arena, const struct core_v1_pod *pod, struct cni_port_mapping **ret_ports)
{
	size_t capacity = 0;
	size_t count = 0;
	for (size_t index = 0; index < pod->spec.containers.count; index++)
		capacity += pod->spec.containers.items[index].ports.count;
	*ret_ports = ARENA_ARRAY(arena, struct cni_port_mapping, capacity + 1);
	for (size_t index = 0; index < pod->spec.containers.count; index++) {
		const struct core_v1_container_port_array *ports = &pod->spec.containers.items[index].ports;
		for (size_t port = 0; port < ports->count; port++) {
			if (ports->items[port].host_port <= 0)
				continue;
			char *protocol =
			        arena_strdup(arena, ports->items[port].protocol ? ports->items[port].protocol : "TCP");
			for (char *at = protocol; *at; at++)
				*at = (char)(*at | 0x20);
			(*ret_ports)[count++] = (struct cni_port_mapping){
			        .host_port = ports->items[port].host_port,
			        .container_port = ports->items[port].container_port,
			        .protocol = protocol,
			        .host_ip = ports->items[port].host_ip,
			};
		}
	}
	return count;
}

static void fill_attachment(struct sandbox_op *op, struct cni_attachment *attachment)
{
	const struct pod *pod = op->pod;
	*attachment = (struct cni_attachment){
	        .list_text = pod->sandbox.network_list,
	        .container_id = pod->sandbox.id,
	        .network_path = pod->sandbox.network_path,
	        .interface_name = "eth0",
	        .pod_namespace = pod->namespace_name,
	        .pod_name = pod->name,
	        .pod_uid = pod->uid,
	        .result_text = pod->sandbox.network_result,
	};
	struct cni_port_mapping *ports;
	attachment->port_count = pod_sandbox_ports(op->arena, pod->view, &ports);
	attachment->ports = ports;
}

static char *shm_path(struct arena *arena, const struct pod *pod)
{
	return arena_printf(arena, "%s/sandbox/shm", pod->directory);
}

static char *pause_directory(struct arena *arena, const struct pod *pod)
{
	return arena_printf(arena, "%s/sandbox/pause", pod->directory);
}

// --- start ----------------------------------------------------------------------------------

bool pod_sandbox_is_joinable(const struct pod_sandbox *sandbox)
{
	return sandbox->state == PART_READY || (sandbox->state == PART_WORKING && sandbox->joinable);
}

// The namespaces are kept by their mounts, so containers need not wait for the pause
// container's process; but for its image, without which they would only be stopped
// again. Where they join its process namespace, or would not run a second time after a
// failure here, they do wait.
static void offer(struct sandbox_op *op)
{
	struct pod *pod = op->pod;
	const struct core_v1_pod_spec *spec = &pod->view->spec;
	bool shares_processes = spec->share_process_namespace && *spec->share_process_namespace;
	bool runs_once = spec->restart_policy && !strcmp(spec->restart_policy, "Never");
	if (!op->pause_begun || op->err.code != ERR_NONE || shares_processes || runs_once ||
	    (pod->sandbox.network_path && !pod->sandbox.network_result))
		return;
	pod->sandbox.joinable = true;
	pod_wake(pod);
}

static void on_branch(struct sandbox_op *op, const struct err *err)
{
	struct pod *pod = op->pod;
	note_error(op, err);
	if (--op->waiting) {
		offer(op);
		return;
	}
	pod->sandbox.joinable = false;
	if (op->err.code == ERR_NONE) {
		pod->sandbox.state = PART_READY;
		pod->sandbox.backoff.delay_ns = 0;
		log_v(2, "Sandbox is ready", kv_obj("pod", pod->namespace_name, pod->name),
		      kv_str("id", pod->sandbox.id));
	} else {
		pod->sandbox.state = PART_BROKEN;
		postpone(&pod->sandbox, loop_now_ns(pod->kubelet->loop));
		pod_event(pod, NULL, "Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: %s",
		          op->err.message);
		log_error("Could not create the sandbox", kv_obj("pod", pod->namespace_name, pod->name),
		          kv_err(&op->err));
	}
	pod_record_sandbox(pod);
	op_free(op);
	pod_wake(pod);
}

static void on_network(void *context, const char *result_text, const struct err *err)
{
	struct sandbox_op *op = context;
	struct pod_sandbox *sandbox = &op->pod->sandbox;
	if (!err) {
		const char *addresses[POD_MAX_ADDRESSES];
		free(sandbox->network_result);
		sandbox->network_result = xstrdup(result_text);
		sandbox->address_count = cni_result_addresses(op->arena, result_text, addresses, POD_MAX_ADDRESSES);
		for (size_t index = 0; index < sandbox->address_count; index++)
			sandbox->addresses[index] = xstrdup(addresses[index]);
		pod_record_sandbox(op->pod);
	}
	on_branch(op, err);
}

static void on_pause_started(void *context, const struct runtime_start_result *result)
{
	struct sandbox_op *op = context;
	op->pod->sandbox.pid = result->pid;
	on_branch(op, result->err.code == ERR_NONE ? NULL : &result->err);
}

static void add_label(struct sandbox_op *op, const char *key, const char *value)
{
	struct runtime_label *labels = (struct runtime_label *)op->config.labels;
	labels[op->config.label_count++] = (struct runtime_label){.key = key, .value = value};
}

static void add_sysctls(struct sandbox_op *op)
{
	const struct core_v1_pod_security_context *security = op->pod->view->spec.security_context;
	if (!security || !security->sysctls.count)
		return;
	struct runtime_label *sysctls = ARENA_ARRAY(op->arena, struct runtime_label, security->sysctls.count);
	for (size_t index = 0; index < security->sysctls.count; index++)
		sysctls[index] = (struct runtime_label){.key = security->sysctls.items[index].name,
		                                        .value = security->sysctls.items[index].value};
	op->config.sysctls = sysctls;
	op->config.sysctl_count = security->sysctls.count;
}

static void start_pause(struct sandbox_op *op)
{
	struct pod *pod = op->pod;
	struct runtime *runtime = pod->kubelet->runtime;
	struct runtime_mount *shm = ARENA_NEW(op->arena, struct runtime_mount);
	*shm = (struct runtime_mount){.host_path = pod->view->spec.host_ipc ? "/dev/shm" : shm_path(op->arena, pod),
	                              .container_path = "/dev/shm"};
	op->config = (struct runtime_container_config){
	        .id = pod->sandbox.id,
	        .directory = pause_directory(op->arena, pod),
	        .labels = ARENA_ARRAY(op->arena, struct runtime_label, 8),
	        .image = op->image,
	        .mounts = shm,
	        .mount_count = 1,
	        .hostname = pod->sandbox.uts_path ? op->namespaces.hostname : NULL,
	        .network_namespace = pod->sandbox.network_path,
	        .ipc_namespace = pod->sandbox.ipc_path,
	        .uts_namespace = pod->sandbox.uts_path,
	        .host_pid = pod->view->spec.host_pid,
	        .read_only_root = true,
	        .run_as_user = -1,
	        .run_as_group = -1,
	        .cgroup_path = pod_cgroup_path(op->arena, pod->kubelet->config->cgroup_root, pod_qos_class(pod->view),
	                                       pod->uid),
	        .cpu_shares = 2,
	        .oom_score_adj = -998,
	};
	add_label(op, "io.kubernetes.pod.name", pod->name);
	add_label(op, "io.kubernetes.pod.namespace", pod->namespace_name);
	add_label(op, "io.kubernetes.pod.uid", pod->uid);
	add_label(op, "dev.caravel.container.type", "sandbox");
	add_sysctls(op);
	runtime->operations->container_start(runtime, &op->config, on_pause_started, op);
	op->pause_begun = true;
	offer(op);
}

static void on_pause_image(void *context, const struct image_result *result)
{
	struct sandbox_op *op = context;
	struct err err = ERR_INIT;
	if (!result->image)
		(void)err_set(&err, ERR_INTERNAL, "failed to get sandbox image \"%s\": %s",
		              op->pod->kubelet->config->infra_image, result->message);
	op->image = runtime_image_ref(result->image);
	// The namespaces must be there first: this branch waits in them.
	if (err.code == ERR_NONE && op->err.code == ERR_NONE)
		start_pause(op);
	else
		on_branch(op, err.code == ERR_NONE ? NULL : &err);
}

static void on_namespaces(void *context, const struct err *err)
{
	struct sandbox_op *op = context;
	struct pod *pod = op->pod;
	if (err) {
		op->waiting = 1;
		on_branch(op, err);
		return;
	}
	op->waiting = pod->sandbox.network_path ? 2 : 1;
	image_ensure(pod, NULL, pod->kubelet->config->infra_image, "IfNotPresent", on_pause_image, op);
	if (pod->sandbox.network_path) {
		struct cni_attachment attachment;
		fill_attachment(op, &attachment);
		cni_add(pod->kubelet->loop, &pod->kubelet->cni, &attachment, on_network, op);
	}
}

static int make_shm(struct sandbox_op *op, bool host_ipc, struct err *err)
{
	const char *path = shm_path(op->arena, op->pod);
	int result = file_make_folders(path, 0755, err);
	if (result < 0 || host_ipc)
		return result;
	if (mount("shm", path, "tmpfs", MS_NOEXEC | MS_NOSUID | MS_NODEV, "mode=1777,size=65536k") < 0)
		return err_set_errno(err, errno, "mount shm at %s", path);
	return 0;
}

static int load_network(struct sandbox_op *op, struct err *err)
{
	struct json *list;
	int result = cni_load(op->arena, op->pod->kubelet->cni.config_directory, &list, err);
	if (result < 0)
		return result;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_LIST_BYTES);
	json_write(&text, list);
	op->pod->sandbox.network_list = strbuf_take(&text, NULL);
	return 0;
}

static void new_id(char out[CONTAINER_ID_BYTES])
{
	unsigned char bytes[32];
	random_bytes(bytes, sizeof(bytes));
	hex_encode(out, bytes, sizeof(bytes));
}

// Names everything, so that the record can be written before anything is made.
static int choose_names(struct sandbox_op *op, struct err *err)
{
	struct pod *pod = op->pod;
	struct pod_sandbox *sandbox = &pod->sandbox;
	char uuid[37];
	uuid_v4(uuid);
	new_id(sandbox->id);
	sandbox->created_at_ns = loop_realtime_ns(pod->kubelet->loop);
	if (!pod->view->spec.host_network) {
		sandbox->network_path = xasprintf("/var/run/netns/cni-%s", uuid);
		sandbox->uts_path = xasprintf("%s/sandbox/uts", pod->directory);
		int result = load_network(op, err);
		if (result < 0)
			return result;
	}
	if (!pod->view->spec.host_ipc)
		sandbox->ipc_path = xasprintf("%s/sandbox/ipc", pod->directory);
	op->config.cgroup_path =
	        pod_cgroup_path(op->arena, pod->kubelet->config->cgroup_root, pod_qos_class(pod->view), pod->uid);
	return 0;
}

// On a worker: only the op and texts of the pod that don't change meanwhile.
static void make_places(struct work *work)
{
	struct sandbox_op *op = container_of(work, struct sandbox_op, work);
	const struct core_v1_pod *view = op->object->view;
	struct cgroup_limits limits = pod_cgroup_limits(view);
	if (file_make_folders(pause_directory(op->arena, op->pod), 0700, &op->err) == 0 &&
	    make_shm(op, view->spec.host_ipc, &op->err) == 0)
		(void)cgroup_make(op->config.cgroup_path, &limits, &op->err);
}

static void on_places(struct work *work)
{
	struct sandbox_op *op = container_of(work, struct sandbox_op, work);
	struct pod *pod = op->pod;
	if (op->err.code != ERR_NONE) {
		op->waiting = 1;
		on_branch(op, NULL);
		return;
	}
	op->namespaces = (struct pod_namespaces){
	        .network_path = pod->sandbox.network_path,
	        .ipc_path = pod->sandbox.ipc_path,
	        .uts_path = pod->sandbox.uts_path,
	        .hostname = pod_host_name(op->arena, pod->view, pod->kubelet->config->cluster_domain),
	};
	pod_namespaces_create(pod->kubelet->loop, &op->namespaces, on_namespaces, op);
}

void pod_sandbox_start(struct pod *pod)
{
	struct sandbox_op *op = op_new(pod);
	struct err err = ERR_INIT;
	pod_sandbox_done(&pod->sandbox);
	pod->sandbox.op = op;
	pod->sandbox.state = PART_WORKING;
	if (choose_names(op, &err) < 0) {
		op->waiting = 1;
		on_branch(op, &err);
		return;
	}
	pod_record_sandbox(pod);
	work_pool_submit(pod->kubelet->pool, &op->work, pod->kubelet->loop, make_places, on_places);
}

void pod_sandbox_lost(struct pod *pod, const char *why)
{
	if (pod->sandbox.state != PART_READY)
		return;
	pod->sandbox.state = PART_BROKEN;
	pod_record_sandbox(pod);
	log_warning("Sandbox was lost", kv_obj("pod", pod->namespace_name, pod->name), kv_str("why", why));
	if (!pod->terminating)
		pod_event(pod, NULL, "Normal", "SandboxChanged",
		          "Pod sandbox changed, it will be killed and re-created.");
	pod_wake(pod);
}

// --- stop -------------------------------------------------------------------------------------

static void on_torn_down(struct work *work)
{
	struct sandbox_op *op = container_of(work, struct sandbox_op, work);
	struct pod *pod = op->pod;
	struct pod_sandbox *sandbox = &pod->sandbox;
	if (op->err.code == ERR_NONE) {
		pod_sandbox_done(sandbox); // leaves PART_NONE
	} else {
		sandbox->state = PART_BROKEN;
		postpone(sandbox, loop_now_ns(pod->kubelet->loop));
		pod_event(pod, NULL, "Warning", "FailedKillPod", "error killing pod: %s", op->err.message);
		log_error("Could not remove the sandbox", kv_obj("pod", pod->namespace_name, pod->name),
		          kv_err(&op->err));
	}
	pod_record_sandbox(pod);
	op_free(op);
	pod_wake(pod);
}

// On a worker: only the op and texts of the pod that don't change meanwhile.
static void tear_down(struct work *work)
{
	struct sandbox_op *op = container_of(work, struct sandbox_op, work);
	pod_namespaces_remove(&op->namespaces);
	struct err err = ERR_INIT;
	if (mounts_remove_tree(arena_printf(op->arena, "%s/sandbox", op->pod->directory), &err) < 0 ||
	    cgroup_remove(op->config.cgroup_path, &err) < 0)
		op->err = err;
}

static void on_stop_branch(struct sandbox_op *op, const struct err *err)
{
	note_error(op, err);
	if (--op->waiting)
		return;
	struct pod *pod = op->pod;
	if (op->err.code != ERR_NONE) {
		on_torn_down(&op->work); // the names are needed for the next try
		return;
	}
	work_pool_submit(pod->kubelet->pool, &op->work, pod->kubelet->loop, tear_down, on_torn_down);
}

static void on_pause_removed(void *context, const struct err *err)
{
	on_stop_branch(context, err);
}

static void on_network_deleted(void *context, const char *result_text, const struct err *err)
{
	(void)result_text;
	on_stop_branch(context, err);
}

void pod_sandbox_stop(struct pod *pod)
{
	struct sandbox_op *op = op_new(pod);
	struct runtime *runtime = pod->kubelet->runtime;
	pod->sandbox.state = PART_WORKING;
	pod_record_sandbox(pod); // not ready any more, whatever happens to us
	op->namespaces = (struct pod_namespaces){
	        .network_path = pod->sandbox.network_path,
	        .ipc_path = pod->sandbox.ipc_path,
	        .uts_path = pod->sandbox.uts_path,
	};
	op->config.cgroup_path =
	        pod_cgroup_path(op->arena, pod->kubelet->config->cgroup_root, pod_qos_class(pod->view), pod->uid);
	bool has_network = pod->sandbox.network_path && pod->sandbox.network_list;
	op->waiting = has_network ? 2 : 1;
	runtime->operations->container_remove(runtime, pod->sandbox.id, pause_directory(op->arena, pod),
	                                      on_pause_removed, op);
	if (has_network) {
		struct cni_attachment attachment;
		fill_attachment(op, &attachment);
		if (!mounts_is_mount_point(pod->sandbox.network_path))
			attachment.network_path =
			        NULL; // gone with a restart of the machine: DEL frees the address alone
		cni_delete(pod->kubelet->loop, &pod->kubelet->cni, &attachment, on_network_deleted, op);
	}
}
