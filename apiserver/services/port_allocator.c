// SPDX-License-Identifier: Apache-2.0
// The node ports in use are one object, /registry/ranges/servicenodeports: a
// RangeAllocation whose data is a big-endian bitmap, bit i for the i-th port of
// the range, as upstream keeps it. Taking and freeing ports is a swap of that
// object on its mod revision, so any number of apiservers never give one port
// twice. A crash between the swap and the Service leaves a bit set: repair.c
// clears bits that no Service holds (seen twice, minutes apart, so that what is
// under way is left alone).
//
//   read (consistent) ──► change bits ──► swap ──► done
//       ▲                                  │ conflict
//       └──────────────────────────────────┘

#include "apiserver/services/port_allocator.h"

#include <string.h>

#include "apiserver/registry/own_resources.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/api/json.h"
#include "common/base/blob.h"
#include "common/base/encode.h"
#include "common/base/memory.h"

#define RANGE_NAME "servicenodeports"

enum {
	PORT_MAX_CONFLICTS = 64,
	PORT_MAX_BITS = 65536,
};

struct bitmap {
	uint8_t bits[PORT_MAX_BITS / 8]; // bit i: byte i / 8, mask 1 << i % 8
};

struct port_op {
	struct server *server;
	struct loop *loop;
	struct port_request request; // its arrays are ours
	void (*done)(void *context, const struct port_result *result);
	void *context;
	struct bitmap map;
	int *dynamic;
	unsigned conflicts;
};

static void read_bitmap(struct port_op *op);

// --- the stored form ------------------------------------------------------------------------

static bool bit_is_set(const struct bitmap *map, int bit)
{
	return map->bits[bit / 8] & 1 << bit % 8;
}

static void set_bit(struct bitmap *map, int bit, bool value)
{
	if (value)
		map->bits[bit / 8] |= (uint8_t)(1 << bit % 8);
	else
		map->bits[bit / 8] &= (uint8_t) ~(1 << bit % 8);
}

// Go's big.Int bytes: the most significant first, no leading zeros.
static int decode_bitmap(const struct stored_object *object, struct bitmap *map)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *tree;
	const char *text;
	uint8_t *data;
	size_t length;

	memset(map, 0, sizeof(*map));
	if (json_parse(arena, object->json->data, object->json->length, NULL, &tree, NULL) < 0)
		return -1;
	text = json_get_text(tree, "data");
	if (!text)
		return 0;
	if (!base64_decode(arena, text, strlen(text), &data, &length) || length > sizeof(map->bits))
		return -1;
	for (size_t i = 0; i < length; i++)
		map->bits[i] = data[length - 1 - i];
	return 0;
}

static struct blob *encode_bitmap(const struct server *server, const struct bitmap *map)
{
	const struct server_config *config = server->config;
	struct strbuf text = STRBUF_INIT(1 << 20), data = STRBUF_INIT(1 << 20);
	uint8_t bytes[sizeof(map->bits)];
	size_t length = sizeof(map->bits), text_length;
	char *owned;

	while (length && !map->bits[length - 1])
		length--;
	for (size_t i = 0; i < length; i++)
		bytes[i] = map->bits[length - 1 - i];
	base64_encode(&data, bytes, length);
	strbuf_printf(&text,
	              "{\"kind\":\"RangeAllocation\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
	              "\"creationTimestamp\":null},\"range\":\"%d-%d\",\"data\":\"%s\"}",
	              RANGE_NAME, config->node_port_first, config->node_port_first + config->node_port_count - 1,
	              strbuf_text(&data));
	strbuf_done(&data);
	owned = strbuf_take(&text, &text_length);
	return blob_new_take(owned, text_length);
}

// --- the operation ------------------------------------------------------------------------------

static void finish(struct port_op *op, const struct port_result *result)
{
	if (op->done)
		op->done(op->context, result);
	free((void *)op->request.wanted);
	free((void *)op->request.released);
	free(op->dynamic);
	free(op);
}

static bool in_range(const struct port_op *op, int port)
{
	const struct server_config *config = op->server->config;

	return port >= config->node_port_first && port < config->node_port_first + config->node_port_count;
}

static bool take_dynamic(struct port_op *op, int *ret_port)
{
	const struct server_config *config = op->server->config;
	int count = config->node_port_count;
	int start = (int)random_below((uint32_t)count);

	for (int i = 0; i < count; i++) {
		int bit = (start + i) % count;

		if (!bit_is_set(&op->map, bit)) {
			set_bit(&op->map, bit, true);
			*ret_port = config->node_port_first + bit;
			return true;
		}
	}
	return false;
}

// Returns false with the result's reason when the request can't be met.
static bool change_bits(struct port_op *op, struct port_result *result)
{
	int first = op->server->config->node_port_first;

	for (size_t i = 0; i < op->request.released_count; i++)
		if (in_range(op, op->request.released[i]))
			set_bit(&op->map, op->request.released[i] - first, false);
	for (size_t i = 0; i < op->request.wanted_count; i++) {
		int port = op->request.wanted[i];

		if (!in_range(op, port) || bit_is_set(&op->map, port - first)) {
			result->conflicting_port = port;
			return false;
		}
		set_bit(&op->map, port - first, true);
	}
	for (size_t i = 0; i < op->request.dynamic_count; i++)
		if (!take_dynamic(op, &op->dynamic[i])) {
			result->exhausted = true;
			return false;
		}
	return true;
}

static void on_swapped(void *context, struct stored_object *object, const struct err *err)
{
	struct port_op *op = context;
	bool lost = err && (err->code == ERR_CONFLICT || err->code == ERR_ALREADY_EXISTS || err->code == ERR_NOT_FOUND);

	(void)object;
	if (lost && ++op->conflicts <= PORT_MAX_CONFLICTS)
		read_bitmap(op);
	else
		finish(op, &(struct port_result){.err = err, .dynamic = op->dynamic});
}

static void swap(struct port_op *op, int64_t expected_revision)
{
	struct storage_write write = {
	        .type = expected_revision ? STORAGE_UPDATE : STORAGE_CREATE,
	        .resource = &own_resource_port_ranges,
	        .namespace_name = "",
	        .name = RANGE_NAME,
	        .expected_revision = expected_revision,
	        .json = encode_bitmap(op->server, &op->map),
	};

	storage_write(op->server->storage, &write, op->loop, on_swapped, op);
}

static void on_read(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct port_op *op = context;
	struct port_result result = {0};
	struct err broken = ERR_INIT;

	(void)revision;
	if (err && err->code != ERR_NOT_FOUND) {
		finish(op, &(struct port_result){.err = err});
		return;
	}
	memset(&op->map, 0, sizeof(op->map));
	if (!err && decode_bitmap(object, &op->map) < 0) {
		err_set(&broken, ERR_INTERNAL, "the stored node port allocation cannot be read");
		finish(op, &(struct port_result){.err = &broken});
		return;
	}
	if (!change_bits(op, &result))
		finish(op, &result);
	else
		swap(op, err ? 0 : object->revision);
}

static void read_bitmap(struct port_op *op)
{
	struct storage_read read = {.resource = &own_resource_port_ranges,
	                            .namespace_name = "",
	                            .name = RANGE_NAME,
	                            .freshness = STORAGE_CONSISTENT};

	storage_get(op->server->storage, &read, op->loop, on_read, op);
}

static const int *copy_ports(const int *ports, size_t count)
{
	return count ? xmemdup(ports, count * sizeof(*ports)) : NULL;
}

void port_allocator_apply(struct server *server, struct loop *loop, const struct port_request *request,
                          void (*done)(void *context, const struct port_result *result), void *context)
{
	struct port_op *op = NEW(struct port_op);

	op->server = server;
	op->loop = loop;
	op->request = *request;
	op->request.wanted = copy_ports(request->wanted, request->wanted_count);
	op->request.released = copy_ports(request->released, request->released_count);
	op->dynamic = xcalloc(request->dynamic_count + 1, sizeof(*op->dynamic));
	op->done = done;
	op->context = context;
	read_bitmap(op);
}

bool port_allocator_held(struct server *server, int **ret_ports, size_t *ret_count)
{
	struct stored_object *object = storage_peek(server->storage, &own_resource_port_ranges, "", RANGE_NAME);
	struct bitmap *map = NEW(struct bitmap);
	bool known = object && decode_bitmap(object, map) == 0;

	*ret_count = 0;
	*ret_ports = xcalloc((size_t)server->config->node_port_count + 1, sizeof(**ret_ports));
	for (int bit = 0; known && bit < server->config->node_port_count; bit++)
		if (bit_is_set(map, bit))
			(*ret_ports)[(*ret_count)++] = server->config->node_port_first + bit;
	stored_object_unref(object);
	free(map);
	return known;
}
