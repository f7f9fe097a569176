"""bench/run services: what the doors cost, beside the server that gSOAP generates for the same document/literal echo.

  in-process  a typed call through client, router and exchange, over the handler's own work
  soap, rest  an echo over loopback HTTP, connections that stay open, 1 and 64 clients; the server has one processor and the
              load the other. Ours authenticates, takes WS-Addressing and checks what comes in; gSOAP gets the same bytes.

CPU is that of the serving process alone.
"""
import contextlib
import json
import pathlib
import re
import subprocess
import tempfile

from peers import gsoap
from peers.processes import Missing, Peer, die_with_parent, next_line, standing_still, tail
from rows import row

SOURCE = pathlib.Path(__file__).resolve().parent
CLIENTS = (1, 64)
ECHO = "urn:nuraghe:bench:echo:1"
SOAP = (f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header xmlns:a="http://www.w3.org/2005/08/addressing">'
        f'<a:To>http://127.0.0.1/services/bench_echo</a:To><a:Action>{ECHO}:echo</a:Action></s:Header>'
        f'<s:Body><echo xmlns="{ECHO}"><text>hello</text></echo></s:Body></s:Envelope>')


class Bench:
    def __init__(self, build: str, seconds: float):
        self.build, self.seconds = pathlib.Path(build).resolve(), seconds
        if not (self.build / "build.ninja").exists():
            subprocess.run(["cmake", "-G", "Ninja", "-S", SOURCE.parent, "-B", self.build, "--log-level=WARNING"], check=True)
        subprocess.run(["ninja", "--quiet", "-C", self.build, "echo_bench", "http_load"], check=True)

    def load(self, port: int, path: str, clients: int, seconds: float, body: str = SOAP, expect: str = "hello",
             headers=("Content-Type: text/xml", f'SOAPAction: "{ECHO}:echo"')) -> dict:
        with tempfile.NamedTemporaryFile("w", prefix="nb-") as file:
            file.write(body)
            file.flush()
            command = ["taskset", "-c", "1", self.build / "bin/http_load", str(port), path, str(clients), str(seconds), file.name,
                       expect, *headers]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", preexec_fn=die_with_parent)
        if done.returncode != 0:
            raise Missing(" ".join(done.stderr.split())[:300])
        return json.loads(done.stdout)


class Ours(Peer):
    """The service program behind its doors; `form` says through which of them."""

    form = "soap"

    def start(self) -> None:
        state = f"{self.programs.folder}/state"
        server = self.programs.start(["taskset", "-c", "0", str(self.build / "bin/echo_bench"), "serve", "--state", state,
                                      "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        self.measured = [server]
        match = re.search(r"http://127\.0\.0\.1:(\d+)", next_line(server, 60))
        if not match:
            raise SystemExit("echo_bench did not start: " + tail(self.programs.log("taskset")))
        self.port = int(match.group(1))
        lines = pathlib.Path(f"{state}/token").read_text().splitlines()
        self.token = next(line.split()[3] for line in lines if line and not line.startswith("#"))

    def run(self, clients: int, seconds: float) -> dict:
        bearer = f"Authorization: Bearer {self.token}"
        if self.form == "rest":
            return self.load(self.port, "/bench-echo", clients, seconds, '{"text":"hello"}', "hello",
                             (bearer, "Content-Type: application/json"))
        return self.load(self.port, "/services/bench_echo", clients, seconds,
                         headers=(bearer, "Content-Type: text/xml", f'SOAPAction: "{ECHO}:echo"'))


def in_process(bench: Bench) -> list:
    done = subprocess.run([bench.build / "bin/echo_bench", "call", str(bench.seconds)], check=True, capture_output=True, text=True)
    times = json.loads(done.stdout)
    over = times["through"] - times["handler"]
    return [row("in-process, a typed call over its handler", over, "us", target="<= 10 us", met=over <= 10)]


def over_http(bench: Bench) -> list:
    Ours.build = bench.build
    rows = []
    with Ours(bench.load, bench.seconds) as ours, contextlib.ExitStack() as stack:
        why, peer = "", None
        try:
            peer = stack.enter_context(gsoap.Gsoap(bench.load, bench.seconds))
        except Missing as error:
            why = f"gsoap is missing: {error}"
        for clients in CLIENTS:
            theirs = None
            if peer:
                with standing_still(ours.measured):
                    theirs = peer.measure(clients)
            for form in ("soap", "rest"):
                ours.form = form
                with standing_still(peer.measured if peer else []):
                    mine = ours.measure(clients)
                rows += rows_of(form, clients, mine, theirs, why)
    return rows


def rows_of(form: str, clients: int, mine: dict, theirs: dict, why: str) -> list:
    case = f"{form}, {clients} client{'s' if clients > 1 else ''}"
    rows = [row(f"{case}, requests", mine["per_second"], "/s", target=">= 10000 /s" if clients > 1 else "",
                met=mine["per_second"] >= 10_000 if clients > 1 else None)]
    each, other = 1 / mine["cpu_each"], theirs and 1 / theirs["cpu_each"]
    target = ">= 0.5 x" if form == "soap" else ""
    rows.append(row(f"{case}, requests of a CPU second", each, "", "gsoap" if theirs else why, other, target,
                    other is not None and each >= 0.5 * other if target else None))
    rows.append(row(f"{case}, 99th percentile", mine["p99_latency"] * 1000, "ms", "gsoap" if theirs else "",
                    theirs and theirs["p99_latency"] * 1000, "< 15 ms" if clients == 64 else "",
                    mine["p99_latency"] < 0.015 if clients == 64 else None))
    return rows


def run(arguments) -> list:
    with contextlib.suppress(subprocess.CalledProcessError):  # a peer that is missing is said in its rows
        subprocess.run([SOURCE.parent / "tools/packages", "ensure", "bench"], check=True)
    bench = Bench(arguments.build, arguments.seconds)
    return in_process(bench) + over_http(bench)
