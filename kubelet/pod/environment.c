// SPDX-License-Identifier: Apache-2.0
// Order, as upstream: envFrom in its order, then env in its order (each may refer to
// what stands before it and to service variables), then service variables whose
// names are still free.

#include "kubelet/pod/environment.h"

#include <ctype.h>
#include <string.h>

// --- references --------------------------------------------------------------------------

static bool is_true(const bool *flag)
{
	return flag && *flag;
}

void environment_references(const struct core_v1_container *container, struct object_bundle *bundle)
{
	for (size_t index = 0; index < container->env_from.count; index++) {
		const struct core_v1_env_from_source *source = &container->env_from.items[index];
		if (source->config_map_ref)
			object_bundle_add(bundle, OBJECT_CONFIG_MAP, source->config_map_ref->name,
			                  is_true(source->config_map_ref->optional));
		if (source->secret_ref)
			object_bundle_add(bundle, OBJECT_SECRET, source->secret_ref->name,
			                  is_true(source->secret_ref->optional));
	}
	for (size_t index = 0; index < container->env.count; index++) {
		const struct core_v1_env_var_source *source = container->env.items[index].value_from;
		if (source && source->config_map_key_ref)
			object_bundle_add(bundle, OBJECT_CONFIG_MAP, source->config_map_key_ref->name,
			                  is_true(source->config_map_key_ref->optional));
		if (source && source->secret_key_ref)
			object_bundle_add(bundle, OBJECT_SECRET, source->secret_key_ref->name,
			                  is_true(source->secret_key_ref->optional));
	}
}

// --- services -----------------------------------------------------------------------------

static const char *variable_name(struct arena *arena, const char *name)
{
	char *text = arena_strdup(arena, name);
	for (char *at = text; *at; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
	return text;
}

static void set_variable(struct arena *arena, struct string_map *map, const char *name, const char *value)
{
	string_map_set(arena, map, name, value);
}

static void add_port(struct arena *arena, struct string_map *map, const char *prefix, const char *address,
                     const struct core_v1_service_port *port)
{
	const char *protocol = port->protocol ? port->protocol : "TCP";
	char *lower = arena_strdup(arena, protocol);
	for (char *at = lower; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	const char *base = arena_printf(arena, "%s_PORT_%d_%s", prefix, port->port, variable_name(arena, protocol));
	const char *number = arena_printf(arena, "%d", port->port);
	bool is_v6 = strchr(address, ':') != NULL;
	set_variable(arena, map, base,
	             arena_printf(arena, is_v6 ? "%s://[%s]:%s" : "%s://%s:%s", lower, address, number));
	set_variable(arena, map, arena_printf(arena, "%s_PROTO", base), lower);
	set_variable(arena, map, arena_printf(arena, "%s_PORT", base), number);
	set_variable(arena, map, arena_printf(arena, "%s_ADDR", base), address);
}

static void add_service(struct arena *arena, struct string_map *map, const struct core_v1_service *service)
{
	const char *address = service->spec.cluster_ip;
	if (!address || !*address || !strcmp(address, "None") || !service->spec.ports.count)
		return;
	const char *prefix = variable_name(arena, service->metadata.name);
	const struct core_v1_service_port *first = &service->spec.ports.items[0];
	set_variable(arena, map, arena_printf(arena, "%s_SERVICE_HOST", prefix), address);
	set_variable(arena, map, arena_printf(arena, "%s_SERVICE_PORT", prefix),
	             arena_printf(arena, "%d", first->port));
	for (size_t index = 0; index < service->spec.ports.count; index++) {
		const struct core_v1_service_port *port = &service->spec.ports.items[index];
		if (port->name && *port->name)
			set_variable(
			        arena, map,
			        arena_printf(arena, "%s_SERVICE_PORT_%s", prefix, variable_name(arena, port->name)),
			        arena_printf(arena, "%d", port->port));
	}
	bool is_v6 = strchr(address, ':') != NULL;
	char *protocol = arena_strdup(arena, first->protocol ? first->protocol : "TCP");
	for (char *at = protocol; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	set_variable(arena, map, arena_printf(arena, "%s_PORT", prefix),
	             arena_printf(arena, is_v6 ? "%s://[%s]:%d" : "%s://%s:%d", protocol, address, first->port));
	for (size_t index = 0; index < service->spec.ports.count; index++)
		add_port(arena, map, prefix, address, &service->spec.ports.items[index]);
}

// --- building ------------------------------------------------------------------------------

struct build {
	struct environment *environment;
	struct string_map services;
	const struct core_v1_pod *pod;
	const struct core_v1_container *container;
	const struct field_facts *facts;
	const struct object_bundle *bundle;
};

static const char *lookup(void *context, const char *name)
{
	struct build *build = context;
	const char *value = string_map_get(&build->environment->variables, name);
	return value ? value : string_map_get(&build->services, name);
}

static void set(struct build *build, const char *name, const char *value)
{
	struct arena *arena = build->environment->arena;
	string_map_set(arena, &build->environment->variables, arena_strdup(arena, name), arena_strdup(arena, value));
}

static const char *bytes_text(struct arena *arena, const struct bytes *bytes)
{
	return arena_strndup(arena, bytes->data ? (const char *)bytes->data : "", bytes->length);
}

static const struct bytes *find_bytes(const struct bytes_map *map, const char *key)
{
	for (size_t index = 0; index < map->count; index++)
		if (!strcmp(map->entries[index].key, key))
			return &map->entries[index].value;
	return NULL;
}

static void add_source(struct build *build, const struct core_v1_env_from_source *source)
{
	struct arena *arena = build->environment->arena;
	const char *prefix = source->prefix ? source->prefix : "";
	const struct api_object *object =
	        source->config_map_ref
	                ? object_bundle_get(build->bundle, OBJECT_CONFIG_MAP, source->config_map_ref->name)
	        : source->secret_ref ? object_bundle_get(build->bundle, OBJECT_SECRET, source->secret_ref->name)
	                             : NULL;
	if (!object)
		return; // optional: the fetch would have failed otherwise
	if (source->config_map_ref) {
		const struct core_v1_config_map *map = object->view;
		for (size_t index = 0; index < map->data.count; index++)
			set(build, arena_printf(arena, "%s%s", prefix, map->data.entries[index].key),
			    map->data.entries[index].value);
		return;
	}
	const struct core_v1_secret *secret = object->view;
	for (size_t index = 0; index < secret->data.count; index++)
		set(build, arena_printf(arena, "%s%s", prefix, secret->data.entries[index].key),
		    bytes_text(arena, &secret->data.entries[index].value));
}

static int config_map_value(struct build *build, const struct core_v1_config_map_key_selector *selector,
                            const char **ret_value, struct err *err)
{
	const struct api_object *object = object_bundle_get(build->bundle, OBJECT_CONFIG_MAP, selector->name);
	const struct core_v1_config_map *map = object ? object->view : NULL;
	*ret_value = map ? string_map_get(&map->data, selector->key) : NULL;
	if (!*ret_value && !is_true(selector->optional))
		return err_set(err, ERR_INVALID, "couldn't find key %s in ConfigMap %s/%s", selector->key,
		               build->pod->metadata.namespace, selector->name);
	return 0;
}

static int secret_value(struct build *build, const struct core_v1_secret_key_selector *selector, const char **ret_value,
                        struct err *err)
{
	const struct api_object *object = object_bundle_get(build->bundle, OBJECT_SECRET, selector->name);
	const struct core_v1_secret *secret = object ? object->view : NULL;
	const struct bytes *bytes = secret ? find_bytes(&secret->data, selector->key) : NULL;
	*ret_value = bytes ? bytes_text(build->environment->arena, bytes) : NULL;
	if (!*ret_value && !is_true(selector->optional))
		return err_set(err, ERR_INVALID, "couldn't find key %s in Secret %s/%s", selector->key,
		               build->pod->metadata.namespace, selector->name);
	return 0;
}

// *ret_value NULL: the variable is left out.
static int source_value(struct build *build, const struct core_v1_env_var_source *source, const char **ret_value,
                        struct err *err)
{
	struct arena *arena = build->environment->arena;
	*ret_value = NULL;
	if (source->field_ref)
		return field_value(arena, build->pod, build->facts, source->field_ref->field_path, ret_value, err);
	if (source->resource_field_ref)
		return resource_field_value(arena, build->pod, build->container->name, source->resource_field_ref,
		                            build->facts, ret_value, err);
	if (source->config_map_key_ref)
		return config_map_value(build, source->config_map_key_ref, ret_value, err);
	if (source->secret_key_ref)
		return secret_value(build, source->secret_key_ref, ret_value, err);
	return 0;
}

int environment_build(struct arena *arena, const struct core_v1_pod *pod, const struct core_v1_container *container,
                      const struct field_facts *facts, const struct environment_services *services,
                      const struct object_bundle *bundle, struct environment *ret_environment, struct err *err)
{
	*ret_environment = (struct environment){.arena = arena};
	struct build build = {
	        .environment = ret_environment, .pod = pod, .container = container, .facts = facts, .bundle = bundle};
	for (size_t index = 0; index < services->count; index++)
		add_service(arena, &build.services, services->items[index]);
	for (size_t index = 0; index < container->env_from.count; index++)
		add_source(&build, &container->env_from.items[index]);
	for (size_t index = 0; index < container->env.count; index++) {
		const struct core_v1_env_var *variable = &container->env.items[index];
		const char *value = variable->value ? variable->value : "";
		if (variable->value_from) {
			int result = source_value(&build, variable->value_from, &value, err);
			if (result < 0)
				return result;
			if (value)
				set(&build, variable->name, value);
		} else {
			set(&build, variable->name, expand_references(arena, value, lookup, &build));
		}
	}
	for (size_t index = 0; index < build.services.count; index++)
		if (!string_map_get(&ret_environment->variables, build.services.entries[index].key))
			set(&build, build.services.entries[index].key, build.services.entries[index].value);
	return 0;
}

static const char *lookup_final(void *context, const char *name)
{
	return string_map_get(&((const struct environment *)context)->variables, name);
}

const char *environment_expand(const struct environment *environment, struct arena *arena, const char *text)
{
	return expand_references(arena, text, lookup_final, (void *)environment);
}

const char *const *environment_list(const struct environment *environment, struct arena *arena)
{
	const struct string_map *map = &environment->variables;
	const char **list = ARENA_ARRAY(arena, const char *, map->count + 1);
	for (size_t index = 0; index < map->count; index++)
		list[index] = arena_printf(arena, "%s=%s", map->entries[index].key, map->entries[index].value);
	return list;
}
