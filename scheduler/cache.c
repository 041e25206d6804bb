// SPDX-License-Identifier: Apache-2.0
// Two maps: node_info by node name, pod_state by pod uid. The uid, not the name,
// is the key: a pod that was deleted and made again is another pod.
//
// A node that goes while pods are on it stays as a nameless place (object NULL,
// not in the array of known nodes) until the last pod has gone, because pods and
// nodes come by two watches whose order is not known; the same place is made for a
// pod that comes before its node.

#include "scheduler/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/quantity.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

struct pod_state {
	struct pod_info *info;
	struct node_info *node;
	bool assumed;
};

struct cache {
	struct hashmap *nodes;
	struct hashmap *pods;
	struct hashmap *images;
	struct node_info **known;
	size_t known_count;
	size_t known_capacity;
};

static void free_pod_state(void *value)
{
	struct pod_state *state = value;
	pod_info_unref(state->info);
	free(state);
}

static void free_node_info(void *value)
{
	struct node_info *node = value;
	assert(node->pod_count == 0);
	api_object_unref(node->object);
	resources_done(&node->allocatable);
	resources_done(&node->requested);
	free(node->pods);
	free(node->images);
	free(node->name);
	free(node);
}

struct cache *cache_new(void)
{
	struct cache *cache = NEW(struct cache);
	cache->nodes = hashmap_new(free_node_info);
	cache->pods = hashmap_new(free_pod_state);
	cache->images = hashmap_new(free);
	return cache;
}

struct cache *cache_free(struct cache *cache)
{
	if (!cache)
		return NULL;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(cache->nodes, &cursor))
		((struct node_info *)cursor.value)->pod_count = 0;
	hashmap_free(cache->nodes);
	hashmap_free(cache->pods);
	hashmap_free(cache->images);
	free(cache->known);
	free(cache);
	return NULL;
}

// --- nodes -----------------------------------------------------------------------------

size_t cache_node_count(const struct cache *cache)
{
	return cache->known_count;
}

struct node_info *cache_node_at(const struct cache *cache, size_t index)
{
	return cache->known[index];
}

struct node_info *cache_find_node(const struct cache *cache, const char *name)
{
	struct node_info *node = hashmap_get(cache->nodes, name);
	return node && node->object ? node : NULL;
}

static struct node_info *ensure_node(struct cache *cache, const char *name)
{
	struct node_info *node = hashmap_get(cache->nodes, name);
	if (node)
		return node;
	node = NEW(struct node_info);
	node->name = xstrdup(name);
	hashmap_put(cache->nodes, name, node);
	return node;
}

static void drop_node_if_unused(struct cache *cache, struct node_info *node)
{
	if (!node->object && node->pod_count == 0)
		hashmap_remove(cache->nodes, node->name);
}

static void make_known(struct cache *cache, struct node_info *node)
{
	if (cache->known_count == cache->known_capacity) {
		cache->known_capacity = cache->known_capacity ? cache->known_capacity * 2 : 16;
		cache->known = xreallocarray(cache->known, cache->known_capacity, sizeof(cache->known[0]));
	}
	node->place = cache->known_count;
	cache->known[cache->known_count++] = node;
}

static void make_unknown(struct cache *cache, struct node_info *node)
{
	struct node_info *last = cache->known[--cache->known_count];
	cache->known[node->place] = last;
	last->place = node->place;
}

static void drop_images(struct cache *cache, struct node_info *node)
{
	for (size_t i = 0; i < node->image_count; i++) {
		struct image_state *state = node->images[i].state;
		if (--state->node_count == 0)
			hashmap_remove(cache->images, state->name);
	}
	free(node->images);
	node->images = NULL;
	node->image_count = 0;
}

static void add_image(struct cache *cache, struct node_info *node, const char *name, int64_t size_bytes)
{
	struct image_state *state = hashmap_get(cache->images, name);
	if (!state) {
		size_t length = strlen(name);
		state = xcalloc(1, sizeof(*state) + length + 1);
		memcpy(state->name, name, length);
		hashmap_put(cache->images, name, state);
	}
	for (size_t i = 0; i < node->image_count; i++)
		if (node->images[i].state == state)
			return;
	state->node_count++;
	node->images = xreallocarray(node->images, node->image_count + 1, sizeof(node->images[0]));
	node->images[node->image_count++] = (struct node_image){.state = state, .size_bytes = size_bytes};
}

static void take_images(struct cache *cache, struct node_info *node)
{
	const struct core_v1_container_image_array *images = &node->node->status.images;
	drop_images(cache, node);
	for (size_t i = 0; i < images->count; i++)
		for (size_t k = 0; k < images->items[i].names.count; k++)
			add_image(cache, node, images->items[i].names.items[k], images->items[i].size_bytes);
}

void cache_set_node(struct cache *cache, struct api_object *object)
{
	struct node_info *node = ensure_node(cache, object->name);
	if (!node->object)
		make_known(cache, node);
	api_object_ref(object);
	api_object_unref(node->object);
	node->object = object;
	node->node = object->view;
	resources_done(&node->allocatable);
	resources_from_map(&node->allocatable, &node->node->status.allocatable);
	node->allowed_pods = quantity_text_value(string_map_get(&node->node->status.allocatable, "pods"));
	take_images(cache, node);
}

void cache_remove_node(struct cache *cache, const char *name)
{
	struct node_info *node = cache_find_node(cache, name);
	if (!node)
		return;
	make_unknown(cache, node);
	drop_images(cache, node);
	resources_done(&node->allocatable);
	node->node = NULL;
	node->object = api_object_unref(node->object);
	drop_node_if_unused(cache, node);
}

const struct image_state *cache_find_image(const struct cache *cache, const char *name)
{
	return hashmap_get(cache->images, name);
}

// --- pods -------------------------------------------------------------------------------

size_t cache_pod_count(const struct cache *cache)
{
	return hashmap_count(cache->pods);
}

static void count_pod(struct node_info *node, const struct pod_info *info, int sign)
{
	resources_add(&node->requested, &info->requests, sign);
	node->nonzero.milli_cpu += sign * info->nonzero.milli_cpu;
	node->nonzero.memory_bytes += sign * info->nonzero.memory_bytes;
}

static void node_add_pod(struct node_info *node, struct pod_info *info)
{
	if (node->pod_count == node->pod_capacity) {
		node->pod_capacity = node->pod_capacity ? node->pod_capacity * 2 : 8;
		node->pods = xreallocarray(node->pods, node->pod_capacity, sizeof(node->pods[0]));
	}
	node->pods[node->pod_count++] = info;
	count_pod(node, info, 1);
}

static void node_remove_pod(struct node_info *node, const struct pod_info *info)
{
	for (size_t i = 0; i < node->pod_count; i++) {
		if (node->pods[i] != info)
			continue;
		node->pods[i] = node->pods[--node->pod_count];
		count_pod(node, info, -1);
		return;
	}
	assert(!"a pod is counted on its node");
}

static void add_state(struct cache *cache, struct pod_info *info, struct node_info *node, bool assumed)
{
	struct pod_state *state = NEW(struct pod_state);
	state->info = pod_info_ref(info);
	state->node = node;
	state->assumed = assumed;
	node_add_pod(node, info);
	hashmap_put(cache->pods, pod_info_uid(info), state);
}

void cache_remove_pod(struct cache *cache, const char *uid)
{
	struct pod_state *state = hashmap_take(cache->pods, uid);
	if (!state)
		return;
	node_remove_pod(state->node, state->info);
	drop_node_if_unused(cache, state->node);
	free_pod_state(state);
}

void cache_set_pod(struct cache *cache, struct pod_info *info)
{
	assert(info->pod->spec.node_name && info->pod->spec.node_name[0]);
	cache_remove_pod(cache, pod_info_uid(info));
	add_state(cache, info, ensure_node(cache, info->pod->spec.node_name), false);
}

void cache_assume(struct cache *cache, struct pod_info *info, struct node_info *node)
{
	cache_remove_pod(cache, pod_info_uid(info));
	add_state(cache, info, node, true);
}

void cache_forget(struct cache *cache, const char *uid)
{
	struct pod_state *state = hashmap_get(cache->pods, uid);
	if (state && state->assumed)
		cache_remove_pod(cache, uid);
}

bool cache_has_pod(const struct cache *cache, const char *uid, bool *ret_assumed)
{
	const struct pod_state *state = hashmap_get(cache->pods, uid);
	if (state)
		*ret_assumed = state->assumed;
	return state != NULL;
}
