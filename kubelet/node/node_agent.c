// SPDX-License-Identifier: Apache-2.0
// The node in the API.
//
//   register: POST the Node; it exists: GET, then PATCH its labels
//   status:   looked at every 10 s (every second while the node isn't ready, and at
//             once when woken); sent when something but the heartbeat has changed, or
//             after five minutes
//   lease:    renewed every 10 s by PATCH, made by POST when it is missing; tried again
//             after a second when that fails
//
// The lease has its own timer and call, so that nothing else can delay it.

#include "kubelet/node/node_agent.h"

#include <stdio.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/event_recorder.h"
#include "common/client/rest.h"
#include "common/io/loop.h"
#include "kubelet/node/node_status.h"

#define RETRY_NS (1 * NSEC_PER_SEC)
#define LEASE_PERIOD_NS (10 * NSEC_PER_SEC)
#define IMAGES_PERIOD_NS (300 * NSEC_PER_SEC)

enum { MAX_BODY_BYTES = 4 << 20 };

struct node_agent {
	struct kubelet *kubelet;
	char *uid; // NULL: not registered
	struct loop_timer status_timer;
	struct loop_timer lease_timer;
	struct rest_call *call; // registration or status
	struct rest_call *lease_call;
	bool lease_missing;
	bool was_ready;
	bool again;     // woken while a call was under way
	char *compared; // the status sent last, without heartbeat
	char *comparing;
	struct arena *sent_arena;
	struct json *sent;
	int64_t sent_at_ns;
	struct node_image *images;
	size_t image_count;
	int64_t images_at_ns;
	bool listing;
};

static void on_status_timer(struct loop_timer *timer);

static void schedule(struct node_agent *agent, int64_t delay_ns)
{
	loop_timer_start(agent->kubelet->loop, &agent->status_timer, delay_ns, on_status_timer);
}

void node_agent_wake(struct node_agent *agent)
{
	if (!agent)
		return;
	agent->again = agent->call != NULL;
	if (!agent->call)
		schedule(agent, 0);
}

const char *node_agent_uid(const struct node_agent *agent)
{
	return agent ? agent->uid : NULL;
}

// --- images ------------------------------------------------------------------------------------

static void free_images(struct node_agent *agent)
{
	for (size_t index = 0; index < agent->image_count; index++) {
		free(agent->images[index].reference);
		free(agent->images[index].digest);
	}
	free(TAKE(agent->images));
	agent->image_count = 0;
}

static void on_images(void *context, const struct runtime_image_info *images, size_t count, const struct err *err)
{
	struct node_agent *agent = context;
	agent->listing = false;
	agent->images_at_ns = loop_now_ns(agent->kubelet->loop);
	if (err)
		return;
	free_images(agent);
	agent->images = xcalloc(count + 1, sizeof(*agent->images));
	agent->image_count = count;
	for (size_t index = 0; index < count; index++)
		agent->images[index] = (struct node_image){.reference = xstrdup(images[index].reference),
		                                           .digest = xstrdup(images[index].digest),
		                                           .size_bytes = images[index].size_bytes};
}

static void refresh_images(struct node_agent *agent, bool ready)
{
	struct runtime *runtime = agent->kubelet->runtime;
	bool old = !agent->images_at_ns || loop_now_ns(agent->kubelet->loop) - agent->images_at_ns > IMAGES_PERIOD_NS;
	if (!ready || !old || agent->listing)
		return;
	agent->listing = true;
	runtime->operations->image_list(runtime, on_images, agent);
}

// --- what there is to say ------------------------------------------------------------------------

static void fill_view(struct node_agent *agent, struct arena *arena, struct node_view *view)
{
	struct kubelet *kubelet = agent->kubelet;
	const char *trouble = NULL;
	struct json *list;
	struct err err = ERR_INIT;
	bool ready = kubelet->runtime->operations->is_ready(kubelet->runtime, &trouble);
	if (ready && cni_load(arena, kubelet->cni.config_directory, &list, &err) < 0)
		trouble = arena_strdup(arena, err.message);
	else if (ready)
		trouble = NULL;
	else
		trouble = arena_printf(arena, "container runtime is down: %s", trouble);
	refresh_images(agent, ready);
	*view = (struct node_view){
	        .kubelet = kubelet,
	        .facts = node_facts_read(arena, kubelet->config->root_directory),
	        .runtime_version = kubelet->runtime->operations->version(kubelet->runtime),
	        .trouble = trouble,
	        .images = agent->images,
	        .image_count = agent->image_count,
	        .previous = agent->sent,
	        .now_ns = loop_realtime_ns(kubelet->loop),
	};
}

static void note_readiness(struct node_agent *agent, const struct node_view *view)
{
	bool ready = !view->trouble;
	if (ready == agent->was_ready)
		return;
	agent->was_ready = ready;
	const struct event_target target = {.api_version = "v1",
	                                    .kind = "Node",
	                                    .namespace_name = "",
	                                    .name = agent->kubelet->node_name,
	                                    .uid = agent->kubelet->node_name};
	log_info("Node readiness changed", kv_bool("ready", ready), kv_str("why", ready ? "" : view->trouble));
	event_record(agent->kubelet->events, &target, "Normal", ready ? "NodeReady" : "NodeNotReady",
	             "Node %s status is now: %s", agent->kubelet->node_name, ready ? "NodeReady" : "NodeNotReady");
}

static char *text_of(const struct json *value)
{
	struct strbuf text = STRBUF_INIT(MAX_BODY_BYTES);
	json_write(&text, value);
	return strbuf_take(&text, NULL);
}

static void finish_call(struct node_agent *agent, int64_t delay_ns)
{
	agent->call = NULL;
	schedule(agent, agent->again ? 0 : delay_ns);
	agent->again = false;
}

static int64_t period_ns(const struct node_agent *agent)
{
	return agent->was_ready ? agent->kubelet->config->node_status_update_ns : RETRY_NS;
}

// --- registration ---------------------------------------------------------------------------------

static const struct schema_resource *nodes(void)
{
	return schema_find_resource("", "v1", "nodes");
}

static void on_registered(void *context, const struct rest_response *response)
{
	struct node_agent *agent = context;
	const char *uid = response->err.code == ERR_NONE ? object_uid(response->object) : NULL;
	if (!uid) {
		log_warning("Could not register the node", kv_str("node", agent->kubelet->node_name),
		            kv_err(&response->err));
		finish_call(agent, RETRY_NS);
		return;
	}
	free(agent->uid);
	agent->uid = xstrdup(uid);
	log_info("Node is registered", kv_str("node", agent->kubelet->node_name));
	finish_call(agent, 0);
}

// It exists: our labels are put on it, the rest stays.
static void patch_labels(struct node_agent *agent)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct node_view view;
	fill_view(agent, arena, &view);
	struct json *node = node_object_build(arena, &view, "");
	struct json *patch = json_object(arena);
	json_set(arena, json_ensure_object(arena, patch, "metadata"), "labels", json_path(node, "metadata", "labels"));
	AUTO_FREE char *body = text_of(patch);
	struct rest_request request = {
	        .method = "PATCH",
	        .resource = nodes(),
	        .name = agent->kubelet->node_name,
	        .body_type = REST_STRATEGIC_MERGE_PATCH,
	        .body = body,
	        .body_length = strlen(body),
	};
	agent->call = rest_start(agent->kubelet->client, &request, on_registered, agent);
}

static void on_posted(void *context, const struct rest_response *response)
{
	struct node_agent *agent = context;
	if (response->err.code == ERR_ALREADY_EXISTS)
		patch_labels(agent);
	else
		on_registered(agent, response);
}

static void register_node(struct node_agent *agent, struct arena *arena, const struct node_view *view)
{
	char now[API_TIME_BYTES];
	api_time_format(view->now_ns, now);
	AUTO_FREE char *body = text_of(node_object_build(arena, view, now));
	struct rest_request request = {
	        .method = "POST", .resource = nodes(), .body = body, .body_length = strlen(body)};
	if (!agent->kubelet->config->register_node)
		request =
		        (struct rest_request){.method = "GET", .resource = nodes(), .name = agent->kubelet->node_name};
	agent->call = rest_start(agent->kubelet->client, &request, on_posted, agent);
}

// --- status ------------------------------------------------------------------------------------------

static void on_status_sent(void *context, const struct rest_response *response)
{
	struct node_agent *agent = context;
	if (response->err.code == ERR_NONE) {
		free(agent->compared);
		agent->compared = TAKE(agent->comparing);
		agent->sent_at_ns = loop_now_ns(agent->kubelet->loop);
		finish_call(agent, period_ns(agent));
		return;
	}
	log_warning("Could not update the node's status", kv_err(&response->err));
	free(TAKE(agent->comparing));
	if (response->err.code == ERR_NOT_FOUND)
		free(TAKE(agent->uid)); // somebody deleted the node: it registers again
	finish_call(agent, RETRY_NS);
}

static void send_status(struct node_agent *agent, const struct node_view *view)
{
	struct arena *arena = arena_new(0);
	char now[API_TIME_BYTES];
	api_time_format(view->now_ns, now);
	AUTO_FREE char *compared = text_of(node_status_build(arena, view, ""));
	int64_t age_ns = loop_now_ns(agent->kubelet->loop) - agent->sent_at_ns;
	if (agent->compared && !strcmp(compared, agent->compared) &&
	    age_ns < agent->kubelet->config->node_status_report_ns) {
		arena_free(arena);
		schedule(agent, period_ns(agent));
		return;
	}
	struct json *status = node_status_build(arena, view, now);
	struct json *patch = json_object(arena);
	json_set(arena, patch, "status", status);
	AUTO_FREE char *body = text_of(patch);
	arena_free(agent->sent_arena);
	agent->sent_arena = arena;
	agent->sent = status;
	agent->comparing = TAKE(compared);
	struct rest_request request = {
	        .method = "PATCH",
	        .resource = nodes(),
	        .name = agent->kubelet->node_name,
	        .subresource = "status",
	        .body_type = REST_STRATEGIC_MERGE_PATCH,
	        .body = body,
	        .body_length = strlen(body),
	};
	agent->call = rest_start(agent->kubelet->client, &request, on_status_sent, agent);
}

static void on_status_timer(struct loop_timer *timer)
{
	struct node_agent *agent = container_of(timer, struct node_agent, status_timer);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct node_view view;
	if (agent->call) {
		agent->again = true;
		return;
	}
	fill_view(agent, arena, &view);
	note_readiness(agent, &view);
	if (agent->uid)
		send_status(agent, &view);
	else
		register_node(agent, arena, &view);
}

// --- the lease ------------------------------------------------------------------------------------------

static void on_lease_timer(struct loop_timer *timer);

static void on_lease(void *context, const struct rest_response *response)
{
	struct node_agent *agent = context;
	agent->lease_call = NULL;
	bool was_missing = agent->lease_missing;
	agent->lease_missing = response->err.code == ERR_NOT_FOUND;
	int64_t delay_ns = LEASE_PERIOD_NS;
	if (response->err.code != ERR_NONE) {
		delay_ns = agent->lease_missing && !was_missing ? 0 : RETRY_NS;
		if (delay_ns)
			log_warning("Could not renew the node's lease", kv_err(&response->err));
	}
	loop_timer_start(agent->kubelet->loop, &agent->lease_timer, delay_ns, on_lease_timer);
}

static void on_lease_timer(struct loop_timer *timer)
{
	struct node_agent *agent = container_of(timer, struct node_agent, lease_timer);
	const char *name = agent->kubelet->node_name;
	if (!agent->uid) {
		loop_timer_start(agent->kubelet->loop, timer, RETRY_NS / 4, on_lease_timer);
		return;
	}
	char now[API_TIME_BYTES];
	api_micro_time_format(loop_realtime_ns(agent->kubelet->loop), now);
	AUTO_FREE char *spec =
	        xasprintf("\"spec\":{\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":%lld,\"renewTime\":\"%s\"}",
	                  name, (long long)agent->kubelet->config->lease_duration_seconds, now);
	AUTO_FREE char *body = agent->lease_missing ? xasprintf("{\"apiVersion\":\"coordination.k8s.io/"
	                                                        "v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"%s\","
	                                                        "\"namespace\":\"kube-node-lease\",\"ownerReferences\":"
	                                                        "[{\"apiVersion\":\"v1\",\"kind\":"
	                                                        "\"Node\",\"name\":\"%s\",\"uid\":\"%s\"}]},%s}",
	                                                        name, name, agent->uid, spec)
	                                            : xasprintf("{%s}", spec);
	struct rest_request request = {
	        .method = agent->lease_missing ? "POST" : "PATCH",
	        .resource = schema_find_resource("coordination.k8s.io", "v1", "leases"),
	        .namespace_name = "kube-node-lease",
	        .name = agent->lease_missing ? NULL : name,
	        .body_type = agent->lease_missing ? REST_JSON : REST_MERGE_PATCH,
	        .body = body,
	        .body_length = strlen(body),
	        .timeout_ns = LEASE_PERIOD_NS,
	};
	agent->lease_call = rest_start(agent->kubelet->client, &request, on_lease, agent);
}

struct node_agent *node_agent_new(struct kubelet *kubelet)
{
	struct node_agent *agent = NEW(struct node_agent);
	*agent = (struct node_agent){.kubelet = kubelet};
	schedule(agent, 0);
	loop_timer_start(kubelet->loop, &agent->lease_timer, 0, on_lease_timer);
	return agent;
}

struct node_agent *node_agent_free(struct node_agent *agent)
{
	if (!agent)
		return NULL;
	loop_timer_stop(&agent->status_timer);
	loop_timer_stop(&agent->lease_timer);
	if (agent->call)
		rest_cancel(agent->call);
	if (agent->lease_call)
		rest_cancel(agent->lease_call);
	free_images(agent);
	arena_free(agent->sent_arena);
	free(agent->uid);
	free(agent->compared);
	free(agent->comparing);
	free(agent);
	return NULL;
}
