#!/usr/bin/python3
"""The path of a request through nuraghed and two vhcds, by its W3C trace.

  trace.py PROGRAMS [NAME...]
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import attempt  # noqa: E402
from invariants import check_empty  # noqa: E402
from vhcd import Site  # noqa: E402
from world import blueprint, clean_up_when_asked_to_end, parse_answer, child, SOAP  # noqa: E402

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


def create(site, name, headers, workers=3):
    envelope = (f'<s:Envelope xmlns:s="{SOAP}"><s:Body><x:create_vc xmlns:x="urn:nuraghe:vcm:1"><x:request>'
                f'<blueprint xmlns="urn:nuraghe:vcf:1">{blueprint(name, workers)}</blueprint></x:request></x:create_vc>'
                "</s:Body></s:Envelope>")
    status, body, _ = site.http("POST", "/services/vcm", envelope.encode(), {"Content-Type": "text/xml", **headers})
    return child(parse_answer(status, body), "cluster")


def spans_of(site, trace):
    return site.json("trace", trace)["spans"]


def orphans(spans, caller):
    ids = {span["id"] for span in spans}
    return [span for span in spans if span["parent"] not in ids and span["parent"] != caller]


def whole(site, trace, caller, hosts):
    """The spans of a create over so many hosts, when those of the vhcds have come too."""

    def complete():
        spans = spans_of(site, trace)
        jobs = [span for span in spans if span["kind"] == "job" and span["operation"].startswith("create/")]
        joined = [span for span in spans if span["kind"] == "job" and span["operation"].startswith("boot/")]
        return len(jobs) == hosts and len(joined) == hosts and not orphans(spans, caller) and spans

    return site.until(complete, f"trace {trace} was whole")


def one_tree_over_all_processes(site):
    cluster = create(site, "duo", {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "rojo=1"})
    spans = whole(site, TRACE, CALLER, 4)
    by_id = {span["id"]: span for span in spans}
    assert len(by_id) == len(spans), "every span has an id of its own"
    roots = [span for span in spans if span["parent"] == CALLER]
    assert len(roots) == 1 and (roots[0]["service"], roots[0]["operation"]) == ("vcm", "create_vc"), roots
    assert {span["where"] for span in spans} == {"control", "vhc-a", "vhc-b"}, {span["where"] for span in spans}
    path = [("vcm", "create_vc"), ("vcf", "create_cluster"), ("vhm", "create_vh"), ("vhf", "create_vh")]
    jobs = [span for span in spans if span["kind"] == "job" and span["operation"].startswith("create/")]
    assert {job["where"] for job in jobs} == {"vhc-a", "vhc-b"}, jobs
    for job in jobs:  # from the job in the other process up to the client's request
        way, span = [], job
        while span["parent"] in by_id:
            span = by_id[span["parent"]]
            way.insert(0, (span["service"], span["operation"]))
        assert way[:len(path)] == path and way[-1][0] in ("a", "b"), way
    operations = {(span["service"], span["operation"]) for span in spans}
    assert {("vcf", "plan"), ("vhf", "reserve"), ("vcf", "prepare"), ("vcf", "end"), ("vhf", "report")} <= operations, operations
    assert all(span["seconds"] >= 0 and not span["fault"] for span in spans), spans
    assert all(roots[0]["start"] <= span["start"] for span in spans if span["where"] == "control"), spans
    # What happened says so too.
    told = [event for event in site.events()[0] if event["cluster"] == cluster]
    kinds = {event["kind"] for event in told if TRACE in event["attributes"].get("traceparent", "")}
    assert {"cluster.planned", "cluster.running", "host.placed", "host.booted"} <= kinds, kinds
    text = site.cli("trace", TRACE).stdout
    assert re.search(r"\n0 us .* create_vc of vcm +control", text), text
    assert re.search(r"\n.*         +create/\S+ \(job\) +vhc-[ab]", text), text
    # Of another organisation nothing is there.
    assert "there is no trace" in site.cli("--vo", "other", "trace", TRACE, check=4).stderr
    site.cli("trace", "0" * 32, check=4)  # neither an id nor a name
    # It is kept over a restart.
    site.stop()
    site.start()
    site.until_alive("a", "b")
    assert {span["id"] for span in spans_of(site, TRACE)} >= set(by_id)


def every_change_is_traced(site):
    """Also without a traceparent; and a malformed one is replaced."""
    create(site, "duo", {})
    first = site.json("trace", "duo")
    assert any(span["operation"] == "create_vc" for span in first["spans"]), first
    site.cli("pause", "duo")
    second = site.json("trace", "duo")
    assert second["trace"] != first["trace"] and any(span["operation"] == "pause_vc" for span in second["spans"]), second
    create(site, "other", {"traceparent": "00-xyz-01"}, workers=1)
    third = site.json("trace", "other")
    assert any(span["operation"] == "create_vc" for span in third["spans"]), third
    # What is not sampled is passed on and not kept.
    create(site, "third", {"traceparent": f"00-{'ab' * 16}-{CALLER}-00"}, workers=1)
    site.cli("trace", "ab" * 16, check=4)


def a_failure_stands_in_the_trace(site):
    site.vhcds["a"].stop()
    site.vhcds["a"].start("--sim-fail", "create:worker-1")
    site.vhcds["b"].stop()
    site.vhcds["b"].start("--sim-fail", "create:worker-1")
    site.until_alive("a", "b")
    trace = "cd" * 16
    try:
        create(site, "duo", {"traceparent": f"00-{trace}-{CALLER}-01"})
        raise AssertionError("it should have failed")
    except Exception as error:  # pylint: disable=broad-except  (the fault)
        assert "worker-1" in str(error), error

    def failed():
        spans = spans_of(site, trace)
        return [span for span in spans if span["fault"] and span["kind"] == "job"] and not orphans(spans, CALLER) and spans

    spans = site.until(failed, "the job that failed stood in the trace")
    faults = {(span["service"], span["operation"]) for span in spans if span["fault"]}
    assert {("vcm", "create_vc"), ("vcf", "create_cluster")} <= faults, faults


def over_rest(site):
    """GET /traces/ID: the same as the command line shows; of another VO, and of none, there is no such trace."""
    create(site, "duo", {"traceparent": f"00-{TRACE}-{CALLER}-01"}, workers=1)
    whole(site, TRACE, CALLER, 2)
    site.cli("vo", "create", "chemistry")
    site.cli("--vo", "chemistry", "member", "add", "eve", "--role", "owner")
    eve = site.json("--vo", "chemistry", "token", "issue", "eve")["secret"]

    def get(trace, token="", method="GET"):
        status, body, headers = site.http(method, f"/traces/{trace}", token=token)
        return status, json.loads(body), headers

    status, answer, headers = get(TRACE)
    assert status == 200 and headers["Content-Type"] == "application/json" and headers["ETag"], headers
    assert {span["id"] for span in answer["span"]} == {span["id"] for span in spans_of(site, TRACE)} and answer["more"] is False
    root = next(span for span in answer["span"] if span["parent"] == CALLER)
    assert (root["service"], root["operation"], root["kind"], root["where"]) == ("vcm", "create_vc", "request", "control"), root
    assert root["start"].endswith("Z") and root["took"].startswith("PT"), root
    # Another's is answered as one that is not there, word by word.
    own = "ab" * 16
    attempt_as(site, eve, own)
    site.until(lambda: get(own, eve)[0] == 200, "eve's own trace was told to her")
    others, missing = get(TRACE, eve), get("12" * 16, eve)
    assert others[0] == missing[0] == 404 and others[2]["Content-Type"] == "application/problem+json", others
    assert others[1]["detail"].replace(TRACE, "ID") == missing[1]["detail"].replace("12" * 16, "ID"), (others, missing)
    assert get(own)[0] == 404, "nor is hers told to others"
    for wrong in ("0" * 32, "AB" * 16, "ab" * 15, "x" * 32, "ab" * 400):
        status, answer, _ = get(wrong)
        assert status == 400 and "hexadecimal" in answer["detail"] and len(answer["detail"]) < 400, (wrong, answer)
    assert get(TRACE, token=None)[0] == 401
    assert get(TRACE, method="DELETE")[0] == 405


def attempt_as(site, token, trace):
    """Something that makes a trace in the token's VO; nothing comes of it."""
    envelope = (f'<s:Envelope xmlns:s="{SOAP}"><s:Body><x:destroy_vc xmlns:x="urn:nuraghe:vcm:1"><x:cluster>nobody</x:cluster>'
                "</x:destroy_vc></s:Body></s:Envelope>")
    site.http("POST", "/services/vcm", envelope.encode(),
              {"Content-Type": "text/xml", "traceparent": f"00-{trace}-{CALLER}-01"}, token=token)


def main():
    clean_up_when_asked_to_end()
    programs, *names = sys.argv[1:]
    ok = True
    for test in (one_tree_over_all_processes, every_change_is_traced, a_failure_stands_in_the_trace, over_rest):
        if names and test.__name__ not in names:
            continue
        with Site(programs) as site:
            ok = attempt(test, site) and ok
            for cluster in site.json("ls"):
                site.cli("destroy", cluster["id"], "--yes")
            site.until_quiet()
            check_empty(site)
            code = site.stop()[0]
            ok = ok and code == 0
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
