// SPDX-License-Identifier: Apache-2.0
//
// What security costs a request: RBAC checks with the bootstrap roles and 10,000
// bindings in 1,000 namespaces, a token's signature, and a TLS handshake with a
// client certificate. CPU time of this process; prints a table, judges nothing.
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "apiserver/authorization/authorization.h"
#include "apiserver/authorization/rbac.h"
#include "apiserver/bootstrap/policy.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/client/jwt.h"
#include "common/io/tls.h"
#include "tests/unit/tls_fixture.h"

enum { NAMESPACES = 1000, BINDINGS_EACH = 10, CHECKS = 200000, SIGNATURES = 2000, HANDSHAKES = 500 };

static int64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static void print(const char *what, int64_t ns, int count)
{
	printf("  %-58s %10.2f us\n", what, (double)ns / count / 1000);
}

// --- RBAC ---------------------------------------------------------------------------

static void fill(struct rbac *rbac)
{
	struct policy_object object;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t cursor = 0; policy_next(&cursor, &object);)
		rbac_put(rbac, object.kind, object.namespace_name, object.name, policy_to_json(arena, &object));
	for (int i = 0; i < NAMESPACES * BINDINGS_EACH; i++) {
		char ns[32], name[32];
		struct json *binding = NULL;
		snprintf(ns, sizeof(ns), "ns-%d", i / BINDINGS_EACH);
		snprintf(name, sizeof(name), "b-%d", i % BINDINGS_EACH);
		arena_reset(arena);
		const char *text =
		        arena_printf(arena,
		                     "{\"roleRef\":{\"kind\":\"ClusterRole\",\"name\":\"system:aggregate-to-%s\"},"
		                     "\"subjects\":[{\"kind\":\"User\",\"name\":\"user-%d\"}]}",
		                     i % 2 ? "edit" : "view", i);
		if (json_parse(arena, text, strlen(text), NULL, &binding, NULL) < 0)
			abort();
		rbac_put(rbac, RBAC_ROLE_BINDINGS, ns, name, binding);
	}
}

static void check(struct rbac *rbac, const char *what, const char *user_name, const char *ns, bool allowed)
{
	static const char *const groups[] = {"system:authenticated", "developers", "team-a"};
	const struct user user = {.name = user_name, .groups = groups, .group_count = 3};
	const struct authorization_attributes attributes = {.verb = "list",
	                                                    .is_resource = true,
	                                                    .path = "",
	                                                    .group = "batch",
	                                                    .version = "v1",
	                                                    .resource = "jobs",
	                                                    .subresource = "",
	                                                    .namespace_name = ns,
	                                                    .name = ""};
	struct authorizer *authorizer = rbac_authorizer(rbac);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	int64_t started = cpu_ns();
	for (int i = 0; i < CHECKS; i++) {
		struct authorization_answer answer;
		arena_reset(arena);
		authorizer->decide(authorizer, arena, &user, &attributes, &answer);
		if (authorization_allows(&answer) != allowed)
			abort();
	}
	print(what, cpu_ns() - started, CHECKS);
}

static void bench_rbac(void)
{
	struct rbac *rbac = rbac_new(NULL);
	int64_t started = cpu_ns();
	fill(rbac);
	print("RBAC: one binding put into the index", cpu_ns() - started, NAMESPACES * BINDINGS_EACH);
	check(rbac, "RBAC: allowed by a binding, 10,000 bindings", "user-5000", "ns-500", true);
	check(rbac, "RBAC: not allowed, 10,000 bindings", "stranger", "ns-500", false);
	rbac_authorizer(rbac)->free(rbac_authorizer(rbac));
}

// --- tokens -----------------------------------------------------------------------------

static void bench_token(const char *what, EVP_PKEY *pkey)
{
	struct jwt_key key = {.id = xstrdup("k"), .key = pkey};
	struct jwt_keys keys = {.items = &key, .count = 1};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *claims = json_object(arena);
	json_set_text(arena, claims, "sub", "system:serviceaccount:default:default");
	char *token = xstrdup(jwt_sign(arena, claims, &key));
	struct jwt jwt;
	int64_t started = cpu_ns();
	for (int i = 0; i < SIGNATURES; i++) {
		arena_reset(arena);
		if (jwt_parse(arena, token, strlen(token), &jwt, NULL) < 0 || !jwt_verify(&jwt, &keys))
			abort();
	}
	print(what, cpu_ns() - started, SIGNATURES);
	free(token);
	free(key.id);
	EVP_PKEY_free(pkey);
}

// --- handshakes ------------------------------------------------------------------------------

static void shake(SSL *client, SSL *server, int64_t *server_ns)
{
	int client_done = 0, server_done = 0;
	while (client_done != 1 || server_done != 1) {
		client_done = SSL_do_handshake(client);
		int64_t started = cpu_ns();
		server_done = SSL_do_handshake(server);
		*server_ns += cpu_ns() - started;
	}
}

static void bench_handshake(void)
{
	struct tls_fixture fixture;
	struct tls_server *server;
	SSL_CTX *context;
	int64_t server_ns = 0;
	tls_fixture_init(&fixture);
	const struct tls_server_config server_config = {.certificate_file = tls_fixture_path(&fixture, "server.crt"),
	                                                .private_key_file = tls_fixture_path(&fixture, "server.key"),
	                                                .client_ca_file = tls_fixture_path(&fixture, "ca.crt"),
	                                                .accept_any_client_certificate = true};
	const struct tls_client_config client_config = {.ca_file = tls_fixture_path(&fixture, "ca.crt"),
	                                                .certificate_file = tls_fixture_path(&fixture, "client.crt"),
	                                                .private_key_file = tls_fixture_path(&fixture, "client.key")};
	if (tls_server_new(&server_config, &server, NULL) < 0 ||
	    tls_client_context_new(&client_config, false, &context, NULL) < 0)
		abort();
	for (int i = 0; i < HANDSHAKES; i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct tls_identity identity;
		SSL *client, *accepted;
		int fds[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 ||
		    tls_server_accept(server, fds[0], &accepted, NULL) < 0 ||
		    tls_client_connect(context, fds[1], NULL, "127.0.0.1", &client, NULL) < 0)
			abort();
		shake(client, accepted, &server_ns);
		int64_t started = cpu_ns();
		tls_server_judge(server, accepted, arena, &identity);
		server_ns += cpu_ns() - started;
		if (!identity.common_name)
			abort();
		SSL_free(client);
		SSL_free(accepted);
		close(fds[0]);
		close(fds[1]);
	}
	print("TLS handshake with a client certificate, the server's part", server_ns, HANDSHAKES);
	SSL_CTX_free(context);
	tls_server_free(server);
	tls_fixture_done(&fixture);
}

int main(void)
{
	puts("security");
	bench_rbac();
	bench_token("token: parsed and verified, RS256", EVP_RSA_gen(2048));
	bench_token("token: parsed and verified, ES256", EVP_EC_gen("P-256"));
	bench_handshake();
	return 0;
}
