// SPDX-License-Identifier: Apache-2.0
#pragma once
// API Priority and Fairness: every request but exec and the like takes seats of
// its priority level while it is served, and waits in a fair queue when there are
// none. What one tenant does can't keep the heartbeats of nodes and leaders out.

#include <stdbool.h>
#include <stddef.h>

struct fairness;
struct fairness_ticket;
struct http_header;
struct request;
struct server;

// On the main loop, after storage. Writes and keeps the default objects.
struct fairness *fairness_start(struct server *server);
// Before storage is freed, when no request is left.
struct fairness *fairness_free(struct fairness *fairness);

// A stage of the line (request_next): passes, waits for seats, or refuses with 429.
void fairness_admit(struct request *request);
// The request's seats are free again: it is done, or it is a watch that has begun. Harmless twice.
void fairness_release(struct request *request);
// X-Kubernetes-PF-FlowSchema-UID and its like, at most two; how many were set.
size_t fairness_headers(const struct request *request, struct http_header *headers);

enum {
	FAIRNESS_HEADERS = 2,
};
