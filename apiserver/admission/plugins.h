// SPDX-License-Identifier: Apache-2.0
#pragma once
// The plug-ins of the table in admission.c, each in the file that bears its name or
// that of its subject.

#include "apiserver/admission/admission.h"

// What plug-ins keep between requests is made here, and their configuration judged.
NODISCARD int admission_plugins_start(struct server *server, struct err *err);
void admission_plugins_stop(struct admission *admission);

#define INSTANT(name) const struct status *name(struct change *change, enum admission_operation operation)

// admission_namespace.c
INSTANT(admission_namespace_lifecycle);
INSTANT(admission_namespace_exists);
// admission_pod.c
INSTANT(admission_priority);
INSTANT(admission_default_tolerations);
// admission_objects.c
INSTANT(admission_taint_nodes);
INSTANT(admission_storage_protection);
INSTANT(admission_default_storage_class);
INSTANT(admission_default_ingress_class);
// limit_ranger.c
INSTANT(admission_limit_ranger_mutate);
INSTANT(admission_limit_ranger_validate);
// service_account.c
INSTANT(admission_service_account_mutate);
INSTANT(admission_service_account_validate);
bool admission_service_account_waits(const struct change *change, enum admission_operation operation,
                                     enum admission_phase phase);
void admission_service_account_start(struct admission_wait *wait);
// node_restriction.c
INSTANT(admission_node_restriction);
// pod_rules.c
INSTANT(admission_hard_anti_affinity);
INSTANT(admission_always_pull_mutate);
INSTANT(admission_always_pull_validate);
INSTANT(admission_extended_resource_toleration);
// namespace_wishes.c
INSTANT(admission_pod_node_selector_mutate);
INSTANT(admission_pod_node_selector_validate);
INSTANT(admission_pod_toleration_mutate);
INSTANT(admission_pod_toleration_validate);
// runtime_class.c
INSTANT(admission_runtime_class_mutate);
INSTANT(admission_runtime_class_validate);
// object_rules.c
INSTANT(admission_always_deny);
INSTANT(admission_claim_resize);
INSTANT(admission_deny_external_ips);
INSTANT(admission_owner_references);
// certificates.c
INSTANT(admission_certificate_approval);
INSTANT(admission_certificate_signing);
INSTANT(admission_certificate_subject);
// event_rate_limit.c
INSTANT(admission_event_rate_limit);
// pod_security.c
INSTANT(admission_pod_security);

#undef INSTANT
