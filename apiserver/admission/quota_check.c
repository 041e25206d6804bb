// SPDX-License-Identifier: Apache-2.0

#include "apiserver/admission/quota_check.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/validation/validation.h"
#include "common/api/quota.h"

// --- what the change uses -----------------------------------------------------------------

// An update pays only for what it adds.
static struct resource_amounts delta_of(const struct quota_claim *claim)
{
	const struct change *change = claim->change;
	int64_t now_ns = change->request->received_realtime_ns;
	struct resource_amounts now, before, delta = {0};

	quota_usage(change->arena, change->resource, change->object, now_ns, &now);
	if (claim->operation == ADMISSION_UPDATE)
		quota_usage(change->arena, change->resource, change->old, now_ns, &before);
	else
		before = (struct resource_amounts){0};
	for (size_t i = 0; i < now.count; i++) {
		struct quantity amount = now.items[i].amount;
		const struct quantity *held = resource_amounts_get(&before, now.items[i].name);

		amount.nano -= held ? held->nano : 0;
		if (amount.nano > 0)
			resource_amounts_set(change->arena, &delta, now.items[i].name, &amount);
	}
	return delta;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *names_text(struct arena *arena, const char **names, size_t count)
{
	char *text = "";

	qsort(names, count, sizeof(*names), compare_texts);
	for (size_t i = 0; i < count; i++)
		text = arena_printf(arena, "%s%s%s", text, i ? "," : "", names[i]);
	return text;
}

// --- one quota ------------------------------------------------------------------------------

static bool speaks_of(const struct quota_state *quota, const struct change *change)
{
	json_for_each_member (limit, quota->hard)
		if (quota_name_concerns(change->resource, limit->key))
			return quota_scopes_match(change->resource, quota->spec, change->object);
	return false;
}

static const struct status *check_said(const struct quota_claim *claim, const struct quota_state *quota)
{
	const struct change *change = claim->change;
	const char *missing;

	if (quota_kind_of(change->resource) != QUOTA_PODS || claim->operation != ADMISSION_CREATE)
		return NULL;
	missing = quota_missing(change->arena, quota->hard, change->object);
	return missing ? admission_forbid(change, "failed quota: %s: %s", quota->name, missing) : NULL;
}

// A limit whose use hasn't been counted yet can't be charged.
static const struct status *check_counted(const struct quota_claim *claim, const struct quota_state *quota)
{
	const struct change *change = claim->change;
	const char **names = ARENA_ARRAY(change->arena, const char *, length_of(quota->hard) + 1);
	bool all_counted = true;
	size_t count = 0;

	json_for_each_member (limit, quota->hard)
		if (quota_name_concerns(change->resource, limit->key)) {
			names[count++] = limit->key;
			all_counted &= resource_amounts_get(&quota->used, limit->key) != NULL;
		}
	if (all_counted)
		return NULL;
	return admission_forbid(change, "status unknown for quota: %s, resources: %s", quota->name,
	                        names_text(change->arena, names, count));
}

static bool read_limit(const struct quota_state *quota, const char *name, struct quantity *ret_limit)
{
	const char *text = json_get_text(quota->hard, name);

	return text && quantity_parse(text, ret_limit, NULL) == 0;
}

static const struct status *check_room(const struct quota_claim *claim, const struct quota_state *quota,
                                       const struct resource_amounts *delta)
{
	const struct change *change = claim->change;
	struct resource_amounts requested = {0}, used = {0}, limited = {0};
	struct arena *arena = change->arena;

	for (size_t i = 0; i < delta->count; i++) {
		const char *name = delta->items[i].name;
		const struct quantity *held = resource_amounts_get(&quota->used, name);
		struct quantity limit, zero = {.format = delta->items[i].amount.format};

		if (!read_limit(quota, name, &limit) ||
		    (held ? held->nano : 0) + delta->items[i].amount.nano <= limit.nano)
			continue;
		resource_amounts_set(arena, &requested, name, &delta->items[i].amount);
		resource_amounts_set(arena, &used, name, held ? held : &zero);
		resource_amounts_set(arena, &limited, name, &limit);
	}
	if (!requested.count)
		return NULL;
	return admission_forbid(change, "exceeded quota: %s, requested: %s, used: %s, limited: %s", quota->name,
	                        resource_amounts_format(arena, &requested), resource_amounts_format(arena, &used),
	                        resource_amounts_format(arena, &limited));
}

static void charge(struct quota_state *quota, const struct resource_amounts *delta)
{
	for (size_t i = 0; i < delta->count; i++) {
		const char *name = delta->items[i].name;

		if (!json_get(quota->hard, name))
			continue;
		if (resource_amounts_get(&quota->used, name))
			resource_amounts_add(quota->arena, &quota->used, name, &delta->items[i].amount);
		else
			resource_amounts_add(quota->arena, &quota->used, arena_strdup(quota->arena, name),
			                     &delta->items[i].amount);
		quota->charged = true;
	}
}

// --- resources that need a quota --------------------------------------------------------------

static bool contains_any(const char *name, const struct json *parts)
{
	json_for_each_item (part, parts)
		if (json_text(part) && strstr(name, json_text(part)))
			return true;
	return false;
}

static bool is_limited_kind(const struct change *change, const struct json *limited)
{
	return !strcmp(text_of(limited, "apiGroup"), change->resource->group) &&
	       !strcmp(text_of(limited, "resource"), change->resource->plural);
}

static const struct status *check_covered_names(const struct quota_claim *claim, const struct quota_state *quotas,
                                                size_t count, const bool *concerned,
                                                const struct resource_amounts *delta)
{
	const struct change *change = claim->change;
	const char **names = ARENA_ARRAY(change->arena, const char *, delta->count + 1);
	size_t uncovered = 0;

	for (size_t i = 0; i < delta->count; i++) {
		bool limited = false, covered = false;

		json_for_each_item (row, claim->limited)
			limited |= is_limited_kind(change, row) &&
			           contains_any(delta->items[i].name, json_get(row, "matchContains"));
		for (size_t j = 0; j < count; j++)
			covered |= concerned[j] && json_get(quotas[j].hard, delta->items[i].name);
		if (limited && !covered)
			names[uncovered++] = delta->items[i].name;
	}
	return uncovered ? admission_forbid(change, "insufficient quota to consume: %s",
	                                    names_text(change->arena, names, uncovered))
	                 : NULL;
}

static bool names_scope(const struct quota_state *quota, const char *scope)
{
	json_for_each_item (held, json_get(quota->spec, "scopes"))
		if (json_text(held) && !strcmp(json_text(held), scope))
			return true;
	json_for_each_item (held, json_path(quota->spec, "scopeSelector", "matchExpressions"))
		if (!strcmp(text_of(held, "scopeName"), scope))
			return true;
	return false;
}

static const struct status *check_covered_scopes(const struct quota_claim *claim, const struct quota_state *quotas,
                                                 size_t count, const bool *concerned)
{
	const struct change *change = claim->change;

	if (quota_kind_of(change->resource) != QUOTA_PODS)
		return NULL;
	json_for_each_item (row, claim->limited)
		json_for_each_item (scope, json_get(row, "matchScopes")) {
			bool covered = false;

			if (!is_limited_kind(change, row) || !quota_scope_matches(scope, change->object))
				continue;
			for (size_t i = 0; i < count; i++)
				covered |= concerned[i] && names_scope(&quotas[i], text_of(scope, "scopeName"));
			if (!covered)
				return admission_forbid(change,
				                        "insufficient quota to match these scopes: [{%s %s []}]",
				                        text_of(scope, "scopeName"), text_of(scope, "operator"));
		}
	return NULL;
}

// --- all of them ------------------------------------------------------------------------------

const struct status *quota_check(const struct quota_claim *claim, struct quota_state *quotas, size_t count,
                                 const struct quota_state *only)
{
	const struct change *change = claim->change;
	bool *concerned = ARENA_ARRAY(change->arena, bool, count + 1);
	const struct status *status = NULL;
	struct resource_amounts delta;

	for (size_t i = 0; i < count && !status; i++) {
		concerned[i] = speaks_of(&quotas[i], change);
		if (concerned[i])
			status = check_said(claim, &quotas[i]);
		if (concerned[i] && !status)
			status = check_counted(claim, &quotas[i]);
	}
	if (!status)
		status = check_covered_scopes(claim, quotas, count, concerned);
	if (status)
		return status;
	delta = delta_of(claim);
	status = check_covered_names(claim, quotas, count, concerned, &delta);
	for (size_t i = 0; i < count && !status; i++)
		if (concerned[i] && (!only || only == &quotas[i]))
			status = check_room(claim, &quotas[i], &delta);
	for (size_t i = 0; i < count && !status && !change->request->options.dry_run; i++)
		if (concerned[i] && (!only || only == &quotas[i]))
			charge(&quotas[i], &delta);
	return status;
}
