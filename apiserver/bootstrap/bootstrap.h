// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every cluster has from its first second: the system namespaces, the
// system priority classes, the service range, the kubernetes Service and its
// endpoints. Made at start and made again when it is missing.

struct bootstrap;
struct server;

// Runs on the server's main loop; sets server->bootstrapped once all is there.
struct bootstrap *bootstrap_start(struct server *server);
struct bootstrap *bootstrap_free(struct bootstrap *bootstrap);
