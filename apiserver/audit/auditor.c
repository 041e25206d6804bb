// SPDX-License-Identifier: Apache-2.0
// Events are made on the request's loop, from memory alone, and queued; a thread with
// a loop of its own takes the whole queue at once, appends it to the log and keeps
// batches for the webhook. No request waits for a disk or another server: when the
// queue holds more than it may, events are dropped, and a metric says so.

#include "apiserver/audit/auditor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/audit/audit_event.h"
#include "apiserver/audit/audit_file.h"
#include "apiserver/audit/audit_webhook.h"
#include "apiserver/request.h"
#include "apiserver/server.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"

enum {
	QUEUE_MAX_BYTES = 64 << 20,
	EVENT_MAX_BYTES = 16 << 20,
};

struct auditor {
	struct audit_policy *policy;
	struct audit_file *file;       // NULL = no log
	struct audit_webhook *webhook; // NULL = none
	struct metrics_registry *metrics;
	struct loop *loop;
	pthread_t thread;
	bool is_running;

	pthread_mutex_t mutex; // of the next two
	struct strbuf queue;   // lines
	bool is_posted;        // the task below is on its way
	struct loop_task task;
	struct loop_task quit;
	bool has_complained; // of the log, on the thread
};

static const struct metric_family events_family = {"apiserver_audit_event_total",
                                                   "Counter of audit events generated and sent to the audit backend.",
                                                   METRIC_COUNTER, NULL, NULL};
static const char *const plugin_labels[] = {"plugin", NULL};
static const struct metric_family errors_family = {"apiserver_audit_error_total",
                                                   "Counter of audit events that failed to be audited properly. Plugin "
                                                   "identifies the plugin affected by the error.",
                                                   METRIC_COUNTER, plugin_labels, NULL};

void auditor_count_errors(struct metrics_registry *metrics, const char *plugin, size_t count)
{
	metric_add(metric_get(metrics, &errors_family, (const char *[]){plugin}), (double)count);
}

// --- the thread -------------------------------------------------------------------------------

static void write_log(struct auditor *auditor, const char *data, size_t length)
{
	struct err err = ERR_INIT;

	if (audit_file_write(auditor->file, data, length, &err) == 0) {
		auditor->has_complained = false;
		return;
	}
	auditor_count_errors(auditor->metrics, "log", 1);
	if (!auditor->has_complained)
		log_error("Cannot write the audit log", kv_err(&err));
	auditor->has_complained = true;
}

static void on_queued(struct loop_task *task)
{
	struct auditor *auditor = container_of(task, struct auditor, task);
	AUTO_FREE char *data = NULL;
	size_t length = 0;

	pthread_mutex_lock(&auditor->mutex);
	auditor->is_posted = false;
	data = strbuf_take(&auditor->queue, &length);
	pthread_mutex_unlock(&auditor->mutex);
	if (!length)
		return;
	if (auditor->file)
		write_log(auditor, data, length);
	if (auditor->webhook)
		audit_webhook_add(auditor->webhook, data, length);
}

static void on_quit(struct loop_task *task)
{
	struct auditor *auditor = container_of(task, struct auditor, quit);

	on_queued(&auditor->task);
	auditor->webhook = audit_webhook_free(auditor->webhook);
	loop_quit(auditor->loop, 0);
}

static void *run(void *context)
{
	struct auditor *auditor = context;

	loop_run(auditor->loop);
	return NULL;
}

// --- start and end ------------------------------------------------------------------------------

static int open_backends(struct auditor *auditor, const struct auditor_config *config, struct err *err)
{
	struct audit_file_config file = {
	        .path = config->log_path,
	        .max_bytes = (config->log_max_size_mb > 0 ? config->log_max_size_mb : 100) << 20,
	        .max_age_days = config->log_max_age_days,
	        .max_backups = config->log_max_backups,
	};
	int r = loop_new(&clock_system, &auditor->loop, err);

	if (r == 0)
		r = audit_policy_load(config->policy_file, &auditor->policy, err);
	if (r == 0 && config->log_path[0])
		r = audit_file_open(&file, &auditor->file, err);
	if (r == 0 && config->webhook_config_file[0])
		r = audit_webhook_new(auditor->loop, config, auditor->metrics, &auditor->webhook, err);
	return r;
}

int auditor_new(const struct auditor_config *config, struct metrics_registry *metrics, struct auditor **ret_auditor,
                struct err *err)
{
	struct auditor *auditor;

	*ret_auditor = NULL;
	if (!config->policy_file[0] || (!config->log_path[0] && !config->webhook_config_file[0]))
		return 0;
	auditor = NEW(struct auditor);
	auditor->metrics = metrics;
	auditor->queue = STRBUF_INIT(QUEUE_MAX_BYTES);
	pthread_mutex_init(&auditor->mutex, NULL);
	if (open_backends(auditor, config, err) < 0) {
		auditor_free(auditor);
		return -(int)err->code;
	}
	auditor->is_running = pthread_create(&auditor->thread, NULL, run, auditor) == 0;
	if (!auditor->is_running) {
		auditor_free(auditor);
		return err_set(err, ERR_INTERNAL, "cannot start the audit thread");
	}
	*ret_auditor = auditor;
	return 0;
}

struct auditor *auditor_free(struct auditor *auditor)
{
	if (!auditor)
		return NULL;
	if (auditor->is_running) {
		loop_post(auditor->loop, &auditor->quit, on_quit);
		pthread_join(auditor->thread, NULL);
	}
	audit_webhook_free(auditor->webhook);
	audit_file_close(auditor->file);
	loop_free(auditor->loop);
	audit_policy_free(auditor->policy);
	strbuf_done(&auditor->queue);
	pthread_mutex_destroy(&auditor->mutex);
	free(auditor);
	return NULL;
}

// --- events -----------------------------------------------------------------------------------

static void enqueue(struct auditor *auditor, const struct strbuf *event)
{
	bool post = false, dropped;

	pthread_mutex_lock(&auditor->mutex);
	dropped = event->overflowed || auditor->queue.length + event->length + 1 > QUEUE_MAX_BYTES;
	if (!dropped) {
		strbuf_append(&auditor->queue, event->data, event->length);
		strbuf_append_char(&auditor->queue, '\n');
		post = !auditor->is_posted;
		auditor->is_posted = true;
	}
	pthread_mutex_unlock(&auditor->mutex);
	if (post)
		loop_post(auditor->loop, &auditor->task, on_queued);
	if (dropped)
		auditor_count_errors(auditor->metrics, "buffered", 1);
	else
		metric_add(metric_get(auditor->metrics, &events_family, NULL), 1);
}

static void emit(struct request *request, enum audit_stage stage, int code)
{
	AUTO_STRBUF struct strbuf event = STRBUF_INIT(EVENT_MAX_BYTES);

	if (!request->audit || request->audit->verdict.omitted_stages & 1u << stage)
		return;
	audit_event_write(request, stage, code, &event);
	enqueue(request->server->auditor, &event);
}

void auditor_received(struct request *request)
{
	const struct route *route = &request->route;
	struct audit_attributes attributes = {
	        .user = request->impersonator ? request->impersonator : &request->user,
	        .verb = route->verb,
	        .is_resource = route->is_resource,
	        .path = route->path,
	        .group = route->group ? route->group : "",
	        .resource = route->resource_name ? route->resource_name : "",
	        .subresource = route->subresource_name ? route->subresource_name : "",
	        .namespace_name = route->namespace_name ? route->namespace_name : "",
	        .name = route->name ? route->name : "",
	};
	struct audit_verdict verdict;

	if (!request->server->auditor)
		return;
	audit_policy_judge(request->server->auditor->policy, &attributes, &verdict);
	if (verdict.level == AUDIT_NONE)
		return;
	request->audit = ARENA_NEW(request->arena, struct audit_record);
	request->audit->verdict = verdict;
	emit(request, AUDIT_REQUEST_RECEIVED, 0);
}

void auditor_started(struct request *request, int code)
{
	emit(request, AUDIT_RESPONSE_STARTED, code);
}

void auditor_completed(struct request *request, int code)
{
	emit(request, AUDIT_RESPONSE_COMPLETE, code);
}
