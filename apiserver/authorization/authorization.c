// SPDX-License-Identifier: Apache-2.0
// The chain:
//
//   system:masters? ─► allowed
//   authorizer 0 ─► authorizer 1 ─► … ─► no
//        │ allows or denies: the answer         (no opinion: its reason is kept, the next is asked)
//        └ would have to ask a webhook: authorization_ask does and comes back,
//          authorize_attributes goes on without its opinion
//
// The short cut of system:masters is the group's alone and stands before every
// chain. The members of the chain are fixed at start; what they decide from, they
// guard themselves.

#include "apiserver/authorization/authorization.h"

#include <string.h>

#include "apiserver/authorization/authorizers.h"
#include "apiserver/server.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	AUTHORIZATION_MAX_AUTHORIZERS = 16,
};

struct authorization {
	struct server *server;
	struct authorizer *authorizers[AUTHORIZATION_MAX_AUTHORIZERS];
	size_t count;
	struct rbac *rbac;
	struct node_authorizer *node;
	bool always_allow;
	bool has_webhook;
};

// --- the two that need no state ------------------------------------------------------------

static bool decide_always(struct authorizer *authorizer, struct arena *arena, const struct user *user,
                          const struct authorization_attributes *attributes, struct authorization_answer *ret_answer)
{
	bool allow = !strcmp(authorizer->name, "AlwaysAllow");

	(void)arena, (void)user, (void)attributes;
	*ret_answer = (struct authorization_answer){
	        .decision = allow ? AUTHORIZATION_ALLOWED : AUTHORIZATION_NO_OPINION,
	        .reason = allow ? "" : "Everything is forbidden.",
	};
	return false;
}

static void free_always(struct authorizer *authorizer)
{
	free(authorizer);
}

static struct authorizer *always_new(const char *name)
{
	struct authorizer *authorizer = NEW(struct authorizer);

	*authorizer = (struct authorizer){.name = name, .decide = decide_always, .free = free_always};
	return authorizer;
}

// --- asking ----------------------------------------------------------------------------------

static const char *join(struct arena *arena, const char *a, const char *b, const char *separator)
{
	if (text_is_empty(b))
		return a;
	return text_is_empty(a) ? b : arena_printf(arena, "%s%s%s", a, separator, b);
}

void authorize_attributes(struct server *server, struct arena *arena, const struct user *user,
                          const struct authorization_attributes *attributes, struct authorization_answer *ret_answer)
{
	struct authorization *authorization = server->authorization;
	const char *reasons = "", *errors = NULL;

	*ret_answer = (struct authorization_answer){.decision = AUTHORIZATION_ALLOWED, .reason = ""};
	if (user_is_in(user, GROUP_MASTERS))
		return;
	for (size_t i = 0; i < authorization->count; i++) {
		struct authorizer *authorizer = authorization->authorizers[i];

		if (authorizer->decide(authorizer, arena, user, attributes, ret_answer)) {
			errors = join(arena, errors, "the authorization webhook has not been asked", ", ");
			continue;
		}
		if (ret_answer->decision != AUTHORIZATION_NO_OPINION)
			return;
		reasons = join(arena, reasons, ret_answer->reason, "\n");
		errors = join(arena, errors, ret_answer->error, ", ");
	}
	*ret_answer =
	        (struct authorization_answer){.decision = AUTHORIZATION_NO_OPINION, .reason = reasons, .error = errors};
}

static void ask_on(struct authorization_ask *ask)
{
	struct authorization *authorization = ask->server->authorization;

	while (ask->next < authorization->count) {
		struct authorizer *authorizer = authorization->authorizers[ask->next];
		struct authorization_answer answer = {.reason = ""};

		if (authorizer->decide(authorizer, ask->arena, ask->user, ask->attributes, &answer)) {
			authorizer->ask(authorizer, ask);
			return;
		}
		if (answer.decision != AUTHORIZATION_NO_OPINION) {
			ask->done(ask, &answer);
			return;
		}
		ask->reasons = join(ask->arena, ask->reasons, answer.reason, "\n");
		ask->errors = join(ask->arena, ask->errors, answer.error, ", ");
		ask->next++;
	}
	const struct authorization_answer no = {
	        .decision = AUTHORIZATION_NO_OPINION, .reason = ask->reasons, .error = ask->errors};

	ask->done(ask, &no);
}

void authorization_ask_next(struct authorization_ask *ask, const struct authorization_answer *answer)
{
	if (answer->decision != AUTHORIZATION_NO_OPINION) {
		ask->done(ask, answer);
		return;
	}
	ask->reasons = join(ask->arena, ask->reasons, answer->reason, "\n");
	ask->errors = join(ask->arena, ask->errors, answer->error, ", ");
	ask->next++;
	ask_on(ask);
}

void authorization_ask(struct authorization_ask *ask)
{
	static const struct authorization_answer yes = {.decision = AUTHORIZATION_ALLOWED, .reason = ""};

	ask->next = 0;
	ask->reasons = "";
	ask->errors = NULL;
	if (user_is_in(ask->user, GROUP_MASTERS))
		ask->done(ask, &yes);
	else
		ask_on(ask);
}

// --- making the chain ------------------------------------------------------------------------

int authorization_add(struct authorization *authorization, const char *mode,
                      const struct authorization_webhook_config *webhook, const struct authorization_flags *flags,
                      struct err *err)
{
	struct authorizer *authorizer = NULL;
	int r = 0;

	if (authorization->count == AUTHORIZATION_MAX_AUTHORIZERS)
		return err_set(err, ERR_BAD_REQUEST, "more than %d authorizers", AUTHORIZATION_MAX_AUTHORIZERS);
	if (!strcmp(mode, "RBAC")) {
		authorization->rbac = rbac_new(authorization->server);
		authorizer = rbac_authorizer(authorization->rbac);
	} else if (!strcmp(mode, "Node")) {
		authorization->node = node_authorizer_new(authorization->server);
		authorizer = node_authorizer_authorizer(authorization->node);
	} else if (!strcmp(mode, "Webhook")) {
		authorization->has_webhook = true;
		r = webhook_authorizer_new(authorization->server, webhook, &authorizer, err);
	} else if (!strcmp(mode, "ABAC")) {
		r = abac_new(flags->policy_file, &authorizer, err);
	} else {
		authorization->always_allow |= !strcmp(mode, "AlwaysAllow");
		authorizer = always_new(!strcmp(mode, "AlwaysAllow") ? "AlwaysAllow" : "AlwaysDeny");
	}
	if (r == 0)
		authorization->authorizers[authorization->count++] = authorizer;
	return r;
}

static int add_modes(struct authorization *authorization, const struct authorization_flags *flags, struct err *err)
{
	struct authorization_webhook_config webhook = {
	        .name = "default",
	        .kubeconfig_file = flags->webhook_config_file,
	        .version = flags->webhook_version,
	        .authorized_ttl_ns = flags->webhook_authorized_ttl_ns,
	        .unauthorized_ttl_ns = flags->webhook_unauthorized_ttl_ns,
	        .timeout_ns = 30 * NSEC_PER_SEC,
	};
	int r = 0;

	if (!flags->modes.count)
		return authorization_add(authorization, "AlwaysAllow", NULL, flags, err);
	for (size_t i = 0; r == 0 && i < flags->modes.count; i++)
		r = authorization_add(authorization, flags->modes.items[i], &webhook, flags, err);
	return r;
}

int authorization_new(struct server *server, const struct authorization_flags *flags,
                      struct authorization **ret_authorization, struct err *err)
{
	struct authorization *authorization = NEW(struct authorization);
	int r;

	authorization->server = server;
	r = text_is_empty(flags->config_file) ? add_modes(authorization, flags, err)
	                                      : authorization_load_config(authorization, flags, err);
	if (r < 0)
		authorization_free(authorization);
	else
		*ret_authorization = authorization;
	return r;
}

void authorization_start(struct authorization *authorization)
{
	if (authorization->rbac)
		rbac_start(authorization->rbac);
	if (authorization->node)
		node_authorizer_start(authorization->node);
	for (size_t i = 0; i < authorization->count; i++)
		if (authorization->authorizers[i]->start)
			authorization->authorizers[i]->start(authorization->authorizers[i]);
}

void authorization_stop(struct authorization *authorization)
{
	if (authorization && authorization->rbac)
		rbac_stop(authorization->rbac);
	if (authorization && authorization->node)
		node_authorizer_stop(authorization->node);
	for (size_t i = 0; authorization && i < authorization->count; i++)
		if (authorization->authorizers[i]->stop)
			authorization->authorizers[i]->stop(authorization->authorizers[i]);
}

struct authorization *authorization_free(struct authorization *authorization)
{
	if (!authorization)
		return NULL;
	for (size_t i = 0; i < authorization->count; i++)
		authorization->authorizers[i]->free(authorization->authorizers[i]);
	free(authorization);
	return NULL;
}

struct rbac *authorization_rbac(struct authorization *authorization)
{
	return authorization->rbac;
}

bool authorization_is_ready(struct authorization *authorization)
{
	return (!authorization->rbac || rbac_is_ready(authorization->rbac)) &&
	       (!authorization->node || node_authorizer_is_ready(authorization->node));
}

bool authorization_allows_everything(const struct authorization *authorization)
{
	return authorization->always_allow;
}

bool authorization_has_webhook(const struct authorization *authorization)
{
	return authorization->has_webhook;
}

bool authorization_has_node(const struct authorization *authorization)
{
	return authorization->node != NULL;
}
