# SPDX-License-Identifier: Apache-2.0
"""Logs, exec and proxies: through the server to a kubelet that these tests play."""

import http.server
import os
import socket
import ssl
import threading
import time
import unittest

from harness import await_true, new_namespace, pod, shared


class Kubelet:
    """An HTTPS server with the kubelet's certificate that remembers what it was asked."""

    def __init__(self, pki):
        outer = self
        self.requests = []
        self.follow_closed = threading.Event()
        self.sent_bytes = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.requests.append((self.command, self.path, dict(self.headers)))
                if self.path.startswith("/exec/") or self.path.startswith("/portForward/"):
                    self.upgrade()
                elif "follow=true" in self.path:
                    self.follow()
                elif "tailLines=7777" in self.path:
                    self.flood()
                elif self.path.startswith("/containerLogs/"):
                    self.chunks([b"line 1\n", b"line 2\n"])
                else:
                    self.plain(200, f"{self.command} {self.path}".encode())

            def do_POST(self):
                outer.requests.append((self.command, self.path, dict(self.headers)))
                if "Upgrade" in self.headers:
                    self.upgrade()
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.plain(201, b"got " + body)

            def plain(self, code, body):
                self.send_response(code)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Kubelet", "yes")
                self.end_headers()
                self.wfile.write(body)

            def chunk(self, data):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def chunks(self, pieces):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                for piece in pieces:
                    self.chunk(piece)
                self.wfile.write(b"0\r\n\r\n")

            def follow(self):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    while True:
                        self.chunk(b"tick\n")
                        time.sleep(0.02)
                except OSError:
                    outer.follow_closed.set()
                self.close_connection = True

            def flood(self):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                block = b"x" * 65536
                for _ in range(1000):
                    self.chunk(block)
                    outer.sent_bytes += len(block)
                self.wfile.write(b"0\r\n\r\n")

            def upgrade(self):
                self.send_response(101)
                self.send_header("Upgrade", self.headers["Upgrade"])
                self.send_header("Connection", "Upgrade")
                self.send_header("X-Stream-Protocol-Version", "v4.channel.k8s.io")
                self.end_headers()
                while True:
                    data = self.connection.recv(65536)
                    if not data:
                        break
                    self.connection.sendall(data.upper())
                self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pki.files("kubelet"))
        context.load_verify_locations(pki.ca)
        context.verify_mode = ssl.CERT_REQUIRED  # the server must show its client certificate
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy(unittest.TestCase):
    def setUp(self):
        cluster = shared()
        self.client = cluster.server.client
        self.ns = new_namespace(self.client)
        self.pods = f"/api/v1/namespaces/{self.ns}/pods"
        self.kubelet = Kubelet(cluster.pki)
        self.addCleanup(self.kubelet.close)
        self.node = f"node-{self.ns}"
        self.client.post("/api/v1/nodes", {"metadata": {"name": self.node}})
        answer = self.client.patch(f"/api/v1/nodes/{self.node}/status", {"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.kubelet.port}}}})
        self.assertEqual(answer.code, 200, answer)
        self.client.post(self.pods, pod("p", nodeName=self.node))
        both = pod("two", nodeName=self.node)
        both["spec"]["containers"].append({"name": "d", "image": "busybox:1"})
        self.client.post(self.pods, both)
        self.client.post(self.pods, pod("unbound"))
        for name in ("p", "two", "unbound"):
            await_true("the cache to have the pods",
                       lambda: self.client.get(f"{self.pods}/{name}?resourceVersion=0").code == 200)

    def last_path(self):
        return self.kubelet.requests[-1][1]

    def test_logs(self):
        answer = self.client.get(self.pods + "/p/log?tailLines=5&timestamps=true&nonsense=1")
        self.assertEqual((answer.code, answer.body), (200, b"line 1\nline 2\n"))
        self.assertEqual(self.last_path(), f"/containerLogs/{self.ns}/p/c?timestamps=true&tailLines=5")
        answer = self.client.get(self.pods + "/two/log?container=d")
        self.assertEqual((answer.code, self.last_path()), (200, f"/containerLogs/{self.ns}/two/d"))

    def test_choosing_a_container(self):
        answer = self.client.get(self.pods + "/two/log")
        self.assertEqual((answer.code, answer.json["message"]),
                         (400, "a container name must be specified for pod two, choose one of: [c d]"))
        answer = self.client.get(self.pods + "/two/log?container=e")
        self.assertEqual((answer.code, answer.json["message"]), (400, "container e is not valid for pod two"))
        self.assertEqual(self.client.get(self.pods + "/none/log").code, 404)
        answer = self.client.get(self.pods + "/unbound/log")
        self.assertEqual((answer.code, answer.body), (200, b""))

    def test_following_ends_with_the_client(self):
        watch = self.client.connect()
        watch.request("GET", self.pods + "/p/log?follow=true")
        response = watch.getresponse()
        self.assertEqual(response.readline(), b"tick\n")
        self.assertEqual(response.readline(), b"tick\n")
        watch.close()
        self.assertTrue(self.kubelet.follow_closed.wait(15), "the kubelet's connection was left open")

    def test_a_slow_reader_holds_the_kubelet_back(self):
        connection = self.client.connect()
        self.addCleanup(connection.close)
        connection.request("GET", self.pods + "/p/log?tailLines=7777")
        response = connection.getresponse()
        self.assertEqual(response.read(10), b"x" * 10)
        total = 1000 * 65536
        last = -1
        while self.kubelet.sent_bytes != last:  # until it stands still
            last = self.kubelet.sent_bytes
            time.sleep(0.3)
        self.assertLess(last, total)
        self.assertEqual(len(response.read()), total - 10)

    def exchange(self, path, protocol):
        certificate_context = self.client.context
        raw = certificate_context.wrap_socket(socket.create_connection(("127.0.0.1", self.client.server.port), 15),
                                              server_hostname="127.0.0.1")
        self.addCleanup(raw.close)
        raw.sendall((f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n"
                     "X-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = raw.recv(4096)
            self.assertTrue(data, head)
            head += data
        head, rest = head.split(b"\r\n\r\n", 1)
        return raw, head.decode(), rest

    def test_exec_is_a_tunnel(self):
        raw, head, rest = self.exchange(self.pods + "/p/exec?command=sh&command=-c&command=a+%26+b&stdin=true&stdout=1&tty=false",
                                        "SPDY/3.1")
        self.assertTrue(head.startswith("HTTP/1.1 101"), head)
        self.assertIn("v4.channel.k8s.io", head)
        self.assertIn("spdy/3.1", head.lower())
        self.assertEqual(self.last_path(), f"/exec/{self.ns}/p/c?input=1&output=1&command=sh&command=-c&command=a%20%26%20b")
        sent = b"hello" * 100000
        threading.Thread(target=raw.sendall, args=(sent,), daemon=True).start()
        got = rest
        while len(got) < len(sent):
            data = raw.recv(65536)
            self.assertTrue(data)
            got += data
        self.assertEqual(got, sent.upper())

    def test_port_forward(self):
        raw, head, _ = self.exchange(self.pods + "/p/portforward?ports=80", "SPDY/3.1")
        self.assertTrue(head.startswith("HTTP/1.1 101"), head)
        self.assertEqual(self.last_path(), f"/portForward/{self.ns}/p?port=80")
        raw.sendall(b"abc")
        self.assertEqual(raw.recv(10), b"ABC")

    def test_exec_refusals(self):
        answer = self.client.post(self.pods + "/p/exec?command=ls", "")
        self.assertEqual(answer.code, 400, answer)
        self.assertIn("pgrade", answer.json["message"])
        _, head, rest = self.exchange(self.pods + "/unbound/exec?command=ls&stdout=1", "SPDY/3.1")
        self.assertTrue(head.startswith("HTTP/1.1 400"), head)

    def test_node_proxy(self):
        answer = self.client.get(f"/api/v1/nodes/{self.node}/proxy/stats/summary?only=cpu")
        self.assertEqual((answer.code, answer.body), (200, b"GET /stats/summary?only=cpu"))
        self.assertEqual(answer.header("X-Kubelet"), "yes")
        answer = self.client.post(f"/api/v1/nodes/{self.node}/proxy/run", "body")
        self.assertEqual((answer.code, answer.body), (201, b"got body"))
        seen = {name.lower() for name in self.kubelet.requests[-1][2]}
        self.assertNotIn("authorization", seen)

    def test_a_kubelet_that_is_gone(self):
        self.client.patch(f"/api/v1/nodes/{self.node}/status", {"status": {
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}})

        def refused():
            answer = self.client.get(self.pods + "/p/log")
            return answer if answer.code == 500 else None
        answer = await_true("the cache to know", refused)
        self.assertIn("error dialing backend", answer.json["message"])

    def test_pod_proxy(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"page " + self.path.encode())

        page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=page.serve_forever, daemon=True).start()
        self.addCleanup(page.server_close)
        self.addCleanup(page.shutdown)
        self.client.patch(self.pods + "/p/status", {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}})

        def proxied():
            answer = self.client.get(f"{self.pods}/p:{page.server_address[1]}/proxy/a/b?c=d")
            return answer if answer.code == 200 else None
        self.assertEqual(await_true("the page", proxied).body, b"page /a/b?c=d")
