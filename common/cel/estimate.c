// SPDX-License-Identifier: Apache-2.0
//
// Costs before any run: the fewest and the most units that an expression can cost, from
// the sizes that its inputs can have. Sizes come from literals, from the declared types
// (maxLength, maxItems, maxProperties, and what fits into a request where there is none)
// and from the rules of functions; what nothing bounds is unbounded. Which rules of a
// CRD are accepted hangs on these numbers, so they follow upstream's estimator to the
// unit, its peculiarities included: the elements of a range that is computed take the
// size of the root type.
#include <string.h>

#include "common/base/memory.h"
#include "common/cel/estimate_internal.h"

// A path that leads nowhere.
static const struct cel_type dead_end = {.kind = CEL_TYPE_ERROR, .name = ""};

static struct span cost_of(struct estimator *estimator, const struct cel_expr *expr);

// --- paths and sizes ----------------------------------------------------------------------

static const struct local *find_local(const struct estimator *estimator, const struct cel_expr *expr)
{
	if (expr->kind != CEL_EXPR_IDENT)
		return NULL;
	for (const struct local *local = estimator->locals; local; local = local->outer)
		if (strcmp(local->name, expr->ident.name.text) == 0)
			return local;
	return NULL;
}

static struct estimate *node_of(const struct estimator *estimator, const struct cel_expr *expr)
{
	return &estimator->nodes[expr->id];
}

static const struct cel_type *path_of(const struct estimator *estimator, const struct cel_expr *expr)
{
	const struct local *local = find_local(estimator, expr);
	return local ? local->path : node_of(estimator, expr)->path;
}

static const struct cel_type *step_field(const struct estimator *estimator, const struct cel_type *path,
                                         const struct cel_text *field)
{
	if (!path) // a path that begins with a field's name counts from the root, minus that name
		return estimator->root;
	const struct cel_field *found =
	        path->kind == CEL_TYPE_OBJECT ? cel_type_find_field(path, field->text, field->length) : NULL;
	return found ? found->type : &dead_end;
}

enum path_step {
	STEP_ELEMENT, // of a list
	STEP_KEY,
	STEP_VALUE, // of a map
	STEP_INDEX, // the number of an element
};

static const struct cel_type *step_inside(const struct estimator *estimator, const struct cel_type *path,
                                          enum path_step step)
{
	if (!path)
		return estimator->root;
	if (step == STEP_INDEX)
		return &dead_end;
	if (path->kind == CEL_TYPE_LIST)
		return step == STEP_KEY ? &dead_end : path->params[0];
	if (path->kind == CEL_TYPE_MAP)
		return path->params[step == STEP_KEY ? 0 : 1];
	return &dead_end;
}

static bool literal_size(const struct cel_expr *expr, struct span *ret_size)
{
	switch (expr->kind) {
	case CEL_EXPR_LITERAL:
		*ret_size = fixed(cel_size(&expr->literal));
		return true;
	case CEL_EXPR_LIST:
		*ret_size = fixed(expr->list.count);
		return true;
	case CEL_EXPR_MAP:
		*ret_size = fixed(expr->map.count);
		return true;
	default:
		return false;
	}
}

static bool is_scalar(const struct cel_type *type)
{
	static const uint32_t scalars = 1u << CEL_TYPE_BOOL | 1u << CEL_TYPE_DOUBLE | 1u << CEL_TYPE_DURATION |
	                                1u << CEL_TYPE_INT | 1u << CEL_TYPE_TIMESTAMP | 1u << CEL_TYPE_UINT;
	return scalars >> cel_type_unwrap(type)->kind & 1;
}

static bool declared_size(const struct estimator *estimator, const struct cel_type *path, struct span *ret_size)
{
	if (!estimator->root || !path || path == &dead_end)
		return false;
	*ret_size = (struct span){0, (uint64_t)path->max_elements};
	return true;
}

bool estimate_find_size(struct estimator *estimator, const struct cel_expr *expr, struct span *ret_size)
{
	struct estimate *node = node_of(estimator, expr);
	if (node->sized) {
		*ret_size = node->size;
		return true;
	}
	if (literal_size(expr, ret_size))
		return true;
	if (declared_size(estimator, path_of(estimator, expr), ret_size)) {
		node->sized = true;
		node->size = *ret_size;
		return true;
	}
	if (is_scalar(expr->type)) {
		*ret_size = fixed(1);
		return true;
	}
	const struct local *local = find_local(estimator, expr);
	if (local && local->sized)
		*ret_size = local->size;
	return local && local->sized;
}

struct span estimate_size(struct estimator *estimator, const struct cel_expr *expr)
{
	struct span size;
	return estimate_find_size(estimator, expr, &size) ? size : span_unknown;
}

static void set_size(struct estimator *estimator, const struct cel_expr *expr, struct span size)
{
	node_of(estimator, expr)->sized = true;
	node_of(estimator, expr)->size = size;
}

static const struct entry_sizes *entry_of(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct estimate *node = node_of(estimator, expr);
	const struct local *local = find_local(estimator, expr);
	if (node->entered)
		return &node->entry;
	return local && local->entered ? &local->entry : NULL;
}

static void set_entry(struct estimator *estimator, const struct cel_expr *expr, const struct entry_sizes *entry)
{
	if (!entry)
		return;
	struct entry_sizes copy = *entry;
	node_of(estimator, expr)->entered = true;
	node_of(estimator, expr)->entry = copy;
}

bool estimate_element_size(struct estimator *estimator, const struct cel_expr *list, struct span *ret_size)
{
	const struct cel_type *path = path_of(estimator, list);
	return path && declared_size(estimator, step_inside(estimator, path, STEP_ELEMENT), ret_size);
}

void estimate_unite_entries(struct estimator *estimator, const struct cel_expr *expr, const struct cel_expr *a,
                            const struct cel_expr *b)
{
	const struct entry_sizes *left = entry_of(estimator, a), *right = entry_of(estimator, b);
	if (!left || !right)
		return;
	struct entry_sizes both = {
	        .container = left->container,
	        .key = unite(left->key, right->key),
	        .value = unite(left->value, right->value),
	};
	set_entry(estimator, expr, &both);
}

// --- nodes -----------------------------------------------------------------------------------------

static struct span cost_ident(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct local *local = find_local(estimator, expr);
	struct estimate *node = node_of(estimator, expr);
	if (local)
		node->path = local->path;
	else
		node->path = estimator->root; // whatever it is called
	return fixed(1);
}

static struct span cost_select(struct estimator *estimator, const struct cel_expr *expr)
{
	struct span cost = cost_of(estimator, expr->select.operand);
	enum cel_type_kind kind = expr->select.operand->type->kind;
	if (expr->test_only)
		return cost;
	if (kind == CEL_TYPE_MAP || kind == CEL_TYPE_OBJECT)
		cost = add(cost, fixed(1));
	const struct cel_type *path = path_of(estimator, expr->select.operand);
	if (estimator->root)
		node_of(estimator, expr)->path = path && path->kind == CEL_TYPE_MAP && path != &dead_end
		                                         ? &dead_end
		                                         : step_field(estimator, path, &expr->select.field);
	return cost;
}

static struct span cost_logic(struct estimator *estimator, const struct cel_expr *expr)
{
	struct span left = cost_of(estimator, expr->call.args[0]), right = cost_of(estimator, expr->call.args[1]);
	return (struct span){left.low, add(left, right).high};
}

static struct span cost_conditional(struct estimator *estimator, const struct cel_expr *expr)
{
	struct cel_expr *const *args = expr->call.args;
	struct span condition = cost_of(estimator, args[0]), yes = cost_of(estimator, args[1]),
	            no = cost_of(estimator, args[2]);
	struct span size = unite(estimate_size(estimator, args[1]), estimate_size(estimator, args[2]));
	estimate_unite_entries(estimator, expr, args[1], args[2]);
	set_size(estimator, expr, size);
	return add(condition, unite(yes, no));
}

static void follow_index(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct cel_expr *container = expr->call.args[0];
	const struct entry_sizes *entry = entry_of(estimator, container);
	const struct cel_type *path = path_of(estimator, container);
	if (container->type->kind != CEL_TYPE_LIST && container->type->kind != CEL_TYPE_MAP)
		return;
	if (entry)
		set_size(estimator, expr, entry->value);
	if (estimator->root)
		node_of(estimator, expr)->path = step_inside(
		        estimator, path, container->type->kind == CEL_TYPE_LIST ? STEP_ELEMENT : STEP_VALUE);
	struct span size;
	if (!entry && estimate_find_size(estimator, expr, &size))
		set_size(estimator, expr, size);
}

static struct span cost_dyn(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct cel_expr *arg = expr->call.args[0];
	struct span cost = add(fixed(1), cost_of(estimator, arg)), size;
	if (estimate_find_size(estimator, arg, &size))
		set_size(estimator, expr, size);
	set_entry(estimator, expr, entry_of(estimator, arg));
	return cost;
}

static struct span cost_overloads(struct estimator *estimator, const struct cel_expr *expr)
{
	struct call_nodes call = {estimator, expr, expr->call.target, expr->call.args, expr->call.count};
	struct span cost = {UINT64_MAX, 0}, size = {0, 0};
	bool sized = false;
	for (uint32_t i = 0; i < expr->call.overload_count; i++) {
		struct call_estimate one = estimate_call(expr->call.overloads[i]->row->cost, &call);
		cost = unite(cost, one.cost);
		if (one.sized)
			size = sized ? unite(size, one.size) : one.size;
		sized |= one.sized;
	}
	if (sized)
		set_size(estimator, expr, size);
	return cost;
}

static struct span cost_call(struct estimator *estimator, const struct cel_expr *expr)
{
	const char *function = expr->call.function.text;
	if (strcmp(function, "_&&_") == 0 || strcmp(function, "_||_") == 0)
		return cost_logic(estimator, expr);
	if (strcmp(function, "_?_:_") == 0)
		return cost_conditional(estimator, expr);
	if (strcmp(function, "dyn") == 0)
		return cost_dyn(estimator, expr);
	struct span cost = {0, 0};
	for (uint32_t i = 0; i < expr->call.count; i++)
		cost = add(cost, cost_of(estimator, expr->call.args[i]));
	if (expr->call.target)
		cost = add(cost, cost_of(estimator, expr->call.target));
	cost = add(cost, cost_overloads(estimator, expr));
	if (strcmp(function, "_[_]") == 0)
		follow_index(estimator, expr);
	return cost;
}

static struct span cost_list(struct estimator *estimator, const struct cel_expr *expr)
{
	struct span cost = fixed(10);
	struct entry_sizes entry = {CEL_TYPE_LIST, fixed(1), {expr->list.count ? UINT64_MAX : 0, 0}};
	for (uint32_t i = 0; i < expr->list.count; i++) {
		cost = add(cost, cost_of(estimator, expr->list.items[i]));
		entry.value = unite(entry.value, estimate_size(estimator, expr->list.items[i]));
	}
	set_entry(estimator, expr, &entry);
	return cost;
}

static struct span cost_map(struct estimator *estimator, const struct cel_expr *expr)
{
	struct span cost = fixed(30), none = {expr->map.count ? UINT64_MAX : 0, 0};
	struct entry_sizes entry = {CEL_TYPE_MAP, none, none};
	for (uint32_t i = 0; i < expr->map.count; i++) {
		cost = add(cost, cost_of(estimator, expr->map.keys[i]));
		cost = add(cost, cost_of(estimator, expr->map.values[i]));
		entry.key = unite(entry.key, estimate_size(estimator, expr->map.keys[i]));
		entry.value = unite(entry.value, estimate_size(estimator, expr->map.values[i]));
	}
	set_entry(estimator, expr, &entry);
	return cost;
}

static struct span cost_message(struct estimator *estimator, const struct cel_expr *expr)
{
	struct span cost = fixed(40);
	for (uint32_t i = 0; i < expr->message.count; i++)
		cost = add(cost, cost_of(estimator, expr->message.values[i]));
	return cost;
}

// --- folds --------------------------------------------------------------------------------------------

static struct local make_local(struct estimator *estimator, const char *name, const struct cel_expr *value)
{
	struct local local = {.outer = estimator->locals, .name = name, .path = path_of(estimator, value)};
	local.sized = estimate_find_size(estimator, value, &local.size);
	const struct entry_sizes *entry = entry_of(estimator, value);
	if (entry) {
		local.entered = true;
		local.entry = *entry;
	}
	return local;
}

// A variable of a fold: `key` for the first of two, and for the only one over a map.
static struct local range_local(struct estimator *estimator, const struct cel_expr *expr, const char *name,
                                bool first_of_two, bool second)
{
	const struct cel_expr *range = expr->fold.range;
	const struct entry_sizes *entry = entry_of(estimator, range);
	bool list = (entry ? entry->container : range->type->kind) == CEL_TYPE_LIST;
	bool key = first_of_two || (!second && !list);
	struct local local = {.outer = estimator->locals, .name = name, .sized = entry != NULL};
	if (entry)
		local.size = key ? entry->key : entry->value;
	enum path_step step = key ? (list ? STEP_INDEX : STEP_KEY) : list ? STEP_ELEMENT : STEP_VALUE;
	if (estimator->root)
		local.path = step_inside(estimator, path_of(estimator, range), step);
	return local;
}

static struct span cost_bind(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct local *outer = estimator->locals;
	struct span size, cost = cost_of(estimator, expr->fold.range);
	cost = add(cost, cost_of(estimator, expr->fold.init));
	struct local bound = make_local(estimator, expr->fold.accumulator.text, expr->fold.init);
	estimator->locals = &bound;
	cost = add(cost, cost_of(estimator, expr->fold.result));
	estimator->locals = outer;
	if (estimate_find_size(estimator, expr->fold.result, &size))
		set_size(estimator, expr, size);
	set_entry(estimator, expr, entry_of(estimator, expr->fold.result));
	return cost;
}

static void fold_result_size(struct estimator *estimator, const struct cel_expr *expr, struct span range)
{
	struct span size;
	const struct cel_expr *init = expr->fold.init;
	if (init->kind == CEL_EXPR_LITERAL && estimate_find_size(estimator, init, &size))
		set_size(estimator, expr, size);
	if (init->kind == CEL_EXPR_LIST || init->kind == CEL_EXPR_MAP) {
		set_size(estimator, expr, range);
		set_entry(estimator, expr, entry_of(estimator, expr->fold.step));
	}
}

static struct span cost_fold(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct local *outer = estimator->locals;
	bool two = expr->fold.second.text != NULL;
	if (expr->fold.bind)
		return cost_bind(estimator, expr);
	struct span cost = cost_of(estimator, expr->fold.range);
	cost = add(cost, cost_of(estimator, expr->fold.init));
	struct local accumulator = make_local(estimator, expr->fold.accumulator.text, expr->fold.init);
	struct local first = range_local(estimator, expr, expr->fold.variable.text, two, false);
	struct local second = range_local(estimator, expr, expr->fold.second.text, false, true);
	first.outer = &accumulator;
	second.outer = &first;
	estimator->locals = two ? &second : &first;
	struct span each = cost_of(estimator, expr->fold.condition);
	each = add(each, cost_of(estimator, expr->fold.step));
	estimator->locals = &accumulator;
	cost = add(cost, cost_of(estimator, expr->fold.result));
	estimator->locals = outer;
	struct span range = estimate_size(estimator, expr->fold.range);
	fold_result_size(estimator, expr, range);
	return add(cost, multiply(range, each));
}

static struct span cost_of(struct estimator *estimator, const struct cel_expr *expr)
{
	static struct span (*const costs[])(struct estimator *, const struct cel_expr *) = {
	        [CEL_EXPR_IDENT] = cost_ident, [CEL_EXPR_SELECT] = cost_select, [CEL_EXPR_CALL] = cost_call,
	        [CEL_EXPR_LIST] = cost_list,   [CEL_EXPR_MAP] = cost_map,       [CEL_EXPR_MESSAGE] = cost_message,
	        [CEL_EXPR_FOLD] = cost_fold,
	};
	struct estimate *node = node_of(estimator, expr);
	if (expr->kind == CEL_EXPR_LITERAL)
		return fixed(0);
	if (!node->costed) {
		node->cost = costs[expr->kind](estimator, expr);
		node->costed = true;
	}
	return node->cost;
}

void cel_estimate(const struct cel_env *env, const struct cel_expr *root, uint32_t nodes, uint64_t *ret_minimum,
                  uint64_t *ret_maximum)
{
	int self = cel_env_find_variable(env, "self", true);
	AUTO_FREE struct estimate *estimates = xcalloc(nodes + 1, sizeof(*estimates));
	struct estimator estimator = {.env = env, .nodes = estimates};
	if (self >= 0 && env->variables[self].type->kind != CEL_TYPE_DYN)
		estimator.root = env->variables[self].type;
	struct span cost = cost_of(&estimator, root);
	*ret_minimum = cost.low;
	*ret_maximum = cost.high;
}
