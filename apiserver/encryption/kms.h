// SPDX-License-Identifier: Apache-2.0
#pragma once
// A key management service (KMS v2) behind its unix socket. Values are sealed with
// keys derived from a seed of ours that the service encrypts once; it is asked again
// only when its key changes, or for seeds of before. A thread of its own speaks with it.

#include "apiserver/encryption/configuration.h"

struct kms;

// Connects in the background.
NODISCARD int kms_new(const struct encryption_provider *provider, struct kms **ret_kms, struct err *err);
struct kms *kms_free(struct kms *kms);

// The seed is ready and its service answered lately. Any thread. `ret_why` (may be NULL): static text.
bool kms_is_healthy(struct kms *kms, const char **ret_why);
// Waits until it is, at most `timeout_ns`; whether it is.
bool kms_await(struct kms *kms, int64_t timeout_ns);

// As the functions of struct cipher. ERR_UNAVAILABLE: the service can't be asked. Opening a value whose
// seed isn't known yet waits for the service, at most its configured time; each seed is asked for once.
NODISCARD int kms_seal(struct kms *kms, const char *bound_to, const void *plain, size_t length, struct strbuf *out,
                       struct err *err);
NODISCARD int kms_open(struct kms *kms, const char *bound_to, const uint8_t *sealed, size_t length, struct strbuf *out,
                       bool *ret_stale, struct err *err);
