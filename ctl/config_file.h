// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kubeconfig file as a document to look at and to change.

#include <stdbool.h>

#include "common/api/json.h"

struct ctl;

enum config_section {
	CONFIG_CLUSTERS,
	CONFIG_CONTEXTS,
	CONFIG_USERS,
};

// All files merged (what a single file says stays as it is written). NULL when one can't be read (reported).
struct json *config_file_read_all(struct ctl *ctl);
// The one file that changes go to, and its document; NULL as above. *ret_path is in the arena.
struct json *config_file_read_own(struct ctl *ctl, const char **ret_path);
// False when it can't be written (reported).
bool config_file_write(struct ctl *ctl, const char *path, struct json *document);

// The entry's fields ("cluster", "context", "user" of the list's item); NULL = none.
struct json *config_entry(const struct json *document, enum config_section section, const char *name);
struct json *config_entry_ensure(struct ctl *ctl, struct json *document, enum config_section section, const char *name);
bool config_entry_remove(struct json *document, enum config_section section, const char *name);
// "clusters" and so on.
const char *config_section_list(enum config_section section);
const char *config_current_context(struct ctl *ctl, const struct json *document);
