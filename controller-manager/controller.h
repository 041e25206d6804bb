// SPDX-License-Identifier: Apache-2.0
#pragma once
// A controller: a row in the table of controllers.c and a file of its own. It says
// what it watches, turns events into keys, and reconciles one key at a time from
// the local stores. Writes are asynchronous; a key is finished when all of them
// are answered AND the local stores have seen them, so that no reconcile ever
// decides on a store older than the controller's own last writes.
//
//   event → keys → work queue → reconcile(key): look at the stores, start writes
//                                   → answers → stores caught up → done, or again with back-off

#include <stdbool.h>
#include <stdint.h>

#include "common/api/schema.h"
#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/client/event_recorder.h"
#include "common/client/informer.h"
#include "common/client/rest.h"

struct controller;
struct controller_manager;
struct reconcile;

struct controller_type {
	const char *name;         // upstream's: "deployment-controller"
	unsigned concurrent_keys; // worked on at the same time; 0 = 5
	bool starts_last;         // its lean watches use the informers that the others made
	bool spares_absent;       // works without the kinds that the server doesn't have
	// Registers what it watches (controller_watch) and makes its state. May refuse.
	int (*start)(struct controller *controller, struct err *err);
	// Looks at one key: borrowed stores in, writes out through `reconcile`.
	// Returning is enough: the key is finished when the writes are.
	void (*reconcile)(struct controller *controller, struct reconcile *reconcile, const char *key);
	// Frees its state. May be NULL.
	void (*stop)(struct controller *controller);
};

// All controllers, sorted by name, ended by NULL.
extern const struct controller_type *const controller_types[];

// What flags configure.
struct controller_settings {
	bool allocate_node_cidrs;
	const char *cluster_cidr;
	int64_t node_cidr_mask_size;      // for a cluster of one family; 0 = the family's
	int64_t node_cidr_mask_size_ipv4; // 0 = 24
	int64_t node_cidr_mask_size_ipv6; // 0 = 64
	const char *service_cidr;
	int64_t node_monitor_period_ns;
	int64_t node_monitor_grace_period_ns;
	int64_t node_startup_grace_period_ns;
	const char *node_eviction_rate; // nodes per second, "0.1"; "0" = none
	int64_t terminated_pod_gc_threshold;
	const char *root_ca_file;             // "" = none
	const char *signing_certificate_file; // "" = none
	const char *signing_key_file;
	int64_t signing_duration_ns;
	const char *service_account_key_file; // signs the tokens of secrets; "" = none
};

const struct controller_settings *controller_settings(const struct controller *controller);
struct loop *controller_loop(const struct controller *controller);
struct event_recorder *controller_events(const struct controller *controller);
struct rest_client *controller_client(const struct controller *controller);

// The controller's own state, set in start().
void controller_set_state(struct controller *controller, void *state);
void *controller_state(const struct controller *controller);

// --- watching ----------------------------------------------------------------------

// Turns an event into keys (controller_enqueue). old is NULL for added, new for deleted.
typedef void (*controller_event_fn)(struct controller *controller, struct api_object *old_object,
                                    struct api_object *new_object);

// Watches a resource with the manager's shared informer (one for each resource).
// The informer is returned for look-ups; indexes are added to it right away
// (adding one twice under one name is fine).
struct informer *controller_watch(struct controller *controller, const struct schema_resource *resource,
                                  controller_event_fn on_event);

// The same with selectors, a namespace or the metadata alone; informers are shared by equal configuration. A watch of
// the metadata alone takes a whole informer of the same objects where there is one.
struct informer *controller_watch_with(struct controller *controller, const struct informer_config *config,
                                       controller_event_fn on_event);

// Ready-made: the object's own key; the key of its controller owner of `kind` ("ReplicaSet").
void controller_enqueue_object(struct controller *controller, struct api_object *old_object,
                               struct api_object *new_object);

void controller_enqueue(struct controller *controller, const char *key);
void controller_enqueue_after(struct controller *controller, const char *key, int64_t delay_ns);

// --- writing -----------------------------------------------------------------------

// Memory that lives until the key is finished.
struct arena *reconcile_arena(struct reconcile *reconcile);

// Keeps an object alive until the key is finished: for answers that look at it.
struct api_object *reconcile_keep(struct reconcile *reconcile, struct api_object *object);

// Called with the answer; look-ups and further reconcile_… calls are fine here.
// When given, it decides about the outcome by reconcile_retry; else any failure but
// NotFound on a delete and AlreadyExists on a create makes the key come again.
typedef void (*reconcile_answer_fn)(struct reconcile *reconcile, void *context, const struct rest_response *response);

// Starts a write (or a read). Texts of `request` are copied.
void reconcile_request(struct reconcile *reconcile, const struct rest_request *request, reconcile_answer_fn on_answer,
                       void *context);

// Shorthands around it; on_answer may be NULL.
void reconcile_create(struct reconcile *reconcile, const struct schema_resource *resource, const char *namespace_name,
                      const void *view, reconcile_answer_fn on_answer, void *context);
// DELETE with preconditions on the uid.
void reconcile_delete(struct reconcile *reconcile, const struct api_object *object, reconcile_answer_fn on_answer,
                      void *context);
struct deletion_options {
	bool now;                // without a grace period
	bool guard;              // only this resourceVersion
	const char *propagation; // "Foreground", …; NULL = the kind's own
};
void reconcile_delete_with(struct reconcile *reconcile, const struct api_object *object,
                           const struct deletion_options *options, reconcile_answer_fn on_answer, void *context);
// PATCH with a tree; `subresource` may be NULL. With `guard`, metadata.uid and
// resourceVersion of the object are added, so that it fails (409, again later) when
// the object has changed since it was looked at.
void reconcile_patch(struct reconcile *reconcile, const struct api_object *object, const char *subresource,
                     enum rest_body_type type, struct json *patch, bool guard, reconcile_answer_fn on_answer,
                     void *context);

// The key comes again with back-off once it is finished; the first reason is logged.
void reconcile_retry(struct reconcile *reconcile, const struct err *reason);
// The key comes again after a delay, without counting as a failure.
void reconcile_again_after(struct reconcile *reconcile, int64_t delay_ns);
struct controller *reconcile_controller(const struct reconcile *reconcile);

// An Event about an object.
void reconcile_event(struct reconcile *reconcile, const struct api_object *about, const char *type, const char *reason,
                     const char *format, ...) PRINTF_LIKE(5, 6);

// --- owners ------------------------------------------------------------------------

struct meta_v1_object_meta;
struct meta_v1_owner_reference;

// The owner reference with controller: true; NULL = none.
const struct meta_v1_owner_reference *controller_owner_of(const struct meta_v1_object_meta *metadata);
// The stored object that controls `object`, when it is of this resource's kind and uid; else NULL.
struct api_object *controller_find_owner(const struct informer *owners, const struct schema_resource *resource,
                                         const struct api_object *object);
