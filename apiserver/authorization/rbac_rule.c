// SPDX-License-Identifier: Apache-2.0
// Policy rules.
//
// Matching is upstream's: "*" in verbs, API groups and resources matches all; a
// resource "*/scale" matches that subresource of every resource; a path "/a/*"
// matches by prefix; names restrict only where there are any, and a request
// without a name then never matches.
//
// A verb that everybody knows is a bit, so that most rules are passed over by one
// comparison. Covering breaks rules into their single permissions, each of which
// one owned rule must cover as a whole.

#include "apiserver/authorization/rbac_rule.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/text.h"

uint32_t rbac_verb_bit(const char *verb)
{
	static const char *const verbs[] = {
	        "get",         "list", "watch",   "create", "update", "patch",    "delete", "deletecollection",
	        "impersonate", "bind", "approve", "sign",   "use",    "escalate", "attest", "put",
	        "post",        "head"};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i], verb))
			return UINT32_C(1) << i;
	return 0;
}

// --- from documents and back -------------------------------------------------------------------

static void parse_texts(struct arena *arena, const struct json *array, struct rbac_texts *ret_texts)
{
	*ret_texts = (struct rbac_texts){
	        .items = ARENA_ARRAY(arena, const char *, (json_is(array, JSON_ARRAY) ? array->length : 0) + 1)};
	json_for_each_item (item, array)
		if (json_text(item))
			ret_texts->items[ret_texts->count++] = arena_strdup(arena, json_text(item));
}

static void find_verb_bits(struct rbac_rule *rule)
{
	rule->verb_bits = 0;
	for (size_t i = 0; i < rule->verbs.count; i++)
		rule->verb_bits |= strcmp(rule->verbs.items[i], "*") ? rbac_verb_bit(rule->verbs.items[i]) : UINT32_MAX;
}

void rbac_rules_parse(struct arena *arena, const struct json *rules, struct rbac_rules *ret_rules)
{
	size_t length = json_is(rules, JSON_ARRAY) ? rules->length : 0;

	*ret_rules = (struct rbac_rules){.items = ARENA_ARRAY(arena, struct rbac_rule, length + 1)};
	json_for_each_item (item, rules) {
		struct rbac_rule *rule = &ret_rules->items[ret_rules->count++];

		parse_texts(arena, json_get(item, "verbs"), &rule->verbs);
		parse_texts(arena, json_get(item, "apiGroups"), &rule->groups);
		parse_texts(arena, json_get(item, "resources"), &rule->resources);
		parse_texts(arena, json_get(item, "resourceNames"), &rule->names);
		parse_texts(arena, json_get(item, "nonResourceURLs"), &rule->paths);
		find_verb_bits(rule);
	}
}

static struct json *texts_to_json(struct arena *arena, const struct rbac_texts *texts)
{
	struct json *array = json_array(arena);

	for (size_t i = 0; i < texts->count; i++)
		json_append(arena, array, json_string(arena, texts->items[i]));
	return array;
}

struct json *rbac_rule_to_json(struct arena *arena, const struct rbac_rule *rule)
{
	const struct {
		const char *key;
		const struct rbac_texts *texts;
	} members[] = {{"verbs", &rule->verbs},
	               {"apiGroups", &rule->groups},
	               {"resources", &rule->resources},
	               {"resourceNames", &rule->names},
	               {"nonResourceURLs", &rule->paths}};
	struct json *object = json_object(arena);

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (members[i].texts->count)
			json_set(arena, object, members[i].key, texts_to_json(arena, members[i].texts));
	return object;
}

static struct rbac_texts copy_texts(struct arena *arena, const struct rbac_texts *from)
{
	struct rbac_texts to = {.items = ARENA_ARRAY(arena, const char *, from->count + 1), .count = from->count};

	for (size_t i = 0; i < from->count; i++)
		to.items[i] = arena_strdup(arena, from->items[i]);
	return to;
}

void rbac_rule_copy(struct arena *arena, const struct rbac_rule *from, struct rbac_rule *ret_rule)
{
	*ret_rule = (struct rbac_rule){
	        .verbs = copy_texts(arena, &from->verbs),
	        .groups = copy_texts(arena, &from->groups),
	        .resources = copy_texts(arena, &from->resources),
	        .names = copy_texts(arena, &from->names),
	        .paths = copy_texts(arena, &from->paths),
	        .verb_bits = from->verb_bits,
	};
}

// --- matching -----------------------------------------------------------------------------------

static bool has(const struct rbac_texts *texts, const char *wanted)
{
	for (size_t i = 0; i < texts->count; i++)
		if (!strcmp(texts->items[i], wanted))
			return true;
	return false;
}

static bool has_or_all(const struct rbac_texts *texts, const char *wanted)
{
	return has(texts, "*") || has(texts, wanted);
}

static bool allows_verb(const struct rbac_rule *rule, const char *verb, uint32_t verb_bit)
{
	return verb_bit ? rule->verb_bits & verb_bit : has_or_all(&rule->verbs, verb);
}

// "pods", "pods/log", "*/log" against resource and subresource.
static bool is_resource(const char *rule, const char *resource, const char *subresource)
{
	const char *slash = strchr(rule, '/');
	size_t length;

	if (!strcmp(rule, "*"))
		return true;
	if (!slash)
		return !subresource[0] && !strcmp(rule, resource);
	if (!subresource[0] || strcmp(slash + 1, subresource) != 0)
		return false;
	length = (size_t)(slash - rule);
	return (length == 1 && rule[0] == '*') || (strlen(resource) == length && !memcmp(rule, resource, length));
}

static bool allows_resource(const struct rbac_rule *rule, const char *resource, const char *subresource)
{
	for (size_t i = 0; i < rule->resources.count; i++)
		if (is_resource(rule->resources.items[i], resource, subresource))
			return true;
	return false;
}

static bool allows_name(const struct rbac_rule *rule, const char *name)
{
	return !rule->names.count || has(&rule->names, name);
}

static bool path_covers(const char *rule, const char *path)
{
	size_t length = strlen(rule);

	if (!strcmp(rule, "*") || !strcmp(rule, path))
		return true;
	return length && rule[length - 1] == '*' && !strncmp(path, rule, length - 1);
}

static bool allows_path(const struct rbac_rule *rule, const char *path)
{
	for (size_t i = 0; i < rule->paths.count; i++)
		if (path_covers(rule->paths.items[i], path))
			return true;
	return false;
}

bool rbac_rule_allows(const struct rbac_rule *rule, const struct authorization_attributes *attributes,
                      uint32_t verb_bit)
{
	if (!allows_verb(rule, attributes->verb, verb_bit))
		return false;
	if (!attributes->is_resource)
		return allows_path(rule, attributes->path);
	return has_or_all(&rule->groups, attributes->group) &&
	       allows_resource(rule, attributes->resource, attributes->subresource) &&
	       allows_name(rule, attributes->name);
}

bool rbac_rules_allow(const struct rbac_rules *rules, const struct authorization_attributes *attributes)
{
	uint32_t verb_bit = rbac_verb_bit(attributes->verb);

	for (size_t i = 0; i < rules->count; i++)
		if (rbac_rule_allows(&rules->items[i], attributes, verb_bit))
			return true;
	return false;
}

// --- covering ------------------------------------------------------------------------------------

// One permission: a verb on a resource of a group (and one name of it), or on a path.
struct permission {
	const char *verb;
	const char *group;
	const char *resource;
	const char *name; // NULL: any
	const char *path; // NULL: a resource
};

static bool resource_is_covered(const struct rbac_texts *owned, const char *wanted)
{
	const char *slash = strchr(wanted, '/');

	if (has_or_all(owned, wanted))
		return true;
	for (size_t i = 0; slash && i < owned->count; i++)
		if (!strncmp(owned->items[i], "*/", 2) && !strcmp(owned->items[i] + 2, slash + 1))
			return true;
	return false;
}

static bool rule_covers(const struct rbac_rule *owned, const struct permission *wanted)
{
	if (!has_or_all(&owned->verbs, wanted->verb))
		return false;
	if (wanted->path)
		return allows_path(owned, wanted->path);
	return has_or_all(&owned->groups, wanted->group) && resource_is_covered(&owned->resources, wanted->resource) &&
	       (!owned->names.count || (wanted->name && has(&owned->names, wanted->name)));
}

static struct rbac_texts one_text(struct arena *arena, const char *text)
{
	struct rbac_texts texts = {.items = ARENA_ARRAY(arena, const char *, 1), .count = text != NULL};

	texts.items[0] = text;
	return texts;
}

static void add_missing(struct arena *arena, const struct permission *wanted, struct rbac_rules *missing)
{
	missing->items = arena_realloc(arena, missing->items, missing->count * sizeof(*missing->items),
	                               (missing->count + 1) * sizeof(*missing->items));
	missing->items[missing->count++] = (struct rbac_rule){
	        .verbs = one_text(arena, wanted->verb),
	        .groups = one_text(arena, wanted->group),
	        .resources = one_text(arena, wanted->resource),
	        .names = one_text(arena, wanted->name),
	        .paths = one_text(arena, wanted->path),
	};
}

static void check_permission(struct arena *arena, const struct rbac_rules *owned, const struct permission *wanted,
                             struct rbac_rules *missing)
{
	for (size_t i = 0; i < owned->count; i++)
		if (rule_covers(&owned->items[i], wanted))
			return;
	add_missing(arena, wanted, missing);
}

static void check_names(struct arena *arena, const struct rbac_rules *owned, const struct rbac_rule *rule,
                        struct permission *wanted, struct rbac_rules *missing)
{
	wanted->name = NULL;
	if (!rule->names.count)
		check_permission(arena, owned, wanted, missing);
	for (size_t i = 0; i < rule->names.count; i++) {
		wanted->name = rule->names.items[i];
		check_permission(arena, owned, wanted, missing);
	}
}

bool rbac_rules_cover(struct arena *arena, const struct rbac_rules *owned, const struct rbac_rules *wanted,
                      struct rbac_rules *ret_missing)
{
	*ret_missing = (struct rbac_rules){0};
	for (size_t i = 0; i < wanted->count; i++) {
		const struct rbac_rule *rule = &wanted->items[i];

		for (size_t g = 0; g < rule->groups.count; g++)
			for (size_t r = 0; r < rule->resources.count; r++)
				for (size_t v = 0; v < rule->verbs.count; v++) {
					struct permission one = {.verb = rule->verbs.items[v],
					                         .group = rule->groups.items[g],
					                         .resource = rule->resources.items[r]};

					check_names(arena, owned, rule, &one, ret_missing);
				}
		for (size_t p = 0; p < rule->paths.count; p++)
			for (size_t v = 0; v < rule->verbs.count; v++) {
				struct permission one = {.verb = rule->verbs.items[v], .path = rule->paths.items[p]};

				check_permission(arena, owned, &one, ret_missing);
			}
	}
	return !ret_missing->count;
}

// --- the text -----------------------------------------------------------------------------------------

static bool same_texts(const struct rbac_texts *a, const struct rbac_texts *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool differ_in_verbs_alone(const struct rbac_rule *a, const struct rbac_rule *b)
{
	return same_texts(&a->groups, &b->groups) && same_texts(&a->resources, &b->resources) &&
	       same_texts(&a->names, &b->names) && same_texts(&a->paths, &b->paths);
}

static void write_texts(struct strbuf *out, const char *label, const struct rbac_texts *texts)
{
	if (!texts->count)
		return;
	strbuf_printf(out, "%s%s:[", out->length > 1 ? ", " : "", label);
	for (size_t i = 0; i < texts->count; i++) {
		if (i)
			strbuf_append_char(out, ' ');
		quote_append(out, texts->items[i], strlen(texts->items[i]));
	}
	strbuf_append_char(out, ']');
}

static const char *describe_rule(struct arena *arena, const struct rbac_rule *rule)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(64 << 10);

	strbuf_append_char(&out, '{');
	write_texts(&out, "APIGroups", &rule->groups);
	write_texts(&out, "Resources", &rule->resources);
	write_texts(&out, "NonResourceURLs", &rule->paths);
	write_texts(&out, "ResourceNames", &rule->names);
	write_texts(&out, "Verbs", &rule->verbs);
	strbuf_append_char(&out, '}');
	return arena_strdup(arena, strbuf_text(&out));
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void merge_verbs(struct arena *arena, struct rbac_rule *into, const struct rbac_rule *from)
{
	for (size_t i = 0; i < from->verbs.count; i++) {
		into->verbs.items =
		        arena_realloc(arena, into->verbs.items, into->verbs.count * sizeof(*into->verbs.items),
		                      (into->verbs.count + 1) * sizeof(*into->verbs.items));
		into->verbs.items[into->verbs.count++] = from->verbs.items[i];
	}
}

const char *rbac_rules_describe(struct arena *arena, const struct rbac_rules *rules)
{
	struct rbac_rule *merged = ARENA_ARRAY(arena, struct rbac_rule, rules->count + 1);
	const char **lines = ARENA_ARRAY(arena, const char *, rules->count + 1);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	size_t count = 0;

	for (size_t i = 0; i < rules->count; i++) {
		size_t at = 0;

		while (at < count && !differ_in_verbs_alone(&merged[at], &rules->items[i]))
			at++;
		if (at < count)
			merge_verbs(arena, &merged[at], &rules->items[i]);
		else
			rbac_rule_copy(arena, &rules->items[i], &merged[count++]);
	}
	for (size_t i = 0; i < count; i++)
		lines[i] = describe_rule(arena, &merged[i]);
	qsort(lines, count, sizeof(*lines), compare_texts);
	for (size_t i = 0; i < count; i++)
		if (!i || strcmp(lines[i], lines[i - 1]) != 0)
			strbuf_printf(&out, "%s%s", i ? "\n" : "", lines[i]);
	return arena_strdup(arena, strbuf_text(&out));
}
