// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tells the service manager how this process stands.

// Sends a state such as "READY=1" to $NOTIFY_SOCKET, as sd_notify(3) does. Does nothing where there is no such socket;
// a manager that doesn't listen is no error of ours. Never blocks.
void notify_manager(const char *state);
