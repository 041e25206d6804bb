// SPDX-License-Identifier: Apache-2.0
#pragma once
// Replays a fuzz target's corpus as an ordinary test: each input, each with one
// bit of a byte turned over, and each of its prefixes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>

enum { FUZZ_INPUT_MAXIMUM = 16384 };

static size_t fuzz_load(const char *folder, const char *name, uint8_t *buffer)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%.255s", folder, name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(buffer, 1, FUZZ_INPUT_MAXIMUM, file);
	fclose(file);
	return length;
}

static void fuzz_replay_input(uint8_t *input, size_t length)
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

static void fuzz_replay(const char *folder)
{
	static uint8_t input[FUZZ_INPUT_MAXIMUM];
	size_t count = 0;
	DIR *directory = opendir(folder);
	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		fuzz_replay_input(input, fuzz_load(folder, entry->d_name, input));
		count++;
	}
	closedir(directory);
	assert_true(count > 0);
}

// The whole program of one target.
#define FUZZ_REPLAY(target)                                                                   \
	static void test_##target##_corpus(void **state)                                      \
	{                                                                                     \
		(void)state;                                                                  \
		fuzz_replay("tests/fuzz/corpus/" #target);                                    \
	}                                                                                     \
	int main(void)                                                                        \
	{                                                                                     \
		const struct CMUnitTest tests[] = {cmocka_unit_test(test_##target##_corpus)}; \
		return cmocka_run_group_tests(tests, NULL, NULL);                             \
	}
