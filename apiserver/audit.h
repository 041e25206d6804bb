// SPDX-License-Identifier: Apache-2.0
#pragma once
// The last stage: every answered request is counted and, at -v=3, logged.

struct request;
struct server;

// Counts the request in (limits, in-flight gauges); false when the limit is reached.
_Bool audit_request_begin(struct request *request);
void audit_request_done(struct request *request, int code);

// Registers the gauges that are read at exposition.
void audit_register(struct server *server);
