// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sees to it that an image is there, by the container's pull policy, with upstream's
// events and reasons.

#include "kubelet/pod/pod.h"
#include "kubelet/runtime/runtime.h"

struct image_result {
	struct runtime_image *image; // borrowed for the call; NULL: failed
	const char *reason;          // "ErrImagePull", "ErrImageNeverPull", "ImageInspectError", "InvalidImageName"
	const char *message;
};

// `container` NULL: the pod's infrastructure image, without events. done comes exactly once, never from inside; pod and
// container must live until then.
void image_ensure(struct pod *pod, struct pod_container *container, const char *reference, const char *policy,
                  void (*done)(void *context, const struct image_result *result), void *context);
