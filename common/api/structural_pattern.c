// SPDX-License-Identifier: Apache-2.0
// Patterns of texts: compiled once with the schema, matched anywhere in a text.

#include <regex.h>
#include <string.h>

#include "common/api/structural.h"
#include "common/base/memory.h"

struct structural_pattern {
	regex_t compiled;
};

int structural_pattern_new(const char *text, struct structural_pattern **ret_pattern, struct err *err)
{
	struct structural_pattern *pattern = NEW(struct structural_pattern);
	char message[120];
	int outcome = regcomp(&pattern->compiled, text, REG_EXTENDED | REG_NOSUB);

	if (!outcome) {
		*ret_pattern = pattern;
		return 0;
	}
	regerror(outcome, &pattern->compiled, message, sizeof(message));
	free(pattern);
	return err_set(err, ERR_INVALID, "error parsing regexp: %s", message);
}

struct structural_pattern *structural_pattern_free(struct structural_pattern *pattern)
{
	if (!pattern)
		return NULL;
	regfree(&pattern->compiled);
	free(pattern);
	return NULL;
}

bool structural_pattern_matches(const struct structural_pattern *pattern, const char *text, size_t length)
{
	return !memchr(text, '\0', length) && regexec(&pattern->compiled, text, 0, NULL, 0) == 0;
}
