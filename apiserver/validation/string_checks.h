// SPDX-License-Identifier: Apache-2.0
#pragma once
// The formats that names, keys and values of the API have. Each returns the
// complaint at `index`, NULL past the last: a text without complaints is valid.
// The wording is upstream's.

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"

const char *check_dns_label(struct arena *arena, const char *text, size_t index);
const char *check_dns_subdomain(struct arena *arena, const char *text, size_t index);
const char *check_dns_1035_label(struct arena *arena, const char *text, size_t index);
const char *check_wildcard_subdomain(struct arena *arena, const char *text, size_t index);
const char *check_qualified_name(struct arena *arena, const char *text, size_t index);
const char *check_label_value(struct arena *arena, const char *text, size_t index);
const char *check_config_key(struct arena *arena, const char *text, size_t index);
const char *check_env_name(struct arena *arena, const char *text, size_t index);
const char *check_port_name(struct arena *arena, const char *text, size_t index);
const char *check_path_segment(struct arena *arena, const char *text, size_t index);
const char *check_http_header_name(struct arena *arena, const char *text, size_t index);
// A DNS subdomain with underscores.
const char *check_search_domain(struct arena *arena, const char *text, size_t index);

// "domain/path".
const char *check_domain_prefixed_path(struct arena *arena, const char *text, size_t index);
// A name of three or more segments (webhooks).
const char *check_fully_qualified_name(struct arena *arena, const char *text, size_t index);
// "signer.example.com/name".
const char *check_signer_name(struct arena *arena, const char *text, size_t index);
const char *check_c_identifier(struct arena *arena, const char *text, size_t index);
// The reason of a condition.
const char *check_condition_reason(struct arena *arena, const char *text, size_t index);
// A qualified name with any case in its prefix.
const char *check_annotation_key(struct arena *arena, const char *text, size_t index);

// The same without the words.
bool is_dns_label(const char *text);
bool is_dns_subdomain(const char *text);
bool is_qualified_name(const char *text);
// A relative path without "..".
bool is_local_path(const char *text);
bool has_dot_dot(const char *path);
// One of a list that ends with NULL.
bool is_one_of(const char *text, const char *const *list);
// "12%"
bool is_percent(const char *text, int *ret_value);
