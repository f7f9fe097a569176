#!/usr/bin/python3
"""Physical machines through the real programs, on the simulated driver: enrolled, inspected, deployed, aborted, released;
steps that fail; a nuraghed that is killed in the middle of a deployment.

  machines.py PROGRAMS [http]    http: services call one another by SOAP over HTTP
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from consumer import Consumer, Schemas, events_of  # noqa: E402
from notifications import subscribe  # noqa: E402
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
    # Line by line: what is refused keeps no other out, and says in which line it stands.
    world.write("some.csv", 'name,driver,mac\n"m3",sim,"52:54:00:00:00:03"\nM 4,sim,\nm5,redfish,\nm6,sim,52:54:00:00:00:03\nm7,,\n')
    said = world.cli("machine", "add", "--from", "some.csv", check=3)
    rows = [row.split(maxsplit=2) for row in said.stdout.splitlines()]
    assert [row[:1] for row in rows] == [["LINE"], ["2"], ["3"], ["4"], ["5"], ["6"]], said.stdout
    assert rows[1][1:] == ["m3", "enrolled"] and rows[5][1:] == ["m7", "enrolled"], rows
    assert "is no name of a machine" in said.stdout and "no driver 'redfish'" in rows[3][2], said.stdout
    assert "52:54:00:00:00:03 is of machine m3 already" in rows[4][2], rows
    assert "3 of 5 machines of some.csv were not added" in said.stderr, said.stderr
    listed = world.json("machine", "add", "--from", "some.csv", check=3)
    assert [(one["line"], one["name"], "error" in one) for one in listed] == [
        (2, "m3", False), (3, "M 4", True), (4, "m5", True), (5, "m6", True), (6, "m7", False)], listed
    for name in ("m3", "m7"):
        world.cli("machine", "rm", name, "--yes")
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
    world.cli("machine", "power", "good-1", "cycle")
    assert world.json("machine", "show", "lost-1")["state"] == "available"
    assert "release it first" in world.cli("machine", "rm", "bad-1", "--yes", check=5).stderr
    for name in ("bad-1", "good-1"):
        gone(world, name)
    world.cli("machine", "rm", "lost-1", "--yes")
    check_nothing_is_left(world)


def stays(world, vo, why):
    """A VO with machines is not deleted."""
    said = world.cli("vo", "rm", vo, "--yes", check=5).stderr
    assert f"the VO {vo} has physical machines: {why}" in said, said


def unwiped(world):
    """A machine that was not wiped goes to no other VO."""
    available(world, "m1")
    world.cli("vo", "create", "physics")
    world.cli("--vo", "physics", "image", "import", "image")
    world.cli("machine", "deploy", "m1", "node.xml")
    stays(world, "default", "m1 (deployed)")
    deployment = world.json("machine", "show", "m1")["deployment"]
    said = world.cli("--vo", "physics", "machine", "release", "m1", "--yes", check=4).stderr
    assert "machine m1 is of the VO default" in said, said
    assert "no deployment" in world.http("GET", "/deployments/" + deployment, headers={"Nuraghe-VO": "physics"})[1].decode()
    world.cli("machine", "release", "m1", "--wipe", "none", "--yes")
    stays(world, "default", "m1 (its disks may hold data of the VO)")
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


def heard(world):
    """What happens to a machine its VO hears while it has it, and administrators always; at /events and by notifications alike."""
    schemas = Schemas(os.path.join(world.programs, "../contracts"))
    world.cli("--vo", "physics", "member", "add", "petra", "--role", "viewer")
    token = world.json("--vo", "physics", "token", "issue", "petra")["secret"]
    newest = world.http("GET", "/events?after=newest")[2]["Nuraghe-Next"]
    told = {"/site": [], "/petra": []}
    with Consumer(schemas) as consumer:
        subscribe(world, schemas, "/services/hades", consumer.address + "/site")
        subscribe(world, schemas, "/services/hades", consumer.address + "/petra", token=token)
        available(world, "m1")
        world.cli("--vo", "physics", "machine", "deploy", "m1", "node.xml")
        world.cli("machine", "cordon", "m1")
        world.cli("--vo", "physics", "machine", "release", "m1", "--wipe", "full", "--yes")
        world.cli("machine", "uncordon", "m1")
        world.cli("machine", "rm", "m1", "--yes")
        while "machine.removed" not in told["/site"] or "deployment.released" not in told["/petra"]:
            path, envelope = consumer.next()
            told[path] += [kind for kind, _ in events_of(envelope)]
    assert [kind for kind in told["/petra"] if kind.startswith("machine.")] == ["machine.cordoned"], told
    assert [kind for kind in told["/site"] if kind.startswith("machine.")] == [
        "machine.enrolled", "machine.inspected", "machine.cordoned", "machine.uncordoned", "machine.removed"], told
    assert "deployment.deployed" in told["/site"] and "deployment.deployed" in told["/petra"], told
    for who, of in (token, told["/petra"]), ("", told["/site"]):
        _, lines, _ = world.http("GET", f"/events?after={newest}", token=who)
        kinds = [json.loads(line)["kind"] for line in lines.decode().splitlines()]
        assert [kind for kind in kinds if kind.startswith(("machine.", "deployment."))] == of, (kinds, of)
    world.cli("--vo", "physics", "member", "rm", "petra")
    for row in world.soap("notification", "list_subscriptions"):
        world.soap("notification", "end_subscription", f"<x:id>{row[0].text}</x:id>")
    check_nothing_is_left(world)


def vo_is_gone(world):
    """A VO that was deleted gets no machine, whoever acts for it."""
    available(world, "m1")
    world.cli("vo", "create", "alchemy")
    world.cli("vo", "rm", "alchemy", "--yes")
    for vo in ("alchemy", "never-was"):
        said = world.cli("--vo", vo, "machine", "deploy", "m1", "node.xml", check=4).stderr
        assert f"there is no VO {vo}" in said, said
    assert world.json("machine", "show", "m1")["state"] == "available"
    world.cli("machine", "rm", "m1", "--yes")
    check_nothing_is_left(world)


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


def running_deployment(world):
    [instance] = [one for one in children(world.soap("workflow", "list_instances", "<x:running_only>true</x:running_only>"), "instance")]
    assert (child(instance, "process"), child(instance, "of_site")) == ("hades-deploy", "true"), instance
    return child(instance, "id")


def abandon(world):
    """The run of a deployment is the site's: an owner of the VO cannot end it; and when it is gone, its machine is not."""
    world.cli("member", "add", "otto", "--role", "owner")
    token = world.json("token", "issue", "otto")["secret"]
    available(world, "slow-1")
    for how in ("terminate", "suspend"):
        world.cli("--no-wait", "machine", "deploy", "slow-1", "node.xml")
        at_step(world, "slow-1", "populate")
        instance = running_deployment(world)
        for path in (f"/workflows/instances/{instance}/{how}", f"/workflows/site-instances/{instance}/{how}"):
            status, body, _ = world.http("POST", path, body=b"{}", headers={"Content-Type": "application/json"}, token=token)
            assert status == 403, (path, status, body)
        refused(lambda: Client(world, token=token).ask(f"/services/workflow/instances/{instance}", "<rl:Destroy/>"),
                "ResourceNotDestroyedFault")
        assert running_deployment(world) == instance
        world.soap("workflow", f"{how}_site_instance", f"<x:id>{instance}</x:id>")
        assert world.json("machine", "show", "slow-1")["state"] == "deploying"
        said = world.cli("machine", "abandon", "slow-1", "--reason", "its workflow is gone", "--yes").stdout
        assert "abandoned by an administrator: its workflow is gone" in said, said
        shown = world.json("machine", "show", "slow-1")
        assert (shown["state"], shown["power"], shown["boot_device"], shown["unwiped"]) == ("failed", "off", "disk", "default"), shown
        assert shown["deployed"]["steps"][-1]["state"] == "failed", shown
        if how == "suspend":  # it goes on, and finds that all is over
            world.soap("workflow", "resume_instance", f"<x:id>{instance}</x:id>")
            world.until_quiet()
            assert world.json("machine", "show", "slow-1")["state"] == "failed"
        assert "it is failed" in world.cli("machine", "abandon", "slow-1", "--yes", check=5).stderr
        world.cli("machine", "release", "slow-1", "--wipe", "full", "--yes")
    world.cli("machine", "rm", "slow-1", "--yes")
    check_nothing_is_left(world)


def too_late(world):
    """What is deployed stays so when an abort comes before the workflow has heard of it; the same for a release."""
    for step, begin, done in (("end_deployment", ("deploy", "m1", "node.xml"), "deployed"),
                              ("end_release", ("release", "m1", "--wipe", "full", "--yes"), "available")):
        if step == "end_deployment":
            available(world, "m1")
        deployment = world.json("machine", "show", "m1")["deployment"]
        world.cli("--no-wait", "machine", *begin)
        world.until(lambda: world.json("machine", "show", "m1")["state"] == done, f"{step} was done")
        deployment = deployment or world.json("machine", "show", "m1")["deployment"]
        assert world.running_workflows(), "the workflow waits for the answer"
        try:
            world.soap("hades", "abort", f"<x:deployment>{deployment}</x:deployment>", timeout=30)
            raise AssertionError("it was aborted")
        except Fault as fault:
            assert fault.code in ("not-found", "conflict"), fault
        world.until_quiet()
        shown = world.json("machine", "show", "m1")
        assert (shown["state"], shown["power"]) == (done, "on" if done == "deployed" else "off"), shown
        assert len(world.table("vhir_hold")) == (done == "deployed"), "the image is held as long as it is deployed"
        assert not shown["condition"], shown
    world.cli("machine", "rm", "m1", "--yes")
    check_nothing_is_left(world)


def limited(world):
    """A step that takes longer than its limit is ended with its name, and the machine is switched off."""
    available(world, "slow-1")
    said = world.cli("machine", "deploy", "slow-1", "node.xml", check=None)
    assert said.returncode not in (0, 2) and "populate of machine slow-1: it took longer than its limit of 1.0 s" in said.stderr, said
    shown = world.json("machine", "show", "slow-1")
    assert (shown["state"], shown["power"], shown["boot_device"]) == ("failed", "off", "disk"), shown
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
    # A termination time goes with its machine, however that goes: the next one of its name has none.
    client.ask("/services/hades/machines/m1", "<rl:SetTerminationTime><rl:RequestedLifetimeDuration>P1D"
                                              "</rl:RequestedLifetimeDuration></rl:SetTerminationTime>")
    assert client.get("/services/hades/machines/m1", "rl:TerminationTime") != [""]
    world.cli("machine", "rm", "m1", "--yes")
    assert not world.table("wsrf_lifetimes")
    available(world, "m1")
    assert client.get("/services/hades/machines/m1", "rl:TerminationTime") == [""]
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
    for test in (machines, deploy, infeasible, one_wins, failing, unwiped, roles, heard, vo_is_gone, resources, contract, bare_qemu):
        test(world)
        print("ok", test.__name__, flush=True)
    world.stop()


def slowly(world, options):
    slow = [*QUICK, *options]
    for verb, delay in (("populate", "5s"), ("configure", "3s"), ("wipe", "3s")):
        slow += ["--sim-machine-delay", f"{verb}={delay}"]
    world.start(*slow)
    for test in (abort, abandon, late, lambda one: killed(one, lambda: one.start(*slow))):
        test(world)
        print("ok", getattr(test, "__name__", ""), flush=True)
    assert world.stop()[0] == 0
    world.start(*slow, "--step-limit", "populate=1s")
    limited(world)
    print("ok limited", flush=True)
    assert world.stop()[0] == 0
    world.own_workflows()
    for name, step in (("deploy", "end_deployment"), ("release", "end_release")):
        invoke = f'operation="{step}" inputVariable="end" outputVariable="end_done"/>'
        with open(os.path.join(world.folder, "workflows/hades", name + ".bpel"), encoding="utf-8") as file:
            text = file.read()
        at = text.rindex(invoke) + len(invoke)
        world.write(f"workflows/hades/{name}.bpel", text[:at] + "<wait><for>'PT3S'</for></wait>" + text[at:])
    world.start(*QUICK, *options)
    too_late(world)
    print("ok too_late", flush=True)
    assert world.stop()[0] == 0


def main():
    clean_up_when_asked_to_end()
    options = ["--force-http"] if sys.argv[2:] == ["http"] else []
    with World(sys.argv[1], controllers=[]) as world:
        flows(world, options)
        slowly(world, options)


if __name__ == "__main__":
    main()
