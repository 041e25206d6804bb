// SPDX-License-Identifier: Apache-2.0
#pragma once
// Requests to the control plane that is being set up: over and over until they
// succeed, since what they speak to has just been started.

#include "common/base/arena.h"
#include "common/client/rest.h"

struct admin_client {
	struct arena *arena;
	struct loop *loop;
	struct rest_client *rest;
};

NODISCARD int admin_client_init(struct admin_client *client, const char *kubeconfig, struct err *err);
void admin_client_done(struct admin_client *client);
#define AUTO_ADMIN_CLIENT __attribute__((cleanup(admin_client_done)))

// Until success, or the failure that is `good_enough` (ERR_NONE: none), for at most four minutes.
NODISCARD int admin_client_run(struct admin_client *client, const struct rest_request *request,
                               enum err_code good_enough, struct err *err);
