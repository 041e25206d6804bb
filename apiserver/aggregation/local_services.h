// SPDX-License-Identifier: Apache-2.0
#pragma once
// The APIService objects of the versions that this server answers for itself: made
// when they are missing, taken away when a custom group is no longer served.

struct local_services;
struct server;

// On the main loop.
struct local_services *local_services_start(struct server *server);
struct local_services *local_services_stop(struct local_services *services); // returns NULL
// What is served, or what is stored, has changed.
void local_services_look(struct local_services *services);
