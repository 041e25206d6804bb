// SPDX-License-Identifier: Apache-2.0
// A kubelet reads what its own pods use (node_graph.c), writes its own objects,
// and besides has the rules of system:node. Which fields of which objects it may
// write is NodeRestriction's matter, in admission.
//
// A row for each resource that is subdivided; everything else is the rules'.

#include <stdatomic.h>
#include <string.h>

#include "apiserver/authorization/authorizers.h"
#include "apiserver/authorization/follower.h"
#include "apiserver/authorization/node_graph.h"
#include "apiserver/bootstrap/policy.h"
#include "apiserver/server.h"
#include "common/base/memory.h"

enum {
	NODE_FEEDS = 3,
};

struct node_authorizer {
	struct authorizer authorizer;
	struct server *server;
	struct node_graph *graph;
	struct arena *arena;
	struct rbac_rules rules;
	struct node_feed {
		struct node_authorizer *node;
		struct follower follower;
		bool listed;
	} feeds[NODE_FEEDS];
	atomic_int listed;
};

struct question {
	struct node_graph *graph;
	struct arena *arena;
	const char *node;
	const struct authorization_attributes *attributes;
	enum node_graph_kind kind;
	const char *reason; // of no opinion
};

static bool is_one_of(const char *verb, const char *verbs)
{
	size_t length = strlen(verb);

	for (const char *at = verbs; (at = strstr(at, verb)); at += length)
		if ((at == verbs || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static bool refuse(struct question *question, const char *reason)
{
	question->reason = reason;
	return false;
}

static bool check_graph(struct question *question)
{
	const struct authorization_attributes *attributes = question->attributes;

	if (!attributes->name[0])
		return refuse(question, "No Object name found");
	if (node_graph_reaches(question->graph, question->node, question->kind, attributes->namespace_name,
	                       attributes->name))
		return true;
	return refuse(question, arena_printf(question->arena, "no relationship found between node '%s' and this object",
	                                     question->node));
}

// --- the resources ----------------------------------------------------------------------------

static bool check_read_namespaced(struct question *question)
{
	if (!is_one_of(question->attributes->verb, "get list watch"))
		return refuse(question, "can only read resources of this type");
	if (question->attributes->subresource[0])
		return refuse(question, "cannot read subresource");
	if (!question->attributes->namespace_name[0])
		return refuse(question, "can only read namespaced object of this type");
	return check_graph(question);
}

static bool check_get(struct question *question)
{
	if (strcmp(question->attributes->verb, "get") != 0)
		return refuse(question, "can only get individual resources of this type");
	if (question->attributes->subresource[0])
		return refuse(question, "cannot get subresource");
	return check_graph(question);
}

static bool check_claim(struct question *question)
{
	if (strcmp(question->attributes->subresource, "status") != 0)
		return check_get(question);
	if (!is_one_of(question->attributes->verb, "get update patch"))
		return refuse(question, "can only get/update/patch this type");
	return check_graph(question);
}

static bool check_service_account(struct question *question)
{
	const struct authorization_attributes *attributes = question->attributes;

	if (strcmp(attributes->verb, "create") != 0 || !attributes->name[0])
		return refuse(question, "can only create tokens for individual service accounts");
	if (strcmp(attributes->subresource, "token") != 0)
		return refuse(question, "can only create token subresource of serviceaccount");
	return check_graph(question);
}

static bool check_lease(struct question *question)
{
	const struct authorization_attributes *attributes = question->attributes;

	if (!is_one_of(attributes->verb, "get create update patch delete"))
		return refuse(question, "can only get, create, update, patch, or delete a node lease");
	if (strcmp(attributes->namespace_name, "kube-node-lease") != 0)
		return refuse(question, "can only access leases in the \"kube-node-lease\" system namespace");
	if (strcmp(attributes->verb, "create") != 0 && strcmp(attributes->name, question->node) != 0)
		return refuse(question, "can only access node lease with the same name as the requesting node");
	return true;
}

static bool check_csi_node(struct question *question)
{
	const struct authorization_attributes *attributes = question->attributes;

	if (!is_one_of(attributes->verb, "get create update patch delete"))
		return refuse(question, "can only get, create, update, patch, or delete a CSINode");
	if (attributes->subresource[0])
		return refuse(question, "cannot authorize CSINode subresources");
	if (strcmp(attributes->verb, "create") != 0 && strcmp(attributes->name, question->node) != 0)
		return refuse(question, "can only access CSINode with the same name as the requesting node");
	return true;
}

static bool check_node(struct question *question)
{
	const struct authorization_attributes *attributes = question->attributes;

	if (!strcmp(attributes->subresource, "status"))
		return is_one_of(attributes->verb, "update patch");
	if (attributes->subresource[0])
		return false;
	if (is_one_of(attributes->verb, "create update patch"))
		return true;
	if (!is_one_of(attributes->verb, "get list watch"))
		return false;
	if (!strcmp(attributes->name, question->node))
		return true;
	return refuse(question,
	              attributes->name[0]
	                      ? arena_printf(question->arena, "node '%s' cannot read '%s', only its own Node object",
	                                     question->node, attributes->name)
	                      : arena_printf(question->arena,
	                                     "node '%s' cannot read all nodes, only its own Node "
	                                     "object",
	                                     question->node));
}

static bool selects_own_pods(const struct question *question)
{
	const struct authorization_attributes *attributes = question->attributes;

	for (size_t i = 0; i < attributes->field_requirement_count; i++) {
		const struct authorization_requirement *row = &attributes->field_requirements[i];

		if (!strcmp(row->key, "spec.nodeName") && !strcmp(row->operator, "In") && row->value_count == 1 &&
		    !strcmp(row->values[0], question->node))
			return true;
	}
	return false;
}

static bool check_pod(struct question *question)
{
	const struct authorization_attributes *attributes = question->attributes;

	if (!strcmp(attributes->subresource, "status"))
		return is_one_of(attributes->verb, "update patch");
	if (!strcmp(attributes->subresource, "eviction"))
		return !strcmp(attributes->verb, "create");
	if (attributes->subresource[0])
		return false;
	if (is_one_of(attributes->verb, "create delete"))
		return true;
	if (!strcmp(attributes->verb, "get"))
		return check_get(question);
	if (!is_one_of(attributes->verb, "list watch"))
		return false;
	if (selects_own_pods(question))
		return true;
	if (attributes->name[0])
		return check_graph(question);
	return refuse(question, "can only list/watch pods with spec.nodeName field selector");
}

static const struct {
	const char *group;
	const char *resource;
	bool (*check)(struct question *question);
	enum node_graph_kind kind;
} checks[] = {
        {"", "configmaps", check_read_namespaced, NODE_GRAPH_CONFIG_MAP},
        {"", "nodes", check_node, 0},
        {"", "persistentvolumeclaims", check_claim, NODE_GRAPH_CLAIM},
        {"", "persistentvolumes", check_get, NODE_GRAPH_VOLUME},
        {"", "pods", check_pod, NODE_GRAPH_POD},
        {"", "secrets", check_read_namespaced, NODE_GRAPH_SECRET},
        {"", "serviceaccounts", check_service_account, NODE_GRAPH_SERVICE_ACCOUNT},
        {"coordination.k8s.io", "leases", check_lease, 0},
        {"resource.k8s.io", "resourceclaims", check_get, NODE_GRAPH_RESOURCE_CLAIM},
        {"storage.k8s.io", "csinodes", check_csi_node, 0},
        {"storage.k8s.io", "volumeattachments", check_get, NODE_GRAPH_ATTACHMENT},
};

static bool decide(struct authorizer *authorizer, struct arena *arena, const struct user *user,
                   const struct authorization_attributes *attributes, struct authorization_answer *ret_answer)
{
	struct node_authorizer *node = container_of(authorizer, struct node_authorizer, authorizer);
	struct question question = {.graph = node->graph,
	                            .arena = arena,
	                            .node = user_node_name(user),
	                            .attributes = attributes,
	                            .reason = ""};
	size_t row = 0;

	authorization_no_opinion(ret_answer, "");
	if (!question.node)
		return false;
	while (row < ARRAY_SIZE(checks) && (!attributes->is_resource || strcmp(checks[row].group, attributes->group) ||
	                                    strcmp(checks[row].resource, attributes->resource)))
		row++;
	if (row < ARRAY_SIZE(checks)) {
		question.kind = checks[row].kind;
		if (checks[row].check(&question))
			ret_answer->decision = AUTHORIZATION_ALLOWED;
		ret_answer->reason = question.reason;
	} else if (rbac_rules_allow(&node->rules, attributes)) {
		ret_answer->decision = AUTHORIZATION_ALLOWED;
	}
	return false;
}

// --- following storage --------------------------------------------------------------------------

static void put_pod(void *context, const struct stored_object *object, const struct json *tree)
{
	struct node_feed *feed = context;

	node_graph_put_pod(feed->node->graph, object->namespace_name, object->name, tree);
}

static void remove_pod(void *context, const struct stored_object *object)
{
	struct node_feed *feed = context;

	node_graph_remove_pod(feed->node->graph, object->namespace_name, object->name);
}

static void put_volume(void *context, const struct stored_object *object, const struct json *tree)
{
	struct node_feed *feed = context;

	node_graph_put_volume(feed->node->graph, object->name, tree);
}

static void remove_volume(void *context, const struct stored_object *object)
{
	struct node_feed *feed = context;

	node_graph_remove_volume(feed->node->graph, object->name);
}

static void put_attachment(void *context, const struct stored_object *object, const struct json *tree)
{
	struct node_feed *feed = context;

	node_graph_put_attachment(feed->node->graph, object->name, tree);
}

static void remove_attachment(void *context, const struct stored_object *object)
{
	struct node_feed *feed = context;

	node_graph_remove_attachment(feed->node->graph, object->name);
}

static void begin_list(void *context)
{
	static const enum node_graph_kind sources[NODE_FEEDS] = {NODE_GRAPH_POD, NODE_GRAPH_VOLUME,
	                                                         NODE_GRAPH_ATTACHMENT};
	struct node_feed *feed = context;

	node_graph_forget(feed->node->graph, sources[feed - feed->node->feeds]);
}

static void end_list(void *context)
{
	struct node_feed *feed = context;

	if (!feed->listed)
		atomic_fetch_add(&feed->node->listed, 1);
	feed->listed = true;
}

static const struct follower_type followed[NODE_FEEDS] = {
        {"", "v1", "pods", put_pod, remove_pod, begin_list, end_list},
        {"", "v1", "persistentvolumes", put_volume, remove_volume, begin_list, end_list},
        {"storage.k8s.io", "v1", "volumeattachments", put_attachment, remove_attachment, begin_list, end_list},
};

void node_authorizer_start(struct node_authorizer *node)
{
	for (size_t i = 0; i < NODE_FEEDS; i++) {
		node->feeds[i].node = node;
		follower_start(&node->feeds[i].follower, &followed[i], node->server->storage, node->server->main_loop,
		               &node->feeds[i]);
	}
}

void node_authorizer_stop(struct node_authorizer *node)
{
	for (size_t i = 0; i < NODE_FEEDS; i++)
		follower_stop(&node->feeds[i].follower);
}

bool node_authorizer_is_ready(struct node_authorizer *node)
{
	return atomic_load(&node->listed) == NODE_FEEDS;
}

static void free_node(struct authorizer *authorizer)
{
	struct node_authorizer *node = container_of(authorizer, struct node_authorizer, authorizer);

	node_graph_free(node->graph);
	arena_free(node->arena);
	free(node);
}

struct node_authorizer *node_authorizer_new(struct server *server)
{
	struct node_authorizer *node = NEW(struct node_authorizer);

	node->authorizer = (struct authorizer){.name = "Node", .decide = decide, .free = free_node};
	node->server = server;
	node->graph = node_graph_new();
	node->arena = arena_new(4096);
	policy_rules(node->arena, "system:node", &node->rules);
	return node;
}

struct authorizer *node_authorizer_authorizer(struct node_authorizer *node)
{
	return &node->authorizer;
}
