#!/usr/bin/python3
"""Leases of clusters through the real programs: short ones, whose ends are awaited by their events.

  lease.py PROGRAMS
"""
import datetime
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import attempt, states  # noqa: E402
from invariants import check, check_empty  # noqa: E402
from world import blueprint, clean_up_when_asked_to_end, Fault, World  # noqa: E402


def leased(name, lease):
    return blueprint(name, 1).replace("<placement", lease + "<placement")


def events_of(world, cluster, kind):
    return [event for event in world.events()[0] if event["cluster"] == cluster and event["kind"] == kind]


def await_event(world, cluster, kind, count=1):
    return world.until(lambda: len(events_of(world, cluster, kind)) >= count and events_of(world, cluster, kind),
                       f"cluster {cluster} had {count} of {kind}")[-1]


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def frozen_at_its_end(world):
    world.write("c.xml", leased("duo", '<lease duration="PT6S" notice="PT5S"/>'))
    cluster = world.json("create", "c.xml")["cluster"]
    shown = world.json("show", "duo")
    assert shown["lease_ending"] == "freeze", shown
    notice = await_event(world, cluster, "cluster.lease-ending")
    ended = await_event(world, cluster, "cluster.lease-ended")
    assert notice["attributes"]["lease_end"] == shown["lease_end"], notice
    assert time_of(notice["time"]) < time_of(shown["lease_end"]) <= time_of(ended["time"]), (shown, notice, ended)
    assert states(world, "duo") == ("frozen", ["frozen"])
    check(world)
    # Its processors and memory are free; to thaw it needs another lease.
    refused = world.cli("thaw", "duo", check=5).stderr
    assert "lease of cluster duo ended" in refused and "nuraghe extend duo" in refused, refused
    assert "lease: ended" in world.cli("show", "duo").stdout
    assert " ended " in world.cli("ls").stdout
    world.cli("extend", "duo", "--by", "2d")
    world.cli("thaw", "duo")
    assert states(world, "duo") == ("running", ["running"])
    assert "(in 1 d 23 h), then it is frozen" in world.cli("show", "duo").stdout
    world.cli("destroy", "duo", "--yes")
    assert not world.table("vcf_lease")


def destroyed_at_its_end(world):
    world.write("c.xml", leased("duo", '<lease duration="PT1S" at-end="destroy" notice="PT0S"/>'))
    cluster = world.json("create", "c.xml")["cluster"]
    await_event(world, cluster, "cluster.destroyed")
    assert world.json("ls") == []
    assert not events_of(world, cluster, "cluster.lease-ending")


def extended_in_time(world):
    world.write("c.xml", leased("duo", '<lease duration="PT1H"/>'))
    cluster = world.json("create", "c.xml")["cluster"]
    first = time_of(world.json("show", "duo")["lease_end"])
    by_blueprint = world.json("extend", "duo")
    assert time_of(by_blueprint["lease_end"]) == first + datetime.timedelta(hours=1), by_blueprint
    by = world.json("extend", "duo", "--by", "PT30M")
    assert time_of(by["lease_end"]) == first + datetime.timedelta(hours=1, minutes=30), by
    until = world.json("extend", "duo", "--until", "2040-01-31T12:00:00Z", "--then", "destroy", check=3)
    assert until["code"] == "invalid", until  # more than ten years
    assert time_of(world.json("show", "duo")["lease_end"]) == time_of(by["lease_end"])
    end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    until = world.json("extend", "duo", "--until", end, "--then", "destroy")
    assert time_of(until["lease_end"]) == time_of(end) and until["lease_ending"] == "destroy", until
    endless = world.json("extend", "duo", "--no-end")
    assert endless["lease_end"] is None and world.json("show", "duo")["lease_end"] is None, endless
    for wrong in (("--by", "never"), ("--until", "tomorrow"), ("--by", "1d", "--until", end), ("--then", "freeze")):
        world.cli("extend", "duo", *wrong, check=2)
    world.cli("extend", "duo", check=0)
    world.cli("extend", "nobody", "--by", "1d", check=4)
    assert len(events_of(world, cluster, "cluster.lease-set")) == 5
    try:
        world.soap("vcm", "end_lease", "<x:cluster>duo</x:cluster><x:lease_ending>destroy</x:lease_ending>")
        raise AssertionError("end_lease is for nuraghed alone")
    except Fault as fault:
        assert fault.code == "denied", fault
    world.cli("destroy", "duo", "--yes")


def over_a_restart(world):
    """The end comes while nuraghed is away."""
    world.write("c.xml", leased("duo", '<lease duration="PT1H"/>'))
    cluster = world.json("create", "c.xml")["cluster"]
    now = datetime.datetime.now(datetime.timezone.utc)
    end = now + datetime.timedelta(seconds=2)
    world.cli("extend", "duo", "--until", end.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    world.kill()
    # Back before or after it: both are the same to the cluster.
    world.start()
    await_event(world, cluster, "cluster.lease-ended")
    assert states(world, "duo") == ("frozen", ["frozen"])
    world.until_quiet()
    world.cli("destroy", "duo", "--yes")


def repeated_when_it_fails(world):
    world.write("c.xml", leased("duo", '<lease duration="PT1S" notice="PT0S"/>'))
    cluster = world.json("create", "c.xml")["cluster"]
    failed = await_event(world, cluster, "cluster.lease-failed")
    assert failed["severity"] == "error" and "tried again in" in failed["text"], failed
    assert "worker-1" in failed["text"], failed
    assert states(world, "duo") == ("running", ["running"])
    world.cli("extend", "duo", "--by", "1h")
    world.cli("destroy", "duo", "--yes")


def main():
    clean_up_when_asked_to_end()
    programs, *names = sys.argv[1:]
    ok = True
    for test, options in ((frozen_at_its_end, []), (destroyed_at_its_end, []), (extended_in_time, []),
                          (over_a_restart, []), (repeated_when_it_fails, ["--sim-fail", "freeze:worker-1"])):
        if names and test.__name__ not in names:
            continue
        with World(programs, options=options) as world:
            world.start()
            world.import_image()
            ok = attempt(test, world) and ok
            world.until_quiet()
            check_empty(world)
            code, _ = world.stop()
            ok = ok and code == 0
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
