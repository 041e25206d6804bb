// SPDX-License-Identifier: Apache-2.0
#pragma once
// The generic registry: one set of operations for every kind of the schema. Each
// takes a routed, authorized request and ends it, now or later.

struct request;

void registry_get(struct request *request);
void registry_list(struct request *request);
void registry_watch(struct request *request);
void registry_create(struct request *request);
void registry_update(struct request *request);
void registry_patch(struct request *request);
void registry_delete(struct request *request);
void registry_delete_collection(struct request *request);
