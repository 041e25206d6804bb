// SPDX-License-Identifier: Apache-2.0
// undo: the pod template of an earlier revision becomes the template again. A
// Deployment takes the annotations of that revision's ReplicaSet along; the others
// are patched with what their ControllerRevision keeps.

#include <inttypes.h>
#include <string.h>

#include "ctl/commands/rollout_children.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/last_applied.h"
#include "ctl/revisions.h"
#include "ctl/rollout_status.h"
#include "ctl/selection.h"
#include "ctl/write.h"

static struct {
	struct selection_options selection;
	struct write_options write;
	int64_t to_revision;
} arg = {.write = WRITE_OPTIONS_INIT(NULL)};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        WRITE_OPTION_ROWS(arg.write),
        {"to-revision", 0, OPTION_INT, &arg.to_revision, NULL, NULL,
         "The revision to go back to; 0 = the last but one"},
        {0},
};

// Annotations that belong to the Deployment or the controllers, not to a revision.
static const char *const kept_annotations[] = {
        LAST_APPLIED_ANNOTATION,
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
};

static bool is_kept(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept_annotations); i++)
		if (strcmp(kept_annotations[i], name) == 0)
			return true;
	return false;
}

static struct json *merge_annotations(struct ctl *ctl, const struct json *live, const struct json *earlier)
{
	struct json *merged = json_object(ctl->arena);
	json_for_each_member (member, json_path(live, "metadata", "annotations"))
		if (is_kept(member->key))
			json_set(ctl->arena, merged, member->key, member->value);
	json_for_each_member (member, json_path(earlier, "metadata", "annotations"))
		if (!is_kept(member->key))
			json_set(ctl->arena, merged, member->key, member->value);
	return merged;
}

static void add_operation(struct ctl *ctl, struct json *patch, const char *path, struct json *value)
{
	struct json *operation = json_object(ctl->arena);
	json_set_text(ctl->arena, operation, "op", "replace");
	json_set_text(ctl->arena, operation, "path", path);
	json_set(ctl->arena, operation, "value", value);
	json_append(ctl->arena, patch, operation);
}

static struct json *deployment_patch(struct ctl *ctl, const struct target *target, const struct revision *revision)
{
	struct json *patch = json_array(ctl->arena);
	add_operation(ctl, patch, "/spec/template", revision->template);
	add_operation(ctl, patch, "/metadata/annotations", merge_annotations(ctl, target->object, revision->object));
	return patch;
}

static bool is_paused(const struct target *target)
{
	return json_get_bool(json_get(target->object, "spec"), "paused", false);
}

static void roll_back(struct ctl *ctl, struct writer *writer, const struct target *target,
                      const struct revision *revision)
{
	struct rest_response response;
	bool deployment = strcmp(target->resource->kind, "Deployment") == 0;
	if (json_equal(revision->template, json_path(target->object, "spec", "template"))) {
		writer_tell(ctl, writer, target, target->object,
		            ctl_printf(ctl, "skipped rollback (current template already matches revision %" PRId64 ")",
		                       revision->number));
		return;
	}
	if (writer->dry_run == DRY_RUN_CLIENT) {
		writer_tell(ctl, writer, target, target->object, "rolled back");
		return;
	}
	const struct json *patch =
	        deployment ? deployment_patch(ctl, target, revision) : json_get(revision->object, "data");
	enum rest_body_type type = deployment ? REST_JSON_PATCH : REST_STRATEGIC_MERGE_PATCH;
	if (write_patch(ctl, writer, target, NULL, type, patch, &response))
		writer_tell(ctl, writer, target, response.object, "rolled back");
	else
		report_response(ctl, &response, NULL);
}

static void undo(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	struct revision *revisions = NULL;
	size_t count = 0;
	struct err err = ERR_INIT;
	if (!rollout_knows(target->resource->kind)) {
		report(ctl, "no rollbacker has been implemented for \"%s\"", target->resource->kind);
		return;
	}
	if (is_paused(target)) {
		report(ctl,
		       "you cannot rollback a paused deployment; resume it first with '%s rollout resume' and try "
		       "again",
		       ctl->program);
		return;
	}
	if (!revisions_read(ctl, target, &revisions, &count))
		return;
	const struct revision *revision = revisions_choose(revisions, count, arg.to_revision, target, &err);
	if (revision)
		roll_back(ctl, writer, target, revision);
	else
		report_err(ctl, &err);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	if (argc == 0 && !arg.selection.manifest.filenames.count)
		return report_usage(ctl, "required resource not specified");
	arg.write.validate = NULL;
	if (arg.to_revision < 0)
		return report(ctl, "to-revision must be a positive integer");
	if (!writer_init(ctl, &arg.write, &writer) || !selection_fetch(ctl, &arg.selection, argc, argv, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++)
		undo(ctl, &writer, &targets.items[i]);
	return EXIT_OK;
}

const struct command command_rollout_undo = {
        .name = "undo",
        .summary = "Undo a previous rollout",
        .usage = "(TYPE NAME | TYPE/NAME) [flags]",
        .options = options,
        .run = run,
};
