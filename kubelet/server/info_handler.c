// SPDX-License-Identifier: Apache-2.0
// /pods and /runningpods: the pods as this node sees them.

#include <string.h>

#include "common/api/view.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/pod/pod_status.h"
#include "kubelet/server/server_internal.h"

enum { MAX_ANSWER_BYTES = 64 << 20 };

static void respond_list(struct server_request *request, bool running_only)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	strbuf_append_text(&text, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	bool first = true;
	for (struct pod *pod; (pod = pod_manager_next(request->kubelet->pods, &cursor));) {
		if (pod->gone || (running_only && pod->sandbox.state != PART_READY))
			continue;
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct json *value = view_to_json(arena, pod->object->resource->type, pod->view);
		struct json *status = pod_status_build(arena, pod, pod->status, loop_realtime_ns(request->kubelet->loop),
						       loop_now_ns(request->kubelet->loop));
		struct json *addresses = json_get(status, "podIPs");
		if (addresses && addresses->length)
			json_remove_at(addresses, 0); // the patch's directive
		json_set(arena, value, "status", status);
		strbuf_append_text(&text, first ? "" : ",");
		json_write(&text, value);
		first = false;
	}
	strbuf_append_text(&text, "]}\n");
	server_respond_text(request->exchange, 200, "application/json", strbuf_text(&text), text.length);
}

void server_handle_pods(struct server_request *request)
{
	respond_list(request, false);
}

void server_handle_running_pods(struct server_request *request)
{
	respond_list(request, true);
}

struct pod_container *server_find_container(struct server_request *request)
{
	if (request->part_count != 4 && request->part_count != 5) {
		server_respond_error(request->exchange, 404, "404 page not found\n");
		return NULL;
	}
	const char *uid = request->part_count == 5 ? request->parts[3] : NULL;
	const char *name = request->parts[request->part_count - 1];
	struct pod *pod = pod_manager_find(request->kubelet->pods, request->parts[1], request->parts[2], uid);
	if (!pod) {
		server_respond_error(request->exchange, 404, "pod \"%s\" does not exist\n", request->parts[2]);
		return NULL;
	}
	struct pod_container *container = pod_find_container(pod, name);
	if (!container)
		server_respond_error(request->exchange, 404, "container \"%s\" not found in pod \"%s\"\n", name,
				     request->parts[2]);
	return container;
}
