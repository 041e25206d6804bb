// SPDX-License-Identifier: Apache-2.0
#pragma once
// The queues of one priority level. A request asks for a number of seats; when
// they are not free it waits in one of the queues, chosen by shuffle sharding, and
// the queues are served by fair queuing: each gets the same share of seats over
// time however much is thrown at it, as upstream's API Priority and Fairness.
//
// Pure bookkeeping: time is passed in, nothing is locked and nobody is called.
// Times are monotonic nanoseconds.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"

enum seat_state {
	SEAT_OUTSIDE, // never let in, refused, or done
	SEAT_WAITING,
	SEAT_EXECUTING,
};

struct fair_queue;

// One request's claim, embedded in its owner.
struct seat_claim {
	enum seat_state state;
	unsigned seats;
	int64_t arrived_ns;
	int64_t dispatched_ns;
	struct fair_queue *queue; // NULL: it never queued
	struct list node;         // while waiting
};

struct queue_set_shape {
	bool exempt;           // everything executes at once
	unsigned queue_count;  // 0: what doesn't fit is refused
	unsigned hand_size;    // queues that one flow may use
	unsigned queue_length; // claims that may wait in one queue
};

enum queue_set_answer {
	QUEUE_SET_EXECUTE,
	QUEUE_SET_WAIT,
	QUEUE_SET_FULL,    // its queue is full
	QUEUE_SET_AT_LIMIT // no seat, and this level has no queues
};

struct queue_set *queue_set_new(void);
struct queue_set *queue_set_free(struct queue_set *set); // nothing may wait

// What waits is dealt anew when the number of queues changes.
void queue_set_reshape(struct queue_set *set, const struct queue_set_shape *shape, int64_t now_ns);
void queue_set_limit(struct queue_set *set, unsigned seats, int64_t now_ns);

// `flow` is a hash of the flow that the claim belongs to. After WAIT, ask for queue_set_next.
enum queue_set_answer queue_set_enter(struct queue_set *set, struct seat_claim *claim, uint64_t flow, unsigned seats,
                                      int64_t now_ns);
// The next claim that may execute, marked so; NULL: none now. Ask until NULL after every change.
struct seat_claim *queue_set_next(struct queue_set *set, int64_t now_ns);
// Takes out a claim that waits (it timed out or its client left).
void queue_set_withdraw(struct queue_set *set, struct seat_claim *claim, int64_t now_ns);
// An executing claim gives its seats back.
void queue_set_finish(struct queue_set *set, struct seat_claim *claim, int64_t now_ns);

unsigned queue_set_seats_in_use(const struct queue_set *set);
unsigned queue_set_seats_waiting(const struct queue_set *set);
bool queue_set_is_idle(const struct queue_set *set);

// The hand of `hand_size` different queues of `queue_count` that a flow is dealt.
void queue_set_deal(uint64_t flow, unsigned queue_count, unsigned hand_size, unsigned *ret_hand);

enum {
	QUEUE_SET_MAX_HAND = 64,
};
