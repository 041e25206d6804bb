// SPDX-License-Identifier: Apache-2.0
// The kubelet's decisions, on made-up pods.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "kubelet/pod/backoff.h"
#include "kubelet/pod/pod_plan.h"

#define NOW INT64_C(1000)

// "start 0, stop 2, sandbox" of a plan.
static const char *describe(const struct plan_input *input)
{
	static const char *const names[] = {
	        [PLAN_MOUNT_VOLUMES] = "mount", [PLAN_START_SANDBOX] = "sandbox",  [PLAN_START_CONTAINER] = "start",
	        [PLAN_STOP_CONTAINER] = "stop", [PLAN_STOP_SANDBOX] = "unsandbox", [PLAN_UNMOUNT_VOLUMES] = "unmount",
	        [PLAN_FINISH] = "finish",
	};
	static char text[512];
	AUTO_FREE struct pod_plan *plan = NEW(struct pod_plan);
	size_t used = 0;
	text[0] = '\0';
	pod_plan_make(input, plan);
	for (size_t index = 0; index < plan->action_count; index++) {
		const struct plan_action *action = &plan->actions[index];
		bool of_container = action->type == PLAN_START_CONTAINER || action->type == PLAN_STOP_CONTAINER;
		used += (size_t)snprintf(text + used, sizeof(text) - used, of_container ? "%s%s %zu" : "%s%s",
		                         index ? ", " : "", names[action->type], action->container);
	}
	if (plan->wake_at_ns != INT64_MAX)
		snprintf(text + used, sizeof(text) - used, "%sat %lld", used ? ", " : "", (long long)plan->wake_at_ns);
	return text;
}

#define INPUT(list, ...)                                          \
	((struct plan_input){.now_ns = NOW,                       \
	                     .volumes = PART_READY,               \
	                     .sandbox = PART_READY,               \
	                     .containers = (list),                \
	                     .container_count = ARRAY_SIZE(list), \
	                     ##__VA_ARGS__})

static void test_everything_begins_at_once(void **state)
{
	(void)state;
	struct plan_container containers[] = {{.kind = CONTAINER_REGULAR}, {.kind = CONTAINER_REGULAR}};
	struct plan_input input = INPUT(containers);
	input.volumes = input.sandbox = PART_NONE;
	assert_string_equal(describe(&input), "mount, sandbox");
	input.volumes = PART_READY;
	input.sandbox = PART_WORKING;
	assert_string_equal(describe(&input), "");
	input.sandbox_joinable = true; // its pause container alone is still being started
	assert_string_equal(describe(&input), "start 0, start 1");
	input.terminating = true;
	assert_string_equal(describe(&input), "");
	input.terminating = false;
	input.sandbox = PART_BROKEN; // it could not be: what was started in it goes first
	containers[0].state = CONTAINER_RUNNING;
	assert_string_equal(describe(&input), "stop 0");
	containers[0].state = CONTAINER_WAITING;
	input.sandbox = PART_READY;
	assert_string_equal(describe(&input), "start 0, start 1");
	input.volumes = PART_BROKEN;
	input.volumes_retry_at_ns = NOW + 5;
	assert_string_equal(describe(&input), "at 1005");
	input.volumes_retry_at_ns = NOW;
	assert_string_equal(describe(&input), "mount");
}

static void test_init_containers_run_in_order(void **state)
{
	(void)state;
	struct plan_container containers[] = {
	        {.kind = CONTAINER_INIT, .restart = RESTART_ON_FAILURE},
	        {.kind = CONTAINER_INIT, .restart = RESTART_ON_FAILURE},
	        {.kind = CONTAINER_REGULAR},
	};
	struct plan_input input = INPUT(containers);
	assert_string_equal(describe(&input), "start 0");
	containers[0].state = CONTAINER_RUNNING;
	assert_string_equal(describe(&input), "");
	containers[0].state = CONTAINER_EXITED;
	containers[0].exit_code = 1;
	containers[0].retry_at_ns = NOW + 10;
	assert_string_equal(describe(&input), "at 1010");
	containers[0].exit_code = 0;
	assert_string_equal(describe(&input), "start 1");
	containers[1].state = CONTAINER_EXITED;
	assert_string_equal(describe(&input), "start 2");
	// What has been initialised stays so, even if the record of it is lost.
	containers[2].state = CONTAINER_EXITED;
	containers[0].state = CONTAINER_WAITING;
	assert_string_equal(describe(&input), "start 2");
}

static void test_sidecars_start_first_and_stop_last(void **state)
{
	(void)state;
	struct plan_container containers[] = {
	        {.kind = CONTAINER_SIDECAR, .restart = RESTART_ALWAYS},
	        {.kind = CONTAINER_SIDECAR, .restart = RESTART_ALWAYS},
	        {.kind = CONTAINER_REGULAR, .restart = RESTART_NEVER},
	};
	struct plan_input input = INPUT(containers);
	assert_string_equal(describe(&input), "start 0");
	containers[0].state = CONTAINER_RUNNING; // not started: its startup probe hasn't passed
	assert_string_equal(describe(&input), "");
	containers[0].started = true;
	assert_string_equal(describe(&input), "start 1");
	containers[1].state = CONTAINER_RUNNING;
	containers[1].started = true;
	assert_string_equal(describe(&input), "start 2");
	containers[2].state = CONTAINER_RUNNING;
	containers[0].state = CONTAINER_EXITED; // sidecars come back
	containers[0].started = false;
	assert_string_equal(describe(&input), "start 0");
	containers[0].state = CONTAINER_RUNNING;
	containers[0].started = true;
	input.terminating = true;
	assert_string_equal(describe(&input), "stop 2");
	containers[2].state = CONTAINER_EXITED;
	assert_string_equal(describe(&input), "stop 1");
	containers[1].stopping = true;
	assert_string_equal(describe(&input), "");
	containers[1].state = CONTAINER_EXITED;
	assert_string_equal(describe(&input), "stop 0");
	containers[0].state = CONTAINER_EXITED;
	assert_string_equal(describe(&input), "unsandbox");
}

static void test_restart_policies(void **state)
{
	(void)state;
	static const struct {
		enum restart_policy policy;
		int exit_code;
		enum pod_end end;
		const char *plan;
	} rows[] = {
	        {RESTART_ALWAYS, 0, POD_GOES_ON, "start 0"},         {RESTART_ALWAYS, 1, POD_GOES_ON, "start 0"},
	        {RESTART_ON_FAILURE, 0, POD_SUCCEEDED, "unsandbox"}, {RESTART_ON_FAILURE, 1, POD_GOES_ON, "start 0"},
	        {RESTART_NEVER, 0, POD_SUCCEEDED, "unsandbox"},      {RESTART_NEVER, 1, POD_FAILED, "unsandbox"},
	};
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++) {
		struct plan_container containers[] = {{.kind = CONTAINER_REGULAR,
		                                       .state = CONTAINER_EXITED,
		                                       .restart = rows[index].policy,
		                                       .exit_code = rows[index].exit_code}};
		struct plan_input input = INPUT(containers);
		assert_int_equal(pod_plan_end(&input), rows[index].end);
		assert_string_equal(describe(&input), rows[index].plan);
	}
}

static void test_failed_init_ends_the_pod(void **state)
{
	(void)state;
	struct plan_container containers[] = {
	        {.kind = CONTAINER_INIT, .restart = RESTART_NEVER, .state = CONTAINER_EXITED, .exit_code = 2},
	        {.kind = CONTAINER_REGULAR, .restart = RESTART_NEVER},
	};
	struct plan_input input = INPUT(containers);
	assert_int_equal(pod_plan_end(&input), POD_FAILED);
	assert_string_equal(describe(&input), "unsandbox");
}

static void test_taking_down_goes_step_by_step(void **state)
{
	(void)state;
	struct plan_container containers[] = {
	        {.kind = CONTAINER_REGULAR, .state = CONTAINER_RUNNING},
	        {.kind = CONTAINER_REGULAR, .state = CONTAINER_STARTING},
	};
	struct plan_input input = INPUT(containers, .terminating = true);
	assert_string_equal(describe(&input), "stop 0");
	containers[0].state = CONTAINER_EXITED;
	assert_string_equal(describe(&input), ""); // a start can't be taken back
	containers[1].state = CONTAINER_EXITED;
	containers[1].removing = true;
	assert_string_equal(describe(&input), "");
	containers[1].removing = false;
	assert_string_equal(describe(&input), "unsandbox");
	input.sandbox = PART_WORKING;
	assert_string_equal(describe(&input), "");
	input.sandbox = PART_BROKEN;
	input.sandbox_retry_at_ns = NOW + 7;
	assert_string_equal(describe(&input), "at 1007");
	input.sandbox = PART_NONE;
	assert_string_equal(describe(&input), "unmount");
	input.volumes = PART_NONE;
	assert_string_equal(describe(&input), "finish");
}

static void test_broken_sandbox_takes_containers_along(void **state)
{
	(void)state;
	struct plan_container containers[] = {{.kind = CONTAINER_REGULAR, .state = CONTAINER_RUNNING}};
	struct plan_input input = INPUT(containers);
	input.sandbox = PART_BROKEN;
	assert_string_equal(describe(&input), "stop 0");
	containers[0].state = CONTAINER_EXITED;
	assert_string_equal(describe(&input), "unsandbox");
	input.sandbox = PART_NONE;
	assert_string_equal(describe(&input), "sandbox");
}

static void test_unhealthy_container_is_stopped_once(void **state)
{
	(void)state;
	struct plan_container containers[] = {
	        {.kind = CONTAINER_REGULAR, .state = CONTAINER_RUNNING, .must_restart = true}};
	struct plan_input input = INPUT(containers);
	assert_string_equal(describe(&input), "stop 0");
	containers[0].stopping = true;
	assert_string_equal(describe(&input), "");
}

static void test_post_start_hook_holds_those_after_it(void **state)
{
	(void)state;
	struct plan_container containers[] = {{.kind = CONTAINER_REGULAR, .has_post_start = true},
	                                      {.kind = CONTAINER_REGULAR}};
	struct plan_input input = INPUT(containers);
	assert_string_equal(describe(&input), "start 0");
	containers[0].state = CONTAINER_STARTING;
	assert_string_equal(describe(&input), "");
	containers[0].state = CONTAINER_RUNNING;
	containers[0].hook_running = true;
	assert_string_equal(describe(&input), "");
	containers[0].hook_running = false;
	assert_string_equal(describe(&input), "start 1");
	containers[0].state = CONTAINER_EXITED; // its back-off doesn't hold the other
	containers[0].retry_at_ns = NOW + 10;
	assert_string_equal(describe(&input), "start 1, at 1010");
}

static void test_ephemeral_containers_count_for_nothing(void **state)
{
	(void)state;
	struct plan_container containers[] = {
	        {.kind = CONTAINER_INIT, .state = CONTAINER_RUNNING, .restart = RESTART_ON_FAILURE},
	        {.kind = CONTAINER_REGULAR},
	        {.kind = CONTAINER_EPHEMERAL, .restart = RESTART_NEVER}};
	struct plan_input input = INPUT(containers);
	assert_string_equal(describe(&input), "start 2"); // also while the pod initializes
	containers[2].state = CONTAINER_EXITED;
	containers[2].exit_code = 1;
	assert_string_equal(describe(&input), "");
	containers[0].state = CONTAINER_EXITED;
	assert_string_equal(describe(&input), "start 1");
	containers[1].state = CONTAINER_EXITED;
	containers[1].restart = RESTART_NEVER;
	containers[2].state = CONTAINER_RUNNING;
	assert_int_equal(pod_plan_end(&input), POD_SUCCEEDED);
	assert_string_equal(describe(&input), "stop 2");
}

static void test_backoff_doubles_and_forgets(void **state)
{
	(void)state;
	struct backoff backoff = {0};
	int64_t now = 100 * NSEC_PER_SEC;
	assert_int_equal(backoff_until_ns(&backoff, now), now); // the first restart is immediate
	static const int64_t seconds[] = {10, 20, 40, 80, 160, 300, 300};
	for (size_t index = 0; index < ARRAY_SIZE(seconds); index++) {
		backoff_advance(&backoff, now);
		assert_int_equal(backoff_until_ns(&backoff, now), now + seconds[index] * NSEC_PER_SEC);
		now = backoff_until_ns(&backoff, now);
	}
	now += 601 * NSEC_PER_SEC;
	assert_int_equal(backoff_until_ns(&backoff, now), now);
	backoff_advance(&backoff, now);
	assert_int_equal(backoff_until_ns(&backoff, now), now + 10 * NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_everything_begins_at_once),
	        cmocka_unit_test(test_init_containers_run_in_order),
	        cmocka_unit_test(test_sidecars_start_first_and_stop_last),
	        cmocka_unit_test(test_restart_policies),
	        cmocka_unit_test(test_failed_init_ends_the_pod),
	        cmocka_unit_test(test_taking_down_goes_step_by_step),
	        cmocka_unit_test(test_broken_sandbox_takes_containers_along),
	        cmocka_unit_test(test_unhealthy_container_is_stopped_once),
	        cmocka_unit_test(test_post_start_hook_holds_those_after_it),
	        cmocka_unit_test(test_ephemeral_containers_count_for_nothing),
	        cmocka_unit_test(test_backoff_doubles_and_forgets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
