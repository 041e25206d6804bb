// SPDX-License-Identifier: Apache-2.0
// cordon and uncordon.

#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"
#include "ctl/write.h"

static struct {
	struct selection_options selection;
	struct write_options write;
} arg = {.write = WRITE_OPTIONS_INIT(NULL)};

static const struct option options[] = {
        SELECTOR_OPTION_ROW(arg.selection),
        DRY_RUN_OPTION_ROW(arg.write),
        {0},
};

static void set_schedulable(struct ctl *ctl, struct writer *writer, const struct target *node, bool schedulable)
{
	struct rest_response response;
	bool present = !json_get_bool(json_get(node->object, "spec"), "unschedulable", false);
	struct json *patch = json_object(ctl->arena), *spec = json_ensure_object(ctl->arena, patch, "spec");
	if (present == schedulable) {
		writer_tell(ctl, writer, node, node->object, schedulable ? "already uncordoned" : "already cordoned");
		return;
	}
	json_set(ctl->arena, spec, "unschedulable", schedulable ? json_null(ctl->arena) : json_bool(ctl->arena, true));
	if (writer->dry_run != DRY_RUN_CLIENT &&
	    !write_patch(ctl, writer, node, NULL, REST_STRATEGIC_MERGE_PATCH, patch, &response)) {
		report_response(ctl, &response, NULL);
		return;
	}
	writer_tell(ctl, writer, node, node->object, schedulable ? "uncordoned" : "cordoned");
}

static int run(struct ctl *ctl, int argc, char **argv, bool schedulable)
{
	struct target_list targets = {0};
	struct writer writer;
	char **words = ARENA_ARRAY(ctl->arena, char *, (size_t)argc + 2);
	if (argc == 0 && !arg.selection.selector)
		return report_usage(ctl, "USAGE: %s [flags]", ctl->command->usage);
	if (argc > 0 && arg.selection.selector)
		return report(ctl, "error: cannot specify both a node name and a --selector option");
	words[0] = (char *)"nodes";
	for (int i = 0; i < argc; i++) { // "node/x" is taken too
		char *slash = strchr(argv[i], '/');
		words[i + 1] = slash ? slash + 1 : argv[i];
	}
	arg.write.validate = NULL;
	if (!writer_init(ctl, &arg.write, &writer) || !selection_fetch(ctl, &arg.selection, argc + 1, words, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++)
		set_schedulable(ctl, &writer, &targets.items[i], schedulable);
	return EXIT_OK;
}

static int run_cordon(struct ctl *ctl, int argc, char **argv)
{
	return run(ctl, argc, argv, false);
}

static int run_uncordon(struct ctl *ctl, int argc, char **argv)
{
	return run(ctl, argc, argv, true);
}

const struct command command_cordon = {
        .name = "cordon",
        .group = COMMAND_CLUSTER,
        .summary = "Mark node as unschedulable",
        .usage = "NODE",
        .options = options,
        .run = run_cordon,
};

const struct command command_uncordon = {
        .name = "uncordon",
        .group = COMMAND_CLUSTER,
        .summary = "Mark node as schedulable",
        .usage = "NODE",
        .options = options,
        .run = run_uncordon,
};
