// SPDX-License-Identifier: Apache-2.0
//
// The registry maps a family's name to its samples; a sample's key is its label
// values joined by a byte that UTF-8 text never holds. Families and samples are
// only ever added, so a held sample stays valid and is updated by atomics alone:
// numbers are doubles in 64-bit words, changed by compare-and-swap.
#include "common/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/base/metrics_process.h"

struct metric {
	const struct metric_family *family;
	struct metric *next;                 // in order of creation
	_Atomic uint64_t value_bits;         // a double; histograms: the sum
	atomic_uint_fast64_t *bucket_counts; // histograms: one for each bound and one for +Inf, not cumulative
	size_t bucket_count;                 // bounds, without +Inf
	char *labels;                        // `name="value",…` as printed; "" for none
};

struct metric_group {
	const struct metric_family *family;
	struct hashmap *samples;
	struct metric *first, **end;
};

struct metrics_collector {
	void (*collect)(void *context);
	void *context;
};

struct metrics_registry {
	pthread_mutex_t mutex;
	struct hashmap *groups; // by family name
	struct metrics_collector *collectors;
	size_t collector_count;
};

enum { METRIC_LABELS_MAX_BYTES = 64 * 1024 };

static struct metric *metric_free(struct metric *metric)
{
	free(metric->bucket_counts);
	free(metric->labels);
	free(metric);
	return NULL;
}

static void group_free(void *value)
{
	struct metric_group *group = value;
	while (group->first) {
		struct metric *metric = group->first;
		group->first = metric->next;
		metric_free(metric);
	}
	hashmap_free(group->samples);
	free(group);
}

struct metrics_registry *metrics_registry_new(void)
{
	struct metrics_registry *registry = NEW(struct metrics_registry);
	pthread_mutex_init(&registry->mutex, NULL);
	registry->groups = hashmap_new(group_free);
	return registry;
}

struct metrics_registry *metrics_registry_free(struct metrics_registry *registry)
{
	if (!registry)
		return NULL;
	hashmap_free(registry->groups);
	free(registry->collectors);
	pthread_mutex_destroy(&registry->mutex);
	free(registry);
	return NULL;
}

void metrics_registry_on_collect(struct metrics_registry *registry, void (*collect)(void *context), void *context)
{
	pthread_mutex_lock(&registry->mutex);
	registry->collectors =
	        xreallocarray(registry->collectors, registry->collector_count + 1, sizeof(*registry->collectors));
	registry->collectors[registry->collector_count++] =
	        (struct metrics_collector){.collect = collect, .context = context};
	pthread_mutex_unlock(&registry->mutex);
}

// --- samples ------------------------------------------------------------------------

static void append_escaped(struct strbuf *out, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\n')
			strbuf_append_text(out, "\\n");
		else if (*text == '\\' || (quotes && *text == '"'))
			strbuf_append(out, (const char[]){'\\', *text}, 2);
		else
			strbuf_append_char(out, *text);
	}
}

static char *format_labels(const struct metric_family *family, const char *const *values)
{
	struct strbuf out = STRBUF_INIT(METRIC_LABELS_MAX_BYTES);
	for (size_t i = 0; family->label_names && family->label_names[i]; i++) {
		strbuf_printf(&out, "%s%s=\"", i ? "," : "", family->label_names[i]);
		append_escaped(&out, values[i] ? values[i] : "", true);
		strbuf_append_char(&out, '"');
	}
	return strbuf_take(&out, NULL);
}

static struct metric_group *get_group(struct metrics_registry *registry, const struct metric_family *family)
{
	struct metric_group *group = hashmap_get(registry->groups, family->name);
	if (group)
		return group;
	group = NEW(struct metric_group);
	group->family = family;
	group->samples = hashmap_new(NULL);
	group->end = &group->first;
	hashmap_put(registry->groups, family->name, group);
	return group;
}

static struct metric *new_metric(struct metric_group *group, const struct metric_family *family, char *labels)
{
	struct metric *metric = NEW(struct metric);
	metric->family = family;
	metric->labels = labels;
	if (family->type == METRIC_HISTOGRAM) {
		while (family->buckets && family->buckets[metric->bucket_count] != 0)
			metric->bucket_count++;
		metric->bucket_counts = xcalloc(metric->bucket_count + 1, sizeof(*metric->bucket_counts));
	}
	*group->end = metric;
	group->end = &metric->next;
	return metric;
}

struct metric *metric_get(struct metrics_registry *registry, const struct metric_family *family,
                          const char *const *label_values)
{
	AUTO_FREE char *labels = format_labels(family, label_values);
	pthread_mutex_lock(&registry->mutex);
	struct metric_group *group = get_group(registry, family);
	assert(group->family->type == family->type);
	struct metric *metric = hashmap_get(group->samples, labels);
	if (!metric) {
		metric = new_metric(group, family, TAKE(labels));
		hashmap_put(group->samples, metric->labels, metric);
	}
	pthread_mutex_unlock(&registry->mutex);
	return metric;
}

static double double_of(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

void metric_add(struct metric *metric, double delta)
{
	uint64_t old = atomic_load_explicit(&metric->value_bits, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&metric->value_bits, &old, bits_of(double_of(old) + delta),
	                                              memory_order_relaxed, memory_order_relaxed))
		;
}

void metric_set(struct metric *metric, double value)
{
	atomic_store_explicit(&metric->value_bits, bits_of(value), memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value)
{
	assert(metric->bucket_counts);
	size_t bucket = 0;
	while (bucket < metric->bucket_count && value > metric->family->buckets[bucket])
		bucket++;
	atomic_fetch_add_explicit(&metric->bucket_counts[bucket], 1, memory_order_relaxed);
	metric_add(metric, value);
}

// --- exposition ---------------------------------------------------------------------

// The shortest text that reads back as the same number.
static void append_number(struct strbuf *out, double value)
{
	char text[32];
	if (isnan(value) || isinf(value)) {
		strbuf_append_text(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	strbuf_append_text(out, text);
}

static void append_sample(struct strbuf *out, const char *name, const char *suffix, const char *labels, double value)
{
	strbuf_printf(out, "%s%s%s%s%s ", name, suffix, *labels ? "{" : "", labels, *labels ? "}" : "");
	append_number(out, value);
	strbuf_append_char(out, '\n');
}

static void append_histogram(struct strbuf *out, const struct metric *metric)
{
	const char *name = metric->family->name, *comma = *metric->labels ? "," : "";
	uint64_t total = 0;
	for (size_t i = 0; i <= metric->bucket_count; i++) {
		total += atomic_load_explicit(&metric->bucket_counts[i], memory_order_relaxed);
		strbuf_printf(out, "%s_bucket{%s%sle=\"", name, metric->labels, comma);
		append_number(out, i < metric->bucket_count ? metric->family->buckets[i] : (double)INFINITY);
		strbuf_printf(out, "\"} %" PRIu64 "\n", total);
	}
	append_sample(out, name, "_sum", metric->labels, double_of(atomic_load(&metric->value_bits)));
	append_sample(out, name, "_count", metric->labels, (double)total);
}

static void append_group(struct strbuf *out, const struct metric_group *group)
{
	static const char *const type_names[] = {
	        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
	const struct metric_family *family = group->family;
	strbuf_printf(out, "# HELP %s ", family->name);
	append_escaped(out, family->help ? family->help : "", false);
	strbuf_printf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
	for (const struct metric *metric = group->first; metric; metric = metric->next) {
		if (family->type == METRIC_HISTOGRAM)
			append_histogram(out, metric);
		else
			append_sample(out, family->name, "", metric->labels,
			              double_of(atomic_load(&metric->value_bits)));
	}
}

static int compare_groups(const void *one, const void *other)
{
	const struct metric_group *const *a = one, *const *b = other;
	return strcmp((*a)->family->name, (*b)->family->name);
}

static void collect_all(struct metrics_registry *registry)
{
	// Collectors take the mutex themselves by metric_get.
	for (size_t i = 0;; i++) {
		pthread_mutex_lock(&registry->mutex);
		bool more = i < registry->collector_count;
		struct metrics_collector collector = more ? registry->collectors[i] : (struct metrics_collector){0};
		pthread_mutex_unlock(&registry->mutex);
		if (!more)
			return;
		collector.collect(collector.context);
	}
}

void metrics_write(struct metrics_registry *registry, struct strbuf *out)
{
	collect_all(registry);
	metrics_collect_process(registry);
	pthread_mutex_lock(&registry->mutex);
	size_t count = 0;
	AUTO_FREE struct metric_group **groups = xcalloc(hashmap_count(registry->groups), sizeof(*groups));
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(registry->groups, &cursor))
		groups[count++] = cursor.value;
	qsort(groups, count, sizeof(*groups), compare_groups);
	for (size_t i = 0; i < count; i++)
		append_group(out, groups[i]);
	pthread_mutex_unlock(&registry->mutex);
}
