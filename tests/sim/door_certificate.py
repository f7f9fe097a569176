#!/usr/bin/python3
"""An operator's own certificate at the doors of a site: people are shown it, machines of the site go on knowing nuraghed by
the site's CA.

  door_certificate.py PROGRAMS
"""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from invariants import check_empty  # noqa: E402
from oidc import Authority  # noqa: E402
from tls import lifecycle, TlsSite  # noqa: E402
from world import clean_up_when_asked_to_end, World  # noqa: E402

OPTIONS = ["--tls-certificate", "door.pem", "--tls-key", "door.key"]


def put(site, pair):
    """At once, as who renews a certificate does it."""
    for source, name in zip(pair, ("door.pem", "door.key")):
        path = os.path.join(site.folder, name)
        shutil.copyfile(source, path + ".new")
        os.chmod(path + ".new", 0o600)
        os.rename(path + ".new", path)


def refused(world, says, *options):
    assert not World.start(world, "--listen", "tls:127.0.0.1:0", *options, expect_death=True), options
    said = world.log().splitlines()[-1]
    assert says in said, said


def wrong_files(site, pair, other):
    put(site, (pair[0], other[1]))
    refused(site, "not that of the certificate", *OPTIONS)
    refused(site, "belong together", *OPTIONS[:2])
    refused(site, "belong together", *OPTIONS[2:])
    put(site, (pair[1], pair[1]))
    refused(site, "the certificate cannot be read as PEM", *OPTIONS)
    put(site, pair)
    os.chmod(site.path("door.key"), 0o644)
    refused(site, "may be read by others", *OPTIONS)
    put(site, pair)
    refused(site, "missing.pem", "--tls-certificate", "missing.pem", *OPTIONS[2:])


def seen_by(site, root):
    """What curl gets that trusts this root alone: 000 when it does not believe the door."""
    return site.curl("/healthz", "--cacert", root, roots=False, check=None)[0]


def command_line(site, root):
    site.write("user.token", site.token() + "\n")
    os.chmod(site.path("user.token"), 0o600)
    return site.cli("--server", site.base(), "--ca-file", root, "--token-file", "user.token", "host", "ls").stdout


def people_and_machines(site, public, pair):
    site.start(*OPTIONS)
    site.until_alive("a", "b")
    assert seen_by(site, public.file) == "401" and seen_by(site, site.roots()) == "000"
    # Our own programs say whom they trust: either will do.
    for root in (public.file, site.roots()):
        assert "a" in command_line(site, root)
    assert "verify OK" in site.s_client("-CAfile", public.file, "-tls1_2")[1].replace("Verification: OK", "verify OK")
    lifecycle(site)
    site.join("c")
    site.until_alive("a", "b", "c")
    return pair


def replaced(site, public, other):
    """Files that are replaced are shown within a second; wrong ones never."""
    site.write("door.key", "no key\n")
    site.until(lambda: "that of before stays" in site.log(), "a wrong key was seen")
    assert seen_by(site, public.file) == "401"
    put(site, other.issue("second"))
    site.until(lambda: seen_by(site, other.file) == "401", "the next certificate is shown")
    assert seen_by(site, public.file) == "000"
    site.until_alive("a", "b", "c")


def strangers(site):
    """Machines and people that were not let in at the network's door are in the audit log."""
    token = site.token_for("d")
    with open(site.path(token), encoding="utf-8") as file:
        name, _, digest = file.read().strip().split(".")
    site.write("forged.token", f"{name}.{'A' * 43}.{digest}\n")
    os.chmod(site.path("forged.token"), 0o600)
    site.try_vhcd("d", "forged.token")

    def found():
        told = [json.loads(line) for line in site.cli("-o", "json", "audit", "--all").stdout.splitlines()]
        return {(one["origin"], one["text"].split(";")[0]) for one in told if one["kind"] == "stranger"}
    site.until(lambda: {("site 127.0.0.1", "shown: a join token"), ("rest 127.0.0.1", "shown: no token")} <= found(),
               "strangers are in the audit log")


def without_a_ca(programs, public, pair):
    with World(programs, controllers=()) as world:
        put(world, pair)
        world.start("--listen", "tls:127.0.0.1:0", *OPTIONS)
        assert "https://127.0.0.1:" in world.banner, world.banner
        base = world.banner.split(" and ")[-1].strip()
        assert TlsSite.curl(world, "/healthz", "--cacert", public.file, roots=False, base=base)[0] == "401"
        assert world.stop()[0] == 0


def main():
    clean_up_when_asked_to_end()
    with TlsSite(sys.argv[1]) as site:
        public, other = (Authority(site.path("public"), name) for name in ("public", "other"))
        pair = public.issue("door")
        without_a_ca(sys.argv[1], public, pair)
        assert site.stop()[0] == 0
        wrong_files(site, pair, other.issue("stranger"))
        people_and_machines(site, public, pair)
        replaced(site, public, other)
        strangers(site)
        check_empty(site)
        for vhcd in site.vhcds.values():
            assert vhcd.stop() == 0
        assert site.stop()[0] == 0
    print("ok     an operator's own certificate")


if __name__ == "__main__":
    main()
