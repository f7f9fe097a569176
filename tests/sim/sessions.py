#!/usr/bin/python3
"""Open ssh sessions of a member who was removed are ended, and nobody else's: what nuraghed has a guest's agent run is run
beside a real OpenSSH server, where members are logged in with the certificates that nuraghed gave them.

  sessions.py PROGRAMS
"""
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from login import issue, new_key, set_keys  # noqa: E402
from tenants import create, field, Person  # noqa: E402
from world import child, clean_up_when_asked_to_end, IMAGE, PATIENCE_S, World  # noqa: E402


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """sshd among processes of its own, so that nobody else's sessions are there to be ended. Use as a context manager."""

    def __init__(self, folder, authorized):
        self.folder, self.port = folder, free_port()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(folder, "host")], check=True)
        files = {"authorized": "\n".join(authorized) + "\n", "sshd_config": f"""
Port {self.port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
ExposeAuthInfo yes
Subsystem sftp internal-sftp
Subsystem sftp-program /usr/lib/openssh/sftp-server
"""}
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)

    def __enter__(self):
        inside = "mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f \"$0\""
        self.process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", inside,
                                         os.path.join(self.folder, "sshd_config")], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if "Server listening" in line:
                return self
        raise AssertionError(f"sshd does not start: {self.said}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def run(self, argv):
        """As the guest's agent does: among the server's processes."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as file:
            inside = file.read().split()[0]
        subprocess.run(["nsenter", "-t", inside, "-p", "-m", *argv], check=True, timeout=PATIENCE_S)


class Session:
    """A log-in that says what it is told. Use as a context manager."""

    def __init__(self, server, key, certificate="", options=(), command="cat"):
        argv = ["ssh", "-F", "none", "-i", key, "-p", str(server.port), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", *options]
        if certificate:
            with open(key + "-shown.pub", "w", encoding="utf-8") as file:
                file.write(certificate + "\n")
            argv += ["-o", f"CertificateFile={key}-shown.pub"]
        self.process = subprocess.Popen([*argv, "root@127.0.0.1", *([command] if command else [])], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def answers(self):
        self.process.stdin.write("there?\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "there?\n"

    def hello(self):
        """Of an sftp session: SSH_FXP_INIT is answered by SSH_FXP_VERSION, each time."""
        self.process.stdin.buffer.write(b"\0\0\0\5\1\0\0\0\3")
        self.process.stdin.buffer.flush()
        size = int.from_bytes(self.process.stdout.buffer.read(4), "big")
        answer = self.process.stdout.buffer.read(size)
        assert answer[:1] == b"\2", answer

    def ended(self):
        return self.process.wait(timeout=PATIENCE_S)


def orders(world):
    """What agents of guests were to run: (host, argv)."""
    found = []
    for line in world.log().splitlines():
        told = re.search(r' sim: a guest is to run something host=(\S+) command="(.*)"$', line)
        if told:
            command = json.loads(re.sub(r"\\(.)", r"\1", told.group(2)))["arguments"]
            found.append((told.group(1), [command["path"], *command["arg"]]))
    return found


def logins(world):
    return {login for _, argv in orders(world) for login in argv[4:]}


def main():
    clean_up_when_asked_to_end()
    with World(sys.argv[1]) as world, contextlib.ExitStack() as stack:
        world.renewal = "1s"
        world.start()
        world.write("image/vhi.xml", IMAGE.replace('ready="console:READY"', 'ready="agent"'))
        world.write("image/tiny.elf", "")
        world.cli("vo", "create", "physics")
        world.cli("--vo", "physics", "image", "import", "image")
        olga, otto, rita = (Person(world, "physics", name, role)
                            for name, role in (("olga", "operator"), ("otto", "owner"), ("rita", "operator")))
        keys = {one.name: new_key(world, one.name) for one in (olga, otto, rita)}
        spare, cluster_key = new_key(world, "spare"), new_key(world, "cluster")
        for one in (olga, otto, rita):
            set_keys(world, one, keys[one.name])
        set_keys(world, rita, keys["rita"], spare)
        olga.soap("vcm", "create_vc", create("duo"))
        hosts = {one["id"] for one in world.json("--vo", "physics", "vh", "ls")}
        given = {one.name: issue(one, keys[one.name]) for one in (olga, otto)}
        authority = child(given["olga"], "authority")
        if os.geteuid() != 0:
            print("skip   sessions at a real server need root")
            return 0
        os.makedirs(world.folder + "/sshd")
        server = stack.enter_context(Server(world.folder + "/sshd", ["cert-authority " + authority, cluster_key]))

        def session(name, certificate="", **more):
            return stack.enter_context(Session(server, os.path.join(world.folder, name), certificate, **more))
        of_olga, of_otto = (session(name, child(given[name], "certificate")) for name in ("olga", "otto"))
        of_cluster = session("cluster")
        for one in (of_olga, of_otto, of_cluster):
            assert one.answers()
        # A connection that carries ports and runs nothing: nothing says whose it is.
        port = free_port()
        silent = session("olga", child(given["olga"], "certificate"), command="",
                         options=["-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{server.port}"])
        # Files alone, by sshd itself and by a program of its own.
        files = [session("olga", child(given["olga"], "certificate"), options=["-s"], command=name)
                 for name in ("sftp", "sftp-program")]
        of_otto_files = session("otto", child(given["otto"], "certificate"), options=["-s"], command="sftp-program")
        for one in (*files, of_otto_files):
            one.hello()
        deadline = time.monotonic() + PATIENCE_S
        while silent.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as forwarded:
                if forwarded.recv(4) == b"SSH-":
                    break
        assert not orders(world), "nobody was removed yet"

        removed = time.time()
        world.cli("--vo", "physics", "member", "rm", "olga", "--yes")
        world.until(lambda: {host for host, _ in orders(world)} == hosts, "every guest was told")
        assert time.time() - removed < 30 and logins(world) == {"member:olga@physics"}, orders(world)
        [argv] = {tuple(argv) for _, argv in orders(world)}
        # That one is new is no reason to let it be: this test cannot wait until it is old.
        assert "-lt 20 ]" in argv[2]
        server.run([text.replace("-lt 20 ]", "-lt 0 ]") for text in argv])
        for one in (of_olga, silent, *files):
            assert one.ended() != 0
        assert of_otto.answers() and of_cluster.answers(), "somebody else's session was ended"
        of_otto_files.hello()
        print("ok     sessions of a member who was removed are ended, and no others")

        # A key that is taken away, and a role that may not log in.
        set_keys(world, rita, keys["rita"])
        world.until(lambda: "member:rita@physics" in logins(world), "rita lost a key")
        world.cli("--vo", "physics", "member", "set", "otto", "--role", "viewer")
        world.until(lambda: "member:otto@physics" in logins(world), "otto is a viewer now")
        # Who is back may have another key: what was opened before is ended all the same.
        world.soap("tenant", "add_member", field("vo", "physics") + field("name", "olga") + field("role", "operator"))
        world.cli("--vo", "physics", "member", "rm", "rita", "--yes")
        world.soap("tenant", "add_member", field("vo", "physics") + field("name", "rita") + field("role", "operator"))
        seen = len(orders(world))
        world.until(lambda: len(orders(world)) >= seen + 4, "guests were told again")
        for name in ("olga", "rita"):
            assert f"member:{name}@physics" in {login for _, argv in orders(world)[seen + 2:] for login in argv[4:]}, name
        world.cli("--vo", "physics", "destroy", "duo", "--yes")
        world.until_quiet()
        code, _ = world.stop()
        print("ok     roles, keys, and who is back")
        return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
