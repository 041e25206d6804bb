// SPDX-License-Identifier: Apache-2.0
// api-resources and api-versions: what the server says that it serves.

#include <stdlib.h>
#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/discovery.h"
#include "ctl/errors.h"
#include "ctl/resources.h"
#include "ctl/tab_writer.h"

static struct {
	const char *api_group, *output, *sort_by;
	struct string_list verbs, categories;
	bool cached, namespaced, no_headers;
} arg = {.namespaced = true};

static const struct option options[] = {
        {"api-group", 0, OPTION_STRING, &arg.api_group, NULL, "", "Only of this group"},
        {"cached", 0, OPTION_BOOL, &arg.cached, NULL, NULL, "Accepted for compatibility"},
        {"categories", 0, OPTION_STRINGS, &arg.categories, NULL, "[]", "Only of these categories"},
        {"namespaced", 0, OPTION_BOOL, &arg.namespaced, NULL, NULL,
         "Only those that live in namespaces, or =false, that don't"},
        {"no-headers", 0, OPTION_BOOL, &arg.no_headers, NULL, NULL, "No headings"},
        {"output", 'o', OPTION_STRING, &arg.output, NULL, "", "wide or name"},
        {"sort-by", 0, OPTION_STRING, &arg.sort_by, NULL, "", "name or kind"},
        {"verbs", 0, OPTION_STRINGS, &arg.verbs, NULL, "[]", "Only with these verbs"},
        {0},
};

// In the order in which kubectl prints them.
static const struct {
	const char *name;
	uint32_t verb;
} verb_rows[] = {
        {"create", VERB_CREATE}, {"delete", VERB_DELETE}, {"deletecollection", VERB_DELETE_COLLECTION},
        {"get", VERB_GET},       {"list", VERB_LIST},     {"patch", VERB_PATCH},
        {"update", VERB_UPDATE}, {"watch", VERB_WATCH},
};

static bool has_verbs(const struct schema_resource *resource)
{
	for (size_t i = 0; i < arg.verbs.count; i++) {
		bool found = false;
		for (size_t k = 0; k < ARRAY_SIZE(verb_rows); k++)
			found |= strcmp(verb_rows[k].name, arg.verbs.items[i]) == 0 &&
			         (resource->verbs & verb_rows[k].verb);
		if (!found)
			return false;
	}
	return true;
}

static bool has_categories(const struct schema_resource *resource)
{
	for (size_t i = 0; i < arg.categories.count; i++) {
		bool found = false;
		for (const char *const *category = resource->categories; category && *category; category++)
			found |= strcmp(*category, arg.categories.items[i]) == 0;
		if (!found)
			return false;
	}
	return true;
}

// A group's resources are shown in its first version that serves them.
static bool is_repeated(const struct discovery *discovery, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(discovery->resources[i]->group, discovery->resources[index]->group) == 0 &&
		    strcmp(discovery->resources[i]->version, discovery->resources[index]->version) != 0)
			return true;
	return false;
}

static bool is_wanted(struct ctl *ctl, const struct discovery *discovery, size_t index)
{
	const struct schema_resource *resource = discovery->resources[index];
	if (!resource->verbs || is_repeated(discovery, index) || !has_verbs(resource) || !has_categories(resource))
		return false;
	if (ctl_flag_given(ctl, "api-group") && strcmp(arg.api_group, resource->group) != 0)
		return false;
	return !ctl_flag_given(ctl, "namespaced") || arg.namespaced == resource->namespaced;
}

static int compare_resources(const void *one, const void *other)
{
	const struct schema_resource *a = *(const struct schema_resource *const *)one,
	                             *b = *(const struct schema_resource *const *)other;
	int order = 0;
	if (arg.sort_by && strcmp(arg.sort_by, "kind") == 0)
		order = strcmp(a->kind, b->kind);
	else if (!arg.sort_by || !arg.sort_by[0])
		order = strcmp(a->group, b->group);
	return order ? order : strcmp(a->plural, b->plural);
}

static void write_list(struct strbuf *out, const char *const *texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		strbuf_printf(out, "%s%s", i ? "," : "", texts[i]);
}

static void write_row(struct ctl *ctl, const struct schema_resource *resource, bool wide, struct strbuf *lines)
{
	strbuf_printf(lines, "%s\t", resource->plural);
	write_list(lines, resource->short_names);
	strbuf_printf(lines, "\t%s\t%s\t%s", resource_api_version(ctl, resource),
	              resource->namespaced ? "true" : "false", resource->kind);
	if (wide) {
		bool first = true;
		strbuf_append_char(lines, '\t');
		for (size_t i = 0; i < ARRAY_SIZE(verb_rows); i++) {
			if (!(resource->verbs & verb_rows[i].verb))
				continue;
			strbuf_printf(lines, "%s%s", first ? "" : ",", verb_rows[i].name);
			first = false;
		}
		strbuf_append_char(lines, '\t');
		write_list(lines, resource->categories);
	}
	strbuf_append_char(lines, '\n');
}

static void print(struct ctl *ctl, const struct schema_resource **resources, size_t count)
{
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(1 << 24), text = STRBUF_INIT(1 << 24);
	bool wide = arg.output && strcmp(arg.output, "wide") == 0, name = arg.output && strcmp(arg.output, "name") == 0;
	if (name) {
		for (size_t i = 0; i < count; i++)
			fprintf(ctl->out, "%s\n", resource_plural_name(ctl, resources[i]));
		return;
	}
	if (!arg.no_headers)
		strbuf_printf(&lines, "NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND%s\n",
		              wide ? "\tVERBS\tCATEGORIES" : "");
	for (size_t i = 0; i < count; i++)
		write_row(ctl, resources[i], wide, &lines);
	struct tab_writer writer = TAB_WRITER_TABLE;
	tab_writer_write(&writer, strbuf_text(&lines), &text);
	tab_writer_done(&writer);
	fputs(strbuf_text(&text), ctl->out);
}

static int run_resources(struct ctl *ctl, int argc, char **argv)
{
	if (argc > 0)
		return report_usage(ctl, "unexpected arguments: [%s]", argv[0]);
	if (arg.output && arg.output[0] && strcmp(arg.output, "wide") != 0 && strcmp(arg.output, "name") != 0)
		return report(ctl, "--output %s is not available", arg.output);
	if (arg.sort_by && arg.sort_by[0] && strcmp(arg.sort_by, "name") != 0 && strcmp(arg.sort_by, "kind") != 0)
		return report(ctl, "--sort-by accepts only name or kind");
	const struct discovery *discovery = discovery_get(ctl);
	if (!discovery)
		return EXIT_PROBLEM;
	const struct schema_resource **wanted =
	        ARENA_ARRAY(ctl->arena, const struct schema_resource *, discovery->count);
	size_t count = 0;
	for (size_t i = 0; i < discovery->count; i++)
		if (is_wanted(ctl, discovery, i))
			wanted[count++] = discovery->resources[i];
	qsort(wanted, count, sizeof(*wanted), compare_resources);
	print(ctl, wanted, count);
	return EXIT_OK;
}

static int run_versions(struct ctl *ctl, int argc, char **argv)
{
	if (argc > 0)
		return report_usage(ctl, "unexpected arguments: [%s]", argv[0]);
	const struct discovery *discovery = discovery_get(ctl);
	for (size_t i = 0; discovery && i < discovery->group_version_count; i++)
		fprintf(ctl->out, "%s\n", discovery->group_versions[i]);
	return discovery ? EXIT_OK : EXIT_PROBLEM;
}

const struct command command_api_resources = {
        .name = "api-resources",
        .group = COMMAND_OTHER,
        .summary = "Print the supported API resources on the server",
        .usage = "[flags]",
        .options = options,
        .run = run_resources,
};

const struct command command_api_versions = {
        .name = "api-versions",
        .group = COMMAND_OTHER,
        .summary = "Print the supported API versions on the server, in the form of \"group/version\"",
        .run = run_versions,
};
