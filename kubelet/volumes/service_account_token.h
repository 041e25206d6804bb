// SPDX-License-Identifier: Apache-2.0
#pragma once
// Service account tokens of one pod, asked for by TokenRequest, bound to the pod, and
// renewed when four fifths of their life are over.

#include "kubelet/pod/pod.h"

struct token_set;

struct token_set *token_set_new(void);
struct token_set *token_set_free(struct token_set *tokens); // no refresh may be under way

// Gets what the pod's projected volumes want and is missing or old. An apiserver that doesn't serve TokenRequest is no
// error: there is then no token. done comes exactly once, never from inside.
void token_set_refresh(struct token_set *tokens, struct pod *pod, void (*done)(void *context, const struct err *err),
                       void *context);

// NULL: there is none. Borrowed until the next refresh.
const char *token_set_get(const struct token_set *tokens,
                          const struct core_v1_service_account_token_projection *projection);
