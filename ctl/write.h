// SPDX-License-Identifier: Apache-2.0
#pragma once
// What commands that change objects share: dry runs, field managers, validation,
// and the line that tells the outcome.

#include "common/client/rest.h"
#include "ctl/output.h"
#include "ctl/target.h"

struct ctl;

enum dry_run {
	DRY_RUN_NONE,
	DRY_RUN_CLIENT,
	DRY_RUN_SERVER,
};

struct write_options {
	const char *dry_run;
	const char *field_manager;
	const char *validate;
	struct output_options output;
};

#define WRITE_OPTIONS_INIT(manager)                                                                                \
	{                                                                                                          \
		.dry_run = "none", .field_manager = (manager), .validate = "strict", .output = OUTPUT_OPTIONS_INIT \
	}
#define DRY_RUN_OPTION_ROW(write)                                               \
	{                                                                       \
		"dry-run", 0, OPTION_STRING, &(write).dry_run, NULL, "",        \
		        "none, client (print only) or server (without storing)" \
	}
#define FIELD_MANAGER_OPTION_ROW(write)                                              \
	{                                                                            \
		"field-manager", 0, OPTION_STRING, &(write).field_manager, NULL, "", \
		        "Name under which fields are owned"                          \
	}
#define VALIDATE_OPTION_ROW(write)                                                                \
	{                                                                                         \
		"validate", 0, OPTION_STRING, &(write).validate, NULL, "",                        \
		        "Unknown and duplicate fields: strict (or true), warn, ignore (or false)" \
	}
#define WRITE_OPTION_ROWS(write) \
	DRY_RUN_OPTION_ROW(write), FIELD_MANAGER_OPTION_ROW(write), OUTPUT_OPTION_ROWS((write).output)

struct writer {
	enum dry_run dry_run;
	const char *query; // of requests that write
	struct output output;
	bool validates;
};

// False when a flag's value is bad (reported).
bool writer_init(struct ctl *ctl, const struct write_options *options, struct writer *ret_writer);

// "deployment.apps/web created", or the object in the wanted format.
void writer_tell(struct ctl *ctl, struct writer *writer, const struct target *target, const struct json *object,
                 const char *outcome);

// " (dry run)", " (server dry run)" or "".
const char *dry_run_suffix(enum dry_run dry_run);

// POST, PUT and PATCH of a target. `body` is written as JSON. False: the response has the failure.
bool write_create(struct ctl *ctl, const struct writer *writer, const struct target *target, const struct json *body,
                  struct rest_response *ret_response);
bool write_replace(struct ctl *ctl, const struct writer *writer, const struct target *target, const struct json *body,
                   struct rest_response *ret_response);
bool write_patch(struct ctl *ctl, const struct writer *writer, const struct target *target, const char *subresource,
                 enum rest_body_type type, const struct json *patch, struct rest_response *ret_response);
