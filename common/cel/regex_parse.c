// SPDX-License-Identifier: Apache-2.0
//
// RE2's syntax into a tree. Errors are worded as Go's regexp/syntax words them. Nesting
// and counted repetition are limited as there: 1000 levels, and no count nor product of
// nested counts over 1000.
#include <ctype.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/cel/regex_internal.h"

enum { MAX_NESTING = 250, MAX_REPEAT = 1000 };

enum regex_flags {
	FLAG_FOLD = 1 << 0,
	FLAG_MULTILINE = 1 << 1,
	FLAG_DOT_NEWLINE = 1 << 2,
	FLAG_UNGREEDY = 1 << 3,
};

struct regex_parser {
	struct arena *arena;
	const char *at, *end;
	const char *pattern;
	const char *quoted_end; // of \Q…\E, NULL = not inside
	unsigned flags;
	unsigned depth;
	struct err *err;
	bool failed;
};

static struct regex_node *parse_alternation(struct regex_parser *parser);

static void *fail_at(struct regex_parser *parser, const char *what, const char *from, const char *to)
{
	if (!parser->failed)
		(void)err_set(parser->err, ERR_INVALID, "error parsing regexp: %s: `%.*s`", what, (int)(to - from),
		              from);
	parser->failed = true;
	return NULL;
}

static struct regex_node *node_new(struct regex_parser *parser, enum regex_node_kind kind)
{
	struct regex_node *node = ARENA_NEW(parser->arena, struct regex_node);
	node->kind = kind;
	return node;
}

static struct regex_node *join(struct regex_parser *parser, enum regex_node_kind kind, struct regex_node *left,
                               struct regex_node *right)
{
	if (!left || !right)
		return left ? left : right;
	struct regex_node *node = node_new(parser, kind);
	node->left = left;
	node->right = right;
	return node;
}

static struct regex_node *rune_node(struct regex_parser *parser, uint32_t rune)
{
	struct regex_node *node = node_new(parser, REGEX_RUNE);
	node->rune = rune;
	node->fold = parser->flags & FLAG_FOLD;
	return node;
}

static struct regex_node *assert_node(struct regex_parser *parser, enum regex_assertion assertion)
{
	struct regex_node *node = node_new(parser, REGEX_ASSERT);
	node->assertion = assertion;
	return node;
}

// --- classes ---------------------------------------------------------------------------

static void add_range(struct regex_parser *parser, struct rune_class *class, uint32_t low, uint32_t high)
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
	add_range(parser, class, low, high);
	if (!(parser->flags & FLAG_FOLD) || high - low > 0x3000)
		return;
	for (uint32_t rune = low; rune <= high; rune++) {
		uint32_t upper = rune_fold_upper(rune), lower = rune_fold_lower(rune);
		if (upper != rune)
			add_range(parser, class, upper, upper);
		if (lower != rune)
			add_range(parser, class, lower, lower);
	}
}

// All that is not in the ranges, which are sorted.
static void add_complement(struct regex_parser *parser, struct rune_class *class, const struct rune_range *ranges,
                           size_t count)
{
	uint32_t next = 0;
	for (size_t i = 0; i < count; i++) {
		if (ranges[i].low > next)
			add_range(parser, class, next, ranges[i].low - 1);
		next = ranges[i].high + 1;
	}
	if (next <= CEL_RUNE_MAX)
		add_range(parser, class, next, CEL_RUNE_MAX);
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
		add_range(parser, class, 0, CEL_RUNE_MAX);
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
		return fail_at(parser, "invalid character class range", from, parser->end);
	parser->at = *(name_end - 1) != '{' && name != parser->at ? name_end + 1 : name_end;
	if (name < name_end && *name == '^') {
		negated = !negated;
		name++;
	}
	if (!add_unicode(parser, class, name, (size_t)(name_end - name), negated))
		return fail_at(parser, "invalid character class range", from, parser->at);
	return true;
}

// \d and the like and \p; `at` stands on the backslash. Returns false when it is none of them.
static bool parse_class_escape(struct regex_parser *parser, struct rune_class *class)
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
		return fail_at(parser, "invalid escape sequence", from, parser->at);
	*ret_rune = rune;
	return true;
}

static bool parse_escape(struct regex_parser *parser, uint32_t *ret_rune)
{
	static const char letters[] = "aftnrv", meaning[] = "\a\f\t\n\r\v";
	const char *from = parser->at++;
	if (parser->at >= parser->end) {
		fail_at(parser, "trailing backslash at end of expression", from, from);
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
		fail_at(parser, "invalid escape sequence", from, parser->at);
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
		fail_at(parser, "invalid character class range", from, parser->at);
	return true;
}

static bool parse_class_rune(struct regex_parser *parser, const char *open, uint32_t *ret_rune)
{
	if (parser->at >= parser->end) {
		fail_at(parser, "missing closing ]", open, parser->end);
		return false;
	}
	if (*parser->at == '\\')
		return parse_escape(parser, ret_rune);
	parser->at += rune_decode(parser->at, (size_t)(parser->end - parser->at), ret_rune);
	return true;
}

static bool parse_class_item(struct regex_parser *parser, struct rune_class *class, const char *open)
{
	uint32_t low, high;
	const char *from = parser->at;
	if ((*from == '[' && parse_posix(parser, class)) || parse_class_escape(parser, class))
		return !parser->failed;
	if (!parse_class_rune(parser, open, &low))
		return false;
	high = low;
	if (parser->end - parser->at >= 2 && parser->at[0] == '-' && parser->at[1] != ']') {
		parser->at++;
		if (!parse_class_rune(parser, open, &high))
			return false;
		if (high < low) {
			fail_at(parser, "invalid character class range", from, parser->at);
			return false;
		}
	}
	add_folded(parser, class, low, high);
	return true;
}

static struct regex_node *parse_class(struct regex_parser *parser)
{
	const char *open = parser->at++;
	struct regex_node *node = node_new(parser, REGEX_CLASS);
	node->class = ARENA_NEW(parser->arena, struct rune_class);
	if (parser->at < parser->end && *parser->at == '^') {
		node->class->negated = true;
		parser->at++;
	}
	for (bool first = true; first || parser->at >= parser->end || *parser->at != ']'; first = false) {
		if (parser->at >= parser->end)
			return fail_at(parser, "missing closing ]", open, parser->end);
		if (!parse_class_item(parser, node->class, open))
			return NULL;
	}
	parser->at++;
	return node;
}

// --- groups --------------------------------------------------------------------------------------

// (?P<name> or (?<name>: true when it is one; the name is only checked.
static bool parse_group_name(struct regex_parser *parser, const char *open)
{
	const char *at = parser->at + (parser->at < parser->end && *parser->at == 'P');
	if (at >= parser->end || *at != '<')
		return false;
	const char *close = memchr(at, '>', (size_t)(parser->end - at));
	if (!close) {
		fail_at(parser, "invalid named capture", open, parser->end);
		return true;
	}
	bool valid = close > at + 1;
	for (const char *name = at + 1; name < close; name++)
		valid = valid && (isalnum((unsigned char)*name) || *name == '_');
	if (!valid)
		fail_at(parser, "invalid named capture", open, close + 1);
	parser->at = close + 1;
	return true;
}

// (?flags) and (?flags:; sets the parser's flags. True when a group follows.
static bool parse_flags(struct regex_parser *parser, const char *open)
{
	static const char names[] = "imsU";
	unsigned flags = parser->flags;
	bool negative = false, any = false;
	for (; parser->at < parser->end; parser->at++) {
		const char *found = *parser->at ? strchr(names, *parser->at) : NULL;
		if (found) {
			unsigned bit = 1u << (found - names);
			flags = negative ? flags & ~bit : flags | bit;
			any = true;
		} else if (*parser->at == '-' && !negative) {
			negative = true;
			any = false;
		} else {
			break;
		}
	}
	char last = parser->at < parser->end ? *parser->at : '\0';
	if ((last != ':' && last != ')') || (negative && !any)) {
		if (parser->at >= parser->end)
			fail_at(parser, "missing closing )", parser->pattern, parser->end);
		else
			fail_at(parser, "invalid or unsupported Perl syntax", open, parser->at + 1);
		return false;
	}
	parser->at++;
	parser->flags = flags;
	return last == ':';
}

static struct regex_node *parse_group(struct regex_parser *parser)
{
	const char *open = parser->at++;
	unsigned flags = parser->flags;
	if (parser->at < parser->end && *parser->at == '?') {
		parser->at++;
		if (!parse_group_name(parser, open)) {
			bool group = parse_flags(parser, open);
			if (!group)
				return parser->failed ? NULL : node_new(parser, REGEX_EMPTY);
		}
	}
	if (parser->failed)
		return NULL;
	if (++parser->depth > MAX_NESTING)
		return fail_at(parser, "expression nests too deeply", parser->pattern, parser->end);
	struct regex_node *inner = parse_alternation(parser);
	parser->depth--;
	if (!inner)
		return NULL;
	if (parser->at >= parser->end)
		return fail_at(parser, "missing closing )", parser->pattern, parser->end);
	parser->at++;
	parser->flags = flags;
	return inner;
}

// --- atoms and repetition ---------------------------------------------------------------------------

static struct regex_node *parse_dot(struct regex_parser *parser)
{
	struct regex_node *node = node_new(parser, REGEX_CLASS);
	node->class = ARENA_NEW(parser->arena, struct rune_class);
	if (!(parser->flags & FLAG_DOT_NEWLINE))
		add_range(parser, node->class, '\n', '\n');
	node->class->negated = true;
	return node;
}

// Past \Q: up to \E every character stands for itself.
static struct regex_node *begin_quoted(struct regex_parser *parser)
{
	parser->at += 2;
	parser->quoted_end = memmem(parser->at, (size_t)(parser->end - parser->at), "\\E", 2);
	if (!parser->quoted_end)
		parser->quoted_end = parser->end;
	return node_new(parser, REGEX_EMPTY);
}

// True while characters are quoted; steps over \E at their end.
static bool in_quotes(struct regex_parser *parser)
{
	if (!parser->quoted_end)
		return false;
	if (parser->at < parser->quoted_end)
		return true;
	parser->at += parser->quoted_end < parser->end ? 2 : 0;
	parser->quoted_end = NULL;
	return false;
}

static struct regex_node *parse_backslash(struct regex_parser *parser)
{
	static const struct {
		char letter;
		enum regex_assertion assertion;
	} assertions[] = {{'A', ASSERT_TEXT_BEGIN}, {'z', ASSERT_TEXT_END}, {'b', ASSERT_WORD}, {'B', ASSERT_NO_WORD}};
	char letter = parser->end - parser->at >= 2 ? parser->at[1] : '\0';
	for (size_t i = 0; i < ARRAY_SIZE(assertions); i++)
		if (assertions[i].letter == letter) {
			parser->at += 2;
			return assert_node(parser, assertions[i].assertion);
		}
	if (letter == 'Q')
		return begin_quoted(parser);
	struct regex_node *node = node_new(parser, REGEX_CLASS);
	node->class = ARENA_NEW(parser->arena, struct rune_class);
	if (parse_class_escape(parser, node->class))
		return parser->failed ? NULL : node;
	uint32_t rune;
	return parse_escape(parser, &rune) ? rune_node(parser, rune) : NULL;
}

static struct regex_node *parse_rune(struct regex_parser *parser)
{
	uint32_t rune;
	parser->at += rune_decode(parser->at, (size_t)(parser->end - parser->at), &rune);
	return rune_node(parser, rune);
}

static struct regex_node *parse_atom(struct regex_parser *parser)
{
	bool lines = parser->flags & FLAG_MULTILINE;
	if (parser->quoted_end)
		return parse_rune(parser);
	switch (*parser->at) {
	case '(':
		return parse_group(parser);
	case '[':
		return parse_class(parser);
	case '\\':
		return parse_backslash(parser);
	case '.':
		parser->at++;
		return parse_dot(parser);
	case '^':
		parser->at++;
		return assert_node(parser, lines ? ASSERT_LINE_BEGIN : ASSERT_TEXT_BEGIN);
	case '$':
		parser->at++;
		return assert_node(parser, lines ? ASSERT_LINE_END : ASSERT_TEXT_END);
	case '*':
	case '+':
	case '?':
		return fail_at(parser, "missing argument to repetition operator", parser->at, parser->at + 1);
	default:
		return parse_rune(parser);
	}
}

static bool parse_count(const char **at, const char *end, int *ret_count)
{
	const char *from = *at;
	int count = 0;
	while (*at < end && isdigit((unsigned char)**at)) {
		count = count > MAX_REPEAT ? count : count * 10 + (**at - '0');
		(*at)++;
	}
	*ret_count = count;
	return *at > from;
}

// {n}, {n,} or {n,m}; anything else stands for itself.
static bool parse_counts(struct regex_parser *parser, int *ret_minimum, int *ret_maximum)
{
	const char *at = parser->at + 1;
	if (!parse_count(&at, parser->end, ret_minimum))
		return false;
	*ret_maximum = *ret_minimum;
	if (at < parser->end && *at == ',') {
		at++;
		if (!parse_count(&at, parser->end, ret_maximum))
			*ret_maximum = -1;
	}
	if (at >= parser->end || *at != '}')
		return false;
	at++;
	if (*ret_minimum > MAX_REPEAT || *ret_maximum > MAX_REPEAT ||
	    (*ret_maximum >= 0 && *ret_maximum < *ret_minimum))
		fail_at(parser, "invalid repeat count", parser->at, at);
	parser->at = at;
	return true;
}

static bool parse_operator(struct regex_parser *parser, int *ret_minimum, int *ret_maximum)
{
	if (parser->at >= parser->end)
		return false;
	*ret_minimum = *parser->at == '+';
	*ret_maximum = *parser->at == '?' ? 1 : -1;
	if (*parser->at == '{')
		return parse_counts(parser, ret_minimum, ret_maximum);
	if (*parser->at != '*' && *parser->at != '+' && *parser->at != '?')
		return false;
	parser->at++;
	return true;
}

// The largest product of counts of nested repetitions.
static int repeat_product(const struct regex_node *node)
{
	int product = 1;
	if (node->kind == REGEX_REPEAT) {
		int count = node->maximum < 0 ? node->minimum : node->maximum;
		product = (count < 1 ? 1 : count) * repeat_product(node->left);
	} else if (node->kind == REGEX_ALTERNATE) {
		int left = repeat_product(node->left), right = repeat_product(node->right);
		product = left > right ? left : right;
	} else if (node->kind == REGEX_CONCAT) {
		for (; node->kind == REGEX_CONCAT; node = node->left) {
			int right = repeat_product(node->right);
			product = right > product ? right : product;
		}
		int left = repeat_product(node);
		product = left > product ? left : product;
	}
	return product > MAX_REPEAT + 1 ? MAX_REPEAT + 1 : product;
}

static struct regex_node *parse_repetition(struct regex_parser *parser)
{
	struct regex_node *node = parse_atom(parser);
	int minimum, maximum;
	bool repeated = false;
	while (node && !in_quotes(parser)) {
		const char *from = parser->at;
		if (!parse_operator(parser, &minimum, &maximum))
			break;
		if (repeated)
			return fail_at(parser, "invalid nested repetition operator", from - 1, parser->at);
		struct regex_node *repeat = node_new(parser, REGEX_REPEAT);
		repeat->left = node;
		repeat->minimum = minimum;
		repeat->maximum = maximum;
		repeat->lazy = parser->flags & FLAG_UNGREEDY;
		if (parser->at < parser->end && *parser->at == '?') {
			repeat->lazy = !repeat->lazy;
			parser->at++;
		}
		if (parser->failed || repeat_product(repeat) > MAX_REPEAT)
			return fail_at(parser, "invalid repeat count", from, parser->at);
		node = repeat;
		repeated = true;
	}
	return node;
}

static struct regex_node *parse_concatenation(struct regex_parser *parser)
{
	struct regex_node *all = NULL;
	while (in_quotes(parser) || (parser->at < parser->end && *parser->at != '|' && *parser->at != ')')) {
		struct regex_node *node = parse_repetition(parser);
		if (!node)
			return NULL;
		all = join(parser, REGEX_CONCAT, all, node);
	}
	return all ? all : node_new(parser, REGEX_EMPTY);
}

static struct regex_node *parse_alternation(struct regex_parser *parser)
{
	struct regex_node *all = parse_concatenation(parser);
	while (all && parser->at < parser->end && *parser->at == '|') {
		parser->at++;
		struct regex_node *node = parse_concatenation(parser);
		all = node ? join(parser, REGEX_ALTERNATE, all, node) : NULL;
	}
	return all;
}

int regex_parse(struct arena *arena, const char *pattern, size_t length, struct regex_node **ret_root, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct regex_parser parser = {.arena = arena,
	                              .at = pattern,
	                              .end = pattern + length,
	                              .pattern = pattern,
	                              .err = err ? err : &ignored};
	struct regex_node *root = parse_alternation(&parser);
	if (!parser.failed && parser.at < parser.end)
		root = fail_at(&parser, "unexpected )", pattern, parser.end);
	if (parser.failed)
		return -ERR_INVALID;
	*ret_root = root;
	return 0;
}
