// SPDX-License-Identifier: Apache-2.0

#include "apiserver/admission/webhook_metrics.h"

#include <stdio.h>

#include "apiserver/server.h"
#include "common/base/metrics.h"

static const char *const duration_labels[] = {"name", "type", "operation", "rejected", NULL};
static const double duration_buckets[] = {0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25, 0};
static const struct metric_family duration = {
        "apiserver_admission_webhook_admission_duration_seconds",
        "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API "
        "resource and type (validate or admit).",
        METRIC_HISTOGRAM, duration_labels, duration_buckets};

static const char *const request_labels[] = {"name", "type", "operation", "code", "rejected", NULL};
static const struct metric_family requests = {
        "apiserver_admission_webhook_request_total",
        "Admission webhook request total, identified by name and broken out for each admission type (validating or "
        "mutating) and operation.",
        METRIC_COUNTER, request_labels, NULL};

static const char *const rejection_labels[] = {"name", "type", "operation", "error_type", "rejection_code", NULL};
static const struct metric_family rejections = {
        "apiserver_admission_webhook_rejection_count",
        "Admission webhook rejection count, identified by name and broken out for each admission type (validating or "
        "admit) and operation.",
        METRIC_COUNTER, rejection_labels, NULL};

static const char *const open_labels[] = {"name", "type", NULL};
static const struct metric_family failed_open = {
        "apiserver_admission_webhook_fail_open_count",
        "Admission webhook fail open count, identified by name and broken out for each admission type (validating or "
        "mutating).",
        METRIC_COUNTER, open_labels, NULL};

static const char *type_name(enum webhook_type type)
{
	return type == WEBHOOK_MUTATING ? "admit" : "validating";
}

void webhook_metrics_count(struct server *server, const struct webhook *webhook, enum webhook_type type,
                           enum admission_operation operation, const struct webhook_result *result)
{
	static const char *const errors[] = {"", "no_error", "calling_webhook_error"};
	const char *name = webhook->name, *verb = admission_operation_name(operation);
	const char *rejected = result->rejected ? "true" : "false";
	char code[12], rejection_code[12];

	snprintf(code, sizeof(code), "%d", result->code);
	snprintf(rejection_code, sizeof(rejection_code), "%d",
	         result->error == WEBHOOK_ERROR_REJECTED ? result->rejection_code : 0);
	metric_observe(metric_get(server->metrics, &duration, (const char *[]){name, type_name(type), verb, rejected}),
	               result->seconds);
	metric_add(
	        metric_get(server->metrics, &requests, (const char *[]){name, type_name(type), verb, code, rejected}),
	        1);
	if (result->error != WEBHOOK_ERROR_NONE)
		metric_add(metric_get(server->metrics, &rejections,
		                      (const char *[]){name, type_name(type), verb, errors[result->error],
		                                       rejection_code}),
		           1);
}

void webhook_metrics_failed_open(struct server *server, const struct webhook *webhook, enum webhook_type type)
{
	metric_add(metric_get(server->metrics, &failed_open, (const char *[]){webhook->name, type_name(type)}), 1);
}
