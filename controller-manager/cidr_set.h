// SPDX-License-Identifier: Apache-2.0
#pragma once
// Equal parts of an address range, given out one by one: the nodes' pod networks.

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

struct cidr_set;

enum { CIDR_TEXT_BYTES = 64 };

// Parts with prefixes of `part_bits` (24) of a range in CIDR form ("10.244.0.0/16"). At most 2^16 parts.
NODISCARD int cidr_set_new(const char *range, int part_bits, struct cidr_set **ret_set, struct err *err);
struct cidr_set *cidr_set_free(struct cidr_set *set);

// True when the text is an IPv6 CIDR.
bool cidr_is_ipv6(const char *cidr);

// Takes the next free part, going round; false when all are taken.
bool cidr_set_take(struct cidr_set *set, char out[CIDR_TEXT_BYTES]);
// Marks every part that overlaps a CIDR; one outside of the range (or of the other family) marks none.
// False when the text is no CIDR.
bool cidr_set_occupy(struct cidr_set *set, const char *cidr);
bool cidr_set_release(struct cidr_set *set, const char *cidr);
size_t cidr_set_free_count(const struct cidr_set *set);
