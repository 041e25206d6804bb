// SPDX-License-Identifier: Apache-2.0
// The chain of token authenticators, asked in order until one knows the token. A
// refusal doesn't end the search, as in upstream: a token of one issuer may look
// like another's. All of it is fixed at start but for what configuration files
// and issuers change behind their authenticators.

#include "apiserver/authentication/authentication.h"

#include <string.h>

#include "apiserver/authentication/authenticators.h"
#include "apiserver/server.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	AUTHENTICATION_MAX = 80,
};

struct authentication {
	struct server *server;
	const struct authentication_flags *flags;
	struct token_authenticator *authenticators[AUTHENTICATION_MAX];
	size_t count;
	struct service_account_tokens *service_accounts;
	struct authentication_config *config; // NULL: none was given
	const char *const *audiences;
	size_t audience_count;
};

// --- asking ----------------------------------------------------------------------------------

static void finish(struct token_ask *ask, enum token_outcome outcome)
{
	ask->authenticated = outcome == TOKEN_AUTHENTICATED;
	ask->done(ask);
}

static void note_error(struct token_ask *ask)
{
	if (ask->error)
		ask->errors = ask->errors ? arena_printf(ask->arena, "%s, %s", ask->errors, ask->error) : ask->error;
	ask->error = NULL;
}

static void ask_on(struct token_ask *ask)
{
	struct authentication *authentication = ask->server->authentication;

	while (ask->next < authentication->count) {
		struct token_authenticator *authenticator = authentication->authenticators[ask->next];
		enum token_outcome outcome;

		ask->error = NULL;
		outcome = authenticator->decide(authenticator, ask);
		if (outcome == TOKEN_AUTHENTICATED) {
			finish(ask, outcome);
			return;
		}
		if (outcome == TOKEN_WAIT) {
			authenticator->ask(authenticator, ask);
			return;
		}
		if (outcome == TOKEN_REFUSED)
			note_error(ask);
		ask->next++;
	}
	finish(ask, TOKEN_UNKNOWN);
}

void token_ask_next(struct token_ask *ask, enum token_outcome outcome)
{
	if (outcome == TOKEN_AUTHENTICATED) {
		finish(ask, outcome);
		return;
	}
	if (outcome == TOKEN_REFUSED)
		note_error(ask);
	ask->next++;
	ask_on(ask);
}

void token_ask(struct token_ask *ask)
{
	ask->next = 0;
	ask->authenticated = false;
	ask->errors = ask->error = NULL;
	ask_on(ask);
}

void token_ask_audiences(const struct token_ask *ask, const char *const **ret_audiences, size_t *ret_count)
{
	*ret_audiences = ask->audiences;
	*ret_count = ask->audience_count;
	if (!ask->audiences)
		*ret_audiences = authentication_audiences(ask->server->authentication, ret_count);
}

size_t token_ask_match_audiences(struct token_ask *ask, const char *const *of_token, size_t count)
{
	const char *const *wanted;
	const char **both;
	size_t wanted_count, found = 0;

	token_ask_audiences(ask, &wanted, &wanted_count);
	both = ARENA_ARRAY(ask->arena, const char *, wanted_count + 1);
	for (size_t i = 0; i < wanted_count; i++)
		for (size_t j = 0; j < count; j++)
			if (!strcmp(wanted[i], of_token[j])) {
				both[found++] = wanted[i];
				break;
			}
	ask->token_audiences = both;
	ask->token_audience_count = found;
	return found;
}

// --- making it -------------------------------------------------------------------------------------

void authentication_add(struct authentication *authentication, struct token_authenticator *authenticator)
{
	if (authentication->count < AUTHENTICATION_MAX)
		authentication->authenticators[authentication->count++] = authenticator;
}

static int add_token_file(struct authentication *authentication, struct err *err)
{
	struct token_authenticator *authenticator = NULL;
	int r = 0;

	if (!text_is_empty(authentication->flags->token_file))
		r = token_file_new(authentication->flags->token_file, &authenticator, err);
	if (authenticator)
		authentication_add(authentication, authenticator);
	return r;
}

static int add_service_accounts(struct authentication *authentication, struct err *err)
{
	const struct authentication_flags *flags = authentication->flags;
	int r;

	if (!flags->key_files.count && !flags->signing_key_file[0])
		return 0;
	r = service_account_tokens_new(authentication->server, flags, &authentication->service_accounts, err);
	if (r == 0)
		authentication_add(authentication,
		                   service_account_tokens_authenticator(authentication->service_accounts));
	return r;
}

static int add_bootstrap_tokens(struct authentication *authentication, struct err *err)
{
	(void)err;
	if (authentication->flags->bootstrap_tokens)
		authentication_add(authentication, bootstrap_tokens_new());
	return 0;
}

static int add_issuers(struct authentication *authentication, struct err *err)
{
	return authentication_config_new(authentication->server, authentication, authentication->flags,
	                                 &authentication->config, err);
}

static int add_webhook(struct authentication *authentication, struct err *err)
{
	struct token_authenticator *authenticator = NULL;
	int r = 0;

	if (!text_is_empty(authentication->flags->webhook_config_file))
		r = token_webhook_new(authentication->server, authentication->flags, &authenticator, err);
	if (authenticator)
		authentication_add(authentication, authenticator);
	return r;
}

int authentication_new(struct server *server, const struct authentication_flags *flags,
                       struct authentication **ret_authentication, struct err *err)
{
	static int (*const steps[])(struct authentication * authentication, struct err * err) = {
	        add_token_file, add_service_accounts, add_bootstrap_tokens, add_issuers, add_webhook,
	};
	struct authentication *authentication = NEW(struct authentication);
	int r = 0;

	authentication->server = server;
	authentication->flags = flags;
	authentication->audiences = flags->api_audiences.count ? flags->api_audiences.items : flags->issuers.items;
	authentication->audience_count = flags->api_audiences.count ? flags->api_audiences.count : flags->issuers.count;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
		r = steps[i](authentication, err);
	if (r < 0)
		authentication_free(authentication);
	else
		*ret_authentication = authentication;
	return r;
}

void authentication_start(struct authentication *authentication)
{
	for (size_t i = 0; i < authentication->count; i++)
		if (authentication->authenticators[i]->start)
			authentication->authenticators[i]->start(authentication->authenticators[i]);
}

void authentication_stop(struct authentication *authentication)
{
	for (size_t i = 0; authentication && i < authentication->count; i++)
		if (authentication->authenticators[i]->stop)
			authentication->authenticators[i]->stop(authentication->authenticators[i]);
}

struct authentication *authentication_free(struct authentication *authentication)
{
	if (!authentication)
		return NULL;
	for (size_t i = 0; i < authentication->count; i++)
		authentication->authenticators[i]->free(authentication->authenticators[i]);
	authentication_config_free(authentication->config);
	free(authentication);
	return NULL;
}

// --- what others want to know -------------------------------------------------------------------------

const struct authentication_flags *authentication_flags_of(const struct authentication *authentication)
{
	return authentication->flags;
}

const char *const *authentication_audiences(const struct authentication *authentication, size_t *ret_count)
{
	*ret_count = authentication->audience_count;
	return authentication->audiences;
}

struct service_account_tokens *authentication_service_accounts(struct authentication *authentication)
{
	return authentication->service_accounts;
}

bool authentication_allows_anonymous(const struct authentication *authentication, const char *path)
{
	bool allowed;

	if (authentication->config && authentication_config_anonymous(authentication->config, path, &allowed))
		return allowed;
	return authentication->flags->anonymous;
}
