// SPDX-License-Identifier: Apache-2.0
//
// From text to program: parse, check, plan, estimate. Planning gives folds' variables
// their slots, says how each call is to be treated, compiles literal patterns, and makes
// literals of constants and conversions of literals once, in the program's arena. All of
// a program's memory is that arena; the environment that holds its types is referenced.
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/cel/env.h"
#include "common/cel/evaluate.h"
#include "common/cel/regex.h"

struct slot_scope {
	const struct slot_scope *outer;
	const char *name;
	int slot;
};

struct planner {
	struct cel_program *program;
	struct cel_eval eval; // makes constants
	struct cel_run run;
	const struct slot_scope *scope;
	int next_slot;
};

static void plan(struct planner *planner, struct cel_expr *expr);

// --- calls ------------------------------------------------------------------------------

static const struct {
	const char *function;
	enum cel_call_kind kind;
} special_calls[] = {
        {"_&&_", CEL_CALL_AND},
        {"_||_", CEL_CALL_OR},
        {"_?_:_", CEL_CALL_CONDITIONAL},
        {"@not_strictly_false", CEL_CALL_NOT_STRICTLY_FALSE},
        {"_[_]", CEL_CALL_INDEX},
        {"_[?_]", CEL_CALL_OPTIONAL_INDEX},
        {"_?._", CEL_CALL_OPTIONAL_SELECT},
        {"or", CEL_CALL_OPTIONAL_OR},
        {"orValue", CEL_CALL_OPTIONAL_OR_VALUE},
        {"_==_", CEL_CALL_EQUAL},
        {"_!=_", CEL_CALL_NOT_EQUAL},
};

static enum cel_call_kind call_kind(const char *function)
{
	for (size_t i = 0; i < ARRAY_SIZE(special_calls); i++)
		if (strcmp(special_calls[i].function, function) == 0)
			return special_calls[i].kind;
	return CEL_CALL_FUNCTION;
}

static void gather_operands(struct planner *planner, struct cel_expr *expr)
{
	uint32_t first = expr->call.target != NULL;
	expr->call.operand_count = expr->call.count + first;
	expr->call.operands = expr->call.args;
	if (!first)
		return;
	expr->call.operands = ARENA_ARRAY(planner->program->arena, struct cel_expr *, (size_t)expr->call.operand_count);
	expr->call.operands[0] = expr->call.target;
	for (uint32_t i = 0; i < expr->call.count; i++)
		expr->call.operands[i + 1] = expr->call.args[i];
}

static bool takes_pattern(const char *function)
{
	return strcmp(function, "matches") == 0 || strcmp(function, "find") == 0 || strcmp(function, "findAll") == 0;
}

static void compile_pattern(struct planner *planner, struct cel_expr *expr)
{
	const struct cel_expr *pattern = expr->call.operand_count >= 2 ? expr->call.operands[1] : NULL;
	if (!takes_pattern(expr->call.function.text) || !pattern || pattern->kind != CEL_EXPR_LITERAL ||
	    pattern->literal.kind != CEL_STRING)
		return;
	if (cel_regex_compile(planner->program->arena, pattern->literal.text, pattern->literal.length,
	                      &expr->call.regex, NULL))
		expr->call.regex = NULL; // the error comes when it is used
}

// duration('1h') and the like become literals, unless they fail.
static void fold_conversion(struct planner *planner, struct cel_expr *expr)
{
	if (expr->call.overload_count != 1 || !expr->call.overloads[0]->row->conversion ||
	    expr->call.operand_count != 1 || expr->call.operands[0]->kind != CEL_EXPR_LITERAL)
		return;
	struct cel_value value = cel_evaluate(&planner->eval, expr);
	if (cel_is_error(&value))
		return;
	expr->kind = CEL_EXPR_LITERAL;
	expr->literal = value;
}

static void plan_call(struct planner *planner, struct cel_expr *expr)
{
	expr->call.call_kind = (uint8_t)call_kind(expr->call.function.text);
	gather_operands(planner, expr);
	for (uint32_t i = 0; i < expr->call.operand_count; i++)
		plan(planner, expr->call.operands[i]);
	compile_pattern(planner, expr);
	fold_conversion(planner, expr);
}

// --- constants ----------------------------------------------------------------------------

static bool is_constant(const struct cel_expr *expr)
{
	return expr->kind == CEL_EXPR_LITERAL || expr->constant;
}

// Nobody may append to what all evaluations share.
static void seal_list(struct cel_value *made)
{
	if (made->kind == CEL_LIST)
		made->list->count = made->length + 1;
}

static void seal_map(struct cel_value *made)
{
	if (made->kind == CEL_MAP)
		made->map->count = made->length + 1;
}

static void plan_list(struct planner *planner, struct cel_expr *expr)
{
	bool constant = !expr->list.optional;
	for (uint32_t i = 0; i < expr->list.count; i++) {
		plan(planner, expr->list.items[i]);
		constant = constant && is_constant(expr->list.items[i]);
	}
	if (!constant)
		return;
	expr->list.made = cel_evaluate(&planner->eval, expr);
	seal_list(&expr->list.made);
	expr->constant = expr->list.made.kind == CEL_LIST;
}

static void plan_map(struct planner *planner, struct cel_expr *expr)
{
	bool constant = !expr->map.optional;
	for (uint32_t i = 0; i < expr->map.count; i++) {
		plan(planner, expr->map.keys[i]);
		plan(planner, expr->map.values[i]);
		constant = constant && is_constant(expr->map.keys[i]) && is_constant(expr->map.values[i]);
	}
	if (!constant)
		return;
	expr->map.made = cel_evaluate(&planner->eval, expr);
	seal_map(&expr->map.made);
	expr->constant = expr->map.made.kind == CEL_MAP;
}

// --- folds and names ------------------------------------------------------------------------

static int new_slot(struct planner *planner)
{
	int slot = planner->next_slot++;
	if (planner->program->local_count < (uint32_t)planner->next_slot)
		planner->program->local_count = (uint32_t)planner->next_slot;
	return slot;
}

static void plan_fold(struct planner *planner, struct cel_expr *expr)
{
	const struct slot_scope *outer = planner->scope;
	plan(planner, expr->fold.range);
	plan(planner, expr->fold.init);
	int first_slot = planner->next_slot;
	struct slot_scope accumulator = {outer, expr->fold.accumulator.text, new_slot(planner)};
	struct slot_scope first = {&accumulator, expr->fold.variable.text, new_slot(planner)};
	struct slot_scope second = {&first, expr->fold.second.text, first.slot};
	if (expr->fold.second.text)
		second.slot = new_slot(planner);
	expr->fold.accumulator_slot = accumulator.slot;
	expr->fold.variable_slot = first.slot;
	expr->fold.second_slot = second.slot;
	planner->scope = expr->fold.second.text ? &second : &first;
	plan(planner, expr->fold.condition);
	plan(planner, expr->fold.step);
	planner->scope = &accumulator;
	plan(planner, expr->fold.result);
	planner->scope = outer;
	planner->next_slot = first_slot;
}

static void plan_ident(struct planner *planner, struct cel_expr *expr)
{
	if (expr->ident.variable >= 0) {
		planner->program->uses[expr->ident.variable] = true;
		return;
	}
	if (expr->ident.type_value)
		return;
	for (const struct slot_scope *scope = planner->scope; scope && expr->ident.local < 0; scope = scope->outer)
		if (strcmp(scope->name, expr->ident.name.text) == 0)
			expr->ident.local = scope->slot;
}

static void plan(struct planner *planner, struct cel_expr *expr)
{
	if (expr->planned)
		return;
	expr->planned = true;
	switch (expr->kind) {
	case CEL_EXPR_IDENT:
		plan_ident(planner, expr);
		return;
	case CEL_EXPR_SELECT:
		plan(planner, expr->select.operand);
		return;
	case CEL_EXPR_CALL:
		plan_call(planner, expr);
		return;
	case CEL_EXPR_LIST:
		plan_list(planner, expr);
		return;
	case CEL_EXPR_MAP:
		plan_map(planner, expr);
		return;
	case CEL_EXPR_MESSAGE:
		for (uint32_t i = 0; i < expr->message.count; i++)
			plan(planner, expr->message.values[i]);
		return;
	case CEL_EXPR_FOLD:
		plan_fold(planner, expr);
		return;
	default:
		return;
	}
}

static void plan_program(struct cel_program *program)
{
	struct planner planner = {.program = program, .run = CEL_RUN_INIT(program->arena)};
	planner.eval = (struct cel_eval){.run = &planner.run,
	                                 .arena = program->arena,
	                                 .program = program,
	                                 .limit = UINT64_MAX,
	                                 .max_memory = (size_t)64 * 1024 * 1024};
	program->uses = ARENA_ARRAY(program->arena, bool, program->env->variable_count + 1);
	program->variable_count = program->env->variable_count;
	plan(&planner, program->root);
}

static bool valid_utf8(const char *text, size_t length)
{
	for (size_t i = 0, bytes; i < length; i += bytes) {
		uint32_t rune;
		bytes = cel_decode_rune(text + i, length - i, &rune);
		if (rune == UINT32_MAX)
			return false;
	}
	return true;
}

int cel_compile(struct cel_env *env, struct arena *arena, const char *text, size_t length,
                struct cel_compile_result *result)
{
	*result = (struct cel_compile_result){0};
	AUTO(arena_free) struct arena *own = arena_new(2048);
	struct cel_program *program = ARENA_NEW(own, struct cel_program);
	struct cel_issues issues = {.arena = own, .source_length = length};
	char *source = arena_alloc(own, length + 4);
	uint32_t nodes = 0;
	memcpy(source, text, length);
	memset(source + length, 0, 4); // the lexer looks ahead
	issues.source = source;
	program->arena = own;
	program->env = env;
	if (!valid_utf8(text, length))
		cel_issue(&issues, 0, "Syntax error: input is not valid UTF-8");
	else if ((program->root = cel_parse(own, &issues, &nodes)))
		program->type = cel_check(env, own, &issues, program->root);
	if (issues.count) {
		result->error = arena_strdup(arena, cel_issues_format(&issues));
		return -ERR_INVALID;
	}
	cel_estimate(env, program->root, nodes, &program->min_cost, &program->max_cost);
	plan_program(program);
	cel_env_ref(env);
	(void)TAKE(own);
	result->program = program;
	return 0;
}

struct cel_program *cel_program_free(struct cel_program *program)
{
	if (program) {
		cel_env_unref(program->env);
		arena_free(program->arena);
	}
	return NULL;
}

const struct cel_type *cel_program_type(const struct cel_program *program)
{
	return program->type;
}

bool cel_program_uses(const struct cel_program *program, const char *variable)
{
	for (size_t i = 0; i < program->variable_count; i++)
		if (program->uses[i] && strcmp(program->env->variables[i].name, variable) == 0)
			return true;
	return false;
}

uint64_t cel_program_max_cost(const struct cel_program *program)
{
	return program->max_cost;
}

uint64_t cel_program_min_cost(const struct cel_program *program)
{
	return program->min_cost;
}

char *cel_cost_message(struct arena *arena, const char *what, uint64_t cost, uint64_t limit)
{
	char factor[64] = "more than 100x";
	double exceeded = (double)cost / (double)limit;
	if (exceeded < 1.5)
		snprintf(factor, sizeof(factor), "%fx", exceeded);
	else if (exceeded <= 100)
		snprintf(factor, sizeof(factor), "%.1fx", exceeded);
	return arena_printf(arena,
	                    "%s exceeds budget by factor of %s (try simplifying the rule, or adding maxItems, "
	                    "maxProperties, and maxLength where arrays, maps, and strings are declared)",
	                    what, factor);
}
