// SPDX-License-Identifier: Apache-2.0
#pragma once
// Delegated authentication and authorization, for the HTTPS ports of daemons: who a
// request is from is told by its client certificate (which the TLS server has verified)
// or asked of the API server by TokenReview; whether they may do what they ask for by
// SubjectAccessReview. Both answers are kept for a while. One loop owns it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct delegated_auth;
struct delegated_check;
struct http_request;
struct loop;
struct rest_client;

struct delegated_auth_config {
	struct rest_client *client; // borrowed; NULL: nobody can be asked, which denies
	bool anonymous;             // who shows nothing is system:anonymous; else 401
	bool reviews_tokens;        // false: tokens count for nothing
	bool allows_all;            // authorization mode AlwaysAllow: everybody who is known
	int64_t token_ttl_ns;       // 0 = 2 min
	int64_t allowed_ttl_ns;     // 0 = 5 min
	int64_t denied_ttl_ns;      // 0 = 30 s
};

struct delegated_auth *delegated_auth_new(struct loop *loop, const struct delegated_auth_config *config);
// Its checks are cancelled. Accepts NULL, returns NULL.
struct delegated_auth *delegated_auth_free(struct delegated_auth *auth);

// What is asked for: a resource, or a path.
struct delegated_attributes {
	const char *verb;
	const char *path;  // not a resource; else NULL and:
	const char *group; // NULL = ""
	const char *version;
	const char *resource;
	const char *subresource;    // NULL: none
	const char *namespace_name; // NULL: none
	const char *name;           // NULL: none
};

enum delegated_verdict {
	DELEGATED_PENDING, // the outcome comes later
	DELEGATED_ALLOWED,
	DELEGATED_UNAUTHENTICATED, // 401
	DELEGATED_FORBIDDEN,       // 403
	DELEGATED_FAILED,          // the API server could not be asked
};

// `user` is "" when it isn't known; borrowed for the call, as is `message`.
typedef void delegated_done_fn(void *context, enum delegated_verdict verdict, const char *user, const char *message);

// Allowed is who may do any of the `count` things, which are tried in order. The outcome, when it is known already;
// else DELEGATED_PENDING, and `done` comes once, in a later turn. Everything given is the caller's again. *ret_check
// is set when pending, *ret_user (borrowed until the next call) when not.
enum delegated_verdict delegated_auth_check(struct delegated_auth *auth, const struct http_request *request,
                                            const struct delegated_attributes *attributes, size_t count,
                                            delegated_done_fn *done, void *context, struct delegated_check **ret_check,
                                            const char **ret_user);
void delegated_check_cancel(struct delegated_check *check); // done does not come
