// SPDX-License-Identifier: Apache-2.0
// What of a resource its cache keeps: copies, since a custom resource's tables may
// go while objects and watches of it are still in hands.
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
	free(format->paths);
	free(format->absent);
	*format = (struct storage_object_format){0};
}
