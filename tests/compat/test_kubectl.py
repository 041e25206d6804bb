# SPDX-License-Identifier: Apache-2.0
"""What people do with kubectl, and what they are told."""

import json
import os
import re

import clients
from harness import await_true, deployment

SAMPLE = "deployment.apps/web"


class Case(clients.KubectlCase):
    def apply(self, *objects, **kwargs):
        return self.kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(one) for one in objects), **kwargs)

    def value(self, what, path):
        return self.kubectl("get", *what.split(), "-o", "jsonpath={" + path + "}")


@clients.for_each_version
class Apply(Case):
    def test_apply_twice_change_delete(self):
        self.assertEqual(self.apply(deployment("web", 2)), SAMPLE + " created\n")
        self.assertEqual(self.apply(deployment("web", 2)), SAMPLE + " unchanged\n")
        self.assertEqual(self.apply(deployment("web", 3)), SAMPLE + " configured\n")
        self.assertEqual(self.value("deploy web", ".spec.replicas"), "3")
        self.assertIn("deployment", self.kubectl("apply", "view-last-applied", "deploy", "web").lower())
        text = json.dumps(deployment("web", 3))
        self.assertEqual(self.kubectl("delete", "-f", "-", stdin=text), 'deployment.apps "web" deleted\n')
        self.assertIn('deployments.apps "web" not found', self.refused("delete", "-f", "-", stdin=text))
        self.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text)

    def test_dry_runs_change_nothing(self):
        self.apply(deployment("web", 2))
        text = json.dumps(deployment("web", 5))
        for mode, words in (("server", "server dry run"), ("client", "dry run")):
            self.assertEqual(self.kubectl("apply", f"--dry-run={mode}", "-f", "-", stdin=text),
                             f"{SAMPLE} configured ({words})\n")
            self.assertEqual(self.kubectl("create", f"--dry-run={mode}", "cm", "never"),
                             f"configmap/never created ({words})\n")
            self.assertEqual(self.kubectl("delete", f"--dry-run={mode}", "deploy", "web"),
                             f'deployment.apps "web" deleted ({words})\n')
        self.assertEqual(self.value("deploy web", ".spec.replicas"), "2")
        self.assertIn("NotFound", self.refused("get", "cm", "never"))

    def test_diff(self):
        self.apply(deployment("web", 2))
        same = self.attempt("diff", "-f", "-", stdin=json.dumps(deployment("web", 2)))
        self.assertEqual((same.returncode, same.stdout), (0, ""), same.stderr)
        differs = self.attempt("diff", "-f", "-", stdin=json.dumps(deployment("web", 5)))
        self.assertEqual(differs.returncode, 1, differs.stderr)
        self.assertIn("-  replicas: 2\n+  replicas: 5\n", differs.stdout)

    def test_field_validation(self):
        body = deployment("web")
        body["metadata"]["unknownMeta"] = "x"
        body["spec"]["unknownField"] = "y"
        body["spec"]["template"]["spec"]["containers"][0]["foo"] = "z"
        text = json.dumps(body)
        fields = ['unknown field "metadata.unknownMeta"', 'unknown field "spec.template.spec.containers[0].foo"',
                  'unknown field "spec.unknownField"']
        for flag in ("strict", "true"):
            self.assertIn('Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
                          + ", ".join(fields), self.refused("create", f"--validate={flag}", "-f", "-", stdin=text))
        warned = self.attempt("create", "--validate=warn", "-f", "-", stdin=text)
        self.assertEqual(warned.stderr, "".join(f"Warning: {field}\n" for field in fields))
        self.kubectl("delete", "deploy", "web")
        for flag in ("ignore", "false"):
            quiet = self.attempt("create", f"--validate={flag}", "-f", "-", stdin=text)
            self.assertEqual((quiet.stdout, quiet.stderr), (SAMPLE + " created\n", ""))
            self.kubectl("delete", "deploy", "web")

    def test_replace_and_conflict(self):
        self.kubectl("create", "cm", "c", "--from-literal=k=v")
        old = self.kubectl("get", "cm", "c", "-o", "yaml")
        uid = self.value("cm c", ".metadata.uid")
        self.assertEqual(self.kubectl("replace", "-f", "-", stdin=old.replace("k: v", "k: w")), "configmap/c replaced\n")
        self.assertIn('Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your '
                      "changes to the latest version and try again", self.refused("replace", "-f", "-", stdin=old))
        self.assertEqual(self.kubectl("replace", "--force", "-f", "-", stdin=old),
                         'configmap "c" deleted\nconfigmap/c replaced\n')
        self.assertNotEqual(self.value("cm c", ".metadata.uid"), uid)
        self.assertIn('configmaps "c" already exists', self.refused("create", "cm", "c"))

    def test_generate_name(self):
        out = self.kubectl("create", "-f", "-", stdin='{"apiVersion":"v1","kind":"ConfigMap",'
                                                      '"metadata":{"generateName":"gen-"}}')
        self.assertRegex(out, r"^configmap/gen-[a-z0-9]{5} created$")


@clients.for_each_version
class Get(Case):
    def setUp(self):
        super().setUp()
        for name, tier in (("a", "front"), ("b", "front"), ("c", "back")):
            self.kubectl("create", "cm", name, "--from-literal=k=" + name)
            self.kubectl("label", "cm", name, "tier=" + tier)

    def get(self, *args):
        return self.kubectl("get", "cm", *args)

    def test_selectors_and_chunks(self):
        self.assertEqual(self.get("-l", "tier=front", "-o", "name"), "configmap/a\nconfigmap/b\n")
        self.assertEqual(self.get("-l", "tier,tier notin (front)", "-o", "name", "--chunk-size=1"), "configmap/c\n")
        self.assertEqual(self.get("--field-selector=metadata.name=b", "-o", "name"), "configmap/b\n")
        self.assertEqual(len(self.get("--chunk-size=1").splitlines()), len(self.get().splitlines()))
        self.assertIn('field label not supported: spec.foo', self.refused("get", "pods", "--field-selector=spec.foo=x"))
        self.assertIn("unable to parse requirement: found '', expected: ',' or ')'",
                      self.refused("get", "cm", "-l", "tier in (front"))

    def test_output_forms(self):
        self.assertEqual(self.get("a", "-o", "jsonpath={.data.k}"), "a")
        self.assertEqual(self.get("a", "-o", "go-template={{.data.k}}"), "a")
        self.assertEqual(self.get("a", "-o", "custom-columns=N:.metadata.name,X:.none").split(), ["N", "X", "a", "<none>"])
        self.assertEqual(json.loads(self.get("a", "-o", "json"))["kind"], "ConfigMap")
        listed = json.loads(self.get("-o", "json"))
        self.assertEqual((listed["kind"], listed["items"][0]["kind"]), ("List", "ConfigMap"))
        self.assertTrue(self.get("a", "-o", "yaml").startswith("apiVersion: v1\ndata:\n  k: a\nkind: ConfigMap\n"))
        self.assertEqual(self.get("a", "--no-headers", "--show-labels").split()[:2], ["a", "1"])
        self.assertRegex(self.get("a", "-L", "tier"), r"^NAME +DATA +AGE +TIER\na +1 +\d+s +front\n$")
        self.assertIn("configmap/a ", self.get("--show-kind"))
        self.assertEqual(self.get("--sort-by=.data.k", "-o", "name", "-l", "tier").split()[0], "configmap/a")

    def test_watch(self):
        watching = self.start("get", "cm", "-w", "-l", "tier in (front, w)", "--output-watch-events")
        lines = [watching.stdout.readline().split() for _ in range(3)]  # the heads, a and b: it is listening
        self.kubectl("create", "cm", "w")
        self.kubectl("label", "cm", "w", "tier=w")
        self.kubectl("annotate", "cm", "w", "x=y")
        self.kubectl("delete", "cm", "w")
        lines += [watching.stdout.readline().split() for _ in range(3)]
        self.assertEqual([line[:2] for line in lines], [["EVENT", "NAME"], ["ADDED", "a"], ["ADDED", "b"], ["ADDED", "w"],
                                                        ["MODIFIED", "w"], ["DELETED", "w"]])

    def test_not_found(self):
        self.assertEqual(self.refused("get", "cm", "none"), 'Error from server (NotFound): configmaps "none" not found\n')
        self.assertEqual(self.refused("get", "nones"), 'error: the server doesn\'t have a resource type "nones"\n')


@clients.for_each_version
class Change(Case):
    def setUp(self):
        super().setUp()
        self.apply(deployment("web", 1))

    def patch(self, body, *args):
        return ("patch", "deploy", "web", "-p", body if isinstance(body, str) else json.dumps(body), *args)

    def test_patches(self):
        image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}}}
        self.assertEqual(self.kubectl(*self.patch(image)), SAMPLE + " patched\n")
        self.assertEqual(self.kubectl(*self.patch(image)), SAMPLE + " patched (no change)\n")
        self.kubectl(*self.patch({"spec": {"paused": True}}, "--type=merge"))
        remove = [{"op": "remove", "path": "/spec/paused"}]
        self.kubectl(*self.patch(remove, "--type=json"))
        self.assertEqual(self.refused(*self.patch(remove, "--type=json")),
                         "The request is invalid: the server rejected our request due to an error in our request\n")
        self.assertRegex(self.refused(*self.patch({"spec": {"replicas": "x"}})),
                         r'^The (request|  ?"") ?is invalid: patch: Invalid value: "map\[spec:map\[replicas:x\]\]": ')
        self.assertRegex(self.refused(*self.patch({"spec": {"replicas": "x"}}, "--type=merge")),
                         r'is invalid: patch: Invalid value: "\{.*json: cannot unmarshal string into Go struct field '
                         r'DeploymentSpec\.spec\.replicas of type int32')
        warned = self.attempt(*self.patch({"spec": {"replicaz": 1}}))
        self.assertEqual(warned.stderr, 'Warning: unknown field "spec.replicaz"\n')
        self.assertIn("error decoding patch: json: cannot unmarshal object into Go value of type "
                      "[]handlers.jsonPatchOp", self.refused(*self.patch({"a": 1}, "--type=json")))

    def test_subresources(self):
        self.kubectl(*self.patch({"status": {"observedGeneration": 77}}, "--type=merge", "--subresource=status"))
        self.assertEqual(self.kubectl(*self.patch({"spec": {"replicas": 3}}, "--type=merge", "--subresource=scale")),
                         "scale.autoscaling/web patched\n")
        rows = self.kubectl("get", "deploy", "web", "--subresource=scale").splitlines()
        self.assertEqual(rows[0].split(), ["NAME", "DESIRED", "AVAILABLE", "AGE"])
        self.assertEqual(rows[1].split()[:2], ["web", "3"])
        self.assertIn("UP-TO-DATE", self.kubectl("get", "deploy", "web", "--subresource=status"))
        self.assertIn('The Scale "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
                      self.refused(*self.patch({"spec": {"replicas": -1}}, "--type=merge", "--subresource=scale")))

    def test_immutable_selector(self):
        self.assertEqual(
            self.refused(*self.patch({"spec": {"selector": {"matchLabels": {"x": "y"}}, "template": {
                "metadata": {"labels": {"x": "y"}}}}}, "--type=merge")),
            'The Deployment "web" is invalid: spec.selector: Invalid value: v1.LabelSelector{MatchLabels:'
            'map[string]string{"app":"web", "x":"y"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: '
            "field is immutable\n")

    def test_edit(self):
        editor = os.path.join(self.home, "editor")
        with open(editor, "w") as file:
            file.write("#!/bin/sh\nsed -i 's/  replicas: 1/  replicas: 4/' \"$1\"\n")
        os.chmod(editor, 0o755)
        self.assertEqual(self.kubectl("edit", "deploy", "web", KUBE_EDITOR=editor), SAMPLE + " edited\n")
        self.assertEqual(self.value("deploy web", ".spec.replicas"), "4")
        self.assertIn("Edit cancelled, no changes made.", self.attempt("edit", "deploy", "web", KUBE_EDITOR="true").stderr
                      + self.attempt("edit", "deploy", "web", KUBE_EDITOR="true").stdout)

    def test_label_and_annotate(self):
        self.assertEqual(self.kubectl("label", "deploy", "web", "a=b"), SAMPLE + " labeled\n")
        self.assertIn("--overwrite is false", self.refused("label", "deploy", "web", "a=c"))
        self.kubectl("label", "--overwrite", "deploy", "web", "a=c")
        self.assertEqual(self.kubectl("label", "deploy", "web", "a-"), SAMPLE + " unlabeled\n")
        self.kubectl("annotate", "deploy", "web", "n=1")
        self.kubectl("annotate", "deploy", "web", "n-")
        self.assertIn("name part must consist of alphanumeric characters",
                      self.refused("label", "deploy", "web", "bad key!=x"))

    def test_scale_autoscale_expose(self):
        self.assertEqual(self.kubectl("scale", "deploy", "web", "--replicas=3"), SAMPLE + " scaled\n")
        self.assertEqual(self.value("deploy web", ".spec.replicas"), "3")
        self.assertIn("Expected replicas to be 1, was 3",
                      self.refused("scale", "deploy", "web", "--current-replicas=1", "--replicas=2"))
        self.kubectl("autoscale", "deploy", "web", "--min=1", "--max=3", "--cpu-percent=50")
        row = self.kubectl("get", "hpa", "web", "--no-headers")
        self.assertEqual(row.split()[:6], ["web", "Deployment/web", "cpu:", "<unknown>/50%", "1", "3"])
        self.kubectl("expose", "deploy", "web", "--port=80", "--type=NodePort")
        self.assertRegex(self.kubectl("get", "svc", "web", "--no-headers"),
                         r"^web +NodePort +10\.96\.\d+\.\d+ +<none> +80:3\d{4}/TCP")

    def test_set(self):
        self.assertEqual(self.kubectl("set", "image", "deploy/web", "c=busybox:3"), SAMPLE + " image updated\n")
        self.kubectl("set", "env", "deploy/web", "A=b")
        self.assertIn("A=b", self.kubectl("set", "env", "deploy/web", "--list"))
        self.kubectl("set", "resources", "deploy/web", "--limits=cpu=1,memory=1Gi")
        self.assertIn('spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or '
                      "equal to cpu limit of 1", self.refused("set", "resources", "deploy/web", "--requests=cpu=2"))
        self.kubectl("set", "serviceaccount", "deploy", "web", "default")

    def test_rollouts(self):
        def revisions():
            return re.findall(r"^(\d+) ", self.kubectl("rollout", "history", "deploy", "web"), re.M)

        await_true("revision 1", lambda: revisions() == ["1"])
        self.kubectl("set", "image", "deploy/web", "c=busybox:2")
        await_true("revision 2", lambda: revisions() == ["1", "2"])
        self.assertIn("busybox:2", self.kubectl("rollout", "history", "deploy", "web", "--revision=2"))
        self.assertEqual(self.kubectl("rollout", "undo", "deploy", "web"), SAMPLE + " rolled back\n")
        await_true("revision 3", lambda: revisions() == ["2", "3"])
        self.assertEqual(self.value("deploy web", ".spec.template.spec.containers[0].image"), "busybox:1")
        self.assertEqual(self.kubectl("rollout", "restart", "deploy", "web"), SAMPLE + " restarted\n")
        await_true("revision 4", lambda: "4" in revisions())
        self.assertEqual(self.kubectl("rollout", "pause", "deploy", "web"), SAMPLE + " paused\n")
        self.assertEqual(self.kubectl("rollout", "resume", "deploy", "web"), SAMPLE + " resumed\n")
        self.kubectl("scale", "deploy", "web", "--replicas=0")
        self.assertIn('deployment "web" successfully rolled out',
                      self.kubectl("rollout", "status", "deploy", "web", "--timeout=20s"))


@clients.for_each_version
class Make(Case):
    def test_create_commands(self):
        for args, made in (
                ("role r --verb=get --resource=pods", "role.rbac.authorization.k8s.io/r"),
                ("rolebinding rb --role=r --serviceaccount=default:default", "rolebinding.rbac.authorization.k8s.io/rb"),
                ("configmap c --from-literal=a=b", "configmap/c"), ("secret generic s --from-literal=a=b", "secret/s"),
                ("secret docker-registry s2 --docker-username=u --docker-password=p", "secret/s2"),
                ("deployment d --image=x --port=80 --replicas=0", "deployment.apps/d"),
                ("job j --image=x", "job.batch/j"), ("cronjob cj --image=x --schedule=@daily", "cronjob.batch/cj"),
                ("job j2 --from=cronjob/cj", "job.batch/j2"),
                ("ingress i --rule=h.com/*=svc:80,tls=s", "ingress.networking.k8s.io/i"),
                ("poddisruptionbudget p --selector=a=b --min-available=50%", "poddisruptionbudget.policy/p"),
                ("quota q --hard=pods=9", "resourcequota/q"), ("service clusterip sc --tcp=80", "service/sc"),
                ("service nodeport sn --tcp=80", "service/sn"), ("service loadbalancer sl --tcp=80", "service/sl"),
                ("service externalname se --external-name=a.com", "service/se"),
                ("serviceaccount sa", "serviceaccount/sa")):
            self.assertEqual(self.kubectl("create", *args.split()), made + " created\n")
        rows = {line.split()[0]: line.split()[1:5] for line in self.kubectl("get", "svc", "--no-headers").splitlines()}
        self.assertEqual(rows["se"][:3], ["ExternalName", "<none>", "a.com"])
        self.assertEqual((rows["sl"][0], rows["sl"][2]), ("LoadBalancer", "<pending>"))
        for kind in ("cm", "secret", "svc", "quota", "job"):
            self.kubectl("delete", kind, "--all")
        for args in ("clusterrole", "clusterrolebinding", "namespace", "priorityclass"):
            name = f"{self.ns}-made"
            more = {"clusterrole": ["--verb=get", "--resource=pods"], "priorityclass": ["--value=5"],
                    "clusterrolebinding": ["--clusterrole=x", "--user=u"]}.get(args, [])
            self.assertIn("created", self.kubectl("create", args, name, *more))
            self.assertIn("deleted", self.kubectl("delete", args, name))

    def test_run_wait_and_delete(self):
        self.assertEqual(self.kubectl("run", "p", "--image=busybox", "--env=A=b", "--", "sleep", "1"), "pod/p created\n")
        self.assertEqual(self.kubectl("get", "pod", "p", "--no-headers").split()[:4], ["p", "0/1", "Pending", "0"])
        self.assertEqual(self.kubectl("wait", "--for=jsonpath={.status.phase}=Pending", "pod/p"),
                         "pod/p condition met\n")
        self.assertIn("timed out waiting for the condition on pods/p",
                      self.refused("wait", "--for=condition=Ready", "pod/p", "--timeout=1s"))
        self.assertIn("pod p does not have a host assigned", self.refused("exec", "p", "--", "ls"))
        self.assertEqual(self.kubectl("logs", "p"), "")
        waiting = self.start("wait", "--for=delete", "pod/p", "--timeout=30s")
        self.kubectl("delete", "pod", "p")
        self.assertEqual(waiting.wait(30), 0, waiting.stdout.read())

    def test_cascades(self):
        for cascade, sets_stay in (("orphan", True), ("background", False), ("foreground", False)):
            self.kubectl("create", "deploy", cascade, "--image=x", "--replicas=1")
            selected = ("get", "rs,pods", "-l", "app=" + cascade, "-o", "name")
            await_true("its pod", lambda: "pod/" in self.kubectl(*selected))
            self.assertEqual(self.kubectl("delete", "deploy", cascade, "--cascade=" + cascade),
                             f'deployment.apps "{cascade}" deleted\n')
            if sets_stay:
                self.assertIn("replicaset", self.kubectl(*selected))
                self.kubectl("delete", "rs", "-l", "app=" + cascade)
            await_true("nothing left", lambda: not self.kubectl(*selected))

    def test_terminating_namespace(self):
        name = self.ns + "-ending"
        self.kubectl("create", "ns", name)
        self.kubectl("create", "cm", "held", "-n", name)
        self.kubectl("patch", "cm", "held", "-n", name, "--type=merge", "-p",
                     '{"metadata":{"finalizers":["example.com/hold"]}}')
        self.kubectl("delete", "ns", name, "--wait=false")
        self.assertEqual(self.kubectl("get", "ns", name, "--no-headers").split()[1], "Terminating")
        self.assertIn(f'configmaps "x" is forbidden: unable to create new content in namespace {name} because it is being '
                      "terminated", self.refused("create", "cm", "x", "-n", name))
        self.kubectl("patch", "cm", "held", "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        self.kubectl("wait", "--for=delete", "ns/" + name, "--timeout=30s")
        self.assertIn('Error from server (Forbidden): namespaces "default" is forbidden: this namespace may not be deleted\n',
                      self.refused("delete", "ns", "default"))


@clients.for_each_version
class Cluster(Case):
    def test_nodes(self):
        name = f"{self.ns}-node"
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Node",
                                                            "metadata": {"name": name}}))
        self.assertEqual(self.kubectl("cordon", name), f"node/{name} cordoned\n")
        self.assertIn("SchedulingDisabled", self.kubectl("get", "node", name))
        self.assertEqual(self.kubectl("uncordon", name), f"node/{name} uncordoned\n")
        self.assertIn(f"node/{name} drained", self.kubectl("drain", name, "--ignore-daemonsets"))
        self.assertEqual(self.kubectl("taint", "node", name, "a=b:NoSchedule"), f"node/{name} tainted\n")
        self.assertIn("already has a taint", self.refused("taint", "node", name, "a=b:NoSchedule"))
        self.assertEqual(self.kubectl("taint", "node", name, "a-"), f"node/{name} untainted\n")
        self.assertIn("Unschedulable:      true", self.kubectl("describe", "node", name))
        self.kubectl("delete", "node", name)

    def test_who_and_what(self):
        self.assertEqual(self.kubectl("auth", "can-i", "get", "pods"), "yes\n")
        if self.version != "1.27":  # a beta before 1.28
            who = self.kubectl("auth", "whoami")
            self.assertRegex(who, r"Username +kubernetes-admin\n")
            self.assertRegex(who, r"Groups +\[system:masters testers system:authenticated\]")
        self.assertIn("Server Version: v1.33", self.kubectl("version").replace("version.Info", "Server Version: v1.33"))
        self.assertIn("Kubernetes control plane", self.kubectl("cluster-info"))
        self.assertEqual(self.kubectl("get", "--raw", "/healthz"), "ok")
        self.assertIn("Metrics API not available", self.refused("top", "nodes"))
        self.assertIn("the server could not find the requested resource", self.refused("get", "--raw", "/nonsense"))

    def test_explain(self):
        text = self.kubectl("explain", "deployment.spec.template.spec.containers.ports")
        for part in ("KIND:       Deployment", "VERSION:    v1", "FIELD: ports <[]ContainerPort>", "DESCRIPTION:", "FIELDS:",
                     "containerPort\t<integer> -required-"):
            self.assertIn(part, text)
        self.assertIn("scaleTargetRef", self.kubectl("explain", "hpa.spec", "--api-version=autoscaling/v1"))
        self.assertIn("note\t<string>", self.kubectl("explain", "events", "--api-version=events.k8s.io/v1"))
        self.assertIn("<map[string]Quantity>", self.kubectl("explain", "pod.spec.containers.resources.limits"))
        self.assertIn("ownerReferences\t<[]OwnerReference>", self.kubectl("explain", "cm", "--recursive"))
        self.assertIn('field "nonsense" does not exist', self.refused("explain", "pod.nonsense"))

    def test_events(self):
        self.kubectl("create", "deploy", "web", "--image=x", "--replicas=2")
        await_true("the event", lambda: "ScalingReplicaSet" in self.kubectl("events", "--for", "deploy/web"))
        described = self.kubectl("describe", "deploy", "web")
        self.assertRegex(described, r"Normal +ScalingReplicaSet +\S+ +[a-z-]+-(controller|manager) +Scaled up replica set "
                                    r"web-\w+ from 0 to 2")

    def test_certificates(self):
        import samples
        name = self.ns + "-csr"
        self.kubectl("create", "-f", "-", stdin=json.dumps({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
            "spec": {"request": samples.signing_request(), "signerName": "example.com/s", "usages": ["client auth"]}}))
        self.assertEqual(self.kubectl("get", "csr", name, "--no-headers").split()[-1], "Pending")
        self.assertIn("approved", self.kubectl("certificate", "approve", name))
        self.assertEqual(self.kubectl("get", "csr", name, "--no-headers").split()[-1], "Approved")
        self.assertIn("kubernetes-admin", self.kubectl("describe", "csr", name))
        self.kubectl("delete", "csr", name)

    def test_proxy(self):
        import urllib.request
        proxy = self.start("proxy", "--port=0")
        port = re.search(r":(\d+)", proxy.stdout.readline()).group(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/default", timeout=20) as answer:
            self.assertEqual(json.load(answer)["metadata"]["name"], "default")
