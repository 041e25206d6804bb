// SPDX-License-Identifier: Apache-2.0
#include "ctl/warnings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hashmap.h"
#include "ctl/ctl.h"

static bool is_new(const char *text)
{
	static struct hashmap *seen; // lives as long as the process
	if (!seen)
		seen = hashmap_new(NULL);
	return hashmap_put(seen, text, (void *)"");
}

void warnings_print(struct ctl *ctl, const struct rest_response *response)
{
	bool colour = fileno(ctl->err) >= 0 && isatty(fileno(ctl->err));
	for (const char *const *text = response->warnings; text && *text; text++) {
		if (!is_new(*text))
			continue;
		fprintf(ctl->err, colour ? "\033[33;1mWarning:\033[0m %s\n" : "Warning: %s\n", *text);
		ctl->failed |= ctl->global->warnings_as_errors;
	}
}
