"""Debian's virtuoso-opensource with virtuoso-vad-bpel and an echo process in it (BPEL4WS 1.1, peers/virtuoso)."""
import pathlib
import shutil
import subprocess

from peers.processes import Missing, Peer, await_port, free_ports, tail

PACKAGE = "/usr/share/virtuoso-opensource-7/vad/bpel_dav.vad"
SOURCE = pathlib.Path(__file__).resolve().parent / "virtuoso"
SETTINGS = """[Database]
DatabaseFile = virtuoso.db
ErrorLogFile = virtuoso.log
LockFile = virtuoso.lck
TransactionFile = virtuoso.trx
xa_persistent_file = virtuoso.pxa
FileExtend = 200
[TempDatabase]
DatabaseFile = temporary.db
TransactionFile = temporary.trx
[Parameters]
ServerPort = 127.0.0.1:{sql}
DisableUnixSocket = 1
MaxClientConnections = 100
CaseMode = 2
DirsAllowed = ., {packages}
NumberOfBuffers = 100000
MaxDirtyBuffers = 60000
[HTTPServer]
ServerPort = 127.0.0.1:{http}
ServerRoot = .
ServerThreads = 100
MaxClientConnections = 100
MaxKeepAlives = 100
KeepAliveTimeout = 60
"""


class Virtuoso(Peer):
    NAME = "virtuoso"

    def start(self) -> None:
        if not shutil.which("virtuoso-t") or not pathlib.Path(PACKAGE).exists():
            raise Missing("virtuoso-opensource or virtuoso-vad-bpel is not installed")
        self.sql, self.http = free_ports(2)
        folder = self.programs.folder
        settings = SETTINGS.format(sql=self.sql, http=self.http, packages=pathlib.Path(PACKAGE).parent)
        pathlib.Path(folder, "virtuoso.ini").write_text(settings)
        for file in SOURCE.iterdir():
            shutil.copy(file, folder)
        server = self.programs.start(["virtuoso-t", "-f", "+configfile", "virtuoso.ini"],
                                          **self.programs.give_away())
        self.measured = [server]
        await_port(self.sql, server, self.programs.log("virtuoso-t"))
        await_port(self.http, server, self.programs.log("virtuoso-t"))
        if "SUCCESS" not in self.query(f"vad_install('{PACKAGE}', 0)"):
            raise Missing("virtuoso did not install its BPEL package: " + tail(folder + "/virtuoso.log"))
        self.query(f"select BPEL.BPEL.upload_script('http://127.0.0.1:{self.http}/', 'echo.bpel', 'echo.wsdl', '/echo')")
        if "/echo" not in self.query("select bs_lpath from BPEL..script where bs_state = 0"):
            raise Missing("virtuoso did not take the process: " + tail(folder + "/virtuoso.log"))

    def query(self, statement: str) -> str:
        done = subprocess.run(["isql-vt", f"127.0.0.1:{self.sql}", "dba", "dba", "VERBOSE=OFF", f"EXEC={statement};"],
                              capture_output=True, text=True, errors="replace", timeout=300)
        return done.stdout

    def run(self, clients: int, seconds: float) -> dict:
        return self.load(self.http, "/echo", clients, seconds)
