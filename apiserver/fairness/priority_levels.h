// SPDX-License-Identifier: Apache-2.0
#pragma once
// The priority levels and flow schemas in force. Both are made from the objects of
// flowcontrol.apiserver.k8s.io; the mandatory ones are always there.
//
// A flow_config is immutable and shared by reference: classifying a request takes
// no lock. Levels are changed under the caller's lock only.

#include "apiserver/fairness/concurrency.h"
#include "apiserver/fairness/flow_schema.h"
#include "apiserver/fairness/metrics.h"
#include "apiserver/fairness/queue_set.h"

struct json;

struct priority_level {
	struct list node; // of the set
	unsigned references;
	char *name;
	char *uid;
	bool configured; // false: its object is gone, the last requests leave
	bool exempt;
	unsigned shares;
	int lendable_percent;
	int borrowing_percent; // < 0: unlimited
	struct concurrency_limits limits;
	unsigned current; // seats
	struct queue_set *queues;
	struct seat_demand demand;
	struct level_metrics metrics;
};

struct flow {
	struct flowcontrol_v1_flow_schema schema;
	struct priority_level *level;
	uint64_t seed; // of its flows' hashes
	struct flow_metrics metrics;
};

struct flow_config {
	unsigned references; // under the lock
	struct arena *arena;
	struct flow *flows; // in the order of trying; the last one takes all
	size_t count;
};

struct priority_levels {
	struct list levels; // struct priority_level
	unsigned server_seats;
	struct metrics_registry *metrics;
	struct flow_config *config;
};

void priority_levels_init(struct priority_levels *set, unsigned server_seats, struct metrics_registry *metrics);
void priority_levels_done(struct priority_levels *set); // nothing waits or executes any more

// Takes what the objects say into force. Trees are completed objects; those that can't be
// read are passed over.
void priority_levels_configure(struct priority_levels *set, struct json *const *levels, size_t level_count,
                               struct json *const *schemas, size_t schema_count, int64_t now_ns);
// Divides the seats anew by what was asked for since the last time.
void priority_levels_adjust(struct priority_levels *set, int64_t now_ns);

struct priority_level *priority_level_ref(struct priority_level *level);
struct priority_level *priority_level_unref(struct priority_level *level);
struct flow_config *flow_config_ref(struct flow_config *config);
struct flow_config *flow_config_unref(struct flow_config *config);

// The flow that a request belongs to; never NULL. Needs no lock.
const struct flow *flow_config_classify(const struct flow_config *config, const struct flow_attributes *attributes);
// The hash that tells a request's flow from others.
uint64_t flow_hash(const struct flow *flow, const struct flow_attributes *attributes);

// After each change of what a level executes and has waiting.
void priority_level_note_demand(struct priority_level *level, int64_t now_ns);
