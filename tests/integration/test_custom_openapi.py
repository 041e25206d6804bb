# SPDX-License-Identifier: Apache-2.0
"""What is published of custom resources (conformance AM-039 to AM-047), and field
validation of their objects (AM-050 to AM-055)."""

import copy
import json
import shutil
import subprocess
import unittest

from harness import await_true
from test_custom import DEFINITIONS, OPEN, Base, definition, properties, version

FULL = {"description": "Foo CRD for Testing", "type": "object", "properties": {
    "spec": {"type": "object", "description": "Specification of Foo", "properties": {
        "bars": {"description": "List of Bars and their specs.", "type": "array", "items": {
            "type": "object", "required": ["name"], "properties": {
                "name": {"description": "Name of Bar.", "type": "string"},
                "age": {"description": "Age of Bar.", "type": "string", "pattern": "^[0-9]+$"},
                "feeling": {"description": "Whether Bar is feeling great.", "type": "string", "enum": ["Great", "Down"]},
                "bazs": {"description": "List of Bazs.", "type": "array", "items": {"type": "string"}}}}}}},
    "status": {"description": "Status of Foo", "type": "object", "properties": {
        "bars": {"description": "List of Bars and their statuses.", "type": "array", "items": {
            "type": "object", "properties": {"bazs": {"type": "array", "items": {"type": "string"}}}}}}}}}


class OpenApi(Base):
    def name(self, api="v1", kind="Foo"):
        return ".".join(reversed(self.group.split("."))) + f".{api}.{kind}"

    def definitions(self):
        return self.get("/openapi/v2")["definitions"]

    def declared(self, published):
        """The published schema without what is added to every object."""
        schema = copy.deepcopy(published)
        schema.pop("x-kubernetes-group-version-kind", None)
        for key in ("apiVersion", "kind", "metadata"):
            schema.get("properties", {}).pop(key, None)
        if not schema.get("properties", True):
            del schema["properties"]
        return schema

    def test_am_043_validation_schema(self):
        self.install(definition(self.group, version(schema=FULL)))
        published = self.definitions()[self.name()]
        self.assertEqual(self.declared(published), FULL)
        self.assertEqual(published["x-kubernetes-group-version-kind"],
                         [{"group": self.group, "kind": "Foo", "version": "v1"}])
        self.assertEqual(published["properties"]["metadata"]["$ref"],
                         "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        listed = self.definitions()[self.name(kind="FooList")]
        self.assertEqual(listed["properties"]["items"]["items"]["$ref"], f"#/definitions/{self.name()}")
        document = self.get(f"/openapi/v3/apis/{self.group}/v1")
        self.assertEqual(self.declared(document["components"]["schemas"][self.name()]), FULL)
        self.assertIn(f"/apis/{self.group}/v1/namespaces/{{namespace}}/foos/{{name}}", document["paths"])
        index = self.get("/openapi/v3")["paths"]
        self.assertIn(f"apis/{self.group}/v1", index)

    def test_am_041_042_044_open_schemas(self):
        self.install(definition(self.group, version(schema=OPEN), kind="Root"))
        nested = properties(spec={"type": "object", "description": "Specification of Waldo",
                                  "x-kubernetes-preserve-unknown-fields": True, "properties": {
                                      "dummy": {"type": "object", "description": "Dummy property."}}},
                            status={"type": "object", "description": "Status of Waldo"})
        self.install(definition(self.group, version(schema=nested), kind="Waldo"))
        published = self.definitions()
        self.assertEqual(self.declared(published[self.name(kind="Root")]), {"type": "object"})
        self.assertEqual(self.declared(published[self.name(kind="Waldo")])["properties"],
                         {"spec": {"description": "Specification of Waldo", "x-kubernetes-preserve-unknown-fields": True},
                          "status": {"type": "object", "description": "Status of Waldo"}})

    def test_am_045_046_047_many_kinds_and_versions(self):
        self.install(definition(self.group, version("v1", FULL), version("v2", FULL | {"description": "Two"}, False)))
        self.install(definition(self.group, version("v1", FULL), kind="Bar"))
        published = self.definitions()
        for name in (self.name(), self.name("v2"), self.name(kind="Bar")):
            self.assertIn(name, published)
        self.assertEqual(published[self.name("v2")]["description"], "Two")

    def test_am_039_040_versions_come_and_go(self):
        crd = self.install(definition(self.group, version("v1", FULL), version("v2", FULL, False)))
        self.assertIn(self.name("v2"), self.definitions())
        self.change(crd, {"spec": {"versions": [version("v1", FULL), version("v2", FULL, False, served=False)]}})
        await_true("v2 to go", lambda: self.name("v2") not in self.definitions())
        self.assertIn(self.name(), self.definitions())
        self.change(crd, {"spec": {"versions": [version("v1", FULL), version("v3", FULL, False)]}})
        await_true("v3 to come", lambda: self.name("v3") in self.definitions())

    def test_etags(self):
        self.install(definition(self.group))
        answer = self.client.get("/openapi/v2")
        self.assertRegex(answer.header("ETag"), r'^".+"$')
        headers = {"If-None-Match": answer.header("ETag")}
        self.assertEqual(self.client.get("/openapi/v2", headers=headers).code, 304)
        self.client.delete(f"{DEFINITIONS}/foos.{self.group}")
        await_true("it to go", lambda: self.client.get(self.path()).code == 404)
        self.assertEqual(self.client.get("/openapi/v2", headers=headers).code, 200)


class FieldValidation(Base):
    SCHEMA = properties(
        spec={**properties(
            foo={"type": "string"}, cronSpec={"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
            ports={"type": "array", "x-kubernetes-list-type": "map",
                   "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "items": {
                       "type": "object", "required": ["containerPort", "protocol"],
                       "properties": {"containerPort": {"type": "integer"}, "hostIP": {"type": "string"},
                                      "name": {"type": "string"}, "protocol": {"type": "string"}}}},
            template={**properties(metadata={"type": "object", "properties": {"name": {"type": "string"}}},
                                   spec={"type": "object"}), "x-kubernetes-embedded-resource": True})})

    def apply(self, text, code=None, name="a"):
        answer = self.client.patch(self.path(name) + "?fieldManager=t&fieldValidation=Strict",
                                   text.replace("GROUP", self.group), "apply-patch+yaml")
        if code:
            self.assertEqual(answer.code, code, answer)
        return answer.json

    def test_am_050_no_schema(self):
        self.install(definition(self.group))
        self.apply("\napiVersion: GROUP/v1\nkind: Foo\nmetadata:\n  name: a\n  finalizers:\n  - test/f\nspec:\n"
                   "  foo: foo1\n  unknown: {a: [1, {b: 2}]}\n", 201)

    def test_am_051_valid(self):
        self.install(definition(self.group, version(schema=self.SCHEMA)))
        self.apply("\napiVersion: GROUP/v1\nkind: Foo\nmetadata:\n  name: a\n  finalizers:\n  - test/f\nspec:\n"
                   "  cronSpec: \"* * * * */5\"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP\n", 201)

    def test_am_052_extra_properties(self):
        self.install(definition(self.group, version(schema=self.SCHEMA)))
        refused = self.apply("\napiVersion: GROUP/v1\nkind: Foo\nmetadata:\n  name: a\nunknownField: unknown\n")
        self.assertIn(".unknownField: field not declared in schema", refused["message"])

    def test_am_053_duplicates(self):
        self.install(definition(self.group))
        refused = self.apply("\napiVersion: GROUP/v1\nkind: Foo\nmetadata:\n  name: a\n  finalizers:\n  - test/f\n"
                             "unknown: uk1\nspec:\n  foo: foo1\n  foo: foo2\n", 400)
        self.assertIn('line 11: key "foo" already set in map', refused["message"])

    def test_am_055_metadata(self):
        self.install(definition(self.group, version(schema=self.SCHEMA)))
        refused = self.apply("\napiVersion: GROUP/v1\nkind: Foo\nmetadata:\n  name: a\n  unknownMeta: unknown\nspec:\n"
                             "  template:\n    apiVersion: v1\n    kind: T\n    metadata:\n"
                             "      unknownSubMeta: unknown\n")
        self.assertIn(".metadata.unknownMeta: field not declared in schema", refused["message"])
        self.assertIn(".spec.template.metadata.unknownSubMeta: field not declared in schema", refused["message"])
        posted = self.client.post(self.path() + "?fieldValidation=Strict", self.foo(
            spec={"template": {"apiVersion": "v1", "kind": "T", "metadata": {"x": 1}}})).json
        self.assertIn('unknown field "spec.template.metadata.x"', posted["message"])


@unittest.skipUnless(shutil.which("kubectl"), "no kubectl here")
class Kubectl(Base):
    def kubectl(self, *args, stdin=None, code=0):
        done = subprocess.run(["kubectl", f"--kubeconfig={self.cluster.kubeconfig()}", f"--namespace={self.ns}",
                               f"--cache-dir={self.cluster.folder}/cache-{self.group}", *args],
                              input=stdin, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_open_schema(self):
        """AM-044: any payload is taken, and explain prints the kind."""
        self.install(definition(self.group, version(schema=OPEN), kind="Baz"))
        text = self.kubectl("explain", "bazs", f"--api-version={self.group}/v1")
        self.assertIn("Baz", text)
        self.assertIn("DESCRIPTION:", text)
        obj = json.dumps(self.foo("z", kind="Baz", anything={"deep": [1, 2]}))
        self.assertIn("created", self.kubectl("create", "-f", "-", stdin=obj))
        self.assertIn("deleted", self.kubectl("delete", f"bazs.{self.group}", "z"))

    def test_short_names_and_columns(self):
        short = "s" + self.group.split(".")[0]
        self.install(definition(self.group, version(schema=FULL, additionalPrinterColumns=[
            {"name": "Bars", "type": "string", "jsonPath": ".spec.bars[*].name"}]), names={"shortNames": [short]}))
        self.create(self.foo(spec={"bars": [{"name": "x"}, {"name": "y"}]}))
        lines = self.kubectl("get", short).splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "BARS"])
        self.assertEqual(lines[1].split(), ["a", "x", "y"])
        self.assertIn("spec:", self.kubectl("get", short, "a", "-o", "yaml"))
        self.assertIn("Bars", self.kubectl("describe", short, "a"))
