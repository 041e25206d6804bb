# SPDX-License-Identifier: Apache-2.0
"""What storage and watches count, under the names that dashboards look for."""

import re
import unittest

from harness import await_true, config_map, new_namespace, shared


class Metrics(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"

    def value(self, name, **labels):
        """A sample's value by its labels, which stand in upstream's order; 0 when it isn't there."""
        wanted = name + ("{" + ",".join(f'{key}="{text}"' for key, text in labels.items()) + "}" if labels else "")
        found = re.search("^" + re.escape(wanted) + r" (\S+)$", self.client.get("/metrics").body.decode(), re.M)
        return float(found.group(1)) if found else 0

    def test_objects_and_events(self):
        objects = self.value("apiserver_storage_objects", resource="configmaps")
        received = self.value("apiserver_watch_cache_events_received_total", resource="configmaps")
        creates = self.value("etcd_requests_total", operation="create", type="configmaps")
        for i in range(5):
            self.client.post(self.maps, config_map(f"m{i}"))
        await_true("five more objects",
                   lambda: self.value("apiserver_storage_objects", resource="configmaps") == objects + 5)
        self.assertEqual(self.value("apiserver_watch_cache_events_received_total", resource="configmaps"), received + 5)
        self.assertEqual(self.value("etcd_requests_total", operation="create", type="configmaps"), creates + 5)
        self.assertGreaterEqual(
            self.value("etcd_request_duration_seconds_count", operation="create", type="configmaps"), creates + 5)
        version = int(self.client.get(self.maps).json["metadata"]["resourceVersion"])
        self.assertGreaterEqual(self.value("apiserver_watch_cache_resource_version", resource="configmaps"), version)
        self.assertGreaterEqual(self.value("apiserver_watch_cache_initializations_total", resource="configmaps"), 1)
        self.assertGreaterEqual(self.value("watch_cache_capacity", resource="configmaps"), 1)

    def test_lists(self):
        cached = {"resource_prefix": "/registry/configmaps", "index": ""}
        for i in range(3):
            self.client.post(self.maps, config_map(f"m{i}"))
        lists, fetched = (self.value(f"apiserver_cache_list_{name}", **cached) for name in ("total", "fetched_objects_total"))
        waits = self.value("apiserver_watch_cache_read_wait_seconds_count", resource="configmaps")
        fresh = {"resource": "configmaps", "success": "true", "fallback": "false"}
        consistent = self.value("apiserver_watch_cache_consistent_read_total", **fresh)
        version = self.client.get(self.maps).json["metadata"]["resourceVersion"]
        self.assertEqual(self.value("apiserver_cache_list_total", **cached), lists + 1)
        self.assertEqual(self.value("apiserver_cache_list_fetched_objects_total", **cached), fetched + 3)
        self.assertEqual(self.value("apiserver_watch_cache_read_wait_seconds_count", resource="configmaps"), waits + 1)
        self.assertEqual(self.value("apiserver_watch_cache_consistent_read_total", **fresh), consistent + 1)
        self.client.post(self.maps, config_map("later"))
        lists = self.value("apiserver_storage_list_total", resource="configmaps")
        self.client.get(f"{self.maps}?resourceVersion={version}&resourceVersionMatch=Exact")  # etcd has the past
        self.assertEqual(self.value("apiserver_storage_list_total", resource="configmaps"), lists + 1)

    def test_watches(self):
        kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
        version = self.client.get(self.maps).json["metadata"]["resourceVersion"]
        sent = self.value("apiserver_watch_events_total", **kind)
        with self.client.watch(f"{self.maps}?watch=true&resourceVersion={version}") as watch:
            for i in range(4):
                self.client.post(self.maps, config_map(f"m{i}"))
            watch.take(4)
        self.assertEqual(self.value("apiserver_watch_events_total", **kind), sent + 4)
        self.assertGreaterEqual(self.value("apiserver_watch_events_sizes_count", **kind), sent + 4)
