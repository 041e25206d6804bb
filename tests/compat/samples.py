# SPDX-License-Identifier: Apache-2.0
"""One minimal valid object of every kind that is served by default, and what its
table shows for it. Every kind of the discovery documents must have one."""

import base64
import os
import subprocess
import tempfile


def _object(api_version, kind, name, **rest):
    metadata = dict(rest.pop("metadata", {}), name=name)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def pod_template(labels, **spec):
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox:1"}], **spec}}


_labels = {"app": "sample"}
_selector = {"matchLabels": _labels}
_webhook = {"name": "sample.example.com", "clientConfig": {"url": "https://127.0.0.1:1/none"}, "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
            "rules": [{"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "resources": ["nones"],
                       "operations": ["CREATE"]}]}
_subject = {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}
_rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def signing_request():
    """A PEM request as a client sends it, made by openssl."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "csr")
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", path + ".key", "-out", path, "-subj", "/O=group/CN=sample"],
                       check=True, capture_output=True)
        with open(path, "rb") as file:
            return base64.b64encode(file.read()).decode()


def all_samples(request):
    """(resource as kubectl names it, namespaced, object), parents before what needs them."""
    core, apps, rbac, net = "v1", "apps/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"
    storage, admission = "storage.k8s.io/v1", "admissionregistration.k8s.io/v1"
    flow = "flowcontrol.apiserver.k8s.io/v1"
    return [
        ("configmaps", True, _object(core, "ConfigMap", "sample", data={"k": "v"})),
        ("endpoints", True, _object(core, "Endpoints", "sample", subsets=[
            {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}])),
        ("events", True, _object(core, "Event", "sample", reason="Sampled", message="a message", type="Normal",
                                 involvedObject={
                                     "kind": "Pod", "name": "sample", "namespace": "$NAMESPACE"}, source={"component": "tests"},
                                 firstTimestamp="2024-01-01T00:00:00Z", lastTimestamp="2024-01-01T00:00:00Z", count=2)),
        ("limitranges", True, _object(core, "LimitRange", "sample", spec={"limits": [
            {"type": "Container", "max": {"cpu": "100"}}]})),
        ("namespaces", False, _object(core, "Namespace", "sample")),
        ("nodes", False, _object(core, "Node", "sample", metadata={"labels": {
            "node-role.kubernetes.io/worker": ""}}, spec={"podCIDR": "10.9.0.0/24"})),
        ("persistentvolumes", False, _object(core, "PersistentVolume", "sample", spec={
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/sample"},
            "storageClassName": "sample"})),
        ("persistentvolumeclaims", True, _object(core, "PersistentVolumeClaim", "sample", spec={
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "sample"})),
        ("pods", True, _object(core, "Pod", "sample", metadata={"labels": _labels},
                               spec=pod_template(_labels)["spec"])),
        ("podtemplates", True, _object(core, "PodTemplate", "sample", template=pod_template(_labels))),
        ("replicationcontrollers", True, _object(core, "ReplicationController", "sample", spec={
            "replicas": 0, "selector": {"rc": "sample"}, "template": pod_template({"rc": "sample"})})),
        ("resourcequotas", True, _object(core, "ResourceQuota", "sample", spec={"hard": {"count/widgets.example.com": "9"}})),
        ("secrets", True, _object(core, "Secret", "sample", stringData={"k": "v"})),
        ("serviceaccounts", True, _object(core, "ServiceAccount", "sample")),
        ("services", True, _object(core, "Service", "sample", spec={"selector": _labels, "ports": [{"port": 80}]})),
        ("controllerrevisions.apps", True, _object(apps, "ControllerRevision", "sample", revision=1, data={"a": "b"})),
        ("daemonsets.apps", True, _object(apps, "DaemonSet", "sample", spec={
            "selector": {"matchLabels": {"ds": "sample"}},
            "template": pod_template({"ds": "sample"}, nodeSelector={"none": "such"})})),
        ("deployments.apps", True, _object(apps, "Deployment", "sample", spec={
            "replicas": 0, "selector": _selector, "template": pod_template(_labels)})),
        ("replicasets.apps", True, _object(apps, "ReplicaSet", "sample", spec={
            "replicas": 0, "selector": {"matchLabels": {"rs": "sample"}}, "template": pod_template({"rs": "sample"})})),
        ("statefulsets.apps", True, _object(apps, "StatefulSet", "sample", spec={
            "replicas": 0, "serviceName": "sample", "selector": {"matchLabels": {"sts": "sample"}},
            "template": pod_template({"sts": "sample"})})),
        ("cronjobs.batch", True, _object("batch/v1", "CronJob", "sample", spec={
            "schedule": "0 0 1 1 *", "suspend": True,
            "jobTemplate": {"spec": {"template": pod_template({}, restartPolicy="Never")}}})),
        ("jobs.batch", True, _object("batch/v1", "Job", "sample", spec={
            "suspend": True, "template": pod_template({}, restartPolicy="Never")})),
        ("horizontalpodautoscalers.autoscaling", True, _object("autoscaling/v2", "HorizontalPodAutoscaler", "sample", spec={
            "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sample"}})),
        ("horizontalpodautoscalers.v1.autoscaling", True, _object(
            "autoscaling/v1", "HorizontalPodAutoscaler", "sample-v1", spec={
                "maxReplicas": 3, "targetCPUUtilizationPercentage": 70,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sample"}})),
        ("poddisruptionbudgets.policy", True, _object("policy/v1", "PodDisruptionBudget", "sample", spec={
            "minAvailable": 1, "selector": _selector})),
        ("clusterroles.rbac.authorization.k8s.io", False, _object(rbac, "ClusterRole", "sample", rules=[_rule])),
        ("clusterrolebindings.rbac.authorization.k8s.io", False, _object(
            rbac, "ClusterRoleBinding", "sample", subjects=[_subject],
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sample"})),
        ("roles.rbac.authorization.k8s.io", True, _object(rbac, "Role", "sample", rules=[_rule])),
        ("rolebindings.rbac.authorization.k8s.io", True, _object(
            rbac, "RoleBinding", "sample", subjects=[_subject],
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sample"})),
        ("ingressclasses.networking.k8s.io", False, _object(net, "IngressClass", "sample", spec={
            "controller": "example.com/controller"})),
        ("ingresses.networking.k8s.io", True, _object(net, "Ingress", "sample", spec={
            "ingressClassName": "sample", "rules": [{"host": "sample.example.com", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "sample", "port": {"number": 80}}}}]}}]})),
        ("ipaddresses.networking.k8s.io", False, _object(net, "IPAddress", "192.0.2.7", spec={
            "parentRef": {"resource": "services", "namespace": "default", "name": "none"}})),
        ("networkpolicies.networking.k8s.io", True, _object(net, "NetworkPolicy", "sample", spec={
            "podSelector": _selector, "ingress": [{"from": [{"podSelector": {}}]}]})),
        ("servicecidrs.networking.k8s.io", False, _object(net, "ServiceCIDR", "sample", spec={"cidrs": ["192.0.2.0/24"]})),
        ("csidrivers.storage.k8s.io", False, _object(storage, "CSIDriver", "sample.example.com", spec={})),
        ("csinodes.storage.k8s.io", False, _object(storage, "CSINode", "sample", spec={"drivers": [
            {"name": "sample.example.com", "nodeID": "n"}]})),
        ("csistoragecapacities.storage.k8s.io", True, _object(storage, "CSIStorageCapacity", "sample",
                                                              storageClassName="sample", capacity="1Gi")),
        ("storageclasses.storage.k8s.io", False, _object(storage, "StorageClass", "sample",
                                                         provisioner="example.com/provisioner")),
        ("volumeattachments.storage.k8s.io", False, _object(storage, "VolumeAttachment", "sample", spec={
            "attacher": "sample.example.com", "nodeName": "sample", "source": {"persistentVolumeName": "sample"}})),
        ("leases.coordination.k8s.io", True, _object("coordination.k8s.io/v1", "Lease", "sample", spec={
            "holderIdentity": "holder", "leaseDurationSeconds": 15, "renewTime": "2024-01-01T00:00:00.123456Z"})),
        ("endpointslices.discovery.k8s.io", True, _object(
            "discovery.k8s.io/v1", "EndpointSlice", "sample", addressType="IPv4",
            endpoints=[{"addresses": ["10.1.2.3"]}], ports=[{"port": 80, "protocol": "TCP"}])),
        ("events.events.k8s.io", True, _object(
            "events.k8s.io/v1", "Event", "sample-new", eventTime="2024-01-01T00:00:00.654321Z", action="Acted",
            reason="Sampled", type="Normal", note="a note", reportingController="example.com/tests",
            reportingInstance="one", regarding={"kind": "Pod", "name": "sample", "namespace": "$NAMESPACE"})),
        ("certificatesigningrequests.certificates.k8s.io", False, _object(
            "certificates.k8s.io/v1", "CertificateSigningRequest", "sample", spec={
                "request": request, "signerName": "example.com/signer", "usages": ["client auth"],
                "expirationSeconds": 3600})),
        ("priorityclasses.scheduling.k8s.io", False, _object("scheduling.k8s.io/v1", "PriorityClass", "sample", value=7)),
        ("runtimeclasses.node.k8s.io", False, _object("node.k8s.io/v1", "RuntimeClass", "sample", handler="runc")),
        ("mutatingwebhookconfigurations.admissionregistration.k8s.io", False, _object(
            admission, "MutatingWebhookConfiguration", "sample", webhooks=[_webhook])),
        ("validatingwebhookconfigurations.admissionregistration.k8s.io", False, _object(
            admission, "ValidatingWebhookConfiguration", "sample", webhooks=[_webhook])),
        ("validatingadmissionpolicies.admissionregistration.k8s.io", False, _object(
            admission, "ValidatingAdmissionPolicy", "sample", spec={
                "matchConstraints": {"resourceRules": [{"apiGroups": ["none.example.com"], "apiVersions": ["v1"],
                                                        "resources": ["nones"], "operations": ["CREATE"]}]},
                "validations": [{"expression": "true"}]})),
        ("validatingadmissionpolicybindings.admissionregistration.k8s.io", False, _object(
            admission, "ValidatingAdmissionPolicyBinding", "sample", spec={
                "policyName": "sample", "validationActions": ["Deny"]})),
        ("flowschemas.flowcontrol.apiserver.k8s.io", False, _object(flow, "FlowSchema", "sample", spec={
            "priorityLevelConfiguration": {"name": "sample"}, "matchingPrecedence": 9000,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{"subjects": [{"kind": "User", "user": {"name": "u"}}], "resourceRules": [
                {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}]}]})),
        ("prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", False, _object(
            flow, "PriorityLevelConfiguration", "sample", spec={
                "type": "Limited", "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}})),
        ("customresourcedefinitions.apiextensions.k8s.io", False, _object(
            "apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.sample.example.com", spec={
                "group": "sample.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object"}}}]})),
        ("apiservices.apiregistration.k8s.io", False, _object(
            "apiregistration.k8s.io/v1", "APIService", "v1.sample.example.com", spec={
                "group": "sample.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
                "service": {"namespace": "default", "name": "none"}, "insecureSkipTLSVerify": True})),
    ]
