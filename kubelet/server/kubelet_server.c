// SPDX-License-Identifier: Apache-2.0
// Routes of the HTTPS server. Clients prove themselves by a certificate of
// --client-ca-file; whoever has one may do everything until authorization is
// delegated to the apiserver. Without a client CA only /healthz is answered.

#include "kubelet/server/kubelet_server.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/server/server_internal.h"
#include "kubelet/server/serving_certificate.h"

struct kubelet_server {
	struct kubelet *kubelet;
	struct metrics_registry *metrics;
	struct tls_server_config tls;
	struct http_server *http;
	bool open_to_all; // no client CA: health only
};

// --- requests ------------------------------------------------------------------------------

static int hex_digit(char digit)
{
	if (isdigit((unsigned char)digit))
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static char *decode(struct arena *arena, const char *text, size_t length, bool plus_is_space)
{
	char *out = arena_strndup(arena, text, length);
	char *to = out;
	for (const char *from = out; *from; from++) {
		if (*from == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
			*to++ = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
			from += 2;
		} else {
			*to++ = plus_is_space && *from == '+' ? ' ' : *from;
		}
	}
	*to = '\0';
	return out;
}

const char **server_query_all(const struct server_request *request, const char *name)
{
	const char *at = http_exchange_request(request->exchange)->query;
	size_t capacity = 2;
	for (const char *scan = at; *scan; scan++)
		capacity += *scan == '&';
	const char **values = ARENA_ARRAY(request->arena, const char *, capacity);
	size_t count = 0;
	while (*at) {
		size_t length = strcspn(at, "&");
		const char *equals = memchr(at, '=', length);
		size_t name_length = equals ? (size_t)(equals - at) : length;
		if (!strcmp(decode(request->arena, at, name_length, true), name))
			values[count++] = equals ? decode(request->arena, equals + 1, length - name_length - 1, true) : "";
		at += length + (at[length] == '&');
	}
	return values;
}

const char *server_query(const struct server_request *request, const char *name)
{
	return server_query_all(request, name)[0];
}

void server_respond_text(struct http_exchange *exchange, int status, const char *content_type, const char *text,
			 size_t length)
{
	struct http_header header = {.name = "content-type", .value = content_type};
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

// --- small handlers ---------------------------------------------------------------------------

static void handle_health(struct server_request *request)
{
	server_respond_text(request->exchange, 200, "text/plain; charset=utf-8", "ok", 2);
}

static void handle_metrics(struct server_request *request)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(16 << 20);
	metrics_write(request->server->metrics, &text);
	server_respond_text(request->exchange, 200, "text/plain; version=0.0.4; charset=utf-8", strbuf_text(&text),
			    text.length);
}

// --- routes ----------------------------------------------------------------------------------------

static const struct route {
	const char *name; // the path's first part
	bool health;      // answered to everybody
	void (*handle)(struct server_request *request);
} routes[] = {
	{"containerLogs", false, server_handle_logs},
	{"exec", false, server_handle_exec},
	{"healthz", true, handle_health},
	{"metrics", false, handle_metrics},
	{"pods", false, server_handle_pods},
	{"runningpods", false, server_handle_running_pods},
};

static void split_path(struct server_request *request, const char *path)
{
	while (*path && request->part_count < ARRAY_SIZE(request->parts)) {
		path += strspn(path, "/");
		size_t length = strcspn(path, "/");
		if (length)
			request->parts[request->part_count++] = decode(request->arena, path, length, false);
		path += length;
	}
}

static void on_request(void *context, struct http_exchange *exchange)
{
	struct kubelet_server *server = context;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct http_request *head = http_exchange_request(exchange);
	struct server_request request = {
		.server = server, .kubelet = server->kubelet, .exchange = exchange, .arena = arena};
	split_path(&request, head->path);
	log_v(4, "Request", kv_str("method", head->method), kv_str("path", head->path),
	      kv_str("user", head->identity.common_name ? head->identity.common_name : ""));
	for (size_t index = 0; index < ARRAY_SIZE(routes); index++) {
		if (!request.part_count || strcmp(routes[index].name, request.parts[0]))
			continue;
		if (!routes[index].health && (server->open_to_all || !head->identity.common_name)) {
			server_respond_error(exchange, 401, "Unauthorized");
			return;
		}
		routes[index].handle(&request);
		return;
	}
	server_respond_error(exchange, 404, "404 page not found\n");
}

int kubelet_server_new(struct kubelet *kubelet, struct metrics_registry *metrics, struct kubelet_server **ret_server,
		       struct err *err)
{
	const struct kubelet_config *config = kubelet->config;
	struct kubelet_server *server = NEW(struct kubelet_server);
	*server = (struct kubelet_server){
		.kubelet = kubelet, .metrics = metrics, .open_to_all = !*config->client_ca_file};
	bool given = *config->tls_certificate_file && *config->tls_private_key_file;
	server->tls = (struct tls_server_config){
		.certificate_file = given ? xstrdup(config->tls_certificate_file)
					  : xasprintf("%s/kubelet.crt", config->certificate_directory),
		.private_key_file = given ? xstrdup(config->tls_private_key_file)
					  : xasprintf("%s/kubelet.key", config->certificate_directory),
		.client_ca_file = *config->client_ca_file ? config->client_ca_file : NULL,
		.offer_http2 = true,
	};
	struct loop *loops[] = {kubelet->loop};
	struct http_server_config http = {
		.bind_address = config->address,
		.port = (int)config->port,
		.loops = loops,
		.loop_count = 1,
		.tls = &server->tls,
		.max_body_bytes = 1 << 20,
		.max_connections = 512,
		.handler = on_request,
		.context = server,
	};
	int result = given ? 0
			   : serving_certificate_ensure(config->certificate_directory, kubelet->node_name, kubelet->node_ip, err);
	if (result == 0)
		result = http_server_new(&http, &server->http, err);
	if (result < 0) {
		kubelet_server_free(server);
		return result;
	}
	if (server->open_to_all)
		log_warning("No --client-ca-file: the HTTPS server answers /healthz only");
	log_info("Serving", kv_str("address", config->address), kv_int("port", http_server_port(server->http)));
	*ret_server = server;
	return 0;
}

struct kubelet_server *kubelet_server_free(struct kubelet_server *server)
{
	if (!server)
		return NULL;
	http_server_free(server->http);
	free((char *)server->tls.certificate_file);
	free((char *)server->tls.private_key_file);
	free(server);
	return NULL;
}
