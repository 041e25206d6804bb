# SPDX-License-Identifier: Apache-2.0
"""A real kubectl against the server, where one is installed."""

import json
import os
import shutil
import subprocess
import unittest

from harness import deployment, new_namespace, service, shared


@unittest.skipUnless(shutil.which("kubectl"), "kubectl is not installed")
class Kubectl(unittest.TestCase):
    def setUp(self):
        cluster = shared()
        self.config = cluster.kubeconfig()
        self.ns = new_namespace(cluster.server.client)

    def run_kubectl(self, *args, stdin=None, code=0):
        done = subprocess.run(["kubectl", f"--kubeconfig={self.config}", "-n", self.ns, *args], input=stdin,
                              capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, HOME=os.path.dirname(self.config)))
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done.stdout if code == 0 else done.stderr

    def test_apply_twice_and_change(self):
        text = json.dumps(deployment("web", 2)) + "\n---\n" + json.dumps(service("web", type="NodePort"))
        self.assertEqual(self.run_kubectl("apply", "-f", "-", stdin=text),
                         "deployment.apps/web created\nservice/web created\n")
        self.assertEqual(self.run_kubectl("apply", "-f", "-", stdin=text),
                         "deployment.apps/web unchanged\nservice/web unchanged\n")
        changed = json.dumps(deployment("web", 3))
        self.assertEqual(self.run_kubectl("apply", "-f", "-", stdin=changed), "deployment.apps/web configured\n")
        self.assertEqual(self.run_kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"), "3")
        self.assertIn("deployment.apps/web image updated",
                      self.run_kubectl("set", "image", "deployment/web", "c=busybox:2"))
        self.assertIn("web", self.run_kubectl("get", "all"))
        out = self.run_kubectl("delete", "-f", "-", stdin=text)
        self.assertIn('service "web" deleted', out)

    def test_create_commands(self):
        for args in (("configmap", "c", "--from-literal=a=b"), ("secret", "generic", "s", "--from-literal=a=b"),
                     ("deployment", "d", "--image=busybox", "--replicas=2"), ("job", "j", "--image=busybox", "--", "date"),
                     ("cronjob", "cj", "--image=busybox", "--schedule=*/5 * * * *", "--", "date"),
                     ("serviceaccount", "sa"), ("role", "r", "--verb=get", "--resource=pods"),
                     ("rolebinding", "rb", "--role=r", "--user=u"), ("service", "clusterip", "svc", "--tcp=80:80"),
                     ("ingress", "i", "--rule=host.example.com/path=svc:80"), ("quota", "q", "--hard=pods=3"),
                     ("poddisruptionbudget", "p", "--selector=a=b", "--min-available=1")):
            self.assertIn("created", self.run_kubectl("create", *args))
        self.assertEqual(self.run_kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}"), "b")
        self.assertEqual(self.run_kubectl("get", "job", "j", "-o", "jsonpath={.spec.template.spec.containers[0].command}"),
                         '["date"]')
        error = self.run_kubectl("create", "configmap", "c", code=1)
        self.assertIn('configmaps "c" already exists', error)

    def test_run_get_patch_label_delete(self):
        self.assertIn("pod/p created", self.run_kubectl("run", "p", "--image=busybox"))
        wide = self.run_kubectl("get", "pods", "-o", "wide").splitlines()
        self.assertEqual(wide[0].split()[:5], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"])
        self.assertEqual(wide[1].split()[:3], ["p", "0/1", "Pending"])
        self.run_kubectl("label", "pod", "p", "x=y")
        self.run_kubectl("annotate", "pod", "p", "note=text")
        self.assertEqual(self.run_kubectl("get", "pods", "-l", "x=y", "-o", "name"), "pod/p\n")
        self.run_kubectl("patch", "pod", "p", "--type=json", "-p",
                         '[{"op":"replace","path":"/spec/containers/0/image","value":"busybox:9"}]')
        self.assertEqual(self.run_kubectl("get", "pod", "p", "-o", "jsonpath={.spec.containers[0].image}"), "busybox:9")
        self.assertIn("Node:", self.run_kubectl("describe", "pod", "p"))
        self.assertIn('pod "p" deleted', self.run_kubectl("delete", "pod", "p"))
        self.assertIn("NotFound", self.run_kubectl("get", "pod", "p", code=1))

    def test_scale_and_wait(self):
        self.run_kubectl("create", "deployment", "d", "--image=busybox")
        self.assertEqual(self.run_kubectl("scale", "deployment/d", "--replicas=4"), "deployment.apps/d scaled\n")
        self.assertEqual(self.run_kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.replicas}"), "4")

    def test_explain_and_resources(self):
        self.assertIn("containers", self.run_kubectl("explain", "pod.spec"))
        self.assertIn("<[]Container>", self.run_kubectl("explain", "pod.spec.containers"))
        error = self.run_kubectl("explain", "pod.spec.nonsense", code=1)
        self.assertIn('field "nonsense" does not exist', error)
        rows = self.run_kubectl("api-resources", "-o", "name").split()
        for name in ("pods", "deployments.apps", "endpointslices.discovery.k8s.io", "leases.coordination.k8s.io"):
            self.assertIn(name, rows)
        self.assertIn("apps/v1", self.run_kubectl("api-versions"))
        self.assertIn("v1.33", self.run_kubectl("version"))

    def test_errors_in_kubernetes_words(self):
        error = self.run_kubectl("apply", "-f", "-", stdin='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},'
                                                           '"spec":{"containers":[{"name":"c","imagee":"x"}]}}', code=1)
        self.assertIn('unknown field "spec.containers[0].imagee"', error)
        error = self.run_kubectl("create", "-f", "-", stdin='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},'
                                                            '"spec":{"containers":[{"name":"c"}]}}', code=1)
        self.assertIn('The Pod "x" is invalid: spec.containers[0].image: Required value', error)

    def test_diff_and_server_dry_run(self):
        text = json.dumps(deployment("web", 2))
        self.run_kubectl("apply", "-f", "-", stdin=text)
        out = self.run_kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(deployment("web", 5)))
        self.assertIn("configured (server dry run)", out)
        self.assertEqual(self.run_kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"), "2")
