// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between manager.c, controller.c and reconcile.c only.

#include "common/base/list.h"
#include "common/client/work_queue.h"
#include "common/io/loop.h"
#include "controller-manager/controller.h"
#include "controller-manager/credentials.h"
#include "controller-manager/manager.h"

struct controller_watch {
	struct informer_handler handler;
	struct controller *controller;
	controller_event_fn on_event;
	struct list node; // of the controller's watches
	struct shared_informer *shared;
};

struct shared_informer {
	struct list node;              // of the manager's informers
	struct informer_config config; // texts borrowed: literals
	struct informer *informer;
};

struct controller {
	const struct controller_type *type;
	struct controller_manager *manager;
	struct work_queue *queue;
	struct list watches;
	struct list running; // struct reconcile
	void *state;
	struct credential *credential; // of its writes; NULL: the manager's own
	bool is_started;               // all its stores have synced, its queue runs
};

struct controller_manager {
	struct controller_manager_config config;
	struct loop *loop;
	struct event_recorder *events;
	struct credentials *credentials; // NULL: everything is done with the manager's own
	struct list informers;
	struct loop_timer trim_timer;
	struct controller *controllers; // array, as many as are enabled
	size_t controller_count;
};

// controller.c
int controller_init(struct controller *controller, const struct controller_type *type,
                    struct controller_manager *manager, struct err *err);
void controller_done(struct controller *controller);
// Begins to work if everything that it needs is there.
void controller_start_if_ready(struct controller *controller);

// reconcile.c
void reconcile_start(struct controller *controller, const char *key);
void reconcile_abandon(struct reconcile *reconcile);
struct reconcile *reconcile_from_node(struct list *node);
// A watched informer moved on: keys that waited for it may be finished.
void reconcile_check_waiting(struct controller *controller);

// manager.c: the shared informer of a configuration, made on first use.
struct shared_informer *controller_manager_informer(struct controller_manager *manager,
                                                    const struct informer_config *config);
