// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the chain and its plug-ins keep between requests: server->admission.

#include "apiserver/admission/admission.h"
#include "apiserver/server.h"

enum {
	ADMISSION_MAX_PLUGINS = 40,
};

struct event_rate_limits;
struct pod_security_settings;
struct policy_cache;
struct quota_desk;
struct webhook_cache;
struct webhook_desk;

struct admission {
	bool runs[ADMISSION_MAX_PLUGINS];                   // by row of the table
	struct arena *arena;                                // of the configuration
	struct json *configurations[ADMISSION_MAX_PLUGINS]; // likewise by row
	struct event_rate_limits *event_rate_limits;        // NULL: no limits
	struct pod_security_settings *pod_security;         // in the arena
	struct quota_desk *quota;
	struct webhook_cache *webhook_cache;
	struct policy_cache *policy_cache;
	struct webhook_desk *webhook_desks[SERVER_LOOPS];
	bool quota_is_limiting; // something may only be used where a quota speaks of it
};
