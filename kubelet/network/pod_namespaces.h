// SPDX-License-Identifier: Apache-2.0
#pragma once
// The namespaces that a pod's containers share, kept by bind mounts so that they
// live without any process: network under /var/run/netns (where CNI plugins and
// `ip netns` look), IPC and UTS in the pod's own directory.

#include <stdbool.h>

#include "common/base/err.h"

struct loop;

struct pod_namespaces {
	const char *network_path; // NULL: the host's
	const char *ipc_path;
	const char *uts_path;
	const char *hostname; // for the UTS namespace
};

// Makes them in a child process, in place of half-made ones. done comes exactly once, never from inside. Texts are
// borrowed until then.
void pod_namespaces_create(struct loop *loop, const struct pod_namespaces *namespaces,
                           void (*done)(void *context, const struct err *err), void *context);

// Unmounts and removes the files; harmless when they are gone.
void pod_namespaces_remove(const struct pod_namespaces *namespaces);
