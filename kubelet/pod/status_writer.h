// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tells the API a pod's status, and at the end removes its object.

#include "kubelet/pod/pod.h"

// Computes the status; sends it when it has changed and no call is under way (then when that has ended). A finished
// pod that is being deleted is removed from the API after its last status.
void status_writer_update(struct pod *pod);
void status_writer_stop(struct pod *pod);
