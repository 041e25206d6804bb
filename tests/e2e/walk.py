# SPDX-License-Identifier: Apache-2.0
"""The walk of a new user on the cluster that `make up` made: a Deployment and a
Service in real containers, with faults on the way, to a clean node at the end."""

import os
import urllib.request

from harness import (DAEMONS, TOP, assert_no_crash, await_true, ctl, get, is_ready, kill_daemon, main, node,
                     node_address, pods, ready_pods, test)

WEB = os.path.join(TOP, "deploy/examples/web.yaml")


def curl_service(address, times=40):
    """The answers of the Service, asked from the node, as a set of lines."""
    script = f"for i in $(seq {times}); do curl -s --max-time 2 http://{address}/ || echo failed; done"
    return set(node("sh", "-c", script).out.split("\n")) - {""}


def cluster_ip():
    return get("service", "web")["spec"]["clusterIP"]


@test
def node_is_ready():
    items = get("nodes")["items"]
    assert [n["metadata"]["name"] for n in items] == ["node-1"]
    assert is_ready(items[0])
    line = ctl("get", "nodes", "--no-headers").out.split()
    assert line[:2] == ["node-1", "Ready"], line


@test
def deployment_runs():
    ctl("apply", "-f", WEB)
    found = await_true("3 web pods are Ready", lambda: ready_pods("app=web", 3))
    addresses = {p["status"]["podIP"] for p in found}
    assert len(addresses) == 3 and all(a.startswith("10.244.0.") for a in addresses), addresses
    lines = ctl("get", "pods", "-o", "wide", "--no-headers").out.splitlines()
    assert len(lines) == 3 and all(line.split()[1:3] == ["1/1", "Running"] for line in lines), lines
    assert all(any(a in line for a in addresses) for line in lines), lines


@test
def second_apply_changes_nothing():
    before = get("deployment", "web")["metadata"]["resourceVersion"]
    ctl("apply", "-f", WEB)
    assert get("deployment", "web")["spec"]["replicas"] == 3
    generation = get("deployment", "web")["metadata"]["generation"]
    assert generation == 1, (before, generation)


@test
def logs_and_exec():
    pod = pods("app=web")[0]["metadata"]["name"]
    assert ctl("exec", pod, "--", "hostname").out.strip() == pod
    failing = ctl("exec", pod, "--", "sh", "-c", "exit 7", check=False)
    assert failing.code == 7, (failing.code, failing.err)
    assert ctl("exec", "-i", pod, "--", "cat", stdin="through stdin\n").out == "through stdin\n"
    ctl("exec", pod, "--", "sh", "-c", "echo a log line > /proc/1/fd/1")
    await_true("the line is in the log", lambda: "a log line" in ctl("logs", pod).out)


@test
def service_balances():
    names = {p["metadata"]["name"] for p in pods("app=web")}
    address = cluster_ip()
    await_true("all three answer", lambda: {a.split()[0] for a in curl_service(address)} == names)


@test
def node_port_from_outside():
    manifest = """
apiVersion: v1
kind: Service
metadata: {name: web-port}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
"""
    ctl("apply", "-f", "-", stdin=manifest)

    def answer():
        try:
            return b"version 1.0" in urllib.request.urlopen(f"http://{node_address()}:30080/", timeout=2).read()
        except OSError:
            return False
    await_true("the node port answers from the host", answer)
    ctl("delete", "service", "web-port")


@test
def hairpin():
    """A pod reaches its own Service, also when it is chosen itself."""
    pod = pods("app=web")[0]["metadata"]["name"]
    script = (f"for i in $(seq 15); do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {cluster_ip()} 80 "
              "|| echo failed; done")
    answers = ctl("exec", pod, "--", "sh", "-c", script).out
    assert "failed" not in answers and pod in answers, answers


@test
def killed_container_is_restarted():
    pod = pods("app=web")[0]["metadata"]["name"]
    inner = ctl("exec", pod, "--", "sh", "-c", "cat /sys/class/net/eth0/address").out.strip()
    assert inner
    container = get("pod", pod)["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    pid = next(line.split()[1] for line in node("ctr", "-n", "k8s.io", "task", "ls").out.splitlines()
               if line.startswith(container))
    node("kill", "-9", pid)

    def restarted():
        status = get("pod", pod)["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and status["ready"]
    await_true("restartCount is 1 and it is ready again", restarted)
    line = next(x for x in ctl("get", "pods", "--no-headers").out.splitlines() if x.startswith(pod))
    assert line.split()[3] == "1", line


@test
def scaling():
    ctl("scale", "deployment", "web", "--replicas=5")
    await_true("5 pods are Ready", lambda: ready_pods("app=web", 5))
    ctl("scale", "deployment", "web", "--replicas=2")
    await_true("2 pods are left", lambda: ready_pods("app=web", 2))
    ctl("scale", "deployment", "web", "--replicas=3")
    await_true("3 pods are Ready", lambda: ready_pods("app=web", 3))


@test
def rollout_and_undo():
    with open(WEB) as file:
        manifest = file.read().replace("busybox:1.0", "busybox:2.0")
    ctl("apply", "-f", "-", stdin=manifest)
    ctl("rollout", "status", "deployment/web", "--timeout=60s", timeout=90)
    await_true("only version 2.0 answers",
               lambda: {a.split()[-1] for a in curl_service(cluster_ip())} == {"2.0"})
    ctl("rollout", "undo", "deployment/web")
    ctl("rollout", "status", "deployment/web", "--timeout=60s", timeout=90)
    await_true("only version 1.0 answers",
               lambda: {a.split()[-1] for a in curl_service(cluster_ip())} == {"1.0"})


@test
def no_connection_broke_by_itself():
    """Nothing that comes up on the node, kube-proxy's rules least of all, may cut what was there before."""
    journal = node("journalctl", "--no-pager", "-o", "cat").out
    assert "unexpected EOF" not in journal, next(x for x in journal.splitlines() if "unexpected EOF" in x)


@test
def daemons_may_be_killed():
    """SIGKILL of each daemon in turn: containers stay, and the cluster goes on."""
    await_true("3 pods are Ready", lambda: ready_pods("app=web", 3))
    before = {p["metadata"]["uid"]: p["status"]["containerStatuses"][0]["containerID"] for p in pods("app=web")}
    for unit in DAEMONS:
        kill_daemon(unit)
        await_true(f"the API answers after {unit} was killed",
                   lambda: ctl("get", "--raw", "/readyz", check=False).out.strip() == "ok")
        after = {p["metadata"]["uid"]: p["status"]["containerStatuses"][0]["containerID"] for p in pods("app=web")}
        assert after == before, f"containers changed when {unit} was killed"
    ctl("scale", "deployment", "web", "--replicas=4")
    await_true("4 pods are Ready", lambda: ready_pods("app=web", 4))
    ctl("scale", "deployment", "web", "--replicas=3")
    await_true("3 pods are left", lambda: ready_pods("app=web", 3))
    names = {p["metadata"]["name"] for p in pods("app=web")}
    await_true("exactly they answer", lambda: {a.split()[0] for a in curl_service(cluster_ip())} == names)


@test
def killed_in_the_middle_of_a_rollout():
    with open(WEB) as file:
        manifest = file.read().replace("busybox:1.0", "busybox:2.0")
    ctl("apply", "-f", "-", stdin=manifest)
    for unit in ("kubelet", "kube-controller-manager", "kube-apiserver", "kube-scheduler"):
        kill_daemon(unit)
    await_true("the API answers", lambda: ctl("get", "--raw", "/readyz", check=False).out.strip() == "ok")
    ctl("rollout", "status", "deployment/web", "--timeout=90s", timeout=120)
    await_true("only version 2.0 answers",
               lambda: {a.split()[-1] for a in curl_service(cluster_ip())} == {"2.0"})


@test
def bad_input_is_named():
    cases = [
        ("kind: Pod\napiVersion: v1\nmetadata: [", "error"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b}], surprise: 1}",
         "surprise"),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: many}", "replicas"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: Not_Valid}\nspec: {containers: [{name: a, image: b}]}",
         "Not_Valid"),
        ("apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}", "Nonsense"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a}]}", "image"),
    ]
    for manifest, word in cases:
        result = ctl("create", "-f", "-", stdin=manifest, check=False)
        assert result.code == 1, (manifest, result.code, result.out, result.err)
        assert word in result.err, (manifest, result.err)
    missing = ctl("get", "pod", "no-such-pod", check=False)
    assert missing.code == 1 and 'pods "no-such-pod" not found' in missing.err, missing.err


@test
def missing_image_is_reported():
    manifest = ("apiVersion: v1\nkind: Pod\nmetadata: {name: lost}\n"
                "spec: {containers: [{name: a, image: 'caravel.dev/none:1', imagePullPolicy: Never}]}")
    ctl("create", "-f", "-", stdin=manifest)
    await_true("ErrImageNeverPull shows", lambda: get("pod", "lost")["status"]["containerStatuses"][0]["state"]
               ["waiting"]["reason"] == "ErrImageNeverPull")
    assert "ErrImageNeverPull" in ctl("describe", "pod", "lost").out
    ctl("delete", "pod", "lost")


@test
def unschedulable_says_why():
    manifest = ("apiVersion: v1\nkind: Pod\nmetadata: {name: big}\nspec: {containers: [{name: a, "
                "image: 'caravel.dev/busybox:1.0', resources: {requests: {cpu: '1000'}}}]}")
    ctl("create", "-f", "-", stdin=manifest)

    def told():
        return any(e["reason"] == "FailedScheduling" and "1 Insufficient cpu" in e["message"]
                   for e in get("events")["items"])
    await_true("FailedScheduling names the cpu", told)
    ctl("delete", "pod", "big")


@test
def deletion_leaves_nothing():
    ctl("delete", "-f", WEB)
    await_true("no pods are left", lambda: not get("pods")["items"])
    await_true("no containers are left",
               lambda: len(node("ctr", "-n", "k8s.io", "containers", "ls", "-q").out.split()) == 0)
    await_true("no network namespaces are left", lambda: node("sh", "-c", "ls /var/run/netns").out.strip() == "")
    await_true("no mounts of pods are left",
               lambda: "/var/lib/kubelet/pods/" not in node("cat", "/proc/mounts").out)
    await_true("no pod folders are left", lambda: node("sh", "-c", "ls /var/lib/kubelet/pods").out.strip() == "")
    rules = await_true("no rules of it are left",
                       lambda: node("nft", "list", "ruleset").out if "8080" not in
                       node("nft", "list", "ruleset").out else None)
    assert "8080" not in rules


@test
def no_daemon_crashed_by_itself():
    assert_no_crash()


if __name__ == "__main__":
    main()
