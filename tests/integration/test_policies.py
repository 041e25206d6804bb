# SPDX-License-Identifier: Apache-2.0
"""ValidatingAdmissionPolicies and their bindings."""

import unittest

import harness
from harness import await_true

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
               "resources": ["deployments"]}
MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": ["configmaps"]}


def warnings(answer):
    return [text.split('"', 1)[1].rsplit('"', 1)[0].replace('\\"', '"')
            for text in answer.headers.get_all("warning") or []]


class Policies(unittest.TestCase):
    number = 0

    @classmethod
    def setUpClass(cls):
        cls.client = harness.shared().server.client

    def setUp(self):
        self.ns = harness.new_namespace(self.client)
        self.maps = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.deployments = f"/apis/apps/v1/namespaces/{self.ns}/deployments"

    def make(self, path, body):
        answer = self.client.post(path, body)
        self.assertEqual(answer.code, 201, answer)
        self.addCleanup(self.client.delete, path + "/" + body["metadata"]["name"])
        return answer.json

    def policy(self, rule=MAPS, actions=("Deny",), binding=None, **spec):
        type(self).number += 1
        name = f"policy-{self.number}"
        self.make(POLICIES, {"metadata": {"name": name}, "spec": {"matchConstraints": {"resourceRules": [rule]}, **spec}})
        self.make(BINDINGS, {"metadata": {"name": name + "-b"}, "spec": {
            "policyName": name, "validationActions": list(actions),
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.ns}}},
            **(binding or {})}})
        self.client.get(BINDINGS)  # a consistent read: the cache has the binding then
        return name

    def create(self, name="m", **data):
        return self.client.post(self.maps, harness.config_map(name, data))

    def test_a_deployment_is_judged(self):
        name = self.policy(DEPLOYMENTS, validations=[{"expression": "object.spec.replicas > 1"}])
        answer = self.client.post(self.deployments, harness.deployment("small", 1))
        text = (f"ValidatingAdmissionPolicy '{name}' with binding '{name}-b' denied request: failed expression: "
                "object.spec.replicas > 1")
        self.assertEqual((answer.code, answer.json["reason"]), (422, "Invalid"))
        self.assertEqual(answer.json["message"], f'deployments.apps "small" is forbidden: {text}')
        self.assertEqual(answer.json["details"]["causes"], [{"message": text}])
        self.assertEqual(self.client.post(self.deployments, harness.deployment("big", 2)).code, 201)
        self.assertEqual(self.client.patch(self.deployments + "/big", {"spec": {"replicas": 1}}).code, 422)
        body = harness.deployment("set", 1)
        body["kind"] = "ReplicaSet"
        self.assertEqual(self.client.post(self.deployments.replace("deployments", "replicasets"), body).code, 201)

    def test_variables_refer_to_each_other(self):
        self.policy(DEPLOYMENTS, variables=[
            {"name": "replicas", "expression": "object.spec.replicas"},
            {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
            {"name": "never", "expression": "object.no.such.thing"}],
            validations=[{"expression": "variables.replicas > 1"}, {"expression": "variables.oddReplicas"}])
        self.assertEqual([self.client.post(self.deployments, harness.deployment(f"d{count}", count)).code
                          for count in (1, 2, 3)], [422, 422, 201])

    def test_messages_and_reasons(self):
        self.policy(validations=[{"expression": "!has(object.data.bad)", "reason": "Forbidden", "message": "no",
                                  "messageExpression": "'no ' + object.metadata.name + ' here'"}])
        answer = self.create(bad="x")
        self.assertEqual((answer.code, answer.json["reason"]), (403, "Forbidden"))
        self.assertTrue(answer.json["message"].endswith("denied request: no m here"), answer)

    def test_warn(self):
        name = self.policy(actions=("Warn", "Audit"), validations=[{"expression": "false", "message": "not good"}])
        answer = self.create()
        self.assertEqual(answer.code, 201)
        self.assertEqual(warnings(answer), [f"Validation failed for ValidatingAdmissionPolicy '{name}' with binding "
                                            f"'{name}-b': not good"])

    def test_failure_policy(self):
        self.policy(validations=[{"expression": "object.data.missing == 'x'"}])
        answer = self.create(a="b")
        self.assertEqual(answer.code, 422)
        self.assertIn("expression 'object.data.missing == 'x'' resulted in error: no such key: missing",
                      answer.json["message"])

    def test_failure_policy_ignore(self):
        self.policy(failurePolicy="Ignore", validations=[{"expression": "object.data.missing == 'x'"}])
        self.assertEqual(self.create(a="b").code, 201)

    def test_what_expressions_see(self):
        self.policy(validations=[
            {"expression": "request.operation == 'DELETE' || object.metadata.namespace == namespaceObject.metadata.name"},
            {"expression": "request.userInfo.username == 'kubernetes-admin' && request.namespace != ''"},
            {"expression": "authorizer.group('').resource('pods').namespace(request.namespace).check('get').allowed()"},
            {"expression": "authorizer.requestResource.check('create').allowed()"},
            {"expression": "request.operation != 'UPDATE' || oldObject.data == object.data", "message": "frozen"}])
        answer = self.create(a="b")
        self.assertEqual(answer.code, 201, answer)
        self.assertIn("frozen", self.client.patch(self.maps + "/m", {"data": {"a": "c"}}).json["message"])
        self.assertEqual(self.client.delete(self.maps + "/m").code, 200)

    def test_deletion(self):
        self.policy(validations=[{"expression": "request.operation != 'DELETE' || oldObject.metadata.name != 'kept'"}])
        self.assertEqual(self.create("kept").code, 201)
        self.assertEqual(self.client.delete(self.maps + "/kept").code, 422)
        self.assertEqual(self.client.get(self.maps + "/kept").code, 200)

    def test_match_conditions(self):
        self.policy(matchConditions=[{"name": "named", "expression": "object.metadata.name.startsWith('x')"}],
                    validations=[{"expression": "false"}])
        self.assertEqual((self.create("a").code, self.create("x").code), (201, 422))

    def test_params(self):
        self.client.post(self.maps, harness.config_map("limit", {"max": "3"}))
        name = self.policy(DEPLOYMENTS, paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
                           binding={"paramRef": {"name": "limit", "parameterNotFoundAction": "Deny"}},
                           validations=[{"expression": "object.spec.replicas <= int(params.data.max)",
                                         "messageExpression": "'at most ' + params.data.max"}])
        self.assertEqual(self.client.post(self.deployments, harness.deployment("ok", 3)).code, 201)
        answer = self.client.post(self.deployments, harness.deployment("big", 4))
        self.assertTrue(answer.json["message"].endswith("denied request: at most 3"), answer)
        self.client.patch(self.maps + "/limit", {"data": {"max": "5"}})
        self.assertEqual(self.client.post(self.deployments, harness.deployment("big", 4)).code, 201)
        self.client.delete(self.maps + "/limit")
        answer = self.client.post(self.deployments, harness.deployment("none", 1))
        self.assertTrue(answer.json["message"].endswith(
            f"ValidatingAdmissionPolicy '{name}' with binding '{name}-b' denied request: failed to configure binding: no "
            "params found for policy binding with `Deny` parameterNotFoundAction"), answer)

    def test_params_by_selector(self):
        for name in ("a", "b"):
            self.client.post(self.maps, harness.config_map(name, {"forbidden": name}, labels={"rule": "yes"}))
        self.policy(DEPLOYMENTS, paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
                    binding={"paramRef": {"selector": {"matchLabels": {"rule": "yes"}},
                                          "parameterNotFoundAction": "Allow"}},
                    validations=[{"expression": "object.metadata.name != params.data.forbidden"}])
        self.assertEqual([self.client.post(self.deployments, harness.deployment(name, 1)).code
                          for name in ("a", "b", "c")], [422, 422, 201])

    def test_expressions_are_compiled_when_they_are_written(self):
        def create(**spec):
            return self.client.post(POLICIES + "?dryRun=All", {"metadata": {"name": "p"}, "spec": {
                "matchConstraints": {"resourceRules": [MAPS]}, **spec}})
        answer = create(validations=[{"expression": "object.spec.replicas >"}])
        self.assertEqual(answer.code, 422)
        self.assertIn('spec.validations[0].expression: Invalid value: "object.spec.replicas >": compilation failed: '
                      'ERROR: <input>:1:', answer.json["message"])
        self.assertIn("undeclared reference to 'params'", create(
            validations=[{"expression": "params.x == 1"}]).json["message"])
        self.assertIn("must evaluate to bool", create(validations=[{"expression": "'text'"}]).json["message"])
        self.assertIn("undefined field 'later'", create(
            variables=[{"name": "first", "expression": "variables.later"}, {"name": "later", "expression": "1"}],
            validations=[{"expression": "true"}]).json["message"])
        self.assertEqual(create(variables=[{"name": "first", "expression": "1"}],
                                validations=[{"expression": "variables.first == 1"}]).code, 201)
        for kind in ("mutating", "validating"):
            answer = self.client.post(f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations", {
                "metadata": {"name": "bad"}, "webhooks": [{
                    "name": "bad.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "clientConfig": {"url": "https://127.0.0.1/x"},
                    "matchConditions": [{"name": "c", "expression": "... [] bad expression"}]}]})
            self.assertEqual(answer.code, 422)
            self.assertIn("compilation failed", answer.json["message"])

    def test_policies_are_not_judged_by_policies(self):
        everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
        name = self.policy(everything, binding={"matchResources": {}}, matchConditions=[
            {"name": "ours", "expression": "request.resource.group == 'admissionregistration.k8s.io'"}],
            validations=[{"expression": "false"}])
        self.assertEqual(self.client.patch(f"{POLICIES}/{name}", {"metadata": {"labels": {"a": "b"}}}).code, 200)

    def test_changes_take_effect(self):
        name = self.policy(validations=[{"expression": "false"}])
        self.assertEqual(self.create("a").code, 422)
        self.assertEqual(self.client.delete(f"{BINDINGS}/{name}-b").code, 200)
        await_true("the policy to have gone", lambda: self.create("a").code == 201)


class TypeChecking(unittest.TestCase):
    def test_status_tells_of_wrong_fields(self):
        from test_controllers import ControllerManager
        cluster = harness.shared()
        manager = ControllerManager(cluster, "--controllers=validatingadmissionpolicy-status-controller")
        self.addCleanup(manager.terminate)
        client = cluster.server.client
        self.addCleanup(client.delete, POLICIES + "/checked")
        answer = client.post(POLICIES, {"metadata": {"name": "checked"}, "spec": {
            "matchConstraints": {"resourceRules": [DEPLOYMENTS]},
            "variables": [{"name": "replicas", "expression": "object.spec.replicas"}],
            "validations": [{"expression": "variables.replicas > 1"},
                            {"expression": "object.spec.replcas > 1", "messageExpression": "'x' + object.kind"}]}})
        self.assertEqual(answer.code, 201, answer)
        status = await_true("the policy's status", lambda: (
            lambda found: found if found.get("observedGeneration") == 1 else None)(
                client.get(POLICIES + "/checked").json.get("status", {})))
        warning, = status["typeChecking"]["expressionWarnings"]
        self.assertEqual(warning["fieldRef"], "spec.validations[1].expression")
        self.assertTrue(warning["warning"].startswith(
            "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replcas'"), warning)
