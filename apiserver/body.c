// SPDX-License-Identifier: Apache-2.0
// Decoding of bodies. Errors carry the words that upstream's decoder puts around
// them, since people paste them into search engines:
//
//   Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.x"
//
// What only fieldValidation judges (unknown and duplicate fields) is collected
// while reading and turned into an error, warnings or nothing at the end.

#include "apiserver/body.h"

#include <string.h>

#include "apiserver/object_io.h"
#include "common/api/decode.h"
#include "common/api/object.h"
#include "common/api/protobuf.h"
#include "common/api/yaml.h"
#include "common/base/encode.h"

enum {
	BODY_MAX_ISSUES = 100,
	BODY_MAX_NODES = 1 << 20,
	BODY_MAX_PATCH_OPERATIONS = 10000,
	BODY_MAX_SHOWN = 64 << 10,
};

struct duplicates {
	struct arena *arena;
	const char *texts[BODY_MAX_ISSUES];
	size_t count;
};

struct body_kind body_kind_of(const struct schema_resource *resource)
{
	return (struct body_kind){resource->group, resource->version, resource->kind, resource->type, NULL};
}

struct body_kind body_kind_of_route(const struct route *route)
{
	const struct schema_subresource *subresource = route->subresource;

	if (!subresource || !subresource->body_kind || !subresource->body_type)
		return body_kind_of(route->resource);
	return (struct body_kind){subresource->body_group, subresource->body_version, subresource->body_kind,
	                          subresource->body_type, NULL};
}

static void on_duplicate(void *context, const char *path)
{
	struct duplicates *duplicates = context;

	if (duplicates->count < BODY_MAX_ISSUES)
		duplicates->texts[duplicates->count++] =
		        arena_printf(duplicates->arena, "duplicate field \"%s\"", path);
}

static int parse_text(struct request *request, enum body_format format, const struct schema_type *type,
                      struct duplicates *duplicates, struct json **ret_value, struct err *err)
{
	struct json_limits limits = {.max_nodes = BODY_MAX_NODES, .on_duplicate = on_duplicate, .context = duplicates};
	const struct http_request *http = request->http;
	struct yaml_document *documents;
	size_t count;
	int r;

	if (format == BODY_PROTOBUF)
		return protobuf_read_object(request->arena, type, http->body, http->body_length, ret_value, err);
	if (format == BODY_JSON)
		return json_parse(request->arena, http->body, http->body_length, &limits, ret_value, err);
	r = yaml_parse(request->arena, http->body, http->body_length, &limits, &documents, &count, err);
	if (r < 0)
		return r;
	if (count != 1)
		return err_set(err, ERR_BAD_REQUEST, "the body must hold exactly one YAML document");
	*ret_value = documents[0].value;
	return 0;
}

static const struct status *unrecognized(struct request *request, const struct body_kind *kind, const char *why)
{
	size_t shown = request->http->body_length < 16 ? request->http->body_length : 16;
	char prefix[33] = "";

	hex_encode(prefix, request->http->body, shown);
	return status_new(request->arena, ERR_BAD_REQUEST,
	                  "the object provided is unrecognized (must be of type %s): %s (%s%s)", kind->kind, why,
	                  prefix, shown < request->http->body_length ? " ..." : "");
}

static const struct status *cannot_handle(struct request *request, const struct body_kind *kind, const char *why)
{
	return status_new(request->arena, ERR_BAD_REQUEST, "%s in version \"%s\" cannot be handled as a %s: %s",
	                  kind->kind, kind->version, kind->kind, why);
}

// As Go prints decoded JSON: map[a:1 b:[x y]], keys in order.
static void write_go_value(struct strbuf *out, const struct json *value)
{
	size_t count = 0;

	if (json_is(value, JSON_OBJECT)) {
		strbuf_append_text(out, "map[");
		json_for_each_member (member, value) {
			strbuf_printf(out, "%s%s:", count++ ? " " : "", member->key);
			write_go_value(out, member->value);
		}
		strbuf_append_char(out, ']');
	} else if (json_is(value, JSON_ARRAY)) {
		strbuf_append_char(out, '[');
		json_for_each_item (item, value) {
			strbuf_append_text(out, count++ ? " " : "");
			write_go_value(out, item);
		}
		strbuf_append_char(out, ']');
	} else if (json_is(value, JSON_NULL)) {
		strbuf_append_text(out, "<nil>");
	} else if (json_text(value)) {
		strbuf_append_text(out, json_text(value));
	} else {
		json_write(out, value);
	}
}

// A patch that leaves what no object of the kind may be.
static const struct status *invalid_patch(struct request *request, const struct body_patched *patched, const char *why)
{
	struct strbuf text = STRBUF_INIT(BODY_MAX_SHOWN), quoted = STRBUF_INIT(2 * BODY_MAX_SHOWN);
	const struct status *status;

	if (patched->format == BODY_STRATEGIC_PATCH) {
		struct json *sorted = json_clone(request->arena, patched->patch);

		json_sort_keys(sorted);
		write_go_value(&text, sorted);
	} else {
		json_write(&text, patched->object);
	}
	json_write_string(&quoted, strbuf_text(&text), strlen(strbuf_text(&text)));
	status = status_invalid_field(request->arena, "patch",
	                              arena_printf(request->arena, "Invalid value: %s: %s", strbuf_text(&quoted), why));
	strbuf_done(&text);
	strbuf_done(&quoted);
	return status;
}

static const char *join(struct arena *arena, const char *separator, const char *const *texts, size_t count)
{
	const char *joined = "";

	for (size_t i = 0; i < count; i++)
		joined = arena_printf(arena, "%s%s%s", joined, i ? separator : "", texts[i]);
	return joined;
}

static const struct status *refuse(struct request *request, const struct body_kind *kind,
                                   const struct body_patched *patched, const char *why)
{
	return patched ? invalid_patch(request, patched, why) : cannot_handle(request, kind, why);
}

// Judges what strict decoding would refuse.
static const struct status *judge_issues(struct request *request, const struct body_kind *kind,
                                         const struct decode_issues *unknown, const struct duplicates *duplicates,
                                         const struct body_patched *patched)
{
	size_t count = unknown->count + (duplicates ? duplicates->count : 0);
	const char **all;

	if (!count || request->options.field_validation == FIELD_VALIDATION_IGNORE)
		return NULL;
	all = ARENA_ARRAY(request->arena, const char *, count);
	// Custom resources are read as documents first, and only then by their schema.
	size_t first = kind->type && kind->type->structural && duplicates ? duplicates->count : 0;

	for (size_t i = 0; i < unknown->count; i++)
		all[first + i] = unknown->texts[i];
	for (size_t i = 0; i < count - unknown->count; i++)
		all[first ? i : unknown->count + i] = duplicates->texts[i];
	if (request->options.field_validation == FIELD_VALIDATION_STRICT)
		return refuse(request, kind, patched,
		              arena_printf(request->arena, "strict decoding error: %s",
		                           join(request->arena, ", ", all, count)));
	for (size_t i = 0; i < count; i++)
		request_warn(request, all[i]);
	return NULL;
}

static const char *api_version_of(struct arena *arena, const struct body_kind *kind)
{
	return kind->group[0] ? arena_printf(arena, "%s/%s", kind->group, kind->version) : kind->version;
}

static bool is_older(struct arena *arena, const struct body_kind *kind, const char *api_version)
{
	return kind->older_version &&
	       !strcmp(api_version, arena_printf(arena, "%s/%s", kind->group, kind->older_version));
}

// A body without apiVersion and kind is taken for what the path says.
static const struct status *check_kind(struct request *request, const struct body_kind *kind, struct json *object)
{
	const char *expected = api_version_of(request->arena, kind);
	const char *api_version = json_get_text(object, "apiVersion");
	const char *name = json_get_text(object, "kind");

	if (api_version && api_version[0] && strcmp(api_version, expected) &&
	    !is_older(request->arena, kind, api_version))
		return status_new(request->arena, ERR_BAD_REQUEST,
		                  "the API version in the data (%s) does not match the expected API version (%s)",
		                  api_version, expected);
	if (name && name[0] && strcmp(name, kind->kind))
		return status_new(request->arena, ERR_BAD_REQUEST,
		                  "%s in version \"%s\" cannot be handled as a %s: the kind in the data does not match "
		                  "the kind of the resource",
		                  name, kind->version, kind->kind);
	json_set_text(request->arena, object, "kind", kind->kind);
	json_set_text(request->arena, object, "apiVersion", expected);
	return NULL;
}

static const struct status *normalize(struct request *request, const struct body_kind *kind, struct json *object,
                                      const struct duplicates *duplicates, const struct body_patched *patched)
{
	struct decode_issues issues = {0};
	const struct status *status;
	struct err err = ERR_INIT;

	if (schema_normalize(request->arena, kind->type, object, &issues, &err) < 0)
		return refuse(request, kind, patched, err.message);
	status = judge_issues(request, kind, &issues, duplicates, patched);
	if (!status)
		object_complete(request->arena, kind->type, object);
	return status;
}

const struct status *body_normalize(struct request *request, const struct body_kind *kind,
                                    const struct body_patched *patched)
{
	return normalize(request, kind, patched->object, NULL, patched);
}

static const struct status *check_syntax(struct request *request, const struct body_kind *kind, struct json *object)
{
	if (!json_is(object, JSON_OBJECT))
		return unrecognized(
		        request, kind,
		        "couldn't get version/kind; json parse error: json: cannot unmarshal the value into "
		        "Go value of type struct");
	return check_kind(request, kind, object);
}

const struct status *body_decode_object(struct request *request, const struct body_kind *kind, struct json **ret_object)
{
	struct duplicates *duplicates = ARENA_NEW(request->arena, struct duplicates);
	const struct status *status;
	enum body_format format;
	struct json *object;
	struct err err = ERR_INIT;

	status = negotiate_body(request->arena, http_request_header(request->http, "content-type"), false, &format);
	if (status)
		return status;
	if (format == BODY_PROTOBUF && !protobuf_serves_type(kind->type))
		return negotiate_no_protobuf(request->arena);
	if (!request->http->body_length)
		return unrecognized(request, kind,
		                    "couldn't get version/kind; json parse error: unexpected end of JSON input");
	if (request->admitted_body) {
		*ret_object = json_clone(request->arena, request->admitted_body);
		return NULL;
	}
	duplicates->arena = request->arena;
	if (parse_text(request, format, kind->type, duplicates, &object, &err) < 0)
		return unrecognized(request, kind,
		                    arena_printf(request->arena, "couldn't get version/kind; %s%s",
		                                 format == BODY_PROTOBUF ? "" : "json parse error: ", err.message));
	status = check_syntax(request, kind, object);
	if (!status)
		status = normalize(request, kind, object, duplicates, NULL);
	if (!status)
		*ret_object = object;
	return status;
}

const struct status *body_decode_optional(struct request *request, const struct schema_type *type,
                                          struct json **ret_value)
{
	struct duplicates *duplicates = ARENA_NEW(request->arena, struct duplicates);
	const struct status *status;
	enum body_format format;
	struct err err = ERR_INIT;

	*ret_value = NULL;
	if (!request->http->body_length)
		return NULL;
	status = negotiate_body(request->arena, http_request_header(request->http, "content-type"), false, &format);
	if (status)
		return status;
	if (format == BODY_PROTOBUF && !protobuf_serves_type(type))
		return negotiate_no_protobuf(request->arena);
	duplicates->arena = request->arena;
	if (parse_text(request, format, type, duplicates, ret_value, &err) < 0)
		return status_new(request->arena, ERR_BAD_REQUEST, "%s", err.message);
	return NULL;
}

static const struct status *not_unmarshalled(struct arena *arena, const struct json *value, const char *go_type)
{
	const char *given = json_is(value, JSON_OBJECT)  ? "object"
	                    : json_is(value, JSON_ARRAY) ? "array"
	                    : json_is(value, JSON_BOOL)  ? "bool"
	                    : json_text(value)           ? "string"
	                                                 : "number";

	return status_new(arena, ERR_BAD_REQUEST,
	                  "error decoding patch: json: cannot unmarshal %s into Go value of type %s", given, go_type);
}

const struct status *body_decode_patch(struct request *request, enum body_format *ret_format, struct json **ret_patch)
{
	const struct status *status =
	        negotiate_body(request->arena, http_request_header(request->http, "content-type"), true, ret_format);
	struct json_limits limits = {.max_nodes = BODY_MAX_NODES};
	struct err err = ERR_INIT;

	if (status)
		return status;
	if (json_parse(request->arena, request->http->body, request->http->body_length, &limits, ret_patch, &err) < 0)
		return status_new(request->arena, ERR_BAD_REQUEST, "error decoding patch: %s", err.message);
	if (*ret_format != BODY_JSON_PATCH)
		return json_is(*ret_patch, JSON_OBJECT)
		               ? NULL
		               : not_unmarshalled(request->arena, *ret_patch, "map[string]interface {}");
	if (!json_is(*ret_patch, JSON_ARRAY))
		return not_unmarshalled(request->arena, *ret_patch, "[]handlers.jsonPatchOp");
	if ((*ret_patch)->length > BODY_MAX_PATCH_OPERATIONS)
		return status_new(request->arena, ERR_TOO_LARGE,
		                  "The allowed maximum operations in a JSON patch is %d, got %u",
		                  BODY_MAX_PATCH_OPERATIONS, (*ret_patch)->length);
	return NULL;
}
