// SPDX-License-Identifier: Apache-2.0
// Rules of a new or changed definition: each is compiled against the type of its node,
// must yield a bool (its message a string), and may not cost too much in the worst case
// that the schema allows: the estimate of one evaluation times how often the node can
// occur, alone and all rules together. oldSelf may be used only where an old value can
// be found again. Rules that were there before are compiled by what was allowed then.

#include <stdlib.h>
#include <string.h>

#include "apiserver/custom/validate_definition.h"
#include "common/cel/cel.h"

enum {
	EXPENSIVE_SHOWN = 4,
};

struct expensive {
	const char *path;
	uint64_t cost;
};

struct rules_walk {
	const struct schema_checks *checks;
	struct cel_env *fresh;  // for new rules
	struct cel_env *stored; // for those that were there
	uint64_t total;
	struct expensive most[EXPENSIVE_SHOWN];
};

struct node {
	const struct json *schema;
	const struct rule_path *path;
	uint64_t cardinality;                 // how often it can occur, 0 = no bound
	const struct rule_path *uncorrelated; // the first ancestor whose parts can't be found again, NULL = none
	bool whole;                           // has metadata of its own
	const struct cel_type *types[2];      // of self in the two environments, made when first asked for
};

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

// --- places in the schema ---------------------------------------------------------------------

// ".spec.a", ".a['b-c'].d": false when the schema has no such place.
static bool is_valid_path(const struct json *schema, const char *path)
{
	while (schema && *path) {
		const char *name = path + 1;
		size_t length;

		if (!strncmp(path, "['", 2)) {
			const char *end = strstr(path, "']");

			if (!end)
				return false;
			name = path + 2;
			length = (size_t)(end - name);
			path = end + 2;
		} else if (*path == '.') {
			length = strcspn(name, ".[");
			path = name + length;
		} else {
			return false;
		}
		if (!length)
			return false;
		const struct json *property = json_get_n(json_get(schema, "properties"), name, length);
		const struct json *additional = json_get(schema, "additionalProperties");

		schema = property ? property : json_is(additional, JSON_OBJECT) ? additional : NULL;
	}
	return schema != NULL;
}

// --- costs ------------------------------------------------------------------------------------

static void observe(struct rules_walk *walk, const struct rule_path *path, uint64_t cost)
{
	size_t cheapest = 0;
	uint64_t sum;

	walk->total = __builtin_add_overflow(walk->total, cost, &sum) ? UINT64_MAX : sum;
	for (size_t i = 1; i < EXPENSIVE_SHOWN; i++)
		if (walk->most[i].cost < walk->most[cheapest].cost)
			cheapest = i;
	if (cost > walk->most[cheapest].cost)
		walk->most[cheapest] = (struct expensive){rule_path_text(walk->checks->v->arena, path), cost};
}

static void judge_cost(struct rules_walk *walk, const struct rule_path *path, const char *what, uint64_t cost)
{
	if (cost > CEL_STATIC_RULE_LIMIT)
		validation_forbidden(walk->checks->v, path,
		                     cel_cost_message(walk->checks->v->arena, what, cost, CEL_STATIC_RULE_LIMIT));
	observe(walk, path, cost);
}

static int compare_expensive(const void *a, const void *b)
{
	uint64_t left = ((const struct expensive *)a)->cost, right = ((const struct expensive *)b)->cost;

	return left < right ? 1 : left > right ? -1 : 0;
}

static void judge_total(struct rules_walk *walk, const struct rule_path *path)
{
	struct validation *v = walk->checks->v;

	if (walk->total <= CEL_STATIC_CRD_LIMIT)
		return;
	qsort(walk->most, EXPENSIVE_SHOWN, sizeof(walk->most[0]), compare_expensive);
	for (size_t i = 0; i < EXPENSIVE_SHOWN && walk->most[i].path; i++)
		validation_add(v, "FieldValueForbidden", walk->most[i].path,
		               "Forbidden: contributed to estimated rule cost total exceeding cost limit for entire "
		               "OpenAPIv3 schema");
	validation_forbidden(
	        v, path,
	        cel_cost_message(v->arena,
	                         "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
	                         walk->total, CEL_STATIC_CRD_LIMIT));
}

// --- one rule ---------------------------------------------------------------------------------

static const char *quoted(struct arena *arena, const char *text)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);

	json_write_string(&out, text, strlen(text));
	return arena_strdup(arena, strbuf_text(&out));
}

// As Go prints the struct.
static const char *rendered(struct arena *arena, const struct json *rule)
{
	return arena_printf(arena,
	                    "apiextensions.ValidationRule{Rule:%s, Message:%s, MessageExpression:%s, "
	                    "Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:%s, "
	                    "OptionalOldSelf:(*bool)(nil)}",
	                    quoted(arena, text_of(rule, "rule")), quoted(arena, text_of(rule, "message")),
	                    quoted(arena, text_of(rule, "messageExpression")),
	                    quoted(arena, text_of(rule, "fieldPath")));
}

static bool is_old_rule(const struct rules_walk *walk, const char *text)
{
	return json_get(walk->checks->old_rules, text) != NULL;
}

static const struct cel_type *self_type(const struct rules_walk *walk, struct node *node, bool old)
{
	if (!node->types[old])
		node->types[old] = cel_type_from_openapi(old ? walk->stored : walk->fresh, node->schema, node->whole);
	return node->types[old];
}

// Compiles against the node's type. NULL: what is wrong was said.
static struct cel_program *compile(struct rules_walk *walk, struct node *node, const struct json *rule,
                                   const char *text, const struct rule_path *path, const struct cel_type *wanted,
                                   uint64_t *ret_occurrences)
{
	struct validation *v = walk->checks->v;
	bool old = is_old_rule(walk, text);
	struct cel_env *env = old ? walk->stored : walk->fresh;
	const struct cel_type *self = self_type(walk, node, old);
	bool is_message = wanted == &cel_type_string;
	struct cel_compile_result compiled = {0};

	if (!self) {
		validation_add(v, "InternalError", rule_path_text(v->arena, path),
		               "Internal error: internal error: failed to retrieve type information for "
		               "x-kubernetes-validations");
		return NULL;
	}
	*ret_occurrences = node->cardinality ? node->cardinality : cel_type_max_cardinality(self);
	(void)cel_env_declare(env, "self", self);
	(void)cel_env_declare(env, "oldSelf",
	                      json_get_bool(rule, "optionalOldSelf", false) ? cel_type_optional(env, self) : self);
	if (cel_compile(env, v->arena, text, strlen(text), &compiled) < 0) {
		validation_invalid_rendered(v, path, rendered(v->arena, rule),
		                            arena_printf(v->arena, "%scompilation failed: %s",
		                                         is_message ? "messageExpression " : "", compiled.error));
		return NULL;
	}
	if (cel_type_equal(cel_program_type(compiled.program), wanted))
		return compiled.program;
	validation_invalid_rendered(v, path, rendered(v->arena, rule),
	                            is_message ? "messageExpression must evaluate to a string"
	                                       : "cel expression must evaluate to a bool");
	return cel_program_free(compiled.program);
}

static void check_old_self(struct rules_walk *walk, const struct node *node, const struct json *rule,
                           const struct rule_path *path, bool uses_old)
{
	struct validation *v = walk->checks->v;
	struct rule_path text = FIELD(path, "rule"), optional = FIELD(path, "optionalOldSelf");

	if (uses_old && node->uncorrelated)
		validation_invalid_text(
		        v, &text, text_of(rule, "rule"),
		        arena_printf(v->arena,
		                     "oldSelf cannot be used on the uncorrelatable portion of the schema within %s",
		                     rule_path_text(v->arena, node->uncorrelated)));
	else if (!uses_old && is_present(json_get(rule, "optionalOldSelf")))
		validation_invalid(v, &optional, json_get(rule, "optionalOldSelf"),
		                   "may not be set if oldSelf is not used in rule");
}

static void check_rule(struct rules_walk *walk, struct node *node, const struct json *rule,
                       const struct rule_path *path)
{
	struct validation *v = walk->checks->v;
	const char *text = text_of(rule, "rule"), *message = text_of(rule, "messageExpression"),
	           *place = text_of(rule, "fieldPath");
	struct rule_path text_path = FIELD(path, "rule"), message_path = FIELD(path, "messageExpression"),
	                 place_path = FIELD(path, "fieldPath");
	uint64_t occurrences = 1;
	AUTO(cel_program_free)
	struct cel_program *program = compile(walk, node, rule, text, &text_path, &cel_type_bool, &occurrences);
	AUTO(cel_program_free) struct cel_program *words = NULL;

	if (program) {
		judge_cost(walk, &text_path, "estimated rule cost", times(cel_program_max_cost(program), occurrences));
		check_old_self(walk, node, rule, path, cel_program_uses(program, "oldSelf"));
	}
	if (message[0])
		words = compile(walk, node, rule, message, &message_path, &cel_type_string, &occurrences);
	if (words)
		judge_cost(walk, &message_path, "estimated messageExpression cost", cel_program_max_cost(words));
	if (place[0] && !is_valid_path(node->schema, place))
		validation_invalid_text(v, &place_path, place, "fieldPath must be a valid path");
}

// --- the walk -----------------------------------------------------------------------------------

static void walk_node(struct rules_walk *walk, const struct node *node);

static uint64_t bounded_times(uint64_t cardinality, const struct json *schema, const char *bound)
{
	int64_t maximum;

	if (!cardinality || !json_get_integer(schema, bound, &maximum) || maximum < 0)
		return 0;
	return maximum ? times(cardinality, (uint64_t)maximum) : 1;
}

static void walk_properties(struct rules_walk *walk, const struct node *node)
{
	struct rule_path list = FIELD(node->path, "properties");
	bool atomic = !strcmp(text_of(node->schema, "x-kubernetes-map-type"), "atomic");

	json_for_each_member (property, json_get(node->schema, "properties")) {
		struct rule_path here = FIELD_KEY(&list, property->key);
		struct node below = {
		        .schema = property->value,
		        .path = &here,
		        .cardinality = node->cardinality,
		        .uncorrelated = node->uncorrelated ? node->uncorrelated
		                        : atomic           ? node->path
		                                           : NULL,
		};

		walk_node(walk, &below);
	}
}

static void walk_elements(struct rules_walk *walk, const struct node *node)
{
	const struct json *items = json_get(node->schema, "items"),
	                  *additional = json_get(node->schema, "additionalProperties");
	bool keyed = !strcmp(text_of(node->schema, "x-kubernetes-list-type"), "map");
	struct rule_path items_path = FIELD(node->path, "items"),
	                 additional_path = FIELD(node->path, "additionalProperties");
	struct node item = {
	        .schema = items,
	        .path = &items_path,
	        .cardinality = bounded_times(node->cardinality, node->schema, "maxItems"),
	        .uncorrelated = node->uncorrelated ? node->uncorrelated
	                        : keyed            ? NULL
	                                           : node->path,
	};
	struct node element = {
	        .schema = additional,
	        .path = &additional_path,
	        .cardinality = bounded_times(node->cardinality, node->schema, "maxProperties"),
	        .uncorrelated = node->uncorrelated,
	};

	if (json_is(items, JSON_OBJECT))
		walk_node(walk, &item);
	if (json_is(additional, JSON_OBJECT))
		walk_node(walk, &element);
}

static void walk_node(struct rules_walk *walk, const struct node *node)
{
	struct rule_path list = FIELD(node->path, "x-kubernetes-validations");
	struct node here = *node;
	uint32_t index = 0;

	here.whole = node->whole || json_get_bool(node->schema, "x-kubernetes-embedded-resource", false);
	json_for_each_item (rule, json_get(node->schema, "x-kubernetes-validations")) {
		struct rule_path path = FIELD_INDEX(&list, index++);

		check_rule(walk, &here, rule, &path);
	}
	walk_properties(walk, node);
	walk_elements(walk, node);
}

void validate_schema_rules(const struct schema_checks *checks, const struct json *schema, const struct rule_path *path)
{
	const struct cel_env_options fresh = {.version = CEL_VERSION_NEW}, stored = {.version = CEL_VERSION_STORED};
	AUTO(cel_env_unref) struct cel_env *fresh_env = cel_env_new(&fresh);
	AUTO(cel_env_unref) struct cel_env *stored_env = cel_env_new(&stored);
	struct rules_walk walk = {.checks = checks, .fresh = fresh_env, .stored = stored_env};
	struct node root = {.schema = schema, .path = path, .cardinality = 1, .whole = true};

	walk_node(&walk, &root);
	judge_total(&walk, path);
}
