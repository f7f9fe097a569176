#!/usr/bin/python3
"""WS-Resources of a real nuraghed: properties, lifetimes and groups over HTTP, in SOAP 1.1 and 1.2, on simulated hypervisors.

  wsrf.py PROGRAMS [NAME...]

Every message of WSRF, requests, answers and faults, is validated against the schemas of OASIS as the build serves them.
"""
import datetime
import http.server
import json
import os
import queue
import re
import sys
import threading

from lxml import etree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import attempt, states  # noqa: E402
from invariants import check_empty  # noqa: E402
from world import IMAGE, PATIENCE_S, SOAP, WSA, blueprint, clean_up_when_asked_to_end, World  # noqa: E402

SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
RP = "http://docs.oasis-open.org/wsrf/rp-2"
RL = "http://docs.oasis-open.org/wsrf/rl-2"
SG = "http://docs.oasis-open.org/wsrf/sg-2"
R = "http://docs.oasis-open.org/wsrf/r-2"
BF = "http://docs.oasis-open.org/wsrf/bf-2"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
VCF, VHF, VHIR, WORKFLOW, HADES = (f"urn:nuraghe:{name}:1" for name in ("vcf", "vhf", "vhir", "workflow", "hades"))
NAMESPACES = {"wsnt": "http://docs.oasis-open.org/wsn/b-2", "wstop": "http://docs.oasis-open.org/wsn/t-1", "rp": RP, "rl": RL, "sg": SG, "vcf": VCF, "vhf": VHF, "vhir": VHIR, "w": WORKFLOW, "a": WSA,
              "xsi": "http://www.w3.org/2001/XMLSchema-instance", "vcm": "urn:nuraghe:vcm:1", "vhm": "urn:nuraghe:vhm:1", "hades": HADES}
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
SCHEMA = {}


def schema(programs):
    """One schema of all that may stand in a message here."""
    if not SCHEMA:
        folder = os.path.join(os.path.dirname(os.path.abspath(programs)), "contracts")
        parts = {RP: "standards/wsrf/rp-2.xsd", RL: "standards/wsrf/rl-2.xsd", SG: "standards/wsrf/sg-2.xsd",
                 R: "standards/wsrf/r-2.xsd", "http://docs.oasis-open.org/wsn/b-2": "standards/wsn/b-2.xsd",
                 "http://docs.oasis-open.org/wsn/t-1": "standards/wsn/t-1.xsd", "urn:nuraghe:resource:1": "resource.xsd", "urn:nuraghe:fault:1": "fault.xsd"}
        for name in ("vcf", "vhf", "vhir", "workflow", "vcm", "vhm", "hades"):
            parts[f"urn:nuraghe:{name}:1"] = f"{name}.xsd"
        imports = "".join(f'<import namespace="{uri}" schemaLocation="{folder}/{path}"/>' for uri, path in parts.items())
        SCHEMA["all"] = etree.XMLSchema(etree.fromstring(
            f'<schema xmlns="http://www.w3.org/2001/XMLSchema">{imports}</schema>'))
    return SCHEMA["all"]


class Refused(Exception):
    def __init__(self, status, detail, envelope):
        super().__init__(etree.tostring(envelope, pretty_print=True).decode())
        self.status, self.name = status, etree.QName(detail).localname if detail is not None else ""
        self.text = detail.findtext(f"{{{BF}}}Description", "") if detail is not None else ""
        self.code = detail.findtext(f"{{{BF}}}ErrorCode", "") if detail is not None else ""
        self.detail = detail


class Client:
    def __init__(self, world, token="", soap=SOAP):
        self.world, self.token, self.soap = world, token, soap

    def envelope(self, body, header=""):
        return f'<s:Envelope xmlns:s="{self.soap}" {DECLARED}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'

    def send(self, path, body, header="", valid=True):
        """Status and answer of a request."""
        text = self.envelope(body, header)
        if valid:
            schema(self.world.programs).assertValid(
                etree.ElementTree(etree.fromstring(etree.tostring(etree.fromstring(text)[1][0]))))
        kind = "text/xml" if self.soap == SOAP else "application/soap+xml"
        status, answer, headers = self.world.http("POST", path, text.encode(), {"Content-Type": kind}, token=self.token)
        assert status == 202 or headers["Content-Type"].startswith(kind), headers["Content-Type"]
        return status, answer

    def ask(self, path, body, header="", valid=True):
        """The element in the answer's body; Refused for a fault."""
        status, answer = self.send(path, body, header, valid)
        return self.content(status, answer)

    def content(self, status, answer):
        envelope = etree.fromstring(answer)
        assert envelope.tag == f"{{{self.soap}}}Envelope", envelope.tag
        content = envelope.find(f"{{{self.soap}}}Body")[0]
        if content.tag != f"{{{self.soap}}}Fault":
            assert status == 200, (status, answer)
            return self.checked(content)
        details = content.find("detail") if self.soap == SOAP else content.find(f"{{{SOAP12}}}Detail")
        detail = self.checked(details[0]) if details is not None else None
        raise Refused(status, detail, envelope)

    def checked(self, element):
        whole = etree.ElementTree(etree.fromstring(etree.tostring(element)))
        schema(self.world.programs).assertValid(whole)
        return whole.getroot()

    def get(self, path, name):
        """The texts of a property."""
        answer = self.ask(path, f"<rp:GetResourceProperty>{name}</rp:GetResourceProperty>")
        return ["".join(one.itertext()) for one in answer]

    def query(self, path, expression):
        answer = self.ask(path, f'<rp:QueryResourceProperties><rp:QueryExpression Dialect="{XPATH}">{expression}'
                                "</rp:QueryExpression></rp:QueryResourceProperties>")
        return ["".join(one.itertext()) for one in answer]


def refused(call, name):
    try:
        answer = call()
    except Refused as fault:
        assert fault.name == name, f"{fault.name}, not {name}: {fault.text}"
        return fault
    raise AssertionError(f"no {name}: {answer}")


def create(world, name="duo", workers=2):
    world.write("c.xml", blueprint(name, workers))
    world.cli("create", "c.xml")
    return world.json("show", name)["id"]


def properties(world):
    cluster = create(world)
    path = f"/services/vcf/clusters/{cluster}"
    for client in (Client(world), Client(world, soap=SOAP12)):
        assert client.get(path, "vcf:State") == ["running"]
        assert client.get("/services/vcf/clusters/duo", "vcf:Id") == [cluster], "a name is as good as an id"
        several = client.ask(path, "<rp:GetMultipleResourceProperties><rp:ResourceProperty>vcf:Name</rp:ResourceProperty>"
                                   "<rp:ResourceProperty>rl:TerminationTime</rp:ResourceProperty>"
                                   "</rp:GetMultipleResourceProperties>")
        assert [etree.QName(one).localname for one in several] == ["Name", "TerminationTime"]
        document = client.ask(path, "<rp:GetResourcePropertyDocument/>")[0]
        assert document.tag == f"{{{VCF}}}ClusterProperties" and len(document.findall(f"{{{VCF}}}Member")) == 3
        assert client.query(path, "vcf:Member[vcf:role='head']/vcf:name") == ["head"]
        assert client.query(path, "count(vcf:Member)") == ["3"]
        fault = refused(lambda: client.get(path, "vcf:Colour"), "InvalidResourcePropertyQNameFault")
        assert fault.status == (500 if client.soap == SOAP else 400) and fault.code == "invalid", fault
        origin = fault.detail.findtext(f"{{{BF}}}Originator/{{{WSA}}}Address")
        assert origin.startswith("http://") and origin.endswith(path), origin
        refused(lambda: client.get("/services/vcf/clusters/nobody", "vcf:State"), "ResourceUnknownFault")
        refused(lambda: client.query(path, "vcf:Member["), "InvalidQueryExpressionFault")
        refused(lambda: client.ask(path, "<rp:SetResourceProperties><rp:Update><vcf:State>frozen</vcf:State></rp:Update>"
                                         "</rp:SetResourceProperties>"), "UnableToModifyResourcePropertyFault")
    lease_of_a_cluster(Client(world), path)
    host = world.json("show", "duo")["members"][0]["host"]
    client = Client(world)
    assert client.get(f"/services/vhf/hosts/{host}", "vhf:State") == ["running"]
    assert client.get("/services/vhf/physical-hosts/a", "vhf:Driver") == ["sim"]
    assert client.get("/services/vhir/images/tiny", "vhir:Version") == ["1"]
    instance = client.query("/services/workflow/instances", "//w:Id")[0]
    assert client.get(f"/services/workflow/instances/{instance}", "w:State"), "every instance has a state"
    process = client.query("/services/workflow/processes", "//w:Id")[0]
    assert client.get(f"/services/workflow/processes/{process.replace('/', '%2F')}", "w:Active") == ["true"]
    assert client.ask(path, f"<vcm:freeze_vc><vcm:cluster>{cluster}</vcm:cluster></vcm:freeze_vc>") is not None
    assert client.get(path, "vcf:State") == ["frozen"]
    assert client.ask(path, "<rl:Destroy/>").tag == f"{{{RL}}}DestroyResponse"
    check_empty(world)
    refused(lambda: client.get(path, "vcf:State"), "ResourceUnknownFault")


def lease_of_a_cluster(client, path):
    """A property that can be set."""
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    value = f"<vcf:LeaseEnd>{later}</vcf:LeaseEnd>"
    assert client.get(path, "vcf:LeaseEnd") == []
    client.ask(path, f"<rp:SetResourceProperties><rp:Insert>{value}</rp:Insert></rp:SetResourceProperties>")
    assert client.get(path, "vcf:LeaseEnd") == [later]
    refused(lambda: client.ask(path, f"<rp:InsertResourceProperties><rp:Insert>{value}</rp:Insert></rp:InsertResourceProperties>"),
            "InvalidModificationFault")
    refused(lambda: client.ask(path, "<rp:UpdateResourceProperties><rp:Update><vcf:LeaseEnd>soon</vcf:LeaseEnd></rp:Update>"
                                     "</rp:UpdateResourceProperties>", valid=False), "InvalidModificationFault")
    fault = refused(lambda: client.ask(path, f"<rp:UpdateResourceProperties><rp:Update>{value.replace(later[:4], '2001')}</rp:Update>"
                                             "</rp:UpdateResourceProperties>"), "InvalidModificationFault")
    assert fault.detail.find(f"{{{RP}}}ResourcePropertyChangeFailure").get("Restored") == "true"
    document = etree.tostring(client.ask(path, "<rp:GetResourcePropertyDocument/>")[0]).decode()
    put = document.replace(later, later.replace(":00.0", ":01.0")) if ":00.0" in later else document.replace(later[17:], "59.000000Z")
    client.ask(path, f"<rp:PutResourcePropertyDocument>{put}</rp:PutResourcePropertyDocument>")
    assert client.get(path, "vcf:LeaseEnd") != [later]
    refused(lambda: client.ask(path, "<rp:PutResourcePropertyDocument>" + document.replace(">running<", ">frozen<") +
                               "</rp:PutResourcePropertyDocument>"), "UnableToPutResourcePropertyDocumentFault")
    client.ask(path, '<rp:DeleteResourceProperties><rp:Delete ResourceProperty="vcf:LeaseEnd"/></rp:DeleteResourceProperties>')
    assert client.get(path, "vcf:LeaseEnd") == []


def termination(world):
    cluster = create(world)
    path = f"/services/vcf/clusters/{cluster}"
    client = Client(world, soap=SOAP12)
    later = "<rl:SetTerminationTime><rl:RequestedLifetimeDuration>PT1H</rl:RequestedLifetimeDuration></rl:SetTerminationTime>"
    answer = client.ask(path, later)
    until, now = (datetime.datetime.fromisoformat(answer.findtext(f"{{{RL}}}{name}").replace("Z", "+00:00"))
                  for name in ("NewTerminationTime", "CurrentTime"))
    assert until - now == datetime.timedelta(hours=1)
    refused(lambda: client.ask(path, later.replace("PT1H", "-PT1H")), "UnableToSetTerminationTimeFault")
    _, last = world.events(0, "0s")
    client.ask(path, later.replace("PT1H", "PT1S"))
    world.kill()  # the time comes while nobody is there, or soon after
    world.start()
    while True:
        events, last = world.events(last, "30s")
        assert events, "the cluster was not destroyed"
        if any(event["kind"] == "resource.terminated" for event in events):
            break
    refused(lambda: client.get(path, "vcf:State"), "ResourceUnknownFault")
    check_empty(world)


def a_name_that_comes_again(world):
    """What is removed by another way takes its termination time with it; its end at that time is told."""
    path = "/services/vhir/images/tiny%3A1"
    client = Client(world)
    later = "<rl:SetTerminationTime><rl:RequestedLifetimeDuration>PT1H</rl:RequestedLifetimeDuration></rl:SetTerminationTime>"
    client.ask(path, later)
    assert client.get(path, "rl:TerminationTime") != [""]
    world.cli("image", "rm", "tiny")
    world.import_image()
    assert client.get(path, "rl:TerminationTime") == [""] and not world.table("wsrf_lifetimes")
    _, last = world.events(0, "0s")
    client.ask(path, later.replace("PT1H", "PT1S"))
    ended = []
    while not ended:
        events, last = world.events(last, "30s")
        assert events, "the image was not removed"
        ended = [event["text"] for event in events if event["kind"] == "resource.terminated"]
    assert len(ended) == 1 and path in ended[0], ended
    refused(lambda: client.get(path, "rl:TerminationTime"), "ResourceUnknownFault")
    assert not world.table("wsrf_lifetimes")
    world.import_image()


class Answers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.put((dict(self.headers), body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def callback(world):
    """A long operation whose answer comes to the client's own address, after the commit and without a token."""
    cluster = create(world)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.came = queue.Queue()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            for soap in (SOAP, SOAP12):
                client = Client(world, soap=soap)
                header = (f"<a:MessageID>urn:test:{soap[-4:]}</a:MessageID><a:Action>urn:nuraghe:vcm:1:VCM:pause_vcRequest</a:Action>"
                          f"<a:ReplyTo><a:Address>http://127.0.0.1:{server.server_port}/here</a:Address>"
                          '<a:ReferenceParameters><k xmlns="urn:k">7</k></a:ReferenceParameters></a:ReplyTo>')
                body = f"<vcm:pause_vc><vcm:cluster>{cluster}</vcm:cluster></vcm:pause_vc>"
                assert client.send("/services/vcm", body, header) == (202, b"")
                headers, answer = server.came.get(timeout=PATIENCE_S)
                assert "Authorization" not in headers, headers
                assert f"<wsa:RelatesTo>urn:test:{soap[-4:]}<".encode() in answer and b">7</" in answer, answer
                assert client.content(200, answer).tag == "{urn:nuraghe:vcm:1}pause_vcResponse"
                client.ask("/services/vcm", body.replace("pause", "resume"))
                header = header.replace(f"urn:test:{soap[-4:]}", f"urn:test:2{soap[-4:]}")
                assert client.send("/services/vcm", body.replace(cluster, "nobody"), header) == (202, b"")
                answer = server.came.get(timeout=PATIENCE_S)[1]
                try:
                    client.content(500, answer)
                    raise AssertionError(answer)
                except Refused as fault:
                    assert fault.code == "not-found", fault
        finally:
            server.shutdown()
    client = Client(world)
    header = "<a:MessageID>urn:m</a:MessageID><a:Action>urn:nuraghe:vcm:1:VCM:pause_vcRequest</a:Action><a:ReplyTo><a:Address>{}</a:Address></a:ReplyTo>"
    body = f"<vcm:pause_vc><vcm:cluster>{cluster}</vcm:cluster></vcm:pause_vc>"
    for address in ("http://169.254.169.254/latest", "http+unix://%2Frun%2Fx.sock/", "file:///etc/passwd", "/services/vcf"):
        status, answer = client.send("/services/vcm", body, header.format(address))
        assert status == 500 and b"wsa:InvalidAddress" in answer, answer
    assert states(world, "duo")[0] == "running", "a refused request does nothing"
    world.cli("destroy", "duo", "--yes")


def groups(world):
    client = Client(world)
    registry = "/services/vhf/physical-hosts"
    entries = client.ask(registry, "<rp:GetResourceProperty>sg:Entry</rp:GetResourceProperty>")
    names = [re.search("/physical-hosts/([^/]*)/entry$", one.findtext(f"{{{SG}}}ServiceGroupEntryEPR/{{{WSA}}}Address")).group(1)
             for one in entries]
    assert names == ["a", "b"], names
    rule = client.ask(registry, "<rp:GetResourceProperty>sg:MembershipContentRule</rp:GetResourceProperty>")[0]
    assert rule.get("ContentElements").endswith(":register_physical_host")
    entry = registry + "/a/entry"
    assert client.get(entry, "sg:MemberEPR")[0].endswith("/services/vhf/physical-hosts/a")
    # Only a's own controller may renew it, take it out or add another.
    for body in ("<rl:Destroy/>",
                 "<rl:SetTerminationTime><rl:RequestedLifetimeDuration>PT1H</rl:RequestedLifetimeDuration></rl:SetTerminationTime>"):
        assert refused(lambda body=body: client.ask(entry, body), "fault").status == 403
    assert client.query("/services/vcf/clusters", "count(sg:Entry)") == ["0"]
    cluster = create(world, "solo", 0)
    assert client.query("/services/vcf/clusters", "string(sg:Entry/sg:MemberServiceEPR)")[0].endswith(f"/clusters/{cluster}")
    world.cli("destroy", "solo", "--yes")


def isolation(world):
    """Another organisation's member sees nothing: unknown, not forbidden."""
    cluster = create(world)
    path = f"/services/vcf/clusters/{cluster}"
    with open(os.path.join(world.state, "token"), "a", encoding="utf-8") as file:
        file.write("eve member chemistry " + "e" * 40 + "\n")
    world.stop()
    world.start()
    eve = Client(world, token="e" * 40)
    host = world.json("show", "duo")["members"][0]["host"]
    for resource, name in ((path, "vcf:State"), (f"/services/vhf/hosts/{host}", "vhf:State")):
        refused(lambda r=resource, n=name: eve.get(r, n), "ResourceUnknownFault")
        for body in ("<rl:Destroy/>", "<rp:GetResourcePropertyDocument/>",
                     "<rl:SetTerminationTime><rl:RequestedLifetimeDuration>PT1S</rl:RequestedLifetimeDuration></rl:SetTerminationTime>"):
            refused(lambda r=resource, b=body: eve.ask(r, b), "ResourceUnknownFault")
    assert eve.query("/services/vcf/clusters", "count(sg:Entry)") == ["0"]
    assert states(world, "duo")[0] == "running"
    world.cli("destroy", "duo", "--yes")


def descriptions(world):
    """Every description, and all that it imports, is served."""
    paths = ["vcf/clusters/x", "vcf/clusters", "vhf/hosts/x", "vhf/hosts", "vhf/physical-hosts/a", "vhf/physical-hosts",
             "vhf/physical-hosts/a/entry", "vhir/images/x", "vhir/images", "workflow/instances/x", "workflow/processes/x",
             "vcf", "vcm"]
    seen = {}

    def follow(target):
        if target in seen:
            return
        status, text, _ = world.http("GET", target)
        assert status == 200, (target, status, text)
        seen[target] = text
        for one in etree.fromstring(text).iter("{*}*"):
            location = one.get("schemaLocation") or (one.get("location") if one.tag.endswith("}import") else None)
            if location is not None:
                assert "/services/" in location and "?" in location, (target, location)
                follow(location[location.index("/services/"):])

    for path in paths:
        follow(f"/services/{path}?wsdl")
        root = etree.fromstring(seen[f"/services/{path}?wsdl"])
        addresses = {one.get("location") for one in root.iter("{*}address")}
        assert len(addresses) == 1 and addresses.pop().endswith(f"/services/{path}"), path


def producers(world):
    """What every kind of resource says of itself as a notification producer; and one subscribes to each of its topics."""
    cluster = create(world, "solo", 0)
    host = world.json("show", "solo")["members"][0]["host"]
    client = Client(world)
    process = client.query("/services/workflow/processes", "//w:Id")[0].replace("/", "%2F")
    wsnt, wstop = "http://docs.oasis-open.org/wsn/b-2", "http://docs.oasis-open.org/wsn/t-1"
    for path, ns, kind in ((f"/services/vcf/clusters/{cluster}", VCF, "cluster.frozen"), (f"/services/vhf/hosts/{host}", VHF, "host.paused"),
                           ("/services/vhf/physical-hosts/a", VHF, "physical_host.silent"),
                           ("/services/vhir/images/tiny%3A1", VHIR, "image.imported"),
                           (f"/services/workflow/processes/{process}", WORKFLOW, "workflow.fault")):
        # The whole document is validated, these properties with it.
        document = client.ask(path, "<rp:GetResourcePropertyDocument/>")[0]
        topics = [one.text.split(":")[1] for one in document.findall(f"{{{wsnt}}}TopicExpression")]
        assert kind in topics and len(topics) == len(set(topics)) and sorted(topics) == topics, topics
        assert document.find(f"{{{wstop}}}TopicSet/{{{ns}}}{kind}").get(f"{{{wstop}}}topic") == "true", kind
        assert client.get(path, "wsnt:FixedTopicSet") == ["true"]
        assert len(client.get(path, "wsnt:TopicExpressionDialect")) == 3
        assert client.ask(path, "<rp:GetResourceProperty>wstop:TopicSet</rp:GetResourceProperty>")[0].tag == f"{{{wstop}}}TopicSet"
        refused(lambda p=path: client.ask(p, '<rp:DeleteResourceProperties><rp:Delete ResourceProperty="wstop:TopicSet"/>'
                                             "</rp:DeleteResourceProperties>"), "UnableToModifyResourcePropertyFault")
        chosen = "".join(f'<wsnt:TopicExpression Dialect="{wstop}/TopicExpression/Concrete" xmlns:t="{ns}">t:{name}'
                         "</wsnt:TopicExpression>" for name in (kind, next(one for one in topics if one[0].isupper())))
        answer = client.ask(path, "<wsnt:Subscribe><wsnt:ConsumerReference><a:Address>http://127.0.0.1:1/</a:Address>"
                                  f"</wsnt:ConsumerReference><wsnt:Filter>{chosen}</wsnt:Filter></wsnt:Subscribe>")
        address = answer.findtext(f"{{{wsnt}}}SubscriptionReference/{{{WSA}}}Address")
        client.ask(address[address.index("/services/"):], "<wsnt:Unsubscribe/>")
    world.cli("destroy", "solo", "--yes")


def image_versions(world):
    """NAME:VERSION is that one, NAME the newest; by SOAP and REST, and what is destroyed is what was named."""
    for version in ("1", "10", "9"):
        world.write(f"images/{version}/vhi.xml", IMAGE.replace('name="tiny" version="1">', f'name="multi" version="{version}">'))
        world.write(f"images/{version}/tiny.elf", version)
        world.cli("image", "import", f"images/{version}")
    client = Client(world)
    path = "/services/vhir/images/multi"

    def rest(name):
        status, body, _ = world.http("GET", f"/images/{name}")
        return json.loads(body)["image"]["reference"] if status == 200 else status

    for name, version in (("multi", "10"), ("multi%3A1", "1"), ("multi:9", "9"), ("multi%3A10", "10")):
        address = f"/services/vhir/images/{name}"
        assert client.get(address, "vhir:Version") == [version], name
        assert client.get(address, "vhir:Reference") == [f"multi:{version}"], name
        assert rest(name) == f"multi:{version}", name
    for name in ("multi%3A2", "multi%3A", "multi%3A1%3A1", "%3A1"):
        refused(lambda n=name: client.get(f"/services/vhir/images/{n}", "vhir:Version"), "ResourceUnknownFault")
        assert rest(name) == 404, name
    group = client.ask("/services/vhir/images", "<rp:GetResourceProperty>sg:Entry</rp:GetResourceProperty>")
    told = [one.text for one in group.iter(f"{{{WSA}}}Address") if "/multi" in one.text]
    assert len(told) == len(set(told)) == 3, told
    assert {client.get(one[one.index("/services/"):], "vhir:Version")[0] for one in told} == {"1", "9", "10"}
    client.ask(path + "%3A1", "<rl:Destroy/>")
    assert rest("multi:1") == 404 and rest("multi:9") == "multi:9" and rest("multi") == "multi:10"
    client.ask(path, "<rl:Destroy/>")
    assert rest("multi") == "multi:9"
    assert world.http("DELETE", "/images/multi%3A9")[0] in (200, 204) and rest("multi") == 404


TESTS = (producers, image_versions, properties, termination, a_name_that_comes_again, callback, groups, isolation, descriptions)


def main():
    clean_up_when_asked_to_end()
    programs, *names = sys.argv[1:]
    ok = True
    with World(programs) as world:
        world.start()
        world.import_image()
        for test in TESTS:
            if not names or test.__name__ in names:
                ok = attempt(test, world) and ok
        code, _ = world.stop()
        ok = ok and code == 0
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
