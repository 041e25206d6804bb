// SPDX-License-Identifier: Apache-2.0
// List by name, look, watch from there; a watch that ends (the server closes them
// from time to time, or its version is too old) is followed by another list.

#include "ctl/object_wait.h"

#include <string.h>

#include "common/api/object.h"
#include "common/io/loop.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"

#define RETRY_PAUSE_NS (100 * NSEC_PER_MSEC)

struct follower {
	bool (*is_done)(void *context, const struct json *object);
	void *context;
	bool done;
	bool ended;
};

static void on_event(void *context, enum watch_event_type type, const struct json *object)
{
	struct follower *follower = context;
	if (type != WATCH_BOOKMARK && !follower->done)
		follower->done = follower->is_done(follower->context, type == WATCH_DELETED ? NULL : object);
}

static void on_end(void *context, const struct err *err)
{
	struct follower *follower = context;
	(void)err; // whatever it was, the next list tells
	follower->ended = true;
}

static bool is_late(struct ctl *ctl, int64_t deadline_ns)
{
	return deadline_ns && loop_now_ns(ctl->loop) >= deadline_ns;
}

static void turn(struct ctl *ctl, int64_t deadline_ns, int64_t at_most_ns)
{
	int64_t left_ns = deadline_ns ? deadline_ns - loop_now_ns(ctl->loop) : -1;
	if (deadline_ns && left_ns < 0)
		left_ns = 0;
	if (at_most_ns >= 0 && (left_ns < 0 || left_ns > at_most_ns))
		left_ns = at_most_ns;
	loop_turn(ctl->loop, left_ns);
}

static void follow(struct ctl *ctl, const struct rest_request *request, const char *version, int64_t deadline_ns,
                   struct follower *follower)
{
	const struct watch_callbacks callbacks = {.on_event = on_event, .on_end = on_end};
	follower->ended = false;
	struct rest_call *call = rest_watch(ctl->client, request, version, &callbacks, follower);
	while (!follower->done && !follower->ended && !is_late(ctl, deadline_ns))
		turn(ctl, deadline_ns, -1);
	if (!follower->ended)
		rest_cancel(call);
}

int64_t object_wait_deadline(struct ctl *ctl, int64_t timeout_ns)
{
	return ctl_connect(ctl) && timeout_ns > 0 ? loop_now_ns(ctl->loop) + timeout_ns : 0;
}

enum object_wait_outcome object_wait(struct ctl *ctl, const struct target *target, int64_t deadline_ns,
                                     bool (*is_done)(void *context, const struct json *object), void *context)
{
	struct follower follower = {.is_done = is_done, .context = context};
	const struct rest_request request = {
	        .method = "GET",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .query = query_add(ctl, NULL, "fieldSelector", ctl_printf(ctl, "metadata.name=%s", target->name)),
	};
	while (true) {
		struct rest_response response;
		if (!ctl_call(ctl, &request, &response)) {
			report_response(ctl, &response, NULL);
			return OBJECT_WAIT_FAILED;
		}
		const struct json *items = json_get(response.object, "items");
		bool found = json_is(items, JSON_ARRAY) && items->length > 0;
		if (is_done(context, found ? items->items[0] : NULL))
			return OBJECT_WAIT_DONE;
		follow(ctl, &request, object_resource_version(response.object), deadline_ns, &follower);
		if (follower.done)
			return OBJECT_WAIT_DONE;
		if (is_late(ctl, deadline_ns))
			return OBJECT_WAIT_TIMEOUT;
		turn(ctl, deadline_ns, RETRY_PAUSE_NS);
	}
}
