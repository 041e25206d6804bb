// SPDX-License-Identifier: Apache-2.0
#pragma once
// The authorize stage: may this user do this.

#include "apiserver/request.h"

const struct status *authorize(struct request *request);
