// SPDX-License-Identifier: Apache-2.0
// PodSecurity. Pods are held to the level that their namespace enforces, and
// measured against the levels that it audits and warns of; workloads that make pods
// are only measured. A namespace whose labels become stricter is told about the
// pods that it has.

#include "apiserver/admission/pod_security.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/audit/audit_annotations.h"
#include "apiserver/server.h"
#include "apiserver/validation/validation.h"

#define ANNOTATION(name) "pod-security.kubernetes.io/" name

enum {
	MAX_PODS_TO_CHECK = 3000,
	MAX_WARNINGS = 64,
};

static const struct pod_security_settings *settings_of(const struct change *change)
{
	return change->server->admission->pod_security;
}

static bool has_text(const struct json *list, const char *text)
{
	json_for_each_item (item, list)
		if (json_text(item) && !strcmp(json_text(item), text))
			return true;
	return false;
}

static const struct json *labels_of(const struct json *object)
{
	return json_path(object, "metadata", "labels");
}

static bool is_privileged(const struct pod_security_policy *policy, enum pod_security_mode mode)
{
	return policy->modes[mode].level == POD_SECURITY_PRIVILEGED;
}

static bool same_standard(const struct pod_security_standard *a, const struct pod_security_standard *b)
{
	return a->level == b->level && a->minor == b->minor;
}

// --- a pod or a template ------------------------------------------------------------------

struct evaluation {
	struct change *change;
	const struct pod_security_policy *policy;
	const struct json *metadata;
	const struct json *spec;
	struct pod_security_findings findings[POD_SECURITY_MODE_COUNT_];
	bool known[POD_SECURITY_MODE_COUNT_];
};

// Modes that ask for the same are judged once.
static const struct pod_security_findings *findings_of(struct evaluation *evaluation, enum pod_security_mode mode)
{
	const struct pod_security_standard *standard = &evaluation->policy->modes[mode];

	for (size_t i = 0; i < POD_SECURITY_MODE_COUNT_; i++)
		if (evaluation->known[i] && same_standard(&evaluation->policy->modes[i], standard))
			return &evaluation->findings[i];
	pod_security_check(evaluation->change->arena, standard->level, standard->minor, evaluation->metadata,
	                   evaluation->spec, &evaluation->findings[mode]);
	evaluation->known[mode] = true;
	return &evaluation->findings[mode];
}

static const char *violation(struct evaluation *evaluation, enum pod_security_mode mode, const char *head)
{
	struct arena *arena = evaluation->change->arena;
	const struct pod_security_findings *findings = findings_of(evaluation, mode);

	if (!findings->count)
		return NULL;
	return arena_printf(arena, "%s PodSecurity \"%s\": %s", head,
	                    pod_security_standard_text(arena, &evaluation->policy->modes[mode]),
	                    pod_security_details(arena, findings));
}

static void note_label_errors(struct change *change, const struct pod_security_label_errors *errors)
{
	const char *text = "";

	for (size_t i = 0; i < errors->count; i++)
		text = arena_printf(change->arena, "%s%smetadata.labels[%s]: Invalid value: \"%s\": %s", text,
		                    i ? ", " : "", errors->items[i].label, errors->items[i].value,
		                    errors->items[i].detail);
	if (errors->count)
		audit_annotate(change->request, ANNOTATION("error"),
		               arena_printf(change->arena, "Failed to parse policy: %s%s%s",
		                            errors->count > 1 ? "[" : "", text, errors->count > 1 ? "]" : ""));
}

static const struct status *evaluate(struct evaluation *evaluation, bool enforce)
{
	struct change *change = evaluation->change;
	const char *text;

	if (enforce) {
		audit_annotate(
		        change->request, ANNOTATION("enforce-policy"),
		        pod_security_standard_text(change->arena, &evaluation->policy->modes[POD_SECURITY_ENFORCE]));
		text = violation(evaluation, POD_SECURITY_ENFORCE, "violates");
		if (text)
			return admission_forbid(change, "%s", text);
	}
	text = violation(evaluation, POD_SECURITY_AUDIT, "would violate");
	if (text)
		audit_annotate(change->request, ANNOTATION("audit-violations"), text);
	text = violation(evaluation, POD_SECURITY_WARN, "would violate");
	if (text)
		request_warn(change->request, text);
	return NULL;
}

// True when this request isn't judged at all; the audit log says why.
static bool is_exempt(struct change *change)
{
	const struct pod_security_settings *settings = settings_of(change);
	const char *why = has_text(settings->exempt_namespaces, change->namespace_name)  ? "namespace"
	                  : has_text(settings->exempt_users, change->request->user.name) ? "user"
	                                                                                 : NULL;

	if (why)
		audit_annotate(change->request, ANNOTATION("exempt"), why);
	return why != NULL;
}

static const struct status *judge_pod(struct change *change, const struct json *metadata, const struct json *spec,
                                      bool enforce)
{
	const struct pod_security_settings *settings = settings_of(change);
	struct pod_security_label_errors errors;
	struct pod_security_policy policy;
	struct evaluation evaluation = {.change = change, .policy = &policy, .metadata = metadata, .spec = spec};
	const struct json *namespace_object;

	if (is_exempt(change))
		return NULL;
	namespace_object =
	        admission_peek(change, schema_find_resource("", "v1", "namespaces"), "", change->namespace_name);
	pod_security_read_labels(labels_of(namespace_object), &settings->defaults, &policy, &errors);
	if (!errors.count && is_privileged(&policy, POD_SECURITY_AUDIT) && is_privileged(&policy, POD_SECURITY_WARN) &&
	    (!enforce || is_privileged(&policy, POD_SECURITY_ENFORCE))) {
		if (enforce)
			audit_annotate(change->request, ANNOTATION("enforce-policy"), "privileged:latest");
		return NULL;
	}
	if (has_text(settings->exempt_runtime_classes, text_of(spec, "runtimeClassName"))) {
		audit_annotate(change->request, ANNOTATION("exempt"), "runtimeClass");
		return NULL;
	}
	note_label_errors(change, &errors);
	return evaluate(&evaluation, enforce);
}

// --- pods ---------------------------------------------------------------------------------

static bool same_images(const struct json *now, const struct json *before)
{
	if (length_of(now) != length_of(before))
		return false;
	for (uint32_t i = 0; i < length_of(now); i++)
		if (strcmp(text_of(now->items[i], "image"), text_of(before->items[i], "image")))
			return false;
	return true;
}

static bool ephemeral_images_are_known(const struct json *now, const struct json *before)
{
	json_for_each_item (container, now) {
		bool known = false;

		json_for_each_item (held, before)
			known |= !strcmp(text_of(held, "name"), text_of(container, "name")) &&
			         !strcmp(text_of(held, "image"), text_of(container, "image"));
		if (!known)
			return false;
	}
	return true;
}

static bool is_significant(const struct json *now, const struct json *before)
{
	return !same_images(json_path(now, "spec", "containers"), json_path(before, "spec", "containers")) ||
	       !same_images(json_path(now, "spec", "initContainers"), json_path(before, "spec", "initContainers")) ||
	       !ephemeral_images_are_known(json_path(now, "spec", "ephemeralContainers"),
	                                   json_path(before, "spec", "ephemeralContainers"));
}

static const struct status *pod_rule(struct change *change, enum admission_operation operation)
{
	static const char *const ignored[] = {"exec", "attach", "binding",     "eviction",
	                                      "log",  "proxy",  "portforward", "status"};

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (!strcmp(change->subresource, ignored[i]))
			return NULL;
	if (operation == ADMISSION_UPDATE && !is_significant(change->object, change->old))
		return NULL;
	return judge_pod(change, json_get(change->object, "metadata"), json_get(change->object, "spec"), true);
}

// --- workloads ----------------------------------------------------------------------------

static const struct {
	const char *group;
	const char *plural;
	const char *const *path; // to the template, NULL-terminated
} workloads[] = {
        {"", "podtemplates", (const char *const[]){"template", NULL}},
        {"", "replicationcontrollers", (const char *const[]){"spec", "template", NULL}},
        {"apps", "daemonsets", (const char *const[]){"spec", "template", NULL}},
        {"apps", "deployments", (const char *const[]){"spec", "template", NULL}},
        {"apps", "replicasets", (const char *const[]){"spec", "template", NULL}},
        {"apps", "statefulsets", (const char *const[]){"spec", "template", NULL}},
        {"batch", "cronjobs", (const char *const[]){"spec", "jobTemplate", "spec", "template", NULL}},
        {"batch", "jobs", (const char *const[]){"spec", "template", NULL}},
};

static const struct status *workload_rule(struct change *change)
{
	if (change->subresource[0])
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++) {
		const struct json *template;

		if (!change_is_for(change, workloads[i].group, workloads[i].plural))
			continue;
		template = json_path_(change->object, workloads[i].path);
		return is_present(template)
		               ? judge_pod(change, json_get(template, "metadata"), json_get(template, "spec"), false)
		               : NULL;
	}
	return NULL;
}

// --- namespaces ---------------------------------------------------------------------------

struct pod_warning {
	const char *text;
	const char *pod; // the first by name
	size_t count;
};

static int compare_warnings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void count_warning(struct pod_warning *warnings, size_t *count, const char *text, const char *pod)
{
	for (size_t i = 0; i < *count; i++)
		if (!strcmp(warnings[i].text, text)) {
			warnings[i].count++;
			if (strcmp(pod, warnings[i].pod) < 0)
				warnings[i].pod = pod;
			return;
		}
	if (*count < MAX_WARNINGS)
		warnings[(*count)++] = (struct pod_warning){text, pod, 1};
}

static void tell_warnings(struct change *change, const struct pod_warning *warnings, size_t count)
{
	const char *texts[MAX_WARNINGS] = {NULL};

	for (size_t i = 0; i < count; i++) {
		const struct pod_warning *warning = &warnings[i];
		const char *others = warning->count == 1 ? ""
		                     : warning->count == 2
		                             ? " (and 1 other pod)"
		                             : arena_printf(change->arena, " (and %zu other pods)", warning->count - 1);

		texts[i] = arena_printf(change->arena, "%s%s: %s", warning->pod, others, warning->text);
	}
	qsort(texts, count, sizeof(*texts), compare_warnings);
	for (size_t i = 0; i < count; i++)
		request_warn(change->request, texts[i]);
}

static void check_existing_pods(struct change *change, const struct pod_security_standard *standard)
{
	struct pod_warning warnings[MAX_WARNINGS];
	size_t count, found = 0, checked = 0;
	struct json **pods = admission_peek_all(change, schema_find_resource("", "v1", "pods"), change->name, &count);

	for (; checked < count && checked < MAX_PODS_TO_CHECK; checked++) {
		const struct json *spec = json_get(pods[checked], "spec"),
		                  *metadata = json_get(pods[checked], "metadata");
		struct pod_security_findings findings;

		if (has_text(settings_of(change)->exempt_runtime_classes, text_of(spec, "runtimeClassName")))
			continue;
		pod_security_check(change->arena, standard->level, standard->minor, metadata, spec, &findings);
		if (findings.count)
			count_warning(warnings, &found, pod_security_reasons(change->arena, &findings),
			              text_of(metadata, "name"));
	}
	if (checked < count)
		request_warn(change->request,
		             arena_printf(change->arena,
		                          "new PodSecurity enforce level only checked against the first %zu of %zu "
		                          "existing pods",
		                          checked, count));
	if (found)
		request_warn(change->request,
		             arena_printf(change->arena,
		                          "existing pods in namespace \"%s\" violate the new PodSecurity enforce level "
		                          "\"%s\"",
		                          change->name, pod_security_standard_text(change->arena, standard)));
	tell_warnings(change, warnings, found);
}

static const struct status *refuse_labels(const struct change *change, const struct pod_security_label_errors *errors)
{
	struct rule_path metadata = FIELD(NULL, "metadata"), labels = FIELD(&metadata, "labels");
	struct validation v;

	validation_init(&v, change);
	for (size_t i = 0; i < errors->count; i++) {
		struct rule_path label = FIELD_KEY(&labels, errors->items[i].label);

		validation_invalid_text(&v, &label, errors->items[i].value, errors->items[i].detail);
	}
	return validation_status(&v);
}

static bool same_errors(const struct pod_security_label_errors *a, const struct pod_security_label_errors *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i].label, b->items[i].label) || strcmp(a->items[i].value, b->items[i].value))
			return false;
	return true;
}

static void warn_of_exemption(struct change *change, const struct pod_security_policy *policy)
{
	static const char *const names[] = {"enforce", "audit", "warn"};
	const char *text = "";

	for (size_t i = 0; i < POD_SECURITY_MODE_COUNT_; i++) {
		const char *label = arena_printf(change->arena, ANNOTATION("%s"), names[i]);

		if (policy->modes[i].level != POD_SECURITY_PRIVILEGED && json_get(labels_of(change->object), label))
			text = arena_printf(change->arena, "%s%s%s=%s", text, text[0] ? ", " : "", names[i],
			                    pod_security_standard_text(change->arena, &policy->modes[i]));
	}
	if (text[0])
		request_warn(change->request,
		             arena_printf(change->arena,
		                          "namespace \"%s\" is exempt from Pod Security, and the policy (%s) will be "
		                          "ignored",
		                          change->name, text));
}

static const struct status *namespace_rule(struct change *change, enum admission_operation operation)
{
	const struct pod_security_settings *settings = settings_of(change);
	struct pod_security_label_errors errors, old_errors;
	struct pod_security_policy policy, old_policy;
	const struct pod_security_standard *now = &policy.modes[POD_SECURITY_ENFORCE],
	                                   *before = &old_policy.modes[POD_SECURITY_ENFORCE];
	bool exempt = has_text(settings->exempt_namespaces, change->name ? change->name : "");

	if (change->subresource[0])
		return NULL;
	pod_security_read_labels(labels_of(change->object), &settings->defaults, &policy, &errors);
	if (operation == ADMISSION_CREATE) {
		if (errors.count)
			return refuse_labels(change, &errors);
		if (exempt)
			warn_of_exemption(change, &policy);
		return NULL;
	}
	pod_security_read_labels(labels_of(change->old), &settings->defaults, &old_policy, &old_errors);
	if (errors.count && !same_errors(&errors, &old_errors))
		return refuse_labels(change, &errors);
	if (same_standard(now, before) || now->level == POD_SECURITY_PRIVILEGED ||
	    (now->minor == before->minor && now->level <= before->level))
		return NULL;
	if (exempt)
		warn_of_exemption(change, &policy);
	else
		check_existing_pods(change, now);
	return NULL;
}

const struct status *admission_pod_security(struct change *change, enum admission_operation operation)
{
	if (change_is_for(change, "", "pods"))
		return pod_rule(change, operation);
	if (change_is_for(change, "", "namespaces"))
		return namespace_rule(change, operation);
	return change->namespace_name[0] ? workload_rule(change) : NULL;
}
