"""bench/run cluster: create on the simulated driver (its delays 0) for 1, 10, 64, 100, 1000 nodes.

Through validation, workflows and fragments, file-backed SQLite with synchronous=FULL. In two forms: `in-process`, where
nuraghed has two controllers in itself and services call one another directly, and `tcp`, where two vhcd are processes of
their own. The peer of each size is the cost per node of the 10-node cluster in the same run: the cost per node is to stay
flat. The tcp form's time has a second row, whose peer is the in-process form. fsyncs are counted by a library that is
loaded into every program (bench/fsync_count.c); memory is the sum of the peaks of all processes since the create began.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import urllib.request

from rows import row

BLUEPRINT = """<cluster xmlns="urn:nuraghe:cluster:1" name="c{count}">
  <defaults><configuration xmlns="urn:nuraghe:node:1"><image name="bench"/><memory>64MiB</memory></configuration></defaults>
  <network name="net"/><node name="n" count="{count}"/>
</cluster>"""
IMAGE = """<vhi xmlns="urn:nuraghe:image:1" name="bench" version="1">
  <system type="none" name="none" version="1" architecture="x86_64"/>
  <boot kernel="kernel"/>
  <configuration min-memory="16MiB" seed="nocloud" ready="start"/>
  <initial-conditions kind="cold"/>
</vhi>"""
COUNTERS = {"fsyncs": "", "commits": "store_commits", "messages": "exchange_messages_sent",
            "replies": "exchange_replies_sent", "rows written": "store_rows_written", "journal bytes": "store_journal_bytes"}
# What every physical host offers.
CPUS, MEMORY, DISK = "4000", "1TiB", "100TiB"
SOURCE = pathlib.Path(__file__).resolve().parent


class FsyncCounter:
    """A counter that the programs started with `environment` share; `path` empty when there is no C compiler."""

    def __init__(self, folder: str):
        library, self.path = folder + "/fsync_count.so", folder + "/fsyncs"
        pathlib.Path(self.path).write_bytes(struct.pack("q", 0))
        built = shutil.which("cc") and subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", library, str(SOURCE / "fsync_count.c"), "-ldl"]).returncode == 0
        self.environment = {"LD_PRELOAD": library, "FSYNC_COUNT": self.path} if built else {}

    def read(self):
        if not self.environment:
            return None
        return struct.unpack("q", pathlib.Path(self.path).read_bytes())[0]


class Program:
    """A daemon with a door over TCP."""

    def __init__(self, command: list, environment: dict, token_file: str, log: str):
        with open(log, "w") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                            env={**os.environ, **environment})
        line = self.process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:\d+", line)
        if not match:
            raise SystemExit(f"{command[0]} did not start: {line}{pathlib.Path(log).read_text()}")
        self.base = match.group(0)
        with open(token_file) as file:
            self.token = [line.split()[-1] for line in file if line.strip() and not line.startswith("#")][0]

    def metrics(self) -> dict:
        request = urllib.request.Request(self.base + "/metrics", headers={"Authorization": "Bearer " + self.token})
        text = urllib.request.urlopen(request, timeout=30).read().decode()
        sums = {}
        for name in filter(None, COUNTERS.values()):
            values = re.findall(rf"^nuraghe_{name}_total(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.M)
            sums[name] = sum(float(value) for value in values)
        return sums

    def forget_peak(self) -> None:
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_mib(self) -> float:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Site:
    """nuraghed with two physical hosts."""

    def __init__(self, build: pathlib.Path, folder: str, form: str):
        self.bin, self.folder, self.state, self.programs = build / "bin", folder, folder + "/state", []
        self.fsyncs = FsyncCounter(folder)
        try:
            self.start(form)
        except BaseException:
            self.stop()
            raise

    def start(self, form: str) -> None:
        command = [str(self.bin / "nuraghed"), "--state", self.state, "--sim-volatile"]
        if form == "in-process":
            for name in "ab":
                command += ["--vhc", f"{name}:driver=sim,cpus={CPUS},memory={MEMORY},disk={DISK}"]
        self.programs.append(Program(command, self.fsyncs.environment, self.state + "/token", self.folder + "/nuraghed.log"))
        if form == "in-process":
            return
        for name in "ab":
            token = self.state + "/site-token"
            command = [str(self.bin / "vhcd"), "--name", name, "--state", f"{self.folder}/{name}", "--factory",
                       self.programs[0].base, "--token-file", token, "--driver", "sim", "--sim-volatile", "--cpus", CPUS,
                       "--memory", MEMORY, "--disk", DISK]
            self.programs.append(Program(command, self.fsyncs.environment, token, f"{self.folder}/{name}.log"))
        deadline = time.monotonic() + 60
        while len([host for host in json.loads(self.cli("host", "ls")) if host["alive"]]) < 2:
            if time.monotonic() > deadline:
                raise SystemExit("the controllers did not register")

    def cli(self, *arguments: str) -> str:
        command = [str(self.bin / "nuraghe"), "--state", self.state, "-o", "json", "--timeout", "30m", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def counters(self) -> dict:
        every = [program.metrics() for program in self.programs]
        return {case: sum(one[name] for one in every) if name else self.fsyncs.read() for case, name in COUNTERS.items()}

    def create(self, count: int) -> tuple:
        """Seconds, what was counted meanwhile and MiB of a create; the cluster is destroyed then."""
        file = f"{self.folder}/c{count}.xml"
        pathlib.Path(file).write_text(BLUEPRINT.format(count=count))
        for program in self.programs:
            program.forget_peak()
        before = self.counters()
        began = time.monotonic()
        self.cli("create", file)
        took = time.monotonic() - began
        after = self.counters()
        peak = sum(program.peak_mib() for program in self.programs)
        self.cli("destroy", f"c{count}", "--yes")
        counted = {case: None if before[case] is None else after[case] - before[case] for case in COUNTERS}
        return took, counted, peak

    def stop(self) -> None:
        for program in self.programs:
            program.stop()


def measure(build: pathlib.Path, form: str, sizes: list, in_process: dict) -> list:
    """The rows of one form. `in_process`: seconds by size, filled by that form, read by the other."""
    folder = tempfile.mkdtemp(prefix="nb-")
    site, rows, per_node_of_ten = None, [], None
    try:
        os.mkdir(folder + "/image")
        pathlib.Path(folder, "image/vhi.xml").write_text(IMAGE)
        pathlib.Path(folder, "image/kernel").write_bytes(b"kernel")
        site = Site(build, folder, form)
        site.cli("image", "import", folder + "/image")
        site.create(2)  # keys are made and images copied once: not a matter of a cluster's size
        for count in sizes:
            took, counted, peak = site.create(count)
            per_node = took / count * 1000
            if count == 10:
                per_node_of_ten = per_node
            case = f"{form}, create {count} node{'s' if count > 1 else ''}"
            if count > 10:
                rows.append(row(f"{case}, time per node", per_node, "ms", "10 nodes", per_node_of_ten,
                                "<= 1.2 x the 10-node cluster's", per_node_of_ten and per_node <= 1.2 * per_node_of_ten))
            else:
                rows.append(row(f"{case}, time per node", per_node, "ms"))
            if form == "in-process":
                in_process[count] = took
                if count == 1000:
                    rows.append(row(case, took, "s", target="< 2 s", met=took < 2))
            else:
                rows.append(row(f"{case}, time", took, "s", "in-process", in_process.get(count)))
            for name, value in counted.items():
                rows.append(row(f"{case}, {name}", value, ""))
                if count > 1:
                    rows.append(row(f"{case}, {name} per node", None if value is None else value / count, ""))
            rows.append(row(f"{case}, peak memory", peak, "MiB"))
    finally:
        if site:
            site.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def run(arguments) -> list:
    rows, in_process = [], {}
    for form in arguments.forms.split(","):
        if form not in ("in-process", "tcp"):
            raise SystemExit(f"'{form}' is no form; there are in-process and tcp")
        rows += measure(pathlib.Path(arguments.build).resolve(), form, [int(size) for size in arguments.sizes.split(",")],
                        in_process)
    return rows
