// SPDX-License-Identifier: Apache-2.0
// A check goes from question to question until one is open:
//
//   identity: certificate │ token ─▶ cache or TokenReview │ nothing ─▶ anonymous or 401
//   for each attribute:   cache or SubjectAccessReview ─▶ allowed: done; denied: next
//
// When every answer is in the caches no call is made and the verdict is returned at
// once. What is kept: an identity by the digest of its token, a decision by the text of
// its review. Failures to ask are not kept. Each cache is emptied when it is full
// (MAX_ENTRIES): it is bounded, and whoever floods it pays with requests.
//
// Upstream's counterpart: apiserver's delegating authenticator and authorizer.

#include "common/client/delegated_auth.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"

#define DEFAULT_TOKEN_TTL_NS (120 * NSEC_PER_SEC)
#define DEFAULT_ALLOWED_TTL_NS (300 * NSEC_PER_SEC)
#define DEFAULT_DENIED_TTL_NS (30 * NSEC_PER_SEC)
#define REVIEW_TIMEOUT_NS (10 * NSEC_PER_SEC)

enum { MAX_ENTRIES = 4096, MAX_BODY_BYTES = 256 << 10, MAX_TOKEN_BYTES = 64 << 10 };

// The answer to a TokenReview: the user as the review's spec wants it, or nobody.
struct identity {
	int64_t until_ns;
	char *name; // NULL: the token is no good
	char *spec; // {"user":…,"groups":[…]} as text
};

struct decision {
	int64_t until_ns;
	bool allowed;
};

struct delegated_auth {
	struct loop *loop;
	struct delegated_auth_config config;
	struct hashmap *identities; // digest of the token → struct identity
	struct hashmap *decisions;  // text of the review → struct decision
	struct list checks;
	char *last_user;
};

struct delegated_check {
	struct delegated_auth *auth;
	struct list node;
	struct arena *arena;
	char *token;       // NULL: none
	char *token_key;   // its digest
	struct json *user; // members of the spec; NULL: not known yet
	const char *user_name;
	struct json **reviews; // the rest of each spec
	size_t review_count;
	size_t next;      // the review that is to be decided
	char *review_key; // the text of the one that is being asked for
	struct rest_call *call;
	char *message;
	delegated_done_fn *done;
	void *context;
};

static void identity_free(void *value)
{
	struct identity *identity = value;
	free(identity->name);
	free(identity->spec);
	free(identity);
}

struct delegated_auth *delegated_auth_new(struct loop *loop, const struct delegated_auth_config *config)
{
	struct delegated_auth *auth = NEW(struct delegated_auth);
	*auth = (struct delegated_auth){
	        .loop = loop,
	        .config = *config,
	        .identities = hashmap_new(identity_free),
	        .decisions = hashmap_new(free),
	};
	if (!auth->config.token_ttl_ns)
		auth->config.token_ttl_ns = DEFAULT_TOKEN_TTL_NS;
	if (!auth->config.allowed_ttl_ns)
		auth->config.allowed_ttl_ns = DEFAULT_ALLOWED_TTL_NS;
	if (!auth->config.denied_ttl_ns)
		auth->config.denied_ttl_ns = DEFAULT_DENIED_TTL_NS;
	list_init(&auth->checks);
	return auth;
}

static void check_free(struct delegated_check *check)
{
	if (check->call)
		rest_cancel(check->call);
	list_remove(&check->node);
	free(check->message);
	arena_free(check->arena);
	free(check);
}

void delegated_check_cancel(struct delegated_check *check)
{
	if (check)
		check_free(check);
}

struct delegated_auth *delegated_auth_free(struct delegated_auth *auth)
{
	if (!auth)
		return NULL;
	struct delegated_check *check;
	list_for_each (check, &auth->checks, node)
		check_free(check);
	hashmap_free(auth->identities);
	hashmap_free(auth->decisions);
	free(auth->last_user);
	free(auth);
	return NULL;
}

static int64_t now_ns(const struct delegated_auth *auth)
{
	return loop_now_ns(auth->loop);
}

static void keep(struct hashmap *map, const char *key, void *value)
{
	if (hashmap_count(map) >= MAX_ENTRIES)
		hashmap_clear(map);
	hashmap_put(map, key, value);
}

static char *json_text_of(const struct json *value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_BODY_BYTES);
	json_write(&text, value);
	return strbuf_take(&text, NULL);
}

// --- identity ------------------------------------------------------------------------

static void set_user(struct delegated_check *check, struct json *user)
{
	check->user = user;
	check->user_name = json_get_text(user, "user");
}

static struct json *make_user(struct arena *arena, const char *name, const char *const *groups, size_t group_count,
                              const char *last_group)
{
	struct json *user = json_object(arena);
	json_set_text(arena, user, "user", name);
	struct json *list = json_ensure_array(arena, user, "groups");
	for (size_t index = 0; index < group_count; index++)
		json_append(arena, list, json_string(arena, groups[index]));
	json_append(arena, list, json_string(arena, last_group));
	return user;
}

static const char *bearer_token(const struct http_request *request)
{
	const char *header = http_request_header(request, "authorization");
	if (!header || strncasecmp(header, "Bearer ", 7))
		return NULL;
	header += 7;
	header += strspn(header, " ");
	return *header ? header : NULL;
}

static char *digest_of(struct arena *arena, const char *token)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	if (!EVP_Digest(token, strlen(token), digest, &length, EVP_sha256(), NULL))
		abort();
	char *text = ARENA_ARRAY(arena, char, 2 * length + 1);
	hex_encode(text, digest, length);
	return text;
}

// True when the cache knows; then either the user is set or the token is no good.
static bool look_up_token(struct delegated_check *check, bool *ret_good)
{
	struct delegated_auth *auth = check->auth;
	const struct identity *identity = hashmap_get(auth->identities, check->token_key);
	struct json *user;
	if (!identity || identity->until_ns <= now_ns(auth))
		return false;
	*ret_good = identity->name != NULL;
	if (*ret_good && json_parse(check->arena, arena_strdup(check->arena, identity->spec), strlen(identity->spec),
	                            NULL, &user, NULL) == 0)
		set_user(check, user);
	return true;
}

// The review's answer as the members that an access review wants.
static struct json *reviewed_user(struct arena *arena, const struct json *status)
{
	const struct json *from = json_get(status, "user");
	const char *name = json_get_text(from, "username");
	if (!json_get_bool(status, "authenticated", false) || !name)
		return NULL;
	struct json *user = json_object(arena);
	json_set_text(arena, user, "user", name);
	static const char *const members[] = {"uid", "groups", "extra"};
	for (size_t index = 0; index < ARRAY_SIZE(members); index++)
		if (json_get(from, members[index]))
			json_set(arena, user, members[index], json_clone(arena, json_get(from, members[index])));
	return user;
}

// --- questions -----------------------------------------------------------------------

static enum delegated_verdict advance(struct delegated_check *check);

static void finish(struct delegated_check *check, enum delegated_verdict verdict)
{
	check->done(check->context, verdict, check->user_name ? check->user_name : "",
	            check->message ? check->message : "");
	check_free(check);
}

static void go_on(struct delegated_check *check)
{
	enum delegated_verdict verdict = advance(check);
	if (verdict != DELEGATED_PENDING)
		finish(check, verdict);
}

static void ask(struct delegated_check *check, const char *group, const char *plural, const char *kind,
                struct json *spec, void (*answered)(void *context, const struct rest_response *response))
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *review = json_object(arena);
	json_set_text(arena, review, "kind", kind);
	json_set_text(arena, review, "apiVersion", arena_printf(arena, "%s/v1", group));
	json_set(arena, review, "spec", spec);
	AUTO_FREE char *text = json_text_of(review);
	const struct rest_request request = {
	        .method = "POST",
	        .resource = schema_find_resource(group, "v1", plural),
	        .body = text,
	        .body_length = strlen(text),
	        .timeout_ns = REVIEW_TIMEOUT_NS,
	};
	check->call = rest_start(check->auth->config.client, &request, answered, check);
}

static void on_token_answer(void *context, const struct rest_response *response)
{
	struct delegated_check *check = context;
	check->call = NULL;
	if (response->err.code != ERR_NONE) {
		check->message = xstrdup(response->err.message);
		finish(check, DELEGATED_FAILED);
		return;
	}
	struct json *user = reviewed_user(check->arena, json_get(response->object, "status"));
	struct identity *identity = NEW(struct identity);
	identity->until_ns = now_ns(check->auth) + check->auth->config.token_ttl_ns;
	if (user) {
		identity->name = xstrdup(json_get_text(user, "user"));
		identity->spec = json_text_of(user);
	}
	keep(check->auth->identities, check->token_key, identity);
	go_on(check);
}

static void on_access_answer(void *context, const struct rest_response *response)
{
	struct delegated_check *check = context;
	const struct delegated_auth_config *config = &check->auth->config;
	check->call = NULL;
	if (response->err.code != ERR_NONE) {
		check->message = xstrdup(response->err.message);
		finish(check, DELEGATED_FAILED);
		return;
	}
	struct decision *decision = NEW(struct decision);
	decision->allowed = json_get_bool(json_get(response->object, "status"), "allowed", false);
	decision->until_ns = now_ns(check->auth) + (decision->allowed ? config->allowed_ttl_ns : config->denied_ttl_ns);
	keep(check->auth->decisions, check->review_key, decision);
	go_on(check);
}

static enum delegated_verdict identify(struct delegated_check *check)
{
	bool good = false;
	if (look_up_token(check, &good))
		return good ? DELEGATED_ALLOWED : DELEGATED_UNAUTHENTICATED;
	if (!check->auth->config.client) {
		check->message = xstrdup("no API server to review the token");
		return DELEGATED_FAILED;
	}
	struct json *spec = json_object(check->arena);
	json_set_text(check->arena, spec, "token", check->token);
	ask(check, "authentication.k8s.io", "tokenreviews", "TokenReview", spec, on_token_answer);
	return DELEGATED_PENDING;
}

static enum delegated_verdict advance(struct delegated_check *check)
{
	struct delegated_auth *auth = check->auth;
	if (!check->user) {
		enum delegated_verdict verdict = identify(check);
		if (verdict != DELEGATED_ALLOWED)
			return verdict;
	}
	if (auth->config.allows_all)
		return DELEGATED_ALLOWED;
	for (; check->next < check->review_count; check->next++) {
		struct json *spec = json_clone(check->arena, check->user);
		json_for_each_member (member, check->reviews[check->next])
			json_set(check->arena, spec, member->key, member->value);
		AUTO_FREE char *text = json_text_of(spec);
		const struct decision *decision = hashmap_get(auth->decisions, text);
		if (decision && decision->until_ns > now_ns(auth)) {
			if (decision->allowed)
				return DELEGATED_ALLOWED;
			continue;
		}
		if (!auth->config.client) {
			check->message = xstrdup("no API server to review the access");
			return DELEGATED_FAILED;
		}
		check->review_key = arena_strdup(check->arena, text);
		ask(check, "authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", spec,
		    on_access_answer);
		return DELEGATED_PENDING;
	}
	return DELEGATED_FORBIDDEN;
}

// --- the check -----------------------------------------------------------------------

static void set_if(struct arena *arena, struct json *object, const char *key, const char *value)
{
	if (value && *value)
		json_set_text(arena, object, key, value);
}

static struct json *make_review(struct arena *arena, const struct delegated_attributes *from)
{
	struct json *spec = json_object(arena);
	struct json *attributes =
	        json_ensure_object(arena, spec, from->path ? "nonResourceAttributes" : "resourceAttributes");
	set_if(arena, attributes, "verb", from->verb);
	set_if(arena, attributes, "path", from->path);
	if (from->path)
		return spec;
	set_if(arena, attributes, "group", from->group);
	set_if(arena, attributes, "version", from->version);
	set_if(arena, attributes, "resource", from->resource);
	set_if(arena, attributes, "subresource", from->subresource);
	set_if(arena, attributes, "namespace", from->namespace_name);
	set_if(arena, attributes, "name", from->name);
	return spec;
}

// False: nobody known.
static bool read_identity(struct delegated_check *check, const struct http_request *request)
{
	const struct delegated_auth_config *config = &check->auth->config;
	const char *token = bearer_token(request);
	if (request->identity.common_name) {
		set_user(check, make_user(check->arena, request->identity.common_name, request->identity.organizations,
		                          request->identity.organization_count, "system:authenticated"));
		return true;
	}
	if (token && config->reviews_tokens && strlen(token) <= MAX_TOKEN_BYTES) {
		check->token = arena_strdup(check->arena, token);
		check->token_key = digest_of(check->arena, token);
		return true;
	}
	if (token || !config->anonymous)
		return false;
	set_user(check, make_user(check->arena, "system:anonymous", NULL, 0, "system:unauthenticated"));
	return true;
}

enum delegated_verdict delegated_auth_check(struct delegated_auth *auth, const struct http_request *request,
                                            const struct delegated_attributes *attributes, size_t count,
                                            delegated_done_fn *done, void *context, struct delegated_check **ret_check,
                                            const char **ret_user)
{
	struct delegated_check *check = NEW(struct delegated_check);
	*check = (struct delegated_check){.auth = auth, .arena = arena_new(0), .done = done, .context = context};
	list_append(&auth->checks, &check->node);
	enum delegated_verdict verdict = DELEGATED_UNAUTHENTICATED;
	if (read_identity(check, request)) {
		check->reviews = ARENA_ARRAY(check->arena, struct json *, count + 1);
		check->review_count = count;
		for (size_t index = 0; index < count; index++)
			check->reviews[index] = make_review(check->arena, &attributes[index]);
		verdict = advance(check);
	}
	if (verdict == DELEGATED_PENDING) {
		*ret_check = check;
		return verdict;
	}
	free(auth->last_user);
	auth->last_user = xstrdup(check->user_name ? check->user_name : "");
	*ret_user = auth->last_user;
	check_free(check);
	return verdict;
}
