// SPDX-License-Identifier: Apache-2.0
// A batch goes out when it is full or its first event has waited long enough, one at
// a time. What can't be delivered is tried again, four times with growing pauses, and
// then given up; events that come while the buffer is full are dropped. Both are
// counted.

#include "apiserver/audit/audit_webhook.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/audit/auditor.h"
#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/client/kubeconfig.h"
#include "common/io/http_client.h"
#include "common/io/loop.h"

enum {
	MAX_ATTEMPTS = 5,
	BATCH_MAX_BYTES = 64 << 20,
	ANSWER_MAX_BYTES = 64 << 10,
};

#define CALL_TIMEOUT_NS (30 * NSEC_PER_SEC)

struct queued_event {
	struct list node;
	size_t length;
	char text[];
};

struct audit_webhook {
	struct loop *loop;
	struct arena *arena; // of the configuration
	struct client_config client;
	struct http_client *http;
	struct metrics_registry *metrics;
	size_t batch_size;
	size_t buffer_size;
	int64_t wait_ns;
	int64_t backoff_ns;

	struct list events;
	size_t count;
	struct strbuf body; // of the batch that is going out
	size_t in_body;     // its events
	struct http_call *call;
	unsigned attempts;
	struct loop_timer wait_timer;  // for more events
	struct loop_timer retry_timer; // before the next attempt
};

int audit_webhook_new(struct loop *loop, const struct auditor_config *config, struct metrics_registry *metrics,
                      struct audit_webhook **ret_webhook, struct err *err)
{
	struct audit_webhook *webhook = NEW(struct audit_webhook);
	struct kubeconfig_overrides overrides = {.path = config->webhook_config_file};
	struct http_client_config http = {.user_agent = "kube-apiserver-audit"};

	webhook->loop = loop;
	webhook->metrics = metrics;
	webhook->arena = arena_new(0);
	webhook->body = STRBUF_INIT(BATCH_MAX_BYTES);
	list_init(&webhook->events);
	webhook->batch_size = (size_t)config->webhook_batch_max_size;
	webhook->buffer_size = (size_t)config->webhook_batch_buffer_size;
	webhook->wait_ns = config->webhook_batch_max_wait_ns;
	webhook->backoff_ns = config->webhook_initial_backoff_ns;
	if (kubeconfig_load(webhook->arena, &overrides, &webhook->client, err) < 0) {
		audit_webhook_free(webhook);
		return err_wrap(err, "--audit-webhook-config-file");
	}
	http.tls = (struct tls_client_config){
	        .ca_file = webhook->client.ca_file,
	        .ca_data = webhook->client.ca_data,
	        .certificate_file = webhook->client.certificate_file,
	        .certificate_data = webhook->client.certificate_data,
	        .private_key_file = webhook->client.private_key_file,
	        .private_key_data = webhook->client.private_key_data,
	        .server_name = webhook->client.tls_server_name,
	        .insecure_skip_verify = webhook->client.insecure_skip_tls_verify,
	};
	http.bearer_token = webhook->client.bearer_token;
	http.bearer_token_file = webhook->client.bearer_token_file;
	webhook->http = http_client_new(loop, &http);
	*ret_webhook = webhook;
	return 0;
}

struct audit_webhook *audit_webhook_free(struct audit_webhook *webhook)
{
	struct queued_event *event;

	if (!webhook)
		return NULL;
	loop_timer_stop(&webhook->wait_timer);
	loop_timer_stop(&webhook->retry_timer);
	http_client_free(webhook->http);
	list_for_each (event, &webhook->events, node)
		free(event);
	strbuf_done(&webhook->body);
	arena_free(webhook->arena);
	free(webhook);
	return NULL;
}

// --- sending ----------------------------------------------------------------------------------

static void send_if_due(struct audit_webhook *webhook, bool waited);
static void send_body(struct audit_webhook *webhook);

static void on_retry(struct loop_timer *timer)
{
	send_body(container_of(timer, struct audit_webhook, retry_timer));
}

static void finish_batch(struct audit_webhook *webhook)
{
	strbuf_done(&webhook->body);
	webhook->in_body = 0;
	webhook->attempts = 0;
	send_if_due(webhook, false);
}

static void on_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct audit_webhook *webhook = context;
	bool again = err || status == 429 || status >= 500;

	(void)body;
	(void)body_length;
	webhook->call = NULL;
	if (!err && status >= 200 && status < 300) {
		finish_batch(webhook);
		return;
	}
	if (again && webhook->attempts < MAX_ATTEMPTS) {
		loop_timer_start(webhook->loop, &webhook->retry_timer, webhook->backoff_ns << (webhook->attempts - 1),
		                 on_retry);
		return;
	}
	log_error("Cannot deliver audit events", kv_int("events", (int64_t)webhook->in_body), kv_int("status", status),
	          kv_str("err", err ? err->message : ""));
	auditor_count_errors(webhook->metrics, "webhook", webhook->in_body);
	finish_batch(webhook);
}

static void send_body(struct audit_webhook *webhook)
{
	static const char *const headers[] = {"Content-Type: application/json", "Accept: application/json", NULL};
	struct http_call_config config = {
	        .method = "POST",
	        .url = webhook->client.server,
	        .headers = headers,
	        .body = strbuf_text(&webhook->body),
	        .body_length = webhook->body.length,
	        .timeout_ns = CALL_TIMEOUT_NS,
	        .max_response_bytes = ANSWER_MAX_BYTES,
	        .on_done = on_done,
	        .context = webhook,
	};

	webhook->attempts++;
	webhook->call = http_call_start(webhook->http, &config);
}

static void take_batch(struct audit_webhook *webhook)
{
	strbuf_append_text(&webhook->body,
	                   "{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{},\"items\":[");
	while (webhook->in_body < webhook->batch_size && webhook->count) {
		struct queued_event *event = list_first(&webhook->events, struct queued_event, node);

		if (webhook->in_body++)
			strbuf_append_char(&webhook->body, ',');
		strbuf_append(&webhook->body, event->text, event->length);
		list_remove(&event->node);
		webhook->count--;
		free(event);
	}
	strbuf_append_text(&webhook->body, "]}");
}

static void on_waited(struct loop_timer *timer)
{
	send_if_due(container_of(timer, struct audit_webhook, wait_timer), true);
}

static void send_if_due(struct audit_webhook *webhook, bool waited)
{
	if (webhook->in_body || !webhook->count)
		return;
	if (webhook->count < webhook->batch_size && !waited) {
		if (!webhook->wait_timer.loop)
			loop_timer_start(webhook->loop, &webhook->wait_timer, webhook->wait_ns, on_waited);
		return;
	}
	loop_timer_stop(&webhook->wait_timer);
	take_batch(webhook);
	send_body(webhook);
}

void audit_webhook_add(struct audit_webhook *webhook, const char *lines, size_t length)
{
	const char *end = lines + length, *next;
	size_t lost = 0;

	for (; lines < end && (next = memchr(lines, '\n', (size_t)(end - lines))); lines = next + 1) {
		size_t size = (size_t)(next - lines);
		struct queued_event *event;

		if (webhook->count >= webhook->buffer_size) {
			lost++;
			continue;
		}
		event = xmalloc(sizeof(*event) + size);
		list_init(&event->node);
		event->length = size;
		memcpy(event->text, lines, size);
		list_append(&webhook->events, &event->node);
		webhook->count++;
	}
	if (lost)
		auditor_count_errors(webhook->metrics, "webhook", lost);
	send_if_due(webhook, false);
}
