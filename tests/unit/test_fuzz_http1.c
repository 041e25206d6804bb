// SPDX-License-Identifier: Apache-2.0
//
// Replays the corpus of tests/fuzz/fuzz_http1.c, and the same with single bytes
// changed or cut off.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>

#include "tests/fuzz/fuzz_http1.c"

static const char corpus[] = "tests/fuzz/corpus/http1";

static size_t load(const char *name, uint8_t *buffer, size_t size)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%.255s", corpus, name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(buffer, 1, size, file);
	fclose(file);
	return length;
}

static void replay(uint8_t *input, size_t length)
{
	LLVMFuzzerTestOneInput(input, length);
	for (size_t i = 0; i < length; i++) {
		uint8_t kept = input[i];
		input[i] ^= (uint8_t)(1u << i % 8);
		LLVMFuzzerTestOneInput(input, length);
		input[i] = kept;
		LLVMFuzzerTestOneInput(input, i);
	}
}

static void test_corpus(void **state)
{
	(void)state;
	uint8_t input[4096];
	int count = 0;
	DIR *directory = opendir(corpus);
	assert_non_null(directory); // run from the top of the source tree
	for (struct dirent *entry; (entry = readdir(directory));) {
		if (entry->d_name[0] == '.')
			continue;
		replay(input, load(entry->d_name, input, sizeof(input)));
		count++;
	}
	closedir(directory);
	assert_true(count >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
