// SPDX-License-Identifier: Apache-2.0
// The graph, flattened to the questions that are asked of it:
//
//   nodes:   node ─► {"kind:ns/name" ─► how many of its pods refer to it}
//   pods:    "ns/name" ─► its node and what it refers to
//   volumes: name ─► the claim it is bound to, the secrets it needs
//   secrets: "ns/name" ─► names of volumes that need it
//   attachments: name ─► node
//
// A volume is reached through its claim, a secret of a volume through the volume.
// Mirror pods lead nowhere: a node makes them itself, and could name any secret.

#include "apiserver/authorization/node_graph.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	GRAPH_KEY_BYTES = 1024,
};

struct graph_pod {
	struct arena *arena;
	const char *node;
	const char **references;
	size_t count;
	size_t capacity;
};

struct graph_volume {
	struct arena *arena;
	const char *claim; // key of NODE_GRAPH_CLAIM; NULL: not bound
	const char **secrets;
	size_t secret_count;
};

// The volumes that need one secret.
struct volume_names {
	char **items;
	size_t count;
};

struct node_graph {
	pthread_rwlock_t lock;
	struct hashmap *nodes;
	struct hashmap *pods;
	struct hashmap *volumes;
	struct hashmap *secrets;
	struct hashmap *attachments;
};

static const char *key_of(char *out, enum node_graph_kind kind, const char *namespace_name, const char *name)
{
	snprintf(out, GRAPH_KEY_BYTES, "%c:%s/%s", 'a' + (int)kind, namespace_name, name);
	return out;
}

// --- what a node's pods refer to ---------------------------------------------------------------

static void count_reference(struct node_graph *graph, const char *node, const char *key, int by)
{
	struct hashmap *references = hashmap_get(graph->nodes, node);
	uintptr_t count;

	if (!references) {
		references = hashmap_new(NULL);
		hashmap_put(graph->nodes, node, references);
	}
	count = (uintptr_t)hashmap_get(references, key) + (uintptr_t)by;
	if (count)
		hashmap_put(references, key, (void *)count); // NOLINT: a number in a pointer's place
	else
		hashmap_remove(references, key);
	if (!hashmap_count(references))
		hashmap_remove(graph->nodes, node);
}

static void refer(struct graph_pod *pod, enum node_graph_kind kind, const char *namespace_name, const char *name)
{
	char key[GRAPH_KEY_BYTES];

	if (text_is_empty(name) || strlen(namespace_name) + strlen(name) + 4 > sizeof(key))
		return;
	if (pod->count == pod->capacity) {
		size_t capacity = pod->capacity ? pod->capacity * 2 : 8;

		pod->references = arena_realloc(pod->arena, pod->references, pod->count * sizeof(*pod->references),
		                                capacity * sizeof(*pod->references));
		pod->capacity = capacity;
	}
	pod->references[pod->count++] = arena_strdup(pod->arena, key_of(key, kind, namespace_name, name));
}

// --- reading a pod -------------------------------------------------------------------------------

static void read_environment(struct graph_pod *pod, const char *ns, const struct json *container)
{
	json_for_each_item (source, json_get(container, "envFrom")) {
		refer(pod, NODE_GRAPH_SECRET, ns, json_text(json_path(source, "secretRef", "name")));
		refer(pod, NODE_GRAPH_CONFIG_MAP, ns, json_text(json_path(source, "configMapRef", "name")));
	}
	json_for_each_item (variable, json_get(container, "env")) {
		const struct json *from = json_get(variable, "valueFrom");

		refer(pod, NODE_GRAPH_SECRET, ns, json_text(json_path(from, "secretKeyRef", "name")));
		refer(pod, NODE_GRAPH_CONFIG_MAP, ns, json_text(json_path(from, "configMapKeyRef", "name")));
	}
}

static void read_containers(struct graph_pod *pod, const char *ns, const struct json *spec)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_get(spec, lists[i]))
			read_environment(pod, ns, container);
}

// Volume sources that name a secret of the pod's namespace: {source, member[, its name]}.
static const char *const secret_members[][3] = {
        {"secret", "secretName", NULL},      {"azureFile", "secretName", NULL},
        {"cephfs", "secretRef", "name"},     {"csi", "nodePublishSecretRef", "name"},
        {"flexVolume", "secretRef", "name"}, {"iscsi", "secretRef", "name"},
        {"rbd", "secretRef", "name"},        {"scaleIO", "secretRef", "name"},
        {"storageos", "secretRef", "name"},
};

static void read_volume(struct graph_pod *pod, const char *ns, const char *pod_name, const struct json *volume)
{
	char claim[GRAPH_KEY_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(secret_members); i++)
		refer(pod, NODE_GRAPH_SECRET, ns,
		      json_text(json_path_(volume, (const char *const[]){secret_members[i][0], secret_members[i][1],
		                                                         secret_members[i][2], NULL})));
	refer(pod, NODE_GRAPH_CONFIG_MAP, ns, json_text(json_path(volume, "configMap", "name")));
	refer(pod, NODE_GRAPH_CLAIM, ns, json_text(json_path(volume, "persistentVolumeClaim", "claimName")));
	if (json_is(json_get(volume, "ephemeral"), JSON_OBJECT)) {
		snprintf(claim, sizeof(claim), "%s-%s", pod_name, text_or_empty(json_get_text(volume, "name")));
		refer(pod, NODE_GRAPH_CLAIM, ns, claim);
	}
	json_for_each_item (source, json_path(volume, "projected", "sources")) {
		refer(pod, NODE_GRAPH_SECRET, ns, json_text(json_path(source, "secret", "name")));
		refer(pod, NODE_GRAPH_CONFIG_MAP, ns, json_text(json_path(source, "configMap", "name")));
	}
}

static void read_references(struct graph_pod *pod, const char *ns, const char *name, const struct json *object)
{
	const struct json *spec = json_get(object, "spec");

	refer(pod, NODE_GRAPH_SERVICE_ACCOUNT, ns, json_get_text(spec, "serviceAccountName"));
	json_for_each_item (secret, json_get(spec, "imagePullSecrets"))
		refer(pod, NODE_GRAPH_SECRET, ns, json_get_text(secret, "name"));
	read_containers(pod, ns, spec);
	json_for_each_item (volume, json_get(spec, "volumes"))
		read_volume(pod, ns, name, volume);
	json_for_each_item (claim, json_get(spec, "resourceClaims"))
		refer(pod, NODE_GRAPH_RESOURCE_CLAIM, ns, json_get_text(claim, "resourceClaimName"));
	json_for_each_item (claim, json_path(object, "status", "resourceClaimStatuses"))
		refer(pod, NODE_GRAPH_RESOURCE_CLAIM, ns, json_get_text(claim, "resourceClaimName"));
}

static void drop_pod(struct node_graph *graph, const char *key)
{
	struct graph_pod *pod = hashmap_take(graph->pods, key);

	for (size_t i = 0; pod && i < pod->count; i++)
		count_reference(graph, pod->node, pod->references[i], -1);
	if (pod)
		arena_free(pod->arena);
}

static bool is_mirror(const struct json *pod)
{
	return json_text(json_path(pod, "metadata", "annotations", "kubernetes.io/config.mirror")) != NULL;
}

void node_graph_put_pod(struct node_graph *graph, const char *namespace_name, const char *name,
                        const struct json *object)
{
	const char *node = text_or_empty(json_text(json_path(object, "spec", "nodeName")));
	struct arena *arena = arena_new(512);
	struct graph_pod *pod = ARENA_NEW(arena, struct graph_pod);
	char key[GRAPH_KEY_BYTES];

	pod->arena = arena;
	pod->node = arena_strdup(arena, node);
	refer(pod, NODE_GRAPH_POD, namespace_name, name);
	if (!is_mirror(object))
		read_references(pod, namespace_name, name, object);
	key_of(key, NODE_GRAPH_POD, namespace_name, name);
	pthread_rwlock_wrlock(&graph->lock);
	drop_pod(graph, key);
	if (node[0]) {
		for (size_t i = 0; i < pod->count; i++)
			count_reference(graph, pod->node, pod->references[i], 1);
		hashmap_put(graph->pods, key, pod);
	}
	pthread_rwlock_unlock(&graph->lock);
	if (!node[0])
		arena_free(arena);
}

void node_graph_remove_pod(struct node_graph *graph, const char *namespace_name, const char *name)
{
	char key[GRAPH_KEY_BYTES];

	pthread_rwlock_wrlock(&graph->lock);
	drop_pod(graph, key_of(key, NODE_GRAPH_POD, namespace_name, name));
	pthread_rwlock_unlock(&graph->lock);
}

// --- volumes ------------------------------------------------------------------------------------

static void free_names(void *value)
{
	struct volume_names *names = value;

	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	free(names);
}

static void need_secret(struct node_graph *graph, const char *secret, const char *volume)
{
	struct volume_names *names = hashmap_get(graph->secrets, secret);

	if (!names) {
		names = NEW(struct volume_names);
		hashmap_put(graph->secrets, secret, names);
	}
	names->items = xreallocarray(names->items, names->count + 1, sizeof(*names->items));
	names->items[names->count++] = xstrdup(volume);
}

static void need_secret_no_more(struct node_graph *graph, const char *secret, const char *volume)
{
	struct volume_names *names = hashmap_get(graph->secrets, secret);

	for (size_t i = 0; names && i < names->count; i++)
		if (!strcmp(names->items[i], volume)) {
			free(names->items[i]);
			names->items[i] = names->items[--names->count];
			break;
		}
	if (names && !names->count)
		hashmap_remove(graph->secrets, secret);
}

static void drop_volume(struct node_graph *graph, const char *name)
{
	struct graph_volume *volume = hashmap_take(graph->volumes, name);

	for (size_t i = 0; volume && i < volume->secret_count; i++)
		need_secret_no_more(graph, volume->secrets[i], name);
	if (volume)
		arena_free(volume->arena);
}

static const struct {
	const char *source;
	const char *reference;
} volume_secrets[] = {
        {"azureFile", "secretName"},   {"cephfs", "secretRef"},        {"csi", "nodePublishSecretRef"},
        {"csi", "nodeStageSecretRef"}, {"csi", "nodeExpandSecretRef"}, {"flexVolume", "secretRef"},
        {"iscsi", "secretRef"},        {"rbd", "secretRef"},           {"scaleIO", "secretRef"},
        {"storageos", "secretRef"},
};

static void read_volume_secret(struct graph_volume *volume, const struct json *source, const char *reference,
                               const char *claim_namespace)
{
	const struct json *value = json_get(source, reference);
	const char *name = json_is(value, JSON_STRING) ? json_text(value) : json_get_text(value, "name");
	const char *ns = json_get_text(json_is(value, JSON_STRING) ? source : value,
	                               json_is(value, JSON_STRING) ? "secretNamespace" : "namespace");
	char key[GRAPH_KEY_BYTES];

	if (text_is_empty(name))
		return;
	volume->secrets[volume->secret_count++] = arena_strdup(
	        volume->arena, key_of(key, NODE_GRAPH_SECRET, text_is_empty(ns) ? claim_namespace : ns, name));
}

void node_graph_put_volume(struct node_graph *graph, const char *name, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *claim = json_get(spec, "claimRef");
	struct arena *arena = arena_new(256);
	struct graph_volume *volume = ARENA_NEW(arena, struct graph_volume);
	const char *claim_namespace = text_or_empty(json_get_text(claim, "namespace"));
	char key[GRAPH_KEY_BYTES];

	volume->arena = arena;
	volume->secrets = ARENA_ARRAY(arena, const char *, ARRAY_SIZE(volume_secrets));
	if (json_get_text(claim, "name"))
		volume->claim = arena_strdup(
		        arena, key_of(key, NODE_GRAPH_CLAIM, claim_namespace, json_get_text(claim, "name")));
	for (size_t i = 0; i < ARRAY_SIZE(volume_secrets); i++)
		read_volume_secret(volume, json_get(spec, volume_secrets[i].source), volume_secrets[i].reference,
		                   claim_namespace);
	pthread_rwlock_wrlock(&graph->lock);
	drop_volume(graph, name);
	for (size_t i = 0; i < volume->secret_count; i++)
		need_secret(graph, volume->secrets[i], name);
	hashmap_put(graph->volumes, name, volume);
	pthread_rwlock_unlock(&graph->lock);
}

void node_graph_remove_volume(struct node_graph *graph, const char *name)
{
	pthread_rwlock_wrlock(&graph->lock);
	drop_volume(graph, name);
	pthread_rwlock_unlock(&graph->lock);
}

// --- attachments ----------------------------------------------------------------------------------

void node_graph_put_attachment(struct node_graph *graph, const char *name, const struct json *attachment)
{
	const char *node = json_text(json_path(attachment, "spec", "nodeName"));

	pthread_rwlock_wrlock(&graph->lock);
	if (node)
		hashmap_put(graph->attachments, name, xstrdup(node));
	else
		hashmap_remove(graph->attachments, name);
	pthread_rwlock_unlock(&graph->lock);
}

void node_graph_remove_attachment(struct node_graph *graph, const char *name)
{
	pthread_rwlock_wrlock(&graph->lock);
	hashmap_remove(graph->attachments, name);
	pthread_rwlock_unlock(&graph->lock);
}

// --- asking -----------------------------------------------------------------------------------------

static bool reaches_volume(const struct node_graph *graph, const struct hashmap *references, const char *name)
{
	const struct graph_volume *volume = hashmap_get(graph->volumes, name);

	return references && volume && volume->claim && hashmap_get(references, volume->claim);
}

static bool reaches_by_volume(const struct node_graph *graph, const struct hashmap *references, const char *secret)
{
	const struct volume_names *names = hashmap_get(graph->secrets, secret);

	for (size_t i = 0; names && i < names->count; i++)
		if (reaches_volume(graph, references, names->items[i]))
			return true;
	return false;
}

static bool reaches(const struct node_graph *graph, const char *node, enum node_graph_kind kind,
                    const char *namespace_name, const char *name)
{
	const struct hashmap *references = hashmap_get(graph->nodes, node);
	const char *attached;
	char key[GRAPH_KEY_BYTES];

	if (kind == NODE_GRAPH_ATTACHMENT) {
		attached = hashmap_get(graph->attachments, name);
		return attached && !strcmp(attached, node);
	}
	if (kind == NODE_GRAPH_VOLUME)
		return reaches_volume(graph, references, name);
	key_of(key, kind, namespace_name, name);
	return references && (hashmap_get(references, key) ||
	                      (kind == NODE_GRAPH_SECRET && reaches_by_volume(graph, references, key)));
}

bool node_graph_reaches(struct node_graph *graph, const char *node, enum node_graph_kind kind,
                        const char *namespace_name, const char *name)
{
	bool found;

	pthread_rwlock_rdlock(&graph->lock);
	found = reaches(graph, node, kind, namespace_name, name);
	pthread_rwlock_unlock(&graph->lock);
	return found;
}

// --- making and forgetting ---------------------------------------------------------------------------

static void free_references(void *references)
{
	hashmap_free(references);
}

static void forget_pods(struct node_graph *graph)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	while (hashmap_next(graph->pods, &cursor))
		arena_free(((struct graph_pod *)cursor.value)->arena);
	hashmap_clear(graph->pods);
	hashmap_clear(graph->nodes);
}

static void forget_volumes(struct node_graph *graph)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	while (hashmap_next(graph->volumes, &cursor))
		arena_free(((struct graph_volume *)cursor.value)->arena);
	hashmap_clear(graph->volumes);
	hashmap_clear(graph->secrets);
}

void node_graph_forget(struct node_graph *graph, enum node_graph_kind source)
{
	pthread_rwlock_wrlock(&graph->lock);
	if (source == NODE_GRAPH_POD)
		forget_pods(graph);
	else if (source == NODE_GRAPH_VOLUME)
		forget_volumes(graph);
	else
		hashmap_clear(graph->attachments);
	pthread_rwlock_unlock(&graph->lock);
}

struct node_graph *node_graph_new(void)
{
	struct node_graph *graph = NEW(struct node_graph);

	pthread_rwlock_init(&graph->lock, NULL);
	graph->nodes = hashmap_new(free_references);
	graph->pods = hashmap_new(NULL);
	graph->volumes = hashmap_new(NULL);
	graph->secrets = hashmap_new(free_names);
	graph->attachments = hashmap_new(free);
	return graph;
}

struct node_graph *node_graph_free(struct node_graph *graph)
{
	if (!graph)
		return NULL;
	forget_pods(graph);
	forget_volumes(graph);
	hashmap_free(graph->nodes);
	hashmap_free(graph->pods);
	hashmap_free(graph->volumes);
	hashmap_free(graph->secrets);
	hashmap_free(graph->attachments);
	pthread_rwlock_destroy(&graph->lock);
	free(graph);
	return NULL;
}
