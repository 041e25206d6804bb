// SPDX-License-Identifier: Apache-2.0
// The way of one invocation: find the command among the words (flags may stand
// anywhere), parse its flags and the global ones in one table, run it. A client is
// made only when a command first talks to the server, so that help, local commands
// and mistakes cost nothing.

#include "ctl/ctl.h"

#include <stdarg.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/loop.h"
#include "ctl/command.h"
#include "ctl/errors.h"
#include "ctl/help.h"
#include "ctl/warnings.h"

enum {
	ERROR_MAX_BYTES = 64 * 1024,
	NO_TIMEOUT_SECONDS = 7 * 24 * 3600,
};

const char *ctl_printf(struct ctl *ctl, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *text = arena_vprintf(ctl->arena, format, args);
	va_end(args);
	return text;
}

// --- finding the command ----------------------------------------------------------------

const struct command *command_find(const struct command *const *commands, const char *name)
{
	for (; commands && *commands; commands++) {
		if (strcmp((*commands)->name, name) == 0)
			return *commands;
		for (const char *const *alias = (*commands)->aliases; alias && *alias; alias++)
			if (strcmp(*alias, name) == 0)
				return *commands;
	}
	return NULL;
}

static const struct option *find_row(const struct option *rows, const char *argument)
{
	for (; rows && rows->name; rows++) {
		if (argument[1] == '-' ? strcmp(rows->name, argument + 2) == 0
		                       : rows->letter == argument[1] && !argument[2])
			return rows;
	}
	return NULL;
}

// Whether a flag that stands in front of a command takes the next word as its value.
static bool takes_next_word(const struct command *command, const char *argument)
{
	if (strchr(argument, '=') || (argument[1] != '-' && argument[2]))
		return false;
	const struct option *row = find_row(global_option_rows, argument);
	if (!row && command)
		row = find_row(command->options, argument);
	return row && row->type != OPTION_BOOL;
}

// The first word that is no flag, from `start` on; argc when there is none.
static int next_word(const struct command *command, int argc, char **argv, int start)
{
	for (int i = start; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return argc;
		if (argv[i][0] != '-' || !argv[i][1])
			return i;
		i += takes_next_word(command, argv[i]);
	}
	return argc;
}

static void take_word(int *argc, char **argv, int index)
{
	memmove(&argv[index], &argv[index + 1], (size_t)(*argc - index) * sizeof(*argv));
	--*argc;
}

// Takes the command's words out of argv. NULL when the first word names no command (*ret_unknown).
static const struct command *find_command(struct ctl *ctl, int *argc, char **argv, const char **ret_unknown)
{
	const struct command *command = NULL;
	const struct command *const *among = root_commands;
	ctl->command_path = ctl->program;
	while (among) {
		int index = next_word(command, *argc, argv, 1);
		const struct command *found = index < *argc ? command_find(among, argv[index]) : NULL;
		if (!found) {
			*ret_unknown = index < *argc ? argv[index] : NULL;
			return command;
		}
		take_word(argc, argv, index);
		command = found;
		among = found->children;
		ctl->command_path = ctl_printf(ctl, "%s %s", ctl->command_path, found->name);
	}
	return command;
}

// --- flags ---------------------------------------------------------------------------------

// Flags whose value may be left out, and what they then mean.
static const char *const bare_flags[][2] = {
        {"--dry-run", "--dry-run=unchanged"},
        {"--validate", "--validate=strict"},
        {"--cascade", "--cascade=background"},
};

static void complete_bare_flags(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		for (size_t k = 0; k < ARRAY_SIZE(bare_flags); k++)
			if (strcmp(argv[i], bare_flags[k][0]) == 0)
				argv[i] = xstrdup(bare_flags[k][1]);
}

static size_t count_rows(const struct option *rows)
{
	size_t count = 0;
	while (rows && rows[count].name)
		count++;
	return count;
}

// The command's rows first: it may have a letter of its own for something global.
static struct option *merge_rows(struct ctl *ctl, const struct option *own)
{
	size_t own_count = count_rows(own), global_count = count_rows(global_option_rows);
	struct option *rows = ARENA_ARRAY(ctl->arena, struct option, own_count + global_count + 1);
	if (own_count)
		memcpy(rows, own, own_count * sizeof(*rows));
	memcpy(rows + own_count, global_option_rows, global_count * sizeof(*rows));
	return rows;
}

bool ctl_flag_given(const struct ctl *ctl, const char *name)
{
	return option_was_set(ctl->options, name);
}

static int report_flag_error(struct ctl *ctl, const char *message)
{
	report(ctl, "%s", message);
	fprintf(ctl->err, "See '%s --help' for usage.\n", ctl->command_path);
	return EXIT_PROBLEM;
}

static void drop_line(void *context UNUSED, const char *line UNUSED, size_t length UNUSED)
{
}

static void apply_verbosity(void)
{
	const struct logging_options logging = {
	        .verbosity = global_options.verbosity,
	        .vmodule = global_options.vmodule ? global_options.vmodule : "",
	        .format = "text",
	};
	struct err err = ERR_INIT;
	(void)logging_options_apply(&logging, &err);
	// The library's own log is for whoever asks; a user reads errors and warnings of the server.
	log_set_sink(logging.verbosity > 0 ? NULL : drop_line, NULL);
}

static int check_timeout(struct ctl *ctl)
{
	int64_t timeout_ns;
	if (global_options_request_timeout(&global_options, &timeout_ns))
		return EXIT_OK;
	return report(ctl,
	              "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a "
	              "corresponding time unit (e.g. 1s | 2m | 3h)");
}

// --- running -------------------------------------------------------------------------------

static int run_command(struct ctl *ctl, int argc, char **argv)
{
	const struct command *command = ctl->command;
	struct err err = ERR_INIT;
	int count = 0;
	complete_bare_flags(argc, argv);
	ctl->options = merge_rows(ctl, command->options);
	int result = options_parse(ctl->options, argc, argv, true, &count, &err);
	if (result == -ERR_CANCELLED) {
		help_command(ctl->out, ctl->program, ctl->command_path, command);
		return EXIT_OK;
	}
	if (result < 0)
		return report_flag_error(ctl, err.message);
	apply_verbosity();
	if (!command->run) {
		help_command(ctl->out, ctl->program, ctl->command_path, command);
		return EXIT_PROBLEM;
	}
	if (check_timeout(ctl) != EXIT_OK)
		return EXIT_PROBLEM;
	return command->run(ctl, count, argv + 1);
}

static bool wants_root_help(int argc, char **argv)
{
	return argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *unknown = NULL;
	if (wants_root_help(argc, argv)) {
		help_root(ctl->out, ctl->program);
		return EXIT_OK;
	}
	ctl->command = find_command(ctl, &argc, argv, &unknown);
	if (!ctl->command && unknown) {
		help_unknown_command(ctl->err, ctl->program, unknown);
		return EXIT_PROBLEM;
	}
	if (!ctl->command) {
		static const struct command none = {.name = "", .usage = ""};
		ctl->command = &none;
		int result = run_command(ctl, argc, argv);
		return result;
	}
	if (unknown && !ctl->command->run)
		return report_usage(ctl, "unknown command \"%s\"", unknown);
	return run_command(ctl, argc, argv);
}

static const char *program_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;
	return name && strncmp(name, "kubectl", 7) == 0 ? "kubectl" : "ctl";
}

int ctl_main(int argc, char **argv, FILE *out, FILE *err)
{
	struct ctl ctl = {
	        .program = program_name(argv[0]),
	        .out = out,
	        .err = err,
	        .arena = arena_new(64 * 1024),
	        .global = &global_options,
	};
	int code = run(&ctl, argc, argv);
	fflush(out);
	rest_client_free(ctl.client);
	loop_free(ctl.loop);
	arena_free(ctl.arena);
	return code ? code : ctl.failed ? EXIT_PROBLEM : EXIT_OK;
}

// --- the client ------------------------------------------------------------------------------

static void apply_flags(const struct global_options *global, struct client_config *config)
{
	const struct {
		const char *flag;
		const char **target;
		const char **cleared; // what the flag takes the place of
	} rows[] = {
	        {global->token, &config->bearer_token, &config->bearer_token_file},
	        {global->certificate_authority, &config->ca_file, &config->ca_data},
	        {global->client_certificate, &config->certificate_file, &config->certificate_data},
	        {global->client_key, &config->private_key_file, &config->private_key_data},
	        {global->tls_server_name, &config->tls_server_name, NULL},
	        {global->as, &config->as_user, NULL},
	        {global->as_uid, &config->as_uid, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].flag)
			continue;
		if (rows[i].cleared)
			*rows[i].cleared = NULL;
		*rows[i].target = rows[i].flag;
	}
	if (global->insecure_skip_tls_verify) {
		config->insecure_skip_tls_verify = true;
		config->ca_file = config->ca_data = NULL;
	}
	if (global->as_groups.count)
		config->as_groups = global->as_groups.items;
}

static const char *with_scheme(struct ctl *ctl, const char *server)
{
	return !server || strstr(server, "://") ? server : ctl_printf(ctl, "http://%s", server);
}

static void report_config(struct ctl *ctl, const struct err *err)
{
	const char *context = ctl->global->context;
	ctl->failed = true;
	if (context && strstr(err->message, "does not exist"))
		fprintf(ctl->err, "Error in configuration: context was not found for specified context: %s\n", context);
	else
		report_err(ctl, err);
}

bool ctl_load_config(struct ctl *ctl)
{
	if (ctl->config_loaded)
		return true;
	if (ctl->config_failed)
		return false;
	const struct global_options *global = ctl->global;
	const struct kubeconfig_overrides overrides = {
	        .path = global->kubeconfig,
	        .context = global->context,
	        .cluster = global->cluster,
	        .user = global->user,
	        .server = global->server,
	        .namespace_name = global->namespace_name,
	};
	struct err err = ERR_INIT;
	if (kubeconfig_load(ctl->arena, &overrides, &ctl->config, &err) < 0) {
		if (!strstr(err.message, "no configuration has been provided")) {
			report_config(ctl, &err);
			ctl->config_failed = true;
			return false;
		}
		ctl->config = (struct client_config){
		        .server = "http://localhost:8080",
		        .namespace_name = global->namespace_name ? global->namespace_name : "default",
		};
	}
	if (!ctl->config.namespace_name || !ctl->config.namespace_name[0])
		ctl->config.namespace_name = "default";
	ctl->config.server = with_scheme(ctl, ctl->config.server);
	apply_flags(global, &ctl->config);
	ctl->config_loaded = true;
	return true;
}

const char *ctl_namespace(struct ctl *ctl)
{
	return ctl_load_config(ctl) ? ctl->config.namespace_name : "default";
}

bool ctl_namespace_is_explicit(const struct ctl *ctl)
{
	return ctl->global->namespace_name != NULL;
}

bool ctl_connect(struct ctl *ctl)
{
	struct err err = ERR_INIT;
	if (ctl->client)
		return true;
	if (!ctl_load_config(ctl))
		return false;
	const char *user_agent = ctl_printf(ctl, "%s/" CARAVEL_VERSION " (linux)", ctl->program);
	if (loop_new(NULL, &ctl->loop, &err) < 0 ||
	    rest_client_new(ctl->loop, &ctl->config, user_agent, &ctl->client, &err) < 0) {
		report_err(ctl, &err);
		return false;
	}
	return true;
}

bool ctl_call(struct ctl *ctl, const struct rest_request *request, struct rest_response *ret_response)
{
	if (!ctl_connect(ctl)) {
		fflush(ctl->err);
		exit(EXIT_PROBLEM); // reported: no configuration, no call
	}
	struct rest_request timed = *request;
	struct err err = ERR_INIT;
	int64_t timeout_ns = 0;
	(void)global_options_request_timeout(ctl->global, &timeout_ns);
	if (!timed.timeout_ns)
		timed.timeout_ns = timeout_ns ? timeout_ns : NO_TIMEOUT_SECONDS * NSEC_PER_SEC;
	int result = rest_run(ctl->client, ctl->arena, &timed, ret_response, &err);
	warnings_print(ctl, ret_response);
	return result == 0;
}
