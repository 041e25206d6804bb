# SPDX-License-Identifier: Apache-2.0
"""Admission webhooks: a real HTTPS server beside the apiserver."""

import base64
import http.server
import json
import os
import ssl
import threading
import time
import unittest

import harness
from harness import await_true

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/"


class Hooks:
    """An HTTPS server whose paths are functions of the AdmissionRequest; remembers what it saw."""

    def __init__(self, pki):
        self.seen, self.paths, self.lock = [], {}, threading.Lock()
        pki.issue("hooks", "/CN=hooks", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                path = self.path.partition("?")[0]
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with hooks.lock:
                    hooks.seen.append((path, review["request"], self.path, review["apiVersion"]))
                response = hooks.paths[path](review["request"])
                if isinstance(response, int):
                    self.send_response(response)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if self.headers["Content-Type"] != "application/json":
                    response = {"allowed": False, "status": {"message": "no JSON"}}
                body = json.dumps({"kind": "AdmissionReview", "apiVersion": review["apiVersion"],
                                   "response": {"uid": review["request"]["uid"], **response}}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that did not wait
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pki.files("hooks"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        with open(pki.ca, "rb") as file:
            self.bundle = base64.b64encode(file.read()).decode()

    def client_config(self, path, **fields):
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.bundle, **fields}

    def requests(self, path):
        with self.lock:
            return [request for seen, request, _, _ in self.seen if seen == path]


def patch(*operations):
    return {"allowed": True, "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def warnings(answer):
    return [text.split('"', 1)[1].rsplit('"', 1)[0] for text in answer.headers.get_all("warning") or []]


class Webhooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster()
        cls.client = cls.cluster.server.client
        cls.hooks = Hooks(cls.cluster.pki)
        cls.number = 0

    def setUp(self):
        self.ns = harness.new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.hooks.seen.clear()

    def hook(self, path, answer, mutating=False, operations=("CREATE",), resources=("configmaps",), groups=("",),
             versions=("v1",), client=None, configuration=None, **fields):
        """Registers one webhook for this test's namespace; waits until it is in effect."""
        type(self).number += 1
        self.hooks.paths[path] = answer
        plural = ("mutating" if mutating else "validating") + "webhookconfigurations"
        name = configuration or f"c{self.number:03}"
        webhook = {"name": f"{path.strip('/')}.example.com", "admissionReviewVersions": ["v1", "v1beta1"],
                   "sideEffects": "None", "clientConfig": client or self.hooks.client_config(path),
                   "rules": [{"operations": list(operations), "apiGroups": list(groups),
                              "apiVersions": list(versions), "resources": list(resources)}],
                   "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.ns}}, **fields}
        answer = self.client.post(CONFIGURATIONS + plural, {"metadata": {"name": name}, "webhooks": [webhook]})
        self.assertEqual(answer.code, 201, answer)
        self.addCleanup(self.client.delete, f"{CONFIGURATIONS}{plural}/{name}")
        self.client.get(CONFIGURATIONS + plural)  # a consistent read: the cache has it then
        return f"{CONFIGURATIONS}{plural}/{name}"

    def create(self, name="m", client=None, query="", **kwargs):
        return (client or self.client).post(self.maps + query, harness.config_map(name, **kwargs))

    def assert_refused(self, answer, code, text):
        self.assertEqual(answer.code, code, answer)
        self.assertEqual(answer.json["message"], text)

    # --- validating -----------------------------------------------------------------------

    def test_denial_with_the_webhooks_words(self):
        self.hook("/deny", lambda _: {"allowed": False, "status": {"message": "no such maps", "code": 403,
                                                                    "reason": "Forbidden"}})
        self.assert_refused(self.create(), 403, 'admission webhook "deny.example.com" denied the request: '
                                                'no such maps')
        self.assertEqual(self.create().json["reason"], "Forbidden")

    def test_denial_without_words_is_400(self):
        self.hook("/silent", lambda _: {"allowed": False})
        self.assert_refused(self.create(), 400, 'admission webhook "silent.example.com" denied the request '
                                                'without explanation')

    def test_the_request(self):
        self.hook("/see", lambda _: {"allowed": True, "warnings": ["mind the gap"]},
                  operations=("CREATE", "UPDATE", "DELETE"))
        answer = self.create(data={"a": "b"})
        self.assertEqual((answer.code, warnings(answer)), (201, ["mind the gap"]))
        self.assertEqual(self.client.patch(self.maps + "/m?fieldManager=me", {"data": {"c": "d"}}).code, 200)
        self.assertEqual(self.client.delete(self.maps + "/m").code, 200)
        create, update, delete = self.hooks.requests("/see")
        self.assertEqual(create["kind"], {"group": "", "version": "v1", "kind": "ConfigMap"})
        self.assertEqual(create["resource"], {"group": "", "version": "v1", "resource": "configmaps"})
        self.assertEqual((create["name"], create["namespace"], create["operation"], create["dryRun"]),
                         ("m", self.ns, "CREATE", False))
        self.assertEqual(create["userInfo"]["username"], "kubernetes-admin")
        self.assertIn("system:masters", create["userInfo"]["groups"])
        self.assertEqual(create["object"]["data"], {"a": "b"})
        self.assertIsNone(create["oldObject"])
        self.assertEqual(create["options"]["kind"], "CreateOptions")
        self.assertEqual((update["options"]["kind"], update["options"]["fieldManager"]), ("PatchOptions", "me"))
        self.assertEqual((update["oldObject"]["data"], update["object"]["data"]), ({"a": "b"}, {"a": "b", "c": "d"}))
        self.assertEqual((delete["operation"], delete["object"], delete["oldObject"]["data"]),
                         ("DELETE", None, {"a": "b", "c": "d"}))

    def test_deletion_is_refused(self):
        self.hook("/keep", lambda _: {"allowed": False, "status": {"message": "kept"}}, operations=("DELETE",))
        self.assertEqual(self.create().code, 201)
        self.assert_refused(self.client.delete(self.maps + "/m"), 400,
                            'admission webhook "keep.example.com" denied the request: kept')
        self.assertEqual(self.client.delete(self.maps).code, 400)
        self.assertEqual(self.client.get(self.maps + "/m").code, 200)

    def test_attaching_is_refused(self):
        self.hook("/attach", lambda request: {"allowed": False, "status": {
            "message": f"attaching to {request['name']} is not allowed"}}, operations=("CONNECT",),
            resources=("pods/attach",))
        self.assertEqual(self.client.post(f"/api/v1/namespaces/{self.ns}/pods", harness.pod("p")).code, 201)
        answer = self.client.request("POST", f"/api/v1/namespaces/{self.ns}/pods/p/attach?container=c&stdin=true",
                                     headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        self.assert_refused(answer, 400, 'admission webhook "attach.example.com" denied the request: attaching to p '
                                         'is not allowed')
        request, = self.hooks.requests("/attach")
        self.assertEqual(request["kind"]["kind"], "PodAttachOptions")
        self.assertEqual(request["object"], {"kind": "PodAttachOptions", "apiVersion": "v1", "stdin": True,
                                             "container": "c"})
        self.assertEqual((request["operation"], request["subResource"]), ("CONNECT", "attach"))

    def test_bindings_and_evictions_are_creations(self):
        refuse = {"allowed": False, "status": {"message": "stay"}}
        self.hook("/stay", lambda _: refuse, resources=("pods/binding", "pods/eviction"))
        pods = f"/api/v1/namespaces/{self.ns}/pods"
        self.assertEqual(self.client.post(pods, harness.pod("p")).code, 201)
        for subresource, body in (("binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}),
                                  ("eviction", {"metadata": {"name": "p"}})):
            self.assert_refused(self.client.post(f"{pods}/p/{subresource}", body), 400,
                                'admission webhook "stay.example.com" denied the request: stay')
        binding, eviction = self.hooks.requests("/stay")
        self.assertEqual((binding["kind"]["kind"], binding["object"]["target"]["name"]), ("Binding", "n"))
        self.assertEqual((eviction["kind"], eviction["operation"]),
                         ({"group": "policy", "version": "v1", "kind": "Eviction"}, "CREATE"))

    def test_selectors_and_conditions(self):
        deny = {"allowed": False}
        self.hook("/labelled", lambda _: deny, objectSelector={"matchLabels": {"checked": "yes"}})
        self.hook("/named", lambda _: deny, matchConditions=[
            {"name": "not-skipped", "expression": "object.metadata.name != 'skip-me'"},
            {"name": "ours", "expression": "request.userInfo.username == 'kubernetes-admin' && "
                                           "object.metadata.name.startsWith('skip')"}])
        self.assertEqual(self.create("skip-me").code, 201)
        self.assertEqual(self.create("plain").code, 201)
        self.assertEqual(self.create("skipped").code, 400)
        self.assertEqual(self.create("labelled", labels={"checked": "yes"}).code, 400)
        other = harness.new_namespace(self.client)
        self.assertEqual(self.client.post(f"/api/v1/namespaces/{other}/configmaps",
                                          harness.config_map("a", labels={"checked": "yes"})).code, 201)

    def test_condition_that_fails(self):
        broken = [{"name": "broken", "expression": "object.data.missing == 'x'"}]
        self.hook("/closed", lambda _: {"allowed": True}, matchConditions=broken)
        answer = self.create(data={"a": "b"})
        self.assertEqual(answer.code, 403, answer)
        self.assertIn("no such key: missing", answer.json["message"])

    def test_failure_policies(self):
        self.hook("/broken", lambda _: 500)
        answer = self.create()
        self.assertEqual((answer.code, answer.json["reason"]), (500, "InternalError"))
        self.assertTrue(answer.json["message"].startswith(
            'Internal error occurred: failed calling webhook "broken.example.com": failed to call webhook: an error '
            'on the server'), answer)

    def test_failing_open(self):
        self.hook("/open", lambda _: 500, failurePolicy="Ignore")
        self.assertEqual(self.create().code, 201)
        metrics = self.client.get("/metrics").body.decode()
        self.assertIn('apiserver_admission_webhook_fail_open_count{name="open.example.com",type="validating"} 1', metrics)

    def test_timeout(self):
        self.hook("/slow", lambda _: time.sleep(1.5) or {"allowed": True}, timeoutSeconds=1)
        answer = self.create()
        self.assert_refused(answer, 500, 'Internal error occurred: failed calling webhook "slow.example.com": failed '
                                         f'to call webhook: Post "https://127.0.0.1:{self.hooks.port}/slow?timeout=1s": '
                                         'context deadline exceeded')

    def test_untrusted_certificate(self):
        self.hook("/untrusted", lambda _: {"allowed": True},
                  client={"url": f"https://127.0.0.1:{self.hooks.port}/untrusted"})
        answer = self.create()
        self.assertEqual(answer.code, 500)
        self.assertIn("x509: certificate signed by unknown authority", answer.json["message"])

    def test_missing_service(self):
        self.hook("/x", lambda _: {"allowed": True},
                  client={"service": {"namespace": self.ns, "name": "hooks", "path": "/x"}, "caBundle": self.hooks.bundle})
        self.assert_refused(self.create(), 500, 'Internal error occurred: failed calling webhook "x.example.com": '
                                                f'failed to call webhook: Post "https://hooks.{self.ns}.svc:443/x?'
                                                'timeout=10s": service "hooks" not found')

    def test_dry_run_and_side_effects(self):
        self.hook("/effects", lambda _: {"allowed": True}, sideEffects="None")
        self.assertEqual(self.create(query="?dryRun=All").code, 201)
        request, = self.hooks.requests("/effects")
        self.assertEqual((request["dryRun"], request["options"]["dryRun"]), (True, ["All"]))

    def test_review_of_v1beta1(self):
        self.hook("/old", lambda _: {"allowed": True}, admissionReviewVersions=["v1beta1"])
        self.assertEqual(self.create().code, 201)
        self.assertEqual(self.hooks.seen[0][3], "admission.k8s.io/v1beta1")

    def test_changes_of_the_configuration_take_effect(self):
        path = self.hook("/changing", lambda _: {"allowed": False})
        self.assertEqual(self.create().code, 400)
        body = self.client.get(path).json
        body["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
        self.assertEqual(self.client.put(path, body).code, 200)
        await_true("the webhook to be asked no more", lambda: self.create().code in (201, 409))
        self.assertEqual(self.client.patch(path, [{"op": "replace", "path": "/webhooks/0/rules/0/operations",
                                                   "value": ["CREATE"]}], kind="json-patch+json").code, 200)
        await_true("the webhook to be asked again", lambda: self.create("again").code == 400)

    def test_configurations_are_shown_to_no_webhook(self):
        self.hook("/all", lambda _: {"allowed": False}, operations=("*",), groups=("*",), versions=("*",),
                  resources=("*/*",), namespaceSelector={}, matchConditions=[
                      {"name": "ours", "expression": "request.resource.group == 'admissionregistration.k8s.io'"}])
        path = self.hook("/dummy", lambda _: {"allowed": True})
        self.assertEqual(self.client.delete(path).code, 200)

    def test_equivalent_versions(self):
        seen = []
        self.hook("/hpa", lambda request: seen.append(request) or {"allowed": True}, groups=("autoscaling",),
                  versions=("v2",), resources=("horizontalpodautoscalers",))
        self.hook("/exact", lambda _: {"allowed": False}, groups=("autoscaling",), versions=("v2",),
                  resources=("horizontalpodautoscalers",), matchPolicy="Exact")
        answer = self.client.post(f"/apis/autoscaling/v1/namespaces/{self.ns}/horizontalpodautoscalers", {
            "metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 70,
                                                "scaleTargetRef": {"kind": "Deployment", "name": "d",
                                                                   "apiVersion": "apps/v1"}}})
        self.assertEqual(answer.code, 201, answer)
        self.assertEqual(seen[0]["resource"]["version"], "v2")
        self.assertEqual(seen[0]["requestResource"]["version"], "v1")
        self.assertEqual(seen[0]["object"]["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70)

    def test_validating_ones_are_asked_in_parallel(self):
        barrier = threading.Barrier(3, timeout=5)

        def wait(_):
            barrier.wait()
            return {"allowed": True}
        for number in range(3):
            self.hook(f"/parallel{number}", wait)
        self.assertEqual(self.create().code, 201)

    # --- mutating ---------------------------------------------------------------------------

    def test_mutation_in_order(self):
        self.hook("/first", lambda _: patch({"op": "add", "path": "/data", "value": {"stage": "1"}}), mutating=True)
        self.hook("/second", lambda request: patch({"op": "add", "path": "/data/seen",
                                                    "value": request["object"]["data"]["stage"]}), mutating=True)
        answer = self.create()
        self.assertEqual(answer.code, 201, answer)
        self.assertEqual(answer.json["data"], {"stage": "1", "seen": "1"})
        self.assertEqual(self.client.get(self.maps + "/m").json["data"], {"stage": "1", "seen": "1"})

    def test_defaults_after_mutation(self):
        self.hook("/inject", lambda _: patch({"op": "add", "path": "/spec/initContainers",
                                              "value": [{"name": "init", "image": "busybox:1", "nonsense": 1}]}),
                  mutating=True, resources=("pods",))
        answer = self.client.post(f"/api/v1/namespaces/{self.ns}/pods", harness.pod("p"))
        self.assertEqual(answer.code, 201, answer)
        init, = answer.json["spec"]["initContainers"]
        self.assertEqual((init["terminationMessagePolicy"], init["imagePullPolicy"]), ("File", "IfNotPresent"))
        self.assertNotIn("nonsense", init)

    def test_what_a_webhook_makes_is_validated(self):
        self.hook("/bad", lambda _: patch({"op": "add", "path": "/data", "value": {"": "x"}}), mutating=True)
        answer = self.create()
        self.assertEqual((answer.code, answer.json["reason"]), (422, "Invalid"))

    def test_reinvocation(self):
        def count(request):
            data = request["object"].get("data") or {}
            return patch({"op": "add", "path": "/data", "value": {**data, "asked": str(int(data.get("asked", 0)) + 1)}})
        self.hook("/again", count, mutating=True, reinvocationPolicy="IfNeeded")
        self.hook("/other", lambda _: patch({"op": "add", "path": "/data/other", "value": "x"}), mutating=True)
        self.assertEqual(self.create().json["data"], {"asked": "2", "other": "x"})
        self.assertEqual(len(self.hooks.requests("/other")), 1)

    def test_built_in_plugins_look_again(self):
        self.hook("/class", lambda _: patch({"op": "add", "path": "/spec/tolerations", "value": []}), mutating=True,
                  resources=("pods",))
        answer = self.client.post(f"/api/v1/namespaces/{self.ns}/pods", harness.pod("p"))
        self.assertEqual({t["key"] for t in answer.json["spec"]["tolerations"]},
                         {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})

    def test_scale_is_shown_as_such(self):
        self.hook("/scale", lambda request: patch({"op": "replace", "path": "/spec/replicas", "value": 2}),
                  mutating=True, operations=("UPDATE",), groups=("apps",), resources=("deployments/scale",))
        path = f"/apis/apps/v1/namespaces/{self.ns}/deployments"
        self.assertEqual(self.client.post(path, harness.deployment("d")).code, 201)
        answer = self.client.patch(path + "/d/scale", {"spec": {"replicas": 7}}, kind="merge-patch+json")
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["spec"]["replicas"], 2)
        request, = self.hooks.requests("/scale")
        self.assertEqual((request["object"]["kind"], request["object"]["spec"]["replicas"],
                          request["oldObject"]["spec"]["replicas"]), ("Scale", 7, 1))
        self.assertEqual(request["kind"], {"group": "autoscaling", "version": "v1", "kind": "Scale"})
