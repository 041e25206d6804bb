// SPDX-License-Identifier: Apache-2.0
// NamespaceLifecycle: nothing new in a namespace that is going, and the three
// that the cluster stands on stay. NamespaceExists: nothing at all in one that
// isn't there.

#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"

static const struct schema_resource *namespaces(void)
{
	return schema_find_resource("", "v1", "namespaces");
}

static const struct status *check_delete(const struct change *change)
{
	static const char *const protected_names[] = {"default", "kube-system", "kube-public"};

	if (!change_is_for(change, "", "namespaces"))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(protected_names); i++)
		if (!strcmp(change->name, protected_names[i]))
			return admission_forbid(change, "this namespace may not be deleted");
	return NULL;
}

// Without a parse for the common case: no other member of a namespace has this name, only
// annotations might speak of it.
static bool is_terminating(const struct change *change)
{
	struct stored_object *stored = storage_peek(change->server->storage, namespaces(), "", change->namespace_name);
	bool mentioned = stored && memmem(stored->json->data, stored->json->length, "\"deletionTimestamp\":\"", 21);

	stored_object_unref(stored);
	return mentioned && object_is_being_deleted(admission_peek(change, namespaces(), "", change->namespace_name));
}

// Reviews of access are asked everywhere, terminating or not.
static bool is_review(const struct change *change)
{
	return change_is_for(change, "authorization.k8s.io", "localsubjectaccessreviews");
}

const struct status *admission_namespace_lifecycle(struct change *change, enum admission_operation operation)
{
	const char *why;

	if (operation == ADMISSION_DELETE)
		return check_delete(change);
	if (operation != ADMISSION_CREATE || !change->namespace_name[0] || is_review(change) || !is_terminating(change))
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

const struct status *admission_namespace_exists(struct change *change, enum admission_operation operation)
{
	struct stored_object *stored;

	(void)operation;
	if (!change->namespace_name[0])
		return NULL;
	stored = storage_peek(change->server->storage, namespaces(), "", change->namespace_name);
	stored_object_unref(stored);
	return stored ? NULL : status_not_found(change->arena, namespaces(), change->namespace_name);
}
