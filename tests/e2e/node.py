# SPDX-License-Identifier: Apache-2.0
"""What a pod can say, a real node does: streams with clients of every version that the
machine has, and what people write into manifests."""

import glob
import json
import os
import pty
import select
import socket
import subprocess
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from harness import (CTL, KUBECONFIG, assert_no_crash, assert_node_is_clean, await_true, ctl, get, is_ready, main, node,
                     run, test)

IMAGE = "caravel.dev/busybox:1.0"


def clients():
    """Our ctl and each kubectl.N of this machine, by name."""
    found = {"ctl": CTL}
    kubectl = subprocess.run(["sh", "-c", "readlink -f $(command -v kubectl)"], capture_output=True, text=True).stdout.strip()
    for path in sorted(glob.glob(os.path.join(os.path.dirname(kubectl or "/nowhere/x"), "kubectl.1.*"))):
        found[os.path.basename(path)] = path
    if len(found) == 1:
        print("skipped: this machine has no kubectl.1.N; only ctl is tried")
    return found


CLIENTS = clients()


def pod(name, containers, **spec):
    """A manifest with busybox where no image is named."""
    for number, container in enumerate(containers):
        container.setdefault("name", "main" if number == 0 else f"c{number}")
        container.setdefault("image", IMAGE)
    for container in spec.get("initContainers", []):
        container.setdefault("image", IMAGE)
    metadata = {"name": name, **spec.pop("metadata", {})}
    spec.setdefault("terminationGracePeriodSeconds", 1)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def create(*manifests):
    for manifest in manifests:
        ctl("create", "-f", "-", stdin=json.dumps(manifest))


def delete(*names):
    ctl("delete", "pod", *names, "--wait=true")


def shell(script, **more):
    return {"command": ["sh", "-c", script], **more}


def status_of(name, container="main", kind="containerStatuses"):
    statuses = get("pod", name)["status"].get(kind, [])
    return next((s for s in statuses if s["name"] == container), {})


def condition(name, kind):
    return next((c for c in get("pod", name)["status"]["conditions"] if c["type"] == kind), {"reason": None})


def await_ready(*names):
    for name in names:
        await_true(f"{name} is ready", lambda: is_ready(get("pod", name)), timeout=30)


def await_phase(name, phase):
    return await_true(f"{name} is {phase}", lambda: (p := get("pod", name))["status"]["phase"] == phase and p, timeout=40)


def reasons(name):
    return [e["reason"] for e in get("events", "--field-selector", f"involvedObject.name={name}")["items"]]


def messages(name, reason):
    return [e["message"] for e in get("events", "--field-selector", f"involvedObject.name={name},reason={reason}")["items"]]


def talk(argv, steps, timeout=30):
    """Runs a client on a terminal; sends a text when another was seen. Its output and exit code."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["KUBECONFIG"] = KUBECONFIG
        os.execvp(argv[0], argv)
    output, step, deadline = b"", 0, time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        output += data
        while step < len(steps) and steps[step][0].encode() in output:
            os.write(fd, steps[step][1].encode())
            step += 1
    else:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise AssertionError(f"{argv} did not end: {output}")
    os.close(fd)
    return output.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# --- streams -------------------------------------------------------------------------

@test
def exec_by_every_client():
    create(pod("streams", [shell("httpd -p 8080 -h /tmp; echo page > /tmp/index.html; echo a line; exec sleep 10000")]))
    await_ready("streams")
    for name, client in CLIENTS.items():
        done = run([client, "exec", "streams", "--", "sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
        assert (done.code, done.out) == (7, "out\n") and "err\n" in done.err, (name, done.code, done.out, done.err)
        echoed = run([client, "exec", "-i", "streams", "--", "cat"], stdin="x" * 300000)
        assert echoed.out == "x" * 300000, (name, len(echoed.out))
        assert run([client, "logs", "streams"]).out == "a line\n", name


@test
def terminal_by_every_client():
    for name, client in CLIENTS.items():
        output, code = talk([client, "exec", "-it", "streams", "--", "sh"],
                            [("# ", "tty; echo $((40+2))\n"), ("42", "exit 5\n")])
        assert code == 5 and "/dev/pts/" in output, (name, code, output)


@test
def copy_by_every_kubectl():
    blob = os.urandom(2 << 20)
    with tempfile.TemporaryDirectory() as folder:
        there, back = os.path.join(folder, "there"), os.path.join(folder, "back")
        with open(there, "wb") as file:
            file.write(blob)
        for name, client in CLIENTS.items():
            if name == "ctl":
                continue
            run([client, "cp", there, "streams:/tmp/blob"])
            run([client, "cp", "streams:/tmp/blob", back])
            with open(back, "rb") as file:
                assert file.read() == blob, name


class Forward:
    def __init__(self, client, *arguments):
        self.process = subprocess.Popen([client, "port-forward", *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=dict(os.environ, KUBECONFIG=KUBECONFIG))
        self.ports = []
        while len(self.ports) < sum(1 for a in arguments if a.startswith(":")):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            if "127.0.0.1:" in line:
                self.ports.append(int(line.split("127.0.0.1:")[1].split()[0]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def fetch(self, number=0):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.ports[number]}/", timeout=10).read()


@test
def port_forward_by_every_kubectl():
    for name, client in CLIENTS.items():
        if name == "ctl":
            continue
        with Forward(client, "pod/streams", ":8080", ":9") as forward:
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: forward.fetch(), range(16)))
            assert answers == [b"page\n"] * 16, (name, answers)
            with socket.create_connection(("127.0.0.1", forward.ports[1])) as connection:
                connection.settimeout(10)
                assert connection.recv(1) == b"", name
            seen = ""
            while "refused" not in seen:
                line = forward.process.stderr.readline()
                assert line, (name, seen)
                seen += line
            assert "error forwarding port 9 to pod" in seen and "connection refused" in seen, (name, seen)


@test
def run_and_remove():
    for name, client in CLIENTS.items():
        if name == "ctl":
            continue
        command = [client, "run", "shell", "-it", "--rm", "--restart=Never", "--image=" + IMAGE, "--", "sh"]
        output, code = talk(command, [("# ", "stty size; echo $((40+2))\n"), ("42", "exit 3\n")])
        assert code == 3 and "deleted" in output, (name, code, output)
        piped = run([client, "run", "pipe", "-i", "--rm", "--restart=Never", "--image=" + IMAGE, "--", "sh", "-c",
                     "while read x; do echo got $x; done; echo ended"], stdin="one\ntwo\n")
        assert "ended" in piped.out, (name, piped.out, piped.err)


@test
def attach_to_what_runs():
    create(pod("held", [shell("while read x; do echo got $x; done; echo ended", stdin=True)], restartPolicy="Never"),
           pod("once", [shell("while read x; do echo got $x; done; echo ended", stdin=True, stdinOnce=True)],
               restartPolicy="Never"),
           pod("talker", [shell("while true; do echo tick; sleep 0.2; done")]))
    await_ready("held", "once", "talker")
    kubectls = [client for name, client in CLIENTS.items() if name != "ctl"] or [CTL]
    for client in kubectls:
        with subprocess.Popen([client, "attach", "-i", "held"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, env=dict(os.environ, KUBECONFIG=KUBECONFIG)) as process:
            process.stdin.write(b"hello\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"got hello\n", client
            process.kill()
        with subprocess.Popen([client, "attach", "talker"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env=dict(os.environ, KUBECONFIG=KUBECONFIG)) as process:
            assert process.stdout.readline() == b"tick\n", client
            process.kill()
    assert status_of("held")["state"].get("running"), "its input stays open"
    ended = run([kubectls[-1], "attach", "-i", "once"], stdin="last\n")
    assert ended.out == "got last\nended\n", ended.out
    await_phase("once", "Succeeded")
    assert ctl("logs", "once").out == "got last\nended\n"
    node("systemctl", "restart", "kubelet")
    with subprocess.Popen([kubectls[-1], "attach", "-i", "held"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, env=dict(os.environ, KUBECONFIG=KUBECONFIG)) as process:
        process.stdin.write(b"again\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"got again\n", "after a restart of the kubelet"
        process.kill()
    delete("held", "once", "talker", "streams")


# --- life ----------------------------------------------------------------------------

def http(port=8080, path="/"):
    return {"httpGet": {"port": port, "path": path}}


@test
def hooks():
    def run_hooks(name, lifecycle, script="trap 'echo term; exit 0' TERM; while true; do sleep 0.1; done", **spec):
        return pod(name, [shell(script, lifecycle=lifecycle)], **spec)

    create(run_hooks("hooked", {"postStart": {"exec": {"command": ["sh", "-c", "echo post > /proc/1/fd/1"]}},
                                "preStop": {"exec": {"command": ["sh", "-c", "echo pre > /proc/1/fd/1; sleep 0.3"]}}},
                     terminationGracePeriodSeconds=5),
           run_hooks("bad-post", {"postStart": {"exec": {"command": ["sh", "-c", "exit 3"]}}}),
           run_hooks("bad-pre", {"preStop": {"httpGet": {"port": 1}}}, terminationGracePeriodSeconds=5),
           run_hooks("sleeper", {"postStart": {"sleep": {"seconds": 1}}}))
    await_ready("hooked", "bad-pre", "sleeper")
    started = status_of("sleeper")["state"]["running"]["startedAt"]
    ready = condition("sleeper", "Ready")["lastTransitionTime"]
    assert ready > started, (started, ready)
    state = await_true("the failed hook is told", lambda: status_of("bad-post")["state"].get("waiting"))
    assert state["reason"] in ("PostStartHookError", "CrashLoopBackOff"), state
    await_true("its event is there", lambda: messages("bad-post", "FailedPostStartHook") == ["PostStartHook failed"])
    with subprocess.Popen([CTL, "logs", "-f", "hooked"], stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, KUBECONFIG=KUBECONFIG)) as log:
        delete("hooked")
        assert log.stdout.read() == "post\npre\nterm\n"
    delete("bad-pre")
    assert messages("bad-pre", "FailedPreStopHook") == ["PreStopHook failed"]
    delete("bad-post", "sleeper")


@test
def probes():
    page = "httpd -p 8080 -h /tmp; echo x > /tmp/index.html; echo probed > /tmp/alive; "
    create(pod("probed", [shell(page + "sleep 10000", startupProbe={"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "timeoutSeconds": 10},
                                readinessProbe={**http(), "periodSeconds": 1, "timeoutSeconds": 10},
                                livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 10})]),
           pod("unready", [shell("sleep 10000", readinessProbe={**http(), "periodSeconds": 1})]),
           pod("sick", [shell("trap '' TERM; while true; do sleep 0.1; done", livenessProbe={
               "exec": {"command": ["sh", "-c", "echo why it is sick; exit 1"]}, "periodSeconds": 1, "timeoutSeconds": 10,
               "failureThreshold": 1, "terminationGracePeriodSeconds": 1})], terminationGracePeriodSeconds=600),
           pod("no-grpc", [shell("sleep 10000", readinessProbe={"grpc": {"port": 9}, "periodSeconds": 1})]))
    await_ready("probed")
    assert status_of("probed")["started"]
    await_true("its probe fails", lambda: any("connection refused" in m and m.startswith('Readiness probe failed: Get "http://')
                                              for m in messages("unready", "Unhealthy")))
    assert status_of("unready") and condition("unready", "Ready")["reason"] == "ContainersNotReady"
    await_true("it was restarted", lambda: status_of("sick")["restartCount"] >= 1, timeout=20)
    assert any(m.strip() == "Liveness probe failed: why it is sick" for m in messages("sick", "Unhealthy"))
    assert "Container main failed liveness probe, will be restarted" in messages("sick", "Killing")
    assert status_of("sick")["lastState"]["terminated"]["exitCode"] == 137
    await_true("nobody speaks gRPC", lambda: messages("no-grpc", "Unhealthy"))
    delete("probed", "unready", "no-grpc")
    ctl("delete", "pod", "sick", "--grace-period=1", "--wait=true")


@test
def ephemeral_containers():
    create(pod("debugged", [shell("sleep 10000")]))
    await_ready("debugged")
    kubectls = [client for name, client in CLIENTS.items() if name != "ctl"]
    if not kubectls:
        print("skipped: kubectl debug, which this machine hasn't got")
    for number, client in enumerate(kubectls):
        output, code = talk([client, "debug", "-it", "debugged", "--image=" + IMAGE, "--target=main", f"-c=dbg{number}",
                             "--", "sh"], [("# ", "ps | grep 'sleep 1000[0]'; echo $((40+2))\n"), ("42", "exit 4\n")])
        assert "sleep 10000" in output, output
        status = await_true("it has ended", lambda: status_of("debugged", f"dbg{number}", "ephemeralContainerStatuses")
                            .get("state", {}).get("terminated"))
        assert status["exitCode"] == 4, status
    assert is_ready(get("pod", "debugged")) and status_of("debugged")["restartCount"] == 0
    delete("debugged")


@test
def init_containers_and_sidecars():
    sidecar = shell("trap 'sleep 0.3; echo bye; exit 0' TERM; echo up > /shared/up; while true; do sleep 0.1; done",
                    restartPolicy="Always", startupProbe={"exec": {"command": ["test", "-e", "/shared/up"]}, "periodSeconds": 1, "timeoutSeconds": 10})
    mount = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    create(pod("ordered", [shell("cat /shared/*; sleep 1", **mount)], restartPolicy="Never",
               initContainers=[{"name": "side", **sidecar, **mount},
                               {"name": "first", **shell("test -e /shared/up && echo one > /shared/1", **mount)},
                               {"name": "second", **shell("test -e /shared/1 && echo two > /shared/2", **mount)}],
               volumes=[{"name": "shared", "emptyDir": {}}], terminationGracePeriodSeconds=10),
           pod("failing", [shell("true")], restartPolicy="Never", initContainers=[{"name": "init", **shell("exit 9")}]))
    found = await_phase("ordered", "Succeeded")
    assert ctl("logs", "ordered").out == "one\ntwo\nup\n"
    await_true("the sidecar has ended by itself", lambda: status_of("ordered", "side", "initContainerStatuses")
               ["state"].get("terminated", {}).get("exitCode") == 0)
    assert ctl("logs", "ordered", "-c", "side").out == "bye\n"
    assert [c["status"] for c in found["status"]["conditions"] if c["type"] == "Initialized"] == ["True"]
    failed = await_phase("failing", "Failed")
    assert status_of("failing", "init", "initContainerStatuses")["state"]["terminated"]["exitCode"] == 9
    assert condition("failing", "Initialized")["reason"] == "ContainersNotInitialized", failed["status"]
    assert status_of("failing")["state"]["waiting"]["reason"] == "PodInitializing"
    delete("ordered", "failing")


@test
def ends():
    create(pod("deadline", [shell("sleep 10000")], activeDeadlineSeconds=1),
           pod("told", [shell("echo the reason > /dev/termination-log; exit 3")], restartPolicy="Never"),
           pod("logged", [shell("echo in the log; exit 3", terminationMessagePolicy="FallbackToLogsOnError")], restartPolicy="Never"),
           pod("elsewhere", [shell("echo there > /tmp/msg", terminationMessagePath="/tmp/msg")], restartPolicy="Never"),
           pod("looping", [shell("exit 1")]),
           pod("no-image", [{"image": "127.0.0.1:1/none:1"}]),
           pod("no-command", [{"command": ["/not/there"]}], restartPolicy="Never"),
           pod("no-object", [shell("true", envFrom=[{"configMapRef": {"name": "not-there"}}])]),
           pod("as-root", [shell("true", securityContext={"runAsNonRoot": True})]))
    found = await_phase("deadline", "Failed")
    assert found["status"]["reason"] == "DeadlineExceeded", found["status"]
    await_phase("told", "Failed")
    assert status_of("told")["state"]["terminated"]["message"] == "the reason\n"
    await_phase("logged", "Failed")
    assert status_of("logged")["state"]["terminated"]["message"] == "in the log\n"
    await_phase("elsewhere", "Succeeded")
    assert status_of("elsewhere")["state"]["terminated"]["message"] == "there\n"

    def waits(name, *wanted):
        return await_true(f"{name} waits", lambda: status_of(name)["state"].get("waiting", {}).get("reason") in wanted and
                          status_of(name)["state"]["waiting"], timeout=30)
    assert "back-off 10s restarting failed container=main pod=looping_default" in waits("looping", "CrashLoopBackOff")["message"]
    waits("no-image", "ErrImagePull", "ImagePullBackOff")
    await_phase("no-command", "Failed")
    assert status_of("no-command")["state"]["terminated"]["reason"] == "StartError"
    assert waits("no-object", "CreateContainerConfigError")["message"] == 'configmap "not-there" not found'
    assert waits("as-root", "CreateContainerConfigError")["message"].startswith("container has runAsNonRoot and image will run as root")
    delete("deadline", "told", "logged", "elsewhere", "looping", "no-image", "no-command", "no-object", "as-root")


# --- containers ----------------------------------------------------------------------

@test
def security_contexts():
    def safe(name, script, context, pod_context=None, **spec):
        return pod(name, [shell(script, securityContext=context)], securityContext=pod_context or {}, restartPolicy="Never", **spec)

    seccomp = "unshare -U true 2>/dev/null && echo may || echo may not"
    node("mkdir", "-p", "/var/lib/kubelet/seccomp/profiles")
    node("sh", "-c", "cat > /var/lib/kubelet/seccomp/profiles/no-mkdir.json <<'X'\n" + json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}) + "\nX")
    create(safe("unconfined", seccomp, {}),
           safe("filtered", seccomp, {"seccompProfile": {"type": "RuntimeDefault"}}),
           safe("own-filter", "mkdir /tmp/x 2>&1 || echo no mkdir", {}, {"seccompProfile": {
               "type": "Localhost", "localhostProfile": "profiles/no-mkdir.json"}}),
           safe("no-filter", "true", {"seccompProfile": {"type": "Localhost", "localhostProfile": "none.json"}}),
           safe("grouped", "id -G", {"runAsUser": 1000, "runAsGroup": 2000},
                {"supplementalGroups": [3000], "fsGroup": 4000, "supplementalGroupsPolicy": "Strict"}),
           safe("tuned", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", {},
                {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "81"}]}),
           safe("forbidden", "true", {}, {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}),
           safe("low-root", "true", {"runAsNonRoot": True, "runAsUser": 0}))
    for name, wanted in (("unconfined", "may\n"), ("filtered", "may not\n"),
                         ("own-filter", "mkdir: can't create directory '/tmp/x': Operation not permitted\nno mkdir\n"),
                         ("grouped", "2000 3000 4000\n"), ("tuned", "81\n")):
        await_phase(name, "Succeeded")
        assert ctl("logs", name).out.startswith(wanted), (name, ctl("logs", name).out)
    refused = await_phase("forbidden", "Failed")["status"]
    assert (refused["reason"], refused["message"]) == (
        "SysctlForbidden", 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'), refused
    for name, words in (("low-root", "container's runAsUser breaks non-root policy (pod: \"low-root_default("),
                        ("no-filter", 'cannot load seccomp profile "/var/lib/kubelet/seccomp/none.json"')):
        await_true(f"{name} is refused", lambda: words in status_of(name)["state"].get("waiting", {}).get("message", ""))
    delete("unconfined", "filtered", "own-filter", "no-filter", "grouped", "tuned", "forbidden", "low-root")


@test
def resize_in_place():
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
    create(pod("grows", [shell("sleep 10000", resources=resources), shell("sleep 10000", resources=resources, resizePolicy=[
        {"resourceName": "memory", "restartPolicy": "RestartContainer"}, {"resourceName": "cpu", "restartPolicy": "NotRequired"}])]))
    await_ready("grows")

    def limits(container):
        script = ("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || "
                  "{ cat /sys/fs/cgroup/memory.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max; }")
        return ctl("exec", "grows", "-c", container, "--", "sh", "-c", script).out.split()
    assert limits("main") == [str(128 << 20), "20000"], limits("main")
    larger = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "300m", "memory": "192Mi"}}
    patch = {"spec": {"containers": [{"name": n, "resources": larger} for n in ("main", "c1")]}}
    ctl("patch", "pod", "grows", "--subresource=resize", "--type=strategic", "-p", json.dumps(patch))
    await_true("its status shows them", lambda: status_of("grows")["resources"]["limits"] == larger["limits"])
    assert limits("main") == [str(192 << 20), "30000"], limits("main")
    await_true("the other is restarted", lambda: status_of("grows", "c1")["restartCount"] == 1 and
               status_of("grows", "c1")["ready"], timeout=20)
    assert status_of("grows")["restartCount"] == 0 and limits("c1") == [str(192 << 20), "30000"]
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "500"}, "limits": {"cpu": "500"}}}]}}
    ctl("patch", "pod", "grows", "--subresource=resize", "--type=strategic", "-p", json.dumps(patch))
    await_true("it is too much", lambda: condition("grows", "PodResizePending")["reason"] == "Infeasible")
    assert status_of("grows")["resources"]["limits"] == larger["limits"]
    delete("grows")


# --- what the node tells -------------------------------------------------------------

def kubelet(path):
    return ctl("get", "--raw", f"/api/v1/nodes/node-1/proxy{path}").out


@test
def usage():
    create(pod("busy", [shell("while true; do :; done", readinessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1, "timeoutSeconds": 10},
                              resources={"limits": {"cpu": "200m", "memory": "64Mi"}})]))
    await_ready("busy")

    def stats():
        return next((p for p in json.loads(kubelet("/stats/summary"))["pods"] if p["podRef"]["name"] == "busy"), {})
    used = await_true("a rate is known", lambda: (c := stats()["containers"][0])["cpu"].get("usageNanoCores") and c)
    assert 100_000_000 < used["cpu"]["usageNanoCores"] < 300_000_000, used
    assert 0 < used["memory"]["workingSetBytes"] < 64 << 20, used
    summary = json.loads(kubelet("/stats/summary"))["node"]
    assert summary["nodeName"] == "node-1" and summary["fs"]["capacityBytes"] > 0 and summary["cpu"], summary
    resource = kubelet("/metrics/resource")
    assert 'container_cpu_usage_seconds_total{container="main",namespace="default",pod="busy"} ' in resource, resource
    assert 'pod_memory_working_set_bytes{namespace="default",pod="busy"} ' in resource and "node_cpu_usage_seconds_total " in resource
    assert 'container="main"' in kubelet("/metrics/cadvisor") and "machine_cpu_cores " in kubelet("/metrics/cadvisor")
    await_true("probes are counted", lambda: any(
        'pod="busy"' in line and 'probe_type="Readiness",result="successful"} 0' not in line and "successful" in line
        for line in kubelet("/metrics/probes").splitlines()))
    assert "maxPods" in json.loads(kubelet("/configz"))["kubeletconfig"]
    delete("busy")


@test
def who_may_use_the_kubelet():
    """The kubelet's port asks the API server: nobody without credentials, everybody by their rights."""
    script = "curl -sk -o /dev/null -w '%{http_code}' "
    pki = "/etc/kubernetes/pki"
    own = f"--cert {pki}/apiserver-kubelet-client.crt --key {pki}/apiserver-kubelet-client.key "
    assert node("sh", "-c", script + "https://127.0.0.1:10250/pods").out == "401"
    assert node("sh", "-c", script + "-H 'Authorization: Bearer none' https://127.0.0.1:10250/pods").out == "401"
    assert node("sh", "-c", script + own + "https://127.0.0.1:10250/pods").out == "200"
    other = "".join(f"awk '/client-{what}-data:/ {{print $2}}' /etc/kubernetes/scheduler.conf | base64 -d > /tmp/{what}; "
                    for what in ("certificate", "key"))
    denied = node("sh", "-c", other + "curl -sk --cert /tmp/certificate --key /tmp/key https://127.0.0.1:10250/pods; "
                  "rm /tmp/certificate /tmp/key").out
    assert denied.startswith("Forbidden (user=system:kube-scheduler, verb=get, resource=nodes, "
                             "subresource(s)=[pods proxy])"), denied[:200]


@test
def nothing_is_left():
    await_true("no pods are left", lambda: get("pods", "-A", "--field-selector", "metadata.namespace=default")["items"] == [])
    assert_node_is_clean()
    assert_no_crash()


if __name__ == "__main__":
    main()
