#!/usr/bin/python3
"""clang-tidy over the sources: tools/check_tidy.py [--build DIR] [--all] [FILE...]

Without files the rooms are looked at that everything else stands on (ROOMS); with --all the whole of src/. DIR
(build-tidy) is configured and gets its generated headers here: a build whose sources are compiled one by one, as
clang-tidy reads them. Exit code 1 when there are findings; each is printed as clang-tidy says it.
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOMS = ["base", "env", "xml", "store", "exchange", "placement"]
ROOT = pathlib.Path(__file__).resolve().parent.parent


def sources(rooms: list) -> list:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"] + [f"src/{room}/*.cpp" for room in rooms],
                            capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if not name.endswith("_test.cpp")]


def look_at(build: pathlib.Path, name: str):
    done = subprocess.run(["clang-tidy", "-p", str(build), "--quiet", name], cwd=ROOT, capture_output=True, text=True)
    return name, done.returncode, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build-tidy"))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    build = pathlib.Path(arguments.build)
    subprocess.run(["cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(build), "--log-level=WARNING",
                    "-DNURAGHE_TESTS=OFF"], check=True)
    subprocess.run(["cmake", "--build", str(build), "--target", "contracts_code"], check=True)
    files = arguments.files or sources(["*"] if arguments.all else ROOMS)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, code, output in pool.map(lambda file: look_at(build, file), files):
            if code != 0:
                failed += 1
                print(output or f"{name}: clang-tidy ended with status {code}", flush=True)
    print(f"clang-tidy: {len(files)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
