// SPDX-License-Identifier: Apache-2.0
// GET /containerLogs/{namespace}/{pod}/{container}: a container's log as text, and on
// as it grows. The file is read in pieces as the client takes them; when following,
// inotify tells of growth, and a slow timer stands behind it. Following ends when the
// container has ended and everything was read.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/api/object.h"
#include "common/base/memory.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/server/log_reader.h"
#include "kubelet/server/server_internal.h"

#define LOOK_NS (1 * NSEC_PER_SEC)

enum { HIGH_WATER_BYTES = 256 << 10, LOW_WATER_BYTES = 64 << 10, PIECE_BYTES = 1 << 20 };

struct log_session {
	struct kubelet *kubelet;
	struct http_exchange *exchange;
	struct log_reader *reader;
	bool follow;
	char *namespace_name, *pod_name, *uid, *container_name;
	char run_id[CONTAINER_ID_BYTES];
	int inotify_fd;
	struct loop_fd source;
	struct loop_timer timer;
};

static void session_free(struct log_session *session)
{
	http_exchange_on_gone(session->exchange, NULL, NULL);
	http_exchange_on_drain(session->exchange, 0, NULL, NULL);
	loop_fd_stop(&session->source);
	loop_timer_stop(&session->timer);
	if (session->inotify_fd >= 0)
		close(session->inotify_fd);
	log_reader_close(session->reader);
	http_exchange_unref(session->exchange);
	free(session->namespace_name);
	free(session->pod_name);
	free(session->uid);
	free(session->container_name);
	free(session);
}

static void on_gone(void *context)
{
	session_free(context);
}

// The run whose log it is still goes on.
static bool is_running(const struct log_session *session)
{
	struct pod *pod =
		pod_manager_find(session->kubelet->pods, session->namespace_name, session->pod_name, session->uid);
	struct pod_container *container = pod ? pod_find_container(pod, session->container_name) : NULL;
	return container && container->state == CONTAINER_RUNNING && !strcmp(container->run.id, session->run_id);
}

static void pump(struct log_session *session);

static void on_drain(void *context)
{
	pump(context);
}

static void on_timer(struct loop_timer *timer)
{
	pump(container_of(timer, struct log_session, timer));
}

static void on_growth(struct loop_fd *source, unsigned ready)
{
	struct log_session *session = container_of(source, struct log_session, source);
	char events[4096];
	(void)ready;
	while (read(session->inotify_fd, events, sizeof(events)) > 0)
		;
	pump(session);
}

static void pump(struct log_session *session)
{
	bool running = is_running(session); // asked before reading, so that nothing written before its end is missed
	for (;;) {
		if (http_exchange_pending_bytes(session->exchange) > HIGH_WATER_BYTES) {
			http_exchange_on_drain(session->exchange, LOW_WATER_BYTES, on_drain, session);
			return;
		}
		AUTO_STRBUF struct strbuf text = STRBUF_INIT(PIECE_BYTES);
		bool more = log_reader_read(session->reader, &text);
		if (text.length) {
			AUTO(blob_unref) struct blob *piece = blob_new(strbuf_text(&text), text.length);
			http_exchange_write(session->exchange, piece, 0, piece->length);
		}
		if (!more)
			break;
	}
	if (session->follow && running && !log_reader_is_full(session->reader)) {
		loop_timer_start(session->kubelet->loop, &session->timer, LOOK_NS, on_timer);
		return;
	}
	http_exchange_end(session->exchange);
	session_free(session);
}

static void watch(struct log_session *session, const char *path)
{
	AUTO_FREE char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	session->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (session->inotify_fd < 0)
		return; // the timer serves, slower
	inotify_add_watch(session->inotify_fd, folder, IN_MODIFY | IN_CREATE | IN_MOVED_FROM);
	loop_fd_start(session->kubelet->loop, &session->source, session->inotify_fd, LOOP_READ, on_growth);
}

// --- the request -----------------------------------------------------------------------------

static bool parse_number(struct server_request *request, const char *name, int64_t *value)
{
	const char *text = server_query(request, name);
	char *end;
	if (!text || !*text)
		return true;
	errno = 0;
	*value = strtoll(text, &end, 10);
	if (!errno && !*end && *value >= 0)
		return true;
	server_respond_error(request->exchange, 400, "invalid value \"%s\" for %s: must be a number not below 0\n", text, name);
	return false;
}

static bool parse_bool(const struct server_request *request, const char *name)
{
	const char *text = server_query(request, name);
	return text && (!strcmp(text, "true") || !strcmp(text, "1"));
}

static bool parse_options(struct server_request *request, struct log_options *options)
{
	int64_t since_seconds = -1;
	const char *since_time = server_query(request, "sinceTime");
	const char *stream = server_query(request, "stream");
	if (!parse_number(request, "tailLines", &options->tail_lines) ||
	    !parse_number(request, "sinceSeconds", &since_seconds) ||
	    !parse_number(request, "limitBytes", &options->limit_bytes))
		return false;
	if (since_time && *since_time && !api_time_parse(since_time, &options->since_ns)) {
		server_respond_error(request->exchange, 400, "invalid value \"%s\" for sinceTime\n", since_time);
		return false;
	}
	if (since_seconds >= 0)
		options->since_ns = loop_realtime_ns(request->kubelet->loop) - since_seconds * NSEC_PER_SEC;
	options->timestamps = parse_bool(request, "timestamps");
	if (stream && !strcasecmp(stream, "stdout"))
		options->stream = "stdout";
	else if (stream && !strcasecmp(stream, "stderr"))
		options->stream = "stderr";
	return true;
}

// The run that is asked for; NULL after an error was answered.
static const struct container_run *choose_run(struct server_request *request, const struct pod_container *container,
					      bool previous)
{
	const struct container_run *run = NULL;
	bool waits = container->state == CONTAINER_STARTING || container->state == CONTAINER_WAITING;
	if (previous)
		run = container->has_last ? &container->last : container->has_run && waits ? &container->run : NULL;
	else if (container->has_run && container->run.started_at_ns)
		run = &container->run;
	else if (container->has_last)
		run = &container->last;
	if (run)
		return run;
	if (previous)
		server_respond_error(request->exchange, 400, "previous terminated container \"%s\" in pod \"%s\" not found",
				     container->name, container->pod->name);
	else
		server_respond_error(request->exchange, 400,
				     "container \"%s\" in pod \"%s\" is waiting to start: %s", container->name,
				     container->pod->name,
				     container->waiting_reason ? container->waiting_reason : "ContainerCreating");
	return NULL;
}

void server_handle_logs(struct server_request *request)
{
	struct log_options options = LOG_OPTIONS_INIT;
	struct pod_container *container = server_find_container(request);
	if (!container || !parse_options(request, &options))
		return;
	const struct container_run *run = choose_run(request, container, parse_bool(request, "previous"));
	if (!run)
		return;
	const char *path = pod_log_path(request->arena, container->pod, container->name, run->restart);
	struct log_reader *reader = log_reader_open(path, &options);
	if (!reader) {
		server_respond_error(request->exchange, 500, "failed to try resolving symlinks in path \"%s\": %s\n", path,
				     strerror(errno));
		return;
	}
	struct log_session *session = NEW(struct log_session);
	*session = (struct log_session){
		.kubelet = request->kubelet,
		.exchange = http_exchange_ref(request->exchange),
		.reader = reader,
		.follow = parse_bool(request, "follow"),
		.namespace_name = xstrdup(container->pod->namespace_name),
		.pod_name = xstrdup(container->pod->name),
		.uid = xstrdup(container->pod->uid),
		.container_name = xstrdup(container->name),
		.inotify_fd = -1,
	};
	memcpy(session->run_id, run->id, sizeof(session->run_id));
	struct http_header header = {.name = "content-type", .value = "text/plain"};
	http_exchange_start(session->exchange, 200, &header, 1);
	http_exchange_on_gone(session->exchange, on_gone, session);
	if (session->follow)
		watch(session, path);
	pump(session);
}
