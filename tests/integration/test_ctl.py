# SPDX-License-Identifier: Apache-2.0
"""ctl against the server; and, where a kubectl 1.33 is installed, ctl against kubectl,
byte for byte."""

import base64
import glob
import hashlib
import json
import os
import shutil
import socketserver
import struct
import subprocess
import tempfile
import threading
import unittest

from harness import BUILD, deployment, new_namespace, service, shared

CTL = os.path.join(BUILD, "bin/ctl")
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "a"}},
       "spec": {"containers": [{"name": "c", "image": "b"}]}}


def find_kubectl():
    """A kubectl 1.33: the one on the path, or one that stands beside it with its version in its name."""
    found = shutil.which("kubectl")
    if not found:
        return None
    for path in glob.glob(os.path.join(os.path.dirname(os.path.realpath(found)), "kubectl.1.33*")) + [found]:
        text = subprocess.run([path, "version", "--client"], capture_output=True, text=True).stdout
        if "Client Version: v1.33." in text:
            return path
    return None


KUBECTL = find_kubectl()


class ExecServer(socketserver.StreamRequestHandler):
    """Plain HTTP with one pod, whose exec repeats stdin on stdout until stdin is closed, and ends with exit code 7."""

    def message(self, channel, data):
        length = len(data) + 1
        head = struct.pack(">BB", 0x82, length) if length < 126 else struct.pack(">BBH", 0x82, 126, length)
        self.wfile.write(head + bytes([channel]) + data)

    def read_frame(self):
        first, second = self.rfile.read(2)
        length = second & 0x7f
        if length == 126:
            length = struct.unpack(">H", self.rfile.read(2))[0]
        mask, data = self.rfile.read(4), self.rfile.read(length)
        return first & 0xf, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))

    def answer_exec(self, path, headers):
        accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
                                               .encode()).digest()).decode()
        self.wfile.write((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Protocol: v5.channel.k8s.io\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        while "stdin=true" in path:
            opcode, data = self.read_frame()
            if opcode == 8 or data == bytes([255, 0]):
                break
            if data[0] == 0:
                self.message(1, data[1:])
        self.message(2, path.encode())
        status = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}
        self.message(3, json.dumps(status).encode())
        self.wfile.write(struct.pack(">BBH", 0x88, 2, 1000))

    def handle(self):
        while True:
            line = self.rfile.readline().decode()
            if not line:
                return
            headers = {}
            while (header := self.rfile.readline().decode().strip()):
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            path = line.split()[1]
            if "/exec?" in path:
                self.answer_exec(path, headers)
                return
            body = json.dumps(dict(POD, status={"phase": "Running"}, metadata={"name": "p", "namespace": "d"})).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Exec(unittest.TestCase):
    def setUp(self):
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), ExecServer)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def exec(self, *args, **kwargs):
        address = f"http://127.0.0.1:{self.server.server_address[1]}"
        return subprocess.run([CTL, "-s", address, "-n", "d", "exec", *args], capture_output=True, timeout=30,
                              env={"HOME": "/nonexistent"}, **kwargs)

    def test_exit_code_and_streams(self):
        done = self.exec("p", "--", "sh", "-c", "exit 7")
        self.assertEqual((done.returncode, done.stdout), (7, b""))
        self.assertEqual(done.stderr, b"/api/v1/namespaces/d/pods/p/exec?command=sh&command=-c&command=exit%207&container=c"
                                      b"&stdout=true&stderr=true" + b"command terminated with exit code 7\n")

    def test_stdin_is_carried_and_closed(self):
        done = self.exec("-i", "p", "--", "cat", input=b"through stdin\n")
        self.assertEqual((done.returncode, done.stdout), (7, b"through stdin\n"))

    def test_stdin_may_be_a_file(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"a line of a file\n")
            file.seek(0)
            self.assertEqual(self.exec("-i", "p", "--", "cat", stdin=file).stdout, b"a line of a file\n")
        with open(os.devnull, "rb") as nothing:
            self.assertEqual(self.exec("-i", "p", "--", "cat", stdin=nothing).stdout, b"")


class Base(unittest.TestCase):
    def setUp(self):
        self.cluster = shared()
        self.config = self.cluster.kubeconfig()
        self.ns = new_namespace(self.cluster.server.client)

    def call(self, program, *args, stdin=None):
        return subprocess.run([program, f"--kubeconfig={self.config}", "-n", self.ns, *args], input=stdin,
                              capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, HOME=os.path.dirname(self.config)))

    def ctl(self, *args, stdin=None, code=0):
        done = self.call(CTL, *args, stdin=stdin)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done.stdout if code == 0 else done.stderr


class Ctl(Base):
    def test_apply_scale_delete(self):
        text = json.dumps(deployment("web", 2)) + "\n---\n" + json.dumps(service("web"))
        self.assertEqual(self.ctl("apply", "-f", "-", stdin=text), "deployment.apps/web created\nservice/web created\n")
        self.assertEqual(self.ctl("apply", "-f", "-", stdin=text),
                         "deployment.apps/web unchanged\nservice/web unchanged\n")
        self.assertEqual(self.ctl("apply", "-f", "-", stdin=json.dumps(deployment("web", 3))),
                         "deployment.apps/web configured\n")
        self.assertEqual(self.ctl("scale", "deployment", "web", "--replicas=5"), "deployment.apps/web scaled\n")
        self.assertEqual(self.ctl("get", "deploy/web", "-o", "jsonpath={.spec.replicas}"), "5")
        self.assertEqual(self.ctl("set", "image", "deployment/web", "c=busybox:2"), "deployment.apps/web image updated\n")
        self.assertEqual(self.ctl("rollout", "status", "deployment/web", "--timeout=1s", code=1),
                         "error: timed out waiting for the condition\n")
        out = self.ctl("delete", "-f", "-", stdin=text)
        self.assertEqual(out, 'deployment.apps "web" deleted\nservice "web" deleted\n')
        self.assertEqual(self.ctl("get", "deployments,services"), "")

    def test_wait_sees_a_change(self):
        self.ctl("create", "-f", "-", stdin=json.dumps(POD))
        with subprocess.Popen([CTL, f"--kubeconfig={self.config}", "-n", self.ns, "wait", "pod/p", "--timeout=30s",
                               "--for=jsonpath={.metadata.labels.go}=yes"], stdout=subprocess.PIPE, text=True) as waiting:
            self.ctl("label", "pod", "p", "go=yes")
            self.assertEqual(waiting.communicate(timeout=40)[0], "pod/p condition met\n")
        self.assertEqual(waiting.returncode, 0)
        self.assertEqual(self.ctl("wait", "--for=condition=Ready", "pod/p", "--timeout=1s", code=1),
                         "error: timed out waiting for the condition on pods/p\n")
        self.assertEqual(self.ctl("delete", "pod", "p", "--now"), 'pod "p" deleted\n')
        self.assertEqual(self.ctl("wait", "--for=delete", "pod/p"), "")

    def test_bad_manifests(self):
        for manifest, expected in (
                ("kind: Pod\napiVersion: v1\nmetadata: [", "error: error parsing STDIN: error converting YAML to JSON: "),
                ("apiVersion: v1\nmetadata: {name: x}", 'error: error validating "STDIN": error validating data: kind not set; '),
                ("apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}",
                 'error: resource mapping not found for name: "x" namespace: "" from "STDIN": no matches for kind "Nonsense" '),
                ("apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: other}\nspec: {}",
                 'error: the namespace from the provided object "other" does not match the namespace '),
                ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b}], surprise: 1}",
                 'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a '
                 'Pod: strict decoding error: unknown field "spec.surprise"\n')):
            error = self.ctl("create", "-f", "-", stdin=manifest, code=1)
            self.assertTrue(error.startswith(expected), error)

    def test_exec_without_a_node_is_refused(self):
        self.ctl("create", "-f", "-", stdin=json.dumps(POD))
        self.assertEqual(self.ctl("exec", "p", "--", "true", code=1),
                         "Error from server (BadRequest): pod p does not have a host assigned\n")


@unittest.skipUnless(KUBECTL, "no kubectl 1.33 is installed")
class SameAsKubectl(Base):
    """Reading commands, asked of both."""

    COMMANDS = [
        "get pods", "get pods -o wide", "get pods -A", "get all", "get pods,svc,nodes,deploy -A", "get po/p svc/nope",
        "get po p q", "get pods --show-labels", "get pods -L app", "get pods --no-headers", "get pods --show-kind",
        "get pods -l app=none", "get pods -o name", "get pods -o json", "get deploy,svc -o yaml", "get pod p -o yaml",
        "get pods -o custom-columns=N:.metadata.name,X:.spec.x", "get pods -o jsonpath={.items[*].metadata.name}",
        "get pods -o jsonpath-as-json={.items[*].kind}", "get pods --sort-by=.metadata.name", "get foo", "get",
        "get deploy.foo", "get pods -o foo", "get pods --field-selector foo=p", "get pod -l foo===", "get --bogus",
        "get pods x --ignore-not-found", "get ev", "get nodes", "get --raw /api", "get hpa,cronjobs,sts,ds,rs",
        "describe pod p", "describe deploy web", "describe svc web", "describe cm", "describe pod zz", "describe lease -A",
        "delete pod nope", "delete pod", "delete", "delete pods -l app=none", "scale deploy web",
        "scale deploy web --replicas=3 --current-replicas=77", "apply -f /nope.yaml", "rollout status pod/p",
        "rollout undo deploy/web", "rollout history pod/p", "rollout restart pod/p", "rollout resume deploy/web",
        "logs", "exec p ls", "wait --for=condition=Ready pod/nope", "wait --for=foo pod/p", "wait --for=delete pod/nope",
        "wait --for=jsonpath={.status.phase}=Pending pod/p", "label pod p", "label pod p app=other", "patch pod p",
        "create cm", "create deploy d", "create ns n --dry-run=client -o yaml",
        "create deploy d --image=a/b:1 --dry-run=client -o yaml", "explain pod", "explain deploy --recursive",
        "explain pod.spec.foo", "explain pod.spec.restartPolicy", "api-versions", "api-resources", "api-resources -o wide",
        "api-resources --api-group=apps", "events", "config get-contexts", "config current-context", "config view",
        "taint node n", "cordon nope", "set image deploy/web foo=x:1",
    ]

    @staticmethod
    def shown(done):
        """What the user sees, without the program's name and the noise of kubectl's discovery."""
        lines = [line for line in done.stderr.splitlines() if "memcache.go" not in line]
        return done.returncode, done.stdout, [line.replace("kubectl.1.33", "ctl").replace("kubectl", "ctl") for line in lines]

    def test_same(self):
        for manifest in (POD, deployment("web", 2), service("web")):
            self.ctl("create", "-f", "-", stdin=json.dumps(manifest))
        for command in self.COMMANDS:
            with self.subTest(command):
                for _ in range(3):  # an age may change between the two
                    theirs, ours = (self.shown(self.call(p, *command.split())) for p in (KUBECTL, CTL))
                    if theirs == ours:
                        break
                self.assertEqual(theirs, ours)
