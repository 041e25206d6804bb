// SPDX-License-Identifier: Apache-2.0
//
// The rules of calls: what a call can cost, from the sizes that its operands can have,
// and how large its result can be. One row for each rule of library.h; cost.c has the
// same rows for what a call did cost.
#include "common/cel/estimate_internal.h"

typedef struct call_estimate rule_function(const struct call_nodes *call);

static struct span arg_size(const struct call_nodes *call, uint32_t number)
{
	return number < call->count ? estimate_size(call->estimator, call->args[number]) : span_unknown;
}

// Of the receiver, or of the first argument where the function has none.
static struct span subject_size(const struct call_nodes *call)
{
	return call->target ? estimate_size(call->estimator, call->target) : arg_size(call, 0);
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
		if (estimate_find_size(call->estimator, call->args[1], &found))
			size = found;
		return only_cost(scale((struct span){1, size.high}, 0.1));
	}
	return only_cost(fixed(1));
}

static struct call_estimate rule_add_text(const struct call_nodes *call)
{
	struct span size = add(arg_size(call, 0), arg_size(call, 1));
	estimate_unite_entries(call->estimator, call->expr, call->args[0], call->args[1]);
	return cost_and_size(scale(size, 0.1), size);
}

static struct call_estimate rule_add_list(const struct call_nodes *call)
{
	struct span size = add(arg_size(call, 0), arg_size(call, 1));
	estimate_unite_entries(call->estimator, call->expr, call->args[0], call->args[1]);
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

static struct call_estimate rule_list_scan(const struct call_nodes *call)
{
	const struct cel_type *type = call->target ? call->target->type : &cel_type_dyn;
	struct span each = fixed(1), size = span_unknown;
	if (type->param_count == 0)
		return rule_traverse(call);
	if (type->params[0]->kind == CEL_TYPE_STRING || type->params[0]->kind == CEL_TYPE_BYTES) {
		(void)estimate_element_size(call->estimator, call->target, &size);
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
	struct span list = subject_size(call), each = span_unknown, size = {0, 0};
	if (call->target->type->param_count) {
		(void)estimate_element_size(call->estimator, call->target, &each);
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

struct call_estimate estimate_call(enum cel_cost_rule rule, const struct call_nodes *call)
{
	return rules[rule](call);
}
