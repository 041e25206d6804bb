// SPDX-License-Identifier: Apache-2.0
#pragma once
// ValidatingAdmissionPolicy.

#include "apiserver/admission/admission.h"

const struct status *admission_validating_policy(struct change *change, enum admission_operation operation);
