// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the two endpoints controllers ask of Services and their pods.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "controller-manager/controller.h"

struct core_v1_pod;
struct core_v1_service;
struct core_v1_service_port;
struct core_v1_object_reference;
struct string_map;

#define HEADLESS_LABEL "service.kubernetes.io/headless"

bool service_is_headless(const struct core_v1_service *service);
// True when controllers make its endpoints: it has a selector and is no ExternalName.
bool service_selects_pods(const struct core_v1_service *service);

// Wakes the Services whose endpoints an event of a pod may change. Needs the index "namespace".
void service_enqueue_of_pod(struct controller *controller, const struct informer *services,
                            const struct api_object *old_object, const struct api_object *new_object);

// The pods that a Service selects and that can have endpoints: they have an address and have not finished; those
// that are terminating only when `terminating`. Sorted by name. Needs the index "namespace".
struct api_object **service_pods(struct arena *arena, const struct informer *pods, const struct api_object *service,
                                 bool terminating, size_t *ret_count);

// The pod's address of the family, NULL = none.
const char *pod_address(const struct core_v1_pod *pod, bool is_ipv6);
// The number of a Service's target port in the pod; false when it has no port of that name.
bool pod_target_port(const struct core_v1_pod *pod, const struct core_v1_service_port *port, int32_t *ret_number);
// The pod's name within the Service's DNS domain, NULL = none.
const char *pod_hostname_in(const struct core_v1_pod *pod, const struct core_v1_service *service);
const struct core_v1_object_reference *pod_reference(struct arena *arena, const struct core_v1_pod *pod);
