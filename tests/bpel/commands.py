#!/usr/bin/python3
"""commands.py PROGRAMS [TEST...]: check, run, instances, show, suspend, resume, terminate, replay, draw."""
import json
import os
import re
import xml.etree.ElementTree as ET

import world
from world import serving


def check(programs, folder):
    bpel = os.path.join(programs, "bpel")
    good = world.write(os.path.join(folder, "good"), world.echo())
    assert world.command(bpel, "check", good, os.path.join(good, "talk.bpel")) == ""
    files = world.echo()
    files["talk.bpel"] = files["talk.bpel"].replace("<reply", "<rethrow/><reply").replace('variable="out" part', 'variable="none" part')
    bad = world.write(os.path.join(folder, "bad"), files)
    said = world.command(bpel, "check", bad, code=3)
    lines = said.strip().split("\n")
    assert len(lines) >= 2, said
    assert any(re.match(re.escape(bad) + r"/talk\.bpel:\d+:\d+: SA00006: .+", line) for line in lines), said
    packed = os.path.join(folder, "bad.zip")
    with open(packed, "wb") as file:
        file.write(world.zipped(files))
    found = json.loads(world.command(bpel, "-o", "json", "check", packed, code=3).strip().split("\n")[0])
    assert not found["accepted"] and found["findings"][0]["file"] == packed + "/talk.bpel", found
    world.command(bpel, "check", os.path.join(folder, "nothing"), code=4)
    world.command(bpel, "check", code=2)
    world.command(bpel, "chek", code=2)


def run(programs, folder):
    bpel = os.path.join(programs, "bpel")
    package = world.write(os.path.join(folder, "p"), world.echo())
    request = os.path.join(folder, "request.xml")
    with open(request, "w") as file:
        file.write('<say xmlns="urn:t">hello</say>')
    assert ET.fromstring(world.command(bpel, "run", package, "--request", request)).text == "hello"
    assert ET.fromstring(world.command(bpel, "run", os.path.join(package, "talk.bpel"), stdin=open(request).read())).text == "hello"
    envelope = f'<e:Envelope xmlns:e="{world.SOAP11}"><e:Body><say xmlns="urn:t">in</say></e:Body></e:Envelope>'
    assert json.loads(world.command(bpel, "-o", "json", "run", package, stdin=envelope))["answer"].count("in")
    failing = world.echo()
    failing["talk.bpel"] = failing["talk.bpel"].replace("<reply", '<throw faultName="t:bad"/><reply')
    said = world.command(bpel, "run", world.write(os.path.join(folder, "f"), failing), "--request", request, code=1)
    assert "fault" in said and "bad" in said, said
    world.command(bpel, "run", package, stdin="<other/>", code=3)
    world.command(bpel, "run", package, stdin="no xml", code=3)


def instances(programs, folder):
    with serving(programs, folder) as server:
        server.deploy(world.waiting("begun", "ended"))
        assert server.say("<id>a</id>").said == "begun"
        one = server.instances()[0]["id"]
        assert one in server.run("instances", "--running")
        shown = json.loads(server.run("-o", "json", "show", one))
        assert shown["state"] == "running" and shown["process"] == "talk", shown
        states = {}

        def walk(node):
            states.setdefault((node["kind"], node.get("name", "")), []).append(node["state"])
            for child in node.get("children", []):
                walk(child)
        walk(shown["activities"])
        assert states[("process", "talk")] == ["running"] and states[("sequence", "main")] == ["running"], states
        assert states[("receive", "")] == ["completed", "waiting"], states
        assert states[("reply", "")] == ["completed", ""], states
        assert any(value["name"] == "in" and ">a<" in value["value"] for value in shown["variables"]), shown
        assert [step["kind"] for step in shown["history"]] == ["create"], shown
        text = server.run("show", one)
        assert "ACTIVITIES" in text and "waiting" in text and "HISTORY" in text, text
        assert "suspended" in server.run("suspend", one)
        assert server.instances()[0]["state"] == "suspended"
        assert "running" in server.run("resume", one)
        assert server.say("<id>a</id>", "more").said == "ended"
        assert "all the same" in server.run("replay", one)
        assert server.instances()[0]["state"] == "completed"
        server.run("suspend", one, code=5)
        server.run("show", "wf-none", code=4)
        assert server.say("<id>b</id>").said == "begun"
        other = server.instances(running=1)[0]["id"]
        assert "terminated" in server.run("terminate", other, "--reason", "enough")
        assert server.instances(running=1) == []
        assert "enough" in server.run("show", other)
        assert json.loads(server.run("-o", "json", "instances", "--process", "nobody"))["instances"] == []
        server.stop()
        server.run("instances", code=1)
        server.start()


def pages(programs, folder):
    with serving(programs, folder) as server:
        server.deploy(world.echo())
        for number in range(7):
            server.say(str(number))
        first = server.ask("GET", "/instances?limit=5").json
        assert len(first["instances"]) == 5, first
        rest = server.ask("GET", "/instances?limit=5&after=" + first["next"]).json
        assert len(rest["instances"]) == 2 and "next" not in rest, rest


def draw(programs, folder):
    """Every activity is in the picture, none overlaps its neighbour or leaves its parent; no script."""
    bpel = os.path.join(programs, "bpel")
    files = world.waiting("begun", "ended")
    files["talk.bpel"] = files["talk.bpel"].replace(
        '<sequence name="main">', '<sequence name="main"><flow name="both"><links><link name="then"/></links>'
        + world.receive(inside='<sources><source linkName="then"/></sources>' + world.CORRELATE.format("yes"))
        + '<scope name="inner"><targets><target linkName="then"/></targets><faultHandlers><catchAll><empty name="oops"/>'
        '</catchAll></faultHandlers><empty name="work &amp; more"/></scope></flow>', 1)
    files["talk.bpel"] = files["talk.bpel"].replace("</flow>" + "\n" + world.receive(inside=world.CORRELATE.format("yes")), "</flow>")
    package = world.write(os.path.join(folder, "p"), files)
    picture = world.command(bpel, "draw", package)
    root = ET.fromstring(picture)
    svg = "{http://www.w3.org/2000/svg}"
    assert root.tag == svg + "svg" and "<script" not in picture
    written = "".join(root.itertext())
    for word in ("process talk", "flow both", "scope inner", "catchAll", "empty oops", "receive", "reply", "then"):
        assert word in written, word
    boxes = [tuple(float(rect.get(name)) for name in ("x", "y", "width", "height"))
             for rect in root.iter(svg + "rect") if rect.get("rx")]
    assert len(boxes) >= 12
    for a in boxes:
        for b in boxes:
            apart = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
            within = all(a[i] <= b[i] and b[i] + b[i + 2] <= a[i] + a[i + 2] for i in (0, 1))
            around = all(b[i] <= a[i] and a[i] + a[i + 2] <= b[i] + b[i + 2] for i in (0, 1))
            assert apart or within or around, (a, b)
    with serving(programs, folder) as server:
        server.deploy(files)
        server.say("<id>a</id>")
        one = server.instances()[0]["id"]
        coloured = server.run("draw", package, "--instance", one)
        assert "not reached" in coloured and ": waiting" in coloured and ": completed" in coloured, coloured
        assert server.run("draw", "--instance", one) == coloured
        ET.fromstring(coloured)


if __name__ == "__main__":
    world.main({test.__name__: test for test in (check, run, instances, pages, draw)})
