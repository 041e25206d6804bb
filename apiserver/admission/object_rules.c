// SPDX-License-Identifier: Apache-2.0
// Rules about objects of several kinds: which claims may grow, external addresses
// of Services, owners that block deletion, and the plug-in that refuses everything.

#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/custom/served.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/request.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"
#include "common/api/quantity.h"

const struct status *admission_always_deny(struct change *change, enum admission_operation operation)
{
	(void)operation;
	return admission_forbid(change, "admission control is denying all modifications");
}

// --- PersistentVolumeClaimResize --------------------------------------------------------------

static bool read_size(const struct json *claim, struct quantity *ret_size)
{
	const char *text = json_get_text(json_path(claim, "spec", "resources", "requests"), "storage");

	return text && quantity_parse(text, ret_size, NULL) == 0;
}

static bool class_allows_growth(const struct change *change)
{
	const char *name = metadata_annotation(change->object, "volume.beta.kubernetes.io/storage-class");
	const struct json *class;

	if (!name)
		name = text_of(json_get(change->object, "spec"), "storageClassName");
	if (!name[0])
		return false;
	class = admission_peek(change, schema_find_resource("storage.k8s.io", "v1", "storageclasses"), "", name);
	return json_get_bool(class, "allowVolumeExpansion", false);
}

const struct status *admission_claim_resize(struct change *change, enum admission_operation operation)
{
	struct quantity wanted, held;

	(void)operation;
	if (!change_is_for(change, "", "persistentvolumeclaims") || change->subresource[0])
		return NULL;
	if (!read_size(change->object, &wanted) || !read_size(change->old, &held) ||
	    quantity_compare(&wanted, &held) <= 0)
		return NULL;
	if (strcmp(text_of(json_get(change->old, "status"), "phase"), "Bound"))
		return admission_forbid(change, "Only bound persistent volume claims can be expanded");
	if (!class_allows_growth(change))
		return admission_forbid(change, "only dynamically provisioned pvc can be resized and the storageclass "
		                                "that provisions the pvc must support resize");
	return NULL;
}

// --- DenyServiceExternalIPs ---------------------------------------------------------------------

const struct status *admission_deny_external_ips(struct change *change, enum admission_operation operation)
{
	const struct json *held;

	(void)operation;
	if (!change_is_for(change, "", "services") || change->subresource[0])
		return NULL;
	held = json_path(change->old, "spec", "externalIPs");
	json_for_each_item (address, json_path(change->object, "spec", "externalIPs")) {
		bool known = false;

		json_for_each_item (before, held)
			known |= json_equal(before, address);
		if (!known)
			return admission_forbid(change, "Use of external IPs is denied by admission control");
	}
	return NULL;
}

// --- OwnerReferencesPermissionEnforcement -------------------------------------------------------

static const struct json *owners_of(const struct json *object)
{
	return json_path(object, "metadata", "ownerReferences");
}

static bool same_owners(const struct json *a, const struct json *b)
{
	return length_of(a) == length_of(b) && (!length_of(a) || json_equal(a, b));
}

static const struct json *find_owner(const struct json *owners, const struct json *owner)
{
	json_for_each_item (held, owners)
		if (!strcmp(text_of(held, "uid"), text_of(owner, "uid")))
			return held;
	return NULL;
}

static bool blocks(const struct json *owner)
{
	return json_get_bool(owner, "blockOwnerDeletion", false);
}

// Who could not delete a thing may not tie its deletion to another.
static const struct status *check_delete_right(struct change *change)
{
	if (admission_user_may(change, "delete", change->resource->group, change->resource->plural, change->subresource,
	                       change->namespace_name, change->name ? change->name : ""))
		return NULL;
	return admission_forbid(change, "cannot set an ownerRef on a resource you can't delete: , <nil>");
}

static const struct status *check_blocking(struct change *change, const struct json *owner)
{
	const char *group, *version;
	const struct schema_resource *resource;

	api_version_split(change->arena, text_of(owner, "apiVersion"), &group, &version);
	resource = served_find_kind(change->request->served, group, version, text_of(owner, "kind"));
	if (!resource)
		return admission_forbid(change,
		                        "cannot set blockOwnerDeletion in this case because cannot find RESTMapping "
		                        "for APIVersion %s Kind %s: no matches for kind \"%s\" in version \"%s\"",
		                        text_of(owner, "apiVersion"), text_of(owner, "kind"), text_of(owner, "kind"),
		                        text_of(owner, "apiVersion"));
	if (admission_user_may(change, "update", group, resource->plural, "finalizers",
	                       resource->namespaced ? change->namespace_name : "", text_of(owner, "name")))
		return NULL;
	return admission_forbid(change, "cannot set blockOwnerDeletion if an ownerReference refers to a resource you "
	                                "can't set finalizers on: , <nil>");
}

const struct status *admission_owner_references(struct change *change, enum admission_operation operation)
{
	const struct json *now = owners_of(change->object), *before = owners_of(change->old);
	const struct status *status = NULL;

	if (change->subresource[0] || same_owners(now, before))
		return NULL;
	// Who creates a thing may say what it belongs to.
	if (operation == ADMISSION_UPDATE)
		status = check_delete_right(change);
	json_for_each_item (owner, now)
		if (!status && blocks(owner) && !blocks(find_owner(before, owner)))
			status = check_blocking(change, owner);
	return status;
}
