#!/usr/bin/python3
"""Kills nuraghed at every store commit and every outgoing message of a create, a destroy, a freeze and a thaw, and
of a machine's deployment and release.

  enumerate.py PROGRAMS [--jobs N] [--stride K] [--offset K] [--only FLOW] [--point N]

Every K-th place is taken, by default every fifth (or every NURAGHE_CRASH_STRIDE-th), the first of which comes from
NURAGHE_SEED: from commit to commit others; `make test-all` takes all.

An uninterrupted run with --deterministic counts the places: two per commit (before it, after it), one per message or
reply. Then, for each of them, nuraghed is started on a copy of the same state, gets the same request, and ends by
SIGKILL there. It is started again, as always (many threads), and when nothing is at work any more the cluster exists
whole or not at all, and everything in invariants.py holds; so with the machine. Then the request is repeated as its client would.
"""
import argparse
import concurrent.futures
import os
import re
import sys
import time
import traceback
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../sim"))
from invariants import check, check_empty  # noqa: E402
from world import (CONFIGURATION, Died, Fault, World, blueprint, child, children,  # noqa: E402
                   clean_up_when_asked_to_end)

WORKERS = 1
KEY = "the-key"


class Create:
    name = "create"
    blueprint = "<x:request xmlns:f='urn:nuraghe:vcf:1'><f:blueprint>" + blueprint("duo", WORKERS) + \
        f"</f:blueprint><f:idempotency_key>{KEY}</f:idempotency_key></x:request>"

    @staticmethod
    def prepare(world):
        pass

    @staticmethod
    def send(world):
        return child(world.soap("vcm", "create_vc", Create.blueprint, "urn:test:create"), "cluster")

    @staticmethod
    def verify(world):
        before = check(world)
        assert len(before) <= 1, before
        for _, state, hosts in before.values():
            assert state == "running" and len(hosts) == WORKERS + 1, f"half a cluster: {before}"
        # The same message gets its first answer, another one with the same key the same cluster.
        cluster = Create.send(world)
        again = child(world.soap("vcm", "create_vc", Create.blueprint), "cluster")
        assert again == cluster, f"the key gave {cluster}, then {again}"
        assert not before or set(before) == {cluster}, f"it was {before}, the key gave {cluster}"
        world.until_quiet()
        after = check(world)
        assert list(after) == [cluster] and after[cluster][1] == "running" and len(after[cluster][2]) == WORKERS + 1
        return "whole" if before else "absent"


class Destroy:
    name = "destroy"

    @staticmethod
    def prepare(world):
        Create.send(world)
        world.until_quiet()

    @staticmethod
    def send(world):
        world.soap("vcm", "destroy_vc", "<x:cluster>duo</x:cluster>", "urn:test:destroy")

    @staticmethod
    def verify(world):
        before = check(world)
        for _, state, hosts in before.values():
            assert state == "running" and len(hosts) == WORKERS + 1, f"half a cluster: {before}"
        if before:
            Destroy.send(world)
            world.until_quiet()
        check_empty(world)
        return "whole" if before else "absent"


class Change:
    """Freezes or thaws the cluster: afterwards it is as before, or changed, but every host alike."""

    def __init__(self, name, source, target):
        self.name, self.source, self.target = name, source, target

    def prepare(self, world):
        Create.send(world)
        if self.source == "frozen":
            world.soap("vcm", "freeze_vc", "<x:cluster>duo</x:cluster>")

    def send(self, world):
        world.soap("vcm", self.name + "_vc", "<x:cluster>duo</x:cluster>", "urn:test:" + self.name)

    def verify(self, world):
        [(_, state, hosts)] = check(world).values()
        assert state in (self.source, self.target) and len(hosts) == WORKERS + 1, state
        self.send(world)
        world.until_quiet()
        [(_, after, _)] = check(world).values()
        assert after == self.target, after
        return state


class CreateSingle:
    """A single host, as a client makes it: its identity first, then the host."""
    name = "create-single"

    @staticmethod
    def prepare(world):
        pass

    @staticmethod
    def send(world):
        node = CONFIGURATION.format(image="tiny", cpus=1, memory="16MiB").replace("configuration", "node").replace(
            "xmlns=", 'name="one" xmlns=')
        identified = world.soap("vcf", "identify_host", f"<x:fragment>{node}</x:fragment><x:authorized_key>k</x:authorized_key>",
                                "urn:test:identify")
        fragment = ET.tostring(children(identified, "fragment")[0][0], encoding="unicode")
        seed = children(identified, "seed")[0]
        request = (f'<x:request xmlns:f="urn:nuraghe:vhf:1" xmlns:c="urn:nuraghe:vhc:1"><f:host/><f:fragment>{fragment}</f:fragment>'
                   f'<f:requirement/><f:seed><c:digest>{child(seed, "digest")}</c:digest>'
                   f'<c:address>{child(seed, "address")}</c:address></f:seed><f:keep>false</f:keep></x:request>')
        return child(world.soap("vhm", "create_vh", request, "urn:test:create"), "host")

    @staticmethod
    def verify(world):
        # What it was doing was done, or not begun: its client goes on with the same messages.
        world.until_quiet()
        before = children(world.soap("vhf", "list_virtual_hosts"), "host")
        host = CreateSingle.send(world)
        check(world)
        assert [child(one, "id") for one in children(world.soap("vhf", "list_virtual_hosts"), "host")] == [host]
        assert len(world.table("vcf_identity")) == 1, "the host has more than its identity, or less"
        return "whole" if before else "absent"


class DestroySingle:
    name = "destroy-single"

    @staticmethod
    def prepare(world):
        CreateSingle.send(world)
        world.until_quiet()

    @staticmethod
    def send(world):
        [host] = [child(one, "id") for one in children(world.soap("vhf", "list_virtual_hosts"), "host")]
        world.soap("vhm", "destroy_vh", f"<x:host>{host}</x:host>", "urn:test:destroy")

    @staticmethod
    def verify(world):
        check(world)
        before = children(world.soap("vhf", "list_virtual_hosts"), "host")
        if before:
            DestroySingle.send(world)
        check_empty(world)
        assert not world.table("vcf_seed"), "the private key of the host is left"
        return "whole" if before else "absent"


class Deploy:
    """A machine gets a system: afterwards it has all of it, or is as before."""
    name = "deploy"
    steps = ["start-system", "partition", "make-filesystems", "populate", "configure", "boot"]

    @staticmethod
    def prepare(world):
        world.soap("hades", "enrol_machine", "<x:name>m1</x:name><x:driver>sim</x:driver>")
        world.soap("hades", "inspect_machine", "<x:name>m1</x:name>")

    @staticmethod
    def send(world):
        node = CONFIGURATION.format(image="tiny", cpus=1, memory="16MiB").replace("configuration", "node").replace(
            "xmlns=", 'name="one" xmlns=')
        return child(world.soap("hades", "deploy", f"<x:machine>m1</x:machine><x:fragment>{node}</x:fragment>",
                                "urn:test:deploy"), "deployment")

    @staticmethod
    def machine(world):
        [machine] = children(world.soap("hades", "get_machine", "<x:name>m1</x:name>"), "machine")
        assert not child(machine, "operation") and not child(machine, "condition"), ET.tostring(machine)
        deployments = children(world.soap("hades", "list_deployments"), "deployment")
        state = child(machine, "state")
        assert state in ("available", "deployed") and len(deployments) == (state == "deployed"), state
        for one in deployments:
            steps = [(child(step, "step"), child(step, "state")) for step in children(one, "step")]
            assert steps == [(step, "done") for step in Deploy.steps], steps
        assert len(world.table("vhir_hold")) == len(deployments)
        return state, child(machine, "deployment"), child(machine, "unwiped"), child(machine, "power")

    @staticmethod
    def verify(world):
        before = Deploy.machine(world)
        assert before[0] == "deployed" or before[1:3] == ("", ""), before
        deployment = Deploy.send(world)
        world.until_quiet()
        assert Deploy.machine(world) == ("deployed", deployment, "default", "on")
        assert before[1] in ("", deployment), "it was deployed twice"
        return "whole" if before[1] else "absent"


class Release:
    """A machine is given back: afterwards it is wiped, off and nobody's, or deployed as before."""
    name = "release"

    @staticmethod
    def prepare(world):
        Deploy.prepare(world)
        Deploy.send(world)
        world.until_quiet()

    @staticmethod
    def send(world):
        [deployment] = children(world.soap("hades", "list_deployments"), "deployment")
        world.soap("hades", "release", f"<x:deployment>{child(deployment, 'id')}</x:deployment><x:wipe>full</x:wipe>",
                   "urn:test:release")

    @staticmethod
    def verify(world):
        before = Deploy.machine(world)
        if before[0] == "deployed":
            Release.send(world)
            world.until_quiet()
        assert Deploy.machine(world) == ("available", "", "", "off")
        assert not world.table("hades_deployment")
        return "whole" if before[0] == "deployed" else "absent"


FLOWS = [Create, Destroy, Change("freeze", "running", "frozen"), Change("thaw", "frozen", "running"), CreateSingle,
         DestroySingle, Deploy, Release]


def prepare(world, flow):
    """Leaves a stopped World in which the flow may begin."""
    world.start()
    world.import_image()
    flow.prepare(world)
    world.until_quiet()
    world.stop()


def count(base, flow):
    """The places of an uninterrupted run, its commits, its messages and replies."""
    with base.copy() as world:
        world.start("--deterministic", "--count-crash-points")
        flow.send(world)
        code, output = world.stop()
        assert code == 0, code
        return tuple(int(re.search(f"{what}: ([0-9]+)", output)[1]) for what in ("passed", "commits", "sends"))


def kill_at(base, flow, point):
    """What stood there after the restart."""
    with base.copy() as world:
        if world.start("--deterministic", "--crash-at", str(point), expect_death=True):
            try:
                flow.send(world)
            except Died:
                pass
            code, _ = world.stop()
            assert code == -9, f"nuraghed was not killed at place {point}: exit code {code}"
        world.start()
        world.until_quiet()
        outcome = flow.verify(world)
        code, _ = world.stop()
        assert code == 0, code
        return outcome


def enumerate_flow(arguments, flow):
    with World(arguments.programs, options=["--no-tcp"]) as base:
        prepare(base, flow)
        passed, commits, sends = count(base, flow)
        assert count(base, flow) == (passed, commits, sends), "an uninterrupted run is not the same twice"
        assert passed == 2 * commits + sends, f"{passed} places, {commits} commits, {sends} messages"
        points = range(1 + arguments.offset, passed + 1, arguments.stride)
        if arguments.point:
            points = [arguments.point]
        failed, outcomes, begin = [], {}, time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            runs = {pool.submit(kill_at, base, flow, point): point for point in points}
            for run in concurrent.futures.as_completed(runs):
                try:
                    outcome = run.result()
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
                except (AssertionError, Died, Fault, OSError):
                    failed.append(runs[run])
                    print(f"{flow.name}: killed at place {runs[run]}:", flush=True)
                    traceback.print_exc(limit=-3, file=sys.stdout)
        print(f"{flow.name}: {passed} places = {commits} commits, before and after each, + {sends} messages and "
              f"replies of an uninterrupted run; killed at {len(points)} of them, from {points[0]} on, in {time.monotonic() - begin:.0f} s; "
              f"afterwards it was {outcomes}; failed: {sorted(failed) or 'none'}", flush=True)
        return not failed


def main():
    clean_up_when_asked_to_end()
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--stride", type=int, default=int(os.environ.get("NURAGHE_CRASH_STRIDE", "5")))
    parser.add_argument("--offset", type=int)
    parser.add_argument("--only", choices=[flow.name for flow in FLOWS])
    parser.add_argument("--point", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.offset is None:
        arguments.offset = int(os.environ.get("NURAGHE_SEED", "0")) % arguments.stride
    flows = [flow for flow in FLOWS if arguments.only in (None, flow.name)]
    return 0 if all([enumerate_flow(arguments, flow) for flow in flows]) else 1


if __name__ == "__main__":
    sys.exit(main())
