"""npm's @restatedev/restate-server with a handler of @restatedev/restate-sdk, called over HTTP."""
import json
import pathlib
import urllib.request

from peers import npm
from peers.processes import Missing, Peer, await_port, free_ports, tail


class Restate(Peer):
    NAME = "restate"

    def start(self) -> None:
        folder = npm.installed()
        found = list(folder.glob("node_modules/@restatedev/restate-server-linux-*/bin/restate-server"))
        if not found:
            raise Missing("npm has no restate-server for this machine")
        self.ingress, admin, node, service = free_ports(4)
        handler = self.programs.start(["node", str(folder / "restate.mjs"), str(service)],
                                      environment={"NODE_ENV": "production", "RESTATE_LOGGING": "ERROR"})
        server = self.programs.start([str(found[0]), "--base-dir", self.programs.folder + "/data"], environment={
            "RESTATE_LISTEN_MODE": "tcp", "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}", "RESTATE_NODE_NAME": "bench",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{self.ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}", "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC": "false", "RESTATE_LOG_FILTER": "warn"})
        self.measured = [server, handler]
        await_port(service, handler, self.programs.log("node"))
        await_port(admin, server, self.programs.log("restate-server"))
        await_port(self.ingress, server, self.programs.log("restate-server"))
        request = urllib.request.Request(f"http://127.0.0.1:{admin}/deployments", headers={"Content-Type": "application/json"},
                                         data=json.dumps({"uri": f"http://127.0.0.1:{service}"}).encode())
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except OSError as error:
            raise Missing(f"restate refused the handler: {error} {tail(self.programs.log('restate-server'))}")
        self.body = pathlib.Path(self.programs.folder, "body")
        self.body.write_text('"hello"')

    def run(self, clients: int, seconds: float) -> dict:
        return self.load(self.ingress, "/bench/run", clients, seconds, str(self.body), "hello",
                         ["Content-Type: application/json"])
