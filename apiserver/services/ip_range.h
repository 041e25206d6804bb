// SPDX-License-Identifier: Apache-2.0
#pragma once
// IP addresses and ranges (CIDRs) of both families, as the allocators count in them.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

enum {
	IP_TEXT_BYTES = 46,
};

struct ip {
	bool is_v6;
	uint8_t bytes[16]; // IPv4 uses the first 4
};

struct ip_range {
	struct ip base; // host bits cleared
	int prefix_length;
};

// Strict text forms; false when malformed.
bool ip_parse(const char *text, struct ip *ret_ip);
// As fields that took them before have it: leading zeros, and IPv4 in IPv6 form means IPv4.
bool ip_parse_legacy(const char *text, struct ip *ret_ip);
NODISCARD int ip_range_parse_legacy(const char *text, struct ip_range *ret_range, struct err *err);
void ip_format(const struct ip *ip, char out[IP_TEXT_BYTES]); // canonical
bool ip_equal(const struct ip *a, const struct ip *b);

NODISCARD int ip_range_parse(const char *text, struct ip_range *ret_range, struct err *err);
// Every address of `inner` is in `outer`.
bool ip_range_covers(const struct ip_range *outer, const struct ip_range *inner);
void ip_range_format(const struct ip_range *range, char *out, size_t size);
bool ip_range_contains(const struct ip_range *range, const struct ip *ip);
// How many addresses can be handed out: without the network address, and without
// IPv4's broadcast; at most 2^16 of an IPv6 range.
uint32_t ip_range_usable(const struct ip_range *range);
// The address `offset` after the base (1 = the first usable one).
void ip_range_at(const struct ip_range *range, uint32_t offset, struct ip *ret_ip);
