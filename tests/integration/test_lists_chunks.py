# SPDX-License-Identifier: Apache-2.0
"""Lists in chunks, as the conformance tests have them: one consistent view under
writes, and after a compaction 410 with a token to go on inconsistently."""

import base64
import json
import random
import unittest
import urllib.request

from harness import Cluster, new_namespace, shared

COUNT = 400
WORDS = ("The provided continue parameter is too old to display a consistent list result. You can start a new list "
         "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
         "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
         "modified, or deleted between the time the first chunk was returned and now may show up in the list.")


def template(number):
    return {"metadata": {"name": f"template-{number:04}"},
            "template": {"spec": {"containers": [{"name": "test", "image": "test2"}]}}}


class Chunks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.client = cls.cluster.server.client
        cls.ns = new_namespace(cls.client)
        cls.path = f"/api/v1/namespaces/{cls.ns}/podtemplates"
        for i in range(COUNT):
            assert cls.client.post(cls.path, template(i)).code == 201

    @classmethod
    def tearDownClass(cls):
        cls.cluster.server.terminate()
        cls.cluster.etcd.terminate()

    def page(self, limit, token="", code=200):
        answer = self.client.get(f"{self.path}?limit={limit}&continue={token}")
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def names(self, page):
        return [item["metadata"]["name"] for item in page["items"]]

    def compact(self):
        """Everything before etcd's revision of now."""
        revision = self.client.get("/api/v1/namespaces").json["metadata"]["resourceVersion"]
        request = urllib.request.Request(self.cluster.etcd.url + "/v3/kv/compaction",
                                         json.dumps({"revision": revision}).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def test_chunks_of_any_size(self):
        for _ in range(3):
            seen, token, version = [], "", None
            while True:
                limit = random.randint(1, COUNT)
                page = self.page(limit, token)
                self.assertLessEqual(len(page["items"]), limit)
                seen += self.names(page)
                version = version or page["metadata"]["resourceVersion"]
                self.assertEqual(page["metadata"]["resourceVersion"], version)
                token = page["metadata"].get("continue", "")
                if not token:
                    self.assertNotIn("remainingItemCount", page["metadata"])
                    break
                self.assertEqual(page["metadata"]["remainingItemCount"], COUNT - len(seen))
            self.assertEqual(seen, [f"template-{i:04}" for i in range(COUNT)])
        self.assertEqual(len(self.page(COUNT + 1)["items"]), COUNT)

    def test_compacted(self):
        first = self.page(40)
        token, version = first["metadata"]["continue"], first["metadata"]["resourceVersion"]
        self.page(40, token)  # as long as etcd keeps the version
        # Only other kinds change: the token ends all the same.
        other = self.client.post(f"/api/v1/namespaces/{self.ns}/configmaps", {"metadata": {"generateName": "c-"}})
        self.assertEqual(other.code, 201)
        self.compact()
        expired = self.page(40, token, code=410)
        self.assertEqual((expired["reason"], expired["message"]), ("Expired", WORDS))
        going_on = expired["metadata"]["continue"]
        decoded = json.loads(base64.urlsafe_b64decode(going_on + "=" * (-len(going_on) % 4)))
        self.assertEqual(decoded, {"v": "meta.k8s.io/v1", "rv": -1, "start": "template-0039\0"})
        second = self.page(40, going_on)
        self.assertEqual(self.names(second), [f"template-{i:04}" for i in range(40, 80)])
        later = second["metadata"]["resourceVersion"]
        self.assertNotEqual(later, version)
        self.assertEqual(second["metadata"]["remainingItemCount"], COUNT - 80)
        seen, token = 80, second["metadata"]["continue"]
        while token:
            page = self.page(100, token)
            self.assertEqual(page["metadata"]["resourceVersion"], later)
            self.assertEqual(self.names(page)[0], f"template-{seen:04}")
            seen += len(page["items"])
            token = page["metadata"].get("continue")
        self.assertEqual(seen, COUNT)

    def test_exact_version_compacted(self):
        version = self.page(1)["metadata"]["resourceVersion"]
        exact = f"{self.path}?resourceVersion={version}&resourceVersionMatch=Exact"
        self.assertEqual(len(self.client.get(exact).json["items"]), COUNT)
        self.client.post(f"/api/v1/namespaces/{self.ns}/configmaps", {"metadata": {"generateName": "c-"}})
        self.compact()
        answer = self.client.get(exact)
        self.assertEqual((answer.code, answer.json["reason"], answer.json["message"]),
                         (410, "Expired", "The resourceVersion for the provided list is too old."))

    def test_chunks_under_writes(self):
        ns = new_namespace(self.client)
        maps = f"/api/v1/namespaces/{ns}/configmaps"
        for i in range(30):
            self.client.post(maps, {"metadata": {"name": f"m{i:02}"}, "data": {"n": "old"}})
        seen, token, turn = [], "", 0
        while True:
            page = self.client.get(f"{maps}?limit=7&continue={token}").json
            seen += [(item["metadata"]["name"], item["data"]["n"]) for item in page["items"]]
            token = page["metadata"].get("continue")
            if not token:
                break
            # Behind and before the place that the list has come to.
            self.client.delete(f"{maps}/m{29 - turn:02}")
            self.client.delete(f"{maps}/m{turn:02}")
            self.client.post(maps, {"metadata": {"name": f"m{20 + turn}x"}, "data": {"n": "new"}})
            self.client.patch(f"{maps}/m{15 + turn}", {"data": {"n": "new"}}, "merge-patch+json")
            turn += 1
        self.assertEqual(seen, [(f"m{i:02}", "old") for i in range(30)])


class Matrix(unittest.TestCase):
    """resourceVersion and resourceVersionMatch, by upstream's table."""

    def setUp(self):
        self.client = shared().server.client
        ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{ns}/configmaps"
        self.client.post(self.maps, {"metadata": {"name": "a"}})
        self.then = self.client.get(self.maps).json["metadata"]["resourceVersion"]
        self.client.post(self.maps, {"metadata": {"name": "b"}})

    def test_lists(self):
        future = int(self.then) + 100000
        for query, code, names in (
                ("", 200, "ab"),
                ("resourceVersion=0", 200, "ab"),
                (f"resourceVersion={self.then}", 200, "ab"),
                (f"resourceVersion={self.then}&resourceVersionMatch=NotOlderThan", 200, "ab"),
                (f"resourceVersion={self.then}&resourceVersionMatch=Exact", 200, "a"),
                (f"resourceVersion={self.then}&limit=5", 200, "a"),
                (f"resourceVersion={self.then}&limit=5&resourceVersionMatch=NotOlderThan", 200, "ab"),
                ("resourceVersion=0&resourceVersionMatch=NotOlderThan", 200, "ab"),
                ("resourceVersion=0&resourceVersionMatch=Exact", 422, "resourceVersionMatch \"exact\" is forbidden"),
                ("resourceVersionMatch=NotOlderThan", 422, "forbidden unless resourceVersion is provided"),
                (f"resourceVersion={self.then}&resourceVersionMatch=Other", 422, 'supported values: "Exact"'),
                ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
                (f"resourceVersion={future}", 504, "Too large resource version"),
                (f"resourceVersion={future}&resourceVersionMatch=NotOlderThan", 504, "Too large resource version"),
                ("resourceVersion=-1", 400, "invalid syntax"),
                ("resourceVersion=1x", 400, "invalid syntax")):
            with self.subTest(query):
                answer = self.client.get(f"{self.maps}?{query}")
                self.assertEqual(answer.code, code, answer)
                if code == 200:
                    self.assertEqual("".join(item["metadata"]["name"] for item in answer.json["items"]), names)
                    exact = names == "a"
                    self.assertEqual(answer.json["metadata"]["resourceVersion"] == self.then, exact)
                else:
                    self.assertIn(names, answer.json["message"])

    def test_too_large_has_a_cause(self):
        answer = self.client.get(f"{self.maps}?resourceVersion={int(self.then) + 100000}")
        self.assertEqual(answer.json["reason"], "Timeout")
        self.assertEqual(answer.json["details"]["causes"], [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}])
        self.assertEqual(answer.json["details"]["retryAfterSeconds"], 1)
