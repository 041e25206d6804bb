// SPDX-License-Identifier: Apache-2.0
#pragma once
// The authenticate stage: who asks.

#include "apiserver/request.h"

const struct status *authenticate(struct request *request);
