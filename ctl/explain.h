// SPDX-License-Identifier: Apache-2.0
#pragma once
// The text of `explain`, from the schema's tables.

#include <stdbool.h>

#include "common/api/schema.h"
#include "common/base/err.h"
#include "common/base/strbuf.h"

// `path`: the fields behind the type ("spec.containers"), "" for the kind itself. What could be
// written before a field turned out not to exist stands in `out`.
NODISCARD int explain_write(const struct schema_resource *resource, const char *path, bool recursive,
                            struct strbuf *out, struct err *err);
