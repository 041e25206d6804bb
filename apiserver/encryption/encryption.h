// SPDX-License-Identifier: Apache-2.0
#pragma once
// Values at rest (--encryption-provider-config): what storage writes is sealed by
// the first provider of the resource's rule, what it reads is opened by whichever
// sealed it. Stored forms are upstream's:
//
//   k8s:enc:aescbc:v1:KEY:…   k8s:enc:aesgcm:v1:KEY:…   k8s:enc:secretbox:v1:KEY:…
//   k8s:enc:kms:v2:PROVIDER:…   anything else: as it is
//
// Functions are thread-safe; the configuration is replaced whole when its file changes.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/blob.h"
#include "common/base/err.h"
#include "common/base/strbuf.h"

struct encryption;
struct loop;

// Reads the file. With `reload` it is looked at again every two seconds, on `loop`; a bad one is
// logged and the former stays. Key management services are waited for, ten seconds at most.
NODISCARD int encryption_new(const char *path, bool reload, struct loop *loop, struct encryption **ret_encryption,
                             struct err *err);
struct encryption *encryption_free(struct encryption *encryption); // accepts NULL

// The text with which a value of the resource is stored under `key` (etcd's whole key): `plain`
// itself, referenced, when the resource isn't encrypted. ERR_UNAVAILABLE, ERR_INTERNAL.
NODISCARD int encryption_seal(struct encryption *encryption, const char *group, const char *plural, const char *key,
                              struct blob *plain, struct blob **ret_stored, struct err *err);

// True: the bytes are sealed. False: they are what they are.
bool encryption_is_sealed(const void *stored, size_t length);

// Opens a value into `out`. `ret_seal` tells by what it was sealed, see encryption_seal_of. A value that
// isn't sealed is refused when the rule has no identity provider, else `out` stays empty and `ret_seal` is 0.
NODISCARD int encryption_open(struct encryption *encryption, const char *group, const char *plural, const char *key,
                              const void *stored, size_t length, struct strbuf *out, uint32_t *ret_seal,
                              struct err *err);

// The seal that a value would get now; another one's must be written again even if nothing else has changed.
uint32_t encryption_seal_of(struct encryption *encryption, const char *group, const char *plural);

// Of the key management services; `ret_why` as in kms.h.
bool encryption_is_healthy(struct encryption *encryption, const char **ret_why);
