// SPDX-License-Identifier: Apache-2.0
// Both families are big-endian byte arrays, so that an offset is added with a carry
// from the end. What the allocators may give away leaves out the network's own
// address and, for IPv4, the broadcast address; of a large IPv6 range only the first
// 65535 are used, as upstream does.

#include "apiserver/services/ip_range.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ip_parse(const char *text, struct ip *ret_ip)
{
	struct ip ip = {0};

	if (!text)
		return false;
	if (inet_pton(AF_INET, text, ip.bytes) == 1) {
		*ret_ip = ip;
		return true;
	}
	ip.is_v6 = true;
	if (inet_pton(AF_INET6, text, ip.bytes) != 1)
		return false;
	*ret_ip = ip;
	return true;
}

// Four decimal numbers, leading zeros taken.
static bool parse_quad(const char *text, struct ip *ret_ip)
{
	struct ip ip = {0};

	for (int i = 0; i < 4; i++) {
		unsigned value = 0;
		size_t digits = strspn(text, "0123456789");

		if (!digits || digits > 16)
			return false;
		for (size_t k = 0; k < digits && value < 256; k++)
			value = value * 10 + (unsigned)(text[k] - '0');
		if (value > 255 || text[digits] != (i < 3 ? '.' : '\0'))
			return false;
		ip.bytes[i] = (uint8_t)value;
		text += digits + 1;
	}
	*ret_ip = ip;
	return true;
}

bool ip_parse_legacy(const char *text, struct ip *ret_ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct ip ip;

	if (text && !strchr(text, ':'))
		return parse_quad(text, ret_ip);
	if (!ip_parse(text, &ip))
		return false;
	if (!memcmp(ip.bytes, mapped, sizeof(mapped))) {
		struct ip inner = {0};

		memcpy(inner.bytes, ip.bytes + 12, 4);
		ip = inner;
	}
	*ret_ip = ip;
	return true;
}

void ip_format(const struct ip *ip, char out[IP_TEXT_BYTES])
{
	if (!inet_ntop(ip->is_v6 ? AF_INET6 : AF_INET, ip->bytes, out, IP_TEXT_BYTES))
		out[0] = '\0';
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->is_v6 == b->is_v6 && !memcmp(a->bytes, b->bytes, a->is_v6 ? 16 : 4);
}

static int total_bits(const struct ip *ip)
{
	return ip->is_v6 ? 128 : 32;
}

static void clear_host_bits(struct ip *ip, int prefix_length)
{
	for (int bit = prefix_length; bit < total_bits(ip); bit++)
		ip->bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static int parse_range(const char *text, bool (*parse)(const char *text, struct ip *ret_ip), struct ip_range *ret_range,
                       struct err *err)
{
	const char *slash = strchr(text, '/');
	struct ip_range range = {0};
	char address[IP_TEXT_BYTES];
	char *end = NULL;
	long prefix = slash && slash[1] >= '0' && slash[1] <= '9' ? strtol(slash + 1, &end, 10) : -1;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return err_set(err, ERR_INVALID, "invalid CIDR address: %.64s", text);
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (!parse(address, &range.base) || prefix < 0 || *end || prefix > total_bits(&range.base))
		return err_set(err, ERR_INVALID, "invalid CIDR address: %.64s", text);
	range.prefix_length = (int)prefix;
	clear_host_bits(&range.base, range.prefix_length);
	*ret_range = range;
	return 0;
}

int ip_range_parse(const char *text, struct ip_range *ret_range, struct err *err)
{
	return parse_range(text, ip_parse, ret_range, err);
}

int ip_range_parse_legacy(const char *text, struct ip_range *ret_range, struct err *err)
{
	return parse_range(text, ip_parse_legacy, ret_range, err);
}

bool ip_range_covers(const struct ip_range *outer, const struct ip_range *inner)
{
	return outer->prefix_length <= inner->prefix_length && ip_range_contains(outer, &inner->base);
}

void ip_range_format(const struct ip_range *range, char *out, size_t size)
{
	char base[IP_TEXT_BYTES];

	ip_format(&range->base, base);
	snprintf(out, size, "%s/%d", base, range->prefix_length);
}

bool ip_range_contains(const struct ip_range *range, const struct ip *ip)
{
	struct ip masked = *ip;

	if (ip->is_v6 != range->base.is_v6)
		return false;
	clear_host_bits(&masked, range->prefix_length);
	return ip_equal(&masked, &range->base);
}

uint32_t ip_range_usable(const struct ip_range *range)
{
	int host_bits = total_bits(&range->base) - range->prefix_length;

	if (range->base.is_v6)
		return host_bits >= 16 ? 65535 : ((uint32_t)1 << host_bits) - 1;
	if (host_bits < 2)
		return 0;
	return (uint32_t)(((uint64_t)1 << host_bits) - 2);
}

void ip_range_at(const struct ip_range *range, uint32_t offset, struct ip *ret_ip)
{
	struct ip ip = range->base;
	int last = total_bits(&ip) / 8 - 1;
	uint32_t carry = offset;

	for (int i = last; i >= 0 && carry; i--) {
		carry += ip.bytes[i];
		ip.bytes[i] = (uint8_t)carry;
		carry >>= 8;
	}
	*ret_ip = ip;
}
