// SPDX-License-Identifier: Apache-2.0
// NamespaceLifecycle: nothing new in a namespace that is going, and the three
// that the cluster stands on stay.

#include <string.h>

#include "apiserver/admission/admission.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"

static const struct status *check_delete(const struct change *change)
{
	static const char *const protected_names[] = {"default", "kube-system", "kube-public"};

	if (!change_is_for(change, "", "namespaces"))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(protected_names); i++)
		if (!strcmp(change->name, protected_names[i]))
			return status_forbidden(change->arena, change->resource, change->name,
			                        "this namespace may not be deleted");
	return NULL;
}

static bool is_terminating(struct change *change)
{
	const struct schema_resource *namespaces = schema_find_resource("", "v1", "namespaces");
	struct stored_object *stored = storage_peek(change->server->storage, namespaces, "", change->namespace_name);
	struct json *tree = stored ? object_load_plain(change->arena, namespaces, stored, NULL) : NULL;

	stored_object_unref(stored);
	return object_is_being_deleted(tree);
}

const struct status *admission_namespace_lifecycle(struct change *change, enum admission_operation operation)
{
	const char *why;

	if (operation == ADMISSION_DELETE)
		return check_delete(change);
	if (!change->namespace_name[0] || !is_terminating(change))
		return NULL;
	why = arena_printf(change->arena, "unable to create new content in namespace %s because it is being terminated",
	                   change->namespace_name);
	return status_with_cause(change->arena, status_forbidden(change->arena, change->resource, change->name, why),
	                         (struct status_cause){
	                                 .reason = "NamespaceTerminating",
	                                 .message = arena_printf(change->arena, "namespace %s is being terminated",
	                                                         change->namespace_name),
	                                 .field = "metadata.namespace",
	                         });
}
