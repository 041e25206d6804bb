// SPDX-License-Identifier: Apache-2.0
// The three lists of containers: what all have in common, then what each list
// takes or refuses. A name is judged against the lists before its own, so that
// one clash is one error.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

// --- ports -----------------------------------------------------------------------------------------

static void validate_ports(struct validation *v, const struct json *container, const struct rule_path *parent)
{
	static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
	const struct json *ports = json_get(container, "ports");
	struct rule_path path = FIELD(parent, "ports");

	rule_for_each_item (port, entry, ports, &path) {
		struct rule_path number = FIELD(&entry, "containerPort"), name = FIELD(&entry, "name");
		size_t before = v->count;

		rule_text(v, port, "name", &entry, check_port_name);
		if (before == v->count && text_of(port, "name")[0] && text_repeats(ports, entry.index, "name"))
			validation_duplicate(v, &name, json_get(port, "name"));
		if (!integer_of(port, "containerPort", 0))
			validation_required(v, &number, "");
		else
			rule_range(v, port, "containerPort", &entry, 1, 65535);
		if (integer_of(port, "hostPort", 0))
			rule_range(v, port, "hostPort", &entry, 1, 65535);
		rule_one_of(v, port, "protocol", &entry, true, protocols);
	}
}

static bool takes_same_host_port(const struct json *a, const struct json *b)
{
	return integer_of(a, "hostPort", 0) == integer_of(b, "hostPort", 0) &&
	       text_is(a, "protocol", text_of(b, "protocol")) && text_is(a, "hostIP", text_of(b, "hostIP"));
}

// Containers `from` to `to` of the list share the host's ports.
static bool host_port_is_taken(const struct json *containers, uint32_t from, uint32_t to, const struct json *wanted)
{
	for (uint32_t i = from; i <= to; i++)
		json_for_each_item (port, json_get(containers->items[i], "ports")) {
			if (port == wanted)
				return false;
			if (takes_same_host_port(port, wanted))
				return true;
		}
	return false;
}

static void validate_host_ports(struct validation *v, const struct json *containers, bool together,
                                const struct rule_path *path)
{
	rule_for_each_item (container, entry, containers, path) {
		// Init containers run one by one; their errors all stand at the first.
		struct rule_path shown = FIELD_INDEX(path, together ? entry.index : 0), ports = FIELD(&shown, "ports");

		rule_for_each_item (port, port_entry, json_get(container, "ports"), &ports) {
			struct rule_path host = FIELD(&port_entry, "hostPort");
			int64_t number = integer_of(port, "hostPort", 0);

			if (number && host_port_is_taken(containers, together ? 0 : entry.index, entry.index, port))
				validation_duplicate(
				        v, &host,
				        json_string(v->arena,
				                    arena_printf(v->arena, "%s/%s/%lld", text_of(port, "protocol"),
				                                 text_of(port, "hostIP"), (long long)number)));
		}
	}
}

static void validate_host_network(struct validation *v, const struct pod_scope *scope, const struct rule_path *path)
{
	struct rule_path list = FIELD(path, "containers");

	if (!json_get_bool(scope->spec, "hostNetwork", false))
		return;
	rule_for_each_item (container, entry, json_get(scope->spec, "containers"), &list) {
		struct rule_path ports = FIELD(&entry, "ports");

		rule_for_each_item (port, port_entry, json_get(container, "ports"), &ports) {
			struct rule_path host = FIELD(&port_entry, "hostPort");
			int64_t of_host = integer_of(port, "hostPort", 0);

			if ((!scope->is_template || of_host) && of_host != integer_of(port, "containerPort", 0))
				validation_invalid_integer(v, &host, of_host,
				                           "must match `containerPort` when `hostNetwork` is true");
		}
	}
}

// --- what all containers have -----------------------------------------------------------------------

static void validate_resize_policies(struct validation *v, const struct json *container, const struct pod_scope *scope,
                                     const struct rule_path *parent)
{
	static const char *const resources[] = {"cpu", "memory", NULL};
	static const char *const policies[] = {"NotRequired", "RestartContainer", NULL};
	const struct json *list = json_get(container, "resizePolicy");
	struct rule_path path = FIELD(parent, "resizePolicy");

	rule_for_each_item (policy, entry, list, &path) {
		if (text_repeats(list, entry.index, "resourceName"))
			validation_duplicate(v, &entry, json_get(policy, "resourceName"));
		validation_one_of(v, &path, json_get(policy, "resourceName"), true, resources);
		validation_one_of(v, &path, json_get(policy, "restartPolicy"), true, policies);
		if (text_is(scope->spec, "restartPolicy", "Never") && !text_is(policy, "restartPolicy", "NotRequired"))
			validation_invalid(v, &path, json_get(policy, "restartPolicy"),
			                   "must be 'NotRequired' when `restartPolicy` is 'Never'");
	}
}

static void validate_common(struct validation *v, const struct json *container, const struct pod_scope *scope,
                            const struct rule_path *path)
{
	static const char *const pulls[] = {"Always", "IfNotPresent", "Never", NULL};
	static const char *const messages[] = {"File", "FallbackToLogsOnError", NULL};
	struct rule_path resources = FIELD(path, "resources");

	rule_required_text(v, container, "name", path, check_dns_label);
	rule_required_text(v, container, "image", path, NULL);
	rule_one_of(v, container, "terminationMessagePolicy", path, true, messages);
	validate_ports(v, container, path);
	validate_container_environment(v, container, path);
	validate_container_mounts(v, container, scope, path);
	rule_one_of(v, container, "imagePullPolicy", path, true, pulls);
	validate_resource_requirements(v, json_get(container, "resources"), scope->spec, &resources);
	validate_resize_policies(v, container, scope, path);
	validate_container_security(v, container, scope, path);
}

static void validate_image_padding(struct validation *v, const struct json *container, const struct rule_path *parent)
{
	static const char *const blanks = " \t\n\v\f\r";
	const char *image = text_of(container, "image");
	struct rule_path path = FIELD(parent, "image");

	if (image[0] && (strchr(blanks, image[0]) || strchr(blanks, image[strlen(image) - 1])))
		validation_invalid_text(v, &path, image, "must not have leading or trailing whitespace");
}

// --- the lists --------------------------------------------------------------------------------------

static bool list_names(const struct json *list, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count && i < length_of(list); i++)
		if (text_is(list->items[i], "name", name))
			return true;
	return false;
}

static void unique_name(struct validation *v, const struct pod_scope *scope, const struct json *container,
                        enum container_kind kind, const struct rule_path *entry)
{
	static const char *const lists[] = {[CONTAINER_MAIN] = "containers",
	                                    [CONTAINER_INIT] = "initContainers",
	                                    [CONTAINER_EPHEMERAL] = "ephemeralContainers"};
	struct rule_path path = FIELD(entry, "name");
	bool taken = false;

	for (int i = 0; i <= (int)kind; i++)
		taken |= list_names(json_get(scope->spec, lists[i]), i == (int)kind ? entry->index : UINT32_MAX,
		                    text_of(container, "name"));
	if (taken && text_of(container, "name")[0])
		validation_duplicate(v, &path, json_get(container, "name"));
}

static void validate_main(struct validation *v, const struct pod_scope *scope, const struct rule_path *parent)
{
	const struct json *containers = json_get(scope->spec, "containers");
	struct rule_path path = FIELD(parent, "containers");

	if (!length_of(containers))
		validation_required(v, &path, "");
	rule_for_each_item (container, entry, containers, &path) {
		validate_common(v, container, scope, &entry);
		unique_name(v, scope, container, CONTAINER_MAIN, &entry);
		validate_container_handlers(v, container, scope, &entry);
		rule_forbidden(v, container, "restartPolicy", &entry, "may not be set for non-init containers");
	}
	validate_host_ports(v, containers, true, &path);
}

static void validate_init(struct validation *v, const struct pod_scope *scope, const struct rule_path *parent)
{
	static const char *const forbidden[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
	static const char *const policies[] = {"Always", NULL};
	const struct json *containers = json_get(scope->spec, "initContainers");
	struct rule_path path = FIELD(parent, "initContainers");

	rule_for_each_item (container, entry, containers, &path) {
		bool sidecar = text_is(container, "restartPolicy", "Always");

		validate_common(v, container, scope, &entry);
		rule_one_of(v, container, "restartPolicy", &entry, false, policies);
		unique_name(v, scope, container, CONTAINER_INIT, &entry);
		if (sidecar)
			validate_container_handlers(v, container, scope, &entry);
		for (size_t i = 0; !sidecar && i < ARRAY_SIZE(forbidden); i++)
			rule_forbidden(v, container, forbidden[i], &entry,
			               "may not be set for init containers without restartPolicy=Always");
		struct rule_path resize = FIELD(&entry, "resizePolicy");

		if (!sidecar && length_of(json_get(container, "resizePolicy")))
			validation_invalid(v, &resize, json_get(container, "resizePolicy"),
			                   "must not be set for init containers");
	}
	validate_host_ports(v, containers, false, &path);
}

static void validate_ephemeral(struct validation *v, const struct pod_scope *scope, const struct rule_path *parent)
{
	static const char *const forbidden[] = {"ports",     "livenessProbe", "readinessProbe", "startupProbe",
	                                        "lifecycle", "resizePolicy",  "restartPolicy"};
	const struct json *spec = scope->spec;
	struct rule_path path = FIELD(parent, "ephemeralContainers");

	rule_for_each_item (container, entry, json_get(spec, "ephemeralContainers"), &path) {
		const char *target = text_of(container, "targetContainerName"),
		           *why = "cannot be set for an Ephemeral Container";
		struct rule_path target_path = FIELD(&entry, "targetContainerName"),
		                 mounts = FIELD(&entry, "volumeMounts");

		validate_common(v, container, scope, &entry);
		validate_image_padding(v, container, &entry);
		unique_name(v, scope, container, CONTAINER_EPHEMERAL, &entry);
		if (target[0] && !list_names(json_get(spec, "containers"), UINT32_MAX, target) &&
		    !list_names(json_get(spec, "initContainers"), UINT32_MAX, target))
			validation_not_found(v, &target_path, target);
		for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
			rule_forbidden(v, container, forbidden[i], &entry, why);
		if (length_of(json_get(container, "resources")))
			rule_forbidden(v, container, "resources", &entry, why);
		rule_for_each_item (mount, item, json_get(container, "volumeMounts"), &mounts) {
			rule_forbidden(v, mount, "subPath", &item, why);
			rule_forbidden(v, mount, "subPathExpr", &item, why);
		}
	}
}

void validate_containers(struct validation *v, const struct pod_scope *scope, const struct rule_path *path)
{
	static const char *const padded[] = {"containers", "initContainers"};

	validate_main(v, scope, path);
	validate_init(v, scope, path);
	validate_ephemeral(v, scope, path);
	validate_host_network(v, scope, path);
	for (size_t i = 0; !scope->is_template && i < ARRAY_SIZE(padded); i++) {
		struct rule_path list = FIELD(path, padded[i]);

		rule_for_each_item (container, entry, json_get(scope->spec, padded[i]), &list)
			validate_image_padding(v, container, &entry);
	}
}
