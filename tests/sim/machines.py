#!/usr/bin/python3
"""Physical machines through the real programs, on the simulated driver: enrolled, inspected, deployed, aborted, released;
steps that fail; a nuraghed that is killed in the middle of a deployment.

  machines.py PROGRAMS [http]    http: services call one another by SOAP over HTTP
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import child, children, clean_up_when_asked_to_end, Fault, World  # noqa: E402
from wsrf import Client, SOAP12, refused  # noqa: E402

NODE = """<configuration xmlns="urn:nuraghe:node:1">
  <image name="tiny"/><cpus>2</cpus><memory>4GiB</memory>
  <disk name="root" size="20GiB"/>
</configuration>"""
STEPS = ["start-system", "partition", "make-filesystems", "populate", "configure", "boot"]
ADDRESS = "cpus=8,memory=16GiB,disk=500GiB,disk=100GiB,device=infiniband"
QUICK = ("--power-limit", "soft-off=300ms")


def steps(shown):
    return [one["step"] for one in shown["deployed"]["steps"]]


def available(world, *names):
    for name in names:
        world.cli("machine", "add", name, "--address", ADDRESS)
        world.cli("machine", "inspect", name)


def gone(world, name):
    world.cli("machine", "release", name, "--wipe", "full", "--yes")
    world.cli("machine", "rm", name, "--yes")


def check_nothing_is_left(world):
    world.until_quiet()
    assert not world.table("hades_machine") and not world.table("hades_deployment")
    assert not world.table("vhir_hold"), "an image is still held"


def machines(world):
    """Enrolled by hand and by a list, inspected, switched on and off, cordoned, removed."""
    world.write("list.csv", 'name,driver,address,mac\nm1,sim,"cpus=8,memory=16GiB",52:54:00:00:00:01 52:54:00:00:00:02\n'
                            "m2,,,\n")
    added = world.json("machine", "add", "--from", "list.csv")
    assert [one["name"] for one in added] == ["m1", "m2"] and len(added[0]["macs"]) == 2, added
    world.cli("machine", "add", "--from", "list.csv")  # the same again is no error
    world.write("bad.csv", "name,colour\nm3,red\n")
    assert "bad.csv:1: 'colour'" in world.cli("machine", "add", "--from", "bad.csv", check=3).stderr
    for driver in ("ipmi", "redfish"):
        said = world.cli("machine", "add", "m3", "--driver", driver, check=None)
        assert said.returncode not in (0, 2) and f"no driver '{driver}' for machines here; there is qemu, sim" in said.stderr, said
    assert world.json("machine", "show", "m1")["state"] == "enrolled"
    said = world.cli("machine", "inspect", "m1").stdout
    assert "available" in said and "8 cpus, 16GiB of memory" in said, said
    assert world.json("machine", "power", "m1", "on")["power"] == "on"
    # Nothing on its disk could listen: the power is cut.
    assert world.json("machine", "power", "m1", "off")["power"] == "off"
    assert world.json("machine", "boot-device", "m1", "network")["boot_device"] == "network"
    assert {one["name"] for one in world.json("machine", "sensors", "m1")} == {"inlet", "processor", "fan"}
    world.write("node.xml", NODE)
    world.cli("machine", "cordon", "m1", "--reason", "the fan is loud")
    assert "the fan is loud" in world.cli("machine", "deploy", "m1", "node.xml", check=5).stderr
    world.cli("machine", "uncordon", "m1")
    assert "never inspected" in world.cli("machine", "propose", "m2", "node.xml").stdout
    assert [row.split()[0] for row in world.cli("machine", "ls").stdout.splitlines()] == ["NAME", "m1", "m2"]
    for name in ("m1", "m2"):
        world.cli("machine", "rm", name, "--yes")
    assert world.json("machine", "ls") == []
    kinds = {event["kind"] for event in world.events()[0]}
    assert {"machine.enrolled", "machine.inspected", "machine.powered", "machine.cordoned", "machine.uncordoned",
            "machine.removed"} <= kinds, kinds


def deploy(world):
    """A deployment goes through its steps; a release wipes, switches off, and the machine is available again."""
    available(world, "m1")
    proposal = world.json("machine", "propose", "m1", "node.xml")
    assert proposal["feasible"] and len(proposal["alternatives"]) == 1, proposal
    said = world.cli("machine", "deploy", "m1", "node.xml", "--name", "web").stdout
    assert "web: populate is done on machine m1" in said and "web is up on machine m1" in said, said
    shown = world.json("machine", "show", "m1")
    assert (shown["state"], shown["power"], shown["vo"]) == ("deployed", "on", "default"), shown
    assert steps(shown) == STEPS and shown["deployed"]["disk"] == proposal["disk"], shown
    assert shown["deployed"]["image"].startswith("tiny:1@sha256:"), shown
    assert "is deployed" in world.cli("machine", "deploy", "m1", "node.xml", check=5).stderr
    assert "used by" in world.cli("image", "rm", "tiny", check=5).stderr
    status, body, _ = world.http("GET", "/deployments/" + shown["deployment"])
    assert status == 200 and b'"state":"deployed"' in body, body
    released = world.cli("machine", "release", "m1", "--wipe", "full", "--yes").stdout
    assert "machine m1 is available again" in released, released
    shown = world.json("machine", "show", "m1")
    assert (shown["state"], shown["power"], shown["vo"], shown["unwiped"]) == ("available", "off", "", ""), shown
    world.cli("machine", "rm", "m1", "--yes")
    check_nothing_is_left(world)


def infeasible(world):
    """What cannot be is refused before anything is done, and the machine is as before."""
    world.write("big.xml", NODE.replace("<cpus>2", "<cpus>64").replace('"20GiB"', '"2TiB"'))
    world.cli("machine", "add", "m1", "--address", "cpus=8,memory=16GiB,disk=100GiB")
    said = world.cli("machine", "deploy", "m1", "node.xml", check=5).stderr
    assert "machine m1 is enrolled; it would have to be available" in said, said
    world.cli("machine", "inspect", "m1")
    said = world.cli("machine", "deploy", "m1", "big.xml", check=5).stderr
    assert "64 cpus; there are 8" in said and "a disk of" in said, said
    world.write("other.xml", NODE.replace('name="tiny"', 'name="no-such"'))
    assert "no-such" in world.cli("machine", "deploy", "m1", "other.xml", check=4).stderr
    shown = world.json("machine", "show", "m1")
    assert (shown["state"], shown["vo"], shown["unwiped"], shown["power"]) == ("available", "", "", "off"), shown
    world.cli("machine", "rm", "m1", "--yes")
    check_nothing_is_left(world)


def one_wins(world):
    """Two deployments ordered for one machine at once."""
    available(world, "m1")
    line = [os.path.join(world.programs, "nuraghe"), "--state", "s", "machine", "deploy", "m1", "node.xml"]
    both = [subprocess.Popen(line, cwd=world.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]
    said = [one.communicate(timeout=120)[1] for one in both]
    assert sorted(one.returncode for one in both) == [0, 5], said
    assert any("machine m1 is deploy" in text for text in said), said
    gone(world, "m1")
    check_nothing_is_left(world)


def failing(world):
    """A step that fails: the machine is failed, off, with the step and its log; the others are not touched."""
    available(world, "bad-1", "good-1", "lost-1")
    said = world.cli("machine", "deploy", "bad-1", "node.xml", check=None)
    assert said.returncode not in (0, 2) and "populate of machine bad-1: simulated failure" in said.stderr, said
    shown = world.json("machine", "show", "bad-1")
    assert (shown["state"], shown["power"], shown["unwiped"]) == ("failed", "off", "default"), shown
    assert "simulated failure" in shown["condition"], shown
    by_step = {one["step"]: one for one in shown["deployed"]["steps"]}
    assert by_step["populate"]["state"] == "failed" and "simulated agent" in by_step["populate"]["log"], by_step
    assert list(by_step)[-1] == "power-off" and by_step["power-off"]["state"] == "done", by_step
    assert "simulated agent: populate" in world.cli("machine", "show", "bad-1").stdout
    world.cli("machine", "deploy", "good-1", "node.xml")
    # Its controller does not obey: nothing was written, so it is as before.
    said = world.cli("machine", "deploy", "lost-1", "node.xml", check=None).stderr
    assert "machine lost-1 does not obey" in said, said
    assert world.json("machine", "show", "lost-1")["state"] == "available"
    assert "release it first" in world.cli("machine", "rm", "bad-1", "--yes", check=5).stderr
    for name in ("bad-1", "good-1"):
        gone(world, name)
    world.cli("machine", "rm", "lost-1", "--yes")
    check_nothing_is_left(world)


def unwiped(world):
    """A machine that was not wiped goes to no other VO."""
    available(world, "m1")
    world.cli("vo", "create", "physics")
    world.cli("--vo", "physics", "image", "import", "image")
    world.cli("machine", "deploy", "m1", "node.xml")
    deployment = world.json("machine", "show", "m1")["deployment"]
    said = world.cli("--vo", "physics", "machine", "release", "m1", "--yes", check=4).stderr
    assert "machine m1 is of the VO default" in said, said
    assert "no deployment" in world.http("GET", "/deployments/" + deployment, headers={"Nuraghe-VO": "physics"})[1].decode()
    world.cli("machine", "release", "m1", "--wipe", "none", "--yes")
    said = world.cli("--vo", "physics", "machine", "deploy", "m1", "node.xml", check=5).stderr
    assert "released without a full wipe" in said, said
    # A quick wipe leaves the blocks, so it is not enough.
    world.cli("machine", "deploy", "m1", "node.xml")
    world.cli("machine", "release", "m1", "--wipe", "quick", "--yes")
    said = world.cli("--vo", "physics", "machine", "deploy", "m1", "node.xml", check=5).stderr
    assert "machine release m1 --wipe full" in said, said
    world.cli("machine", "deploy", "m1", "node.xml")
    world.cli("machine", "release", "m1", "--wipe", "full", "--yes")
    world.cli("--vo", "physics", "machine", "deploy", "m1", "node.xml")
    world.cli("--vo", "physics", "machine", "release", "m1", "--wipe", "full", "--yes")
    world.cli("machine", "rm", "m1", "--yes")
    check_nothing_is_left(world)


def roles(world):
    """Machines are the administrators'."""
    world.cli("--vo", "physics", "member", "add", "olga", "--role", "owner")
    token = world.json("--vo", "physics", "token", "issue", "olga")["secret"]
    for verb, path in (("GET", "/machines"), ("GET", "/machines/m1"), ("DELETE", "/machines/m1")):
        status, body, _ = world.http(verb, path, token=token)
        assert status == 403, (verb, path, status, body)
    assert world.http("GET", "/deployments", token=token)[0] == 200


def at_step(world, name, step):
    def reached():
        shown = world.json("machine", "show", name)
        return shown.get("deployed", {}).get("steps") and shown["deployed"]["steps"][-1] == {
            **shown["deployed"]["steps"][-1], "step": step, "state": "running"}
    world.until(reached, f"{step} was at work on {name}")


def abort(world):
    """A deployment that is aborted in the middle of a step."""
    available(world, "slow-1")
    world.cli("--no-wait", "machine", "deploy", "slow-1", "node.xml")
    at_step(world, "slow-1", "populate")
    world.cli("machine", "abort", "slow-1")
    world.until(lambda: world.json("machine", "show", "slow-1")["state"] == "failed", "the deployment was ended")
    shown = world.json("machine", "show", "slow-1")
    assert "aborted by its user" in shown["condition"] and shown["power"] == "off", shown
    assert [(one["step"], one["state"]) for one in shown["deployed"]["steps"]][-2:] == [
        ("populate", "failed"), ("power-off", "done")], shown
    assert "nothing is at work" in world.cli("machine", "abort", "slow-1", check=5).stderr
    gone(world, "slow-1")
    check_nothing_is_left(world)


def late(world):
    """A deployment that takes longer than it may is ended as if it were aborted; so is a release, which can be repeated."""
    available(world, "slow-1")
    node = ('<n:node xmlns:n="urn:nuraghe:node:1" name="one"><n:image name="tiny"/><n:cpus>1</n:cpus>'
            "<n:memory>1GiB</n:memory></n:node>")
    request = f"<x:machine>slow-1</x:machine><x:fragment>{node}</x:fragment><x:timeout>PT2S</x:timeout>"
    try:
        world.soap("hades", "deploy", request)
        raise AssertionError("it was in time")
    except Fault as fault:
        assert fault.code == "timeout" and "longer than its time-out" in fault.text, fault
    shown = world.json("machine", "show", "slow-1")
    assert (shown["state"], shown["power"]) == ("failed", "off"), shown
    assert shown["deployed"]["steps"][-2]["state"] == "failed", shown
    world.cli("--no-wait", "machine", "release", "slow-1", "--wipe", "full", "--yes")
    at_step(world, "slow-1", "wipe")
    world.cli("machine", "abort", "slow-1")
    world.until(lambda: world.json("machine", "show", "slow-1")["state"] == "failed", "the release was ended")
    assert "release failed" in world.json("machine", "show", "slow-1")["condition"]
    gone(world, "slow-1")
    check_nothing_is_left(world)


def killed(world, start):
    """nuraghed dies in the middle of a step: it goes on with that step, and no step is done twice."""
    available(world, "slow-1")
    world.cli("--no-wait", "machine", "deploy", "slow-1", "node.xml")
    for step in ("populate", "configure"):
        at_step(world, "slow-1", step)
        world.kill()
        start()
    world.until(lambda: world.json("machine", "show", "slow-1")["state"] == "deployed", "it was deployed")
    assert steps(world.json("machine", "show", "slow-1")) == STEPS
    gone(world, "slow-1")
    check_nothing_is_left(world)


def resources(world):
    """Machines and deployments as WS-Resources."""
    available(world, "m1")
    world.cli("machine", "deploy", "m1", "node.xml")
    deployment = world.json("machine", "show", "m1")["deployment"]
    for client in (Client(world), Client(world, soap=SOAP12)):
        path = "/services/hades/machines/m1"
        assert client.get(path, "hades:State") == ["deployed"]
        assert client.get(path, "hades:Deployment") == [deployment]
        assert client.query(path, "string(//*[local-name()='Hardware']/*[local-name()='cpus'])") == ["8"]
        path = "/services/hades/deployments/" + deployment
        assert client.get(path, "hades:DeploymentState") == ["deployed"]
        assert client.get(path, "hades:Machine") == ["m1"]
    client = Client(world)
    client.ask("/services/hades/machines/m1", '<rp:SetResourceProperties><rp:Update><hades:Cordoned>true</hades:Cordoned>'
                                              "</rp:Update></rp:SetResourceProperties>")
    assert world.json("machine", "show", "m1")["cordoned"]
    refused(lambda: client.ask("/services/hades/machines/m1", "<rl:Destroy/>"), "ResourceNotDestroyedFault")
    client.ask(path, "<rl:Destroy/>")
    assert world.json("machine", "show", "m1")["state"] == "available"
    # Destroying the deployment wiped quickly: the blocks are still the VO's.
    refused(lambda: client.ask("/services/hades/machines/m1", "<rl:Destroy/>"), "ResourceNotDestroyedFault")
    world.cli("machine", "uncordon", "m1")
    world.cli("machine", "deploy", "m1", "node.xml")
    world.cli("machine", "release", "m1", "--wipe", "full", "--yes")
    client.ask("/services/hades/machines/m1", "<rl:Destroy/>")
    refused(lambda: client.get("/services/hades/machines/m1", "hades:State"), "ResourceUnknownFault")
    check_nothing_is_left(world)


def bare_qemu(world):
    """A machine that is a QEMU process: it is switched, outlives its nuraghed, and takes no deployment yet."""
    world.cli("machine", "add", "real-1", "--driver", "qemu", "--address", "memory=32MiB,disk=64MiB")
    said = world.cli("machine", "add", "real-2", "--driver", "qemu", "--address", "firmware=uefi", check=None).stderr
    assert "has machines with a BIOS only" in said, said
    world.cli("machine", "inspect", "real-1")
    try:
        assert world.json("machine", "power", "real-1", "on")["power"] == "on"
        world.kill()
        world.start(*QUICK)
        assert "available  on" in world.cli("machine", "inspect", "real-1").stdout
        assert "it has no sensors" in world.cli("machine", "sensors", "real-1", check=None).stderr
        said = world.cli("machine", "deploy", "real-1", "node.xml", check=5).stderr
        assert "its driver qemu has no agent for deployments so far" in said, said
        assert world.json("machine", "show", "real-1")["state"] == "available"
    finally:
        world.cli("machine", "power", "real-1", "force-off")
    world.cli("machine", "rm", "real-1", "--yes")
    check_nothing_is_left(world)


def contract(world):
    """What only messages can say: an unknown machine, nothing at work."""
    try:
        world.soap("hades", "abort", "<x:deployment>dep-none</x:deployment>", timeout=30)
        raise AssertionError("nothing was at work")
    except Fault as fault:
        assert fault.code in ("not-found", "conflict"), fault
    listed = world.soap("hades", "list_machines")
    assert children(listed, "machine") == [] and child(listed, "machine") is None


def flows(world, options):
    world.write("node.xml", NODE)
    world.start(*QUICK, *options, "--sim-machine-fail", "populate:bad-*", "--sim-machine-fail", "on:lost-*",
                "--sim-machine-fail", "cycle:lost-*")
    world.import_image()
    for test in (machines, deploy, infeasible, one_wins, failing, unwiped, roles, resources, contract, bare_qemu):
        test(world)
        print("ok", test.__name__, flush=True)
    world.stop()


def slowly(world, options):
    slow = [*QUICK, *options]
    for verb, delay in (("populate", "5s"), ("configure", "3s"), ("wipe", "3s")):
        slow += ["--sim-machine-delay", f"{verb}={delay}"]
    world.start(*slow)
    for test in (abort, late, lambda one: killed(one, lambda: one.start(*slow))):
        test(world)
        print("ok", getattr(test, "__name__", ""), flush=True)
    assert world.stop()[0] == 0


def main():
    clean_up_when_asked_to_end()
    options = ["--force-http"] if sys.argv[2:] == ["http"] else []
    with World(sys.argv[1], controllers=[]) as world:
        flows(world, options)
        slowly(world, options)


if __name__ == "__main__":
    main()
