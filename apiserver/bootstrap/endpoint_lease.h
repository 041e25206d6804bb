// SPDX-License-Identifier: Apache-2.0
#pragma once
// The endpoints of the kubernetes Service: the advertise addresses of all living
// apiservers (see endpoint_lease.c).

struct endpoint_lease;
struct server;

struct endpoint_lease *endpoint_lease_new(struct server *server);
struct endpoint_lease *endpoint_lease_free(struct endpoint_lease *lease);

// One round: says that we live, and makes Endpoints and EndpointSlice of who
// does. `done` comes exactly once, never from inside the call, with whether all went well.
void endpoint_lease_renew(struct endpoint_lease *lease, void (*done)(void *context, _Bool ok), void *context);
