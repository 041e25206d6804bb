// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "scheduler/config.h"

#define HEAD "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"

static int load(struct arena *arena, const char *text, struct scheduler_config *config, struct err *err)
{
	static const struct leader_options leader = LEADER_OPTIONS_INIT("kube-scheduler");
	char path[] = "/tmp/caravel-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	scheduler_config_init(config, &leader);
	int result = scheduler_config_load(arena, path, config, err);
	unlink(path);
	return result;
}

static void test_everything_that_counts(void **state)
{
	(void)state;
	struct scheduler_config config;
	struct err err = ERR_INIT;
	struct arena *arena = arena_new(0);
	assert_int_equal(load(arena,
	                      HEAD "clientConnection: {kubeconfig: /etc/kubernetes/scheduler.conf}\n"
	                           "leaderElection: {leaderElect: false, leaseDuration: 30s, resourceName: mine}\n"
	                           "percentageOfNodesToScore: 40\n"
	                           "podInitialBackoffSeconds: 2\n"
	                           "podMaxBackoffSeconds: 60\n"
	                           "profiles: [{schedulerName: default-scheduler}, {schedulerName: second}]\n",
	                      &config, &err),
	                 0);
	assert_string_equal(config.kubeconfig, "/etc/kubernetes/scheduler.conf");
	assert_false(config.leader.enabled);
	assert_int_equal(config.leader.lease_duration_ns, 30 * NSEC_PER_SEC);
	assert_int_equal(config.leader.renew_deadline_ns, 10 * NSEC_PER_SEC);
	assert_string_equal(config.leader.resource_name, "mine");
	assert_int_equal(config.percentage_of_nodes, 40);
	assert_int_equal(config.initial_backoff_ns, 2 * NSEC_PER_SEC);
	assert_int_equal(config.max_backoff_ns, 60 * NSEC_PER_SEC);
	assert_int_equal(config.profile_count, 2);
	assert_string_equal(config.profile_names[1], "second");
	arena_free(arena);
}

static void test_defaults(void **state)
{
	(void)state;
	struct scheduler_config config;
	struct err err = ERR_INIT;
	struct arena *arena = arena_new(0);
	assert_int_equal(load(arena, HEAD, &config, &err), 0);
	assert_true(config.leader.enabled);
	assert_int_equal(config.initial_backoff_ns, NSEC_PER_SEC);
	assert_int_equal(config.max_backoff_ns, 10 * NSEC_PER_SEC);
	assert_int_equal(config.profile_count, 1);
	assert_string_equal(config.profile_names[0], "default-scheduler");
	assert_null(config.kubeconfig);
	arena_free(arena);
}

static void test_what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
	        {"", "no kind \"\" is registered"},
	        {"apiVersion: v1\nkind: Pod\n", "no kind \"Pod\" is registered for version \"v1\""},
	        {HEAD "percentageOfNodesToScore: 101\n", "not in valid range [0-100]"},
	        {HEAD "podInitialBackoffSeconds: 0\n", "must be greater than 0"},
	        {HEAD "podInitialBackoffSeconds: 20\n", "must be greater than or equal to PodInitialBackoffSeconds"},
	        {HEAD "leaderElection: {leaseDuration: soon}\n", "leaseDuration: Invalid value: \"soon\""},
	        {HEAD "profiles: [{}, {}]\n", "profiles[1].schedulerName: Duplicate value"},
	        {HEAD "profiles: [{plugins: {score: {disabled: [{name: '*'}]}}}]\n", "profiles[0].plugins: Forbidden"},
	        {HEAD "profiles: [\n", "yaml"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scheduler_config config;
		struct err err = ERR_INIT;
		struct arena *arena = arena_new(0);
		assert_true(load(arena, cases[i].text, &config, &err) < 0);
		if (!strstr(err.message, cases[i].message))
			fail_msg("case %zu: %s", i, err.message);
		arena_free(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_everything_that_counts),
	        cmocka_unit_test(test_defaults),
	        cmocka_unit_test(test_what_is_refused),
	};
	return cmocka_run_group_tests_name("scheduler/config", tests, NULL, NULL);
}
