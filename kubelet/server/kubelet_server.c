// SPDX-License-Identifier: Apache-2.0
// The server's life, its routes, and who may use them.
//
// A client proves itself by a certificate of --client-ca-file or by a bearer token; what
// it may do is asked of the API server (delegated_auth.h). While a question is open the
// request waits on server->pending.
//
// The certificate is the one of --tls-cert-file, or a self-signed one in --cert-dir
// that is looked after once a day. Everything happens on the kubelet's one loop.

#include "kubelet/server/kubelet_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"
#include "kubelet/certificates/client_certificate.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/server/server_internal.h"
#include "kubelet/server/serving_certificate.h"

#define CERTIFICATE_LOOK_NS (24 * 3600 * NSEC_PER_SEC)

enum { MAX_BODY_BYTES = 1 << 20, MAX_CONNECTIONS = 1024 };

// --- answers -------------------------------------------------------------------------

void server_respond_text(struct http_exchange *exchange, int status, const char *content_type, const char *text,
                         size_t length)
{
	const struct http_header header = {.name = "content-type", .value = content_type};
	AUTO(blob_unref) struct blob *body = blob_new(text, length);
	http_exchange_respond(exchange, status, &header, 1, body);
}

void server_respond_error(struct http_exchange *exchange, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	AUTO_FREE char *text = xvasprintf(format, args);
	va_end(args);
	server_respond_text(exchange, status, "text/plain; charset=utf-8", text, strlen(text));
}

struct pod *server_find_pod(const struct server_request *request)
{
	const char *uid = request->part_count == 5 ? request->parts[3] : NULL;
	return pod_manager_find(request->kubelet->pods, request->parts[1], request->parts[2], uid);
}

const char *server_container_name(const struct server_request *request)
{
	return request->parts[request->part_count - 1];
}

// --- routes --------------------------------------------------------------------------

enum { METHOD_GET = 1, METHOD_POST = 2, METHOD_STREAM = METHOD_GET | METHOD_POST };

static const struct route {
	const char *pattern; // '*' stands for any one part
	unsigned methods;
	bool long_running;
	void (*handle)(struct server_request *request);
} routes[] = {
        {"/attach/*/*/*", METHOD_STREAM, true, server_handle_attach},
        {"/attach/*/*/*/*", METHOD_STREAM, true, server_handle_attach},
        {"/configz", METHOD_GET, false, server_handle_configz},
        {"/containerLogs/*/*/*", METHOD_GET, true, server_handle_logs},
        {"/exec/*/*/*", METHOD_STREAM, true, server_handle_exec},
        {"/exec/*/*/*/*", METHOD_STREAM, true, server_handle_exec},
        {"/healthz", METHOD_GET, false, server_handle_health},
        {"/healthz/*", METHOD_GET, false, server_handle_health},
        {"/metrics", METHOD_GET, false, server_handle_metrics},
        {"/metrics/cadvisor", METHOD_GET, false, server_handle_cadvisor_metrics},
        {"/metrics/probes", METHOD_GET, false, server_handle_probe_metrics},
        {"/metrics/resource", METHOD_GET, false, server_handle_resource_metrics},
        {"/pods", METHOD_GET, false, server_handle_pods},
        {"/portForward/*/*", METHOD_STREAM, true, server_handle_port_forward},
        {"/portForward/*/*/*", METHOD_STREAM, true, server_handle_port_forward},
        {"/runningpods", METHOD_GET, false, server_handle_running_pods},
        {"/stats/summary", METHOD_GET, false, server_handle_summary},
};

static const struct metric_family requests_family = {
        .name = "kubelet_http_requests_total",
        .help = "Number of the http requests received since the server started",
        .type = METRIC_COUNTER,
        .label_names = (const char *const[]){"long_running", "method", "path", "server_type", NULL},
};

static bool matches(const char *pattern, const struct server_request *request)
{
	for (size_t index = 0; index < request->part_count; index++) {
		size_t length = *pattern ? strcspn(++pattern, "/") : 0;
		const char *part = request->parts[index];
		bool any = length == 1 && *pattern == '*';
		if (!length || (!any && (strlen(part) != length || memcmp(part, pattern, length))))
			return false;
		pattern += length;
	}
	return !*pattern;
}

static const struct route *find_route(const struct server_request *request, unsigned method, bool *ret_other_method)
{
	*ret_other_method = false;
	for (size_t index = 0; index < ARRAY_SIZE(routes); index++) {
		if (!matches(routes[index].pattern, request))
			continue;
		if (routes[index].methods & method)
			return &routes[index];
		*ret_other_method = true;
	}
	return NULL;
}

static unsigned method_of(const struct http_request *head)
{
	return !strcmp(head->method, "GET") ? METHOD_GET : !strcmp(head->method, "POST") ? METHOD_POST : 0;
}

static void count(const struct kubelet_server *server, const struct http_request *head, const struct route *route,
                  const struct server_request *request)
{
	if (!server->metrics)
		return;
	const char *labels[] = {
	        route && route->long_running ? "true" : "false",
	        method_of(head) ? head->method : "other",
	        route ? request->parts[0] : "other",
	        "readwrite",
	};
	metric_add(metric_get(server->metrics, &requests_family, labels), 1);
}

static void route_request(struct server_request *request, const struct http_request *head)
{
	bool other_method = false;
	const struct route *route = NULL;
	bool decoded = path_split(request->arena, head->path, request->parts, &request->part_count);
	if (decoded)
		route = find_route(request, method_of(head), &other_method);
	count(request->server, head, route, request);
	if (!route)
		server_respond_error(request->exchange, other_method ? 405 : 404,
		                     other_method ? "405: Method Not Allowed" : "404: Page Not Found");
	else if (!query_parse(request->arena, head->query, &request->query))
		server_respond_error(request->exchange, 400, "{\"message\": \"Unable to decode query.\"}");
	else
		route->handle(request);
}

// --- who may ---------------------------------------------------------------------------

struct pending_request {
	struct list node;
	struct kubelet_server *server;
	struct http_exchange *exchange;
	struct delegated_check *check;
};

static void serve(struct kubelet_server *server, struct http_exchange *exchange)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct server_request request = {
	        .server = server, .kubelet = server->kubelet, .exchange = exchange, .arena = arena};
	route_request(&request, http_exchange_request(exchange));
}

static void refuse(const struct kubelet_server *server, struct http_exchange *exchange, const char *user,
                   enum delegated_verdict verdict, const char *message)
{
	struct delegated_attributes attributes[2];
	size_t count = server_attributes(http_exchange_request(exchange), server->kubelet->node_name, attributes);
	if (verdict == DELEGATED_UNAUTHENTICATED) {
		server_respond_error(exchange, 401, "Unauthorized");
		return;
	}
	bool failed = verdict == DELEGATED_FAILED;
	log_warning(failed ? "Could not ask who may use the kubelet's API" : "A request is forbidden",
	            kv_str("user", user), kv_str("verb", attributes[0].verb),
	            kv_str("path", http_exchange_request(exchange)->path), kv_str("err", message));
	server_respond_error(
	        exchange,
	        failed && !*user ? 401
	        : failed         ? 500
	                         : 403,
	        failed && !*user ? "Unauthorized" : "%s (user=%s, verb=%s, resource=nodes, subresource(s)=[%s%s%s])\n",
	        failed ? "Authorization error" : "Forbidden", user, attributes[0].verb, attributes[0].subresource,
	        count > 1 ? " " : "", count > 1 ? attributes[1].subresource : "");
}

static void pending_free(struct pending_request *pending)
{
	list_remove(&pending->node);
	http_exchange_unref(pending->exchange);
	free(pending);
}

static void on_checked(void *context, enum delegated_verdict verdict, const char *user, const char *message)
{
	struct pending_request *pending = context;
	if (http_exchange_is_gone(pending->exchange))
		log_v(4, "The client has left before its rights were known");
	else if (verdict == DELEGATED_ALLOWED)
		serve(pending->server, pending->exchange);
	else
		refuse(pending->server, pending->exchange, user, verdict, message);
	pending_free(pending);
}

static void on_request(void *context, struct http_exchange *exchange)
{
	struct kubelet_server *server = context;
	const struct http_request *head = http_exchange_request(exchange);
	struct delegated_attributes attributes[2];
	size_t count = server_attributes(head, server->kubelet->node_name, attributes);
	log_v(4, "Request", kv_str("method", head->method), kv_str("path", head->path),
	      kv_str("user", head->identity.common_name ? head->identity.common_name : ""),
	      kv_str("remote", head->remote_address));
	struct pending_request *pending = NEW(struct pending_request);
	const char *user = "";
	enum delegated_verdict verdict = delegated_auth_check(server->auth, head, attributes, count, on_checked,
	                                                      pending, &pending->check, &user);
	if (verdict == DELEGATED_PENDING) {
		pending->server = server;
		pending->exchange = http_exchange_ref(exchange);
		list_append(&server->pending, &pending->node);
		return;
	}
	free(pending);
	if (verdict == DELEGATED_ALLOWED)
		serve(server, exchange);
	else
		refuse(server, exchange, user, verdict, "");
}

// --- life ----------------------------------------------------------------------------

static int ensure_certificate(const struct kubelet_server *server, struct err *err)
{
	const struct kubelet *kubelet = server->kubelet;
	return serving_certificate_ensure(kubelet->config->certificate_directory, kubelet->node_name, kubelet->node_ip,
	                                  err);
}

static void on_certificate_timer(struct loop_timer *timer)
{
	struct kubelet_server *server = container_of(timer, struct kubelet_server, certificate_timer);
	struct err err = ERR_INIT;
	if (ensure_certificate(server, &err) < 0)
		log_error("Could not renew the serving certificate", kv_err(&err));
	loop_timer_start(server->kubelet->loop, timer, CERTIFICATE_LOOK_NS, on_certificate_timer);
}

// With serverTLSBootstrap the certificate is the one that the API server has issued; until there is one, and for any
// other kubelet that was given none, a self-signed one stands at the same place.
static void choose_files(struct kubelet_server *server, const struct kubelet_config *config)
{
	server->own_certificate = !*config->tls_certificate_file || !*config->tls_private_key_file;
	const char *directory = config->certificate_directory;
	bool issued = server->own_certificate && config->server_tls_bootstrap;
	server->tls = (struct tls_server_config){
	        .certificate_file = issued ? certificate_current_path(directory, SERVING_CERTIFICATE_PREFIX)
	                            : server->own_certificate ? xasprintf("%s/kubelet.crt", directory)
	                                                      : xstrdup(config->tls_certificate_file),
	        .private_key_file = issued ? certificate_current_path(directory, SERVING_CERTIFICATE_PREFIX)
	                            : server->own_certificate ? xasprintf("%s/kubelet.key", directory)
	                                                      : xstrdup(config->tls_private_key_file),
	        .client_ca_file = *config->client_ca_file ? config->client_ca_file : NULL,
	        .offer_http2 = true,
	};
}

// The self-signed pair as the link's first target: the server needs something to begin with.
static int stand_in(const struct kubelet_server *server, struct err *err)
{
	const char *directory = server->kubelet->config->certificate_directory;
	AUTO_FREE char *target = xasprintf("%s/%s-self-signed.pem", directory, SERVING_CERTIFICATE_PREFIX);
	AUTO_STRBUF struct strbuf pem = STRBUF_INIT(1 << 20);
	if (!server->kubelet->config->server_tls_bootstrap || access(server->tls.certificate_file, R_OK) == 0)
		return 0;
	AUTO_FREE char *certificate = xasprintf("%s/kubelet.crt", directory);
	AUTO_FREE char *key = xasprintf("%s/kubelet.key", directory);
	int result = file_read(certificate, &pem, err);
	if (result == 0)
		result = file_read(key, &pem, err);
	if (result == 0)
		result = file_write_atomic(target, pem.data, pem.length, 0600, err);
	unlink(server->tls.certificate_file);
	if (result == 0 && symlink(strrchr(target, '/') + 1, server->tls.certificate_file) < 0)
		result = err_set_errno(err, errno, "link %s", server->tls.certificate_file);
	return result;
}

static int listen_on(struct kubelet_server *server, struct err *err)
{
	const struct kubelet_config *config = server->kubelet->config;
	const struct http_server_config http = {
	        .bind_address = config->address,
	        .port = (int)config->port,
	        .loops = &server->kubelet->loop,
	        .loop_count = 1,
	        .tls = &server->tls,
	        .max_body_bytes = MAX_BODY_BYTES,
	        .max_connections = MAX_CONNECTIONS,
	        .handler = on_request,
	        .context = server,
	};
	return http_server_new(&http, &server->http, err);
}

static struct delegated_auth *make_auth(const struct kubelet *kubelet)
{
	const struct kubelet_config *config = kubelet->config;
	const struct delegated_auth_config auth = {
	        .client = kubelet->client,
	        .anonymous = config->anonymous_auth,
	        .reviews_tokens = config->token_webhook,
	        .allows_all = !strcmp(config->authorization_mode, "AlwaysAllow"),
	        .token_ttl_ns = config->token_cache_ns,
	        .allowed_ttl_ns = config->allowed_cache_ns,
	        .denied_ttl_ns = config->denied_cache_ns,
	};
	if (auth.allows_all)
		log_warning("Every client that is known may use the whole kubelet API",
		            kv_bool("anonymous", auth.anonymous));
	return delegated_auth_new(kubelet->loop, &auth);
}

int kubelet_server_new(struct kubelet *kubelet, struct metrics_registry *metrics, struct kubelet_server **ret_server,
                       struct err *err)
{
	struct kubelet_server *server = NEW(struct kubelet_server);
	server->kubelet = kubelet;
	server->metrics = metrics;
	list_init(&server->execs);
	list_init(&server->pending);
	server->auth = make_auth(kubelet);
	log_watch_init(&server->log_watch);
	choose_files(server, kubelet->config);
	int result = server->own_certificate ? ensure_certificate(server, err) : 0;
	if (result == 0 && server->own_certificate)
		result = stand_in(server, err);
	if (result == 0)
		result = listen_on(server, err);
	if (result < 0) {
		kubelet_server_free(server);
		return result;
	}
	if (server->own_certificate)
		loop_timer_start(kubelet->loop, &server->certificate_timer, CERTIFICATE_LOOK_NS, on_certificate_timer);
	log_info("Serving", kv_str("address", kubelet->config->address), kv_int("port", kubelet_server_port(server)));
	*ret_server = server;
	return 0;
}

int kubelet_server_port(const struct kubelet_server *server)
{
	return http_server_port(server->http);
}

struct kubelet_server *kubelet_server_free(struct kubelet_server *server)
{
	if (!server)
		return NULL;
	loop_timer_stop(&server->certificate_timer);
	struct pending_request *pending;
	list_for_each (pending, &server->pending, node) {
		delegated_check_cancel(pending->check);
		pending_free(pending);
	}
	delegated_auth_free(server->auth);
	http_server_free(server->http);
	exec_sessions_detach(server);
	log_watch_done(&server->log_watch);
	hashmap_free(server->samples);
	free((char *)server->tls.certificate_file);
	free((char *)server->tls.private_key_file);
	free(server);
	return NULL;
}
