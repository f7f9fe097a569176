"""The peers from npm: exact versions of package-lock.json, installed once below the cache folder."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from peers.processes import Missing

SOURCE = pathlib.Path(__file__).resolve().parent


def installed() -> pathlib.Path:
    """The folder that has node_modules and this folder's programs."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Missing(f"{program} is not installed; Node.js 20 or later is needed")
    lock = (SOURCE / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("NURAGHE_CACHE", pathlib.Path.home() / ".cache/nuraghe")) / "peers"
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        half = tempfile.mkdtemp(dir=cache)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, half)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=half, capture_output=True,
                              text=True)
        if done.returncode != 0:
            shutil.rmtree(half)
            raise Missing("npm ci failed: " + " ".join(done.stderr.split())[-200:])
        os.rename(half, folder)
    for program in SOURCE.glob("*.mjs"):
        shutil.copy(program, folder)
    return folder
