// SPDX-License-Identifier: Apache-2.0
// metadata, of every kind: on create as the kind's names ask, on update what may
// not change. Upstream judges an update's metadata for the kind and once more for
// all, so its causes stand twice.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/object.h"

enum {
	MANAGER_MAX_BYTES = 128,
	SUBRESOURCE_MAX_BYTES = 256,
};

// --- owners ----------------------------------------------------------------------------------------

static void validate_owner(struct validation *v, const struct json *owner, const struct rule_path *path)
{
	static const char *const required[] = {"apiVersion", "kind", "name", "uid"};

	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		struct rule_path field = FIELD(path, required[i]);
		const char *text = text_of(owner, required[i]);
		bool missing = !text[0] || (!i && text[strlen(text) - 1] == '/');

		if (missing)
			validation_invalid_text(
			        v, &field, text,
			        arena_printf(v->arena, "%s must not be empty", i ? required[i] : "version"));
	}
	if (text_is(owner, "apiVersion", "v1") && text_is(owner, "kind", "Event"))
		validation_invalid(v, path, owner, "/v1, Kind=Event is disallowed from being an owner");
}

static void validate_owners(struct validation *v, const struct json *metadata, const struct rule_path *parent)
{
	const struct json *owners = json_get(metadata, "ownerReferences");
	struct rule_path path = FIELD(parent, "ownerReferences");
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
		else
			controller = text_of(owner, "name");
	}
}

// --- finalizers ------------------------------------------------------------------------------------

static void validate_short_finalizer(struct validation *v, const char *name, const struct rule_path *path)
{
	static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};

	if (!strchr(name, '/') && !is_one_of(name, standard))
		validation_invalid_text(v, path, name,
		                        "name is neither a standard finalizer name nor is it fully qualified");
}

void validate_finalizer_name(struct validation *v, const char *name, const struct rule_path *path)
{
	validation_string(v, path, name, check_qualified_name);
	validate_short_finalizer(v, name, path);
}

static void validate_short_finalizers(struct validation *v, const struct json *metadata, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "finalizers");

	rule_for_each_item (item, entry, json_get(metadata, "finalizers"), &path)
		if (json_text(item))
			validate_short_finalizer(v, json_text(item), &entry);
}

static void validate_finalizers(struct validation *v, const struct json *metadata, const struct rule_path *parent)
{
	const struct json *finalizers = json_get(metadata, "finalizers");
	struct rule_path path = FIELD(parent, "finalizers");

	json_for_each_item (item, finalizers)
		validation_string(v, &path, json_text(item) ? json_text(item) : "", check_qualified_name);
	if (list_has_text(finalizers, "orphan") && list_has_text(finalizers, "foregroundDeletion"))
		validation_invalid(v, &path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
}

static void validate_no_new_finalizers(struct validation *v, const struct json *metadata,
                                       const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "finalizers");
	const char *added = NULL;

	if (!object_is_being_deleted(v->change->old))
		return;
	json_for_each_item (item, json_get(metadata, "finalizers"))
		if (json_text(item) && !metadata_has_finalizer(v->change->old, json_text(item)))
			added = added ? arena_printf(v->arena, "%s, \"%s\"", added, json_text(item))
			              : arena_printf(v->arena, "\"%s\"", json_text(item));
	if (added)
		validation_forbidden(v, &path,
		                     arena_printf(v->arena,
		                                  "no new finalizers can be added if the object is being deleted, "
		                                  "found new finalizers []string{%s}",
		                                  added));
}

// --- managed fields --------------------------------------------------------------------------------

static void validate_manager(struct validation *v, const char *manager, const struct rule_path *path)
{
	if (strlen(manager) > MANAGER_MAX_BYTES)
		validation_too_long(v, path, MANAGER_MAX_BYTES);
	for (const char *c = manager; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			validation_invalid_text(v, path, manager,
			                        arena_printf(v->arena, "invalid character U+%04X (at position %zu)", *c,
			                                     (size_t)(c - manager)));
}

static void validate_managed_fields(struct validation *v, const struct json *metadata, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "managedFields");

	rule_for_each_item (entry, item, json_get(metadata, "managedFields"), &path) {
		const char *operation = text_of(entry, "operation"), *type = text_of(entry, "fieldsType");
		struct rule_path operation_path = FIELD(&item, "operation"), type_path = FIELD(&item, "fieldsType"),
		                 manager = FIELD(&item, "manager"), subresource = FIELD(&item, "subresource");

		if (strcmp(operation, "Apply") && strcmp(operation, "Update"))
			validation_invalid_text(v, &operation_path, operation, "must be `Apply` or `Update`");
		if (type[0] && strcmp(type, "FieldsV1"))
			validation_invalid_text(v, &type_path, type, "must be `FieldsV1`");
		validate_manager(v, text_of(entry, "manager"), &manager);
		if (strlen(text_of(entry, "subresource")) > SUBRESOURCE_MAX_BYTES)
			validation_too_long(v, &subresource, SUBRESOURCE_MAX_BYTES);
	}
}

// --- names -----------------------------------------------------------------------------------------

// generateName is checked as the name that it begins.
static const char *maskable(struct arena *arena, const char *base)
{
	char *copy = arena_strdup(arena, base);
	size_t length = strlen(copy);

	if (length > 1 && copy[length - 1] == '-')
		copy[length - 2] = copy[length - 1] = 'a';
	return copy;
}

static void validate_name(struct validation *v, const struct json *metadata, string_check check,
                          const struct rule_path *path)
{
	const char *name = text_of(metadata, "name"), *base = text_of(metadata, "generateName"), *complaint;
	struct rule_path name_path = FIELD(path, "name"), base_path = FIELD(path, "generateName");

	for (size_t i = 0; base[0] && (complaint = check(v->arena, maskable(v->arena, base), i)); i++)
		validation_invalid_text(v, &base_path, base, complaint);
	if (!name[0])
		validation_required(v, &name_path, "name or generateName is required");
	else
		validation_string(v, &name_path, name, check);
}

void validate_name_segment(struct validation *v)
{
	struct rule_path metadata = FIELD(NULL, "metadata"), path = FIELD(&metadata, "name");

	if (v->change->name)
		validation_string(v, &path, v->change->name, check_path_segment);
}

static void validate_namespace_name(struct validation *v, const struct rule_path *parent)
{
	const struct change *change = v->change;
	struct rule_path path = FIELD(parent, "namespace");

	if (!change->resource->namespaced)
		return;
	if (!change->namespace_name[0])
		validation_required(v, &path, "");
	else
		validation_string(v, &path, change->namespace_name, check_dns_label);
}

static void validate_common(struct validation *v, const struct json *metadata, const struct rule_path *path)
{
	struct rule_path labels = FIELD(path, "labels"), annotations = FIELD(path, "annotations");

	validate_labels(v, json_get(metadata, "labels"), &labels);
	validate_annotations(v, json_get(metadata, "annotations"), &annotations);
	validate_owners(v, metadata, path);
}

void validate_metadata_create(struct validation *v, string_check name)
{
	const struct json *metadata = json_get(v->change->object, "metadata");
	struct rule_path path = FIELD(NULL, "metadata");

	validate_name(v, metadata, name, &path);
	validate_namespace_name(v, &path);
	rule_not_negative(v, metadata, "generation", &path);
	validate_common(v, metadata, &path);
	validate_finalizers(v, metadata, &path);
	validate_managed_fields(v, metadata, &path);
	validate_short_finalizers(v, metadata, &path);
}

static void validate_update_once(struct validation *v)
{
	static const char *const immutable[] = {
	        "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"};
	const struct json *metadata = json_get(v->change->object, "metadata"),
	                  *old = json_get(v->change->old, "metadata");
	struct rule_path path = FIELD(NULL, "metadata"), generation = FIELD(&path, "generation");
	int64_t number = integer_of(metadata, "generation", 0);

	validate_no_new_finalizers(v, metadata, &path);
	if (number < integer_of(old, "generation", 0))
		validation_invalid_integer(v, &generation, number, "must not be decremented");
	for (size_t i = 0; i < ARRAY_SIZE(immutable); i++)
		rule_immutable(v, metadata, old, immutable[i], &path);
	validate_common(v, metadata, &path);
	validate_managed_fields(v, metadata, &path);
}

void validate_metadata_update(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "metadata");

	validate_update_once(v);
	if (v->count)
		validate_update_once(v);
	validate_short_finalizers(v, json_get(v->change->object, "metadata"), &path);
}
