// SPDX-License-Identifier: Apache-2.0
#include "ctl/get_watch.h"

#include <string.h>

#include "common/api/object.h"
#include "common/io/loop.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"

struct watcher {
	struct ctl *ctl;
	const struct target *target;
	const struct get_watch_options *options;
	struct table_printer printer;
	bool ended;
	struct err err;
};

static bool wants_objects(const struct watcher *watcher)
{
	return output_is_object(watcher->options->output);
}

static void print_object(struct watcher *watcher, const struct json *object, const char *event)
{
	struct ctl *ctl = watcher->ctl;
	if (event && watcher->options->show_events) {
		struct json *wrapped = json_object(ctl->arena);
		json_set(ctl->arena, wrapped, "object", output_prepare(ctl, watcher->options->output, object));
		json_set_text(ctl->arena, wrapped, "type", event);
		output_print(ctl, watcher->options->output, watcher->target->resource, wrapped);
		return;
	}
	output_print(ctl, watcher->options->output, watcher->target->resource, object);
}

static void print_table(struct watcher *watcher, const struct json *object, const char *event)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 30);
	const struct json *table = object;
	if (!table_is_table(object))
		table = table_from_objects(watcher->ctl->arena, object, loop_realtime_ns(watcher->ctl->loop));
	table_print(&watcher->printer, table, watcher->options->show_events ? event : NULL, &text);
	fwrite(strbuf_text(&text), 1, text.length, watcher->ctl->out);
}

static void print(struct watcher *watcher, const struct json *object, const char *event)
{
	if (wants_objects(watcher))
		print_object(watcher, object, event);
	else
		print_table(watcher, object, event);
	fflush(watcher->ctl->out);
}

static void on_event(void *context, enum watch_event_type type, const struct json *object)
{
	static const char *const names[] = {
	        [WATCH_ADDED] = "ADDED",
	        [WATCH_MODIFIED] = "MODIFIED",
	        [WATCH_DELETED] = "DELETED",
	};
	if (type <= WATCH_DELETED)
		print(context, object, names[type]);
}

static void on_end(void *context, const struct err *err)
{
	struct watcher *watcher = context;
	watcher->err = *err;
	watcher->ended = true;
}

static void print_first(struct watcher *watcher, const struct json *list)
{
	if (!wants_objects(watcher)) {
		print(watcher, list, "ADDED");
		return;
	}
	json_for_each_item (item, json_get(list, "items"))
		print(watcher, item, "ADDED");
}

int get_watch(struct ctl *ctl, const struct target *target, const struct get_watch_options *options)
{
	struct watcher watcher = {.ctl = ctl, .target = target, .options = options};
	const struct watch_callbacks callbacks = {.on_event = on_event, .on_end = on_end};
	const char *accept = output_is_object(options->output) ? NULL : TABLE_ACCEPT;
	const char *query = selection_query(ctl, options->selection, NULL);
	struct rest_response response;
	if (target->name)
		query = query_add(ctl, query, "fieldSelector", ctl_printf(ctl, "metadata.name=%s", target->name));
	if (!list_all(ctl, target, query, accept, options->chunk_size, &response))
		return report_list(ctl, target, options->selection, &response);
	table_printer_init(&watcher.printer, ctl->arena, &options->table);
	if (!options->watch_only)
		print_first(&watcher, response.object);
	const struct rest_request request = {
	        .method = "GET",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .query = query,
	        .accept = accept,
	};
	rest_watch(ctl->client, &request, object_resource_version(response.object), &callbacks, &watcher);
	while (!watcher.ended)
		loop_turn(ctl->loop, -1);
	table_printer_done(&watcher.printer);
	return watcher.err.code == ERR_NONE ? EXIT_OK : report_err(ctl, &watcher.err);
}
