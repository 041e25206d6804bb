// SPDX-License-Identifier: Apache-2.0
// Sysctls: those that act on the pod's own namespaces alone and harm nobody are safe;
// others must be allowed by the node's configuration. Names may be written with slashes.

#include "kubelet/pod/pod_admission.h"

#include <string.h>

static const char *const safe_sysctls[] = {
        "kernel.shm_rmid_forced",           "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",     "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",      "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",          "net.ipv4.tcp_wmem",
};

static bool matches(const char *pattern, const char *name)
{
	size_t length = strlen(pattern);
	if (length && pattern[length - 1] == '*')
		return !strncmp(pattern, name, length - 1);
	return !strcmp(pattern, name);
}

static bool is_allowed(const struct kubelet_config *config, const char *name)
{
	for (size_t index = 0; index < ARRAY_SIZE(safe_sysctls); index++)
		if (!strcmp(safe_sysctls[index], name))
			return true;
	for (size_t index = 0; index < config->allowed_unsafe_sysctls.count; index++)
		if (matches(config->allowed_unsafe_sysctls.items[index], name))
			return true;
	return false;
}

static const char *refuse_sysctl(struct arena *arena, const struct core_v1_pod *pod,
                                 const struct kubelet_config *config, const char *name)
{
	char *dotted = arena_strdup(arena, name);
	for (char *at = dotted; *at; at++)
		*at = *at == '/' ? '.' : *at;
	if (!is_allowed(config, dotted))
		return arena_printf(arena, "forbidden sysctl: \"%s\" not allowlisted", dotted);
	if (pod->spec.host_network && !strncmp(dotted, "net.", 4))
		return arena_printf(arena, "forbidden sysctl: \"%s\" not allowed with host net enabled", dotted);
	if (pod->spec.host_ipc && (!strncmp(dotted, "kernel.", 7) || !strncmp(dotted, "fs.mqueue.", 10)))
		return arena_printf(arena, "forbidden sysctl: \"%s\" not allowed with host ipc enabled", dotted);
	return NULL;
}

const char *pod_admission_refuse(struct arena *arena, const struct core_v1_pod *pod,
                                 const struct kubelet_config *config, const char **ret_message)
{
	const struct core_v1_pod_security_context *security = pod->spec.security_context;
	for (size_t index = 0; security && index < security->sysctls.count; index++) {
		*ret_message = refuse_sysctl(arena, pod, config, security->sysctls.items[index].name);
		if (*ret_message)
			return "SysctlForbidden";
	}
	return NULL;
}
