# SPDX-License-Identifier: Apache-2.0
"""Figures of the API server alone: starts etcd and kube-apiserver on free loopback
ports, runs the parts of bench_apiserver against them, and measures memory and
processor time between. usage: apiserver.py BUILD_FOLDER"""

import os
import resource
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ["BUILD"] = sys.argv[1]
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))

import harness  # noqa: E402

NAMESPACE = "/api/v1/namespaces/bench"


def memory_mib(process, field="VmRSS"):
    with open(f"/proc/{process.popen.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":")) / 1024


def processor_seconds(process):
    with open(f"/proc/{process.popen.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(name, text):
    print(f"{name:34} {text}", flush=True)


class Bench:
    def __init__(self):
        os.environ["ETCD_QUOTA_BACKEND_BYTES"] = str(4 << 30)
        self.cluster = harness.Cluster("-v=0")
        client = self.cluster.server.client
        assert client.post("/api/v1/namespaces", {"metadata": {"name": "bench"}}).code == 201
        assert client.post(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}}).code == 201
        self.program = os.path.join(harness.BUILD, "tests", "bench", "bench_apiserver")

    def start(self, *parts, **kwargs):
        certificate, key = self.cluster.pki.files("admin")
        return subprocess.Popen([self.program, f"https://127.0.0.1:{self.cluster.server.port}", self.cluster.pki.ca,
                                 certificate, key, self.cluster.etcd.url, *parts], **kwargs)

    def run(self, *parts):
        assert self.start(*parts).wait() == 0, parts

    def run_measured(self, part):
        """With the processor time of each, so that it is seen what the sharing of the machine costs."""
        server, etcd = processor_seconds(self.cluster.server), processor_seconds(self.cluster.etcd)
        own = os.times()
        self.run(part)
        client = os.times()
        say(f"{part}, processor seconds",
            f"{processor_seconds(self.cluster.server) - server:17.1f} kube-apiserver, "
            f"{processor_seconds(self.cluster.etcd) - etcd:.1f} etcd, "
            f"{client.children_user + client.children_system - own.children_user - own.children_system:.1f} the client")

    def run_watches(self, part, count):
        before = memory_mib(self.cluster.server)
        bench = self.start(part, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert bench.stdout.readline() == "open\n"
        opened = memory_mib(self.cluster.server)
        bench.stdin.write("\n")
        bench.stdin.close()
        print(bench.stdout.read(), end="")
        assert bench.wait() == 0, part
        say("", f"{max(opened - before, 0) * 1024 / count:18.1f} KiB more for each watch; "
            f"{memory_mib(self.cluster.server):.0f} MiB in the end")

    def run_full(self):
        """100,000 pods in an etcd of their own: memory of an apiserver that has just read them."""
        self.cluster.server.terminate()
        self.cluster.etcd.terminate()
        self.__init__()
        self.start("POST 1 1", stdout=subprocess.DEVNULL).wait()
        bench = self.start("fill", stdout=subprocess.PIPE, text=True)
        stored = int(bench.communicate()[0].split()[1])
        assert bench.returncode == 0
        self.cluster.server.terminate()
        empty = self.empty_mib
        begin = time.monotonic()
        self.cluster.server = self.cluster.start_server(wait=False)
        self.cluster.server.await_ready(120)
        ready = time.monotonic() - begin
        full = memory_mib(self.cluster.server)
        say("100,000 pods, stored", f"{stored / 2**20:18.0f} MiB")
        say("kube-apiserver, resident", f"{full:18.0f} MiB, {(full - empty) * 2**20 / stored:.2f} of what is stored; "
            f"ready after {ready:.1f} s")
        self.run("node-lists")

    def run_delete_collection(self):
        client = self.cluster.server.client
        begin = time.monotonic()
        answer = client.delete(f"{NAMESPACE}/pods?labelSelector=app%3Dweb&fieldSelector=spec.nodeName%3Dnode-001",
                               {"gracePeriodSeconds": 0})
        assert answer.code == 200, answer
        count = len(answer.json["items"])
        say("delete a collection of pods", f"{count / (time.monotonic() - begin):18.0f}/s, {count} at once")

    def run_all(self):
        self.empty_mib = memory_mib(self.cluster.server)
        self.run_measured("creates")
        self.run_measured("updates")
        say("kube-apiserver, resident", f"{self.empty_mib:18.1f} MiB idle, {memory_mib(self.cluster.server):.1f} MiB "
            "with 10,000 pods of 4 KB and the changes of the last minute")
        self.run("http2-reads")
        self.run("http1-reads")
        self.run_watches("node-watches", 1000)
        self.run_watches("full-watches", 1000)
        self.run_watches("many-node-watches", 10000)
        self.run_watches("many-full-watches", 10000)
        self.run_full()
        self.run_delete_collection()


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    Bench().run_all()
    complaints = harness.stop_all()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
