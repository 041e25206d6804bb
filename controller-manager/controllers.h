// SPDX-License-Identifier: Apache-2.0
#pragma once
// Every controller's row; each is defined in the file of its name.

#include "controller-manager/controller.h"

extern const struct controller_type deployment_controller;
extern const struct controller_type replicaset_controller;
