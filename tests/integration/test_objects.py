# SPDX-License-Identifier: Apache-2.0
"""Create, get, update, patch, delete: the generic registry."""

import threading
import unittest

from harness import config_map, deployment, new_namespace, shared


class Objects(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.deployments = f"/apis/apps/v1/namespaces/{self.ns}/deployments"

    def create(self, path, body, code=201, **kwargs):
        answer = self.client.post(path, body, **kwargs)
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def test_create_fills_metadata_and_get_returns_the_same(self):
        made = self.create(self.maps, config_map("a", {"k": "v"}, labels={"x": "y"}))
        self.assertEqual(made["kind"], "ConfigMap")
        self.assertEqual(made["apiVersion"], "v1")
        self.assertEqual(made["metadata"]["namespace"], self.ns)
        self.assertRegex(made["metadata"]["uid"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertRegex(made["metadata"]["creationTimestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertGreater(int(made["metadata"]["resourceVersion"]), 0)
        self.assertEqual(self.client.get(self.maps + "/a").json, made)

    def test_second_create_conflicts(self):
        self.create(self.maps, config_map("a"))
        status = self.create(self.maps, config_map("a"), 409)
        self.assertEqual(status["reason"], "AlreadyExists")
        self.assertEqual(status["message"], 'configmaps "a" already exists')
        self.assertEqual(status["details"], {"name": "a", "kind": "configmaps"})

    def test_missing_object(self):
        answer = self.client.get(self.deployments + "/nope")
        self.assertEqual(answer.code, 404)
        self.assertEqual(answer.json["message"], 'deployments.apps "nope" not found')
        self.assertEqual(answer.json["details"], {"name": "nope", "group": "apps", "kind": "deployments"})

    def test_generate_name(self):
        body = config_map("x")
        body["metadata"] = {"generateName": "gen-"}
        names = {self.create(self.maps, body)["metadata"]["name"] for _ in range(10)}
        self.assertEqual(len(names), 10)
        for name in names:
            self.assertRegex(name, r"^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$")

    def test_missing_namespace_and_wrong_namespace(self):
        status = self.create("/api/v1/namespaces/absent/configmaps", config_map("a"), 404)
        self.assertEqual(status["message"], 'namespaces "absent" not found')
        status = self.create(self.maps, config_map("a", namespace="other"), 400)
        self.assertIn("the namespace of the provided object does not match the namespace sent on the request",
                      status["message"])

    def test_update_checks_versions(self):
        made = self.create(self.maps, config_map("a", {"k": "1"}))
        stale = dict(made, metadata=dict(made["metadata"]))
        made["data"]["k"] = "2"
        updated = self.client.put(self.maps + "/a", made)
        self.assertEqual(updated.code, 200, updated)
        self.assertGreater(int(updated.json["metadata"]["resourceVersion"]), int(made["metadata"]["resourceVersion"]))
        stale["data"] = {"k": "3"}
        conflict = self.client.put(self.maps + "/a", stale)
        self.assertEqual(conflict.code, 409)
        self.assertEqual(conflict.json["message"],
                         'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply '
                         'your changes to the latest version and try again')
        free = self.client.put(self.maps + "/a", config_map("a", {"k": "4"}))
        self.assertEqual(free.code, 200, free)
        self.assertEqual(free.json["metadata"]["uid"], made["metadata"]["uid"])
        self.assertEqual(free.json["metadata"]["creationTimestamp"], made["metadata"]["creationTimestamp"])

    def test_update_that_changes_nothing_writes_nothing(self):
        made = self.create(self.maps, config_map("a", {"k": "1"}))
        again = self.client.put(self.maps + "/a", made)
        self.assertEqual(again.json["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"])

    def test_update_refuses_other_names_and_uids(self):
        self.create(self.maps, config_map("a"))
        answer = self.client.put(self.maps + "/a", config_map("b"))
        self.assertEqual(answer.code, 400)
        self.assertIn("the name of the object (b) does not match the name on the URL (a)", answer.json["message"])
        answer = self.client.put(self.maps + "/a", config_map("a", uid="11111111-1111-4111-8111-111111111111"))
        self.assertEqual(answer.code, 409)
        self.assertIn("Precondition failed: UID in precondition", answer.json["message"])

    def test_put_needs_a_version_for_some_kinds(self):
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.ns}/leases"
        made = self.client.put(path + "/l", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}})
        self.assertEqual(made.code, 201, made)
        again = self.client.put(path + "/l", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "b"}})
        self.assertEqual(again.code, 422)
        self.assertIn("metadata.resourceVersion: Invalid value: 0x0: must be specified for an update",
                      again.json["message"])

    def test_the_three_patches(self):
        self.create(self.deployments, deployment("d"))
        path = self.deployments + "/d"
        answer = self.client.patch(path, {"spec": {"template": {"spec": {"containers": [
            {"name": "side", "image": "busybox:2"}]}}}})
        self.assertEqual(answer.code, 200, answer)
        names = [c["name"] for c in answer.json["spec"]["template"]["spec"]["containers"]]
        self.assertEqual(sorted(names), ["c", "side"])
        self.assertEqual(answer.json["metadata"]["generation"], 2)
        answer = self.client.patch(path, {"metadata": {"labels": {"l": "1"}}, "spec": {"replicas": 4}},
                                   "merge-patch+json")
        self.assertEqual(answer.json["spec"]["replicas"], 4)
        self.assertEqual(answer.json["metadata"]["labels"], {"l": "1"})
        answer = self.client.patch(path, [{"op": "test", "path": "/spec/replicas", "value": 4},
                                          {"op": "replace", "path": "/spec/replicas", "value": 5},
                                          {"op": "add", "path": "/status/conditions", "value": []}], "json-patch+json")
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["spec"]["replicas"], 5)
        answer = self.client.patch(path, [{"op": "test", "path": "/spec/replicas", "value": 9}], "json-patch+json")
        self.assertEqual(answer.code, 422, answer)
        self.assertEqual(self.client.patch(path, {}, "apply-patch+cbor").code, 415)
        self.assertEqual(self.client.patch(path, "{", "merge-patch+json").code, 400)

    def test_patch_with_version_and_uid(self):
        made = self.create(self.maps, config_map("a", {"k": "1"}))
        self.client.patch(self.maps + "/a", {"data": {"k": "2"}}, "merge-patch+json")
        answer = self.client.patch(self.maps + "/a", {"metadata": {
            "resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"k": "3"}}, "merge-patch+json")
        self.assertEqual(answer.code, 409)
        answer = self.client.patch(self.maps + "/a", {"metadata": {"uid": "other"}, "data": {"k": "3"}},
                                   "merge-patch+json")
        self.assertEqual(answer.code, 409)

    def test_patches_from_many_writers_all_arrive(self):
        self.create(self.maps, config_map("a"))
        codes = []

        def write(i):
            answer = self.client.patch(self.maps + "/a", {"data": {f"k{i}": "v"}}, "merge-patch+json")
            while answer.code == 409:
                answer = self.client.patch(self.maps + "/a", {"data": {f"k{i}": "v"}}, "merge-patch+json")
            codes.append(answer.code)

        writers = [threading.Thread(target=write, args=(i,)) for i in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        self.assertEqual(codes, [200] * 8)
        self.assertEqual(len(self.client.get(self.maps + "/a").json["data"]), 8)

    def test_status_and_spec_are_kept_apart(self):
        made = self.create(self.deployments, dict(deployment("d"), status={"replicas": 9}))
        self.assertEqual(made.get("status", {}), {})
        path = self.deployments + "/d"
        answer = self.client.patch(path + "/status", {"status": {"replicas": 3}, "spec": {"replicas": 7}},
                                   "merge-patch+json")
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["status"]["replicas"], 3)
        self.assertEqual(answer.json["spec"]["replicas"], 1)
        self.assertEqual(answer.json["metadata"]["generation"], 1)
        answer = self.client.patch(path, {"status": {"replicas": 8}, "spec": {"replicas": 2}}, "merge-patch+json")
        self.assertEqual(answer.json["status"]["replicas"], 3)
        self.assertEqual(answer.json["metadata"]["generation"], 2)
        self.assertEqual(self.client.get(path + "/status").json["metadata"]["uid"], made["metadata"]["uid"])

    def test_scale(self):
        self.create(self.deployments, deployment("d", 2, {"app": "d", "tier": "x"}))
        path = self.deployments + "/d/scale"
        scale = self.client.get(path).json
        self.assertEqual((scale["kind"], scale["apiVersion"]), ("Scale", "autoscaling/v1"))
        self.assertEqual(scale["spec"], {"replicas": 2})
        self.assertEqual(scale["status"]["selector"], "app=d,tier=x")
        scale["spec"]["replicas"] = 5
        self.assertEqual(self.client.put(path, scale).json["spec"]["replicas"], 5)
        self.assertEqual(self.client.put(path, scale).code, 409)
        answer = self.client.patch(path, {"spec": {"replicas": 6}}, "merge-patch+json")
        self.assertEqual(answer.json["spec"]["replicas"], 6)
        self.assertEqual(self.client.get(self.deployments + "/d").json["spec"]["replicas"], 6)
        answer = self.client.patch(path, {"spec": {"replicas": -1}}, "merge-patch+json")
        self.assertEqual(answer.code, 422)
        self.assertIn("spec.replicas: Invalid value: -1: must be greater than or equal to 0", answer.json["message"])

    def test_delete_and_recreate(self):
        first = self.create(self.maps, config_map("a"))
        answer = self.client.delete(self.maps + "/a")
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.json["status"], "Success")
        self.assertEqual(answer.json["details"], {"name": "a", "kind": "configmaps", "uid": first["metadata"]["uid"]})
        self.assertEqual(self.client.delete(self.maps + "/a").code, 404)
        self.assertNotEqual(self.create(self.maps, config_map("a"))["metadata"]["uid"], first["metadata"]["uid"])

    def test_delete_preconditions(self):
        made = self.create(self.maps, config_map("a"))
        answer = self.client.delete(self.maps + "/a", {"preconditions": {"uid": "other"}})
        self.assertEqual(answer.code, 409)
        answer = self.client.delete(self.maps + "/a", {"preconditions": {"resourceVersion": "1"}})
        self.assertEqual(answer.code, 409)
        answer = self.client.delete(self.maps + "/a", {"kind": "DeleteOptions", "apiVersion": "v1",
                                                       "preconditions": {"uid": made["metadata"]["uid"]}})
        self.assertEqual(answer.code, 200)

    def test_finalizers_hold_an_object(self):
        self.create(self.maps, config_map("a", finalizers=["example.com/hold"]))
        held = self.client.delete(self.maps + "/a").json
        self.assertEqual(held["kind"], "ConfigMap")
        self.assertIn("deletionTimestamp", held["metadata"])
        self.assertEqual(held["metadata"]["deletionGracePeriodSeconds"], 0)
        again = self.client.delete(self.maps + "/a").json
        self.assertEqual(again["metadata"]["resourceVersion"], held["metadata"]["resourceVersion"])
        more = self.client.patch(self.maps + "/a", {"metadata": {"finalizers": ["example.com/hold", "example.com/b"]}},
                                 "merge-patch+json")
        self.assertEqual(more.code, 422)
        self.assertIn("no new finalizers can be added if the object is being deleted", more.json["message"])
        freed = self.client.patch(self.maps + "/a", {"metadata": {"finalizers": None}}, "merge-patch+json")
        self.assertEqual(freed.code, 200, freed)
        self.assertEqual(self.client.get(self.maps + "/a").code, 404)

    def test_propagation_finalizers(self):
        for policy, finalizers in (("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"])):
            self.create(self.deployments, deployment("d"))
            held = self.client.delete(self.deployments + "/d", {"propagationPolicy": policy}).json
            self.assertEqual(held["metadata"]["finalizers"], finalizers)
            self.assertIn("deletionTimestamp", held["metadata"])
            self.assertEqual(held["metadata"]["generation"], 2)
            self.client.patch(self.deployments + "/d", {"metadata": {"finalizers": None}}, "merge-patch+json")
            self.assertEqual(self.client.get(self.deployments + "/d").code, 404)
        self.create(self.deployments, deployment("d"))
        self.assertEqual(self.client.delete(self.deployments + "/d?propagationPolicy=Background").json["status"],
                         "Success")

    def test_delete_collection(self):
        for i in range(12):
            self.create(self.maps, config_map(f"m{i}", labels={"even": str(i % 2 == 0).lower()}))
        self.create(self.maps, config_map("held", labels={"even": "true"}, finalizers=["example.com/hold"]))
        answer = self.client.delete(self.maps + "?labelSelector=even%3Dtrue")
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(len(answer.json["items"]), 7)
        left = {item["metadata"]["name"]: item for item in self.client.get(self.maps).json["items"]}
        self.assertEqual(sorted(left), sorted(["held"] + [f"m{i}" for i in range(12) if i % 2]))
        self.assertIn("deletionTimestamp", left["held"]["metadata"])
        self.client.patch(self.maps + "/held", {"metadata": {"finalizers": None}}, "merge-patch+json")

    def test_dry_run_leaves_nothing(self):
        made = self.create(self.maps + "?dryRun=All", config_map("a"))
        self.assertTrue(made["metadata"]["uid"])
        self.assertEqual(self.client.get(self.maps + "/a").code, 404)
        self.create(self.maps, config_map("a", {"k": "1"}))
        answer = self.client.patch(self.maps + "/a?dryRun=All", {"data": {"k": "2"}}, "merge-patch+json")
        self.assertEqual(answer.json["data"], {"k": "2"})
        self.assertEqual(self.client.delete(self.maps + "/a?dryRun=All").code, 200)
        self.assertEqual(self.client.get(self.maps + "/a").json["data"], {"k": "1"})
        answer = self.client.post(self.maps + "?dryRun=Some", config_map("b"))
        self.assertEqual(answer.code, 422)
        service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        made = self.create(f"/api/v1/namespaces/{self.ns}/services?dryRun=All", service)
        self.assertTrue(made["spec"]["clusterIP"].startswith("10.96."))
        self.assertEqual(self.client.get("/apis/networking.k8s.io/v1/ipaddresses/" + made["spec"]["clusterIP"]).code, 404)

    def test_field_validation(self):
        body = deployment("d")
        body["spec"]["unknownField"] = 1
        answer = self.client.post(self.deployments + "?fieldValidation=Strict", body)
        self.assertEqual(answer.code, 400)
        self.assertIn('strict decoding error: unknown field "spec.unknownField"', answer.json["message"])
        answer = self.client.post(self.deployments + "?dryRun=All", body)
        self.assertEqual(answer.code, 201)
        self.assertIn('299 - "unknown field \\"spec.unknownField\\""', answer.headers.get_all("Warning"))
        answer = self.client.post(self.deployments + "?dryRun=All&fieldValidation=Ignore", body)
        self.assertIsNone(answer.header("Warning"))
        text = ('{"metadata":{"name":"d"},"data":{},"data":{"a":"b"}}')
        answer = self.client.post(self.maps + "?fieldValidation=Strict", text)
        self.assertEqual(answer.code, 400)
        self.assertIn('duplicate field "data"', answer.json["message"])

    def test_yaml_body(self):
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-yaml\ndata:\n  a: |\n    one\n    two\n"
        made = self.create(self.maps, text, content_type="application/yaml")
        self.assertEqual(made["data"], {"a": "one\ntwo\n"})
        answer = self.client.get(self.maps + "/from-yaml", headers={"Accept": "application/yaml"})
        self.assertEqual(answer.header("Content-Type"), "application/yaml")
        self.assertIn(b"kind: ConfigMap", answer.body)

    def test_secret_strings(self):
        path = f"/api/v1/namespaces/{self.ns}/secrets"
        made = self.create(path, {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}})
        self.assertEqual(made["data"], {"a": "Yg==", "c": "ZA=="})
        self.assertNotIn("stringData", made)
        self.assertEqual(made["type"], "Opaque")

    def test_events_in_both_groups(self):
        core = f"/api/v1/namespaces/{self.ns}/events"
        self.create(core, {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": self.ns},
                           "reason": "Tested", "message": "hello", "type": "Normal", "count": 2})
        other = self.client.get(f"/apis/events.k8s.io/v1/namespaces/{self.ns}/events/e").json
        self.assertEqual(other["apiVersion"], "events.k8s.io/v1")
        self.assertEqual((other["note"], other["regarding"]["name"], other["deprecatedCount"]), ("hello", "p", 2))
        listed = self.client.get(f"/apis/events.k8s.io/v1/namespaces/{self.ns}/events?fieldSelector=regarding.name%3Dp")
        self.assertEqual([item["reason"] for item in listed.json["items"]], ["Tested"])
        listed = self.client.get(core + "?fieldSelector=involvedObject.name%3Dq")
        self.assertEqual(listed.json["items"], [])

    def test_autoscaler_in_both_versions(self):
        v1 = f"/apis/autoscaling/v1/namespaces/{self.ns}/horizontalpodautoscalers"
        self.create(v1, {"metadata": {"name": "h"}, "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 55}})
        v2 = self.client.get(f"/apis/autoscaling/v2/namespaces/{self.ns}/horizontalpodautoscalers/h").json
        self.assertEqual(v2["spec"]["metrics"][0]["resource"],
                         {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 55}})
        self.assertEqual(self.client.get(v1 + "/h").json["spec"]["targetCPUUtilizationPercentage"], 55)
