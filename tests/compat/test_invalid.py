# SPDX-License-Identifier: Apache-2.0
"""Typical mistakes, and upstream's exact words about them."""

import unittest

import clients
from harness import deployment, pod, service

NAME_PART = ("name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
             "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
             "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')")


def container(**more):
    return {"containers": [dict({"name": "c", "image": "x"}, **more)]}


def cron(schedule):
    return {"metadata": {"name": "x"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {
        "spec": dict(container(), restartPolicy="Never")}}}}}


# (field, message) of every cause, in order.
POD_MISTAKES = (
    ({"containers": []}, [("spec.containers", "Required value")]),
    (container(image=""), [("spec.containers[0].image", "Required value")]),
    (container(imagePullPolicy="Foo"), [("spec.containers[0].imagePullPolicy", 'Unsupported value: "Foo": supported '
                                         'values: "Always", "IfNotPresent", "Never"')]),
    (container(ports=[{"containerPort": 70000}]), [("spec.containers[0].ports[0].containerPort",
                                                    "Invalid value: 70000: must be between 1 and 65535, inclusive")]),
    (container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}), [
        ("spec.containers[0].resources.requests", 'Invalid value: "2": must be less than or equal to cpu limit of 1')]),
    (container(resources={"limits": {"foo": "1"}}), [
        ("spec.containers[0].resources.limits[foo]", 'Invalid value: "foo": must be a standard resource type or fully '
         "qualified"),
        ("spec.containers[0].resources.limits[foo]", 'Invalid value: "foo": must be a standard resource for containers'),
        ("spec.containers[0].resources.requests[foo]", 'Invalid value: "foo": must be a standard resource type or fully '
         "qualified"),
        ("spec.containers[0].resources.requests[foo]", 'Invalid value: "foo": must be a standard resource for '
         "containers")]),
    (container(volumeMounts=[{"name": "v", "mountPath": "/a"}]), [
        ("spec.containers[0].volumeMounts[0].name", 'Not found: "v"')]),
    (container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "foo"}}}]), [
        ("spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", 'Invalid value: "foo": error converting fieldPath: '
         "field label not supported: foo")]),
    (dict(container(), tolerations=[{"key": "a", "operator": "Exists", "value": "x"}]), [
        ("spec.tolerations[0].operator", 'Invalid value: "x": value must be empty when `operator` is \'Exists\'')]),
    (dict(container(), nodeSelector={"a b": "c"}), [("spec.nodeSelector", 'Invalid value: "a b": ' + NAME_PART)]),
    (dict(container(), volumes=[{"name": "v", "hostPath": {"path": "/a"}, "emptyDir": {}}, {"name": "v"}]), [
        ("spec.volumes[0].hostPath", "Forbidden: may not specify more than 1 volume type")]),
)

SCHEDULES = (("foo", "expected exactly 5 fields, found 1: [foo]"),
             ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
             ("61 * * * *", "end of range (61) above maximum (59): 61"),
             ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
             ("5-2 * * * *", "beginning of range (5) beyond end of range (2): 5-2"),
             ("*/0 * * * *", "step of range should be a positive number: */0"),
             ("1-2-3 * * * *", "too many hyphens: 1-2-3"), ("1/2/3 * * * *", "too many slashes: 1/2/3"),
             ("@never", "unrecognized descriptor: @never"))


class Invalid(unittest.TestCase):
    def setUp(self):
        self.client = clients.cluster().server.client
        self.ns = clients.new_namespace()

    def causes(self, path, body):
        answer = self.client.post(path.format(self.ns), body)
        self.assertEqual((answer.code, answer.json.get("reason")), (422, "Invalid"), answer)
        return [(cause["field"], cause["message"]) for cause in answer.json["details"]["causes"]]

    def test_pods(self):
        for spec, expected in POD_MISTAKES:
            with self.subTest(spec):
                self.assertEqual(self.causes("/api/v1/namespaces/{}/pods", dict(pod("x"), spec=spec)), expected)

    def test_deployments(self):
        path = "/apis/apps/v1/namespaces/{}/deployments"
        body = deployment("x")
        body["spec"]["selector"] = {}
        self.assertEqual(self.causes(path, body)[0], (
            "spec.selector", "Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), "
            "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for deployment"))
        del body["spec"]["selector"]
        self.assertEqual(self.causes(path, body), [
            ("spec.selector", "Required value"),
            ("spec.template.metadata.labels", 'Invalid value: map[string]string{"app":"x"}: `selector` does not match '
             "template `labels`")])

    def test_cron_jobs(self):
        for schedule, detail in SCHEDULES:
            with self.subTest(schedule):
                self.assertEqual(self.causes("/apis/batch/v1/namespaces/{}/cronjobs", cron(schedule)),
                                 [("spec.schedule", f'Invalid value: "{schedule}": {detail}')])
        for number, schedule in enumerate(("*/5 * * * *", "0 9-17 * jan,JUN mon-fri", "@hourly", "0,30 0 1 1 ?")):
            body = cron(schedule)
            body["metadata"]["name"] = f"good-{number}"
            self.assertEqual(self.client.post(f"/apis/batch/v1/namespaces/{self.ns}/cronjobs", body).code, 201)

    def test_services(self):
        path = "/api/v1/namespaces/{}/services"
        self.assertEqual(self.causes(path, service("x", type="NodePort", ports=[{"port": 80, "nodePort": 80}])), [
            ("spec.ports[0].nodePort", "Invalid value: 80: provided port is not in the valid range. The range of valid "
             "ports is 30000-32767")])
        self.assertEqual(self.causes(path, service("x", ports=[{"port": 80}, {"port": 81}])), [
            ("spec.ports[0].name", "Required value"), ("spec.ports[1].name", "Required value")])

    def test_decoding(self):
        answer = self.client.post(f"/api/v1/namespaces/{self.ns}/pods", dict(pod("x"), spec={"containers": "x"}))
        self.assertEqual((answer.code, answer.json["message"]), (400, (
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field '
            "PodSpec.spec.containers of type []v1.Container")))
