// SPDX-License-Identifier: Apache-2.0
#include "ctl/selection.h"

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/strbuf.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/resources.h"

enum {
	QUERY_MAX_BYTES = 64 * 1024,
	DEFAULT_CHUNK = 500,
};

// --- words ------------------------------------------------------------------------------------

static const char *namespace_for(struct ctl *ctl, const struct selection_options *options,
                                 const struct schema_resource *resource)
{
	return resource->namespaced && !options->all_namespaces ? ctl_namespace(ctl) : NULL;
}

static void add(struct ctl *ctl, const struct selection_options *options, const struct schema_resource *resource,
                const char *name, struct target_list *list)
{
	const struct target target = {
	        .resource = resource,
	        .namespace_name = namespace_for(ctl, options, resource),
	        .name = name,
	};
	target_list_add(ctl->arena, list, &target);
}

// "pods,svc,all" to resources; false when one is unknown.
static bool find_types(struct ctl *ctl, const char *words, const struct schema_resource ***ret_types, size_t *ret_count)
{
	enum { MAX_TYPES = 512 };
	const struct schema_resource **types = ARENA_ARRAY(ctl->arena, const struct schema_resource *, MAX_TYPES);
	size_t count = 0;
	char *rest = arena_strdup(ctl->arena, words);
	for (const char *word; (word = strsep(&rest, ",")) && count < MAX_TYPES;) {
		size_t category_count = 0;
		const struct schema_resource **category = NULL;
		if (!word[0]) {
			report(ctl, "arguments in resource/name form must have a single resource and name");
			return false;
		}
		category = resources_in_category(ctl, word, &category_count);
		for (size_t i = 0; i < category_count && count < MAX_TYPES; i++)
			types[count++] = category[i];
		if (category_count)
			continue;
		types[count] = resource_find(ctl, word);
		if (!types[count++])
			return false;
	}
	*ret_types = types;
	*ret_count = count;
	return true;
}

static bool has_slash(const char *text)
{
	return strchr(text, '/') != NULL;
}

static bool resolve_pairs(struct ctl *ctl, const struct selection_options *options, int argc, char **argv,
                          struct target_list *list)
{
	for (int i = 0; i < argc; i++) {
		const char *slash = strchr(argv[i], '/');
		if (!slash) {
			report(ctl,
			       "there is no need to specify a resource type as a separate argument when passing "
			       "arguments in resource/name form (e.g. '%s get resource/<resource_name>' instead of '%s "
			       "get resource resource/<resource_name>'",
			       ctl->program, ctl->program);
			return false;
		}
		const char *type = arena_strndup(ctl->arena, argv[i], (size_t)(slash - argv[i]));
		if (!type[0] || !slash[1] || has_slash(slash + 1)) {
			report(ctl, "arguments in resource/name form must have a single resource and name");
			return false;
		}
		const struct schema_resource *resource = resource_find(ctl, type);
		if (!resource)
			return false;
		add(ctl, options, resource, slash + 1, list);
	}
	return true;
}

static bool any_slash(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (has_slash(argv[i]))
			return true;
	return false;
}

static bool resolve_words(struct ctl *ctl, const struct selection_options *options, int argc, char **argv,
                          struct target_list *list)
{
	const struct schema_resource **types;
	size_t count;
	if (any_slash(argc, argv))
		return resolve_pairs(ctl, options, argc, argv, list);
	if (!find_types(ctl, argv[0], &types, &count))
		return false;
	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < count; k++)
			add(ctl, options, types[k], argv[i], list);
	for (size_t k = 0; argc == 1 && k < count; k++)
		add(ctl, options, types[k], NULL, list);
	return true;
}

static bool report_nothing_given(struct ctl *ctl)
{
	report(ctl, "You must provide one or more resources by argument or filename.\n"
	            "Example resource specifications include:\n"
	            "   '-f rsrc.yaml'\n"
	            "   '--filename=rsrc.json'\n"
	            "   '<resource> <name>'\n"
	            "   '<resource>'");
	return false;
}

bool selection_resolve(struct ctl *ctl, const struct selection_options *options, int argc, char **argv,
                       struct target_list *list)
{
	bool has_files = options->manifest.filenames.count || options->manifest.kustomize;
	bool has_selector =
	        (options->selector && options->selector[0]) || (options->field_selector && options->field_selector[0]);
	if (has_files && argc > 0) {
		report(ctl, "when paths, URLs, or stdin is provided as input, you may not specify resource arguments "
		            "as well");
		return false;
	}
	if (has_files)
		return manifests_read(ctl, &options->manifest, false, list);
	if (argc == 0)
		return report_nothing_given(ctl);
	if (!resolve_words(ctl, options, argc, argv, list))
		return false;
	bool named = list->count && list->items[0].name;
	if (named && has_selector) {
		report(ctl, options->selector && options->selector[0]
		                    ? "name cannot be provided when a selector is specified"
		                    : "field selector may not be specified when resources are provided by name");
		return false;
	}
	if (named && options->all_namespaces) {
		report(ctl, "a resource cannot be retrieved by name across all namespaces");
		return false;
	}
	return true;
}

// --- queries ----------------------------------------------------------------------------------

const char *query_add(struct ctl *ctl, const char *query, const char *name, const char *value)
{
	AUTO_STRBUF struct strbuf escaped = STRBUF_INIT(QUERY_MAX_BYTES);
	if (!value || !value[0])
		return query;
	url_escape(&escaped, value);
	return ctl_printf(ctl, "%s%s%s=%s", query ? query : "", query ? "&" : "", name, strbuf_text(&escaped));
}

const char *selection_query(struct ctl *ctl, const struct selection_options *options, const char *more)
{
	const char *query = query_add(ctl, more, "labelSelector", options->selector);
	return query_add(ctl, query, "fieldSelector", options->field_selector);
}

int report_list(struct ctl *ctl, const struct target *target, const struct selection_options *options,
                const struct rest_response *response)
{
	const char *label = options->selector ? options->selector : "",
	           *field = options->field_selector ? options->field_selector : "";
	const char *resource = ctl_printf(ctl, "%s/%s, Resource=%s", target->resource->group, target->resource->version,
	                                  target->resource->plural);
	bool explain = response->err.code == ERR_BAD_REQUEST || response->err.code == ERR_NOT_FOUND;
	if (!explain || !response->http_status)
		return report_response(ctl, response, NULL);
	if (!label[0] && !field[0])
		return report_response(ctl, response, ctl_printf(ctl, "Unable to list \"%s\"", resource));
	return report_response(
	        ctl, response,
	        ctl_printf(ctl, "Unable to find \"%s\" that match label selector \"%s\", field selector \"%s\"",
	                   resource, label, field));
}

// --- reading ----------------------------------------------------------------------------------

static void append_page(struct ctl *ctl, struct json *whole, struct json *page)
{
	const char *key = json_get(whole, "rows") ? "rows" : "items";
	json_for_each_item (item, json_get(page, key))
		json_append(ctl->arena, json_ensure_array(ctl->arena, whole, key), item);
	json_set(ctl->arena, whole, "metadata", json_get(page, "metadata"));
}

bool list_all(struct ctl *ctl, const struct target *target, const char *query, const char *accept, int64_t chunk_size,
              struct rest_response *ret_response)
{
	struct json *whole = NULL;
	const char *next = NULL;
	do {
		const char *page_query = query;
		if (chunk_size > 0)
			page_query = query_add(ctl, query, "limit", ctl_printf(ctl, "%" PRId64, chunk_size));
		page_query = query_add(ctl, page_query, "continue", next);
		const struct rest_request request = {
		        .method = "GET",
		        .resource = target->resource,
		        .namespace_name = target->namespace_name,
		        .query = page_query,
		        .accept = accept,
		};
		if (!ctl_call(ctl, &request, ret_response))
			return false;
		if (whole)
			append_page(ctl, whole, ret_response->object);
		else
			whole = ret_response->object;
		next = json_get_text(json_get(ret_response->object, "metadata"), "continue");
	} while (next && next[0]);
	ret_response->object = whole;
	return true;
}

struct json *target_fetch(struct ctl *ctl, const struct target *target)
{
	struct rest_response response;
	const struct rest_request request = {
	        .method = "GET",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	};
	if (ctl_call(ctl, &request, &response))
		return response.object;
	report_response(ctl, &response, NULL);
	return NULL;
}

// Items of a list carry no type of their own.
static void complete_type(struct ctl *ctl, const struct schema_resource *resource, struct json *object)
{
	if (!object_kind(object))
		json_set_text(ctl->arena, object, "kind", resource->kind);
	if (!object_api_version(object))
		json_set_text(ctl->arena, object, "apiVersion", resource_api_version(ctl, resource));
}

static void fetch_collection(struct ctl *ctl, const struct selection_options *options, const struct target *target,
                             struct target_list *list)
{
	struct rest_response response;
	if (!list_all(ctl, target, selection_query(ctl, options, NULL), NULL, DEFAULT_CHUNK, &response)) {
		report_list(ctl, target, options, &response);
		return;
	}
	json_for_each_item (item, json_get(response.object, "items")) {
		complete_type(ctl, target->resource, item);
		const struct target found = {
		        .resource = target->resource,
		        .namespace_name = target->resource->namespaced ? object_namespace(item) : NULL,
		        .name = object_name(item),
		        .object = item,
		};
		target_list_add(ctl->arena, list, &found);
	}
}

bool selection_fetch(struct ctl *ctl, const struct selection_options *options, int argc, char **argv,
                     struct target_list *ret_list)
{
	struct target_list pointed = {0};
	if (!selection_resolve(ctl, options, argc, argv, &pointed))
		return false;
	for (size_t i = 0; i < pointed.count; i++) {
		struct target target = pointed.items[i];
		if (!target.name) {
			fetch_collection(ctl, options, &target, ret_list);
			continue;
		}
		target.object = target_fetch(ctl, &target);
		if (target.object)
			target_list_add(ctl->arena, ret_list, &target);
	}
	return true;
}
