// SPDX-License-Identifier: Apache-2.0
#pragma once
// The apiserver's etcd client: typed calls on one gRPC connection and the watch on
// another, with etcd's errors turned into the API's. One loop owns it.

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/storage/etcd_messages.h"
#include "common/io/tls.h"

struct etcd;
struct etcd_call;
struct etcd_watch;
struct loop;
struct metrics_registry;

enum etcd_method {
	ETCD_RANGE,
	ETCD_TXN,
	ETCD_COMPACT,
	ETCD_LEASE_GRANT,
	ETCD_STATUS,
	ETCD_METHOD_COUNT_,
};

struct etcd_config {
	const char *const *endpoints; // NULL-terminated
	struct tls_client_config tls;
	struct metrics_registry *metrics;                // may be NULL
	void (*on_state)(void *context, bool connected); // of the calls' connection; may be NULL
	void *context;
};

NODISCARD int etcd_new(struct loop *loop, const struct etcd_config *config, struct etcd **ret_etcd, struct err *err);
// Drops calls and watches without their callbacks. Not from inside one of them.
struct etcd *etcd_free(struct etcd *etcd);
bool etcd_is_connected(const struct etcd *etcd);

// `response` is the method's response struct, borrowed for the call, or NULL with
// err set: ERR_UNAVAILABLE when nothing was done, ERR_TIMEOUT when it may have
// been, ERR_EXPIRED for a compacted revision, others for what etcd refuses.
typedef void etcd_done(void *context, const void *response, const struct err *err);

// `operation` and `type` label the metrics ("get", "pods"). Exactly once, never from inside.
void etcd_call(struct etcd *etcd, enum etcd_method method, const void *request, int64_t timeout_ns,
               const char *operation, const char *type, etcd_done *done, void *context);

struct etcd_watch_callbacks {
	void (*on_response)(void *context, const struct etcd_watch_response *response); // borrowed for the call
	void (*on_end)(void *context, const struct err *err); // once; the watch is gone afterwards
};
struct etcd_watch *etcd_watch_start(struct etcd *etcd, const struct etcd_watch_create_request *create,
                                    const struct etcd_watch_callbacks *callbacks, void *context);
// on_end does not come. Safe from inside its callbacks. Accepts NULL; returns NULL.
struct etcd_watch *etcd_watch_cancel(struct etcd_watch *watch);

// True for an err that tells of a lease that etcd doesn't know (any more).
bool etcd_err_is_lease_not_found(const struct err *err);
