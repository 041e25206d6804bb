// SPDX-License-Identifier: Apache-2.0
// run: one pod from flags.

#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/object_maker.h"

static struct {
	struct write_options write;
	const char *image, *image_pull_policy, *labels, *restart;
	struct string_list env, annotations;
	int64_t port;
	bool as_command, privileged, with_stdin, tty;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-run"), .restart = "Always"};

static const struct option options[] = {
        WRITE_OPTION_ROWS(arg.write),
        {"annotations", 0, OPTION_STRING_ARRAY, &arg.annotations, NULL, "[]", "KEY=VALUE of the pod's annotations"},
        {"command", 0, OPTION_BOOL, &arg.as_command, NULL, NULL,
         "What follows -- is the command and not its arguments"},
        {"env", 0, OPTION_STRING_ARRAY, &arg.env, NULL, "[]", "NAME=VALUE of the environment"},
        {"image", 0, OPTION_STRING, &arg.image, NULL, "", "Image of the container (required)"},
        {"image-pull-policy", 0, OPTION_STRING, &arg.image_pull_policy, NULL, "", "Always, IfNotPresent or Never"},
        {"labels", 'l', OPTION_STRING, &arg.labels, NULL, "", "KEY=VALUE,… instead of run=NAME"},
        {"port", 0, OPTION_INT, &arg.port, NULL, NULL, "Port that the container exposes"},
        {"privileged", 0, OPTION_BOOL, &arg.privileged, NULL, NULL, "Run the container privileged"},
        {"restart", 0, OPTION_STRING, &arg.restart, NULL, "", "Always, OnFailure or Never"},
        {"stdin", 'i', OPTION_BOOL, &arg.with_stdin, NULL, NULL, "Keep the container's stdin open"},
        {"tty", 't', OPTION_BOOL, &arg.tty, NULL, NULL, "Give the container a terminal"},
        {0},
};

static bool add_environment(struct ctl *ctl, struct json *container)
{
	for (size_t i = 0; i < arg.env.count; i++) {
		const char *text = arg.env.items[i], *equals = strchr(text, '=');
		if (!equals || equals == text) {
			report(ctl, "invalid env: %s", text);
			return false;
		}
		struct json *variable = json_object(ctl->arena);
		json_set_text(ctl->arena, variable, "name", arena_strndup(ctl->arena, text, (size_t)(equals - text)));
		json_set_text(ctl->arena, variable, "value", equals + 1);
		json_append(ctl->arena, json_ensure_array(ctl->arena, container, "env"), variable);
	}
	return true;
}

static bool fill_container(struct ctl *ctl, struct json *container, const char *name, struct json *words)
{
	json_set_text(ctl->arena, container, "name", name);
	json_set_text(ctl->arena, container, "image", arg.image);
	json_set(ctl->arena, container, "resources", json_object(ctl->arena));
	if (words->length)
		json_set(ctl->arena, container, arg.as_command ? "command" : "args", words);
	if (arg.image_pull_policy)
		json_set_text(ctl->arena, container, "imagePullPolicy", arg.image_pull_policy);
	if (arg.with_stdin)
		json_set_bool(ctl->arena, container, "stdin", true);
	if (arg.tty)
		json_set_bool(ctl->arena, container, "tty", true);
	if (arg.privileged)
		json_set_bool(ctl->arena, json_ensure_object(ctl->arena, container, "securityContext"), "privileged",
		              true);
	if (arg.port) {
		struct json *port = json_object(ctl->arena);
		json_set_integer(ctl->arena, port, "containerPort", arg.port);
		json_append(ctl->arena, json_ensure_array(ctl->arena, container, "ports"), port);
	}
	return add_environment(ctl, container);
}

static bool fill_metadata(struct ctl *ctl, struct json *metadata, const char *name)
{
	struct json *labels = json_ensure_object(ctl->arena, metadata, "labels");
	if (!arg.labels)
		json_set_text(ctl->arena, labels, "run", name);
	else if (!object_parse_map(ctl, arg.labels, labels))
		return false;
	for (size_t i = 0; i < arg.annotations.count; i++)
		if (!object_parse_map(ctl, arg.annotations.items[i],
		                      json_ensure_object(ctl->arena, metadata, "annotations")))
			return false;
	return true;
}

// Words behind the name count as those behind "--".
static struct json *words_of(struct ctl *ctl, int argc, char **argv)
{
	struct json *words = json_array(ctl->arena);
	for (int i = 1; i < argc; i++)
		json_append(ctl->arena, words, json_string(ctl->arena, argv[i]));
	return words;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	if (!arg.image || !arg.image[0])
		return report(ctl, "required flag(s) \"image\" not set");
	if (argc == 0)
		return report_usage(ctl, "NAME is required for run");
	if (strcmp(arg.restart, "Always") != 0 && strcmp(arg.restart, "OnFailure") != 0 &&
	    strcmp(arg.restart, "Never") != 0)
		return report(ctl, "invalid restart policy: %s", arg.restart);
	struct json *pod = object_new(ctl, "v1", "Pod", argv[0]);
	struct json *spec = json_ensure_object(ctl->arena, pod, "spec"), *container = json_object(ctl->arena);
	if (!fill_metadata(ctl, json_get(pod, "metadata"), argv[0]) ||
	    !fill_container(ctl, container, argv[0], words_of(ctl, argc, argv)))
		return EXIT_PROBLEM;
	json_append(ctl->arena, json_ensure_array(ctl->arena, spec, "containers"), container);
	json_set_text(ctl->arena, spec, "dnsPolicy", "ClusterFirst");
	json_set_text(ctl->arena, spec, "restartPolicy", arg.restart);
	arg.write.validate = NULL;
	return object_create(ctl, &arg.write, pod);
}

const struct command command_run = {
        .name = "run",
        .group = COMMAND_BASIC_BEGINNER,
        .summary = "Run a particular image on the cluster",
        .usage = "NAME --image=image [--env=\"key=value\"] [--port=port] [--dry-run=server|client] [--command] -- "
                 "[COMMAND] [args...]",
        .options = options,
        .run = run,
};
