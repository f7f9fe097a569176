"""bench/run bpel: the WS-BPEL engine, each case beside its peers on the same machine in the same run.

  steps     a request, five durable steps one after the other, a reply; fsync on; a closed loop of 1, 8, 32, 256 clients.
            Peers: restate (npm), dbos on PostgreSQL (npm, Debian). Also what the disk allows: bare SQLite commits.
  http      receive, assign, reply over HTTP, in memory, 1, 8, 64 clients. Peer: Debian's virtuoso-opensource with its
            BPEL package.
  waiting   100,000 instances that wait for a message.
  foreach   a parallel forEach of 1,000 and of 10,000 invokes.

CPU is that of all processes of an engine, without the program that sends the requests where that is another one.
"""
import contextlib
import json
import pathlib
import re
import statistics
import subprocess
import tempfile

from peers import dbos, restate, virtuoso
from peers.processes import Missing, Peer, die_with_parent, next_line, standing_still, tail
from rows import row

SOURCE = pathlib.Path(__file__).resolve().parent
STEPS = (1, 8, 32, 256)
HTTP = (1, 8, 64)
COMMITS = 5  # of one workflow: its start with the first step, and the other four
BODY = ('<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><in xmlns="urn:bench">'
        "hello</in></soapenv:Body></soapenv:Envelope>")


class Bench:
    """The programs of the build."""

    def __init__(self, build: str, seconds: float):
        self.build, self.seconds = pathlib.Path(build).resolve(), seconds
        if not (self.build / "build.ninja").exists():
            subprocess.run(["cmake", "-G", "Ninja", "-S", SOURCE.parent, "-B", self.build, "--log-level=WARNING"], check=True)
        subprocess.run(["ninja", "--quiet", "-C", self.build, "bpel_bench", "http_load", "bpel"], check=True)

    def bpel(self, *arguments) -> dict:
        with tempfile.TemporaryDirectory(prefix="nb-") as folder:
            done = subprocess.run([self.build / "bin/bpel_bench", *map(str, arguments), folder], stdout=subprocess.PIPE,
                                  text=True, check=True, preexec_fn=die_with_parent)
        return json.loads(done.stdout)

    def load(self, port: int, path: str, clients: int, seconds: float, body: str = "", expect: str = ">hello<",
             headers=("Content-Type: text/xml", 'SOAPAction: "echo"')) -> dict:
        with tempfile.NamedTemporaryFile("w", prefix="nb-") as file:
            file.write(BODY)
            file.flush()
            command = [self.build / "bin/http_load", str(port), path, str(clients), str(seconds), body or file.name, expect,
                       *headers]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                                  preexec_fn=die_with_parent)
        if done.returncode != 0:
            raise Missing(" ".join(done.stderr.split())[:200])
        return json.loads(done.stdout)


class Peers:
    """Those of `kinds` that can be measured, all running, so that the engines are measured in turn: a disk's speed changes.

    While one is measured, the others stand still.
    """

    def __init__(self, bench: Bench, kinds: list):
        self.bench, self.kinds, self.running, self.missing, self.stack = bench, kinds, {}, {}, contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for kind in self.kinds:
                try:
                    self.running[kind.NAME] = stack.enter_context(kind(self.bench.load, self.bench.seconds))
                except Missing as error:
                    self.missing[kind.NAME] = f"{kind.NAME} is missing: {error}"
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def measure(self, clients: int) -> dict:
        """By name; a peer that fails is missing from then on."""
        measured = {}
        for name, peer in self.running.items():
            try:
                if name not in self.missing:
                    with self.standing_still(but=name):
                        measured[name] = peer.measure(clients)
            except (Missing, OSError) as error:  # OSError: it has ended
                self.missing[name] = f"{name} is missing: {error}"
        return measured

    def standing_still(self, but: str = ""):
        return standing_still([process for name, peer in self.running.items() if name != but
                               for process in peer.programs.running])

    def why(self) -> str:
        return "; ".join(self.missing.values())


def bare_commits(bench: Bench, ours: dict, clients: int, seconds: float) -> dict:
    """Commits of as many rows as `clients` workflows write in one step each."""
    rows = max(1, round(ours["rows_each"] / COMMITS * clients))
    return bench.bpel("commits", rows, round(ours["bytes_each"] / ours["rows_each"]), seconds)


def latency(bench: Bench) -> list:
    """One client's time for a step beside a bare commit's; alternately, because a disk's speed changes."""
    all_steps, bare, seconds = [], [], max(1, bench.seconds / 3)
    for _ in range(7):
        all_steps.append(bench.bpel("steps", 1, seconds))
        bare.append(bare_commits(bench, all_steps[-1], 1, seconds))
    step = statistics.median(one["median_latency"] for one in all_steps) / COMMITS * 1000
    commit = statistics.median(one["median_latency"] for one in bare) * 1000
    cpu = statistics.median(one["cpu_each"] for one in all_steps) * 1000
    cpu_of_commits = statistics.median(one["cpu_each"] for one in bare) * COMMITS * 1000
    return [row("steps, 1 client, latency of a step", step, "ms", "bare SQLite commit", commit, "<= 1.5 x",
                step <= 1.5 * commit),
            row("steps, 1 client, CPU each beside its commits'", cpu, "ms", f"{COMMITS} bare SQLite commits", cpu_of_commits)]


def beside_disk(bench: Bench, first: dict, clients: int) -> tuple:
    """Of three runs the one with the median share of what the disk allows just before and after it; commits a second."""
    before, runs = bare_commits(bench, first, clients, bench.seconds / 2)["per_second"], []
    for _ in range(3):
        ours = bench.bpel("steps", clients, bench.seconds)
        after = bare_commits(bench, ours, clients, bench.seconds / 2)["per_second"]
        runs.append((ours, (before + after) / 2))
        before = after
    return sorted(runs, key=lambda run: run[0]["per_second"] / run[1])[1]


def beside(case: str, ours: dict, theirs: dict, what: str, target: str, met, why: str) -> dict:
    """A row in ms whose peer is the one that needs least."""
    if not theirs:
        return row(case, ours[what] * 1000, "ms", why, None, target, met)
    best = min(theirs, key=lambda name: theirs[name][what])
    return row(case, ours[what] * 1000, "ms", best + ("; " + why if why else ""), theirs[best][what] * 1000, target,
               bool(met and not why) if target else None)


def steps(bench: Bench) -> list:
    with Peers(bench, [restate.Restate, dbos.Dbos]) as peers:
        rows = [item for clients in STEPS for item in steps_of(bench, peers, clients)]
    return rows + latency(bench)


def steps_of(bench: Bench, peers: Peers, clients: int) -> list:
    rows = []
    case = f"steps, {clients} client{'s' if clients > 1 else ''}"
    with peers.standing_still():
        ours = bench.bpel("steps", clients, bench.seconds)
    theirs, why = peers.measure(clients), peers.why()
    target, met, best, rate = "", None, "", None
    if theirs:
        best = max(theirs, key=lambda name: theirs[name]["per_second"])
        rate = theirs[best]["per_second"]
        best += "; " + why if why else ""
    if clients == 32:
        with peers.standing_still():
            ours, disk = beside_disk(bench, ours, clients)
        allowed = disk * clients / COMMITS
        target = f">= 50 x, or 80 % of the disk's {allowed:.0f}"
        met = rate is not None and not why and ours["per_second"] >= min(50 * rate, 0.8 * allowed)
        rows.append(row(f"{case}, bare commits of equal rows", disk, "/s"))
        rows.append(row(f"{case}, share of the disk's", ours["per_second"] / allowed * 100, "%"))
    rows.append(row(f"{case}, workflows", ours["per_second"], "/s", best or why, rate, target, met))
    rows.append(beside(f"{case}, CPU each", ours, theirs, "cpu_each", "<= 0.5 ms", ours["cpu_each"] <= 0.0005, why))
    rows.append(beside(f"{case}, median latency", ours, theirs, "median_latency", "", None, why))
    for name, one in theirs.items():
        rows.append(row(f"{case}, workflows of {name}", one["per_second"], "/s"))
        rows.append(row(f"{case}, CPU each of {name}", one["cpu_each"] * 1000, "ms"))
        rows.append(row(f"{case}, median latency of {name}", one["median_latency"] * 1000, "ms"))
    rows.append(row(f"{case}, commits each", ours["commits_each"], ""))
    rows.append(row(f"{case}, rows each", ours["rows_each"], ""))
    rows.append(row(f"{case}, journal each", ours["journal_bytes_each"], "bytes"))
    return rows


class Serve(Peer):
    """`bpel serve --memory` with an echo process."""

    def start(self) -> None:
        server = self.programs.start([str(self.build / "bin/bpel"), "serve", "--listen", "127.0.0.1:0", "--memory", "--deploy",
                                      str(SOURCE / "processes")], stdout=subprocess.PIPE, text=True)
        self.measured = [server]
        match = re.search(r"http://127\.0\.0\.1:(\d+)", next_line(server, 60))
        if not match:
            raise SystemExit("bpel serve did not start: " + tail(self.programs.log("bpel")))
        self.port = int(match.group(1))

    def run(self, clients: int, seconds: float) -> dict:
        return self.load(self.port, "/processes/echo/client", clients, seconds)


def http(bench: Bench) -> list:
    Serve.build = bench.build
    with Serve(bench.load, bench.seconds) as serve, Peers(bench, [virtuoso.Virtuoso]) as peers:
        return [item for clients in HTTP for item in http_of(serve.measure(clients), peers, clients)]


def http_of(mine: dict, peers: Peers, clients: int) -> list:
    rows = []
    case = f"http, {clients} client{'s' if clients > 1 else ''}"
    theirs = peers.measure(clients).get(virtuoso.Virtuoso.NAME)
    name = virtuoso.Virtuoso.NAME if theirs else peers.why()
    rate = theirs and theirs["per_second"]
    target = ">= 100 x" if clients == 8 else ""
    rows.append(row(f"{case}, requests", mine["per_second"], "/s", name, rate, target,
                    rate is not None and mine["per_second"] >= 100 * rate if target else None))
    rows.append(row(f"{case}, CPU each", mine["cpu_each"] * 1000, "ms", name, theirs and theirs["cpu_each"] * 1000,
                    "<= 0.12 ms", mine["cpu_each"] <= 0.00012))
    rows.append(row(f"{case}, median latency", mine["median_latency"] * 1000, "ms", name,
                    theirs and theirs["median_latency"] * 1000))
    return rows


def waiting(bench: Bench) -> list:
    count = 100_000
    ours = bench.bpel("waiting", count)
    case = f"waiting, {count} instances"
    return [
        row(f"{case}, disk each", ours["disk_each"], "bytes", target="<= 4096", met=ours["disk_each"] <= 4096),
        row(f"{case}, memory each", ours["memory_each"], "bytes", target="<= 100", met=ours["memory_each"] <= 100),
        row(f"{case}, answer, median", ours["answer_median"] * 1000, "ms", target="< 2", met=ours["answer_median"] < 0.002),
        row(f"{case}, answer, worst of 200", ours["answer_worst"] * 1000, "ms"),
        row(f"{case}, restart to first answer", ours["restart_seconds"], "s", target="< 2", met=ours["restart_seconds"] < 2),
        row(f"{case}, creation", ours["create_seconds"], "s"),
    ]


def foreach(bench: Bench) -> list:
    """Of 1,000 and 10,000 branches; the smaller is the larger one's peer."""
    few, many = bench.bpel("foreach", 1000), bench.bpel("foreach", 10_000)
    case, peer = "foreach, 10000 branches", "1000 branches"
    rows = [row(f"{case}, time each", many["seconds"] / 10, "ms", peer, few["seconds"], "<= 1.2 x",
                many["seconds"] / 10 <= 1.2 * few["seconds"])]
    for name in ("bytes", "journal_bytes", "rows"):
        value, other = many[name + "_each"], few[name + "_each"]
        rows.append(row(f"{case}, {name.replace('_', ' ')} each", value, "", peer, other, "within 10 %",
                        abs(value / other - 1) <= 0.1))
    for count, one in ((1000, few), (10_000, many)):
        rows.append(row(f"foreach, {count} branches, CPU each", one["cpu_each"] * 1000, "ms", target="<= 0.1 ms",
                        met=one["cpu_each"] <= 0.0001))
    return rows


CASES = {"steps": steps, "http": http, "waiting": waiting, "foreach": foreach}


def run(arguments) -> list:
    names = arguments.cases.split(",")
    for name in names:
        if name not in CASES:
            raise SystemExit(f"'{name}' is no case; there are {', '.join(CASES)}")
    with contextlib.suppress(subprocess.CalledProcessError):  # a peer that is missing is said in its rows
        subprocess.run([SOURCE.parent / "tools/packages", "ensure", "bench"], check=True)
    bench = Bench(arguments.build, arguments.seconds)
    return [item for name in names for item in CASES[name](bench)]
