// SPDX-License-Identifier: Apache-2.0
#pragma once
// The status of the Node object: a function of what was found out.

#include "common/api/json.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/node_facts.h"
#include "kubelet/runtime/runtime.h"

struct node_image {
	char *reference;
	char *digest;
	int64_t size_bytes;
};

struct node_view {
	const struct kubelet *kubelet;
	struct node_facts facts;
	const char *runtime_version;
	const char *trouble; // why the node isn't ready; NULL: it is
	const struct node_image *images;
	size_t image_count;
	const struct json *previous; // the status sent last, for transition times; may be NULL
	int64_t now_ns;
};

// `heartbeat` (a time's text) stands in every condition.
struct json *node_status_build(struct arena *arena, const struct node_view *view, const char *heartbeat);
// Labels, taints and status of a Node to be registered.
struct json *node_object_build(struct arena *arena, const struct node_view *view, const char *heartbeat);
