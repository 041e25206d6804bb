// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "common/api/object.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/exec_stream.h"
#include "ctl/manifest.h"
#include "ctl/pod_target.h"
#include "ctl/selection.h"

static struct {
	const char *container, *pod_running_timeout;
	struct manifest_options manifest;
	bool with_stdin, tty, quiet;
} arg;

static const struct option options[] = {
        {"container", 'c', OPTION_STRING, &arg.container, NULL, "",
         "The container; default: the annotated or the first one"},
        {"filename", 'f', OPTION_STRINGS, &arg.manifest.filenames, NULL, "[]", "File with the object to exec into"},
        {"pod-running-timeout", 0, OPTION_STRING, &arg.pod_running_timeout, NULL, "", "Accepted for compatibility"},
        {"quiet", 'q', OPTION_BOOL, &arg.quiet, NULL, NULL, "Only print what the command prints"},
        {"stdin", 'i', OPTION_BOOL, &arg.with_stdin, NULL, NULL, "Pass stdin to the command"},
        {"tty", 't', OPTION_BOOL, &arg.tty, NULL, NULL, "Give the command a terminal"},
        {0},
};

static const char *exec_query(struct ctl *ctl, const char *container, int argc, char **argv)
{
	const char *query = NULL;
	for (int i = 0; i < argc; i++) {
		if (argv[i][0])
			query = query_add(ctl, query, "command", argv[i]);
		else
			query = ctl_printf(ctl, "%s%scommand=", query ? query : "", query ? "&" : "");
	}
	query = query_add(ctl, query, "container", container);
	query = query_add(ctl, query, "stdin", arg.with_stdin ? "true" : NULL);
	query = query_add(ctl, query, "stdout", "true");
	query = query_add(ctl, query, "stderr", arg.tty ? NULL : "true"); // a terminal mixes them
	return query_add(ctl, query, "tty", arg.tty ? "true" : NULL);
}

static int exec_in(struct ctl *ctl, const struct json *pod, int argc, char **argv)
{
	const char *phase = json_get_text(json_get(pod, "status"), "phase");
	struct err err = ERR_INIT;
	if (phase && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0))
		return report(ctl, "cannot exec into a container in a completed pod; current phase is %s", phase);
	const char *container = pod_container(ctl, pod, arg.container, arg.quiet, &err);
	if (!container)
		return report_err(ctl, &err);
	const struct rest_request request = {
	        .resource = schema_find_resource("", "v1", "pods"),
	        .namespace_name = object_namespace(pod),
	        .name = object_name(pod),
	        .subresource = "exec",
	        .query = exec_query(ctl, container, argc, argv),
	};
	AUTO_FREE char *path = rest_request_path(&request);
	const struct exec_stream_options stream_options = {
	        .path = path,
	        .with_stdin = arg.with_stdin,
	        .terminal = arg.tty && isatty(STDIN_FILENO),
	};
	return exec_stream_run(ctl, &stream_options);
}

static struct json *pod_from_files(struct ctl *ctl)
{
	struct target_list targets = {0};
	if (!manifests_read(ctl, &arg.manifest, false, &targets) || !targets.count)
		return NULL;
	return pod_find(ctl, ctl_printf(ctl, "%s/%s", targets.items[0].resource->plural, targets.items[0].name), false);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int before_dash = options_count_before_dash();
	bool from_files = arg.manifest.filenames.count > 0;
	if (argc == 0 && !from_files)
		return report_usage(ctl, "pod, type/name or --filename must be specified");
	if (before_dash < 0 && argc > (from_files ? 0 : 1))
		return report_usage(
		        ctl, "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead");
	if (before_dash > 1)
		return report_usage(ctl, "expected one POD in front of --, got %d", before_dash);
	int command_start = from_files ? 0 : 1;
	if (argc <= command_start)
		return report_usage(ctl, "you must specify at least one command for the container");
	if (arg.tty && arg.with_stdin && !isatty(STDIN_FILENO)) {
		if (!arg.quiet)
			fprintf(ctl->err, "Unable to use a TTY - input is not a terminal or the right kind of file\n");
		arg.tty = false;
	}
	struct json *pod = from_files ? pod_from_files(ctl) : pod_find(ctl, argv[0], false);
	return pod ? exec_in(ctl, pod, argc - command_start, argv + command_start) : EXIT_PROBLEM;
}

const struct command command_exec = {
        .name = "exec",
        .group = COMMAND_TROUBLESHOOTING,
        .summary = "Execute a command in a container",
        .usage = "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
        .examples = "  ctl exec web-0 -- date\n  ctl exec -it deployment/web -c app -- sh",
        .options = options,
        .run = run,
};
