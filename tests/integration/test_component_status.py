# SPDX-License-Identifier: Apache-2.0
"""componentstatuses: asked when they are read, stored nowhere."""

import unittest

from harness import shared

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PATH = "/api/v1/componentstatuses"


class ComponentStatuses(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client

    def test_list(self):
        answer = self.client.get(PATH)
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["kind"], "ComponentStatusList")
        self.assertIn("v1 ComponentStatus is deprecated in v1.19+", answer.header("Warning"))
        items = {item["metadata"]["name"]: item["conditions"][0] for item in answer.json["items"]}
        self.assertEqual(set(items), {"controller-manager", "scheduler", "etcd-0"})
        self.assertEqual(items["etcd-0"], {"type": "Healthy", "status": "True", "message": "ok"})
        # Whether a scheduler runs on this machine is not this test's to say; what is said of it is.
        scheduler = items["scheduler"]
        if scheduler["status"] == "True":
            self.assertEqual(scheduler["message"], "ok")
        else:
            self.assertTrue(scheduler["message"].startswith('Get "https://127.0.0.1:10259/healthz": ') or
                            scheduler["message"].startswith("HTTP probe failed"), scheduler)

    def test_one(self):
        one = self.client.get(PATH + "/etcd-0").json
        self.assertEqual((one["kind"], one["apiVersion"], one["metadata"]["name"]), ("ComponentStatus", "v1", "etcd-0"))
        self.assertEqual(self.client.get(PATH + "/none").code, 404)
        self.assertEqual(self.client.delete(PATH + "/etcd-0").code, 405)

    def test_selectors_and_tables(self):
        picked = self.client.get(PATH + "?fieldSelector=metadata.name%3Detcd-0").json["items"]
        self.assertEqual([item["metadata"]["name"] for item in picked], ["etcd-0"])
        self.assertEqual(self.client.get(PATH + "?labelSelector=a%3Db").json["items"], [])
        table = self.client.get(PATH, headers={"Accept": TABLE}).json
        self.assertEqual([column["name"] for column in table["columnDefinitions"]], ["Name", "Status", "Message", "Error"])
        row = [row for row in table["rows"] if row["cells"][0] == "etcd-0"][0]
        self.assertEqual(row["cells"], ["etcd-0", "Healthy", "ok", ""])


if __name__ == "__main__":
    unittest.main()
