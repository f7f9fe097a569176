#!/usr/bin/python3
"""Blueprints that would make a controller run a program, read a file of its machine, or give QEMU another option.

  hostile_blueprints.py PROGRAMS

Every place of a blueprint and of a node fragment gets texts that would break out of QEMU's option syntax, of a path, of a
shell, of XML or of JSON. Each is refused as invalid and changes nothing; what a place may hold (kernel parameters, the
text that a console is to show) is taken as it is and reaches nothing else.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bad_input import post, snapshot  # noqa: E402
from invariants import check_empty  # noqa: E402
from world import World, blueprint, clean_up_when_asked_to_end, soap_envelope  # noqa: E402

# What each would do where it is pasted into a text.
HOSTILE = {
    "another option": "x,script=/bin/sh",
    "an option of its own": "-device vfio-pci",
    "a line": "x\n-drive file=/etc/shadow",
    "a quote": 'x" file="/etc/shadow',
    "a path": "/etc/shadow",
    "a path upwards": "../../../../etc/shadow",
    "an address of a file": "file:///etc/shadow",
    "QEMU's JSON": 'json:{"driver":"file","filename":"/etc/shadow"}',
    "QEMU's other protocols": "nbd:unix:/run/x.sock",
    "a shell": "$(touch /tmp/owned)",
    "a shell's end": "x; touch /tmp/owned",
    "a pipe": "exec:touch /tmp/owned",
    "blanks": "x -S",
    "a format": "%s%n",
    "YAML": "x\nruncmd: [touch, /tmp/owned]",
    "long": "x" * 5000,
}

NODE = """<n:node xmlns:n="urn:nuraghe:node:1" name="{name}"><n:image name="{image}"/><n:cpus>{cpus}</n:cpus><n:memory>{memory}</n:memory>
<n:disk name="{disk}" size="{size}"><n:partition filesystem="{filesystem}" mount="{mount}"/></n:disk>
<n:boot machine="{machine}" firmware="{firmware}" ready="{ready}"/>
<n:initial-conditions kind="{kind}"/></n:node>"""
GOOD = {"name": "one", "image": "tiny", "cpus": "1", "memory": "16MiB", "disk": "data", "size": "64MiB", "filesystem": "ext4",
        "mount": "/data", "machine": "q35", "firmware": "bios", "ready": "console:READY", "kind": "cold"}
# Texts that people may choose freely: nothing but what the guest is waited for, or told, comes of them.
FREE = {"ready"}
# A path of the guest is any path.
GUESTS_OWN = {("mount", "a path")}
REQUEST = ("<x:request xmlns:f='urn:nuraghe:vhf:1' xmlns:c='urn:nuraghe:vhc:1'><f:host/><f:fragment>{}</f:fragment><f:requirement/>"
           "<f:seed><c:digest/><c:address/></f:seed><f:keep>false</f:keep></x:request>")


def quoted(text):
    for plain, entity in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), ("'", "&apos;"), ("\n", "&#10;")):
        text = text.replace(plain, entity)
    return text


def fragments(world):
    count = 0
    for place in GOOD:
        for what, text in HOSTILE.items():
            wanted = "console:" + text if place in FREE else text
            if (place in FREE and "\n" not in text and len(text) < 200) or (place, what) in GUESTS_OWN:
                continue
            node = NODE.format(**{**GOOD, place: quoted(wanted)})
            try:
                fault = post(world, soap_envelope("vhm", "create_vh", REQUEST.format(node)), service="vhm")
            except AssertionError as error:
                raise AssertionError(f"{place} with {what}") from error
            assert fault.code in ("invalid", "unsupported"), f"{place} with {what}: {fault}"
            assert fault.sender and "root:" not in fault.text, f"{place} with {what}: {fault}"
            count += 1
    return count


def blueprints(world):
    count = 0
    good = blueprint("duo", 1)
    places = [('name="duo"', 'name="{}"'), ('name="private"', 'name="{}"'), ('uplink="none"', 'uplink="{}"'),
              ('role="head"', 'role="{}"'), ('name="head"', 'name="{}"'), ('<image name="tiny"/>', '<image name="{}"/>'),
              ('<image name="tiny"/>', '<image type="{}"/>'), ("<cpus>1</cpus>", "<cpus>{}</cpus>"),
              ("<memory>16MiB</memory>", "<memory>{}</memory>"), ('policy="spread"', 'policy="{}"'),
              ('on-failure="undo"', 'on-failure="{}"'), ('count="1"', 'count="{}"')]
    for found, place in places:
        assert found in good, found
        for what, text in HOSTILE.items():
            hostile = good.replace(found, place.format(quoted(text)), 1)
            request = f"<x:request xmlns:f='urn:nuraghe:vcf:1'><f:blueprint>{hostile}</f:blueprint></x:request>"
            fault = post(world, soap_envelope("vcm", "create_vc", request))
            assert fault.code in ("invalid", "unsupported") and fault.sender, f"{place} with {what}: {fault}"
            count += 1
    # A file that a blueprint refers to is one beside it, on the machine of who asks.
    world.write("b/secret", "<configuration/>")
    for reference in ("/etc/passwd", "../secret", "file:///etc/passwd", "http://127.0.0.1:1/x", "b/../../secret"):
        world.write("b/c.xml", good.replace("<image", f'</configuration><configuration href="{reference}"/><configuration><image', 1))
        said = world.cli("create", "b/c.xml", check=3)
        assert "root:" not in said.stdout + said.stderr
        request = f"<x:request xmlns:f='urn:nuraghe:vcf:1'><f:blueprint>{good.replace('<cpus>', f'''</configuration><configuration href='{reference}'/><configuration><cpus>''', 1)}</f:blueprint></x:request>"
        fault = post(world, soap_envelope("vcm", "create_vc", request))
        assert fault.sender and "root:" not in fault.text, fault
        count += 2
    return count


def main():
    clean_up_when_asked_to_end()
    with World(sys.argv[1]) as world:
        world.start("--request-rate", "0")
        world.import_image("tiny")
        # The good one is good: each refusal below is for its own place.
        world.soap("vhm", "create_vh", REQUEST.format(NODE.format(**GOOD)))
        world.cli("vh", "destroy", "one", "--yes")
        world.until_quiet()
        before = snapshot(world)
        count = fragments(world) + blueprints(world)
        world.until_quiet()
        assert snapshot(world) == before
        assert not os.path.exists("/tmp/owned")
        check_empty(world)
        print(f"ok     {count} hostile texts, none taken")
        assert world.stop()[0] == 0


if __name__ == "__main__":
    main()
