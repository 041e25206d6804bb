// SPDX-License-Identifier: Apache-2.0
#pragma once
// Paths that aren't resources: health, version, metrics, discovery, OpenAPI.

#include "apiserver/request.h"

void nonresource_serve(struct request *request);

// The checks of /healthz, /livez and /readyz.
struct health_check *nonresource_health_checks(struct server *server);
