// SPDX-License-Identifier: Apache-2.0
// pods/eviction: a delete that asks the disruption budgets first.
//
//   read budgets ──► none matches, or the pod is finished or never ran ──► delete
//                └─► one: its disruptionsAllowed is taken down by a swap ──► delete
//                └─► one that allows none: 429; several: 500

#include <string.h>

#include "apiserver/body.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/delete_one.h"
#include "apiserver/registry/registry_write.h"
#include "apiserver/registry/subresources.h"
#include "apiserver/server.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"
#include "common/base/memory.h"

struct eviction_op {
	struct request *request;
	struct request_options options;
	struct delete_one deletion;
	struct write_op budget;
	const char *budget_name;
};

static const struct schema_resource *pods(void)
{
	return schema_find_resource("", "v1", "pods");
}

static const struct schema_resource *budgets(void)
{
	return schema_find_resource("policy", "v1", "poddisruptionbudgets");
}

// --- the delete ---------------------------------------------------------------------------------

static void on_deleted(struct delete_one *one, const struct status *status, struct stored_object *object)
{
	struct eviction_op *op = one->context;
	struct request *request = op->request;
	struct json *body;

	(void)object;
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

	op->deletion.request = request;
	op->deletion.options = &op->options;
	op->deletion.done = on_deleted;
	op->deletion.context = op;
	op->deletion.change = (struct change){
	        .request = request,
	        .server = request->server,
	        .arena = request->arena,
	        .resource = pods(),
	        .subresource = "",
	        .name = request->route.name,
	        .namespace_name = request->route.namespace_name,
	};
	delete_one_start(&op->deletion);
}

// --- the budget -----------------------------------------------------------------------------------

static const struct status *refuse(struct request *request, const char *budget, int64_t needed, int64_t healthy)
{
	const struct status *status = status_too_many_requests(
	        request->arena, 10, "Cannot evict pod as it would violate the pod's disruption budget.");

	return status_with_cause(
	        request->arena, status,
	        (struct status_cause){
	                .reason = "DisruptionBudget",
	                .message = arena_printf(request->arena,
	                                        "The disruption budget %s needs %lld healthy pods and has %lld "
	                                        "currently",
	                                        budget, (long long)needed, (long long)healthy)});
}

// Takes one disruption of the budget and notes the pod.
static const struct status *take_disruption(struct write_op *write)
{
	struct change *change = &write->change;
	struct json *status = json_ensure_object(change->arena, change->object, "status");
	struct json *disrupted = json_ensure_object(change->arena, status, "disruptedPods");
	int64_t allowed = integer_of(status, "disruptionsAllowed", 0);
	char now[API_TIME_BYTES];

	if (integer_of(status, "observedGeneration", 0) <
	    integer_of(json_get(change->object, "metadata"), "generation", 0))
		return status_too_many_requests(
		        change->arena, 10,
		        arena_printf(change->arena,
		                     "Cannot evict pod as it would violate the pod's disruption "
		                     "budget. The disruption budget %s is still being processed "
		                     "by the server.",
		                     change->name));
	if (allowed <= 0)
		return refuse(write->request, change->name, integer_of(status, "desiredHealthy", 0),
		              integer_of(status, "currentHealthy", 0));
	api_time_format(change->request->received_realtime_ns, now);
	json_set_integer(change->arena, status, "disruptionsAllowed", allowed - 1);
	json_set_text(change->arena, disrupted, write->request->route.name, now);
	return NULL;
}

static void on_budget_written(struct write_op *write, struct stored_object *object, struct json *tree)
{
	struct eviction_op *op = container_of(write, struct eviction_op, budget);

	(void)object;
	(void)tree;
	op->request->route.resource = pods();
	delete_pod(op);
}

static void write_budget(struct eviction_op *op)
{
	struct request *request = op->request;

	op->budget.request = request;
	op->budget.transform = take_disruption;
	op->budget.finish = on_budget_written;
	op->budget.name = op->budget_name;
	op->budget.skip_version_check = true;
	request->route.resource = budgets();
	request->route.subresource_name = "status";
	write_op_start(&op->budget);
}

static bool selects(const struct json *budget, const struct json *pod)
{
	const struct json *labels = json_path(pod, "metadata", "labels");
	const struct json *selector = json_path(budget, "spec", "selector");

	if (!is_present(selector))
		return false;
	json_for_each_member (wanted, json_get(selector, "matchLabels")) {
		const char *held = json_get_text(labels, wanted->key);

		if (!held || !json_text(wanted->value) || strcmp(held, json_text(wanted->value)))
			return false;
	}
	json_for_each_item (expression, json_get(selector, "matchExpressions")) {
		const char *held = json_get_text(labels, text_of(expression, "key"));
		const char *operator= text_of(expression, "operator");
		bool in = false;

		json_for_each_item (value, json_get(expression, "values"))
			in |= held && json_text(value) && !strcmp(held, json_text(value));
		if ((!strcmp(operator, "In") && !in) || (!strcmp(operator, "NotIn") && in) ||
		    (!strcmp(operator, "Exists") && !held) || (!strcmp(operator, "DoesNotExist") && held))
			return false;
	}
	return true;
}

static size_t find_budgets(struct eviction_op *op, const struct json *pod)
{
	struct stored_object **all;
	size_t count =
	        storage_peek_all(op->request->server->storage, budgets(), op->request->route.namespace_name, &all);
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		struct json *budget = object_load_plain(op->request->arena, budgets(), all[i], NULL);

		if (budget && selects(budget, pod)) {
			op->budget_name = arena_strdup(op->request->arena, all[i]->name);
			found++;
		}
		stored_object_unref(all[i]);
	}
	free(all);
	return found;
}

static bool needs_no_budget(const struct json *pod)
{
	const char *phase = text_of(json_get(pod, "status"), "phase");

	return !strcmp(phase, "Succeeded") || !strcmp(phase, "Failed") || !strcmp(phase, "Pending") ||
	       object_is_being_deleted(pod);
}

static void on_pod(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct eviction_op *op = context;
	struct request *request = op->request;
	struct json *pod;
	size_t count;

	(void)revision;
	if (err) {
		request_finish_status(request, status_from_err(request->arena, err, pods(), request->route.name));
		return;
	}
	pod = object_load_plain(request->arena, pods(), object, NULL);
	count = needs_no_budget(pod) ? 0 : find_budgets(op, pod);
	if (count > 1)
		request_finish_status(request,
		                      status_internal(request->arena,
		                                      "This pod has more than one PodDisruptionBudget, which the "
		                                      "eviction subresource does not support."));
	else if (count && !request->options.dry_run)
		write_budget(op);
	else
		delete_pod(op);
}

void eviction_serve(struct request *request)
{
	struct eviction_op *op = ARENA_NEW(request->arena, struct eviction_op);
	struct body_kind kind = body_kind_of_route(&request->route);
	struct storage_read read = {.resource = pods(),
	                            .namespace_name = request->route.namespace_name,
	                            .name = request->route.name,
	                            .freshness = STORAGE_CONSISTENT};
	const struct status *status;
	struct json *eviction = NULL;

	op->request = request;
	status = body_decode_object(request, &kind, &eviction);
	if (!status && json_is(json_get(eviction, "deleteOptions"), JSON_OBJECT))
		status = request_options_add_delete(request->arena, json_get(eviction, "deleteOptions"),
		                                    &request->options);
	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->options = request->options;
	storage_get(request->server->storage, &read, request->loop, on_pod, op);
}
