// SPDX-License-Identifier: Apache-2.0
#pragma once
// The audit policy: which requests are written down, and how much of them. Read once
// at start, immutable. Pure.

#include <stdbool.h>

#include "apiserver/authentication/user.h"
#include "common/base/err.h"

enum audit_level {
	AUDIT_NONE,
	AUDIT_METADATA,
	AUDIT_REQUEST,
	AUDIT_REQUEST_RESPONSE,
	AUDIT_LEVEL_COUNT_,
};

enum audit_stage {
	AUDIT_REQUEST_RECEIVED,
	AUDIT_RESPONSE_STARTED,
	AUDIT_RESPONSE_COMPLETE,
	AUDIT_PANIC,
	AUDIT_STAGE_COUNT_,
};

const char *audit_level_name(enum audit_level level);
const char *audit_stage_name(enum audit_stage stage);

struct audit_policy;

// From a file (audit.k8s.io/v1 Policy).
NODISCARD int audit_policy_load(const char *path, struct audit_policy **ret_policy, struct err *err);
// From a tree that lives as long as the policy.
NODISCARD int audit_policy_new(const struct json *document, struct audit_policy **ret_policy, struct err *err);
struct audit_policy *audit_policy_free(struct audit_policy *policy);

struct audit_attributes {
	const struct user *user;
	const char *verb;
	bool is_resource;
	const char *path; // when it is no resource
	const char *group, *resource, *subresource, *namespace_name, *name;
};

struct audit_verdict {
	enum audit_level level;
	unsigned omitted_stages; // bits
	bool omits_managed_fields;
};

// The first rule that matches; none: AUDIT_NONE.
void audit_policy_judge(const struct audit_policy *policy, const struct audit_attributes *attributes,
                        struct audit_verdict *ret_verdict);
