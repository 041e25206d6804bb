// SPDX-License-Identifier: Apache-2.0
#pragma once
// Prometheus metrics. Families are static const tables of their owner; samples
// are created on first use by their label values. Updating a sample that is
// held is lock-free; looking one up takes the registry's mutex.

#include <stdint.h>

#include "common/base/strbuf.h"

struct metrics_registry;

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
};

struct metric_family {
	const char *name;
	const char *help;
	enum metric_type type;
	const char *const *label_names; // NULL-terminated, or NULL for none
	const double *buckets;          // histograms: ascending bounds, ended by 0
};

struct metric; // one sample (a family with its label values)

struct metrics_registry *metrics_registry_new(void);
struct metrics_registry *metrics_registry_free(struct metrics_registry *registry);

// The sample with these label values (as many as the family has names), made on
// first use; lives as long as the registry. Thread-safe.
struct metric *metric_get(struct metrics_registry *registry, const struct metric_family *family,
                          const char *const *label_values);

void metric_add(struct metric *metric, double delta);
void metric_set(struct metric *metric, double value);
void metric_observe(struct metric *metric, double value);

// Called before each exposition, to refresh gauges.
void metrics_registry_on_collect(struct metrics_registry *registry, void (*collect)(void *context), void *context);

// Writes all in the text format 0.0.4, with process_* metrics.
void metrics_write(struct metrics_registry *registry, struct strbuf *out);
