// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/api/object.h"
#include "common/io/loop.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/output.h"
#include "ctl/resources.h"
#include "ctl/selection.h"
#include "ctl/tab_writer.h"

static struct {
	struct selection_options selection;
	struct output_options output;
	const char *about;
	struct string_list types;
	bool watch, no_headers;
	int64_t chunk_size;
} arg = {.output = OUTPUT_OPTIONS_INIT, .chunk_size = 500};

static const struct option options[] = {
        ALL_NAMESPACES_OPTION_ROW(arg.selection),
        {"for", 0, OPTION_STRING, &arg.about, NULL, "", "Only events about this object: TYPE/NAME"},
        {"types", 0, OPTION_STRINGS, &arg.types, NULL, "[]", "Only events of these types: Normal, Warning"},
        {"watch", 'w', OPTION_BOOL, &arg.watch, NULL, NULL, "Go on with what comes"},
        {"no-headers", 0, OPTION_BOOL, &arg.no_headers, NULL, NULL, "No headings"},
        {"chunk-size", 0, OPTION_INT, &arg.chunk_size, NULL, NULL, "Objects in one answer of a list"},
        OUTPUT_OPTION_ROWS(arg.output),
        {0},
};

static const char *last_seen(const struct json *event)
{
	const char *series = json_text(json_path(event, "series", "lastObservedTime"));
	const char *last = json_get_text(event, "lastTimestamp");
	return series ? series : last ? last : json_get_text(event, "eventTime");
}

static int compare_events(const void *one, const void *other)
{
	const char *a = last_seen(*(struct json *const *)one), *b = last_seen(*(struct json *const *)other);
	return strcmp(a ? a : "", b ? b : "");
}

static const char *text(const struct json *object, const char *key)
{
	const char *value = json_get_text(object, key);
	return value ? value : "";
}

static const char *age(struct ctl *ctl, const char *time)
{
	int64_t realtime_ns;
	char out[HUMAN_DURATION_BYTES];
	if (!api_time_parse(time, &realtime_ns))
		return "<unknown>";
	human_duration(loop_realtime_ns(ctl->loop) - realtime_ns, out);
	return arena_strdup(ctl->arena, out);
}

static const char *interval(struct ctl *ctl, const struct json *event)
{
	int64_t count = 0;
	const char *first = json_get_text(event, "firstTimestamp");
	if (!json_get_integer(json_get(event, "series"), "count", &count))
		json_get_integer(event, "count", &count);
	if (count <= 1)
		return age(ctl, last_seen(event));
	return ctl_printf(ctl, "%s (x%" PRId64 " over %s)", age(ctl, last_seen(event)), count,
	                  age(ctl, first ? first : json_get_text(event, "eventTime")));
}

static bool is_wanted(const struct json *event)
{
	for (size_t i = 0; i < arg.types.count; i++)
		if (strcasecmp(arg.types.items[i], text(event, "type")) == 0)
			return true;
	return arg.types.count == 0;
}

static void write_row(struct ctl *ctl, const struct json *event, struct strbuf *lines)
{
	const struct json *about = json_get(event, "involvedObject");
	if (arg.selection.all_namespaces)
		strbuf_printf(lines, "%s\t", object_namespace(event));
	strbuf_printf(lines, "%s\t%s\t%s\t%s/%s\t", interval(ctl, event), text(event, "type"), text(event, "reason"),
	              text(about, "kind"), text(about, "name"));
	const char *message = text(event, "message");
	size_t length = strlen(message);
	while (length && strchr(" \n\t", message[length - 1]))
		length--;
	strbuf_append(lines, message, length);
	strbuf_append_char(lines, '\n');
}

// The field selector of --for; false when it is malformed (reported).
static bool selector_for(struct ctl *ctl, const char **ret_selector)
{
	*ret_selector = NULL;
	if (!arg.about)
		return true;
	const char *slash = strchr(arg.about, '/');
	if (!slash || !slash[1] || strchr(slash + 1, '/')) {
		report(ctl, "--for must be in resource/name form");
		return false;
	}
	const struct schema_resource *resource =
	        resource_find(ctl, arena_strndup(ctl->arena, arg.about, (size_t)(slash - arg.about)));
	if (resource)
		*ret_selector =
		        ctl_printf(ctl, "involvedObject.kind=%s,involvedObject.name=%s", resource->kind, slash + 1);
	return resource != NULL;
}

struct printer {
	struct ctl *ctl;
	struct tab_writer writer;
	bool ended;
};

static void print(struct printer *printer, const struct strbuf *lines)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 30);
	tab_writer_write(&printer->writer, strbuf_text(lines), &out);
	fputs(strbuf_text(&out), printer->ctl->out);
	fflush(printer->ctl->out);
}

static void on_event(void *context, enum watch_event_type type, const struct json *object)
{
	struct printer *printer = context;
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(1 << 20);
	if (type > WATCH_MODIFIED || !is_wanted(object))
		return;
	write_row(printer->ctl, object, &lines);
	print(printer, &lines);
}

static void on_end(void *context, const struct err *err)
{
	struct printer *printer = context;
	if (err->code != ERR_NONE)
		report_err(printer->ctl, err);
	printer->ended = true;
}

static void follow(struct ctl *ctl, struct printer *printer, const struct target *events, const char *query,
                   const char *version)
{
	const struct watch_callbacks callbacks = {.on_event = on_event, .on_end = on_end};
	const struct rest_request request = {
	        .method = "GET",
	        .resource = events->resource,
	        .namespace_name = events->namespace_name,
	        .query = query,
	};
	rest_watch(ctl->client, &request, version, &callbacks, printer);
	while (!printer->ended)
		loop_turn(ctl->loop, -1);
}

static size_t write_table(struct ctl *ctl, struct json *items, struct strbuf *lines)
{
	size_t shown = 0;
	if (items && items->length)
		qsort(items->items, items->length, sizeof(struct json *), compare_events);
	if (!arg.no_headers)
		strbuf_printf(lines, "%sLAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n",
		              arg.selection.all_namespaces ? "NAMESPACE\t" : "");
	json_for_each_item (event, items) {
		if (!is_wanted(event))
			continue;
		write_row(ctl, event, lines);
		shown++;
	}
	return shown;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(1 << 30);
	struct printer printer = {.ctl = ctl, .writer = TAB_WRITER_TABLE};
	struct rest_response response;
	struct output output;
	const char *selector;
	if (argc > 0)
		return report_usage(ctl, "unexpected arguments: [%s]", argv[0]);
	if (!output_init(ctl, &arg.output, false, &output) || !selector_for(ctl, &selector))
		return EXIT_PROBLEM;
	const struct target events = {
	        .resource = schema_find_resource("", "v1", "events"),
	        .namespace_name = arg.selection.all_namespaces ? NULL : ctl_namespace(ctl),
	};
	const char *query = query_add(ctl, NULL, "fieldSelector", selector);
	if (!list_all(ctl, &events, query, NULL, arg.chunk_size, &response))
		return report_response(ctl, &response, NULL);
	if (output_is_object(&output)) {
		output_print(ctl, &output, events.resource, response.object);
		return EXIT_OK;
	}
	size_t shown = write_table(ctl, json_get(response.object, "items"), &lines);
	if (shown)
		print(&printer, &lines);
	else if (!arg.watch && arg.selection.all_namespaces)
		fprintf(ctl->err, "No events found.\n");
	else if (!arg.watch)
		fprintf(ctl->err, "No events found in %s namespace.\n", ctl_namespace(ctl));
	if (arg.watch)
		follow(ctl, &printer, &events, query, object_resource_version(response.object));
	tab_writer_done(&printer.writer);
	return EXIT_OK;
}

const struct command command_events = {
        .name = "events",
        .group = COMMAND_TROUBLESHOOTING,
        .summary = "List events",
        .usage = "[(-o|--output=)json|yaml|name|jsonpath=…] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]",
        .options = options,
        .run = run,
};
