// SPDX-License-Identifier: Apache-2.0
#include "ctl/object_maker.h"

#include <string.h>

#include "common/api/decode.h"
#include "common/api/object.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/resources.h"

struct json *object_new(struct ctl *ctl, const char *api_version, const char *kind, const char *name)
{
	struct json *object = json_object(ctl->arena);
	json_set_text(ctl->arena, object, "apiVersion", api_version);
	json_set_text(ctl->arena, object, "kind", kind);
	json_set_text(ctl->arena, json_ensure_object(ctl->arena, object, "metadata"), "name", name);
	return object;
}

const char *object_name_argument(struct ctl *ctl, int argc, char **argv)
{
	int count = options_count_before_dash() >= 0 ? options_count_before_dash() : argc;
	if (count == 1)
		return argv[0];
	report_usage(ctl, "exactly one NAME is required, got %d", count);
	return NULL;
}

struct json *object_words(struct ctl *ctl, int argc, char **argv)
{
	int start = options_count_before_dash();
	struct json *words = json_array(ctl->arena);
	for (int i = start; start >= 0 && i < argc; i++)
		json_append(ctl->arena, words, json_string(ctl->arena, argv[i]));
	return words;
}

bool object_parse_map(struct ctl *ctl, const char *text, struct json *map)
{
	char *rest = arena_strdup(ctl->arena, text);
	for (char *pair; rest && (pair = strsep(&rest, ","));) {
		char *equals = strchr(pair, '=');
		if (!equals || equals == pair) {
			report(ctl, "unexpected label spec: %s", pair);
			return false;
		}
		*equals = '\0';
		json_set_text(ctl->arena, map, pair, equals + 1);
	}
	return true;
}

int object_create(struct ctl *ctl, const struct write_options *options, struct json *object)
{
	struct writer writer;
	struct rest_response response;
	struct target target = {
	        .resource = resource_of_kind(ctl, object_api_version(object), object_kind(object)),
	        .name = object_name(object),
	        .object = object,
	};
	if (!target.resource || !writer_init(ctl, options, &writer))
		return EXIT_PROBLEM;
	if (target.resource->namespaced) {
		target.namespace_name = ctl_namespace(ctl);
		if (writer.dry_run != DRY_RUN_CLIENT || ctl_namespace_is_explicit(ctl))
			json_set_text(ctl->arena, json_get(object, "metadata"), "namespace", target.namespace_name);
	}
	if (target.resource->type)
		schema_fill_shape(ctl->arena, target.resource->type, object);
	if (writer.dry_run == DRY_RUN_CLIENT)
		writer_tell(ctl, &writer, &target, object, "created");
	else if (write_create(ctl, &writer, &target, object, &response))
		writer_tell(ctl, &writer, &target, response.object, "created");
	else
		return report_response(ctl, &response,
		                       ctl_printf(ctl, "failed to create %s", target.resource->singular));
	return EXIT_OK;
}
