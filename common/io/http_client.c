// SPDX-License-Identifier: Apache-2.0
//
// One curl multi handle driven by the loop: curl tells which sockets and which
// timer it waits for, we call it back when they are ready. All calls to one
// server share one HTTP/2 connection (PIPEWAIT holds further calls back until the
// first has found out whether the server speaks it).
//
// curl may not be entered from its own callbacks, and owners may start, cancel or
// free anything from theirs. So everything stands between enter and leave, which
// count `depth`; while it isn't 0, a start only queues, a cancel only marks, a
// free only notes, and the outermost leave catches up.
//
// A call: prepared ── added to multi ── (head, data)* ── done ── on_done ── destroyed
//            └─ failed: finished by the start timer in a later turn
//
// Deadlines are timers of our own: curl's would close a connection that others
// share. A peer that vanished is noticed by the kernel (keep-alive probes, and
// TCP_USER_TIMEOUT for bytes that are not acknowledged): an idle watch may be
// silent for minutes by right.
//
// Trap of 7.88: removing a call waits for its resolver's thread. Daemons dial by address.
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/memory.h"
#include "common/io/http_client_internal.h"

enum {
	KEEPALIVE_IDLE_SECONDS = 15,
	KEEPALIVE_INTERVAL_SECONDS = 5,
	KEEPALIVE_PROBES = 3,
	UNACKNOWLEDGED_MILLISECONDS = 20000,
};

struct http_socket {
	struct loop_fd source;
	struct list node;
	struct http_client *client;
};

// --- curl's sockets ---------------------------------------------------------------------

static void drain_messages(struct http_client *client)
{
	CURLMsg *message;
	int left;
	while (!client->free_requested && (message = curl_multi_info_read(client->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct http_call *call = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		http_call_finish(call, message->data.result);
	}
}

static void act(struct http_client *client, curl_socket_t fd, int events)
{
	int running;
	http_client_enter(client);
	curl_multi_socket_action(client->multi, fd, events, &running);
	drain_messages(client);
	http_client_leave(client);
}

static void on_ready(struct loop_fd *source, unsigned ready)
{
	struct http_socket *socket = container_of(source, struct http_socket, source);
	// A hang-up is something to read: curl then meets the end or the error itself.
	act(socket->client, source->fd,
	    (ready & (LOOP_READ | LOOP_HANGUP) ? CURL_CSELECT_IN : 0) | (ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void socket_free(struct http_socket *socket)
{
	loop_fd_stop(&socket->source);
	list_remove(&socket->node);
	free(socket);
}

static int on_curl_socket(CURL *easy UNUSED, curl_socket_t fd, int what, void *context, void *socket_context)
{
	struct http_client *client = context;
	struct http_socket *socket = socket_context;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			socket_free(socket);
		curl_multi_assign(client->multi, fd, NULL);
		return 0;
	}
	unsigned events = (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
	if (socket) {
		loop_fd_set_events(&socket->source, events);
		return 0;
	}
	socket = NEW(struct http_socket);
	socket->client = client;
	list_append(&client->sockets, &socket->node);
	loop_fd_start(client->loop, &socket->source, fd, events, on_ready);
	curl_multi_assign(client->multi, fd, socket);
	return 0;
}

static void set_option(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value)); // a better notice of death, not a need
}

curl_socket_t http_client_open_socket(void *context UNUSED, curlsocktype purpose UNUSED, struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS);
	return fd;
}

// A source must be stopped before its descriptor is closed and its number used again.
int http_client_close_socket(void *context, curl_socket_t fd)
{
	struct http_client *client = context;
	struct http_socket *socket;
	list_for_each (socket, &client->sockets, node) {
		if (socket->source.fd == fd) {
			socket_free(socket);
			curl_multi_assign(client->multi, fd, NULL);
		}
	}
	return close(fd);
}

static void on_curl_timer_due(struct loop_timer *timer)
{
	act(container_of(timer, struct http_client, curl_timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi UNUSED, long timeout_ms, void *context)
{
	struct http_client *client = context;
	if (timeout_ms < 0)
		loop_timer_stop(&client->curl_timer);
	else
		loop_timer_start(client->loop, &client->curl_timer, timeout_ms * NSEC_PER_MSEC, on_curl_timer_due);
	return 0;
}

// --- catching up ------------------------------------------------------------------------

static void destroy_client(struct http_client *client)
{
	struct http_call *call;
	list_for_each (call, &client->calls, node)
		http_call_destroy(call);
	curl_multi_cleanup(client->multi); // closes connections: may still stop sockets and move the timer
	struct http_socket *socket;
	list_for_each (socket, &client->sockets, node)
		socket_free(socket);
	loop_timer_stop(&client->curl_timer);
	loop_timer_stop(&client->start_timer);
	http_credential_source_done(&client->credentials);
	free(client->server_name);
	free(client->user_agent);
	free(client);
}

void http_client_enter(struct http_client *client)
{
	client->depth++;
}

void http_client_leave(struct http_client *client)
{
	assert(client->depth > 0);
	if (--client->depth > 0)
		return;
	if (client->free_requested) {
		destroy_client(client);
		return;
	}
	if (!client->deferred)
		return;
	client->deferred = false;
	struct http_call *call;
	list_for_each (call, &client->calls, node) {
		if (call->cancelled)
			http_call_destroy(call);
		else if (!call->added && call->failure.code == ERR_NONE)
			http_call_add(call);
	}
}

// --- calls ------------------------------------------------------------------------------

static void on_start_timer(struct loop_timer *timer)
{
	struct http_client *client = container_of(timer, struct http_client, start_timer);
	http_client_enter(client);
	// Owners may drop any call from on_done, the next one too: look from the start each time.
	for (bool found = true; found && !client->free_requested;) {
		struct http_call *call;
		found = false;
		list_for_each (call, &client->calls, node) {
			if (call->failure.code != ERR_NONE && !call->cancelled) {
				found = true;
				break;
			}
		}
		if (found)
			http_call_finish(call, CURLE_OK);
	}
	http_client_leave(client);
}

static void fail_later(struct http_call *call)
{
	loop_timer_start(call->client->loop, &call->client->start_timer, 0, on_start_timer);
}

void http_call_add(struct http_call *call)
{
	CURLMcode result = curl_multi_add_handle(call->client->multi, call->easy);
	if (result == CURLM_OK) {
		call->added = true;
		return;
	}
	err_set(&call->failure, ERR_INTERNAL, "%s %s: %s", call->method, call->authority, curl_multi_strerror(result));
	fail_later(call);
}

static void on_deadline(struct loop_timer *timer)
{
	struct http_call *call = container_of(timer, struct http_call, deadline);
	struct http_client *client = call->client;
	http_client_enter(client);
	if (!call->cancelled)
		http_call_finish(call, CURLE_OPERATION_TIMEDOUT);
	http_client_leave(client);
}

static struct http_call *new_call(struct http_client *client, const struct http_call_config *config)
{
	struct http_call *call = NEW(struct http_call);
	size_t maximum = config->max_response_bytes ? config->max_response_bytes : (size_t)1 << 30;
	call->client = client;
	call->config = *config;
	call->method = xstrdup(config->method ? config->method : "GET");
	call->authority = xstrdup(config->url);
	call->body = config->body ? xmemdup(config->body, config->body_length) : NULL;
	call->body_length = config->body_length;
	call->response = STRBUF_INIT(maximum);
	call->response_headers = STRBUF_INIT(256 * 1024);
	list_append(&client->calls, &call->node);
	return call;
}

struct http_call *http_call_start(struct http_client *client, const struct http_call_config *config)
{
	assert(!client->free_requested);
	struct http_call *call = new_call(client, config);
	if (config->timeout_ns > 0)
		loop_timer_start(client->loop, &call->deadline, config->timeout_ns, on_deadline);
	if (!http_call_prepare(call))
		fail_later(call);
	else if (client->depth > 0)
		client->deferred = true;
	else
		http_call_add(call);
	call->config.url = call->config.method = call->config.body = NULL;
	call->config.headers = NULL;
	return call;
}

void http_call_cancel(struct http_call *call)
{
	if (call->finishing || call->cancelled)
		return;
	call->cancelled = true;
	loop_timer_stop(&call->deadline);
	if (call->client->depth > 0)
		call->client->deferred = true;
	else
		http_call_destroy(call);
}

// --- the client -------------------------------------------------------------------------

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_ALL);
}

struct http_client *http_client_new(struct loop *loop, const struct http_client_config *config)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_curl);
	struct http_client *client = NEW(struct http_client);
	client->loop = loop;
	client->insecure = config->tls.insecure_skip_verify;
	client->http1_only = config->http1_only;
	client->server_name = xstrdup(config->tls.server_name);
	client->user_agent = xstrdup(config->user_agent);
	list_init(&client->calls);
	list_init(&client->sockets);
	http_credential_source_init(&client->credentials, config);
	client->multi = curl_multi_init();
	if (!client->multi)
		abort(); // curl is out of memory
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	return client;
}

struct http_client *http_client_free(struct http_client *client)
{
	if (!client)
		return NULL;
	http_client_enter(client);
	client->free_requested = true;
	struct http_call *call;
	list_for_each (call, &client->calls, node) {
		call->cancelled = true;
		loop_timer_stop(&call->deadline);
	}
	http_client_leave(client);
	return NULL;
}
