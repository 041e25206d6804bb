// SPDX-License-Identifier: Apache-2.0
// A bit for each built-in resource. The words of --runtime-config are applied in
// the order of their precision, whatever their order on the command line, as
// upstream does: all versions of a kind of stability, then single versions, then
// single resources. A resource that names a feature gate needs that one too: all
// such gates are off by default, so that neither flag alone brings it.

#include "apiserver/enabled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

struct enabled {
	bool *on; // as schema_resources
};

struct setting {
	const char *key;
	size_t key_length;
	bool value;
};

static int parse_setting(const char *flag, const char *text, struct setting *ret_setting, struct err *err)
{
	static const struct {
		const char *text;
		bool value;
	} values[] = {{"", true},       {"true", true}, {"1", true}, {"t", true},
	              {"false", false}, {"0", false},   {"f", false}};
	const char *equals = strchr(text, '=');
	const char *value = equals ? equals + 1 : "";

	ret_setting->key = text;
	ret_setting->key_length = equals ? (size_t)(equals - text) : strlen(text);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (!strcasecmp(values[i].text, value)) {
			ret_setting->value = values[i].value;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "invalid value \"%s\" for --%s: it must be true or false", text, flag);
}

// --- runtime-config ----------------------------------------------------------------

enum precision {
	PRECISION_ALL,
	PRECISION_STABILITY,
	PRECISION_VERSION,
	PRECISION_RESOURCE,
	PRECISION_COUNT_,
};

static bool key_is(const struct setting *setting, const char *text)
{
	return strlen(text) == setting->key_length && !memcmp(text, setting->key, setting->key_length);
}

static const char *stability_of(const char *version)
{
	return strstr(version, "alpha") ? "api/alpha" : strstr(version, "beta") ? "api/beta" : "api/ga";
}

// Whether a setting of this precision is about the resource.
static bool is_about(const struct setting *setting, enum precision precision, const struct schema_resource *resource)
{
	char name[256];

	switch (precision) {
	case PRECISION_ALL:
		return key_is(setting, "api/all");
	case PRECISION_STABILITY:
		return key_is(setting, stability_of(resource->version));
	case PRECISION_VERSION:
		snprintf(name, sizeof(name), "%s/%s", resource->group[0] ? resource->group : "api", resource->version);
		return key_is(setting, name) || (!resource->group[0] && key_is(setting, resource->version));
	case PRECISION_RESOURCE:
		snprintf(name, sizeof(name), "%s%s%s/%s", resource->group, resource->group[0] ? "/" : "",
		         resource->version, resource->plural);
		return key_is(setting, name);
	default:
		return false;
	}
}

static void apply_setting(struct enabled *enabled, const struct setting *setting, enum precision precision,
                          bool *ret_used)
{
	for (size_t i = 0; i < schema_resource_count; i++) {
		if (!is_about(setting, precision, schema_resources[i]))
			continue;
		*ret_used = true;
		// Only the aggregation layer serves what isn't stored and isn't made on the spot.
		if (strcmp(schema_resources[i]->group, "metrics.k8s.io") != 0)
			enabled->on[i] = setting->value;
	}
}

static int apply_runtime_config(struct enabled *enabled, const struct string_list *list, struct err *err)
{
	AUTO_FREE bool *used = xcalloc(list->count + 1, sizeof(*used));
	struct setting setting;
	int outcome;

	for (enum precision precision = 0; precision < PRECISION_COUNT_; precision++) {
		for (size_t i = 0; i < list->count; i++) {
			outcome = parse_setting("runtime-config", list->items[i], &setting, err);
			if (outcome < 0)
				return outcome;
			apply_setting(enabled, &setting, precision, &used[i]);
		}
	}
	for (size_t i = 0; i < list->count; i++)
		if (!used[i])
			return err_set(err, ERR_INVALID, "unknown api groups or versions in --runtime-config: %s",
			               list->items[i]);
	return 0;
}

// --- feature gates -----------------------------------------------------------------

struct gate {
	const char *name;
	bool beta; // else alpha; all are off by default
};

// Those that whole resources need.
static const struct gate gates[] = {
        {"ClusterTrustBundle", true},        {"CoordinatedLeaderElection", true}, {"DRADeviceTaints", false},
        {"DynamicResourceAllocation", true}, {"MutatingAdmissionPolicy", false},  {"StorageVersionAPI", false},
        {"StorageVersionMigrator", false},   {"VolumeAttributesClass", true},
};

// Gates of other parts are accepted as they are: kubelets and controllers get the same flag.
static int gate_is_on(const struct string_list *list, const struct gate *gate, bool *ret_on, struct err *err)
{
	const char *const all = gate->beta ? "AllBeta" : "AllAlpha";
	struct setting setting;
	int outcome;

	*ret_on = false;
	for (int single = 0; single < 2; single++) {
		for (size_t i = 0; i < list->count; i++) {
			outcome = parse_setting("feature-gates", list->items[i], &setting, err);
			if (outcome < 0)
				return outcome;
			if (key_is(&setting, single ? gate->name : all))
				*ret_on = setting.value;
		}
	}
	return 0;
}

static int apply_gates(struct enabled *enabled, const struct string_list *list, struct err *err)
{
	for (size_t g = 0; g < ARRAY_SIZE(gates); g++) {
		bool on;
		int outcome = gate_is_on(list, &gates[g], &on, err);

		if (outcome < 0)
			return outcome;
		for (size_t i = 0; !on && i < schema_resource_count; i++) {
			const char *needed = schema_resources[i]->feature_gate;

			if (needed && !strcmp(needed, gates[g].name))
				enabled->on[i] = false;
		}
	}
	return 0;
}

// --- the whole ---------------------------------------------------------------------

int enabled_new(const struct string_list *runtime_config, const struct string_list *feature_gates,
                struct enabled **ret_enabled, struct err *err)
{
	AUTO(enabled_free) struct enabled *enabled = NEW(struct enabled);
	int outcome;

	enabled->on = xcalloc(schema_resource_count, sizeof(*enabled->on));
	for (size_t i = 0; i < schema_resource_count; i++)
		enabled->on[i] = schema_resources[i]->enabled_by_default;
	outcome = apply_runtime_config(enabled, runtime_config, err);
	if (outcome == 0)
		outcome = apply_gates(enabled, feature_gates, err);
	if (outcome == 0)
		*ret_enabled = TAKE(enabled);
	return outcome;
}

struct enabled *enabled_free(struct enabled *enabled)
{
	if (!enabled)
		return NULL;
	free(enabled->on);
	free(enabled);
	return NULL;
}

bool enabled_has(const struct enabled *enabled, const struct schema_resource *resource)
{
	if (!enabled)
		return resource->enabled_by_default;
	for (size_t i = 0; i < schema_resource_count; i++)
		if (schema_resources[i] == resource)
			return enabled->on[i];
	return false;
}
