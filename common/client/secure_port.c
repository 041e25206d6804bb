// SPDX-License-Identifier: Apache-2.0
//
//   request ─► a public path? answered at once
//           └► who are they, may they GET this path? (perhaps asked) ─► answered, 401 or 403
//
// A daemon that was given no certificate makes one, signed by itself, in a private
// folder that goes with it: nobody can verify it, but nobody can listen either.
#include "common/client/secure_port.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "common/api/json.h"
#include "common/base/blob.h"
#include "common/base/file.h"
#include "common/base/list.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/client/delegated_auth.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"

enum { CERTIFICATE_SECONDS = 365 * 24 * 3600, MAX_METRICS_BYTES = 64 << 20 };

struct secure_port {
	struct loop *loop;
	struct secure_port_config config;
	struct http_server *http;
	struct delegated_auth *auth;
	struct list pending; // struct waiting
	char *folder;        // of the certificate that was made; NULL = none
};

// A request whose answer waits for the API server.
struct waiting {
	struct list node;
	struct secure_port *port;
	struct http_exchange *exchange;
};

// --- answers -------------------------------------------------------------------------

static void respond(struct http_exchange *exchange, int code, const char *content_type, struct strbuf *text)
{
	const struct http_header headers[] = {{"content-type", content_type}, {"x-content-type-options", "nosniff"}};
	size_t length;
	char *data = strbuf_take(text, &length);
	AUTO(blob_unref) struct blob *body = blob_new_take(data, length);
	http_exchange_respond(exchange, code, headers, ARRAY_SIZE(headers), body);
}

static bool is_health_path(const char *path)
{
	static const char *const names[] = {"/healthz", "/livez", "/readyz"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t length = strlen(names[i]);
		if (strncmp(path, names[i], length) == 0 && (!path[length] || path[length] == '/'))
			return true;
	}
	return false;
}

static void answer(struct secure_port *port, struct http_exchange *exchange)
{
	const struct http_request *request = http_exchange_request(exchange);
	struct strbuf text = STRBUF_INIT(MAX_METRICS_BYTES);
	int code = 200;
	const char *type = "text/plain; charset=utf-8";
	if (is_health_path(request->path)) {
		code = health_respond(port->config.checks, request->path, request->query, &text);
	} else if (strcmp(request->path, "/metrics") == 0 && port->config.metrics) {
		metrics_write(port->config.metrics, &text);
		type = "text/plain; version=0.0.4; charset=utf-8";
	} else {
		code = 404;
		strbuf_append_text(&text, "404 page not found\n");
	}
	respond(exchange, code, type, &text);
}

static void refuse(struct http_exchange *exchange, enum delegated_verdict verdict, const char *user)
{
	struct strbuf text = STRBUF_INIT(64 << 10);
	const struct http_request *request = http_exchange_request(exchange);
	int code = verdict == DELEGATED_UNAUTHENTICATED ? 401 : verdict == DELEGATED_FORBIDDEN ? 403 : 500;
	AUTO_STRBUF struct strbuf message = STRBUF_INIT(32 << 10);
	if (code == 403)
		strbuf_printf(&message, "forbidden: User \"%s\" cannot get path \"%s\"", user, request->path);
	else
		strbuf_append_text(&message, code == 401 ? "Unauthorized" : "Internal Server Error");
	strbuf_append_text(&text, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
	                          "\"message\":");
	json_write_string(&text, strbuf_text(&message), message.length);
	strbuf_printf(&text, ",\"reason\":\"%s\",\"code\":%d}\n",
	              code == 401   ? "Unauthorized"
	              : code == 403 ? "Forbidden"
	                            : "InternalError",
	              code);
	respond(exchange, code, "application/json", &text);
}

// --- who may ------------------------------------------------------------------------------

static bool is_public(const struct secure_port *port, const char *path)
{
	if (!port->config.public_paths)
		return is_health_path(path);
	for (const char *const *at = port->config.public_paths; *at; at++) {
		size_t length = strlen(*at);
		if (strcmp(*at, path) == 0 ||
		    (length && (*at)[length - 1] == '*' && strncmp(*at, path, length - 1) == 0) ||
		    (is_health_path(path) && strncmp(*at, path, length) == 0 && path[length] == '/'))
			return true;
	}
	return false;
}

static void conclude(struct secure_port *port, struct http_exchange *exchange, enum delegated_verdict verdict,
                     const char *user)
{
	if (verdict == DELEGATED_ALLOWED)
		answer(port, exchange);
	else
		refuse(exchange, verdict, user);
}

static void waiting_free(struct waiting *waiting)
{
	list_remove(&waiting->node);
	http_exchange_unref(waiting->exchange);
	free(waiting);
}

static void on_verdict(void *context, enum delegated_verdict verdict, const char *user, const char *message UNUSED)
{
	struct waiting *waiting = context;
	conclude(waiting->port, waiting->exchange, verdict, user);
	waiting_free(waiting);
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct secure_port *port = context;
	const struct http_request *request = http_exchange_request(exchange);
	if (is_public(port, request->path)) {
		answer(port, exchange);
		return;
	}
	const struct delegated_attributes attributes = {.verb = strcmp(request->method, "GET") == 0 ? "get" : "post",
	                                                .path = request->path};
	struct waiting *waiting = NEW(struct waiting);
	struct delegated_check *check;
	const char *user = "";
	waiting->port = port;
	waiting->exchange = http_exchange_ref(exchange);
	list_append(&port->pending, &waiting->node);
	enum delegated_verdict verdict =
	        delegated_auth_check(port->auth, request, &attributes, 1, on_verdict, waiting, &check, &user);
	if (verdict == DELEGATED_PENDING)
		return;
	conclude(port, exchange, verdict, user);
	waiting_free(waiting);
}

// --- a certificate of its own making ---------------------------------------------------------

static bool write_pair(const struct secure_port *port, X509 *certificate, EVP_PKEY *key)
{
	AUTO_FREE char *certificate_path = xasprintf("%s/tls.crt", port->folder);
	AUTO_FREE char *key_path = xasprintf("%s/tls.key", port->folder);
	BIO *out = BIO_new(BIO_s_mem()), *key_out = BIO_new(BIO_s_mem());
	char *data, *key_data;
	bool written = PEM_write_bio_X509(out, certificate) == 1 &&
	               PEM_write_bio_PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL) == 1;
	long length = BIO_get_mem_data(out, &data), key_length = BIO_get_mem_data(key_out, &key_data);
	written = written && file_write_atomic(certificate_path, data, (size_t)length, 0600, NULL) == 0 &&
	          file_write_atomic(key_path, key_data, (size_t)key_length, 0600, NULL) == 0;
	BIO_free(out);
	BIO_free(key_out);
	return written;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool added = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

static int make_certificate(struct secure_port *port, struct err *err)
{
	char folder[] = "/tmp/secure-port-XXXXXX";
	if (!mkdtemp(folder))
		return err_set(err, ERR_IO, "no folder for the serving certificate");
	port->folder = xstrdup(folder);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	bool made = key && X509_set_version(certificate, 2) == 1 &&
	            ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
	            X509_gmtime_adj(X509_getm_notBefore(certificate), -300) &&
	            X509_gmtime_adj(X509_getm_notAfter(certificate), CERTIFICATE_SECONDS) &&
	            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)port->config.name, -1,
	                                       -1, 0) == 1 &&
	            X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
	            add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1") &&
	            add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
	            X509_sign(certificate, key, EVP_sha256()) > 0 && write_pair(port, certificate, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return made ? 0 : err_set_tls(err, "unable to make a serving certificate");
}

// --- the port ------------------------------------------------------------------------------------

static int listen_on(struct secure_port *port, struct err *err)
{
	const struct secure_port_config *config = &port->config;
	AUTO_FREE char *own_certificate = port->folder ? xasprintf("%s/tls.crt", port->folder) : NULL;
	AUTO_FREE char *own_key = port->folder ? xasprintf("%s/tls.key", port->folder) : NULL;
	const struct tls_server_config tls = {
	        .certificate_file = own_certificate ? own_certificate : config->certificate_file,
	        .private_key_file = own_key ? own_key : config->private_key_file,
	        .client_ca_file = text_is_empty(config->client_ca_file) ? NULL : config->client_ca_file,
	        .accept_any_client_certificate = true,
	        .offer_http2 = true,
	        .minimum_version = text_equal(config->minimum_version, "VersionTLS13") ? TLS1_3_VERSION : 0,
	        .cipher_suites = config->cipher_suites,
	};
	const struct http_server_config http = {
	        .bind_address = config->bind_address,
	        .port = config->port,
	        .loops = &port->loop,
	        .loop_count = 1,
	        .tls = &tls,
	        .handler = handle,
	        .context = port,
	};
	return http_server_new(&http, &port->http, err);
}

int secure_port_new(struct loop *loop, const struct secure_port_config *config, struct secure_port **ret_port,
                    struct err *err)
{
	struct secure_port *port = NEW(struct secure_port);
	int result = 0;
	port->loop = loop;
	port->config = *config;
	list_init(&port->pending);
	const struct delegated_auth_config auth = {.client = config->client, .anonymous = true, .reviews_tokens = true};
	port->auth = delegated_auth_new(loop, &auth);
	if (text_is_empty(config->certificate_file))
		result = make_certificate(port, err);
	if (result == 0)
		result = listen_on(port, err);
	if (result < 0)
		secure_port_free(port);
	else
		*ret_port = port;
	return result;
}

struct secure_port *secure_port_free(struct secure_port *port)
{
	struct waiting *waiting;
	if (!port)
		return NULL;
	port->auth = delegated_auth_free(port->auth);
	list_for_each (waiting, &port->pending, node)
		waiting_free(waiting);
	http_server_free(port->http);
	if (port->folder)
		(void)!file_remove_tree(port->folder, NULL);
	free(port->folder);
	free(port);
	return NULL;
}
