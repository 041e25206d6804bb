// SPDX-License-Identifier: Apache-2.0
#include "ctl/describe/describe.h"

#include <string.h>

#include "common/api/object.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"

enum { DESCRIPTION_MAX_BYTES = 1 << 30 };

static struct {
	struct selection_options selection;
	bool show_events;
	int64_t chunk_size;
} arg = {.show_events = true, .chunk_size = 500};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        ALL_NAMESPACES_OPTION_ROW(arg.selection),
        {"show-events", 0, OPTION_BOOL, &arg.show_events, NULL, NULL, "Show the events of the objects"},
        {"chunk-size", 0, OPTION_INT, &arg.chunk_size, NULL, NULL, "Objects in one answer of a list"},
        {0},
};

static void show(struct ctl *ctl, const struct target *target, bool first)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(DESCRIPTION_MAX_BYTES);
	describe_object(ctl, target, arg.show_events, &text);
	fprintf(ctl->out, "%s%s", first ? "" : "\n\n", strbuf_text(&text));
}

// A name that doesn't exist may be the beginning of others.
static void add_by_prefix(struct ctl *ctl, const struct target *wanted, const struct rest_response *failure,
                          struct target_list *list)
{
	struct target_list all = {0};
	size_t before = list->count;
	const struct selection_options everything = {.all_namespaces = false};
	char *words[] = {(char *)ctl_printf(ctl, "%s%s%s", wanted->resource->plural,
	                                    wanted->resource->group[0] ? "." : "", wanted->resource->group)};
	if (selection_fetch(ctl, &everything, 1, words, &all))
		for (size_t i = 0; i < all.count; i++)
			if (strncmp(all.items[i].name, wanted->name, strlen(wanted->name)) == 0)
				target_list_add(ctl->arena, list, &all.items[i]);
	if (list->count == before)
		report_response(ctl, failure, NULL);
}

static void add_named(struct ctl *ctl, struct target *target, struct target_list *list)
{
	struct rest_response response;
	const struct rest_request request = {
	        .method = "GET",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	};
	if (ctl_call(ctl, &request, &response)) {
		target->object = response.object;
		target_list_add(ctl->arena, list, target);
	} else if (response.err.code == ERR_NOT_FOUND && response.http_status && !target->source) {
		add_by_prefix(ctl, target, &response, list);
	} else {
		report_response(ctl, &response, NULL);
	}
}

static bool find(struct ctl *ctl, int argc, char **argv, struct target_list *pointed, struct target_list *found)
{
	if (!selection_resolve(ctl, &arg.selection, argc, argv, pointed))
		return false;
	if (pointed->count && !pointed->items[0].name)
		return selection_fetch(ctl, &arg.selection, argc, argv, found);
	for (size_t i = 0; i < pointed->count; i++)
		add_named(ctl, &pointed->items[i], found);
	return true;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list pointed = {0}, found = {0};
	if (argc == 0 && !arg.selection.manifest.filenames.count)
		return report(ctl,
		              "You must specify the type of resource to describe. Use \"%s api-resources\" for a "
		              "complete list of supported resources.",
		              ctl->program);
	if (!find(ctl, argc, argv, &pointed, &found))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < found.count; i++)
		show(ctl, &found.items[i], i == 0);
	if (!found.count && !ctl->failed && pointed.count) {
		if (arg.selection.all_namespaces || !pointed.items[0].resource->namespaced)
			fprintf(ctl->err, "No resources found\n");
		else
			fprintf(ctl->err, "No resources found in %s namespace.\n", ctl_namespace(ctl));
	}
	return EXIT_OK;
}

const struct command command_describe = {
        .name = "describe",
        .group = COMMAND_TROUBLESHOOTING,
        .summary = "Show details of a specific resource or group of resources",
        .usage = "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)",
        .examples = "  ctl describe pod web-0\n  ctl describe nodes\n  ctl describe pods -l app=web",
        .options = options,
        .run = run,
};
