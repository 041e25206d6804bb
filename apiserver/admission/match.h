// SPDX-License-Identifier: Apache-2.0
#pragma once
// What webhooks and policies share: whether their rules and selectors speak of a
// change, and in which version of its kind they want to see it.

#include "apiserver/admission/admission.h"
#include "common/api/selector.h"

// A change as one webhook or policy sees it.
struct admission_view {
	struct change *change;
	enum admission_operation operation;
	const struct schema_resource *resource; // whose form the objects have
	const struct json *object;              // NULL on delete
	const struct json *old;                 // NULL on create and connect
	bool is_scale;                          // the objects are Scales
};

struct admission_rules {
	struct admission_rule {
		unsigned operations; // of enum admission_operation
		const struct json *groups;
		const struct json *versions;
		const struct json *resources;
		const struct json *names; // NULL = all
		enum { SCOPE_ALL, SCOPE_CLUSTER, SCOPE_NAMESPACED } scope;
	} * items;
	size_t count;
};

// The list of rules as it stands in the API; borrowed.
void admission_rules_read(struct arena *arena, const struct json *rules, struct admission_rules *ret_rules);

struct admission_matcher {
	struct admission_rules rules;
	struct admission_rules excluded; // policies only
	bool exact;                      // matchPolicy Exact
	struct label_selector *namespace_selector;
	struct label_selector *object_selector;
};

// From the members matchPolicy, namespaceSelector, objectSelector, and the two lists of rules.
void admission_matcher_read(struct arena *arena, const struct json *holder, const struct json *rules,
                            const struct json *excluded, struct admission_matcher *ret_matcher);

// The configuration of admission itself is shown to nobody.
bool admission_is_hidden(const struct change *change);

// By the rules alone: the resource in whose form it is to be seen, NULL = not at all.
const struct schema_resource *admission_matcher_rules(const struct admission_matcher *matcher,
                                                      const struct change *change, enum admission_operation operation);
// By the selectors, with the objects as they are now.
bool admission_matcher_selects(const struct admission_matcher *matcher, const struct change *change,
                               enum admission_operation operation);

// The objects of the change in the form of `resource`.
void admission_view_make(struct change *change, enum admission_operation operation,
                         const struct schema_resource *resource, struct admission_view *ret_view);
// Takes a changed object of the view's form back into the change.
const struct status *admission_view_take(const struct admission_view *view, struct json *object);

// An AdmissionRequest without its objects.
struct json *admission_view_request(const struct admission_view *view, const char *uid);
// The namespace of the change, plain; NULL for cluster scope.
struct json *admission_namespace_of(const struct change *change);
