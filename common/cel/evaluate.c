// SPDX-License-Identifier: Apache-2.0
//
// Evaluation by walking the tree. Each kind of node has a function; costs are added where
// upstream's interpreter observes them:
//
//	identifier, selection, index     1 each, whatever they are made of
//	has(a.b)                         what `a` costs
//	&&, ||, ?:                       nothing; of a branch that is a plain variable, selection or
//	                                 index the variable itself is free
//	list, map, message               10, 30, 40; literals of constants nothing
//	call                             by the rule of its overload (cost.c)
//
// Errors travel as values. A function sees no errors: a call with one yields the first.
#include <string.h>

#include "common/cel/evaluate.h"
#include "common/cel/regex.h"

enum {
	COST_LIST = 10,
	COST_MAP = 30,
	COST_MESSAGE = 40,
};

// --- logic ---------------------------------------------------------------------------------

static struct cel_value not_bool(const struct cel_value *value)
{
	return cel_is_error(value) ? *value : cel_no_such_overload();
}

// && when `deciding` is false, || when it is true.
static struct cel_value eval_logic(struct cel_eval *eval, const struct cel_expr *expr, bool deciding)
{
	struct cel_value left = cel_evaluate(eval, expr->call.operands[0]);
	if (left.kind == CEL_BOOL && left.boolean == deciding)
		return left;
	if (eval->aborted)
		return left;
	struct cel_value right = cel_evaluate(eval, expr->call.operands[1]);
	if (right.kind == CEL_BOOL && right.boolean == deciding)
		return right;
	if (left.kind == CEL_BOOL && right.kind == CEL_BOOL)
		return cel_value_bool(!deciding);
	if (cel_is_error(&left) || left.kind != CEL_BOOL)
		return not_bool(&left);
	return not_bool(&right);
}

static bool is_plain_access(const struct cel_expr *expr)
{
	if (expr->kind == CEL_EXPR_IDENT)
		return true;
	if (expr->kind == CEL_EXPR_SELECT)
		return !expr->test_only;
	return expr->kind == CEL_EXPR_CALL && expr->call.call_kind >= CEL_CALL_INDEX &&
	       expr->call.call_kind <= CEL_CALL_OPTIONAL_SELECT;
}

static struct cel_value eval_conditional(struct cel_eval *eval, const struct cel_expr *expr)
{
	struct cel_value condition = cel_evaluate(eval, expr->call.operands[0]);
	if (condition.kind != CEL_BOOL)
		return not_bool(&condition);
	const struct cel_expr *branch = expr->call.operands[condition.boolean ? 1 : 2];
	struct cel_value value = cel_evaluate(eval, branch);
	if (is_plain_access(branch) && !cel_is_error(&value))
		eval->cost--;
	return value;
}

static struct cel_value eval_not_strictly_false(struct cel_eval *eval, const struct cel_expr *expr)
{
	struct cel_value value = cel_evaluate(eval, expr->call.operands[0]);
	if (eval->aborted)
		return value;
	return cel_spend(eval, 1, cel_value_bool(!(value.kind == CEL_BOOL && !value.boolean)));
}

static struct cel_value eval_optional_or(struct cel_eval *eval, const struct cel_expr *expr)
{
	struct cel_value left = cel_evaluate(eval, expr->call.operands[0]);
	if (cel_is_error(&left))
		return left;
	if (left.kind != CEL_OPTIONAL)
		return cel_no_such_overload();
	if (!cel_has_value(&left))
		return cel_evaluate(eval, expr->call.operands[1]);
	return expr->call.call_kind == CEL_CALL_OPTIONAL_OR ? left : *left.inner;
}

// --- calls -----------------------------------------------------------------------------------

static struct cel_value eval_equality(struct cel_eval *eval, const struct cel_expr *expr)
{
	struct cel_value args[2];
	for (int i = 0; i < 2; i++)
		args[i] = cel_evaluate(eval, expr->call.operands[i]);
	if (cel_is_error(&args[0]) || cel_is_error(&args[1]))
		return cel_spend(eval, cel_call_cost(CEL_COST_EQUAL, args, 2, &args[0]),
		                 args[cel_is_error(&args[0]) ? 0 : 1]);
	bool equal = cel_equal(eval, &args[0], &args[1]);
	struct cel_value result = cel_value_bool(equal == (expr->call.call_kind == CEL_CALL_EQUAL));
	return cel_spend(eval, cel_call_cost(CEL_COST_EQUAL, args, 2, &result), result);
}

static const struct cel_overload *choose_overload(const struct cel_expr *expr, const struct cel_value *args)
{
	for (uint32_t i = 0; i < expr->call.overload_count; i++)
		if (cel_overload_accepts(expr->call.overloads[i], args, expr->call.operand_count))
			return expr->call.overloads[i];
	return NULL;
}

// Costs count the characters of texts, which is work even where the cost comes out small.
static uint64_t measuring_work(enum cel_cost_rule rule, const struct cel_value *args, uint32_t count)
{
	uint64_t bytes = 0;
	if (rule == CEL_COST_COMPARE) // looks at the shorter text alone
		return 0;
	for (uint32_t i = 0; i < count; i++)
		bytes += args[i].kind == CEL_STRING ? args[i].length : 0;
	return bytes / 16;
}

static struct cel_value eval_function(struct cel_eval *eval, const struct cel_expr *expr)
{
	struct cel_value args[CEL_MAX_PARAMS];
	uint32_t count = expr->call.operand_count;
	const struct cel_value *error = NULL;
	for (uint32_t i = 0; i < count; i++) {
		args[i] = cel_evaluate(eval, expr->call.operands[i]);
		if (cel_is_error(&args[i]) && count > 2)
			return args[i];
		if (cel_is_error(&args[i]) && !error)
			error = &args[i];
	}
	if (error) // calls with one or two operands evaluate and cost them all
		return cel_spend(eval, 1, *error);
	const struct cel_overload *overload = choose_overload(expr, args);
	if (!overload)
		return cel_no_such_overload();
	struct cel_value result = overload->row->call(eval, expr, args, count);
	// Upstream knows no overload, so no rule, when the operands' types are only known here.
	bool known = expr->call.overload_count == 1 || overload->row->by_name;
	enum cel_cost_rule rule = known ? overload->row->cost : CEL_COST_ONE;
	if (rule == CEL_COST_IN_LIST && expr->call.operands[1]->constant)
		return cel_spend(eval, 0, result);
	if (rule == CEL_COST_ONE)
		return cel_spend(eval, 1, result);
	return cel_work(eval, measuring_work(rule, args, count))
	               ? cel_spend(eval, cel_call_cost(rule, args, count, &result), result)
	               : cel_abort(eval);
}

static struct cel_value eval_call(struct cel_eval *eval, const struct cel_expr *expr)
{
	switch (expr->call.call_kind) {
	case CEL_CALL_AND:
		return eval_logic(eval, expr, false);
	case CEL_CALL_OR:
		return eval_logic(eval, expr, true);
	case CEL_CALL_CONDITIONAL:
		return eval_conditional(eval, expr);
	case CEL_CALL_NOT_STRICTLY_FALSE:
		return eval_not_strictly_false(eval, expr);
	case CEL_CALL_INDEX:
	case CEL_CALL_OPTIONAL_INDEX:
		return cel_eval_index(eval, expr);
	case CEL_CALL_OPTIONAL_SELECT:
		return cel_eval_optional_select(eval, expr);
	case CEL_CALL_OPTIONAL_OR:
	case CEL_CALL_OPTIONAL_OR_VALUE:
		return eval_optional_or(eval, expr);
	case CEL_CALL_EQUAL:
	case CEL_CALL_NOT_EQUAL:
		return eval_equality(eval, expr);
	default:
		return eval_function(eval, expr);
	}
}

// --- literals of several values ----------------------------------------------------------------

// Takes the value out of an optional element; false when it is left out, or *value an error.
static bool take_optional(struct cel_eval *eval, const char *what, struct cel_value *value)
{
	if (value->kind != CEL_OPTIONAL) {
		*value = cel_fail(eval, "cannot initialize optional %s from non-optional value", what);
		return false;
	}
	if (!cel_has_value(value))
		return false;
	*value = *value->inner;
	return true;
}

static struct cel_value eval_list(struct cel_eval *eval, const struct cel_expr *expr)
{
	if (expr->constant && expr->list.made.kind == CEL_LIST)
		return expr->list.made;
	struct cel_value list = cel_list_new(eval, expr->list.count);
	for (uint32_t i = 0; i < expr->list.count; i++) {
		struct cel_value item = cel_evaluate(eval, expr->list.items[i]);
		if (cel_is_error(&item))
			return cel_spend(eval, COST_LIST, item);
		if (expr->list.optional && expr->list.optional[i] && !take_optional(eval, "list element", &item)) {
			if (cel_is_error(&item))
				return item;
			continue;
		}
		if (!cel_list_add(eval, &list, item))
			return list;
	}
	return cel_spend(eval, COST_LIST, list);
}

static struct cel_value eval_map_entry(struct cel_eval *eval, const struct cel_expr *expr, uint32_t number,
                                       struct cel_value *map)
{
	struct cel_value key = cel_evaluate(eval, expr->map.keys[number]);
	if (cel_is_error(&key))
		return key;
	struct cel_value value = cel_evaluate(eval, expr->map.values[number]);
	if (cel_is_error(&value))
		return value;
	if (!cel_usable_key(&key))
		return cel_fail_text("unsupported key type");
	if (expr->map.optional && expr->map.optional[number] && !take_optional(eval, "entry", &value))
		return cel_is_error(&value) ? value : cel_value_null();
	switch (cel_map_insert(eval, map, key, value)) {
	case CEL_INSERTED:
		return cel_value_null();
	case CEL_INSERT_EXISTS:
		key = cel_convert_string(eval, &key);
		return cel_fail(eval, "Failed with repeated key: %.*s", key.length > 256 ? 256 : (int)key.length,
		                key.text);
	default:
		return *map;
	}
}

static struct cel_value eval_map(struct cel_eval *eval, const struct cel_expr *expr)
{
	if (expr->constant && expr->map.made.kind == CEL_MAP)
		return expr->map.made;
	struct cel_value map = cel_map_new(eval, expr->map.count);
	for (uint32_t i = 0; i < expr->map.count && map.kind == CEL_MAP; i++) {
		struct cel_value failure = eval_map_entry(eval, expr, i, &map);
		if (cel_is_error(&failure))
			return failure;
	}
	return cel_spend(eval, COST_MAP, map);
}

static struct cel_value eval_message(struct cel_eval *eval, const struct cel_expr *expr)
{
	uint32_t count = expr->message.count;
	struct cel_object *object = cel_allocate(eval, sizeof(*object));
	struct cel_text *names = cel_allocate(eval, count * sizeof(*names));
	struct cel_value *values = cel_allocate(eval, count * sizeof(*values));
	if (!object || !names || !values)
		return cel_abort(eval);
	*object = (struct cel_object){.names = names, .values = values};
	for (uint32_t i = 0; i < count; i++) {
		struct cel_value value = cel_evaluate(eval, expr->message.values[i]);
		if (cel_is_error(&value))
			return value;
		if (expr->message.optional && expr->message.optional[i] && !take_optional(eval, "field", &value)) {
			if (cel_is_error(&value))
				return value;
			continue;
		}
		names[object->count] = expr->message.fields[i];
		values[object->count++] = value;
	}
	struct cel_value made = {.kind = CEL_OBJECT, .flags = CEL_FORM_MADE, .type = expr->type, .object = object};
	return cel_spend(eval, COST_MESSAGE, made);
}

// --- folds ----------------------------------------------------------------------------------------

static void set_variables(struct cel_eval *eval, const struct cel_expr *expr, const struct cel_value *range,
                          uint32_t number)
{
	struct cel_value *first = &eval->locals[expr->fold.variable_slot];
	if (range->kind == CEL_LIST) {
		struct cel_value item = cel_list_get(eval, range, number);
		if (expr->fold.second.text) {
			eval->locals[expr->fold.second_slot] = item;
			item = cel_value_int(number);
		}
		*first = item;
		return;
	}
	struct cel_value key, value;
	cel_map_entry(eval, range, number, &key, &value);
	*first = key;
	if (expr->fold.second.text)
		eval->locals[expr->fold.second_slot] = value;
}

static struct cel_value eval_fold(struct cel_eval *eval, const struct cel_expr *expr)
{
	struct cel_value *accumulator = &eval->locals[expr->fold.accumulator_slot];
	struct cel_value range = cel_evaluate(eval, expr->fold.range);
	if (cel_is_error(&range))
		return range;
	if (range.kind != CEL_LIST && range.kind != CEL_MAP)
		return cel_no_such_overload();
	*accumulator = cel_evaluate(eval, expr->fold.init);
	for (uint32_t i = 0; i < range.length; i++) {
		set_variables(eval, expr, &range, i);
		struct cel_value condition = cel_evaluate(eval, expr->fold.condition);
		if (!cel_value_is_true(&condition) || !cel_work(eval, 1))
			break;
		struct cel_value next = cel_evaluate(eval, expr->fold.step);
		*accumulator = next;
		if (eval->aborted)
			break;
	}
	if (eval->aborted)
		return cel_abort(eval);
	return cel_evaluate(eval, expr->fold.result);
}

struct cel_value cel_evaluate(struct cel_eval *eval, const struct cel_expr *expr)
{
	switch (expr->kind) {
	case CEL_EXPR_LITERAL:
		return expr->literal;
	case CEL_EXPR_IDENT:
		return cel_eval_ident(eval, expr);
	case CEL_EXPR_SELECT:
		return cel_eval_select(eval, expr);
	case CEL_EXPR_CALL:
		return eval_call(eval, expr);
	case CEL_EXPR_LIST:
		return eval_list(eval, expr);
	case CEL_EXPR_MAP:
		return eval_map(eval, expr);
	case CEL_EXPR_MESSAGE:
		return eval_message(eval, expr);
	default:
		return eval_fold(eval, expr);
	}
}

// --- the whole --------------------------------------------------------------------------------------

enum { DEFAULT_MEMORY = 64 * 1024 * 1024 };

static void drop_indexes(struct cel_eval *eval)
{
	if (!eval->indexes)
		return;
	for (size_t i = 0; i < CEL_INDEX_SLOTS; i++)
		if (eval->indexes[i].made)
			json_index_done(&eval->indexes[i].index);
}

static int finish(struct cel_eval *eval, struct cel_run *run, struct cel_value value, struct cel_value *ret_value,
                  struct cel_error *error)
{
	run->cost = eval->cost;
	if (eval->aborted) {
		*error = (struct cel_error){eval->abort_kind, eval->abort_message};
		run->budget -= run->budget == UINT64_MAX ? 0 : eval->cost < run->budget ? eval->cost : run->budget;
		return -ERR_INVALID;
	}
	if (run->budget != UINT64_MAX && eval->cost > run->budget) {
		run->budget = 0;
		*error = (struct cel_error){CEL_ERROR_BUDGET, "validation failed due to running out of cost budget, "
		                                              "no further validation rules will be run"};
		return -ERR_INVALID;
	}
	run->budget -= run->budget == UINT64_MAX ? 0 : eval->cost;
	if (cel_is_error(&value)) {
		*error = (struct cel_error){CEL_ERROR_EVALUATION, value.text};
		return -ERR_INVALID;
	}
	*ret_value = value;
	return 0;
}

int cel_eval(const struct cel_program *program, struct cel_run *run, const struct cel_binding *bindings, size_t count,
             struct cel_value *ret_value, struct cel_error *error)
{
	struct cel_value few_locals[16];
	struct cel_eval eval = {
	        .run = run,
	        .arena = run->arena,
	        .program = program,
	        .bindings = bindings,
	        .binding_count = count,
	        .locals = few_locals,
	        .limit = run->limit,
	        .max_memory = run->max_memory_bytes ? run->max_memory_bytes : DEFAULT_MEMORY,
	};
	if (program->local_count > ARRAY_SIZE(few_locals))
		eval.locals = ARENA_ARRAY(run->arena, struct cel_value, program->local_count);
	struct cel_value value = cel_evaluate(&eval, program->root);
	drop_indexes(&eval);
	return finish(&eval, run, value, ret_value, error);
}
