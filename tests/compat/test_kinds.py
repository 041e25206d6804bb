# SPDX-License-Identifier: Apache-2.0
"""Every kind that is served: made, shown in all of kubectl's forms, described,
applied, watched for its table, deleted; and the list of kinds itself."""

import json
import unittest

import clients
import harness
import samples

# Where upstream has no value either: what the controllers or the kubelet would fill in.
UNKNOWN_UPSTREAM = {"nodes", "horizontalpodautoscalers.autoscaling", "horizontalpodautoscalers.v1.autoscaling"}


def served(client):
    """Every stored resource of the discovery documents, as "plural.group"."""
    names = {resource["name"] for resource in client.get("/api/v1").json["resources"]
             if "/" not in resource["name"] and "create" in resource["verbs"] and "list" in resource["verbs"]}
    for group in client.get("/apis").json["groups"]:
        path = "/apis/" + group["preferredVersion"]["groupVersion"]
        names |= {f"{resource['name']}.{group['name']}" for resource in client.get(path).json["resources"]
                  if "/" not in resource["name"] and "list" in resource["verbs"]}
    return names


class Samples(unittest.TestCase):
    def test_every_kind_has_a_sample(self):
        names = {name for name, _, _ in samples.all_samples("")}
        self.assertEqual(served(clients.cluster().server.client) - names, set())


@clients.for_each_version
class Kinds(clients.KubectlCase):
    def setUp(self):
        super().setUp()
        self.samples = []
        for resource, namespaced, body in samples.all_samples(samples.signing_request()):
            body = json.loads(json.dumps(body).replace("$NAMESPACE", self.ns))
            self.samples.append((resource, namespaced, body))

    def everything(self):
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": [body for _, _, body in self.samples]})

    def test_every_kind(self):
        text = self.everything()
        made = self.kubectl("apply", "-f", "-", stdin=text).splitlines()
        self.assertEqual(len(made), len(self.samples))
        self.assertEqual([line for line in made if not line.endswith(" created")], [])
        for resource, _, body in self.samples:
            with self.subTest(resource):
                self.look_at(resource, body)
        self.kubectl("delete", "--wait=false", "-f", "-", stdin=text)
        for volume in ("pv", "pvc"):  # held for a controller that may not run here
            self.attempt("patch", volume, "sample", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        harness.await_true("all to be gone", lambda: not self.kubectl("get", "--ignore-not-found", "-o", "name", "-f", "-",
                                                                      stdin=text), 60)

    def look_at(self, resource, body):
        name = body["metadata"]["name"]
        wide = self.kubectl("get", resource, name, "-o", "wide").splitlines()
        self.assertEqual(wide[1].split()[-1 if resource == "events" or resource.startswith("events.") else 0], name)
        self.assertNotIn("<invalid>", wide[1])
        if resource not in UNKNOWN_UPSTREAM:
            self.assertNotIn("<unknown>", wide[1])
        shown = json.loads(self.kubectl("get", resource, name, "-o", "json"))
        self.assertEqual((shown["apiVersion"], shown["kind"]), (body["apiVersion"], body["kind"]))
        self.assertIn(name, self.kubectl("get", resource, name, "-o", "name"))
        # Older kubectls describe these by their alpha and beta versions, which no 1.33 serves by default.
        if self.version == "1.33" or not resource.startswith(("ipaddresses", "servicecidrs")):
            self.assertIn(name, self.kubectl("describe", resource, name))


@clients.for_each_version
class Discovery(clients.KubectlCase):
    def test_kinds_are_listed_as_they_are_served(self):
        rows = self.kubectl("api-resources", "--no-headers", "-o", "wide").splitlines()
        found = {(fields[0], next(f for f in fields[1:] if f == "v1" or "/v" in f)): row
                 for row in rows for fields in [row.split()]}
        for name, group_version, parts in (
                ("pods", "v1", ("po ", " true ", " Pod ", "create,delete,deletecollection,get,list,patch,update,watch", " all")),
                ("namespaces", "v1", ("ns ", " false ", "create,delete,get,list,patch,update,watch")),
                ("deployments", "apps/v1", ("deploy ", " all")), ("horizontalpodautoscalers", "autoscaling/v2", ("hpa ",)),
                ("customresourcedefinitions", "apiextensions.k8s.io/v1", ("crd,crds", "api-extensions")),
                ("bindings", "v1", (" create ",)), ("ipaddresses", "networking.k8s.io/v1", ("ip ", " false "))):
            for part in parts:
                self.assertIn(part, found[name, group_version] + " ")
        self.assertFalse([key for key in found if "resource.k8s.io" in key[1] or "metrics.k8s.io" in key[1]])
        versions = self.kubectl("api-versions").split()
        for group_version in ("v1", "apps/v1", "autoscaling/v1", "autoscaling/v2", "events.k8s.io/v1", "storage.k8s.io/v1"):
            self.assertIn(group_version, versions)
