// SPDX-License-Identifier: Apache-2.0
// libnftnl's expressions are bags of attributes; here each has the attributes that
// it needs and no other. Addresses stand at fixed places of the network header,
// ports of the transport header, wherever options let that begin.

#include "kube-proxy/nft_expression.h"

#include <libnftnl/expr.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	IPV4_SOURCE_OFFSET = 12,
	IPV4_DESTINATION_OFFSET = 16,
	IPV6_SOURCE_OFFSET = 8,
	IPV6_DESTINATION_OFFSET = 24,
	PORT_OFFSET = 2,
	PORT_BYTES = 2,
	// NF_CT_STATE_BIT(IP_CT_NEW), which the kernel's user headers don't export
	CONNECTION_NEW = 8,
};

uint32_t nft_register(unsigned number)
{
	return NFT_REG32_00 + number;
}

static struct nftnl_expr *expression(const char *name)
{
	struct nftnl_expr *made = nftnl_expr_alloc(name);
	if (!made)
		abort();
	return made;
}

static void load_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t length, uint32_t to)
{
	struct nftnl_expr *e = expression("payload");
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, length);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, to);
	nftnl_rule_add_expr(rule, e);
}

void nft_load_address(struct nftnl_rule *rule, bool ipv6, enum nft_address_side side, uint32_t to)
{
	uint32_t offset = ipv6 ? (side == NFT_SOURCE ? IPV6_SOURCE_OFFSET : IPV6_DESTINATION_OFFSET)
	                       : (side == NFT_SOURCE ? IPV4_SOURCE_OFFSET : IPV4_DESTINATION_OFFSET);
	load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offset, ipv6 ? 16 : 4, to);
}

static void load_meta(struct nftnl_rule *rule, uint32_t key, uint32_t to)
{
	struct nftnl_expr *e = expression("meta");
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, to);
	nftnl_rule_add_expr(rule, e);
}

void nft_load_protocol(struct nftnl_rule *rule, uint32_t to)
{
	load_meta(rule, NFT_META_L4PROTO, to);
}

void nft_load_port(struct nftnl_rule *rule, uint32_t to)
{
	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, PORT_OFFSET, PORT_BYTES, to);
}

void nft_load_random(struct nftnl_rule *rule, uint32_t modulus, uint32_t to)
{
	struct nftnl_expr *e = expression("numgen");
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, to);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, modulus);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	nftnl_rule_add_expr(rule, e);
}

void nft_load_constant(struct nftnl_rule *rule, const void *data, uint32_t length, uint32_t to)
{
	struct nftnl_expr *e = expression("immediate");
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, to);
	nftnl_expr_set_data(e, NFTNL_EXPR_IMM_DATA, data, length);
	nftnl_rule_add_expr(rule, e);
}

static struct nftnl_expr *lookup(const char *set, uint32_t from)
{
	struct nftnl_expr *e = expression("lookup");
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, from);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	return e;
}

void nft_match_set(struct nftnl_rule *rule, const char *set, uint32_t from)
{
	nftnl_rule_add_expr(rule, lookup(set, from));
}

void nft_load_map(struct nftnl_rule *rule, const char *map, uint32_t from, uint32_t to)
{
	struct nftnl_expr *e = lookup(map, from);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, to);
	nftnl_rule_add_expr(rule, e);
}

void nft_goto_map(struct nftnl_rule *rule, const char *map, uint32_t from)
{
	nft_load_map(rule, map, from, NFT_REG_VERDICT);
}

void nft_match_value(struct nftnl_rule *rule, uint32_t from, bool equal, const void *data, uint32_t length)
{
	struct nftnl_expr *e = expression("cmp");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, from);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	nftnl_expr_set_data(e, NFTNL_EXPR_CMP_DATA, data, length);
	nftnl_rule_add_expr(rule, e);
}

// register = (register & mask) ^ flip
static void bitwise(struct nftnl_rule *rule, uint32_t from, const void *mask, const void *flip, uint32_t length)
{
	struct nftnl_expr *e = expression("bitwise");
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, from);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, from);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, length);
	nftnl_expr_set_data(e, NFTNL_EXPR_BITWISE_MASK, mask, length);
	nftnl_expr_set_data(e, NFTNL_EXPR_BITWISE_XOR, flip, length);
	nftnl_rule_add_expr(rule, e);
}

void nft_mask(struct nftnl_rule *rule, uint32_t from, const void *mask, uint32_t length)
{
	static const uint8_t nothing[16];
	bitwise(rule, from, mask, nothing, length);
}

void nft_match_protocol(struct nftnl_rule *rule, uint8_t protocol)
{
	nft_load_protocol(rule, nft_register(0));
	nft_match_value(rule, nft_register(0), true, &protocol, sizeof(protocol));
}

static void match_connection(struct nftnl_rule *rule, uint32_t key, uint32_t bit)
{
	struct nftnl_expr *e = expression("ct");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, nft_register(0));
	nftnl_rule_add_expr(rule, e);
	uint32_t zero = 0;
	nft_mask(rule, nft_register(0), &bit, sizeof(bit));
	nft_match_value(rule, nft_register(0), false, &zero, sizeof(zero));
}

void nft_match_new_connection(struct nftnl_rule *rule)
{
	match_connection(rule, NFT_CT_STATE, CONNECTION_NEW);
}

void nft_match_redirected(struct nftnl_rule *rule)
{
	match_connection(rule, NFT_CT_STATUS, IPS_DST_NAT);
}

void nft_match_mark(struct nftnl_rule *rule, uint32_t bit, bool set)
{
	uint32_t zero = 0;
	load_meta(rule, NFT_META_MARK, nft_register(0));
	nft_mask(rule, nft_register(0), &bit, sizeof(bit));
	nft_match_value(rule, nft_register(0), !set, &zero, sizeof(zero));
}

static void change_mark(struct nftnl_rule *rule, uint32_t bit, uint32_t flip)
{
	uint32_t others = ~bit;
	load_meta(rule, NFT_META_MARK, nft_register(0));
	bitwise(rule, nft_register(0), &others, &flip, sizeof(bit));
	struct nftnl_expr *e = expression("meta");
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, nft_register(0));
	nftnl_rule_add_expr(rule, e);
}

void nft_set_mark(struct nftnl_rule *rule, uint32_t bit)
{
	change_mark(rule, bit, bit);
}

void nft_clear_mark(struct nftnl_rule *rule, uint32_t bit)
{
	change_mark(rule, bit, 0);
}

void nft_verdict(struct nftnl_rule *rule, uint32_t verdict, const char *chain)
{
	struct nftnl_expr *e = expression("immediate");
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, verdict);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
	nftnl_rule_add_expr(rule, e);
}

void nft_dnat(struct nftnl_rule *rule, bool ipv6, uint32_t address, uint32_t port)
{
	struct nftnl_expr *e = expression("nat");
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, address);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, port);
	nftnl_rule_add_expr(rule, e);
}

void nft_masquerade(struct nftnl_rule *rule)
{
	struct nftnl_expr *e = expression("masq");
	nftnl_expr_set_u32(e, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
	nftnl_rule_add_expr(rule, e);
}

static void reject(struct nftnl_rule *rule, uint32_t type, uint8_t code)
{
	struct nftnl_expr *e = expression("reject");
	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, type);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, code);
	nftnl_rule_add_expr(rule, e);
}

void nft_reject_tcp(struct nftnl_rule *rule)
{
	reject(rule, NFT_REJECT_TCP_RST, 0);
}

void nft_reject_unreachable(struct nftnl_rule *rule, bool ipv6)
{
	reject(rule, NFT_REJECT_ICMP_UNREACH, ipv6 ? ICMPV6_PORT_UNREACH : ICMP_PORT_UNREACH);
}
