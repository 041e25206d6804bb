// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is wanted of the kernel and what it has: elements counted over the services
// that want them, and the difference as a plan for one transaction.

#include <stdbool.h>
#include <stddef.h>

#include "kube-proxy/rule.h"

struct rule_table;

struct rule_chain_change {
	enum rule_chain chain;
	bool ipv6;
	uint32_t endpoint_count;
};

// One transaction: chains to make, elements to take out, elements to put in, chains to drop, in this order.
struct rule_plan {
	struct rule_element_array removed;
	struct rule_element_array added;
	struct rule_chain_change *chains_added;
	size_t chains_added_count;
	struct rule_chain_change *chains_removed;
	size_t chains_removed_count;
};

void rule_plan_done(struct rule_plan *plan);
bool rule_plan_is_empty(const struct rule_plan *plan);

struct rule_table *rule_table_new(void);
struct rule_table *rule_table_free(struct rule_table *table);

// One round: release every owner that changes, then claim what each wants now,
// then take the plan. Releasing an unknown owner does nothing.
void rule_table_release(struct rule_table *table, const char *owner);
// False when an element is claimed by another owner with another meaning (two
// services with one external address and port): the first keeps it, and this
// owner should be claimed again after something was released.
bool rule_table_claim(struct rule_table *table, const char *owner, const struct rule_element_array *elements);

// The difference between wanted and installed; the caller owns its arrays.
struct rule_plan rule_table_plan(struct rule_table *table);
// The plan was carried out.
void rule_table_committed(struct rule_table *table);
// Nothing is known of the kernel's state: the next plan holds everything.
void rule_table_forget_installed(struct rule_table *table);
