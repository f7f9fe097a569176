#!/usr/bin/python3
"""Bad input gets a clear error, the right exit code or SOAP fault, and changes nothing.

  bad_input.py PROGRAMS
"""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import attempt  # noqa: E402
from invariants import check, check_empty, refused  # noqa: E402
from world import SOAP, blueprint, clean_up_when_asked_to_end, parse_answer, Died, Fault, World  # noqa: E402

REQUEST = "<x:request xmlns:f='urn:nuraghe:vcf:1'><f:blueprint>{}</f:blueprint></x:request>"
ENVELOPE = (f'<s:Envelope xmlns:s="{SOAP}"><s:Body><x:create_vc xmlns:x="urn:nuraghe:vcm:1">{{}}</x:create_vc>'
            "</s:Body></s:Envelope>")


def snapshot(world):
    """What a user sees, and how many rows are stored."""
    shown = [world.cli("-o", "json", *command).stdout
             for command in (("ls",), ("host", "ls"), ("vh", "ls"), ("image", "ls"))]
    # When a controller was last seen is no state of anything else.
    shown = [re.sub(r'"(last_seen|since|alive_until)":"[^"]*"', "", text) for text in shown]
    tables = ("vcf_cluster", "vcf_seed", "vcf_idempotency", "vhf_host", "vhf_network", "vhir_image", "vhir_hold")
    return shown, [world.table(table) for table in tables]


def post(world, text, content_type="text/xml", service="vcm"):
    """The fault that answers a body; the process must live on."""
    try:
        status, body, _ = world.http("POST", f"/services/{service}", text if isinstance(text, bytes) else text.encode(),
                                     {"Content-Type": content_type})
        parse_answer(status, body)
    except Fault as fault:
        return fault
    raise AssertionError(f"accepted: {body[:300]}")


def soap_bodies(world):
    good = ENVELOPE.format(REQUEST.format(blueprint("duo", 1)))
    bomb = ('<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' +
            "".join(f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(12)) + "]>")
    outside = '<!DOCTYPE b [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    cases = [
        ("malformed", good.replace("</s:Body>", ""), 400, ""),
        ("empty", "", 400, ""),
        ("no envelope", blueprint("duo", 1), 400, ""),
        ("wrong namespace of the envelope", good.replace(SOAP, "http://www.w3.org/2002/12/soap-envelope"), None, ""),
        ("entity bomb", bomb + good.replace("duo", "&m;"), 400, ""),
        ("external entity", outside + good.replace("duo", "&secret;"), 400, ""),
        ("unknown operation", good.replace("x:create_vc", "x:invent_vc"), 500, ""),
        ("wrong namespace of the operation", good.replace("urn:nuraghe:vcm:1", "urn:nuraghe:vcm:2"), 500, "invalid",
         ("{urn:nuraghe:vcm:2}create_vc", "expected {urn:nuraghe:vcm:1}create_vc")),
        ("operation of another service", good.replace("create_vc", "destroy_vc").replace("vcm:1", "vcf:1"), 500, "invalid",
         ("{urn:nuraghe:vcf:1}destroy_vc", "expected {urn:nuraghe:vcm:1}destroy_vc")),
        ("deep", ENVELOPE.format("<a>" * 100000 + "</a>" * 100000), 400, ""),
        ("over the limit", good.replace("<s:Body>", "<s:Body>" + " " * (9 << 20)), 413, ""),
        ("wrong namespace of the blueprint", good.replace("urn:nuraghe:cluster:1", "urn:nuraghe:cluster:9"), 500, "invalid"),
        ("schema violation", good.replace("<network", "<net"), 500, "invalid"),
        ("count that is no number", good.replace('count="1"', 'count="many"'), 500, "invalid"),
        ("unknown image", good.replace('"tiny"', '"nothing"'), 500, "invalid"),
        ("more than there is", good.replace("16MiB", "900GiB"), 500, "exhausted"),
        ("physical node", good.replace('<node name="head"', '<node name="head" type="physical"'), 500, None),
        ("no blueprint", ENVELOPE.format("<x:request/>"), 500, "invalid", ("blueprint",)),
        ("no request", ENVELOPE.format(""), 500, "invalid", ("request",)),
        ("unknown part", good.replace("</x:request>", "<f:colour>red</f:colour></x:request>"), 500, "invalid", ("colour",)),
        ("part that is no boolean", good.replace("</x:request>", "<f:dry_run>perhaps</f:dry_run></x:request>"), 500, "invalid",
         ("dry_run", "perhaps")),
    ]
    for name, text, status, code, *said in cases:
        before = snapshot(world)
        fault = post(world, text)
        assert status is None or fault.status == status, f"{name}: {fault}"
        assert code is None or not code or fault.code == code, f"{name}: {fault}"
        assert all(word in fault.text for words in said for word in words), f"{name}: {fault}"
        assert not code or fault.sender == (code in ("invalid", "unsupported", "not-found", "denied")), f"{name}: {fault}"
        assert fault.text and "root:" not in fault.text, f"{name}: {fault}"
        world.until_quiet()
        assert snapshot(world) == before, f"{name} changed something"
        print(f"  {name}: {fault}"[:230], flush=True)
    assert post(world, good, content_type="application/json").status == 415
    assert post(world, good, service="nothing").status == 404
    check_empty(world)


def operations_on_nothing(world):
    before = snapshot(world)
    for operation in ("destroy_vc", "pause_vc", "resume_vc", "freeze_vc", "thaw_vc"):
        refused("not-found", world.soap, "vcm", operation, "<x:cluster>nobody</x:cluster>")
    for operation in ("pause_vh", "resume_vh", "freeze_vh"):
        refused("not-found", world.soap, "vhm", operation, "<x:host>nobody</x:host>")
    world.until_quiet()
    assert snapshot(world) == before


def command_line(world):
    good = blueprint("duo", 1)
    world.write("malformed.xml", good.replace("</cluster>", ""))
    world.write("namespace.xml", good.replace("urn:nuraghe:cluster:1", "urn:nuraghe:cluster:9"))
    world.write("schema.xml", good.replace("<network", "<net"))
    world.write("image.xml", good.replace('"tiny"', '"nothing"'))
    world.write("bomb.xml", '<!DOCTYPE c [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + good.replace("duo", "&b;"))
    world.write("outside.xml", '<!DOCTYPE c [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + good.replace("duo", "&a;"))
    world.write("large.xml", good.replace("16MiB", "900GiB"))
    world.write("noimage/vhi.xml", "<vhi/>")
    codes = [("malformed.xml", 3), ("namespace.xml", 3), ("schema.xml", 3), ("image.xml", 3), ("bomb.xml", 3),
             ("outside.xml", 3), ("large.xml", 6), ("absent.xml", 4)]
    for name, code in codes:
        before = snapshot(world)
        done = world.cli("create", name, check=code)
        assert done.stderr.startswith("nuraghe: ") and "root:" not in done.stderr, done.stderr
        world.until_quiet()
        assert snapshot(world) == before, name
        print(f"  {name}: exit code {code}: {done.stderr.strip()}"[:230], flush=True)
        if code == 3:
            world.cli("validate", name, check=3)
            # One JSON document, whatever is wrong.
            assert world.json("validate", name, check=3)["findings"], name
    before = snapshot(world)
    for arguments, code in ((("image", "import", "noimage"), 3), (("image", "import", "absent"), 4),
                            (("image", "rm", "nothing"), 4), (("show", "nobody"), 4), (("destroy", "nobody", "--yes"), 4),
                            (("vh", "destroy", "nobody"), 4), (("workflow", "show", "nobody"), 4), (("invent",), 2),
                            (("create",), 2), (("--timeout", "soon", "ls"), None)):
        world.cli(*arguments, check=code)
    assert snapshot(world) == before
    # An image that a host uses stays.
    world.write("good.xml", good)
    world.cli("create", "good.xml")
    before = check(world)
    world.cli("image", "rm", "tiny", check=5)
    assert check(world) == before
    world.cli("destroy", "duo", "--yes")
    check_empty(world)


def corrupt_image(world):
    world.import_image("rotten")
    world.cli("image", "verify", "rotten")
    blobs = os.path.join(world.state, "images/blobs/sha256")
    for name in os.listdir(blobs):
        path = os.path.join(blobs, name)
        with open(path, "rb") as file:
            data = file.read()
        if b'name="rotten"' in data:
            os.chmod(path, 0o600)
            with open(path, "wb") as file:
                file.write(data.replace(b"rotten", b"ruined"))
    done = world.cli("image", "verify", "rotten", check=1)
    assert "digest" in done.stderr or "sha256" in done.stderr, done.stderr
    check_empty(world)


def port_in_use(world):
    world.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        try:
            world.start("--port", str(port))
            raise AssertionError("nuraghed serves on a port that is taken")
        except Died as death:
            assert str(port) in str(death) and "in use" in str(death), death
    os.remove(os.path.join(world.state, "port"))
    world.start()
    check_empty(world)


def second_daemon(world):
    """Another nuraghed on the same state folder is refused, and the first one works on."""
    other = World(world.programs, folder=world.folder)
    try:
        other.start()
        raise AssertionError("two of them work on one state folder")
    except Died as death:
        assert "another nuraghed" in str(death), death
    world.write("c.xml", blueprint("duo", 1))
    world.cli("create", "c.xml")
    world.cli("destroy", "duo", "--yes")
    check_empty(world)


def bad_options(world):
    world.stop()
    for options in (["--vhc", "Bad_Name"], ["--vhc", "c:cpus=none"], ["--vhc", "c:driver=magic"],
                    ["--sim-fail", "sing:*"], ["--sim-delay", "create=soon"], ["--workflows", "absent"]):
        try:
            world.start(*options)
            raise AssertionError(f"nuraghed accepts {options}")
        except Died as death:
            assert "nuraghed: " in str(death), death
    world.start()
    check_empty(world)


def no_daemon(world):
    world.stop()
    done = world.cli("ls", check=4)
    assert "nuraghed" in done.stderr, done.stderr
    world.start()


def main():
    clean_up_when_asked_to_end()
    ok = True
    with World(sys.argv[1]) as world:
        world.start()
        world.import_image()
        for test in (soap_bodies, operations_on_nothing, command_line, corrupt_image, port_in_use,
                     second_daemon, bad_options, no_daemon):
            if len(sys.argv) > 2 and test.__name__ not in sys.argv[2:]:
                continue
            ok = attempt(test, world) and ok
            if world.process is None:
                world.start()
        world.stop()
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
