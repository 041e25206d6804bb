// SPDX-License-Identifier: Apache-2.0
// Rules, selectors, equivalent versions.
//
// matchPolicy Equivalent: when no rule names the resource as it was asked for, the
// other resources that show the same stored objects are tried, in the order of the
// tables; the first that a rule names is the form that the hook gets.

#include "apiserver/admission/match.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/custom/served.h"
#include "apiserver/encoding/convert.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/scale.h"
#include "apiserver/validation/validation.h"
#include "common/api/decode.h"

// --- rules --------------------------------------------------------------------------------

static unsigned read_operations(const struct json *list)
{
	static const struct {
		const char *name;
		unsigned bits;
	} names[] = {{"*", ADMISSION_ALL},
	             {"CREATE", ADMISSION_CREATE},
	             {"UPDATE", ADMISSION_UPDATE},
	             {"DELETE", ADMISSION_DELETE},
	             {"CONNECT", ADMISSION_CONNECT}};
	unsigned operations = 0;

	json_for_each_item (item, list)
		for (size_t i = 0; json_text(item) && i < ARRAY_SIZE(names); i++)
			if (!strcmp(json_text(item), names[i].name))
				operations |= names[i].bits;
	return operations;
}

void admission_rules_read(struct arena *arena, const struct json *rules, struct admission_rules *ret_rules)
{
	*ret_rules = (struct admission_rules){.items = ARENA_ARRAY(arena, struct admission_rule, length_of(rules) + 1)};
	json_for_each_item (rule, rules) {
		const char *scope = text_of(rule, "scope");

		ret_rules->items[ret_rules->count++] = (struct admission_rule){
		        .operations = read_operations(json_get(rule, "operations")),
		        .groups = json_get(rule, "apiGroups"),
		        .versions = json_get(rule, "apiVersions"),
		        .resources = json_get(rule, "resources"),
		        .names = length_of(json_get(rule, "resourceNames")) ? json_get(rule, "resourceNames") : NULL,
		        .scope = !strcmp(scope, "Cluster")      ? SCOPE_CLUSTER
		                 : !strcmp(scope, "Namespaced") ? SCOPE_NAMESPACED
		                                                : SCOPE_ALL,
		};
	}
}

static bool lists(const struct json *list, const char *text)
{
	json_for_each_item (item, list)
		if (json_text(item) && (!strcmp(json_text(item), "*") || !strcmp(json_text(item), text)))
			return true;
	return false;
}

static bool part_is(const char *part, size_t length, const char *text)
{
	return (length == 1 && part[0] == '*') || (strlen(text) == length && !memcmp(part, text, length));
}

// "pods", "pods/status", "pods/*", "*", "*/scale", "*/*".
static bool names_resource(const struct json *list, const char *plural, const char *subresource)
{
	json_for_each_item (item, list) {
		const char *text = json_text(item) ? json_text(item) : "";
		const char *slash = strchr(text, '/');
		size_t length = slash ? (size_t)(slash - text) : strlen(text);
		const char *rest = slash ? slash + 1 : "";

		if (part_is(text, length, plural) && part_is(rest, strlen(rest), subresource))
			return true;
	}
	return false;
}

static bool has_scope(const struct admission_rule *rule, const struct change *change)
{
	bool is_namespaced = change->namespace_name[0] && !change_is_for(change, "", "namespaces");

	return rule->scope == SCOPE_ALL || (rule->scope == SCOPE_NAMESPACED) == is_namespaced;
}

static bool has_name(const struct admission_rule *rule, const struct change *change)
{
	return !rule->names || (change->name && change->name[0] && lists(rule->names, change->name));
}

static bool rules_name(const struct admission_rules *rules, const struct change *change,
                       enum admission_operation operation, const struct schema_resource *resource)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct admission_rule *rule = &rules->items[i];

		if (rule->operations & operation && lists(rule->groups, resource->group) &&
		    lists(rule->versions, resource->version) &&
		    names_resource(rule->resources, resource->plural, change->subresource) && has_scope(rule, change) &&
		    has_name(rule, change))
			return true;
	}
	return false;
}

bool admission_is_hidden(const struct change *change)
{
	return !strcmp(change->resource->group, "admissionregistration.k8s.io");
}

static bool same_objects(const struct schema_resource *a, const struct schema_resource *b)
{
	return a->storage_prefix && b->storage_prefix && !strcmp(a->storage_prefix, b->storage_prefix);
}

static const struct schema_resource *find_equivalent(const struct admission_rules *rules, const struct change *change,
                                                     enum admission_operation operation)
{
	size_t count;
	const struct schema_resource *const *all = served_resources(change->request->served, &count);

	for (size_t i = 0; i < count; i++)
		if (all[i] != change->resource && same_objects(all[i], change->resource) &&
		    !definition_asks_webhook(all[i]) && rules_name(rules, change, operation, all[i]))
			return all[i];
	return NULL;
}

const struct schema_resource *admission_matcher_rules(const struct admission_matcher *matcher,
                                                      const struct change *change, enum admission_operation operation)
{
	if (rules_name(&matcher->excluded, change, operation, change->resource) ||
	    (!matcher->exact && matcher->excluded.count && find_equivalent(&matcher->excluded, change, operation)))
		return NULL;
	if (rules_name(&matcher->rules, change, operation, change->resource))
		return change->resource;
	return matcher->exact || !matcher->rules.count ? NULL : find_equivalent(&matcher->rules, change, operation);
}

// --- selectors ------------------------------------------------------------------------------

void admission_matcher_read(struct arena *arena, const struct json *holder, const struct json *rules,
                            const struct json *excluded, struct admission_matcher *ret_matcher)
{
	struct json *everything = json_object(arena);
	const struct json *of_namespace = json_get(holder, "namespaceSelector");
	const struct json *of_object = json_get(holder, "objectSelector");

	*ret_matcher = (struct admission_matcher){.exact = !strcmp(text_of(holder, "matchPolicy"), "Exact")};
	admission_rules_read(arena, rules, &ret_matcher->rules);
	admission_rules_read(arena, excluded, &ret_matcher->excluded);
	(void)!label_selector_from_json(arena, is_present(of_namespace) ? of_namespace : everything,
	                                &ret_matcher->namespace_selector, NULL);
	(void)!label_selector_from_json(arena, is_present(of_object) ? of_object : everything,
	                                &ret_matcher->object_selector, NULL);
}

struct json *admission_namespace_of(const struct change *change)
{
	const char *name = change_is_for(change, "", "namespaces") ? change->name : change->namespace_name;

	return name && name[0] ? admission_peek(change, schema_find_resource("", "v1", "namespaces"), "", name) : NULL;
}

static const struct json *labels_of(const struct json *object)
{
	return json_path(object, "metadata", "labels");
}

static bool namespace_is_selected(const struct admission_matcher *matcher, const struct change *change,
                                  enum admission_operation operation)
{
	const struct label_selector *selector = matcher->namespace_selector;

	if (!selector)
		return false;
	if (label_selector_is_everything(selector))
		return true;
	// A Namespace is judged by its own labels, as they are to be; by those that it has when it goes.
	if (change_is_for(change, "", "namespaces") && operation & (ADMISSION_CREATE | ADMISSION_UPDATE))
		return label_selector_matches_json(selector, labels_of(change->object));
	if (!change->namespace_name[0] && !change_is_for(change, "", "namespaces"))
		return true;
	return label_selector_matches_json(selector, labels_of(admission_namespace_of(change)));
}

bool admission_matcher_selects(const struct admission_matcher *matcher, const struct change *change,
                               enum admission_operation operation)
{
	const struct label_selector *selector = matcher->object_selector;
	const struct json *object = operation == ADMISSION_DELETE ? NULL : change->object;

	if (!namespace_is_selected(matcher, change, operation) || !selector)
		return false;
	if (label_selector_is_everything(selector))
		return true;
	return (object && label_selector_matches_json(selector, labels_of(object))) ||
	       (change->old && label_selector_matches_json(selector, labels_of(change->old)));
}

// --- views ----------------------------------------------------------------------------------

static struct json *convert(struct arena *arena, const struct schema_resource *from, const struct schema_resource *to,
                            const struct json *object)
{
	const struct definition_version *custom = definition_version_of(to);
	struct json *copy;

	if (!object)
		return NULL;
	copy = json_clone(arena, object);
	if (from == to)
		return copy;
	if (custom) {
		definition_convert(arena, custom, copy);
		return copy;
	}
	convert_to_storage(arena, from, copy);
	convert_from_storage(arena, to, copy);
	json_set_text(arena, copy, "apiVersion",
	              to->group[0] ? arena_printf(arena, "%s/%s", to->group, to->version) : to->version);
	object_complete(arena, to->type, copy);
	return copy;
}

void admission_view_make(struct change *change, enum admission_operation operation,
                         const struct schema_resource *resource, struct admission_view *ret_view)
{
	bool is_scale = !strcmp(change->subresource, "scale") && operation != ADMISSION_CONNECT;

	*ret_view = (struct admission_view){
	        .change = change, .operation = operation, .resource = resource, .is_scale = is_scale};
	if (operation == ADMISSION_CONNECT) {
		ret_view->object = change->options;
		return;
	}
	if (operation != ADMISSION_DELETE)
		ret_view->object = is_scale ? scale_from_object(change->arena, change->resource, change->object)
		                   : resource == change->resource
		                           ? change->object
		                           : convert(change->arena, change->resource, resource, change->object);
	ret_view->old = is_scale && change->old ? scale_from_object(change->arena, change->resource, change->old)
	                : resource == change->resource
	                        ? change->old
	                        : convert(change->arena, change->resource, resource, change->old);
}

const struct status *admission_view_take(const struct admission_view *view, struct json *object)
{
	struct change *change = view->change;
	struct err err = ERR_INIT;

	if (view->operation == ADMISSION_CONNECT || view->operation == ADMISSION_DELETE)
		return NULL;
	if (view->is_scale)
		return scale_apply(change->arena, change->resource, object, change->object);
	if (schema_normalize(change->arena, view->resource->type, object, NULL, &err) < 0)
		return status_internal(change->arena, "%s", err.message);
	if (view->resource != change->resource)
		object = convert(change->arena, view->resource, change->resource, object);
	object_complete(change->arena, change->resource->type, object);
	change->object = object;
	return NULL;
}

// --- the request ----------------------------------------------------------------------------

static struct json *group_version(struct arena *arena, const char *group, const char *version, const char *member,
                                  const char *name)
{
	struct json *object = json_object(arena);

	json_set_text(arena, object, "group", group);
	json_set_text(arena, object, "version", version);
	json_set_text(arena, object, member, name);
	return object;
}

static struct json *kind_of(const struct admission_view *view, const struct schema_resource *resource)
{
	struct arena *arena = view->change->arena;
	const struct schema_subresource *subresource =
	        view->change->subresource[0] ? schema_find_subresource(resource, view->change->subresource) : NULL;

	if (subresource && subresource->body_kind && subresource->body_kind[0])
		return group_version(arena, subresource->body_group ? subresource->body_group : "",
		                     subresource->body_version ? subresource->body_version : "", "kind",
		                     subresource->body_kind);
	return group_version(arena, resource->group, resource->version, "kind", resource->kind);
}

static struct json *options_of(const struct admission_view *view)
{
	struct request *request = view->change->request;
	struct arena *arena = view->change->arena;
	struct json *options = json_object(arena), *all;
	const char *kind = view->operation == ADMISSION_CREATE           ? "CreateOptions"
	                   : view->operation == ADMISSION_DELETE         ? "DeleteOptions"
	                   : request->route.operation == OPERATION_PATCH ? "PatchOptions"
	                                                                 : "UpdateOptions";
	const char *manager = request->options.field_manager;

	if (view->operation == ADMISSION_CONNECT)
		return json_null(arena);
	json_set_text(arena, options, "kind", kind);
	json_set_text(arena, options, "apiVersion", "meta.k8s.io/v1");
	if (request->options.dry_run) {
		all = json_array(arena);
		json_append(arena, all, json_string(arena, "All"));
		json_set(arena, options, "dryRun", all);
	}
	if (view->operation == ADMISSION_DELETE) {
		if (request->options.has_grace_period)
			json_set_integer(arena, options, "gracePeriodSeconds", request->options.grace_period_seconds);
		return options;
	}
	if (manager && manager[0])
		json_set_text(arena, options, "fieldManager", manager);
	return options;
}

struct json *admission_view_request(const struct admission_view *view, const char *uid)
{
	struct change *change = view->change;
	struct arena *arena = change->arena;
	struct json *request = json_object(arena);

	json_set_text(arena, request, "uid", uid);
	json_set(arena, request, "kind", kind_of(view, view->resource));
	json_set(arena, request, "resource",
	         group_version(arena, view->resource->group, view->resource->version, "resource",
	                       view->resource->plural));
	if (change->subresource[0])
		json_set_text(arena, request, "subResource", change->subresource);
	json_set(arena, request, "requestKind", kind_of(view, change->resource));
	json_set(arena, request, "requestResource",
	         group_version(arena, change->resource->group, change->resource->version, "resource",
	                       change->resource->plural));
	if (change->subresource[0])
		json_set_text(arena, request, "requestSubResource", change->subresource);
	if (change->name && change->name[0])
		json_set_text(arena, request, "name", change->name);
	if (change_is_for(change, "", "namespaces") && change->name)
		json_set_text(arena, request, "namespace", change->name);
	else if (change->namespace_name[0])
		json_set_text(arena, request, "namespace", change->namespace_name);
	json_set_text(arena, request, "operation", admission_operation_name(view->operation));
	json_set(arena, request, "userInfo", user_to_json(arena, &change->request->user));
	json_set_bool(arena, request, "dryRun", change->request->options.dry_run);
	json_set(arena, request, "options", options_of(view));
	return request;
}
