#!/usr/bin/python3
"""Makes a client of the WSDL files with gSOAP's wsdl2h and soapcpp2, compiles it, and runs it as flow.py asks for it.

  gsoap_client.py CONTRACTS ADDRESS TOKEN BLUEPRINT CONSUMER

Every WSDL must be read without a warning. What soapcpp2 says of types from the OASIS files is listed here, no more.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "gsoap"
# rl-2.xsd declares these elements with types that have no names: soapcpp2 finds one as the base of each reference to it.
OF_OASIS = re.compile(r"has multiple base types, including struct _rl__(CurrentTime|TerminationTime)$")
USED = ("vcm.wsdl", "vcf-cluster.wsdl", "wsn.wsdl")


def run(argv, **options):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{argv[0]} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def warnings_of(output):
    """Each of gSOAP's programs has its own way to say it; libgsoap's own soap12.h is not ours."""
    found = [line.strip() for line in output.splitlines() if re.search(r"warning\b", line, re.IGNORECASE)]
    counted = re.compile(r"\(\d+ warnings?\)")  # the sum at the end
    return [line for line in found if not OF_OASIS.search(line) and not counted.search(line)]


def headers_of(contracts, names, path):
    """Runs wsdl2h over WSDL files; fails when it warns."""
    output = run(["wsdl2h", "-P", "-F", "-Nport", "-c", "-t", SOURCE / "typemap.dat", "-o", path, *names], cwd=contracts)
    if warnings_of(output):
        sys.exit(f"wsdl2h warns of {names}: {warnings_of(output)}")


def code_of(header, folder):
    """Runs soapcpp2 over what wsdl2h made; fails when it warns."""
    output = run(["soapcpp2", "-C", "-c", "-x", "-L", "-I/usr/share/gsoap/import", header], cwd=folder)
    if warnings_of(output):
        sys.exit(f"soapcpp2 warns of {header}: {warnings_of(output)}")


def make(contracts, folder):
    one = folder / "one"
    one.mkdir()
    for wsdl in sorted(Path(contracts).glob("*.wsdl")):
        headers_of(contracts, [wsdl.name], one / (wsdl.stem + ".h"))
        code_of(wsdl.stem + ".h", one)
    headers_of(contracts, USED, folder / "all.h")
    code_of("all.h", folder)
    shutil.copy(SOURCE / "client.c", folder)
    compiler = ["ccache", "gcc"] if shutil.which("ccache") else ["gcc"]
    objects = []
    for source in ("soapC.c", "soapClient.c", "client.c"):
        objects.append(source[:-2] + ".o")
        # gSOAP's own warnings about its code are not ours to mend.
        run([*compiler, "-O0", "-w", "-I.", "-c", source, "-o", objects[-1]], cwd=folder)
    run(["gcc", "-o", "client", *objects, "-lgsoap"], cwd=folder)


def main():
    with tempfile.TemporaryDirectory(prefix="nuraghe-gsoap.") as folder:
        make(sys.argv[1], Path(folder))
        return subprocess.run([f"{folder}/client", *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
