// SPDX-License-Identifier: Apache-2.0
// pods/eviction: a delete that asks the disruption budgets first.
//
//   read the pod ──► finished, not yet running, or going: no budget is asked ────────┐
//                └─► budgets: none ──────────────────────────────────────────────────┤
//                    one: an unready pod that may go anyway ─────────────────────────┤
//                         else its disruptionsAllowed is taken down by a swap ───────┤
//                         allows none: 429              several: 500                 ▼
//                                                   condition DisruptionTarget ──► delete
//
// A pod that goes without its budget's word may have become ready meanwhile: then
// its version is a precondition of the delete, and one that moved is looked at again.

#include <string.h>

#include "apiserver/body.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/delete_one.h"
#include "apiserver/registry/registry_write.h"
#include "apiserver/registry/subresources.h"
#include "apiserver/server.h"
#include "apiserver/validation/rules.h"
#include "common/api/object.h"
#include "common/api/selector.h"
#include "common/base/memory.h"

#define REFUSED "Cannot evict pod as it would violate the pod's disruption budget."

enum {
	EVICTION_TRIES = 5,
	EVICTION_RETRY_SECONDS = 10,
	DISRUPTED_PODS_MAX = 2000,
};

struct eviction_op {
	struct request *request;
	struct request_options wanted; // as asked
	struct request_options options;
	struct delete_one deletion;
	struct write_op budget;
	struct write_op condition;
	const struct json *pod;
	const char *budget_name;
	bool is_unguarded; // goes without a word of its budget
	unsigned tries;
};

static void look_at_pod(struct eviction_op *op);

static const struct schema_resource *pods(void)
{
	return schema_find_resource("", "v1", "pods");
}

static const struct schema_resource *budgets(void)
{
	return schema_find_resource("policy", "v1", "poddisruptionbudgets");
}

static const struct status *refuse(struct request *request, int retry_seconds, const char *why)
{
	return status_with_cause(request->arena, status_too_many_requests(request->arena, retry_seconds, REFUSED),
	                         (struct status_cause){.reason = "DisruptionBudget", .message = why});
}

static const struct status *refuse_for_now(struct request *request, const char *budget)
{
	return refuse(request, EVICTION_RETRY_SECONDS,
	              arena_printf(request->arena, "The disruption budget %s is still being processed by the server.",
	                           budget));
}

static bool is_over(const struct json *pod)
{
	const struct json *status = json_get(pod, "status");

	return text_is(status, "phase", "Succeeded") || text_is(status, "phase", "Failed") ||
	       object_is_being_deleted(pod);
}

static bool is_ready(const struct json *pod)
{
	json_for_each_item (condition, json_path(pod, "status", "conditions"))
		if (text_is(condition, "type", "Ready"))
			return text_is(condition, "status", "True");
	return false;
}

// --- the delete ---------------------------------------------------------------------------------

static bool may_try_again(const struct eviction_op *op)
{
	return op->options.precondition_resource_version && !op->wanted.precondition_resource_version;
}

static void on_deleted(struct delete_one *one, const struct status *status, struct stored_object *object)
{
	struct eviction_op *op = one->context;
	struct request *request = op->request;
	struct json *body;

	(void)object;
	if (status && status->code == 409 && may_try_again(op)) {
		if (op->is_unguarded)
			request_finish_status(request, refuse_for_now(request, op->budget_name));
		else
			look_at_pod(op);
		return;
	}
	if (status) {
		request_finish_status(request, status);
		return;
	}
	body = status_success(request->arena, pods(), one->change.name, NULL);
	json_remove(body, "details");
	json_set_integer(request->arena, body, "code", 201);
	request_finish_tree(request, 201, body);
}

static void delete_pod(struct eviction_op *op)
{
	struct request *request = op->request;

	op->deletion = (struct delete_one){
	        .request = request,
	        .options = &op->options,
	        .done = on_deleted,
	        .context = op,
	        .change =
	                {
	                        .request = request,
	                        .server = request->server,
	                        .arena = request->arena,
	                        .resource = pods(),
	                        .subresource = "",
	                        .name = request->route.name,
	                        .namespace_name = request->route.namespace_name,
	                },
	};
	delete_one_start(&op->deletion);
}

// --- the pod's condition ----------------------------------------------------------------------------

static void set_condition(const struct change *change, const char *type, const char *value, const char *reason,
                          const char *message)
{
	struct json *status = json_ensure_object(change->arena, change->object, "status");
	struct json *condition = object_ensure_condition(change->arena, status, type);
	char now[API_TIME_BYTES];

	if (!text_is(condition, "status", value)) {
		api_time_format(change->request->received_realtime_ns, now);
		json_set_text(change->arena, condition, "lastTransitionTime", now);
	}
	json_set_text(change->arena, condition, "status", value);
	json_set_text(change->arena, condition, "reason", reason);
	json_set_text(change->arena, condition, "message", message);
}

// The same words as for a delete whose preconditions don't hold.
static const struct status *check_preconditions(const struct eviction_op *op, const struct change *change)
{
	const char *uid = op->options.precondition_uid, *version = op->options.precondition_resource_version;
	const char *held_uid = object_uid(change->old), *held = object_resource_version(change->old);

	if (uid && uid[0] && held_uid && strcmp(uid, held_uid))
		return status_new_for(
		        change->arena, ERR_CONFLICT, change->resource, change->name,
		        "Operation cannot be fulfilled on Pod \"%s\": the UID in the precondition (%s) does "
		        "not match the UID in record (%s). The object might have been deleted and then "
		        "recreated",
		        change->name, uid, held_uid);
	if (version && version[0] && held && strcmp(version, held))
		return status_new_for(change->arena, ERR_CONFLICT, change->resource, change->name,
		                      "Operation cannot be fulfilled on Pod \"%s\": the ResourceVersion in the "
		                      "precondition (%s) does not match the ResourceVersion in record (%s). The object "
		                      "might have been modified",
		                      change->name, version, held);
	return NULL;
}

// It changed since it was judged, but is still what it was judged to be.
static bool may_still_go(const struct eviction_op *op, const struct json *pod)
{
	if (op->is_unguarded)
		return !is_ready(pod);
	return is_over(pod) || text_is(json_get(pod, "status"), "phase", "Pending");
}

static const struct status *mark_pod(struct write_op *write)
{
	const struct eviction_op *op = container_of(write, struct eviction_op, condition);
	const struct json *pod = write->change.old;
	const struct status *status = NULL;

	if (!may_try_again(op) || !may_still_go(op, pod))
		status = check_preconditions(op, &write->change);
	if (status && may_try_again(op) && op->is_unguarded)
		return refuse_for_now(write->request, op->budget_name);
	if (!status)
		set_condition(&write->change, "DisruptionTarget", "True", "EvictionByEvictionAPI",
		              "Eviction API: evicting");
	return status;
}

// The version that was asked for is now the one that this write made.
static void on_marked(struct write_op *write, struct stored_object *object, struct json *tree)
{
	struct eviction_op *op = container_of(write, struct eviction_op, condition);

	if (op->options.precondition_resource_version)
		op->options.precondition_resource_version =
		        object ? arena_printf(op->request->arena, "%lld", (long long)object->revision)
		               : object_resource_version(tree);
	op->request->route.subresource_name = "eviction";
	delete_pod(op);
}

static void mark_and_delete(struct eviction_op *op)
{
	op->request->route.resource = pods();
	if (op->options.dry_run) {
		delete_pod(op);
		return;
	}
	op->request->route.subresource_name = "status";
	op->condition = (struct write_op){
	        .request = op->request,
	        .transform = mark_pod,
	        .finish = on_marked,
	        .skip_version_check = true,
	};
	write_op_start(&op->condition);
}

// --- the budget -----------------------------------------------------------------------------------

static const struct status *check_budget(struct request *request, const struct json *budget)
{
	const struct json *status = json_get(budget, "status");
	const char *name = object_name(budget);
	int64_t allowed = integer_of(status, "disruptionsAllowed", 0);

	if (integer_of(status, "observedGeneration", 0) < integer_of(json_get(budget, "metadata"), "generation", 0))
		return refuse_for_now(request, name);
	if (allowed < 0)
		return status_forbidden(request->arena, budgets(), name, "pdb disruptions allowed is negative");
	if (length_of(json_get(status, "disruptedPods")) > DISRUPTED_PODS_MAX)
		return status_forbidden(
		        request->arena, budgets(), name,
		        "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
	if (!allowed)
		return refuse(request, 0,
		              arena_printf(request->arena,
		                           "The disruption budget %s needs %lld healthy pods and has %lld currently",
		                           name, (long long)integer_of(status, "desiredHealthy", 0),
		                           (long long)integer_of(status, "currentHealthy", 0)));
	return NULL;
}

// Takes one disruption of the budget and notes the pod.
static const struct status *take_disruption(struct write_op *write)
{
	struct change *change = &write->change;
	const struct status *refusal = check_budget(write->request, change->old);
	struct json *status = json_ensure_object(change->arena, change->object, "status");
	int64_t left = integer_of(status, "disruptionsAllowed", 0) - 1;
	char now[API_TIME_BYTES];

	if (refusal)
		return refusal;
	api_time_format(change->request->received_realtime_ns, now);
	json_set_integer(change->arena, status, "disruptionsAllowed", left);
	json_set_text(change->arena, json_ensure_object(change->arena, status, "disruptedPods"),
	              write->request->route.name, now);
	if (!left)
		set_condition(change, "DisruptionAllowed", "False", "InsufficientPods", "");
	return NULL;
}

static void on_budget_written(struct write_op *write, struct stored_object *object, struct json *tree)
{
	struct eviction_op *op = container_of(write, struct eviction_op, budget);

	(void)object;
	(void)tree;
	mark_and_delete(op);
}

static void write_budget(struct eviction_op *op)
{
	struct request *request = op->request;

	op->budget = (struct write_op){
	        .request = request,
	        .transform = take_disruption,
	        .finish = on_budget_written,
	        .name = op->budget_name,
	        .skip_version_check = true,
	};
	request->route.resource = budgets();
	request->route.subresource_name = "status";
	write_op_start(&op->budget);
}

static bool selects(struct arena *arena, const struct json *budget, const struct json *pod)
{
	struct label_selector *selector;

	return label_selector_from_json(arena, json_path(budget, "spec", "selector"), &selector, NULL) == 0 &&
	       label_selector_matches_json(selector, json_path(pod, "metadata", "labels"));
}

// How many there are; `ret_budget` is one of them.
static size_t find_budgets(struct eviction_op *op, const struct storage_list *list, const struct json **ret_budget)
{
	struct arena *arena = op->request->arena;
	size_t found = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct json *budget = object_load_plain(arena, budgets(), list->objects[i], NULL);

		if (budget && selects(arena, budget, op->pod)) {
			*ret_budget = budget;
			found++;
		}
	}
	return found;
}

// An unready pod is no disruption where the budget says so, or while enough others are healthy.
static bool may_go_unready(const struct json *budget)
{
	const struct json *status = json_get(budget, "status");
	int64_t wanted = integer_of(status, "desiredHealthy", 0);

	return text_is(json_get(budget, "spec"), "unhealthyPodEvictionPolicy", "AlwaysAllow") ||
	       (wanted > 0 && integer_of(status, "currentHealthy", 0) >= wanted);
}

static void refuse_several(struct request *request)
{
	struct json *body = json_object(request->arena);

	json_set_text(request->arena, body, "kind", "Status");
	json_set_text(request->arena, body, "apiVersion", "v1");
	json_set(request->arena, body, "metadata", json_object(request->arena));
	json_set_text(request->arena, body, "status", "Failure");
	json_set_text(
	        request->arena, body, "message",
	        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
	json_set_integer(request->arena, body, "code", 500);
	request_finish_tree(request, 500, body);
}

static void ask_budget(struct eviction_op *op, const struct json *pod, const struct json *budget)
{
	const struct status *status;

	op->budget_name = object_name(budget);
	if (!is_ready(pod) && may_go_unready(budget)) {
		op->is_unguarded = true;
		op->options.precondition_resource_version = object_resource_version(pod);
		mark_and_delete(op);
		return;
	}
	if (!op->options.dry_run) {
		write_budget(op);
		return;
	}
	status = check_budget(op->request, budget);
	if (status)
		request_finish_status(op->request, status);
	else
		mark_and_delete(op);
}

static void on_budgets(void *context, const struct storage_list *list, const struct err *err)
{
	struct eviction_op *op = context;
	const struct json *budget = NULL;
	size_t count;

	if (err) {
		request_finish_status(op->request, status_from_err(op->request->arena, err, budgets(), ""));
		return;
	}
	count = find_budgets(op, list, &budget);
	if (count > 1)
		refuse_several(op->request);
	else if (count)
		ask_budget(op, op->pod, budget);
	else
		mark_and_delete(op);
}

// No budget that has been written may be missed, however new.
static void ask_budgets(struct eviction_op *op, const struct json *pod)
{
	struct storage_read read = {.resource = budgets(),
	                            .namespace_name = op->request->route.namespace_name,
	                            .freshness = STORAGE_CONSISTENT};

	op->pod = pod;
	storage_list(op->request->server->storage, &read, op->request->loop, on_budgets, op);
}

// --- the pod ------------------------------------------------------------------------------------------

static void on_pod(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct eviction_op *op = context;
	struct request *request = op->request;
	struct json *pod;

	(void)revision;
	if (err) {
		request_finish_status(request, status_from_err(request->arena, err, pods(), request->route.name));
		return;
	}
	pod = object_load(request->arena, pods(), object, NULL);
	if (!pod) {
		request_finish_status(request, status_internal(request->arena, "unreadable pod"));
	} else if (is_over(pod)) {
		mark_and_delete(op);
	} else if (text_is(json_get(pod, "status"), "phase", "Pending")) {
		if (!op->wanted.precondition_resource_version && op->tries < EVICTION_TRIES)
			op->options.precondition_resource_version = object_resource_version(pod);
		mark_and_delete(op);
	} else {
		ask_budgets(op, pod);
	}
}

static void look_at_pod(struct eviction_op *op)
{
	struct storage_read read = {.resource = pods(),
	                            .namespace_name = op->request->route.namespace_name,
	                            .name = op->request->route.name,
	                            .freshness = STORAGE_CONSISTENT};

	op->tries++;
	op->options = op->wanted;
	op->is_unguarded = false;
	storage_get(op->request->server->storage, &read, op->request->loop, on_pod, op);
}

// --- the request ----------------------------------------------------------------------------------------

static const struct status *read_eviction(struct request *request)
{
	struct body_kind kind = body_kind_of_route(&request->route);
	struct json *eviction = NULL, *options;
	const struct status *status;
	const char *name;

	kind.older_version = "v1beta1";
	status = body_decode_object(request, &kind, &eviction);
	if (status)
		return status;
	name = object_name(eviction);
	if (strcmp(name ? name : "", request->route.name))
		return status_new(request->arena, ERR_BAD_REQUEST,
		                  "name in URL does not match name in Eviction object");
	options = json_get(eviction, "deleteOptions");
	return json_is(options, JSON_OBJECT) ? request_options_add_delete(request->arena, options, &request->options)
	                                     : NULL;
}

void eviction_serve(struct request *request)
{
	struct eviction_op *op = ARENA_NEW(request->arena, struct eviction_op);
	const struct status *status = read_eviction(request);

	op->request = request;
	op->wanted = request->options;
	if (status)
		request_finish_status(request, status);
	else
		look_at_pod(op);
}
