"""Programs that a benchmark starts: their ports, their CPU time, their end.

A program ends with the benchmark, also when that is killed.
"""
import contextlib
import ctypes
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TICK = 1 / os.sysconf("SC_CLK_TCK")
libc = ctypes.CDLL(None)


class Missing(Exception):
    """A peer cannot be measured; the text says why."""


def die_with_parent() -> None:
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def free_ports(count: int) -> list:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def await_port(port: int, process: subprocess.Popen, log: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise Missing(f"{pathlib.Path(process.args[0]).name} did not start: {tail(log)}")


def tail(log: str) -> str:
    lines = pathlib.Path(log).read_text(errors="replace").strip().splitlines() if os.path.exists(log) else []
    return " / ".join(lines[-3:])[:300]


def with_descendants(processes: list) -> dict:
    """Those and all that they started: clock ticks used so far, by process id."""
    children, used = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(fields[1]), []).append(int(entry))
        # utime, stime, and those of the children that were waited for
        used[int(entry)] = sum(int(field) for field in fields[11:15])
    open_, found = [process.pid for process in processes], {}
    while open_:
        pid = open_.pop()
        if pid in used:
            found[pid] = used[pid]
        open_ += children.get(pid, [])
    return found


def cpu_seconds(processes: list) -> float:
    """What the processes and all that they started have used so far."""
    return sum(with_descendants(processes).values()) * TICK


@contextlib.contextmanager
def standing_still(processes: list):
    """What another engine does beside, such as tidying up, is not to be measured: those and what they started are stopped."""
    stopped = list(with_descendants(processes))

    def send(what: int) -> None:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


def unprivileged() -> dict:
    """Arguments of Popen for a program that refuses to run as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def next_line(process: subprocess.Popen, seconds: float) -> str:
    """The next line of its standard output; empty at the end or when none comes in time."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline() if ready else ""


class Programs:
    """A folder of their own and the programs that run in it; a context manager that ends and removes all."""

    def __init__(self):
        self.folder, self.running = tempfile.mkdtemp(prefix="nb-"), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            process.send_signal(signal.SIGINT if process.gently else signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def give_away(self) -> dict:
        """Makes the folder the unprivileged user's; gives the arguments of Popen."""
        arguments = unprivileged()
        if arguments:
            os.chown(self.folder, arguments["user"], arguments["group"])
        return arguments

    def start(self, command: list, log: str = "", environment: dict = {}, gently: bool = False, **more) -> subprocess.Popen:
        """Standard error goes to the file `log` in the folder, standard output too unless it is asked for."""
        with open(f"{self.folder}/{log or pathlib.Path(command[0]).name}.log", "ab") as out:
            more.setdefault("stdout", out)
            process = subprocess.Popen(command, stderr=out, cwd=self.folder, env={**os.environ, **environment},
                                       preexec_fn=die_with_parent, **more)
        process.gently = gently
        self.running.append(process)
        return process

    def log(self, name: str) -> str:
        return f"{self.folder}/{name}.log"


class Peer:
    """An engine that runs while the `with` statement does. A subclass has NAME, start(), run(clients,
    seconds) and `measured`."""

    def __init__(self, load, seconds: float):
        """load(port, path, clients, seconds, body, expect, headers): runs a closed loop over HTTP."""
        self.load, self.seconds, self.programs, self.measured = load, seconds, Programs(), []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.programs.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.programs.__exit__()

    def measure(self, clients: int) -> dict:
        """answers, per_second, median_latency, cpu_each (seconds of all processes in `measured` and their children)."""
        self.run(clients, self.seconds / 5)  # warms up
        before = cpu_seconds(self.measured)
        done = self.run(clients, self.seconds)
        done["cpu_each"] = (cpu_seconds(self.measured) - before) / done["answers"]
        return done
