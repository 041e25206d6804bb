// SPDX-License-Identifier: Apache-2.0
// Deletion as upstream's BeforeDelete and its garbage collection finalizers:
//
//  - Only pods are deleted with grace: the option, else the pod's own period; none
//    for a pod that was never bound or has finished. A second delete may only
//    shorten the grace.
//  - propagationPolicy puts a finalizer on the object (orphan,
//    foregroundDeletion) that the garbage collector takes off; Background takes
//    both off. Without a policy existing finalizers stay, and replication
//    controllers and jobs orphan, as they always have.
//  - With any finalizer left, or grace left, the object is marked and stays.
//  - A namespace is marked and becomes Terminating while it has finalizers of its own.

#include "apiserver/registry/deletion.h"

#include <string.h>

#include "apiserver/custom/definition_status.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/strategy.h"
#include "common/api/object.h"

static const struct status *check_preconditions(struct change *change, const struct request_options *options)
{
	const char *uid = object_uid(change->old), *version = object_resource_version(change->old);
	const char *why = NULL;

	if (options->precondition_uid && (!uid || strcmp(uid, options->precondition_uid)))
		why = arena_printf(change->arena,
		                   "Precondition failed: UID in precondition: %s, UID in object meta: %s",
		                   options->precondition_uid, uid ? uid : "");
	else if (options->precondition_resource_version &&
	         (!version || strcmp(version, options->precondition_resource_version)))
		why = arena_printf(
		        change->arena,
		        "Precondition failed: ResourceVersion in precondition: %s, ResourceVersion in object "
		        "meta: %s",
		        options->precondition_resource_version, version ? version : "");
	return why ? status_conflict(change->arena, change->resource, change->name, why) : NULL;
}

// --- grace -------------------------------------------------------------------------------

enum grace {
	GRACE_NONE,    // the kind or state has none
	GRACE_SET,     // marked with this grace
	GRACE_PENDING, // marked before, stays as it is
};

static int64_t pod_grace_seconds(const struct change *change, const struct request_options *options)
{
	const struct json *spec = json_get(change->old, "spec");
	const char *phase = json_get_text(json_get(change->old, "status"), "phase");
	const char *node = json_get_text(spec, "nodeName");
	int64_t seconds = options->has_grace_period ? options->grace_period_seconds
	                                            : integer_of(spec, "terminationGracePeriodSeconds", 30);

	if (!node || !node[0])
		return 0;
	if (phase && (!strcmp(phase, "Failed") || !strcmp(phase, "Succeeded")))
		return 0;
	return seconds < 0 ? 1 : seconds;
}

static enum grace shorten(struct change *change, const struct request_options *options, int64_t *ret_seconds)
{
	int64_t held = metadata_deletion_grace(change->old), since = 0;
	const char *mark = json_get_text(json_get(change->old, "metadata"), "deletionTimestamp");

	*ret_seconds = 0;
	if (held <= 0)
		return GRACE_NONE; // a deletion that stopped half-way: finish it
	if (!options->has_grace_period || options->grace_period_seconds >= held)
		return GRACE_PENDING;
	*ret_seconds = options->grace_period_seconds < 0 ? 1 : options->grace_period_seconds;
	if (api_time_parse(mark, &since))
		metadata_mark_deleted(change->arena, change->object, since - held * NSEC_PER_SEC, *ret_seconds);
	return GRACE_SET;
}

static enum grace apply_grace(struct change *change, const struct request_options *options, int64_t *ret_seconds)
{
	*ret_seconds = 0;
	if (object_is_being_deleted(change->old))
		return shorten(change, options, ret_seconds);
	if (!change_is_for(change, "", "pods"))
		return GRACE_NONE;
	*ret_seconds = pod_grace_seconds(change, options);
	metadata_mark_deleted(change->arena, change->object, change->request->received_realtime_ns, *ret_seconds);
	return GRACE_SET;
}

// --- finalizers of the garbage collector ----------------------------------------------------

#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

static bool wants_orphans(const struct change *change, const struct request_options *options)
{
	if (options->has_orphan_dependents)
		return options->orphan_dependents;
	if (options->propagation != PROPAGATION_UNSET)
		return options->propagation == PROPAGATION_ORPHAN;
	if (metadata_has_finalizer(change->old, FINALIZER_ORPHAN))
		return true;
	if (metadata_has_finalizer(change->old, FINALIZER_FOREGROUND))
		return false;
	return strategy_find(change->resource)->orphans_by_default;
}

static bool wants_foreground(const struct change *change, const struct request_options *options)
{
	if (options->has_orphan_dependents)
		return false;
	if (options->propagation != PROPAGATION_UNSET)
		return options->propagation == PROPAGATION_FOREGROUND;
	if (metadata_has_finalizer(change->old, FINALIZER_ORPHAN))
		return false;
	return metadata_has_finalizer(change->old, FINALIZER_FOREGROUND);
}

static void apply_propagation(struct change *change, const struct request_options *options)
{
	bool orphan = wants_orphans(change, options), foreground = wants_foreground(change, options);

	if (!orphan)
		metadata_remove_finalizer(change->object, FINALIZER_ORPHAN);
	if (!foreground)
		metadata_remove_finalizer(change->object, FINALIZER_FOREGROUND);
	if (orphan)
		metadata_add_finalizer(change->arena, change->object, FINALIZER_ORPHAN);
	if (foreground)
		metadata_add_finalizer(change->arena, change->object, FINALIZER_FOREGROUND);
}

static void mark_without_grace(struct change *change)
{
	if (!object_is_being_deleted(change->object))
		metadata_mark_deleted(change->arena, change->object, change->request->received_realtime_ns, 0);
}

// --- namespaces -------------------------------------------------------------------------------

static bool has_namespace_finalizers(const struct change *change)
{
	const struct json *finalizers = json_path(change->old, "spec", "finalizers");

	return change_is_for(change, "", "namespaces") && json_is(finalizers, JSON_ARRAY) && finalizers->length;
}

static enum deletion_plan decide_namespace(struct change *change)
{
	if (object_is_being_deleted(change->old))
		return DELETION_PENDING;
	metadata_mark_deleted(change->arena, change->object, change->request->received_realtime_ns, 0);
	json_remove(json_get(change->object, "metadata"), "deletionGracePeriodSeconds");
	json_set_text(change->arena, json_ensure_object(change->arena, change->object, "status"), "phase",
	              "Terminating");
	return DELETION_MARK;
}

// A definition goes when its objects have gone (apiserver/custom/).
static void mark_definition_terminating(struct change *change)
{
	metadata_add_finalizer(change->arena, change->object, DEFINITION_CLEANUP_FINALIZER);
	(void)definition_set_condition(change->arena, change->object, "Terminating", "True", "InstanceDeletionPending",
	                               "CustomResourceDefinition marked for deletion; CustomResource deletion will "
	                               "begin soon",
	                               change->request->received_realtime_ns);
}

enum deletion_plan deletion_decide(struct change *change, const struct request_options *options,
                                   const struct status **ret_status)
{
	int64_t seconds;
	enum grace grace;

	*ret_status = check_preconditions(change, options);
	if (*ret_status)
		return DELETION_REFUSED;
	change->object = json_clone(change->arena, change->old);
	if (has_namespace_finalizers(change))
		return decide_namespace(change);
	grace = apply_grace(change, options, &seconds);
	if (grace == GRACE_PENDING)
		return DELETION_PENDING;
	apply_propagation(change, options);
	if (change_is_for(change, "apiextensions.k8s.io", "customresourcedefinitions") &&
	    !object_is_being_deleted(change->old))
		mark_definition_terminating(change);
	if (metadata_has_finalizers(change->object)) {
		mark_without_grace(change);
		return json_equal(change->object, change->old) ? DELETION_PENDING : DELETION_MARK;
	}
	if (grace == GRACE_SET && seconds > 0)
		return DELETION_MARK;
	return DELETION_NOW;
}
