// SPDX-License-Identifier: Apache-2.0
#pragma once
// The expressions that our rules are made of, each as one call that appends to a
// rule. Registers are the 32-bit ones (NFT_REG32_00 + n), since keys of maps are
// built part by part.

#include <libnftnl/rule.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nft_address_side {
	NFT_SOURCE,
	NFT_DESTINATION,
};

// First of the 32-bit registers.
uint32_t nft_register(unsigned number);

void nft_load_address(struct nftnl_rule *rule, bool ipv6, enum nft_address_side side, uint32_t to);
void nft_load_protocol(struct nftnl_rule *rule, uint32_t to);
void nft_load_port(struct nftnl_rule *rule, uint32_t to); // destination port of TCP, UDP, SCTP
void nft_load_random(struct nftnl_rule *rule, uint32_t modulus, uint32_t to);
void nft_load_constant(struct nftnl_rule *rule, const void *data, uint32_t length, uint32_t to);

// Matches when the register's bytes are in the set, or goes where the map says.
void nft_match_set(struct nftnl_rule *rule, const char *set, uint32_t from);
void nft_goto_map(struct nftnl_rule *rule, const char *map, uint32_t from);
// Looks the data up; no match when the key is absent.
void nft_load_map(struct nftnl_rule *rule, const char *map, uint32_t from, uint32_t to);

void nft_match_value(struct nftnl_rule *rule, uint32_t from, bool equal, const void *data, uint32_t length);
void nft_mask(struct nftnl_rule *rule, uint32_t from, const void *mask, uint32_t length);
void nft_match_protocol(struct nftnl_rule *rule, uint8_t protocol);
void nft_match_new_connection(struct nftnl_rule *rule);
void nft_match_redirected(struct nftnl_rule *rule); // sent elsewhere by nft_dnat

// The packet mark by which masquerading is asked for.
void nft_match_mark(struct nftnl_rule *rule, uint32_t bit, bool set);
void nft_set_mark(struct nftnl_rule *rule, uint32_t bit);
void nft_clear_mark(struct nftnl_rule *rule, uint32_t bit);

void nft_verdict(struct nftnl_rule *rule, uint32_t verdict, const char *chain); // NFT_JUMP, NFT_GOTO, NFT_RETURN
void nft_dnat(struct nftnl_rule *rule, bool ipv6, uint32_t address, uint32_t port);
void nft_masquerade(struct nftnl_rule *rule);
void nft_reject_tcp(struct nftnl_rule *rule);
void nft_reject_unreachable(struct nftnl_rule *rule, bool ipv6);
