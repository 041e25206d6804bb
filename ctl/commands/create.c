// SPDX-License-Identifier: Apache-2.0
// create -f. The sub-commands that make objects from flags stand in create_*.c.

#include "common/api/object.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/create_children.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/last_applied.h"
#include "ctl/manifest.h"
#include "ctl/write.h"

static struct {
	struct manifest_options manifest;
	struct write_options write;
	bool save_config, windows_line_endings;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-create")};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.manifest),
        WRITE_OPTION_ROWS(arg.write),
        VALIDATE_OPTION_ROW(arg.write),
        {"save-config", 0, OPTION_BOOL, &arg.save_config, NULL, NULL, "Keep the manifest in an annotation, for apply"},
        {"windows-line-endings", 0, OPTION_BOOL, &arg.windows_line_endings, NULL, NULL, "Accepted for compatibility"},
        {0},
};

static void create(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	struct rest_response response;
	if (arg.save_config)
		last_applied_set(ctl, target->object);
	if (writer->dry_run == DRY_RUN_CLIENT)
		writer_tell(ctl, writer, target, target->object, "created");
	else if (write_create(ctl, writer, target, target->object, &response))
		writer_tell(ctl, writer, target, response.object, "created");
	else
		report_response(ctl, &response, ctl_printf(ctl, "error when creating \"%s\"", target->source));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	if (argc > 0)
		return report_usage(ctl, "Unexpected args: [%s]", argv[0]);
	if (!arg.manifest.filenames.count && !arg.manifest.kustomize)
		return report(ctl, "must specify one of -f and -k\n\n");
	if (!writer_init(ctl, &arg.write, &writer) || !manifests_read(ctl, &arg.manifest, writer.validates, &targets))
		return EXIT_PROBLEM;
	if (!targets.count && !ctl->failed)
		return report(ctl, "no objects passed to create");
	for (size_t i = 0; i < targets.count; i++)
		create(ctl, &writer, &targets.items[i]);
	return EXIT_OK;
}

const struct command command_create = {
        .name = "create",
        .group = COMMAND_BASIC_BEGINNER,
        .summary = "Create a resource from a file or from stdin",
        .usage = "-f FILENAME",
        .details = "Create objects from files or standard input, in YAML or JSON; or from flags, with a sub-command.",
        .examples = "  ctl create -f pod.yaml\n  cat pod.json | ctl create -f -\n  ctl create deployment web "
                    "--image=httpd --replicas=3",
        .options = options,
        .children = create_children,
        .run = run,
};
