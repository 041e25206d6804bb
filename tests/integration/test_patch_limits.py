# SPDX-License-Identifier: Apache-2.0
"""How much a patch and a body may hold, and the directives of strategic merge."""

import unittest

from harness import config_map, new_namespace, pod, shared


class PatchLimits(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.pods = f"/api/v1/namespaces/{self.ns}/pods"

    def patch(self, path, body, kind="strategic-merge-patch+json", code=200):
        answer = self.client.patch(path, body, kind)
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def test_operations_of_a_json_patch(self):
        self.client.post(self.maps, config_map("a", {"k": "0"}))
        one = {"op": "replace", "path": "/data/k", "value": "1"}
        self.assertEqual(self.patch(self.maps + "/a", [one] * 10000, "json-patch+json")["data"], {"k": "1"})
        refused = self.patch(self.maps + "/a", [one] * 10001, "json-patch+json", 413)
        self.assertIn("The allowed maximum operations in a JSON patch is 10000, got 10001", refused["message"])

    def test_bodies_that_are_too_large(self):
        huge = config_map("b", {"k": "x" * (3 << 20)})
        refused = self.client.post(self.maps, huge)
        self.assertEqual((refused.code, refused.json["reason"]), (413, "RequestEntityTooLarge"))

    def test_directives(self):
        body = pod("p", tolerations=[{"key": "a", "operator": "Exists"}],
                   volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}])
        body["metadata"].update(labels={"a": "1", "b": "2"}, finalizers=["example.com/a", "example.com/b"])
        template = {"metadata": {"name": "t"}, "template": {"metadata": body["metadata"], "spec": body["spec"]}}
        del template["template"]["metadata"]["name"]
        path = f"/api/v1/namespaces/{self.ns}/podtemplates"
        self.assertEqual(self.client.post(path, template).code, 201)
        path += "/t"
        done = self.patch(path, {"template": {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}})
        self.assertEqual(done["template"]["metadata"]["labels"], {"c": "3"})
        done = self.patch(path, {"template": {"spec": {"volumes": [{"name": "v", "$patch": "delete"}]}}})
        self.assertEqual([volume["name"] for volume in done["template"]["spec"]["volumes"]], ["w"])
        done = self.patch(path, {"template": {"spec": {"volumes": [
            {"name": "w", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}}})
        self.assertNotIn("emptyDir", done["template"]["spec"]["volumes"][0])
        done = self.patch(path, {"template": {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}})
        self.assertEqual(done["template"]["metadata"]["finalizers"], ["example.com/b"])
        done = self.patch(path, {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
            "containers": [{"name": "d", "image": "busybox:1"}]}}})
        self.assertEqual([c["name"] for c in done["template"]["spec"]["containers"]], ["d", "c"])


if __name__ == "__main__":
    unittest.main()
