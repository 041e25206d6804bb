// SPDX-License-Identifier: Apache-2.0
// set image: CONTAINER=IMAGE in whatever holds a pod template.

#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/pairs.h"
#include "ctl/selection.h"
#include "ctl/write.h"

static struct {
	struct selection_options selection;
	struct write_options write;
	bool local;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-set")};

static const struct option image_options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        ALL_OPTION_ROW(arg.selection),
        {"local", 0, OPTION_BOOL, &arg.local, NULL, NULL, "Don't talk to the server: change the objects of the files"},
        WRITE_OPTION_ROWS(arg.write),
        {0},
};

// Where the pod spec of each kind stands; the path to it is built in a patch.
static const struct {
	const char *kind;
	const char *path[5];
} pod_specs[] = {
        {"Pod", {"spec"}},
        {"CronJob", {"spec", "jobTemplate", "spec", "template", "spec"}},
        {"*", {"spec", "template", "spec"}},
};

static const char *const *pod_spec_path(const char *kind)
{
	size_t i = 0;
	while (pod_specs[i].kind[0] != '*' && strcmp(pod_specs[i].kind, kind) != 0)
		i++;
	return pod_specs[i].path;
}

static size_t set_in_list(struct ctl *ctl, const struct json *spec, const char *list, const struct pair *pair,
                          struct json *patch, size_t *changed)
{
	size_t found = 0;
	json_for_each_item (container, json_get(spec, list)) {
		const char *name = json_get_text(container, "name"), *image = json_get_text(container, "image");
		if (!name || (strcmp(pair->key, "*") != 0 && strcmp(pair->key, name) != 0))
			continue;
		found++;
		if (image && strcmp(image, pair->value) == 0)
			continue;
		struct json *item = json_object(ctl->arena);
		json_set_text(ctl->arena, item, "name", name);
		json_set_text(ctl->arena, item, "image", pair->value);
		json_append(ctl->arena, json_ensure_array(ctl->arena, patch, list), item);
		++*changed;
	}
	return found;
}

static void set_image(struct ctl *ctl, struct writer *writer, const struct target *target,
                      const struct pair_list *pairs)
{
	struct rest_response response;
	const char *const *path = pod_spec_path(target->resource->kind);
	const struct json *spec = target->object;
	struct json *patch = json_object(ctl->arena), *inner = patch;
	size_t changed = 0;
	for (size_t i = 0; i < 5 && path[i]; i++) {
		spec = json_get(spec, path[i]);
		inner = json_ensure_object(ctl->arena, inner, path[i]);
	}
	for (size_t i = 0; i < pairs->count; i++) {
		size_t found = set_in_list(ctl, spec, "containers", &pairs->items[i], inner, &changed);
		found += set_in_list(ctl, spec, "initContainers", &pairs->items[i], inner, &changed);
		if (!found) {
			report(ctl, "unable to find container named \"%s\"", pairs->items[i].key);
			return;
		}
	}
	if (!changed)
		return;
	if (writer->dry_run == DRY_RUN_CLIENT)
		writer_tell(ctl, writer, target, target->object, "image updated");
	else if (write_patch(ctl, writer, target, NULL, REST_STRATEGIC_MERGE_PATCH, patch, &response))
		writer_tell(ctl, writer, target, response.object, "image updated");
	else
		report_response(ctl, &response, NULL);
}

static int run_image(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	struct pair_list pairs = {0};
	struct err err = ERR_INIT;
	int resources = pairs_start(argc, argv);
	if (pairs_parse(ctl->arena, argc - resources, argv + resources, "image", &pairs, &err) < 0)
		return report_err(ctl, &err);
	if (!resources && !arg.selection.manifest.filenames.count)
		return report(ctl, "one or more resources must be specified as <resource> <name> or <resource>/<name>");
	if (!pairs.count)
		return report(ctl, "at least one image update is required");
	for (size_t i = 0; i < pairs.count; i++)
		if (!pairs.items[i].value || !pairs.items[i].value[0])
			return report(ctl, "invalid image for container %s", pairs.items[i].key);
	arg.write.validate = NULL;
	if (!writer_init(ctl, &arg.write, &writer) || !selection_fetch(ctl, &arg.selection, resources, argv, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++)
		set_image(ctl, &writer, &targets.items[i], &pairs);
	return EXIT_OK;
}

static const struct command command_set_image = {
        .name = "image",
        .summary = "Update the image of a pod template",
        .usage = "(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
        .examples = "  ctl set image deployment/web web=caravel.dev/busybox:2.0",
        .options = image_options,
        .run = run_image,
};

static const struct command *const children[] = {&command_set_image, NULL};

const struct command command_set = {
        .name = "set",
        .group = COMMAND_BASIC_BEGINNER,
        .summary = "Set specific features on objects",
        .children = children,
};
