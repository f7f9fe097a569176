"""npm's @dbos-inc/dbos-sdk on Debian's PostgreSQL, fsync on; its workflow is called in its own process."""
import json
import pathlib
import subprocess

from peers import npm
from peers.processes import Missing, Peer, await_port, free_ports, next_line, tail


class Dbos(Peer):
    NAME = "dbos"

    def start(self) -> None:
        folder = npm.installed()
        versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not versions:
            raise Missing("PostgreSQL is not installed")
        data, user = self.programs.folder + "/data", self.programs.give_away()
        made = subprocess.run([versions[-1].with_name("initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8",
                               "--locale", "C"], capture_output=True, text=True, cwd=self.programs.folder, **user)
        if made.returncode != 0:
            raise Missing("initdb failed: " + " ".join(made.stderr.split())[-200:])
        [port] = free_ports(1)
        database = self.programs.start(
            [str(versions[-1]), "-D", data, "-k", "", "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=on",
             "-c", "synchronous_commit=on", "-c", "shared_buffers=256MB"], gently=True, **user)
        await_port(port, database, self.programs.log("postgres"))
        self.program = self.programs.start(
            ["node", str(folder / "dbos.mjs"), f"postgresql://bench@127.0.0.1:{port}/bench"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, environment={"NODE_ENV": "production"})
        self.measured = [database, self.program]
        if next_line(self.program, 60) != "ready\n":
            raise Missing("dbos did not start: " + tail(self.programs.log("node")))

    def run(self, clients: int, seconds: float) -> dict:
        self.program.stdin.write(f"{clients} {seconds}\n")
        self.program.stdin.flush()
        line = next_line(self.program, 60 + 2 * seconds)
        if not line:
            raise Missing("dbos gave no answer: " + tail(self.programs.log("node")))
        return json.loads(line)
