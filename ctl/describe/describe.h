// SPDX-License-Identifier: Apache-2.0
#pragma once
// describe: what people want to know about one object, as text.

#include "common/api/json.h"
#include "common/base/strbuf.h"

struct ctl;

// "Pod Template:" with labels, containers and volumes, aligned.
void describe_pod_template_text(struct ctl *ctl, const struct json *pod_template, struct strbuf *out);
