// SPDX-License-Identifier: Apache-2.0
#pragma once
// The compiler of expressions in webhook configurations and policies, for their
// validation (admission_rules.h).

#include "apiserver/validation/admission_rules.h"

void expression_check(struct validation *v, enum expression_place place, const char *expression,
                      const struct rule_path *path);
