// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/base/metrics.h"

static const char *const request_labels[] = {"verb", "code", NULL};
static const double buckets[] = {0.005, 0.1, 1, 0};
static const struct metric_family requests = {"requests_total", "Requests\nserved.", METRIC_COUNTER, request_labels};
static const struct metric_family depth = {"queue_depth", "Depth.", METRIC_GAUGE};
static const struct metric_family latency = {"latency_seconds", "Latency.", METRIC_HISTOGRAM,
                                             (const char *const[]){"verb", NULL}, buckets};

static void assert_has(struct metrics_registry *registry, const char *text)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(100000);
	metrics_write(registry, &out);
	if (!strstr(strbuf_text(&out), text))
		fail_msg("missing %s in\n%s", text, strbuf_text(&out));
}

static void refresh(void *context)
{
	metric_set(metric_get(context, &depth, NULL), 4.5);
}

static void test_exposition(void **state UNUSED)
{
	struct metrics_registry *registry = metrics_registry_new();
	metric_add(metric_get(registry, &requests, (const char *const[]){"GET", "200"}), 1);
	metric_add(metric_get(registry, &requests, (const char *const[]){"GET", "200"}), 2);
	metric_add(metric_get(registry, &requests, (const char *const[]){"a\"\\\n", "500"}), 1e9);
	metrics_registry_on_collect(registry, refresh, registry);
	struct metric *histogram = metric_get(registry, &latency, (const char *const[]){"GET"});
	metric_observe(histogram, 0.005);
	metric_observe(histogram, 0.25);
	metric_observe(histogram, 3);
	assert_has(registry, "# HELP requests_total Requests\\nserved.\n# TYPE requests_total counter\n"
	                     "requests_total{verb=\"GET\",code=\"200\"} 3\n"
	                     "requests_total{verb=\"a\\\"\\\\\\n\",code=\"500\"} 1e+09\n");
	assert_has(registry, "# TYPE queue_depth gauge\nqueue_depth 4.5\n");
	assert_has(registry, "# TYPE latency_seconds histogram\n"
	                     "latency_seconds_bucket{verb=\"GET\",le=\"0.005\"} 1\n"
	                     "latency_seconds_bucket{verb=\"GET\",le=\"0.1\"} 1\n"
	                     "latency_seconds_bucket{verb=\"GET\",le=\"1\"} 2\n"
	                     "latency_seconds_bucket{verb=\"GET\",le=\"+Inf\"} 3\n"
	                     "latency_seconds_sum{verb=\"GET\"} 3.255\n"
	                     "latency_seconds_count{verb=\"GET\"} 3\n");
	metrics_registry_free(registry);
}

static void test_process_metrics(void **state UNUSED)
{
	struct metrics_registry *registry = metrics_registry_new();
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(100000);
	metrics_write(registry, &out);
	double resident = 0, start = 0, fds = 0;
	sscanf(strstr(strbuf_text(&out), "\nprocess_resident_memory_bytes "), " process_resident_memory_bytes %lf",
	       &resident);
	sscanf(strstr(strbuf_text(&out), "\nprocess_start_time_seconds "), " process_start_time_seconds %lf", &start);
	sscanf(strstr(strbuf_text(&out), "\nprocess_open_fds "), " process_open_fds %lf", &fds);
	assert_true(resident > 100 * 1024);
	assert_true(start > 1e9);
	assert_true(fds >= 1 && fds < 1000);
	metrics_registry_free(registry);
}

static void *add_many(void *context)
{
	for (int i = 0; i < 10000; i++)
		metric_add(metric_get(context, &requests, (const char *const[]){"GET", i & 1 ? "200" : "404"}), 1);
	return NULL;
}

static void test_threads(void **state UNUSED)
{
	struct metrics_registry *registry = metrics_registry_new();
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, registry), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_has(registry, "requests_total{verb=\"GET\",code=\"200\"} 20000\n");
	assert_has(registry, "requests_total{verb=\"GET\",code=\"404\"} 20000\n");
	metrics_registry_free(registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_exposition),
	        cmocka_unit_test(test_process_metrics),
	        cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
