// SPDX-License-Identifier: Apache-2.0
#include "ctl/pairs.h"

#include <string.h>

static bool is_pair(const char *text)
{
	size_t length = strlen(text);
	return (strchr(text, '=') && text[0] != '=') || (length > 1 && text[length - 1] == '-');
}

int pairs_start(int argc, char **argv)
{
	int i = 0;
	while (i < argc && !is_pair(argv[i]))
		i++;
	return i;
}

int pairs_parse(struct arena *arena, int argc, char **argv, const char *what, struct pair_list *ret_pairs,
                struct err *err)
{
	struct pair_list pairs = {.items = ARENA_ARRAY(arena, struct pair, (size_t)argc)};
	for (int i = 0; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		size_t length = strlen(argv[i]);
		if (!is_pair(argv[i]))
			return err_set(err, ERR_INVALID,
			               "unexpected arguments: %s. All %ss must be at the end of the command", argv[i],
			               what);
		if (equals)
			pairs.items[pairs.count++] =
			        (struct pair){arena_strndup(arena, argv[i], (size_t)(equals - argv[i])), equals + 1};
		else
			pairs.items[pairs.count++] = (struct pair){arena_strndup(arena, argv[i], length - 1), NULL};
	}
	*ret_pairs = pairs;
	return 0;
}
