// SPDX-License-Identifier: Apache-2.0
// A table of specs, as one would write them by hand. What a spec leaves out is
// added by the defaults of its kind.

#include "apiserver/fairness/default_objects.h"

#include <assert.h>
#include <string.h>

#include "apiserver/object_io.h"
#include "common/api/yaml.h"
#include "common/base/macros.h"

#define AUTOUPDATE "apf.kubernetes.io/autoupdate-spec"

// Everything, for a rule of resources and one of other paths.
#define EVERYTHING                                                                                                     \
	"resourceRules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*']}], " \
	"nonResourceRules: [{verbs: ['*'], nonResourceURLs: ['*']}]"

const struct flow_default flow_defaults[] = {
        {"exempt", false, true, "{type: Exempt, exempt: {nominalConcurrencyShares: 0, lendablePercent: 0}}", "exempt"},
        {"catch-all", false, true,
         "{type: Limited, limited: {nominalConcurrencyShares: 5, lendablePercent: 0, "
         "limitResponse: {type: Reject}}}"},
        {"system", false, false,
         "{type: Limited, limited: {nominalConcurrencyShares: 30, lendablePercent: 33, "
         "limitResponse: {type: Queue, queuing: {queues: 64, handSize: 6, queueLengthLimit: 50}}}}"},
        {"node-high", false, false,
         "{type: Limited, limited: {nominalConcurrencyShares: 40, lendablePercent: 25, "
         "limitResponse: {type: Queue, queuing: {queues: 64, handSize: 6, queueLengthLimit: 50}}}}"},
        {"leader-election", false, false,
         "{type: Limited, limited: {nominalConcurrencyShares: 10, lendablePercent: 0, "
         "limitResponse: {type: Queue, queuing: {queues: 16, handSize: 4, queueLengthLimit: 50}}}}"},
        {"workload-high", false, false,
         "{type: Limited, limited: {nominalConcurrencyShares: 40, lendablePercent: 50, "
         "limitResponse: {type: Queue, queuing: {queues: 128, handSize: 6, queueLengthLimit: "
         "50}}}}"},
        {"workload-low", false, false,
         "{type: Limited, limited: {nominalConcurrencyShares: 100, lendablePercent: 90, "
         "limitResponse: {type: Queue, queuing: {queues: 128, handSize: 6, queueLengthLimit: "
         "50}}}}"},
        {"global-default", false, false,
         "{type: Limited, limited: {nominalConcurrencyShares: 20, lendablePercent: 50, "
         "limitResponse: {type: Queue, queuing: {queues: 128, handSize: 6, queueLengthLimit: "
         "50}}}}"},
        {"exempt", true, true,
         "{priorityLevelConfiguration: {name: exempt}, matchingPrecedence: 1, rules: [{subjects: "
         "[{kind: Group, group: {name: 'system:masters'}}], " EVERYTHING "}]}"},
        {"catch-all", true, true,
         "{priorityLevelConfiguration: {name: catch-all}, matchingPrecedence: 10000, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: Group, group: {name: "
         "'system:unauthenticated'}}, {kind: Group, group: {name: 'system:authenticated'}}], " EVERYTHING "}]}"},
        {"probes", true, false,
         "{priorityLevelConfiguration: {name: exempt}, matchingPrecedence: 2, rules: [{subjects: "
         "[{kind: Group, group: {name: 'system:unauthenticated'}}, {kind: Group, group: {name: "
         "'system:authenticated'}}], nonResourceRules: [{verbs: [get], nonResourceURLs: "
         "['/healthz', '/readyz', '/livez']}]}]}"},
        {"system-leader-election", true, false,
         "{priorityLevelConfiguration: {name: leader-election}, matchingPrecedence: 100, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: User, user: {name: "
         "'system:kube-controller-manager'}}, {kind: User, user: {name: 'system:kube-scheduler'}}, "
         "{kind: ServiceAccount, serviceAccount: {namespace: kube-system, name: '*'}}], "
         "resourceRules: [{verbs: [get, create, update], apiGroups: [coordination.k8s.io], "
         "resources: [leases], namespaces: [kube-system]}]}]}"},
        {"endpoint-controller", true, false,
         "{priorityLevelConfiguration: {name: workload-high}, matchingPrecedence: 150, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: User, user: {name: "
         "'system:kube-controller-manager'}}, {kind: ServiceAccount, serviceAccount: {namespace: "
         "kube-system, name: endpoint-controller}}, {kind: ServiceAccount, serviceAccount: "
         "{namespace: kube-system, name: endpointslicemirroring-controller}}], resourceRules: "
         "[{verbs: [get, create, update], apiGroups: [''], resources: [endpoints], namespaces: "
         "['*']}]}]}"},
        {"workload-leader-election", true, false,
         "{priorityLevelConfiguration: {name: leader-election}, matchingPrecedence: 200, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: ServiceAccount, "
         "serviceAccount: {namespace: kube-system, name: '*'}}], resourceRules: [{verbs: [get, "
         "create, update], apiGroups: [coordination.k8s.io], resources: [leases], namespaces: "
         "['*']}]}]}"},
        {"system-node-high", true, false,
         "{priorityLevelConfiguration: {name: node-high}, matchingPrecedence: 400, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: Group, group: {name: "
         "'system:nodes'}}], resourceRules: [{verbs: ['*'], apiGroups: [''], resources: [nodes, "
         "nodes/status], clusterScope: true, namespaces: ['*']}, {verbs: ['*'], apiGroups: "
         "[coordination.k8s.io], resources: [leases], namespaces: ['*']}]}]}"},
        {"system-nodes", true, false,
         "{priorityLevelConfiguration: {name: system}, matchingPrecedence: 500, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: Group, group: {name: "
         "'system:nodes'}}], " EVERYTHING "}]}"},
        {"kube-controller-manager", true, false,
         "{priorityLevelConfiguration: {name: workload-high}, matchingPrecedence: 800, "
         "distinguisherMethod: {type: ByNamespace}, rules: [{subjects: [{kind: User, user: {name: "
         "'system:kube-controller-manager'}}], " EVERYTHING "}]}"},
        {"kube-scheduler", true, false,
         "{priorityLevelConfiguration: {name: workload-high}, matchingPrecedence: 800, "
         "distinguisherMethod: {type: ByNamespace}, rules: [{subjects: [{kind: User, user: {name: "
         "'system:kube-scheduler'}}], " EVERYTHING "}]}"},
        {"kube-system-service-accounts", true, false,
         "{priorityLevelConfiguration: {name: workload-high}, matchingPrecedence: 900, "
         "distinguisherMethod: {type: ByNamespace}, rules: [{subjects: [{kind: ServiceAccount, "
         "serviceAccount: {namespace: kube-system, name: '*'}}], " EVERYTHING "}]}"},
        {"service-accounts", true, false,
         "{priorityLevelConfiguration: {name: workload-low}, matchingPrecedence: 9000, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: Group, group: {name: "
         "'system:serviceaccounts'}}], " EVERYTHING "}]}"},
        {"global-default", true, false,
         "{priorityLevelConfiguration: {name: global-default}, matchingPrecedence: 9900, "
         "distinguisherMethod: {type: ByUser}, rules: [{subjects: [{kind: Group, group: {name: "
         "'system:unauthenticated'}}, {kind: Group, group: {name: 'system:authenticated'}}], " EVERYTHING "}]}"},
};
const size_t flow_default_count = ARRAY_SIZE(flow_defaults);

const struct schema_resource *flow_schemas_resource(void)
{
	return schema_find_resource("flowcontrol.apiserver.k8s.io", "v1", "flowschemas");
}

const struct schema_resource *priority_levels_resource(void)
{
	return schema_find_resource("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations");
}

const struct schema_resource *flow_default_resource(const struct flow_default *wanted)
{
	return wanted->is_schema ? flow_schemas_resource() : priority_levels_resource();
}

struct json *flow_default_object(struct arena *arena, const struct flow_default *wanted)
{
	const struct schema_resource *resource = flow_default_resource(wanted);
	struct json *object = json_object(arena), *metadata = json_object(arena);
	struct yaml_document *spec = NULL;
	size_t count = 0;
	int r = yaml_parse(arena, wanted->spec, strlen(wanted->spec), NULL, &spec, &count, NULL);

	assert(r == 0 && count == 1);
	(void)r;
	json_set_text(arena, object, "kind", resource->kind);
	json_set_text(arena, object, "apiVersion", "flowcontrol.apiserver.k8s.io/v1");
	json_set_text(arena, metadata, "name", wanted->name);
	json_set_text(arena, json_ensure_object(arena, metadata, "annotations"), AUTOUPDATE, "true");
	json_set(arena, object, "metadata", metadata);
	json_set(arena, object, "spec", spec->value);
	object_complete(arena, resource->type, object);
	return object;
}

bool flow_default_is_met(struct arena *arena, const struct flow_default *wanted, const struct json *spec)
{
	struct json *have = json_clone(arena, spec), *want = json_get(flow_default_object(arena, wanted), "spec");

	if (wanted->tunable) {
		json_remove(have, wanted->tunable);
		json_remove(want, wanted->tunable);
	}
	return json_equal(have, want);
}

bool flow_default_rules(const struct flow_default *wanted, const struct json *stored)
{
	const struct json *metadata = json_get(stored, "metadata");
	const char *follows = json_get_text(json_get(metadata, "annotations"), AUTOUPDATE);
	int64_t generation = 0;

	if (wanted->mandatory)
		return true;
	if (follows)
		return !strcmp(follows, "true");
	return json_get_integer(metadata, "generation", &generation) && generation == 1;
}
