// SPDX-License-Identifier: Apache-2.0
#include "ctl/rollout_status.h"

#include "common/api/object.h"
#include "ctl/commands/rollout_children.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/object_wait.h"
#include "ctl/resources.h"
#include "ctl/selection.h"

static struct {
	struct selection_options selection;
	bool watch;
	int64_t revision, timeout_ns;
} arg = {.watch = true};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        {"watch", 'w', OPTION_BOOL, &arg.watch, NULL, NULL, "Watch until it is done"},
        {"revision", 0, OPTION_INT, &arg.revision, NULL, NULL, "The revision that must be running; 0 = any"},
        {"timeout", 0, OPTION_DURATION, &arg.timeout_ns, NULL, NULL, "How long to watch; 0 = for ever"},
        {0},
};

struct follower {
	struct ctl *ctl;
	const struct schema_resource *resource;
	bool failed;
};

static struct json *with_kind(struct ctl *ctl, const struct schema_resource *resource, const struct json *object)
{
	struct json *copy = json_clone(ctl->arena, object);
	if (!object_kind(copy))
		json_set_text(ctl->arena, copy, "kind", resource->kind);
	return copy;
}

static bool look(void *context, const struct json *object)
{
	struct follower *follower = context;
	struct ctl *ctl = follower->ctl;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	struct err err = ERR_INIT;
	if (!object) {
		report(ctl, "object has been deleted");
		follower->failed = true;
		return true;
	}
	enum rollout_state state =
	        rollout_status(with_kind(ctl, follower->resource, object), arg.revision, &text, &err);
	fputs(strbuf_text(&text), ctl->out);
	fflush(ctl->out);
	if (state == ROLLOUT_FAILED) {
		report_err(ctl, &err);
		follower->failed = true;
	}
	return state != ROLLOUT_WAITING || !arg.watch;
}

static void follow(struct ctl *ctl, const struct target *target, int64_t deadline_ns)
{
	struct follower follower = {.ctl = ctl, .resource = target->resource};
	if (!rollout_knows(target->resource->kind)) {
		report(ctl, "no status viewer has been implemented for %s", target->resource->kind);
		return;
	}
	if (object_wait(ctl, target, deadline_ns, look, &follower) == OBJECT_WAIT_TIMEOUT)
		report(ctl, "timed out waiting for the condition");
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	if (argc == 0 && !arg.selection.manifest.filenames.count)
		return report(ctl, "required resource not specified");
	if (!selection_fetch(ctl, &arg.selection, argc, argv, &targets))
		return EXIT_PROBLEM;
	int64_t deadline_ns = object_wait_deadline(ctl, arg.timeout_ns);
	for (size_t i = 0; i < targets.count; i++)
		follow(ctl, &targets.items[i], deadline_ns);
	return EXIT_OK;
}

const struct command command_rollout_status = {
        .name = "status",
        .summary = "Show the status of the rollout",
        .usage = "(TYPE NAME | TYPE/NAME) [flags]",
        .options = options,
        .run = run,
};
