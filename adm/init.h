// SPDX-License-Identifier: Apache-2.0
#pragma once
// The command `adm init`, and `adm init phase NAME`.

// argv[0] is "init". Returns kubeadm's exit codes: 0, 1 any error, 2 pre-flight, 3 arguments.
int command_init(int argc, char **argv);
