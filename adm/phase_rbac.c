// SPDX-License-Identifier: Apache-2.0
//
// What kubeadm grants besides the API server's own roles, under kubeadm's names:
// administrators, joining kubelets and their certificates. kube-proxy shares the
// kubelet's credential here, so its role is bound to the nodes.
#include <string.h>

#include "adm/admin_client.h"
#include "adm/init_run.h"
#include "common/client/rest.h"

#define RBAC "/apis/rbac.authorization.k8s.io/v1/"

struct grant {
	const char *name;
	const char *role; // ClusterRole
	const char *group;
};

static const struct grant grants[] = {
        {"caravel:node-proxier", "system:node-proxier", "system:nodes"},
        {"kubeadm:cluster-admins", "cluster-admin", "kubeadm:cluster-admins"},
        {"kubeadm:get-nodes", "kubeadm:get-nodes", "system:bootstrappers:kubeadm:default-node-token"},
        {"kubeadm:kubelet-bootstrap", "system:node-bootstrapper", "system:bootstrappers:kubeadm:default-node-token"},
        {"kubeadm:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
         "system:bootstrappers:kubeadm:default-node-token"},
        {"kubeadm:node-autoapprove-certificate-rotation",
         "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "system:nodes"},
};

// A new object, or the one that is there already.
static int ensure(struct admin_client *client, const char *path, const char *body, struct err *err)
{
	struct rest_request request = {.method = "POST", .path = path, .body = body, .body_length = strlen(body)};
	struct err refused = ERR_INIT;
	int result = admin_client_run(client, &request, ERR_ALREADY_EXISTS, &refused);
	return result < 0 ? err_copy(err, &refused) : 0;
}

static int ensure_binding(struct admin_client *client, struct arena *arena, const struct grant *grant, struct err *err)
{
	const char *body = arena_printf(
	        arena,
	        "{\"apiVersion\":\"rbac.authorization.k8s.io/"
	        "v1\",\"kind\":\"ClusterRoleBinding\",\"metadata\":{\"name\":"
	        "\"%s\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"%"
	        "s\"},"
	        "\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Group\",\"name\":\"%s\"}]}",
	        grant->name, grant->role, grant->group);
	return ensure(client, RBAC "clusterrolebindings", body, err);
}

int phase_rbac(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	static const char get_nodes[] =
	        "{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"ClusterRole\",\"metadata\":{\"name\":"
	        "\"kubeadm:get-nodes\"},\"rules\":[{\"apiGroups\":[\"\"],\"resources\":[\"nodes\"],\"verbs\":[\"get\"]}"
	        "]}";
	AUTO_ADMIN_CLIENT struct admin_client client = {0};
	int result = admin_client_init(&client, ADM_KUBERNETES_FOLDER "/super-admin.conf", err);
	if (result == 0)
		result = ensure(&client, RBAC "clusterroles", get_nodes, err);
	for (size_t i = 0; result == 0 && i < ARRAY_SIZE(grants); i++)
		result = ensure_binding(&client, run->arena, &grants[i], err);
	if (result == 0)
		phase_say(phase,
		          "Granted cluster-admin to the group kubeadm:cluster-admins, and joining kubelets their "
		          "certificates");
	return result;
}
