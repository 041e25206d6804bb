# SPDX-License-Identifier: Apache-2.0
"""The audit log and the audit webhook."""

import glob
import http.server
import json
import os
import threading
import unittest

import harness
from harness import await_true

POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
    {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
    {"level": "None", "nonResourceURLs": ["/readyz*", "/metrics"]},
    {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}]},
    {"level": "RequestResponse", "omitManagedFields": True, "resources": [{"group": "", "resources": ["configmaps"]}]},
    {"level": "Request", "resources": [{"group": "", "resources": ["pods"]}], "omitStages": ["ResponseStarted"]},
    {"level": "Metadata"}]}


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.batches = batches = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                batches.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"/tmp/caravel-audit-{os.getpid()}"
        cls.log, files = base + ".log", {}
        for name, content in (("policy", POLICY), ("webhook", {
                "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}/audit"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]})):
            files[name] = f"{base}-{name}.json"
            with open(files[name], "w") as file:
                json.dump(content, file)
        cls.cluster = harness.Cluster(f"--audit-policy-file={files['policy']}", f"--audit-log-path={cls.log}",
                                      "--audit-log-maxsize=1", "--audit-log-maxbackup=2",
                                      f"--audit-webhook-config-file={files['webhook']}",
                                      "--audit-webhook-batch-max-wait=100ms")
        cls.addClassCleanup(lambda: [os.unlink(path) for path in glob.glob(base + "*")])
        cls.client = cls.cluster.server.client

    def setUp(self):
        self.ns = harness.new_namespace(self.client)

    def events(self, **wanted):
        found = []
        for path in glob.glob(self.log[:-4] + "*.log"):
            with open(path) as file:
                found += [json.loads(line) for line in file if line.endswith("\n")]
        return [event for event in found if all(event.get(key) == value for key, value in wanted.items())]

    def event(self, answer, stage="ResponseComplete"):
        wanted = {"auditID": answer.header("audit-id"), "stage": stage}
        return await_true(f"the event {wanted}", lambda: self.events(**wanted))[0]

    def test_request_and_response(self):
        path = f"/api/v1/namespaces/{self.ns}/configmaps"
        answer = self.client.post(path + "?fieldManager=me", harness.config_map("m", {"a": "b"}),
                                  headers={"User-Agent": "tester/1", "Audit-ID": "my-own-id"})
        event = self.event(answer)
        self.assertEqual(answer.header("audit-id"), "my-own-id")
        self.assertEqual((event["apiVersion"], event["kind"], event["level"], event["verb"]),
                         ("audit.k8s.io/v1", "Event", "RequestResponse", "create"))
        self.assertEqual((event["requestURI"], event["userAgent"], event["sourceIPs"]),
                         (path + "?fieldManager=me", "tester/1", ["127.0.0.1"]))
        self.assertEqual(event["user"]["username"], "kubernetes-admin")
        self.assertEqual(event["objectRef"], {"resource": "configmaps", "namespace": self.ns, "name": "m",
                                              "apiVersion": "v1"})
        self.assertEqual(event["responseStatus"], {"metadata": {}, "code": 201})
        self.assertEqual((event["requestObject"]["data"], event["responseObject"]["data"]), ({"a": "b"}, {"a": "b"}))
        self.assertNotIn("managedFields", event["responseObject"]["metadata"])
        self.assertEqual(event["annotations"]["authorization.k8s.io/decision"], "allow")
        self.assertLess(event["requestReceivedTimestamp"], event["stageTimestamp"])
        self.assertEqual(self.events(auditID="my-own-id", stage="RequestReceived"), [])

    def test_patch_and_failure(self):
        path = f"/api/v1/namespaces/{self.ns}/configmaps/none"
        event = self.event(self.client.patch(path, {"data": {"a": "c"}}))
        self.assertEqual(event["requestObject"], {"data": {"a": "c"}})
        self.assertEqual((event["responseStatus"]["reason"], event["responseStatus"]["code"]), ("NotFound", 404))
        self.assertEqual(event["responseObject"]["message"], 'configmaps "none" not found')

    def test_secrets_are_not_written(self):
        answer = self.client.post(f"/api/v1/namespaces/{self.ns}/secrets",
                                  {"metadata": {"name": "s"}, "stringData": {"password": "dont-tell-anyone"}})
        event = self.event(answer)
        self.assertEqual((event["level"], event["objectRef"]["name"]), ("Metadata", "s"))
        self.assertNotIn("requestObject", event)
        for path in glob.glob(self.log[:-4] + "*.log"):
            with open(path) as file:
                self.assertNotIn("dont-tell-anyone", file.read())

    def test_what_the_policy_leaves_out(self):
        answers = [self.client.get("/readyz"), self.client.get("/metrics"),
                   self.client.get(f"/api/v1/namespaces/{self.ns}/events")]
        self.event(self.client.get("/version"))
        seen = {event["auditID"] for event in self.events()}
        self.assertFalse(seen & {answer.header("audit-id") for answer in answers})

    def test_watch_has_two_stages(self):
        with self.client.watch(f"/api/v1/namespaces/{self.ns}/services?watch=1") as watch:
            wanted = {"auditID": watch.response.headers["audit-id"]}
            started = await_true("the watch's start", lambda: self.events(**wanted, stage="ResponseStarted"))[0]
            self.assertEqual((started["verb"], started["responseStatus"]["code"]), ("watch", 200))
            self.assertEqual(self.events(**wanted, stage="ResponseComplete"), [])
        await_true("the watch's end", lambda: self.events(**wanted, stage="ResponseComplete"))

    def test_annotations_of_admission(self):
        labels = {"pod-security.kubernetes.io/audit": "baseline"}
        self.client.patch(f"/api/v1/namespaces/{self.ns}", {"metadata": {"labels": labels}})
        answer = self.client.post(f"/api/v1/namespaces/{self.ns}/pods", harness.pod("p", hostNetwork=True))
        self.assertEqual(answer.code, 201, answer)
        annotations = self.event(answer)["annotations"]
        self.assertEqual(annotations["pod-security.kubernetes.io/enforce-policy"], "privileged:latest")
        self.assertEqual(annotations["pod-security.kubernetes.io/audit-violations"],
                         'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)')

    def test_webhook_gets_the_same(self):
        answer = self.client.get(f"/api/v1/namespaces/{self.ns}")
        found = await_true("the event in a batch", lambda: [
            event for batch in list(self.batches) for event in batch["items"]
            if event["auditID"] == answer.header("audit-id")])
        self.assertEqual(found[0]["objectRef"]["resource"], "namespaces")
        self.assertEqual(self.batches[0]["kind"], "EventList")

    def test_rotation(self):
        text = "x" * 200_000
        for number in range(12):
            self.client.post(f"/api/v1/namespaces/{self.ns}/configmaps", harness.config_map(f"big{number}", {"t": text}))
        await_true("two backups", lambda: len(glob.glob(self.log[:-4] + "-2*.log")) == 2)


class BadPolicies(unittest.TestCase):
    def test_refused_at_start(self):
        import subprocess
        import tempfile
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]\n")
            file.flush()
            cluster = harness.shared()
            certificate, key = cluster.pki.files("server")
            done = subprocess.run([harness.APISERVER, f"--etcd-servers={cluster.etcd.url}", "--bind-address=127.0.0.1",
                                   "--secure-port=0", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
                                   f"--audit-policy-file={file.name}", "--audit-log-path=-"],
                                  capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn('level: Unsupported value: "Everything"', done.stderr)
