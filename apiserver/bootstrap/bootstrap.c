// SPDX-License-Identifier: Apache-2.0
// Bootstrap on the main loop:
//
//   ensure object 0 … n, one after another (those that the cache shows are passed over)
//     ──► endpoints ──► done; again every ten seconds
//     ──► repair of addresses and ports, every three minutes
//
// Any failure (etcd down at start, above all) starts the round again after a
// second; the log says so once until it succeeds.

#include "apiserver/bootstrap/bootstrap.h"

#include "apiserver/bootstrap/bootstrap_objects.h"
#include "apiserver/bootstrap/endpoint_lease.h"
#include "apiserver/server.h"
#include "apiserver/services/repair.h"
#include "apiserver/storage/storage.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/notify.h"

#define BOOTSTRAP_ROUND_NS (10 * NSEC_PER_SEC)
#define BOOTSTRAP_RETRY_NS (NSEC_PER_SEC / 2)
#define BOOTSTRAP_REPAIR_NS (180 * NSEC_PER_SEC)

struct bootstrap {
	struct server *server;
	struct arena *arena;
	struct endpoint_lease *lease;
	struct repair *repair;
	struct loop_timer timer;
	int64_t next_repair_ns;
	size_t index;
	bool writing;
	bool stopped;
	bool complained;
};

static void ensure_next(struct bootstrap *bootstrap);

static void on_timer(struct loop_timer *timer)
{
	struct bootstrap *bootstrap = container_of(timer, struct bootstrap, timer);

	bootstrap->index = 0;
	ensure_next(bootstrap);
}

static void again(struct bootstrap *bootstrap, int64_t delay_ns)
{
	loop_timer_start(bootstrap->server->main_loop, &bootstrap->timer, delay_ns, on_timer);
}

static void fail(struct bootstrap *bootstrap, const char *what)
{
	if (!bootstrap->complained)
		log_warning("Cannot write what a cluster starts with, trying again", kv_str("object", what));
	bootstrap->complained = true;
	again(bootstrap, BOOTSTRAP_RETRY_NS);
}

static void repair_if_due(struct bootstrap *bootstrap)
{
	int64_t now = loop_now_ns(bootstrap->server->main_loop);

	if (now < bootstrap->next_repair_ns || !storage_is_ready(bootstrap->server->storage))
		return;
	bootstrap->next_repair_ns = now + BOOTSTRAP_REPAIR_NS;
	repair_run(bootstrap->repair);
}

static void on_endpoints(void *context, _Bool ok)
{
	struct bootstrap *bootstrap = context;

	if (!ok) {
		fail(bootstrap, "default/kubernetes endpoints");
		return;
	}
	if (!atomic_exchange(&bootstrap->server->bootstrapped, true)) {
		notify_manager("READY=1"); // to systemd, for Type=notify
		log_info("The cluster's first objects are in place",
		         kv_str("advertiseAddress", bootstrap->server->config->advertise_address));
	}
	bootstrap->complained = false;
	repair_if_due(bootstrap);
	again(bootstrap, BOOTSTRAP_ROUND_NS);
}

static void on_ensured(void *context, struct stored_object *object, const struct err *err)
{
	struct bootstrap *bootstrap = context;

	(void)object;
	bootstrap->writing = false;
	if (bootstrap->stopped) {
		free(bootstrap);
		return;
	}
	if (err && err->code != ERR_ALREADY_EXISTS) {
		fail(bootstrap, err->message);
		return;
	}
	bootstrap->index++;
	ensure_next(bootstrap);
}

static bool is_there(struct bootstrap *bootstrap, const struct bootstrap_object *wanted)
{
	struct stored_object *object =
	        storage_peek(bootstrap->server->storage, wanted->resource, wanted->namespace_name, wanted->name);

	stored_object_unref(object);
	return object != NULL;
}

static void ensure_next(struct bootstrap *bootstrap)
{
	struct server *server = bootstrap->server;
	struct bootstrap_object wanted;
	bool missing = false;

	arena_reset(bootstrap->arena);
	while (!missing && bootstrap_object_at(server, bootstrap->arena, bootstrap->index,
	                                       loop_realtime_ns(server->main_loop), &wanted)) {
		missing = !is_there(bootstrap, &wanted);
		if (missing) {
			struct storage_write write = {.type = STORAGE_CREATE,
			                              .resource = wanted.resource,
			                              .namespace_name = wanted.namespace_name,
			                              .name = wanted.name,
			                              .json = wanted.json};

			bootstrap->writing = true;
			storage_write(server->storage, &write, server->main_loop, on_ensured, bootstrap);
		} else {
			blob_unref(wanted.json);
			bootstrap->index++;
		}
	}
	if (!missing)
		endpoint_lease_renew(bootstrap->lease, on_endpoints, bootstrap);
}

struct bootstrap *bootstrap_start(struct server *server)
{
	struct bootstrap *bootstrap = NEW(struct bootstrap);

	bootstrap->server = server;
	bootstrap->arena = arena_new(64 << 10);
	bootstrap->lease = endpoint_lease_new(server);
	bootstrap->repair = repair_new(server);
	again(bootstrap, 0);
	return bootstrap;
}

struct bootstrap *bootstrap_free(struct bootstrap *bootstrap)
{
	if (!bootstrap)
		return NULL;
	loop_timer_stop(&bootstrap->timer);
	endpoint_lease_free(bootstrap->lease);
	repair_free(bootstrap->repair);
	arena_free(bootstrap->arena);
	bootstrap->stopped = true;
	if (!bootstrap->writing)
		free(bootstrap); // else by the answer
	return NULL;
}
