// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "adm/init_run.h"
#include "adm/pki.h"
#include "common/base/file.h"

static char folder[] = "/tmp/test_pki.XXXXXX";

static const char *const dns_names[] = {"kubernetes", "node-1", NULL};
static const char *const ip_addresses[] = {"10.96.0.1", "fd00::1", NULL};
static const struct pki_request authority_request = {
        .common_name = "kubernetes", .validity_seconds = 3600, .is_ca = true};
static const struct pki_request server_request = {
        .common_name = "kube-apiserver",
        .organization = "system:masters",
        .usage = PKI_SERVER,
        .dns_names = dns_names,
        .ip_addresses = ip_addresses,
        .validity_seconds = 7200,
};

struct chain {
	struct pki_pair authority;
	struct pki_pair server;
};

static int setup(void **state)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	struct err err = ERR_INIT;
	assert_int_equal(pki_issue(&authority_request, NULL, &chain->authority, &err), 0);
	assert_int_equal(pki_issue(&server_request, &chain->authority, &chain->server, &err), 0);
	*state = chain;
	return 0;
}

static int teardown(void **state)
{
	struct chain *chain = *state;
	pki_pair_done(&chain->authority);
	pki_pair_done(&chain->server);
	free(chain);
	return 0;
}

static void a_leaf_serves_its_names(void **state)
{
	struct chain *chain = *state;
	X509 *authority = chain->authority.certificate;
	assert_true(pki_certificate_serves(chain->server.certificate, authority, &server_request));
	const char *const other[] = {"elsewhere", NULL};
	struct pki_request request = server_request;
	request.dns_names = other;
	assert_false(pki_certificate_serves(chain->server.certificate, authority, &request));
	// Never longer than its authority lives.
	assert_true(ASN1_TIME_compare(X509_get0_notAfter(chain->server.certificate), X509_get0_notAfter(authority)) <=
	            0);
}

static void verifies_for_its_purpose_only(void **state)
{
	struct chain *chain = *state;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_add_cert(store, chain->authority.certificate);
	for (int purpose = 0; purpose < 2; purpose++) {
		X509_STORE_CTX *context = X509_STORE_CTX_new();
		X509_STORE_CTX_init(context, store, chain->server.certificate, NULL);
		X509_STORE_CTX_set_purpose(context, purpose ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
		assert_int_equal(X509_verify_cert(context), purpose ? 0 : 1);
		X509_STORE_CTX_free(context);
	}
	X509_STORE_free(store);
}

static void another_authority_is_refused(void **state)
{
	struct chain *chain = *state;
	struct err err = ERR_INIT;
	AUTO_PKI_PAIR struct pki_pair stranger = {0};
	assert_int_equal(pki_issue(&authority_request, NULL, &stranger, &err), 0);
	assert_false(pki_certificate_serves(chain->server.certificate, stranger.certificate, &server_request));
}

static void files_come_back_and_keys_are_private(void **state)
{
	struct chain *chain = *state;
	struct err err = ERR_INIT;
	char path[64];
	char file[80];
	snprintf(path, sizeof(path), "%s/server", folder);
	assert_int_equal(pki_pair_store(path, &chain->server, &err), 0);
	AUTO_PKI_PAIR struct pki_pair loaded = {0};
	assert_int_equal(pki_pair_load(path, &loaded, &err), 0);
	assert_int_equal(X509_cmp(loaded.certificate, chain->server.certificate), 0);
	struct stat status;
	snprintf(file, sizeof(file), "%s.key", path);
	assert_int_equal(stat(file, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);

	// A key of another certificate is told apart.
	AUTO_FREE char *foreign = pki_key_pem(chain->authority.key);
	assert_int_equal(file_write_atomic(file, foreign, strlen(foreign), 0600, &err), 0);
	AUTO_PKI_PAIR struct pki_pair mixed = {0};
	assert_true(pki_pair_load(path, &mixed, &err) < 0);
	assert_non_null(strstr(err.message, "does not belong to"));

	struct err missing = ERR_INIT;
	snprintf(path, sizeof(path), "%s/none", folder);
	assert_int_equal(pki_pair_load(path, &mixed, &missing), -ERR_NOT_FOUND);
}

static void subnets_are_counted(void **state)
{
	(void)state;
	static const struct {
		const char *subnet;
		unsigned number;
		const char *expected; // NULL: refused
	} cases[] = {
	        {"10.96.0.0/12", 1, "10.96.0.1"},    {"10.96.0.0/12", 10, "10.96.0.10"},
	        {"10.96.7.9/12", 1, "10.96.0.1"},    {"10.0.0.250/24", 260, "10.0.1.4"},
	        {"fd00:10::/108", 10, "fd00:10::a"}, {"10.96.0.0", 1, NULL},
	        {"10.96.0.0/33", 1, NULL},           {"nonsense/8", 1, NULL},
	};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;
		const char *address = NULL;
		int result = subnet_address(arena, cases[i].subnet, cases[i].number, &address, &err);
		assert_int_equal(result == 0, cases[i].expected != NULL);
		if (cases[i].expected)
			assert_string_equal(address, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_leaf_serves_its_names, setup, teardown),
	        cmocka_unit_test_setup_teardown(verifies_for_its_purpose_only, setup, teardown),
	        cmocka_unit_test_setup_teardown(another_authority_is_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(files_come_back_and_keys_are_private, setup, teardown),
	        cmocka_unit_test(subnets_are_counted),
	};
	if (!mkdtemp(folder))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	struct err ignored = ERR_INIT;
	(void)file_remove_tree(folder, &ignored);
	return failed;
}
