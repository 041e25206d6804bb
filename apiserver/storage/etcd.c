// SPDX-License-Identifier: Apache-2.0
//
// etcd over gRPC: two clients of the same endpoints, so that a big answer never
// stands before the watch's events, and the watch never before a call.
//
// etcd tells its errors apart by gRPC status and text (etcdserver/api/v3rpc/
// rpctypes). What matters above is whether a write may have happened: a proposal
// that timed out or lost its leader may yet be applied, a missing leader or a full
// database refuses at once. The table of texts decides first, the status second.
#include "apiserver/storage/etcd.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"
#include "common/io/grpc_client.h"
#include "common/io/loop.h"

#define CONNECT_WAIT_NS (3 * NSEC_PER_SEC)
#define SAMPLE_KEY_BYTES 320 // longer names of custom resources share the first one's samples

struct etcd {
	struct loop *loop;
	struct grpc_client *calls;
	struct grpc_client *watches;
	struct metrics_registry *metrics;
	struct hashmap *samples; // "operation type" → struct request_samples
	struct list running;     // struct call
	struct list watch_list;
	struct arena *arena; // of the message being decoded
	bool arena_busy;
};

struct method {
	const char *path;
	const struct protobuf_message *request;
	const struct protobuf_message *response;
};

static const struct method methods[ETCD_METHOD_COUNT_] = {
        [ETCD_RANGE] = {"/etcdserverpb.KV/Range", &etcd_range_request_message, &etcd_range_response_message},
        [ETCD_TXN] = {"/etcdserverpb.KV/Txn", &etcd_txn_request_message, &etcd_txn_response_message},
        [ETCD_COMPACT] = {"/etcdserverpb.KV/Compact", &etcd_compaction_request_message,
                          &etcd_compaction_response_message},
        [ETCD_LEASE_GRANT] = {"/etcdserverpb.Lease/LeaseGrant", &etcd_lease_grant_request_message,
                              &etcd_lease_grant_response_message},
        [ETCD_STATUS] = {"/etcdserverpb.Maintenance/Status", &etcd_status_request_message,
                         &etcd_status_response_message},
};

// --- metrics -------------------------------------------------------------------

static const char *const request_labels[] = {"operation", "type", NULL};
static const double request_buckets[] = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2,
                                         3,     4,     5,    6,   8,   10,  15,  20,  30,  45,   60,  0};
static const struct metric_family request_duration = {
        "etcd_request_duration_seconds", "Etcd request latency in seconds for each operation and object type.",
        METRIC_HISTOGRAM, request_labels, request_buckets};
static const struct metric_family request_total = {"etcd_requests_total",
                                                   "Etcd request counts for each operation and object type.",
                                                   METRIC_COUNTER, request_labels, NULL};
static const struct metric_family request_errors = {"etcd_request_errors_total",
                                                    "Etcd failed request counts for each operation and object type.",
                                                    METRIC_COUNTER, request_labels, NULL};

struct request_samples {
	struct metric *duration;
	struct metric *total;
	struct metric *errors; // NULL: none yet
};

// Those of an operation on a type, made on the first call and kept: each request counts here.
static struct request_samples *find_samples(struct etcd *etcd, const char *operation, const char *type)
{
	char key[SAMPLE_KEY_BYTES];
	const char *const values[] = {operation, type};
	snprintf(key, sizeof(key), "%s %s", operation, type);
	struct request_samples *samples = hashmap_get(etcd->samples, key);
	if (samples)
		return samples;
	samples = NEW(struct request_samples);
	samples->duration = metric_get(etcd->metrics, &request_duration, values);
	samples->total = metric_get(etcd->metrics, &request_total, values);
	(void)hashmap_put(etcd->samples, key, samples);
	return samples;
}

static void count_request(struct etcd *etcd, const char *operation, const char *type, int64_t duration_ns, bool failed)
{
	if (!etcd->metrics)
		return;
	const char *const values[] = {operation, type};
	struct request_samples *samples = find_samples(etcd, operation, type);
	metric_observe(samples->duration, (double)duration_ns / NSEC_PER_SEC);
	metric_add(samples->total, 1);
	if (failed && !samples->errors)
		samples->errors = metric_get(etcd->metrics, &request_errors, values);
	if (failed)
		metric_add(samples->errors, 1);
}

// --- errors --------------------------------------------------------------------

#define LEASE_NOT_FOUND "requested lease not found"

static const struct {
	const char *text; // found within grpc-message
	enum err_code code;
} known_errors[] = {
        {"required revision has been compacted", ERR_EXPIRED},
        {"required revision is a future revision", ERR_TIMEOUT},
        {"request timed out", ERR_TIMEOUT},
        {"leader changed", ERR_TIMEOUT},
        {"no leader", ERR_UNAVAILABLE},
        {"not capable", ERR_UNAVAILABLE},
        {"server stopped", ERR_TIMEOUT},
        {"too many requests", ERR_TOO_MANY_REQUESTS},
        {"request is too large", ERR_TOO_LARGE},
        {"message larger than max", ERR_TOO_LARGE}, // over the limit of etcd's gRPC server
        {"database space exceeded", ERR_INTERNAL},
        {LEASE_NOT_FOUND, ERR_INTERNAL},
        {"corrupt cluster", ERR_INTERNAL},
};

static enum err_code code_of(enum grpc_status status, const char *message, bool sent)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_errors); i++)
		if (strstr(message, known_errors[i].text))
			return known_errors[i].code;
	if (!sent)
		return ERR_UNAVAILABLE;
	switch (status) {
	case GRPC_UNAVAILABLE:
	case GRPC_DEADLINE_EXCEEDED:
	case GRPC_CANCELLED:
	case GRPC_UNKNOWN:
		return ERR_TIMEOUT;
	default:
		return ERR_INTERNAL;
	}
}

static void set_error(struct err *err, enum grpc_status status, const char *message, bool sent)
{
	enum err_code code = code_of(status, message, sent);
	if (code == ERR_UNAVAILABLE && !sent)
		(void)err_set(err, code, "etcd is unavailable: %s", message);
	else if (strncmp(message, "etcdserver", 10) == 0)
		(void)err_set(err, code, "%s", message);
	else
		(void)err_set(err, code, "etcd: %s", message);
}

bool etcd_err_is_lease_not_found(const struct err *err)
{
	return err && strstr(err->message, LEASE_NOT_FOUND);
}

// --- the decoding arena -----------------------------------------------------------

// One arena serves all messages: they are decoded one after another. A message
// within another's callback (it can't happen from one loop) would get its own.
static struct arena *arena_borrow(struct etcd *etcd)
{
	if (etcd->arena_busy)
		return arena_new(0);
	etcd->arena_busy = true;
	return etcd->arena;
}

static void arena_give_back(struct etcd *etcd, struct arena *arena)
{
	if (arena != etcd->arena) {
		arena_free(arena);
		return;
	}
	arena_reset(arena);
	etcd->arena_busy = false;
}

// --- calls ---------------------------------------------------------------------

struct call {
	struct etcd *etcd;
	struct list node;
	const struct method *method;
	char operation[24];
	char *type;
	int64_t started_ns;
	etcd_done *done;
	void *context;
	uint8_t *response;
	size_t response_length;
};

static void call_free(struct call *call)
{
	list_remove(&call->node);
	free(call->type);
	free(call->response);
	free(call);
}

static void on_call_message(void *context, const uint8_t *message, size_t length)
{
	struct call *call = context;
	free(call->response);
	call->response = xmemdup(message, length ? length : 1);
	call->response_length = length;
}

static void on_call_done(void *context, enum grpc_status status, const char *message, bool sent)
{
	struct call *call = context;
	struct etcd *etcd = call->etcd;
	struct err err = ERR_INIT;
	struct arena *arena = arena_borrow(etcd);
	void *response = NULL;
	if (status != GRPC_OK) {
		set_error(&err, status, message, sent);
	} else if (!call->response) {
		(void)err_set(&err, ERR_INTERNAL, "etcd: empty answer to %s", call->method->path);
	} else {
		response = arena_zalloc(arena, call->method->response->size);
		if (protobuf_decode(arena, call->method->response, call->response, call->response_length, response,
		                    &err))
			response = NULL;
	}
	count_request(etcd, call->operation, call->type, loop_now_ns(etcd->loop) - call->started_ns, !response);
	call->done(call->context, response, response ? NULL : &err);
	arena_give_back(etcd, arena);
	call_free(call);
}

void etcd_call(struct etcd *etcd, enum etcd_method method, const void *request, int64_t timeout_ns,
               const char *operation, const char *type, etcd_done *done, void *context)
{
	static const struct grpc_call_callbacks callbacks = {.on_message = on_call_message, .on_done = on_call_done};
	struct call *call = NEW(struct call);
	call->etcd = etcd;
	call->method = &methods[method];
	strncpy(call->operation, operation, sizeof(call->operation) - 1);
	call->type = xstrdup(type);
	call->started_ns = loop_now_ns(etcd->loop);
	call->done = done;
	call->context = context;
	list_append(&etcd->running, &call->node);
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(SIZE_MAX / 2);
	protobuf_encode(&encoded, call->method->request, request);
	(void)grpc_call_start(etcd->calls, call->method->path, (const uint8_t *)encoded.data, encoded.length,
	                      timeout_ns, &callbacks, call);
}

// --- watches ---------------------------------------------------------------------

struct etcd_watch {
	struct etcd *etcd;
	struct list node;
	struct grpc_call *stream;
	struct etcd_watch_callbacks callbacks;
	void *context;
	bool busy;
	bool cancelled;
};

static void watch_free(struct etcd_watch *watch)
{
	list_remove(&watch->node);
	free(watch);
}

static void on_watch_message(void *context, const uint8_t *message, size_t length)
{
	struct etcd_watch *watch = context;
	struct etcd *etcd = watch->etcd;
	struct arena *arena = arena_borrow(etcd);
	struct etcd_watch_response response;
	struct err err = ERR_INIT;
	watch->busy = true;
	if (protobuf_decode(arena, &etcd_watch_response_message, message, length, &response, &err)) {
		watch->callbacks.on_end(watch->context, &err);
		if (!watch->cancelled)
			(void)etcd_watch_cancel(watch);
	} else {
		watch->callbacks.on_response(watch->context, &response);
	}
	watch->busy = false;
	arena_give_back(etcd, arena);
	if (watch->cancelled)
		watch_free(watch);
}

static void on_watch_done(void *context, enum grpc_status status, const char *message, bool sent)
{
	struct etcd_watch *watch = context;
	struct err err = ERR_INIT;
	set_error(&err, status, status == GRPC_OK ? "the watch was ended by the server" : message, sent);
	watch->stream = NULL;
	watch->busy = true;
	watch->callbacks.on_end(watch->context, &err);
	watch_free(watch);
}

struct etcd_watch *etcd_watch_start(struct etcd *etcd, const struct etcd_watch_create_request *create,
                                    const struct etcd_watch_callbacks *callbacks, void *context)
{
	static const struct grpc_call_callbacks stream_callbacks = {.on_message = on_watch_message,
	                                                            .on_done = on_watch_done};
	struct etcd_watch *watch = NEW(struct etcd_watch);
	watch->etcd = etcd;
	watch->callbacks = *callbacks;
	watch->context = context;
	list_append(&etcd->watch_list, &watch->node);
	watch->stream = grpc_stream_start(etcd->watches, "/etcdserverpb.Watch/Watch", &stream_callbacks, watch);
	struct etcd_watch_create_request copy = *create;
	struct etcd_watch_request request = {.create = &copy};
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(SIZE_MAX / 2);
	protobuf_encode(&encoded, &etcd_watch_request_message, &request);
	grpc_stream_send(watch->stream, (const uint8_t *)encoded.data, encoded.length);
	return watch;
}

struct etcd_watch *etcd_watch_cancel(struct etcd_watch *watch)
{
	if (!watch || watch->cancelled)
		return NULL;
	watch->cancelled = true;
	if (watch->stream)
		grpc_call_cancel(watch->stream);
	watch->stream = NULL;
	if (!watch->busy)
		watch_free(watch);
	return NULL;
}

// --- life ----------------------------------------------------------------------

bool etcd_is_connected(const struct etcd *etcd)
{
	return grpc_client_is_connected(etcd->calls);
}

int etcd_new(struct loop *loop, const struct etcd_config *config, struct etcd **ret_etcd, struct err *err)
{
	struct etcd *etcd = NEW(struct etcd);
	etcd->loop = loop;
	etcd->metrics = config->metrics;
	etcd->arena = arena_new(0);
	etcd->samples = hashmap_new(free);
	list_init(&etcd->running);
	list_init(&etcd->watch_list);
	struct grpc_client_config grpc = {
	        .endpoints = config->endpoints,
	        .tls = &config->tls,
	        .connect_wait_ns = CONNECT_WAIT_NS,
	        .on_state = config->on_state,
	        .context = config->context,
	};
	int outcome = grpc_client_new(loop, &grpc, &etcd->calls, err);
	if (!outcome) {
		grpc.on_state = NULL;
		outcome = grpc_client_new(loop, &grpc, &etcd->watches, err);
	}
	if (outcome) {
		etcd_free(etcd);
		return outcome;
	}
	*ret_etcd = etcd;
	return 0;
}

struct etcd *etcd_free(struct etcd *etcd)
{
	if (!etcd)
		return NULL;
	assert(!etcd->arena_busy);
	grpc_client_free(etcd->calls);
	grpc_client_free(etcd->watches);
	struct call *call;
	list_for_each (call, &etcd->running, node)
		call_free(call);
	struct etcd_watch *watch;
	list_for_each (watch, &etcd->watch_list, node)
		watch_free(watch);
	arena_free(etcd->arena);
	hashmap_free(etcd->samples);
	free(etcd);
	return NULL;
}
