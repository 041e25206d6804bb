// SPDX-License-Identifier: Apache-2.0
// Plug-ins that write a field or two into other kinds: the taint of a new node,
// protection finalizers of volumes and claims, default classes.

#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/memory.h"

const struct status *admission_taint_nodes(struct change *change, enum admission_operation operation)
{
	struct json *taints, *taint;

	(void)operation;
	if (!change_is_for(change, "", "nodes"))
		return NULL;
	taints = json_ensure_array(change->arena, json_ensure_object(change->arena, change->object, "spec"), "taints");
	json_for_each_item (held, taints)
		if (!strcmp(text_of(held, "key"), "node.kubernetes.io/not-ready") &&
		    !strcmp(text_of(held, "effect"), "NoSchedule"))
			return NULL;
	taint = json_object(change->arena);
	json_set_text(change->arena, taint, "key", "node.kubernetes.io/not-ready");
	json_set_text(change->arena, taint, "effect", "NoSchedule");
	json_append(change->arena, taints, taint);
	return NULL;
}

const struct status *admission_storage_protection(struct change *change, enum admission_operation operation)
{
	(void)operation;
	if (change_is_for(change, "", "persistentvolumes"))
		metadata_add_finalizer(change->arena, change->object, "kubernetes.io/pv-protection");
	else if (change_is_for(change, "", "persistentvolumeclaims"))
		metadata_add_finalizer(change->arena, change->object, "kubernetes.io/pvc-protection");
	return NULL;
}

// The newest class that is annotated as default; of equals the first by name. NULL = none.
static const char *default_class(struct change *change, const struct schema_resource *classes, const char *annotation)
{
	const char *best = NULL, *best_time = "";
	struct stored_object **all;
	size_t count = classes ? storage_peek_all(change->server->storage, classes, "", &all) : 0;

	for (size_t i = 0; i < count; i++) {
		struct json *tree = object_load_plain(change->arena, classes, all[i], NULL);
		const char *value = metadata_annotation(tree, annotation);
		const char *time = text_of(json_get(tree, "metadata"), "creationTimestamp");

		if (value && !strcmp(value, "true") && strcmp(time, best_time) > 0) {
			best = arena_strdup(change->arena, all[i]->name);
			best_time = time;
		}
		stored_object_unref(all[i]);
	}
	if (classes)
		free(all);
	return best;
}

const struct status *admission_default_storage_class(struct change *change, enum admission_operation operation)
{
	struct json *spec;
	const char *name;

	(void)operation;
	if (!change_is_for(change, "", "persistentvolumeclaims"))
		return NULL;
	spec = json_ensure_object(change->arena, change->object, "spec");
	if (is_present(json_get(spec, "storageClassName")) ||
	    metadata_annotation(change->object, "volume.beta.kubernetes.io/storage-class"))
		return NULL;
	name = default_class(change, schema_find_resource("storage.k8s.io", "v1", "storageclasses"),
	                     "storageclass.kubernetes.io/is-default-class");
	if (name)
		json_set_text(change->arena, spec, "storageClassName", name);
	return NULL;
}

const struct status *admission_default_ingress_class(struct change *change, enum admission_operation operation)
{
	struct json *spec;
	const char *name;

	(void)operation;
	if (!change_is_for(change, "networking.k8s.io", "ingresses"))
		return NULL;
	spec = json_ensure_object(change->arena, change->object, "spec");
	if (is_present(json_get(spec, "ingressClassName")) ||
	    metadata_annotation(change->object, "kubernetes.io/ingress.class"))
		return NULL;
	name = default_class(change, schema_find_resource("networking.k8s.io", "v1", "ingressclasses"),
	                     "ingressclass.kubernetes.io/is-default-class");
	if (name)
		json_set_text(change->arena, spec, "ingressClassName", name);
	return NULL;
}
