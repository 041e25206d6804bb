// SPDX-License-Identifier: Apache-2.0
// Labels and annotations as a whole are written sorted, one key="value" a line, with
// Go's quoting. A limit that a container doesn't set counts as what the node has.
// Quotients are rounded up. $(NAME) of an unknown name stays as it is; $$ is a $.

#include "kubelet/pod/field_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/quantity.h"
#include "common/base/encode.h"
#include "common/base/strbuf.h"
#include "common/base/text.h"

enum { MAX_VALUE_BYTES = 1 << 20 };

// --- fields ---------------------------------------------------------------------------

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct string_map_entry *)a)->key, ((const struct string_map_entry *)b)->key);
}

static const char *format_map(struct arena *arena, const struct string_map *map)
{
	struct string_map_entry *sorted = ARENA_ARRAY(arena, struct string_map_entry, map->count + 1);
	if (map->count)
		memcpy(sorted, map->entries, map->count * sizeof(*sorted));
	qsort(sorted, map->count, sizeof(*sorted), compare_entries);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_VALUE_BYTES);
	for (size_t index = 0; index < map->count; index++) {
		strbuf_printf(&text, "%s%s=", index ? "\n" : "", sorted[index].key);
		quote_append(&text, sorted[index].value, strlen(sorted[index].value));
	}
	return arena_strdup(arena, strbuf_text(&text));
}

// The KEY of "metadata.labels['KEY']"; NULL when the path has another form.
static const char *subscript(struct arena *arena, const char *path, const char *base)
{
	size_t length = strlen(base);
	size_t path_length = strlen(path);
	if (strncmp(path, base, length) || path_length < length + 4 || strncmp(path + length, "['", 2) ||
	    strcmp(path + path_length - 2, "']"))
		return NULL;
	return arena_strndup(arena, path + length + 2, path_length - length - 4);
}

static const char *join(struct arena *arena, const char *const *texts, size_t count)
{
	char *joined = arena_strdup(arena, "");
	for (size_t index = 0; index < count; index++)
		joined = arena_printf(arena, "%s%s%s", joined, index ? "," : "", texts[index]);
	return joined;
}

static const char *plain_field(struct arena *arena, const struct core_v1_pod *pod, const struct field_facts *facts,
                               const char *path)
{
	const struct {
		const char *path;
		const char *value;
	} rows[] = {
	        {"metadata.name", text_or_empty(pod->metadata.name)},
	        {"metadata.namespace", text_or_empty(pod->metadata.namespace)},
	        {"metadata.uid", text_or_empty(pod->metadata.uid)},
	        {"spec.nodeName", text_or_empty(pod->spec.node_name)},
	        {"spec.serviceAccountName", text_or_empty(pod->spec.service_account_name)},
	        {"status.hostIP", text_or_empty(facts->host_ip)},
	        {"status.hostIPs", text_or_empty(facts->host_ip)},
	        {"status.podIP", facts->pod_ip_count ? facts->pod_ips[0] : ""},
	};
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++)
		if (!strcmp(rows[index].path, path))
			return rows[index].value;
	if (!strcmp(path, "status.podIPs"))
		return join(arena, facts->pod_ips, facts->pod_ip_count);
	return NULL;
}

int field_value(struct arena *arena, const struct core_v1_pod *pod, const struct field_facts *facts, const char *path,
                const char **ret_value, struct err *err)
{
	const char *key;
	const char *value = plain_field(arena, pod, facts, path);
	if (!value && !strcmp(path, "metadata.labels"))
		value = format_map(arena, &pod->metadata.labels);
	else if (!value && !strcmp(path, "metadata.annotations"))
		value = format_map(arena, &pod->metadata.annotations);
	else if (!value && (key = subscript(arena, path, "metadata.labels")))
		value = text_or_empty(string_map_get(&pod->metadata.labels, key));
	else if (!value && (key = subscript(arena, path, "metadata.annotations")))
		value = text_or_empty(string_map_get(&pod->metadata.annotations, key));
	if (!value)
		return err_set(err, ERR_INVALID, "unsupported fieldPath: %s", path);
	*ret_value = value;
	return 0;
}

// --- resources ---------------------------------------------------------------------------

static const struct core_v1_container *find_container(const struct core_v1_pod *pod, const char *name)
{
	for (size_t index = 0; index < pod->spec.containers.count; index++)
		if (!strcmp(pod->spec.containers.items[index].name, name))
			return &pod->spec.containers.items[index];
	for (size_t index = 0; index < pod->spec.init_containers.count; index++)
		if (!strcmp(pod->spec.init_containers.items[index].name, name))
			return &pod->spec.init_containers.items[index];
	return NULL;
}

int resource_field_value(struct arena *arena, const struct core_v1_pod *pod, const char *default_container,
                         const struct core_v1_resource_field_selector *selector, const struct field_facts *facts,
                         const char **ret_value, struct err *err)
{
	const char *name =
	        selector->container_name && *selector->container_name ? selector->container_name : default_container;
	const struct core_v1_container *container = name ? find_container(pod, name) : NULL;
	if (!container)
		return err_set(err, ERR_INVALID, "container %s not found", text_or_empty(name));
	const char *dot = strchr(selector->resource, '.');
	if (!dot)
		return err_set(err, ERR_INVALID, "unsupported container resource : %s", selector->resource);
	bool is_limit = !strncmp(selector->resource, "limits.", 7);
	const struct string_map *map = is_limit ? &container->resources.limits : &container->resources.requests;
	const char *text = string_map_get(map, dot + 1);
	bool is_cpu = !strcmp(dot + 1, "cpu");
	int64_t milli = text ? quantity_text_milli_value(text) : 0;
	int64_t value = text ? quantity_text_value(text) : 0;
	if (!text && is_limit && is_cpu)
		milli = facts->node_milli_cpu;
	if (!text && is_limit && !strcmp(dot + 1, "memory"))
		value = facts->node_memory_bytes;
	bool divided = selector->divisor && *selector->divisor && quantity_text_milli_value(selector->divisor) > 0;
	int64_t divisor_milli = divided ? quantity_text_milli_value(selector->divisor) : 1000;
	int64_t divisor = divided ? quantity_text_value(selector->divisor) : 1;
	int64_t result = is_cpu ? (milli + divisor_milli - 1) / divisor_milli : (value + divisor - 1) / divisor;
	*ret_value = arena_printf(arena, "%lld", (long long)result);
	return 0;
}

// --- $(VAR) -------------------------------------------------------------------------------

const char *expand_references(struct arena *arena, const char *text,
                              const char *(*lookup)(void *context, const char *name), void *context)
{
	if (!strchr(text, '$'))
		return text;
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(MAX_VALUE_BYTES);
	while (*text) {
		const char *close = text[0] == '$' && text[1] == '(' ? strchr(text, ')') : NULL;
		if (text[0] == '$' && text[1] == '$') {
			strbuf_append_char(&out, '$');
			text += 2;
		} else if (close) {
			const char *name = arena_strndup(arena, text + 2, (size_t)(close - text - 2));
			const char *value = lookup(context, name);
			if (value)
				strbuf_append_text(&out, value);
			else
				strbuf_append(&out, text, (size_t)(close - text + 1));
			text = close + 1;
		} else {
			strbuf_append_char(&out, *text++);
		}
	}
	return arena_strdup(arena, strbuf_text(&out));
}
