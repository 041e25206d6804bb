# SPDX-License-Identifier: Apache-2.0
"""Custom resources: definitions from their creation to their end, and their objects
through every verb. Names of upstream's conformance rows (AM-…) stand where a test does
what the row asks."""

import copy
import json
import shutil
import subprocess
import unittest

from harness import await_true, new_namespace, shared

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

_count = 0


def unique_group():
    global _count
    _count += 1
    return f"g{_count}.example.com"


def version(name="v1", schema=None, storage=True, served=True, **more):
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema or OPEN}, **more}


def definition(group, *versions, kind="Foo", scope="Namespaced", **spec):
    plural = kind.lower() + "s"
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": scope, "names": {"plural": plural, "kind": kind, **spec.pop("names", {})},
                     "versions": list(versions) or [version()], **spec}}


def condition(crd, kind):
    for entry in crd.get("status", {}).get("conditions") or []:
        if entry["type"] == kind:
            return entry
    return {}


def properties(**fields):
    return {"type": "object", "properties": fields}


class Base(unittest.TestCase):
    def setUp(self):
        self.cluster = shared()
        self.client = self.cluster.server.client
        self.ns = new_namespace(self.client)
        self.group = unique_group()

    def get(self, path, code=200):
        answer = self.client.get(path)
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def install(self, crd):
        """Creates a definition and waits until it is established."""
        answer = self.client.post(DEFINITIONS, crd)
        self.assertEqual(answer.code, 201, answer)
        name = crd["metadata"]["name"]
        with self.client.watch(f"{DEFINITIONS}?watch=1&fieldSelector=metadata.name%3D{name}") as watch:
            while True:
                event = watch.next()
                if condition(event["object"], "Established").get("status") == "True":
                    return event["object"]

    def change(self, crd, patch, kind="merge-patch+json"):
        answer = self.client.patch(f"{DEFINITIONS}/{crd['metadata']['name']}", json.dumps(patch), kind)
        self.assertEqual(answer.code, 200, answer)
        return answer.json

    def path(self, name="", api="v1", plural="foos"):
        return f"/apis/{self.group}/{api}/namespaces/{self.ns}/{plural}" + (f"/{name}" if name else "")

    def foo(self, name="a", api="v1", kind="Foo", **members):
        return {"apiVersion": f"{self.group}/{api}", "kind": kind, "metadata": {"name": name}, **members}

    def create(self, obj, code=201, query=""):
        api = obj["apiVersion"].split("/")[1]
        answer = self.client.post(self.path(api=api) + query, obj)
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def messages(self, status):
        return [f"{cause['field']}: {cause['message']}" for cause in status["details"]["causes"]]


class Definitions(Base):
    def test_am_033_create_serve_delete(self):
        crd = definition(self.group)
        created = self.install(crd)
        self.assertEqual(created["spec"]["names"], {"plural": "foos", "singular": "foo", "kind": "Foo",
                                                    "listKind": "FooList"})
        self.assertEqual(created["spec"]["conversion"], {"strategy": "None"})
        self.assertEqual(condition(created, "NamesAccepted")["reason"], "NoConflicts")
        self.assertEqual(created["status"]["storedVersions"], ["v1"])
        self.assertEqual(created["status"]["acceptedNames"]["kind"], "Foo")
        self.create(self.foo(spec={"x": 1}))
        self.assertEqual(self.client.delete(f"{DEFINITIONS}/foos.{self.group}").code, 200)
        await_true("the definition to go", lambda: self.client.get(f"{DEFINITIONS}/foos.{self.group}").code == 404)
        self.assertEqual(self.client.get(self.path()).code, 404)
        # Its objects have gone with it: the same definition again finds none.
        self.install(crd)
        self.assertEqual(self.get(self.path())["items"], [])

    def test_deletion_waits_for_finalizers(self):
        crd = definition(self.group)
        self.install(crd)
        held = self.foo()
        held["metadata"]["finalizers"] = ["example.com/hold"]
        self.create(held)
        deleted = self.client.delete(f"{DEFINITIONS}/foos.{self.group}").json
        self.assertEqual(deleted["metadata"]["finalizers"], ["customresourcecleanup.apiextensions.k8s.io"])
        self.assertEqual(condition(deleted, "Terminating")["status"], "True")
        await_true("the object to be marked",
                   lambda: "deletionTimestamp" in self.get(self.path("a"))["metadata"])
        refused = self.client.post(self.path(), self.foo("late"))
        self.assertEqual((refused.code, refused.json["message"]),
                         (405, "create not allowed while custom resource definition is terminating"))
        answer = self.client.patch(self.path("a"), '{"metadata":{"finalizers":null}}', "merge-patch+json")
        self.assertEqual(answer.code, 200, answer)
        await_true("the definition to go", lambda: self.client.get(f"{DEFINITIONS}/foos.{self.group}").code == 404)

    def test_am_034_status(self):
        crd = self.install(definition(self.group))
        path = f"{DEFINITIONS}/foos.{self.group}/status"
        self.assertEqual(self.get(path)["kind"], "CustomResourceDefinition")
        patched = self.client.patch(path, json.dumps([{"op": "add", "path": "/status/conditions", "value": [
            {"type": "StatusPatch", "status": "True", "message": "by a test"}]}]), "json-patch+json")
        self.assertEqual(patched.code, 200, patched)
        self.assertEqual(condition(patched.json, "StatusPatch")["message"], "by a test")
        self.assertEqual(patched.json["spec"], crd["spec"])
        # A condition that says nothing but a message, as the conformance test writes it.
        def put():
            current = self.get(path)
            current["status"]["conditions"] = [{"type": "", "status": "", "message": "updated"}]
            return self.client.put(path, current)
        updated = await_true("the update", lambda: (a := put()).code == 200 and a)
        self.assertIn("updated", [c["message"] for c in updated.json["status"]["conditions"]])

    def test_am_035_list_and_delete_collection(self):
        names = []
        for i in range(4):
            crd = definition(self.group, kind=f"Kind{i}")
            crd["metadata"]["labels"] = {"batch": self.group}
            created = self.client.post(DEFINITIONS, crd).json
            names.append((created["metadata"]["name"], created["spec"]))
        listed = self.get(f"{DEFINITIONS}?labelSelector=batch%3D{self.group}")["items"]
        self.assertEqual([(item["metadata"]["name"], item["spec"]) for item in listed], names)
        answer = self.client.delete(f"{DEFINITIONS}?labelSelector=batch%3D{self.group}")
        self.assertEqual(answer.code, 200, answer)
        await_true("all to go", lambda: not self.get(f"{DEFINITIONS}?labelSelector=batch%3D{self.group}")["items"])

    def test_name_conflicts(self):
        self.install(definition(self.group, names={"shortNames": ["fo"]}))
        other = definition(self.group, kind="Bar", names={"singular": "foo", "shortNames": ["fo"]})
        self.assertEqual(self.client.post(DEFINITIONS, other).code, 201)
        path = f"{DEFINITIONS}/bars.{self.group}"
        refused = await_true("the conflict", lambda: condition(self.get(path), "NamesAccepted"))
        self.assertEqual((refused["status"], refused["reason"], refused["message"]),
                         ("False", "ShortNamesConflict", '"fo" is already in use'))
        self.assertEqual(condition(self.get(path), "Established")["reason"], "NotAccepted")
        self.assertEqual(self.client.get(f"/apis/{self.group}/v1/bars").code, 404)
        # When the other one goes the names are free.
        self.client.delete(f"{DEFINITIONS}/foos.{self.group}")
        await_true("the second to be established",
                   lambda: condition(self.get(path), "Established").get("status") == "True")
        self.assertEqual(self.client.get(f"/apis/{self.group}/v1/bars").code, 200)

    def test_refused_definitions(self):
        def refused(crd, *wanted):
            answer = self.client.post(DEFINITIONS, crd)
            self.assertEqual(answer.code, 422, answer)
            messages = "\n".join(self.messages(answer.json))
            for text in wanted:
                self.assertIn(text, messages)

        bad_name = definition(self.group)
        bad_name["metadata"]["name"] = "other.example.com"
        refused(bad_name, 'metadata.name: Invalid value: "other.example.com": must be spec.names.plural+"."+spec.group')
        refused(definition(self.group, version(), version("v2")),
                "spec.versions: Invalid value", "must have exactly one version marked as storage version")
        refused(definition(self.group, version(schema=properties(spec={"properties": {}}))),
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: "
                "must not be empty for specified object fields")
        refused(definition(self.group, version(schema={
            "type": "object", "properties": {"a": {"type": "object", "additionalProperties": False,
                                                   "properties": {"b": {"type": "string"}}}}})),
                "openAPIV3Schema.properties[a].additionalProperties: Forbidden: "
                "additionalProperties and properties are mutual exclusive")
        refused(definition(self.group, version(schema=properties(
            a={"type": "string", "anyOf": [{"type": "string", "description": "no"}]}))),
                "properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
                "properties[a].anyOf[0].description: Forbidden: must be empty to be structural")
        refused(definition(self.group, version(schema=properties(a={"type": "integer", "default": "text"}))),
                'properties[a].default: Invalid value: "string": '
                'spec.versions[0].schema.openAPIV3Schema.properties[a].default in body must be of type integer: "string"')
        refused(definition(self.group, version(schema=properties(a={
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
            "items": {"type": "object", "properties": {"n": {"type": "string"}}}}))),
                "items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, "
                "so it must have a default or be a required property")
        refused(definition(self.group, version(schema=properties(a={"type": "string", "pattern": "("}))),
                "properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: "
                "error parsing regexp: missing closing ): `(`")
        refused(definition(self.group, preserveUnknownFields=True),
                "spec.preserveUnknownFields: Invalid value: true: cannot set to true")
        refused(definition("new.k8s.io"), "metadata.annotations[api-approved.kubernetes.io]: Required value: "
                "protected groups must have approval annotation")
        refused(definition(self.group, version(schema=OPEN, additionalPrinterColumns=[
            {"name": "A", "type": "text", "jsonPath": "spec"}])),
                "additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of "
                "boolean,date,integer,number,string",
                "additionalPrinterColumns[0].JSONPath: Invalid value: \"spec\": must be a simple json path starting with .")

    def test_updates(self):
        crd = self.install(definition(self.group))
        path = f"{DEFINITIONS}/foos.{self.group}"
        answer = self.client.patch(path, '{"spec":{"scope":"Cluster"}}', "merge-patch+json")
        self.assertEqual(self.messages(answer.json), ['spec.scope: Invalid value: "Cluster": field is immutable'])
        # A new storage version is remembered, and the old one may not go.
        changed = self.change(crd, {"spec": {"versions": [version(storage=False), version("v2")]}})
        self.assertEqual(changed["status"]["storedVersions"], ["v1", "v2"])
        answer = self.client.patch(path, json.dumps({"spec": {"versions": [version("v2")]}}), "merge-patch+json")
        self.assertIn("status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions",
                      self.messages(answer.json)[0])
        migrated = self.client.patch(path + "/status", '{"status":{"storedVersions":["v2"]}}', "merge-patch+json")
        self.assertEqual(migrated.code, 200, migrated)
        self.change(crd, {"spec": {"versions": [version("v2")]}})
        await_true("v1 to go", lambda: self.client.get(self.path()).code == 404)
        self.assertEqual(self.client.get(self.path(api="v2")).code, 200)


class Discovery(Base):
    def test_am_026_028_documents(self):
        self.install(definition(self.group, version(subresources={"status": {}, "scale": {
            "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}),
            names={"shortNames": ["fo"], "categories": ["all"]}))
        self.assertIn(self.group, [g["name"] for g in self.get("/apis")["groups"]])
        self.assertEqual(self.get(f"/apis/{self.group}")["preferredVersion"]["version"], "v1")
        resources = {r["name"]: r for r in self.get(f"/apis/{self.group}/v1")["resources"]}
        self.assertEqual(sorted(resources), ["foos", "foos/scale", "foos/status"])
        self.assertEqual((resources["foos"]["shortNames"], resources["foos"]["categories"]), (["fo"], ["all"]))
        self.assertEqual(resources["foos/scale"]["kind"], "Scale")
        accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        first = self.client.get("/apis", headers=accept)
        group, = [g for g in first.json["items"] if g["metadata"]["name"] == self.group]
        self.assertEqual(group["versions"][0]["resources"][0]["resource"], "foos")
        again = self.client.get("/apis", headers={**accept, "If-None-Match": first.header("ETag")})
        self.assertEqual(again.code, 304)
        self.client.delete(f"{DEFINITIONS}/foos.{self.group}")
        await_true("the group to go", lambda: self.client.get(f"/apis/{self.group}").code == 404)
        changed = self.client.get("/apis", headers={**accept, "If-None-Match": first.header("ETag")})
        self.assertEqual(changed.code, 200)

    def test_am_039_040_versions_come_and_go(self):
        crd = self.install(definition(self.group, version("v1"), version("v2", storage=False)))
        self.assertEqual(self.client.get(self.path(api="v2")).code, 200)
        self.change(crd, {"spec": {"versions": [version("v1"), version("v2", storage=False, served=False)]}})
        await_true("v2 to go", lambda: self.client.get(self.path(api="v2")).code == 404)
        self.change(crd, {"spec": {"versions": [version("v1"), version("v3", storage=False)]}})
        await_true("v3 to come", lambda: self.client.get(self.path(api="v3")).code == 200)

    def test_several_servers(self):
        """A definition that is written by one server is served by another."""
        other = self.cluster.start_server()
        try:
            self.install(definition(self.group))
            await_true("the other server to serve it", lambda: other.client.get(self.path()).code == 200)
            self.create(self.foo(spec={"x": 1}))
            self.assertEqual(other.client.get(self.path("a")).json["spec"], {"x": 1})
        finally:
            other.terminate()


class Objects(Base):
    def schema(self):
        return {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "replicas": {"type": "integer", "minimum": 0, "default": 1},
                "ports": {"type": "array", "x-kubernetes-list-type": "map",
                          "x-kubernetes-list-map-keys": ["port", "protocol"], "items": {
                              "type": "object", "required": ["port"], "properties": {
                                  "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
                                  "name": {"type": "string"}}}},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "selector": {"type": "string"}}},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"},
                                                        "phase": {"type": "string"}}}}}

    def install_full(self):
        return self.install(definition(self.group, version(schema=self.schema(), subresources={"status": {}, "scale": {
            "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector"}}, additionalPrinterColumns=[
                {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                {"name": "Phase", "type": "string", "jsonPath": ".status.phase", "priority": 1},
                {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}])))

    def test_defaults_pruning_and_generation(self):
        self.install_full()
        created = self.create(self.foo(spec={"unknown": 1, "free": {"kept": 1}, "ports": [{"port": 80}]},
                                       status={"phase": "no"}))
        self.assertEqual(created["spec"], {"free": {"kept": 1}, "ports": [{"port": 80, "protocol": "TCP"}], "replicas": 1})
        self.assertNotIn("status", created)
        self.assertEqual(created["metadata"]["generation"], 1)
        changed = self.client.patch(self.path("a"), '{"spec":{"replicas":2}}', "merge-patch+json").json
        self.assertEqual(changed["metadata"]["generation"], 2)
        labelled = self.client.patch(self.path("a"), '{"metadata":{"labels":{"x":"y"}}}', "merge-patch+json").json
        self.assertEqual(labelled["metadata"]["generation"], 2)

    def test_status_and_scale(self):
        self.install_full()
        self.create(self.foo(spec={"replicas": 3}))
        status = self.client.patch(self.path("a/status"), json.dumps(
            {"metadata": {"labels": {"no": "no"}}, "spec": {"replicas": 9},
             "status": {"replicas": 2, "selector": "app=x", "phase": "Up"}}), "merge-patch+json").json
        self.assertEqual((status["status"]["phase"], status["spec"]["replicas"], status["metadata"].get("labels"),
                          status["metadata"]["generation"]), ("Up", 3, None, 1))
        scale = self.get(self.path("a/scale"))
        self.assertEqual((scale["kind"], scale["spec"], scale["status"]),
                         ("Scale", {"replicas": 3}, {"replicas": 2, "selector": "app=x"}))
        scale["spec"]["replicas"] = 7
        self.assertEqual(self.client.put(self.path("a/scale"), scale).json["spec"], {"replicas": 7})
        self.assertEqual(self.get(self.path("a"))["spec"]["replicas"], 7)

    def test_validation(self):
        self.install_full()
        refused = self.create(self.foo(spec={"replicas": -1, "ports": [{"port": 1}, {"port": 1}, {"port": "x"}],
                                             "tags": ["a", "b", "a"]}), code=422)
        self.assertEqual(sorted(self.messages(refused)), sorted([
            "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
            "spec.ports[1]: Duplicate value: map[string]interface {}{\"port\":1, \"protocol\":\"TCP\"}",
            "spec.ports[2].port: Invalid value: \"string\": spec.ports[2].port in body must be of type integer: \"string\"",
            "spec.tags[2]: Duplicate value: \"a\""]))
        self.assertTrue(refused["message"].startswith(f'Foo.{self.group} "a" is invalid: ['))
        wrong = self.client.post(self.path(), self.foo(metadata={"name": "a", "labels": 5}))
        self.assertEqual(wrong.code, 400, wrong)

    def test_ratcheting(self):
        crd = self.install(definition(self.group, version(schema=properties(
            spec=properties(a={"type": "integer"}, b={"type": "integer"})))))
        self.create(self.foo(spec={"a": 9}))
        strict = version(schema=properties(spec=properties(a={"type": "integer", "maximum": 5}, b={"type": "integer"})))
        self.change(crd, {"spec": {"versions": [strict]}})
        await_true("the new rule", lambda: self.client.post(self.path(), self.foo("b", spec={"a": 9})).code == 422)
        answer = self.client.patch(self.path("a"), '{"spec":{"b":1}}', "merge-patch+json")
        self.assertEqual(answer.code, 200, answer)
        answer = self.client.patch(self.path("a"), '{"spec":{"a":8}}', "merge-patch+json")
        self.assertEqual(answer.code, 422, answer)

    def test_field_validation(self):
        self.install_full()
        strict = self.create(self.foo(spec={"x": 1}, y=2), code=400, query="?fieldValidation=Strict")
        self.assertEqual(strict["message"], 'Foo in version "v1" cannot be handled as a Foo: strict decoding error: '
                         'unknown field "spec.x", unknown field "y"')
        body = ('{"apiVersion":"%s/v1","kind":"Foo","metadata":{"name":"a"},"spec":{"replicas":1,"replicas":2,"x":1}}'
                % self.group)
        answer = self.client.post(self.path() + "?fieldValidation=Strict", body)
        self.assertIn('duplicate field "spec.replicas", unknown field "spec.x"', answer.json["message"])
        warned = self.client.post(self.path() + "?fieldValidation=Warn", self.foo(spec={"x": 1}))
        self.assertEqual(warned.code, 201, warned)
        self.assertIn('unknown field', warned.header("Warning"))

    def test_patches_and_apply(self):
        self.install_full()
        path = self.path("a")
        config = {"apiVersion": f"{self.group}/v1", "kind": "Foo", "metadata": {"name": "a"},
                  "spec": {"ports": [{"port": 80, "name": "http"}]}}
        created = self.client.patch(path + "?fieldManager=one", json.dumps(config), "apply-patch+yaml")
        self.assertEqual(created.code, 201, created)
        config["spec"] = {"ports": [{"port": 443, "name": "https"}]}
        merged = self.client.patch(path + "?fieldManager=two", json.dumps(config), "apply-patch+yaml").json
        self.assertEqual([p["port"] for p in merged["spec"]["ports"]], [80, 443])
        config["spec"]["ports"] = [{"port": 80, "name": "other"}]
        conflict = self.client.patch(path + "?fieldManager=two", json.dumps(config), "apply-patch+yaml")
        self.assertEqual(conflict.code, 409, conflict)
        self.assertIn('conflict with "one"', conflict.json["message"])
        config["unknownField"] = 1
        # AM-052
        unknown = self.client.patch(path + "?fieldManager=two", json.dumps(config), "apply-patch+yaml")
        self.assertIn(".unknownField: field not declared in schema", unknown.json["message"])
        added = self.client.patch(path, '[{"op":"add","path":"/spec/tags","value":["x"]}]', "json-patch+json")
        self.assertEqual(added.json["spec"]["tags"], ["x"])
        strategic = self.client.patch(path, "{}", "strategic-merge-patch+json")
        self.assertEqual(strategic.code, 415, strategic)

    def test_update_needs_a_version(self):
        self.install_full()
        created = self.create(self.foo(spec={}))
        bare = copy.deepcopy(created)
        del bare["metadata"]["resourceVersion"]
        answer = self.client.put(self.path("a"), bare)
        self.assertEqual(answer.code, 422, answer)
        self.assertIn("metadata.resourceVersion: Invalid value: 0x0: must be specified for an update",
                      answer.json["message"])
        created["spec"]["replicas"] = 4
        self.assertEqual(self.client.put(self.path("a"), created).json["spec"]["replicas"], 4)

    def test_table(self):
        self.install_full()
        self.create(self.foo(spec={"replicas": 3}))
        table = self.client.get(self.path(), headers={
            "Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}).json
        self.assertEqual([(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]],
                         [("Name", "string", 0), ("Replicas", "integer", 0), ("Phase", "string", 1), ("Age", "date", 0)])
        name, replicas, phase, age = table["rows"][0]["cells"]
        self.assertEqual((name, replicas, phase), ("a", 3, None))
        self.assertRegex(age, r"^\d+s$")

    def test_am_032_watch(self):
        self.install(definition(self.group, scope="Cluster"))
        path = f"/apis/{self.group}/v1/foos"
        with self.client.watch(f"{path}?watch=1&fieldSelector=metadata.name%3Da") as watch:
            for name in "ab":
                self.assertEqual(self.client.post(path, self.foo(name, spec={"n": 1})).code, 201)
            self.client.patch(path + "/a", '{"spec":{"n":2}}', "merge-patch+json")
            self.client.delete(path + "/a")
            events = watch.take(3)
        self.assertEqual([(e["type"], e["object"]["metadata"]["name"]) for e in events],
                         [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")])
        self.assertEqual(self.client.get(path + "?fieldSelector=spec.n%3D1").json["message"],
                         "field label not supported: spec.n")

    def test_selectable_fields(self):
        self.install(definition(self.group, version(schema=properties(
            spec=properties(color={"type": "string"}, size={"type": "integer"})),
            selectableFields=[{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.size"}])))
        with self.client.watch(self.path() + "?watch=1&fieldSelector=spec.color%3Dred") as watch:
            for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
                self.create(self.foo(name, spec={"color": color, "size": 1}))
            self.client.patch(self.path("a"), '{"spec":{"color":"blue"}}', "merge-patch+json")
            self.assertEqual([(e["type"], e["object"]["metadata"]["name"]) for e in watch.take(3)],
                             [("ADDED", "a"), ("ADDED", "c"), ("DELETED", "a")])
        listed = self.get(self.path() + "?fieldSelector=spec.color%3Dblue%2Cspec.size%3D1")["items"]
        self.assertEqual([i["metadata"]["name"] for i in listed], ["a", "b"])
        self.client.delete(self.path() + "?fieldSelector=spec.color%3Dblue")
        self.assertEqual([i["metadata"]["name"] for i in self.get(self.path())["items"]], ["c"])

    def test_am_036_defaults_from_storage(self):
        plain = properties(a={"type": "string"}, b={"type": "string"})
        crd = self.install(definition(self.group, version(schema=plain)))
        self.create(self.foo("old"))
        with_default = copy.deepcopy(plain)
        with_default["properties"]["a"]["default"] = "A"
        self.change(crd, {"spec": {"versions": [version(schema=with_default)]}})
        await_true("the default on what is stored", lambda: self.get(self.path("old")).get("a") == "A")
        listed = self.get(self.path())["items"][0]
        self.assertEqual(listed["a"], "A")
        self.assertEqual(self.create(self.foo("new"))["a"], "A")
        # What was persisted stays when the default goes; what was only shown doesn't.
        other = copy.deepcopy(plain)
        other["properties"]["b"]["default"] = "B"
        self.change(crd, {"spec": {"versions": [version(schema=other)]}})
        await_true("the other default", lambda: self.get(self.path("old")).get("b") == "B")
        self.assertNotIn("a", self.get(self.path("old")))
        self.assertEqual(self.get(self.path("new"))["a"], "A")

    def test_watch_ends_when_the_definition_changes(self):
        crd = self.install(definition(self.group))
        created = self.create(self.foo())
        version_now = created["metadata"]["resourceVersion"]
        with self.client.watch(f"{self.path()}?watch=1&resourceVersion={version_now}") as watch:
            self.change(crd, {"spec": {"versions": [version(schema=properties(x={"type": "string", "default": "y"}))]}})
            event = watch.next()
            self.assertTrue(event is None or event["type"] == "ERROR", event)
        self.assertEqual(await_true("the new schema", lambda: self.get(self.path("a")).get("x")), "y")

    def test_versions_without_conversion(self):
        crd = self.install(definition(self.group, version("v1"), version("v2", storage=False)))
        self.create(self.foo(spec={"x": 1}))
        self.assertEqual(self.get(self.path("a", "v2"))["apiVersion"], f"{self.group}/v2")
        self.create(self.foo("b", "v2", spec={"x": 2}))
        self.change(crd, {"spec": {"versions": [version("v1", storage=False), version("v2")]}})
        def mixed():
            items = self.get(self.path())["items"]
            return [(i["apiVersion"], i["spec"]["x"]) for i in items]
        self.assertEqual(mixed(), [(f"{self.group}/v1", 1), (f"{self.group}/v1", 2)])
        answer = self.client.patch(self.path("a"), '{"spec":{"x":3}}', "merge-patch+json")
        self.assertEqual(answer.json["apiVersion"], f"{self.group}/v1")
        self.assertEqual(self.get(self.path("a", "v2"))["spec"]["x"], 3)

    def test_defaults_of_the_storage_version(self):
        """What is written through a version without defaults is read with those of the stored one."""
        self.install(definition(self.group, version("v1", properties(a={"type": "string"}), False),
                                version("v2", properties(a={"type": "string"}, b={"type": "string", "default": "B"}))))
        self.create(self.foo(a="x"))
        self.assertEqual(self.get(self.path("a", "v2"))["b"], "B")
        self.assertNotIn("b", self.get(self.path("a")))

    def test_deprecation(self):
        self.install(definition(self.group, version("v1beta1", storage=False, deprecated=True), version("v1")))
        answer = self.client.get(self.path(api="v1beta1"))
        self.assertIn(f"{self.group}/v1beta1 Foo is deprecated; use {self.group}/v1 Foo", answer.header("Warning"))


@unittest.skipUnless(shutil.which("kubectl"), "no kubectl here")
class Kubectl(Base):
    def kubectl(self, *args, stdin=None, code=0):
        done = subprocess.run(["kubectl", f"--kubeconfig={self.cluster.kubeconfig()}", f"--namespace={self.ns}",
                               f"--cache-dir={self.cluster.folder}/cache-{self.group}", *args],
                              input=stdin, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_create_wait_use_explain(self):
        schema = {"description": "Foo CRD for Testing", "type": "object", "properties": {
            "spec": {"type": "object", "description": "Specification of Foo", "properties": {
                "bars": {"type": "array", "description": "List of Bars and their specs.", "items": {
                    "type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string", "description": "Name of Bar."},
                        "age": {"type": "string", "description": "Age of Bar."},
                        "bazs": {"type": "array", "items": {"type": "string"}, "description": "List of Bazs."}}}}}},
            "status": {"type": "object", "description": "Status of Foo"}}}
        crd = definition(self.group, version(schema=schema), names={"shortNames": ["fo" + self.group[:2]]})
        self.kubectl("create", "-f", "-", stdin=json.dumps(crd))
        self.kubectl("wait", "--for=condition=established", "--timeout=10s", f"crd/foos.{self.group}")
        foo = self.foo(spec={"bars": [{"name": "b", "age": "10"}]})
        self.assertIn("created", self.kubectl("create", "-f", "-", stdin=json.dumps(foo)))
        self.assertIn("foo." + self.group + "/a", self.kubectl("get", "foos." + self.group, "-o", "name"))
        foo["spec"]["bars"][0]["age"] = "11"
        self.assertIn("configured", self.kubectl("apply", "-f", "-", stdin=json.dumps(foo)))
        # AM-043: client-side validation by the published schema.
        bad = self.foo("bad", spec={"bars": [{"name": "b", "feeling": "great"}]})
        self.assertIn("feeling", self.kubectl("create", "-f", "-", stdin=json.dumps(bad), code=1))
        text = self.kubectl("explain", f"foos.spec.bars", f"--api-version={self.group}/v1")
        for wanted in ("List of Bars and their specs.", "bazs", "<[]string>", "Name of Bar."):
            self.assertIn(wanted, text)
        self.assertIn("FIELDS:", self.kubectl("explain", "foos", f"--api-version={self.group}/v1"))
        self.assertIn('field "spec2" does not exist',
                      self.kubectl("explain", "foos.spec2", f"--api-version={self.group}/v1", code=1))
        self.assertIn("deleted", self.kubectl("delete", "crd", f"foos.{self.group}"))


if __name__ == "__main__":
    unittest.main()
