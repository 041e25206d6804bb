// SPDX-License-Identifier: Apache-2.0
#pragma once
// The fixed part of our tables (sets, base chains, their rules) and the messages
// for the changing part (chains for a number of endpoints, elements).

#include "kube-proxy/nft.h"
#include "kube-proxy/nft_batch.h"

// Drops the family's table (also when there is none) and makes it anew, empty of services.
void nft_layout_make(struct nft_batch *batch, const struct nft_config *config, bool ipv6);
void nft_layout_drop(struct nft_batch *batch, bool ipv6);

void nft_layout_add_chain(struct nft_batch *batch, const struct rule_chain_change *chain);
void nft_layout_remove_chain(struct nft_batch *batch, const struct rule_chain_change *chain);

// All elements of one array, in as few messages as fit. `add`: else remove.
void nft_layout_elements(struct nft_batch *batch, const struct rule_element_array *elements, bool add);
