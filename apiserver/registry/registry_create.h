// SPDX-License-Identifier: Apache-2.0
#pragma once
// Creating an object that was decoded already (PUT of a name that isn't there).

#include "apiserver/request.h"

// Ends the request. `object` is of the request's resource, decoded and defaulted.
void registry_create_object(struct request *request, struct json *object);
// The same for an object whose managedFields are settled.
void registry_create_applied(struct request *request, struct json *object);
