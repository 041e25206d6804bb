# SPDX-License-Identifier: Apache-2.0
"""Debian's python3-kubernetes: the typed and the dynamic client."""

import os
import subprocess
import unittest

import clients

# The package belongs to the distribution's own interpreter.
SYSTEM_PYTHON = "/usr/bin/python3"

TYPED = '''
import sys
from kubernetes import client, config, watch
config.load_kube_config(sys.argv[1])
namespace, core, apps = sys.argv[2], client.CoreV1Api(), client.AppsV1Api()
made = core.create_namespaced_config_map(namespace, client.V1ConfigMap(
    metadata=client.V1ObjectMeta(name="c", labels={"a": "b"}), data={"k": "v"}))
assert made.metadata.uid and made.metadata.creation_timestamp.year > 2000
listed = core.list_namespaced_config_map(namespace, label_selector="a=b")
assert [one.metadata.name for one in listed.items] == ["c"]
patched = core.patch_namespaced_config_map("c", namespace, {"data": {"k": "w"}})
assert patched.data == {"k": "w"}
seen = []
watching = watch.Watch()
for event in watching.stream(core.list_namespaced_config_map, namespace, label_selector="a=b",
                             resource_version=listed.metadata.resource_version, timeout_seconds=30):
    seen.append((event["type"], event["object"].data))
    if len(seen) == 1:
        core.delete_namespaced_config_map("c", namespace)
    else:
        watching.stop()
assert seen == [("MODIFIED", {"k": "w"}), ("DELETED", {"k": "w"})], seen
try:
    core.read_namespaced_config_map("c", namespace)
    raise AssertionError("still there")
except client.ApiException as error:
    assert error.status == 404 and error.reason == "Not Found", error
web = apps.create_namespaced_deployment(namespace, {
    "metadata": {"name": "web"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}})
assert web.spec.strategy.rolling_update.max_surge == "25%"
scale = apps.read_namespaced_deployment_scale("web", namespace)
scale.spec.replicas, scale.metadata.resource_version = 2, None
assert apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 2
page = core.list_namespaced_config_map(namespace, limit=1)
assert page.metadata.resource_version
status = apps.delete_namespaced_deployment("web", namespace, propagation_policy="Background")
assert status.status == "Success", status
assert client.VersionApi().get_code().git_version.startswith("v1.33")
assert client.AuthorizationV1Api().create_self_subject_access_review({"spec": {"resourceAttributes": {
    "verb": "get", "resource": "pods"}}}).status.allowed
for api in client.ApisApi().get_api_versions().groups:
    assert api.preferred_version.group_version
print("ok")
'''

DYNAMIC = '''
import sys
from kubernetes import config, dynamic
from kubernetes.client import api_client
client = dynamic.DynamicClient(api_client.ApiClient(configuration=config.load_kube_config(sys.argv[1])))
namespace = sys.argv[2]
pods = client.resources.get(api_version="v1", kind="Pod")
deployments = client.resources.get(api_version="apps/v1", kind="Deployment")
made = deployments.create(namespace=namespace, body={
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
    "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}})
assert made.metadata.name == "web"
assert deployments.scale.patch(namespace=namespace, name="web", body={"spec": {"replicas": 3}},
                               content_type="application/merge-patch+json").spec.replicas == 3
assert [one.metadata.name for one in deployments.get(namespace=namespace).items] == ["web"]
assert pods.get(namespace=namespace, field_selector="status.phase=Running").items == []
assert deployments.status.get(namespace=namespace, name="web").kind == "Deployment"
try:
    deployments.create(namespace=namespace, body={"apiVersion": "apps/v1", "kind": "Deployment",
                                                  "metadata": {"name": "web"}, "spec": {}})
    raise AssertionError("was taken")
except dynamic.exceptions.UnprocessibleEntityError:
    pass
deployments.delete(namespace=namespace, name="web")
print("ok")
'''


def has_client():
    done = subprocess.run([SYSTEM_PYTHON, "-c", "import kubernetes"], capture_output=True)
    return done.returncode == 0


class PythonClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not has_client():
            raise unittest.SkipTest(clients.NO_PYTHON_CLIENT)

    def run_script(self, script):
        cluster = clients.cluster()
        namespace = clients.new_namespace()
        done = subprocess.run([SYSTEM_PYTHON, "-c", script, cluster.config, namespace], capture_output=True, text=True,
                              timeout=120, env=dict(os.environ, HOME=cluster.folder, PYTHONPATH=""))
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)

    def test_typed_client(self):
        self.run_script(TYPED)

    def test_dynamic_client(self):
        self.run_script(DYNAMIC)
