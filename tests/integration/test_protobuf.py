# SPDX-License-Identifier: Apache-2.0
"""Protobuf both ways, checked by a small reader and writer of the wire format that
know nothing of the server's: numbers are those of upstream's .proto files."""

import struct
import unittest

from harness import await_true, config_map, deployment, new_namespace, pod, service, shared

PROTOBUF = "application/vnd.kubernetes.protobuf"
DEFAULT = {"Accept": "application/vnd.kubernetes.protobuf,application/json"}  # client-go's
ONLY = {"Accept": PROTOBUF}
PARTIAL = {"Accept": PROTOBUF + ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
PARTIAL_LIST = {"Accept": PROTOBUF + ";as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
TABLE = {"Accept": "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,"
                   "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}

# --- the wire format ---------------------------------------------------------------


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(number, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def integer(number, value):
    return varint(number << 3) + varint(value)


def envelope(api_version, kind, message):
    return b"k8s\0" + text(1, text(1, api_version) + text(2, kind)) + text(2, message) + text(3, "") + text(4, "")


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at


def fields(data):
    """The message's fields as number → list of values (int or bytes), to the last byte."""
    found, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind == 2:
            length, at = read_varint(data, at)
            value, at = data[at:at + length], at + length
            assert len(value) == length, "cut short"
        elif kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        else:
            raise AssertionError(f"wire type {kind}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def one(data, *path):
    """The last value at a path of field numbers; None when it isn't there."""
    for number in path:
        values = fields(data).get(number)
        if values is None:
            return None
        data = values[-1]
    return data


def entries(data, number):
    return {one(entry, 1).decode(): one(entry, 2) for entry in fields(data).get(number, [])}


def open_envelope(data):
    """(apiVersion, kind, message) of an envelope."""
    assert data[:4] == b"k8s\0", data[:40]
    unknown = fields(data[4:])
    assert set(unknown) == {1, 2, 3, 4}, unknown
    assert unknown[3] == unknown[4] == [b""]
    return one(unknown[1][0], 1).decode(), one(unknown[1][0], 2).decode(), unknown[2][0]


def name_of(message):
    return one(message, 1, 1).decode()


def version_of(message):
    return one(message, 1, 6).decode()


class ProtobufWatch:
    """The frames of a protobuf watch."""

    def __init__(self, client, path, headers=None):
        self.connection = client.connect(timeout=15)
        self.connection.request("GET", path, headers=headers or DEFAULT)
        self.response = self.connection.getresponse()

    def next(self):
        """(type, apiVersion, kind, message), None at the end."""
        head = self.response.read(4)
        if not head:
            return None
        event = self.response.read(int.from_bytes(head, "big"))
        assert set(fields(event)) == {1, 2}
        return (one(event, 1).decode(), *open_envelope(one(event, 2, 1)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


def config_map_message(name, data, labels=None):
    metadata = text(1, name) + text(2, "") + text(3, "") + integer(7, 0) + text(8, b"")
    for key, value in (labels or {}).items():
        metadata += text(11, text(1, key) + text(2, value))
    return text(1, metadata) + b"".join(text(2, text(1, k) + text(2, v)) for k, v in data.items())


def pod_message(name):
    """A pod as Go's encoder writes it: every field that is no pointer is there."""
    metadata = b"".join(text(n, name if n == 1 else "") for n in (1, 2, 3, 4, 5, 6)) + integer(7, 0) + text(8, b"")
    port = text(1, "http") + integer(2, 0) + integer(3, 8080) + text(4, "") + text(5, "")
    resources = text(1, text(1, "cpu") + text(2, text(1, "0.5"))) + text(2, text(1, "memory") + text(2, text(1, "64Mi")))
    target = integer(1, 1) + integer(2, 0) + text(3, "http")
    handler = text(2, text(1, "/healthz") + text(2, target) + text(3, "") + text(4, ""))
    probe = text(1, handler) + b"".join(integer(n, 0) for n in (2, 3, 4, 5, 6))
    container = (text(1, "c") + text(2, "busybox:1") + text(3, "sleep") + text(3, "9") + text(5, "") + text(6, port) +
                 text(7, text(1, "A") + text(2, "b")) + text(8, resources) + text(10, probe) + text(13, "") +
                 text(14, "") + integer(16, 0) + integer(17, 0) + integer(18, 0) + text(20, ""))
    volume = text(1, "v") + text(2, text(2, text(1, "Memory") + text(2, text(1, "1Mi"))))
    spec = (text(1, volume) + text(2, container) + text(3, "Never") + integer(4, 0) + text(6, "") +
            text(7, text(1, "disk") + text(2, "ssd")) + text(8, "") + text(9, "") + text(10, "") +
            b"".join(integer(n, 0) for n in (11, 12, 13)) + text(14, integer(4, 7) + integer(4, 300)) + text(16, "") +
            text(17, "") + text(19, "") + text(24, ""))
    status = b"".join(text(n, "") for n in (1, 3, 4, 5, 6, 9, 11))
    return text(1, metadata) + text(2, spec) + text(3, status)


# --- the tests ---------------------------------------------------------------------------


class Protobuf(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.pods = f"/api/v1/namespaces/{self.ns}/pods"

    def post(self, path, api_version, kind, message, headers=None):
        return self.client.post(path, envelope(api_version, kind, message), content_type=PROTOBUF,
                                headers=dict(headers or DEFAULT))

    def object(self, answer, code=200):
        self.assertEqual(answer.code, code, answer)
        self.assertEqual(answer.header("Content-Type"), PROTOBUF)
        return open_envelope(answer.body)

    def status(self, answer, code):
        api_version, kind, message = self.object(answer, code)
        self.assertEqual((api_version, kind), ("v1", "Status"))
        self.assertEqual(one(message, 6), code)
        return message

    def test_create_and_get(self):
        api_version, kind, created = self.object(
            self.post(self.maps, "v1", "ConfigMap", config_map_message("m", {"a": "1", "b": "\u20ac"}, {"l": "x"})), 201)
        self.assertEqual((api_version, kind), ("v1", "ConfigMap"))
        answer = self.client.get(self.maps + "/m", headers=DEFAULT)
        _, _, got = self.object(answer)
        self.assertEqual(got, created)
        self.assertEqual(name_of(got), "m")
        self.assertEqual(one(got, 1, 3).decode(), self.ns)
        self.assertEqual(entries(got, 2), {"a": b"1", "b": "\u20ac".encode()})
        self.assertEqual({k: v.decode() for k, v in entries(one(got, 1), 11).items()}, {"l": "x"})
        as_json = self.client.get(self.maps + "/m").json
        self.assertEqual(as_json["data"], {"a": "1", "b": "\u20ac"})
        self.assertEqual(one(got, 1, 5).decode(), as_json["metadata"]["uid"])
        self.assertEqual(version_of(got), as_json["metadata"]["resourceVersion"])
        self.assertGreater(one(got, 1, 8, 1), 1600000000)
        self.assertEqual(int(answer.header("Content-Length")), len(answer.body))

    def test_pod_is_read_as_json_would_be(self):
        self.object(self.post(self.pods, "v1", "Pod", pod_message("p")), 201)
        made = self.client.get(self.pods + "/p").json
        container = made["spec"]["containers"][0]
        self.assertEqual(container["command"], ["sleep", "9"])
        self.assertEqual(container["ports"], [{"name": "http", "containerPort": 8080, "protocol": "TCP"}])
        self.assertEqual(container["resources"], {"limits": {"cpu": "500m"}, "requests": {"memory": "64Mi", "cpu": "500m"}})
        self.assertEqual(container["livenessProbe"]["httpGet"], {"path": "/healthz", "port": "http", "scheme": "HTTP"})
        self.assertEqual(container["livenessProbe"]["periodSeconds"], 10)
        self.assertEqual(container["imagePullPolicy"], "IfNotPresent")
        self.assertEqual(made["spec"]["terminationGracePeriodSeconds"], 0)
        self.assertEqual(made["spec"]["restartPolicy"], "Never")
        self.assertEqual(made["spec"]["nodeSelector"], {"disk": "ssd"})
        self.assertEqual(made["spec"]["securityContext"], {"supplementalGroups": [7, 300]})
        self.assertEqual(made["spec"]["volumes"][0], {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}})
        self.assertNotIn("hostNetwork", made["spec"])
        _, _, message = self.object(self.client.get(self.pods + "/p", headers=ONLY))
        spec = one(message, 2)
        self.assertEqual(one(spec, 2, 8, 1, 2, 1), b"500m")
        self.assertEqual(one(spec, 2, 10, 1, 2, 2, 3), b"http")
        self.assertEqual(one(spec, 2, 10, 1, 2, 2, 1), 1)
        self.assertEqual(one(spec, 4), 0)
        self.assertEqual(one(spec, 11), 0)
        self.assertEqual(fields(one(spec, 14))[4], [7, 300])
        # Taken back as it is: the same object, and nothing was written.
        again = self.client.put(self.pods + "/p", envelope("v1", "Pod", message), content_type=PROTOBUF, headers=DEFAULT)
        self.assertEqual(self.object(again)[2], message)
        self.assertEqual(self.client.get(self.pods + "/p").json, made)

    def test_service_with_zero_values(self):
        port = text(1, "") + text(2, "") + integer(3, 80) + text(4, integer(1, 0) + integer(2, 0) + text(3, "")) + integer(5, 0)
        spec = text(1, port) + text(3, "") + text(4, "") + text(7, "") + text(8, "") + text(10, "") + text(11, "") + \
            integer(12, 0) + integer(13, 0)
        metadata = text(1, "s") + text(8, b"")
        self.object(self.post(f"/api/v1/namespaces/{self.ns}/services", "v1", "Service",
                              text(1, metadata) + text(2, spec) + text(3, text(1, b""))), 201)
        made = self.client.get(f"/api/v1/namespaces/{self.ns}/services/s").json
        self.assertEqual(made["spec"]["ports"], [{"protocol": "TCP", "port": 80, "targetPort": 80}])
        self.assertEqual(made["spec"]["type"], "ClusterIP")
        self.assertTrue(made["spec"]["clusterIP"])

    def test_binary_data(self):
        raw = bytes(range(256))
        self.object(self.post(f"/api/v1/namespaces/{self.ns}/secrets", "v1", "Secret",
                              text(1, text(1, "s")) + text(2, text(1, "k") + text(2, raw)) + text(3, "")), 201)
        _, _, message = self.object(self.client.get(f"/api/v1/namespaces/{self.ns}/secrets/s", headers=ONLY))
        self.assertEqual(entries(message, 2), {"k": raw})

    def test_update_patch_and_conflict(self):
        self.post(self.maps, "v1", "ConfigMap", config_map_message("m", {"a": "1"}))
        _, _, message = self.object(self.client.get(self.maps + "/m", headers=ONLY))
        changed = text(1, one(message, 1)) + text(2, text(1, "a") + text(2, "2"))
        answer = self.client.put(self.maps + "/m", envelope("v1", "ConfigMap", changed), content_type=PROTOBUF, headers=DEFAULT)
        self.assertEqual(entries(self.object(answer)[2], 2), {"a": b"2"})
        stale = self.client.put(self.maps + "/m", envelope("v1", "ConfigMap", changed), content_type=PROTOBUF, headers=DEFAULT)
        self.assertEqual(one(self.status(stale, 409), 4), b"Conflict")
        patched = self.client.patch(self.maps + "/m", {"data": {"b": "3"}}, "merge-patch+json", headers=DEFAULT)
        self.assertEqual(entries(self.object(patched)[2], 2), {"a": b"2", "b": b"3"})

    def test_delete_with_options(self):
        self.post(self.maps, "v1", "ConfigMap", config_map_message("m", {}))
        uid = self.client.get(self.maps + "/m").json["metadata"]["uid"]
        wrong = envelope("v1", "DeleteOptions", text(2, text(1, "another")))
        answer = self.client.delete(self.maps + "/m", wrong, content_type=PROTOBUF, headers=DEFAULT)
        self.status(answer, 409)
        right = envelope("v1", "DeleteOptions", integer(1, 0) + text(2, text(1, uid)) + text(4, "Background"))
        message = self.status_success(self.client.delete(self.maps + "/m", right, content_type=PROTOBUF, headers=DEFAULT))
        self.assertEqual(one(message, 5, 1), b"m")
        self.assertEqual(one(message, 5, 6).decode(), uid)
        self.status(self.client.get(self.maps + "/m", headers=DEFAULT), 404)

    def status_success(self, answer):
        api_version, kind, message = self.object(answer)
        self.assertEqual((api_version, kind, one(message, 2)), ("v1", "Status", b"Success"))
        return message

    def test_list(self):
        for count in (0, 3, 40):  # the last is encoded on a worker
            for i in range(count):
                self.client.post(self.maps, config_map(f"m{i:02}", {"n": str(i)}))
            answer = self.client.get(self.maps, headers=DEFAULT)
            api_version, kind, message = self.object(answer)
            self.assertEqual((api_version, kind), ("v1", "ConfigMapList"))
            self.assertEqual(int(answer.header("Content-Length")), len(answer.body))
            items = fields(message).get(2, [])
            as_json = self.client.get(self.maps).json
            self.assertEqual([name_of(item) for item in items], [item["metadata"]["name"] for item in as_json["items"]])
            self.assertEqual(len(items), count)
            self.assertEqual([entries(item, 2)["n"] for item in items], [str(i).encode() for i in range(count)])
            self.assertGreater(int(one(message, 1, 2)), 0)
            again = self.client.get(self.maps, headers=DEFAULT)  # from what is kept by now
            self.assertEqual(fields(self.object(again)[2]).get(2, []), items)

    def test_chunked_list(self):
        for i in range(5):
            self.client.post(self.maps, config_map(f"m{i}"))
        names, token = [], ""
        while True:
            _, _, message = self.object(self.client.get(f"{self.maps}?limit=2&continue={token}", headers=ONLY))
            names += [name_of(item) for item in fields(message)[2]]
            token = (one(message, 1, 3) or b"").decode()
            if not token:
                break
            self.assertEqual(one(message, 1, 4), 5 - len(names))
        self.assertEqual(names, [f"m{i}" for i in range(5)])

    def test_list_follows_changes(self):
        self.client.post(self.maps, config_map("m", {"v": "0"}))
        for i in range(1, 10):
            _, _, message = self.object(self.client.get(self.maps, headers=ONLY))
            self.assertEqual(entries(one(message, 2), 2), {"v": str(i - 1).encode()})
            self.client.patch(self.maps + "/m", {"data": {"v": str(i)}}, "merge-patch+json")

    def test_partial_metadata(self):
        self.client.post(self.maps, config_map("m", {"a": "1"}, labels={"x": "y"}))
        api_version, kind, message = self.object(self.client.get(self.maps + "/m", headers=PARTIAL))
        self.assertEqual((api_version, kind), ("meta.k8s.io/v1", "PartialObjectMetadata"))
        self.assertEqual(set(fields(message)), {1})
        self.assertEqual(name_of(message), "m")
        api_version, kind, message = self.object(self.client.get(self.maps, headers=PARTIAL_LIST))
        self.assertEqual((api_version, kind), ("meta.k8s.io/v1", "PartialObjectMetadataList"))
        self.assertEqual([set(fields(item)) for item in fields(message)[2]], [{1}])
        with ProtobufWatch(self.client, self.maps + "?watch=1", PARTIAL) as watch:
            event = watch.next()
            self.assertEqual(event[:3], ("ADDED", "meta.k8s.io/v1", "PartialObjectMetadata"))
            self.assertEqual(set(fields(event[3])), {1})

    def test_tables_are_json(self):
        self.client.post(self.maps, config_map("m"))
        answer = self.client.get(self.maps, headers=TABLE)
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(answer.json["kind"], "Table")

    def test_another_form_of_one_stored_object(self):
        event = {"metadata": {"name": "e", "namespace": self.ns}, "reason": "R", "message": "said", "type": "Normal",
                 "involvedObject": {"kind": "Pod", "name": "p", "namespace": self.ns}}
        self.assertEqual(self.client.post(f"/api/v1/namespaces/{self.ns}/events", event).code, 201)
        _, _, core = self.object(self.client.get(f"/api/v1/namespaces/{self.ns}/events/e", headers=ONLY))
        self.assertEqual(one(core, 4), b"said")
        self.assertEqual(one(core, 2, 3), b"p")
        api_version, _, other = self.object(
            self.client.get(f"/apis/events.k8s.io/v1/namespaces/{self.ns}/events/e", headers=ONLY))
        self.assertEqual(api_version, "events.k8s.io/v1")
        self.assertEqual(one(other, 10), b"said")
        self.assertEqual(one(other, 8, 3), b"p")

    def test_scale_and_reviews(self):
        path = f"/apis/apps/v1/namespaces/{self.ns}/deployments"
        self.assertEqual(self.client.post(path, deployment("d", 2)).code, 201)
        api_version, kind, scale = self.object(self.client.get(path + "/d/scale", headers=DEFAULT))
        self.assertEqual((api_version, kind, one(scale, 2, 1)), ("autoscaling/v1", "Scale", 2))
        changed = envelope("autoscaling/v1", "Scale", text(1, one(scale, 1)) + text(2, integer(1, 5)) + text(3, b""))
        answer = self.client.put(path + "/d/scale", changed, content_type=PROTOBUF, headers=DEFAULT)
        self.assertEqual(one(self.object(answer)[2], 2, 1), 5)
        self.assertEqual(self.client.get(path + "/d").json["spec"]["replicas"], 5)
        review = text(1, text(1, "")) + text(2, text(1, text(1, self.ns) + text(2, "get") + text(5, "pods")))
        api_version, kind, answer = self.object(self.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "authorization.k8s.io/v1",
            "SelfSubjectAccessReview", review), 201)
        self.assertEqual((kind, one(answer, 3, 1)), ("SelfSubjectAccessReview", 1))

    def test_watch(self):
        self.client.post(self.maps, config_map("first", {"a": "1"}))
        with ProtobufWatch(self.client, self.maps + "?watch=1") as watch, \
                ProtobufWatch(self.client, self.maps + "?watch=1") as other:
            self.assertEqual(watch.response.headers["Content-Type"], PROTOBUF + ";stream=watch")
            self.client.post(self.maps, config_map("second", {"b": "2"}))
            self.client.patch(self.maps + "/first", {"data": {"a": "3"}}, "merge-patch+json")
            self.client.delete(self.maps + "/second")
            seen = [watch.next() for _ in range(4)]
            self.assertEqual([(event[0], event[1], event[2], name_of(event[3])) for event in seen],
                             [("ADDED", "v1", "ConfigMap", "first"), ("ADDED", "v1", "ConfigMap", "second"),
                              ("MODIFIED", "v1", "ConfigMap", "first"), ("DELETED", "v1", "ConfigMap", "second")])
            self.assertEqual(entries(seen[2][3], 2), {"a": b"3"})
            versions = [int(version_of(event[3])) for event in seen]
            self.assertEqual(versions, sorted(set(versions)))
            self.assertEqual([other.next() for _ in range(4)], seen)

    def test_watch_selection_bookmarks_and_errors(self):
        path = self.maps + "?watch=1&labelSelector=in%3Dyes&allowWatchBookmarks=true&sendInitialEvents=true" \
                           "&resourceVersionMatch=NotOlderThan"
        self.client.post(self.maps, config_map("m", labels={"in": "yes"}))
        with ProtobufWatch(self.client, path) as watch:
            self.assertEqual(watch.next()[0], "ADDED")
            kind = watch.next()
            self.assertEqual(kind[:3], ("BOOKMARK", "v1", "ConfigMap"))
            self.assertEqual(entries(one(kind[3], 1), 12), {"k8s.io/initial-events-end": b"true"})
            self.assertGreater(int(version_of(kind[3])), 0)
            left = self.client.patch(self.maps + "/m", {"metadata": {"labels": {"in": "no"}}}, "merge-patch+json").json
            event = watch.next()
            self.assertEqual(event[0], "DELETED")
            self.assertEqual(version_of(event[3]), left["metadata"]["resourceVersion"])
        with ProtobufWatch(self.client, self.maps + "?watch=1&resourceVersion=1") as watch:
            event = watch.next()
            if event is not None and event[0] == "ERROR":  # the window may reach back that far
                self.assertEqual((event[2], one(event[3], 6)), ("Status", 410))
        answer = self.client.get(self.maps + "?watch=1&resourceVersion=x", headers=DEFAULT)
        self.assertEqual(one(self.status(answer, 400), 2), b"Failure")

    def test_errors(self):
        answer = self.client.get(self.maps + "/missing", headers=DEFAULT)
        message = self.status(answer, 404)
        self.assertEqual(one(message, 4), b"NotFound")
        self.assertEqual(one(message, 3), b'configmaps "missing" not found')
        self.assertEqual((one(message, 5, 1), one(message, 5, 3)), (b"missing", b"configmaps"))
        message = self.status(self.post(self.maps, "v1", "ConfigMap", config_map_message("No_Name", {})), 422)
        causes = fields(one(message, 5)).get(4)
        self.assertEqual([one(cause, 3) for cause in causes], [b"metadata.name"])
        self.status(self.client.request("POST", self.maps + "/m", b"", headers=DEFAULT), 405)
        self.status(self.client.get("/api/v1/nothing", headers=DEFAULT), 404)

    def test_bad_bodies(self):
        for body in (b"k8s\0\x0a\xff", b"k8s\0" + text(2, b"\x0a\x7fshort"), b"not an envelope", b"{}",
                     envelope("v1", "ConfigMap", text(1, b"\x08\x01")), envelope("v1", "ConfigMap", text(1, text(1, b"\xff"))),
                     envelope("v1", "Pod", pod_message("p")), envelope("v2", "ConfigMap", b"")):
            answer = self.client.post(self.maps, body, content_type=PROTOBUF)
            self.assertEqual(answer.code, 400, (body, answer))
            self.assertEqual(answer.json["reason"], "BadRequest")
        nested = b""
        for _ in range(3000):
            nested = text(28, nested)  # not: {not: …
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        version = text(1, "v1") + text(4, text(1, nested))
        answer = self.client.post(path, envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition",
                                                 text(2, text(7, version))), content_type=PROTOBUF)
        self.assertEqual(answer.code, 400, answer)
        self.assertIn("nested too deeply", answer.json["message"])

    def test_negotiation(self):
        self.client.post(self.maps, config_map("m"))

        def content_type(accept, path=self.maps + "/m"):
            answer = self.client.get(path, headers={"Accept": accept})
            return answer.header("Content-Type") if answer.code == 200 else answer.code

        self.assertEqual(content_type("application/json;q=0.5," + PROTOBUF), PROTOBUF)
        self.assertEqual(content_type("application/json," + PROTOBUF + ";q=0.9"), "application/json")
        self.assertEqual(content_type(PROTOBUF + ";q=0, application/yaml"), "application/yaml")
        self.assertEqual(content_type("*/*"), "application/json")
        self.assertEqual(content_type("application/cbor"), 406)
        self.assertEqual(content_type(PROTOBUF + ";as=Table;v=v1;g=meta.k8s.io"), 406)
        self.assertEqual(content_type(PROTOBUF + ",application/json", "/version"), "application/json")
        answer = self.client.patch(self.maps + "/m", envelope("v1", "ConfigMap", b""), "vnd.kubernetes.protobuf")
        self.assertEqual(answer.code, 415)
        self.assertEqual(self.client.post(self.maps, b"x", content_type="application/cbor").code, 415)

    def test_kinds_in_both_forms(self):
        """Every listed kind answers in protobuf with as many items as in JSON."""
        self.client.post(f"/api/v1/namespaces/{self.ns}/services", service("s"))
        self.client.post(self.pods, pod("p"))
        groups = [("/api/v1", self.client.get("/api/v1").json)]
        custom = {item["spec"]["group"] for item in self.client.get(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions").json["items"]}  # of other tests
        for group in self.client.get("/apis").json["groups"]:
            if group["name"] in custom:
                continue
            for version in group["versions"]:
                path = "/apis/" + version["groupVersion"]
                groups.append((path, self.client.get(path).json))
        checked = 0
        for path, resources in groups:
            for resource in resources["resources"]:
                if "watch" not in resource["verbs"]:  # what isn't stored
                    continue
                def both():
                    answer = self.client.get(f"{path}/{resource['name']}", headers=ONLY)
                    self.assertEqual(answer.code, 200, (path, resource))
                    _, kind, message = self.object(answer)
                    as_json = self.client.get(f"{path}/{resource['name']}").json
                    self.assertEqual(kind, as_json["kind"])
                    return [name_of(item) for item in fields(message).get(2, [])] == \
                           [item["metadata"]["name"] for item in as_json["items"]]
                await_true(f"equal lists of {resource['name']}", both)
                checked += 1
        self.assertGreater(checked, 40)


if __name__ == "__main__":
    unittest.main()
