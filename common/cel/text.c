// SPDX-License-Identifier: Apache-2.0
//
// What the language itself does with texts: size, contains, startsWith, endsWith, matches,
// and Kubernetes' find and findAll. Patterns that are no literals are compiled for each
// call; what matching takes is charged as work.
#include <string.h>

#include "common/cel/evaluate.h"
#include "common/cel/regex.h"

static struct cel_value size(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	(void)call, (void)count;
	if (!cel_work(eval, args[0].kind == CEL_STRING ? args[0].length / 32 : 0))
		return cel_abort(eval);
	return cel_value_int((int64_t)cel_size(&args[0]));
}

static struct cel_value contains(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	(void)call, (void)count;
	if (!cel_work(eval, (args[0].length + args[1].length) / 16))
		return cel_abort(eval);
	return cel_value_bool(args[1].length == 0 ||
	                      memmem(args[0].text, args[0].length, args[1].text, args[1].length) != NULL);
}

static struct cel_value starts_with(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	(void)call, (void)count;
	if (!cel_work(eval, args[1].length / 64))
		return cel_abort(eval);
	return cel_value_bool(args[0].length >= args[1].length &&
	                      memcmp(args[0].text, args[1].text, args[1].length) == 0);
}

static struct cel_value ends_with(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)call, (void)count;
	if (!cel_work(eval, args[1].length / 64))
		return cel_abort(eval);
	return cel_value_bool(args[0].length >= args[1].length &&
	                      memcmp(args[0].text + (args[0].length - args[1].length), args[1].text, args[1].length) ==
	                              0);
}

// --- patterns --------------------------------------------------------------------------

enum { WORK_OF_COMPILING = 8 }; // for each byte of a pattern

static const struct cel_regex *pattern_of(struct cel_eval *eval, const struct cel_expr *call,
                                          const struct cel_value *pattern, struct cel_value *ret_error)
{
	struct err err = ERR_INIT;
	const struct cel_regex *regex = call->call.regex;
	if (regex)
		return regex;
	size_t before = arena_used_bytes(eval->arena);
	if (!cel_work(eval, (uint64_t)pattern->length * WORK_OF_COMPILING)) {
		*ret_error = cel_abort(eval);
		return NULL;
	}
	int status = cel_regex_compile(eval->arena, pattern->text, pattern->length, &regex, &err);
	size_t used = arena_used_bytes(eval->arena) - before;
	eval->memory += used < eval->max_memory - eval->memory ? used : eval->max_memory - eval->memory;
	if (!cel_work(eval, used / 16)) {
		*ret_error = cel_abort(eval);
		return NULL;
	}
	if (status) {
		*ret_error = cel_fail(eval, "%s", err.message);
		return NULL;
	}
	return regex;
}

static enum cel_regex_result search(struct cel_eval *eval, const struct cel_regex *regex, const struct cel_value *text,
                                    size_t start, size_t *ret_begin, size_t *ret_end)
{
	uint64_t left = CEL_MAX_WORK > eval->work ? CEL_MAX_WORK - eval->work : 0, given = left;
	enum cel_regex_result result =
	        cel_regex_search(regex, text->text, text->length, start, &left, ret_begin, ret_end);
	if (result == CEL_REGEX_TOO_MUCH_WORK)
		(void)cel_abort(eval);
	(void)cel_work(eval, given - left);
	return eval->aborted ? CEL_REGEX_TOO_MUCH_WORK : result;
}

static struct cel_value matches(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	struct cel_value error;
	(void)count;
	const struct cel_regex *regex = pattern_of(eval, call, &args[1], &error);
	if (!regex)
		return error;
	enum cel_regex_result result = search(eval, regex, &args[0], 0, NULL, NULL);
	return result == CEL_REGEX_TOO_MUCH_WORK ? cel_abort(eval) : cel_value_bool(result == CEL_REGEX_MATCH);
}

static struct cel_value find(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	struct cel_value error;
	size_t begin = 0, end = 0;
	(void)count;
	const struct cel_regex *regex = pattern_of(eval, call, &args[1], &error);
	if (!regex)
		return cel_is_error(&error) && !eval->aborted ? cel_fail(eval, "Illegal regex: %s", error.text) : error;
	switch (search(eval, regex, &args[0], 0, &begin, &end)) {
	case CEL_REGEX_MATCH:
		return cel_value_string(args[0].text + begin, end - begin);
	case CEL_REGEX_NO_MATCH:
		return cel_value_string("", 0);
	default:
		return cel_abort(eval);
	}
}

static struct cel_value find_all(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	struct cel_value error;
	int64_t limit = count > 2 ? args[2].integer : -1;
	size_t begin = 0, end = 0, last_end = SIZE_MAX;
	const struct cel_regex *regex = pattern_of(eval, call, &args[1], &error);
	if (!regex)
		return cel_is_error(&error) && !eval->aborted ? cel_fail(eval, "Illegal regex: %s", error.text) : error;
	struct cel_value list = cel_list_new(eval, 0);
	for (size_t at = 0; at <= args[0].length && list.kind == CEL_LIST && limit != (int64_t)list.length;) {
		if (search(eval, regex, &args[0], at, &begin, &end) != CEL_REGEX_MATCH)
			break;
		if (begin != end || begin != last_end) // nothing directly after a match isn't one
			(void)cel_list_add(eval, &list, cel_value_string(args[0].text + begin, end - begin));
		last_end = end;
		at = end;
		if (begin == end) {
			uint32_t rune;
			at += end < args[0].length ? cel_decode_rune(args[0].text + end, args[0].length - end, &rune)
			                           : 1;
		}
	}
	return eval->aborted ? cel_abort(eval) : list;
}

static const struct cel_function_row text_rows[] = {
        {"size", "y>i", size, CEL_COST_ONE},
        {"size", "y.>i", size, CEL_COST_ONE},
        {"size", "[A>i", size, CEL_COST_ONE},
        {"size", "[A.>i", size, CEL_COST_ONE},
        {"size", "{AB}>i", size, CEL_COST_ONE},
        {"size", "{AB}.>i", size, CEL_COST_ONE},
        {"size", "s>i", size, CEL_COST_ONE},
        {"size", "s.>i", size, CEL_COST_ONE},
        {"contains", "s.s>b", contains, CEL_COST_CONTAINS},
        {"endsWith", "s.s>b", ends_with, CEL_COST_PREFIX},
        {"startsWith", "s.s>b", starts_with, CEL_COST_PREFIX},
        {"matches", "ss>b", matches, CEL_COST_MATCHES},
        {"matches", "s.s>b", matches, CEL_COST_MATCHES},
};

static const struct cel_function_row regex_rows[] = {
        {"find", "s.s>s", find, CEL_COST_FIND, .by_name = true},
        {"findAll", "s.s>[s", find_all, CEL_COST_FIND, .by_name = true},
        {"findAll", "s.si>[s", find_all, CEL_COST_FIND, .by_name = true},
};

const struct cel_library cel_library_text = CEL_LIBRARY(text_rows);
const struct cel_library cel_library_regex = CEL_LIBRARY(regex_rows);
