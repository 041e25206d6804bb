# SPDX-License-Identifier: Apache-2.0
"""What a pod can say, a real node does: streams with clients of every version that the
machine has, and what people write into manifests."""

import base64
import glob
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from harness import (CTL, KUBECONFIG, assert_no_crash, await_true, ctl, get, is_ready, main, node, run, test)

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
    return next(c for c in get("pod", name)["status"]["conditions"] if c["type"] == kind)


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

SERVER = "while true; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nport %s' $0 | nc -l -p $0 >/dev/null; done"


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


if __name__ == "__main__":
    main()
