# SPDX-License-Identifier: Apache-2.0
"""Credentials that others vouch for: token files, front proxies, issuers outside,
webhooks; and authorizers outside."""

import http.server
import json
import os
import ssl
import threading
import unittest

import harness
import security
from security import TokenClient, impersonate, whoami


class Outside(http.server.ThreadingHTTPServer):
    """An HTTPS server of this test's: answers are functions of (path, body) → (code, document)."""

    daemon_threads = True

    def __init__(self, cluster, answer):
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                self.server.asked.append((self.path, body))
                code, document = answer(self.path, body)
                data = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = reply

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cluster.pki.files("server"))
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def kubeconfig(self, cluster, name):
        path = os.path.join(cluster.folder, name)
        with open(path, "w") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "clusters": [{"name": "c", "cluster": {"server": self.url + "/ask",
                                                              "certificate-authority": cluster.pki.ca}}],
                       "users": [{"name": "u", "user": {}}],
                       "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}, file)
        return path


def jwk(folder, key, key_id):
    text = security.openssl(folder, "rsa", "-in", key, "-noout", "-modulus").decode()
    modulus = bytes.fromhex(text.strip().split("=")[1])
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id, "n": security.b64(modulus), "e": "AQAB"}


class Prepared(unittest.TestCase):
    """Each class has an etcd and a server with flags of its own."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster.__new__(harness.Cluster)
        cls.cluster.prepare()
        cls.folder = cls.cluster.folder
        cls.cluster.flags = tuple(cls.flags())
        cls.server = cls.cluster.server = cls.cluster.start_server()
        cls.admin = cls.server.client

    @classmethod
    def write(cls, name, text):
        path = os.path.join(cls.folder, name)
        with open(path, "w") as file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        return path


class FilesAndProxies(Prepared):
    @classmethod
    def flags(cls):
        tokens = cls.write("tokens.csv", '# comment\nsecret-one,jane,u-1,"devs,ops"\nsecret-two,joe,u-2\n')
        pki = cls.cluster.pki
        security.openssl(cls.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                         "-nodes", "-keyout", "proxy-ca.key", "-out", "proxy-ca.crt", "-subj", "/CN=front-proxy-ca",
                         "-days", "1")
        for name in ("front-proxy-client", "stranger"):
            security.openssl(cls.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                             "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
            security.openssl(cls.folder, "x509", "-req", "-in", name + ".csr", "-CA", "proxy-ca.crt", "-CAkey",
                             "proxy-ca.key", "-CAcreateserial", "-out", name + ".crt", "-days", "1")
        assert pki
        return [f"--token-auth-file={tokens}", f"--requestheader-client-ca-file={cls.folder}/proxy-ca.crt",
                "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group", "--requestheader-uid-headers=X-Remote-Uid",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--strict-transport-security-directives=max-age=31536000,includeSubDomains",
                "--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]

    def test_token_file(self):
        info = whoami(TokenClient(self.server, "secret-one"))
        self.assertEqual((info["username"], info["uid"], info["groups"]),
                         ("jane", "u-1", ["devs", "ops", "system:authenticated"]))
        self.assertEqual(whoami(TokenClient(self.server, "secret-two"))["username"], "joe")
        self.assertEqual(TokenClient(self.server, "secret-three").get("/api").code, 401)

    def test_front_proxy(self):
        headers = {"X-Remote-User": "jane", "X-Remote-Group": "devs", "X-Remote-Uid": "7",
                   "X-Remote-Extra-Scopes%2Fa": "view"}
        proxy = TokenClient(self.server, certificate="front-proxy-client", headers=headers)
        info = whoami(proxy)
        self.assertEqual((info["username"], info["uid"], info["groups"], info["extra"]),
                         ("jane", "7", ["devs", "system:authenticated"], {"scopes/a": ["view"]}))
        # headers of others mean nothing
        self.assertEqual(TokenClient(self.server, certificate="stranger", headers=headers).get("/api").code, 401)
        self.assertEqual(whoami(TokenClient(self.server, certificate="admin", headers=headers))["username"],
                         "kubernetes-admin")
        self.assertEqual(TokenClient(self.server, headers=headers).get("/api").code, 403)
        # the proxy alone is nobody: its authority is none for clients
        self.assertEqual(TokenClient(self.server, certificate="front-proxy-client").get("/api").code, 401)

    def test_the_configuration_is_published(self):
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        data = harness.await_true("the ConfigMap", lambda: (
            lambda got: got.code == 200 and got.json["data"])(self.admin.get(path)))
        with open(self.cluster.pki.ca) as file:
            self.assertEqual(data["client-ca-file"], file.read())
        self.assertEqual(json.loads(data["requestheader-allowed-names"]), ["front-proxy-client"])
        self.assertEqual(json.loads(data["requestheader-username-headers"]), ["X-Remote-User"])

    def test_security_headers(self):
        answer = self.admin.get("/api")
        self.assertEqual(answer.header("strict-transport-security"), "max-age=31536000; includeSubDomains")
        self.assertEqual(TokenClient(self.server).get("/api").header("x-content-type-options"), "nosniff")

    def test_cipher_suites(self):
        context = ssl.create_default_context(cafile=self.cluster.pki.ca)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        client = TokenClient(self.server)
        client.context = context
        self.assertEqual(client.get("/version").code, 0)
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        self.assertEqual(client.get("/version").code, 200)

    def test_a_new_authority_counts_without_restart(self):
        with open(self.cluster.pki.ca) as file:
            before = file.read()
        client = TokenClient(self.server)
        client.context = security.foreign_context(self.folder, self.cluster.pki.ca)
        self.assertEqual(client.get("/api").code, 401)
        old = TokenClient(self.server, certificate="admin")
        self.assertEqual(old.get("/api").code, 200)
        try:
            with open(os.path.join(self.folder, "foreign-ca.crt")) as file:
                new = file.read()
            with open(self.cluster.pki.ca + ".new", "w") as file:
                file.write(new)
            os.rename(self.cluster.pki.ca + ".new", self.cluster.pki.ca)
            fresh = TokenClient(self.server)  # its own handshakes make the server look at its files

            def is_admin():
                trusted = TokenClient(self.server)
                trusted.context = client.context
                fresh.local.connection = None
                fresh.get("/version")
                return trusted.get("/api").code == 200
            harness.await_true("the new authority to count", is_admin)
            # a connection that was made before is judged again
            self.assertEqual(old.get("/api").code, 401)
        finally:
            with open(self.cluster.pki.ca, "w") as file:
                file.write(before)
            harness.await_true("the old authority to count again",
                               lambda: TokenClient(self.server, certificate="admin").get("/api").code == 200)


class Issuers(Prepared):
    @classmethod
    def flags(cls):
        security.make_keys(cls.folder)
        cls.keys = [jwk(cls.folder, "sa.key", "one")]

        def answer(path, _):
            if path == "/.well-known/openid-configuration":
                return 200, {"issuer": cls.outside.url, "jwks_uri": cls.outside.url + "/keys"}
            return 200, {"keys": cls.keys}
        cls.outside = Outside(cls.cluster, answer)
        with open(cls.cluster.pki.ca) as file:
            authority = file.read()
        config = {"apiVersion": "apiserver.config.k8s.io/v1beta1", "kind": "AuthenticationConfiguration",
                  "anonymous": {"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/readyz"}]},
                  "jwt": [{"issuer": {"url": cls.outside.url, "audiences": ["cluster"],
                                      "certificateAuthority": authority},
                           "claimValidationRules": [{"claim": "hd", "requiredValue": "example.com"},
                                                    {"expression": "claims.exp - claims.iat <= 86400",
                                                     "message": "lives too long"}],
                           "claimMappings": {"username": {"expression": "'ext:' + claims.name"},
                                             "groups": {"claim": "roles", "prefix": "ext:"},
                                             "uid": {"claim": "sub"},
                                             "extra": [{"key": "example.com/tenant",
                                                        "valueExpression": "claims.tenant"}]},
                           "userValidationRules": [{"expression": "!user.username.startsWith('ext:system:')",
                                                    "message": "no system users"}]}]}
        return ["--authentication-config=" + cls.write("authn.yaml", config)]

    def claims(self, **more):
        now = security.now()
        return {"iss": self.outside.url, "aud": "cluster", "sub": "42", "name": "jane", "hd": "example.com",
                "roles": ["dev", "ops"], "tenant": "t1", "iat": now, "exp": now + 600, **more}

    def token(self, key="sa.key", key_id="one", **more):
        return security.sign(self.folder, key, self.claims(**more), {"alg": "RS256", "kid": key_id})

    def test_claims_become_a_user(self):
        info = whoami(TokenClient(self.server, self.token()))
        self.assertEqual((info["username"], info["uid"], info["groups"]),
                         ("ext:jane", "42", ["ext:dev", "ext:ops", "system:authenticated"]))
        self.assertEqual(info["extra"], {"example.com/tenant": ["t1"]})

    def test_refused_tokens(self):
        self.assertEqual(TokenClient(self.server, self.token()).get("/api").code, 200)
        now = security.now()
        for what, token in {"another audience": self.token(aud="other"), "expired": self.token(exp=now - 1),
                            "another domain": self.token(hd="example.org"), "too long": self.token(exp=now + 90000),
                            "system user": self.token(name="system:admin"), "no name": self.token(name=None),
                            "another key": self.token(key="other.key"),
                            "another issuer": self.token(iss=self.outside.url + "/")}.items():
            with self.subTest(what):
                self.assertEqual(TokenClient(self.server, token).get("/api").code, 401)

    def test_zz_keys_rotate(self):
        self.assertEqual(TokenClient(self.server, self.token()).get("/api").code, 200)
        type(self).keys[:] = [jwk(self.folder, "other.key", "two")]
        token = self.token(key="other.key", key_id="two")
        security.await_code("the new key to count", 200, lambda: TokenClient(self.server, token).get("/api"))
        self.assertEqual(TokenClient(self.server, self.token()).get("/api").code, 401)

    def test_anonymous_on_some_paths_only(self):
        nobody = TokenClient(self.server)
        self.assertEqual((nobody.get("/livez").code, nobody.get("/version").code), (200, 401))


class Webhooks(Prepared):
    @classmethod
    def flags(cls):
        def tokens(_, review):
            good = review["spec"]["token"] == "opaque"
            return 200, {**review, "status": {"authenticated": good, "user": {
                "username": "hook-user", "uid": "9", "groups": ["hooked"], "extra": {"k": ["v"]}}} if good else {
                    "authenticated": False}}

        def permissions(_, review):
            spec = review["spec"]
            attributes = spec.get("resourceAttributes", {})
            if attributes.get("namespace") == "broken":
                return 500, {}
            allowed = attributes.get("resource") == "configmaps"
            denied = attributes.get("resource") == "secrets"
            return 200, {**review, "status": {"allowed": allowed, "denied": denied, "reason": "the hook says so"}}
        cls.tokens = Outside(cls.cluster, tokens)
        cls.permissions = Outside(cls.cluster, permissions)
        config = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration", "authorizers": [
            {"type": "Webhook", "name": "hook", "webhook": {
                "timeout": "3s", "authorizedTTL": "60s", "unauthorizedTTL": "60s", "failurePolicy": "NoOpinion",
                "subjectAccessReviewVersion": "v1", "matchConditionSubjectAccessReviewVersion": "v1",
                "connectionInfo": {"type": "KubeConfigFile",
                                   "kubeConfigFile": cls.permissions.kubeconfig(cls.cluster, "authz.kubeconfig")},
                "matchConditions": [{"expression": "has(request.resourceAttributes)"},
                                    {"expression": "request.user == 'hook-user'"}]}},
            {"type": "RBAC", "name": "rbac"}]}
        return ["--authentication-token-webhook-config-file=" + cls.tokens.kubeconfig(cls.cluster, "authn.kubeconfig"),
                "--authentication-token-webhook-version=v1",
                "--authorization-config=" + cls.write("authz.yaml", config)]

    def test_token_webhook(self):
        client = TokenClient(self.server, "opaque")
        info = whoami(client)
        self.assertEqual((info["username"], info["groups"], info["extra"]),
                         ("hook-user", ["hooked", "system:authenticated"], {"k": ["v"]}))
        whoami(client)
        asked = [body["spec"]["token"] for _, body in self.tokens.asked]
        self.assertEqual(asked.count("opaque"), 1)  # kept
        self.assertEqual(TokenClient(self.server, "other").get("/api").code, 401)

    def test_authorization_webhook(self):
        client = TokenClient(self.server, "opaque")
        self.assertEqual(client.get("/api/v1/namespaces/default/configmaps").code, 200)
        before = len(self.permissions.asked)
        self.assertEqual(client.get("/api/v1/namespaces/default/configmaps").code, 200)
        self.assertEqual(len(self.permissions.asked), before)  # kept
        denied = client.get("/api/v1/namespaces/default/secrets")
        self.assertEqual(denied.code, 403)
        self.assertTrue(denied.json["message"].endswith(": the hook says so"), denied)
        self.assertEqual(client.get("/api/v1/namespaces/default/pods").code, 403)  # nobody has an opinion
        self.assertEqual(client.get("/api/v1/namespaces/broken/configmaps").code in (403, 500), True)
        asked = len(self.permissions.asked)
        self.assertEqual(impersonate(self.server, "somebody").get("/api/v1/pods").code, 403)
        self.assertEqual(len(self.permissions.asked), asked)  # the conditions leave others out


class Abac(Prepared):
    @classmethod
    def flags(cls):
        def policy(**spec):
            return json.dumps({"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy",
                               "spec": spec})
        path = cls.write("policy.jsonl", "\n".join([
            policy(user="jane", namespace="default", resource="pods", readonly=True),
            policy(group="devs", namespace="*", resource="*", apiGroup="*"),
            policy(user="*", nonResourcePath="/version")]))
        return ["--authorization-policy-file=" + path, "--authorization-mode=ABAC"]

    def test_policies(self):
        jane, dev = impersonate(self.server, "jane"), impersonate(self.server, "joe", "devs")
        pods = "/api/v1/namespaces/default/pods"
        self.assertEqual((jane.get(pods).code, jane.post(pods, harness.pod("p")).code), (200, 403))
        self.assertEqual(dev.get("/apis/apps/v1/deployments").code, 200)
        self.assertEqual((jane.get("/version").code, jane.get("/metrics").code), (200, 403))


if __name__ == "__main__":
    unittest.main()
