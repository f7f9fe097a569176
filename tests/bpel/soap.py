#!/usr/bin/python3
"""soap.py PROGRAMS [TEST...]: document and rpc, SOAP 1.1 and 1.2, faults, one-way, partners over HTTP, bad input."""
import http.server
import threading
import xml.etree.ElementTree as ET

import world
from world import SOAP11, SOAP12, serving


class Partner:
    """A service of somebody else: answers each request with `reply(body element)` and remembers what came."""

    def __init__(self, reply):
        self.seen = []
        partner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                root = ET.fromstring(text)
                envelope = root.tag[1:].split("}")[0]
                body = next(iter(root.find(f"{{{envelope}}}Body")))
                partner.seen.append((self.headers, envelope, body, text))
                status, content = reply(body)
                data = f'<e:Envelope xmlns:e="{envelope}"><e:Body>{content}</e:Body></e:Envelope>'.encode()
                self.send_response(status)
                self.send_header("Content-Type", self.headers["Content-Type"])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def versions(programs, folder):
    both = world.echo("both")
    both["talk.wsdl"] = world.wsdl("/both", versions=(11, 12))
    new = world.echo("new")
    new["talk.wsdl"] = world.wsdl("/new", versions=(12,))
    with serving(programs, folder) as server:
        for files in (world.echo(), both, new):
            server.deploy(files)
        for version, envelope in ((11, SOAP11), (12, SOAP12)):
            answer = server.say("x", path="/both", version=version)
            assert answer.said == "x" and envelope in answer.text, answer.text
            assert answer.headers["Content-Type"].startswith({11: "text/xml", 12: "application/soap+xml"}[version])
        old = server.say("x", version=12)
        assert old.status == 500 and old.payload.find("faultcode").text.endswith(":VersionMismatch"), old.text
        assert server.say("x", path="/new", version=12).said == "x"
        wrong = server.say("x", path="/new", version=11)
        assert wrong.status == 500 and "VersionMismatch" in wrong.text, wrong.text
        assert server.ask("POST", "/both", "{}", Content_Type="application/json").status == 415


def operations(programs, folder):
    """The body tells the operation, whatever the action says; a one-way one is accepted."""
    body = ('<pick createInstance="yes"><onMessage partnerLink="client" operation="say" variable="in"><sequence>'
            + world.answer("'said'") + '</sequence></onMessage>'
            '<onMessage partnerLink="client" operation="more" variable="moreIn"><sequence>'
            + world.answer("'more'", "more") + '</sequence></onMessage>'
            '<onMessage partnerLink="client" operation="note" variable="noteIn"><empty/></onMessage></pick>')
    files = {"talk.bpel": world.process(body, variables='<variable name="noteIn" messageType="t:note"/>'),
             "talk.wsdl": world.wsdl()}
    with serving(programs, folder) as server:
        server.deploy(files)
        for action in (None, "", "urn:act:say", "urn:other"):
            assert server.say("x", action=action).said == "said"
            assert server.say("x", "more", action=action).said == "more"
        noted = server.say("x", "note")
        assert noted.status == 202 and noted.body == b"", (noted.status, noted.text)
        unknown = server.say("x", "strange")
        assert unknown.status == 500 and "say, more, note" in unknown.text, unknown.text
        named = server.say("x", "strange", action="urn:act:say")
        assert named.status == 500 and "expected {urn:t}say" in named.text, named.text


def first_answers(programs, folder):
    """A repeated MessageID gets the first answer and makes no second instance."""
    header = '<w:MessageID xmlns:w="http://www.w3.org/2005/08/addressing">urn:uuid:7</w:MessageID>'
    with serving(programs, folder) as server:
        server.deploy(world.echo())
        first = server.say("first", header=header)
        assert first.said == "first" and "urn:uuid:7" in first.text, first.text
        assert server.say("second", header=header).said == "first"
        assert len(server.instances()) == 1


def faults(programs, folder):
    body = (world.receive() + '<assign><copy><from><literal><t:bad>no bread</t:bad></literal></from>'
            '<to variable="why" part="p"/></copy></assign>'
            '<reply partnerLink="client" operation="say" faultName="t:bad" variable="why"/>')
    files = {"talk.bpel": world.process(body, variables='<variable name="why" messageType="t:bad"/>'),
             "talk.wsdl": world.wsdl(versions=(11, 12))}
    with serving(programs, folder) as server:
        server.deploy(files)
        answer = server.say("x")
        assert answer.status == 500 and answer.payload.tag == f"{{{SOAP11}}}Fault", answer.text
        assert answer.payload.find("detail/{urn:t}bad").text == "no bread", answer.text
        assert answer.payload.find("faultcode").text and answer.payload.find("faultstring").text
        answer = server.say("x", version=12)
        assert answer.payload.find(f"{{{SOAP12}}}Detail/{{urn:t}}bad").text == "no bread", answer.text
        assert answer.payload.find(f"{{{SOAP12}}}Code/{{{SOAP12}}}Value").text.endswith(":Receiver"), answer.text


def validation(programs, folder):
    """Content is checked where the deployment says so."""
    schema = ('<xsd:schema targetNamespace="urn:t" elementFormDefault="qualified">'
              '<xsd:element name="say" type="xsd:int"/>'
              + "".join(f'<xsd:element name="{name}" type="xsd:anyType"/>' for name in ("said", "note", "more", "bad"))
              + "</xsd:schema>")
    files = world.echo()
    files["talk.wsdl"] = world.wsdl(schema=schema)
    with serving(programs, folder) as server:
        server.deploy(files)
        assert server.say("no number").said == "no number"
        files["deploy.xml"] = '<deploy xmlns="urn:nuraghe:deploy:1" validate="yes"/>'
        server.deploy(files)
        refused = server.say("no number")
        assert refused.status == 500 and "Client" in refused.payload.find("faultcode").text, refused.text
        assert "no number" in refused.text
        assert server.say("12").said == "12"


RPC = """<wsdl:definitions targetNamespace="urn:r" xmlns:t="urn:r" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
  xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype">
  <wsdl:message name="Two"><wsdl:part name="a" type="xsd:int"/><wsdl:part name="b" type="xsd:int"/></wsdl:message>
  <wsdl:message name="One"><wsdl:part name="sum" type="xsd:int"/></wsdl:message>
  <wsdl:portType name="Sums"><wsdl:operation name="add"><wsdl:input message="t:Two"/><wsdl:output message="t:One"/></wsdl:operation></wsdl:portType>
  <wsdl:binding name="B" type="t:Sums"><soap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="add"><soap:operation soapAction="urn:sums"/><wsdl:input><soap:body use="literal" namespace="urn:w"/></wsdl:input>
      <wsdl:output><soap:body use="literal" namespace="urn:w"/></wsdl:output></wsdl:operation></wsdl:binding>
  <wsdl:service name="S"><wsdl:port name="P" binding="t:B"><soap:address location="ADDRESS"/></wsdl:port></wsdl:service>
  <plnk:partnerLinkType name="L"><plnk:role name="service" portType="t:Sums"/></plnk:partnerLinkType>
</wsdl:definitions>"""


def rpc(name, links, rest):
    return (f'<process name="{name}" targetNamespace="urn:p" xmlns="{world.BPEL}" xmlns:t="urn:r">'
            f'<import namespace="urn:r" location="r.wsdl" importType="{world.WSDL}"/><partnerLinks>'
            f'<partnerLink name="client" partnerLinkType="t:L" myRole="service"/>{links}</partnerLinks><variables>'
            '<variable name="in" messageType="t:Two"/><variable name="out" messageType="t:One"/></variables><sequence>'
            f'<receive partnerLink="client" operation="add" variable="in" createInstance="yes"/>{rest}'
            '<reply partnerLink="client" operation="add" variable="out"/></sequence></process>')


def remote_procedures(programs, folder):
    """rpc/literal on both sides: served, and asked of a partner over HTTP."""
    sums = {"sum.bpel": rpc("sum", "", '<assign><copy><from>$in.a + $in.b</from><to variable="out" part="sum"/></copy></assign>'),
            "r.wsdl": RPC.replace("ADDRESS", "http://localhost/sum")}
    with serving(programs, folder) as server, Partner(
            lambda body: (200, '<w:addResponse xmlns:w="urn:w"><sum>42</sum></w:addResponse>')) as partner:
        server.deploy(sums)
        request = '<w:add xmlns:w="urn:w"><a>3</a><b>4</b></w:add>'
        answer = server.say(request, operation=None, path="/sum", action="urn:sums")
        assert answer.payload.tag == "{urn:w}addResponse", answer.text
        assert answer.payload.find("sum").text == "7", answer.text
        lacking = server.say('<w:add xmlns:w="urn:w"><a>3</a></w:add>', operation=None, path="/sum")
        assert lacking.status == 500 and "part b" in lacking.text, lacking.text
        asking = {"ask.bpel": rpc("ask", '<partnerLink name="other" partnerLinkType="t:L" partnerRole="service"/>',
                                  '<invoke partnerLink="other" operation="add" inputVariable="in" outputVariable="out"/>'),
                  "r.wsdl": RPC.replace("ADDRESS", partner.base + "/elsewhere"),
                  "deploy.xml": '<deploy xmlns="urn:nuraghe:deploy:1"><myRole partnerLink="client" path="/ask"/></deploy>'}
        server.deploy(asking)
        answer = server.say(request, operation=None, path="/ask")
        assert answer.payload.find("sum").text == "42", answer.text
        headers, _, body, _ = partner.seen[0]
        assert body.tag == "{urn:w}add" and [child.tag for child in body] == ["a", "b"], ET.tostring(body)
        assert headers["SOAPAction"] == '"urn:sums"'


def partners(programs, folder):
    """Document/literal to a partner over HTTP in the version of its binding; its fault reaches the handler."""
    for version, envelope in ((11, SOAP11), (12, SOAP12)):
        fault = {11: "<e:Fault><faultcode>e:Server</faultcode><faultstring>no</faultstring><detail>{}</detail></e:Fault>",
                 12: "<e:Fault><e:Code><e:Value>e:Receiver</e:Value></e:Code><e:Reason><e:Text xml:lang='en'>no</e:Text>"
                     "</e:Reason><e:Detail>{}</e:Detail></e:Fault>"}[version]

        def reply(body):
            if body.text == "bad":
                return 500, fault.format('<bad xmlns="urn:t">broken</bad>')
            return 200, f'<said xmlns="urn:t">partner: {body.text}</said>'

        with Partner(reply) as partner, serving(programs, folder, memory=True) as server:
            body = (world.receive() + '<invoke partnerLink="other" operation="say" inputVariable="in" outputVariable="out"/>'
                    '<reply partnerLink="client" operation="say" variable="out"/>')
            handler = ('<faultHandlers><catch faultName="t:bad" faultVariable="why" faultMessageType="t:bad"><sequence>'
                       + world.answer("concat('caught ', $why.p)") + '</sequence></catch></faultHandlers>')
            link = '<partnerLink name="other" partnerLinkType="t:L" partnerRole="service"/>'
            server.deploy({"talk.bpel": world.process(body, partners=link, before=handler),
                           "talk.wsdl": world.wsdl("/there", partner.base, versions=(version,)),
                           "deploy.xml": '<deploy xmlns="urn:nuraghe:deploy:1">'
                                         '<myRole partnerLink="client" path="/here"/></deploy>'})
            assert server.say("x", path="/here", version=version).said == "partner: x"
            headers, seen, _, text = partner.seen[0]
            assert seen == envelope, text
            assert "MessageID" in text, text
            if version == 11:
                assert headers["SOAPAction"] == '"urn:act:say"', headers
            else:
                assert 'action="urn:act:say"' in headers["Content-Type"], headers
            assert server.say("bad", path="/here", version=version).said == "caught broken"


def bad_input(programs, folder):
    """Whatever comes, the answer is a fault with a reason, and the server goes on."""
    with serving(programs, folder) as server:
        server.deploy(world.echo())
        deep = "<a>" * 1000 + "</a>" * 1000
        texts = ["", "no xml", "<a/>", "<e:Envelope xmlns:e='urn:other'/>", f"<e:Envelope xmlns:e='{SOAP11}'/>",
                 f"<e:Envelope xmlns:e='{SOAP11}'><e:Body>{deep}</e:Body></e:Envelope>",
                 f"<!DOCTYPE x [<!ENTITY y 'z'>]><e:Envelope xmlns:e='{SOAP11}'><e:Body>&y;</e:Body></e:Envelope>",
                 f"<e:Envelope xmlns:e='{SOAP11}'><e:Body><a/><b/></e:Body></e:Envelope>",
                 f"<e:Envelope xmlns:e='{SOAP11}'><e:Body/></e:Envelope>", "\0\1\2"]
        for text in texts:
            answer = server.ask("POST", "/services/talk", text.encode(), Content_Type="text/xml")
            assert answer.status in (400, 500), (text[:80], answer.status, answer.text)
            assert answer.payload.find("faultcode").text and answer.payload.find("faultstring").text, answer.text
        huge = server.say("x" * (17 << 20))
        assert huge.status in (400, 413), huge.status
        assert server.say("still there").said == "still there"


def clients(programs, folder):
    """A client of other people reads the description and calls."""
    import zeep
    schema = ('<xsd:schema targetNamespace="urn:t" elementFormDefault="qualified">'
              + "".join(f'<xsd:element name="{name}" type="xsd:string"/>' for name in ("say", "said", "note", "more", "bad"))
              + "</xsd:schema>")
    files = world.echo()
    files["talk.wsdl"] = world.wsdl(versions=(11, 12), schema=schema)
    with serving(programs, folder) as server:
        server.deploy(files)
        for path in ("/services/talk", "/processes/talk/client"):
            client = zeep.Client(server.base + path + "?wsdl")
            for port in ("P11", "P12"):
                assert client.bind("S", port).say("hello") == "hello"


if __name__ == "__main__":
    world.main({test.__name__: test for test in (versions, operations, first_answers, faults, validation,
                                                 remote_procedures, partners, bad_input, clients)})
