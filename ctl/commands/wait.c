// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "common/api/object.h"
#include "common/base/clock.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/object_wait.h"
#include "ctl/output.h"
#include "ctl/resources.h"
#include "ctl/selection.h"
#include "ctl/wait_condition.h"

#define ONE_WEEK_NS (7 * 24 * 3600 * NSEC_PER_SEC)

static struct {
	struct selection_options selection;
	struct output_options output;
	struct string_list conditions;
	bool local;
	int64_t timeout_ns;
} arg = {.output = OUTPUT_OPTIONS_INIT, .timeout_ns = 30 * NSEC_PER_SEC};

static const struct option options[] = {
        {"for", 0, OPTION_STRING_ARRAY, &arg.conditions, NULL, "",
         "create, delete, condition=NAME[=VALUE], jsonpath='{PATH}'[=VALUE]"},
        {"timeout", 0, OPTION_DURATION, &arg.timeout_ns, NULL, NULL,
         "How long to wait; 0 = look once, negative = a week"},
        {"local", 0, OPTION_BOOL, &arg.local, NULL, NULL, "Accepted for compatibility"},
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        FIELD_SELECTOR_OPTION_ROW(arg.selection),
        ALL_OPTION_ROW(arg.selection),
        ALL_NAMESPACES_OPTION_ROW(arg.selection),
        OUTPUT_OPTION_ROWS(arg.output),
        {0},
};

struct watcher {
	const struct wait_condition *condition;
	struct ctl *ctl;
	const char *uid; // of the object whose deletion is waited for; NULL = any
	struct json *last;
	bool holds;
};

static bool look(void *context, const struct json *object)
{
	struct watcher *watcher = context;
	if (object)
		watcher->last = json_clone(watcher->ctl->arena, object);
	if (object && watcher->uid && object_uid(object) && strcmp(watcher->uid, object_uid(object)) != 0)
		object = NULL; // another one of that name
	watcher->holds = wait_condition_holds(watcher->condition, object);
	return watcher->holds;
}

static bool look_once(void *context, const struct json *object)
{
	(void)look(context, object);
	return true;
}

static void tell(struct ctl *ctl, struct output *output, const struct target *target, const struct json *object)
{
	if (output_is_object(output) && object)
		output_print(ctl, output, target->resource, object);
	else
		fprintf(ctl->out, "%s condition met\n", object_display_name(ctl, target->resource, target->name));
	fflush(ctl->out);
}

static void wait_for(struct ctl *ctl, struct output *output, const struct target *target,
                     const struct wait_condition *condition, int64_t deadline_ns)
{
	struct watcher watcher = {.condition = condition, .ctl = ctl};
	if (condition->kind == WAIT_DELETE && target->object)
		watcher.uid = object_uid(target->object);
	enum object_wait_outcome outcome =
	        object_wait(ctl, target, deadline_ns, arg.timeout_ns == 0 ? look_once : look, &watcher);
	if (outcome == OBJECT_WAIT_FAILED)
		return;
	if (watcher.holds)
		tell(ctl, output, target, watcher.last);
	else
		report(ctl, "timed out waiting for the condition on %s/%s", resource_plural_name(ctl, target->resource),
		       target->name);
}

// Named objects may not be there yet (create) or any more (delete).
static bool find_targets(struct ctl *ctl, int argc, char **argv, enum wait_kind kind, struct target_list *targets)
{
	struct target_list pointed = {0};
	if (kind != WAIT_DELETE && kind != WAIT_CREATE)
		return selection_fetch(ctl, &arg.selection, argc, argv, targets);
	if (!selection_resolve(ctl, &arg.selection, argc, argv, &pointed))
		return false;
	if (pointed.count && !pointed.items[0].name)
		return selection_fetch(ctl, &arg.selection, argc, argv, targets);
	for (size_t i = 0; i < pointed.count; i++) {
		struct rest_response response;
		struct target target = pointed.items[i];
		const struct rest_request request = {
		        .method = "GET",
		        .resource = target.resource,
		        .namespace_name = target.namespace_name,
		        .name = target.name,
		};
		bool there = ctl_call(ctl, &request, &response);
		bool absent = !there && response.err.code == ERR_NOT_FOUND && response.http_status;
		if (!there && !absent) {
			report_response(ctl, &response, NULL);
			continue;
		}
		target.object = there ? response.object : NULL;
		if (there || kind == WAIT_CREATE)
			target_list_add(ctl->arena, targets, &target);
	}
	return true;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct output output;
	struct err err = ERR_INIT;
	if (!arg.conditions.count)
		return report(ctl, "required flag(s) \"for\" not set");
	struct wait_condition *conditions = ARENA_ARRAY(ctl->arena, struct wait_condition, arg.conditions.count);
	for (size_t i = 0; i < arg.conditions.count; i++)
		if (wait_condition_parse(ctl->arena, arg.conditions.items[i], &conditions[i], &err) < 0)
			return report_err(ctl, &err);
	if (!output_init(ctl, &arg.output, false, &output) ||
	    !find_targets(ctl, argc, argv, conditions[0].kind, &targets))
		return EXIT_PROBLEM;
	if (!targets.count && !ctl->failed && conditions[0].kind != WAIT_DELETE)
		return report(ctl, "no matching resources found");
	int64_t deadline_ns = object_wait_deadline(ctl, arg.timeout_ns < 0 ? ONE_WEEK_NS : arg.timeout_ns);
	for (size_t i = 0; i < targets.count; i++)
		for (size_t k = 0; k < arg.conditions.count; k++)
			wait_for(ctl, &output, &targets.items[i], &conditions[k], deadline_ns);
	return EXIT_OK;
}

const struct command command_wait = {
        .name = "wait",
        .group = COMMAND_ADVANCED,
        .summary = "Wait for a specific condition on one or many resources",
        .usage = "([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) "
                 "--for=create|delete|condition=NAME[=VALUE]|jsonpath='{PATH}'[=VALUE]",
        .examples = "  ctl wait --for=condition=Ready node --all --timeout=60s\n  ctl wait --for=delete pod/web-0\n"
                    "  ctl wait --for=jsonpath='{.status.phase}'=Running pod/web-0",
        .options = options,
        .run = run,
};
