# SPDX-License-Identifier: Apache-2.0
"""kubectl and custom resources: defined, explained, applied, edited, scaled, watched and gone."""

import json
import os

import clients
from harness import await_true

SCHEMA = {"type": "object", "required": ["spec"], "properties": {
    "spec": {"type": "object", "description": "What is wanted of the gadget", "required": ["size"],
             "x-kubernetes-validations": [{"rule": "self.size <= 10", "message": "size is at most 10"}],
             "properties": {"size": {"type": "integer", "minimum": 1, "description": "How big it is"},
                            "colour": {"type": "string", "enum": ["red", "green"], "default": "red"},
                            "replicas": {"type": "integer"}}},
    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "conditions": {
        "type": "array", "items": {"type": "object", "properties": {
            name: {"type": "string"} for name in ("type", "status")}}}}}}}


def definition(group):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "gadgets." + group}, "spec": {
                "group": group, "scope": "Namespaced",
                "names": {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gd"], "categories": ["toys"]},
                "versions": [{
                    "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA},
                    "subresources": {"status": {}, "scale": {
                        "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector"}},
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}]}]}}


@clients.for_each_version
class Custom(clients.KubectlCase):
    def setUp(self):
        super().setUp()
        self.group = f"{self.ns}.example.com"
        self.kind = "gadgets." + self.group
        self.kubectl("apply", "-f", "-", stdin=json.dumps(definition(self.group)))
        self.addCleanup(self.attempt, "delete", "crd", self.kind, "--wait=false")
        self.kubectl("wait", "--for=condition=Established", "crd/" + self.kind, "--timeout=30s")
        # What discovery said before is remembered by kubectl for a while.
        await_true("the kind", lambda: self.attempt("get", self.kind).returncode == 0)

    def gadget(self, **spec):
        return json.dumps({"apiVersion": self.group + "/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": spec})

    def apply(self, *flags, **spec):
        return self.kubectl("apply", *flags, "-f", "-", stdin=self.gadget(**spec))

    def value(self, path):
        return self.kubectl("get", self.kind, "g", "-o", "jsonpath={" + path + "}")

    def test_applied_shown_and_patched(self):
        name = f"gadget.{self.group}/g"
        self.assertEqual(self.apply(size=2), name + " created\n")
        self.assertEqual(self.apply(size=2), name + " unchanged\n")
        self.assertEqual(self.apply(size=3), name + " configured\n")
        rows = [line.split() for line in self.kubectl("get", self.kind).splitlines()]
        self.assertEqual(rows[0], ["NAME", "SIZE", "COLOUR"])
        self.assertEqual(rows[1], ["g", "3", "red"])
        self.assertIn("Colour:  red", self.kubectl("describe", self.kind, "g"))
        self.kubectl("patch", self.kind, "g", "--type=merge", "-p", '{"spec":{"colour":"green"}}')
        self.kubectl("patch", self.kind, "g", "--type=json", "-p", '[{"op":"replace","path":"/spec/size","value":4}]')
        self.assertEqual((self.value(".spec.colour"), self.value(".spec.size")), ("green", "4"))
        self.assertIn("application/merge-patch+json",
                      self.refused("patch", self.kind, "g", "--type=strategic", "-p", '{"spec":{"size":5}}'))
        self.kubectl("label", self.kind, "g", "a=b")
        self.assertIn(name, self.kubectl("get", self.kind, "-l", "a=b", "-o", "name"))
        self.assertIn(f'gadget.{self.group} "g" deleted', self.kubectl("delete", self.kind, "g"))

    def test_mistakes(self):
        refused = lambda **spec: self.refused("apply", "-f", "-", stdin=self.gadget(**spec))  # noqa: E731
        self.assertIn('spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1', refused(size=0))
        self.assertIn('spec.colour: Unsupported value: "blue": supported values: "red", "green"',
                      refused(size=1, colour="blue"))
        self.assertIn("size is at most 10", refused(size=11))
        self.assertIn("spec.size: Required value", refused())
        self.assertIn('unknown field "spec.sise"', refused(size=1, sise=2))

    def test_server_side_and_edit(self):
        self.apply("--server-side", size=2)
        self.assertIn('Apply failed with 1 conflict: conflict with "kubectl": .spec.size', self.refused(
            "apply", "--server-side", "--field-manager=other", "-f", "-", stdin=self.gadget(size=3)))
        editor = os.path.join(self.home, "custom-editor")
        with open(editor, "w") as file:
            file.write("#!/bin/sh\nsed -i 's/  size: 2/  size: 7/' \"$1\"\n")
        os.chmod(editor, 0o755)
        self.kubectl("edit", self.kind, "g", KUBE_EDITOR=editor)
        self.assertEqual(self.value(".spec.size"), "7")

    def test_scale_status_and_wait(self):
        self.apply(size=1, replicas=1)
        self.assertEqual(self.kubectl("scale", self.kind, "g", "--replicas=3"), f"gadget.{self.group}/g scaled\n")
        self.assertEqual(self.value(".spec.replicas"), "3")
        self.kubectl("patch", self.kind, "g", "--subresource=status", "--type=merge", "-p", json.dumps(
            {"spec": {"size": 9}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
        self.assertEqual(self.value(".spec.size"), "1")
        self.kubectl("wait", "--for=condition=Ready", self.kind + "/g", "--timeout=10s")
        self.kubectl("wait", "--for=jsonpath={.spec.replicas}=3", self.kind + "/g", "--timeout=10s")

    def test_explained_and_listed(self):
        def explained():
            done = self.attempt("explain", self.kind + ".spec")
            return done.returncode == 0 and done.stdout
        text = await_true("the schema to be published", explained)
        for part in ("What is wanted of the gadget", "size\t<integer> -required-", "How big it is"):
            self.assertIn(part, text)
        row = [line for line in self.kubectl("api-resources", "--api-group=" + self.group, "--no-headers", "-o",
                                             "wide").splitlines()][0]
        self.assertRegex(row, rf"^gadgets +gd +{self.group}/v1 +true +Gadget +\S*deletecollection\S* +toys")
        self.apply(size=1)
        self.assertIn("/g\n", self.kubectl("get", "toys", "-o", "name"))

    def test_gone_with_its_definition(self):
        self.apply(size=1)
        self.kubectl("delete", "crd", self.kind)
        await_true("the kind to go", lambda: self.attempt("get", self.kind).returncode != 0)
        self.assertEqual(self.client.get(f"/apis/{self.group}/v1/namespaces/{self.ns}/gadgets").code, 404)
