// SPDX-License-Identifier: Apache-2.0
#pragma once
// Subresources whose POST does something else than creating an object, and what is
// served without being stored.

#include "apiserver/request.h"

// True when the request was one of these (and is ended or on its way).
bool subresources_serve(struct request *request);

void binding_serve(struct request *request);
void eviction_serve(struct request *request);
void component_status_serve(struct request *request);
