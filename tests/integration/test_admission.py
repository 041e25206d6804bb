# SPDX-License-Identifier: Apache-2.0
"""The admission plug-ins that look at one object and what stands around it."""

import json
import os
import unittest

import harness
from test_custom import DEFINITIONS, definition

PLUGINS = ("ServiceAccount,NodeRestriction,AlwaysPullImages,DenyServiceExternalIPs,PodNodeSelector,"
           "PodTolerationRestriction,ExtendedResourceToleration,LimitPodHardAntiAffinityTopology,EventRateLimit,"
           "OwnerReferencesPermissionEnforcement")


def warnings(answer):
    return [text.split('"', 1)[1].rsplit('"', 1)[0] for text in answer.headers.get_all("warning") or []]


class Admission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        config = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": [
            {"name": "EventRateLimit", "configuration": {"limits": [{"type": "Namespace", "qps": 1, "burst": 3}]}}]}
        path = os.path.join("/tmp", f"caravel-admission-{os.getpid()}.json")
        with open(path, "w") as file:
            json.dump(config, file)
        cls.addClassCleanup(os.unlink, path)
        cls.cluster = harness.Cluster(f"--enable-admission-plugins={PLUGINS}",
                                      f"--admission-control-config-file={path}")
        cls.client = cls.cluster.server.client

    def namespace(self, account=True, **metadata):
        answer = self.client.post("/api/v1/namespaces", {"metadata": {"generateName": "adm-", **metadata}})
        self.assertEqual(answer.code, 201, answer)
        name = answer.json["metadata"]["name"]
        if account:
            self.account(name, "default")
        return name

    def account(self, namespace, name, **fields):
        answer = self.client.post(f"/api/v1/namespaces/{namespace}/serviceaccounts",
                                  {"metadata": {"name": name, **fields.pop("metadata", {})}, **fields})
        self.assertEqual(answer.code, 201, answer)
        return answer.json

    def create_pod(self, namespace, name="p", **spec):
        return self.client.post(f"/api/v1/namespaces/{namespace}/pods", harness.pod(name, **spec))

    def assert_forbidden(self, answer, text):
        self.assertEqual(answer.code, 403, answer)
        self.assertEqual(answer.json["message"], text)

    # --- service accounts ---------------------------------------------------------------

    def test_token_is_projected(self):
        namespace = self.namespace()
        answer = self.create_pod(namespace)
        self.assertEqual(answer.code, 201, answer)
        spec = answer.json["spec"]
        self.assertEqual((spec["serviceAccountName"], spec["serviceAccount"]), ("default", "default"))
        volume, = spec["volumes"]
        self.assertRegex(volume["name"], r"^kube-api-access-[a-z0-9]{5}$")
        sources = volume["projected"]["sources"]
        self.assertEqual(sources[0], {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}})
        self.assertEqual(sources[1]["configMap"]["name"], "kube-root-ca.crt")
        self.assertEqual(sources[2]["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"], "metadata.namespace")
        self.assertEqual(volume["projected"]["defaultMode"], 420)
        mount, = spec["containers"][0]["volumeMounts"]
        self.assertEqual(mount, {"name": volume["name"], "readOnly": True,
                                 "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"})

    def test_opting_out_of_the_token(self):
        namespace = self.namespace()
        for account, of_account in (("unset", None), ("yes", True), ("no", False)):
            fields = {} if of_account is None else {"automountServiceAccountToken": of_account}
            self.account(namespace, account, **fields)
            for of_pod in (None, True, False):
                spec = {} if of_pod is None else {"automountServiceAccountToken": of_pod}
                answer = self.create_pod(namespace, f"{account}-{of_pod}".lower(), serviceAccountName=account, **spec)
                self.assertEqual(answer.code, 201, answer)
                expected = of_pod if of_pod is not None else of_account is not False
                self.assertEqual("volumeMounts" in answer.json["spec"]["containers"][0], expected, (account, of_pod))

    def test_account_must_exist_and_default_is_waited_for(self):
        namespace = self.namespace(account=False)
        self.assert_forbidden(self.create_pod(namespace, serviceAccountName="nobody"),
                              f'pods "p" is forbidden: error looking up service account {namespace}/nobody: '
                              'serviceaccount "nobody" not found')
        import threading
        found = []
        thread = threading.Thread(target=lambda: found.append(self.create_pod(namespace)))
        thread.start()
        self.account(namespace, "default", imagePullSecrets=[{"name": "registry"}])
        thread.join()
        self.assertEqual(found[0].code, 201, found[0])
        self.assertEqual(found[0].json["spec"]["imagePullSecrets"], [{"name": "registry"}])

    def test_mountable_secrets_are_enforced(self):
        namespace = self.namespace()
        self.account(namespace, "strict", secrets=[{"name": "mine"}],
                     metadata={"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}})

        def volume(secret):
            return [{"name": "v", "secret": {"secretName": secret}}]
        self.assertEqual(self.create_pod(namespace, "ok", serviceAccountName="strict", volumes=volume("mine")).code, 201)
        self.assert_forbidden(self.create_pod(namespace, serviceAccountName="strict", volumes=volume("other")),
                              'pods "p" is forbidden: volume with secret.secretName="other" is not allowed because '
                              'service account strict does not reference that secret')

    # --- namespaces ---------------------------------------------------------------------

    def test_nothing_new_in_a_namespace_that_goes(self):
        namespace = self.namespace()
        self.assertEqual(self.client.delete(f"/api/v1/namespaces/{namespace}").code, 200)
        answer = self.client.post(f"/api/v1/namespaces/{namespace}/configmaps", harness.config_map("c"))
        self.assert_forbidden(answer, f'configmaps "c" is forbidden: unable to create new content in namespace '
                                      f'{namespace} because it is being terminated')
        self.assertEqual(answer.json["details"]["causes"][0]["reason"], "NamespaceTerminating")
        for name in ("default", "kube-system", "kube-public"):
            self.assert_forbidden(self.client.delete(f"/api/v1/namespaces/{name}"),
                                  f'namespaces "{name}" is forbidden: this namespace may not be deleted')

    # --- limits -------------------------------------------------------------------------

    def limit(self, namespace, *limits):
        answer = self.client.post(f"/api/v1/namespaces/{namespace}/limitranges",
                                  {"metadata": {"name": "limits"}, "spec": {"limits": list(limits)}})
        self.assertEqual(answer.code, 201, answer)

    def with_resources(self, **resources):
        return [{"name": "c", "image": "busybox:1", "resources": resources}]

    def test_limit_range(self):
        namespace = self.namespace()
        self.limit(namespace, {"type": "Container", "default": {"cpu": "500m", "memory": "1Gi"},
                               "defaultRequest": {"cpu": "100m"}, "min": {"cpu": "50m"}, "max": {"cpu": "1"},
                               "maxLimitRequestRatio": {"cpu": "8"}},
                   {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}})
        answer = self.create_pod(namespace, "defaults")
        self.assertEqual(answer.code, 201, answer)
        self.assertEqual(answer.json["spec"]["containers"][0]["resources"],
                         {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}})
        self.assertEqual(answer.json["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
                         "LimitRanger plugin set: cpu, memory request for container c; "
                         "cpu, memory limit for container c")
        too_much = self.with_resources(limits={"cpu": "2"}, requests={"cpu": "10m"})
        self.assert_forbidden(self.create_pod(namespace, containers=too_much),
                              'pods "p" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, '
                              'maximum cpu usage per Container is 1, but limit is 2, cpu max limit to request ratio '
                              'per Container is 8, but provided ratio is 200.000000]')
        claim = {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
                                                     "resources": {"requests": {"storage": "2Gi"}}}}
        self.assert_forbidden(self.client.post(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", claim),
                              'persistentvolumeclaims "c" is forbidden: maximum storage usage per '
                              'PersistentVolumeClaim is 1Gi, but request is 2Gi')

    # --- pods ---------------------------------------------------------------------------

    def test_images_are_always_pulled(self):
        answer = self.create_pod(self.namespace(), containers=[
            {"name": "c", "image": "busybox:1", "imagePullPolicy": "Never"}])
        self.assertEqual(answer.json["spec"]["containers"][0]["imagePullPolicy"], "Always")

    def test_runtime_class(self):
        namespace = self.namespace()
        self.assert_forbidden(self.create_pod(namespace, runtimeClassName="none"),
                              'pods "p" is forbidden: pod rejected: RuntimeClass "none" not found')
        self.assertEqual(self.client.post("/apis/node.k8s.io/v1/runtimeclasses", {
            "metadata": {"name": "heavy"}, "handler": "heavy", "overhead": {"podFixed": {"cpu": "250m"}},
            "scheduling": {"nodeSelector": {"heavy": "true"},
                           "tolerations": [{"key": "heavy", "operator": "Exists"}]}}).code, 201)
        spec = self.create_pod(namespace, "a", runtimeClassName="heavy").json["spec"]
        self.assertEqual((spec["overhead"], spec["nodeSelector"]), ({"cpu": "250m"}, {"heavy": "true"}))
        self.assertIn({"key": "heavy", "operator": "Exists"}, spec["tolerations"])
        self.assert_forbidden(self.create_pod(namespace, runtimeClassName="heavy", overhead={"cpu": "1"}),
                              'pods "p" is forbidden: pod rejected: Pod\'s Overhead doesn\'t match RuntimeClass\'s '
                              'defined Overhead')
        self.assert_forbidden(self.create_pod(namespace, runtimeClassName="heavy", nodeSelector={"heavy": "no"}),
                              'pods "p" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[heavy] = true; '
                              'pod.spec.nodeSelector[heavy] = no')

    def test_wishes_of_the_namespace(self):
        namespace = self.namespace(annotations={
            "scheduler.alpha.kubernetes.io/node-selector": "zone=a",
            "scheduler.alpha.kubernetes.io/defaultTolerations": '[{"key":"x","operator":"Exists"}]',
            "scheduler.alpha.kubernetes.io/tolerationsWhitelist":
                '[{"key":"x","operator":"Exists"},{"key":"node.kubernetes.io/not-ready","operator":"Exists"},'
                '{"key":"node.kubernetes.io/unreachable","operator":"Exists"}]'})
        spec = self.create_pod(namespace, "a").json["spec"]
        self.assertEqual(spec["nodeSelector"], {"zone": "a"})
        self.assertIn({"key": "x", "operator": "Exists"}, spec["tolerations"])
        self.assert_forbidden(self.create_pod(namespace, nodeSelector={"zone": "b"}),
                              'pods "p" is forbidden: pod node label selector conflicts with its namespace node '
                              'label selector')
        self.assert_forbidden(self.create_pod(namespace, tolerations=[{"key": "y", "operator": "Exists"}]),
                              'pods "p" is forbidden: pod tolerations (possibly merged with namespace default '
                              'tolerations) conflict with its namespace whitelist')

    def test_devices_are_tolerated_and_anti_affinity_is_by_host(self):
        namespace = self.namespace()
        gpu = self.with_resources(limits={"example.com/gpu": "1"}, requests={"example.com/gpu": "1"})
        self.assertIn({"key": "example.com/gpu", "operator": "Exists"},
                      self.create_pod(namespace, "a", containers=gpu).json["spec"]["tolerations"])
        term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
        self.assert_forbidden(self.create_pod(namespace, affinity={
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}),
            'pods "p" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only '
            'key kubernetes.io/hostname is allowed')

    # --- other objects ------------------------------------------------------------------

    def test_external_addresses(self):
        service = harness.service("s", externalIPs=["198.18.200.1"])
        self.assert_forbidden(self.client.post(f"/api/v1/namespaces/{self.namespace()}/services", service),
                              'services "s" is forbidden: Use of external IPs is denied by admission control')

    def test_claims_grow_where_their_class_lets_them(self):
        namespace = self.namespace()
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        claim = {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fixed",
                                                     "resources": {"requests": {"storage": "1Gi"}}}}
        self.assertEqual(self.client.post(path, claim).code, 201)
        grow = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        answer = self.client.patch(path + "/c", grow)
        self.assertIn(answer.code, (403, 422), answer)
        self.assertEqual(self.client.patch(path + "/c/status", {"status": {"phase": "Bound"}}).code, 200)
        self.assertEqual(self.client.patch(path + "/c", {"spec": {"volumeName": "v"}}).code, 200)
        self.assert_forbidden(self.client.patch(path + "/c", grow),
                              'persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc can be '
                              'resized and the storageclass that provisions the pvc must support resize')

    def test_events_are_limited(self):
        namespace = self.namespace()

        def event(number):
            return self.client.post(f"/api/v1/namespaces/{namespace}/events", {
                "metadata": {"name": f"e{number}"}, "involvedObject": {"kind": "Pod", "namespace": namespace}})
        answers = [event(number) for number in range(8)]
        self.assertEqual([answer.code for answer in answers[:3]], [201, 201, 201])
        refused = [answer for answer in answers if answer.code == 429]
        self.assertTrue(refused)
        self.assertEqual(refused[0].json["message"],
                         f"limit reached on type Namespace for key {namespace}")

    # --- kubelets -----------------------------------------------------------------------

    def test_a_kubelet_writes_only_what_is_its_own(self):
        kubelet = self.cluster.server.as_user("kubelet")
        node = kubelet.post("/api/v1/nodes", {"metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux"}}})
        self.assertEqual(node.code, 201, node)
        self.assert_forbidden(kubelet.post("/api/v1/nodes", {"metadata": {"name": "n2"}}),
                              'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"')
        self.assert_forbidden(kubelet.patch("/api/v1/nodes/n1", {"metadata": {"labels": {
            "node-restriction.kubernetes.io/team": "a"}}}),
            'nodes "n1" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/team')
        taints = {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}
        self.assert_forbidden(kubelet.patch("/api/v1/nodes/n1", taints),
                              'nodes "n1" is forbidden: node "n1" is not allowed to modify taints')
        namespace = self.namespace()
        answer = kubelet.post(f"/api/v1/namespaces/{namespace}/pods", harness.pod("p", nodeName="n1"))
        self.assertEqual(answer.code, 403, answer)
        self.assertIn('node "n1" can only create mirror pods', answer.json["message"])
        mirror = harness.pod("m", nodeName="n1")
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "controller": True,
                 "uid": node.json["metadata"]["uid"]}
        mirror["metadata"]["ownerReferences"] = [{**owner, "uid": "other"}]
        self.assertIn("UID mismatch", kubelet.post(f"/api/v1/namespaces/{namespace}/pods", mirror).json["message"])
        mirror["metadata"]["ownerReferences"] = [owner]
        self.assertEqual(kubelet.post(f"/api/v1/namespaces/{namespace}/pods", mirror).code, 201)
        self.assertEqual(self.create_pod(namespace, "other", nodeName="n2").code, 201)
        self.assertEqual(kubelet.delete(f"/api/v1/namespaces/{namespace}/pods/other").code, 403)
        self.assert_forbidden(kubelet.post(f"/api/v1/namespaces/{namespace}/pods/other/eviction",
                                           {"metadata": {"name": "other"}}),
                              'pods "other" is forbidden: node n1 can only evict pods with spec.nodeName set to itself')
        self.assertEqual(kubelet.delete(f"/api/v1/namespaces/{namespace}/pods/m").code, 200)

    # --- owners -------------------------------------------------------------------------

    def test_a_custom_owner_may_block_deletion(self):
        namespace = self.namespace()
        crd = definition("owners.example.com")
        self.assertEqual(self.client.post(DEFINITIONS, crd).code, 201)
        owners = f"/apis/owners.example.com/v1/namespaces/{namespace}/foos"
        owner = {"apiVersion": "owners.example.com/v1", "kind": "Foo", "metadata": {"name": "o"}}
        harness.await_true("the kind is served", lambda: self.client.post(owners, owner).code in (201, 409))
        reference = {"apiVersion": "owners.example.com/v1", "kind": "Foo", "name": "o", "blockOwnerDeletion": True,
                     "uid": self.client.get(owners + "/o").json["metadata"]["uid"]}
        maps = f"/api/v1/namespaces/{namespace}/configmaps"
        answer = self.client.post(maps, {"metadata": {"name": "m", "ownerReferences": [reference]}})
        self.assertEqual(answer.code, 201, answer)
        answer = self.client.post(maps, {"metadata": {"name": "n", "ownerReferences": [{**reference, "kind": "Bar"}]}})
        self.assertEqual(answer.code, 403, answer)
        self.assertIn('no matches for kind "Bar" in version "owners.example.com/v1"', answer.json["message"])

    # --- the flags ----------------------------------------------------------------------

    def test_flags(self):
        def refused(*flags):
            import subprocess
            done = subprocess.run([harness.APISERVER, "--etcd-servers=http://127.0.0.1:1", "--tls-cert-file=x",
                                   "--tls-private-key-file=x", *flags], capture_output=True, text=True, timeout=20)
            self.assertNotEqual(done.returncode, 0)
            return done.stderr
        self.assertIn("enable-admission-plugins plugin \"Nonsense\" is unknown",
                      refused("--enable-admission-plugins=Nonsense"))
        self.assertIn("overlapped", refused("--enable-admission-plugins=Priority",
                                            "--disable-admission-plugins=Priority"))
