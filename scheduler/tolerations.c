// SPDX-License-Identifier: Apache-2.0
#include "scheduler/tolerations.h"

#include <string.h>

static bool is_empty(const char *text)
{
	return !text || !text[0];
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

bool toleration_tolerates(const struct core_v1_toleration *toleration, const struct core_v1_taint *taint)
{
	if (!is_empty(toleration->effect) && !same_text(toleration->effect, taint->effect))
		return false;
	if (!is_empty(toleration->key) && !same_text(toleration->key, taint->key))
		return false;
	if (is_empty(toleration->operator) || strcmp(toleration->operator, "Equal") == 0)
		return same_text(toleration->value, taint->value);
	return strcmp(toleration->operator, "Exists") == 0;
}

bool tolerations_tolerate(const struct core_v1_toleration_array *tolerations, const struct core_v1_taint *taint)
{
	for (size_t i = 0; i < tolerations->count; i++)
		if (toleration_tolerates(&tolerations->items[i], taint))
			return true;
	return false;
}

bool taint_has_effect(const struct core_v1_taint *taint, const char *effect)
{
	return same_text(taint->effect, effect);
}
