// SPDX-License-Identifier: Apache-2.0
#pragma once
// The random walk of test_storage.c. Many writes at once on the test's loop; on two
// other threads watches that open at random revisions, read at random times and
// close; a fourth thread that looks and lists all the time; etcd killed twice. At
// the end etcd's own history says what each watch should have seen: exactly a
// prefix of its part of the history, all of it for those that stay to the end.

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/encode.h"
#include "tests/unit/apiserver/storage_fixture.h"

enum {
	RANDOM_WRITERS = 8,
	RANDOM_NAMESPACES = 3,
	RANDOM_NAMES = 8,
	RANDOM_NODES = 3,
	RANDOM_WATCHES = 12, // per thread, at a time
	RANDOM_SECONDS = 6,
};

static _Thread_local uint64_t random_state;

static uint32_t random_number(uint32_t bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % bound;
}

// --- the history as etcd tells it ------------------------------------------------------

struct past_event {
	int64_t revision;
	bool deleted;
	char key[32]; // "ns/name"
	char node[8];
	char previous_node[8];
};

struct history {
	struct past_event *events;
	size_t count;
	int64_t until;
	bool done;
};

static void node_of(struct etcd_bytes value, char out[8])
{
	static const char mark[] = "\"nodeName\":\"";
	const char *at = !value.length ? NULL : memmem(value.data, value.length, mark, sizeof(mark) - 1);
	size_t length = at ? strcspn(at + sizeof(mark) - 1, "\"") : 0;
	snprintf(out, 8, "%.*s", (int)length, at ? at + sizeof(mark) - 1 : "");
}

static void on_history(void *context, const struct etcd_watch_response *response)
{
	struct history *history = context;
	for (size_t i = 0; i < response->events.count; i++) {
		const struct etcd_event *event = (const struct etcd_event *)response->events.items + i;
		static const char prefix[] = "/registry/pods/";
		size_t skip = sizeof(prefix) - 1;
		if (event->kv->mod_revision >= history->until)
			history->done = true;
		if (event->kv->key.length <= skip || memcmp(event->kv->key.data, prefix, skip) != 0)
			continue;
		if (!(history->count & (history->count + 1)))
			history->events =
			        xreallocarray(history->events, 2 * (history->count + 1), sizeof(*history->events));
		struct past_event *past = &history->events[history->count++];
		*past = (struct past_event){.revision = event->kv->mod_revision,
		                            .deleted = event->type == ETCD_EVENT_DELETE};
		snprintf(past->key, sizeof(past->key), "%.*s", (int)(event->kv->key.length - skip),
		         event->kv->key.data + skip);
		node_of(event->kv->value, past->node);
		if (event->prev_kv)
			node_of(event->prev_kv->value, past->previous_node);
		if (past->deleted) // the state of a deletion is the last one
			memcpy(past->node, past->previous_node, sizeof(past->node));
	}
}

static void on_history_end(void *context, const struct err *err)
{
	(void)context;
	fail_msg("history: %s", err->message);
}

static void read_history(struct world *world, struct history *history, int64_t until)
{
	static const struct etcd_watch_callbacks callbacks = {on_history, on_history_end};
	struct etcd_watch_create_request create = {
	        .key = {"\0", 1}, .range_end = {"\0", 1}, .start_revision = 2, .prev_kv = true};
	history->until = until;
	struct etcd_watch *watch = etcd_watch_start(world->etcd, &create, &callbacks, history);
	wait_until(world, &history->done);
	etcd_watch_cancel(watch);
}

// --- watches on their threads -------------------------------------------------------------

struct record {
	int64_t revision;
	bool deleted;
	char key[32];
};

struct random_watch {
	struct watch_thread *thread;
	struct random_watch *next; // of all that were ever opened
	struct storage_watch *watch;
	bool open;
	char namespace_name[8];
	char name[8];
	char node[8];
	int64_t after;
	struct record *records;
	size_t count;
	bool expired;
	struct loop_timer later; // reads when it fires: a slow reader
};

struct watch_thread {
	struct storage *storage;
	struct loop *loop;
	pthread_t thread;
	uint64_t seed;
	const _Atomic int64_t *known; // a revision that was written lately
	struct random_watch *all;
	struct random_watch *open[RANDOM_WATCHES];
	struct loop_timer step;
	struct loop_task finish;
};

static void drain(struct random_watch *watch)
{
	struct storage_event event;
	struct err err = ERR_INIT;
	while (storage_watch_next(watch->watch, &event, &err)) {
		if (event.type == STORAGE_EVENT_PROGRESS)
			continue;
		if (!(watch->count & (watch->count + 1)))
			watch->records = xreallocarray(watch->records, 2 * (watch->count + 1), sizeof(*watch->records));
		struct record *record = &watch->records[watch->count++];
		*record = (struct record){.revision = event.revision, .deleted = event.type == STORAGE_EVENT_DELETED};
		snprintf(record->key, sizeof(record->key), "%s/%s", event.object->namespace_name, event.object->name);
	}
	watch->expired |= err.code != 0;
}

static void on_later(struct loop_timer *timer)
{
	drain(container_of(timer, struct random_watch, later));
}

static void on_random_readable(void *context)
{
	struct random_watch *watch = context;
	if (random_number(4))
		drain(watch);
	else
		loop_timer_start(watch->thread->loop, &watch->later, random_number(60) * NSEC_PER_MSEC, on_later);
}

static void close_random(struct random_watch *watch)
{
	loop_timer_stop(&watch->later);
	watch->watch = storage_watch_close(watch->watch);
	watch->open = false;
}

static struct random_watch *open_random(struct watch_thread *thread)
{
	struct random_watch *watch = NEW(struct random_watch);
	struct err err = ERR_INIT;
	int64_t known = atomic_load(thread->known);
	watch->thread = thread;
	watch->after = known > 1 ? 1 + random_number((uint32_t)known) : 1;
	if (random_number(2)) // often from about now
		watch->after = known;
	switch (random_number(4)) {
	case 0:
		snprintf(watch->node, sizeof(watch->node), "n%u", random_number(RANDOM_NODES));
		break;
	case 1:
		snprintf(watch->name, sizeof(watch->name), "p%u", random_number(RANDOM_NAMES));
		break;
	case 2:
		snprintf(watch->namespace_name, sizeof(watch->namespace_name), "ns%u",
		         random_number(RANDOM_NAMESPACES));
		break;
	default:
		break;
	}
	struct storage_watch_config config = {
	        .resource = &pods,
	        .namespace_name = watch->namespace_name,
	        .name = *watch->name ? watch->name : NULL,
	        .field_label = *watch->node ? "spec.nodeName" : NULL,
	        .field_value = watch->node,
	        .after_revision = watch->after,
	        .loop = thread->loop,
	        .readable = on_random_readable,
	        .context = watch,
	};
	if (storage_watch_open(thread->storage, &config, &watch->watch, &err)) {
		free(watch);
		return NULL; // not serving at the moment
	}
	watch->open = true;
	watch->next = thread->all;
	thread->all = watch;
	return watch;
}

static void on_step(struct loop_timer *timer)
{
	struct watch_thread *thread = container_of(timer, struct watch_thread, step);
	size_t slot = random_number(RANDOM_WATCHES);
	if (thread->open[slot] && random_number(3) == 0) {
		close_random(thread->open[slot]);
		thread->open[slot] = NULL;
	}
	for (size_t i = 0; i < RANDOM_WATCHES; i++)
		if (!thread->open[i])
			thread->open[i] = open_random(thread);
	loop_timer_start(thread->loop, timer, random_number(20) * NSEC_PER_MSEC, on_step);
}

static void *run_watches(void *context)
{
	struct watch_thread *thread = context;
	random_state = thread->seed;
	loop_timer_start(thread->loop, &thread->step, 0, on_step);
	(void)loop_run(thread->loop);
	return NULL;
}

static void on_finish(struct loop_task *task)
{
	struct watch_thread *thread = container_of(task, struct watch_thread, finish);
	loop_timer_stop(&thread->step);
	for (size_t i = 0; i < RANDOM_WATCHES; i++)
		if (thread->open[i])
			drain(thread->open[i]);
	loop_quit(thread->loop, 0);
}

// --- a reader that never stops ---------------------------------------------------------------

struct reader_thread {
	struct storage *storage;
	pthread_t thread;
	atomic_bool stop;
	uint64_t seed;
	size_t looks;
};

static void *run_reader(void *context)
{
	struct reader_thread *reader = context;
	random_state = reader->seed;
	while (!atomic_load(&reader->stop)) {
		char namespace_name[8], name[8];
		struct stored_object **objects;
		snprintf(namespace_name, sizeof(namespace_name), "ns%u", random_number(RANDOM_NAMESPACES));
		snprintf(name, sizeof(name), "p%u", random_number(RANDOM_NAMES));
		stored_object_unref(storage_peek(reader->storage, &pods, namespace_name, name));
		size_t count =
		        storage_peek_all(reader->storage, &pods, random_number(2) ? namespace_name : "", &objects);
		for (size_t i = 0; i < count; i++) {
			if (i && strcmp(objects[i - 1]->namespace_name, objects[i]->namespace_name) == 0 &&
			    strcmp(objects[i - 1]->name, objects[i]->name) >= 0)
				abort();
		}
		for (size_t i = 0; i < count; i++)
			stored_object_unref(objects[i]);
		free(objects);
		reader->looks++;
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); // leave the machine to the others
	}
	return NULL;
}

// --- writers -----------------------------------------------------------------------------------

struct random_key {
	struct writers *writers;
	char namespace_name[8];
	char name[8];
	int64_t revision; // 0 = absent
	bool unknown;     // a write was not answered for sure
	bool busy;
	enum storage_write_type type;
};

struct writers {
	struct world *world;
	struct random_key keys[RANDOM_NAMESPACES * RANDOM_NAMES];
	size_t running;
	size_t done;
	size_t unsure;
	int64_t *acknowledged; // revisions
	size_t acknowledged_count;
	_Atomic int64_t known;
	bool stop;
};

static void next_write(struct writers *writers);

static void on_random_got(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct random_key *key = context;
	(void)revision;
	key->busy = false;
	key->writers->running--;
	if (!err || err->code == ERR_NOT_FOUND) {
		key->unknown = false;
		key->revision = object ? object->revision : 0;
	}
	next_write(key->writers);
}

static void on_random_written(void *context, struct stored_object *object, const struct err *err)
{
	struct random_key *key = context;
	struct writers *writers = key->writers;
	key->busy = false;
	writers->running--;
	if (!err) {
		key->revision = key->type == STORAGE_DELETE ? 0 : object->revision;
		if (!(writers->acknowledged_count & (writers->acknowledged_count + 1)))
			writers->acknowledged = xreallocarray(writers->acknowledged,
			                                      2 * (writers->acknowledged_count + 1), sizeof(int64_t));
		writers->acknowledged[writers->acknowledged_count++] = object->revision;
		if (object->revision > atomic_load(&writers->known))
			atomic_store(&writers->known, object->revision);
		writers->done++;
	} else if (err->code == ERR_TIMEOUT) {
		key->unknown = true;
		writers->unsure++;
	} else if (err->code != ERR_UNAVAILABLE) {
		fail_msg("a write that nobody disturbs: %s", err->message);
	}
	next_write(writers);
}

static void start_random(struct random_key *key)
{
	struct world *world = key->writers->world;
	key->busy = true;
	key->writers->running++;
	if (key->unknown) {
		struct storage_read read = {.resource = &pods,
		                            .namespace_name = key->namespace_name,
		                            .name = key->name,
		                            .freshness = STORAGE_CONSISTENT};
		storage_get(world->storage, &read, world->loop, on_random_got, key);
		return;
	}
	char json[200];
	snprintf(json, sizeof(json),
	         "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},\"spec\":{\"nodeName\":\"n%u\"}}", key->name,
	         key->namespace_name, random_number(RANDOM_NODES));
	key->type = !key->revision ? STORAGE_CREATE : random_number(4) ? STORAGE_UPDATE : STORAGE_DELETE;
	struct storage_write write = {
	        .type = key->type,
	        .resource = &pods,
	        .namespace_name = key->namespace_name,
	        .name = key->name,
	        .expected_revision = key->revision,
	        .json = key->type == STORAGE_DELETE ? NULL : blob_new(json, strlen(json)),
	};
	storage_write(world->storage, &write, world->loop, on_random_written, key);
}

static void next_write(struct writers *writers)
{
	while (!writers->stop && writers->running < RANDOM_WRITERS) {
		struct random_key *key = &writers->keys[random_number(ARRAY_SIZE(writers->keys))];
		if (!key->busy)
			start_random(key);
	}
}

static void run_writers(struct world *world, struct writers *writers)
{
	int64_t begin = loop_now_ns(world->loop), second = NSEC_PER_SEC;
	int kills = 0;
	next_write(writers);
	for (;;) {
		int64_t passed = loop_now_ns(world->loop) - begin;
		if (passed > RANDOM_SECONDS * second)
			break;
		if (kills < 2 && passed > (1 + 2 * kills) * second) {
			kills++;
			etcd_fixture_kill(&world->etcd_server);
			etcd_fixture_start(&world->etcd_server);
		}
		loop_turn(world->loop, 20 * NSEC_PER_MSEC);
	}
	writers->stop = true;
	while (writers->running)
		loop_turn(world->loop, 20 * NSEC_PER_MSEC);
}

// --- judging -------------------------------------------------------------------------------------

static bool is_expected(const struct random_watch *watch, const struct past_event *past)
{
	char place[64];
	snprintf(place, sizeof(place), "%s", past->key);
	char *slash = strchr(place, '/');
	*slash = '\0';
	return past->revision > watch->after && (!*watch->namespace_name || !strcmp(watch->namespace_name, place)) &&
	       (!*watch->name || !strcmp(watch->name, slash + 1)) &&
	       (!*watch->node || !strcmp(watch->node, past->node) || !strcmp(watch->node, past->previous_node));
}

static void check_watch(const struct random_watch *watch, const struct history *history)
{
	size_t matched = 0;
	for (size_t i = 0; i < history->count; i++) {
		const struct past_event *past = &history->events[i];
		if (!is_expected(watch, past))
			continue;
		if (matched == watch->count) {
			if (watch->open && !watch->expired)
				fail_msg("watch after %" PRId64 " (%s|%s|%s) missed %" PRId64 " %s at its end",
				         watch->after, watch->namespace_name, watch->name, watch->node, past->revision,
				         past->key);
			return;
		}
		const struct record *record = &watch->records[matched++];
		if (record->revision != past->revision || strcmp(record->key, past->key) != 0 ||
		    record->deleted != past->deleted)
			fail_msg("watch after %" PRId64 " (%s|%s|%s) saw %" PRId64 " %s instead of %" PRId64 " %s",
			         watch->after, watch->namespace_name, watch->name, watch->node, record->revision,
			         record->key, past->revision, past->key);
	}
	assert_int_equal(matched, watch->count);
}

static void check_writes(const struct writers *writers, const struct history *history)
{
	for (size_t i = 0; i < writers->acknowledged_count; i++) {
		size_t low = 0, high = history->count;
		while (low < high) {
			size_t middle = (low + high) / 2;
			if (history->events[middle].revision < writers->acknowledged[i])
				low = middle + 1;
			else
				high = middle;
		}
		if (low == history->count || history->events[low].revision != writers->acknowledged[i])
			fail_msg("acknowledged write %" PRId64 " is not in etcd's history", writers->acknowledged[i]);
	}
}

// A consistent read came after the last write, so the cache holds every event: each
// open watch reads what it still lacks and the threads end.
static void end_threads(struct watch_thread *threads, size_t count, struct reader_thread *reader)
{
	for (size_t i = 0; i < count; i++) {
		loop_post(threads[i].loop, &threads[i].finish, on_finish);
		pthread_join(threads[i].thread, NULL);
	}
	atomic_store(&reader->stop, true);
	pthread_join(reader->thread, NULL);
}

static void free_threads(struct watch_thread *threads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (struct random_watch *watch = threads[i].all, *next; watch; watch = next) {
			next = watch->next;
			if (watch->open)
				close_random(watch);
			free(watch->records);
			free(watch);
		}
		loop_turn(threads[i].loop, 0);
		loop_free(threads[i].loop);
	}
}

static UNUSED void test_random(void **state)
{
	struct world *world = *state;
	const char *given = getenv("SEED");
	uint64_t seed;
	random_bytes(&seed, sizeof(seed));
	seed = given ? strtoull(given, NULL, 0) : seed;
	printf("random walk, SEED=%" PRIu64 "\n", seed);
	random_state = seed;
	storage_start(world);
	storage_wait_ready(world);

	static struct writers writers;
	writers = (struct writers){.world = world};
	for (size_t i = 0; i < ARRAY_SIZE(writers.keys); i++) {
		struct random_key *key = &writers.keys[i];
		key->writers = &writers;
		snprintf(key->namespace_name, sizeof(key->namespace_name), "ns%zu", i % RANDOM_NAMESPACES);
		snprintf(key->name, sizeof(key->name), "p%zu", i / RANDOM_NAMESPACES);
	}
	struct watch_thread threads[2] = {0};
	struct reader_thread reader = {.storage = world->storage, .seed = seed ^ 99};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		threads[i] =
		        (struct watch_thread){.storage = world->storage, .seed = seed + i + 1, .known = &writers.known};
		assert_int_equal(loop_new(&clock_system, &threads[i].loop, &err), 0);
		assert_int_equal(pthread_create(&threads[i].thread, NULL, run_watches, &threads[i]), 0);
	}
	assert_int_equal(pthread_create(&reader.thread, NULL, run_reader, &reader), 0);
	run_writers(world, &writers);

	struct storage_read read = {.resource = &pods, .freshness = STORAGE_CONSISTENT};
	struct result all;
	while ((all = list_objects(world, &read)).code)
		;
	end_threads(threads, ARRAY_SIZE(threads), &reader);
	struct history history = {0};
	read_history(world, &history, all.revision);
	size_t watches = 0, records = 0;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		for (const struct random_watch *watch = threads[i].all; watch; watch = watch->next, watches++) {
			check_watch(watch, &history);
			records += watch->count;
		}
	}
	check_writes(&writers, &history);
	// The list is the state that the history leads to.
	size_t alive = 0;
	for (size_t i = 0; i < history.count; i++)
		alive += history.events[i].deleted ? (size_t)-1 : history.events[i].previous_node[0] ? 0 : 1;
	assert_int_equal(all.count, alive);
	printf("%zu writes (%zu unsure), %zu events, %zu watches that read %zu, %zu looks\n", writers.done,
	       writers.unsure, history.count, watches, records, reader.looks);
	assert_true(writers.done > 100 && watches > 20 && records > writers.done);
	result_done(&all);
	free_threads(threads, ARRAY_SIZE(threads));
	free(history.events);
	free(writers.acknowledged);
}
