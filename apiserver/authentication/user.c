// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authentication/user.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

bool user_is_in(const struct user *user, const char *group)
{
	for (size_t i = 0; i < user->group_count; i++)
		if (!strcmp(user->groups[i], group))
			return true;
	return false;
}

// --- copies and changes ---------------------------------------------------------------

static const char *const *copy_texts(struct arena *arena, const char *const *from, size_t count)
{
	const char **to = ARENA_ARRAY(arena, const char *, count + 1);

	for (size_t i = 0; i < count; i++)
		to[i] = arena_strdup(arena, from[i]);
	return to;
}

void user_copy(struct arena *arena, const struct user *from, struct user *ret_user)
{
	struct user_extra *extra = ARENA_ARRAY(arena, struct user_extra, from->extra_count + 1);

	for (size_t i = 0; i < from->extra_count; i++)
		extra[i] = (struct user_extra){
		        .key = arena_strdup(arena, from->extra[i].key),
		        .values = copy_texts(arena, from->extra[i].values, from->extra[i].value_count),
		        .value_count = from->extra[i].value_count,
		};
	*ret_user = (struct user){
	        .name = arena_strdup(arena, text_or_empty(from->name)),
	        .uid = arena_strdup(arena, from->uid),
	        .groups = copy_texts(arena, from->groups, from->group_count),
	        .group_count = from->group_count,
	        .extra = extra,
	        .extra_count = from->extra_count,
	        .anonymous = from->anonymous,
	};
}

void user_add_group(struct arena *arena, struct user *user, const char *group)
{
	const char **groups;

	if (user_is_in(user, group))
		return;
	groups = ARENA_ARRAY(arena, const char *, user->group_count + 1);
	for (size_t i = 0; i < user->group_count; i++)
		groups[i] = user->groups[i];
	groups[user->group_count++] = group;
	user->groups = groups;
}

static int compare_extra(const void *a, const void *b)
{
	const struct user_extra *left = a, *right = b;

	return strcmp(left->key, right->key);
}

void user_set_extra(struct arena *arena, struct user *user, const char *key, const char *value)
{
	struct user_extra *extra = ARENA_ARRAY(arena, struct user_extra, user->extra_count + 1);
	const char **values = ARENA_ARRAY(arena, const char *, 1);
	size_t count = 0;

	for (size_t i = 0; i < user->extra_count; i++)
		if (strcmp(user->extra[i].key, key) != 0)
			extra[count++] = user->extra[i];
	values[0] = arena_strdup(arena, value);
	extra[count++] = (struct user_extra){.key = arena_strdup(arena, key), .values = values, .value_count = 1};
	qsort(extra, count, sizeof(*extra), compare_extra);
	user->extra = extra;
	user->extra_count = count;
}

// --- well-known users -------------------------------------------------------------------

void user_of_service_account(struct arena *arena, const char *namespace_name, const char *name, const char *uid,
                             struct user *ret_user)
{
	const char **groups = ARENA_ARRAY(arena, const char *, 2);

	groups[0] = GROUP_SERVICE_ACCOUNTS;
	groups[1] = arena_printf(arena, GROUP_SERVICE_ACCOUNTS ":%s", namespace_name);
	*ret_user = (struct user){
	        .name = arena_printf(arena, SERVICE_ACCOUNT_USER_PREFIX "%s:%s", namespace_name, name),
	        .uid = arena_strdup(arena, uid),
	        .groups = groups,
	        .group_count = 2,
	};
}

bool user_split_service_account(struct arena *arena, const char *user_name, const char **ret_namespace,
                                const char **ret_name)
{
	size_t prefix = strlen(SERVICE_ACCOUNT_USER_PREFIX);
	const char *rest, *colon;

	if (strncmp(user_name, SERVICE_ACCOUNT_USER_PREFIX, prefix) != 0)
		return false;
	rest = user_name + prefix;
	colon = strchr(rest, ':');
	if (!colon || colon == rest || !colon[1] || strchr(colon + 1, ':'))
		return false;
	*ret_namespace = arena_strndup(arena, rest, (size_t)(colon - rest));
	*ret_name = arena_strdup(arena, colon + 1);
	return true;
}

const char *user_node_name(const struct user *user)
{
	size_t prefix = strlen(NODE_USER_PREFIX);

	if (strncmp(user->name, NODE_USER_PREFIX, prefix) != 0 || !user->name[prefix] || !user_is_in(user, GROUP_NODES))
		return NULL;
	return user->name + prefix;
}

// --- documents --------------------------------------------------------------------------

static struct json *texts_to_json(struct arena *arena, const char *const *texts, size_t count)
{
	struct json *array = json_array(arena);

	for (size_t i = 0; i < count; i++)
		json_append(arena, array, json_string(arena, texts[i]));
	return array;
}

struct json *user_to_json(struct arena *arena, const struct user *user)
{
	struct json *info = json_object(arena), *extra;

	json_set_text(arena, info, "username", user->name);
	if (!text_is_empty(user->uid))
		json_set_text(arena, info, "uid", user->uid);
	if (user->group_count)
		json_set(arena, info, "groups", texts_to_json(arena, user->groups, user->group_count));
	if (!user->extra_count)
		return info;
	extra = json_object(arena);
	for (size_t i = 0; i < user->extra_count; i++)
		json_set(arena, extra, user->extra[i].key,
		         texts_to_json(arena, user->extra[i].values, user->extra[i].value_count));
	json_set(arena, info, "extra", extra);
	return info;
}

static const char *const *texts_from_json(struct arena *arena, const struct json *array, size_t *ret_count)
{
	size_t length = json_is(array, JSON_ARRAY) ? array->length : 0;
	const char **texts = ARENA_ARRAY(arena, const char *, length + 1);

	*ret_count = 0;
	json_for_each_item (item, array)
		if (json_text(item))
			texts[(*ret_count)++] = json_text(item);
	return texts;
}

void user_from_json(struct arena *arena, const struct json *info, const char *name_member, struct user *ret_user)
{
	const struct json *extras = json_get(info, "extra");
	size_t extra_count = json_is(extras, JSON_OBJECT) ? extras->length : 0;
	struct user_extra *extra = ARENA_ARRAY(arena, struct user_extra, extra_count + 1);
	struct user user = {.name = text_or_empty(json_get_text(info, name_member)),
	                    .uid = text_or_empty(json_get_text(info, "uid")),
	                    .extra = extra};

	user.groups = texts_from_json(arena, json_get(info, "groups"), &user.group_count);
	json_for_each_member (member, extras) {
		struct user_extra *row = &extra[user.extra_count++];

		row->key = member->key;
		row->values = texts_from_json(arena, member->value, &row->value_count);
	}
	qsort(extra, user.extra_count, sizeof(*extra), compare_extra);
	*ret_user = user;
}
