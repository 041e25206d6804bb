// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "apiserver/authorization/node_graph.h"

struct fixture {
	struct node_graph *graph;
	struct arena *arena;
};

static int setup(void **state)
{
	struct fixture *fixture = malloc(sizeof(*fixture));

	fixture->graph = node_graph_new();
	fixture->arena = arena_new(0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	node_graph_free(fixture->graph);
	arena_free(fixture->arena);
	free(fixture);
	return 0;
}

static struct json *parse(struct fixture *fixture, const char *text)
{
	struct json *value = NULL;
	char *copy = arena_strdup(fixture->arena, text);

	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	assert_int_equal(json_parse(fixture->arena, copy, strlen(copy), NULL, &value, NULL), 0);
	return value;
}

#define POD                                                                                                         \
	"{'metadata':{'name':'p'},'spec':{'nodeName':'n1','serviceAccountName':'bot','imagePullSecrets':[{'name':"  \
	"'pull'}],'containers':[{'env':[{'valueFrom':{'secretKeyRef':{'name':'env'}}}],'envFrom':[{'configMapRef':" \
	"{'name':'from'}}]}],'ephemeralContainers':[{'envFrom':[{'secretRef':{'name':'debug'}}]}],'volumes':["      \
	"{'name':'a','secret':{'secretName':'mounted'}},{'name':'b','projected':{'sources':[{'secret':{'name':"     \
	"'projected'}},{'configMap':{'name':'pcm'}}]}},{'name':'c','persistentVolumeClaim':{'claimName':'claim'}}," \
	"{'name':'d','ephemeral':{}}]}}"

static void test_a_pod_reaches_what_it_names(void **state)
{
	static const struct {
		enum node_graph_kind kind;
		const char *name;
	} reached[] = {
	        {NODE_GRAPH_POD, "p"},          {NODE_GRAPH_SERVICE_ACCOUNT, "bot"}, {NODE_GRAPH_SECRET, "pull"},
	        {NODE_GRAPH_SECRET, "env"},     {NODE_GRAPH_CONFIG_MAP, "from"},     {NODE_GRAPH_SECRET, "debug"},
	        {NODE_GRAPH_SECRET, "mounted"}, {NODE_GRAPH_SECRET, "projected"},    {NODE_GRAPH_CONFIG_MAP, "pcm"},
	        {NODE_GRAPH_CLAIM, "claim"},    {NODE_GRAPH_CLAIM, "p-d"},
	};
	struct fixture *fixture = *state;

	node_graph_put_pod(fixture->graph, "ns", "p", parse(fixture, POD));
	for (size_t i = 0; i < sizeof(reached) / sizeof(*reached); i++) {
		assert_true(node_graph_reaches(fixture->graph, "n1", reached[i].kind, "ns", reached[i].name));
		assert_false(node_graph_reaches(fixture->graph, "n2", reached[i].kind, "ns", reached[i].name));
		assert_false(node_graph_reaches(fixture->graph, "n1", reached[i].kind, "other", reached[i].name));
	}
	assert_false(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_SECRET, "ns", "else"));
	node_graph_remove_pod(fixture->graph, "ns", "p");
	for (size_t i = 0; i < sizeof(reached) / sizeof(*reached); i++)
		assert_false(node_graph_reaches(fixture->graph, "n1", reached[i].kind, "ns", reached[i].name));
}

static void test_two_pods_count(void **state)
{
	struct fixture *fixture = *state;
	struct json *pod = parse(fixture, POD);

	node_graph_put_pod(fixture->graph, "ns", "p", pod);
	node_graph_put_pod(fixture->graph, "ns", "q", pod);
	node_graph_remove_pod(fixture->graph, "ns", "p");
	assert_true(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_SECRET, "ns", "mounted"));
	node_graph_put_pod(fixture->graph, "ns", "q", pod); // seen again: still once
	node_graph_remove_pod(fixture->graph, "ns", "q");
	assert_false(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_SECRET, "ns", "mounted"));
}

static void test_mirror_pods_open_nothing(void **state)
{
	struct fixture *fixture = *state;

	node_graph_put_pod(fixture->graph, "ns", "m",
	                   parse(fixture, "{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}},'spec':{"
	                                  "'nodeName':'n1','volumes':[{'secret':{'secretName':'s'}}]}}"));
	assert_true(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_POD, "ns", "m"));
	assert_false(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_SECRET, "ns", "s"));
}

static void test_volumes_through_claims(void **state)
{
	struct fixture *fixture = *state;
	struct json *volume =
	        parse(fixture, "{'spec':{'claimRef':{'namespace':'ns','name':'claim'},'csi':{'nodePublishSecretRef':"
	                       "{'name':'mount','namespace':'vol'},'controllerPublishSecretRef':{'name':'ctl',"
	                       "'namespace':'vol'}}}}");

	node_graph_put_volume(fixture->graph, "pv", volume);
	assert_false(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_VOLUME, "", "pv"));
	node_graph_put_pod(fixture->graph, "ns", "p", parse(fixture, POD));
	assert_true(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_VOLUME, "", "pv"));
	assert_true(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_SECRET, "vol", "mount"));
	assert_false(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_SECRET, "vol", "ctl"));
	assert_false(node_graph_reaches(fixture->graph, "n2", NODE_GRAPH_VOLUME, "", "pv"));
	node_graph_remove_volume(fixture->graph, "pv");
	assert_false(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_SECRET, "vol", "mount"));
	node_graph_put_attachment(fixture->graph, "va", parse(fixture, "{'spec':{'nodeName':'n1'}}"));
	assert_true(node_graph_reaches(fixture->graph, "n1", NODE_GRAPH_ATTACHMENT, "", "va"));
	assert_false(node_graph_reaches(fixture->graph, "n2", NODE_GRAPH_ATTACHMENT, "", "va"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_a_pod_reaches_what_it_names, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_two_pods_count, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_mirror_pods_open_nothing, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_volumes_through_claims, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
