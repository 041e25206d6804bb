// SPDX-License-Identifier: Apache-2.0
// Computed defaults of apps/v1 and batch/v1.

#include "common/api/defaults.h"

#include <string.h>

#include "api/apps_v1.h"
#include "api/batch_v1.h"

static bool is_rolling_update(const struct json *strategy)
{
	return strcmp(default_get_text(strategy, "type"), "RollingUpdate") == 0;
}

static void default_deployment_strategy(struct arena *arena, struct json *strategy)
{
	if (!is_rolling_update(strategy))
		return;
	struct json *update = json_ensure_object(arena, strategy, "rollingUpdate");
	default_document(arena, update, "maxUnavailable", "\"25%\"");
	default_document(arena, update, "maxSurge", "\"25%\"");
}

static void default_daemon_set_strategy(struct arena *arena, struct json *strategy)
{
	if (!is_rolling_update(strategy))
		return;
	struct json *update = json_ensure_object(arena, strategy, "rollingUpdate");
	default_integer(arena, update, "maxUnavailable", 1);
	default_integer(arena, update, "maxSurge", 0);
}

// A strategy that was chosen by name keeps an absent rollingUpdate; one that was not gets it.
static void default_stateful_set_strategy(struct arena *arena, struct json *strategy)
{
	if (default_get_text(strategy, "type")[0] == '\0') {
		json_set_text(arena, strategy, "type", "RollingUpdate");
		json_ensure_object(arena, strategy, "rollingUpdate");
	}
	struct json *update = json_get(strategy, "rollingUpdate");
	if (is_rolling_update(strategy) && json_is(update, JSON_OBJECT))
		default_integer(arena, update, "partition", 0);
}

// Claims in a template say what they are, as whole objects do.
static void default_stateful_set_spec(struct arena *arena, struct json *spec)
{
	json_for_each_item (claim, json_get(spec, "volumeClaimTemplates")) {
		if (!json_is(claim, JSON_OBJECT))
			continue;
		json_set_text(arena, claim, "apiVersion", "v1");
		json_set_text(arena, claim, "kind", "PersistentVolumeClaim");
	}
}

// A job's own, not those of the template in a CronJob, whose spec has the same type.
static void default_job(struct arena *arena, struct json *job)
{
	struct json *spec = json_get(job, "spec");
	bool indexed_limit = !default_is_absent(spec, "backoffLimitPerIndex");
	bool failure_policy = !default_is_absent(spec, "podFailurePolicy");
	if (default_is_absent(spec, "parallelism"))
		default_integer(arena, spec, "completions", 1);
	default_integer(arena, spec, "parallelism", 1);
	default_integer(arena, spec, "backoffLimit", indexed_limit ? INT32_MAX : 6);
	default_absent_text(arena, spec, "completionMode", "NonIndexed");
	default_absent_text(arena, spec, "podReplacementPolicy", failure_policy ? "Failed" : "TerminatingOrFailed");
	default_bool(arena, spec, "suspend", false);
	default_bool(arena, spec, "manualSelector", false);
	default_labels_from_template(arena, job);
}

const struct default_hook defaults_workload_hooks[] = {
        {&schema_type_apps_v1_daemon_set_update_strategy, default_daemon_set_strategy},
        {&schema_type_apps_v1_deployment_strategy, default_deployment_strategy},
        {&schema_type_apps_v1_stateful_set_spec, default_stateful_set_spec},
        {&schema_type_apps_v1_stateful_set_update_strategy, default_stateful_set_strategy},
        {&schema_type_batch_v1_job, default_job},
        {NULL, NULL},
};
