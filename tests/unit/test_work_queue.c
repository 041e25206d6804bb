// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/strbuf.h"
#include "common/client/work_queue.h"
#include "common/io/loop.h"

// A queue on a clock that moves only when told. The worker notes the keys that it
// gets; it answers at once with `answer`, or keeps the key when `holds` is set.
struct fixture {
	struct manual_clock clock;
	struct loop *loop;
	struct work_queue *queue;
	struct strbuf seen;
	enum work_result answer;
	bool holds;
	unsigned processed;
	const char *add_inside; // added by the worker while it works
};

static void process(void *context, const char *key)
{
	struct fixture *fixture = context;
	strbuf_printf(&fixture->seen, "%s ", key);
	fixture->processed++;
	if (fixture->add_inside) {
		const char *extra = fixture->add_inside;
		fixture->add_inside = NULL;
		work_queue_add(fixture->queue, extra);
	}
	if (!fixture->holds)
		work_queue_done(fixture->queue, key, fixture->answer);
}

static void open_queue(struct fixture *fixture, unsigned max_in_progress)
{
	struct err err = ERR_INIT;
	memset(fixture, 0, sizeof(*fixture));
	manual_clock_init(&fixture->clock, 1700000000 * NSEC_PER_SEC);
	assert_int_equal(loop_new(&fixture->clock.clock, &fixture->loop, &err), 0);
	fixture->seen = STRBUF_INIT(1 << 20);
	const struct work_queue_config config = {
	        .name = "test", .max_in_progress = max_in_progress, .process = process, .context = fixture};
	fixture->queue = work_queue_new(fixture->loop, &config);
}

static void close_queue(struct fixture *fixture)
{
	work_queue_free(fixture->queue);
	loop_free(fixture->loop);
	strbuf_done(&fixture->seen);
}

static void turn(struct fixture *fixture)
{
	for (int i = 0; i < 4; i++)
		loop_turn(fixture->loop, 0);
}

static void advance(struct fixture *fixture, int64_t delta_ns)
{
	manual_clock_advance(&fixture->clock, delta_ns);
	turn(fixture);
}

static void expect_seen(struct fixture *fixture, const char *text)
{
	assert_string_equal(strbuf_text(&fixture->seen), text);
	strbuf_clear(&fixture->seen);
}

static void test_order_and_no_duplicates(void **state)
{
	(void)state;
	struct fixture fixture;
	open_queue(&fixture, 0);
	work_queue_add(fixture.queue, "b");
	work_queue_add(fixture.queue, "a");
	work_queue_add(fixture.queue, "b");
	expect_seen(&fixture, ""); // never from inside an add
	assert_int_equal(work_queue_depth(fixture.queue), 2);
	turn(&fixture);
	expect_seen(&fixture, "b a ");
	assert_int_equal(work_queue_depth(fixture.queue), 0);
	close_queue(&fixture);
}

static void test_added_while_worked_on_comes_again(void **state)
{
	(void)state;
	struct fixture fixture;
	open_queue(&fixture, 4);
	fixture.holds = true;
	work_queue_add(fixture.queue, "a");
	turn(&fixture);
	expect_seen(&fixture, "a ");
	work_queue_add(fixture.queue, "a");
	work_queue_add(fixture.queue, "a");
	turn(&fixture);
	expect_seen(&fixture, ""); // never twice at once
	work_queue_done(fixture.queue, "a", WORK_DONE);
	turn(&fixture);
	expect_seen(&fixture, "a ");
	work_queue_done(fixture.queue, "a", WORK_DONE);
	turn(&fixture);
	expect_seen(&fixture, "");
	fixture.holds = false;
	fixture.add_inside = "c";
	work_queue_add(fixture.queue, "c");
	turn(&fixture);
	expect_seen(&fixture, "c c ");
	close_queue(&fixture);
}

static void test_parallelism_is_bounded(void **state)
{
	(void)state;
	struct fixture fixture;
	open_queue(&fixture, 2);
	fixture.holds = true;
	work_queue_add(fixture.queue, "a");
	work_queue_add(fixture.queue, "b");
	work_queue_add(fixture.queue, "c");
	turn(&fixture);
	expect_seen(&fixture, "a b ");
	work_queue_done(fixture.queue, "b", WORK_DONE);
	turn(&fixture);
	expect_seen(&fixture, "c ");
	work_queue_done(fixture.queue, "a", WORK_DONE);
	work_queue_done(fixture.queue, "c", WORK_DONE);
	close_queue(&fixture);
}

static void test_retries_back_off_and_are_forgotten(void **state)
{
	(void)state;
	struct fixture fixture;
	open_queue(&fixture, 1);
	fixture.answer = WORK_RETRY;
	work_queue_add(fixture.queue, "a");
	turn(&fixture);
	expect_seen(&fixture, "a ");
	int64_t delay_ns = 5 * NSEC_PER_MSEC;
	for (int i = 0; i < 20; i++) {
		advance(&fixture, delay_ns - 1);
		expect_seen(&fixture, "");
		advance(&fixture, 1);
		expect_seen(&fixture, "a ");
		delay_ns = delay_ns * 2 < 1000 * NSEC_PER_SEC ? delay_ns * 2 : 1000 * NSEC_PER_SEC;
	}
	assert_int_equal(delay_ns, 1000 * NSEC_PER_SEC);
	fixture.answer = WORK_DONE;
	advance(&fixture, delay_ns);
	expect_seen(&fixture, "a ");
	fixture.answer = WORK_RETRY; // from the beginning
	work_queue_add(fixture.queue, "a");
	turn(&fixture);
	advance(&fixture, 5 * NSEC_PER_MSEC);
	expect_seen(&fixture, "a a ");
	close_queue(&fixture);
}

static void test_overall_rate_of_retries(void **state)
{
	(void)state;
	struct fixture fixture;
	open_queue(&fixture, 1);
	fixture.answer = WORK_RETRY;
	for (int i = 0; i < 200; i++) {
		char key[16];
		snprintf(key, sizeof(key), "key-%d", i);
		work_queue_add(fixture.queue, key);
	}
	while (work_queue_depth(fixture.queue) > 0)
		turn(&fixture);
	assert_int_equal(fixture.processed, 200);
	fixture.answer = WORK_DONE;
	advance(&fixture, 5 * NSEC_PER_MSEC);
	while (work_queue_depth(fixture.queue) > 0)
		turn(&fixture);
	assert_int_equal(fixture.processed, 300); // the burst
	advance(&fixture, NSEC_PER_SEC);
	assert_in_range(fixture.processed, 308, 311); // and ten a second
	advance(&fixture, 10 * NSEC_PER_SEC);
	while (work_queue_depth(fixture.queue) > 0)
		turn(&fixture);
	assert_int_equal(fixture.processed, 400);
	close_queue(&fixture);
}

static void test_add_after_keeps_the_earlier_time(void **state)
{
	(void)state;
	struct fixture fixture;
	open_queue(&fixture, 1);
	work_queue_add_after(fixture.queue, "a", 10 * NSEC_PER_SEC);
	work_queue_add_after(fixture.queue, "a", 2 * NSEC_PER_SEC);
	work_queue_add_after(fixture.queue, "a", 5 * NSEC_PER_SEC);
	work_queue_add_after(fixture.queue, "now", 0);
	turn(&fixture);
	expect_seen(&fixture, "now ");
	advance(&fixture, 2 * NSEC_PER_SEC - 1);
	expect_seen(&fixture, "");
	advance(&fixture, 1);
	expect_seen(&fixture, "a ");
	advance(&fixture, 100 * NSEC_PER_SEC);
	expect_seen(&fixture, "");
	close_queue(&fixture);
}

static void test_pause_and_resume(void **state)
{
	(void)state;
	struct fixture fixture;
	open_queue(&fixture, 1);
	work_queue_pause(fixture.queue);
	work_queue_add(fixture.queue, "a");
	turn(&fixture);
	expect_seen(&fixture, "");
	work_queue_resume(fixture.queue);
	turn(&fixture);
	expect_seen(&fixture, "a ");
	work_queue_add_after(fixture.queue, "later", NSEC_PER_SEC); // freed while it waits
	close_queue(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_order_and_no_duplicates),
	        cmocka_unit_test(test_added_while_worked_on_comes_again),
	        cmocka_unit_test(test_parallelism_is_bounded),
	        cmocka_unit_test(test_retries_back_off_and_are_forgotten),
	        cmocka_unit_test(test_overall_rate_of_retries),
	        cmocka_unit_test(test_add_after_keeps_the_earlier_time),
	        cmocka_unit_test(test_pause_and_resume),
	};
	return cmocka_run_group_tests_name("work_queue", tests, NULL, NULL);
}
