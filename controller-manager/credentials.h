// SPDX-License-Identifier: Apache-2.0
#pragma once
// --use-service-account-credentials: each controller writes as the service account
// kube-system/NAME that upstream's roles are bound to, by tokens that are asked for
// here and renewed in time. Reading for the stores stays the manager's own.

#include <stdbool.h>

#include "common/client/rest.h"

struct credentials;
struct credential; // of one service account

// `on_ready` comes whenever an account has got its first token, never from inside a call.
NODISCARD int credentials_new(struct rest_client *client, void (*on_ready)(void *context), void *context,
                              struct credentials **ret_credentials, struct err *err);
struct credentials *credentials_free(struct credentials *credentials);

// The client to make calls with, which has no credential of its own: put the token into each request.
struct rest_client *credentials_client(struct credentials *credentials);

// The account of a controller by its name; asks for a token when it is new. NULL: this one uses the manager's own.
struct credential *credentials_of(struct credentials *credentials, const char *controller);
const char *credential_token(const struct credential *credential); // NULL: none yet
// The server didn't take the token.
void credential_renew(struct credential *credential);
