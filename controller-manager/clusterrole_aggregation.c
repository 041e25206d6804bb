// SPDX-License-Identifier: Apache-2.0
//
// clusterrole-aggregation-controller: a ClusterRole with an aggregation rule has
// the rules of all cluster roles that its selectors choose, in the order of their
// names, each rule once. Keys are names of aggregated roles; any change of a role
// may concern them all.
#include <string.h>

#include "api/rbac_v1.h"
#include "common/api/selector.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"

struct aggregation {
	struct informer *roles;
};

static void on_role(struct controller *controller, struct api_object *old_object UNUSED,
                    struct api_object *new_object UNUSED)
{
	struct aggregation *state = controller_state(controller);
	struct api_object *object;
	for (size_t cursor = 0; (object = informer_next(state->roles, &cursor));) {
		const struct rbac_v1_cluster_role *role = object->view;
		if (role->aggregation_rule)
			controller_enqueue(controller, object->key);
	}
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct aggregation *state = NEW(struct aggregation);
	controller_set_state(controller, state);
	state->roles = controller_watch(controller, &schema_resource_rbac_v1_clusterroles, on_role);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

static int compare_names(const void *a, const void *b)
{
	const struct api_object *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

static bool is_chosen(struct arena *arena, const struct rbac_v1_aggregation_rule *rule, const struct api_object *object)
{
	const struct meta_v1_object_meta *metadata = api_object_metadata(object);
	for (size_t i = 0; i < rule->cluster_role_selectors.count; i++) {
		struct label_selector *selector;
		if (label_selector_from_view(arena, &rule->cluster_role_selectors.items[i], &selector, NULL) == 0 &&
		    label_selector_matches(selector, &metadata->labels))
			return true;
	}
	return false;
}

static struct json *text_list(struct arena *arena, const struct string_array *texts)
{
	struct json *list = json_array(arena);
	for (size_t i = 0; i < texts->count; i++)
		json_append(arena, list, json_string(arena, texts->items[i]));
	return list;
}

static struct json *rule_to_json(struct arena *arena, const struct rbac_v1_policy_rule *rule)
{
	const struct {
		const char *key;
		const struct string_array *texts;
	} members[] = {{"verbs", &rule->verbs},
	               {"apiGroups", &rule->api_groups},
	               {"resources", &rule->resources},
	               {"resourceNames", &rule->resource_names},
	               {"nonResourceURLs", &rule->non_resource_urls}};
	struct json *object = json_object(arena);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (members[i].texts->count)
			json_set(arena, object, members[i].key, text_list(arena, members[i].texts));
	return object;
}

static void add_rules(struct arena *arena, struct json *list, const struct rbac_v1_cluster_role *role)
{
	for (size_t i = 0; i < role->rules.count; i++) {
		struct json *rule = rule_to_json(arena, &role->rules.items[i]);
		bool known = false;
		json_for_each_item (item, list)
			known |= json_equal(item, rule);
		if (!known)
			json_append(arena, list, rule);
	}
}

static struct json *collect(struct aggregation *state, struct arena *arena, const struct api_object *of)
{
	const struct rbac_v1_cluster_role *role = of->view;
	struct api_object **chosen = ARENA_ARRAY(arena, struct api_object *, informer_count(state->roles) + 1), *object;
	struct json *rules = json_array(arena);
	size_t count = 0;
	for (size_t cursor = 0; (object = informer_next(state->roles, &cursor));)
		if (object != of && is_chosen(arena, role->aggregation_rule, object))
			chosen[count++] = object;
	qsort(chosen, count, sizeof(*chosen), compare_names);
	for (size_t i = 0; i < count; i++)
		add_rules(arena, rules, chosen[i]->view);
	return rules;
}

static struct json *present_rules(struct arena *arena, const struct rbac_v1_cluster_role *role)
{
	struct json *rules = json_array(arena);
	for (size_t i = 0; i < role->rules.count; i++)
		json_append(arena, rules, rule_to_json(arena, &role->rules.items[i]));
	return rules;
}

static void reconcile_role(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct aggregation *state = controller_state(controller);
	struct api_object *object = informer_get(state->roles, NULL, key);
	const struct rbac_v1_cluster_role *role = object ? object->view : NULL;
	struct arena *arena = reconcile_arena(reconcile);
	if (!role || !role->aggregation_rule || role->metadata.deletion_timestamp)
		return;
	struct json *rules = collect(state, arena, object), *patch = json_object(arena);
	if (json_equal(rules, present_rules(arena, role)))
		return;
	json_set(arena, patch, "rules", rules);
	reconcile_patch(reconcile, object, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

const struct controller_type clusterrole_aggregation_controller = {
        .name = "clusterrole-aggregation-controller",
        .start = start,
        .reconcile = reconcile_role,
        .stop = stop,
};
