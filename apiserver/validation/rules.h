// SPDX-License-Identifier: Apache-2.0
#pragma once
// Rules of one member of an object: each takes the object, the member's name and
// the path of the object, so that a kind's validation reads as a list of members.
// A member that is absent passes, unless the rule's name says otherwise.
//
//   rule_required_text(v, mount, "name", &path, NULL);
//   rule_range(v, context, "runAsUser", &path, 0, ID_MAX);

#include "apiserver/validation/validation.h"

#define PORT_NUMBER_DETAIL "must be between 1 and 65535, inclusive"
#define NOT_NEGATIVE_DETAIL "must be greater than or equal to 0"
#define NOT_POSITIVE_DETAIL "must be greater than zero"
#define IMMUTABLE_DETAIL "field is immutable"

// `item` and its path `entry`, in turn.
#define rule_for_each_item(item, entry, list, list_path)                                                       \
	for (struct rule_path entry = FIELD_INDEX(list_path, 0); entry.index < length_of(list); entry.index++) \
		for (const struct json *item = (list)->items[entry.index]; item; item = NULL)

// False, and an error, when the text is absent or empty; otherwise checked (`check` may be NULL).
bool rule_required_text(struct validation *v, const struct json *object, const char *member,
                        const struct rule_path *parent, string_check check);
void rule_text(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
               string_check check);
// Every text of a list, each with its index.
void rule_texts(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                string_check check);
// `supported` ends with NULL. A required one may not be absent or "".
void rule_one_of(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                 bool required, const char *const *supported);
void rule_not_negative(struct validation *v, const struct json *object, const char *member,
                       const struct rule_path *parent);
void rule_range(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                int64_t low, int64_t high);
// Less than `minimum` is Invalid with this detail.
void rule_at_least(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                   int64_t minimum, const char *detail);
// The member must be there.
bool rule_required(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                   const char *detail);
// The member may not be there; false and zero, "" and empty lists count as absent.
void rule_forbidden(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                    const char *detail);
// The member is the same in both, or "field is immutable".
void rule_immutable(struct validation *v, const struct json *object, const struct json *old, const char *member,
                    const struct rule_path *parent);
// At most this many items.
void rule_max_items(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                    size_t maximum);
// A number or the name of a port.
void rule_port_reference(struct validation *v, const struct json *port, const struct rule_path *path);
void rule_ip(struct validation *v, const char *text, const struct rule_path *path);
void rule_cidr(struct validation *v, const char *text, const struct rule_path *path);
// All complaints in one error, joined by ";".
void rule_joined(struct validation *v, const struct rule_path *path, const char *text, string_check check);
// metav1.Condition, each.
void rule_conditions(struct validation *v, const struct json *conditions, const struct rule_path *path);

// Absent and null, false, 0, "" and empty are all unset.
bool is_unset(const struct json *value);
// Equal, where unset and absent are the same.
bool rule_equal(const struct json *a, const struct json *b);
bool text_is(const struct json *object, const char *member, const char *text);
bool list_has_text(const struct json *list, const char *text);
// True when an item before `index` has the same text.
bool text_repeats(const struct json *list, uint32_t index, const char *member);

// "\n" and what differs, a line each: "-spec.x: 1", "+spec.x: 2".
const char *rule_diff_text(struct arena *arena, const struct json *old, const struct json *now, const char *path);

// A relative path that doesn't climb.
void rule_descending_path(struct validation *v, const char *text, const struct rule_path *path);
// Nor begins with "..", which is kept for the kubelet's own use.
void rule_unreserved_path(struct validation *v, const char *text, const struct rule_path *path);
void rule_no_backsteps(struct validation *v, const char *text, const struct rule_path *path);

// An int or percent that isn't negative.
void rule_amount(struct validation *v, const struct json *value, const struct rule_path *path);
void rule_not_over_100_percent(struct validation *v, const struct json *value, const struct rule_path *path);
