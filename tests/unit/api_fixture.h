// SPDX-License-Identifier: Apache-2.0
#pragma once
// An HTTPS server with a handler of the test's own and a rest_client that talks to
// it, both on one loop whose clock moves only when told. Real sockets, real TLS.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/client/rest.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"

struct api_fixture {
	struct manual_clock clock;
	struct loop *loop;
	char folder[64];
	char *certificate_path;
	char *key_path;
	struct http_server *server;
	int port;
	struct rest_client *client;
	bool server_closed;
};

static inline void api_fixture_write_pem(struct api_fixture *fixture, X509 *certificate, EVP_PKEY *key)
{
	fixture->certificate_path = xasprintf("%s/cert.pem", fixture->folder);
	fixture->key_path = xasprintf("%s/key.pem", fixture->folder);
	FILE *file = fopen(fixture->certificate_path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	file = fopen(fixture->key_path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

static inline void api_fixture_add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

// A self-signed certificate for 127.0.0.1.
static inline void api_fixture_make_certificate(struct api_fixture *fixture)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	api_fixture_add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
	api_fixture_add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1");
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	api_fixture_write_pem(fixture, certificate, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static inline void api_fixture_serve(struct api_fixture *fixture, int port,
                                     void (*handler)(void *context, struct http_exchange *exchange), void *context)
{
	struct err err = ERR_INIT;
	const struct tls_server_config tls = {.certificate_file = fixture->certificate_path,
	                                      .private_key_file = fixture->key_path,
	                                      .offer_http2 = true};
	struct loop *const loops[] = {fixture->loop};
	const struct http_server_config config = {
	        .bind_address = "127.0.0.1",
	        .port = port,
	        .loops = loops,
	        .loop_count = 1,
	        .tls = &tls,
	        .handler = handler,
	        .context = context,
	};
	if (http_server_new(&config, &fixture->server, &err) < 0)
		fail_msg("%s", err.message);
	fixture->port = http_server_port(fixture->server);
}

static inline void api_fixture_open(struct api_fixture *fixture,
                                    void (*handler)(void *context, struct http_exchange *exchange), void *context)
{
	struct err err = ERR_INIT;
	memset(fixture, 0, sizeof(*fixture));
	strcpy(fixture->folder, "/tmp/caravel-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	api_fixture_make_certificate(fixture);
	manual_clock_init(&fixture->clock, 1700000000 * NSEC_PER_SEC);
	assert_int_equal(loop_new(&fixture->clock.clock, &fixture->loop, &err), 0);
	api_fixture_serve(fixture, 0, handler, context);
	AUTO_FREE char *url = xasprintf("https://127.0.0.1:%d/", fixture->port);
	const struct client_config config = {
	        .server = url, .ca_file = fixture->certificate_path, .bearer_token = "the-token"};
	if (rest_client_new(fixture->loop, &config, "test/v1 (linux/amd64)", &fixture->client, &err) < 0)
		fail_msg("%s", err.message);
}

// One turn of real waiting (a millisecond at most), then the virtual time that passes meanwhile.
static inline void api_fixture_step(struct api_fixture *fixture, int64_t virtual_ns)
{
	loop_turn(fixture->loop, NSEC_PER_MSEC);
	manual_clock_advance(&fixture->clock, virtual_ns);
}

static inline void api_fixture_on_closed(void *context)
{
	((struct api_fixture *)context)->server_closed = true;
}

static inline void api_fixture_stop_server(struct api_fixture *fixture)
{
	fixture->server_closed = false;
	http_server_stop(fixture->server, 0, api_fixture_on_closed, fixture);
	while (!fixture->server_closed)
		api_fixture_step(fixture, NSEC_PER_MSEC);
	fixture->server = http_server_free(fixture->server);
}

static inline void api_fixture_close(struct api_fixture *fixture)
{
	fixture->client = rest_client_free(fixture->client);
	if (fixture->server)
		api_fixture_stop_server(fixture);
	loop_free(fixture->loop);
	unlink(fixture->certificate_path);
	unlink(fixture->key_path);
	rmdir(fixture->folder);
	free(fixture->certificate_path);
	free(fixture->key_path);
}

// Runs until the condition holds; a generous bound of real turns makes a hang a failure.
#define api_fixture_until(fixture, condition)                            \
	do {                                                             \
		int turns_ = 0;                                          \
		while (!(condition)) {                                   \
			api_fixture_step((fixture), NSEC_PER_MSEC * 20); \
			if (++turns_ > 30000)                            \
				fail_msg("never came: %s", #condition);  \
		}                                                        \
	} while (0)

static inline void api_fixture_respond(struct http_exchange *exchange, int status, const struct http_header *headers,
                                       size_t header_count, const char *text)
{
	AUTO(blob_unref) struct blob *body = blob_new(text, strlen(text));
	http_exchange_respond(exchange, status, headers, header_count, body);
}

static inline void api_fixture_write(struct http_exchange *exchange, const char *text)
{
	AUTO(blob_unref) struct blob *piece = blob_new(text, strlen(text));
	http_exchange_write(exchange, piece, 0, piece->length);
}

// A whole JSON answer.
static inline void api_fixture_answer(struct http_exchange *exchange, int status, const char *text)
{
	const struct http_header headers[] = {{"content-type", "application/json"}};
	api_fixture_respond(exchange, status, headers, 1, text);
}

static inline void api_fixture_answer_status(struct http_exchange *exchange, int code, const char *reason,
                                             const char *message)
{
	AUTO_FREE char *text =
	        xasprintf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"%s\","
	                  "\"reason\":\"%s\",\"code\":%d}",
	                  message, reason, code);
	api_fixture_answer(exchange, code, text);
}

// The decoded value of a query parameter on the heap, or NULL.
static inline char *api_fixture_parameter(const struct http_request *request, const char *name)
{
	size_t name_length = strlen(name);
	for (const char *part = request->query; part && *part; part = strchr(part, '&') ? strchr(part, '&') + 1 : "") {
		if (strncmp(part, name, name_length) != 0 || part[name_length] != '=')
			continue;
		char *value = xstrndup(part + name_length + 1, strcspn(part + name_length + 1, "&"));
		char *out = value;
		for (char *in = value; *in; in++) {
			unsigned byte;
			if (*in == '%' && sscanf(in + 1, "%2x", &byte) == 1) {
				*out++ = (char)byte;
				in += 2;
			} else {
				*out++ = *in;
			}
		}
		*out = '\0';
		return value;
	}
	return NULL;
}
