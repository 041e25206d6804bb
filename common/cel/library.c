// SPDX-License-Identifier: Apache-2.0
//
// The tables of all libraries, read once: signatures become types, and the overloads of
// one function a chain in the order of the tables. What a signature says is checked here
// with assertions: the tables are ours.
#include "common/cel/library.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/memory.h"

static const struct cel_library *const libraries[] = {
        &cel_library_operators, &cel_library_compare,    &cel_library_convert, &cel_library_text,
        &cel_library_time,      &cel_library_strings,    &cel_library_lists,   &cel_library_sets,
        &cel_library_optional,  &cel_library_regex,      &cel_library_url,     &cel_library_ip,
        &cel_library_cidr,      &cel_library_quantity,   &cel_library_semver,  &cel_library_format,
        &cel_library_maps,      &cel_library_authorizer,
};

struct type_letter {
	char letter;
	const struct cel_type *type;
};

static const struct type_letter type_letters[] = {
        {'n', &cel_type_null},        {'b', &cel_type_bool},
        {'i', &cel_type_int},         {'u', &cel_type_uint},
        {'d', &cel_type_double},      {'s', &cel_type_string},
        {'y', &cel_type_bytes},       {'t', &cel_type_timestamp},
        {'r', &cel_type_duration},    {'*', &cel_type_dyn},
        {'A', &cel_type_param_a},     {'B', &cel_type_param_b},
        {'U', &cel_type_url},         {'I', &cel_type_ip},
        {'C', &cel_type_cidr},        {'Q', &cel_type_quantity},
        {'V', &cel_type_semver},      {'F', &cel_type_named_format},
        {'Z', &cel_type_authorizer},  {'P', &cel_type_path_check},
        {'G', &cel_type_group_check}, {'R', &cel_type_resource_check},
        {'E', &cel_type_decision},
};

// Made once and kept as long as the process.
static struct arena *registry_arena;
static struct hashmap *registry;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

static const struct cel_type *read_type(const char **at, bool *generic)
{
	char letter = *(*at)++;
	if (letter == '[')
		return cel_type_make_list(registry_arena, read_type(at, generic));
	if (letter == '?')
		return cel_type_make_optional(registry_arena, read_type(at, generic));
	if (letter == '@')
		return cel_type_make_type(registry_arena, read_type(at, generic));
	if (letter == '{') {
		const struct cel_type *key = read_type(at, generic);
		const struct cel_type *value = read_type(at, generic);
		assert(**at == '}');
		(*at)++;
		return cel_type_make_map(registry_arena, key, value);
	}
	*generic |= letter == 'A' || letter == 'B';
	for (size_t i = 0; i < ARRAY_SIZE(type_letters); i++)
		if (type_letters[i].letter == letter)
			return type_letters[i].type;
	assert(!"a known letter");
	return &cel_type_dyn;
}

static uint32_t accepted_kinds(const struct cel_type *type)
{
	switch (type->kind) {
	case CEL_TYPE_DYN:
	case CEL_TYPE_PARAM:
		return ~UINT32_C(0);
	case CEL_TYPE_NULL:
		return 1u << CEL_NULL;
	case CEL_TYPE_BOOL:
		return 1u << CEL_BOOL;
	case CEL_TYPE_INT:
		return 1u << CEL_INT;
	case CEL_TYPE_UINT:
		return 1u << CEL_UINT;
	case CEL_TYPE_DOUBLE:
		return 1u << CEL_DOUBLE;
	case CEL_TYPE_STRING:
		return 1u << CEL_STRING;
	case CEL_TYPE_BYTES:
		return 1u << CEL_BYTES;
	case CEL_TYPE_TIMESTAMP:
		return 1u << CEL_TIMESTAMP;
	case CEL_TYPE_DURATION:
		return 1u << CEL_DURATION;
	case CEL_TYPE_LIST:
		return 1u << CEL_LIST;
	case CEL_TYPE_MAP:
		return 1u << CEL_MAP;
	case CEL_TYPE_TYPE:
		return 1u << CEL_TYPE;
	default:
		return 1u << (cel_type_is_optional(type) ? CEL_OPTIONAL : CEL_OPAQUE);
	}
}

static void add_row(const struct cel_function_row *row)
{
	struct cel_overload *overload = ARENA_NEW(registry_arena, struct cel_overload);
	const char *at = row->signature;
	overload->row = row;
	while (*at != '>') {
		assert(overload->param_count < CEL_MAX_PARAMS);
		unsigned number = overload->param_count++;
		overload->params[number] = read_type(&at, &overload->generic);
		overload->kinds[number] = accepted_kinds(overload->params[number]);
		if (*at == '.') {
			overload->member = true;
			at++;
		}
	}
	at++;
	overload->result = read_type(&at, &overload->generic);
	assert(*at == '\0');
	struct cel_overload *last = hashmap_get(registry, row->function);
	if (!last) {
		(void)hashmap_put(registry, row->function, overload);
		return;
	}
	while (last->next)
		last = (struct cel_overload *)last->next;
	last->next = overload;
}

static void make_registry(void)
{
	registry_arena = arena_new(32 * 1024);
	registry = hashmap_new(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		for (size_t j = 0; j < libraries[i]->count; j++)
			add_row(&libraries[i]->rows[j]);
}

const struct cel_overload *cel_library_find(const char *function)
{
	pthread_once(&registry_once, make_registry);
	return hashmap_get(registry, function);
}

bool cel_overload_accepts(const struct cel_overload *overload, const struct cel_value *args, unsigned count)
{
	if (count != overload->param_count)
		return false;
	if (overload->row->any_kinds)
		return true;
	for (unsigned i = 0; i < count; i++) {
		if (!(overload->kinds[i] >> args[i].kind & 1))
			return false;
		if (args[i].kind == CEL_OPAQUE && overload->params[i]->kind == CEL_TYPE_OPAQUE &&
		    args[i].type != overload->params[i])
			return false;
	}
	return true;
}
