// SPDX-License-Identifier: Apache-2.0
// Expressions over Kubernetes' data: custom resources by their schema, admission requests, composed variables, and
// what comes back as JSON.
#include "common/base/memory.h"
#include "tests/unit/cel_fixture.h"

static const char schema_text[] =
        "{\"type\":\"object\",\"required\":[\"spec\"],\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{"
        "\"replicas\":{\"type\":\"integer\"},\"max\":{\"type\":\"integer\"},\"ratio\":{\"type\":\"number\"},"
        "\"name\":{\"type\":\"string\",\"maxLength\":20},\"my-name\":{\"type\":\"string\"},"
        "\"a.b/c\":{\"type\":\"string\"},\"x__y\":{\"type\":\"string\"},\"namespace\":{\"type\":\"string\"},"
        "\"when\":{\"type\":\"string\",\"format\":\"date-time\"},\"day\":{\"type\":\"string\",\"format\":\"date\"},"
        "\"wait\":{\"type\":\"string\",\"format\":\"duration\"},\"data\":{\"type\":\"string\",\"format\":\"byte\"},"
        "\"port\":{\"x-kubernetes-int-or-string\":true},\"hidden\":{\"x-kubernetes-preserve-unknown-fields\":true},"
        "\"labels\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
        "\"set\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":\"string\"}},"
        "\"map\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"k\"],"
        "\"items\":{\"type\":\"object\",\"properties\":{\"k\":{\"type\":\"string\"},\"v\":{\"type\":\"integer\"}}}},"
        "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},\"flag\":{\"type\":\"boolean\"},"
        "\"none\":{\"type\":\"string\",\"nullable\":true},"
        "\"inner\":{\"type\":\"object\",\"x-kubernetes-embedded-resource\":true}}}}}";

static const char object_text[] =
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"n1\",\"labels\":{}},\"spec\":{"
        "\"replicas\":3,\"max\":5,\"ratio\":2,\"name\":\"web\",\"my-name\":\"dash\",\"a.b/c\":\"dots\",\"x__y\":\"u\","
        "\"namespace\":\"ns\",\"when\":\"2024-01-02T03:04:05Z\",\"day\":\"2024-01-02\",\"wait\":\"90s\","
        "\"data\":\"aGVsbG8=\",\"port\":\"http\",\"hidden\":{\"a\":1},\"labels\":{\"app\":\"web\",\"x-y\":\"z\"},"
        "\"set\":[\"a\",\"b\"],\"map\":[{\"k\":\"x\",\"v\":1},{\"k\":\"y\",\"v\":2}],\"list\":[1,2],\"flag\":true,"
        "\"none\":null,\"inner\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"}}}}";

// The same with its sets and maps in another order.
static const char other_text[] =
        "{\"spec\":{\"set\":[\"b\",\"a\"],\"map\":[{\"k\":\"y\",\"v\":2},{\"k\":\"x\",\"v\":1}],"
        "\"list\":[2,1],\"replicas\":2,\"name\":\"old\"}}";

static void test_custom_resource(void **state)
{
	static const struct cel_row rows[] = {
	        {"self.spec.replicas <= self.spec.max", "true"},
	        {"type(self.spec.replicas) == int && type(self.spec.ratio) == double", "true"},
	        {"self.spec.ratio == 2.0", "true"},
	        {"self.spec.my__dash__name + self.spec.a__dot__b__slash__c + self.spec.x__underscores__y + "
	         "self.spec.__namespace__",
	         "\"dashdotsuns\""},
	        {"self.spec.when.getFullYear() + self.spec.day.getDate()", "2026"},
	        {"self.spec.wait == duration('1m30s')", "true"},
	        {"self.spec.data == b'hello'", "true"},
	        {"type(self.spec.port) == string ? self.spec.port.startsWith('h') : self.spec.port < 5", "true"},
	        {"self.spec.hidden", "?undefined field 'hidden'"},
	        {"self.spec.labels['app'] + self.spec.labels['x-y']", "\"webz\""},
	        {"self.spec.labels.all(k, self.spec.labels[k].size() > 0)", "true"},
	        {"'app' in self.spec.labels && !('b' in self.spec.labels)", "true"},
	        {"self.metadata.name + self.kind + self.apiVersion", "\"n1Kg/v1\""},
	        {"self.metadata.labels", "?undefined field 'labels'"},
	        {"self.spec.inner.metadata.name + self.spec.inner.kind", "\"pPod\""},
	        {"has(self.spec.name) && !has(oldSelf.spec.flag)", "true"},
	        {"oldSelf.spec.flag", "!no such key: flag"},
	        {"self.spec.none == null", "?found no matching overload for '_==_' applied to '(string, null)'"},
	        {"has(self.spec.none)", "false"}, // null is absent
	        {"string(self.spec.when)", "\"2024-01-02T03:04:05Z\""},
	        {"self.spec.set == oldSelf.spec.set", "true"},
	        {"self.spec.map == oldSelf.spec.map", "true"},
	        {"self.spec.list == oldSelf.spec.list", "false"},
	        {"self.spec.set + ['b', 'c']", "[\"a\", \"b\", \"c\"]"},
	        {"(self.spec.map + oldSelf.spec.map).size()", "2"},
	        {"self.spec.map.exists_one(e, e.k == 'x' && e.v == 1)", "true"},
	        {"self.spec.map.map(e, e.v).sum()", "3"},
	        {"self.spec.list + oldSelf.spec.list", "[1, 2, 2, 1]"},
	        {"self.spec.list.map(x, x * 2) + self.spec.list", "[2, 4, 1, 2]"},
	        {"self.spec == self.spec && self.spec != oldSelf.spec", "true"},
	        {"self.spec.?flag.orValue(false)", "true"},
	        {"self.?spec.?missing", "?undefined field 'missing'"},
	        {"self.spec.nothing > 1", "?undefined field 'nothing'"},
	        {"self.spec.replicas.foo", "?type 'int' does not support field selection"},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	const struct cel_type *self = cel_type_from_openapi(env, fixture_json(arena, schema_text), true);
	assert_non_null(self);
	struct cel_binding bindings[2] = {
	        cel_bind_json(fixture_json(arena, object_text)),
	        cel_bind_json(fixture_json(arena, other_text)),
	};
	assert_int_equal(cel_env_declare(env, "self", self), 0);
	assert_int_equal(cel_env_declare(env, "oldSelf", self), 1);
	assert_int_equal(run_rows(env, bindings, 2, rows, ARRAY_SIZE(rows)), 0);
}

static void test_optional_old_self(void **state)
{
	static const struct cel_row created[] = {
	        {"oldSelf.hasValue() ? self.spec.replicas >= oldSelf.value().spec.replicas : true", "true"},
	        {"oldSelf.optMap(o, o.spec.replicas).orValue(-1)", "-1"},
	        {"oldSelf.spec.name.orValue('new')", "\"new\""},
	};
	static const struct cel_row updated[] = {
	        {"oldSelf.hasValue() ? self.spec.replicas >= oldSelf.value().spec.replicas : true", "true"},
	        {"oldSelf.optMap(o, o.spec.replicas).orValue(-1)", "2"},
	        {"oldSelf.spec.name.orValue('new')", "\"old\""},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	const struct cel_type *self = cel_type_from_openapi(env, fixture_json(arena, schema_text), true);
	cel_env_declare(env, "self", self);
	cel_env_declare(env, "oldSelf", cel_type_optional(env, self));
	struct cel_value old = cel_value_json(arena, fixture_json(arena, other_text), self);
	struct cel_binding bindings[2] = {
	        cel_bind_json(fixture_json(arena, object_text)),
	        cel_bind_value(cel_value_optional(arena, NULL)),
	};
	assert_int_equal(run_rows(env, bindings, 2, created, ARRAY_SIZE(created)), 0);
	bindings[1] = cel_bind_value(cel_value_optional(arena, &old));
	assert_int_equal(run_rows(env, bindings, 2, updated, ARRAY_SIZE(updated)), 0);
}

static void test_uses(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	struct cel_compile_result compiled;
	cel_env_declare(env, "self", &cel_type_int);
	cel_env_declare(env, "oldSelf", &cel_type_int);
	assert_int_equal(cel_compile(env, arena, "[self].all(x, x > oldSelf)", 26, &compiled), 0);
	assert_true(cel_program_uses(compiled.program, "oldSelf"));
	cel_program_free(compiled.program);
	assert_int_equal(cel_compile(env, arena, "[1].all(oldSelf, oldSelf > 0) && self > 0", 41, &compiled), 0);
	assert_false(cel_program_uses(compiled.program, "oldSelf"));
	assert_true(cel_type_equal(cel_program_type(compiled.program), &cel_type_bool));
	cel_program_free(compiled.program);
}

// A schema that says nothing of its content isn't visible.
static void test_invisible(void **state)
{
	static const char *const schemas[] = {
	        "{\"x-kubernetes-preserve-unknown-fields\":true}",
	        "{\"type\":\"array\"}",
	        "{\"type\":\"array\",\"items\":{\"x-kubernetes-preserve-unknown-fields\":true}}",
	        "{\"type\":\"object\",\"additionalProperties\":{}}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
		assert_null(cel_type_from_openapi(env, fixture_json(arena, schemas[i]), false));
	}
}

// --- admission --------------------------------------------------------------------------

static void test_admission(void **state)
{
	static const struct cel_row rows[] = {
	        {"object.spec.replicas <= params.max", "true"},
	        {"object.metadata.labels.app == 'web' && object.metadata.?labels.x.orValue('no') == 'no'", "true"},
	        {"oldObject == null", "true"},
	        {"has(object.spec.nothing)", "false"},
	        {"object.spec.containers.all(c, c.image.startsWith('reg/') && has(c.name))", "true"},
	        {"object.spec.ratio > 1", "true"},
	        {"object.spec.replicas + 1", "4"},
	        {"request.operation == 'CREATE' && request.userInfo.username == 'alice'", "true"},
	        {"request.userInfo.groups.exists(g, g == 'dev')", "true"},
	        {"request.userInfo.extra['scopes'][0]", "\"x\""},
	        {"request.kind.kind + request.resource.resource", "\"Deploymentdeployments\""},
	        {"request.dryRun || request.name == ''", "false"},
	        {"request.nothing", "?undefined field 'nothing'"},
	        {"namespaceObject.metadata.labels.env", "\"prod\""},
	        {"namespaceObject.metadata.creationTimestamp.getFullYear()", "2024"},
	        {"namespaceObject.metadata.managedFields", "?undefined field 'managedFields'"},
	        {"missing", "?undeclared reference to 'missing' (in container '')"},
	        {"absent", "!no such attribute(s): absent"},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	struct cel_binding bindings[] = {
	        cel_bind_json(fixture_json(arena,
	                                   "{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"replicas\":3,"
	                                   "\"ratio\":1.5,\"containers\":[{\"name\":\"a\",\"image\":\"reg/a\"}]}}")),
	        cel_bind_json(NULL),
	        cel_bind_json(fixture_json(arena, "{\"max\":5}")),
	        cel_bind_json(fixture_json(
	                arena,
	                "{\"operation\":\"CREATE\",\"name\":\"d\",\"dryRun\":false,\"kind\":{\"kind\":\"Deployment\"},"
	                "\"resource\":{\"resource\":\"deployments\"},\"userInfo\":{\"username\":\"alice\","
	                "\"groups\":[\"dev\"],\"extra\":{\"scopes\":[\"x\"]}}}")),
	        cel_bind_json(fixture_json(arena, "{\"metadata\":{\"labels\":{\"env\":\"prod\"},"
	                                          "\"creationTimestamp\":\"2024-01-01T00:00:00Z\"}}")),
	};
	cel_env_declare(env, "object", &cel_type_dyn);
	cel_env_declare(env, "oldObject", &cel_type_dyn);
	cel_env_declare(env, "params", &cel_type_dyn);
	cel_env_declare(env, "request", cel_type_admission_request(env));
	cel_env_declare(env, "namespaceObject", cel_type_namespace(env));
	cel_env_declare(env, "absent", &cel_type_int);
	assert_int_equal(run_rows(env, bindings, ARRAY_SIZE(bindings), rows, ARRAY_SIZE(rows)), 0);
}

static void test_built_in_types(void **state)
{
	static const struct cel_row rows[] = {
	        {"object.spec.containers.all(c, c.name != '')", "true"},
	        {"object.spec.nodeNames", "?undefined field 'nodeNames'"},
	        {"object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')", "true"},
	        {"object.spec.containers[0].ports[0].containerPort + 'a'",
	         "?found no matching overload for '_+_' applied to '(int, string)'"},
	        {"object.metadata.labels['a'] == 'b'", "true"},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	const struct schema_type *pod = schema_find_type("io.k8s.api.core.v1.Pod");
	assert_non_null(pod);
	cel_env_declare(env, "object", cel_type_from_schema(env, pod));
	struct cel_binding binding = cel_bind_json(fixture_json(
	        arena, "{\"metadata\":{\"creationTimestamp\":\"2024-01-01T00:00:00Z\",\"labels\":{\"a\":\"b\"}},"
	               "\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"));
	assert_int_equal(run_rows(env, &binding, 1, rows, ARRAY_SIZE(rows)), 0);
}

// --- composed variables -----------------------------------------------------------------------

struct policy {
	struct arena *arena;
	struct cel_env *env;
	struct cel_type *variables;
	const char *names[4];
	const struct cel_program *programs[4];
	struct cel_composed_value values[4];
	struct cel_composition composition;
	struct cel_binding bindings[3];
	int calls;
};

static int count_call(void *context, struct cel_run *run, struct cel_value *ret_value, struct cel_error *error)
{
	struct policy *policy = context;
	(void)run, (void)error;
	policy->calls++;
	*ret_value = cel_value_int(40);
	return 0;
}

static void add_variable(struct policy *policy, const char *name, const char *expression)
{
	struct cel_compile_result compiled;
	if (cel_compile(policy->env, policy->arena, expression, strlen(expression), &compiled))
		fail_msg("%s", compiled.error);
	size_t number = policy->composition.count++;
	policy->names[number] = name;
	policy->programs[number] = compiled.program;
	cel_type_add_field(policy->env, policy->variables, name, cel_program_type(compiled.program));
}

static void policy_init(struct policy *policy)
{
	*policy = (struct policy){.arena = arena_new(0), .env = cel_env_new(NULL)};
	policy->variables = cel_type_object(policy->env, "kubernetes.variables");
	cel_env_declare(policy->env, "object", &cel_type_dyn);
	cel_env_declare(policy->env, "variables", policy->variables);
	cel_env_declare(policy->env, "slow", &cel_type_int);
	add_variable(policy, "replicas", "object.spec.replicas");
	add_variable(policy, "total", "variables.replicas + slow");
	add_variable(policy, "broken", "1 / (variables.replicas - 2)");
	add_variable(policy, "text", "string(variables.total)");
	policy->composition.type = policy->variables;
	policy->composition.names = policy->names;
	policy->composition.programs = policy->programs;
	policy->composition.values = policy->values;
	policy->composition.bindings = policy->bindings;
	policy->composition.binding_count = 3;
	policy->bindings[0] = cel_bind_json(fixture_json(policy->arena, "{\"spec\":{\"replicas\":2}}"));
	policy->bindings[1] = cel_bind_composition(&policy->composition);
	policy->bindings[2] = (struct cel_binding){.kind = CEL_BINDING_CALL, .call = {count_call, policy}};
}

static void policy_done(struct policy *policy)
{
	for (size_t i = 0; i < policy->composition.count; i++)
		cel_program_free((struct cel_program *)policy->programs[i]);
	cel_env_unref(policy->env);
	arena_free(policy->arena);
}

static void test_composition(void **state)
{
	static const struct cel_row rows[] = {
	        {"variables.total == 42 && variables.total > 41", "true"},
	        {"variables.text + variables.text", "\"4242\""},
	        {"variables.broken == 1", "!composited variable \"broken\" fails to evaluate: division by zero"},
	        {"variables.broken == 1 || variables.total == 42", "true"},
	        {"variables.nothing", "?undefined field 'nothing'"},
	};
	struct policy policy;
	(void)state;
	policy_init(&policy);
	assert_int_equal(run_rows(policy.env, policy.bindings, 3, rows, 1), 0);
	assert_int_equal(policy.calls, 1); // asked for once, kept with the variable
	// The values live in the arena of the run that made them: a new object, a new composition.
	for (size_t i = 1; i < ARRAY_SIZE(rows); i++) {
		memset(policy.values, 0, sizeof(policy.values));
		assert_int_equal(run_rows(policy.env, policy.bindings, 3, &rows[i], 1), 0);
	}
	struct cel_compile_result compiled;
	assert_int_not_equal(cel_compile(policy.env, policy.arena, "variables.text + 1", 18, &compiled), 0);
	policy_done(&policy);
}

// The budget is shared by a rule and the variables that it uses.
static void test_composition_budget(void **state)
{
	struct policy policy;
	struct cel_compile_result compiled;
	struct cel_value value;
	struct cel_error error;
	(void)state;
	policy_init(&policy);
	struct cel_run run = CEL_RUN_INIT(policy.arena);
	run.budget = 100;
	assert_int_equal(cel_compile(policy.env, policy.arena, "variables.total == 42", 21, &compiled), 0);
	assert_int_equal(cel_eval(compiled.program, &run, policy.bindings, 3, &value, &error), 0);
	assert_true(run.budget < 100 - run.cost); // the variables' own costs as well
	memset(policy.values, 0, sizeof(policy.values));
	run.budget = 4;
	assert_int_equal(cel_eval(compiled.program, &run, policy.bindings, 3, &value, &error), -ERR_INVALID);
	assert_int_equal(error.kind, CEL_ERROR_BUDGET);
	assert_non_null(strstr(error.message, "running out of cost budget"));
	cel_program_free(compiled.program);
	policy_done(&policy);
}

// --- results ------------------------------------------------------------------------------------

static void test_to_json(void **state)
{
	static const struct cel_row rows[] = {
	        {"{'a': [1, 2.5, 3u, 'x', null, true], 'b': self}",
	         "{\"a\":[1,2.5,3,\"x\",null,true],\"b\":{\"k\":[1]}}"},
	        {"[timestamp('2024-01-01T00:00:00Z')]", "[\"2024-01-01T00:00:00Z\"]"},
	        {"duration('1500ms')", "\"1.5s\""},
	        {"b'hello'", "\"aGVsbG8=\""},
	        {"[JSONPatch{op: 'replace', path: '/spec', value: self.k}]",
	         "[{\"op\":\"replace\",\"path\":\"/spec\",\"value\":[1]}]"},
	        {"Object{metadata: Object.metadata{labels: {'a': 'b'}}}", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"},
	        {"Object{spec: Object.other{}}",
	         "!unexpected type name \"Object.other\", expected \"Object.spec\", which matches field name path from "
	         "root Object type"},
	        {"{1: 2}", "!map key of type int has no JSON form"},
	        {"0.0 / 0.0", "!a number that is not finite has no JSON form"},
	        {"optional.of(1)", "!optional_type has no JSON form"},
	        {"int", "!type has no JSON form"},
	};
	const struct cel_env_options options = {.mutation = true, .heterogeneous = true};
	(void)state;
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(&options);
	cel_env_declare(env, "self", &cel_type_dyn);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
		struct cel_binding binding = cel_bind_json(fixture_json(arena, "{\"k\":[1]}"));
		struct cel_compile_result compiled;
		struct cel_run run = CEL_RUN_INIT(arena);
		struct cel_value value;
		struct cel_error error;
		struct json *json;
		struct err err = ERR_INIT;
		if (cel_compile(env, arena, rows[i].expression, strlen(rows[i].expression), &compiled))
			fail_msg("%s", compiled.error);
		AUTO(cel_program_free) struct cel_program *program = compiled.program;
		assert_int_equal(cel_eval(program, &run, &binding, 1, &value, &error), 0);
		if (cel_value_to_json(arena, &value, &json, &err))
			strbuf_printf(&out, "!%s", err.message);
		else
			json_write(&out, json);
		assert_string_equal(strbuf_text(&out), rows[i].expected);
	}
}

static void test_escape(void **state)
{
	static const char *const rows[][2] = {
	        {"plain", "plain"},
	        {"a-b", "a__dash__b"},
	        {"a.b", "a__dot__b"},
	        {"a/b", "a__slash__b"},
	        {"a__b", "a__underscores__b"},
	        {"a_b", "a_b"},
	        {"in", "__in__"},
	        {"namespace", "__namespace__"},
	        {"namespaces", "namespaces"},
	        {"___", "__underscores___"},
	};
	static const char *const refused[] = {"", "1a", "a b", "a$", "\u00e9"};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(cel_escape(arena, rows[i][0], strlen(rows[i][0])), rows[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_null(cel_escape(arena, refused[i], strlen(refused[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_custom_resource),
	        cmocka_unit_test(test_optional_old_self),
	        cmocka_unit_test(test_uses),
	        cmocka_unit_test(test_invisible),
	        cmocka_unit_test(test_admission),
	        cmocka_unit_test(test_built_in_types),
	        cmocka_unit_test(test_composition),
	        cmocka_unit_test(test_composition_budget),
	        cmocka_unit_test(test_to_json),
	        cmocka_unit_test(test_escape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
