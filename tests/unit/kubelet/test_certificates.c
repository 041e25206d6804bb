// SPDX-License-Identifier: Apache-2.0
#include "common/base/encode.h"
#include "common/base/file.h"
#include "kubelet/certificates/client_certificate.h"
#include "tests/unit/api_fixture.h"

// The API server keeps one request and answers as it is told to.
struct server {
	struct api_fixture api;
	char folder[64];
	unsigned created, polled;
	char *request; // PEM
	char *body;
	bool approves, denies;
	long valid_s;
	unsigned renewed;
};

// A certificate for the request, by an authority that is made for it.
static char *sign(const struct server *server)
{
	BIO *text = BIO_new_mem_buf(server->request, -1);
	X509_REQ *request = PEM_read_bio_X509_REQ(text, NULL, NULL, NULL);
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);
	EVP_PKEY *authority = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	assert_int_equal(X509_REQ_verify(request, key), 1);
	X509_set_subject_name(certificate, X509_REQ_get_subject_name(request));
	X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "CN", MBSTRING_UTF8, (const uint8_t *)"ca", -1,
	                           -1, 0);
	X509_set_pubkey(certificate, key);
	// By the fixture's clock.
	ASN1_TIME_set(X509_getm_notBefore(certificate), 1700000000 - 10);
	ASN1_TIME_set(X509_getm_notAfter(certificate), 1700000000 + server->valid_s);
	assert_true(X509_sign(certificate, authority, EVP_sha256()) > 0);
	BIO *out = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(out, certificate);
	char *data;
	long length = BIO_get_mem_data(out, &data);
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(1 << 20);
	base64_encode(&encoded, data, (size_t)length);
	BIO_free(out);
	BIO_free(text);
	X509_free(certificate);
	X509_REQ_free(request);
	EVP_PKEY_free(authority);
	return strbuf_take(&encoded, NULL);
}

static void note_request(struct server *server, const struct http_request *request)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *object;
	uint8_t *data;
	size_t length;
	free(server->body);
	server->body = xstrndup(request->body, request->body_length);
	assert_int_equal(json_parse(arena, server->body, strlen(server->body), NULL, &object, NULL), 0);
	const char *encoded = json_get_text(json_get(object, "spec"), "request");
	assert_true(base64_decode(arena, encoded, strlen(encoded), &data, &length));
	free(server->request);
	server->request = xstrndup((const char *)data, length);
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct server *server = context;
	const struct http_request *request = http_exchange_request(exchange);
	if (!strcmp(request->method, "POST")) {
		server->created++;
		note_request(server, request);
		api_fixture_answer(exchange, 201,
		                   "{\"kind\":\"CertificateSigningRequest\",\"metadata\":{\"name\":\"csr-1\"}}");
		return;
	}
	server->polled++;
	assert_string_equal(request->path, "/apis/certificates.k8s.io/v1/certificatesigningrequests/csr-1");
	AUTO_FREE char *certificate = server->approves ? sign(server) : NULL;
	AUTO_FREE char *answer =
	        server->denies ? xstrdup("{\"status\":{\"conditions\":[{\"type\":\"Denied\",\"message\":\"no\"}]}}")
	        : certificate  ? xasprintf("{\"status\":{\"certificate\":\"%s\"}}", certificate)
	                       : xstrdup("{\"status\":{}}");
	api_fixture_answer(exchange, 200, answer);
}

static int setup(void **state)
{
	struct server *server = NEW(struct server);
	api_fixture_open(&server->api, handle, server);
	strcpy(server->folder, "/tmp/test_certificates.XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	server->valid_s = 1000;
	*state = server;
	return 0;
}

static int teardown(void **state)
{
	struct server *server = *state;
	struct err err = ERR_INIT;
	api_fixture_close(&server->api);
	assert_int_equal(file_remove_tree(server->folder, &err), 0);
	free(server->request);
	free(server->body);
	free(server);
	return 0;
}

static void on_renewed(void *context)
{
	((struct server *)context)->renewed++;
}

static struct certificate_manager *start(struct server *server)
{
	static const char *const usages[] = {"digital signature", "client auth", NULL};
	static const char *const names[] = {"node-1", NULL};
	static const char *const addresses[] = {"192.168.0.7", NULL};
	const struct certificate_manager_config config = {
	        .client = server->api.client,
	        .signer_name = "kubernetes.io/kube-apiserver-client-kubelet",
	        .subject = {"system:node:node-1", "system:nodes", names, addresses},
	        .usages = usages,
	        .directory = server->folder,
	        .prefix = "kubelet-client",
	        .on_renewed = on_renewed,
	        .context = server,
	};
	return certificate_manager_new(server->api.loop, &config);
}

static void read_current(const struct server *server, struct certificate_validity *validity)
{
	AUTO_FREE char *path = certificate_current_path(server->folder, "kubelet-client");
	AUTO_STRBUF struct strbuf pem = STRBUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	assert_int_equal(file_read(path, &pem, &err), 0);
	assert_int_equal(certificate_pair_check(pem.data, pem.length, validity, &err), 0);
}

static void test_asks_waits_and_stores(void **state)
{
	struct server *server = *state;
	struct certificate_validity validity;
	struct certificate_manager *manager = start(server);
	api_fixture_until(&server->api, server->polled >= 3);
	assert_int_equal(server->created, 1);
	assert_int_equal(server->renewed, 0);
	assert_non_null(strstr(server->body,
	                       "\"signerName\":\"kubernetes.io/kube-apiserver-client-kubelet\",\"usages\":["
	                       "\"digital signature\",\"client auth\"]"));
	server->approves = true;
	api_fixture_until(&server->api, server->renewed == 1);
	read_current(server, &validity);
	assert_int_equal(validity.not_after_ns, 1700001000 * NSEC_PER_SEC);
	assert_false(validity.self_signed);
	certificate_manager_free(manager);
	// A good one is left alone by the next kubelet.
	manager = start(server);
	for (int turn = 0; turn < 20; turn++)
		api_fixture_step(&server->api, NSEC_PER_SEC);
	assert_int_equal(server->created, 1);
	certificate_manager_free(manager);
}

static void test_rotates_in_time(void **state)
{
	struct server *server = *state;
	struct certificate_validity validity;
	server->approves = true;
	struct certificate_manager *manager = start(server);
	api_fixture_until(&server->api, server->renewed == 1);
	server->valid_s = 5000;
	for (int turn = 0; turn < 69; turn++) // a request's own time limits are shorter than such steps
		api_fixture_step(&server->api, 10 * NSEC_PER_SEC);
	for (int turn = 0; turn < 10000 && server->renewed == 1; turn++)
		api_fixture_step(&server->api, 100 * NSEC_PER_MSEC);
	int64_t age_s = loop_realtime_ns(server->api.loop) / NSEC_PER_SEC - 1700000000;
	assert_in_range(age_s, 690, 950); // between 70 and 90 % of 1010 s
	read_current(server, &validity);
	assert_int_equal(validity.not_after_ns, 1700005000 * NSEC_PER_SEC);
	certificate_manager_free(manager);
}

static void test_a_denial_is_not_the_end(void **state)
{
	struct server *server = *state;
	server->denies = true;
	struct certificate_manager *manager = start(server);
	api_fixture_until(&server->api, server->polled == 1);
	server->denies = false;
	server->approves = true;
	api_fixture_until(&server->api, server->renewed == 1);
	assert_int_equal(server->created, 2); // with a key of its own
	certificate_manager_free(manager);
}

static void test_the_request_names_the_node(void **state)
{
	struct server *server = *state;
	struct certificate_manager *manager = start(server);
	api_fixture_until(&server->api, server->created == 1);
	certificate_manager_free(manager);
	BIO *text = BIO_new_mem_buf(server->request, -1);
	X509_REQ *request = PEM_read_bio_X509_REQ(text, NULL, NULL, NULL);
	char subject[200];
	X509_NAME_oneline(X509_REQ_get_subject_name(request), subject, sizeof(subject));
	assert_string_equal(subject, "/O=system:nodes/CN=system:node:node-1");
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 2);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(request);
	BIO_free(text);
}

static void test_adopts_the_kubeconfigs(void **state)
{
	struct server *server = *state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct certificate_validity validity;
	server->approves = true;
	struct certificate_manager *manager = start(server);
	api_fixture_until(&server->api, server->renewed == 1);
	certificate_manager_free(manager);
	struct client_config config = {.bearer_token = "t"};
	assert_int_equal(client_certificate_adopt(arena, server->folder, &config, &err), 0);
	assert_null(config.certificate_file); // it has none to rotate
	read_current(server, &validity);
	AUTO_FREE char *current = certificate_current_path(server->folder, "kubelet-client");
	config = (struct client_config){.certificate_file = current, .private_key_file = current};
	AUTO_FREE char *other = xasprintf("%s/other", server->folder);
	assert_int_equal(client_certificate_adopt(arena, other, &config, &err), 0);
	assert_non_null(strstr(config.certificate_file, "/other/kubelet-client-current.pem"));
	assert_string_equal(config.certificate_file, config.private_key_file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_asks_waits_and_stores),   TEST(test_rotates_in_time),
	        TEST(test_a_denial_is_not_the_end), TEST(test_the_request_names_the_node),
	        TEST(test_adopts_the_kubeconfigs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
