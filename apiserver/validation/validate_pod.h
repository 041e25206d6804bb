// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parts of pod validation, a file each.

#include "apiserver/validation/rules.h"
#include "apiserver/validation/validate.h"

struct pod_scope {
	const struct json *spec;
	const struct json *metadata; // of the pod or the template
	bool is_template;            // of a workload, not a Pod object itself
	bool host_users;             // shares the host's users
};

enum container_kind {
	CONTAINER_MAIN,
	CONTAINER_INIT,
	CONTAINER_EPHEMERAL,
};

void validate_containers(struct validation *v, const struct pod_scope *scope, const struct rule_path *path);
void validate_container_environment(struct validation *v, const struct json *container, const struct rule_path *path);
void validate_container_mounts(struct validation *v, const struct json *container, const struct pod_scope *scope,
                               const struct rule_path *path);
// Lifecycle hooks and the three probes.
void validate_container_handlers(struct validation *v, const struct json *container, const struct pod_scope *scope,
                                 const struct rule_path *path);
void validate_container_security(struct validation *v, const struct json *container, const struct pod_scope *scope,
                                 const struct rule_path *path);
void validate_pod_scheduling(struct validation *v, const struct pod_scope *scope, const struct rule_path *path);
void validate_pod_security(struct validation *v, const struct pod_scope *scope, const struct rule_path *path);
void validate_pod_os(struct validation *v, const struct json *spec, const struct rule_path *path);
void validate_pod_annotations(struct validation *v, const struct json *annotations, const struct json *spec,
                              const struct rule_path *path);
void validate_tolerations(struct validation *v, const struct json *tolerations, const struct rule_path *path);
void validate_resource_requirements(struct validation *v, const struct json *resources, const struct json *spec,
                                    const struct rule_path *path);
// A downward API reference: of an environment variable or of a volume's file.
void validate_field_reference(struct validation *v, const struct json *reference, bool volume,
                              const struct rule_path *path);
void validate_resource_reference(struct validation *v, const struct json *reference, bool volume,
                                 const struct rule_path *path);

void validate_pod_update(struct validation *v);
void validate_pod_status_update(struct validation *v);
void validate_pod_ephemeral_update(struct validation *v);
void validate_pod_resize(struct validation *v);

#define WINDOWS_DETAIL "cannot be set for a windows pod"
// The spec and the annotations, as a new pod has them.
void validate_whole_pod(struct validation *v);
void validate_pod_annotation_update(struct validation *v);
// Profiles in annotations and fields say the same.
void validate_pod_profiles(struct validation *v);
