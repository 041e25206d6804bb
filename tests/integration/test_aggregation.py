# SPDX-License-Identifier: Apache-2.0
"""API aggregation: an API server of the test's own behind an APIService."""

import base64
import http.server
import json
import ssl
import threading
import unittest

from harness import Cluster, await_true

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
GROUP = "wardle.example.com"
VERSION = "v1alpha1"
NAME = f"{VERSION}.{GROUP}"
ROOT = f"/apis/{GROUP}/{VERSION}"
DISCOVERY = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}", "resources": [
    {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "shortNames": ["fl"],
     "verbs": ["create", "get", "list", "watch"]},
    {"name": "flunders/status", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]}]}


class Extension(http.server.BaseHTTPRequestHandler):
    """Answers discovery, and everything else with what it was asked."""

    protocol_version = "HTTP/1.1"
    watch_may_go_on = threading.Event()

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in (1, 2):
            line = json.dumps({"type": "ADDED", "object": {"kind": "Flunder", "number": number}}).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
            Extension.watch_may_go_on.wait(10)
        self.wfile.write(b"0\r\n\r\n")

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        if self.path == ROOT:
            self.answer(200, DISCOVERY)
        elif self.path.startswith("/openapi/v3/"):
            self.answer(200, {"openapi": "3.0.0", "paths": {ROOT: {}}})
        elif "watch=true" in self.path:
            self.stream()
        else:
            certificate = self.connection.getpeercert()
            self.answer(201 if self.command == "POST" else 200, {
                "method": self.command, "path": self.path, "body": body, "headers": self.headers.items(),
                "proxy": dict(pair[0] for pair in certificate["subject"]).get("commonName") if certificate else None})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def log_message(self, *_):
        pass


class Aggregation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.etcd.terminate)
        cls.addClassCleanup(lambda: cls.cluster.server.terminate())
        pki = cls.cluster.pki
        pki.issue("proxy", "/CN=front-proxy-client", "extendedKeyUsage=clientAuth")
        pki.issue("extension", "/CN=api", "subjectAltName=DNS:api.default.svc")
        cls.cluster.server.terminate()
        certificate, key = pki.files("proxy")
        cls.cluster.server = cls.cluster.start_server(f"--proxy-client-cert-file={certificate}",
                                                      f"--proxy-client-key-file={key}")
        cls.client = cls.cluster.server.client
        cls.start_extension(0)
        cls.client.post("/api/v1/namespaces/default/services", {
            "kind": "Service", "apiVersion": "v1", "metadata": {"name": "api"},
            "spec": {"type": "ExternalName", "externalName": "localhost"}})
        with open(pki.ca, "rb") as file:
            cls.bundle = base64.b64encode(file.read()).decode()
        created = cls.client.post(SERVICES, cls.api_service(NAME, "api", cls.extension.server_port))
        assert created.code == 201, created
        await_true("the API service to be available", lambda: cls.condition(NAME, "True", "Passed"))

    @classmethod
    def start_extension(cls, port):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=cls.cluster.pki.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(*cls.cluster.pki.files("extension"))
        cls.extension = http.server.ThreadingHTTPServer(("127.0.0.1", port), Extension)
        cls.extension.daemon_threads = True
        cls.extension.socket = context.wrap_socket(cls.extension.socket, server_side=True)
        threading.Thread(target=cls.extension.serve_forever, daemon=True).start()

    @classmethod
    def api_service(cls, name, service, port):
        version, group = name.split(".", 1)
        return {"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": {"name": name},
                "spec": {"group": group, "version": version, "groupPriorityMinimum": 2000, "versionPriority": 15,
                         "service": {"namespace": "default", "name": service, "port": port},
                         "caBundle": cls.bundle}}

    @classmethod
    def condition(cls, name, status, reason):
        conditions = cls.client.get(f"{SERVICES}/{name}").json.get("status", {}).get("conditions", [])
        return any((c["type"], c["status"], c["reason"]) == ("Available", status, reason) for c in conditions)

    def echo(self, method, path, client=None, **kwargs):
        answer = (client or self.client).request(method, path, **kwargs)
        self.assertIn(answer.code, (200, 201), answer)
        return answer.json

    def test_local_services_are_registered(self):
        await_true("v1.apps", lambda: self.client.get(f"{SERVICES}/v1.apps").code == 200)
        await_true("v1.", lambda: self.client.get(f"{SERVICES}/v1.").code == 200)
        apps = self.client.get(f"{SERVICES}/v1.apps").json
        self.assertEqual(apps["metadata"]["labels"], {"kube-aggregator.kubernetes.io/automanaged": "onstart"})
        self.assertEqual((apps["spec"]["groupPriorityMinimum"], apps["spec"]["versionPriority"]), (17800, 15))
        self.assertTrue(self.condition("v1.apps", "True", "Local"))
        table = self.client.get(SERVICES, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json
        rows = {row["cells"][0]: row["cells"][1:3] for row in table["rows"]}
        self.assertEqual(rows["v1.apps"], ["Local", "True"])
        self.assertEqual(rows[NAME], ["default/api", "True"])

    def test_requests_are_sent_on_with_who_asked(self):
        seen = self.echo("POST", f"{ROOT}/namespaces/default/flunders?dryRun=All", body={"kind": "Flunder"},
                         headers={"Authorization": "Basic c2VjcmV0", "X-Remote-User": "mallory",
                                  "X-Remote-Extra-Scopes": "all"})
        self.assertEqual((seen["method"], seen["path"]), ("POST", f"{ROOT}/namespaces/default/flunders?dryRun=All"))
        self.assertEqual(json.loads(seen["body"]), {"kind": "Flunder"})
        self.assertEqual(seen["proxy"], "front-proxy-client")
        headers = [(name.lower(), value) for name, value in seen["headers"]]
        self.assertEqual([v for n, v in headers if n == "x-remote-user"], ["kubernetes-admin"])
        self.assertLessEqual({"system:masters", "system:authenticated"},
                             {v for n, v in headers if n == "x-remote-group"})
        self.assertNotIn("authorization", [n for n, _ in headers])
        self.assertNotIn("all", [v for _, v in headers])

    def test_the_path_stays_as_it_was_sent(self):
        path = f"{ROOT}/namespaces/default/flunders/a/proxy/x%20y?q=a%2Fb"
        self.assertEqual(self.echo("GET", path)["path"], path)

    def test_watch_streams(self):
        Extension.watch_may_go_on.clear()
        with self.client.watch(f"{ROOT}/flunders?watch=true") as watch:
            self.assertEqual(watch.next()["object"]["number"], 1)
            Extension.watch_may_go_on.set()
            self.assertEqual(watch.next()["object"]["number"], 2)
            self.assertIsNone(watch.next())

    def test_discovery_is_one(self):
        groups = {group["name"]: group for group in self.client.get("/apis").json["groups"]}
        self.assertEqual(groups[GROUP]["preferredVersion"], {"groupVersion": f"{GROUP}/{VERSION}",
                                                              "version": VERSION})
        self.assertIn("apps", groups)
        group = self.client.get(f"/apis/{GROUP}").json
        self.assertEqual((group["kind"], group["name"]), ("APIGroup", GROUP))
        self.assertEqual(self.client.get(ROOT).json, DISCOVERY)
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        answer = self.client.get("/apis", headers={"Accept": accept})
        self.assertEqual(answer.header("Content-Type"), accept)
        item = next(item for item in answer.json["items"] if item["metadata"]["name"] == GROUP)
        self.assertEqual(item["versions"], [{"version": VERSION, "freshness": "Current", "resources": [{
            "resource": "flunders", "responseKind": {"group": GROUP, "version": VERSION, "kind": "Flunder"},
            "scope": "Namespaced", "singularResource": "flunder", "shortNames": ["fl"],
            "verbs": ["create", "get", "list", "watch"],
            "subresources": [{"subresource": "status", "verbs": ["get"], "responseKind": {
                "group": GROUP, "version": VERSION, "kind": "Flunder"}}]}]}])
        index = self.client.get("/openapi/v3").json["paths"]
        self.assertIn(f"apis/{GROUP}/{VERSION}", index)
        self.assertIn(ROOT, self.client.get(index[f"apis/{GROUP}/{VERSION}"]["serverRelativeURL"]).json["paths"])

    def test_missing_service(self):
        name = "v1.nowhere.example.com"
        self.assertEqual(self.client.post(SERVICES, self.api_service(name, "not-there", 443)).code, 201)
        await_true("ServiceNotFound", lambda: self.condition(name, "False", "ServiceNotFound"))
        self.assertEqual(self.client.get("/apis/nowhere.example.com/v1/things").code, 503)
        self.assertEqual(self.client.delete(f"{SERVICES}/{name}").code, 200)
        await_true("no such group", lambda: self.client.get("/apis/nowhere.example.com/v1/things").code == 404)

    def test_server_lost_and_found(self):
        port = self.extension.server_port
        self.extension.shutdown()
        self.extension.server_close()
        patch = {"spec": {"versionPriority": 16}}  # a change is checked at once
        self.client.patch(f"{SERVICES}/{NAME}", patch, kind="merge-patch+json")
        await_true("FailedDiscoveryCheck", lambda: self.condition(NAME, "False", "FailedDiscoveryCheck"))
        answer = self.client.get(f"{ROOT}/flunders")
        self.assertEqual((answer.code, answer.body), (503, b"service unavailable\n"))
        type(self).start_extension(port)
        await_true("Passed", lambda: self.condition(NAME, "True", "Passed"))
        self.assertEqual(self.client.get(f"{ROOT}/flunders").code, 200)

    def test_wrong_certificate(self):
        name = "v1.untrusted.example.com"
        wanted = self.api_service(name, "api", self.extension.server_port)
        del wanted["spec"]["caBundle"]
        self.assertEqual(self.client.post(SERVICES, wanted).code, 201)
        await_true("FailedDiscoveryCheck", lambda: self.condition(name, "False", "FailedDiscoveryCheck"))
        self.client.delete(f"{SERVICES}/{name}")


if __name__ == "__main__":
    unittest.main()
