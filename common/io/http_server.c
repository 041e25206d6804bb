// SPDX-License-Identifier: Apache-2.0
//
// The listener, the shards (one for each loop), and the way out. The first loop
// accepts and hands each connection to the next shard by loop_post; from then on
// a connection knows its own loop only.
//
// A shard's turn does, in rounds, what the turn's events have left behind: call
// the owners of exchanges, flush connections, which may make more of both. After
// a few rounds the rest waits for the next turn, so that a fast reader doesn't
// keep its neighbours waiting. Dead connections are freed last. The shard's hook
// runs it at the end of a turn; its timer sees to it that there is one when
// something was written from outside of a turn.
//
// Stop: the first loop closes the listener and posts to every shard, which sends
// GOAWAY or closes what is idle. `holds` counts the connections, the tasks on
// their way and the stop itself; whoever gives back the last one posts the end to
// the first loop. When the grace period is over the shards cut what is left.
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/io/http_server_internal.h"

enum {
	ROUNDS_A_TURN = 8,
	SLICE_NS = 10 * 1000 * 1000,
	ACCEPTS_A_TURN = 64,
	LISTEN_BACKLOG = 1024,
};
static const int64_t ACCEPT_PAUSE_NS = 100 * NSEC_PER_MSEC;

static void on_acceptable(struct loop_fd *source, unsigned ready);

// --- shards ------------------------------------------------------------------------

struct http_shard *http_shard_unref(struct http_shard *shard)
{
	if (atomic_fetch_sub(&shard->references, 1) == 1)
		free(shard);
	return NULL;
}

static struct http_shard *shard_new(struct http_server *server, struct loop *loop)
{
	struct http_shard *shard = NEW(struct http_shard);
	shard->server = server;
	shard->loop = loop;
	atomic_init(&shard->references, 1);
	list_init(&shard->connections);
	list_init(&shard->dirty);
	list_init(&shard->events);
	list_init(&shard->dead);
	list_init(&shard->hook.node);
	return shard;
}

const char *http_shard_date(struct http_shard *shard)
{
	int64_t second = loop_realtime_ns(shard->loop) / NSEC_PER_SEC;
	if (second == shard->date_second && shard->date[0])
		return shard->date;
	time_t time = (time_t)second;
	struct tm fields;
	gmtime_r(&time, &fields);
	strftime(shard->date, sizeof(shard->date), "%a, %d %b %Y %H:%M:%S GMT", &fields);
	shard->date_second = second;
	return shard->date;
}

int64_t http_idle_deadline(const struct http_shard *shard)
{
	return loop_now_ns(shard->loop) + shard->server->config.idle_timeout_ns;
}

// A turn gives owners and sockets this long; what is left comes in the next one, after
// whatever else the loop has to do. Many requests that arrive at once, or a long list to
// each of many clients, would otherwise hold up timers and everybody's first byte.
static bool slice_is_over(int64_t begin_ns)
{
	return clock_monotonic_ns(&clock_system) - begin_ns > SLICE_NS;
}

static void take_all(struct list *from, struct list *to)
{
	while (!list_is_empty(from)) {
		struct list *node = from->next;
		list_remove(node);
		list_append(to, node);
	}
}

// What is left goes before what has come meanwhile.
static void put_back(struct list *rest, struct list *queue)
{
	while (!list_is_empty(rest)) {
		struct list *node = rest->previous;
		list_remove(node);
		list_prepend(queue, node);
	}
}

static void call_owners(struct http_shard *shard, int64_t begin_ns)
{
	struct list due = LIST_INIT(due);
	take_all(&shard->events, &due);
	while (!list_is_empty(&due) && !slice_is_over(begin_ns)) {
		struct http_exchange *exchange = list_first(&due, struct http_exchange, event_node);
		list_remove(&exchange->event_node);
		http_exchange_call_owner(exchange);
		http_exchange_unref(exchange);
	}
	put_back(&due, &shard->events);
}

static void flush_dirty(struct http_shard *shard, int64_t begin_ns)
{
	struct list due = LIST_INIT(due);
	take_all(&shard->dirty, &due);
	while (!list_is_empty(&due) && !slice_is_over(begin_ns)) {
		struct http_connection *connection = list_first(&due, struct http_connection, dirty_node);
		list_remove(&connection->dirty_node);
		http_connection_flush(connection);
	}
	put_back(&due, &shard->dirty);
}

// Returns how many; their holds are given back last, as the server may go with them.
static size_t free_dead(struct http_shard *shard)
{
	size_t count = 0;
	for (; !list_is_empty(&shard->dead); count++) {
		struct http_connection *connection = list_first(&shard->dead, struct http_connection, node);
		list_remove(&connection->node);
		http_connection_free(connection);
		atomic_fetch_sub(&shard->server->connection_count, 1);
	}
	return count;
}
static bool has_work(const struct http_shard *shard)
{
	return !list_is_empty(&shard->events) || !list_is_empty(&shard->dirty);
}

static void on_wake(struct loop_timer *timer)
{
	(void)timer; // the hook at the end of this turn does the work
}

static void shard_turn(struct http_shard *shard)
{
	struct http_server *server = shard->server;
	int64_t begin_ns = clock_monotonic_ns(&clock_system);
	for (int round = 0; round < ROUNDS_A_TURN && has_work(shard) && !slice_is_over(begin_ns); round++) {
		call_owners(shard, begin_ns);
		// Answers leave, however long it took to make them.
		flush_dirty(shard, clock_monotonic_ns(&clock_system));
	}
	if (has_work(shard)) {
		loop_timer_start(shard->loop, &shard->wake, 0, on_wake);
	} else {
		loop_timer_stop(&shard->wake);
		loop_turn_hook_stop(&shard->hook);
	}
	for (size_t count = free_dead(shard); count; count--)
		http_server_release(server);
}

static void on_turn_end(struct loop_turn_hook *hook)
{
	shard_turn(container_of(hook, struct http_shard, hook));
}

void http_shard_schedule(struct http_shard *shard)
{
	if (shard->hook.loop)
		return;
	loop_turn_hook_start(shard->loop, &shard->hook, on_turn_end);
	loop_timer_start(shard->loop, &shard->wake, 0, on_wake);
}

static void cut_all(struct http_shard *shard)
{
	struct http_connection *connection;
	list_for_each (connection, &shard->connections, node)
		http_connection_die(connection);
}

// --- accepting -----------------------------------------------------------------------

static void on_adopt(struct loop_task *task)
{
	http_connection_adopt(container_of(task, struct http_connection, adopt_task));
}

static void hand_over(struct http_server *server, int fd, const char *address)
{
	struct http_shard *shard = server->shards[server->next_shard++ % server->shard_count];
	struct http_connection *connection = http_connection_new(shard, fd, address);
	atomic_fetch_add(&server->connection_count, 1);
	http_server_hold(server);
	if (shard == server->shards[0])
		http_connection_adopt(connection);
	else
		loop_post(shard->loop, &connection->adopt_task, on_adopt);
}

static void on_accept_pause_over(struct loop_timer *timer)
{
	struct http_server *server = container_of(timer, struct http_server, accept_timer);
	if (server->listener.loop)
		loop_fd_set_events(&server->listener, LOOP_READ);
}

// False when there is nothing more to accept now.
static bool accept_one(struct http_server *server)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
		return true;
	if (fd < 0 && errno != EAGAIN) { // out of descriptors or memory: others must end first
		loop_fd_set_events(&server->listener, 0);
		loop_timer_start(server->shards[0]->loop, &server->accept_timer, ACCEPT_PAUSE_NS, on_accept_pause_over);
	}
	if (fd < 0)
		return false;
	if (atomic_load(&server->connection_count) >= server->config.max_connections) {
		close(fd);
		return true;
	}
	char text[SOCKET_ADDRESS_TEXT_BYTES];
	socket_address_format((const struct sockaddr *)&address, text);
	socket_tune(fd);
	hand_over(server, fd, text);
	return true;
}

static void on_acceptable(struct loop_fd *source, unsigned ready)
{
	(void)ready;
	struct http_server *server = container_of(source, struct http_server, listener);
	for (int i = 0; i < ACCEPTS_A_TURN; i++)
		if (!accept_one(server))
			return;
}

static int bind_listener(struct http_server *server, const struct addrinfo *address, const char *name, struct err *err)
{
	AUTO_CLOSE int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set_socket(err, errno, "listen tcp %s: socket", name);
	int on = 1, off = 0;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0)
		return err_set_socket(err, errno, "listen tcp %s: bind", name);
	if (listen(fd, LISTEN_BACKLOG) < 0)
		return err_set_socket(err, errno, "listen tcp %s: listen", name);
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	getsockname(fd, (struct sockaddr *)&bound, &length);
	server->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
	                                                 : ((struct sockaddr_in *)&bound)->sin_port);
	server->listen_fd = take_fd(&fd);
	return 0;
}

static int open_listener(struct http_server *server, struct err *err)
{
	const char *host = server->config.bind_address ? server->config.bind_address : "0.0.0.0";
	char name[SOCKET_ADDRESS_TEXT_BYTES], port[16];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *address;
	socket_host_port_format(host, server->config.port, name);
	snprintf(port, sizeof(port), "%d", server->config.port);
	int code = getaddrinfo(host, port, &hints, &address);
	if (code)
		return err_set(err, ERR_BAD_REQUEST, "listen tcp %s: not an IP address and port", name);
	int result = bind_listener(server, address, name, err);
	freeaddrinfo(address);
	return result;
}

// --- the server ------------------------------------------------------------------------

static void set_defaults(struct http_server_config *config)
{
	if (!config->max_body_bytes)
		config->max_body_bytes = (size_t)3 * 1024 * 1024;
	if (!config->max_head_bytes)
		config->max_head_bytes = (size_t)64 * 1024;
	if (!config->max_connections)
		config->max_connections = 8192;
	if (!config->idle_timeout_ns)
		config->idle_timeout_ns = 60 * NSEC_PER_SEC;
}

int http_server_new(const struct http_server_config *config, struct http_server **ret_server, struct err *err)
{
	struct http_server *server = NEW(struct http_server);
	server->config = *config;
	server->listen_fd = -1;
	set_defaults(&server->config);
	int result = tls_server_new(config->tls, &server->tls, err);
	if (result == 0)
		result = open_listener(server, err);
	if (result < 0) {
		http_server_free(server);
		return result;
	}
	server->shard_count = config->loop_count;
	server->shards = xcalloc(config->loop_count, sizeof(struct http_shard *));
	for (size_t i = 0; i < config->loop_count; i++)
		server->shards[i] = shard_new(server, config->loops[i]);
	atomic_init(&server->holds, 1);
	loop_fd_start(config->loops[0], &server->listener, server->listen_fd, LOOP_READ, on_acceptable);
	*ret_server = server;
	return 0;
}

int http_server_port(const struct http_server *server)
{
	return server->port;
}

// --- the way out -------------------------------------------------------------------------

static void close_listener(struct http_server *server)
{
	loop_fd_stop(&server->listener);
	loop_timer_stop(&server->accept_timer);
	if (server->listen_fd >= 0)
		close(take_fd(&server->listen_fd));
}

static void on_all_closed(struct loop_task *task)
{
	struct http_server *server = container_of(task, struct http_server, closed_task);
	loop_timer_stop(&server->grace_timer);
	server->closed = true;
	if (server->on_closed)
		server->on_closed(server->on_closed_context);
}

void http_server_hold(struct http_server *server)
{
	atomic_fetch_add(&server->holds, 1);
}

void http_server_release(struct http_server *server)
{
	// The first loop must be read before: the last release lets the server be freed.
	struct loop *first_loop = server->shards[0]->loop;
	if (atomic_fetch_sub(&server->holds, 1) == 1)
		loop_post(first_loop, &server->closed_task, on_all_closed);
}

static void on_shard_stop(struct loop_task *task)
{
	struct http_shard *shard = container_of(task, struct http_shard, stop_task);
	struct http_connection *connection;
	shard->stopping = true;
	list_for_each (connection, &shard->connections, node)
		http_connection_stop(connection);
	http_server_release(shard->server);
}

static void on_shard_cut(struct loop_task *task)
{
	struct http_shard *shard = container_of(task, struct http_shard, cut_task);
	cut_all(shard);
	http_server_release(shard->server);
}

// True unless the last hold has gone, and the end is on its way.
static bool hold_unless_over(struct http_server *server)
{
	size_t holds = atomic_load(&server->holds);
	while (holds)
		if (atomic_compare_exchange_weak(&server->holds, &holds, holds + 1))
			return true;
	return false;
}

static void on_grace_over(struct loop_timer *timer)
{
	struct http_server *server = container_of(timer, struct http_server, grace_timer);
	for (size_t i = 0; i < server->shard_count; i++)
		if (hold_unless_over(server))
			loop_post(server->shards[i]->loop, &server->shards[i]->cut_task, on_shard_cut);
}

static void on_stop(struct loop_task *task)
{
	struct http_server *server = container_of(task, struct http_server, stop_task);
	close_listener(server);
	loop_timer_start(server->shards[0]->loop, &server->grace_timer, server->grace_ns, on_grace_over);
	for (size_t i = 0; i < server->shard_count; i++) {
		http_server_hold(server);
		loop_post(server->shards[i]->loop, &server->shards[i]->stop_task, on_shard_stop);
	}
	http_server_release(server); // the hold of a running server
}

void http_server_stop(struct http_server *server, int64_t grace_ns, void (*closed)(void *context), void *context)
{
	if (atomic_exchange(&server->stopping, true))
		return;
	server->grace_ns = grace_ns;
	server->on_closed = closed;
	server->on_closed_context = context;
	loop_post(server->shards[0]->loop, &server->stop_task, on_stop);
}

static void shard_abandon(struct http_shard *shard)
{
	cut_all(shard);
	while (has_work(shard)) {
		int64_t begin_ns = clock_monotonic_ns(&clock_system);
		call_owners(shard, begin_ns);
		flush_dirty(shard, begin_ns);
	}
	(void)free_dead(shard);
	shard->orphaned = true;
	loop_timer_stop(&shard->wake);
	loop_turn_hook_stop(&shard->hook);
	http_shard_unref(shard);
}

struct http_server *http_server_free(struct http_server *server)
{
	if (!server)
		return NULL;
	assert(!atomic_load(&server->stopping) || server->closed);
	close_listener(server);
	for (size_t i = 0; i < server->shard_count; i++)
		shard_abandon(server->shards[i]);
	free(server->shards);
	tls_server_free(server->tls);
	free(server);
	return NULL;
}
