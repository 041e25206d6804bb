// SPDX-License-Identifier: Apache-2.0
// The status that the API shows, and the records that survive the kubelet.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/container.h"
#include "kubelet/pod/pod_record.h"
#include "kubelet/pod/pod_sandbox.h"
#include "kubelet/pod/pod_status.h"
#include "kubelet/pod/pod_worker.h"
#include "tests/unit/kubelet/pod_fixture.h"

#define SECOND NSEC_PER_SEC
#define EPOCH (INT64_C(1795374000) * SECOND) // 2026-11-22T19:00:00Z

struct fixture {
	char directory[64];
	struct arena *arena;
	struct loop *loop;
	struct kubelet_config config;
	struct kubelet kubelet;
	struct pod *pod;
};

static void begin(struct fixture *fixture, const char *spec)
{
	*fixture = (struct fixture){.directory = "/tmp/kubelet-status-XXXXXX", .arena = arena_new(0)};
	assert_non_null(mkdtemp(fixture->directory));
	assert_int_equal(loop_new(&clock_system, &fixture->loop, NULL), 0);
	fixture->config = kubelet_config_defaults;
	fixture->config.root_directory = fixture->directory;
	fixture->config.pod_logs_directory = arena_printf(fixture->arena, "%s/log/pods", fixture->directory);
	fixture->kubelet = (struct kubelet){
	        .loop = fixture->loop, .config = &fixture->config, .node_name = "n1", .node_ip = "192.0.2.1"};
	AUTO(api_object_unref)
	struct api_object *object = pod_fixture_decode(arena_printf(
	        fixture->arena,
	        "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, uid: u1}, spec: {%s}}", spec));
	fixture->pod = pod_worker_new(&fixture->kubelet, object, POD_FROM_API);
	fixture->pod->started_at_ns = EPOCH;
	fixture->pod->sandbox.state = fixture->pod->volumes_state = PART_READY;
}

static void end(struct fixture *fixture)
{
	pod_worker_abandon(fixture->pod);
	loop_free(fixture->loop);
	arena_free(fixture->arena);
	assert_int_equal(file_remove_tree(fixture->directory, NULL), 0);
}

static struct json *status_at(struct fixture *fixture, int64_t seconds, const struct json *previous)
{
	return pod_status_build(fixture->arena, fixture->pod, previous, EPOCH + seconds * SECOND, seconds * SECOND);
}

static void run(struct pod_container *container, int64_t seconds)
{
	container->has_run = true;
	container->state = CONTAINER_RUNNING;
	container->started = container->ready = true;
	snprintf(container->run.id, sizeof(container->run.id), "id%d", container->restart_count);
	container->run.started_at_ns = EPOCH + seconds * SECOND;
	free(container->run.image);
	container->run.image = xstrdup("x:1");
}

static void stop(struct pod_container *container, int64_t seconds, int exit_code)
{
	container->state = CONTAINER_EXITED;
	container->ready = container->started = false;
	container->run.finished_at_ns = EPOCH + seconds * SECOND;
	container->run.exit_code = exit_code;
	free(container->run.reason);
	container->run.reason = xstrdup(exit_code ? "Error" : "Completed");
}

static const struct json *condition(const struct json *status, const char *type)
{
	json_for_each_item (one, json_get(status, "conditions"))
		if (!strcmp(json_get_text(one, "type"), type))
			return one;
	return NULL;
}

static void check(const struct json *status, const char *phase, const char *ready, const char *reason)
{
	assert_string_equal(json_get_text(status, "phase"), phase);
	assert_string_equal(json_get_text(condition(status, "Ready"), "status"), ready);
	const char *text = json_get_text(condition(status, "Ready"), "reason");
	assert_string_equal(text ? text : "", reason);
}

static const struct json *first_state(const struct json *status, const char *which, const char *kind)
{
	const struct json *statuses = json_get(status, "containerStatuses");
	return json_path(statuses->items[0], which, kind);
}

static void test_from_pending_to_running(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, "containers: [{name: b, image: x}, {name: a, image: x}]");
	struct json *status = status_at(&fixture, 1, NULL);
	check(status, "Pending", "False", "ContainersNotReady");
	assert_string_equal(json_get_text(condition(status, "Ready"), "message"),
	                    "containers with unready status: [b a]");
	assert_string_equal(json_get_text(first_state(status, "state", "waiting"), "reason"), "ContainerCreating");
	assert_string_equal(json_get_text(json_get(status, "containerStatuses")->items[0], "name"), "a"); // by name
	assert_string_equal(json_get_text(status, "qosClass"), "BestEffort");
	assert_null(json_get(status, "podIP"));
	run(fixture.pod->containers[0], 2);
	check(status_at(&fixture, 2, status), "Pending", "False", "ContainersNotReady");
	run(fixture.pod->containers[1], 3);
	struct json *running = status_at(&fixture, 3, status);
	check(running, "Running", "True", "");
	assert_string_equal(json_get_text(condition(running, "Ready"), "lastTransitionTime"), "2026-11-22T19:00:03Z");
	// A condition that holds on keeps its time.
	struct json *later = status_at(&fixture, 9, running);
	assert_string_equal(json_get_text(condition(later, "Ready"), "lastTransitionTime"), "2026-11-22T19:00:03Z");
	assert_true(json_equal(running, later));
	end(&fixture);
}

static void test_crash_loop(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, "containers: [{name: a, image: x}]");
	struct pod_container *container = fixture.pod->containers[0];
	run(container, 1);
	stop(container, 2, 3);
	container->crash_backoff.delay_ns = 10 * SECOND;
	container->retry_at_ns = 12 * SECOND;
	struct json *status = status_at(&fixture, 3, NULL);
	check(status, "Running", "False", "ContainersNotReady");
	const struct json *waiting = first_state(status, "state", "waiting");
	assert_string_equal(json_get_text(waiting, "reason"), "CrashLoopBackOff");
	assert_string_equal(json_get_text(waiting, "message"),
	                    "back-off 10s restarting failed container=a pod=web_shop(u1)");
	int64_t exit_code = 0;
	assert_true(json_get_integer(first_state(status, "lastState", "terminated"), "exitCode", &exit_code));
	assert_int_equal(exit_code, 3);
	fixture.pod->terminating = true; // it isn't started again: the end is what there is to see
	status = status_at(&fixture, 4, status);
	check(status, "Failed", "False", "PodFailed");
	assert_string_equal(json_get_text(first_state(status, "state", "terminated"), "containerID"),
	                    "containerd://id0");
	end(&fixture);
}

static void test_course_run(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture,
	      "restartPolicy: Never, initContainers: [{name: i, image: x}], containers: [{name: a, image: x}]");
	struct json *status = status_at(&fixture, 1, NULL);
	assert_string_equal(json_get_text(condition(status, "Initialized"), "message"),
	                    "containers with incomplete status: [i]");
	assert_string_equal(json_get_text(first_state(status, "state", "waiting"), "reason"), "PodInitializing");
	run(fixture.pod->containers[0], 1);
	stop(fixture.pod->containers[0], 2, 0);
	run(fixture.pod->containers[1], 3);
	check(status_at(&fixture, 3, NULL), "Running", "True", "");
	stop(fixture.pod->containers[1], 4, 0);
	status = status_at(&fixture, 5, NULL);
	check(status, "Succeeded", "False", "PodCompleted");
	assert_string_equal(json_get_text(condition(status, "Initialized"), "reason"), "PodCompleted");
	stop(fixture.pod->containers[1], 4, 1);
	check(status_at(&fixture, 5, NULL), "Failed", "False", "PodFailed");
	end(&fixture);
}

static void test_ended_by_the_kubelet(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, "containers: [{name: a, image: x}], hostNetwork: true");
	run(fixture.pod->containers[0], 1);
	fixture.pod->end_reason = "DeadlineExceeded";
	fixture.pod->end_message = "too long";
	struct json *status = status_at(&fixture, 2, NULL);
	check(status, "Failed", "False", "PodFailed");
	assert_string_equal(json_get_text(status, "reason"), "DeadlineExceeded");
	assert_string_equal(json_get_text(status, "podIP"), "192.0.2.1");
	end(&fixture);
}

static void test_records_survive(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, "containers: [{name: a, image: x}, {name: b, image: x}]");
	struct pod *pod = fixture.pod;
	AUTO_FREE char *directory = xstrdup(pod->directory);
	for (size_t index = 0; index < 2; index++)
		assert_int_equal(
		        file_make_folders(pod_container_directory(fixture.arena, pod, pod->containers[index]->name),
		                          0755, NULL),
		        0);
	pod->containers[0]->restart_count = 4;
	run(pod->containers[0], 1);
	run(pod->containers[1], 1);
	stop(pod->containers[1], 2, 9);
	pod->containers[1]->run.message = xstrdup("why \"not\"");
	snprintf(pod->sandbox.id, sizeof(pod->sandbox.id), "sandbox");
	pod->sandbox.network_path = xstrdup("/run/netns/x");
	pod->sandbox.addresses[pod->sandbox.address_count++] = xstrdup("10.0.0.5");
	pod_record_sandbox(pod);
	pod_record_container(pod->containers[0]);
	pod_record_container(pod->containers[1]);
	enum pod_origin origin;
	AUTO(api_object_unref) struct api_object *object = pod_record_load_object(directory, &origin);
	assert_non_null(object);
	assert_int_equal(origin, POD_FROM_API);
	struct pod *again = pod_worker_new(&fixture.kubelet, object, origin);
	assert_int_equal(again->started_at_ns / SECOND,
	                 loop_realtime_ns(fixture.loop) / SECOND); // written at its making
	assert_int_equal(again->sandbox.state, PART_READY);
	assert_string_equal(again->sandbox.addresses[0], "10.0.0.5");
	assert_int_equal(again->volumes_state, PART_BROKEN); // to be gone through again
	assert_int_equal(again->containers[0]->state, CONTAINER_RUNNING);
	assert_int_equal(again->containers[0]->restart_count, 4);
	assert_string_equal(again->containers[0]->run.id, "id4");
	assert_int_equal(again->containers[1]->state, CONTAINER_EXITED);
	assert_int_equal(again->containers[1]->run.exit_code, 9);
	assert_string_equal(again->containers[1]->run.message, "why \"not\"");
	pod_worker_abandon(again);
	end(&fixture);
}

static void test_ended_in_the_api_is_left_alone(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, "containers: [{name: a, image: x}]");
	AUTO(api_object_unref)
	struct api_object *object = pod_fixture_decode("{apiVersion: v1, kind: Pod, metadata: {name: old, namespace: "
	                                               "shop, uid: u2}, spec: {containers: [{name: a, image: x}]},"
	                                               " status: {phase: Failed}}");
	struct pod *old = pod_worker_new(&fixture.kubelet, object, POD_FROM_API);
	assert_true(old->finished);
	assert_true(old->frozen);
	pod_worker_abandon(old);
	end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_from_pending_to_running),
	        cmocka_unit_test(test_crash_loop),
	        cmocka_unit_test(test_course_run),
	        cmocka_unit_test(test_ended_by_the_kubelet),
	        cmocka_unit_test(test_records_survive),
	        cmocka_unit_test(test_ended_in_the_api_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
