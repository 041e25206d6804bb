// SPDX-License-Identifier: Apache-2.0
// Events pass three gates on their way, as in upstream's correlator:
//
// 1. Aggregation: more than ten different messages about the same object with the
//    same type and reason within ten minutes become one event, whose message says
//    "(combined from similar events): …".
// 2. The spam filter: each object may cause 25 events at once and one more every
//    five minutes; what is beyond is dropped.
// 3. Counting: an event that was written before is written again as a patch of its
//    count and last time. Should it have vanished meanwhile, it is made anew.
//
// Memory is bounded: the three tables hold the most recently used 4096 entries
// each, the queue of unwritten events 1000; what comes while it is full is dropped.
// One write is under way at a time, so that an event is never patched before it
// was made. While no answer comes, the first of the queue is tried again with
// back-off, twelve times.

#include "common/client/event_recorder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/api/json.h"
#include "common/api/object.h"
#include "common/api/schema.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/client/rest.h"
#include "common/io/loop.h"

#define AGGREGATE_INTERVAL_NS (600 * NSEC_PER_SEC)
#define SPAM_REFILL_NS (300 * NSEC_PER_SEC)
#define FIRST_RETRY_NS (500 * NSEC_PER_MSEC)
#define LONGEST_RETRY_NS (10 * NSEC_PER_SEC)
#define AGGREGATE_PREFIX "(combined from similar events): "

enum {
	MAX_SIMILAR = 10,
	SPAM_BURST = 25,
	TABLE_MAX = 4096,
	QUEUE_MAX = 1000,
	MAX_TRIES = 12,
	MESSAGE_MAX_BYTES = 1024,
};

// --- tables of the most recently used ------------------------------------------------

struct table_entry { // first member of each table's entries
	struct list node;
	char *key;
};

struct table {
	struct hashmap *map;
	struct list recent; // newest first
	void (*free_entry)(struct table_entry *entry);
};

static void table_init(struct table *table, void (*free_entry)(struct table_entry *entry))
{
	table->map = hashmap_new(NULL);
	list_init(&table->recent);
	table->free_entry = free_entry;
}

static void table_drop(struct table *table, struct table_entry *entry)
{
	hashmap_remove(table->map, entry->key);
	list_remove(&entry->node);
	free(entry->key);
	table->free_entry(entry);
}

static void table_done(struct table *table)
{
	struct table_entry *entry;
	while ((entry = list_first(&table->recent, struct table_entry, node)) != NULL)
		table_drop(table, entry);
	hashmap_free(table->map);
}

static struct table_entry *table_get(struct table *table, const char *key)
{
	struct table_entry *entry = hashmap_get(table->map, key);
	if (entry) {
		list_remove(&entry->node);
		list_prepend(&table->recent, &entry->node);
	}
	return entry;
}

static void table_add(struct table *table, const char *key, struct table_entry *entry)
{
	entry->key = xstrdup(key);
	hashmap_put(table->map, key, entry);
	list_prepend(&table->recent, &entry->node);
	if (hashmap_count(table->map) > TABLE_MAX)
		table_drop(table, container_of(table->recent.previous, struct table_entry, node));
}

// --- types ------------------------------------------------------------------------------

struct similar { // gate 1
	struct table_entry entry;
	uint32_t hashes[MAX_SIMILAR + 1]; // of the messages seen
	size_t count;
	int64_t last_ns;
};

struct allowance { // gate 2
	struct table_entry entry;
	int64_t full_ns; // when all of the burst is there again
};

struct written { // gate 3
	struct table_entry entry;
	char *name; // of the Event object
	char *first_time;
	int64_t count;
};

struct queued_event {
	struct list node;
	struct arena *arena;
	struct event_target target; // texts in the arena
	const char *type;
	const char *reason;
	const char *message;
	const char *written_key;
	int64_t realtime_ns;
	unsigned tries;
};

struct event_recorder {
	struct rest_client *client;
	struct loop *loop;
	const struct schema_resource *resource;
	char *component;
	char *host;
	struct table similar;
	struct table allowances;
	struct table written;
	struct list queue;
	size_t queue_count;
	struct rest_call *call; // for the first of the queue
	struct loop_timer timer;
	int64_t retry_ns;
	struct strbuf made_name; // of the event that is being made
};

static void free_plain(struct table_entry *entry)
{
	free(entry);
}

static void free_written(struct table_entry *entry)
{
	struct written *written = container_of(entry, struct written, entry);
	free(written->name);
	free(written->first_time);
	free(written);
}

// --- keys --------------------------------------------------------------------------------

static const char *object_part(struct arena *arena, const struct event_target *target)
{
	return arena_printf(arena, "%s\x1f%s\x1f%s\x1f%s\x1f%s", text_or_empty(target->api_version),
	                    text_or_empty(target->kind), text_or_empty(target->namespace_name),
	                    text_or_empty(target->name), text_or_empty(target->uid));
}

// --- gate 1 ------------------------------------------------------------------------------

static bool has_hash(const struct similar *similar, uint32_t hash)
{
	for (size_t i = 0; i < similar->count; i++)
		if (similar->hashes[i] == hash)
			return true;
	return false;
}

// True when the event is one of many alike.
static bool is_one_of_many(struct event_recorder *recorder, const char *key, const char *message)
{
	int64_t now_ns = loop_now_ns(recorder->loop);
	struct table_entry *entry = table_get(&recorder->similar, key);
	struct similar *similar = entry ? container_of(entry, struct similar, entry) : NEW(struct similar);
	if (!entry)
		table_add(&recorder->similar, key, &similar->entry);
	if (now_ns - similar->last_ns > AGGREGATE_INTERVAL_NS)
		similar->count = 0;
	similar->last_ns = now_ns;
	uint32_t hash = fnv32a(message, strlen(message));
	if (!has_hash(similar, hash) && similar->count <= MAX_SIMILAR)
		similar->hashes[similar->count++] = hash;
	return similar->count > MAX_SIMILAR;
}

// --- gate 2 ------------------------------------------------------------------------------

static bool takes_token(struct event_recorder *recorder, const char *key)
{
	int64_t now_ns = loop_now_ns(recorder->loop);
	struct table_entry *entry = table_get(&recorder->allowances, key);
	struct allowance *allowance = entry ? container_of(entry, struct allowance, entry) : NEW(struct allowance);
	if (!entry)
		table_add(&recorder->allowances, key, &allowance->entry);
	if (allowance->full_ns < now_ns)
		allowance->full_ns = now_ns;
	if (allowance->full_ns + SPAM_REFILL_NS - now_ns > SPAM_BURST * SPAM_REFILL_NS)
		return false;
	allowance->full_ns += SPAM_REFILL_NS;
	return true;
}

// --- the Event object ----------------------------------------------------------------------

static const char *event_namespace(const struct queued_event *event)
{
	const char *namespace_name = event->target.namespace_name;
	return namespace_name && namespace_name[0] ? namespace_name : "default";
}

static void set_if_given(struct arena *arena, struct json *object, const char *key, const char *text)
{
	if (text && text[0])
		json_set_text(arena, object, key, text);
}

static void add_reference(struct arena *arena, struct json *object, const struct event_target *target)
{
	struct json *reference = json_ensure_object(arena, object, "involvedObject");
	set_if_given(arena, reference, "kind", target->kind);
	set_if_given(arena, reference, "namespace", target->namespace_name);
	set_if_given(arena, reference, "name", target->name);
	set_if_given(arena, reference, "uid", target->uid);
	set_if_given(arena, reference, "apiVersion", target->api_version);
	set_if_given(arena, reference, "resourceVersion", target->resource_version);
	set_if_given(arena, reference, "fieldPath", target->field_path);
}

static struct json *make_event(struct event_recorder *recorder, const struct queued_event *event, int64_t count,
                               const char *first_time)
{
	struct arena *arena = event->arena;
	char now[API_TIME_BYTES];
	api_time_format(event->realtime_ns, now);
	strbuf_clear(&recorder->made_name);
	strbuf_printf(&recorder->made_name, "%s.%llx", event->target.name, (unsigned long long)event->realtime_ns);
	struct json *object = json_object(arena);
	json_set_text(arena, object, "apiVersion", "v1");
	json_set_text(arena, object, "kind", "Event");
	struct json *metadata = json_ensure_object(arena, object, "metadata");
	json_set_text(arena, metadata, "name", strbuf_text(&recorder->made_name));
	json_set_text(arena, metadata, "namespace", event_namespace(event));
	add_reference(arena, object, &event->target);
	json_set_text(arena, object, "reason", event->reason);
	json_set_text(arena, object, "message", event->message);
	struct json *source = json_ensure_object(arena, object, "source");
	json_set_text(arena, source, "component", recorder->component);
	set_if_given(arena, source, "host", recorder->host);
	json_set_text(arena, object, "firstTimestamp", first_time ? first_time : now);
	json_set_text(arena, object, "lastTimestamp", now);
	json_set_integer(arena, object, "count", count);
	json_set_text(arena, object, "type", event->type);
	json_set_text(arena, object, "reportingComponent", recorder->component);
	json_set_text(arena, object, "reportingInstance", recorder->host);
	return object;
}

static struct json *make_patch(const struct queued_event *event, int64_t count)
{
	char now[API_TIME_BYTES];
	api_time_format(event->realtime_ns, now);
	struct json *patch = json_object(event->arena);
	json_set_integer(event->arena, patch, "count", count);
	json_set_text(event->arena, patch, "lastTimestamp", now);
	json_set_text(event->arena, patch, "message", event->message);
	return patch;
}

// --- writing --------------------------------------------------------------------------------

static void write_first(struct event_recorder *recorder);

static void on_timer(struct loop_timer *timer)
{
	write_first(container_of(timer, struct event_recorder, timer));
}

static void write_soon(struct event_recorder *recorder)
{
	if (!list_is_empty(&recorder->queue) && !recorder->call && !recorder->timer.loop)
		loop_timer_start(recorder->loop, &recorder->timer, 0, on_timer);
}

static void drop_event(struct event_recorder *recorder, struct queued_event *event)
{
	list_remove(&event->node);
	recorder->queue_count--;
	arena_free(event->arena);
}

static struct written *find_written(struct event_recorder *recorder, const struct queued_event *event)
{
	struct table_entry *entry = table_get(&recorder->written, event->written_key);
	return entry ? container_of(entry, struct written, entry) : NULL;
}

static void note_written(struct event_recorder *recorder, const struct queued_event *event)
{
	struct written *written = find_written(recorder, event);
	char now[API_TIME_BYTES];
	api_time_format(event->realtime_ns, now);
	if (!written) {
		written = NEW(struct written);
		written->first_time = xstrdup(now);
		table_add(&recorder->written, event->written_key, &written->entry);
	}
	written->count++;
	if (recorder->made_name.length) {
		free(written->name);
		written->name = xstrdup(strbuf_text(&recorder->made_name));
	}
}

static bool is_worth_retrying(const struct rest_response *response)
{
	return response->http_status == 0 || response->http_status == 429 || response->http_status >= 500;
}

static void retry_first(struct event_recorder *recorder, struct queued_event *event, const struct err *err)
{
	if (++event->tries >= MAX_TRIES) {
		log_error("Unable to write event, retry limit exceeded", kv_str("reason", event->reason),
		          kv_obj("object", event->target.namespace_name, event->target.name), kv_err(err));
		drop_event(recorder, event);
	}
	loop_timer_start(recorder->loop, &recorder->timer, recorder->retry_ns, on_timer);
	recorder->retry_ns = recorder->retry_ns * 2 < LONGEST_RETRY_NS ? recorder->retry_ns * 2 : LONGEST_RETRY_NS;
}

// A patched event has gone: its entry loses the name, and the event is made again.
static bool is_vanished(struct event_recorder *recorder, struct written *written, const struct rest_response *response)
{
	return written && written->name && recorder->made_name.length == 0 && response->err.code == ERR_NOT_FOUND;
}

static void on_written(void *context, const struct rest_response *response)
{
	struct event_recorder *recorder = context;
	struct queued_event *event = list_first(&recorder->queue, struct queued_event, node);
	struct written *written = find_written(recorder, event);
	recorder->call = NULL;
	if (response->err.code != ERR_NONE && is_worth_retrying(response)) {
		retry_first(recorder, event, &response->err);
		return;
	}
	recorder->retry_ns = FIRST_RETRY_NS;
	if (is_vanished(recorder, written, response)) {
		free(TAKE(written->name));
	} else {
		if (response->err.code == ERR_NONE || response->err.code == ERR_ALREADY_EXISTS)
			note_written(recorder, event);
		else
			log_warning("Server rejected event, will not retry", kv_str("reason", event->reason),
			            kv_obj("object", event->target.namespace_name, event->target.name),
			            kv_err(&response->err));
		drop_event(recorder, event);
	}
	write_soon(recorder);
}

static void write_first(struct event_recorder *recorder)
{
	struct queued_event *event = list_first(&recorder->queue, struct queued_event, node);
	if (!event)
		return;
	struct written *written = find_written(recorder, event);
	bool patches = written && written->name;
	struct json *body;
	strbuf_clear(&recorder->made_name);
	if (patches)
		body = make_patch(event, written->count + 1);
	else
		body = make_event(recorder, event, written ? written->count + 1 : 1,
		                  written ? written->first_time : NULL);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	json_write(&text, body);
	const struct rest_request request = {
	        .method = patches ? "PATCH" : "POST",
	        .resource = recorder->resource,
	        .namespace_name = event_namespace(event),
	        .name = patches ? written->name : NULL,
	        .body_type = patches ? REST_STRATEGIC_MERGE_PATCH : REST_JSON,
	        .body = strbuf_text(&text),
	        .body_length = text.length,
	};
	recorder->call = rest_start(recorder->client, &request, on_written, recorder);
}

// --- recording -------------------------------------------------------------------------------

static void copy_target(struct arena *arena, const struct event_target *from, struct event_target *to)
{
	*to = (struct event_target){
	        .api_version = arena_strdup(arena, from->api_version),
	        .kind = arena_strdup(arena, from->kind),
	        .namespace_name = arena_strdup(arena, text_or_empty(from->namespace_name)),
	        .name = arena_strdup(arena, text_or_empty(from->name)),
	        .uid = arena_strdup(arena, from->uid),
	        .resource_version = arena_strdup(arena, from->resource_version),
	        .field_path = arena_strdup(arena, from->field_path),
	};
}

// At most the API's limit, cut between characters.
static void cut_message(char *message)
{
	size_t length = strlen(message);
	if (length <= MESSAGE_MAX_BYTES)
		return;
	length = MESSAGE_MAX_BYTES - 4;
	while (length > 0 && ((unsigned char)message[length] & 0xc0) == 0x80)
		length--;
	memcpy(message + length, " ...", sizeof(" ..."));
}

void event_record(struct event_recorder *recorder, const struct event_target *target, const char *type,
                  const char *reason, const char *message_format, ...)
{
	if (recorder->queue_count >= QUEUE_MAX) {
		log_v(2, "Dropped an event, too many are waiting to be written", kv_str("reason", reason));
		return;
	}
	struct arena *arena = arena_new(2048);
	struct queued_event *event = ARENA_NEW(arena, struct queued_event);
	event->arena = arena;
	copy_target(arena, target, &event->target);
	event->type = arena_strdup(arena, type);
	event->reason = arena_strdup(arena, reason);
	event->realtime_ns = loop_realtime_ns(recorder->loop);
	va_list args;
	va_start(args, message_format);
	char *message = arena_vprintf(arena, message_format, args);
	va_end(args);
	const char *object = object_part(arena, target);
	const char *alike = arena_printf(arena, "%s\x1f%s\x1f%s", object, type, reason);
	bool combined = is_one_of_many(recorder, alike, message);
	if (!takes_token(recorder, object)) {
		log_v(4, "Dropped an event, its object causes too many", kv_str("reason", reason),
		      kv_obj("object", target->namespace_name, target->name));
		arena_free(arena);
		return;
	}
	event->written_key =
	        combined ? alike
	                 : arena_printf(arena, "%s\x1f%s\x1f%s", alike, text_or_empty(target->field_path), message);
	event->message = combined ? arena_printf(arena, AGGREGATE_PREFIX "%s", message) : message;
	cut_message((char *)event->message);
	list_append(&recorder->queue, &event->node);
	recorder->queue_count++;
	write_soon(recorder);
}

struct event_recorder *event_recorder_new(struct rest_client *client, const char *component, const char *host)
{
	struct event_recorder *recorder = NEW(struct event_recorder);
	recorder->client = client;
	recorder->loop = rest_client_loop(client);
	recorder->resource = schema_find_resource("", "v1", "events");
	recorder->component = xstrdup(component);
	recorder->host = xstrdup(host ? host : "");
	recorder->retry_ns = FIRST_RETRY_NS;
	recorder->made_name = STRBUF_INIT(1024);
	table_init(&recorder->similar, free_plain);
	table_init(&recorder->allowances, free_plain);
	table_init(&recorder->written, free_written);
	list_init(&recorder->queue);
	return recorder;
}

struct event_recorder *event_recorder_free(struct event_recorder *recorder)
{
	if (!recorder)
		return NULL;
	struct queued_event *event;
	rest_cancel(recorder->call);
	loop_timer_stop(&recorder->timer);
	while ((event = list_first(&recorder->queue, struct queued_event, node)) != NULL)
		drop_event(recorder, event);
	table_done(&recorder->similar);
	table_done(&recorder->allowances);
	table_done(&recorder->written);
	strbuf_done(&recorder->made_name);
	free(recorder->component);
	free(recorder->host);
	free(recorder);
	return NULL;
}
