# SPDX-License-Identifier: Apache-2.0
"""Bodies, selectors and paths that nobody means well: a clear 4xx each, and little memory."""

import json
import re
import unittest

import clients
from harness import config_map, pod

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
MAP = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bomb"},%s}'
DEPLOYMENT = ('{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"bomb"},"spec":{"replicas":%s,"selector":'
              '{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":'
              '[{"name":"c","image":"x"}]}}}}')


class Bombs(unittest.TestCase):
    def setUp(self):
        self.server = clients.cluster().server
        self.client = self.server.client
        self.ns = clients.new_namespace()
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.before = self.resident()

    def tearDown(self):
        self.assertIsNone(self.server.popen.poll())
        self.assertEqual(self.client.get("/readyz").code, 200)
        # Freed memory may stay with the process for a while; a bomb that went off takes gigabytes.
        self.assertLess(self.resident() - self.before, 200 << 20)

    def resident(self):
        with open(f"/proc/{self.server.popen.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) << 10

    def refused(self, body, *codes, path=None, kind="application/json", method="POST"):
        answer = self.client.request(method, path or self.maps, body, content_type=kind)
        self.assertIn(answer.code, codes or (400, 422), answer)
        self.assertEqual(answer.json["kind"], "Status")
        self.assertTrue(answer.json["message"])
        return answer.json

    def test_bodies_over_three_mebibytes(self):
        for size in ((3 << 20) + 1, 16 << 20):
            self.refused(MAP % ('"data":{"k":"' + "x" * size + '"}'), 413)
        self.refused(json.dumps(config_map("c", {"k": "x" * ((1 << 20) + 1)})), 422)
        body = pod("big")  # fits into a request and not into etcd
        for size in (1700 << 10, 2 << 20):
            body["spec"]["containers"][0]["args"] = ["x" * size]
            self.refused(json.dumps(body), 413, path=f"/api/v1/namespaces/{self.ns}/pods")

    def test_nesting(self):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            for depth in (2000, 100000):
                self.refused(MAP % ('"data":' + opening * depth + "1" + closing * depth))
        self.refused("a: " + "[" * 50000 + "]" * 50000, kind="application/yaml")
        self.refused("{a: " * 20000, kind="application/yaml")

    def test_a_billion_laughs(self):
        self.refused("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n" + LAUGHS, 400, kind="application/yaml")
        self.refused("a: &a [*a]\n", 400, kind="application/yaml")

    def test_selectors(self):
        wide = "a%20in%20(" + ",".join(f"v{i}" for i in range(4000)) + ")"
        answer = self.client.get(f"{self.maps}?labelSelector={wide}")
        self.assertIn(answer.code, (200, 400, 414, 431), answer)
        self.assertIn(self.client.get(f"{self.maps}?labelSelector=" + "(" * 4000).code, (400, 414, 431))
        self.assertIn(self.client.get(f"{self.maps}?fieldSelector=" + "a%3Db," * 1000 + "c%3Dd").code, (400, 414, 431))
        # Longer than any head may be.
        self.assertIn(self.client.get(f"{self.maps}?labelSelector=" + "x" * (4 << 20)).code, (0, 400, 414, 431))

    def test_ten_thousand_labels(self):
        labels = {f"key-{i}": f"value-{i}" for i in range(10000)}
        answer = self.client.post(self.maps, config_map("labels", labels=labels))
        self.assertEqual(answer.code, 201, answer)
        found = self.client.get(self.maps + "?labelSelector=key-9999%3Dvalue-9999").json["items"]
        self.assertEqual([item["metadata"]["name"] for item in found], ["labels"])
        self.refused(json.dumps(config_map("keys", labels={f"bad key {i}": "x" for i in range(10000)})), 422)

    def test_numbers(self):
        path = f"/apis/apps/v1/namespaces/{self.ns}/deployments"
        for number in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 400, "1.5", "99999999999999999999", "0x10", "+1",
                       "01", "2147483648"):
            with self.subTest(number):
                self.refused(DEPLOYMENT % number, path=path)
        for quantity in ("1e400", "NaN", "9" * 5000, "1Zi", "--1"):
            with self.subTest(quantity[:20]):
                answer = self.client.post(f"/api/v1/namespaces/{self.ns}/resourcequotas", {
                    "metadata": {"name": "q" + str(len(quantity))}, "spec": {"hard": {"cpu": quantity}}})
                self.assertIn(answer.code, (201, 400, 422), answer)  # big ones are cut to the greatest there is

    def test_invalid_text(self):
        for bad in (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"):
            with self.subTest(bad):
                body = (MAP % '"data":{"k":"@"}').encode().replace(b"@", bad)
                answer = self.client.post(self.maps + "?dryRun=All", body)
                self.assertIn(answer.code, (201, 400), answer)
                answer.body.decode("utf-8")  # never handed on as it came
        for body in (b"", b"\x00", b"\x80" * 100, b"k8s\x00" + b"\xff" * 100):
            self.refused(body, 400, 415)
        self.refused(b"k8s\x00" + b"\xff" * 100, 400, kind="application/vnd.kubernetes.protobuf")
        self.refused(b"not protobuf", 400, kind="application/vnd.kubernetes.protobuf")

    def test_paths(self):
        secret = f"/api/v1/namespaces/{self.ns}/secrets"
        self.client.post(secret, {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
        for path in ("/api/v1/namespaces/x/../../../etc/passwd", "/api/v1/namespaces/..%2f..%2fsecrets/s",
                     self.maps + "/..%2fsecrets%2fs", self.maps + "/%2e%2e/secrets/s/x", self.maps + "/%00", self.maps + "/%zz",
                     self.maps + "/a%2Fb", "//api//v1/nones", "/api/v1/" + "a/" * 3000, "/%", "/api/v1/namespaces/%ff"):
            with self.subTest(path[:80]):
                answer = self.client.get(path)
                self.assertIn(answer.code, (301, 307, 400, 403, 404, 414), answer)
                self.assertNotIn(b"stringData", answer.body)

    def test_patches(self):
        self.client.post(self.maps, config_map("c", {"k": "v"}))
        path = self.maps + "/c"
        many = [{"op": "add", "path": "/data/k", "value": "x"}] * 10001
        text = self.refused(json.dumps(many), 413, path=path, kind="application/json-patch+json", method="PATCH")["message"]
        self.assertIn("10000", text)
        doubling = [{"op": "copy", "from": "/data", "path": f"/data/k{i}"} for i in range(40)]
        self.refused(json.dumps(doubling), 400, 413, 422, path=path, kind="application/json-patch+json", method="PATCH")
        self.refused('{"data":' * 50000, 400, path=path, kind="application/merge-patch+json", method="PATCH")
        self.refused(LAUGHS, 400, path=path + "?fieldManager=m", kind="application/apply-patch+yaml", method="PATCH")
