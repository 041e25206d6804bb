// SPDX-License-Identifier: Apache-2.0
#pragma once
// Leader election by a coordination.k8s.io Lease, with upstream's timings (15 s
// lease, 10 s renew deadline, 2 s retry) and record, so that it also takes turns
// with upstream's daemons. On loss the daemon is told and exits.

#include <stdbool.h>
#include <stdint.h>

struct rest_client;
struct leader_election;

struct leader_election_config {
	const char *lease_namespace; // "kube-system"
	const char *lease_name;
	const char *identity;      // host name _ uuid
	int64_t lease_duration_ns; // 0 = 15 s
	int64_t renew_deadline_ns; // 0 = 10 s
	int64_t retry_period_ns;   // 0 = 2 s
	void (*on_started)(void *context);
	void (*on_lost)(void *context);
	void *context;
};

struct leader_election *leader_election_new(struct rest_client *client, const struct leader_election_config *config);
// Releases the lease when held (best effort, at most two seconds), then frees. Runs
// the loop for it: call it when the loop is not running and all other work has stopped.
struct leader_election *leader_election_free(struct leader_election *election);
bool leader_election_is_leader(const struct leader_election *election);
