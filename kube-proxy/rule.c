// SPDX-License-Identifier: Apache-2.0
// Keys and data are laid out as the kernel's maps hold them: each part in 32-bit
// registers of its own, padded with zeros, addresses and ports in network order.

#include "kube-proxy/rule.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "common/base/memory.h"

enum { REGISTER_BYTES = 4, PORT_BYTES = 2 };

void rule_element_array_done(struct rule_element_array *array)
{
	free(array->items);
	*array = (struct rule_element_array){0};
}

void rule_element_array_add(struct rule_element_array *array, const struct rule_element *element)
{
	if (array->count == array->capacity) {
		array->capacity = array->capacity ? array->capacity * 2 : 8;
		array->items = xreallocarray(array->items, array->capacity, sizeof(*array->items));
	}
	array->items[array->count++] = *element;
}

bool rule_address_parse(const char *text, struct rule_address *ret_address)
{
	struct rule_address address = {0};
	if (!text)
		return false;
	address.ipv6 = strchr(text, ':') != NULL;
	if (inet_pton(address.ipv6 ? AF_INET6 : AF_INET, text, address.bytes) != 1)
		return false;
	*ret_address = address;
	return true;
}

static size_t address_bytes(bool ipv6)
{
	return ipv6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
}

struct rule_element rule_element_start(enum rule_set set, bool ipv6)
{
	return (struct rule_element){.set = (uint8_t)set, .ipv6 = ipv6};
}

// Appends to the key and pads to a whole register.
static void key_add(struct rule_element *element, const void *data, size_t length)
{
	size_t padded = (length + REGISTER_BYTES - 1) / REGISTER_BYTES * REGISTER_BYTES;
	assert(element->key_length + padded <= RULE_KEY_BYTES);
	memcpy(element->key + element->key_length, data, length);
	element->key_length = (uint8_t)(element->key_length + padded);
}

void rule_key_add_address(struct rule_element *element, const struct rule_address *address)
{
	assert(address->ipv6 == element->ipv6);
	key_add(element, address->bytes, address_bytes(address->ipv6));
}

void rule_key_add_unspecified(struct rule_element *element)
{
	static const uint8_t unspecified[sizeof(struct in6_addr)];
	key_add(element, unspecified, address_bytes(element->ipv6));
}

void rule_key_add_protocol(struct rule_element *element, uint8_t protocol)
{
	key_add(element, &protocol, sizeof(protocol));
}

void rule_key_add_port(struct rule_element *element, uint16_t port)
{
	uint16_t network_order = htons(port);
	key_add(element, &network_order, sizeof(network_order));
}

void rule_key_add_index(struct rule_element *element, uint32_t index)
{
	// numgen writes its number in the host's byte order.
	key_add(element, &index, sizeof(index));
}

void rule_data_set_endpoint(struct rule_element *element, const struct rule_address *address, uint16_t port)
{
	size_t length = address_bytes(address->ipv6);
	uint16_t network_order = htons(port);
	memcpy(element->data, address->bytes, length);
	memcpy(element->data + length, &network_order, PORT_BYTES);
	element->data_length = (uint8_t)(length + REGISTER_BYTES);
}
