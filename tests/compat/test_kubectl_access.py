# SPDX-License-Identifier: Apache-2.0
"""Who may do what, as kubectl asks and tells; tokens; raw requests; nodes that are emptied."""

import json
import os

import clients
from harness import await_true, pod

FORBIDDEN = 'Error from server (Forbidden): {0} is forbidden: User "{1}" cannot {2} resource "{0}" in API group "" in the ' \
            'namespace "{3}"\n'


class Case(clients.KubectlCase):
    def write(self, name, body):
        path = os.path.join(self.home, f"{self.ns}-{name}.json")
        with open(path, "w") as file:
            json.dump(body, file)
        return path

    def create(self, body):
        return self.kubectl("create", "-f", "-", stdin=json.dumps(dict({"apiVersion": "v1", "kind": "Pod"}, **body)))


@clients.for_each_version
class Access(Case):
    def test_roles_decide(self):
        self.kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,pods/log")
        self.kubectl("create", "rolebinding", "reader", "--role=reader", "--user=ann")
        self.assertEqual(self.kubectl("auth", "can-i", "list", "pods", "--as=ann"), "yes\n")
        self.assertEqual(self.kubectl("auth", "can-i", "get", "pods", "--subresource=log", "--as=ann"), "yes\n")
        refused = self.attempt("auth", "can-i", "delete", "pods", "--as=ann")
        self.assertEqual((refused.returncode, refused.stdout), (1, "no\n"))
        self.assertEqual(self.attempt("auth", "can-i", "list", "pods", "-A", "--as=ann").stdout, "no\n")
        self.assertEqual(self.kubectl("get", "pods", "-o", "name", "--as=ann"), "")
        self.assertEqual(self.refused("delete", "pods", "--all", "--as=bob"),
                         FORBIDDEN.format("pods", "bob", "list", self.ns))
        self.assertEqual(self.refused("get", "secrets", "--as=ann"), FORBIDDEN.format("secrets", "ann", "list", self.ns))

    def test_the_list_of_what_one_may_do(self):
        self.kubectl("create", "role", "namer", "--verb=get", "--resource=configmaps", "--resource-name=one")
        self.kubectl("create", "rolebinding", "namer", "--role=namer", "--group=devs")
        rows = [line.split() for line in
                self.kubectl("auth", "can-i", "--list", "--no-headers", "--as=dee", "--as-group=devs").splitlines()]
        self.assertIn(["configmaps", "[]", "[one]", "[get]"], rows)
        self.assertEqual(self.kubectl("auth", "can-i", "get", "cm/one", "--as=dee", "--as-group=devs"), "yes\n")

    def test_bound_to_a_new_subject(self):
        self.kubectl("create", "role", "r", "--verb=create", "--resource=configmaps")
        self.kubectl("create", "rolebinding", "rb", "--role=r", "--user=one")
        self.kubectl("set", "subject", "rolebinding", "rb", "--user=two")
        await_true("the role", lambda: self.attempt("auth", "can-i", "create", "cm", "--as=two").stdout == "yes\n")
        self.assertEqual(self.kubectl("create", "cm", "made", "--as=two"), "configmap/made created\n")

    def test_reconcile(self):
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": self.ns},
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
        path = self.write("role", role)
        self.assertIn("role.rbac.authorization.k8s.io/r reconciled", self.kubectl("auth", "reconcile", "-f", path))
        role["rules"][0]["verbs"] = ["list"]
        self.kubectl("auth", "reconcile", "-f", self.write("role", role))
        shown = json.loads(self.kubectl("get", "role", "r", "-o", "json"))
        self.assertEqual([rule["verbs"] for rule in shown["rules"]], [["get"], ["list"]])

    def test_nobody_gives_what_he_has_not(self):
        self.kubectl("create", "rolebinding", "editor", "--clusterrole=admin", "--user=eve")
        text = self.refused("create", "role", "more", "--verb=get", "--resource=nodes", "--as=eve")
        self.assertIn(f'roles.rbac.authorization.k8s.io "more" is forbidden: user "eve" (groups=["system:authenticated"]) '
                      "is attempting to grant RBAC permissions not currently held:", text)
        self.assertIn('{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}', text)

    def test_tokens_of_accounts(self):
        self.kubectl("create", "serviceaccount", "bot")
        token = self.kubectl("create", "token", "bot", "--duration=10m").strip()
        self.assertEqual(token.count("."), 2)
        config = self.write("config", {
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [
                {"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {"token": token}}],
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.cluster.server.port}",
                                                   "certificate-authority": self.cluster.pki.ca}}]})
        done = self.attempt("get", "cm", "--kubeconfig", config)
        self.assertEqual(done.stderr, FORBIDDEN.format("configmaps", f"system:serviceaccount:{self.ns}:bot", "list", self.ns))
        self.kubectl("create", "rolebinding", "bot", "--clusterrole=view", f"--serviceaccount={self.ns}:bot")
        await_true("the role", lambda: self.attempt("get", "cm", "--kubeconfig", config).returncode == 0)


@clients.for_each_version
class Raw(Case):
    def test_each_verb(self):
        path = f"/api/v1/namespaces/{self.ns}/configmaps"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "raw"}, "data": {"k": "v"}}
        made = json.loads(self.kubectl("create", "--raw", path, "-f", self.write("made", body)))
        self.assertEqual(made["data"], {"k": "v"})
        body["data"]["k"] = "w"
        self.kubectl("replace", "--raw", path + "/raw", "-f", self.write("made", body))
        self.assertEqual(json.loads(self.kubectl("get", "--raw", path + "/raw"))["data"], {"k": "w"})
        self.assertEqual(json.loads(self.kubectl("delete", "--raw", path + "/raw"))["status"], "Success")
        self.assertIn('configmaps "raw" not found', self.refused("get", "--raw", path + "/raw"))
        self.assertEqual(json.loads(self.kubectl("get", "--raw", "/version"))["minor"], "33")
        self.assertIn("apiserver_request_total{", self.kubectl("get", "--raw", "/metrics"))

    def test_everything_at_once(self):
        self.kubectl("create", "cm", "one")
        self.kubectl("create", "deploy", "web", "--image=x", "--replicas=0")
        await_true("its set", lambda: "replicaset.apps/web" in self.kubectl("get", "all", "-o", "name"))
        self.assertIn("deployment.apps/web", self.kubectl("get", "all", "-o", "name"))
        self.assertIn(self.ns, self.kubectl("get", "cm", "-A", "--no-headers"))
        self.assertIn("configmap/one\n", self.kubectl("get", "cm/one", "deploy/web", "-o", "name"))
        dump = self.kubectl("cluster-info", "dump", "--namespaces", self.ns, "-o", "json")
        self.assertIn('"DeploymentList"', dump)
        listed = self.kubectl("api-resources", "--api-group=apps", "--namespaced=true", "--verbs=list", "-o", "name").split()
        self.assertEqual(sorted(listed), [kind + ".apps" for kind in ("controllerrevisions", "daemonsets", "deployments",
                                                                      "replicasets", "statefulsets")])


@clients.for_each_version
class Nodes(Case):
    def setUp(self):
        super().setUp()
        self.node = self.ns + "-node"
        self.create({"kind": "Node", "metadata": {"name": self.node}})
        self.kubectl("patch", "node", self.node, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}))
        self.addCleanup(self.attempt, "delete", "node", self.node, "--wait=false")

    def placed(self, name, labels=None):
        """A pod on the node, ready, as its kubelet would have told."""
        body = pod(name, nodeName=self.node)
        body["metadata"]["labels"] = labels or {}
        self.create(body)
        self.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}))

    def test_drain_evicts_and_heeds_budgets(self):
        self.placed("kept", {"app": "kept"})
        self.kubectl("create", "pdb", "kept", "--selector=app=kept", "--min-available=1")
        self.kubectl("patch", "pdb", "kept", "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
            "observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}}))
        drain = ("drain", self.node, "--force", "--grace-period=0")
        text = self.refused(*drain, "--timeout=3s")
        self.assertIn("Cannot evict pod as it would violate the pod's disruption budget.", text)
        self.assertEqual(self.kubectl("get", "pod", "kept", "-o", "name"), "pod/kept\n")
        self.kubectl("delete", "pdb", "kept")
        self.assertIn(f"node/{self.node} drained", self.kubectl(*drain, "--timeout=30s"))
        self.assertIn('pods "kept" not found', self.refused("get", "pod", "kept"))
        self.assertIn("SchedulingDisabled", self.kubectl("get", "node", self.node))

    def test_a_pod_of_nobody_needs_force(self):
        self.placed("lonely")
        self.assertRegex(self.refused("drain", self.node, "--timeout=5s"),
                         "cannot delete Pods (that )?declare no controller")
        gone = self.attempt("delete", "pod", "lonely", "--force", "--grace-period=0")
        self.assertEqual(gone.stdout, 'pod "lonely" force deleted\n')
        self.assertIn('pods "lonely" not found', self.refused("get", "pod", "lonely"))

    def test_grace_is_kept_for_the_kubelet(self):
        self.placed("held")
        self.kubectl("delete", "pod", "held", "--wait=false", "--grace-period=20")
        self.assertEqual(self.kubectl("get", "pod", "held", "--no-headers").split()[2], "Terminating")
        self.assertEqual(self.kubectl("get", "pod", "held", "-o", "jsonpath={.metadata.deletionGracePeriodSeconds}"), "20")
        self.kubectl("delete", "pod", "held", "--now", "--wait=false")
        self.assertEqual(self.kubectl("get", "pod", "held", "-o", "jsonpath={.metadata.deletionGracePeriodSeconds}"), "1")
        self.kubectl("delete", "pod", "held", "--force", "--grace-period=0")
