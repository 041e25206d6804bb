// SPDX-License-Identifier: Apache-2.0
// Probes and lifecycle hooks.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

static void validate_http(struct validation *v, const struct json *http, const struct rule_path *path)
{
	static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
	struct rule_path port = FIELD(path, "port"), scheme = FIELD(path, "scheme"),
	                 headers = FIELD(path, "httpHeaders");

	rule_required_text(v, http, "path", path, NULL);
	rule_port_reference(v, json_get(http, "port"), &port);
	if (!is_one_of(text_of(http, "scheme"), schemes))
		validation_not_supported(v, &scheme, text_of(http, "scheme"), schemes);
	json_for_each_item (header, json_get(http, "httpHeaders"))
		validation_string(v, &headers, text_of(header, "name"), check_http_header_name);
}

static void validate_sleep(struct validation *v, const struct json *sleep, const struct pod_scope *scope,
                           const struct rule_path *path)
{
	const struct json *grace = json_get(scope->spec, "terminationGracePeriodSeconds");
	int64_t seconds = integer_of(sleep, "seconds", 0);

	if (!json_is(grace, JSON_INTEGER) || (seconds >= 0 && seconds <= grace->integer))
		return;
	validation_invalid_integer(
	        v, path, seconds,
	        arena_printf(v->arena, "must be non-negative and less than terminationGracePeriodSeconds (%lld)",
	                     (long long)grace->integer));
}

static void validate_action(struct validation *v, const struct json *action, const struct pod_scope *scope,
                            const struct rule_path *path)
{
	struct rule_path command = FIELD(path, "command"), port = FIELD(path, "port");

	if (!strcmp(path->name, "exec") && !length_of(json_get(action, "command")))
		validation_required(v, &command, "");
	else if (!strcmp(path->name, "httpGet"))
		validate_http(v, action, path);
	else if (!strcmp(path->name, "tcpSocket"))
		rule_port_reference(v, json_get(action, "port"), &port);
	else if (!strcmp(path->name, "grpc"))
		validation_range(v, &port, json_integer(v->arena, integer_of(action, "port", 0)), 1, 65535);
	else if (!strcmp(path->name, "sleep"))
		validate_sleep(v, action, scope, path);
}

static void validate_handler(struct validation *v, const struct json *handler, const struct pod_scope *scope,
                             const struct rule_path *path)
{
	static const char *const actions[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		const struct json *action = json_get(handler, actions[i]);
		struct rule_path own = FIELD(path, actions[i]);

		if (!is_present(action))
			continue;
		if (++count > 1)
			validation_forbidden(v, &own, "may not specify more than 1 handler type");
		else
			validate_action(v, action, scope, &own);
	}
	if (!count)
		validation_required(v, path, "must specify a handler type");
}

static void validate_probe(struct validation *v, const struct json *container, const char *member,
                           const struct pod_scope *scope, const struct rule_path *parent)
{
	static const char *const counters[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
	                                       "successThreshold", "failureThreshold"};
	const struct json *probe = json_get(container, member), *success = json_get(probe, "successThreshold");
	struct rule_path path = FIELD(parent, member), success_path = FIELD(&path, "successThreshold"),
	                 grace = FIELD(&path, "terminationGracePeriodSeconds");

	if (!is_present(probe))
		return;
	validate_handler(v, probe, scope, &path);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		rule_not_negative(v, probe, counters[i], &path);
	rule_at_least(v, probe, "terminationGracePeriodSeconds", &path, 1, "must be greater than 0");
	if (strcmp(member, "readinessProbe")) {
		if (json_is(success, JSON_INTEGER) && success->integer != 1)
			validation_invalid(v, &success_path, success, "must be 1");
	} else if (is_present(json_get(probe, "terminationGracePeriodSeconds"))) {
		validation_invalid(v, &grace, json_get(probe, "terminationGracePeriodSeconds"),
		                   "must not be set for readinessProbes");
	}
}

void validate_container_handlers(struct validation *v, const struct json *container, const struct pod_scope *scope,
                                 const struct rule_path *path)
{
	static const char *const hooks[] = {"postStart", "preStop"};
	struct rule_path lifecycle = FIELD(path, "lifecycle");

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		const struct json *hook = json_path(container, "lifecycle", hooks[i]);
		struct rule_path hook_path = FIELD(&lifecycle, hooks[i]);

		if (is_present(hook))
			validate_handler(v, hook, scope, &hook_path);
	}
	validate_probe(v, container, "livenessProbe", scope, path);
	validate_probe(v, container, "readinessProbe", scope, path);
	validate_probe(v, container, "startupProbe", scope, path);
}
