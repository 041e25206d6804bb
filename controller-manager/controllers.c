// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/controllers.h"

#include <stddef.h>

const struct controller_type *const controller_types[] = {
	&deployment_controller,
	&replicaset_controller,
	NULL,
};
