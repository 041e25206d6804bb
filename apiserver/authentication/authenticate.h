// SPDX-License-Identifier: Apache-2.0
#pragma once
// The authenticate stage: who asks; and the impersonate stage: as whom.

#include "apiserver/request.h"

// Both go on by request_next, within the call where nobody has to be asked.
void authenticate(struct request *request);
void impersonate(struct request *request);

// The user that the front proxy vouches for. False: the request doesn't come from it, or names nobody.
bool front_proxy_user(struct request *request, struct user *ret_user);
