# SPDX-License-Identifier: Apache-2.0
"""What the tests of authentication and authorization share: clients with tokens,
hand-made tokens, roles and bindings, and a server with every switch on."""

import base64
import json
import os
import ssl
import subprocess
import time

import harness

ISSUER = "https://kubernetes.default.svc.cluster.local"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


class TokenClient(harness.Client):
    """Requests with a bearer token (or none), and a client certificate only if one is named."""

    def __init__(self, server, token=None, certificate=None, headers=None):
        super().__init__(server, certificate)
        self.extra = dict(headers or {})
        if token is not None:
            self.extra["Authorization"] = "Bearer " + token

    def request(self, method, path, body=None, headers=None, **kwargs):
        return super().request(method, path, body, {**self.extra, **(headers or {})}, **kwargs)


def openssl(folder, *args, stdin=None):
    done = subprocess.run(["openssl", *args], cwd=folder, capture_output=True, input=stdin)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout


def make_keys(folder):
    openssl(folder, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "sa.key")
    openssl(folder, "pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    openssl(folder, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "other.key")


def flags(folder):
    """The flags of a server as adm init makes it."""
    make_keys(folder)
    return [f"--service-account-issuer={ISSUER}", f"--service-account-signing-key-file={folder}/sa.key",
            f"--service-account-key-file={folder}/sa.pub", "--enable-bootstrap-token-auth=true"]


def b64(data):
    if isinstance(data, (dict, list)):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token):
    return json.loads(unb64(token.split(".")[1]))


def header_of(token):
    return json.loads(unb64(token.split(".")[0]))


def sign(folder, key, claims, header):
    """A token of these parts, signed by RSA with SHA-256."""
    text = b64(header) + "." + b64(claims)
    signature = openssl(folder, "dgst", "-sha256", "-sign", key, stdin=text.encode())
    return text + "." + b64(signature)


def service_account(client, namespace, name):
    answer = client.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    assert answer.code in (201, 409), answer
    return client.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}").json


def request_token(client, namespace, name, **spec):
    return client.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                       {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})


def token_of(client, namespace, name, **spec):
    answer = request_token(client, namespace, name, **spec)
    assert answer.code == 201, answer
    return answer.json["status"]["token"]


def role(name, *rules):
    return {"metadata": {"name": name}, "rules": list(rules)}


def rule(verbs, resources, group="", names=None):
    made = {"verbs": verbs.split(","), "apiGroups": [group], "resources": resources.split(",")}
    if names:
        made["resourceNames"] = names
    return made


def binding(name, kind, role_name, *subjects):
    """Subjects are "user:x", "group:x" or "account:ns/name"."""
    made = []
    for text in subjects:
        what, value = text.split(":", 1)
        if what == "account":
            namespace, account = value.split("/")
            made.append({"kind": "ServiceAccount", "namespace": namespace, "name": account})
        else:
            made.append({"kind": what.capitalize(), "apiGroup": "rbac.authorization.k8s.io", "name": value})
    return {"metadata": {"name": name}, "subjects": made,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role_name}}


def impersonate(server, user, *groups):
    """The administrator's client, as somebody else. Several groups need several headers."""
    return Impersonator(server, user, groups)


class Impersonator(harness.Client):
    def __init__(self, server, user, groups=(), certificate="admin"):
        super().__init__(server, certificate)
        self.pairs = [("Impersonate-User", user)] + [("Impersonate-Group", group) for group in groups]

    def request(self, method, path, body=None, headers=None, content_type="application/json"):
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = self.connect()
        connection.putrequest(method, path)
        for name, value in self.pairs + list((headers or {}).items()):
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return harness.Answer(response.status, response.headers, response.read())


def whoami(client):
    answer = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews",
                         {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    assert answer.code == 201, answer
    return answer.json["status"]["userInfo"]


def await_code(what, code, request, timeout=10):
    """RBAC follows storage: a new binding counts a moment later."""
    last = []

    def look():
        last[:] = [request()]
        return last[0].code == code
    try:
        harness.await_true(what, look, timeout)
    except AssertionError:
        raise AssertionError(f"{what}: {last[0]}") from None
    return last[0]


def foreign_context(folder, ca):
    """A client certificate that another authority of the same name has signed."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            "foreign-ca.key", "-out", "foreign-ca.crt", "-subj", "/CN=test-ca", "-days", "1")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            "foreign.key", "-out", "foreign.csr", "-subj", "/O=system:masters/CN=kubernetes-admin")
    openssl(folder, "x509", "-req", "-in", "foreign.csr", "-CA", "foreign-ca.crt", "-CAkey", "foreign-ca.key",
            "-CAcreateserial", "-out", "foreign.crt", "-days", "1")
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(os.path.join(folder, "foreign.crt"), os.path.join(folder, "foreign.key"))
    return context


_cluster = None


def cluster():
    """The cluster that the tests of security share, with tokens and RBAC."""
    global _cluster
    if _cluster is None:
        _cluster = harness.Cluster.__new__(harness.Cluster)
        _cluster.prepare()
        _cluster.flags = tuple(flags(_cluster.folder))
        _cluster.server = _cluster.start_server()
    return _cluster


def now():
    return int(time.time())
