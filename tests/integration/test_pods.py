# SPDX-License-Identifier: Apache-2.0
"""Pods: what the server adds, binding, graceful deletion, eviction, nodes, namespaces."""

import unittest

from harness import await_true, new_namespace, pod, shared


class Pods(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.pods = f"/api/v1/namespaces/{self.ns}/pods"

    def create(self, body, code=201):
        answer = self.client.post(self.pods, body)
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def bind(self, name, node="node-1"):
        answer = self.client.post(f"{self.pods}/{name}/binding", {"target": {"kind": "Node", "name": node}})
        self.assertEqual(answer.code, 201, answer)

    def test_what_is_added(self):
        body = pod("a")
        body["status"] = {"phase": "Running"}
        body["metadata"]["generation"] = 9
        made = self.create(body)
        self.assertEqual(made["status"]["phase"], "Pending")
        self.assertEqual(made["status"]["qosClass"], "BestEffort")
        self.assertEqual(made["metadata"]["generation"], 1)
        spec = made["spec"]
        self.assertEqual((spec["priority"], spec["preemptionPolicy"]), (0, "PreemptLowerPriority"))
        self.assertEqual({t["key"]: t["tolerationSeconds"] for t in spec["tolerations"]},
                         {"node.kubernetes.io/not-ready": 300, "node.kubernetes.io/unreachable": 300})
        self.assertEqual((spec["restartPolicy"], spec["dnsPolicy"], spec["terminationGracePeriodSeconds"],
                          spec["schedulerName"]), ("Always", "ClusterFirst", 30, "default-scheduler"))
        self.assertEqual(spec["containers"][0]["imagePullPolicy"], "IfNotPresent")

    def test_quality_of_service(self):
        def with_resources(name, **resources):
            body = pod(name)
            body["spec"]["containers"][0]["resources"] = resources
            return self.create(body)["status"]["qosClass"]

        full = {"cpu": "1", "memory": "64Mi"}
        self.assertEqual(with_resources("a", limits=full), "Guaranteed")
        self.assertEqual(with_resources("b", limits=full, requests={"cpu": "500m", "memory": "64Mi"}), "Burstable")
        self.assertEqual(with_resources("c", requests={"cpu": "1m"}), "Burstable")

    def test_priority_classes(self):
        body = pod("a", priorityClassName="system-node-critical")
        self.assertEqual(self.create(body)["spec"]["priority"], 2000001000)
        status = self.create(pod("b", priorityClassName="nope"), 403)
        self.assertEqual(status["message"], 'pods "b" is forbidden: no PriorityClass with name nope was found')

    def test_binding(self):
        self.create(pod("a"))
        self.bind("a")
        bound = self.client.get(self.pods + "/a").json
        self.assertEqual(bound["spec"]["nodeName"], "node-1")
        self.assertEqual(bound["metadata"]["generation"], 1)
        condition = bound["status"]["conditions"][0]
        self.assertEqual((condition["type"], condition["status"]), ("PodScheduled", "True"))
        answer = self.client.post(self.pods + "/a/binding", {"target": {"name": "node-2"}})
        self.assertEqual(answer.code, 409)
        self.assertIn('pod a is already assigned to node "node-1"', answer.json["message"])
        answer = self.client.post(self.pods + "/a/binding", {"target": {"name": ""}})
        self.assertEqual(answer.code, 422)
        self.create(pod("b"))
        answer = self.client.post(f"/api/v1/namespaces/{self.ns}/bindings",
                                  {"metadata": {"name": "b"}, "target": {"kind": "Node", "name": "node-1"}})
        self.assertEqual(answer.code, 201, answer)
        self.assertEqual(self.client.get(self.pods + "/b").json["spec"]["nodeName"], "node-1")

    def test_unbound_pod_goes_at_once(self):
        self.create(pod("a"))
        answer = self.client.delete(self.pods + "/a")
        self.assertEqual((answer.code, answer.json["kind"]), (200, "Pod"))
        self.assertEqual(self.client.get(self.pods + "/a").code, 404)

    def test_bound_pod_goes_gracefully(self):
        self.create(pod("a", terminationGracePeriodSeconds=50))
        self.bind("a")
        marked = self.client.delete(self.pods + "/a").json
        self.assertEqual(marked["metadata"]["deletionGracePeriodSeconds"], 50)
        self.assertEqual(marked["metadata"]["generation"], 2)
        longer = self.client.delete(self.pods + "/a?gracePeriodSeconds=80").json
        self.assertEqual(longer["metadata"]["deletionGracePeriodSeconds"], 50)
        shorter = self.client.delete(self.pods + "/a", {"gracePeriodSeconds": 5}).json
        self.assertEqual(shorter["metadata"]["deletionGracePeriodSeconds"], 5)
        self.assertLess(shorter["metadata"]["deletionTimestamp"], marked["metadata"]["deletionTimestamp"])
        gone = self.client.delete(self.pods + "/a?gracePeriodSeconds=0")
        self.assertEqual(gone.code, 200)
        self.assertEqual(self.client.get(self.pods + "/a").code, 404)

    def test_pod_updates(self):
        self.create(pod("a"))
        answer = self.client.patch(self.pods + "/a", {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}})
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["metadata"]["generation"], 2)
        answer = self.client.patch(self.pods + "/a", {"spec": {"containers": [{"name": "c", "command": ["x"]}]}})
        self.assertEqual(answer.code, 422)
        self.assertIn("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
                      answer.json["message"])
        answer = self.client.patch(self.pods + "/a", {"spec": {"tolerations": [{"key": "x", "operator": "Exists"}]}},
                                   "merge-patch+json")
        self.assertEqual(answer.code, 422)
        answer = self.client.patch(self.pods + "/a", {"metadata": {"labels": {"a": "b"}}})
        self.assertEqual((answer.code, answer.json["metadata"]["generation"]), (200, 2))

    def test_status_updates(self):
        self.create(pod("a"))
        answer = self.client.patch(self.pods + "/a/status", {"status": {"phase": "Running", "podIP": "10.1.1.1",
                                                                        "podIPs": [{"ip": "10.1.1.1"}],
                                                                        "qosClass": "Guaranteed"}})
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["status"]["phase"], "Running")
        self.assertEqual(answer.json["status"]["qosClass"], "BestEffort")
        listed = self.client.get(self.pods + "?fieldSelector=status.phase%3DRunning").json
        self.assertEqual(len(listed["items"]), 1)

    def test_validation_messages(self):
        cases = [
            ({"containers": []}, "spec.containers: Required value"),
            ({"containers": [{"name": "c"}]}, "spec.containers[0].image: Required value"),
            ({"containers": [{"name": "C_1", "image": "x"}]}, 'spec.containers[0].name: Invalid value: "C_1": a lowercase '
                                                              "RFC 1123 label must consist of"),
            ({"containers": [{"name": "c", "image": "x"}, {"name": "c", "image": "y"}]},
             'spec.containers[1].name: Duplicate value: "c"'),
            ({"containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
             'spec.containers[0].volumeMounts[0].name: Not found: "v"'),
            ({"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 99999}]}]},
             "spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive"),
            ({"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]},
             'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'),
            ({"containers": [{"name": "c", "image": "x"}], "restartPolicy": "Sometimes"},
             'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'),
            ({"containers": [{"name": "c", "image": "x", "livenessProbe": {}}]},
             "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
            ({"containers": [{"name": "c", "image": "x"}], "volumes": [{"name": "v", "hostPath": {"path": "/x/../y"}}]},
             'spec.volumes[0].hostPath.path: Invalid value: "/x/../y": must not contain \'..\''),
        ]
        for spec, expected in cases:
            answer = self.client.post(self.pods, {"metadata": {"name": "bad"}, "spec": spec})
            self.assertEqual(answer.code, 422, (spec, answer))
            self.assertEqual(answer.json["reason"], "Invalid")
            self.assertIn(expected, answer.json["message"])
            self.assertTrue(answer.json["message"].startswith('Pod "bad" is invalid: '))
            self.assertTrue(answer.json["details"]["causes"][0]["field"].startswith("spec."))
        answer = self.client.post(self.pods, {"metadata": {"name": "Bad_Name"}, "spec": pod("x")["spec"]})
        self.assertIn('metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of',
                      answer.json["message"])
        body = pod("labelled")
        body["metadata"]["labels"] = {"a b": "c"}
        self.assertIn('metadata.labels: Invalid value: "a b": name part must consist of',
                      self.client.post(self.pods, body).json["message"])

    def test_eviction(self):
        body = pod("a")
        body["metadata"]["labels"] = {"app": "a"}
        self.create(body)
        self.bind("a")
        self.ready("a")
        budgets = f"/apis/policy/v1/namespaces/{self.ns}/poddisruptionbudgets"
        made = self.client.post(budgets, {"metadata": {"name": "b"}, "spec": {
            "minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}})
        self.assertEqual(made.code, 201, made)
        self.client.patch(budgets + "/b/status", {"status": {
            "observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}},
            "merge-patch+json")
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
        refused = self.client.post(self.pods + "/a/eviction", eviction)
        self.assertEqual(refused.code, 429, refused)
        self.assertEqual(refused.json["details"]["causes"][0]["reason"], "DisruptionBudget")
        self.assertIsNone(refused.header("Retry-After"))
        dry = self.client.post(self.pods + "/a/eviction?dryRun=All", eviction)
        self.assertEqual(dry.code, 429, dry)
        self.client.patch(budgets + "/b/status", {"status": {"disruptionsAllowed": 1}}, "merge-patch+json")
        done = self.client.post(self.pods + "/a/eviction", eviction)
        self.assertEqual(done.code, 201, done)
        self.assertIn("deletionTimestamp", self.client.get(self.pods + "/a").json["metadata"])
        budget = self.client.get(budgets + "/b").json["status"]
        self.assertEqual(budget["disruptionsAllowed"], 0)
        self.assertIn("a", budget["disruptedPods"])

    def ready(self, name, ready="True"):
        answer = self.client.patch(f"{self.pods}/{name}/status", {"status": {
            "phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
        self.assertEqual(answer.code, 200, answer)

    def budget(self, name, status, **spec):
        budgets = f"/apis/policy/v1/namespaces/{self.ns}/poddisruptionbudgets"
        made = self.client.post(budgets, {"metadata": {"name": name}, "spec": {
            "minAvailable": 1, "selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, **spec}})
        self.assertEqual(made.code, 201, made)
        self.client.patch(f"{budgets}/{name}/status", {"status": {"observedGeneration": 1, **status}}, "merge-patch+json")
        return f"{budgets}/{name}"

    def running(self, name, ready):
        body = pod(name)
        body["metadata"]["labels"] = {"app": name}
        self.create(body)
        self.bind(name)
        self.ready(name, ready)

    def evict(self, name, query="", version="v1", **rest):
        return self.client.post(f"{self.pods}/{name}/eviction{query}", {
            "apiVersion": "policy/" + version, "kind": "Eviction", "metadata": {"name": name}, **rest})

    def test_unready_pods_and_their_budget(self):
        for name in ("a", "b", "c"):
            self.running(name, "False")
        path = self.budget("b", {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 1})
        self.assertEqual(self.evict("a").code, 429)
        # Enough others are healthy: no disruption is taken.
        self.client.patch(path + "/status", {"status": {"currentHealthy": 1}}, "merge-patch+json")
        self.assertEqual(self.evict("a").code, 201)
        gone = self.client.get(self.pods + "/a").json
        self.assertIn("deletionTimestamp", gone["metadata"])
        condition = [c for c in gone["status"]["conditions"] if c["type"] == "DisruptionTarget"][0]
        self.assertEqual((condition["status"], condition["reason"], condition["message"]),
                         ("True", "EvictionByEvictionAPI", "Eviction API: evicting"))
        self.client.patch(path + "/status", {"status": {"currentHealthy": 0}}, "merge-patch+json")
        self.assertEqual(self.evict("b").code, 429)
        self.client.patch(path, {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}, "merge-patch+json")
        self.client.patch(path + "/status", {"status": {"observedGeneration": 2}}, "merge-patch+json")
        self.assertEqual(self.evict("b", version="v1beta1", deleteOptions={"gracePeriodSeconds": 3}).code, 201)
        self.assertEqual(self.client.get(self.pods + "/b").json["metadata"]["deletionGracePeriodSeconds"], 3)

    def test_evictions_that_are_refused(self):
        self.running("a", "True")
        self.assertEqual(self.evict("none").code, 404)
        wrong = self.client.post(self.pods + "/a/eviction", {"metadata": {"name": "b"}})
        self.assertEqual((wrong.code, wrong.json["message"]), (400, "name in URL does not match name in Eviction object"))
        path = self.budget("one", {"observedGeneration": 0, "disruptionsAllowed": 1})
        late = self.evict("a")
        self.assertEqual((late.code, late.header("Retry-After")), (429, "10"))
        self.assertIn("still being processed", late.json["details"]["causes"][0]["message"])
        self.client.patch(path + "/status", {"status": {"observedGeneration": 1}}, "merge-patch+json")
        self.assertEqual(self.evict("a", "?dryRun=All").code, 201)
        self.assertNotIn("deletionTimestamp", self.client.get(self.pods + "/a").json["metadata"])
        self.budget("two", {"disruptionsAllowed": 1})
        several = self.evict("a")
        self.assertEqual((several.code, several.json["code"]), (500, 500), several)

    def test_new_nodes_are_tainted(self):
        made = self.client.post("/api/v1/nodes", {"metadata": {"name": f"node-{self.ns}"}}).json
        self.assertEqual(made["spec"]["taints"], [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
        answer = self.client.patch(f"/api/v1/nodes/node-{self.ns}", {"spec": {"podCIDR": "10.9.0.0/24",
                                                                             "podCIDRs": ["10.9.0.0/24"]}})
        self.assertEqual(answer.code, 200, answer)
        answer = self.client.patch(f"/api/v1/nodes/node-{self.ns}", {"spec": {"podCIDR": "10.8.0.0/24"}})
        self.assertEqual(answer.code, 422)

    def test_namespace_life(self):
        name = f"life-{self.ns}"
        made = self.client.post("/api/v1/namespaces", {"metadata": {"name": name}}).json
        self.assertEqual(made["spec"]["finalizers"], ["kubernetes"])
        self.assertEqual(made["status"]["phase"], "Active")
        self.assertEqual(made["metadata"]["labels"], {"kubernetes.io/metadata.name": name})
        going = self.client.delete(f"/api/v1/namespaces/{name}").json
        self.assertEqual(going["status"]["phase"], "Terminating")

        def refused():
            answer = self.client.post(f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "x"}})
            return answer if answer.code == 403 else None

        answer = await_true("the cache to know", refused)
        self.assertEqual(answer.json["details"]["causes"][0]["reason"], "NamespaceTerminating")
        self.assertIn(f"unable to create new content in namespace {name} because it is being terminated",
                      answer.json["message"])
        going["spec"]["finalizers"] = []
        done = self.client.put(f"/api/v1/namespaces/{name}/finalize", going)
        self.assertEqual(done.code, 200, done)
        self.assertEqual(self.client.get(f"/api/v1/namespaces/{name}").code, 404)
        answer = self.client.delete("/api/v1/namespaces/kube-system")
        self.assertEqual(answer.code, 403)
        self.assertIn("this namespace may not be deleted", answer.json["message"])
