// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/clock.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"
#include "ctl/selection.h"

static const char *last_seen(const struct json *event)
{
	const char *time = json_get_text(event, "lastTimestamp");
	const char *series = json_text(json_path(event, "series", "lastObservedTime"));
	if (series)
		return series;
	return time ? time : json_get_text(event, "eventTime");
}

static int compare_events(const void *one, const void *other)
{
	const char *a = last_seen(*(struct json *const *)one), *b = last_seen(*(struct json *const *)other);
	return strcmp(a ? a : "", b ? b : "");
}

// "5s", or "5s (x3 over 2m)".
static const char *age_text(struct describer *describer, const struct json *event)
{
	int64_t count = number_of(json_get(event, "series"), "count", number_of(event, "count", 1));
	const char *first = text_of(event, "firstTimestamp", json_get_text(event, "eventTime"));
	const char *age = age_of(describer, last_seen(event));
	if (count <= 1)
		return first && !json_get_text(event, "lastTimestamp") ? age_of(describer, first) : age;
	return ctl_printf(describer->ctl, "%s (x%" PRId64 " over %s)", age, count, age_of(describer, first));
}

static const char *source_of(const struct json *event)
{
	const char *source = json_text(json_path(event, "source", "component"));
	return source && source[0] ? source : text_of(event, "reportingComponent", "");
}

static const char *one_line(struct describer *describer, const char *message)
{
	size_t length = strlen(message);
	while (length && strchr(" \n\t", message[length - 1]))
		length--;
	return arena_strndup(describer->ctl->arena, message, length);
}

static bool find_events(struct describer *describer, const struct json *object, struct json **ret_items)
{
	struct ctl *ctl = describer->ctl;
	struct rest_response response;
	const char *namespace_name = object_namespace(object);
	const struct target events = {
	        .resource = schema_find_resource("", "v1", "events"),
	        .namespace_name = namespace_name && namespace_name[0] ? namespace_name : NULL,
	};
	const char *selector = ctl_printf(ctl, "involvedObject.name=%s", object_name(object));
	if (object_uid(object))
		selector = ctl_printf(ctl, "%s,involvedObject.uid=%s", selector,
		                      object_kind(object) && strcmp(object_kind(object), "Node") == 0
		                              ? object_name(object)
		                              : object_uid(object));
	if (!list_all(ctl, &events, query_add(ctl, NULL, "fieldSelector", selector), NULL, 500, &response))
		return false;
	*ret_items = json_get(response.object, "items");
	return true;
}

void describe_events(struct describer *describer, const struct json *object)
{
	struct json *items = NULL;
	if (!describer->show_events || !find_events(describer, object, &items))
		return;
	if (!items || !items->length) {
		describe_line(describer, 0, "Events:\t<none>");
		return;
	}
	qsort(items->items, items->length, sizeof(struct json *), compare_events);
	describe_line(describer, 0, "Events:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------");
	json_for_each_item (event, items)
		describe_line(describer, 1, "%s\t%s\t%s\t%s\t%s", text_of(event, "type", ""),
		              text_of(event, "reason", ""), age_text(describer, event), source_of(event),
		              one_line(describer, text_of(event, "message", "")));
}
