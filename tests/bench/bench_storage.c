// SPDX-License-Identifier: Apache-2.0
//
// Figures of the storage over a real etcd on loopback: writes and consistent reads
// at several concurrencies, lists from the cache, delivery to many watches, and the
// start with many objects. Prints a table; judges nothing.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/storage/storage.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "tests/unit/apiserver/etcd_fixture.h"
#include "tests/unit/apiserver/pods_resource.h"

enum { OBJECTS = 10000, WATCHES = 2000, NODES = 1000 };

struct bench {
	struct loop *loop;
	struct storage *storage;
	int64_t revisions[OBJECTS];
	size_t next;
	size_t end;
	size_t running;
	bool read;
	int64_t *latencies;
	size_t count;
	size_t delivered;
};

struct call {
	struct bench *bench;
	size_t object;
	int64_t started_ns;
};

static int64_t now(void)
{
	return clock_monotonic_ns(&clock_system);
}

static double milliseconds(int64_t ns)
{
	return (double)ns / NSEC_PER_MSEC;
}

static void start_next(struct bench *bench);

static void finish(struct call *call, const struct err *err)
{
	struct bench *bench = call->bench;
	if (err) {
		fprintf(stderr, "%s\n", err->message);
		exit(1);
	}
	bench->latencies[bench->count++] = now() - call->started_ns;
	bench->running--;
	free(call);
	start_next(bench);
}

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct call *call = context;
	if (object)
		call->bench->revisions[call->object] = object->revision;
	finish(call, err);
}

static void on_got(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	(void)object;
	(void)revision;
	finish(context, err);
}

static void start_next(struct bench *bench)
{
	if (bench->next == bench->end)
		return;
	struct call *call = NEW(struct call);
	char name[24], text[2600];
	*call = (struct call){bench, bench->next++ % OBJECTS, now()};
	bench->running++;
	snprintf(name, sizeof(name), "pod-%05zu", call->object);
	if (bench->read) {
		struct storage_read read = {
		        .resource = &pods, .namespace_name = "default", .name = name, .freshness = STORAGE_CONSISTENT};
		storage_get(bench->storage, &read, bench->loop, on_got, call);
		return;
	}
	int64_t revision = bench->revisions[call->object];
	int length = snprintf(
	        text, sizeof(text),
	        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
	        "\"default\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":\"node-%zu\"},\"fill\":\"%01900d\"}",
	        name, call->object % NODES, 0);
	struct storage_write write = {
	        .type = revision ? STORAGE_UPDATE : STORAGE_CREATE,
	        .resource = &pods,
	        .namespace_name = "default",
	        .name = name,
	        .expected_revision = revision,
	        .json = blob_new(text, (size_t)length),
	};
	storage_write(bench->storage, &write, bench->loop, on_written, call);
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

static void run_calls(struct bench *bench, const char *name, size_t count, size_t concurrency, bool read)
{
	bench->latencies = xcalloc(count, sizeof(int64_t));
	bench->count = 0;
	bench->read = read;
	bench->end = bench->next + count;
	int64_t begin = now();
	for (size_t i = 0; i < concurrency; i++)
		start_next(bench);
	while (bench->running)
		loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	double seconds = (double)(now() - begin) / NSEC_PER_SEC;
	qsort(bench->latencies, count, sizeof(int64_t), compare_numbers);
	printf("%-28s %9.0f/s   p50 %6.2f ms   p99 %6.2f ms\n", name, (double)count / seconds,
	       milliseconds(bench->latencies[count / 2]), milliseconds(bench->latencies[count * 99 / 100]));
	free(bench->latencies);
}

static void on_listed(void *context, const struct storage_list *list, const struct err *err)
{
	size_t *bytes = context;
	if (err) {
		fprintf(stderr, "%s\n", err->message);
		exit(1);
	}
	for (size_t i = 0; i < list->count; i++)
		*bytes += list->objects[i]->json->length;
}

static void run_lists(struct bench *bench, const char *name, const char *node, enum storage_freshness freshness)
{
	enum { ROUNDS = 50 };
	struct storage_read read = {.resource = &pods,
	                            .freshness = freshness,
	                            .field_label = node ? "spec.nodeName" : NULL,
	                            .field_value = node};
	int64_t begin = now();
	size_t bytes = 0;
	for (int i = 0; i < ROUNDS; i++) {
		bytes = 0;
		storage_list(bench->storage, &read, bench->loop, on_listed, &bytes);
		while (!bytes)
			loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	}
	printf("%-28s %9.3f ms each (%zu KB)\n", name, milliseconds(now() - begin) / ROUNDS, bytes / 1024);
}

struct watcher {
	struct bench *bench;
	struct storage_watch *watch;
};

static void on_readable(void *context)
{
	struct watcher *watcher = context;
	struct storage_event event;
	struct err err = ERR_INIT;
	while (storage_watch_next(watcher->watch, &event, &err))
		watcher->bench->delivered += event.type != STORAGE_EVENT_PROGRESS;
}

static void run_watches(struct bench *bench, bool by_node, int64_t after)
{
	struct watcher *watchers = xcalloc(WATCHES, sizeof(*watchers));
	char node[24];
	for (size_t i = 0; i < WATCHES; i++) {
		struct err err = ERR_INIT;
		snprintf(node, sizeof(node), "node-%zu", i % NODES);
		struct storage_watch_config config = {
		        .resource = &pods,
		        .field_label = by_node ? "spec.nodeName" : NULL,
		        .field_value = node,
		        .after_revision = after,
		        .loop = bench->loop,
		        .readable = on_readable,
		        .context = &watchers[i],
		};
		watchers[i].bench = bench;
		if (storage_watch_open(bench->storage, &config, &watchers[i].watch, &err)) {
			fprintf(stderr, "%s\n", err.message);
			exit(1);
		}
	}
	bench->delivered = 0;
	size_t writes = by_node ? 5000 : 200, wanted = writes * (by_node ? WATCHES / NODES : WATCHES);
	int64_t begin = now();
	run_calls(bench, by_node ? "update, 2000 node watches" : "update, 2000 full watches", writes, by_node ? 16 : 1,
	          false);
	while (bench->delivered < wanted)
		loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	printf("%-28s %9.0f events/s delivered\n", "", (double)wanted / ((double)(now() - begin) / NSEC_PER_SEC));
	for (size_t i = 0; i < WATCHES; i++)
		storage_watch_close(watchers[i].watch);
	loop_turn(bench->loop, 0);
	free(watchers);
}

static void wait_ready(struct bench *bench)
{
	while (!storage_is_ready(bench->storage))
		loop_turn(bench->loop, NSEC_PER_MSEC);
}

static void start_storage(struct bench *bench, const struct etcd_fixture *fixture)
{
	struct err err = ERR_INIT;
	struct storage_config config = {.etcd_endpoints = fixture->endpoints, .prefix = "/registry"};
	if (storage_new(&config, &bench->storage, &err)) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	storage_add_resource(bench->storage, &pods);
	wait_ready(bench);
}

static long resident_kb(void)
{
	long kb = 0;
	char line[128];
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb;
}

int main(void)
{
	static struct bench bench;
	struct etcd_fixture fixture;
	struct err err = ERR_INIT;
	etcd_fixture_init(&fixture);
	etcd_fixture_start(&fixture);
	if (loop_new(&clock_system, &bench.loop, &err))
		return 1;
	start_storage(&bench, &fixture);
	run_calls(&bench, "create, 16 at once", OBJECTS, 16, false);
	run_calls(&bench, "update, 1 at once", 2000, 1, false);
	run_calls(&bench, "update, 16 at once", OBJECTS, 16, false);
	run_calls(&bench, "update, 64 at once", OBJECTS, 64, false);
	run_calls(&bench, "consistent get, 1 at once", 2000, 1, true);
	run_calls(&bench, "consistent get, 64 at once", 20000, 64, true);
	run_lists(&bench, "list of 10,000 from the cache", NULL, STORAGE_ANY);
	run_lists(&bench, "the same, consistent", NULL, STORAGE_CONSISTENT);
	run_lists(&bench, "list of one node, consistent", "node-7", STORAGE_CONSISTENT);
	int64_t last = 0;
	for (size_t i = 0; i < OBJECTS; i++)
		last = bench.revisions[i] > last ? bench.revisions[i] : last;
	run_watches(&bench, false, last);
	for (size_t i = 0; i < OBJECTS; i++)
		last = bench.revisions[i] > last ? bench.revisions[i] : last;
	run_watches(&bench, true, last);
	storage_free(bench.storage);
	int64_t begin = now();
	start_storage(&bench, &fixture);
	printf("%-28s %9.0f ms, %ld KB resident in all\n", "start with 10,000 objects", milliseconds(now() - begin),
	       resident_kb());
	storage_free(bench.storage);
	loop_turn(bench.loop, 0);
	loop_free(bench.loop);
	etcd_fixture_done(&fixture);
	return 0;
}
