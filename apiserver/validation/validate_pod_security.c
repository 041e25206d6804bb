// SPDX-License-Identifier: Apache-2.0
// Users, groups, profiles and host namespaces of pods and their containers, and
// what each operating system has no word for.

#include <string.h>

#include "apiserver/server.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

enum {
	ID_MAX = 2147483647,
	SYSCTL_MAX_BYTES = 253,
	APPARMOR_MAX_BYTES = 4095,
	GMSA_MAX_KIB = 64,
	WINDOWS_DOMAIN_MAX = 256,
	WINDOWS_USER_MAX = 104,
};

// --- profiles --------------------------------------------------------------------------------------

static void validate_seccomp(struct validation *v, const struct json *profile, const struct rule_path *path)
{
	static const char *const types[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};
	struct rule_path type = FIELD(path, "type"), local = FIELD(path, "localhostProfile");
	const struct json *name = json_get(profile, "localhostProfile");

	if (!is_present(profile))
		return;
	if (!text_of(profile, "type")[0])
		validation_required(v, &type, "type is required when seccompProfile is set");
	else
		validation_one_of(v, &type, json_get(profile, "type"), true, types);
	if (!text_is(profile, "type", "Localhost")) {
		if (is_present(name))
			validation_invalid(v, &local, profile, "can only be set when seccomp type is Localhost");
	} else if (!is_present(name)) {
		validation_required(v, &local, "must be set when seccomp type is Localhost");
	} else {
		rule_descending_path(v, json_text(name), &local);
	}
}

static void validate_local_apparmor(struct validation *v, const char *name, const struct rule_path *path)
{
	static const char *const blanks = " \t\n\v\f\r";
	size_t length = name ? strlen(name) : 0;

	if (!length)
		validation_required(v, path, "must be set when AppArmor type is Localhost");
	else if (strchr(blanks, name[0]) || strchr(blanks, name[length - 1]))
		validation_invalid_text(v, path, name, "must not be padded with whitespace");
	if (length > APPARMOR_MAX_BYTES)
		validation_too_long(v, path, APPARMOR_MAX_BYTES);
}

static void validate_apparmor(struct validation *v, const struct json *profile, const struct rule_path *path)
{
	static const char *const types[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};
	struct rule_path type = FIELD(path, "type"), local = FIELD(path, "localhostProfile");
	const struct json *name = json_get(profile, "localhostProfile");

	if (!is_present(profile))
		return;
	if (text_is(profile, "type", "Localhost"))
		validate_local_apparmor(v, json_text(name), &local);
	else if (!text_of(profile, "type")[0])
		validation_required(v, &type, "type is required when appArmorProfile is set");
	else if (!is_one_of(text_of(profile, "type"), types))
		validation_not_supported(v, &type, text_of(profile, "type"), types);
	else if (is_present(name))
		validation_invalid(v, &local, name, "can only be set when AppArmor type is Localhost");
}

// --- Windows ---------------------------------------------------------------------------------------

static void validate_windows_user(struct validation *v, const char *name, const struct rule_path *path)
{
	const char *backslash = strchr(name, '\\'), *user = backslash ? backslash + 1 : name;

	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			validation_invalid_text(v, path, name, "runAsUserName cannot contain control characters");
			return;
		}
	if (backslash && strchr(user, '\\')) {
		validation_invalid_text(v, path, name, "runAsUserName cannot contain more than one backslash");
		return;
	}
	if (backslash && (size_t)(backslash - name) >= WINDOWS_DOMAIN_MAX)
		validation_invalid_text(v, path, name, "runAsUserName's Domain length must be under 256 characters");
	if (!user[0])
		validation_invalid_text(v, path, name, "runAsUserName's User cannot be empty");
	else if (strlen(user) > WINDOWS_USER_MAX)
		validation_invalid_text(v, path, name,
		                        "runAsUserName's User length must not be longer than 104 characters");
	if (user[0] && !user[strspn(user, ". ")])
		validation_invalid_text(v, path, name, "runAsUserName's User cannot contain only periods or spaces");
	if (strpbrk(user, "\"/\\:;|=,+*?<>@[]"))
		validation_invalid_text(
		        v, path, name,
		        "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
}

static void validate_windows_options(struct validation *v, const struct json *options, const struct rule_path *path)
{
	const struct json *spec = json_get(options, "gmsaCredentialSpec"), *user = json_get(options, "runAsUserName");
	struct rule_path name = FIELD(path, "gmsaCredentialSpecName"), spec_path = FIELD(path, "gmsaCredentialSpec"),
	                 user_path = FIELD(path, "runAsUserName");

	if (json_text(json_get(options, name.name)))
		validation_string(v, &name, text_of(options, name.name), check_dns_subdomain);
	if (json_text(spec) && !spec->length)
		validation_invalid(v, &spec_path, spec, "gmsaCredentialSpec cannot be an empty string");
	else if (json_text(spec) && spec->length > GMSA_MAX_KIB << 10)
		validation_invalid(v, &spec_path, spec, "gmsaCredentialSpec size must be under 64 KiB");
	if (json_text(user) && !user->length)
		validation_invalid(v, &user_path, user, "runAsUserName cannot be an empty string");
	else if (json_text(user))
		validate_windows_user(v, json_text(user), &user_path);
}

static const struct json *host_process_of(const struct json *holder)
{
	return json_path(holder, "securityContext", "windowsOptions", "hostProcess");
}

static bool is_true(const struct json *value)
{
	return json_is(value, JSON_BOOL) && value->boolean;
}

static void validate_host_processes(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	const struct json *of_pod = host_process_of(spec);
	struct rule_path network = FIELD(path, "hostNetwork");
	size_t all = 0, host = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct rule_path list = FIELD(path, lists[i]);

		rule_for_each_item (container, entry, json_get(spec, lists[i]), &list) {
			const struct json *own = host_process_of(container);
			struct rule_path context = FIELD(&entry, "securityContext"),
			                 windows = FIELD(&context, "windowsOptions"),
			                 process = FIELD(&windows, "hostProcess");

			all++;
			host += is_present(own) ? is_true(own) : is_true(of_pod);
			if (is_present(own) && is_present(of_pod) && is_true(own) != is_true(of_pod))
				validation_invalid(v, &process, own,
				                   arena_printf(v->arena,
				                                "pod hostProcess value must be identical if both "
				                                "are specified, was %s",
				                                is_true(of_pod) ? "true" : "false"));
		}
	}
	if (!host)
		return;
	if (host != all)
		validation_invalid_text(v, path, "",
		                        "If pod contains any hostProcess containers then all containers must be "
		                        "HostProcess containers");
	if (!json_get_bool(spec, "hostNetwork", false))
		validation_invalid(v, &network, json_bool(v->arena, false),
		                   "hostNetwork must be true if pod contains any hostProcess containers");
	if (!v->change->server->config->allow_privileged)
		validation_forbidden(v, path, "hostProcess containers are disallowed by cluster policy");
}

// --- containers ------------------------------------------------------------------------------------

static void validate_escalation(struct validation *v, const struct json *context, const struct rule_path *path)
{
	if (json_get_bool(context, "allowPrivilegeEscalation", true))
		return;
	if (json_get_bool(context, "privileged", false))
		validation_invalid(v, path, context,
		                   "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
	if (list_has_text(json_path(context, "capabilities", "add"), "CAP_SYS_ADMIN"))
		validation_invalid(
		        v, path, context,
		        "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
}

void validate_container_security(struct validation *v, const struct json *container, const struct pod_scope *scope,
                                 const struct rule_path *parent)
{
	static const char *const mounts[] = {"Default", "Unmasked", NULL};
	const struct json *context = json_get(container, "securityContext"), *mount = json_get(context, "procMount");
	struct rule_path path = FIELD(parent, "securityContext"), privileged = FIELD(&path, "privileged"),
	                 mount_path = FIELD(&path, "procMount"), seccomp = FIELD(&path, "seccompProfile"),
	                 apparmor = FIELD(&path, "appArmorProfile"), windows = FIELD(&path, "windowsOptions");

	if (!is_present(context))
		return;
	if (json_get_bool(context, "privileged", false) && !v->change->server->config->allow_privileged)
		validation_forbidden(v, &privileged, "disallowed by cluster policy");
	rule_range(v, context, "runAsUser", &path, 0, ID_MAX);
	rule_range(v, context, "runAsGroup", &path, 0, ID_MAX);
	if (json_text(mount) && !is_one_of(json_text(mount), mounts))
		validation_not_supported(v, &mount_path, json_text(mount), mounts);
	if (scope->host_users && text_is(context, "procMount", "Unmasked"))
		validation_invalid(v, &mount_path, mount, "`hostUsers` must be false to use `Unmasked`");
	validate_seccomp(v, json_get(context, "seccompProfile"), &seccomp);
	validate_escalation(v, context, &path);
	validate_windows_options(v, json_get(context, "windowsOptions"), &windows);
	validate_apparmor(v, json_get(context, "appArmorProfile"), &apparmor);
}

// --- pods ------------------------------------------------------------------------------------------

static bool is_sysctl_name(const char *name)
{
	if (strlen(name) > SYSCTL_MAX_BYTES)
		return false;
	for (const char *part = name;;) {
		size_t length = strcspn(part, "./");

		if (!length || strspn(part, "abcdefghijklmnopqrstuvwxyz0123456789_-") < length ||
		    strchr("_-", part[0]) || strchr("_-", part[length - 1]))
			return false;
		if (!part[length])
			return true;
		part += length + 1;
	}
}

static bool has_prefix(const char *text, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (!strncmp(text, *prefixes, strlen(*prefixes)))
			return true;
	return false;
}

static void validate_sysctls(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const net[] = {"net.", "net/", NULL};
	static const char *const ipc[] = {"kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.", "kernel/shm",
	                                  "kernel/msg", "kernel/sem", "fs/mqueue/", NULL};
	const struct json *sysctls = json_path(spec, "securityContext", "sysctls");

	rule_for_each_item (sysctl, entry, sysctls, path) {
		struct rule_path name = FIELD(&entry, "name");
		const char *text = text_of(sysctl, "name");

		if (!text[0])
			validation_required(v, &name, "");
		else if (!is_sysctl_name(text))
			validation_invalid_text(
			        v, &name, text,
			        "must have at most 253 characters and match regex "
			        "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
		else if (text_repeats(sysctls, entry.index, "name"))
			validation_duplicate(v, &name, json_get(sysctl, "name"));
		if (json_get_bool(spec, "hostNetwork", false) && has_prefix(text, net))
			validation_invalid_text(v, &name, text, "may not be specified when 'hostNetwork' is true");
		else if (json_get_bool(spec, "hostIPC", false) && has_prefix(text, ipc))
			validation_invalid_text(v, &name, text, "may not be specified when 'hostIPC' is true");
	}
}

static void validate_host_users(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	// Two of the paths begin with a capital, as clients have come to know them.
	static const struct {
		const char *member, *shown;
	} shared[] = {{"hostNetwork", "hostNetwork"}, {"hostPID", "HostPID"}, {"hostIPC", "HostIPC"}};

	if (json_get_bool(spec, "hostUsers", true))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		struct rule_path member = FIELD(path, shared[i].shown);

		if (json_get_bool(spec, shared[i].member, false))
			validation_forbidden(v, &member, "when `pod.Spec.HostUsers` is false");
	}
}

void validate_pod_security(struct validation *v, const struct pod_scope *scope, const struct rule_path *path)
{
	static const char *const changes[] = {"Always", "OnRootMismatch", NULL};
	static const char *const groups[] = {"Merge", "Strict", NULL};
	static const char *const relabels[] = {"MountOption", "Recursive", NULL};
	static const char *const ids[] = {"fsGroup", "runAsUser", "runAsGroup"};
	const struct json *spec = scope->spec, *context = json_get(spec, "securityContext");
	struct rule_path own = FIELD(path, "securityContext"), sysctls = FIELD(&own, "sysctls"),
	                 share = FIELD(&own, "shareProcessNamespace"), list = FIELD(&own, "supplementalGroups"),
	                 seccomp = FIELD(&own, "seccompProfile"), apparmor = FIELD(&own, "appArmorProfile"),
	                 windows = FIELD(&own, "windowsOptions");

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		rule_range(v, context, ids[i], &own, 0, ID_MAX);
	rule_for_each_item (group, entry, json_get(context, "supplementalGroups"), &list)
		validation_range(v, &entry, group, 0, ID_MAX);
	if (json_get_bool(spec, "hostPID", false) && json_get_bool(spec, "shareProcessNamespace", false))
		validation_invalid(v, &share, json_get(spec, "shareProcessNamespace"),
		                   "ShareProcessNamespace and HostPID cannot both be enabled");
	validate_sysctls(v, spec, &sysctls);
	rule_one_of(v, context, "fsGroupChangePolicy", &own, false, changes);
	validate_seccomp(v, json_get(context, "seccompProfile"), &seccomp);
	validate_windows_options(v, json_get(context, "windowsOptions"), &windows);
	validate_apparmor(v, json_get(context, "appArmorProfile"), &apparmor);
	rule_one_of(v, context, "supplementalGroupsPolicy", &own, false, groups);
	rule_one_of(v, context, "seLinuxChangePolicy", &own, false, relabels);
	validate_host_processes(v, spec, path);
	validate_host_users(v, spec, path);
}

// --- operating systems -------------------------------------------------------------------------------

static void forbid_each(struct validation *v, const struct json *holder, const struct rule_path *path,
                        const char *const *members, const char *detail)
{
	for (; *members; members++) {
		struct rule_path member = FIELD(path, *members);

		if (is_present(json_get(holder, *members)) &&
		    !(json_is(json_get(holder, *members), JSON_ARRAY) && !length_of(json_get(holder, *members))))
			validation_forbidden(v, &member, detail);
	}
}

static void forbid_in_contexts(struct validation *v, const struct json *spec, const struct rule_path *path,
                               const char *const *members, const char *detail)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct rule_path list = FIELD(path, lists[i]);

		rule_for_each_item (container, entry, json_get(spec, lists[i]), &list) {
			struct rule_path context = FIELD(&entry, "securityContext");

			forbid_each(v, json_get(container, "securityContext"), &context, members, detail);
		}
	}
}

static void validate_windows(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const of_pod[] = {"hostUsers", NULL};
	static const char *const shared[] = {"hostPID", "hostIPC"};
	static const char *const of_context[] = {"appArmorProfile",     "seLinuxOptions",
	                                         "seccompProfile",      "fsGroup",
	                                         "fsGroupChangePolicy", "sysctls",
	                                         "runAsUser",           "runAsGroup",
	                                         "supplementalGroups",  "supplementalGroupsPolicy",
	                                         "seLinuxChangePolicy", NULL};
	static const char *const of_container[] = {"appArmorProfile",
	                                           "seLinuxOptions",
	                                           "seccompProfile",
	                                           "capabilities",
	                                           "readOnlyRootFilesystem",
	                                           "privileged",
	                                           "allowPrivilegeEscalation",
	                                           "procMount",
	                                           "runAsUser",
	                                           "runAsGroup",
	                                           NULL};
	static const char *const process[] = {"shareProcessNamespace", NULL};
	struct rule_path context = FIELD(path, "securityContext");

	forbid_each(v, json_get(spec, "securityContext"), &context, of_context, WINDOWS_DETAIL);
	forbid_each(v, spec, path, of_pod, WINDOWS_DETAIL);
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		rule_forbidden(v, spec, shared[i], path, WINDOWS_DETAIL);
	forbid_each(v, spec, path, process, WINDOWS_DETAIL);
	forbid_in_contexts(v, spec, path, of_container, WINDOWS_DETAIL);
}

static void validate_linux(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const windows[] = {"windowsOptions", NULL};
	struct rule_path context = FIELD(path, "securityContext");
	const char *detail = "windows options cannot be set for a linux pod";

	forbid_each(v, json_get(spec, "securityContext"), &context, windows, detail);
	forbid_in_contexts(v, spec, path, windows, detail);
}

void validate_pod_os(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const systems[] = {"linux", "windows", NULL};
	const struct json *os = json_get(spec, "os");
	struct rule_path own = FIELD(path, "os"), name = FIELD(&own, "name");

	if (!is_present(os))
		return;
	if (!text_of(os, "name")[0])
		validation_required(v, &name, "cannot be empty");
	else if (!is_one_of(text_of(os, "name"), systems))
		validation_not_supported(v, &own, text_of(os, "name"), systems);
	else if (text_is(os, "name", "linux"))
		validate_linux(v, spec, path);
	else
		validate_windows(v, spec, path);
}
