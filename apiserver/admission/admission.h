// SPDX-License-Identifier: Apache-2.0
#pragma once
// Admission: checks and changes that look beyond the object itself. One file or
// one function each, in upstream's order; which are on is --enable- and
// --disable-admission-plugins' matter, and some read a part of
// --admission-control-config-file.

#include "apiserver/registry/change.h"

struct string_list;

enum admission_operation {
	ADMISSION_CREATE = 1,
	ADMISSION_UPDATE = 2,
	ADMISSION_DELETE = 4,
	ADMISSION_CONNECT = 8,
	ADMISSION_ALL = 15,
};

enum admission_phase {
	ADMISSION_MUTATE,
	ADMISSION_VALIDATE,
};

// One chain of plug-ins that wait, under way for one change.
struct admission_wait {
	struct change *change;
	enum admission_operation operation;
	enum admission_phase phase;
	void (*done)(void *context, const struct status *failure);
	void *context;
	size_t next;          // of the plug-ins
	void *plugin_context; // of the one whose turn it is
};

struct admission_plugin {
	const char *name;
	bool by_default;
	unsigned operations; // of enum admission_operation
	// The instant parts; each may be NULL. Returns the refusal, NULL to go on. Safe on a worker.
	const struct status *(*mutate)(struct change *change, enum admission_operation operation);
	const struct status *(*validate)(struct change *change, enum admission_operation operation);
	// For plug-ins that must wait for others; they follow the instant ones of their phase.
	// Has it anything to do for this kind of change? Judged by operation, resource, subresource
	// and namespace alone: the object may not be known yet. Safe on a worker.
	bool (*waits)(const struct change *change, enum admission_operation operation, enum admission_phase phase);
	// On the request's loop. Ends by admission_wait_next, from within the call or later on that loop.
	void (*start)(struct admission_wait *wait);
};

// --- the chain as a whole -----------------------------------------------------------------

struct admission; // which plug-ins run, their configuration and what they keep: server->admission

// Reads the configuration and makes what plug-ins keep. Before any request.
NODISCARD int admission_start(struct server *server, struct err *err);
struct admission *admission_free(struct admission *admission);

// True for the name of a plug-in of upstream's.
bool admission_is_known(const char *name);
// Unknown names, and names that are both enabled and disabled.
NODISCARD int admission_check_flags(const struct string_list *enabled, const struct string_list *disabled,
                                    struct err *err);
// The "configuration" that --admission-control-config-file has for a plug-in; NULL = none.
const struct json *admission_configuration(const struct server *server, const char *plugin);

// A deletion's mutate part is included in its validate part: it has nothing to change.
const struct status *admission_mutate(struct change *change, enum admission_operation operation);
const struct status *admission_validate(struct change *change, enum admission_operation operation);

// Must admission_wait be called for this change? The answer may be asked for at any time.
bool admission_waits(const struct change *change, enum admission_operation operation, enum admission_phase phase);
// Runs the plug-ins that wait, one after another. On the request's loop; `done` may come from within the call.
// `wait` lives until then, the change too.
void admission_wait(struct admission_wait *wait, struct change *change, enum admission_operation operation,
                    enum admission_phase phase, void (*done)(void *context, const struct status *failure),
                    void *context);
// The plug-in whose turn it was has decided.
void admission_wait_next(struct admission_wait *wait, const struct status *failure);

// --- what plug-ins share ------------------------------------------------------------------

// `pods "x" is forbidden: why`.
const struct status *admission_forbid(const struct change *change, const char *format, ...) PRINTF_LIKE(2, 3);
// "CREATE", "UPDATE", …
const char *admission_operation_name(enum admission_operation operation);
// The request's user has this verb on a thing that is no stored object ("signers" and the like).
bool admission_user_may(const struct change *change, const char *verb, const char *group, const char *resource,
                        const char *subresource, const char *namespace_name, const char *name);
// A stored object as the cache has it, plain; NULL = none.
struct json *admission_peek(const struct change *change, const struct schema_resource *resource,
                            const char *namespace_name, const char *name);
// All of a namespace ("" = all), in the arena.
struct json **admission_peek_all(const struct change *change, const struct schema_resource *resource,
                                 const char *namespace_name, size_t *ret_count);
