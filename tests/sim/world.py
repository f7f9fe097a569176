"""A nuraghed with simulated physical hosts for the tests: starts it, talks to it, looks at what it has stored.

A World is one folder. The state folder inside is named relatively, and every program is run inside the folder, so that
a copy of a World has the same addresses as the original. Nothing here polls without waiting for an event of nuraghed.
"""
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
FAULT = "urn:nuraghe:fault:1"
BASE_FAULT = "http://docs.oasis-open.org/wsrf/bf-2"

# The machine may be busy: at least five times what anything here takes alone.
PATIENCE_S = 120

IMAGE = """<?xml version="1.0" encoding="UTF-8"?>
<vhi xmlns="urn:nuraghe:image:1" name="tiny" version="1">
  <system type="none" name="tiny" version="1" architecture="x86_64"/>
  <boot kernel="tiny.elf"/>
  <configuration min-memory="4MiB" ready="console:READY"/>
  <initial-conditions kind="cold"/>
</vhi>
"""

CONFIGURATION = """<configuration xmlns="urn:nuraghe:node:1">
  <image name="{image}"/><cpus>{cpus}</cpus><memory>{memory}</memory>
</configuration>"""


def blueprint(name, workers, head=True, cpus=1, memory="16MiB", image="tiny", on_failure="undo", policy="spread"):
    """A cluster of a head and workers on one network."""
    configuration = CONFIGURATION.format(image=image, cpus=cpus, memory=memory)
    nodes = '<node name="head" role="head"/>' if head else ""
    if workers:
        nodes += f'<node name="worker" role="worker" count="{workers}"/>'
    return (f'<cluster xmlns="urn:nuraghe:cluster:1" name="{name}" on-failure="{on_failure}">'
            f"<defaults>{configuration}</defaults><network name=\"private\" uplink=\"none\"/>{nodes}"
            f'<placement policy="{policy}"/></cluster>')


class Fault(Exception):
    """A SOAP fault, or another refusal by HTTP."""

    def __init__(self, status, code, text, sender=False, name=""):
        super().__init__(f"{status} {code}: {text}")
        self.status, self.code, self.text = status, code, text
        self.name = name  # of the detail's element, or of the fault code
        self.sender = sender  # the faultcode is Client: who asked is to blame


class Died(Exception):
    """nuraghed ended instead of answering."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        # A socket's name has 107 characters at most: named through the folder's descriptor.
        folder = os.open(os.path.dirname(self.path), os.O_PATH)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(self.path)}")
        finally:
            os.close(folder)


def local(element):
    return element.tag.rsplit("}", 1)[-1]


def local_word(text):
    return text.rsplit(":", 1)[-1]


def child(element, name):
    """The text of a child element, whatever its namespace; None when it is not there."""
    for one in element:
        if local(one) == name:
            return one.text or ""
    return None


def children(element, name):
    return [one for one in element if local(one) == name]


def soap_envelope(service, operation, inner="", message_id="", namespace=""):
    namespace = namespace or f"urn:nuraghe:{service}:1"
    header = (f'<wsa:MessageID xmlns:wsa="{WSA}">{message_id}</wsa:MessageID>'
              f'<wsa:Action xmlns:wsa="{WSA}">{namespace}:{operation}</wsa:Action>') if message_id else ""
    return (f'<s:Envelope xmlns:s="{SOAP}"><s:Header>{header}</s:Header><s:Body>'
            f'<x:{operation} xmlns:x="{namespace}">{inner}</x:{operation}></s:Body></s:Envelope>')


def scratch_base():
    """Commits need no disk here: memory when there is some."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class World:
    """One state folder and the nuraghed that works on it. Use as a context manager: it leaves nothing behind."""

    def __init__(self, programs, controllers=("a:driver=sim,cpus=64,memory=64GiB", "b:driver=sim,cpus=64,memory=64GiB"),
                 options=(), folder=None):
        self.programs = os.path.abspath(programs)
        self.controllers = list(controllers)
        self.options = list(options)
        self.folder = folder or tempfile.mkdtemp(prefix="nuraghe-sim.", dir=scratch_base())
        self.state = os.path.join(self.folder, "s")
        self.process = None
        self.renewal = "1h"  # how often its controllers ask what is new
        self.banner = ""  # what it said when it served
        self.logs = []

    def set_up(self):
        """What is there when the World is entered. Should it fail, nothing of it stays."""

    def __enter__(self):
        try:
            self.set_up()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.kill()
        if kind is not None:
            print("--- what nuraghed said last:\n" + "\n".join(self.log().splitlines()[-15:]), flush=True)
        shutil.rmtree(self.folder)

    def copy(self):
        """A World in the same state. This one must be stopped."""
        assert self.process is None
        folder = tempfile.mkdtemp(prefix="nuraghe-sim.", dir=scratch_base())
        shutil.copytree(self.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("nuraghed.sock", "*.log"))
        return World(self.programs, self.controllers, self.options, folder)

    # ---- the daemon ----
    def start(self, *options, expect_death=False):
        """Starts nuraghed and returns when it serves. False when it ended before, which must be expected."""
        assert self.process is None
        argv = [os.path.join(self.programs, "nuraghed"), "--state", "s", "--renewal", self.renewal]
        for controller in self.controllers:
            argv += ["--vhc", controller]
        argv += self.options + list(options)
        log = open(os.path.join(self.folder, "nuraghed.log"), "a", encoding="utf-8")
        self.process = subprocess.Popen(argv, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True,
                                        stdin=subprocess.DEVNULL)
        log.close()
        line = self.banner = self.process.stdout.readline()
        if " serves on " in line:
            return True
        self.ended()
        if expect_death:
            return False
        raise Died("nuraghed did not start: " + self.log())

    def ended(self):
        """Waits for its end; returns its exit code and what it printed."""
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        code, self.process = self.process.returncode, None
        return code, output

    def stop(self):
        """Asks it to end; returns its exit code (-9: it was killed meanwhile) and what it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.ended()

    def log(self):
        try:
            with open(os.path.join(self.folder, "nuraghed.log"), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    # ---- doors ----
    def token(self):
        with open(os.path.join(self.state, "token"), encoding="utf-8") as file:
            return [line for line in file if not line.startswith("#")][0].split()[-1]

    def http(self, method, path, body=None, headers=None, timeout=PATIENCE_S, token=""):
        """token: None = without one, "" = the right one. Returns status and body."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = "Bearer " + (token or self.token())
        connection = UnixConnection(os.path.join(self.state, "nuraghed.sock"), timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        except (ConnectionError, http.client.HTTPException, FileNotFoundError) as error:
            raise Died(str(error)) from error
        finally:
            connection.close()

    def soap(self, service, operation, inner="", message_id="", namespace="", **options):
        """Calls an operation; `inner` uses the prefix x for the service's namespace. Returns the response element."""
        envelope = soap_envelope(service, operation, inner, message_id, namespace)
        return self.soap_text(service, envelope, **options)

    def soap_text(self, service, envelope, **options):
        status, body, _ = self.http("POST", f"/services/{service}", envelope.encode(), {"Content-Type": "text/xml"},
                                    **options)
        return parse_answer(status, body)

    def cli(self, *arguments, check=0, timeout=PATIENCE_S):
        """Runs nuraghe; `check` is the exit code that it must have (None: any)."""
        done = subprocess.run([os.path.join(self.programs, "nuraghe"), "--state", "s", *arguments], cwd=self.folder,
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if check is not None and done.returncode != check:
            raise AssertionError(f"nuraghe {' '.join(arguments)}: exit code {done.returncode}, not {check}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments, check=0):
        return json.loads(self.cli("-o", "json", *arguments, check=check).stdout)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return name

    def own_workflows(self):
        """A copy of the workflows that this World's nuraghed uses from its next start on; returns the folder."""
        folder = os.path.join(self.folder, "workflows")
        shutil.copytree(os.path.join(self.programs, "../workflows"), folder)
        self.options += ["--workflows", folder]
        return folder

    def edit(self, path, old, new):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert old in text, f"{path} has no {old}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    def import_image(self, name="tiny"):
        self.write("image/vhi.xml", IMAGE.replace('name="tiny" version="1">', f'name="{name}" version="1">'))
        self.write("image/tiny.elf", "")
        self.cli("image", "import", "image")

    # ---- waiting ----
    def events(self, after=0, wait="0s"):
        _, body, headers = self.http("GET", f"/events?after={after}&wait={wait}&limit=1000")
        return [json.loads(line) for line in body.decode().splitlines()], int(headers["Nuraghe-Next"])

    def until(self, condition, what):
        """Waits for events of nuraghed until the condition holds; some things make no event, so not for long each."""
        deadline = time.monotonic() + PATIENCE_S
        after, wait = 0, 5
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError("waited in vain until " + what)
            events, after = self.events(after, f"{wait}ms")
            wait = 5 if events else min(wait * 2, 500)

    def running_workflows(self):
        answer = self.soap("workflow", "list_instances",
                           "<x:running_only>true</x:running_only><x:limit>1000</x:limit>")
        return [child(instance, "process") for instance in children(answer, "instance")]

    def until_quiet(self):
        """Until no workflow runs and nothing is left to be sent, run or answered."""
        try:
            self.until(lambda: not self.running_workflows() and not self.unfinished(), "nothing was at work")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.running_workflows()} {self.unfinished()}") from None

    # ---- what is stored ----
    def databases(self):
        return [os.path.join(self.state, "control.db")] + sorted(glob.glob(os.path.join(self.state, "vhc/*/vhc.db")))

    def unfinished(self):
        """Rows of exchanges that say that something is to be done: messages, jobs, requests without an answer."""
        found = []
        for path in self.databases():
            name = os.path.basename(os.path.dirname(path)) if path.endswith("vhc.db") else "control"
            for table in ("exchange_outbox", "exchange_jobs"):
                for key, _ in rows(path, table):
                    found.append(f"{name} {table} {key!r}")
            for key, value in rows(path, "exchange_inbox"):
                if 7 not in record(value):
                    found.append(f"{name} exchange_inbox {key!r}")
        return found

    def table(self, name):
        return rows(os.path.join(self.state, "control.db"), name)

    def driver_hosts(self):
        """What the simulated hypervisors have: host id → (controller, state), without those that are destroyed."""
        found = {}
        for path in glob.glob(os.path.join(self.state, "vhc/*/hosts/hosts/*")):
            with open(path, "rb") as file:
                state = number(record(file.read()).get(2, [b"\0"])[0])
            if state != 5:
                found[os.path.basename(path)] = (path.split("/")[-4], STATES[state])
        return found


STATES = ["initial", "running", "paused", "frozen", "migrating", "destroyed"]


def clean_up_when_asked_to_end():
    """SIGTERM ends a test as an exception does: its Worlds are removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def parse_answer(status, body):
    if status == 202:
        return None
    try:
        envelope = ET.fromstring(body)
    except ET.ParseError:
        raise Fault(status, "", body.decode(errors="replace")) from None
    content = envelope.find(f"{{{SOAP}}}Body")[0]
    if content.tag != f"{{{SOAP}}}Fault":
        assert status == 200, status
        return content
    # The first is of the fault itself; those of its causes stand below.
    detail = next((one for one in content.iter() if one.find(f"{{{BASE_FAULT}}}ErrorCode") is not None), None)
    code = detail.findtext(f"{{{BASE_FAULT}}}ErrorCode", "") if detail is not None else ""
    text = detail.findtext(f"{{{BASE_FAULT}}}Description", "") if detail is not None else child(content, "faultstring")
    name = local(detail) if detail is not None else local_word(child(content, "faultcode") or "")
    raise Fault(status, code, text, (child(content, "faultcode") or "").endswith(":Client"), name)


# ---- the store's files (docs/formats/exchange.md, docs/formats/record.md) ----
def rows(path, table):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE_S)
    try:
        while True:
            connection.execute("BEGIN")
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "t_" + table not in names:
                return []
            found = dict(connection.execute(f"SELECT * FROM t_{table}"))
            (applied,) = connection.execute("SELECT value FROM meta WHERE name = 'applied'").fetchone()
            before = parts(path)
            # What was read is whole unless a file was begun anew meanwhile.
            if [part[:64] for part in parts(path)] == [part[:64] for part in before]:
                break
            connection.execute("ROLLBACK")
        for piece in journal_records(before, applied):
            for key, value in journal_changes(piece, table):
                found.pop(key, None)
                if value is not None:
                    found[key] = value
        return sorted(found.items())
    finally:
        connection.close()


def parts(path):
    """The journal's files."""
    found = []
    for number in (0, 1):
        with open(f"{path}-log{number}", "rb") as file:
            found.append(file.read())
    return found


def journal_records(files, applied):
    """The changes of each record behind the number `applied` (docs/formats/store.md). A living process wrote them, so only
    each file's last one can be half there."""
    found = {}
    for data in files:
        at, salt, first, sums = 0, None, None, None
        chain = []
        while at + 64 <= len(data):
            magic, size, span, its_salt, its_first, last, _, low, high = struct.unpack_from("<IIQQQQQQQ", data, at)
            if magic != 0x4A52554E or (salt is not None and (its_salt, its_first) != (salt, first)):
                break
            sums = (its_salt, its_first) if salt is None else sums
            chain.append((its_first, last, data[at:at + 64 + size], sums, (low, high)))
            at, salt, first, sums = at + span, its_salt, last + 1, (low, high)
        if chain and checksum(chain[-1][3], chain[-1][2][:48] + chain[-1][2][64:]) != chain[-1][4]:
            chain.pop()
        found.update({first: record[64:] for first, last, record, _, _ in chain if last > applied})
    return [found[first] for first in sorted(found)]


def checksum(sums, data):
    low, high = sums
    data += b"\0" * (-len(data) % 16)
    for one, other in struct.iter_unpack("<QQ", data):
        low = (low + one + high) & 0xFFFFFFFFFFFFFFFF
        high = (high + other + low) & 0xFFFFFFFFFFFFFFFF
    return low, high


def journal_changes(piece, table):
    """(key, value or None) of a piece of the store's journal (docs/formats/store.md)."""
    at = 0

    def number():
        nonlocal at
        at += 4
        return int.from_bytes(piece[at - 4:at], "little")

    def text(size):
        nonlocal at
        at += size
        return piece[at - size:at]

    while at < len(piece):
        name = text(number()).decode()
        for _ in range(number()):
            key = text(number())
            size = number()
            value = text(size - 1) if size else None
            if name == table:
                yield key, value


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def record(data):
    """Field number → list of values as bytes; a number stays its zig-zag varint."""
    data, at, fields = bytes(data), 0, {}
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 3 == 0:
            begin = at
            _, at = varint(data, at)
            value = data[begin:at]
        else:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        fields.setdefault(tag >> 2, []).append(value)
    return fields


def number(value):
    value, _ = varint(value, 0)
    return (value >> 1) ^ -(value & 1)
