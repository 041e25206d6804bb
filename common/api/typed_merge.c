// SPDX-License-Identifier: Apache-2.0
// Laying an applied configuration over the live object.
//
// Structs and maps are merged member by member, keyed lists and sets item by
// item, anything else is replaced. In lists the shared items take the order of
// the configuration. What only the live list has stays where it stood among
// them: the live list is walked, and at each shared item the configuration is let
// in up to that item. A null or empty container of the configuration changes a
// container that holds something in nothing.

#include <stdlib.h>

#include "common/api/json_hash.h"
#include "common/api/typed.h"

static struct json *merge_members(struct arena *arena, const struct typed_place *place, struct json *live,
                                  struct json *config)
{
	struct json *result = json_object(arena);
	AUTO_JSON_INDEX struct json_index applied, known;

	json_index_init(&applied, config);
	json_index_init(&known, live);
	json_for_each_member (member, live) {
		struct json *wanted = json_index_get(&applied, member->key, member->key_length);
		struct json *value = member->value;
		struct typed_place here;

		if (wanted && typed_member(place, member->key, member->key_length, &here, NULL))
			value = typed_merge(arena, &here, value, wanted);
		json_add_n(arena, result, member->key, member->key_length, value);
	}
	json_for_each_member (member, config)
		if (!json_index_find(&known, member->key, member->key_length))
			json_add_n(arena, result, member->key, member->key_length, member->value);
	return result;
}

// --- lists ---------------------------------------------------------------------------

struct slot {
	struct path_element element;
	struct json *value;
	struct slot *twin; // the same item of the other list
	bool merged;       // of the live list: stands in the result
};

struct sequence {
	struct slot *slots;   // as the list has them
	struct slot **sorted; // by element
	uint32_t count;
};

static int compare_slots(const void *a, const void *b)
{
	const struct slot *left = *(struct slot *const *)a, *right = *(struct slot *const *)b;
	int order = path_element_compare(&left->element, &right->element);

	return order ? order : left < right ? -1 : left > right;
}

static struct sequence sequence_of(struct arena *arena, const struct typed_place *place, struct json *list)
{
	struct sequence sequence = {.count = json_is(list, JSON_ARRAY) ? list->length : 0};

	sequence.slots = ARENA_ARRAY(arena, struct slot, sequence.count + 1);
	sequence.sorted = ARENA_ARRAY(arena, struct slot *, sequence.count + 1);
	for (uint32_t i = 0; i < sequence.count; i++) {
		sequence.slots[i].value = list->items[i];
		(void)typed_item_element(arena, place, list->items[i], &sequence.slots[i].element);
		sequence.sorted[i] = &sequence.slots[i];
	}
	qsort(sequence.sorted, sequence.count, sizeof(struct slot *), compare_slots);
	return sequence;
}

// Each item of the configuration meets the first of its live twins; the others follow that one.
static void pair(struct sequence *live, struct sequence *config)
{
	uint32_t j = 0;

	for (uint32_t i = 0; i < live->count; i++) {
		struct slot *slot = live->sorted[i];

		while (j < config->count && path_element_compare(&config->sorted[j]->element, &slot->element) < 0)
			j++;
		if (j == config->count)
			return;
		if (path_element_compare(&config->sorted[j]->element, &slot->element))
			continue;
		slot->twin = config->sorted[j];
		if (!config->sorted[j]->twin)
			config->sorted[j]->twin = slot;
	}
}

static void take(struct arena *arena, const struct typed_place *place, struct slot *slot, struct json *result)
{
	struct json *value = slot->value;

	if (slot->twin) {
		struct typed_place here = typed_item(place);

		value = typed_merge(arena, &here, slot->twin->value, value);
		slot->twin->merged = true;
	}
	json_append(arena, result, value);
}

static struct json *merge_lists(struct arena *arena, const struct typed_place *place, struct json *live_list,
                                struct json *config_list)
{
	struct sequence live = sequence_of(arena, place, live_list), config = sequence_of(arena, place, config_list);
	struct json *result = json_array(arena);
	uint32_t next = 0; // of the configuration

	pair(&live, &config);
	for (uint32_t i = 0; i < live.count; i++) {
		struct slot *slot = &live.slots[i];
		uint32_t shared = next;

		if (!slot->twin) {
			json_append(arena, result, slot->value);
			continue;
		}
		// The shared item that comes next in the configuration's order.
		while (shared < config.count && !config.slots[shared].twin)
			shared++;
		if (shared == config.count || config.slots[shared].twin != slot)
			continue;
		while (next <= shared)
			take(arena, place, &config.slots[next++], result);
	}
	while (next < config.count)
		take(arena, place, &config.slots[next++], result);
	return result;
}

struct json *typed_merge(struct arena *arena, const struct typed_place *place, struct json *live, struct json *config)
{
	enum typed_shape shape = typed_shape_of(place, typed_is_empty(config) ? live : config);

	if (shape == TYPED_LEAF || (typed_is_empty(live) && typed_is_empty(config)))
		return config;
	return shape == TYPED_MEMBERS ? merge_members(arena, place, live, config)
	                              : merge_lists(arena, place, live, config);
}
