// SPDX-License-Identifier: Apache-2.0
//
// The identity of a StatefulSet's pods: the name "<set>-<ordinal>", the host name,
// and the claims "<template>-<set>-<ordinal>", which outlive the pod. Claims that
// are to go with the set or with a scaled-down pod are owned by it, and the garbage
// collector does the rest.
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/view.h"
#include "controller-manager/ownership.h"
#include "controller-manager/pod_creation.h"
#include "controller-manager/pods.h"
#include "controller-manager/statefulset.h"

int32_t stateful_ordinal(const struct api_object *set, const struct api_object *pod)
{
	size_t length = strlen(set->name);
	const char *digits = pod->name + length + 1;
	if (strncmp(pod->name, set->name, length) != 0 || pod->name[length] != '-' || !*digits ||
	    (digits[0] == '0' && digits[1]) || strlen(digits) > 9 || strspn(digits, "0123456789") != strlen(digits))
		return -1;
	return (int32_t)strtol(digits, NULL, 10);
}

bool stateful_is_member(const struct api_object *set, const struct api_object *pod)
{
	return stateful_ordinal(set, pod) >= 0;
}

static const char *claim_name(const struct stateful_sync *sync, const struct core_v1_persistent_volume_claim *template,
                              int32_t ordinal)
{
	return arena_printf(sync->arena, "%s-%s-%d", template->metadata.name, sync->object->name, ordinal);
}

static bool policy_deletes(const char *policy)
{
	return policy && strcmp(policy, "Delete") == 0;
}

// --- the pod -------------------------------------------------------------------------------

static const struct core_v1_pod_template_spec *template_of(const struct stateful_sync *sync,
                                                           const struct api_object *revision)
{
	const struct apps_v1_controller_revision *view = revision->view;
	const struct json *data = json_path(view->data, "spec", "template");
	struct core_v1_pod_template_spec *template = ARENA_NEW(sync->arena, struct core_v1_pod_template_spec);
	struct err ignored = ERR_INIT;
	bool decoded = json_is(data, JSON_OBJECT) &&
	               view_decode(sync->arena, &schema_type_core_v1_pod_template_spec, data, template, &ignored) == 0;
	return decoded ? template : &sync->set->spec.template;
}

// The template's volumes, those of the claims' names replaced by the claims.
static struct core_v1_volume_array volumes_with_claims(const struct stateful_sync *sync,
                                                       const struct core_v1_volume_array *present, int32_t ordinal)
{
	const struct core_v1_persistent_volume_claim_array *claims = &sync->set->spec.volume_claim_templates;
	struct core_v1_volume_array volumes = {
	        .items = ARENA_ARRAY(sync->arena, struct core_v1_volume, present->count + claims->count + 1)};
	for (size_t i = 0; i < claims->count; i++) {
		struct core_v1_persistent_volume_claim_volume_source *source =
		        ARENA_NEW(sync->arena, struct core_v1_persistent_volume_claim_volume_source);
		source->claim_name = claim_name(sync, &claims->items[i], ordinal);
		volumes.items[volumes.count++] = (struct core_v1_volume){.name = claims->items[i].metadata.name,
		                                                         .persistent_volume_claim = source};
	}
	for (size_t i = 0; i < present->count; i++) {
		bool is_claim = false;
		for (size_t c = 0; c < claims->count; c++)
			is_claim = is_claim || strcmp(present->items[i].name, claims->items[c].metadata.name) == 0;
		if (!is_claim)
			volumes.items[volumes.count++] = present->items[i];
	}
	return volumes;
}

static const struct core_v1_pod *make_pod(const struct stateful_sync *sync, int32_t ordinal,
                                          const struct api_object *revision)
{
	struct arena *arena = sync->arena;
	const struct core_v1_pod_template_spec *template = template_of(sync, revision);
	struct core_v1_pod *pod = pod_from_template(arena, template, sync->object);
	struct string_map labels = {0};
	pod->metadata.generate_name = NULL;
	pod->metadata.name = arena_printf(arena, "%s-%d", sync->object->name, ordinal);
	for (size_t i = 0; i < template->metadata.labels.count; i++)
		string_map_set(arena, &labels, template->metadata.labels.entries[i].key,
		               template->metadata.labels.entries[i].value);
	string_map_set(arena, &labels, "statefulset.kubernetes.io/pod-name", pod->metadata.name);
	string_map_set(arena, &labels, "apps.kubernetes.io/pod-index", arena_printf(arena, "%d", ordinal));
	string_map_set(arena, &labels, REVISION_LABEL, arena_strdup(arena, revision->name));
	pod->metadata.labels = labels;
	pod->spec.hostname = pod->metadata.name;
	pod->spec.subdomain = sync->set->spec.service_name;
	pod->spec.volumes = volumes_with_claims(sync, &template->spec.volumes, ordinal);
	return pod;
}

// --- claims, then the pod ----------------------------------------------------------------------

struct stateful_creation {
	struct api_object *set; // kept
	const struct core_v1_pod *pod;
	size_t pending;
	bool failed;
};

static void create_pod(struct reconcile *reconcile, struct stateful_creation *creation)
{
	const struct core_v1_pod **pods = ARENA_NEW(reconcile_arena(reconcile), const struct core_v1_pod *);
	*pods = creation->pod;
	pods_create(reconcile, creation->set, pods, 1, NULL);
}

static void on_claim(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	struct stateful_creation *creation = context;
	if (response->err.code != ERR_NONE && response->err.code != ERR_ALREADY_EXISTS) {
		creation->failed = true;
		reconcile_retry(reconcile, &response->err);
		reconcile_event(reconcile, creation->set, "Warning", "FailedCreate",
		                "create Claim for Pod %s failed error: %s", creation->pod->metadata.name,
		                response->err.message);
	}
	if (--creation->pending == 0 && !creation->failed)
		create_pod(reconcile, creation);
}

static void create_claim(struct stateful_sync *sync, const struct core_v1_persistent_volume_claim *template,
                         int32_t ordinal, struct stateful_creation *creation)
{
	const struct apps_v1_stateful_set_persistent_volume_claim_retention_policy *policy =
	        sync->set->spec.persistent_volume_claim_retention_policy;
	const struct string_map *own = &sync->set->spec.selector->match_labels;
	struct core_v1_persistent_volume_claim claim = *template;
	struct string_map labels = {0};
	for (size_t i = 0; i < template->metadata.labels.count; i++)
		string_map_set(sync->arena, &labels, template->metadata.labels.entries[i].key,
		               template->metadata.labels.entries[i].value);
	for (size_t i = 0; i < own->count; i++)
		string_map_set(sync->arena, &labels, own->entries[i].key, own->entries[i].value);
	claim.api_version = "v1";
	claim.kind = "PersistentVolumeClaim";
	claim.metadata.name = claim_name(sync, template, ordinal);
	claim.metadata.namespace = sync->object->namespace_name;
	claim.metadata.labels = labels;
	if (policy && policy_deletes(policy->when_deleted))
		ownership_set(sync->arena, &claim.metadata, sync->object);
	creation->pending++;
	reconcile_create(sync->reconcile, &schema_resource_core_v1_persistentvolumeclaims, sync->object->namespace_name,
	                 &claim, on_claim, creation);
}

void stateful_create(struct stateful_sync *sync, int32_t ordinal, const struct api_object *revision)
{
	const struct core_v1_persistent_volume_claim_array *claims = &sync->set->spec.volume_claim_templates;
	struct stateful_creation *creation = ARENA_NEW(sync->arena, struct stateful_creation);
	creation->set = reconcile_keep(sync->reconcile, sync->object);
	creation->pod = make_pod(sync, ordinal, revision);
	for (size_t i = 0; i < claims->count; i++)
		create_claim(sync, &claims->items[i], ordinal, creation);
	if (!claims->count)
		create_pod(sync->reconcile, creation);
}

// --- leaving -----------------------------------------------------------------------------------

struct condemnation {
	struct api_object *set; // kept
	struct api_object *pod; // kept
	size_t pending;
	bool failed;
};

static void on_claim_bequeathed(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	struct condemnation *condemnation = context;
	if (response->err.code != ERR_NONE && response->err.code != ERR_NOT_FOUND) {
		condemnation->failed = true;
		reconcile_retry(reconcile, &response->err);
	}
	if (--condemnation->pending == 0 && !condemnation->failed)
		pod_delete(reconcile, condemnation->set, condemnation->pod);
}

// The pod becomes an owner of its claim: when it has gone, and no other owner is left, the claim goes.
static void bequeath(struct stateful_sync *sync, const char *claim, struct condemnation *condemnation)
{
	struct arena *arena = sync->arena;
	struct json *patch = json_object(arena);
	struct json *reference = json_object(arena);
	json_set_text(arena, reference, "apiVersion", "v1");
	json_set_text(arena, reference, "kind", "Pod");
	json_set_text(arena, reference, "name", condemnation->pod->name);
	json_set_text(arena, reference, "uid", condemnation->pod->uid);
	json_append(arena, json_ensure_array(arena, json_ensure_object(arena, patch, "metadata"), "ownerReferences"),
	            reference);
	struct json *dropped = json_object(arena);
	json_set_text(arena, dropped, "$patch", "delete");
	json_set_text(arena, dropped, "uid", sync->object->uid);
	json_append(arena, json_get(json_get(patch, "metadata"), "ownerReferences"), dropped);
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(1 << 16);
	json_write(&body, patch);
	const struct rest_request request = {
	        .method = "PATCH",
	        .resource = &schema_resource_core_v1_persistentvolumeclaims,
	        .namespace_name = sync->object->namespace_name,
	        .name = claim,
	        .body_type = REST_STRATEGIC_MERGE_PATCH,
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	condemnation->pending++;
	reconcile_request(sync->reconcile, &request, on_claim_bequeathed, condemnation);
}

void stateful_condemn(struct stateful_sync *sync, struct api_object *pod, int32_t ordinal)
{
	const struct core_v1_persistent_volume_claim_array *claims = &sync->set->spec.volume_claim_templates;
	const struct apps_v1_stateful_set_persistent_volume_claim_retention_policy *policy =
	        sync->set->spec.persistent_volume_claim_retention_policy;
	if (!claims->count || !policy || !policy_deletes(policy->when_scaled)) {
		pod_delete(sync->reconcile, sync->object, pod);
		return;
	}
	struct condemnation *condemnation = ARENA_NEW(sync->arena, struct condemnation);
	condemnation->set = reconcile_keep(sync->reconcile, sync->object);
	condemnation->pod = reconcile_keep(sync->reconcile, pod);
	for (size_t i = 0; i < claims->count; i++)
		bequeath(sync, claim_name(sync, &claims->items[i], ordinal), condemnation);
}
