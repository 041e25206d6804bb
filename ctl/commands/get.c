// SPDX-License-Identifier: Apache-2.0
// get: tables made by the server, or whole objects. Names of one type are asked for
// one by one and shown as one table; types follow one another with an empty line
// between them. With --watch the rows of a first list are followed by one row for
// each change.

#include <string.h>

#include "common/api/object.h"
#include "common/io/loop.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/get_watch.h"
#include "ctl/output.h"
#include "ctl/resources.h"
#include "ctl/selection.h"
#include "ctl/sort.h"
#include "ctl/table.h"

static struct {
	struct selection_options selection;
	struct output_options output;
	const char *raw;
	const char *sort_by;
	const char *subresource;
	struct string_list label_columns;
	bool watch, watch_only, output_watch_events;
	bool ignore_not_found, show_labels, show_kind, no_headers, server_print;
	int64_t chunk_size;
} arg = {
        .output = OUTPUT_OPTIONS_INIT,
        .server_print = true,
        .chunk_size = 500,
};

static const struct option options[] = {
        ALL_NAMESPACES_OPTION_ROW(arg.selection),
        {"chunk-size", 0, OPTION_INT, &arg.chunk_size, NULL, NULL, "Objects in one answer of a list; 0 = all"},
        FIELD_SELECTOR_OPTION_ROW(arg.selection),
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        {"ignore-not-found", 0, OPTION_BOOL, &arg.ignore_not_found, NULL, NULL,
         "An object that doesn't exist is no error"},
        {"label-columns", 'L', OPTION_STRINGS, &arg.label_columns, NULL, "[]", "Labels to show as columns"},
        {"no-headers", 0, OPTION_BOOL, &arg.no_headers, NULL, NULL, "No headings"},
        OUTPUT_OPTION_ROWS(arg.output),
        {"output-watch-events", 0, OPTION_BOOL, &arg.output_watch_events, NULL, NULL,
         "Show what kind of change a watch saw"},
        {"raw", 0, OPTION_STRING, &arg.raw, NULL, "", "Print the answer of this path of the server"},
        SELECTOR_OPTION_ROW(arg.selection),
        {"server-print", 0, OPTION_BOOL, &arg.server_print, NULL, NULL, "Let the server make the table"},
        {"show-kind", 0, OPTION_BOOL, &arg.show_kind, NULL, NULL, "Put the type in front of the names"},
        {"show-labels", 0, OPTION_BOOL, &arg.show_labels, NULL, NULL, "Show all labels as the last column"},
        {"sort-by", 0, OPTION_STRING, &arg.sort_by, NULL, "", "Sort by this field: {.metadata.name}"},
        {"subresource", 0, OPTION_STRING, &arg.subresource, NULL, "", "Get this subresource of the objects"},
        {"watch", 'w', OPTION_BOOL, &arg.watch, NULL, NULL, "Show changes after the first list"},
        {"watch-only", 0, OPTION_BOOL, &arg.watch_only, NULL, NULL, "Show changes only"},
        {0},
};

static int get_raw(struct ctl *ctl)
{
	struct rest_response response;
	const struct rest_request request = {.method = "GET", .path = arg.raw, .accept = "application/json, */*"};
	if (!ctl_call(ctl, &request, &response))
		return report_response(ctl, &response, NULL);
	fwrite(response.body, 1, response.body_length, ctl->out);
	return EXIT_OK;
}

// --- asking ---------------------------------------------------------------------------------------

static bool one_object(struct ctl *ctl, const struct target *target, const char *accept, struct rest_response *response)
{
	const struct rest_request request = {
	        .method = "GET",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	        .subresource = arg.subresource,
	        .query = arg.sort_by && accept ? "includeObject=Object" : NULL,
	        .accept = accept,
	};
	return ctl_call(ctl, &request, response);
}

static bool collection(struct ctl *ctl, const struct target *target, const char *accept, struct rest_response *response)
{
	const char *query = selection_query(ctl, &arg.selection, arg.sort_by && accept ? "includeObject=Object" : NULL);
	return list_all(ctl, target, query, accept, arg.chunk_size, response);
}

// The answer for a target, NULL when there is none (reported).
static struct json *ask(struct ctl *ctl, const struct target *target, const char *accept)
{
	struct rest_response response;
	bool ok =
	        target->name ? one_object(ctl, target, accept, &response) : collection(ctl, target, accept, &response);
	if (ok)
		return response.object;
	if (arg.ignore_not_found && response.err.code == ERR_NOT_FOUND && response.http_status)
		return NULL;
	if (target->name)
		report_response(ctl, &response, NULL);
	else
		report_list(ctl, target, &arg.selection, &response);
	return NULL;
}

// --- tables ---------------------------------------------------------------------------------------

// Once a namespaced type was shown with -A, its column stays for what follows.
static bool shows_namespace(const struct schema_resource *resource)
{
	static bool shown;
	shown |= arg.selection.all_namespaces && resource->namespaced;
	return shown;
}

static struct table_options table_options_for(struct ctl *ctl, const struct output *output,
                                              const struct schema_resource *resource, bool several_types)
{
	return (struct table_options){
	        .wide = output->format == OUTPUT_WIDE,
	        .no_headers = arg.no_headers,
	        .with_namespace = shows_namespace(resource),
	        .show_labels = arg.show_labels,
	        .label_columns = arg.label_columns.items,
	        .kind_prefix = several_types || arg.show_kind
	                               ? ctl_printf(ctl, "%s/", resource_singular_name(ctl, resource))
	                               : NULL,
	};
}

static struct json *as_table(struct ctl *ctl, struct json *answer)
{
	return table_is_table(answer) ? answer : table_from_objects(ctl->arena, answer, loop_realtime_ns(ctl->loop));
}

// The rows of the targets [start, end), which are of one type, in one table; NULL when there are none.
static struct json *gather_rows(struct ctl *ctl, const struct target_list *targets, size_t start, size_t end)
{
	struct json *whole = NULL;
	for (size_t i = start; i < end; i++) {
		struct json *answer = ask(ctl, &targets->items[i], arg.server_print ? TABLE_ACCEPT : NULL);
		if (!answer)
			continue;
		struct json *table = as_table(ctl, answer);
		if (!whole) {
			whole = table;
			continue;
		}
		json_for_each_item (row, json_get(table, "rows"))
			json_append(ctl->arena, json_ensure_array(ctl->arena, whole, "rows"), row);
	}
	return whole;
}

static void print_group(struct ctl *ctl, const struct output *output, const struct schema_resource *resource,
                        struct json *table, bool several_types, bool *printed)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 30);
	struct table_options table_options = table_options_for(ctl, output, resource, several_types);
	struct table_printer printer;
	if (arg.sort_by && !sort_rows(ctl, table, arg.sort_by))
		return;
	table_printer_init(&printer, ctl->arena, &table_options);
	table_print(&printer, table, NULL, &text);
	table_printer_done(&printer);
	if (text.length && *printed && !arg.no_headers)
		fputc('\n', ctl->out);
	*printed |= text.length > 0;
	fwrite(strbuf_text(&text), 1, text.length, ctl->out);
}

static bool all_namespaced(const struct target_list *targets)
{
	for (size_t i = 0; i < targets->count; i++)
		if (!targets->items[i].resource->namespaced)
			return false;
	return true;
}

static void tell_nothing_found(struct ctl *ctl, const struct target_list *targets)
{
	if (all_namespaced(targets) && !arg.selection.all_namespaces)
		fprintf(ctl->err, "No resources found in %s namespace.\n", ctl_namespace(ctl));
	else
		fprintf(ctl->err, "No resources found\n");
}

static bool same_type(const struct target_list *targets, size_t i, size_t k)
{
	return targets->items[i].resource == targets->items[k].resource;
}

static int get_tables(struct ctl *ctl, const struct output *output, const struct target_list *targets)
{
	bool printed = false;
	size_t answered = 0;
	struct json **tables = ARENA_ARRAY(ctl->arena, struct json *, targets->count); // by each group's first target
	for (size_t start = 0, end; start < targets->count; start = end) {
		end = start + 1;
		while (end < targets->count && same_type(targets, start, end))
			end++;
		tables[start] = gather_rows(ctl, targets, start, end);
		answered += tables[start] != NULL;
	}
	for (size_t i = 0; i < targets->count; i++)
		if (tables[i])
			print_group(ctl, output, targets->items[i].resource, tables[i], answered > 1, &printed);
	if (!printed && !arg.ignore_not_found && !ctl->failed)
		tell_nothing_found(ctl, targets);
	return EXIT_OK;
}

// --- whole objects ----------------------------------------------------------------------------------

static void complete_item(struct ctl *ctl, const struct schema_resource *resource, struct json *item)
{
	if (!object_kind(item))
		json_set_text(ctl->arena, item, "kind", resource->kind);
	if (!object_api_version(item))
		json_set_text(ctl->arena, item, "apiVersion", resource_api_version(ctl, resource));
}

static int get_objects(struct ctl *ctl, struct output *output, const struct target_list *targets)
{
	bool single = targets->count == 1 && targets->items[0].name;
	struct json *list = json_object(ctl->arena);
	json_set_text(ctl->arena, list, "apiVersion", "v1");
	struct json *items = json_ensure_array(ctl->arena, list, "items");
	json_set_text(ctl->arena, list, "kind", "List");
	json_set_text(ctl->arena, json_ensure_object(ctl->arena, list, "metadata"), "resourceVersion", "");
	for (size_t i = 0; i < targets->count; i++) {
		const struct schema_resource *resource = targets->items[i].resource;
		struct json *answer = ask(ctl, &targets->items[i], NULL);
		if (!answer)
			continue;
		if (targets->items[i].name)
			json_append(ctl->arena, items, answer);
		json_for_each_item (item, targets->items[i].name ? NULL : json_get(answer, "items")) {
			complete_item(ctl, resource, item);
			json_append(ctl->arena, items, item);
		}
	}
	if (single && items->length == 0)
		return EXIT_OK;
	if (arg.sort_by && !sort_items(ctl, items, arg.sort_by))
		return EXIT_PROBLEM;
	output_print(ctl, output, NULL, single ? items->items[0] : list);
	return EXIT_OK;
}

// --- the command --------------------------------------------------------------------------------------

static int report_no_type(struct ctl *ctl)
{
	fprintf(ctl->err,
	        "You must specify the type of resource to get. Use \"%s api-resources\" for a complete list of "
	        "supported resources.\n\n",
	        ctl->program);
	return report_usage(ctl,
	                    "Required resource not specified.\nUse \"%s explain <resource>\" for a detailed "
	                    "description of that resource (e.g. %s explain pods).",
	                    ctl->program, ctl->program);
}

static int watch(struct ctl *ctl, struct output *output, const struct target_list *targets)
{
	if (targets->count != 1)
		return report(ctl, "you may only specify a single resource type");
	const struct target *target = &targets->items[0];
	const struct get_watch_options watch_options = {
	        .selection = &arg.selection,
	        .table = table_options_for(ctl, output, target->resource, false),
	        .output = output,
	        .watch_only = arg.watch_only,
	        .show_events = arg.output_watch_events,
	        .chunk_size = arg.chunk_size,
	};
	return get_watch(ctl, target, &watch_options);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct output output;
	if (arg.raw)
		return get_raw(ctl);
	if (!output_init(ctl, &arg.output, true, &output))
		return EXIT_PROBLEM;
	output.no_headers = arg.no_headers;
	if (argc == 0 && !arg.selection.manifest.filenames.count && !arg.selection.manifest.kustomize)
		return report_no_type(ctl);
	if (!selection_resolve(ctl, &arg.selection, argc, argv, &targets) || !ctl_connect(ctl))
		return EXIT_PROBLEM;
	if (arg.watch || arg.watch_only)
		return watch(ctl, &output, &targets);
	return output_is_object(&output) ? get_objects(ctl, &output, &targets) : get_tables(ctl, &output, &targets);
}

const struct command command_get = {
        .name = "get",
        .group = COMMAND_BASIC_INTERMEDIATE,
        .summary = "Display one or many resources",
        .usage = "[-o json|yaml|name|wide|jsonpath=…|custom-columns=…] (TYPE[.VERSION][.GROUP] [NAME | -l label] | "
                 "TYPE[.VERSION][.GROUP]/NAME ...) [flags]",
        .details =
                "Display one or many resources.\n\n"
                "Prints a table of the most important facts, or with -o the objects themselves. Several types may be\n"
                "given with commas, \"all\" stands for the common ones, and -A asks in all namespaces.",
        .examples = "  ctl get pods -o wide\n"
                    "  ctl get deployment web -o json\n"
                    "  ctl get pods,services -l app=web\n"
                    "  ctl get pod/web-0 -o jsonpath='{.status.podIP}'",
        .options = options,
        .run = run,
};
