// SPDX-License-Identifier: Apache-2.0
#pragma once
// "…%s…%.3f…".format([…]).

#include "common/cel/evaluate.h"

struct cel_value cel_format_text(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count);
