// SPDX-License-Identifier: Apache-2.0
// The words about a pod, or a template of one: what is deprecated, what stands
// twice, what can't match anything.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/warnings.h"
#include "common/base/hashmap.h"

#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"
#define APPARMOR "container.apparmor.security.beta.kubernetes.io/"
#define NO_MATCH "a null labelSelector results in matching no pod"

struct deprecated {
	const char *name;
	const char *text;
};

static const struct deprecated node_labels[] = {
        {"beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"},
        {"beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"},
        {"failure-domain.beta.kubernetes.io/region",
         "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"},
        {"failure-domain.beta.kubernetes.io/zone",
         "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"},
        {"beta.kubernetes.io/instance-type",
         "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"},
        {"app.kubernetes.io/created-by", "deprecated since v1.9"},
        {"scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"},
        {"node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"},
};

static const struct deprecated annotations[] = {
        {"scheduler.alpha.kubernetes.io/critical-pod",
         "non-functional in v1.16+; use the \"priorityClassName\" field instead"},
        {"security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"},
        {"security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"},
};

static const struct deprecated volume_sources[] = {
        {"photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
        {"gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
        {"scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
        {"flocker", "deprecated in v1.22, non-functional in v1.25+"},
        {"storageos", "deprecated in v1.22, non-functional in v1.25+"},
        {"quobyte", "deprecated in v1.22, non-functional in v1.25+"},
        {"glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
        {"cephfs", "deprecated in v1.28, non-functional in v1.31+"},
        {"rbd", "deprecated in v1.28, non-functional in v1.31+"},
};

struct pod_warnings {
	const struct change *change;
	const struct json *metadata;
	const struct json *spec;
	struct rule_path annotations; // its path
	struct rule_path path;        // the spec's
};

const char *deprecated_node_label(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(node_labels); i++)
		if (!strcmp(node_labels[i].name, key))
			return node_labels[i].text;
	return NULL;
}

static void warn_about_label_values(const struct change *change, const struct json *values,
                                    const struct rule_path *path)
{
	rule_for_each_item (value, entry, values, path) {
		const char *text = json_text(value), *complaint;

		for (size_t i = 0; text && (complaint = check_label_value(change->arena, text, i)); i++)
			warn(change, &entry, "%s is invalid, %s", text, complaint);
	}
}

void warn_about_selector_term(const struct change *change, const struct json *term, bool check_values,
                              const struct rule_path *path)
{
	struct rule_path list = FIELD(path, "matchExpressions");

	rule_for_each_item (rule, entry, json_get(term, "matchExpressions"), &list) {
		struct rule_path key = FIELD(&entry, "key"), values = FIELD(&entry, "values");
		const char *name = text_of(rule, "key"), *text = deprecated_node_label(name);

		if (text)
			warn(change, &key, "%s is %s", name, text);
		if (check_values)
			warn_about_label_values(change, json_get(rule, "values"), &values);
	}
}

// --- where it may run --------------------------------------------------------------

static void warn_about_node_affinity(const struct pod_warnings *pod)
{
	const struct json *affinity = json_path(pod->spec, "affinity", "nodeAffinity");
	struct rule_path parent = FIELD(&pod->path, "affinity"), path = FIELD(&parent, "nodeAffinity"),
	                 required = FIELD(&path, "requiredDuringSchedulingIgnoredDuringExecution"),
	                 terms = FIELD(&required, "nodeSelectorTerms"),
	                 preferred = FIELD(&path, "preferredDuringSchedulingIgnoredDuringExecution");

	rule_for_each_item (term, entry,
	                    json_path(affinity, "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"),
	                    &terms)
		warn_about_selector_term(pod->change, term, false, &entry);
	rule_for_each_item (term, entry, json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"),
	                    &preferred) {
		struct rule_path preference = FIELD(&entry, "preference");

		warn_about_selector_term(pod->change, json_get(term, "preference"), true, &preference);
	}
}

static void warn_about_placement(const struct pod_warnings *pod)
{
	struct rule_path selector = FIELD(&pod->path, "nodeSelector"),
	                 spread = FIELD(&pod->path, "topologySpreadConstraints");

	json_for_each_member (label, json_get(pod->spec, "nodeSelector")) {
		struct rule_path entry = FIELD_KEY(&selector, label->key);

		if (deprecated_node_label(label->key))
			warn(pod->change, &entry, "%s", deprecated_node_label(label->key));
	}
	warn_about_node_affinity(pod);
	rule_for_each_item (constraint, entry, json_get(pod->spec, "topologySpreadConstraints"), &spread) {
		const char *key = text_of(constraint, "topologyKey"), *text = deprecated_node_label(key);
		struct rule_path topology = FIELD(&entry, "topologyKey"), labels = FIELD(&entry, "labelSelector");

		if (text)
			warn(pod->change, &topology, "%s is %s", key, text);
		if (!is_present(json_get(constraint, "labelSelector")))
			warn(pod->change, &labels, NO_MATCH);
	}
}

static void warn_about_pod_affinity(const struct pod_warnings *pod, const char *member)
{
	const struct json *affinity = json_path(pod->spec, "affinity", member);
	struct rule_path parent = FIELD(&pod->path, "affinity"), path = FIELD(&parent, member),
	                 required = FIELD(&path, "requiredDuringSchedulingIgnoredDuringExecution"),
	                 preferred = FIELD(&path, "preferredDuringSchedulingIgnoredDuringExecution");

	rule_for_each_item (term, entry, json_get(affinity, required.name), &required) {
		struct rule_path selector = FIELD(&entry, "labelSelector");

		if (!is_present(json_get(term, "labelSelector")))
			warn(pod->change, &selector, NO_MATCH);
	}
	rule_for_each_item (term, entry, json_get(affinity, preferred.name), &preferred) {
		struct rule_path inner = FIELD(&entry, "podAffinityTerm"), selector = FIELD(&inner, "labelSelector");

		if (!is_present(json_path(term, "podAffinityTerm", "labelSelector")))
			warn(pod->change, &selector, NO_MATCH);
	}
}

// --- annotations, volumes, lists of the pod -----------------------------------------

static bool is_annotated(const struct pod_warnings *pod, const char *key)
{
	return json_get(json_get(pod->metadata, "annotations"), key) != NULL;
}

static void warn_about_annotated(const struct pod_warnings *pod, const char *key, const char *text)
{
	struct rule_path path = FIELD_KEY(&pod->annotations, key);

	if (is_annotated(pod, key))
		warn(pod->change, &path, "%s", text);
}

static void warn_about_volumes(const struct pod_warnings *pod)
{
	const struct json *volumes = json_get(pod->spec, "volumes");
	struct rule_path path = FIELD(&pod->path, "volumes");

	rule_for_each_item (volume, entry, volumes, &path) {
		struct rule_path own = FIELD(&entry, "ephemeral"), template = FIELD(&own, "volumeClaimTemplate"),
		                 spec = FIELD(&template, "spec");

		for (size_t i = 0; i < ARRAY_SIZE(volume_sources); i++) {
			struct rule_path source = FIELD(&entry, volume_sources[i].name);

			if (strcmp(source.name, "storageos") == 0)
				source.name = "storageOS";
			if (is_present(json_get(volume, volume_sources[i].name)))
				warn(pod->change, &source, "%s", volume_sources[i].text);
		}
		warn_about_claim_spec(pod->change, json_path(volume, "ephemeral", "volumeClaimTemplate", "spec"),
		                      &spec);
	}
	json_for_each_item (volume, volumes)
		warn_about_volume_paths(pod->change, volume);
}

static void warn_about_repeats(const struct pod_warnings *pod, const char *member, const char *key)
{
	const struct json *list = json_get(pod->spec, member);
	struct rule_path path = FIELD(&pod->path, member);

	rule_for_each_item (item, entry, list, &path) {
		struct rule_path field = FIELD(&entry, key);

		if (text_repeats(list, entry.index, key))
			warn(pod->change, &field, "duplicate %s \"%s\"", key, text_of(item, key));
	}
}

static void warn_about_empty_secrets(const struct pod_warnings *pod)
{
	struct rule_path path = FIELD(&pod->path, "imagePullSecrets");

	rule_for_each_item (secret, entry, json_get(pod->spec, "imagePullSecrets"), &path) {
		struct rule_path name = FIELD(&entry, "name");

		if (!text_of(secret, "name")[0])
			warn(pod->change, &name, "invalid empty name \"\"");
	}
}

static void warn_about_addresses(const struct pod_warnings *pod)
{
	struct rule_path config = FIELD(&pod->path, "dnsConfig"), servers = FIELD(&config, "nameservers"),
	                 aliases = FIELD(&pod->path, "hostAliases");

	rule_for_each_item (server, entry, json_path(pod->spec, "dnsConfig", "nameservers"), &servers)
		warn_about_ip(pod->change, &entry, json_text(server));
	rule_for_each_item (alias, entry, json_get(pod->spec, "hostAliases"), &aliases) {
		struct rule_path ip = FIELD(&entry, "ip");

		warn_about_ip(pod->change, &ip, text_of(alias, "ip"));
	}
}

// --- containers ----------------------------------------------------------------------

static const char *const container_lists[] = {"initContainers", "containers", "ephemeralContainers"};

static void warn_about_resources(const struct change *change, const struct json *container,
                                 const struct rule_path *path)
{
	static const char *const resources[] = {"memory", "ephemeral-storage"}, *const members[] = {"limits",
	                                                                                            "requests"};
	struct rule_path parent = FIELD(path, "resources");

	for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(members); j++) {
			struct rule_path member = FIELD(&parent, members[j]);

			warn_about_bytes(change, json_path(container, "resources", members[j]), resources[i], &member);
		}
	}
}

// A later definition is fine when it builds on the one before: X=a, X=$(X)b.
static bool builds_on_itself(struct arena *arena, const struct json *variable)
{
	const char *reference = arena_printf(arena, "$(%s)", text_of(variable, "name"));
	const char *value = text_of(variable, "value");

	return !is_present(json_get(variable, "valueFrom")) && strcmp(value, reference) && strstr(value, reference);
}

static void warn_about_environment(const struct change *change, const struct json *variables,
                                   const struct rule_path *path)
{
	AUTO(hashmap_free) struct hashmap *seen = hashmap_new(NULL);

	rule_for_each_item (variable, entry, variables, path) {
		const char *name = text_of(variable, "name");

		if (hashmap_get(seen, name) && !builds_on_itself(change->arena, variable))
			warn(change, &entry,
			     "hides previous definition of \"%s\", which may be dropped when using apply", name);
		hashmap_put(seen, name, (void *)variable);
	}
}

static void warn_about_profiles(const struct pod_warnings *pod, const struct json *container)
{
	const struct json *context = json_get(container, "securityContext");
	const char *name = text_of(container, "name");

	if (!is_present(json_get(context, "seccompProfile")))
		warn_about_annotated(pod, arena_printf(pod->change->arena, SECCOMP_CONTAINER "%s", name),
		                     "non-functional in v1.27+; use the \"seccompProfile\" field instead");
	if (!is_present(json_path(pod->spec, "securityContext", "appArmorProfile")) &&
	    !is_present(json_get(context, "appArmorProfile")))
		warn_about_annotated(pod, arena_printf(pod->change->arena, APPARMOR "%s", name),
		                     "deprecated since v1.30; use the \"appArmorProfile\" field instead");
}

static void warn_about_containers(const struct pod_warnings *pod)
{
	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++) {
		struct rule_path path = FIELD(&pod->path, container_lists[i]);

		rule_for_each_item (container, entry, json_get(pod->spec, container_lists[i]), &path) {
			struct rule_path environment = FIELD(&entry, "env");

			warn_about_profiles(pod, container);
			warn_about_resources(pod->change, container, &entry);
			warn_about_environment(pod->change, json_get(container, "env"), &environment);
		}
	}
}

// --- ports of all containers ----------------------------------------------------------

struct seen_port {
	const struct json *port;
	const char *path;
};

struct seen_ports {
	struct seen_port *items;
	size_t count;
};

static const char *overlap_of(const struct json *port, const struct json *other)
{
	int64_t here = integer_of(port, "hostPort", 0), there = integer_of(other, "hostPort", 0);
	const char *address = text_of(port, "hostIP"), *other_address = text_of(other, "hostIP");

	if (integer_of(port, "containerPort", 0) != integer_of(other, "containerPort", 0) ||
	    strcmp(text_of(port, "protocol"), text_of(other, "protocol")))
		return NULL;
	if (here == there && !strcmp(address, other_address))
		return "duplicate";
	if (!here || !there)
		return "overlapping";
	return here == there && !address[0] != !other_address[0] ? "dangerously ambiguous" : NULL;
}

static void warn_about_port(const struct pod_warnings *pod, const struct seen_ports *seen, const struct json *port,
                            const struct rule_path *path)
{
	if (text_of(port, "hostIP")[0] && !integer_of(port, "hostPort", 0))
		warn(pod->change, path,
		     "hostIP set without hostPort: {Name:%s HostPort:0 ContainerPort:%lld Protocol:%s HostIP:%s}",
		     text_of(port, "name"), (long long)integer_of(port, "containerPort", 0), text_of(port, "protocol"),
		     text_of(port, "hostIP"));
	for (size_t i = 0; i < seen->count; i++) {
		const char *overlap = overlap_of(port, seen->items[i].port);

		if (overlap)
			warn(pod->change, path, "%s port definition with %s", overlap, seen->items[i].path);
	}
}

static void warn_about_port_name(const struct pod_warnings *pod, const struct seen_ports *seen,
                                 const struct seen_port *port)
{
	const char *name = text_of(port->port, "name");

	for (size_t i = 0; name[0] && i < seen->count; i++) {
		if (!text_is(seen->items[i].port, "name", name))
			continue;
		warn(pod->change, NULL,
		     "%s: duplicate port name \"%s\" with %s, services and probes that select ports by name will use "
		     "%s",
		     port->path, name, seen->items[i].path, seen->items[i].path);
		return;
	}
}

static size_t count_ports(const struct json *spec)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++)
		json_for_each_item (container, json_get(spec, container_lists[i]))
			count += length_of(json_get(container, "ports"));
	return count;
}

static void warn_about_ports(const struct pod_warnings *pod)
{
	struct seen_ports seen = {ARENA_ARRAY(pod->change->arena, struct seen_port, count_ports(pod->spec) + 1), 0};

	for (size_t i = 0; i < ARRAY_SIZE(container_lists); i++) {
		struct rule_path list = FIELD(&pod->path, container_lists[i]);

		rule_for_each_item (container, entry, json_get(pod->spec, container_lists[i]), &list) {
			struct rule_path ports = FIELD(&entry, "ports");

			rule_for_each_item (port, path, json_get(container, "ports"), &ports) {
				warn_about_port(pod, &seen, port, &path);
				seen.items[seen.count++] = (struct seen_port){port, warning_path(pod->change, &path)};
			}
		}
	}
	for (size_t count = seen.count, i = 0; i < count; i++) {
		seen.count = i;
		warn_about_port_name(pod, &seen, &seen.items[i]);
	}
}

// --- the pod ----------------------------------------------------------------------------

static void warn_about_grace(const struct pod_warnings *pod)
{
	struct rule_path path = FIELD(&pod->path, "terminationGracePeriodSeconds");

	if (integer_of(pod->spec, "terminationGracePeriodSeconds", 0) < 0)
		warn(pod->change, &path, "must be >= 0; negative values are invalid and will be treated as 1");
}

void warn_about_pod(const struct change *change, const struct json *object, const struct rule_path *parent)
{
	struct rule_path metadata = FIELD(parent, "metadata");
	struct pod_warnings pod = {
	        .change = change,
	        .metadata = json_get(object, "metadata"),
	        .spec = json_get(object, "spec"),
	        .annotations = FIELD(&metadata, "annotations"),
	        .path = FIELD(parent, "spec"),
	};
	struct rule_path overhead = FIELD(&pod.path, "overhead");

	warn_about_placement(&pod);
	for (size_t i = 0; i < ARRAY_SIZE(annotations); i++)
		warn_about_annotated(&pod, annotations[i].name, annotations[i].text);
	warn_about_volumes(&pod);
	warn_about_repeats(&pod, "hostAliases", "ip");
	warn_about_repeats(&pod, "imagePullSecrets", "name");
	warn_about_empty_secrets(&pod);
	warn_about_bytes(change, json_get(pod.spec, "overhead"), "memory", &overhead);
	warn_about_bytes(change, json_get(pod.spec, "overhead"), "ephemeral-storage", &overhead);
	if (!is_present(json_path(pod.spec, "securityContext", "seccompProfile")))
		warn_about_annotated(&pod, SECCOMP_POD,
		                     "non-functional in v1.27+; use the \"seccompProfile\" field instead");
	warn_about_containers(&pod);
	warn_about_ports(&pod);
	warn_about_grace(&pod);
	warn_about_pod_affinity(&pod, "podAffinity");
	warn_about_pod_affinity(&pod, "podAntiAffinity");
	warn_about_addresses(&pod);
}
