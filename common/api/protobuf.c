// SPDX-License-Identifier: Apache-2.0
// Which types have a protobuf form, and the envelope around objects.

#include "common/api/protobuf.h"

#include <string.h>

#include "common/api/object.h"
#include "common/api/protobuf_internal.h"
#include "common/api/protobuf_wire.h"

static const char magic[] = {'k', '8', 's', 0};

bool protobuf_serves_type(const struct schema_type *type)
{
	if (!type || type->kind != SCHEMA_STRUCT)
		return false;
	for (size_t i = 0; i < type->field_count; i++)
		if (type->fields[i].proto_number)
			return true;
	return false;
}

bool protobuf_is_schema_or_bool(const struct schema_type *type)
{
	return type->element && !strcmp(type->name, "JSONSchemaPropsOrBool");
}

bool protobuf_is_schema_or_texts(const struct schema_type *type)
{
	return type->element && !strcmp(type->name, "JSONSchemaPropsOrStringArray");
}

const struct schema_type *protobuf_find_type(const char *group, const char *version, const char *name)
{
	for (size_t i = 0; i < schema_type_count; i++) {
		const struct schema_type *type = schema_types[i];

		if (type->kind == SCHEMA_STRUCT && type->group && !strcmp(type->name, name) &&
		    !strcmp(type->group, group) && !strcmp(type->version, version))
			return type;
	}
	return NULL;
}

const struct schema_type *protobuf_type_of(const struct json *object)
{
	const char *api_version = object_api_version(object), *kind = object_kind(object);
	const char *slash = api_version ? strchr(api_version, '/') : NULL;
	const struct schema_resource *resource;
	const struct schema_type *type;
	char group[128] = "";

	if (!api_version || !kind || (slash && (size_t)(slash - api_version) >= sizeof(group)))
		return NULL;
	if (slash)
		memcpy(group, api_version, (size_t)(slash - api_version));
	const char *version = slash ? slash + 1 : api_version;

	resource = schema_find_kind(group, version, kind);
	type = resource ? resource->type : protobuf_find_type(group, version, kind);
	// Status, options and the like are core's by name and meta's by type.
	if (!type && !group[0] && !strcmp(version, "v1"))
		type = protobuf_find_type("meta.k8s.io", "v1", kind);
	return protobuf_serves_type(type) ? type : NULL;
}

// --- the envelope -------------------------------------------------------------------------

bool protobuf_is_envelope(const char *data, size_t length)
{
	return length >= sizeof(magic) && !memcmp(data, magic, sizeof(magic));
}

static size_t text_field_size(size_t length)
{
	return 1 + wire_varint_size(length) + length;
}

void protobuf_append_envelope_head(struct strbuf *out, const char *api_version, const char *kind, size_t message_length)
{
	size_t api_version_length = strlen(api_version), kind_length = strlen(kind);

	strbuf_append(out, magic, sizeof(magic));
	wire_append_head(out, 1, text_field_size(api_version_length) + text_field_size(kind_length));
	wire_append_text(out, 1, api_version, api_version_length);
	wire_append_text(out, 2, kind, kind_length);
	wire_append_head(out, 2, message_length);
}

void protobuf_envelope_message(const struct blob *envelope, size_t *ret_offset, size_t *ret_length)
{
	const uint8_t *data = (const uint8_t *)envelope->data;
	struct wire_span span = {data + sizeof(magic), data + envelope->length};
	struct wire_value value;
	uint32_t number;

	*ret_offset = *ret_length = 0;
	while (span.at < span.end && wire_read_field(&span, &number, &value))
		if (number == 2 && value.wire_type == WIRE_BYTES) {
			*ret_offset = (size_t)(value.bytes.at - data);
			*ret_length = wire_span_length(value.bytes);
			return;
		}
}
