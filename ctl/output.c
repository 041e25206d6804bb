// SPDX-License-Identifier: Apache-2.0
#include "ctl/output.h"

#include <string.h>

#include "common/api/json_path.h"
#include "common/api/object.h"
#include "common/api/yaml.h"
#include "common/base/file.h"
#include "ctl/ctl.h"
#include "ctl/custom_columns.h"
#include "ctl/errors.h"
#include "ctl/resources.h"

enum {
	OUTPUT_MAX_BYTES = 2000 << 20,
	TEMPLATE_MAX_BYTES = 1 << 20,
};

// --- the format -------------------------------------------------------------------------------

static bool use_jsonpath(struct ctl *ctl, const char *template_text, struct output *output)
{
	struct err err = ERR_INIT;
	if (!template_text || !template_text[0]) {
		report(ctl, "template format specified but no template given");
		return false;
	}
	if (jsonpath_parse(ctl->arena, template_text, &output->path, &err) == 0)
		return true;
	report_err(ctl, &err);
	return false;
}

static bool use_jsonpath_file(struct ctl *ctl, const char *path, struct output *output)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(TEMPLATE_MAX_BYTES);
	struct err err = ERR_INIT;
	if (file_read(path ? path : "", &text, &err) < 0) {
		report(ctl, "error reading --template %s, %s", path ? path : "", err.message);
		return false;
	}
	return use_jsonpath(ctl, arena_strdup(ctl->arena, strbuf_text(&text)), output);
}

static bool use_columns(struct ctl *ctl, const char *text, struct output *output)
{
	struct err err = ERR_INIT;
	if (custom_columns_parse(ctl->arena, text ? text : "", &output->columns, &err) == 0)
		return true;
	report_err(ctl, &err);
	return false;
}

static bool use_columns_file(struct ctl *ctl, const char *path, struct output *output)
{
	struct err err = ERR_INIT;
	if (custom_columns_parse_file(ctl->arena, path ? path : "", &output->columns, &err) == 0)
		return true;
	report_err(ctl, &err);
	return false;
}

static const struct {
	const char *name;
	enum output_format format;
	bool (*use)(struct ctl *ctl, const char *argument, struct output *output);
} formats[] = {
        {"wide", OUTPUT_WIDE, NULL},
        {"json", OUTPUT_JSON, NULL},
        {"yaml", OUTPUT_YAML, NULL},
        {"name", OUTPUT_NAME, NULL},
        {"jsonpath", OUTPUT_JSONPATH, use_jsonpath},
        {"jsonpath-file", OUTPUT_JSONPATH, use_jsonpath_file},
        {"jsonpath-as-json", OUTPUT_JSONPATH_AS_JSON, use_jsonpath},
        {"custom-columns", OUTPUT_CUSTOM_COLUMNS, use_columns},
        {"custom-columns-file", OUTPUT_CUSTOM_COLUMNS, use_columns_file},
};

static bool report_unknown(struct ctl *ctl, const char *text, bool wide_allowed)
{
	report(ctl, "unable to match a printer suitable for the output format \"%s\", allowed formats are: %s", text,
	       wide_allowed ? "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-"
	                      "as-json,jsonpath-file,name,template,templatefile,wide,yaml"
	                    : "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,"
	                      "templatefile,yaml");
	return false;
}

bool output_init(struct ctl *ctl, const struct output_options *options, bool wide_allowed, struct output *output)
{
	const char *text = options->text ? options->text : "";
	*output = (struct output){
	        .show_managed_fields = options->show_managed_fields,
	        .allow_missing = options->allow_missing_template_keys,
	};
	if (!text[0])
		return true;
	size_t length = strcspn(text, "=");
	const char *argument = text[length] ? text + length + 1 : options->template_text;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strlen(formats[i].name) != length || memcmp(formats[i].name, text, length) != 0)
			continue;
		output->format = formats[i].format;
		if (output->format == OUTPUT_WIDE && !wide_allowed)
			return report_unknown(ctl, text, wide_allowed);
		return !formats[i].use || formats[i].use(ctl, argument, output);
	}
	return report_unknown(ctl, text, wide_allowed);
}

bool output_is_object(const struct output *output)
{
	return output->format != OUTPUT_HUMAN && output->format != OUTPUT_WIDE;
}

// --- printing ---------------------------------------------------------------------------------

const char *object_display_name(struct ctl *ctl, const struct schema_resource *resource, const char *name)
{
	return ctl_printf(ctl, "%s/%s", resource_singular_name(ctl, resource), name ? name : "");
}

static void drop_managed_fields(struct json *object)
{
	struct json *metadata = json_get(object, "metadata");
	if (json_is(metadata, JSON_OBJECT))
		json_remove(metadata, "managedFields");
	json_for_each_item (item, json_get(object, "items"))
		drop_managed_fields(item);
}

struct json *output_prepare(struct ctl *ctl, const struct output *output, const struct json *object)
{
	struct json *copy = json_clone(ctl->arena, object);
	if (!output->show_managed_fields)
		drop_managed_fields(copy);
	json_sort_keys(copy);
	return copy;
}

static void write_name(struct ctl *ctl, const struct schema_resource *resource, const struct json *object,
                       struct strbuf *out)
{
	const char *kind = object_kind(object), *version = object_api_version(object);
	if (json_is(json_get(object, "items"), JSON_ARRAY)) {
		json_for_each_item (item, json_get(object, "items"))
			write_name(ctl, NULL, item, out);
		return;
	}
	if (!resource && kind && version)
		resource = resource_of_kind(ctl, version, kind);
	if (resource)
		strbuf_printf(out, "%s\n", object_display_name(ctl, resource, object_name(object)));
}

static void write_jsonpath(struct ctl *ctl, struct output *output, const struct json *object, struct strbuf *out)
{
	struct err err = ERR_INIT;
	if (output->format == OUTPUT_JSONPATH_AS_JSON) {
		size_t count = 0;
		const struct json **values = jsonpath_find(ctl->arena, output->path, object, &count);
		struct json *array = json_array(ctl->arena);
		for (size_t i = 0; i < count; i++)
			json_append(ctl->arena, array, json_clone(ctl->arena, values[i]));
		json_sort_keys(array);
		json_write_pretty(out, array);
		strbuf_append_char(out, '\n');
		return;
	}
	struct json *sorted = json_clone(ctl->arena, object);
	json_sort_keys(sorted);
	if (jsonpath_write(ctl->arena, output->path, sorted, output->allow_missing, out, &err) < 0)
		report(ctl, "error executing jsonpath: %s", err.message);
}

void output_print(struct ctl *ctl, struct output *output, const struct schema_resource *resource,
                  const struct json *object)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(OUTPUT_MAX_BYTES);
	switch (output->format) {
	case OUTPUT_JSON:
		json_write_pretty(&text, output_prepare(ctl, output, object));
		strbuf_append_char(&text, '\n');
		break;
	case OUTPUT_YAML:
		if (output->printed)
			strbuf_append_text(&text, "---\n");
		yaml_write(&text, output_prepare(ctl, output, object));
		break;
	case OUTPUT_NAME:
		write_name(ctl, resource, object, &text);
		break;
	case OUTPUT_CUSTOM_COLUMNS:
		custom_columns_write(ctl->arena, output->columns, object, !output->no_headers && !output->printed,
		                     &text);
		break;
	default:
		write_jsonpath(ctl, output, object, &text);
		break;
	}
	output->printed++;
	fwrite(strbuf_text(&text), 1, text.length, ctl->out);
}
