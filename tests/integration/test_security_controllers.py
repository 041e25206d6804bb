# SPDX-License-Identifier: Apache-2.0
"""The controllers of credentials, in a controller manager that has no more than
upstream's role for it: every one writes by the token of its own account."""

import base64
import hashlib
import hmac
import json
import os
import unittest

import harness
import security

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class Controllers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster.__new__(harness.Cluster)
        cls.cluster.prepare()
        cls.folder = cls.cluster.folder
        cls.cluster.flags = tuple(security.flags(cls.folder))
        cls.server = cls.cluster.server = cls.cluster.start_server()
        cls.admin = cls.server.client
        cls.cluster.pki.issue("kcm", "/CN=system:kube-controller-manager", "extendedKeyUsage=clientAuth")
        config = json.load(open(cls.cluster.kubeconfig()))
        config["users"][0]["user"] = dict(zip(("client-certificate", "client-key"), cls.cluster.pki.files("kcm")))
        path = os.path.join(cls.folder, "kcm.conf")
        with open(path, "w") as file:
            json.dump(config, file)
        cls.manager = harness.Process("kube-controller-manager", [
            os.path.join(harness.BUILD, "bin", "kube-controller-manager"), "--kubeconfig=" + path,
            "--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=true",
            f"--cluster-signing-cert-file={cls.cluster.pki.ca}", f"--cluster-signing-key-file={cls.folder}/ca.key",
            f"--service-account-private-key-file={cls.folder}/sa.key", f"--root-ca-file={cls.cluster.pki.ca}"],
            cls.folder)

    @classmethod
    def tearDownClass(cls):
        assert "forbidden" not in cls.manager.log(), cls.manager.log()

    def request(self, name, subject, names=None):
        extra = ["-addext", "subjectAltName=" + names] if names else []
        security.openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                         "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject, *extra)
        with open(os.path.join(self.folder, f"{name}.csr"), "rb") as file:
            return base64.b64encode(file.read()).decode()

    def csr(self, client, name, subject, signer, usages, names=None, **spec):
        answer = client.post(CSRS, {"metadata": {"name": name}, "spec": {
            "request": self.request(name, subject, names=names), "signerName": "kubernetes.io/" + signer,
            "usages": usages, **spec}})
        self.assertEqual(answer.code, 201, answer)
        return answer.json

    def certificate(self, name):
        def look():
            return self.admin.get(f"{CSRS}/{name}").json.get("status", {}).get("certificate")
        path = os.path.join(self.folder, name + ".crt")
        with open(path, "wb") as file:
            file.write(base64.b64decode(harness.await_true("a certificate", look)))
        return security.openssl(self.folder, "x509", "-in", path, "-noout", "-text").decode()

    def test_a_kubelet_gets_its_certificate(self):
        self.admin.post(security.RBAC + "/clusterrolebindings", security.binding(
            "approve", "ClusterRole", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            "group:system:nodes"))
        kubelet = security.impersonate(self.server, "system:node:n1", "system:nodes")
        made = self.csr(kubelet, "own", "/O=system:nodes/CN=system:node:n1", "kube-apiserver-client-kubelet",
                        ["digital signature", "client auth"], expirationSeconds=3600)
        self.assertEqual(made["spec"]["username"], "system:node:n1")
        text = self.certificate("own")
        self.assertIn("TLS Web Client Authentication", text)
        conditions = self.admin.get(CSRS + "/own").json["status"]["conditions"]
        self.assertEqual([(c["type"], c["reason"], c["message"]) for c in conditions],
                         [("Approved", "AutoApproved", "Auto approving self kubelet client certificate after "
                                                       "SubjectAccessReview.")])
        context = self.cluster.pki.client_context(None)
        context.load_cert_chain(os.path.join(self.folder, "own.crt"), os.path.join(self.folder, "own.key"))
        client = security.TokenClient(self.server)
        client.context = context
        self.assertEqual(security.whoami(client)["username"], "system:node:n1")

    def test_what_nobody_approves_stays(self):
        stranger = security.impersonate(self.server, "system:bootstrap:abcdef", "system:masters")
        self.csr(stranger, "other-node", "/O=system:nodes/CN=system:node:n2", "kube-apiserver-client",
                 ["digital signature", "client auth"])
        self.csr(self.admin, "marker", "/CN=marker", "kube-apiserver-client", ["digital signature", "client auth"])
        approval = self.admin.get(CSRS + "/marker").json
        approval.setdefault("status", {})["conditions"] = [{"type": "Approved", "status": "True", "reason": "Test",
                                                            "message": "by hand"}]
        self.assertEqual(self.admin.put(CSRS + "/marker/approval", approval).code, 200)
        self.certificate("marker")
        self.assertNotIn("certificate", self.admin.get(CSRS + "/other-node").json.get("status", {}))

    def test_a_serving_certificate_needs_its_names(self):
        kubelet = security.impersonate(self.server, "system:node:n3", "system:nodes")
        for name, names in (("serving", "IP:192.168.7.7,DNS:n3"), ("nameless", None)):
            self.csr(kubelet, name, "/O=system:nodes/CN=system:node:n3", "kubelet-serving",
                     ["digital signature", "server auth"], names=names)
            made = self.admin.get(f"{CSRS}/{name}").json
            made.setdefault("status", {})["conditions"] = [{"type": "Approved", "status": "True", "reason": "Test"}]
            self.assertEqual(self.admin.put(f"{CSRS}/{name}/approval", made).code, 200)
        self.assertIn("IP Address:192.168.7.7", self.certificate("serving"))
        failed = harness.await_true("the refusal", lambda: [
            c for c in self.admin.get(CSRS + "/nameless").json["status"]["conditions"] if c["type"] == "Failed"])
        self.assertEqual(failed[0]["reason"], "SignerValidationFailure")
        self.assertIn("DNS or IP subjectAltName is required", failed[0]["message"])

    def test_cluster_roles_aggregate(self):
        path = security.RBAC + "/clusterroles"
        own = {"metadata": {"name": "monitoring-view", "labels": {
            "rbac.authorization.k8s.io/aggregate-to-view": "true"}}, "rules": [security.rule("get", "widgets", "x.io")]}
        harness.await_true("view to be filled", lambda: self.admin.get(path + "/view").json.get("rules"))
        self.admin.post(path, own)
        harness.await_true("view to have the rule",
                           lambda: own["rules"][0] in self.admin.get(path + "/view").json["rules"])
        edit = self.admin.get(path + "/edit").json["rules"]
        self.assertTrue(any("secrets" in rule.get("resources", []) for rule in edit))
        self.admin.delete(path + "/monitoring-view")
        harness.await_true("the rule to go", lambda: own["rules"][0] not in self.admin.get(path + "/view").json["rules"])

    def test_token_secrets(self):
        namespace = harness.new_namespace(self.admin)
        security.service_account(self.admin, namespace, "robot")
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        self.admin.post(secrets, {"metadata": {"name": "t", "annotations": {
            "kubernetes.io/service-account.name": "robot"}}, "type": "kubernetes.io/service-account-token"})
        data = harness.await_true("the token", lambda: (
            lambda got: got if "token" in got else None)(self.admin.get(secrets + "/t").json.get("data") or {}))
        self.assertEqual(base64.b64decode(data["namespace"]).decode(), namespace)
        client = security.TokenClient(self.server, base64.b64decode(data["token"]).decode())
        self.assertEqual(security.whoami(client)["username"], f"system:serviceaccount:{namespace}:robot")
        self.admin.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/robot")
        security.await_code("the secret to go with its account", 404, lambda: self.admin.get(secrets + "/t"))
        self.assertEqual(client.get("/api").code, 401)

    def test_bootstrap_tokens(self):
        secrets = "/api/v1/namespaces/kube-system/secrets"
        info = "/api/v1/namespaces/kube-public/configmaps"
        self.admin.post(info, {"metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "apiVersion: v1\n"}})
        self.admin.post(secrets, {"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token",
                                  "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef",
                                                 "usage-bootstrap-signing": "true"}})
        signature = harness.await_true("the signature", lambda: self.admin.get(
            info + "/cluster-info").json["data"].get("jws-kubeconfig-abcdef"))
        header, middle, mac = signature.split(".")
        self.assertEqual(json.loads(security.unb64(header)), {"alg": "HS256", "kid": "abcdef"})
        self.assertEqual(middle, "")
        signed = header + "." + security.b64(b"apiVersion: v1\n")
        self.assertEqual(mac, security.b64(hmac.new(b"0123456789abcdef", signed.encode(), hashlib.sha256).digest()))
        self.admin.post(secrets, {"metadata": {"name": "bootstrap-token-expire"},
                                  "type": "bootstrap.kubernetes.io/token",
                                  "stringData": {"token-id": "expire", "token-secret": "0123456789abcdef",
                                                 "expiration": "2020-01-01T00:00:00Z"}})
        security.await_code("the expired token to be deleted", 404,
                            lambda: self.admin.get(secrets + "/bootstrap-token-expire"))
        self.admin.delete(secrets + "/bootstrap-token-abcdef")
        harness.await_true("the signature to go", lambda: "jws-kubeconfig-abcdef" not in self.admin.get(
            info + "/cluster-info").json["data"])

    def test_writes_are_of_the_controllers_accounts(self):
        namespace = harness.new_namespace(self.admin)
        path = f"/apis/apps/v1/namespaces/{namespace}"
        self.admin.post(path + "/deployments", harness.deployment("d", 2))
        status = harness.await_true("the status", lambda: (
            lambda got: got.get("status") if got.get("status", {}).get("updatedReplicas") == 2 else None)(
                self.admin.get(path + "/deployments/d").json))
        self.assertEqual(status["replicas"], 2)
        accounts = {item["metadata"]["name"] for item in self.admin.get(
            "/api/v1/namespaces/kube-system/serviceaccounts").json["items"]}
        self.assertTrue({"deployment-controller", "replicaset-controller", "certificate-controller"} <= accounts)


if __name__ == "__main__":
    unittest.main()
