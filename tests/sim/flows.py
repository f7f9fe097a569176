#!/usr/bin/python3
"""Every flow of clusters and single hosts through the real programs, on simulated hypervisors.

  flows.py PROGRAMS direct|http [NAME...]

direct: services of nuraghed call one another directly; http: everything goes as SOAP over HTTP. After each flow the
control plane must be as empty as before.
"""
import concurrent.futures
import glob
import json
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from invariants import check, check_empty, refused  # noqa: E402
from world import CONFIGURATION, SOAP, blueprint, child, children, clean_up_when_asked_to_end, soap_envelope, STATES, World  # noqa: E402

NODE = '<?xml version="1.0"?>\n' + CONFIGURATION.format(image="tiny", cpus=1, memory="16MiB").replace(
    "xmlns=", 'name="one" xmlns=')


def reserved(world):
    """CPUs and memory that are reserved on all physical hosts."""
    hosts = world.json("host", "ls")
    return sum(host["reserved"]["cpus"] for host in hosts), sum(host["reserved"]["memory"] for host in hosts)


def states(world, cluster):
    shown = world.json("show", cluster)
    return shown["state"], sorted({member["state"] for member in shown["members"]})


def cluster_lifecycle(world):
    world.write("c.xml", blueprint("duo", 2))
    created = world.json("create", "c.xml")
    assert len(created["placements"]) == 3, created
    assert states(world, "duo") == ("running", ["running"])
    assert {place["physical_host"] for place in created["placements"]} == {"a", "b"}
    for member in world.json("show", "duo")["members"]:
        image = member["image"]
        assert image["wanted"] == {"name": "tiny"} and (image["name"], image["version"]) == ("tiny", "1"), image
        assert re.fullmatch("sha256:[0-9a-f]{64}", image["digest"]), image
    assert reserved(world) == (3, 48 << 20)
    for verb, state in (("pause", "paused"), ("resume", "running"), ("freeze", "frozen"), ("thaw", "running")):
        for time_of in ("first", "second"):  # a command may be repeated
            said = world.cli(verb, "duo").stdout
            assert (f"is already {state}" in said) == (time_of == "second"), said
            if verb == "thaw" and time_of == "first":
                steps = [step for step in progress(said) if "worker-1" in step]
                assert re.match("memory of worker-1 restored on [ab] ", steps[0]), steps
                assert re.match("worker-1 running on [ab] ", steps[1]) and "paused" not in said, said
            assert states(world, "duo") == (state, [state])
        assert reserved(world) == ((0, 0) if state == "frozen" else (3, 48 << 20))
        check(world)
    world.cli("pause", "duo")
    before = check(world)
    assert "is paused" in world.cli("thaw", "duo", check=5).stderr
    assert check(world) == before
    world.cli("freeze", "duo")  # a paused cluster may be frozen
    assert states(world, "duo") == ("frozen", ["frozen"])
    assert "is frozen" in world.cli("pause", "duo", check=5).stderr
    said = world.cli("destroy", "duo", "--yes").stdout
    assert "head" in said and "worker-2" in said, said  # says what it destroys
    check_empty(world)
    assert world.json("ls") == []
    # What is gone can still be looked at, and destroying it again is no harm.
    assert world.json("show", "duo")["state"] == "destroyed"
    kinds = [json.loads(line)["kind"] for line in world.cli("-o", "json", "events", "duo").stdout.splitlines()]
    assert "cluster.running" in kinds and "cluster.destroyed" in kinds, kinds
    assert "is already destroyed" in world.cli("destroy", "duo", "--yes").stdout
    world.soap("vcm", "destroy_vc", "<x:cluster>duo</x:cluster>")
    for verb in ("pause", "resume", "freeze", "thaw"):
        assert re.search(r"cluster duo is destroyed since 20\d\d-", world.cli(verb, "duo", check=4).stderr)
    for verb in ("destroy", "pause"):
        world.cli(verb, "nobody", check=4)  # never heard of
    world.until_quiet()
    check_empty(world)


def stop_by_hypervisor(world, names, reason):
    """As after a full disk: while nuraghed is away the hypervisor stops these hosts; when it is back it finds them so."""
    ids = {member["name"]: member["host"] for member in world.json("show", "duo")["members"]}
    world.stop()
    for name in names:
        [path] = glob.glob(os.path.join(world.state, "vhc/*/hosts/hosts", ids[name]))
        with open(path, "r+b") as file:
            sized = file.read()[0] & 3  # how the specification, a record too, is written
            # state = paused, reason: what comes last counts
            file.write(bytes([2 << 2, STATES.index("paused") << 1, 6 << 2 | sized, len(reason)]) + reason.encode())
    world.start()

    def stopped():
        members = {member["name"]: member for member in world.json("show", "duo")["members"]}
        return all(reason in members[name]["condition"] for name in names)

    world.until(stopped, "the hosts were found stopped")


def resume_of_stopped(world):
    """Resuming a running cluster lets go on what its hypervisor stopped, and nothing else is touched."""
    world.write("c.xml", blueprint("duo", 2))
    world.cli("create", "c.xml")
    assert "is already running" in world.cli("resume", "duo").stdout
    stop_by_hypervisor(world, ["head", "worker-2"], "no space left")
    assert states(world, "duo") == ("running", ["paused", "running"])
    said = world.cli("resume", "duo").stdout
    steps = "".join(progress(said))
    assert "head running on" in steps and "worker-2 running on" in steps and "worker-1 running on" not in steps, said
    assert states(world, "duo") == ("running", ["running"])
    assert not any(member["condition"] for member in world.json("show", "duo")["members"])
    assert "is already running" in world.cli("resume", "duo").stdout
    world.soap("vcm", "resume_vc", "<x:cluster>duo</x:cluster>")
    # One of them cannot: what was stopped is so again, what ran runs.
    stop_by_hypervisor(world, ["head", "worker-2"], "no space left")
    world.options.append("--sim-fail=resume:worker-2")
    world.stop()
    world.start()
    assert "worker-2" in world.cli("resume", "duo", check=1).stderr
    shown = {member["name"]: member["state"] for member in world.json("show", "duo")["members"]}
    assert shown == {"head": "paused", "worker-1": "running", "worker-2": "paused"}, shown
    assert world.json("show", "duo")["state"] == "running"
    world.cli("destroy", "duo", "--yes")
    check_empty(world)


def host_lifecycle(world):
    world.write("node.xml", NODE)
    host = world.json("vh", "create", "node.xml", "--name", "alone")["host"]
    for verb, state in (("pause", "paused"), ("resume", "running"), ("freeze", "frozen"), ("thaw", "running")):
        for time_of in ("first", "second"):
            said = world.cli("vh", verb, "alone").stdout
            assert (f"is already {state}" in said) == (time_of == "second"), said
            assert world.json("vh", "show", "alone")["state"] == state
        check(world)
    shown = world.json("vh", "show", host)
    assert shown["name"] == "alone" and sorted(shown["image"]) == ["digest", "name", "version"], shown
    assert len(world.json("vh", "ls")) == 1
    assert "alone" in world.cli("vh", "create", "node.xml", "--name", "alone", check=5).stderr
    check(world)
    world.cli("vh", "destroy", "alone")
    check_empty(world)
    assert "is already destroyed" in world.cli("vh", "destroy", "alone").stdout
    assert world.json("vh", "show", host)["state"] == "destroyed"
    assert re.search(r"virtual host alone is destroyed since 20\d\d-", world.cli("vh", "pause", "alone", check=4).stderr)
    world.cli("vh", "destroy", "nobody", check=4)
    check_empty(world)


def ssh_port_taken(world):
    """Somebody takes a frozen host's ssh port: it comes back with another, and says so."""
    world.write("node.xml", NODE)
    world.cli("vh", "create", "node.xml", "--name", "alone")
    before = world.json("vh", "show", "alone")["ssh_port"]
    world.cli("vh", "freeze", "alone")
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", before))
        thief.listen()
        said = world.cli("vh", "thaw", "alone").stdout
        after = world.json("vh", "show", "alone")["ssh_port"]
        assert after not in (0, before) and f"its ssh has moved to port {after}" in said, (before, after, said)
        world.cli("vh", "freeze", "alone")
    said = world.cli("vh", "thaw", "alone").stdout
    assert world.json("vh", "show", "alone")["ssh_port"] == after and "moved" not in "".join(progress(said)), said
    world.cli("vh", "destroy", "alone")
    check_empty(world)


def validation_and_dry_run(world):
    world.write("c.xml", blueprint("duo", 2))
    world.cli("validate", "c.xml")
    text = world.cli("create", "c.xml", "--dry-run", "--explain").stdout
    assert re.search(r"worker-1 +[ab] +\S", text), text
    placed = world.json("create", "c.xml", "--dry-run", "--explain", "--policy", "optimise")
    assert len(placed["placements"]) == 3 and all(place["explanation"] for place in placed["placements"]), placed
    for policy in ("random", "round-robin", "pack", "spread"):
        assert len(world.json("create", "c.xml", "--dry-run", "--policy", policy)["placements"]) == 3
    check_empty(world)
    # All findings at once, each with its place.
    bad = blueprint("duo", 2, image="nothing").replace('name="head" role', 'name="worker-1" role')
    world.write("bad.xml", bad.replace("<network", "\n<network"))
    done = world.cli("validate", "bad.xml", check=3)
    places = re.findall(r"^bad\.xml:\d+:\d+", done.stdout, re.M)
    assert len(places) >= 2 and "nothing" in done.stdout and "worker-1" in done.stdout, done.stdout
    assert world.cli("create", "bad.xml", check=3).stderr
    check_empty(world)


def idempotency_key(world):
    world.write("c.xml", blueprint("duo", 1))
    first = world.json("create", "c.xml", "--idempotency-key", "k1")["cluster"]
    assert world.json("create", "c.xml", "--idempotency-key", "k1")["cluster"] == first
    assert "duo" in world.cli("create", "c.xml", check=5).stderr  # the name is taken
    other = world.json("create", "c.xml", "--idempotency-key", "k2", "--name", "other")["cluster"]
    assert other != first
    assert len(check(world)) == 2
    for name in ("duo", "other"):
        world.cli("destroy", name, "--yes")
    check_empty(world)
    again = world.json("create", "c.xml", "--idempotency-key", "k1")["cluster"]
    assert again != first
    world.cli("destroy", "duo", "--yes")
    check_empty(world)


def one_creates_at_a_time(world):
    """Two creates at once that fit only one: one succeeds, the other is refused, never half of it."""
    for round_number in range(3):
        for name in ("left", "right"):
            world.write(f"{name}.xml", blueprint(name, 2, cpus=18))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = list(pool.map(lambda name: world.cli("create", f"{name}.xml", check=None), ("left", "right")))
        codes = sorted(one.returncode for one in done)
        assert codes == [0, 6], f"round {round_number}: {codes} {[one.stderr for one in done]}"
        refusal = max(done, key=lambda one: one.returncode).stderr
        assert re.search(r"\d+ .*cpu", refusal, re.I), refusal
        clusters = list(check(world).values())
        assert len(clusters) == 1 and len(clusters[0][2]) == 3, clusters
        world.cli("destroy", clusters[0][0], "--yes")
        check_empty(world)


def curl(world, service, envelope, *options):
    """A POST by curl over TCP; returns the status and the text."""
    with open(os.path.join(world.state, "port"), encoding="utf-8") as file:
        port = file.read().strip()
    done = subprocess.run(["curl", "-s", "-w", "\n%{http_code}", "-H", "Content-Type: text/xml", *options, "--data-binary", "@-",
                           f"http://127.0.0.1:{port}/services/{service}"], input=envelope, capture_output=True, text=True,
                          timeout=120, check=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def one_envelope_by_curl(world):
    cluster = (f'<Envelope xmlns="{SOAP}"><Body><create_vc xmlns="urn:nuraghe:vcm:1"><request>'
               f'<blueprint xmlns="urn:nuraghe:vcf:1">{blueprint("curled", 1)}</blueprint>'
               "</request></create_vc></Body></Envelope>")
    node = ('<node xmlns="urn:nuraghe:node:1" name="single"><image name="tiny"/><cpus>1</cpus>'
            "<memory>16MiB</memory></node>")
    host = (f'<Envelope xmlns="{SOAP}"><Body><create_vh xmlns="urn:nuraghe:vhm:1"><request xmlns:f="urn:nuraghe:vhf:1">'
            f"<f:host/><f:fragment>{node}</f:fragment><f:requirement/>"
            '<f:seed xmlns:c="urn:nuraghe:vhc:1"><c:digest/><c:address/></f:seed><f:keep>false</f:keep>'
            "</request></create_vh></Body></Envelope>")
    token = ("-H", "Authorization: Bearer " + world.token())
    for options in ((), ("-H", "Authorization: Bearer wrong"), ("-H", "Authorization: Basic " + world.token())):
        for service, envelope in (("vcm", cluster), ("vhm", host)):
            status, _ = curl(world, service, envelope, *options)
            assert status == 401, status
    check_empty(world)
    status, text = curl(world, "vcm", cluster, *token)
    assert status == 200 and "create_vcResponse" in text, text
    status, text = curl(world, "vhm", host, *token)
    assert status == 200 and "create_vhResponse" in text and "/services/" in text, text
    names = {one["name"] for one in world.json("vh", "ls")}
    assert names == {"head", "worker-1", "single"}, names
    check(world)
    world.cli("destroy", "curled", "--yes")
    world.cli("vh", "destroy", "single")
    check_empty(world)


# ---- when something fails: each starts a nuraghed of its own ----
def third_of_four_fails(world):
    world.write("c.xml", blueprint("quad", 3))
    failed = world.cli("create", "c.xml", check=1)
    assert "worker-2" in failed.stderr and "fail" in failed.stderr, failed.stderr
    check_empty(world)
    # What happened stays readable.
    events = world.cli("events", "quad").stdout
    assert "worker-2" in events, events
    assert "worker-2" in world.cli("show", "quad").stdout


def kept_when_failed(world):
    world.write("c.xml", blueprint("quad", 3, on_failure="keep"))
    failed = world.cli("create", "c.xml", check=1)
    assert "worker-2" in failed.stderr, failed.stderr
    world.until_quiet()
    shown = world.json("show", "quad")
    assert shown["state"] == "broken" and "worker-2" in shown["condition"], shown
    by_name = {member["name"]: member for member in shown["members"]}
    assert by_name["worker-2"]["condition"], by_name
    # It says so itself, and can be looked at.
    assert "worker-2" in world.cli("show", "quad").stdout
    world.cli("pause", "quad", check=5)
    world.cli("destroy", "quad", "--yes")
    check_empty(world)


def one_in_eight_fails(world):
    world.write("c.xml", blueprint("many", 63))
    failed = world.cli("create", "c.xml", check=1)
    assert re.search(r"worker-\d+|head", failed.stderr), failed.stderr
    world.until_quiet()
    check_empty(world)


def freeze_fails(world):
    """What was paused for a freeze that fails goes on; what was paused before stays so."""
    world.write("c.xml", blueprint("duo", 2))
    world.cli("create", "c.xml")
    failed = world.cli("freeze", "duo", check=1)
    assert "worker-2" in failed.stderr, failed.stderr
    world.until_quiet()
    assert states(world, "duo") == ("running", ["running"]), world.cli("show", "duo").stdout
    check(world)
    world.cli("pause", "duo")
    failed = world.cli("freeze", "duo", check=1)
    assert "worker-2" in failed.stderr, failed.stderr
    world.until_quiet()
    assert states(world, "duo") == ("paused", ["paused"]), world.cli("show", "duo").stdout
    check(world)
    world.cli("destroy", "duo", "--yes")
    check_empty(world)


def until_event(world, kind, after=0, about=""):
    """`about`: a part of the event's text."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        events, after = world.events(after, "30s")
        if any(event["kind"] == kind and about in event["text"] for event in events):
            return
    raise AssertionError(f"no event {kind} {about}")


def abort_of_a_create(world):
    """Creation takes an hour here: only an abort can end it."""
    world.write("c.xml", blueprint("slow", 2))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        creating = pool.submit(world.cli, "create", "c.xml", check=None)
        until_event(world, "host.placed")
        world.until(lambda: any(key for key in running_jobs(world)), "hosts were being created")
        assert "slow" in world.cli("pause", "slow", check=5).stderr
        world.cli("abort", "slow")
        done = creating.result()
    assert done.returncode == 1 and "abort" in done.stderr, (done.returncode, done.stderr)
    world.until_quiet()
    check_empty(world)
    world.cli("abort", "slow", check=5)


def abort_while_the_network_is_made(world):
    """The network is half made when the create is aborted: who makes it is ended with the create, and it is undone as well."""
    world.write("c.xml", blueprint("slow", 2))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        creating = pool.submit(world.cli, "create", "c.xml", check=None)
        world.until(lambda: "vhf-create_network" in world.running_workflows(), "the network was being made")
        world.until(lambda: not running_jobs(world) and "vhf-create" not in world.running_workflows(), "the hosts were there")
        world.cli("abort", "slow")
        done = creating.result()
    assert done.returncode == 1 and "abort" in done.stderr, (done.returncode, done.stderr)
    world.until(lambda: not world.running_workflows(), "nothing ran any more")
    instances = world.json("workflow", "ls")["instances"]
    assert [one["state"] for one in instances if one["process"] == "vhf-create_network"] == ["terminated"], instances
    assert [one["state"] for one in instances if one["process"] == "vhf-destroy_network"] == ["completed"], instances
    check_empty(world)


def late_order(world):
    """An order that its abort overtook on the way to the controller is refused there."""
    world.write("node.xml", NODE)
    host = world.json("vh", "create", "node.xml", "--name", "one")["host"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pausing = pool.submit(world.cli, "vh", "pause", host, check=None)
        world.until(lambda: running_jobs(world), "it was being paused")
        world.cli("vh", "abort", host)
        assert pausing.result().returncode == 1, pausing.result()
    [order] = [one["id"] for one in world.json("workflow", "ls")["instances"] if one["process"] == "vhf-pause"]
    shown = world.json("vh", "show", host)
    assert (shown["state"], shown["operation"]) == ("running", ""), shown
    text = soap_envelope("vhc", "pause_host", f"<x:id>{host}</x:id>").replace(
        "<s:Header>", f'<s:Header><c:conversation xmlns:c="urn:nuraghe:context:1">{order}</c:conversation>')
    refused("cancelled", world.soap_text, shown["physical_host"], text)
    check(world)
    world.cli("vh", "destroy", host)
    check_empty(world)


def slow_network(world):
    world.edit(os.path.join(world.own_workflows(), "vhf/create_network.bpel"), '      <forEach counterName="i" parallel="yes">',
               '      <sequence><wait><for>\'PT1H\'</for></wait><forEach counterName="i" parallel="yes">')
    world.edit(os.path.join(world.folder, "workflows/vhf/create_network.bpel"), "</forEach>", "</forEach></sequence>")


def running_jobs(world):
    return [one for one in world.unfinished() if "exchange_jobs" in one]


def progress(output):
    """The steps that a command showed, without when."""
    return [found[1] for found in re.finditer(r"^ +[0-9.]+ s  (.*)$", output, re.M)]


def joined_creation(world):
    """A create with the key of one that is at work waits for it, shows the same steps and ends as it does."""
    world.write("c.xml", blueprint("duo", 2))
    world.write("other.xml", blueprint("duo", 1))
    command = ("create", "c.xml", "--idempotency-key", "k")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(world.cli, *command)
        until_event(world, "host.placed")
        joined = [pool.submit(world.cli, *command), pool.submit(world.json, *command)]
        world.until(lambda: len([one for one in world.running_workflows() if one == "vcm-create"]) == 3, "all three waited")
        # Another request with the key is refused at once, and nothing of the first is disturbed.
        for other in (("create", "other.xml"), ("create", "c.xml", "--policy", "pack"), ("create", "c.xml", "--name", "trio")):
            assert "k" in world.cli(*other, "--idempotency-key", "k", check=5).stderr
        assert world.json("show", "duo")["state"] == "creating"
        first, second, third = first.result().stdout, joined[0].result().stdout, joined[1].result()
    assert progress(first) == progress(second) and len(progress(first)) > 6, f"{first}\n---\n{second}"
    cluster = world.json("show", "duo")
    for output in (first, second):
        assert f"cluster duo ({cluster['id']}), running since" in output, output
    assert third["cluster"] == cluster["id"]
    hosts = {(member["name"], member["host"]) for member in cluster["members"]}
    assert {(place["node"], place["host"]) for place in third["placements"]} == hosts, third
    assert len(check(world)) == 1
    world.cli("destroy", "duo", "--yes")
    check_empty(world)


def joined_failure(world):
    """Who joined a creation that fails gets its fault; a cluster that is kept gives it to later repeats too."""
    for on_failure in ("undo", "keep"):
        world.write("c.xml", blueprint("quad", 3, on_failure=on_failure))
        command = ("create", "c.xml", "--idempotency-key", "k")
        _, seen = world.events()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(world.cli, *command, check=1)
            until_event(world, "host.placed", seen)
            second = pool.submit(world.cli, *command, check=1)
            said = first.result().stderr
            assert "worker-2" in said and second.result().stderr == said, (said, second.result().stderr)
        world.until_quiet()
        if on_failure == "keep":
            assert world.cli(*command, check=1).stderr == said
            world.cli("destroy", "quad", "--yes")
        check_empty(world)


def single_host_fails(world):
    """A single host that cannot be created leaves nothing: no place, no private key."""
    world.write("node.xml", NODE)
    failed = world.cli("vh", "create", "node.xml", "--name", "alone", check=1)
    assert "alone" in failed.stderr, failed.stderr
    check_empty(world)
    assert not world.table("vcf_seed"), "its seed is left"
    assert world.json("vh", "show", "alone")["state"] == "destroyed"


def no_wait(world):
    """--no-wait returns once the operation is accepted; what is wrong with the request itself is said all the same."""
    world.write("c.xml", blueprint("slow", 1))
    began = time.monotonic()
    said = world.cli("--no-wait", "create", "c.xml").stdout
    assert "goes on" in said, said
    assert world.json("show", "slow")["state"] == "creating", f"after {time.monotonic() - began:.1f} s"
    assert world.json("--no-wait", "pause", "nobody", check=4)["code"] == "not-found"
    world.cli("--no-wait", "create", "c.xml", check=5)  # the name is taken
    world.write("bad.xml", blueprint("bad", 1, image="nothing"))
    world.cli("--no-wait", "create", "bad.xml", check=3)
    world.until(lambda: world.json("show", "slow")["state"] == "running", "the cluster ran")
    for verb, during, state in (("freeze", "freezing", "frozen"), ("destroy", "destroying", "destroyed")):
        world.json("--no-wait", verb, "slow", *(["--yes"] if verb == "destroy" else []))
        assert (shown := world.json("show", "slow"))["state"] == during, shown
        world.until(lambda wanted=state: world.json("show", "slow")["state"] == wanted, f"the cluster was {state}")
        check(world)
    check_empty(world)


def bounded(world):
    """What is over is remembered within bounds."""
    world.write("node.xml", NODE)
    for name in ("one", "two", "three"):
        world.write("c.xml", blueprint(name, 1))
        world.cli("create", "c.xml")
        world.cli("destroy", name, "--yes")
        world.cli("vh", "create", "node.xml", "--name", name)
        world.cli("vh", "destroy", name)
    for name, code in (("one", 4), ("two", 0), ("three", 0)):
        for command in (("show",), ("vh", "show"), ("destroy", "--yes"), ("vh", "destroy")):
            world.cli(*command, name, check=code)
    world.until_quiet()
    world.until(lambda: len(world.table("bpel_ended")) == 10, "the first workflow instances were removed")
    assert len(world.table("bpel_instance")) == 10 and not world.table("bpel_running")
    assert {bytes(key)[:-8] for key, _ in world.table("bpel_history")} <= {bytes(key) for key, _ in world.table("bpel_instance")}
    check_empty(world)


def client_timeout(world):
    """--timeout ends the waiting, not the operation."""
    world.write("c.xml", blueprint("slow", 1))
    done = world.cli("--timeout", "300ms", "create", "c.xml", check=8)
    assert done.stderr
    world.until_quiet()
    clusters = list(check(world).values())
    assert [one[:2] for one in clusters] == [("slow", "running")], clusters
    world.cli("destroy", "slow", "--yes")
    check_empty(world)


def operation_timeout(world):
    """A creation that hangs ends by its time-out, which stands in the workflow."""
    world.write("c.xml", blueprint("slow", 1))
    failed = world.cli("create", "c.xml", check=8)
    assert "time-out" in failed.stderr, failed.stderr
    world.until_quiet()
    check_empty(world)


def short_timeout(world):
    workflows = world.own_workflows()
    world.edit(os.path.join(workflows, "vcf/create.bpel"), "<for>$planned.parameters/vcf:timeout</for>",
               "<for>'PT2S'</for>")


SHARED = [cluster_lifecycle, host_lifecycle, ssh_port_taken, validation_and_dry_run, idempotency_key, one_creates_at_a_time,
          one_envelope_by_curl]
SMALL = ("a:driver=sim,cpus=36,memory=64GiB", "b:driver=sim,cpus=36,memory=64GiB")
# test, options of nuraghed, what is done before it starts
OWN = [(third_of_four_fails, ["--sim-fail", "create:worker-2"], None),
       (kept_when_failed, ["--sim-fail", "create:worker-2"], None),
       (one_in_eight_fails, ["--sim-fail", "create:*:every=8"], None),
       (freeze_fails, ["--sim-fail", "freeze:worker-2"], None),
       (abort_of_a_create, ["--sim-delay", "create=3600s"], None),
       (abort_while_the_network_is_made, [], slow_network),
       (late_order, ["--sim-delay", "pause=3600s"], None),
       (joined_creation, ["--sim-delay", "create=4s"], None),
       (joined_failure, ["--sim-delay", "create=3s", "--sim-fail", "create:worker-2"], None),
       (resume_of_stopped, [], None),
       (single_host_fails, ["--sim-fail", "create:alone"], None),
       (no_wait, [f"--sim-delay={verb}=6s" for verb in ("create", "freeze", "destroy")], None),
       (bounded, ["--past-limit", "2", "--history-limit", "10"], None),
       (client_timeout, ["--sim-delay", "create=3s"], None),
       (operation_timeout, ["--sim-delay", "create=3600s"], short_timeout)]


def run(name, begin, problem):
    took = time.monotonic() - begin
    print(f"{'ok    ' if problem is None else 'FAILED'} {name} ({took:.1f} s)" + (f": {problem}" if problem else ""),
          flush=True)
    return problem is None


def attempt(test, world):
    begin = time.monotonic()
    try:
        test(world)
        return run(test.__name__, begin, None)
    except Exception as error:  # pylint: disable=broad-except  (each test is reported)
        import traceback
        traceback.print_exc(file=sys.stdout)
        return run(test.__name__, begin, f"{type(error).__name__}: {error}")


def main():
    clean_up_when_asked_to_end()
    programs, mode, *names = sys.argv[1:]
    options = {"direct": [], "http": ["--force-http"]}[mode]
    ok = True
    shared = [test for test in SHARED if not names or test.__name__ in names]
    if shared:
        with World(programs, SMALL, options) as world:
            world.start()
            world.import_image()
            for test in shared:
                ok = attempt(test, world) and ok
                clear(world)
            code, _ = world.stop()
            ok = ok and code == 0
    for test, own, before in OWN:
        if names and test.__name__ not in names:
            continue
        with World(programs, options=options + own) as world:
            if before:
                before(world)
            world.start()
            world.import_image()
            ok = attempt(test, world) and ok
            world.stop()
    return 0 if ok else 1


def clear(world):
    """What a failed test left shall not make the next one fail."""
    for cluster in world.json("ls"):
        world.cli("destroy", cluster["id"], "--yes", check=None)
    for host in world.json("vh", "ls"):
        world.cli("vh", "destroy", host["id"], check=None)


if __name__ == "__main__":
    sys.exit(main())
