"""A process tree of its own: PID, network, mount and IPC namespaces, so that other processes of the machine neither disturb
what a run measures nor are disturbed by it, and whatever a run leaves behind ends with it.

Within: loopback is up, /proc is its own, /dev/shm is private, process 1 reaps. Needs root; without it, or where the machine
forbids namespaces, the run goes on in the machine's own.
"""
import ctypes
import os
import signal
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x08000000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments) -> None:
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _wait(child: int) -> int:
    """Reaps everything until `child` has ended; its exit code."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return _exit_code(status)


def _set_up() -> None:
    _mount("none", "/", "none", MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", 0)
    _mount("tmpfs", "/dev/shm", "tmpfs", 0)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _process_one(ready: int) -> None:
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        _set_up()
    except (OSError, subprocess.CalledProcessError) as error:
        os.write(ready, str(error).encode())
        os._exit(1)
    os.close(ready)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        return  # the run goes on here
    # The terminal's Ctrl-C reaches the run by itself; the outer process forwards what came to it alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _: os.kill(child, which))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    os._exit(_wait(child))  # ends every process that is left


def enter() -> str:
    """Goes on in namespaces of its own and answers "", or stays here and answers why. The caller's process waits outside
    and ends with the run's exit code. Call before any thread is made."""
    if os.geteuid() != 0:
        return "not run by root"
    sys.stdout.flush()
    sys.stderr.flush()
    report, ready = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(report)
        try:
            _call("unshare", CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)
        except OSError as error:
            os.write(ready, str(error).encode())
            os._exit(1)
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        one = os.fork()
        if one == 0:
            _process_one(ready)
            return ""
        os.close(ready)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda which, _: os.kill(one, which))
        os._exit(_wait(one))
    os.close(ready)
    reason = b""
    while chunk := os.read(report, 4096):
        reason += chunk
    os.close(report)
    if reason:
        os.waitpid(keeper, 0)
        return reason.decode()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _: os.kill(keeper, which))
    sys.exit(_wait(keeper))
