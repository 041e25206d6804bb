// SPDX-License-Identifier: Apache-2.0
// GET /containerLogs/{namespace}/{pod}/{container}: a container's log as text, and on
// as it grows.
//
//   options → which run of the container → its file → pieces, as the client takes them
//
// Which run is meant, and what is said when there is none, is upstream's
// validateContainerLogStatus (pkg/kubelet/kubelet_pods.go): a function of the
// container's status as it would be reported now.
//
// At most PIECES_PER_TURN pieces are read in a turn, and none while HIGH_WATER_BYTES
// wait for the client. When following, the stream sleeps at the file's end until
// inotify says something of its folder. It ends when the container has ended and its
// log was read to the end. The logger may write on for a moment after the
// container's end: it is over when the logger has closed the file, or LINGER_NS after
// the container's end. That the container has ended is looked up in memory, at every
// event and by a timer that goes slower and slower.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/memory.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/pod/pod_status.h"
#include "kubelet/server/log_reader.h"
#include "kubelet/server/server_internal.h"

#define LINGER_NS NSEC_PER_SEC
#define FIRST_LOOK_NS (50 * NSEC_PER_MSEC)
#define LAST_LOOK_NS (10 * NSEC_PER_SEC)

enum {
	HIGH_WATER_BYTES = 256 << 10,
	LOW_WATER_BYTES = 64 << 10,
	MAX_PIECE_BYTES = 1 << 20,
	PIECES_PER_TURN = 4,
};

struct log_stream {
	struct kubelet_server *server;
	struct http_exchange *exchange;
	struct log_reader *reader;
	bool follow;
	char *namespace_name;
	char *pod_name;
	char *uid;
	char *container_name;
	char run_id[CONTAINER_ID_BYTES];
	char *path; // the watcher's name is its end
	struct log_watcher watcher;
	struct loop_timer look_timer;
	int64_t look_delay_ns;
};

// --- the stream ----------------------------------------------------------------------

static void stream_free(struct log_stream *stream)
{
	stream->server->log_stream_count--;
	log_watcher_stop(&stream->server->log_watch, &stream->watcher);
	loop_timer_stop(&stream->look_timer);
	log_reader_close(stream->reader);
	http_exchange_unref(stream->exchange);
	free(stream->namespace_name);
	free(stream->pod_name);
	free(stream->uid);
	free(stream->container_name);
	free(stream->path);
	free(stream);
}

static void on_gone(void *context)
{
	stream_free(context);
}

static void stream_end(struct log_stream *stream)
{
	http_exchange_end(stream->exchange);
	stream_free(stream);
}

// When the run that is followed has ended, wall clock; 0: it goes on.
static int64_t run_ended_at(const struct log_stream *stream)
{
	struct pod *pod =
	        pod_manager_find(stream->server->kubelet->pods, stream->namespace_name, stream->pod_name, stream->uid);
	const struct pod_container *container = pod ? pod_find_container(pod, stream->container_name) : NULL;
	if (!container || !container->has_run || strcmp(container->run.id, stream->run_id))
		return 1; // long ago
	return container->run.finished_at_ns;
}

static void pump(struct log_stream *stream);

static void on_drain(void *context)
{
	pump(context);
}

static void on_look(struct loop_timer *timer)
{
	pump(container_of(timer, struct log_stream, look_timer));
}

static void on_changed(struct log_watcher *watcher)
{
	struct log_stream *stream = container_of(watcher, struct log_stream, watcher);
	stream->look_delay_ns = FIRST_LOOK_NS;
	pump(stream);
}

// Sends what there is. False: there is, or may be, more; it goes on by itself when the client has taken what it has.
static bool send_pieces(struct log_stream *stream)
{
	for (int pieces = 0; pieces < PIECES_PER_TURN; pieces++) {
		if (http_exchange_pending_bytes(stream->exchange) > HIGH_WATER_BYTES)
			break;
		AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_PIECE_BYTES);
		bool more = log_reader_read(stream->reader, &text);
		if (text.length) {
			size_t length;
			char *data = strbuf_take(&text, &length);
			AUTO(blob_unref) struct blob *piece = blob_new_take(data, length);
			http_exchange_write(stream->exchange, piece, 0, length);
		}
		if (!more)
			return true;
	}
	http_exchange_on_drain(stream->exchange, LOW_WATER_BYTES, on_drain, stream);
	return false;
}

static void pump(struct log_stream *stream)
{
	struct loop *loop = stream->server->kubelet->loop;
	// Asked before reading: what was written before the end is then certainly read.
	bool closed = stream->watcher.closed;
	int64_t ended_at_ns = stream->follow ? run_ended_at(stream) : 1;
	if (!send_pieces(stream))
		return;
	bool over = ended_at_ns && (closed || loop_realtime_ns(loop) - ended_at_ns >= LINGER_NS);
	if (!stream->follow || over || log_reader_is_full(stream->reader)) {
		stream_end(stream);
		return;
	}
	loop_timer_start(loop, &stream->look_timer, stream->look_delay_ns, on_look);
	stream->look_delay_ns *= 2;
	if (stream->look_delay_ns > LAST_LOOK_NS)
		stream->look_delay_ns = LAST_LOOK_NS;
}

static void watch(struct log_stream *stream)
{
	const char *slash = strrchr(stream->path, '/');
	AUTO_FREE char *folder = xstrndup(stream->path, (size_t)(slash - stream->path));
	log_watcher_start(&stream->server->log_watch, &stream->watcher, stream->server->kubelet->loop, folder,
	                  slash + 1, on_changed);
}

static void stream_start(struct server_request *request, const struct pod_container *container,
                         const struct container_run *run, const char *path, struct log_reader *reader)
{
	static const struct http_header type = {.name = "content-type", .value = "text/plain; charset=utf-8"};
	struct log_stream *stream = NEW(struct log_stream);
	*stream = (struct log_stream){
	        .server = request->server,
	        .exchange = http_exchange_ref(request->exchange),
	        .reader = reader,
	        .follow = query_bool(&request->query, "follow"),
	        .namespace_name = xstrdup(container->pod->namespace_name),
	        .pod_name = xstrdup(container->pod->name),
	        .uid = xstrdup(container->pod->uid),
	        .container_name = xstrdup(container->name),
	        .path = xstrdup(path),
	        .look_delay_ns = FIRST_LOOK_NS,
	};
	memcpy(stream->run_id, run->id, sizeof(stream->run_id));
	request->server->log_stream_count++;
	http_exchange_start(stream->exchange, 200, &type, 1);
	http_exchange_on_gone(stream->exchange, on_gone, stream);
	if (stream->follow)
		watch(stream);
	pump(stream);
}

// --- the options ---------------------------------------------------------------------

static bool refuse(struct server_request *request, int status, const char *message)
{
	server_respond_error(request->exchange, status, "{\"message\": \"%s\"}", message);
	return false;
}

static bool is_given(const struct query *query, const char *name)
{
	const char *value = query_get(query, name);
	return value && *value;
}

// Upstream's ValidatePodLogOptions.
static bool is_valid(const struct query *query, const struct log_options *options, int64_t since_seconds)
{
	const char *stream = is_given(query, "stream") ? query_get(query, "stream") : "All";
	bool all = !strcmp(stream, "All");
	if (is_given(query, "sinceSeconds") && (since_seconds < 1 || is_given(query, "sinceTime")))
		return false;
	if (is_given(query, "limitBytes") && options->limit_bytes < 1)
		return false;
	if (is_given(query, "tailLines") && (options->tail_lines < 0 || !all))
		return false;
	return all || !strcmp(stream, "Stdout") || !strcmp(stream, "Stderr");
}

// The answers don't tell the field, as upstream's.
static bool parse_options(struct server_request *request, struct log_options *options)
{
	const struct query *query = &request->query;
	int64_t since_seconds = 0;
	if (!query_integer(query, "tailLines", &options->tail_lines) ||
	    !query_integer(query, "sinceSeconds", &since_seconds) ||
	    !query_integer(query, "limitBytes", &options->limit_bytes) ||
	    (is_given(query, "sinceTime") && !api_time_parse(query_get(query, "sinceTime"), &options->since_ns)))
		return refuse(request, 400, "Unable to decode query.");
	if (!is_valid(query, options, since_seconds))
		return refuse(request, 422, "Invalid request.");
	int64_t now_ns = loop_realtime_ns(request->kubelet->loop);
	if (since_seconds)
		options->since_ns = since_seconds < now_ns / NSEC_PER_SEC ? now_ns - since_seconds * NSEC_PER_SEC : 0;
	options->timestamps = query_bool(query, "timestamps");
	const char *stream = query_get(query, "stream");
	if (stream && *stream && strcmp(stream, "All"))
		options->stream = strcmp(stream, "Stdout") ? "stderr" : "stdout";
	return true;
}

// --- which run -----------------------------------------------------------------------

static const struct json *find_status(const struct json *status, const char *container_name)
{
	static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"};
	for (size_t index = 0; index < ARRAY_SIZE(lists); index++)
		json_for_each_item (item, json_get(status, lists[index]))
			if (!strcmp(json_get_text(item, "name"), container_name))
				return item;
	return NULL;
}

// The id of the wanted run ("containerd://…"), or NULL and what is to be said.
static const char *choose_id(struct arena *arena, const struct json *status, const char *container_name,
                             const char *pod_name, bool previous, const char **ret_message)
{
	const char *what = arena_printf(arena, "container \"%s\" in pod \"%s\"", container_name, pod_name);
	const struct json *state = json_get(status, "state");
	const struct json *last = json_path(status, "lastState", "terminated");
	const struct json *terminated = json_get(state, "terminated");
	const char *last_id = json_get_text(last, "containerID");
	const char *reason = json_get_text(json_get(state, "waiting"), "reason");
	last_id = last_id && *last_id ? last_id : NULL;
	*ret_message = arena_printf(arena, "%s is terminated", what);
	if (!status)
		*ret_message = arena_printf(arena, "%s is not available", what);
	else if (previous && !last_id)
		*ret_message = arena_printf(arena, "previous terminated %s not found", what);
	else if (previous)
		return last_id;
	else if (json_get(state, "running"))
		return json_get_text(status, "containerID");
	else if (terminated)
		return json_get_text(terminated, "containerID") ? json_get_text(terminated, "containerID") : last_id;
	else if (last)
		return last_id;
	else if (reason && !strcmp(reason, "ErrImagePull"))
		*ret_message = arena_printf(arena, "%s is waiting to start: image can't be pulled", what);
	else if (reason && !strcmp(reason, "ImagePullBackOff"))
		*ret_message = arena_printf(arena, "%s is waiting to start: trying and failing to pull image", what);
	else
		*ret_message = arena_printf(arena, "%s is waiting to start%s%s", what, reason ? ": " : "",
		                            reason ? reason : " - no logs yet");
	return NULL;
}

static const struct container_run *find_run(const struct pod_container *container, const char *id)
{
	const char *bare = id ? strstr(id, "://") : NULL;
	if (bare && container->has_run && !strcmp(container->run.id, bare + 3))
		return &container->run;
	if (bare && container->has_last && !strcmp(container->last.id, bare + 3))
		return &container->last;
	return NULL;
}

// NULL after an error was answered.
static const struct container_run *choose_run(struct server_request *request, const struct pod *pod,
                                              const struct pod_container *container)
{
	struct loop *loop = request->kubelet->loop;
	const struct json *status =
	        pod_status_build(request->arena, pod, pod->status, loop_realtime_ns(loop), loop_now_ns(loop));
	const char *message;
	const char *id = choose_id(request->arena, find_status(status, container->name), container->name, pod->name,
	                           query_bool(&request->query, "previous"), &message);
	const struct container_run *run = find_run(container, id);
	if (!run)
		server_respond_error(request->exchange, 400, "%s", message);
	return run;
}

void server_handle_logs(struct server_request *request)
{
	struct log_options options = LOG_OPTIONS_INIT;
	if (!parse_options(request, &options))
		return;
	const char *name = server_container_name(request);
	struct pod *pod = server_find_pod(request);
	const struct pod_container *container = pod ? pod_find_container(pod, name) : NULL;
	if (!pod)
		server_respond_error(request->exchange, 404, "pod \"%s\" does not exist\n", request->parts[2]);
	else if (!container)
		server_respond_error(request->exchange, 404, "container \"%s\" not found in pod \"%s\"\n", name,
		                     pod->name);
	else if (request->server->log_stream_count >= SERVER_MAX_LOG_STREAMS)
		server_respond_error(request->exchange, 429, "too many logs are being read, try again later\n");
	const struct container_run *run = NULL;
	if (container && request->server->log_stream_count < SERVER_MAX_LOG_STREAMS)
		run = choose_run(request, pod, container);
	if (!run)
		return;
	const char *path = pod_log_path(request->arena, pod, container->name, run->restart);
	struct log_reader *reader = log_reader_open(path, &options);
	if (reader)
		stream_start(request, container, run, path, reader);
	else
		server_respond_error(request->exchange, 500, "failed to open log file \"%s\": %s\n", path,
		                     strerror(errno));
}
