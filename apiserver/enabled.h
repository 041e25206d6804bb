// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which of the built-in resources are served: those that are on by default, as
// --runtime-config and --feature-gates change it.

#include <stdbool.h>

#include "common/api/schema.h"
#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/base/options.h"

struct enabled;

// Of the lists' items "KEY=BOOL" (or "KEY"): runtime-config's keys are api/all, api/ga,
// api/beta, api/alpha, GROUP/VERSION ("v1" or "api/v1" for the core group) and
// GROUP/VERSION/RESOURCE, of which the more precise wins; feature-gates' are the
// gates that resources name, AllAlpha and AllBeta. Fails on a key that names nothing,
// and on a value that is no boolean.
NODISCARD int enabled_new(const struct string_list *runtime_config, const struct string_list *feature_gates,
                          struct enabled **ret_enabled, struct err *err);
struct enabled *enabled_free(struct enabled *enabled);
DEFINE_CLEANUP(struct enabled *, enabled_free)

// `resource` is one of the built-in ones. NULL `enabled`: what is on by default.
bool enabled_has(const struct enabled *enabled, const struct schema_resource *resource);
