// SPDX-License-Identifier: Apache-2.0
#pragma once
// System call filters as the OCI specification's linux.seccomp has them.

#include "common/api/json.h"
#include "common/base/err.h"

// RuntimeDefault: what containers need and can't harm others with. Some calls are there only with the capability
// ("CAP_…" in `capabilities`, an array of texts) that would be needed for them anyway.
struct json *seccomp_default_profile(struct arena *arena, const struct json *capabilities);

// A profile from a file, as it is there.
NODISCARD int seccomp_load_profile(struct arena *arena, const char *path, struct json **ret_profile, struct err *err);
