# SPDX-License-Identifier: Apache-2.0
"""Every verb on every resource of discovery, with a valid object of each kind."""

import copy
import json
import os
import sys
import unittest

from harness import Cluster, await_true, new_namespace

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "compat"))
import samples  # noqa: E402

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"

_device_class = {"metadata": {"name": "sample.example.com"}, "spec": {}}
_rules = {"resourceRules": [{"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "resources": ["nones"],
                             "operations": ["CREATE"]}]}

# Kinds of which samples.py has none, because they aren't served by default; by group and resource, and where
# the versions differ by the version too.
MORE = {
    ("storage.k8s.io", "volumeattributesclasses"): {"driverName": "sample.example.com", "parameters": {"a": "b"}},
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): {"spec": {
        "matchConstraints": _rules, "reinvocationPolicy": "Never", "mutations": [{
            "patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}]}},
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): {"spec": {"policyName": "sample"}},
    ("coordination.k8s.io", "leasecandidates"): {"spec": {
        "leaseName": "sample", "binaryVersion": "1.33.0", "emulationVersion": "1.33.0", "strategy": "OldestEmulationVersion"}},
    ("certificates.k8s.io", "clustertrustbundles"): {"spec": {"trustBundle": "$CERTIFICATE"}},
    ("resource.k8s.io", "deviceclasses"): _device_class,
    ("resource.k8s.io", "resourceclaims"): {"spec": {"devices": {"requests": [
        {"name": "r", "deviceClassName": "sample.example.com"}]}}},
    ("resource.k8s.io", "resourceclaims", "v1beta2"): {"spec": {"devices": {"requests": [
        {"name": "r", "exactly": {"deviceClassName": "sample.example.com"}}]}}},
    ("resource.k8s.io", "resourceclaimtemplates"): {"spec": {"spec": {"devices": {"requests": [
        {"name": "r", "deviceClassName": "sample.example.com"}]}}}},
    ("resource.k8s.io", "resourceclaimtemplates", "v1beta2"): {"spec": {"spec": {"devices": {"requests": [
        {"name": "r", "exactly": {"deviceClassName": "sample.example.com"}}]}}}},
    ("resource.k8s.io", "resourceslices"): {"spec": {
        "driver": "sample.example.com", "nodeName": "n", "pool": {"name": "n", "generation": 1, "resourceSliceCount": 1}}},
    ("resource.k8s.io", "devicetaintrules"): {"spec": {"taint": {"key": "k", "effect": "NoSchedule"}}},
    ("internal.apiserver.k8s.io", "storageversions"): {"metadata": {"name": "sample.example.com.samples"}, "spec": {}},
    ("storagemigration.k8s.io", "storageversionmigrations"): {"spec": {"resource": {
        "group": "apps", "version": "v1", "resource": "deployments"}}},
}


class Resource:
    def __init__(self, group, version, entry, names):
        self.group, self.version, self.name = group, version, entry["name"]
        self.kind, self.namespaced, self.verbs = entry["kind"], entry["namespaced"], set(entry["verbs"])
        self.api_version = f"{group}/{version}" if group else version
        self.prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        self.has_status = self.name + "/status" in names

    def path(self, namespace):
        return self.prefix + (f"/namespaces/{namespace}" if self.namespaced else "") + "/" + self.name

    def __str__(self):
        return f"{self.api_version} {self.name}"


def discover(client):
    groups = [("", "v1")]
    for group in client.get("/apis").json["groups"]:
        groups += [(group["name"], version["version"]) for version in group["versions"]]
    for group, version in groups:
        entries = client.get(f"/apis/{group}/{version}" if group else f"/api/{version}").json["resources"]
        names = {entry["name"] for entry in entries}
        for entry in entries:
            if "/" not in entry["name"]:
                yield Resource(group, version, entry, names)


class Walk(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster("--runtime-config=api/all=true")
        cls.client = cls.cluster.server.client
        cls.ns = new_namespace(cls.client)
        with open(cls.cluster.pki.ca) as file:
            certificate = file.read()
        cls.bodies = {}
        for resource, _, body in samples.all_samples(samples.signing_request()):
            group, _, version = body["apiVersion"].rpartition("/")
            key = (group, resource.split(".")[0])
            if key in cls.bodies:
                key += (version,)
            cls.bodies[key] = body
        for key, body in MORE.items():
            cls.bodies[key] = json.loads(json.dumps(body).replace("$CERTIFICATE", json.dumps(certificate)[1:-1]))

    def sample(self, resource):
        body = self.bodies.get((resource.group, resource.name, resource.version)) or \
            self.bodies.get((resource.group, resource.name))
        self.assertIsNotNone(body, f"no sample of {resource}")
        body = json.loads(json.dumps(body).replace("$NAMESPACE", self.ns))
        body.update(apiVersion=resource.api_version, kind=resource.kind)
        metadata = body.setdefault("metadata", {})
        metadata.setdefault("name", "sample")
        metadata.setdefault("labels", {})["walk"] = "yes"
        return body

    def ask(self, method, path, body=None, code=200, **kwargs):
        answer = self.client.request(method, path, body, **kwargs)
        self.assertEqual(answer.code, code, f"{method} {path}: {answer}")
        return answer

    # --- the verbs, in the order of an object's life ------------------------------------

    def create(self, resource, body):
        collection = resource.path(self.ns)
        dry = self.ask("POST", collection + "?dryRun=All", body, 201).json
        self.assertEqual(dry["kind"], resource.kind)
        self.ask("GET", f"{collection}/{body['metadata']['name']}", code=404)
        made = self.ask("POST", collection, body, 201).json
        self.assertEqual((made["apiVersion"], made["kind"]), (resource.api_version, resource.kind))
        for member in ("uid", "resourceVersion", "creationTimestamp"):
            self.assertTrue(made["metadata"][member])
        again = self.ask("POST", collection, body, 409).json
        self.assertEqual(again["reason"], "AlreadyExists")
        return made

    def read(self, resource, made, path):
        got = self.ask("GET", path).json
        self.assertEqual(got["metadata"]["uid"], made["metadata"]["uid"])
        table = self.ask("GET", path, headers={"Accept": TABLE}).json
        self.assertEqual((table["kind"], len(table["rows"])), ("Table", 1))
        spare = resource.kind == "IPAddress"  # upstream's row has an age that no column shows
        self.assertEqual(len(table["rows"][0]["cells"]), len(table["columnDefinitions"]) + spare)
        partial = self.ask("GET", path, headers={"Accept": PARTIAL}).json
        self.assertEqual((partial["kind"], set(partial)), ("PartialObjectMetadata", {"kind", "apiVersion", "metadata"}))
        binary = self.ask("GET", path, headers={"Accept": PROTOBUF})
        self.assertTrue(binary.body.startswith(b"k8s\0"), resource)

    def list(self, resource, made):
        collection = resource.path(self.ns) + "?labelSelector=walk%3Dyes"
        found = self.ask("GET", collection).json
        self.assertEqual(found["kind"], resource.kind + "List")
        self.assertIn(made["metadata"]["uid"], [item["metadata"]["uid"] for item in found["items"]])
        name = made["metadata"]["name"]
        one = self.ask("GET", resource.path(self.ns) + f"?fieldSelector=metadata.name%3D{name}").json
        self.assertEqual([item["metadata"]["name"] for item in one["items"]], [name])
        self.assertEqual(self.ask("GET", collection, headers={"Accept": TABLE}).json["kind"], "Table")
        self.assertEqual(self.ask("GET", collection, headers={"Accept": PARTIAL_LIST}).json["kind"],
                         "PartialObjectMetadataList")
        self.ask("GET", collection, headers={"Accept": "application/xml"}, code=406)
        if resource.namespaced:
            everywhere = self.ask("GET", f"{resource.prefix}/{resource.name}?labelSelector=walk%3Dyes").json
            self.assertTrue(everywhere["items"])

    def watch(self, resource, made):
        with self.client.watch(resource.path(self.ns) + "?watch=1&resourceVersion=0&labelSelector=walk%3Dyes") as watch:
            event = watch.next()
        self.assertEqual((event["type"], event["object"]["kind"]), ("ADDED", resource.kind))
        self.assertEqual(event["object"]["metadata"]["name"], made["metadata"]["name"])

    def update(self, resource, path):
        body = self.ask("GET", path).json
        same = self.ask("PUT", path, body).json
        self.assertEqual(same["metadata"]["resourceVersion"], body["metadata"]["resourceVersion"], "a write of nothing")
        stale = copy.deepcopy(body)
        body["metadata"].setdefault("annotations", {})["put"] = "1"
        self.ask("PUT", path + "?dryRun=All", body)
        done = self.ask("PUT", path, body).json
        self.assertEqual(done["metadata"]["annotations"]["put"], "1")
        stale["metadata"].setdefault("annotations", {})["put"] = "2"
        self.assertEqual(self.ask("PUT", path, stale, 409).json["reason"], "Conflict")
        wrong = copy.deepcopy(done)
        wrong["metadata"]["name"] = "other"
        self.ask("PUT", path, wrong, 400)

    def patch(self, resource, path):
        merge = {"metadata": {"annotations": {"merge": "1"}}}
        self.ask("PATCH", path, merge, content_type="application/merge-patch+json")
        self.ask("PATCH", path, {"metadata": {"annotations": {"strategic": "1"}}},
                 content_type="application/strategic-merge-patch+json")
        self.ask("PATCH", path, [{"op": "add", "path": "/metadata/annotations/json", "value": "1"}],
                 content_type="application/json-patch+json")
        self.ask("PATCH", path, {}, 415, content_type="application/json")
        self.ask("PATCH", path, {"metadata": {"uid": "other"}}, 409, content_type="application/merge-patch+json")
        apply = {"apiVersion": resource.api_version, "kind": resource.kind,
                 "metadata": {"name": path.rsplit("/", 1)[1], "annotations": {"apply": "1"}}}
        self.ask("PATCH", path, apply, 422, content_type="application/apply-patch+yaml")  # by whom?
        done = self.ask("PATCH", path + "?fieldManager=walk", apply, content_type="application/apply-patch+yaml").json
        for name in ("merge", "strategic", "json", "apply"):
            self.assertEqual(done["metadata"]["annotations"][name], "1")
        self.assertIn("Apply", [entry["operation"] for entry in done["metadata"]["managedFields"]])

    def status(self, resource, path):
        body = self.ask("GET", path + "/status").json
        self.assertEqual(body["kind"], resource.kind)
        same = self.ask("PUT", path + "/status", body).json
        self.assertEqual(same["metadata"]["resourceVersion"], body["metadata"]["resourceVersion"])
        self.ask("PATCH", path + "/status", {"status": {}}, content_type="application/merge-patch+json")
        apply = {"apiVersion": resource.api_version, "kind": resource.kind,
                 "metadata": {"name": path.rsplit("/", 1)[1]}}
        self.ask("PATCH", path + "/status?fieldManager=walk", apply, content_type="application/apply-patch+yaml")

    def delete(self, resource, path, made):
        self.ask("DELETE", path, {"preconditions": {"uid": "other"}}, 409)
        self.ask("DELETE", path + "?dryRun=All")
        self.ask("GET", path)
        self.ask("DELETE", path + "?gracePeriodSeconds=0&propagationPolicy=Background")
        self.gone(path)

    # What a controller would finish is finished here.
    def gone(self, path):
        answer = self.client.get(path)
        if answer.code == 404:
            return
        self.assertTrue(answer.json["metadata"]["deletionTimestamp"])
        if answer.json["kind"] == "Namespace":
            self.ask("PUT", path + "/finalize", dict(answer.json, spec={"finalizers": []}))
        elif answer.json["metadata"].get("finalizers") and answer.json["kind"] != "CustomResourceDefinition":
            self.ask("PATCH", path, {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")
        await_true(f"{path} to be gone", lambda: self.client.get(path).code == 404)

    def delete_collection(self, resource, body):
        self.ask("POST", resource.path(self.ns), body, 201)
        path = resource.path(self.ns)
        done = self.ask("DELETE", path + "?labelSelector=walk%3Dyes&propagationPolicy=Background").json
        self.assertEqual(done["kind"], resource.kind + "List")
        self.gone(f"{path}/{body['metadata']['name']}")

    def walk(self, resource):
        body = self.sample(resource)
        path = f"{resource.path(self.ns)}/{body['metadata']['name']}"
        made = self.create(resource, body)
        self.read(resource, made, path)
        self.list(resource, made)
        if "watch" in resource.verbs:
            self.watch(resource, made)
        if "update" in resource.verbs:
            self.update(resource, path)
        if "patch" in resource.verbs:
            self.patch(resource, path)
        if resource.has_status:
            self.status(resource, path)
        self.delete(resource, path, made)
        if "deletecollection" in resource.verbs:
            self.delete_collection(resource, body)

    def test_every_resource(self):
        walked = 0
        for resource in discover(self.client):
            if {"create", "get", "list", "delete"} <= resource.verbs:
                with self.subTest(str(resource)):
                    self.walk(resource)
                walked += 1
        self.assertGreater(walked, 55)


if __name__ == "__main__":
    unittest.main()
