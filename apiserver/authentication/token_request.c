// SPDX-License-Identifier: Apache-2.0
// POST …/serviceaccounts/NAME/token:
//
//   decode, check the spec ─► the account, and what the token is to be bound to, read
//   consistently ─► claims ─► signed ─► the request with its status
//
// A kubelet's clients of old read their token once and never again; for them a
// token asked for 3607 seconds is made to live for a year and warns from the
// 3607th second on, as upstream's does.

#include <string.h>

#include "apiserver/authentication/service_account.h"
#include "apiserver/authentication/service_account_objects.h"
#include "apiserver/body.h"
#include "apiserver/server.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/text.h"

enum {
	TOKEN_DEFAULT_SECONDS = 3600,
	TOKEN_MIN_SECONDS = 600,
	TOKEN_EXTENDED_ASK_SECONDS = 3607,
	TOKEN_EXTENDED_SECONDS = 31536000,
};
#define TOKEN_MAX_SECONDS (INT64_C(1) << 32)

struct token_request {
	struct request *request;
	struct json *object;
	const struct json *reference; // boundObjectRef, NULL = none
	int bound;                    // BOUND_…, of the reference
	struct bound_objects objects;
};

// --- the spec ---------------------------------------------------------------------------------------

static const struct status *invalid(struct token_request *op, const char *field, const char *value, const char *why)
{
	struct arena *arena = op->request->arena;
	const char *detail = arena_printf(arena, "Invalid value: %s: %s", value, why);
	static const struct schema_resource tokens = {
	        .group = "authentication.k8s.io", .kind = "TokenRequest", .plural = "TokenRequest"};
	const struct status *status = status_new_for(arena, ERR_INVALID, &tokens, op->request->route.name,
	                                             "TokenRequest.authentication.k8s.io \"%s\" is invalid: %s: %s",
	                                             op->request->route.name, field, detail);

	return status_with_cause(arena, status, (struct status_cause){"FieldValueInvalid", detail, field});
}

static const struct status *bad(struct token_request *op, const char *message)
{
	return status_new(op->request->arena, ERR_BAD_REQUEST, "%s", message);
}

static const struct status *check_expiration(struct token_request *op, struct json *spec)
{
	int64_t seconds = TOKEN_DEFAULT_SECONDS, max_ns;
	struct arena *arena = op->request->arena;

	if (json_get_integer(spec, "expirationSeconds", &seconds)) {
		const char *value = arena_printf(arena, "%lld", (long long)seconds);

		if (seconds < TOKEN_MIN_SECONDS)
			return invalid(op, "spec.expirationSeconds", value,
			               "may not specify a duration less than 10 minutes");
		if (seconds > TOKEN_MAX_SECONDS)
			return invalid(op, "spec.expirationSeconds", value,
			               "may not specify a duration larger than 2^32 seconds");
	}
	max_ns = op->request->server->config->authentication.max_token_expiration_ns;
	if (max_ns > 0 && seconds > max_ns / NSEC_PER_SEC) {
		request_warn(op->request,
		             arena_printf(arena, "requested expiration of %lld seconds shortened to %lld seconds",
		                          (long long)seconds, (long long)(max_ns / NSEC_PER_SEC)));
		seconds = max_ns / NSEC_PER_SEC;
	}
	json_set_integer(arena, spec, "expirationSeconds", seconds);
	return NULL;
}

static const struct status *check_reference(struct token_request *op)
{
	static const struct {
		const char *kind;
		int bound;
	} kinds[] = {{"Pod", BOUND_POD}, {"Secret", BOUND_SECRET}, {"Node", BOUND_NODE}};
	const char *kind = text_or_empty(json_get_text(op->reference, "kind"));
	const char *version = text_or_empty(json_get_text(op->reference, "apiVersion"));

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].kind, kind) && !strcmp(version, "v1")) {
			op->bound = kinds[i].bound;
			op->objects.items[op->bound].namespace_name =
			        op->bound == BOUND_NODE ? "" : op->request->route.namespace_name;
			op->objects.items[op->bound].name = text_or_empty(json_get_text(op->reference, "name"));
			return NULL;
		}
	return bad(op, arena_printf(op->request->arena, "cannot bind token to object of type %s%s%s, Kind=%s",
	                            version[0] == 'v' ? "/" : "", version, "", kind));
}

static const struct status *check_names(struct token_request *op)
{
	struct arena *arena = op->request->arena;
	struct json *metadata = json_ensure_object(arena, op->object, "metadata");
	const char *name = text_or_empty(json_get_text(metadata, "name"));
	const char *ns = text_or_empty(json_get_text(metadata, "namespace"));
	const struct route *route = &op->request->route;

	if (name[0] && strcmp(name, route->name) != 0)
		return bad(op, arena_printf(arena,
		                            "metadata.name: Invalid value: \"%s\": must match the service account name "
		                            "if specified",
		                            name));
	if (ns[0] && strcmp(ns, route->namespace_name) != 0)
		return bad(op, "the namespace of the provided object does not match the namespace sent on the request");
	json_set_text(arena, metadata, "name", route->name);
	json_set_text(arena, metadata, "namespace", route->namespace_name);
	return NULL;
}

static const struct status *check(struct token_request *op)
{
	struct arena *arena = op->request->arena;
	struct json *spec = json_ensure_object(arena, op->object, "spec"), *audiences;
	const struct status *status = check_names(op);
	const char *const *own;
	size_t count;

	if (!status)
		status = check_expiration(op, spec);
	if (!status && json_is(json_get(spec, "boundObjectRef"), JSON_OBJECT)) {
		op->reference = json_get(spec, "boundObjectRef");
		status = check_reference(op);
	}
	audiences = json_ensure_array(arena, spec, "audiences");
	own = authentication_audiences(op->request->server->authentication, &count);
	for (size_t i = 0; !audiences->length && i < count; i++)
		json_append(arena, audiences, json_string(arena, own[i]));
	return status;
}

// --- the objects --------------------------------------------------------------------------------------

static const struct status *not_found(struct token_request *op, int which)
{
	return status_not_found(op->request->arena, bound_object_resource(which), op->objects.items[which].name);
}

static const struct status *check_objects(struct token_request *op)
{
	struct arena *arena = op->request->arena;
	const struct json *bound = op->reference ? op->objects.items[op->bound].tree : NULL;
	const char *uid = op->reference ? json_get_text(op->reference, "uid") : NULL;
	const char *account;

	if (op->objects.failed)
		return status_new(arena, ERR_UNAVAILABLE, "storage did not answer");
	if (!op->objects.items[BOUND_ACCOUNT].tree)
		return not_found(op, BOUND_ACCOUNT);
	if (!op->reference)
		return NULL;
	if (!bound)
		return not_found(op, op->bound);
	if (!text_is_empty(uid) && strcmp(uid, object_uid(bound)) != 0) {
		const char *kind = json_get_text(op->reference, "kind");
		struct schema_resource named = {.group = "", .plural = kind, .kind = kind};

		return status_conflict(
		        arena, memcpy(ARENA_NEW(arena, struct schema_resource), &named, sizeof(named)),
		        op->objects.items[op->bound].name,
		        arena_printf(arena,
		                     "the UID in the bound object reference (%s) does not match the UID in "
		                     "record. The object might have been deleted and then recreated",
		                     uid));
	}
	account = text_or_empty(json_text(json_path(bound, "spec", "serviceAccountName")));
	if (op->bound == BOUND_POD && strcmp(account, op->request->route.name) != 0)
		return bad(op, arena_printf(arena,
		                            "cannot bind token for serviceaccount \"%s\" to pod running with different "
		                            "serviceaccount name.",
		                            op->request->route.name));
	return NULL;
}

// --- the claims -----------------------------------------------------------------------------------------

static struct json *reference_claim(struct arena *arena, const struct json *object)
{
	struct json *claim = json_object(arena);

	json_set_text(arena, claim, "name", object_name(object));
	json_set_text(arena, claim, "uid", object_uid(object));
	return claim;
}

static bool is_for_api_server(const struct token_request *op, const struct json *audiences)
{
	const char *const *own;
	size_t count;

	own = authentication_audiences(op->request->server->authentication, &count);
	json_for_each_item (audience, audiences)
		for (size_t i = 0; i < count; i++)
			if (!strcmp(text_or_empty(json_text(audience)), own[i]))
				return true;
	return false;
}

static struct json *own_claims(struct token_request *op, int64_t warn_after)
{
	struct arena *arena = op->request->arena;
	struct json *claims = json_object(arena);
	const struct json *node = op->objects.items[BOUND_NODE].tree;

	json_set_text(arena, claims, "namespace", op->request->route.namespace_name);
	if (node)
		json_set(arena, claims, "node", reference_claim(arena, node));
	if (op->reference && op->bound == BOUND_POD)
		json_set(arena, claims, "pod", reference_claim(arena, op->objects.items[BOUND_POD].tree));
	if (op->reference && op->bound == BOUND_SECRET)
		json_set(arena, claims, "secret", reference_claim(arena, op->objects.items[BOUND_SECRET].tree));
	json_set(arena, claims, "serviceaccount", reference_claim(arena, op->objects.items[BOUND_ACCOUNT].tree));
	if (warn_after)
		json_set_integer(arena, claims, "warnafter", warn_after);
	return claims;
}

static const char *make_token(struct token_request *op, struct json *spec, int64_t now, int64_t *ret_expires)
{
	const struct server *server = op->request->server;
	const struct service_account_tokens *tokens = authentication_service_accounts(server->authentication);
	struct arena *arena = op->request->arena;
	struct json *claims = json_object(arena), *audiences = json_get(spec, "audiences");
	int64_t seconds = TOKEN_DEFAULT_SECONDS, warn_after = 0;
	char id[37];

	json_get_integer(spec, "expirationSeconds", &seconds);
	if (server->config->authentication.extend_expiration && seconds == TOKEN_EXTENDED_ASK_SECONDS &&
	    is_for_api_server(op, audiences)) {
		warn_after = now + seconds;
		seconds = TOKEN_EXTENDED_SECONDS;
	}
	uuid_v4(id);
	json_set(arena, claims, "aud", audiences);
	json_set_integer(arena, claims, "exp", now + seconds);
	json_set_integer(arena, claims, "iat", now);
	json_set_text(arena, claims, "iss", service_account_tokens_issuer(tokens));
	json_set_text(arena, claims, "jti", id);
	json_set(arena, claims, "kubernetes.io", own_claims(op, warn_after));
	json_set_integer(arena, claims, "nbf", now);
	json_set_text(arena, claims, "sub",
	              arena_printf(arena, SERVICE_ACCOUNT_USER_PREFIX "%s:%s", op->request->route.namespace_name,
	                           op->request->route.name));
	*ret_expires = now + seconds;
	return jwt_sign(arena, claims, service_account_tokens_signing_key(tokens));
}

static void finish(struct token_request *op)
{
	struct arena *arena = op->request->arena;
	struct json *status = json_object(arena), *metadata = json_get(op->object, "metadata");
	int64_t now = loop_realtime_ns(op->request->loop) / NSEC_PER_SEC, expires = 0;
	const char *token = make_token(op, json_get(op->object, "spec"), now, &expires);
	char text[API_TIME_BYTES];

	if (!token) {
		request_finish_status(op->request, status_internal(arena, "failed to generate token"));
		return;
	}
	api_time_format(now * NSEC_PER_SEC, text);
	json_set_text(arena, metadata, "creationTimestamp", text);
	json_set_text(arena, status, "token", token);
	api_time_format(expires * NSEC_PER_SEC, text);
	json_set_text(arena, status, "expirationTimestamp", text);
	json_set(arena, op->object, "status", status);
	request_finish_tree(op->request, 201, op->object);
}

// --- the steps --------------------------------------------------------------------------------------------

static void on_node(void *context)
{
	struct token_request *op = context;

	finish(op);
}

static void on_objects(void *context)
{
	struct token_request *op = context;
	const struct status *failure = check_objects(op);
	const char *node;

	if (failure) {
		request_finish_status(op->request, failure);
		return;
	}
	// A pod's token names the pod's node.
	node = op->reference && op->bound == BOUND_POD
	               ? json_text(json_path(op->objects.items[BOUND_POD].tree, "spec", "nodeName"))
	               : NULL;
	if (text_is_empty(node)) {
		finish(op);
		return;
	}
	op->objects.items[BOUND_NODE].namespace_name = "";
	op->objects.items[BOUND_NODE].name = node;
	op->objects.next = 0;
	op->objects.done = on_node;
	bound_objects_ask(&op->objects);
}

void service_account_serve_token(struct request *request)
{
	struct token_request *op = ARENA_NEW(request->arena, struct token_request);
	struct service_account_tokens *tokens = authentication_service_accounts(request->server->authentication);
	struct body_kind kind = body_kind_of_route(&request->route);
	const struct status *failure;

	if (!tokens || !service_account_tokens_signing_key(tokens) || !service_account_tokens_issuer(tokens)[0]) {
		request_finish_status(request, status_no_such_path(request->arena));
		return;
	}
	op->request = request;
	op->objects = (struct bound_objects){.storage = request->server->storage,
	                                     .loop = request->loop,
	                                     .arena = request->arena,
	                                     .done = on_objects,
	                                     .context = op};
	op->objects.items[BOUND_ACCOUNT].namespace_name = request->route.namespace_name;
	op->objects.items[BOUND_ACCOUNT].name = request->route.name;
	failure = body_decode_object(request, &kind, &op->object);
	if (!failure)
		failure = check(op);
	if (failure)
		request_finish_status(request, failure);
	else
		bound_objects_ask(&op->objects);
}
