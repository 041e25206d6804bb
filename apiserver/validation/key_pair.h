// SPDX-License-Identifier: Apache-2.0
#pragma once
// A certificate and its key, as Secrets of type kubernetes.io/tls carry them.

#include "common/base/arena.h"

// Both PEM in base64. What is wrong with the pair; NULL: nothing.
const char *key_pair_complaint(struct arena *arena, const char *certificate, const char *key);
