// SPDX-License-Identifier: Apache-2.0
// The table of kinds. Kinds without a row have the generic rules alone.

#include "apiserver/validation/validate.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/custom/validate_custom.h"
#include "apiserver/custom/validate_definition.h"
#include "apiserver/encoding/convert.h"
#include "apiserver/validation/string_checks.h"

static const struct kind_rules {
	const char *group;
	const char *plural;
	string_check name; // NULL: DNS subdomain
	void (*validate)(struct validation *v);
} rows[] = {
        {"", "configmaps", NULL, validate_config_map},
        {"", "endpoints", NULL, validate_endpoints},
        {"", "events", NULL, validate_event},
        {"", "limitranges", NULL, validate_limit_range},
        {"", "namespaces", check_dns_label, validate_namespace},
        {"", "nodes", NULL, validate_node},
        {"", "persistentvolumeclaims", NULL, validate_persistent_volume_claim},
        {"", "persistentvolumes", NULL, validate_persistent_volume},
        {"", "pods", NULL, validate_pod},
        {"", "podtemplates", NULL, validate_pod_template_kind},
        {"", "replicationcontrollers", NULL, validate_replication_controller},
        {"", "resourcequotas", NULL, validate_resource_quota},
        {"", "secrets", NULL, validate_secret},
        {"", "services", check_dns_1035_label, validate_service},
        {"admissionregistration.k8s.io", "mutatingwebhookconfigurations", NULL, validate_webhook_configuration},
        {"admissionregistration.k8s.io", "validatingadmissionpolicies", NULL, validate_admission_policy},
        {"admissionregistration.k8s.io", "validatingadmissionpolicybindings", NULL, validate_admission_policy_binding},
        {"admissionregistration.k8s.io", "validatingwebhookconfigurations", NULL, validate_webhook_configuration},
        {"apiregistration.k8s.io", "apiservices", check_path_segment, validate_api_service},
        {"apiextensions.k8s.io", "customresourcedefinitions", NULL, validate_definition},
        {"apps", "controllerrevisions", NULL, validate_controller_revision},
        {"apps", "daemonsets", NULL, validate_daemon_set},
        {"apps", "deployments", NULL, validate_deployment},
        {"apps", "replicasets", NULL, validate_replica_set},
        {"apps", "statefulsets", check_dns_label, validate_stateful_set},
        {"autoscaling", "horizontalpodautoscalers", NULL, validate_autoscaler},
        {"batch", "cronjobs", NULL, validate_cron_job},
        {"batch", "jobs", NULL, validate_job},
        {"certificates.k8s.io", "certificatesigningrequests", check_path_segment, validate_certificate_signing_request},
        {"coordination.k8s.io", "leases", NULL, validate_lease},
        {"discovery.k8s.io", "endpointslices", NULL, validate_endpoint_slice},
        {"events.k8s.io", "events", NULL, validate_event},
        {"flowcontrol.apiserver.k8s.io", "flowschemas", NULL, validate_flow_schema},
        {"flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", NULL, validate_priority_level},
        {"networking.k8s.io", "ingressclasses", NULL, validate_ingress_class},
        {"networking.k8s.io", "ingresses", NULL, validate_ingress},
        {"networking.k8s.io", "ipaddresses", check_ip_name, validate_ip_address},
        {"networking.k8s.io", "networkpolicies", NULL, validate_network_policy},
        {"networking.k8s.io", "servicecidrs", NULL, validate_service_cidr},
        {"node.k8s.io", "runtimeclasses", NULL, validate_runtime_class},
        {"policy", "poddisruptionbudgets", NULL, validate_pod_disruption_budget},
        {"rbac.authorization.k8s.io", "clusterrolebindings", check_path_segment, validate_role_binding},
        {"rbac.authorization.k8s.io", "clusterroles", check_path_segment, validate_role},
        {"rbac.authorization.k8s.io", "rolebindings", check_path_segment, validate_role_binding},
        {"rbac.authorization.k8s.io", "roles", check_path_segment, validate_role},
        {"resource.k8s.io", "deviceclasses", NULL, validate_device_class},
        {"resource.k8s.io", "resourceclaims", NULL, validate_resource_claim},
        {"resource.k8s.io", "resourceclaimtemplates", NULL, validate_resource_claim_template},
        {"resource.k8s.io", "resourceslices", NULL, validate_resource_slice},
        {"scheduling.k8s.io", "priorityclasses", NULL, validate_priority_class},
        {"storage.k8s.io", "csidrivers", NULL, validate_csi_driver},
        {"storage.k8s.io", "csinodes", NULL, validate_csi_node},
        {"storage.k8s.io", "csistoragecapacities", NULL, validate_csi_storage_capacity},
        {"storage.k8s.io", "storageclasses", NULL, validate_storage_class},
        {"storage.k8s.io", "volumeattachments", NULL, validate_volume_attachment},
        {"storage.k8s.io", "volumeattributesclasses", NULL, validate_volume_attributes_class},
};

static const struct kind_rules *rules_of(const struct schema_resource *resource)
{
	static const struct kind_rules generic;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].plural, resource->plural) && !strcmp(rows[i].group, resource->group))
			return &rows[i];
	return &generic;
}

// The same change in the stored form, as upstream validates its internal one.
static const struct status *validate_as_stored(const struct change *change)
{
	struct change stored = *change;
	struct json *old = change->old ? json_clone(change->arena, change->old) : NULL;

	stored.resource = convert_storage_resource(change->resource);
	stored.object = json_clone(change->arena, change->object);
	convert_to_storage(change->arena, change->resource, stored.object);
	if (old)
		convert_to_storage(change->arena, change->resource, old);
	stored.old = old;
	return validate_change(&stored);
}

const struct status *validate_change(struct change *change)
{
	if (convert_is_validated_as_stored(change->resource))
		return validate_as_stored(change);

	const struct kind_rules *rules = rules_of(change->resource);
	struct validation v;

	validation_init(&v, change);
	if (change_is_create(change))
		validate_metadata_create(&v, rules->name ? rules->name : check_dns_subdomain);
	else
		validate_metadata_update(&v);
	if (definition_version_of(change->resource))
		validate_custom(&v);
	else if (rules->validate)
		rules->validate(&v);
	if (change_is_create(change) && !v.count)
		validate_name_segment(&v);
	return validation_status(&v);
}
