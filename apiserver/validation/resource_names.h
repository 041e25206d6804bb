// SPDX-License-Identifier: Apache-2.0
#pragma once
// Names of resources (cpu, hugepages-2Mi, example.com/gpu, requests.memory) and
// the rules for their amounts.

#include "apiserver/validation/rules.h"
#include "common/api/quantity.h"

bool resource_is_hugepages(const char *name);
// In the *kubernetes.io namespace, which names without a prefix are too.
bool resource_is_native(const char *name);
bool is_extended_resource_name(const char *name);
bool resource_is_integer(const char *name);
bool resource_may_overcommit(const char *name);

void validate_container_resource_name(struct validation *v, const char *name, const struct rule_path *path);
void validate_resource_name(struct validation *v, const char *name, const struct rule_path *path);
void validate_quota_resource_name(struct validation *v, const char *name, const struct rule_path *path);
// Not negative, and whole where the resource is counted.
void validate_resource_amount(struct validation *v, const char *name, const struct json *amount,
                              const struct rule_path *path);
bool read_quantity(const struct json *value, struct quantity *ret_quantity);
const char *quantity_text(struct arena *arena, const struct quantity *quantity);
void invalid_quantity(struct validation *v, const struct rule_path *path, const struct quantity *quantity,
                      const char *detail);
// Greater than zero.
void validate_positive_quantity(struct validation *v, const struct json *amount, const struct rule_path *path);
