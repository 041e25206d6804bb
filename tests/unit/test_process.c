// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "common/io/process.h"

struct run {
	struct loop *loop;
	struct process *process;
	struct process_result result;
	struct strbuf output, error_output;
	int exits;
	int lines;
	bool abandon_on_line;
};

static void on_exit_note(void *context, const struct process_result *result)
{
	struct run *run = context;
	run->exits++;
	run->result = *result;
	strbuf_append(&run->output, result->output, result->output_length);
	strbuf_append(&run->error_output, result->error_output, result->error_output_length);
	run->process = NULL;
	loop_quit(run->loop, 0);
}

static void on_line_note(void *context, const char *line, size_t length)
{
	struct run *run = context;
	run->lines++;
	strbuf_printf(&run->output, "<%.*s>", (int)length, line);
	if (!run->abandon_on_line)
		return;
	process_abandon(run->process);
	loop_quit(run->loop, 0);
}

static int set_up(void **state)
{
	struct run *run = NEW(struct run);
	struct err err = ERR_INIT;
	run->output = STRBUF_INIT(10 << 20);
	run->error_output = STRBUF_INIT(10 << 20);
	*state = run;
	return loop_new(NULL, &run->loop, &err);
}

static int tear_down(void **state)
{
	struct run *run = *state;
	loop_free(run->loop);
	strbuf_done(&run->output);
	strbuf_done(&run->error_output);
	free(run);
	return 0;
}

#define SHELL(script) ((const char *const[]){"sh", "-c", (script), NULL})

static void run_to_exit(struct run *run, struct process_config config)
{
	struct err err = ERR_INIT;
	config.on_exit = on_exit_note;
	config.context = run;
	if (process_start(run->loop, &config, &run->process, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(run->exits, 0);
	loop_run(run->loop);
	assert_int_equal(run->exits, 1);
}

static void test_output_and_exit_code(void **state)
{
	struct run *run = *state;
	run_to_exit(run, (struct process_config){.argv = SHELL("echo out; echo problem >&2; cat; pwd; exit 7"),
	                                         .stdin_data = "input",
	                                         .stdin_length = 5,
	                                         .working_directory = "/"});
	assert_int_equal(run->result.exit_code, 7);
	assert_false(run->result.timed_out || run->result.output_truncated);
	assert_string_equal(strbuf_text(&run->output), "out\ninput/\n");
	assert_string_equal(strbuf_text(&run->error_output), "problem\n");
}

static void test_large_input_and_output(void **state)
{
	struct run *run = *state;
	size_t length = 3 << 20;
	AUTO_FREE char *data = xmalloc(length);
	memset(data, 'x', length);
	run_to_exit(run, (struct process_config){.argv = (const char *const[]){"/bin/cat", NULL},
	                                         .stdin_data = data,
	                                         .stdin_length = length,
	                                         .max_output_bytes = 4 << 20});
	assert_int_equal(run->output.length, length);
	assert_memory_equal(run->output.data, data, length);
	strbuf_clear(&run->output);
	run->exits = 0;
	run_to_exit(run, (struct process_config){.argv = SHELL("cat >&2; echo end >&2; echo 1234567890"),
	                                         .stdin_data = data,
	                                         .stdin_length = length,
	                                         .max_output_bytes = 8});
	assert_true(run->result.output_truncated);
	assert_string_equal(strbuf_text(&run->output), "12345678");
	assert_string_equal(strbuf_text(&run->error_output), "xxxxend\n");
}

static void test_child_ignores_input(void **state)
{
	struct run *run = *state;
	AUTO_FREE char *data = xcalloc(1, 1 << 20);
	run_to_exit(run, (struct process_config){
	                         .argv = SHELL("exec 0<&-; echo done"), .stdin_data = data, .stdin_length = 1 << 20});
	assert_int_equal(run->result.exit_code, 0);
	assert_string_equal(strbuf_text(&run->output), "done\n");
}

static void test_deadline_kills_the_group(void **state)
{
	struct run *run = *state;
	run_to_exit(run, (struct process_config){.argv = SHELL("sleep 1000 & echo $!; wait"),
	                                         .timeout_ns = 100 * NSEC_PER_MSEC});
	assert_true(run->result.timed_out);
	assert_int_equal(run->result.exit_code, 128 + SIGKILL);
	pid_t grandchild = atoi(strbuf_text(&run->output));
	assert_true(grandchild > 1);
	// Killed with its parent; whoever adopted it reaps it (a zombie still answers, so look at its state).
	char path[64], state_letter = 'X';
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)grandchild);
	for (int i = 0; i < 10000; i++) {
		FILE *file = fopen(path, "re");
		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state_letter) != 1)
			state_letter = 'X';
		if (file)
			fclose(file);
		if (strchr("XZ", state_letter))
			break;
		sched_yield();
	}
	assert_non_null(strchr("XZ", state_letter));
}

static void test_lines(void **state)
{
	struct run *run = *state;
	run_to_exit(run, (struct process_config){.argv = SHELL("printf 'one\\n\\nthree'; echo; printf last"),
	                                         .on_line = on_line_note});
	assert_string_equal(strbuf_text(&run->output), "<one><><three><last>");
	strbuf_clear(&run->output);
	run->exits = 0;
	run_to_exit(run, (struct process_config){
	                         .argv = SHELL("echo 1234567890"), .max_output_bytes = 4, .on_line = on_line_note});
	assert_string_equal(strbuf_text(&run->output), "<1234><5678><90>");
}

static void test_abandon_from_on_line(void **state)
{
	struct run *run = *state;
	struct err err = ERR_INIT;
	run->abandon_on_line = true;
	struct process_config config = {.argv = SHELL("echo a; echo b; sleep 1000"),
	                                .on_line = on_line_note,
	                                .on_exit = on_exit_note,
	                                .context = run};
	assert_int_equal(process_start(run->loop, &config, &run->process, &err), 0);
	loop_run(run->loop);
	loop_turn(run->loop, 0);
	assert_int_equal(run->lines, 1);
	assert_int_equal(run->exits, 0);
}

static void test_kill_and_grandchild_keeps_pipe(void **state)
{
	struct run *run = *state;
	struct err err = ERR_INIT;
	struct process_config config = {.argv = SHELL("sleep 1000"), .on_exit = on_exit_note, .context = run};
	assert_int_equal(process_start(run->loop, &config, &run->process, &err), 0);
	assert_true(process_pid(run->process) > 1);
	process_kill(run->process);
	loop_run(run->loop);
	assert_int_equal(run->result.exit_code, 128 + SIGKILL);
	run->exits = 0;
	strbuf_clear(&run->output);
	run_to_exit(run, (struct process_config){.argv = SHELL("sleep 1000 & echo $!")});
	assert_int_equal(run->result.exit_code, 0);
	assert_int_equal(kill(atoi(strbuf_text(&run->output)), SIGKILL), 0);
}

static void test_start_errors(void **state)
{
	struct run *run = *state;
	struct err err = ERR_INIT;
	struct process_config config = {
	        .argv = (const char *const[]){"no-such-program-here", NULL}, .on_exit = on_exit_note, .context = run};
	assert_int_equal(process_start(run->loop, &config, &run->process, &err), -ERR_NOT_FOUND);
	assert_string_equal(err.message, "exec: \"no-such-program-here\": executable file not found in $PATH");
	err_clear(&err);
	config.argv = (const char *const[]){"/no/such", NULL};
	assert_int_equal(process_start(run->loop, &config, &run->process, &err), -ERR_IO);
	assert_string_equal(err.message, "fork/exec /no/such: No such file or directory");
	err_clear(&err);
	config = (struct process_config){.argv = SHELL("true"), .working_directory = "/no/such"};
	assert_int_equal(process_start(run->loop, &config, &run->process, &err), -ERR_IO);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // no zombie left
	assert_int_equal(errno, ECHILD);
}

// Only 0, 1, 2 and what was named stay open; signals are back to their defaults.
static void test_descriptors_and_signals(void **state)
{
	struct run *run = *state;
	int leaked = open("/dev/null", O_RDONLY), kept = open("/dev/null", O_RDONLY | O_CLOEXEC);
	run_to_exit(run, (struct process_config){.argv = (const char *const[]){"ls", "-v", "/proc/self/fd", NULL},
	                                         .inherit_fds = (const int[]){kept, -1},
	                                         .environment = (const char *const[]){"PATH=/usr/bin:/bin", NULL}});
	AUTO_FREE char *expected = xasprintf("0\n1\n2\n%d\n%d\n", kept < 4 ? kept : 3, kept < 4 ? 4 : kept);
	assert_string_equal(strbuf_text(&run->output), expected); // and ls' own descriptor of the folder
	close(leaked);
	close(kept);
	strbuf_clear(&run->output);
	run->exits = 0;
	run_to_exit(run, (struct process_config){
	                         // Signals 32 and 33 are the C library's own: it lets nobody change what was inherited.
	                         .argv = SHELL("grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t ' | "
	                                       "sed 's/0000000180000000/0000000000000000/'")});
	assert_string_equal(strbuf_text(&run->output), "SigBlk:0000000000000000SigIgn:0000000000000000");
}

static void test_process_run(void **state UNUSED)
{
	struct err err = ERR_INIT;
	AUTO_STRBUF struct strbuf output = STRBUF_INIT(10000);
	assert_int_equal(process_run(SHELL("cat; exit 3"), "text", &output, &err), 3);
	assert_string_equal(strbuf_text(&output), "text");
	assert_int_equal(process_run((const char *const[]){"true", NULL}, NULL, NULL, &err), 0);
	assert_int_equal(process_run(SHELL("kill -9 $$"), NULL, &output, &err), 137);
	assert_int_equal(process_run((const char *const[]){"no-such-program-here", NULL}, NULL, &output, &err),
	                 -ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_output_and_exit_code, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_large_input_and_output, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_child_ignores_input, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_deadline_kills_the_group, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_kill_and_grandchild_keeps_pipe, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_start_errors, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_descriptors_and_signals, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_process_run, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_abandon_from_on_line, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
