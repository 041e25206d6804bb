// SPDX-License-Identifier: Apache-2.0
// Events, in both of their groups. One with an eventTime was written by a client
// that knows the new form and has to fill it in; events.k8s.io asks that of all,
// and lets nothing but the series change afterwards.

#include <string.h>

#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

enum {
	TEXT_MAX = 128,
	NOTE_MAX = 1024,
};

struct event_names {
	const char *reference;
	const char *controller;
	const char *instance;
	const char *note;
	const char *shown_controller;
};

static const struct event_names core_names = {"involvedObject", "reportingComponent", "reportingInstance", "message",
                                              "reportingComponent"};
static const struct event_names new_names = {"regarding", "reportingController", "reportingInstance", "note",
                                             "reportingController"};

static void at_most(struct validation *v, const struct json *event, const char *member, const char *shown,
                    size_t maximum)
{
	struct rule_path path = FIELD(NULL, shown);

	if (strlen(text_of(event, member)) > maximum)
		validation_invalid_text(v, &path, "",
		                        arena_printf(v->arena, "can have at most %zu characters", maximum));
}

static void required_text(struct validation *v, const struct json *event, const char *member, const char *shown)
{
	struct rule_path path = FIELD(NULL, shown);

	if (!text_of(event, member)[0])
		validation_required(v, &path, "");
	at_most(v, event, member, shown, TEXT_MAX);
}

static void validate_reference(struct validation *v, const struct json *event, const struct event_names *names,
                               bool complete)
{
	struct rule_path object = FIELD(NULL, "involvedObject"), path = FIELD(&object, "namespace");
	const char *of = text_of(json_get(event, names->reference), "namespace"), *own = v->change->namespace_name;
	bool matches = of[0] ? complete || !strcmp(of, own)
	                     : !strcmp(own, "default") || (complete && !strcmp(own, "kube-system"));

	if (!matches)
		validation_invalid_text(v, &path, of, "does not match event.namespace");
}

static void validate_complete(struct validation *v, const struct json *event, const struct event_names *names)
{
	struct rule_path controller = FIELD(NULL, names->shown_controller);

	if (!text_of(event, names->controller)[0])
		validation_required(v, &controller, "");
	validation_string(v, &controller, text_of(event, names->controller), check_qualified_name);
	required_text(v, event, names->instance, "reportingInstance");
	required_text(v, event, "action", "action");
	required_text(v, event, "reason", "reason");
	at_most(v, event, names->note, "message", NOTE_MAX);
}

// --- events.k8s.io -----------------------------------------------------------------------------------

static void validate_series(struct validation *v, const struct json *event)
{
	struct rule_path count = FIELD(NULL, "series.count"), time = FIELD(NULL, "series.lastObservedTime");
	const struct json *series = json_get(event, "series");

	if (!is_present(series))
		return;
	if (integer_of(series, "count", 0) < 2)
		validation_invalid_text(v, &count, "", "should be at least 2");
	if (!text_of(series, "lastObservedTime")[0])
		validation_required(v, &time, "");
}

static void validate_new(struct validation *v, const struct json *event)
{
	static const struct {
		const char *member, *shown;
	} unset[] = {{"deprecatedFirstTimestamp", "firstTimestamp"},
	             {"deprecatedLastTimestamp", "lastTimestamp"},
	             {"deprecatedCount", "count"}};
	const struct json *source = json_get(event, "deprecatedSource");
	struct rule_path time = FIELD(NULL, "eventTime"), type = FIELD(NULL, "type"),
	                 source_path = FIELD(NULL, "source");

	validate_series(v, event);
	if (!text_of(event, "eventTime")[0])
		validation_required(v, &time, "");
	if (!text_is(event, "type", "Normal") && !text_is(event, "type", "Warning"))
		validation_invalid_text(v, &type, "",
		                        arena_printf(v->arena, "has invalid value: %s", text_of(event, "type")));
	for (size_t i = 0; i < ARRAY_SIZE(unset); i++) {
		struct rule_path path = FIELD(NULL, unset[i].shown);

		if (!is_unset(json_get(event, unset[i].member)))
			validation_invalid_text(v, &path, "", "needs to be unset");
	}
	if (text_of(source, "component")[0] || text_of(source, "host")[0])
		validation_invalid_text(v, &source_path, "", "needs to be unset");
}

static void validate_new_update(struct validation *v, const struct json *event)
{
	static const struct {
		const char *member, *shown;
	} fixed[] = {{"regarding", "involvedObject"},
	             {"reason", "reason"},
	             {"note", "message"},
	             {"deprecatedSource", "source"},
	             {"deprecatedFirstTimestamp", "firstTimestamp"},
	             {"deprecatedLastTimestamp", "lastTimestamp"},
	             {"deprecatedCount", "count"},
	             {"type", "type"},
	             {"eventTime", "eventTime"},
	             {"action", "action"},
	             {"related", "related"},
	             {"reportingController", "reportingController"},
	             {"reportingInstance", "reportingInstance"}};
	const struct json *old = v->change->old;

	if (!rule_equal(json_get(event, "series"), json_get(old, "series")))
		validate_series(v, event);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		struct rule_path path = FIELD(NULL, fixed[i].shown);

		if (!rule_equal(json_get(event, fixed[i].member), json_get(old, fixed[i].member)))
			validation_invalid(v, &path, json_get(event, fixed[i].member), IMMUTABLE_DETAIL);
	}
}

void validate_event(struct validation *v)
{
	bool core = !v->change->resource->group[0];
	const struct event_names *names = core ? &core_names : &new_names;
	const struct json *event = v->change->object;
	bool complete = text_of(event, "eventTime")[0];

	validate_reference(v, event, names, complete);
	if (complete)
		validate_complete(v, event, names);
	if (core)
		return;
	if (change_is_create(v->change))
		validate_new(v, event);
	else
		validate_new_update(v, event);
}
