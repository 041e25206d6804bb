// SPDX-License-Identifier: Apache-2.0
//
// Quantities on any text: the canonical text means the same and is its own canonical text.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_quantity
//       tests/fuzz/fuzz_quantity.c common/api/quantity.c common/base/{err,memory}.c
//   ./fuzz_quantity tests/fuzz/corpus/quantity
#include <stdlib.h>
#include <string.h>

#include "common/api/quantity.h"
#include "common/base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	struct quantity quantity, again;
	struct err err = ERR_INIT;
	char first[QUANTITY_TEXT_BYTES], second[QUANTITY_TEXT_BYTES];
	if (quantity_parse(text, &quantity, &err)) {
		if (err.code == ERR_NONE)
			abort();
		return 0;
	}
	quantity_format(&quantity, first);
	if (quantity_parse(first, &again, &err) || quantity_compare(&quantity, &again) != 0)
		abort();
	quantity_format(&again, second);
	if (strcmp(first, second) != 0)
		abort();
	int64_t value = quantity_value(&quantity);
	int64_t milli = quantity_milli_value(&quantity);
	if ((quantity.nano > 0 && (value <= 0 || milli < value)) ||
	    (quantity.nano < 0 && (value >= 0 || milli > value)))
		abort();
	return 0;
}
