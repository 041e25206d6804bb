// SPDX-License-Identifier: Apache-2.0
#pragma once
// Prints Tables of the server (meta.k8s.io/v1): headings, rows, and the columns
// that are added here (namespace, labels).

#include "common/api/json.h"
#include "common/base/strbuf.h"
#include "ctl/tab_writer.h"

// What the Accept header asks for.
#define TABLE_ACCEPT                                                                                                  \
	"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/" \
	"json"

struct table_options {
	bool wide;
	bool no_headers;
	bool with_namespace;
	bool show_labels;
	const char *const *label_columns; // NULL-terminated; NULL = none
	const char *kind_prefix;          // "deployment.apps/" in front of names; NULL = none
};

struct table_printer {
	struct table_options options;
	struct tab_writer writer;
	struct arena *arena;
	struct json *columns; // columnDefinitions of the table printed last
	bool headers_printed;
};

void table_printer_init(struct table_printer *printer, struct arena *arena, const struct table_options *options);
void table_printer_done(struct table_printer *printer);

bool table_is_table(const struct json *object);
// Appends the rows, with headings before the first ones. `event` (may be NULL) is the EVENT column of a watch.
void table_print(struct table_printer *printer, const struct json *table, const char *event, struct strbuf *out);

// The table of objects that a server gave which doesn't make tables: NAME and AGE.
struct json *table_from_objects(struct arena *arena, const struct json *object, int64_t now_realtime_ns);

// "a=1,b=2" sorted, "<none>" for no labels.
const char *labels_text(struct arena *arena, const struct json *labels);
