// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a CONNECT asks for, as the object that admission speaks of: PodExecOptions
// and the like, made of the query.

#include "apiserver/request.h"

// NULL for what admission isn't asked about (logs).
struct json *connect_options(struct request *request);
