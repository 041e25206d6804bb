// SPDX-License-Identifier: Apache-2.0
#pragma once
// From a word to a pod: "web-0", "pod/web-0", or something that owns or selects
// pods ("deployment/web", "service/web"); and which of its containers is meant.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"
#include "ctl/target.h"

struct ctl;

// The pods that a target's object selects, best first: running before pending, ready before
// not ready, older before younger. False when that couldn't be found out (reported).
bool pods_of(struct ctl *ctl, const struct target *target, struct json ***ret_pods, size_t *ret_count);

// The target that "NAME" or "TYPE/NAME" names, with its object; false when reported.
bool pod_word_fetch(struct ctl *ctl, const char *word, struct target *ret_target);

// One pod for the word; NULL when there is none (reported). `tell` says on stderr which one was taken of several.
struct json *pod_find(struct ctl *ctl, const char *word, bool tell);

// The container to use: the named one, else the default one (said on stderr when there are several
// and `quiet` is not set). NULL: *err.
const char *pod_container(struct ctl *ctl, const struct json *pod, const char *wanted, bool quiet, struct err *err);

// "a, b, c (init)"
const char *pod_container_names(struct ctl *ctl, const struct json *pod);
