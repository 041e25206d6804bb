// SPDX-License-Identifier: Apache-2.0
#pragma once
// resource.Quantity: fixed-point numbers with suffixes (100m, 1.5Gi, 2e3), exact
// in a 128-bit count of nano units, printed in upstream's canonical form.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

enum quantity_format {
	QUANTITY_DECIMAL_SI,
	QUANTITY_BINARY_SI,
	QUANTITY_DECIMAL_EXPONENT,
};

struct quantity {
	__int128 nano;
	enum quantity_format format;
};

// Errors are worded as upstream's ("quantities must match the regular expression …").
NODISCARD int quantity_parse(const char *text, struct quantity *ret_quantity, struct err *err);
#define QUANTITY_TEXT_BYTES 64
void quantity_format(const struct quantity *quantity, char out[QUANTITY_TEXT_BYTES]); // canonical
// Rounded up, as upstream's Value() and MilliValue(); saturating.
int64_t quantity_value(const struct quantity *quantity);
int64_t quantity_milli_value(const struct quantity *quantity);
int quantity_compare(const struct quantity *a, const struct quantity *b);
// The same from text; an absent or bad text counts as 0 (for data the apiserver has validated).
int64_t quantity_text_value(const char *text);
int64_t quantity_text_milli_value(const char *text);
