// SPDX-License-Identifier: Apache-2.0
#pragma once
// Other requests and limits for a pod that runs (pods/resize): its control groups get
// them at once, unless the node is too small; containers whose resizePolicy says so are
// restarted.

#include "kubelet/pod/pod.h"

// The container runs with what its spec says now.
void pod_resize_note_start(struct pod_container *container);
// A newer object has come: brings running containers to what it says. Sets pod->resize_trouble.
void pod_resize_apply(struct pod *pod);
void pod_resize_forget(struct pod_container *container);
