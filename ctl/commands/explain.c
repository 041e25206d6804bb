// SPDX-License-Identifier: Apache-2.0
#include "ctl/explain.h"

#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/resources.h"

static struct {
	bool recursive;
	const char *api_version, *output;
} arg;

static const struct option options[] = {
        {"recursive", 0, OPTION_BOOL, &arg.recursive, NULL, NULL,
         "Show the fields of fields too, without descriptions"},
        {"api-version", 0, OPTION_STRING, &arg.api_version, NULL, "", "This API version: GROUP/VERSION"},
        {"output", 'o', OPTION_STRING, &arg.output, NULL, "", "plaintext"},
        {0},
};

static const struct schema_resource *find(struct ctl *ctl, const char *word)
{
	const struct schema_resource *resource = resource_find(ctl, word);
	if (!resource || !arg.api_version)
		return resource;
	const struct schema_resource *other = resource_of_kind(ctl, arg.api_version, resource->kind);
	if (!other)
		report(ctl, "couldn't find resource for \"%s, Kind=%s\"", arg.api_version, resource->kind);
	return other;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 << 20);
	struct err err = ERR_INIT;
	if (argc == 0) {
		fprintf(ctl->err,
		        "error: You must specify the type of resource to explain. Use \"%s api-resources\" for a "
		        "complete list of supported resources.\n",
		        ctl->program);
		return EXIT_PROBLEM;
	}
	if (argc > 1)
		return report(ctl, "We accept only this format: explain RESOURCE");
	const char *dot = strchr(argv[0], '.');
	const char *word = dot ? arena_strndup(ctl->arena, argv[0], (size_t)(dot - argv[0])) : argv[0];
	const struct schema_resource *resource = find(ctl, word);
	if (!resource)
		return EXIT_PROBLEM;
	if (!resource->type)
		return report(ctl, "\"%s\" is not one of the built-in types, whose fields can be explained",
		              resource->plural);
	int result = explain_write(resource, dot ? dot + 1 : "", arg.recursive, &text, &err);
	fputs(strbuf_text(&text), ctl->out);
	return result < 0 ? report_err(ctl, &err) : EXIT_OK;
}

const struct command command_explain = {
        .name = "explain",
        .group = COMMAND_BASIC_INTERMEDIATE,
        .summary = "Get documentation for a resource",
        .usage = "TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext]",
        .examples = "  ctl explain pods\n  ctl explain deployment.spec.strategy\n  ctl explain pod.spec --recursive",
        .options = options,
        .run = run,
};
