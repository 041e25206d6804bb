// SPDX-License-Identifier: Apache-2.0
//
// adm: kubeadm's commands, for clusters whose control plane runs as systemd units.
#include <stdio.h>
#include <string.h>

#include "adm/init.h"
#include "common/base/macros.h"

static int command_version(int argc UNUSED, char **argv UNUSED)
{
	puts("adm version: " CARAVEL_VERSION);
	return 0;
}

static const struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
        {"init", "Make this machine the first of a cluster", command_init},
        {"version", "Print the version of adm", command_version},
};

static void print_usage(FILE *out)
{
	fputs("Set up a Kubernetes cluster.\n\nUsage:\n  adm COMMAND [flags]\n\nCommands:\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\n'adm COMMAND --help' tells more.\n", out);
}

int main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "error: unknown command \"%s\" for \"adm\"\n", argv[1]);
	print_usage(stderr);
	return 3;
}
