#!/usr/bin/python3
"""A site over TLS: nuraghed with a CA of its own, controllers that joined it (mutual TLS), and clients of others.

  tls.py PROGRAMS [NAME...]

All on loopback, with TLS forced. Certificates live for a minute, so that they are renewed meanwhile.
"""
import concurrent.futures
import http.client
import json
import os
import re
import resource
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from invariants import check, check_empty, refused  # noqa: E402
from vhcd import Site, Vhcd, hosts_of  # noqa: E402
from world import PATIENCE_S, blueprint, clean_up_when_asked_to_end, soap_envelope  # noqa: E402

LIFETIME_S = 60


class Member(Vhcd):
    """A vhcd that joins its site."""

    def __init__(self, site, name, token="", options=()):
        super().__init__(site, name, listen="127.0.0.1:0", options=options)
        self.token = token

    def arguments(self):
        return ["--join", self.token] if self.token else []

    def serial(self):
        return text_of_certificate(os.path.join(self.site.folder, f"v/{self.name}/pki/own.pem"), "-serial")

    def issuer(self):
        return text_of_certificate(os.path.join(self.site.folder, f"v/{self.name}/pki/own.pem"), "-issuer")


def text_of_certificate(path, what):
    return subprocess.run(["openssl", "x509", "-in", path, "-noout", what], capture_output=True, text=True, check=True).stdout.strip()


class TlsSite(Site):
    def __init__(self, programs, options=()):
        super().__init__(programs)
        self.options = ["--certificate-lifetime", f"{LIFETIME_S}s", *options]
        self.tls_port = 0

    def set_up(self):
        os.mkdir(os.path.join(self.folder, "v"))
        self.cli("ca", "init", "--site", "cellar")
        self.start()
        self.import_image()
        for name in "ab":
            self.join(name)
        self.until_alive("a", "b")

    def start(self, *options, **more):
        done = super().start("--listen", f"tls:127.0.0.1:{self.tls_port}", *options, **more)
        self.tls_port = int(re.search(r"https://127\.0\.0\.1:(\d+)", self.banner).group(1))
        return done

    def base(self):
        return f"https://127.0.0.1:{self.tls_port}"

    def token_for(self, name, *options):
        path = f"{name}.token"
        self.cli("host", "join-token", name, "--out", path, *options)
        assert mode(os.path.join(self.folder, path)) == 0o600
        return path

    def join(self, name):
        self.vhcds[name] = Member(self, name, self.token_for(name))
        self.vhcds[name].start()

    def path(self, name):
        return os.path.join(self.folder, name)

    def roots(self):
        return os.path.join(self.state, "ca", "trusted.pem")

    def curl(self, path, *options, roots=True, check=0, base=""):
        """Status (000: none) and text, by curl."""
        argv = ["curl", "--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}",
                *(["--cacert", self.roots()] if roots else []), *options, (base or self.base()) + path]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S)
        assert check is None or done.returncode == check, (argv, done)
        return done.stdout.rsplit("\n", 1)[1], done.stdout.rsplit("\n", 1)[0] + done.stderr

    def as_host(self, name):
        return ["--cert", self.path(f"v/{name}/pki/own.pem"), "--key", self.path(f"v/{name}/pki/own.pem")]

    def as_user(self):
        """A file for curl, so that the token is no argument."""
        self.write("curl.conf", f'header = "Authorization: Bearer {self.token()}"\n')
        return ["--config", self.path("curl.conf")]

    def s_client(self, *options):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.tls_port}", "-CAfile", self.roots(),
                               "-verify_return_error", *options], capture_output=True, text=True, input="", timeout=PATIENCE_S)
        return done.returncode, done.stdout + done.stderr

    def try_vhcd(self, name, token, state=""):
        """A vhcd that is expected not to start."""
        argv = [os.path.join(self.programs, "vhcd"), "--name", name, "--state", f"v/{state or name}", "--factory", self.base(),
                "--driver", "sim", *(["--join", token] if token else [])]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
        assert done.returncode != 0, (argv, done)
        return done.stderr


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def lifecycle(site):
    site.write("c.xml", blueprint("duo", 3))
    placed = site.json("create", "c.xml")["placements"]
    assert {place["physical_host"] for place in placed} == {"a", "b"}, placed
    for verb, state in (("pause", "paused"), ("resume", "running"), ("freeze", "frozen"), ("thaw", "running")):
        site.do(verb, "duo")
        assert {member["state"] for member in hosts_of(site, "duo").values()} == {state}
        check(site)
    for name in ("head", "worker-1"):
        assert "READY" in site.cli("console", f"duo/{name}").stdout  # relayed over mutual TLS
    site.do("destroy", "duo", "--yes")
    for vhcd in site.vhcds.values():
        assert vhcd.base.startswith("https://")


def third_parties(site):
    code, text = site.s_client("-tls1_3", "-alpn", "http/1.1")
    assert code == 0 and "TLSv1.3" in text and "ALPN protocol: http/1.1" in text and "Verify return code: 0" in text, text
    code, text = site.s_client("-tls1_2", "-alpn", "h2,http/1.1")
    assert code == 0 and "TLSv1.2" in text and "ALPN protocol: http/1.1" in text and "ECDHE" in text, text
    assert "Secure Renegotiation IS supported" in text and "Session-ID: \n" in text, text
    for old in (["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA:AES256-SHA"], ["-alpn", "h2"]):
        code, text = site.s_client(*old)
        assert code != 0 and "alert" in text, (old, text)
    # Names: by address, by the name that every control plane has, not by others.
    assert site.s_client("-verify_ip", "127.0.0.1")[0] == 0
    assert site.s_client("-verify_hostname", "control.nuraghe.internal")[0] == 0
    assert site.s_client("-verify_hostname", "a.host.nuraghe.internal")[0] != 0
    assert site.curl("/healthz", *site.as_user()) == ("200", "ok\n")
    assert site.curl("/healthz")[0] == "401"
    assert "certificate" in site.curl("/healthz", roots=False, check=60)[1]
    assert site.curl("/ca.pem")[1] == open(site.roots(), encoding="utf-8").read()
    # A host's certificate opens what a controller may use, and nothing else.
    assert site.curl("/healthz", *site.as_host("a")) == ("200", "ok\n")
    assert site.curl("/seeds/vc-x/sha256:00", *site.as_host("a"))[0] == "404"
    for path in ("/events", "/metrics", "/services/vcf?wsdl"):
        assert site.curl(path, *site.as_host("a"))[0] == "403"
    # The token of the programs of one machine is for that machine.
    site.write("site.conf", f'header = "Authorization: Bearer {site.site_token()}"\n')
    status, text = site.curl("/healthz", "--config", site.path("site.conf"))
    assert status == "403" and "join" in text, text
    # At a controller's door: nuraghed alone.
    a = site.vhcds["a"]
    name = "a.host.nuraghe.internal:" + a.base.rsplit(":", 1)[1]
    there = ["--connect-to", f"{name}:127.0.0.1:{a.base.rsplit(':', 1)[1]}"]
    for who, status in ([], "401"), (site.as_user(), "401"), (site.as_host("b"), "403"), (site.as_host("a"), "403"):
        assert site.curl("/services/a?wsdl", *there, *who, base="https://" + name)[0] == status, who
    control = os.path.join(site.state, "ca/control.pem")
    assert site.curl("/services/a?wsdl", *there, "--cert", control, "--key", control, base="https://" + name)[0] == "200"
    # Who speaks without TLS gets nothing.
    assert site.curl("/healthz", base=site.base().replace("https", "http"), check=None)[0] == "000"


def remote_command_line(site):
    def run(*options, check=0):
        done = subprocess.run([os.path.join(site.programs, "nuraghe"), "--state", "nowhere", *options], cwd=site.folder,
                              capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
        assert done.returncode == check, done
        return done.stdout + done.stderr

    site.write("mine", site.token() + "\n")
    site.write("loose", site.token() + "\n")
    os.chmod(site.path("loose"), 0o644)
    os.chmod(site.path("mine"), 0o600)
    known = ["--ca-file", site.roots(), "--token-file", "mine"]
    assert "cellar CA" in run("--server", site.base(), *known, "ca", "show")
    assert '"name":"a"' in run("--server", site.base(), *known, "-o", "json", "host", "ls")
    assert "--ca-file" in run("--server", site.base(), "--token-file", "mine", "ls", check=1)
    assert "chmod 600" in run("--server", site.base(), "--ca-file", site.roots(), "--token-file", "loose", "ls", check=5)
    assert "https://" in run("--server", "http://10.0.0.1:1", *known, "ls", check=3)
    plain = site.base().replace("https", "http")
    assert run("--server", plain, *known, "ls", check=1)
    os.remove(site.path("loose"))


def join_tokens(site):
    site.write("no-token", "what is this\n")
    os.chmod(site.path("no-token"), 0o600)
    assert "no join token" in site.try_vhcd("c", "no-token")
    assert "--join" in site.try_vhcd("c", "")
    token = site.token_for("c")
    assert "for c" in site.try_vhcd("d", token)
    os.chmod(site.path(token), 0o644)
    assert "chmod 600" in site.try_vhcd("c", token)
    os.chmod(site.path(token), 0o600)
    # Another site's root in the token: nothing is said to who shows another.
    secret = open(site.path(token), encoding="utf-8").read().strip()
    site.write("wrong-root", secret[:-64] + "0" * 64 + "\n")
    os.chmod(site.path("wrong-root"), 0o600)
    assert "its CA is another" in site.try_vhcd("c", "wrong-root")
    site.write("wrong-secret", "c.join-" + "a" * 26 + secret[-65:] + "\n")
    os.chmod(site.path("wrong-secret"), 0o600)
    assert "unknown, used or expired" in site.try_vhcd("c", "wrong-secret")
    assert not [one for one in site.json("ca", "show")["certificates"] if one["host"] == "c"]
    # Two at once with one token: one gets in.
    argv = [os.path.join(site.programs, "vhcd"), "--name", "c", "--factory", site.base(), "--driver", "sim", "--join", token,
            "--renewal", "1s"]
    racing = [subprocess.Popen([*argv, "--state", f"v/c{n}"], cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, stdin=subprocess.DEVNULL) for n in range(3)]
    lines = [one.stdout.readline() for one in racing]
    for one in racing:
        one.kill()
        one.communicate()
    for n in range(3):
        shutil.rmtree(site.path(f"v/c{n}"))  # what it still had to say is nobody's
    assert sorted(bool(line) for line in lines) == [False, False, True], lines
    assert "unknown, used or expired" in site.try_vhcd("c", token, state="c-late")
    # It is void when it is over, and when another is made.
    expired = site.token_for("d", "--lifetime", "1ms")
    assert "unknown, used or expired" in site.try_vhcd("d", expired)
    first = open(site.path(site.token_for("d")), encoding="utf-8").read()
    site.token_for("d")
    site.write("first", first)
    os.chmod(site.path("first"), 0o600)
    assert "unknown, used or expired" in site.try_vhcd("d", "first")
    site.cli("host", "revoke", "c", "--yes")
    site.cli("host", "revoke", "d", "--yes")
    assert site.cli("host", "join-token", "d", "--lifetime", "31d", check=3)
    assert site.cli("host", "join-token", "D_", check=3)
    site.until_alive("a", "b")
    site.cli("host", "forget", "c", "--yes", check=None)  # it may have registered before it was ended


def openssl(site, *arguments):
    subprocess.run(["openssl", *arguments], cwd=site.folder, check=True, capture_output=True)


def forged(site):
    """Certificates of another CA, of the site's own that the registry does not know, and of another host."""
    openssl(site, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "evil.key", "-out",
            "evil.pem", "-days", "1", "-subj", "/CN=cellar CA")
    openssl(site, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "a.key", "-out", "a.csr", "-subj",
            "/CN=a")
    site.write("san", "subjectAltName=URI:urn:nuraghe:host:a\nextendedKeyUsage=clientAuth\n")
    openssl(site, "x509", "-req", "-in", "a.csr", "-CA", "evil.pem", "-CAkey", "evil.key", "-CAcreateserial", "-days", "1", "-extfile",
            "san", "-out", "a.pem")
    status, text = site.curl("/healthz", "--cert", "a.pem", "--key", "a.key", check=None)
    assert status == "000" and "unknown ca" in text, text
    signer = os.path.join(site.state, "ca/authority.pem")
    openssl(site, "x509", "-req", "-in", "a.csr", "-CA", signer, "-CAkey", signer, "-set_serial", "0x4242", "-days", "1", "-extfile",
            "san", "-out", "a.pem")
    status, text = site.curl("/healthz", "--cert", "a.pem", "--key", "a.key")
    assert status == "403" and "does not count" in text, text
    # a says that it is b.
    registration = ("<x:name>b</x:name><x:site/><x:address>https://127.0.0.1:1/services/b</x:address><x:tunnel/>"
                    "<x:driver/><x:accelerator/><x:total><y:cpus xmlns:y='urn:nuraghe:vhc:1'>1</y:cpus><y:memory "
                    "xmlns:y='urn:nuraghe:vhc:1'>1</y:memory><y:disk xmlns:y='urn:nuraghe:vhc:1'>1</y:disk></x:total>"
                    "<x:interval>PT1H</x:interval>")
    site.write("register.xml", soap_envelope("vhf", "register_physical_host", registration).replace(
        "<s:Header>", "<s:Header><c:caller xmlns:c='urn:nuraghe:context:1'>vhc:b</c:caller>"))
    status, text = site.curl("/services/vhf", *site.as_host("a"), "-H", "Content-Type: text/xml", "--data-binary", "@register.xml")
    assert status == "500" and "vhc:a is not the controller of physical host b" in text, text
    # a says that it is at what listens on nuraghed's machine alone, where the site's token would be shown.
    local = registration.replace(">b<", ">a<").replace("https://127.0.0.1:1/services/b", "http://127.0.0.1:1/services/a")
    site.write("register.xml", soap_envelope("vhf", "register_physical_host", local))
    status, text = site.curl("/services/vhf", *site.as_host("a"), "-H", "Content-Type: text/xml", "--data-binary", "@register.xml")
    assert status == "500" and "is not https" in text, text
    # A machine without a certificate cannot have one renewed, nor ask in another's name.
    assert site.curl("/renew", "--data", "{}")[0] == "401"
    for body, status in ("{}", "400"), ('{"request":"x","secret":"y"}', "400"), ("[", "400"):
        assert site.curl("/join", "--data", body)[0] == status
    site.write("large", "x" * 70000)
    assert site.curl("/join", "--data-binary", "@large")[0] == "413"


class Impostor:
    """Who has the key and the certificate that a revoked program of the site had, at its address: keeps what comes."""

    def __init__(self, base, own):
        port = int(base.rsplit(":", 1)[1])
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(own, own)
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE_S)
            try:
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    self.connections.append(secured.recv(65536))
            except OSError as error:
                self.connections.append(error)


def revoked(site):
    context = ssl.create_default_context(cafile=site.roots())
    context.load_cert_chain(site.path("v/b/pki/own.pem"), site.path("v/b/pki/own.pem"))
    kept = http.client.HTTPSConnection("127.0.0.1", site.tls_port, context=context, timeout=PATIENCE_S)
    kept.request("GET", "/healthz")
    assert kept.getresponse().read() == b"ok\n"
    site.write("c.xml", blueprint("duo", 3))
    site.do("create", "c.xml")
    [there] = [member for member in hosts_of(site, "duo").values() if member["physical_host"] == "b"][:1]
    assert re.search(r"b: [1-9]\d* certificates? and 0 join tokens withdrawn", site.cli("host", "revoke", "b", "--yes").stdout)
    assert site.alive() == {"a"}, "its registration has ended"
    assert "the certificates of physical host b were withdrawn" in site.cli("events").stdout
    kept.request("GET", "/healthz")  # on the connection that is open
    response = kept.getresponse()
    assert response.status == 403 and b"does not count" in response.read()
    kept.close()
    site.until(lambda: "does not count" in site.vhcds["b"].log(), "b was told")
    assert site.vhcds["b"].stop() == 0
    with Impostor(site.vhcds["b"].base, site.path("v/b/pki/own.pem")) as impostor:
        for command in (["pause", "duo"], ["vh", "pause", there["host"]], ["console", f"duo/{there['name']}"]):
            done = site.cli(*command, check=None)
            assert done.returncode != 0 and "the certificates of b were withdrawn" in done.stderr, (command, done)
        # Not even who was let in before: nuraghed, started again, has no connection and no peer of before.
        site.stop()
        site.start()
        site.until_alive("a")
        done = site.cli("vh", "pause", there["host"], check=None)
        assert done.returncode != 0 and "the certificates of b were withdrawn" in done.stderr, done
    assert not impostor.connections, impostor.connections
    site.vhcds["b"].token = site.token_for("b")  # another token: it joins anew, with all that it has
    site.vhcds["b"].start()
    site.until_alive("a", "b")
    site.do("pause", "duo")  # it is reached again
    site.do("destroy", "duo", "--yes")
    # Forgotten is revoked.
    site.vhcds["b"].kill()
    site.until_alive("a")
    site.cli("host", "forget", "b", "--yes")
    site.until(lambda: not [one for one in site.json("ca", "show")["certificates"] if one["host"] == "b" and not one["revoked"]],
               "the certificates of b were withdrawn")
    site.vhcds["b"].token = site.token_for("b")
    site.vhcds["b"].start()
    site.until_alive("a", "b")


def revoked_at_work(site):
    """What is at work where nothing is sent any more can be aborted all the same, and is over then for the site."""
    assert site.vhcds["b"].stop() == 0
    site.vhcds["b"].start("--sim-delay", "pause=3600s")
    site.write("c.xml", blueprint("duo", 3))
    site.do("create", "c.xml")
    there = {member["host"] for member in hosts_of(site, "duo").values() if member["physical_host"] == "b"}
    at_work = lambda: {host["id"] for host in site.json("vh", "ls") if host["operation"]}  # noqa: E731
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pausing = pool.submit(site.do, "pause", "duo", check=None)
        site.until(lambda: at_work() == there, "b alone was at it")
        site.cli("host", "revoke", "b", "--yes")
        site.cli("abort", "duo")
        done = pausing.result()
    assert done.returncode == 1 and "abort" in done.stderr, done
    assert not at_work(), site.json("vh", "ls")
    assert {member["state"] for member in hosts_of(site, "duo").values()} == {"running"}
    site.vhcds["b"].kill()
    site.vhcds["b"].token = site.token_for("b")
    site.vhcds["b"].start()
    site.until_alive("a", "b")
    site.do("pause", "duo")
    site.do("destroy", "duo", "--yes")


class Load(threading.Thread):
    """Asks without a pause, on a kept connection and on new ones; keeps what failed."""

    def __init__(self, site, fresh):
        super().__init__()
        self.site, self.fresh, self.failures, self.count, self.over = site, fresh, [], 0, threading.Event()
        self.token = site.token()
        self.start()

    def run(self):
        connection = None
        while not self.over.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPSConnection("127.0.0.1", self.site.tls_port, timeout=PATIENCE_S,
                                                             context=ssl.create_default_context(cafile=self.site.roots()))
                connection.request("GET", "/healthz", headers={"Authorization": "Bearer " + self.token})
                response = connection.getresponse()
                if response.status != 200 or response.read() != b"ok\n":
                    self.failures.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None
            self.count += 1
            if self.fresh and connection is not None:
                connection.close()
                connection = None
            self.over.wait(0.01)


def rotation(site):
    """The root is changed in three steps under load; every certificate is made anew; no request fails."""
    site.write("c.xml", blueprint("duo", 1))
    site.write("d.xml", blueprint("during", 1))
    site.do("create", "c.xml")
    before = {name: vhcd.serial() for name, vhcd in site.vhcds.items()}
    root_before = site.vhcds["a"].issuer()
    loads = [Load(site, fresh) for fresh in (False, True)]
    try:
        site.cli("ca", "rotate", "--site", "cellar")
        assert "already" in site.cli("ca", "rotate", check=5).stderr
        assert "does not sign yet" in site.cli("ca", "rotate", "--finish", "--force", check=5).stderr
        text = open(site.roots(), encoding="utf-8").read()
        assert text.count("BEGIN CERTIFICATE") == 2
        known = [site.path(f"v/{name}/pki/trusted.pem") for name in site.vhcds]
        site.until(lambda: all(open(path, encoding="utf-8").read() == text for path in known), "all know the next root")
        site.do("create", "d.xml")
        site.cli("ca", "rotate", "--change-over")
        site.until(lambda: all(vhcd.issuer() != root_before for vhcd in site.vhcds.values()), "all have certificates of the next root")
        site.do("destroy", "during", "--yes")
        site.cli("ca", "rotate", "--finish")
        text = open(site.roots(), encoding="utf-8").read()
        assert text.count("BEGIN CERTIFICATE") == 1
        site.until(lambda: site.curl("/ca.pem", check=None)[1] == text, "nuraghed trusts the next root alone")
        site.do("pause", "duo")
        site.do("destroy", "duo", "--yes")
    finally:
        for load in loads:
            load.over.set()
            load.join()
    assert not any(load.failures for load in loads), [load.failures[:5] for load in loads]
    assert all(load.count > 20 for load in loads), [load.count for load in loads]
    assert all(vhcd.serial() != before[name] for name, vhcd in site.vhcds.items())
    # What the root of before signed is worth nothing now: a new join works, and a restart of all.
    for name in "ab":
        assert site.vhcds[name].stop() == 0
        site.vhcds[name].start()
    assert site.stop()[0] == 0
    site.start()
    site.until_alive("a", "b")
    print(f"       {loads[0].count} requests on one connection, {loads[1].count} on new ones, none failed")


def secrets(site):
    """What is secret stands in files of mode 0600 alone: not in arguments, logs, events, databases."""
    site.write("c.xml", blueprint("duo", 1))
    site.do("create", "c.xml")
    keys = []
    for path in [os.path.join(site.state, "ca/authority.pem"), os.path.join(site.state, "ca/control.pem"),
                 site.path("v/a/pki/own.pem"), site.path("v/b/pki/own.pem")]:
        assert mode(path) == 0o600, path
        body = open(path, encoding="utf-8").read().split("BEGIN PRIVATE KEY-----\n")[1]
        keys.append(body.splitlines()[0][40:])
    joins = [open(site.path(f"{name}.token"), encoding="utf-8").read().split(".")[1] for name in "ab"]
    segment = open(site.path("v/a/segment-key"), encoding="utf-8").read().strip()
    assert segment == open(os.path.join(site.state, "segment-key"), encoding="utf-8").read().strip()
    everything = [site.token(), site.site_token(), segment, *joins, *keys]
    assert all(len(one) >= 16 for one in everything)
    owned = {site.process.pid, *(vhcd.process.pid for vhcd in site.vhcds.values())}
    for pid in owned:
        for what in ("cmdline", "environ"):
            text = open(f"/proc/{pid}/{what}", "rb").read().decode(errors="replace")
            assert not [one for one in everything if one in text], (pid, what)
    events = site.cli("-o", "json", "events").stdout
    logs = [site.log(), *(vhcd.log() for vhcd in site.vhcds.values()), events]
    assert not [one for one in everything for log in logs if one in log]
    may_hold = re.compile(r"/(token|site-token|segment-key|mine|first|curl\.conf|site\.conf|wrong-root|wrong-secret|evil\.key|a\.key"
                          r"|[a-z]\.token|authority\.pem|control\.pem|own\.pem)$")
    for folder, _, files in os.walk(site.folder):
        for name in files:
            path = os.path.join(folder, name)
            if may_hold.search(path) or not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            with open(path, "rb") as file:
                content = file.read().decode(errors="replace")
            assert not [one for one in everything if one in content], path
            assert "PRIVATE KEY" not in content or mode(path) & 0o077 == 0, path
    for folder in (site.state, site.path("v/a"), site.path("v/b")):
        assert mode(folder) == 0o700, folder
    site.do("destroy", "duo", "--yes")


def nuraghed_is_killed(site):
    site.kill()
    site.start()
    site.until_alive("a", "b")
    site.write("c.xml", blueprint("duo", 3))
    site.do("create", "c.xml")
    site.do("destroy", "duo", "--yes")


def resident(pid):
    """Bytes of memory."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024


def idle_connections(site, count=1000):
    """Each has asked something and then says nothing more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context = ssl.create_default_context(cafile=site.roots())
    headers = {"Authorization": "Bearer " + site.token()}
    with open(os.path.join(site.state, "port"), encoding="utf-8") as file:
        plain_port = int(file.read())

    def opened(is_tls):
        connection = (http.client.HTTPSConnection("127.0.0.1", site.tls_port, timeout=PATIENCE_S, context=context) if is_tls
                      else http.client.HTTPConnection("127.0.0.1", plain_port, timeout=PATIENCE_S))
        connection.request("GET", "/healthz", headers=headers)
        assert connection.getresponse().read() == b"ok\n"
        return connection

    for is_tls, limit in ((False, 20e6), (True, 60e6)):
        opened(is_tls).close()
        before = resident(site.process.pid)
        kept = [opened(is_tls) for _ in range(count)]
        cost = resident(site.process.pid) - before
        for connection in kept:
            connection.close()
        print(f"       {count} idle connections {'with TLS' if is_tls else 'without'}: {cost / 1e6:.1f} MB")
        assert cost < limit * count / 1000, cost


def bad_options(site):
    def run(*options):
        argv = [os.path.join(site.programs, "nuraghed"), "--state", "other", *options]
        return subprocess.run(argv, cwd=site.folder, capture_output=True, text=True, timeout=PATIENCE_S)

    done = run("--listen", "tls:127.0.0.1:0")
    assert done.returncode == 1 and "ca init" in done.stderr, done
    done = run("--listen", "plain:10.254.0.1:8470")
    assert done.returncode == 1 and "--insecure-plain-http" in done.stderr, done
    assert "already" in site.cli("ca", "init", check=5).stderr


FLOWS = [lifecycle, third_parties, remote_command_line, join_tokens, forged, revoked, revoked_at_work, rotation, secrets, nuraghed_is_killed, idle_connections,
         bad_options]


def rate_limit(programs):
    with TlsSite(programs) as site:
        assert site.stop()[0] == 0
        site.start("--request-rate", "1")
        context = ssl.create_default_context(cafile=site.roots())
        connection = http.client.HTTPSConnection("127.0.0.1", site.tls_port, timeout=PATIENCE_S, context=context)
        answers = []
        for _ in range(100):
            connection.request("GET", "/healthz", headers={"Authorization": "Bearer " + site.token()})
            response = connection.getresponse()
            response.read()
            answers.append((response.status, response.headers["Retry-After"]))
        connection.close()
        assert answers[0] == (200, None) and (429, "1") in answers, answers
        assert {status for status, _ in answers} == {200, 429}, answers
        assert site.curl("/healthz")[0] == "401"  # who shows nothing is counted elsewhere


def main():
    clean_up_when_asked_to_end()
    wanted = sys.argv[2:]
    with TlsSite(sys.argv[1]) as site:
        for flow in FLOWS:
            if wanted and flow.__name__ not in wanted:
                continue
            began = time.monotonic()
            flow(site)
            check_empty(site)
            print(f"ok     {flow.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        for vhcd in site.vhcds.values():
            assert vhcd.stop() == 0
        assert site.stop()[0] == 0
    if not wanted or "rate_limit" in wanted:
        rate_limit(sys.argv[1])
        print("ok     rate_limit")


if __name__ == "__main__":
    main()
