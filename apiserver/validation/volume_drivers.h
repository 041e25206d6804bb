// SPDX-License-Identifier: Apache-2.0
#pragma once
// The functions of the drivers that stand in both tables of volume_sources.h.

#include "apiserver/validation/volume_sources.h"

#define VOLUME_DRIVER(name)                                                                              \
	void name(struct validation *v, const struct json *source, const struct volume_context *context, \
	          const struct rule_path *path)

VOLUME_DRIVER(volume_partitioned);
VOLUME_DRIVER(volume_nfs);
VOLUME_DRIVER(volume_host_path);
VOLUME_DRIVER(volume_iscsi);
VOLUME_DRIVER(volume_flocker);
VOLUME_DRIVER(volume_fc);
VOLUME_DRIVER(volume_monitors);
VOLUME_DRIVER(volume_quobyte);
VOLUME_DRIVER(volume_flex);
VOLUME_DRIVER(volume_azure_disk);
VOLUME_DRIVER(volume_named_secret);
