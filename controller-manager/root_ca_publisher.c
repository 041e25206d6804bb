// SPDX-License-Identifier: Apache-2.0
//
// root-ca-certificate-publisher-controller: every namespace has a ConfigMap
// kube-root-ca.crt with the CA certificate of --root-ca-file, which pods mount to
// know the apiserver by. A changed or deleted one is put right. Keys are names of
// namespaces.
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"

#define MAP_NAME "kube-root-ca.crt"
#define DATA_KEY "ca.crt"
#define DESCRIPTION_ANNOTATION "kubernetes.io/description"
#define DESCRIPTION "The CA certificates by which the kube-apiserver's internal addresses can be verified."

enum { MAX_CA_BYTES = 512 * 1024 };

struct root_ca_publisher {
	struct informer *namespaces;
	struct informer *maps;
	char *certificate;
};

static void on_map(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	controller_enqueue(controller, (new_object ? new_object : old_object)->namespace_name);
}

static void on_namespace(struct controller *controller, struct api_object *old_object UNUSED,
                         struct api_object *new_object)
{
	if (new_object)
		controller_enqueue(controller, new_object->name);
}

static int start(struct controller *controller, struct err *err)
{
	const char *path = controller_settings(controller)->root_ca_file;
	const struct informer_config maps = {
	        .resource = &schema_resource_core_v1_configmaps,
	        .field_selector = "metadata.name=" MAP_NAME,
	};
	struct root_ca_publisher *state = NEW(struct root_ca_publisher);
	controller_set_state(controller, state);
	if (!path || !*path)
		return 0;
	AUTO_STRBUF struct strbuf content = STRBUF_INIT(MAX_CA_BYTES);
	if (file_read(path, &content, err) < 0)
		return err_wrap(err, "read --root-ca-file");
	state->certificate = strbuf_take(&content, NULL);
	state->namespaces = controller_watch(controller, &schema_resource_core_v1_namespaces, on_namespace);
	state->maps = controller_watch_with(controller, &maps, on_map);
	return 0;
}

static void stop(struct controller *controller)
{
	struct root_ca_publisher *state = controller_state(controller);
	free(state->certificate);
	free(state);
}

static void create_map(struct reconcile *reconcile, const char *namespace_name, const char *certificate)
{
	struct core_v1_config_map map = {
	        .api_version = "v1",
	        .kind = "ConfigMap",
	        .metadata = {.name = MAP_NAME, .namespace = namespace_name},
	};
	string_map_set(reconcile_arena(reconcile), &map.metadata.annotations, DESCRIPTION_ANNOTATION, DESCRIPTION);
	string_map_set(reconcile_arena(reconcile), &map.data, DATA_KEY, certificate);
	reconcile_create(reconcile, &schema_resource_core_v1_configmaps, namespace_name, &map, NULL, NULL);
}

// Other keys go away too: the map is ours as a whole.
static void repair_map(struct reconcile *reconcile, const struct api_object *object, const char *certificate)
{
	struct arena *arena = reconcile_arena(reconcile);
	const struct core_v1_config_map *map = object->view;
	struct json *patch = json_object(arena);
	struct json *data = json_ensure_object(arena, patch, "data");
	for (size_t i = 0; i < map->data.count; i++)
		json_set(arena, data, map->data.entries[i].key, json_null(arena));
	json_set_text(arena, data, DATA_KEY, certificate);
	reconcile_patch(reconcile, object, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static void reconcile_namespace(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct root_ca_publisher *state = controller_state(controller);
	struct api_object *object = informer_get(state->namespaces, NULL, key);
	if (!object || api_object_metadata(object)->deletion_timestamp)
		return;
	struct api_object *present = informer_get(state->maps, key, MAP_NAME);
	if (!present) {
		create_map(reconcile, key, state->certificate);
		return;
	}
	const struct core_v1_config_map *map = present->view;
	const char *certificate = string_map_get(&map->data, DATA_KEY);
	if (map->data.count != 1 || !certificate || strcmp(certificate, state->certificate) != 0)
		repair_map(reconcile, present, state->certificate);
}

const struct controller_type root_ca_publisher_controller = {
        .name = "root-ca-certificate-publisher-controller",
        .start = start,
        .reconcile = reconcile_namespace,
        .stop = stop,
};
