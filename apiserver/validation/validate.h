// SPDX-License-Identifier: Apache-2.0
#pragma once
// Validation of whole objects, one function for each kind, in the files
// validate_*.c; validate.c has the table.

#include "apiserver/registry/change.h"
#include "apiserver/validation/validation.h"

// Metadata, name and the kind's rules; on update also what may not change.
const struct status *validate_change(struct change *change);

// --- kinds: v->change tells create from update --------------------------------------
void validate_pod(struct validation *v);
void validate_replication_controller(struct validation *v);
void validate_pod_template_kind(struct validation *v);
void validate_deployment(struct validation *v);
void validate_replica_set(struct validation *v);
void validate_daemon_set(struct validation *v);
void validate_stateful_set(struct validation *v);
void validate_controller_revision(struct validation *v);
void validate_job(struct validation *v);
void validate_cron_job(struct validation *v);
void validate_service(struct validation *v);
void validate_endpoints(struct validation *v);
void validate_endpoint_slice(struct validation *v);
void validate_ingress(struct validation *v);
void validate_ingress_class(struct validation *v);
void validate_network_policy(struct validation *v);
void validate_ip_address(struct validation *v);
void validate_service_cidr(struct validation *v);
void validate_config_map(struct validation *v);
void validate_secret(struct validation *v);
void validate_namespace(struct validation *v);
void validate_node(struct validation *v);
void validate_event(struct validation *v);
void validate_lease(struct validation *v);
void validate_priority_class(struct validation *v);
void validate_runtime_class(struct validation *v);
void validate_pod_disruption_budget(struct validation *v);
void validate_autoscaler(struct validation *v);
void validate_resource_quota(struct validation *v);
void validate_limit_range(struct validation *v);
void validate_persistent_volume(struct validation *v);
void validate_persistent_volume_claim(struct validation *v);
void validate_storage_class(struct validation *v);
void validate_csi_kind(struct validation *v);
void validate_role(struct validation *v);
void validate_role_binding(struct validation *v);

// --- parts that several kinds share --------------------------------------------------
void validate_labels(struct validation *v, const struct json *labels, const struct rule_path *path);
void validate_annotations(struct validation *v, const struct json *annotations, const struct rule_path *path);
void validate_label_selector(struct validation *v, const struct json *selector, const struct rule_path *path);
// `is_template`: of a workload, not a Pod object itself.
void validate_pod_spec(struct validation *v, const struct json *spec, const struct json *metadata,
                       const struct rule_path *path, bool is_template);
void validate_containers(struct validation *v, const struct json *spec, const struct rule_path *path, bool is_template);
void validate_volumes(struct validation *v, const struct json *volumes, const struct rule_path *path);
void validate_resources(struct validation *v, const struct json *resources, const struct rule_path *path);
void validate_pod_template(struct validation *v, const struct json *template, const struct rule_path *path);
void validate_ip_text(struct validation *v, const char *text, const struct rule_path *path);
