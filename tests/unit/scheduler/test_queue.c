// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/scheduler/objects.h"

#include "common/base/clock.h"
#include "scheduler/framework.h"
#include "scheduler/queue.h"

#define SECOND NSEC_PER_SEC

static struct queue *open_queue(void)
{
	const struct queue_config config = {.initial_backoff_ns = SECOND, .max_backoff_ns = 10 * SECOND};
	return queue_new(&config);
}

static void add(struct queue *queue, const char *name, const char *rest, int64_t now_ns)
{
	struct pod_info *info = make_pod(name, "", rest);
	queue_set(queue, info, now_ns);
	pod_info_unref(info);
}

static const char *pop(struct queue *queue, int64_t now_ns)
{
	const struct queued_pod *pod = queue_pop(queue, now_ns);
	return pod ? pod_info_uid(pod->info) + strlen("uid-") : "";
}

static uint64_t bit_of(const char *plugin_name)
{
	for (size_t i = 0; i < plugin_count; i++)
		if (strcmp(plugins[i]->name, plugin_name) == 0)
			return UINT64_C(1) << i;
	fail_msg("no plug-in %s", plugin_name);
	return 0;
}

static void test_priority_then_age(void **state)
{
	(void)state;
	struct queue *queue = open_queue();
	add(queue, "old", "", 1);
	add(queue, "new", "", 2);
	add(queue, "same-time", "", 2);
	add(queue, "urgent", "priority: 1000", 3);
	add(queue, "low", "priority: -5", 0);
	assert_int_equal(queue_count(queue, QUEUE_ACTIVE), 5);
	assert_string_equal(pop(queue, 10), "urgent");
	assert_string_equal(pop(queue, 10), "old");
	assert_string_equal(pop(queue, 10), "new");
	assert_string_equal(pop(queue, 10), "same-time");
	assert_string_equal(pop(queue, 10), "low");
	assert_string_equal(pop(queue, 10), "");
	assert_int_equal(queue_count(queue, QUEUE_IN_FLIGHT), 5);
	queue_free(queue);
}

static void test_failed_pods_back_off(void **state)
{
	(void)state;
	static const int seconds[] = {1, 2, 4, 8, 10, 10};
	struct queue *queue = open_queue();
	int64_t now_ns = 100 * SECOND;
	add(queue, "a", "", now_ns);
	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		assert_string_equal(pop(queue, now_ns), "a");
		queue_put_failed(queue, "uid-a", now_ns);
		assert_int_equal(queue_next_ns(queue), now_ns + seconds[i] * SECOND);
		now_ns += seconds[i] * SECOND;
		assert_string_equal(pop(queue, now_ns - 1), "");
	}
	queue_free(queue);
}

static void test_refused_pods_wait_for_an_event_that_helps(void **state)
{
	(void)state;
	struct queue *queue = open_queue();
	add(queue, "ports", "", 0);
	add(queue, "labels", "", 1);
	pop(queue, 2);
	pop(queue, 2);
	queue_put_refused(queue, "uid-ports", bit_of("NodePorts"), 2);
	queue_put_refused(queue, "uid-labels", bit_of("NodeAffinity"), 2);
	assert_int_equal(queue_count(queue, QUEUE_UNSCHEDULABLE), 2);
	queue_on_event(queue, EVENT_NODE_TAINTS | EVENT_NODE_CONDITION, "x", 3);
	assert_int_equal(queue_count(queue, QUEUE_UNSCHEDULABLE), 2);
	queue_on_event(queue, EVENT_NODE_LABELS, "x", 3); // too early still: it backs off first
	assert_int_equal(queue_count(queue, QUEUE_BACKOFF), 1);
	queue_on_event(queue, EVENT_POD_DELETED, "x", 2 * SECOND); // late enough
	assert_int_equal(queue_count(queue, QUEUE_ACTIVE), 1);
	assert_string_equal(pop(queue, 2 * SECOND), "ports"); // both are due now: the one that came first
	assert_string_equal(pop(queue, 2 * SECOND), "labels");
	queue_free(queue);
}

static void test_nothing_waits_for_ever(void **state)
{
	(void)state;
	struct queue *queue = open_queue();
	add(queue, "a", "", 0);
	pop(queue, 0);
	queue_put_refused(queue, "uid-a", bit_of("NodeName"), 0);
	assert_int_equal(queue_next_ns(queue), 300 * SECOND);
	assert_string_equal(pop(queue, 300 * SECOND - 1), "");
	assert_string_equal(pop(queue, 300 * SECOND), "a");
	queue_free(queue);
}

static void test_gates_hold_a_pod(void **state)
{
	(void)state;
	struct queue *queue = open_queue();
	add(queue, "a", "schedulingGates: [{name: example.com/wait}]", 0);
	assert_int_equal(queue_count(queue, QUEUE_GATED), 1);
	queue_on_event(queue, EVENT_ALL, "x", 1000 * SECOND);
	assert_string_equal(pop(queue, 1000 * SECOND), "");
	add(queue, "a", "", 1000 * SECOND);
	assert_string_equal(pop(queue, 1000 * SECOND), "a");
	queue_free(queue);
}

static void test_own_update_counts_only_when_it_can_help(void **state)
{
	(void)state;
	struct queue *queue = open_queue();
	add(queue, "a", "", 0);
	pop(queue, 0);
	queue_put_refused(queue, "uid-a", bit_of("TaintToleration"), 0);
	add(queue, "a", "", 20 * SECOND); // as after a change of the status: nothing new
	assert_int_equal(queue_count(queue, QUEUE_UNSCHEDULABLE), 1);
	add(queue, "a", "tolerations: [{operator: Exists}]", 20 * SECOND);
	assert_int_equal(queue_count(queue, QUEUE_ACTIVE), 1);
	const struct queued_pod *pod = queue_pop(queue, 20 * SECOND);
	assert_int_equal(pod->info->pod->spec.tolerations.count, 1); // the newest is scheduled
	assert_int_equal(pod->attempts, 2);
	queue_free(queue);
}

static void test_removed_wherever_it_is(void **state)
{
	(void)state;
	struct queue *queue = open_queue();
	static const char *const names[] = {"active", "backoff", "waiting", "flying"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add(queue, names[i], i ? "priority: 1" : "", 0);
	for (int i = 0; i < 3; i++)
		pop(queue, 0);
	queue_put_failed(queue, "uid-backoff", 0);
	queue_put_refused(queue, "uid-waiting", bit_of("NodePorts"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FREE char *uid = xasprintf("uid-%s", names[i]);
		assert_non_null(queue_find(queue, uid));
		queue_remove(queue, uid);
		assert_null(queue_find(queue, uid));
		queue_remove(queue, uid);
		queue_put_failed(queue, uid, 1); // answers that come too late do nothing
		queue_put_refused(queue, uid, 1, 1);
	}
	for (int place = 0; place < QUEUE_PLACE_COUNT_; place++)
		assert_int_equal(queue_count(queue, (enum queue_place)place), 0);
	assert_int_equal(queue_next_ns(queue), INT64_MAX);
	queue_free(queue);
}

// Against a plain model: any mixture of operations leaves each pod in one place, and counts that agree.
static void test_random_operations(void **state)
{
	(void)state;
	struct queue *queue = open_queue();
	uint64_t random = 88172645463325252u;
	int64_t now_ns = 0;
	char name[16];
	for (int i = 0; i < 20000; i++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		snprintf(name, sizeof(name), "p%d", (int)((random >> 20) % 30));
		AUTO_FREE char *uid = xasprintf("uid-%s", name);
		now_ns += (int64_t)(random % 700) * NSEC_PER_MSEC;
		switch (random % 6) {
		case 0:
			add(queue, name, random & 64 ? "priority: 7" : "", now_ns);
			break;
		case 1:
			queue_remove(queue, uid);
			break;
		case 2:
			pop(queue, now_ns);
			break;
		case 3:
			queue_put_failed(queue, uid, now_ns);
			break;
		case 4:
			queue_put_refused(queue, uid, random >> 60, now_ns);
			break;
		default:
			queue_on_event(queue, 1u << (random >> 40) % 10, "x", now_ns);
			break;
		}
		size_t known = 0;
		size_t counted = 0;
		for (int k = 0; k < 30; k++) {
			AUTO_FREE char *key = xasprintf("uid-p%d", k);
			known += queue_find(queue, key) != NULL;
		}
		for (int place = 0; place < QUEUE_PLACE_COUNT_; place++)
			counted += queue_count(queue, (enum queue_place)place);
		assert_int_equal(known, counted);
	}
	int last_priority = INT32_MAX;
	const struct queued_pod *pod;
	while ((pod = queue_pop(queue, now_ns + 10000 * SECOND)) != NULL) {
		assert_true(pod->info->priority <= last_priority);
		last_priority = pod->info->priority;
	}
	queue_free(queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_priority_then_age),
	        cmocka_unit_test(test_failed_pods_back_off),
	        cmocka_unit_test(test_refused_pods_wait_for_an_event_that_helps),
	        cmocka_unit_test(test_nothing_waits_for_ever),
	        cmocka_unit_test(test_gates_hold_a_pod),
	        cmocka_unit_test(test_own_update_counts_only_when_it_can_help),
	        cmocka_unit_test(test_removed_wherever_it_is),
	        cmocka_unit_test(test_random_operations),
	};
	return cmocka_run_group_tests_name("scheduler/queue", tests, NULL, NULL);
}
