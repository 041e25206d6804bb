# SPDX-License-Identifier: Apache-2.0
"""Figures of the API server alone: starts etcd and kube-apiserver on free loopback
ports and runs bench_apiserver against them. usage: apiserver.py BUILD_FOLDER"""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ["BUILD"] = sys.argv[1]
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))

import harness  # noqa: E402


def resident_mib(process):
    with open(f"/proc/{process.popen.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def main():
    cluster = harness.Cluster("-v=0")
    client = cluster.server.client
    assert client.post("/api/v1/namespaces", {"metadata": {"name": "bench"}}).code == 201
    account = client.post("/api/v1/namespaces/bench/serviceaccounts", {"metadata": {"name": "default"}})
    assert account.code == 201, account
    before = resident_mib(cluster.server)
    certificate, key = cluster.pki.files("admin")
    program = os.path.join(harness.BUILD, "tests", "bench", "bench_apiserver")
    result = subprocess.run([program, f"https://127.0.0.1:{cluster.server.port}", cluster.pki.ca, certificate, key,
                             cluster.etcd.url])
    print(f"{'kube-apiserver, resident':34} {before:18.1f} MiB idle, {resident_mib(cluster.server):.1f} MiB with 10,000 "
          "pods of 4 KB")
    for complaint in harness.stop_all():
        print(complaint, file=sys.stderr)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
