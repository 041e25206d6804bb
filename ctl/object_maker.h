// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the commands that make objects from flags share.

#include "common/api/json.h"
#include "ctl/write.h"

struct ctl;

// {"apiVersion", "kind", "metadata": {"name"}}
struct json *object_new(struct ctl *ctl, const char *api_version, const char *kind, const char *name);
// Creates it in the command's namespace and tells; returns the exit code.
int object_create(struct ctl *ctl, const struct write_options *options, struct json *object);
// The one positional argument NAME; NULL when it is missing (reported).
const char *object_name_argument(struct ctl *ctl, int argc, char **argv);
// "a=b,c=d" into an object; false when malformed (reported).
bool object_parse_map(struct ctl *ctl, const char *text, struct json *map);
// The positional arguments behind "--" as a list of texts.
struct json *object_words(struct ctl *ctl, int argc, char **argv);
