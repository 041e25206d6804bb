// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pods from manifest files in a folder (or one file) of the node.

#include "common/base/arena.h"
#include "common/base/err.h"

struct kubelet;
struct api_object;
struct static_pods;

struct static_pods *static_pods_new(struct kubelet *kubelet);
struct static_pods *static_pods_free(struct static_pods *pods);

// One manifest as an object of this node: decoded, defaulted, named and given its uid as upstream does.
NODISCARD int static_pod_decode(const char *path, const char *text, size_t length, const char *node_name,
                                struct api_object **ret_object, struct err *err);
