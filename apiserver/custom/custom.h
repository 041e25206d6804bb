// SPDX-License-Identifier: Apache-2.0
#pragma once
// Custom resource definitions at work: a thread that follows them in storage, keeps
// the snapshot of what is served, their caches and their conditions, and removes the
// objects of those that are deleted. Whoever wrote a definition (this apiserver or
// another one), what is in storage is what counts.

#include <stdbool.h>

#include "apiserver/custom/served.h"
#include "common/base/err.h"

struct custom;
struct loop;
struct server;

// After storage, before the first request is served.
NODISCARD int custom_start(struct server *server, struct custom **ret_custom, struct err *err);
// Ends the thread; then storage may end, which answers what is under way, and then the rest goes. Accept NULL.
void custom_stop(struct custom *custom);
struct custom *custom_free(struct custom *custom);

// The present snapshot, referenced for the caller. Thread-safe.
struct served *custom_served(struct custom *custom);
// All definitions that were there at the start are served. Thread-safe.
bool custom_is_ready(struct custom *custom);
// The loop of its thread.
struct loop *custom_loop(struct custom *custom);
