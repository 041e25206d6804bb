// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kernel objects that services become, as plain values: elements of a fixed
// number of sets and maps. The flat layout: no kernel object belongs to one
// service, so cost grows with elements only.
//
//   service-ips      address . protocol . port          → goto cluster-N or external-N
//   node-ports       protocol . port                    → goto node-port-N
//   endpoints        address . protocol . port . index  → endpoint address . port
//   refused-ips, refused-ports                            services without endpoints
//   cluster-ips      address                              every service address (other ports are refused)
//   hairpins         address . address                    endpoints, for a pod that reaches itself
//   node-addresses   address                              where node ports answer
//
// Chain cluster-N picks one of N endpoints: index = numgen random mod N, then one
// look-up in `endpoints`. There is one chain for each distinct number N that is
// in use; external-N and node-port-N do the same and always masquerade. A node
// port's endpoints stand under the unspecified address.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rule_set {
	RULE_SERVICE_IPS,
	RULE_NODE_PORTS,
	RULE_ENDPOINTS,
	RULE_REFUSED_IPS,
	RULE_REFUSED_PORTS,
	RULE_CLUSTER_IPS,
	RULE_HAIRPINS,
	RULE_NODE_ADDRESSES,
	RULE_SET_COUNT_,
};

// The families of chains that a verdict may lead to.
enum rule_chain {
	RULE_CHAIN_NONE,
	RULE_CHAIN_CLUSTER,
	RULE_CHAIN_EXTERNAL,
	RULE_CHAIN_NODE_PORT,
	RULE_CHAIN_COUNT_,
};

enum { RULE_KEY_BYTES = 32, RULE_DATA_BYTES = 20 };

// One element. Parts of keys are padded to four bytes, as the kernel's registers are.
struct rule_element {
	uint8_t set;   // enum rule_set
	uint8_t chain; // enum rule_chain, for verdict maps
	bool ipv6;
	uint8_t key_length;
	uint8_t data_length;
	uint32_t endpoint_count; // N of the chain
	uint8_t key[RULE_KEY_BYTES];
	uint8_t data[RULE_DATA_BYTES];
};

struct rule_element_array {
	struct rule_element *items; // heap
	size_t count;
	size_t capacity;
};

void rule_element_array_done(struct rule_element_array *array);
void rule_element_array_add(struct rule_element_array *array, const struct rule_element *element);

struct rule_address {
	bool ipv6;
	uint8_t bytes[16];
};

// An address literal; false when malformed.
bool rule_address_parse(const char *text, struct rule_address *ret_address);

// Elements, built part by part.
struct rule_element rule_element_start(enum rule_set set, bool ipv6);
void rule_key_add_address(struct rule_element *element, const struct rule_address *address);
void rule_key_add_unspecified(struct rule_element *element);
void rule_key_add_protocol(struct rule_element *element, uint8_t protocol);
void rule_key_add_port(struct rule_element *element, uint16_t port);
void rule_key_add_index(struct rule_element *element, uint32_t index);
void rule_data_set_endpoint(struct rule_element *element, const struct rule_address *address, uint16_t port);
