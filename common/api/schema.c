// SPDX-License-Identifier: Apache-2.0
// Look-ups in the schema's tables. All lists are sorted by the generator, so
// everything by name is a binary search; nothing here allocates.

#include "common/api/schema.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/api/view.h"

#define SCALAR(symbol, type_name, type_kind, c_type, openapi, text)                   \
	const struct schema_type schema_type_##symbol = {.name = type_name,           \
	                                                 .openapi_name = openapi,     \
	                                                 .kind = type_kind,           \
	                                                 .view_size = sizeof(c_type), \
	                                                 .doc = text}

SCALAR(string, "string", SCHEMA_STRING, const char *, NULL, "");
SCALAR(int32, "int32", SCHEMA_INT32, int32_t, NULL, "");
SCALAR(int64, "int64", SCHEMA_INT64, int64_t, NULL, "");
SCALAR(bool, "bool", SCHEMA_BOOL, bool, NULL, "");
SCALAR(double, "float64", SCHEMA_DOUBLE, double, NULL, "");
SCALAR(bytes, "[]uint8", SCHEMA_BYTES, struct bytes, NULL, "");
SCALAR(quantity, "Quantity", SCHEMA_QUANTITY, const char *, "io.k8s.apimachinery.pkg.api.resource.Quantity",
       "A number, with a unit if it has one: 500m is a half, 2Gi are 2147483648, 3k are 3000. A text, or a JSON "
       "number.");
SCALAR(int_or_string, "IntOrString", SCHEMA_INT_OR_STRING, struct int_or_string,
       "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
       "A whole number, or a text such as a percentage or the name of a port.");
SCALAR(time, "Time", SCHEMA_TIME, const char *, "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
       "A time to the second, in the form of RFC 3339: 2006-01-02T15:04:05Z; null for none.");
SCALAR(micro_time, "MicroTime", SCHEMA_MICRO_TIME, const char *, "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
       "A time to the microsecond, in the form of RFC 3339: 2006-01-02T15:04:05.000000Z; null for none.");
SCALAR(duration, "Duration", SCHEMA_DURATION, const char *, "io.k8s.apimachinery.pkg.apis.meta.v1.Duration",
       "A length of time, as a number with its unit: 1h30m, 15s, 100ms.");
SCALAR(raw, "", SCHEMA_RAW, const struct json *, NULL, "");

// A fault nearby makes the kernel map a file's neighbouring pages too, unless
// they are said to be read in no order; what it has mapped already is dropped.
void schema_set_aside_documentation(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = ((uintptr_t)schema_documentation + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)schema_documentation + schema_documentation_length) & ~(page - 1);
	if (end <= start)
		return;
	(void)madvise((void *)start, end - start, MADV_RANDOM);
	(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

struct resource_key {
	const char *group, *version, *plural;
};

static int compare_resource(const void *key, const void *element)
{
	const struct resource_key *wanted = key;
	const struct schema_resource *resource = *(const struct schema_resource *const *)element;
	int order = strcmp(wanted->group, resource->group);
	if (order == 0)
		order = strcmp(wanted->version, resource->version);
	return order != 0 ? order : strcmp(wanted->plural, resource->plural);
}

const struct schema_resource *schema_find_resource(const char *group, const char *version, const char *plural)
{
	struct resource_key key = {group, version, plural};
	const struct schema_resource *const *found =
	        bsearch(&key, schema_resources, schema_resource_count, sizeof(schema_resources[0]), compare_resource);
	return found != NULL ? *found : NULL;
}

// The first resource of a group and version, by bisection.
static size_t first_of_group_version(const char *group, const char *version)
{
	struct resource_key key = {group, version, ""};
	size_t low = 0, high = schema_resource_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_resource(&key, &schema_resources[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct schema_resource *schema_find_kind(const char *group, const char *version, const char *kind)
{
	for (size_t i = first_of_group_version(group, version); i < schema_resource_count; i++) {
		const struct schema_resource *resource = schema_resources[i];
		if (strcmp(resource->group, group) != 0 || strcmp(resource->version, version) != 0)
			break;
		if (strcmp(resource->kind, kind) == 0)
			return resource;
	}
	return NULL;
}

// Versions compare as upstream orders them: v2, v1, v2beta1, v1beta2, v1alpha1,
// then anything else by name.
struct version_rank {
	int stability; // 3 stable, 2 beta, 1 alpha, 0 no Kubernetes version
	long major;
	long minor;
};

static struct version_rank rank_version(const char *version)
{
	struct version_rank rank = {0};
	if (version[0] != 'v' || version[1] < '1' || version[1] > '9')
		return rank;
	char *end;
	rank.major = strtol(version + 1, &end, 10);
	if (*end == '\0')
		rank.stability = 3;
	else if (strncmp(end, "beta", 4) == 0)
		rank.stability = 2;
	else if (strncmp(end, "alpha", 5) == 0)
		rank.stability = 1;
	if (rank.stability == 1 || rank.stability == 2)
		rank.minor = strtol(end + (rank.stability == 2 ? 4 : 5), NULL, 10);
	return rank;
}

int schema_compare_versions(const char *a, const char *b)
{
	struct version_rank left = rank_version(a), right = rank_version(b);
	if (left.stability != right.stability)
		return left.stability < right.stability ? 1 : -1;
	if (left.major != right.major)
		return left.major < right.major ? 1 : -1;
	if (left.minor != right.minor)
		return left.minor < right.minor ? 1 : -1;
	return strcmp(a, b);
}

const char *schema_preferred_version(const char *group)
{
	const char *best = NULL;
	for (size_t i = first_of_group_version(group, ""); i < schema_resource_count; i++) {
		const struct schema_resource *resource = schema_resources[i];
		if (strcmp(resource->group, group) != 0)
			break;
		if (best == NULL || schema_compare_versions(resource->version, best) < 0)
			best = resource->version;
	}
	return best;
}

const struct schema_subresource *schema_find_subresource(const struct schema_resource *resource, const char *name)
{
	for (size_t i = 0; i < resource->subresource_count; i++)
		if (strcmp(resource->subresources[i].name, name) == 0)
			return &resource->subresources[i];
	return NULL;
}

static int compare_type(const void *key, const void *element)
{
	return strcmp(key, (*(const struct schema_type *const *)element)->openapi_name);
}

const struct schema_type *schema_find_type(const char *openapi_name)
{
	const struct schema_type *const *found =
	        bsearch(openapi_name, schema_types, schema_type_count, sizeof(schema_types[0]), compare_type);
	return found != NULL ? *found : NULL;
}

// As strcmp, with a left side of known length.
static inline int compare_name(const char *name, size_t length, const char *other)
{
	if (length && *name != *other) // mostly
		return (unsigned char)*name - (unsigned char)*other;
	int order = strncmp(name, other, length);
	return order != 0 ? order : -(other[length] != '\0');
}

const struct schema_field *schema_find_field(const struct schema_type *type, const char *json_name, size_t length,
                                             size_t *ret_offset)
{
	if (memchr(json_name, '\0', length) != NULL)
		return NULL;
	size_t low = 0, high = type->name_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct schema_field *field = &type->fields[type->fields_by_name[middle]];
		int order = compare_name(json_name, length, field->json_name);
		if (order == 0) {
			if (ret_offset != NULL)
				*ret_offset = field->view_offset;
			return field;
		}
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
