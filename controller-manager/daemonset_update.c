// SPDX-License-Identifier: Apache-2.0
//
// One step of a DaemonSet's rolling update.
//
//   without surge   old pods are deleted, and made anew by the next reconcile: those
//                   that aren't available at once, others as long as no more than
//                   maxUnavailable nodes are without an available pod
//   with surge      a new pod starts beside the old one on up to maxSurge nodes; the
//                   old one goes when the new one is available
#include <stdlib.h>
#include <string.h>

#include "common/api/view.h"
#include "controller-manager/daemonset.h"
#include "controller-manager/pods.h"

static int32_t resolve(const struct int_or_string *value, int32_t total, int32_t fallback)
{
	if (!value)
		return fallback;
	if (!value->is_string)
		return value->integer;
	long percent = value->text ? strtol(value->text, NULL, 10) : 0;
	return (int32_t)(((long long)percent * total + 99) / 100);
}

static int32_t desired_count(const struct daemon_sync *sync)
{
	int32_t desired = 0;
	for (size_t i = 0; i < sync->node_count; i++)
		desired += sync->nodes[i].should_run;
	return desired;
}

int32_t daemon_max_surge(const struct daemon_sync *sync)
{
	const struct apps_v1_daemon_set_update_strategy *strategy = &sync->daemonset->spec.update_strategy;
	bool rolls = !strategy->type || strcmp(strategy->type, "RollingUpdate") == 0;
	return rolls && strategy->rolling_update ? resolve(strategy->rolling_update->max_surge, desired_count(sync), 0)
	                                         : 0;
}

bool daemon_pod_is_current(const struct daemon_sync *sync, const struct api_object *pod)
{
	const char *hash = string_map_get(&api_object_metadata(pod)->labels, REVISION_HASH_LABEL);
	return hash && strcmp(hash, sync->hash) == 0;
}

bool daemon_pod_is_available(struct daemon_sync *sync, const struct api_object *pod)
{
	int64_t wait_ns;
	bool is_available =
	        pod_is_available(pod->view, sync->daemonset->spec.min_ready_seconds, sync->now_realtime_ns, &wait_ns);
	if (wait_ns && (!sync->next_available_ns || wait_ns < sync->next_available_ns))
		sync->next_available_ns = wait_ns;
	return is_available;
}

// The pod of the old and the one of the current template on a node; false when there is more than one of either.
static bool find_generations(const struct daemon_sync *sync, const struct daemon_node *node,
                             const struct api_object **ret_old, const struct api_object **ret_new)
{
	*ret_old = *ret_new = NULL;
	for (size_t i = 0; i < node->pod_count; i++) {
		if (api_object_metadata(node->pods[i])->deletion_timestamp)
			continue;
		const struct api_object **place = daemon_pod_is_current(sync, node->pods[i]) ? ret_new : ret_old;
		if (*place)
			return false;
		*place = node->pods[i];
	}
	return true;
}

static void roll_in_place(struct daemon_sync *sync, int32_t max_unavailable)
{
	const struct api_object **candidates =
	        ARENA_ARRAY(sync->arena, const struct api_object *, sync->node_count + 1);
	size_t candidate_count = 0;
	int32_t unavailable = 0;
	for (size_t i = 0; i < sync->node_count; i++) {
		const struct daemon_node *node = &sync->nodes[i];
		const struct api_object *old_pod;
		const struct api_object *new_pod;
		if (!node->should_run)
			continue;
		if (!find_generations(sync, node, &old_pod, &new_pod)) {
			unavailable++;
			continue;
		}
		bool is_available = (new_pod && daemon_pod_is_available(sync, new_pod)) ||
		                    (old_pod && daemon_pod_is_available(sync, old_pod));
		if (old_pod && !is_available)
			daemon_delete_pod(sync, old_pod);
		else if (old_pod && !new_pod)
			candidates[candidate_count++] = old_pod;
		unavailable += !is_available;
	}
	for (size_t i = 0; i < candidate_count && unavailable < max_unavailable; i++, unavailable++)
		daemon_delete_pod(sync, candidates[i]);
}

static void roll_with_surge(struct daemon_sync *sync, int32_t max_surge)
{
	const char **candidates = ARENA_ARRAY(sync->arena, const char *, sync->node_count + 1);
	size_t candidate_count = 0;
	int32_t surging = 0;
	for (size_t i = 0; i < sync->node_count; i++) {
		const struct daemon_node *node = &sync->nodes[i];
		const struct api_object *old_pod;
		const struct api_object *new_pod;
		if (!node->should_run)
			continue;
		if (!find_generations(sync, node, &old_pod, &new_pod)) {
			surging++;
		} else if (old_pod && !new_pod) {
			if (daemon_pod_is_available(sync, old_pod))
				candidates[candidate_count++] = node->name;
			else
				daemon_create_on(sync, node->name);
		} else if (old_pod && daemon_pod_is_available(sync, new_pod)) {
			daemon_delete_pod(sync, old_pod);
		} else if (old_pod) {
			surging++;
		}
	}
	for (size_t i = 0; i < candidate_count && surging < max_surge; i++, surging++)
		daemon_create_on(sync, candidates[i]);
}

void daemon_roll(struct daemon_sync *sync)
{
	const struct apps_v1_daemon_set_update_strategy *strategy = &sync->daemonset->spec.update_strategy;
	if (strategy->type && strcmp(strategy->type, "RollingUpdate") != 0)
		return;
	const struct int_or_string *value = strategy->rolling_update ? strategy->rolling_update->max_unavailable : NULL;
	int32_t max_surge = daemon_max_surge(sync);
	int32_t max_unavailable = resolve(value, desired_count(sync), 1);
	if (max_surge > 0)
		roll_with_surge(sync, max_surge);
	else
		roll_in_place(sync, max_unavailable > 0 ? max_unavailable : 1);
}
