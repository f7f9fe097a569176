#!/usr/bin/python3
"""Frozen clusters whose states are in the repository: thawed on other physical hosts than those that froze them.

  frozen.py PROGRAMS [NAME...]

nuraghed has no controller in itself; two vhcds stand beside it, on simulated hypervisors.
"""
import glob
import json
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from invariants import check, check_empty  # noqa: E402
from vhcd import hosts_of, Site, watch  # noqa: E402
from world import blueprint, clean_up_when_asked_to_end, number, record, rows  # noqa: E402


PLACES_BEGIN, PLACES_STEP = 20, 12  # of the writes of a controller at which it is killed


def events(site, cluster, kind):
    lines = [json.loads(line) for line in site.cli("-o", "json", "events", cluster).stdout.splitlines()]
    return [one for one in lines if one["kind"] == kind]


def blobs(site):
    return set(os.listdir(os.path.join(site.state, "images/blobs/sha256")))


def beats(site, name, cluster="duo"):
    """The last beat on a host's console, where READY stands once."""
    text = site.cli("console", f"{cluster}/{name}").stdout
    assert text.count("READY") <= 1, text
    found = re.findall(r"beat (\d+)", text)
    return int(found[-1]) if found else 0


def frozen_duo(site):
    """A frozen cluster of four hosts on both physical hosts; where each is."""
    site.write("c.xml", blueprint("duo", 3))
    site.do("create", "c.xml")
    site.do("freeze", "duo")
    check(site)
    where = {name: member["physical_host"] for name, member in hosts_of(site, "duo").items()}
    assert sorted(where.values()) == ["a", "a", "b", "b"], where
    return where


def lose(site, name):
    """The machine burns, with all that it had."""
    site.vhcds[name].kill()
    shutil.rmtree(os.path.join(site.folder, "v", name))
    site.until_alive(*({"a", "b"} - {name}))


def parts(site, name):
    """The networks in which a controller takes part."""
    found = rows(os.path.join(site.folder, "v", name, "vhc.db"), "vhc_network")
    return [key for key, value in found if not number(record(value).get(2, [b"\0"])[0])]


def come_back(site, name):
    """Every host of its is elsewhere meanwhile: it gives up what it still has, its part in networks too."""
    site.vhcds[name].start()
    site.until_alive("a", "b")
    site.until(lambda: not parts(site, name), f"{name} left the networks")


def all_are(site, state, where):
    members = hosts_of(site, "duo")
    assert {member["state"] for member in members.values()} == {state}, members
    assert {member["physical_host"] for member in members.values()} == where, members


def goes_on_elsewhere(site):
    before = blobs(site)
    where = frozen_duo(site)
    assert len(events(site, "duo", "host.stored")) == 4
    assert len(blobs(site) - before) == 4 * 3, "a manifest, a configuration and a part of each"
    site.do("thaw", "duo")
    site.until(lambda: all(beats(site, name) > 1 for name in where), "every guest had a beat")
    counts = {name: beats(site, name) for name in where}
    site.do("freeze", "duo")
    lose(site, "a")
    site.do("thaw", "duo")
    all_are(site, "running", {"b"})
    moved = {one["attributes"]["name"]: one["attributes"] for one in events(site, "duo", "host.moved")}
    assert set(moved) == {name for name, there in where.items() if there == "a"}, moved
    assert all(one["from"] == "a" and one["physical_host"] == "b" for one in moved.values()), moved
    assert all(beats(site, name) >= count for name, count in counts.items()), "memory went on where it was"
    site.until(lambda: all(beats(site, name) > count for name, count in counts.items()), "every guest went on")
    assert blobs(site) == before, "what was thawed is not kept"
    assert not os.listdir(os.path.join(site.folder, "v/b/imports"))
    # Back, and back again: the other way round.
    come_back(site, "a")
    check(site)
    site.do("freeze", "duo")
    lose(site, "b")
    site.do("thaw", "duo")
    all_are(site, "running", {"a"})
    come_back(site, "b")
    for verb, state in (("pause", "paused"), ("resume", "running")):
        site.do(verb, "duo")
        all_are(site, state, {"a"})
    site.do("destroy", "duo", "--yes")


def the_old_one_comes_back(site):
    """It was only away: what it still has is nobody's any more, and its part in the networks is over until hosts return."""
    frozen_duo(site)
    site.vhcds["a"].kill()
    site.until_alive("b")
    site.do("thaw", "duo")
    all_are(site, "running", {"b"})
    come_back(site, "a")
    site.until(lambda: not glob.glob(os.path.join(site.folder, "v/a/hosts/hosts/*")), "a gave up its copies")
    check(site)
    site.do("freeze", "duo")
    site.vhcds["b"].kill()
    site.until_alive("a")
    site.do("thaw", "duo")
    all_are(site, "running", {"a"})
    come_back(site, "b")
    site.do("destroy", "duo", "--yes")


def door(site):
    """The memory of a host holds its secrets: its parts are open to nuraghed alone, as long as it is frozen."""
    where = frozen_duo(site)
    name = next(name for name, there in where.items() if there == "a")
    host = hosts_of(site, "duo")[name]["host"]
    [stored] = [one for one in events(site, "duo", "host.stored") if one["attributes"]["name"] == name]
    path = f"/services/a/hosts/{host}/frozen/{stored['attributes']['digest']}"
    a = site.vhcds["a"]
    status, manifest = a.get(path, site.site_token())
    assert status == 200 and json.loads(manifest)["layers"], manifest
    assert a.get(path, None)[0] == 401 and a.get(path, site.token())[0] == 401
    assert a.get(path.replace("sha256:", "sha256:0"), site.site_token())[0] == 404
    assert a.get(path.replace(host, "vh-nobody"), site.site_token())[0] == 404
    for token in (site.token(), site.site_token()):
        assert site.http("GET", path, token=token)[0] in (403, 404)
    site.do("thaw", "duo")
    assert a.get(path, site.site_token())[0] == 404
    site.do("destroy", "duo", "--yes")


def where_it_was(site):
    """Thawed where it is, nothing is fetched."""
    where = frozen_duo(site)
    site.do("thaw", "duo")
    assert {name: member["physical_host"] for name, member in hosts_of(site, "duo").items()} == where
    assert not events(site, "duo", "host.moved")
    site.do("destroy", "duo", "--yes")


def destroyed_while_frozen(site):
    before = blobs(site)
    frozen_duo(site)
    lose(site, "a")
    site.do("destroy", "duo", "--yes")
    assert site.json("vh", "ls") == []
    site.until(lambda: blobs(site) == before, "the states were deleted")
    come_back(site, "a")


def forgotten(site):
    """Given up for good: what is frozen is not lost."""
    frozen_duo(site)
    lose(site, "b")
    said = site.cli("host", "forget", "b", "--yes").stdout
    assert "lost with it: 0 virtual hosts" in said, said
    assert [one["name"] for one in site.json("host", "ls")] == ["a"]
    site.do("thaw", "duo")
    all_are(site, "running", {"a"})
    check(site)
    come_back(site, "b")
    site.do("destroy", "duo", "--yes")


def not_stored(site):
    """A state that does not get into the repository: the host is frozen all the same, where it is."""
    a = site.vhcds["a"]
    assert a.stop() == 0
    a.start("--sim-fail", "export:*")
    site.until_alive("a", "b")
    where = frozen_duo(site)
    warned = events(site, "duo", "host.changed")
    assert {one["attributes"]["name"] for one in warned} == {name for name, there in where.items() if there == "a"}, warned
    assert all("is on physical host a alone" in one["text"] and "simulated failure" in one["text"] for one in warned)
    a.kill()
    site.until_alive("b")
    thaw = site.begin("thaw", "duo")  # waits for a
    try:
        site.until(lambda: site.json("show", "duo")["state"] == "thawing", "it is being thawed")
        a.start()
        thaw.communicate(timeout=120)
    finally:
        thaw.kill()
        thaw.wait()
    assert thaw.returncode == 0, thaw.returncode
    site.until_alive("a", "b")
    assert {name: member["physical_host"] for name, member in hosts_of(site, "duo").items()} == where
    site.do("destroy", "duo", "--yes")


def import_fails(site):
    """The other physical host cannot take it over: the cluster stays frozen, and goes on when that is mended."""
    b = site.vhcds["b"]
    frozen_duo(site)
    assert b.stop() == 0
    b.start("--sim-fail", "import:*")
    site.until_alive("a", "b")
    lose(site, "a")
    failed = site.do("thaw", "duo", check=None)
    assert failed.returncode != 0 and "simulated failure of import" in failed.stderr, failed
    assert site.json("show", "duo")["state"] == "frozen"
    assert b.stop() == 0
    b.start()
    site.until_alive("b")
    site.do("thaw", "duo")
    all_are(site, "running", {"b"})
    come_back(site, "a")
    site.do("destroy", "duo", "--yes")


def forked(site):
    """Copies of a frozen cluster: what is inside stays, ids and segments are new; source and copies live on beside each other."""
    image_blobs = blobs(site)
    where = frozen_duo(site)
    site.do("thaw", "duo")
    site.until(lambda: all(beats(site, name) > 1 for name in where), "every guest had a beat")
    assert "is running" in site.do("fork", "duo", "twin", check=5).stderr
    counts = {name: beats(site, name) for name in where}
    site.do("freeze", "duo")
    source = hosts_of(site, "duo")
    for copy in ("twin", "other"):
        site.do("fork", "duo", copy)
        members = hosts_of(site, copy)
        assert {name: member["addresses"] for name, member in members.items()} == \
            {name: member["addresses"] for name, member in source.items()}
        assert not {member["host"] for member in members.values()} & {member["host"] for member in source.values()}
        assert {member["state"] for member in members.values()} == {"running"}, members
        assert all(beats(site, name, copy) >= count for name, count in counts.items()), "memory went on where it was"
    networks = {name: site.json("show", name)["networks"] for name in ("duo", "twin", "other")}
    assert len({one[0]["segment"] for one in networks.values()}) == 3, networks
    assert len({one[0]["subnet"] for one in networks.values()}) == 1, networks
    assert site.json("show", "duo")["state"] == "frozen"
    check(site)
    # The same key again makes nothing new.
    again = [json.loads(site.do("fork", "duo", "third", "--idempotency-key", "k").stdout)["cluster"] for _ in range(2)]
    assert again[0] == again[1], again
    assert "another request" in site.do("fork", "duo", "fourth", "--idempotency-key", "k", check=5).stderr
    site.do("destroy", "third", "--yes")
    assert "named twin already" in site.do("fork", "duo", "twin", check=5).stderr
    site.do("fork", "nobody", "x", check=4)
    assert "is no name" in site.do("fork", "duo", "No Name", check=None).stderr
    # The source goes on, and ends, without its copies; a copy freezes and moves as every cluster.
    site.do("thaw", "duo")
    site.do("destroy", "duo", "--yes")
    site.do("freeze", "twin")
    lose(site, "a")
    site.do("thaw", "twin")
    assert {member["physical_host"] for member in hosts_of(site, "twin").values()} == {"b"}
    come_back(site, "a")
    for copy in ("twin", "other"):
        site.do("destroy", copy, "--yes")
    site.until(lambda: not [name for name in blobs(site) if name not in image_blobs], "nothing is left of them")
    for name in "ab":
        index = os.path.join(site.folder, f"v/{name}/images/index.json")
        if os.path.exists(index):
            with open(index, encoding="utf-8") as file:
                assert ".frozen" not in file.read(), "copies of states stay at controllers"


def killed_in_an_import(site):
    """kill -9 of the one that takes over, at many places of the thaw: it is thawed in the end, once."""
    outcomes = []
    b = site.vhcds["b"]
    for place in range(PLACES_BEGIN, 2000, PLACES_STEP):
        frozen_duo(site)
        site.vhcds["a"].kill()
        b.kill()
        b.start("--crash-at", str(place))
        if b.process is None:
            b.start()
        site.until_alive("b")
        code, died = watch(site, b, "thaw", "duo")
        site.until_alive("b")
        if code != 0:
            assert site.json("show", "duo")["state"] == "frozen"
            site.do("thaw", "duo")
        all_are(site, "running", {"b"})
        come_back(site, "a")
        check(site)
        site.do("destroy", "duo", "--yes")
        outcomes.append((place, died, code))
        if not died and any(before[1] for before in outcomes):
            break  # beyond the end of the thaw
    print("       places of killing, exit code of thaw: " +
          ", ".join(f"{place} {'died' if died else 'lived'} {code}" for place, died, code in outcomes))
    assert any(died for _, died, _ in outcomes), outcomes


FLOWS = [goes_on_elsewhere, the_old_one_comes_back, door, where_it_was, destroyed_while_frozen, forgotten, not_stored, import_fails,
         forked]
BY_NAME = [killed_in_an_import]  # takes longer than all the others


def main():
    clean_up_when_asked_to_end()
    wanted = sys.argv[2:]
    with Site(sys.argv[1]) as site:
        for flow in [one for one in FLOWS + BY_NAME if one.__name__ in wanted] or FLOWS:
            began = time.monotonic()
            flow(site)
            check_empty(site)
            print(f"ok     {flow.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        for vhcd in site.vhcds.values():
            assert vhcd.stop() == 0
        assert site.stop()[0] == 0


if __name__ == "__main__":
    main()
