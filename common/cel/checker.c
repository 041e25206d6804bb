// SPDX-License-Identifier: Apache-2.0
//
// Types of an expression. Type variables stand for what isn't known yet (the elements of
// [], the parameters of a generic function); unifying two types binds them. A trial that
// fails is undone from a trail. A call keeps every overload that its operands allow: one
// when the types are known, several when some are dyn, and then the choice is made at run
// time. Names are resolved here as well: variables, folds' variables, types, functions
// with dotted names.
#include <string.h>

#include "common/base/duration.h"
#include "common/cel/checker_internal.h"
#include "common/cel/evaluate.h"
#include "common/cel/regex.h"

static void check(struct checker *checker, struct cel_expr *expr);

// --- messages ---------------------------------------------------------------------------------

static const char *show(struct checker *checker, const struct cel_type *type)
{
	return cel_type_format(checker->arena, type);
}

static void mismatch(struct checker *checker, uint32_t offset, const struct cel_type *expected,
                     const struct cel_type *found)
{
	cel_issue(checker->issues, offset, "expected type '%s' but found '%s'", show(checker, expected),
	          show(checker, found));
}

static void undeclared(struct checker *checker, struct cel_expr *expr, const char *name)
{
	expr->type = &cel_type_error;
	cel_issue(checker->issues, expr->offset, "undeclared reference to '%s' (in container '%s')", name,
	          checker->env->container);
}

// --- names ----------------------------------------------------------------------------------------

static const struct scope *find_local(const struct checker *checker, const char *name)
{
	for (const struct scope *scope = checker->scope; scope; scope = scope->outer)
		if (strcmp(scope->name, name) == 0)
			return scope;
	return NULL;
}

// Makes the node a name of what is declared; false when nothing is.
static bool resolve_name(struct checker *checker, struct cel_expr *expr, const char *name, bool absolute)
{
	const struct scope *local = absolute ? NULL : find_local(checker, name);
	int variable = local ? -1 : cel_env_find_variable(checker->env, name, absolute);
	const struct cel_type *type =
	        local || variable >= 0 ? NULL : cel_env_find_type(checker->env, checker->arena, name);
	if (!local && variable < 0 && !type)
		return false;
	expr->kind = CEL_EXPR_IDENT;
	expr->ident.name = (struct cel_text){name, strlen(name)};
	expr->ident.variable = variable;
	expr->ident.local = -1; // the planner's
	expr->ident.type_value = type;
	if (local)
		expr->type = local->type;
	else if (type)
		expr->type = cel_type_make_type(checker->arena, type);
	else
		expr->type = checker->env->variables[variable].type;
	return true;
}

static void check_ident(struct checker *checker, struct cel_expr *expr)
{
	struct cel_text name = expr->ident.name;
	if (!resolve_name(checker, expr, name.text, expr->absolute))
		undeclared(checker, expr, name.text);
}

// "a.b.c" of plain selections; NULL when it is something else. *ret_root: the first name's node.
static const char *qualified_name(struct checker *checker, const struct cel_expr *expr,
                                  const struct cel_expr **ret_root)
{
	if (expr->kind == CEL_EXPR_IDENT) {
		*ret_root = expr;
		return expr->ident.name.text;
	}
	if (expr->kind != CEL_EXPR_SELECT || expr->test_only)
		return NULL;
	const char *outer = qualified_name(checker, expr->select.operand, ret_root);
	return outer ? arena_printf(checker->arena, "%s.%s", outer, expr->select.field.text) : NULL;
}

static const struct cel_type *field_type(struct checker *checker, struct cel_expr *expr, const struct cel_type *object,
                                         const struct cel_text *name)
{
	if (object->open)
		return &cel_type_dyn;
	const struct cel_field *field = cel_type_find_field(object, name->text, name->length);
	if (!field) {
		cel_issue(checker->issues, expr->offset, "undefined field '%s'", name->text);
		return &cel_type_error;
	}
	if (expr->kind == CEL_EXPR_SELECT) {
		expr->select.declared = field;
		expr->select.object = object;
	}
	return field->type;
}

static const struct cel_type *selected_type(struct checker *checker, struct cel_expr *expr, struct cel_expr *operand,
                                            const struct cel_text *name, bool optional)
{
	check(checker, operand);
	const struct cel_type *type = checker_substitute(checker, operand->type, false),
	                      *target = cel_type_unwrap(type), *result = &cel_type_dyn;
	switch (target->kind) {
	case CEL_TYPE_MAP:
		result = target->params[1];
		break;
	case CEL_TYPE_OBJECT:
		result = field_type(checker, expr, target, name);
		break;
	case CEL_TYPE_PARAM:
		(void)checker_try_assign(checker, &cel_type_dyn, target);
		break;
	default:
		if (!cel_type_is_dyn(target))
			cel_issue(checker->issues, expr->offset, "type '%s' does not support field selection",
			          show(checker, target));
	}
	return target != type || optional ? cel_type_make_optional(checker->arena, result) : result;
}

static void check_select(struct checker *checker, struct cel_expr *expr)
{
	const struct cel_expr *root = NULL;
	const char *name = qualified_name(checker, expr, &root);
	if (name && !find_local(checker, root->ident.name.text) && resolve_name(checker, expr, name, root->absolute))
		return;
	struct cel_text field = expr->select.field;
	const struct cel_type *type = selected_type(checker, expr, expr->select.operand, &field, false);
	expr->type = expr->test_only ? &cel_type_bool : checker_substitute(checker, type, false);
}

// --- calls --------------------------------------------------------------------------------------------

struct operands {
	const struct cel_type *types[CEL_MAX_PARAMS + 1];
	size_t count;
	bool member;
};

static bool overload_fits(struct checker *checker, const struct cel_overload *overload, const struct operands *operands,
                          const struct cel_type **ret_result)
{
	const struct cel_type *fresh[2] = {NULL, NULL};
	size_t mark = checker->trail_count;
	if (overload->member != operands->member || overload->param_count != operands->count)
		return false;
	for (size_t i = 0; i < operands->count; i++) {
		const struct cel_type *param = overload->generic
		                                       ? checker_instantiate(checker, overload->params[i], fresh)
		                                       : overload->params[i];
		if (!checker_assignable(checker, operands->types[i], param)) {
			checker_undo(checker, mark);
			return false;
		}
	}
	*ret_result =
	        overload->generic
	                ? checker_substitute(checker, checker_instantiate(checker, overload->result, fresh), false)
	                : overload->result;
	return true;
}

static const char *signature_text(struct checker *checker, const struct operands *operands)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(64 * 1024);
	size_t first = 0;
	if (operands->member) {
		strbuf_printf(&out, "%s.", show(checker, checker_substitute(checker, operands->types[0], true)));
		first = 1;
	}
	strbuf_append_char(&out, '(');
	for (size_t i = first; i < operands->count; i++)
		strbuf_printf(&out, "%s%s", i > first ? ", " : "",
		              show(checker, checker_substitute(checker, operands->types[i], true)));
	strbuf_append_char(&out, ')');
	return arena_strdup(checker->arena, strbuf_text(&out));
}

static void add_overload(struct checker *checker, struct cel_expr *expr, const struct cel_overload *overload)
{
	uint32_t count = expr->call.overload_count;
	expr->call.overloads =
	        arena_realloc(checker->arena, expr->call.overloads, count * sizeof(expr->call.overloads[0]),
	                      (count + 1) * sizeof(expr->call.overloads[0]));
	expr->call.overloads[expr->call.overload_count++] = overload;
}

static void resolve_overloads(struct checker *checker, struct cel_expr *expr, const struct cel_overload *first,
                              const struct operands *operands)
{
	const struct cel_type *result = NULL, *one;
	for (const struct cel_overload *overload = first; overload;
	     overload = cel_env_next_overload(checker->env, overload)) {
		if (!overload_fits(checker, overload, operands, &one))
			continue;
		add_overload(checker, expr, overload);
		if (!result)
			result = one;
		else if (result->kind != CEL_TYPE_DYN && !cel_type_equal(result, one))
			result = &cel_type_dyn;
	}
	expr->type = result ? result : &cel_type_error;
	if (!result)
		cel_issue(checker->issues, expr->offset, "found no matching overload for '%s' applied to '%s'",
		          first->row->function, signature_text(checker, operands));
}

// Logic takes its operands one by one, so that each is judged for itself.
static void check_logic(struct checker *checker, struct cel_expr *expr, const struct cel_overload *overload)
{
	expr->type = &cel_type_bool;
	for (uint32_t i = 0; i < expr->call.count; i++) {
		struct cel_expr *arg = expr->call.args[i];
		if (checker_try_assign(checker, arg->type, &cel_type_bool))
			continue;
		mismatch(checker, arg->offset, &cel_type_bool, arg->type);
		expr->type = &cel_type_error;
	}
	add_overload(checker, expr, overload);
}

static void resolve_call(struct checker *checker, struct cel_expr *expr, const struct cel_overload *first)
{
	struct operands operands = {.member = expr->call.target != NULL};
	const char *name = first->row->function;
	expr->call.function = (struct cel_text){name, strlen(name)};
	if (strcmp(name, "_&&_") == 0 || strcmp(name, "_||_") == 0) {
		check_logic(checker, expr, first);
		return;
	}
	if (operands.member)
		operands.types[operands.count++] = expr->call.target->type;
	for (uint32_t i = 0; i < expr->call.count && operands.count <= CEL_MAX_PARAMS; i++)
		operands.types[operands.count++] = expr->call.args[i]->type;
	resolve_overloads(checker, expr, first, &operands);
}

static void check_optional_select(struct checker *checker, struct cel_expr *expr)
{
	struct cel_text name = {expr->call.args[1]->literal.text, expr->call.args[1]->literal.length};
	check(checker, expr->call.args[1]);
	const struct cel_type *type = selected_type(checker, expr, expr->call.args[0], &name, true);
	expr->type = checker_substitute(checker, type, false);
	add_overload(checker, expr, cel_env_find_function(checker->env, "_?._"));
}

// A function with a dotted name, whose receiver is a part of it.
static bool check_dotted_call(struct checker *checker, struct cel_expr *expr)
{
	const struct cel_expr *root;
	const char *prefix = qualified_name(checker, expr->call.target, &root);
	if (!prefix || find_local(checker, root->ident.name.text))
		return false;
	const char *name = arena_printf(checker->arena, "%s.%s", prefix, expr->call.function.text);
	const struct cel_overload *first = cel_env_find_function(checker->env, name);
	if (!first)
		return false;
	expr->call.target = NULL;
	resolve_call(checker, expr, first);
	return true;
}

// Literals that a function could never take are mistakes.
static bool valid_argument(struct checker *checker, const char *function, const struct cel_value *text)
{
	int64_t integer;
	struct cel_value timestamp;
	const struct cel_regex *regex;
	if (strcmp(function, "duration") == 0)
		return strlen(text->text) == text->length && duration_parse(text->text, &integer);
	if (strcmp(function, "timestamp") == 0)
		return cel_parse_timestamp(text->text, text->length, &timestamp);
	if (strcmp(function, "matches") == 0)
		return cel_regex_compile(checker->arena, text->text, text->length, &regex, NULL) == 0;
	return true;
}

static void check_literal_argument(struct checker *checker, const struct cel_expr *expr)
{
	const struct cel_expr *last = expr->call.count ? expr->call.args[expr->call.count - 1] : NULL;
	const char *function = expr->call.function.text;
	if (!last || last->kind != CEL_EXPR_LITERAL)
		return;
	if (last->literal.kind == CEL_INT && strcmp(function, "timestamp") == 0 &&
	    (last->literal.integer < INT64_C(-62135596800) || last->literal.integer > INT64_C(253402300799)))
		cel_issue(checker->issues, last->offset, "invalid timestamp argument");
	if (last->literal.kind != CEL_STRING)
		return;
	if (!valid_argument(checker, function, &last->literal))
		cel_issue(checker->issues, last->offset, "invalid %s argument", function);
}

static void check_call(struct checker *checker, struct cel_expr *expr)
{
	const char *name = expr->call.function.text;
	if (strcmp(name, "_?._") == 0) {
		check_optional_select(checker, expr);
		return;
	}
	bool was_in_format = checker->in_format;
	checker->in_format = was_in_format || strcmp(name, "format") == 0;
	for (uint32_t i = 0; i < expr->call.count; i++)
		check(checker, expr->call.args[i]);
	checker->in_format = was_in_format;
	if (expr->call.target) {
		if (check_dotted_call(checker, expr))
			return;
		check(checker, expr->call.target);
	}
	const struct cel_overload *first = cel_env_find_function(checker->env, name);
	if (!first) {
		undeclared(checker, expr, name);
		return;
	}
	resolve_call(checker, expr, first);
	if (expr->type->kind != CEL_TYPE_ERROR)
		check_literal_argument(checker, expr);
}

// --- literals of several values --------------------------------------------------------------------

static const struct cel_type *join_types(struct checker *checker, const struct cel_type *previous,
                                         const struct cel_type *current)
{
	if (!previous)
		return current;
	if (checker_try_assign(checker, previous, current))
		return checker_most_general(previous, current);
	return &cel_type_dyn;
}

static const struct cel_type *element_type(struct checker *checker, const struct cel_expr *expr, bool optional)
{
	if (!optional)
		return expr->type;
	const struct cel_type *type = checker_substitute(checker, expr->type, false);
	if (!cel_type_is_optional(type) && !cel_type_is_dyn(type))
		mismatch(checker, expr->offset, cel_type_make_optional(checker->arena, type), type);
	return cel_type_unwrap(type);
}

static void check_list(struct checker *checker, struct cel_expr *expr)
{
	const struct cel_type *element = NULL;
	for (uint32_t i = 0; i < expr->list.count; i++) {
		struct cel_expr *item = expr->list.items[i];
		check(checker, item);
		bool optional = expr->list.optional && expr->list.optional[i];
		element = join_types(checker, element, element_type(checker, item, optional));
	}
	expr->type = cel_type_make_list(checker->arena, element ? element : checker_new_variable(checker));
}

static void check_map(struct checker *checker, struct cel_expr *expr)
{
	const struct cel_type *key = NULL, *value = NULL;
	for (uint32_t i = 0; i < expr->map.count; i++) {
		struct cel_expr *key_expr = expr->map.keys[i], *value_expr = expr->map.values[i];
		check(checker, key_expr);
		key = join_types(checker, key, key_expr->type);
		check(checker, value_expr);
		bool optional = expr->map.optional && expr->map.optional[i];
		value = join_types(checker, value, element_type(checker, value_expr, optional));
	}
	if (!key) {
		key = checker_new_variable(checker);
		value = checker_new_variable(checker);
	}
	expr->type = cel_type_make_map(checker->arena, key, value);
}

static void check_message_field(struct checker *checker, struct cel_expr *expr, uint32_t number)
{
	struct cel_expr *value = expr->message.values[number];
	const struct cel_text *name = &expr->message.fields[number];
	const struct cel_type *declared = &cel_type_dyn;
	check(checker, value);
	if (expr->type->kind == CEL_TYPE_OBJECT && !expr->type->open) {
		const struct cel_field *field = cel_type_find_field(expr->type, name->text, name->length);
		if (!field)
			cel_issue(checker->issues, expr->message.offsets[number], "undefined field '%s'", name->text);
		declared = field ? field->type : &cel_type_error;
	}
	const struct cel_type *given =
	        element_type(checker, value, expr->message.optional && expr->message.optional[number]);
	if (!checker_try_assign(checker, declared, given))
		cel_issue(checker->issues, expr->message.offsets[number],
		          "expected type of field '%s' is '%s' but provided type is '%s'", name->text,
		          show(checker, declared), show(checker, given));
}

static void check_message(struct checker *checker, struct cel_expr *expr)
{
	const char *name = expr->message.name.text;
	const struct cel_type *type = cel_env_find_type(checker->env, checker->arena, name);
	if (!type) {
		undeclared(checker, expr, name);
		return;
	}
	expr->type = type;
	if (type->kind != CEL_TYPE_OBJECT) {
		cel_issue(checker->issues, expr->offset, "'%s' is not a message type", name);
		expr->type = &cel_type_error;
	}
	for (uint32_t i = 0; i < expr->message.count; i++)
		check_message_field(checker, expr, i);
}

// --- folds -----------------------------------------------------------------------------------------------

static void range_types(struct checker *checker, const struct cel_expr *expr, const struct cel_type **ret_first,
                        const struct cel_type **ret_second)
{
	const struct cel_type *range = checker_substitute(checker, expr->fold.range->type, false);
	bool two = expr->fold.second.text != NULL;
	*ret_first = *ret_second = &cel_type_dyn;
	switch (range->kind) {
	case CEL_TYPE_LIST:
		*ret_first = two ? &cel_type_int : range->params[0];
		*ret_second = range->params[0];
		return;
	case CEL_TYPE_MAP:
		*ret_first = range->params[0];
		*ret_second = range->params[1];
		return;
	case CEL_TYPE_PARAM:
		(void)checker_try_assign(checker, &cel_type_dyn, range);
		return;
	default:
		if (cel_type_is_dyn(range))
			return;
		cel_issue(checker->issues, expr->fold.range->offset,
		          "expression of type '%s' cannot be range of a comprehension (must be list, map, or dynamic)",
		          show(checker, range));
		*ret_first = *ret_second = &cel_type_error;
	}
}

static void require(struct checker *checker, const struct cel_expr *expr, const struct cel_type *type)
{
	if (!checker_try_assign(checker, type, expr->type))
		mismatch(checker, expr->offset, type, expr->type);
}

static void check_fold(struct checker *checker, struct cel_expr *expr)
{
	const struct scope *outer = checker->scope;
	const struct cel_type *first, *second;
	check(checker, expr->fold.range);
	check(checker, expr->fold.init);
	range_types(checker, expr, &first, &second);
	struct scope accumulator = {outer, expr->fold.accumulator.text, expr->fold.init->type};
	struct scope first_scope = {&accumulator, expr->fold.variable.text, first};
	struct scope second_scope = {&first_scope, expr->fold.second.text, second};
	checker->scope = expr->fold.second.text ? &second_scope : &first_scope;
	check(checker, expr->fold.condition);
	require(checker, expr->fold.condition, &cel_type_bool);
	check(checker, expr->fold.step);
	require(checker, expr->fold.step, accumulator.type);
	checker->scope = &accumulator;
	check(checker, expr->fold.result);
	checker->scope = outer;
	expr->type = checker_substitute(checker, expr->fold.result->type, false);
}

// --- the whole -------------------------------------------------------------------------------------------

static void note_seen(struct checker *checker, struct cel_expr *expr)
{
	if (checker->seen_count == checker->seen_capacity) {
		size_t old = checker->seen_capacity, capacity = old ? old * 2 : 64;
		checker->seen =
		        arena_realloc(checker->arena, checker->seen, old * sizeof(expr), capacity * sizeof(expr));
		checker->seen_capacity = capacity;
	}
	checker->seen[checker->seen_count++] = expr;
}

static void check(struct checker *checker, struct cel_expr *expr)
{
	static void (*const checks[])(struct checker *, struct cel_expr *) = {
	        [CEL_EXPR_IDENT] = check_ident, [CEL_EXPR_SELECT] = check_select, [CEL_EXPR_CALL] = check_call,
	        [CEL_EXPR_LIST] = check_list,   [CEL_EXPR_MAP] = check_map,       [CEL_EXPR_MESSAGE] = check_message,
	        [CEL_EXPR_FOLD] = check_fold,
	};
	if (expr->checked) // the receiver of optMap stands in the tree twice
		return;
	expr->checked = true;
	expr->in_format = checker->in_format;
	note_seen(checker, expr);
	if (expr->kind == CEL_EXPR_LITERAL)
		expr->type = cel_type_of(&expr->literal);
	else
		checks[expr->kind](checker, expr);
}

// --- literals of one type ------------------------------------------------------------------------

static void compare_items(struct checker *checker, struct cel_expr *const *items, const bool *optional, uint32_t count)
{
	const struct cel_type *first = NULL;
	for (uint32_t i = 0; i < count; i++) {
		const struct cel_type *type = items[i]->type;
		if (optional && optional[i])
			type = cel_type_unwrap(type);
		if (first && !cel_type_equal(first, type)) {
			mismatch(checker, items[i]->offset, first, type);
			return;
		}
		first = first ? first : type;
	}
}

// Kubernetes takes no lists and maps that mix types, but for what is formatted.
static void check_one_type(struct checker *checker, const struct cel_expr *expr)
{
	if (expr->in_format)
		return;
	if (expr->kind == CEL_EXPR_LIST)
		compare_items(checker, expr->list.items, expr->list.optional, expr->list.count);
	if (expr->kind != CEL_EXPR_MAP)
		return;
	compare_items(checker, expr->map.keys, NULL, expr->map.count);
	compare_items(checker, expr->map.values, expr->map.optional, expr->map.count);
}

const struct cel_type *cel_check(struct cel_env *env, struct arena *arena, struct cel_issues *issues,
                                 struct cel_expr *root)
{
	struct checker checker = {.env = env, .arena = arena, .issues = issues};
	check(&checker, root);
	for (size_t i = 0; i < checker.seen_count; i++)
		checker.seen[i]->type = checker_substitute(&checker, checker.seen[i]->type, true);
	for (size_t i = 0; i < checker.seen_count && issues->count == 0 && !env->heterogeneous; i++)
		check_one_type(&checker, checker.seen[i]);
	return root->type;
}
