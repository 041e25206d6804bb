// SPDX-License-Identifier: Apache-2.0
// Labels and configuration of PodSecurity. A label that can't be read makes the
// most careful choice: enforce falls to restricted, audit and warn to privileged,
// an unreadable version to the latest.

#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/pod_security.h"
#include "apiserver/validation/validation.h"

static const char *const level_names[] = {"privileged", "baseline", "restricted"};

static const struct {
	const char *level_label;
	const char *version_label;
	const char *level_member;
	const char *version_member;
	enum pod_security_level fallback; // of a level that can't be read
} modes[] = {
        {"pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/enforce-version", "enforce",
         "enforce-version", POD_SECURITY_RESTRICTED},
        {"pod-security.kubernetes.io/audit", "pod-security.kubernetes.io/audit-version", "audit", "audit-version",
         POD_SECURITY_PRIVILEGED},
        {"pod-security.kubernetes.io/warn", "pod-security.kubernetes.io/warn-version", "warn", "warn-version",
         POD_SECURITY_PRIVILEGED},
};

static bool parse_level(const char *text, enum pod_security_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (!strcmp(text, level_names[i])) {
			*ret_level = (enum pod_security_level)i;
			return true;
		}
	return false;
}

// "latest" or "v1.N".
static bool parse_version(const char *text, int *ret_minor)
{
	size_t digits;

	if (!strcmp(text, "latest")) {
		*ret_minor = POD_SECURITY_LATEST;
		return true;
	}
	if (strncmp(text, "v1.", 3))
		return false;
	digits = strspn(text + 3, "0123456789");
	if (!digits || digits > 5 || text[3 + digits] || (text[3] == '0' && digits > 1))
		return false;
	*ret_minor = (int)strtol(text + 3, NULL, 10);
	return true;
}

char *pod_security_standard_text(struct arena *arena, const struct pod_security_standard *standard)
{
	if (standard->minor == POD_SECURITY_LATEST)
		return arena_printf(arena, "%s:latest", level_names[standard->level]);
	return arena_printf(arena, "%s:v1.%d", level_names[standard->level], standard->minor);
}

static void add_error(struct pod_security_label_errors *errors, const char *label, const char *value,
                      const char *detail)
{
	errors->items[errors->count++] = (struct pod_security_label_error){label, value, detail};
}

// Enforcing alone warns as well.
static void warn_as_enforced(const struct json *labels, struct pod_security_policy *policy)
{
	struct pod_security_standard *warn = &policy->modes[POD_SECURITY_WARN];
	const struct pod_security_standard *enforce = &policy->modes[POD_SECURITY_ENFORCE];
	const char *level = json_get_text(labels, modes[POD_SECURITY_ENFORCE].level_label);
	enum pod_security_level parsed;

	if (!level || !parse_level(level, &parsed) || json_get_text(labels, modes[POD_SECURITY_WARN].level_label) ||
	    enforce->level <= warn->level)
		return;
	warn->level = enforce->level;
	if (!json_get_text(labels, modes[POD_SECURITY_WARN].version_label))
		warn->minor = enforce->minor;
}

void pod_security_read_labels(const struct json *labels, const struct pod_security_policy *defaults,
                              struct pod_security_policy *ret_policy, struct pod_security_label_errors *ret_errors)
{
	*ret_policy = *defaults;
	ret_errors->count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct pod_security_standard *standard = &ret_policy->modes[i];
		const char *level = json_get_text(labels, modes[i].level_label);
		const char *version = json_get_text(labels, modes[i].version_label);

		if (level && !parse_level(level, &standard->level)) {
			standard->level = modes[i].fallback;
			add_error(ret_errors, modes[i].level_label, level,
			          "must be one of privileged, baseline, restricted");
		}
		if (version && !parse_version(version, &standard->minor)) {
			standard->minor = POD_SECURITY_LATEST;
			add_error(ret_errors, modes[i].version_label, version, "must be \"latest\" or \"v1.x\"");
		}
	}
	warn_as_enforced(labels, ret_policy);
}

int pod_security_configure(struct arena *arena, const struct json *configuration,
                           struct pod_security_settings **ret_settings, struct err *err)
{
	struct pod_security_settings *settings = ARENA_NEW(arena, struct pod_security_settings);
	const struct json *defaults = json_get(configuration, "defaults"),
	                  *exempt = json_get(configuration, "exemptions");

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct pod_security_standard *standard = &settings->defaults.modes[i];
		const char *level = text_of(defaults, modes[i].level_member);
		const char *version = text_of(defaults, modes[i].version_member);

		standard->minor = POD_SECURITY_LATEST;
		if (level[0] && !parse_level(level, &standard->level))
			return err_set(err, ERR_BAD_REQUEST,
			               "PodSecurity: defaults.%s: Invalid value: \"%.60s\": must be one of privileged, "
			               "baseline, restricted",
			               modes[i].level_member, level);
		if (version[0] && !parse_version(version, &standard->minor))
			return err_set(
			        err, ERR_BAD_REQUEST,
			        "PodSecurity: defaults.%s: Invalid value: \"%.60s\": must be \"latest\" or \"v1.x\"",
			        modes[i].version_member, version);
	}
	settings->exempt_users = json_get(exempt, "usernames");
	settings->exempt_namespaces = json_get(exempt, "namespaces");
	settings->exempt_runtime_classes = json_get(exempt, "runtimeClasses");
	*ret_settings = settings;
	return 0;
}
