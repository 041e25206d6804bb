// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kernel's side: plans as nftables transactions, by libnftnl over netlink.

#include "common/base/err.h"
#include "kube-proxy/rule_table.h"

struct nft;

struct nft_config {
	// The pod network: clients from outside it are masqueraded at cluster IPs. NULL = none given.
	const struct rule_address *cluster_network; // array, one for each family at the most
	const unsigned *cluster_prefix_length;
	size_t cluster_network_count;
};

// Needs CAP_NET_ADMIN.
NODISCARD int nft_new(const struct nft_config *config, struct nft **ret_nft, struct err *err);
struct nft *nft_free(struct nft *nft);

// One transaction. `replace_all`: drops the tables of an earlier run and makes
// them anew first, all in the same transaction, so that traffic never sees less.
// On failure the kernel's state is as before, or, when the message says so, unknown.
NODISCARD int nft_commit(struct nft *nft, const struct rule_plan *plan, bool replace_all, struct err *err);

// Removes our tables (--cleanup).
NODISCARD int nft_cleanup(struct nft *nft, struct err *err);
