# SPDX-License-Identifier: Apache-2.0
"""etcd as three members behind TLS: the apiserver goes from one to the next as they
fall, loses nothing that it has acknowledged, and says so when there is no majority."""

import os
import subprocess
import tempfile
import unittest

from harness import ApiServer, Pki, Process, _folders, await_true, config_map, free_port

MAPS = "/api/v1/namespaces/default/configmaps"


class Member(Process):
    def __init__(self, folder, pki, name, ports, cluster):
        self.url = f"https://127.0.0.1:{ports[0]}"
        peer = f"http://127.0.0.1:{ports[1]}"
        certificate, key = pki.files("server")
        super().__init__(f"etcd-{name}", [
            "etcd", "--name", name, "--data-dir", os.path.join(folder, name), "--listen-client-urls", self.url,
            "--advertise-client-urls", self.url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--cert-file", certificate, "--key-file", key, "--client-cert-auth",
            "--trusted-ca-file", pki.ca], folder)
        self.expected_codes = (0, -15, -9)

    def check(self):
        pass


class EtcdCluster(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="caravel-integration-")
        _folders.append(self.folder)
        self.pki = Pki(self.folder)
        self.ports = {name: (free_port(), free_port()) for name in "abc"}
        self.initial = ",".join(f"{name}=http://127.0.0.1:{ports[1]}" for name, ports in self.ports.items())
        self.members = {}
        for name in "abc":
            self.start(name)
        certificate, key = self.pki.files("admin")
        self.tls = ["--cacert", self.pki.ca, "--cert", certificate, "--key", key]
        await_true("a majority", lambda: self.is_healthy("a"), 30)
        self.server = ApiServer(self.folder, self.pki, ",".join(member.url for member in self.members.values()),
                                f"--etcd-cafile={self.pki.ca}", f"--etcd-certfile={certificate}",
                                f"--etcd-keyfile={key}")
        self.addCleanup(self.server.terminate)
        self.client = self.server.client
        self.acknowledged = []

    def start(self, name):
        self.members[name] = Member(self.folder, self.pki, name, self.ports[name], self.initial)
        self.addCleanup(self.members[name].terminate)

    def is_healthy(self, name):
        return subprocess.run(["etcdctl", "--endpoints", self.members[name].url, *self.tls, "endpoint", "health"],
                              capture_output=True, env=dict(os.environ, ETCDCTL_API="3")).returncode == 0

    def write(self):
        name = f"m{len(self.acknowledged)}"
        code = self.client.post(MAPS, config_map(name)).code
        # A write whose answer was lost may be there.
        if code == 201 or (code == 409 and self.client.get(f"{MAPS}/{name}").code == 200):
            self.acknowledged.append(name)
            return True
        self.assertIn(code, (500, 503, 504), name)
        return False

    def write_some(self):
        goal = len(self.acknowledged) + 5
        await_true("writes", lambda: self.write() and len(self.acknowledged) >= goal, 30)

    def test_members_come_and_go(self):
        version = self.client.get(MAPS).json["metadata"]["resourceVersion"]
        watch = self.client.watch(f"{MAPS}?watch=true&resourceVersion={version}")
        self.addCleanup(watch.close)
        self.write_some()
        for name in "abc":  # one of them is the one that it speaks to, one the leader
            self.members[name].kill()
            self.write_some()
            self.assertEqual(self.client.get(MAPS).code, 200)
            self.start(name)
            await_true("the member to be back", lambda name=name: self.is_healthy(name), 30)
        self.members["a"].kill()
        self.members["b"].kill()
        await_true("readyz to fail", lambda: self.client.get("/readyz").code == 500, 30)
        self.assertEqual(self.client.get(MAPS + "?resourceVersion=0").code, 200)
        self.assertIn(self.client.post(MAPS, config_map("lost")).code, (500, 503, 504))
        self.start("a")
        await_true("readyz to pass again", lambda: self.client.get("/readyz").code == 200, 30)
        self.write_some()
        names = {item["metadata"]["name"] for item in self.client.get(MAPS).json["items"]} - {"lost"}
        self.assertEqual(names, set(self.acknowledged))
        seen = []
        while len(seen) < len(self.acknowledged):
            event = watch.next()
            self.assertEqual(event["type"], "ADDED")
            if event["object"]["metadata"]["name"] != "lost":
                seen.append(event["object"]["metadata"]["name"])
        self.assertEqual(seen, self.acknowledged)
