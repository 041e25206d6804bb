// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authentication/token_review.h"

#include <string.h>

#include "apiserver/authentication/authentication.h"
#include "apiserver/body.h"
#include "apiserver/server.h"
#include "common/api/object.h"
#include "common/base/text.h"

struct token_review {
	struct request *request;
	struct json *review;
	struct token_ask ask;
};

static struct json *texts(struct arena *arena, const char *const *items, size_t count)
{
	struct json *array = json_array(arena);

	for (size_t i = 0; i < count; i++)
		json_append(arena, array, json_string(arena, items[i]));
	return array;
}

static void on_token(struct token_ask *ask)
{
	struct token_review *op = container_of(ask, struct token_review, ask);
	struct arena *arena = op->request->arena;
	struct json *status = json_object(arena);

	if (ask->authenticated) {
		if (!user_is_in(&ask->user, GROUP_UNAUTHENTICATED))
			user_add_group(arena, &ask->user, GROUP_AUTHENTICATED);
		json_set_bool(arena, status, "authenticated", true);
		json_set(arena, status, "user", user_to_json(arena, &ask->user));
		if (ask->token_audiences && ask->token_audience_count)
			json_set(arena, status, "audiences",
			         texts(arena, ask->token_audiences, ask->token_audience_count));
	} else {
		json_set(arena, status, "user", json_object(arena));
		json_set_text(arena, status, "error",
		              ask->errors ? arena_printf(arena, "[invalid bearer token, %s]", ask->errors)
		                          : "invalid bearer token");
	}
	json_set(arena, op->review, "status", status);
	request_finish_tree(op->request, 201, op->review);
}

static void read_audiences(struct token_review *op, const struct json *spec)
{
	const struct json *list = json_get(spec, "audiences");
	const char **audiences;

	if (!json_is(list, JSON_ARRAY) || !list->length)
		return;
	audiences = ARENA_ARRAY(op->request->arena, const char *, list->length);
	json_for_each_item (item, list)
		if (json_text(item))
			audiences[op->ask.audience_count++] = json_text(item);
	op->ask.audiences = audiences;
}

void token_review_serve(struct request *request)
{
	struct token_review *op = ARENA_NEW(request->arena, struct token_review);
	struct body_kind kind = body_kind_of(request_resource(request));
	const struct status *failure = body_decode_object(request, &kind, &op->review);
	const char *token = json_text(json_path(op->review, "spec", "token"));

	if (!failure && text_is_empty(token))
		failure = status_new(request->arena, ERR_BAD_REQUEST,
		                     "token is required for TokenReview in authentication");
	if (!failure && json_get(json_get(op->review, "metadata"), "namespace") &&
	    !text_is_empty(object_namespace(op->review)))
		failure = status_new(request->arena, ERR_BAD_REQUEST, "namespace is not allowed on this type: %s",
		                     object_namespace(op->review));
	if (failure) {
		request_finish_status(request, failure);
		return;
	}
	op->request = request;
	op->ask = (struct token_ask){.server = request->server,
	                             .loop = request->loop,
	                             .arena = request->arena,
	                             .token = token,
	                             .token_length = strlen(token),
	                             .done = on_token};
	read_audiences(op, json_get(op->review, "spec"));
	token_ask(&op->ask);
}

void self_subject_review_serve(struct request *request)
{
	struct body_kind kind = body_kind_of(request_resource(request));
	struct json *review = NULL, *status = json_object(request->arena);
	const struct status *failure = body_decode_object(request, &kind, &review);
	char now[API_TIME_BYTES];

	if (failure) {
		request_finish_status(request, failure);
		return;
	}
	api_time_format(loop_realtime_ns(request->loop), now);
	json_set_text(request->arena, json_ensure_object(request->arena, review, "metadata"), "creationTimestamp", now);
	json_set(request->arena, status, "userInfo", user_to_json(request->arena, &request->user));
	json_set(request->arena, review, "status", status);
	request_finish_tree(request, 201, review);
}
