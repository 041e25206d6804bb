// SPDX-License-Identifier: Apache-2.0
#pragma once
// The Pod Security Standards as published for each minor version: what a pod's
// spec and annotations may not have at a level. Pure.

#include "common/api/json.h"

enum pod_security_level {
	POD_SECURITY_PRIVILEGED,
	POD_SECURITY_BASELINE,
	POD_SECURITY_RESTRICTED,
	POD_SECURITY_COUNT_,
};

enum {
	POD_SECURITY_LATEST = 1 << 20, // as a minor version
};

struct pod_security_finding {
	const char *reason; // "hostPort"
	const char *detail; // `container "c" uses hostPort 80`
};

struct pod_security_findings {
	struct pod_security_finding items[24];
	size_t count;
};

// `metadata` may be NULL. Everything found is in the arena or borrowed from the trees.
void pod_security_check(struct arena *arena, enum pod_security_level level, int minor, const struct json *metadata,
                        const struct json *spec, struct pod_security_findings *ret_findings);

// "hostPort, privileged" and, with the details, `hostPort (container "c" uses hostPort 80), …`.
char *pod_security_reasons(struct arena *arena, const struct pod_security_findings *findings);
char *pod_security_details(struct arena *arena, const struct pod_security_findings *findings);
