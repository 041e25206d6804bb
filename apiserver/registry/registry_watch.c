// SPDX-License-Identifier: Apache-2.0
// WATCH.
//
//   parse → [initial list] → open at its version → streaming ⇄ blocked → ended
//
// Without a resourceVersion (or with 0, or with sendInitialEvents) the state of
// now comes first as ADDED events. Once the head is out every failure is an
// ERROR event, as upstream's clients expect: 410 when the version has left the
// window. A selector turns changes into what its view sees: entering is ADDED,
// leaving is DELETED with the last content that matched and the version of the
// change.
//
// A client that reads slowly stops the reading from storage (BLOCKED) until its
// buffers drain; if it falls behind the window meanwhile, storage ends the watch.
//
// A watcher lives in its request's arena and on its loop's list. It ends by its
// deadline, by storage, by the client leaving or by a stop of the server;
// watcher_end is the one place that frees it.

#include <string.h>

#include "apiserver/custom/conversion.h"
#include "apiserver/custom/definition.h"
#include "apiserver/fairness/fairness.h"
#include "apiserver/registry/read_options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/selection.h"
#include "apiserver/registry/watch_frame.h"
#include "apiserver/registry/watcher.h"
#include "apiserver/server.h"
#include "common/base/encode.h"
#include "common/base/log.h"

#define WATCH_BOOKMARK_INTERVAL_NS (60 * NSEC_PER_SEC)
#define WATCH_FIRST_BOOKMARK_NS (10 * NSEC_PER_SEC)

enum {
	WATCH_HIGH_WATER_BYTES = 2 << 20,
};

struct watcher {
	struct list node; // server_loop.watches
	struct request *request;
	struct watch_sink sink;
	struct storage_read initial;
	bool wants_initial_events;
	bool wants_initial_bookmark;
	struct selection selection;
	struct storage_watch *watch;
	struct loop_timer deadline;
	struct loop_timer bookmark;
	int64_t seen_revision; // everything up to here was sent or didn't concern us
	int64_t bookmarked_revision;
	bool columns_sent;
	bool blocked;
	bool gone;
	bool opening; // storage still owes us the initial list
	bool converting;
	struct storage_event event; // that is being converted, referenced
};

static const struct watch_frames *frames_of(const struct watcher *watcher)
{
	return watcher->request->server->watch_frames;
}

static void watcher_end(struct watcher *watcher)
{
	struct request *request = watcher->request;

	if (watcher->opening || watcher->converting) { // its callback ends us
		watcher->gone = true;
		return;
	}
	list_remove(&watcher->node);
	loop_timer_stop(&watcher->deadline);
	loop_timer_stop(&watcher->bookmark);
	storage_watch_close(watcher->watch);
	watch_sink_close(&watcher->sink);
	request_finish_sent(request, 200);
}

static void watcher_fail(struct watcher *watcher, const struct status *status)
{
	watch_frame_send_error(&watcher->sink, frames_of(watcher), status);
	watcher_end(watcher);
}

static const struct status *expired(struct watcher *watcher, const struct err *err)
{
	struct arena *arena = watcher->request->arena;

	if (err->code == ERR_EXPIRED)
		return status_expired(
		        arena, err->message[0] ? arena_strdup(arena, err->message) : "too old resource version", NULL);
	return status_from_err(arena, err, request_resource(watcher->request), "");
}

static void send_event(struct watcher *watcher, enum watch_event_type type, struct stored_object *object,
                       int64_t at_revision)
{
	watch_frame_send(&watcher->sink, frames_of(watcher), type, object, at_revision, !watcher->columns_sent);
	watcher->columns_sent = true;
}

// --- events -------------------------------------------------------------------------

static void on_put(struct watcher *watcher, const struct storage_event *event)
{
	bool now = selection_matches(&watcher->selection, event->object);
	bool before = event->previous && selection_matches(&watcher->selection, event->previous);

	if (now)
		send_event(watcher, before ? WATCH_MODIFIED : WATCH_ADDED, event->object, 0);
	else if (before)
		send_event(watcher, WATCH_DELETED, event->previous, event->revision);
}

static void on_event(struct watcher *watcher, const struct storage_event *event)
{
	switch (event->type) {
	case STORAGE_EVENT_PUT:
		on_put(watcher, event);
		break;
	case STORAGE_EVENT_DELETED:
		if (selection_matches(&watcher->selection, event->object))
			send_event(watcher, WATCH_DELETED, event->object, 0);
		break;
	case STORAGE_EVENT_PROGRESS:
		break;
	}
	if (event->revision > watcher->seen_revision)
		watcher->seen_revision = event->revision;
}

static void pump(struct watcher *watcher);

static void drop_event(struct watcher *watcher)
{
	watcher->event.object = stored_object_unref(watcher->event.object);
	watcher->event.previous = stored_object_unref(watcher->event.previous);
}

static void on_converted(void *context, struct stored_object *const *converted, const struct err *err)
{
	struct watcher *watcher = context;
	struct storage_event event = watcher->event;

	watcher->converting = false;
	if (!watcher->gone && !err) {
		event.object = converted[0];
		event.previous = event.previous ? converted[1] : NULL;
		on_event(watcher, &event);
		watcher->blocked = watch_sink_pending_bytes(&watcher->sink) > WATCH_HIGH_WATER_BYTES;
	}
	drop_event(watcher);
	if (watcher->gone)
		watcher_end(watcher);
	else if (err)
		watcher_fail(watcher, expired(watcher, err));
	else
		pump(watcher);
}

// One event at a time: they stay in order, and storage keeps what comes meanwhile.
static void convert_event(struct watcher *watcher, const struct storage_event *event)
{
	struct request *request = watcher->request;
	struct stored_object *objects[] = {event->object, event->previous};

	watcher->event = *event;
	stored_object_ref(event->object);
	stored_object_ref(event->previous);
	watcher->converting = true;
	conversion_start(request->server, request_resource(request), objects, event->previous ? 2 : 1, request->loop,
	                 on_converted, watcher);
}

static void pump(struct watcher *watcher)
{
	struct storage_event event;
	struct err err = ERR_INIT;

	while (!watcher->blocked && !watcher->converting) {
		if (!storage_watch_next(watcher->watch, &event, &err)) {
			if (err.code)
				watcher_fail(watcher, expired(watcher, &err));
			return;
		}
		if (event.type != STORAGE_EVENT_PROGRESS &&
		    definition_asks_webhook(request_resource(watcher->request))) {
			convert_event(watcher, &event);
			return;
		}
		on_event(watcher, &event);
		watcher->blocked = watch_sink_pending_bytes(&watcher->sink) > WATCH_HIGH_WATER_BYTES;
	}
}

static void on_readable(void *context)
{
	pump(context);
}

static void on_drain(void *context)
{
	struct watcher *watcher = context;

	if (!watcher->blocked || !watcher->watch)
		return;
	watcher->blocked = false;
	pump(watcher);
}

static void on_gone(void *context)
{
	watcher_end(context);
}

// --- timers -------------------------------------------------------------------------

static void send_bookmark(struct watcher *watcher)
{
	if (watcher->seen_revision <= watcher->bookmarked_revision || watcher->blocked)
		return;
	watch_frame_send_bookmark(&watcher->sink, frames_of(watcher), watcher->seen_revision, false);
	watcher->bookmarked_revision = watcher->seen_revision;
}

static void on_bookmark_timer(struct loop_timer *timer)
{
	struct watcher *watcher = container_of(timer, struct watcher, bookmark);

	send_bookmark(watcher);
	loop_timer_start(watcher->request->loop, timer, WATCH_BOOKMARK_INTERVAL_NS, on_bookmark_timer);
}

static void on_deadline(struct loop_timer *timer)
{
	struct watcher *watcher = container_of(timer, struct watcher, deadline);

	if (watcher->request->options.allow_watch_bookmarks && watcher->watch)
		send_bookmark(watcher);
	watcher_end(watcher);
}

static void start_timers(struct watcher *watcher)
{
	struct request *request = watcher->request;
	int64_t minimum = request->server->config->min_request_timeout_ns;
	int64_t timeout = request->options.timeout_seconds > 0 && request->options.timeout_seconds < INT32_MAX
	                          ? request->options.timeout_seconds * NSEC_PER_SEC
	                          : minimum + (int64_t)random_below(1000) * (minimum / 1000);

	loop_timer_start(request->loop, &watcher->deadline, timeout, on_deadline);
	if (request->options.allow_watch_bookmarks)
		loop_timer_start(request->loop, &watcher->bookmark,
		                 timeout < WATCH_FIRST_BOOKMARK_NS ? timeout : WATCH_FIRST_BOOKMARK_NS,
		                 on_bookmark_timer);
}

// --- the start ------------------------------------------------------------------------

static void open_watch(struct watcher *watcher, int64_t after_revision)
{
	struct request *request = watcher->request;
	struct storage_watch_config config = {
	        .resource = request_resource(request),
	        .namespace_name = request_resource(request)->namespaced ? request->route.namespace_name : "",
	        .name = watcher->selection.name,
	        .field_label = watcher->selection.field_label,
	        .field_value = watcher->selection.field_value,
	        .after_revision = after_revision,
	        .loop = request->loop,
	        .readable = on_readable,
	        .context = watcher,
	};
	struct err err = ERR_INIT;

	fairness_release(request); // what follows costs next to nothing
	watcher->seen_revision = after_revision;
	watcher->bookmarked_revision = after_revision;
	if (storage_watch_open(request->server->storage, &config, &watcher->watch, &err) < 0)
		watcher_fail(watcher, expired(watcher, &err));
}

static void send_initial(struct watcher *watcher, const struct storage_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (selection_matches(&watcher->selection, list->objects[i]))
			send_event(watcher, WATCH_ADDED, list->objects[i], 0);
	if (watcher->wants_initial_bookmark)
		watch_frame_send_bookmark(&watcher->sink, frames_of(watcher), list->revision, true);
}

static void on_initial(void *context, const struct storage_list *list, const struct err *err)
{
	struct watcher *watcher = context;

	watcher->opening = false;
	if (watcher->gone) {
		watcher_end(watcher);
		return;
	}
	if (err) {
		watcher_fail(watcher, expired(watcher, err));
		return;
	}
	if (watcher->wants_initial_events)
		send_initial(watcher, list);
	open_watch(watcher, list->revision);
}

static const struct status *start_stream(struct watcher *watcher)
{
	struct request *request = watcher->request;
	const struct status *status;

	watcher->sink = (struct watch_sink){.on_drain = on_drain, .on_gone = on_gone, .context = watcher};
	status = watch_sink_open(&watcher->sink, request);
	if (status)
		return status;
	list_append(&server_loop_of(request->server, request->loop)->watches, &watcher->node);
	start_timers(watcher);
	return NULL;
}

static const struct status *invalid(const struct request *request, const char *field, const char *message)
{
	const struct status *status = status_new(request->arena, ERR_INVALID,
	                                         "ListOptions.meta.k8s.io \"\" is invalid: %s: %s", field, message);

	return status_with_cause(request->arena, status, (struct status_cause){"FieldValueForbidden", message, field});
}

static const struct status *check_options(const struct request *request)
{
	const struct request_options *options = &request->options;
	const char *match = options->resource_version_match;

	if (options->has_send_initial_events && strcmp(match, "NotOlderThan"))
		return invalid(request, "resourceVersionMatch",
		               "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
	if (!options->has_send_initial_events && match[0])
		return invalid(
		        request, "resourceVersionMatch",
		        "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
	if (options->send_initial_events && !options->allow_watch_bookmarks)
		return invalid(
		        request, "sendInitialEvents",
		        "Forbidden: sendInitialEvents is forbidden for watch unless allowWatchBookmarks is true");
	return NULL;
}

static const struct status *parse(struct watcher *watcher, int64_t *ret_revision)
{
	struct request *request = watcher->request;
	const struct request_options *options = &request->options;
	const struct status *status = check_options(request);
	const char *fields = options->field_selector;

	// GET …/watch/pods/NAME: the oldest form of metadata.name.
	if (request->route.name[0])
		fields = arena_printf(request->arena, "metadata.name=%s%s%s", request->route.name, fields[0] ? "," : "",
		                      fields);
	if (!status)
		status = selection_parse(request->arena, request_resource(request), options->label_selector, fields,
		                         &watcher->selection);
	if (!status)
		status = read_options_version(request->arena, options->resource_version, ret_revision);
	return status;
}

static bool plan_initial(struct watcher *watcher, int64_t revision)
{
	const struct request_options *options = &watcher->request->options;
	const char *version = options->resource_version;

	watcher->initial = (struct storage_read){
	        .resource = request_resource(watcher->request),
	        .namespace_name =
	                request_resource(watcher->request)->namespaced ? watcher->request->route.namespace_name : "",
	        .freshness = !version[0] ? STORAGE_CONSISTENT
	                     : revision  ? STORAGE_NOT_OLDER
	                                 : STORAGE_ANY,
	        .revision = revision,
	        .field_label = watcher->selection.field_label,
	        .field_value = watcher->selection.field_value,
	};
	watcher->wants_initial_bookmark = options->send_initial_events;
	watcher->wants_initial_events = options->has_send_initial_events ? options->send_initial_events : revision == 0;
	if (!watcher->wants_initial_events)
		watcher->initial.limit = 1; // for its version
	return watcher->wants_initial_events || revision == 0;
}

void registry_watch(struct request *request)
{
	struct watcher *watcher = ARENA_NEW(request->arena, struct watcher);
	const struct status *status;
	int64_t revision;

	watcher->request = request;
	list_init(&watcher->node);
	status = parse(watcher, &revision);
	if (!status)
		status = start_stream(watcher);
	if (status) {
		request_finish_status(request, status);
		return;
	}
	if (plan_initial(watcher, revision)) {
		watcher->opening = true;
		conversion_list(request->server, &watcher->initial, request->loop, on_initial, watcher);
	} else {
		open_watch(watcher, revision);
	}
}

void watcher_end_all(struct server_loop *home)
{
	struct watcher *watcher;

	list_for_each (watcher, &home->watches, node)
		watcher_end(watcher);
}
