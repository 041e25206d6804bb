// SPDX-License-Identifier: Apache-2.0
#pragma once
// A netlink batch under construction: messages one after another in one buffer.

#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/strbuf.h"

struct nft_batch {
	struct strbuf data;
	char *scratch; // one message
	uint32_t sequence;
};

void nft_batch_init(struct nft_batch *batch);
void nft_batch_done(struct nft_batch *batch);

void nft_batch_begin(struct nft_batch *batch);
// Asks for an answer to the last message, and closes the batch.
void nft_batch_end(struct nft_batch *batch);

// Each consumes its object. `type` is NFT_MSG_NEW… or NFT_MSG_DEL….
void nft_batch_table(struct nft_batch *batch, uint16_t type, uint16_t family, struct nftnl_table *table);
void nft_batch_chain(struct nft_batch *batch, uint16_t type, uint16_t family, struct nftnl_chain *chain);
void nft_batch_rule(struct nft_batch *batch, uint16_t family, struct nftnl_rule *rule);
void nft_batch_set(struct nft_batch *batch, uint16_t family, struct nftnl_set *set);
void nft_batch_elements(struct nft_batch *batch, uint16_t type, uint16_t family, struct nftnl_set *set);
