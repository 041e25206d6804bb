// SPDX-License-Identifier: Apache-2.0
//
// The strings extension as Kubernetes has it (its version 2: no reverse). Positions count
// characters, not bytes. Texts of ASCII alone are cut without looking at their characters.
#include <string.h>

#include "common/base/strbuf.h"
#include "common/cel/evaluate.h"
#include "common/cel/format_text.h"

static bool charge_text(struct cel_eval *eval, const struct cel_value *text)
{
	return cel_work(eval, 1 + text->length / 16);
}

static size_t characters(const struct cel_value *text)
{
	return cel_count_characters(text->text, text->length);
}

// The byte where a character begins, `index` <= the number of characters.
static size_t byte_of(const struct cel_value *text, size_t index)
{
	size_t byte = 0;
	for (; index > 0 && byte < text->length; index--)
		do
			byte++;
		while (byte < text->length && ((unsigned char)text->text[byte] & 0xc0) == 0x80);
	return byte;
}

static struct cel_value out_of_range(struct cel_eval *eval, int64_t index)
{
	return cel_fail(eval, "index out of range: %lld", (long long)index);
}

static struct cel_value cut(const struct cel_value *text, size_t from, size_t to)
{
	return cel_value_string(text->text + from, to - from);
}

static struct cel_value char_at(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	int64_t index = args[1].integer;
	(void)call, (void)count;
	if (!charge_text(eval, &args[0]))
		return cel_abort(eval);
	size_t length = characters(&args[0]);
	if (index < 0 || (uint64_t)index > length)
		return out_of_range(eval, index);
	size_t from = byte_of(&args[0], (size_t)index);
	struct cel_value rest = cut(&args[0], from, args[0].length);
	return cut(&rest, 0, byte_of(&rest, 1));
}

// --- searching -----------------------------------------------------------------------------

static struct cel_value index_of(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	int64_t offset = count > 2 ? args[2].integer : 0;
	(void)call;
	if (!charge_text(eval, &args[0]) || !charge_text(eval, &args[1]))
		return cel_abort(eval);
	if (args[1].length == 0)
		return cel_value_int(offset);
	if (offset < 0)
		return out_of_range(eval, offset);
	if ((uint64_t)offset >= characters(&args[0]))
		return cel_value_int(-1);
	size_t from = byte_of(&args[0], (size_t)offset);
	const char *found = memmem(args[0].text + from, args[0].length - from, args[1].text, args[1].length);
	if (!found)
		return cel_value_int(-1);
	return cel_value_int((int64_t)cel_count_characters(args[0].text, (size_t)(found - args[0].text)));
}

static struct cel_value last_index_of(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                      unsigned count)
{
	(void)call;
	if (!charge_text(eval, &args[0]) || !charge_text(eval, &args[1]))
		return cel_abort(eval);
	size_t length = characters(&args[0]), wanted = characters(&args[1]);
	int64_t offset = count > 2 ? args[2].integer : (int64_t)length - (args[1].length ? 1 : 0);
	if (args[1].length == 0)
		return cel_value_int(offset);
	if (count > 2 && offset < 0)
		return out_of_range(eval, offset);
	if (offset < 0 || (uint64_t)offset >= length || wanted > length)
		return cel_value_int(-1);
	if ((uint64_t)offset > length - wanted)
		offset = (int64_t)(length - wanted);
	for (size_t at = byte_of(&args[0], (size_t)offset);; at--) {
		if (at + args[1].length <= args[0].length &&
		    memcmp(args[0].text + at, args[1].text, args[1].length) == 0)
			return cel_value_int((int64_t)cel_count_characters(args[0].text, at));
		if (at == 0 || !cel_work(eval, args[1].length / 64))
			return cel_value_int(-1);
	}
}

// --- cutting ----------------------------------------------------------------------------------

static struct cel_value substring(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)call;
	if (!charge_text(eval, &args[0]))
		return cel_abort(eval);
	int64_t length = (int64_t)characters(&args[0]), from = args[1].integer,
	        to = count > 2 ? args[2].integer : length;
	if (count > 2 && from > to)
		return cel_fail(eval, "invalid substring range. start: %lld, end: %lld", (long long)from,
		                (long long)to);
	if (from < 0 || from > length)
		return out_of_range(eval, from);
	if (to < 0 || to > length)
		return out_of_range(eval, to);
	return cut(&args[0], byte_of(&args[0], (size_t)from), byte_of(&args[0], (size_t)to));
}

static bool is_white(uint32_t rune)
{
	return (rune >= 0x09 && rune <= 0x0d) || rune == ' ' || rune == 0x85 || rune == 0xa0 || rune == 0x1680 ||
	       (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 || rune == 0x2029 || rune == 0x202f ||
	       rune == 0x205f || rune == 0x3000;
}

static struct cel_value trim(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	size_t from = 0, to = args[0].length;
	uint32_t rune;
	(void)call, (void)count;
	if (!charge_text(eval, &args[0]))
		return cel_abort(eval);
	while (from < to) {
		size_t bytes = cel_decode_rune(args[0].text + from, to - from, &rune);
		if (!is_white(rune))
			break;
		from += bytes;
	}
	while (to > from) {
		size_t last = to - 1;
		while (last > from && ((unsigned char)args[0].text[last] & 0xc0) == 0x80)
			last--;
		(void)cel_decode_rune(args[0].text + last, to - last, &rune);
		if (!is_white(rune))
			break;
		to = last;
	}
	return cut(&args[0], from, to);
}

// --- changing ------------------------------------------------------------------------------------

static struct cel_value change_case(struct cel_eval *eval, const struct cel_value *text, char first)
{
	char *changed = cel_allocate(eval, (size_t)text->length + 1);
	if (!changed)
		return cel_abort(eval);
	for (uint32_t i = 0; i < text->length; i++) {
		char character = text->text[i];
		changed[i] = character >= first && character < first + 26 ? (char)(character ^ 0x20) : character;
	}
	changed[text->length] = '\0';
	return cel_value_string(changed, text->length);
}

static struct cel_value lower_ascii(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	(void)call, (void)count;
	return change_case(eval, &args[0], 'A');
}

static struct cel_value upper_ascii(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	(void)call, (void)count;
	return change_case(eval, &args[0], 'a');
}

// Where `part` stands at or after `from`; an empty part stands before each character and at the end.
static size_t find_part(const struct cel_value *text, const struct cel_value *part, size_t from, bool first)
{
	if (part->length == 0) {
		struct cel_value rest = cut(text, from, text->length);
		return first ? from : from >= text->length ? SIZE_MAX : from + byte_of(&rest, 1);
	}
	const char *found = memmem(text->text + from, text->length - from, part->text, part->length);
	return found ? (size_t)(found - text->text) : SIZE_MAX;
}

static size_t count_parts(const struct cel_value *text, const struct cel_value *part, int64_t limit)
{
	size_t found = 0;
	for (size_t at = 0; limit < 0 || found < (uint64_t)limit; found++) {
		size_t place = find_part(text, part, at, found == 0);
		if (place == SIZE_MAX)
			break;
		at = place + part->length;
	}
	return found;
}

static struct cel_value replace(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	const struct cel_value *text = &args[0], *old = &args[1], *new = &args[2];
	(void)call;
	if (!charge_text(eval, text) || !charge_text(eval, old))
		return cel_abort(eval);
	size_t found = count_parts(text, old, count > 3 ? args[3].integer : -1), length, grown;
	if (__builtin_mul_overflow(found, (size_t) new->length, &grown) || grown > UINT32_MAX)
		return cel_abort(eval);
	length = text->length - found * old->length + grown;
	char *replaced = length <= UINT32_MAX ? cel_allocate(eval, length + 1) : NULL, *out = replaced;
	size_t at = 0;
	if (!replaced)
		return cel_abort(eval);
	for (size_t i = 0; i < found; i++) {
		size_t place = find_part(text, old, at, i == 0);
		memcpy(out, text->text + at, place - at);
		out += place - at;
		memcpy(out, new->text, new->length);
		out += new->length;
		at = place + old->length;
	}
	memcpy(out, text->text + at, text->length - at);
	replaced[length] = '\0';
	return cel_value_string(replaced, length);
}

static struct cel_value split(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	int64_t limit = count > 2 ? args[2].integer : -1;
	struct cel_value list = cel_list_new(eval, 0);
	(void)call;
	if (limit == 0 || !charge_text(eval, &args[0]))
		return eval->aborted ? cel_abort(eval) : list;
	size_t at = 0;
	bool each = args[1].length == 0;
	while (list.kind == CEL_LIST && (limit < 0 || (int64_t)list.length + 1 < limit)) {
		size_t place = find_part(&args[0], &args[1], at, false);
		if (place == SIZE_MAX || (each && place >= args[0].length))
			break;
		(void)cel_list_add(eval, &list, cut(&args[0], at, place));
		at = place + args[1].length;
	}
	if (list.kind == CEL_LIST && !(each && args[0].length == 0))
		(void)cel_list_add(eval, &list, cut(&args[0], at, args[0].length));
	return list;
}

static struct cel_value join(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(eval->max_memory - eval->memory);
	(void)call;
	for (uint32_t i = 0; i < args[0].length; i++) {
		struct cel_value item = cel_list_get(eval, &args[0], i);
		if (item.kind != CEL_STRING)
			return cel_is_error(&item)
			               ? item
			               : cel_fail(eval, "join: invalid input: %s", cel_value_type_name(&item));
		if (i && count > 1)
			strbuf_append(&out, args[1].text, args[1].length);
		strbuf_append(&out, item.text, item.length);
		if (out.overflowed || !cel_work(eval, 1 + item.length / 32))
			return cel_abort(eval);
	}
	return cel_copy_text(eval, strbuf_text(&out), out.length);
}

static struct cel_value quote(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	static const char special[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(eval->max_memory - eval->memory);
	(void)call, (void)count;
	if (!charge_text(eval, &args[0]))
		return cel_abort(eval);
	strbuf_append_char(&out, '"');
	for (uint32_t i = 0; i < args[0].length; i++) {
		const char *found = args[0].text[i] ? strchr(special, args[0].text[i]) : NULL;
		if (found)
			strbuf_append_char(&out, '\\');
		strbuf_append_char(&out, found ? letters[found - special] : args[0].text[i]);
	}
	strbuf_append_char(&out, '"');
	return out.overflowed ? cel_abort(eval) : cel_copy_text(eval, strbuf_text(&out), out.length);
}

static const struct cel_function_row rows[] = {
        {"charAt", "s.i>s", char_at, CEL_COST_ONE},
        {"indexOf", "s.s>i", index_of, CEL_COST_LIST_SCAN, .by_name = true},
        {"indexOf", "s.si>i", index_of, CEL_COST_LIST_SCAN, .by_name = true},
        {"lastIndexOf", "s.s>i", last_index_of, CEL_COST_LIST_SCAN, .by_name = true},
        {"lastIndexOf", "s.si>i", last_index_of, CEL_COST_LIST_SCAN, .by_name = true},
        {"lowerAscii", "s.>s", lower_ascii, CEL_COST_TEXT_SCAN, .by_name = true},
        {"upperAscii", "s.>s", upper_ascii, CEL_COST_TEXT_SCAN, .by_name = true},
        {"replace", "s.ss>s", replace, CEL_COST_REPLACE, .by_name = true},
        {"replace", "s.ssi>s", replace, CEL_COST_REPLACE, .by_name = true},
        {"split", "s.s>[s", split, CEL_COST_SPLIT, .by_name = true},
        {"split", "s.si>[s", split, CEL_COST_SPLIT, .by_name = true},
        {"substring", "s.i>s", substring, CEL_COST_TEXT_SCAN, .by_name = true},
        {"substring", "s.ii>s", substring, CEL_COST_TEXT_SCAN, .by_name = true},
        {"trim", "s.>s", trim, CEL_COST_TEXT_SCAN, .by_name = true},
        {"join", "[s.>s", join, CEL_COST_JOIN, .by_name = true},
        {"join", "[s.s>s", join, CEL_COST_JOIN, .by_name = true},
        {"strings.quote", "s>s", quote, CEL_COST_QUOTE},
        {"format", "s.[*>s", cel_format_text, CEL_COST_TRAVERSE},
};

const struct cel_library cel_library_strings = CEL_LIBRARY(rows);
