// SPDX-License-Identifier: Apache-2.0
//
// One table for each family, named kube-proxy as upstream's. See rule.h for the
// sets. The way of a packet:
//
//   prerouting, output (nat) → services: service-ips, then node-ports by node-addresses
//       cluster-N:   mark clients from outside the pod network, then pick
//       external-N, node-port-N: mark every client, then pick
//   forward, output, input (filter): new connections to a service without endpoints,
//       or to a service address on no service's port, are refused
//   postrouting (nat): masquerade what is marked, and a pod that reached itself
//
// Picking: address . protocol . port . (numgen random mod N) → endpoints → dnat.
#include "kube-proxy/nft_layout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube-proxy/nft_expression.h"

#define TABLE_NAME "kube-proxy"
#define MASQUERADE_BIT 0x4000u // upstream's default bit 14

// Numbers by which nft names the types of key parts.
enum key_type {
	KEY_IPV4 = 7,
	KEY_IPV6 = 8,
	KEY_PROTOCOL = 12,
	KEY_PORT = 13,
	KEY_MARK = 19,
};

enum { CHAIN_NAME_BYTES = 40, ELEMENTS_PER_MESSAGE = 300 };

struct set_row {
	const char *name;
	bool has_address;
	bool has_second_address;
	bool has_port; // protocol and port
	bool has_index;
	bool is_verdict_map;
	bool is_endpoint_map;
};

static const struct set_row sets[RULE_SET_COUNT_] = {
        [RULE_SERVICE_IPS] = {.name = "service-ips", .has_address = true, .has_port = true, .is_verdict_map = true},
        [RULE_NODE_PORTS] = {.name = "node-ports", .has_port = true, .is_verdict_map = true},
        [RULE_ENDPOINTS] = {.name = "endpoints",
                            .has_address = true,
                            .has_port = true,
                            .has_index = true,
                            .is_endpoint_map = true},
        [RULE_REFUSED_IPS] = {.name = "refused-ips", .has_address = true, .has_port = true},
        [RULE_REFUSED_PORTS] = {.name = "refused-ports", .has_port = true},
        [RULE_CLUSTER_IPS] = {.name = "cluster-ips", .has_address = true},
        [RULE_HAIRPINS] = {.name = "hairpins", .has_address = true, .has_second_address = true},
        [RULE_NODE_ADDRESSES] = {.name = "node-addresses", .has_address = true},
};

static const char *const chain_prefixes[RULE_CHAIN_COUNT_] = {
        [RULE_CHAIN_CLUSTER] = "cluster",
        [RULE_CHAIN_EXTERNAL] = "external",
        [RULE_CHAIN_NODE_PORT] = "node-port",
};

static uint16_t family_of(bool ipv6)
{
	return ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
}

static unsigned address_registers(bool ipv6)
{
	return ipv6 ? 4 : 1;
}

static void *allocated(void *object)
{
	if (!object)
		abort();
	return object;
}

// --- sets ------------------------------------------------------------------------

// nft describes a concatenation by six bits a part.
static void key_part(uint32_t *type, uint32_t *length, enum key_type part, uint32_t part_bytes)
{
	*type = *type << 6 | part;
	*length += part_bytes;
}

static void make_set(struct nft_batch *batch, const struct set_row *row, bool ipv6, uint32_t id)
{
	uint32_t type = 0;
	uint32_t length = 0;
	uint32_t address_bytes = 4 * address_registers(ipv6);
	enum key_type address = ipv6 ? KEY_IPV6 : KEY_IPV4;
	if (row->has_address)
		key_part(&type, &length, address, address_bytes);
	if (row->has_second_address)
		key_part(&type, &length, address, address_bytes);
	if (row->has_port) {
		key_part(&type, &length, KEY_PROTOCOL, 4);
		key_part(&type, &length, KEY_PORT, 4);
	}
	if (row->has_index)
		key_part(&type, &length, KEY_MARK, 4);
	struct nftnl_set *set = allocated(nftnl_set_alloc());
	nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME);
	nftnl_set_set_str(set, NFTNL_SET_NAME, row->name);
	nftnl_set_set_u32(set, NFTNL_SET_ID, id);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, family_of(ipv6));
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, type);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, length);
	if (row->is_verdict_map || row->is_endpoint_map) {
		uint32_t endpoint_type = (uint32_t)address << 6 | KEY_PORT;
		nftnl_set_set_u32(set, NFTNL_SET_FLAGS, NFT_SET_MAP);
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE,
		                  row->is_verdict_map ? (uint32_t)NFT_DATA_VERDICT : endpoint_type);
		nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, row->is_verdict_map ? 16 : address_bytes + 4);
	}
	nft_batch_set(batch, family_of(ipv6), set);
}

// --- chains ------------------------------------------------------------------------

struct base_chain {
	const char *name;
	const char *type; // NULL: a chain that is only jumped to
	uint32_t hook;
	int32_t priority;
};

static const struct base_chain base_chains[] = {
        {"services", NULL, 0, 0},
        {"mark-outsiders", NULL, 0, 0},
        {"refuse", NULL, 0, 0},
        {"prerouting", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST},
        {"output", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST},
        {"postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC},
        {"filter-input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER},
        {"filter-forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER},
        {"filter-output", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER},
};

static struct nftnl_chain *named_chain(const char *name)
{
	struct nftnl_chain *chain = allocated(nftnl_chain_alloc());
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	return chain;
}

static void make_chain(struct nft_batch *batch, const struct base_chain *row, bool ipv6)
{
	struct nftnl_chain *chain = named_chain(row->name);
	if (row->type) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, row->type);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, row->hook);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, row->priority);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nft_batch_chain(batch, NFT_MSG_NEWCHAIN, family_of(ipv6), chain);
}

static struct nftnl_rule *rule_in(const char *chain, bool ipv6)
{
	struct nftnl_rule *rule = allocated(nftnl_rule_alloc());
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE_NAME);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, family_of(ipv6));
	return rule;
}

// Loads destination . protocol . port from register 0 on; returns the next free one.
static unsigned load_destination(struct nftnl_rule *rule, bool ipv6)
{
	unsigned next = address_registers(ipv6);
	nft_load_address(rule, ipv6, NFT_DESTINATION, nft_register(0));
	nft_load_protocol(rule, nft_register(next));
	nft_load_port(rule, nft_register(next + 1));
	return next + 2;
}

static void match_node_address(struct nftnl_rule *rule, bool ipv6)
{
	nft_load_address(rule, ipv6, NFT_DESTINATION, nft_register(0));
	nft_match_set(rule, sets[RULE_NODE_ADDRESSES].name, nft_register(0));
	nft_load_protocol(rule, nft_register(0));
	nft_load_port(rule, nft_register(1));
}

static void services_rules(struct nft_batch *batch, bool ipv6)
{
	struct nftnl_rule *rule = rule_in("services", ipv6);
	load_destination(rule, ipv6);
	nft_goto_map(rule, sets[RULE_SERVICE_IPS].name, nft_register(0));
	nft_batch_rule(batch, family_of(ipv6), rule);
	rule = rule_in("services", ipv6);
	match_node_address(rule, ipv6);
	nft_goto_map(rule, sets[RULE_NODE_PORTS].name, nft_register(0));
	nft_batch_rule(batch, family_of(ipv6), rule);
	static const char *const entrances[] = {"prerouting", "output"};
	for (size_t i = 0; i < ARRAY_SIZE(entrances); i++) {
		rule = rule_in(entrances[i], ipv6);
		nft_verdict(rule, (uint32_t)NFT_JUMP, "services");
		nft_batch_rule(batch, family_of(ipv6), rule);
	}
}

static void postrouting_rules(struct nft_batch *batch, bool ipv6)
{
	struct nftnl_rule *rule = rule_in("postrouting", ipv6);
	// A node's connections to itself are left alone, above all those that are older than the table:
	// another source port would break them.
	nft_match_redirected(rule);
	nft_load_address(rule, ipv6, NFT_SOURCE, nft_register(0));
	nft_load_address(rule, ipv6, NFT_DESTINATION, nft_register(address_registers(ipv6)));
	nft_match_set(rule, sets[RULE_HAIRPINS].name, nft_register(0));
	nft_masquerade(rule);
	nft_batch_rule(batch, family_of(ipv6), rule);
	rule = rule_in("postrouting", ipv6);
	nft_match_mark(rule, MASQUERADE_BIT, true);
	nft_clear_mark(rule, MASQUERADE_BIT);
	nft_masquerade(rule);
	nft_batch_rule(batch, family_of(ipv6), rule);
}

static void refuse_rules(struct nft_batch *batch, bool ipv6)
{
	struct nftnl_rule *rule = rule_in("refuse", ipv6);
	nft_match_protocol(rule, IPPROTO_TCP);
	nft_reject_tcp(rule);
	nft_batch_rule(batch, family_of(ipv6), rule);
	rule = rule_in("refuse", ipv6);
	nft_reject_unreachable(rule, ipv6);
	nft_batch_rule(batch, family_of(ipv6), rule);
}

static void filter_rules(struct nft_batch *batch, const char *chain, bool ipv6)
{
	struct nftnl_rule *rule = rule_in(chain, ipv6);
	nft_match_new_connection(rule);
	load_destination(rule, ipv6);
	nft_match_set(rule, sets[RULE_REFUSED_IPS].name, nft_register(0));
	nft_verdict(rule, (uint32_t)NFT_GOTO, "refuse");
	nft_batch_rule(batch, family_of(ipv6), rule);
	rule = rule_in(chain, ipv6);
	nft_match_new_connection(rule);
	nft_load_address(rule, ipv6, NFT_DESTINATION, nft_register(0));
	nft_match_set(rule, sets[RULE_CLUSTER_IPS].name, nft_register(0));
	nft_verdict(rule, (uint32_t)NFT_GOTO, "refuse");
	nft_batch_rule(batch, family_of(ipv6), rule);
	rule = rule_in(chain, ipv6);
	nft_match_new_connection(rule);
	match_node_address(rule, ipv6);
	nft_match_set(rule, sets[RULE_REFUSED_PORTS].name, nft_register(0));
	nft_verdict(rule, (uint32_t)NFT_GOTO, "refuse");
	nft_batch_rule(batch, family_of(ipv6), rule);
}

static void prefix_mask(uint8_t mask[16], unsigned prefix_length)
{
	memset(mask, 0, 16);
	for (unsigned bit = 0; bit < prefix_length && bit < 128; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
}

static void outsider_rules(struct nft_batch *batch, const struct nft_config *config, bool ipv6)
{
	for (size_t i = 0; i < config->cluster_network_count; i++) {
		const struct rule_address *network = &config->cluster_network[i];
		if (network->ipv6 != ipv6)
			continue;
		uint32_t length = ipv6 ? 16 : 4;
		uint8_t mask[16];
		uint8_t base[16];
		prefix_mask(mask, config->cluster_prefix_length[i]);
		for (size_t byte = 0; byte < length; byte++)
			base[byte] = network->bytes[byte] & mask[byte];
		struct nftnl_rule *rule = rule_in("mark-outsiders", ipv6);
		nft_load_address(rule, ipv6, NFT_SOURCE, nft_register(0));
		nft_mask(rule, nft_register(0), mask, length);
		nft_match_value(rule, nft_register(0), false, base, length);
		nft_set_mark(rule, MASQUERADE_BIT);
		nft_batch_rule(batch, family_of(ipv6), rule);
		return;
	}
}

static void table_message(struct nft_batch *batch, uint16_t type, bool ipv6)
{
	struct nftnl_table *table = allocated(nftnl_table_alloc());
	nftnl_table_set_u32(table, NFTNL_TABLE_FAMILY, family_of(ipv6));
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE_NAME);
	nft_batch_table(batch, type, family_of(ipv6), table);
}

void nft_layout_drop(struct nft_batch *batch, bool ipv6)
{
	// Deleting what may not be there: make it first.
	table_message(batch, NFT_MSG_NEWTABLE, ipv6);
	table_message(batch, NFT_MSG_DELTABLE, ipv6);
}

void nft_layout_make(struct nft_batch *batch, const struct nft_config *config, bool ipv6)
{
	nft_layout_drop(batch, ipv6);
	table_message(batch, NFT_MSG_NEWTABLE, ipv6);
	for (size_t i = 0; i < RULE_SET_COUNT_; i++)
		make_set(batch, &sets[i], ipv6, (uint32_t)(i + 1));
	for (size_t i = 0; i < ARRAY_SIZE(base_chains); i++)
		make_chain(batch, &base_chains[i], ipv6);
	services_rules(batch, ipv6);
	postrouting_rules(batch, ipv6);
	refuse_rules(batch, ipv6);
	outsider_rules(batch, config, ipv6);
	filter_rules(batch, "filter-input", ipv6);
	filter_rules(batch, "filter-forward", ipv6);
	filter_rules(batch, "filter-output", ipv6);
}

// --- the changing part -------------------------------------------------------------

static void chain_name(char out[CHAIN_NAME_BYTES], enum rule_chain chain, uint32_t endpoint_count)
{
	snprintf(out, CHAIN_NAME_BYTES, "%s-%u", chain_prefixes[chain], endpoint_count);
}

void nft_layout_add_chain(struct nft_batch *batch, const struct rule_chain_change *chain)
{
	char name[CHAIN_NAME_BYTES];
	bool ipv6 = chain->ipv6;
	chain_name(name, chain->chain, chain->endpoint_count);
	nft_batch_chain(batch, NFT_MSG_NEWCHAIN, family_of(ipv6), named_chain(name));

	struct nftnl_rule *rule = rule_in(name, ipv6);
	if (chain->chain == RULE_CHAIN_CLUSTER)
		nft_verdict(rule, (uint32_t)NFT_JUMP, "mark-outsiders");
	else
		nft_set_mark(rule, MASQUERADE_BIT);
	nft_batch_rule(batch, family_of(ipv6), rule);

	static const uint8_t unspecified[16];
	rule = rule_in(name, ipv6);
	unsigned next = load_destination(rule, ipv6);
	if (chain->chain == RULE_CHAIN_NODE_PORT)
		nft_load_constant(rule, unspecified, ipv6 ? 16 : 4, nft_register(0));
	nft_load_random(rule, chain->endpoint_count, nft_register(next));
	unsigned found = next + 1;
	nft_load_map(rule, sets[RULE_ENDPOINTS].name, nft_register(0), nft_register(found));
	nft_dnat(rule, ipv6, nft_register(found), nft_register(found + address_registers(ipv6)));
	nft_batch_rule(batch, family_of(ipv6), rule);
}

void nft_layout_remove_chain(struct nft_batch *batch, const struct rule_chain_change *chain)
{
	char name[CHAIN_NAME_BYTES];
	chain_name(name, chain->chain, chain->endpoint_count);
	nft_batch_chain(batch, NFT_MSG_DELCHAIN, family_of(chain->ipv6), named_chain(name));
}

static struct nftnl_set_elem *element_message(const struct rule_element *element)
{
	struct nftnl_set_elem *message = allocated(nftnl_set_elem_alloc());
	nftnl_set_elem_set(message, NFTNL_SET_ELEM_KEY, element->key, element->key_length);
	if (element->chain != RULE_CHAIN_NONE) {
		char name[CHAIN_NAME_BYTES];
		chain_name(name, element->chain, element->endpoint_count);
		nftnl_set_elem_set_u32(message, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_GOTO);
		nftnl_set_elem_set_str(message, NFTNL_SET_ELEM_CHAIN, name);
	} else if (element->data_length) {
		nftnl_set_elem_set(message, NFTNL_SET_ELEM_DATA, element->data, element->data_length);
	}
	return message;
}

// The elements of one set and family, in messages of a bounded size.
static void one_set(struct nft_batch *batch, const struct rule_element_array *elements, enum rule_set set, bool ipv6,
                    bool add)
{
	uint16_t type = add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM;
	size_t next = 0;
	while (next < elements->count) {
		struct nftnl_set *message = NULL;
		size_t held = 0;
		for (; next < elements->count && held < ELEMENTS_PER_MESSAGE; next++) {
			const struct rule_element *element = &elements->items[next];
			if (element->set != set || element->ipv6 != ipv6)
				continue;
			if (!message) {
				message = allocated(nftnl_set_alloc());
				nftnl_set_set_str(message, NFTNL_SET_TABLE, TABLE_NAME);
				nftnl_set_set_str(message, NFTNL_SET_NAME, sets[set].name);
			}
			nftnl_set_elem_add(message, element_message(element));
			held++;
		}
		if (message)
			nft_batch_elements(batch, type, family_of(ipv6), message);
	}
}

void nft_layout_elements(struct nft_batch *batch, const struct rule_element_array *elements, bool add)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (size_t set = 0; set < RULE_SET_COUNT_; set++)
			one_set(batch, elements, (enum rule_set)set, ipv6, add);
}
