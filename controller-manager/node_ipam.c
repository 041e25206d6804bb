// SPDX-License-Identifier: Apache-2.0
//
// node-ipam-controller: gives each node a part of every --cluster-cidr for its
// pods (spec.podCIDR, spec.podCIDRs). What is taken is learned from the nodes
// themselves; a part is marked before the node is asked to take it and released
// when that fails or when the node is deleted.
#include <stdio.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "controller-manager/cidr_set.h"
#include "controller-manager/controllers.h"

enum { MAX_FAMILIES = 2, DEFAULT_BITS_IPV4 = 24, DEFAULT_BITS_IPV6 = 64 };

struct node_ipam {
	struct informer *nodes;
	struct cidr_set *sets[MAX_FAMILIES];
	size_t set_count;
};

static void for_each_cidr(struct node_ipam *state, const struct core_v1_node *node,
                          bool (*function)(struct cidr_set *set, const char *cidr))
{
	const struct string_array *list = &node->spec.pod_cidrs;
	for (size_t s = 0; s < state->set_count; s++) {
		for (size_t i = 0; i < list->count; i++)
			function(state->sets[s], list->items[i]);
		if (!list->count && node->spec.pod_cidr)
			function(state->sets[s], node->spec.pod_cidr);
	}
}

static bool has_cidr(const struct core_v1_node *node)
{
	return node->spec.pod_cidrs.count || (node->spec.pod_cidr && *node->spec.pod_cidr);
}

static void on_node(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct node_ipam *state = controller_state(controller);
	if (!new_object)
		for_each_cidr(state, old_object->view, cidr_set_release);
	else if (has_cidr(new_object->view))
		for_each_cidr(state, new_object->view, cidr_set_occupy);
	else
		controller_enqueue(controller, new_object->key);
}

static int part_bits(const struct controller_settings *settings, bool is_ipv6, bool is_single)
{
	int64_t of_family = is_ipv6 ? settings->node_cidr_mask_size_ipv6 : settings->node_cidr_mask_size_ipv4;
	if (of_family)
		return (int)of_family;
	if (is_single && settings->node_cidr_mask_size)
		return (int)settings->node_cidr_mask_size;
	return is_ipv6 ? DEFAULT_BITS_IPV6 : DEFAULT_BITS_IPV4;
}

static int add_range(struct node_ipam *state, const struct controller_settings *settings, const char *range,
                     bool is_single, struct err *err)
{
	if (state->set_count == MAX_FAMILIES)
		return err_set(err, ERR_INVALID, "--cluster-cidr: at most one range of each address family");
	return cidr_set_new(range, part_bits(settings, cidr_is_ipv6(range), is_single),
	                    &state->sets[state->set_count++], err);
}

// Services' addresses that lie within the pods' range are nobody's part.
static int keep_services_out(struct node_ipam *state, const char *service_cidr, struct err *err)
{
	AUTO_FREE char *copy = xstrdup(service_cidr ? service_cidr : "");
	char *rest = NULL;
	for (char *range = strtok_r(copy, ",", &rest); range; range = strtok_r(NULL, ",", &rest))
		for (size_t i = 0; i < state->set_count; i++)
			if (!cidr_set_occupy(state->sets[i], range))
				return err_set(err, ERR_INVALID, "--service-cluster-ip-range: invalid CIDR address: %s",
				               range);
	return 0;
}

static int parse_ranges(struct node_ipam *state, const struct controller_settings *settings, struct err *err)
{
	AUTO_FREE char *copy = xstrdup(settings->cluster_cidr);
	char *rest = NULL;
	bool is_single = !strchr(copy, ',');
	for (char *range = strtok_r(copy, ",", &rest); range; range = strtok_r(NULL, ",", &rest)) {
		int result = add_range(state, settings, range, is_single, err);
		if (result < 0)
			return result;
	}
	if (!state->set_count)
		return err_set(err, ERR_INVALID, "--allocate-node-cidrs needs --cluster-cidr");
	return keep_services_out(state, settings->service_cidr, err);
}

static int start(struct controller *controller, struct err *err)
{
	const struct controller_settings *settings = controller_settings(controller);
	struct node_ipam *state = NEW(struct node_ipam);
	controller_set_state(controller, state);
	if (!settings->allocate_node_cidrs)
		return 0;
	int result = parse_ranges(state, settings, err);
	if (result < 0)
		return result;
	state->nodes = controller_watch(controller, &schema_resource_core_v1_nodes, on_node);
	return 0;
}

static void stop(struct controller *controller)
{
	struct node_ipam *state = controller_state(controller);
	for (size_t i = 0; i < state->set_count; i++)
		cidr_set_free(state->sets[i]);
	free(state);
}

struct allocation {
	struct node_ipam *state;
	char parts[MAX_FAMILIES][CIDR_TEXT_BYTES];
	size_t count;
};

static void release(struct allocation *allocation)
{
	for (size_t i = 0; i < allocation->count; i++)
		cidr_set_release(allocation->state->sets[i], allocation->parts[i]);
	allocation->count = 0;
}

// A request that got no answer may have been done: the node's own event tells, so its part stays marked until then.
static void on_patched(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	if (response->err.code == ERR_NONE)
		return;
	if (response->http_status)
		release(context);
	if (response->err.code != ERR_NOT_FOUND)
		reconcile_retry(reconcile, &response->err);
}

static bool take_parts(struct node_ipam *state, struct allocation *allocation)
{
	allocation->state = state;
	for (; allocation->count < state->set_count; allocation->count++)
		if (!cidr_set_take(state->sets[allocation->count], allocation->parts[allocation->count])) {
			release(allocation);
			return false;
		}
	return true;
}

static void reconcile_node(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct node_ipam *state = controller_state(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(state->nodes, key);
	if (!object || has_cidr(object->view))
		return;
	struct allocation *allocation = ARENA_NEW(arena, struct allocation);
	if (!take_parts(state, allocation)) {
		struct err err = ERR_INIT;
		err_set(&err, ERR_UNAVAILABLE, "no CIDR is left for node %s", key);
		reconcile_event(reconcile, object, "Normal", "CIDRNotAvailable",
		                "Node %s status is now: CIDRNotAvailable", key);
		reconcile_retry(reconcile, &err);
		return;
	}
	struct json *patch = json_object(arena);
	struct json *spec = json_ensure_object(arena, patch, "spec");
	json_set_text(arena, spec, "podCIDR", allocation->parts[0]);
	struct json *list = json_ensure_array(arena, spec, "podCIDRs");
	for (size_t i = 0; i < allocation->count; i++)
		json_append(arena, list, json_string(arena, allocation->parts[i]));
	reconcile_patch(reconcile, object, NULL, REST_MERGE_PATCH, patch, true, on_patched, allocation);
}

const struct controller_type node_ipam_controller = {
        .name = "node-ipam-controller",
        .concurrent_keys = 20,
        .start = start,
        .reconcile = reconcile_node,
        .stop = stop,
};
