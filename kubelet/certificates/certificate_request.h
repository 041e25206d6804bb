// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keys, requests and pairs of a certificate with its key in one PEM file.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/strbuf.h"

struct certificate_subject {
	const char *common_name;
	const char *organization;
	const char *const *dns_names;    // NULL-terminated; NULL: none
	const char *const *ip_addresses; // likewise
};

// A new P-256 key and a request signed by it, both appended as PEM.
NODISCARD int certificate_request_make(const struct certificate_subject *subject, struct strbuf *key,
                                       struct strbuf *request, struct err *err);

struct certificate_validity {
	int64_t not_before_ns; // wall clock
	int64_t not_after_ns;
	bool self_signed;
};

// Of a PEM text with a certificate and its key; fails when either is missing or they don't belong together.
NODISCARD int certificate_pair_check(const char *pem, size_t length, struct certificate_validity *ret_validity,
                                     struct err *err);

// When to ask for the next one: after 70 to 90 % of its life, by `random_percent` (0 to 19).
int64_t certificate_rotation_time(const struct certificate_validity *validity, unsigned random_percent);
