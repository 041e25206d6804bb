// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/controllers.h"

#include <stddef.h>

const struct controller_type *const controller_types[] = {
        &bootstrap_signer_controller,
        &certificate_approving_controller,
        &certificate_cleaner_controller,
        &certificate_signing_controller,
        &clusterrole_aggregation_controller,
        &daemonset_controller,
        &deployment_controller,
        &endpoints_controller,
        &endpointslice_controller,
        &endpointslice_mirroring_controller,
        &garbage_collector_controller,
        &namespace_controller,
        &node_ipam_controller,
        &node_lifecycle_controller,
        &pod_gc_controller,
        &replicaset_controller,
        &replication_controller,
        &resource_quota_controller,
        &root_ca_publisher_controller,
        &serviceaccount_controller,
        &serviceaccount_token_controller,
        &statefulset_controller,
        &taint_eviction_controller,
        &token_cleaner_controller,
        &policy_status_controller,
        NULL,
};
