// SPDX-License-Identifier: Apache-2.0
//
// Versions as semver.org 2.0.0 has them: three numbers, identifiers of a pre-release that
// order, and of a build that only tell equal versions apart in their text. With `true` as
// second argument a text is tidied first: a leading v, missing numbers, leading zeros.
#include <stdio.h>
#include <string.h>

#include "common/cel/evaluate.h"

struct version {
	uint64_t numbers[3];
	const char *prerelease; // in the text, `prerelease_length` bytes
	size_t prerelease_length;
};

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

// A number without leading zeros.
static bool take_number(const char **at, const char *end, uint64_t *ret_number)
{
	const char *from = *at;
	uint64_t number = 0;
	for (; *at < end && is_digit(**at); (*at)++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(**at - '0'), &number))
			return false;
	*ret_number = number;
	return *at > from && (*at == from + 1 || *from != '0');
}

// Identifiers between dots; those of a pre-release that are numbers have no leading zeros.
static bool take_identifiers(const char **at, const char *end, bool prerelease)
{
	for (;;) {
		const char *from = *at;
		bool numeric = true;
		for (; *at < end; (*at)++) {
			char character = **at;
			bool letter = (character >= 'a' && character <= 'z') ||
			              (character >= 'A' && character <= 'Z') || character == '-';
			if (!letter && !is_digit(character))
				break;
			numeric = numeric && !letter;
		}
		if (*at == from || (prerelease && numeric && *at > from + 1 && *from == '0'))
			return false;
		if (*at >= end || **at != '.')
			return true;
		(*at)++;
	}
}

static bool parse_version(const char *at, size_t length, struct version *version)
{
	const char *end = at + length;
	*version = (struct version){.prerelease = ""};
	for (int i = 0; i < 3; i++) {
		if (i && (at >= end || *at++ != '.'))
			return false;
		if (!take_number(&at, end, &version->numbers[i]))
			return false;
	}
	if (at < end && *at == '-') {
		version->prerelease = ++at;
		if (!take_identifiers(&at, end, true))
			return false;
		version->prerelease_length = (size_t)(at - version->prerelease);
	}
	if (at < end && *at == '+') {
		at++;
		if (!take_identifiers(&at, end, false))
			return false;
	}
	return at == end;
}

// "v1.02" -> "1.2.0"; the text is as long as that at most + 4.
static size_t tidy(const char *text, size_t length, char *out)
{
	const char *at = text, *end = text + length;
	size_t written = 0;
	int parts = 0;
	if (at < end && *at == 'v')
		at++;
	while (at < end && is_digit(*at) && parts < 3) {
		while (at + 1 < end && *at == '0' && is_digit(at[1]))
			at++;
		if (parts++)
			out[written++] = '.';
		while (at < end && is_digit(*at))
			out[written++] = *at++;
		if (at >= end || *at != '.' || parts == 3)
			break;
		at++;
	}
	for (; parts > 0 && parts < 3; parts++) {
		out[written++] = '.';
		out[written++] = '0';
	}
	memcpy(out + written, at, (size_t)(end - at));
	return written + (size_t)(end - at);
}

static bool read_version(struct cel_eval *eval, const struct cel_value *args, unsigned count, struct version *version)
{
	if (count < 2 || !args[1].boolean)
		return parse_version(args[0].text, args[0].length, version);
	char *tidied = cel_allocate(eval, (size_t)args[0].length + 8);
	return tidied && parse_version(tidied, tidy(args[0].text, args[0].length, tidied), version);
}

static struct cel_value to_semver(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	struct version *version = cel_allocate(eval, sizeof(*version));
	(void)call;
	if (!version)
		return cel_abort(eval);
	if (!read_version(eval, args, count, version))
		return cel_fail(eval, "invalid semantic version \"%.*s\"",
		                args[0].length > 128 ? 128 : (int)args[0].length, args[0].text);
	return cel_make_opaque(&cel_type_semver, version);
}

static struct cel_value is_semver(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	struct version version;
	(void)call;
	bool valid = read_version(eval, args, count, &version);
	return eval->aborted ? cel_abort(eval) : cel_value_bool(valid);
}

// --- order -----------------------------------------------------------------------------

static size_t identifier_length(const char *at, const char *end)
{
	const char *dot = at < end ? memchr(at, '.', (size_t)(end - at)) : NULL;
	return (size_t)((dot ? dot : end) - at);
}

static bool numeric(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_digit(at[i]))
			return false;
	return true;
}

// Numbers before words, numbers by value (no leading zeros: the longer is greater), words by bytes.
static int compare_identifiers(const char *a, size_t a_length, const char *b, size_t b_length)
{
	bool a_numeric = numeric(a, a_length), b_numeric = numeric(b, b_length);
	if (a_numeric != b_numeric)
		return a_numeric ? -1 : 1;
	if (a_numeric && a_length != b_length)
		return a_length < b_length ? -1 : 1;
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
	if (order)
		return order < 0 ? -1 : 1;
	return a_length < b_length ? -1 : a_length > b_length;
}

static int compare_prereleases(const struct version *a, const struct version *b)
{
	const char *left = a->prerelease, *left_end = left + a->prerelease_length;
	const char *right = b->prerelease, *right_end = right + b->prerelease_length;
	if (!a->prerelease_length || !b->prerelease_length)
		return (a->prerelease_length == 0) - (b->prerelease_length == 0);
	while (left < left_end && right < right_end) {
		size_t left_length = identifier_length(left, left_end),
		       right_length = identifier_length(right, right_end);
		int order = compare_identifiers(left, left_length, right, right_length);
		if (order)
			return order;
		left += left_length + 1;
		right += right_length + 1;
	}
	return left < left_end ? 1 : right < right_end ? -1 : 0;
}

static int compare_versions(const struct version *a, const struct version *b)
{
	for (int i = 0; i < 3; i++)
		if (a->numbers[i] != b->numbers[i])
			return a->numbers[i] < b->numbers[i] ? -1 : 1;
	return compare_prereleases(a, b);
}

bool cel_semver_equal(const void *a, const void *b)
{
	return compare_versions(a, b) == 0;
}

static struct cel_value greater(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(compare_versions(args[0].opaque, args[1].opaque) > 0);
}

static struct cel_value less(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(compare_versions(args[0].opaque, args[1].opaque) < 0);
}

static struct cel_value order(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_int(compare_versions(args[0].opaque, args[1].opaque));
}

#define NUMBER(name, index)                                                                                            \
	static struct cel_value name(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args, \
	                             unsigned count)                                                                   \
	{                                                                                                              \
		(void)eval, (void)call, (void)count;                                                                   \
		return cel_value_int((int64_t)((const struct version *)args[0].opaque)->numbers[index]);               \
	}
NUMBER(major_number, 0)
NUMBER(minor_number, 1)
NUMBER(patch_number, 2)

#define SINCE_STORED .since = CEL_VERSION_STORED

static const struct cel_function_row rows[] = {
        {"semver", "s>V", to_semver, CEL_COST_PREFIX, .by_name = true, SINCE_STORED},
        {"semver", "sb>V", to_semver, CEL_COST_PREFIX, .by_name = true, SINCE_STORED},
        {"isSemver", "s>b", is_semver, CEL_COST_PREFIX, .by_name = true, SINCE_STORED},
        {"isSemver", "sb>b", is_semver, CEL_COST_PREFIX, .by_name = true, SINCE_STORED},
        {"isGreaterThan", "V.V>b", greater, CEL_COST_ONE, SINCE_STORED},
        {"isLessThan", "V.V>b", less, CEL_COST_ONE, SINCE_STORED},
        {"compareTo", "V.V>i", order, CEL_COST_ONE, SINCE_STORED},
        {"major", "V.>i", major_number, CEL_COST_ONE, SINCE_STORED},
        {"minor", "V.>i", minor_number, CEL_COST_ONE, SINCE_STORED},
        {"patch", "V.>i", patch_number, CEL_COST_ONE, SINCE_STORED},
};

const struct cel_library cel_library_semver = CEL_LIBRARY(rows);
