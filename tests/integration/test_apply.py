# SPDX-License-Identifier: Apache-2.0
"""Server-side apply and managedFields, by requests and by a real kubectl."""

import json
import os
import shutil
import subprocess
import unittest

from harness import config_map, deployment, new_namespace, pod, service, shared


def fields(answer_or_object, manager, operation=None, subresource=None):
    """The managedFields entries of a manager."""
    entries = answer_or_object["metadata"].get("managedFields", [])
    return [e for e in entries if e.get("manager") == manager and (not operation or e["operation"] == operation)
            and (subresource is None or e.get("subresource", "") == subresource)]


class Base(unittest.TestCase):
    def setUp(self):
        self.cluster = shared()
        self.client = self.cluster.server.client
        self.ns = new_namespace(self.client)

    def path(self, plural, name="", group="api/v1"):
        return f"/{group}/namespaces/{self.ns}/{plural}" + (f"/{name}" if name else "")

    def deployments(self, name):
        return self.path("deployments", name, "apis/apps/v1")

    def apply(self, path, config, manager="one", code=200, **query):
        arguments = "".join(f"&{k}={v}" for k, v in query.items())
        body = config if isinstance(config, str) else json.dumps(config)
        answer = self.client.patch(f"{path}?fieldManager={manager}{arguments}", body, "apply-patch+yaml")
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def get(self, path):
        answer = self.client.get(path)
        self.assertEqual(answer.code, 200, answer)
        return answer.json


class Apply(Base):
    def test_creates_then_is_unchanged(self):
        path = self.path("configmaps", "c")
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "b"}},
                  "data": {"x": "1"}}
        created = self.apply(path, config, code=201)
        entry, = created["metadata"]["managedFields"]
        self.assertEqual(entry["fieldsV1"], {"f:data": {"f:x": {}}, "f:metadata": {"f:labels": {"f:a": {}}}})
        self.assertEqual((entry["manager"], entry["operation"], entry["apiVersion"], entry["fieldsType"]),
                         ("one", "Apply", "v1", "FieldsV1"))
        again = self.apply(path, config)
        self.assertEqual(again["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"])
        self.assertEqual(again["metadata"]["managedFields"], created["metadata"]["managedFields"])

    def test_yaml_and_dry_run(self):
        path = self.path("configmaps", "yaml")
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata:\n  a: b\n"
        self.assertEqual(self.apply(path, text, code=201, dryRun="All")["data"], {"a": "b"})
        self.assertEqual(self.client.get(path).code, 404)
        self.apply(path, text, code=201)
        self.apply(path, text.replace("a: b", "a: c"), dryRun="All")
        self.assertEqual(self.get(path)["data"], {"a": "b"})

    def test_conflict_then_force(self):
        path = self.deployments("d")
        config = deployment("d", 2)
        self.apply(path, config, code=201)
        theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 5}}
        refused = self.apply(path, theirs, "two", 409)
        self.assertEqual(refused["reason"], "Conflict")
        self.assertEqual(refused["message"], 'Apply failed with 1 conflict: conflict with "one": .spec.replicas')
        self.assertEqual(refused["details"]["causes"], [{"reason": "FieldManagerConflict",
                                                         "message": 'conflict with "one"', "field": ".spec.replicas"}])
        self.assertEqual(self.get(path)["spec"]["replicas"], 2)
        forced = self.apply(path, theirs, "two", force="true")
        self.assertEqual(forced["spec"]["replicas"], 5)
        self.assertEqual(fields(forced, "two")[0]["fieldsV1"], {"f:spec": {"f:replicas": {}}})
        self.assertNotIn("f:replicas", fields(forced, "one")[0]["fieldsV1"]["f:spec"])
        # The same value is owned by both, without a conflict.
        shared_field = self.apply(path, theirs, "three")
        self.assertEqual(fields(shared_field, "three")[0]["fieldsV1"], fields(shared_field, "two")[0]["fieldsV1"])

    def test_conflict_with_an_update(self):
        path = self.deployments("u")
        self.client.post(self.deployments("") .rstrip("/") + "?fieldManager=kubectl-create", deployment("u", 1))
        answer = self.client.patch(path + "?fieldManager=kubectl", {"spec": {"replicas": 3}}, "merge-patch+json")
        self.assertEqual(answer.code, 200)
        config = deployment("u", 4)
        config["spec"]["template"]["spec"]["containers"][0]["image"] = "busybox:2"
        refused = self.apply(path, config, "other", 409)
        self.assertEqual(refused["message"],
                         'Apply failed with 2 conflicts: conflicts with "kubectl" using apps/v1:\n- .spec.replicas\n'
                         'conflicts with "kubectl-create" using apps/v1:\n'
                         '- .spec.template.spec.containers[name="c"].image')
        self.assertEqual(sorted(c["field"] for c in refused["details"]["causes"]),
                         [".spec.replicas", '.spec.template.spec.containers[name="c"].image'])

    def test_removes_what_is_no_longer_applied(self):
        path = self.path("services", "s")
        config = service("s")
        config["spec"]["ports"] = [{"name": "a", "port": 80, "protocol": "TCP"},
                                   {"name": "b", "port": 81, "protocol": "TCP"}]
        config["metadata"]["labels"] = {"x": "y", "keep": "me"}
        self.apply(path, config, code=201)
        self.apply(path, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "labels": {"keep": "me"}}},
                   "two")
        config["spec"]["ports"].pop()
        del config["metadata"]["labels"]
        changed = self.apply(path, config)
        self.assertEqual([p["port"] for p in changed["spec"]["ports"]], [80])
        self.assertEqual(changed["metadata"]["labels"], {"keep": "me"})
        self.assertTrue(changed["spec"]["clusterIP"])

    def test_list_items_of_two_managers(self):
        path = self.deployments("two")
        self.apply(path, deployment("two"), code=201)
        sidecar = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "two"}, "spec": {
            "template": {"spec": {"containers": [{"name": "side", "image": "busybox:3"}]}}}}
        both = self.apply(path, sidecar, "injector")
        names = [c["name"] for c in both["spec"]["template"]["spec"]["containers"]]
        self.assertEqual(names, ["c", "side"])
        sidecar["spec"]["template"]["spec"]["containers"] = []
        one = self.apply(path, sidecar, "injector")
        self.assertEqual([c["name"] for c in one["spec"]["template"]["spec"]["containers"]], ["c"])

    def test_status_and_scale(self):
        path = self.deployments("sub")
        self.apply(path, deployment("sub", 1), code=201)
        status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "sub"},
                  "spec": {"replicas": 9}, "status": {"replicas": 1, "updatedReplicas": 1}}
        answer = self.apply(path + "/status", status, "controller")
        self.assertEqual((answer["spec"]["replicas"], answer["status"]["replicas"]), (1, 1))
        entry, = fields(answer, "controller")
        self.assertEqual(entry["subresource"], "status")
        self.assertEqual(entry["fieldsV1"], {"f:status": {"f:replicas": {}, "f:updatedReplicas": {}}})
        scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "sub"}, "spec": {"replicas": 3}}
        self.apply(path + "/scale", scale, "hpa", 409)
        answer = self.apply(path + "/scale", scale, "hpa", force="true")
        self.assertEqual((answer["kind"], answer["spec"]["replicas"]), ("Scale", 3))
        entry, = fields(self.get(path), "hpa")
        self.assertEqual((entry["subresource"], entry["operation"], entry["fieldsV1"]),
                         ("scale", "Apply", {"f:spec": {"f:replicas": {}}}))

    def test_refusals(self):
        path = self.path("configmaps", "bad")
        config = config_map("bad", {"a": "b"})
        answer = self.client.patch(path, json.dumps(config), "apply-patch+yaml")
        self.assertEqual((answer.code, answer.json["message"]), (
            422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'))
        answer = self.client.patch(path + "?force=true", {}, "merge-patch+json")
        self.assertEqual(answer.code, 422)
        self.assertIn("may not be specified for non-apply patch", answer.json["message"])
        refused = self.apply(path, {**config, "metadata": {"name": "bad", "managedFields": []}}, code=400)
        self.assertEqual(refused["message"], "metadata.managedFields must be nil")
        refused = self.apply(path, {**config, "kind": "Secret"}, code=400)
        self.assertEqual(refused["message"], "invalid object type: /v1, Kind=Secret")
        wrong = deployment("bad")
        wrong["spec"]["unknownField"] = 1
        refused = self.apply(self.deployments("bad"), wrong, code=500)
        self.assertEqual(refused["message"], "failed to create typed patch object (/bad; apps/v1, Kind=Deployment): "
                                             ".spec.unknownField: field not declared in schema")
        refused = self.apply(path, "a: [", code=400)
        self.assertIn("error decoding YAML", refused["message"])
        twice = pod("twice")
        twice["spec"]["containers"] *= 2
        refused = self.apply(self.path("pods", "twice"), twice, code=500)
        self.assertIn('.spec.containers: duplicate entries for key [name="c"]', refused["message"])
        refused = self.apply(path, {**config, "metadata": {"name": "bad", "uid": "x"}}, code=409)
        self.assertIn("uid mismatch", refused["message"])
        self.assertEqual(self.client.get(path).code, 404)


class ManagedFields(Base):
    def test_create_and_update_by_user_agent(self):
        agent = {"User-Agent": "tool/v1 (linux)"}
        created = self.client.post(self.path("pods"), pod("p"), headers=agent).json
        entry, = created["metadata"]["managedFields"]
        self.assertEqual((entry["manager"], entry["operation"]), ("tool", "Update"))
        item = entry["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"c"}']
        self.assertEqual(item["."], {})
        self.assertEqual({"f:image", "f:name", "f:imagePullPolicy"} - set(item), set())
        self.assertNotIn("f:status", entry["fieldsV1"])
        labels = {"metadata": {"labels": {"a": "b"}}}
        labelled = self.client.patch(self.path("pods", "p") + "?fieldManager=labeller", labels).json
        self.assertEqual(fields(labelled, "labeller")[0]["fieldsV1"], {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}})
        again = self.client.patch(self.path("pods", "p") + "?fieldManager=another", labels).json
        self.assertEqual(again["metadata"]["resourceVersion"], labelled["metadata"]["resourceVersion"])
        self.assertEqual(fields(again, "another"), [])
        removed = self.client.patch(self.path("pods", "p") + "?fieldManager=another",
                                    {"metadata": {"labels": None}}, "merge-patch+json").json
        self.assertEqual(fields(removed, "labeller"), [])

    def test_status_is_its_own_entry(self):
        self.client.post(self.path("pods"), pod("p"))
        status = {"status": {"phase": "Running"}}
        answer = self.client.patch(self.path("pods", "p") + "/status?fieldManager=kubelet", status).json
        entry, = fields(answer, "kubelet")
        self.assertEqual((entry["subresource"], entry["fieldsV1"]), ("status", {"f:status": {"f:phase": {}}}))

    def test_cap_of_updates(self):
        path = self.path("configmaps", "many")
        self.client.post(self.path("configmaps") + "?fieldManager=m00", config_map("many", {"k00": "v"}))
        for i in range(1, 15):
            answer = self.client.patch(f"{path}?fieldManager=m{i:02}", {"data": {f"k{i:02}": "v"}}, "merge-patch+json")
            self.assertEqual(answer.code, 200)
        entries = self.get(path)["metadata"]["managedFields"]
        self.assertEqual(len(entries), 10)
        ancient = [e for e in entries if e["manager"] == "ancient-changes"]
        self.assertEqual(len(ancient), 1)
        owned = [key for e in entries for key in e["fieldsV1"]["f:data"] if key != "."]
        self.assertEqual(sorted(owned), [f"f:k{i:02}" for i in range(15)])

    def test_clients_may_replace_and_clear(self):
        path = self.path("configmaps", "own")
        created = self.client.post(self.path("configmaps"), config_map("own", {"a": "b"})).json
        entries = [dict(created["metadata"]["managedFields"][0], manager="renamed")]
        renamed = self.client.patch(path, [{"op": "replace", "path": "/metadata/managedFields", "value": entries}],
                                    "json-patch+json").json
        self.assertEqual([e["manager"] for e in renamed["metadata"]["managedFields"]], ["renamed"])
        kept = self.client.put(path, {**renamed, "metadata": {"name": "own"}, "data": {"a": "b"}}).json
        self.assertEqual([e["manager"] for e in kept["metadata"]["managedFields"]], ["renamed"])
        cleared = self.client.patch(path, {"metadata": {"managedFields": [{}]}}, "merge-patch+json").json
        self.assertNotIn("managedFields", cleared["metadata"])
        applied = self.apply(path, config_map("own", {"a": "b"}))
        self.assertEqual(fields(applied, "before-first-apply", "Update")[0]["fieldsV1"], {"f:data": {".": {}, "f:a": {}}})


@unittest.skipUnless(shutil.which("kubectl"), "kubectl is not installed")
class Kubectl(Base):
    def kubectl(self, *args, stdin=None, code=0):
        config = self.cluster.kubeconfig()
        done = subprocess.run(["kubectl", f"--kubeconfig={config}", "-n", self.ns, *args], input=stdin,
                              capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, HOME=os.path.dirname(config)))
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done.stdout if code == 0 else done.stderr

    def apply_by_kubectl(self, config, *args, **kwargs):
        return self.kubectl("apply", "--server-side", "-f", "-", *args, stdin=json.dumps(config), **kwargs)

    def test_twice(self):
        self.assertEqual(self.apply_by_kubectl(deployment("web", 2)), "deployment.apps/web serverside-applied\n")
        version = self.get(self.deployments("web"))["metadata"]["resourceVersion"]
        self.assertEqual(self.apply_by_kubectl(deployment("web", 2)), "deployment.apps/web serverside-applied\n")
        self.assertEqual(self.get(self.deployments("web"))["metadata"]["resourceVersion"], version)
        shown = json.loads(self.kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
        self.assertEqual([e["manager"] for e in shown["metadata"]["managedFields"]], ["kubectl"])
        hidden = json.loads(self.kubectl("get", "deployment", "web", "-o", "json"))
        self.assertNotIn("managedFields", hidden["metadata"])

    def test_conflict_and_force(self):
        self.apply_by_kubectl(deployment("web", 2))
        text = self.apply_by_kubectl(deployment("web", 3), "--field-manager=other", code=1)
        self.assertIn('conflict with "kubectl": .spec.replicas', text)
        self.apply_by_kubectl(deployment("web", 3), "--field-manager=other", "--force-conflicts")
        self.assertEqual(self.get(self.deployments("web"))["spec"]["replicas"], 3)
        self.kubectl("scale", "deployment/web", "--replicas=4")
        text = self.apply_by_kubectl(deployment("web", 3), "--field-manager=other", code=1)
        self.assertIn('conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas', text)

    def test_migrates_from_client_side_apply(self):
        old = deployment("web", 2)
        old["metadata"]["labels"] = {"gone": "soon"}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(old))
        before = self.get(self.deployments("web"))
        self.assertTrue(fields(before, "kubectl-client-side-apply", "Update"))
        self.apply_by_kubectl(deployment("web", 5))
        after = self.get(self.deployments("web"))
        self.assertEqual(after["spec"]["replicas"], 5)
        self.assertNotIn("labels", after["metadata"])
        self.assertEqual(fields(after, "kubectl-client-side-apply"), [])
        self.assertTrue(fields(after, "kubectl", "Apply"))
        # And client-side apply goes on from there.
        self.kubectl("apply", "-f", "-", stdin=json.dumps(deployment("web", 6)))
        self.assertEqual(self.get(self.deployments("web"))["spec"]["replicas"], 6)

    def test_removes_a_list_item(self):
        config = deployment("web")
        containers = config["spec"]["template"]["spec"]["containers"]
        containers.append({"name": "side", "image": "busybox:1", "env": [{"name": "A", "value": "1"}]})
        self.apply_by_kubectl(config)
        containers.pop()
        self.apply_by_kubectl(config)
        left = self.get(self.deployments("web"))["spec"]["template"]["spec"]["containers"]
        self.assertEqual([c["name"] for c in left], ["c"])


if __name__ == "__main__":
    unittest.main()
