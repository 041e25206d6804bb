// SPDX-License-Identifier: Apache-2.0
// Prefers nodes that have the pod's images already. An image counts by its size and
// by how many nodes have it, so that one node with a rare image doesn't draw all pods.

#include <string.h>

#include "scheduler/plugins/plugins.h"

#define SMALLEST_BYTES (INT64_C(23) << 20)
#define LARGEST_BYTES_EACH (INT64_C(1000) << 20)

struct wanted_images {
	const struct image_state **states; // of those that some node has
	size_t count;
	size_t container_count;
};

// As nodes name it: with a tag.
static const char *normalized_name(struct arena *arena, const char *image)
{
	const char *colon = strrchr(image, ':');
	const char *slash = strrchr(image, '/');
	if (colon && (!slash || colon > slash))
		return image;
	return arena_printf(arena, "%s:latest", image);
}

static void add_images(struct cycle *cycle, struct wanted_images *wanted,
                       const struct core_v1_container_array *containers)
{
	for (size_t i = 0; i < containers->count; i++) {
		const char *image = containers->items[i].image;
		const struct image_state *state =
		        image ? cache_find_image(cycle->cache, normalized_name(cycle->arena, image)) : NULL;
		wanted->container_count++;
		if (state)
			wanted->states[wanted->count++] = state;
	}
}

static bool pre_score(struct cycle *cycle, void **state)
{
	const struct core_v1_pod_spec *spec = &cycle->pod->pod->spec;
	struct wanted_images *wanted = ARENA_NEW(cycle->arena, struct wanted_images);
	wanted->states = ARENA_ARRAY(cycle->arena, const struct image_state *,
	                             spec->containers.count + spec->init_containers.count + 1);
	add_images(cycle, wanted, &spec->init_containers);
	add_images(cycle, wanted, &spec->containers);
	*state = wanted;
	return wanted->count > 0;
}

static int64_t size_on_node(const struct node_info *node, const struct image_state *state)
{
	for (size_t i = 0; i < node->image_count; i++)
		if (node->images[i].state == state)
			return node->images[i].size_bytes;
	return 0;
}

static int64_t score(struct cycle *cycle, void *state, const struct node_info *node)
{
	const struct wanted_images *wanted = state;
	size_t node_count = cache_node_count(cycle->cache);
	int64_t sum = 0;
	for (size_t i = 0; i < wanted->count; i++) {
		double spread = (double)wanted->states[i]->node_count / (double)node_count;
		sum += (int64_t)((double)size_on_node(node, wanted->states[i]) * spread);
	}
	int64_t largest = LARGEST_BYTES_EACH * (int64_t)wanted->container_count;
	if (sum < SMALLEST_BYTES)
		sum = SMALLEST_BYTES;
	if (sum > largest)
		sum = largest;
	return SCORE_MAX * (sum - SMALLEST_BYTES) / (largest - SMALLEST_BYTES);
}

const struct plugin plugin_image_locality = {
        .name = "ImageLocality",
        .weight = 1,
        .pre_score = pre_score,
        .score = score,
};
