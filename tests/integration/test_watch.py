# SPDX-License-Identifier: Apache-2.0
"""Watches: order, selectors, initial state, bookmarks, ends."""

import json
import unittest

from harness import await_true, config_map, new_namespace, pod, shared

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def brief(events):
    return [(event["type"], event["object"]["metadata"].get("name")) for event in events]


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
