// SPDX-License-Identifier: Apache-2.0
#pragma once
// One policy's expressions on one change with one parameter object.

#include "apiserver/admission/policy_config.h"

struct policy_decision {
	const char *message;
	const char *reason; // "" = Invalid
	size_t expression;  // its index
	bool is_error;      // not the expression's word, but its failure
};

struct policy_note {
	const char *key; // "POLICY/KEY"
	const char *value;
};

struct policy_outcome {
	struct policy_decision *refusals;
	size_t refusal_count;
	struct policy_note *notes;
	size_t note_count;
};

// Failures count as refusals unless the policy fails open. In the change's arena.
void policy_evaluate(const struct policy *policy, const struct admission_view *view, struct json *request,
                     const struct json *params, const struct json *namespace_object,
                     struct policy_outcome *ret_outcome);
