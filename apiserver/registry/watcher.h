// SPDX-License-Identifier: Apache-2.0
#pragma once
// The watches of one loop, as the server sees them.

struct server_loop;

// Ends every watch cleanly, for a stop. On the loop's thread.
void watcher_end_all(struct server_loop *home);
