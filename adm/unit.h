// SPDX-License-Identifier: Apache-2.0
#pragma once
// The systemd units of the daemons: their arguments as an environment file, and
// starting them.

#include <stddef.h>

#include "common/base/err.h"

struct init_run;

// Writes /etc/kubernetes/<unit>.env with VARIABLE="arguments…", one argument a line.
NODISCARD int unit_write_arguments(const char *unit, const char *variable, const char *const *arguments, size_t count,
                                   struct err *err);

// Enables the unit and starts it; does not wait for it to be ready.
NODISCARD int unit_start(const char *unit, struct err *err);

// The last lines of its journal on standard error, for a failure's report.
void unit_show_journal(const char *unit);
