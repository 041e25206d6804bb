# SPDX-License-Identifier: Apache-2.0
"""Watches: order, selectors, initial state, bookmarks, ends."""

import base64
import json
import os
import socket
import struct
import unittest

from harness import await_true, config_map, new_namespace, pod, shared

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def brief(events):
    return [(event["type"], event["object"]["metadata"].get("name")) for event in events]


class WebSocket:
    """A watch over WebSocket, by hand."""

    def __init__(self, client, path, headers=()):
        self.socket = client.context.wrap_socket(socket.create_connection(("127.0.0.1", client.server.port), 15),
                                                 server_hostname="127.0.0.1")
        self.stream = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.status = int(self.stream.readline().split()[1])
        self.headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(self.stream.readline, b"\r\n"))

    def next(self):
        """(opcode, payload)"""
        head = self.stream.read(2)
        length = head[1] & 0x7f
        if length > 125:
            length = struct.unpack(">H" if length == 126 else ">Q", self.stream.read(2 if length == 126 else 8))[0]
        return head[0] & 0xf, self.stream.read(length)

    def send(self, opcode, payload):
        mask = os.urandom(4)
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask +
                            bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def close(self):
        self.stream.close()
        self.socket.close()


class Watches(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"

    def create(self, name, data=None, **metadata):
        answer = self.client.post(self.maps, config_map(name, data, **metadata))
        self.assertEqual(answer.code, 201, answer)
        return answer.json

    def version(self):
        return self.client.get(self.maps).json["metadata"]["resourceVersion"]

    def watch(self, query=""):
        watch = self.client.watch(f"{self.maps}?watch=true{query}")
        self.addCleanup(watch.close)
        self.assertEqual(watch.code, 200)
        return watch

    def test_changes_after_a_version(self):
        self.create("before")
        watch = self.watch(f"&resourceVersion={self.version()}")
        made = self.create("a", {"k": "1"})
        self.client.patch(self.maps + "/a", {"data": {"k": "2"}}, "merge-patch+json")
        self.client.delete(self.maps + "/a")
        events = watch.take(3)
        self.assertEqual(brief(events), [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")])
        self.assertEqual(events[0]["object"], made)
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
        self.assertEqual(versions, sorted(set(versions)))
        self.assertEqual(events[2]["object"]["data"], {"k": "2"})

    def test_replay_from_an_old_version(self):
        start = self.version()
        for i in range(20):
            self.create(f"m{i}")
        for _ in range(3):
            self.assertEqual(brief(self.watch(f"&resourceVersion={start}").take(20)),
                             [("ADDED", f"m{i}") for i in range(20)])

    def test_initial_state(self):
        self.create("a")
        self.create("b")
        for query in ("", "&resourceVersion=0"):
            watch = self.watch(query)
            self.assertEqual(brief(watch.take(2)), [("ADDED", "a"), ("ADDED", "b")])
        self.create("c")
        self.assertEqual(brief([watch.next()]), [("ADDED", "c")])

    def test_selector_transitions(self):
        watch = self.watch(f"&labelSelector=on&resourceVersion={self.version()}")
        self.create("a", {"k": "1"})
        entering = self.client.patch(self.maps + "/a", {"metadata": {"labels": {"on": ""}}}, "merge-patch+json").json
        self.client.patch(self.maps + "/a", {"data": {"k": "2"}}, "merge-patch+json")
        leaving = self.client.patch(self.maps + "/a", {"metadata": {"labels": None}, "data": {"k": "3"}},
                                    "merge-patch+json").json
        self.client.patch(self.maps + "/a", {"data": {"k": "4"}}, "merge-patch+json")
        self.client.patch(self.maps + "/a", {"metadata": {"labels": {"on": ""}}}, "merge-patch+json")
        self.client.delete(self.maps + "/a")
        events = watch.take(5)
        self.assertEqual(brief(events), [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "a"),
                                         ("DELETED", "a")])
        self.assertEqual(events[0]["object"], entering)
        self.assertEqual(events[2]["object"]["data"], {"k": "2"})
        self.assertEqual(events[2]["object"]["metadata"]["resourceVersion"], leaving["metadata"]["resourceVersion"])

    def test_field_selectors(self):
        watch = self.watch(f"&fieldSelector=metadata.name%3Db&resourceVersion={self.version()}")
        self.create("a")
        self.create("b")
        self.assertEqual(brief([watch.next()]), [("ADDED", "b")])
        pods = f"/api/v1/namespaces/{self.ns}/pods"
        with self.client.watch(f"/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn-{self.ns}") as bound:
            self.client.post(pods, pod("p"))
            self.client.post(pods + "/p/binding", {"target": {"kind": "Node", "name": f"n-{self.ns}"}})
            event = bound.next()
            self.assertEqual((event["type"], event["object"]["spec"]["nodeName"]), ("ADDED", f"n-{self.ns}"))

    def test_watch_of_one_object_by_path(self):
        self.create("a")
        with self.client.watch(f"/api/v1/watch/namespaces/{self.ns}/configmaps/a") as watch:
            self.assertEqual(brief([watch.next()]), [("ADDED", "a")])

    def test_bookmark_after_initial_events(self):
        self.create("a")
        watch = self.watch("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
        self.assertEqual(brief([watch.next()]), [("ADDED", "a")])
        mark = watch.next()
        self.assertEqual(mark["type"], "BOOKMARK")
        self.assertEqual(mark["object"]["kind"], "ConfigMap")
        self.assertEqual(mark["object"]["metadata"]["annotations"], {"k8s.io/initial-events-end": "true"})
        self.assertGreater(int(mark["object"]["metadata"]["resourceVersion"]), 0)
        answer = self.client.get(f"{self.maps}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true")
        self.assertEqual(answer.code, 422)
        self.assertIn("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan", answer.json["message"])

    def test_bookmark_before_the_end(self):
        watch = self.watch(f"&resourceVersion={self.version()}&allowWatchBookmarks=true&timeoutSeconds=2"
                           "&labelSelector=none")
        last = self.create("a")["metadata"]["resourceVersion"]
        mark = watch.next()
        self.assertEqual(mark["type"], "BOOKMARK")
        self.assertGreaterEqual(int(mark["object"]["metadata"]["resourceVersion"]), int(last))

    def test_timeout_ends_the_stream_cleanly(self):
        watch = self.watch(f"&resourceVersion={self.version()}&timeoutSeconds=1")
        self.assertIsNone(watch.next())

    def test_table_events(self):
        with self.client.watch(f"{self.maps}?watch=true&resourceVersion={self.version()}", {"Accept": TABLE}) as watch:
            self.create("a", {"k": "1"})
            self.client.delete(self.maps + "/a")
            added, deleted = watch.take(2)
        self.assertEqual(added["object"]["kind"], "Table")
        self.assertEqual(added["object"]["rows"][0]["cells"][:2], ["a", 1])
        self.assertTrue(added["object"]["columnDefinitions"])
        self.assertEqual(deleted["type"], "DELETED")
        self.assertFalse(deleted["object"]["columnDefinitions"])

    def test_slow_watcher_gets_everything(self):
        start = self.version()
        watch = self.watch(f"&resourceVersion={start}")
        payload = "x" * 200000
        for i in range(60):
            self.create(f"m{i}", {"k": payload})
        self.assertEqual(brief(watch.take(60)), [("ADDED", f"m{i}") for i in range(60)])

    def test_watchers_that_leave_are_forgotten(self):
        def open_watches():
            text = self.client.get("/metrics").body.decode()
            return next(int(float(line.split()[-1])) for line in text.splitlines()
                        if line.startswith("apiserver_longrunning_requests"))

        before = await_true("the gauge", lambda: open_watches() + 1) - 1
        watches = [self.client.watch(f"{self.maps}?watch=true&resourceVersion={self.version()}") for _ in range(20)]
        await_true("twenty more watches", lambda: open_watches() >= before + 20 - 5)
        for watch in watches:
            watch.close()
        await_true("the watches to be gone", lambda: open_watches() <= before + 2)

    def test_one_order_for_all(self):
        start = self.version()
        watches = [self.watch(f"&resourceVersion={start}")]
        for i in range(15):
            version = self.create(f"m{i}")["metadata"]["resourceVersion"]
            watches.append(self.watch(f"&resourceVersion={version}"))
        full = [json.dumps(event) for event in watches[0].take(15)]
        for i, watch in enumerate(watches[1:-1], start=1):
            self.assertEqual([json.dumps(event) for event in watch.take(15 - i)], full[i:])

    def test_over_websocket(self):
        path = f"{self.maps}?watch=true&resourceVersion={self.version()}"
        watch = WebSocket(self.client, path)
        self.addCleanup(watch.close)
        self.assertEqual(watch.status, 101)
        self.assertNotIn("sec-websocket-protocol", watch.headers)
        item = self.create("a", {"k": "x" * 70000})
        opcode, message = watch.next()
        self.assertEqual((opcode, json.loads(message)), (1, {"type": "ADDED", "object": item}))
        watch.send(9, b"are you there")
        self.assertEqual(watch.next(), (10, b"are you there"))
        self.client.delete(self.maps + "/a")
        self.assertEqual(json.loads(watch.next()[1])["type"], "DELETED")
        watch.send(8, struct.pack(">H", 1000))
        self.assertEqual(watch.next()[0], 8)
        self.assertEqual(watch.stream.read(1), b"")

    def test_websocket_protocols(self):
        path = f"{self.maps}?watch=true&resourceVersion={self.version()}&timeoutSeconds=1"
        token = base64.urlsafe_b64encode(b"token").decode().rstrip("=")
        watch = WebSocket(self.client, path, [
            f"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.{token}, base64.binary.k8s.io"])
        self.addCleanup(watch.close)
        self.assertEqual((watch.status, watch.headers["sec-websocket-protocol"]), (101, "base64.binary.k8s.io"))
        self.assertEqual(watch.next(), (8, struct.pack(">H", 1000)))  # its time is over

    def test_websocket_tells_errors(self):
        bad = WebSocket(self.client, f"{self.maps}?watch=true&labelSelector=a%3D%3D%3Db")
        self.addCleanup(bad.close)
        self.assertEqual(bad.status, 400)

    def test_websocket_clients_that_vanish(self):
        version = self.version()
        for _ in range(20):
            WebSocket(self.client, f"{self.maps}?watch=true&resourceVersion={version}").close()
        self.create("a")
        with self.client.watch(f"{self.maps}?watch=true&resourceVersion={version}") as watch:
            self.assertEqual(brief([watch.next()]), [("ADDED", "a")])
