# SPDX-License-Identifier: Apache-2.0
"""The ports of the scheduler and the controller manager: HTTPS, health for everybody,
the rest for whom the API server lets through."""

import http.client
import os
import ssl
import unittest

import harness
import security


def get(port, path, token=None, context=None):
    context = context or ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": "Bearer " + token} if token else {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


class DaemonPorts(unittest.TestCase):
    def ports(self, program, *flags):
        cluster = security.cluster()
        admin = cluster.server.client
        port = harness.free_port()
        harness.Process(program, [os.path.join(harness.BUILD, "bin", program), f"--kubeconfig={cluster.kubeconfig()}",
                                  "--leader-elect=false", f"--secure-port={port}",
                                  f"--client-ca-file={cluster.pki.ca}", *flags], cluster.folder)
        harness.await_true(program + " to be healthy", lambda: get(port, "/healthz") == (200, "ok"))
        self.assertEqual(get(port, "/livez/ping")[0], 200)
        code, text = get(port, "/metrics")
        self.assertEqual(code, 403)
        self.assertIn('forbidden: User \\"system:anonymous\\" cannot get path \\"/metrics\\"', text)
        security.service_account(admin, "default", "scraper")
        token = security.token_of(admin, "default", "scraper")
        self.assertEqual(get(port, "/metrics", token)[0], 403)
        self.assertEqual(get(port, "/metrics", token + "x")[0], 401)
        admin.post(security.RBAC + "/clusterrolebindings",
                   security.binding(program, "ClusterRole", "system:monitoring", "account:default/scraper2"))
        security.service_account(admin, "default", "scraper2")
        other = security.token_of(admin, "default", "scraper2")
        security.await_code("the scraper's permission", 200, lambda: security.TokenClient(
            cluster.server, other).get("/metrics"))
        code, text = get(port, "/metrics", other)
        self.assertEqual(code, 200)
        self.assertIn("process_cpu_seconds_total", text)
        context = ssl._create_unverified_context()
        context.load_cert_chain(*cluster.pki.files("admin"))
        self.assertEqual(get(port, "/metrics", context=context)[0], 200)

    def test_controller_manager(self):
        self.ports("kube-controller-manager", "--controllers=-*")

    def test_scheduler(self):
        self.ports("kube-scheduler")


if __name__ == "__main__":
    unittest.main()
