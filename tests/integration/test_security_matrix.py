# SPDX-License-Identifier: Apache-2.0
"""Every route that the server tells of, as everybody, against what the roles of
rbac.policy say. The expectation is worked out here from that file alone, by
another program than the server's: what a role doesn't allow must be a 403, what
it allows must not be one.

Namespace admins, editors and viewers get the rules of the aggregated roles, with
the real controller manager filling them."""

import os
import unittest

import harness
import security
from security import RBAC, TokenClient, binding, impersonate

POLICY = os.path.join(harness.TOP, "apiserver", "bootstrap", "rbac.policy")
NAMESPACE = "matrix"


def read_policy():
    """Cluster role → its labels, what it aggregates and its rules."""
    roles, role = {}, None
    for line in open(POLICY):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not line[0].isspace():
            role = None
            if words[0] == "cluster-role":
                role = roles.setdefault(words[1], {"labels": set(), "aggregates": set(), "rules": []})
        elif role is not None and words[0] == "label":
            role["labels"].add(words[1])
        elif role is not None and words[0] == "aggregate":
            role["aggregates"].add(words[1])
        elif role is not None and words[0] == "allow":
            role["rules"].append(words[1:])
    return roles


def rules_of(roles, name):
    role = roles[name]
    rules = list(role["rules"])
    for other, made in roles.items():
        if role["aggregates"] & made["labels"]:
            rules += rules_of(roles, other)
    return rules


def allows(rules, verb, group, resource, name):
    for rule in rules:
        if rule[1] == "paths":
            continue
        verbs, groups, resources = (part.split(",") for part in rule[:3])
        if not ("*" in verbs or verb in verbs):
            continue
        if not ("*" in groups or (group or "core") in groups):
            continue
        sub = resource.split("/")[1] if "/" in resource else None
        if not ("*" in resources or resource in resources or (sub and "*/" + sub in resources)):
            continue
        if len(rule) < 4 or name in rule[3].split(","):
            return True
    return False


def allows_path(rules, path):
    for rule in rules:
        if rule[1] != "paths" or ("get" not in rule[0].split(",") and rule[0] != "*"):
            continue
        for wanted in rule[2].split(","):
            if wanted in ("*", path) or (wanted.endswith("*") and path.startswith(wanted[:-1])):
                return True
    return False


# What a verb is on the wire: method, whether it names an object.
REQUESTS = {"get": ("GET", True), "list": ("GET", False), "create": ("POST", False), "update": ("PUT", True),
            "patch": ("PATCH", True), "delete": ("DELETE", True), "deletecollection": ("DELETE", False)}
# Streams and connections need a kubelet behind them; their permission is asked before, by the same code.
PATHS = ["/", "/api", "/apis", "/apis/apps", "/healthz", "/healthz/etcd", "/livez", "/readyz", "/metrics", "/version",
         "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/.well-known/openid-configuration", "/debug/pprof",
         "/nothing"]


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster.__new__(harness.Cluster)
        cls.cluster.prepare()
        cls.cluster.flags = tuple(security.flags(cls.cluster.folder))
        cls.server = cls.cluster.server = cls.cluster.start_server()
        cls.admin = cls.server.client
        cls.manager = harness.Process("kube-controller-manager", [
            os.path.join(harness.BUILD, "bin", "kube-controller-manager"),
            "--kubeconfig=" + cls.cluster.kubeconfig(), "--leader-elect=false", "--secure-port=0",
            "--controllers=clusterrole-aggregation-controller"], cls.cluster.folder)
        cls.roles = read_policy()
        cls.routes = list(cls.find_routes())
        for name in (NAMESPACE, "other"):
            assert cls.admin.post("/api/v1/namespaces", {"metadata": {"name": name}}).code == 201
        for name in ("admin", "edit", "view"):
            cls.admin.post(f"{RBAC}/namespaces/{NAMESPACE}/rolebindings",
                           binding(name, "ClusterRole", name, f"user:matrix-{name}"))
        cls.admin.post(RBAC + "/clusterrolebindings", binding("matrix", "ClusterRole", "cluster-admin", "user:root"))
        harness.await_true("the aggregated roles", lambda: all(
            cls.admin.get(f"{RBAC}/clusterroles/{name}").json.get("rules") for name in ("admin", "edit", "view")))
        harness.await_true("the bindings to count", lambda: all(
            impersonate(cls.server, f"matrix-{name}").get(f"/api/v1/namespaces/{NAMESPACE}/pods").code == 200
            for name in ("admin", "edit", "view")))

    @classmethod
    def find_routes(cls):
        """(verb, group, version, resource, namespaced) of all that discovery tells."""
        versions = [("", "v1", "/api/v1")]
        for group in cls.admin.get("/apis").json["groups"]:
            for version in group["versions"]:
                versions.append((group["name"], version["version"], "/apis/" + version["groupVersion"]))
        for group, version, path in versions:
            for resource in cls.admin.get(path).json["resources"]:
                for verb in resource["verbs"]:
                    if verb in REQUESTS and resource["name"] not in STREAMS:
                        yield verb, group, path, resource["name"], resource["namespaced"]

    def ask(self, client, verb, path, resource, namespace):
        method, named = REQUESTS[verb]
        plural, _, sub = resource.partition("/")
        url = path + (f"/namespaces/{namespace}" if namespace else "") + "/" + plural
        if named or sub:
            url += "/nothing" + ("/" + sub if sub else "")
        if verb == "list":
            url += "?limit=1"
        body = "{" if method in ("POST", "PUT", "PATCH") else None  # never gets further than authorization
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        if verb == "deletecollection":
            url += "?dryRun=All"
        return client.request(method, url, body, content_type=kind)

    def walk(self, client, expected):
        wrong = []
        for verb, group, path, resource, namespaced in self.routes:
            for namespace in ((NAMESPACE, "other") if namespaced else (None,)):
                if "/" not in resource and resource == "namespaces" and verb == "deletecollection":
                    continue
                answer = self.ask(client, verb, path, resource, namespace)
                named = REQUESTS[verb][1] or "/" in resource
                wanted = expected(verb, group, resource, namespace, "nothing" if named else "")
                if wanted is not None and (answer.code != 403) != wanted:
                    wrong.append((verb, path, resource, namespace, answer.code, "allowed" if wanted else "forbidden"))
                if answer.code in (0, 500):
                    wrong.append((verb, path, resource, namespace, answer))
        self.assertEqual(wrong, [])

    def everybody(self):
        return sum((rules_of(self.roles, name) for name in (
            "system:basic-user", "system:discovery", "system:public-info-viewer")), [])

    def test_there_is_something_to_walk(self):
        self.assertGreater(len(self.routes), 400)
        self.assertTrue({"create", "get", "list", "update", "patch", "delete", "deletecollection"} <=
                        {route[0] for route in self.routes})

    def test_anonymous(self):
        self.walk(TokenClient(self.server), lambda *_: False)

    def test_plain_service_account(self):
        security.service_account(self.admin, NAMESPACE, "plain")
        client = TokenClient(self.server, security.token_of(self.admin, NAMESPACE, "plain"))
        rules = self.everybody()
        self.walk(client, lambda verb, group, resource, namespace, name: allows(rules, verb, group, resource, name))

    def namespace_role(self, role):
        rules, common = rules_of(self.roles, role), self.everybody()

        def expected(verb, group, resource, namespace, name):
            asked = (verb, group, resource, name)
            # A namespace itself is asked about in itself: "nothing" isn't ours.
            return allows(common, *asked) or (namespace == NAMESPACE and allows(rules, *asked))
        self.walk(impersonate(self.server, "matrix-" + role), expected)

    def test_namespace_admin(self):
        self.namespace_role("admin")

    def test_namespace_edit(self):
        self.namespace_role("edit")

    def test_namespace_view(self):
        self.namespace_role("view")

    def test_cluster_admin(self):
        self.walk(impersonate(self.server, "root"), lambda *_: True)

    def test_node(self):
        rules, common = rules_of(self.roles, "system:node"), self.everybody()
        # What the node's graph or name decides: "nothing" is in no graph.
        own = {("", "pods"): {"create", "delete"}, ("", "nodes"): {"create", "update", "patch"},
               ("", "pods/status"): {"update", "patch"}, ("", "nodes/status"): {"update", "patch"},
               ("", "pods/eviction"): {"create"}, ("storage.k8s.io", "csinodes"): {"create"},
               ("coordination.k8s.io", "leases"): set(), ("", "secrets"): set(), ("", "configmaps"): set(),
               ("", "persistentvolumes"): set(), ("", "persistentvolumeclaims"): set(),
               ("", "persistentvolumeclaims/status"): set(), ("", "serviceaccounts"): set(),
               ("", "serviceaccounts/token"): set(), ("storage.k8s.io", "volumeattachments"): set()}

        def expected(verb, group, resource, namespace, name):
            asked = (verb, group, resource, name)
            if allows(common, *asked):
                return True
            plural = resource.split("/")[0]
            if (group, resource) in own:
                return verb in own[group, resource]
            if (group, plural) in own:
                return False
            return allows(rules, *asked)
        self.walk(impersonate(self.server, "system:node:matrix", "system:nodes"), expected)

    def test_paths(self):
        public = rules_of(self.roles, "system:public-info-viewer")
        issuer = rules_of(self.roles, "system:service-account-issuer-discovery")
        everybody = self.everybody()
        security.service_account(self.admin, NAMESPACE, "paths")
        token = security.token_of(self.admin, NAMESPACE, "paths")
        callers = [("anonymous", TokenClient(self.server), public),
                   ("user", impersonate(self.server, "somebody"), everybody),
                   ("service account", TokenClient(self.server, token), everybody + issuer),
                   ("viewer", impersonate(self.server, "matrix-view"), everybody),
                   ("monitoring", impersonate(self.server, "m", "system:monitoring"),
                    everybody + rules_of(self.roles, "system:monitoring")),
                   ("root", impersonate(self.server, "root"), rules_of(self.roles, "cluster-admin"))]
        for who, client, rules in callers:
            for path in PATHS:
                with self.subTest(who=who, path=path):
                    answer = client.get(path)
                    self.assertEqual(answer.code != 403, allows_path(rules, path), answer)


STREAMS = {"pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "pods/log", "services/proxy", "nodes/proxy"}


if __name__ == "__main__":
    unittest.main()
