// SPDX-License-Identifier: Apache-2.0
// RuntimeClass: a pod's class exists, and lends the pod its overhead, node selector
// and tolerations.

#include <string.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/validation/validation.h"
#include "common/api/quantity.h"

static bool is_new_pod(const struct change *change)
{
	return change_is_for(change, "", "pods") && !change->subresource[0];
}

// NULL with *ret_class NULL: the pod names none.
static const struct status *find_class(const struct change *change, struct json **ret_class)
{
	const char *name = text_of(json_get(change->object, "spec"), "runtimeClassName");

	*ret_class = NULL;
	if (!name[0])
		return NULL;
	*ret_class = admission_peek(change, schema_find_resource("node.k8s.io", "v1", "runtimeclasses"), "", name);
	return *ret_class ? NULL : admission_forbid(change, "pod rejected: RuntimeClass \"%s\" not found", name);
}

static bool covers(const struct json *a, const struct json *b)
{
	json_for_each_member (amount, a) {
		const char *text = json_text(amount->value), *other = json_get_text(b, amount->key);
		struct quantity first, second;

		if (!text || !other || quantity_parse(text, &first, NULL) < 0 ||
		    quantity_parse(other, &second, NULL) < 0 || quantity_compare(&first, &second))
			return false;
	}
	return true;
}

static bool same_amounts(const struct json *a, const struct json *b)
{
	return length_of(a) == length_of(b) && covers(a, b);
}

static const struct status *set_overhead(struct change *change, struct json *spec, const struct json *class)
{
	const struct json *wanted = json_path(class, "overhead", "podFixed"), *sent = json_get(spec, "overhead");

	if (!is_present(json_get(class, "overhead")))
		return NULL;
	if (length_of(sent) && !same_amounts(sent, wanted))
		return admission_forbid(change,
		                        "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
	if (length_of(wanted))
		json_set(change->arena, spec, "overhead", json_clone(change->arena, wanted));
	return NULL;
}

static const struct status *set_node_selector(struct change *change, struct json *spec, const struct json *wanted)
{
	if (!length_of(wanted))
		return NULL;
	json_for_each_member (label, wanted) {
		const char *held = json_get_text(json_get(spec, "nodeSelector"), label->key);
		const char *value = json_text(label->value) ? json_text(label->value) : "";

		if (held && strcmp(held, value))
			return admission_forbid(change,
			                        "conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; "
			                        "pod.spec.nodeSelector[%s] = %s",
			                        label->key, value, label->key, held);
		json_set_text(change->arena, json_ensure_object(change->arena, spec, "nodeSelector"), label->key,
		              value);
	}
	return NULL;
}

static void add_tolerations(struct change *change, struct json *spec, const struct json *wanted)
{
	if (!length_of(wanted))
		return;
	json_for_each_item (toleration, wanted) {
		struct json *list = json_ensure_array(change->arena, spec, "tolerations");
		bool held = false;

		json_for_each_item (other, list)
			held |= json_equal(other, toleration);
		if (!held)
			json_append(change->arena, list, json_clone(change->arena, toleration));
	}
}

const struct status *admission_runtime_class_mutate(struct change *change, enum admission_operation operation)
{
	const struct status *status;
	struct json *class, *spec;

	(void)operation;
	if (!is_new_pod(change))
		return NULL;
	status = find_class(change, &class);
	if (status || !class)
		return status;
	spec = json_ensure_object(change->arena, change->object, "spec");
	status = set_overhead(change, spec, class);
	if (!status)
		status = set_node_selector(change, spec, json_path(class, "scheduling", "nodeSelector"));
	if (!status)
		add_tolerations(change, spec, json_path(class, "scheduling", "tolerations"));
	return status;
}

const struct status *admission_runtime_class_validate(struct change *change, enum admission_operation operation)
{
	const struct status *status;
	const struct json *overhead;
	struct json *class;

	(void)operation;
	if (!is_new_pod(change))
		return NULL;
	status = find_class(change, &class);
	if (status)
		return status;
	overhead = json_path(change->object, "spec", "overhead");
	if (class && is_present(json_get(class, "overhead"))) {
		if (!same_amounts(overhead, json_path(class, "overhead", "podFixed")))
			return admission_forbid(
			        change, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
	} else if (length_of(overhead)) {
		return admission_forbid(
		        change, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
	}
	return NULL;
}
