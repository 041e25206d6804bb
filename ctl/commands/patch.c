// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "common/api/object.h"
#include "common/api/patch.h"
#include "common/api/yaml.h"
#include "common/base/file.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"
#include "ctl/write.h"

enum { PATCH_FILE_MAX_BYTES = 64 << 20 };

static struct {
	struct selection_options selection;
	struct write_options write;
	const char *patch, *patch_file, *type, *subresource;
	bool local;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-patch"), .type = "strategic"};

static const struct option options[] = {
        {"patch", 'p', OPTION_STRING, &arg.patch, NULL, "", "The patch, in JSON or YAML"},
        {"patch-file", 0, OPTION_STRING, &arg.patch_file, NULL, "", "File with the patch"},
        {"type", 0, OPTION_STRING, &arg.type, NULL, "", "json, merge or strategic"},
        {"subresource", 0, OPTION_STRING, &arg.subresource, NULL, "", "Patch this subresource: status, scale"},
        {"local", 0, OPTION_BOOL, &arg.local, NULL, NULL, "Patch the object of the file, not the server's"},
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        WRITE_OPTION_ROWS(arg.write),
        {0},
};

static const struct {
	const char *name;
	enum rest_body_type type;
} types[] = {
        {"strategic", REST_STRATEGIC_MERGE_PATCH},
        {"merge", REST_MERGE_PATCH},
        {"json", REST_JSON_PATCH},
};

static bool find_type(struct ctl *ctl, enum rest_body_type *ret_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].name, arg.type) == 0) {
			*ret_type = types[i].type;
			return true;
		}
	}
	report(ctl, "--type must be one of [json merge strategic], not \"%s\"", arg.type);
	return false;
}

static struct json *read_patch(struct ctl *ctl)
{
	AUTO_STRBUF struct strbuf file = STRBUF_INIT(PATCH_FILE_MAX_BYTES);
	struct err err = ERR_INIT;
	struct yaml_document *documents;
	size_t count;
	if (arg.patch_file && file_read(arg.patch_file, &file, &err) < 0) {
		report(ctl, "unable to read patch file: %s", err.message);
		return NULL;
	}
	const char *text = arg.patch_file ? strbuf_text(&file) : arg.patch;
	if (yaml_parse(ctl->arena, text, strlen(text), NULL, &documents, &count, &err) < 0 || count != 1) {
		report(ctl, "unable to parse \"%s\": %s", text, err.code ? err.message : "it must be one document");
		return NULL;
	}
	return documents[0].value;
}

static int apply_locally(struct ctl *ctl, const struct target *target, enum rest_body_type type, struct json *patch,
                         struct json **document, struct err *err)
{
	if (type == REST_JSON_PATCH)
		return patch_json(ctl->arena, document, patch, err);
	if (type == REST_STRATEGIC_MERGE_PATCH && target->resource->type)
		return patch_strategic(ctl->arena, target->resource->type, document, patch, err);
	return patch_merge(ctl->arena, document, patch, err);
}

static void patch_here(struct ctl *ctl, struct writer *writer, const struct target *target, enum rest_body_type type,
                       struct json *patch)
{
	struct json *document = json_clone(ctl->arena, target->object);
	struct err err = ERR_INIT;
	if (apply_locally(ctl, target, type, patch, &document, &err) < 0) {
		report_err(ctl, &err);
		return;
	}
	writer_tell(ctl, writer, target, document,
	            json_equal(document, target->object) ? "patched (no change)" : "patched");
}

static void patch_there(struct ctl *ctl, struct writer *writer, const struct target *target, enum rest_body_type type,
                        struct json *patch)
{
	struct rest_response response;
	if (!write_patch(ctl, writer, target, arg.subresource, type, patch, &response)) {
		report_response(ctl, &response, NULL);
		return;
	}
	const char *before = object_resource_version(target->object), *after = object_resource_version(response.object);
	bool same = before && after && strcmp(before, after) == 0;
	writer_tell(ctl, writer, target, response.object, same ? "patched (no change)" : "patched");
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	enum rest_body_type type = REST_STRATEGIC_MERGE_PATCH;
	if (!arg.patch == !arg.patch_file)
		return report(ctl,
		              arg.patch ? "cannot specify --patch and --patch-file together"
		                        : "must specify --patch or --patch-file containing the contents of the patch");
	arg.write.validate = NULL;
	if (!find_type(ctl, &type) || !writer_init(ctl, &arg.write, &writer))
		return EXIT_PROBLEM;
	struct json *patch = read_patch(ctl);
	bool found = patch && (arg.local ? selection_resolve(ctl, &arg.selection, argc, argv, &targets)
	                                 : selection_fetch(ctl, &arg.selection, argc, argv, &targets));
	if (!found)
		return EXIT_PROBLEM;
	if (!targets.count && !ctl->failed)
		return report(ctl, "no objects passed to patch");
	for (size_t i = 0; i < targets.count; i++) {
		if ((arg.local || writer.dry_run == DRY_RUN_CLIENT) && targets.items[i].object)
			patch_here(ctl, &writer, &targets.items[i], type, patch);
		else
			patch_there(ctl, &writer, &targets.items[i], type, patch);
	}
	return EXIT_OK;
}

const struct command command_patch = {
        .name = "patch",
        .group = COMMAND_ADVANCED,
        .summary = "Update fields of a resource",
        .usage = "(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]",
        .examples = "  ctl patch node node-1 -p '{\"spec\":{\"unschedulable\":true}}'\n"
                    "  ctl patch deployment web --type=json -p "
                    "'[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":2}]'",
        .options = options,
        .run = run,
};
