#!/usr/bin/python3
"""WS-BaseNotification against the real programs: what happens to clusters is told to a consumer over HTTP.

  notifications.py PROGRAMS
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lxml import etree  # noqa: E402

from consumer import EVENT, WSA, WSNT, Consumer, Schemas, body_of, events_of, header_of  # noqa: E402
from world import SOAP, World, blueprint, clean_up_when_asked_to_end  # noqa: E402

FULL = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Full"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"


class Refused(Exception):
    """A fault; its detail element's local name, and the code of Nuraghe's own."""


def ask(world, path, name, inner="", schemas=None, soap12=False, token="", header=""):
    """Sends a message of WS-BaseNotification; returns the answer's element, None when it comes elsewhere."""
    envelope_ns = "http://www.w3.org/2003/05/soap-envelope" if soap12 else SOAP
    text = (f'<s:Envelope xmlns:s="{envelope_ns}" xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}" xmlns:vcf="urn:nuraghe:vcf:1" '
            f'xmlns:vhf="urn:nuraghe:vhf:1" xmlns:e="{EVENT}"><s:Header>{header}</s:Header><s:Body><wsnt:{name}>{inner}</wsnt:{name}></s:Body>'
            "</s:Envelope>")
    schemas.check(body_of(etree.fromstring(text)))
    content = "application/soap+xml" if soap12 else "text/xml"
    status, body, _ = world.http("POST", path, text.encode(), {"Content-Type": content}, token=token)
    if header and status == 202:
        return None
    answer = body_of(etree.fromstring(body))
    if etree.QName(answer).localname == "Fault":
        detail = answer.xpath("*[local-name()='detail' or local-name()='Detail']/*")
        assert detail, body
        if not detail[0].tag.startswith("{urn:nuraghe:fault"):
            schemas.check(detail[0])
        name = etree.QName(detail[0]).localname
        raise Refused(name if name != "fault" else detail[0].findtext("{http://docs.oasis-open.org/wsrf/bf-2}ErrorCode"))
    assert status == 200, (status, body)
    schemas.check(answer)
    return answer


def subscribe(world, schemas, path, consumer, inner="", parameters="", token=""):
    """The path of the new subscription."""
    if parameters:
        parameters = f"<wsa:ReferenceParameters>{parameters}</wsa:ReferenceParameters>"
    answer = ask(world, path, "Subscribe", f"<wsnt:ConsumerReference><wsa:Address>{consumer}</wsa:Address>{parameters}"
                 f"</wsnt:ConsumerReference>{inner}", schemas, token=token)
    address = answer.findtext(f"{{{WSNT}}}SubscriptionReference/{{{WSA}}}Address")
    return address[address.index("/services/"):]


def refusal(*arguments, **options):
    try:
        ask(*arguments, **options)
    except Refused as refused:
        return str(refused)
    raise AssertionError("it was not refused")


def hears_until(consumer, kind):
    """The kinds of the events that come, up to that one."""
    kinds = []
    while kind not in kinds:
        kinds += [one for one, _ in events_of(consumer.next()[1])]
    return kinds


def a_cluster_is_followed(world, schemas):
    world.write("c.xml", blueprint("duo", 1))
    with Consumer(schemas) as consumer:
        all_of_vo = subscribe(world, schemas, "/services/vcf", consumer.address + "/vo",
                              parameters='<k:key xmlns:k="urn:k">42</k:key>')
        cluster = world.json("create", "c.xml")["cluster"]
        path, envelope = consumer.next()
        assert path == "/vo" and header_of(envelope, "urn:k", "key") == "42", etree.tostring(envelope)
        assert header_of(envelope, WSA, "Action") == "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify"
        assert header_of(envelope, WSA, "MessageID").startswith("urn:uuid:")
        if "cluster.running" not in [kind for kind, _ in events_of(envelope)]:
            hears_until(consumer, "cluster.running")
        ask(world, all_of_vo, "Unsubscribe", schemas=schemas)
        topics = f'<wsnt:Filter><wsnt:TopicExpression Dialect="{FULL}">vcf:*</wsnt:TopicExpression>' \
                 f'<wsnt:MessageContent Dialect="{XPATH}">e:severity = "info"</wsnt:MessageContent></wsnt:Filter>'
        one = subscribe(world, schemas, f"/services/vcf/clusters/{cluster}", consumer.address + "/one", topics)
        world.write("other.xml", blueprint("other", 0))
        world.cli("create", "other.xml")
        world.cli("freeze", "duo")
        assert hears_until(consumer, "cluster.frozen") == ["cluster.frozen"]
        ask(world, one, "PauseSubscription", schemas=schemas)
        world.cli("thaw", "duo")
        ask(world, one, "ResumeSubscription", schemas=schemas)
        assert hears_until(consumer, "cluster.running") == ["cluster.running"]
        # A process that is killed goes on where it was.
        world.kill()
        world.start()
        world.cli("destroy", "--yes", "duo")
        assert hears_until(consumer, "cluster.destroyed") == ["cluster.destroyed"]
        world.until(lambda: not world.table("notification_subscription"), "the subscription ended with its cluster")
        world.cli("destroy", "--yes", "other")
        assert consumer.messages.empty()


def refused_and_repeated(world, schemas):
    world.write("c.xml", blueprint("duo", 0))
    with Consumer(schemas) as consumer:
        path = subscribe(world, schemas, "/services/vcf", consumer.address)
        consumer.refusals = [500]
        world.cli("create", "c.xml")
        hears_until(consumer, "cluster.running")
        assert not consumer.refusals
        ask(world, path, "Unsubscribe", schemas=schemas)
        world.cli("destroy", "--yes", "duo")


def pull_point(world, schemas):
    answer = ask(world, "/services/notification", "CreatePullPoint", schemas=schemas)
    address = answer.findtext(f"{{{WSNT}}}PullPoint/{{{WSA}}}Address")
    point = address[address.index("/services/"):]
    subscribe(world, schemas, "/services/notification", address)
    world.write("c.xml", blueprint("duo", 0))
    world.cli("create", "c.xml")
    world.cli("destroy", "--yes", "duo")

    def pull():
        return [event.findtext(f"{{{EVENT}}}kind")
                for event in ask(world, point, "GetMessages", schemas=schemas).iter(f"{{{EVENT}}}event")]

    kinds = world.until(pull, "something was told")
    while "cluster.destroyed" not in kinds:
        kinds += world.until(pull, "more was told")
    for kind in ("cluster.planned", "host.placed", "host.booted", "cluster.running", "host.destroyed"):
        assert kind in kinds, (kind, kinds)
    ask(world, point, "DestroyPullPoint", schemas=schemas)
    assert refusal(world, point, "GetMessages", schemas=schemas) == "ResourceUnknownFault"


def no_way_in(world, schemas):
    """A consumer's address leads to no service of this process, and to no socket."""
    socket = os.path.join(world.state, "nuraghed.sock").replace("/", "%2F")
    for address in ("/services/vhf", f"http+unix://{socket}/services/vhf", "http://169.254.169.254/latest", "ftp://x/",
                    "http://user@127.0.0.1/"):
        inner = f"<wsnt:ConsumerReference><wsa:Address>{address}</wsa:Address></wsnt:ConsumerReference>"
        assert refusal(world, "/services/vcf", "Subscribe", inner, schemas) == "SubscribeCreationFailedFault", address
    assert refusal(world, "/services/vcf/clusters/none", "Subscribe",
                   "<wsnt:ConsumerReference><wsa:Address>http://127.0.0.1:1/</wsa:Address></wsnt:ConsumerReference>",
                   schemas) == "ResourceUnknownFault"
    status, _, _ = world.http("POST", "/services/vcf", b"<x/>", {"Content-Type": "text/xml"}, token="wrong")
    assert status == 401, status


def only_by_who_made_it(world, schemas):
    """Of the members of a VO: the subscriber, and operators and owners; of another VO: nobody, for it is not there."""
    tokens = {}
    for vo, name, role in (("default", "vera", "viewer"), ("default", "viktor", "viewer"), ("default", "olga", "operator"),
                           ("default", "otto", "owner"), ("chemistry", "eve", "owner")):
        if vo != "default" and vo not in world.cli("vo", "ls").stdout:
            world.cli("vo", "create", vo)
        world.cli("--vo", vo, "member", "add", name, "--role", role)
        tokens[name] = world.json("--vo", vo, "token", "issue", name)["secret"]
    renewal = "<wsnt:TerminationTime>PT3H</wsnt:TerminationTime>"
    manage = (("Renew", renewal), ("PauseSubscription", ""), ("ResumeSubscription", ""), ("Unsubscribe", ""))
    with Consumer(schemas) as consumer:
        def made_by_vera():
            answer = ask(world, "/services/vcf", "Subscribe",
                         f"<wsnt:ConsumerReference><wsa:Address>{consumer.address}</wsa:Address></wsnt:ConsumerReference>", schemas,
                         token=tokens["vera"])
            address = answer.findtext(f"{{{WSNT}}}SubscriptionReference/{{{WSA}}}Address")
            return address[address.index("/services/"):]

        for who in ("vera", "olga", "otto", ""):
            path = made_by_vera()
            for name, inner in manage:
                assert refusal(world, path, name, inner, schemas, token=tokens["viktor"]) == "denied", (who, name)
                assert refusal(world, path, name, inner, schemas, token=tokens["eve"]) == "ResourceUnknownFault", (who, name)
                ask(world, path, name, inner, schemas, token=tokens.get(who, ""))
            # When it is gone, who may not manage it learns no more than everybody.
            assert refusal(world, path, "Renew", renewal, schemas, token=tokens["viktor"]) == "ResourceUnknownFault"
        world.until(lambda: not world.table("notification_subscription"), "all were ended")
    answer = ask(world, "/services/notification", "CreatePullPoint", schemas=schemas, token=tokens["vera"])
    address = answer.findtext(f"{{{WSNT}}}PullPoint/{{{WSA}}}Address")
    point = address[address.index("/services/"):]
    for name in ("GetMessages", "DestroyPullPoint"):
        assert refusal(world, point, name, schemas=schemas, token=tokens["viktor"]) == "denied"
        ask(world, point, name, schemas=schemas, token=tokens["vera"])


def only_by_who_made_it_also_elsewhere(world, schemas):
    """The answer's address makes no difference to who may do it: the one who made it hears there that it is done."""
    tokens = {name: world.json("--vo", "default", "token", "issue", name)["secret"] for name in ("vera", "viktor")}
    with Consumer(schemas) as consumer:
        answer = ask(world, "/services/vcf", "Subscribe",
                     f"<wsnt:ConsumerReference><wsa:Address>{consumer.address}</wsa:Address></wsnt:ConsumerReference>", schemas,
                     token=tokens["vera"])
        address = answer.findtext(f"{{{WSNT}}}SubscriptionReference/{{{WSA}}}Address")
        path = address[address.index("/services/"):]

        def elsewhere(message_id, name):
            action = f"http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/{name}Request"
            return {"schemas": schemas,
                    "header": f"<wsa:MessageID>{message_id}</wsa:MessageID><wsa:Action>{action}</wsa:Action><wsa:ReplyTo>"
                              f"<wsa:Address>{consumer.address}/here</wsa:Address></wsa:ReplyTo>"}

        assert refusal(world, path, "Unsubscribe", token=tokens["viktor"], **elsewhere("urn:test:1", "Unsubscribe")) == "denied"
        assert world.table("notification_subscription"), "it was ended by somebody else"
        told = [json.loads(line) for line in world.cli("-o", "json", "--vo", "default", "audit").stdout.splitlines()]
        assert ("refused", "denied") in {(one["kind"], one["outcome"]) for one in told if one.get("request") == "urn:test:1"}, told[-3:]
        # Sent again, as after a lost answer, it is the same answer.
        for _ in range(2):
            assert ask(world, path, "Unsubscribe", token=tokens["vera"], **elsewhere("urn:test:2", "Unsubscribe")) is None
            where, envelope = consumer.next()
            assert where == "/here" and header_of(envelope, WSA, "RelatesTo") == "urn:test:2", etree.tostring(envelope)
            assert body_of(envelope).tag == f"{{{WSNT}}}UnsubscribeResponse", etree.tostring(envelope)
        assert not world.table("notification_subscription")


def who_leaves_hears_nothing_more(world, schemas):
    """A member who was removed, and one of the same name who came later: the first one's consumer hears of neither."""
    def token_of(name):
        world.cli("--vo", "default", "member", "add", name, "--role", "viewer")
        return world.json("--vo", "default", "token", "issue", name)["secret"]

    world.write("c.xml", blueprint("duo", 0))
    with Consumer(schemas) as consumer:
        for name in ("stays", "leaves", "comes-again"):
            subscribe(world, schemas, "/services/vcf", f"{consumer.address}/{name}", token=token_of(name))
        world.cli("--vo", "default", "member", "rm", "leaves")
        world.cli("--vo", "default", "member", "rm", "comes-again")
        token_of("comes-again")
        world.cli("create", "c.xml")
        world.until(lambda: len(world.table("notification_subscription")) == 1, "the others' subscriptions ended")
        lost = [event for event in world.events()[0] if event["kind"] == "subscription.lost"]
        assert len(lost) == 2 and all("may no longer see" in event["text"] for event in lost), lost
        heard = []
        while "cluster.running" not in heard:
            path, envelope = consumer.next()
            assert path == "/stays", path
            heard += [kind for kind, _ in events_of(envelope)]
        world.cli("destroy", "--yes", "duo")
        hears_until(consumer, "cluster.destroyed")
        world.cli("--vo", "default", "member", "rm", "stays")
    world.cli("create", "c.xml")
    world.cli("destroy", "--yes", "duo")
    world.until(lambda: not world.table("notification_subscription"), "nobody is left")


def what_is_the_sites(world, schemas):
    """Machines that no VO has: an administrator hears of them, members and administrators who act for a VO do not."""
    world.cli("--vo", "default", "member", "add", "omar", "--role", "owner")
    omar = world.json("--vo", "default", "token", "issue", "omar")["secret"]
    on_behalf = '<n:vo xmlns:n="urn:nuraghe:context:1">default</n:vo>'
    with Consumer(schemas) as consumer:
        subscribe(world, schemas, "/services/hades", consumer.address + "/omar", token=omar)
        subscribe(world, schemas, "/services/hades", consumer.address + "/site")
        answer = world.http("POST", "/services/hades", (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}"><s:Header>{on_behalf}</s:Header><s:Body>'
            f"<wsnt:Subscribe><wsnt:ConsumerReference><wsa:Address>{consumer.address}/for-vo</wsa:Address></wsnt:ConsumerReference>"
            "</wsnt:Subscribe></s:Body></s:Envelope>").encode(), {"Content-Type": "text/xml"})
        assert answer[0] == 200, answer
        world.soap("hades", "enrol_machine", "<x:name>m1</x:name><x:driver>sim</x:driver>")
        world.soap("hades", "remove_machine", "<x:name>m1</x:name>")
        heard = []
        while "machine.removed" not in heard:
            path, envelope = consumer.next()
            assert path == "/site", path
            heard += [kind for kind, _ in events_of(envelope)]
        assert "machine.enrolled" in heard, heard
        assert consumer.messages.empty()
    world.cli("--vo", "default", "member", "rm", "omar")


def one_termination_time(world, schemas):
    """Set by WS-BaseNotification, WS-ResourceLifetime and REST: all show the same."""
    rl = "http://docs.oasis-open.org/wsrf/rl-2"
    with Consumer(schemas) as consumer:
        path = subscribe(world, schemas, "/services/vcf", consumer.address)

        def post(content):
            text = (f'<s:Envelope xmlns:s="{SOAP}" xmlns:rp="http://docs.oasis-open.org/wsrf/rp-2" xmlns:rl="{rl}" '
                    f'xmlns:n="urn:nuraghe:notification:1"><s:Body>{content}</s:Body></s:Envelope>')
            return body_of(etree.fromstring(world.http("POST", path, text.encode(), {"Content-Type": "text/xml"})[1]))

        def shown():
            asked = "".join(f"<rp:ResourceProperty>{name}</rp:ResourceProperty>" for name in ("rl:TerminationTime", "n:Ends"))
            answer = post(f"<rp:GetMultipleResourceProperties>{asked}</rp:GetMultipleResourceProperties>")
            rest = json.loads(world.http("GET", path.replace("/services/notification", ""))[1])
            times = {one.text for one in answer} | {rest.get("ends", rest.get("subscription", {}).get("ends"))}
            assert len(times) == 1, (times, etree.tostring(answer))
            return times.pop()

        renewed = ask(world, path, "Renew", "<wsnt:TerminationTime>PT3H</wsnt:TerminationTime>", schemas)
        assert shown() == renewed.findtext(f"{{{WSNT}}}TerminationTime")
        set_time = "<rl:SetTerminationTime><rl:RequestedLifetimeDuration>PT5H</rl:RequestedLifetimeDuration></rl:SetTerminationTime>"
        assert shown() < post(set_time).findtext(f"{{{rl}}}NewTerminationTime") == shown()
        assert post(set_time.replace("PT5H", "P400D")).tag == f"{{{SOAP}}}Fault"
        status, _, _ = world.http("PUT", path.replace("/services/notification", "") + "/end",
                                  json.dumps({"ends": renewed.findtext(f"{{{WSNT}}}TerminationTime")}).encode(),
                                  {"Content-Type": "application/json"})
        assert status == 200 and shown() == renewed.findtext(f"{{{WSNT}}}TerminationTime")
        post(set_time.replace("PT5H", "PT1S"))
        world.until(lambda: not world.table("notification_subscription"), "the subscription ended")
        assert not world.table("wsrf_lifetimes"), "no second time is kept"


def main():
    clean_up_when_asked_to_end()
    programs = sys.argv[1]
    schemas = Schemas(os.path.join(programs, "../contracts"))
    with World(programs) as world:
        world.start()
        world.import_image()
        for test in (a_cluster_is_followed, refused_and_repeated, pull_point, no_way_in, only_by_who_made_it,
                     only_by_who_made_it_also_elsewhere, who_leaves_hears_nothing_more, one_termination_time, what_is_the_sites):
            test(world, schemas)
            print(f"ok {test.__name__}", flush=True)
            world.until_quiet()
        world.stop()


if __name__ == "__main__":
    main()
