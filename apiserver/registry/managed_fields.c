// SPDX-License-Identifier: Apache-2.0
// Between requests and the rules of field ownership (common/api/apply.h).
//
// The writer's changes are found after its request was decoded and before
// admission: what admission, strategies and allocators add belongs to nobody.
// Fields that a kind of write can't change (status by the main resource, all but
// metadata and status by the status subresource) are left out of its sets.
//
// As upstream: objects stored without managers stay so until somebody applies;
// a client may replace the list through the main resource, an empty list or one
// that can't be read counts as not sent, a list of one empty entry clears it.

#include "apiserver/registry/managed_fields.h"

#include <ctype.h>
#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/custom/served.h"
#include "apiserver/encoding/convert.h"
#include "common/api/apply.h"
#include "common/api/decode.h"
#include "common/api/object.h"
#include "common/base/encode.h"

enum {
	MANAGER_MAX_BYTES = 128,
	MESSAGE_MAX_BYTES = 1 << 20,
	ANNOTATION_MAX_BYTES = 256 << 10,
};

#define KUBECTL_MANAGER "kubectl"

const char *managed_fields_manager(struct request *request)
{
	const char *agent = http_request_header(request->http, "user-agent");
	size_t length;
	char *name;

	if (request->options.field_manager && request->options.field_manager[0])
		return request->options.field_manager;
	if (!agent)
		return "";
	length = strcspn(agent, "/");
	name = arena_strndup(request->arena, agent, length < MANAGER_MAX_BYTES ? length : MANAGER_MAX_BYTES);
	for (char *c = name; *c; c++)
		if (!isprint((unsigned char)*c)) {
			*c = '\0';
			break;
		}
	return name;
}

static const struct status *invalid_option(struct request *request, const char *kind, const char *field,
                                           const char *reason, const char *message)
{
	const struct status *status =
	        status_new(request->arena, ERR_INVALID, "%s.meta.k8s.io \"\" is invalid: %s: %s", kind, field, message);
	struct status *detailed = (struct status *)status_with_cause(request->arena, status,
	                                                             (struct status_cause){reason, message, field});

	detailed->group = "meta.k8s.io";
	detailed->kind = kind;
	return detailed;
}

const struct status *managed_fields_check_options(struct request *request, const char *options_kind, bool apply)
{
	const char *manager = request->options.field_manager;

	if (apply && (!manager || !manager[0]))
		return invalid_option(request, options_kind, "fieldManager", "FieldValueRequired",
		                      "Required value: is required for apply patch");
	if (!apply && request->options.force)
		return invalid_option(request, options_kind, "force", "FieldValueForbidden",
		                      "Forbidden: may not be specified for non-apply patch");
	if (manager && strlen(manager) > MANAGER_MAX_BYTES)
		return invalid_option(request, options_kind, "fieldManager", "FieldValueTooLong",
		                      "Too long: may not be more than 128 bytes");
	for (const char *c = manager; c && *c; c++)
		if (iscntrl((unsigned char)*c))
			return invalid_option(request, options_kind, "fieldManager", "FieldValueInvalid",
			                      "Invalid value: should contain printable characters only");
	return NULL;
}

// --- the write as the rules see it -------------------------------------------------------

static const char *api_version_of(struct arena *arena, const struct schema_resource *resource)
{
	return resource->group[0] ? arena_printf(arena, "%s/%s", resource->group, resource->version)
	                          : resource->version;
}

// Versions that a webhook converts are compared by the names of their fields alone: it isn't asked here.
static bool is_same_kind(const struct schema_resource *a, const struct schema_resource *b)
{
	const struct definition_version *left = definition_version_of(a), *right = definition_version_of(b);

	if (left && right)
		return left->definition == right->definition;
	return convert_storage_resource(a) == convert_storage_resource(b);
}

static struct json *in_version(void *context, const char *api_version, const struct json *object,
                               const struct schema_type **ret_type)
{
	const struct change *change = context;
	const struct schema_resource *resource;
	const char *group, *version;
	struct json *copy;

	api_version_split(change->arena, api_version, &group, &version);
	resource = served_find_kind(change->request->served, group, version, change->resource->kind);
	if (!resource || !is_same_kind(resource, change->resource))
		return NULL;
	copy = json_clone(change->arena, object);
	convert_to_storage(change->arena, change->resource, copy);
	convert_from_storage(change->arena, resource, copy);
	schema_fill_shape(change->arena, resource->type, copy);
	*ret_type = resource->type;
	return copy;
}

static struct field_write write_of(struct change *change)
{
	static const char *const status[] = {"status", NULL}, *const of_status[] = {"metadata", "status", NULL};
	bool is_status = !strcmp(change->subresource, "status") || !strcmp(change->subresource, "approval");
	char *now = arena_alloc(change->arena, API_TIME_BYTES);

	api_time_format(change->request->received_realtime_ns, now);
	return (struct field_write){
	        .arena = change->arena,
	        .type = change->resource->type,
	        .manager = managed_fields_manager(change->request),
	        .api_version = api_version_of(change->arena, change->resource),
	        .subresource = change->subresource,
	        .now = now,
	        // A custom resource's status takes nothing of the metadata with it.
	        .only = !is_status                                ? NULL
	                : definition_version_of(change->resource) ? status
	                                                          : of_status,
	        .except = !is_status && change->resource->has_status ? status : NULL,
	        .in_version = in_version,
	        .context = change,
	};
}

static struct json *entries_of(const struct json *object)
{
	return json_path(object, "metadata", "managedFields");
}

static void set_entries(struct change *change, struct json *entries)
{
	struct json *metadata = json_ensure_object(change->arena, change->object, "metadata");

	if (entries)
		json_set(change->arena, metadata, "managedFields", entries);
	else
		json_remove(metadata, "managedFields");
}

static struct json *empty_object(const struct change *change)
{
	struct json *empty = json_object(change->arena);

	schema_fill_shape(change->arena, change->resource->type, empty);
	return empty;
}

// --- updates ------------------------------------------------------------------------------

// The managers that the update starts from. False: the client clears the list.
static bool read_managers(struct change *change, struct field_managers *managers, struct json **ret_entries)
{
	struct json *sent = entries_of(change->object), *stored = entries_of(change->old);

	*managers = (struct field_managers){0};
	*ret_entries = stored;
	if (!change->subresource[0] && json_is(sent, JSON_ARRAY) && sent->length) {
		if (sent->length == 1 && json_is(sent->items[0], JSON_OBJECT) && !sent->items[0]->length)
			return false;
		*ret_entries = sent;
		if (!field_managers_parse(change->arena, sent, managers, NULL) && managers->count)
			return true;
		*ret_entries = stored;
	}
	if (field_managers_parse(change->arena, stored, managers, NULL) < 0)
		*managers = (struct field_managers){0};
	return true;
}

void managed_fields_update(struct change *change)
{
	struct field_managers managers;
	struct field_write write;
	struct json *entries;

	if (!read_managers(change, &managers, &entries) || (change->old && !managers.count)) {
		set_entries(change, NULL);
		return;
	}
	write = write_of(change);
	if (field_write_update(&write, change->old ? change->old : empty_object(change), change->object, &managers))
		entries = field_managers_to_json(change->arena, &managers);
	set_entries(change, entries);
}

void managed_fields_settle(struct change *change)
{
	struct json *wanted = entries_of(change->object), *stored = entries_of(change->old);

	if (!wanted || !stored || json_equal(wanted, stored) || !field_managers_same_but_time(wanted, stored))
		return;
	set_entries(change, stored);
	if (!json_equal(change->object, change->old))
		set_entries(change, wanted);
}

// --- apply --------------------------------------------------------------------------------

static const char *manager_text(struct arena *arena, const struct field_manager *manager)
{
	struct strbuf text = STRBUF_INIT(4096);
	const char *result;

	quote_append(&text, manager->name, strlen(manager->name));
	if (manager->subresource[0]) {
		strbuf_append_text(&text, " with subresource ");
		quote_append(&text, manager->subresource, strlen(manager->subresource));
	}
	if (!manager->applied)
		strbuf_printf(&text, " using %s", manager->api_version);
	result = arena_strdup(arena, strbuf_text(&text));
	strbuf_done(&text);
	return result;
}

static const char *conflict_message(struct arena *arena, const struct field_conflicts *conflicts)
{
	struct strbuf text = STRBUF_INIT(MESSAGE_MAX_BYTES);
	const char *result;

	strbuf_printf(&text, "Apply failed with %zu conflict%s: ", conflicts->count, conflicts->count == 1 ? "" : "s");
	if (conflicts->count == 1)
		strbuf_printf(&text, "conflict with %s: %s", manager_text(arena, conflicts->items[0].manager),
		              conflicts->items[0].path);
	for (size_t i = 0; conflicts->count > 1 && i < conflicts->count; i++) {
		const struct field_conflict *conflict = &conflicts->items[i];

		if (!i || conflict->manager != conflicts->items[i - 1].manager)
			strbuf_printf(&text, "%sconflicts with %s:", i ? "\n" : "",
			              manager_text(arena, conflict->manager));
		strbuf_printf(&text, "\n- %s", conflict->path);
	}
	result = arena_strdup(arena, strbuf_text(&text));
	strbuf_done(&text);
	return result;
}

static const struct status *conflict_status(struct arena *arena, const struct field_conflicts *conflicts)
{
	struct status *status = ARENA_NEW(arena, struct status);

	status->code = 409;
	status->reason = "Conflict";
	status->message = conflict_message(arena, conflicts);
	status->cause_count = conflicts->count;
	status->causes = ARENA_ARRAY(arena, struct status_cause, conflicts->count);
	for (size_t i = 0; i < conflicts->count; i++)
		status->causes[i] = (struct status_cause){
		        "FieldManagerConflict",
		        arena_printf(arena, "conflict with %s", manager_text(arena, conflicts->items[i].manager)),
		        conflicts->items[i].path};
	return status;
}

// kubectl's client-side apply goes on from its annotation: it follows kubectl's server-side ones.
static void refresh_last_applied(struct change *change, const struct json *config)
{
	struct json *annotations = json_path(change->object, "metadata", "annotations");
	const char *known = json_get_text(annotations, LAST_APPLIED_ANNOTATION);
	struct json *applied, *own;
	struct strbuf text = STRBUF_INIT(ANNOTATION_MAX_BYTES);

	if (known && known[0]) {
		applied = json_clone(change->arena, config);
		own = json_path(applied, "metadata", "annotations");
		if (own)
			json_remove(own, LAST_APPLIED_ANNOTATION);
		if (own && !own->length)
			json_remove(json_get(applied, "metadata"), "annotations");
		json_sort_keys(applied);
		json_write(&text, applied);
		strbuf_append_char(&text, '\n');
		if (!text.overflowed)
			json_set_text(change->arena, annotations, LAST_APPLIED_ANNOTATION, strbuf_text(&text));
	}
	strbuf_done(&text);
}

const struct status *managed_fields_apply(struct change *change, struct json *config)
{
	struct field_write write = write_of(change);
	struct field_managers managers = {0};
	struct field_conflicts conflicts;
	struct field_set taken_over = FIELD_SET_INIT;
	struct json *applied = json_clone(change->arena, config);
	struct json *live = change->old ? change->object : empty_object(change);
	bool by_kubectl = !strcmp(write.manager, KUBECTL_MANAGER);
	struct err err = ERR_INIT;

	if (field_managers_parse(change->arena, entries_of(change->old), &managers, &err) < 0)
		return status_internal(change->arena, "failed to decode managed fields: %s", err.message);
	json_remove(json_get(live, "metadata"), "managedFields");
	if (by_kubectl && change->old)
		taken_over = field_set_of_last_applied(change->arena, write.type, write.api_version, live);
	if (!field_write_apply(&write, live, applied, change->request->options.force, &taken_over, &managers,
	                       &change->object, &conflicts))
		return conflict_status(change->arena, &conflicts);
	if (by_kubectl && change->old)
		refresh_last_applied(change, config);
	set_entries(change, field_managers_to_json(change->arena, &managers));
	return NULL;
}
