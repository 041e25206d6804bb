// SPDX-License-Identifier: Apache-2.0
#include "ctl/pod_target.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/selector.h"
#include "common/base/strbuf.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/resources.h"
#include "ctl/selection.h"

#define DEFAULT_CONTAINER_ANNOTATION "kubectl.kubernetes.io/default-container"

// --- pods ---------------------------------------------------------------------------------------------

static int phase_rank(const struct json *pod)
{
	const char *phase = json_get_text(json_get(pod, "status"), "phase");
	static const char *const order[] = {"Running", "Unknown", "Pending"};
	for (size_t i = 0; phase && i < ARRAY_SIZE(order); i++)
		if (strcmp(order[i], phase) == 0)
			return (int)i;
	return ARRAY_SIZE(order);
}

static bool is_ready(const struct json *pod)
{
	json_for_each_item (condition, json_path(pod, "status", "conditions")) {
		const char *type = json_get_text(condition, "type"), *status = json_get_text(condition, "status");
		if (type && status && strcmp(type, "Ready") == 0)
			return strcmp(status, "True") == 0;
	}
	return false;
}

static int compare_pods(const void *one, const void *other)
{
	const struct json *a = *(struct json *const *)one, *b = *(struct json *const *)other;
	if (phase_rank(a) != phase_rank(b))
		return phase_rank(a) - phase_rank(b);
	if (is_ready(a) != is_ready(b))
		return is_ready(a) ? -1 : 1;
	const char *a_time = json_get_text(object_metadata(a), "creationTimestamp");
	const char *b_time = json_get_text(object_metadata(b), "creationTimestamp");
	int order = a_time && b_time ? strcmp(a_time, b_time) : 0;
	return order ? order : strcmp(object_name(a), object_name(b));
}

static bool selector_of(struct ctl *ctl, const struct target *target, struct label_selector **ret_selector)
{
	const struct json *value = json_path(target->object, "spec", "selector");
	bool is_plain = strcmp(target->resource->kind, "Service") == 0 ||
	                strcmp(target->resource->kind, "ReplicationController") == 0;
	struct err err = ERR_INIT;
	if (!json_is(value, JSON_OBJECT)) {
		report(ctl, "cannot get the pods of %s/%s: it has no selector", target->resource->plural, target->name);
		return false;
	}
	if (is_plain) { // a map of labels
		struct json *wrapped = json_object(ctl->arena);
		json_set(ctl->arena, wrapped, "matchLabels", json_clone(ctl->arena, value));
		value = wrapped;
	}
	if (label_selector_from_json(ctl->arena, value, ret_selector, &err) == 0)
		return true;
	report_err(ctl, &err);
	return false;
}

static struct json *as_pod(struct ctl *ctl, struct json *item)
{
	if (!object_kind(item)) {
		json_set_text(ctl->arena, item, "apiVersion", "v1");
		json_set_text(ctl->arena, item, "kind", "Pod");
	}
	return item;
}

bool pods_of(struct ctl *ctl, const struct target *target, struct json ***ret_pods, size_t *ret_count)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	struct label_selector *selector;
	struct rest_response response;
	const struct target pods = {
	        .resource = schema_find_resource("", "v1", "pods"),
	        .namespace_name = target->namespace_name,
	};
	if (!selector_of(ctl, target, &selector))
		return false;
	label_selector_write(selector, &text);
	if (!list_all(ctl, &pods, query_add(ctl, NULL, "labelSelector", strbuf_text(&text)), NULL, 500, &response)) {
		report_response(ctl, &response, NULL);
		return false;
	}
	const struct json *items = json_get(response.object, "items");
	size_t count = 0;
	*ret_pods = ARENA_ARRAY(ctl->arena, struct json *, items ? items->length : 0);
	json_for_each_item (item, items)
		(*ret_pods)[count++] = as_pod(ctl, item);
	qsort(*ret_pods, count, sizeof(struct json *), compare_pods);
	*ret_count = count;
	return true;
}

bool pod_word_fetch(struct ctl *ctl, const char *word, struct target *ret_target)
{
	const char *slash = strchr(word, '/');
	struct target target = {.resource = schema_find_resource("", "v1", "pods"), .name = word};
	if (slash) {
		target.resource = resource_find(ctl, arena_strndup(ctl->arena, word, (size_t)(slash - word)));
		target.name = slash + 1;
	}
	if (!target.resource)
		return false;
	target.namespace_name = target.resource->namespaced ? ctl_namespace(ctl) : NULL;
	target.object = target_fetch(ctl, &target);
	*ret_target = target;
	return target.object != NULL;
}

struct json *pod_find(struct ctl *ctl, const char *word, bool tell)
{
	struct target target;
	struct json **pods;
	size_t count;
	if (!pod_word_fetch(ctl, word, &target))
		return NULL;
	if (strcmp(target.resource->kind, "Pod") == 0)
		return target.object;
	if (!pods_of(ctl, &target, &pods, &count))
		return NULL;
	if (!count) {
		report(ctl, "no pods found for %s/%s", target.resource->plural, target.name);
		return NULL;
	}
	if (tell && count > 1)
		fprintf(ctl->err, "Found %zu pods, using pod/%s\n", count, object_name(pods[0]));
	return pods[0];
}

// --- containers -----------------------------------------------------------------------------------------

static const struct {
	const char *list;
	const char *mark;
} container_lists[] = {
        {"containers", ""},
        {"initContainers", " (init)"},
        {"ephemeralContainers", " (ephem)"},
};

const char *pod_container_names(struct ctl *ctl, const struct json *pod)
{
	AUTO_STRBUF struct strbuf names = STRBUF_INIT(1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++)
		json_for_each_item (container, json_path(pod, "spec", container_lists[i].list))
			strbuf_printf(&names, "%s%s%s", names.length ? ", " : "", json_get_text(container, "name"),
			              container_lists[i].mark);
	return arena_strdup(ctl->arena, strbuf_text(&names));
}

static const char *find_container(const struct json *pod, const char *wanted)
{
	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++)
		json_for_each_item (container, json_path(pod, "spec", container_lists[i].list)) {
			const char *name = json_get_text(container, "name");
			if (name && strcmp(name, wanted) == 0)
				return name;
		}
	return NULL;
}

static size_t count_containers(const struct json *pod)
{
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++) {
		const struct json *list = json_path(pod, "spec", container_lists[i].list);
		count += json_is(list, JSON_ARRAY) ? list->length : 0;
	}
	return count;
}

const char *pod_container(struct ctl *ctl, const struct json *pod, const char *wanted, bool quiet, struct err *err)
{
	const char *preferred = json_text(json_path(pod, "metadata", "annotations", DEFAULT_CONTAINER_ANNOTATION));
	const struct json *containers = json_path(pod, "spec", "containers");
	if (wanted && wanted[0]) {
		const char *found = find_container(pod, wanted);
		if (!found)
			(void)err_set(err, ERR_NOT_FOUND, "container %s not found in pod %s", wanted, object_name(pod));
		return found;
	}
	if (preferred && preferred[0]) {
		if (find_container(pod, preferred))
			return preferred;
		fprintf(ctl->err, "Default container name \"%s\" not found in pod %s\n", preferred, object_name(pod));
	}
	if (!json_is(containers, JSON_ARRAY) || !containers->length) {
		(void)err_set(err, ERR_NOT_FOUND, "pod %s has no containers", object_name(pod));
		return NULL;
	}
	const char *first = json_get_text(containers->items[0], "name");
	if (!quiet && count_containers(pod) > 1)
		fprintf(ctl->err, "Defaulted container \"%s\" out of: %s\n", first, pod_container_names(ctl, pod));
	return first;
}
