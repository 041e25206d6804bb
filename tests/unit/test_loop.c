// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/loop.h"

static struct loop *new_loop(const struct clock *clock)
{
	struct loop *loop = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(loop_new(clock, &loop, &err), 0);
	return loop;
}

// --- descriptors --------------------------------------------------------------------

struct peer {
	struct loop_fd source;
	struct peer *other;
	int calls;
	unsigned last_ready;
};

static void stop_and_free_other(struct loop_fd *source, unsigned ready)
{
	struct peer *peer = container_of(source, struct peer, source);
	peer->calls++;
	peer->last_ready = ready;
	loop_fd_stop(&peer->other->source);
	free(peer->other);
	peer->other = NULL;
	loop_fd_stop(source);
}

// Two sources ready in one batch; the first one's callback frees the second one.
static void test_stop_inside_a_batch(void **state UNUSED)
{
	struct loop *loop = new_loop(NULL);
	int fds[2][2];
	struct peer *peers[2];
	for (int i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		peers[i] = NEW(struct peer);
		loop_fd_start(loop, &peers[i]->source, fds[i][0], LOOP_READ, stop_and_free_other);
	}
	peers[0]->other = peers[1];
	peers[1]->other = peers[0];
	loop_turn(loop, -1);
	struct peer *left = peers[0];
	// Whichever came first is left; it may be either.
	bool first_won = loop_free(loop) == NULL;
	assert_true(first_won);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
	// epoll reports in order of readiness: the first written to is the first served.
	assert_int_equal(left->calls, 1);
	assert_null(left->other);
	free(left);
}

static void note_ready(struct loop_fd *source, unsigned ready)
{
	struct peer *peer = container_of(source, struct peer, source);
	peer->calls++;
	peer->last_ready = ready;
}

static void test_events_and_half_close(void **state UNUSED)
{
	struct loop *loop = new_loop(NULL);
	int fds[2];
	struct peer peer = {0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	loop_fd_start(loop, &peer.source, fds[0], 0, note_ready);
	loop_turn(loop, 0);
	assert_int_equal(peer.calls, 0);
	loop_fd_set_events(&peer.source, LOOP_WRITE);
	loop_turn(loop, 0);
	assert_int_equal(peer.last_ready, LOOP_WRITE);
	loop_fd_set_events(&peer.source, 0);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	peer.calls = 0;
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 0);
	assert_int_equal(peer.calls, 1); // a half close is told once
	assert_int_equal(peer.last_ready, LOOP_HANGUP);
	loop_fd_set_events(&peer.source, LOOP_READ);
	loop_turn(loop, 0);
	assert_int_equal(peer.last_ready, LOOP_READ | LOOP_HANGUP);
	loop_fd_stop(&peer.source);
	loop_fd_stop(&peer.source);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}

// --- timers -------------------------------------------------------------------------

struct tick {
	struct loop_timer timer;
	struct tick *victim;
	int64_t again_ns; // -1 = don't restart
	int calls;
	int order;
};

static int order_counter;

static void on_tick(struct loop_timer *timer)
{
	struct tick *tick = container_of(timer, struct tick, timer);
	struct loop *loop = NULL;
	tick->calls++;
	tick->order = ++order_counter;
	if (tick->victim) {
		loop = tick->victim->timer.loop;
		loop_timer_stop(&tick->victim->timer);
	}
	if (tick->again_ns >= 0 && loop)
		loop_timer_start(loop, timer, tick->again_ns, on_tick);
}

static void test_timers_with_manual_clock(void **state UNUSED)
{
	struct manual_clock clock;
	manual_clock_init(&clock, 0);
	struct loop *loop = new_loop(&clock.clock);
	enum { COUNT = 500 };
	static struct tick ticks[COUNT];
	memset(ticks, 0, sizeof(ticks));
	order_counter = 0;
	uint32_t random = 7;
	for (int i = 0; i < COUNT; i++) {
		random = random * 1664525 + 1013904223;
		ticks[i].again_ns = -1;
		loop_timer_start(loop, &ticks[i].timer, 1 + (random >> 8) % 100000, on_tick);
		if (i % 7 == 0)
			loop_timer_start(loop, &ticks[i].timer, (random >> 9) % 100000, on_tick);
	}
	for (int i = 0; i < COUNT; i += 5)
		loop_timer_stop(&ticks[i].timer);
	loop_turn(loop, 0);
	manual_clock_advance(&clock, 100000);
	loop_turn(loop, 0);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(ticks[i].calls, i % 5 ? 1 : 0);
		for (int j = 0; j < COUNT && i % 5; j++)
			if (j % 5 && ticks[i].timer.deadline_ns < ticks[j].timer.deadline_ns)
				assert_true(ticks[i].order < ticks[j].order);
	}
	loop_free(loop);
}

static struct loop *restart_loop;

static void restart_at_once(struct loop_timer *timer)
{
	struct tick *tick = container_of(timer, struct tick, timer);
	tick->calls++;
	loop_timer_start(restart_loop, timer, 0, restart_at_once);
}

static void test_timer_restarts_in_next_turn(void **state UNUSED)
{
	struct manual_clock clock;
	manual_clock_init(&clock, 0);
	struct loop *loop = restart_loop = new_loop(&clock.clock);
	struct tick again = {0}, killer = {.again_ns = -1}, victim = {.again_ns = -1};
	loop_timer_start(loop, &again.timer, 0, restart_at_once);
	loop_turn(loop, -1);
	assert_int_equal(again.calls, 1);
	loop_turn(loop, -1);
	assert_int_equal(again.calls, 2);
	loop_timer_stop(&again.timer);
	// Both due in one turn: the first one stops the second.
	killer.victim = &victim;
	loop_timer_start(loop, &killer.timer, 1, on_tick);
	loop_timer_start(loop, &victim.timer, 2, on_tick);
	manual_clock_advance(&clock, 10);
	loop_turn(loop, 0);
	assert_int_equal(killer.calls, 1);
	assert_int_equal(victim.calls, 0);
	loop_free(loop);
}

// --- signals and children -----------------------------------------------------------

struct signal_note {
	struct loop_signal source;
	int calls;
};

static void on_signal(struct loop_signal *source)
{
	struct loop *loop = source->loop;
	container_of(source, struct signal_note, source)->calls++;
	loop_signal_stop(source);
	loop_quit(loop, 3);
}

static void test_signal_quits(void **state UNUSED)
{
	struct loop *loop = new_loop(NULL);
	struct signal_note one = {0}, other = {0};
	loop_signal_start(loop, &one.source, SIGUSR1, on_signal);
	loop_signal_start(loop, &other.source, SIGUSR2, on_signal);
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_run(loop), 3);
	assert_int_equal(one.calls, 1);
	assert_int_equal(other.calls, 0);
	loop_signal_stop(&other.source);
	sigset_t now;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	assert_false(sigismember(&now, SIGUSR1));
	assert_false(sigismember(&now, SIGUSR2));
	loop_free(loop);
}

struct child_note {
	struct loop_child child;
	struct loop *loop;
	int wait_status;
	int calls;
};

static void on_child(struct loop_child *child, int wait_status)
{
	struct child_note *note = container_of(child, struct child_note, child);
	note->calls++;
	note->wait_status = wait_status;
	loop_quit(note->loop, 0);
}

static void test_children(void **state UNUSED)
{
	struct loop *loop = new_loop(NULL);
	struct child_note note = {.loop = loop};
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	loop_child_start(loop, &note.child, pid, on_child);
	loop_run(loop);
	assert_int_equal(note.calls, 1);
	assert_int_equal(WEXITSTATUS(note.wait_status), 7);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	loop_child_start(loop, &note.child, pid, on_child);
	kill(pid, SIGKILL);
	loop_run(loop);
	assert_int_equal(WTERMSIG(note.wait_status), SIGKILL);
	loop_free(loop);
}

// --- tasks, threads, hooks ----------------------------------------------------------

enum { POSTERS = 3, POSTS = 2000 };

struct post {
	struct loop_task task;
	int poster;
	int number;
};

static struct loop *post_loop;
static int last_number[POSTERS];
static int posts_seen;

static void on_post(struct loop_task *task)
{
	struct post *post = container_of(task, struct post, task);
	assert_int_equal(post->number, last_number[post->poster] + 1);
	last_number[post->poster] = post->number;
	free(post);
	if (++posts_seen == POSTERS * POSTS)
		loop_quit(post_loop, 0);
}

static void *post_many(void *argument)
{
	for (int i = 1; i <= POSTS; i++) {
		struct post *post = NEW(struct post);
		post->poster = (int)(intptr_t)argument;
		post->number = i;
		loop_post(post_loop, &post->task, on_post);
	}
	return NULL;
}

static void test_posts_from_threads(void **state UNUSED)
{
	post_loop = new_loop(NULL);
	pthread_t threads[POSTERS];
	posts_seen = 0;
	memset(last_number, 0, sizeof(last_number));
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)(intptr_t)i), 0);
	loop_run(post_loop);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(posts_seen, POSTERS * POSTS);
	loop_free(post_loop);
}

static int reposts;

static void repost(struct loop_task *task)
{
	if (++reposts < 3)
		loop_post(post_loop, task, repost);
}

static int hook_calls;

static void on_hook(struct loop_turn_hook *hook)
{
	hook_calls++;
	if (hook_calls == 2)
		loop_turn_hook_stop(hook);
}

static void test_own_posts_and_hooks(void **state UNUSED)
{
	post_loop = new_loop(NULL);
	struct loop_task task;
	struct loop_turn_hook hook;
	reposts = hook_calls = 0;
	loop_turn_hook_start(post_loop, &hook, on_hook);
	loop_post(post_loop, &task, repost);
	assert_int_equal(reposts, 0);
	for (int i = 1; i <= 3; i++) {
		loop_turn(post_loop, 0);
		assert_int_equal(reposts, i);
		assert_int_equal(hook_calls, i < 2 ? i : 2);
	}
	loop_free(post_loop);
}

struct job {
	struct work work;
	pthread_t ran_on;
	int result;
};

static atomic_int jobs_run;
static int jobs_done;

static void run_job(struct work *work)
{
	struct job *job = container_of(work, struct job, work);
	job->ran_on = pthread_self();
	job->result = 42;
	atomic_fetch_add(&jobs_run, 1);
}

static void job_done(struct work *work)
{
	struct job *job = container_of(work, struct job, work);
	assert_int_equal(job->result, 42);
	assert_false(pthread_equal(job->ran_on, pthread_self()));
	free(job);
	if (++jobs_done == 200)
		loop_quit(post_loop, 0);
}

static void test_work_pool(void **state UNUSED)
{
	post_loop = new_loop(NULL);
	struct work_pool *pool = work_pool_new(2);
	jobs_done = 0;
	for (int i = 0; i < 200; i++)
		work_pool_submit(pool, &NEW(struct job)->work, post_loop, run_job, job_done);
	loop_run(post_loop);
	// What is queued at the end still runs; its completion is delivered by loop_free at the latest.
	for (int i = 0; i < 10; i++)
		work_pool_submit(pool, &NEW(struct job)->work, post_loop, run_job, job_done);
	work_pool_free(pool);
	loop_free(post_loop);
	assert_int_equal(jobs_done, 210);
	assert_int_equal(atomic_load(&jobs_run), 210);
}

// --- the watchdog -------------------------------------------------------------------

static bool warned;

static void note_warning(void *context UNUSED, const char *line, size_t length UNUSED)
{
	warned = warned || (strstr(line, "Callback blocked the event loop") && strstr(line, "kind=\"task\""));
}

static void block_a_while(struct loop_task *task UNUSED)
{
	int64_t until = clock_monotonic_ns(&clock_system) + 60 * NSEC_PER_MSEC;
	while (clock_monotonic_ns(&clock_system) < until)
		;
}

static void test_watchdog_warns(void **state UNUSED)
{
	struct loop *loop = new_loop(NULL);
	struct loop_task task;
	log_set_sink(note_warning, NULL);
	loop_post(loop, &task, block_a_while);
	loop_turn(loop, 0);
	log_set_sink(NULL, NULL);
	assert_true(warned);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_stop_inside_a_batch),
	        cmocka_unit_test(test_events_and_half_close),
	        cmocka_unit_test(test_timers_with_manual_clock),
	        cmocka_unit_test(test_timer_restarts_in_next_turn),
	        cmocka_unit_test(test_signal_quits),
	        cmocka_unit_test(test_children),
	        cmocka_unit_test(test_posts_from_threads),
	        cmocka_unit_test(test_own_posts_and_hooks),
	        cmocka_unit_test(test_work_pool),
	        cmocka_unit_test(test_watchdog_warns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
