# SPDX-License-Identifier: Apache-2.0
"""ResourceQuota: charged before the write, exact under parallel creates on two
servers, given back by the controller."""

import threading
import unittest

import harness
from harness import await_true
from test_controllers import ControllerManager


class Quota(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster()
        cls.cluster.manager = ControllerManager(cls.cluster, "--controllers=resourcequota-controller")
        cls.second = cls.cluster.start_server()
        cls.client = cls.cluster.server.client

    def setUp(self):
        self.ns = harness.new_namespace(self.client)
        self.path = f"/api/v1/namespaces/{self.ns}"

    def quota(self, name="q", hard=None, **spec):
        answer = self.client.post(self.path + "/resourcequotas", {"metadata": {"name": name},
                                                                  "spec": {"hard": hard or {}, **spec}})
        self.assertEqual(answer.code, 201, answer)
        self.await_used(name, None)

    def status(self, name="q"):
        return self.client.get(f"{self.path}/resourcequotas/{name}").json.get("status", {})

    def await_used(self, name, used):
        def look():
            status = self.status(name)
            found = status.get("used")
            return found is not None and (used is None or all(found.get(key) == value for key, value in used.items()))
        await_true(f"quota {name} to be {used}, it is {self.status(name)}", look)

    def create_pod(self, name, requests=None, limits=None, client=None, **spec):
        containers = [{"name": "c", "image": "i:1", "resources": {"requests": requests or {}, "limits": limits or {}}}]
        return (client or self.client).post(self.path + "/pods", harness.pod(name, containers=containers, **spec))

    def assert_exceeded(self, answer, text):
        self.assertEqual(answer.code, 403, answer)
        self.assertEqual(answer.json["message"], text)

    def test_status_is_calculated(self):
        self.client.post(self.path + "/configmaps", harness.config_map("before"))
        self.quota(hard={"configmaps": "5", "resourcequotas": "1", "secrets": "2", "count/deployments.apps": "3"})
        self.await_used("q", {"configmaps": "1", "resourcequotas": "1", "secrets": "0", "count/deployments.apps": "0"})
        self.assertEqual(self.status()["hard"]["secrets"], "2")
        self.client.patch(self.path + "/resourcequotas/q", {"spec": {"hard": {"secrets": "7"}}})
        await_true("the new limit to be in the status", lambda: self.status()["hard"]["secrets"] == "7")

    def test_life_of_a_pod(self):
        self.quota(hard={"pods": "5", "cpu": "1", "memory": "500Mi", "requests.example.com/foo": "3"})
        answer = self.create_pod("silent")
        self.assert_exceeded(answer, 'pods "silent" is forbidden: failed quota: q: must specify cpu for: c; '
                                     'memory for: c')
        answer = self.create_pod("first", {"cpu": "500m", "memory": "252Mi", "example.com/foo": "2"},
                                 {"example.com/foo": "2"})
        self.assertEqual(answer.code, 201, answer)
        self.assertEqual(self.status()["used"], {"pods": "1", "cpu": "500m", "memory": "252Mi",
                                                 "requests.example.com/foo": "2"})
        self.assert_exceeded(self.create_pod("big", {"cpu": "600m", "memory": "100Mi"}),
                             'pods "big" is forbidden: exceeded quota: q, requested: cpu=600m, used: cpu=500m, '
                             'limited: cpu=1')
        self.assert_exceeded(self.create_pod("foo", {"cpu": "1m", "memory": "1Mi", "example.com/foo": "2"},
                                             {"example.com/foo": "2"}),
                             'pods "foo" is forbidden: exceeded quota: q, requested: requests.example.com/foo=2, '
                             'used: requests.example.com/foo=2, limited: requests.example.com/foo=3')
        self.assertEqual(self.create_pod("dry", {"cpu": "1m", "memory": "1Mi"}).code, 201)
        self.client.delete(self.path + "/pods/dry")
        self.client.delete(self.path + "/pods/first")
        self.await_used("q", {"pods": "0", "cpu": "0", "memory": "0", "requests.example.com/foo": "0"})

    def test_dry_run_is_checked_and_not_charged(self):
        self.quota(hard={"configmaps": "1"})
        self.assertEqual(self.client.post(self.path + "/configmaps?dryRun=All", harness.config_map("a")).code, 201)
        self.assertEqual(self.status()["used"], {"configmaps": "0"})
        self.assertEqual(self.client.post(self.path + "/configmaps", harness.config_map("a")).code, 201)
        self.assertEqual(self.client.post(self.path + "/configmaps?dryRun=All", harness.config_map("b")).code, 403)

    def test_services(self):
        self.quota(hard={"services": "3", "services.nodeports": "1", "services.loadbalancers": "0"})
        path = self.path + "/services"
        self.assertEqual(self.client.post(path, harness.service("plain")).code, 201)
        self.assertEqual(self.client.post(path, harness.service("node", type="NodePort")).code, 201)
        self.assert_exceeded(self.client.post(path, harness.service("node2", type="NodePort")),
                             'services "node2" is forbidden: exceeded quota: q, requested: services.nodeports=1, '
                             'used: services.nodeports=1, limited: services.nodeports=1')
        self.assert_exceeded(self.client.post(path, harness.service("lb", type="LoadBalancer",
                                                                    allocateLoadBalancerNodePorts=False)),
                             'services "lb" is forbidden: exceeded quota: q, requested: services.loadbalancers=1, '
                             'used: services.loadbalancers=0, limited: services.loadbalancers=0')
        # An update pays for what it adds.
        answer = self.client.patch(path + "/plain", {"spec": {"type": "NodePort"}})
        self.assertEqual(answer.code, 403, answer)
        self.client.delete(path + "/node")
        self.await_used("q", {"services": "1", "services.nodeports": "0"})
        self.assertEqual(self.client.patch(path + "/plain", {"spec": {"type": "NodePort"}}).code, 200)
        self.await_used("q", {"services": "1", "services.nodeports": "1"})

    def test_claims_by_class(self):
        gold = "gold.storageclass.storage.k8s.io/"
        self.quota(hard={"requests.storage": "10Gi", gold + "requests.storage": "2Gi",
                         gold + "persistentvolumeclaims": "1", "persistentvolumeclaims": "5"})

        def claim(name, size, cls):
            return self.client.post(self.path + "/persistentvolumeclaims", {
                "metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": cls,
                                                     "resources": {"requests": {"storage": size}}}})
        self.assertEqual(claim("a", "1Gi", "gold").code, 201)
        self.assertEqual(claim("b", "8Gi", "iron").code, 201)
        answer = claim("c", "2Gi", "gold")
        self.assertIn(f"requested: {gold}persistentvolumeclaims=1,{gold}requests.storage=2Gi,requests.storage=2Gi",
                      answer.json["message"])
        self.assertEqual(self.status()["used"], {"requests.storage": "9Gi", gold + "requests.storage": "1Gi",
                                                 gold + "persistentvolumeclaims": "1", "persistentvolumeclaims": "2"})

    def test_scopes(self):
        self.quota("best-effort", {"pods": "1"}, scopes=["BestEffort"])
        self.quota("burstable", {"pods": "1"}, scopes=["NotBestEffort"])
        self.quota("terminating", {"pods": "1"}, scopes=["Terminating"])
        self.quota("high", {"pods": "0"}, scopeSelector={"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}]})
        self.quota("across", {"pods": "0"}, scopes=["CrossNamespacePodAffinity"])
        self.assertEqual(self.create_pod("a").code, 201)
        self.assertIn("exceeded quota: best-effort, requested: pods=1, used: pods=1, limited: pods=1",
                      self.create_pod("b").json["message"])
        self.assertEqual(self.create_pod("c", {"cpu": "1"}, activeDeadlineSeconds=60).code, 201)
        self.assertEqual({name: self.status(name)["used"]["pods"]
                          for name in ("best-effort", "burstable", "terminating")},
                         {"best-effort": "1", "burstable": "1", "terminating": "1"})
        self.client.delete(self.path + "/pods/a")
        self.await_used("best-effort", {"pods": "0"})
        self.assertIn("exceeded quota: high", self.create_pod(
            "d", priorityClassName="system-cluster-critical").json["message"])
        term = {"topologyKey": "kubernetes.io/hostname", "namespaces": ["other"],
                "labelSelector": {"matchLabels": {"a": "b"}}}
        self.assertIn("exceeded quota: across", self.create_pod("e", affinity={
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}).json["message"])

    def test_finished_pods_give_back(self):
        self.quota(hard={"pods": "1", "count/pods": "5"})
        self.assertEqual(self.create_pod("a").code, 201)
        self.client.patch(self.path + "/pods/a/status", {"status": {"phase": "Succeeded"}})
        self.await_used("q", {"pods": "0", "count/pods": "1"})

    def test_exact_under_parallel_creates_on_two_servers(self):
        limit, tries = 20, 30
        self.quota("maps", {"configmaps": str(limit)})
        self.quota("all", {"count/configmaps": str(limit + 5)})
        codes, lock = [], threading.Lock()

        def create(worker):
            client = (self.client, self.second.client)[worker % 2]
            for number in range(tries // 5):
                answer = client.post(self.path + "/configmaps", harness.config_map(f"m-{worker}-{number}"))
                with lock:
                    codes.append(answer.code)
        threads = [threading.Thread(target=create, args=(worker,)) for worker in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(codes), {201, 403})
        self.assertEqual(codes.count(201), limit)
        held = len(self.client.get(self.path + "/configmaps").json["items"])
        self.assertEqual(held, limit)
        self.await_used("maps", {"configmaps": str(limit)})
        self.client.delete(self.path + "/configmaps")
        self.await_used("maps", {"configmaps": "0"})
        self.await_used("all", {"count/configmaps": "0"})


class LimitedResources(unittest.TestCase):
    def test_only_with_a_quota(self):
        import json
        import os
        import tempfile
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": [
                {"name": "ResourceQuota", "configuration": {"limitedResources": [
                    {"apiGroup": "", "resource": "configmaps", "matchContains": ["configmaps"]},
                    {"apiGroup": "", "resource": "pods", "matchScopes": [
                        {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}]}]}}]},
                      file)
        self.addCleanup(os.unlink, file.name)
        client = harness.Cluster(f"--admission-control-config-file={file.name}").server.client
        ns = harness.new_namespace(client)
        answer = client.post(f"/api/v1/namespaces/{ns}/configmaps", harness.config_map("a"))
        self.assertEqual(answer.code, 403, answer)
        self.assertEqual(answer.json["message"], 'configmaps "a" is forbidden: insufficient quota to consume: '
                                                 'configmaps,count/configmaps')
        self.assertEqual(client.post(f"/api/v1/namespaces/{ns}/pods", harness.pod("p")).code, 201)
        answer = client.post(f"/api/v1/namespaces/{ns}/pods",
                             harness.pod("q", priorityClassName="system-cluster-critical"))
        self.assertIn("insufficient quota to match these scopes", answer.json["message"])
