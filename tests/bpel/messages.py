"""How WSDL messages stand in envelopes: rpc, several parts, header blocks, charsets; what partners answer."""
import gzip
import json
import signal
import socket
import threading
import xml.etree.ElementTree as ET
import zlib

import world
from soap import Partner
from world import BPEL, SOAP11, SOAP12, WSDL, serving

TYPES = ('<xsd:schema targetNamespace="urn:m" elementFormDefault="qualified"><xsd:element name="a" type="xsd:int"/>'
         '<xsd:element name="b" type="xsd:string"/></xsd:schema>')
TYPED = {"Ask": '<wsdl:part name="a" type="xsd:int"/><wsdl:part name="b" type="xsd:string"/>',
         "Told": '<wsdl:part name="a" type="xsd:int"/><wsdl:part name="b" type="xsd:string"/>'}
ELEMENTS = {"Ask": '<wsdl:part name="a" element="m:a"/><wsdl:part name="b" element="m:b"/>',
            "Told": '<wsdl:part name="a" element="m:a"/><wsdl:part name="b" element="m:b"/>'}


def binding(name, style, inside, out, address):
    return (f'<wsdl:binding name="{name}" type="m:Talk"><soap:binding style="{style}" transport="http://schemas.xmlsoap.org/soap/http"/>'
            f'<wsdl:operation name="ask"><soap:operation soapAction=""/><wsdl:input>{inside}</wsdl:input>'
            f'<wsdl:output>{out}</wsdl:output></wsdl:operation></wsdl:binding><wsdl:service name="{name}S">'
            f'<wsdl:port name="P" binding="m:{name}"><soap:address location="{address}"/></wsdl:port></wsdl:service>')


def wsdl(parts, bindings=""):
    messages = "".join(f'<wsdl:message name="{name}">{text}</wsdl:message>' for name, text in parts.items())
    return (f'<wsdl:definitions targetNamespace="urn:m" xmlns:m="urn:m" xmlns:wsdl="{WSDL}" '
            'xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
            'xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype">'
            f'<wsdl:types>{TYPES}</wsdl:types>{messages}<wsdl:message name="Bad"><wsdl:part name="why" type="xsd:string"/>'
            '</wsdl:message><wsdl:portType name="Talk"><wsdl:operation name="ask">'
            '<wsdl:input message="m:Ask"/><wsdl:output message="m:Told"/><wsdl:fault name="bad" message="m:Bad"/>'
            '</wsdl:operation></wsdl:portType>'
            f'{bindings}<plnk:partnerLinkType name="L"><plnk:role name="r" portType="m:Talk"/></plnk:partnerLinkType></wsdl:definitions>')


def process(body, name="m", links="", variables="", before=""):
    return (f'<process name="{name}" targetNamespace="urn:p" xmlns="{BPEL}" xmlns:m="urn:m"><import namespace="urn:m" '
            f'location="m.wsdl" importType="{WSDL}"/><partnerLinks><partnerLink name="client" partnerLinkType="m:L" myRole="r"/>'
            f'{links}</partnerLinks><variables><variable name="in" messageType="m:Ask"/><variable name="out" messageType="m:Told"/>'
            f'{variables}</variables>{before}<sequence><receive partnerLink="client" operation="ask" variable="in" '
            f'createInstance="yes"/>{body}</sequence></process>')


REPLY = '<reply partnerLink="client" operation="ask" variable="out"/>'
PASS = "".join(f'<assign><copy><from variable="in" part="{part}"/><to variable="out" part="{part}"/></copy></assign>'
               for part in "ab") + REPLY


def body_of(answer):
    assert answer.status == 200, (answer.status, answer.text)
    return list(ET.fromstring(answer.text).find(f"{{{SOAP11}}}Body"))


def ask(server, path, content, header=""):
    return server.say(content, operation=None, path=path, header=header)


def forms(programs, folder):
    with serving(programs, folder, memory=True) as server:
        # rpc: the namespaces of input and output; qualified accessors, another order and encoded values are understood.
        rpc = binding("R", "rpc", '<soap:body use="literal" namespace="urn:in"/>', '<soap:body use="literal" namespace="urn:out"/>', "/rpc")
        server.deploy({"m.bpel": process(PASS), "m.wsdl": wsdl(TYPED, rpc)})
        for request in ('<w:ask xmlns:w="urn:in"><a>3</a><b>x</b></w:ask>', '<ask xmlns="urn:in"><b>x</b><a>3</a></ask>',
                        '<w:ask xmlns:w="urn:in"><a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="x:int">3</a><b>x</b></w:ask>'):
            told, = body_of(ask(server, "/rpc", request))
            assert told.tag == "{urn:out}askResponse" and [(one.tag, one.text) for one in told] == [("a", "3"), ("b", "x")], request
        # Without a binding the parts by type make it rpc in the port type's namespace, as the description says.
        server.deploy({"m.bpel": process(PASS, "none"), "m.wsdl": wsdl(TYPED)})
        told, = body_of(ask(server, "/processes/none/client", '<m:ask xmlns:m="urn:m"><a>3</a><b>x</b></m:ask>'))
        assert told.tag == "{urn:m}askResponse", told.tag
        # Elements in rpc stand in the accessors of their parts; in document style all of them in the body.
        both = (binding("R", "rpc", '<soap:body use="literal" namespace="urn:in"/>', '<soap:body use="literal"/>', "/both/rpc")
                + binding("D", "document", '<soap:body use="literal"/>', '<soap:body use="literal"/>', "/both/doc"))
        server.deploy({"m.bpel": process(PASS, "both"), "m.wsdl": wsdl(ELEMENTS, both)})
        elements = '<m:a xmlns:m="urn:m">3</m:a><m:b xmlns:m="urn:m">x</m:b>'
        told = body_of(ask(server, "/both/doc", elements))
        assert [one.tag for one in told] == ["{urn:m}a", "{urn:m}b"], told
        told, = body_of(ask(server, "/both/rpc", '<w:ask xmlns:w="urn:in"><a><m:a xmlns:m="urn:m">3</m:a></a><b><m:b xmlns:m="urn:m">x</m:b></b></w:ask>'))
        assert told.tag == "{urn:in}askResponse" and told.find("b/{urn:m}b").text == "x", ET.tostring(told)
        # A part that is a header block, understood and answered as one.
        parts = '<soap:body use="literal" parts="a"/><soap:header message="m:{}" part="b" use="literal"/>'
        headers = binding("H", "document", parts.format("Ask"), parts.format("Told"), "/headers")
        server.deploy({"m.bpel": process(PASS, "headers"), "m.wsdl": wsdl(ELEMENTS, headers)})
        block = '<m:b xmlns:m="urn:m" e:mustUnderstand="1">x</m:b>'
        answer = ask(server, "/headers", '<m:a xmlns:m="urn:m">3</m:a>', block)
        assert [one.tag for one in body_of(answer)] == ["{urn:m}a"], answer.text
        header = ET.fromstring(answer.text).find(f"{{{SOAP11}}}Header/{{urn:m}}b")
        assert header.text == "x" and not header.attrib, answer.text
        lacking = ask(server, "/headers", '<m:a xmlns:m="urn:m">3</m:a>')
        assert lacking.status == 500 and "part b" in lacking.text, lacking.text
        # A message without parts needs no value; a part without value may not be sent.
        server.deploy({"m.bpel": process(REPLY, "nothing"), "m.wsdl": wsdl({"Ask": "", "Told": ""}, binding(
            "N", "document", '<soap:body use="literal"/>', '<soap:body use="literal"/>', "/nothing"))})
        assert body_of(ask(server, "/nothing", "")) == []
        half = '<assign><copy><from>1</from><to variable="out" part="a"/></copy></assign>' + REPLY
        server.deploy({"m.bpel": process(half, "half"), "m.wsdl": wsdl(TYPED, rpc.replace('"/rpc"', '"/half"'))})
        lacking = ask(server, "/half", '<w:ask xmlns:w="urn:in"><a>3</a><b>x</b></w:ask>')
        assert "uninitializedVariable" in lacking.text and "part b" in lacking.text, lacking.text


def to_partners(programs, folder):
    """The same forms towards a partner, and back."""
    invoke = '<invoke partnerLink="other" operation="ask" inputVariable="in" outputVariable="out"/>' + REPLY
    link = '<partnerLink name="other" partnerLinkType="m:L" partnerRole="r"/>'
    elements = '<m:a xmlns:m="urn:m">{}</m:a><m:b xmlns:m="urn:m">{}</m:b>'
    content = ['<w:askResponse xmlns:w="urn:out"><a>4</a><b>y</b></w:askResponse>']

    def reply(_):
        return 200, content[0]

    with serving(programs, folder, memory=True) as server, Partner(reply) as partner:
        def deploy(parts, style, inside, out):
            server.deploy({"m.bpel": process(invoke, links=link), "m.wsdl": wsdl(parts, binding("B", style, inside, out, partner.base + "/p")),
                           "deploy.xml": '<deploy xmlns="urn:nuraghe:deploy:1"><myRole partnerLink="client" path="/here"/></deploy>'})

        deploy(TYPED, "rpc", '<soap:body use="literal" namespace="urn:in"/>', '<soap:body use="literal" namespace="urn:out"/>')
        told, = body_of(ask(server, "/here", '<w:ask xmlns:w="urn:in"><a>3</a><b>x</b></w:ask>'))
        assert [one.text for one in told] == ["4", "y"]
        assert partner.seen[-1][2].tag == "{urn:in}ask"
        parts = '<soap:header message="m:{}" part="b" use="literal"/><soap:body use="literal" parts="a"/>'
        deploy(ELEMENTS, "document", parts.format("Ask"), parts.format("Told"))
        content[0] = '<m:a xmlns:m="urn:m">4</m:a></e:Body></e:Envelope><!--'
        answer = ask(server, "/here", '<m:a xmlns:m="urn:m">3</m:a>', '<m:b xmlns:m="urn:m">x</m:b>')
        sent = ET.fromstring(partner.seen[-1][3])
        assert sent.find(f"{{{SOAP11}}}Header/{{urn:m}}b").text == "x" and partner.seen[-1][2].tag == "{urn:m}a", partner.seen[-1][3]
        assert answer.status == 500, answer.text  # the envelope above is broken
        deploy(ELEMENTS, "document", '<soap:body use="literal"/>', '<soap:body use="literal"/>')
        content[0] = elements.format(4, "y")
        told = body_of(ask(server, "/here", elements.format(3, "x")))
        assert [one.text for one in told] == ["4", "y"]
        # A declared fault whose part is given by type is known by its name, on both sides.
        caught = ('<faultHandlers><catch faultName="m:bad" faultVariable="why" faultMessageType="m:Bad"><sequence>'
                  '<assign><copy><from>concat(\'again: \', $why.why)</from><to variable="again" part="why"/></copy></assign>'
                  '<reply partnerLink="client" operation="ask" faultName="m:bad" variable="again"/></sequence></catch></faultHandlers>')
        server.deploy({"m.bpel": process(invoke, links=link, before=caught, variables='<variable name="again" messageType="m:Bad"/>'),
                       "m.wsdl": wsdl(TYPED, binding("B", "rpc", '<soap:body use="literal"/>', '<soap:body use="literal"/>', partner.base + "/p")),
                       "deploy.xml": '<deploy xmlns="urn:nuraghe:deploy:1"><myRole partnerLink="client" path="/here"/></deploy>'})
        content[0] = ('<e:Fault><faultcode>e:Server</faultcode><faultstring>no</faultstring><detail><why>bread</why></detail></e:Fault>')
        answer = ask(server, "/here", '<ask><a>3</a><b>x</b></ask>')
        assert answer.status == 500 and answer.payload.find("detail/why").text == "again: bread", answer.text


def transports(programs, folder):
    """Media types, charsets, reply addresses, as clients have them."""
    with serving(programs, folder, memory=True) as server:
        server.deploy(world.echo())
        text = f'<e:Envelope xmlns:e="{SOAP11}"><e:Body><say xmlns="urn:t">\u00e9</say></e:Body></e:Envelope>'

        def post(content, media):
            headers = {"Content_Type": media} if media else {}
            return server.ask("POST", "/services/talk", content, **headers)

        for media in ("text/xml", "text/xml;charset=UTF-8", 'TEXT/XML; action="x"; charset="utf-8"', "application/xml", ""):
            assert post(text.encode(), media).said == "\u00e9", media
        for encoding, media in (("iso-8859-1", "text/xml; charset=ISO-8859-1"), ("utf-16", "text/xml"),
                                ("utf-16-le", 'text/xml; charset="utf-16le"'), ("utf-8-sig", "text/xml")):
            assert post(text.encode(encoding), media).said == "\u00e9", media
        declared = '<?xml version="1.0" encoding="{}"?>' + text
        assert post(declared.format("ISO-8859-1").encode("iso-8859-1"), "text/xml; charset=utf-8").said == "\u00e9"
        assert post(declared.format("UTF-16").encode(), "text/xml; charset=utf-8").said == "\u00e9"
        assert post(text.encode("iso-8859-1"), "text/xml; charset=nonsense").status == 400
        for coding, packed in (("gzip", gzip.compress(text.encode())), ("deflate", zlib.compress(text.encode()))):
            assert server.ask("POST", "/services/talk", packed, Content_Type="text/xml", Content_Encoding=coding).said == "\u00e9"
        assert "definitions" in server.ask("GET", "/services/talk?WSDL").text
        assert server.ask("PUT", "/services/talk", "x").headers["Allow"] == "GET, HEAD, POST"
        # The root of a request with attachments; the other parts are not handed on.
        for media, part in (('multipart/related; boundary=cut; type="text/xml"', "text/xml; charset=utf-8"),
                            ('Multipart/Related;boundary="cut";type="application/xop+xml";start-info="text/xml"',
                             'application/xop+xml; charset=UTF-8; type="text/xml"')):
            parts = (f'preamble\r\n--cut\r\nContent-Type: {part}\r\nContent-ID: <a>\r\n\r\n{text}\r\n'
                     '--cut\r\nContent-Type: image/png\r\n\r\nnot XML\r\n--cut--\r\n')
            assert post(parts.encode(), media).said == "\u00e9", media
        refused = post(b"no part", "multipart/related; boundary=cut")
        assert refused.status == 400 and "--cut" in refused.text, refused.text
        noted = ('<w:ReplyTo xmlns:w="http://www.w3.org/2005/08/addressing"><w:Address>http://127.0.0.1:9/back</w:Address></w:ReplyTo>')
        files = {"talk.bpel": world.process('<receive partnerLink="client" operation="note" variable="noted" createInstance="yes"/>',
                                            variables='<variable name="noted" messageType="t:note"/>'), "talk.wsdl": world.wsdl("/notes")}
        server.deploy(files, name="notes")
        assert server.say("x", "note", path="/notes", header=noted).status == 202
        old = ('<w:Action xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" e:mustUnderstand="1">urn:act:say</w:Action>')
        assert server.say("x", path="/services/talk", header=old).said == "x"


def references(programs, folder):
    """What a service-ref may hold."""
    link = '<partnerLink name="other" partnerLinkType="t:L" partnerRole="service" initializePartnerRole="no"/>'
    forms = ('<w:EndpointReference xmlns:w="http://www.w3.org/2005/08/addressing"><w:Address> {} </w:Address></w:EndpointReference>',
             '<w:EndpointReference xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"><w:Address>{}</w:Address></w:EndpointReference>',
             '<s:address xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" location="{}"/>',
             '<wsdl:service xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" name="S">'
             '<wsdl:port name="P" binding="t:B11"><s:address location="{}"/></wsdl:port></wsdl:service>')
    with serving(programs, folder, memory=True) as server, Partner(
            lambda body: (201, f'<said xmlns="urn:t">partner: {body.text}</said>')) as partner:
        for form in forms:
            reference = ('<sref:service-ref xmlns:sref="http://docs.oasis-open.org/wsbpel/2.0/serviceref">'
                         + form.format(partner.base + "/p") + '</sref:service-ref>')
            body = (world.receive() + f'<assign><copy><from><literal>{reference}</literal></from><to partnerLink="other"/></copy></assign>'
                    '<invoke partnerLink="other" operation="say" inputVariable="in" outputVariable="out"/>'
                    '<reply partnerLink="client" operation="say" variable="out"/>')
            server.deploy({"talk.bpel": world.process(body, partners=link), "talk.wsdl": world.wsdl()})
            assert server.say("x").said == "partner: x", form


def repeated(programs, folder):
    """What a reference's parameters ask for travels in the headers, in the namespace of the reference."""
    link = '<partnerLink name="other" partnerLinkType="t:L" partnerRole="service" initializePartnerRole="no"/>'
    old, older = "http://schemas.xmlsoap.org/ws/2004/08/addressing", "http://schemas.xmlsoap.org/ws/2003/03/addressing"
    with serving(programs, folder, memory=True) as server, Partner(
            lambda body: (200, f'<said xmlns="urn:t">partner: {body.text}</said>')) as partner:
        for namespace, kind, spoken in ((WSA, "Parameters", WSA), (old, "Properties", old), (older, "Properties", WSA)):
            reference = ('<sref:service-ref xmlns:sref="http://docs.oasis-open.org/wsbpel/2.0/serviceref">'
                         f'<w:EndpointReference xmlns:w="{namespace}"><w:Address>{partner.base}/p</w:Address><w:Reference{kind}>'
                         f'<k:key xmlns:k="urn:k">7</k:key></w:Reference{kind}></w:EndpointReference></sref:service-ref>')
            body = (world.receive() + f'<assign><copy><from><literal>{reference}</literal></from><to partnerLink="other"/></copy></assign>'
                    '<invoke partnerLink="other" operation="say" inputVariable="in" outputVariable="out"/>'
                    '<reply partnerLink="client" operation="say" variable="out"/>')
            server.deploy({"talk.bpel": world.process(body, partners=link), "talk.wsdl": world.wsdl()})
            assert server.say("x").said == "partner: x", namespace
            text = partner.seen[-1][3]
            blocks = ET.fromstring(text).find(f"{{{SOAP11}}}Header")
            assert blocks.find(f"{{{spoken}}}To").text == partner.base + "/p", text
            key = blocks.find("{urn:k}key")
            assert key.text == "7" and (key.get(f"{{{WSA}}}IsReferenceParameter") == "true") == (namespace == WSA), text


def callbacks(programs, folder):
    """A one-way request says where the process shall call back, if nothing else does."""
    link = '<partnerLink name="both" partnerLinkType="t:Both" myRole="service" partnerRole="client"/>'
    both = ('<wsdl:portType name="Back"><wsdl:operation name="call"><wsdl:input message="t:said"/></wsdl:operation></wsdl:portType>'
            '<plnk:partnerLinkType name="Both"><plnk:role name="service" portType="t:Talk"/>'
            '<plnk:role name="client" portType="t:Back"/></plnk:partnerLinkType></wsdl:definitions>')
    body = ('<receive partnerLink="both" operation="note" variable="noted" createInstance="yes"/>'
            '<assign><copy><from><literal><t:said/></literal></from><to variable="out" part="p"/></copy>'
            '<copy><from>$noted.p</from><to>$out.p</to></copy></assign>'
            '<invoke partnerLink="both" operation="call" inputVariable="out"/>')
    files = {"talk.bpel": world.process(body, partners=link, variables='<variable name="noted" messageType="t:note"/>'),
             "talk.wsdl": world.wsdl().replace("</wsdl:definitions>", both)}
    with serving(programs, folder, memory=True) as server, Callback() as partner:
        server.deploy(files)
        for count, namespace in ((1, WSA), (2, "http://schemas.xmlsoap.org/ws/2004/08/addressing")):
            header = (f'<w:ReplyTo xmlns:w="{namespace}"><w:Address>{partner.base}/back</w:Address><w:ReferenceParameters>'
                      f'<k:key xmlns:k="urn:k">7</k:key></w:ReferenceParameters></w:ReplyTo>')
            assert server.say(f"note {count}", "note", header=header, path="/processes/talk/both").status == 202
            _, _, element, text = partner.wait(count)
            blocks = ET.fromstring(text).find(f"{{{SOAP11}}}Header")
            assert element.text == f"note {count}" and blocks.find(f"{{{namespace}}}To").text == partner.base + "/back", text
            assert blocks.find("{urn:k}key").text == "7", text
        assert server.say("nowhere", "note", path="/processes/talk/both").status == 202
        assert "is not known" in server.instances()[-1]["fault"], server.instances()


def entries(programs, folder):
    """The declared fault is found among what else a detail holds."""
    detail = '<detail><trace xmlns="urn:trace">at line 1</trace><bad xmlns="urn:t">broken</bad></detail>'
    fault = f"<e:Fault><faultcode>e:Server</faultcode><faultstring>no</faultstring>{detail}</e:Fault>"
    handler = ('<faultHandlers><catch faultName="t:bad" faultVariable="why" faultMessageType="t:bad"><sequence>'
               + world.answer("concat('caught ', $why.p)") + '</sequence></catch></faultHandlers>')
    link = '<partnerLink name="other" partnerLinkType="t:L" partnerRole="service"/>'
    body = (world.receive() + '<invoke partnerLink="other" operation="say" inputVariable="in" outputVariable="out"/>'
            '<reply partnerLink="client" operation="say" variable="out"/>')
    with serving(programs, folder, memory=True) as server, Partner(lambda _: (500, fault)) as partner:
        for before, said in ((handler, "caught broken"), ("", None)):
            server.deploy({"talk.bpel": world.process(body, partners=link, before=before), "talk.wsdl": world.wsdl("/p", partner.base),
                           "deploy.xml": '<deploy xmlns="urn:nuraghe:deploy:1"><myRole partnerLink="client" path="/here"/></deploy>'})
            answer = server.say("x", path="/here")
            if said:
                assert answer.said == said, answer.text
        # Nobody catches it: the client gets all of it.
        assert answer.status == 500 and "broken" in answer.text and "urn:trace" in answer.text, answer.text


def unreachable(programs, folder):
    """A partner that cannot be reached is tried for a while, and may come back; then it is a fault that a process can catch."""
    link = '<partnerLink name="other" partnerLinkType="t:L" partnerRole="service"/>'
    body = (world.receive() + '<scope><faultHandlers><catchAll><sequence>' + world.answer("'nobody there'") + '<exit/></sequence></catchAll></faultHandlers>'
            '<invoke partnerLink="other" operation="say" inputVariable="in" outputVariable="out"/></scope>'
            '<reply partnerLink="client" operation="say" variable="out"/>')
    with socket.socket() as taken, serving(programs, folder, memory=True) as server:
        taken.bind(("127.0.0.1", 0))  # and does not listen: refused
        address = "http://127.0.0.1:%d/p" % taken.getsockname()[1]
        deploy = f'<deploy xmlns="urn:nuraghe:deploy:1" unreachable-deadline="1s"><partnerLink name="other" address="{address}"/></deploy>'
        server.deploy({"talk.bpel": world.process(body, partners=link), "talk.wsdl": world.wsdl(), "deploy.xml": deploy})
        assert server.say("x").said == "nobody there"
        bad = server.deploy({"talk.bpel": world.process(body, partners=link), "talk.wsdl": world.wsdl(),
                             "deploy.xml": deploy.replace("1s", "soon")}, status=422)
        assert "unreachable-deadline" in json.dumps(bad), bad


WSA = "http://www.w3.org/2005/08/addressing"


def addressed(reply=None, fault=None, message_id=None):
    def reference(name, address):
        return (f'<w:{name} xmlns:w="{WSA}"><w:Address>{address}</w:Address><w:ReferenceParameters><k:key xmlns:k="urn:k">{name}</k:key>'
                f'</w:ReferenceParameters></w:{name}>') if address else ""
    id_header = f'<w:MessageID xmlns:w="{WSA}">{message_id}</w:MessageID>' if message_id else ""
    return reference("ReplyTo", reply) + reference("FaultTo", fault) + id_header


class Callback(Partner):
    """Where answers are sent."""

    def __init__(self):
        super().__init__(lambda body: (202, ""))
        self.came = threading.Condition()
        self.server.RequestHandlerClass.do_POST = self.noting(self.server.RequestHandlerClass.do_POST)

    def noting(self, handle):
        def do_post(handler):
            handle(handler)
            with self.came:
                self.came.notify_all()
        return do_post

    def wait(self, count):
        with self.came:
            assert self.came.wait_for(lambda: len(self.seen) >= count, world.PATIENCE), self.seen
        return self.seen[count - 1]


def elsewhere(programs, folder):
    """wsa:ReplyTo and wsa:FaultTo: 202 at once, the answer is a request of its own, also after a kill."""
    body = (world.receive(inside=world.CORRELATE.format("yes"))
            + world.receive("more", "moreIn", False, world.CORRELATE.format("no")) + world.answer("'more'", "more")
            + '<if><condition>$in.p/t:bad</condition><throw faultName="t:broken"/></if>' + world.answer("'late'"))
    files = {"talk.bpel": world.process(body, before=world.SETS), "talk.wsdl": world.wsdl(versions=(11, 12))}
    with serving(programs, folder) as server, Callback() as partner:
        server.deploy(files)

        def ask(key, reply, fault=None, version=11, content=""):
            answer = server.say(f"<id>{key}</id>{content}", version=version, header=addressed(reply, fault, f"urn:m:{key}"))
            assert answer.status == 202 and answer.body == b"", (answer.status, answer.text)

        def told(count, path, relates_to):
            headers, envelope, element, text = partner.wait(count)
            blocks = ET.fromstring(text).find(f"{{{envelope}}}Header")
            assert blocks.find(f"{{{WSA}}}RelatesTo").text == relates_to, text
            assert blocks.find(f"{{{WSA}}}To").text == partner.base + path, text
            key = blocks.find("{urn:k}key")
            assert key.get(f"{{{WSA}}}IsReferenceParameter") == "true", text
            return envelope, key.text, element, blocks.find(f"{{{WSA}}}Action").text

        ask("1", partner.base + "/back")
        ask("1", partner.base + "/back")
        assert len(server.instances()) == 1, "a repeat while the first is at work"
        server.stop(signal.SIGKILL)
        server.start()
        assert server.say("<id>1</id>", "more").said == "more"
        envelope, key, element, action = told(1, "/back", "urn:m:1")
        assert (envelope, key, element.text, action) == (SOAP11, "ReplyTo", "late", "urn:t:sayResponse"), action
        ask("1", partner.base + "/back")
        assert told(2, "/back", "urn:m:1")[2].text == "late" and len(server.instances()) == 1, "the first answer again"
        # A fault goes where faults are wanted, else where replies are.
        ask("2", partner.base + "/back", partner.base + "/faults", version=12, content="<bad/>")
        server.say("<id>2</id>", "more", version=12)
        envelope, key, element, action = told(3, "/faults", "urn:m:2")
        assert (envelope, key, element.tag) == (SOAP12, "FaultTo", f"{{{SOAP12}}}Fault") and action.endswith("/fault"), action
        assert "broken" in "".join(element.itertext())
        ask("3", partner.base + "/back", content="<bad/>")
        server.say("<id>3</id>", "more")
        assert told(4, "/back", "urn:m:3")[2].tag == f"{{{SOAP11}}}Fault"
        # One of the two on the connection: it waits for the outcome.
        server.deploy({**world.echo("echo"), "talk.wsdl": world.wsdl("/echo")})
        anonymous = WSA + "/anonymous"
        assert server.say("x", path="/echo", header=addressed(anonymous, partner.base + "/faults", "urn:m:4")).said == "x"
        other = server.say("x", path="/echo", header=addressed(partner.base + "/back", anonymous, "urn:m:5"))
        assert other.status == 202 and told(5, "/back", "urn:m:5")[2].text == "x"
        # What cannot be done is said at once.
        unrelated = server.say("x", path="/echo", header=addressed(partner.base + "/back"))
        assert unrelated.status == 500 and "MessageAddressingHeaderRequired" in unrelated.text, unrelated.text
        mail = server.say("x", path="/echo", header=addressed("mailto:a@example.org", None, "urn:m:6"))
        assert mail.status == 500 and ">wsa:InvalidAddress<" in mail.text, mail.text


def values(programs, folder):
    """A plain variable is copied as it stands; properties compare as their types say."""
    variables = "".join(f'<variable name="{name}" type="xsd:{kind}"><from><literal>{text}</literal></from></variable>'
                        for name, kind, text in (("long", "long", "9223372036854775807"), ("money", "decimal", "10.50")))
    with serving(programs, folder, memory=True) as server:
        for name, text in (("long", "9223372036854775807"), ("money", "10.50")):
            server.deploy({"talk.bpel": world.process(world.receive() + world.answer(f"${name}"), variables=variables), "talk.wsdl": world.wsdl()})
            assert server.say("x").said == text
        property = ('<vprop:property name="flag" type="xsd:boolean"/><vprop:propertyAlias propertyName="t:flag" messageType="t:say" '
                    'part="p"/><vprop:property name="id" type="xsd:int"/>')
        flagged = world.wsdl().replace('<vprop:property name="id" type="xsd:string"/>', property)
        asked = "not(bpel:getVariableProperty('in', 't:flag'))"
        server.deploy({"talk.bpel": world.process(world.receive() + world.answer(asked)).replace("<process ", f'<process xmlns:bpel="{BPEL}" '),
                       "talk.wsdl": flagged})
        assert server.say("false").said == "true" and server.say("1").said == "false"
        server.deploy({**world.waiting("first", "second"), "talk.wsdl": flagged})
        assert server.say("<id>007</id>").said == "first"
        assert server.say("<id> 7 </id>", "more").said == "second"


if __name__ == "__main__":
    world.main({test.__name__: test for test in (forms, to_partners, transports, references, repeated, callbacks, entries,
                                                   unreachable, elsewhere, values)})
