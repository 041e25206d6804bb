// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the kubelet remembers of its pods over its own death: small JSON files in the
// pod's directory, written before the thing that they tell of is made, and replaced
// whole.
//
//   pod.json                     the object as last seen
//   sandbox.json                 ids, namespaces, network configuration and result
//   containers/<name>/state.json the present run and the last one

#include "kubelet/pod/pod.h"

// Failures are logged: the pod goes on, and a restart will know less.
void pod_record_object(const struct pod *pod);
void pod_record_sandbox(const struct pod *pod);
void pod_record_container(const struct pod_container *container);

// Fills sandbox and containers (made from the object already) from the files; what isn't there stays as it is.
// Runs that were going on are left as CONTAINER_RUNNING, to be compared with the runtime's list.
void pod_record_load(struct pod *pod);

// The object of a pod directory; NULL when it can't be read.
struct api_object *pod_record_load_object(const char *directory, enum pod_origin *ret_origin);
