# SPDX-License-Identifier: Apache-2.0
"""Who may do what: RBAC, the node authorizer, reviews, and what nobody may give away."""

import unittest

import harness
import security
from security import RBAC, await_code, binding, impersonate, role, rule


class Authorization(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = security.cluster().server
        cls.admin = cls.server.client

    def setUp(self):
        self.namespace = harness.new_namespace(self.admin)
        self.pods = f"/api/v1/namespaces/{self.namespace}/pods"
        self.roles = f"{RBAC}/namespaces/{self.namespace}"

    def make(self, path, *objects):
        for made in objects:
            answer = self.admin.post(path, made)
            self.assertEqual(answer.code, 201, answer)

    def user(self, name, *groups):
        """A user's name that no other test has."""
        return impersonate(self.server, f"{self.namespace}-{name}", *groups)

    def review(self, user, groups=(), **attributes):
        answer = self.admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews",
                                 {"spec": {"user": user, "groups": list(groups), "resourceAttributes": attributes}})
        self.assertEqual(answer.code, 201, answer)
        return answer.json["status"]

    # --- bootstrap -------------------------------------------------------------------

    def test_bootstrap_roles(self):
        roles = {item["metadata"]["name"]: item for item in self.admin.get(RBAC + "/clusterroles").json["items"]}
        self.assertIn("system:controller:replicaset-controller", roles)
        admin = roles["cluster-admin"]
        self.assertEqual(admin["rules"], [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                                          {"verbs": ["*"], "nonResourceURLs": ["*"]}])
        self.assertEqual(admin["metadata"]["labels"], {"kubernetes.io/bootstrapping": "rbac-defaults"})
        self.assertEqual(admin["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"], "true")
        self.assertEqual(roles["view"]["aggregationRule"],
                         {"clusterRoleSelectors": [{"matchLabels": {
                             "rbac.authorization.k8s.io/aggregate-to-view": "true"}}]})
        made = self.admin.get(RBAC + "/clusterrolebindings/cluster-admin").json
        self.assertEqual(made["subjects"], [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io",
                                             "name": "system:masters"}])
        self.assertEqual(self.admin.get("/readyz/poststarthook/rbac/bootstrap-roles").code, 200)

    def test_roles_are_repaired_at_start(self):
        cluster = harness.Cluster()
        admin = cluster.server.client
        view = RBAC + "/clusterroles/system:aggregate-to-view"
        discovery = RBAC + "/clusterrolebindings/system:discovery"
        admin.patch(RBAC + "/clusterroles/system:basic-user", {"rules": []}, kind="merge-patch+json")
        admin.patch(view, {"rules": [rule("get", "pods")], "metadata": {"annotations": {
            "rbac.authorization.kubernetes.io/autoupdate": "false"}}}, kind="merge-patch+json")
        admin.delete(discovery)
        admin.patch(RBAC + "/clusterrolebindings/system:basic-user",
                    {"subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "extra"}]},
                    kind="merge-patch+json")
        cluster.server.terminate()
        admin = cluster.start_server().client
        basic = admin.get(RBAC + "/clusterroles/system:basic-user").json
        self.assertIn("selfsubjectaccessreviews", str(basic["rules"]))
        self.assertEqual(len(admin.get(view).json["rules"]), 1)  # its owner's alone
        self.assertEqual(admin.get(discovery).code, 200)
        subjects = admin.get(RBAC + "/clusterrolebindings/system:basic-user").json["subjects"]
        self.assertEqual([subject["name"] for subject in subjects], ["extra", "system:authenticated"])

    # --- RBAC ------------------------------------------------------------------------

    def test_a_role_gives_what_it_says(self):
        self.make(self.roles + "/roles", role("reader", rule("get,list", "pods"), rule("get", "pods/log"),
                                              rule("get", "secrets", names=["one"]),
                                              rule("patch", "*/scale", group="apps")))
        self.make(self.roles + "/rolebindings", binding("reader", "Role", "reader", f"user:{self.namespace}-jane"))
        jane = self.user("jane")
        await_code("jane to read pods", 200, lambda: jane.get(self.pods))
        refused = jane.post(self.pods, harness.pod("p"))
        self.assertEqual(refused.code, 403)
        self.assertEqual(refused.json["message"],
                         f'pods is forbidden: User "{self.namespace}-jane" cannot create resource "pods" in API group '
                         f'"" in the namespace "{self.namespace}"')
        self.assertEqual((refused.json["reason"], refused.json["details"]), ("Forbidden", {"kind": "pods"}))
        self.assertEqual(jane.get("/api/v1/pods").code, 403)
        self.assertEqual(jane.get(self.pods + "/nothing").code, 404)
        self.assertEqual(jane.get(self.pods + "/nothing/status").code, 403)
        secrets = f"/api/v1/namespaces/{self.namespace}/secrets"
        self.assertEqual(jane.get(secrets + "/one").code, 404)
        two = jane.get(secrets + "/two")
        self.assertIn('secrets "two" is forbidden: User', two.json["message"])
        self.assertEqual(jane.get(secrets).code, 403)
        scale = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/d"
        self.assertEqual(jane.patch(scale + "/scale", {}, kind="merge-patch+json").code, 404)
        self.assertEqual(jane.patch(scale, {}, kind="merge-patch+json").code, 403)
        self.admin.delete(self.roles + "/rolebindings/reader")
        await_code("the binding to end", 403, lambda: jane.get(self.pods))

    def test_groups_accounts_and_cluster_roles(self):
        name = self.namespace
        self.make(RBAC + "/clusterroles", role(name, rule("list", "pods,nodes")),
                  {"metadata": {"name": name + "-paths"},
                   "rules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics", "/healthz/*"]}]})
        self.make(self.roles + "/rolebindings", binding("b", "ClusterRole", name, f"group:{name}-devs"))
        self.make(RBAC + "/clusterrolebindings", binding(name, "ClusterRole", name + "-paths",
                                                         f"account:{name}/robot"))
        dev, robot = self.user("dev", f"{name}-devs"), impersonate(self.server, f"system:serviceaccount:{name}:robot")
        await_code("the group to list pods", 200, lambda: dev.get(self.pods))
        self.assertEqual(dev.get("/api/v1/nodes").code, 403)  # a RoleBinding gives nothing cluster-wide
        self.assertEqual(dev.get("/metrics").code, 403)
        await_code("the account to read metrics", 200, lambda: robot.get("/metrics"))

    def test_a_missing_role_is_named(self):
        self.make(self.roles + "/rolebindings",
                  binding("b", "ClusterRole", self.namespace + "-missing", f"user:{self.namespace}-jane"))
        jane = self.user("jane")

        def message():
            return jane.get(self.pods).json["message"]
        harness.await_true("the reason", lambda: message().endswith(
            f': RBAC: clusterrole.rbac.authorization.k8s.io "{self.namespace}-missing" not found'))

    def test_writes_that_create_need_create(self):
        self.make(self.roles + "/roles", role("patcher", rule("patch,update,get", "configmaps,serviceaccounts")),
                  role("leases", rule("update,get", "leases", group="coordination.k8s.io")))
        for name in ("patcher", "leases"):
            self.make(self.roles + "/rolebindings", binding(name, "Role", name, f"user:{self.namespace}-jane"))
        jane = self.user("jane")
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/c"
        await_code("jane to read", 404, lambda: jane.get(path))
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
        answer = jane.patch(path + "?fieldManager=t", body, kind="apply-patch+yaml")
        self.assertEqual(answer.code, 403, answer)
        self.assertIn('cannot create resource "configmaps"', answer.json["message"])
        self.make(f"/api/v1/namespaces/{self.namespace}/configmaps", body)
        self.assertEqual(jane.patch(path + "?fieldManager=t&force=true", {**body, "data": {"a": "c"}},
                                    kind="apply-patch+yaml").code, 200)
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/l"
        put = jane.put(lease, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}})
        self.assertEqual(put.code, 403, put)

    # --- escalation ------------------------------------------------------------------

    def test_nobody_grants_what_they_lack(self):
        name, rbac = self.namespace, "rbac.authorization.k8s.io"
        self.make(self.roles + "/roles",
                  role("owner", rule("*", "roles,rolebindings", group=rbac), rule("get", "pods")),
                  role("power", rule("*", "secrets")))
        self.admin.patch(self.roles + "/roles/owner", {"rules": [
            rule("get,list,create,update,patch,delete", "roles,rolebindings", group=rbac), rule("get", "pods")]},
            kind="merge-patch+json")
        self.make(self.roles + "/rolebindings", binding("owner", "Role", "owner", f"user:{name}-jane"))
        jane = self.user("jane", "g1")
        await_code("jane to manage roles", 200, lambda: jane.get(self.roles + "/roles"))
        self.assertEqual(jane.post(self.roles + "/roles", role("small", rule("get", "pods"))).code, 201)
        big = jane.post(self.roles + "/roles", role("big", rule("get,list", "secrets,pods")))
        self.assertEqual(big.code, 403)
        self.assertEqual(big.json["message"],
                         f'roles.rbac.authorization.k8s.io "big" is forbidden: user "{name}-jane" (groups=["g1" '
                         '"system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
                         '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}\n'
                         '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}')
        grown = jane.patch(self.roles + "/roles/small", {"rules": [rule("*", "*", group="*")]},
                           kind="merge-patch+json")
        self.assertEqual(grown.code, 403, grown)
        self.assertEqual(jane.patch(self.roles + "/roles/power", {"metadata": {"labels": {"a": "b"}}},
                                    kind="merge-patch+json").code, 200)  # no rule changes
        for reference in (("Role", "power"), ("ClusterRole", "cluster-admin")):
            bound = jane.post(self.roles + "/rolebindings", binding("mine", *reference, f"user:{name}-jane"))
            self.assertEqual(bound.code, 403, bound)
            self.assertIn("is attempting to grant RBAC permissions not currently held", bound.json["message"])
        self.assertEqual(jane.post(self.roles + "/rolebindings",
                                   binding("less", "Role", "small", f"user:{name}-joe")).code, 201)
        self.assertEqual(jane.post(self.roles + "/rolebindings",
                                   binding("none", "Role", "missing", f"user:{name}-joe")).code, 404)

    def test_escalate_and_bind(self):
        name, rbac = self.namespace, "rbac.authorization.k8s.io"
        self.make(self.roles + "/roles",
                  role("owner", rule("create,get", "roles,rolebindings", group=rbac),
                       rule("escalate", "roles", group=rbac), rule("bind", "clusterroles", rbac, ["view"])))
        self.make(self.roles + "/rolebindings", binding("owner", "Role", "owner", f"user:{name}-jane"))
        jane = self.user("jane")
        await_code("jane to have her role", 404, lambda: jane.get(self.roles + "/roles/x"))
        self.assertEqual(jane.post(self.roles + "/roles", role("big", rule("*", "*", group="*"))).code, 201)
        self.assertEqual(jane.post(self.roles + "/rolebindings",
                                   binding("view", "ClusterRole", "view", f"user:{name}-jane")).code, 201)
        self.assertEqual(jane.post(self.roles + "/rolebindings",
                                   binding("edit", "ClusterRole", "cluster-admin", f"user:{name}-jane")).code, 403)

    # --- nodes ------------------------------------------------------------------------

    def test_a_node_sees_what_its_pods_use(self):
        node, other = f"{self.namespace}-n1", f"{self.namespace}-n2"
        self.make("/api/v1/nodes", {"metadata": {"name": node}}, {"metadata": {"name": other}})
        secrets = f"/api/v1/namespaces/{self.namespace}/secrets"
        maps = f"/api/v1/namespaces/{self.namespace}/configmaps"
        self.make(secrets, {"metadata": {"name": "used"}}, {"metadata": {"name": "pulled"}},
                  {"metadata": {"name": "other"}})
        self.make(maps, {"metadata": {"name": "env"}})
        security.service_account(self.admin, self.namespace, "robot")
        pod = harness.pod("p", nodeName=node, serviceAccountName="robot", automountServiceAccountToken=False,
                          imagePullSecrets=[{"name": "pulled"}],
                          volumes=[{"name": "v", "secret": {"secretName": "used"}}])
        pod["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "env"}}]
        self.make(self.pods, pod)
        kubelet = impersonate(self.server, "system:node:" + node, "system:nodes")
        await_code("the node to see the secret", 200, lambda: kubelet.get(secrets + "/used"))
        self.assertEqual(kubelet.get(secrets + "/pulled").code, 200)
        self.assertEqual(kubelet.get(maps + "/env").code, 200)
        refused = kubelet.get(secrets + "/other")
        self.assertEqual(refused.code, 403)
        self.assertEqual(refused.json["message"],
                         f'secrets "other" is forbidden: User "system:node:{node}" cannot get resource "secrets" in API '
                         f'group "" in the namespace "{self.namespace}": no relationship found between node \'{node}\' '
                         'and this object')
        self.assertEqual(kubelet.get(secrets).code, 403)
        single = secrets + "?fieldSelector=metadata.name%3Dused"
        self.assertEqual(kubelet.get(single).code, 200)
        self.assertEqual(security.request_token(kubelet, self.namespace, "robot", boundObjectRef={
            "kind": "Pod", "apiVersion": "v1", "name": "p"}).code, 201)
        self.assertEqual(security.request_token(kubelet, self.namespace, "default").code, 403)
        self.assertEqual(kubelet.get("/api/v1/nodes/" + node).code, 200)
        self.assertIn(f"node '{node}' cannot read '{other}', only its own Node object",
                      kubelet.get("/api/v1/nodes/" + other).json["message"])
        self.assertEqual(kubelet.get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + node).code, 200)
        self.assertEqual(kubelet.get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + other).code, 403)
        self.assertEqual(kubelet.get("/api/v1/pods").code, 403)
        lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"
        self.assertEqual((kubelet.get(lease + node).code, kubelet.get(lease + other).code), (404, 403))
        stranger = impersonate(self.server, "system:node:" + other, "system:nodes")
        self.assertEqual(stranger.get(secrets + "/used").code, 403)
        self.assertEqual(impersonate(self.server, "system:node:" + node).get(secrets + "/used").code, 403)
        self.admin.delete(self.pods + "/p?gracePeriodSeconds=0")
        await_code("the secret to be out of sight", 403, lambda: kubelet.get(secrets + "/used"))

    def test_a_mirror_pod_opens_nothing(self):
        node = f"{self.namespace}-n1"
        secrets = f"/api/v1/namespaces/{self.namespace}/secrets"
        self.make(secrets, {"metadata": {"name": "s"}})
        pod = harness.pod("p", nodeName=node, automountServiceAccountToken=False,
                          volumes=[{"name": "v", "secret": {"secretName": "s"}}])
        pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}
        self.make(self.pods, pod)
        kubelet = impersonate(self.server, "system:node:" + node, "system:nodes")
        await_code("the node to see its pod", 200, lambda: kubelet.get(self.pods + "/p"))
        self.assertEqual(kubelet.get(secrets + "/s").code, 403)

    # --- reviews -----------------------------------------------------------------------

    def test_reviews(self):
        name = self.namespace
        self.make(self.roles + "/roles", role("reader", rule("get", "pods")))
        self.make(self.roles + "/rolebindings", binding("b", "Role", "reader", f"user:{name}-jane"))
        ask = {"namespace": name, "verb": "get", "resource": "pods"}
        status = harness.await_true("jane to be allowed", lambda: (
            lambda got: got["allowed"] and got)(self.review(f"{name}-jane", **ask)))
        self.assertEqual(status["reason"], f'RBAC: allowed by RoleBinding "b/{name}" of Role "reader" to User '
                                           f'"{name}-jane"')
        self.assertEqual(self.review(f"{name}-joe", **ask), {"allowed": False})
        self.assertTrue(self.review("x", ["system:masters"], **ask)["allowed"])
        jane = self.user("jane")
        own = jane.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                        {"spec": {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}})
        self.assertEqual((own.code, own.json["status"]), (201, {"allowed": False}))
        both = self.admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews",
                               {"spec": {"resourceAttributes": ask, "nonResourceAttributes": {"path": "/"},
                                         "user": "x"}})
        self.assertEqual(both.code, 422, both)
        local = f"/apis/authorization.k8s.io/v1/namespaces/{name}/localsubjectaccessreviews"
        self.assertTrue(self.admin.post(local, {"metadata": {"namespace": name}, "spec": {
            "user": f"{name}-jane", "resourceAttributes": ask}}).json["status"]["allowed"])
        wrong = self.admin.post(local, {"metadata": {"namespace": name}, "spec": {
            "user": "x", "resourceAttributes": {**ask, "namespace": "default"}}})
        self.assertEqual(wrong.code, 400, wrong)
        rules = jane.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": name}})
        self.assertIn({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
                      rules.json["status"]["resourceRules"])
        self.assertFalse(rules.json["status"]["incomplete"])

    def test_anonymous_sees_only_public_paths(self):
        nobody = security.TokenClient(self.server)
        for path, code in (("/healthz", 200), ("/livez", 200), ("/readyz", 200), ("/version", 200), ("/api", 403),
                           ("/apis", 403), ("/openapi/v2", 403), ("/", 403), ("/nothing", 403)):
            with self.subTest(path):
                self.assertEqual(nobody.get(path).code, code)
        self.assertEqual(self.user("somebody").get("/api").code, 200)


class Modes(unittest.TestCase):
    def test_the_default_allows_everything(self):
        cluster = harness.Cluster()
        cluster.server.terminate()
        server = harness.ApiServer(cluster.folder, cluster.pki, cluster.etcd.url, "--authorization-mode=AlwaysDeny",
                                   wait=False)
        harness.await_true("system:masters to be let in", lambda: server.client.get("/readyz").code == 200)
        answer = impersonate(server, "jane").get("/api/v1/pods")
        self.assertEqual(answer.code, 403)
        self.assertIn("Everything is forbidden.", answer.json["message"])


if __name__ == "__main__":
    unittest.main()
