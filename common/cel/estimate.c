// SPDX-License-Identifier: Apache-2.0
//
// Costs before any run: the fewest and the most units that an expression can cost, from
// the sizes that its inputs can have. Sizes come from literals, from the declared types
// (maxLength, maxItems, maxProperties, and what fits into a request where there is none)
// and from the rules of functions; what nothing bounds is unbounded. Which rules of a
// CRD are accepted hangs on these numbers, so they follow upstream's estimator to the
// unit, its peculiarities included: the elements of a range that is computed take the
// size of the root type.
#include <math.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/cel/env.h"
#include "common/cel/evaluate.h"

struct span { // of a size or a cost
	uint64_t low, high;
};

static const struct span unknown = {0, UINT64_MAX};

struct entry_sizes {
	enum cel_type_kind container;
	struct span key, value;
};

struct estimate {
	bool costed, sized, entered;
	struct span cost, size;
	struct entry_sizes entry;
	const struct cel_type *path; // the declaration that the value comes from; NULL = none
};

struct local {
	const struct local *outer;
	const char *name;
	const struct cel_type *path;
	bool sized, entered;
	struct span size;
	struct entry_sizes entry;
};

struct estimator {
	const struct cel_env *env;
	const struct cel_type *root; // of "self"; NULL = sizes aren't declared
	struct estimate *nodes;
	const struct local *locals;
};

// A path that leads nowhere.
static const struct cel_type dead_end = {.kind = CEL_TYPE_ERROR, .name = ""};

static struct span cost_of(struct estimator *estimator, const struct cel_expr *expr);

// --- spans ---------------------------------------------------------------------------

static struct span fixed(uint64_t value)
{
	return (struct span){value, value};
}

static uint64_t add_limited(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply_limited(uint64_t a, uint64_t b)
{
	return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t scale_limited(uint64_t value, double factor)
{
	double scaled = ceil((double)value * factor);
	return scaled >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)scaled;
}

static struct span add(struct span a, struct span b)
{
	return (struct span){add_limited(a.low, b.low), add_limited(a.high, b.high)};
}

static struct span multiply(struct span a, struct span b)
{
	return (struct span){multiply_limited(a.low, b.low), multiply_limited(a.high, b.high)};
}

static struct span scale(struct span a, double factor)
{
	return (struct span){scale_limited(a.low, factor), scale_limited(a.high, factor)};
}

static struct span unite(struct span a, struct span b)
{
	return (struct span){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}

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

static bool find_size(struct estimator *estimator, const struct cel_expr *expr, struct span *ret_size)
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

static struct span size_of(struct estimator *estimator, const struct cel_expr *expr)
{
	struct span size;
	return find_size(estimator, expr, &size) ? size : unknown;
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

// --- calls by rule --------------------------------------------------------------------------

struct call_nodes {
	struct estimator *estimator;
	const struct cel_expr *expr;
	const struct cel_expr *target;
	struct cel_expr *const *args;
	uint32_t count;
};

struct call_estimate {
	struct span cost;
	bool sized;
	struct span size;
};

typedef struct call_estimate rule_function(const struct call_nodes *call);

static struct span arg_size(const struct call_nodes *call, uint32_t number)
{
	return number < call->count ? size_of(call->estimator, call->args[number]) : unknown;
}

// Of the receiver, or of the first argument where the function has none.
static struct span subject_size(const struct call_nodes *call)
{
	return call->target ? size_of(call->estimator, call->target) : arg_size(call, 0);
}

static struct call_estimate only_cost(struct span cost)
{
	return (struct call_estimate){.cost = cost};
}

static struct call_estimate cost_and_size(struct span cost, struct span size)
{
	return (struct call_estimate){.cost = cost, .sized = true, .size = size};
}

static struct call_estimate rule_one(const struct call_nodes *call)
{
	(void)call;
	return only_cost(fixed(1));
}

static struct call_estimate rule_first_arg(const struct call_nodes *call)
{
	return only_cost(scale(arg_size(call, 0), 0.1));
}

static struct call_estimate rule_first_arg_twice(const struct call_nodes *call)
{
	return only_cost(scale(arg_size(call, 0), 0.2));
}

static struct call_estimate rule_traverse(const struct call_nodes *call)
{
	return only_cost(scale(subject_size(call), 0.1));
}

static struct call_estimate rule_in_list(const struct call_nodes *call)
{
	return only_cost(scale(arg_size(call, 1), 1));
}

static struct call_estimate rule_compare(const struct call_nodes *call)
{
	struct span left = arg_size(call, 0), right = arg_size(call, 1);
	uint64_t shorter = left.high < right.high ? left.high : right.high;
	return only_cost(scale((struct span){shorter > 0, shorter}, 0.1));
}

static struct call_estimate rule_equal(const struct call_nodes *call)
{
	const struct cel_type *left = call->args[0]->type, *right = call->args[1]->type;
	if (left->kind != CEL_TYPE_OPAQUE || cel_type_is_optional(left) || !cel_type_equal(left, right))
		return rule_compare(call);
	if (left == &cel_type_named_format)
		return only_cost(scale((struct span){1, 64}, 0.1));
	if (left == &cel_type_url) {
		struct span size = {1, 1}, found;
		if (find_size(call->estimator, call->args[1], &found))
			size = found;
		return only_cost(scale((struct span){1, size.high}, 0.1));
	}
	return only_cost(fixed(1));
}

static void unite_entries(const struct call_nodes *call, const struct cel_expr *a, const struct cel_expr *b)
{
	const struct entry_sizes *left = entry_of(call->estimator, a), *right = entry_of(call->estimator, b);
	if (!left || !right)
		return;
	struct entry_sizes both = {
	        .container = left->container,
	        .key = unite(left->key, right->key),
	        .value = unite(left->value, right->value),
	};
	set_entry(call->estimator, call->expr, &both);
}

static struct call_estimate rule_add_text(const struct call_nodes *call)
{
	struct span size = add(arg_size(call, 0), arg_size(call, 1));
	unite_entries(call, call->args[0], call->args[1]);
	return cost_and_size(scale(size, 0.1), size);
}

static struct call_estimate rule_add_list(const struct call_nodes *call)
{
	struct span size = add(arg_size(call, 0), arg_size(call, 1));
	unite_entries(call, call->args[0], call->args[1]);
	return cost_and_size(fixed(1), size);
}

static struct span pattern_cost(const struct call_nodes *call, struct span text, struct span pattern)
{
	(void)call;
	return multiply(scale(add(text, fixed(1)), 0.1), scale(pattern, 0.25));
}

static struct call_estimate rule_matches(const struct call_nodes *call)
{
	if (!call->target) // the global form has no rule upstream
		return rule_one(call);
	return only_cost(pattern_cost(call, subject_size(call), arg_size(call, 0)));
}

static struct call_estimate rule_find(const struct call_nodes *call)
{
	struct span text = subject_size(call);
	return cost_and_size(pattern_cost(call, text, arg_size(call, 0)), (struct span){0, text.high});
}

static struct call_estimate rule_contains(const struct call_nodes *call)
{
	return only_cost(multiply(scale(subject_size(call), 0.1), scale(arg_size(call, 0), 0.1)));
}

// The size of a list's elements, as declared; false when nothing is.
static bool element_size(const struct call_nodes *call, struct span *ret_size)
{
	const struct cel_type *path = path_of(call->estimator, call->target);
	return path && declared_size(call->estimator, step_inside(call->estimator, path, STEP_ELEMENT), ret_size);
}

static struct call_estimate rule_list_scan(const struct call_nodes *call)
{
	const struct cel_type *type = call->target ? call->target->type : &cel_type_dyn;
	struct span each = fixed(1), size = unknown;
	if (type->param_count == 0)
		return rule_traverse(call);
	if (type->params[0]->kind == CEL_TYPE_STRING || type->params[0]->kind == CEL_TYPE_BYTES) {
		(void)element_size(call, &size);
		each = add(each, scale(size, 0.1));
	}
	return only_cost(multiply(subject_size(call), each));
}

static struct call_estimate rule_text_scan(const struct call_nodes *call)
{
	struct span size = subject_size(call);
	return cost_and_size(scale(size, 0.1), size);
}

static struct call_estimate rule_to_bytes(const struct call_nodes *call)
{
	struct span size = arg_size(call, 0);
	return cost_and_size(scale(size, 0.1), (struct span){size.low, size.high * 4});
}

static struct call_estimate rule_to_text(const struct call_nodes *call)
{
	struct span size = arg_size(call, 0);
	return cost_and_size(scale(size, 0.1), (struct span){size.low / 4, size.high});
}

static struct call_estimate rule_quote(const struct call_nodes *call)
{
	struct span size = arg_size(call, 0);
	return cost_and_size(scale(size, 0.1), (struct span){size.low + 2, size.high * 2 + 2});
}

static uint64_t one_more(uint64_t count)
{
	return count < UINT64_MAX ? count + 1 : count;
}

static struct call_estimate rule_replace(const struct call_nodes *call)
{
	struct span text = subject_size(call), old = arg_size(call, 0), new = arg_size(call, 1);
	struct span count = {0, 0}, kept = {0, 0};
	if (old.low == 0) {
		count.high = one_more(text.high);
		kept.high = text.high;
	} else if (new.high <= old.low) {
		kept.high = text.high;
	} else {
		count.high = (uint64_t)fmin(ceil((double)text.high / (double)old.low), 1.8e19);
	}
	if (old.high == 0) {
		count.low = one_more(text.low);
		kept.low = text.low;
	} else if (old.high <= new.low) {
		kept.low = text.low;
	} else {
		count.low = (uint64_t)ceil((double)text.low / (double)old.high);
	}
	return cost_and_size(scale(text, 0.2), add(multiply(count, new), kept));
}

static struct call_estimate rule_split(const struct call_nodes *call)
{
	struct span text = subject_size(call);
	uint64_t most = text.high;
	if (call->count > 1 && call->args[1]->kind == CEL_EXPR_LITERAL && call->args[1]->literal.kind == CEL_INT)
		most = (uint64_t)call->args[1]->literal.integer;
	return cost_and_size(scale(text, 0.2), (struct span){0, most});
}

static struct call_estimate rule_join(const struct call_nodes *call)
{
	struct span list = subject_size(call), each = unknown, size = {0, 0};
	if (call->target->type->param_count) {
		(void)element_size(call, &each);
		size = multiply(list, each);
	}
	if (call->count > 0) {
		struct span gaps = {list.low ? list.low - 1 : 0, list.high ? list.high - 1 : 0};
		size = add(size, multiply(arg_size(call, 0), gaps));
	}
	return cost_and_size(scale(size, 0.1), size);
}

static const struct span address_size = {4, 16};

static struct call_estimate rule_contains_ip(const struct call_nodes *call)
{
	(void)call;
	return only_cost(scale(add(address_size, address_size), 0.1));
}

static struct call_estimate rule_contains_ip_text(const struct call_nodes *call)
{
	return only_cost(add(rule_contains_ip(call).cost, scale(arg_size(call, 0), 0.1)));
}

static struct call_estimate rule_contains_cidr(const struct call_nodes *call)
{
	return only_cost(add(add(rule_contains_ip(call).cost, scale(address_size, 0.1)), fixed(1)));
}

static struct call_estimate rule_contains_cidr_text(const struct call_nodes *call)
{
	return only_cost(add(rule_contains_cidr(call).cost, scale(arg_size(call, 0), 0.1)));
}

static struct call_estimate rule_validate(const struct call_nodes *call)
{
	return only_cost(scale(scale(arg_size(call, 0), 0.1), 128 * 0.25));
}

static struct call_estimate rule_sets(const struct call_nodes *call)
{
	return only_cost(add(multiply(arg_size(call, 0), arg_size(call, 1)), fixed(1)));
}

static struct call_estimate rule_sets_both(const struct call_nodes *call)
{
	return only_cost(add(scale(multiply(arg_size(call, 0), arg_size(call, 1)), 2), fixed(1)));
}

static struct call_estimate rule_check(const struct call_nodes *call)
{
	(void)call;
	return only_cost(fixed(350000));
}

static struct call_estimate rule_selector(const struct call_nodes *call)
{
	struct span length = arg_size(call, 0);
	return only_cost(add(add(fixed(10), scale(length, 0.1)), scale(scale(length, 0.5), 50)));
}

static rule_function *const rules[CEL_COST_COUNT_] = {
        [CEL_COST_ONE] = rule_one,
        [CEL_COST_PREFIX] = rule_first_arg,
        [CEL_COST_TRAVERSE] = rule_traverse,
        [CEL_COST_TRAVERSE_2] = rule_first_arg_twice,
        [CEL_COST_IN_LIST] = rule_in_list,
        [CEL_COST_COMPARE] = rule_compare,
        [CEL_COST_EQUAL] = rule_equal,
        [CEL_COST_ADD_TEXT] = rule_add_text,
        [CEL_COST_ADD_LIST] = rule_add_list,
        [CEL_COST_MATCHES] = rule_matches,
        [CEL_COST_FIND] = rule_find,
        [CEL_COST_CONTAINS] = rule_contains,
        [CEL_COST_LIST_SCAN] = rule_list_scan,
        [CEL_COST_TEXT_SCAN] = rule_text_scan,
        [CEL_COST_TO_BYTES] = rule_to_bytes,
        [CEL_COST_TO_TEXT] = rule_to_text,
        [CEL_COST_QUOTE] = rule_quote,
        [CEL_COST_REPLACE] = rule_replace,
        [CEL_COST_SPLIT] = rule_split,
        [CEL_COST_JOIN] = rule_join,
        [CEL_COST_CONTAINS_IP] = rule_contains_ip,
        [CEL_COST_CONTAINS_IP_TEXT] = rule_contains_ip_text,
        [CEL_COST_CONTAINS_CIDR] = rule_contains_cidr,
        [CEL_COST_CONTAINS_CIDR_TEXT] = rule_contains_cidr_text,
        [CEL_COST_VALIDATE] = rule_validate,
        [CEL_COST_SETS] = rule_sets,
        [CEL_COST_SETS_2] = rule_sets_both,
        [CEL_COST_CHECK] = rule_check,
        [CEL_COST_SELECTOR] = rule_selector,
};

// --- nodes -----------------------------------------------------------------------------------------

static struct span cost_ident(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct local *local = find_local(estimator, expr);
	struct estimate *node = node_of(estimator, expr);
	if (local)
		node->path = local->path;
	else if (estimator->root && expr->ident.variable >= 0)
		node->path = cel_type_unwrap(estimator->env->variables[expr->ident.variable].type);
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
	struct call_nodes call = {estimator, expr, NULL, args, 3};
	struct span condition = cost_of(estimator, args[0]), yes = cost_of(estimator, args[1]),
	            no = cost_of(estimator, args[2]);
	struct span size = unite(size_of(estimator, args[1]), size_of(estimator, args[2]));
	unite_entries(&call, args[1], args[2]);
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
	if (!entry && find_size(estimator, expr, &size))
		set_size(estimator, expr, size);
}

static struct span cost_dyn(struct estimator *estimator, const struct cel_expr *expr)
{
	const struct cel_expr *arg = expr->call.args[0];
	struct span cost = add(fixed(1), cost_of(estimator, arg)), size;
	if (find_size(estimator, arg, &size))
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
		struct call_estimate one = rules[expr->call.overloads[i]->row->cost](&call);
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
		entry.value = unite(entry.value, size_of(estimator, expr->list.items[i]));
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
		entry.key = unite(entry.key, size_of(estimator, expr->map.keys[i]));
		entry.value = unite(entry.value, size_of(estimator, expr->map.values[i]));
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
	local.sized = find_size(estimator, value, &local.size);
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
	if (find_size(estimator, expr->fold.result, &size))
		set_size(estimator, expr, size);
	set_entry(estimator, expr, entry_of(estimator, expr->fold.result));
	return cost;
}

static void fold_result_size(struct estimator *estimator, const struct cel_expr *expr, struct span range)
{
	struct span size;
	const struct cel_expr *init = expr->fold.init;
	if (init->kind == CEL_EXPR_LITERAL && find_size(estimator, init, &size))
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
	struct span range = size_of(estimator, expr->fold.range);
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
