// SPDX-License-Identifier: Apache-2.0
// The table of kinds and the generic part of create and update: whose status is
// cleared or kept, what each subresource may change, when a generation counts.

#include "apiserver/registry/strategy.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/strategies.h"
#include "common/api/object.h"

static const char *const spec_and_annotations[] = {"spec", "metadata.annotations", NULL};
static const char *const webhooks[] = {"webhooks", NULL};
static const char *const template_member[] = {"template", NULL};
static const char *const slice_members[] = {"addressType", "endpoints", "ports", "metadata.labels", NULL};
static const char *const nothing[] = {NULL};

static const struct strategy strategies[] = {
        {"", "limitranges", .prepare_create = strategy_limit_range_create},
        {"", "namespaces", .prepare_create = strategy_namespace_create, .prepare_update = strategy_namespace_update},
        {"", "nodes", .keeps_status_on_create = true},
        {"", "persistentvolumeclaims", .prepare_create = strategy_claim_create, .returns_deleted_object = true},
        {"", "persistentvolumes", .prepare_create = strategy_volume_create, .prepare_update = strategy_volume_update,
         .returns_deleted_object = true},
        {"", "pods", .prepare_create = strategy_pod_create, .prepare_update = strategy_pod_update,
         .returns_deleted_object = true},
        {"", "podtemplates", .generation_members = template_member, .returns_deleted_object = true},
        {"", "replicationcontrollers", .orphans_by_default = true},
        {"", "resourcequotas", .returns_deleted_object = true},
        {"", "secrets", .prepare_create = strategy_secret, .prepare_update = strategy_secret},
        {"", "serviceaccounts", .returns_deleted_object = true},
        {"", "services", .prepare_create = strategy_service_create, .prepare_update = strategy_service_update,
         .returns_deleted_object = true},
        {"admissionregistration.k8s.io", "mutatingwebhookconfigurations", .generation_members = webhooks},
        {"admissionregistration.k8s.io", "validatingwebhookconfigurations", .generation_members = webhooks},
        {"apiextensions.k8s.io", "customresourcedefinitions", .prepare_create = strategy_definition_create,
         .prepare_update = strategy_definition_update, .returns_deleted_object = true},
        {"apps", "deployments", .generation_members = spec_and_annotations,
         .prepare_update = strategy_deployment_update},
        {"batch", "jobs", .prepare_create = strategy_job_create, .orphans_by_default = true},
        {"certificates.k8s.io", "certificatesigningrequests", .prepare_create = strategy_signing_request_create,
         .prepare_update = strategy_signing_request_update},
        {"discovery.k8s.io", "endpointslices", .generation_members = slice_members},
        {"scheduling.k8s.io", "priorityclasses", .generation_members = nothing},
        {"storage.k8s.io", "csidrivers", .returns_deleted_object = true},
        {"storage.k8s.io", "csinodes", .returns_deleted_object = true},
        {"storage.k8s.io", "storageclasses", .returns_deleted_object = true},
        {"storage.k8s.io", "volumeattachments", .returns_deleted_object = true},
};

const struct strategy *strategy_find(const struct schema_resource *resource)
{
	static const struct strategy plain = {.group = "", .plural = ""};

	for (size_t i = 0; i < ARRAY_SIZE(strategies); i++)
		if (!strcmp(strategies[i].plural, resource->plural) && !strcmp(strategies[i].group, resource->group))
			return &strategies[i];
	return &plain;
}

static void set_generation(struct change *change, int64_t generation)
{
	json_set_integer(change->arena, json_ensure_object(change->arena, change->object, "metadata"), "generation",
	                 generation);
}

void strategy_prepare_create(struct change *change)
{
	const struct strategy *strategy = strategy_find(change->resource);

	if (change->resource->has_status && !strategy->keeps_status_on_create)
		json_remove(change->object, "status");
	if (change->resource->generation)
		set_generation(change, 1);
	if (strategy->prepare_create)
		strategy->prepare_create(change);
}

// --- update -----------------------------------------------------------------------------

static void keep(struct change *change, const char *member)
{
	struct json *old = json_get(change->old, member);

	if (old)
		json_set(change->arena, change->object, member, json_clone(change->arena, old));
	else
		json_remove(change->object, member);
}

// The old object with only this much of the new one.
static void keep_all_but(struct change *change, const char *const *members)
{
	struct json *sent = change->object;

	change->object = json_clone(change->arena, change->old);
	for (; *members; members++) {
		struct json *value = json_get(sent, *members);

		if (value)
			json_set(change->arena, change->object, *members, value);
		else
			json_remove(change->object, *members);
	}
}

static void keep_owner_references(struct change *change)
{
	struct json *metadata = json_get(change->object, "metadata");
	struct json *old = json_path(change->old, "metadata", "ownerReferences");

	if (old)
		json_set(change->arena, metadata, "ownerReferences", old);
	else
		json_remove(metadata, "ownerReferences");
}

// Of a custom resource its status subresource changes nothing of the metadata but who owns what.
static void prepare_custom_status(struct change *change)
{
	static const char *const status[] = {"status", NULL};
	struct json *managers = json_path(change->object, "metadata", "managedFields");

	keep_all_but(change, status);
	if (managers)
		json_set(change->arena, json_get(change->object, "metadata"), "managedFields", managers);
}

static void prepare_status(struct change *change)
{
	static const char *const status[] = {"metadata", "status", NULL};

	if (definition_version_of(change->resource)) {
		prepare_custom_status(change);
		return;
	}
	keep_all_but(change, status);
	if (change_is_for(change, "", "pods"))
		keep_owner_references(change);
}

static void prepare_finalize(struct change *change)
{
	struct json *finalizers = json_path(change->object, "spec", "finalizers");
	struct json *spec;

	change->object = json_clone(change->arena, change->old);
	spec = json_ensure_object(change->arena, change->object, "spec");
	if (finalizers)
		json_set(change->arena, spec, "finalizers", finalizers);
	else
		json_remove(spec, "finalizers");
}

static void prepare_approval(struct change *change)
{
	struct json *conditions = json_path(change->object, "status", "conditions");
	struct json *metadata = json_get(change->object, "metadata");

	change->object = json_clone(change->arena, change->old);
	json_set(change->arena, change->object, "metadata", metadata);
	if (conditions)
		json_set(change->arena, json_ensure_object(change->arena, change->object, "status"), "conditions",
		         conditions);
}

// binding.c has made exactly the changes that a binding may make.
static void prepare_binding(struct change *change)
{
	(void)change;
}

static const struct {
	const char *subresource;
	void (*prepare)(struct change *change);
} subresources[] = {
        {"approval", prepare_approval},
        {"binding", prepare_binding},
        {"ephemeralcontainers", strategy_pod_ephemeral_containers},
        {"finalize", prepare_finalize},
        {"resize", strategy_pod_resize},
        {"status", prepare_status},
};

static const struct json *member_at(const struct json *object, const char *path)
{
	const char *dot = strchr(path, '.');

	if (!dot)
		return json_get(object, path);
	return json_get(json_get_n(object, path, (size_t)(dot - path)), dot + 1);
}

static bool differs(const struct change *change, const char *path)
{
	const struct json *now = member_at(change->object, path), *before = member_at(change->old, path);

	if (!now || !before)
		return length_of(now) != length_of(before) || is_present(now) != is_present(before);
	return !json_equal(now, before);
}

// Of a custom resource every member counts but metadata, and the status where it stands apart.
static bool custom_differs(const struct change *change)
{
	const struct json *sides[] = {change->object, change->old};

	for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
		json_for_each_member (member, sides[i]) {
			const struct json *other = json_get_n(sides[1 - i], member->key, member->key_length);

			if (strcmp(member->key, "metadata") &&
			    (strcmp(member->key, "status") || !change->resource->has_status) &&
			    (!other || !json_equal(member->value, other)))
				return true;
		}
	return false;
}

static void count_generation(struct change *change, const struct strategy *strategy)
{
	static const char *const spec[] = {"spec", NULL};
	const char *const *members = strategy->generation_members ? strategy->generation_members : spec;
	int64_t generation = integer_of(json_get(change->old, "metadata"), "generation", 0);

	if (!change->resource->generation || !strcmp(change->subresource, "status") ||
	    !strcmp(change->subresource, "binding"))
		return;
	if (definition_version_of(change->resource)) {
		if (custom_differs(change))
			set_generation(change, generation + 1);
		return;
	}
	for (; *members; members++)
		if (differs(change, *members)) {
			set_generation(change, generation + 1);
			return;
		}
}

void strategy_prepare_update(struct change *change)
{
	const struct strategy *strategy = strategy_find(change->resource);
	bool prepared = false;

	for (size_t i = 0; i < ARRAY_SIZE(subresources); i++)
		if (!strcmp(subresources[i].subresource, change->subresource)) {
			subresources[i].prepare(change);
			prepared = true;
		}
	if (!prepared && change->resource->has_status)
		keep(change, "status");
	if (strategy->prepare_update)
		strategy->prepare_update(change);
	count_generation(change, strategy);
}

bool strategy_should_delete(const struct change *change)
{
	const struct json *finalizers = json_path(change->object, "spec", "finalizers");

	if (!object_is_being_deleted(change->old) || metadata_deletion_grace(change->old) > 0)
		return false;
	if (change_is_for(change, "", "namespaces") && length_of(finalizers))
		return false;
	return !metadata_has_finalizers(change->object);
}
