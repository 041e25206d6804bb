// SPDX-License-Identifier: Apache-2.0
// Pods and pod templates: the spec's own fields, scheduling rules, and what an
// update of a pod may change.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/services/ip_range.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

#define INT32_LAST 2147483647

void validate_ip_text(struct validation *v, const char *text, const struct rule_path *path)
{
	struct ip ip;

	if (!ip_parse(text, &ip))
		validation_invalid_text(v, path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
}

static void check_text(struct validation *v, const struct json *object, const char *member,
                       const struct rule_path *parent, string_check check)
{
	struct rule_path path = FIELD(parent, member);
	const char *text = text_of(object, member);

	if (text[0])
		validation_string(v, &path, text, check);
}

// --- tolerations -----------------------------------------------------------------------------

static void validate_toleration(struct validation *v, const struct json *toleration, const struct rule_path *path)
{
	static const char *const operators[] = {"Equal", "Exists", NULL};
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
	const char *key = text_of(toleration, "key"), *operator= text_of(toleration, "operator");
	struct rule_path operator_path = FIELD(path, "operator"), effect_path = FIELD(path, "effect");

	check_text(v, toleration, "key", path, check_qualified_name);
	if (!key[0] && strcmp(operator, "Exists"))
		validation_invalid_text(
		        v, &operator_path, operator,
		        "operator must be Exists when `key` is empty, which means \"match all values and "
		        "all keys\"");
	if (is_present(json_get(toleration, "tolerationSeconds")) && strcmp(text_of(toleration, "effect"), "NoExecute"))
		validation_invalid_text(v, &effect_path, text_of(toleration, "effect"),
		                        "effect must be 'NoExecute' when `tolerationSeconds` is set");
	if (!operator[0] || !strcmp(operator, "Equal"))
		validation_string(v, &operator_path, text_of(toleration, "value"), check_label_value);
	else if (!strcmp(operator, "Exists") && text_of(toleration, "value")[0])
		validation_invalid_text(v, &operator_path, text_of(toleration, "value"),
		                        "value must be empty when `operator` is 'Exists'");
	validation_one_of(v, &operator_path, json_get(toleration, "operator"), false, operators);
	validation_one_of(v, &effect_path, json_get(toleration, "effect"), false, effects);
}

// --- affinity ----------------------------------------------------------------------------------

static void validate_node_requirement(struct validation *v, const struct json *requirement,
                                      const struct rule_path *path, bool fields)
{
	const char *operator= text_of(requirement, "operator");
	struct rule_path key = FIELD(path, "key"), values = FIELD(path, "values"),
	                 operator_path = FIELD(path, "operator");
	uint32_t count = length_of(json_get(requirement, "values"));

	if (!strcmp(operator, "In") || !strcmp(operator, "NotIn")) {
		if (!count)
			validation_required(v, &values, "must be specified when `operator` is 'In' or 'NotIn'");
	} else if (!strcmp(operator, "Exists") || !strcmp(operator, "DoesNotExist")) {
		if (count)
			validation_forbidden(v, &values,
			                     "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
	} else if (!strcmp(operator, "Gt") || !strcmp(operator, "Lt")) {
		if (count != 1)
			validation_required(v, &values,
			                    "must be specified single value when `operator` is 'Lt' or 'Gt'");
	} else {
		validation_invalid_text(v, &operator_path, operator, "not a valid selector operator");
	}
	if (fields && strcmp(text_of(requirement, "key"), "metadata.name"))
		validation_invalid_text(v, &key, text_of(requirement, "key"), "not a valid field selector key");
	if (!fields)
		validation_string(v, &key, text_of(requirement, "key"), check_qualified_name);
}

static void validate_node_term(struct validation *v, const struct json *term, const struct rule_path *path)
{
	static const char *const members[] = {"matchExpressions", "matchFields"};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct rule_path list = FIELD(path, members[i]);
		uint32_t index = 0;

		json_for_each_item (requirement, json_get(term, members[i])) {
			struct rule_path item = FIELD_INDEX(&list, index++);

			validate_node_requirement(v, requirement, &item, i == 1);
		}
	}
}

static void validate_weight(struct validation *v, const struct json *term, const struct rule_path *path)
{
	struct rule_path weight = FIELD(path, "weight");
	int64_t value = integer_of(term, "weight", 0);

	if (value < 1 || value > 100)
		validation_invalid_integer(v, &weight, value, "must be in the range 1-100");
}

static void validate_node_affinity(struct validation *v, const struct json *affinity, const struct rule_path *path)
{
	struct rule_path required = FIELD(path, "requiredDuringSchedulingIgnoredDuringExecution"),
	                 preferred = FIELD(path, "preferredDuringSchedulingIgnoredDuringExecution"),
	                 terms = FIELD(&required, "nodeSelectorTerms");
	const struct json *selector = json_get(affinity, required.name);
	uint32_t index = 0;

	if (is_present(selector) && !length_of(json_get(selector, "nodeSelectorTerms")))
		validation_required(v, &terms, "must have at least one node selector term");
	json_for_each_item (term, json_get(selector, "nodeSelectorTerms")) {
		struct rule_path item = FIELD_INDEX(&terms, index++);

		validate_node_term(v, term, &item);
	}
	index = 0;
	json_for_each_item (term, json_get(affinity, preferred.name)) {
		struct rule_path item = FIELD_INDEX(&preferred, index++), preference = FIELD(&item, "preference");

		validate_weight(v, term, &item);
		validate_node_term(v, json_get(term, "preference"), &preference);
	}
}

static void validate_pod_term(struct validation *v, const struct json *term, const struct rule_path *path)
{
	struct rule_path selector = FIELD(path, "labelSelector"), namespaces = FIELD(path, "namespaceSelector"),
	                 topology = FIELD(path, "topologyKey"), names = FIELD(path, "namespaces");
	uint32_t index = 0;

	validate_label_selector(v, json_get(term, "labelSelector"), &selector);
	validate_label_selector(v, json_get(term, "namespaceSelector"), &namespaces);
	json_for_each_item (name, json_get(term, "namespaces")) {
		struct rule_path item = FIELD_INDEX(&names, index++);

		if (json_text(name))
			validation_string(v, &item, json_text(name), check_dns_label);
	}
	if (!text_of(term, "topologyKey")[0])
		validation_required(v, &topology, "can not be empty");
	else
		validation_string(v, &topology, text_of(term, "topologyKey"), check_qualified_name);
}

static void validate_pod_affinity(struct validation *v, const struct json *affinity, const struct rule_path *path)
{
	struct rule_path required = FIELD(path, "requiredDuringSchedulingIgnoredDuringExecution"),
	                 preferred = FIELD(path, "preferredDuringSchedulingIgnoredDuringExecution");
	uint32_t index = 0;

	json_for_each_item (term, json_get(affinity, required.name)) {
		struct rule_path item = FIELD_INDEX(&required, index++);

		validate_pod_term(v, term, &item);
	}
	index = 0;
	json_for_each_item (term, json_get(affinity, preferred.name)) {
		struct rule_path item = FIELD_INDEX(&preferred, index++), inner = FIELD(&item, "podAffinityTerm");

		validate_weight(v, term, &item);
		validate_pod_term(v, json_get(term, "podAffinityTerm"), &inner);
	}
}

static void validate_affinity(struct validation *v, const struct json *affinity, const struct rule_path *path)
{
	struct rule_path node = FIELD(path, "nodeAffinity"), pod = FIELD(path, "podAffinity"),
	                 anti = FIELD(path, "podAntiAffinity");

	validate_node_affinity(v, json_get(affinity, "nodeAffinity"), &node);
	validate_pod_affinity(v, json_get(affinity, "podAffinity"), &pod);
	validate_pod_affinity(v, json_get(affinity, "podAntiAffinity"), &anti);
}

static void validate_spread(struct validation *v, const struct json *constraint, const struct rule_path *path)
{
	static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
	struct rule_path skew = FIELD(path, "maxSkew"), key = FIELD(path, "topologyKey"),
	                 action = FIELD(path, "whenUnsatisfiable"), selector = FIELD(path, "labelSelector"),
	                 domains = FIELD(path, "minDomains");
	const struct json *minimum = json_get(constraint, "minDomains");

	if (integer_of(constraint, "maxSkew", 0) <= 0)
		validation_invalid_integer(v, &skew, integer_of(constraint, "maxSkew", 0), "must be greater than zero");
	if (!text_of(constraint, "topologyKey")[0])
		validation_required(v, &key, "can not be empty");
	else
		validation_string(v, &key, text_of(constraint, "topologyKey"), check_qualified_name);
	validation_one_of(v, &action, json_get(constraint, "whenUnsatisfiable"), true, actions);
	if (json_is(minimum, JSON_INTEGER) && minimum->integer <= 0)
		validation_invalid(v, &domains, minimum, "must be greater than zero");
	if (json_is(minimum, JSON_INTEGER) && strcmp(text_of(constraint, "whenUnsatisfiable"), "DoNotSchedule"))
		validation_invalid(v, &domains, minimum,
		                   arena_printf(v->arena,
		                                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
		                                "not %s",
		                                text_of(constraint, "whenUnsatisfiable")));
	validate_label_selector(v, json_get(constraint, "labelSelector"), &selector);
}

static void validate_scheduling(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	struct rule_path tolerations = FIELD(path, "tolerations"), affinity = FIELD(path, "affinity"),
	                 spreads = FIELD(path, "topologySpreadConstraints"), selector = FIELD(path, "nodeSelector"),
	                 gates = FIELD(path, "schedulingGates"), node = FIELD(path, "nodeName");
	uint32_t index = 0;

	validate_labels(v, json_get(spec, "nodeSelector"), &selector);
	validate_affinity(v, json_get(spec, "affinity"), &affinity);
	json_for_each_item (toleration, json_get(spec, "tolerations")) {
		struct rule_path item = FIELD_INDEX(&tolerations, index++);

		validate_toleration(v, toleration, &item);
	}
	index = 0;
	json_for_each_item (constraint, json_get(spec, "topologySpreadConstraints")) {
		struct rule_path item = FIELD_INDEX(&spreads, index++);

		validate_spread(v, constraint, &item);
	}
	index = 0;
	json_for_each_item (gate, json_get(spec, "schedulingGates")) {
		struct rule_path item = FIELD_INDEX(&gates, index++);

		validation_string(v, &item, text_of(gate, "name"), check_qualified_name);
	}
	if (length_of(json_get(spec, "schedulingGates")) && text_of(spec, "nodeName")[0] && change_is_create(v->change))
		validation_forbidden(v, &node, "cannot be set until all schedulingGates have been cleared");
}

// --- the rest of the spec -------------------------------------------------------------------------

static void validate_dns(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const policies[] = {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL};
	const struct json *config = json_get(spec, "dnsConfig");
	struct rule_path policy = FIELD(path, "dnsPolicy"), dns = FIELD(path, "dnsConfig"),
	                 servers = FIELD(&dns, "nameservers"), searches = FIELD(&dns, "searches");
	uint32_t index = 0;

	validation_one_of(v, &policy, json_get(spec, "dnsPolicy"), true, policies);
	if (!strcmp(text_of(spec, "dnsPolicy"), "None") && !length_of(json_get(config, "nameservers")))
		validation_required(v, &servers, "must provide at least one DNS nameserver when `dnsPolicy` is None");
	if (length_of(json_get(config, "nameservers")) > 3)
		validation_invalid(v, &servers, json_get(config, "nameservers"),
		                   "must not have more than 3 nameservers");
	json_for_each_item (server, json_get(config, "nameservers")) {
		struct rule_path item = FIELD_INDEX(&servers, index++);

		validate_ip_text(v, json_text(server) ? json_text(server) : "", &item);
	}
	if (length_of(json_get(config, "searches")) > 32)
		validation_invalid(v, &searches, json_get(config, "searches"),
		                   "must not have more than 32 search paths");
	index = 0;
	json_for_each_item (search, json_get(config, "searches")) {
		struct rule_path item = FIELD_INDEX(&searches, index++);

		validation_string(v, &item, json_text(search) ? json_text(search) : "", check_search_domain);
	}
}

static void validate_id(struct validation *v, const struct json *context, const char *member,
                        const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_range(v, &path, json_get(context, member), 0, INT32_LAST);
}

static void validate_security_context(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const policies[] = {"OnRootMismatch", "Always", NULL};
	const struct json *context = json_get(spec, "securityContext");
	struct rule_path own = FIELD(path, "securityContext"), policy = FIELD(&own, "fsGroupChangePolicy"),
	                 sysctls = FIELD(&own, "sysctls");
	uint32_t index = 0;

	validate_id(v, context, "runAsUser", &own);
	validate_id(v, context, "runAsGroup", &own);
	validate_id(v, context, "fsGroup", &own);
	validation_one_of(v, &policy, json_get(context, "fsGroupChangePolicy"), false, policies);
	json_for_each_item (sysctl, json_get(context, "sysctls")) {
		struct rule_path item = FIELD_INDEX(&sysctls, index++), name = FIELD(&item, "name");

		if (!text_of(sysctl, "name")[0])
			validation_required(v, &name, "");
		else if (strlen(text_of(sysctl, "name")) > 253 ||
		         strspn(text_of(sysctl, "name"), "abcdefghijklmnopqrstuvwxyz0123456789-_./") !=
		                 strlen(text_of(sysctl, "name")))
			validation_invalid_text(
			        v, &name, text_of(sysctl, "name"),
			        "must have at most 253 characters and match regex "
			        "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
	}
	if (json_get_bool(spec, "hostPID", false) && json_get_bool(spec, "shareProcessNamespace", false)) {
		struct rule_path share = FIELD(path, "shareProcessNamespace");

		validation_invalid(v, &share, json_get(spec, "shareProcessNamespace"),
		                   "ShareProcessNamespace and HostPID cannot both be enabled");
	}
}

static void validate_names(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	check_text(v, spec, "hostname", path, check_dns_label);
	check_text(v, spec, "subdomain", path, check_dns_label);
	check_text(v, spec, "nodeName", path, check_dns_subdomain);
	check_text(v, spec, "serviceAccountName", path, check_dns_subdomain);
	check_text(v, spec, "priorityClassName", path, check_dns_subdomain);
	check_text(v, spec, "runtimeClassName", path, check_dns_subdomain);
}

static void validate_policies(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const restart[] = {"Always", "OnFailure", "Never", NULL};
	static const char *const preemption[] = {"PreemptLowerPriority", "Never", NULL};
	struct rule_path restart_path = FIELD(path, "restartPolicy"), preemption_path = FIELD(path, "preemptionPolicy"),
	                 deadline = FIELD(path, "activeDeadlineSeconds"),
	                 grace = FIELD(path, "terminationGracePeriodSeconds");
	const struct json *period = json_get(spec, "terminationGracePeriodSeconds");

	validation_one_of(v, &restart_path, json_get(spec, "restartPolicy"), true, restart);
	validation_one_of(v, &preemption_path, json_get(spec, "preemptionPolicy"), false, preemption);
	validation_range(v, &deadline, json_get(spec, "activeDeadlineSeconds"), 1, INT32_LAST);
	if (!is_present(period))
		validation_required(v, &grace, "");
}

static void validate_aliases(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	struct rule_path aliases = FIELD(path, "hostAliases");
	uint32_t index = 0;

	json_for_each_item (alias, json_get(spec, "hostAliases")) {
		struct rule_path item = FIELD_INDEX(&aliases, index++), ip = FIELD(&item, "ip"),
		                 names = FIELD(&item, "hostnames");

		validate_ip_text(v, text_of(alias, "ip"), &ip);
		json_for_each_item (name, json_get(alias, "hostnames"))
			validation_string(v, &names, json_text(name) ? json_text(name) : "", check_dns_subdomain);
	}
}

void validate_pod_spec(struct validation *v, const struct json *spec, const struct json *metadata,
                       const struct rule_path *path, bool is_template)
{
	struct rule_path volumes = FIELD(path, "volumes"), ephemeral = FIELD(path, "ephemeralContainers");

	(void)metadata;
	validate_volumes(v, json_get(spec, "volumes"), &volumes);
	validate_containers(v, spec, path, is_template);
	if (length_of(json_get(spec, "ephemeralContainers")) && (is_template || change_is_create(v->change)))
		validation_forbidden(v, &ephemeral,
		                     is_template ? "ephemeral containers not allowed in pod template"
		                                 : "cannot be set on create");
	validate_policies(v, spec, path);
	validate_dns(v, spec, path);
	validate_names(v, spec, path);
	validate_security_context(v, spec, path);
	validate_scheduling(v, spec, path);
	validate_aliases(v, spec, path);
}

void validate_pod_template(struct validation *v, const struct json *template, const struct rule_path *path)
{
	const struct json *metadata = json_get(template, "metadata");
	struct rule_path meta = FIELD(path, "metadata"), labels = FIELD(&meta, "labels"),
	                 annotations = FIELD(&meta, "annotations"), spec = FIELD(path, "spec");

	validate_labels(v, json_get(metadata, "labels"), &labels);
	validate_annotations(v, json_get(metadata, "annotations"), &annotations);
	validate_pod_spec(v, json_get(template, "spec"), metadata, &spec, true);
}

void validate_pod_template_kind(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "template");

	validate_pod_template(v, json_get(v->change->object, "template"), &path);
}

// --- updates of pods ---------------------------------------------------------------------------------

// Takes what may change out of both, then both must be equal.
static void neutralize_images(struct arena *arena, struct json *spec, const struct json *old, const char *list)
{
	struct json *now = json_get(spec, list);
	const struct json *before = json_get(old, list);

	for (uint32_t i = 0; i < length_of(now) && i < length_of(before); i++)
		if (json_get(before->items[i], "image"))
			json_set(arena, now->items[i], "image", json_get(before->items[i], "image"));
}

static void neutralize(struct arena *arena, struct json *spec, const struct json *old, const char *member)
{
	struct json *value = json_get(old, member);

	if (value)
		json_set(arena, spec, member, value);
	else
		json_remove(spec, member);
}

static bool same_toleration(const struct json *a, const struct json *b)
{
	static const char *const members[] = {"key", "operator", "value", "effect"};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (strcmp(text_of(a, members[i]), text_of(b, members[i])))
			return false;
	return true;
}

// Existing tolerations stay in place (only their seconds may change); new ones come after.
static bool only_adds_tolerations(const struct json *spec, const struct json *old)
{
	const struct json *now = json_get(spec, "tolerations"), *before = json_get(old, "tolerations");

	for (uint32_t i = 0; i < length_of(before); i++) {
		bool found = false;

		json_for_each_item (item, now)
			found |= same_toleration(item, before->items[i]);
		if (!found)
			return false;
	}
	return true;
}

static bool deadline_may_change(const struct json *spec, const struct json *old)
{
	const struct json *now = json_get(spec, "activeDeadlineSeconds"),
	                  *before = json_get(old, "activeDeadlineSeconds");

	if (!is_present(before))
		return true;
	return json_is(now, JSON_INTEGER) && now->integer <= before->integer;
}

static bool gates_only_removed(const struct json *spec, const struct json *old)
{
	json_for_each_item (gate, json_get(spec, "schedulingGates")) {
		bool held = false;

		json_for_each_item (before, json_get(old, "schedulingGates"))
			held |= !strcmp(text_of(before, "name"), text_of(gate, "name"));
		if (!held)
			return false;
	}
	return true;
}

static bool selector_only_grows(const struct json *spec, const struct json *old)
{
	json_for_each_member (label, json_get(old, "nodeSelector")) {
		const char *now = json_get_text(json_get(spec, "nodeSelector"), label->key);

		if (!now || !json_text(label->value) || strcmp(now, json_text(label->value)))
			return false;
	}
	return true;
}

static void validate_pod_update(struct validation *v)
{
	const struct json *old = json_get(v->change->old, "spec");
	struct json *spec = json_clone(v->arena, json_get(v->change->object, "spec"));
	struct rule_path path = FIELD(NULL, "spec"), containers = FIELD(&path, "containers"),
	                 deadline = FIELD(&path, "activeDeadlineSeconds"), gates = FIELD(&path, "schedulingGates");
	bool gated = length_of(json_get(old, "schedulingGates"));

	if (length_of(json_get(spec, "containers")) != length_of(json_get(old, "containers"))) {
		validation_forbidden(v, &containers, "pod updates may not add or remove containers");
		return;
	}
	if (!deadline_may_change(spec, old))
		validation_invalid(v, &deadline, json_get(spec, "activeDeadlineSeconds"),
		                   "must not update from a positive integer to nil or a larger value");
	if (!gates_only_removed(spec, old))
		validation_forbidden(v, &gates, "only deletion is allowed, but found new scheduling gates");
	neutralize_images(v->arena, spec, old, "containers");
	neutralize_images(v->arena, spec, old, "initContainers");
	neutralize(v->arena, spec, old, "activeDeadlineSeconds");
	neutralize(v->arena, spec, old, "schedulingGates");
	if (integer_of(old, "terminationGracePeriodSeconds", 0) < 0 &&
	    integer_of(spec, "terminationGracePeriodSeconds", 0) == 1)
		neutralize(v->arena, spec, old, "terminationGracePeriodSeconds");
	if (only_adds_tolerations(spec, old))
		neutralize(v->arena, spec, old, "tolerations");
	if (gated && selector_only_grows(spec, old))
		neutralize(v->arena, spec, old, "nodeSelector");
	if (gated)
		neutralize(v->arena, spec, old, "affinity");
	if (!json_equal(spec, old))
		validation_forbidden(
		        v, &path,
		        "pod updates may not change fields other than "
		        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`"
		        ",`spec.tolerations` (only additions to existing tolerations),"
		        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
		        "negative)");
}

static void validate_mirror(struct validation *v)
{
	static const char *const key = "kubernetes.io/config.mirror";
	const struct change *change = v->change;
	const char *now = metadata_annotation(change->object, key);
	const char *before = change->old ? metadata_annotation(change->old, key) : now;
	struct rule_path metadata = FIELD(NULL, "metadata"), annotations = FIELD(&metadata, "annotations"),
	                 path = FIELD_KEY(&annotations, key);

	if (change->old && (!now != !before || (now && strcmp(now, before))))
		validation_invalid_text(v, &path, now ? now : "",
		                        "may not remove, update or set mirror pod annotation");
	if (now && !text_of(json_get(change->object, "spec"), "nodeName")[0])
		validation_invalid_text(v, &path, now, "must set spec.nodeName if mirror pod annotation is set");
}

void validate_pod(struct validation *v)
{
	const struct change *change = v->change;
	struct rule_path path = FIELD(NULL, "spec");

	if (!strcmp(change->subresource, "status") || !strcmp(change->subresource, "binding"))
		return;
	validate_mirror(v);
	if (change_is_create(change)) {
		validate_pod_spec(v, json_get(change->object, "spec"), json_get(change->object, "metadata"), &path,
		                  false);
		return;
	}
	if (!strcmp(change->subresource, "resize") || !strcmp(change->subresource, "ephemeralcontainers")) {
		validate_containers(v, json_get(change->object, "spec"), &path, false);
		return;
	}
	validate_containers(v, json_get(change->object, "spec"), &path, false);
	validate_pod_update(v);
}
