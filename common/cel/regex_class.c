// SPDX-License-Identifier: Apache-2.0
//
// Classes of characters and escapes: [a-z], [[:alpha:]], \d, \p{Greek}, \x{41}. Under
// (?i) both cases of each character are in a class.
#include <ctype.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/cel/regex_parser.h"

// --- ranges ---------------------------------------------------------------------------

void regex_add_range(struct regex_parser *parser, struct rune_class *class, uint32_t low, uint32_t high)
{
	if (class->count == class->capacity) {
		size_t capacity = class->capacity ? class->capacity * 2 : 8;
		class->ranges = arena_realloc(parser->arena, class->ranges, class->capacity * sizeof(class->ranges[0]),
		                              capacity * sizeof(class->ranges[0]));
		class->capacity = capacity;
	}
	class->ranges[class->count++] = (struct rune_range){low, high};
}

static void add_folded(struct regex_parser *parser, struct rune_class *class, uint32_t low, uint32_t high)
{
	regex_add_range(parser, class, low, high);
	if (!(parser->flags & FLAG_FOLD) || high - low > 0x3000)
		return;
	for (uint32_t rune = low; rune <= high; rune++) {
		uint32_t upper = rune_fold_upper(rune), lower = rune_fold_lower(rune);
		if (upper != rune)
			regex_add_range(parser, class, upper, upper);
		if (lower != rune)
			regex_add_range(parser, class, lower, lower);
	}
}

// All that is not in the ranges, which are sorted.
static void add_complement(struct regex_parser *parser, struct rune_class *class, const struct rune_range *ranges,
                           size_t count)
{
	uint32_t next = 0;
	for (size_t i = 0; i < count; i++) {
		if (ranges[i].low > next)
			regex_add_range(parser, class, next, ranges[i].low - 1);
		next = ranges[i].high + 1;
	}
	if (next <= CEL_RUNE_MAX)
		regex_add_range(parser, class, next, CEL_RUNE_MAX);
}

struct named_ranges {
	const char *name;
	size_t count;
	struct rune_range ranges[6];
};

static const struct named_ranges perl_classes[] = {
        {"d", 1, {{'0', '9'}}},
        {"s", 3, {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
        {"w", 4, {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
};

static const struct named_ranges posix_classes[] = {
        {"alnum", 3, {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
        {"alpha", 2, {{'A', 'Z'}, {'a', 'z'}}},
        {"ascii", 1, {{0, 0x7f}}},
        {"blank", 2, {{'\t', '\t'}, {' ', ' '}}},
        {"cntrl", 2, {{0, 0x1f}, {0x7f, 0x7f}}},
        {"digit", 1, {{'0', '9'}}},
        {"graph", 1, {{'!', '~'}}},
        {"lower", 1, {{'a', 'z'}}},
        {"print", 1, {{' ', '~'}}},
        {"punct", 4, {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
        {"space", 2, {{'\t', '\r'}, {' ', ' '}}},
        {"upper", 1, {{'A', 'Z'}}},
        {"word", 4, {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
        {"xdigit", 3, {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
};

// The main blocks of scripts.
static const struct named_ranges script_classes[] = {
        {"Arabic", 3, {{0x600, 0x6ff}, {0x750, 0x77f}, {0x8a0, 0x8ff}}},
        {"Cyrillic", 2, {{0x400, 0x52f}, {0x1c80, 0x1c8f}}},
        {"Greek", 3, {{0x370, 0x373}, {0x375, 0x3ff}, {0x1f00, 0x1fff}}},
        {"Han", 5, {{0x2e80, 0x2fd5}, {0x3005, 0x3007}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0x20000, 0x323af}}},
        {"Hangul", 3, {{0x1100, 0x11ff}, {0x3130, 0x318f}, {0xac00, 0xd7a3}}},
        {"Hebrew", 1, {{0x591, 0x5f4}}},
        {"Hiragana", 1, {{0x3041, 0x309f}}},
        {"Katakana", 2, {{0x30a1, 0x30ff}, {0x31f0, 0x31ff}}},
        {"Latin", 5, {{'A', 'Z'}, {'a', 'z'}, {0xc0, 0xd6}, {0xd8, 0xf6}, {0xf8, 0x24f}}},
        {"Thai", 1, {{0xe01, 0xe5b}}},
};

static const struct {
	const char *name;
	enum rune_property property;
} property_names[] = {
        {"L", RUNE_LETTER},      {"Lu", RUNE_UPPER}, {"Ll", RUNE_LOWER}, {"N", RUNE_DIGIT},    {"Nd", RUNE_DIGIT},
        {"P", RUNE_PUNCTUATION}, {"Z", RUNE_SPACE},  {"Zs", RUNE_SPACE}, {"Cc", RUNE_CONTROL}, {"C", RUNE_CONTROL},
};

static const struct named_ranges *find_ranges(const struct named_ranges *table, size_t rows, const char *name,
                                              size_t length)
{
	for (size_t i = 0; i < rows; i++)
		if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
			return &table[i];
	return NULL;
}

static void add_named(struct regex_parser *parser, struct rune_class *class, const struct named_ranges *named,
                      bool negated)
{
	if (negated)
		add_complement(parser, class, named->ranges, named->count);
	else
		for (size_t i = 0; i < named->count; i++)
			add_folded(parser, class, named->ranges[i].low, named->ranges[i].high);
}

static bool add_unicode(struct regex_parser *parser, struct rune_class *class, const char *name, size_t length,
                        bool negated)
{
	const struct named_ranges *script = find_ranges(script_classes, ARRAY_SIZE(script_classes), name, length);
	if (script) {
		add_named(parser, class, script, negated);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(property_names); i++) {
		if (strlen(property_names[i].name) != length || memcmp(property_names[i].name, name, length) != 0)
			continue;
		*(negated ? &class->excluded : &class->properties) |= 1u << property_names[i].property;
		return true;
	}
	if (length == 3 && memcmp(name, "Any", 3) == 0) {
		regex_add_range(parser, class, 0, CEL_RUNE_MAX);
		return true;
	}
	return false;
}

// \pL, \p{Greek}, \P{^Lu}; `at` stands past the p.
static bool parse_unicode(struct regex_parser *parser, struct rune_class *class, const char *from, bool negated)
{
	const char *name = parser->at, *name_end = name + 1;
	if (name < parser->end && *name == '{') {
		name++;
		name_end = memchr(name, '}', (size_t)(parser->end - name));
	}
	if (!name_end || name >= parser->end)
		return regex_fail(parser, "invalid character class range", from, parser->end);
	parser->at = *(name_end - 1) != '{' && name != parser->at ? name_end + 1 : name_end;
	if (name < name_end && *name == '^') {
		negated = !negated;
		name++;
	}
	if (!add_unicode(parser, class, name, (size_t)(name_end - name), negated))
		return regex_fail(parser, "invalid character class range", from, parser->at);
	return true;
}

// \d and the like and \p; `at` stands on the backslash. Returns false when it is none of them.
bool regex_parse_class_escape(struct regex_parser *parser, struct rune_class *class)
{
	const char *from = parser->at;
	if (parser->end - from < 2 || from[0] != '\\')
		return false;
	char lower = (char)tolower((unsigned char)from[1]);
	if (lower == 'p') {
		parser->at += 2;
		(void)parse_unicode(parser, class, from, from[1] == 'P');
		return true;
	}
	const struct named_ranges *named = find_ranges(perl_classes, ARRAY_SIZE(perl_classes), &lower, 1);
	if (!named)
		return false;
	parser->at += 2;
	add_named(parser, class, named, from[1] != lower);
	return true;
}

// --- escapes ------------------------------------------------------------------------------

static bool parse_hex_escape(struct regex_parser *parser, const char *from, uint32_t *ret_rune)
{
	uint32_t rune = 0;
	bool braces = parser->at < parser->end && *parser->at == '{';
	const char *digits = parser->at + braces, *at = digits;
	while (at < parser->end && hex_digit(*at) >= 0 && at - digits < (braces ? 8 : 2))
		rune = rune * 16 + (uint32_t)hex_digit(*at++);
	bool complete = braces ? at > digits && at < parser->end && *at == '}' : at - digits == 2;
	parser->at = at < parser->end ? at + braces : at;
	if (!complete || rune > CEL_RUNE_MAX)
		return regex_fail(parser, "invalid escape sequence", from, parser->at);
	*ret_rune = rune;
	return true;
}

bool regex_parse_escape(struct regex_parser *parser, uint32_t *ret_rune)
{
	static const char letters[] = "aftnrv", meaning[] = "\a\f\t\n\r\v";
	const char *from = parser->at++;
	if (parser->at >= parser->end) {
		regex_fail(parser, "trailing backslash at end of expression", from, from);
		return false;
	}
	char escaped = *parser->at++;
	const char *found = escaped ? strchr(letters, escaped) : NULL;
	*ret_rune = (unsigned char)escaped;
	if (found) {
		*ret_rune = (unsigned char)meaning[found - letters];
	} else if (escaped == 'x') {
		return parse_hex_escape(parser, from, ret_rune);
	} else if (escaped >= '0' && escaped <= '7' &&
	           (escaped == '0' || (parser->at < parser->end && *parser->at >= '0' && *parser->at <= '7'))) {
		*ret_rune = (uint32_t)(escaped - '0');
		for (int i = 1; i < 3 && parser->at < parser->end && *parser->at >= '0' && *parser->at <= '7'; i++)
			*ret_rune = *ret_rune * 8 + (uint32_t)(*parser->at++ - '0');
	} else if ((unsigned char)escaped >= 0x80 || isalnum((unsigned char)escaped)) {
		regex_fail(parser, "invalid escape sequence", from, parser->at);
		return false;
	}
	return true;
}

// --- [ ] -------------------------------------------------------------------------------------

static bool parse_posix(struct regex_parser *parser, struct rune_class *class)
{
	const char *from = parser->at, *close = from + 2;
	if (parser->end - from < 4 || from[1] != ':')
		return false;
	while (close + 1 < parser->end && !(close[0] == ':' && close[1] == ']'))
		close++;
	if (close + 1 >= parser->end)
		return false;
	bool negated = from[2] == '^';
	const struct named_ranges *named = find_ranges(posix_classes, ARRAY_SIZE(posix_classes), from + 2 + negated,
	                                               (size_t)(close - from) - 2 - negated);
	parser->at = close + 2;
	if (named)
		add_named(parser, class, named, negated);
	else
		regex_fail(parser, "invalid character class range", from, parser->at);
	return true;
}

static bool parse_class_rune(struct regex_parser *parser, const char *open, uint32_t *ret_rune)
{
	if (parser->at >= parser->end) {
		regex_fail(parser, "missing closing ]", open, parser->end);
		return false;
	}
	if (*parser->at == '\\')
		return regex_parse_escape(parser, ret_rune);
	parser->at += rune_decode(parser->at, (size_t)(parser->end - parser->at), ret_rune);
	return true;
}

static bool parse_class_item(struct regex_parser *parser, struct rune_class *class, const char *open)
{
	uint32_t low, high;
	const char *from = parser->at;
	if ((*from == '[' && parse_posix(parser, class)) || regex_parse_class_escape(parser, class))
		return !parser->failed;
	if (!parse_class_rune(parser, open, &low))
		return false;
	high = low;
	if (parser->end - parser->at >= 2 && parser->at[0] == '-' && parser->at[1] != ']') {
		parser->at++;
		if (!parse_class_rune(parser, open, &high))
			return false;
		if (high < low) {
			regex_fail(parser, "invalid character class range", from, parser->at);
			return false;
		}
	}
	add_folded(parser, class, low, high);
	return true;
}

struct regex_node *regex_parse_class(struct regex_parser *parser)
{
	const char *open = parser->at++;
	struct regex_node *node = regex_node_new(parser, REGEX_CLASS);
	node->class = ARENA_NEW(parser->arena, struct rune_class);
	if (parser->at < parser->end && *parser->at == '^') {
		node->class->negated = true;
		parser->at++;
	}
	for (bool first = true; first || parser->at >= parser->end || *parser->at != ']'; first = false) {
		if (parser->at >= parser->end)
			return regex_fail(parser, "missing closing ]", open, parser->end);
		if (!parse_class_item(parser, node->class, open))
			return NULL;
	}
	parser->at++;
	return node;
}
