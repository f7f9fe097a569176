#!/usr/bin/python3
"""Every address that a client is told leads that client to the service: over a TLS listener at a second address, over
loopback, over the UNIX socket, and by a public URL.

  addresses.py PROGRAMS [NAME...]
"""
import http.client
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time
import warnings

import requests
import zeep
from lxml import etree
from zeep.transports import Transport

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from consumer import WSA, WSNT, Consumer, Schemas, body_of, header_of  # noqa: E402
from flows import attempt  # noqa: E402
from world import PATIENCE_S, SOAP, World, blueprint, clean_up_when_asked_to_end  # noqa: E402

ELSEWHERE = "127.0.0.2"
FORGED = "forged.example:1"


class Door:
    """A client of the TLS listener: it knows the site's root and a token."""

    def __init__(self, site):
        self.site = site
        self.context = ssl.create_default_context(cafile=os.path.join(site.state, "ca", "trusted.pem"))

    def request(self, url, body=None, host=None, kind="text/xml"):
        """Status, body; `url` is followed as it was told."""
        match = re.fullmatch(r"(https?)://([^/:]+):(\d+)(/.*)", url)
        assert match, url
        scheme, name, port, target = match.groups()
        if scheme == "https":
            connection = http.client.HTTPSConnection(name, int(port), context=self.context, timeout=PATIENCE_S)
        else:
            connection = http.client.HTTPConnection(name, int(port), timeout=PATIENCE_S)
        headers = {"Authorization": "Bearer " + self.site.token(), "Content-Type": kind}
        if host is not None:
            headers["Host"] = host
        try:
            connection.request("POST" if body else "GET", target, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def soap(self, url, content, host=None, header=""):
        """The answer's body element, a fault too."""
        text = (f'<s:Envelope xmlns:s="{SOAP}" xmlns:n="{WSNT}" xmlns:a="{WSA}" xmlns:rp="http://docs.oasis-open.org/wsrf/rp-2" '
                f'xmlns:sg="http://docs.oasis-open.org/wsrf/sg-2" xmlns:vcf="urn:nuraghe:vcf:1" xmlns:vhf="urn:nuraghe:vhf:1">'
                f"<s:Header>{header}</s:Header><s:Body>{content}</s:Body></s:Envelope>")
        status, answer = self.request(url, text.encode(), host)
        return None if status == 202 else body_of(etree.fromstring(answer))


def addresses_in(element):
    return [one.text for one in element.iter(f"{{{WSA}}}Address")]


def port_of(site):
    return int(re.search(rf"https://{re.escape(ELSEWHERE)}:(\d+)", site.banner).group(1))


class Listening(World):
    """A nuraghed that other machines reach, at a second address of this one."""

    def __init__(self, programs, *options):
        super().__init__(programs, controllers=("a:driver=sim,cpus=8,memory=8GiB",),
                         options=("--consumers", "127.0.0.0/8", *options))

    def set_up(self):
        self.cli("ca", "init", "--site", "cellar")
        self.start("--listen", f"tls:{ELSEWHERE}:0")
        self.import_image()

    def base(self):
        return f"https://{ELSEWHERE}:{port_of(self)}"

    def loopback(self):
        with open(os.path.join(self.state, "port"), encoding="utf-8") as file:
            return f"http://127.0.0.1:{file.read().strip()}"


CREATE_PULL_POINT = "<n:CreatePullPoint/>"


def subscribe_at(consumer):
    return f"<n:Subscribe><n:ConsumerReference><a:Address>{consumer}</a:Address></n:ConsumerReference></n:Subscribe>"


def references_are_followed(site):
    """What comes over the listener leads back to it, and there to the service."""
    door, base = Door(site), site.base()
    site.write("c.xml", blueprint("duo", 1))
    cluster = site.json("create", "c.xml")["cluster"]
    point = addresses_in(door.soap(base + "/services/notification", CREATE_PULL_POINT))[0]
    assert point.startswith(base + "/services/notification/pull-points/"), point
    subscription = addresses_in(door.soap(f"{base}/services/vcf/clusters/{cluster}", subscribe_at(point)))[0]
    assert subscription.startswith(base), subscription
    assert door.soap(subscription, "<n:Renew><n:TerminationTime>PT1H</n:TerminationTime></n:Renew>").tag.endswith("RenewResponse")
    site.cli("pause", "duo")
    told = site.until(lambda: addresses_in(door.soap(point, "<n:GetMessages/>")), "something was told")
    assert told[0] == subscription and set(told[1::2]) == {f"{base}/services/vcf/clusters/{cluster}"}, told
    # A group, its members' own addresses, and what they answer.
    group = door.soap(base + "/services/vcf/clusters", "<rp:GetResourceProperty>sg:Entry</rp:GetResourceProperty>")
    assert addresses_in(group) == [f"{base}/services/vcf/clusters/{cluster}"], addresses_in(group)
    state = door.soap(addresses_in(group)[0], "<rp:GetResourceProperty>vcf:State</rp:GetResourceProperty>")
    assert "".join(state.itertext()) == "paused"
    registry = door.soap(base + "/services/vhf/physical-hosts", "<rp:GetResourceProperty>sg:Entry</rp:GetResourceProperty>")
    entries = [one for one in addresses_in(registry) if one.endswith("/entry")]
    assert entries == [f"{base}/services/vhf/physical-hosts/a/entry"], entries
    owner = door.soap(entries[0], "<rp:GetResourceProperty>sg:MemberEPR</rp:GetResourceProperty>")
    assert addresses_in(owner) == [f"{base}/services/vhf/physical-hosts/a"], addresses_in(owner)
    # Who failed.
    for path, content in (("/services/vcf", "<vcf:get_cluster><vcf:cluster>nobody</vcf:cluster></vcf:get_cluster>"),
                          ("/services/vcf/clusters/nobody", "<rp:GetResourceProperty>vcf:State</rp:GetResourceProperty>"),
                          ("/services/vcf/clusters/nobody", subscribe_at(point))):
        fault = door.soap(base + path, content)
        assert fault.tag.endswith("}Fault") and addresses_in(fault) == [base + path], etree.tostring(fault)
    # In REST, too; an answer's entity tag is of what was told.
    host = site.json("show", "duo")["members"][0]["host"]
    status, text = door.request(f"{base}/hosts/{host}")
    reference = json.loads(text)["reference"]["address"] if "reference" in json.loads(text) else json.loads(text)["host"]["reference"]["address"]
    assert status == 200 and reference == f"{base}/services/a/hosts/{host}", text
    status, text = door.request(reference + "?wsdl")
    assert status == 200 and f'location="{reference}"'.encode() in text, (status, text[:300])
    status, text = door.request(site.loopback() + f"/hosts/{host}")
    assert status == 200 and site.loopback().encode() in text and base.encode() not in text, text
    status, text, _ = site.http("GET", f"/hosts/{host}")
    assert status == 200 and site.loopback().encode() in text, text
    site.cli("destroy", "duo", "--yes")


def zeep_follows_them(site):
    """A client of other people that is given one URL."""
    session = requests.Session()
    session.headers["Authorization"] = "Bearer " + site.token()
    session.trust_env, session.verify = False, os.path.join(site.state, "ca", "trusted.pem")
    base = site.base()

    def load(path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return zeep.Client(path + "?wsdl", transport=Transport(session=session))

    vcf = load(base + "/services/vcf")
    ports = [port.binding_options["address"] for service in vcf.wsdl.services.values() for port in service.ports.values()]
    assert ports and set(ports) == {base + "/services/vcf"}, ports
    site.write("z.xml", blueprint("zeepy", 0))
    cluster = site.json("create", "z.xml")["cluster"]
    assert vcf.service.get_cluster(cluster="zeepy")["id"] == cluster
    resource = load(f"{base}/services/vcf/clusters/{cluster}")
    assert resource.service.GetResourceProperty(etree.QName("urn:nuraghe:vcf:1", "State"))[0] == "running"
    resource.service.Destroy()
    try:
        vcf.service.get_cluster(cluster="nobody")
        raise AssertionError("a cluster that is not there was told of")
    except zeep.exceptions.Fault as fault:
        assert addresses_in(fault.detail) == [base + "/services/vcf"], etree.tostring(fault.detail)


def what_is_told_later(site):
    """A name that a client made up is told to that client alone; what is told later has the listener's own address."""
    door, base, schemas = Door(site), site.base(), Schemas(os.path.join(site.programs, "../contracts"))
    with Consumer(schemas) as consumer:
        answer = door.soap(base + "/services/vcf", subscribe_at(consumer.address), host=FORGED)
        subscription = addresses_in(answer)[0]
        assert subscription.startswith(f"https://{FORGED}/services/notification/subscriptions/"), subscription
        honest = addresses_in(door.soap(base + "/services/vcf", subscribe_at(consumer.address + "/2")))[0]
        assert honest.startswith(base), honest
        site.write("c.xml", blueprint("duo", 0))
        site.cli("create", "c.xml")
        for _ in range(2):
            told = addresses_in(body_of(consumer.next()[1]))
            assert told and all(one.startswith(base + "/services/") for one in told), told
        # An answer that goes elsewhere.
        header = (f"<a:MessageID>urn:test:{time.monotonic_ns()}</a:MessageID><a:Action>urn:nuraghe:notification:1:x</a:Action>"
                  f"<a:ReplyTo><a:Address>{consumer.address}/answer</a:Address></a:ReplyTo>")
        header = header.replace("urn:nuraghe:notification:1:x",
                                "http://docs.oasis-open.org/wsn/bw-2/CreatePullPoint/CreatePullPointRequest")
        assert door.soap(base + "/services/notification", CREATE_PULL_POINT, host=FORGED, header=header) is None
        for path, envelope in iter(consumer.next, None):
            if path == "/answer":
                break
        point = addresses_in(body_of(envelope))[0]
        assert point.startswith(base + "/services/notification/pull-points/"), point
        assert door.soap(point, "<n:DestroyPullPoint/>").tag.endswith("DestroyPullPointResponse")
        for one in (subscription.replace(f"https://{FORGED}", base), honest):
            assert door.soap(one, "<n:Unsubscribe/>").tag.endswith("UnsubscribeResponse")
    # What is no host is not told to anybody.
    for host in ("a b", "x/../y", "user@host", "[::1", "x:0", "x:99999", "<x>", "x" * 300):
        point = addresses_in(door.soap(base + "/services/notification", CREATE_PULL_POINT, host=host))[0]
        assert point.startswith(base + "/"), (host, point)
        door.soap(point, "<n:DestroyPullPoint/>")
    # A pull point is the same one, by whichever of the addresses it is called.
    point = addresses_in(door.soap(base + "/services/notification", CREATE_PULL_POINT))[0]
    for consumer in (point, point.replace(base, site.loopback()), point.replace(base, "https://site.example")):
        subscription = addresses_in(door.soap(site.loopback() + "/services/vcf", subscribe_at(consumer)))[0]
        assert subscription.startswith(site.loopback()), subscription
    site.cli("destroy", "duo", "--yes")
    told = site.until(lambda: addresses_in(door.soap(point, "<n:GetMessages/>")), "something was told")
    assert all(one.startswith(base) for one in told), told
    door.soap(point, "<n:DestroyPullPoint/>")


TESTS = (references_are_followed, zeep_follows_them, what_is_told_later)
PUBLIC = "https://site.example:8443"


def public_url(programs):
    """Behind a proxy: everybody is told the public URL, however he came."""
    with Listening(programs, "--public-url", PUBLIC + "/") as site:
        door = Door(site)
        schemas = Schemas(os.path.join(programs, "../contracts"))
        for base in (site.base(), site.loopback()):
            for host in (None, FORGED):
                point = addresses_in(door.soap(base + "/services/notification", CREATE_PULL_POINT, host=host))[0]
                assert point.startswith(PUBLIC + "/services/"), point
        status, text, _ = site.http("GET", "/services/vcf?wsdl")
        assert status == 200 and f'location="{PUBLIC}/services/vcf"'.encode() in text and b"127.0.0" not in text
        with Consumer(schemas) as consumer:
            door.soap(site.base() + "/services/vcf", subscribe_at(consumer.address))
            site.write("c.xml", blueprint("duo", 0))
            site.cli("create", "c.xml")
            envelope = consumer.next()[1]
            assert all(one.startswith(PUBLIC) for one in addresses_in(body_of(envelope))), etree.tostring(envelope)
            assert header_of(envelope, WSA, "To") is None or "site.example" not in header_of(envelope, WSA, "To")
            # What was told is known when it comes back.
            subscription = addresses_in(door.soap(site.base() + "/services/vcf", subscribe_at(point)))[0]
            assert subscription.startswith(PUBLIC), subscription
            fault = door.soap(site.base() + "/services/vcf", subscribe_at(PUBLIC + "/services/vcf"))
            assert b"SubscribeCreationFailedFault" in etree.tostring(fault), "no message goes to a service of the process"
            site.cli("destroy", "duo", "--yes")
        assert site.stop()[0] == 0
    for wrong in ("site.example", "ftp://x", "https://x/path", "https://user@x", "https://x?y", "http+unix://%2Fx"):
        with World(programs, controllers=(), options=("--public-url", wrong)) as site:
            assert not site.start(expect_death=True) and "no public URL" in site.log() + "", site.log()
    return True


class Partner(http.server.BaseHTTPRequestHandler):
    """A partner of a workflow: keeps what it is sent."""
    heard = []

    def do_POST(self):  # pylint: disable=invalid-name
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_error(404)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def partners_of_workflows(programs):
    """The reference of a workflow's own role leads its partner to the public URL."""
    with World(programs, controllers=("a:driver=sim,cpus=8,memory=8GiB",), options=("--public-url", PUBLIC)) as site, \
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), Partner) as partner:
        thread = threading.Thread(target=partner.serve_forever)
        thread.start()
        try:
            pause = os.path.join(site.own_workflows(), "vhf/pause.bpel")
            for old, new in (
                    ("<variables>", '<variables><variable name="mine" element="sref:service-ref"/>'),
                    ("<from>$begun.parameters/vhf:controller/wsa:Address</from>",
                     f"<from><literal>http://127.0.0.1:{partner.server_port}/services/a</literal></from>"),
                    ("<copy><from>$request.parameters/vhf:host</from><to>$order.parameters/vhc:id</to></copy>",
                     '<copy><from partnerLink="client" endpointReference="myRole"/><to variable="mine"/></copy>'
                     "<copy><from>$mine/wsa:EndpointReference/wsa:Address</from><to>$order.parameters/vhc:id</to></copy>")):
                site.edit(pause, old, new)
            site.start()
            site.import_image()
            site.write("c.xml", blueprint("duo", 0))
            site.cli("create", "c.xml")
            site.cli("pause", "duo", check=None)
            told = [etree.fromstring(text.encode()).findtext(".//{urn:nuraghe:vhc:1}id") for text in Partner.heard]
            assert told and set(told) == {PUBLIC + "/services/vhf"}, told
            site.cli("destroy", "duo", "--yes")
            assert site.stop()[0] == 0
        finally:
            partner.shutdown()
            thread.join()
    return True


def main():
    clean_up_when_asked_to_end()
    programs, *names = sys.argv[1:]
    ok = True
    with Listening(programs) as site:
        for test in TESTS:
            if not names or test.__name__ in names:
                ok = attempt(test, site) and ok
        ok = site.stop()[0] == 0 and ok
    if not names or "public_url" in names:
        ok = public_url(programs) and ok
        print("ok     public_url", flush=True)
    if not names or "partners_of_workflows" in names:
        ok = partners_of_workflows(programs) and ok
        print("ok     partners_of_workflows", flush=True)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
