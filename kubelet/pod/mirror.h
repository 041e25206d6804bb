// SPDX-License-Identifier: Apache-2.0
#pragma once
// Mirror pods: the objects that show static pods in the API. They are made for the
// static pods that run here, made again when somebody deletes them, and removed with
// their pods.

struct kubelet;
struct mirror;

struct mirror *mirror_new(struct kubelet *kubelet);
struct mirror *mirror_free(struct mirror *mirror);
// Compares again soon; accepts NULL.
void mirror_wake(struct mirror *mirror);
