// SPDX-License-Identifier: Apache-2.0
#pragma once
// The authorize stage: may this user do this.

#include "apiserver/authorization/authorizer.h"
#include "apiserver/request.h"

// Goes on by request_next; within the call where nobody else has to be asked.
void authorize(struct request *request);

// The same for another verb on the request's route (a PUT that creates), answered to `done` on the request's
// loop, possibly from within the call. NULL: allowed.
void authorize_verb(struct request *request, const char *verb,
                    void (*done)(struct request *request, const struct status *failure));

// The 403 of an answer that doesn't allow.
const struct status *authorize_refuse(struct request *request, const struct user *user,
                                      const struct authorization_attributes *attributes,
                                      const struct authorization_answer *answer);
