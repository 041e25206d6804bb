// SPDX-License-Identifier: Apache-2.0
#pragma once
// The estimator's parts: spans of sizes and costs, what is known of a node, and the
// rules of calls (estimate_rules.c).

#include <math.h>

#include "common/cel/env.h"
#include "common/cel/evaluate.h"

struct span { // of a size or a cost
	uint64_t low, high;
};

static const struct span span_unknown UNUSED = {0, UINT64_MAX};

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

// Of a node; unknown when nothing bounds it.
struct span estimate_size(struct estimator *estimator, const struct cel_expr *expr);
bool estimate_find_size(struct estimator *estimator, const struct cel_expr *expr, struct span *ret_size);
// Of the elements of a list, as declared; false when nothing is.
bool estimate_element_size(struct estimator *estimator, const struct cel_expr *list, struct span *ret_size);
// Gives `expr` the sizes of the elements of both.
void estimate_unite_entries(struct estimator *estimator, const struct cel_expr *expr, const struct cel_expr *a,
                            const struct cel_expr *b);
// What a call costs beyond its operands, and the size of its result where the rule knows one.
struct call_estimate estimate_call(enum cel_cost_rule rule, const struct call_nodes *call);

// --- spans ---------------------------------------------------------------------------

static inline struct span fixed(uint64_t value)
{
	return (struct span){value, value};
}

static inline uint64_t add_limited(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t multiply_limited(uint64_t a, uint64_t b)
{
	return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static inline uint64_t scale_limited(uint64_t value, double factor)
{
	double scaled = ceil((double)value * factor);
	return scaled >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)scaled;
}

static inline struct span add(struct span a, struct span b)
{
	return (struct span){add_limited(a.low, b.low), add_limited(a.high, b.high)};
}

static inline struct span multiply(struct span a, struct span b)
{
	return (struct span){multiply_limited(a.low, b.low), multiply_limited(a.high, b.high)};
}

static inline struct span scale(struct span a, double factor)
{
	return (struct span){scale_limited(a.low, factor), scale_limited(a.high, factor)};
}

static inline struct span unite(struct span a, struct span b)
{
	return (struct span){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}
