// SPDX-License-Identifier: Apache-2.0
#pragma once
// A pod decoded from its manifest, as the apiserver would give it.

#include <string.h>

#include "common/api/decode.h"
#include "common/api/yaml.h"
#include "common/client/informer.h"
#include "kubelet/pod/pod.h"

static inline UNUSED struct api_object *pod_fixture_decode(const char *manifest)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct yaml_document *documents;
	size_t count;
	struct api_object *object = NULL;
	struct err err = ERR_INIT;
	struct decode_issues issues = {0};
	const struct schema_resource *resource = schema_find_resource("", "v1", "pods");
	assert_int_equal(yaml_parse(arena, manifest, strlen(manifest), NULL, &documents, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(schema_normalize(arena, resource->type, documents[0].value, &issues, &err), 0);
	assert_int_equal(issues.count, 0);
	schema_apply_defaults(arena, resource->type, documents[0].value);
	assert_int_equal(api_object_new(resource, documents[0].value, &object, &err), 0);
	return object;
}
