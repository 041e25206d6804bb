// SPDX-License-Identifier: Apache-2.0
// Which nodes a DaemonSet's pods belong on, and the pod for one of them. Where one
// should not start, one that runs may still continue: only NoExecute drives it away.
// The pod is tied to its node by a required affinity to metadata.name, which the
// scheduler turns back into a binding.

#include <string.h>

#include "common/api/node_affinity.h"
#include "common/api/view.h"
#include "controller-manager/daemonset.h"
#include "controller-manager/pods.h"

// A daemon's pod stays on, and goes to, nodes with these faults: it may be what mends them.
static const struct core_v1_toleration own_tolerations[] = {
        {.key = "node.kubernetes.io/not-ready", .operator= "Exists", .effect = "NoExecute"},
        {.key = "node.kubernetes.io/unreachable", .operator= "Exists", .effect = "NoExecute"},
        {.key = "node.kubernetes.io/disk-pressure", .operator= "Exists", .effect = "NoSchedule"},
        {.key = "node.kubernetes.io/memory-pressure", .operator= "Exists", .effect = "NoSchedule"},
        {.key = "node.kubernetes.io/pid-pressure", .operator= "Exists", .effect = "NoSchedule"},
        {.key = "node.kubernetes.io/unschedulable", .operator= "Exists", .effect = "NoSchedule"},
        {.key = "node.kubernetes.io/network-unavailable",
         .operator= "Exists",
         .effect = "NoSchedule"}, // host network only
};

static bool is_same(const struct core_v1_toleration *a, const struct core_v1_toleration *b)
{
	return a->key && strcmp(a->key, b->key) == 0 && a->effect && strcmp(a->effect, b->effect) == 0;
}

void daemon_tolerate_node_faults(struct arena *arena, struct core_v1_pod_spec *spec)
{
	size_t wanted = ARRAY_SIZE(own_tolerations) - (spec->host_network ? 0 : 1);
	struct core_v1_toleration_array list = {
	        .items = ARENA_ARRAY(arena, struct core_v1_toleration, spec->tolerations.count + wanted),
	        .count = spec->tolerations.count,
	};
	for (size_t i = 0; i < list.count; i++)
		list.items[i] = spec->tolerations.items[i];
	for (size_t w = 0; w < wanted; w++) {
		size_t i = 0;
		while (i < list.count && !is_same(&list.items[i], &own_tolerations[w]))
			i++;
		list.items[i] = own_tolerations[w];
		list.count += i == list.count;
	}
	spec->tolerations = list;
}

void daemon_judge_node(const struct core_v1_pod_spec *spec, struct daemon_node *node)
{
	const char *fixed = spec->node_name;
	if (!node->node || (fixed && *fixed && strcmp(fixed, node->name) != 0) ||
	    !node_affinity_accepts(spec, node->node))
		return;
	node->should_run = node->should_continue = true;
	for (size_t i = 0; i < node->node->spec.taints.count; i++) {
		const struct core_v1_taint *taint = &node->node->spec.taints.items[i];
		if (taint_is_tolerated(taint, &spec->tolerations))
			continue;
		if (taint_has_effect(taint, "NoExecute"))
			node->should_continue = false;
		if (taint_has_effect(taint, "NoExecute") || taint_has_effect(taint, "NoSchedule"))
			node->should_run = false;
	}
}

// --- the node in the pod -----------------------------------------------------------------

static const char *named_node(const struct core_v1_node_selector_term *term)
{
	for (size_t i = 0; i < term->match_fields.count; i++) {
		const struct core_v1_node_selector_requirement *requirement = &term->match_fields.items[i];
		if (requirement->key && strcmp(requirement->key, "metadata.name") == 0 &&
		    requirement->operator&& strcmp(requirement->operator, "In") == 0 && requirement->values.count == 1)
			return requirement->values.items[0];
	}
	return NULL;
}

const char *daemon_target_node(const struct core_v1_pod *pod)
{
	if (pod->spec.node_name && *pod->spec.node_name)
		return pod->spec.node_name;
	const struct core_v1_node_affinity *affinity = pod->spec.affinity ? pod->spec.affinity->node_affinity : NULL;
	const struct core_v1_node_selector *required =
	        affinity ? affinity->required_during_scheduling_ignored_during_execution : NULL;
	for (size_t i = 0; required && i < required->node_selector_terms.count; i++) {
		const char *name = named_node(&required->node_selector_terms.items[i]);
		if (name)
			return name;
	}
	return NULL;
}

static const struct core_v1_node_selector *select_node(struct arena *arena, const char *node_name)
{
	struct core_v1_node_selector *selector = ARENA_NEW(arena, struct core_v1_node_selector);
	struct core_v1_node_selector_term *term = ARENA_NEW(arena, struct core_v1_node_selector_term);
	struct core_v1_node_selector_requirement *requirement =
	        ARENA_NEW(arena, struct core_v1_node_selector_requirement);
	const char **value = ARENA_NEW(arena, const char *);
	*value = node_name;
	requirement->key = "metadata.name";
	requirement->operator= "In";
	requirement->values.items = value;
	requirement->values.count = 1;
	term->match_fields.items = requirement;
	term->match_fields.count = 1;
	selector->node_selector_terms.items = term;
	selector->node_selector_terms.count = 1;
	return selector;
}

// The template's own required terms are met by the node already: the scheduler needs its name only.
static const struct core_v1_affinity *affinity_to(struct arena *arena, const struct core_v1_affinity *present,
                                                  const char *node_name)
{
	struct core_v1_affinity *affinity = ARENA_NEW(arena, struct core_v1_affinity);
	struct core_v1_node_affinity *node_affinity = ARENA_NEW(arena, struct core_v1_node_affinity);
	if (present)
		*affinity = *present;
	if (present && present->node_affinity)
		*node_affinity = *present->node_affinity;
	node_affinity->required_during_scheduling_ignored_during_execution = select_node(arena, node_name);
	affinity->node_affinity = node_affinity;
	return affinity;
}

static struct string_map copy_map(struct arena *arena, const struct string_map *map)
{
	struct string_map copy = {0};
	for (size_t i = 0; i < map->count; i++)
		string_map_set(arena, &copy, map->entries[i].key, map->entries[i].value);
	return copy;
}

const struct core_v1_pod *daemon_pod_for(struct daemon_sync *sync, const char *node_name)
{
	const struct core_v1_pod_template_spec *template = &sync->daemonset->spec.template;
	struct core_v1_pod *pod = pod_from_template(sync->arena, template, sync->object);
	pod->metadata.labels = copy_map(sync->arena, &template->metadata.labels);
	string_map_set(sync->arena, &pod->metadata.labels, REVISION_HASH_LABEL, sync->hash);
	string_map_set(sync->arena, &pod->metadata.labels, "pod-template-generation",
	               arena_printf(sync->arena, "%lld", (long long)sync->daemonset->metadata.generation));
	daemon_tolerate_node_faults(sync->arena, &pod->spec);
	pod->spec.affinity = affinity_to(sync->arena, pod->spec.affinity, arena_strdup(sync->arena, node_name));
	return pod;
}
