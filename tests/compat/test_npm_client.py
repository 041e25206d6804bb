# SPDX-License-Identifier: Apache-2.0
"""The npm client @kubernetes/client-node, installed into the build folder once."""

import os
import shutil
import subprocess
import unittest

import clients
import harness

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "@kubernetes/client-node"
RELEASE = "1.3"  # made for 1.33; the next major one needs a newer node than Debian has
FOLDER = os.path.join(harness.BUILD, "npm-client")


def install():
    """Says why the client isn't there, or nothing."""
    if os.path.isdir(os.path.join(FOLDER, "node_modules", PACKAGE)):
        return None
    if not shutil.which("node") or not shutil.which("npm"):
        return clients.NO_NPM
    os.makedirs(FOLDER, exist_ok=True)
    done = subprocess.run(["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", FOLDER, f"{PACKAGE}@{RELEASE}"],
                          capture_output=True, text=True, timeout=300)
    return clients.NO_NPM_CLIENT if done.returncode else None


class NpmClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = install()
        if missing:
            raise unittest.SkipTest(missing)

    def test_calls_patches_watch_and_informer(self):
        cluster = clients.cluster()
        namespace = clients.new_namespace()
        # Modules are looked for beside the program and above it.
        program = shutil.copy(os.path.join(HERE, "npm_client.mjs"), FOLDER)
        done = subprocess.run(["node", program, cluster.config, namespace], capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, HOME=cluster.folder))
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)
