// SPDX-License-Identifier: Apache-2.0
#pragma once
// get --watch: a list, then a row (or object) for each change until the server ends the watch.

#include "ctl/output.h"
#include "ctl/selection.h"
#include "ctl/table.h"

struct get_watch_options {
	const struct selection_options *selection;
	struct table_options table;
	struct output *output;
	bool watch_only;
	bool show_events;
	int64_t chunk_size;
};

int get_watch(struct ctl *ctl, const struct target *target, const struct get_watch_options *options);
