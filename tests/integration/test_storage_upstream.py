# SPDX-License-Identifier: Apache-2.0
"""An etcd that upstream has filled: the same keys, protobuf values, here and there an
older version of a kind. Every object is found, and stored as JSON by its next write."""

import base64
import json
import os
import sys
import unittest
import urllib.request

from harness import TOP, Cluster, await_true
from test_protobuf import PROTOBUF, config_map_message, envelope, integer, pod_message, text

sys.path.append(os.path.join(TOP, "tests", "compat"))
import samples  # noqa: E402

NAMESPACE = "stored"
# The apiserver itself keeps the conditions of these: they are written again as soon as it is there.
KEPT = ("flowschemas", "apiservices", "customresourcedefinitions")


class Gateway:
    """etcd's keys and values, by its JSON gateway."""

    def __init__(self, url):
        self.url = url

    def call(self, method, **request):
        body = {key: base64.b64encode(value).decode() if isinstance(value, bytes) else value
                for key, value in request.items()}
        with urllib.request.urlopen(urllib.request.Request(
                f"{self.url}/v3/kv/{method}", json.dumps(body).encode()), timeout=10) as answer:
            return json.load(answer)

    def put(self, key, value):
        return int(self.call("put", key=key.encode(), value=value)["header"]["revision"])

    def get(self, key):
        return base64.b64decode(self.call("range", key=key.encode())["kvs"][0]["value"])

    def keys_by_revision(self):
        found = self.call("range", key=b"/registry/", range_end=b"/registry0", keys_only=True)["kvs"]
        return {kv["mod_revision"]: base64.b64decode(kv["key"]).decode() for kv in found}


def paths_of(client):
    """(apiVersion, kind) → (path of the collection with NAMESPACE in it, namespaced), as discovery has them."""
    found = {}
    groups = ["/api/v1"] + [f"/apis/{version['groupVersion']}" for group in client.get("/apis").json["groups"]
                            for version in group["versions"]]
    for group in groups:
        for resource in client.get(group).json["resources"]:
            if "/" not in resource["name"] and "create" in resource["verbs"] and "get" in resource["verbs"]:
                where = f"{group}/namespaces/{NAMESPACE}" if resource["namespaced"] else group
                found[group.split("/", 2)[2], resource["kind"]] = f"{where}/{resource['name']}"
    return found


def without_version(item):
    return dict(item, metadata={k: v for k, v in item["metadata"].items() if k != "resourceVersion"})


class Upstream(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster("-v=2")
        self.addCleanup(self.cluster.etcd.terminate)
        self.addCleanup(lambda: self.cluster.server.terminate())
        self.client = self.cluster.server.client
        self.etcd = Gateway(self.cluster.etcd.url)
        answer = self.client.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self.assertEqual(answer.code, 201, answer)

    def restart(self):
        self.cluster.server.kill()
        self.cluster.server = self.cluster.start_server()
        self.client = self.cluster.server.client

    def make_samples(self):
        """The path of one object of every kind that has protobuf."""
        paths, made = paths_of(self.client), []
        self.client.post(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        for _, _, body in samples.all_samples(samples.signing_request()):
            body = json.loads(json.dumps(body).replace("$NAMESPACE", NAMESPACE))
            collection = paths[body["apiVersion"], body["kind"]]
            answer = self.client.post(collection, body)
            self.assertEqual(answer.code, 201, answer)
            made.append(f"{collection}/{body['metadata']['name']}")
        return made

    def snapshot(self, path):
        """(JSON, protobuf, key in etcd) of one state: the apiserver itself may be changing conditions."""
        item = self.client.get(path).json
        binary = self.client.get(path, headers={"Accept": PROTOBUF})
        self.assertEqual(binary.header("Content-Type"), PROTOBUF, path)
        key = self.etcd.keys_by_revision().get(item["metadata"]["resourceVersion"])
        same = self.client.get(path).json == item
        return (item, binary.body, key) if key and same else None

    def test_every_kind_in_protobuf(self):
        made = self.make_samples()
        self.assertGreater(len(made), 40)
        states = {path: await_true(f"{path} to rest", lambda path=path: self.snapshot(path)) for path in made}
        self.cluster.server.kill()
        revisions = {path: self.etcd.put(key, binary) for path, (_, binary, key) in states.items()}
        self.cluster.server = self.cluster.start_server()
        self.client = self.cluster.server.client
        for path, (item, _, key) in states.items():
            with self.subTest(path):
                self.check_one(path, item, key, revisions[path])

    def check_one(self, path, expected, key, revision):
        found = self.client.get(path)
        self.assertEqual(found.code, 200, found)
        collection = path.rpartition("/")[0]
        if collection.endswith(KEPT):
            self.assertEqual((found.json["spec"], found.json["metadata"]["uid"]),
                             (expected["spec"], expected["metadata"]["uid"]))
            return
        self.assertEqual(without_version(found.json), without_version(expected))
        self.assertEqual(found.json["metadata"]["resourceVersion"], str(revision))
        self.assertIn(found.json["metadata"]["uid"],
                      [item["metadata"]["uid"] for item in self.client.get(collection).json["items"]])
        # History is there too: a client that stopped before the change resumes into it.
        field = "fieldSelector=metadata.name%3D" + expected["metadata"]["name"]
        with self.client.watch(f"{collection}?watch=true&{field}&resourceVersion={revision - 1}") as watch:
            event = watch.next()
            self.assertEqual((event["type"], event["object"]), ("MODIFIED", found.json))
            answer = self.client.patch(path, {"metadata": {"annotations": {"touched": "yes"}}}, "merge-patch+json")
            self.assertEqual(answer.code, 200, answer)
            event = watch.next()
            self.assertEqual((event["type"], event["object"]), ("MODIFIED", answer.json))
        self.assertEqual(self.etcd.get(key)[:1], b"{")
        self.assertEqual(json.loads(self.etcd.get(key))["metadata"]["uid"], expected["metadata"]["uid"])

    def test_bytes_of_other_makers(self):
        """Go's encoder writes empty strings and zeros that ours leaves out, and other versions."""
        lease = (text(1, text(1, "l") + text(2, "") + text(3, NAMESPACE) + text(5, "uid-l") + integer(7, 0) + text(8, b"")) +
                 text(2, text(1, "holder") + integer(2, 40) + text(4, integer(1, 1700000000) + integer(2, 123456000))))
        budget = (text(1, text(1, "b") + text(3, NAMESPACE) + text(5, "uid-b") + integer(7, 1) + text(8, b"")) +
                  text(2, text(1, integer(1, 0) + integer(2, 1) + text(3, "")) +
                       text(2, text(1, text(1, "app") + text(2, "x")))) +
                  text(3, b"".join(integer(n, 0) for n in (1, 3, 4, 5, 6))))
        scaler = (text(1, text(1, "h") + text(3, NAMESPACE) + text(5, "uid-h") + integer(7, 0) + text(8, b"")) +
                  text(2, text(1, text(1, "Deployment") + text(2, "d") + text(3, "apps/v1")) + integer(2, 2) +
                       integer(3, 5) + integer(4, 80)) +
                  text(3, integer(3, 1) + integer(4, 1)))
        self.etcd.put(f"/registry/configmaps/{NAMESPACE}/c", envelope("v1", "ConfigMap", config_map_message("c", {"a": "1"})))
        self.etcd.put(f"/registry/pods/{NAMESPACE}/p", envelope("v1", "Pod", pod_message("p")))
        self.etcd.put(f"/registry/leases/{NAMESPACE}/l", envelope("coordination.k8s.io/v1", "Lease", lease))
        self.etcd.put(f"/registry/poddisruptionbudgets/{NAMESPACE}/b",
                      envelope("policy/v1beta1", "PodDisruptionBudget", budget))
        self.etcd.put(f"/registry/horizontalpodautoscalers/{NAMESPACE}/h",
                      envelope("autoscaling/v1", "HorizontalPodAutoscaler", scaler))
        live = {path: self.await_object(path) for path in (
            f"/api/v1/namespaces/{NAMESPACE}/configmaps/c", f"/api/v1/namespaces/{NAMESPACE}/pods/p",
            f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/l",
            f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/b",
            f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/h",
            f"/apis/autoscaling/v1/namespaces/{NAMESPACE}/horizontalpodautoscalers/h")}
        c, p, l, b, h2, h1 = live.values()
        self.assertEqual((c["apiVersion"], c["kind"], c["data"]), ("v1", "ConfigMap", {"a": "1"}))
        self.assertEqual((p["spec"]["containers"][0]["image"], p["spec"]["restartPolicy"]), ("busybox:1", "Never"))
        self.assertEqual(p["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent")  # a default
        self.assertEqual(p["metadata"]["name"], "p")
        self.assertEqual((l["spec"]["holderIdentity"], l["spec"]["renewTime"]), ("holder", "2023-11-14T22:13:20.123456Z"))
        self.assertEqual((b["apiVersion"], b["spec"]["minAvailable"]), ("policy/v1", 1))
        self.assertEqual(b["spec"]["selector"], {"matchLabels": {"app": "x"}})
        self.assertEqual((h2["apiVersion"], h2["spec"]["metrics"][0]["resource"]["target"]),
                         ("autoscaling/v2", {"type": "Utilization", "averageUtilization": 80}))
        self.assertEqual((h1["apiVersion"], h1["spec"]["targetCPUUtilizationPercentage"]), ("autoscaling/v1", 80))
        self.restart()
        for path, expected in live.items():
            self.assertEqual(self.client.get(path).json, expected)

    def await_object(self, path):
        return await_true(path, lambda: (lambda a: a.json if a.code == 200 else None)(self.client.get(path)))

    def test_upstream_beside_us(self):
        """Another apiserver writes the same object in protobuf while a client watches here."""
        maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        first = self.client.post(maps, {"metadata": {"name": "c", "labels": {"on": "1"}}, "data": {"a": "1"}}).json
        with self.client.watch(f"{maps}?watch=true&labelSelector=on&resourceVersion="
                               + first["metadata"]["resourceVersion"]) as watch:
            key = f"/registry/configmaps/{NAMESPACE}/c"
            self.etcd.put(key, envelope("v1", "ConfigMap", config_map_message("c", {"a": "2"}, {"on": "1"})))
            self.assertEqual((lambda e: (e["type"], e["object"]["data"]))(watch.next()), ("MODIFIED", {"a": "2"}))
            self.etcd.put(key, envelope("v1", "ConfigMap", config_map_message("c", {"a": "3"})))
            self.assertEqual((lambda e: (e["type"], e["object"]["data"]))(watch.next()), ("DELETED", {"a": "2"}))
            self.etcd.call("deleterange", key=key.encode())
        self.assertEqual(self.client.get(f"{maps}/c").code, 404)
