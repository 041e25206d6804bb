// SPDX-License-Identifier: Apache-2.0
// Of a KubeSchedulerConfiguration this takes what it can act on: the client's
// kubeconfig, leader election, back-offs, percentageOfNodesToScore and the names of
// the profiles. A profile that changes plug-ins is refused rather than ignored: a
// cluster would be scheduled otherwise than its owner wrote.

#include "scheduler/config.h"

#include <string.h>

#include "common/api/json.h"
#include "common/api/yaml.h"
#include "common/base/clock.h"
#include "common/base/file.h"

static const char *default_profiles[] = {"default-scheduler"};

void scheduler_config_init(struct scheduler_config *config, const struct leader_options *leader)
{
	*config = (struct scheduler_config){
	        .profile_names = default_profiles,
	        .profile_count = 1,
	        .initial_backoff_ns = NSEC_PER_SEC,
	        .max_backoff_ns = 10 * NSEC_PER_SEC,
	        .leader = *leader,
	};
}

static int take_duration(const struct json *object, const char *key, int64_t *place, struct err *err)
{
	const char *text = json_get_text(object, key);
	if (text && !duration_parse(text, place))
		return err_set(err, ERR_INVALID, "%s: Invalid value: \"%s\": not a duration", key, text);
	return 0;
}

static void take_text(struct arena *arena, const struct json *object, const char *key, const char **place)
{
	const char *text = json_get_text(object, key);
	if (text && text[0])
		*place = arena_strdup(arena, text);
}

static int take_seconds(const struct json *document, const char *key, int64_t *place_ns, struct err *err)
{
	int64_t seconds;
	if (!json_get_integer(document, key, &seconds))
		return 0;
	if (seconds < 1 || seconds > INT32_MAX)
		return err_set(err, ERR_INVALID, "%s: Invalid value: %lld: must be greater than 0", key,
		               (long long)seconds);
	*place_ns = seconds * NSEC_PER_SEC;
	return 0;
}

static int take_leader(struct arena *arena, const struct json *section, struct leader_options *leader, struct err *err)
{
	leader->enabled = json_get_bool(section, "leaderElect", leader->enabled);
	take_text(arena, section, "resourceLock", &leader->resource_lock);
	take_text(arena, section, "resourceName", &leader->resource_name);
	take_text(arena, section, "resourceNamespace", &leader->resource_namespace);
	if (take_duration(section, "leaseDuration", &leader->lease_duration_ns, err) < 0 ||
	    take_duration(section, "renewDeadline", &leader->renew_deadline_ns, err) < 0)
		return -err->code;
	return take_duration(section, "retryPeriod", &leader->retry_period_ns, err);
}

static int take_profile(struct arena *arena, const struct json *profile, size_t index, const char **ret_name,
                        struct err *err)
{
	*ret_name = default_profiles[0];
	take_text(arena, profile, "schedulerName", ret_name);
	const struct json *plugins = json_get(profile, "plugins");
	if (json_is(plugins, JSON_OBJECT) && plugins->length > 0)
		return err_set(err, ERR_INVALID,
		               "profiles[%zu].plugins: Forbidden: the set of plugins cannot be changed", index);
	const struct json *plugin_config = json_get(profile, "pluginConfig");
	if (json_is(plugin_config, JSON_ARRAY) && plugin_config->length > 0)
		return err_set(err, ERR_INVALID, "profiles[%zu].pluginConfig: Forbidden: plugins cannot be configured",
		               index);
	return 0;
}

static int take_profiles(struct arena *arena, const struct json *profiles, struct scheduler_config *config,
                         struct err *err)
{
	if (!json_is(profiles, JSON_ARRAY) || profiles->length == 0)
		return 0;
	config->profile_names = ARENA_ARRAY(arena, const char *, profiles->length);
	config->profile_count = 0;
	for (size_t i = 0; i < profiles->length; i++) {
		const char *name;
		if (take_profile(arena, profiles->items[i], i, &name, err) < 0)
			return -err->code;
		for (size_t k = 0; k < config->profile_count; k++)
			if (strcmp(config->profile_names[k], name) == 0)
				return err_set(err, ERR_INVALID, "profiles[%zu].schedulerName: Duplicate value: \"%s\"",
				               i, name);
		config->profile_names[config->profile_count++] = name;
	}
	return 0;
}

static int check_type(const char *path, const struct json *document, struct err *err)
{
	const char *version = json_get_text(document, "apiVersion");
	const char *kind = json_get_text(document, "kind");
	if (version && kind && strcmp(version, "kubescheduler.config.k8s.io/v1") == 0 &&
	    strcmp(kind, "KubeSchedulerConfiguration") == 0)
		return 0;
	return err_set(err, ERR_INVALID, "%s: no kind \"%s\" is registered for version \"%s\"", path, kind ? kind : "",
	               version ? version : "");
}

static int take_percentage(const struct json *document, struct scheduler_config *config, struct err *err)
{
	int64_t percentage;
	if (!json_get_integer(document, "percentageOfNodesToScore", &percentage))
		return 0;
	if (percentage < 0 || percentage > 100)
		return err_set(err, ERR_INVALID,
		               "percentageOfNodesToScore: Invalid value: %lld: not in valid range [0-100]",
		               (long long)percentage);
	config->percentage_of_nodes = (int)percentage;
	return 0;
}

int scheduler_config_load(struct arena *arena, const char *path, struct scheduler_config *config, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	struct yaml_document *documents;
	size_t count;
	if (file_read(path, &text, err) < 0)
		return -err->code;
	if (yaml_parse(arena, strbuf_text(&text), text.length, NULL, &documents, &count, err) < 0)
		return err_wrap(err, "%s", path);
	const struct json *document = count ? documents[0].value : NULL;
	if (check_type(path, document, err) < 0 || take_percentage(document, config, err) < 0 ||
	    take_seconds(document, "podInitialBackoffSeconds", &config->initial_backoff_ns, err) < 0 ||
	    take_seconds(document, "podMaxBackoffSeconds", &config->max_backoff_ns, err) < 0 ||
	    take_leader(arena, json_get(document, "leaderElection"), &config->leader, err) < 0)
		return -err->code;
	if (config->max_backoff_ns < config->initial_backoff_ns)
		return err_set(err, ERR_INVALID,
		               "podMaxBackoffSeconds: Invalid value: %lld: must be greater than or equal to "
		               "PodInitialBackoffSeconds",
		               (long long)(config->max_backoff_ns / NSEC_PER_SEC));
	take_text(arena, json_get(document, "clientConnection"), "kubeconfig", &config->kubeconfig);
	return take_profiles(arena, json_get(document, "profiles"), config, err);
}
