// SPDX-License-Identifier: Apache-2.0
#pragma once
// The webhooks of one kind of configuration as an immutable, shared snapshot, made
// anew when the configurations changed.

#include <stdint.h>

#include "apiserver/admission/conditions.h"
#include "apiserver/admission/match.h"

enum webhook_type {
	WEBHOOK_MUTATING,
	WEBHOOK_VALIDATING,
	WEBHOOK_TYPE_COUNT_,
};

struct webhook {
	const char *configuration;
	const char *name;
	struct admission_matcher matcher;
	struct match_conditions conditions;
	bool fails_open;     // failurePolicy Ignore
	bool reinvoked;      // reinvocationPolicy IfNeeded
	bool allows_dry_run; // its side effects do
	bool speaks_v1;      // else v1beta1
	int64_t timeout_seconds;
	const char *url; // NULL: the service
	const char *service_namespace, *service_name, *path;
	int64_t port;
	const char *ca_bundle; // PEM; NULL = the system's
};

struct webhooks {
	_Atomic unsigned references;
	struct arena *arena;
	struct cel_env *env;
	struct webhook *items; // by configuration name, then as they stand
	size_t count;
	int64_t change; // storage's last change of the configurations
};

// The present one, referenced. Thread-safe.
struct webhooks *webhooks_get(struct server *server, enum webhook_type type);
struct webhooks *webhooks_unref(struct webhooks *webhooks);
DEFINE_CLEANUP(struct webhooks *, webhooks_unref)

struct webhook_cache; // where they are kept
struct webhook_cache *webhook_cache_new(void);
struct webhook_cache *webhook_cache_free(struct webhook_cache *cache);
// The same, given where they are kept (NULL when storage doesn't know them yet).
struct webhooks *webhook_cache_get(struct webhook_cache *cache, struct server *server, enum webhook_type type);
