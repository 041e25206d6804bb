// SPDX-License-Identifier: Apache-2.0
// Kinds of a few lines: Namespace, ConfigMap, Secret, ServiceAccount.

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/encode.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"

static void head(struct describer *describer, const struct json *object)
{
	const struct json *metadata = json_get(object, "metadata");
	describe_names(describer, object);
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
}

static struct json *sorted(struct describer *describer, const struct json *map)
{
	struct json *copy = map ? json_clone(describer->ctl->arena, map) : json_object(describer->ctl->arena);
	json_sort_keys(copy);
	return copy;
}

void describe_namespace(struct describer *describer, const struct json *object)
{
	head(describer, object);
	describe_line(describer, 0, "Status:\t%s", text_of(json_get(object, "status"), "phase", ""));
	describe_line(describer, 0, "\nNo resource quota.\n\nNo LimitRange resource.");
}

void describe_config_map(struct describer *describer, const struct json *object)
{
	head(describer, object);
	describe_line(describer, 0, "\nData\n====");
	json_for_each_member (member, sorted(describer, json_get(object, "data")))
		describe_line(describer, 0, "%s:\n----\n%s\n", member->key, scalar_text(describer, member->value));
	describe_line(describer, 0, "\nBinaryData\n====");
	json_for_each_member (member, sorted(describer, json_get(object, "binaryData"))) {
		uint8_t *data;
		size_t length = 0;
		const char *text = scalar_text(describer, member->value);
		(void)base64_decode(describer->ctl->arena, text, strlen(text), &data, &length);
		describe_line(describer, 0, "%s: %zu bytes", member->key, length);
	}
	describe_line(describer, 0, "%s", "");
	describe_events(describer, object);
}

void describe_secret(struct describer *describer, const struct json *object)
{
	const char *type = text_of(object, "type", "Opaque");
	bool is_token = strcmp(type, "kubernetes.io/service-account-token") == 0;
	head(describer, object);
	describe_line(describer, 0, "\nType:\t%s\n\nData\n====", type);
	json_for_each_member (member, sorted(describer, json_get(object, "data"))) {
		uint8_t *data = NULL;
		size_t length = 0;
		const char *text = scalar_text(describer, member->value);
		bool ok = base64_decode(describer->ctl->arena, text, strlen(text), &data, &length);
		if (ok && is_token && strcmp(member->key, "token") == 0)
			describe_line(describer, 0, "%s:\t%s", member->key, (const char *)data);
		else
			describe_line(describer, 0, "%s:\t%zu bytes", member->key, length);
	}
}

static void names(struct describer *describer, const char *title, const struct json *list)
{
	bool first = true;
	json_for_each_item (item, list) {
		describe_line(describer, 0, "%s\t%s", first ? title : "", text_of(item, "name", ""));
		first = false;
	}
	if (first)
		describe_line(describer, 0, "%s\t<none>", title);
}

void describe_service_account(struct describer *describer, const struct json *object)
{
	head(describer, object);
	names(describer, "Image pull secrets:", json_get(object, "imagePullSecrets"));
	names(describer, "Mountable secrets:", json_get(object, "secrets"));
	names(describer, "Tokens:", NULL);
	describe_events(describer, object);
}
