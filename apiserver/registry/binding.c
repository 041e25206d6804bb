// SPDX-License-Identifier: Apache-2.0
// pods/binding: the scheduler's word on where a pod runs. Sets spec.nodeName once,
// merges the binding's annotations and marks the pod scheduled.

#include <string.h>

#include "apiserver/body.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry_write.h"
#include "apiserver/registry/subresources.h"
#include "apiserver/server.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"

struct binding_op {
	struct write_op write;
	const char *node;
	const struct json *binding;
};

static const struct status *conflict(const struct change *change, const char *why)
{
	return status_new_for(change->arena, ERR_CONFLICT, change->resource, change->name,
	                      "Operation cannot be fulfilled on pods/binding \"%s\": %s", change->name, why);
}

static const struct status *check(const struct change *change, const struct binding_op *op)
{
	const char *node = text_of(json_get(change->old, "spec"), "nodeName");
	const char *uid = object_uid(op->binding), *held = object_uid(change->old);

	if (uid && uid[0] && held && strcmp(uid, held))
		return conflict(change,
		                arena_printf(change->arena,
		                             "Precondition failed: UID in precondition: %s, UID in object meta: "
		                             "%s",
		                             uid, held));
	if (object_is_being_deleted(change->old))
		return conflict(change,
		                arena_printf(change->arena, "pod %s is being deleted, cannot be assigned to a host",
		                             change->name));
	if (node[0])
		return conflict(change, arena_printf(change->arena, "pod %s is already assigned to node \"%s\"",
		                                     change->name, node));
	if (length_of(json_path(change->old, "spec", "schedulingGates")))
		return conflict(change, arena_printf(change->arena, "pod %s has non-empty .spec.schedulingGates",
		                                     change->name));
	return NULL;
}

static void mark_scheduled(const struct change *change)
{
	struct json *status = json_ensure_object(change->arena, change->object, "status");
	struct json *condition = object_ensure_condition(change->arena, status, "PodScheduled");
	char now[API_TIME_BYTES];

	if (!strcmp(text_of(condition, "status"), "True"))
		return;
	api_time_format(change->request->received_realtime_ns, now);
	json_set_text(change->arena, condition, "status", "True");
	json_set(change->arena, condition, "lastProbeTime", json_null(change->arena));
	json_set_text(change->arena, condition, "lastTransitionTime", now);
	json_remove(condition, "reason");
	json_remove(condition, "message");
}

static const struct status *assign(struct write_op *write)
{
	struct binding_op *op = container_of(write, struct binding_op, write);
	struct change *change = &write->change;
	const struct status *status = check(change, op);
	struct json *annotations = json_path(op->binding, "metadata", "annotations");

	if (status)
		return status;
	json_set_text(change->arena, json_ensure_object(change->arena, change->object, "spec"), "nodeName", op->node);
	json_for_each_member (annotation, annotations)
		json_set(change->arena,
		         json_ensure_object(change->arena, json_get(change->object, "metadata"), "annotations"),
		         annotation->key, annotation->value);
	mark_scheduled(change);
	return NULL;
}

static void finish(struct write_op *op, struct stored_object *object, struct json *tree)
{
	struct json *body = json_object(op->request->arena);

	(void)object;
	(void)tree;
	json_set_text(op->request->arena, body, "kind", "Status");
	json_set_text(op->request->arena, body, "apiVersion", "v1");
	json_set(op->request->arena, body, "metadata", json_object(op->request->arena));
	json_set_text(op->request->arena, body, "status", "Success");
	json_set_integer(op->request->arena, body, "code", 201);
	request_finish_tree(op->request, 201, body);
}

static const struct status *validate(struct binding_op *op, const char *name)
{
	struct change described = {.arena = op->write.request->arena,
	                           .resource = schema_find_resource("", "v1", "bindings"),
	                           .name = name};
	const struct json *target = json_get(op->binding, "target");
	struct rule_path root = FIELD(NULL, "target");
	struct rule_path kind = FIELD(&root, "kind"), node = FIELD(&root, "name");
	static const char *const kinds[] = {"Node", "<empty>", NULL};
	struct validation v;

	validation_init(&v, &described);
	if (text_of(target, "kind")[0] && strcmp(text_of(target, "kind"), "Node"))
		validation_not_supported(&v, &kind, text_of(target, "kind"), kinds);
	if (!text_of(target, "name")[0])
		validation_required(&v, &node, "");
	return validation_status(&v);
}

void binding_serve(struct request *request)
{
	struct binding_op *op = ARENA_NEW(request->arena, struct binding_op);
	struct body_kind kind = body_kind_of(schema_find_resource("", "v1", "bindings"));
	struct json *binding = NULL;
	const struct status *status = body_decode_object(request, &kind, &binding);
	const char *name = request->route.name;

	op->write.request = request;
	op->binding = binding;
	if (!status) {
		if (!name[0])
			name = object_name(binding) ? object_name(binding) : "";
		status = validate(op, name);
	}
	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->node = text_of(json_get(binding, "target"), "name");
	request->route.resource = schema_find_resource("", "v1", "pods");
	request->route.subresource_name = "binding";
	op->write.name = name;
	op->write.transform = assign;
	op->write.finish = finish;
	op->write.skip_version_check = true;
	write_op_start(&op->write);
}
