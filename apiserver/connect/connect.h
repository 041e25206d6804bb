// SPDX-License-Identifier: Apache-2.0
#pragma once
// CONNECT: requests that a kubelet, a pod or a service answers (log, exec,
// attach, portforward, proxy), relayed byte for byte.

#include "apiserver/request.h"

NODISCARD int connect_init(struct server *server, struct err *err);
void connect_done(struct server *server);

void connect_serve(struct request *request);
