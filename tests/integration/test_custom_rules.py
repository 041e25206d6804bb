# SPDX-License-Identifier: Apache-2.0
"""x-kubernetes-validations of custom resources: what the rules refuse and in which
words, transition rules, and what is refused of a definition's rules themselves."""

import json

from harness import await_true
from test_custom import DEFINITIONS, Base, definition, properties, version


def rules(*rows):
    return [row if isinstance(row, dict) else {"rule": row} for row in rows]


class Rules(Base):
    def spec(self, *rows, **fields):
        return properties(spec={**properties(**fields), "x-kubernetes-validations": rules(*rows)})

    def refused(self, obj, *wanted):
        status = self.create(obj, code=422)
        self.assertEqual(self.messages(status), list(wanted))

    def test_messages_reasons_and_paths(self):
        self.install(definition(self.group, version(schema=self.spec(
            "self.minReplicas <= self.replicas",
            {"rule": "self.replicas <= self.maxReplicas", "message": "replicas must not exceed maxReplicas",
             "fieldPath": ".replicas"},
            {"rule": "self.name != 'forbidden'", "reason": "FieldValueForbidden", "message": "not this one"},
            {"rule": "self.name.startsWith('n')", "messageExpression": "'no name with n: ' + self.name",
             "reason": "FieldValueRequired"},
            minReplicas={"type": "integer"}, replicas={"type": "integer"}, maxReplicas={"type": "integer"},
            name={"type": "string", "maxLength": 20}))))
        good = {"minReplicas": 1, "replicas": 2, "maxReplicas": 3, "name": "name"}
        self.create(self.foo("good", spec=good))
        self.refused(self.foo(spec={**good, "minReplicas": 3}),
                     'spec: Invalid value: "object": failed rule: self.minReplicas <= self.replicas')
        self.refused(self.foo(spec={**good, "replicas": 9}),
                     'spec.replicas: Invalid value: "object": replicas must not exceed maxReplicas')
        self.refused(self.foo(spec={**good, "name": "forbidden"}), "spec: Forbidden: not this one",
                     "spec: Required value: no name with n: forbidden")
        # A rule over what isn't there fails, unless it asks first.
        self.refused(self.foo(spec={"minReplicas": 1, "replicas": 2, "name": "n"}),
                     'spec: Invalid value: "object": no such key: maxReplicas evaluating rule: '
                     'replicas must not exceed maxReplicas')

    def test_rules_wait_for_the_schema(self):
        self.install(definition(self.group, version(schema=self.spec("self.a > 1", a={"type": "integer"}))))
        self.refused(self.foo(spec={"a": "text"}),
                     'spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"',
                     "<nil>: Invalid value: null: some validation rules were not checked because the object was "
                     "invalid; correct the existing errors to complete validation")

    def test_transition_rules(self):
        self.install(definition(self.group, version(schema=properties(
            spec=properties(
                fixed={"type": "string", "x-kubernetes-validations": rules(
                    {"rule": "self == oldSelf", "message": "fixed is immutable"})},
                ports={"type": "array", "maxItems": 10, "x-kubernetes-list-type": "map",
                       "x-kubernetes-list-map-keys": ["name"], "items": {
                           "type": "object", "required": ["name"],
                           "properties": {"name": {"type": "string"}, "port": {
                               "type": "integer", "x-kubernetes-validations": rules("self >= oldSelf")}}}})))))
        created = self.create(self.foo(spec={"fixed": "x", "ports": [{"name": "a", "port": 5}]}))
        created["spec"]["fixed"] = "y"
        answer = self.client.put(self.path("a"), created)
        self.assertEqual(self.messages(answer.json), ['spec.fixed: Invalid value: "string": fixed is immutable'])
        created["spec"] = {"fixed": "x", "ports": [{"name": "b", "port": 1}, {"name": "a", "port": 4}]}
        answer = self.client.put(self.path("a"), created)
        self.assertEqual(self.messages(answer.json),
                         ['spec.ports[1].port: Invalid value: "integer": failed rule: self >= oldSelf'])
        created["spec"]["ports"][1]["port"] = 6
        self.assertEqual(self.client.put(self.path("a"), created).code, 200)

    def test_optional_old_self(self):
        self.install(definition(self.group, version(schema=self.spec(
            {"rule": "oldSelf.hasValue() || self.a == 1", "optionalOldSelf": True, "message": "begin with 1"},
            a={"type": "integer"}))))
        self.refused(self.foo(spec={"a": 2}), 'spec: Invalid value: "object": begin with 1')
        self.create(self.foo(spec={"a": 1}))
        answer = self.client.patch(self.path("a"), '{"spec":{"a":2}}', "merge-patch+json")
        self.assertEqual(answer.code, 200, answer)

    def test_ratcheting(self):
        loose = properties(spec=properties(a={"type": "integer"}, b={"type": "integer"}))
        crd = self.install(definition(self.group, version(schema=loose)))
        self.create(self.foo(spec={"a": 9}))
        strict = properties(spec=properties(
            a={"type": "integer", "x-kubernetes-validations": rules("self < 5")}, b={"type": "integer"}))
        self.change(crd, {"spec": {"versions": [version(schema=strict)]}})
        await_true("the rule", lambda: self.client.post(self.path(), self.foo("b", spec={"a": 9})).code == 422)
        answer = self.client.patch(self.path("a"), '{"spec":{"b":1}}', "merge-patch+json")
        self.assertEqual(answer.code, 200, answer)

    def test_root_and_metadata(self):
        schema = {**properties(spec=properties(a={"type": "string"})),
                  "x-kubernetes-validations": rules("self.metadata.name.startsWith('ok')")}
        self.install(definition(self.group, version(schema=schema)))
        self.create(self.foo("ok-1"))
        self.refused(self.foo("bad"),
                     '<nil>: Invalid value: "object": failed rule: self.metadata.name.startsWith(\'ok\')')

    def definition_refused(self, schema, *wanted):
        answer = self.client.post(DEFINITIONS, definition(self.group, version(schema=schema)))
        self.assertEqual(answer.code, 422, answer)
        text = "\n".join(self.messages(answer.json))
        for part in wanted:
            self.assertIn(part, text)

    def test_refused_rules(self):
        path = "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]."
        self.definition_refused(self.spec("self.unknown > 1", a={"type": "integer"}),
                                path + "rule: Invalid value: apiextensions.ValidationRule{Rule:\"self.unknown > 1\"",
                                "compilation failed: ERROR: <input>:1:5: undefined field 'unknown'")
        self.definition_refused(self.spec("self.a", a={"type": "integer"}),
                                "cel expression must evaluate to a bool")
        self.definition_refused(self.spec({"rule": "true", "messageExpression": "1"}, a={"type": "integer"}),
                                "messageExpression must evaluate to a string")
        self.definition_refused(self.spec({"rule": "true", "message": "a\nb"}, a={"type": "integer"}),
                                path + "message: Invalid value: \"a\\nb\": message must not contain line breaks")
        self.definition_refused(self.spec({"rule": "true", "fieldPath": ".nowhere"}, a={"type": "integer"}),
                                "fieldPath must be a valid path")
        self.definition_refused(properties(l={"type": "array", "items": {
            "type": "integer", "x-kubernetes-validations": rules("self == oldSelf")}}),
            "oldSelf cannot be used on the uncorrelatable portion of the schema within "
            "spec.versions[0].schema.openAPIV3Schema.properties[l]")
        # Without bounds a rule over lists in lists costs too much.
        nested = {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}
        self.definition_refused(self.spec("self.l.all(x, self.l.all(y, x.all(z, z in y)))", l=nested),
                                "estimated rule cost exceeds budget by factor of more than 100x")

    def test_cost_at_run_time(self):
        """A rule that is too dear for an object is an error, and nothing hangs."""
        self.install(definition(self.group, version(schema=self.spec(
            "self.l.all(x, self.l.all(y, self.l.all(z, x <= 'z')))",
            l={"type": "array", "maxItems": 120, "items": {"type": "string", "maxLength": 1}}))))
        status = self.create(self.foo(spec={"l": ["a"] * 120}), code=422)
        self.assertIn("no further validation rules will be run", json.dumps(status))
