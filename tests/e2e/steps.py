"""The way of a person through Nuraghe, step by step, each claim checked: what `tools/demo` shows and `tests/e2e/run` varies.

A World is one nuraghed with its state folder, driven by the programs as a person drives them. Every wait is for an event (a
line, an answer, an end) and bounded; the bounds are many times what a quiet machine needs. A claim that does not hold raises
Failure with the sentence that says so. World.close() leaves nothing running, whatever happened before.
"""
import glob
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import isolation

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 600  # seconds that any one command may take; most take one


class Failure(Exception):
    """A claim that does not hold."""


def check(holds, what: str) -> None:
    if not holds:
        raise Failure(what)


def pick_up_signals() -> None:
    """SIGINT and SIGTERM end the run by way of its cleaning up; a second one does not disturb that."""
    def stop(number, _frame):
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(which, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number).name)
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, stop)


class Report:
    """Headings and times on standard output."""

    def __init__(self):
        self.begin = time.monotonic()
        self.step_begin = self.begin
        self.times = []
        self.title = ""
        self.bold, self.dim, self.plain = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")

    def heading(self, title: str) -> None:
        self.end_step()
        self.title, self.step_begin = title, time.monotonic()
        print(f"\n{self.bold}== {title}{self.plain}", flush=True)

    def end_step(self) -> None:
        if self.title:
            seconds = time.monotonic() - self.step_begin
            self.times.append((self.title, seconds))
            print(f"{self.dim}   {seconds:.1f} s{self.plain}", flush=True)
        self.title = ""

    def holds(self, what: str) -> None:
        print(f"   ok  {what}", flush=True)

    def total(self) -> float:
        return time.monotonic() - self.begin


class Processes:
    """Who runs on this machine, read from /proc."""

    @staticmethod
    def with_text(text: str) -> dict:
        """pid → command line, of every process of any user that names `text` in its arguments or environment."""
        found = {}
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    command = file.read()
            except OSError:
                continue  # gone meanwhile
            if text.encode() in command:
                found[int(name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    @staticmethod
    def wait_for_end(pid: int, seconds: float) -> bool:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        with os.fdopen(handle) as fd:
            return bool(select.select([fd], [], [], max(0.0, seconds))[0])


def is_qemu(command: str) -> bool:
    return os.path.basename(command.split()[0]).startswith("qemu-system")


class World:
    """One nuraghed with two physical hosts, in a folder of its own that close() removes."""

    def __init__(self, build: str, report: Report, controllers=None, options=()):
        self.programs = os.path.join(os.path.abspath(build), "bin")
        check(os.access(f"{self.programs}/nuraghed", os.X_OK), f"{self.programs}/nuraghed is not there: make build")
        self.report = report
        # UNIX sockets' paths hold 108 bytes: the folder's own is short.
        self.folder = tempfile.mkdtemp(prefix="nu", dir="/tmp")  # mode 0700
        self.state = self.folder + "/s"
        self.controllers = controllers or ["host-1:cpus=3,memory=1GiB,disk=10GiB", "host-2:cpus=3,memory=1GiB,disk=10GiB"]
        self.options = list(options)
        self.daemon = None
        self.reader = None
        self.log = []
        self.lines = threading.Condition()
        self.host_ids = set()
        self.snapshot = None

    # ---- nuraghed

    def start_daemon(self, seconds: float = 180) -> None:
        command = [f"{self.programs}/nuraghed", "--state", self.state, *self.options]
        for controller in self.controllers:
            command += ["--vhc", controller]
        # A session of its own: Ctrl-C at the terminal is ours to handle.
        self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True, errors="replace", start_new_session=True)
        begin = len(self.log)
        self.reader = threading.Thread(target=self._read_log, args=(self.daemon.stdout,), daemon=True)
        self.reader.start()
        line = self.wait_for_log(lambda text: "nuraghed serves on" in text or text == "", begin, seconds)
        check(line, "nuraghed did not start:\n" + "".join(self.log[begin:][-20:]))

    def _read_log(self, stream) -> None:
        for line in stream:
            with self.lines:
                self.log.append(line)
                self.lines.notify_all()
        with self.lines:
            self.log.append("")  # the end
            self.lines.notify_all()

    def wait_for_log(self, wanted, begin: int, seconds: float) -> str:
        """The first line of nuraghed from `begin` on that is wanted; fails when none comes in time."""
        until = time.monotonic() + seconds
        with self.lines:
            at = begin
            while True:
                while at < len(self.log):
                    if wanted(self.log[at]):
                        return self.log[at]
                    at += 1
                check(self.lines.wait(max(0.0, until - time.monotonic())),
                      f"nuraghed did not say in {seconds:.0f} s what was waited for; its last lines:\n" +
                      "".join(self.log[-20:]))

    def accelerator(self) -> str:
        for line in self.log:
            found = re.search(r'controller is open.*accelerator=(\S+)(?: reason=(?:"([^"]*)"|(\S+)))?', line)
            if found:
                reason = found[2] or found[3] or ""
                return f"{reason}: {found[1].upper()}" if reason else found[1].upper()
        return "unknown"

    def _daemon_ended(self) -> None:
        self.reader.join(60)  # what it said last
        check(not self.reader.is_alive(), "another process holds nuraghed's output open after its end")
        self.daemon.stdout.close()
        self.daemon = None

    def stop_daemon(self, seconds: float = 120) -> None:
        self.daemon.terminate()
        try:
            code = self.daemon.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"nuraghed did not end within {seconds:.0f} s of SIGTERM") from None
        check(code == 0, f"nuraghed ended with exit code {code}:\n" + "".join(self.log[-20:]))
        self._daemon_ended()

    def kill_daemon(self) -> None:
        self.daemon.kill()
        self.daemon.wait()
        self._daemon_ended()

    # ---- the command line

    def command(self, *arguments: str) -> list:
        return [f"{self.programs}/nuraghe", "--state", self.state, "--timeout", f"{PATIENCE}s", *arguments]

    def show(self, *arguments: str) -> None:
        """Runs `nuraghe ARGUMENTS` before the eyes of the user: its output is passed through. Fails when it fails."""
        self._say(arguments)
        try:
            code = subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, timeout=PATIENCE).returncode
        except subprocess.TimeoutExpired:
            raise Failure(f"nuraghe {shlex.join(arguments)} did not end within {PATIENCE} s") from None
        check(code == 0, f"nuraghe {shlex.join(arguments)} ended with exit code {code}")

    def run(self, *arguments: str, visible: bool = False, code: int | None = 0) -> str:
        """Output of `nuraghe ARGUMENTS`; printed too when visible. Fails on another exit code than `code` (None: any)."""
        if visible:
            self._say(arguments)
        try:
            done = subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, errors="replace", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"nuraghe {shlex.join(arguments)} did not end within {PATIENCE} s") from None
        if visible:
            print(done.stdout + done.stderr, end="", flush=True)
        check(code is None or done.returncode == code,
              f"nuraghe {shlex.join(arguments)} ended with exit code {done.returncode}, not {code}:\n"
              f"{done.stdout}{done.stderr}")
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *arguments: str):
        text = self.run("-o", "json", *arguments)
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise Failure(f"nuraghe -o json {shlex.join(arguments)} does not print JSON ({error}): {text[:300]}") from None

    def guest(self, host: str, script: str, visible: bool = False) -> str:
        """Output of a shell script in a guest."""
        return self.run("exec", host, script, visible=visible)

    def _say(self, arguments) -> None:
        words = shlex.join(arguments).replace(SOURCE + "/", "")
        print(f"{self.report.bold}$ nuraghe {words}{self.report.plain}", flush=True)

    # ---- what is there

    def cluster(self, name: str) -> dict:
        shown = self.json("show", name)
        self.host_ids.update(member["host"] for member in shown["members"])
        return shown

    def reserved(self) -> dict:
        """Sum of what is reserved on all physical hosts."""
        hosts = self.json("host", "ls")
        return {what: sum(host["reserved"][what] for host in hosts) for what in ("cpus", "memory", "disk")}

    def processes(self) -> dict:
        """Those that name the state folder, save nuraghed itself and our own commands."""
        own = {self.daemon.pid} if self.daemon else set()
        return {pid: command for pid, command in Processes.with_text(self.state).items() if pid not in own}

    def qemus(self) -> dict:
        """Virtual machines: QEMU and the shims that hold them."""
        return {pid: command for pid, command in self.processes().items()
                if is_qemu(command) or "nuraghe-shim" in command.split()[0]}

    def shared_memory(self) -> list:
        """What lies in /dev/shm of ours: files and folders that carry one of our ids."""
        ids = set(self.host_ids)
        for controller in self.controllers:
            path = f"{self.state}/vhc/{controller.split(':')[0]}/hosts/instance"
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    ids.update(re.findall(r"[a-z0-9]{16,}", file.read()))
        return [os.path.join(folder, name) for folder, folders, files in os.walk("/dev/shm") for name in folders + files
                if any(one in os.path.join(folder, name) for one in ids)]

    def files_of_hosts(self) -> list:
        """What is left in the state folder that belongs to a virtual host or to a network."""
        found = []
        for folder, folders, files in os.walk(self.state + "/vhc"):
            for name in folders + files:
                path = os.path.join(folder, name)
                if any(one in path for one in self.host_ids) or "/switch/" in path or name.startswith("vh-"):
                    found.append(path)
        return sorted(found)

    # ---- before and after

    def take_snapshot(self) -> None:
        self.snapshot = self.folder + "/before.json"
        done = subprocess.run([f"{SOURCE}/tools/snapshot", "take", self.snapshot, self.folder], timeout=PATIENCE)
        check(done.returncode == 0, "tools/snapshot take failed")

    def compare_snapshot(self, patience: float) -> list:
        """What there is now and was not at take_snapshot, of ours and of others."""
        done = subprocess.run([f"{SOURCE}/tools/snapshot", "compare", "--patience", str(patience), self.snapshot, self.folder],
                              stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
        check(done.returncode in (0, 1), "tools/snapshot compare failed")
        return [line for line in done.stdout.splitlines() if line and line != f"files: file {self.snapshot}"]

    # ---- the end

    def close(self) -> None:
        """Ends whatever runs and removes the folder: clusters by nuraghe destroy, the rest by force."""
        if self.daemon and self.daemon.poll() is None and os.path.exists(f"{self.state}/nuraghed.sock"):
            self._destroy_all()
        if self.daemon:
            self.daemon.terminate()
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None
        for _ in range(5):  # a shim may be about to start its QEMU
            left = Processes.with_text(self.folder)
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            for pid in left:
                Processes.wait_for_end(pid, 10)
            if not left:
                break
        for path in sorted(self.shared_memory(), reverse=True):
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.path.exists(path) and os.unlink(path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _destroy_all(self) -> None:
        def quietly(*arguments):
            done = subprocess.run([f"{self.programs}/nuraghe", "--state", self.state, "--timeout", "60s", *arguments],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
            return done.stdout if done.returncode == 0 else ""
        try:
            for cluster in json.loads(quietly("-o", "json", "ls") or "[]"):
                quietly("destroy", "--yes", cluster["id"])
            for host in json.loads(quietly("-o", "json", "vh", "ls") or "[]"):
                self.host_ids.add(host["id"])
                if not host["cluster"]:
                    quietly("vh", "destroy", host["id"])
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            pass  # by force, then


# ==== the steps

def build_image(report: Report, name: str) -> str:
    """Step 1: the guest image, from packages or from the cache; its folder."""
    begin = time.monotonic()
    done = subprocess.run([f"{SOURCE}/images/build", name], stdout=subprocess.PIPE, text=True, timeout=1800)
    check(done.returncode == 0 and done.stdout.strip(), f"images/build {name} failed with exit code {done.returncode}")
    folder = done.stdout.strip().splitlines()[-1]
    size = sum(os.path.getsize(os.path.join(folder, file)) for file in os.listdir(folder))
    report.holds(f"image {name}: {folder}, {size / 1e6:.0f} MB, {time.monotonic() - begin:.1f} s")
    return folder


def start(world: World, image: str) -> None:
    """Step 2: nuraghed with its physical hosts, and the image in its repository. The doors are closed to strangers."""
    world.take_snapshot()
    world.start_daemon()
    world.report.holds(f"nuraghed runs; virtual hosts run by: {world.accelerator()}")
    mode = os.stat(world.state + "/token").st_mode & 0o777
    check(mode == 0o600, f"the token file has mode {mode:o}, not 600")
    check_doors(world)
    world.show("image", "import", image)
    hosts = world.json("host", "ls")
    wanted = sorted(controller.split(":")[0] for controller in world.controllers)
    check(sorted(host["name"] for host in hosts if host["alive"]) == wanted, f"not all of {wanted} are alive: {hosts}")
    world.show("host", "ls")


def check_doors(world: World) -> None:
    """Without the token no service answers, not even on loopback."""
    import http.client
    with open(world.state + "/port", encoding="ascii") as file:
        port = int(file.read())
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/services/vcf", "<x/>", {"Content-Type": "text/xml", **headers})
        status = connection.getresponse().status
        connection.close()
        check(status == 401, f"a request with {headers or 'no token'} is answered {status}, not 401")
    world.report.holds("token file mode 0600; requests without the token are refused (401)")


def create(world: World, blueprint: str, name: str, hosts: int) -> dict:
    """Step 3: the cluster runs, over all physical hosts."""
    world.show("create", blueprint)
    cluster = world.cluster(name)
    check(cluster["state"] == "running", f"cluster {name} is {cluster['state']}, not running: {cluster['condition']}")
    members = cluster["members"]
    check(len(members) == hosts, f"cluster {name} has {len(members)} hosts, not {hosts}")
    check(all(member["state"] == "running" for member in members), f"not every host runs: {members}")
    used = {member["physical_host"] for member in members}
    wanted = {controller.split(":")[0] for controller in world.controllers}
    check(used == wanted, f"the hosts are on {sorted(used)}, not on all of {sorted(wanted)}")
    # What the later steps see nothing of must be seen here, or they would prove nothing.
    qemus = [command for command in world.qemus().values() if is_qemu(command)]
    check(len(qemus) == hosts, f"{len(qemus)} QEMU processes are seen, not {hosts}")
    check(len(world.shared_memory()) >= hosts, f"in /dev/shm is seen only {world.shared_memory()}")
    check(len(world.files_of_hosts()) >= hosts, "no files of hosts are seen")
    world.report.holds(f"{len(members)} hosts run, over {' and '.join(sorted(used))}")
    return cluster


def parallel_job(world: World, name: str, head: str, members: list) -> None:
    """Step 4: one rank on every host, over the cluster's own network."""
    text = world.guest(f"{name}/{head}", "mpirun pi", visible=True)
    ranks = re.findall(r"^rank \d+ of (\d+) on (\S+)$", text, re.M)
    names = {host for _, host in ranks}
    wanted = {member["name"] for member in members}
    check(names == wanted and len(ranks) >= len(wanted), f"the ranks ran on {sorted(names)}, not on {sorted(wanted)}")
    found = re.search(r"pi = ([0-9.]+)", text)
    check(found and abs(float(found[1]) - 3.14159265359) < 1e-9, f"pi is wrong: {text!r}")
    world.report.holds(f"{len(ranks)} ranks on {len(names)} distinct hosts")


COUNTER = ("setsid sh -c 'echo $$ >/run/counter; i=0; while :; do i=$((i+1)); echo $i >/run/count.new; "
           "mv /run/count.new /run/count; sleep 1; done' >/dev/null 2>&1 </dev/null &")
# Ends when the count is above $1; in the guest, where the file is.
COUNT_ABOVE = "until [ \"$(cat /run/count 2>/dev/null || echo 0)\" -gt {0} ]; do sleep 1; done; cat /run/count"


def start_counter(world: World, host: str) -> int:
    world.guest(host, COUNTER)
    return int(world.guest(host, COUNT_ABOVE.format(2)))


def identity_of(world: World, host: str) -> dict:
    """What a restart would change."""
    boot, up = world.guest(host, "cat /proc/sys/kernel/random/boot_id /proc/uptime").split("\n")[:2]
    return {"boot": boot, "uptime": float(up.split()[0])}


def freeze(world: World, name: str) -> None:
    """Step 5, first half: the cluster is in files; nothing of it runs or is reserved."""
    world.show("freeze", name)
    check(world.cluster(name)["state"] == "frozen", f"cluster {name} is not frozen")
    left = world.qemus()
    check(not left, "processes of frozen hosts are left:\n" + "\n".join(left.values()))
    left = world.shared_memory()
    check(not left, f"memory of frozen hosts is left: {left}")
    reserved = world.reserved()
    check(reserved["cpus"] == 0 and reserved["memory"] == 0, f"reserved while frozen: {reserved}")
    world.show("host", "ls")
    world.report.holds("no QEMU process under any user, nothing in /dev/shm, 0 CPUs and 0 bytes of memory reserved")


RANDOM = "head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'"


def copy(world: World, name: str, worker: str, count: int, job: str, unaware: tuple) -> None:
    """Two copies of the frozen cluster, one after the other: each goes on where that was frozen, with chances of its own, but
    for hosts whose machines have no VMGenID: what the agent stirs in is used by their kernels within a minute."""
    seen = []
    for twin in (f"{name}-2", f"{name}-3"):
        world.show("fork", name, twin)
        check(world.cluster(name)["state"] == "frozen", "the source of a copy was thawed")
        now = int(world.guest(f"{twin}/{worker}", COUNT_ABOVE.format(count)))
        check(world.guest(f"{twin}/{worker}", "cat /run/counter").strip() == job, "the counting job was started anew")
        seen += [world.guest(f"{twin}/{member['name']}", RANDOM) for member in world.cluster(twin)["members"]
                 if member["name"] not in unaware]
        reach_each_other(world, twin, world.cluster(twin)["members"])
        world.run("destroy", twin, "--yes")
    check(len(set(seen)) == len(seen) and all(len(one) == 64 for one in seen), f"copies give out equal random numbers: {seen}")
    world.report.holds(f"two copies counted on to {now} and more, by the same process {job}, each with random numbers of its own")


def freeze_and_thaw(world: World, name: str, worker: str, members: list, frozen_for: float = 0,
                    unaware: tuple = ()) -> None:
    """Step 5: a job on a worker, uptime and network go on where they were; `frozen_for` seconds at least lie between."""
    hosts = [f"{name}/{member['name']}" for member in members]
    count = start_counter(world, f"{name}/{worker}")
    job = world.guest(f"{name}/{worker}", "cat /run/counter").strip()
    before = {host: identity_of(world, host) for host in hosts}
    world.report.holds(f"a job counts on {worker}: {count}")
    begin = time.monotonic()
    freeze(world, name)
    copy(world, name, worker, count, job, unaware)
    time.sleep(max(0.0, frozen_for - (time.monotonic() - begin)))  # the passing of time is what is tested
    world.show("thaw", name)
    check(world.cluster(name)["state"] == "running", f"cluster {name} does not run again")
    now = int(world.guest(f"{name}/{worker}", COUNT_ABOVE.format(count)))
    check(now > count, f"the count did not go on: {count} before, {now} after")
    check(world.guest(f"{name}/{worker}", "cat /run/counter").strip() == job, "the counting job was started anew")
    world.guest(f"{name}/{worker}", f"kill -0 {job}")
    world.report.holds(f"the count went on: {count} before, {now} after, by the same process {job}")
    for host in hosts:
        after = identity_of(world, host)
        check(after["boot"] == before[host]["boot"], f"{host} was booted anew")
        check(after["uptime"] >= before[host]["uptime"],
              f"uptime of {host} went back: {before[host]['uptime']} s before, {after['uptime']} s after")
    world.report.holds("no host was booted anew, every uptime went on")
    reach_each_other(world, name, members)


def reach_each_other(world: World, name: str, members: list) -> None:
    names = [member["name"] for member in members]
    for member in names:
        others = " ".join(other for other in names if other != member)
        world.guest(f"{name}/{member}", f"for h in {others}; do ping -c 1 -W 60 $h >/dev/null || {{ echo $h; exit 1; }}; done")
    world.report.holds(f"all {len(names)} hosts reach each other by name")


def destroy(world: World, name: str) -> None:
    """Step 6, first half: nothing of the cluster is left while nuraghed still runs."""
    world.show("destroy", name, "--yes")
    world.run("show", name, code=None)
    check_empty(world)


def check_empty(world: World) -> None:
    check(world.json("ls") == [], "a cluster is still listed")
    check(world.json("vh", "ls") == [], "a virtual host is still listed")
    reserved = world.reserved()
    check(not any(reserved.values()), f"still reserved: {reserved}")
    left = world.processes()
    check(not left, "processes are left:\n" + "\n".join(left.values()))
    left = world.shared_memory()
    check(not left, f"in /dev/shm are left: {left}")
    left = world.files_of_hosts()
    check(not left, "files are left:\n" + "\n".join(left))
    world.report.holds("no host, reservation, process, switch, file or memory of it is left; nuraghed still runs")


def nothing_remains(world: World, is_isolated: bool) -> None:
    """Step 6, second half: nuraghed ended, the machine is as before."""
    world.stop_daemon()
    left = world.processes()
    check(not left, "processes outlive nuraghed:\n" + "\n".join(left.values()))
    kept = sorted(os.listdir(world.state))
    shutil.rmtree(world.state)
    print(f"   nuraghed has ended; its state folder held {', '.join(kept)} and is removed", flush=True)
    # Of ours no process is left, as was seen; on a shared machine there is always somebody else's.
    new = world.compare_snapshot(60 if is_isolated else 2)
    ours = [line for line in new if is_isolated or is_ours(world, line)]
    check(not ours, "there is now what was not there before:\n" + "\n".join(ours))
    others = len(new) - len(ours)
    world.report.holds("processes, sockets, links, namespaces, mounts and files are as before" +
                       (f" ({others} new ones of others)" if others else ""))


def remove_inputs(world: World) -> None:
    """What a test itself wrote beside the state folder."""
    for name in os.listdir(world.folder):
        path = f"{world.folder}/{name}"
        if path not in (world.state, world.snapshot):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def is_ours(world: World, line: str) -> bool:
    """Whether a line of tools/snapshot can be of this run, on a machine where others start programs as well."""
    kind = line.split(":", 1)[0]
    if kind in ("links", "namespaces", "mounts"):
        return True
    # Processes of ours, which would hold the sockets that no file names, were looked for by the state folder.
    names = [world.folder, *world.host_ids]
    return any(name in line for name in names)


# ==== a whole run

def main(build: str, is_shared: bool, body, controllers=None, options=()) -> int:
    """Runs body(world, why it is not isolated or "") in a World that is closed afterwards, whatever happens; the exit code."""
    why_shared = "asked to" if is_shared else isolation.enter()
    pick_up_signals()
    report = Report()
    world = None
    try:
        world = World(build, report, controllers, options)
        print(f"in the machine's namespaces ({why_shared})" if why_shared else "in namespaces of its own", flush=True)
        body(world, why_shared)
        report.end_step()
    except Failure as failure:
        where = f" in '{report.title}'" if report.title else ""
        print(f"\nFAILED after {report.total():.1f} s{where}: {failure}", flush=True)
        if world:
            print("\nnuraghed's last lines:\n" + "".join(world.log[-30:]), flush=True)
            for console in sorted(glob.glob(world.folder + "/s/vhc/*/hosts/hosts/*/console.log")):
                with open(console, encoding="utf-8", errors="replace") as file:
                    print(f"\nthe last lines of {console}:\n" + "".join(file.readlines()[-15:]), flush=True)
        return 1
    except KeyboardInterrupt as stop:
        print(f"\nstopped by {stop or 'SIGINT'}: cleaning up", flush=True)
        return 130
    finally:
        if world:
            world.close()
    times = ", ".join(f"{title.split('.')[0]}: {seconds:.1f} s" for title, seconds in report.times)
    print(f"\n{report.bold}Everything held. Total {report.total():.1f} s ({times}){report.plain}", flush=True)
    return 0
