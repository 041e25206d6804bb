// SPDX-License-Identifier: Apache-2.0
#pragma once
// The startup, liveness and readiness probes of a running container: exec, httpGet,
// tcpSocket. They change the container's started, ready and must_restart, and wake its
// pod.

#include "kubelet/pod/pod.h"

struct probe_set;

// NULL when the container has no probes.
struct probe_set *probe_set_start(struct pod_container *container);
// Ends them; accepts NULL; returns NULL. No callback comes afterwards.
struct probe_set *probe_set_stop(struct probe_set *probes);

struct strbuf;
// What its probes have found so far, as metrics. `set` may be NULL.
void probe_set_write_metrics(const struct probe_set *set, struct strbuf *out);
