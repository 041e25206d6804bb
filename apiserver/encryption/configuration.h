// SPDX-License-Identifier: Apache-2.0
#pragma once
// The file of --encryption-provider-config (apiserver.config.k8s.io/v1
// EncryptionConfiguration): which resources are sealed by which providers. The
// first provider of a list seals, all of them open.

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/encryption/cipher.h"

struct encryption_key {
	char *name;
	struct cipher_key key;
};

struct encryption_provider {
	const struct cipher *cipher; // NULL: identity, or kms
	bool kms;
	struct encryption_key *keys; // of a cipher; the first one seals
	size_t key_count;
	char *kms_name;
	char *kms_socket; // path
	int64_t kms_timeout_ns;
};

struct encryption_rule {
	char **resources; // "secrets", "widgets.example.com", "*.apps", "*.*"; NULL-terminated
	struct encryption_provider *providers;
	size_t provider_count;
};

struct encryption_configuration {
	struct encryption_rule *rules;
	size_t rule_count;
};

// From the file's text. ERR_INVALID with all mistakes, each with its field; keys never stand in it.
NODISCARD int encryption_configuration_parse(const char *text, size_t length,
                                             struct encryption_configuration **ret_configuration, struct err *err);
// Keys are overwritten. Accepts NULL; returns NULL.
struct encryption_configuration *encryption_configuration_free(struct encryption_configuration *configuration);

// The rule for a resource; NULL: it is stored as it is.
const struct encryption_rule *encryption_configuration_find(const struct encryption_configuration *configuration,
                                                            const char *group, const char *plural);
