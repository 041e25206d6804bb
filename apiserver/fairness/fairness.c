// SPDX-License-Identifier: Apache-2.0
// The stage and its tickets.
//
//   classify (no lock) ─► enter the level's queues ─► seats free: pass
//                                                  ├► wait: passes when told, on its own loop
//                                                  └► full, at the limit, or waited too long: 429
//
// One lock guards all levels; what happens under it is arithmetic on a few queues.
// Requests end on any loop: the one that frees seats hands them on, and the request
// that got them is told by a task on its loop. A ticket lives in its request's arena.

#include "apiserver/fairness/fairness.h"

#include <pthread.h>
#include <string.h>

#include "apiserver/fairness/priority_levels.h"
#include "apiserver/fairness/upkeep.h"
#include "apiserver/request.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/base/memory.h"

// A quarter of upstream's default --request-timeout.
#define FAIRNESS_WAIT_NS (15 * NSEC_PER_SEC)
#define FAIRNESS_ADJUST_NS (10 * NSEC_PER_SEC)

enum {
	FAIRNESS_MAX_SEATS = 10,
	FAIRNESS_OBJECTS_PER_SEAT = 100,
};

struct fairness {
	struct server *server;
	pthread_mutex_t lock; // for `levels`
	struct priority_levels levels;
	struct flow_upkeep *upkeep; // main loop
	struct loop_timer adjust;
};

struct fairness_ticket {
	struct request *request;
	struct flow_config *config;
	const struct flow *flow;
	struct priority_level *level;
	struct seat_claim claim;
	struct loop_task told;
	struct loop_timer patience;
};

// --- under the lock ----------------------------------------------------------------------

static void note(struct fairness_ticket *ticket, int64_t now_ns)
{
	priority_level_note_demand(ticket->level, now_ns);
}

static void count_waiting(const struct fairness_ticket *ticket, double sign)
{
	metric_add(ticket->flow->metrics.in_queue, sign);
	metric_add(ticket->flow->metrics.in_queue_seats, sign * (double)ticket->claim.seats);
}

static void count_executing(const struct fairness_ticket *ticket, double sign)
{
	metric_add(ticket->flow->metrics.executing, sign);
	metric_add(ticket->flow->metrics.executing_seats, sign * (double)ticket->claim.seats);
}

static void count_dispatched(const struct fairness_ticket *ticket)
{
	const struct seat_claim *claim = &ticket->claim;

	count_executing(ticket, 1);
	metric_add(ticket->flow->metrics.dispatched, 1);
	metric_observe(ticket->flow->metrics.waited_executed, (double)(claim->dispatched_ns - claim->arrived_ns) / 1e9);
}

static void on_told(struct loop_task *task);

// Hands free seats to those that wait. `asking` is told by the return value: it runs on its own loop.
static bool hand_on(struct priority_level *level, const struct seat_claim *asking, int64_t now_ns)
{
	struct seat_claim *claim;
	bool got = false;

	while ((claim = queue_set_next(level->queues, now_ns))) {
		struct fairness_ticket *ticket = container_of(claim, struct fairness_ticket, claim);

		count_waiting(ticket, -1);
		count_dispatched(ticket);
		if (claim == asking)
			got = true;
		else
			loop_post(ticket->request->loop, &ticket->told, on_told);
	}
	return got;
}

// --- the end of a ticket --------------------------------------------------------------------

static void drop(struct fairness_ticket *ticket)
{
	ticket->level = priority_level_unref(ticket->level);
	ticket->config = flow_config_unref(ticket->config);
	ticket->request->ticket = NULL;
}

void fairness_release(struct request *request)
{
	struct fairness *fairness = request->server->fairness;
	struct fairness_ticket *ticket = request->ticket;
	int64_t now_ns = loop_now_ns(request->loop);

	if (!ticket)
		return;
	pthread_mutex_lock(&fairness->lock);
	if (ticket->claim.state == SEAT_EXECUTING) {
		count_executing(ticket, -1);
		metric_observe(ticket->flow->metrics.execution, (double)(now_ns - ticket->claim.dispatched_ns) / 1e9);
		queue_set_finish(ticket->level->queues, &ticket->claim, now_ns);
		(void)hand_on(ticket->level, NULL, now_ns);
		note(ticket, now_ns);
	}
	drop(ticket);
	pthread_mutex_unlock(&fairness->lock);
}

// Takes out a ticket that still waits; false when it has just got its seats.
static bool withdraw(struct fairness_ticket *ticket, const char *reason)
{
	struct fairness *fairness = ticket->request->server->fairness;
	int64_t now_ns = loop_now_ns(ticket->request->loop);
	bool waited;

	pthread_mutex_lock(&fairness->lock);
	waited = ticket->claim.state == SEAT_WAITING;
	if (waited) {
		queue_set_withdraw(ticket->level->queues, &ticket->claim, now_ns);
		count_waiting(ticket, -1);
		metric_observe(ticket->flow->metrics.waited_refused, (double)(now_ns - ticket->claim.arrived_ns) / 1e9);
		flow_metrics_refused(&ticket->flow->metrics, fairness->server->metrics, reason);
		note(ticket, now_ns);
	}
	pthread_mutex_unlock(&fairness->lock);
	return waited;
}

static void stop_waiting(struct fairness_ticket *ticket)
{
	loop_timer_stop(&ticket->patience);
	http_exchange_on_gone(ticket->request->exchange, NULL, NULL);
}

static void refuse(struct request *request)
{
	request_next(request,
	             status_too_many_requests(request->arena, 1, "Too many requests, please try again later."));
}

static void on_told(struct loop_task *task)
{
	struct fairness_ticket *ticket = container_of(task, struct fairness_ticket, told);

	stop_waiting(ticket);
	request_next(ticket->request, NULL);
}

static void on_patience_over(struct loop_timer *timer)
{
	struct fairness_ticket *ticket = container_of(timer, struct fairness_ticket, patience);

	if (!withdraw(ticket, "time-out"))
		return;
	stop_waiting(ticket);
	refuse(ticket->request);
}

static void on_client_gone(void *context)
{
	struct fairness_ticket *ticket = context;

	if (!withdraw(ticket, "cancelled"))
		return;
	loop_timer_stop(&ticket->patience);
	refuse(ticket->request);
}

// --- how wide a request is --------------------------------------------------------------------

static bool lists(const struct request *request)
{
	const char *version = query_get(&request->query, "resourceVersion");

	if (request->route.operation == OPERATION_LIST || request->route.operation == OPERATION_DELETE_COLLECTION)
		return true;
	return request->route.operation == OPERATION_WATCH &&
	       (request->options.send_initial_events || !version || !version[0] || !strcmp(version, "0"));
}

// Upstream's estimate: a seat for each hundred objects that a list may look at.
static unsigned width_of(const struct request *request)
{
	size_t objects, seats;

	if (!request->route.resource || !lists(request))
		return 1;
	objects = storage_count(request->server->storage, request->route.resource);
	if (request->options.limit > 0 && (size_t)request->options.limit < objects)
		objects = (size_t)request->options.limit;
	seats = (objects + FAIRNESS_OBJECTS_PER_SEAT - 1) / FAIRNESS_OBJECTS_PER_SEAT;
	if (seats < 1)
		return 1;
	return seats < FAIRNESS_MAX_SEATS ? (unsigned)seats : FAIRNESS_MAX_SEATS;
}

// --- the stage -----------------------------------------------------------------------------------

static void describe(struct request *request, struct flow_attributes *attributes)
{
	const struct route *route = &request->route;

	*attributes = (struct flow_attributes){
	        .user = request->user.name,
	        .groups = request->user.groups,
	        .group_count = request->user.group_count,
	        .is_resource = route->is_resource,
	        .verb = route->verb,
	        .api_group = route->group,
	        .resource = route->resource_name,
	        .namespace_name = route->namespace_name,
	        .path = route->path,
	};
	if (route->is_resource && route->subresource_name[0])
		attributes->resource =
		        arena_printf(request->arena, "%s/%s", route->resource_name, route->subresource_name);
}

// The answer to the claim; QUEUE_SET_WAIT: it waits.
static enum queue_set_answer enter(struct fairness *fairness, struct fairness_ticket *ticket, uint64_t hash,
                                   unsigned seats, int64_t now_ns)
{
	enum queue_set_answer answer = queue_set_enter(ticket->level->queues, &ticket->claim, hash, seats, now_ns);

	metric_observe(ticket->flow->metrics.width, seats);
	if (answer == QUEUE_SET_EXECUTE) {
		count_dispatched(ticket);
	} else if (answer == QUEUE_SET_WAIT) {
		count_waiting(ticket, 1);
		if (hand_on(ticket->level, &ticket->claim, now_ns))
			answer = QUEUE_SET_EXECUTE;
	} else {
		flow_metrics_refused(&ticket->flow->metrics, fairness->server->metrics,
		                     answer == QUEUE_SET_FULL ? "queue-full" : "concurrency-limit");
	}
	note(ticket, now_ns);
	return answer;
}

static struct fairness_ticket *make_ticket(struct fairness *fairness, struct request *request)
{
	struct fairness_ticket *ticket = ARENA_NEW(request->arena, struct fairness_ticket);

	ticket->request = request;
	pthread_mutex_lock(&fairness->lock);
	ticket->config = flow_config_ref(fairness->levels.config);
	pthread_mutex_unlock(&fairness->lock);
	return ticket;
}

static void remember_names(struct request *request, const struct fairness_ticket *ticket)
{
	const char *schema = ticket->flow->schema.metadata.uid;

	request->flow_schema_uid = arena_strdup(request->arena, schema ? schema : "");
	request->priority_level_uid = arena_strdup(request->arena, ticket->level->uid);
}

void fairness_admit(struct request *request)
{
	struct fairness *fairness = request->server->fairness;
	struct fairness_ticket *ticket;
	struct flow_attributes attributes;
	enum queue_set_answer answer;
	int64_t now_ns = loop_now_ns(request->loop);
	unsigned seats;

	if (!fairness || request->route.operation == OPERATION_CONNECT) {
		request_next(request, NULL);
		return;
	}
	describe(request, &attributes);
	seats = width_of(request);
	ticket = make_ticket(fairness, request);
	ticket->flow = flow_config_classify(ticket->config, &attributes);
	pthread_mutex_lock(&fairness->lock);
	ticket->level = priority_level_ref(ticket->flow->level);
	remember_names(request, ticket);
	request->ticket = ticket;
	answer = enter(fairness, ticket, flow_hash(ticket->flow, &attributes), seats, now_ns);
	if (answer == QUEUE_SET_FULL || answer == QUEUE_SET_AT_LIMIT)
		drop(ticket);
	pthread_mutex_unlock(&fairness->lock);
	if (answer == QUEUE_SET_EXECUTE) {
		request_next(request, NULL);
	} else if (answer == QUEUE_SET_WAIT) {
		loop_timer_start(request->loop, &ticket->patience, FAIRNESS_WAIT_NS, on_patience_over);
		http_exchange_on_gone(request->exchange, on_client_gone, ticket);
	} else {
		refuse(request);
	}
}

size_t fairness_headers(const struct request *request, struct http_header *headers)
{
	if (!request->flow_schema_uid)
		return 0;
	headers[0] = (struct http_header){"x-kubernetes-pf-flowschema-uid", request->flow_schema_uid};
	headers[1] = (struct http_header){"x-kubernetes-pf-prioritylevel-uid", request->priority_level_uid};
	return FAIRNESS_HEADERS;
}

// --- the whole --------------------------------------------------------------------------------------

static void hand_on_everywhere(struct fairness *fairness, int64_t now_ns)
{
	struct priority_level *level;

	list_for_each (level, &fairness->levels.levels, node)
		(void)hand_on(level, NULL, now_ns);
}

static void configure(void *context, struct json *const *levels, size_t level_count, struct json *const *schemas,
                      size_t schema_count)
{
	struct fairness *fairness = context;
	int64_t now_ns = loop_now_ns(fairness->server->main_loop);

	pthread_mutex_lock(&fairness->lock);
	priority_levels_configure(&fairness->levels, levels, level_count, schemas, schema_count, now_ns);
	hand_on_everywhere(fairness, now_ns);
	pthread_mutex_unlock(&fairness->lock);
}

static void on_adjust(struct loop_timer *timer)
{
	struct fairness *fairness = container_of(timer, struct fairness, adjust);
	int64_t now_ns = loop_now_ns(fairness->server->main_loop);

	pthread_mutex_lock(&fairness->lock);
	priority_levels_adjust(&fairness->levels, now_ns);
	hand_on_everywhere(fairness, now_ns);
	pthread_mutex_unlock(&fairness->lock);
	loop_timer_start(fairness->server->main_loop, timer, FAIRNESS_ADJUST_NS, on_adjust);
}

struct fairness *fairness_start(struct server *server)
{
	const struct server_config *config = server->config;
	struct fairness *fairness = NEW(struct fairness);
	int64_t seats = config->max_requests_in_flight + config->max_mutating_requests_in_flight;

	fairness->server = server;
	pthread_mutex_init(&fairness->lock, NULL);
	priority_levels_init(&fairness->levels, (unsigned)seats, server->metrics);
	configure(fairness, NULL, 0, NULL, 0);
	fairness->upkeep = flow_upkeep_start(server, configure, fairness);
	loop_timer_start(server->main_loop, &fairness->adjust, FAIRNESS_ADJUST_NS, on_adjust);
	return fairness;
}

struct fairness *fairness_free(struct fairness *fairness)
{
	if (!fairness)
		return NULL;
	loop_timer_stop(&fairness->adjust);
	flow_upkeep_stop(fairness->upkeep);
	priority_levels_done(&fairness->levels);
	pthread_mutex_destroy(&fairness->lock);
	free(fairness);
	return NULL;
}
