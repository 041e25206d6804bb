// SPDX-License-Identifier: Apache-2.0
// Names are given to who comes first: a name that another definition of the group has
// accepted is refused to this one, and its condition says which. What was accepted once
// stays. A definition is established when all its names are accepted and its resources
// are really answered; it stays so even if its names come into conflict later.

#include "apiserver/custom/definition_status.h"

#include <string.h>

#include "common/api/object.h"
#include "common/base/hashmap.h"
#include "common/base/strbuf.h"
#include "common/base/text.h"

#define TEXT_MAX_BYTES 4096

// --- conditions ---------------------------------------------------------------------------

static struct json *find_condition(const struct json *definition, const char *type)
{
	json_for_each_item (condition, json_path(definition, "status", "conditions"))
		if (text_equal(json_get_text(condition, "type"), type))
			return condition;
	return NULL;
}

bool definition_has_condition(const struct json *definition, const char *type)
{
	return text_equal(json_get_text(find_condition(definition, type), "status"), "True");
}

bool definition_set_condition(struct arena *arena, struct json *definition, const char *type, const char *status,
                              const char *reason, const char *message, int64_t now_realtime_ns)
{
	struct json *condition = find_condition(definition, type);
	bool same_status = text_equal(json_get_text(condition, "status"), status);
	char now[API_TIME_BYTES];

	if (condition && same_status && text_equal(json_get_text(condition, "reason"), reason) &&
	    text_equal(json_get_text(condition, "message"), message))
		return false;
	if (!condition) {
		condition = json_object(arena);
		json_append(arena,
		            json_ensure_array(arena, json_ensure_object(arena, definition, "status"), "conditions"),
		            condition);
		json_set_text(arena, condition, "type", type);
	}
	json_set_text(arena, condition, "status", status);
	json_set_text(arena, condition, "reason", reason);
	json_set_text(arena, condition, "message", message);
	api_time_format(now_realtime_ns, now);
	if (!same_status)
		json_set_text(arena, condition, "lastTransitionTime", now);
	return true;
}

// --- names --------------------------------------------------------------------------------

static void take(struct hashmap *map, const char *name)
{
	static int taken;

	if (!text_is_empty(name))
		(void)hashmap_put(map, name, &taken);
}

void taken_names_add(struct taken_names *taken, const struct json *names)
{
	take(taken->resources, json_get_text(names, "plural"));
	take(taken->resources, json_get_text(names, "singular"));
	json_for_each_item (name, json_get(names, "shortNames"))
		take(taken->resources, json_text(name));
	take(taken->kinds, json_get_text(names, "kind"));
	take(taken->kinds, json_get_text(names, "listKind"));
}

const struct json *definition_names(const struct json *definition)
{
	const struct json *accepted = json_path(definition, "status", "acceptedNames");

	return text_is_empty(json_get_text(accepted, "kind")) ? json_path(definition, "spec", "names") : accepted;
}

struct naming {
	struct arena *arena;
	const struct json *wanted; // spec.names
	const struct json *held;   // status.acceptedNames
	struct json *accepted;     // what comes of it
	const struct taken_names *taken;
	const char *reason; // of the last conflict, NULL = none
	const char *message;
};

static void refuse(struct naming *naming, const char *reason, const char *names)
{
	naming->reason = reason;
	naming->message = names;
}

static void accept_name(struct naming *naming, const char *key, const struct hashmap *taken, const char *reason)
{
	const char *wanted = text_or_empty(json_get_text(naming->wanted, key));

	if (!text_equal(wanted, json_get_text(naming->held, key)) && hashmap_get(taken, wanted))
		refuse(naming, reason, arena_printf(naming->arena, "\"%s\" is already in use", wanted));
	else
		json_set_text(naming->arena, naming->accepted, key, wanted);
}

static bool holds(const struct json *list, const char *text)
{
	json_for_each_item (item, list)
		if (text_equal(json_text(item), text))
			return true;
	return false;
}

static void copy_list(struct naming *naming, const char *key)
{
	struct json *list = json_get(naming->wanted, key);

	if (list)
		json_set(naming->arena, naming->accepted, key, json_clone(naming->arena, list));
	else
		json_remove(naming->accepted, key);
}

static void accept_short_names(struct naming *naming)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES);
	unsigned refused = 0;

	json_for_each_item (name, json_get(naming->wanted, "shortNames")) {
		if (!json_text(name) || holds(json_get(naming->held, "shortNames"), json_text(name)) ||
		    !hashmap_get(naming->taken->resources, json_text(name)))
			continue;
		strbuf_printf(&text, "%s\"%s\" is already in use", refused++ ? ", " : "", json_text(name));
	}
	if (!refused)
		copy_list(naming, "shortNames");
	else
		refuse(naming, "ShortNamesConflict",
		       arena_printf(naming->arena, refused > 1 ? "[%s]" : "%s", strbuf_text(&text)));
}

static struct naming accept_names(struct arena *arena, const struct json *definition, const struct taken_names *taken)
{
	const struct json *held = json_path(definition, "status", "acceptedNames");
	struct naming naming = {.arena = arena,
	                        .wanted = json_path(definition, "spec", "names"),
	                        .held = held,
	                        .accepted = json_is(held, JSON_OBJECT) ? json_clone(arena, held) : json_object(arena),
	                        .taken = taken};

	accept_name(&naming, "plural", taken->resources, "PluralConflict");
	accept_name(&naming, "singular", taken->resources, "SingularConflict");
	accept_short_names(&naming);
	accept_name(&naming, "kind", taken->kinds, "KindConflict");
	accept_name(&naming, "listKind", taken->kinds, "ListKindConflict");
	copy_list(&naming, "categories");
	return naming;
}

bool definition_status_has_conflict(struct arena *arena, const struct json *definition, const struct taken_names *taken)
{
	return accept_names(arena, definition, taken).reason != NULL;
}

// --- approval -----------------------------------------------------------------------------

static bool is_within(const char *group, const char *domain)
{
	size_t length = strlen(group), tail = strlen(domain);

	return length >= tail && !strcmp(group + length - tail, domain) &&
	       (length == tail || group[length - tail - 1] == '.');
}

bool definition_needs_approval(const struct json *definition)
{
	const char *group = text_or_empty(json_get_text(json_get(definition, "spec"), "group"));

	return is_within(group, "k8s.io") || is_within(group, "kubernetes.io");
}

static bool is_url(const char *text)
{
	const char *colon = strstr(text, "://");

	return colon && colon > text && colon[3] && colon[3] != '/';
}

enum definition_approval definition_approval_of(struct arena *arena, const struct json *definition,
                                                const char **ret_reason)
{
	const char *approval =
	        json_get_text(json_path(definition, "metadata", "annotations"), DEFINITION_APPROVAL_ANNOTATION);

	if (text_is_empty(approval)) {
		*ret_reason = "protected groups must have approval annotation \"" DEFINITION_APPROVAL_ANNOTATION
		              "\", see https://github.com/kubernetes/enhancements/pull/1111";
		return DEFINITION_APPROVAL_MISSING;
	}
	if (!strncmp(approval, "unapproved", strlen("unapproved"))) {
		*ret_reason = arena_printf(arena, "not approved: \"%s\"", approval);
		return DEFINITION_UNAPPROVED;
	}
	if (is_url(approval)) {
		*ret_reason = arena_printf(arena, "approved in %s", approval);
		return DEFINITION_APPROVED;
	}
	*ret_reason = "protected groups must have approval annotation \"" DEFINITION_APPROVAL_ANNOTATION
	              "\" with either a URL or a reason starting with \"unapproved\", see "
	              "https://github.com/kubernetes/enhancements/pull/1111";
	return DEFINITION_APPROVAL_INVALID;
}

static bool update_approval(struct arena *arena, struct json *definition, int64_t now)
{
	static const char *const reasons[] = {[DEFINITION_APPROVAL_MISSING] = "MissingAnnotation",
	                                      [DEFINITION_UNAPPROVED] = "UnapprovedAnnotation",
	                                      [DEFINITION_APPROVED] = "ApprovedAnnotation",
	                                      [DEFINITION_APPROVAL_INVALID] = "InvalidAnnotation"};
	enum definition_approval approval;
	const char *message;

	if (!definition_needs_approval(definition))
		return false;
	approval = definition_approval_of(arena, definition, &message);
	return definition_set_condition(arena, definition, "KubernetesAPIApprovalPolicyConformant",
	                                approval == DEFINITION_APPROVED ? "True" : "False", reasons[approval], message,
	                                now);
}

// --- all of it -----------------------------------------------------------------------------

bool definition_status_update(struct arena *arena, struct json *definition, const struct taken_names *taken,
                              bool served, int64_t now)
{
	struct naming naming = accept_names(arena, definition, taken);
	struct json *status = json_ensure_object(arena, definition, "status");
	bool changed = false;

	if (!naming.held || !json_equal(naming.accepted, naming.held)) {
		json_set(arena, status, "acceptedNames", naming.accepted);
		changed = true;
	}
	changed |= definition_set_condition(arena, definition, "NamesAccepted", naming.reason ? "False" : "True",
	                                    naming.reason ? naming.reason : "NoConflicts",
	                                    naming.reason ? naming.message : "no conflicts found", now);
	if (!definition_has_condition(definition, "Established")) {
		if (naming.reason)
			changed |= definition_set_condition(arena, definition, "Established", "False", "NotAccepted",
			                                    "not all names are accepted", now);
		else if (served)
			changed |= definition_set_condition(arena, definition, "Established", "True",
			                                    "InitialNamesAccepted",
			                                    "the initial names have been accepted", now);
	}
	changed |= update_approval(arena, definition, now);
	return changed;
}
