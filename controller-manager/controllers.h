// SPDX-License-Identifier: Apache-2.0
#pragma once
// Every controller's row; each is defined in the file of its name.

#include "controller-manager/controller.h"

extern const struct controller_type bootstrap_signer_controller;
extern const struct controller_type certificate_approving_controller;
extern const struct controller_type certificate_cleaner_controller;
extern const struct controller_type certificate_signing_controller;
extern const struct controller_type clusterrole_aggregation_controller;
extern const struct controller_type daemonset_controller;
extern const struct controller_type deployment_controller;
extern const struct controller_type endpoints_controller;
extern const struct controller_type endpointslice_controller;
extern const struct controller_type endpointslice_mirroring_controller;
extern const struct controller_type garbage_collector_controller;
extern const struct controller_type namespace_controller;
extern const struct controller_type node_ipam_controller;
extern const struct controller_type node_lifecycle_controller;
extern const struct controller_type pod_gc_controller;
extern const struct controller_type policy_status_controller;
extern const struct controller_type replicaset_controller;
extern const struct controller_type replication_controller;
extern const struct controller_type resource_quota_controller;
extern const struct controller_type root_ca_publisher_controller;
extern const struct controller_type serviceaccount_controller;
extern const struct controller_type serviceaccount_token_controller;
extern const struct controller_type statefulset_controller;
extern const struct controller_type taint_eviction_controller;
extern const struct controller_type token_cleaner_controller;
