// SPDX-License-Identifier: Apache-2.0
// One row for each kind that has something to say. Kinds with a pod template
// warn on a create, and on an update that moved the generation.

#include "apiserver/validation/warnings.h"

#include <stdarg.h>
#include <string.h>

#include "apiserver/request.h"
#include "apiserver/validation/key_pair.h"
#include "apiserver/validation/string_checks.h"
#include "common/api/quantity.h"

#define PLUGIN_GONE(until, since) "deprecated in v" until ", non-functional in v" since "+"
#define MOUNTABLE_SECRETS "kubernetes.io/enforce-mountable-secrets"
#define BETA_CLASS "volume.beta.kubernetes.io/storage-class"

enum {
	JOB_COMPLETIONS = 100000,
	JOB_PARALLELISM = 10000,
};

struct warning_row {
	const char *group;
	const char *plural;
	const char *subresource;
	void (*say)(const struct change *change);
};

const char *warning_path(const struct change *change, const struct rule_path *path)
{
	return rule_path_text(change->arena, path);
}

void warn(const struct change *change, const struct rule_path *path, const char *format, ...)
{
	va_list arguments;
	const char *text;

	va_start(arguments, format);
	text = arena_vprintf(change->arena, format, arguments);
	va_end(arguments);
	if (path)
		text = arena_printf(change->arena, "%s: %s", warning_path(change, path), text);
	request_warn(change->request, text);
}

// --- parts ---------------------------------------------------------------------------

static bool has_annotation(const struct json *object, const char *key)
{
	return json_get(json_path(object, "metadata", "annotations"), key) != NULL;
}

static void warn_about_annotation(const struct change *change, const char *key, const char *text)
{
	struct rule_path metadata = FIELD(NULL, "metadata"), annotations = FIELD(&metadata, "annotations"),
	                 path = FIELD_KEY(&annotations, key);

	if (has_annotation(change->object, key))
		warn(change, &path, "%s", text);
}

// The name becomes part of host names.
static void warn_about_name(const struct change *change, const char *use)
{
	const char *name = text_of(json_get(change->object, "metadata"), "name"), *complaint, *all = "";

	for (size_t i = 0; (complaint = check_dns_label(change->arena, name, i)); i++)
		all = arena_printf(change->arena, "%s%s%s", all, all[0] ? " " : "", complaint);
	if (all[0])
		warn(change, NULL,
		     "metadata.name: this is used in %s, which can result in surprising behavior; a DNS label is "
		     "recommended: [%s]",
		     use, all);
}

static bool is_moved(const struct change *change)
{
	return change_is_create(change) || integer_of(json_get(change->object, "metadata"), "generation", 0) !=
	                                           integer_of(json_get(change->old, "metadata"), "generation", 0);
}

static void warn_about_template(const struct change *change)
{
	struct rule_path spec = FIELD(NULL, "spec"), path = FIELD(&spec, "template");

	if (is_moved(change))
		warn_about_pod(change, json_path(change->object, "spec", "template"), &path);
}

void warn_about_bytes(const struct change *change, const struct json *amounts, const char *resource,
                      const struct rule_path *path)
{
	const char *text = text_of(amounts, resource);
	struct rule_path entry = FIELD_KEY(path, resource);

	if (text[0] && quantity_text_milli_value(text) % 1000)
		warn(change, &entry, "fractional byte value \"%s\" is invalid, must be an integer", text);
}

void warn_about_claim_spec(const struct change *change, const struct json *spec, const struct rule_path *path)
{
	const struct json *resources = json_get(spec, "resources");
	struct rule_path parent = FIELD(path, "resources"), requests = FIELD(&parent, "requests"),
	                 limits = FIELD(&parent, "limits");

	warn_about_bytes(change, json_get(resources, "requests"), "storage", &requests);
	warn_about_bytes(change, json_get(resources, "limits"), "storage", &limits);
}

static void warn_about_job_spec(const struct change *change, const struct json *spec, const struct rule_path *path)
{
	struct rule_path template = FIELD(path, "template");

	if (text_is(spec, "completionMode", "Indexed") && integer_of(spec, "completions", 0) > JOB_COMPLETIONS &&
	    integer_of(spec, "parallelism", 0) > JOB_PARALLELISM)
		warn(change, path,
		     "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
		     "10^4, "
		     "Kubernetes might not be able to track completedIndexes when a big number of indexes fail");
	warn_about_pod(change, json_get(spec, "template"), &template);
}

// --- kinds ---------------------------------------------------------------------------

// Machines update pods, and often: only what people create is looked at.
static void say_pod(const struct change *change)
{
	if (!change_is_create(change))
		return;
	warn_about_name(change, "the Pod's hostname");
	warn_about_pod(change, change->object, NULL);
}

static void say_pod_status(const struct change *change)
{
	static const char *const lists[] = {"podIPs", "hostIPs"};
	struct rule_path status = FIELD(NULL, "status");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct rule_path path = FIELD(&status, lists[i]);

		rule_for_each_item (address, entry, json_path(change->object, "status", lists[i]), &path) {
			struct rule_path ip = FIELD(&entry, "ip");

			warn_about_ip(change, &ip, text_of(address, "ip"));
		}
	}
}

static void say_named_workload(const struct change *change)
{
	if (change_is_create(change))
		warn_about_name(change, "Pod names and hostnames");
	warn_about_template(change);
}

static void say_stateful_set(const struct change *change)
{
	const struct json *spec = json_get(change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), claims = FIELD(&path, "volumeClaimTemplates");

	warn_about_template(change);
	rule_for_each_item (claim, entry, json_get(spec, "volumeClaimTemplates"), &claims)
		warn_about_claim_spec(change, json_get(claim, "spec"), &entry);
	if (integer_of(spec, "revisionHistoryLimit", 0) < 0)
		warn(change, NULL,
		     "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is "
		     "recommended");
}

static void say_pod_template(const struct change *change)
{
	struct rule_path path = FIELD(NULL, "template");

	if (is_moved(change))
		warn_about_pod(change, json_get(change->object, "template"), &path);
}

static void say_job(const struct change *change)
{
	struct rule_path path = FIELD(NULL, "spec");

	if (change_is_create(change))
		warn_about_name(change, "Pod names and hostnames");
	if (is_moved(change))
		warn_about_job_spec(change, json_get(change->object, "spec"), &path);
}

static void say_cron_job(const struct change *change)
{
	struct rule_path spec = FIELD(NULL, "spec"), template = FIELD(&spec, "jobTemplate"),
	                 path = FIELD(&template, "spec");

	if (change_is_create(change))
		warn_about_name(change, "Pod names and hostnames");
	if (is_moved(change))
		warn_about_job_spec(change, json_path(change->object, "spec", "jobTemplate", "spec"), &path);
	if (!change_is_create(change) && strstr(text_of(json_get(change->object, "spec"), "schedule"), "TZ"))
		warn(change, NULL,
		     "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
		     "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details");
}

static void say_node(const struct change *change)
{
	const struct json *spec = json_get(change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), ranges = FIELD(&path, "podCIDRs");

	if (is_present(json_get(spec, "configSource")))
		warn(change, NULL, "spec.configSource: the feature is removed");
	if (text_of(spec, "externalID")[0])
		warn(change, NULL, "spec.externalID: this field is deprecated, and is unused by Kubernetes");
	rule_for_each_item (range, entry, json_get(spec, "podCIDRs"), &ranges)
		warn_about_cidr(change, &entry, json_text(range));
}

static void say_secret(const struct change *change)
{
	const struct json *data = json_get(change->object, "data");
	const char *complaint;

	if (!text_is(change->object, "type", "kubernetes.io/tls"))
		return;
	complaint = key_pair_complaint(change->arena, text_of(data, "tls.crt"), text_of(data, "tls.key"));
	if (complaint)
		warn(change, NULL, "%s", complaint);
}

static void say_service_account(const struct change *change)
{
	if (!change->old || !has_annotation(change->old, MOUNTABLE_SECRETS))
		warn_about_annotation(change, MOUNTABLE_SECRETS,
		                      "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted "
		                      "secrets");
}

static void say_volume(const struct change *change)
{
	static const struct {
		const char *member, *text;
	} plugins[] = {
	        {"cephfs", PLUGIN_GONE("1.28", "1.31")},    {"photonPersistentDisk", PLUGIN_GONE("1.11", "1.16")},
	        {"scaleIO", PLUGIN_GONE("1.16", "1.22")},   {"storageos", PLUGIN_GONE("1.22", "1.25")},
	        {"glusterfs", PLUGIN_GONE("1.25", "1.26")}, {"rbd", PLUGIN_GONE("1.28", "1.31")},
	};
	const struct json *spec = json_get(change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), affinity = FIELD(&path, "nodeAffinity"),
	                 required = FIELD(&affinity, "required"), terms = FIELD(&required, "nodeSelectorTerms");

	warn_about_annotation(change, BETA_CLASS, "deprecated since v1.8; use \"storageClassName\" attribute instead");
	warn_about_annotation(change, "volume.beta.kubernetes.io/mount-options",
	                      "deprecated since v1.31; use \"mountOptions\" attribute instead");
	if (text_is(spec, "persistentVolumeReclaimPolicy", "Recycle"))
		warn(change, NULL,
		     "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
		     "recommended approach is to use dynamic provisioning.");
	rule_for_each_item (term, entry, json_path(spec, "nodeAffinity", "required", "nodeSelectorTerms"), &terms)
		warn_about_selector_term(change, term, false, &entry);
	for (size_t i = 0; i < ARRAY_SIZE(plugins); i++) {
		struct rule_path plugin = FIELD(&path, plugins[i].member);

		if (is_present(json_get(spec, plugins[i].member)))
			warn(change, &plugin, "%s", plugins[i].text);
	}
}

static void say_claim(const struct change *change)
{
	struct rule_path path = FIELD(NULL, "spec");

	warn_about_annotation(change, BETA_CLASS, "deprecated since v1.8; use \"storageClassName\" attribute instead");
	warn_about_claim_spec(change, json_get(change->object, "spec"), &path);
}

static void say_storage_class(const struct change *change)
{
	struct rule_path list = FIELD(NULL, "allowedTopologies");

	rule_for_each_item (term, entry, json_get(change->object, "allowedTopologies"), &list) {
		struct rule_path rules = FIELD(&entry, "matchLabelExpressions");

		rule_for_each_item (rule, item, json_get(term, "matchLabelExpressions"), &rules) {
			const char *text = deprecated_node_label(text_of(rule, "key"));
			struct rule_path key = FIELD(&item, "key");

			if (text)
				warn(change, &key, "%s", text);
		}
	}
}

static void say_storage_capacity(const struct change *change)
{
	const struct json *topology = json_get(change->object, "nodeTopology");
	struct rule_path path = FIELD(NULL, "nodeTopology"), labels = FIELD(&path, "matchLabels");

	warn_about_selector_term(change, topology, false, &path);
	json_for_each_member (label, json_get(topology, "matchLabels")) {
		struct rule_path entry = FIELD(&labels, label->key);

		if (deprecated_node_label(label->key))
			warn(change, &entry, "%s", deprecated_node_label(label->key));
	}
}

static void say_runtime_class(const struct change *change)
{
	json_for_each_member (label, json_path(change->object, "scheduling", "nodeSelector"))
		if (deprecated_node_label(label->key))
			warn(change, NULL, "scheduling.nodeSelector: %s", deprecated_node_label(label->key));
}

static const struct warning_row rows[] = {
        {"", "endpoints", "", warn_about_endpoints},
        {"", "nodes", "", say_node},
        {"", "nodes", "status", say_node},
        {"", "persistentvolumeclaims", "", say_claim},
        {"", "persistentvolumes", "", say_volume},
        {"", "pods", "", say_pod},
        {"", "pods", "status", say_pod_status},
        {"", "podtemplates", "", say_pod_template},
        {"", "replicationcontrollers", "", say_named_workload},
        {"", "secrets", "", say_secret},
        {"", "serviceaccounts", "", say_service_account},
        {"", "services", "", warn_about_service},
        {"", "services", "status", warn_about_load_balancer},
        {"apps", "daemonsets", "", warn_about_template},
        {"apps", "deployments", "", say_named_workload},
        {"apps", "replicasets", "", say_named_workload},
        {"apps", "statefulsets", "", say_stateful_set},
        {"batch", "cronjobs", "", say_cron_job},
        {"batch", "jobs", "", say_job},
        {"discovery.k8s.io", "endpointslices", "", warn_about_endpoint_slice},
        {"networking.k8s.io", "ingresses", "", warn_about_ingress},
        {"networking.k8s.io", "ingresses", "status", warn_about_load_balancer},
        {"networking.k8s.io", "networkpolicies", "", warn_about_network_policy},
        {"node.k8s.io", "runtimeclasses", "", say_runtime_class},
        {"storage.k8s.io", "csistoragecapacities", "", say_storage_capacity},
        {"storage.k8s.io", "storageclasses", "", say_storage_class},
};

void warn_about_change(const struct change *change)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (change_is_for(change, rows[i].group, rows[i].plural) &&
		    !strcmp(change->subresource, rows[i].subresource))
			rows[i].say(change);
}
