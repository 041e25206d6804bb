// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/api/json.h"
#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/client/kubeconfig.h"

struct fixture {
	char folder[64];
	struct arena *arena;
};

static void open_folder(struct fixture *fixture)
{
	strcpy(fixture->folder, "/tmp/caravel-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	fixture->arena = arena_new(0);
	setenv("HOME", fixture->folder, 1);
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
}

static void close_folder(struct fixture *fixture)
{
	struct err err = ERR_INIT;
	assert_int_equal(file_remove_tree(fixture->folder, &err), 0);
	arena_free(fixture->arena);
}

static const char *write_config(struct fixture *fixture, const char *name, const char *text)
{
	const char *path = arena_printf(fixture->arena, "%s/%s", fixture->folder, name);
	struct err err = ERR_INIT;
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, &err), 0);
	return path;
}

static const char full[] = "apiVersion: v1\n"
                           "kind: Config\n"
                           "current-context: main\n"
                           "clusters:\n"
                           "- name: c1\n"
                           "  cluster:\n"
                           "    server: https://127.0.0.1:6443\n"
                           "    certificate-authority-data: Q0EgdGV4dA==\n"
                           "    certificate-authority: ca.crt\n"
                           "    tls-server-name: api\n"
                           "- name: c2\n"
                           "  cluster: {server: 'https://second:1', certificate-authority: pki/ca.crt}\n"
                           "contexts:\n"
                           "- {name: main, context: {cluster: c1, user: u1, namespace: shop}}\n"
                           "- {name: other, context: {cluster: c2, user: u2}}\n"
                           "- {name: lost, context: {cluster: nowhere, user: u1}}\n"
                           "users:\n"
                           "- name: u1\n"
                           "  user: {client-certificate: a.crt, client-key: /abs/a.key}\n"
                           "- name: u2\n"
                           "  user: {token: secret, tokenFile: t, as: somebody}\n"
                           "- name: u3\n"
                           "  user: {exec: {command: x}}\n"
                           "- name: u4\n"
                           "  user: {client-certificate-data: '!!'}\n"
                           "- name: u5\n"
                           "  user: {client-certificate: only.crt}\n";

static void test_current_context(void **state)
{
	(void)state;
	struct fixture fixture;
	struct client_config config;
	struct err err = ERR_INIT;
	open_folder(&fixture);
	const struct kubeconfig_overrides overrides = {.path = write_config(&fixture, "config", full)};
	assert_int_equal(kubeconfig_load(fixture.arena, &overrides, &config, &err), 0);
	assert_string_equal(config.server, "https://127.0.0.1:6443");
	assert_string_equal(config.ca_data, "CA text");
	assert_null(config.ca_file); // data wins
	assert_string_equal(config.tls_server_name, "api");
	assert_string_equal(config.certificate_file, arena_printf(fixture.arena, "%s/a.crt", fixture.folder));
	assert_string_equal(config.private_key_file, "/abs/a.key");
	assert_string_equal(config.namespace_name, "shop");
	assert_string_equal(config.context_name, "main");
	assert_null(config.bearer_token);
	close_folder(&fixture);
}

static void test_overrides(void **state)
{
	(void)state;
	struct fixture fixture;
	struct client_config config;
	struct err err = ERR_INIT;
	open_folder(&fixture);
	struct kubeconfig_overrides overrides = {.path = write_config(&fixture, "config", full), .context = "other"};
	assert_int_equal(kubeconfig_load(fixture.arena, &overrides, &config, &err), 0);
	assert_string_equal(config.ca_file, arena_printf(fixture.arena, "%s/pki/ca.crt", fixture.folder));
	assert_string_equal(config.bearer_token, "secret");
	assert_null(config.bearer_token_file);
	assert_string_equal(config.as_user, "somebody");
	assert_string_equal(config.namespace_name, "default");
	overrides.user = "u1";
	overrides.server = "127.0.0.1:8080";
	overrides.namespace_name = "mine";
	assert_int_equal(kubeconfig_load(fixture.arena, &overrides, &config, &err), 0);
	assert_string_equal(config.server, "http://127.0.0.1:8080");
	assert_string_equal(config.namespace_name, "mine");
	assert_non_null(config.certificate_file);
	assert_null(config.bearer_token);
	close_folder(&fixture);
}

static void test_errors_name_what_is_wrong(void **state)
{
	(void)state;
	struct fixture fixture;
	open_folder(&fixture);
	const char *path = write_config(&fixture, "config", full);
	const struct {
		struct kubeconfig_overrides overrides;
		const char *message;
	} cases[] = {
	        {{.path = path, .context = "none"}, "context \"none\" does not exist"},
	        {{.path = path, .context = "lost"}, "cluster \"nowhere\" does not exist"},
	        {{.path = path, .user = "none"}, "auth info \"none\" does not exist"},
	        {{.path = path, .user = "u3"}, "credential plugins"},
	        {{.path = path, .user = "u4"}, "illegal base64 data"},
	        {{.path = path, .user = "u5"}, "client-key-data or client-key must be specified"},
	        {{.path = "/nowhere/config"}, "/nowhere/config"},
	        {{.path = write_config(&fixture, "bad", "a: [")}, "error loading config file"},
	        {{.path = write_config(&fixture, "kind", "kind: Pod")}, "no kind \"Pod\" is registered"},
	        {{.path = write_config(&fixture, "empty", "")}, "no configuration has been provided"},
	        {{.path = NULL}, "no configuration has been provided"},
	        {{.path = write_config(
	                  &fixture, "both",
	                  "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
	                  "clusters: [{name: c, cluster: {server: 'https://a', insecure-skip-tls-verify: true, "
	                  "certificate-authority: x}}]")},
	         "specifying a root certificates file with the insecure flag is not allowed"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct client_config config;
		struct err err = ERR_INIT;
		assert_true(kubeconfig_load(fixture.arena, &cases[i].overrides, &config, &err) < 0);
		if (!strstr(err.message, cases[i].message))
			fail_msg("case %zu: %s", i, err.message);
	}
	close_folder(&fixture);
}

static void test_environment_list_is_merged(void **state)
{
	(void)state;
	struct fixture fixture;
	struct client_config config;
	struct err err = ERR_INIT;
	open_folder(&fixture);
	const char *first = write_config(&fixture, "first",
	                                 "clusters: [{name: c1, cluster: {server: 'https://first'}}]\n"
	                                 "contexts: [{name: mine, context: {cluster: c1, user: u2}}]\n");
	const char *second = write_config(&fixture, "second", full);
	setenv("KUBECONFIG", arena_printf(fixture.arena, "%s/none:%s:%s", fixture.folder, first, second), 1);
	const struct kubeconfig_overrides none = {0};
	assert_int_equal(kubeconfig_load(fixture.arena, &none, &config, &err), 0);
	assert_string_equal(config.context_name, "main");
	assert_string_equal(config.server, "https://first"); // the first file that names a cluster gives it whole
	assert_null(config.ca_data);
	const struct kubeconfig_overrides mine = {.context = "mine"};
	assert_int_equal(kubeconfig_load(fixture.arena, &mine, &config, &err), 0);
	assert_string_equal(config.bearer_token, "secret");
	struct json *document;
	assert_int_equal(kubeconfig_read(fixture.arena, NULL, &document, &err), 0);
	assert_int_equal(json_get(document, "clusters")->length, 2);
	assert_int_equal(json_get(document, "contexts")->length, 4);
	close_folder(&fixture);
}

static void test_home_then_in_cluster(void **state)
{
	(void)state;
	struct fixture fixture;
	struct client_config config;
	struct err err = ERR_INIT;
	const struct kubeconfig_overrides none = {0};
	open_folder(&fixture);
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(kubeconfig_load(fixture.arena, &none, &config, &err), 0);
	assert_string_equal(config.server, "https://[fd00::1]:443");
	assert_non_null(config.bearer_token_file);
	mkdir(arena_printf(fixture.arena, "%s/.kube", fixture.folder), 0700);
	write_config(&fixture, ".kube/config", full);
	assert_int_equal(kubeconfig_load(fixture.arena, &none, &config, &err), 0);
	assert_string_equal(config.server, "https://127.0.0.1:6443");
	unsetenv("KUBERNETES_SERVICE_HOST");
	close_folder(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_current_context),           cmocka_unit_test(test_overrides),
	        cmocka_unit_test(test_errors_name_what_is_wrong), cmocka_unit_test(test_environment_list_is_merged),
	        cmocka_unit_test(test_home_then_in_cluster),
	};
	return cmocka_run_group_tests_name("kubeconfig", tests, NULL, NULL);
}
