// SPDX-License-Identifier: Apache-2.0
// Containers: images, ports, environment, mounts, probes, resources, security.

#include <string.h>

#include "apiserver/server.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/quantity.h"

enum container_kind {
	CONTAINER_MAIN,
	CONTAINER_INIT,
	CONTAINER_EPHEMERAL,
};

struct container_scope {
	const struct json *spec;
	enum container_kind kind;
	bool is_template;
};

// --- resources --------------------------------------------------------------------------------

static bool is_standard_resource(const char *name)
{
	static const char *const names[] = {"cpu", "memory", "ephemeral-storage"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strncmp(name, "hugepages-", 10);
}

static bool may_overcommit(const char *name)
{
	return is_standard_resource(name) && strncmp(name, "hugepages-", 10);
}

static void validate_resource_name(struct validation *v, const char *name, const struct rule_path *path)
{
	size_t before = v->count;

	validation_string(v, path, name, check_qualified_name);
	if (strchr(name, '/') || is_standard_resource(name))
		return;
	if (v->count == before)
		validation_invalid_text(v, path, name, "must be a standard resource type or fully qualified");
	validation_invalid_text(v, path, name, "must be a standard resource for containers");
}

static bool read_quantity(const struct json *value, struct quantity *ret_quantity)
{
	return json_text(value) && quantity_parse(json_text(value), ret_quantity, NULL) == 0;
}

static const char *quantity_text(struct arena *arena, const struct quantity *quantity)
{
	char text[QUANTITY_TEXT_BYTES];

	quantity_format(quantity, text);
	return arena_strdup(arena, text);
}

static void validate_amounts(struct validation *v, const struct json *amounts, const struct rule_path *path)
{
	json_for_each_member (amount, amounts) {
		struct rule_path item = FIELD_KEY(path, amount->key);
		struct quantity quantity;

		validate_resource_name(v, amount->key, &item);
		if (!read_quantity(amount->value, &quantity))
			continue;
		if (quantity.nano < 0)
			validation_invalid_text(v, &item, quantity_text(v->arena, &quantity),
			                        "must be greater than or equal to 0");
		else if (strchr(amount->key, '/') && quantity.nano % 1000000000)
			validation_invalid_text(v, &item, quantity_text(v->arena, &quantity), "must be an integer");
	}
}

static void compare_amounts(struct validation *v, const struct json *requests, const struct json *limits,
                            const struct rule_path *path)
{
	struct rule_path requests_path = FIELD(path, "requests"), limits_path = FIELD(path, "limits");

	json_for_each_member (request, requests) {
		const struct json *limit = json_get(limits, request->key);
		struct quantity asked, allowed;

		if (!read_quantity(request->value, &asked))
			continue;
		if (!read_quantity(limit, &allowed)) {
			if (!may_overcommit(request->key))
				validation_required(v, &limits_path,
				                    "Limit must be set for non overcommitable resources");
			continue;
		}
		if (quantity_compare(&asked, &allowed) > 0)
			validation_invalid_text(v, &requests_path, quantity_text(v->arena, &asked),
			                        arena_printf(v->arena, "must be less than or equal to %s limit of %s",
			                                     request->key, quantity_text(v->arena, &allowed)));
		else if (!may_overcommit(request->key) && quantity_compare(&asked, &allowed))
			validation_invalid_text(v, &requests_path, quantity_text(v->arena, &asked),
			                        arena_printf(v->arena, "must be equal to %s limit of %s", request->key,
			                                     quantity_text(v->arena, &allowed)));
	}
}

void validate_resources(struct validation *v, const struct json *resources, const struct rule_path *path)
{
	const struct json *limits = json_get(resources, "limits"), *requests = json_get(resources, "requests");
	struct rule_path limits_path = FIELD(path, "limits"), requests_path = FIELD(path, "requests");

	validate_amounts(v, limits, &limits_path);
	validate_amounts(v, requests, &requests_path);
	compare_amounts(v, requests, limits, path);
}

// --- ports -----------------------------------------------------------------------------------------

static void validate_ports(struct validation *v, const struct json *container, const struct container_scope *scope,
                           const struct rule_path *path)
{
	static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
	bool host_network = json_get_bool(scope->spec, "hostNetwork", false);
	const struct json *ports = json_get(container, "ports");
	uint32_t index = 0;

	json_for_each_item (port, ports) {
		struct rule_path item = FIELD_INDEX(path, index++), number = FIELD(&item, "containerPort"),
		                 host = FIELD(&item, "hostPort"), name = FIELD(&item, "name"),
		                 protocol = FIELD(&item, "protocol");
		int64_t container_port = integer_of(port, "containerPort", 0),
		        host_port = integer_of(port, "hostPort", 0);

		if (text_of(port, "name")[0])
			validation_string(v, &name, text_of(port, "name"), check_port_name);
		for (uint32_t before = 0; before + 1 < index; before++)
			if (text_of(port, "name")[0] &&
			    !strcmp(text_of(ports->items[before], "name"), text_of(port, "name")))
				validation_duplicate(v, &name, json_get(port, "name"));
		if (!container_port)
			validation_required(v, &number, "");
		else
			validation_range(v, &number, json_get(port, "containerPort"), 1, 65535);
		if (host_port)
			validation_range(v, &host, json_get(port, "hostPort"), 1, 65535);
		if (host_network && host_port != container_port)
			validation_invalid(v, &number, json_get(port, "containerPort"),
			                   "must match `hostPort` when `hostNetwork` is true");
		validation_one_of(v, &protocol, json_get(port, "protocol"), true, protocols);
	}
}

// --- environment --------------------------------------------------------------------------------------

static void validate_key_ref(struct validation *v, const struct json *ref, const struct rule_path *path)
{
	struct rule_path name = FIELD(path, "name"), key = FIELD(path, "key");

	if (text_of(ref, "name")[0])
		validation_string(v, &name, text_of(ref, "name"), check_dns_subdomain);
	if (!text_of(ref, "key")[0])
		validation_required(v, &key, "");
	else
		validation_string(v, &key, text_of(ref, "key"), check_config_key);
}

static void validate_field_ref(struct validation *v, const struct json *ref, const struct rule_path *path)
{
	static const char *const supported[] = {
	        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
	        "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs", NULL};
	// Known, but not as an environment variable's source.
	static const char *const known[] = {"metadata.annotations", "metadata.labels", "spec.restartPolicy",
	                                    "spec.schedulerName", "status.phase"};
	struct rule_path field = FIELD(path, "fieldPath");
	const char *text = text_of(ref, "fieldPath");

	if (!text[0]) {
		validation_required(v, &field, "");
		return;
	}
	if (!strncmp(text, "metadata.labels['", 17) || !strncmp(text, "metadata.annotations['", 22))
		return;
	for (size_t i = 0; supported[i]; i++)
		if (!strcmp(text, supported[i]))
			return;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(text, known[i])) {
			validation_not_supported(v, &field, text, supported);
			return;
		}
	validation_invalid_text(
	        v, &field, text,
	        arena_printf(v->arena, "error converting fieldPath: field label not supported: %s", text));
}

static void validate_value_from(struct validation *v, const struct json *env, const struct rule_path *path)
{
	static const char *const members[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"};
	const struct json *from = json_get(env, "valueFrom");
	struct rule_path own = FIELD(path, "valueFrom");
	size_t sources = 0;

	if (!is_present(from))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct json *source = json_get(from, members[i]);
		struct rule_path source_path = FIELD(&own, members[i]);

		if (!is_present(source))
			continue;
		sources++;
		if (i == 0)
			validate_field_ref(v, source, &source_path);
		else if (i > 1)
			validate_key_ref(v, source, &source_path);
	}
	if (!sources)
		validation_invalid_text(v, &own, "",
		                        "must specify one of: `fieldRef`, `resourceFieldRef`, "
		                        "`configMapKeyRef` or `secretKeyRef`");
	else if (text_of(env, "value")[0])
		validation_invalid_text(v, &own, "", "may not be specified when `value` is not empty");
	else if (sources > 1)
		validation_invalid_text(v, &own, "", "may not have more than one field specified at a time");
}

static void validate_env(struct validation *v, const struct json *container, const struct rule_path *path)
{
	struct rule_path env = FIELD(path, "env"), from = FIELD(path, "envFrom");
	uint32_t index = 0;

	json_for_each_item (item, json_get(container, "env")) {
		struct rule_path entry = FIELD_INDEX(&env, index++), name = FIELD(&entry, "name");

		if (!text_of(item, "name")[0])
			validation_required(v, &name, "");
		else
			validation_string(v, &name, text_of(item, "name"), check_env_name);
		validate_value_from(v, item, &entry);
	}
	index = 0;
	json_for_each_item (item, json_get(container, "envFrom")) {
		struct rule_path entry = FIELD_INDEX(&from, index++);
		bool map = is_present(json_get(item, "configMapRef")), secret = is_present(json_get(item, "secretRef"));

		if (!map && !secret)
			validation_invalid_text(v, &entry, "", "must specify one of: `configMapRef` or `secretRef`");
		else if (map && secret)
			validation_invalid_text(v, &entry, "", "may not have more than one field specified at a time");
	}
}

// --- mounts ------------------------------------------------------------------------------------------

static bool has_volume(const struct json *spec, const char *name)
{
	json_for_each_item (volume, json_get(spec, "volumes"))
		if (!strcmp(text_of(volume, "name"), name))
			return true;
	return false;
}

static void validate_sub_path(struct validation *v, const struct json *mount, const char *member,
                              const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);
	const char *text = text_of(mount, member);

	if (!text[0])
		return;
	if (text[0] == '/')
		validation_invalid_text(v, &path, text, "must be a relative path");
	else if (has_dot_dot(text))
		validation_invalid_text(v, &path, text, "must not contain '..'");
}

static void validate_mounts(struct validation *v, const struct json *container, const struct container_scope *scope,
                            const struct rule_path *path)
{
	const struct json *mounts = json_get(container, "volumeMounts");
	bool privileged = json_get_bool(json_get(container, "securityContext"), "privileged", false);
	uint32_t index = 0;

	json_for_each_item (mount, mounts) {
		struct rule_path item = FIELD_INDEX(path, index++), name = FIELD(&item, "name"),
		                 where = FIELD(&item, "mountPath"), propagation = FIELD(&item, "mountPropagation");

		if (!text_of(mount, "name")[0])
			validation_required(v, &name, "");
		else if (!has_volume(scope->spec, text_of(mount, "name")) && !scope->is_template)
			validation_not_found(v, &name, text_of(mount, "name"));
		else if (!has_volume(scope->spec, text_of(mount, "name")) &&
		         strcmp(v->change->resource->plural, "statefulsets"))
			validation_not_found(v, &name, text_of(mount, "name"));
		if (!text_of(mount, "mountPath")[0])
			validation_required(v, &where, "");
		for (uint32_t before = 0; before + 1 < index; before++)
			if (text_of(mount, "mountPath")[0] &&
			    !strcmp(text_of(mounts->items[before], "mountPath"), text_of(mount, "mountPath"))) {
				validation_invalid_text(v, &where, text_of(mount, "mountPath"), "must be unique");
				break;
			}
		validate_sub_path(v, mount, "subPath", &item);
		validate_sub_path(v, mount, "subPathExpr", &item);
		if (!strcmp(text_of(mount, "mountPropagation"), "Bidirectional") && !privileged)
			validation_forbidden(
			        v, &propagation,
			        "Bidirectional mount propagation is available only to privileged containers");
	}
}

// --- probes ------------------------------------------------------------------------------------------

static void validate_port_reference(struct validation *v, const struct json *port, const struct rule_path *path)
{
	if (json_is(port, JSON_INTEGER))
		validation_range(v, path, port, 1, 65535);
	else if (json_text(port))
		validation_string(v, path, json_text(port), check_port_name);
	else
		validation_required(v, path, "");
}

static void validate_handler(struct validation *v, const struct json *handler, const struct rule_path *path,
                             bool lifecycle)
{
	static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
	static const char *const members[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};
	struct rule_path exec = FIELD(path, "exec"), command = FIELD(&exec, "command"), http = FIELD(path, "httpGet"),
	                 http_port = FIELD(&http, "port"), scheme = FIELD(&http, "scheme"),
	                 http_path = FIELD(&http, "path"), tcp = FIELD(path, "tcpSocket"),
	                 tcp_port = FIELD(&tcp, "port");
	const struct json *get = json_get(handler, "httpGet");
	size_t handlers = 0;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (is_present(json_get(handler, members[i]))) {
			struct rule_path member = FIELD(path, members[i]);

			if (++handlers > 1)
				validation_forbidden(v, &member, "may not specify more than 1 handler type");
		}
	if (!handlers)
		validation_required(v, path, "must specify a handler type");
	(void)lifecycle;
	if (is_present(json_get(handler, "exec")) && !length_of(json_path(handler, "exec", "command")))
		validation_required(v, &command, "");
	if (is_present(get)) {
		if (!text_of(get, "path")[0])
			validation_required(v, &http_path, "");
		validate_port_reference(v, json_get(get, "port"), &http_port);
		validation_one_of(v, &scheme, json_get(get, "scheme"), false, schemes);
	}
	if (is_present(json_get(handler, "tcpSocket")))
		validate_port_reference(v, json_path(handler, "tcpSocket", "port"), &tcp_port);
}

static void validate_probe(struct validation *v, const struct json *container, const char *member, bool only_once,
                           const struct rule_path *parent)
{
	static const char *const counters[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
	                                       "successThreshold", "failureThreshold"};
	const struct json *probe = json_get(container, member);
	struct rule_path path = FIELD(parent, member), success = FIELD(&path, "successThreshold");

	if (!is_present(probe))
		return;
	validate_handler(v, probe, &path, false);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		struct rule_path counter = FIELD(&path, counters[i]);

		validation_not_negative(v, &counter, json_get(probe, counters[i]));
	}
	if (only_once && integer_of(probe, "successThreshold", 1) != 1)
		validation_invalid(v, &success, json_get(probe, "successThreshold"), "must be 1");
	if (!only_once && is_present(json_get(probe, "terminationGracePeriodSeconds"))) {
		struct rule_path grace = FIELD(&path, "terminationGracePeriodSeconds");

		validation_invalid(v, &grace, json_get(probe, "terminationGracePeriodSeconds"),
		                   "must not be set for readinessProbes");
	}
}

static void validate_lifecycle(struct validation *v, const struct json *container, const struct rule_path *parent)
{
	static const char *const hooks[] = {"postStart", "preStop"};
	struct rule_path path = FIELD(parent, "lifecycle");

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		const struct json *hook = json_path(container, "lifecycle", hooks[i]);
		struct rule_path hook_path = FIELD(&path, hooks[i]);

		if (is_present(hook))
			validate_handler(v, hook, &hook_path, true);
	}
}

// --- security ----------------------------------------------------------------------------------------

static void validate_container_security(struct validation *v, const struct json *container,
                                        const struct rule_path *parent)
{
	const struct json *context = json_get(container, "securityContext");
	struct rule_path path = FIELD(parent, "securityContext"), privileged = FIELD(&path, "privileged"),
	                 user = FIELD(&path, "runAsUser"), group = FIELD(&path, "runAsGroup");
	bool is_privileged = json_get_bool(context, "privileged", false);

	if (is_privileged && !v->change->server->config->allow_privileged)
		validation_forbidden(v, &privileged, "disallowed by cluster policy");
	validation_range(v, &user, json_get(context, "runAsUser"), 0, 2147483647);
	validation_range(v, &group, json_get(context, "runAsGroup"), 0, 2147483647);
	if (is_present(json_get(context, "allowPrivilegeEscalation")) &&
	    !json_get_bool(context, "allowPrivilegeEscalation", true) && is_privileged)
		validation_invalid(v, &path, context,
		                   "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
}

// --- the container -----------------------------------------------------------------------------------

static void validate_image(struct validation *v, const struct json *container, const struct container_scope *scope,
                           const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "image");
	const char *image = text_of(container, "image");
	size_t length = strlen(image);

	if (!length)
		validation_required(v, &path, "");
	else if (!scope->is_template && (strspn(image, " \t\n") || strchr(" \t\n", image[length - 1])))
		validation_invalid_text(v, &path, image, "must not have leading or trailing whitespace");
}

static void validate_init_rules(struct validation *v, const struct json *container, const struct rule_path *path)
{
	static const char *const forbidden[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
	bool sidecar = !strcmp(text_of(container, "restartPolicy"), "Always");
	static const char *const policies[] = {"Always", NULL};
	struct rule_path policy = FIELD(path, "restartPolicy");

	validation_one_of(v, &policy, json_get(container, "restartPolicy"), false, policies);
	for (size_t i = 0; !sidecar && i < ARRAY_SIZE(forbidden); i++) {
		struct rule_path member = FIELD(path, forbidden[i]);

		if (is_present(json_get(container, forbidden[i])))
			validation_forbidden(v, &member,
			                     "may not be set for init containers without restartPolicy=Always");
	}
}

static void validate_container(struct validation *v, const struct json *container, const struct container_scope *scope,
                               const struct rule_path *path)
{
	static const char *const pull[] = {"Always", "IfNotPresent", "Never", NULL};
	static const char *const termination[] = {"File", "FallbackToLogsOnError", NULL};
	struct rule_path name = FIELD(path, "name"), pull_path = FIELD(path, "imagePullPolicy"),
	                 termination_path = FIELD(path, "terminationMessagePolicy"), ports = FIELD(path, "ports"),
	                 mounts = FIELD(path, "volumeMounts"), resources = FIELD(path, "resources"),
	                 policy = FIELD(path, "restartPolicy");

	if (!text_of(container, "name")[0])
		validation_required(v, &name, "");
	else
		validation_string(v, &name, text_of(container, "name"), check_dns_label);
	validate_image(v, container, scope, path);
	validation_one_of(v, &termination_path, json_get(container, "terminationMessagePolicy"), true, termination);
	validation_one_of(v, &pull_path, json_get(container, "imagePullPolicy"), true, pull);
	validate_ports(v, container, scope, &ports);
	validate_env(v, container, path);
	validate_mounts(v, container, scope, &mounts);
	validate_resources(v, json_get(container, "resources"), &resources);
	validate_container_security(v, container, path);
	if (scope->kind == CONTAINER_INIT)
		validate_init_rules(v, container, path);
	else if (is_present(json_get(container, "restartPolicy")))
		validation_forbidden(v, &policy, "may not be set for non-init containers");
	validate_lifecycle(v, container, path);
	validate_probe(v, container, "livenessProbe", true, path);
	validate_probe(v, container, "readinessProbe", false, path);
	validate_probe(v, container, "startupProbe", true, path);
}

// Names are unique over all three lists.
static bool name_is_taken(const struct json *spec, const struct json *container)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (other, json_get(spec, lists[i])) {
			if (other == container)
				return false;
			if (!strcmp(text_of(other, "name"), text_of(container, "name")))
				return true;
		}
	return false;
}

static void validate_host_ports(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	struct rule_path containers = FIELD(path, "containers");
	uint32_t index = 0;

	json_for_each_item (container, json_get(spec, "containers")) {
		struct rule_path item = FIELD_INDEX(&containers, index++), ports = FIELD(&item, "ports");
		uint32_t port_index = 0;

		json_for_each_item (port, json_get(container, "ports")) {
			struct rule_path entry = FIELD_INDEX(&ports, port_index++), host = FIELD(&entry, "hostPort");
			bool seen = false, done = false;

			if (!integer_of(port, "hostPort", 0))
				continue;
			json_for_each_item (other_container, json_get(spec, "containers"))
				json_for_each_item (other, json_get(other_container, "ports")) {
					done |= other == port;
					seen |= !done &&
					        integer_of(other, "hostPort", 0) == integer_of(port, "hostPort", 0) &&
					        !strcmp(text_of(other, "protocol"), text_of(port, "protocol")) &&
					        !strcmp(text_of(other, "hostIP"), text_of(port, "hostIP"));
				}
			if (seen)
				validation_duplicate(v, &host, json_get(port, "hostPort"));
		}
	}
}

void validate_containers(struct validation *v, const struct json *spec, const struct rule_path *path, bool is_template)
{
	static const struct {
		const char *list;
		enum container_kind kind;
	} lists[] = {{"containers", CONTAINER_MAIN}, {"initContainers", CONTAINER_INIT}};
	struct rule_path containers = FIELD(path, "containers");

	if (!length_of(json_get(spec, "containers")))
		validation_required(v, &containers, "");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct container_scope scope = {spec, lists[i].kind, is_template};
		struct rule_path list = FIELD(path, lists[i].list);
		uint32_t index = 0;

		json_for_each_item (container, json_get(spec, lists[i].list)) {
			struct rule_path item = FIELD_INDEX(&list, index++), name = FIELD(&item, "name");

			validate_container(v, container, &scope, &item);
			if (text_of(container, "name")[0] && name_is_taken(spec, container))
				validation_duplicate(v, &name, json_get(container, "name"));
		}
	}
	validate_host_ports(v, spec, path);
}
