# SPDX-License-Identifier: Apache-2.0
"""Bad input and faults on the local cluster: each is told in one clear line, in the
form that Kubernetes has for it, and nothing is lost. Runs after the walk; storm.py
follows with kills at random."""

import json
import os
import subprocess
import time

from harness import (DAEMONS, TOP, assert_node_is_clean, assert_no_crash, await_true, ctl, get, is_ready, main,
                     main_pid, node, pods, test)

CLUSTER = os.path.join(TOP, "deploy/cluster/cluster")
IMAGE = "caravel.dev/busybox:1.0"
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]


def pod(name, command, image=IMAGE, container=None, **spec):
    """A pod of one container "main"; `spec` and `container` say what differs."""
    main_container = dict({"name": "main", "image": image, "command": command}, **(container or {}))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"test": "faults"}},
            "spec": dict({"containers": [main_container], "terminationGracePeriodSeconds": 1}, **spec)}


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"test": "faults"}},
            "data": data}


def create(*objects):
    ctl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def clear():
    """Takes away what a test made, or left half-way."""
    ctl("delete", "pods,configmaps", "-l", "test=faults")
    await_true("no pods are left", lambda: not pods("test=faults"))


def standing_pod():
    """A pod that must not notice anything; returns what must not change about it."""
    clear()
    create(pod("stays", SLEEP))
    await_true("it runs", lambda: is_ready(get("pod", "stays")))
    return identity("stays")


def identity(name):
    found = get("pod", name)
    own = found["status"]["containerStatuses"][0]
    return found["metadata"]["uid"], found["status"]["podIP"], own["containerID"], own["restartCount"]


def status(name):
    return get("pod", name)["status"]


def container_status(name, field="containerStatuses"):
    return status(name)[field][0]


def waiting(name, field="containerStatuses"):
    return container_status(name, field)["state"].get("waiting", {})


def terminated(name, field="containerStatuses"):
    """How the container ended last, now or before its restart."""
    found = container_status(name, field)
    return found["state"].get("terminated") or found.get("lastState", {}).get("terminated", {})


def events(name):
    return [(e["reason"], e["message"]) for e in get("events")["items"] if e["involvedObject"]["name"] == name]


def await_event(name, reason, *words):
    await_true(f"event {reason} of {name} with {words}",
               lambda: any(r == reason and all(w in m for w in words) for r, m in events(name)))


def shown_status(name):
    return ctl("get", "pod", name, "--no-headers").out.split()[2]


def node_condition():
    return next(c for c in get("node", "node-1")["status"]["conditions"] if c["type"] == "Ready")


def unit_is(unit, state):
    return node("systemctl", "is-active", unit, check=False).out.strip() == state


def api_is_ready():
    return ctl("get", "--raw", "/readyz", check=False).out.strip() == "ok"


# --- what a person types wrong --------------------------------------------------


def fails(argv, *words, code=1, lines=1):
    """Runs a program that must refuse to start: by its exit code, with one line that says why."""
    result = node("timeout", "20", *argv, check=False)
    said = result.out + result.err
    complaints = [line for line in said.splitlines() if line.startswith(("E", "error"))]
    assert result.code == code, (argv, result.code, said)
    assert len(complaints) == lines, (argv, said)
    for word in words:
        assert word in complaints[-1], (argv, word, said)


def arguments(unit):
    """The words that adm wrote for a unit."""
    text = node("cat", f"/etc/kubernetes/{unit}.env").out.split("=\"", 1)[1]
    return [word for word in text.replace("\\\n", " ").replace('"', " ").split() if word]


@test
def a_port_in_use_is_named():
    for unit, port in (("kube-apiserver", 6443), ("kube-scheduler", 10259), ("kube-controller-manager", 10257),
                       ("kubelet", 10248), ("kube-proxy", 10256)):
        fails([unit, *arguments(unit)], f":{port}: bind: address already in use")


@test
def an_unknown_flag_is_named():
    for program in ("kube-apiserver", "kube-scheduler", "kube-controller-manager", "kubelet", "kube-proxy"):
        fails([program, "--no-such-flag"], "Error: unknown flag: --no-such-flag")
        fails([program, "--v=many"], 'invalid argument "many"')
    fails(["adm", "init", "--no-such-flag"], "unknown flag: --no-such-flag", code=3)
    fails(["ctl", "get", "pods", "--no-such-flag"], "unknown flag: --no-such-flag")


@test
def bad_credentials_are_named():
    good = "/etc/kubernetes/scheduler.conf"
    node("mkdir", "-p", "/tmp/faults")
    node("sh", "-c", f"""cd /tmp/faults && echo 'clusters: [' >garbage && : >blank &&
        sed 's/certificate-authority-data: .*/certificate-authority-data: AAAA/' {good} >ca &&
        sed 's/client-certificate-data: .*/client-certificate-data: AAAA/' {good} >certificate &&
        sed 's,client-certificate-data: .*,client-certificate: /no/such.crt,' {good} >lost""")
    cases = [("/no/such/file", "/no/such/file"), ("/tmp/faults", "/tmp/faults"), ("/tmp/faults/garbage", "garbage"),
             ("/tmp/faults/blank", "no configuration has been provided"), ("/tmp/faults/ca", "no certificate"),
             ("/tmp/faults/certificate", "unable to load certificate"), ("/tmp/faults/lost", "/no/such.crt")]
    for path, word in cases:
        for program in ("kube-scheduler", "kube-controller-manager", "kube-proxy"):
            fails(["unshare", "-n", program, f"--kubeconfig={path}"], word)
        if not path.endswith("blank"):  # without any configuration, ctl tries localhost:8080
            fails(["ctl", f"--kubeconfig={path}", "get", "pods"], word)
    fails(["setpriv", "--reuid=65534", "--clear-groups", "kube-scheduler", f"--kubeconfig={good}"], good,
          "ermission denied")


@test
def bad_certificates_of_the_server_are_named():
    flags = [*arguments("kube-apiserver"), "--secure-port=7443"]
    for flag in ("tls-cert-file", "tls-private-key-file", "client-ca-file", "etcd-cafile", "etcd-keyfile"):
        fails(["kube-apiserver", *flags, f"--{flag}=/tmp/faults/garbage"], "/tmp/faults/garbage")
    fails(["kube-apiserver", *flags, "--tls-private-key-file=/etc/kubernetes/pki/sa.key"], "does not match")


@test
def a_bad_kubelet_configuration_is_named():
    good = "/var/lib/kubelet/config.yaml"
    node("sh", "-c", f"""cd /tmp/faults && sed 's/healthzPort: .*/healthzPort: many/' {good} >type &&
        sed 's/kind: .*/kind: Other/' {good} >kind && sed 's/cgroupDriver: .*/cgroupDriver: odd/' {good} >value &&
        sed 's,clientCAFile: .*,clientCAFile: /tmp/faults/garbage,' {good} >authority""")
    for name, word in (("garbage", "/tmp/faults/garbage"), ("blank", "/tmp/faults/blank"), ("type", "healthzPort"),
                       ("kind", "want KubeletConfiguration"), ("value", "invalid cgroup driver"),
                       ("missing", "/tmp/faults/missing"), ("authority", "/tmp/faults/garbage")):
        fails(["unshare", "-n", "kubelet", f"--config=/tmp/faults/{name}", "--kubeconfig=/etc/kubernetes/kubelet.conf",
               "--node-ip=127.0.0.1", "--root-dir=/tmp/faults/root"], word)


@test
def without_root_nothing_is_begun():
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"]
    result = node(*nobody, "adm", "init", check=False)
    assert result.code == 2 and "[ERROR IsPrivilegedUser]: user is not running as root" in result.err, result.err
    fails([*nobody, "kubelet", "--kubeconfig=/etc/kubernetes/kubelet.conf"], "needs to run as uid `0`")
    refused = subprocess.run([*nobody, "bash", CLUSTER, "up"], capture_output=True, text=True, cwd=TOP)
    assert refused.returncode == 1 and "needs root" in refused.stderr, (refused.returncode, refused.stderr)
    assert len(refused.stderr.splitlines()) == 1, refused.stderr


@test
def init_again_is_refused_and_a_half_finished_one_goes_on():
    sums = "cd /etc/kubernetes && find . -type f -path './pki/*' | sort | xargs sha256sum"
    before = node("sh", "-c", sums).out
    again = node("adm", "init", check=False)
    assert again.code == 2, again.err
    for name in ("Port-6443", "FileAvailable--etc-kubernetes-kubelet.conf", "DirAvailable--var-lib-etcd"):
        assert f"[ERROR {name}]" in again.err, again.err
    subnet = await_true("the node's part of the pod network", lambda: get("node", "node-1")["spec"].get("podCIDR"))
    assert subnet.startswith("10.244."), subnet
    node("rm", "/etc/kubernetes/scheduler.conf")
    node("adm", "init", "--ignore-preflight-errors=all", "--apiserver-advertise-address",
         get("node", "node-1")["status"]["addresses"][0]["address"], "--pod-network-cidr", "10.244.0.0/16",
         "--service-cidr", "10.96.0.0/12", "--node-name", "node-1", timeout=120)
    ctl("taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-")
    assert node("sh", "-c", sums).out == before, "certificates changed"
    node("test", "-s", "/etc/kubernetes/scheduler.conf")
    await_true("the node is Ready", lambda: is_ready(get("node", "node-1")))


# --- pods that can't run ----------------------------------------------------------


@test
def images_that_are_not_there():
    clear()
    create(pod("never", SLEEP, image="caravel.dev/none:1", container={"imagePullPolicy": "Never"}),
           pod("pull", SLEEP, image="caravel.dev/none:1", container={"imagePullPolicy": "IfNotPresent"}),
           pod("misspelt", SLEEP, image="Not A Name"))
    await_true("ErrImageNeverPull", lambda: waiting("never").get("reason") == "ErrImageNeverPull")
    await_event("never", "ErrImageNeverPull", 'Container image "caravel.dev/none:1" is not present')
    await_true("InvalidImageName", lambda: waiting("misspelt").get("reason") == "InvalidImageName")
    await_event("pull", "Failed", 'Failed to pull image "caravel.dev/none:1"')
    await_event("pull", "Failed", "Error: ErrImagePull")
    await_true("ImagePullBackOff", lambda: waiting("pull").get("reason") == "ImagePullBackOff")
    await_event("pull", "BackOff", 'Back-off pulling image "caravel.dev/none:1"')
    assert shown_status("never") == "ErrImageNeverPull"
    for name in ("never", "pull", "misspelt"):
        assert container_status(name)["restartCount"] == 0 and status(name)["phase"] == "Pending"


@test
def commands_that_end():
    clear()
    once = "test -e /data/ran || { touch /data/ran; exit 5; }"
    volume = {"volumes": [{"name": "data", "emptyDir": {}}]}
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    create(pod("absent-command", ["/no/such/program"]),
           pod("crashing", ["sh", "-c", "echo going down; exit 3"]),
           pod("done", ["true"], restartPolicy="Never"),
           pod("failed", ["sh", "-c", "exit 3"], restartPolicy="Never"),
           pod("second-try", ["sh", "-c", once], restartPolicy="OnFailure", container=mount, **volume),
           pod("greedy", ["sh", "-c", "tail /dev/zero"], restartPolicy="Never",
               container={"resources": {"limits": {"memory": "16Mi"}}}))
    await_true("done is Succeeded", lambda: status("done")["phase"] == "Succeeded")
    assert terminated("done")["reason"] == "Completed" and terminated("done")["exitCode"] == 0
    assert shown_status("done") == "Completed"
    await_true("failed is Failed", lambda: status("failed")["phase"] == "Failed")
    assert terminated("failed")["reason"] == "Error" and terminated("failed")["exitCode"] == 3
    await_true("greedy is OOMKilled", lambda: terminated("greedy").get("reason") == "OOMKilled")
    assert terminated("greedy")["exitCode"] == 137 and shown_status("greedy") == "OOMKilled"
    await_true("the second try succeeds", lambda: status("second-try")["phase"] == "Succeeded")
    assert container_status("second-try")["restartCount"] == 1
    await_true("a command that isn't there is StartError", lambda: terminated("absent-command")["reason"] == "StartError")
    assert terminated("absent-command")["exitCode"] == 128
    assert "/no/such/program" in terminated("absent-command")["message"], terminated("absent-command")
    await_event("absent-command", "Failed", "/no/such/program")
    for name in ("absent-command", "crashing"):
        await_true(f"{name} backs off", lambda: waiting(name).get("reason") == "CrashLoopBackOff")
        await_event(name, "BackOff", "Back-off restarting failed container main in pod " + name)
        await_true(f"{name} is tried again", lambda: container_status(name)["restartCount"] >= 1)
    assert "back-off" in waiting("crashing").get("message", "back-off")
    await_true("the last words are kept", lambda: "going down" in ctl("logs", "crashing", check=False).out)


@test
def configuration_that_comes_later():
    clear()
    def from_map(name):
        return {"env": [{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": name, "key": "key"}}}]}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    create(pod("env", SLEEP, container=from_map("late")),
           pod("volume", SLEEP, container=mount, volumes=[{"name": "v", "configMap": {"name": "late"}}]),
           pod("path", SLEEP, container=mount,
               volumes=[{"name": "v", "hostPath": {"path": "/no/such/folder", "type": "Directory"}}]),
           pod("init-fails", SLEEP, initContainers=[{"name": "first", "image": IMAGE, "command": ["false"]}]),
           pod("init-failed", SLEEP, restartPolicy="Never",
               initContainers=[{"name": "first", "image": IMAGE, "command": ["false"]}]))
    await_true("CreateContainerConfigError", lambda: waiting("env").get("reason") == "CreateContainerConfigError")
    assert 'configmap "late" not found' in waiting("env")["message"], waiting("env")
    await_event("env", "Failed", 'Error: configmap "late" not found')
    await_event("volume", "FailedMount", 'MountVolume.SetUp failed for volume "v"', 'configmap "late" not found')
    await_event("path", "FailedMount", "hostPath type check failed: /no/such/folder is not a directory")
    assert waiting("volume")["reason"] == "ContainerCreating"
    await_true("the failing init container backs off",
               lambda: waiting("init-fails", "initContainerStatuses").get("reason") == "CrashLoopBackOff")
    await_true("Init:CrashLoopBackOff shows", lambda: shown_status("init-fails") == "Init:CrashLoopBackOff")
    await_true("init-failed is Failed", lambda: status("init-failed")["phase"] == "Failed")
    assert shown_status("init-failed") == "Init:Error"
    assert container_status("init-failed")["state"]["waiting"]["reason"] == "PodInitializing"
    create(config_map("late", key="value"))
    node("mkdir", "-p", "/no/such/folder")
    for name in ("env", "volume", "path"):
        await_true(f"{name} runs once it can", lambda: is_ready(get("pod", name)), timeout=45)
    node("rmdir", "/no/such/folder", "/no/such", "/no")
    assert ctl("exec", "env", "--", "sh", "-c", "echo $KEY").out == "value\n"
    assert ctl("exec", "volume", "--", "cat", "/v/key").out == "value"
    clear()
    assert_node_is_clean()


# --- a full disk ---------------------------------------------------------------------


@test
def a_full_volume_stays_the_pods_own():
    clear()
    mount = {"volumeMounts": [{"name": "small", "mountPath": "/small"}]}
    create(pod("filler", SLEEP, container=mount,
               volumes=[{"name": "small", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]))
    await_true("it runs", lambda: is_ready(get("pod", "filler")))
    full = ctl("exec", "filler", "--", "dd", "if=/dev/zero", "of=/small/file", "bs=64k", "count=64", check=False)
    assert full.code == 1 and "No space left on device" in full.err, (full.code, full.err)
    assert is_ready(get("pod", "filler"))
    clear()


@test
def a_full_disk_holds_pods_back():
    """The kubelet's disk without a free byte: running pods stay, new ones say why and wait."""
    clear()
    await_true("its folder is empty", lambda: node("ls", "/var/lib/kubelet/pods").out == "")
    node("mount", "-t", "tmpfs", "-o", "size=2m", "small", "/var/lib/kubelet/pods")
    try:
        create(pod("early", SLEEP))
        await_true("a pod runs while there is room", lambda: is_ready(get("pod", "early")))
        node("sh", "-c", "dd if=/dev/zero of=/var/lib/kubelet/pods/ballast bs=4k 2>/dev/null || true")
        create(config_map("large", key="x" * 200000),
               pod("late", SLEEP, container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                   volumes=[{"name": "v", "configMap": {"name": "large"}}]))
        await_true("an event names the full disk",
                   lambda: any("no space left on device" in m.lower() for _, m in events("late")))
        assert is_ready(get("pod", "early"))
        node("rm", "/var/lib/kubelet/pods/ballast")
        await_true("it runs when there is room", lambda: is_ready(get("pod", "late")), timeout=45)
        assert len(ctl("exec", "late", "--", "cat", "/v/key").out) == 200000
        clear()
    finally:
        node("sh", "-c", "rm -f /var/lib/kubelet/pods/ballast; umount -l /var/lib/kubelet/pods")
    assert_node_is_clean()


# --- parts that are away ---------------------------------------------------------------

@test
def containerd_is_stopped_for_a_while():
    before = standing_pod()
    node("systemctl", "stop", "containerd")
    condition = await_true("the node is NotReady", lambda: (lambda c: c if c["status"] != "True" else None)(
        node_condition()))
    assert condition["reason"] == "KubeletNotReady", condition
    assert "container runtime" in condition["message"].lower(), condition
    assert "NotReady" in ctl("get", "nodes", "--no-headers").out
    create(pod("waits", SLEEP, tolerations=[{"operator": "Exists"}]))
    await_true("the new pod is on the node", lambda: get("pod", "waits")["spec"].get("nodeName") == "node-1")
    node("systemctl", "start", "containerd")
    await_true("the node is Ready", lambda: node_condition()["status"] == "True")
    await_true("the waiting pod runs", lambda: is_ready(get("pod", "waits")))
    assert identity("stays") == before
    assert ctl("exec", "stays", "--", "echo", "here").out == "here\n"


@test
def the_kubelet_may_start_before_containerd():
    before = standing_pod()
    node("systemctl", "stop", "kubelet", "containerd")
    node("systemctl", "mask", "--runtime", "containerd")
    try:
        node("systemctl", "start", "kubelet")
        condition = await_true("the node is NotReady", lambda: (lambda c: c if c["status"] != "True" else None)(
            node_condition()))
        assert "container runtime" in condition["message"].lower(), condition
        kubelet = main_pid("kubelet")
    finally:
        node("systemctl", "unmask", "--runtime", "containerd")
        node("systemctl", "start", "containerd")
    await_true("the node is Ready", lambda: node_condition()["status"] == "True")
    assert main_pid("kubelet") == kubelet
    assert identity("stays") == before


@test
def etcd_is_away_for_a_while():
    before, server = standing_pod(), main_pid("kube-apiserver")
    node("systemctl", "stop", "kube-etcd")
    started = time.monotonic()
    refused = ctl("create", "-f", "-", stdin=json.dumps(config_map("during")), check=False)
    assert refused.code == 1 and len(refused.err.strip().splitlines()) == 1, (refused.code, refused.err)
    listed = ctl("get", "pods", check=False)
    assert listed.code == 1 and "etcd" in listed.err, (listed.code, listed.err)
    assert time.monotonic() - started < 20, "the answers took too long"
    assert "(ServiceUnavailable)" in refused.err and "etcd is unavailable" in refused.err, refused.err
    assert not api_is_ready()
    node("systemctl", "start", "kube-etcd")
    await_true("the API is ready again", api_is_ready)
    assert main_pid("kube-apiserver") == server, "the API server was restarted"
    create(config_map("after"))
    assert ctl("get", "configmap", "during", check=False).code == 1, "a refused write was done all the same"
    assert identity("stays") == before


@test
def the_api_server_may_start_before_etcd():
    before = standing_pod()
    node("systemctl", "stop", "kube-apiserver", "kube-etcd")
    node("systemctl", "start", "--no-block", "kube-apiserver")
    server = await_true("the API server's process", lambda: (lambda pid: pid if pid != "0" else None)(main_pid("kube-apiserver")))
    # Roles aren't known without etcd: only system:masters is let in.
    await_true("it is alive", lambda: node("ctl", "--kubeconfig", "/etc/kubernetes/super-admin.conf", "get", "--raw",
                                           "/livez/ping", check=False).out.strip() == "ok")
    assert not api_is_ready()
    node("systemctl", "start", "kube-etcd")
    await_true("the API is ready", api_is_ready)
    assert main_pid("kube-apiserver") == server
    await_true("the node is Ready", lambda: node_condition()["status"] == "True")
    assert identity("stays") == before


@test
def no_acknowledged_write_is_lost():
    """A counter written in a loop while etcd and the API server are killed."""
    clear()
    create(config_map("counter", value="0"))
    acknowledged, tried, failures = 0, 0, 0
    for victim in ("kube-etcd", "kube-apiserver", "kube-etcd", "kube-apiserver"):
        goal = acknowledged + 10
        killed = False
        deadline = time.monotonic() + 60
        while acknowledged < goal + 10 and time.monotonic() < deadline:
            if acknowledged >= goal and not killed:
                killed = True
                node("kill", "-9", main_pid(victim))
            tried += 1
            result = ctl("patch", "configmap", "counter", "--type=merge", "-p",
                         json.dumps({"data": {"value": str(tried)}}), check=False)
            if result.code == 0:
                acknowledged += 1
                last_acknowledged = tried
            else:
                failures += 1
                value = await_true("the counter is read", lambda: int(get("configmap", "counter")["data"]["value"]))
                assert value in (last_acknowledged, tried), (value, last_acknowledged, tried)
        assert acknowledged >= goal + 10, f"no writes after {victim} was killed"
        value = int(get("configmap", "counter")["data"]["value"])
        assert value == last_acknowledged, (value, last_acknowledged, tried)


@test
def the_faults_leave_nothing():
    clear()
    node("rm", "-rf", "/tmp/faults")
    assert_node_is_clean()
    for unit in DAEMONS:
        await_true(f"{unit} runs", lambda: unit_is(unit, "active"))
    assert_no_crash()


if __name__ == "__main__":
    main()
