# SPDX-License-Identifier: Apache-2.0
"""etcd lost and found, kills, stops, compaction: each on a cluster of its own."""

import os
import signal
import socket
import subprocess
import threading
import unittest

from harness import ApiServer, Cluster, Etcd, Pki, await_true, config_map, free_port, service

MAPS = "/api/v1/namespaces/default/configmaps"


class Faults(unittest.TestCase):
    def cluster(self, *flags):
        cluster = Cluster(*flags)
        self.addCleanup(cluster.etcd.terminate)
        self.addCleanup(cluster.server.terminate)
        return cluster

    def test_etcd_lost_and_found(self):
        cluster = self.cluster()
        client = cluster.server.client
        self.assertEqual(client.post(MAPS, config_map("before")).code, 201)
        watch = client.watch(f"{MAPS}?watch=true&resourceVersion=" + client.get(MAPS).json["metadata"]["resourceVersion"])
        self.addCleanup(watch.close)
        cluster.etcd.kill()
        await_true("readyz to fail", lambda: client.get("/readyz").code == 500)
        self.assertIn("[-]etcd failed: reason withheld", client.get("/readyz?verbose").body.decode())
        answer = client.post(MAPS, config_map("during"))
        self.assertIn(answer.code, (500, 503, 504), answer)
        self.assertEqual(answer.json["kind"], "Status")
        cached = client.get(MAPS + "?resourceVersion=0")
        self.assertEqual(cached.code, 200)
        self.assertIn("before", [item["metadata"]["name"] for item in cached.json["items"]])
        cluster.etcd = Etcd(cluster.folder, cluster.etcd.port, cluster.etcd.peer_port)
        self.addCleanup(cluster.etcd.terminate)
        await_true("readyz to pass again", lambda: client.get("/readyz").code == 200, 30)
        answer = await_true("a write", lambda: (lambda a: a if a.code == 201 else None)(
            client.post(MAPS, config_map("after"))))
        self.assertEqual(answer.json["metadata"]["name"], "after")
        event = watch.next()
        while event and event["object"]["metadata"]["name"] != "after":
            event = watch.next()
        self.assertEqual(event["type"], "ADDED")

    def test_stopped_as_soon_as_it_serves(self):
        """What the server was writing for its start is answered after those who asked have gone."""
        cluster = self.cluster()
        for _ in range(5):
            cluster.server.terminate()
            self.assertEqual(cluster.server.popen.returncode, 0, cluster.server.log()[-2000:])
            cluster.server = cluster.start_server(wait=False)

    def test_etcd_absent_at_start(self):
        cluster = self.cluster()
        port, peer = free_port(), free_port()
        server = ApiServer(cluster.folder, cluster.pki, f"http://127.0.0.1:{port}", wait=False)
        self.addCleanup(server.terminate)
        self.assertEqual(server.client.get("/readyz").code, 500)
        self.assertEqual(server.client.get("/version").code, 200)
        folder = os.path.join(cluster.folder, "second")
        os.mkdir(folder)
        etcd = Etcd(folder, port, peer)
        self.addCleanup(etcd.terminate)
        server.await_ready(30)
        names = [item["metadata"]["name"] for item in server.client.get("/api/v1/namespaces").json["items"]]
        self.assertEqual(names, ["default", "kube-node-lease", "kube-public", "kube-system"])

    def test_kill_at_any_moment_loses_nothing_acknowledged(self):
        cluster = self.cluster()
        acknowledged, stop = [], threading.Event()

        def write(worker):
            client = cluster.server.client
            i = 0
            while not stop.is_set():
                name = f"w{worker}-{i}"
                if client.post("/api/v1/namespaces/default/services", service(name, type="NodePort")).code == 201:
                    acknowledged.append(name)
                i += 1

        for round_number in range(3):
            stop.clear()
            goal = len(acknowledged) + 15
            writers = [threading.Thread(target=write, args=(f"{round_number}{k}",)) for k in range(3)]
            for writer in writers:
                writer.start()
            await_true("some writes", lambda: len(acknowledged) >= goal)
            cluster.server.kill()
            stop.set()
            for writer in writers:
                writer.join()
            cluster.server = cluster.start_server()
        self.addCleanup(cluster.server.terminate)
        items = cluster.server.client.get("/api/v1/namespaces/default/services").json["items"]
        names = {item["metadata"]["name"] for item in items}
        self.assertEqual(set(acknowledged) - names, set())
        held = [item["spec"]["clusterIP"] for item in items]
        ports = [item["spec"]["ports"][0]["nodePort"] for item in items if item["spec"]["type"] == "NodePort"]
        self.assertEqual(len(set(held)), len(held))
        self.assertEqual(len(set(ports)), len(ports))
        records = {item["metadata"]["name"]
                   for item in cluster.server.client.get("/apis/networking.k8s.io/v1/ipaddresses").json["items"]}
        self.assertEqual(set(held) - records, set())

    def test_graceful_stop(self):
        cluster = self.cluster()
        client = cluster.server.client
        watch = client.watch(f"{MAPS}?watch=true&resourceVersion=" + client.get(MAPS).json["metadata"]["resourceVersion"])
        self.addCleanup(watch.close)
        cluster.server.popen.send_signal(signal.SIGTERM)
        self.assertIsNone(watch.next())
        self.assertEqual(cluster.server.terminate(), 0)

    def test_restart_goes_on_with_old_versions(self):
        cluster = self.cluster()
        start = cluster.server.client.get(MAPS).json["metadata"]["resourceVersion"]
        for i in range(5):
            cluster.server.client.post(MAPS, config_map(f"m{i}"))
        cluster.server.terminate()
        cluster.server = cluster.start_server()
        self.addCleanup(cluster.server.terminate)
        with cluster.server.client.watch(f"{MAPS}?watch=true&resourceVersion={start}") as watch:
            self.assertEqual([event["object"]["metadata"]["name"] for event in watch.take(5)], [f"m{i}" for i in range(5)])

    def test_expired_versions(self):
        cluster = self.cluster("--etcd-compaction-interval=1s")
        client = cluster.server.client
        for i in range(6):
            client.post(MAPS, config_map(f"m{i}"))
        first = client.get(MAPS + "?limit=2").json["metadata"]

        def page():
            client.patch(MAPS + "/m0", {"data": {"k": str(page.count)}}, "merge-patch+json")
            page.count += 1
            answer = client.get(f"{MAPS}?limit=2&continue={first['continue']}")
            return answer if answer.code != 200 else None

        page.count = 0
        expired = await_true("the token to expire", page, 30)
        self.assertEqual((expired.code, expired.json["reason"]), (410, "Expired"))
        token = expired.json["metadata"]["continue"]
        rest = client.get(f"{MAPS}?limit=3&continue={token}").json
        self.assertEqual([item["metadata"]["name"] for item in rest["items"]], ["m2", "m3", "m4"])
        self.assertNotEqual(rest["metadata"]["resourceVersion"], first["resourceVersion"])
        # After a restart nothing is left of what etcd has compacted.
        cluster.server.terminate()
        cluster.server = cluster.start_server()
        self.addCleanup(cluster.server.terminate)
        with cluster.server.client.watch(f"{MAPS}?watch=true&resourceVersion={first['resourceVersion']}") as watch:
            event = watch.next()
            self.assertEqual((event["type"], event["object"]["code"], event["object"]["reason"]), ("ERROR", 410, "Expired"))
            self.assertIsNone(watch.next())

    def test_missing_first_objects_come_back(self):
        cluster = self.cluster()
        client = cluster.server.client
        before = client.get("/api/v1/namespaces/default/services/kubernetes").json["metadata"]["uid"]
        self.assertEqual(client.delete("/api/v1/namespaces/default/services/kubernetes").code, 200)

        def back():
            answer = client.get("/api/v1/namespaces/default/services/kubernetes")
            return answer.code == 200 and answer.json["metadata"]["uid"] != before
        await_true("the kubernetes Service to be made again", back, 25)
        self.assertEqual(client.get("/api/v1/namespaces/default/services/kubernetes").json["spec"]["clusterIP"], "10.96.0.1")
