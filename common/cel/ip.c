// SPDX-License-Identifier: Apache-2.0
//
// ip() and cidr(). Addresses are 4 or 16 bytes; zones and IPv4 addresses written as IPv6
// are refused. The canonical text is that of RFC 5952.
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/cel/evaluate.h"

struct address {
	unsigned char bytes[16];
	unsigned size; // 4 or 16
};

struct network {
	struct address address;
	unsigned prefix; // bits
};

static const char *parse_address(const char *text, size_t length, struct address *address)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	char copy[64];
	*address = (struct address){0};
	if (length == 0 || length >= sizeof(copy) || memchr(text, '\0', length))
		return "unable to parse IP";
	memcpy(copy, text, length);
	copy[length] = '\0';
	char *zone = strchr(copy, '%');
	if (zone)
		*zone = '\0';
	address->size = strchr(copy, ':') ? 16 : 4;
	if (inet_pton(address->size == 16 ? AF_INET6 : AF_INET, copy, address->bytes) != 1)
		return "unable to parse IP";
	if (zone)
		return address->size == 16 && zone[1] ? "zone" : "unable to parse IP";
	if (address->size == 16 && memcmp(address->bytes, mapped, sizeof(mapped)) == 0)
		return "mapped";
	return NULL;
}

static struct cel_value address_error(struct cel_eval *eval, const struct cel_value *text, const char *error)
{
	int shown = text->length > 128 ? 128 : (int)text->length;
	if (strcmp(error, "zone") == 0)
		return cel_fail(eval, "IP address \"%.*s\" with zone value is not allowed", shown, text->text);
	if (strcmp(error, "mapped") == 0)
		return cel_fail(eval, "IPv4-mapped IPv6 address \"%.*s\" is not allowed", shown, text->text);
	return cel_fail(eval, "IP Address \"%.*s\" parse error during conversion from string: ParseAddr(\"%.*s\"): %s",
	                shown, text->text, shown, text->text, error);
}

// The longest run of zero groups, at least two.
static void find_zeros(const unsigned char *bytes, int *ret_first, int *ret_count)
{
	*ret_first = -1;
	*ret_count = 1;
	for (int i = 0; i < 8; i++) {
		int count = 0;
		while (i + count < 8 && bytes[(i + count) * 2] == 0 && bytes[(i + count) * 2 + 1] == 0)
			count++;
		if (count > *ret_count) {
			*ret_first = i;
			*ret_count = count;
		}
		i += count;
	}
}

static size_t format_address(const struct address *address, char out[48])
{
	const unsigned char *bytes = address->bytes;
	int first, count, length = 0;
	if (address->size == 4)
		return (size_t)snprintf(out, 48, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
	find_zeros(bytes, &first, &count);
	for (int i = 0; i < 8; i++) {
		if (i == first) {
			length += snprintf(out + length, 48 - (size_t)length, "::");
			i += count - 1;
			continue;
		}
		bool colon = i > 0 && i != first + (first >= 0 ? count : 0);
		length += snprintf(out + length, 48 - (size_t)length, "%s%x", colon || (i && first < 0) ? ":" : "",
		                   bytes[i * 2] << 8 | bytes[i * 2 + 1]);
	}
	return (size_t)length;
}

static struct cel_value make_address(struct cel_eval *eval, const struct address *address)
{
	struct address *copy = cel_allocate(eval, sizeof(*copy));
	if (!copy)
		return cel_abort(eval);
	*copy = *address;
	return cel_make_opaque(&cel_type_ip, copy);
}

static struct cel_value to_ip(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	struct address address;
	(void)call, (void)count;
	const char *error = parse_address(args[0].text, args[0].length, &address);
	return error ? address_error(eval, &args[0], error) : make_address(eval, &address);
}

static struct cel_value is_ip(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	struct address address;
	(void)eval, (void)call, (void)count;
	return cel_value_bool(parse_address(args[0].text, args[0].length, &address) == NULL);
}

static struct cel_value ip_text(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	char text[48];
	(void)call, (void)count;
	return cel_copy_text(eval, text, format_address(args[0].opaque, text));
}

static struct cel_value is_canonical(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                     unsigned count)
{
	struct address address;
	char text[48];
	(void)call, (void)count;
	const char *error = parse_address(args[0].text, args[0].length, &address);
	if (error)
		return address_error(eval, &args[0], error);
	size_t length = format_address(&address, text);
	return cel_value_bool(length == args[0].length && memcmp(text, args[0].text, length) == 0);
}

static struct cel_value family(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_int(((const struct address *)args[0].opaque)->size == 4 ? 4 : 6);
}

// --- kinds of addresses --------------------------------------------------------------------

static bool unspecified(const struct address *address)
{
	static const unsigned char zeros[16];
	return memcmp(address->bytes, zeros, address->size) == 0;
}

static bool loopback(const struct address *address)
{
	static const unsigned char one[16] = {[15] = 1};
	return address->size == 4 ? address->bytes[0] == 127 : memcmp(address->bytes, one, 16) == 0;
}

static bool link_local_multicast(const struct address *address)
{
	const unsigned char *bytes = address->bytes;
	return address->size == 4 ? bytes[0] == 224 && bytes[1] == 0 && bytes[2] == 0
	                          : bytes[0] == 0xff && (bytes[1] & 0x0f) == 2;
}

static bool link_local_unicast(const struct address *address)
{
	const unsigned char *bytes = address->bytes;
	return address->size == 4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static bool multicast(const struct address *address)
{
	return address->size == 4 ? (address->bytes[0] & 0xf0) == 0xe0 : address->bytes[0] == 0xff;
}

static bool global_unicast(const struct address *address)
{
	static const unsigned char broadcast[4] = {255, 255, 255, 255};
	if (address->size == 4 && memcmp(address->bytes, broadcast, 4) == 0)
		return false;
	return !unspecified(address) && !loopback(address) && !multicast(address) && !link_local_unicast(address);
}

#define ADDRESS_TEST(name, test)                                                                                       \
	static struct cel_value name(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args, \
	                             unsigned count)                                                                   \
	{                                                                                                              \
		(void)eval, (void)call, (void)count;                                                                   \
		return cel_value_bool(test(args[0].opaque));                                                           \
	}
ADDRESS_TEST(is_unspecified, unspecified)
ADDRESS_TEST(is_loopback, loopback)
ADDRESS_TEST(is_link_local_multicast, link_local_multicast)
ADDRESS_TEST(is_link_local_unicast, link_local_unicast)
ADDRESS_TEST(is_global_unicast, global_unicast)

// --- networks --------------------------------------------------------------------------------

static const char *parse_network(const struct cel_value *text, struct network *network)
{
	const char *slash = text->length ? memrchr(text->text, '/', text->length) : NULL;
	const char *end = text->text + text->length;
	unsigned prefix = 0;
	if (!slash)
		return "no '/'";
	const char *error = parse_address(text->text, (size_t)(slash - text->text), &network->address);
	if (error)
		return strcmp(error, "zone") == 0 ? "IPv6 zones cannot be present in a prefix" : error;
	size_t digits = (size_t)(end - slash - 1);
	if (digits == 0 || digits > 3 || (digits > 1 && slash[1] == '0'))
		return "bad bits after slash";
	for (const char *at = slash + 1; at < end; at++) {
		if (*at < '0' || *at > '9')
			return "bad bits after slash";
		prefix = prefix * 10 + (unsigned)(*at - '0');
	}
	network->prefix = prefix;
	return prefix > network->address.size * 8 ? "prefix length out of range" : NULL;
}

static struct cel_value network_error(struct cel_eval *eval, const struct cel_value *text, const char *error)
{
	int shown = text->length > 128 ? 128 : (int)text->length;
	if (strcmp(error, "mapped") == 0)
		return cel_fail(eval, "IPv4-mapped IPv6 address \"%.*s\" is not allowed", shown, text->text);
	return cel_fail(eval,
	                "network address parse error during conversion from string: netip.ParsePrefix(\"%.*s\"): %s",
	                shown, text->text, error);
}

static struct cel_value make_network(struct cel_eval *eval, const struct network *network)
{
	struct network *copy = cel_allocate(eval, sizeof(*copy));
	if (!copy)
		return cel_abort(eval);
	*copy = *network;
	return cel_make_opaque(&cel_type_cidr, copy);
}

static struct cel_value to_cidr(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	struct network network;
	(void)call, (void)count;
	const char *error = parse_network(&args[0], &network);
	return error ? network_error(eval, &args[0], error) : make_network(eval, &network);
}

static struct cel_value is_cidr(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	struct network network;
	(void)eval, (void)call, (void)count;
	return cel_value_bool(parse_network(&args[0], &network) == NULL);
}

static struct address mask(const struct address *address, unsigned prefix)
{
	struct address masked = *address;
	for (unsigned i = 0; i < masked.size; i++) {
		unsigned kept = prefix > i * 8 ? prefix - i * 8 : 0;
		masked.bytes[i] &= kept >= 8 ? 0xff : (unsigned char)(0xff00 >> kept);
	}
	return masked;
}

static bool network_has(const struct network *network, const struct address *address)
{
	if (network->address.size != address->size)
		return false;
	struct address left = mask(&network->address, network->prefix), right = mask(address, network->prefix);
	return memcmp(left.bytes, right.bytes, left.size) == 0;
}

static struct cel_value contains_ip(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	struct address address;
	(void)call, (void)count;
	if (args[1].kind == CEL_OPAQUE)
		return cel_value_bool(network_has(args[0].opaque, args[1].opaque));
	const char *error = parse_address(args[1].text, args[1].length, &address);
	return error ? address_error(eval, &args[1], error) : cel_value_bool(network_has(args[0].opaque, &address));
}

static struct cel_value contains_cidr(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                      unsigned count)
{
	const struct network *outer = args[0].opaque, *inner = args[1].opaque;
	struct network parsed;
	(void)call, (void)count;
	if (args[1].kind == CEL_STRING) {
		const char *error = parse_network(&args[1], &parsed);
		if (error)
			return network_error(eval, &args[1], error);
		inner = &parsed;
	}
	struct address masked = mask(&inner->address, inner->prefix);
	return cel_value_bool(inner->prefix >= outer->prefix && network_has(outer, &masked));
}

static struct cel_value network_ip(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	(void)call, (void)count;
	return make_address(eval, &((const struct network *)args[0].opaque)->address);
}

static struct cel_value prefix_length(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                      unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_int(((const struct network *)args[0].opaque)->prefix);
}

static struct cel_value masked(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	struct network network = *(const struct network *)args[0].opaque;
	(void)call, (void)count;
	network.address = mask(&network.address, network.prefix);
	return make_network(eval, &network);
}

static struct cel_value cidr_text(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	char text[64];
	const struct network *network = args[0].opaque;
	size_t length = format_address(&network->address, text);
	(void)call, (void)count;
	length += (size_t)snprintf(text + length, sizeof(text) - length, "/%u", network->prefix);
	return cel_copy_text(eval, text, length);
}

bool cel_ip_equal(const void *a, const void *b)
{
	const struct address *left = a, *right = b;
	return left->size == right->size && memcmp(left->bytes, right->bytes, left->size) == 0;
}

bool cel_cidr_equal(const void *a, const void *b)
{
	const struct network *left = a, *right = b;
	return left->prefix == right->prefix && cel_ip_equal(&left->address, &right->address);
}

uint64_t cel_opaque_size(const struct cel_value *value)
{
	if (value->type == &cel_type_ip)
		return ((const struct address *)value->opaque)->size;
	if (value->type == &cel_type_cidr)
		return (((const struct network *)value->opaque)->prefix + 7) / 8;
	return 1;
}

static const struct cel_function_row ip_rows[] = {
        {"ip", "s>I", to_ip, CEL_COST_PREFIX, .by_name = true},
        {"isIP", "s>b", is_ip, CEL_COST_PREFIX, .by_name = true},
        {"ip.isCanonical", "s>b", is_canonical, CEL_COST_TRAVERSE_2, .by_name = true},
        {"family", "I.>i", family, CEL_COST_ONE},
        {"isUnspecified", "I.>b", is_unspecified, CEL_COST_ONE},
        {"isLoopback", "I.>b", is_loopback, CEL_COST_ONE},
        {"isLinkLocalMulticast", "I.>b", is_link_local_multicast, CEL_COST_ONE},
        {"isLinkLocalUnicast", "I.>b", is_link_local_unicast, CEL_COST_ONE},
        {"isGlobalUnicast", "I.>b", is_global_unicast, CEL_COST_ONE},
        {"string", "I>s", ip_text, CEL_COST_ONE},
};

static const struct cel_function_row cidr_rows[] = {
        {"cidr", "s>C", to_cidr, CEL_COST_PREFIX, .by_name = true},
        {"isCIDR", "s>b", is_cidr, CEL_COST_PREFIX, .by_name = true},
        {"containsIP", "C.s>b", contains_ip, CEL_COST_CONTAINS_IP_TEXT, .by_name = true},
        {"containsIP", "C.I>b", contains_ip, CEL_COST_CONTAINS_IP, .by_name = true},
        {"containsCIDR", "C.s>b", contains_cidr, CEL_COST_CONTAINS_CIDR_TEXT, .by_name = true},
        {"containsCIDR", "C.C>b", contains_cidr, CEL_COST_CONTAINS_CIDR, .by_name = true},
        {"ip", "C.>I", network_ip, CEL_COST_ONE},
        {"prefixLength", "C.>i", prefix_length, CEL_COST_ONE},
        {"masked", "C.>C", masked, CEL_COST_ONE},
        {"string", "C>s", cidr_text, CEL_COST_ONE},
};

const struct cel_library cel_library_ip = CEL_LIBRARY(ip_rows);
const struct cel_library cel_library_cidr = CEL_LIBRARY(cidr_rows);
