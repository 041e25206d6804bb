// SPDX-License-Identifier: Apache-2.0
// One prober for each probe of a running container. A prober is a timer and at most
// one try under way; a try is an exec, an HTTP request or a TCP connection, ended by
// its deadline. Liveness and readiness wait for the startup probe.
//
//   idle ──period──▶ trying ──result──▶ count ──threshold──▶ the container's flags
//
// A try that can't be taken back (an exec) outlives its prober as an orphan that
// reports to nobody.

#include "kubelet/pod/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/http_client.h"
#include "common/io/stream.h"
#include "kubelet/kubelet.h"
#include "kubelet/runtime/runtime.h"

enum probe_type {
	PROBE_STARTUP,
	PROBE_LIVENESS,
	PROBE_READINESS,
	PROBE_TYPE_COUNT_,
};

static const char *const type_names[] = {
        [PROBE_STARTUP] = "Startup", [PROBE_LIVENESS] = "Liveness", [PROBE_READINESS] = "Readiness"};

struct exec_try {
	struct prober *prober; // NULL: nobody waits any more
	struct runtime_exec *exec;
	struct runtime *runtime;
};

struct prober {
	struct probe_set *set;
	enum probe_type type;
	bool exists;
	struct loop_timer period;
	struct loop_timer deadline;
	struct exec_try *exec;
	struct http_client *client;
	struct http_call *call;
	struct stream *stream;
	int successes;
	int failures;
};

struct probe_set {
	struct pod_container *container;
	struct prober probers[PROBE_TYPE_COUNT_];
};

static const struct core_v1_probe *probe_of(const struct prober *prober)
{
	const struct core_v1_container *spec = prober->set->container->spec;
	return prober->type == PROBE_STARTUP    ? spec->startup_probe
	       : prober->type == PROBE_LIVENESS ? spec->liveness_probe
	                                        : spec->readiness_probe;
}

static struct kubelet *kubelet_of(const struct prober *prober)
{
	return prober->set->container->pod->kubelet;
}

static int64_t or_default(int32_t value, int32_t fallback)
{
	return value > 0 ? value : fallback;
}

static void on_period(struct loop_timer *timer);

static void wait_for_next(struct prober *prober)
{
	int64_t seconds = or_default(probe_of(prober)->period_seconds, 10);
	loop_timer_start(kubelet_of(prober)->loop, &prober->period, seconds * NSEC_PER_SEC, on_period);
}

// --- results ------------------------------------------------------------------------------

static void apply(struct prober *prober, bool healthy)
{
	struct pod_container *container = prober->set->container;
	switch (prober->type) {
	case PROBE_STARTUP:
		container->started |= healthy;
		if (healthy && !container->spec->readiness_probe)
			container->ready = true;
		if (!healthy)
			container->restart_reason = "failed startup probe";
		container->must_restart |= !healthy;
		break;
	case PROBE_LIVENESS:
		if (!healthy)
			container->restart_reason = "failed liveness probe";
		container->must_restart |= !healthy;
		break;
	default:
		container->ready = healthy;
	}
	pod_wake(container->pod);
}

static void drop_try(struct prober *prober)
{
	loop_timer_stop(&prober->deadline);
	if (prober->exec) {
		prober->exec->prober = NULL;
		prober->exec->runtime->operations->exec_kill(prober->exec->exec);
		prober->exec = NULL;
	}
	if (prober->call)
		http_call_cancel(TAKE(prober->call));
	prober->stream = stream_free(prober->stream);
}

static void on_result(struct prober *prober, bool healthy, const char *message)
{
	struct pod_container *container = prober->set->container;
	const struct core_v1_probe *probe = probe_of(prober);
	drop_try(prober);
	prober->successes = healthy ? prober->successes + 1 : 0;
	prober->failures = healthy ? 0 : prober->failures + 1;
	bool ended = prober->type == PROBE_STARTUP && container->started;
	if (!healthy)
		pod_event(container->pod, container, "Warning", "Unhealthy", "%s probe failed: %s",
		          type_names[prober->type], message);
	if (healthy && prober->successes >= or_default(probe->success_threshold, 1)) {
		apply(prober, true);
		ended |= prober->type == PROBE_STARTUP;
	} else if (!healthy && prober->failures >= or_default(probe->failure_threshold, 3)) {
		apply(prober, false);
		ended |= prober->type != PROBE_READINESS; // the container is on its way out
	}
	if (!ended)
		wait_for_next(prober);
}

static void on_deadline(struct loop_timer *timer)
{
	struct prober *prober = container_of(timer, struct prober, deadline);
	on_result(prober, false, "context deadline exceeded");
}

// --- tries -----------------------------------------------------------------------------------

static void on_exec_done(void *context, int exit_code, const char *error_text)
{
	struct exec_try *try = context;
	struct prober *prober = try->prober;
	free(try);
	if (!prober)
		return;
	prober->exec = NULL;
	if (exit_code == RUNTIME_EXEC_CLOSED)
		return;
	char message[128];
	snprintf(message, sizeof(message), "%s%.80s", exit_code < 0 ? "" : "command exited with a failure code",
	         exit_code < 0 ? error_text : "");
	on_result(prober, exit_code == 0, message);
}

static void try_exec(struct prober *prober, const struct core_v1_exec_action *action)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct runtime *runtime = kubelet_of(prober)->runtime;
	const char **command = ARENA_ARRAY(arena, const char *, action->command.count + 1);
	for (size_t index = 0; index < action->command.count; index++)
		command[index] = action->command.items[index];
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct exec_try *try = NEW(struct exec_try);
	*try = (struct exec_try){.prober = prober, .runtime = runtime};
	struct runtime_exec_config config = {
	        .container_id = prober->set->container->run.id,
	        .command = command,
	        .fds = {null_fd, null_fd, null_fd},
	};
	prober->exec = try;
	try->exec = runtime->operations->exec_start(runtime, &config, on_exec_done, try);
}

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
	struct prober *prober = context;
	(void)body;
	(void)body_length;
	prober->call = NULL;
	char message[300];
	if (status)
		snprintf(message, sizeof(message), "HTTP probe failed with statuscode: %d", status);
	else
		snprintf(message, sizeof(message), "%s", err ? err->message : "no answer");
	on_result(prober, status >= 200 && status < 400, message);
}

static void try_http(struct prober *prober, const struct core_v1_http_get_action *action)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct pod_container *container = prober->set->container;
	const char *host = action->host && *action->host ? action->host : pod_address(container->pod);
	bool tls = action->scheme && !strcmp(action->scheme, "HTTPS");
	const char *path = action->path && *action->path ? action->path : "/";
	bool is_v6 = host && strchr(host, ':');
	const char **headers = ARENA_ARRAY(arena, const char *, action->http_headers.count + 1);
	for (size_t index = 0; index < action->http_headers.count; index++)
		headers[index] = arena_printf(arena, "%s: %s", action->http_headers.items[index].name,
		                              action->http_headers.items[index].value);
	if (!prober->client) {
		struct http_client_config config = {
		        .tls.insecure_skip_verify = true, .user_agent = "kube-probe/1.33", .http1_only = true};
		prober->client = http_client_new(kubelet_of(prober)->loop, &config);
	}
	struct http_call_config call = {
	        .method = "GET",
	        .url = arena_printf(arena, "%s://%s%s%s:%d%s%s", tls ? "https" : "http", is_v6 ? "[" : "",
	                            host ? host : "", is_v6 ? "]" : "", resolve_port(container, &action->port),
	                            *path == '/' ? "" : "/", path),
	        .headers = headers,
	        .max_response_bytes = 1 << 20,
	        .timeout_ns = or_default(probe_of(prober)->timeout_seconds, 1) * NSEC_PER_SEC,
	        .on_done = on_http_done,
	        .context = prober,
	};
	prober->call = http_call_start(prober->client, &call);
}

static void on_tcp_open(void *context)
{
	on_result(context, true, "");
}

static size_t on_tcp_data(void *context, const void *data, size_t length)
{
	(void)context;
	(void)data;
	return length;
}

static void on_tcp_close(void *context, const struct err *err)
{
	on_result(context, false, err ? err->message : "connection closed");
}

static void try_tcp(struct prober *prober, const struct core_v1_tcp_socket_action *action)
{
	struct pod_container *container = prober->set->container;
	struct stream_config config = {
	        .host = action->host && *action->host ? action->host : pod_address(container->pod),
	        .port = resolve_port(container, &action->port),
	        .callbacks = {.on_connect = on_tcp_open, .on_data = on_tcp_data, .on_close = on_tcp_close},
	        .context = prober,
	};
	prober->stream = stream_connect(kubelet_of(prober)->loop, &config);
}

static void on_period(struct loop_timer *timer)
{
	struct prober *prober = container_of(timer, struct prober, period);
	const struct pod_container *container = prober->set->container;
	const struct core_v1_probe *probe = probe_of(prober);
	if (!probe || container->stopping)
		return;
	if (!container->started && prober->type != PROBE_STARTUP) {
		loop_timer_start(kubelet_of(prober)->loop, &prober->period, NSEC_PER_SEC, on_period);
		return;
	}
	if (!pod_address(container->pod))
		return;
	loop_timer_start(kubelet_of(prober)->loop, &prober->deadline,
	                 or_default(probe->timeout_seconds, 1) * NSEC_PER_SEC, on_deadline);
	if (probe->exec)
		try_exec(prober, probe->exec);
	else if (probe->http_get)
		try_http(prober, probe->http_get);
	else if (probe->tcp_socket)
		try_tcp(prober, probe->tcp_socket);
	else
		on_result(prober, false, "this kind of probe isn't supported");
}

// --- the set -----------------------------------------------------------------------------------

struct probe_set *probe_set_start(struct pod_container *container)
{
	const struct core_v1_probe *probes[PROBE_TYPE_COUNT_] = {
	        container->spec->startup_probe, container->spec->liveness_probe, container->spec->readiness_probe};
	if (!probes[PROBE_STARTUP] && !probes[PROBE_LIVENESS] && !probes[PROBE_READINESS])
		return NULL;
	struct probe_set *set = NEW(struct probe_set);
	set->container = container;
	for (int type = 0; type < PROBE_TYPE_COUNT_; type++) {
		struct prober *prober = &set->probers[type];
		*prober = (struct prober){.set = set, .type = (enum probe_type)type, .exists = probes[type] != NULL};
		if (prober->exists)
			loop_timer_start(container->pod->kubelet->loop, &prober->period,
			                 probes[type]->initial_delay_seconds * NSEC_PER_SEC +
			                         (int64_t)random_below(200) * NSEC_PER_MSEC,
			                 on_period);
	}
	return set;
}

struct probe_set *probe_set_stop(struct probe_set *set)
{
	if (!set)
		return NULL;
	for (int type = 0; type < PROBE_TYPE_COUNT_; type++) {
		drop_try(&set->probers[type]);
		loop_timer_stop(&set->probers[type].period);
		set->probers[type].client = http_client_free(set->probers[type].client);
	}
	free(set);
	return NULL;
}
