# SPDX-License-Identifier: Apache-2.0
"""Real etcd and kube-apiserver processes on free loopback ports, certificates made
with the openssl program, and a small HTTPS client.

Nothing here sleeps for a fixed time to be right: everything waits for what it
needs and fails naming it. Processes die with this one, and a process whose log
speaks of a sanitizer, a failed assertion or a wrong exit fails the run."""

import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
APISERVER = os.path.join(BUILD, "bin", "kube-apiserver")
BAD_WORDS = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:|Assertion .* failed|stack smashing|double free")

_libc = ctypes.CDLL(None, use_errno=True)
_processes = []
_complaints = []
_shared = None


def await_true(what, condition, timeout=20):
    """Polls until the condition holds; returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out waiting for {what}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)


class Process:
    """A daemon with its log in a file."""

    def __init__(self, name, argv, folder):
        self.name = name
        self.log_path = os.path.join(folder, f"{name}-{len(_processes)}.log")
        with open(self.log_path, "w") as log:
            self.popen = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder,
                                          preexec_fn=_die_with_parent)
        self.expected_codes = (0,)
        _processes.append(self)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def await_log(self, pattern, timeout=20):
        def look():
            found = re.search(pattern, self.log())
            if not found and self.popen.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.log()}")
            return found
        return await_true(f"{self.name} to log {pattern!r}", look, timeout)

    def kill(self):
        self.popen.kill()
        self.popen.wait()
        self.expected_codes = (-signal.SIGKILL,)

    def terminate(self, timeout=20):
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            _complaints.append(f"{self.name} did not stop within {timeout} s of SIGTERM\n{self.log()[-4000:]}")
            self.kill()
        return self.popen.returncode

    def check(self):
        log = self.log()
        found = BAD_WORDS.search(log)
        if found:
            _complaints.append(f"{self.name}: {found.group(0)}\n{log[max(0, found.start() - 200):found.start() + 6000]}")
        elif self.popen.returncode not in self.expected_codes:
            _complaints.append(f"{self.name} ended with {self.popen.returncode}\n{log[-4000:]}")


class Etcd(Process):
    def __init__(self, folder, port=None, peer_port=None):
        self.port = port or free_port()
        self.peer_port = peer_port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        peer = f"http://127.0.0.1:{self.peer_port}"
        self.folder = folder
        super().__init__("etcd", ["etcd", "--data-dir", os.path.join(folder, "etcd"), "--listen-client-urls", self.url,
                                  "--advertise-client-urls", self.url, "--listen-peer-urls", peer,
                                  "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                                  "--unsafe-no-fsync"] if Etcd.has_no_fsync() else
                         ["etcd", "--data-dir", os.path.join(folder, "etcd"), "--listen-client-urls", self.url,
                          "--advertise-client-urls", self.url, "--listen-peer-urls", peer,
                          "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"], folder)
        self.expected_codes = (0, -signal.SIGTERM, -signal.SIGKILL)
        await_true("etcd to listen", self.listens)

    _no_fsync = None

    @classmethod
    def has_no_fsync(cls):
        if cls._no_fsync is None:
            text = subprocess.run(["etcd", "--help"], capture_output=True, text=True)
            cls._no_fsync = "unsafe-no-fsync" in text.stdout + text.stderr
        return cls._no_fsync

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def check(self):
        pass


class Pki:
    """One authority and the certificates that the tests need, by openssl."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = os.path.join(folder, "ca.crt")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                      "ca.key", "-out", "ca.crt", "-subj", "/CN=test-ca", "-days", "1")
        self.issue("server", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.issue("admin", "/O=system:masters/O=testers/CN=kubernetes-admin", "extendedKeyUsage=clientAuth")
        self.issue("kubelet", "/O=system:nodes/CN=system:node:n1", "subjectAltName=IP:127.0.0.1")

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"openssl {' '.join(args)}: {done.stderr}")

    def issue(self, name, subject, extensions):
        with open(os.path.join(self.folder, name + ".ext"), "w") as file:
            file.write(extensions + "\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                      name + ".key", "-out", name + ".csr", "-subj", subject)
        self._openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                      "-out", name + ".crt", "-days", "1", "-extfile", name + ".ext")

    def files(self, name):
        return os.path.join(self.folder, name + ".crt"), os.path.join(self.folder, name + ".key")

    def client_context(self, name="admin"):
        context = ssl.create_default_context(cafile=self.ca)
        if name:
            context.load_cert_chain(*self.files(name))
        return context


class ApiServer(Process):
    def __init__(self, folder, pki, etcd_url, *flags, wait=True, port=0):
        certificate, key = pki.files("server")
        kubelet_certificate, kubelet_key = pki.files("admin")
        # No controller makes accounts here: tests that want the plug-in name their own plug-ins.
        if not any("able-admission-plugins" in flag for flag in flags):
            flags = ("--disable-admission-plugins=ServiceAccount", *flags)
        self.pki = pki
        super().__init__("kube-apiserver", [
            APISERVER, f"--etcd-servers={etcd_url}", f"--secure-port={port}", "--bind-address=127.0.0.1",
            f"--client-ca-file={pki.ca}", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
            f"--kubelet-client-certificate={kubelet_certificate}", f"--kubelet-client-key={kubelet_key}",
            f"--kubelet-certificate-authority={pki.ca}", "--service-cluster-ip-range=10.96.0.0/16",
            *([] if any(flag.startswith("--authorization-") for flag in flags) else ["--authorization-mode=Node,RBAC"]),
            "--allow-privileged=true", "-v=3", *flags], folder)
        self.port = int(self.await_log(r'"Serving securely".* port=(\d+)').group(1))
        self.client = Client(self, "admin")
        if wait:
            self.await_ready()

    def await_ready(self, timeout=20):
        await_true("the apiserver to be ready", lambda: self.client.get("/readyz").code == 200, timeout)

    def as_user(self, name):
        return Client(self, name)


class Answer:
    def __init__(self, code, headers, body):
        self.code = code
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return self.headers.get(name)

    def __repr__(self):
        return f"<{self.code} {self.body[:1000]!r}>"


class Client:
    """Requests as one user; one kept connection for each thread."""

    def __init__(self, server, user):
        self.server = server
        self.context = server.pki.client_context(user)
        self.local = threading.local()

    def connect(self, timeout=30):
        return http.client.HTTPSConnection("127.0.0.1", self.server.port, context=self.context, timeout=timeout)

    def request(self, method, path, body=None, headers=None, content_type="application/json"):
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if body is not None and content_type:
            headers.setdefault("Content-Type", content_type)
        for attempt in (0, 1):
            connection = getattr(self.local, "connection", None)
            fresh = connection is None
            if fresh:
                connection = self.local.connection = self.connect()
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                return Answer(response.status, response.headers, response.read())
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if fresh or attempt:
                    return Answer(0, {}, b"")
        return None

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, body, **kwargs):
        return self.request("POST", path, body, **kwargs)

    def put(self, path, body, **kwargs):
        return self.request("PUT", path, body, **kwargs)

    def delete(self, path, body=None, **kwargs):
        return self.request("DELETE", path, body, **kwargs)

    def patch(self, path, body, kind="strategic-merge-patch+json", **kwargs):
        return self.request("PATCH", path, body, content_type="application/" + kind, **kwargs)

    def watch(self, path, headers=None):
        return Watch(self, path, headers)


class Watch:
    """The events of a watch, as they come."""

    def __init__(self, client, path, headers=None):
        self.connection = client.connect(timeout=15)
        self.connection.request("GET", path, headers=headers or {})
        self.response = self.connection.getresponse()
        self.code = self.response.status

    def next(self):
        """The next event, None at the end of the stream."""
        line = self.response.readline()
        return json.loads(line) if line else None

    def take(self, count):
        return [self.next() for _ in range(count)]

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Cluster:
    """One etcd and one apiserver in a folder of their own."""

    def __init__(self, *flags):
        self.prepare()
        self.flags = flags
        self.server = self.start_server()

    def prepare(self):
        self.folder = tempfile.mkdtemp(prefix="caravel-integration-")
        _folders.append(self.folder)
        self.pki = Pki(self.folder)
        self.etcd = Etcd(self.folder)

    def start_server(self, *flags, **kwargs):
        return ApiServer(self.folder, self.pki, self.etcd.url, *self.flags, *flags, **kwargs)

    def kubeconfig(self, server=None):
        path = os.path.join(self.folder, "kubeconfig")
        certificate, key = self.pki.files("admin")
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{(server or self.server).port}",
                                                    "certificate-authority": self.pki.ca}}],
            "users": [{"name": "u", "user": {"client-certificate": certificate, "client-key": key}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
        with open(path, "w") as file:
            json.dump(config, file)
        return path


_folders = []


def shared():
    """The cluster that most tests share; each works in a namespace of its own."""
    global _shared
    if _shared is None:
        _shared = Cluster()
    return _shared


_namespace_count = 0


def new_namespace(client):
    global _namespace_count
    _namespace_count += 1
    name = f"test-{_namespace_count}"
    answer = client.post("/api/v1/namespaces", {"metadata": {"name": name}})
    assert answer.code == 201, answer
    return name


def stop_all():
    """Stops what runs, the servers before etcd; returns what there is to complain of."""
    for process in _processes:
        if not isinstance(process, Etcd):
            process.terminate()
            process.check()
    for process in _processes:
        if isinstance(process, Etcd):
            process.terminate()
    if not _complaints and not os.environ.get("KEEP"):
        for folder in _folders:
            shutil.rmtree(folder, ignore_errors=True)
    return _complaints


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "busybox:1"}], **spec}}


def config_map(name, data=None, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


def deployment(name, replicas=1, labels=None):
    labels = labels or {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}}}}


def service(name, port=80, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"port": port}], **spec}}
