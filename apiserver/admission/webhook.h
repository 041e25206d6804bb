// SPDX-License-Identifier: Apache-2.0
#pragma once
// MutatingAdmissionWebhook and ValidatingAdmissionWebhook.

#include "apiserver/admission/admission.h"

bool admission_mutating_webhook_waits(const struct change *change, enum admission_operation operation,
                                      enum admission_phase phase);
void admission_mutating_webhook_start(struct admission_wait *wait);
bool admission_validating_webhook_waits(const struct change *change, enum admission_operation operation,
                                        enum admission_phase phase);
void admission_validating_webhook_start(struct admission_wait *wait);
