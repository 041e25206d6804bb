// SPDX-License-Identifier: Apache-2.0
//
// The cells of pods. STATUS is one word for everything that a person should
// know first: the phase, unless an init container, a container or a deletion has
// something more telling to say (see the order in summarize).
#include "common/api/table_pod.h"

#include <string.h>

#include "common/api/object.h"

// What READY, STATUS and RESTARTS are made of.
struct summary {
	const char *reason;
	size_t total;
	size_t ready;
	int64_t restarts;
	int64_t last_restart_ns; // INT64_MIN = unknown
};

// Restarts of containers and the end of the last run among them.
struct restarts {
	int64_t count;
	int64_t last_ns;
};

static void add_restarts(struct restarts *restarts, const struct json *status)
{
	int64_t finished_ns;
	restarts->count += table_number(status, "restartCount");
	if (api_time_parse(table_text(status, "lastState.terminated.finishedAt", NULL), &finished_ns) &&
	    finished_ns > restarts->last_ns)
		restarts->last_ns = finished_ns;
}

// A sidecar: an init container that is restarted for ever.
static bool is_sidecar(const struct json *container)
{
	return strcmp(table_text(container, "restartPolicy", ""), "Always") == 0;
}

static bool names_sidecar(const struct json *object, const char *name)
{
	json_for_each_item (container, table_at(object, "spec.initContainers"))
		if (strcmp(table_text(container, "name", ""), name) == 0)
			return is_sidecar(container);
	return false;
}

// "Error", or "Signal:9", or "ExitCode:1" when no reason is given.
static const char *termination_text(struct arena *arena, const struct json *terminated, const char *prefix)
{
	const char *reason = table_text(terminated, "reason", NULL);
	int64_t signal = table_number(terminated, "signal");
	if (reason)
		return arena_printf(arena, "%s%s", prefix, reason);
	return arena_printf(arena, "%s%s:%lld", prefix, signal ? "Signal" : "ExitCode",
	                    (long long)(signal ? signal : table_number(terminated, "exitCode")));
}

// What an unfinished init container says; NULL when it is done or a running sidecar.
static const char *init_reason(struct arena *arena, const struct json *object, const struct json *status, size_t index,
                               bool sidecar, struct summary *summary)
{
	const struct json *terminated = table_at(status, "state.terminated");
	const char *waiting = table_text(status, "state.waiting.reason", NULL);
	if (terminated && table_number(terminated, "exitCode") == 0)
		return NULL;
	if (sidecar && table_bool(status, "started")) {
		summary->ready += table_bool(status, "ready");
		return NULL;
	}
	if (terminated)
		return termination_text(arena, terminated, "Init:");
	if (waiting && strcmp(waiting, "PodInitializing") != 0)
		return arena_printf(arena, "Init:%s", waiting);
	return arena_printf(arena, "Init:%zu/%zu", index, table_count(object, "spec.initContainers"));
}

// Returns whether the pod is still initializing. *sidecars counts theirs alone.
static bool summarize_init(struct arena *arena, const struct json *object, struct summary *summary,
                           struct restarts *all, struct restarts *sidecars)
{
	size_t index = 0;
	json_for_each_item (status, table_at(object, "status.initContainerStatuses")) {
		bool sidecar = names_sidecar(object, table_text(status, "name", ""));
		add_restarts(all, status);
		if (sidecar)
			add_restarts(sidecars, status);
		const char *reason = init_reason(arena, object, status, index++, sidecar, summary);
		if (reason) {
			summary->reason = reason;
			return true;
		}
	}
	return false;
}

// The containers' states, the last one first: the first container's word stands.
static void summarize_containers(struct arena *arena, const struct json *object, struct summary *summary,
                                 struct restarts *restarts)
{
	const struct json *statuses = table_at(object, "status.containerStatuses");
	bool has_running = false;
	for (uint32_t i = json_is(statuses, JSON_ARRAY) ? statuses->length : 0; i-- > 0;) {
		const struct json *status = statuses->items[i];
		const char *waiting = table_text(status, "state.waiting.reason", NULL);
		const struct json *terminated = table_at(status, "state.terminated");
		add_restarts(restarts, status);
		if (waiting) {
			summary->reason = waiting;
		} else if (terminated) {
			summary->reason = termination_text(arena, terminated, "");
		} else if (table_bool(status, "ready") && table_at(status, "state.running")) {
			has_running = true;
			summary->ready++;
		}
	}
	if (has_running && strcmp(summary->reason, "Completed") == 0)
		summary->reason = table_condition_is_true(table_at(object, "status.conditions"), "Ready") ? "Running"
		                                                                                          : "NotReady";
}

static bool is_finished(const char *phase)
{
	return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

static struct summary summarize(struct arena *arena, const struct json *object)
{
	const struct json *conditions = table_at(object, "status.conditions");
	const char *phase = table_text(object, "status.phase", "");
	const char *status_reason = table_text(object, "status.reason", "");
	struct summary summary = {.reason = *status_reason ? status_reason : phase,
	                          .total = table_count(object, "spec.containers")};
	json_for_each_item (condition, conditions)
		if (strcmp(table_text(condition, "type", ""), "PodScheduled") == 0 &&
		    strcmp(table_text(condition, "reason", ""), "SchedulingGated") == 0)
			summary.reason = "SchedulingGated";
	json_for_each_item (container, table_at(object, "spec.initContainers"))
		summary.total += is_sidecar(container);
	struct restarts restarts = {.last_ns = INT64_MIN}, sidecars = {.last_ns = INT64_MIN};
	bool initializing = summarize_init(arena, object, &summary, &restarts, &sidecars);
	if (!initializing || table_condition_is_true(conditions, "Initialized")) {
		restarts = sidecars;
		summarize_containers(arena, object, &summary, &restarts);
	}
	summary.restarts = restarts.count;
	summary.last_restart_ns = restarts.last_ns;
	if (object_is_being_deleted(object) && strcmp(status_reason, "NodeLost") == 0)
		summary.reason = "Unknown";
	else if (object_is_being_deleted(object) && !is_finished(phase))
		summary.reason = "Terminating";
	return summary;
}

static const char *restarts_text(const struct table_row *row, const struct summary *summary)
{
	char age[HUMAN_DURATION_BYTES];
	if (!summary->restarts || summary->last_restart_ns == INT64_MIN)
		return arena_printf(row->arena, "%lld", (long long)summary->restarts);
	human_duration(row->now_ns - summary->last_restart_ns, age);
	return arena_printf(row->arena, "%lld (%s ago)", (long long)summary->restarts, age);
}

void table_pod_summary(struct table_row *row)
{
	struct summary summary = summarize(row->arena, row->object);
	table_add_text(row, arena_printf(row->arena, "%zu/%zu", summary.ready, summary.total));
	table_add_text(row, summary.reason);
	table_add_text(row, restarts_text(row, &summary));
}

void table_pod_address(struct table_row *row)
{
	const struct json *addresses = table_at(row->object, "status.podIPs");
	const struct json *first = json_is(addresses, JSON_ARRAY) && addresses->length ? addresses->items[0] : NULL;
	table_add_text(row, table_text(first, "ip", "<none>"));
}

void table_pod_readiness_gates(struct table_row *row)
{
	const struct json *conditions = table_at(row->object, "status.conditions");
	const struct json *gates = table_at(row->object, "spec.readinessGates");
	size_t true_count = 0;
	if (!json_is(gates, JSON_ARRAY) || !gates->length) {
		table_add_text(row, "<none>");
		return;
	}
	json_for_each_item (gate, gates)
		true_count += table_condition_is_true(conditions, table_text(gate, "conditionType", ""));
	table_add_text(row, arena_printf(row->arena, "%zu/%u", true_count, gates->length));
}
