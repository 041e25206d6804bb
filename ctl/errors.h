// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the user reads when something went wrong, in kubectl's words, on stderr.
// Each of these marks the invocation as failed and returns EXIT_PROBLEM.

#include "common/base/err.h"
#include "common/client/rest.h"
#include "ctl/ctl.h"

// "error: …"
int report(struct ctl *ctl, const char *format, ...) PRINTF_LIKE(2, 3);
int report_err(struct ctl *ctl, const struct err *err);
// The same followed by "See 'ctl get -h' for help and examples".
int report_usage(struct ctl *ctl, const char *format, ...) PRINTF_LIKE(2, 3);

// Why a call failed: "Error from server (NotFound): pods "x" not found", "The Deployment "x" is
// invalid: …", "The connection to the server … was refused …". `doing` goes in front of the
// server's message ("error when creating "STDIN""), NULL = nothing.
int report_response(struct ctl *ctl, const struct rest_response *response, const char *doing);

// For streams and watches that have only the error.
int report_call_err(struct ctl *ctl, const struct err *err);
