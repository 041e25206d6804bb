// SPDX-License-Identifier: Apache-2.0
#pragma once
// Validation of whole objects, one function for each kind, in the files
// validate_*.c; validate.c has the table.

#include "apiserver/registry/change.h"
#include "apiserver/validation/validation.h"

// Metadata, name and the kind's rules; on update also what may not change.
const struct status *validate_change(struct change *change);

// --- kinds: v->change tells create from update, and its subresource ---------------------
void validate_admission_policy(struct validation *v);
void validate_admission_policy_binding(struct validation *v);
void validate_api_service(struct validation *v);
void validate_autoscaler(struct validation *v);
void validate_certificate_signing_request(struct validation *v);
void validate_config_map(struct validation *v);
void validate_controller_revision(struct validation *v);
void validate_cron_job(struct validation *v);
void validate_csi_driver(struct validation *v);
void validate_csi_node(struct validation *v);
void validate_csi_storage_capacity(struct validation *v);
void validate_daemon_set(struct validation *v);
void validate_deployment(struct validation *v);
void validate_device_class(struct validation *v);
void validate_endpoint_slice(struct validation *v);
void validate_endpoints(struct validation *v);
void validate_event(struct validation *v);
void validate_flow_schema(struct validation *v);
void validate_ingress(struct validation *v);
void validate_ingress_class(struct validation *v);
void validate_ip_address(struct validation *v);
void validate_job(struct validation *v);
void validate_lease(struct validation *v);
void validate_limit_range(struct validation *v);
void validate_namespace(struct validation *v);
void validate_network_policy(struct validation *v);
void validate_node(struct validation *v);
void validate_persistent_volume(struct validation *v);
void validate_persistent_volume_claim(struct validation *v);
void validate_pod(struct validation *v);
void validate_pod_disruption_budget(struct validation *v);
void validate_pod_template_kind(struct validation *v);
void validate_priority_class(struct validation *v);
void validate_priority_level(struct validation *v);
void validate_replica_set(struct validation *v);
void validate_replication_controller(struct validation *v);
void validate_resource_claim(struct validation *v);
void validate_resource_claim_template(struct validation *v);
void validate_resource_quota(struct validation *v);
void validate_resource_slice(struct validation *v);
void validate_role(struct validation *v);
void validate_role_binding(struct validation *v);
void validate_runtime_class(struct validation *v);
void validate_secret(struct validation *v);
void validate_service(struct validation *v);
void validate_service_cidr(struct validation *v);
void validate_stateful_set(struct validation *v);
void validate_storage_class(struct validation *v);
void validate_volume_attachment(struct validation *v);
void validate_volume_attributes_class(struct validation *v);
void validate_webhook_configuration(struct validation *v);

// --- metadata ------------------------------------------------------------------------------
void validate_metadata_create(struct validation *v, string_check name);
void validate_metadata_update(struct validation *v);
// The name as part of a path, which every name has to be.
void validate_name_segment(struct validation *v);
void validate_labels(struct validation *v, const struct json *labels, const struct rule_path *path);
void validate_annotations(struct validation *v, const struct json *annotations, const struct rule_path *path);
void validate_finalizer_name(struct validation *v, const char *name, const struct rule_path *path);
// Of an object inside another: labels and annotations alone.
void validate_template_metadata(struct validation *v, const struct json *metadata, const struct rule_path *parent);

// --- parts that several kinds share --------------------------------------------------------
void validate_label_selector(struct validation *v, const struct json *selector, const struct rule_path *path);
// `check_values`: values are label values, too.
void validate_node_selector(struct validation *v, const struct json *selector, bool check_values,
                            const struct rule_path *path);
void validate_node_term(struct validation *v, const struct json *term, bool check_values, const struct rule_path *path);
void validate_topology_term(struct validation *v, const struct json *term, const struct rule_path *path);
void validate_pod_template(struct validation *v, const struct json *template, const struct rule_path *path);
// The selector matches the template's labels.
void validate_template_labels(struct validation *v, const struct json *selector, const struct json *template,
                              const struct rule_path *template_path);
void validate_volumes(struct validation *v, const struct json *volumes, const struct json *metadata, bool is_template,
                      const struct rule_path *path);
void validate_claim_spec(struct validation *v, const struct json *spec, const struct rule_path *path);
void validate_inline_volume(struct validation *v, const struct json *spec, const struct rule_path *path);
void validate_endpoint_ip(struct validation *v, const char *text, const struct rule_path *path);
const char *check_ip_name(struct arena *arena, const char *text, size_t index);
