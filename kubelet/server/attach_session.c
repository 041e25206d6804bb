// SPDX-License-Identifier: Apache-2.0
// A container with a terminal or an open standard input has its streams held by a
// process that one can join (runtime.h, attach_*). Of any other container there is its
// log: what is written to it from now on is what the client sees, line by line.
//
// Back-pressure as with commands: input counts as taken when it is on its way, output
// pauses while more than HIGH_WATER_BYTES wait for the client. The end is the
// container's, or the client's, who leaves nothing behind.

#include "kubelet/server/attach_session.h"

#include <string.h>

#include "common/base/memory.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/log_reader.h"
#include "kubelet/server/server_internal.h"

#define LOOK_NS (500 * NSEC_PER_MSEC)
#define LINGER_NS NSEC_PER_SEC

enum {
	HIGH_WATER_BYTES = 1 << 20,
	MAX_PIECE_BYTES = 1 << 20,
	MAX_EARLY_BYTES = 16 << 20, // the client's end sends far less
	OUTPUT_COUNT = 2,
};

struct attach_session {
	struct kubelet_server *server;
	struct loop *loop;
	struct remote *remote;
	struct remote_wants wants;
	char *pod_uid;
	char *container_name;
	char run_id[CONTAINER_ID_BYTES];
	bool interactive;
	bool output_paused;

	struct runtime_attach *attach; // interactive
	char *directory;
	size_t untaken;      // input
	struct strbuf early; // input that came before the streams stood
	bool early_end;

	struct log_reader *readers[OUTPUT_COUNT]; // otherwise
	char *log_path;
	struct log_watcher watcher;
	struct loop_timer look_timer;
};

static void session_free(struct attach_session *session)
{
	remote_free(session->remote);
	session->server->kubelet->runtime->operations->attach_close(session->attach);
	log_watcher_stop(&session->server->log_watch, &session->watcher);
	loop_timer_stop(&session->look_timer);
	for (int index = 0; index < OUTPUT_COUNT; index++)
		log_reader_close(session->readers[index]);
	session->server->exec_count--;
	free(session->pod_uid);
	free(session->container_name);
	strbuf_done(&session->early);
	free(session->directory);
	free(session->log_path);
	free(session);
}

static void end(struct attach_session *session, const struct err *err)
{
	AUTO_FREE char *text = err ? xasprintf("error attaching to container: %s", err->message) : NULL;
	remote_finish(TAKE(session->remote), &(struct remote_outcome){err ? -1 : 0, text});
	session_free(session);
}

static const struct runtime_operations *operations_of(const struct attach_session *session)
{
	return session->server->kubelet->runtime->operations;
}

// When its run has ended, wall clock; 0: it goes on.
static int64_t run_ended_at(const struct attach_session *session)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(session->server->kubelet->pods, &cursor));) {
		if (strcmp(pod->uid, session->pod_uid))
			continue;
		const struct pod_container *container = pod_find_container(pod, session->container_name);
		if (!container || !container->has_run || strcmp(container->run.id, session->run_id))
			return 1;
		return container->run.finished_at_ns;
	}
	return 1;
}

// --- the log -------------------------------------------------------------------------

static void pump_log(struct attach_session *session);

static void on_look(struct loop_timer *timer)
{
	pump_log(container_of(timer, struct attach_session, look_timer));
}

static void on_log_changed(struct log_watcher *watcher)
{
	pump_log(container_of(watcher, struct attach_session, watcher));
}

static void pump_log(struct attach_session *session)
{
	bool closed = session->watcher.closed;
	int64_t ended_at_ns = run_ended_at(session);
	for (int index = 0; index < OUTPUT_COUNT; index++) {
		bool more = session->readers[index] != NULL;
		while (more && !session->output_paused) {
			AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_PIECE_BYTES);
			more = log_reader_read(session->readers[index], &text);
			if (text.length)
				remote_write(session->remote, index ? REMOTE_STDERR : REMOTE_STDOUT, text.data,
				             text.length);
			session->output_paused = remote_pending_bytes(session->remote) > HIGH_WATER_BYTES;
		}
	}
	if (session->output_paused)
		return;
	if (ended_at_ns && (closed || loop_realtime_ns(session->loop) - ended_at_ns >= LINGER_NS))
		end(session, NULL);
	else
		loop_timer_start(session->loop, &session->look_timer, LOOK_NS, on_look);
}

static void follow_log(struct attach_session *session)
{
	static const char *const streams[OUTPUT_COUNT] = {"stdout", "stderr"};
	for (int index = 0; index < OUTPUT_COUNT; index++) {
		struct log_options options = LOG_OPTIONS_INIT;
		options.tail_lines = 0;
		options.stream = streams[index];
		session->readers[index] = log_reader_open(session->log_path, &options);
	}
	const char *slash = strrchr(session->log_path, '/');
	AUTO_FREE char *folder = xstrndup(session->log_path, (size_t)(slash - session->log_path));
	log_watcher_start(&session->server->log_watch, &session->watcher, session->loop, folder, slash + 1,
	                  on_log_changed);
	pump_log(session);
}

// --- the container's streams ---------------------------------------------------------

static void on_output(void *context, bool is_error, const void *data, size_t length)
{
	struct attach_session *session = context;
	remote_write(session->remote, is_error ? REMOTE_STDERR : REMOTE_STDOUT, data, length);
	session->output_paused = remote_pending_bytes(session->remote) > HIGH_WATER_BYTES;
	if (session->output_paused)
		operations_of(session)->attach_pause(session->attach, true);
}

static void on_attach_drain(void *context)
{
	struct attach_session *session = context;
	size_t length = session->untaken;
	session->untaken = 0;
	if (length)
		remote_input_taken(session->remote, length);
}

static void on_attach_end(void *context, const struct err *err)
{
	struct attach_session *session = context;
	end(session, run_ended_at(session) ? NULL : err);
}

static void join(struct attach_session *session)
{
	const struct runtime_attach_config config = {
	        .container_id = session->run_id,
	        .directory = session->directory,
	        .on_output = on_output,
	        .on_drain = on_attach_drain,
	        .on_end = on_attach_end,
	        .context = session,
	};
	session->attach = operations_of(session)->attach_start(session->server->kubelet->runtime, &config);
	if (session->early.length)
		operations_of(session)->attach_write(session->attach, session->early.data, session->early.length);
	if (session->early_end)
		operations_of(session)->attach_end_input(session->attach);
	strbuf_done(&session->early);
}

// --- the client ----------------------------------------------------------------------

static void on_open(void *context)
{
	struct attach_session *session = context;
	if (session->interactive)
		join(session);
	else
		follow_log(session);
}

static void on_input(void *context, const void *data, size_t length)
{
	struct attach_session *session = context;
	if (!session->interactive) {
		remote_input_taken(session->remote, length); // nobody reads it
		return;
	}
	session->untaken += length;
	if (!session->attach) {
		strbuf_append(&session->early, data, length);
		return;
	}
	operations_of(session)->attach_write(session->attach, data, length);
}

static void on_input_end(void *context)
{
	struct attach_session *session = context;
	session->early_end = true;
	if (session->attach)
		operations_of(session)->attach_end_input(session->attach);
}

static void on_resize(void *context, unsigned columns, unsigned rows)
{
	struct attach_session *session = context;
	if (session->attach)
		operations_of(session)->attach_resize(session->attach, columns, rows);
}

static void on_drain(void *context)
{
	struct attach_session *session = context;
	if (!session->output_paused)
		return;
	session->output_paused = false;
	if (session->attach)
		operations_of(session)->attach_pause(session->attach, false);
	else
		pump_log(session);
}

static void on_gone(void *context)
{
	session_free(context);
}

void attach_session_start(struct kubelet_server *server, struct http_exchange *exchange,
                          const struct pod_container *container, const struct remote_wants *wants)
{
	static const struct remote_handler handler = {
	        .on_open = on_open,
	        .on_input = on_input,
	        .on_input_end = on_input_end,
	        .on_resize = on_resize,
	        .on_drain = on_drain,
	        .on_gone = on_gone,
	};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct attach_session *session = NEW(struct attach_session);
	*session = (struct attach_session){
	        .server = server,
	        .loop = server->kubelet->loop,
	        .wants = *wants,
	        .pod_uid = xstrdup(container->pod->uid),
	        .container_name = xstrdup(container->name),
	        .interactive = container->spec->stdin || container->spec->tty,
	        .directory = xasprintf("%s/%s", pod_container_directory(arena, container->pod, container->name),
	                               container->run.id),
	        .log_path = xstrdup(pod_log_path(arena, container->pod, container->name, container->run.restart)),
	        .watcher = {.descriptor = -1},
	        .early = STRBUF_INIT(MAX_EARLY_BYTES),
	};
	memcpy(session->run_id, container->run.id, sizeof(session->run_id));
	list_init(&session->watcher.node);
	server->exec_count++;
	session->remote = remote_accept(session->loop, exchange, wants, &handler, session);
	if (!session->remote)
		session_free(session);
}
