#!/usr/bin/python3
"""Controllers in processes of their own, as clients of nuraghed see them: who stops renewing, and answers that go elsewhere.

  controllers.py PROGRAMS [NAME...]
"""
import json
import os
import sys

from lxml import etree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from consumer import WSA, WSNT, Consumer, Schemas, body_of, events_of  # noqa: E402
from flows import attempt  # noqa: E402
from invariants import check_empty  # noqa: E402
from notifications import subscribe  # noqa: E402
from vhcd import Site, Vhcd, hosts_of  # noqa: E402
from world import SOAP, blueprint, clean_up_when_asked_to_end  # noqa: E402

GROUP = "/services/vhf/physical-hosts"


def post(site, path, content, header=""):
    text = (f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}" xmlns:rp="http://docs.oasis-open.org/wsrf/rp-2" '
            f'xmlns:sg="http://docs.oasis-open.org/wsrf/sg-2" xmlns:vhc="urn:nuraghe:vhc:1"><s:Header>{header}</s:Header>'
            f"<s:Body>{content}</s:Body></s:Envelope>")
    status, answer, _ = site.http("POST", path, text.encode(), {"Content-Type": "text/xml"})
    return status, body_of(etree.fromstring(answer)) if answer else None


def members(site):
    """Whose entries are in the service group."""
    _, answer = post(site, GROUP, "<rp:GetResourceProperty>sg:Entry</rp:GetResourceProperty>")
    return sorted(one.text.split("/")[-1] for one in answer.iter(f"{{{WSA}}}Address") if not one.text.endswith("/entry")
                  and GROUP in one.text)


def listed(site):
    return {host["name"]: host["alive"] for host in site.json("host", "ls")}


def hear(consumer, kind):
    """The event of that kind, and its text; others of physical hosts must not come before."""
    while True:
        for told, event in events_of(consumer.next()[1]):
            if told == kind:
                return event
            assert not told.startswith("physical_host."), (told, kind)


def a_killed_one_is_told(site):
    schemas = Schemas(os.path.join(site.programs, "../contracts"))
    with Consumer(schemas) as consumer, Consumer(schemas) as own, Consumer(schemas) as other:
        subscribe(site, schemas, "/services/vhf", consumer.address)
        subscribe(site, schemas, GROUP + "/b", own.address)
        subscribe(site, schemas, GROUP + "/a", other.address)
        assert members(site) == ["a", "b"] and listed(site) == {"a": True, "b": True}
        site.vhcds["b"].kill()
        for one in (consumer, own):
            event = hear(one, "physical_host.silent")
            attributes = {each.get("name"): each.text for each in event.findall("{urn:nuraghe:event:1}attribute")}
            assert attributes["physical_host"] == "b" and "last_seen" in attributes, attributes
        # It is told when it is so.
        assert members(site) == ["a"] and listed(site) == {"a": True, "b": False}
        row = next(line for line in site.cli("host", "ls").stdout.splitlines() if line.startswith("b "))
        assert "no, since 20" in row, row
        events, _ = site.events()
        silent = [one for one in events if one["kind"] == "physical_host.silent"]
        assert len(silent) == 1 and silent[0]["severity"] == "warning", silent
        # A restart of nuraghed gives no time to who was silent before: nothing is placed there.
        site.kill()
        site.start()
        assert listed(site) == {"a": True, "b": False}
        site.write("c.xml", blueprint("solo", 3))
        site.until(lambda: site.alive() == {"a"}, "a alone was alive")
        assert {one["physical_host"] for one in site.json("create", "c.xml")["placements"]} == {"a"}
        site.vhcds["b"] = Vhcd(site, "b")
        site.vhcds["b"].start()
        for one in (consumer, own):
            hear(one, "physical_host.returned")
        assert members(site) == ["a", "b"] and listed(site) == {"a": True, "b": True}
        site.do("destroy", "solo", "--yes")
        # It leaves by itself, and was heard of once for each.
        events, _ = site.events()
        kinds = [one["kind"] for one in events if one["kind"] in ("physical_host.silent", "physical_host.returned")]
        assert kinds == ["physical_host.silent", "physical_host.returned"], kinds
        told = [kind for _, envelope in iter(lambda: other.messages.get() if not other.messages.empty() else None, None)
                for kind, _ in events_of(envelope)]
        assert not [kind for kind in told if kind in ("physical_host.silent", "physical_host.returned")], told
    for row in site.soap("notification", "list_subscriptions"):
        site.soap("notification", "end_subscription", f"<x:id>{row[0].text}</x:id>")


def answers_that_go_elsewhere(site):
    """Of a controller in another process; also when it is not there at first."""
    schemas = Schemas(os.path.join(site.programs, "../contracts"))
    site.write("c.xml", blueprint("duo", 1))
    site.json("create", "c.xml")
    host, at = next((one["host"], one["physical_host"]) for one in hosts_of(site, "duo").values())
    with Consumer(schemas) as consumer:
        consumer.take = lambda *_: None  # it is an answer, and no notification

        def ask(number, operation="get_host", key=host):
            header = (f"<a:MessageID>urn:test:elsewhere:{number}</a:MessageID><a:Action>urn:nuraghe:vhc:1:VHC:{operation}Request</a:Action>"
                      f"<a:ReplyTo><a:Address>{consumer.address}/answer</a:Address></a:ReplyTo>")
            status, answer = post(site, f"/services/{at}", f"<vhc:{operation}><vhc:id>{key}</vhc:id></vhc:{operation}>", header)
            assert status == 202 and answer is None, (status, etree.tostring(answer))

        def answered(number):
            path, envelope = consumer.next()
            assert path == "/answer" and envelope.findtext(f"*/{{{WSA}}}RelatesTo") == f"urn:test:elsewhere:{number}", path
            return body_of(envelope)

        # Its references lead to nuraghed, which passes on.
        reference = json.loads(site.http("GET", f"/hosts/{host}")[1])["host"]["reference"]["address"]
        assert reference == f"{site.base()}/services/{at}/hosts/{host}", reference
        path = reference[len(site.base()):]
        assert post(site, path, f"<vhc:get_host><vhc:id>{host}</vhc:id></vhc:get_host>")[1].tag.endswith("get_hostResponse")
        status, text, _ = site.http("GET", path + "?wsdl")
        assert status == 200 and f'location="{reference}"'.encode() in text, (status, text[:200])
        ask(1)
        answer = answered(1)
        assert answer.tag == "{urn:nuraghe:vhc:1}get_hostResponse", etree.tostring(answer)
        assert host in "".join(answer.itertext())
        # A fault says who failed by an address that leads there, through nuraghed.
        ask(2, key="nobody")
        fault = answered(2)
        origin = [one.text for one in fault.iter(f"{{{WSA}}}Address")]
        assert fault.tag.endswith("}Fault") and len(origin) == 1 and origin[0].endswith(f"/services/{at}"), etree.tostring(fault)
        # It is on disk: nuraghed dies, and the controller is away, and comes back at another port.
        site.vhcds[at].kill()
        ask(3)
        site.kill()
        site.start()
        site.vhcds[at] = Vhcd(site, at)
        site.vhcds[at].start()
        assert answered(3).tag == "{urn:nuraghe:vhc:1}get_hostResponse"
        site.until_alive("a", "b")
        # An order is in the audit log, with its outcome.
        ask(4, "pause_host")
        assert answered(4).tag == "{urn:nuraghe:vhc:1}pause_hostResponse"
        def audited():
            log = [json.loads(line) for line in site.cli("-o", "json", "audit").stdout.splitlines()]
            return [(one["kind"], one["outcome"], one["who"]) for one in log if (one["operation"], one["service"]) == ("pause_host", at)]

        site.until(lambda: len(audited()) == 2, "the outcome was written down")
        assert audited() == [("call", "accepted", "token:admin"), ("outcome", "done", "token:admin")], audited()
    site.do("destroy", "duo", "--yes")


TESTS = (a_killed_one_is_told, answers_that_go_elsewhere)


def main():
    clean_up_when_asked_to_end()
    programs, *names = sys.argv[1:]
    ok = True
    with Site(programs) as site:
        for test in TESTS:
            if names and test.__name__ not in names:
                continue
            ok = attempt(test, site) and ok
            site.until_quiet()
            check_empty(site)
        for vhcd in site.vhcds.values():
            ok = vhcd.stop() == 0 and ok
        ok = site.stop()[0] == 0 and ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
