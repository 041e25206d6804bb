// SPDX-License-Identifier: Apache-2.0
// The ctr driver: its life, and the table of its operations.

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/runtime/ctr_internal.h"

#define VERSION_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define LOCK_PATIENCE_NS (60 * NSEC_PER_SEC)
#define LOCK_PERIOD_NS (50 * NSEC_PER_MSEC)

enum { WORKER_THREADS = 2 };

static void drop_image(void *value)
{
	runtime_image_unref(value);
}

static bool ctr_runtime_is_idle(struct runtime *runtime)
{
	return ctr_is_idle(&ctr_runtime_of(runtime)->ctr);
}

static struct runtime *ctr_close(struct runtime *runtime)
{
	if (!runtime)
		return NULL;
	struct ctr_runtime *driver = ctr_runtime_of(runtime);
	ctr_exec_close_all(driver);
	ctr_events_stop(driver);
	loop_timer_stop(&driver->lock_timer);
	work_pool_free(driver->pool);
	ctr_done(&driver->ctr);
	hashmap_free(driver->tasks);
	hashmap_free(driver->images);
	hashmap_free(driver->views);
	free(driver->logger_path);
	free(driver->runtime_name);
	free(driver->version);
	free(driver);
	return NULL;
}

static void ctr_set_listener(struct runtime *runtime, const struct runtime_listener *listener)
{
	ctr_runtime_of(runtime)->listener = *listener;
}

static bool ctr_is_ready(struct runtime *runtime, const char **ret_reason)
{
	struct ctr_runtime *driver = ctr_runtime_of(runtime);
	*ret_reason = driver->unready_reason;
	return driver->ready;
}

static const char *ctr_version(struct runtime *runtime)
{
	return ctr_runtime_of(runtime)->version;
}

// The server's part: "Server:\n  Version:  1.6.20~ds1\n".
static void on_version(void *context, const struct process_result *result)
{
	struct ctr_runtime *driver = context;
	const char *server = result->exit_code == 0 ? strstr(result->output, "Server:") : NULL;
	const char *version = server ? strstr(server, "Version:") : NULL;
	if (!version)
		return;
	version += strlen("Version:");
	version += strspn(version, " ");
	free(driver->version);
	driver->version = xasprintf("containerd://%.*s", (int)strcspn(version, "\n"), version);
	if (driver->listener.on_ready_changed)
		driver->listener.on_ready_changed(driver->listener.context, driver->ready);
}

void ctr_set_ready(struct ctr_runtime *driver, bool ready, const char *reason)
{
	snprintf(driver->unready_reason, sizeof(driver->unready_reason), "%s", ready ? "" : reason);
	if (driver->ready == ready)
		return;
	driver->ready = ready;
	if (ready) {
		log_info("Container runtime is ready", kv_str("address", driver->ctr.address));
		CTR_RUN(&driver->ctr, CTR_LANE_QUICK, VERSION_TIMEOUT_NS, on_version, driver, "version");
	} else {
		log_warning("Container runtime is not ready", kv_str("address", driver->ctr.address),
		            kv_str("err", reason));
	}
	if (driver->listener.on_ready_changed)
		driver->listener.on_ready_changed(driver->listener.context, ready);
}

static void on_lock_timer(struct loop_timer *timer);

// Commands of an earlier kubelet are bounded by containerd's own patience; ours ends sooner or later, too.
static void wait_for_lock(struct ctr_runtime *driver)
{
	bool late = loop_now_ns(driver->loop) - driver->lock_since_ns > LOCK_PATIENCE_NS;
	if (!ctr_try_lock(&driver->ctr) && !late) {
		loop_timer_start(driver->loop, &driver->lock_timer, LOCK_PERIOD_NS, on_lock_timer);
		return;
	}
	if (late)
		log_warning("Commands of an earlier kubelet still run: not waiting any longer");
	ctr_events_start(driver);
}

static void on_lock_timer(struct loop_timer *timer)
{
	wait_for_lock(container_of(timer, struct ctr_runtime, lock_timer));
}

static const struct runtime_operations ctr_operations = {
        .is_idle = ctr_runtime_is_idle,
        .close = ctr_close,
        .set_listener = ctr_set_listener,
        .is_ready = ctr_is_ready,
        .version = ctr_version,
        .image_get = ctr_image_get,
        .image_pull = ctr_image_pull,
        .image_list = ctr_image_list,
        .container_start = ctr_container_start,
        .container_kill = ctr_container_kill,
        .container_remove = ctr_container_remove,
        .container_list = ctr_container_list,
        .container_collect = ctr_container_collect,
        .exec_start = ctr_exec_start,
        .exec_kill = ctr_exec_kill,
        .exec_resized = ctr_exec_resized,
        .attach_start = ctr_attach_start,
        .attach_write = ctr_attach_write,
        .attach_end_input = ctr_attach_end_input,
        .attach_resize = ctr_attach_resize,
        .attach_pause = ctr_attach_pause,
        .attach_pending_bytes = ctr_attach_pending_bytes,
        .attach_close = ctr_attach_close,
};

struct runtime *ctr_runtime_new(struct loop *loop, const struct ctr_runtime_config *config)
{
	struct ctr_runtime *driver = NEW(struct ctr_runtime);
	*driver = (struct ctr_runtime){
	        .runtime.operations = &ctr_operations,
	        .loop = loop,
	        .logger_path = xstrdup(config->logger_path),
	        .runtime_name = xstrdup(config->runtime_name),
	        .log_max_bytes = config->log_max_bytes,
	        .log_max_files = config->log_max_files,
	        .version = xstrdup(""),
	        .pool = work_pool_new(WORKER_THREADS),
	        .tasks = hashmap_new(free),
	        .images = hashmap_new(drop_image),
	        .views = hashmap_new(free),
	        .unready_reason = "container runtime status check may not have completed yet",
	};
	list_init(&driver->execs);
	ctr_init(&driver->ctr, loop, config->address, config->namespace_name, config->lock_path);
	driver->lock_since_ns = loop_now_ns(loop);
	wait_for_lock(driver);
	return &driver->runtime;
}
