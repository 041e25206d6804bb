# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: running commands against the local cluster,
waiting for states, and counting results.

A test is a function registered by @test; they run in order, since the walk is one
story. KUBECTL names the client (default: our ctl)."""

import json
import os
import subprocess
import sys
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
KUBECONFIG = os.path.join(BUILD, "cluster", "admin.conf")
DAEMONS = ["kube-etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"]
CTL = os.environ.get("KUBECTL", os.path.join(BUILD, "bin", "ctl"))


def node_address():
    with open(os.path.join(BUILD, "cluster", "subnet")) as file:
        return file.read().strip() + ".11"


_tests = []


def test(function):
    _tests.append(function)
    return function


class Result:
    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr


def run(argv, stdin=None, check=True, timeout=60):
    completed = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=TOP,
                               env=dict(os.environ, KUBECONFIG=KUBECONFIG))
    if check and completed.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit {completed.returncode}\n{completed.stdout}{completed.stderr}")
    return Result(completed)


def ctl(*args, stdin=None, check=True, timeout=60):
    return run([CTL, *args], stdin=stdin, check=check, timeout=timeout)


def get(*args):
    """One object or list as Python data."""
    return json.loads(ctl("get", *args, "-o", "json").out)


def node(*args, check=True, timeout=60):
    """A command inside the machine."""
    return run([os.path.join(TOP, "deploy/cluster/cluster"), "exec", "node-1", *args], check=check, timeout=timeout)


def await_true(what, condition, timeout=60):
    """Polls until the condition holds and returns its value; fails naming what was awaited."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return last
        except (AssertionError, KeyError, IndexError, json.JSONDecodeError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"waited {timeout} s for: {what}; last: {last}")


def pods(selector):
    return get("pods", "-l", selector)["items"]


def is_ready(pod):
    return "deletionTimestamp" not in pod["metadata"] and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def ready_pods(selector, count):
    """The pods, once exactly `count` of them exist and all are Ready."""
    found = pods(selector)
    return found if len(found) == count and all(is_ready(p) for p in found) else None


def main_pid(unit):
    return node("systemctl", "show", "-p", "MainPID", "--value", unit).out.strip()


def kill_daemon(unit):
    """SIGKILL; returns once systemd has started it again."""
    before = main_pid(unit)
    node("kill", "-9", before)
    await_true(f"{unit} is started again", lambda: main_pid(unit) not in ("0", "", before) and
               node("systemctl", "is-active", unit, check=False).out.strip() == "active")


# What pods leave on a node, each a command that prints nothing when nothing is left.
LEFTOVERS = {
    "containers": "ctr -n k8s.io containers ls -q",
    "tasks": "ctr -n k8s.io tasks ls -q",
    "container processes": "pgrep -a containerd-shim",
    "network namespaces": "ls /run/netns",
    "pod interfaces": "ip -br link | grep '^veth'",
    "addresses": "ls /var/lib/cni/networks/caravel | grep '^[0-9]'",
    "mounts": "grep -E '/var/lib/kubelet/(pods|.*sandbox)|/run/containerd/io.containerd' /proc/mounts",
    "pod folders": "ls /var/lib/kubelet/pods",
    "log folders": "ls /var/log/pods /var/log/containers | grep -v '^$\\|:$'",
    "cgroups": "find /sys/fs/cgroup -type d -path '*kubepods*/pod*'",
    "service rules": "nft list table ip kube-proxy | grep '10[.]244[.]'  | grep -v '/16'",
    "port rules": "nft list ruleset | grep CNI-HOSTPORT-DNAT.*dnat",
}


def assert_node_is_clean():
    """Nothing is left of any pod, once what was going on has ended."""
    for what, command in LEFTOVERS.items():
        try:
            await_true(f"no {what} are left", lambda: node("sh", "-c", command, check=False).out.strip() == "",
                       timeout=30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{node('sh', '-c', command, check=False).out}") from None


def assert_no_crash():
    """No daemon ended by itself, says the machine's journal."""
    journal = node("journalctl", "--no-pager", "-o", "cat").out
    for sign in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion `", "dumped core", "SIGABRT",
                 "SIGSEGV", "status=6/ABRT", "status=11/SEGV"):
        assert sign not in journal, next(line for line in journal.splitlines() if sign in line)


def main():
    only = sys.argv[1:]
    passed, failed = 0, 0
    for function in _tests:
        name = function.__name__
        if only and name not in only:
            continue
        started = time.monotonic()
        try:
            function()
            passed += 1
            print(f"ok      {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name} ({time.monotonic() - started:.1f} s)", flush=True)
            traceback.print_exc()
    print(f"e2e: {passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
