"""Packages as people and designers make them: descriptors of other products, imports, encodings, addresses."""
import world
from soap import Partner
from world import serving

ODE = "http://www.apache.org/ode/schemas/dd/2007/03"


def ode(name, links):
    """A deploy.xml of Apache ODE for one process; `links`: (provide or invoke, partner link, service, port)."""
    said = "".join(f'<{kind} partnerLink="{link}"><service name="w:{service}" port="{port}"/></{kind}>'
                   for kind, link, service, port in links)
    return (f'<?xml version="1.0"?><deploy xmlns="{ODE}" xmlns:p="urn:p" xmlns:w="urn:t"><process name="p:{name}">'
            f'<in-memory>true</in-memory><active>true</active><process-events generate="all"/>{said}</process></deploy>')


def port(service, address):
    return (f'<wsdl:service name="{service}"><wsdl:port name="P" binding="t:B11"><soap:address location="{address}"/>'
            '</wsdl:port></wsdl:service>')


def descriptors(programs, folder):
    """ODE's descriptor says which port is whose; others are left alone with a warning."""
    with serving(programs, folder, memory=True) as server, Partner(
            lambda body: (200, '<said xmlns="urn:t">from afar</said>')) as partner:
        body = (world.receive() + '<invoke partnerLink="other" operation="say" inputVariable="in" outputVariable="out"/>'
                '<reply partnerLink="client" operation="say" variable="out"/>')
        link = '<partnerLink name="other" partnerLinkType="t:L" partnerRole="service"/>'
        services = port("Mine", "http://localhost:8080/ode/processes/talk") + port("Theirs", partner.base + "/theirs")
        files = {"talk.bpel": world.process(body, partners=link),
                 "talk.wsdl": world.wsdl("").replace("<plnk:", services + "<plnk:", 1),
                 "deploy.xml": ode("talk", [("provide", "client", "Mine", "P"), ("invoke", "other", "Theirs", "P")])}
        assert not server.deploy(files).get("diagnostics")
        assert server.say("x", path="/ode/processes/talk").said == "from afar"
        assert partner.seen[0][0]["Host"] in partner.base
        swapped = {**files, "deploy.xml": ode("talk", [("provide", "client", "Theirs", ""), ("invoke", "other", "Gone", "P"),
                                                       ("invoke", "none", "Mine", "P")])}
        said = server.deploy(swapped)
        assert "no address for the service {urn:t}Gone" in str(said["diagnostics"]), said
        assert [one for one in said["endpoints"] if one["address"].endswith("/theirs")], said
        echo = world.echo("plain")
        echo["plain.bpel"] = echo["plain.bpel"].replace('name="talk"', 'name="plain"')
        for text in ('<suitcase xmlns="urn:somebody"/>', "no xml at all"):
            said = server.deploy({**echo, "deploy.xml": text})
            assert [one["severity"] for one in said["diagnostics"]] == ["warning"], said
            assert server.say("x").said == "x"
        refused = server.deploy({**echo, "deploy.xml": '<deploy xmlns="urn:nuraghe:deploy:1">'}, status=422)
        assert refused["diagnostics"][0]["file"] == "deploy.xml", refused
        # Where the descriptor is in a folder with its process, and the service in a WSDL that the process does not import.
        concrete = ('<wsdl:definitions targetNamespace="urn:t" xmlns:t="urn:t" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" '
                    'xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"><wsdl:import namespace="urn:t" location="talk.wsdl"/>'
                    '<wsdl:binding name="B11" type="t:Talk"><soap:binding style="document" '
                    'transport="http://schemas.xmlsoap.org/soap/http"/></wsdl:binding>'
                    + port("Far", "http://localhost/far") + "</wsdl:definitions>")
        server.deploy({"bpel/plain.bpel": echo["plain.bpel"], "bpel/talk.wsdl": world.wsdl(""), "bpel/far.wsdl": concrete,
                       "bpel/deploy.xml": ode("plain", [("provide", "client", "Far", "P")]), ".project": "<x"})
        assert server.say("far", path="/far").said == "far"


def imports(programs, folder):
    """Locations with escapes, backslashes and schemes; none at all; schemas that nothing leads to."""
    with serving(programs, folder, memory=True) as server:
        for number, (location, path) in enumerate((
                ("my%20files/talk%2Bx.wsdl", "my files/talk+x.wsdl"), ("wsdl\\talk.wsdl", "wsdl/talk.wsdl"),
                ("http://example.org/services/talk.wsdl", "copies/services/talk.wsdl"),
                ("project:/talk.wsdl", "talk.wsdl"), ("file:///home/me/talk.wsdl", "talk.wsdl"), ("", "any.wsdl"))):
            body = world.receive() + world.answer("$in.p")
            files = {"p.bpel": world.process(body, f"p{number}", location=location), path: world.wsdl(f"/p{number}"),
                     "other/talk.txt": "not meant"}
            server.deploy(files)
            assert server.say("x", path=f"/p{number}").said == "x", location
        nowhere = ('<import namespace="http://www.w3.org/2001/XMLSchema" importType="http://www.w3.org/2001/XMLSchema" '
                   'location="http://www.w3.org/2001/XMLSchema.xsd"/>')
        server.deploy({"p.bpel": world.process(world.receive() + world.answer("$in.p"), "far").replace("<import", nowhere + "<import", 1),
                       "talk.wsdl": world.wsdl()})
        assert server.say("x").said == "x"
        lacking = server.deploy({"p.bpel": world.process(world.receive(), location="gone.wsdl"), "talk.wsdl": world.wsdl()}, status=422)
        assert lacking["diagnostics"][0]["rule"] == "SA00010" and "gone.wsdl" in str(lacking), lacking
        # An import by namespace finds the schema beside; a nested file that is not there is only a warning.
        schema = ('<xsd:schema targetNamespace="urn:t" elementFormDefault="qualified"><xsd:import namespace="urn:u"/>'
                  '<xsd:import namespace="urn:gone" schemaLocation="gone.xsd"/>'
                  + "".join(f'<xsd:element name="{name}" type="xsd:anyType"/>' for name in ("say", "said", "note", "more", "bad"))
                  + "</xsd:schema>")
        other = ('<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:u">'
                 '<xsd:include schemaLocation="parts%20of/u.xsd"/></xsd:schema>')
        part = '<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema"><xsd:element name="box" type="xsd:int"/></xsd:schema>'
        body = (world.receive() + '<assign validate="yes"><copy><from><literal><u:box xmlns:u="urn:u">5</u:box></literal></from>'
                '<to variable="box"/></copy></assign>' + world.answer("$box + 1"))
        said = server.deploy({"p.bpel": world.process(body, variables='<variable name="box" xmlns:u="urn:u" element="u:box"/>'),
                              "talk.wsdl": world.wsdl(schema=schema), "x/u.xsd": other, "x/parts of/u.xsd": part})
        assert "gone.xsd" in str(said["diagnostics"]), said
        assert server.say("x").said == "6"


def encodings(programs, folder):
    """Files in whatever encoding they say, with and without a byte order mark."""
    with serving(programs, folder, memory=True) as server:
        for encoding, declared in (("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("iso-8859-1", "ISO-8859-1"),
                                   ("cp1252", "windows-1252")):
            files = {"p.bpel": world.process(world.receive() + world.answer("concat('\u00e9', $in.p)")), "talk.wsdl": world.wsdl()}
            server.deploy({path: f'<?xml version="1.0" encoding="{declared}"?>{text}'.encode(encoding)
                           for path, text in files.items()})
            assert server.say("x").said == "\u00e9x", encoding


def addresses(programs, folder):
    """A role is served at each address of its port type; a placeholder is none."""
    with serving(programs, folder, memory=True) as server:
        files = world.echo()
        more = port("A", "http://localhost/a%20b?x=1") + port("Z", "http://localhost/z") + port("N", "REPLACE_WITH_ACTUAL_URL")
        files["talk.wsdl"] = files["talk.wsdl"].replace("<plnk:", more + "<plnk:", 1)
        server.deploy(files)
        for path in ("/a%20b", "/z", "/services/talk", "/processes/talk/client"):
            assert server.say("x", path=path).said == "x", path
        files["talk.wsdl"] = world.wsdl("", "").replace("<plnk:", port("N", "REPLACE_WITH_ACTUAL_URL") + "<plnk:", 1)
        server.deploy(files)
        assert server.say("x", path="/processes/talk/client").said == "x"
        assert server.say("x", path="/z").status == 404


def same_names(programs, folder):
    """Processes whose names differ by their namespaces only live side by side, also at one path."""
    def package(namespace, text, messages="urn:t", path="/x"):
        body = world.receive() + world.answer(f"'{text}'")
        files = {"talk.bpel": world.process(body, namespace=messages), "talk.wsdl": world.wsdl(path, namespace=messages)}
        files["talk.bpel"] = files["talk.bpel"].replace('targetNamespace="urn:p"', f'targetNamespace="{namespace}"')
        return files

    own = "/processes/talk/client"
    with serving(programs, folder) as server:
        first = server.deploy(package("urn:p", "one", path="/one"))
        second = server.deploy(package("urn:q", "two", "urn:u", "/two"))
        assert (first["id"], second["id"]) == ("talk-1", "talk.2-1"), second
        active = {one["id"] for one in server.ask("GET", "/deployments").json["deployments"] if one["state"] == "active"}
        assert active == {"talk-1", "talk.2-1"}, active
        assert server.say("x", path="/one").said == "one" and server.say("x", path="/two", namespace="urn:u").said == "two"
        # The body tells which is meant; of those that take it, the newest.
        assert server.say("x", path=own).said == "one" and server.say("x", path=own, namespace="urn:u").said == "two"
        third = server.deploy(package("urn:r", "three", path="/three"))
        assert third["id"] == "talk.3-1" and server.say("x", path=own).said == "three"
        assert server.say("x", path="/one").said == "one"
        again = server.deploy(package("urn:q", "two again", "urn:u", "/two"))
        assert again["id"] == "talk.2-2" and server.say("x", path=own, namespace="urn:u").said == "two again"
        server.ask("DELETE", "/deployments/talk.3-1")
        server.stop()
        server.start()
        assert server.say("x", path=own).said == "one"
        assert server.deploy(package("urn:p", "one again", path="/one"))["id"] == "talk-2"


if __name__ == "__main__":
    world.main({test.__name__: test for test in (descriptors, imports, encodings, addresses, same_names)})
