// SPDX-License-Identifier: Apache-2.0
//
// What a call cost, from the sizes that its operands and its result really had. Texts
// cost a tenth of a unit a character, patterns a quarter, list elements one.
#include <math.h>

#include "common/cel/evaluate.h"

static uint64_t scaled(uint64_t size, double factor)
{
	return (uint64_t)ceil((double)size * factor);
}

// The smaller of both sizes. A character has at most four bytes, so that a text much longer than the other isn't looked
// at.
static uint64_t smaller(const struct cel_value *args)
{
	const struct cel_value *shorter = &args[args[0].length > args[1].length], *longer = &args[shorter == &args[0]];
	uint64_t size = cel_size(shorter);
	if (shorter->kind == CEL_STRING && longer->kind == CEL_STRING && longer->length / 4 >= size)
		return size;
	uint64_t other = cel_size(longer);
	return size < other ? size : other;
}

// Everything in a value, texts by their length.
static uint64_t traversal(const struct cel_value *value, unsigned depth)
{
	uint64_t cost = 0;
	if (value->kind == CEL_STRING || value->kind == CEL_BYTES)
		return (uint64_t)((double)value->length * 0.1);
	if (value->kind != CEL_LIST || depth > 2)
		return 1;
	if (value->flags == CEL_FORM_JSON) {
		json_for_each_item (item, value->json)
			cost += item->type == JSON_STRING ? (uint64_t)((double)item->length * 0.1) : 1;
		return cost;
	}
	for (uint32_t i = 0; i < value->length; i++)
		cost += traversal(&value->list->values[i], depth + 1);
	return cost;
}

static uint64_t pattern_cost(uint64_t text, uint64_t pattern)
{
	return (uint64_t)ceil((1.0 + (double)text) * 0.1) * scaled(pattern, 0.25);
}

static uint64_t selector_cost(uint64_t length)
{
	return 10 + scaled(length, 0.1) + scaled(scaled(length, 0.5), 50);
}

static uint64_t address_cost(const struct cel_value *args, bool network, bool text)
{
	uint64_t size = cel_size(&args[0]), cost = scaled(size + size, 0.1);
	if (network)
		cost += scaled(size, 0.1) + 1;
	return text ? cost + scaled(cel_size(&args[1]), 0.1) : cost;
}

static uint64_t equal_cost(const struct cel_value *args)
{
	return args[0].kind == CEL_OPAQUE ? 1 : scaled(smaller(args), 0.1);
}

static uint64_t product(const struct cel_value *args)
{
	return cel_size(&args[0]) * cel_size(&args[1]);
}

uint64_t cel_call_cost(enum cel_cost_rule rule, const struct cel_value *args, unsigned count,
                       const struct cel_value *result)
{
	switch (rule) {
	case CEL_COST_PREFIX:
	case CEL_COST_TRAVERSE:
	case CEL_COST_TEXT_SCAN:
	case CEL_COST_TO_BYTES:
	case CEL_COST_TO_TEXT:
	case CEL_COST_QUOTE:
		return scaled(cel_size(&args[0]), 0.1);
	case CEL_COST_TRAVERSE_2:
	case CEL_COST_REPLACE:
	case CEL_COST_SPLIT:
		return scaled(cel_size(&args[0]), 0.2);
	case CEL_COST_JOIN:
		return scaled(cel_size(result), 0.2);
	case CEL_COST_IN_LIST:
		return cel_size(&args[1]);
	case CEL_COST_COMPARE:
		return scaled(smaller(args), 0.1);
	case CEL_COST_EQUAL:
		return equal_cost(args);
	case CEL_COST_ADD_TEXT:
		return scaled(cel_size(&args[0]) + cel_size(&args[1]), 0.1);
	case CEL_COST_MATCHES:
	case CEL_COST_FIND:
		return pattern_cost(cel_size(&args[0]), cel_size(&args[1]));
	case CEL_COST_CONTAINS:
		return scaled(cel_size(&args[0]), 0.1) * scaled(cel_size(&args[1]), 0.1);
	case CEL_COST_LIST_SCAN:
		return traversal(&args[0], 0);
	case CEL_COST_CONTAINS_IP:
	case CEL_COST_CONTAINS_IP_TEXT:
		return address_cost(args, false, rule == CEL_COST_CONTAINS_IP_TEXT);
	case CEL_COST_CONTAINS_CIDR:
	case CEL_COST_CONTAINS_CIDR_TEXT:
		return address_cost(args, true, rule == CEL_COST_CONTAINS_CIDR_TEXT);
	case CEL_COST_VALIDATE:
		return pattern_cost(cel_size(&args[1]), args[0].length); // a format carries its pattern's size
	case CEL_COST_SETS:
		return 1 + product(args);
	case CEL_COST_SETS_2:
		return 1 + 2 * product(args);
	case CEL_COST_CHECK:
		return 350000;
	case CEL_COST_SELECTOR:
		return count > 1 ? selector_cost(cel_size(&args[1])) : 1;
	default:
		return 1;
	}
}
