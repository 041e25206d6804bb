// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is valid but worth a word: the Warning headers of a change. Fields and
// annotations that are on their way out, values that hide each other, addresses
// in forms that won't be taken for ever.

#include "apiserver/validation/rules.h"

// After validation has passed. Safe on a worker.
void warn_about_change(const struct change *change);

// --- for the files of warnings ------------------------------------------------------
// "PATH: TEXT"; `path` may be NULL: the text alone.
void warn(const struct change *change, const struct rule_path *path, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
const char *warning_path(const struct change *change, const struct rule_path *path);

void warn_about_ip(const struct change *change, const struct rule_path *path, const char *text);
void warn_about_cidr(const struct change *change, const struct rule_path *path, const char *text);

// NULL when the label isn't deprecated.
const char *deprecated_node_label(const char *key);
void warn_about_selector_term(const struct change *change, const struct json *term, bool check_values,
                              const struct rule_path *path);
// Amounts of bytes are whole.
void warn_about_bytes(const struct change *change, const struct json *amounts, const char *resource,
                      const struct rule_path *path);
void warn_about_claim_spec(const struct change *change, const struct json *spec, const struct rule_path *path);

// `parent` is the path of the template, NULL for a pod itself.
void warn_about_pod(const struct change *change, const struct json *pod, const struct rule_path *parent);
// Files of a volume that lie over each other.
void warn_about_volume_paths(const struct change *change, const struct json *volume);
// What network kinds say.
void warn_about_service(const struct change *change);
void warn_about_load_balancer(const struct change *change);
void warn_about_endpoints(const struct change *change);
void warn_about_endpoint_slice(const struct change *change);
void warn_about_ingress(const struct change *change);
void warn_about_network_policy(const struct change *change);
