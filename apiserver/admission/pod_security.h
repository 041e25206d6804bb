// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which level of the Pod Security Standards a namespace asks for: by its labels,
// else by the plug-in's configuration.

#include "apiserver/admission/pod_security_checks.h"
#include "common/base/err.h"

enum pod_security_mode {
	POD_SECURITY_ENFORCE,
	POD_SECURITY_AUDIT,
	POD_SECURITY_WARN,
	POD_SECURITY_MODE_COUNT_,
};

struct pod_security_standard {
	enum pod_security_level level;
	int minor; // POD_SECURITY_LATEST
};

struct pod_security_policy {
	struct pod_security_standard modes[POD_SECURITY_MODE_COUNT_];
};

struct pod_security_settings {
	struct pod_security_policy defaults;
	const struct json *exempt_users; // lists of texts; NULL = none
	const struct json *exempt_namespaces;
	const struct json *exempt_runtime_classes;
};

// `configuration` NULL: privileged, nothing exempt. Made in the arena.
NODISCARD int pod_security_configure(struct arena *arena, const struct json *configuration,
                                     struct pod_security_settings **ret_settings, struct err *err);

struct pod_security_label_error {
	const char *label;
	const char *value;
	const char *detail;
};

struct pod_security_label_errors {
	struct pod_security_label_error items[2 * POD_SECURITY_MODE_COUNT_];
	size_t count;
};

// What the labels ask for, and what is wrong with them. There is always a policy.
void pod_security_read_labels(const struct json *labels, const struct pod_security_policy *defaults,
                              struct pod_security_policy *ret_policy, struct pod_security_label_errors *ret_errors);

// "restricted:v1.33", "baseline:latest".
char *pod_security_standard_text(struct arena *arena, const struct pod_security_standard *standard);
