// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keys waiting to be reconciled: no key twice in the queue, none processed twice
// at once (a key added while it is worked on comes again afterwards), failures
// come back with exponential back-off (5 ms to 1000 s) under an overall rate.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct work_queue;

struct work_queue_config {
	const char *name;
	unsigned max_in_progress; // keys worked on at the same time; 0 = 1
	int64_t base_delay_ns;    // 0 = 5 ms
	int64_t max_delay_ns;     // 0 = 1000 s
	// Starts work on a key, on the loop, never from inside an add. The worker calls
	// work_queue_done with the same key when it is finished, at once or later.
	void (*process)(void *context, const char *key);
	void *context;
};

struct work_queue *work_queue_new(struct loop *loop, const struct work_queue_config *config);
struct work_queue *work_queue_free(struct work_queue *queue);

void work_queue_add(struct work_queue *queue, const char *key);
void work_queue_add_after(struct work_queue *queue, const char *key, int64_t delay_ns);

enum work_result {
	WORK_DONE,  // forgets its failures
	WORK_RETRY, // again after back-off
};
void work_queue_done(struct work_queue *queue, const char *key, enum work_result result);

size_t work_queue_depth(const struct work_queue *queue);
void work_queue_pause(struct work_queue *queue); // before leadership, and after losing it
void work_queue_resume(struct work_queue *queue);
