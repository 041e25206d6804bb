# SPDX-License-Identifier: Apache-2.0
"""Pod Security Standards by the labels of namespaces."""

import unittest

import harness

LABEL = "pod-security.kubernetes.io/"
GOOD = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}}


def warnings(answer):
    return [text.split('"', 1)[1].rsplit('"', 1)[0].replace('\\"', '"')
            for text in answer.headers.get_all("warning") or []]


def container(**security):
    return [{"name": "c", "image": "busybox:1", **({"securityContext": security} if security else {})}]


class PodSecurity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = harness.shared().server.client

    def namespace(self, **labels):
        answer = self.client.post("/api/v1/namespaces", {"metadata": {
            "generateName": "psa-", "labels": {LABEL + key.replace("_", "-"): value for key, value in labels.items()}}})
        self.assertEqual(answer.code, 201, answer)
        return answer.json["metadata"]["name"]

    def create(self, namespace, name="p", **spec):
        return self.client.post(f"/api/v1/namespaces/{namespace}/pods", harness.pod(name, **spec))

    def test_restricted(self):
        namespace = self.namespace(enforce="restricted")
        answer = self.create(namespace)
        self.assertEqual(answer.code, 403)
        self.assertEqual(answer.json["message"],
                         'pods "p" is forbidden: violates PodSecurity "restricted:latest": '
                         'allowPrivilegeEscalation != false (container "c" must set '
                         'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" '
                         'must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container '
                         '"c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must '
                         'set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")')
        self.assertEqual(self.create(namespace, containers=container(**GOOD)).code, 201)

    def test_baseline(self):
        namespace = self.namespace(enforce="baseline", enforce_version="v1.33")
        self.assertEqual(self.create(namespace, "plain").code, 201)
        bad = self.create(namespace, hostNetwork=True, hostPID=True,
                          containers=[{"name": "c", "image": "i:1", "ports": [{"containerPort": 80, "hostPort": 80}],
                                       "securityContext": {"privileged": True,
                                                           "capabilities": {"add": ["SYS_ADMIN"]}}}],
                          volumes=[{"name": "v", "hostPath": {"path": "/"}}])
        self.assertEqual(bad.code, 403)
        self.assertEqual(bad.json["message"],
                         'pods "p" is forbidden: violates PodSecurity "baseline:v1.33": non-default capabilities '
                         '(container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add), host '
                         'namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volume "v"), hostPort '
                         '(container "c" uses hostPort 80), privileged (container "c" must not set '
                         'securityContext.privileged=true)')

    def test_workloads_are_warned_about(self):
        namespace = self.namespace(enforce="restricted")
        answer = self.client.post(f"/apis/apps/v1/namespaces/{namespace}/deployments", harness.deployment("d"))
        self.assertEqual(answer.code, 201, answer)
        warning, = warnings(answer)
        self.assertTrue(warning.startswith('would violate PodSecurity "restricted:latest": '
                                           'allowPrivilegeEscalation != false'), warning)

    def test_warn_only(self):
        namespace = self.namespace(warn="baseline")
        answer = self.create(namespace, hostNetwork=True)
        self.assertEqual(answer.code, 201)
        self.assertEqual(warnings(answer), ['would violate PodSecurity "baseline:latest": host namespaces '
                                            '(hostNetwork=true)'])

    def test_bad_labels_are_invalid(self):
        answer = self.client.post("/api/v1/namespaces", {"metadata": {"name": "bad", "labels": {
            LABEL + "enforce": "strict", LABEL + "warn-version": "1.33"}}})
        self.assertEqual(answer.code, 422, answer)
        self.assertIn('metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of '
                      'privileged, baseline, restricted', answer.json["message"])
        self.assertEqual(len(answer.json["details"]["causes"]), 2)

    def test_stricter_labels_tell_of_present_pods(self):
        namespace = self.namespace()
        for name in ("a", "b"):
            self.assertEqual(self.create(namespace, name, hostNetwork=True).code, 201)
        self.assertEqual(self.create(namespace, "c").code, 201)
        answer = self.client.patch(f"/api/v1/namespaces/{namespace}?dryRun=All",
                                   {"metadata": {"labels": {LABEL + "enforce": "baseline"}}})
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(warnings(answer), [
            f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "baseline:latest"',
            "a (and 1 other pod): host namespaces"])

    def test_ephemeral_containers_are_held_to_it(self):
        namespace = self.namespace(enforce="restricted")
        self.assertEqual(self.create(namespace, containers=container(**GOOD)).code, 201)
        debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox:1",
                                                   "securityContext": {"privileged": True}}]}}
        answer = self.client.patch(f"/api/v1/namespaces/{namespace}/pods/p/ephemeralcontainers", debug)
        self.assertEqual(answer.code, 403, answer)
        self.assertIn('privileged (container "debug" must not set', answer.json["message"])
