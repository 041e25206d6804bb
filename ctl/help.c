// SPDX-License-Identifier: Apache-2.0
// Help from the command tables. Suggestions follow cobra's rule: names within an
// edit distance of two, or names that begin with what was typed.

#include "ctl/help.h"

#include <string.h>
#include <strings.h>

#include "common/base/strbuf.h"
#include "ctl/command.h"
#include "ctl/global_options.h"

enum {
	HELP_MAX_BYTES = 1 << 20,
	MAX_WORD_BYTES = 64,
	SUGGESTION_DISTANCE = 2,
	NAME_WIDTH = 15,
};

static const char *const group_titles[COMMAND_GROUP_COUNT_] = {
        [COMMAND_BASIC_BEGINNER] = "Basic Commands (Beginner):",
        [COMMAND_BASIC_INTERMEDIATE] = "Basic Commands (Intermediate):",
        [COMMAND_DEPLOY] = "Deploy Commands:",
        [COMMAND_CLUSTER] = "Cluster Management Commands:",
        [COMMAND_TROUBLESHOOTING] = "Troubleshooting and Debugging Commands:",
        [COMMAND_ADVANCED] = "Advanced Commands:",
        [COMMAND_SETTINGS] = "Settings Commands:",
        [COMMAND_OTHER] = "Other Commands:",
};

void help_root(FILE *out, const char *program)
{
	fprintf(out, "%s controls a Kubernetes cluster.\n", program);
	for (int group = 0; group < COMMAND_GROUP_COUNT_; group++) {
		fprintf(out, "\n%s\n", group_titles[group]);
		for (const struct command *const *command = root_commands; *command; command++)
			if ((int)(*command)->group == group)
				fprintf(out, "  %-*s %s\n", NAME_WIDTH, (*command)->name, (*command)->summary);
	}
	fprintf(out, "\nUsage:\n  %s [flags] [options]\n\n", program);
	fprintf(out, "Use \"%s <command> --help\" for more information about a given command.\n", program);
	fprintf(out, "Use \"%s options\" for a list of global command-line options (applies to all commands).\n",
	        program);
}

static void write_options(FILE *out, const struct option *options)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(HELP_MAX_BYTES);
	options_help(options, &text);
	fputs(strbuf_text(&text), out);
}

void help_options(FILE *out)
{
	fputs("The following options can be passed to any command:\n\n", out);
	write_options(out, global_option_rows);
}

static void write_children(FILE *out, const struct command *command)
{
	fputs("Available Commands:\n", out);
	for (const struct command *const *child = command->children; *child; child++)
		fprintf(out, "  %-*s %s\n", NAME_WIDTH, (*child)->name, (*child)->summary);
	fputc('\n', out);
}

void help_command(FILE *out, const char *program, const char *path, const struct command *command)
{
	fprintf(out, "%s\n\n", command->details ? command->details : command->summary);
	if (command->examples)
		fprintf(out, "Examples:\n%s\n\n", command->examples);
	if (command->children)
		write_children(out, command);
	if (command->options && command->options->name)
		write_options(out, command->options);
	fprintf(out, "Usage:\n  %s%s%s%s\n\n", path, command->usage && command->usage[0] ? " " : "",
	        command->usage ? command->usage : "",
	        command->children && !command->run ? " SUBCOMMAND [options]" : " [options]");
	if (command->children)
		fprintf(out, "Use \"%s <command> --help\" for more information about a given command.\n", path);
	fprintf(out, "Use \"%s options\" for a list of global command-line options (applies to all commands).\n",
	        program);
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;
	return least < c ? least : c;
}

// Levenshtein's distance, without case.
static unsigned edit_distance(const char *one, const char *other)
{
	unsigned row[MAX_WORD_BYTES + 1];
	size_t width = strlen(other);
	if (strlen(one) > MAX_WORD_BYTES || width > MAX_WORD_BYTES)
		return MAX_WORD_BYTES;
	for (size_t k = 0; k <= width; k++)
		row[k] = (unsigned)k;
	for (size_t i = 1; one[i - 1]; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t k = 1; k <= width; k++) {
			unsigned above = row[k];
			unsigned change = diagonal + (strncasecmp(&one[i - 1], &other[k - 1], 1) != 0);
			row[k] = smallest(above + 1, row[k - 1] + 1, change);
			diagonal = above;
		}
	}
	return row[width];
}

void help_unknown_command(FILE *err, const char *program, const char *word)
{
	bool any = false;
	fprintf(err, "error: unknown command \"%s\" for \"%s\"\n", word, program);
	for (const struct command *const *command = root_commands; *command; command++) {
		const char *name = (*command)->name;
		if (edit_distance(word, name) > SUGGESTION_DISTANCE && strncasecmp(name, word, strlen(word)) != 0)
			continue;
		fprintf(err, "%s\t%s\n", any ? "" : "\nDid you mean this?\n", name);
		any = true;
	}
}
