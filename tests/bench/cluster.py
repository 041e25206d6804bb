# SPDX-License-Identifier: Apache-2.0
"""Figures of the local cluster: time from `make up` to node Ready, time from
`ctl apply` of a pod to Running, and what the idle daemons cost.

Prints a table; judges nothing. usage: cluster.py BUILD_FOLDER [PODS]"""

import json
import os
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))

import harness  # noqa: E402

DAEMONS = ["kube-apiserver", "kube-scheduler", "kube-controller-manager", "kubelet", "kube-proxy"]
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: 'caravel.dev/busybox:1.0', command: [sleep, '3600']}]
"""


def cluster(*args):
    subprocess.run([os.path.join(TOP, "deploy/cluster/cluster"), *args], check=True, cwd=TOP, stdout=subprocess.DEVNULL)


def measure_up():
    started = time.monotonic()
    cluster("up")
    return time.monotonic() - started


def memory_kib(daemon):
    """Resident and proportional memory of a daemon, in KiB."""
    pid = harness.node("systemctl", "show", "-p", "MainPID", "--value", daemon).out.strip()
    lines = harness.node("cat", f"/proc/{pid}/smaps_rollup").out.splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    return values["Rss"], values["Pss"]


def apply_to_running(number):
    """Seconds from starting `ctl apply` until a watch shows the pod Running."""
    name = f"bench-{number}"
    watch = subprocess.Popen([harness.CTL, "get", "pod", "-w", "--no-headers", "--field-selector", f"metadata.name={name}"],
                             stdout=subprocess.PIPE, text=True, env=dict(os.environ, KUBECONFIG=harness.KUBECONFIG))
    started = time.monotonic()
    harness.ctl("apply", "-f", "-", stdin=POD.replace("NAME", name))
    for line in watch.stdout:
        if line.split()[2] == "Running":
            break
    took = time.monotonic() - started
    watch.kill()
    watch.wait()
    # Removed to the end, so that the next pod isn't measured beside this one's removal.
    harness.ctl("delete", "pod", name)
    return took


def wakeups_and_ticks(daemon):
    """Voluntary context switches of all threads, and CPU time in clock ticks."""
    pid = harness.node("systemctl", "show", "-p", "MainPID", "--value", daemon).out.strip()
    switches = harness.node("sh", "-c", f"cat /proc/{pid}/task/*/status").out
    stat = harness.node("cat", f"/proc/{pid}/stat").out.rsplit(")", 1)[1].split()
    return (sum(int(line.split()[1]) for line in switches.splitlines() if line.startswith("voluntary_ctxt_switches")),
            int(stat[11]) + int(stat[12]))


def etcd_revision():
    """A consistent list carries the revision that etcd has reached."""
    return int(json.loads(harness.ctl("get", "--raw", "/api/v1/nodes").out)["metadata"]["resourceVersion"])


def print_idle(seconds):
    before = {daemon: wakeups_and_ticks(daemon) for daemon in DAEMONS}
    revision = etcd_revision()
    time.sleep(seconds)  # the length of the measurement, not a wait for something
    for daemon in DAEMONS:
        switches, ticks = (now - then for now, then in zip(wakeups_and_ticks(daemon), before[daemon]))
        print(f"{f'idle {daemon} (wake-ups a minute; CPU)':60} {switches * 60 / seconds:6.0f} "
              f"{ticks * 1000 / os.sysconf('SC_CLK_TCK') * 60 / seconds:7.0f} ms/min")
    print(f"{'idle cluster, writes to etcd a minute':60} {(etcd_revision() - revision) * 60 / seconds:6.0f}")


def main():
    os.environ["BUILD"] = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    print(f"{'make up to node Ready':44} {measure_up():8.2f} s")
    try:
        for _ in range(3):
            apply_to_running(1000)
        times = sorted(apply_to_running(i) * 1000 for i in range(count))
        print(f"{f'ctl apply of a pod to Running, median of {count}':44} {statistics.median(times):8.0f} ms")
        print(f"{'  the slowest':44} {times[-1]:8.0f} ms")
        total_rss = total_pss = 0
        for daemon in DAEMONS:
            rss, pss = memory_kib(daemon)
            total_rss += rss
            total_pss += pss
            print(f"{f'memory of {daemon} (resident; proportional)':60} {rss / 1024:6.1f} MiB {pss / 1024:6.1f} MiB")
        print(f"{'memory of the daemons together':60} {total_rss / 1024:6.1f} MiB {total_pss / 1024:6.1f} MiB")
        print_idle(30)
    finally:
        cluster("down")


if __name__ == "__main__":
    main()
