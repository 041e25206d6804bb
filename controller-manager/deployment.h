// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between the files of the deployment controller only.

#include "api/apps_v1.h"
#include "controller-manager/controller.h"

#define REVISION_ANNOTATION "deployment.kubernetes.io/revision"
#define DESIRED_ANNOTATION "deployment.kubernetes.io/desired-replicas"
#define MAX_ANNOTATION "deployment.kubernetes.io/max-replicas"
#define TEMPLATE_HASH_LABEL "pod-template-hash"

// One Deployment and its ReplicaSets in one reconcile.
struct deployment_sync {
	struct controller *controller;
	struct reconcile *reconcile;
	struct arena *arena;
	struct api_object *object;
	const struct apps_v1_deployment *deployment;
	struct api_object *newest; // the ReplicaSet of the current template, NULL = none yet
	struct api_object **olds;  // the others, oldest first
	size_t old_count;
	int32_t desired;
	int32_t max_surge;
	int32_t max_unavailable;
	bool is_recreate;
};

static inline const struct apps_v1_replica_set *replicaset_view(const struct api_object *object)
{
	return object->view;
}

static inline int32_t replicaset_size(const struct api_object *object)
{
	const int32_t *replicas = replicaset_view(object)->spec.replicas;
	return replicas ? *replicas : 1;
}

// deployment_revision.c: which ReplicaSet is the template's, and making it.
void deployment_find_sets(struct deployment_sync *sync, struct api_object **owned, size_t count);
int64_t deployment_revision_of(const struct meta_v1_object_meta *metadata);
// Creates the new ReplicaSet with `size` pods; a name that is taken by another template makes the hash change.
void deployment_create_set(struct deployment_sync *sync, int32_t size);
// Brings the new set's and the Deployment's revision annotations up to date.
void deployment_sync_revision(struct deployment_sync *sync);
// Deletes old, empty ReplicaSets beyond the history limit.
void deployment_clean_history(struct deployment_sync *sync);

// deployment_status.c
void deployment_update_status(struct deployment_sync *sync);
bool deployment_is_complete(const struct deployment_sync *sync);

// deployment.c: a new size for a ReplicaSet, with its event.
void deployment_scale_set(struct deployment_sync *sync, struct api_object *replicaset, int32_t size);
