#!/usr/bin/python3
"""serving.py PROGRAMS [TEST...]: deploying, versions, restarts, descriptions, nested processes, access."""
import os
import shutil
import signal

import world
from world import serving


def deployments(programs, folder):
    with serving(programs, folder) as server:
        made = server.deploy(world.echo())
        assert made["id"] == "talk-1" and made["process"] == "talk" and made["version"] == 1, made
        own, shared = made["endpoints"]
        assert own["path"] == "/processes/talk/client" and shared["path"] == "/services/talk", made
        assert own["wsdl"] == server.base + own["path"] + "?wsdl"
        for endpoint in (own, shared):
            assert server.say("hello", path=endpoint["path"]).said == "hello"
        assert server.deploy(world.echo())["id"] == "talk-1", "equal content is no new version"
        assert [one["id"] for one in server.ask("GET", "/deployments").json["deployments"]] == ["talk-1"]
        assert server.ask("GET", "/deployments/talk-1").json["state"] == "active"
        assert server.ask("GET", "/deployments/talk-9").status == 404
        named = server.deploy(world.echo("other"), name="mine")
        assert named["id"] == "mine-1" and named["process"] == "other"
        assert server.ask("DELETE", "/deployments/mine-1").status == 204
        assert server.ask("DELETE", "/deployments/mine-1").status == 404
        assert server.ask("DELETE", "/deployments/talk-1").status == 204
        gone = server.say("hello")
        assert gone.status == 404, gone.text


def refusals(programs, folder):
    with serving(programs, folder) as server:
        broken = world.echo()
        broken["talk.bpel"] = broken["talk.bpel"].replace('<reply', '<rethrow/><reply').replace('variable="out" part', 'variable="none" part')
        said = server.deploy(broken, status=422)["diagnostics"]
        assert len(said) >= 2, said
        assert all(one["file"] == "talk.bpel" and one["line"] > 1 and one["column"] > 0 and one["sentence"] for one in said), said
        assert any(one["rule"].startswith("SA000") for one in said), said
        for content in (b"no zip", b"", world.zipped({"../out.bpel": "<x/>"}), world.zipped({"/etc/x": "y"}),
                        world.zipped({"readme.txt": "no process"}),
                        world.zipped({f"f{number}": "" for number in range(300)}),
                        world.zipped({"big.xsd": "x" * (65 << 20)}),
                        world.zipped({"deep.bpel": "<a>" * 5000 + "</a>" * 5000})):
            said = server.deploy(content, status=422)["diagnostics"]
            assert said and said[0]["sentence"], said
        assert server.ask("PUT", "/deployments").status == 405
        assert server.ask("GET", "/nothing").status == 404
        assert server.ask("GET", "/deployments").json["deployments"] == []


def zip_of_a_folder(programs, folder):
    with serving(programs, folder) as server:
        made = server.deploy({"folder/" + path: text for path, text in world.echo().items()})
        assert made["processes"][0]["file"] == "talk.bpel", made
        # Names in UTF-8; capital letters that count on some systems alone.
        text = world.echo()["talk.bpel"]
        for location, path in (("d\u00e9finition.wsdl", "d\u00e9finition.wsdl"), ("Talk.WSDL", "talk.wsdl")):
            server.deploy({"talk.bpel": text.replace("talk.wsdl", location), path: world.wsdl()})
            assert server.say("x").said == "x", location
        # What macOS packs beside.
        made = server.deploy({**world.echo(), "._talk.bpel": "\0\5\26\7", "__MACOSX/._talk.wsdl": "\0", ".DS_Store": "\0"})
        assert [one["file"] for one in made["processes"]] == ["talk.bpel"], made


def versions(programs, folder):
    """New instances run the new version; one that waits finishes on its own, by either path, over a kill."""
    with serving(programs, folder) as server:
        server.deploy(world.waiting("first", "of the first"))
        for name in "abc":
            assert server.say(f"<id>{name}</id>").said == "first"
        made = server.deploy(world.waiting("second", "of the second"))
        assert made["id"] == "talk-2", made
        states = {one["id"]: one["state"] for one in server.ask("GET", "/deployments").json["deployments"]}
        assert states == {"talk-1": "retired", "talk-2": "active"}, states
        assert server.say("<id>d</id>").said == "second"
        assert server.say("<id>a</id>", "more").said == "of the first"
        assert server.say("<id>d</id>", "more", "/processes/talk/client").said == "of the second"
        server.stop(signal.SIGKILL)
        server.start()
        assert server.say("<id>b</id>", "more", "/processes/talk/client").said == "of the first"
        assert server.ask("DELETE", "/deployments/talk-2").status == 204
        assert server.say("<id>c</id>", "more").said == "of the first", "what runs finishes"
        assert server.say("<id>e</id>").status in (404, 500)


def folder_at_the_start(programs, folder):
    packages = os.path.join(folder, "packages")
    world.write(os.path.join(packages, "one"), world.echo("one"))
    with open(os.path.join(packages, "two.zip"), "wb") as file:
        file.write(world.zipped(world.echo("two")))
    world.write(os.path.join(packages, "broken"), {"broken.bpel": "<process/>"})
    with serving(programs, folder, "--deploy", packages) as server:
        assert {one["id"] for one in server.ask("GET", "/deployments").json["deployments"]} == {"one-1", "two-1"}
        assert server.say("hello", path="/processes/one/client").said == "hello"
        server.stop()
        world.write(os.path.join(packages, "one"), {"one.bpel": world.process(world.receive() + world.answer("'new'"), "one")})
        server.start()
        assert server.say("hello", path="/processes/one/client").said == "new"
        assert server.ask("GET", "/deployments/one-2").json["version"] == 2
    assert "broken.bpel" in open(os.path.join(folder, "log")).read()


def folder_that_changes(programs, folder):
    """What left the folder since the last start takes no new instances; what cannot be read now stays as it was."""
    packages = os.path.join(folder, "packages")
    world.write(os.path.join(packages, "stays"), world.echo("stays"))
    world.write(os.path.join(packages, "goes"), world.waiting("first", "and the end", "goes"))
    world.write(os.path.join(packages, "breaks"), world.echo("breaks"))
    with open(os.path.join(packages, "rots.zip"), "wb") as file:
        file.write(world.zipped(world.echo("rots")))
    with serving(programs, folder, "--deploy", packages) as server:
        def states():
            return {one["id"]: one["state"] for one in server.ask("GET", "/deployments").json["deployments"]}
        server.deploy(world.echo("posted"))
        before = states()
        assert before == {name + "-1": "active" for name in ("stays", "goes", "breaks", "rots", "posted")}, before
        assert server.say("<id>a</id>", path="/processes/goes/client").said == "first"
        server.stop()
        shutil.rmtree(os.path.join(packages, "goes"))
        world.write(os.path.join(packages, "breaks"), {"breaks.bpel": "<process/>"})
        world.write(packages, {"rots.zip": "no zip any more"})
        server.start()
        assert states() == before | {"goes-1": "retired"}, states()
        assert server.say("<id>b</id>", path="/processes/goes/client").status in (404, 500)
        assert server.say("<id>a</id>", "more", "/processes/goes/client").said == "and the end", "what runs finishes"
        server.stop()
        world.write(os.path.join(packages, "goes"), world.echo("goes"))
        server.start()
        assert states()["goes-2"] == "active", states()
        assert server.say("back", path="/processes/goes/client").said == "back"
        server.stop()
        server.options = ()
        server.start()
        assert states()["stays-1"] == "active", "no folder says nothing"


def imports(programs, folder):
    """Descriptions in folders, nested, with a chameleon include: each is reachable from the first."""
    chameleon = world.types().replace(' targetNamespace="urn:t"', "")
    schema = ('<xsd:schema targetNamespace="urn:t" elementFormDefault="qualified">'
              '<xsd:include schemaLocation="../types/all.xsd"/></xsd:schema>')
    files = {"talk.bpel": world.process(world.receive() + world.answer("$in.p"), location="wsdl/top.wsdl"),
             "wsdl/top.wsdl": f'<wsdl:definitions xmlns:wsdl="{world.WSDL}" targetNamespace="urn:t">'
                              '<wsdl:import namespace="urn:t" location="deeper/talk.wsdl"/></wsdl:definitions>',
             "wsdl/deeper/talk.wsdl": world.wsdl(schema=schema.replace("../types", "../../types")),
             "types/all.xsd": chameleon}
    with serving(programs, folder) as server:
        server.deploy(files)
        assert server.say("hello").said == "hello"
        seen, open_ones = set(), ["/services/talk?wsdl"]
        while open_ones:
            path = open_ones.pop()
            if path in seen:
                continue
            seen.add(path)
            found = server.ask("GET", path)
            assert found.status == 200, (path, found.text)
            for node in world.ET.fromstring(found.text).iter():
                location = node.get("schemaLocation") or (node.get("location") if node.tag.endswith("import") else None)
                if location:
                    assert location.startswith(server.base + "/services/talk?"), location
                    open_ones.append(location[len(server.base):])
                if node.tag.endswith("}address"):
                    assert node.get("location") == server.base + "/services/talk", found.text
        assert len(seen) == 2, seen
        assert server.ask("GET", "/services/talk?wsdl=talk.bpel").status == 404
        assert server.ask("GET", "/services/talk?xsd=../../etc/passwd").status == 404


def abstract_description(programs, folder):
    """A WSDL without a service is given one."""
    import zeep
    files = world.echo()
    files["talk.wsdl"] = world.wsdl(path="", versions=())
    with serving(programs, folder) as server:
        made = server.deploy(files)
        assert [one["path"] for one in made["endpoints"]] == ["/processes/talk/client"], made
        client = zeep.Client(server.base + "/processes/talk/client?wsdl")
        assert sorted(client.service._operations) == ["more", "note", "say"]
        assert server.say("x", path="/processes/talk/client", version=12).said == "x", "both versions are spoken"


def nested(programs, folder):
    """A process calls another by the soap:address of its WSDL, wherever that says it is: both are linked."""
    child = {"child.bpel": world.process(world.receive() + world.answer("concat('child of ', $in.p)"), "child"),
             "talk.wsdl": world.wsdl("/inner", "http://child.example:99")}
    call = ('<invoke partnerLink="inner" operation="say" inputVariable="in" outputVariable="out"/>'
            '<reply partnerLink="client" operation="say" variable="out"/>')
    parent = {"parent.bpel": world.process(world.receive() + call, "parent",
                                           '<partnerLink name="inner" partnerLinkType="t:L" partnerRole="service"/>'),
              "talk.wsdl": world.wsdl("/inner", "http://child.example:99"),
              "deploy.xml": '<deploy xmlns="urn:nuraghe:deploy:1"><myRole partnerLink="client" path="/outer"/></deploy>'}
    with serving(programs, folder) as server:
        server.deploy(child)
        server.deploy(parent)
        assert server.say("x", path="/outer").said == "child of x"
        by_process = {one["process"]: one for one in server.instances()}
        assert by_process["child"]["parent"] == by_process["parent"]["id"], by_process
        shown = server.ask("GET", "/instances/" + by_process["parent"]["id"]).json
        assert [one["id"] for one in shown["children"]] == [by_process["child"]["id"]], shown


def access(programs, folder):
    token = os.path.join(folder, "token")
    with serving(programs, folder, "--token-file", token) as server:
        assert server.ask("GET", "/deployments").status == 401
        assert server.say("x").status == 401
        secret = open(token).read().strip()
        assert server.ask("GET", "/deployments", Authorization="Bearer " + secret).status == 200
        assert server.ask("GET", "/deployments", Authorization="Bearer x" + secret).status == 401
        server.run("deployments", code=5)
        server.run("--server-token", token, "deployments")
        second = world.command(server.program, "serve", "--listen", "127.0.0.1:0", "--state", os.path.join(folder, "state"), code=5)
        assert "another bpel works" in second, second
    refused = world.command(os.path.join(programs, "bpel"), "serve", "--listen", "0.0.0.0:0", "--memory", code=5)
    assert "--token-file" in refused, refused


def in_memory(programs, folder):
    with serving(programs, folder, memory=True) as server:
        server.deploy(world.echo())
        assert server.say("hello").said == "hello"
        assert not os.path.exists(os.path.join(folder, "state"))


if __name__ == "__main__":
    world.main({test.__name__: test for test in (deployments, refusals, zip_of_a_folder, versions, folder_at_the_start,
                                                 folder_that_changes, imports, abstract_description, nested, access, in_memory)})
