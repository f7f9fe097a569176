"""An OpenID Connect provider in the test's own process: discovery document, keys that rotate, access tokens, and forged
ones. Signs with the openssl program, so that nothing of nuraghed's own code is on both sides."""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import time


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


class Key:
    """RSA (RS256) or Ed25519 (EdDSA)."""

    def __init__(self, folder, name, kind="RSA"):
        self.name, self.kind = name, kind
        self.path = os.path.join(folder, name + ".pem")
        options = ["-algorithm", kind] + (["-pkeyopt", "rsa_keygen_bits:2048"] if kind == "RSA" else [])
        openssl("genpkey", *options, "-out", self.path)

    @property
    def algorithm(self):
        return "RS256" if self.kind == "RSA" else "EdDSA"

    def jwk(self):
        if self.kind == "RSA":
            modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().split("=")[1]
            return {"kty": "RSA", "use": "sig", "kid": self.name, "n": encode(bytes.fromhex(modulus)), "e": "AQAB"}
        public = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")
        return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.name, "x": encode(public[-32:])}

    def sign(self, text):
        if self.kind == "RSA":
            return openssl("dgst", "-sha256", "-sign", self.path, data=text)
        file = self.path + ".text"
        with open(file, "wb") as out:
            out.write(text)
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", file)


class Authority:
    """A CA that is nobody's but the test's."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        os.makedirs(folder, exist_ok=True)
        self.file = os.path.join(folder, name + ".pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                f"/CN={name}", "-keyout", self.file + ".key", "-out", self.file)

    def issue(self, name, names="IP:127.0.0.1", days=2):
        """Files of a certificate and its key. With 0 days it has expired in the next second."""
        path = os.path.join(self.folder, name)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={names}", "-keyout", path + ".key", "-out", path + ".csr")
        openssl("x509", "-req", "-in", path + ".csr", "-CA", self.file, "-CAkey", self.file + ".key", "-CAcreateserial",
                "-copy_extensions", "copyall", "-days", str(days), "-out", path + ".pem")
        return path + ".pem", path + ".key"


class Provider:
    """Use as a context manager. With a certificate (and its key) it is an https address."""

    def __init__(self, folder, audience="nuraghe", certificate=None):
        self.folder, self.audience = folder, audience
        os.makedirs(folder, exist_ok=True)
        self.keys = [Key(folder, "first")]
        self.fetches = 0
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                documents = {"/.well-known/openid-configuration": {"issuer": provider.issuer,
                                                                   "jwks_uri": provider.issuer + "/keys"},
                             "/keys": {"keys": [key.jwk() for key in provider.keys]}}
                if self.path == "/keys":
                    provider.fetches += 1
                body = json.dumps(documents.get(self.path, {})).encode()
                self.send_response(200 if self.path in documents else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):  # a client that does not like our certificate
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.issuer = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def settings(self, rules=(), **more):
        return {"issuer": self.issuer, "audience": self.audience, "algorithms": ["RS256", "EdDSA"], "rules": list(rules),
                **more}

    def configuration(self, rules=()):
        return json.dumps({"providers": [self.settings(rules)]})

    def token(self, subject, key=None, header=None, signature=None, **claims):
        """A token of a subject; what is given more replaces what is right. A claim None is left out."""
        key = key or self.keys[-1]
        now = int(time.time())
        body = {"iss": self.issuer, "aud": self.audience, "sub": subject, "iat": now, "exp": now + 3600, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        head = {"alg": key.algorithm, "kid": key.name, "typ": "JWT", **(header or {})}
        text = encode(json.dumps(head).encode()) + "." + encode(json.dumps(body).encode())
        return text + "." + (encode(key.sign(text.encode())) if signature is None else signature)

    def forged(self, subject):
        """Tokens that nobody may believe, by what is wrong with them."""
        stranger = Key(self.folder, "stranger")
        stranger.name = self.keys[-1].name
        good = self.token(subject)
        head, body, signature = good.split(".")
        other = encode(json.dumps({"iss": self.issuer, "aud": self.audience, "sub": "somebody else",
                                   "exp": int(time.time()) + 3600}).encode())
        return {"no algorithm": self.token(subject, header={"alg": "none"}, signature=""),
                "no algorithm, with a signature": self.token(subject, header={"alg": "none"}, signature=signature),
                "a shared secret": self.token(subject, header={"alg": "HS256"}),
                "another key": self.token(subject, key=stranger),
                "another body": ".".join((head, other, signature)),
                "another audience": self.token(subject, aud="another-service"),
                "no audience": self.token(subject, aud=None),
                "another issuer": self.token(subject, iss="https://elsewhere.example"),
                "expired": self.token(subject, exp=int(time.time()) - 120),
                "without an end": self.token(subject, exp=None),
                "not valid yet": self.token(subject, nbf=int(time.time()) + 600),
                "no subject": self.token("")}
