// SPDX-License-Identifier: Apache-2.0
// What of a resource its cache keeps: copies, since a custom resource's tables may
// go while objects and watches of it are still in hands.
#include "apiserver/encryption/encryption.h"
#include "apiserver/storage/storage_object.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static char **split_path(const char *path)
{
	size_t count = 1;
	for (const char *at = path; *at; at++)
		count += *at == '.';
	char **names = xcalloc(count + 1, sizeof(*names));
	for (size_t i = 0; i < count; i++) {
		size_t length = strcspn(path, ".");
		names[i] = xstrndup(path, length);
		path += length + 1;
	}
	return names;
}

static const char *absent_value(const struct schema_type *type, char *const *path)
{
	for (; type && *path; path++) {
		const struct schema_field *field =
		        type->kind == SCHEMA_STRUCT ? schema_find_field(type, *path, strlen(*path), NULL) : NULL;
		if (!field)
			return "";
		type = field->type;
	}
	if (!type)
		return "";
	if (type->kind == SCHEMA_INT32 || type->kind == SCHEMA_INT64)
		return "0";
	return type->kind == SCHEMA_BOOL ? "false" : "";
}

void storage_object_format_init(struct storage_object_format *format, const struct schema_resource *resource)
{
	size_t count = resource->selectable_field_count;
	*format = (struct storage_object_format){0};
	storage_form_init(&format->form, resource);
	format->field_count = count;
	format->paths = xcalloc(count + 1, sizeof(*format->paths));
	format->absent = xcalloc(count + 1, sizeof(*format->absent));
	for (size_t i = 0; i < count; i++) {
		const struct schema_selectable_field *field = &resource->selectable_fields[i];
		const char *path = field->json_path ? field->json_path : field->label;
		format->paths[i] = split_path(*path == '.' ? path + 1 : path);
		format->absent[i] = absent_value(resource->type, format->paths[i]);
	}
}

void storage_object_format_done(struct storage_object_format *format)
{
	for (size_t i = 0; i < format->field_count; i++) {
		for (char **name = format->paths[i]; *name; name++)
			free(*name);
		free(format->paths[i]);
	}
	storage_form_done(&format->form);
	free(format->sealing.group);
	free(format->sealing.plural);
	free(format->sealing.prefix);
	free(format->paths);
	free(format->absent);
	*format = (struct storage_object_format){0};
}

void storage_object_format_seal(struct storage_object_format *format, struct encryption *encryption,
                                const struct schema_resource *resource, const char *prefix)
{
	format->sealing = (struct storage_sealing){
	        .encryption = encryption,
	        .group = xstrdup(resource->group),
	        .plural = xstrdup(resource->plural),
	        .prefix = xstrdup(prefix),
	};
}

int storage_object_seal(const struct storage_object_format *format, const char *etcd_key, struct blob *json,
                        struct blob **ret_value, struct err *err)
{
	const struct storage_sealing *sealing = &format->sealing;
	if (!sealing->encryption) {
		*ret_value = json;
		return 0;
	}
	int outcome =
	        encryption_seal(sealing->encryption, sealing->group, sealing->plural, etcd_key, json, ret_value, err);
	blob_unref(json);
	return outcome;
}
