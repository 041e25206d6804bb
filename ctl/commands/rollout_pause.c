// SPDX-License-Identifier: Apache-2.0
// pause, resume and restart: small patches of a workload's spec.

#include <string.h>

#include "common/api/object.h"
#include "common/io/loop.h"
#include "ctl/commands/rollout_children.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/resources.h"
#include "ctl/rollout_status.h"
#include "ctl/selection.h"
#include "ctl/write.h"

#define RESTARTED_AT_ANNOTATION "kubectl.kubernetes.io/restartedAt"

static struct {
	struct selection_options selection;
	struct write_options write;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-rollout")};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        {"field-manager", 0, OPTION_STRING, &arg.write.field_manager, NULL, "", "Name under which fields are owned"},
        OUTPUT_OPTION_ROWS(arg.write.output),
        {0},
};

// The patch for one object; NULL when there is none to make (reported).
typedef struct json *make_patch(struct ctl *ctl, const struct target *target);

static bool is_deployment(const struct target *target)
{
	return strcmp(target->resource->kind, "Deployment") == 0;
}

static bool is_paused(const struct target *target)
{
	return json_get_bool(json_get(target->object, "spec"), "paused", false);
}

static void refuse(struct ctl *ctl, const struct target *target, const char *why)
{
	report(ctl, "%s \"%s\" %s", resource_plural_name(ctl, target->resource), target->name, why);
}

static struct json *set_paused(struct ctl *ctl, const struct target *target, bool paused)
{
	struct json *patch = json_object(ctl->arena), *spec = json_ensure_object(ctl->arena, patch, "spec");
	if (!is_deployment(target)) {
		refuse(ctl, target, paused ? "pausing is not supported" : "resuming is not supported");
		return NULL;
	}
	if (is_paused(target) == paused) {
		refuse(ctl, target, paused ? "is already paused" : "is not paused");
		return NULL;
	}
	if (paused)
		json_set_bool(ctl->arena, spec, "paused", true);
	else
		json_set(ctl->arena, spec, "paused", json_null(ctl->arena));
	return patch;
}

static struct json *pause_patch(struct ctl *ctl, const struct target *target)
{
	return set_paused(ctl, target, true);
}

static struct json *resume_patch(struct ctl *ctl, const struct target *target)
{
	return set_paused(ctl, target, false);
}

static struct json *restart_patch(struct ctl *ctl, const struct target *target)
{
	char now[API_TIME_BYTES];
	if (!rollout_knows(target->resource->kind)) {
		refuse(ctl, target, "restarting is not supported");
		return NULL;
	}
	if (is_paused(target)) {
		refuse(ctl, target, "can't restart paused deployment (run rollout resume first)");
		return NULL;
	}
	api_time_format(loop_realtime_ns(ctl->loop), now);
	struct json *patch = json_object(ctl->arena), *inner = patch;
	static const char *const path[] = {"spec", "template", "metadata", "annotations"};
	for (size_t i = 0; i < ARRAY_SIZE(path); i++)
		inner = json_ensure_object(ctl->arena, inner, path[i]);
	json_set_text(ctl->arena, inner, RESTARTED_AT_ANNOTATION, now);
	return patch;
}

static int patch_all(struct ctl *ctl, int argc, char **argv, make_patch *make, const char *outcome)
{
	struct target_list targets = {0};
	struct writer writer;
	if (argc == 0 && !arg.selection.manifest.filenames.count)
		return report_usage(ctl, "required resource not specified");
	arg.write.validate = NULL;
	if (!writer_init(ctl, &arg.write, &writer) || !selection_fetch(ctl, &arg.selection, argc, argv, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++) {
		struct rest_response response;
		const struct json *patch = make(ctl, &targets.items[i]);
		if (!patch)
			continue;
		if (write_patch(ctl, &writer, &targets.items[i], NULL, REST_STRATEGIC_MERGE_PATCH, patch, &response))
			writer_tell(ctl, &writer, &targets.items[i], response.object, outcome);
		else
			report_response(ctl, &response, NULL);
	}
	return EXIT_OK;
}

static int run_pause(struct ctl *ctl, int argc, char **argv)
{
	return patch_all(ctl, argc, argv, pause_patch, "paused");
}

static int run_resume(struct ctl *ctl, int argc, char **argv)
{
	return patch_all(ctl, argc, argv, resume_patch, "resumed");
}

static int run_restart(struct ctl *ctl, int argc, char **argv)
{
	return patch_all(ctl, argc, argv, restart_patch, "restarted");
}

const struct command command_rollout_pause = {
        .name = "pause",
        .summary = "Mark the provided resource as paused",
        .usage = "RESOURCE",
        .options = options,
        .run = run_pause,
};

const struct command command_rollout_resume = {
        .name = "resume",
        .summary = "Resume a paused resource",
        .usage = "RESOURCE",
        .options = options,
        .run = run_resume,
};

const struct command command_rollout_restart = {
        .name = "restart",
        .summary = "Restart a resource",
        .usage = "RESOURCE",
        .options = options,
        .run = run_restart,
};
