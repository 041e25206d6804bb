// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keeps the kernel's rules equal to the cluster's services: informers in, nftables
// transactions out.

#include "common/base/err.h"
#include "kube-proxy/nft.h"

struct metrics_registry;
struct proxier;
struct rest_client;

struct proxier_config {
	struct rest_client *client;
	struct metrics_registry *metrics;
	const char *node_name;
	struct nft_config nft;
	int64_t min_sync_period_ns;
	// The first whole set of rules is in the kernel.
	void (*on_synced)(void *context);
	void *context;
};

NODISCARD int proxier_new(const struct proxier_config *config, struct proxier **ret_proxier, struct err *err);
// Leaves the rules in the kernel: a restart must not cut connections.
struct proxier *proxier_free(struct proxier *proxier);

// False while the last transaction failed. Thread-safe.
bool proxier_is_healthy(const struct proxier *proxier);
