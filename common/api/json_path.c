// SPDX-License-Identifier: Apache-2.0
// A template is a list of nodes: texts, expressions (lists of steps), ranges with a
// body of nodes. An expression is evaluated step by step on a list of values: each
// step maps every value to none, one or several. Filters hold two expressions or
// literals and an operator. Nesting and the number of values are bounded.

#include "common/api/json_path.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_NESTING = 32,
	MAX_VALUES = 10000000,
};

enum step_type {
	STEP_FIELD,
	STEP_SLICE, // also one index
	STEP_WILDCARD,
	STEP_DESCENDANTS,
	STEP_FILTER,
	STEP_UNION,
	STEP_CURRENT, // @
	STEP_ROOT,    // $
};

struct step {
	enum step_type type;
	struct step *next;
	const char *name;           // STEP_FIELD
	int64_t start, end, stride; // STEP_SLICE
	bool has_start, has_end, is_index;
	struct step *alternatives[32]; // STEP_UNION: one-step lists
	size_t alternative_count;
	const struct operand *left, *right; // STEP_FILTER
	const char *operator;               // NULL: exists
};

struct operand {
	struct step *steps; // or
	const struct json *literal;
};

enum node_type {
	NODE_TEXT,
	NODE_EXPRESSION,
	NODE_RANGE,
};

struct node {
	enum node_type type;
	struct node *next;
	const char *text;
	size_t length;
	struct step *steps;
	struct node *body; // NODE_RANGE
};

struct jsonpath {
	struct node *nodes;
};

// --- parsing ---------------------------------------------------------------------------------

struct parser {
	struct arena *arena;
	const char *at;
	const char *end;
	unsigned nesting;
	struct err *err;
};

static struct step *parse_steps(struct parser *parser, const char *stops);

static void skip_spaces(struct parser *parser)
{
	while (parser->at < parser->end && isspace((unsigned char)*parser->at))
		parser->at++;
}

static bool looking_at(const struct parser *parser, const char *text)
{
	size_t length = strlen(text);
	return (size_t)(parser->end - parser->at) >= length && memcmp(parser->at, text, length) == 0;
}

static void *parse_error(struct parser *parser, const char *message)
{
	if (parser->err && parser->err->code == ERR_NONE)
		(void)err_set(parser->err, ERR_PARSE, "%s", message);
	return NULL;
}

static bool has_failed(const struct parser *parser)
{
	return parser->err->code != ERR_NONE;
}

static char unescape(char letter)
{
	switch (letter) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	default:
		return letter;
	}
}

// A text in quotes, whose first one is at `at`.
static const char *parse_quoted(struct parser *parser, size_t *ret_length)
{
	char quote = *parser->at++;
	char *text = arena_alloc(parser->arena, (size_t)(parser->end - parser->at) + 1);
	size_t length = 0;
	while (parser->at < parser->end && *parser->at != quote) {
		if (*parser->at == '\\' && parser->at + 1 < parser->end) {
			text[length++] = unescape(parser->at[1]);
			parser->at += 2;
		} else {
			text[length++] = *parser->at++;
		}
	}
	if (parser->at == parser->end)
		return parse_error(parser, "unterminated quoted string");
	parser->at++;
	text[length] = '\0';
	*ret_length = length;
	return text;
}

static struct step *new_step(struct parser *parser, enum step_type type)
{
	struct step *step = ARENA_NEW(parser->arena, struct step);
	step->type = type;
	step->stride = 1;
	return step;
}

// A name up to a character that ends it; "\." stands for a dot.
static struct step *parse_field(struct parser *parser)
{
	char *name = arena_alloc(parser->arena, (size_t)(parser->end - parser->at) + 1);
	size_t length = 0;
	while (parser->at < parser->end && !strchr(".[]()=!<>{}, \t\n\"'|&", *parser->at)) {
		if (*parser->at == '\\' && parser->at + 1 < parser->end)
			parser->at++;
		name[length++] = *parser->at++;
	}
	name[length] = '\0';
	if (!length)
		return parse_error(parser, "unexpected character in a path");
	struct step *step = new_step(parser, strcmp(name, "*") == 0 ? STEP_WILDCARD : STEP_FIELD);
	step->name = name;
	return step;
}

static bool parse_number(struct parser *parser, int64_t *ret_number)
{
	char *end;
	skip_spaces(parser);
	if (parser->at == parser->end || (*parser->at != '-' && !isdigit((unsigned char)*parser->at)))
		return false;
	*ret_number = strtoll(parser->at, &end, 10);
	parser->at = end;
	skip_spaces(parser);
	return true;
}

static struct step *parse_slice(struct parser *parser)
{
	struct step *step = new_step(parser, STEP_SLICE);
	step->has_start = parse_number(parser, &step->start);
	if (!looking_at(parser, ":")) {
		step->is_index = step->has_start;
		return step->has_start ? step : parse_error(parser, "invalid array index");
	}
	parser->at++;
	step->has_end = parse_number(parser, &step->end);
	if (looking_at(parser, ":")) {
		parser->at++;
		(void)parse_number(parser, &step->stride);
	}
	return step->stride > 0 ? step : parse_error(parser, "step must be >= 0");
}

// One of the things that may stand between brackets and commas.
static struct step *parse_alternative(struct parser *parser)
{
	skip_spaces(parser);
	if (looking_at(parser, "*")) {
		parser->at++;
		return new_step(parser, STEP_WILDCARD);
	}
	if (looking_at(parser, "'") || looking_at(parser, "\"")) {
		size_t length = 0;
		struct step *step = new_step(parser, STEP_FIELD);
		step->name = parse_quoted(parser, &length);
		skip_spaces(parser);
		return step->name ? step : NULL;
	}
	return parse_slice(parser);
}

static const struct operand *parse_operand(struct parser *parser)
{
	struct operand *operand = ARENA_NEW(parser->arena, struct operand);
	skip_spaces(parser);
	if (parser->at == parser->end)
		return parse_error(parser, "unterminated filter");
	if (*parser->at == '\'' || *parser->at == '"') {
		size_t length = 0;
		const char *text = parse_quoted(parser, &length);
		operand->literal = text ? json_string_n(parser->arena, text, length) : NULL;
	} else if (*parser->at == '@' || *parser->at == '$' || *parser->at == '.') {
		operand->steps = parse_steps(parser, "=!<>) ");
	} else {
		size_t length = 0;
		while (parser->at + length < parser->end && !strchr(" )=!<>", parser->at[length]))
			length++;
		struct json *value;
		if (json_parse(parser->arena, parser->at, length, NULL, &value, NULL) < 0)
			return parse_error(parser, "unrecognized identifier in a filter");
		operand->literal = value;
		parser->at += length;
	}
	skip_spaces(parser);
	return has_failed(parser) ? NULL : operand;
}

// "?(left operator right)", from behind the question mark.
static struct step *parse_filter(struct parser *parser)
{
	static const char *const operators[] = {"==", "!=", "<=", ">=", "<", ">"};
	struct step *step = new_step(parser, STEP_FILTER);
	skip_spaces(parser);
	if (!looking_at(parser, "("))
		return parse_error(parser, "a filter begins with ?(");
	parser->at++;
	step->left = parse_operand(parser);
	for (size_t i = 0; !step->operator&& i<ARRAY_SIZE(operators); i++)
		if (looking_at(parser, operators[i]))
			step->operator= operators[i];
	if (step->operator) {
		parser->at += strlen(step->operator);
		step->right = parse_operand(parser);
	}
	if (has_failed(parser) || !looking_at(parser, ")"))
		return parse_error(parser, "unterminated filter");
	parser->at++;
	skip_spaces(parser);
	return step;
}

static struct step *parse_brackets(struct parser *parser)
{
	parser->at++;
	skip_spaces(parser);
	struct step *step;
	if (looking_at(parser, "?")) {
		parser->at++;
		step = parse_filter(parser);
	} else {
		step = parse_alternative(parser);
		struct step *all = NULL;
		while (step && looking_at(parser, ",")) {
			parser->at++;
			if (!all) {
				all = new_step(parser, STEP_UNION);
				all->alternatives[all->alternative_count++] = step;
			}
			struct step *other = parse_alternative(parser);
			if (!other || all->alternative_count == ARRAY_SIZE(all->alternatives))
				return parse_error(parser, "invalid union");
			all->alternatives[all->alternative_count++] = other;
		}
		step = all ? all : step;
	}
	if (!step || !looking_at(parser, "]"))
		return parse_error(parser, "unterminated array");
	parser->at++;
	return step;
}

static struct step *parse_step(struct parser *parser, bool is_first)
{
	if (looking_at(parser, "..")) {
		parser->at += looking_at(parser, "..[") ? 2 : 1; // the name's own dot stays
		return new_step(parser, STEP_DESCENDANTS);
	}
	if (looking_at(parser, "@") || looking_at(parser, "$"))
		return new_step(parser, *parser->at++ == '@' ? STEP_CURRENT : STEP_ROOT);
	if (looking_at(parser, "["))
		return parse_brackets(parser);
	if (looking_at(parser, ".")) {
		parser->at++;
		if (parser->at == parser->end || *parser->at == '[' || *parser->at == '}' ||
		    isspace((unsigned char)*parser->at))
			return new_step(parser, STEP_CURRENT);
		return parse_field(parser);
	}
	return is_first ? parse_field(parser) : parse_error(parser, "unexpected character in a path");
}

// Steps up to one of `stops` or the end.
static struct step *parse_steps(struct parser *parser, const char *stops)
{
	struct step *first = NULL, **link = &first;
	if (++parser->nesting > MAX_NESTING)
		return parse_error(parser, "the expression is nested too deeply");
	while (parser->at < parser->end && !strchr(stops, *parser->at)) {
		struct step *step = parse_step(parser, first == NULL);
		if (!step)
			return NULL;
		*link = step;
		link = &step->next;
	}
	parser->nesting--;
	return first ? first : parse_error(parser, "empty expression");
}

static struct node *new_node(struct parser *parser, enum node_type type)
{
	struct node *node = ARENA_NEW(parser->arena, struct node);
	node->type = type;
	return node;
}

static struct node *parse_nodes(struct parser *parser, bool in_range);

static bool close_brace(struct parser *parser)
{
	skip_spaces(parser);
	if (!looking_at(parser, "}")) {
		parse_error(parser, "unclosed action");
		return false;
	}
	parser->at++;
	return true;
}

// What stands in one pair of braces, from behind the first one.
static struct node *parse_action(struct parser *parser)
{
	struct node *node;
	skip_spaces(parser);
	if (looking_at(parser, "range ") || looking_at(parser, "range.") || looking_at(parser, "range[")) {
		node = new_node(parser, NODE_RANGE);
		parser->at += strlen("range");
		skip_spaces(parser);
		node->steps = parse_steps(parser, "} ");
		if (!node->steps || !close_brace(parser))
			return NULL;
		node->body = parse_nodes(parser, true);
		return has_failed(parser) ? NULL : node;
	}
	if (looking_at(parser, "\"") || looking_at(parser, "'")) {
		node = new_node(parser, NODE_TEXT);
		node->text = parse_quoted(parser, &node->length);
		return node->text && close_brace(parser) ? node : NULL;
	}
	node = new_node(parser, NODE_EXPRESSION);
	node->steps = parse_steps(parser, "} ");
	return node->steps && close_brace(parser) ? node : NULL;
}

static bool at_range_end(struct parser *parser)
{
	const char *start = parser->at;
	if (!looking_at(parser, "{"))
		return false;
	parser->at++;
	skip_spaces(parser);
	if (looking_at(parser, "end")) {
		parser->at += strlen("end");
		skip_spaces(parser);
		if (looking_at(parser, "}")) {
			parser->at++;
			return true;
		}
	}
	parser->at = start;
	return false;
}

static struct node *parse_nodes(struct parser *parser, bool in_range)
{
	struct node *first = NULL, **link = &first;
	if (++parser->nesting > MAX_NESTING)
		return parse_error(parser, "the template is nested too deeply");
	while (parser->at < parser->end) {
		struct node *node;
		if (at_range_end(parser)) {
			parser->nesting--;
			return in_range ? first : parse_error(parser, "not in range, nothing to end");
		}
		if (looking_at(parser, "{")) {
			parser->at++;
			node = parse_action(parser);
		} else {
			node = new_node(parser, NODE_TEXT);
			node->text = parser->at;
			while (parser->at < parser->end && *parser->at != '{')
				parser->at++;
			node->length = (size_t)(parser->at - node->text);
		}
		if (!node)
			return NULL;
		*link = node;
		link = &node->next;
	}
	parser->nesting--;
	return in_range ? parse_error(parser, "unterminated range") : first;
}

int jsonpath_parse(struct arena *arena, const char *text, struct jsonpath **ret_path, struct err *err)
{
	struct err cause = ERR_INIT;
	const char *copy = arena_strdup(arena, text);
	struct parser parser = {.arena = arena, .at = copy, .end = copy + strlen(copy), .err = &cause};
	struct jsonpath *path = ARENA_NEW(arena, struct jsonpath);
	path->nodes = parse_nodes(&parser, false);
	if (cause.code != ERR_NONE)
		return err_set(err, ERR_PARSE, "error parsing jsonpath %s, %s", text, cause.message);
	*ret_path = path;
	return 0;
}

int jsonpath_parse_relaxed(struct arena *arena, const char *text, struct jsonpath **ret_path, struct err *err)
{
	size_t length = strlen(text);
	if (length >= 2 && text[0] == '{' && text[length - 1] == '}') {
		text = arena_strndup(arena, text + 1, length - 2);
		length -= 2;
	}
	if (!length || strpbrk(text, "{}"))
		return err_set(err, ERR_PARSE,
		               "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' "
		               "or '{.name1.name2}'");
	const char *dot = text[0] == '.' || text[0] == '[' || text[0] == '$' || text[0] == '@' ? "" : ".";
	return jsonpath_parse(arena, arena_printf(arena, "{%s%s}", dot, text), ret_path, err);
}

// --- evaluating -------------------------------------------------------------------------------

struct values {
	const struct json **items;
	size_t count, capacity;
};

struct evaluation {
	struct arena *arena;
	const struct json *root;
	bool allow_missing;
	const char *missing; // the name of a field that wasn't there
};

static void values_add(struct evaluation *evaluation, struct values *values, const struct json *value)
{
	if (values->count == MAX_VALUES)
		return;
	if (values->count == values->capacity) {
		size_t capacity = values->capacity ? values->capacity * 2 : 8;
		values->items =
		        arena_realloc(evaluation->arena, values->items, values->capacity * sizeof(*values->items),
		                      capacity * sizeof(*values->items));
		values->capacity = capacity;
	}
	values->items[values->count++] = value;
}

static struct values evaluate(struct evaluation *evaluation, const struct step *steps, const struct json *current);

static void take_children(struct evaluation *evaluation, const struct json *value, struct values *out)
{
	json_for_each_item (item, value)
		values_add(evaluation, out, item);
	json_for_each_member (member, value)
		values_add(evaluation, out, member->value);
}

static void take_descendants(struct evaluation *evaluation, const struct json *value, struct values *out)
{
	values_add(evaluation, out, value);
	json_for_each_item (item, value)
		take_descendants(evaluation, item, out);
	json_for_each_member (member, value)
		take_descendants(evaluation, member->value, out);
}

static void take_slice(struct evaluation *evaluation, const struct step *step, const struct json *value,
                       struct values *out)
{
	if (!json_is(value, JSON_ARRAY))
		return;
	int64_t length = value->length;
	int64_t start = step->has_start ? step->start : 0;
	int64_t end = step->is_index ? start + 1 : step->has_end ? step->end : length;
	if (start < 0) {
		start += length;
		end = step->is_index ? start + 1 : end;
	}
	if (end < 0)
		end += length;
	if (step->is_index && (start < 0 || start >= length)) {
		evaluation->missing = "array index out of bounds";
		return;
	}
	for (int64_t i = start < 0 ? 0 : start; i < end && i < length; i += step->stride)
		values_add(evaluation, out, value->items[i]);
}

static double number_of(const struct json *value)
{
	return json_is(value, JSON_INTEGER) ? (double)value->integer : strtod(value->text, NULL);
}

static bool is_number(const struct json *value)
{
	return json_is(value, JSON_INTEGER) || json_is(value, JSON_NUMBER);
}

// <0, 0, >0; false when the two can't be compared.
static bool compare(const struct json *left, const struct json *right, int *ret_order)
{
	if (is_number(left) && is_number(right)) {
		double difference = number_of(left) - number_of(right);
		*ret_order = difference < 0 ? -1 : difference > 0;
		return true;
	}
	if (json_is(left, JSON_STRING) && json_is(right, JSON_STRING)) {
		*ret_order = strcmp(left->text, right->text);
		return true;
	}
	*ret_order = json_equal(left, right) ? 0 : 1;
	return left->type == right->type;
}

static bool order_satisfies(int order, const char *operator)
{
	switch (operator[0]) {
	case '=':
		return order == 0;
	case '!':
		return order != 0;
	case '<':
		return operator[1] ? order <= 0 : order<0;
	default:
		return operator[1] ? order >= 0 : order> 0;
	}
}

static const struct json *operand_value(struct evaluation *evaluation, const struct operand *operand,
                                        const struct json *current)
{
	if (operand->literal)
		return operand->literal;
	struct values found = evaluate(evaluation, operand->steps, current);
	return found.count ? found.items[0] : NULL;
}

static bool passes(struct evaluation *evaluation, const struct step *step, const struct json *value)
{
	struct evaluation inner = {.arena = evaluation->arena, .root = evaluation->root, .allow_missing = true};
	int order;
	const struct json *left = operand_value(&inner, step->left, value);
	if (!step->operator)
		return left != NULL;
	const struct json *right = operand_value(&inner, step->right, value);
	if (!left || !right)
		return false;
	if (!compare(left, right, &order))
		return step->operator[0] == '!';
	return order_satisfies(order, step->operator);
}

static void apply_step(struct evaluation *evaluation, const struct step *step, const struct json *value,
                       struct values *out)
{
	const struct json *member;
	switch (step->type) {
	case STEP_FIELD:
		member = json_get(value, step->name);
		if (member)
			values_add(evaluation, out, member);
		else
			evaluation->missing = step->name;
		break;
	case STEP_SLICE:
		take_slice(evaluation, step, value, out);
		break;
	case STEP_WILDCARD:
		take_children(evaluation, value, out);
		break;
	case STEP_DESCENDANTS:
		take_descendants(evaluation, value, out);
		break;
	case STEP_FILTER:
		json_for_each_item (item, value)
			if (passes(evaluation, step, item))
				values_add(evaluation, out, item);
		break;
	case STEP_UNION:
		for (size_t i = 0; i < step->alternative_count; i++)
			apply_step(evaluation, step->alternatives[i], value, out);
		break;
	case STEP_CURRENT:
		values_add(evaluation, out, value);
		break;
	case STEP_ROOT:
		values_add(evaluation, out, evaluation->root);
		break;
	}
}

static struct values evaluate(struct evaluation *evaluation, const struct step *steps, const struct json *current)
{
	struct values values = {0};
	values_add(evaluation, &values, current);
	bool below_descendants = false;
	for (const struct step *step = steps; step; step = step->next) {
		struct values next = {0};
		const char *missing_before = evaluation->missing;
		for (size_t i = 0; i < values.count; i++)
			apply_step(evaluation, step, values.items[i], &next);
		if (below_descendants)
			evaluation->missing = missing_before; // not every descendant has the field
		below_descendants = step->type == STEP_DESCENDANTS;
		values = next;
	}
	return values;
}

void jsonpath_write_value(struct strbuf *out, const struct json *value)
{
	if (json_is(value, JSON_STRING))
		strbuf_append(out, value->text, value->length);
	else
		json_write(out, value);
}

static void write_nodes(struct evaluation *evaluation, const struct node *nodes, const struct json *current,
                        struct strbuf *out)
{
	for (const struct node *node = nodes; node; node = node->next) {
		if (node->type == NODE_TEXT) {
			strbuf_append(out, node->text, node->length);
			continue;
		}
		struct values found = evaluate(evaluation, node->steps, current);
		for (size_t i = 0; i < found.count; i++) {
			if (node->type == NODE_RANGE) {
				write_nodes(evaluation, node->body, found.items[i], out);
				continue;
			}
			if (i)
				strbuf_append_char(out, ' ');
			jsonpath_write_value(out, found.items[i]);
		}
	}
}

int jsonpath_write(struct arena *arena, const struct jsonpath *path, const struct json *object, bool allow_missing,
                   struct strbuf *out, struct err *err)
{
	struct evaluation evaluation = {.arena = arena, .root = object, .allow_missing = allow_missing};
	write_nodes(&evaluation, path->nodes, object, out);
	if (evaluation.missing && !allow_missing)
		return err_set(err, ERR_NOT_FOUND, "%s is not found", evaluation.missing);
	return 0;
}

const struct json **jsonpath_find(struct arena *arena, const struct jsonpath *path, const struct json *object,
                                  size_t *ret_count)
{
	struct evaluation evaluation = {.arena = arena, .root = object, .allow_missing = true};
	const struct node *node = path->nodes;
	while (node && node->type == NODE_TEXT)
		node = node->next;
	struct values found = {0};
	if (node)
		found = evaluate(&evaluation, node->steps, object);
	*ret_count = found.count;
	return found.items;
}
