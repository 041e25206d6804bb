// SPDX-License-Identifier: Apache-2.0
#pragma once
// The check of one API service: its Service stands and has ready endpoints, and the
// server behind them answers for the version. What it answers is kept as its
// discovery. Main loop only.

#include "apiserver/aggregation/api_service.h"

struct availability;

// Checks at once and then again and again; `found` comes on the main loop with each outcome, never
// from within the call: upstream's reason and message for the condition Available.
struct availability *availability_start(struct server *server, struct api_service *service,
                                        void (*found)(void *context, bool available, const char *reason,
                                                      const char *message),
                                        void *context);
struct availability *availability_stop(struct availability *availability); // returns NULL; safe from `found`
