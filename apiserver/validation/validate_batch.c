// SPDX-License-Identifier: Apache-2.0
// Jobs and cron jobs.

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/object.h"

static void not_negative(struct validation *v, const struct json *spec, const char *member,
                         const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_not_negative(v, &path, json_get(spec, member));
}

static void validate_job_template(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const policies[] = {"OnFailure", "Never", NULL};
	const struct json *template = json_get(spec, "template");
	struct rule_path template_path = FIELD(path, "template"), inner = FIELD(&template_path, "spec"),
	                 restart = FIELD(&inner, "restartPolicy");
	const char *policy = text_of(json_get(template, "spec"), "restartPolicy");

	validate_pod_template(v, template, &template_path);
	// "Always" is what an absent policy is defaulted to.
	if (!policy[0] || !strcmp(policy, "Always"))
		validation_required(v, &restart, "valid values: \"OnFailure\", \"Never\"");
	else if (strcmp(policy, "OnFailure") && strcmp(policy, "Never"))
		validation_not_supported(v, &restart, policy, policies);
}

static void validate_completion_mode(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const modes[] = {"NonIndexed", "Indexed", NULL};
	struct rule_path mode = FIELD(path, "completionMode"), completions = FIELD(path, "completions"),
	                 parallelism = FIELD(path, "parallelism");
	const struct json *count = json_get(spec, "completions");

	validation_one_of(v, &mode, json_get(spec, "completionMode"), false, modes);
	if (strcmp(text_of(spec, "completionMode"), "Indexed"))
		return;
	if (!is_present(count))
		validation_required(v, &completions, "when completion mode is Indexed");
	if (integer_of(spec, "parallelism", 0) > 100000)
		validation_invalid(v, &parallelism, json_get(spec, "parallelism"),
		                   "must be less than or equal to 100000 when completion mode is Indexed");
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

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		not_negative(v, spec, counters[i], path);
	validate_completion_mode(v, spec, path);
	validate_job_template(v, spec, path);
}

static bool never_started(const struct change *change)
{
	return json_get_bool(json_get(change->old, "spec"), "suspend", false) &&
	       !is_present(json_path(change->old, "status", "startTime"));
}

static void validate_job_update(struct validation *v, const struct rule_path *path)
{
	static const char *const members[] = {"selector",  "completionMode", "podFailurePolicy", "backoffLimitPerIndex",
	                                      "managedBy", "successPolicy"};
	const struct json *spec = json_get(v->change->object, "spec"), *old = json_get(v->change->old, "spec");
	struct rule_path template = FIELD(path, "template"), completions = FIELD(path, "completions");
	bool elastic = !strcmp(text_of(spec, "completionMode"), "Indexed") &&
	               integer_of(spec, "completions", -1) == integer_of(spec, "parallelism", -2);

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct rule_path member = FIELD(path, members[i]);

		validation_immutable(v, &member, json_get(spec, members[i]), json_get(old, members[i]));
	}
	if (!elastic)
		validation_immutable(v, &completions, json_get(spec, "completions"), json_get(old, "completions"));
	if (!never_started(v->change))
		validation_immutable(v, &template, json_get(spec, "template"), json_get(old, "template"));
}

static void validate_generated_selector(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const char *uid = object_uid(v->change->object);
	const struct json *labels = json_path(spec, "selector", "matchLabels");
	const char *selected = json_get_text(labels, "batch.kubernetes.io/controller-uid");
	struct rule_path selector = FIELD(path, "selector");

	if (json_get_bool(spec, "manualSelector", false) || !change_is_create(v->change))
		return;
	if (!selected || !uid || strcmp(selected, uid))
		validation_invalid(v, &selector, json_get(spec, "selector"), "`selector` not auto-generated");
}

void validate_job(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec");

	if (!strcmp(v->change->subresource, "status"))
		return;
	validate_generated_selector(v, spec, &path);
	validate_job_spec(v, spec, &path);
	if (!change_is_create(v->change))
		validate_job_update(v, &path);
}

// --- cron -----------------------------------------------------------------------------------------

// Upstream's parser (robfig/cron) in its own words: they are in the answer.

struct cron_field {
	int low;
	int high;
	const char *const *names; // of the values from `low` on
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

// The text up to `stop`; *at goes past that stop, or to NULL at the end.
static const char *cron_token(struct arena *arena, const char **at, char stop)
{
	const char *start = *at, *end = strchr(start, stop);

	*at = end ? end + 1 : NULL;
	return arena_printf(arena, "%.*s", (int)(end ? (size_t)(end - start) : strlen(start)), start);
}

static const char *cron_number(struct arena *arena, const char *text, const struct cron_field *field, int *ret_value)
{
	char *end;
	long value;

	for (int i = 0; field && field->names && field->names[i]; i++)
		if (!strcasecmp(text, field->names[i])) {
			*ret_value = field->low + i;
			return NULL;
		}
	value = strtol(text, &end, 10);
	if (!text[0] || *end || text[0] == ' ')
		return arena_printf(arena, "failed to parse int from %s: strconv.Atoi: parsing \"%s\": invalid syntax",
		                    text, text);
	if (value > INT_MAX || value < INT_MIN)
		return arena_printf(arena,
		                    "failed to parse int from %s: strconv.Atoi: parsing \"%s\": value out of range",
		                    text, text);
	if (value < 0)
		return arena_printf(arena, "negative number (%ld) not allowed: %s", value, text);
	*ret_value = (int)value;
	return NULL;
}

static const char *cron_bounds(struct arena *arena, const char *text, const char *expression,
                               const struct cron_field *field, int *ret_first, int *ret_last, bool *ret_single)
{
	const char *at = text, *problem;
	const char *first = cron_token(arena, &at, '-'), *last = at ? cron_token(arena, &at, '-') : NULL;

	*ret_single = !last;
	if (!strcmp(first, "*") || !strcmp(first, "?")) {
		*ret_first = field->low;
		*ret_last = field->high;
		return NULL;
	}
	if ((problem = cron_number(arena, first, field, ret_first)))
		return problem;
	*ret_last = *ret_first;
	if (at)
		return arena_printf(arena, "too many hyphens: %s", expression);
	return last ? cron_number(arena, last, field, ret_last) : NULL;
}

// "*", "N", "N-M", each with an optional "/STEP".
static const char *cron_range(struct arena *arena, const char *expression, const struct cron_field *field)
{
	const char *at = expression, *problem;
	const char *bounds = cron_token(arena, &at, '/'), *step = at ? cron_token(arena, &at, '/') : NULL;
	int first = 0, last = 0, steps = 1;
	bool single;

	if ((problem = cron_bounds(arena, bounds, expression, field, &first, &last, &single)))
		return problem;
	if (at)
		return arena_printf(arena, "too many slashes: %s", expression);
	if (step && (problem = cron_number(arena, step, NULL, &steps)))
		return problem;
	if (step && single)
		last = field->high;
	if (first < field->low)
		return arena_printf(arena, "beginning of range (%d) below minimum (%d): %s", first, field->low,
		                    expression);
	if (last > field->high)
		return arena_printf(arena, "end of range (%d) above maximum (%d): %s", last, field->high, expression);
	if (first > last)
		return arena_printf(arena, "beginning of range (%d) beyond end of range (%d): %s", first, last,
		                    expression);
	return steps ? NULL : arena_printf(arena, "step of range should be a positive number: %s", expression);
}

static const char *cron_field_problem(struct arena *arena, const char *text, const struct cron_field *field)
{
	const char *problem = NULL;

	for (const char *at = text; at && !problem;) {
		const char *expression = cron_token(arena, &at, ',');

		if (expression[0])
			problem = cron_range(arena, expression, field);
	}
	return problem;
}

static bool is_descriptor(const char *schedule)
{
	static const char *const names[] = {"@yearly", "@annually", "@monthly", "@weekly",
	                                    "@daily",  "@midnight", "@hourly"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(schedule, names[i]))
			return true;
	return !strncmp(schedule, "@every ", 7);
}

static const char *schedule_problem(struct arena *arena, const char *schedule)
{
	static const struct cron_field fields[] = {
	        {0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, month_names}, {0, 6, day_names},
	};
	static const char *const blanks = " \t\n\v\f\r";
	const char *texts[ARRAY_SIZE(fields)], *all = "", *problem = NULL;
	size_t count = 0;

	if (schedule[0] == '@')
		return is_descriptor(schedule) ? NULL : arena_printf(arena, "unrecognized descriptor: %s", schedule);
	for (const char *at = schedule; *(at += strspn(at, blanks)); at += strcspn(at, blanks)) {
		const char *text = arena_printf(arena, "%.*s", (int)strcspn(at, blanks), at);

		if (count < ARRAY_SIZE(fields))
			texts[count] = text;
		all = arena_printf(arena, "%s%s%s", all, count++ ? " " : "", text);
	}
	if (count != ARRAY_SIZE(fields))
		return arena_printf(arena, "expected exactly 5 fields, found %zu: [%s]", count, all);
	for (size_t i = 0; i < count && !problem; i++)
		problem = cron_field_problem(arena, texts[i], &fields[i]);
	return problem;
}

void validate_cron_job(struct validation *v)
{
	static const char *const policies[] = {"Allow", "Forbid", "Replace", NULL};
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), schedule = FIELD(&path, "schedule"),
	                 policy = FIELD(&path, "concurrencyPolicy"), template = FIELD(&path, "jobTemplate"),
	                 inner = FIELD(&template, "spec"), metadata = FIELD(NULL, "metadata"),
	                 name = FIELD(&metadata, "name");
	const char *text = text_of(spec, "schedule"), *problem;

	if (!strcmp(v->change->subresource, "status"))
		return;
	if (change_is_create(v->change) && v->change->name && strlen(v->change->name) > 52)
		validation_invalid_text(v, &name, v->change->name, "must be no more than 52 characters");
	if (!text[0])
		validation_required(v, &schedule, "");
	else if (strstr(text, "TZ"))
		validation_invalid_text(v, &schedule, text,
		                        "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
	else if ((problem = schedule_problem(v->arena, text)))
		validation_invalid_text(v, &schedule, text, problem);
	validation_one_of(v, &policy, json_get(spec, "concurrencyPolicy"), true, policies);
	not_negative(v, spec, "startingDeadlineSeconds", &path);
	not_negative(v, spec, "successfulJobsHistoryLimit", &path);
	not_negative(v, spec, "failedJobsHistoryLimit", &path);
	validate_job_spec(v, json_path(spec, "jobTemplate", "spec"), &inner);
}
