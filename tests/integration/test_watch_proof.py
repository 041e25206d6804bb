# SPDX-License-Identifier: Apache-2.0
"""Watches against etcd's own history. Watchers of many sorts (selectors, namespaces,
bookmarks, initial events; JSON, protobuf, Tables, metadata only) follow random
writes while the apiserver and etcd are killed and etcd is compacted. Each resumes
from the last version it has seen and lists again only when it is told that the
version is gone. In the end etcd's history says what each should have seen: exactly
that, in that order, nothing twice.

The seed is printed; WATCH_PROOF_SEED repeats a run as far as timing allows, and
WATCH_PROOF_SECONDS makes it longer than its half a minute."""

import base64
import http.client
import json
import os
import random
import socket
import struct
import threading
import time
import unittest
import urllib.request

from harness import ApiServer, Cluster, Etcd, await_true, config_map, pod
from test_protobuf import PROTOBUF, name_of, one, open_envelope, version_of

SECONDS = float(os.environ.get("WATCH_PROOF_SECONDS", "20"))
SEED = int(os.environ.get("WATCH_PROOF_SEED", time.time_ns() % 1000000))
NAMESPACES = ["p0", "p1", "p2"]
NAMES = [f"n{i}" for i in range(6)]
NODES = ["a", "b", "c"]
LABELS = ["x", "y", "z"]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
FAILURES = (http.client.HTTPException, OSError, ValueError, struct.error)


def post(url, body, timeout=10):
    request = urllib.request.Request(url, json.dumps(body).encode())
    return urllib.request.urlopen(request, timeout=timeout)


def encoded(text):
    return base64.b64encode(text).decode()


# --- what etcd says ----------------------------------------------------------------------


class Past:
    """One change: what stood under the key before, and after (None: nothing)."""

    def __init__(self, revision, key, before, after):
        self.revision, self.key, self.before, self.after = revision, key, before, after


class History(threading.Thread):
    """Every change below /registry/PLURAL/, from a watch of our own on etcd."""

    def __init__(self, url, plurals):
        super().__init__(daemon=True)
        self.url, self.last, self.stopping = url, 0, False
        self.changes = {plural: [] for plural in plurals}
        self.objects = {}
        self.start()

    def run(self):
        while not self.stopping:
            try:
                create = {"key": encoded(b"\0"), "range_end": encoded(b"\0"), "start_revision": self.last + 1}
                with post(self.url + "/v3/watch", {"create_request": create}, timeout=2) as stream:
                    for line in stream:
                        self.take(json.loads(line)["result"])
            except (KeyError, *FAILURES):
                time.sleep(0.05)

    def take(self, response):
        assert "compact_revision" not in response, "the test compacted what it had not read"
        for event in response.get("events", []):
            kv = event["kv"]
            key, revision = base64.b64decode(kv["key"]).decode(), int(kv["mod_revision"])
            parts = key.split("/", 3)
            if len(parts) == 4 and parts[1] == "registry" and parts[2] in self.changes:
                after = None if event.get("type") == "DELETE" else json.loads(base64.b64decode(kv["value"]))
                self.changes[parts[2]].append(Past(revision, parts[3], self.objects.get(key), after))
                self.objects[key] = after
        self.last = max([self.last] + [int(event["kv"]["mod_revision"]) for event in response.get("events", [])])

    def state_at(self, plural, revision):
        """key → (object, its revision)"""
        state = {}
        for change in self.changes[plural]:
            if change.revision > revision:
                break
            state.pop(change.key, None)
            if change.after is not None:
                state[change.key] = (change.after, change.revision)
        return state


# --- watchers ------------------------------------------------------------------------------


class Sort:
    """What a watcher asks for, and whether an object of etcd belongs to it."""

    def __init__(self, dice):
        self.plural = dice.choice(["pods", "configmaps"])
        self.namespace = dice.choice(["", *NAMESPACES])
        self.label, self.unlabelled = dice.choice([(None, False), (None, False), (dice.choice(LABELS), False),
                                                   (dice.choice(LABELS), True)])
        self.name = dice.choice(NAMES) if dice.random() < 0.2 else None
        self.node = dice.choice(NODES) if self.plural == "pods" and dice.random() < 0.5 else None
        self.form = dice.choice(["json", "json", "protobuf", "table", "partial"])
        self.bookmarks = dice.random() < 0.6
        self.streams_lists = self.bookmarks and dice.random() < 0.5
        self.slow = dice.random() < 0.15
        self.sleepy = dice.random() < 0.3  # stays away now and then, until its version may be gone

    def path(self):
        return f"/api/v1/namespaces/{self.namespace}/{self.plural}" if self.namespace else f"/api/v1/{self.plural}"

    def query(self):
        labels = [] if self.label is None else [f"l{'!' * self.unlabelled}%3D{self.label}"]
        fields = [f"metadata.name%3D{self.name}"] * bool(self.name) + [f"spec.nodeName%3D{self.node}"] * bool(self.node)
        return "".join(f"&labelSelector={text}" for text in labels) + \
            (f"&fieldSelector={','.join(fields)}" if fields else "")

    def accept(self):
        return {"json": "application/json", "protobuf": PROTOBUF, "table": TABLE, "partial": PARTIAL}[self.form]

    def selects(self, item):
        if item is None:
            return False
        metadata = item["metadata"]
        held = metadata.get("labels", {}).get("l")
        return ((not self.namespace or metadata["namespace"] == self.namespace) and
                (not self.name or metadata["name"] == self.name) and
                (not self.node or item["spec"].get("nodeName", "") == self.node) and
                (self.label is None or (held != self.label if self.unlabelled else held == self.label)))

    def expected(self, history, after):
        """(type, key, revision) of all that a watch from `after` has to tell."""
        for change in history.changes[self.plural]:
            was, now = self.selects(change.before), self.selects(change.after)
            if change.revision > after and (was or now):
                yield ("MODIFIED" if was and now else "ADDED" if now else "DELETED", change.key, change.revision)

    def __str__(self):
        return f"{self.form} {self.path()}?{self.query()}{' bookmarks' * self.bookmarks}{' slow' * self.slow}"


class Segment:
    """From one state (a list, or initial events up to their bookmark) to the next."""

    def __init__(self, start, listed):
        self.start, self.listed, self.events, self.marks = start, listed, [], []


class Expired(Exception):
    pass


class Watcher(threading.Thread):
    def __init__(self, proof, seed):
        super().__init__(daemon=True)
        self.dice = random.Random(seed)
        self.sort = Sort(self.dice)
        self.proof, self.segments, self.seen = proof, [], None
        self.opened = self.expired = 0
        self.wrong = None
        self.start()

    def run(self):
        while not self.proof.stopping:
            try:
                self.turn()
            except Expired:
                self.seen = None
                self.expired += 1
            except FAILURES:
                time.sleep(0.05)
            except Exception as problem:  # pylint: disable=broad-except
                self.wrong = self.wrong or problem
                return

    def turn(self):
        if self.seen is None and not self.sort.streams_lists:
            self.list()
        if self.sort.sleepy and self.dice.random() < 0.2:
            time.sleep(self.dice.uniform(1, 4))
        connection = self.proof.connect()
        try:
            self.watch(connection)
        finally:
            connection.close()

    # Lists are asked for as JSON whatever the watch has.
    def list(self):
        connection = self.proof.connect()
        try:
            connection.request("GET", f"{self.sort.path()}?{self.sort.query()}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise OSError(f"list: {answer.status}")
            found = json.loads(body)
        finally:
            connection.close()
        self.seen = int(found["metadata"]["resourceVersion"])
        self.segments.append(Segment(self.seen, [
            (f"{item['metadata']['namespace']}/{item['metadata']['name']}", int(item["metadata"]["resourceVersion"]))
            for item in found["items"]]))

    def watch(self, connection):
        initial = self.seen is None
        query = f"watch=true&timeoutSeconds={self.dice.randint(1, 5)}{self.sort.query()}"
        query += "&allowWatchBookmarks=true" * self.sort.bookmarks
        query += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan" if initial else f"&resourceVersion={self.seen}"
        connection.request("GET", f"{self.sort.path()}?{query}", headers={"Accept": self.sort.accept()})
        stream = connection.getresponse()
        if stream.status != 200:
            raise OSError(f"watch: {stream.status}")
        self.opened += 1
        listed = [] if initial else None
        for kind, key, revision, ends_initial in self.events(stream):
            if self.sort.slow:
                time.sleep(0.02)
            if kind == "BOOKMARK" and ends_initial:
                self.segments.append(Segment(revision, listed))
                listed = None
            elif listed is not None:
                assert kind == "ADDED", f"{kind} among the initial events"
                listed.append((key, revision))
                continue
            elif kind == "BOOKMARK":
                self.segments[-1].marks.append((len(self.segments[-1].events), revision))
            else:
                self.segments[-1].events.append((kind, key, revision))
            self.seen = revision
            if self.dice.random() < 0.02:
                return  # leaves in the middle

    def events(self, stream):
        while not self.proof.stopping:
            if self.sort.form == "protobuf":
                event = self.next_protobuf(stream)
            else:
                line = stream.readline()
                event = self.of_json(json.loads(line)) if line else None
            if event is None:
                return
            yield event

    def of_json(self, event):
        item = event["object"]
        if event["type"] == "ERROR":
            if item["code"] == 410:
                raise Expired()
            raise OSError(f"ERROR {item['code']}")
        if item["kind"] == "Table":
            item = item["rows"][0]["object"] if item.get("rows") else item
        metadata = item["metadata"]
        return (event["type"], f"{metadata.get('namespace')}/{metadata.get('name')}", int(metadata["resourceVersion"]),
                "k8s.io/initial-events-end" in metadata.get("annotations", {}))

    def next_protobuf(self, stream):
        head = stream.read(4)
        if not head:
            return None
        frame = stream.read(struct.unpack(">I", head)[0])
        kind, message = one(frame, 1).decode(), open_envelope(one(frame, 2, 1))[2]
        if kind == "ERROR":
            if one(message, 6) == 410:
                raise Expired()
            raise OSError(f"ERROR {one(message, 6)}")
        namespace = (one(message, 1, 3) or b"").decode()
        return kind, f"{namespace}/{name_of(message)}", int(version_of(message)), b"k8s.io/initial-events-end" in message

    # --- the judgement ---

    def delivered(self):
        return len(self.segments[-1].events) if self.segments else 0

    def outstanding(self, history):
        if not self.segments or self.seen is None:
            return "no state yet"
        count = sum(1 for _ in self.sort.expected(history, self.segments[-1].start))
        return f"{self.delivered()} of {count} events" if self.delivered() < count else None

    def complaint(self, history):
        if self.wrong:
            return f"{type(self.wrong).__name__}: {self.wrong}"
        for number, segment in enumerate(self.segments):
            last = number == len(self.segments) - 1
            state = {key: revision for key, (item, revision) in history.state_at(self.sort.plural, segment.start).items()
                     if self.sort.selects(item)}
            if segment.listed != sorted(state.items()):
                return f"state at {segment.start}: {segment.listed} and not {sorted(state.items())}"
            expected = list(self.sort.expected(history, segment.start))
            got = segment.events
            if got != expected[:len(got)] or (last and len(got) != len(expected)):
                at = next((i for i, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]), len(got))
                return f"event {at} after {segment.start}: {got[at:at + 3]} and not {expected[at:at + 3]}"
            for count, revision in segment.marks:
                if sum(1 for event in expected if event[2] <= revision) != count:
                    return f"the bookmark {revision} came after {count} events"
        return None


# --- writers and accidents --------------------------------------------------------------------


class Writer(threading.Thread):
    def __init__(self, proof, seed):
        super().__init__(daemon=True)
        self.dice, self.proof, self.written, self.stopping = random.Random(seed), proof, 0, False
        self.start()

    def run(self):
        connection = None
        while not self.stopping:
            method, path, body, kind = self.next_write()
            try:
                connection = connection or self.proof.connect()
                connection.request(method, path, body and json.dumps(body), {"Content-Type": kind})
                answer = connection.getresponse()
                answer.read()
                self.written += answer.status < 300
                time.sleep(0.004)
            except FAILURES:
                connection = connection and connection.close()
                time.sleep(0.05)

    def next_write(self):
        dice = self.dice
        plural, name = dice.choice(["pods", "configmaps"]), dice.choice(NAMES)
        path = f"/api/v1/namespaces/{dice.choice(NAMESPACES)}/{plural}"
        labels = {"l": dice.choice(LABELS)} if dice.random() < 0.7 else {}
        roll = dice.random()
        if roll < 0.45:
            item = config_map(name) if plural == "configmaps" else pod(name)
            if plural == "pods" and dice.random() < 0.8:
                item["spec"]["nodeName"] = dice.choice(NODES)
            item["metadata"]["labels"] = labels
            return "POST", path, item, "application/json"
        if roll < 0.8:
            patch = {"metadata": {"labels": {"l": labels.get("l")}, "annotations": {"r": str(dice.random())}}}
            return "PATCH", f"{path}/{name}", patch, "application/merge-patch+json"
        if roll < 0.81:
            return "DELETE", path, {"gracePeriodSeconds": 0}, "application/json"
        return "DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0}, "application/json"


class Proof(unittest.TestCase):
    def connect(self):
        return self.cluster.server.client.connect(timeout=8)

    def restart_apiserver(self):
        port = self.cluster.server.port
        self.cluster.server.kill()
        self.cluster.server = ApiServer(self.cluster.folder, self.cluster.pki, self.cluster.etcd.url, "-v=2", port=port)

    def restart_etcd(self):
        etcd = self.cluster.etcd
        etcd.kill()
        self.cluster.etcd = Etcd(self.cluster.folder, etcd.port, etcd.peer_port)

    def compact(self, dice):
        revision = self.history.last - dice.choice([0, 0, dice.randint(0, 60)])
        try:
            if revision > 1:
                post(self.cluster.etcd.url + "/v3/kv/compaction", {"revision": revision}).close()
        except FAILURES:
            pass  # compacted further already

    def test_every_watcher_sees_history(self):
        print(f"watch proof: seed {SEED}, {SECONDS:.0f} s", flush=True)
        dice = random.Random(SEED)
        self.stopping = False
        self.cluster = Cluster("-v=2")
        self.addCleanup(lambda: self.cluster.etcd.terminate())
        self.addCleanup(lambda: self.cluster.server.terminate())
        for name in NAMESPACES:
            self.assertEqual(self.cluster.server.client.post("/api/v1/namespaces", {"metadata": {"name": name}}).code, 201)
            self.cluster.server.client.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        self.history = History(self.cluster.etcd.url, ["pods", "configmaps"])
        writers = [Writer(self, dice.random()) for _ in range(3)]
        watchers = [Watcher(self, dice.random()) for _ in range(24)]
        accidents = [self.restart_apiserver, self.restart_etcd, lambda: self.compact(dice), lambda: self.compact(dice)]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for accident in dice.sample(accidents, len(accidents)):
                time.sleep(dice.uniform(0.3, 2.0))
                accident()
        for writer in writers:
            writer.stopping = True
        for writer in writers:
            writer.join()
        self.settle(watchers)
        self.stopping = True
        for watcher in watchers:
            complaint = watcher.complaint(self.history)
            self.assertIsNone(complaint, f"seed {SEED}: {watcher.sort}: {complaint}")
        self.say_what_was_tried(writers, watchers)

    def settle(self, watchers):
        """Until etcd's history is read to its end and every watcher has what it should have."""
        server = self.cluster.server
        await_true("the apiserver", lambda: server.client.get("/readyz").code == 200, 30)
        last = int(server.client.get("/api/v1/pods").json["metadata"]["resourceVersion"])
        await_true("etcd's history", lambda: self.history.last >= last, 20)

        def all_have_all():
            behind = [(watcher, watcher.outstanding(self.history)) for watcher in watchers if not watcher.wrong]
            self.behind = "; ".join(f"{watcher.sort}: {what}" for watcher, what in behind if what)
            return not self.behind
        try:
            await_true("all watchers", all_have_all, 20)
        except AssertionError:
            self.fail(f"seed {SEED}: {self.behind}")

    def say_what_was_tried(self, writers, watchers):
        events = sum(len(segment.events) for watcher in watchers for segment in watcher.segments)
        marks = sum(len(segment.marks) for watcher in watchers for segment in watcher.segments)
        written = sum(writer.written for writer in writers)
        print(f"watch proof: {written} writes; {events} events and {marks} bookmarks on "
              f"{sum(watcher.opened for watcher in watchers)} watches, {sum(len(w.segments) for w in watchers)} states, "
              f"{sum(watcher.expired for watcher in watchers)} times expired", flush=True)
        self.assertGreater(written, 100)
        self.assertGreater(events, 500)
