// SPDX-License-Identifier: Apache-2.0
#pragma once
// Auditing as the stages of a request see it, and the thread that writes events out.

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct auditor;
struct blob;
struct metrics_registry;
struct request;
struct status;

struct auditor_config {
	const char *policy_file; // "" = nothing is audited
	const char *log_path;    // "" = no log
	int64_t log_max_age_days;
	int64_t log_max_backups;
	int64_t log_max_size_mb;
	const char *webhook_config_file; // a kubeconfig; "" = none
	int64_t webhook_batch_max_size;
	int64_t webhook_batch_max_wait_ns;
	int64_t webhook_batch_buffer_size;
	int64_t webhook_initial_backoff_ns;
};
#define AUDITOR_CONFIG_INIT                                                                            \
	{                                                                                              \
		.policy_file = "", .log_path = "", .log_max_size_mb = 100, .webhook_config_file = "",  \
		.webhook_batch_max_size = 400, .webhook_batch_max_wait_ns = INT64_C(30000000000),      \
		.webhook_batch_buffer_size = 10000, .webhook_initial_backoff_ns = INT64_C(10000000000) \
	}

// NULL in *ret_auditor when nothing is audited.
NODISCARD int auditor_new(const struct auditor_config *config, struct metrics_registry *metrics,
                          struct auditor **ret_auditor, struct err *err);
// Writes out what is queued.
struct auditor *auditor_free(struct auditor *auditor);

// Events that a backend lost.
void auditor_count_errors(struct metrics_registry *metrics, const char *plugin, size_t count);

// --- the stages; on the request's loop -----------------------------------------------------
// Its user and route are known: decides what is written of it.
void auditor_received(struct request *request);
// A long-running request's answer begins.
void auditor_started(struct request *request, int code);
// The end.
void auditor_completed(struct request *request, int code);
