# SPDX-License-Identifier: Apache-2.0
"""Bad input, strangers, health, discovery."""

import json
import os
import re
import subprocess
import unittest

from harness import APISERVER, config_map, new_namespace, shared


class Errors(unittest.TestCase):
    def setUp(self):
        self.server = shared().server
        self.client = self.server.client
        self.ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"

    def post(self, body, **kwargs):
        return self.client.post(self.maps, body, **kwargs)

    def test_malformed_bodies(self):
        for body in ("", "{", "[]", "null", '"text"', '{"metadata":{"name":"a"}} trailing',
                     b'{"metadata":{"name":"\xff"}}', "{" * 10000, "[" * 100000, '{"a":' * 5000):
            answer = self.post(body)
            self.assertEqual((answer.code, answer.json["kind"]), (400, "Status"), (body[:40], answer))
            self.assertEqual(answer.json["reason"], "BadRequest")

    def test_wrong_kinds_and_types(self):
        answer = self.post({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})
        self.assertEqual(answer.code, 400)
        answer = self.post({"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        self.assertIn("the API version in the data (apps/v1) does not match the expected API version (v1)",
                      answer.json["message"])
        answer = self.post({"metadata": {"name": 7}})
        self.assertEqual(answer.code, 400)
        self.assertIn("json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
                      answer.json["message"])
        answer = self.client.post(f"/apis/apps/v1/namespaces/{self.ns}/deployments",
                                  {"metadata": {"name": "a"}, "spec": {"replicas": "many"}})
        self.assertEqual(answer.code, 400)
        answer = self.post({"metadata": {}})
        self.assertIn("metadata.name: Required value: name or generateName is required", answer.json["message"])
        answer = self.post(config_map("a", {"bad key": "x"}))
        self.assertIn('data[bad key]: Invalid value: "bad key": a valid config key must consist of', answer.json["message"])
        answer = self.post(config_map("a", resourceVersion="7"))
        self.assertEqual(answer.code, 500)
        self.assertEqual(answer.json["message"], "resourceVersion should not be set on objects to be created")

    def test_limits(self):
        answer = self.post('{"metadata":{"name":"a"},"data":{"k":"' + "x" * (3 << 20) + '"}}')
        self.assertEqual(answer.code, 413, answer)
        answer = self.post(config_map("a", {"k": "x" * (1 << 20), "l": "y"}))
        self.assertEqual(answer.code, 422)
        self.assertIn("Too long: may not be more than 1048576 bytes", answer.json["message"])
        answer = self.post(config_map("big", {"k": "x" * 1000000}))
        self.assertEqual(answer.code, 201, answer)

    def test_content_types(self):
        answer = self.post(config_map("a"), content_type="text/plain")
        self.assertEqual(answer.code, 415)
        self.assertEqual(answer.json["reason"], "UnsupportedMediaType")
        self.assertEqual(self.post(config_map("a"), content_type=None).code, 201)
        self.assertEqual(self.post(config_map("b"), content_type="application/json; charset=utf-8").code, 201)
        answer = self.post(b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                           content_type="application/vnd.kubernetes.protobuf")
        self.assertEqual(answer.code, 400)

    def test_protobuf_body(self):
        def field(number, payload):
            return bytes([number << 3 | 2, len(payload)]) + payload

        entry = field(1, b"key") + field(2, b"value")
        metadata = field(1, b"proto")
        config = field(1, metadata) + field(2, entry)
        envelope = b"k8s\0" + field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, config)
        answer = self.post(envelope, content_type="application/vnd.kubernetes.protobuf")
        self.assertEqual(answer.code, 201, answer)
        self.assertEqual((answer.json["metadata"]["name"], answer.json["data"]), ("proto", {"key": "value"}))
        for cut in range(4, len(envelope)):
            answer = self.post(envelope[:cut], content_type="application/vnd.kubernetes.protobuf")
            self.assertIn(answer.code, (400, 422), cut)

    def test_paths(self):
        for path, code in (("/api/v1/nothings", 404), ("/apis/none.example.com/v1/things", 404), ("/nothing", 404),
                           ("/api/v1/namespaces/" + self.ns + "/configmaps/..%2f..%2fsecrets", 400),
                           ("/api/v1/namespaces/%2e%2e/configmaps", 400), ("/api/v1/namespaces/a%00b/configmaps", 400),
                           ("/api/v1/namespaces//configmaps", 400), ("/api/v1/pods/some-name", 404),
                           (self.maps + "/a/status", 404), (self.maps + "/a/b/c", 404), ("/api/v1/%zz", 400)):
            answer = self.client.get(path)
            self.assertEqual(answer.code, code, (path, answer))
        for method, path in (("POST", self.maps + "/a"), ("PUT", self.maps), ("PATCH", self.maps),
                             ("POST", "/api/v1/configmaps"), ("DELETE", "/api/v1/namespaces"), ("POST", "/version")):
            answer = self.client.request(method, path, {}, content_type="application/json")
            self.assertEqual((answer.code, answer.json["reason"]), (405, "MethodNotAllowed"), (method, path))

    def test_options_that_are_no_numbers(self):
        for query in ("limit=x", "timeoutSeconds=1e9", "gracePeriodSeconds=soon", "a=%zz"):
            self.assertEqual(self.client.get(f"{self.maps}?{query}").code, 400, query)

    def test_strangers(self):
        stranger = self.server.as_user(None)
        for path in ("/healthz", "/livez", "/readyz", "/version"):
            self.assertEqual(stranger.get(path).code, 200, path)
        answer = stranger.get(self.maps)
        self.assertEqual((answer.code, answer.json["reason"]), (403, "Forbidden"))
        self.assertEqual(answer.json["message"],
                         'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group '
                         f'"" in the namespace "{self.ns}"')
        self.assertEqual(stranger.get("/apis").json["message"],
                         'forbidden: User "system:anonymous" cannot get path "/apis"')
        answer = stranger.get("/version", headers={"Authorization": "Bearer nonsense"})
        self.assertEqual((answer.code, answer.json["message"]), (401, "Unauthorized"))
        answer = stranger.post("/healthz", {})
        self.assertEqual(answer.code, 403)

    def test_who_am_i(self):
        answer = self.client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        self.assertEqual(answer.code, 201, answer)
        user = answer.json["status"]["userInfo"]
        self.assertRegex(user.pop("extra")["authentication.kubernetes.io/credential-id"][0], "^X509SHA256=[0-9a-f]{64}$")
        self.assertEqual(user, {
            "username": "kubernetes-admin", "groups": ["system:masters", "testers", "system:authenticated"]})
        answer = self.client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                                  {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}})
        self.assertTrue(answer.json["status"]["allowed"])

    def test_health_and_metrics(self):
        answer = self.client.get("/readyz?verbose")
        self.assertEqual(answer.code, 200)
        for name in ("ping", "etcd", "informer-sync", "poststarthook/bootstrap-controller", "shutdown"):
            self.assertIn(f"[+]{name} ok", answer.body.decode())
        self.assertEqual(self.client.get("/livez/ping").code, 200)
        self.assertEqual(self.client.get("/livez/nonsense").code, 404)
        text = self.client.get("/metrics").body.decode()
        self.assertRegex(text, r'apiserver_request_total\{[^}]*resource="namespaces"[^}]*code="201"[^}]*\} [1-9]')
        self.assertIn("apiserver_request_duration_seconds_bucket", text)
        self.assertIn('apiserver_current_inflight_requests{request_kind="readOnly"}', text)

    def test_version(self):
        version = self.client.get("/version").json
        self.assertEqual((version["major"], version["minor"]), ("1", "33"))
        self.assertRegex(version["gitVersion"], r"^v1\.33\.\d+\+caravel$")

    def test_discovery(self):
        groups = self.client.get("/apis").json
        self.assertEqual(groups["kind"], "APIGroupList")
        self.assertIn("apps", [group["name"] for group in groups["groups"]])
        rows = {row["name"]: row for row in self.client.get("/api/v1").json["resources"]}
        self.assertEqual(rows["pods"]["shortNames"], ["po"])
        for name in ("pods/log", "pods/binding", "nodes/status", "namespaces/finalize"):
            self.assertIn(name, rows)
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
        answer = self.client.get("/apis", headers={"Accept": accept})
        self.assertEqual(answer.json["kind"], "APIGroupDiscoveryList")
        self.assertIn("as=APIGroupDiscoveryList", answer.header("Content-Type"))
        again = self.client.get("/apis", headers={"Accept": accept, "If-None-Match": answer.header("ETag")})
        self.assertEqual((again.code, again.body), (304, b""))
        self.assertEqual(self.client.get("/apis/none.example.com").code, 404)

    def test_openapi(self):
        answer = self.client.get("/openapi/v2")
        self.assertEqual(answer.json["swagger"], "2.0")
        self.assertIn("io.k8s.api.core.v1.Pod", answer.json["definitions"])
        self.assertEqual(self.client.get("/openapi/v2", headers={"If-None-Match": answer.header("ETag")}).code, 304)
        index = self.client.get("/openapi/v3").json["paths"]
        document = self.client.get(index["apis/apps/v1"]["serverRelativeURL"]).json
        self.assertIn("io.k8s.api.apps.v1.Deployment", document["components"]["schemas"])
        self.assertEqual(self.client.get("/openapi/v3/apis/none/v1").code, 404)


class Flags(unittest.TestCase):
    def run_server(self, *flags):
        return subprocess.run([APISERVER, *flags], capture_output=True, text=True, timeout=20)

    def test_help_and_version(self):
        done = self.run_server("--help")
        self.assertEqual(done.returncode, 0)
        for flag in ("--etcd-servers", "--service-cluster-ip-range", "--client-ca-file"):
            self.assertIn(flag, done.stdout)
        self.assertRegex(self.run_server("--version").stdout, r"^Kubernetes v1\.33\.")

    def test_bad_flags_are_one_clear_line(self):
        cluster = shared()
        certificate, key = cluster.pki.files("server")
        good = [f"--etcd-servers={cluster.etcd.url}", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
                "--bind-address=127.0.0.1"]
        for flags, expected in (
                (["--nonsense"], "unknown flag: --nonsense"),
                ([], "--etcd-servers must be specified"),
                ([*good, "--service-cluster-ip-range=10.0.0.0"], "invalid CIDR address: 10.0.0.0"),
                ([*good, "--service-node-port-range=9"], "is not a range of ports"),
                ([*good, "--authorization-mode=Everything"], '"Everything" is not a valid value'),
                ([*good, "--enable-admission-plugins=Nope"], 'plugin "Nope" is unknown'),
                ([*good[:1], "--tls-cert-file=/nonexistent", "--tls-private-key-file=/nonexistent"], "/nonexistent"),
                ([*good, f"--secure-port={cluster.server.port}"], "address already in use")):
            done = self.run_server(*flags)
            self.assertEqual(done.returncode, 1, (flags, done))
            lines = [line for line in done.stderr.splitlines() if not re.match(r"[IW]\d{4} ", line)]
            self.assertEqual(len(lines), 1, done.stderr)
            self.assertIn(expected, lines[0])

    def test_flags_of_a_kubeadm_manifest(self):
        cluster = shared()
        certificate, key = cluster.pki.files("admin")
        server = cluster.start_server(
            "--enable-admission-plugins=NodeRestriction", "--enable-bootstrap-token-auth=true",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            f"--proxy-client-cert-file={certificate}", f"--proxy-client-key-file={key}",
            "--requestheader-allowed-names=front-proxy-client", f"--requestheader-client-ca-file={cluster.pki.ca}",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}")
        self.assertEqual(server.client.get("/readyz").code, 200)
        self.assertEqual(server.terminate(), 0)
