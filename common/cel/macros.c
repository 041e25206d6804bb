// SPDX-License-Identifier: Apache-2.0
//
// Macros become folds: an accumulator that starts at `init` and, while `condition`
// holds, takes the value of `step` for each element of a range; then `result`. What they
// expand to is part of the language, since costs are counted on it:
//
//	all         true,  @not_strictly_false(@result),  @result && p,            @result
//	exists      false, @not_strictly_false(!@result), @result || p,            @result
//	exists_one  0,     true,                          p ? @result + 1 : @result, @result == 1
//	map         [],    true,                          @result + [t],           @result
//	filter      [],    true,                          p ? @result + [x] : @result, @result
//
// A fold over nothing that never steps names a value: optMap and optFlatMap.
#include <string.h>

#include "common/cel/ast.h"

struct macro_call {
	struct cel_parser *parser;
	struct cel_expr *target; // NULL for has()
	struct cel_expr **args;
	size_t count;
	uint32_t offset;
};

typedef struct cel_expr *macro_function(const struct macro_call *call);

static struct cel_expr *fail(const struct macro_call *call, uint32_t offset, const char *message)
{
	cel_parser_issue(call->parser, offset, message);
	return cel_expr_new(call->parser, CEL_EXPR_LITERAL, offset);
}

static struct cel_expr *make_literal(const struct macro_call *call, struct cel_value value)
{
	struct cel_expr *expr = cel_expr_new(call->parser, CEL_EXPR_LITERAL, call->offset);
	expr->literal = value;
	return expr;
}

static struct cel_expr *make_ident(const struct macro_call *call, struct cel_text name)
{
	struct cel_expr *expr = cel_expr_new(call->parser, CEL_EXPR_IDENT, call->offset);
	expr->ident.name = name;
	return expr;
}

static struct cel_text accumulator_text(void)
{
	return (struct cel_text){cel_accumulator_name, strlen(cel_accumulator_name)};
}

static struct cel_expr *accumulator(const struct macro_call *call)
{
	return make_ident(call, accumulator_text());
}

static struct cel_expr *make_call(const struct macro_call *macro, const char *function, struct cel_expr *target,
                                  struct cel_expr *first, struct cel_expr *second, struct cel_expr *third)
{
	struct cel_expr *given[] = {first, second, third};
	struct cel_expr *call = cel_expr_new(macro->parser, CEL_EXPR_CALL, macro->offset);
	call->call.function = (struct cel_text){function, strlen(function)};
	call->call.target = target;
	call->call.args = ARENA_ARRAY(cel_parser_arena(macro->parser), struct cel_expr *, 3);
	cel_expr_adopt(macro->parser, call, target);
	for (size_t i = 0; i < 3 && given[i]; i++) {
		call->call.args[call->call.count++] = given[i];
		cel_expr_adopt(macro->parser, call, given[i]);
	}
	return call;
}

static struct cel_expr *make_list(const struct macro_call *call, struct cel_expr *item)
{
	struct cel_expr *list = cel_expr_new(call->parser, CEL_EXPR_LIST, call->offset);
	list->list.items = ARENA_ARRAY(cel_parser_arena(call->parser), struct cel_expr *, 1);
	list->list.items[0] = item;
	list->list.count = item != NULL;
	cel_expr_adopt(call->parser, list, item);
	return list;
}

struct fold {
	struct cel_text variable, second, accumulator;
	struct cel_expr *range, *init, *condition, *step, *result;
	bool bind;
};

static struct cel_expr *make_fold(const struct macro_call *call, const struct fold *fold)
{
	struct cel_expr *expr = cel_expr_new(call->parser, CEL_EXPR_FOLD, call->offset);
	const struct cel_expr *children[] = {fold->range, fold->init, fold->condition, fold->step, fold->result};
	expr->fold.variable = fold->variable;
	expr->fold.second = fold->second;
	expr->fold.accumulator = fold->accumulator.text ? fold->accumulator : accumulator_text();
	expr->fold.range = fold->range;
	expr->fold.init = fold->init;
	expr->fold.condition = fold->condition;
	expr->fold.step = fold->step;
	expr->fold.result = fold->result;
	expr->fold.bind = fold->bind;
	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		cel_expr_adopt(call->parser, expr, children[i]);
	return expr;
}

// The names of a fold's variables: one, or two different ones.
static bool fold_variables(const struct macro_call *call, bool two, const char *complaint, struct fold *fold)
{
	struct cel_text *names[] = {&fold->variable, &fold->second};
	for (size_t i = 0; i < 1u + two; i++) {
		if (call->args[i]->kind != CEL_EXPR_IDENT) {
			fail(call, call->args[i]->offset, complaint);
			return false;
		}
		*names[i] = call->args[i]->ident.name;
		if (strcmp(names[i]->text, "__result__") == 0) {
			fail(call, call->args[i]->offset, "iteration variable overwrites accumulator variable");
			return false;
		}
	}
	if (two && strcmp(fold->variable.text, fold->second.text) == 0) {
		fail(call, call->args[1]->offset,
		     arena_printf(cel_parser_arena(call->parser), "duplicate variable name: %s", fold->variable.text));
		return false;
	}
	fold->range = call->target;
	return true;
}

static struct cel_expr *nothing(const struct macro_call *call)
{
	return cel_expr_new(call->parser, CEL_EXPR_LITERAL, call->offset);
}

static struct cel_expr *expand_has(const struct macro_call *call)
{
	struct cel_expr *arg = call->args[0];
	if (arg->kind != CEL_EXPR_SELECT || arg->test_only)
		return fail(call, arg->offset, "invalid argument to has() macro");
	arg->test_only = true;
	return arg;
}

static struct cel_expr *quantifier(const struct macro_call *call, bool all)
{
	struct fold fold = {0};
	bool two = call->count == 3;
	if (!fold_variables(call, two, "argument must be a simple name", &fold))
		return nothing(call);
	struct cel_expr *held = accumulator(call);
	if (!all)
		held = make_call(call, "!_", NULL, held, NULL, NULL);
	fold.init = make_literal(call, cel_value_bool(all));
	fold.condition = make_call(call, "@not_strictly_false", NULL, held, NULL, NULL);
	fold.step = make_call(call, all ? "_&&_" : "_||_", NULL, accumulator(call), call->args[1 + two], NULL);
	fold.result = accumulator(call);
	return make_fold(call, &fold);
}

static struct cel_expr *expand_all(const struct macro_call *call)
{
	return quantifier(call, true);
}

static struct cel_expr *expand_exists(const struct macro_call *call)
{
	return quantifier(call, false);
}

static struct cel_expr *expand_exists_one(const struct macro_call *call)
{
	struct fold fold = {0};
	bool two = call->count == 3;
	if (!fold_variables(call, two, "argument must be a simple name", &fold))
		return nothing(call);
	struct cel_expr *more =
	        make_call(call, "_+_", NULL, accumulator(call), make_literal(call, cel_value_int(1)), NULL);
	fold.init = make_literal(call, cel_value_int(0));
	fold.condition = make_literal(call, cel_value_bool(true));
	fold.step = make_call(call, "_?_:_", NULL, call->args[1 + two], more, accumulator(call));
	fold.result = make_call(call, "_==_", NULL, accumulator(call), make_literal(call, cel_value_int(1)), NULL);
	return make_fold(call, &fold);
}

// The step of those that gather: `add`, or only where `filter` (may be NULL) holds.
static struct cel_expr *gather(const struct macro_call *call, struct fold *fold, struct cel_expr *init,
                               struct cel_expr *filter, struct cel_expr *add)
{
	fold->init = init;
	fold->condition = make_literal(call, cel_value_bool(true));
	fold->step = filter ? make_call(call, "_?_:_", NULL, filter, add, accumulator(call)) : add;
	fold->result = accumulator(call);
	return make_fold(call, fold);
}

static struct cel_expr *expand_map(const struct macro_call *call)
{
	struct fold fold = {0};
	bool filtered = call->count == 3;
	if (!fold_variables(call, false, "argument is not an identifier", &fold))
		return nothing(call);
	struct cel_expr *add =
	        make_call(call, "_+_", NULL, accumulator(call), make_list(call, call->args[1 + filtered]), NULL);
	return gather(call, &fold, make_list(call, NULL), filtered ? call->args[1] : NULL, add);
}

static struct cel_expr *expand_filter(const struct macro_call *call)
{
	struct fold fold = {0};
	if (!fold_variables(call, false, "argument is not an identifier", &fold))
		return nothing(call);
	struct cel_expr *add =
	        make_call(call, "_+_", NULL, accumulator(call), make_list(call, make_ident(call, fold.variable)), NULL);
	return gather(call, &fold, make_list(call, NULL), call->args[1], add);
}

static struct cel_expr *expand_transform_list(const struct macro_call *call)
{
	struct fold fold = {0};
	bool filtered = call->count == 4;
	if (!fold_variables(call, true, "argument must be a simple name", &fold))
		return nothing(call);
	struct cel_expr *add =
	        make_call(call, "_+_", NULL, accumulator(call), make_list(call, call->args[2 + filtered]), NULL);
	return gather(call, &fold, make_list(call, NULL), filtered ? call->args[2] : NULL, add);
}

static struct cel_expr *transform_map(const struct macro_call *call, bool entries)
{
	struct fold fold = {0};
	bool filtered = call->count == 4;
	if (!fold_variables(call, true, "argument must be a simple name", &fold))
		return nothing(call);
	struct cel_expr *value = call->args[2 + filtered];
	struct cel_expr *add = entries ? make_call(call, "cel.@mapInsert", NULL, accumulator(call), value, NULL)
	                               : make_call(call, "cel.@mapInsert", NULL, accumulator(call),
	                                           make_ident(call, fold.variable), value);
	struct cel_expr *init = cel_expr_new(call->parser, CEL_EXPR_MAP, call->offset);
	return gather(call, &fold, init, filtered ? call->args[2] : NULL, add);
}

static struct cel_expr *expand_transform_map(const struct macro_call *call)
{
	return transform_map(call, false);
}

static struct cel_expr *expand_transform_map_entry(const struct macro_call *call)
{
	return transform_map(call, true);
}

static struct cel_expr *optional_map(const struct macro_call *call, bool flat)
{
	static const char *const complaints[] = {"optMap() variable name must be a simple identifier",
	                                         "optFlatMap() variable name must be a simple identifier"};
	if (call->args[0]->kind != CEL_EXPR_IDENT)
		return fail(call, call->args[0]->offset, complaints[flat]);
	struct fold fold = {
	        .variable = {cel_unused_name, strlen(cel_unused_name)},
	        .accumulator = call->args[0]->ident.name,
	        .range = make_list(call, NULL),
	        .init = make_call(call, "value", call->target, NULL, NULL, NULL),
	        .condition = make_literal(call, cel_value_bool(false)),
	        .step = make_ident(call, call->args[0]->ident.name),
	        .result = call->args[1],
	        .bind = true,
	};
	struct cel_expr *bound = make_fold(call, &fold);
	return make_call(call, "_?_:_", NULL, make_call(call, "hasValue", call->target, NULL, NULL, NULL),
	                 flat ? bound : make_call(call, "optional.of", NULL, bound, NULL, NULL),
	                 make_call(call, "optional.none", NULL, NULL, NULL, NULL));
}

static struct cel_expr *expand_opt_map(const struct macro_call *call)
{
	return optional_map(call, false);
}

static struct cel_expr *expand_opt_flat_map(const struct macro_call *call)
{
	return optional_map(call, true);
}

struct macro {
	const char *name;
	bool receiver;
	size_t fewest, most;
	macro_function *expand;
};

static const struct macro macros[] = {
        {"has", false, 1, 1, expand_has},
        {"all", true, 2, 3, expand_all},
        {"exists", true, 2, 3, expand_exists},
        {"exists_one", true, 2, 3, expand_exists_one},
        {"existsOne", true, 2, 3, expand_exists_one},
        {"map", true, 2, 3, expand_map},
        {"filter", true, 2, 2, expand_filter},
        {"transformList", true, 3, 4, expand_transform_list},
        {"transformMap", true, 3, 4, expand_transform_map},
        {"transformMapEntry", true, 3, 4, expand_transform_map_entry},
        {"optMap", true, 2, 2, expand_opt_map},
        {"optFlatMap", true, 2, 2, expand_opt_flat_map},
};

struct cel_expr *cel_macro_expand(struct cel_parser *parser, struct cel_expr *expr)
{
	for (size_t i = 0; i < ARRAY_SIZE(macros); i++) {
		const struct macro *macro = &macros[i];
		if (strcmp(macro->name, expr->call.function.text) != 0 ||
		    macro->receiver != (expr->call.target != NULL) || expr->call.count < macro->fewest ||
		    expr->call.count > macro->most)
			continue;
		struct macro_call *call = ARENA_NEW(cel_parser_arena(parser), struct macro_call);
		*call = (struct macro_call){parser, expr->call.target, expr->call.args, expr->call.count, expr->offset};
		return macro->expand(call);
	}
	return NULL;
}
