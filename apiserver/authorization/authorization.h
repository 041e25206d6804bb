// SPDX-License-Identifier: Apache-2.0
#pragma once
// The chain of authorizers and what an authorizer is to it. Who only asks includes authorizer.h.

#include "apiserver/authorization/authorizer.h"
#include "common/base/options.h"

struct authorization;
struct node_authorizer;
struct rbac;

// What the flags say.
struct authorization_flags {
	struct string_list modes; // empty: AlwaysAllow
	const char *config_file;  // structured configuration, "" = none
	const char *policy_file;  // of ABAC
	const char *webhook_config_file;
	const char *webhook_version; // v1 or v1beta1
	int64_t webhook_authorized_ttl_ns;
	int64_t webhook_unauthorized_ttl_ns;
};
#define AUTHORIZATION_FLAGS_INIT                                                                                  \
	{                                                                                                         \
		.config_file = "", .policy_file = "", .webhook_config_file = "", .webhook_version = "v1beta1",    \
		.webhook_authorized_ttl_ns = 300 * NSEC_PER_SEC, .webhook_unauthorized_ttl_ns = 30 * NSEC_PER_SEC \
	}

// One authorizer of the chain, embedded in its owner.
struct authorizer {
	const char *name;
	// At once and thread-safe. True: it would have to ask others (`ask` does), the answer is unset.
	bool (*decide)(struct authorizer *authorizer, struct arena *arena, const struct user *user,
	               const struct authorization_attributes *attributes, struct authorization_answer *ret_answer);
	// On ask->loop; ends by authorization_ask_next, now or later on that loop. NULL: decide never needs it.
	void (*ask)(struct authorizer *authorizer, struct authorization_ask *ask);
	void (*start)(struct authorizer *authorizer); // the loops and storage are there; may be NULL
	void (*stop)(struct authorizer *authorizer);  // may be NULL
	void (*free)(struct authorizer *authorizer);
};

// Reads flags, configuration and policy files. Storage isn't there yet.
NODISCARD int authorization_new(struct server *server, const struct authorization_flags *flags,
                                struct authorization **ret_authorization, struct err *err);
// Begins to follow storage, on the main loop.
void authorization_start(struct authorization *authorization);
// Lets go of storage and of whom it asks; before storage is freed.
void authorization_stop(struct authorization *authorization);
struct authorization *authorization_free(struct authorization *authorization);

// The answer of the authorizer whose turn it was.
void authorization_ask_next(struct authorization_ask *ask, const struct authorization_answer *answer);

// NULL when its mode is off.
struct rbac *authorization_rbac(struct authorization *authorization);
// True once every index that decisions come from has been filled.
bool authorization_is_ready(struct authorization *authorization);

// The rules of users that an authorizer other than RBAC gives (AlwaysAllow, ABAC: as upstream, incomplete there).
bool authorization_allows_everything(const struct authorization *authorization);
bool authorization_has_webhook(const struct authorization *authorization);
bool authorization_has_node(const struct authorization *authorization);

static inline void authorization_no_opinion(struct authorization_answer *answer, const char *reason)
{
	*answer = (struct authorization_answer){.decision = AUTHORIZATION_NO_OPINION, .reason = reason};
}
