// SPDX-License-Identifier: Apache-2.0
#pragma once
// Admission of what is posted and not stored: bindings, evictions, requests for
// tokens. It is a CREATE of the posted object, whatever the server does with it then.

#include "apiserver/request.h"

// Admits the body, then calls `serve`, for which the body is what admission made of it; nothing else
// that this request does is asked about again. Ends the request when it is refused.
void admission_posted_start(struct request *request, void (*serve)(struct request *request));
