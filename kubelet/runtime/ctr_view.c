// SPDX-License-Identifier: Apache-2.0
// The layers of an image as directories, for containers' overlay mounts.
//
//   snapshots view (exists is fine) → snapshots label gc.root → snapshots mounts
//
// One view for each image, shared by all its containers. The label keeps the view,
// and with it the layers, from containerd's garbage collector even when the image
// is removed while containers run. Between view and label a collection might take
// the view away: then the label fails and the round is run once more.

#include <string.h>

#include "common/base/memory.h"
#include "kubelet/runtime/ctr_internal.h"

#define VIEW_TIMEOUT_NS (20 * NSEC_PER_SEC)

struct view_op {
	struct ctr_runtime *driver;
	char *chain_id;
	char *key;
	bool again;
	struct loop_task cached_task;
	void (*done)(void *context, const char *lower, const struct err *err);
	void *context;
};

static void view_op_finish(struct view_op *op, const char *lower, const struct err *err)
{
	op->done(op->context, lower, err);
	free(op->chain_id);
	free(op->key);
	free(op);
}

// "mount -t overlay overlay /x -o a,lowerdir=L" or "mount -t bind L /x -o ro,rbind".
static char *parse_mount(const char *text)
{
	const char *lower = strstr(text, "lowerdir=");
	if (lower) {
		lower += strlen("lowerdir=");
		return xstrndup(lower, strcspn(lower, ", \n"));
	}
	const char *bind = strstr(text, "-t bind ");
	if (!bind)
		return NULL;
	bind += strlen("-t bind ");
	return xstrndup(bind, strcspn(bind, " \n"));
}

static void view_op_begin(struct view_op *op);

static void on_mounts(void *context, const struct process_result *result)
{
	struct view_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "find the image's layers", &err) == 0) {
		char *lower = parse_mount(result->output);
		if (lower) {
			hashmap_put(op->driver->views, op->chain_id, lower);
			view_op_finish(op, lower, NULL);
			return;
		}
		(void)err_set(&err, ERR_INTERNAL, "the snapshotter's mounts can't be shared by an overlay: %.100s",
		              result->output);
	}
	view_op_finish(op, NULL, &err);
}

static void on_labelled(void *context, const struct process_result *result)
{
	struct view_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "keep the image's layers", &err) == 0) {
		CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, VIEW_TIMEOUT_NS, on_mounts, op, "snapshots", "mounts",
		        "/rootfs", op->key);
	} else if (!op->again) {
		op->again = true;
		view_op_begin(op);
	} else {
		view_op_finish(op, NULL, &err);
	}
}

static void on_viewed(void *context, const struct process_result *result)
{
	struct view_op *op = context;
	struct err err = ERR_INIT;
	bool exists = result->exit_code && strstr(result->error_output, "already exists");
	if (!exists && ctr_check(result, "open the image's layers", &err) < 0) {
		view_op_finish(op, NULL, &err);
		return;
	}
	CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, VIEW_TIMEOUT_NS, on_labelled, op, "snapshots", "label", op->key,
	        "containerd.io/gc.root=caravel");
}

static void view_op_begin(struct view_op *op)
{
	CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, VIEW_TIMEOUT_NS, on_viewed, op, "snapshots", "view", op->key,
	        op->chain_id);
}

static void on_cached(struct loop_task *task)
{
	struct view_op *op = container_of(task, struct view_op, cached_task);
	AUTO_FREE char *lower = xstrdup(hashmap_get(op->driver->views, op->chain_id));
	view_op_finish(op, lower, NULL);
}

void ctr_view_get(struct ctr_runtime *driver, const char *chain_id,
                  void (*done)(void *context, const char *lower, const struct err *err), void *context)
{
	struct view_op *op = NEW(struct view_op);
	*op = (struct view_op){
	        .driver = driver,
	        .chain_id = xstrdup(chain_id),
	        .key = xasprintf("caravel-%s", chain_id),
	        .done = done,
	        .context = context,
	};
	if (hashmap_get(driver->views, chain_id))
		loop_post(driver->loop, &op->cached_task, on_cached);
	else
		view_op_begin(op);
}
