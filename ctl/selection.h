// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the user pointed at: TYPE, TYPE NAME…, TYPE/NAME…, TYPE,TYPE, a category,
// or files; narrowed by selectors.

#include <stdint.h>

#include "ctl/manifest.h"
#include "ctl/target.h"

struct ctl;
struct rest_response;

struct selection_options {
	struct manifest_options manifest;
	const char *selector;
	const char *field_selector;
	bool all_namespaces;
	bool all; // --all: without names all of a type are meant
};

#define SELECTOR_OPTION_ROW(selection)                                                        \
	{                                                                                     \
		"selector", 'l', OPTION_STRING, &(selection).selector, NULL, "",              \
		        "Only objects with these labels: key=value, key!=value, key in (a,b)" \
	}
#define FIELD_SELECTOR_OPTION_ROW(selection)                                               \
	{                                                                                  \
		"field-selector", 0, OPTION_STRING, &(selection).field_selector, NULL, "", \
		        "Only objects with these fields: metadata.name=x"                  \
	}
#define ALL_NAMESPACES_OPTION_ROW(selection)                                                 \
	{                                                                                    \
		"all-namespaces", 'A', OPTION_BOOL, &(selection).all_namespaces, NULL, NULL, \
		        "Objects of all namespaces"                                          \
	}
#define ALL_OPTION_ROW(selection)                                                              \
	{                                                                                      \
		"all", 0, OPTION_BOOL, &(selection).all, NULL, NULL, "All objects of the type" \
	}

// Types and names to targets, without reading any object: a target without a name is a
// collection. Files give their objects. False when a problem was reported.
bool selection_resolve(struct ctl *ctl, const struct selection_options *options, int argc, char **argv,
                       struct target_list *ret_list);

// The same with every named object read and every collection listed. Objects that can't be read
// are reported and left out; false when nothing could be resolved at all.
bool selection_fetch(struct ctl *ctl, const struct selection_options *options, int argc, char **argv,
                     struct target_list *ret_list);

// Reads one named target's object; NULL when that failed (reported).
struct json *target_fetch(struct ctl *ctl, const struct target *target);

// "labelSelector=…&fieldSelector=…" in the arena, NULL when there are none; `more` (may be NULL) is added.
const char *selection_query(struct ctl *ctl, const struct selection_options *options, const char *more);

// Adds one escaped parameter to a query in the arena; `query` may be NULL.
const char *query_add(struct ctl *ctl, const char *query, const char *name, const char *value);

// Reports why a collection couldn't be listed.
int report_list(struct ctl *ctl, const struct target *target, const struct selection_options *options,
                const struct rest_response *response);

// Lists a collection in pages into one list object; false: *ret_response has the failure. `accept` may be NULL.
bool list_all(struct ctl *ctl, const struct target *target, const char *query, const char *accept, int64_t chunk_size,
              struct rest_response *ret_response);
