// SPDX-License-Identifier: Apache-2.0
// What the kubelet tells about itself: health, metrics, its settings, and the pods as
// this node sees them.

#include <string.h>

#include "common/api/view.h"
#include "common/base/metrics.h"
#include "common/io/plain_server.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/pod/pod_status.h"
#include "kubelet/server/server_internal.h"

enum { MAX_ANSWER_BYTES = 64 << 20 };

// --- health --------------------------------------------------------------------------

// An answer comes from the loop that runs the pods: that it comes is the check.
static bool loop_runs(void *context)
{
	(void)context;
	return true;
}

static const struct health_check checks[] = {
        {.name = "ping", .endpoints = HEALTH_HEALTHZ, .check = loop_runs},
        {.name = "syncloop", .endpoints = HEALTH_HEALTHZ, .check = loop_runs},
        {0},
};

void server_handle_health(struct server_request *request)
{
	const struct http_request *head = http_exchange_request(request->exchange);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
	int status = health_respond(checks, head->path, head->query, &text);
	server_respond_text(request->exchange, status, "text/plain; charset=utf-8", strbuf_text(&text), text.length);
}

// --- metrics -------------------------------------------------------------------------

static const struct metric_family running_pods_family = {
        .name = "kubelet_running_pods",
        .help = "Number of pods that have a running pod sandbox",
        .type = METRIC_GAUGE,
};

static const struct metric_family running_containers_family = {
        .name = "kubelet_running_containers",
        .help = "Number of containers by state",
        .type = METRIC_GAUGE,
        .label_names = (const char *const[]){"container_state", NULL},
};

static const struct metric_family node_name_family = {
        .name = "kubelet_node_name",
        .help = "The node's name. The count is always 1.",
        .type = METRIC_GAUGE,
        .label_names = (const char *const[]){"node", NULL},
};

static bool has_sandbox(const struct pod *pod)
{
	return !pod->gone && pod->sandbox.state == PART_READY;
}

static void refresh_metrics(struct metrics_registry *metrics, struct kubelet *kubelet)
{
	static const char *const states[] = {
	        [CONTAINER_WAITING] = NULL,
	        [CONTAINER_STARTING] = "created",
	        [CONTAINER_RUNNING] = "running",
	        [CONTAINER_EXITED] = "exited",
	};
	size_t by_state[ARRAY_SIZE(states)] = {0};
	size_t running_pods = 0;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(kubelet->pods, &cursor));) {
		running_pods += has_sandbox(pod);
		for (size_t index = 0; index < pod->container_count; index++)
			by_state[pod->containers[index]->state]++;
	}
	metric_set(metric_get(metrics, &running_pods_family, NULL), (double)running_pods);
	for (size_t state = 0; state < ARRAY_SIZE(states); state++)
		if (states[state])
			metric_set(metric_get(metrics, &running_containers_family, &states[state]),
			           (double)by_state[state]);
	metric_set(metric_get(metrics, &node_name_family, &kubelet->node_name), 1);
}

void server_handle_metrics(struct server_request *request)
{
	struct metrics_registry *metrics = request->server->metrics;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	if (metrics) {
		refresh_metrics(metrics, request->kubelet);
		metrics_write(metrics, &text);
	}
	server_respond_text(request->exchange, 200, "text/plain; version=0.0.4; charset=utf-8", strbuf_text(&text),
	                    text.length);
}

void server_handle_configz(struct server_request *request)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	struct json *answer = json_object(request->arena);
	json_set(request->arena, answer, "kubeletconfig",
	         kubelet_config_to_json(request->arena, request->kubelet->config));
	json_write(&text, answer);
	server_respond_text(request->exchange, 200, "application/json", strbuf_text(&text), text.length);
}

// --- pods ----------------------------------------------------------------------------

// The object with the status that the kubelet would report now.
static struct json *whole_pod(struct arena *arena, const struct pod *pod)
{
	struct loop *loop = pod->kubelet->loop;
	struct json *value = view_to_json(arena, pod->object->resource->type, pod->view);
	struct json *status = pod_status_build(arena, pod, pod->status, loop_realtime_ns(loop), loop_now_ns(loop));
	struct json *addresses = json_get(status, "podIPs");
	if (addresses && addresses->length && json_get(addresses->items[0], "$patch"))
		json_remove_at(addresses, 0); // it is made as a patch
	json_set(arena, value, "status", status);
	return value;
}

// As upstream's: names, uid, and the containers that run.
static struct json *running_pod(struct arena *arena, const struct pod *pod)
{
	struct json *value = json_object(arena);
	struct json *metadata = json_ensure_object(arena, value, "metadata");
	json_set_text(arena, metadata, "name", pod->name);
	json_set_text(arena, metadata, "namespace", pod->namespace_name);
	json_set_text(arena, metadata, "uid", pod->uid);
	struct json *containers = json_ensure_array(arena, json_ensure_object(arena, value, "spec"), "containers");
	for (size_t index = 0; index < pod->container_count; index++) {
		const struct pod_container *container = pod->containers[index];
		if (container->state != CONTAINER_RUNNING)
			continue;
		struct json *item = json_object(arena);
		json_set_text(arena, item, "name", container->name);
		json_set_text(arena, item, "image",
		              container->run.image ? container->run.image : container->spec->image);
		json_set(arena, item, "resources", json_object(arena));
		json_append(arena, containers, item);
	}
	json_set(arena, value, "status", json_object(arena));
	return value;
}

static void respond_list(struct server_request *request, bool (*wanted)(const struct pod *pod),
                         struct json *(*make)(struct arena *arena, const struct pod *pod))
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	const char *separator = "";
	strbuf_append_text(&text, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	for (struct pod *pod; (pod = pod_manager_next(request->kubelet->pods, &cursor));) {
		if (!wanted(pod))
			continue;
		AUTO(arena_free) struct arena *arena = arena_new(0);
		strbuf_append_text(&text, separator);
		json_write(&text, make(arena, pod));
		separator = ",";
	}
	strbuf_append_text(&text, "]}\n");
	if (text.overflowed)
		server_respond_error(request->exchange, 500, "the list of pods is too large\n");
	else
		server_respond_text(request->exchange, 200, "application/json", strbuf_text(&text), text.length);
}

static bool is_known(const struct pod *pod)
{
	return !pod->gone;
}

void server_handle_pods(struct server_request *request)
{
	respond_list(request, is_known, whole_pod);
}

void server_handle_running_pods(struct server_request *request)
{
	respond_list(request, has_sandbox, running_pod);
}
