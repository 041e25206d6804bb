// SPDX-License-Identifier: Apache-2.0
#pragma once
// The apiserver as a whole: its configuration, its loops, storage and listener,
// and what all requests share.

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "apiserver/audit/auditor.h"
#include "apiserver/authentication/authentication.h"
#include "apiserver/authorization/authorization.h"
#include "apiserver/services/ip_range.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/metrics.h"
#include "common/base/options.h"
#include "common/io/loop.h"
#include "common/io/plain_server.h"

struct admission;
struct aggregation;
struct bootstrap;
struct custom;
struct authentication_info;
struct policy_reconcile;
struct encryption;
struct fairness;
struct enabled;
struct http_server;
struct server_thread;
struct storage;
struct watch_frames;
struct tls_sni_certificate;
typedef struct ssl_ctx_st SSL_CTX;

enum {
	SERVER_LOOPS = 2,
	SERVER_WORKERS = 2,
};

struct server_config {
	const char *bind_address;
	const char *advertise_address; // an IP address; never empty once main has resolved it
	int64_t secure_port;
	const char *certificate_file;
	const char *private_key_file;
	const char *client_ca_file;
	int tls_minimum_version; // 0 = the default

	struct string_list etcd_servers;
	const char *etcd_ca_file;
	const char *etcd_certificate_file;
	const char *etcd_private_key_file;
	const char *etcd_prefix;
	int64_t etcd_compaction_interval_ns;

	const char *kubelet_certificate_file;
	const char *kubelet_private_key_file;
	const char *kubelet_ca_file;
	int64_t kubelet_timeout_ns;
	struct string_list kubelet_address_types;

	struct ip_range service_ranges[2]; // the primary family first
	size_t service_range_count;
	int node_port_first;
	int node_port_count;

	const char *encryption_file; // EncryptionConfiguration; "" = none
	bool encryption_reload;
	const char *proxy_certificate_file; // the front proxy's, shown to aggregated servers
	const char *proxy_private_key_file;
	bool aggregator_routing; // to endpoints, not cluster IPs

	bool allow_privileged;
	bool fairness;                           // priority and fairness; else plain limits
	int64_t max_requests_in_flight;          // 0 = no limit
	int64_t max_mutating_requests_in_flight; // 0 = no limit
	int64_t encoding_cache_mib;              // memory for second encodings kept beside stored objects
	int64_t min_request_timeout_ns;          // watches end at random from here to twice this
	int64_t event_ttl_ns;
	int64_t shutdown_grace_ns;
	int64_t default_not_ready_toleration_seconds;
	int64_t default_unreachable_toleration_seconds;
	struct string_list enabled_admission;
	struct string_list disabled_admission;
	struct auditor_config audit;
	const char *admission_config_file; // "" = none
	struct authorization_flags authorization;
	struct authentication_flags authentication;
	const char *const *cipher_suites;      // NULL = the default
	const struct tls_sni_certificate *sni; // ended by {0}
	const char *strict_transport_security; // the header's value, NULL = not sent
	struct enabled *enabled;               // which built-in resources are served; NULL = the usual ones
};

// One of the connection loops with what belongs to it alone.
struct server_loop {
	struct loop *loop;
	struct list watches; // struct watcher, to end them at a stop
	struct loop_task stop_task;
	struct server *server;
};

struct server {
	const struct server_config *config;
	struct server_loop loops[SERVER_LOOPS];
	struct loop *main_loop; // signals, bootstrap and repairs
	struct work_pool *workers;
	struct encryption *encryption; // of values at rest; NULL: none
	struct storage *storage;
	struct http_server *http;
	struct metrics_registry *metrics;
	struct bootstrap *bootstrap;
	struct admission *admission;
	struct auditor *auditor; // NULL: nothing is audited
	struct policy_reconcile *policy_reconcile;
	struct authentication_info *authentication_info;
	struct authorization *authorization;
	struct authentication *authentication;
	struct watch_frames *watch_frames;
	struct custom *custom;     // what is served, and custom resources
	struct fairness *fairness; // NULL: switched off
	struct aggregation *aggregation;
	int port;             // where it listens
	SSL_CTX *kubelet_tls; // client context for tunnels; NULL: no kubelet certificate given
	struct health_check *checks;
	struct server_thread *threads;
	atomic_int in_flight;
	atomic_int in_flight_mutating;
	atomic_int long_running;
	atomic_bool stopping;
	atomic_bool bootstrapped;
	atomic_bool policy_reconciled; // the bootstrap roles are in place
};

// The server_loop that an exchange's loop belongs to.
struct server_loop *server_loop_of(struct server *server, struct loop *loop);

// Starts storage, listener and bootstrap. The loops other than main_loop run on threads of their own.
NODISCARD int server_start(struct server *server, const struct server_config *config, struct loop *main_loop,
                           struct err *err);
// Ends watches, lets requests finish within the grace period, then calls `stopped` on the main loop.
void server_stop(struct server *server, void (*stopped)(void *context), void *context);
void server_done(struct server *server);
