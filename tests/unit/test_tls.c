// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <time.h>

#include "common/io/tls.h"
#include "tests/unit/tls_fixture.h"

static int setup(void **state)
{
	struct tls_fixture *fixture = malloc(sizeof(*fixture));
	tls_fixture_init(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	tls_fixture_done(*state);
	free(*state);
	return 0;
}

static struct tls_server *new_server(struct tls_fixture *fixture)
{
	struct err err = ERR_INIT;
	struct tls_server *server;
	const struct tls_server_config config = {
	        .certificate_file = tls_fixture_path(fixture, "server.crt"),
	        .private_key_file = tls_fixture_path(fixture, "server.key"),
	        .client_ca_file = tls_fixture_path(fixture, "ca.crt"),
	        .offer_http2 = true,
	};
	assert_int_equal(tls_server_new(&config, &server, &err), 0);
	return server;
}

static SSL_CTX *new_client_context(struct tls_fixture *fixture, const char *name)
{
	struct err err = ERR_INIT;
	SSL_CTX *context;
	struct tls_client_config config = {.ca_file = tls_fixture_path(fixture, "ca.crt")};
	if (name) {
		char file[32];
		snprintf(file, sizeof(file), "%s.crt", name);
		config.certificate_file = tls_fixture_path(fixture, file);
		snprintf(file, sizeof(file), "%s.key", name);
		config.private_key_file = tls_fixture_path(fixture, file);
	}
	assert_int_equal(tls_client_context_new(&config, true, &context, &err), 0);
	return context;
}

// Both ends of a handshake over a socket pair, in one thread.
struct pair {
	int fds[2];
	SSL *server;
	SSL *client;
	bool connected;
	struct err err; // the client's
};

static int step(SSL *ssl)
{
	int result = SSL_do_handshake(ssl);
	if (result == 1)
		return 1;
	int reason = SSL_get_error(ssl, result);
	return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void connect_pair(struct pair *pair, struct tls_server *server, SSL_CTX *context, const char *host,
                         SSL_SESSION *session)
{
	struct err err = ERR_INIT;
	pair->err = ERR_INIT;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
	assert_int_equal(tls_server_accept(server, pair->fds[0], &pair->server, &err), 0);
	assert_int_equal(tls_client_connect(context, pair->fds[1], NULL, host, &pair->client, &err), 0);
	if (session)
		SSL_set_session(pair->client, session);
	int client = 0, served = 0;
	while (client == 0 || (client == 1 && served == 0)) {
		client = client ? client : step(pair->client);
		served = served ? served : step(pair->server);
		if (served < 0)
			break;
	}
	if (client < 0)
		err_set_tls_handshake(&pair->err, pair->client);
	pair->connected = client == 1 && served == 1;
	if (pair->connected) // takes the session ticket
		(void)SSL_read(pair->client, &(char){0}, 1);
}

static void close_pair(struct pair *pair)
{
	SSL_shutdown(pair->client); // or OpenSSL takes its session for spoilt
	SSL_free(pair->client);
	SSL_free(pair->server);
	close(pair->fds[0]);
	close(pair->fds[1]);
}

static void test_identity(void **state)
{
	struct tls_server *server = new_server(*state);
	SSL_CTX *context = new_client_context(*state, "client");
	struct arena *arena = arena_new(0);
	struct tls_identity identity;
	struct pair pair;
	connect_pair(&pair, server, context, "127.0.0.1", NULL);
	assert_true(pair.connected);
	tls_peer_identity(pair.server, arena, &identity);
	assert_string_equal(identity.common_name, "alice");
	assert_int_equal(identity.organization_count, 2);
	assert_string_equal(identity.organizations[0], "dev");
	assert_string_equal(identity.organizations[1], "ops");
	const unsigned char *protocol;
	unsigned int length;
	SSL_get0_alpn_selected(pair.client, &protocol, &length);
	assert_int_equal(length, 2);
	assert_memory_equal(protocol, "h2", 2);
	close_pair(&pair);
	SSL_CTX_free(context);
	// No certificate: no identity, but a connection.
	context = new_client_context(*state, NULL);
	connect_pair(&pair, server, context, "localhost", NULL);
	assert_true(pair.connected);
	tls_peer_identity(pair.server, arena, &identity);
	assert_null(identity.common_name);
	assert_int_equal(identity.organization_count, 0);
	close_pair(&pair);
	SSL_CTX_free(context);
	arena_free(arena);
	tls_server_free(server);
}

// "root\0.evil" must not become root.
static void test_name_with_nul_is_no_name(void **state)
{
	struct tls_fixture *fixture = *state;
	struct tls_fixture_cert cert = tls_fixture_issue(&(struct tls_fixture_request){
	        .common_name = "x", .usage = "clientAuth", .issuer = &fixture->authority});
	X509_NAME *subject = X509_get_subject_name(cert.certificate);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)"root\0.evil", 10, -1, 0);
	X509_sign(cert.certificate, fixture->authority.key, EVP_sha256());
	tls_fixture_save(&cert, tls_fixture_path(fixture, "nul.crt"), tls_fixture_path(fixture, "nul.key"));
	tls_fixture_drop(&cert);
	struct tls_server *server = new_server(fixture);
	SSL_CTX *context = new_client_context(fixture, "nul");
	struct arena *arena = arena_new(0);
	struct tls_identity identity;
	struct pair pair;
	connect_pair(&pair, server, context, "localhost", NULL);
	assert_true(pair.connected);
	tls_peer_identity(pair.server, arena, &identity);
	assert_null(identity.common_name);
	close_pair(&pair);
	SSL_CTX_free(context);
	arena_free(arena);
	tls_server_free(server);
}

static void test_servers_are_verified(void **state)
{
	struct tls_server *server = new_server(*state);
	SSL_CTX *context = new_client_context(*state, NULL);
	struct pair pair;
	connect_pair(&pair, server, context, "192.0.2.1", NULL);
	assert_false(pair.connected);
	assert_string_equal(pair.err.message, "tls: failed to verify certificate: x509: certificate is not valid for "
	                                      "the server's address");
	close_pair(&pair);
	connect_pair(&pair, server, context, "example.org", NULL);
	assert_false(pair.connected);
	assert_non_null(strstr(pair.err.message, "x509: certificate is not valid for the server's name"));
	close_pair(&pair);
	SSL_CTX_free(context);
	// Another authority; the same without verification; and a name given in the configuration.
	struct tls_fixture other;
	struct err err = ERR_INIT;
	tls_fixture_init(&other);
	context = new_client_context(&other, NULL);
	connect_pair(&pair, server, context, "localhost", NULL);
	assert_false(pair.connected);
	assert_string_equal(pair.err.message,
	                    "tls: failed to verify certificate: x509: certificate signed by unknown authority");
	close_pair(&pair);
	SSL_CTX_free(context);
	assert_int_equal(tls_client_context_new(&(struct tls_client_config){.insecure_skip_verify = true}, false,
	                                        &context, &err),
	                 0);
	connect_pair(&pair, server, context, "example.org", NULL);
	assert_true(pair.connected);
	close_pair(&pair);
	SSL_CTX_free(context);
	struct tls_client_config named = {.ca_file = tls_fixture_path(*state, "ca.crt"), .server_name = "localhost"};
	assert_int_equal(tls_client_context_new(&named, false, &context, &err), 0);
	connect_pair(&pair, server, context, "192.0.2.1", NULL);
	assert_true(pair.connected);
	close_pair(&pair);
	SSL_CTX_free(context);
	tls_fixture_done(&other);
	tls_server_free(server);
}

// A session resumes with its certificate's identity, until the certificate expires.
static void test_resumption_judges_expiry(void **state)
{
	struct tls_fixture *fixture = *state;
	struct tls_server *server = new_server(fixture);
	struct pair pair;
	SSL_CTX *context = new_client_context(fixture, "client");
	connect_pair(&pair, server, context, "localhost", NULL);
	SSL_SESSION *session = SSL_get1_session(pair.client);
	close_pair(&pair);
	connect_pair(&pair, server, context, "localhost", session);
	assert_true(pair.connected);
	assert_int_equal(SSL_session_reused(pair.client), 1);
	close_pair(&pair);
	SSL_SESSION_free(session);
	SSL_CTX_free(context);
	tls_fixture_issue_to(
	        fixture,
	        &(struct tls_fixture_request){
	                .common_name = "brief", .usage = "clientAuth", .valid_to_s = 2, .issuer = &fixture->authority},
	        "brief.crt", "brief.key");
	context = new_client_context(fixture, "brief");
	connect_pair(&pair, server, context, "localhost", NULL);
	assert_true(pair.connected);
	session = SSL_get1_session(pair.client);
	X509 *certificate = X509_dup(SSL_get_certificate(pair.client));
	close_pair(&pair);
	while (X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0)
		nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
	connect_pair(&pair, server, context, "localhost", session);
	assert_int_equal(SSL_session_reused(pair.client), 0);
	assert_false(pair.connected);
	close_pair(&pair);
	X509_free(certificate);
	SSL_SESSION_free(session);
	SSL_CTX_free(context);
	tls_server_free(server);
}

// Connects until the server shows this certificate.
static void wait_for_serial(struct tls_server *server, SSL_CTX *context, const char *file)
{
	FILE *stream = fopen(file, "r");
	X509 *expected = PEM_read_X509(stream, NULL, NULL, NULL);
	fclose(stream);
	time_t limit = time(NULL) + 20;
	bool shown = false;
	while (!shown && time(NULL) < limit) {
		struct pair pair;
		connect_pair(&pair, server, context, "localhost", NULL);
		assert_true(pair.connected);
		shown = X509_cmp(SSL_get0_peer_certificate(pair.client), expected) == 0;
		close_pair(&pair);
		nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
	}
	assert_true(shown);
	X509_free(expected);
}

static void test_reload(void **state)
{
	struct tls_fixture *fixture = *state;
	struct tls_server *server = new_server(fixture);
	SSL_CTX *context = new_client_context(fixture, "client");
	struct pair pair;
	connect_pair(&pair, server, context, "localhost", NULL);
	SSL_SESSION *session = SSL_get1_session(pair.client);
	close_pair(&pair);
	// To an RSA key, certificate first: the mismatch in between doesn't hurt.
	struct tls_fixture_cert renewed =
	        tls_fixture_issue(&(struct tls_fixture_request){.common_name = "renewed",
	                                                        .alternative_names = "DNS:localhost",
	                                                        .is_rsa = true,
	                                                        .issuer = &fixture->authority});
	tls_fixture_save(&renewed, tls_fixture_path(fixture, "server.crt"), NULL);
	connect_pair(&pair, server, context, "localhost", NULL);
	assert_true(pair.connected);
	close_pair(&pair);
	tls_fixture_save(&renewed, tls_fixture_path(fixture, "server.crt"), tls_fixture_path(fixture, "server.key"));
	tls_fixture_drop(&renewed);
	wait_for_serial(server, context, tls_fixture_path(fixture, "server.crt"));
	// New files, new ticket keys.
	connect_pair(&pair, server, context, "localhost", session);
	assert_true(pair.connected);
	assert_int_equal(SSL_session_reused(pair.client), 0);
	close_pair(&pair);
	SSL_SESSION_free(session);
	SSL_CTX_free(context);
	tls_server_free(server);
}

static void test_bad_files(void **state)
{
	struct tls_fixture *fixture = *state;
	struct tls_server *server;
	struct tls_server_config config = {
	        .certificate_file = tls_fixture_path(fixture, "missing.crt"),
	        .private_key_file = tls_fixture_path(fixture, "server.key"),
	};
	struct err err = ERR_INIT;
	assert_true(tls_server_new(&config, &server, &err) < 0);
	assert_non_null(strstr(err.message, "unable to load certificate "));
	assert_non_null(strstr(err.message, "missing.crt: "));
	assert_non_null(strcasestr(err.message, "no such file"));
	err = ERR_INIT;
	config.certificate_file = tls_fixture_path(fixture, "client.crt");
	assert_true(tls_server_new(&config, &server, &err) < 0);
	assert_non_null(strstr(err.message, "server.key does not match its certificate: "));
	err = ERR_INIT;
	config.certificate_file = tls_fixture_path(fixture, "server.crt");
	config.client_ca_file = tls_fixture_path(fixture, "server.key");
	assert_true(tls_server_new(&config, &server, &err) < 0);
	assert_non_null(strstr(err.message, "no certificate in "));
	// A client's data instead of files, and a certificate without its key.
	SSL_CTX *context;
	err = ERR_INIT;
	assert_true(tls_client_context_new(&(struct tls_client_config){.ca_data = "garbage"}, false, &context, &err) <
	            0);
	err = ERR_INIT;
	assert_true(tls_client_context_new(
	                    &(struct tls_client_config){.certificate_file = tls_fixture_path(fixture, "client.crt")},
	                    false, &context, &err) < 0);
	assert_string_equal(err.message, "a client certificate and its private key must be given together");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_identity),
	        TEST(test_name_with_nul_is_no_name),
	        TEST(test_servers_are_verified),
	        TEST(test_resumption_judges_expiry),
	        TEST(test_reload),
	        TEST(test_bad_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
