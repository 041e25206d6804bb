# SPDX-License-Identifier: Apache-2.0
"""Lists: versions, selectors, chunks, and the shapes of answers."""

import gzip
import json
import unittest

from harness import config_map, new_namespace, pod, shared

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


class Lists(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.pods = f"/api/v1/namespaces/{self.ns}/pods"

    def make_maps(self, count):
        for i in range(count):
            answer = self.client.post(self.maps, config_map(f"m{i:03}", labels={"n": str(i), "even": str(i % 2 == 0)}))
            self.assertEqual(answer.code, 201, answer)

    def names(self, path, **kwargs):
        answer = self.client.get(path, **kwargs)
        self.assertEqual(answer.code, 200, answer)
        return [item["metadata"]["name"] for item in answer.json["items"]]

    def test_list_is_ordered_and_complete(self):
        self.make_maps(7)
        answer = self.client.get(self.maps)
        self.assertEqual(answer.json["kind"], "ConfigMapList")
        self.assertEqual(answer.json["apiVersion"], "v1")
        self.assertEqual(self.names(self.maps), [f"m{i:03}" for i in range(7)])
        self.assertEqual(int(answer.header("Content-Length")), len(answer.body))
        everywhere = self.client.get("/api/v1/configmaps").json["items"]
        self.assertEqual(len([item for item in everywhere if item["metadata"]["namespace"] == self.ns]), 7)

    def test_empty_list(self):
        answer = self.client.get(self.maps).json
        self.assertEqual(answer["items"], [])
        self.assertGreater(int(answer["metadata"]["resourceVersion"]), 0)

    def test_a_list_sees_every_write_before_it(self):
        for i in range(30):
            self.client.post(self.maps, config_map(f"m{i}"))
            self.assertEqual(len(self.client.get(self.maps).json["items"]), i + 1)

    def test_label_selectors(self):
        self.make_maps(6)
        self.assertEqual(self.names(self.maps + "?labelSelector=even%3DTrue"), ["m000", "m002", "m004"])
        self.assertEqual(self.names(self.maps + "?labelSelector=n+in+(1,3),even"), ["m001", "m003"])
        self.assertEqual(self.names(self.maps + "?labelSelector=!even"), [])
        self.assertEqual(self.client.get(self.maps + "?labelSelector=a%3D%3D%3Db").code, 400)

    def test_field_selectors(self):
        self.make_maps(3)
        self.assertEqual(self.names(self.maps + "?fieldSelector=metadata.name%3Dm001"), ["m001"])
        self.assertEqual(self.names(self.maps + "?fieldSelector=metadata.name!%3Dm001"), ["m000", "m002"])
        answer = self.client.get(self.maps + "?fieldSelector=data%3Dx")
        self.assertEqual(answer.code, 400)
        self.assertEqual(answer.json["message"], '"data" is not a known field selector: only "metadata.name", '
                                                 '"metadata.namespace"')
        self.assertEqual(self.client.get(self.pods + "?fieldSelector=spec.nope%3Dx").json["message"],
                         "field label not supported: spec.nope")
        for name, node in (("a", "n1"), ("b", "n2"), ("c", None)):
            self.client.post(self.pods, pod(name, **({"nodeName": node} if node else {})))
        self.assertEqual(self.names(self.pods + "?fieldSelector=spec.nodeName%3Dn1"), ["a"])
        self.assertEqual(self.names(self.pods + "?fieldSelector=spec.nodeName%3D"), ["c"])
        self.assertEqual(self.names(self.pods + "?fieldSelector=spec.nodeName!%3Dn1,status.phase%3DPending"), ["b", "c"])

    def test_chunks(self):
        self.make_maps(10)
        seen, token, versions = [], "", set()
        for remaining in (7, 4, 1, None):
            answer = self.client.get(f"{self.maps}?limit=3" + (f"&continue={token}" if token else ""))
            self.assertEqual(answer.code, 200, answer)
            metadata = answer.json["metadata"]
            versions.add(metadata["resourceVersion"])
            seen += [item["metadata"]["name"] for item in answer.json["items"]]
            self.assertEqual(metadata.get("remainingItemCount"), remaining)
            token = metadata.get("continue", "")
            # What comes later doesn't show up in the chunks that follow.
            self.client.post(self.maps, config_map(f"z{len(seen)}"))
        self.assertEqual(token, "")
        self.assertEqual(seen, [f"m{i:03}" for i in range(10)])
        self.assertEqual(len(versions), 1)

    def test_chunks_with_a_selector_are_full(self):
        self.make_maps(11)
        first = self.client.get(self.maps + "?limit=4&labelSelector=even%3DTrue").json
        self.assertEqual([item["metadata"]["name"] for item in first["items"]], ["m000", "m002", "m004", "m006"])
        self.assertNotIn("remainingItemCount", first["metadata"])
        rest = self.client.get(self.maps + "?limit=4&labelSelector=even%3DTrue&continue="
                               + first["metadata"]["continue"]).json
        self.assertEqual([item["metadata"]["name"] for item in rest["items"]], ["m008", "m010"])
        self.assertNotIn("continue", rest["metadata"])

    def test_bad_tokens(self):
        for token in ("nonsense", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi94In0"):
            self.assertEqual(self.client.get(f"{self.maps}?limit=1&continue={token}").code, 400, token)

    def test_versions(self):
        self.make_maps(2)
        version = self.client.get(self.maps).json["metadata"]["resourceVersion"]
        self.make_one_more = self.client.post(self.maps, config_map("later"))
        self.assertEqual(len(self.names(f"{self.maps}?resourceVersion=0")), 3)
        self.assertEqual(len(self.names(f"{self.maps}?resourceVersion={version}&resourceVersionMatch=Exact")), 2)
        self.assertEqual(len(self.names(f"{self.maps}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")), 3)
        answer = self.client.get(f"{self.maps}?resourceVersionMatch=Exact")
        self.assertEqual(answer.code, 422)
        self.assertIn("resourceVersionMatch is forbidden unless resourceVersion is provided", answer.json["message"])
        self.assertEqual(self.client.get(f"{self.maps}?resourceVersion=abc").code, 400)
        answer = self.client.get(f"{self.maps}/m000?resourceVersion=999999999")
        self.assertEqual(answer.code, 504)
        self.assertEqual(answer.json["details"]["causes"][0]["reason"], "ResourceVersionTooLarge")

    def test_table(self):
        self.client.post(self.pods, pod("a"))
        table = self.client.get(self.pods, headers={"Accept": TABLE}).json
        self.assertEqual((table["kind"], table["apiVersion"]), ("Table", "meta.k8s.io/v1"))
        self.assertEqual([column["name"] for column in table["columnDefinitions"]][:5],
                         ["Name", "Ready", "Status", "Restarts", "Age"])
        row = table["rows"][0]
        self.assertEqual(row["cells"][:3], ["a", "0/1", "Pending"])
        self.assertEqual(len(row["cells"]), len(table["columnDefinitions"]))
        self.assertEqual(row["object"]["kind"], "PartialObjectMetadata")
        self.assertEqual(row["object"]["metadata"]["name"], "a")
        self.assertNotIn("spec", row["object"])
        whole = self.client.get(self.pods + "?includeObject=Object", headers={"Accept": TABLE}).json
        self.assertEqual(whole["rows"][0]["object"]["spec"]["containers"][0]["name"], "c")
        none = self.client.get(self.pods + "?includeObject=None", headers={"Accept": TABLE}).json
        self.assertIsNone(none["rows"][0]["object"])
        one = self.client.get(self.pods + "/a", headers={"Accept": TABLE}).json
        self.assertEqual(len(one["rows"]), 1)
        self.assertEqual(one["metadata"]["resourceVersion"],
                         self.client.get(self.pods + "/a").json["metadata"]["resourceVersion"])

    def test_long_table_with_limit(self):
        self.make_maps(40)
        table = self.client.get(self.maps + "?limit=25", headers={"Accept": TABLE}).json
        self.assertEqual([row["cells"][0] for row in table["rows"]], [f"m{i:03}" for i in range(25)])
        self.assertEqual(table["metadata"]["remainingItemCount"], 15)
        self.assertTrue(table["metadata"]["continue"])

    def test_metadata_only(self):
        self.make_maps(2)
        listed = self.client.get(self.maps, headers={"Accept": PARTIAL_LIST}).json
        self.assertEqual((listed["kind"], listed["apiVersion"]), ("PartialObjectMetadataList", "meta.k8s.io/v1"))
        self.assertEqual(listed["items"][1]["metadata"]["labels"]["n"], "1")
        self.assertNotIn("data", listed["items"][1])
        one = self.client.get(self.maps + "/m000", headers={"Accept": PARTIAL}).json
        self.assertEqual(sorted(one), ["apiVersion", "kind", "metadata"])

    def test_negotiation(self):
        self.make_maps(1)
        path = self.maps + "/m000"
        both = self.client.get(path, headers={"Accept": "application/vnd.kubernetes.protobuf,application/json"})
        self.assertEqual(both.header("Content-Type"), "application/vnd.kubernetes.protobuf")
        refused = self.client.get(path, headers={"Accept": "application/xml"})
        self.assertEqual(refused.code, 406)
        self.assertEqual(refused.json["reason"], "NotAcceptable")
        pretty = self.client.get(path + "?pretty=true").body
        self.assertIn(b'\n    "kind": "ConfigMap"', pretty)
        self.assertEqual(json.loads(pretty), self.client.get(path).json)
        listed = self.client.get(self.maps, headers={"Accept": "application/yaml"})
        self.assertIn(b"kind: ConfigMapList", listed.body)

    def test_gzip(self):
        """Long answers are compressed for clients that take it, short ones never."""
        self.make_maps(1)
        for i in range(6):
            self.client.post(self.maps, config_map(f"big{i}", {"k": f"{i}" * 60000}))
        plain = self.client.get(self.maps)
        self.assertIsNone(plain.header("Content-Encoding"))
        for accept in ({}, {"Accept": TABLE}, {"Accept": "application/vnd.kubernetes.protobuf"}, {"Accept": "application/yaml"}):
            whole = "?includeObject=Object" if accept.get("Accept") == TABLE else ""
            short = self.client.get(f"{self.maps}/m000{whole}", headers={"Accept-Encoding": "gzip", **accept})
            self.assertIsNone(short.header("Content-Encoding"))
            expected = self.client.get(self.maps + whole, headers=accept)
            self.assertIsNone(expected.header("Content-Encoding"))
            packed = self.client.get(self.maps + whole, headers={"Accept-Encoding": "deflate, gzip", **accept})
            self.assertEqual((packed.header("Content-Encoding"), packed.header("Vary")), ("gzip", "Accept-Encoding"))
            self.assertEqual(packed.header("Content-Type"), expected.header("Content-Type"))
            self.assertLess(len(packed.body), len(expected.body) // 20)
            self.assertEqual(gzip.decompress(packed.body), expected.body)
        refused = self.client.get(self.maps, headers={"Accept-Encoding": "gzip;q=0"})
        self.assertEqual(refused.body, plain.body)

    def test_gzip_for_a_client_that_leaves(self):
        for i in range(40):
            self.client.post(self.maps, config_map(f"big{i}", {"k": json.dumps([i * j * 7919 for j in range(20000)])}))
        for _ in range(5):
            connection = self.client.connect()
            connection.request("GET", self.maps, headers={"Accept-Encoding": "gzip"})
            connection.getresponse().read(1000)
            connection.close()
        packed = self.client.get(self.maps, headers={"Accept-Encoding": "gzip"})
        self.assertEqual(len(json.loads(gzip.decompress(packed.body))["items"]), 40)
