// SPDX-License-Identifier: Apache-2.0
//   LOOK  is it there?  → yes and the policy is content: done
//   PULL  (Always, or absent and IfNotPresent)
//   LOOK  again: what was pulled

#include "kubelet/pod/image_ensure.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/loop.h"
#include "kubelet/kubelet.h"

struct ensure_op {
	struct pod *pod;
	struct pod_container *container;
	char *reference;
	bool always;
	bool never;
	bool pulled;
	int64_t pull_began_ns;
	struct loop_task invalid_task;
	void (*done)(void *context, const struct image_result *result);
	void *context;
};

static void ensure_op_finish(struct ensure_op *op, const struct image_result *result)
{
	op->done(op->context, result);
	free(op->reference);
	free(op);
}

static void fail(struct ensure_op *op, const char *reason, const char *format, ...) PRINTF_LIKE(3, 4);
static void fail(struct ensure_op *op, const char *reason, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	AUTO_FREE char *message = xvasprintf(format, args);
	va_end(args);
	if (op->container) {
		pod_event(op->pod, op->container, "Warning", !strcmp(reason, "ErrImageNeverPull") ? reason : "Failed",
		          "%s", message);
		if (!strcmp(reason, "ErrImagePull"))
			pod_event(op->pod, op->container, "Warning", "Failed", "Error: ErrImagePull");
	}
	ensure_op_finish(op, &(struct image_result){.reason = reason, .message = message});
}

static void look(struct ensure_op *op);

static void announce(struct ensure_op *op, const struct runtime_image *image)
{
	if (!op->container)
		return;
	if (!op->pulled) {
		pod_event(op->pod, op->container, "Normal", "Pulled",
		          "Container image \"%s\" already present on machine", op->reference);
		return;
	}
	double seconds = (double)(loop_now_ns(op->pod->kubelet->loop) - op->pull_began_ns) / NSEC_PER_SEC;
	pod_event(op->pod, op->container, "Normal", "Pulled",
	          "Successfully pulled image \"%s\" in %.3fs (%.3fs including waiting). Image size: %lld bytes.",
	          op->reference, seconds, seconds, (long long)image->size_bytes);
}

static void on_pulled(void *context, const struct err *err)
{
	struct ensure_op *op = context;
	op->pulled = true;
	if (err)
		fail(op, "ErrImagePull", "Failed to pull image \"%s\": %s", op->reference, err->message);
	else
		look(op);
}

static void pull(struct ensure_op *op)
{
	struct runtime *runtime = op->pod->kubelet->runtime;
	op->pull_began_ns = loop_now_ns(op->pod->kubelet->loop);
	if (op->container)
		pod_event(op->pod, op->container, "Normal", "Pulling", "Pulling image \"%s\"", op->reference);
	runtime->operations->image_pull(runtime, op->reference, on_pulled, op);
}

static void on_looked(void *context, struct runtime_image *image, const struct err *err)
{
	struct ensure_op *op = context;
	if (err) {
		fail(op, "ImageInspectError", "Failed to inspect image \"%s\": %s", op->reference, err->message);
	} else if (image && (!op->always || op->pulled)) {
		announce(op, image);
		ensure_op_finish(op, &(struct image_result){.image = image});
	} else if (op->pulled) {
		fail(op, "ErrImagePull", "Failed to pull image \"%s\": it is not there after the pull", op->reference);
	} else if (op->never) {
		fail(op, "ErrImageNeverPull", "Container image \"%s\" is not present with pull policy of Never",
		     op->reference);
	} else {
		pull(op);
	}
}

static void look(struct ensure_op *op)
{
	struct runtime *runtime = op->pod->kubelet->runtime;
	runtime->operations->image_get(runtime, op->reference, on_looked, op);
}

// The characters that a reference may be made of; no leading dash, which ctr would take for a flag.
static bool is_valid_reference(const char *text)
{
	if (!*text || strlen(text) > 1024 || !isalnum((unsigned char)*text))
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("./:-_@[]+", *text))
			return false;
	return true;
}

static void on_invalid(struct loop_task *task)
{
	struct ensure_op *op = container_of(task, struct ensure_op, invalid_task);
	fail(op, "InvalidImageName",
	     "Failed to apply default image tag \"%s\": couldn't parse image name: invalid reference format",
	     op->reference);
}

void image_ensure(struct pod *pod, struct pod_container *container, const char *reference, const char *policy,
                  void (*done)(void *context, const struct image_result *result), void *context)
{
	struct ensure_op *op = NEW(struct ensure_op);
	*op = (struct ensure_op){
	        .pod = pod,
	        .container = container,
	        .reference = xstrdup(reference ? reference : ""),
	        .always = policy && !strcmp(policy, "Always"),
	        .never = policy && !strcmp(policy, "Never"),
	        .done = done,
	        .context = context,
	};
	if (is_valid_reference(op->reference))
		look(op);
	else
		loop_post(pod->kubelet->loop, &op->invalid_task, on_invalid);
}
