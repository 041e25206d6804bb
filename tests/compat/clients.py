# SPDX-License-Identifier: Apache-2.0
"""The clients that this machine has, and the cluster that they work with."""

import os
import re
import shutil
import subprocess
import threading
import unittest

import harness
import security

NO_KUBECTL = "kubectl is not installed"
NO_PYTHON_CLIENT = "python3-kubernetes is not installed"
NO_NPM = "node and npm are not installed"
NO_NPM_CLIENT = "npm cannot install @kubernetes/client-node here"
# No Debian package has kubectl or the npm client, so a machine without them is no failure.
MAY_BE_MISSING = (NO_KUBECTL, NO_NPM, NO_NPM_CLIENT)

_cluster = None


class Cluster(harness.Cluster):
    """A server that signs tokens and gives pods their accounts, and the controllers that make these."""

    def __init__(self):
        super().__init__()
        self.config = self.kubeconfig()
        self.manager = harness.Process("kube-controller-manager", [
            os.path.join(harness.BUILD, "bin", "kube-controller-manager"), f"--kubeconfig={self.config}",
            f"--secure-port={harness.free_port()}", "--leader-elect=false", f"--root-ca-file={self.pki.ca}",
            f"--service-account-private-key-file={self.folder}/sa.key", "--service-cluster-ip-range=10.96.0.0/16", "-v=2"],
            self.folder)

    def start_server(self, *flags, **kwargs):
        return super().start_server(*security.flags(self.folder), "--enable-admission-plugins=ServiceAccount", *flags,
                                    **kwargs)


def cluster():
    """One etcd, apiserver and controller manager for all tests."""
    global _cluster
    if _cluster is None:
        _cluster = Cluster()
    return _cluster


def new_namespace():
    """A namespace that pods can be made in."""
    client = cluster().server.client
    name = harness.new_namespace(client)
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    harness.await_true("the default account", lambda: client.get(account).code == 200)
    return name


def kubectls():
    """{"1.33": path, …} of every kubectl there is."""
    first = shutil.which("kubectl")
    if not first:
        return {}
    found = {}
    folders = {os.path.dirname(first), os.path.dirname(os.path.realpath(first))}
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            match = re.fullmatch(r"kubectl[.-]v?(1\.\d+)", name)
            if match and os.access(os.path.join(folder, name), os.X_OK):
                found[match.group(1)] = os.path.join(folder, name)
    if not found:
        text = subprocess.run([first, "version", "--client"], capture_output=True, text=True).stdout
        match = re.search(r"v(1\.\d+)\.", text)
        found[match.group(1) if match else "unknown"] = first
    return found


# The oldest, the newest, and two between them; KUBECTLS="1.33" tries fewer.
TRIED = os.environ.get("KUBECTLS", "1.27 1.29 1.31 1.33").split()


class KubectlCase(unittest.TestCase):
    """Tests of one kubectl; for_each_version makes a class for each that is there."""

    program = None
    version = None

    @classmethod
    def setUpClass(cls):
        if not cls.program:
            raise unittest.SkipTest(NO_KUBECTL)

    def setUp(self):
        self.cluster = cluster()
        self.client = self.cluster.server.client
        self.ns = new_namespace()
        self.home = os.path.join(self.cluster.folder, "home-" + self.version)
        os.makedirs(self.home, exist_ok=True)

    def environment(self, **more):
        return dict(os.environ, HOME=self.home, TMPDIR=self.home, KUBECONFIG=self.cluster.config, **more)

    def command(self, *args):
        return [self.program, "-n", self.ns, *args]

    def start(self, *args):
        """A kubectl that runs on, as a watch does."""
        running = subprocess.Popen(self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env=self.environment())
        ending = threading.Timer(60, running.kill)
        ending.start()
        self.addCleanup(running.stdout.close)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        self.addCleanup(ending.cancel)
        return running

    def attempt(self, *args, stdin=None, **environment):
        return subprocess.run(self.command(*args), input=stdin, capture_output=True, text=True, timeout=90,
                              env=self.environment(**environment))

    def kubectl(self, *args, stdin=None, **environment):
        done = self.attempt(*args, stdin=stdin, **environment)
        self.assertEqual(done.returncode, 0, (args, done.stdout, done.stderr))
        return done.stdout

    def refused(self, *args, stdin=None, **environment):
        """What a command that must fail says."""
        done = self.attempt(*args, stdin=stdin, **environment)
        self.assertNotEqual(done.returncode, 0, (args, done.stdout, done.stderr))
        return done.stderr


def for_each_version(case):
    """Class decorator: the case for each kubectl, or once to be skipped."""
    module = __import__(case.__module__)
    found = {version: path for version, path in kubectls().items() if version in TRIED} or kubectls()
    for version, path in found.items():
        name = f"{case.__name__}_{version.replace('.', '_')}"
        setattr(module, name, type(name, (case,), {"program": path, "version": version, "__module__": case.__module__}))
    return case if not found else None
