// SPDX-License-Identifier: Apache-2.0
// The command line as a user types it, with what comes out on both streams. No
// command here reaches a server: there is none at the address that is given.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/ctl.h"

enum { MAX_WORDS = 24 };

struct result {
	int code;
	char *out, *err;
};

static char *read_all(FILE *file)
{
	long length = (fseek(file, 0, SEEK_END), ftell(file));
	char *text = calloc((size_t)length + 1, 1);
	rewind(file);
	assert_int_equal(fread(text, 1, (size_t)length, file), length);
	fclose(file);
	return text;
}

// Flags are parsed once a process, so each command line has its own.
static struct result call(const char *line)
{
	FILE *out = tmpfile(), *err = tmpfile();
	pid_t child = fork();
	if (child == 0) {
		char *words[MAX_WORDS + 1] = {0}, *rest = strdup(line);
		int count = 0;
		while (rest && count < MAX_WORDS)
			words[count++] = strsep(&rest, " ");
		int code = ctl_main(count, words, out, err);
		fflush(out);
		fflush(err);
		_exit(code);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return (struct result){.code = WEXITSTATUS(status), .out = read_all(out), .err = read_all(err)};
}

static void expect_failure(const char *line, const char *expected)
{
	struct result result = call(line);
	assert_int_equal(result.code, 1);
	assert_string_equal(result.err, expected);
	assert_string_equal(result.out, "");
	free(result.out);
	free(result.err);
}

static void unknown_commands_are_named(void **state)
{
	(void)state;
	expect_failure("ctl sget", "error: unknown command \"sget\" for \"ctl\"\n\nDid you mean this?\n\tset\n\tget\n");
	expect_failure("/usr/bin/kubectl -n x wombats", "error: unknown command \"wombats\" for \"kubectl\"\n");
	expect_failure("ctl rollout foo",
	               "error: unknown command \"foo\"\nSee 'ctl rollout -h' for help and examples\n");
}

static void bad_flags_are_named(void **state)
{
	(void)state;
	expect_failure("ctl get --bogus", "error: unknown flag: --bogus\nSee 'ctl get --help' for usage.\n");
	expect_failure("ctl -n kube-system get pods --request-timeout=x",
	               "error: Invalid timeout value. Timeout must be a single integer in seconds, or an integer "
	               "followed by a "
	               "corresponding time unit (e.g. 1s | 2m | 3h)\n");
	expect_failure("kubectl scale deploy web --request-timeout=1s",
	               "error: required flag(s) \"replicas\" not set\n");
}

static void arguments_are_checked_before_any_call(void **state)
{
	(void)state;
	expect_failure("ctl exec pod ls",
	               "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\n"
	               "See 'ctl exec -h' for help and examples\n");
	expect_failure("ctl delete",
	               "error: You must provide one or more resources by argument or filename.\n"
	               "Example resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n"
	               "   '<resource> <name>'\n   '<resource>'\n");
	expect_failure("ctl delete pod", "error: resource(s) were provided, but no name was specified\n");
	expect_failure("ctl apply -f /nowhere/at-all.yaml",
	               "error: the path \"/nowhere/at-all.yaml\" does not exist\n");
	expect_failure("ctl patch pod x",
	               "error: must specify --patch or --patch-file containing the contents of the patch\n");
}

static void a_refused_connection_is_told_once(void **state)
{
	(void)state;
	expect_failure(
	        "ctl label pod a b x=y --server http://127.0.0.1:1",
	        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n");
}

static void explain_needs_no_server(void **state)
{
	(void)state;
	struct result result = call("ctl explain pod.spec.restartPolicy");
	assert_int_equal(result.code, 0);
	assert_non_null(
	        strstr(result.out, "FIELD: restartPolicy <string>\nENUM:\n    Always\n    Never\n    OnFailure\n"));
	free(result.out);
	free(result.err);
}

static void help_is_for_every_command(void **state)
{
	(void)state;
	struct result result = call("ctl help rollout status");
	assert_int_equal(result.code, 0);
	assert_non_null(strstr(result.out, "Usage:\n  ctl rollout status "));
	free(result.out);
	free(result.err);
	result = call("ctl cordon --help");
	assert_int_equal(result.code, 0);
	assert_non_null(strstr(result.out, "Mark node as unschedulable"));
	free(result.out);
	free(result.err);
}

int main(void)
{
	unsetenv("KUBECONFIG");
	setenv("HOME", "/nonexistent", 1);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(unknown_commands_are_named),
	        cmocka_unit_test(bad_flags_are_named),
	        cmocka_unit_test(arguments_are_checked_before_any_call),
	        cmocka_unit_test(a_refused_connection_is_told_once),
	        cmocka_unit_test(explain_needs_no_server),
	        cmocka_unit_test(help_is_for_every_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
