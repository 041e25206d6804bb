# SPDX-License-Identifier: Apache-2.0
"""What kubectl learns from the OpenAPI documents: explain, and who validates."""

import json
import re

import clients
from harness import deployment

UNKNOWN = "<no description>"


class Case(clients.KubectlCase):
    def explain(self, *words):
        text = self.kubectl("explain", *words)
        self.assertNotIn(UNKNOWN, text, words)
        return text


@clients.for_each_version
class Explain(Case):
    def test_a_kind_a_field_and_a_tree(self):
        text = self.explain("deployments")
        self.assertRegex(text, r"KIND: +Deployment\n")
        self.assertRegex(text, r"VERSION: +(apps/)?v1\n")
        self.assertIn("Keeps a number of equal pods running", text)
        text = self.explain("deploy.spec.strategy.rollingUpdate.maxSurge")
        self.assertRegex(text, r"FIELD: +maxSurge")
        self.assertIn("25% when unset", re.sub(r"\s+", " ", text))
        tree = self.explain("pod.spec.containers", "--recursive")
        for name in ("livenessProbe", "terminationGracePeriodSeconds", "valueFrom"):
            self.assertIn(f"{name}\t<", tree)

    def test_another_version(self):
        text = self.explain("hpa", "--api-version=autoscaling/v1")
        self.assertRegex(text, r"VERSION: +(autoscaling/)?v1\n")
        self.assertIn("targetCPUUtilizationPercentage", self.explain("hpa.spec", "--api-version=autoscaling/v1"))
        self.assertIn("metrics\t<[]MetricSpec>", self.explain("hpa.spec", "--api-version=autoscaling/v2"))

    def test_required_fields_and_enumerations(self):
        self.assertRegex(self.explain("deployment.spec"), r"selector\t<LabelSelector> -required-")
        text = self.explain("service.spec.type")
        if [int(part) for part in self.version.split(".")] < [1, 30]:
            return  # older ones don't print values
        for value in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
            self.assertIn(value, text)

    def test_a_field_that_is_not_there(self):
        self.assertIn('field "nothing" does not exist', self.refused("explain", "pod.spec.nothing"))
        self.assertIn("the server doesn't have a resource type", self.refused("explain", "nothings"))

    def test_unknown_fields_are_refused_warned_of_or_dropped(self):
        """kubectl reads in the documents that the server can tell by itself, and so asks it."""
        wrong = deployment("web")
        wrong["spec"]["replicass"] = 3
        text, create = json.dumps(wrong), ("create", "--dry-run=server", "-f", "-")
        self.assertIn('strict decoding error: unknown field "spec.replicass"',
                      self.refused(*create, "--validate=strict", stdin=text))
        done = self.attempt(*create, "--validate=warn", stdin=text)
        self.assertEqual((done.returncode, done.stdout), (0, "deployment.apps/web created (server dry run)\n"))
        self.assertIn('Warning: unknown field "spec.replicass"', done.stderr)
        done = self.attempt(*create, "--validate=ignore", stdin=text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.kubectl("create", "--dry-run=client", "--validate=true", "-f", "-", stdin=text),
                         "deployment.apps/web created (dry run)\n")

    def test_apply_validates(self):
        wrong = deployment("web")
        wrong["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
        text = self.refused("apply", "--validate=true", "-f", "-", stdin=json.dumps(wrong))
        self.assertIn('unknown field "spec.template.spec.containers[0].imagee"', text)


def newest():
    found = clients.kubectls()
    return max(found, key=lambda version: [int(part) for part in version.split(".")]) if found else None


class Everything(Case):
    """Every resource that can be listed or created, once, by the newest kubectl there is."""

    version = newest()
    program = clients.kubectls().get(version) if version else None

    def resources(self):
        for line in self.kubectl("api-resources", "--no-headers").splitlines():
            words = line.split()
            kind, namespaced, api_version = words[-1], words[-2], words[-3]
            self.assertIn(namespaced, ("true", "false"))
            yield words[0], api_version, kind

    def test_every_resource_is_explained(self):
        count = 0
        for plural, api_version, kind in self.resources():
            with self.subTest(resource=f"{plural}.{api_version}"):
                text = self.explain(plural, f"--api-version={api_version}")
                self.assertRegex(text, rf"KIND: +{kind}\n")
                self.assertRegex(text, r"DESCRIPTION:\n +\S")
                tree = self.kubectl("explain", plural, f"--api-version={api_version}", "--recursive")
                self.assertIn("metadata\t<ObjectMeta>", tree)
                count += 1
        self.assertGreater(count, 55)

    def test_the_old_document_explains_too(self):
        text = self.kubectl("explain", "pod.spec.dnsPolicy", "--output=plaintext-openapiv2")
        self.assertIn("Where names are resolved", text)
