// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>

#include "ctl/commands/rollout_children.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"
#include "ctl/errors.h"
#include "ctl/output.h"
#include "ctl/revisions.h"
#include "ctl/rollout_status.h"
#include "ctl/selection.h"
#include "ctl/tab_writer.h"

static struct {
	struct selection_options selection;
	struct output_options output;
	int64_t revision;
} arg = {.output = OUTPUT_OPTIONS_INIT};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        OUTPUT_OPTION_ROWS(arg.output),
        {"revision", 0, OPTION_INT, &arg.revision, NULL, NULL, "Show this revision's pod template"},
        {0},
};

static void show_list(struct ctl *ctl, const struct target *target, const struct revision *revisions, size_t count)
{
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(1 << 20), text = STRBUF_INIT(1 << 20);
	struct tab_writer writer = TAB_WRITER_DESCRIBE;
	fprintf(ctl->out, "%s \n", object_display_name(ctl, target->resource, target->name));
	strbuf_append_text(&lines, "REVISION\tCHANGE-CAUSE\n");
	for (size_t i = 0; i < count; i++)
		strbuf_printf(&lines, "%" PRId64 "\t%s\n", revisions[i].number, revision_change_cause(&revisions[i]));
	tab_writer_write(&writer, strbuf_text(&lines), &text);
	fprintf(ctl->out, "%s\n", strbuf_text(&text));
}

static void show_revision(struct ctl *ctl, const struct target *target, const struct revision *revision)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	fprintf(ctl->out, "%s with revision #%" PRId64 "\n", object_display_name(ctl, target->resource, target->name),
	        revision->number);
	describe_pod_template_text(ctl, revision->template, &text);
	fprintf(ctl->out, "%s\n", strbuf_text(&text));
}

static void show(struct ctl *ctl, struct output *output, const struct target *target)
{
	struct revision *revisions = NULL;
	size_t count = 0;
	struct err err = ERR_INIT;
	if (!rollout_knows(target->resource->kind)) {
		report(ctl, "no history viewer has been implemented for \"%s\"", target->resource->kind);
		return;
	}
	if (!revisions_read(ctl, target, &revisions, &count))
		return;
	if (!arg.revision && !output_is_object(output)) {
		show_list(ctl, target, revisions, count);
		return;
	}
	const struct revision *revision = arg.revision ? revisions_choose(revisions, count, arg.revision, target, &err)
	                                  : count      ? &revisions[count - 1]
	                                               : NULL;
	if (!revision)
		report(ctl, "%s", err.code ? "unable to find the specified revision" : "no rollout history found");
	else if (output_is_object(output))
		output_print(ctl, output, NULL, revision->object);
	else
		show_revision(ctl, target, revision);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct output output;
	if (argc == 0 && !arg.selection.manifest.filenames.count)
		return report_usage(ctl, "required resource not specified");
	if (arg.revision < 0)
		return report(ctl, "revision must be a positive integer: %" PRId64, arg.revision);
	if (!output_init(ctl, &arg.output, false, &output) ||
	    !selection_fetch(ctl, &arg.selection, argc, argv, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++)
		show(ctl, &output, &targets.items[i]);
	return EXIT_OK;
}

const struct command command_rollout_history = {
        .name = "history",
        .summary = "View rollout history",
        .usage = "(TYPE NAME | TYPE/NAME) [flags]",
        .options = options,
        .run = run,
};
