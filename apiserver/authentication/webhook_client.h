// SPDX-License-Identifier: Apache-2.0
#pragma once
// Requests of any loop to servers outside (webhooks, issuers), all made on the
// main loop by one HTTP client each.

#include "common/base/err.h"
#include "common/client/kubeconfig.h"

struct loop;
struct server;
struct webhook_client;

// The server that a kubeconfig names.
NODISCARD int webhook_client_new(struct server *server, const char *kubeconfig_file, struct webhook_client **ret_client,
                                 struct err *err);
// Any server by URL, its certificate checked against `ca_data` (PEM) or `ca_file` (both NULL: the host's authorities).
struct webhook_client *webhook_client_new_for(struct server *server, const char *ca_file, const char *ca_data);
// On the main loop, which must be there before the first call; calls under way end without an answer.
void webhook_client_start(struct webhook_client *client);
void webhook_client_stop(struct webhook_client *client);
struct webhook_client *webhook_client_free(struct webhook_client *client);

struct webhook_call {
	const char *url;  // NULL: the kubeconfig's
	const char *body; // JSON to POST; NULL: GET
	int64_t timeout_ns;
	struct loop *loop;
	// Exactly once, on `loop`, never from within the call. status 0 and `err` set when no answer came.
	void (*done)(void *context, int status, const char *body, size_t length, const struct err *err);
	void *context;
};
void webhook_call(struct webhook_client *client, const struct webhook_call *call);
