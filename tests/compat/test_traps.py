# SPDX-License-Identifier: Apache-2.0
"""What client libraries and the conformance suite lean on, point by point, by plain HTTP."""

import unittest

import clients
from harness import config_map, deployment, pod


class Traps(unittest.TestCase):
    def setUp(self):
        self.client = clients.cluster().server.client
        self.ns = clients.new_namespace()
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.deployments = f"/apis/apps/v1/namespaces/{self.ns}/deployments"
        self.pods = f"/api/v1/namespaces/{self.ns}/pods"

    def make(self, path, body):
        answer = self.client.post(path, body)
        self.assertEqual(answer.code, 201, answer)
        return answer.json

    def version(self, path):
        return self.client.get(path).json["metadata"]["resourceVersion"]

    def test_pages_share_a_version_and_count_down(self):
        for i in range(7):
            self.make(self.maps, config_map(f"m{i}", labels={"trap": "1"}))
        path, seen, versions, token = self.maps + "?limit=3", [], set(), ""
        while True:
            page = self.client.get(path + ("&continue=" + token if token else "")).json
            seen += [item["metadata"]["name"] for item in page["items"]]
            versions.add(page["metadata"]["resourceVersion"])
            token = page["metadata"].get("continue")
            if not token:
                break
            self.assertGreater(page["metadata"]["remainingItemCount"], 0)
        self.assertNotIn("remainingItemCount", page["metadata"])
        self.assertEqual((seen, len(versions)), (sorted(seen), 1))
        self.assertEqual(len(seen), len(self.client.get(self.maps).json["items"]))

    def test_version_from_the_future_is_a_timeout_with_a_cause(self):
        answer = self.client.get(self.maps + "?resourceVersion=999999999999&resourceVersionMatch=NotOlderThan")
        self.assertEqual(answer.code, 504)
        self.assertEqual(answer.json["details"]["causes"][0]["reason"], "ResourceVersionTooLarge")

    def test_watch_replays_after_its_version_and_follows_selectors(self):
        self.make(self.maps, config_map("a", labels={"in": "1"}))
        start = self.version(self.maps)
        with self.client.watch(f"{self.maps}?watch=1&resourceVersion={start}&labelSelector=in%3D1") as watch:
            for labels in ({"in": "1", "x": "2"}, {"in": None}, {"unseen": "1"}, {"in": "1"}):
                answer = self.client.patch(self.maps + "/a", {"metadata": {"labels": labels}}, "merge-patch+json")
                self.assertEqual(answer.code, 200)
            events = watch.take(3)
        self.assertEqual([event["type"] for event in events], ["MODIFIED", "DELETED", "ADDED"])
        self.assertEqual(events[1]["object"]["metadata"]["labels"], {"in": "1", "x": "2"})
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
        self.assertEqual(versions, sorted(set(versions)))

    def test_watch_list_is_served_or_refused_at_once(self):
        with self.client.watch(f"{self.maps}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&"
                               "resourceVersionMatch=NotOlderThan&timeoutSeconds=10") as watch:
            if watch.code != 200:
                self.assertEqual(watch.code, 422)
                return
            while True:
                event = watch.next()
                self.assertIsNotNone(event)
                if event["type"] == "BOOKMARK":
                    break
            self.assertEqual(event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true")

    def test_a_review_has_no_table(self):
        answer = self.client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}},
            headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
        self.assertEqual((answer.code, answer.json["reason"]), (406, "NotAcceptable"))

    def test_strict_decoding_of_unknown_and_duplicate_fields(self):
        text = ('{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":1,"replicas":2,'
                '"unknownField":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},'
                '"spec":{"containers":[{"name":"c","image":"x"}]}}}}')
        answer = self.client.post(self.deployments + "?fieldValidation=Strict", text)
        self.assertEqual(answer.code, 400)
        self.assertIn('strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"',
                      answer.json["message"])
        self.assertEqual(self.client.post(self.deployments + "?fieldValidation=Ignore", text).header("Warning"), None)

    def test_json_patch_finds_an_empty_status(self):
        self.make(self.deployments, deployment("d", 0))
        self.make(self.pods, pod("p"))
        for path in (self.deployments + "/d/status", self.pods + "/p/status"):
            answer = self.client.patch(path, [{"op": "add", "path": "/status/conditions", "value": [
                {"type": "StatusPatch", "status": "True"}]}], "json-patch+json")
            self.assertEqual(answer.code, 200, answer)
            self.assertIn("StatusPatch", [one["type"] for one in answer.json["status"]["conditions"]])

    def test_status_keeps_metadata_of_the_patch(self):
        self.make(self.deployments, deployment("d", 0))
        answer = self.client.patch(self.deployments + "/d/status", {
            "metadata": {"annotations": {"seen": "yes"}}, "spec": {"replicas": 9}}, "merge-patch+json")
        self.assertEqual((answer.json["metadata"]["annotations"]["seen"], answer.json["spec"]["replicas"]), ("yes", 0))

    def test_generation_counts_changes_of_spec_only(self):
        body = pod("p")
        body["metadata"]["generation"] = 42
        self.assertEqual(self.make(self.pods, body)["metadata"]["generation"], 1)
        answer = self.client.patch(self.pods + "/p", {"metadata": {"labels": {"a": "b"}}}, "merge-patch+json")
        self.assertEqual(answer.json["metadata"]["generation"], 1)
        answer = self.client.patch(self.pods + "/p", {"spec": {"containers": [{"name": "c", "image": "y"}]}})
        self.assertEqual(answer.json["metadata"]["generation"], 2)
        self.assertEqual(self.client.delete(self.pods + "/p").code, 200)  # unscheduled: gone at once
        self.assertEqual(self.client.get(self.pods + "/p").code, 404)

    def test_discovery_forms(self):
        aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        for path in ("/api", "/apis"):
            answer = self.client.get(path, headers={"Accept": aggregated})
            self.assertEqual(answer.json["kind"], "APIGroupDiscoveryList")
            self.assertIn("as=APIGroupDiscoveryList", answer.header("Content-Type"))
        for group in self.client.get("/apis").json["groups"]:
            self.assertIn(group["preferredVersion"], group["versions"])
            one = self.client.get("/apis/" + group["name"]).json
            self.assertEqual((one["kind"], one["versions"]), ("APIGroup", group["versions"]))
        rows = {row["name"] for row in self.client.get("/apis/certificates.k8s.io/v1").json["resources"]}
        self.assertLess({"certificatesigningrequests", "certificatesigningrequests/approval"}, rows)

    def test_namespace_finalize_replies_with_the_change(self):
        name = self.ns + "-f"
        made = self.make("/api/v1/namespaces", {"metadata": {"name": name}})
        made["spec"]["finalizers"].append("example.com/more")
        answer = self.client.put(f"/api/v1/namespaces/{name}/finalize", made)
        self.assertEqual((answer.code, answer.json["spec"]["finalizers"]), (200, ["kubernetes", "example.com/more"]))

    def test_events_of_both_groups_are_one(self):
        self.make(f"/api/v1/namespaces/{self.ns}/events", {
            "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "namespace": self.ns, "name": "p"},
            "message": "text", "reason": "R", "type": "Normal", "count": 2, "source": {"component": "tests"}})
        other = self.client.get(f"/apis/events.k8s.io/v1/namespaces/{self.ns}/events/e").json
        self.assertEqual((other["note"], other["regarding"]["name"], other["deprecatedCount"],
                          other["deprecatedSource"]["component"]), ("text", "p", 2, "tests"))

    def test_micro_times_keep_six_digits(self):
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.ns}/leases"
        made = self.make(path, {"metadata": {"name": "l"}, "spec": {"renewTime": "2024-01-01T00:00:00.120000Z"}})
        self.assertEqual(made["spec"]["renewTime"], "2024-01-01T00:00:00.120000Z")
