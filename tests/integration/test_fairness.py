# SPDX-License-Identifier: Apache-2.0
"""Priority and fairness: the default objects, who is kept waiting, and who isn't."""

import os
import signal
import threading
import unittest

from harness import Cluster, await_true, config_map

BASE = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMAS = BASE + "/flowschemas"
LEVELS = BASE + "/prioritylevelconfigurations"
MAPS = "/api/v1/namespaces/default/configmaps"


def level(name, limit_response):
    return {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
            "metadata": {"name": name},
            "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 1, "lendablePercent": 0,
                                                    "borrowingLimitPercent": 0, "limitResponse": limit_response}}}


def schema(name, level_name, user):
    return {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
            "spec": {"priorityLevelConfiguration": {"name": level_name}, "matchingPrecedence": 50,
                     "distinguisherMethod": {"type": "ByUser"},
                     "rules": [{"subjects": [{"kind": "User", "user": {"name": user}}],
                                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
                                                   "clusterScope": True, "namespaces": ["*"]}]}]}}


class Fairness(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Six seats: a level of one share has one.
        cls.cluster = Cluster("--max-requests-inflight=4", "--max-mutating-requests-inflight=2")
        cls.addClassCleanup(cls.cluster.etcd.terminate)
        cls.addClassCleanup(cls.cluster.server.terminate)
        cls.client = cls.cluster.server.client
        cls.cluster.pki.issue("jane", "/CN=jane", "extendedKeyUsage=clientAuth")
        cls.client.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "jane"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]})
        cls.jane = cls.cluster.server.as_user("jane")
        cls.node = cls.cluster.server.as_user("kubelet")
        await_true("the default schemas", lambda: len(cls.client.get(SCHEMAS).json["items"]) >= 13)
        await_true("jane's rights", lambda: cls.jane.get(MAPS).code == 200)

    def uid(self, path):
        return self.client.get(path).json["metadata"]["uid"]

    def test_default_objects(self):
        levels = {item["metadata"]["name"]: item["spec"] for item in self.client.get(LEVELS).json["items"]}
        self.assertLessEqual({"exempt", "catch-all", "system", "node-high", "leader-election", "workload-high",
                              "workload-low", "global-default"}, set(levels))
        self.assertEqual(levels["exempt"], {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0,
                                                                         "lendablePercent": 0}})
        self.assertEqual(levels["workload-low"]["limited"]["limitResponse"]["queuing"],
                         {"queues": 128, "handSize": 6, "queueLengthLimit": 50})
        probes = self.client.get(SCHEMAS + "/probes").json
        self.assertEqual(probes["spec"]["rules"][0]["nonResourceRules"],
                         [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}])

    def test_answers_name_schema_and_level(self):
        await_true("the schemas to be in force", lambda: self.client.get(MAPS).header("X-Kubernetes-PF-FlowSchema-UID")
                   == self.uid(SCHEMAS + "/exempt"))
        for client, path, schema_name, level_name in (
                (self.client, MAPS, "exempt", "exempt"),
                (self.node, "/api/v1/nodes/n1", "system-node-high", "node-high"),
                (self.node, "/api/v1/pods", "system-nodes", "system")):
            answer = client.get(path)
            self.assertEqual(answer.header("X-Kubernetes-PF-FlowSchema-UID"), self.uid(f"{SCHEMAS}/{schema_name}"))
            self.assertEqual(answer.header("X-Kubernetes-PF-PriorityLevel-UID"), self.uid(f"{LEVELS}/{level_name}"))

    def test_mandatory_objects_come_back(self):
        before = self.uid(LEVELS + "/catch-all")
        self.assertEqual(self.client.delete(LEVELS + "/catch-all").code, 200)
        await_true("another catch-all", lambda: self.client.get(LEVELS + "/catch-all").code == 200 and
                   self.uid(LEVELS + "/catch-all") != before)
        changed = self.client.patch(SCHEMAS + "/exempt", {"spec": {"rules": []}}, kind="merge-patch+json")
        self.assertEqual(changed.code, 422, changed)
        self.assertIn("spec of 'exempt' must equal the fixed value", changed.json["message"])

    def test_what_is_tunable_of_a_mandatory_object(self):
        path = LEVELS + "/exempt"
        tuned = self.client.patch(path, {"spec": {"exempt": {"lendablePercent": 10}}}, kind="merge-patch+json")
        self.assertEqual(tuned.code, 200, tuned)
        before = self.uid(LEVELS + "/catch-all")  # a round that puts another one right leaves this one alone
        self.client.delete(LEVELS + "/catch-all")
        await_true("another catch-all", lambda: self.client.get(LEVELS + "/catch-all").code == 200 and
                   self.uid(LEVELS + "/catch-all") != before)
        self.assertEqual(self.client.get(path).json["spec"]["exempt"]["lendablePercent"], 10)
        refused = self.client.patch(path, {"spec": {"type": "Limited"}}, kind="merge-patch+json")
        self.assertEqual(refused.code, 422, refused)
        self.assertIn("spec of 'exempt' except the 'spec.exempt' field must equal the fixed value",
                      refused.json["message"])

    def test_suggested_objects_may_be_taken_over(self):
        path = LEVELS + "/global-default"
        mine = {"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}},
                "spec": {"limited": {"nominalConcurrencyShares": 21}}}
        self.assertEqual(self.client.patch(path, mine, kind="merge-patch+json").code, 200)
        # A mandatory one is put right in the same round: when it is, this one has been looked at.
        self.client.delete(LEVELS + "/exempt")
        await_true("exempt", lambda: self.client.get(LEVELS + "/exempt").code == 200)
        self.assertEqual(self.client.get(path).json["spec"]["limited"]["nominalConcurrencyShares"], 21)
        mine["metadata"]["annotations"]["apf.kubernetes.io/autoupdate-spec"] = "true"
        self.assertEqual(self.client.patch(path, mine, kind="merge-patch+json").code, 200)
        await_true("the suggested shares", lambda: self.client.get(path).json["spec"]["limited"]
                   ["nominalConcurrencyShares"] == 20)

    def test_dangling_schema(self):
        def condition(status):
            conditions = self.client.get(SCHEMAS + "/nowhere").json.get("status", {}).get("conditions", [])
            return any(c["type"] == "Dangling" and c["status"] == status for c in conditions)
        self.assertEqual(self.client.post(SCHEMAS, schema("nowhere", "not-there", "bob")).code, 201)
        await_true("Dangling", lambda: condition("True"))
        self.assertEqual(self.client.post(LEVELS, level("not-there", {"type": "Reject"})).code, 201)
        await_true("not Dangling", lambda: condition("False"))
        self.client.delete(SCHEMAS + "/nowhere")
        self.client.delete(LEVELS + "/not-there")

    def send(self, name, answers):
        thread = threading.Thread(target=lambda: answers.append(
            self.cluster.server.as_user("jane").post(MAPS, config_map(name))))
        thread.start()
        return thread

    def metric(self, name, level_name):
        for line in self.client.get("/metrics").body.decode().splitlines():
            if line.startswith(name + "{") and f'priority_level="{level_name}"' in line:
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def place_jane(self, name, limit_response):
        self.assertEqual(self.client.post(LEVELS, level(name, limit_response)).code, 201)
        self.assertEqual(self.client.post(SCHEMAS, schema(name, name, "jane")).code, 201)
        uid = self.uid(f"{SCHEMAS}/{name}")
        self.addCleanup(self.client.delete, f"{LEVELS}/{name}")
        self.addCleanup(self.client.delete, f"{SCHEMAS}/{name}")
        await_true("jane's own level", lambda: self.jane.get(MAPS).header("X-Kubernetes-PF-FlowSchema-UID") == uid)

    def hold_etcd(self):
        pid = self.cluster.etcd.popen.pid
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        return lambda: os.kill(pid, signal.SIGCONT)

    def test_full_level_refuses_and_others_pass(self):
        self.place_jane("one-at-a-time", {"type": "Reject"})
        answers = []
        go_on = self.hold_etcd()
        thread = self.send("first", answers)
        await_true("a seat taken", lambda: self.metric("apiserver_flowcontrol_current_executing_seats",
                                                       "one-at-a-time") == 1)
        refused = self.jane.get(MAPS + "?resourceVersion=0")
        self.assertEqual(refused.code, 429)
        self.assertEqual(refused.header("Retry-After"), "1")
        self.assertEqual(refused.json["reason"], "TooManyRequests")
        self.assertEqual(self.node.get("/api/v1/services?resourceVersion=0").code, 200)
        go_on()
        thread.join()
        self.assertEqual(answers[0].code, 201, answers)
        self.assertEqual(self.jane.get(MAPS).code, 200)
        self.assertGreaterEqual(self.metric("apiserver_flowcontrol_rejected_requests_total", "one-at-a-time"), 1)

    def test_queue_holds_what_it_can(self):
        self.place_jane("short-queue", {"type": "Queue", "queuing": {"queues": 1, "handSize": 1,
                                                                    "queueLengthLimit": 1}})
        answers = []
        go_on = self.hold_etcd()
        threads = [self.send("queued-1", answers)]
        await_true("a seat taken", lambda: self.metric("apiserver_flowcontrol_current_executing_requests",
                                                       "short-queue") == 1)
        threads.append(self.send("queued-2", answers))
        await_true("one waiting", lambda: self.metric("apiserver_flowcontrol_current_inqueue_requests",
                                                      "short-queue") == 1)
        self.assertEqual(self.jane.get(MAPS + "?resourceVersion=0").code, 429)
        go_on()
        for thread in threads:
            thread.join()
        self.assertEqual([answer.code for answer in answers], [201, 201])
        self.assertEqual(self.metric("apiserver_flowcontrol_current_inqueue_requests", "short-queue"), 0)

    def test_client_that_leaves_a_queue(self):
        self.place_jane("left", {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 10}})
        answers = []
        go_on = self.hold_etcd()
        thread = self.send("holds", answers)
        await_true("a seat taken", lambda: self.metric("apiserver_flowcontrol_current_executing_requests",
                                                       "left") == 1)
        connection = self.jane.connect()
        connection.request("GET", MAPS)
        await_true("one waiting", lambda: self.metric("apiserver_flowcontrol_current_inqueue_requests", "left") == 1)
        connection.close()
        await_true("none waiting", lambda: self.metric("apiserver_flowcontrol_current_inqueue_requests", "left") == 0)
        go_on()
        thread.join()
        self.assertEqual(answers[0].code, 201)

    def test_watches_hold_no_seat(self):
        self.place_jane("watchers", {"type": "Reject"})
        for _ in range(5):
            watch = self.jane.watch(MAPS + "?watch=true&resourceVersion=0")
            self.addCleanup(watch.close)
            self.assertEqual(watch.code, 200)
            await_true("the watch to give its seat back", lambda: self.metric(
                "apiserver_flowcontrol_current_executing_seats", "watchers") == 0)
        self.assertEqual(self.jane.get(MAPS).code, 200)


if __name__ == "__main__":
    unittest.main()
