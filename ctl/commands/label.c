// SPDX-License-Identifier: Apache-2.0
// label and annotate: the same command on two maps of the metadata.

#include <string.h>

#include "common/api/object.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/pairs.h"
#include "ctl/selection.h"
#include "ctl/table.h"
#include "ctl/write.h"

static struct {
	struct selection_options selection;
	struct write_options write;
	bool overwrite, list, local;
	const char *resource_version;
} arg = {.write = WRITE_OPTIONS_INIT(NULL)};

static const struct option options[] = {
        {"overwrite", 0, OPTION_BOOL, &arg.overwrite, NULL, NULL, "Change what already has another value"},
        {"list", 0, OPTION_BOOL, &arg.list, NULL, NULL, "Show what is there"},
        {"local", 0, OPTION_BOOL, &arg.local, NULL, NULL, "Don't talk to the server: change the objects of the files"},
        {"resource-version", 0, OPTION_STRING, &arg.resource_version, NULL, "",
         "Only when this is the present version"},
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        FIELD_SELECTOR_OPTION_ROW(arg.selection),
        ALL_OPTION_ROW(arg.selection),
        ALL_NAMESPACES_OPTION_ROW(arg.selection),
        WRITE_OPTION_ROWS(arg.write),
        {0},
};

struct subject {
	const char *map;  // "labels"
	const char *noun; // "label"
	const char *manager;
	const char *changed; // "labeled"
	const char *removed; // "unlabeled"
	const char *same;    // "not labeled"
};

static const struct subject labels = {"labels", "label", "kubectl-label", "labeled", "unlabeled", "not labeled"};
static const struct subject annotations = {"annotations", "annotation", "kubectl-annotate",
                                           "annotated",   "annotated",  "annotated"};

static const char *present_value(const struct target *target, const struct subject *subject, const char *key)
{
	return json_text(json_path(target->object, "metadata", subject->map, key));
}

// The merge patch; NULL when a value stands in the way (reported).
static struct json *make_patch(struct ctl *ctl, const struct target *target, const struct subject *subject,
                               const struct pair_list *pairs, bool *ret_only_removed)
{
	struct json *patch = json_object(ctl->arena);
	struct json *metadata = json_ensure_object(ctl->arena, patch, "metadata");
	struct json *map = json_ensure_object(ctl->arena, metadata, subject->map);
	size_t added = 0;
	for (size_t i = 0; i < pairs->count; i++) {
		const struct pair *pair = &pairs->items[i];
		const char *present = present_value(target, subject, pair->key);
		if (!pair->value) {
			if (!present)
				fprintf(ctl->out, "%s \"%s\" not found.\n", subject->noun, pair->key);
			else
				json_set(ctl->arena, map, pair->key, json_null(ctl->arena));
			continue;
		}
		if (present && strcmp(present, pair->value) != 0 && !arg.overwrite) {
			report(ctl, "'%s' already has a value (%s), and --overwrite is false", pair->key, present);
			return NULL;
		}
		if (present && strcmp(present, pair->value) == 0)
			continue;
		json_set_text(ctl->arena, map, pair->key, pair->value);
		added++;
	}
	*ret_only_removed = map->length > 0 && added == 0;
	if (map->length == 0)
		return json_object(ctl->arena);
	if (arg.resource_version)
		json_set_text(ctl->arena, metadata, "resourceVersion", arg.resource_version);
	return patch;
}

static void change(struct ctl *ctl, struct writer *writer, const struct target *target, const struct subject *subject,
                   const struct pair_list *pairs)
{
	struct rest_response response;
	bool only_removed = false;
	struct json *patch = make_patch(ctl, target, subject, pairs, &only_removed);
	if (!patch)
		return;
	if (patch->length == 0) {
		writer_tell(ctl, writer, target, target->object, subject->same);
		return;
	}
	const char *outcome = only_removed ? subject->removed : subject->changed;
	if (writer->dry_run == DRY_RUN_CLIENT || arg.local)
		writer_tell(ctl, writer, target, target->object, outcome);
	else if (write_patch(ctl, writer, target, NULL, REST_MERGE_PATCH, patch, &response))
		writer_tell(ctl, writer, target, response.object, outcome);
	else
		report_response(ctl, &response, NULL);
}

static void show(struct ctl *ctl, const struct target *target, const struct subject *subject, bool several)
{
	const char *kind = target->resource->kind, *group = target->resource->group;
	if (several)
		fprintf(ctl->out, "Listing %s for %s.%s/%s:\n", subject->map, kind, group, target->name);
	struct json *map =
	        json_clone(ctl->arena, json_path(target->object, "metadata", subject->map) ?: json_object(ctl->arena));
	json_sort_keys(map);
	json_for_each_member (member, map)
		fprintf(ctl->out, "%s%s=%s\n", several ? " " : "", member->key, json_text(member->value));
}

static int run(struct ctl *ctl, int argc, char **argv, const struct subject *subject)
{
	struct target_list targets = {0};
	struct writer writer;
	struct pair_list pairs = {0};
	struct err err = ERR_INIT;
	int resources = pairs_start(argc, argv);
	if (pairs_parse(ctl->arena, argc - resources, argv + resources, subject->noun, &pairs, &err) < 0)
		return report_err(ctl, &err);
	if (!pairs.count && !arg.list)
		return report(ctl, "at least one %s update is required", subject->noun);
	if (resources == 1 && !strchr(argv[0], '/') && !arg.selection.all && !arg.selection.selector && !arg.list &&
	    !arg.selection.field_selector)
		return report(ctl, "resource(s) were provided, but no name was specified");
	if (!arg.write.field_manager)
		arg.write.field_manager = subject->manager;
	arg.write.validate = NULL;
	if (!writer_init(ctl, &arg.write, &writer) ||
	    !(arg.local ? selection_resolve : selection_fetch)(ctl, &arg.selection, resources, argv, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++) {
		if (arg.list)
			show(ctl, &targets.items[i], subject, targets.count > 1);
		else
			change(ctl, &writer, &targets.items[i], subject, &pairs);
	}
	return EXIT_OK;
}

static int run_label(struct ctl *ctl, int argc, char **argv)
{
	return run(ctl, argc, argv, &labels);
}

static int run_annotate(struct ctl *ctl, int argc, char **argv)
{
	return run(ctl, argc, argv, &annotations);
}

const struct command command_label = {
        .name = "label",
        .group = COMMAND_SETTINGS,
        .summary = "Update the labels on a resource",
        .usage = "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
        .examples = "  ctl label pod web-0 tier=front\n  ctl label nodes --all zone-",
        .options = options,
        .run = run_label,
};

const struct command command_annotate = {
        .name = "annotate",
        .group = COMMAND_SETTINGS,
        .summary = "Update the annotations on a resource",
        .usage = "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
        .examples = "  ctl annotate pod web-0 note='a text'\n  ctl annotate pods --all note-",
        .options = options,
        .run = run_annotate,
};
