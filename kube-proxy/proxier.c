// SPDX-License-Identifier: Apache-2.0
//
// Informers of Services, EndpointSlices and this Node mark services dirty; a
// timer collects what comes within a few milliseconds; a sync works out the dirty
// services' elements again and sends the difference as one transaction.
//
//   informer event → mark dirty → timer → sync: release, claim, plan, commit
//                                            ↑            on failure: full sync after back-off
//
// Nothing is sent before all informers have their first list, so a restart
// replaces the old rules by the complete new ones in one transaction.
#include "kube-proxy/proxier.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"
#include "common/client/informer.h"
#include "common/client/rest.h"
#include "common/io/loop.h"
#include "kube-proxy/service_rules.h"

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"
#define SLICE_INDEX "service"
#define NODE_OWNER "" // claims node-addresses; no service has an empty key

#define COLLECT_NS (2 * NSEC_PER_MSEC)
#define RETRY_BASE_NS (500 * NSEC_PER_MSEC)
#define RETRY_MAX_NS (30 * NSEC_PER_SEC)

struct proxier {
	struct proxier_config config;
	struct loop *loop;
	struct nft *nft;
	struct rule_table *table;
	struct informer *services;
	struct informer *slices;
	struct informer *nodes;
	struct informer_handler service_handler;
	struct informer_handler slice_handler;
	struct informer_handler node_handler;
	struct hashmap *dirty;     // service keys
	struct hashmap *contested; // service keys that could not claim everything
	struct loop_timer timer;
	int64_t last_sync_ns;
	int64_t retry_delay_ns;
	bool needs_full_sync;
	bool was_synced;
	atomic_bool is_healthy;
	struct metric *sync_duration;
	struct metric *last_sync_time;
};

static void on_timer(struct loop_timer *timer);

static void schedule(struct proxier *proxier, int64_t delay_ns)
{
	if (!proxier->timer.loop)
		loop_timer_start(proxier->loop, &proxier->timer, delay_ns, on_timer);
}

static void mark_dirty(struct proxier *proxier, const char *key)
{
	hashmap_put(proxier->dirty, key, proxier);
	int64_t since_ns = loop_now_ns(proxier->loop) - proxier->last_sync_ns;
	int64_t wait_ns = proxier->config.min_sync_period_ns - since_ns;
	schedule(proxier, wait_ns > COLLECT_NS ? wait_ns : COLLECT_NS);
}

// --- events ------------------------------------------------------------------------

static void on_service(struct informer_handler *handler, struct api_object *old_object, struct api_object *new_object)
{
	struct proxier *proxier = container_of(handler, struct proxier, service_handler);
	mark_dirty(proxier, new_object ? new_object->key : old_object->key);
}

static void mark_service_of(struct proxier *proxier, const struct api_object *object)
{
	if (!object)
		return;
	const struct discovery_v1_endpoint_slice *slice = object->view;
	const char *name = string_map_get(&slice->metadata.labels, SERVICE_NAME_LABEL);
	if (!name)
		return;
	AUTO_FREE char *key = xasprintf("%s/%s", object->namespace_name, name);
	mark_dirty(proxier, key);
}

static void on_slice(struct informer_handler *handler, struct api_object *old_object, struct api_object *new_object)
{
	struct proxier *proxier = container_of(handler, struct proxier, slice_handler);
	mark_service_of(proxier, old_object);
	mark_service_of(proxier, new_object);
}

static void on_node(struct informer_handler *handler, struct api_object *old_object UNUSED,
                    struct api_object *new_object UNUSED)
{
	mark_dirty(container_of(handler, struct proxier, node_handler), NODE_OWNER);
}

static void slice_service_name(const struct api_object *object, struct informer_index_values *values)
{
	const struct discovery_v1_endpoint_slice *slice = object->view;
	const char *name = string_map_get(&slice->metadata.labels, SERVICE_NAME_LABEL);
	if (name && values->count < values->capacity)
		values->items[values->count++] = name;
}

// --- sync --------------------------------------------------------------------------

static void build_node(struct proxier *proxier, struct rule_element_array *elements)
{
	struct api_object *object = informer_get(proxier->nodes, NULL, proxier->config.node_name);
	if (!object)
		return;
	const struct core_v1_node *node = object->view;
	for (size_t i = 0; i < node->status.addresses.count; i++) {
		const struct core_v1_node_address *item = &node->status.addresses.items[i];
		struct rule_address address;
		if (!item->type || strcmp(item->type, "InternalIP") != 0 ||
		    !rule_address_parse(item->address, &address))
			continue;
		struct rule_element element = rule_element_start(RULE_NODE_ADDRESSES, address.ipv6);
		rule_key_add_address(&element, &address);
		rule_element_array_add(elements, &element);
	}
}

static void build_service(struct proxier *proxier, const char *key, struct rule_element_array *elements)
{
	struct api_object *object = informer_get_key(proxier->services, key);
	if (!object)
		return;
	size_t found;
	struct api_object *const *objects = informer_by_index(proxier->slices, SLICE_INDEX, object->name, &found);
	AUTO_FREE const struct discovery_v1_endpoint_slice **slices = xcalloc(found + 1, sizeof(*slices));
	size_t count = 0;
	for (size_t i = 0; i < found; i++)
		if (strcmp(objects[i]->namespace_name, object->namespace_name) == 0)
			slices[count++] = objects[i]->view;
	service_rules_build(object->view, slices, count, elements);
}

static void claim(struct proxier *proxier, const char *key)
{
	struct rule_element_array elements = {0};
	if (strcmp(key, NODE_OWNER) == 0)
		build_node(proxier, &elements);
	else
		build_service(proxier, key, &elements);
	if (elements.count && !rule_table_claim(proxier->table, key, &elements)) {
		log_warning("A service shares an address and port with another one, which keeps it",
		            kv_str("service", key));
		hashmap_put(proxier->contested, key, proxier);
	}
	rule_element_array_done(&elements);
}

// Takes the dirty services, and those that waited for an element of another's.
static void claim_dirty(struct proxier *proxier)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(proxier->contested, &cursor))
		hashmap_put(proxier->dirty, cursor.key, proxier);
	hashmap_clear(proxier->contested);
	cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(proxier->dirty, &cursor))
		rule_table_release(proxier->table, cursor.key);
	cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(proxier->dirty, &cursor))
		claim(proxier, cursor.key);
	hashmap_clear(proxier->dirty);
}

static void on_commit_failed(struct proxier *proxier, const struct err *err)
{
	log_error("Failed to write the service rules; will write all of them again", kv_err(err),
	          kv_duration("retryAfter", proxier->retry_delay_ns));
	atomic_store(&proxier->is_healthy, false);
	proxier->needs_full_sync = true;
	schedule(proxier, proxier->retry_delay_ns);
	proxier->retry_delay_ns *= 2;
	if (proxier->retry_delay_ns > RETRY_MAX_NS)
		proxier->retry_delay_ns = RETRY_MAX_NS;
}

static void on_committed(struct proxier *proxier, const struct rule_plan *plan, bool full, int64_t started_ns)
{
	int64_t now_ns = loop_now_ns(proxier->loop);
	rule_table_committed(proxier->table);
	proxier->needs_full_sync = false;
	proxier->retry_delay_ns = RETRY_BASE_NS;
	atomic_store(&proxier->is_healthy, true);
	metric_observe(proxier->sync_duration, (double)(now_ns - started_ns) / (double)NSEC_PER_SEC);
	metric_set(proxier->last_sync_time, (double)loop_realtime_ns(proxier->loop) / (double)NSEC_PER_SEC);
	log_v(2, "Wrote service rules", kv_bool("full", full), kv_int("added", (int64_t)plan->added.count),
	      kv_int("removed", (int64_t)plan->removed.count), kv_duration("took", now_ns - started_ns));
	if (!proxier->was_synced) {
		proxier->was_synced = true;
		proxier->config.on_synced(proxier->config.context);
	}
}

static void sync_rules(struct proxier *proxier)
{
	int64_t started_ns = loop_now_ns(proxier->loop);
	proxier->last_sync_ns = started_ns;
	claim_dirty(proxier);
	bool full = proxier->needs_full_sync;
	if (full)
		rule_table_forget_installed(proxier->table);
	struct rule_plan plan = rule_table_plan(proxier->table);
	if (full || !rule_plan_is_empty(&plan)) {
		struct err err = ERR_INIT;
		if (nft_commit(proxier->nft, &plan, full, &err) < 0)
			on_commit_failed(proxier, &err);
		else
			on_committed(proxier, &plan, full, started_ns);
	}
	rule_plan_done(&plan);
}

static void on_timer(struct loop_timer *timer)
{
	struct proxier *proxier = container_of(timer, struct proxier, timer);
	if (informer_has_synced(proxier->services) && informer_has_synced(proxier->slices) &&
	    informer_has_synced(proxier->nodes))
		sync_rules(proxier);
}

// Also when there is nothing at all to mark dirty, the first sync must come.
static void on_informer_synced(struct proxier *proxier)
{
	schedule(proxier, COLLECT_NS);
}

static void on_services_synced(struct informer_handler *handler)
{
	on_informer_synced(container_of(handler, struct proxier, service_handler));
}

static void on_slices_synced(struct informer_handler *handler)
{
	on_informer_synced(container_of(handler, struct proxier, slice_handler));
}

static void on_nodes_synced(struct informer_handler *handler)
{
	on_informer_synced(container_of(handler, struct proxier, node_handler));
}

// --- lifecycle ---------------------------------------------------------------------

static const double sync_buckets[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,  0.128,
                                      0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384, 0};
static const struct metric_family sync_duration_family = {
        .name = "kubeproxy_sync_proxy_rules_duration_seconds",
        .help = "Time that one write of the service rules took",
        .type = METRIC_HISTOGRAM,
        .buckets = sync_buckets,
};
static const struct metric_family last_sync_family = {
        .name = "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
        .help = "When the service rules were last written",
        .type = METRIC_GAUGE,
};

static void start_informers(struct proxier *proxier)
{
	AUTO_FREE char *own_node = xasprintf("metadata.name=%s", proxier->config.node_name);
	struct informer_config services = {.resource = &schema_resource_core_v1_services};
	struct informer_config slices = {.resource = &schema_resource_discovery_v1_endpointslices};
	struct informer_config nodes = {.resource = &schema_resource_core_v1_nodes, .field_selector = own_node};
	proxier->services = informer_new(proxier->config.client, &services);
	proxier->slices = informer_new(proxier->config.client, &slices);
	proxier->nodes = informer_new(proxier->config.client, &nodes);
	informer_add_index(proxier->slices, SLICE_INDEX, slice_service_name);
	proxier->service_handler = (struct informer_handler){.changed = on_service, .synced = on_services_synced};
	proxier->slice_handler = (struct informer_handler){.changed = on_slice, .synced = on_slices_synced};
	proxier->node_handler = (struct informer_handler){.changed = on_node, .synced = on_nodes_synced};
	informer_add_handler(proxier->services, &proxier->service_handler);
	informer_add_handler(proxier->slices, &proxier->slice_handler);
	informer_add_handler(proxier->nodes, &proxier->node_handler);
}

int proxier_new(const struct proxier_config *config, struct proxier **ret_proxier, struct err *err)
{
	struct nft *nft;
	int result = nft_new(&config->nft, &nft, err);
	if (result < 0)
		return result;
	struct proxier *proxier = NEW(struct proxier);
	proxier->config = *config;
	proxier->loop = rest_client_loop(config->client);
	proxier->nft = nft;
	proxier->table = rule_table_new();
	proxier->dirty = hashmap_new(NULL);
	proxier->contested = hashmap_new(NULL);
	proxier->needs_full_sync = true;
	proxier->retry_delay_ns = RETRY_BASE_NS;
	proxier->last_sync_ns = -config->min_sync_period_ns;
	atomic_init(&proxier->is_healthy, true);
	proxier->sync_duration = metric_get(config->metrics, &sync_duration_family, NULL);
	proxier->last_sync_time = metric_get(config->metrics, &last_sync_family, NULL);
	start_informers(proxier);
	*ret_proxier = proxier;
	return 0;
}

struct proxier *proxier_free(struct proxier *proxier)
{
	if (!proxier)
		return NULL;
	loop_timer_stop(&proxier->timer);
	informer_free(proxier->services);
	informer_free(proxier->slices);
	informer_free(proxier->nodes);
	hashmap_free(proxier->dirty);
	hashmap_free(proxier->contested);
	rule_table_free(proxier->table);
	nft_free(proxier->nft);
	free(proxier);
	return NULL;
}

bool proxier_is_healthy(const struct proxier *proxier)
{
	return atomic_load(&proxier->is_healthy);
}
