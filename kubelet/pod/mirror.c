// SPDX-License-Identifier: Apache-2.0
// One comparison of static pods with the API's mirror pods of this node, run after
// every change and every ten seconds. At most one call a name is under way; its answer
// leads to the next comparison.

#include "kubelet/pod/mirror.h"

#include <stdio.h>
#include <string.h>

#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/node_agent.h"
#include "kubelet/pod/pod_manager.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"
#define HASH_ANNOTATION "kubernetes.io/config.hash"
#define PERIOD_NS (10 * NSEC_PER_SEC)
#define SOON_NS (50 * NSEC_PER_MSEC)

enum { MAX_BODY_BYTES = 2 << 20 };

struct mirror {
	struct kubelet *kubelet;
	struct loop_timer timer;
	struct hashmap *calls; // "namespace/name" → struct mirror_call
};

struct mirror_call {
	struct mirror *mirror;
	struct rest_call *call;
	char *key;
};

static void compare(struct mirror *mirror);

static void on_timer(struct loop_timer *timer)
{
	struct mirror *mirror = container_of(timer, struct mirror, timer);
	loop_timer_start(mirror->kubelet->loop, &mirror->timer, PERIOD_NS, on_timer);
	compare(mirror);
}

static void call_free(void *value)
{
	struct mirror_call *call = value;
	if (call->call)
		rest_cancel(call->call);
	free(call->key);
	free(call);
}

struct mirror *mirror_new(struct kubelet *kubelet)
{
	struct mirror *mirror = NEW(struct mirror);
	*mirror = (struct mirror){.kubelet = kubelet, .calls = hashmap_new(call_free)};
	loop_timer_start(kubelet->loop, &mirror->timer, PERIOD_NS, on_timer);
	return mirror;
}

struct mirror *mirror_free(struct mirror *mirror)
{
	if (!mirror)
		return NULL;
	loop_timer_stop(&mirror->timer);
	hashmap_free(mirror->calls);
	free(mirror);
	return NULL;
}

void mirror_wake(struct mirror *mirror)
{
	if (mirror)
		loop_timer_start(mirror->kubelet->loop, &mirror->timer, SOON_NS, on_timer);
}

static void on_answer(void *context, const struct rest_response *response)
{
	struct mirror_call *call = context;
	struct mirror *mirror = call->mirror;
	bool failed = response->err.code != ERR_NONE && response->err.code != ERR_NOT_FOUND;
	if (failed)
		log_warning("Could not write a mirror pod", kv_str("pod", call->key), kv_err(&response->err));
	call->call = NULL;
	hashmap_remove(mirror->calls, call->key);
	if (!failed)
		mirror_wake(mirror);
}

static void start_call(struct mirror *mirror, const char *key, const struct rest_request *request)
{
	struct mirror_call *call = NEW(struct mirror_call);
	*call = (struct mirror_call){.mirror = mirror, .key = xstrdup(key)};
	hashmap_put(mirror->calls, key, call);
	call->call = rest_start(mirror->kubelet->client, request, on_answer, call);
}

static void remove_mirror(struct mirror *mirror, const struct api_object *object)
{
	char body[256];
	snprintf(body, sizeof(body),
	         "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,"
	         "\"preconditions\":{\"uid\":\"%s\"}}",
	         object->uid);
	struct rest_request request = {
	        .method = "DELETE",
	        .resource = object->resource,
	        .namespace_name = object->namespace_name,
	        .name = object->name,
	        .body = body,
	        .body_length = strlen(body),
	};
	start_call(mirror, object->key, &request);
}

static void set_owner(struct arena *arena, struct json *metadata, struct kubelet *kubelet)
{
	const char *uid = node_agent_uid(kubelet->node);
	if (!uid)
		return;
	struct json *owner = json_object(arena);
	json_set_text(arena, owner, "apiVersion", "v1");
	json_set_text(arena, owner, "kind", "Node");
	json_set_text(arena, owner, "name", kubelet->node_name);
	json_set_text(arena, owner, "uid", uid);
	json_set_bool(arena, owner, "controller", true);
	struct json *owners = json_array(arena);
	json_append(arena, owners, owner);
	json_set(arena, metadata, "ownerReferences", owners);
}

static void make_mirror(struct mirror *mirror, const struct pod *pod)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	if (!node_agent_uid(mirror->kubelet->node))
		return; // the node isn't registered yet
	struct json *body = view_to_json(arena, pod->object->resource->type, pod->view);
	struct json *metadata = json_ensure_object(arena, body, "metadata");
	json_set_text(arena, body, "apiVersion", "v1");
	json_set_text(arena, body, "kind", "Pod");
	json_remove(metadata, "uid");
	json_remove(body, "status");
	const char *hash = string_map_get(&pod->view->metadata.annotations, HASH_ANNOTATION);
	json_set_text(arena, json_ensure_object(arena, metadata, "annotations"), MIRROR_ANNOTATION, hash);
	set_owner(arena, metadata, mirror->kubelet);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_BODY_BYTES);
	json_write(&text, body);
	struct rest_request request = {
	        .method = "POST",
	        .resource = pod->object->resource,
	        .namespace_name = pod->namespace_name,
	        .body = strbuf_text(&text),
	        .body_length = text.length,
	};
	start_call(mirror, pod->object->key, &request);
}

static void compare_pod(struct mirror *mirror, struct pod *pod)
{
	struct api_object *present = informer_get(mirror->kubelet->api_pods, pod->namespace_name, pod->name);
	const char *hash = string_map_get(&pod->view->metadata.annotations, HASH_ANNOTATION);
	const struct meta_v1_object_meta *metadata = present ? api_object_metadata(present) : NULL;
	const char *mirrored = present ? string_map_get(&metadata->annotations, MIRROR_ANNOTATION) : NULL;
	bool current = present && !metadata->deletion_timestamp && mirrored && hash && !strcmp(mirrored, hash);
	if (current && (!pod->mirror_uid || strcmp(pod->mirror_uid, present->uid))) {
		free(pod->mirror_uid);
		pod->mirror_uid = xstrdup(present->uid);
		free(TAKE(pod->sent_status));
		pod_wake(pod);
	}
	if (current || hashmap_get(mirror->calls, pod->object->key))
		return;
	free(TAKE(pod->mirror_uid));
	if (present)
		remove_mirror(mirror, present);
	else
		make_mirror(mirror, pod);
}

static bool has_static(struct mirror *mirror, const struct api_object *object)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(mirror->kubelet->pods, &cursor));)
		if (pod->origin == POD_FROM_FILE && !strcmp(pod->object->key, object->key))
			return true;
	return false;
}

static void compare(struct mirror *mirror)
{
	struct informer *informer = mirror->kubelet->api_pods;
	if (!informer_has_synced(informer) || !pod_manager_is_open(mirror->kubelet->pods))
		return;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(mirror->kubelet->pods, &cursor));)
		if (pod->origin == POD_FROM_FILE && !pod->orphaned)
			compare_pod(mirror, pod);
	size_t position = 0;
	for (struct api_object *object; (object = informer_next(informer, &position));) {
		bool mirrored = string_map_get(&api_object_metadata(object)->annotations, MIRROR_ANNOTATION) != NULL;
		if (mirrored && !has_static(mirror, object) && !hashmap_get(mirror->calls, object->key))
			remove_mirror(mirror, object);
	}
}
