# SPDX-License-Identifier: Apache-2.0
"""Conversion by webhook: an HTTPS server of the test converts between v1 (hostPort) and
v2 (host and port), as upstream's conformance tests do."""

import base64
import http.server
import json
import ssl
import threading

from harness import await_true
from test_custom import Base, definition, properties, version


class Webhook:
    """Answers ConversionReviews; `break_with` makes it misbehave."""

    def __init__(self, pki, certificate="server"):
        self.calls = []
        self.break_with = None
        self.stopped = False
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                if webhook.stopped:  # a connection that was kept
                    self.close_connection = True
                    return
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                request = review["request"]
                webhook.calls.append((request["desiredAPIVersion"], len(request["objects"])))
                response = {"uid": request["uid"], "result": {"status": "Success"},
                            "convertedObjects": [convert(o, request["desiredAPIVersion"]) for o in request["objects"]]}
                if webhook.break_with:
                    webhook.break_with(response)
                body = json.dumps({"kind": "ConversionReview", "apiVersion": review["apiVersion"],
                                   "response": response}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pki.files(certificate))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        with open(pki.ca, "rb") as ca:
            self.bundle = base64.b64encode(ca.read()).decode()
        self.port = self.server.server_address[1]
        self.conversion = {"strategy": "Webhook", "webhook": {
            "conversionReviewVersions": ["v1", "v1beta1"],
            "clientConfig": {"url": f"https://127.0.0.1:{self.port}/convert", "caBundle": self.bundle}}}

    def stop(self):
        self.stopped = True
        self.server.shutdown()
        self.server.server_close()


def convert(obj, desired):
    obj = json.loads(json.dumps(obj))
    obj["apiVersion"] = desired
    if desired.endswith("/v2") and "hostPort" in obj:
        obj["host"], obj["port"] = obj.pop("hostPort").split(":")
    elif desired.endswith("/v1") and "host" in obj:
        obj["hostPort"] = f'{obj.pop("host")}:{obj.pop("port")}'
    obj["unknownToTheSchema"] = True
    obj["metadata"].setdefault("labels", {})["converted-to"] = desired.split("/")[1]
    return obj


V1 = properties(hostPort={"type": "string"})
V2 = properties(host={"type": "string"}, port={"type": "string"})


class Conversion(Base):
    def setUp(self):
        super().setUp()
        self.webhook = Webhook(self.cluster.pki)
        self.addCleanup(self.webhook.stop)

    def install_both(self, storage="v1"):
        return self.install(definition(
            self.group,
            version("v1", V1, storage == "v1", selectableFields=[{"jsonPath": ".hostPort"}]),
            version("v2", V2, storage == "v2", selectableFields=[{"jsonPath": ".host"}, {"jsonPath": ".port"}]),
            conversion=self.webhook.conversion))

    def test_am_031_from_v1_to_v2(self):
        self.install_both()
        created = self.create(self.foo(hostPort="localhost:80"))
        self.assertEqual(self.webhook.calls, [])
        read = self.get(self.path("a", "v2"))
        self.assertEqual((read["apiVersion"], read["host"], read["port"]), (f"{self.group}/v2", "localhost", "80"))
        self.assertNotIn("unknownToTheSchema", read)
        self.assertEqual(read["metadata"]["labels"], {"converted-to": "v2"})
        self.assertEqual((read["metadata"]["uid"], read["metadata"]["resourceVersion"]),
                         (created["metadata"]["uid"], created["metadata"]["resourceVersion"]))
        # What was converted is known.
        self.get(self.path("a", "v2"))
        self.assertEqual(len(self.webhook.calls), 1)

    def test_am_030_list_of_mixed_versions(self):
        crd = self.install_both()
        self.create(self.foo("a", hostPort="a:1"))
        self.change(crd, {"spec": {"versions": [
            {**crd["spec"]["versions"][0], "storage": False}, {**crd["spec"]["versions"][1], "storage": True}]}})
        await_true("v2 to be stored", lambda: self.get(self.path("a", "v2"))["host"] == "a")
        self.create(self.foo("b", "v2", host="b", port="2"))
        self.assertEqual([(i["apiVersion"], i["hostPort"]) for i in self.get(self.path())["items"]],
                         [(f"{self.group}/v1", "a:1"), (f"{self.group}/v1", "b:2")])
        self.webhook.calls.clear()
        self.assertEqual([(i["host"], i["port"]) for i in self.get(self.path(api="v2"))["items"]],
                         [("a", "1"), ("b", "2")])
        self.assertTrue(all(count == 1 for _, count in self.webhook.calls), self.webhook.calls)

    def test_lists_in_one_call(self):
        self.install_both()
        for i in range(5):
            self.create(self.foo(f"n{i}", hostPort=f"h:{i}"))
        self.assertEqual(len(self.get(self.path(api="v2"))["items"]), 5)
        self.assertEqual(self.webhook.calls, [(f"{self.group}/v2", 5)])

    def test_writes_through_the_other_version(self):
        self.install_both()
        created = self.create(self.foo("a", "v2", host="x", port="1"))
        self.assertEqual((created["apiVersion"], created["host"]), (f"{self.group}/v2", "x"))
        self.assertEqual(self.get(self.path("a"))["hostPort"], "x:1")
        patched = self.client.patch(self.path("a", "v2"), '{"port":"2"}', "merge-patch+json")
        self.assertEqual((patched.code, patched.json["port"]), (200, "2"))
        self.assertNotEqual(patched.json["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"])
        put = patched.json
        put["host"] = "y"
        self.assertEqual(self.client.put(self.path("a", "v2"), put).code, 200)
        self.assertEqual(self.get(self.path("a"))["hostPort"], "y:2")
        self.assertEqual(self.client.delete(self.path("a", "v2")).code, 200)
        self.assertEqual(self.client.get(self.path("a")).code, 404)

    def test_am_038_selectable_fields_of_each_version(self):
        self.install_both()
        with self.client.watch(self.path(api="v2") + "?watch=1&fieldSelector=host%3Dh1%2Cport%3D80") as watch:
            for name, host_port in (("a", "h1:80"), ("b", "h2:80"), ("c", "h1:81")):
                self.create(self.foo(name, hostPort=host_port))
            self.client.patch(self.path("c"), '{"hostPort":"h1:80"}', "merge-patch+json")
            self.client.patch(self.path("a"), '{"hostPort":"h3:80"}', "merge-patch+json")
            events = [(e["type"], e["object"]["metadata"]["name"], e["object"]["host"], e["object"]["apiVersion"])
                      for e in watch.take(3)]
        self.assertEqual(events, [(t, n, "h1", f"{self.group}/v2")
                                  for t, n in (("ADDED", "a"), ("ADDED", "c"), ("DELETED", "a"))])
        def names(api, selector):
            return [i["metadata"]["name"] for i in self.get(self.path(api=api) + "?fieldSelector=" + selector)["items"]]
        self.assertEqual(names("v2", "port%3D80"), ["a", "b", "c"])
        self.assertEqual(names("v1", "hostPort%3Dh2:80"), ["b"])
        refused = self.client.get(self.path() + "?fieldSelector=host%3Dh1")
        self.assertEqual((refused.code, refused.json["message"]), (400, "field label not supported: host"))
        self.client.delete(self.path(api="v2") + "?fieldSelector=host%3Dh1")
        self.assertEqual(names("v1", ""), ["a", "b"])

    def test_failures(self):
        self.install_both()
        self.create(self.foo(hostPort="h:1"))

        def failure(break_with):
            self.webhook.break_with = break_with
            answer = self.client.get(self.path("a", "v2"))
            self.assertEqual(answer.code, 500, answer)
            return answer.json["message"]

        prefix = f"conversion webhook for {self.group}/v1, Kind=Foo "
        self.assertIn(prefix + "failed: out of order", failure(
            lambda r: r.update(result={"status": "Failure", "message": "out of order"})))
        self.assertIn(prefix + "returned 0 objects, expected 1", failure(lambda r: r.update(convertedObjects=[])))
        self.assertIn("must have the same name: a != other", failure(
            lambda r: r["convertedObjects"][0]["metadata"].update(name="other")))
        self.assertIn("expected response.uid=", failure(lambda r: r.update(uid="another")))
        self.webhook.break_with = None
        self.assertEqual(self.get(self.path("a", "v2"))["host"], "h")
        self.create(self.foo("b", hostPort="h:2"))
        self.webhook.stop()
        answer = self.client.get(self.path("b", "v2"))
        self.assertEqual(answer.code, 500)
        self.assertIn("failed: Post \"https://127.0.0.1:", answer.json["message"])
        self.assertEqual(self.get(self.path("b"))["hostPort"], "h:2")

    def test_by_service(self):
        """A service is looked up, and its certificate is that of NAME.NAMESPACE.svc."""
        host = f"conv.{self.ns}.svc"
        self.cluster.pki.issue(f"conv-{self.ns}", "/CN=conversion", f"subjectAltName=DNS:{host}")
        webhook = Webhook(self.cluster.pki, f"conv-{self.ns}")
        self.addCleanup(webhook.stop)
        webhook.conversion["webhook"]["clientConfig"] = {"caBundle": webhook.bundle, "service": {
            "name": "conv", "namespace": self.ns, "path": "/convert", "port": webhook.port}}
        self.webhook = webhook
        self.install_both()
        self.create(self.foo(hostPort="h:1"))
        answer = self.client.get(self.path("a", "v2"))
        self.assertEqual(answer.code, 500)
        self.assertIn(f'failed: Post "https://{host}:{webhook.port}/convert?timeout=30s": service/conv in "{self.ns}"',
                      answer.json["message"])
        created = self.client.post(f"/api/v1/namespaces/{self.ns}/services", {
            "metadata": {"name": "conv"}, "spec": {"type": "ExternalName", "externalName": "localhost"}})
        self.assertEqual(created.code, 201, created)
        self.assertEqual(await_true("the service", lambda: self.client.get(self.path("a", "v2")).json.get("host")), "h")
