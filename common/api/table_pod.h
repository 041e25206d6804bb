// SPDX-License-Identifier: Apache-2.0
#pragma once
// The cells of pods that are more than a path.

#include "common/api/table_internal.h"

void table_pod_summary(struct table_row *row); // Ready, Status, Restarts
void table_pod_address(struct table_row *row);
void table_pod_readiness_gates(struct table_row *row);
