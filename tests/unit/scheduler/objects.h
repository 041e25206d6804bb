// SPDX-License-Identifier: Apache-2.0
#pragma once
// Nodes and pods from short YAML, for the tests of the scheduler.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/api/yaml.h"
#include "common/base/memory.h"
#include "scheduler/cache.h"
#include "scheduler/pod_info.h"

static inline struct api_object *make_object(const char *plural, const char *text)
{
	struct arena *arena = arena_new(0);
	struct yaml_document *documents;
	size_t count;
	struct err err = ERR_INIT;
	struct api_object *object = NULL;
	if (yaml_parse(arena, text, strlen(text), NULL, &documents, &count, &err) < 0 || count != 1)
		fail_msg("%s: %s", err.message, text);
	if (api_object_new(schema_find_resource("", "v1", plural), documents[0].value, &object, &err) < 0)
		fail_msg("%s: %s", err.message, text);
	arena_free(arena);
	return object;
}

// `rest`: further members of spec, in flow style ("nodeName: a, tolerations: […]"), "" for none.
static inline struct pod_info *make_pod(const char *name, const char *requests, const char *rest)
{
	AUTO_FREE char *text =
	        xasprintf("metadata: {name: %s, namespace: ns, uid: uid-%s, resourceVersion: '1'}\n"
	                  "spec: {containers: [{name: c, image: app, resources: {requests: {%s}}}]%s%s}\n",
	                  name, name, requests, rest[0] ? ", " : "", rest);
	struct api_object *object = make_object("pods", text);
	struct pod_info *info = pod_info_new(object);
	api_object_unref(object);
	return info;
}

// `allocatable` in flow style; `rest`: further members of the node ("spec: {…}"), "" for none.
static inline struct api_object *make_node(const char *name, const char *allocatable, const char *labels,
                                           const char *rest)
{
	AUTO_FREE char *text = xasprintf("metadata: {name: %s, uid: uid-%s, labels: {%s}}\n"
	                                 "status: {allocatable: {%s}}\n%s\n",
	                                 name, name, labels, allocatable, rest);
	return make_object("nodes", text);
}

static inline void put_node(struct cache *cache, const char *name, const char *allocatable, const char *labels,
                            const char *rest)
{
	struct api_object *node = make_node(name, allocatable, labels, rest);
	cache_set_node(cache, node);
	api_object_unref(node);
}

static inline void put_pod(struct cache *cache, const char *name, const char *node, const char *requests)
{
	AUTO_FREE char *rest = xasprintf("nodeName: %s", node);
	struct pod_info *info = make_pod(name, requests, rest);
	cache_set_pod(cache, info);
	pod_info_unref(info);
}
