// SPDX-License-Identifier: Apache-2.0
// scale: through the /scale subresource, with what the user expects it to be now
// checked first.

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/strbuf.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/object_wait.h"
#include "ctl/selection.h"
#include "ctl/write.h"

static struct {
	struct selection_options selection;
	struct write_options write;
	int64_t replicas, current_replicas, timeout_ns;
	const char *resource_version;
} arg = {.write = WRITE_OPTIONS_INIT(NULL), .replicas = 0, .current_replicas = -1};

static const struct option options[] = {
        {"replicas", 0, OPTION_INT, &arg.replicas, NULL, NULL, "The wanted number of replicas (required)"},
        {"current-replicas", 0, OPTION_INT, &arg.current_replicas, NULL, NULL,
         "Only when this is the present number; -1 = any"},
        {"resource-version", 0, OPTION_STRING, &arg.resource_version, NULL, "",
         "Only when this is the present version"},
        {"timeout", 0, OPTION_DURATION, &arg.timeout_ns, NULL, NULL, "Wait so long until it is scaled; 0 = don't wait"},
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        ALL_OPTION_ROW(arg.selection),
        DRY_RUN_OPTION_ROW(arg.write),
        OUTPUT_OPTION_ROWS(arg.write.output),
        {0},
};

static bool check_present(struct ctl *ctl, const struct target *target)
{
	int64_t present = 0;
	const char *version = object_resource_version(target->object);
	json_get_integer(json_get(target->object, "spec"), "replicas", &present);
	if (arg.current_replicas >= 0 && present != arg.current_replicas) {
		report(ctl, "Expected replicas to be %" PRId64 ", was %" PRId64, arg.current_replicas, present);
		return false;
	}
	if (arg.resource_version && (!version || strcmp(version, arg.resource_version) != 0)) {
		report(ctl, "Expected resource version to be %s, was %s", arg.resource_version, version ? version : "");
		return false;
	}
	return true;
}

static bool is_scaled(void *context, const struct json *object)
{
	const int64_t *wanted = context;
	int64_t observed = -1, generation = 0, replicas = 0;
	if (!object)
		return true;
	json_get_integer(json_get(object, "status"), "observedGeneration", &observed);
	json_get_integer(json_get(object, "metadata"), "generation", &generation);
	json_get_integer(json_get(object, "status"), "replicas", &replicas);
	return (observed < 0 || observed >= generation) && replicas == *wanted;
}

static void wait_until_scaled(struct ctl *ctl, const struct target *target)
{
	int64_t deadline_ns = object_wait_deadline(ctl, arg.timeout_ns);
	if (object_wait(ctl, target, deadline_ns, is_scaled, &arg.replicas) == OBJECT_WAIT_TIMEOUT)
		report(ctl, "timed out waiting for any update progress to be made");
}

static void scale(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	struct rest_response response;
	struct json *patch = json_object(ctl->arena);
	if (!check_present(ctl, target))
		return;
	json_set_integer(ctl->arena, json_ensure_object(ctl->arena, patch, "spec"), "replicas", arg.replicas);
	if (arg.resource_version)
		json_set_text(ctl->arena, json_ensure_object(ctl->arena, patch, "metadata"), "resourceVersion",
		              arg.resource_version);
	if (writer->dry_run == DRY_RUN_CLIENT) {
		writer_tell(ctl, writer, target, target->object, "scaled");
		return;
	}
	if (!write_patch(ctl, writer, target, "scale", REST_MERGE_PATCH, patch, &response)) {
		report_response(ctl, &response, NULL);
		return;
	}
	if (output_is_object(&writer->output) && writer->output.format != OUTPUT_NAME) {
		struct json *fresh = target_fetch(ctl, target);
		if (fresh)
			writer_tell(ctl, writer, target, fresh, "scaled");
	} else {
		writer_tell(ctl, writer, target, target->object, "scaled");
	}
	if (arg.timeout_ns > 0 && writer->dry_run == DRY_RUN_NONE)
		wait_until_scaled(ctl, target);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	if (!ctl_flag_given(ctl, "replicas"))
		return report(ctl, "required flag(s) \"replicas\" not set");
	if (arg.replicas < 0)
		return report(ctl,
		              "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
	arg.write.validate = NULL;
	if (!writer_init(ctl, &arg.write, &writer) || !selection_fetch(ctl, &arg.selection, argc, argv, &targets))
		return EXIT_PROBLEM;
	if (!targets.count && !ctl->failed)
		return report(ctl, "no objects passed to scale");
	for (size_t i = 0; i < targets.count; i++)
		scale(ctl, &writer, &targets.items[i]);
	return EXIT_OK;
}

const struct command command_scale = {
        .name = "scale",
        .group = COMMAND_DEPLOY,
        .summary = "Set a new size for a deployment, replica set, or replication controller",
        .usage = "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
        .examples = "  ctl scale deployment web --replicas=5\n  ctl scale --current-replicas=2 --replicas=3 rs/web-1",
        .options = options,
        .run = run,
};
