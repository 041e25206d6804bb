// SPDX-License-Identifier: Apache-2.0
//
// Every element that is wanted or installed has an entry, found by its set and
// key. Owners count on entries; an entry nobody counts on is taken out by the
// next plan. Entries that changed since the last commit stand on a list, so a
// plan costs what changed, not what there is.
//
// Invariants: `references` is the number of owner lists that hold the entry's
// key; an entry is off the changed list only when installed equals wanted; an
// entry with no references that is not installed does not exist after a commit.
#include "kube-proxy/rule_table.h"

#include <stdio.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/base/memory.h"

struct entry {
	struct list changed_node;
	unsigned references;
	bool is_installed;
	struct rule_element wanted;
	struct rule_element installed;
};

struct chain_count {
	struct rule_chain_change chain;
	size_t references; // wanted elements that lead to it
	bool is_installed;
};

struct rule_table {
	struct hashmap *entries; // set and key → entry
	struct hashmap *owners;  // owner → struct rule_element_array
	struct hashmap *chains;  // family, chain and count → chain_count
	struct list changed;
};

enum { ENTRY_NAME_BYTES = 2 * RULE_KEY_BYTES + 8, CHAIN_NAME_BYTES = 40 };

void rule_plan_done(struct rule_plan *plan)
{
	rule_element_array_done(&plan->removed);
	rule_element_array_done(&plan->added);
	free(plan->chains_added);
	free(plan->chains_removed);
	*plan = (struct rule_plan){0};
}

bool rule_plan_is_empty(const struct rule_plan *plan)
{
	return !plan->removed.count && !plan->added.count && !plan->chains_added_count && !plan->chains_removed_count;
}

static void owned_free(void *value)
{
	rule_element_array_done(value);
	free(value);
}

struct rule_table *rule_table_new(void)
{
	struct rule_table *table = NEW(struct rule_table);
	table->entries = hashmap_new(free);
	table->owners = hashmap_new(owned_free);
	table->chains = hashmap_new(free);
	list_init(&table->changed);
	return table;
}

struct rule_table *rule_table_free(struct rule_table *table)
{
	if (!table)
		return NULL;
	hashmap_free(table->entries);
	hashmap_free(table->owners);
	hashmap_free(table->chains);
	free(table);
	return NULL;
}

static void entry_name(const struct rule_element *element, char out[ENTRY_NAME_BYTES])
{
	int length = snprintf(out, ENTRY_NAME_BYTES, "%u%c", element->set, element->ipv6 ? '6' : '4');
	hex_encode(out + length, element->key, element->key_length);
}

static bool same_meaning(const struct rule_element *a, const struct rule_element *b)
{
	return a->chain == b->chain && a->endpoint_count == b->endpoint_count && a->data_length == b->data_length &&
	       memcmp(a->data, b->data, a->data_length) == 0;
}

static void mark_changed(struct rule_table *table, struct entry *entry)
{
	if (list_is_empty(&entry->changed_node))
		list_append(&table->changed, &entry->changed_node);
}

static void count_chain(struct rule_table *table, const struct rule_element *element, int delta)
{
	if (element->chain == RULE_CHAIN_NONE)
		return;
	char name[CHAIN_NAME_BYTES];
	snprintf(name, sizeof(name), "%c%u-%u", element->ipv6 ? '6' : '4', element->chain, element->endpoint_count);
	struct chain_count *count = hashmap_get(table->chains, name);
	if (!count) {
		count = NEW(struct chain_count);
		count->chain = (struct rule_chain_change){
		        .chain = element->chain, .ipv6 = element->ipv6, .endpoint_count = element->endpoint_count};
		hashmap_put(table->chains, name, count);
	}
	count->references += (size_t)delta;
}

static void unreference(struct rule_table *table, const struct rule_element *element)
{
	char name[ENTRY_NAME_BYTES];
	entry_name(element, name);
	struct entry *entry = hashmap_get(table->entries, name);
	if (--entry->references == 0) {
		count_chain(table, &entry->wanted, -1);
		mark_changed(table, entry);
	}
}

void rule_table_release(struct rule_table *table, const char *owner)
{
	struct rule_element_array *owned = hashmap_get(table->owners, owner);
	if (!owned)
		return;
	for (size_t i = 0; i < owned->count; i++)
		unreference(table, &owned->items[i]);
	hashmap_remove(table->owners, owner);
}

static bool reference(struct rule_table *table, const struct rule_element *element)
{
	char name[ENTRY_NAME_BYTES];
	entry_name(element, name);
	struct entry *entry = hashmap_get(table->entries, name);
	if (!entry) {
		entry = NEW(struct entry);
		list_init(&entry->changed_node);
		hashmap_put(table->entries, name, entry);
	}
	if (entry->references && !same_meaning(&entry->wanted, element))
		return false;
	if (!entry->references) {
		entry->wanted = *element;
		count_chain(table, element, 1);
		mark_changed(table, entry);
	}
	entry->references++;
	return true;
}

bool rule_table_claim(struct rule_table *table, const char *owner, const struct rule_element_array *elements)
{
	bool all = true;
	struct rule_element_array *owned = NEW(struct rule_element_array);
	for (size_t i = 0; i < elements->count; i++) {
		if (reference(table, &elements->items[i]))
			rule_element_array_add(owned, &elements->items[i]);
		else
			all = false;
	}
	rule_table_release(table, owner);
	hashmap_put(table->owners, owner, owned);
	return all;
}

static void add_chain_change(struct rule_chain_change **items, size_t *count, const struct rule_chain_change *change)
{
	*items = xreallocarray(*items, *count + 1, sizeof(**items));
	(*items)[(*count)++] = *change;
}

static void plan_chains(struct rule_table *table, struct rule_plan *plan)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(table->chains, &cursor)) {
		const struct chain_count *count = cursor.value;
		if (count->references && !count->is_installed)
			add_chain_change(&plan->chains_added, &plan->chains_added_count, &count->chain);
		else if (!count->references && count->is_installed)
			add_chain_change(&plan->chains_removed, &plan->chains_removed_count, &count->chain);
	}
}

struct rule_plan rule_table_plan(struct rule_table *table)
{
	struct rule_plan plan = {0};
	struct entry *entry;
	list_for_each (entry, &table->changed, changed_node) {
		bool is_wanted = entry->references > 0;
		bool is_same = is_wanted && entry->is_installed && same_meaning(&entry->wanted, &entry->installed);
		if (entry->is_installed && !is_same)
			rule_element_array_add(&plan.removed, &entry->installed);
		if (is_wanted && !is_same)
			rule_element_array_add(&plan.added, &entry->wanted);
	}
	plan_chains(table, &plan);
	return plan;
}

void rule_table_committed(struct rule_table *table)
{
	struct entry *entry;
	list_for_each (entry, &table->changed, changed_node) {
		list_remove(&entry->changed_node);
		entry->is_installed = entry->references > 0;
		entry->installed = entry->wanted;
		if (!entry->references) {
			char name[ENTRY_NAME_BYTES];
			entry_name(&entry->wanted, name);
			hashmap_remove(table->entries, name);
		}
	}
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(table->chains, &cursor)) {
		struct chain_count *count = cursor.value;
		count->is_installed = count->references > 0;
		if (!count->references)
			hashmap_remove(table->chains, cursor.key);
	}
}

void rule_table_forget_installed(struct rule_table *table)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(table->entries, &cursor)) {
		struct entry *entry = cursor.value;
		entry->is_installed = false;
		mark_changed(table, entry);
	}
	cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(table->chains, &cursor))
		((struct chain_count *)cursor.value)->is_installed = false;
}
