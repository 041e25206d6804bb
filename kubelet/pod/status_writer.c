// SPDX-License-Identifier: Apache-2.0
// One call a pod at a time; what changes meanwhile is sent when it has been answered.
// Statuses are patches of the status subresource with the uid as a precondition, so
// that a pod of the same name that came later is never written to, and what others
// put into the status (the scheduler's conditions, readiness gates) stays.

#include "kubelet/pod/status_writer.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod_status.h"

#define FIRST_RETRY_NS (200 * NSEC_PER_MSEC)
#define MAX_RETRY_NS (10 * NSEC_PER_SEC)

enum { MAX_STATUS_BYTES = 4 << 20 };

static void send_status(struct pod *pod);

static void compute(struct pod *pod)
{
	struct arena *arena = arena_new(0);
	struct json *status = pod_status_build(arena, pod, pod->status, loop_realtime_ns(pod->kubelet->loop),
	                                       loop_now_ns(pod->kubelet->loop));
	arena_free(pod->status_arena);
	pod->status_arena = arena;
	pod->status = status;
}

// The uid of the object that shows the pod in the API; NULL: there is none.
static const char *api_uid(const struct pod *pod)
{
	return pod->origin == POD_FROM_FILE ? pod->mirror_uid : pod->uid;
}

static char *status_text(const struct pod *pod)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_STATUS_BYTES);
	strbuf_printf(&text, "{\"metadata\":{\"uid\":\"%s\"},\"status\":", api_uid(pod));
	json_write(&text, pod->status);
	strbuf_append_char(&text, '}');
	return strbuf_take(&text, NULL);
}

static void on_status_timer(struct loop_timer *timer)
{
	send_status(container_of(timer, struct pod, status_timer));
}

static void retry_later(struct pod *pod, const struct err *err)
{
	pod->status_delay_ns = pod->status_delay_ns ? pod->status_delay_ns * 2 : FIRST_RETRY_NS;
	if (pod->status_delay_ns > MAX_RETRY_NS)
		pod->status_delay_ns = MAX_RETRY_NS;
	log_warning("Could not write a pod's status", kv_obj("pod", pod->namespace_name, pod->name), kv_err(err));
	loop_timer_start(pod->kubelet->loop, &pod->status_timer, pod->status_delay_ns, on_status_timer);
}

// --- removal of the object ---------------------------------------------------------------------

static void on_deleted(void *context, const struct rest_response *response)
{
	struct pod *pod = context;
	pod->delete_call = NULL;
	enum err_code code = response->err.code;
	if (code == ERR_NONE || code == ERR_NOT_FOUND || code == ERR_CONFLICT) {
		pod->deleting = true; // the informer will tell that it is gone
		return;
	}
	retry_later(pod, &response->err);
}

static void delete_object(struct pod *pod)
{
	char body[256];
	snprintf(body, sizeof(body),
	         "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,"
	         "\"preconditions\":{\"uid\":\"%s\"}}",
	         pod->uid);
	struct rest_request request = {
	        .method = "DELETE",
	        .resource = schema_find_resource("", "v1", "pods"),
	        .namespace_name = pod->namespace_name,
	        .name = pod->name,
	        .body = body,
	        .body_length = strlen(body),
	};
	pod->delete_call = rest_start(pod->kubelet->client, &request, on_deleted, pod);
}

// --- status ---------------------------------------------------------------------------------------

static void on_written(void *context, const struct rest_response *response)
{
	struct pod *pod = context;
	enum err_code code = response->err.code;
	pod->status_call = NULL;
	// Gone, or another pod of that name: nothing more to be told.
	bool settled = code == ERR_NONE || code == ERR_NOT_FOUND || code == ERR_CONFLICT;
	if (settled) {
		free(pod->sent_status);
		pod->sent_status = TAKE(pod->sending_status);
		pod->status_delay_ns = 0;
		log_v(3, "Pod status updated", kv_obj("pod", pod->namespace_name, pod->name));
		send_status(pod);
		return;
	}
	free(TAKE(pod->sending_status));
	retry_later(pod, &response->err);
}

static bool is_busy(const struct pod *pod)
{
	return pod->status_call || pod->delete_call || pod->status_timer.loop;
}

static void start_status_call(struct pod *pod, char *text)
{
	struct rest_request request = {
	        .method = "PATCH",
	        .resource = schema_find_resource("", "v1", "pods"),
	        .namespace_name = pod->namespace_name,
	        .name = pod->name,
	        .subresource = "status",
	        .body_type = REST_STRATEGIC_MERGE_PATCH,
	        .body = text,
	        .body_length = strlen(text),
	};
	pod->sending_status = text;
	pod->status_call = rest_start(pod->kubelet->client, &request, on_written, pod);
}

static void send_status(struct pod *pod)
{
	if (is_busy(pod) || !pod->kubelet->client || !api_uid(pod))
		return;
	if (!pod->frozen && pod->status) {
		AUTO_FREE char *text = status_text(pod);
		if (!pod->sent_status || strcmp(text, pod->sent_status)) {
			start_status_call(pod, TAKE(text));
			return;
		}
	}
	bool last = pod->finished && !pod->deleting && !pod->orphaned && pod->origin == POD_FROM_API &&
	            pod->view->metadata.deletion_timestamp;
	if (last)
		delete_object(pod);
}

void status_writer_update(struct pod *pod)
{
	compute(pod);
	send_status(pod);
}

void status_writer_stop(struct pod *pod)
{
	loop_timer_stop(&pod->status_timer);
	if (pod->status_call)
		rest_cancel(TAKE(pod->status_call));
	if (pod->delete_call)
		rest_cancel(TAKE(pod->delete_call));
	free(TAKE(pod->sending_status));
}
