// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "apiserver/authorization/authorization.h"
#include "apiserver/authorization/rbac.h"
#include "apiserver/bootstrap/policy.h"
#include "apiserver/bootstrap/policy_reconcile.h"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	char *copy = arena_strdup(arena, text);

	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	assert_int_equal(json_parse(arena, copy, strlen(copy), NULL, &value, NULL), 0);
	return value;
}

static struct rbac_rules rules_of(struct arena *arena, const char *text)
{
	struct rbac_rules rules;

	rbac_rules_parse(arena, parse(arena, text), &rules);
	return rules;
}

static struct authorization_attributes ask(const char *verb, const char *group, const char *resource,
                                           const char *subresource, const char *ns, const char *name)
{
	return (struct authorization_attributes){.verb = verb,
	                                         .is_resource = true,
	                                         .path = "",
	                                         .group = group,
	                                         .version = "v1",
	                                         .resource = resource,
	                                         .subresource = subresource,
	                                         .namespace_name = ns,
	                                         .name = name};
}

static void test_rules_match(void **state)
{
	static const struct {
		const char *rules;
		struct authorization_attributes asked;
		bool allowed;
	} rows[] = {
	        {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]",
	         {"get", true, "", "", "v1", "pods", "", "n", ""},
	         true},
	        {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]",
	         {"get", true, "", "", "v1", "pods", "log", "n", ""},
	         false},
	        {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]",
	         {"list", true, "", "", "v1", "pods", "", "n", ""},
	         false},
	        {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]",
	         {"get", true, "", "apps", "v1", "pods", "", "n", ""},
	         false},
	        {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods/log']}]",
	         {"get", true, "", "", "v1", "pods", "log", "n", "p"},
	         true},
	        {"[{'verbs':['update'],'apiGroups':['*'],'resources':['*/scale']}]",
	         {"update", true, "", "apps", "v1", "deployments", "scale", "n", "d"},
	         true},
	        {"[{'verbs':['update'],'apiGroups':['*'],'resources':['*/scale']}]",
	         {"update", true, "", "apps", "v1", "deployments", "", "n", "d"},
	         false},
	        {"[{'verbs':['*'],'apiGroups':['*'],'resources':['*']}]",
	         {"frobnicate", true, "", "x.io", "v1", "things", "sub", "n", "d"},
	         true},
	        {"[{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':['a']}]",
	         {"get", true, "", "", "v1", "secrets", "", "n", "a"},
	         true},
	        {"[{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':['a']}]",
	         {"get", true, "", "", "v1", "secrets", "", "n", ""},
	         false},
	        {"[{'verbs':['get'],'nonResourceURLs':['/healthz/*']}]", {"get", false, "/healthz/etcd"}, true},
	        {"[{'verbs':['get'],'nonResourceURLs':['/healthz/*']}]", {"get", false, "/healthz"}, false},
	        {"[{'verbs':['get'],'nonResourceURLs':['*']}]", {"get", false, "/anything"}, true},
	        {"[{'verbs':['*'],'apiGroups':['*'],'resources':['*']}]", {"get", false, "/metrics"}, false},
	        {"[{'verbs':['approve'],'apiGroups':['c'],'resources':['signers'],'resourceNames':['k/s']}]",
	         {"approve", true, "", "c", "v1", "signers", "", "", "k/s"},
	         true},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct rbac_rules rules = rules_of(arena, rows[i].rules);

		if (rbac_rules_allow(&rules, &rows[i].asked) != rows[i].allowed)
			fail_msg("row %zu: %s", i, rows[i].rules);
	}
}

static void test_covering_and_its_text(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct rbac_rules owned =
	        rules_of(arena, "[{'verbs':['get','list'],'apiGroups':[''],'resources':['pods','*/log']},"
	                        "{'verbs':['get'],'nonResourceURLs':['/healthz*']},"
	                        "{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],"
	                        "'resourceNames':['a']}]");
	struct rbac_rules wanted, missing;
	(void)state;

	wanted = rules_of(arena, "[{'verbs':['get'],'apiGroups':[''],'resources':['pods','nodes/log']},"
	                         "{'verbs':['get'],'nonResourceURLs':['/healthz/etcd']},"
	                         "{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':['a']}]");
	assert_true(rbac_rules_cover(arena, &owned, &wanted, &missing));
	wanted = rules_of(arena, "[{'verbs':['get','watch','delete'],'apiGroups':[''],'resources':['pods']},"
	                         "{'verbs':['get'],'apiGroups':[''],'resources':['secrets']},"
	                         "{'verbs':['get'],'nonResourceURLs':['/metrics']}]");
	assert_false(rbac_rules_cover(arena, &owned, &wanted, &missing));
	assert_string_equal(rbac_rules_describe(arena, &missing),
	                    "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"watch\" \"delete\"]}\n"
	                    "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}\n"
	                    "{NonResourceURLs:[\"/metrics\"], Verbs:[\"get\"]}");
}

struct indexed {
	struct rbac *rbac;
	struct arena *arena;
};

static struct authorization_answer decide(struct indexed *indexed, const char *name, const char *group,
                                          struct authorization_attributes asked)
{
	const char *groups[] = {group};
	const struct user user = {.name = name, .groups = groups, .group_count = group ? 1 : 0};
	struct authorizer *authorizer = rbac_authorizer(indexed->rbac);
	struct authorization_answer answer;

	assert_false(authorizer->decide(authorizer, indexed->arena, &user, &asked, &answer));
	return answer;
}

static void test_the_index_follows(void **state)
{
	struct indexed indexed = {.rbac = rbac_new(NULL), .arena = arena_new(0)};
	struct json *role = parse(indexed.arena, "{'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]}");
	struct json *more = parse(indexed.arena, "{'rules':[{'verbs':['*'],'apiGroups':[''],'resources':['pods']}]}");
	struct json *binding =
	        parse(indexed.arena,
	              "{'roleRef':{'kind':'Role','name':'r'},'subjects':[{'kind':'User','name':'jane'},"
	              "{'kind':'Group','name':'devs'},{'kind':'ServiceAccount','name':'bot','namespace':'o'}]}");
	const struct authorization_attributes get = ask("get", "", "pods", "", "n", "p"),
	                                      drop = ask("delete", "", "pods", "", "n", "p"),
	                                      elsewhere = ask("get", "", "pods", "", "m", "p");
	(void)state;

	rbac_put(indexed.rbac, RBAC_ROLE_BINDINGS, "n", "b", binding);
	assert_string_equal(decide(&indexed, "jane", NULL, get).reason,
	                    "RBAC: role.rbac.authorization.k8s.io \"r\" not found");
	rbac_put(indexed.rbac, RBAC_ROLES, "n", "r", role);
	assert_string_equal(decide(&indexed, "jane", NULL, get).reason,
	                    "RBAC: allowed by RoleBinding \"b/n\" of Role \"r\" to User \"jane\"");
	assert_int_equal(decide(&indexed, "joe", "devs", get).decision, AUTHORIZATION_ALLOWED);
	assert_string_equal(decide(&indexed, "system:serviceaccount:o:bot", NULL, get).reason,
	                    "RBAC: allowed by RoleBinding \"b/n\" of Role \"r\" to ServiceAccount \"bot/o\"");
	assert_int_equal(decide(&indexed, "jane", NULL, elsewhere).decision, AUTHORIZATION_NO_OPINION);
	assert_int_equal(decide(&indexed, "jane", NULL, drop).decision, AUTHORIZATION_NO_OPINION);
	rbac_put(indexed.rbac, RBAC_ROLES, "n", "r", more);
	assert_int_equal(decide(&indexed, "jane", NULL, drop).decision, AUTHORIZATION_ALLOWED);
	rbac_put(indexed.rbac, RBAC_ROLE_BINDINGS, "n", "b",
	         parse(indexed.arena,
	               "{'roleRef':{'kind':'Role','name':'r'},'subjects':[{'kind':'User','name':'joe'}]}"));
	assert_int_equal(decide(&indexed, "jane", NULL, get).decision, AUTHORIZATION_NO_OPINION);
	assert_int_equal(decide(&indexed, "joe", NULL, get).decision, AUTHORIZATION_ALLOWED);
	rbac_remove(indexed.rbac, RBAC_ROLES, "n", "r");
	assert_int_equal(decide(&indexed, "joe", NULL, get).decision, AUTHORIZATION_NO_OPINION);
	rbac_remove(indexed.rbac, RBAC_ROLE_BINDINGS, "n", "b");
	assert_string_equal(decide(&indexed, "joe", NULL, get).reason, "");
	rbac_authorizer(indexed.rbac)->free(rbac_authorizer(indexed.rbac));
	arena_free(indexed.arena);
}

static void test_the_policy(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct policy_object object;
	size_t cursor = 0, counts[RBAC_KIND_COUNT_] = {0};
	struct rbac_rules rules;
	(void)state;

	while (policy_next(&cursor, &object)) {
		const struct json *tree = policy_to_json(arena, &object);

		counts[object.kind]++;
		assert_string_equal(json_text(json_path(tree, "metadata", "name")), object.name);
		assert_non_null(policy_resource(object.kind));
		if (object.kind == RBAC_ROLE_BINDINGS || object.kind == RBAC_CLUSTER_ROLE_BINDINGS)
			assert_non_null(json_text(json_path(tree, "roleRef", "name")));
	}
	assert_in_range(counts[RBAC_CLUSTER_ROLES], 60, 70);
	assert_int_equal(counts[RBAC_CLUSTER_ROLE_BINDINGS], 47);
	assert_int_equal(counts[RBAC_ROLES], 7);
	assert_int_equal(counts[RBAC_ROLE_BINDINGS], 7);
	policy_rules(arena, "cluster-admin", &rules);
	assert_int_equal(rules.count, 2);
}

static void test_reconciling(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *wanted = parse(
	        arena,
	        "{'metadata':{'labels':{'a':'b'},'annotations':{'rbac.authorization.kubernetes.io/autoupdate':'true'}},"
	        "'rules':[{'verbs':['get','list'],'apiGroups':[''],'resources':['pods']}]}");
	struct json *stored = parse(arena, "{'metadata':{'labels':{'own':'x'}},'rules':[{'verbs':['get','delete'],"
	                                   "'apiGroups':[''],'resources':['pods']}]}");
	(void)state;

	assert_true(policy_reconcile_object(arena, stored, wanted));
	assert_string_equal(json_text(json_path(stored, "metadata", "labels", "own")), "x");
	assert_string_equal(json_text(json_path(stored, "metadata", "labels", "a")), "b");
	assert_int_equal(json_get(stored, "rules")->length, 2); // what it had, and the missing list
	assert_false(policy_reconcile_object(arena, stored, wanted));
	json_remove(stored, "rules");
	json_set_text(arena, json_get(json_get(stored, "metadata"), "annotations"),
	              "rbac.authorization.kubernetes.io/autoupdate", "false");
	assert_false(policy_reconcile_object(arena, stored, wanted));
	assert_true(policy_reconcile_must_replace(parse(arena, "{'roleRef':{'kind':'Role','name':'a'}}"),
	                                          parse(arena, "{'roleRef':{'kind':'Role','name':'b'}}")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_rules_match),       cmocka_unit_test(test_covering_and_its_text),
	        cmocka_unit_test(test_the_index_follows), cmocka_unit_test(test_the_policy),
	        cmocka_unit_test(test_reconciling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
