// SPDX-License-Identifier: Apache-2.0
#pragma once
// Elastic tab stops as Go's text/tabwriter: text in which a tab ends a cell comes
// out aligned. A column is a run of consecutive lines that have a cell there, and
// is as wide as its widest cell and the padding; what follows a line's last tab
// belongs to no column.

#include <stddef.h>

#include "common/base/strbuf.h"

struct tab_writer {
	size_t minimum_width;
	size_t padding;
	bool remember_widths; // columns never become narrower again, also over several writes
	size_t *widths;       // heap, the remembered ones
	size_t width_count;
};

// The two layouts of kubectl: tables, and the texts of describe.
#define TAB_WRITER_TABLE ((struct tab_writer){.minimum_width = 6, .padding = 3, .remember_widths = true})
#define TAB_WRITER_DESCRIBE ((struct tab_writer){.minimum_width = 0, .padding = 2})

void tab_writer_done(struct tab_writer *writer);

// Appends the aligned form of whole lines.
void tab_writer_write(struct tab_writer *writer, const char *text, struct strbuf *out);
