// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of the YAML reader share.

#include <yaml.h>

#include "common/api/json.h"

#define YAML_ERROR_PREFIX "error converting YAML to JSON: yaml: "

struct yaml_reader {
	struct arena *arena;
	yaml_parser_t parser;
	const struct json_limits *limits;
	unsigned max_depth;
	size_t max_nodes;
	size_t nodes;
	size_t alias_nodes;
	unsigned depth;
	struct hashmap *anchors; // name to node; the marker while it is being read
	struct strbuf path;
	struct err *err;
};

// An error at an event: "… line 3: problem".
int yaml_node_error(struct yaml_reader *reader, const yaml_event_t *event, const char *problem);

// The node of a scalar event: plain ones by their text, others by their tag.
NODISCARD int yaml_read_scalar(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_value);
