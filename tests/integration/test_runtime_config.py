# SPDX-License-Identifier: Apache-2.0
"""API versions that are off until --runtime-config and --feature-gates switch them on."""

import os
import subprocess
import unittest

import harness

EVERYTHING = ("--runtime-config=api/all=true", "--feature-gates=AllAlpha=true,AllBeta=true")
NEW = ["admissionregistration.k8s.io/v1alpha1", "admissionregistration.k8s.io/v1beta1", "certificates.k8s.io/v1alpha1",
       "certificates.k8s.io/v1beta1", "coordination.k8s.io/v1alpha2", "coordination.k8s.io/v1beta1",
       "internal.apiserver.k8s.io/v1alpha1", "networking.k8s.io/v1beta1", "resource.k8s.io/v1alpha3",
       "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2", "storage.k8s.io/v1alpha1", "storage.k8s.io/v1beta1",
       "storagemigration.k8s.io/v1alpha1"]

_cluster = None


def cluster():
    global _cluster
    if _cluster is None:
        _cluster = harness.Cluster(*EVERYTHING)
    return _cluster


class Off(unittest.TestCase):
    def test_nothing_of_them_is_served(self):
        client = harness.shared().server.client
        served = {version["groupVersion"] for group in client.get("/apis").json["groups"]
                  for version in group["versions"]}
        self.assertEqual(served & set(NEW), set())
        for name in NEW:
            self.assertEqual(client.get(f"/apis/{name}").code, 404, name)
        self.assertEqual(client.get("/apis/storage.k8s.io/v1beta1/volumeattributesclasses").code, 404)
        self.assertEqual(client.get("/openapi/v3/apis/storage.k8s.io/v1beta1").code, 404)

    def test_a_wrong_word_is_refused_at_the_start(self):
        program = os.path.join(harness.BUILD, "bin", "kube-apiserver")
        certificate, key = harness.shared().pki.files("admin")
        done = subprocess.run([program, "--runtime-config=apps/v7=true", "--etcd-servers=http://127.0.0.1:1",
                               f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}"],
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("unknown api groups or versions in --runtime-config: apps/v7=true", done.stderr)


class On(unittest.TestCase):
    def setUp(self):
        self.client = cluster().server.client

    def create(self, path, body):
        answer = self.client.post(path, body)
        self.assertEqual(answer.code, 201, answer)
        return answer.json

    def test_they_are_discovered_and_documented(self):
        served = {version["groupVersion"] for group in self.client.get("/apis").json["groups"]
                  for version in group["versions"]}
        self.assertEqual(set(NEW) - served, set())
        documents = self.client.get("/openapi/v3").json["paths"]
        for name in NEW:
            resources = self.client.get(f"/apis/{name}").json["resources"]
            self.assertTrue(resources, name)
            self.assertIn(f"apis/{name}", documents)
            for resource in resources:
                if "/" not in resource["name"]:
                    self.assertEqual(self.client.get(f"/apis/{name}/{resource['name']}").code, 200, resource)

    def test_two_versions_are_one_object(self):
        new, old = "/apis/storage.k8s.io/v1beta1/volumeattributesclasses", "/apis/storage.k8s.io/v1alpha1/volumeattributesclasses"
        made = self.create(old, {"metadata": {"name": "fast"}, "driverName": "csi.example.com", "parameters": {"iops": "9"}})
        self.assertEqual(made["apiVersion"], "storage.k8s.io/v1alpha1")
        read = self.client.get(f"{new}/fast").json
        self.assertEqual((read["apiVersion"], read["metadata"]["uid"], read["parameters"]),
                         ("storage.k8s.io/v1beta1", made["metadata"]["uid"], {"iops": "9"}))
        self.assertEqual([one["metadata"]["name"] for one in self.client.get(new).json["items"]], ["fast"])
        table = self.client.get(new, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json
        self.assertEqual(table["rows"][0]["cells"][:2], ["fast", "csi.example.com"])
        self.assertEqual(self.client.delete(f"{old}/fast").code, 200)
        self.assertEqual(self.client.get(f"{new}/fast").code, 404)

    def test_a_policy_written_as_beta_is_read_as_stable(self):
        path = "/apis/admissionregistration.k8s.io/{}/validatingadmissionpolicies"
        self.create(path.format("v1beta1"), {
            "metadata": {"name": "p.example.com"},
            "spec": {"validations": [{"expression": "true"}], "matchConstraints": {"resourceRules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}]}}})
        read = self.client.get(path.format("v1") + "/p.example.com").json
        self.assertEqual(read["apiVersion"], "admissionregistration.k8s.io/v1")
        self.assertEqual(read["spec"]["matchConstraints"]["resourceRules"][0]["resources"], ["deployments"])
        self.assertEqual(read["spec"]["failurePolicy"], "Fail")

    def test_claims_of_devices_in_all_their_forms(self):
        ns = harness.new_namespace(self.client)
        path = "/apis/resource.k8s.io/{}/namespaces/" + ns + "/resourceclaims"
        self.create(path.format("v1beta1"), {"metadata": {"name": "c"}, "spec": {"devices": {"requests": [
            {"name": "gpu", "deviceClassName": "gpu.example.com"}]}}})
        new = self.client.get(path.format("v1beta2") + "/c").json["spec"]["devices"]["requests"][0]
        self.assertEqual(new["exactly"]["deviceClassName"], "gpu.example.com")
        self.assertNotIn("deviceClassName", new)
        self.assertEqual((new["exactly"]["allocationMode"], new["exactly"]["count"]), ("ExactCount", 1))
        old = self.client.get(path.format("v1alpha3") + "/c").json["spec"]["devices"]["requests"][0]
        self.assertEqual(old["deviceClassName"], "gpu.example.com")
        self.assertNotIn("exactly", old)

    def test_slices_of_devices_in_all_their_forms(self):
        path = "/apis/resource.k8s.io/{}/resourceslices"
        self.create(path.format("v1alpha3"), {"metadata": {"name": "s"}, "spec": {
            "driver": "gpu.example.com", "nodeName": "n", "pool": {"name": "n", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "gpu-0", "basic": {"attributes": {"model": {"string": "x"}}, "capacity": {"memory": "4Gi"}}}]}})
        new = self.client.get(path.format("v1beta2") + "/s").json["spec"]["devices"][0]
        self.assertEqual(new, {"name": "gpu-0", "attributes": {"model": {"string": "x"}},
                               "capacity": {"memory": {"value": "4Gi"}}})
        middle = self.client.get(path.format("v1beta1") + "/s").json["spec"]["devices"][0]
        self.assertEqual(middle["basic"]["capacity"], {"memory": {"value": "4Gi"}})

    def test_a_watch_of_one_version_sees_writes_of_another(self):
        path = "/apis/networking.k8s.io/{}/ipaddresses"
        body = {"metadata": {"name": "198.18.77.1"}, "spec": {"parentRef": {"resource": "services", "name": "x",
                                                                             "namespace": "default"}}}
        with self.client.watch(path.format("v1beta1") + "?watch=1&fieldSelector=metadata.name%3D198.18.77.1") as watch:
            self.create(path.format("v1"), body)
            event = watch.next()
        self.assertEqual((event["type"], event["object"]["apiVersion"]), ("ADDED", "networking.k8s.io/v1beta1"))


class Documents(unittest.TestCase):
    """OpenAPI as caches of clients use it."""

    def setUp(self):
        self.client = harness.shared().server.client

    def test_a_url_with_its_hash_never_changes(self):
        url = self.client.get("/openapi/v3").json["paths"]["apis/apps/v1"]["serverRelativeURL"]
        answer = self.client.get(url)
        self.assertEqual((answer.code, answer.headers.get_all("cache-control")), (200, ["public, immutable"]))
        self.assertTrue(answer.header("expires"))
        moved = self.client.get("/openapi/v3/apis/apps/v1?hash=0123456789ABCDEF")
        self.assertEqual((moved.code, moved.header("location")), (301, url))
        self.assertEqual(self.client.get(url, headers={"If-None-Match": answer.header("etag")}).code, 304)
        plain = self.client.get("/openapi/v3/apis/apps/v1")
        self.assertEqual((plain.body, plain.header("cache-control")), (answer.body, "no-cache, private"))

    def test_every_document_of_the_index_is_there(self):
        for name, entry in self.client.get("/openapi/v3").json["paths"].items():
            answer = self.client.get(entry["serverRelativeURL"])
            self.assertEqual(answer.code, 200, name)
            self.assertTrue(answer.json["paths"], name)

    def test_version_2_in_both_forms(self):
        for accept in ("application/json", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"):
            answer = self.client.get("/openapi/v2", headers={"Accept": accept})
            self.assertEqual((answer.code, answer.header("vary")), (200, "Accept"))
            again = self.client.get("/openapi/v2", headers={"Accept": accept, "If-None-Match": answer.header("etag")})
            self.assertEqual((again.code, again.body), (304, b""))

    def test_columns_say_what_they_show(self):
        accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        for path in ("/api/v1/pods", "/apis/apps/v1/deployments", "/apis/rbac.authorization.k8s.io/v1/roles"):
            columns = self.client.get(path, headers=accept).json["columnDefinitions"]
            self.assertEqual([one["name"] for one in columns if not one["description"]], [], path)
