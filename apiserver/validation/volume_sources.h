// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sources of volumes: those of pods and those of PersistentVolumes, which share
// most drivers.

#include "apiserver/validation/rules.h"

struct volume_context {
	const struct json *holder;   // the volume's source members
	const struct json *metadata; // of the pod or the PersistentVolume
	const char *volume_name;     // of a pod's volume
	bool is_template;
};

struct volume_source {
	const char *member;
	const char *clash; // the path shown when it is one too many, where that differs
	const char *required[3];
	void (*validate)(struct validation *v, const struct json *source, const struct volume_context *context,
	                 const struct rule_path *path);
};

// Rows end with one without a member.
extern const struct volume_source pod_volume_sources[];
extern const struct volume_source persistent_volume_sources[];

// Exactly one of them, by its rules.
void validate_volume_sources(struct validation *v, const struct volume_source *rows,
                             const struct volume_context *context, const struct rule_path *path);
void validate_csi_driver_name(struct validation *v, const char *name, const struct rule_path *path);
