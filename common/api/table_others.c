// SPDX-License-Identifier: Apache-2.0
//
// The cells of the other groups' kinds: networking, storage, RBAC, certificates,
// coordination, scheduling, admission, flow control, dynamic resources, aggregation.
#include <string.h>

#include "common/api/object.h"
#include "common/api/table_internal.h"
#include "common/base/clock.h"

enum { LIST_MAXIMUM = 3 };

// --- networking ------------------------------------------------------------------------

static void ingress_hosts(struct table_row *row)
{
	const struct json *rules = table_at(row->object, "spec.rules");
	size_t rule_count = table_count(row->object, "spec.rules");
	size_t shown = 0;
	bool more = false;
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	json_for_each_item (rule, rules) {
		const char *host = table_text(rule, "host", NULL);
		more = more || shown == LIST_MAXIMUM;
		if (!more && host)
			strbuf_printf(&out, "%s%s", shown++ ? "," : "", host);
	}
	if (more)
		strbuf_printf(&out, " + %zu more...", rule_count - LIST_MAXIMUM);
	table_add_text(row, shown ? strbuf_text(&out) : "*");
}

static void ingress_address(struct table_row *row)
{
	const char **texts =
	        ARENA_ARRAY(row->arena, const char *, table_count(row->object, "status.loadBalancer.ingress") + 1);
	size_t count = 0;
	json_for_each_item (entry, table_at(row->object, "status.loadBalancer.ingress")) {
		const char *text = table_text(entry, "ip", table_text(entry, "hostname", NULL));
		if (text)
			texts[count++] = text;
	}
	table_add_text(row, table_join_sorted(row->arena, texts, count));
}

static void ingress_ports(struct table_row *row)
{
	table_add_text(row, table_count(row->object, "spec.tls") ? "80, 443" : "80");
}

static void ingress_class_parameters(struct table_row *row)
{
	const struct json *parameters = table_at(row->object, "spec.parameters");
	const char *group = table_text(parameters, "apiGroup", NULL);
	if (!parameters)
		table_add_text(row, "<none>");
	else
		table_add_text(row,
		               arena_printf(row->arena, "%s%s%s/%s", table_text(parameters, "kind", ""),
		                            group ? "." : "", group ? group : "", table_text(parameters, "name", "")));
}

// "services/default/web" in small letters; followed by an age that has no column, as upstream has it.
static void ip_address_parent(struct table_row *row)
{
	const struct json *parent = table_at(row->object, "spec.parentRef");
	const char *group = table_text(parent, "group", NULL);
	const char *namespace_name = table_text(parent, "namespace", NULL);
	if (!parent) {
		table_add_text(row, "<none>");
	} else {
		const char *text = arena_printf(row->arena, "%s%s%s%s%s/%s", table_text(parent, "resource", ""),
		                                group ? "." : "", group ? group : "", namespace_name ? "/" : "",
		                                namespace_name ? namespace_name : "", table_text(parent, "name", ""));
		table_add_text(row, table_lower(row->arena, text));
	}
	table_add_text(row, table_age(row, table_at(row->object, "metadata.creationTimestamp")));
}

// Joins at most three texts; says how many more there are.
struct short_list {
	struct strbuf out;
	size_t count;
};

static void short_list_add(struct short_list *list, const char *text)
{
	if (list->count < LIST_MAXIMUM)
		strbuf_printf(&list->out, "%s%s", list->count ? "," : "", text);
	list->count++;
}

static void short_list_finish(struct short_list *list, struct table_row *row)
{
	if (list->count > LIST_MAXIMUM)
		strbuf_printf(&list->out, " + %zu more...", list->count - LIST_MAXIMUM);
	table_add_text(row, list->count ? strbuf_text(&list->out) : "<unset>");
	strbuf_done(&list->out);
}

static void endpoint_slice_ports(struct table_row *row)
{
	struct short_list list = {.out = STRBUF_INIT(1 << 20)};
	json_for_each_item (port, table_at(row->object, "ports")) {
		const char *number = table_scalar(row->arena, table_at(port, "port"));
		short_list_add(&list, number ? number : table_text(port, "name", "*"));
	}
	short_list_finish(&list, row);
}

static void endpoint_slice_addresses(struct table_row *row)
{
	struct short_list list = {.out = STRBUF_INIT(1 << 20)};
	json_for_each_item (endpoint, table_at(row->object, "endpoints"))
		json_for_each_item (address, table_at(endpoint, "addresses"))
			short_list_add(&list, json_text(address) ? json_text(address) : "");
	short_list_finish(&list, row);
}

// --- RBAC and certificates ---------------------------------------------------------------

static void binding_role(struct table_row *row)
{
	table_add_text(row, arena_printf(row->arena, "%s/%s", table_text(row->object, "roleRef.kind", ""),
	                                 table_text(row->object, "roleRef.name", "")));
}

static void add_subjects(struct table_row *row, const char *kind, bool with_namespace)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	bool first = true;
	json_for_each_item (subject, table_at(row->object, "subjects")) {
		if (strcmp(table_text(subject, "kind", ""), kind) != 0)
			continue;
		strbuf_printf(&out, "%s%s%s%s", first ? "" : ", ",
		              with_namespace ? table_text(subject, "namespace", "") : "", with_namespace ? "/" : "",
		              table_text(subject, "name", ""));
		first = false;
	}
	table_add_text(row, strbuf_text(&out));
}

static void binding_subjects(struct table_row *row)
{
	add_subjects(row, "User", false);
	add_subjects(row, "Group", false);
	add_subjects(row, "ServiceAccount", true);
}

static void request_duration(struct table_row *row)
{
	const struct json *seconds = table_at(row->object, "spec.expirationSeconds");
	char text[HUMAN_DURATION_BYTES] = "<none>";
	if (json_is(seconds, JSON_INTEGER) && seconds->integer < INT32_MAX)
		human_duration(seconds->integer * NSEC_PER_SEC, text);
	table_add_text(row, text);
}

static void request_condition(struct table_row *row)
{
	const struct json *conditions = table_at(row->object, "status.conditions");
	const char *text = "Pending";
	if (table_condition(conditions, "Denied"))
		text = "Denied";
	else if (table_condition(conditions, "Approved"))
		text = "Approved";
	table_add_text(row,
	               arena_printf(row->arena, "%s%s%s", text, table_condition(conditions, "Failed") ? ",Failed" : "",
	                            table_text(row->object, "status.certificate", NULL) ? ",Issued" : ""));
}

// --- storage ------------------------------------------------------------------------------

static void storage_class_name(struct table_row *row)
{
	const struct json *annotations = table_at(row->object, "metadata.annotations");
	const char *stable = json_get_text(annotations, "storageclass.kubernetes.io/is-default-class");
	const char *beta = json_get_text(annotations, "storageclass.beta.kubernetes.io/is-default-class");
	bool is_default = (stable && strcmp(stable, "true") == 0) || (beta && strcmp(beta, "true") == 0);
	table_add_text(row, arena_printf(row->arena, "%s%s", table_text(row->object, "metadata.name", ""),
	                                 is_default ? " (default)" : ""));
}

static void driver_token_requests(struct table_row *row)
{
	const struct json *requests = table_at(row->object, "spec.tokenRequests");
	table_add_text(row, requests ? table_join(row->arena, requests, "audience", ",") : "<unset>");
}

// --- admission -----------------------------------------------------------------------------

static void policy_parameter_kind(struct table_row *row)
{
	const struct json *kind = table_at(row->object, "spec.paramKind");
	table_add_text(row, kind ? arena_printf(row->arena, "%s/%s", table_text(kind, "apiVersion", ""),
	                                        table_text(kind, "kind", ""))
	                         : "<unset>");
}

// A selector as the generated Go code of upstream prints it.
static const char *go_selector_text(struct arena *arena, const struct json *selector)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	struct json *labels =
	        table_at(selector, "matchLabels") ? json_clone(arena, table_at(selector, "matchLabels")) : NULL;
	json_sort_keys(labels);
	strbuf_append_text(&out, "&LabelSelector{MatchLabels:map[string]string{");
	json_for_each_member (label, labels)
		strbuf_printf(&out, "%s: %s,", label->key, json_text(label->value) ? json_text(label->value) : "");
	strbuf_append_text(&out, "},MatchExpressions:[]LabelSelectorRequirement{");
	json_for_each_item (row, table_at(selector, "matchExpressions"))
		strbuf_printf(&out, "LabelSelectorRequirement{Key:%s,Operator:%s,Values:[%s],},",
		              table_text(row, "key", ""), table_text(row, "operator", ""),
		              table_join(arena, table_at(row, "values"), NULL, " "));
	strbuf_append_text(&out, "},}");
	return arena_strdup(arena, strbuf_text(&out));
}

static void policy_binding_parameter(struct table_row *row)
{
	const struct json *reference = table_at(row->object, "spec.paramRef");
	const char *name = table_text(reference, "name", NULL);
	const char *text = "<unset>";
	if (name)
		text = arena_printf(row->arena, "%s/%s", table_text(reference, "namespace", "*"), name);
	else if (table_at(reference, "selector"))
		text = go_selector_text(row->arena, table_at(reference, "selector"));
	table_add_text(row, text);
}

// --- others -----------------------------------------------------------------------------------

static void flow_schema_missing_level(struct table_row *row)
{
	const struct json *dangling = table_condition(table_at(row->object, "status.conditions"), "Dangling");
	table_add_text(row, table_text(dangling, "status", "?"));
}

static void claim_state(struct table_row *row)
{
	bool deleted = object_is_being_deleted(row->object);
	bool allocated = table_at(row->object, "status.allocation") != NULL;
	const char *state = "";
	if (allocated)
		state = table_count(row->object, "status.reservedFor") ? "allocated,reserved" : "allocated";
	else if (!deleted)
		state = "pending";
	table_add_text(
	        row, arena_printf(row->arena, "%s%s%s", deleted ? "deleted" : "", deleted && *state ? "," : "", state));
}

static void api_service(struct table_row *row)
{
	const struct json *service = table_at(row->object, "spec.service");
	const struct json *available = table_condition(table_at(row->object, "status.conditions"), "Available");
	const char *status = table_text(available, "status", "Unknown");
	const char *reason = table_text(available, "reason", NULL);
	table_add_text(row, service ? arena_printf(row->arena, "%s/%s", table_text(service, "namespace", ""),
	                                           table_text(service, "name", ""))
	                            : "Local");
	bool plain = !reason || strcmp(status, "True") == 0;
	table_add_text(row, plain ? status : arena_printf(row->arena, "%s (%s)", status, reason));
}

// --- the kinds ------------------------------------------------------------------------------

static const struct cell ingress_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.ingressClassName", "<none>", NULL},
        CELL_BY(ingress_hosts),
        CELL_BY(ingress_address),
        CELL_BY(ingress_ports),
        CELL_AGE_OF_OBJECT,
};

static const struct cell ingress_class_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.controller", "", NULL},
        CELL_BY(ingress_class_parameters),
        CELL_AGE_OF_OBJECT,
};

static const struct cell ip_address_cells[] = {CELL_NAME, CELL_BY(ip_address_parent)};
static const struct cell service_cidr_cells[] = {CELL_NAME, {CELL_JOINED, "spec.cidrs", "", NULL}, CELL_AGE_OF_OBJECT};
static const struct cell network_policy_cells[] = {
        CELL_NAME, {CELL_SELECTOR, "spec.podSelector", NULL, NULL}, CELL_AGE_OF_OBJECT};

static const struct cell endpoint_slice_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "addressType", "", NULL},
        CELL_BY(endpoint_slice_ports),
        CELL_BY(endpoint_slice_addresses),
        CELL_AGE_OF_OBJECT,
};

static const struct cell binding_cells[] = {CELL_NAME, CELL_BY(binding_role), CELL_AGE_OF_OBJECT,
                                            CELL_BY(binding_subjects)};

static const struct cell signing_request_cells[] = {
        CELL_NAME,
        CELL_AGE_OF_OBJECT,
        {CELL_TEXT, "spec.signerName", "<none>", NULL},
        {CELL_TEXT, "spec.username", "", NULL},
        CELL_BY(request_duration),
        CELL_BY(request_condition),
};

static const struct cell lease_cells[] = {CELL_NAME, {CELL_TEXT, "spec.holderIdentity", "", NULL}, CELL_AGE_OF_OBJECT};

static const struct cell storage_class_cells[] = {
        CELL_BY(storage_class_name),
        {CELL_TEXT, "provisioner", "", NULL},
        {CELL_TEXT, "reclaimPolicy", "Delete", NULL},
        {CELL_TEXT, "volumeBindingMode", "Immediate", NULL},
        {CELL_BOOL, "allowVolumeExpansion", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell volume_attachment_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.attacher", "", NULL},
        {CELL_TEXT, "spec.source.persistentVolumeName", "", NULL},
        {CELL_TEXT, "spec.nodeName", "", NULL},
        {CELL_BOOL, "status.attached", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell csi_node_cells[] = {CELL_NAME, {CELL_COUNT, "spec.drivers", NULL, NULL}, CELL_AGE_OF_OBJECT};

static const struct cell csi_driver_cells[] = {
        CELL_NAME,
        {CELL_BOOL, "spec.attachRequired", "true", NULL},
        {CELL_BOOL, "spec.podInfoOnMount", NULL, NULL},
        {CELL_BOOL, "spec.storageCapacity", NULL, NULL},
        CELL_BY(driver_token_requests),
        {CELL_BOOL, "spec.requiresRepublish", NULL, NULL},
        {CELL_JOINED, "spec.volumeLifecycleModes", "<none>", NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell priority_class_cells[] = {
        CELL_NAME,          {CELL_NUMBER, "value", NULL, NULL},        {CELL_BOOL, "globalDefault", NULL, NULL},
        CELL_AGE_OF_OBJECT, {CELL_TEXT, "preemptionPolicy", "", NULL},
};

static const struct cell runtime_class_cells[] = {CELL_NAME, {CELL_TEXT, "handler", "", NULL}, CELL_AGE_OF_OBJECT};
static const struct cell webhook_cells[] = {CELL_NAME, {CELL_COUNT, "webhooks", NULL, NULL}, CELL_AGE_OF_OBJECT};

static const struct cell admission_policy_cells[] = {
        CELL_NAME,
        {CELL_COUNT, "spec.validations", NULL, NULL},
        CELL_BY(policy_parameter_kind),
        CELL_AGE_OF_OBJECT,
};

static const struct cell admission_policy_binding_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.policyName", "", NULL},
        CELL_BY(policy_binding_parameter),
        CELL_AGE_OF_OBJECT,
};

static const struct cell mutating_policy_cells[] = {
        CELL_NAME,
        {CELL_COUNT, "spec.mutations", NULL, NULL},
        CELL_BY(policy_parameter_kind),
        CELL_AGE_OF_OBJECT,
};

static const struct cell flow_schema_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.priorityLevelConfiguration.name", "", NULL},
        {CELL_NUMBER, "spec.matchingPrecedence", NULL, NULL},
        {CELL_TEXT, "spec.distinguisherMethod.type", "<none>", NULL},
        CELL_AGE_OF_OBJECT,
        CELL_BY(flow_schema_missing_level),
};

static const struct cell priority_level_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.type", "", NULL},
        {CELL_NUMBER_OR, "spec.limited.nominalConcurrencyShares", "<none>", NULL},
        {CELL_NUMBER_OR, "spec.limited.limitResponse.queuing.queues", "<none>", NULL},
        {CELL_NUMBER_OR, "spec.limited.limitResponse.queuing.handSize", "<none>", NULL},
        {CELL_NUMBER_OR, "spec.limited.limitResponse.queuing.queueLengthLimit", "<none>", NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell name_and_age_cells[] = {CELL_NAME, CELL_AGE_OF_OBJECT};
static const struct cell resource_claim_cells[] = {CELL_NAME, CELL_BY(claim_state), CELL_AGE_OF_OBJECT};

static const struct cell resource_slice_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.nodeName", "", NULL},
        {CELL_TEXT, "spec.driver", "", NULL},
        {CELL_TEXT, "spec.pool.name", "", NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell device_taint_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.taint.key", "", NULL},
        {CELL_TEXT, "spec.taint.value", "", NULL},
        {CELL_TEXT, "spec.taint.effect", "", NULL},
        {CELL_AGE, "spec.taint.timeAdded", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell lease_candidate_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.leaseName", "", NULL},
        {CELL_TEXT, "spec.binaryVersion", "", NULL},
        {CELL_TEXT, "spec.emulationVersion", "", NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell trust_bundle_cells[] = {CELL_NAME, {CELL_TEXT, "spec.signerName", "<none>", NULL}};
static const struct cell attributes_class_cells[] = {
        CELL_NAME, {CELL_TEXT, "driverName", "", NULL}, CELL_AGE_OF_OBJECT};

// "server1=v1,server2=v1beta1 + 2 more..."
static void storage_versions(struct table_row *row)
{
	size_t count = 0;
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	json_for_each_item (server, table_at(row->object, "status.storageVersions"))
		if (count++ < LIST_MAXIMUM)
			strbuf_printf(&out, "%s%s=%s", out.length ? "," : "", table_text(server, "apiServerID", ""),
			              table_text(server, "encodingVersion", ""));
	if (count > LIST_MAXIMUM)
		strbuf_printf(&out, " + %zu more...", count - LIST_MAXIMUM);
	table_add_text(row, count ? strbuf_text(&out) : "<none>");
}

static const struct cell storage_version_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "status.commonEncodingVersion", "<unset>", NULL},
        CELL_BY(storage_versions),
        CELL_AGE_OF_OBJECT,
};

// "deployments.v1.apps"
static void migrated_resource(struct table_row *row)
{
	const struct json *resource = table_at(row->object, "spec.resource");
	table_add_text(row, arena_printf(row->arena, "%s.%s.%s", table_text(resource, "resource", ""),
	                                 table_text(resource, "version", ""), table_text(resource, "group", "")));
}

static const struct cell migration_cells[] = {CELL_NAME, CELL_BY(migrated_resource)};

static const struct cell api_service_cells[] = {CELL_NAME, CELL_BY(api_service), CELL_AGE_OF_OBJECT};

const struct table_kind table_other_kinds[] = {
        TABLE_KIND("admissionregistration.k8s.io", "MutatingAdmissionPolicy", mutating_policy_cells),
        TABLE_KIND("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", admission_policy_binding_cells),
        TABLE_KIND("admissionregistration.k8s.io", "MutatingWebhookConfiguration", webhook_cells),
        TABLE_KIND("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", admission_policy_cells),
        TABLE_KIND("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", admission_policy_binding_cells),
        TABLE_KIND("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", webhook_cells),
        TABLE_KIND("apiregistration.k8s.io", "APIService", api_service_cells),
        TABLE_KIND("certificates.k8s.io", "CertificateSigningRequest", signing_request_cells),
        TABLE_KIND("certificates.k8s.io", "ClusterTrustBundle", trust_bundle_cells),
        TABLE_KIND("coordination.k8s.io", "Lease", lease_cells),
        TABLE_KIND("coordination.k8s.io", "LeaseCandidate", lease_candidate_cells),
        TABLE_KIND("discovery.k8s.io", "EndpointSlice", endpoint_slice_cells),
        TABLE_KIND("flowcontrol.apiserver.k8s.io", "FlowSchema", flow_schema_cells),
        TABLE_KIND("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", priority_level_cells),
        TABLE_KIND("internal.apiserver.k8s.io", "StorageVersion", storage_version_cells),
        TABLE_KIND("networking.k8s.io", "IPAddress", ip_address_cells),
        TABLE_KIND("networking.k8s.io", "Ingress", ingress_cells),
        TABLE_KIND("networking.k8s.io", "IngressClass", ingress_class_cells),
        TABLE_KIND("networking.k8s.io", "NetworkPolicy", network_policy_cells),
        TABLE_KIND("networking.k8s.io", "ServiceCIDR", service_cidr_cells),
        TABLE_KIND("node.k8s.io", "RuntimeClass", runtime_class_cells),
        TABLE_KIND("rbac.authorization.k8s.io", "ClusterRoleBinding", binding_cells),
        TABLE_KIND("rbac.authorization.k8s.io", "RoleBinding", binding_cells),
        TABLE_KIND("resource.k8s.io", "DeviceClass", name_and_age_cells),
        TABLE_KIND("resource.k8s.io", "DeviceTaintRule", device_taint_cells),
        TABLE_KIND("resource.k8s.io", "ResourceClaim", resource_claim_cells),
        TABLE_KIND("resource.k8s.io", "ResourceClaimTemplate", name_and_age_cells),
        TABLE_KIND("resource.k8s.io", "ResourceSlice", resource_slice_cells),
        TABLE_KIND("scheduling.k8s.io", "PriorityClass", priority_class_cells),
        TABLE_KIND("storage.k8s.io", "CSIDriver", csi_driver_cells),
        TABLE_KIND("storage.k8s.io", "CSINode", csi_node_cells),
        TABLE_KIND("storage.k8s.io", "StorageClass", storage_class_cells),
        TABLE_KIND("storage.k8s.io", "VolumeAttachment", volume_attachment_cells),
        TABLE_KIND("storage.k8s.io", "VolumeAttributesClass", attributes_class_cells),
        TABLE_KIND("storagemigration.k8s.io", "StorageVersionMigration", migration_cells),
};
const size_t table_other_kind_count = ARRAY_SIZE(table_other_kinds);
