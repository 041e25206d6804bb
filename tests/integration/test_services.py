# SPDX-License-Identifier: Apache-2.0
"""Services: addresses and node ports, by one server and by two at once."""

import threading
import unittest

from harness import await_true, new_namespace, service, shared

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses/"


class Services(unittest.TestCase):
    def setUp(self):
        self.client = shared().server.client
        self.ns = new_namespace(self.client)
        self.services = f"/api/v1/namespaces/{self.ns}/services"

    def create(self, body, code=201):
        answer = self.client.post(self.services, body)
        self.assertEqual(answer.code, code, answer)
        return answer.json

    def address_is_free(self, address):
        return self.client.get(ADDRESSES + address).code == 404

    def test_cluster_ip(self):
        spec = self.create(service("a"))["spec"]
        self.assertTrue(spec["clusterIP"].startswith("10.96."))
        self.assertEqual(spec["clusterIPs"], [spec["clusterIP"]])
        self.assertEqual((spec["type"], spec["ipFamilies"], spec["ipFamilyPolicy"], spec["sessionAffinity"],
                          spec["internalTrafficPolicy"]), ("ClusterIP", ["IPv4"], "SingleStack", "None", "Cluster"))
        self.assertEqual(spec["ports"], [{"port": 80, "protocol": "TCP", "targetPort": 80}])
        record = self.client.get(ADDRESSES + spec["clusterIP"]).json
        self.assertEqual(record["spec"]["parentRef"], {"resource": "services", "namespace": self.ns, "name": "a"})
        gone = self.client.delete(self.services + "/a").json
        self.assertEqual(gone["kind"], "Service")
        await_true("the address to be freed", lambda: self.address_is_free(spec["clusterIP"]))

    def test_requested_address(self):
        made = self.create(service("a", clusterIP="10.96.200.1"))
        self.assertEqual(made["spec"]["clusterIP"], "10.96.200.1")
        status = self.create(service("b", clusterIP="10.96.200.1"), 422)
        self.assertIn("failed to allocate IP 10.96.200.1: provided IP is already allocated", status["message"])
        status = self.create(service("b", clusterIP="192.168.1.1"), 422)
        self.assertIn("is not in the valid range. The range of valid IPs is 10.96.0.0/16", status["message"])
        self.client.delete(self.services + "/a")
        await_true("the address to be free again",
                   lambda: self.client.post(self.services, service("b", clusterIP="10.96.200.1")).code == 201)

    def test_kubernetes_service_keeps_its_address(self):
        spec = self.client.get("/api/v1/namespaces/default/services/kubernetes").json["spec"]
        self.assertEqual(spec["clusterIP"], "10.96.0.1")
        self.assertEqual(spec["ports"][0]["targetPort"], shared().server.port)
        self.create(service("a", clusterIP="10.96.0.1"), 422)
        endpoints = self.client.get("/api/v1/namespaces/default/endpoints/kubernetes").json
        self.assertEqual(endpoints["subsets"], [{"addresses": [{"ip": "127.0.0.1"}],
                                                 "ports": [{"name": "https", "port": shared().server.port,
                                                            "protocol": "TCP"}]}])
        piece = self.client.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").json
        self.assertEqual(piece["endpoints"][0]["addresses"], ["127.0.0.1"])
        self.assertEqual(self.client.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").json["spec"]["cidrs"],
                         ["10.96.0.0/16"])

    def test_headless_and_external(self):
        headless = self.create(service("h", clusterIP="None", selector={"a": "b"}))["spec"]
        self.assertEqual((headless["clusterIP"], headless["clusterIPs"]), ("None", ["None"]))
        external = self.create({"metadata": {"name": "e"}, "spec": {"type": "ExternalName",
                                                                     "externalName": "example.com"}})["spec"]
        self.assertNotIn("clusterIP", external)

    def test_node_ports(self):
        spec = self.create(service("a", type="NodePort"))["spec"]
        port = spec["ports"][0]["nodePort"]
        self.assertTrue(30000 <= port <= 32767)
        wanted = service("b", type="NodePort")
        wanted["spec"]["ports"][0]["nodePort"] = port
        status = self.create(wanted, 422)
        self.assertIn(f"spec.ports[0].nodePort: Invalid value: {port}: provided port is already allocated",
                      status["message"])
        wanted["spec"]["ports"][0]["nodePort"] = 80
        self.assertIn("provided port is not in the valid range. The range of valid ports is 30000-32767",
                      self.create(wanted, 422)["message"])
        # Both families of protocols of one port share a number.
        both = service("c", type="NodePort")
        both["spec"]["ports"] = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
        made = self.create(both)["spec"]["ports"]
        self.assertGreater(made[0]["nodePort"], 0)
        self.client.delete(self.services + "/a")
        wanted["spec"]["ports"][0]["nodePort"] = port
        await_true("the port to be free again", lambda: self.client.post(self.services, wanted).code == 201)

    def test_updates_keep_what_they_leave_out(self):
        made = self.create(service("a", type="NodePort"))
        body = service("a", type="NodePort")
        body["metadata"]["labels"] = {"new": "label"}
        answer = self.client.put(self.services + "/a", body)
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["spec"]["clusterIP"], made["spec"]["clusterIP"])
        self.assertEqual(answer.json["spec"]["ports"], made["spec"]["ports"])
        answer = self.client.patch(self.services + "/a", {"spec": {"clusterIP": "10.96.201.1"}})
        self.assertEqual(answer.code, 422)
        self.assertIn("may not change once set", answer.json["message"])

    def test_type_changes(self):
        made = self.create(service("a"))
        answer = self.client.patch(self.services + "/a", {"spec": {"type": "NodePort"}})
        self.assertEqual(answer.code, 200, answer)
        port = answer.json["spec"]["ports"][0]["nodePort"]
        self.assertEqual(answer.json["spec"]["clusterIP"], made["spec"]["clusterIP"])
        answer = self.client.patch(self.services + "/a", {"spec": {"type": "ClusterIP"}})
        self.assertNotIn("nodePort", answer.json["spec"]["ports"][0])
        wanted = service("b", type="NodePort")
        wanted["spec"]["ports"][0]["nodePort"] = port
        await_true("the port to be freed", lambda: self.client.post(self.services, wanted).code == 201)
        answer = self.client.patch(self.services + "/a", {"spec": {"type": "ExternalName", "externalName": "a.example.com"}})
        self.assertEqual(answer.code, 200, answer)
        self.assertNotIn("clusterIP", answer.json["spec"])
        await_true("the address to be freed", lambda: self.address_is_free(made["spec"]["clusterIP"]))
        answer = self.client.patch(self.services + "/a", {"spec": {"type": "ClusterIP", "externalName": None}})
        self.assertEqual(answer.code, 200, answer)
        self.assertTrue(answer.json["spec"]["clusterIP"].startswith("10.96."))

    def test_failed_create_gives_back(self):
        self.create(service("a", type="NodePort"))
        taken = self.client.get(self.services + "/a").json["spec"]["ports"][0]["nodePort"]
        body = service("b", type="NodePort", clusterIP="10.96.202.2")
        body["spec"]["ports"][0]["nodePort"] = taken
        self.create(body, 422)
        await_true("the address to be given back", lambda: self.address_is_free("10.96.202.2"))

    def test_validation(self):
        body = service("a")
        body["spec"]["ports"] = [{"port": 80}, {"port": 81}]
        self.assertIn("spec.ports[0].name: Required value", self.create(body, 422)["message"])
        self.assertIn("spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                      self.create(service("a", port=0), 422)["message"])
        self.assertIn('spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
                      '"NodePort"', self.create(service("a", type="X"), 422)["message"])
        self.assertIn('metadata.name: Invalid value: "1a": a DNS-1035 label must consist of',
                      self.create(service("1a"), 422)["message"])

    def test_two_servers_never_give_one_thing_twice(self):
        other = shared().start_server()
        self.addCleanup(other.terminate)
        made, lock = [], threading.Lock()

        def create(client, prefix):
            for i in range(15):
                answer = client.post(self.services, service(f"{prefix}{i}", type="NodePort"))
                with lock:
                    made.append(answer)

        threads = [threading.Thread(target=create, args=(client, prefix))
                   for client, prefix in ((self.client, "a"), (other.client, "b"), (self.client, "c"), (other.client, "d"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answer.code for answer in made], [201] * 60)
        self.assertEqual(len({answer.json["spec"]["clusterIP"] for answer in made}), 60)
        self.assertEqual(len({answer.json["spec"]["ports"][0]["nodePort"] for answer in made}), 60)
        # Who lives stands in the endpoints: here both servers have one address, so it stays one.
        endpoints = self.client.get("/api/v1/namespaces/default/endpoints/kubernetes").json
        self.assertEqual(len(endpoints["subsets"][0]["addresses"]), 1)
