// SPDX-License-Identifier: Apache-2.0
// The election, as upstream's client library holds it:
//
// A round reads the Lease, looks whether its holder may be replaced, and writes it
// with the version that was read; a conflict means that somebody else was quicker.
// A leader whose last known Lease is still valid skips the reading. Whether
// another's lease has run out is judged by our own clock from the moment when we
// first saw its present state: the clocks of two machines are never compared.
//
// Candidates try every retry period (up to 2.2 times as long, by jitter), leaders
// every retry period exactly. A leader that has not renewed for the renew deadline
// has lost, whatever call is still under way: it stops before others may begin,
// since the deadline is shorter than the lease.
//
// The Lease is edited as a tree, so that fields unknown here survive.

#include "common/client/leader_election.h"

#include <assert.h>
#include <string.h>

#include "common/api/json.h"
#include "common/api/object.h"
#include "common/api/schema.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "common/io/loop.h"

#define RELEASE_TIMEOUT_NS (2 * NSEC_PER_SEC)
#define STARTUP_DELAY_NS (50 * NSEC_PER_MSEC) // doubles up to the retry period
#define JITTER_TENTHS 12                      // of the retry period, at most, on top of it

struct leader_election {
	struct rest_client *client;
	struct loop *loop;
	struct leader_election_config config; // texts owned
	const struct schema_resource *resource;
	struct rest_call *call;
	struct loop_timer retry_timer;
	struct loop_timer deadline_timer;
	struct arena *arena;      // of `lease`
	struct json *lease;       // as last read or written, NULL = none known
	struct json *written;     // what the running write sends, in `arena`
	int64_t observed_ns;      // monotonic: when the lease last changed before our eyes
	int64_t startup_delay_ns; // the last pause while the server was never heard, 0 = none yet
	bool skipped_read;
	bool is_leader;
	bool lost;
};

static void start_round(struct leader_election *election);
static void start_read(struct leader_election *election);

static struct json *spec_of(const struct json *lease)
{
	return json_get(lease, "spec");
}

static const char *holder_of(const struct json *lease)
{
	const char *holder = json_get_text(spec_of(lease), "holderIdentity");
	return holder ? holder : "";
}

static bool is_ours(const struct leader_election *election)
{
	return strcmp(holder_of(election->lease), election->config.identity) == 0;
}

static bool is_valid(const struct leader_election *election)
{
	int64_t seconds = 0;
	json_get_integer(spec_of(election->lease), "leaseDurationSeconds", &seconds);
	return election->observed_ns + seconds * NSEC_PER_SEC > loop_now_ns(election->loop);
}

// Takes over a lease as seen; a change of its spec restarts the holder's time.
static void observe(struct leader_election *election, const struct json *lease)
{
	struct arena *arena = arena_new(4096);
	struct json *copy = json_clone(arena, lease);
	if (!election->lease || !json_equal(spec_of(election->lease), spec_of(copy)))
		election->observed_ns = loop_now_ns(election->loop);
	const char *before = holder_of(election->lease);
	if (strcmp(before, holder_of(copy)) != 0)
		log_info("New leader elected",
		         kv_obj("lease", election->config.lease_namespace, election->config.lease_name),
		         kv_str("identity", holder_of(copy)));
	arena_free(election->arena);
	election->arena = arena;
	election->lease = copy;
	election->written = NULL;
}

// --- outcomes of a round --------------------------------------------------------------

static void on_retry_timer(struct loop_timer *timer)
{
	start_round(container_of(timer, struct leader_election, retry_timer));
}

static void lose(struct leader_election *election)
{
	rest_cancel(TAKE(election->call));
	loop_timer_stop(&election->retry_timer);
	loop_timer_stop(&election->deadline_timer);
	election->is_leader = false;
	election->lost = true;
	election->config.on_lost(election->config.context);
}

static void on_deadline(struct loop_timer *timer)
{
	struct leader_election *election = container_of(timer, struct leader_election, deadline_timer);
	log_error("Failed to renew the lease within the renew deadline",
	          kv_obj("lease", election->config.lease_namespace, election->config.lease_name));
	lose(election);
}

// A server that was never heard is probably starting beside us: asked more often at first.
static void retry_soon(struct leader_election *election)
{
	election->startup_delay_ns = election->startup_delay_ns ? election->startup_delay_ns * 2 : STARTUP_DELAY_NS;
	if (election->startup_delay_ns > election->config.retry_period_ns)
		election->startup_delay_ns = election->config.retry_period_ns;
	loop_timer_start(election->loop, &election->retry_timer, election->startup_delay_ns, on_retry_timer);
}

static void retry_later(struct leader_election *election)
{
	int64_t delay_ns = election->config.retry_period_ns;
	uint32_t spread_ms = (uint32_t)(delay_ns / NSEC_PER_MSEC * JITTER_TENTHS / 10);
	if (!election->is_leader && spread_ms > 0)
		delay_ns += random_below(spread_ms) * NSEC_PER_MSEC;
	loop_timer_start(election->loop, &election->retry_timer, delay_ns, on_retry_timer);
}

static void round_failed(struct leader_election *election, const char *action, const struct err *err)
{
	log_error("Leader election round failed", kv_str("action", action),
	          kv_obj("lease", election->config.lease_namespace, election->config.lease_name), kv_err(err));
	if (!election->lease && (err->code == ERR_IO || err->code == ERR_UNAVAILABLE))
		retry_soon(election);
	else
		retry_later(election);
}

static void round_won(struct leader_election *election)
{
	bool is_new = !election->is_leader;
	election->is_leader = true;
	loop_timer_start(election->loop, &election->deadline_timer, election->config.renew_deadline_ns, on_deadline);
	retry_later(election);
	if (is_new) {
		log_info("Successfully acquired lease",
		         kv_obj("lease", election->config.lease_namespace, election->config.lease_name));
		election->config.on_started(election->config.context);
	}
}

// The holder is another and its time isn't over, or somebody was quicker.
static void round_yielded(struct leader_election *election)
{
	log_v(4, "Lease is held by another", kv_str("holder", holder_of(election->lease)));
	if (election->is_leader && !is_ours(election))
		lose(election);
	else
		retry_later(election);
}

// --- writing ----------------------------------------------------------------------------

static void fill_spec(const struct leader_election *election, struct arena *arena, struct json *lease)
{
	struct json *spec = json_ensure_object(arena, lease, "spec");
	bool keeps = strcmp(holder_of(lease), election->config.identity) == 0;
	int64_t transitions = 0;
	json_get_integer(spec, "leaseTransitions", &transitions);
	char now[API_TIME_BYTES];
	api_micro_time_format(loop_realtime_ns(election->loop), now);
	// A fresh lease has made no transition.
	if (!keeps && json_get(spec, "holderIdentity"))
		transitions++;
	if (!keeps || !json_get_text(spec, "acquireTime"))
		json_set_text(arena, spec, "acquireTime", now);
	json_set_text(arena, spec, "holderIdentity", election->config.identity);
	json_set_integer(arena, spec, "leaseDurationSeconds", election->config.lease_duration_ns / NSEC_PER_SEC);
	json_set_integer(arena, spec, "leaseTransitions", transitions);
	json_set_text(arena, spec, "renewTime", now);
}

static struct json *new_lease(const struct leader_election *election, struct arena *arena)
{
	struct json *lease = json_object(arena);
	json_set_text(arena, lease, "apiVersion", "coordination.k8s.io/v1");
	json_set_text(arena, lease, "kind", "Lease");
	struct json *metadata = json_ensure_object(arena, lease, "metadata");
	json_set_text(arena, metadata, "name", election->config.lease_name);
	json_set_text(arena, metadata, "namespace", election->config.lease_namespace);
	return lease;
}

static void on_write_done(void *context, const struct rest_response *response)
{
	struct leader_election *election = context;
	election->call = NULL;
	if (response->err.code == ERR_NONE) {
		observe(election, response->object ? response->object : election->written);
		round_won(election);
	} else if (election->skipped_read) {
		log_v(2, "Failed to update lease optimistically, falling back to reading it", kv_err(&response->err));
		start_read(election);
	} else if (response->err.code == ERR_CONFLICT || response->err.code == ERR_ALREADY_EXISTS) {
		retry_later(election);
	} else {
		round_failed(election, "write", &response->err);
	}
}

static struct rest_request lease_request(const struct leader_election *election, const char *method)
{
	return (struct rest_request){
	        .method = method,
	        .resource = election->resource,
	        .namespace_name = election->config.lease_namespace,
	        .name = election->config.lease_name,
	        .timeout_ns = election->config.renew_deadline_ns / 2,
	};
}

static void start_write(struct leader_election *election)
{
	if (!election->arena)
		election->arena = arena_new(4096);
	bool exists = election->lease != NULL;
	election->written =
	        exists ? json_clone(election->arena, election->lease) : new_lease(election, election->arena);
	fill_spec(election, election->arena, election->written);
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(1 << 20);
	json_write(&body, election->written);
	struct rest_request request = lease_request(election, exists ? "PUT" : "POST");
	if (!exists)
		request.name = NULL;
	request.body = strbuf_text(&body);
	request.body_length = body.length;
	election->call = rest_start(election->client, &request, on_write_done, election);
}

// --- reading ----------------------------------------------------------------------------

static void on_read_done(void *context, const struct rest_response *response)
{
	struct leader_election *election = context;
	election->call = NULL;
	if (response->err.code == ERR_NOT_FOUND) {
		election->lease = NULL;
		election->arena = arena_free(election->arena);
		start_write(election);
		return;
	}
	if (response->err.code != ERR_NONE || !response->object) {
		round_failed(election, "read", &response->err);
		return;
	}
	observe(election, response->object);
	if (holder_of(election->lease)[0] && !is_ours(election) && is_valid(election))
		round_yielded(election);
	else
		start_write(election);
}

static void start_read(struct leader_election *election)
{
	const struct rest_request request = lease_request(election, "GET");
	election->skipped_read = false;
	election->call = rest_start(election->client, &request, on_read_done, election);
}

static void start_round(struct leader_election *election)
{
	election->skipped_read = election->is_leader && election->lease && is_ours(election) && is_valid(election);
	if (election->skipped_read)
		start_write(election);
	else
		start_read(election);
}

// --- life ----------------------------------------------------------------------------------

struct leader_election *leader_election_new(struct rest_client *client, const struct leader_election_config *config)
{
	struct leader_election *election = NEW(struct leader_election);
	election->client = client;
	election->loop = rest_client_loop(client);
	election->config = *config;
	election->config.lease_namespace = xstrdup(config->lease_namespace);
	election->config.lease_name = xstrdup(config->lease_name);
	election->config.identity = xstrdup(config->identity);
	if (election->config.lease_duration_ns == 0)
		election->config.lease_duration_ns = 15 * NSEC_PER_SEC;
	if (election->config.renew_deadline_ns == 0)
		election->config.renew_deadline_ns = 10 * NSEC_PER_SEC;
	if (election->config.retry_period_ns == 0)
		election->config.retry_period_ns = 2 * NSEC_PER_SEC;
	election->resource = schema_find_resource("coordination.k8s.io", "v1", "leases");
	assert(election->resource);
	loop_timer_start(election->loop, &election->retry_timer, 0, on_retry_timer);
	return election;
}

// As upstream's: the holder is emptied and the duration set to a second.
static void release(struct leader_election *election)
{
	AUTO(arena_free) struct arena *arena = arena_new(8192);
	struct json *lease = json_clone(arena, election->lease);
	struct json *spec = json_ensure_object(arena, lease, "spec");
	char now[API_TIME_BYTES];
	api_micro_time_format(loop_realtime_ns(election->loop), now);
	json_set_text(arena, spec, "holderIdentity", "");
	json_set_integer(arena, spec, "leaseDurationSeconds", 1);
	json_set_text(arena, spec, "renewTime", now);
	json_set_text(arena, spec, "acquireTime", now);
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(1 << 20);
	json_write(&body, lease);
	struct rest_request request = lease_request(election, "PUT");
	request.body = strbuf_text(&body);
	request.body_length = body.length;
	request.timeout_ns = RELEASE_TIMEOUT_NS;
	struct rest_response response;
	struct err err = ERR_INIT;
	if (rest_run(election->client, arena, &request, &response, &err) < 0)
		log_warning("Failed to release the lease",
		            kv_obj("lease", election->config.lease_namespace, election->config.lease_name),
		            kv_err(&err));
}

struct leader_election *leader_election_free(struct leader_election *election)
{
	if (!election)
		return NULL;
	bool in_flight = election->call != NULL;
	rest_cancel(TAKE(election->call));
	loop_timer_stop(&election->retry_timer);
	loop_timer_stop(&election->deadline_timer);
	// With a write under way the version held here may be old; the lease then runs out by itself.
	if (election->is_leader && election->lease && !in_flight)
		release(election);
	arena_free(election->arena);
	free((char *)election->config.lease_namespace);
	free((char *)election->config.lease_name);
	free((char *)election->config.identity);
	free(election);
	return NULL;
}

bool leader_election_is_leader(const struct leader_election *election)
{
	return election->is_leader;
}
