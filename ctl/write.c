// SPDX-License-Identifier: Apache-2.0
#include "ctl/write.h"

#include <string.h>

#include "common/api/object.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"

enum { BODY_MAX_BYTES = 256 << 20 };

static const struct {
	const char *name;
	enum dry_run dry_run;
} dry_runs[] = {
        {"none", DRY_RUN_NONE},
        {"client", DRY_RUN_CLIENT},
        {"server", DRY_RUN_SERVER},
};

static const char *const validations[][2] = {
        {"strict", "Strict"}, {"true", "Strict"}, {"warn", "Warn"}, {"ignore", "Ignore"}, {"false", "Ignore"},
};

static bool find_dry_run(struct ctl *ctl, const char *text, enum dry_run *ret_dry_run)
{
	for (size_t i = 0; i < ARRAY_SIZE(dry_runs); i++) {
		if (strcmp(dry_runs[i].name, text) == 0) {
			*ret_dry_run = dry_runs[i].dry_run;
			return true;
		}
	}
	report(ctl, "Invalid dry-run value (%s). Must be \"none\", \"server\", or \"client\".", text);
	return false;
}

static bool find_validation(struct ctl *ctl, const char *text, const char **ret_validation)
{
	for (size_t i = 0; i < ARRAY_SIZE(validations); i++) {
		if (strcmp(validations[i][0], text) == 0) {
			*ret_validation = validations[i][1];
			return true;
		}
	}
	report(ctl, "invalid - validate option \"%s\"", text);
	return false;
}

bool writer_init(struct ctl *ctl, const struct write_options *options, struct writer *writer)
{
	const char *validation = "Strict";
	*writer = (struct writer){0};
	if (!find_dry_run(ctl, options->dry_run, &writer->dry_run) ||
	    (options->validate && !find_validation(ctl, options->validate, &validation)) ||
	    !output_init(ctl, &options->output, false, &writer->output))
		return false;
	writer->validates = strcmp(validation, "Ignore") != 0;
	if (writer->dry_run == DRY_RUN_SERVER)
		writer->query = query_add(ctl, writer->query, "dryRun", "All");
	writer->query = query_add(ctl, writer->query, "fieldManager", options->field_manager);
	writer->query = query_add(ctl, writer->query, "fieldValidation", options->validate ? validation : NULL);
	return true;
}

const char *dry_run_suffix(enum dry_run dry_run)
{
	static const char *const suffixes[] = {"", " (dry run)", " (server dry run)"};
	return suffixes[dry_run];
}

void writer_tell(struct ctl *ctl, struct writer *writer, const struct target *target, const struct json *object,
                 const char *outcome)
{
	if (output_is_object(&writer->output)) {
		output_print(ctl, &writer->output, target->resource, object);
		return;
	}
	const char *name = object_name(object);
	fprintf(ctl->out, "%s %s%s\n", object_display_name(ctl, target->resource, name ? name : target->name), outcome,
	        dry_run_suffix(writer->dry_run));
	fflush(ctl->out);
}

static bool send_body(struct ctl *ctl, struct rest_request *request, const struct json *body,
                      struct rest_response *ret_response)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(BODY_MAX_BYTES);
	json_write(&text, body);
	request->body = strbuf_text(&text);
	request->body_length = text.length;
	return ctl_call(ctl, request, ret_response);
}

bool write_create(struct ctl *ctl, const struct writer *writer, const struct target *target, const struct json *body,
                  struct rest_response *ret_response)
{
	struct rest_request request = {
	        .method = "POST",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .query = writer->query,
	};
	return send_body(ctl, &request, body, ret_response);
}

bool write_replace(struct ctl *ctl, const struct writer *writer, const struct target *target, const struct json *body,
                   struct rest_response *ret_response)
{
	struct rest_request request = {
	        .method = "PUT",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	        .query = writer->query,
	};
	return send_body(ctl, &request, body, ret_response);
}

bool write_patch(struct ctl *ctl, const struct writer *writer, const struct target *target, const char *subresource,
                 enum rest_body_type type, const struct json *patch, struct rest_response *ret_response)
{
	struct rest_request request = {
	        .method = "PATCH",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	        .subresource = subresource,
	        .query = writer->query,
	        .body_type = type,
	};
	return send_body(ctl, &request, patch, ret_response);
}
