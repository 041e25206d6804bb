# SPDX-License-Identifier: Apache-2.0
"""Secrets at rest: what stands in etcd, key rotation by rewriting, reload, and a key management service."""

import base64
import json
import os
import subprocess
import unittest

from harness import APISERVER, Cluster, await_true, config_map

try:
    import grpc
    from concurrent import futures
except ImportError:
    grpc = None

SECRETS = "/api/v1/namespaces/default/secrets"
WORD = "correct-horse-battery"


def key(fill, length=32):
    return base64.b64encode(bytes([fill]) * length).decode()


def rule(*providers, resources=("secrets",)):
    return {"resources": list(resources), "providers": list(providers)}


def cipher(name, *keys):
    return {name: {"keys": [{"name": n, "secret": s} for n, s in keys]}}


IDENTITY = {"identity": {}}


def secret(name):
    return {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "stringData": {"word": WORD}}


# --- a key management service by hand-written messages ---------------------------------------------

def field(number, data):
    length, head = len(data), bytearray([number << 3 | 2])
    while True:
        head.append(length & 127 | (128 if length > 127 else 0))
        length >>= 7
        if not length:
            return bytes(head) + data


def fields(data):
    at, found = 0, {}
    while at < len(data):
        number, at, length, shift = data[at] >> 3, at + 1, 0, 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found[number] = data[at:at + length]
        at += length
    return found


class KeyService:
    """Turns bytes over and tells which key did it."""

    def __init__(self, path):
        self.path, self.key_id, self.calls = path, b"key-1", []
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("v2.KeyManagementService", {
            name: grpc.unary_unary_rpc_method_handler(function) for name, function in (
                ("Status", self.status), ("Encrypt", self.encrypt), ("Decrypt", self.decrypt))})])
        self.server.add_insecure_port("unix:" + path)
        self.server.start()

    def status(self, _request, _context):
        return field(1, b"v2") + field(2, b"ok") + field(3, self.key_id)

    def encrypt(self, request, _context):
        self.calls.append("Encrypt")
        entry = field(1, b"note.example.com") + field(2, b"kept")
        return field(1, self.key_id + b"|" + fields(request)[1][::-1]) + field(2, self.key_id) + field(3, entry)

    def decrypt(self, request, context):
        self.calls.append("Decrypt")
        told = fields(request)
        if fields(told[4])[2] != b"kept" or not told[1].startswith(told[3] + b"|"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not what was encrypted")
        return field(1, told[1].split(b"|", 1)[1][::-1])

    def stop(self):
        self.server.stop(0).wait()


class Encryption(unittest.TestCase):
    def start(self, *rules, flags=()):
        """A cluster with these rules; its configuration file is self.path."""
        self.cluster = cluster = Cluster()
        self.addCleanup(cluster.etcd.terminate)
        self.addCleanup(lambda: cluster.server.terminate())
        cluster.server.terminate()
        self.path = os.path.join(cluster.folder, "encryption.yaml")
        self.configure(*rules)
        self.restart(*flags)
        return cluster

    def configure(self, *rules):
        text = json.dumps({"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
                           "resources": list(rules)})
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.rename(self.path + ".new", self.path)

    def restart(self, *flags):
        self.cluster.server.terminate()
        self.cluster.server = self.cluster.start_server(f"--encryption-provider-config={self.path}", *flags)
        self.client = self.cluster.server.client

    def stored(self, name, resource="secrets"):
        done = subprocess.run(["etcdctl", "--endpoints", self.cluster.etcd.url, "get", "--print-value-only",
                               f"/registry/{resource}/default/{name}"], capture_output=True,
                              env={**os.environ, "ETCDCTL_API": "3"}, check=True)
        return done.stdout

    def word(self, name):
        answer = self.client.get(f"{SECRETS}/{name}")
        self.assertEqual(answer.code, 200, answer)
        return base64.b64decode(answer.json["data"]["word"]).decode()

    def rewrite(self, name):
        """As `kubectl get secrets -o json | kubectl replace -f -` does."""
        held = self.client.get(f"{SECRETS}/{name}").json
        answer = self.client.put(f"{SECRETS}/{name}", held)
        self.assertEqual(answer.code, 200, answer)
        return answer.json["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]

    def test_each_cipher_and_rotation(self):
        self.start(rule(IDENTITY))
        self.assertEqual(self.client.post(SECRETS, secret("one")).code, 201)
        self.assertIn(base64.b64encode(WORD.encode()), self.stored("one"))
        self.assertFalse(self.rewrite("one"))
        chain = [IDENTITY]
        for name, k in (("aescbc", ("a", key(1))), ("aesgcm", ("b", key(2, 16))), ("secretbox", ("c", key(3)))):
            chain.insert(0, cipher(name, k))
            self.configure(rule(*chain))
            self.restart()
            self.assertEqual(self.word("one"), WORD)
            self.assertTrue(self.rewrite("one"), "a value of another key is written again")
            self.assertFalse(self.rewrite("one"), "then there is nothing to write")
            self.assertTrue(self.stored("one").startswith(f"k8s:enc:{name}:v1:{k[0]}:".encode()))
            self.assertNotIn(base64.b64encode(WORD.encode()), self.stored("one"))
            self.assertEqual(self.word("one"), WORD)
        # The old keys may go now; other resources were never touched.
        self.configure(rule(chain[0]))
        self.restart()
        self.assertEqual(self.word("one"), WORD)
        self.client.post("/api/v1/namespaces/default/configmaps", config_map("plain"))
        self.assertTrue(self.stored("plain", "configmaps").startswith(b"{"))

    def test_watches_and_deletes(self):
        self.start(rule(cipher("aesgcm", ("k", key(7)))))
        version = self.client.get(SECRETS).json["metadata"]["resourceVersion"]
        with self.client.watch(f"{SECRETS}?watch=true&resourceVersion={version}") as watch:
            self.client.post(SECRETS, secret("seen"))
            self.client.patch(f"{SECRETS}/seen", {"metadata": {"labels": {"a": "b"}}}, kind="merge-patch+json")
            self.client.delete(f"{SECRETS}/seen")
            events = watch.take(3)
        self.assertEqual([event["type"] for event in events], ["ADDED", "MODIFIED", "DELETED"])
        self.assertEqual(base64.b64decode(events[2]["object"]["data"]["word"]).decode(), WORD)

    def test_reload(self):
        self.start(rule(cipher("aescbc", ("old", key(1)))),
                   flags=("--encryption-provider-config-automatic-reload",))
        self.client.post(SECRETS, secret("one"))
        self.configure(rule(cipher("aescbc", ("new", key(2)), ("old", key(1)))))
        await_true("the new key", lambda: self.rewrite("one"), 30)
        self.assertTrue(self.stored("one").startswith(b"k8s:enc:aescbc:v1:new:"))
        with open(self.path, "w") as file:
            file.write("kind: nonsense")
        self.cluster.server.await_log("The encryption configuration can't be used", 30)
        self.assertEqual(self.word("one"), WORD)
        self.assertNotIn(key(2), self.cluster.server.log())

    def test_bad_file_ends_the_start(self):
        self.start(rule(IDENTITY))
        self.configure(rule(cipher("aescbc", ("k", "c2hvcnQ="))))
        failed = subprocess.run([APISERVER, "--etcd-servers=" + self.cluster.etcd.url, "--secure-port=0",
                                 "--bind-address=127.0.0.1", "--client-ca-file=" + self.cluster.pki.ca,
                                 "--tls-cert-file=" + self.cluster.pki.files("server")[0],
                                 "--tls-private-key-file=" + self.cluster.pki.files("server")[1],
                                 "--service-cluster-ip-range=10.96.0.0/16",
                                 "--encryption-provider-config=" + self.path], capture_output=True, text=True)
        self.assertEqual(failed.returncode, 1)
        self.assertIn('resources[0].providers[0].aescbc.keys[0].secret: Invalid value: "REDACTED": secret is not of '
                      'the expected length, got 5, expected one of [16 24 32]', failed.stderr)

    @unittest.skipUnless(grpc, "python3-grpcio isn't there")
    def test_key_management_service(self):
        folder = os.path.join("/tmp", f"caravel-kms-{os.getpid()}")
        os.mkdir(folder, 0o700)
        self.addCleanup(lambda: subprocess.run(["rm", "-rf", folder], check=True))
        service = KeyService(os.path.join(folder, "kms.sock"))
        self.addCleanup(lambda: service.stop())
        kms = {"kms": {"apiVersion": "v2", "name": "own", "endpoint": "unix://" + service.path, "timeout": "3s"}}
        self.start(rule(kms, IDENTITY))
        self.assertEqual(self.client.post(SECRETS, secret("one")).code, 201)
        self.assertEqual(self.client.post(SECRETS, secret("two")).code, 201)
        self.assertTrue(self.stored("one").startswith(b"k8s:enc:kms:v2:own:"))
        self.assertEqual(service.calls.count("Encrypt"), 1, "one seed for all")
        self.assertIn("[+]kms-providers ok", self.client.get("/readyz?verbose").body.decode())
        self.restart()
        self.assertEqual((self.word("one"), self.word("two")), (WORD, WORD))
        self.assertEqual(service.calls.count("Decrypt"), 1, "the seed is asked for once")
        service.key_id = b"key-2"
        self.restart()
        self.assertTrue(self.rewrite("one"), "the service has another key")
        self.assertFalse(self.rewrite("one"))
        self.assertEqual(self.word("one"), WORD)


if __name__ == "__main__":
    unittest.main()
