// SPDX-License-Identifier: Apache-2.0
//
// Compiling and matching. The tree becomes a program of single steps, and all threads of
// that program run over the text together, one character at a time, in order of their
// preference (Pike's machine). A character costs at most one visit of every step, so the
// time is the product of both lengths and nothing worse; a backtracking matcher (PCRE2)
// would turn the same patterns into errors at its match limit, and POSIX's matcher has
// another syntax, other preferences and no bound. Programs have at most MAX_STEPS steps.
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "common/base/memory.h"
#include "common/cel/regex_internal.h"

enum { MAX_STEPS = 50000, MAX_PATTERN_BYTES = 256 * 1024 };

// --- characters ------------------------------------------------------------------------

static locale_t unicode_locale;
static pthread_once_t unicode_once = PTHREAD_ONCE_INIT;

static void make_unicode_locale(void)
{
	unicode_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static locale_t unicode(void)
{
	pthread_once(&unicode_once, make_unicode_locale);
	return unicode_locale;
}

uint32_t rune_fold_upper(uint32_t rune)
{
	if (rune < 0x80 || !unicode())
		return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
	return (uint32_t)towupper_l((wint_t)rune, unicode());
}

uint32_t rune_fold_lower(uint32_t rune)
{
	if (rune < 0x80 || !unicode())
		return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
	return (uint32_t)towlower_l((wint_t)rune, unicode());
}

bool rune_has_property(uint32_t rune, enum rune_property property)
{
	locale_t locale = unicode();
	if (!locale)
		return false;
	switch (property) {
	case RUNE_LETTER:
		return iswalpha_l((wint_t)rune, locale) && !(rune >= '0' && rune <= '9');
	case RUNE_UPPER:
		return iswupper_l((wint_t)rune, locale);
	case RUNE_LOWER:
		return iswlower_l((wint_t)rune, locale);
	case RUNE_DIGIT:
		return iswdigit_l((wint_t)rune, locale) ||
		       (rune > 0x7f && iswalnum_l((wint_t)rune, locale) && !iswalpha_l((wint_t)rune, locale));
	case RUNE_PUNCTUATION:
		return iswpunct_l((wint_t)rune, locale) && (rune > 0x7f || !strchr("$+<=>^`|~", (int)rune));
	case RUNE_SPACE:
		return rune == ' ' || rune == 0xa0 || (rune > 0xff && iswspace_l((wint_t)rune, locale));
	default:
		return iswcntrl_l((wint_t)rune, locale);
	}
}

bool rune_class_has(const struct rune_class *class, uint32_t rune)
{
	bool has = false;
	size_t low = 0, high = class->count;
	while (low < high && !has) {
		size_t middle = (low + high) / 2;
		if (rune < class->ranges[middle].low)
			high = middle;
		else if (rune > class->ranges[middle].high)
			low = middle + 1;
		else
			has = true;
	}
	for (uint32_t property = 0; !has && (class->properties | class->excluded) >> property; property++) {
		if (class->properties >> property & 1)
			has = rune_has_property(rune, property);
		if (!has && class->excluded >> property & 1)
			has = !rune_has_property(rune, property);
	}
	return has != class->negated;
}

size_t rune_decode(const char *text, size_t length, uint32_t *ret_rune)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)text[0];
	size_t bytes = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	uint32_t rune = bytes == 1 ? first : first & (0xffu >> (bytes + 1));
	*ret_rune = CEL_RUNE_BAD;
	if (bytes == 0 || bytes > length)
		return 1;
	for (size_t i = 1; i < bytes; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 1;
		rune = rune << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (rune < smallest[bytes] || rune > CEL_RUNE_MAX || (rune >= 0xd800 && rune <= 0xdfff))
		return 1;
	*ret_rune = rune;
	return bytes;
}

// --- compiling ----------------------------------------------------------------------------

struct compiler {
	struct regex_step *steps;
	uint32_t count, capacity;
	struct arena *arena;
};

static uint32_t emit(struct compiler *compiler, enum regex_op op)
{
	if (compiler->count > MAX_STEPS)
		return compiler->count;
	if (compiler->count == compiler->capacity) {
		uint32_t capacity = compiler->capacity ? compiler->capacity * 2 : 16;
		compiler->steps =
		        arena_realloc(compiler->arena, compiler->steps, compiler->capacity * sizeof(struct regex_step),
		                      capacity * sizeof(struct regex_step));
		compiler->capacity = capacity;
	}
	compiler->steps[compiler->count] = (struct regex_step){.op = op};
	return compiler->count++;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct rune_range *left = a, *right = b;
	return left->low < right->low ? -1 : left->low > right->low;
}

// Sorts and merges, for the binary search.
static void tidy_class(struct rune_class *class)
{
	size_t kept = 0;
	if (class->count == 0)
		return;
	qsort(class->ranges, class->count, sizeof(class->ranges[0]), compare_ranges);
	for (size_t i = 1; i < class->count; i++) {
		if (class->ranges[i].low > class->ranges[kept].high + 1)
			class->ranges[++kept] = class->ranges[i];
		else if (class->ranges[i].high > class->ranges[kept].high)
			class->ranges[kept].high = class->ranges[i].high;
	}
	class->count = kept + 1;
}

static void compile(struct compiler *compiler, const struct regex_node *node);

static void point_split(struct compiler *compiler, uint32_t split, uint32_t inside, uint32_t after, bool lazy)
{
	if (split >= compiler->count)
		return;
	compiler->steps[split].x = lazy ? after : inside;
	compiler->steps[split].y = lazy ? inside : after;
}

static bool can_be_empty(const struct regex_node *node)
{
	switch (node->kind) {
	case REGEX_RUNE:
	case REGEX_CLASS:
		return false;
	case REGEX_CONCAT:
		for (; node->kind == REGEX_CONCAT; node = node->left)
			if (!can_be_empty(node->right))
				return false;
		return can_be_empty(node);
	case REGEX_ALTERNATE:
		for (; node->kind == REGEX_ALTERNATE; node = node->left)
			if (can_be_empty(node->right))
				return true;
		return can_be_empty(node);
	case REGEX_REPEAT:
		return node->minimum == 0 || can_be_empty(node->left);
	default:
		return true;
	}
}

// Once and as often as it goes.
static void compile_plus(struct compiler *compiler, const struct regex_node *node)
{
	uint32_t first = compiler->count;
	compile(compiler, node->left);
	uint32_t split = emit(compiler, OP_SPLIT);
	point_split(compiler, split, first, compiler->count, node->lazy);
}

// (x+)? where x can match nothing: an empty round ends the loop, as it should.
static void compile_star(struct compiler *compiler, const struct regex_node *node)
{
	uint32_t split = emit(compiler, OP_SPLIT);
	if (can_be_empty(node->left)) {
		compile_plus(compiler, node);
	} else {
		compile(compiler, node->left);
		uint32_t jump = emit(compiler, OP_JUMP);
		if (jump < compiler->count)
			compiler->steps[jump].x = split;
	}
	point_split(compiler, split, split + 1, compiler->count, node->lazy);
}

static void compile_repeat(struct compiler *compiler, const struct regex_node *node)
{
	bool endless = node->maximum < 0;
	for (int i = 0; i < node->minimum - (endless ? 1 : 0) && compiler->count <= MAX_STEPS; i++)
		compile(compiler, node->left);
	if (endless && node->minimum > 0) {
		compile_plus(compiler, node);
		return;
	}
	if (endless) {
		compile_star(compiler, node);
		return;
	}
	uint32_t first = compiler->count;
	for (int i = node->minimum; i < node->maximum && compiler->count <= MAX_STEPS; i++) {
		uint32_t split = emit(compiler, OP_SPLIT);
		compile(compiler, node->left);
		point_split(compiler, split, split + 1, UINT32_MAX, node->lazy);
	}
	for (uint32_t i = first; i < compiler->count; i++) {
		struct regex_step *step = &compiler->steps[i];
		if (step->op == OP_SPLIT && step->x == UINT32_MAX)
			step->x = compiler->count;
		if (step->op == OP_SPLIT && step->y == UINT32_MAX)
			step->y = compiler->count;
	}
}

static void compile_alternate(struct compiler *compiler, const struct regex_node *node)
{
	uint32_t split = emit(compiler, OP_SPLIT);
	compile(compiler, node->left);
	uint32_t jump = emit(compiler, OP_JUMP);
	point_split(compiler, split, split + 1, compiler->count, false);
	compile(compiler, node->right);
	if (jump < compiler->count)
		compiler->steps[jump].x = compiler->count;
}

static void compile_concat(struct compiler *compiler, const struct regex_node *node)
{
	// Concatenations lean to the left and may be long: walk down once, then back.
	const struct regex_node *first = node;
	size_t length = 0;
	for (; first->kind == REGEX_CONCAT; first = first->left)
		length++;
	const struct regex_node **parts = ARENA_ARRAY(compiler->arena, const struct regex_node *, length);
	for (size_t i = length; node->kind == REGEX_CONCAT; node = node->left)
		parts[--i] = node->right;
	compile(compiler, first);
	for (size_t i = 0; i < length && compiler->count <= MAX_STEPS; i++)
		compile(compiler, parts[i]);
}

static void compile_leaf(struct compiler *compiler, const struct regex_node *node)
{
	static const enum regex_op ops[] = {
	        [REGEX_RUNE] = OP_RUNE, [REGEX_CLASS] = OP_CLASS, [REGEX_ASSERT] = OP_ASSERT};
	uint32_t place = emit(compiler, ops[node->kind]);
	if (place >= compiler->count)
		return;
	struct regex_step *step = &compiler->steps[place];
	if (node->kind == REGEX_CLASS)
		tidy_class(node->class);
	step->class = node->class;
	step->rune = node->kind == REGEX_ASSERT ? node->assertion : node->rune;
	step->folded = node->rune;
	if (node->fold) {
		step->rune = rune_fold_upper(node->rune);
		step->folded = rune_fold_lower(node->rune);
	}
}

static void compile(struct compiler *compiler, const struct regex_node *node)
{
	switch (node->kind) {
	case REGEX_EMPTY:
		return;
	case REGEX_CONCAT:
		compile_concat(compiler, node);
		return;
	case REGEX_ALTERNATE:
		compile_alternate(compiler, node);
		return;
	case REGEX_REPEAT:
		compile_repeat(compiler, node);
		return;
	default:
		compile_leaf(compiler, node);
	}
}

// The plain characters that every match begins with, for a fast search.
static void find_prefix(struct arena *arena, struct cel_regex *regex)
{
	uint32_t at = 0;
	char *prefix = arena_alloc(arena, regex->count + 1);
	regex->anchored = regex->steps[0].op == OP_ASSERT && regex->steps[0].rune == ASSERT_TEXT_BEGIN;
	if (regex->anchored)
		return;
	while (regex->steps[at].op == OP_RUNE && regex->steps[at].rune == regex->steps[at].folded &&
	       regex->steps[at].rune < 0x80) {
		prefix[at] = (char)regex->steps[at].rune;
		at++;
	}
	regex->prefix = prefix;
	regex->prefix_length = at;
}

int cel_regex_compile(struct arena *arena, const char *pattern, size_t length, const struct cel_regex **ret_regex,
                      struct err *err)
{
	struct regex_node *root;
	if (length > MAX_PATTERN_BYTES)
		return err_set(err, ERR_INVALID, "error parsing regexp: expression too large: `%.*s`",
		               length > 64 ? 64 : (int)length, pattern);
	int status = regex_parse(arena, pattern, length, &root, err);
	if (status)
		return status;
	struct compiler compiler = {.arena = arena};
	compile(&compiler, root);
	emit(&compiler, OP_MATCH);
	if (compiler.count > MAX_STEPS)
		return err_set(err, ERR_INVALID, "error parsing regexp: expression too large: `%.*s`",
		               length > 64 ? 64 : (int)length, pattern);
	struct cel_regex *regex = ARENA_NEW(arena, struct cel_regex);
	regex->steps = compiler.steps;
	regex->count = compiler.count;
	find_prefix(arena, regex);
	*ret_regex = regex;
	return 0;
}

// --- matching --------------------------------------------------------------------------------

struct thread {
	uint32_t step;
	size_t begin;
};

struct threads {
	struct thread *dense;
	uint32_t *sparse;
	uint32_t count;
};

struct machine {
	const struct cel_regex *regex;
	const char *text;
	size_t length;
	struct threads now, then;
	uint32_t *stack;
	uint64_t work;
};

static bool is_word(const struct machine *machine, size_t at)
{
	if (at >= machine->length)
		return false;
	unsigned char byte = (unsigned char)machine->text[at];
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       byte == '_';
}

static bool holds(const struct machine *machine, uint32_t assertion, size_t at)
{
	switch (assertion) {
	case ASSERT_TEXT_BEGIN:
		return at == 0;
	case ASSERT_TEXT_END:
		return at == machine->length;
	case ASSERT_LINE_BEGIN:
		return at == 0 || machine->text[at - 1] == '\n';
	case ASSERT_LINE_END:
		return at == machine->length || machine->text[at] == '\n';
	default: {
		bool boundary = (at > 0 && is_word(machine, at - 1)) != is_word(machine, at);
		return boundary == (assertion == ASSERT_WORD);
	}
	}
}

static bool threads_add_one(struct threads *threads, uint32_t step, size_t begin)
{
	uint32_t place = threads->sparse[step];
	if (place < threads->count && threads->dense[place].step == step)
		return false;
	threads->sparse[step] = threads->count;
	threads->dense[threads->count++] = (struct thread){step, begin};
	return true;
}

// Follows all steps that take no character, in order of preference.
static void add_thread(struct machine *machine, struct threads *threads, uint32_t step, size_t begin, size_t at)
{
	uint32_t depth = 0;
	machine->stack[depth++] = step;
	while (depth) {
		uint32_t current = machine->stack[--depth];
		if (!threads_add_one(threads, current, begin))
			continue;
		machine->work++;
		const struct regex_step *instruction = &machine->regex->steps[current];
		switch (instruction->op) {
		case OP_JUMP:
			machine->stack[depth++] = instruction->x;
			break;
		case OP_SPLIT:
			machine->stack[depth++] = instruction->y;
			machine->stack[depth++] = instruction->x;
			break;
		case OP_ASSERT:
			if (holds(machine, instruction->rune, at))
				machine->stack[depth++] = current + 1;
			break;
		default:
			break;
		}
	}
}

static bool takes(const struct regex_step *step, uint32_t rune)
{
	if (step->op == OP_RUNE)
		return rune == step->rune || rune == step->folded;
	return step->op == OP_CLASS && rune_class_has(step->class, rune);
}

// One character further. True when a thread matched before it; those after that one are dropped.
static bool advance(struct machine *machine, size_t at, size_t bytes, uint32_t rune, bool at_end, size_t *ret_begin)
{
	bool matched = false;
	machine->then.count = 0;
	for (uint32_t i = 0; i < machine->now.count && !matched; i++) {
		const struct thread *thread = &machine->now.dense[i];
		const struct regex_step *step = &machine->regex->steps[thread->step];
		machine->work++;
		if (step->op == OP_MATCH) {
			*ret_begin = thread->begin;
			matched = true;
		} else if (!at_end && takes(step, rune)) {
			add_thread(machine, &machine->then, thread->step + 1, thread->begin, at + bytes);
		}
	}
	struct threads swapped = machine->now;
	machine->now = machine->then;
	machine->then = swapped;
	return matched;
}

static size_t skip_to_prefix(const struct machine *machine, size_t at)
{
	const struct cel_regex *regex = machine->regex;
	if (!regex->prefix_length || machine->now.count)
		return at;
	const char *found = memmem(machine->text + at, machine->length - at, regex->prefix, regex->prefix_length);
	return found ? (size_t)(found - machine->text) : machine->length;
}

static enum cel_regex_result run(struct machine *machine, size_t start, uint64_t work_left, size_t *ret_begin,
                                 size_t *ret_end)
{
	bool found = false;
	for (size_t at = start; at <= machine->length;) {
		uint32_t rune = 0;
		size_t begin;
		if (!found) {
			at = skip_to_prefix(machine, at);
			if (!machine->regex->anchored || at == 0)
				add_thread(machine, &machine->now, 0, at, at);
		}
		if (machine->now.count == 0 && (found || machine->regex->anchored))
			break;
		size_t bytes = at < machine->length ? rune_decode(machine->text + at, machine->length - at, &rune) : 1;
		if (advance(machine, at, bytes, rune, at == machine->length, &begin)) {
			found = true;
			if (!ret_begin)
				break;
			*ret_begin = begin;
			*ret_end = at;
		}
		if (machine->work > work_left)
			return CEL_REGEX_TOO_MUCH_WORK;
		at += bytes;
	}
	return found ? CEL_REGEX_MATCH : CEL_REGEX_NO_MATCH;
}

static void threads_init(struct threads *threads, void *memory, uint32_t count)
{
	threads->dense = memory;
	threads->sparse = (uint32_t *)(threads->dense + count);
	threads->count = 0;
}

enum cel_regex_result cel_regex_search(const struct cel_regex *regex, const char *text, size_t length, size_t start,
                                       uint64_t *work_left, size_t *ret_begin, size_t *ret_end)
{
	enum { FEW = 96 };
	const size_t one = sizeof(struct thread) + sizeof(uint32_t);
	_Alignas(16) char few[FEW * (2 * (sizeof(struct thread) + sizeof(uint32_t)) + 2 * sizeof(uint32_t)) + 64];
	AUTO_FREE char *many = NULL;
	struct machine machine = {.regex = regex, .text = text, .length = length};
	char *memory = few;
	size_t steps = (size_t)regex->count + 1;
	if (steps > FEW)
		memory = many = xmalloc(steps * (2 * one + 2 * sizeof(uint32_t)) + 64);
	memset(memory, 0, steps * 2 * one);
	size_t half = (steps * one + 15) & ~(size_t)15;
	threads_init(&machine.now, memory, (uint32_t)steps);
	threads_init(&machine.then, memory + half, (uint32_t)steps);
	machine.stack = (uint32_t *)(memory + 2 * half);
	enum cel_regex_result result = run(&machine, start, work_left ? *work_left : UINT64_MAX, ret_begin, ret_end);
	if (work_left)
		*work_left -= machine.work < *work_left ? machine.work : *work_left;
	return result;
}

bool cel_regex_matches(const struct cel_regex *regex, const char *text, size_t length)
{
	return cel_regex_search(regex, text, length, 0, NULL, NULL, NULL) == CEL_REGEX_MATCH;
}
