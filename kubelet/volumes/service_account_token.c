// SPDX-License-Identifier: Apache-2.0
// One token for each audience and life that the pod's volumes ask for, however many
// of them do. A refresh asks for what is missing or old, all at once, and ends with
// the last answer; the first failure counts, and only when there is no older token
// to go on with. Tokens are renewed after four fifths of their life, a day at the
// most. They live in memory only: after a restart they are asked for anew.

#include "kubelet/volumes/service_account_token.h"

#include <stdio.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "kubelet/kubelet.h"

#define DEFAULT_LIFE_SECONDS 3600
#define MAX_AGE_NS (24 * 3600 * NSEC_PER_SEC)

struct token {
	char *text;
	int64_t renew_at_ns; // monotonic
};

struct token_set {
	struct hashmap *tokens; // "seconds/audience" → struct token
};

static void token_free(void *value)
{
	struct token *token = value;
	free(token->text);
	free(token);
}

struct token_set *token_set_new(void)
{
	struct token_set *set = NEW(struct token_set);
	set->tokens = hashmap_new(token_free);
	return set;
}

struct token_set *token_set_free(struct token_set *set)
{
	if (!set)
		return NULL;
	hashmap_free(set->tokens);
	free(set);
	return NULL;
}

static int64_t life_seconds(const struct core_v1_service_account_token_projection *projection)
{
	return projection->expiration_seconds ? *projection->expiration_seconds : DEFAULT_LIFE_SECONDS;
}

static void token_key(const struct core_v1_service_account_token_projection *projection, char out[300])
{
	snprintf(out, 300, "%lld/%.200s", (long long)life_seconds(projection),
	         projection->audience ? projection->audience : "");
}

const char *token_set_get(const struct token_set *set,
                          const struct core_v1_service_account_token_projection *projection)
{
	char key[300];
	token_key(projection, key);
	const struct token *token = hashmap_get(set->tokens, key);
	return token ? token->text : NULL;
}

// --- refreshing ----------------------------------------------------------------------------

struct refresh_op {
	struct token_set *set;
	struct pod *pod;
	size_t waiting;
	struct err err;
	struct loop_task finish_task;
	void (*done)(void *context, const struct err *err);
	void *context;
};

struct token_request {
	struct refresh_op *op;
	char key[300];
	int64_t life_ns;
};

static void on_finish(struct loop_task *task)
{
	struct refresh_op *op = container_of(task, struct refresh_op, finish_task);
	op->done(op->context, op->err.code == ERR_NONE ? NULL : &op->err);
	free(op);
}

// "the server could not find the requested resource" against "serviceaccounts "x" not found".
static bool is_not_served(const struct err *err)
{
	if (err->code == ERR_METHOD_NOT_ALLOWED)
		return true;
	return err->code == ERR_NOT_FOUND && !strstr(err->message, "serviceaccounts \"");
}

static void on_answer(void *context, const struct rest_response *response)
{
	struct token_request *request = context;
	struct refresh_op *op = request->op;
	const char *text = json_get_text(json_get(response->object, "status"), "token");
	if (response->err.code == ERR_NONE && text) {
		struct token *token = NEW(struct token);
		int64_t age_ns = request->life_ns / 5 * 4;
		token->text = xstrdup(text);
		token->renew_at_ns = loop_now_ns(op->pod->kubelet->loop) + (age_ns < MAX_AGE_NS ? age_ns : MAX_AGE_NS);
		hashmap_put(op->set->tokens, request->key, token);
	} else if (is_not_served(&response->err)) {
		log_v(2, "The API server issues no service account tokens",
		      kv_obj("pod", op->pod->namespace_name, op->pod->name));
	} else if (!hashmap_get(op->set->tokens, request->key) && op->err.code == ERR_NONE) {
		op->err = response->err;
		(void)err_wrap(&op->err, "failed to fetch token");
	}
	free(request);
	if (--op->waiting == 0)
		on_finish(&op->finish_task);
}

static void ask(struct refresh_op *op, const struct core_v1_service_account_token_projection *projection,
                const char *key)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct pod *pod = op->pod;
	struct json *body = json_object(arena);
	json_set_text(arena, body, "apiVersion", "authentication.k8s.io/v1");
	json_set_text(arena, body, "kind", "TokenRequest");
	struct json *spec = json_ensure_object(arena, body, "spec");
	struct json *audiences = json_ensure_array(arena, spec, "audiences");
	if (projection->audience && *projection->audience)
		json_append(arena, audiences, json_string(arena, projection->audience));
	json_set_integer(arena, spec, "expirationSeconds", life_seconds(projection));
	struct json *bound = json_ensure_object(arena, spec, "boundObjectRef");
	json_set_text(arena, bound, "apiVersion", "v1");
	json_set_text(arena, bound, "kind", "Pod");
	json_set_text(arena, bound, "name", pod->name);
	json_set_text(arena, bound, "uid", pod->uid);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 16);
	json_write(&text, body);
	struct token_request *context = NEW(struct token_request);
	*context = (struct token_request){.op = op, .life_ns = life_seconds(projection) * NSEC_PER_SEC};
	snprintf(context->key, sizeof(context->key), "%s", key);
	const char *account = pod->view->spec.service_account_name;
	struct rest_request request = {
	        .method = "POST",
	        .resource = schema_find_resource("", "v1", "serviceaccounts"),
	        .namespace_name = pod->namespace_name,
	        .name = account && *account ? account : "default",
	        .subresource = "token",
	        .body = strbuf_text(&text),
	        .body_length = text.length,
	};
	op->waiting++;
	rest_start(pod->kubelet->client, &request, on_answer, context);
}

void token_set_refresh(struct token_set *set, struct pod *pod, void (*done)(void *context, const struct err *err),
                       void *context)
{
	struct refresh_op *op = NEW(struct refresh_op);
	*op = (struct refresh_op){.set = set, .pod = pod, .done = done, .context = context};
	int64_t now_ns = loop_now_ns(pod->kubelet->loop);
	const struct core_v1_volume_array *volumes = &pod->view->spec.volumes;
	for (size_t index = 0; pod->kubelet->client && index < volumes->count; index++) {
		const struct core_v1_projected_volume_source *projected = volumes->items[index].projected;
		for (size_t source = 0; projected && source < projected->sources.count; source++) {
			const struct core_v1_service_account_token_projection *projection =
			        projected->sources.items[source].service_account_token;
			if (!projection)
				continue;
			char key[300];
			token_key(projection, key);
			const struct token *present = hashmap_get(set->tokens, key);
			if (!present || now_ns >= present->renew_at_ns)
				ask(op, projection, key);
		}
	}
	if (!op->waiting)
		loop_post(pod->kubelet->loop, &op->finish_task, on_finish);
}
