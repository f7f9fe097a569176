#!/usr/bin/python3
"""Controllers as processes of their own (vhcd), over TCP and UNIX sockets, on simulated hypervisors.

  vhcd.py PROGRAMS [NAME...]

nuraghed has no controller in itself. After each flow the control plane must be as empty as before.
"""
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from invariants import check, check_empty, refused  # noqa: E402
from world import (IMAGE, PATIENCE_S, STATES, blueprint, child, children, clean_up_when_asked_to_end, number,  # noqa: E402
                   record, World)

RENEWAL_S = 2


class Vhcd:
    """One vhcd of a Site."""

    def __init__(self, site, name, listen="127.0.0.1:0", factory="", token_file="s/site-token", options=()):
        self.site, self.name, self.listen, self.factory = site, name, listen, factory
        self.token_file, self.options = token_file, list(options)
        self.process = None
        self.base = ""

    def start(self, *options):
        assert self.process is None
        argv = [os.path.join(self.site.programs, "vhcd"), "--name", self.name, "--state", f"v/{self.name}", "--listen",
                self.listen, "--factory", self.factory or self.site.base(), *self.arguments(), "--driver", "sim", "--cpus", "64", "--memory", "64GiB", "--renewal", f"{RENEWAL_S}s", *self.options, *options]
        with open(self.log_path(), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(argv, cwd=self.site.folder, stdout=subprocess.PIPE, stderr=log, text=True,
                                            stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        match = re.search(r" serves on (\S+) for ", line)
        if match:
            self.base = match.group(1)
            return
        code = self.wait()
        assert code == -signal.SIGKILL and "--crash-at" in options, f"vhcd {self.name} did not start: {self.log()}"

    def arguments(self):
        """What says who it is."""
        return ["--token-file", self.token_file]

    def wait(self):
        self.process.communicate(timeout=PATIENCE_S)
        code, self.process = self.process.returncode, None
        return code

    def died(self):
        return self.process is not None and self.process.poll() is not None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.wait()

    def log_path(self):
        return os.path.join(self.site.folder, f"{self.name}.log")

    def log(self):
        with open(self.log_path(), encoding="utf-8") as file:
            return file.read()

    def get(self, path, token):
        """Status and body of a GET at its own door (TCP only); token None: without one."""
        headers = {"Authorization": "Bearer " + token} if token else {}
        return http(urllib.request.Request(self.base + path, headers=headers))


class Site(World):
    """A nuraghed without controllers, and vhcds beside it."""

    def __init__(self, programs):
        super().__init__(programs, controllers=())
        self.vhcds = {}

    def set_up(self):
        os.mkdir(os.path.join(self.folder, "v"))
        self.start()
        self.import_image()
        for name in "ab":
            self.vhcds[name] = Vhcd(self, name)
            self.vhcds[name].start()
        self.until_alive("a", "b")

    def __exit__(self, kind, value, trace):
        for vhcd in self.vhcds.values():
            vhcd.kill()
        if kind is not None:
            for vhcd in self.vhcds.values():
                print(f"--- what vhcd {vhcd.name} said last:\n" + "\n".join(vhcd.log().splitlines()[-10:]), flush=True)
        super().__exit__(kind, value, trace)

    def import_image(self, name="tiny"):
        # With a seed, which controllers have to fetch.
        self.write("image/vhi.xml", IMAGE.replace("<configuration", '<configuration seed="nocloud"'))
        self.write("image/tiny.elf", "")
        self.cli("image", "import", "image")

    def base(self):
        with open(os.path.join(self.state, "port"), encoding="utf-8") as file:
            return f"http://127.0.0.1:{file.read().strip()}"

    def site_token(self):
        with open(os.path.join(self.state, "site-token"), encoding="utf-8") as file:
            return [line for line in file if not line.startswith("#")][0].split()[-1]

    def alive(self):
        hosts = children(self.soap("vhf", "list_physical_hosts"), "physical_host")
        return {child(host, "name") for host in hosts if child(host, "alive") in ("true", "1")}

    def do(self, verb, *arguments, **options):
        """An operation without the view of its progress, which takes longer than the operation."""
        return self.cli("-o", "json", verb, *arguments, **options)

    def until_alive(self, *names):
        self.until(lambda: self.alive() == set(names), f"exactly {names} were alive")

    def databases(self):
        return [os.path.join(self.state, "control.db")] + sorted(glob.glob(os.path.join(self.folder, "v/*/vhc.db")))

    def driver_hosts(self):
        found = {}
        for path in glob.glob(os.path.join(self.folder, "v/*/hosts/hosts/*")):
            try:
                with open(path, "rb") as file:
                    state = number(record(file.read()).get(2, [b"\0"])[0])
            except FileNotFoundError:
                continue  # destroyed since it was listed
            if state != 5:
                found[os.path.basename(path)] = (path.split("/")[-4], STATES[state])
        return found

    def begin(self, *arguments):
        """Starts nuraghe and does not wait for it."""
        return subprocess.Popen([os.path.join(self.programs, "nuraghe"), "--state", "s", "-o", "json", *arguments], cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def http(request):
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def hosts_of(site, cluster):
    return {member["name"]: member for member in site.json("show", cluster)["members"]}


def lifecycle(site):
    site.write("c.xml", blueprint("duo", 3))
    placed = site.json("create", "c.xml")["placements"]
    assert {place["physical_host"] for place in placed} == {"a", "b"}, placed
    for verb, state in (("pause", "paused"), ("resume", "running"), ("freeze", "frozen"), ("thaw", "running")):
        site.do(verb, "duo")
        assert {member["state"] for member in hosts_of(site, "duo").values()} == {state}
        check(site)
    # What a controller in nuraghed's own process serves is served for those outside of it, and for the same callers.
    for name in ("head", "worker-1"):
        assert "READY" in site.cli("console", f"duo/{name}").stdout
        assert site.json("vh", "show", hosts_of(site, "duo")[name]["host"])["state"] == "running"
    head = hosts_of(site, "duo")["head"]
    path = f"/services/{head['physical_host']}/hosts/{head['host']}/console"
    assert site.http("GET", path, token=site.site_token())[0] == 403
    assert site.http("GET", path.replace(head["host"], "vh-nobody"))[0] == 404
    assert site.http("GET", "/services/nobody/hosts/x/console")[0] == 404
    vhcd = site.vhcds[head["physical_host"]]
    own = site.http("GET", path)[1]
    assert b"READY" in own
    # At the controller's own door the caller says for which organisation he asks.
    request = urllib.request.Request(vhcd.base + path, headers={"Authorization": "Bearer " + site.site_token(),
                                                                "Nuraghe-VO": "default"})
    assert http(request) == (200, own.decode())
    request.headers["Nuraghe-vo"] = "others"
    assert http(request)[0] == 404
    site.do("destroy", "duo", "--yes")
    kinds = {json.loads(line)["kind"] for line in site.cli("-o", "json", "events", "duo").stdout.splitlines()}
    assert {"host.created", "host.booted", "host.joined", "host.frozen", "host.destroyed"} <= kinds, kinds
    # The parts of images were copied, and every seed came over HTTP.
    for name in "ab":
        assert len(glob.glob(os.path.join(site.folder, f"v/{name}/images/blobs/sha256/*"))) == 3


def live_console(site):
    site.write("c.xml", blueprint("duo", 1))
    site.do("create", "c.xml")
    following = subprocess.Popen([os.path.join(site.programs, "nuraghe"), "--state", "s", "console", "duo/head", "--follow"],
                                 cwd=site.folder, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert "READY" in following.stdout.readline()
        site.do("destroy", "duo", "--yes")
        following.communicate(timeout=PATIENCE_S)  # ends by itself with its host
    finally:
        following.kill()
        following.wait()


def watch(site, vhcd, *arguments):
    """Runs nuraghe; when vhcd dies meanwhile it is started again. Answers nuraghe's exit code and whether it died."""
    operation = site.begin(*arguments)
    died = False
    try:
        site.until(lambda: operation.poll() is not None or vhcd.died(), f"{arguments[0]} ended, or vhcd")
        if vhcd.died():
            died = True
            vhcd.wait()
            vhcd.start()
        operation.communicate(timeout=PATIENCE_S)
    finally:
        operation.kill()
        operation.wait()
    return operation.returncode, died


def killed_in_a_create(site):
    """kill -9 at places of a create and a destroy, until one is beyond their end: done, or undone as a whole."""
    site.write("c.xml", blueprint("duo", 3))
    vhcd = site.vhcds["b"]
    outcomes = []
    died_in = "nothing yet"
    for place in range(4, 1000, 4):
        vhcd.kill()
        died_in = ""
        vhcd.start("--crash-at", str(place))
        if vhcd.process is None:
            died_in = "its start"
            vhcd.start()
        code, died = watch(site, vhcd, "create", "c.xml")
        died_in = "create" if died else died_in
        if died_in:  # else what is asked here would count
            clusters = list(check(site).values())
            wanted = [("duo", "running", 4)] if code == 0 else []
            assert [(name, state, len(hosts)) for name, state, hosts in clusters] == wanted, (code, clusters)
        if code == 0:
            destroyed, died = watch(site, vhcd, "destroy", "duo", "--yes")
            assert destroyed == 0, destroyed
            died_in = "destroy" if died else died_in
        outcomes.append(f"{place} {died_in or 'nothing'} {code}")
        if not died_in:
            break
        check_empty(site)
    vhcd.kill()
    vhcd.start()
    assert not died_in and len(outcomes) > 3, outcomes
    print(f"       places of killing, in what, exit code of create: {', '.join(outcomes)}")


def nuraghed_is_killed(site):
    """The controllers' reports wait until it is back; they do not stop."""
    site.write("c.xml", blueprint("duo", 3))
    create = site.begin("create", "c.xml", "--idempotency-key", "k")
    try:
        site.until(lambda: site.json("ls"), "the cluster was planned")
        site.kill()
    finally:
        create.kill()
        create.communicate()
    site.start()
    site.until_alive("a", "b")
    clusters = list(check(site).values())
    assert not clusters or [(name, state, len(hosts)) for name, state, hosts in clusters] == [("duo", "running", 4)], clusters
    if clusters:
        site.do("destroy", "duo", "--yes")


def tokens(site):
    a = site.vhcds["a"]
    for path in ("/services/a?wsdl", "/metrics", "/services/a/hosts/x/console"):
        assert a.get(path, None)[0] == 401
        assert a.get(path, "token-of-somebody-else")[0] == 401
        assert a.get(path, site.token())[0] == 401  # nuraghed's own users do not enter here
    noted = os.path.join(site.folder, "v/a/strangers.log")
    site.until(lambda: os.path.exists(noted), "who was not let in was written down")
    assert os.stat(noted).st_mode & 0o777 == 0o600
    with open(noted, encoding="utf-8") as file:
        text = file.read()
    entries = [json.loads(line) for line in text.splitlines()]
    assert {one["request"] for one in entries} & {"GET /metrics", "GET /services/a"}, entries
    assert all(one["origin"].startswith("rest 127.0.0.1") and one["times"] >= 1 for one in entries), entries
    assert site.token() not in text and "token-of-somebody-else" not in text
    status, text = a.get("/services/a?wsdl", site.site_token())
    assert status == 200 and "create_host" in text and a.base in text
    # With the site's token one may not enter nuraghed as a user, and a user is no controller.
    assert refused("denied", site.soap, "vcf", "list_clusters", token=site.site_token()).status == 403
    for path in ("/events", "/metrics"):
        assert site.http("GET", path, token=site.site_token())[0] == 403
    assert site.http("GET", "/seeds/vc-x/sha256:00")[0] == 403
    assert site.http("GET", "/images/sha256:" + "0" * 64)[0] == 403
    assert site.http("GET", "/seeds/vc-x/sha256:00", token=site.site_token())[0] == 404
    status, body, _ = site.http("GET", "/images/../token", token=site.site_token())
    assert status in (400, 403, 404) and site.token().encode() not in body
    registration = ("<x:name>evil</x:name><x:site/><x:address>http://127.0.0.1:1/services/evil</x:address><x:tunnel/>"
                    "<x:driver/><x:accelerator/><x:total><y:cpus xmlns:y='urn:nuraghe:vhc:1'>1</y:cpus><y:memory "
                    "xmlns:y='urn:nuraghe:vhc:1'>1</y:memory><y:disk xmlns:y='urn:nuraghe:vhc:1'>1</y:disk></x:total>"
                    "<x:interval>PT1H</x:interval>")
    refused("denied", site.soap, "vhf", "register_physical_host", registration)
    # A controller with another token does not get in, and says so.
    stranger = site.vhcds["c"] = Vhcd(site, "c", token_file="v/own-token")
    stranger.start()
    site.until(lambda: "does not know" in stranger.log() or "401" in stranger.log(), "the stranger was refused")
    assert site.alive() == {"a", "b"}
    stranger.kill()
    del site.vhcds["c"]
    with open(os.path.join(site.folder, "v/own-token"), encoding="utf-8") as file:
        assert site.site_token() not in file.read()
    os.chmod(os.path.join(site.folder, "v/own-token"), 0o644)
    argv = [os.path.join(site.programs, "vhcd"), "--name", "c", "--state", "v/c", "--factory", site.base(), "--driver", "sim",
            "--token-file", "v/own-token"]
    done = subprocess.run(argv, cwd=site.folder, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "chmod 600" in done.stderr, done.stderr


def one_stops_renewing(site):
    site.vhcds["b"].process.send_signal(signal.SIGSTOP)
    try:
        site.until_alive("a")
        site.write("c.xml", blueprint("solo", 3))
        placed = site.json("create", "c.xml")["placements"]
        assert {place["physical_host"] for place in placed} == {"a"}, placed
        site.do("destroy", "solo", "--yes")
        site.write("big.xml", blueprint("big", 1, cpus=40))
        assert "cpu" in site.do("create", "big.xml", check=6).stderr
    finally:
        site.vhcds["b"].process.send_signal(signal.SIGCONT)
    site.until_alive("a", "b")
    site.do("create", "big.xml")
    site.do("destroy", "big", "--yes")


def gone_for_good(site):
    """A controller that never comes back: what is recorded there is lost, what it held is free, its cluster can be destroyed."""
    site.write("c.xml", blueprint("duo", 3))
    site.do("create", "c.xml")
    there = {name for name, member in hosts_of(site, "duo").items() if member["physical_host"] == "b"}
    assert len(there) == 2, there
    assert "is alive" in site.cli("host", "forget", "b", "--yes", check=5).stderr
    site.cli("host", "forget", "nobody", "--yes", check=4)
    site.vhcds["b"].kill()
    site.until_alive("a")
    said = site.cli("host", "forget", "b", "--yes").stdout
    assert "lost with it: 2 virtual hosts" in said and all(name in said for name in there), said
    assert [host["name"] for host in site.json("host", "ls")] == ["a"]
    for name, member in hosts_of(site, "duo").items():
        assert member["condition"] == ("lost: physical host b was forgotten" if name in there else ""), member
    assert "lost" in site.cli("pause", "duo", check=5).stderr
    assert site.json("show", "duo")["state"] == "running"
    site.do("destroy", "duo", "--yes")
    assert site.json("vh", "ls") == [] and site.json("host", "ls")[0]["reserved"]["cpus"] == 0
    site.cli("image", "rm", "tiny")  # nobody uses it
    site.import_image()
    site.vhcds["b"].start()
    site.until_alive("a", "b")
    site.until(lambda: not site.driver_hosts(), "what was left on b was destroyed")
    site.until(lambda: "has no part is left" in site.vhcds["b"].log(), "b left the network")


def kept_with_others_at_work(site):
    """A creation that fails and is kept: those that were at work then are ended, and at work no more."""
    a, b = site.vhcds["a"], site.vhcds["b"]
    for vhcd, option in ((a, ("--sim-delay", "create=2s", "--sim-fail", "create:*")), (b, ("--sim-delay", "create=3600s"))):
        assert vhcd.stop() == 0
        vhcd.start(*option)
    site.write("c.xml", blueprint("quad", 3, on_failure="keep"))
    site.do("create", "c.xml", check=1)
    site.until_quiet()
    hosts = site.json("vh", "ls")
    assert len(hosts) == 4 and not [host for host in hosts if host["operation"] or not host["condition"]], hosts
    assert site.json("show", "quad")["state"] == "broken"
    site.do("destroy", "quad", "--yes")
    check_empty(site)
    for vhcd in (a, b):
        assert vhcd.stop() == 0
        vhcd.start()


def unix_sockets(site):
    """A controller that moves to a UNIX socket, and back."""
    b, door = site.vhcds["b"], os.path.join(site.folder, "door")
    assert b.stop() == 0
    before = b.base
    b.listen, b.factory = f"unix:{door}", f"unix:{os.path.join(site.state, 'nuraghed.sock')}"
    b.start()
    site.until(lambda: "has another address now" in site.log(), "b was registered at its new address")
    assert os.stat(door).st_mode & 0o777 == 0o600
    site.write("c.xml", blueprint("duo", 3))
    site.do("create", "c.xml")
    assert {member["physical_host"] for member in hosts_of(site, "duo").values()} == {"a", "b"}
    check(site)
    for name in hosts_of(site, "duo"):
        assert "READY" in site.cli("console", f"duo/{name}").stdout
    assert b.stop() == 0
    b.listen, b.factory = "127.0.0.1:0", ""
    b.start()
    assert b.base == before  # the port of before
    site.until(lambda: site.log().count("has another address now") == 2, "b was registered at its old address")
    site.do("destroy", "duo", "--yes")  # hosts are found wherever their controller is now


def bad_options(site):
    def run(*arguments):
        given = {"--name": "x", "--state": "v/x", "--driver": "sim", **dict(zip(arguments[::2], arguments[1::2]))}
        argv = [os.path.join(site.programs, "vhcd"), *(word for pair in given.items() for word in pair)]
        return subprocess.run(argv, cwd=site.folder, capture_output=True, text=True, timeout=PATIENCE_S)

    for arguments, says in ((("--factory", "https://there"), "factory"), (("--factory", site.base() + "/x"), "base"),
                            (("--factory", site.base(), "--listen", "0.0.0.0:0"), "name the address"),
                            (("--factory", site.base(), "--listen", "nowhere"), "ADDRESS:PORT"),
                            (("--factory", site.base(), "--name", "vhf"), "name of a service"),
                            (("--factory", site.base(), "--memory", "much"), "much"),
                            (("--factory", site.base(), "--driver", "none"), "qemu and sim"), ((), "--factory")):
        done = run(*arguments)
        assert done.returncode == 2 and says in done.stderr + done.stdout, (arguments, done)
    done = run("--factory", site.base(), "--state", "v/a", "--token-file", "s/site-token")
    assert done.returncode == 1 and "another vhcd" in done.stderr, done
    done = subprocess.run([os.path.join(site.programs, "vhcd"), "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Example: vhcd" in done.stdout


FLOWS = [lifecycle, live_console, tokens, one_stops_renewing, gone_for_good, kept_with_others_at_work, unix_sockets, bad_options, nuraghed_is_killed, killed_in_a_create]


def main():
    clean_up_when_asked_to_end()
    wanted = sys.argv[2:]
    with Site(sys.argv[1]) as site:
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


if __name__ == "__main__":
    main()
