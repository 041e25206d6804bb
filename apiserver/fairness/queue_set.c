// SPDX-License-Identifier: Apache-2.0
// Fair queuing in virtual time: `now` is the amount of service, in seat-seconds,
// that each busy queue has been due since the start. It runs at the rate at which
// seats are used divided by the number of busy queues. Each queue knows the virtual
// time at which its next request would start; the queue whose next request would
// end first is served. A request's length isn't known beforehand: it is taken to be
// short and put right when it has finished.

#include "apiserver/fairness/queue_set.h"

#include <assert.h>

#include "common/base/macros.h"
#include "common/base/memory.h"

static const double guessed_seconds = 0.003;

struct fair_queue {
	struct list waiting; // struct seat_claim
	unsigned waiting_count;
	unsigned waiting_seats;
	unsigned executing_count;
	unsigned executing_seats;
	double next_start; // virtual
	uint64_t index;
	bool retired; // from before a reshape; freed when its last claim has finished
};

struct queue_set {
	struct queue_set_shape shape;
	struct fair_queue **queues;
	unsigned limit;
	unsigned in_use;        // seats
	unsigned waiting_seats; // of all queues
	unsigned executing_count;
	unsigned turn; // where the search for the next queue begins
	double now;    // virtual
	int64_t now_ns;
};

struct queue_set *queue_set_new(void)
{
	return NEW(struct queue_set);
}

struct queue_set *queue_set_free(struct queue_set *set)
{
	if (!set)
		return NULL;
	for (unsigned i = 0; i < set->shape.queue_count; i++) {
		assert(list_is_empty(&set->queues[i]->waiting));
		free(set->queues[i]);
	}
	free(set->queues);
	free(set);
	return NULL;
}

static struct fair_queue *new_queue(unsigned index)
{
	struct fair_queue *queue = NEW(struct fair_queue);

	list_init(&queue->waiting);
	queue->index = index;
	return queue;
}

// --- virtual time -----------------------------------------------------------------------

static bool is_busy(const struct fair_queue *queue)
{
	return queue->waiting_count || queue->executing_count;
}

static void advance(struct queue_set *set, int64_t now_ns)
{
	unsigned busy = 0, wanted = 0;
	double seconds = (double)(now_ns - set->now_ns) / 1e9;

	set->now_ns = now_ns;
	if (!set->in_use && !set->waiting_seats)
		return;
	for (unsigned i = 0; i < set->shape.queue_count; i++)
		if (is_busy(set->queues[i])) {
			busy++;
			wanted += set->queues[i]->waiting_seats + set->queues[i]->executing_seats;
		}
	if (busy && seconds > 0)
		set->now += seconds * (wanted < set->limit ? wanted : set->limit) / busy;
}

// --- the shape ----------------------------------------------------------------------------

static void append(struct queue_set *set, struct fair_queue *queue, struct seat_claim *claim)
{
	if (!is_busy(queue)) // what it wasn't used for is not saved up
		queue->next_start = set->now;
	claim->queue = queue;
	claim->state = SEAT_WAITING;
	list_append(&queue->waiting, &claim->node);
	queue->waiting_count++;
	queue->waiting_seats += claim->seats;
	set->waiting_seats += claim->seats;
}

static void detach(struct queue_set *set, struct seat_claim *claim)
{
	list_remove(&claim->node);
	claim->queue->waiting_count--;
	claim->queue->waiting_seats -= claim->seats;
	set->waiting_seats -= claim->seats;
}

static void retire(struct fair_queue *queue)
{
	queue->retired = true;
	if (!queue->executing_count)
		free(queue);
}

void queue_set_reshape(struct queue_set *set, const struct queue_set_shape *shape, int64_t now_ns)
{
	struct fair_queue **old = set->queues;
	unsigned old_count = set->shape.queue_count, kept;
	struct seat_claim *claim;

	advance(set, now_ns);
	set->shape = *shape;
	if (old_count == shape->queue_count)
		return;
	// A level that loses its queues keeps one for what waits already.
	for (unsigned i = 0; !shape->queue_count && i < old_count; i++)
		if (old[i]->waiting_count)
			set->shape.queue_count = 1;
	kept = set->shape.queue_count;
	set->queues = kept ? xcalloc(kept, sizeof(struct fair_queue *)) : NULL;
	for (unsigned i = 0; i < kept; i++)
		set->queues[i] = new_queue(i);
	for (unsigned i = 0; i < old_count; i++) {
		list_for_each (claim, &old[i]->waiting, node) {
			detach(set, claim);
			append(set, set->queues[i % kept], claim);
		}
		retire(old[i]);
	}
	free(old);
}

void queue_set_limit(struct queue_set *set, unsigned seats, int64_t now_ns)
{
	advance(set, now_ns);
	set->limit = seats;
}

// --- claims -----------------------------------------------------------------------------------

void queue_set_deal(uint64_t flow, unsigned queue_count, unsigned hand_size, unsigned *ret_hand)
{
	unsigned sorted[QUEUE_SET_MAX_HAND] = {0};

	assert(hand_size <= QUEUE_SET_MAX_HAND && hand_size <= queue_count);
	for (unsigned dealt = 0; dealt < hand_size; dealt++) {
		unsigned left = queue_count - dealt, card = (unsigned)(flow % left), at = 0;

		flow /= left;
		// The card-th of those not dealt yet.
		while (at < dealt && sorted[at] <= card) {
			card++;
			at++;
		}
		for (unsigned i = dealt; i > at; i--)
			sorted[i] = sorted[i - 1];
		sorted[at] = card;
		ret_hand[dealt] = card;
	}
}

// The queue of the hand with the least work.
static struct fair_queue *choose_queue(struct queue_set *set, uint64_t flow)
{
	unsigned hand[QUEUE_SET_MAX_HAND], size = set->shape.hand_size;
	struct fair_queue *best = NULL;

	if (!size || size > set->shape.queue_count)
		size = set->shape.queue_count;
	if (size > QUEUE_SET_MAX_HAND)
		size = QUEUE_SET_MAX_HAND;
	queue_set_deal(flow, set->shape.queue_count, size, hand);
	for (unsigned i = 0; i < size; i++) {
		struct fair_queue *queue = set->queues[hand[i]];

		if (!best ||
		    queue->waiting_seats + queue->executing_seats < best->waiting_seats + best->executing_seats)
			best = queue;
	}
	return best;
}

// A claim wider than the limit may execute alone.
static bool fits(const struct queue_set *set, unsigned seats)
{
	return !set->in_use || set->in_use + seats <= set->limit;
}

static void execute(struct queue_set *set, struct seat_claim *claim, int64_t now_ns)
{
	claim->state = SEAT_EXECUTING;
	claim->dispatched_ns = now_ns;
	set->in_use += claim->seats;
	set->executing_count++;
	if (!claim->queue)
		return;
	claim->queue->executing_count++;
	claim->queue->executing_seats += claim->seats;
	claim->queue->next_start += guessed_seconds * claim->seats;
}

enum queue_set_answer queue_set_enter(struct queue_set *set, struct seat_claim *claim, uint64_t flow, unsigned seats,
                                      int64_t now_ns)
{
	struct fair_queue *queue;

	*claim = (struct seat_claim){.seats = seats, .arrived_ns = now_ns};
	list_init(&claim->node);
	advance(set, now_ns);
	if (set->shape.exempt) {
		execute(set, claim, now_ns);
		return QUEUE_SET_EXECUTE;
	}
	if (!set->shape.queue_count) {
		if (!fits(set, seats))
			return QUEUE_SET_AT_LIMIT;
		execute(set, claim, now_ns);
		return QUEUE_SET_EXECUTE;
	}
	queue = choose_queue(set, flow);
	if (queue->waiting_count >= set->shape.queue_length && !fits(set, seats))
		return QUEUE_SET_FULL;
	append(set, queue, claim);
	return QUEUE_SET_WAIT;
}

// The queue whose first claim would end first in virtual time.
static struct fair_queue *next_queue(struct queue_set *set)
{
	struct fair_queue *best = NULL;
	double best_end = 0;

	for (unsigned i = 0; i < set->shape.queue_count; i++) {
		struct fair_queue *queue = set->queues[(set->turn + i) % set->shape.queue_count];
		struct seat_claim *first = list_first(&queue->waiting, struct seat_claim, node);
		double end;

		if (!first)
			continue;
		end = queue->next_start + guessed_seconds * first->seats;
		if (!best || end < best_end) {
			best = queue;
			best_end = end;
		}
	}
	return best;
}

struct seat_claim *queue_set_next(struct queue_set *set, int64_t now_ns)
{
	struct fair_queue *queue;
	struct seat_claim *claim;

	if (!set->waiting_seats)
		return NULL;
	advance(set, now_ns);
	queue = next_queue(set);
	claim = queue ? list_first(&queue->waiting, struct seat_claim, node) : NULL;
	if (!claim || !fits(set, claim->seats))
		return NULL;
	set->turn = (unsigned)(queue->index + 1);
	detach(set, claim);
	execute(set, claim, now_ns);
	return claim;
}

void queue_set_withdraw(struct queue_set *set, struct seat_claim *claim, int64_t now_ns)
{
	advance(set, now_ns);
	detach(set, claim);
	claim->state = SEAT_OUTSIDE;
}

void queue_set_finish(struct queue_set *set, struct seat_claim *claim, int64_t now_ns)
{
	struct fair_queue *queue = claim->queue;
	double seconds = (double)(now_ns - claim->dispatched_ns) / 1e9;

	advance(set, now_ns);
	claim->state = SEAT_OUTSIDE;
	set->in_use -= claim->seats;
	set->executing_count--;
	if (!queue)
		return;
	queue->executing_count--;
	queue->executing_seats -= claim->seats;
	queue->next_start += (seconds - guessed_seconds) * claim->seats;
	if (queue->retired && !queue->executing_count)
		free(queue);
}

unsigned queue_set_seats_in_use(const struct queue_set *set)
{
	return set->in_use;
}

unsigned queue_set_seats_waiting(const struct queue_set *set)
{
	return set->waiting_seats;
}

bool queue_set_is_idle(const struct queue_set *set)
{
	return !set->executing_count && !set->waiting_seats;
}
