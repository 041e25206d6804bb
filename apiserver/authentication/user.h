// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who asks, as authentication found out and as authorization, admission, reviews
// and audit see it.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"

#define USER_ANONYMOUS "system:anonymous"
#define GROUP_AUTHENTICATED "system:authenticated"
#define GROUP_UNAUTHENTICATED "system:unauthenticated"
#define GROUP_MASTERS "system:masters"
#define GROUP_NODES "system:nodes"
#define GROUP_SERVICE_ACCOUNTS "system:serviceaccounts"
#define NODE_USER_PREFIX "system:node:"
#define SERVICE_ACCOUNT_USER_PREFIX "system:serviceaccount:"

struct user_extra {
	const char *key;
	const char *const *values;
	size_t value_count;
};

struct user {
	const char *name;
	const char *uid; // "" or NULL = none
	const char *const *groups;
	size_t group_count;
	const struct user_extra *extra; // sorted by key
	size_t extra_count;
	bool anonymous;
};

bool user_is_in(const struct user *user, const char *group);

// A copy with all its texts in the arena.
void user_copy(struct arena *arena, const struct user *from, struct user *ret_user);
// The same with one more group, unless it has it.
void user_add_group(struct arena *arena, struct user *user, const char *group);
// Sets or replaces one extra.
void user_set_extra(struct arena *arena, struct user *user, const char *key, const char *value);

// The service account "system:serviceaccount:NS:NAME" with the groups that it always has.
void user_of_service_account(struct arena *arena, const char *namespace_name, const char *name, const char *uid,
                             struct user *ret_user);
// Splits such a name; false for other users.
bool user_split_service_account(struct arena *arena, const char *user_name, const char **ret_namespace,
                                const char **ret_name);
// The node's name of "system:node:NAME" in system:nodes; NULL for other users.
const char *user_node_name(const struct user *user);

// authentication.k8s.io UserInfo: {username, uid, groups, extra}.
struct json *user_to_json(struct arena *arena, const struct user *user);
// From the members of a UserInfo or of a SubjectAccessReviewSpec, whose name member is `name_member`.
void user_from_json(struct arena *arena, const struct json *info, const char *name_member, struct user *ret_user);
