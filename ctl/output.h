// SPDX-License-Identifier: Apache-2.0
#pragma once
// The formats of -o that print objects: json, yaml, name, jsonpath, custom columns.

#include <stdbool.h>

#include "common/api/json.h"
#include "common/base/options.h"
#include "common/base/strbuf.h"

struct ctl;
struct schema_resource;

enum output_format {
	OUTPUT_HUMAN, // nothing given
	OUTPUT_WIDE,
	OUTPUT_JSON,
	OUTPUT_YAML,
	OUTPUT_NAME,
	OUTPUT_JSONPATH,
	OUTPUT_JSONPATH_AS_JSON,
	OUTPUT_CUSTOM_COLUMNS,
};

struct output_options {
	const char *text;          // -o
	const char *template_text; // --template
	bool show_managed_fields;
	bool allow_missing_template_keys;
};

#define OUTPUT_OPTIONS_INIT                         \
	{                                           \
		.allow_missing_template_keys = true \
	}
#define OUTPUT_OPTION_ROWS(output)                                                                                \
	{"output",                                                                                                \
	 'o',                                                                                                     \
	 OPTION_STRING,                                                                                           \
	 &(output).text,                                                                                          \
	 NULL,                                                                                                    \
	 "",                                                                                                      \
	 "json, yaml, name, wide, jsonpath=…, custom-columns=…"},                                                 \
	        {"template", 0, OPTION_STRING, &(output).template_text, NULL, "", "Template for -o jsonpath"},    \
	        {"show-managed-fields",                                                                           \
	         0,                                                                                               \
	         OPTION_BOOL,                                                                                     \
	         &(output).show_managed_fields,                                                                   \
	         NULL,                                                                                            \
	         NULL,                                                                                            \
	         "Keep managedFields in JSON and YAML"},                                                          \
	{                                                                                                         \
		"allow-missing-template-keys", 0, OPTION_BOOL, &(output).allow_missing_template_keys, NULL, NULL, \
		        "Ignore fields that a template names and an object lacks"                                 \
	}

struct jsonpath;
struct custom_columns;

struct output {
	enum output_format format;
	bool show_managed_fields;
	bool allow_missing;
	bool no_headers;
	struct jsonpath *path;
	struct custom_columns *columns;
	unsigned printed; // objects so far
};

// Reads the format; false when it is unknown (reported). Without -o: OUTPUT_HUMAN. `wide_allowed`:
// the command has a wide form.
bool output_init(struct ctl *ctl, const struct output_options *options, bool wide_allowed, struct output *ret_output);

// True for json, yaml and the like, which print the whole object.
bool output_is_object(const struct output *output);

// Prints one object (or List). A problem is reported.
void output_print(struct ctl *ctl, struct output *output, const struct schema_resource *resource,
                  const struct json *object);

// "pod/x"; "deployment.apps/x".
const char *object_display_name(struct ctl *ctl, const struct schema_resource *resource, const char *name);

// The object with sorted keys as kubectl prints it: a copy, without managedFields unless wanted.
struct json *output_prepare(struct ctl *ctl, const struct output *output, const struct json *object);
