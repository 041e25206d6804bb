// SPDX-License-Identifier: Apache-2.0
#include "ctl/rollout_status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"

#define REVISION_ANNOTATION "deployment.kubernetes.io/revision"

static int64_t number(const struct json *object, const char *part, const char *key, int64_t fallback)
{
	int64_t value = fallback;
	json_get_integer(json_get(object, part), key, &value);
	return value;
}

static bool is_observed(const struct json *object)
{
	return number(object, "metadata", "generation", 0) <= number(object, "status", "observedGeneration", 0);
}

static bool deadline_exceeded(const struct json *deployment)
{
	json_for_each_item (condition, json_path(deployment, "status", "conditions")) {
		const char *type = json_get_text(condition, "type"), *reason = json_get_text(condition, "reason");
		if (type && reason && strcmp(type, "Progressing") == 0)
			return strcmp(reason, "ProgressDeadlineExceeded") == 0;
	}
	return false;
}

static bool check_revision(const struct json *deployment, int64_t wanted, struct err *err)
{
	const char *text = json_text(json_path(deployment, "metadata", "annotations", REVISION_ANNOTATION));
	int64_t running = text ? strtoll(text, NULL, 10) : 0;
	if (!wanted || wanted == running)
		return true;
	(void)err_set(err, ERR_INVALID,
	              "desired revision (%" PRId64 ") is different from the running revision (%" PRId64 ")", wanted,
	              running);
	return false;
}

static enum rollout_state deployment_status(const struct json *object, int64_t revision, struct strbuf *out,
                                            struct err *err)
{
	const char *name = object_name(object);
	int64_t wanted = number(object, "spec", "replicas", 1),
	        updated = number(object, "status", "updatedReplicas", 0);
	int64_t all = number(object, "status", "replicas", 0),
	        available = number(object, "status", "availableReplicas", 0);
	if (!check_revision(object, revision, err))
		return ROLLOUT_FAILED;
	if (!is_observed(object)) {
		strbuf_append_text(out, "Waiting for deployment spec update to be observed...\n");
		return ROLLOUT_WAITING;
	}
	if (deadline_exceeded(object)) {
		(void)err_set(err, ERR_TIMEOUT, "deployment \"%s\" exceeded its progress deadline", name);
		return ROLLOUT_FAILED;
	}
	if (updated < wanted)
		strbuf_printf(out,
		              "Waiting for deployment \"%s\" rollout to finish: %" PRId64 " out of %" PRId64
		              " new replicas have been updated...\n",
		              name, updated, wanted);
	else if (all > updated)
		strbuf_printf(out,
		              "Waiting for deployment \"%s\" rollout to finish: %" PRId64
		              " old replicas are pending termination...\n",
		              name, all - updated);
	else if (available < updated)
		strbuf_printf(out,
		              "Waiting for deployment \"%s\" rollout to finish: %" PRId64 " of %" PRId64
		              " updated replicas are available...\n",
		              name, available, updated);
	else
		strbuf_printf(out, "deployment \"%s\" successfully rolled out\n", name);
	return updated < wanted || all > updated || available < updated ? ROLLOUT_WAITING : ROLLOUT_DONE;
}

static bool has_strategy(const struct json *object, const char *wanted)
{
	const char *type = json_text(json_path(object, "spec", "updateStrategy", "type"));
	return !type || strcmp(type, wanted) == 0;
}

static enum rollout_state daemon_set_status(const struct json *object, int64_t revision, struct strbuf *out,
                                            struct err *err)
{
	(void)revision;
	const char *name = object_name(object);
	int64_t desired = number(object, "status", "desiredNumberScheduled", 0);
	int64_t updated = number(object, "status", "updatedNumberScheduled", 0);
	int64_t available = number(object, "status", "numberAvailable", 0);
	if (!has_strategy(object, "RollingUpdate")) {
		(void)err_set(err, ERR_INVALID, "rollout status is only available for RollingUpdate strategy type");
		return ROLLOUT_FAILED;
	}
	if (!is_observed(object)) {
		strbuf_append_text(out, "Waiting for daemon set spec update to be observed...\n");
		return ROLLOUT_WAITING;
	}
	if (updated < desired)
		strbuf_printf(out,
		              "Waiting for daemon set \"%s\" rollout to finish: %" PRId64 " out of %" PRId64
		              " new pods have been updated...\n",
		              name, updated, desired);
	else if (available < desired)
		strbuf_printf(out,
		              "Waiting for daemon set \"%s\" rollout to finish: %" PRId64 " of %" PRId64
		              " updated pods are available...\n",
		              name, available, desired);
	else
		strbuf_printf(out, "daemon set \"%s\" successfully rolled out\n", name);
	return updated < desired || available < desired ? ROLLOUT_WAITING : ROLLOUT_DONE;
}

static enum rollout_state stateful_set_partitioned(const struct json *object, int64_t partition, struct strbuf *out)
{
	int64_t wanted = number(object, "spec", "replicas", 1),
	        updated = number(object, "status", "updatedReplicas", 0);
	if (updated < wanted - partition) {
		strbuf_printf(out,
		              "Waiting for partitioned roll out to finish: %" PRId64 " out of %" PRId64
		              " new pods have been updated...\n",
		              updated, wanted - partition);
		return ROLLOUT_WAITING;
	}
	strbuf_printf(out, "partitioned roll out complete: %" PRId64 " new pods have been updated...\n", updated);
	return ROLLOUT_DONE;
}

static enum rollout_state stateful_set_status(const struct json *object, int64_t revision, struct strbuf *out,
                                              struct err *err)
{
	(void)revision;
	const struct json *status = json_get(object, "status");
	const char *update = json_get_text(status, "updateRevision"),
	           *current = json_get_text(status, "currentRevision");
	int64_t wanted = number(object, "spec", "replicas", 1), ready = number(object, "status", "readyReplicas", 0);
	int64_t partition = 0;
	if (!has_strategy(object, "RollingUpdate")) {
		(void)err_set(err, ERR_INVALID, "rollout status is only available for RollingUpdate strategy type");
		return ROLLOUT_FAILED;
	}
	if (number(object, "status", "observedGeneration", 0) == 0 || !is_observed(object)) {
		strbuf_append_text(out, "Waiting for statefulset spec update to be observed...\n");
		return ROLLOUT_WAITING;
	}
	if (ready < wanted) {
		strbuf_printf(out, "Waiting for %" PRId64 " pods to be ready...\n", wanted - ready);
		return ROLLOUT_WAITING;
	}
	if (json_get_integer(json_path(object, "spec", "updateStrategy", "rollingUpdate"), "partition", &partition) &&
	    partition > 0)
		return stateful_set_partitioned(object, partition, out);
	bool same = update && current && strcmp(update, current) == 0;
	if (!same)
		strbuf_printf(out,
		              "waiting for statefulset rolling update to complete %" PRId64 " pods at revision %s...\n",
		              number(object, "status", "updatedReplicas", 0), update ? update : "");
	else
		strbuf_printf(out, "statefulset rolling update complete %" PRId64 " pods at revision %s...\n",
		              number(object, "status", "currentReplicas", 0), current);
	return same ? ROLLOUT_DONE : ROLLOUT_WAITING;
}

static const struct {
	const char *kind;
	enum rollout_state (*status)(const struct json *object, int64_t revision, struct strbuf *out, struct err *err);
} viewers[] = {
        {"Deployment", deployment_status},
        {"DaemonSet", daemon_set_status},
        {"StatefulSet", stateful_set_status},
};

bool rollout_knows(const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(viewers); i++)
		if (kind && strcmp(viewers[i].kind, kind) == 0)
			return true;
	return false;
}

enum rollout_state rollout_status(const struct json *object, int64_t revision, struct strbuf *out, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(viewers); i++)
		if (object_kind(object) && strcmp(viewers[i].kind, object_kind(object)) == 0)
			return viewers[i].status(object, revision, out, err);
	(void)err_set(err, ERR_INVALID, "no status viewer has been implemented for %s",
	              object_kind(object) ? object_kind(object) : "");
	return ROLLOUT_FAILED;
}
