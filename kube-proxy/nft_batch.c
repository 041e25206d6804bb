// SPDX-License-Identifier: Apache-2.0
// Each message is built in a scratch buffer and appended: libnftnl writes without
// knowing where its buffer ends, and the batch's own must be able to grow.

#include "kube-proxy/nft_batch.h"

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

enum {
	// The largest message is one of set elements, whose list attribute is bound to 64 KiB.
	SCRATCH_BYTES = 128 * 1024,
	MAX_BATCH_BYTES = 512 * 1024 * 1024,
};

void nft_batch_init(struct nft_batch *batch)
{
	*batch = (struct nft_batch){.data = STRBUF_INIT(MAX_BATCH_BYTES), .scratch = xmalloc(SCRATCH_BYTES)};
}

void nft_batch_done(struct nft_batch *batch)
{
	strbuf_done(&batch->data);
	free(TAKE(batch->scratch));
}

static void take_scratch(struct nft_batch *batch)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)batch->scratch;
	strbuf_append(&batch->data, batch->scratch, MNL_ALIGN(header->nlmsg_len));
}

static struct nlmsghdr *start(struct nft_batch *batch, uint16_t type, uint16_t family, uint16_t flags)
{
	memset(batch->scratch, 0, MNL_SOCKET_BUFFER_SIZE);
	return nftnl_nlmsg_build_hdr(batch->scratch, type, family, flags, batch->sequence++);
}

void nft_batch_begin(struct nft_batch *batch)
{
	memset(batch->scratch, 0, MNL_SOCKET_BUFFER_SIZE);
	nftnl_batch_begin(batch->scratch, batch->sequence++);
	take_scratch(batch);
}

// The last message of the batch's body is found by walking: the buffer moves as it grows.
static void ask_for_answer(struct nft_batch *batch)
{
	char *last = batch->data.data;
	char *end = batch->data.data + batch->data.length;
	for (char *message = last; message < end; message += MNL_ALIGN(((struct nlmsghdr *)message)->nlmsg_len))
		last = message;
	((struct nlmsghdr *)last)->nlmsg_flags |= NLM_F_ACK;
}

void nft_batch_end(struct nft_batch *batch)
{
	ask_for_answer(batch);
	memset(batch->scratch, 0, MNL_SOCKET_BUFFER_SIZE);
	nftnl_batch_end(batch->scratch, batch->sequence++);
	take_scratch(batch);
}

void nft_batch_table(struct nft_batch *batch, uint16_t type, uint16_t family, struct nftnl_table *table)
{
	struct nlmsghdr *header = start(batch, type, family, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);
	nftnl_table_nlmsg_build_payload(header, table);
	nftnl_table_free(table);
	take_scratch(batch);
}

void nft_batch_chain(struct nft_batch *batch, uint16_t type, uint16_t family, struct nftnl_chain *chain)
{
	struct nlmsghdr *header = start(batch, type, family, type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0);
	nftnl_chain_nlmsg_build_payload(header, chain);
	nftnl_chain_free(chain);
	take_scratch(batch);
}

void nft_batch_rule(struct nft_batch *batch, uint16_t family, struct nftnl_rule *rule)
{
	struct nlmsghdr *header = start(batch, NFT_MSG_NEWRULE, family, NLM_F_CREATE | NLM_F_APPEND);
	nftnl_rule_nlmsg_build_payload(header, rule);
	nftnl_rule_free(rule);
	take_scratch(batch);
}

void nft_batch_set(struct nft_batch *batch, uint16_t family, struct nftnl_set *set)
{
	struct nlmsghdr *header = start(batch, NFT_MSG_NEWSET, family, NLM_F_CREATE);
	nftnl_set_nlmsg_build_payload(header, set);
	nftnl_set_free(set);
	take_scratch(batch);
}

void nft_batch_elements(struct nft_batch *batch, uint16_t type, uint16_t family, struct nftnl_set *set)
{
	struct nlmsghdr *header = start(batch, type, family, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
	nftnl_set_elems_nlmsg_build_payload(header, set);
	nftnl_set_free(set);
	take_scratch(batch);
}
