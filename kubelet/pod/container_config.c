// SPDX-License-Identifier: Apache-2.0
// One builder, filled section by section: environment, command, namespaces,
// security, resources, labels, mounts. What the container's own security context
// leaves open the pod's decides. The kubelet's own files (/etc/hosts, resolv.conf,
// hostname, /dev/shm, the termination message) are mounted last, and only where no
// volume of the pod's claims the path. Everything lies in the caller's arena.

#include "kubelet/pod/container_config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/api/quantity.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod_files.h"
#include "kubelet/pod/pod_resources.h"
#include "kubelet/volumes/mounts.h"
#include "kubelet/volumes/pod_volumes.h"

enum { OWN_MOUNTS = 5, MAX_LABELS = 8 };

struct build {
	struct arena *arena;
	const struct container_inputs *inputs;
	const struct pod *pod;
	const struct core_v1_container *spec;
	const struct core_v1_security_context *security;         // may be NULL
	const struct core_v1_pod_security_context *pod_security; // may be NULL
	struct environment environment;
	struct runtime_container_config *config;
};

struct field_facts pod_field_facts(const struct pod *pod)
{
	bool host = pod_uses_host_network(pod);
	return (struct field_facts){
	        .pod_ips = host ? (const char *const *)&pod->kubelet->node_ip
	                        : (const char *const *)pod->sandbox.addresses,
	        .pod_ip_count = host ? 1 : pod->sandbox.address_count,
	        .host_ip = pod->kubelet->node_ip,
	        .node_milli_cpu = sysconf(_SC_NPROCESSORS_ONLN) * 1000,
	        .node_memory_bytes = pod->kubelet->node_memory_bytes,
	};
}

static const char *const *expanded_list(struct build *build, const struct string_array *texts)
{
	if (!texts->count)
		return NULL;
	const char **list = ARENA_ARRAY(build->arena, const char *, texts->count + 1);
	for (size_t index = 0; index < texts->count; index++)
		list[index] = environment_expand(&build->environment, build->arena, texts->items[index]);
	return list;
}

static const char *const *plain_list(struct arena *arena, const struct string_array *texts)
{
	const char **list = ARENA_ARRAY(arena, const char *, texts->count + 1);
	for (size_t index = 0; index < texts->count; index++)
		list[index] = texts->items[index];
	return list;
}

// --- mounts --------------------------------------------------------------------------------

static void add_mount(struct build *build, const char *host_path, const char *container_path, bool read_only,
                      enum runtime_propagation propagation)
{
	struct runtime_mount *mounts = (struct runtime_mount *)build->config->mounts;
	mounts[build->config->mount_count++] = (struct runtime_mount){.host_path = host_path,
	                                                              .container_path = container_path,
	                                                              .read_only = read_only,
	                                                              .propagation = propagation};
}

static enum runtime_propagation propagation_of(const struct core_v1_volume_mount *mount)
{
	if (mount->mount_propagation && !strcmp(mount->mount_propagation, "Bidirectional"))
		return RUNTIME_PROPAGATION_BIDIRECTIONAL;
	if (mount->mount_propagation && !strcmp(mount->mount_propagation, "HostToContainer"))
		return RUNTIME_PROPAGATION_HOST_TO_CONTAINER;
	return RUNTIME_PROPAGATION_PRIVATE;
}

static int bind_sub_path(struct build *build, const struct core_v1_volume_mount *mount, size_t index,
                         const char *sub_path, const char **host_path, struct err *err)
{
	const char *target = arena_printf(build->arena, "%s/volume-subpaths/%s/%s/%zu", build->pod->directory,
	                                  mount->name, build->inputs->container->name, index);
	int result = mounts_bind_sub_path(*host_path, sub_path, target, err);
	if (result == 0)
		*host_path = target;
	return result;
}

static int add_volume_mounts(struct build *build, struct err *err)
{
	for (size_t index = 0; index < build->spec->volume_mounts.count; index++) {
		const struct core_v1_volume_mount *mount = &build->spec->volume_mounts.items[index];
		const char *host_path = pod_volumes_path(build->arena, build->pod, mount->name);
		if (!host_path)
			return err_set(err, ERR_INVALID, "cannot find volume \"%s\" to mount into container \"%s\"",
			               mount->name, build->inputs->container->name);
		const char *sub_path = mount->sub_path && *mount->sub_path ? mount->sub_path : NULL;
		if (mount->sub_path_expr && *mount->sub_path_expr)
			sub_path = environment_expand(&build->environment, build->arena, mount->sub_path_expr);
		if (sub_path && bind_sub_path(build, mount, index, sub_path, &host_path, err) < 0)
			return -err->code;
		const char *path = *mount->mount_path == '/' ? mount->mount_path
		                                             : arena_printf(build->arena, "/%s", mount->mount_path);
		add_mount(build, host_path, path, mount->read_only || pod_volumes_is_read_only(build->pod, mount->name),
		          propagation_of(mount));
		((struct runtime_mount *)build->config->mounts)[build->config->mount_count - 1].recursive_read_only =
		        mount->recursive_read_only && strcmp(mount->recursive_read_only, "Disabled") != 0;
	}
	return 0;
}

static bool mounts_path(const struct build *build, const char *path)
{
	for (size_t index = 0; index < build->config->mount_count; index++)
		if (!strcmp(build->config->mounts[index].container_path, path))
			return true;
	return false;
}

static void add_own_mounts(struct build *build)
{
	const struct pod *pod = build->pod;
	struct arena *arena = build->arena;
	const char *message_path = build->spec->termination_message_path && *build->spec->termination_message_path
	                                   ? build->spec->termination_message_path
	                                   : "/dev/termination-log";
	const struct {
		const char *host_path;
		const char *container_path;
	} rows[OWN_MOUNTS] = {
	        {arena_printf(arena, "%s/etc-hosts", pod->directory), "/etc/hosts"},
	        {arena_printf(arena, "%s/resolv.conf", pod->directory), "/etc/resolv.conf"},
	        {arena_printf(arena, "%s/hostname", pod->directory), "/etc/hostname"},
	        {pod->view->spec.host_ipc ? "/dev/shm" : arena_printf(arena, "%s/sandbox/shm", pod->directory),
	         "/dev/shm"},
	        {build->inputs->termination_log, message_path},
	};
	for (size_t index = 0; index < OWN_MOUNTS; index++)
		if (!mounts_path(build, rows[index].container_path))
			add_mount(build, rows[index].host_path, rows[index].container_path, false,
			          RUNTIME_PROPAGATION_PRIVATE);
}

static int build_mounts(struct build *build, struct err *err)
{
	build->config->mounts =
	        ARENA_ARRAY(build->arena, struct runtime_mount, build->spec->volume_mounts.count + OWN_MOUNTS);
	int result = add_volume_mounts(build, err);
	if (result == 0)
		add_own_mounts(build);
	return result;
}

// --- security --------------------------------------------------------------------------------

static bool is_true(const bool *flag)
{
	return flag && *flag;
}

static int64_t first_number(const int64_t *first, const int64_t *second)
{
	return first ? *first : second ? *second : -1;
}

static void build_groups(struct build *build)
{
	const struct core_v1_pod_security_context *pod_security = build->pod_security;
	if (!pod_security)
		return;
	build->config->strict_groups =
	        pod_security->supplemental_groups_policy && !strcmp(pod_security->supplemental_groups_policy, "Strict");
	size_t count = pod_security->supplemental_groups.count;
	int64_t *groups = ARENA_ARRAY(build->arena, int64_t, count + 1);
	for (size_t index = 0; index < count; index++)
		groups[index] = pod_security->supplemental_groups.items[index];
	if (pod_security->fs_group)
		groups[count++] = *pod_security->fs_group;
	build->config->supplemental_groups = groups;
	build->config->supplemental_group_count = count;
}

static void build_seccomp(struct build *build)
{
	const struct core_v1_security_context *own = build->security;
	const struct core_v1_pod_security_context *pods = build->pod_security;
	const struct core_v1_seccomp_profile *profile = own && own->seccomp_profile     ? own->seccomp_profile
	                                                : pods && pods->seccomp_profile ? pods->seccomp_profile
	                                                                                : NULL;
	const struct kubelet_config *kubelet = build->pod->kubelet->config;
	struct runtime_container_config *config = build->config;
	if (!profile || !profile->type) {
		config->seccomp = kubelet->seccomp_default ? RUNTIME_SECCOMP_DEFAULT : RUNTIME_SECCOMP_UNCONFINED;
	} else if (!strcmp(profile->type, "RuntimeDefault")) {
		config->seccomp = RUNTIME_SECCOMP_DEFAULT;
	} else if (!strcmp(profile->type, "Localhost")) {
		config->seccomp = RUNTIME_SECCOMP_FILE;
		config->seccomp_profile_path =
		        arena_printf(build->arena, "%s/seccomp/%s", kubelet->root_directory,
		                     profile->localhost_profile ? profile->localhost_profile : "");
	}
}

static void build_security(struct build *build)
{
	const struct core_v1_security_context *own = build->security;
	const struct core_v1_pod_security_context *pods = build->pod_security;
	struct runtime_container_config *config = build->config;
	config->privileged = own && is_true(own->privileged);
	config->read_only_root = own && is_true(own->read_only_root_filesystem);
	config->allow_privilege_escalation =
	        !own || !own->allow_privilege_escalation || *own->allow_privilege_escalation;
	config->unmask_proc = own && own->proc_mount && !strcmp(own->proc_mount, "Unmasked");
	config->run_as_user = first_number(own ? own->run_as_user : NULL, pods ? pods->run_as_user : NULL);
	config->run_as_group = first_number(own ? own->run_as_group : NULL, pods ? pods->run_as_group : NULL);
	config->run_as_non_root =
	        own && own->run_as_non_root ? *own->run_as_non_root : pods && is_true(pods->run_as_non_root);
	if (own && own->capabilities) {
		config->add_capabilities = plain_list(build->arena, &own->capabilities->add);
		config->drop_capabilities = plain_list(build->arena, &own->capabilities->drop);
	}
	build_groups(build);
	build_seccomp(build);
}

// --- the rest ------------------------------------------------------------------------------------

// The running container whose processes an ephemeral one wants to see; NULL: none.
static const struct pod_container *debugged_container(const struct build *build)
{
	const struct core_v1_ephemeral_container *spec = (const struct core_v1_ephemeral_container *)build->spec;
	if (build->inputs->container->kind != CONTAINER_EPHEMERAL || !spec->target_container_name ||
	    !*spec->target_container_name)
		return NULL;
	const struct pod_container *target = pod_find_container((struct pod *)build->pod, spec->target_container_name);
	return target && target->state == CONTAINER_RUNNING && target->pid > 0 ? target : NULL;
}

static void build_namespaces(struct build *build)
{
	const struct pod *pod = build->pod;
	struct runtime_container_config *config = build->config;
	config->network_namespace = pod->sandbox.network_path;
	config->ipc_namespace = pod->sandbox.ipc_path;
	config->uts_namespace = pod->sandbox.uts_path;
	config->host_pid = pod->view->spec.host_pid;
	if (is_true(pod->view->spec.share_process_namespace) && !config->host_pid)
		config->pid_namespace = arena_printf(build->arena, "/proc/%d/ns/pid", pod->sandbox.pid);
	const struct pod_container *target = debugged_container(build);
	if (target && !config->host_pid && !config->pid_namespace)
		config->pid_namespace = arena_printf(build->arena, "/proc/%d/ns/pid", target->pid);
	config->hostname = pod_uses_host_network(pod)
	                           ? pod->kubelet->node_name
	                           : pod_host_name(build->arena, pod->view, pod->kubelet->config->cluster_domain);
}

// "hugepages-2Mi": the runtime calls that page size "2MB".
static void build_hugepages(struct build *build)
{
	static const char prefix[] = "hugepages-";
	const struct string_map *limits = &build->spec->resources.limits;
	struct runtime_hugepage_limit *rows =
	        ARENA_ARRAY(build->arena, struct runtime_hugepage_limit, limits->count + 1);
	size_t count = 0;
	for (size_t index = 0; index < limits->count; index++) {
		const char *key = limits->entries[index].key;
		if (strncmp(key, prefix, strlen(prefix)))
			continue;
		int64_t bytes = quantity_text_value(key + strlen(prefix));
		rows[count].page_size =
		        bytes >= 1 << 30   ? arena_printf(build->arena, "%lldGB", (long long)(bytes >> 30))
		        : bytes >= 1 << 20 ? arena_printf(build->arena, "%lldMB", (long long)(bytes >> 20))
		                           : arena_printf(build->arena, "%lldKB", (long long)(bytes >> 10));
		rows[count++].bytes = quantity_text_value(limits->entries[index].value);
	}
	build->config->hugepage_limits = rows;
	build->config->hugepage_limit_count = count;
}

static void build_resources(struct build *build)
{
	const struct pod *pod = build->pod;
	struct runtime_container_config *config = build->config;
	enum qos_class class = pod_qos_class(pod->view);
	struct cgroup_limits limits = container_cgroup_limits(build->spec);
	config->cgroup_path = pod_cgroup_path(build->arena, pod->kubelet->config->cgroup_root, class, pod->uid);
	config->cpu_shares = limits.cpu_shares;
	config->cpu_quota_us = limits.cpu_quota_us;
	config->cpu_period_us = limits.cpu_period_us;
	config->memory_limit_bytes = limits.memory_limit_bytes;
	build_hugepages(build);
	config->oom_score_adj = container_oom_score_adj(build->spec, class, pod->kubelet->node_memory_bytes);
}

static void build_labels(struct build *build)
{
	const struct pod *pod = build->pod;
	struct runtime_label *labels = ARENA_ARRAY(build->arena, struct runtime_label, MAX_LABELS);
	const struct runtime_label rows[] = {
	        {"io.kubernetes.pod.name", pod->name},
	        {"io.kubernetes.pod.namespace", pod->namespace_name},
	        {"io.kubernetes.pod.uid", pod->uid},
	        {"io.kubernetes.container.name", build->inputs->container->name},
	        {"io.kubernetes.container.restartCount",
	         arena_printf(build->arena, "%d", build->inputs->container->run.restart)},
	        {"dev.caravel.container.type", "container"},
	};
	memcpy(labels, rows, sizeof(rows));
	build->config->labels = labels;
	build->config->label_count = ARRAY_SIZE(rows);
}

int container_config_build(struct arena *arena, const struct container_inputs *inputs,
                           struct runtime_container_config *ret_config, struct err *err)
{
	const struct pod_container *container = inputs->container;
	struct build build = {
	        .arena = arena,
	        .inputs = inputs,
	        .pod = container->pod,
	        .spec = container->spec,
	        .security = container->spec->security_context,
	        .pod_security = container->pod->view->spec.security_context,
	        .config = ret_config,
	};
	struct field_facts facts = pod_field_facts(container->pod);
	*ret_config = (struct runtime_container_config){.image = inputs->image};
	int result = environment_build(arena, container->pod->view, container->spec, &facts, &inputs->services,
	                               inputs->bundle, &build.environment, err);
	if (result < 0)
		return result;
	ret_config->id = container->run.id;
	ret_config->directory = arena_printf(
	        arena, "%s/%s", pod_container_directory(arena, container->pod, container->name), container->run.id);
	ret_config->command = expanded_list(&build, &container->spec->command);
	ret_config->arguments = expanded_list(&build, &container->spec->args);
	ret_config->environment = environment_list(&build.environment, arena);
	ret_config->working_directory = container->spec->working_dir;
	ret_config->tty = container->spec->tty;
	ret_config->stdin_open = container->spec->stdin;
	ret_config->stdin_once = container->spec->stdin_once;
	ret_config->log_path = inputs->log_path;
	build_namespaces(&build);
	build_security(&build);
	build_resources(&build);
	build_labels(&build);
	return build_mounts(&build, err);
}
