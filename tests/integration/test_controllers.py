# SPDX-License-Identifier: Apache-2.0
"""kube-controller-manager beside a real apiserver and etcd. There is no kubelet:
the tests bind pods and report their states as one would."""

import os
import time
import unittest

import harness
from harness import await_true, deployment, free_port, new_namespace, pod, service

GRACE_SECONDS = 3
APPS = "/apis/apps/v1/namespaces/"
NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class ControllerManager(harness.Process):
    def __init__(self, cluster, *flags):
        super().__init__("kube-controller-manager", [
            os.path.join(harness.BUILD, "bin", "kube-controller-manager"), f"--kubeconfig={cluster.kubeconfig()}",
            f"--secure-port={free_port()}", "--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16",
            "--service-cluster-ip-range=10.96.0.0/16", f"--root-ca-file={cluster.pki.ca}",
            f"--node-monitor-grace-period={GRACE_SECONDS}s", "--node-startup-grace-period=3s",
            "--node-eviction-rate=10", "--leader-elect=false", "-v=2", *flags], cluster.folder)


_running = None


def running():
    """One cluster with its controllers for all tests of this file."""
    global _running
    if _running is None:
        cluster = harness.Cluster()
        cluster.manager = ControllerManager(cluster)
        _running = cluster
    return _running


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Case(unittest.TestCase):
    addresses = 0

    def setUp(self):
        self.cluster = running()
        self.client = self.cluster.server.client
        self.ns = new_namespace(self.client)

    def ok(self, answer):
        self.assertIn(answer.code, (200, 201, 202), answer)
        return answer.json

    def make(self, path, body):
        return self.ok(self.client.post(path, body))

    def read(self, path):
        return self.ok(self.client.get(path))

    def items(self, path):
        return self.read(path)["items"]

    def gone(self, path):
        return self.client.get(path).code == 404

    def merge(self, path, body):
        return self.ok(self.client.patch(path, body, "merge-patch+json"))

    def pods(self, **labels):
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return self.items(f"/api/v1/namespaces/{self.ns}/pods?labelSelector={selector}")

    def await_pods(self, count, **labels):
        return await_true(f"{count} pods", lambda: (lambda found: found if len(found) == count else None)(
            self.pods(**labels)) or (count == 0 and not self.pods(**labels)))

    def report(self, one, ready=True, phase="Running"):
        """What a kubelet would say of a pod."""
        Case.addresses += 1
        address = f"10.244.{Case.addresses // 250}.{Case.addresses % 250 + 1}"
        condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": now()}
        path = f"/api/v1/namespaces/{self.ns}/pods/{one['metadata']['name']}/status"
        answer = self.client.patch(path, {"status": {"phase": phase, "podIP": address, "podIPs": [{"ip": address}],
                                                     "conditions": [condition]}})
        self.assertIn(answer.code, (200, 404), answer)
        return address

    def kubelet(self):
        """One round of a kubelet and scheduler for this namespace: binds, runs, ends."""
        for one in self.pods():
            path = f"/api/v1/namespaces/{self.ns}/pods/{one['metadata']['name']}"
            if one["metadata"].get("deletionTimestamp"):
                self.client.delete(path, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
                continue
            if not one["spec"].get("nodeName"):
                terms = (one["spec"].get("affinity", {}).get("nodeAffinity", {})
                         .get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms"))
                if terms:
                    node = terms[0]["matchFields"][0]["values"][0]
                    self.client.post(path + "/binding", {"target": {"kind": "Node", "name": node}})
            if one["status"].get("phase") == "Pending":
                self.report(one)


class Workloads(Case):
    def test_deployment_makes_scales_and_ends(self):
        path = f"{APPS}{self.ns}/deployments"
        self.make(path, deployment("web", 3))
        pods = self.await_pods(3, app="web")
        sets = self.items(f"{APPS}{self.ns}/replicasets")
        self.assertEqual(len(sets), 1)
        owner = pods[0]["metadata"]["ownerReferences"][0]
        self.assertEqual((owner["kind"], owner["uid"], owner["controller"], owner["blockOwnerDeletion"]),
                         ("ReplicaSet", sets[0]["metadata"]["uid"], True, True))
        template_hash = sets[0]["metadata"]["labels"]["pod-template-hash"]
        self.assertEqual(sets[0]["metadata"]["name"], "web-" + template_hash)
        self.assertEqual(pods[0]["metadata"]["labels"]["pod-template-hash"], template_hash)
        for one in pods:
            self.report(one)
        status = await_true("the Deployment to be available", lambda: (lambda s: s if s.get("availableReplicas") == 3
                            else None)(self.read(path + "/web")["status"]))
        conditions = {c["type"]: (c["status"], c["reason"]) for c in await_true(
            "the rollout to be complete", lambda: (lambda s: s["conditions"] if any(
                c["reason"] == "NewReplicaSetAvailable" for c in s["conditions"]) else None)(
                    self.read(path + "/web")["status"]))}
        self.assertEqual(conditions["Available"], ("True", "MinimumReplicasAvailable"))
        self.assertEqual(status["updatedReplicas"], 3)
        # One that fails is replaced, and a deleted one too.
        self.client.delete(f"/api/v1/namespaces/{self.ns}/pods/{pods[0]['metadata']['name']}")
        await_true("a pod in place of the deleted one", lambda: len(
            [p for p in self.pods(app="web") if p["metadata"]["uid"] != pods[0]["metadata"]["uid"]]) == 3)
        self.merge(path + "/web/scale", {"spec": {"replicas": 5}})
        self.await_pods(5, app="web")
        # The ready ones stay.
        self.merge(path + "/web/scale", {"spec": {"replicas": 2}})
        self.await_pods(2, app="web")
        self.assertEqual({p["metadata"]["uid"] for p in self.pods(app="web")},
                         {p["metadata"]["uid"] for p in pods[1:]})
        self.ok(self.client.delete(path + "/web"))
        await_true("the dependents to go", lambda: not self.pods() and not self.items(f"{APPS}{self.ns}/replicasets"))

    def test_rolling_update_keeps_its_bounds_and_its_history(self):
        path = f"{APPS}{self.ns}/deployments"
        body = deployment("web", 4)
        body["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
        self.make(path, body)
        for one in self.await_pods(4, app="web"):
            self.report(one)
        await_true("4 available", lambda: self.read(path + "/web")["status"].get("availableReplicas") == 4)
        most, least = 0, 4

        def roll(image):
            nonlocal most, least
            patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
            generation = self.merge(path + "/web", patch)["metadata"]["generation"]

            def done():
                nonlocal most, least
                pods = self.pods(app="web")
                most = max(most, len(pods))
                least = min(least, len([p for p in pods if any(
                    c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]))
                pending = [p for p in pods if p["status"]["phase"] == "Pending"]
                if pending:
                    self.report(pending[0])
                status = self.read(path + "/web")["status"]
                return status["observedGeneration"] >= generation and [status.get(name) for name in (
                    "updatedReplicas", "availableReplicas", "replicas")] == [4, 4, 4]
            await_true("the rollout to end", done)

        roll("busybox:2")
        self.assertLessEqual(most, 5)
        self.assertGreaterEqual(least, 3)
        self.assertEqual({p["spec"]["containers"][0]["image"] for p in self.pods(app="web")}, {"busybox:2"})

        def revisions():
            return {s["spec"]["template"]["spec"]["containers"][0]["image"]:
                    s["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
                    for s in self.items(f"{APPS}{self.ns}/replicasets")}
        self.assertEqual(revisions(), {"busybox:1": "1", "busybox:2": "2"})
        roll("busybox:1")  # back: the old ReplicaSet is used again
        self.assertEqual(revisions(), {"busybox:1": "3", "busybox:2": "2"})
        await_true("the Deployment's revision", lambda: self.read(path + "/web")["metadata"]["annotations"][
            "deployment.kubernetes.io/revision"] == "3")

    def test_broken_rollout_keeps_what_runs(self):
        path = f"{APPS}{self.ns}/deployments"
        body = deployment("web", 3)
        body["spec"]["progressDeadlineSeconds"] = 1
        self.make(path, body)
        for one in self.await_pods(3, app="web"):
            self.report(one)
        await_true("3 available", lambda: self.read(path + "/web")["status"].get("availableReplicas") == 3)
        self.merge(path + "/web", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "broken"}]}}}})
        await_true("the deadline", lambda: any(
            c["type"] == "Progressing" and c["status"] == "False" and c["reason"] == "ProgressDeadlineExceeded"
            for c in self.read(path + "/web")["status"]["conditions"]))
        self.assertEqual(self.read(path + "/web")["status"]["availableReplicas"], 3)

    def test_recreate_waits_for_the_old(self):
        path = f"{APPS}{self.ns}/deployments"
        body = deployment("web", 2)
        body["spec"]["strategy"] = {"type": "Recreate"}
        body["spec"]["template"]["spec"]["nodeName"] = "elsewhere"
        self.make(path, body)
        for one in self.await_pods(2, app="web"):
            self.report(one)
        self.merge(path + "/web", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "b:2"}]}}}})
        await_true("the old to end", lambda: all(p["metadata"].get("deletionTimestamp") for p in self.pods(app="web")))
        self.assertEqual(len(self.pods(app="web")), 2)
        self.kubelet()
        pods = await_true("the new", lambda: (lambda found: found if len(found) == 2 else None)(self.pods(app="web")))
        self.assertEqual({p["spec"]["containers"][0]["image"] for p in pods}, {"b:2"})

    def test_replicaset_adopts_and_releases(self):
        labels = {"app": "rs"}
        orphan = pod("orphan")
        orphan["metadata"]["labels"] = labels
        self.make(f"/api/v1/namespaces/{self.ns}/pods", orphan)
        body = deployment("rs", 2, labels)
        body["kind"] = "ReplicaSet"
        self.make(f"{APPS}{self.ns}/replicasets", body)
        pods = self.await_pods(2, app="rs")
        await_true("the orphan to be adopted", lambda: self.read(
            f"/api/v1/namespaces/{self.ns}/pods/orphan")["metadata"].get("ownerReferences"))
        self.assertIn("orphan", [p["metadata"]["name"] for p in pods])
        self.merge(f"/api/v1/namespaces/{self.ns}/pods/orphan", {"metadata": {"labels": {"app": "other"}}})
        await_true("the pod to be released", lambda: not self.read(
            f"/api/v1/namespaces/{self.ns}/pods/orphan")["metadata"].get("ownerReferences"))
        self.await_pods(2, app="rs")

    def test_replication_controller(self):
        body = deployment("rc", 2)
        body.update(apiVersion="v1", kind="ReplicationController")
        body["spec"]["selector"] = {"app": "rc"}
        path = f"/api/v1/namespaces/{self.ns}/replicationcontrollers"
        self.make(path, body)
        for one in self.await_pods(2, app="rc"):
            self.assertEqual(one["metadata"]["ownerReferences"][0]["kind"], "ReplicationController")
            self.report(one)
        await_true("both to be ready", lambda: self.read(path + "/rc")["status"].get("availableReplicas") == 2)
        self.ok(self.client.delete(path + "/rc", {"apiVersion": "v1", "kind": "DeleteOptions",
                                                  "propagationPolicy": "Background"}))
        await_true("the dependents to go", lambda: not self.pods())

    def test_failure_to_create_is_shown_while_it_lasts(self):
        body = deployment("web", 2)
        body["spec"]["template"]["spec"]["priorityClassName"] = f"late-{self.ns}"
        path = f"{APPS}{self.ns}/deployments"
        self.make(path, body)

        def failure(kind):
            return [c for one in self.items(f"{APPS}{self.ns}/{kind}") for c in one["status"].get("conditions", [])
                    if c["type"] == "ReplicaFailure"]
        for kind in ("replicasets", "deployments"):
            found = await_true("the failure of " + kind, lambda k=kind: failure(k))[0]
            self.assertEqual((found["status"], found["reason"]), ("True", "FailedCreate"))
            self.assertIn("no PriorityClass with name late-", found["message"])
        self.make("/apis/scheduling.k8s.io/v1/priorityclasses",
                  {"metadata": {"name": f"late-{self.ns}"}, "value": 5})
        self.await_pods(2, app="web")
        await_true("the failure to be over", lambda: not failure("replicasets") and not failure("deployments"))

    def test_daemonset(self):
        for name in ("ds-1", "ds-2"):
            make_node(self, name, {"role": self.ns})
        other = make_node(self, "ds-other", {})
        body = deployment("ds")
        body["kind"] = "DaemonSet"
        del body["spec"]["replicas"]
        body["spec"]["template"]["spec"]["nodeSelector"] = {"role": self.ns}
        path = f"{APPS}{self.ns}/daemonsets"
        self.make(path, body)
        pods = self.await_pods(2, app="ds")
        tolerated = {(t["key"], t.get("effect")) for t in pods[0]["spec"]["tolerations"]}
        self.assertIn(("node.kubernetes.io/not-ready", "NoExecute"), tolerated)
        self.assertIn(("node.kubernetes.io/unschedulable", "NoSchedule"), tolerated)

        def settled(count, generation=1):
            self.kubelet()
            status = self.read(path + "/ds")["status"]
            return (status.get("observedGeneration") == generation and status["desiredNumberScheduled"] == count and
                    status.get("updatedNumberScheduled") == count and status.get("numberAvailable") == count)
        await_true("2 daemons", lambda: settled(2))
        self.assertEqual({p["spec"]["nodeName"] for p in self.pods(app="ds")}, {"ds-1", "ds-2"})
        self.merge(f"{NODES}/{other}", {"metadata": {"labels": {"role": self.ns}}})
        await_true("3 daemons", lambda: settled(3))
        self.merge(path + "/ds", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "ds:2"}]}}}})
        ready = []

        def rolled():
            ready.append(self.read(path + "/ds")["status"]["numberReady"])
            return settled(3, 2)
        await_true("the rolling update", rolled)
        self.assertGreaterEqual(min(ready), 2)
        self.assertEqual({p["spec"]["containers"][0]["image"] for p in self.pods(app="ds")}, {"ds:2"})
        revisions = self.items(f"{APPS}{self.ns}/controllerrevisions")
        self.assertEqual(sorted(r["revision"] for r in revisions), [1, 2])
        newest = max(revisions, key=lambda r: r["revision"])
        self.assertEqual({p["metadata"]["labels"]["controller-revision-hash"] for p in self.pods(app="ds")},
                         {newest["metadata"]["labels"]["controller-revision-hash"]})
        # A taint that isn't tolerated sends it away.
        self.merge(f"{NODES}/{other}", {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}})
        await_true("2 daemons again", lambda: settled(2, 2))
        self.ok(self.client.delete(path + "/ds"))
        await_true("the daemons to go", lambda: (self.kubelet(), not self.pods())[1])
        for name in ("ds-1", "ds-2", other):
            self.client.delete(f"{NODES}/{name}")

    def test_statefulset(self):
        body = deployment("db", 3)
        body["kind"] = "StatefulSet"
        body["spec"]["serviceName"] = "db"
        body["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
        body["spec"]["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": "Delete", "whenScaled": "Delete"}
        body["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]
        path = f"{APPS}{self.ns}/statefulsets"
        claims = f"/api/v1/namespaces/{self.ns}/persistentvolumeclaims"
        self.make(path, body)

        def names():
            return sorted(p["metadata"]["name"] for p in self.pods(app="db"))

        def one(name):
            return self.read(f"/api/v1/namespaces/{self.ns}/pods/{name}")
        # One by one: the next comes when the one before is ready.
        for count in (1, 2, 3):
            await_true(f"{count} pods", lambda c=count: names() == [f"db-{i}" for i in range(c)])
            self.report(one(f"db-{count - 1}"))
        first = one("db-0")
        self.assertEqual((first["spec"]["hostname"], first["spec"]["subdomain"]), ("db-0", "db"))
        self.assertEqual(first["spec"]["volumes"][0], {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}})
        self.assertEqual(first["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"], "db-0")
        self.assertEqual({c["metadata"]["name"] for c in self.items(claims)}, {f"data-db-{i}" for i in range(3)})

        def settled(replicas):
            status = self.read(path + "/db")["status"]
            return ([status.get(key) for key in ("replicas", "readyReplicas", "availableReplicas", "currentReplicas",
                                                 "updatedReplicas")] == [replicas] * 5 and
                    status["currentRevision"] == status["updateRevision"])
        await_true("3 ready", lambda: settled(3))
        # A rolling update above a partition, from the highest down.
        self.merge(path + "/db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}, "template": {"spec": {
            "containers": [{"name": "c", "image": "db:2"}]}}}})

        def images():
            self.kubelet()
            return [p["spec"]["containers"][0]["image"] for p in sorted(
                self.pods(app="db"), key=lambda p: p["metadata"]["name"])]
        await_true("the highest to be new", lambda: images() == ["busybox:1", "busybox:1", "db:2"])
        # What fails below the partition comes back as it was.
        self.client.delete(f"/api/v1/namespaces/{self.ns}/pods/db-0")
        await_true("db-0 to be back", lambda: images() == ["busybox:1", "busybox:1", "db:2"] and
                   one("db-0")["metadata"]["uid"] != first["metadata"]["uid"])
        self.merge(path + "/db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
        await_true("all to be new", lambda: images() == ["db:2"] * 3 and settled(3))
        # Down: the highest goes first, and its claim with it.
        self.merge(path + "/db/scale", {"spec": {"replicas": 1}})
        await_true("one pod", lambda: (self.kubelet(), names() == ["db-0"])[1])
        await_true("its claims to go", lambda: [c["metadata"]["name"] for c in self.items(claims) if not c["metadata"].get(
            "deletionTimestamp")] == ["data-db-0"])
        self.ok(self.client.delete(path + "/db"))
        await_true("all to go", lambda: (self.kubelet(), not names() and all(
            c["metadata"].get("deletionTimestamp") for c in self.items(claims)))[1])

    def test_restart_carries_on(self):
        path = f"{APPS}{self.ns}/deployments"
        self.cluster.manager.kill()
        self.make(path, deployment("web", 3))
        self.cluster.manager = ControllerManager(self.cluster)
        await_true("3 pods", lambda: len(self.pods(app="web")) >= 3)
        self.cluster.manager.kill()
        self.ok(self.client.delete(path + "/web"))
        self.cluster.manager = ControllerManager(self.cluster)
        await_true("the dependents to go", lambda: not self.pods() and not self.items(f"{APPS}{self.ns}/replicasets"))


    def test_killed_again_and_again_during_a_rollout(self):
        path = f"{APPS}{self.ns}/deployments"
        body = deployment("web", 6)
        body["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}
        self.make(path, body)
        for one in self.await_pods(6, app="web"):
            self.report(one)
        await_true("6 available", lambda: self.read(path + "/web")["status"].get("availableReplicas") == 6)
        generation = self.merge(path + "/web", {"spec": {"template": {"spec": {"containers": [
            {"name": "c", "image": "web:2"}]}}}})["metadata"]["generation"]
        most, least, kills = 0, 6, 0

        def round_of_faults():
            nonlocal most, least, kills
            pods = self.pods(app="web")
            most = max(most, len(pods))
            least = min(least, len([p for p in pods if any(
                c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]))
            pending = [p for p in pods if p["status"]["phase"] == "Pending"]
            if pending:
                self.report(pending[0])
            # Killed once in each step of the rollout, at whatever it does just then.
            if kills < 8 and len([p for p in pods if p["spec"]["containers"][0]["image"] == "web:2"]) >= kills:
                self.cluster.manager.kill()
                self.cluster.manager = ControllerManager(self.cluster)
                kills += 1
            status = self.read(path + "/web")["status"]
            return status["observedGeneration"] >= generation and [status.get(name) for name in (
                "updatedReplicas", "availableReplicas", "replicas")] == [6, 6, 6]
        await_true("the rollout to end", round_of_faults, 60)
        self.assertGreaterEqual(kills, 5)
        self.assertLessEqual(most, 8)
        self.assertGreaterEqual(least, 5)
        self.assertEqual(len(self.items(f"{APPS}{self.ns}/replicasets")), 2)
        self.assertEqual([p["spec"]["containers"][0]["image"] for p in self.pods(app="web")], ["web:2"] * 6)


class Endpoints(Case):
    def slices(self, name):
        return self.items(f"/apis/discovery.k8s.io/v1/namespaces/{self.ns}/endpointslices"
                          f"?labelSelector=kubernetes.io/service-name={name}")

    def endpoint(self, name, address):
        for one in self.slices(name):
            for endpoint in one.get("endpoints") or []:
                if address in endpoint["addresses"]:
                    return endpoint
        return None

    def test_slices_and_endpoints_follow_the_pods(self):
        body = pod("a", hostname="h", subdomain="web", nodeName="n")
        body["metadata"]["labels"] = {"app": "web"}
        body["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
        one = self.make(f"/api/v1/namespaces/{self.ns}/pods", body)
        made = service("web", selector={"app": "web"})
        made["spec"]["ports"] = [{"name": "p", "port": 80, "targetPort": "http"}]
        made["metadata"]["labels"] = {"tier": "x"}
        self.make(f"/api/v1/namespaces/{self.ns}/services", made)
        # Without addresses there is one empty slice.
        await_true("a slice", lambda: len(self.slices("web")) == 1)
        address = self.report(one, ready=False)
        endpoint = await_true("the endpoint", lambda: self.endpoint("web", address))
        self.assertEqual(endpoint["conditions"], {"ready": False, "serving": False, "terminating": False})
        self.assertEqual((endpoint["hostname"], endpoint["nodeName"], endpoint["targetRef"]["name"]), ("h", "n", "a"))
        condition = [{"type": "Ready", "status": "True"}]
        self.ok(self.client.patch(f"/api/v1/namespaces/{self.ns}/pods/a/status", {"status": {"conditions": condition}}))
        await_true("it to be ready", lambda: self.endpoint("web", address)["conditions"]["ready"])
        slice_ = self.slices("web")[0]
        self.assertEqual(slice_["ports"], [{"name": "p", "protocol": "TCP", "port": 8080}])
        self.assertEqual(slice_["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"],
                         "endpointslice-controller.k8s.io")
        self.assertEqual(slice_["metadata"]["labels"]["tier"], "x")
        self.assertTrue(slice_["metadata"]["name"].startswith("web-"))

        def subsets():
            answer = self.client.get(f"/api/v1/namespaces/{self.ns}/endpoints/web")
            return answer.json.get("subsets") if answer.code == 200 else None
        found = await_true("the Endpoints", lambda: (lambda s: s if s and s[0].get("addresses") else None)(subsets()))
        self.assertEqual(found[0]["ports"], [{"name": "p", "port": 8080, "protocol": "TCP"}])
        self.assertEqual(found[0]["addresses"][0]["ip"], address)
        # A terminating pod still serves, but is not ready.
        self.client.delete(f"/api/v1/namespaces/{self.ns}/pods/a")
        await_true("it to be terminating", lambda: self.endpoint("web", address)["conditions"] == {
            "ready": False, "serving": True, "terminating": True})
        await_true("the Endpoints to be empty", lambda: not subsets())
        self.kubelet()
        await_true("the endpoint to go", lambda: not self.endpoint("web", address))
        self.ok(self.client.delete(f"/api/v1/namespaces/{self.ns}/services/web"))
        await_true("all to go", lambda: not self.slices("web") and self.gone(
            f"/api/v1/namespaces/{self.ns}/endpoints/web"))

    def test_many_endpoints_fill_slices(self):
        self.make(f"/api/v1/namespaces/{self.ns}/services", service("many", selector={"app": "many"}))
        self.make(f"{APPS}{self.ns}/deployments", deployment("many", 120))
        pods = await_true("120 pods", lambda: (lambda p: p if len(p) == 120 else None)(self.pods(app="many")))
        for one in pods:
            self.report(one)

        def sizes():
            return sorted(len(s.get("endpoints") or []) for s in self.slices("many"))
        await_true("120 endpoints", lambda: sum(sizes()) == 120)
        self.assertLessEqual(max(sizes()), 100)
        addresses = [e["addresses"][0] for s in self.slices("many") for e in s["endpoints"]]
        self.assertEqual(len(set(addresses)), 120)

    def test_publish_not_ready_and_headless(self):
        body = service("h", selector={"app": "h"}, clusterIP="None", publishNotReadyAddresses=True)
        self.make(f"/api/v1/namespaces/{self.ns}/services", body)
        one = pod("h-0")
        one["metadata"]["labels"] = {"app": "h"}
        address = self.report(self.make(f"/api/v1/namespaces/{self.ns}/pods", one), ready=False)
        endpoint = await_true("the endpoint", lambda: self.endpoint("h", address))
        self.assertEqual(endpoint["conditions"], {"ready": True, "serving": False, "terminating": False})
        self.assertEqual(self.slices("h")[0]["metadata"]["labels"]["service.kubernetes.io/headless"], "")

    def test_written_endpoints_are_mirrored(self):
        self.make(f"/api/v1/namespaces/{self.ns}/services", service("ext"))
        path = f"/api/v1/namespaces/{self.ns}/endpoints"
        self.make(path, {"metadata": {"name": "ext", "labels": {"a": "b"}}, "subsets": [
            {"addresses": [{"ip": "192.0.2.1", "hostname": "h"}], "notReadyAddresses": [{"ip": "192.0.2.2"}],
             "ports": [{"name": "p", "port": 81, "protocol": "TCP"}]},
            {"addresses": [{"ip": "2001:db8::1"}], "ports": [{"name": "p", "port": 82, "protocol": "TCP"}]}]})
        slices = await_true("both slices", lambda: (lambda s: s if len(s) == 2 else None)(self.slices("ext")))
        found = {s["addressType"]: s for s in slices}
        self.assertEqual(found["IPv4"]["ports"], [{"name": "p", "port": 81, "protocol": "TCP"}])
        self.assertEqual(sorted((e["addresses"][0], e["conditions"]["ready"]) for e in found["IPv4"]["endpoints"]),
                         [("192.0.2.1", True), ("192.0.2.2", False)])
        self.assertEqual(found["IPv6"]["endpoints"][0]["addresses"], ["2001:db8::1"])
        labels = found["IPv4"]["metadata"]["labels"]
        self.assertEqual((labels["a"], labels["endpointslice.kubernetes.io/managed-by"]),
                         ("b", "endpointslicemirroring-controller.k8s.io"))
        self.merge(path + "/ext", {"subsets": [{"addresses": [{"ip": "192.0.2.9"}], "ports": [{"port": 90}]}]})
        await_true("the change to be mirrored", lambda: [
            (s["ports"][0]["port"], [e["addresses"][0] for e in s["endpoints"]]) for s in self.slices("ext")] == [
                (90, ["192.0.2.9"])])
        self.merge(path + "/ext", {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}})
        await_true("the slices to go", lambda: not self.slices("ext"))
        self.merge(path + "/ext", {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": None}}})
        await_true("the slice to be back", lambda: len(self.slices("ext")) == 1)
        self.ok(self.client.delete(path + "/ext"))
        await_true("the slice to go with its Endpoints", lambda: not self.slices("ext"))

    def test_the_apiservers_own_service_is_left_alone(self):
        self.make(f"/api/v1/namespaces/{self.ns}/services", service("mark", selector={"app": "mark"}))
        await_true("the controllers to have worked", lambda: self.slices("mark"))
        own = self.read("/api/v1/namespaces/default/endpoints/kubernetes")
        self.assertTrue(own["subsets"][0]["addresses"])


class Namespaces(Case):
    def test_accounts_and_authority_are_there_and_repaired(self):
        account = f"/api/v1/namespaces/{self.ns}/serviceaccounts/default"
        authority = f"/api/v1/namespaces/{self.ns}/configmaps/kube-root-ca.crt"
        await_true("the account", lambda: self.client.get(account).code == 200)
        await_true("the authority", lambda: self.client.get(authority).code == 200)
        with open(self.cluster.pki.ca) as file:
            certificate = file.read()
        self.assertEqual(self.read(authority)["data"], {"ca.crt": certificate})
        self.merge(authority, {"data": {"ca.crt": "forged", "more": "x"}})
        await_true("the authority to be put right", lambda: self.read(authority)["data"] == {"ca.crt": certificate})
        first = self.read(account)["metadata"]["uid"]
        self.client.delete(account)
        await_true("a new account", lambda: self.client.get(account).code == 200 and
                   self.read(account)["metadata"]["uid"] != first)

    def test_deletion_empties_it(self):
        path = f"/api/v1/namespaces/{self.ns}"
        self.make(f"{APPS}{self.ns}/deployments", deployment("web", 2))
        self.await_pods(2, app="web")
        self.make(path + "/pods", pod("bound", nodeName="somewhere"))
        self.make(path + "/configmaps", {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
        self.make(path + "/secrets", {"metadata": {"name": "s"}})
        self.ok(self.client.delete(path))

        def condition(kind):
            return {c["type"]: c for c in self.read(path)["status"].get("conditions", [])}.get(kind, {})
        await_true("the pod to be waited for",
                   lambda: "pods. has 1 resource instances" in condition("NamespaceContentRemaining").get("message", ""))
        self.assertEqual(len(self.items(path + "/secrets")), 1)  # the rest goes after the pods
        self.client.delete(path + "/pods/bound", {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
        await_true("the finalizer to be waited for", lambda: "example.com/hold in 1 resource instances" in condition(
            "NamespaceFinalizersRemaining").get("message", ""))
        self.assertEqual(condition("NamespaceContentRemaining")["status"], "True")
        self.merge(path + "/configmaps/held", {"metadata": {"finalizers": None}})
        await_true("the namespace to go", lambda: self.gone(path))
        self.assertEqual(self.items(path + "/secrets"), [])


class Garbage(Case):
    def owned(self, name, *owners, **more):
        references = [{"apiVersion": o["apiVersion"], "kind": o["kind"], "name": o["metadata"]["name"],
                       "uid": o["metadata"]["uid"], **more} for o in owners]
        return self.make(f"/api/v1/namespaces/{self.ns}/secrets",
                         {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "ownerReferences": references}})

    def owner(self, name):
        return self.make(f"/api/v1/namespaces/{self.ns}/configmaps",
                         {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})

    def path(self, kind, name):
        return f"/api/v1/namespaces/{self.ns}/{kind}/{name}"

    def delete(self, kind, name, policy):
        self.ok(self.client.delete(self.path(kind, name), {"apiVersion": "v1", "kind": "DeleteOptions",
                                                           "propagationPolicy": policy}))

    def test_background_and_references(self):
        first, second = self.owner("first"), self.owner("second")
        self.owned("both", first, second)
        self.owned("one", first)
        self.delete("configmaps", "first", "Background")
        await_true("the one to go", lambda: self.gone(self.path("secrets", "one")))
        await_true("the reference to go", lambda: [r["name"] for r in self.read(self.path("secrets", "both"))[
            "metadata"]["ownerReferences"]] == ["second"])
        self.delete("configmaps", "second", "Background")
        await_true("the other to go", lambda: self.gone(self.path("secrets", "both")))

    def test_wrong_uid_goes_and_unknown_kind_stays(self):
        owner = self.owner("o")
        stale = {**owner, "metadata": {**owner["metadata"], "uid": "00000000-0000-4000-8000-000000000000"}}
        strange = {**stale, "apiVersion": "example.com/v1", "kind": "Strange"}
        self.owned("unknown", strange)
        self.owned("stale", stale)
        await_true("the stale one to go", lambda: self.gone(self.path("secrets", "stale")))
        self.assertEqual(self.client.get(self.path("secrets", "unknown")).code, 200)

    def test_foreground_waits_for_what_blocks(self):
        owner = self.owner("o")
        middle = self.owned("middle", owner, blockOwnerDeletion=True)
        middle.setdefault("apiVersion", "v1")
        self.owned("leaf", middle, blockOwnerDeletion=True)
        self.merge(self.path("secrets", "leaf"), {"metadata": {"finalizers": ["example.com/hold"]}})
        self.delete("configmaps", "o", "Foreground")
        await_true("the leaf to be marked",
                   lambda: self.read(self.path("secrets", "leaf"))["metadata"].get("deletionTimestamp"))
        self.assertEqual(self.read(self.path("configmaps", "o"))["metadata"]["finalizers"], ["foregroundDeletion"])
        self.assertEqual(self.read(self.path("secrets", "middle"))["metadata"]["finalizers"], ["foregroundDeletion"])
        self.merge(self.path("secrets", "leaf"), {"metadata": {"finalizers": None}})
        await_true("all to go", lambda: all(self.gone(self.path(kind, name)) for kind, name in (
            ("secrets", "leaf"), ("secrets", "middle"), ("configmaps", "o"))))

    def test_orphans_stay(self):
        owner = self.owner("o")
        self.owned("kept", owner)
        self.delete("configmaps", "o", "Orphan")
        await_true("the owner to go", lambda: self.gone(self.path("configmaps", "o")))
        self.assertNotIn("ownerReferences", self.read(self.path("secrets", "kept"))["metadata"])


def make_node(case, name, labels):
    case.make(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    case.client.post(LEASES, {"metadata": {"name": name}, "spec": {"holderIdentity": name}})
    say(case, name, "True")
    await_true(f"{name} to take pods", lambda: not case.read(f"{NODES}/{name}")["spec"].get("taints"))
    return name


def say(case, name, ready):
    conditions = [{"type": kind, "status": status, "lastHeartbeatTime": now(), "lastTransitionTime": now()}
                  for kind, status in (("Ready", ready), ("MemoryPressure", "False"), ("DiskPressure", "False"),
                                       ("PIDPressure", "False"))]
    return case.ok(case.client.patch(f"{NODES}/{name}/status", {"status": {"conditions": conditions}}))


class Nodes(Case):
    renewals = 0

    def renew(self, name):
        Nodes.renewals += 1
        self.merge(f"{LEASES}/{name}", {"spec": {"renewTime": time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime()) +
                                                 "%06dZ" % (Nodes.renewals % 1000000)}})

    def taints(self, name):
        return sorted((t["key"].rpartition("/")[2], t["effect"]) for t in self.read(f"{NODES}/{name}")["spec"].get(
            "taints", []))

    def tearDown(self):
        for node in self.items(NODES):
            self.client.delete(f"{NODES}/{node['metadata']['name']}")

    def test_each_node_gets_a_part(self):
        for name in ("cidr-1", "cidr-2"):
            self.make(NODES, {"metadata": {"name": name}})
        parts = [await_true("a CIDR", lambda n=name: self.read(f"{NODES}/{n}")["spec"].get("podCIDR"))
                 for name in ("cidr-1", "cidr-2")]
        self.assertEqual(len(set(parts)), 2)
        for part in parts:
            self.assertRegex(part, r"^10\.244\.\d+\.0/24$")
        self.assertEqual(self.read(f"{NODES}/cidr-1")["spec"]["podCIDRs"], [parts[0]])

    def test_silent_node(self):
        make_node(self, "alive", {})
        make_node(self, "silent", {})
        tolerating = pod("soon", nodeName="silent", tolerations=[
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": 1}])
        self.report(self.make(f"/api/v1/namespaces/{self.ns}/pods", tolerating))
        self.report(self.make(f"/api/v1/namespaces/{self.ns}/pods", pod("later", nodeName="silent")))

        def noticed():
            self.renew("alive")
            return self.taints("silent") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
        await_true("the silence to be noticed", noticed)
        conditions = {c["type"]: c for c in self.read(f"{NODES}/silent")["status"]["conditions"]}
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"):
            self.assertEqual((conditions[kind]["status"], conditions[kind]["reason"], conditions[kind]["message"]),
                             ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."))
        self.assertEqual(self.taints("alive"), [])

        def pod_named(name):
            return self.read(f"/api/v1/namespaces/{self.ns}/pods/{name}")
        await_true("its pods to be not ready", lambda: (self.renew("alive"), any(
            c["type"] == "Ready" and c["status"] == "False" for c in pod_named("later")["status"]["conditions"]))[1])
        await_true("the pod to be evicted", lambda: (self.renew("alive"), pod_named("soon")["metadata"].get(
            "deletionTimestamp"))[1])
        self.assertIn("DeletionByTaintManager", [c.get("reason") for c in pod_named("soon")["status"]["conditions"]])
        self.assertNotIn("deletionTimestamp", pod_named("later")["metadata"])
        # It comes back.
        say(self, "silent", "True")
        await_true("the taints to go", lambda: self.taints("silent") == [])

    def test_leases_keep_a_node_ready(self):
        make_node(self, "leased", {})
        deadline = time.monotonic() + 2 * GRACE_SECONDS

        def long_enough():
            self.renew("leased")
            self.assertEqual(self.taints("leased"), [])
            return time.monotonic() > deadline
        await_true("two grace periods", long_enough)

    def test_taints_by_condition(self):
        make_node(self, "full", {})
        self.ok(self.client.patch(f"{NODES}/full/status", {"status": {"conditions": [
            {"type": "DiskPressure", "status": "True"}]}}))
        await_true("the taint", lambda: self.taints("full") == [("disk-pressure", "NoSchedule")])
        self.merge(f"{NODES}/full", {"spec": {"unschedulable": True}})
        await_true("both taints", lambda: self.taints("full") == [("disk-pressure", "NoSchedule"),
                                                                  ("unschedulable", "NoSchedule")])
        self.merge(f"{NODES}/full", {"spec": {"unschedulable": None}})
        await_true("one taint", lambda: self.taints("full") == [("disk-pressure", "NoSchedule")])

    def test_no_eviction_without_any_ready_node(self):
        make_node(self, "only", {})
        await_true("the silence to be noticed", lambda: self.taints("only") == [("unreachable", "NoSchedule")])

    def test_unscheduled_pod_is_not_left_terminating(self):
        body = pod("held")
        body["metadata"]["finalizers"] = ["example.com/hold"]
        path = f"/api/v1/namespaces/{self.ns}/pods/held"
        self.make(f"/api/v1/namespaces/{self.ns}/pods", body)
        self.ok(self.client.delete(path))
        await_true("it to be Failed", lambda: self.read(path)["status"]["phase"] == "Failed")
        self.merge(path, {"metadata": {"finalizers": None}})
        await_true("it to go", lambda: self.gone(path))
