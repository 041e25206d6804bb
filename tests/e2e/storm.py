# SPDX-License-Identifier: Apache-2.0
"""Kills at random while Deployments come and go: whatever was acknowledged holds,
all of it converges when the storm is over, and taken away it leaves nothing. Then a
power cut. STORM_SEED repeats a storm's choices, STORM_SECONDS sets its length."""

import json
import os
import random
import subprocess
import time

from harness import (BUILD, DAEMONS, TOP, assert_node_is_clean, assert_no_crash, await_true, ctl, get, is_ready, main,
                     node, pods, ready_pods, test)

CLUSTER = os.path.join(TOP, "deploy/cluster/cluster")
SEED = int(os.environ.get("STORM_SEED", random.SystemRandom().randrange(1000000)))
SECONDS = float(os.environ.get("STORM_SECONDS", "60"))
MOST = 5  # Deployments at a time
LABEL = "test=storm"
# A leader that is killed leaves its lease behind: 15 seconds pass before another leads. Killed too often, nothing
# would ever run.
VICTIMS = [unit for unit in DAEMONS for _ in range(1 if unit in ("kube-controller-manager", "kube-scheduler") else 3)]


def workload(name, replicas):
    labels = {"test": "storm", "storm": name}
    container = {"name": "main", "image": "caravel.dev/busybox:1.0",
                 "command": ["httpd", "-f", "-p", "8080", "-h", "/etc"],
                 "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}
    template = {"metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1,
                         "volumes": [{"name": "scratch", "emptyDir": {"medium": "Memory"}}]}}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"test": "storm"}},
         "spec": {"replicas": replicas, "selector": {"matchLabels": {"storm": name}}, "template": template}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"test": "storm"}},
         "spec": {"selector": {"storm": name}, "ports": [{"port": 80, "targetPort": 8080}]}}]})


class Storm:
    """What was asked for and acknowledged, and the dice."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.wanted = {}  # name → replicas, None: the last answer was an error, so either may be true
        self.made = 0
        self.kills = {}

    def create(self):
        if len(self.wanted) >= MOST:
            self.delete()
            return
        self.made += 1
        name, replicas = f"storm-{self.made}", self.dice.randint(1, 3)
        done = ctl("create", "-f", "-", stdin=workload(name, replicas), check=False).code == 0
        self.wanted[name] = replicas if done else None

    def delete(self):
        if not self.wanted:
            return
        name = self.dice.choice(sorted(self.wanted))
        if ctl("delete", "deployment,service", name, "--wait=false", check=False).code == 0:
            del self.wanted[name]
        else:
            self.wanted[name] = None

    def scale(self):
        if not self.wanted:
            return
        name, replicas = self.dice.choice(sorted(self.wanted)), self.dice.randint(0, 3)
        known = self.wanted[name] is not None
        done = ctl("scale", "deployment", name, f"--replicas={replicas}", check=False).code == 0
        self.wanted[name] = replicas if done and known else None

    def kill_daemon(self):
        unit = self.dice.choice(VICTIMS)
        self.note(unit, node("systemctl", "kill", "--kill-who=main", "-s", "KILL", unit, check=False).code == 0)

    def kill_process(self):
        """A shim, a pause process, or what runs in a container."""
        what, pattern = self.dice.choice([("shim", "pgrep -x containerd-shim"), ("pause", "pgrep -x pause"),
                                          ("container", "pgrep -x httpd")])
        found = sorted(node("sh", "-c", pattern, check=False).out.split())
        if found:
            self.note(what, node("kill", "-9", self.dice.choice(found), check=False).code == 0)

    def note(self, what, done):
        self.kills[what] = self.kills.get(what, 0) + done

    def blow(self, seconds):
        deadline = time.monotonic() + seconds
        next_kill = time.monotonic()
        while time.monotonic() < deadline:
            if time.monotonic() >= next_kill:
                self.dice.choice([self.kill_daemon, self.kill_process])()
                next_kill = time.monotonic() + self.dice.uniform(0.2, 3)
            self.dice.choice([self.create, self.delete, self.scale])()


def deployments():
    return {d["metadata"]["name"]: d["spec"]["replicas"] for d in get("deployments", "-l", LABEL)["items"]}


def converged():
    wanted = deployments()
    found = pods(LABEL)
    for name, replicas in wanted.items():
        own = [p for p in found if p["metadata"]["labels"]["storm"] == name]
        if len(own) != replicas or not all(is_ready(p) for p in own):
            return False
    return len(found) == sum(wanted.values())


def services_answer():
    """Every Service with endpoints is answered on its address, from the node."""
    for name, replicas in deployments().items():
        service = ctl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}", check=False)
        if service.code == 0 and replicas:
            # httpd answers 404 below a folder without an index: an answer is what counts.
            answer = node("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2",
                          f"http://{service.out.strip()}/", check=False).out
            if answer not in ("200", "403", "404"):
                return False
    return True


@test
def a_storm_of_kills():
    print(f"        STORM_SEED={SEED}", flush=True)
    assert_node_is_clean()
    storm = Storm(SEED)
    storm.blow(SECONDS)
    print(f"        {storm.made} Deployments, killed: {storm.kills}", flush=True)
    assert storm.made and set(storm.kills) & set(DAEMONS) and set(storm.kills) - set(DAEMONS), "that was no storm"
    for unit in DAEMONS:
        await_true(f"{unit} runs", lambda: node("systemctl", "is-active", unit, check=False).out.strip() == "active")
    await_true("the API is ready", lambda: ctl("get", "--raw", "/readyz", check=False).out.strip() == "ok")
    found = deployments()
    for name, replicas in storm.wanted.items():
        assert replicas is None or found.get(name) == replicas, (name, replicas, found)
    assert set(found) <= set(storm.wanted), ("deleted, yet there", found, storm.wanted)
    await_true("the node is Ready", lambda: is_ready(get("node", "node-1")))
    await_true("every Deployment has its pods", converged, timeout=120)
    await_true("every Service answers", services_answer)


@test
def the_storm_leaves_nothing():
    ctl("delete", "deployments,services", "-l", LABEL)
    await_true("no pods are left", lambda: not pods(LABEL))
    await_true("no ReplicaSets are left", lambda: not get("replicasets")["items"])
    assert_node_is_clean()
    assert_no_crash()


@test
def a_power_cut():
    ctl("create", "-f", "-", stdin=workload("storm-survivor", 2))
    await_true("2 pods are Ready", lambda: ready_pods(LABEL, 2))
    before = {p["metadata"]["uid"] for p in pods(LABEL)}
    environment = dict(os.environ, BUILD=BUILD)
    subprocess.run([CLUSTER, "crash", "node-1"], check=True, cwd=TOP, env=environment)
    subprocess.run([CLUSTER, "start", "node-1"], check=True, cwd=TOP, env=environment)
    await_true("the API is ready", lambda: ctl("get", "--raw", "/readyz", check=False).out.strip() == "ok")

    def restarted():
        found = ready_pods(LABEL, 2)
        return found and {p["metadata"]["uid"] for p in found} == before and all(
            p["status"]["containerStatuses"][0]["restartCount"] == 1 for p in found)
    await_true("the same pods run again, each restarted once", restarted)
    await_true("its Service answers", services_answer)
    ctl("delete", "deployments,services", "-l", LABEL)
    await_true("no pods are left", lambda: not pods(LABEL))
    assert_node_is_clean()
    assert_no_crash()


if __name__ == "__main__":
    main()
