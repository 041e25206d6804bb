// SPDX-License-Identifier: Apache-2.0
//
// Environments: variables in the order of their declaration, object types by name, and
// which functions there are. Programs hold a reference, since their types live here.
#include "common/cel/env.h"

#include <string.h>

#include "common/base/memory.h"

struct cel_env *cel_env_new(const struct cel_env_options *options)
{
	struct arena *arena = arena_new(4096);
	struct cel_env *env = ARENA_NEW(arena, struct cel_env);
	env->arena = arena;
	env->references = 1;
	env->version = options && options->version ? options->version : CEL_VERSION_NEW;
	env->mutation = options && options->mutation;
	env->heterogeneous = options && options->heterogeneous;
	env->container = arena_strdup(arena, options && options->container ? options->container : "");
	if (env->mutation)
		cel_env_add_object(env, &cel_type_json_patch);
	return env;
}

struct cel_env *cel_env_ref(struct cel_env *env)
{
	atomic_fetch_add(&env->references, 1);
	return env;
}

struct cel_env *cel_env_unref(struct cel_env *env)
{
	if (env && atomic_fetch_sub(&env->references, 1) == 1)
		arena_free(env->arena);
	return NULL;
}

int cel_env_declare(struct cel_env *env, const char *name, const struct cel_type *type)
{
	for (size_t i = 0; i < env->variable_count; i++)
		if (strcmp(env->variables[i].name, name) == 0) {
			env->variables[i].type = type;
			return (int)i;
		}
	if (env->variable_count == env->variable_capacity) {
		size_t capacity = env->variable_capacity ? env->variable_capacity * 2 : 8;
		env->variables =
		        arena_realloc(env->arena, env->variables, env->variable_capacity * sizeof(env->variables[0]),
		                      capacity * sizeof(env->variables[0]));
		env->variable_capacity = capacity;
	}
	env->variables[env->variable_count] = (struct cel_variable){arena_strdup(env->arena, name), type};
	return (int)env->variable_count++;
}

void cel_env_add_object(struct cel_env *env, const struct cel_type *object)
{
	if (env->object_count == env->object_capacity) {
		size_t capacity = env->object_capacity ? env->object_capacity * 2 : 8;
		env->objects = arena_realloc(env->arena, env->objects, env->object_capacity * sizeof(env->objects[0]),
		                             capacity * sizeof(env->objects[0]));
		env->object_capacity = capacity;
	}
	env->objects[env->object_count++] = object;
}

static int find_exact(const struct cel_env *env, const char *name)
{
	for (size_t i = 0; i < env->variable_count; i++)
		if (strcmp(env->variables[i].name, name) == 0)
			return (int)i;
	return -1;
}

// In the container "a.b", c is a.b.c, else a.c, else c.
int cel_env_find_variable(const struct cel_env *env, const char *name, bool absolute)
{
	size_t length = absolute ? 0 : strlen(env->container);
	while (length > 0) {
		AUTO_FREE char *qualified = xasprintf("%.*s.%s", (int)length, env->container, name);
		int found = find_exact(env, qualified);
		if (found >= 0)
			return found;
		while (length > 0 && env->container[--length] != '.')
			;
	}
	return find_exact(env, name);
}

// --- types by name -----------------------------------------------------------------

static const struct cel_type list_any = {
        .kind = CEL_TYPE_LIST, .name = "list", .params = {&cel_type_dyn}, .param_count = 1};
static const struct cel_type map_any = {
        .kind = CEL_TYPE_MAP, .name = "map", .params = {&cel_type_dyn, &cel_type_dyn}, .param_count = 2};

static const struct cel_type *const named_types[] = {
        &cel_type_bool,  &cel_type_int,      &cel_type_uint,   &cel_type_double,       &cel_type_string,
        &cel_type_bytes, &cel_type_null,     &cel_type_type,   &cel_type_timestamp,    &cel_type_duration,
        &cel_type_dyn,   &list_any,          &map_any,         &cel_type_url,          &cel_type_ip,
        &cel_type_cidr,  &cel_type_quantity, &cel_type_semver, &cel_type_named_format, &cel_type_optional_dyn,
};

// Object, Object.spec, Object.spec.containers, …: made when they are named.
static const struct cel_type *patch_object(struct cel_env *env, struct arena *arena, const char *name)
{
	if (!env->mutation || strncmp(name, "Object", 6) != 0 || (name[6] != '\0' && name[6] != '.'))
		return NULL;
	struct cel_type *type = cel_type_make(arena, CEL_TYPE_OBJECT, arena_strdup(arena, name), NULL, NULL);
	type->open = true;
	return type;
}

const struct cel_type *cel_env_find_type(struct cel_env *env, struct arena *arena, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(named_types); i++)
		if (strcmp(named_types[i]->name, name) == 0)
			return named_types[i];
	for (size_t i = 0; i < env->object_count; i++)
		if (strcmp(env->objects[i]->name, name) == 0)
			return env->objects[i];
	return patch_object(env, arena, name);
}

// --- functions ------------------------------------------------------------------------

static const struct cel_overload *skip_unknown(const struct cel_env *env, const struct cel_overload *overload)
{
	while (overload &&
	       (overload->row->since > (uint16_t)env->version || (overload->row->mutation && !env->mutation)))
		overload = overload->next;
	return overload;
}

const struct cel_overload *cel_env_find_function(const struct cel_env *env, const char *name)
{
	return skip_unknown(env, cel_library_find(name));
}

const struct cel_overload *cel_env_next_overload(const struct cel_env *env, const struct cel_overload *overload)
{
	return skip_unknown(env, overload->next);
}

// --- making types -------------------------------------------------------------------------

const struct cel_type *cel_type_list(struct cel_env *env, const struct cel_type *element)
{
	return cel_type_make_list(env->arena, element);
}

const struct cel_type *cel_type_map(struct cel_env *env, const struct cel_type *key, const struct cel_type *value)
{
	return cel_type_make_map(env->arena, key, value);
}

const struct cel_type *cel_type_optional(struct cel_env *env, const struct cel_type *value)
{
	return cel_type_make_optional(env->arena, value);
}

struct cel_type *cel_type_object(struct cel_env *env, const char *name)
{
	struct cel_type *type = cel_type_make(env->arena, CEL_TYPE_OBJECT, arena_strdup(env->arena, name), NULL, NULL);
	cel_env_add_object(env, type);
	return type;
}

void cel_type_add_field(struct cel_env *env, struct cel_type *object, const char *name, const struct cel_type *type)
{
	char *escaped = cel_escape(env->arena, name, strlen(name));
	if (!escaped)
		return;
	if (object->field_count == object->field_capacity) {
		size_t capacity = object->field_capacity ? object->field_capacity * 2 : 8;
		object->fields =
		        arena_realloc(env->arena, object->fields, object->field_capacity * sizeof(object->fields[0]),
		                      capacity * sizeof(object->fields[0]));
		object->field_capacity = capacity;
	}
	object->fields[object->field_count++] = (struct cel_field){
	        .name = escaped,
	        .name_length = strlen(escaped),
	        .json_name = arena_strdup(env->arena, name),
	        .json_name_length = strlen(name),
	        .type = type,
	};
}
