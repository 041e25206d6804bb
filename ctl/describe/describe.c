// SPDX-License-Identifier: Apache-2.0
#include "ctl/describe/describe.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/api/object.h"
#include "common/base/clock.h"
#include "ctl/ctl.h"
#include "ctl/tab_writer.h"

enum {
	DESCRIPTION_MAX_BYTES = 256 << 20,
	ANNOTATION_SHOWN = 140,
};

static const struct {
	const char *group;
	const char *kind;
	describe_function *describe;
} describers[] = {
        {"", "ConfigMap", describe_config_map},
        {"", "Namespace", describe_namespace},
        {"", "Node", describe_node},
        {"", "Pod", describe_pod},
        {"", "Secret", describe_secret},
        {"", "Service", describe_service},
        {"", "ServiceAccount", describe_service_account},
        {"apps", "DaemonSet", describe_daemon_set},
        {"apps", "Deployment", describe_deployment},
        {"apps", "ReplicaSet", describe_replica_set},
        {"apps", "StatefulSet", describe_stateful_set},
        {"batch", "Job", describe_job},
};

static describe_function *find_describer(const struct schema_resource *resource)
{
	for (size_t i = 0; i < ARRAY_SIZE(describers); i++)
		if (strcmp(describers[i].group, resource->group) == 0 &&
		    strcmp(describers[i].kind, resource->kind) == 0)
			return describers[i].describe;
	return describe_generic;
}

static void align(struct describer *describer, struct strbuf *out)
{
	struct tab_writer writer = TAB_WRITER_DESCRIBE;
	tab_writer_write(&writer, strbuf_text(&describer->lines), out);
	tab_writer_done(&writer);
	strbuf_done(&describer->lines);
}

static struct describer start(struct ctl *ctl, bool show_events)
{
	return (struct describer){
	        .ctl = ctl,
	        .lines = STRBUF_INIT(DESCRIPTION_MAX_BYTES),
	        .now_realtime_ns = clock_realtime_ns(&clock_system),
	        .show_events = show_events,
	};
}

void describe_object(struct ctl *ctl, const struct target *target, bool show_events, struct strbuf *out)
{
	struct describer describer = start(ctl, show_events);
	find_describer(target->resource)(&describer, target->object);
	align(&describer, out);
}

void describe_pod_template_text(struct ctl *ctl, const struct json *pod_template, struct strbuf *out)
{
	struct describer describer = start(ctl, false);
	describe_pod_template(&describer, pod_template);
	align(&describer, out);
}

// --- values ---------------------------------------------------------------------------------

const char *text_of(const struct json *object, const char *key, const char *fallback)
{
	const char *text = json_get_text(object, key);
	return text && text[0] ? text : fallback;
}

int64_t number_of(const struct json *object, const char *key, int64_t fallback)
{
	int64_t number = fallback;
	json_get_integer(object, key, &number);
	return number;
}

const char *scalar_text(struct describer *describer, const struct json *value)
{
	if (json_is(value, JSON_STRING))
		return value->text;
	if (!value || json_is(value, JSON_NULL))
		return "";
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(DESCRIPTION_MAX_BYTES);
	json_write(&text, value);
	return arena_strndup(describer->ctl->arena, strbuf_text(&text), text.length);
}

const char *time_text(struct describer *describer, const char *rfc3339)
{
	int64_t realtime_ns;
	char text[64];
	struct tm parts;
	if (!api_time_parse(rfc3339, &realtime_ns))
		return "<unset>";
	time_t seconds = realtime_ns / NSEC_PER_SEC;
	localtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", &parts);
	return arena_strdup(describer->ctl->arena, text);
}

const char *age_of(struct describer *describer, const char *rfc3339)
{
	int64_t realtime_ns;
	char text[HUMAN_DURATION_BYTES];
	if (!api_time_parse(rfc3339, &realtime_ns))
		return "<unknown>";
	human_duration(describer->now_realtime_ns - realtime_ns, text);
	return arena_strdup(describer->ctl->arena, text);
}

// --- lines ------------------------------------------------------------------------------------

void describe_line(struct describer *describer, int level, const char *format, ...)
{
	va_list args;
	for (int i = 0; i < level; i++)
		strbuf_append_text(&describer->lines, "  ");
	va_start(args, format);
	strbuf_vprintf(&describer->lines, format, args);
	va_end(args);
	strbuf_append_char(&describer->lines, '\n');
}

void describe_names(struct describer *describer, const struct json *object)
{
	const char *namespace_name = object_namespace(object);
	describe_line(describer, 0, "Name:\t%s", object_name(object) ? object_name(object) : "");
	if (namespace_name && namespace_name[0])
		describe_line(describer, 0, "Namespace:\t%s", namespace_name);
}

static struct json *sorted(struct describer *describer, const struct json *map)
{
	struct json *copy = json_clone(describer->ctl->arena, map);
	json_sort_keys(copy);
	return copy;
}

void describe_map(struct describer *describer, int level, const char *title, const struct json *map)
{
	if (!json_is(map, JSON_OBJECT) || !map->length) {
		describe_line(describer, level, "%s:\t<none>", title);
		return;
	}
	bool first = true;
	json_for_each_member (member, sorted(describer, map)) {
		if (first)
			describe_line(describer, level, "%s:\t%s=%s", title, member->key,
			              scalar_text(describer, member->value));
		else
			describe_line(describer, level, "\t%s=%s", member->key, scalar_text(describer, member->value));
		first = false;
	}
}

// Long values and those of several lines stand below their name, cut.
static void describe_annotation(struct describer *describer, int level, const char *title, const char *key,
                                const char *value)
{
	size_t length = strlen(value), shown = length;
	while (shown && value[shown - 1] == '\n')
		shown--;
	bool fits = shown + strlen(key) + 2 < ANNOTATION_SHOWN && !memchr(value, '\n', shown);
	if (fits) {
		describe_line(describer, level, "%s\t%s: %.*s", title, key, (int)shown, value);
		return;
	}
	describe_line(describer, level, "%s\t%s:", title, key);
	for (const char *line = value; line < value + shown;) {
		size_t line_length = strcspn(line, "\n");
		bool cut = line_length > ANNOTATION_SHOWN;
		describe_line(describer, level, "\t  %.*s%s", (int)(cut ? ANNOTATION_SHOWN : line_length), line,
		              cut ? "..." : "");
		line += line_length + 1;
	}
}

void describe_annotations(struct describer *describer, int level, const struct json *metadata)
{
	const struct json *map = json_get(metadata, "annotations");
	const char *title = "Annotations:";
	json_for_each_member (member, json_is(map, JSON_OBJECT) ? sorted(describer, map) : NULL) {
		if (strcmp(member->key, "kubectl.kubernetes.io/last-applied-configuration") == 0)
			continue;
		describe_annotation(describer, level, title, member->key, scalar_text(describer, member->value));
		title = "";
	}
	if (title[0])
		describe_line(describer, level, "%s\t<none>", title);
}
