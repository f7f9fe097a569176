#!/usr/bin/python3
"""Checks that includes in src/ go downwards only and that third-party headers stay in their rooms.

Prints "file:line: sentence" per finding; exit code 1 when there is one.
"""
import pathlib
import re
import subprocess
import sys

FLOOR = {
    "base": 1, "env": 2, "json": 3, "pki": 3, "xml": 3, "store": 3, "net": 3, "jwt": 4, "model": 4, "exchange": 4, "soap": 5,
    "contracts": 5, "bpel": 6, "placement": 6, "hypervisor": 6, "deploy": 6, "images": 6, "network": 6, "services": 7, "wsrf": 7,
    "api": 8, "client": 8, "bpelhost": 8, "apps": 9,
}
# Within a floor these may include one another in this direction.
SAME_FLOOR = {("contracts", "soap"), ("deploy", "hypervisor")}
# Prefix of a third-party header -> the rooms that may see it.
ONLY_IN = {
    "libxml/": {"xml"}, "libxslt/": {"xml"}, "sqlite3.h": {"store"}, "libpq-fe.h": {"store"},
    "boost/beast": {"net"}, "boost/asio": {"net"}, "curl/": {"net"}, "libvirt/": {"hypervisor"},
    "archive.h": {"images", "bpelhost"}, "archive_entry.h": {"images", "bpelhost"}, "CLI/": {"apps"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
FORBIDDEN = [
    (re.compile(r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\("), "waits by sleeping; await the event instead"),
    (re.compile(r"catch\s*\(\s*\.\.\.\s*\)\s*\{\s*\}"), "swallows every exception"),
    (re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b"), "is unfinished"),
]
MAX_LINES = 600


def check(path: pathlib.Path, findings: list) -> None:
    room = path.parts[1]
    lines = path.read_text().splitlines()
    if len(lines) > MAX_LINES and "reason for its length" not in path.read_text():
        findings.append(f"{path}:{len(lines)}: the file is longer than {MAX_LINES} lines and gives no reason for its length")
    for number, line in enumerate(lines, 1):
        for pattern, sentence in FORBIDDEN:
            if pattern.search(line):
                findings.append(f"{path}:{number}: {sentence}")
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(2)
        for prefix, rooms in ONLY_IN.items():
            if match.group(1) == "<" and header.startswith(prefix) and room not in rooms:
                findings.append(f"{path}:{number}: <{header}> may be seen only in {', '.join(sorted(rooms))}")
        other = header.split("/")[0]
        if match.group(1) != '"' or other == room or other not in FLOOR:
            continue
        if FLOOR[other] >= FLOOR[room] and (other, room) not in SAME_FLOOR and (room, other) not in SAME_FLOOR:
            findings.append(f"{path}:{number}: {room} (floor {FLOOR[room]}) includes {header} of floor {FLOOR[other]}")


def main() -> int:
    findings: list = []
    files = subprocess.run(["git", "ls-files", "src"], check=True, capture_output=True, text=True).stdout.split()
    for name in files:
        path = pathlib.Path(name)
        if path.suffix in (".cpp", ".hpp") and len(path.parts) > 2:
            if path.parts[1] not in FLOOR:
                findings.append(f"{path}:1: the room {path.parts[1]} has no floor in tools/check_house.py")
            else:
                check(path, findings)
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
