// SPDX-License-Identifier: Apache-2.0
//
// What the documents say beyond OpenAPI that follows from no table of the schema:
// the unions whose discriminator upstream publishes, and the groups and versions
// in which options and watch events are kinds. Upstream lists every version that
// it ever knew there, served or not.
#include <string.h>

#include "common/api/openapi_internal.h"

struct union_row {
	const char *type; // without "io.k8s.api."
	const char *discriminator;
	const char *members[4]; // by field; each chosen by its name with a capital
};

static const struct union_row unions[] = {
        {"core.v1.AppArmorProfile", "type", {"localhostProfile"}},
        {"core.v1.SeccompProfile", "type", {"localhostProfile"}},
        {"flowcontrol.v1.LimitResponse", "type", {"queuing"}},
        {"flowcontrol.v1.PriorityLevelConfigurationSpec", "type", {"exempt", "limited"}},
        {"flowcontrol.v1.Subject", "kind", {"group", "serviceAccount", "user"}},
};

struct known_group {
	const char *name;
	const char *versions[5];
};

static const struct known_group known_groups[] = {
        {"", {"v1"}},
        {"admission.k8s.io", {"v1", "v1beta1"}},
        {"admissionregistration.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"apiextensions.k8s.io", {"v1", "v1beta1"}},
        {"apiregistration.k8s.io", {"v1", "v1beta1"}},
        {"apps", {"v1", "v1beta1", "v1beta2"}},
        {"authentication.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"authorization.k8s.io", {"v1", "v1beta1"}},
        {"autoscaling", {"v1", "v2", "v2beta1", "v2beta2"}},
        {"batch", {"v1", "v1beta1"}},
        {"certificates.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"coordination.k8s.io", {"v1", "v1alpha2", "v1beta1"}},
        {"discovery.k8s.io", {"v1", "v1beta1"}},
        {"events.k8s.io", {"v1", "v1beta1"}},
        {"extensions", {"v1beta1"}},
        {"flowcontrol.apiserver.k8s.io", {"v1", "v1beta1", "v1beta2", "v1beta3"}},
        {"imagepolicy.k8s.io", {"v1alpha1"}},
        {"internal.apiserver.k8s.io", {"v1alpha1"}},
        {"networking.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"node.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"policy", {"v1", "v1beta1"}},
        {"rbac.authorization.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"resource.k8s.io", {"v1alpha3", "v1beta1", "v1beta2"}},
        {"scheduling.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"storage.k8s.io", {"v1", "v1alpha1", "v1beta1"}},
        {"storagemigration.k8s.io", {"v1alpha1"}},
};

// [{"discriminator": …, "fields-to-discriminateBy": {"queuing": "Queuing"}}]
static struct json *make_union(struct arena *arena, const struct union_row *row)
{
	struct json *list = json_array(arena);
	struct json *entry = json_object(arena);
	json_set_text(arena, entry, "discriminator", row->discriminator);
	struct json *fields = json_ensure_object(arena, entry, "fields-to-discriminateBy");
	for (size_t i = 0; i < ARRAY_SIZE(row->members) && row->members[i]; i++) {
		char *value = arena_strdup(arena, row->members[i]);
		value[0] = (char)(value[0] - 'a' + 'A');
		json_set_text(arena, fields, row->members[i], value);
	}
	json_append(arena, list, entry);
	return list;
}

void openapi_add_unions(struct arena *arena, const struct schema_type *type, struct json *schema)
{
	static const char prefix[] = "io.k8s.api.";
	if (strncmp(type->openapi_name, prefix, strlen(prefix)) != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(unions); i++)
		if (strcmp(type->openapi_name + strlen(prefix), unions[i].type) == 0)
			json_set(arena, schema, "x-kubernetes-unions", make_union(arena, &unions[i]));
}

struct json *openapi_kinds_everywhere(struct arena *arena, const char *kind)
{
	struct json *kinds = json_array(arena);
	for (size_t i = 0; i < ARRAY_SIZE(known_groups); i++) {
		const struct known_group *group = &known_groups[i];
		for (size_t j = 0; j < ARRAY_SIZE(group->versions) && group->versions[j]; j++)
			json_append(arena, kinds, openapi_kind(arena, group->name, group->versions[j], kind));
	}
	return kinds;
}
