"""gSOAP's generated server (Debian: gsoap, libgsoap-dev) of the same document/literal echo."""
import pathlib
import shutil
import subprocess
import tempfile

from .processes import Missing, Peer, await_port, free_ports

SOURCE = pathlib.Path(__file__).resolve().parent / "gsoap"
PLACES = ("/usr/share/gsoap/import", "/usr/include/gsoap/import")


def build(folder: pathlib.Path) -> pathlib.Path:
    """The program, made in that folder."""
    if not shutil.which("soapcpp2"):
        raise Missing("soapcpp2 is not installed (tools/packages ensure bench)")
    imports = next((place for place in PLACES if pathlib.Path(place).is_dir()), PLACES[0])
    try:
        subprocess.run(["soapcpp2", "-S", "-L", "-w", "-x", f"-I{imports}", f"-d{folder}", SOURCE / "echo.h"], check=True,
                       capture_output=True, text=True)
        subprocess.run(["g++", "-O2", "-w", f"-I{folder}", "-o", folder / "gsoap_echo", SOURCE / "server.cpp",
                        folder / "soapC.cpp", folder / "soapServer.cpp", "-lgsoap++", "-lpthread"], check=True,
                       capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise Missing(" ".join((error.stderr or error.stdout).split())[:300]) from None
    return folder / "gsoap_echo"


class Gsoap(Peer):
    NAME = "gsoap"

    def start(self) -> None:
        program = build(pathlib.Path(tempfile.mkdtemp(dir=self.programs.folder)))
        self.port, = free_ports(1)
        server = self.programs.start(["taskset", "-c", "0", str(program), str(self.port)])
        self.measured = [server]
        await_port(self.port, server, self.programs.log("taskset"))

    def run(self, clients: int, seconds: float) -> dict:
        return self.load(self.port, "/", clients, seconds)
