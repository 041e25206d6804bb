// SPDX-License-Identifier: Apache-2.0
// The table of kinds, names and metadata. Kinds without a row have the generic
// rules alone.

#include "apiserver/validation/validate.h"

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/validation/string_checks.h"
#include "common/api/object.h"

static const struct {
	const char *group;
	const char *plural;
	string_check name; // NULL: DNS subdomain
	void (*validate)(struct validation *v);
} rows[] = {
        {"", "configmaps", NULL, validate_config_map},
        {"", "endpoints", NULL, validate_endpoints},
        {"", "events", NULL, validate_event},
        {"", "limitranges", NULL, validate_limit_range},
        {"", "namespaces", check_dns_label, validate_namespace},
        {"", "nodes", NULL, validate_node},
        {"", "persistentvolumeclaims", NULL, validate_persistent_volume_claim},
        {"", "persistentvolumes", NULL, validate_persistent_volume},
        {"", "pods", NULL, validate_pod},
        {"", "podtemplates", NULL, validate_pod_template_kind},
        {"", "replicationcontrollers", NULL, validate_replication_controller},
        {"", "resourcequotas", NULL, validate_resource_quota},
        {"", "secrets", NULL, validate_secret},
        {"", "services", check_dns_1035_label, validate_service},
        {"apps", "controllerrevisions", NULL, validate_controller_revision},
        {"apps", "daemonsets", NULL, validate_daemon_set},
        {"apps", "deployments", NULL, validate_deployment},
        {"apps", "replicasets", NULL, validate_replica_set},
        {"apps", "statefulsets", check_dns_label, validate_stateful_set},
        {"autoscaling", "horizontalpodautoscalers", NULL, validate_autoscaler},
        {"batch", "cronjobs", NULL, validate_cron_job},
        {"batch", "jobs", NULL, validate_job},
        {"certificates.k8s.io", "certificatesigningrequests", check_path_segment, NULL},
        {"coordination.k8s.io", "leases", NULL, validate_lease},
        {"discovery.k8s.io", "endpointslices", NULL, validate_endpoint_slice},
        {"events.k8s.io", "events", NULL, validate_event},
        {"networking.k8s.io", "ingressclasses", NULL, validate_ingress_class},
        {"networking.k8s.io", "ingresses", NULL, validate_ingress},
        {"networking.k8s.io", "ipaddresses", check_path_segment, validate_ip_address},
        {"networking.k8s.io", "networkpolicies", NULL, validate_network_policy},
        {"networking.k8s.io", "servicecidrs", NULL, validate_service_cidr},
        {"node.k8s.io", "runtimeclasses", NULL, validate_runtime_class},
        {"policy", "poddisruptionbudgets", NULL, validate_pod_disruption_budget},
        {"rbac.authorization.k8s.io", "clusterrolebindings", check_path_segment, validate_role_binding},
        {"rbac.authorization.k8s.io", "clusterroles", check_path_segment, validate_role},
        {"rbac.authorization.k8s.io", "rolebindings", check_path_segment, validate_role_binding},
        {"rbac.authorization.k8s.io", "roles", check_path_segment, validate_role},
        {"scheduling.k8s.io", "priorityclasses", NULL, validate_priority_class},
        {"storage.k8s.io", "csidrivers", NULL, validate_csi_kind},
        {"storage.k8s.io", "csinodes", NULL, validate_csi_kind},
        {"storage.k8s.io", "storageclasses", NULL, validate_storage_class},
        {"storage.k8s.io", "volumeattachments", NULL, validate_csi_kind},
};

static size_t row_of(const struct schema_resource *resource)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(rows) &&
	       (strcmp(rows[i].plural, resource->plural) || strcmp(rows[i].group, resource->group)))
		i++;
	return i;
}

// --- labels and annotations ----------------------------------------------------------------------

void validate_labels(struct validation *v, const struct json *labels, const struct rule_path *path)
{
	json_for_each_member (label, labels) {
		validation_string(v, path, label->key, check_qualified_name);
		if (json_text(label->value))
			validation_string(v, path, json_text(label->value), check_label_value);
	}
}

void validate_annotations(struct validation *v, const struct json *annotations, const struct rule_path *path)
{
	enum {
		ANNOTATIONS_MAX_BYTES = 262144,
	};
	size_t total = 0;

	json_for_each_member (annotation, annotations) {
		char *lower = arena_strdup(v->arena, annotation->key);

		for (char *c = lower; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c - 'A' + 'a');
		validation_string(v, path, lower, check_qualified_name);
		total += annotation->key_length +
		         (json_is(annotation->value, JSON_STRING) ? annotation->value->length : 0);
	}
	if (total > ANNOTATIONS_MAX_BYTES)
		validation_too_long(v, path, ANNOTATIONS_MAX_BYTES);
}

// --- selectors -----------------------------------------------------------------------------------

static void validate_requirement(struct validation *v, const struct json *requirement, const struct rule_path *path)
{
	const char *operator= text_of(requirement, "operator");
	const struct json *values = json_get(requirement, "values");
	struct rule_path values_path = FIELD(path, "values"), operator_path = FIELD(path, "operator"),
	                 key_path = FIELD(path, "key");
	bool set = !strcmp(operator, "In") || !strcmp(operator, "NotIn");
	bool exists = !strcmp(operator, "Exists") || !strcmp(operator, "DoesNotExist");

	if (set && !length_of(values))
		validation_required(v, &values_path, "must be specified when `operator` is 'In' or 'NotIn'");
	if (exists && length_of(values))
		validation_forbidden(v, &values_path,
		                     "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
	if (!set && !exists)
		validation_invalid_text(v, &operator_path, operator, "not a valid selector operator");
	validation_string(v, &key_path, text_of(requirement, "key"), check_qualified_name);
	uint32_t index = 0;
	json_for_each_item (value, values) {
		struct rule_path item = FIELD_INDEX(&values_path, index++);

		if (json_text(value))
			validation_string(v, &item, json_text(value), check_label_value);
	}
}

void validate_label_selector(struct validation *v, const struct json *selector, const struct rule_path *path)
{
	struct rule_path labels = FIELD(path, "matchLabels"), expressions = FIELD(path, "matchExpressions");
	uint32_t index = 0;

	validate_labels(v, json_get(selector, "matchLabels"), &labels);
	json_for_each_item (requirement, json_get(selector, "matchExpressions")) {
		struct rule_path item = FIELD_INDEX(&expressions, index++);

		validate_requirement(v, requirement, &item);
	}
}

// --- metadata ------------------------------------------------------------------------------------

static void validate_owner(struct validation *v, const struct json *owner, const struct rule_path *path)
{
	static const char *const required[] = {"apiVersion", "kind", "name", "uid"};

	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		struct rule_path field = FIELD(path, required[i]);

		if (!text_of(owner, required[i])[0])
			validation_invalid_text(v, &field, "",
			                        i == 0 ? "version must not be empty"
			                               : arena_printf(v->arena, "%s must not be empty", required[i]));
	}
}

static void validate_owners(struct validation *v, const struct json *owners, const struct rule_path *metadata)
{
	struct rule_path path = FIELD(metadata, "ownerReferences");
	const char *controller = NULL;

	json_for_each_item (owner, owners) {
		validate_owner(v, owner, &path);
		if (!json_get_bool(owner, "controller", false))
			continue;
		if (controller)
			validation_invalid(v, &path, owners,
			                   arena_printf(v->arena,
			                                "Only one reference can have Controller set to true. Found "
			                                "\"true\" in references for %s and %s",
			                                controller, text_of(owner, "name")));
		controller = text_of(owner, "name");
	}
}

static bool is_standard_finalizer(const char *name)
{
	return !strcmp(name, "kubernetes") || !strcmp(name, "orphan") || !strcmp(name, "foregroundDeletion");
}

static void validate_finalizers(struct validation *v, const struct json *object, const struct rule_path *metadata)
{
	struct rule_path path = FIELD(metadata, "finalizers");
	const struct json *finalizers = json_path(object, "metadata", "finalizers");

	json_for_each_item (item, finalizers) {
		const char *name = json_text(item);

		if (!name)
			continue;
		validation_string(v, &path, name, check_qualified_name);
		if (!strchr(name, '/') && !is_standard_finalizer(name))
			validation_invalid_text(v, &path, name,
			                        "name is neither a standard finalizer name nor is it fully qualified");
	}
	if (metadata_has_finalizer(object, "orphan") && metadata_has_finalizer(object, "foregroundDeletion"))
		validation_invalid(v, &path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
}

// generateName is checked as the name that it begins.
static const char *maskable(struct arena *arena, const char *base)
{
	char *copy = arena_strdup(arena, base);
	size_t length = strlen(copy);

	if (length > 1 && copy[length - 1] == '-')
		copy[length - 2] = copy[length - 1] = 'a';
	return copy;
}

static void validate_name(struct validation *v, const struct json *metadata, const struct rule_path *path)
{
	struct rule_path name_path = FIELD(path, "name"), base_path = FIELD(path, "generateName");
	const char *name = text_of(metadata, "name"), *base = text_of(metadata, "generateName");
	size_t row = row_of(v->change->resource);
	string_check check = row < ARRAY_SIZE(rows) && rows[row].name ? rows[row].name : check_dns_subdomain;

	if (base[0]) {
		const char *complaint;

		for (size_t i = 0; (complaint = check(v->arena, maskable(v->arena, base), i)); i++)
			validation_invalid_text(v, &base_path, base, complaint);
	}
	if (!name[0]) {
		validation_required(v, &name_path, "name or generateName is required");
		return;
	}
	validation_string(v, &name_path, name, check);
	if (check != check_path_segment)
		validation_string(v, &name_path, name, check_path_segment);
}

static void validate_metadata(struct validation *v)
{
	const struct change *change = v->change;
	const struct json *metadata = json_get(change->object, "metadata");
	struct rule_path path = FIELD(NULL, "metadata");
	struct rule_path labels = FIELD(&path, "labels"), annotations = FIELD(&path, "annotations"),
	                 namespace_path = FIELD(&path, "namespace");

	if (change_is_create(change))
		validate_name(v, metadata, &path);
	if (change->resource->namespaced) {
		if (!change->namespace_name[0])
			validation_required(v, &namespace_path, "");
		else if (change_is_create(change))
			validation_string(v, &namespace_path, change->namespace_name, check_dns_label);
	}
	validate_labels(v, json_get(metadata, "labels"), &labels);
	validate_annotations(v, json_get(metadata, "annotations"), &annotations);
	validate_owners(v, json_get(metadata, "ownerReferences"), &path);
	validate_finalizers(v, change->object, &path);
}

static void validate_metadata_update(struct validation *v)
{
	static const char *const immutable[] = {
	        "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"};
	const struct json *metadata = json_get(v->change->object, "metadata");
	const struct json *old = json_get(v->change->old, "metadata");
	struct rule_path path = FIELD(NULL, "metadata"), finalizers = FIELD(&path, "finalizers");
	const char *added = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(immutable); i++) {
		struct rule_path field = FIELD(&path, immutable[i]);

		validation_immutable(v, &field, json_get(metadata, immutable[i]), json_get(old, immutable[i]));
	}
	if (!object_is_being_deleted(v->change->old))
		return;
	json_for_each_item (item, json_get(metadata, "finalizers"))
		if (json_text(item) && !metadata_has_finalizer(v->change->old, json_text(item)))
			added = added ? arena_printf(v->arena, "%s, \"%s\"", added, json_text(item))
			              : arena_printf(v->arena, "\"%s\"", json_text(item));
	if (added)
		validation_forbidden(
		        v, &finalizers,
		        arena_printf(v->arena,
		                     "no new finalizers can be added if the object is being deleted, found "
		                     "new finalizers []string{%s}",
		                     added));
}

const struct status *validate_change(struct change *change)
{
	size_t row = row_of(change->resource);
	struct validation v;

	validation_init(&v, change);
	if (!change_is_create(change))
		validate_metadata_update(&v);
	validate_metadata(&v);
	if (row < ARRAY_SIZE(rows) && rows[row].validate)
		rows[row].validate(&v);
	return validation_status(&v);
}
