// SPDX-License-Identifier: Apache-2.0
// The admission chain: a table in upstream's order.

#include "apiserver/admission/admission.h"

#include <string.h>

#include "apiserver/server.h"

static const struct admission_plugin plugins[] = {
        {"NamespaceLifecycle", ADMISSION_CREATE | ADMISSION_DELETE, NULL, admission_namespace_lifecycle},
        {"ServiceAccount", ADMISSION_CREATE, admission_service_account, NULL},
        {"TaintNodesByCondition", ADMISSION_CREATE, admission_taint_nodes, NULL},
        {"Priority", ADMISSION_CREATE | ADMISSION_UPDATE, admission_priority, NULL},
        {"DefaultTolerationSeconds", ADMISSION_CREATE, admission_default_tolerations, NULL},
        {"DefaultStorageClass", ADMISSION_CREATE, admission_default_storage_class, NULL},
        {"StorageObjectInUseProtection", ADMISSION_CREATE, admission_storage_protection, NULL},
        {"DefaultIngressClass", ADMISSION_CREATE, admission_default_ingress_class, NULL},
};

// Upstream's other plug-ins: their names are taken in flags and do nothing here yet.
static const char *const other_names[] = {
        "AlwaysAdmit",
        "AlwaysDeny",
        "AlwaysPullImages",
        "CertificateApproval",
        "CertificateSigning",
        "CertificateSubjectRestriction",
        "ClusterTrustBundleAttest",
        "DenyServiceExternalIPs",
        "EventRateLimit",
        "ExtendedResourceToleration",
        "ImagePolicyWebhook",
        "LimitPodHardAntiAffinityTopology",
        "LimitRanger",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "NamespaceAutoProvision",
        "NamespaceExists",
        "NodeRestriction",
        "OwnerReferencesPermissionEnforcement",
        "PersistentVolumeClaimResize",
        "PodNodeSelector",
        "PodSecurity",
        "PodTolerationRestriction",
        "PodTopologyLabels",
        "ResourceQuota",
        "RuntimeClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
};

bool admission_is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(plugins); i++)
		if (!strcmp(plugins[i].name, name))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(other_names); i++)
		if (!strcmp(other_names[i], name))
			return true;
	return false;
}

static bool is_disabled(const struct change *change, const char *name)
{
	const struct string_list *disabled = &change->server->config->disabled_admission;

	for (size_t i = 0; i < disabled->count; i++)
		if (!strcmp(disabled->items[i], name))
			return true;
	return false;
}

const struct status *admission_mutate(struct change *change, enum admission_operation operation)
{
	const struct status *status = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(plugins) && !status; i++)
		if (plugins[i].mutate && plugins[i].operations & operation && !is_disabled(change, plugins[i].name))
			status = plugins[i].mutate(change, operation);
	return status;
}

const struct status *admission_validate(struct change *change, enum admission_operation operation)
{
	const struct status *status = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(plugins) && !status; i++)
		if (plugins[i].validate && plugins[i].operations & operation && !is_disabled(change, plugins[i].name))
			status = plugins[i].validate(change, operation);
	return status;
}

// --- plug-ins that wait ---------------------------------------------------------------------

static bool has_turn(const struct admission_plugin *plugin, const struct change *change,
                     enum admission_operation operation, enum admission_phase phase)
{
	return plugin->waits && plugin->operations & operation && !is_disabled(change, plugin->name) &&
	       plugin->waits(change, operation, phase);
}

bool admission_waits(const struct change *change, enum admission_operation operation, enum admission_phase phase)
{
	for (size_t i = 0; i < ARRAY_SIZE(plugins); i++)
		if (has_turn(&plugins[i], change, operation, phase))
			return true;
	return false;
}

void admission_wait_next(struct admission_wait *wait, const struct status *failure)
{
	while (!failure && wait->next < ARRAY_SIZE(plugins)) {
		const struct admission_plugin *plugin = &plugins[wait->next++];

		if (has_turn(plugin, wait->change, wait->operation, wait->phase)) {
			plugin->start(wait);
			return;
		}
	}
	wait->done(wait->context, failure);
}

void admission_wait(struct admission_wait *wait, struct change *change, enum admission_operation operation,
                    enum admission_phase phase, void (*done)(void *context, const struct status *failure),
                    void *context)
{
	*wait = (struct admission_wait){
	        .change = change, .operation = operation, .phase = phase, .done = done, .context = context};
	admission_wait_next(wait, NULL);
}
