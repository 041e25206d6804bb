// SPDX-License-Identifier: Apache-2.0
//
// A bitmap with one bit for each part. Both families are handled as 128-bit
// numbers; IPv4 uses the highest 32 bits, so that prefix lengths mean the same.
// The parts' indices are the bits between the range's prefix and the parts'.
#include "controller-manager/cidr_set.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

enum { MAX_INDEX_BITS = 16 };

typedef unsigned __int128 address_bits;

struct cidr {
	bool is_ipv6;
	int prefix;
	address_bits base; // masked
};

struct cidr_set {
	struct cidr range;
	int part_bits;
	size_t part_count;
	size_t taken_count;
	size_t next; // where the search goes on: a released part is not used again at once
	uint8_t *taken;
};

static address_bits mask_of(int prefix)
{
	return prefix == 0 ? 0 : ~(address_bits)0 << (128 - prefix);
}

static address_bits bits_of(const uint8_t *bytes, size_t length)
{
	address_bits bits = 0;
	for (size_t i = 0; i < 16; i++)
		bits = bits << 8 | (i < length ? bytes[i] : 0);
	return bits;
}

static bool parse_cidr(const char *text, struct cidr *ret_cidr)
{
	char address[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	const char *slash = text ? strchr(text, '/') : NULL;
	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	char *end;
	long prefix = strtol(slash + 1, &end, 10);
	bool is_ipv6 = strchr(address, ':') != NULL;
	if (end == slash + 1 || *end || prefix < 0 || prefix > (is_ipv6 ? 128 : 32) ||
	    inet_pton(is_ipv6 ? AF_INET6 : AF_INET, address, bytes) != 1)
		return false;
	*ret_cidr = (struct cidr){
	        .is_ipv6 = is_ipv6,
	        .prefix = (int)prefix,
	        .base = bits_of(bytes, is_ipv6 ? 16 : 4) & mask_of((int)prefix),
	};
	return true;
}

bool cidr_is_ipv6(const char *cidr)
{
	return strchr(cidr, ':') != NULL;
}

int cidr_set_new(const char *range, int part_bits, struct cidr_set **ret_set, struct err *err)
{
	struct cidr parsed;
	if (!parse_cidr(range, &parsed))
		return err_set(err, ERR_INVALID, "invalid CIDR address: %s", range);
	if (part_bits < 1 || part_bits < parsed.prefix || part_bits > (parsed.is_ipv6 ? 128 : 32))
		return err_set(err, ERR_INVALID, "the node mask size %d does not fit into %s", part_bits, range);
	if (part_bits - parsed.prefix > MAX_INDEX_BITS)
		return err_set(err, ERR_INVALID, "the node mask size %d makes more than 2^%d parts of %s", part_bits,
		               MAX_INDEX_BITS, range);
	struct cidr_set *set = NEW(struct cidr_set);
	set->range = parsed;
	set->part_bits = part_bits;
	set->part_count = (size_t)1 << (part_bits - parsed.prefix);
	set->taken = xcalloc(set->part_count / 8 + 1, 1);
	*ret_set = set;
	return 0;
}

struct cidr_set *cidr_set_free(struct cidr_set *set)
{
	if (!set)
		return NULL;
	free(set->taken);
	free(set);
	return NULL;
}

static bool is_taken(const struct cidr_set *set, size_t index)
{
	return set->taken[index / 8] >> (index % 8) & 1;
}

static void set_taken(struct cidr_set *set, size_t index, bool taken)
{
	if (is_taken(set, index) == taken)
		return;
	set->taken[index / 8] ^= (uint8_t)(1 << (index % 8));
	set->taken_count += taken ? 1 : (size_t)-1;
}

static void format_part(const struct cidr_set *set, size_t index, char out[CIDR_TEXT_BYTES])
{
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	address_bits address = set->range.base;
	if (set->part_bits > 0)
		address |= (address_bits)index << (128 - set->part_bits);
	for (int i = 15; i >= 0; i--, address >>= 8)
		bytes[i] = (uint8_t)address;
	inet_ntop(set->range.is_ipv6 ? AF_INET6 : AF_INET, bytes, text, sizeof(text));
	snprintf(out, CIDR_TEXT_BYTES, "%s/%d", text, set->part_bits);
}

bool cidr_set_take(struct cidr_set *set, char out[CIDR_TEXT_BYTES])
{
	for (size_t i = 0; i < set->part_count; i++) {
		size_t index = (set->next + i) % set->part_count;
		if (is_taken(set, index))
			continue;
		set_taken(set, index, true);
		set->next = (index + 1) % set->part_count;
		format_part(set, index, out);
		return true;
	}
	return false;
}

static bool mark(struct cidr_set *set, const char *text, bool taken)
{
	struct cidr cidr;
	if (!parse_cidr(text, &cidr))
		return false;
	int common = cidr.prefix < set->range.prefix ? cidr.prefix : set->range.prefix;
	if (cidr.is_ipv6 != set->range.is_ipv6 || ((cidr.base ^ set->range.base) & mask_of(common)))
		return true;
	size_t first = 0;
	size_t count = set->part_count;
	if (cidr.prefix > set->range.prefix) {
		first = (size_t)((cidr.base & ~mask_of(set->range.prefix)) >> (128 - set->part_bits));
		count = cidr.prefix < set->part_bits ? (size_t)1 << (set->part_bits - cidr.prefix) : 1;
	}
	for (size_t i = 0; i < count; i++)
		set_taken(set, first + i, taken);
	return true;
}

bool cidr_set_occupy(struct cidr_set *set, const char *cidr)
{
	return mark(set, cidr, true);
}

bool cidr_set_release(struct cidr_set *set, const char *cidr)
{
	return mark(set, cidr, false);
}

size_t cidr_set_free_count(const struct cidr_set *set)
{
	return set->part_count - set->taken_count;
}
