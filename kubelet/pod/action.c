// SPDX-License-Identifier: Apache-2.0
// An action is one of the kinds below under a deadline:
//
//   begin ─▶ exec: runtime command, its output kept (at most MAX_OUTPUT_BYTES)
//         ─▶ http: a request of its own connection
//         ─▶ tcp: a connection that is closed at once
//         ─▶ grpc: grpc.health.v1.Health/Check over plain HTTP/2
//         ─▶ sleep: nothing but the time
//   outcome or deadline ─▶ finish (in a turn of its own) ─▶ done
//
// A command can't be taken back at once: it is killed, and reports to nobody (struct
// command). The messages are upstream's prober's.

#include "kubelet/pod/action.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/io/grpc_client.h"
#include "common/io/http_client.h"
#include "common/io/stream.h"
#include "kubelet/kubelet.h"
#include "kubelet/runtime/runtime.h"

enum {
	MAX_OUTPUT_BYTES = 10 << 10,
	MAX_RESPONSE_BYTES = 10 << 10,
	HEALTH_SERVING = 1,
};

struct command {
	struct action *action; // NULL: nobody waits any more
	struct runtime_exec *exec;
};

struct action {
	struct loop *loop;
	struct runtime *runtime;
	int64_t timeout_ns;
	bool any_http_status;
	bool over; // `fine` and `message` hold
	bool fine;
	char message[1024];
	struct loop_timer timer; // the deadline; the finish
	char *url;
	struct command *command;
	int output_fd;
	struct loop_fd output_source;
	struct strbuf output;
	struct http_client *http;
	struct http_call *http_call;
	struct stream *stream;
	struct grpc_client *grpc;
	bool grpc_answered;
	uint8_t health;
	void (*done)(void *context, bool fine, const char *message);
	void *context;
};

static void on_timer(struct loop_timer *timer);

static void finish(struct action *action, bool fine, const char *format, ...) PRINTF_LIKE(3, 4);
static void finish(struct action *action, bool fine, const char *format, ...)
{
	va_list args;
	if (action->over)
		return;
	action->over = true;
	action->fine = fine;
	va_start(args, format);
	vsnprintf(action->message, sizeof(action->message), format, args);
	va_end(args);
	loop_timer_start(action->loop, &action->timer, 0, on_timer);
}

static void release(struct action *action)
{
	loop_timer_stop(&action->timer);
	loop_fd_stop(&action->output_source);
	if (action->output_fd >= 0)
		close(action->output_fd);
	strbuf_done(&action->output);
	if (action->command) {
		action->command->action = NULL;
		action->runtime->operations->exec_kill(action->command->exec);
	}
	if (action->http_call)
		http_call_cancel(action->http_call);
	http_client_free(action->http);
	stream_free(action->stream);
	if (action->grpc)
		grpc_client_free(action->grpc);
	free(action->url);
	free(action);
}

static const char *timeout_words(const struct action *action, char out[64])
{
	snprintf(out, 64, "timeout %llds exceeded", (long long)(action->timeout_ns / NSEC_PER_SEC));
	return out;
}

static void say_timeout(struct action *action)
{
	char words[64];
	if (action->command)
		finish(action, false, "command timed out: failed to exec in container: %s: context deadline exceeded",
		       timeout_words(action, words));
	else if (action->url)
		finish(action, false,
		       "Get \"%s\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
		       action->url);
	else if (action->grpc)
		finish(action, false, "timeout: failed to connect service within %s: context deadline exceeded",
		       timeout_words(action, words));
	else
		finish(action, false, "i/o timeout");
}

static void on_timer(struct loop_timer *timer)
{
	struct action *action = container_of(timer, struct action, timer);
	if (!action->over) {
		say_timeout(action);
		return;
	}
	void (*done)(void *, bool, const char *) = action->done;
	void *context = action->context;
	bool fine = action->fine;
	char message[sizeof(action->message)];
	memcpy(message, action->message, sizeof(message));
	release(action);
	done(context, fine, message);
}

// --- a command -----------------------------------------------------------------------

static void read_output(struct action *action)
{
	char piece[4096];
	ssize_t count = -1;
	while (action->output_fd >= 0 && (count = read(action->output_fd, piece, sizeof(piece))) > 0) {
		size_t room = MAX_OUTPUT_BYTES - action->output.length;
		strbuf_append(&action->output, piece, (size_t)count < room ? (size_t)count : room);
	}
	if (action->output_fd >= 0 && count == 0)
		loop_fd_stop(&action->output_source);
}

static void on_output(struct loop_fd *source, unsigned ready)
{
	(void)ready;
	read_output(container_of(source, struct action, output_source));
}

static void on_exec_done(void *context, int exit_code, const char *error_text)
{
	struct command *command = context;
	struct action *action = command->action;
	free(command);
	if (!action)
		return;
	action->command = NULL;
	read_output(action);
	if (exit_code == RUNTIME_EXEC_CLOSED)
		finish(action, true, "%s", ""); // the kubelet ends: this says nothing
	else if (exit_code < 0)
		finish(action, false, "%s", error_text);
	else if (exit_code)
		finish(action, false, "%s", strbuf_text(&action->output));
	else
		finish(action, true, "%s", "");
}

static void begin_exec(struct action *action, const struct action_config *config)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct string_array *words = &config->exec->command;
	const char **command = ARENA_ARRAY(arena, const char *, words->count + 1);
	for (size_t index = 0; index < words->count; index++)
		command[index] = words->items[index];
	int ends[2];
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		finish(action, false, "%s", strerror(errno));
		return;
	}
	AUTO_CLOSE int write_fd = ends[1];
	fcntl(write_fd, F_SETFL, 0);
	action->output_fd = ends[0];
	loop_fd_start(action->loop, &action->output_source, ends[0], LOOP_READ, on_output);
	const struct runtime_exec_config exec = {
	        .container_id = config->container->run.id,
	        .command = command,
	        .fds = {null_fd, write_fd, write_fd},
	};
	action->command = NEW(struct command);
	action->command->action = action;
	action->command->exec =
	        action->runtime->operations->exec_start(action->runtime, &exec, on_exec_done, action->command);
}

// --- HTTP ----------------------------------------------------------------------------

static int resolve_port(const struct pod_container *container, const struct int_or_string *port)
{
	if (!port->is_string)
		return port->integer;
	for (size_t index = 0; index < container->spec->ports.count; index++)
		if (container->spec->ports.items[index].name &&
		    !strcmp(container->spec->ports.items[index].name, port->text))
			return container->spec->ports.items[index].container_port;
	return (int)strtol(port->text, NULL, 10);
}

static void on_http_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct action *action = context;
	(void)body;
	(void)body_length;
	action->http_call = NULL;
	if (!status)
		finish(action, false, "Get \"%s\": %s", action->url, err ? err->message : "no answer");
	else if (action->any_http_status || (status >= 200 && status < 400))
		finish(action, true, "%s", "");
	else
		finish(action, false, "HTTP probe failed with statuscode: %d", status);
}

static bool names_header(const struct core_v1_http_get_action *get, const char *name)
{
	for (size_t index = 0; index < get->http_headers.count; index++)
		if (!strcasecmp(get->http_headers.items[index].name, name))
			return true;
	return false;
}

static void begin_http(struct action *action, const struct action_config *config)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct core_v1_http_get_action *get = config->http_get;
	const char *host = get->host && *get->host ? get->host : pod_address(config->container->pod);
	const char *path = get->path && *get->path ? get->path : "/";
	const char **headers = ARENA_ARRAY(arena, const char *, get->http_headers.count + 2);
	size_t count = 0;
	for (size_t index = 0; index < get->http_headers.count; index++)
		headers[count++] = arena_printf(arena, "%s: %s", get->http_headers.items[index].name,
		                                get->http_headers.items[index].value);
	if (!names_header(get, "accept"))
		headers[count++] = "Accept: */*";
	bool is_v6 = host && strchr(host, ':');
	action->url = xasprintf("%s://%s%s%s:%d%s%s", get->scheme && !strcmp(get->scheme, "HTTPS") ? "https" : "http",
	                        is_v6 ? "[" : "", host ? host : "", is_v6 ? "]" : "",
	                        resolve_port(config->container, &get->port), *path == '/' ? "" : "/", path);
	const struct http_client_config client = {
	        .tls.insecure_skip_verify = true, .user_agent = config->user_agent, .http1_only = true};
	action->http = http_client_new(action->loop, &client);
	const struct http_call_config call = {
	        .method = "GET",
	        .url = action->url,
	        .headers = headers,
	        .max_response_bytes = MAX_RESPONSE_BYTES,
	        .on_done = on_http_done,
	        .context = action,
	};
	action->http_call = http_call_start(action->http, &call);
}

// --- TCP -----------------------------------------------------------------------------

static void on_tcp_open(void *context)
{
	finish(context, true, "%s", "");
}

static size_t on_tcp_data(void *context, const void *data, size_t length)
{
	(void)context;
	(void)data;
	return length;
}

static void on_tcp_close(void *context, const struct err *err)
{
	finish(context, false, "%s", err ? err->message : "connection closed");
}

static void begin_tcp(struct action *action, const struct action_config *config)
{
	const char *host = config->tcp_socket->host;
	const struct stream_config stream = {
	        .host = host && *host ? host : pod_address(config->container->pod),
	        .port = resolve_port(config->container, &config->tcp_socket->port),
	        .callbacks = {.on_connect = on_tcp_open, .on_data = on_tcp_data, .on_close = on_tcp_close},
	        .context = action,
	};
	action->stream = stream_connect(action->loop, &stream);
}

// --- gRPC ----------------------------------------------------------------------------

// HealthCheckResponse{status = 1}: a tag and a small number.
static void on_health(void *context, const uint8_t *message, size_t length)
{
	struct action *action = context;
	action->grpc_answered = true;
	action->health = length >= 2 && message[0] == 0x08 ? message[1] : 0;
}

static void on_grpc_done(void *context, enum grpc_status status, const char *message, bool sent)
{
	struct action *action = context;
	(void)sent;
	if (status == GRPC_OK && action->grpc_answered && action->health == HEALTH_SERVING)
		finish(action, true, "%s", "");
	else if (status == GRPC_OK)
		finish(action, false, "service unhealthy (responded with \"%s\")",
		       action->health == 2   ? "NOT_SERVING"
		       : action->health == 3 ? "SERVICE_UNKNOWN"
		                             : "UNKNOWN");
	else
		finish(action, false, "error: health rpc failed: rpc error: code = %d desc = %s", (int)status,
		       message ? message : "");
}

static void begin_grpc(struct action *action, const struct action_config *config)
{
	static const struct grpc_call_callbacks callbacks = {.on_message = on_health, .on_done = on_grpc_done};
	const char *service = config->grpc->service ? config->grpc->service : "";
	const char *host = pod_address(config->container->pod);
	size_t length = strnlen(service, 127);
	uint8_t request[130] = {0x0a, (uint8_t)length};
	memcpy(request + 2, service, length);
	bool is_v6 = host && strchr(host, ':');
	AUTO_FREE char *endpoint =
	        xasprintf("http://%s%s%s:%d", is_v6 ? "[" : "", host ? host : "", is_v6 ? "]" : "", config->grpc->port);
	const char *const endpoints[] = {endpoint, NULL};
	const struct grpc_client_config client = {.endpoints = endpoints, .max_message_bytes = 4096};
	struct err err = ERR_INIT;
	if (grpc_client_new(action->loop, &client, &action->grpc, &err) < 0) {
		finish(action, false, "%s", err.message);
		return;
	}
	(void)grpc_call_start(action->grpc, "/grpc.health.v1.Health/Check", request, length ? length + 2 : 0,
	                      action->timeout_ns, &callbacks, action);
}

// --- the start -----------------------------------------------------------------------

struct action *action_start(const struct action_config *config,
                            void (*done)(void *context, bool fine, const char *message), void *context)
{
	struct kubelet *kubelet = config->container->pod->kubelet;
	struct action *action = NEW(struct action);
	*action = (struct action){
	        .loop = kubelet->loop,
	        .runtime = kubelet->runtime,
	        .timeout_ns = config->timeout_ns,
	        .any_http_status = config->any_http_status,
	        .output_fd = -1,
	        .output = STRBUF_INIT(MAX_OUTPUT_BYTES),
	        .done = done,
	        .context = context,
	};
	loop_timer_start(kubelet->loop, &action->timer, config->timeout_ns, on_timer);
	if (config->exec)
		begin_exec(action, config);
	else if (config->http_get)
		begin_http(action, config);
	else if (config->tcp_socket)
		begin_tcp(action, config);
	else if (config->grpc)
		begin_grpc(action, config);
	else if (config->sleep && config->sleep->seconds * NSEC_PER_SEC < config->timeout_ns) {
		action->over = action->fine = true;
		loop_timer_start(kubelet->loop, &action->timer, config->sleep->seconds * NSEC_PER_SEC, on_timer);
	} else if (!config->sleep)
		finish(action, false, "invalid handler");
	return action;
}

struct action *action_cancel(struct action *action)
{
	if (action)
		release(action);
	return NULL;
}
