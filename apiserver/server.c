// SPDX-License-Identifier: Apache-2.0
// Starting and stopping.
//
// Threads: the main loop (connections, signals, bootstrap), further connection
// loops, the workers, and storage's own. A stop goes backwards: readiness is
// taken back, watches end, the listener closes and waits for what is under way,
// the loops end, then everything is freed.

#include "apiserver/server.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/admission.h"
#include "apiserver/aggregation/aggregation.h"
#include "apiserver/audit.h"
#include "apiserver/bootstrap/authentication_info.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/bootstrap/policy_reconcile.h"
#include "apiserver/connect/connect.h"
#include "apiserver/custom/custom.h"
#include "apiserver/enabled.h"
#include "apiserver/encoding/encoding_cache.h"
#include "apiserver/encryption/encryption.h"
#include "apiserver/fairness/fairness.h"
#include "apiserver/nonresource.h"
#include "apiserver/registry/own_resources.h"
#include "apiserver/registry/watch_frame.h"
#include "apiserver/registry/watcher.h"
#include "apiserver/serve.h"
#include "apiserver/storage/storage.h"
#include "common/api/schema.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/http_server.h"

enum {
	SERVER_MAX_BODY_BYTES = 3 << 20,
};

struct server_thread {
	pthread_t thread;
	bool running;
};

struct server_quit {
	struct loop_task task;
	struct loop *loop;
};

struct server_stop {
	struct server *server;
	void (*stopped)(void *context);
	void *context;
};

struct server_loop *server_loop_of(struct server *server, struct loop *loop)
{
	for (size_t i = 0; i < SERVER_LOOPS; i++)
		if (server->loops[i].loop == loop)
			return &server->loops[i];
	assert(!"a loop of another server");
	return NULL;
}

// --- storage ------------------------------------------------------------------------------

static bool is_stored_here(const struct server *server, const struct schema_resource *resource)
{
	return resource->storage_prefix && enabled_has(server->config->enabled, resource);
}

static void add_resources(struct server *server)
{
	for (size_t i = 0; i < schema_resource_count; i++)
		if (is_stored_here(server, schema_resources[i]))
			storage_add_resource(server->storage, schema_resources[i]);
	storage_add_resource(server->storage, &own_resource_port_ranges);
	storage_add_resource(server->storage, &own_resource_leases);
}

static int start_storage(struct server *server, struct err *err)
{
	const struct server_config *config = server->config;
	struct storage_config storage = {
	        .etcd_endpoints = config->etcd_servers.items,
	        .etcd_ca_file = config->etcd_ca_file,
	        .etcd_certificate_file = config->etcd_certificate_file,
	        .etcd_private_key_file = config->etcd_private_key_file,
	        .prefix = config->etcd_prefix,
	        .compaction_interval_ns = config->etcd_compaction_interval_ns,
	        .metrics = server->metrics,
	};
	encoding_cache_set_limit(config->encoding_cache_mib > 0 ? (size_t)config->encoding_cache_mib << 20 : 0);

	int r = config->encryption_file[0] ? encryption_new(config->encryption_file, config->encryption_reload,
	                                                    server->main_loop, &server->encryption, err)
	                                   : 0;

	storage.encryption = server->encryption;
	if (r == 0)
		r = storage_new(&storage, &server->storage, err);

	if (r == 0)
		add_resources(server);
	return r;
}

// --- loops and listener -------------------------------------------------------------------------

static void *run_loop(void *context)
{
	loop_run(context);
	return NULL;
}

static int start_loops(struct server *server, struct err *err)
{
	for (size_t i = 0; i < SERVER_LOOPS; i++) {
		struct server_loop *home = &server->loops[i];
		int r = 0;

		home->server = server;
		list_init(&home->watches);
		if (i == 0)
			home->loop = server->main_loop;
		else
			r = loop_new(&clock_system, &home->loop, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int start_listener(struct server *server, struct err *err)
{
	const struct server_config *config = server->config;
	struct loop *loops[SERVER_LOOPS];
	struct tls_server_config tls = {
	        .certificate_file = config->certificate_file,
	        .private_key_file = config->private_key_file,
	        .client_ca_file = config->client_ca_file[0] ? config->client_ca_file : NULL,
	        .offer_http2 = true,
	        .minimum_version = config->tls_minimum_version,
	        .accept_any_client_certificate = true,
	        .front_proxy_ca_file = config->authentication.front_proxy_ca_file[0]
	                                       ? config->authentication.front_proxy_ca_file
	                                       : NULL,
	        .cipher_suites = config->cipher_suites,
	        .sni = config->sni,
	};
	struct http_server_config http = {
	        .bind_address = config->bind_address,
	        .port = (int)config->secure_port,
	        .loops = loops,
	        .loop_count = SERVER_LOOPS,
	        .tls = &tls,
	        .max_body_bytes = SERVER_MAX_BODY_BYTES,
	        .handler = serve,
	        .context = server,
	};

	for (size_t i = 0; i < SERVER_LOOPS; i++)
		loops[i] = server->loops[i].loop;
	int r = http_server_new(&http, &server->http, err);

	if (r == 0)
		server->port = http_server_port(server->http);
	return r;
}

static void start_threads(struct server *server)
{
	server->threads = xcalloc(SERVER_LOOPS, sizeof(*server->threads));
	for (size_t i = 1; i < SERVER_LOOPS; i++) {
		int r = pthread_create(&server->threads[i].thread, NULL, run_loop, server->loops[i].loop);

		assert(r == 0);
		(void)r;
		server->threads[i].running = true;
	}
}

int server_start(struct server *server, const struct server_config *config, struct loop *main_loop, struct err *err)
{
	int r;

	*server = (struct server){.config = config, .main_loop = main_loop};
	server->metrics = metrics_registry_new();
	server->watch_frames = watch_frames_new();
	server->checks = nonresource_health_checks(server);
	audit_register(server);
	server->workers = work_pool_new(SERVER_WORKERS);
	r = authentication_new(server, &config->authentication, &server->authentication, err);
	if (r == 0)
		r = authorization_new(server, &config->authorization, &server->authorization, err);
	if (r == 0)
		r = start_loops(server, err);
	if (r == 0)
		r = connect_init(server, err);
	// The port before etcd: a second server on this port ends here and touches nothing.
	if (r == 0)
		r = start_listener(server, err);
	if (r == 0)
		r = start_storage(server, err);
	if (r == 0)
		r = custom_start(server, &server->custom, err);
	if (r == 0)
		r = admission_start(server, err);
	if (r == 0)
		r = auditor_new(&config->audit, server->metrics, &server->auditor, err);
	if (r < 0)
		return r;
	if (config->fairness && config->max_requests_in_flight + config->max_mutating_requests_in_flight > 0)
		server->fairness = fairness_start(server);
	server->aggregation = aggregation_start(server);
	start_threads(server);
	server->bootstrap = bootstrap_start(server);
	server->authentication_info = authentication_info_start(server);
	authentication_start(server->authentication);
	authorization_start(server->authorization);
	if (authorization_rbac(server->authorization))
		server->policy_reconcile = policy_reconcile_start(server);
	return 0;
}

// --- the stop -------------------------------------------------------------------------------------

static void end_watches(struct loop_task *task)
{
	struct server_loop *home = container_of(task, struct server_loop, stop_task);

	watcher_end_all(home);
}

static void on_closed(void *context)
{
	struct server_stop *stop = context;
	void (*stopped)(void *) = stop->stopped;
	void *stopped_context = stop->context;

	free(stop);
	stopped(stopped_context);
}

void server_stop(struct server *server, void (*stopped)(void *context), void *context)
{
	struct server_stop *stop;

	if (atomic_exchange(&server->stopping, true))
		return;
	stop = NEW(struct server_stop);
	*stop = (struct server_stop){server, stopped, context};
	for (size_t i = 0; i < SERVER_LOOPS; i++)
		loop_post(server->loops[i].loop, &server->loops[i].stop_task, end_watches);
	http_server_stop(server->http, server->config->shutdown_grace_ns, on_closed, stop);
}

static void quit_loop(struct loop_task *task)
{
	struct server_quit *quit = container_of(task, struct server_quit, task);

	loop_quit(quit->loop, 0);
}

static void join_threads(struct server *server)
{
	for (size_t i = 1; server->threads && i < SERVER_LOOPS; i++) {
		struct server_quit quit = {.loop = server->loops[i].loop};

		if (!server->threads[i].running)
			continue;
		loop_post(quit.loop, &quit.task, quit_loop);
		pthread_join(server->threads[i].thread, NULL);
	}
	free(server->threads);
}

void server_done(struct server *server)
{
	join_threads(server);
	server->http = http_server_free(server->http);
	server->bootstrap = bootstrap_free(server->bootstrap);
	server->policy_reconcile = policy_reconcile_free(server->policy_reconcile);
	server->authentication_info = authentication_info_free(server->authentication_info);
	authentication_stop(server->authentication);
	authorization_stop(server->authorization);
	server->aggregation = aggregation_free(server->aggregation);
	server->fairness = fairness_free(server->fairness);
	server->auditor = auditor_free(server->auditor);
	server->admission = admission_free(server->admission);
	custom_stop(server->custom);
	server->storage = storage_free(server->storage);
	server->custom = custom_free(server->custom);
	server->encryption = encryption_free(server->encryption);
	work_pool_free(server->workers);
	connect_done(server);
	for (size_t i = 1; i < SERVER_LOOPS; i++)
		loop_free(server->loops[i].loop);
	watch_frames_free(server->watch_frames);
	server->authorization = authorization_free(server->authorization);
	server->authentication = authentication_free(server->authentication);
	free(server->checks);
	metrics_registry_free(server->metrics);
}
