// SPDX-License-Identifier: Apache-2.0
#pragma once
// A storage over a real etcd, with calls that wait for their answer. Included by
// one test program, hence static.

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/storage/etcd.h"
#include "apiserver/storage/storage.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "tests/unit/apiserver/etcd_fixture.h"
#include "tests/unit/apiserver/pods_resource.h"

static const struct schema_resource nodes = {.group = "",
                                             .version = "v1",
                                             .kind = "Node",
                                             .plural = "nodes",
                                             .storage_prefix = "/registry/minions",
                                             .storage_group = "",
                                             .storage_version = "v1"};
static const struct schema_resource services = {.group = "",
                                                .version = "v1",
                                                .kind = "Service",
                                                .plural = "services",
                                                .namespaced = true,
                                                .storage_prefix = "/registry/services/specs",
                                                .storage_group = "",
                                                .storage_version = "v1"};
static const struct schema_resource widgets UNUSED = {.group = "example.com",
                                                      .version = "v1",
                                                      .kind = "Widget",
                                                      .plural = "widgets",
                                                      .namespaced = true,
                                                      .storage_prefix = "/registry/example.com/widgets",
                                                      .storage_group = "",
                                                      .storage_version = "v1"};

struct world {
	struct etcd_fixture etcd_server;
	struct loop *loop;
	struct storage *storage;
	struct etcd *etcd; // beside the storage, to look and to meddle
	size_t window_bytes;
	int64_t compaction_interval_ns;
	const char *prefix; // NULL = /registry
};

struct result {
	bool done;
	enum err_code code;
	char message[240];
	struct stored_object *object; // referenced
	int64_t revision;
	struct stored_object **objects; // referenced
	size_t count;
	bool more;
	size_t remaining;
};

static UNUSED void result_done(struct result *result)
{
	stored_object_unref(result->object);
	for (size_t i = 0; i < result->count; i++)
		stored_object_unref(result->objects[i]);
	free(result->objects);
	*result = (struct result){0};
}

static void note(struct result *result, const struct err *err)
{
	assert_false(result->done);
	result->done = true;
	if (err) {
		result->code = err->code;
		memcpy(result->message, err->message, sizeof(result->message));
	}
}

static void wait_until(struct world *world, const bool *flag)
{
	int64_t limit = loop_now_ns(world->loop) + 30 * NSEC_PER_SEC;
	while (!*flag && loop_now_ns(world->loop) < limit)
		loop_turn(world->loop, 50 * NSEC_PER_MSEC);
	assert_true(*flag);
}

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct result *result = context;
	note(result, err);
	result->object = stored_object_ref(object);
	result->revision = object ? object->revision : 0;
}

static UNUSED struct result write_object(struct world *world, enum storage_write_type type,
                                         const struct schema_resource *resource, const char *namespace_name,
                                         const char *name, const char *json, int64_t revision, int64_t lease)
{
	struct result result = {0};
	struct storage_write write = {
	        .type = type,
	        .resource = resource,
	        .namespace_name = namespace_name,
	        .name = name,
	        .expected_revision = revision,
	        .json = json ? blob_new(json, strlen(json)) : NULL,
	        .lease_seconds = lease,
	};
	storage_write(world->storage, &write, world->loop, on_written, &result);
	assert_false(result.done);
	wait_until(world, &result.done);
	return result;
}

static UNUSED int64_t write_pod(struct world *world, enum storage_write_type type, const char *namespace_name,
                                const char *name, const char *node, int64_t revision)
{
	char json[512];
	snprintf(json, sizeof(json),
	         "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":"
	         "\"u-%s\","
	         "\"labels\":{\"b\":\"2\",\"a\":\"1\"}},\"spec\":{\"nodeName\":\"%s\"},\"status\":{\"phase\":"
	         "\"Running\"}}",
	         name, namespace_name, name, node);
	struct result result = write_object(world, type, &pods, namespace_name, name, json, revision, 0);
	if (result.code)
		fail_msg("write of %s/%s: %s", namespace_name, name, result.message);
	int64_t written = result.revision;
	result_done(&result);
	return written;
}

static void on_got(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct result *result = context;
	note(result, err);
	result->object = stored_object_ref(object);
	result->revision = revision;
}

static UNUSED struct result get_object(struct world *world, const struct schema_resource *resource,
                                       const char *namespace_name, const char *name, enum storage_freshness freshness,
                                       int64_t revision)
{
	struct result result = {0};
	struct storage_read read = {.resource = resource,
	                            .namespace_name = namespace_name,
	                            .name = name,
	                            .freshness = freshness,
	                            .revision = revision};
	storage_get(world->storage, &read, world->loop, on_got, &result);
	assert_false(result.done);
	wait_until(world, &result.done);
	return result;
}

static void on_listed(void *context, const struct storage_list *list, const struct err *err)
{
	struct result *result = context;
	note(result, err);
	if (!list)
		return;
	result->count = list->count;
	result->objects = xcalloc(list->count + 1, sizeof(*result->objects));
	for (size_t i = 0; i < list->count; i++)
		result->objects[i] = stored_object_ref(list->objects[i]);
	result->revision = list->revision;
	result->more = list->more;
	result->remaining = list->remaining;
}

static UNUSED struct result list_objects(struct world *world, const struct storage_read *read)
{
	struct result result = {0};
	storage_list(world->storage, read, world->loop, on_listed, &result);
	assert_false(result.done);
	wait_until(world, &result.done);
	return result;
}

// --- etcd itself -----------------------------------------------------------------------

struct raw {
	bool done;
	enum err_code code;
	int64_t revision;
	int64_t lease;
	int64_t version;
	size_t count;
};

static void on_raw_txn(void *context, const void *response, const struct err *err)
{
	struct raw *raw = context;
	raw->done = true;
	raw->code = err ? err->code : ERR_NONE;
	if (!err)
		raw->revision = ((const struct etcd_txn_response *)response)->header->revision;
}

static void on_raw_range(void *context, const void *response, const struct err *err)
{
	struct raw *raw = context;
	const struct etcd_range_response *range = response;
	raw->done = true;
	raw->code = err ? err->code : ERR_NONE;
	if (err)
		return;
	raw->revision = range->header->revision;
	raw->count = range->kvs.count;
	if (range->kvs.count) {
		const struct etcd_key_value *kv = range->kvs.items;
		raw->lease = kv->lease;
		raw->version = kv->version;
	}
}

static void on_raw_plain(void *context, const void *response, const struct err *err)
{
	struct raw *raw = context;
	(void)response;
	raw->done = true;
	raw->code = err ? err->code : ERR_NONE;
}

// Puts (value), or deletes (NULL), whatever is there.
static UNUSED struct raw raw_put(struct world *world, const char *key, const void *value, size_t length)
{
	struct raw raw = {0};
	struct etcd_put_request put = {.key = ETCD_TEXT(key), .value = {value, length}};
	struct etcd_delete_request deletion = {.key = ETCD_TEXT(key)};
	struct etcd_request_op op = {.put = value ? &put : NULL, .delete_range = value ? NULL : &deletion};
	struct etcd_txn_request txn = {.success = {&op, 1}};
	etcd_call(world->etcd, ETCD_TXN, &txn, 10 * NSEC_PER_SEC, "put", "test", on_raw_txn, &raw);
	wait_until(world, &raw.done);
	return raw;
}

static UNUSED struct raw raw_get(struct world *world, const char *key)
{
	struct raw raw = {0};
	struct etcd_range_request range = {.key = ETCD_TEXT(key)};
	etcd_call(world->etcd, ETCD_RANGE, &range, 10 * NSEC_PER_SEC, "get", "test", on_raw_range, &raw);
	wait_until(world, &raw.done);
	return raw;
}

static UNUSED struct raw raw_compact(struct world *world, int64_t revision)
{
	struct raw raw = {0};
	struct etcd_compaction_request compaction = {.revision = revision, .physical = true};
	etcd_call(world->etcd, ETCD_COMPACT, &compaction, 10 * NSEC_PER_SEC, "compact", "test", on_raw_plain, &raw);
	wait_until(world, &raw.done);
	return raw;
}

static UNUSED void raw_connect(struct world *world)
{
	struct err err = ERR_INIT;
	struct etcd_config config = {.endpoints = world->etcd_server.endpoints};
	world->etcd = etcd_free(world->etcd);
	assert_int_equal(etcd_new(world->loop, &config, &world->etcd, &err), 0);
	for (int i = 0; raw_get(world, "nothing").code; i++)
		assert_true(i < 20);
}

// --- life ------------------------------------------------------------------------------

static UNUSED void storage_start(struct world *world)
{
	struct err err = ERR_INIT;
	struct storage_config config = {
	        .etcd_endpoints = world->etcd_server.endpoints,
	        .etcd_ca_file = world->etcd_server.with_tls ? world->etcd_server.ca_file : NULL,
	        .etcd_certificate_file = world->etcd_server.with_tls ? world->etcd_server.certificate_file : NULL,
	        .etcd_private_key_file = world->etcd_server.with_tls ? world->etcd_server.key_file : NULL,

	        .prefix = world->prefix ? world->prefix : "/registry",
	        .event_window_bytes = world->window_bytes,
	        .compaction_interval_ns = world->compaction_interval_ns,
	};
	assert_int_equal(storage_new(&config, &world->storage, &err), 0);
	storage_add_resource(world->storage, &pods);
	storage_add_resource(world->storage, &nodes);
	storage_add_resource(world->storage, &services);
}

static UNUSED void storage_wait_ready(struct world *world)
{
	int64_t limit = loop_now_ns(world->loop) + 30 * NSEC_PER_SEC;
	while (!storage_is_ready(world->storage) && loop_now_ns(world->loop) < limit)
		loop_turn(world->loop, 5 * NSEC_PER_MSEC);
	assert_true(storage_is_ready(world->storage));
}

static UNUSED int world_set_up(void **state)
{
	struct world *world = NEW(struct world);
	struct err err = ERR_INIT;
	etcd_fixture_init(&world->etcd_server);
	etcd_fixture_start(&world->etcd_server);
	assert_int_equal(loop_new(&clock_system, &world->loop, &err), 0);
	raw_connect(world);
	*state = world;
	return 0;
}

static UNUSED int world_tear_down(void **state)
{
	struct world *world = *state;
	storage_free(world->storage);
	loop_turn(world->loop, 0);
	etcd_free(world->etcd);
	loop_free(world->loop);
	etcd_fixture_done(&world->etcd_server);
	free(world);
	return 0;
}
