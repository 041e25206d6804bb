// SPDX-License-Identifier: Apache-2.0
// Costs: the estimate by declared sizes, what a run costs, and the bounds on work and memory. The numbers follow
// from upstream's rules: 1 for a name, a selection, an index or a call, 10, 30 and 40 for making a list, map or
// message, a tenth of the characters of a text that is walked, a quarter of those of a pattern.
#include <time.h>

#include "common/base/memory.h"
#include "tests/unit/cel_fixture.h"

struct estimate_row {
	const char *schema; // of self
	const char *rule;
	uint64_t low, high;
};

static const char unlimited_text[] = "{\"type\":\"string\"}";
static const char text_500[] = "{\"type\":\"string\",\"maxLength\":125}"; // in bytes
static const char list_100[] = "{\"type\":\"array\",\"maxItems\":100,\"items\":{\"type\":\"boolean\"}}";
static const char lists_50_10[] = "{\"type\":\"array\",\"maxItems\":50,\"items\":{\"type\":\"array\",\"maxItems\":10,"
                                  "\"items\":{\"type\":\"integer\"}}}";
static const char map_10[] = "{\"type\":\"object\",\"maxProperties\":10,\"additionalProperties\":{\"type\":\"string\","
                             "\"maxLength\":25}}";
static const char texts[] = "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}";
static const char texts_10[] = "{\"type\":\"array\",\"maxItems\":10,\"items\":{\"type\":\"string\",\"maxLength\":25}}";
static const char object[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":25},\"b\":{"
                             "\"type\":\"string\",\"maxLength\":5},\"n\":{\"type\":\"integer\"},\"e\":{\"type\":"
                             "\"string\",\"enum\":[\"abcd\",\"ab\"]},\"l\":{\"type\":\"array\",\"maxItems\":7,"
                             "\"items\":{\"type\":\"integer\"}},\"t\":{\"type\":\"string\",\"format\":\"date-time\"}}}";

static const struct estimate_row estimates[] = {
        {list_100, "self.all(x, true)", 2, 302},
        {list_100, "self.exists(x, x)", 2, 502},
        {list_100, "self.exists_one(x, x)", 3, 303},
        {list_100, "self.map(x, x).size() > 0", 14, 1314},
        {list_100, "self.filter(x, x).size() > 0", 14, 1414},
        {list_100, "self[0]", 2, 2},
        {list_100, "size(self) > 3", 3, 3},
        {list_100, "(self + self).all(x, true)", 4, 604},
        {lists_50_10, "self.all(x, x.all(y, true))", 2, 1752},
        {lists_50_10, "self.all(x, x.all(y, y == 3))", 2, 2252},
        {map_10, "self.all(k, true)", 2, 32},
        {map_10, "self.all(k, self[k].startsWith('abc'))", 2, 72},
        {map_10, "self['a'].contains('a')", 2, 12},
        {text_500, "self.matches('[0-9]')", 3, 103},
        {text_500, "self.contains(self)", 2, 2502},
        {text_500, "self.startsWith(self)", 2, 52},
        {text_500, "self.matches(self)", 2, 6377},
        {text_500, "self == self", 3, 52},
        {text_500, "self + self == ''", 2, 102},
        {text_500, "self.lowerAscii() == 'a'", 2, 52},
        {text_500, "self.split(',').size() > 1", 3, 103},
        {text_500, "self.find('[0-9]+') == ''", 3, 103},
        {text_500, "isQuantity(self)", 1, 51},
        {text_500, "ip.isCanonical(self)", 1, 101},
        {text_500, "cidr('10.0.0.0/8').containsIP(self)", 3, 56},
        {text_500, "format.dns1123Label().validate(self).hasValue()", 3, 1603},
        {object, "self.a == self.b", 5, 6},
        {object, "self.n == 3", 2, 2},
        {object, "has(self.a)", 1, 1},
        {object, "has(self.a) && self.a != ''", 1, 3},
        {object, "true ? self.a.startsWith(self.b) : self.n > 1", 3, 6},
        {object, "self.e == self.a", 5, 5},
        {object, "self.l.all(x, x > 0)", 3, 38},
        {object, "self.l.sum() > 3", 3, 10},
        {object, "self.t > timestamp('2020-01-01T00:00:00Z')", 4, 4},
        {object, "[self.a, self.b].exists(x, x == 'a')", 23, 25},
        {object, "{'k': self.a}.k == 'x'", 33, 33},
        {object, "sets.contains([1, 2, 3], self.l)", 13, 34},
        {texts_10, "self.isSorted()", 1, 111},
        {texts_10, "self.indexOf('a') == 1", 2, 112},
        {texts_10, "self.join('-').size() > 1", 3, 104},
        {texts_10, "'x' in self", 1, 11},
};

static void test_estimates(void **state)
{
	(void)state;
	size_t failed = 0;
	for (size_t i = 0; i < ARRAY_SIZE(estimates); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
		struct cel_compile_result compiled;
		const char *rule = estimates[i].rule;
		cel_env_declare(env, "self",
		                cel_type_from_openapi(env, fixture_json(arena, estimates[i].schema), false));
		if (cel_compile(env, arena, rule, strlen(rule), &compiled))
			fail_msg("%s", compiled.error);
		uint64_t low = cel_program_min_cost(compiled.program), high = cel_program_max_cost(compiled.program);
		cel_program_free(compiled.program);
		if (low == estimates[i].low && high == estimates[i].high)
			continue;
		print_error("%s: %" PRIu64 " to %" PRIu64 ", expected %" PRIu64 " to %" PRIu64 "\n", rule, low, high,
		            estimates[i].low, estimates[i].high);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static uint64_t estimate(const char *schema, const char *rule)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	struct cel_compile_result compiled;
	cel_env_declare(env, "self", cel_type_from_openapi(env, fixture_json(arena, schema), false));
	assert_int_equal(cel_compile(env, arena, rule, strlen(rule), &compiled), 0);
	uint64_t cost = cel_program_max_cost(compiled.program);
	cel_program_free(compiled.program);
	return cost;
}

// Without limits in the schema the size of a request counts: 3 MiB of the smallest values.
static void test_request_size(void **state)
{
	(void)state;
	const uint64_t most_texts = (3145728 - 2) / 3;
	assert_int_equal(estimate(texts, "self.all(x, true)"), most_texts * 3 + 2);
	assert_int_equal(estimate(unlimited_text, "self.startsWith(self)"), 314573 + 2);
	assert_true(estimate(texts, "self.all(x, self.all(y, x == y))") > 100 * CEL_STATIC_RULE_LIMIT);
	assert_int_equal(estimate(texts_10, "self.all(x, true)"), 32);
}

static void test_messages(void **state)
{
	static const char tail[] = " (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where "
	                           "arrays, maps, and strings are declared)";
	static const struct {
		uint64_t cost;
		const char *factor;
	} rows[] = {
	        {10000001, "1.000000x"}, {12345678, "1.234568x"},        {32000000, "3.2x"},
	        {1000000000, "100.0x"},  {1000000001, "more than 100x"}, {UINT64_MAX, "more than 100x"},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *expected = arena_printf(arena, "estimated rule cost exceeds budget by factor of %s%s",
		                              rows[i].factor, tail);
		assert_string_equal(cel_cost_message(arena, "estimated rule cost", rows[i].cost, CEL_STATIC_RULE_LIMIT),
		                    expected);
	}
}

// How often a part can occur, by its smallest form.
static void test_cardinality(void **state)
{
	static const char schema[] = "{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":"
	                             "\"string\"},\"other\":{\"type\":\"string\"}}}";
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	const struct cel_type *type = cel_type_from_openapi(env, fixture_json(arena, schema), false);
	assert_int_equal(cel_type_max_cardinality(type), 3145728 / (2 + 4 + 2 + 4 + 1)); // {"name":""} and a comma
	assert_int_equal(cel_type_max_cardinality(&cel_type_int), 3145728 / 2);
}

// --- runs ---------------------------------------------------------------------------------

struct run_row {
	const char *expression;
	uint64_t cost;
};

static const char run_object[] =
        "{\"a\":\"0123456789\",\"l\":[1,2,3,4,5],\"m\":{\"x\":{\"y\":1}},\"t\":[\"aaaaaaaaaa\","
        "\"bbbbbbbbbbbbbbbbbbbb\"],\"i\":1}";

static const struct run_row runs[] = {
        {"1 + 2", 1},
        {"self", 1},
        {"self.a", 2},
        {"self.m.x.y", 4},
        {"self.m['x'].y", 4},
        {"self.l[0]", 3},
        {"self.l[self.i]", 5}, // the index is looked up for itself
        {"has(self.a)", 1},
        {"has(self.m.x)", 2},
        {"self.a == '0123456789'", 3},
        {"self.a + self.a", 6},
        {"self.a.startsWith('01')", 3},
        {"self.a.contains('01')", 3},
        {"self.a.matches('^[0-9]+$')", 6},
        {"[1, 2]", 0}, // made when compiling
        {"[self.i]", 12},
        {"{'a': self.i}", 32},
        {"self.l.all(x, x > 0)", 3 + 5 * 5},
        {"self.l.all(x, x > 2)", 3 + 1 * 5 + 2},
        {"self.l.exists(x, x == 2)", 3 + 2 * 6 + 3},
        {"self.l.map(x, x)", 3 + 5 * 13},
        {"self.l.filter(x, x > 3)", 3 + 5 * 2 + 2 * 13},
        {"true || self.i == 1", 0},
        {"false || self.i == 1", 3},
        {"true ? self.i : 2", 1}, // the variable itself is free there
        {"true ? self.i + 1 : 2", 3},
        {"self.i in [1, 2, 3]", 2},
        {"1 in self.l", 2 + 5},
        {"'x' in self.m", 3},
        {"duration('1h') > duration('1m')", 1},
        {"size(self.l)", 3},
        {"self.l.sum()", 2 + 5},
        {"self.t.isSorted()", 2 + 1 + 2},
        {"self.a.replace('0', '1')", 2 + 2},
        {"self.a.split('')", 2 + 2},
        {"self.t.join(',')", 2 + 7},
        {"self.a.find('[0-9]')", 2 + 2 * 2},
        {"quantity('1') == quantity('1')", 3},
        {"ip('10.0.0.1').isLoopback()", 2},
        {"cidr('10.0.0.0/8').containsIP('10.0.0.1')", 1 + 1 + 1},
        {"sets.contains(self.l, [1, 2])", 2 + 1 + 10},
        {"sets.equivalent(self.l, self.l)", 4 + 1 + 50},
        {"optional.of(self.i).orValue(2)", 3},
        {"self.?a.orValue('')", 2},
        {"self.?a == optional.none()", 2 + 1 + 1},
        {"self.m.?z == optional.none()", 2 + 1 + 1},            // what isn't there is free
        {"self.l.exists(x, self.m.z == x) || true", 3 + 5 * 9}, // what fails isn't
        {"type(self.i) == int", 4},
        {"self.l.map(x, [x]).size()", 3 + 5 * 23 + 1},
};

static void test_runs(void **state)
{
	(void)state;
	size_t failed = 0;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	const struct cel_type *texts_type = cel_type_list(env, &cel_type_string);
	struct cel_type *self = cel_type_object(env, "self");
	cel_type_add_field(env, self, "a", &cel_type_string);
	cel_type_add_field(env, self, "l", cel_type_list(env, &cel_type_int));
	cel_type_add_field(env, self, "m", cel_type_map(env, &cel_type_string, &cel_type_dyn));
	cel_type_add_field(env, self, "t", texts_type);
	cel_type_add_field(env, self, "i", &cel_type_int);
	cel_env_declare(env, "self", self);
	struct cel_binding binding = cel_bind_json(fixture_json(arena, run_object));
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		struct cel_compile_result compiled;
		struct cel_run run = CEL_RUN_INIT(arena);
		struct cel_value value;
		struct cel_error error;
		if (cel_compile(env, arena, runs[i].expression, strlen(runs[i].expression), &compiled))
			fail_msg("%s", compiled.error);
		if (cel_eval(compiled.program, &run, &binding, 1, &value, &error))
			fail_msg("%s: %s", runs[i].expression, error.message);
		cel_program_free(compiled.program);
		if (run.cost == runs[i].cost)
			continue;
		print_error("%s costs %" PRIu64 ", expected %" PRIu64 "\n", runs[i].expression, run.cost, runs[i].cost);
		failed++;
	}
	assert_int_equal(failed, 0);
}

// --- limits -----------------------------------------------------------------------------------

struct hostile {
	struct arena *arena;
	struct cel_env *env;
	struct cel_binding binding;
};

// self: {"numbers": [0, 1, …], "texts": […], "big": "aaaa…", "map": {"k0": 0, …}, "twin": the same map}
static void hostile_init(struct hostile *hostile, size_t count)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(SIZE_MAX / 2);
	hostile->arena = arena_new(0);
	hostile->env = cel_env_new(NULL);
	strbuf_append_text(&text, "{\"numbers\":[0");
	for (size_t i = 1; i < count; i++)
		strbuf_printf(&text, ",%zu", i);
	strbuf_append_text(&text, "],\"big\":\"");
	for (size_t i = 0; i < count * 4; i++)
		strbuf_append_char(&text, 'a');
	for (int twin = 0; twin < 2; twin++) {
		strbuf_append_text(&text, twin ? "},\"twin\":{\"k\":0" : "\",\"map\":{\"k\":0");
		for (size_t i = 0; i < count; i++)
			strbuf_printf(&text, ",\"k%zu\":%zu", i, i);
	}
	strbuf_append_text(&text, "}}");
	cel_env_declare(hostile->env, "self", &cel_type_dyn);
	hostile->binding = cel_bind_json(fixture_json(hostile->arena, strbuf_text(&text)));
}

static void hostile_done(struct hostile *hostile)
{
	cel_env_unref(hostile->env);
	arena_free(hostile->arena);
}

static int hostile_run(struct hostile *hostile, const char *expression, struct cel_run *run, struct cel_error *error)
{
	struct cel_compile_result compiled;
	struct cel_value value;
	if (cel_compile(hostile->env, hostile->arena, expression, strlen(expression), &compiled))
		fail_msg("%s", compiled.error);
	int status = cel_eval(compiled.program, run, &hostile->binding, 1, &value, error);
	cel_program_free(compiled.program);
	return status;
}

static void test_call_limit(void **state)
{
	static const char *const expressions[] = {
	        "self.numbers.all(x, self.numbers.all(y, self.numbers.all(z, x + y + z >= 0)))",
	        "self.numbers.exists(x, self.numbers.exists(y, 1 / 0 == 1))",
	        "self.numbers.map(x, self.numbers.map(y, [x, y])).size() > 0",
	        "self.numbers.all(x, self.big.contains(self.big + 'b'))",
	        "self.numbers.all(x, self.numbers.all(y, false || dyn(self.numbers[x]) < 'a'))",
	};
	struct hostile hostile;
	(void)state;
	hostile_init(&hostile, 20000);
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct cel_run run = CEL_RUN_INIT(arena);
		struct cel_error error;
		assert_int_equal(hostile_run(&hostile, expressions[i], &run, &error), -ERR_INVALID);
		assert_int_equal(error.kind, CEL_ERROR_COST_LIMIT);
		assert_string_equal(error.message, "operation cancelled: actual cost limit exceeded");
		assert_true(run.cost < CEL_PER_CALL_LIMIT + 100000000);
	}
	hostile_done(&hostile);
}

// What costs little by upstream's rules and much in truth is bounded by work and memory.
static void test_work_and_memory(void **state)
{
	static const char *const expressions[] = {
	        "self.numbers.all(x, self.map == self.twin)",
	        "self.numbers.all(x, [self.map] == [self.twin])",
	        "self.big.replace('a', self.big).size() > 0",
	        "self.big.replace('', self.big).size() > 0",
	        "[self.numbers].map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)"
	        ".map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)[0].size() > 0",
	        "[self.big].map(x, [x, x, x, x, x, x, x, x].join()).map(x, [x, x, x, x, x, x, x, x].join())"
	        ".map(x, [x, x, x, x, x, x, x, x].join()).map(x, [x, x, x, x, x, x, x, x].join()).size() > 0",
	        "'%s%s%s%s'.format([self.numbers, self.numbers, self.numbers, self.map]).size() > 0 && "
	        "self.numbers.all(x, '%s%s%s%s'.format([self.numbers, self.numbers, self.numbers, self.map]) != '')",
	        "self.numbers.all(x, self.big.matches('(a|aa|aaa|a{900}){1}b'))",
	};
	struct hostile hostile;
	struct timespec before, after;
	(void)state;
	hostile_init(&hostile, 60000);
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct cel_run run = CEL_RUN_INIT(arena);
		struct cel_error error;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		if (hostile_run(&hostile, expressions[i], &run, &error) == 0)
			fail_msg("%s is done, at a cost of %" PRIu64, expressions[i], run.cost);
		assert_int_equal(error.kind, CEL_ERROR_COST_LIMIT);
		assert_true(arena_size_bytes(arena) < (size_t)160 * 1024 * 1024);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		// Far above what it takes (about a second), far below what it would take: hours.
		assert_true(after.tv_sec - before.tv_sec < 60);
	}
	hostile_done(&hostile);
}

// Looking up every key of a large map costs about as much as walking it.
static void test_large_maps(void **state)
{
	static const char *const expressions[] = {
	        "self.map.all(k, self.map[k] == self.twin[k])",
	        "self.map == self.twin",
	        "self.numbers.all(x, has(self.map.k5))",
	        "self.numbers.map(x, x).size() == 60000",
	        "self.map.transformMap(k, v, v + 1).size() == 60001",
	};
	struct hostile hostile;
	(void)state;
	hostile_init(&hostile, 60000);
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct cel_run run = CEL_RUN_INIT(arena);
		struct cel_error error;
		if (hostile_run(&hostile, expressions[i], &run, &error))
			fail_msg("%s: %s", expressions[i], error.message);
	}
	hostile_done(&hostile);
}

static void test_budget(void **state)
{
	struct hostile hostile;
	struct cel_error error;
	(void)state;
	hostile_init(&hostile, 10);
	struct cel_run run = CEL_RUN_INIT(hostile.arena);
	run.budget = 100;
	assert_int_equal(hostile_run(&hostile, "self.numbers.all(x, x >= 0)", &run, &error), 0);
	assert_int_equal(run.cost, 53);
	assert_int_equal(run.budget, 47);
	assert_int_equal(hostile_run(&hostile, "self.numbers.all(x, x >= 0)", &run, &error), -ERR_INVALID);
	assert_int_equal(error.kind, CEL_ERROR_BUDGET);
	assert_string_equal(error.message, "validation failed due to running out of cost budget, no further validation "
	                                   "rules will be run");
	assert_int_equal(run.budget, 0);
	run = CEL_RUN_INIT(hostile.arena);
	run.limit = 20;
	assert_int_equal(hostile_run(&hostile, "self.numbers.all(x, x >= 0)", &run, &error), -ERR_INVALID);
	assert_int_equal(error.kind, CEL_ERROR_COST_LIMIT);
	hostile_done(&hostile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_estimates),
	        cmocka_unit_test(test_request_size),
	        cmocka_unit_test(test_messages),
	        cmocka_unit_test(test_cardinality),
	        cmocka_unit_test(test_runs),
	        cmocka_unit_test(test_call_limit),
	        cmocka_unit_test(test_work_and_memory),
	        cmocka_unit_test(test_large_maps),
	        cmocka_unit_test(test_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
