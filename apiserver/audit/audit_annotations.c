// SPDX-License-Identifier: Apache-2.0

#include "apiserver/audit/audit_annotations.h"

#include "apiserver/request.h"
#include "common/api/json.h"

void audit_annotate(struct request *request, const char *key, const char *value)
{
	if (!request->audit)
		return;
	if (!request->audit_annotations)
		request->audit_annotations = json_object(request->arena);
	if (!json_get(request->audit_annotations, key))
		json_set_text(request->arena, request->audit_annotations, arena_strdup(request->arena, key), value);
}
