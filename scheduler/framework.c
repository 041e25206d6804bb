// SPDX-License-Identifier: Apache-2.0
#include "scheduler/framework.h"

#include "scheduler/plugins/plugins.h"

const struct plugin *const plugins[] = {
        &plugin_node_unschedulable,
        &plugin_node_name,
        &plugin_taint_toleration,
        &plugin_node_affinity,
        &plugin_node_ports,
        &plugin_node_resources_fit,
        &plugin_node_resources_balanced_allocation,
        &plugin_image_locality,
};
const size_t plugin_count = ARRAY_SIZE(plugins);
_Static_assert(ARRAY_SIZE(plugins) <= 64, "a mask of plug-ins has 64 bits");

enum filter_code filter_refuse(struct filter_reasons *reasons, enum filter_code code, const char *text)
{
	if (reasons->count < ARRAY_SIZE(reasons->texts))
		reasons->texts[reasons->count++] = text;
	return code;
}

void normalize_scores(int64_t *scores, size_t count, bool reverse)
{
	int64_t largest = 0;
	for (size_t i = 0; i < count; i++)
		if (scores[i] > largest)
			largest = scores[i];
	for (size_t i = 0; i < count; i++) {
		int64_t scaled = largest ? scores[i] * SCORE_MAX / largest : 0;
		scores[i] = reverse ? SCORE_MAX - scaled : scaled;
	}
}
