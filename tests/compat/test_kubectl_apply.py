# SPDX-License-Identifier: Apache-2.0
"""kubectl apply in all its ways: server-side, with pruning, from a kustomization,
and the annotation that the client-side way keeps."""

import json
import os

import clients
from harness import config_map, deployment

WEB = "deployment.apps/web"


class Case(clients.KubectlCase):
    def apply(self, *objects, flags=(), **environment):
        return self.kubectl("apply", *flags, "-f", "-", stdin=self.documents(objects), **environment)

    def documents(self, objects):
        whole = [dict({"apiVersion": "v1", "kind": "ConfigMap"}, **one) for one in objects]
        return "\n".join(json.dumps(one) for one in whole)

    def managers(self, *what):
        shown = json.loads(self.kubectl("get", *what, "-o", "json", "--show-managed-fields"))
        return {(entry["manager"], entry["operation"]) for entry in shown["metadata"]["managedFields"]}

    def names(self, selector):
        return self.kubectl("get", "cm", "-l", selector, "-o", "name").split()

    def editor(self, expression):
        path = os.path.join(self.home, "apply-editor")
        with open(path, "w") as file:
            file.write(f"#!/bin/sh\nsed -i '{expression}' \"$1\"\n")
        os.chmod(path, 0o755)
        return path


@clients.for_each_version
class ServerSide(Case):
    def test_conflicts_name_the_other_manager_and_force_takes_over(self):
        self.assertEqual(self.apply(deployment("web", 2), flags=("--server-side",)), WEB + " serverside-applied\n")
        self.assertEqual(self.managers("deploy", "web") - {("kube-controller-manager", "Update")}, {("kubectl", "Apply")})
        other = ("--server-side", "--field-manager=other")
        text = self.refused("apply", *other, "-f", "-", stdin=json.dumps(deployment("web", 5)))
        self.assertIn('Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas\n', text)
        self.assertEqual(self.apply(deployment("web", 5), flags=(*other, "--force-conflicts")),
                         WEB + " serverside-applied\n")
        self.assertEqual(self.kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"), "5")
        self.assertIn(("other", "Apply"), self.managers("deploy", "web"))

    def test_what_is_no_longer_applied_is_removed(self):
        self.apply(config_map("c", {"a": "1", "b": "2"}), flags=("--server-side",))
        self.apply(config_map("c", {"a": "1"}), flags=("--server-side",))
        self.assertEqual(json.loads(self.kubectl("get", "cm", "c", "-o", "json"))["data"], {"a": "1"})

    def test_a_client_side_object_is_taken_over(self):
        self.apply(config_map("c", {"a": "1", "b": "2"}))
        self.assertEqual(self.managers("cm", "c"), {("kubectl-client-side-apply", "Update")})
        self.apply(config_map("c", {"a": "3"}), flags=("--server-side",))
        self.assertIn(("kubectl", "Apply"), self.managers("cm", "c"))
        self.assertEqual(json.loads(self.kubectl("get", "cm", "c", "-o", "json"))["data"], {"a": "3"})

    def test_dry_run_and_diff(self):
        self.apply(config_map("c", {"a": "1"}), flags=("--server-side",))
        self.assertEqual(self.apply(config_map("c", {"a": "2"}), flags=("--server-side", "--dry-run=server")),
                         "configmap/c serverside-applied (server dry run)\n")
        differs = self.attempt("diff", "--server-side", "-f", "-", stdin=self.documents([config_map("c", {"a": "2"})]))
        self.assertEqual(differs.returncode, 1, differs.stderr)
        self.assertIn("-  a: \"1\"\n+  a: \"2\"\n", differs.stdout)
        self.assertEqual(self.kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}"), "1")


@clients.for_each_version
class Prune(Case):
    FLAGS = ("--prune", "-l", "set=one", "--prune-allowlist=core/v1/ConfigMap")

    def test_what_left_the_manifest_is_pruned(self):
        one, two = (config_map(name, {"k": "v"}, labels={"set": "one"}) for name in ("one", "two"))
        self.kubectl("create", "cm", "bystander")
        self.kubectl("label", "cm", "bystander", "set=one")  # never applied, so never pruned
        self.apply(one, two, flags=self.FLAGS)
        out = self.apply(one, flags=(*self.FLAGS, "--dry-run=server"))
        self.assertIn("configmap/two pruned (server dry run)\n", out)
        self.assertEqual(self.apply(one, flags=self.FLAGS), "configmap/one unchanged\nconfigmap/two pruned\n")
        self.assertEqual(self.names("set=one"), ["configmap/bystander", "configmap/one"])

    def test_apply_sets(self):
        one, two = (config_map(name, {"k": "v"}) for name in ("one", "two"))
        flags = ("--prune", "--applyset=members")
        self.apply(one, two, flags=flags, KUBECTL_APPLYSET="true")
        parent = json.loads(self.kubectl("get", "secret", "members", "-o", "json"))["metadata"]
        self.assertEqual(parent["annotations"]["applyset.kubernetes.io/tooling"][:9], "kubectl/v")
        self.assertIn("configmap/two pruned\n", self.apply(one, flags=flags, KUBECTL_APPLYSET="true"))
        identity = parent["labels"]["applyset.kubernetes.io/id"]
        self.assertEqual(self.names("applyset.kubernetes.io/part-of=" + identity), ["configmap/one"])


@clients.for_each_version
class LastApplied(Case):
    def test_edited_and_set(self):
        self.apply(config_map("c", {"k": "v"}))
        self.assertIn("k: v", self.kubectl("apply", "view-last-applied", "cm", "c", "-o", "yaml"))
        self.assertIn("configmap/c edited", self.kubectl("apply", "edit-last-applied", "cm", "c",
                                                         KUBE_EDITOR=self.editor("s/k: v/k: w/")))
        self.assertIn("k: w", self.kubectl("apply", "view-last-applied", "cm", "c"))
        self.assertEqual(self.kubectl("get", "cm", "c", "-o", "jsonpath={.data.k}"), "v")
        self.kubectl("create", "cm", "bare", "--from-literal=k=v")
        text = self.documents([dict(config_map("bare", {"k": "v"}))])
        self.assertEqual(self.kubectl("apply", "view-last-applied", "cm", "bare"), "")
        self.kubectl("apply", "set-last-applied", "--create-annotation", "-f", "-", stdin=text)
        self.assertIn("k: v", self.kubectl("apply", "view-last-applied", "cm", "bare"))

    def test_fields_that_others_set_stay_and_own_ones_go(self):
        self.apply(config_map("c", {"a": "1", "b": "2"}))
        self.kubectl("patch", "cm", "c", "--type=merge", "-p", '{"data":{"theirs":"3"}}')
        self.apply(config_map("c", {"a": "1"}))
        self.assertEqual(json.loads(self.kubectl("get", "cm", "c", "-o", "json"))["data"], {"a": "1", "theirs": "3"})

    def test_a_kustomization(self):
        folder = os.path.join(self.home, "kustomization-" + self.ns)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "kustomization.yaml"), "w") as file:
            file.write("namePrefix: pre-\ncommonLabels: {kustomized: 'yes'}\nresources: [c.yaml]\n"
                       "configMapGenerator:\n- {name: made, literals: [a=b]}\n")
        with open(os.path.join(folder, "c.yaml"), "w") as file:
            file.write("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n")
        out = self.kubectl("apply", "-k", folder)
        self.assertRegex(out, r"^configmap/pre-c created\nconfigmap/pre-made-\w+ created\n$")
        self.assertEqual(len(self.names("kustomized=yes")), 2)
        self.kubectl("delete", "-k", folder)
        self.assertEqual(self.names("kustomized=yes"), [])
