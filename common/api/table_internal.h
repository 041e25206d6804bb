// SPDX-License-Identifier: Apache-2.0
#pragma once
// The rows that say how a kind's cells are made. Most cells are a rule over a
// path in the object; the others are functions.

#include "common/api/json.h"
#include "common/api/table.h"

struct table_row {
	struct arena *arena;
	const struct json *object;
	int64_t now_ns;
	struct json *cells; // the array being made
};

enum cell_rule {
	CELL_TEXT,      // a string, or `otherwise`
	CELL_NUMBER,    // an integer, 0 when absent
	CELL_NUMBER_OR, // an integer, or the text `otherwise`
	CELL_SCALAR,    // a string or an integer as text, or `otherwise`
	CELL_BOOL,      // true when set so; `otherwise` "true" makes it the default
	CELL_COUNT,     // the number of items or members
	CELL_AGE,       // the age of a time, or `otherwise` ("<unknown>" when NULL)
	CELL_TIME,      // the time itself
	CELL_LABELS,    // k=v,…
	CELL_SELECTOR,  // a label selector in its API form
	CELL_NAMES,     // names of the containers in a list
	CELL_IMAGES,    // their images
	CELL_JOINED,    // strings joined by commas, or `otherwise`
	CELL_FUNCTION,  // appends one cell or more
};

struct cell {
	enum cell_rule rule;
	const char *path; // dotted
	const char *otherwise;
	void (*function)(struct table_row *row);
};

#define CELL_NAME                                    \
	{                                            \
		CELL_TEXT, "metadata.name", "", NULL \
	}
#define CELL_AGE_OF_OBJECT                                         \
	{                                                          \
		CELL_AGE, "metadata.creationTimestamp", NULL, NULL \
	}
#define CELL_BY(cell_function)                           \
	{                                                \
		CELL_FUNCTION, NULL, NULL, cell_function \
	}

struct table_kind {
	const char *group;
	const char *kind;
	const struct cell *cells;
	size_t cell_count;
};

#define TABLE_KIND(group, kind, cells)                \
	{                                             \
		group, kind, cells, ARRAY_SIZE(cells) \
	}

extern const struct table_kind table_core_kinds[], table_workload_kinds[], table_other_kinds[];
extern const size_t table_core_kind_count, table_workload_kind_count, table_other_kind_count;

// --- reading ------------------------------------------------------------------------
// The value at a dotted path, NULL when it is not there or null.
const struct json *table_at(const struct json *object, const char *path);
// Its text, or `otherwise` when there is none or it is empty.
const char *table_text(const struct json *object, const char *path, const char *otherwise);
int64_t table_number(const struct json *object, const char *path);
bool table_bool(const struct json *object, const char *path);
size_t table_count(const struct json *object, const char *path);
// The item of a list of conditions with this type, NULL = none.
const struct json *table_condition(const struct json *conditions, const char *type);
bool table_condition_is_true(const struct json *conditions, const char *type);
// A string or integer as text, NULL when it is neither.
const char *table_scalar(struct arena *arena, const struct json *value);

// --- texts, in the arena ----------------------------------------------------------------
// "<unknown>" when the time is absent.
const char *table_age(const struct table_row *row, const struct json *time);
const char *table_labels(struct arena *arena, const struct json *labels);
const char *table_lower(struct arena *arena, const char *text);
// Of the items of `list`: the texts at `path` in each (or the items themselves when
// `path` is NULL), joined; "" when there are none.
const char *table_join(struct arena *arena, const struct json *list, const char *path, const char *separator);
// Sorts texts and joins them by commas, each once.
const char *table_join_sorted(struct arena *arena, const char **texts, size_t count);
// "RWO,ROX": access modes in their short form and order.
const char *table_access_modes(struct arena *arena, const struct json *modes);

// --- adding cells ----------------------------------------------------------------------
void table_add_text(struct table_row *row, const char *text);
void table_add_number(struct table_row *row, int64_t number);
void table_add_bool(struct table_row *row, bool value);

// Of a custom resource: its name, then what its columns' paths find.
struct json *table_custom_cells(struct arena *arena, const struct schema_resource *resource, const struct json *object,
                                int64_t now_realtime_ns);
