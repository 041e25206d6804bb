// SPDX-License-Identifier: Apache-2.0
#pragma once
// RBAC: an index of bindings by subject with compiled roles, kept up to date from
// the watch cache. Any thread may ask.

#include <stdbool.h>

#include "apiserver/authentication/user.h"
#include "apiserver/authorization/rbac_rule.h"

struct authorizer;
struct rbac;
struct server;

struct rbac *rbac_new(struct server *server);
struct authorizer *rbac_authorizer(struct rbac *rbac);
void rbac_start(struct rbac *rbac); // follows storage, on the main loop
void rbac_stop(struct rbac *rbac);
bool rbac_is_ready(struct rbac *rbac);

enum rbac_kind {
	RBAC_ROLES,
	RBAC_CLUSTER_ROLES,
	RBAC_ROLE_BINDINGS,
	RBAC_CLUSTER_ROLE_BINDINGS,
	RBAC_KIND_COUNT_,
};
// One object as it is now (a tree), or gone: what following storage calls, for tests and the bench.
void rbac_put(struct rbac *rbac, enum rbac_kind kind, const char *namespace_name, const char *name,
              const struct json *object);
void rbac_remove(struct rbac *rbac, enum rbac_kind kind, const char *namespace_name, const char *name);

// Where a rule comes from.
struct rbac_source {
	const char *binding_kind; // "RoleBinding", "ClusterRoleBinding"
	const char *binding_namespace;
	const char *binding_name;
	const char *role_kind;
	const char *role_name;
	const char *subject_kind;
	const char *subject_namespace; // of service accounts
	const char *subject_name;
};

// Calls `visit` with each rule that the user has in the namespace ("" = cluster-wide ones alone), those of
// ClusterRoleBindings first; a rule NULL tells of a role that isn't there (`missing` is the error's text).
// False ends the walk. The index is locked meanwhile: don't call back into RBAC.
typedef bool rbac_visitor(void *context, const struct rbac_source *source, const struct rbac_rule *rule,
                          const char *missing);
void rbac_visit(struct rbac *rbac, struct arena *arena, const struct user *user, const char *namespace_name,
                rbac_visitor *visit, void *context);

// The rules of a role as they are now, copied; false: there is none.
bool rbac_role_rules(struct rbac *rbac, struct arena *arena, bool cluster, const char *namespace_name, const char *name,
                     struct rbac_rules *ret_rules);
