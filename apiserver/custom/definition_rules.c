// SPDX-License-Identifier: Apache-2.0
// Rules in CEL at work. One environment for a version's schema holds the types of all
// nodes that have rules; `self` and `oldSelf` are declared anew for each node. The
// programs of a node hang on it, so a run is one walk over node and object together.
//
// Rules that use oldSelf need an old value that can be told to be the same thing: a
// property, a map's entry, an item of a keyed list. Rules that don't are not asked
// about what didn't change. All evaluations of one object share one budget; when it is
// used up, the rest isn't judged and the object is refused.

#include "apiserver/custom/definition_rules.h"

#include <ctype.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/cel/cel.h"

enum {
	SELF,
	OLD_SELF,
	BINDING_COUNT,
	PATH_MAX_BYTES = 4096,
};

struct rule {
	struct cel_program *program;
	struct cel_program *message_program; // NULL = none
	const char *text;                    // trimmed
	const char *message;                 // "" = none
	const char *reason;                  // "" = FieldValueInvalid
	const char *field_path;              // without its leading dot, "" = none
	bool uses_old;
	bool optional_old;
	const struct cel_type *type; // of self
};

struct node_rules {
	struct node_rules *next;
	struct rule *rules;
	size_t count;
};

struct definition_rules {
	struct cel_env *env;
	struct node_rules *first;
};

// --- compiling -----------------------------------------------------------------------------

static const char *trimmed(struct arena *arena, const struct json *rule, const char *key)
{
	const char *text = json_get_text(rule, key), *end;

	if (!text)
		return "";
	text += strspn(text, " \t\n\r\v\f");
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	return arena_strndup(arena, text, (size_t)(end - text));
}

static struct cel_program *compile(struct cel_env *env, struct arena *arena, const char *text,
                                   const struct cel_type *wanted)
{
	struct cel_compile_result compiled = {0};

	if (cel_compile(env, arena, text, strlen(text), &compiled) < 0)
		return NULL;
	if (cel_type_equal(cel_program_type(compiled.program), wanted))
		return compiled.program;
	return cel_program_free(compiled.program);
}

static bool compile_rule(struct cel_env *env, struct arena *arena, const struct json *json, const struct cel_type *self,
                         struct rule *rule)
{
	const char *path = trimmed(arena, json, "fieldPath"), *message;

	*rule = (struct rule){
	        .text = trimmed(arena, json, "rule"),
	        .message = trimmed(arena, json, "message"),
	        .reason = trimmed(arena, json, "reason"),
	        .field_path = *path == '.' ? path + 1 : path,
	        .optional_old = json_get_bool(json, "optionalOldSelf", false),
	        .type = self,
	};
	(void)cel_env_declare(env, "self", self);
	(void)cel_env_declare(env, "oldSelf", rule->optional_old ? cel_type_optional(env, self) : self);
	rule->program = compile(env, arena, rule->text, &cel_type_bool);
	if (!rule->program)
		return false;
	rule->uses_old = cel_program_uses(rule->program, "oldSelf");
	message = trimmed(arena, json, "messageExpression");
	if (message[0])
		rule->message_program = compile(env, arena, message, &cel_type_string);
	return true;
}

static void compile_node(struct definition_rules *rules, struct arena *arena, struct structural *node,
                         const struct json *schema)
{
	const struct cel_type *self = cel_type_from_openapi(rules->env, schema, node->root || node->embedded);
	struct node_rules *compiled;

	if (!self)
		return;
	compiled = ARENA_NEW(arena, struct node_rules);
	compiled->rules = ARENA_ARRAY(arena, struct rule, node->expressions->length);
	json_for_each_item (rule, node->expressions)
		compiled->count += compile_rule(rules->env, arena, rule, self, &compiled->rules[compiled->count]);
	compiled->next = rules->first;
	rules->first = compiled;
	node->programs = compiled;
}

static void compile_below(struct definition_rules *rules, struct arena *arena, struct structural *node,
                          const struct json *schema)
{
	const struct json *properties = json_get(schema, "properties");

	if (!node->has_expressions)
		return;
	if (node->expressions)
		compile_node(rules, arena, node, schema);
	for (uint32_t i = 0; i < node->property_count; i++)
		compile_below(rules, arena, node->properties[i].node,
		              json_get_n(properties, node->properties[i].name, node->properties[i].length));
	if (node->items)
		compile_below(rules, arena, (struct structural *)node->items, json_get(schema, "items"));
	if (node->element)
		compile_below(rules, arena, (struct structural *)node->element,
		              json_get(schema, "additionalProperties"));
}

struct definition_rules *definition_rules_new(struct arena *arena, struct structural *root, const struct json *schema)
{
	const struct cel_env_options options = {.version = CEL_VERSION_STORED};
	struct definition_rules *rules;

	if (!root->has_expressions)
		return NULL;
	rules = ARENA_NEW(arena, struct definition_rules);
	rules->env = cel_env_new(&options);
	compile_below(rules, arena, root, schema);
	return rules;
}

void definition_rules_free(struct definition_rules *rules)
{
	if (!rules)
		return;
	for (const struct node_rules *node = rules->first; node; node = node->next)
		for (size_t i = 0; i < node->count; i++) {
			cel_program_free(node->rules[i].program);
			cel_program_free(node->rules[i].message_program);
		}
	cel_env_unref(rules->env);
}

// --- paths ---------------------------------------------------------------------------------

struct place {
	const struct place *parent;
	const char *name; // NULL: an index
	bool is_key;
	uint32_t index;
};

static void write_place(struct strbuf *out, const struct place *place)
{
	if (!place)
		return;
	write_place(out, place->parent);
	if (!place->name)
		strbuf_printf(out, "[%u]", place->index);
	else if (place->is_key)
		strbuf_printf(out, "[%s]", place->name);
	else
		strbuf_printf(out, "%s%s", out->length ? "." : "", place->name);
}

// --- evaluating ------------------------------------------------------------------------------

struct walk {
	struct arena *arena;
	struct cel_run run;
	struct structural_errors *errors;
	bool exhausted; // nothing more is judged
};

static const char *type_name(const struct structural *node)
{
	static const char *const names[] = {
	        [STRUCTURAL_NONE] = "",          [STRUCTURAL_OBJECT] = "object",   [STRUCTURAL_ARRAY] = "array",
	        [STRUCTURAL_STRING] = "string",  [STRUCTURAL_INTEGER] = "integer", [STRUCTURAL_NUMBER] = "number",
	        [STRUCTURAL_BOOLEAN] = "boolean"};

	return names[node->value_type];
}

static const char *field_text(struct walk *walk, const struct place *place, const char *below)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);

	write_place(&text, place);
	if (below[0])
		strbuf_printf(&text, "%s%s", text.length && below[0] != '[' ? "." : "", below);
	return text.length ? arena_strdup(walk->arena, strbuf_text(&text)) : "<nil>";
}

static void refuse(struct walk *walk, const struct structural *node, const struct place *place, const char *below,
                   const char *reason, const char *detail)
{
	static const struct {
		const char *reason, *label;
		bool has_value, has_detail;
	} forms[] = {
	        {"FieldValueForbidden", "Forbidden", false, true},
	        {"FieldValueRequired", "Required value", false, true},
	        {"FieldValueDuplicate", "Duplicate value", true, false},
	        {"FieldValueInvalid", "Invalid value", true, true},
	};
	size_t form = 0;

	while (form + 1 < ARRAY_SIZE(forms) && strcmp(forms[form].reason, reason))
		form++;
	structural_error_add(
	        walk->arena, walk->errors, forms[form].reason, field_text(walk, place, below),
	        arena_printf(walk->arena, "%s%s%s%s%s%s", forms[form].label, forms[form].has_value ? ": \"" : "",
	                     forms[form].has_value ? type_name(node) : "", forms[form].has_value ? "\"" : "",
	                     forms[form].has_detail ? ": " : "", forms[form].has_detail ? detail : ""));
}

static const char *shown_rule(const struct rule *rule)
{
	return rule->message[0] ? rule->message : rule->text;
}

static void refuse_error(struct walk *walk, const struct structural *node, const struct place *place,
                         const struct rule *rule, const struct cel_error *error)
{
	const char *detail;

	switch (error->kind) {
	case CEL_ERROR_BUDGET:
		walk->exhausted = true;
		detail = "validation failed due to running out of cost budget, no further validation rules will be run";
		break;
	case CEL_ERROR_COST_LIMIT:
		walk->exhausted = true;
		detail =
		        arena_printf(walk->arena,
		                     "'%s': no further validation rules will be run due to call cost exceeds limit for "
		                     "rule: %s",
		                     error->message, shown_rule(rule));
		break;
	default:
		if (!strncmp(error->message, "no such overload", strlen("no such overload")))
			detail = arena_printf(walk->arena,
			                      "'%s': call arguments did not match a supported operator, function or "
			                      "macro signature for rule: %s",
			                      error->message, shown_rule(rule));
		else
			detail = arena_printf(walk->arena, "%s evaluating rule: %s", error->message, shown_rule(rule));
		break;
	}
	refuse(walk, node, place, "", "FieldValueInvalid", detail);
}

static bool is_one_line(const char *text, size_t length)
{
	return !memchr(text, '\n', length) && !memchr(text, '\r', length);
}

// The rule's words for an object that it refuses. NULL: nothing more to be said, the budget is gone.
static const char *message_of(struct walk *walk, const struct rule *rule, const struct cel_binding *bindings)
{
	const char *fallback =
	        rule->message[0] ? rule->message : arena_printf(walk->arena, "failed rule: %s", rule->text);
	struct cel_value value;
	struct cel_error error = {0};
	const char *text;
	size_t length;

	if (!rule->message_program)
		return fallback;
	if (cel_eval(rule->message_program, &walk->run, bindings, BINDING_COUNT, &value, &error) < 0) {
		if (error.kind == CEL_ERROR_BUDGET)
			walk->exhausted = true;
		return fallback;
	}
	text = cel_value_text(&value, &length);
	while (length && isspace((unsigned char)*text))
		text++, length--;
	while (length && isspace((unsigned char)text[length - 1]))
		length--;
	if (!length || length > CEL_MESSAGE_MAX_BYTES || !is_one_line(text, length))
		return fallback;
	return arena_strndup(walk->arena, text, length);
}

static struct cel_binding old_binding(struct walk *walk, const struct rule *rule, const struct json *old)
{
	struct cel_value value;

	if (!rule->optional_old)
		return cel_bind_json(old);
	value = cel_value_json(walk->arena, old, rule->type);
	return cel_bind_value(cel_value_optional(walk->arena, old ? &value : NULL));
}

static void judge(struct walk *walk, const struct structural *node, const struct rule *rule, const struct json *value,
                  const struct json *old, const struct place *place)
{
	struct cel_binding bindings[BINDING_COUNT] = {[SELF] = cel_bind_json(value)};
	struct cel_value result;
	struct cel_error error = {0};

	if (rule->uses_old && !old && !rule->optional_old)
		return;
	if (!rule->uses_old && old && json_equal(value, old))
		return;
	if (rule->uses_old)
		bindings[OLD_SELF] = old_binding(walk, rule, old);
	if (cel_eval(rule->program, &walk->run, bindings, BINDING_COUNT, &result, &error) < 0)
		refuse_error(walk, node, place, rule, &error);
	else if (!cel_value_is_true(&result))
		refuse(walk, node, place, rule->field_path, rule->reason, message_of(walk, rule, bindings));
}

static void check(struct walk *walk, const struct structural *node, const struct json *value, const struct json *old,
                  const struct place *place);

static void check_members(struct walk *walk, const struct structural *node, const struct json *value,
                          const struct json *old, const struct place *place)
{
	bool correlated = json_is(old, JSON_OBJECT) && !node->type.atomic;

	json_for_each_member (member, value) {
		const struct structural *property = structural_property(node, member->key, member->key_length);
		struct place here = {place, member->key, !property, 0};

		if (property || node->element)
			check(walk, property ? property : node->element, member->value,
			      correlated ? json_get_n(old, member->key, member->key_length) : NULL, &here);
	}
}

static void check(struct walk *walk, const struct structural *node, const struct json *value, const struct json *old,
                  const struct place *place)
{
	const struct node_rules *rules = node->programs;

	if (!node->has_expressions || value->type == JSON_NULL)
		return;
	if (json_is_null(old))
		old = NULL;
	for (size_t i = 0; rules && i < rules->count && !walk->exhausted; i++)
		judge(walk, node, &rules->rules[i], value, old, place);
	if (walk->exhausted)
		return;
	if (value->type == JSON_OBJECT)
		check_members(walk, node, value, old, place);
	for (uint32_t i = 0; value->type == JSON_ARRAY && node->items && i < value->length; i++) {
		struct place here = {place, NULL, false, i};

		check(walk, node->items, value->items[i], structural_old_item(node, old, value->items[i]), &here);
	}
}

void definition_rules_check(struct arena *arena, const struct structural *root, const struct json *object,
                            const struct json *old, struct structural_errors *errors)
{
	struct walk walk = {.arena = arena, .run = CEL_RUN_INIT(arena), .errors = errors};

	walk.run.budget = CEL_RUNTIME_BUDGET;
	check(&walk, root, object, old, NULL);
}
