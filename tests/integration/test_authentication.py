# SPDX-License-Identifier: Apache-2.0
"""Who gets in: certificates, tokens of every kind, impersonation, and nobody else."""

import base64
import unittest

import harness
import security
from security import TokenClient, await_code, request_token, service_account, token_of, whoami

UNAUTHORIZED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
                "reason": "Unauthorized", "code": 401}


class Authentication(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = security.cluster()
        cls.server = cls.cluster.server
        cls.admin = cls.server.client
        cls.folder = cls.cluster.folder

    def setUp(self):
        self.namespace = harness.new_namespace(self.admin)

    def refused(self, token, certificate=None):
        answer = TokenClient(self.server, token, certificate).get("/api")
        self.assertEqual(answer.code, 401, answer)
        self.assertEqual(answer.json, UNAUTHORIZED)
        self.assertIsNone(answer.header("www-authenticate"))

    # --- certificates ---------------------------------------------------------------

    def test_certificate_is_user_and_groups(self):
        info = whoami(self.admin)
        self.assertEqual(info["username"], "kubernetes-admin")
        self.assertEqual(info["groups"], ["system:masters", "testers", "system:authenticated"])
        credential = info["extra"]["authentication.kubernetes.io/credential-id"][0]
        self.assertRegex(credential, r"^X509SHA256=[0-9a-f]{64}$")

    def test_certificate_of_another_authority(self):
        client = TokenClient(self.server)
        client.context = security.foreign_context(self.folder, self.cluster.pki.ca)
        answer = client.get("/api")
        self.assertEqual((answer.code, answer.json), (401, UNAUTHORIZED))
        service_account(self.admin, self.namespace, "a")
        with_token = TokenClient(self.server, token_of(self.admin, self.namespace, "a"))
        with_token.context = client.context
        self.assertEqual(whoami(with_token)["username"], f"system:serviceaccount:{self.namespace}:a")

    def test_nobody_is_anonymous(self):
        nobody = TokenClient(self.server)
        self.assertEqual(nobody.get("/version").code, 200)
        answer = nobody.get("/api/v1/namespaces/default/pods")
        self.assertEqual(answer.code, 403)
        self.assertEqual(answer.json["message"], 'pods is forbidden: User "system:anonymous" cannot list resource '
                                                 '"pods" in API group "" in the namespace "default"')
        self.assertEqual(nobody.get("/metrics").json["message"],
                         'forbidden: User "system:anonymous" cannot get path "/metrics"')
        basic = TokenClient(self.server, headers={"Authorization": "Basic " + base64.b64encode(b"a:b").decode()})
        self.assertEqual(basic.get("/api/v1/pods").code, 403)

    # --- service account tokens -------------------------------------------------------

    def test_token_request(self):
        service_account(self.admin, self.namespace, "builder")
        answer = request_token(self.admin, self.namespace, "builder", expirationSeconds=1200)
        self.assertEqual(answer.code, 201, answer)
        made = answer.json
        self.assertEqual((made["metadata"]["name"], made["metadata"]["namespace"]), ("builder", self.namespace))
        self.assertEqual(made["spec"]["audiences"], [security.ISSUER])
        token = made["status"]["token"]
        claims = security.claims_of(token)
        self.assertEqual(claims["iss"], security.ISSUER)
        self.assertEqual(claims["sub"], f"system:serviceaccount:{self.namespace}:builder")
        self.assertEqual(claims["exp"] - claims["iat"], 1200)
        self.assertEqual(claims["kubernetes.io"]["serviceaccount"]["name"], "builder")
        self.assertEqual(security.header_of(token)["alg"], "RS256")
        info = whoami(TokenClient(self.server, token))
        self.assertEqual(info["groups"], ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}",
                                          "system:authenticated"])
        self.assertEqual(info["uid"], claims["kubernetes.io"]["serviceaccount"]["uid"])
        self.assertEqual(info["extra"]["authentication.kubernetes.io/credential-id"], ["JTI=" + claims["jti"]])

    def test_token_request_errors(self):
        service_account(self.admin, self.namespace, "a")
        short = request_token(self.admin, self.namespace, "a", expirationSeconds=599)
        self.assertEqual(short.code, 422, short)
        self.assertIn("spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
                      short.json["message"])
        missing = request_token(self.admin, self.namespace, "nobody")
        self.assertEqual(missing.code, 404)
        self.assertEqual(missing.json["message"], 'serviceaccounts "nobody" not found')
        self.assertEqual(self.admin.post(f"/api/v1/namespaces/{self.namespace}/pods",
                                         harness.pod("p", serviceAccountName="other",
                                                     automountServiceAccountToken=False)).code in (201, 403), True)
        service_account(self.admin, self.namespace, "other")
        self.admin.post(f"/api/v1/namespaces/{self.namespace}/pods",
                        harness.pod("p", serviceAccountName="other", automountServiceAccountToken=False))
        foreign = request_token(self.admin, self.namespace, "a",
                                boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})
        self.assertEqual(foreign.code, 400, foreign)
        self.assertIn(f'cannot bind token for serviceaccount "a" to pod running with different serviceaccount name.',
                      foreign.json["message"])
        stale = request_token(self.admin, self.namespace, "other",
                              boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "x"})
        self.assertEqual(stale.code, 409, stale)
        self.assertIn("the UID in the bound object reference (x) does not match the UID in record",
                      stale.json["message"])

    def test_token_ends_with_its_pod(self):
        service_account(self.admin, self.namespace, "default")
        pod = self.admin.post(f"/api/v1/namespaces/{self.namespace}/pods",
                              harness.pod("p", serviceAccountName="default", automountServiceAccountToken=False)).json
        token = token_of(self.admin, self.namespace, "default",
                         boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})
        client = TokenClient(self.server, token)
        extra = whoami(client)["extra"]
        self.assertEqual(extra["authentication.kubernetes.io/pod-name"], ["p"])
        self.assertEqual(extra["authentication.kubernetes.io/pod-uid"], [pod["metadata"]["uid"]])
        path = f"/api/v1/namespaces/{self.namespace}/pods/p"
        self.assertEqual(self.admin.delete(path + "?gracePeriodSeconds=0").code, 200)
        await_code("the token to end with its pod", 401, lambda: client.get("/api"))

    def test_token_ends_with_its_account_and_secret(self):
        service_account(self.admin, self.namespace, "a")
        self.admin.post(f"/api/v1/namespaces/{self.namespace}/secrets", {"metadata": {"name": "s"}})
        by_secret = TokenClient(self.server, token_of(self.admin, self.namespace, "a",
                                                      boundObjectRef={"kind": "Secret", "apiVersion": "v1",
                                                                      "name": "s"}))
        plain = TokenClient(self.server, token_of(self.admin, self.namespace, "a"))
        self.assertEqual((by_secret.get("/api").code, plain.get("/api").code), (200, 200))
        self.admin.delete(f"/api/v1/namespaces/{self.namespace}/secrets/s")
        await_code("the secret's token to end", 401, lambda: by_secret.get("/api"))
        self.assertEqual(plain.get("/api").code, 200)
        self.admin.delete(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/a")
        await_code("the account's token to end", 401, lambda: plain.get("/api"))
        service_account(self.admin, self.namespace, "a")  # of the same name, but another one
        self.assertEqual(plain.get("/api").code, 401)

    def test_forged_tokens(self):
        service_account(self.admin, self.namespace, "a")
        good = token_of(self.admin, self.namespace, "a")
        header, claims = security.header_of(good), security.claims_of(good)
        parts = good.split(".")
        self.assertEqual(TokenClient(self.server, security.sign(self.folder, "sa.key", claims, header))
                         .get("/api").code, 200)
        forged = {
            "another key": security.sign(self.folder, "other.key", claims, header),
            "no algorithm": security.b64({"alg": "none"}) + "." + parts[1] + ".",
            "no algorithm, old signature": security.b64({"alg": "none"}) + "." + parts[1] + "." + parts[2],
            "public key as a secret": security.b64({"alg": "HS256", "kid": header["kid"]}) + "." + parts[1] + "." +
                                      parts[2],
            "changed claims": parts[0] + "." + security.b64({**claims, "sub": "system:serviceaccount:kube-system:x"}) +
                              "." + parts[2],
            "signature cut": good[:-4],
            "padded": good + "=",
            "two parts": ".".join(parts[:2]),
            "critical header": security.sign(self.folder, "sa.key", claims, {**header, "crit": ["x"]}),
            "expired": security.sign(self.folder, "sa.key", {**claims, "exp": security.now() - 3600}, header),
            "not yet": security.sign(self.folder, "sa.key", {**claims, "nbf": security.now() + 3600}, header),
            "of the future": security.sign(self.folder, "sa.key", {**claims, "iat": security.now() + 3600}, header),
            "no end": security.sign(self.folder, "sa.key", {k: v for k, v in claims.items() if k != "exp"}, header),
            "another issuer": security.sign(self.folder, "sa.key", {**claims, "iss": "https://example.com"}, header),
            "another audience": security.sign(self.folder, "sa.key", {**claims, "aud": ["https://example.com"]},
                                              header),
            "another subject": security.sign(self.folder, "sa.key",
                                             {**claims, "sub": "system:serviceaccount:kube-system:a"}, header),
        }
        for what, token in forged.items():
            with self.subTest(what):
                self.refused(token)

    def test_audiences(self):
        service_account(self.admin, self.namespace, "a")
        token = token_of(self.admin, self.namespace, "a", audiences=["vault"])
        self.refused(token)

        def review(**spec):
            return self.admin.post("/apis/authentication.k8s.io/v1/tokenreviews",
                                   {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                                    "spec": {"token": token, **spec}}).json["status"]
        good = review(audiences=["vault", "other"])
        self.assertTrue(good["authenticated"])
        self.assertEqual(good["audiences"], ["vault"])
        self.assertEqual(good["user"]["username"], f"system:serviceaccount:{self.namespace}:a")
        bad = review()
        self.assertNotIn("authenticated", bad)
        self.assertIn(f'token audiences ["vault"] is invalid for the target audiences ["{security.ISSUER}"]',
                      bad["error"])

    def test_issuer_is_published(self):
        answer = self.admin.get("/.well-known/openid-configuration")
        self.assertEqual(answer.code, 200, answer)
        self.assertEqual(answer.json["issuer"], security.ISSUER)
        self.assertEqual(answer.json["id_token_signing_alg_values_supported"], ["RS256"])
        keys = self.admin.get("/openid/v1/jwks")
        self.assertEqual(keys.header("content-type"), "application/jwk-set+json")
        self.assertEqual([(key["kty"], key["alg"], key["use"]) for key in keys.json["keys"]], [("RSA", "RS256", "sig")])
        service_account(self.admin, self.namespace, "a")
        token = token_of(self.admin, self.namespace, "a")
        self.assertEqual(security.header_of(token)["kid"], keys.json["keys"][0]["kid"])
        # every service account may read them, others may not
        self.assertEqual(TokenClient(self.server, token).get("/openid/v1/jwks").code, 200)
        self.assertEqual(TokenClient(self.server).get("/openid/v1/jwks").code, 403)

    def test_websocket_protocol_carries_a_token(self):
        service_account(self.admin, self.namespace, "a")
        token = token_of(self.admin, self.namespace, "a")
        client = TokenClient(self.server, headers={
            "Sec-WebSocket-Protocol": "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io." +
                                      security.b64(token.encode())})
        self.assertEqual(client.get("/api").code, 200)

    # --- bootstrap tokens --------------------------------------------------------------

    def bootstrap_secret(self, token_id, secret, **data):
        data = {"token-id": token_id, "token-secret": secret, "usage-bootstrap-authentication": "true",
                "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token", **data}
        return {"metadata": {"name": "bootstrap-token-" + token_id}, "type": "bootstrap.kubernetes.io/token",
                "stringData": {key: value for key, value in data.items() if value is not None}}

    def test_bootstrap_token(self):
        path = "/api/v1/namespaces/kube-system/secrets"
        self.assertEqual(self.admin.post(path, self.bootstrap_secret("abcdef", "0123456789abcdef")).code, 201)
        client = TokenClient(self.server, "abcdef.0123456789abcdef")
        info = harness.await_true("the bootstrap token", lambda: client.get("/api").code == 200 and whoami(client))
        self.assertEqual(info["username"], "system:bootstrap:abcdef")
        self.assertEqual(info["groups"], ["system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token",
                                          "system:authenticated"])
        self.refused("abcdef.0123456789abcdeg")
        self.refused("abcdee.0123456789abcdef")
        self.admin.delete(path + "/bootstrap-token-abcdef")
        await_code("the deleted token to be refused", 401, lambda: client.get("/api"))  # replayed

    def test_bootstrap_tokens_that_are_none(self):
        cases = {"aaaaa1": {"expiration": "2020-01-01T00:00:00Z"}, "aaaaa2": {"expiration": "tomorrow"},
                 "aaaaa3": {"usage-bootstrap-authentication": "false"}, "aaaaa4": {"token-id": "bbbbbb"},
                 "aaaaa5": {"auth-extra-groups": "system:masters"}}
        for token_id, data in cases.items():
            secret = self.bootstrap_secret(token_id, "0123456789abcdef", **data)
            self.admin.post("/api/v1/namespaces/kube-system/secrets", secret)
        last = self.bootstrap_secret("aaaaa9", "0123456789abcdef")
        self.admin.post("/api/v1/namespaces/kube-system/secrets", last)
        await_code("the last token", 200, lambda: TokenClient(self.server, "aaaaa9.0123456789abcdef").get("/api"))
        for token_id, data in cases.items():
            with self.subTest(data=data):
                self.refused(token_id + ".0123456789abcdef")

    # --- impersonation -------------------------------------------------------------------

    def test_impersonation(self):
        admin = security.impersonate(self.server, "jane", "developers", "system:masters")
        info = whoami(admin)
        self.assertEqual(info["username"], "jane")
        self.assertEqual(info["groups"], ["developers", "system:masters", "system:authenticated"])
        plain = security.impersonate(self.server, f"system:serviceaccount:{self.namespace}:x")
        self.assertEqual(whoami(plain)["groups"][0:2],
                         ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}"])
        self.assertIn("system:unauthenticated", whoami(security.impersonate(
            self.server, "system:anonymous", "system:masters"))["groups"])
        extra = self.admin.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {},
                                   headers={"Impersonate-User": "jane", "Impersonate-Uid": "u-1",
                                            "Impersonate-Extra-scopes%2fx": "view"}).json["status"]["userInfo"]
        self.assertEqual((extra["uid"], extra["extra"]), ("u-1", {"scopes/x": ["view"]}))

    def test_impersonation_needs_permission(self):
        jane = security.impersonate(self.server, "jane")
        token_client = TokenClient(self.server, token_of(self.admin, self.namespace,
                                                         service_account(self.admin, self.namespace, "a")
                                                         ["metadata"]["name"]))
        answer = token_client.get("/api", headers={"Impersonate-User": "root"})
        self.assertEqual(answer.code, 403)
        self.assertEqual(answer.json["message"],
                         f'users "root" is forbidden: User "system:serviceaccount:{self.namespace}:a" cannot '
                         'impersonate resource "users" in API group "" at the cluster scope')
        self.assertEqual(jane.get("/api").code, 200)
        lonely = self.admin.get("/api", headers={"Impersonate-Group": "x"})
        self.assertEqual(lonely.code, 500)
        # the user alone isn't enough: each group is asked for by itself
        self.admin.post(security.RBAC + "/clusterroles",
                        security.role(self.namespace, security.rule("impersonate", "users", names=["root"])))
        self.admin.post(security.RBAC + "/clusterrolebindings",
                        security.binding(self.namespace, "ClusterRole", self.namespace,
                                         f"account:{self.namespace}/a"))
        await_code("the permission", 200, lambda: token_client.get("/api", headers={"Impersonate-User": "root"}))
        masters = token_client.get("/api", headers={"Impersonate-User": "root", "Impersonate-Group": "system:masters"})
        self.assertEqual(masters.code, 403)
        self.assertIn('groups "system:masters" is forbidden', masters.json["message"])


if __name__ == "__main__":
    unittest.main()
