// SPDX-License-Identifier: Apache-2.0
// The index:
//
//   "NAMESPACE|KIND:SUBJECT" ─► bindings that name it ─► role slot ─► compiled rules
//
// NAMESPACE is empty for ClusterRoleBindings, KIND u or g; a service account
// subject stands under its user name. A check makes one look-up for the user and
// one for each group, twice (cluster, then namespace), and sees only bindings that
// name them: its cost doesn't grow with the number of bindings of others.
//
// A binding points at its role's slot, which is there as long as anything refers
// to it, whether the role exists or not; so a role that comes, changes or goes
// touches one place.
//
// One writer (the main loop, following storage) under a read-write lock, which
// checks hold for their microseconds.

#include "apiserver/authorization/rbac.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "apiserver/authorization/authorization.h"
#include "apiserver/authorization/follower.h"
#include "apiserver/server.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	RBAC_KEY_BYTES = 1024,
};

struct role {
	char *key;           // "NAMESPACE/NAME", "/NAME" of cluster roles
	struct arena *arena; // NULL: there is no such role
	struct rbac_rules rules;
	size_t bindings; // that refer to it
	unsigned generation;
};

struct binding_subject {
	struct rbac_source source;
	const char *key;
	struct binding *binding;
	struct binding_subject *next; // of the same key
};

struct binding {
	struct arena *arena;
	struct role *role; // NULL: it refers to something else than a role
	bool role_is_cluster;
	const char *role_name;
	struct binding_subject *subjects;
	size_t subject_count;
	unsigned generation;
};

struct feed {
	struct rbac *rbac;
	struct follower follower;
	enum rbac_kind kind;
	bool listed;
};

struct rbac {
	struct authorizer authorizer;
	struct server *server;
	pthread_rwlock_t lock;
	struct hashmap *roles;    // key → struct role
	struct hashmap *bindings; // "NAMESPACE/NAME" → struct binding
	struct hashmap *subjects; // key → struct binding_subject, the first of its chain
	unsigned generation;      // of the running list
	struct feed feeds[RBAC_KIND_COUNT_];
	atomic_int listed;
};

// --- roles ---------------------------------------------------------------------------------------

static const char *object_key_of(char *out, const char *namespace_name, const char *name)
{
	snprintf(out, RBAC_KEY_BYTES, "%s/%s", namespace_name, name);
	return out;
}

static void free_role(void *value)
{
	struct role *role = value;

	arena_free(role->arena);
	free(role->key);
	free(role);
}

static struct role *role_slot(struct rbac *rbac, const char *namespace_name, const char *name)
{
	char key[RBAC_KEY_BYTES];
	struct role *role = hashmap_get(rbac->roles, object_key_of(key, namespace_name, name));

	if (role)
		return role;
	role = NEW(struct role);
	role->key = xstrdup(key);
	hashmap_put(rbac->roles, key, role);
	return role;
}

static void drop_if_unused(struct rbac *rbac, struct role *role)
{
	if (!role->arena && !role->bindings)
		hashmap_remove(rbac->roles, role->key);
}

static void put_role(struct rbac *rbac, const char *namespace_name, const char *name, const struct json *object)
{
	struct role *role = role_slot(rbac, namespace_name, name);

	arena_free(role->arena);
	role->arena = arena_new(1024);
	rbac_rules_parse(role->arena, json_get(object, "rules"), &role->rules);
	role->generation = rbac->generation;
}

static void remove_role(struct rbac *rbac, struct role *role)
{
	role->arena = arena_free(role->arena);
	role->rules = (struct rbac_rules){0};
	drop_if_unused(rbac, role);
}

// --- bindings ------------------------------------------------------------------------------------

static void unlink_subject(struct rbac *rbac, struct binding_subject *subject)
{
	struct binding_subject *at = hashmap_get(rbac->subjects, subject->key);

	if (at == subject) {
		if (subject->next)
			hashmap_put(rbac->subjects, subject->key, subject->next);
		else
			hashmap_remove(rbac->subjects, subject->key);
		return;
	}
	while (at && at->next != subject)
		at = at->next;
	if (at)
		at->next = subject->next;
}

static void free_binding(struct rbac *rbac, struct binding *binding)
{
	for (size_t i = 0; i < binding->subject_count; i++)
		if (binding->subjects[i].key)
			unlink_subject(rbac, &binding->subjects[i]);
	if (binding->role) {
		binding->role->bindings--;
		drop_if_unused(rbac, binding->role);
	}
	arena_free(binding->arena);
}

// The key under which a check looks for this subject; NULL for subjects that nobody can be.
static const char *subject_key(struct arena *arena, const char *binding_namespace, const struct rbac_source *source)
{
	const char *subject_namespace = source->subject_namespace;

	if (!strcmp(source->subject_kind, "User"))
		return arena_printf(arena, "%s|u:%s", binding_namespace, source->subject_name);
	if (!strcmp(source->subject_kind, "Group"))
		return arena_printf(arena, "%s|g:%s", binding_namespace, source->subject_name);
	if (strcmp(source->subject_kind, "ServiceAccount") != 0)
		return NULL;
	if (!subject_namespace[0])
		subject_namespace = binding_namespace;
	if (!subject_namespace[0])
		return NULL;
	return arena_printf(arena, "%s|u:" SERVICE_ACCOUNT_USER_PREFIX "%s:%s", binding_namespace, subject_namespace,
	                    source->subject_name);
}

static void add_subject(struct rbac *rbac, struct binding *binding, const struct rbac_source *of,
                        const struct json *subject)
{
	struct binding_subject *row = &binding->subjects[binding->subject_count++];
	struct arena *arena = binding->arena;

	row->binding = binding;
	row->source = *of;
	row->source.subject_kind = arena_strdup(arena, text_or_empty(json_get_text(subject, "kind")));
	row->source.subject_name = arena_strdup(arena, text_or_empty(json_get_text(subject, "name")));
	row->source.subject_namespace = arena_strdup(arena, text_or_empty(json_get_text(subject, "namespace")));
	row->key = subject_key(arena, of->binding_namespace, &row->source);
	if (!row->key)
		return;
	row->next = hashmap_get(rbac->subjects, row->key);
	hashmap_put(rbac->subjects, row->key, row);
}

static void remove_binding(struct rbac *rbac, const char *key)
{
	struct binding *binding = hashmap_take(rbac->bindings, key);

	if (binding)
		free_binding(rbac, binding);
}

static void put_binding(struct rbac *rbac, const char *namespace_name, const char *name, const struct json *object)
{
	const struct json *reference = json_get(object, "roleRef"), *subjects = json_get(object, "subjects");
	struct arena *arena = arena_new(512);
	struct binding *binding = ARENA_NEW(arena, struct binding);
	char key[RBAC_KEY_BYTES];
	struct rbac_source source = {
	        .binding_kind = namespace_name[0] ? "RoleBinding" : "ClusterRoleBinding",
	        .binding_namespace = arena_strdup(arena, namespace_name),
	        .binding_name = arena_strdup(arena, name),
	        .role_kind = arena_strdup(arena, text_or_empty(json_get_text(reference, "kind"))),
	        .role_name = arena_strdup(arena, text_or_empty(json_get_text(reference, "name"))),
	};

	remove_binding(rbac, object_key_of(key, namespace_name, name));
	binding->arena = arena;
	binding->generation = rbac->generation;
	binding->role_name = source.role_name;
	binding->role_is_cluster = !strcmp(source.role_kind, "ClusterRole");
	if (binding->role_is_cluster || (!strcmp(source.role_kind, "Role") && namespace_name[0])) {
		binding->role = role_slot(rbac, binding->role_is_cluster ? "" : namespace_name, source.role_name);
		binding->role->bindings++;
	}
	binding->subjects =
	        ARENA_ARRAY(arena, struct binding_subject, (json_is(subjects, JSON_ARRAY) ? subjects->length : 0) + 1);
	json_for_each_item (subject, subjects)
		add_subject(rbac, binding, &source, subject);
	hashmap_put(rbac->bindings, key, binding);
}

// --- changes -------------------------------------------------------------------------------------

void rbac_put(struct rbac *rbac, enum rbac_kind kind, const char *namespace_name, const char *name,
              const struct json *object)
{
	if (strlen(namespace_name) + strlen(name) + 2 > RBAC_KEY_BYTES)
		return;
	pthread_rwlock_wrlock(&rbac->lock);
	if (kind == RBAC_ROLES || kind == RBAC_CLUSTER_ROLES)
		put_role(rbac, namespace_name, name, object);
	else
		put_binding(rbac, namespace_name, name, object);
	pthread_rwlock_unlock(&rbac->lock);
}

void rbac_remove(struct rbac *rbac, enum rbac_kind kind, const char *namespace_name, const char *name)
{
	char key[RBAC_KEY_BYTES];

	object_key_of(key, namespace_name, name);
	pthread_rwlock_wrlock(&rbac->lock);
	if (kind == RBAC_ROLES || kind == RBAC_CLUSTER_ROLES) {
		struct role *role = hashmap_get(rbac->roles, key);

		if (role)
			remove_role(rbac, role);
	} else {
		remove_binding(rbac, key);
	}
	pthread_rwlock_unlock(&rbac->lock);
}

static bool is_of(const char *key, bool cluster)
{
	return (key[0] == '/') == cluster;
}

// What a new list didn't name is gone. The namespaced and the cluster kinds share maps.
static void sweep(struct rbac *rbac, enum rbac_kind kind)
{
	bool cluster = kind == RBAC_CLUSTER_ROLES || kind == RBAC_CLUSTER_ROLE_BINDINGS;
	bool roles = kind == RBAC_ROLES || kind == RBAC_CLUSTER_ROLES;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	while (roles && hashmap_next(rbac->roles, &cursor)) {
		struct role *role = cursor.value;

		if (role->arena && is_of(cursor.key, cluster) && role->generation != rbac->generation)
			remove_role(rbac, role);
	}
	while (!roles && hashmap_next(rbac->bindings, &cursor)) {
		struct binding *binding = cursor.value;

		if (!is_of(cursor.key, cluster) || binding->generation == rbac->generation)
			continue;
		hashmap_remove(rbac->bindings, cursor.key);
		free_binding(rbac, binding);
	}
}

// --- following storage ---------------------------------------------------------------------------

static void on_put(void *context, const struct stored_object *object, const struct json *tree)
{
	struct feed *feed = context;

	rbac_put(feed->rbac, feed->kind, object->namespace_name, object->name, tree);
}

static void on_removed(void *context, const struct stored_object *object)
{
	struct feed *feed = context;

	rbac_remove(feed->rbac, feed->kind, object->namespace_name, object->name);
}

static void on_begin(void *context)
{
	struct feed *feed = context;

	feed->rbac->generation++;
}

static void on_end(void *context)
{
	struct feed *feed = context;

	pthread_rwlock_wrlock(&feed->rbac->lock);
	sweep(feed->rbac, feed->kind);
	pthread_rwlock_unlock(&feed->rbac->lock);
	if (!feed->listed)
		atomic_fetch_add(&feed->rbac->listed, 1);
	feed->listed = true;
}

#define RBAC_GROUP "rbac.authorization.k8s.io"
static const struct follower_type followed[RBAC_KIND_COUNT_] = {
        [RBAC_ROLES] = {RBAC_GROUP, "v1", "roles", on_put, on_removed, on_begin, on_end},
        [RBAC_CLUSTER_ROLES] = {RBAC_GROUP, "v1", "clusterroles", on_put, on_removed, on_begin, on_end},
        [RBAC_ROLE_BINDINGS] = {RBAC_GROUP, "v1", "rolebindings", on_put, on_removed, on_begin, on_end},
        [RBAC_CLUSTER_ROLE_BINDINGS] = {RBAC_GROUP, "v1", "clusterrolebindings", on_put, on_removed, on_begin, on_end},
};

void rbac_start(struct rbac *rbac)
{
	for (int i = 0; i < RBAC_KIND_COUNT_; i++) {
		rbac->feeds[i] = (struct feed){.rbac = rbac, .kind = (enum rbac_kind)i};
		follower_start(&rbac->feeds[i].follower, &followed[i], rbac->server->storage, rbac->server->main_loop,
		               &rbac->feeds[i]);
	}
}

void rbac_stop(struct rbac *rbac)
{
	for (size_t i = 0; i < RBAC_KIND_COUNT_; i++)
		follower_stop(&rbac->feeds[i].follower);
}

bool rbac_is_ready(struct rbac *rbac)
{
	return atomic_load(&rbac->listed) == RBAC_KIND_COUNT_;
}

// --- asking --------------------------------------------------------------------------------------

static bool visit_binding(struct arena *arena, const struct binding_subject *subject, rbac_visitor *visit,
                          void *context)
{
	const struct binding *binding = subject->binding;
	const struct role *role = binding->role;
	const char *missing;

	if (role && role->arena) {
		for (size_t i = 0; i < role->rules.count; i++)
			if (!visit(context, &subject->source, &role->rules.items[i], NULL))
				return false;
		return true;
	}
	missing = !role ? arena_printf(arena, "unsupported role reference kind: \"%s\"", subject->source.role_kind)
	                : arena_printf(arena, "%s.rbac.authorization.k8s.io \"%s\" not found",
	                               binding->role_is_cluster ? "clusterrole" : "role", binding->role_name);
	return visit(context, &subject->source, NULL, missing);
}

static bool visit_key(struct rbac *rbac, struct arena *arena, const char *namespace_name, char kind, const char *name,
                      rbac_visitor *visit, void *context)
{
	char key[RBAC_KEY_BYTES];
	int length = snprintf(key, sizeof(key), "%s|%c:%s", namespace_name, kind, name);
	const struct binding_subject *subject;

	if (length < 0 || (size_t)length >= sizeof(key))
		return true;
	subject = hashmap_get_n(rbac->subjects, key, (size_t)length);
	for (; subject; subject = subject->next)
		if (!visit_binding(arena, subject, visit, context))
			return false;
	return true;
}

static bool visit_scope(struct rbac *rbac, struct arena *arena, const struct user *user, const char *namespace_name,
                        rbac_visitor *visit, void *context)
{
	if (!visit_key(rbac, arena, namespace_name, 'u', user->name, visit, context))
		return false;
	for (size_t i = 0; i < user->group_count; i++)
		if (!visit_key(rbac, arena, namespace_name, 'g', user->groups[i], visit, context))
			return false;
	return true;
}

void rbac_visit(struct rbac *rbac, struct arena *arena, const struct user *user, const char *namespace_name,
                rbac_visitor *visit, void *context)
{
	pthread_rwlock_rdlock(&rbac->lock);
	if (visit_scope(rbac, arena, user, "", visit, context) && !text_is_empty(namespace_name))
		(void)visit_scope(rbac, arena, user, namespace_name, visit, context);
	pthread_rwlock_unlock(&rbac->lock);
}

bool rbac_role_rules(struct rbac *rbac, struct arena *arena, bool cluster, const char *namespace_name, const char *name,
                     struct rbac_rules *ret_rules)
{
	char key[RBAC_KEY_BYTES];
	const struct role *role;

	*ret_rules = (struct rbac_rules){0};
	pthread_rwlock_rdlock(&rbac->lock);
	role = hashmap_get(rbac->roles, object_key_of(key, cluster ? "" : namespace_name, name));
	if (role && !role->arena)
		role = NULL;
	if (role) {
		ret_rules->count = role->rules.count;
		ret_rules->items = ARENA_ARRAY(arena, struct rbac_rule, role->rules.count + 1);
		for (size_t i = 0; i < role->rules.count; i++)
			rbac_rule_copy(arena, &role->rules.items[i], &ret_rules->items[i]);
	}
	pthread_rwlock_unlock(&rbac->lock);
	return role != NULL;
}

// --- the authorizer ---------------------------------------------------------------------------------

struct check {
	const struct authorization_attributes *attributes;
	uint32_t verb_bit;
	struct arena *arena;
	const char *allowed_by;
	const char *missing; // joined
	size_t missing_count;
};

static const char *describe_subject(struct arena *arena, const struct rbac_source *source)
{
	if (!strcmp(source->subject_kind, "ServiceAccount"))
		return arena_printf(arena, "ServiceAccount \"%s/%s\"", source->subject_name,
		                    source->subject_namespace[0] ? source->subject_namespace
		                                                 : source->binding_namespace);
	return arena_printf(arena, "%s \"%s\"", source->subject_kind, source->subject_name);
}

static const char *describe_source(struct arena *arena, const struct rbac_source *source)
{
	bool namespaced = source->binding_namespace[0];

	return arena_printf(arena, "RBAC: allowed by %s \"%s%s%s\" of %s \"%s\" to %s", source->binding_kind,
	                    source->binding_name, namespaced ? "/" : "", source->binding_namespace, source->role_kind,
	                    source->role_name, describe_subject(arena, source));
}

static bool check_rule(void *context, const struct rbac_source *source, const struct rbac_rule *rule,
                       const char *missing)
{
	struct check *check = context;

	if (!rule) {
		if (!check->missing || !strstr(check->missing, missing)) {
			check->missing = check->missing ? arena_printf(check->arena, "%s, %s", check->missing, missing)
			                                : missing;
			check->missing_count++;
		}
		return true;
	}
	if (!rbac_rule_allows(rule, check->attributes, check->verb_bit))
		return true;
	check->allowed_by = describe_source(check->arena, source);
	return false;
}

static bool decide(struct authorizer *authorizer, struct arena *arena, const struct user *user,
                   const struct authorization_attributes *attributes, struct authorization_answer *ret_answer)
{
	struct rbac *rbac = container_of(authorizer, struct rbac, authorizer);
	struct check check = {.attributes = attributes, .verb_bit = rbac_verb_bit(attributes->verb), .arena = arena};

	rbac_visit(rbac, arena, user, attributes->is_resource ? attributes->namespace_name : "", check_rule, &check);
	if (check.allowed_by) {
		*ret_answer =
		        (struct authorization_answer){.decision = AUTHORIZATION_ALLOWED, .reason = check.allowed_by};
		return false;
	}
	authorization_no_opinion(ret_answer, "");
	if (check.missing)
		ret_answer->reason =
		        arena_printf(arena, check.missing_count > 1 ? "RBAC: [%s]" : "RBAC: %s", check.missing);
	return false;
}

static void free_rbac(struct authorizer *authorizer)
{
	struct rbac *rbac = container_of(authorizer, struct rbac, authorizer);
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	while (hashmap_next(rbac->bindings, &cursor))
		arena_free(((struct binding *)cursor.value)->arena);
	hashmap_free(rbac->bindings);
	hashmap_free(rbac->subjects);
	hashmap_free(rbac->roles);
	pthread_rwlock_destroy(&rbac->lock);
	free(rbac);
}

struct rbac *rbac_new(struct server *server)
{
	struct rbac *rbac = NEW(struct rbac);

	rbac->authorizer = (struct authorizer){.name = "RBAC", .decide = decide, .free = free_rbac};
	rbac->server = server;
	rbac->roles = hashmap_new(free_role);
	rbac->bindings = hashmap_new(NULL);
	rbac->subjects = hashmap_new(NULL);
	pthread_rwlock_init(&rbac->lock, NULL);
	return rbac;
}

struct authorizer *rbac_authorizer(struct rbac *rbac)
{
	return &rbac->authorizer;
}
