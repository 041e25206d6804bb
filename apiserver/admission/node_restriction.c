// SPDX-License-Identifier: Apache-2.0
// NodeRestriction: what a kubelet may write, whatever RBAC lets it: its own Node
// (without the labels and taints that others rely on), its own mirror pods, the
// status of its own pods, its lease, CSINode, resource slices, certificates, and
// tokens of accounts for its own pods. One function for each resource.

#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/certificate_request.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/authentication/user.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

struct node_request {
	struct change *change;
	enum admission_operation operation;
	const char *node;
};

typedef const struct status *(*node_rule)(const struct node_request *request);

static const struct schema_resource *core(const char *plural)
{
	return schema_find_resource("", "v1", plural);
}

static const char *operation_text(const struct node_request *request)
{
	return admission_operation_name(request->operation);
}

static const struct json *spec_of(const struct json *object)
{
	return json_get(object, "spec");
}

// The object that is there now: the stored one of an update or a delete.
static const struct json *existing(const struct node_request *request)
{
	return request->change->old;
}

// --- pods ---------------------------------------------------------------------------------

static const struct status *check_owner(const struct node_request *request, const struct json *owners)
{
	struct change *change = request->change;
	const char *node = request->node;
	const struct json *owner = length_of(owners) ? owners->items[0] : NULL, *own;

	if (length_of(owners) > 1)
		return admission_forbid(
		        change, "node \"%s\" can only create pods with a single owner reference set to itself", node);
	if (!owner)
		return admission_forbid(change,
		                        "node \"%s\" can only create pods with an owner reference set to itself", node);
	if (strcmp(text_of(owner, "apiVersion"), "v1") || strcmp(text_of(owner, "kind"), "Node") ||
	    strcmp(text_of(owner, "name"), node))
		return admission_forbid(change,
		                        "node \"%s\" can only create pods with an owner reference set to itself", node);
	if (!json_get_bool(owner, "controller", false))
		return admission_forbid(
		        change, "node \"%s\" can only create pods with a controller owner reference set to itself",
		        node);
	if (json_get_bool(owner, "blockOwnerDeletion", false))
		return admission_forbid(change, "node \"%s\" must not set blockOwnerDeletion on an owner reference",
		                        node);
	own = admission_peek(change, core("nodes"), "", node);
	if (!own)
		return status_not_found(change->arena, core("nodes"), node);
	if (strcmp(text_of(owner, "uid"), object_uid(own) ? object_uid(own) : ""))
		return admission_forbid(change, "node %s UID mismatch: expected %s got %s", node, text_of(owner, "uid"),
		                        object_uid(own) ? object_uid(own) : "");
	return NULL;
}

static bool container_names(const struct json *spec, const char *env_member, const char *from_member)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_get(spec, lists[i])) {
			json_for_each_item (env, json_get(container, "env"))
				if (is_present(json_path(env, "valueFrom", env_member)))
					return true;
			json_for_each_item (from, json_get(container, "envFrom"))
				if (is_present(json_get(from, from_member)))
					return true;
		}
	return false;
}

static bool volume_names(const struct json *spec, const char *member)
{
	json_for_each_item (volume, json_get(spec, "volumes")) {
		if (is_present(json_get(volume, member)))
			return true;
		json_for_each_item (source, json_path(volume, "projected", "sources"))
			if (is_present(json_get(source, member)))
				return true;
	}
	return false;
}

static const struct status *check_references(const struct node_request *request, const struct json *spec)
{
	const struct {
		bool found;
		const char *what;
	} references[] = {
	        {text_of(spec, "serviceAccountName")[0] != 0, "a service account"},
	        {volume_names(spec, "secret") || length_of(json_get(spec, "imagePullSecrets")) ||
	                 container_names(spec, "secretKeyRef", "secretRef"),
	         "secrets"},
	        {volume_names(spec, "configMap") || container_names(spec, "configMapKeyRef", "configMapRef"),
	         "configmaps"},
	        {volume_names(spec, "persistentVolumeClaim"), "persistentvolumeclaims"},
	        {length_of(json_get(spec, "resourceClaims")) > 0, "resourceclaims"},
	        {volume_names(spec, "clusterTrustBundle"), "clustertrustbundles"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(references); i++)
		if (references[i].found)
			return admission_forbid(request->change, "node \"%s\" can not create pods that reference %s",
			                        request->node, references[i].what);
	return NULL;
}

static const struct status *pod_create(const struct node_request *request)
{
	struct change *change = request->change;
	const struct json *spec = spec_of(change->object);
	const struct status *status;

	if (!metadata_annotation(change->object, MIRROR_ANNOTATION))
		return admission_forbid(change,
		                        "pod does not have \"%s\" annotation, node \"%s\" can only create mirror pods",
		                        MIRROR_ANNOTATION, request->node);
	if (strcmp(text_of(spec, "nodeName"), request->node))
		return admission_forbid(change, "node \"%s\" can only create pods with spec.nodeName set to itself",
		                        request->node);
	status = check_owner(request, json_path(change->object, "metadata", "ownerReferences"));
	return status ? status : check_references(request, spec);
}

static const struct status *pod_delete(const struct node_request *request)
{
	if (!strcmp(text_of(spec_of(existing(request)), "nodeName"), request->node))
		return NULL;
	return admission_forbid(request->change, "node \"%s\" can only delete pods with spec.nodeName set to itself",
	                        request->node);
}

static const struct status *pod_rule(const struct node_request *request)
{
	if (request->operation == ADMISSION_CREATE)
		return pod_create(request);
	if (request->operation == ADMISSION_DELETE)
		return pod_delete(request);
	return admission_forbid(request->change,
	                        "unexpected operation \"%s\", node \"%s\" can only create and delete mirror pods",
	                        operation_text(request), request->node);
}

static bool same_member(const struct json *a, const struct json *b, const char *first, const char *second)
{
	const struct json *x = json_path(a, first, second), *y = json_path(b, first, second);

	return (!length_of(x) && !length_of(y)) || (is_present(x) && is_present(y) && json_equal(x, y));
}

static const struct status *pod_status_rule(const struct node_request *request)
{
	struct change *change = request->change;

	if (request->operation != ADMISSION_UPDATE)
		return admission_forbid(change, "unexpected operation \"%s\"", operation_text(request));
	if (strcmp(text_of(spec_of(change->old), "nodeName"), request->node))
		return admission_forbid(
		        change, "node \"%s\" can only update pod status for pods with spec.nodeName set to itself",
		        request->node);
	if (!same_member(change->object, change->old, "metadata", "labels"))
		return admission_forbid(change, "node \"%s\" cannot update labels through pod status", request->node);
	if (!same_member(change->object, change->old, "status", "resourceClaimStatuses"))
		return admission_forbid(change, "node \"%s\" cannot update resource claim statues", request->node);
	return NULL;
}

static const struct status *pod_eviction_rule(const struct node_request *request)
{
	struct change *change = request->change;
	const struct json *pod = admission_peek(change, core("pods"), change->namespace_name, change->name);

	if (request->operation != ADMISSION_CREATE)
		return admission_forbid(change, "unexpected operation %s", operation_text(request));
	if (!pod)
		return status_not_found(change->arena, core("pods"), change->name);
	if (strcmp(text_of(spec_of(pod), "nodeName"), request->node))
		return admission_forbid(change, "node %s can only evict pods with spec.nodeName set to itself",
		                        request->node);
	return NULL;
}

static const struct status *pod_other_rule(const struct node_request *request)
{
	return admission_forbid(request->change,
	                        "unexpected pod subresource \"%s\", only 'status' and 'eviction' are allowed",
	                        request->change->subresource);
}

// --- nodes --------------------------------------------------------------------------------

static bool has_suffix(const char *text, size_t length, const char *suffix)
{
	size_t size = strlen(suffix);

	return length >= size && !memcmp(text + length - size, suffix, size) &&
	       (length == size || text[length - size - 1] == '.');
}

static bool is_kubelet_label(const char *key, size_t prefix_length)
{
	static const char *const known[] = {
	        "kubernetes.io/hostname",
	        "topology.kubernetes.io/zone",
	        "topology.kubernetes.io/region",
	        "failure-domain.beta.kubernetes.io/zone",
	        "failure-domain.beta.kubernetes.io/region",
	        "beta.kubernetes.io/instance-type",
	        "node.kubernetes.io/instance-type",
	        "kubernetes.io/os",
	        "kubernetes.io/arch",
	        "beta.kubernetes.io/os",
	        "beta.kubernetes.io/arch",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(key, known[i]))
			return true;
	return has_suffix(key, prefix_length, "kubelet.kubernetes.io") ||
	       has_suffix(key, prefix_length, "node.kubernetes.io");
}

static bool is_forbidden_label(const char *key)
{
	const char *slash = strchr(key, '/');
	size_t length = slash ? (size_t)(slash - key) : 0;

	if (has_suffix(key, length, "node-restriction.kubernetes.io"))
		return true;
	if (!has_suffix(key, length, "kubernetes.io") && !has_suffix(key, length, "k8s.io"))
		return false;
	return !is_kubelet_label(key, length);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The forbidden ones among the labels that differ, sorted and joined; NULL = none.
static const char *forbidden_labels(struct arena *arena, const struct json *now, const struct json *before)
{
	const char **names = ARENA_ARRAY(arena, const char *, length_of(now) + length_of(before) + 1);
	const char *joined = NULL;
	size_t count = 0;

	json_for_each_member (label, now)
		if (is_forbidden_label(label->key) &&
		    (!json_get(before, label->key) || !json_equal(json_get(before, label->key), label->value)))
			names[count++] = label->key;
	json_for_each_member (label, before)
		if (is_forbidden_label(label->key) && !json_get(now, label->key))
			names[count++] = label->key;
	qsort(names, count, sizeof(*names), compare_texts);
	for (size_t i = 0; i < count; i++)
		joined = joined ? arena_printf(arena, "%s, %s", joined, names[i]) : names[i];
	return joined;
}

static const struct status *node_update(const struct node_request *request)
{
	struct change *change = request->change;
	const char *labels = forbidden_labels(change->arena, json_path(change->object, "metadata", "labels"),
	                                      json_path(change->old, "metadata", "labels"));

	if (is_present(json_path(change->object, "spec", "configSource")) &&
	    !same_member(change->object, change->old, "spec", "configSource"))
		return admission_forbid(
		        change, "node \"%s\" is not allowed to update configSource to a new non-nil configSource",
		        request->node);
	if (!same_member(change->object, change->old, "spec", "taints"))
		return admission_forbid(change, "node \"%s\" is not allowed to modify taints", request->node);
	if (labels)
		return admission_forbid(change, "is not allowed to modify labels: %s", labels);
	if (!same_member(change->object, change->old, "metadata", "ownerReferences"))
		return admission_forbid(change, "node \"%s\" is not allowed to modify ownerReferences", request->node);
	return NULL;
}

static const struct status *node_rule_(const struct node_request *request)
{
	struct change *change = request->change;
	const char *labels;

	if (strcmp(change->name ? change->name : "", request->node))
		return admission_forbid(change, "node \"%s\" is not allowed to modify node \"%s\"", request->node,
		                        change->name ? change->name : "");
	if (request->operation == ADMISSION_UPDATE)
		return node_update(request);
	if (request->operation != ADMISSION_CREATE)
		return NULL;
	labels = forbidden_labels(change->arena, json_path(change->object, "metadata", "labels"),
	                          json_path(change->old, "metadata", "labels"));
	if (labels)
		return admission_forbid(change, "node \"%s\" is not allowed to set the following labels: %s",
		                        request->node, labels);
	return NULL;
}

// --- others ---------------------------------------------------------------------------------

static const struct status *claim_status_rule(const struct node_request *request)
{
	struct change *change = request->change;
	struct json *now, *before;

	if (request->operation != ADMISSION_UPDATE)
		return admission_forbid(change, "unexpected operation \"%s\"", operation_text(request));
	now = json_clone(change->arena, change->object);
	before = json_clone(change->arena, change->old);
	for (size_t i = 0; i < 2; i++) {
		struct json *status = json_get(i ? before : now, "status"),
		            *metadata = json_get(i ? before : now, "metadata");
		static const char *const members[] = {"capacity", "conditions", "allocatedResources",
		                                      "allocatedResourceStatuses"};

		for (size_t j = 0; j < ARRAY_SIZE(members); j++)
			json_remove(status, members[j]);
		json_remove(metadata, "resourceVersion");
		json_remove(metadata, "managedFields");
	}
	if (json_equal(now, before))
		return NULL;
	return admission_forbid(change,
	                        "node \"%s\" is not allowed to update fields other than status.capacity and "
	                        "status.conditions",
	                        request->node);
}

static const struct status *claim_other_rule(const struct node_request *request)
{
	return admission_forbid(request->change, "may only update PVC status");
}

static bool has_audience(const struct json *pod, const char *audience)
{
	json_for_each_item (volume, json_path(pod, "spec", "volumes"))
		json_for_each_item (source, json_path(volume, "projected", "sources")) {
			const struct json *token = json_get(source, "serviceAccountToken");

			if (is_present(token) && !strcmp(text_of(token, "audience"), audience))
				return true;
		}
	return false;
}

static const struct status *token_rule(const struct node_request *request)
{
	struct change *change = request->change;
	const struct json *spec = spec_of(change->object), *bound = json_get(spec, "boundObjectRef"), *pod;
	const char *pod_uid;

	if (request->operation != ADMISSION_CREATE)
		return NULL;
	if (!is_present(bound) || strcmp(text_of(bound, "apiVersion"), "v1") || strcmp(text_of(bound, "kind"), "Pod") ||
	    !text_of(bound, "name")[0])
		return admission_forbid(change, "node requested token not bound to a pod");
	if (!text_of(bound, "uid")[0])
		return admission_forbid(change, "node requested token with a pod binding without a uid");
	pod = admission_peek(change, core("pods"), change->namespace_name, text_of(bound, "name"));
	if (!pod)
		return status_not_found(change->arena, core("pods"), text_of(bound, "name"));
	pod_uid = object_uid(pod) ? object_uid(pod) : "";
	if (strcmp(pod_uid, text_of(bound, "uid")))
		return admission_forbid(change,
		                        "the UID in the bound object reference (%s) does not match the UID in record. "
		                        "The object might have been deleted and then recreated",
		                        text_of(bound, "uid"));
	if (strcmp(text_of(spec_of(pod), "nodeName"), request->node))
		return admission_forbid(change, "node requested token bound to a pod scheduled on a different node");
	json_for_each_item (audience, json_get(spec, "audiences"))
		if (json_text(audience) && json_text(audience)[0] && !has_audience(pod, json_text(audience)) &&
		    !admission_user_may(change, "request-serviceaccounts-token-audience", "", json_text(audience), "",
		                        change->namespace_name, change->name))
			return admission_forbid(change, "audience \"%s\" not found in pod spec volume",
			                        json_text(audience));
	return NULL;
}

static const struct status *account_rule(const struct node_request *request)
{
	(void)request;
	return NULL;
}

static const struct status *lease_rule(const struct node_request *request)
{
	struct change *change = request->change;

	if (strcmp(change->namespace_name, "kube-node-lease"))
		return admission_forbid(change, "can only access leases in the \"kube-node-lease\" system namespace");
	if (strcmp(change->name ? change->name : "", request->node))
		return admission_forbid(change, "can only access node lease with the same name as the requesting node");
	return NULL;
}

static const struct status *csi_node_rule(const struct node_request *request)
{
	if (!strcmp(request->change->name ? request->change->name : "", request->node))
		return NULL;
	return admission_forbid(request->change,
	                        request->operation == ADMISSION_CREATE
	                                ? "can only create CSINode with the same name as the requesting node"
	                                : "can only access CSINode with the same name as the requesting node");
}

static const struct status *slice_rule(const struct node_request *request)
{
	struct change *change = request->change;
	const struct json *object = request->operation == ADMISSION_DELETE ? change->old : change->object;

	if (!strcmp(text_of(spec_of(object), "nodeName"), request->node))
		return NULL;
	return admission_forbid(
	        change, request->operation == ADMISSION_DELETE
	                        ? "can only delete ResourceSlice with the same NodeName as the requesting node"
	                        : "can only create ResourceSlice with the same NodeName as the requesting node");
}

static const struct status *certificate_rule(const struct node_request *request)
{
	struct change *change = request->change;
	const char *signer = text_of(spec_of(change->object), "signerName");
	struct certificate_subject subject;

	if (request->operation != ADMISSION_CREATE || (strcmp(signer, "kubernetes.io/kubelet-serving") &&
	                                               strcmp(signer, "kubernetes.io/kube-apiserver-client-kubelet")))
		return NULL;
	if (!certificate_request_subject(change->arena, change->object, &subject))
		return admission_forbid(change, "unable to parse csr: PEM block type must be CERTIFICATE REQUEST");
	if (strcmp(subject.common_name, change->request->user.name))
		return admission_forbid(change, "can only create a node CSR with CN=%s", change->request->user.name);
	return NULL;
}

// --- the plug-in --------------------------------------------------------------------------

static const struct {
	const char *group;
	const char *plural;
	const char *subresource; // "*": any other
	node_rule rule;
} rules[] = {
        {"", "nodes", "*", node_rule_},
        {"", "persistentvolumeclaims", "status", claim_status_rule},
        {"", "persistentvolumeclaims", "*", claim_other_rule},
        {"", "pods", "", pod_rule},
        {"", "pods", "eviction", pod_eviction_rule},
        {"", "pods", "status", pod_status_rule},
        {"", "pods", "*", pod_other_rule},
        {"", "serviceaccounts", "token", token_rule},
        {"", "serviceaccounts", "*", account_rule},
        {"certificates.k8s.io", "certificatesigningrequests", "*", certificate_rule},
        {"coordination.k8s.io", "leases", "*", lease_rule},
        {"resource.k8s.io", "resourceslices", "*", slice_rule},
        {"storage.k8s.io", "csinodes", "*", csi_node_rule},
};

const struct status *admission_node_restriction(struct change *change, enum admission_operation operation)
{
	const struct user *user = &change->request->user;
	const char *node = user_node_name(user);
	struct node_request *request;

	if (!node)
		return NULL;
	request = ARENA_NEW(change->arena, struct node_request);
	*request = (struct node_request){change, operation, node};
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (change_is_for(change, rules[i].group, rules[i].plural) &&
		    (rules[i].subresource[0] == '*' || !strcmp(rules[i].subresource, change->subresource)))
			return rules[i].rule(request);
	return NULL;
}
