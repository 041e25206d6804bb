// SPDX-License-Identifier: Apache-2.0
#pragma once
// Cluster IPs and node ports that no Service holds, or that no record holds for
// a Service: found and put right from time to time.

struct repair;
struct server;

struct repair *repair_new(struct server *server);
struct repair *repair_free(struct repair *repair);

// One pass over the caches, on the main loop; its writes go on in the background.
void repair_run(struct repair *repair);
