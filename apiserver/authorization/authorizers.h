// SPDX-License-Identifier: Apache-2.0
#pragma once
// How each authorizer of the chain is made.

#include "apiserver/authorization/authorization.h"
#include "apiserver/authorization/rbac.h"

struct json;

struct node_authorizer *node_authorizer_new(struct server *server);
struct authorizer *node_authorizer_authorizer(struct node_authorizer *node);
void node_authorizer_start(struct node_authorizer *node);
void node_authorizer_stop(struct node_authorizer *node);
bool node_authorizer_is_ready(struct node_authorizer *node);

// One JSON policy in a line (abac.authorization.kubernetes.io/v1beta1).
NODISCARD int abac_new(const char *policy_file, struct authorizer **ret_authorizer, struct err *err);

struct authorization_webhook_config {
	const char *name;
	const char *kubeconfig_file; // NULL or "": in the cluster (structured configuration)
	const char *version;         // of SubjectAccessReview
	int64_t authorized_ttl_ns;   // 0 = not kept
	int64_t unauthorized_ttl_ns;
	int64_t timeout_ns;
	bool fails_closed;             // failurePolicy Deny
	const struct json *conditions; // matchConditions, an array, or NULL; copied
	const char *condition_version; // of the review that they see
};
NODISCARD int webhook_authorizer_new(struct server *server, const struct authorization_webhook_config *config,
                                     struct authorizer **ret_authorizer, struct err *err);

// Adds one authorizer to the end of the chain; `webhook` for mode Webhook.
NODISCARD int authorization_add(struct authorization *authorization, const char *mode,
                                const struct authorization_webhook_config *webhook,
                                const struct authorization_flags *flags, struct err *err);
// The chain of an AuthorizationConfiguration.
NODISCARD int authorization_load_config(struct authorization *authorization, const struct authorization_flags *flags,
                                        struct err *err);
