// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the scheduler knows of nodes and of the pods on them: sums are kept, not
// computed. A pod is on a node because the API says so, or because it was assumed
// there while its binding is under way.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core_v1.h"
#include "common/client/informer.h"
#include "scheduler/pod_info.h"

struct image_state { // one for each image name that some node has
	size_t node_count;
	char name[];
};

struct node_image {
	struct image_state *state;
	int64_t size_bytes;
};

struct node_info {
	char *name;
	struct api_object *object; // NULL: pods are known here, the node is not (any more)
	const struct core_v1_node *node;
	struct resources allocatable;
	int64_t allowed_pods;
	struct resources requested;
	struct nonzero_requests nonzero;
	struct pod_info **pods;
	size_t pod_count;
	size_t pod_capacity;
	struct node_image *images;
	size_t image_count;
	size_t place; // in the cache's array, while the node is known
};

struct cache;

struct cache *cache_new(void);
struct cache *cache_free(struct cache *cache);

// The known nodes; the order changes only when nodes come or go.
size_t cache_node_count(const struct cache *cache);
struct node_info *cache_node_at(const struct cache *cache, size_t index);
struct node_info *cache_find_node(const struct cache *cache, const char *name); // a known one, else NULL
const struct image_state *cache_find_image(const struct cache *cache, const char *name);
size_t cache_pod_count(const struct cache *cache);

void cache_set_node(struct cache *cache, struct api_object *node);
void cache_remove_node(struct cache *cache, const char *name);

// A pod that has a node by the API: adds, confirms an assumed one, moves or updates.
void cache_set_pod(struct cache *cache, struct pod_info *info);
// Harmless when it isn't there.
void cache_remove_pod(struct cache *cache, const char *uid);

// Puts a pod on a node until it is confirmed by cache_set_pod or forgotten.
void cache_assume(struct cache *cache, struct pod_info *info, struct node_info *node);
// Takes an assumed pod away again; harmless when it has been confirmed or removed.
void cache_forget(struct cache *cache, const char *uid);
bool cache_has_pod(const struct cache *cache, const char *uid, bool *ret_assumed);
