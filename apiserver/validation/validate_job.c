// SPDX-License-Identifier: Apache-2.0
// Jobs and CronJobs. A job's status is judged as a whole: a job that is over may
// not have anything going on, and what is over stays so.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "apiserver/validation/cron_schedule.h"
#include "apiserver/validation/index_intervals.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"
#include "common/api/object.h"
#include "common/api/selector.h"

enum {
	JOB_PARALLELISM_MAX = 100000,
	JOB_FAILED_INDEXES_MAX = 100000,
	JOB_MANY_COMPLETIONS = 100000,
	JOB_MANY_LIMIT = 10000,
	JOB_MANAGER_MAX = 63,
	JOB_RULES_MAX = 20,
	JOB_EXIT_CODES_MAX = 255,
	JOB_INDEXES_MAX_BYTES = 65536,
	CRON_NAME_MAX = 52,
};

static bool is_indexed(const struct json *spec)
{
	return text_is(spec, "completionMode", "Indexed");
}

static bool has(const struct json *object, const char *member)
{
	return is_present(json_get(object, member));
}

// --- indexes ---------------------------------------------------------------------------------------

static void invalid_count(struct validation *v, const struct json *spec, const char *member, const char *detail,
                          const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_invalid(v, &path, json_get(spec, member), detail);
}

static void validate_many_completions(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	if (integer_of(spec, "completions", 0) <= JOB_MANY_COMPLETIONS || !has(spec, "backoffLimitPerIndex"))
		return;
	rule_required(v, spec, "maxFailedIndexes", path, "must be specified when completions is above 100000");
	if (integer_of(spec, "parallelism", 0) > JOB_MANY_LIMIT)
		invalid_count(v, spec, "parallelism",
		              "must be less than or equal to 10000 when completions are above 100000 and used with "
		              "backoff limit per index",
		              path);
	if (integer_of(spec, "maxFailedIndexes", 0) > JOB_MANY_LIMIT)
		invalid_count(v, spec, "maxFailedIndexes",
		              "must be less than or equal to 10000 when completions are above 100000 and used with "
		              "backoff limit per index",
		              path);
}

static void validate_completion_mode(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const modes[] = {"NonIndexed", "Indexed", NULL};
	static const char *const only_indexed[] = {"backoffLimitPerIndex", "maxFailedIndexes"};
	int64_t failed = integer_of(spec, "maxFailedIndexes", 0);

	rule_one_of(v, spec, "completionMode", path, false, modes);
	for (size_t i = 0; !is_indexed(spec) && i < ARRAY_SIZE(only_indexed); i++)
		if (has(spec, only_indexed[i]))
			invalid_count(v, spec, only_indexed[i], "requires indexed completion mode", path);
	if (!is_indexed(spec))
		return;
	rule_required(v, spec, "completions", path, "when completion mode is Indexed");
	if (integer_of(spec, "parallelism", 0) > JOB_PARALLELISM_MAX)
		invalid_count(v, spec, "parallelism",
		              "must be less than or equal to 100000 when completion mode is Indexed", path);
	if (has(spec, "completions") && failed > integer_of(spec, "completions", 0))
		invalid_count(v, spec, "maxFailedIndexes", "must be less than or equal to completions", path);
	if (failed > JOB_FAILED_INDEXES_MAX)
		invalid_count(v, spec, "maxFailedIndexes", "must be less than or equal to 100000", path);
	validate_many_completions(v, spec, path);
}

// --- failure policies ------------------------------------------------------------------------------

static bool has_container(const struct json *spec, const char *name)
{
	static const char *const lists[] = {"containers", "initContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_path(spec, "template", "spec", lists[i]))
			if (text_is(container, "name", name))
				return true;
	return false;
}

static const char *rendered_values(struct arena *arena, const struct json *values)
{
	const char *text = "";

	json_for_each_item (value, values)
		text = arena_printf(arena, "%s%s%" PRId64, text, text[0] ? ", " : "", value->integer);
	return arena_printf(arena, "[]int32{%s}", text);
}

static void validate_exit_code_values(struct validation *v, const struct json *codes, const struct rule_path *path)
{
	const struct json *values = json_get(codes, "values");
	bool ordered = true;

	if (!length_of(values))
		validation_invalid_rendered(v, path, "[]int32{}", "at least one value is required");
	if (length_of(values) > JOB_EXIT_CODES_MAX)
		validation_too_many(v, path, length_of(values), JOB_EXIT_CODES_MAX);
	rule_for_each_item (value, entry, values, path) {
		int64_t before = entry.index ? values->items[entry.index - 1]->integer : INT64_MIN;
		bool repeated = false;

		if (text_is(codes, "operator", "In") && json_is(value, JSON_INTEGER) && !value->integer)
			validation_invalid(v, &entry, value, "must not be 0 for the In operator");
		for (uint32_t i = 0; i < entry.index; i++)
			repeated |= json_equal(values->items[i], value);
		if (repeated)
			validation_duplicate(v, &entry, value);
		ordered &= before <= value->integer;
	}
	if (!ordered)
		validation_invalid_rendered(v, path, rendered_values(v->arena, values), "must be ordered");
}

static void validate_exit_codes(struct validation *v, const struct json *spec, const struct json *codes,
                                const struct rule_path *path)
{
	static const char *const operators[] = {"In", "NotIn", NULL};
	struct rule_path how = FIELD(path, "operator"), name = FIELD(path, "containerName"),
	                 values = FIELD(path, "values");

	if (!text_of(codes, "operator")[0])
		validation_required(v, &how, "valid values: [\"In\" \"NotIn\"]");
	else
		validation_one_of(v, &how, json_get(codes, "operator"), true, operators);
	if (json_text(json_get(codes, "containerName")) && !has_container(spec, text_of(codes, "containerName")))
		validation_invalid_text(v, &name, text_of(codes, "containerName"),
		                        "must be one of the container or initContainer names in the pod template");
	validate_exit_code_values(v, codes, &values);
}

static void validate_pod_condition_patterns(struct validation *v, const struct json *patterns,
                                            const struct rule_path *path)
{
	static const char *const statuses[] = {"False", "True", "Unknown", NULL};

	if (length_of(patterns) > JOB_RULES_MAX)
		validation_too_many(v, path, length_of(patterns), JOB_RULES_MAX);
	rule_for_each_item (pattern, entry, patterns, path) {
		struct rule_path type = FIELD(&entry, "type"), status = FIELD(&entry, "status");

		validation_string(v, &type, text_of(pattern, "type"), check_qualified_name);
		if (!text_of(pattern, "status")[0])
			validation_required(v, &status, "valid values: [\"False\" \"True\" \"Unknown\"]");
		else
			validation_one_of(v, &status, json_get(pattern, "status"), true, statuses);
	}
}

static void validate_failure_rule(struct validation *v, const struct json *spec, const struct json *rule,
                                  const struct rule_path *path)
{
	static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
	const struct json *codes = json_get(rule, "onExitCodes"), *patterns = json_get(rule, "onPodConditions");
	struct rule_path action = FIELD(path, "action"), codes_path = FIELD(path, "onExitCodes"),
	                 patterns_path = FIELD(path, "onPodConditions");

	if (!text_of(rule, "action")[0])
		validation_required(v, &action, "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
	else if (text_is(rule, "action", "FailIndex") && !has(spec, "backoffLimitPerIndex"))
		validation_invalid_text(v, &action, "FailIndex", "requires the backoffLimitPerIndex to be set");
	else
		validation_one_of(v, &action, json_get(rule, "action"), true, actions);
	if (is_present(codes))
		validate_exit_codes(v, spec, codes, &codes_path);
	if (length_of(patterns))
		validate_pod_condition_patterns(v, patterns, &patterns_path);
	if (is_present(codes) && length_of(patterns))
		validation_invalid_omitted(v, path, "specifying both OnExitCodes and OnPodConditions is not supported");
	if (!is_present(codes) && !length_of(patterns))
		validation_invalid_omitted(v, path, "specifying one of OnExitCodes and OnPodConditions is required");
}

static void validate_failure_policy(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *rules = json_path(spec, "podFailurePolicy", "rules");
	struct rule_path policy = FIELD(parent, "podFailurePolicy"), path = FIELD(&policy, "rules");

	if (length_of(rules) > JOB_RULES_MAX)
		validation_too_many(v, &path, length_of(rules), JOB_RULES_MAX);
	rule_for_each_item (rule, entry, rules, &path)
		validate_failure_rule(v, spec, rule, &entry);
}

static void validate_replacement(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const failed[] = {"Failed", NULL};
	static const char *const any[] = {"Failed", "TerminatingOrFailed", NULL};

	rule_one_of(v, spec, "podReplacementPolicy", path, false, has(spec, "podFailurePolicy") ? failed : any);
}

// --- success policies ------------------------------------------------------------------------------

static void validate_success_rule(struct validation *v, const struct json *spec, const struct json *rule,
                                  const struct rule_path *path)
{
	const struct json *indexes = json_get(rule, "succeededIndexes"), *count = json_get(rule, "succeededCount");
	int64_t completions = integer_of(spec, "completions", 0), total = 0;
	struct rule_path indexes_path = FIELD(path, "succeededIndexes"), count_path = FIELD(path, "succeededCount");
	const char *problem;

	if (!is_present(indexes) && !is_present(count))
		validation_required(v, path, "at least one of succeededCount or succeededIndexes must be specified");
	if (json_text(indexes)) {
		if (indexes->length > JOB_INDEXES_MAX_BYTES)
			validation_too_long(v, &indexes_path, JOB_INDEXES_MAX_BYTES);
		problem = index_intervals_problem(v->arena, json_text(indexes), completions, &total);
		if (problem)
			validation_invalid(v, &indexes_path, indexes,
			                   arena_printf(v->arena, "error parsing succeededIndexes: %s", problem));
	}
	if (!json_is(count, JSON_INTEGER))
		return;
	rule_not_negative(v, rule, "succeededCount", path);
	if (count->integer > completions)
		validation_invalid(v, &count_path, count,
		                   arena_printf(v->arena,
		                                "must be less than or equal to %lld (the number of specified "
		                                "completions)",
		                                (long long)completions));
	if (json_text(indexes) && count->integer > total)
		validation_invalid(v, &count_path, count,
		                   arena_printf(v->arena,
		                                "must be less than or equal to %lld (the number of indexes in the "
		                                "specified succeededIndexes field)",
		                                (long long)total));
}

static void validate_success_policy(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *policy = json_get(spec, "successPolicy"), *rules = json_get(policy, "rules");
	struct rule_path own = FIELD(parent, "successPolicy"), path = FIELD(&own, "rules");

	if (!is_present(policy))
		return;
	if (!is_indexed(spec)) {
		validation_invalid(v, &own, policy, "requires indexed completion mode");
		return;
	}
	if (!length_of(rules))
		validation_required(v, &path,
		                    "at least one rules must be specified when the successPolicy is specified");
	if (length_of(rules) > JOB_RULES_MAX)
		validation_too_many(v, &path, length_of(rules), JOB_RULES_MAX);
	rule_for_each_item (rule, entry, rules, &path)
		validate_success_rule(v, spec, rule, &entry);
}

// --- the spec --------------------------------------------------------------------------------------

static void validate_restart(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const policies[] = {"OnFailure", "Never", NULL};
	const char *policy = text_of(json_path(spec, "template", "spec"), "restartPolicy");
	struct rule_path template = FIELD(parent, "template"), inner = FIELD(&template, "spec"),
	                 path = FIELD(&inner, "restartPolicy");

	// "Always" is what an absent policy is defaulted to.
	if (!policy[0] || !strcmp(policy, "Always"))
		validation_required(v, &path, "valid values: \"OnFailure\", \"Never\"");
	else if (!is_one_of(policy, policies))
		validation_not_supported(v, &path, policy, policies);
	else if (has(spec, "podFailurePolicy") && strcmp(policy, "Never"))
		validation_invalid_text(v, &path, policy,
		                        "only \"Never\" is supported when podFailurePolicy is specified");
}

static void validate_managed_by(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "managedBy");

	if (!json_text(json_get(spec, "managedBy")))
		return;
	if (!text_of(spec, "managedBy")[0])
		validation_required(v, &path, "");
	else
		validation_string(v, &path, text_of(spec, "managedBy"), check_domain_prefixed_path);
	if (strlen(text_of(spec, "managedBy")) > JOB_MANAGER_MAX)
		validation_too_long(v, &path, JOB_MANAGER_MAX);
}

static void validate_job_spec(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const counters[] = {"parallelism",
	                                       "completions",
	                                       "activeDeadlineSeconds",
	                                       "backoffLimit",
	                                       "ttlSecondsAfterFinished",
	                                       "backoffLimitPerIndex",
	                                       "maxFailedIndexes"};
	struct rule_path template = FIELD(path, "template"), limit = FIELD(path, "backoffLimitPerIndex");

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		rule_not_negative(v, spec, counters[i], path);
	if (has(spec, "maxFailedIndexes") && !has(spec, "backoffLimitPerIndex"))
		validation_required(v, &limit, "when maxFailedIndexes is specified");
	validate_managed_by(v, spec, path);
	validate_completion_mode(v, spec, path);
	validate_failure_policy(v, spec, path);
	validate_success_policy(v, spec, path);
	validate_replacement(v, spec, path);
	validate_pod_template(v, json_get(spec, "template"), &template);
	validate_restart(v, spec, path);
}

static void validate_selected(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *selector = json_get(spec, "selector");
	struct rule_path own = FIELD(path, "selector"), template = FIELD(path, "template");

	if (!is_present(selector))
		validation_required(v, &own, "");
	validate_label_selector(v, selector, &own);
	validate_template_labels(v, selector, json_get(spec, "template"), &template);
}

// The labels that tell a job's pods from all others must be those that the server made.
static void validate_generated(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const keys[] = {"controller-uid", "job-name", "batch.kubernetes.io/controller-uid",
	                                   "batch.kubernetes.io/job-name"};
	const struct json *labels = json_path(spec, "template", "metadata", "labels");
	const char *uid = object_uid(v->change->object), *name = v->change->name;
	struct json *expected = json_object(v->arena);
	struct label_selector *selector = NULL;
	struct rule_path template = FIELD(path, "template"), metadata = FIELD(&template, "metadata"),
	                 labels_path = FIELD(&metadata, "labels"), own = FIELD(path, "selector");

	if (json_get_bool(spec, "manualSelector", false) || !is_present(json_get(spec, "selector")))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *want = strstr(keys[i], "uid") ? uid : name, *held = json_get_text(labels, keys[i]);
		struct rule_path entry = FIELD_KEY(&labels_path, keys[i]);

		json_set_text(v->arena, expected, keys[i], want ? want : "");
		if (!held)
			validation_required(v, &entry, arena_printf(v->arena, "must be '%s'", want));
		else if (strcmp(held, want ? want : ""))
			validation_invalid(v, &entry, labels, arena_printf(v->arena, "must be '%s'", want));
	}
	if (label_selector_from_json(v->arena, json_get(spec, "selector"), &selector, NULL) == 0 &&
	    !label_selector_matches_json(selector, expected))
		validation_invalid_selector(v, &own, json_get(spec, "selector"), "`selector` not auto-generated");
}

static void validate_host_names(struct validation *v, const struct json *spec)
{
	struct rule_path metadata = FIELD(NULL, "metadata"), path = FIELD(&metadata, "name");
	int64_t completions = integer_of(spec, "completions", 0);
	const char *last;

	if (!is_indexed(spec) || completions <= 0)
		return;
	last = arena_printf(v->arena, "%s-%lld", v->change->name ? v->change->name : "", (long long)completions - 1);
	if (!is_dns_label(last))
		validation_invalid_text(
		        v, &path, v->change->name,
		        arena_printf(v->arena, "will not able to create pod with invalid DNS label: %s", last));
}

// --- updates ---------------------------------------------------------------------------------------

static void put_back(struct arena *arena, struct json *object, const struct json *from, const char *member)
{
	struct json *value = json_get(from, member);

	if (value)
		json_set(arena, object, member, value);
	else
		json_remove(object, member);
}

// A job that hasn't begun may still be told where to run.
static struct json *with_directives(struct arena *arena, const struct json *old, const struct json *now)
{
	static const char *const spec_members[] = {"nodeSelector", "tolerations", "schedulingGates"};
	static const char *const metadata_members[] = {"annotations", "labels"};
	struct json *template = json_clone(arena, old), *spec = json_ensure_object(arena, template, "spec");
	const struct json *affinity = json_path(now, "spec", "affinity");

	if (is_present(affinity))
		put_back(arena, json_ensure_object(arena, spec, "affinity"), affinity, "nodeAffinity");
	else if (json_remove(json_get(spec, "affinity"), "nodeAffinity") && !length_of(json_get(spec, "affinity")))
		json_remove(spec, "affinity");
	for (size_t i = 0; i < ARRAY_SIZE(spec_members); i++)
		put_back(arena, spec, json_get(now, "spec"), spec_members[i]);
	for (size_t i = 0; i < ARRAY_SIZE(metadata_members); i++)
		put_back(arena, json_ensure_object(arena, template, "metadata"), json_get(now, "metadata"),
		         metadata_members[i]);
	return template;
}

static bool never_started(const struct change *change)
{
	return json_get_bool(json_get(change->old, "spec"), "suspend", false) &&
	       !is_present(json_path(change->old, "status", "startTime"));
}

static void validate_completions_update(struct validation *v, const struct json *spec, const struct json *old,
                                        const struct rule_path *parent)
{
	const struct json *now = json_get(spec, "completions");
	struct rule_path path = FIELD(parent, "completions");

	if (!is_indexed(spec))
		rule_immutable(v, spec, old, "completions", parent);
	else if (is_present(now) && !rule_equal(now, json_get(old, "completions")) &&
	         !rule_equal(now, json_get(spec, "parallelism")))
		validation_invalid(v, &path, now, "can only be modified in tandem with spec.parallelism");
}

static void validate_job_update(struct validation *v, const struct rule_path *path)
{
	static const char *const fixed[] = {"completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
	                                    "successPolicy"};
	const struct json *spec = json_get(v->change->object, "spec"), *old = json_get(v->change->old, "spec");
	const struct json *now = json_get(spec, "template"), *before = json_get(old, "template");
	struct rule_path template = FIELD(path, "template"), selector = FIELD(path, "selector");

	validate_completions_update(v, spec, old, path);
	if (!rule_equal(json_get(spec, "selector"), json_get(old, "selector")))
		validation_invalid_selector(v, &selector, json_get(spec, "selector"), IMMUTABLE_DETAIL);
	if (never_started(v->change))
		before = with_directives(v->arena, before, now);
	validation_immutable(v, &template, now, before);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		rule_immutable(v, spec, old, fixed[i], path);
}

// --- status ----------------------------------------------------------------------------------------

struct job_state {
	const struct json *spec;
	const struct json *status;
	bool complete, failed, success_met, failure_target, finished;
};

static bool condition_is_true(const struct json *status, const char *type)
{
	json_for_each_item (condition, json_get(status, "conditions"))
		if (text_is(condition, "type", type) && text_is(condition, "status", "True"))
			return true;
	return false;
}

static struct job_state state_of(const struct json *job)
{
	struct job_state state = {.spec = json_get(job, "spec"), .status = json_get(job, "status")};

	state.complete = condition_is_true(state.status, "Complete");
	state.failed = condition_is_true(state.status, "Failed");
	state.success_met = condition_is_true(state.status, "SuccessCriteriaMet");
	state.failure_target = condition_is_true(state.status, "FailureTarget");
	state.finished = state.complete || state.failed;
	return state;
}

static void validate_conditions(struct validation *v, const struct job_state *now, const struct job_state *old,
                                const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "conditions");
	bool complete_changed = now->complete != old->complete, failed_changed = now->failed != old->failed;
	bool target_changed = now->failure_target != old->failure_target,
	     met_changed = now->success_met != old->success_met;
	const struct {
		bool wrong;
		const char *detail;
	} rules[] = {
	        {(complete_changed || failed_changed) && now->complete && now->failed,
	         "cannot set Complete=True and Failed=true conditions"},
	        {(complete_changed || target_changed) && now->complete && now->failure_target,
	         "cannot set Complete=True and FailureTarget=true conditions"},
	        {(failed_changed || target_changed) && now->failed && !now->failure_target,
	         "cannot set Failed=True condition without the FailureTarget=true condition"},
	        {(complete_changed || met_changed) && now->complete && !now->success_met,
	         "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
	        {now->success_met && now->failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions"},
	        {now->success_met && now->failure_target,
	         "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
	        {has(now->spec, "successPolicy") && !now->success_met && now->complete,
	         "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"},
	        {old->failed && !now->failed, "cannot disable the terminal Failed=True condition"},
	        {old->complete && !now->complete, "cannot disable the terminal Complete=True condition"},
	        {old->failure_target && !now->failure_target,
	         "cannot disable the terminal FailureTarget=True condition"},
	        {old->success_met && !now->success_met, "cannot disable the SuccessCriteriaMet=True condition"},
	        {old->complete && !old->success_met && now->success_met,
	         "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].wrong)
			validation_invalid_omitted(v, &path, rules[i].detail);
}

static bool changed(const struct job_state *now, const struct job_state *old, const char *member)
{
	return !rule_equal(json_get(now->status, member), json_get(old->status, member));
}

static void invalid_member(struct validation *v, const struct job_state *now, const char *member, const char *detail,
                           const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_invalid(v, &path, json_get(now->status, member), detail);
}

static void validate_times(struct validation *v, const struct job_state *now, const struct job_state *old,
                           const struct rule_path *path)
{
	const char *start = text_of(now->status, "startTime"), *end = text_of(now->status, "completionTime");
	const char *old_start = text_of(old->status, "startTime"), *old_end = text_of(old->status, "completionTime");
	bool end_changed = now->complete != old->complete || strcmp(end, old_end);
	bool start_changed = now->finished != old->finished || strcmp(start, old_start);
	int64_t started, ended;

	if (end_changed && end[0] && !now->complete)
		invalid_member(v, now, "completionTime",
		               "cannot set completionTime when there is no Complete=True condition", path);
	if (end_changed && !end[0] && now->complete)
		rule_required(v, now->status, "completionTime", path, "completionTime is required for Complete jobs");
	if (api_time_parse(start, &started) && api_time_parse(end, &ended) && ended < started &&
	    (strcmp(start, old_start) || strcmp(end, old_end)))
		invalid_member(v, now, "completionTime", "completionTime cannot be set before startTime", path);
	if (start_changed && !start[0] && now->finished)
		rule_required(v, now->status, "startTime", path, "startTime is required for finished job");
	if (end[0] && old_end[0] && strcmp(end, old_end))
		invalid_member(v, now, "completionTime", "completionTime cannot be mutated", path);
	if (old_start[0] && strcmp(start, old_start) && !json_get_bool(now->spec, "suspend", false)) {
		struct rule_path own = FIELD(path, "startTime");

		validation_required(v, &own, "startTime cannot be removed for unsuspended job");
	}
}

static void validate_finished(struct validation *v, const struct job_state *now, const struct job_state *old,
                              const struct rule_path *path)
{
	const struct json *uncounted = json_get(now->status, "uncountedTerminatedPods");
	bool turned = now->finished != old->finished;

	if (!now->finished)
		return;
	if (integer_of(now->status, "active", 0) > 0 && (turned || changed(now, old, "active")))
		invalid_member(v, now, "active", "active>0 is invalid for finished job", path);
	if (length_of(json_get(uncounted, "succeeded")) + length_of(json_get(uncounted, "failed")) > 0 &&
	    (turned || changed(now, old, "uncountedTerminatedPods")))
		invalid_member(v, now, "uncountedTerminatedPods",
		               "uncountedTerminatedPods needs to be empty for finished job", path);
	if (integer_of(now->status, "terminating", 0) > 0 && (turned || changed(now, old, "terminating")))
		invalid_member(v, now, "terminating", "terminating>0 is invalid for finished job", path);
}

static void validate_index_list(struct validation *v, const struct job_state *now, const char *member, bool judged,
                                const struct rule_path *path)
{
	int64_t total;
	const char *problem;

	if (!judged || !has(now->spec, "completions"))
		return;
	problem = index_intervals_problem(v->arena, text_of(now->status, member),
	                                  integer_of(now->spec, "completions", 0), &total);
	if (problem)
		invalid_member(v, now, member, arena_printf(v->arena, "error parsing %s: %s", member, problem), path);
}

static void validate_indexes(struct validation *v, const struct job_state *now, const struct job_state *old,
                             const struct rule_path *path)
{
	bool completed = changed(now, old, "completedIndexes"), failed = changed(now, old, "failedIndexes");
	int64_t both;

	validate_index_list(v, now, "completedIndexes", completed, path);
	validate_index_list(v, now, "failedIndexes", failed && has(now->spec, "backoffLimitPerIndex"), path);
	if (completed && text_of(now->status, "completedIndexes")[0] && !is_indexed(now->spec))
		invalid_member(v, now, "completedIndexes",
		               "cannot set non-empty completedIndexes when non-indexed completion mode", path);
	if (failed && !has(now->spec, "backoffLimitPerIndex") && has(now->status, "failedIndexes"))
		invalid_member(v, now, "failedIndexes",
		               "cannot set non-null failedIndexes when backoffLimitPerIndex is null", path);
	if (!(completed || failed) || !has(now->spec, "completions"))
		return;
	both = index_intervals_overlap(v->arena, text_of(now->status, "completedIndexes"),
	                               text_of(now->status, "failedIndexes"), integer_of(now->spec, "completions", 0));
	if (both >= 0)
		invalid_member(v, now, "failedIndexes",
		               arena_printf(v->arena, "failedIndexes and completedIndexes overlap at index: %lld",
		                            (long long)both),
		               path);
}

static void validate_uncounted(struct validation *v, const struct job_state *now, const struct rule_path *parent)
{
	static const char *const lists[] = {"succeeded", "failed"};
	const struct json *uncounted = json_get(now->status, "uncountedTerminatedPods");
	struct rule_path own = FIELD(parent, "uncountedTerminatedPods");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct json *list = json_get(uncounted, lists[i]);
		struct rule_path path = FIELD(&own, lists[i]);

		rule_for_each_item (uid, entry, list, &path) {
			const char *text = json_text(uid) ? json_text(uid) : "";

			if (!text[0])
				validation_invalid_text(v, &entry, "", "must not be empty");
			else if (text_repeats(list, entry.index, NULL) ||
			         (i == 1 && list_has_text(json_get(uncounted, "succeeded"), text)))
				validation_duplicate(v, &entry, uid);
		}
	}
}

static void validate_job_status(struct validation *v)
{
	static const char *const counters[] = {"active", "succeeded", "failed", "ready", "terminating"};
	struct job_state now = state_of(v->change->object), old = state_of(v->change->old);
	struct rule_path path = FIELD(NULL, "status");
	bool elastic = is_indexed(now.spec) &&
	               rule_equal(json_get(now.spec, "completions"), json_get(now.spec, "parallelism"));

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		rule_not_negative(v, now.status, counters[i], &path);
	validate_uncounted(v, &now, &path);
	validate_times(v, &now, &old, &path);
	validate_finished(v, &now, &old, &path);
	validate_indexes(v, &now, &old, &path);
	if (integer_of(now.status, "ready", 0) > integer_of(now.status, "active", 0) &&
	    (changed(&now, &old, "ready") || changed(&now, &old, "active")))
		invalid_member(v, &now, "ready", "cannot set more ready pods than active", &path);
	validate_conditions(v, &now, &old, &path);
	if (integer_of(now.status, "failed", 0) < integer_of(old.status, "failed", 0))
		invalid_member(v, &now, "failed", "cannot decrease the failed counter", &path);
	if (!elastic && integer_of(now.status, "succeeded", 0) < integer_of(old.status, "succeeded", 0))
		invalid_member(v, &now, "succeeded", "cannot decrease the succeeded counter", &path);
}

void validate_job(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec");

	if (!strcmp(v->change->subresource, "status")) {
		validate_job_status(v);
		return;
	}
	if (change_is_create(v->change))
		validate_generated(v, spec, &path);
	validate_job_spec(v, spec, &path);
	validate_selected(v, spec, &path);
	if (change_is_create(v->change))
		validate_host_names(v, spec);
	else
		validate_job_update(v, &path);
}

// --- cron jobs -------------------------------------------------------------------------------------

static void validate_schedule(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const char *schedule = text_of(spec, "schedule"), *problem;
	bool may_name_zone = v->change->old && strstr(text_of(json_get(v->change->old, "spec"), "schedule"), "TZ");
	struct rule_path path = FIELD(parent, "schedule");

	if (!rule_required_text(v, spec, "schedule", parent, NULL))
		return;
	problem = cron_schedule_problem(v->arena, schedule);
	if (problem)
		validation_invalid_text(v, &path, schedule, problem);
	if (!strstr(schedule, "TZ"))
		return;
	if (!may_name_zone)
		validation_invalid_text(v, &path, schedule,
		                        "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
	else if (has(spec, "timeZone"))
		validation_invalid_text(v, &path, schedule,
		                        "cannot use both timeZone field and TZ or CRON_TZ in schedule");
}

static bool is_zone_name(const char *zone)
{
	static const char *const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+";

	for (const char *part = zone;;) {
		size_t length = strcspn(part, "/");

		if (!length || length > 14 || part[0] == '-' || strspn(part, letters) < length ||
		    (length == 1 && part[0] == '.') || (length == 2 && !strncmp(part, "..", 2)))
			return false;
		if (!part[length])
			return true;
		part += length + 1;
	}
}

// Whether the system's database knows it.
static bool zone_exists(const char *zone)
{
	static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"};
	char path[512];
	struct stat info;

	if (!strcmp(zone, "UTC"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], zone);
		if (!stat(path, &info) && S_ISREG(info.st_mode))
			return true;
	}
	return false;
}

static void validate_time_zone(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *zone = json_get(spec, "timeZone");
	const char *text = json_text(zone);
	struct rule_path path = FIELD(parent, "timeZone");

	if (!text || (v->change->old && rule_equal(zone, json_path(v->change->old, "spec", "timeZone"))))
		return;
	if (!text[0])
		validation_invalid(v, &path, zone, "timeZone must be nil or non-empty string");
	else if (!is_zone_name(text))
		validation_invalid(v, &path, zone, arena_printf(v->arena, "unknown time zone %s", text));
	else if (!strcasecmp(text, "Local"))
		validation_invalid(
		        v, &path, zone,
		        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
	else if (!zone_exists(text))
		validation_invalid(v, &path, zone, arena_printf(v->arena, "unknown time zone %s", text));
}

static void validate_job_template(struct validation *v, const struct json *template, const struct rule_path *parent)
{
	static const char *const manual[] = {"nil", "false", NULL};
	const struct json *spec = json_get(template, "spec");
	struct rule_path path = FIELD(parent, "spec"), selector = FIELD(&path, "selector"),
	                 by_hand = FIELD(&path, "manualSelector");

	validate_job_spec(v, spec, &path);
	if (has(spec, "selector"))
		validation_invalid_selector(v, &selector, json_get(spec, "selector"),
		                            "`selector` will be auto-generated");
	if (json_get_bool(spec, "manualSelector", false))
		validation_not_supported_rendered(v, &by_hand, "true", manual);
}

void validate_cron_job(struct validation *v)
{
	static const char *const policies[] = {"Allow", "Forbid", "Replace", NULL};
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), template = FIELD(&path, "jobTemplate"),
	                 metadata = FIELD(NULL, "metadata"), name = FIELD(&metadata, "name");

	if (!strcmp(v->change->subresource, "status"))
		return;
	validate_schedule(v, spec, &path);
	rule_not_negative(v, spec, "startingDeadlineSeconds", &path);
	validate_time_zone(v, spec, &path);
	rule_one_of(v, spec, "concurrencyPolicy", &path, true, policies);
	validate_job_template(v, json_get(spec, "jobTemplate"), &template);
	rule_not_negative(v, spec, "successfulJobsHistoryLimit", &path);
	rule_not_negative(v, spec, "failedJobsHistoryLimit", &path);
	if (change_is_create(v->change) && v->change->name && strlen(v->change->name) > CRON_NAME_MAX)
		validation_invalid_text(v, &name, v->change->name, "must be no more than 52 characters");
}
