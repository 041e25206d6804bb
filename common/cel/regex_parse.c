// SPDX-License-Identifier: Apache-2.0
//
// RE2's syntax into a tree. Errors are worded as Go's regexp/syntax words them. Nesting
// and counted repetition are limited as there: 1000 levels, and no count nor product of
// nested counts over 1000.
#include <ctype.h>
#include <string.h>

#include "common/cel/regex_parser.h"

enum { MAX_NESTING = 250, MAX_REPEAT = 1000 };

static struct regex_node *parse_alternation(struct regex_parser *parser);

void *regex_fail(struct regex_parser *parser, const char *what, const char *from, const char *to)
{
	if (!parser->failed)
		(void)err_set(parser->err, ERR_INVALID, "error parsing regexp: %s: `%.*s`", what, (int)(to - from),
		              from);
	parser->failed = true;
	return NULL;
}

struct regex_node *regex_node_new(struct regex_parser *parser, enum regex_node_kind kind)
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
	struct regex_node *node = regex_node_new(parser, kind);
	node->left = left;
	node->right = right;
	return node;
}

static struct regex_node *rune_node(struct regex_parser *parser, uint32_t rune)
{
	struct regex_node *node = regex_node_new(parser, REGEX_RUNE);
	node->rune = rune;
	node->fold = parser->flags & FLAG_FOLD;
	return node;
}

static struct regex_node *assert_node(struct regex_parser *parser, enum regex_assertion assertion)
{
	struct regex_node *node = regex_node_new(parser, REGEX_ASSERT);
	node->assertion = assertion;
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
		regex_fail(parser, "invalid named capture", open, parser->end);
		return true;
	}
	bool valid = close > at + 1;
	for (const char *name = at + 1; name < close; name++)
		valid = valid && (isalnum((unsigned char)*name) || *name == '_');
	if (!valid)
		regex_fail(parser, "invalid named capture", open, close + 1);
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
			regex_fail(parser, "missing closing )", parser->pattern, parser->end);
		else
			regex_fail(parser, "invalid or unsupported Perl syntax", open, parser->at + 1);
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
				return parser->failed ? NULL : regex_node_new(parser, REGEX_EMPTY);
		}
	}
	if (parser->failed)
		return NULL;
	if (++parser->depth > MAX_NESTING)
		return regex_fail(parser, "expression nests too deeply", parser->pattern, parser->end);
	struct regex_node *inner = parse_alternation(parser);
	parser->depth--;
	if (!inner)
		return NULL;
	if (parser->at >= parser->end)
		return regex_fail(parser, "missing closing )", parser->pattern, parser->end);
	parser->at++;
	parser->flags = flags;
	return inner;
}

// --- atoms and repetition ---------------------------------------------------------------------------

static struct regex_node *parse_dot(struct regex_parser *parser)
{
	struct regex_node *node = regex_node_new(parser, REGEX_CLASS);
	node->class = ARENA_NEW(parser->arena, struct rune_class);
	if (!(parser->flags & FLAG_DOT_NEWLINE))
		regex_add_range(parser, node->class, '\n', '\n');
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
	return regex_node_new(parser, REGEX_EMPTY);
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
	struct regex_node *node = regex_node_new(parser, REGEX_CLASS);
	node->class = ARENA_NEW(parser->arena, struct rune_class);
	if (regex_parse_class_escape(parser, node->class))
		return parser->failed ? NULL : node;
	uint32_t rune;
	return regex_parse_escape(parser, &rune) ? rune_node(parser, rune) : NULL;
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
		return regex_parse_class(parser);
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
		return regex_fail(parser, "missing argument to repetition operator", parser->at, parser->at + 1);
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
		regex_fail(parser, "invalid repeat count", parser->at, at);
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
			return regex_fail(parser, "invalid nested repetition operator", from - 1, parser->at);
		struct regex_node *repeat = regex_node_new(parser, REGEX_REPEAT);
		repeat->left = node;
		repeat->minimum = minimum;
		repeat->maximum = maximum;
		repeat->lazy = parser->flags & FLAG_UNGREEDY;
		if (parser->at < parser->end && *parser->at == '?') {
			repeat->lazy = !repeat->lazy;
			parser->at++;
		}
		if (parser->failed || repeat_product(repeat) > MAX_REPEAT)
			return regex_fail(parser, "invalid repeat count", from, parser->at);
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
	return all ? all : regex_node_new(parser, REGEX_EMPTY);
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
		root = regex_fail(&parser, "unexpected )", pattern, parser.end);
	if (parser.failed)
		return -ERR_INVALID;
	*ret_root = root;
	return 0;
}
