// SPDX-License-Identifier: Apache-2.0
#include "ctl/describe/describe.h"
void describe_pod_template_text(struct ctl *ctl, const struct json *pod_template, struct strbuf *out)
{
	(void)ctl, (void)pod_template, (void)out;
}
