// SPDX-License-Identifier: Apache-2.0
#pragma once
// The way of a request through the stages.

struct http_exchange;

// The HTTP server's handler; `context` is the struct server.
void serve(void *context, struct http_exchange *exchange);
