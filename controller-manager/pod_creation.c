// SPDX-License-Identifier: Apache-2.0
// A creation lives in the reconcile's arena and is advanced by the answers: when all
// of a batch are in, the next begins, twice as large, unless one has failed.

#include "controller-manager/pod_creation.h"

#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "controller-manager/controller.h"

struct creation {
	struct api_object *owner; // kept
	const struct core_v1_pod *const *pods;
	size_t count;
	size_t started;
	size_t batch;       // size of the running one
	size_t in_flight;   // of it
	struct err failure; // the first
	void (*on_failed)(struct reconcile *reconcile, struct api_object *owner, const struct err *err);
};

static void create_batch(struct reconcile *reconcile, struct creation *creation);

// A namespace that is being deleted takes nothing new: trying again is of no use.
static bool is_ending(const struct err *err)
{
	return err->code == ERR_FORBIDDEN && strstr(err->message, "because it is being terminated");
}

static void on_created(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	struct creation *creation = context;
	if (response->err.code == ERR_NONE) {
		reconcile_event(reconcile, creation->owner, "Normal", "SuccessfulCreate", "Created pod: %s",
		                object_name(response->object));
	} else if (!is_ending(&response->err)) {
		reconcile_retry(reconcile, &response->err);
		reconcile_event(reconcile, creation->owner, "Warning", "FailedCreate", "Error creating: %s",
		                response->err.message);
	}
	if (response->err.code != ERR_NONE && creation->failure.code == ERR_NONE)
		creation->failure = response->err;
	if (--creation->in_flight > 0)
		return;
	if (creation->failure.code != ERR_NONE && creation->on_failed)
		creation->on_failed(reconcile, creation->owner, &creation->failure);
	if (creation->started < creation->count && creation->failure.code == ERR_NONE)
		create_batch(reconcile, creation);
}

static void create_batch(struct reconcile *reconcile, struct creation *creation)
{
	size_t left = creation->count - creation->started;
	creation->batch = creation->batch ? creation->batch * 2 : 1;
	if (creation->batch > left)
		creation->batch = left;
	creation->in_flight = creation->batch;
	for (size_t i = 0; i < creation->batch; i++)
		reconcile_create(reconcile, &schema_resource_core_v1_pods, creation->owner->namespace_name,
		                 creation->pods[creation->started++], on_created, creation);
}

void pods_create(struct reconcile *reconcile, struct api_object *owner, const struct core_v1_pod *const *pods,
                 size_t count,
                 void (*on_failed)(struct reconcile *reconcile, struct api_object *owner, const struct err *err))
{
	if (!count)
		return;
	struct creation *creation = ARENA_NEW(reconcile_arena(reconcile), struct creation);
	creation->owner = reconcile_keep(reconcile, owner);
	creation->pods = pods;
	creation->count = count;
	creation->on_failed = on_failed;
	create_batch(reconcile, creation);
}

void pod_delete(struct reconcile *reconcile, const struct api_object *owner, const struct api_object *pod)
{
	reconcile_delete(reconcile, pod, NULL, NULL);
	reconcile_event(reconcile, owner, "Normal", "SuccessfulDelete", "Deleted pod: %s", pod->name);
}
