// SPDX-License-Identifier: Apache-2.0
// One function for each control of the standards and one row for each of its
// versions. The rows stand in the order in which upstream reports: baseline by name,
// then restricted by name. A restricted control that is stricter than one of
// baseline takes its place.

#include "apiserver/admission/pod_security_checks.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/validation/validation.h"

// --- lists of names in messages -----------------------------------------------------------

struct names {
	struct arena *arena;
	const char **items;
	size_t count;
	size_t capacity;
};

static void names_add(struct names *names, const char *name)
{
	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 8;

		names->items = arena_realloc(names->arena, names->items, names->capacity * sizeof(*names->items),
		                             capacity * sizeof(*names->items));
		names->capacity = capacity;
	}
	names->items[names->count++] = name;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Keeps the items sorted and unique.
static void names_add_once(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->items[i], name))
			return;
	names_add(names, name);
	qsort(names->items, names->count, sizeof(*names->items), compare_texts);
}

static const char *names_join(const struct names *names, const char *separator, const char *quote)
{
	char *text = "";

	for (size_t i = 0; i < names->count; i++)
		text = arena_printf(names->arena, "%s%s%s%s%s", text, i ? separator : "", quote, names->items[i],
		                    quote);
	return text;
}

static const char *names_quoted(const struct names *names)
{
	return names_join(names, ", ", "\"");
}

// --- what is looked at --------------------------------------------------------------------

struct subject {
	struct arena *arena;
	const struct json *metadata;
	const struct json *spec;
	int minor;
};

struct check {
	enum pod_security_level level;
	int first_minor;
	int last_minor;         // 0 = no end
	bool windows_is_exempt; // pods that say that they run on Windows
	bool until_restricted;  // of baseline: has a stricter form in restricted, from that version on
	int restricted_from;    // that version
	// True when the finding was filled in.
	bool (*find)(const struct subject *subject, struct pod_security_finding *ret_finding);
};

typedef void (*visit_fn)(void *context, const struct json *container);

static void visit_containers(const struct subject *subject, visit_fn visit, void *context)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_get(subject->spec, lists[i]))
			visit(context, container);
}

static const struct json *security_of(const struct json *holder)
{
	return json_get(holder, "securityContext");
}

// What most controls collect.
struct survey {
	const struct subject *subject;
	struct names containers; // that break the rule
	struct names values;     // by which values
	struct names implicit;   // containers that say nothing where they must
	bool pod_is_bad;
	bool pod_is_good; // says it for all containers
	bool set_user, set_role;
};

static struct survey survey_new(const struct subject *subject)
{
	return (struct survey){.subject = subject,
	                       .containers = {.arena = subject->arena},
	                       .values = {.arena = subject->arena},
	                       .implicit = {.arena = subject->arena}};
}

static const char *name_of(const struct json *container)
{
	return text_of(container, "name");
}

static const char *containers_text(const struct names *names)
{
	return arena_printf(names->arena, "%s %s", names->count == 1 ? "container" : "containers", names_quoted(names));
}

// "pod and containers "a", "b"", as far as they broke the rule.
static const char *setters(const struct survey *survey)
{
	struct arena *arena = survey->subject->arena;

	if (!survey->containers.count)
		return "pod";
	return survey->pod_is_bad ? arena_printf(arena, "pod and %s", containers_text(&survey->containers))
	                          : containers_text(&survey->containers);
}

static bool report(struct pod_security_finding *finding, const char *reason, const char *detail)
{
	*finding = (struct pod_security_finding){reason, detail};
	return true;
}

static const char *plural(size_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

// --- baseline -----------------------------------------------------------------------------

static bool is_good_apparmor(const char *type)
{
	return !strcmp(type, "RuntimeDefault") || !strcmp(type, "Localhost");
}

static void see_apparmor(void *context, const struct json *container)
{
	struct survey *survey = context;
	const struct json *profile = json_get(security_of(container), "appArmorProfile");

	if (!is_present(profile) || is_good_apparmor(text_of(profile, "type")))
		return;
	names_add(&survey->containers, name_of(container));
	names_add_once(&survey->values, text_of(profile, "type"));
}

static size_t add_apparmor_annotations(struct survey *survey, const struct json *metadata)
{
	static const char prefix[] = "container.apparmor.security.beta.kubernetes.io/";
	struct names found = {.arena = survey->subject->arena};

	json_for_each_member (annotation, json_get(metadata, "annotations")) {
		const char *value = json_text(annotation->value) ? json_text(annotation->value) : "";

		if (!strncmp(annotation->key, prefix, sizeof(prefix) - 1) && value[0] &&
		    strcmp(value, "runtime/default") && strncmp(value, "localhost/", 10))
			names_add_once(&found, arena_printf(found.arena, "%s=\"%s\"", annotation->key, value));
	}
	for (size_t i = 0; i < found.count; i++)
		names_add(&survey->values, found.items[i]);
	return found.count;
}

static bool find_apparmor(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);
	const struct json *profile = json_get(security_of(subject->spec), "appArmorProfile");
	const char *who;
	size_t annotations;

	if (is_present(profile) && !is_good_apparmor(text_of(profile, "type"))) {
		survey.pod_is_bad = true;
		names_add_once(&survey.values, text_of(profile, "type"));
	}
	visit_containers(subject, see_apparmor, &survey);
	who = survey.pod_is_bad || survey.containers.count ? setters(&survey) : NULL;
	annotations = add_apparmor_annotations(&survey, subject->metadata);
	if (annotations)
		who = arena_printf(subject->arena, "%s%s%s", who ? who : "", who ? " and " : "",
		                   plural(annotations, "annotation", "annotations"));
	if (!who)
		return false;
	return report(finding, plural(survey.values.count, "forbidden AppArmor profile", "forbidden AppArmor profiles"),
	              arena_printf(subject->arena, "%s must not set AppArmor profile type to %s", who,
	                           names_quoted(&survey.values)));
}

static bool is_default_capability(const char *name)
{
	static const char *const allowed[] = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
	                                      "KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
	                                      "SETPCAP",     "SETUID", "SYS_CHROOT"};

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (!strcmp(name, allowed[i]))
			return true;
	return false;
}

static bool is_bind_capability(const char *name)
{
	return !strcmp(name, "NET_BIND_SERVICE");
}

static void see_added(struct survey *survey, const struct json *container, bool (*is_allowed)(const char *name))
{
	bool bad = false;

	json_for_each_item (capability, json_path(security_of(container), "capabilities", "add"))
		if (json_text(capability) && !is_allowed(json_text(capability))) {
			names_add_once(&survey->values, json_text(capability));
			bad = true;
		}
	if (bad)
		names_add(&survey->containers, name_of(container));
}

static void see_added_baseline(void *context, const struct json *container)
{
	see_added(context, container, is_default_capability);
}

static const char *added_text(const struct survey *survey)
{
	return arena_printf(survey->subject->arena, "%s must not include %s in securityContext.capabilities.add",
	                    containers_text(&survey->containers), names_quoted(&survey->values));
}

static bool find_capabilities_baseline(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	visit_containers(subject, see_added_baseline, &survey);
	return survey.containers.count && report(finding, "non-default capabilities", added_text(&survey));
}

static bool find_host_namespaces(const struct subject *subject, struct pod_security_finding *finding)
{
	static const char *const members[] = {"hostNetwork", "hostPID", "hostIPC"};
	struct names found = {.arena = subject->arena};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (json_get_bool(subject->spec, members[i], false))
			names_add(&found, arena_printf(subject->arena, "%s=true", members[i]));
	return found.count && report(finding, "host namespaces", names_join(&found, ", ", ""));
}

static bool find_host_paths(const struct subject *subject, struct pod_security_finding *finding)
{
	struct names found = {.arena = subject->arena};

	json_for_each_item (volume, json_get(subject->spec, "volumes"))
		if (is_present(json_get(volume, "hostPath")))
			names_add(&found, text_of(volume, "name"));
	return found.count && report(finding, "hostPath volumes",
	                             arena_printf(subject->arena, "%s %s", plural(found.count, "volume", "volumes"),
	                                          names_quoted(&found)));
}

static void see_ports(void *context, const struct json *container)
{
	struct survey *survey = context;
	bool bad = false;

	json_for_each_item (port, json_get(container, "ports"))
		if (integer_of(port, "hostPort", 0)) {
			names_add_once(&survey->values, arena_printf(survey->subject->arena, "%lld",
			                                             (long long)integer_of(port, "hostPort", 0)));
			bad = true;
		}
	if (bad)
		names_add(&survey->containers, name_of(container));
}

static bool find_host_ports(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	visit_containers(subject, see_ports, &survey);
	return survey.containers.count &&
	       report(finding, "hostPort",
	              arena_printf(subject->arena, "%s %s %s %s", containers_text(&survey.containers),
	                           plural(survey.containers.count, "uses", "use"),
	                           plural(survey.values.count, "hostPort", "hostPorts"),
	                           names_join(&survey.values, ", ", "")));
}

static void see_privileged(void *context, const struct json *container)
{
	struct survey *survey = context;

	if (json_get_bool(security_of(container), "privileged", false))
		names_add(&survey->containers, name_of(container));
}

static bool find_privileged(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	visit_containers(subject, see_privileged, &survey);
	return survey.containers.count &&
	       report(finding, "privileged",
	              arena_printf(subject->arena, "%s must not set securityContext.privileged=true",
	                           containers_text(&survey.containers)));
}

static void see_proc_mount(void *context, const struct json *container)
{
	struct survey *survey = context;
	const char *type = json_get_text(security_of(container), "procMount");

	if (!type || !strcmp(type, "Default"))
		return;
	names_add(&survey->containers, name_of(container));
	names_add_once(&survey->values, type);
}

static bool find_proc_mount(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	visit_containers(subject, see_proc_mount, &survey);
	return survey.containers.count &&
	       report(finding, "procMount",
	              arena_printf(subject->arena, "%s must not set securityContext.procMount to %s",
	                           containers_text(&survey.containers), names_quoted(&survey.values)));
}

static bool is_good_selinux(struct survey *survey, const struct json *options)
{
	const char *type = text_of(options, "type");
	bool good = !type[0] || !strcmp(type, "container_t") || !strcmp(type, "container_init_t") ||
	            !strcmp(type, "container_kvm_t") ||
	            (survey->subject->minor >= 31 && !strcmp(type, "container_engine_t"));

	if (!good)
		names_add_once(&survey->values, type);
	survey->set_user |= text_of(options, "user")[0] != 0;
	survey->set_role |= text_of(options, "role")[0] != 0;
	return good && !text_of(options, "user")[0] && !text_of(options, "role")[0];
}

static void see_selinux(void *context, const struct json *container)
{
	struct survey *survey = context;
	const struct json *options = json_get(security_of(container), "seLinuxOptions");

	if (is_present(options) && !is_good_selinux(survey, options))
		names_add(&survey->containers, name_of(container));
}

static bool find_selinux(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);
	const struct json *options = json_get(security_of(subject->spec), "seLinuxOptions");
	struct names data = {.arena = subject->arena};

	survey.pod_is_bad = is_present(options) && !is_good_selinux(&survey, options);
	visit_containers(subject, see_selinux, &survey);
	if (!survey.pod_is_bad && !survey.containers.count)
		return false;
	if (survey.values.count)
		names_add(&data, arena_printf(subject->arena, "%s %s", plural(survey.values.count, "type", "types"),
		                              names_quoted(&survey.values)));
	if (survey.set_user)
		names_add(&data, "user may not be set");
	if (survey.set_role)
		names_add(&data, "role may not be set");
	return report(finding, "seLinuxOptions",
	              arena_printf(subject->arena, "%s set forbidden securityContext.seLinuxOptions: %s",
	                           setters(&survey), names_join(&data, "; ", "")));
}

static void judge_seccomp_annotation(struct survey *survey, const char *key)
{
	const char *value = json_get_text(json_get(survey->subject->metadata, "annotations"), key);

	if (value && strcmp(value, "runtime/default") && strcmp(value, "docker/default") &&
	    strncmp(value, "localhost/", 10))
		names_add_once(&survey->values, arena_printf(survey->subject->arena, "%s=\"%s\"", key, value));
}

static void see_seccomp_annotation(void *context, const struct json *container)
{
	struct survey *survey = context;

	judge_seccomp_annotation(survey,
	                         arena_printf(survey->subject->arena,
	                                      "container.seccomp.security.alpha.kubernetes.io/%s", name_of(container)));
}

static bool find_seccomp_annotations(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	judge_seccomp_annotation(&survey, "seccomp.security.alpha.kubernetes.io/pod");
	visit_containers(subject, see_seccomp_annotation, &survey);
	return survey.values.count && report(finding, "seccompProfile",
	                                     arena_printf(subject->arena, "forbidden %s %s",
	                                                  plural(survey.values.count, "annotation", "annotations"),
	                                                  names_join(&survey.values, ", ", "")));
}

static void see_seccomp(void *context, const struct json *container)
{
	struct survey *survey = context;
	const struct json *profile = json_get(security_of(container), "seccompProfile");

	if (!is_present(profile)) {
		if (!survey->pod_is_good)
			names_add(&survey->implicit, name_of(container));
	} else if (!is_good_apparmor(text_of(profile, "type"))) { // the same two types are good here
		names_add(&survey->containers, name_of(container));
		names_add_once(&survey->values, text_of(profile, "type"));
	}
}

static void survey_seccomp(struct survey *survey)
{
	const struct subject *subject = survey->subject;
	const struct json *profile = json_get(security_of(subject->spec), "seccompProfile");

	survey->pod_is_good = is_present(profile) && is_good_apparmor(text_of(profile, "type"));
	survey->pod_is_bad = is_present(profile) && !survey->pod_is_good;
	if (survey->pod_is_bad)
		names_add_once(&survey->values, text_of(profile, "type"));
	visit_containers(subject, see_seccomp, survey);
}

static bool report_seccomp(const struct survey *survey, struct pod_security_finding *finding)
{
	return (survey->pod_is_bad || survey->containers.count) &&
	       report(finding, "seccompProfile",
	              arena_printf(survey->subject->arena, "%s must not set securityContext.seccompProfile.type to %s",
	                           setters(survey), names_quoted(&survey->values)));
}

static bool find_seccomp_baseline(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	survey_seccomp(&survey);
	return report_seccomp(&survey, finding);
}

static bool find_sysctls(const struct subject *subject, struct pod_security_finding *finding)
{
	static const struct {
		const char *name;
		int since;
	} allowed[] = {
	        {"kernel.shm_rmid_forced", 0},
	        {"net.ipv4.ip_local_port_range", 0},
	        {"net.ipv4.ip_local_reserved_ports", 27},
	        {"net.ipv4.ip_unprivileged_port_start", 0},
	        {"net.ipv4.ping_group_range", 0},
	        {"net.ipv4.tcp_fin_timeout", 29},
	        {"net.ipv4.tcp_keepalive_intvl", 29},
	        {"net.ipv4.tcp_keepalive_probes", 29},
	        {"net.ipv4.tcp_keepalive_time", 29},
	        {"net.ipv4.tcp_rmem", 32},
	        {"net.ipv4.tcp_syncookies", 0},
	        {"net.ipv4.tcp_wmem", 32},
	};
	struct names found = {.arena = subject->arena};

	json_for_each_item (sysctl, json_get(security_of(subject->spec), "sysctls")) {
		bool good = false;

		for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
			good |= !strcmp(text_of(sysctl, "name"), allowed[i].name) && subject->minor >= allowed[i].since;
		if (!good)
			names_add(&found, text_of(sysctl, "name"));
	}
	return found.count && report(finding, "forbidden sysctls", names_join(&found, ", ", ""));
}

static void see_host_process(void *context, const struct json *container)
{
	struct survey *survey = context;

	if (json_get_bool(json_get(security_of(container), "windowsOptions"), "hostProcess", false))
		names_add(&survey->containers, name_of(container));
}

static bool find_host_process(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	survey.pod_is_bad = json_get_bool(json_get(security_of(subject->spec), "windowsOptions"), "hostProcess", false);
	visit_containers(subject, see_host_process, &survey);
	return (survey.pod_is_bad || survey.containers.count) &&
	       report(finding, "hostProcess",
	              arena_printf(subject->arena, "%s must not set securityContext.windowsOptions.hostProcess=true",
	                           setters(&survey)));
}

// --- restricted ---------------------------------------------------------------------------

static void see_escalation(void *context, const struct json *container)
{
	struct survey *survey = context;

	if (json_get_bool(security_of(container), "allowPrivilegeEscalation", true))
		names_add(&survey->containers, name_of(container));
}

static bool find_escalation(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	visit_containers(subject, see_escalation, &survey);
	return survey.containers.count &&
	       report(finding, "allowPrivilegeEscalation != false",
	              arena_printf(subject->arena, "%s must set securityContext.allowPrivilegeEscalation=false",
	                           containers_text(&survey.containers)));
}

static void see_capabilities(void *context, const struct json *container)
{
	struct survey *survey = context;
	bool drops_all = false;

	json_for_each_item (capability, json_path(security_of(container), "capabilities", "drop"))
		drops_all |= json_text(capability) && !strcmp(json_text(capability), "ALL");
	if (!drops_all)
		names_add(&survey->implicit, name_of(container));
	see_added(survey, container, is_bind_capability);
}

static bool find_capabilities_restricted(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);
	struct names details = {.arena = subject->arena};

	visit_containers(subject, see_capabilities, &survey);
	if (survey.implicit.count)
		names_add(&details,
		          arena_printf(subject->arena, "%s must set securityContext.capabilities.drop=[\"ALL\"]",
		                       containers_text(&survey.implicit)));
	if (survey.containers.count)
		names_add(&details, added_text(&survey));
	return details.count && report(finding, "unrestricted capabilities", names_join(&details, "; ", ""));
}

static const char *volume_type(const struct json *volume)
{
	json_for_each_member (member, volume)
		if (strcmp(member->key, "name") && is_present(member->value))
			return member->key;
	return "unknown";
}

static bool find_restricted_volumes(const struct subject *subject, struct pod_security_finding *finding)
{
	static const char *const allowed[] = {"configMap", "csi",   "downwardAPI",           "emptyDir",
	                                      "ephemeral", "image", "persistentVolumeClaim", "projected",
	                                      "secret"};
	struct names found = {.arena = subject->arena}, types = {.arena = subject->arena};

	json_for_each_item (volume, json_get(subject->spec, "volumes")) {
		const char *type = volume_type(volume);
		bool good = false;

		for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
			good |= !strcmp(type, allowed[i]);
		if (good)
			continue;
		names_add(&found, text_of(volume, "name"));
		names_add_once(&types, type);
	}
	return found.count &&
	       report(finding, "restricted volume types",
	              arena_printf(subject->arena, "%s %s %s %s %s", plural(found.count, "volume", "volumes"),
	                           names_quoted(&found), plural(found.count, "uses", "use"),
	                           plural(types.count, "restricted volume type", "restricted volume types"),
	                           names_quoted(&types)));
}

static void see_non_root(void *context, const struct json *container)
{
	struct survey *survey = context;
	const struct json *value = json_get(security_of(container), "runAsNonRoot");

	if (!json_is(value, JSON_BOOL)) {
		if (!survey->pod_is_good)
			names_add(&survey->implicit, name_of(container));
	} else if (!value->boolean) {
		names_add(&survey->containers, name_of(container));
	}
}

static bool find_non_root(const struct subject *subject, struct pod_security_finding *finding)
{
	static const char reason[] = "runAsNonRoot != true";
	struct survey survey = survey_new(subject);
	const struct json *value = json_get(security_of(subject->spec), "runAsNonRoot");

	survey.pod_is_good = json_is(value, JSON_BOOL) && value->boolean;
	survey.pod_is_bad = json_is(value, JSON_BOOL) && !value->boolean;
	visit_containers(subject, see_non_root, &survey);
	if (survey.pod_is_bad || survey.containers.count)
		return report(finding, reason,
		              arena_printf(subject->arena, "%s must not set securityContext.runAsNonRoot=false",
		                           setters(&survey)));
	return survey.implicit.count &&
	       report(finding, reason,
	              arena_printf(subject->arena, "pod or %s must set securityContext.runAsNonRoot=true",
	                           containers_text(&survey.implicit)));
}

static bool is_root(const struct json *holder)
{
	return integer_of(security_of(holder), "runAsUser", -1) == 0;
}

static void see_user(void *context, const struct json *container)
{
	struct survey *survey = context;

	if (is_root(container))
		names_add(&survey->containers, name_of(container));
}

static bool find_root_user(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	survey.pod_is_bad = is_root(subject->spec);
	visit_containers(subject, see_user, &survey);
	return (survey.pod_is_bad || survey.containers.count) &&
	       report(finding, "runAsUser=0",
	              arena_printf(subject->arena, "%s must not set runAsUser=0", setters(&survey)));
}

static bool find_seccomp_restricted(const struct subject *subject, struct pod_security_finding *finding)
{
	struct survey survey = survey_new(subject);

	survey_seccomp(&survey);
	if (report_seccomp(&survey, finding))
		return true;
	return survey.implicit.count &&
	       report(finding, "seccompProfile",
	              arena_printf(subject->arena,
	                           "pod or %s must set securityContext.seccompProfile.type to \"RuntimeDefault\" "
	                           "or \"Localhost\"",
	                           containers_text(&survey.implicit)));
}

// --- all of them ----------------------------------------------------------------------------

#define BASELINE(first, last, find)                                       \
	{                                                                 \
		POD_SECURITY_BASELINE, first, last, false, false, 0, find \
	}
#define BASELINE_UNTIL(first, last, since, find)                             \
	{                                                                    \
		POD_SECURITY_BASELINE, first, last, false, true, since, find \
	}
#define RESTRICTED(first, last, windows, find)                                \
	{                                                                     \
		POD_SECURITY_RESTRICTED, first, last, windows, false, 0, find \
	}

static const struct check checks[] = {
        BASELINE(0, 0, find_apparmor),
        BASELINE_UNTIL(0, 0, 22, find_capabilities_baseline),
        BASELINE(0, 0, find_host_namespaces),
        BASELINE_UNTIL(0, 0, 0, find_host_paths),
        BASELINE(0, 0, find_host_ports),
        BASELINE(0, 0, find_privileged),
        BASELINE(0, 0, find_proc_mount),
        BASELINE(0, 0, find_selinux),
        BASELINE(0, 18, find_seccomp_annotations),
        BASELINE_UNTIL(19, 0, 19, find_seccomp_baseline),
        BASELINE(0, 0, find_sysctls),
        BASELINE(0, 0, find_host_process),
        RESTRICTED(8, 24, false, find_escalation),
        RESTRICTED(25, 0, true, find_escalation),
        RESTRICTED(22, 24, false, find_capabilities_restricted),
        RESTRICTED(25, 0, true, find_capabilities_restricted),
        RESTRICTED(0, 0, false, find_restricted_volumes),
        RESTRICTED(0, 0, false, find_non_root),
        RESTRICTED(23, 0, false, find_root_user),
        RESTRICTED(19, 24, false, find_seccomp_restricted),
        RESTRICTED(25, 0, true, find_seccomp_restricted),
};

static bool applies(const struct check *check, enum pod_security_level level, const struct subject *subject)
{
	if (check->level > level || subject->minor < check->first_minor ||
	    (check->last_minor && subject->minor > check->last_minor))
		return false;
	if (level == POD_SECURITY_RESTRICTED && check->until_restricted && subject->minor >= check->restricted_from)
		return false;
	return !check->windows_is_exempt || strcmp(text_of(json_get(subject->spec, "os"), "name"), "windows");
}

void pod_security_check(struct arena *arena, enum pod_security_level level, int minor, const struct json *metadata,
                        const struct json *spec, struct pod_security_findings *ret_findings)
{
	struct subject subject = {arena, metadata, spec, minor};

	ret_findings->count = 0;
	for (size_t i = 0; level != POD_SECURITY_PRIVILEGED && i < ARRAY_SIZE(checks); i++)
		if (applies(&checks[i], level, &subject) &&
		    checks[i].find(&subject, &ret_findings->items[ret_findings->count]))
			ret_findings->count++;
}

char *pod_security_reasons(struct arena *arena, const struct pod_security_findings *findings)
{
	char *text = "";

	for (size_t i = 0; i < findings->count; i++)
		text = arena_printf(arena, "%s%s%s", text, i ? ", " : "", findings->items[i].reason);
	return text;
}

char *pod_security_details(struct arena *arena, const struct pod_security_findings *findings)
{
	char *text = "";

	for (size_t i = 0; i < findings->count; i++)
		text = arena_printf(arena, "%s%s%s (%s)", text, i ? ", " : "", findings->items[i].reason,
		                    findings->items[i].detail);
	return text;
}
