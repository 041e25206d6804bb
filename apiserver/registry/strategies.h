// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kinds' own parts of create and update (see strategy.h).

#include "apiserver/registry/change.h"

// "Guaranteed", "Burstable" or "BestEffort".
const char *pod_quality_of_service(const struct json *pod);
void strategy_pod_create(struct change *change);
void strategy_pod_update(struct change *change);
void strategy_pod_ephemeral_containers(struct change *change);
void strategy_pod_resize(struct change *change);
void strategy_service_create(struct change *change);
void strategy_service_update(struct change *change);
void strategy_namespace_create(struct change *change);
void strategy_namespace_update(struct change *change);
void strategy_volume_create(struct change *change);
void strategy_volume_update(struct change *change);
void strategy_claim_create(struct change *change);
void strategy_secret(struct change *change);
void strategy_limit_range_create(struct change *change);
void strategy_definition_create(struct change *change);
void strategy_definition_update(struct change *change);
void strategy_deployment_update(struct change *change);
void strategy_job_create(struct change *change);
void strategy_signing_request_create(struct change *change);
void strategy_signing_request_update(struct change *change);
