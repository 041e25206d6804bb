// SPDX-License-Identifier: Apache-2.0
#pragma once
// Upstream's metrics of webhooks.

#include "apiserver/admission/webhook_config.h"

enum webhook_error {
	WEBHOOK_ERROR_NONE,
	WEBHOOK_ERROR_REJECTED, // its own decision
	WEBHOOK_ERROR_CALLING,
};

struct webhook_result {
	double seconds;
	enum webhook_error error;
	int code; // HTTP status, 0 = none
	bool rejected;
	int rejection_code;
};

void webhook_metrics_count(struct server *server, const struct webhook *webhook, enum webhook_type type,
                           enum admission_operation operation, const struct webhook_result *result);
void webhook_metrics_failed_open(struct server *server, const struct webhook *webhook, enum webhook_type type);
