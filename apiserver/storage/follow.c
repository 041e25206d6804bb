// SPDX-License-Identifier: Apache-2.0
//
//   list ──► all() ──► watch after the list's revision ──► changed() …
//    ▲                        │ expired or reset
//    └── after a moment ──────┴── the list failed

#include "apiserver/storage/follow.h"

#include "common/base/memory.h"
#include "common/io/loop.h"

#define FOLLOW_RETRY_NS (100 * NSEC_PER_MSEC)

struct follow {
	struct follow_config config;
	struct storage_watch *watch;
	struct loop_timer retry;
	bool listing;
	bool stopped;
};

static void list_all(struct follow *follow);

static void on_retry(struct loop_timer *timer)
{
	list_all(container_of(timer, struct follow, retry));
}

static void retry(struct follow *follow)
{
	follow->watch = storage_watch_close(follow->watch);
	loop_timer_start(follow->config.loop, &follow->retry, FOLLOW_RETRY_NS, on_retry);
}

static void on_readable(void *context)
{
	struct follow *follow = context;
	struct storage_event event;
	struct err err = ERR_INIT;

	while (storage_watch_next(follow->watch, &event, &err))
		if (event.type != STORAGE_EVENT_PROGRESS)
			follow->config.changed(follow->config.context, &event);
	if (err.code)
		retry(follow);
}

static void open_watch(struct follow *follow, int64_t revision)
{
	struct storage_watch_config config = {
	        .resource = follow->config.resource,
	        .namespace_name = "",
	        .after_revision = revision,
	        .loop = follow->config.loop,
	        .readable = on_readable,
	        .context = follow,
	};

	if (storage_watch_open(follow->config.storage, &config, &follow->watch, NULL) < 0)
		retry(follow);
}

static void on_list(void *context, const struct storage_list *list, const struct err *err)
{
	struct follow *follow = context;

	follow->listing = false;
	if (follow->stopped) {
		free(follow);
		return;
	}
	if (err) {
		retry(follow);
		return;
	}
	follow->config.all(follow->config.context, list->objects, list->count);
	open_watch(follow, list->revision);
}

static void list_all(struct follow *follow)
{
	struct storage_read read = {
	        .resource = follow->config.resource, .namespace_name = "", .freshness = STORAGE_ANY};

	follow->listing = true;
	storage_list(follow->config.storage, &read, follow->config.loop, on_list, follow);
}

struct follow *follow_start(const struct follow_config *config)
{
	struct follow *follow = NEW(struct follow);

	follow->config = *config;
	list_all(follow);
	return follow;
}

struct follow *follow_stop(struct follow *follow)
{
	if (!follow)
		return NULL;
	loop_timer_stop(&follow->retry);
	follow->watch = storage_watch_close(follow->watch);
	follow->stopped = true;
	if (!follow->listing)
		free(follow);
	return NULL;
}
