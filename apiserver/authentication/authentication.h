// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who may speak by which credentials: what the flags say, the chain of token
// authenticators, and what each is to it.

#include "apiserver/authentication/user.h"
#include "common/base/err.h"
#include "common/base/options.h"
#include "common/client/jwt.h"

struct authentication;
struct loop;
struct server;
struct service_account_tokens;

struct authentication_flags {
	bool anonymous;
	const char *config_file; // AuthenticationConfiguration, "" = none
	struct string_list api_audiences;

	struct string_list issuers; // of service account tokens; the first signs
	struct string_list key_files;
	const char *signing_key_file;
	const char *jwks_uri;
	int64_t max_token_expiration_ns; // 0 = no limit
	bool lookup;
	bool extend_expiration;

	bool bootstrap_tokens;
	const char *token_file; // --token-auth-file

	const char *front_proxy_ca_file;
	struct string_list front_proxy_names;
	struct string_list username_headers;
	struct string_list uid_headers;
	struct string_list group_headers;
	struct string_list extra_header_prefixes;

	const char *webhook_config_file;
	const char *webhook_version;
	int64_t webhook_ttl_ns;

	const char *oidc_issuer_url;
	const char *oidc_client_id;
	const char *oidc_ca_file;
	const char *oidc_username_claim;
	const char *oidc_username_prefix; // "" = the default, "-" = none
	const char *oidc_groups_claim;
	const char *oidc_groups_prefix;
	struct string_list oidc_required_claims;
	struct string_list oidc_signing_algorithms;
};

#define AUTHENTICATION_FLAGS_INIT                                                                                   \
	{                                                                                                           \
		.anonymous = true, .config_file = "", .signing_key_file = "", .jwks_uri = "", .lookup = true,       \
		.extend_expiration = true, .token_file = "", .front_proxy_ca_file = "", .webhook_config_file = "",  \
		.webhook_version = "v1beta1", .webhook_ttl_ns = 120 * NSEC_PER_SEC, .oidc_issuer_url = "",          \
		.oidc_client_id = "", .oidc_ca_file = "", .oidc_username_claim = "sub", .oidc_username_prefix = "", \
		.oidc_groups_claim = "", .oidc_groups_prefix = ""                                                   \
	}

// --- tokens -------------------------------------------------------------------------------

enum token_outcome {
	TOKEN_UNKNOWN,       // not mine
	TOKEN_AUTHENTICATED, // `user` is set
	TOKEN_REFUSED,       // mine, and bad: `error` says why
	TOKEN_WAIT,          // `ask` has to be called
};

// One token on its way through the authenticators.
struct token_ask {
	struct server *server;
	struct loop *loop;
	struct arena *arena;
	const char *token;
	size_t token_length;
	const char *const *audiences; // that the caller wants; NULL = the API server's own
	size_t audience_count;
	// Exactly once, on `loop`, possibly from within the call.
	void (*done)(struct token_ask *ask);
	void *context; // the caller's
	// --- the answer ---
	bool authenticated;
	struct user user;
	const char *const *token_audiences; // those of `audiences` that the token is for; NULL: not told
	size_t token_audience_count;
	const char *warning;
	const char *errors; // joined, NULL = none
	// --- kept by the chain ---
	const char *error;
	size_t next;
	void *authenticator_context;
};

struct token_authenticator {
	const char *name;
	// At once, any thread.
	enum token_outcome (*decide)(struct token_authenticator *authenticator, struct token_ask *ask);
	// After TOKEN_WAIT, on ask->loop; ends by token_ask_next. NULL: never waits.
	void (*ask)(struct token_authenticator *authenticator, struct token_ask *ask);
	void (*start)(struct token_authenticator *authenticator); // storage and loops are there; may be NULL
	void (*stop)(struct token_authenticator *authenticator);  // may be NULL
	void (*free)(struct token_authenticator *authenticator);
};

void token_ask(struct token_ask *ask);
void token_ask_next(struct token_ask *ask, enum token_outcome outcome);
// The audiences that a token must be for, at least one of them.
void token_ask_audiences(const struct token_ask *ask, const char *const **ret_audiences, size_t *ret_count);
// Which of them it is for; 0 = none.
size_t token_ask_match_audiences(struct token_ask *ask, const char *const *of_token, size_t count);

// --- all of it ------------------------------------------------------------------------------

NODISCARD int authentication_new(struct server *server, const struct authentication_flags *flags,
                                 struct authentication **ret_authentication, struct err *err);
void authentication_start(struct authentication *authentication);
void authentication_stop(struct authentication *authentication);
struct authentication *authentication_free(struct authentication *authentication);

const struct authentication_flags *authentication_flags_of(const struct authentication *authentication);
// The audiences of this API server.
const char *const *authentication_audiences(const struct authentication *authentication, size_t *ret_count);
// NULL when no key for service account tokens was given.
struct service_account_tokens *authentication_service_accounts(struct authentication *authentication);
// Whether a request without credentials to this path is taken for system:anonymous.
bool authentication_allows_anonymous(const struct authentication *authentication, const char *path);
// Adds one to the end of the chain.
void authentication_add(struct authentication *authentication, struct token_authenticator *authenticator);
