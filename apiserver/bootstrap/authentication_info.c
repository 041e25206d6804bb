// SPDX-License-Identifier: Apache-2.0
// A round: what the data should be ─► what it is ─► create, update or nothing.
// Members that are not of ours (several API servers may run with different flags)
// are left alone.

#include "apiserver/bootstrap/authentication_info.h"

#include <string.h>

#include "apiserver/bootstrap/bootstrap_objects.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define INFO_NAMESPACE "kube-system"
#define INFO_NAME "extension-apiserver-authentication"
#define INFO_PERIOD_NS (60 * NSEC_PER_SEC)
#define INFO_POLL_NS (20 * NSEC_PER_MSEC)
#define INFO_RETRY_NS NSEC_PER_SEC

enum {
	INFO_MAX_CA_BYTES = 512 << 10,
};

struct authentication_info {
	struct server *server;
	struct arena *arena;
	struct loop_timer timer;
};

static void on_timer(struct loop_timer *timer);

static void again(struct authentication_info *info, int64_t delay_ns)
{
	loop_timer_start(info->server->main_loop, &info->timer, delay_ns, on_timer);
}

static void add_file(struct arena *arena, struct json *data, const char *key, const char *file)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(INFO_MAX_CA_BYTES);
	struct err err = ERR_INIT;

	if (text_is_empty(file))
		return;
	if (file_read(file, &text, &err) < 0)
		log_warning("Certificate authorities can't be published", kv_str("file", file), kv_err(&err));
	else
		json_set_text(arena, data, key, strbuf_text(&text));
}

static void add_list(struct arena *arena, struct json *data, const char *key, const struct string_list *list)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 << 10);
	struct json *array = json_array(arena);

	for (size_t i = 0; i < list->count; i++)
		json_append(arena, array, json_string(arena, list->items[i]));
	json_write(&text, array);
	json_set_text(arena, data, key, strbuf_text(&text));
}

static struct json *wanted_data(const struct server *server, struct arena *arena)
{
	const struct authentication_flags *flags = &server->config->authentication;
	struct json *data = json_object(arena);

	add_file(arena, data, "client-ca-file", server->config->client_ca_file);
	if (text_is_empty(flags->front_proxy_ca_file))
		return data;
	add_file(arena, data, "requestheader-client-ca-file", flags->front_proxy_ca_file);
	add_list(arena, data, "requestheader-allowed-names", &flags->front_proxy_names);
	add_list(arena, data, "requestheader-username-headers", &flags->username_headers);
	add_list(arena, data, "requestheader-uid-headers", &flags->uid_headers);
	add_list(arena, data, "requestheader-group-headers", &flags->group_headers);
	add_list(arena, data, "requestheader-extra-headers-prefix", &flags->extra_header_prefixes);
	return data;
}

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct authentication_info *info = context;

	(void)object;
	again(info, err ? INFO_RETRY_NS : INFO_PERIOD_NS);
}

static void write_map(struct authentication_info *info, const struct schema_resource *maps, int64_t revision,
                      struct blob *json)
{
	struct storage_write write = {.type = revision ? STORAGE_UPDATE : STORAGE_CREATE,
	                              .resource = maps,
	                              .namespace_name = INFO_NAMESPACE,
	                              .name = INFO_NAME,
	                              .expected_revision = revision,
	                              .json = json};

	storage_write(info->server->storage, &write, info->server->main_loop, on_written, info);
}

static void create_map(struct authentication_info *info, const struct schema_resource *maps, struct json *data)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4 << 20);
	struct json *map = json_object(info->arena), *metadata = json_object(info->arena);

	json_set_text(info->arena, map, "kind", "ConfigMap");
	json_set_text(info->arena, map, "apiVersion", "v1");
	json_set_text(info->arena, metadata, "name", INFO_NAME);
	json_set_text(info->arena, metadata, "namespace", INFO_NAMESPACE);
	json_set(info->arena, map, "metadata", metadata);
	json_set(info->arena, map, "data", data);
	json_write(&text, map);
	write_map(info, maps, 0,
	          bootstrap_encode(info->arena, maps, strbuf_text(&text), loop_realtime_ns(info->server->main_loop)));
}

// True when something had to be put right.
static bool lay_over(struct arena *arena, struct json *map, const struct json *data)
{
	struct json *stored = json_ensure_object(arena, map, "data");
	bool changed = false;

	json_for_each_member (member, data) {
		if (!strcmp(text_or_empty(json_get_text(stored, member->key)), json_text(member->value)))
			continue;
		json_set(arena, stored, member->key, member->value);
		changed = true;
	}
	return changed;
}

static void run_round(struct authentication_info *info)
{
	const struct schema_resource *maps = schema_find_resource("", "v1", "configmaps");
	struct stored_object *stored;
	struct json *data, *map;

	arena_reset(info->arena);
	data = wanted_data(info->server, info->arena);
	stored = storage_peek(info->server->storage, maps, INFO_NAMESPACE, INFO_NAME);
	map = stored ? object_load(info->arena, maps, stored, NULL) : NULL;
	if (!stored)
		create_map(info, maps, data);
	else if (map && lay_over(info->arena, map, data))
		write_map(info, maps, stored->revision, object_store(info->arena, maps, map));
	else
		again(info, INFO_PERIOD_NS);
	stored_object_unref(stored);
}

static void on_timer(struct loop_timer *timer)
{
	struct authentication_info *info = container_of(timer, struct authentication_info, timer);

	if (storage_is_ready(info->server->storage))
		run_round(info);
	else
		again(info, INFO_POLL_NS);
}

struct authentication_info *authentication_info_start(struct server *server)
{
	struct authentication_info *info = NEW(struct authentication_info);

	info->server = server;
	info->arena = arena_new(16 << 10);
	again(info, 0);
	return info;
}

struct authentication_info *authentication_info_free(struct authentication_info *info)
{
	if (!info)
		return NULL;
	loop_timer_stop(&info->timer);
	arena_free(info->arena);
	free(info);
	return NULL;
}
