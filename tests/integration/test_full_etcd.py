# SPDX-License-Identifier: Apache-2.0
"""etcd without room: writes are refused in etcd's words, reads and deletes go on, and
all is well once there is room again."""

import os
import subprocess
import unittest
from unittest import mock

from harness import Cluster, await_true, config_map

MAPS = "/api/v1/namespaces/default/configmaps"
QUOTA_BYTES = 4 << 20


class FullEtcd(unittest.TestCase):
    def etcdctl(self, *args):
        done = subprocess.run(["etcdctl", f"--endpoints={self.cluster.etcd.url}", *args], capture_output=True,
                              text=True, timeout=30, env=dict(os.environ, ETCDCTL_API="3"))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_no_space(self):
        with mock.patch.dict(os.environ, {"ETCD_QUOTA_BACKEND_BYTES": str(QUOTA_BYTES)}):
            self.cluster = Cluster()
        self.addCleanup(self.cluster.etcd.terminate)
        self.addCleanup(self.cluster.server.terminate)
        client = self.cluster.server.client
        acknowledged = []
        # etcd looks at its size when it commits, some ten times a second: far more is tried than there is room for.
        for i in range(40 * QUOTA_BYTES // 200000):
            answer = client.post(MAPS, dict(config_map(f"m{i}"), data={"filler": "x" * 200000}))
            if answer.code != 201:
                break
            acknowledged.append(f"m{i}")
        self.assertEqual((answer.code, answer.json["reason"]), (500, "InternalError"), answer)
        self.assertIn("etcdserver: mvcc: database space exceeded", answer.json["message"])
        self.assertTrue(acknowledged)
        # The write that raises the alarm is refused, but etcd has carried it out: the error promises nothing.
        refused = f"m{i}"
        self.assertEqual(self.names(client) - {refused}, set(acknowledged))
        self.assertIn(client.delete(f"{MAPS}/{refused}").code, (200, 404))
        self.assertEqual(client.get(f"{MAPS}/m0").json["data"]["filler"], "x" * 200000)
        while len(acknowledged) > 5:
            self.assertEqual(client.delete(f"{MAPS}/{acknowledged.pop()}").code, 200)
        self.make_room(client)
        await_true("a write", lambda: client.post(MAPS, config_map("after")).code == 201)
        self.assertEqual(self.names(client), set(acknowledged) | {"after"})

    def make_room(self, client):
        """What an operator does: forget old revisions, give the room back, disarm the alarm."""
        self.etcdctl("compact", client.get(MAPS).json["metadata"]["resourceVersion"])
        self.etcdctl("defrag")
        self.etcdctl("alarm", "disarm")

    def names(self, client):
        return {item["metadata"]["name"] for item in client.get(MAPS).json["items"]} - {"kube-root-ca.crt"}
