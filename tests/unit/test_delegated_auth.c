// SPDX-License-Identifier: Apache-2.0
#include "common/client/delegated_auth.h"
#include "tests/unit/api_fixture.h"

// The API server: one token is good, and its user and certificate "alice" may get nodes/metrics.
struct server {
	struct api_fixture api;
	unsigned token_reviews, access_reviews;
	bool is_down;
	char *last_access;
};

static void handle(void *context, struct http_exchange *exchange)
{
	struct server *server = context;
	const struct http_request *request = http_exchange_request(exchange);
	if (server->is_down) {
		api_fixture_answer_status(exchange, 503, "ServiceUnavailable", "down");
	} else if (strstr(request->path, "/tokenreviews")) {
		server->token_reviews++;
		api_fixture_answer(exchange, 201,
		                   strstr(request->body, "\"good\"")
		                           ? "{\"kind\":\"TokenReview\",\"status\":{\"authenticated\":true,\"user\":{"
		                             "\"username\":\"bob\",\"uid\":\"7\",\"groups\":[\"readers\"],\"extra\":{"
		                             "\"k\":[\"v\"]}}}}"
		                           : "{\"kind\":\"TokenReview\",\"status\":{\"error\":\"no\"}}");
	} else {
		server->access_reviews++;
		free(server->last_access);
		server->last_access = xstrndup(request->body, request->body_length);
		bool may = strstr(request->body, "\"metrics\"") && !strstr(request->body, "system:anonymous");
		api_fixture_answer(exchange, 201,
		                   may ? "{\"kind\":\"SubjectAccessReview\",\"status\":{\"allowed\":true}}"
		                       : "{\"kind\":\"SubjectAccessReview\",\"status\":{\"allowed\":false}}");
	}
}

static int setup(void **state)
{
	struct server *server = NEW(struct server);
	api_fixture_open(&server->api, handle, server);
	*state = server;
	return 0;
}

static int teardown(void **state)
{
	struct server *server = *state;
	api_fixture_close(&server->api);
	free(server->last_access);
	free(server);
	return 0;
}

static struct delegated_auth *make(struct server *server, struct delegated_auth_config config)
{
	config.client = server->api.client;
	return delegated_auth_new(server->api.loop, &config);
}

struct outcome {
	unsigned count;
	enum delegated_verdict verdict;
	char user[64];
};

static void on_checked(void *context, enum delegated_verdict verdict, const char *user, const char *message)
{
	struct outcome *outcome = context;
	(void)message;
	outcome->count++;
	outcome->verdict = verdict;
	snprintf(outcome->user, sizeof(outcome->user), "%s", user);
}

static const struct http_request nobody = {.method = "GET", .path = "/metrics"};
static const char *const staff[] = {"staff"};
static const struct http_request alice = {
        .method = "GET",
        .path = "/metrics",
        .identity = {.common_name = "alice", .organizations = staff, .organization_count = 1},
};
static const struct http_header good_token[] = {{"authorization", "Bearer good"}};
static const struct http_request bob = {.headers = good_token, .header_count = 1};
static const struct http_header bad_token[] = {{"authorization", "bearer bad"}};
static const struct http_request mallory = {.headers = bad_token, .header_count = 1};

static const struct delegated_attributes metrics = {
        .verb = "get", .version = "v1", .resource = "nodes", .subresource = "metrics", .name = "node-1"};
static const struct delegated_attributes proxy = {
        .verb = "get", .version = "v1", .resource = "nodes", .subresource = "proxy", .name = "node-1"};

// The verdict, whether it was known at once or not; *asked says which.
static struct outcome check(struct server *server, struct delegated_auth *auth, const struct http_request *request,
                            const struct delegated_attributes *attributes, size_t count, bool *asked)
{
	struct outcome outcome = {0};
	struct delegated_check *pending;
	const char *user = "";
	enum delegated_verdict verdict =
	        delegated_auth_check(auth, request, attributes, count, on_checked, &outcome, &pending, &user);
	*asked = verdict == DELEGATED_PENDING;
	assert_int_equal(outcome.count, 0);
	if (*asked) {
		api_fixture_until(&server->api, outcome.count > 0);
		return outcome;
	}
	outcome.verdict = verdict;
	snprintf(outcome.user, sizeof(outcome.user), "%s", user);
	return outcome;
}

static void test_certificates_are_asked_for_once(void **state)
{
	struct server *server = *state;
	struct delegated_auth *auth = make(server, (struct delegated_auth_config){.reviews_tokens = true});
	bool asked;
	struct outcome outcome = check(server, auth, &alice, &metrics, 1, &asked);
	assert_true(asked);
	assert_int_equal(outcome.verdict, DELEGATED_ALLOWED);
	assert_string_equal(outcome.user, "alice");
	assert_string_equal(server->last_access,
	                    "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"spec\":{"
	                    "\"user\":\"alice\",\"groups\":[\"staff\",\"system:authenticated\"],"
	                    "\"resourceAttributes\":{\"verb\":\"get\",\"version\":\"v1\",\"resource\":\"nodes\","
	                    "\"subresource\":\"metrics\",\"name\":\"node-1\"}}}");
	outcome = check(server, auth, &alice, &metrics, 1, &asked);
	assert_false(asked);
	assert_int_equal(outcome.verdict, DELEGATED_ALLOWED);
	assert_int_equal(server->access_reviews, 1);
	delegated_auth_free(auth);
}

static void test_any_of_several_rights_will_do(void **state)
{
	struct server *server = *state;
	struct delegated_auth *auth = make(server, (struct delegated_auth_config){0});
	const struct delegated_attributes both[] = {proxy, metrics};
	bool asked;
	assert_int_equal(check(server, auth, &alice, both, 2, &asked).verdict, DELEGATED_ALLOWED);
	assert_int_equal(server->access_reviews, 2);
	assert_int_equal(check(server, auth, &alice, &proxy, 1, &asked).verdict, DELEGATED_FORBIDDEN);
	assert_false(asked); // a denial is remembered, too
	delegated_auth_free(auth);
}

static void test_tokens(void **state)
{
	struct server *server = *state;
	struct delegated_auth *auth = make(server, (struct delegated_auth_config){.reviews_tokens = true});
	bool asked;
	struct outcome outcome = check(server, auth, &bob, &metrics, 1, &asked);
	assert_int_equal(outcome.verdict, DELEGATED_ALLOWED);
	assert_string_equal(outcome.user, "bob");
	assert_non_null(strstr(server->last_access, "\"user\":\"bob\",\"uid\":\"7\",\"groups\":[\"readers\"],"
	                                            "\"extra\":{\"k\":[\"v\"]}"));
	assert_null(strstr(server->last_access, "good"));
	assert_int_equal(check(server, auth, &bob, &metrics, 1, &asked).verdict, DELEGATED_ALLOWED);
	assert_false(asked);
	assert_int_equal(check(server, auth, &mallory, &metrics, 1, &asked).verdict, DELEGATED_UNAUTHENTICATED);
	assert_int_equal(check(server, auth, &mallory, &metrics, 1, &asked).verdict, DELEGATED_UNAUTHENTICATED);
	assert_false(asked);
	assert_int_equal(server->token_reviews, 2);
	delegated_auth_free(auth);
	auth = make(server, (struct delegated_auth_config){.anonymous = true}); // tokens count for nothing
	assert_int_equal(check(server, auth, &bob, &metrics, 1, &asked).verdict, DELEGATED_UNAUTHENTICATED);
	delegated_auth_free(auth);
}

static void test_nobody(void **state)
{
	struct server *server = *state;
	bool asked;
	struct delegated_auth *auth = make(server, (struct delegated_auth_config){0});
	assert_int_equal(check(server, auth, &nobody, &metrics, 1, &asked).verdict, DELEGATED_UNAUTHENTICATED);
	delegated_auth_free(auth);
	auth = make(server, (struct delegated_auth_config){.anonymous = true});
	struct outcome outcome = check(server, auth, &nobody, &metrics, 1, &asked);
	assert_int_equal(outcome.verdict, DELEGATED_FORBIDDEN);
	assert_string_equal(outcome.user, "system:anonymous");
	delegated_auth_free(auth);
	auth = make(server, (struct delegated_auth_config){.allows_all = true});
	assert_int_equal(check(server, auth, &alice, &proxy, 1, &asked).verdict, DELEGATED_ALLOWED);
	assert_false(asked);
	delegated_auth_free(auth);
}

static void test_failures_are_not_remembered(void **state)
{
	struct server *server = *state;
	struct delegated_auth *auth = make(server, (struct delegated_auth_config){.reviews_tokens = true});
	bool asked;
	server->is_down = true;
	assert_int_equal(check(server, auth, &alice, &metrics, 1, &asked).verdict, DELEGATED_FAILED);
	assert_int_equal(check(server, auth, &bob, &metrics, 1, &asked).verdict, DELEGATED_FAILED);
	server->is_down = false;
	assert_int_equal(check(server, auth, &alice, &metrics, 1, &asked).verdict, DELEGATED_ALLOWED);
	struct outcome outcome = {0};
	struct delegated_check *pending;
	const char *user;
	assert_int_equal(delegated_auth_check(auth, &bob, &metrics, 1, on_checked, &outcome, &pending, &user),
	                 DELEGATED_PENDING);
	delegated_auth_free(auth); // with a question under way
	assert_int_equal(outcome.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_certificates_are_asked_for_once),
	        TEST(test_any_of_several_rights_will_do),
	        TEST(test_tokens),
	        TEST(test_nobody),
	        TEST(test_failures_are_not_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
