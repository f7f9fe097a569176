#!/usr/bin/python3
"""Runs npm/client.mjs with the packages of npm/package-lock.json, which are installed once below the cache folder."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent / "npm"


def installed():
    """The folder that has node_modules and the client."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("NURAGHE_CACHE", pathlib.Path.home() / ".cache/nuraghe")) / "clients"
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        half = tempfile.mkdtemp(dir=cache)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, half)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=half, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(half)
            sys.exit("npm ci failed: " + done.stderr[-500:])
        try:
            os.rename(half, folder)
        except OSError:  # another run was first
            shutil.rmtree(half)
    return folder


def main():
    # The client stands beside the packages that it imports, under a name of this run's own.
    with tempfile.NamedTemporaryFile("w", suffix=".mjs", dir=installed(), encoding="utf-8") as client:
        client.write((SOURCE / "client.mjs").read_text(encoding="utf-8"))
        client.flush()
        return subprocess.run(["node", client.name, *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
