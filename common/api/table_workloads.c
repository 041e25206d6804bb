// SPDX-License-Identifier: Apache-2.0
//
// The cells of workloads: apps, batch, autoscaling and policy.
#include <string.h>

#include "common/api/object.h"
#include "common/api/selector.h"
#include "common/api/table_internal.h"
#include "common/base/clock.h"

enum { METRICS_SHOWN = 2 };

// --- apps ----------------------------------------------------------------------------

static void ready_of_replicas(struct table_row *row)
{
	table_add_text(row, arena_printf(row->arena, "%lld/%lld",
	                                 (long long)table_number(row->object, "status.readyReplicas"),
	                                 (long long)table_number(row->object, "spec.replicas")));
}

// Unlike other kinds' selectors, an empty one is empty text.
static void deployment_selector(struct table_row *row)
{
	struct label_selector *selector;
	if (label_selector_from_json(row->arena, table_at(row->object, "spec.selector"), &selector, NULL)) {
		table_add_text(row, "<invalid>");
		return;
	}
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	label_selector_write(selector, &out);
	table_add_text(row, strbuf_text(&out));
}

// "deployment.apps/web"
static void revision_controller(struct table_row *row)
{
	const char *text = "<none>";
	json_for_each_item (owner, table_at(row->object, "metadata.ownerReferences")) {
		const char *group, *version;
		if (!table_bool(owner, "controller"))
			continue;
		api_version_split(row->arena, table_text(owner, "apiVersion", ""), &group, &version);
		const char *kind =
		        arena_printf(row->arena, "%s%s%s", table_text(owner, "kind", ""), *group ? "." : "", group);
		text = arena_printf(row->arena, "%s/%s", table_lower(row->arena, kind), table_text(owner, "name", ""));
		break;
	}
	table_add_text(row, text);
}

// --- batch ------------------------------------------------------------------------------

static void job_status(struct table_row *row)
{
	const struct json *conditions = table_at(row->object, "status.conditions");
	const char *text = "Running";
	if (table_condition_is_true(conditions, "Complete"))
		text = "Complete";
	else if (table_condition_is_true(conditions, "Failed"))
		text = "Failed";
	else if (object_is_being_deleted(row->object))
		text = "Terminating";
	else if (table_condition_is_true(conditions, "Suspended"))
		text = "Suspended";
	else if (table_condition_is_true(conditions, "FailureTarget"))
		text = "FailureTarget";
	table_add_text(row, text);
}

static void job_completions(struct table_row *row)
{
	long long succeeded = table_number(row->object, "status.succeeded");
	long long parallelism = table_number(row->object, "spec.parallelism");
	const struct json *completions = table_at(row->object, "spec.completions");
	if (json_is(completions, JSON_INTEGER))
		table_add_text(row, arena_printf(row->arena, "%lld/%lld", succeeded, (long long)completions->integer));
	else if (parallelism > 1)
		table_add_text(row, arena_printf(row->arena, "%lld/1 of %lld", succeeded, parallelism));
	else
		table_add_text(row, arena_printf(row->arena, "%lld/1", succeeded));
}

static void job_duration(struct table_row *row)
{
	int64_t start_ns, end_ns;
	char text[HUMAN_DURATION_BYTES] = "";
	if (api_time_parse(table_text(row->object, "status.startTime", NULL), &start_ns)) {
		if (!api_time_parse(table_text(row->object, "status.completionTime", NULL), &end_ns))
			end_ns = row->now_ns;
		int64_t duration_ns;
		if (__builtin_sub_overflow(end_ns, start_ns, &duration_ns))
			duration_ns = INT64_MAX;
		human_duration(duration_ns, text);
	}
	table_add_text(row, text);
}

static void cron_job_suspend(struct table_row *row)
{
	const struct json *suspend = table_at(row->object, "spec.suspend");
	const char *text = "<unset>";
	if (json_is(suspend, JSON_BOOL))
		text = suspend->boolean ? "True" : "False";
	table_add_text(row, text);
}

// --- autoscaling ---------------------------------------------------------------------------

// Where a metric's source stands in the specification and the status.
struct metric_source {
	const char *type;
	const char *member;
	bool named;         // "cpu: …", and by utilization when there is no average value
	const char *suffix; // of averages
};

static const struct metric_source metric_sources[] = {
        {"External", "external", false, " (avg)"},
        {"Pods", "pods", false, ""},
        {"Object", "object", false, " (avg)"},
        {"Resource", "resource", true, ""},
        {"ContainerResource", "containerResource", true, ""},
};

static const char *quantity_or(struct arena *arena, const struct json *object, const char *path, const char *otherwise)
{
	const char *text = table_scalar(arena, table_at(object, path));
	return text ? text : otherwise;
}

static const char *percent_or(struct arena *arena, const struct json *object, const char *path, const char *otherwise)
{
	const struct json *value = table_at(object, path);
	return json_is(value, JSON_INTEGER) ? arena_printf(arena, "%lld%%", (long long)value->integer) : otherwise;
}

// "current/target" of one metric.
static const char *metric_text(struct arena *arena, const struct json *spec, const struct json *status)
{
	const char *type = table_text(spec, "type", "");
	const struct metric_source *source = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(metric_sources); i++)
		if (strcmp(type, metric_sources[i].type) == 0)
			source = &metric_sources[i];
	if (!source)
		return "<unknown type>";
	const struct json *wanted = table_at(spec, source->member);
	const struct json *now = table_at(status, source->member);
	const char *name = source->named ? arena_printf(arena, "%s: ", table_text(wanted, "name", "")) : "";
	const char *average = quantity_or(arena, wanted, "target.averageValue", NULL);
	if (average)
		return arena_printf(arena, "%s%s/%s%s", name,
		                    quantity_or(arena, now, "current.averageValue", "<unknown>"), average,
		                    source->suffix);
	if (source->named)
		return arena_printf(arena, "%s%s/%s", name,
		                    percent_or(arena, now, "current.averageUtilization", "<unknown>"),
		                    percent_or(arena, wanted, "target.averageUtilization", "<auto>"));
	return arena_printf(arena, "%s/%s", quantity_or(arena, now, "current.value", "<unknown>"),
	                    quantity_or(arena, wanted, "target.value", "0"));
}

// autoscaling/v1 knows one metric, the use of CPU.
static const char *version_1_target(struct table_row *row)
{
	if (!table_at(row->object, "spec.targetCPUUtilizationPercentage"))
		return "<none>";
	return arena_printf(row->arena, "cpu: %s/%s",
	                    percent_or(row->arena, row->object, "status.currentCPUUtilizationPercentage", "<unknown>"),
	                    percent_or(row->arena, row->object, "spec.targetCPUUtilizationPercentage", "<auto>"));
}

static void autoscaler_targets(struct table_row *row)
{
	const struct json *specs = table_at(row->object, "spec.metrics");
	const struct json *statuses = table_at(row->object, "status.currentMetrics");
	size_t status_count = table_count(row->object, "status.currentMetrics");
	size_t count = table_count(row->object, "spec.metrics");
	if (!json_is(specs, JSON_ARRAY) || !count) {
		table_add_text(row, version_1_target(row));
		return;
	}
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	for (size_t i = 0; i < count && i < METRICS_SHOWN; i++) {
		const struct json *status = i < status_count ? statuses->items[i] : NULL;
		strbuf_printf(&out, "%s%s", i ? ", " : "", metric_text(row->arena, specs->items[i], status));
	}
	if (count > METRICS_SHOWN)
		strbuf_printf(&out, " + %zu more...", count - METRICS_SHOWN);
	table_add_text(row, strbuf_text(&out));
}

static void autoscaler_reference(struct table_row *row)
{
	const struct json *target = table_at(row->object, "spec.scaleTargetRef");
	table_add_text(
	        row, arena_printf(row->arena, "%s/%s", table_text(target, "kind", ""), table_text(target, "name", "")));
}

// --- the kinds --------------------------------------------------------------------------------

#define TEMPLATE_CONTAINERS(path)             \
	{CELL_NAMES, path, NULL, NULL},       \
	{                                     \
		CELL_IMAGES, path, NULL, NULL \
	}

static const struct cell replica_set_cells[] = {
        CELL_NAME,
        {CELL_NUMBER, "spec.replicas", NULL, NULL},
        {CELL_NUMBER, "status.replicas", NULL, NULL},
        {CELL_NUMBER, "status.readyReplicas", NULL, NULL},
        CELL_AGE_OF_OBJECT,
        TEMPLATE_CONTAINERS("spec.template.spec.containers"),
        {CELL_SELECTOR, "spec.selector", NULL, NULL},
};

static const struct cell daemon_set_cells[] = {
        CELL_NAME,
        {CELL_NUMBER, "status.desiredNumberScheduled", NULL, NULL},
        {CELL_NUMBER, "status.currentNumberScheduled", NULL, NULL},
        {CELL_NUMBER, "status.numberReady", NULL, NULL},
        {CELL_NUMBER, "status.updatedNumberScheduled", NULL, NULL},
        {CELL_NUMBER, "status.numberAvailable", NULL, NULL},
        {CELL_LABELS, "spec.template.spec.nodeSelector", NULL, NULL},
        CELL_AGE_OF_OBJECT,
        TEMPLATE_CONTAINERS("spec.template.spec.containers"),
        {CELL_SELECTOR, "spec.selector", NULL, NULL},
};

static const struct cell stateful_set_cells[] = {
        CELL_NAME,
        CELL_BY(ready_of_replicas),
        CELL_AGE_OF_OBJECT,
        TEMPLATE_CONTAINERS("spec.template.spec.containers"),
};

static const struct cell deployment_cells[] = {
        CELL_NAME,
        CELL_BY(ready_of_replicas),
        {CELL_NUMBER, "status.updatedReplicas", NULL, NULL},
        {CELL_NUMBER, "status.availableReplicas", NULL, NULL},
        CELL_AGE_OF_OBJECT,
        TEMPLATE_CONTAINERS("spec.template.spec.containers"),
        CELL_BY(deployment_selector),
};

static const struct cell controller_revision_cells[] = {
        CELL_NAME,
        CELL_BY(revision_controller),
        {CELL_NUMBER, "revision", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell job_cells[] = {
        CELL_NAME,
        CELL_BY(job_status),
        CELL_BY(job_completions),
        CELL_BY(job_duration),
        CELL_AGE_OF_OBJECT,
        TEMPLATE_CONTAINERS("spec.template.spec.containers"),
        {CELL_SELECTOR, "spec.selector", NULL, NULL},
};

static const struct cell cron_job_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.schedule", "", NULL},
        {CELL_TEXT, "spec.timeZone", "<none>", NULL},
        CELL_BY(cron_job_suspend),
        {CELL_COUNT, "status.active", NULL, NULL},
        {CELL_AGE, "status.lastScheduleTime", "<none>", NULL},
        CELL_AGE_OF_OBJECT,
        TEMPLATE_CONTAINERS("spec.jobTemplate.spec.template.spec.containers"),
        {CELL_SELECTOR, "spec.jobTemplate.spec.selector", NULL, NULL},
};

static const struct cell autoscaler_cells[] = {
        CELL_NAME,
        CELL_BY(autoscaler_reference),
        CELL_BY(autoscaler_targets),
        {CELL_SCALAR, "spec.minReplicas", "<unset>", NULL},
        {CELL_NUMBER, "spec.maxReplicas", NULL, NULL},
        {CELL_NUMBER, "status.currentReplicas", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell scale_cells[] = {
        CELL_NAME,
        {CELL_NUMBER, "spec.replicas", NULL, NULL},
        {CELL_NUMBER, "status.replicas", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell disruption_budget_cells[] = {
        CELL_NAME,
        {CELL_SCALAR, "spec.minAvailable", "N/A", NULL},
        {CELL_SCALAR, "spec.maxUnavailable", "N/A", NULL},
        {CELL_NUMBER, "status.disruptionsAllowed", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

const struct table_kind table_workload_kinds[] = {
        TABLE_KIND("apps", "ControllerRevision", controller_revision_cells),
        TABLE_KIND("apps", "DaemonSet", daemon_set_cells),
        TABLE_KIND("apps", "Deployment", deployment_cells),
        TABLE_KIND("apps", "ReplicaSet", replica_set_cells),
        TABLE_KIND("apps", "StatefulSet", stateful_set_cells),
        TABLE_KIND("autoscaling", "HorizontalPodAutoscaler", autoscaler_cells),
        TABLE_KIND("autoscaling", "Scale", scale_cells),
        TABLE_KIND("batch", "CronJob", cron_job_cells),
        TABLE_KIND("batch", "Job", job_cells),
        TABLE_KIND("policy", "PodDisruptionBudget", disruption_budget_cells),
};
const size_t table_workload_kind_count = ARRAY_SIZE(table_workload_kinds);
