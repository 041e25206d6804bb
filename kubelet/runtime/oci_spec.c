// SPDX-License-Identifier: Apache-2.0
// Writes OCI runtime specifications 1.0.2 as containerd's CRI plug-in would for
// the same pod: the same default mounts, capabilities, masked and read-only
// paths, and the same merging of the image's command, environment and user with
// the pod's.
//
// Namespaces: mount is always the container's own. Network, IPC and UTS are joined
// by path (the pod's, see network/pod_namespaces.h) or, with no path, left out,
// which means the host's. PID is the container's own, a path (shared by the pod),
// or the host's. A cgroup namespace comes with cgroup v2 only, as upstream.

#include "kubelet/runtime/oci_spec.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kubelet/runtime/seccomp.h"

static const char *const default_capabilities[] = {
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
        NULL,
};

static const char *const all_capabilities[] = {
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETPCAP",
        "CAP_LINUX_IMMUTABLE",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_BROADCAST",
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_IPC_LOCK",
        "CAP_IPC_OWNER",
        "CAP_SYS_MODULE",
        "CAP_SYS_RAWIO",
        "CAP_SYS_CHROOT",
        "CAP_SYS_PTRACE",
        "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT",
        "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE",
        "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG",
        "CAP_MKNOD",
        "CAP_LEASE",
        "CAP_AUDIT_WRITE",
        "CAP_AUDIT_CONTROL",
        "CAP_SETFCAP",
        "CAP_MAC_OVERRIDE",
        "CAP_MAC_ADMIN",
        "CAP_SYSLOG",
        "CAP_WAKE_ALARM",
        "CAP_BLOCK_SUSPEND",
        "CAP_AUDIT_READ",
        "CAP_PERFMON",
        "CAP_BPF",
        "CAP_CHECKPOINT_RESTORE",
        NULL,
};

static const char *const masked_paths[] = {
        "/proc/acpi",          "/proc/asound",
        "/proc/kcore",         "/proc/keys",
        "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats",   "/proc/sched_debug",
        "/sys/firmware",       "/sys/devices/virtual/powercap",
        "/proc/scsi",          NULL,
};

static const char *const readonly_paths[] = {
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

struct default_mount {
	const char *destination;
	const char *type;
	const char *source;
	const char *options[9];
	bool follows_privilege; // "ro", or "rw" in a privileged container
};

static const struct default_mount default_mounts[] = {
        {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}, false},
        {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, false},
        {"/dev/pts",
         "devpts",
         "devpts",
         {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
         false},
        {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}, false},
        {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev"}, true},
        {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime"}, true},
};

static struct json *text_array(struct arena *arena, const char *const *texts)
{
	struct json *array = json_array(arena);
	for (; texts && *texts; texts++)
		json_append(arena, array, json_string(arena, *texts));
	return array;
}

static bool listed(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (!strcasecmp(*names, name))
			return true;
	return false;
}

// --- the process -----------------------------------------------------------------

static int build_args(struct arena *arena, const struct runtime_container_config *config, struct json *process,
                      struct err *err)
{
	struct json *args = json_array(arena);
	const char *const *lists[2] = {config->command, config->arguments};
	if (!config->command) {
		lists[0] = config->image->entrypoint;
		if (!config->arguments)
			lists[1] = config->image->command;
	}
	for (int part = 0; part < 2; part++)
		for (const char *const *text = lists[part]; text && *text; text++)
			json_append(arena, args, json_string(arena, *text));
	if (!args->length)
		return err_set(err, ERR_INVALID, "failed to generate container spec: no command specified");
	json_set(arena, process, "args", args);
	return 0;
}

static size_t name_length(const char *assignment)
{
	return strcspn(assignment, "=");
}

// Sets "NAME=value" in the array, in place of an earlier one of the same name.
static void set_variable(struct arena *arena, struct json *environment, const char *assignment)
{
	size_t length = name_length(assignment);
	for (size_t index = 0; index < environment->length; index++) {
		const char *present = environment->items[index]->text;
		if (name_length(present) == length && !memcmp(present, assignment, length)) {
			environment->items[index] = json_string(arena, assignment);
			return;
		}
	}
	json_append(arena, environment, json_string(arena, assignment));
}

static void build_environment(struct arena *arena, const struct runtime_container_config *config,
                              const struct oci_facts *facts, struct json *process)
{
	struct json *environment = json_array(arena);
	set_variable(arena, environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	if (config->hostname)
		set_variable(arena, environment, arena_printf(arena, "HOSTNAME=%s", config->hostname));
	if (config->tty)
		set_variable(arena, environment, "TERM=xterm");
	if (facts->home && *facts->home)
		set_variable(arena, environment, arena_printf(arena, "HOME=%s", facts->home));
	for (const char *const *text = config->image->environment; *text; text++)
		set_variable(arena, environment, *text);
	for (const char *const *text = config->environment; text && *text; text++)
		set_variable(arena, environment, *text);
	json_set(arena, process, "env", environment);
}

static const char *const *base_capabilities(const struct runtime_container_config *config)
{
	if (config->privileged || listed(config->add_capabilities, "ALL"))
		return all_capabilities;
	return listed(config->drop_capabilities, "ALL") ? NULL : default_capabilities;
}

static const char *capability_name(struct arena *arena, const char *name)
{
	return strncasecmp(name, "CAP_", 4) ? arena_printf(arena, "CAP_%s", name) : name;
}

static bool capability_listed(struct arena *arena, const char *const *names, const char *capability)
{
	for (; names && *names; names++)
		if (!strcasecmp(capability_name(arena, *names), capability))
			return true;
	return false;
}

static void build_capabilities(struct arena *arena, const struct runtime_container_config *config, struct json *process)
{
	struct json *set = json_array(arena);
	for (const char *const *name = base_capabilities(config); name && *name; name++)
		if (config->privileged || !capability_listed(arena, config->drop_capabilities, *name))
			json_append(arena, set, json_string(arena, *name));
	for (const char *const *known = all_capabilities; *known; known++) {
		bool present = false;
		for (size_t index = 0; index < set->length; index++)
			present |= !strcmp(set->items[index]->text, *known);
		if (!present && capability_listed(arena, config->add_capabilities, *known))
			json_append(arena, set, json_string(arena, *known));
	}
	struct json *capabilities = json_object(arena);
	json_set(arena, capabilities, "bounding", set);
	json_set(arena, capabilities, "effective", set);
	json_set(arena, capabilities, "permitted", set);
	json_set(arena, process, "capabilities", capabilities);
}

static struct json *build_user(struct arena *arena, const struct oci_facts *facts)
{
	struct json *user = json_object(arena);
	json_set_integer(arena, user, "uid", facts->uid);
	json_set_integer(arena, user, "gid", facts->gid);
	struct json *groups = json_array(arena);
	json_append(arena, groups, json_integer(arena, facts->gid));
	for (size_t index = 0; index < facts->additional_gid_count; index++)
		if (facts->additional_gids[index] != facts->gid)
			json_append(arena, groups, json_integer(arena, facts->additional_gids[index]));
	json_set(arena, user, "additionalGids", groups);
	return user;
}

static int build_process(struct arena *arena, const struct runtime_container_config *config,
                         const struct oci_facts *facts, struct json **ret_process, struct err *err)
{
	struct json *process = json_object(arena);
	if (config->tty)
		json_set_bool(arena, process, "terminal", true);
	json_set(arena, process, "user", build_user(arena, facts));
	int result = build_args(arena, config, process, err);
	if (result < 0)
		return result;
	build_environment(arena, config, facts, process);
	const char *directory = config->working_directory && *config->working_directory
	                                ? config->working_directory
	                                : config->image->working_directory;
	json_set_text(arena, process, "cwd", directory && *directory ? directory : "/");
	build_capabilities(arena, config, process);
	json_set_bool(arena, process, "noNewPrivileges", !config->allow_privilege_escalation && !config->privileged);
	bool allowed = config->oom_score_adj >= facts->least_oom_score_adj;
	json_set_integer(arena, process, "oomScoreAdj", allowed ? config->oom_score_adj : facts->least_oom_score_adj);
	*ret_process = process;
	return 0;
}

// --- mounts ------------------------------------------------------------------------

static struct json *mount_entry(struct arena *arena, const char *destination, const char *type, const char *source)
{
	struct json *mount = json_object(arena);
	json_set_text(arena, mount, "destination", destination);
	json_set_text(arena, mount, "type", type);
	json_set_text(arena, mount, "source", source);
	json_set(arena, mount, "options", json_array(arena));
	return mount;
}

static void add_option(struct arena *arena, struct json *mount, const char *option)
{
	json_append(arena, json_get(mount, "options"), json_string(arena, option));
}

static bool is_mounted_over(const struct runtime_container_config *config, const char *destination)
{
	for (size_t index = 0; index < config->mount_count; index++)
		if (!strcmp(config->mounts[index].container_path, destination))
			return true;
	return false;
}

static void add_volume_mount(struct arena *arena, struct json *mounts, const struct runtime_mount *volume)
{
	static const char *const propagation[] = {
	        [RUNTIME_PROPAGATION_PRIVATE] = "rprivate",
	        [RUNTIME_PROPAGATION_HOST_TO_CONTAINER] = "rslave",
	        [RUNTIME_PROPAGATION_BIDIRECTIONAL] = "rshared",
	};
	struct json *mount = mount_entry(arena, volume->container_path, "bind", volume->host_path);
	add_option(arena, mount, "rbind");
	add_option(arena, mount, propagation[volume->propagation]);
	add_option(arena, mount, volume->recursive_read_only ? "rro" : volume->read_only ? "ro" : "rw");
	json_append(arena, mounts, mount);
}

static struct json *build_mounts(struct arena *arena, const struct runtime_container_config *config)
{
	struct json *mounts = json_array(arena);
	for (size_t index = 0; index < ARRAY_SIZE(default_mounts); index++) {
		const struct default_mount *row = &default_mounts[index];
		if (is_mounted_over(config, row->destination))
			continue;
		struct json *mount = mount_entry(arena, row->destination, row->type, row->source);
		for (const char *const *option = row->options; *option; option++)
			add_option(arena, mount, *option);
		if (row->follows_privilege)
			add_option(arena, mount, config->privileged ? "rw" : "ro");
		json_append(arena, mounts, mount);
	}
	for (size_t index = 0; index < config->mount_count; index++)
		add_volume_mount(arena, mounts, &config->mounts[index]);
	return mounts;
}

static const char *root_propagation(const struct runtime_container_config *config)
{
	enum runtime_propagation widest = RUNTIME_PROPAGATION_PRIVATE;
	for (size_t index = 0; index < config->mount_count; index++)
		if (config->mounts[index].propagation > widest)
			widest = config->mounts[index].propagation;
	return widest == RUNTIME_PROPAGATION_BIDIRECTIONAL       ? "rshared"
	       : widest == RUNTIME_PROPAGATION_HOST_TO_CONTAINER ? "rslave"
	                                                         : NULL;
}

// --- linux ----------------------------------------------------------------------------

static void add_namespace(struct arena *arena, struct json *namespaces, const char *type, const char *path)
{
	struct json *entry = json_object(arena);
	json_set_text(arena, entry, "type", type);
	if (path)
		json_set_text(arena, entry, "path", path);
	json_append(arena, namespaces, entry);
}

static struct json *build_namespaces(struct arena *arena, const struct runtime_container_config *config,
                                     const struct oci_facts *facts)
{
	struct json *namespaces = json_array(arena);
	add_namespace(arena, namespaces, "mount", NULL);
	if (!config->host_pid)
		add_namespace(arena, namespaces, "pid", config->pid_namespace);
	if (config->network_namespace)
		add_namespace(arena, namespaces, "network", config->network_namespace);
	if (config->ipc_namespace)
		add_namespace(arena, namespaces, "ipc", config->ipc_namespace);
	if (config->uts_namespace)
		add_namespace(arena, namespaces, "uts", config->uts_namespace);
	if (facts->cgroup_v2)
		add_namespace(arena, namespaces, "cgroup", NULL);
	return namespaces;
}

static struct json *build_device_rules(struct arena *arena, bool privileged)
{
	struct json *rules = json_array(arena);
	struct json *rule = json_object(arena);
	json_set_bool(arena, rule, "allow", privileged);
	json_set_text(arena, rule, "access", "rwm");
	json_append(arena, rules, rule);
	return rules;
}

static struct json *build_resources(struct arena *arena, const struct runtime_container_config *config)
{
	struct json *resources = json_object(arena);
	json_set(arena, resources, "devices", build_device_rules(arena, config->privileged));
	struct json *cpu = json_ensure_object(arena, resources, "cpu");
	if (config->cpu_shares)
		json_set_integer(arena, cpu, "shares", config->cpu_shares);
	if (config->cpu_quota_us) {
		json_set_integer(arena, cpu, "quota", config->cpu_quota_us);
		json_set_integer(arena, cpu, "period", config->cpu_period_us);
	}
	if (config->memory_limit_bytes)
		json_set_integer(arena, json_ensure_object(arena, resources, "memory"), "limit",
		                 config->memory_limit_bytes);
	for (size_t index = 0; index < config->hugepage_limit_count; index++) {
		struct json *limit = json_object(arena);
		json_set_text(arena, limit, "pageSize", config->hugepage_limits[index].page_size);
		json_set_integer(arena, limit, "limit", config->hugepage_limits[index].bytes);
		json_append(arena, json_ensure_array(arena, resources, "hugepageLimits"), limit);
	}
	return resources;
}

static void build_paths(struct arena *arena, const struct runtime_container_config *config, struct json *linux_part)
{
	if (config->privileged || config->unmask_proc)
		return;
	json_set(arena, linux_part, "maskedPaths", text_array(arena, masked_paths));
	json_set(arena, linux_part, "readonlyPaths", text_array(arena, readonly_paths));
}

static struct json *build_linux(struct arena *arena, const struct runtime_container_config *config,
                                const struct oci_facts *facts)
{
	struct json *part = json_object(arena);
	json_set(arena, part, "namespaces", build_namespaces(arena, config, facts));
	json_set(arena, part, "resources", build_resources(arena, config));
	if (config->cgroup_path)
		json_set_text(arena, part, "cgroupsPath",
		              arena_printf(arena, "%s/%s", config->cgroup_path, config->id));
	if (config->privileged && facts->host_devices)
		json_set(arena, part, "devices", json_clone(arena, facts->host_devices));
	if (root_propagation(config))
		json_set_text(arena, part, "rootfsPropagation", root_propagation(config));
	struct json *sysctls = config->sysctl_count ? json_ensure_object(arena, part, "sysctl") : NULL;
	for (size_t index = 0; index < config->sysctl_count; index++)
		json_set_text(arena, sysctls, config->sysctls[index].key, config->sysctls[index].value);
	build_paths(arena, config, part);
	return part;
}

static int build_seccomp(struct arena *arena, const struct runtime_container_config *config, struct json *spec,
                         struct err *err)
{
	const struct json *capabilities = json_path(spec, "process", "capabilities", "bounding");
	struct json *profile = NULL;
	if (config->privileged || config->seccomp == RUNTIME_SECCOMP_UNCONFINED)
		return 0;
	if (config->seccomp == RUNTIME_SECCOMP_DEFAULT)
		profile = seccomp_default_profile(arena, capabilities);
	else if (seccomp_load_profile(arena, config->seccomp_profile_path, &profile, err) < 0)
		return -err->code;
	json_set(arena, json_get(spec, "linux"), "seccomp", profile);
	return 0;
}

int oci_spec_build(struct arena *arena, const struct runtime_container_config *config, const struct oci_facts *facts,
                   struct json **ret_spec, struct err *err)
{
	struct json *spec = json_object(arena);
	json_set_text(arena, spec, "ociVersion", "1.0.2");
	struct json *process;
	int result = build_process(arena, config, facts, &process, err);
	if (result < 0)
		return result;
	json_set(arena, spec, "process", process);
	struct json *root = json_ensure_object(arena, spec, "root");
	json_set_text(arena, root, "path", facts->root_path);
	json_set_bool(arena, root, "readonly", config->read_only_root);
	// A joined UTS namespace has its name already; runc refuses to set it twice.
	json_set(arena, spec, "mounts", build_mounts(arena, config));
	struct json *annotations = json_ensure_object(arena, spec, "annotations");
	for (size_t index = 0; index < config->label_count; index++)
		json_set_text(arena, annotations, config->labels[index].key, config->labels[index].value);
	json_set(arena, spec, "linux", build_linux(arena, config, facts));
	*ret_spec = spec;
	return build_seccomp(arena, config, spec, err);
}
