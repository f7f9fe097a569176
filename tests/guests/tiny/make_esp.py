#!/usr/bin/python3
"""Makes a disk image from which UEFI starts one program: a FAT file system without partitions, with EFI/BOOT/BOOTX64.EFI.

  make_esp.py PROGRAM IMAGE

The layout is that of a floppy disk of 1440 KiB (FAT12; Microsoft FAT specification 1.03). The same input gives the same bytes.
"""
import struct
import sys

SECTOR, SECTORS, FAT_SECTORS, ROOT_ENTRIES = 512, 2880, 9, 224
FIRST_CLUSTER = 2  # clusters are of one sector
DIRECTORY, ARCHIVE = 0x10, 0x20


def entry(name: str, attribute: int, cluster: int, size: int = 0) -> bytes:
    stem, _, suffix = name.partition(".") if not name.startswith(".") else (name, "", "")
    return struct.pack("<8s3sB10xHHHI", stem.ljust(8).encode(), suffix.ljust(3).encode(), attribute, 0, 0x21, cluster, size)


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        program = file.read()
    data = (entry(".", DIRECTORY, 2) + entry("..", DIRECTORY, 0) + entry("BOOT", DIRECTORY, 3)).ljust(SECTOR, b"\0")
    data += (entry(".", DIRECTORY, 3) + entry("..", DIRECTORY, 2) +
             entry("BOOTX64.EFI", ARCHIVE, 4, len(program))).ljust(SECTOR, b"\0")
    data += program.ljust(-(-len(program) // SECTOR) * SECTOR, b"\0")
    chains = [0xFF0, 0xFFF, 0xFFF, 0xFFF]  # media byte, end mark, the two folders
    clusters = len(data) // SECTOR + FIRST_CLUSTER
    chains += [*range(5, clusters), 0xFFF]
    fat = bytearray(FAT_SECTORS * SECTOR)
    for number, value in enumerate(chains):
        at = number * 3 // 2
        word = int.from_bytes(fat[at:at + 2], "little") | value << (4 if number % 2 else 0)
        fat[at:at + 2] = word.to_bytes(2, "little")
    boot = struct.pack("<3s8sHBHBHHBHHHII", b"\xeb\x3c\x90", b"NURAGHE ", SECTOR, 1, 1, 2, ROOT_ENTRIES, SECTORS, 0xF0,
                       FAT_SECTORS, 18, 2, 0, 0)
    boot += struct.pack("<BBBI11s8s", 0, 0, 0x29, 0x20260101, b"TINY EFI".ljust(11), b"FAT12".ljust(8))
    root = entry("EFI", DIRECTORY, 2).ljust(ROOT_ENTRIES * 32, b"\0")
    image = boot.ljust(SECTOR - 2, b"\0") + b"\x55\xaa" + bytes(fat) * 2 + root + data
    if len(image) > SECTORS * SECTOR:
        sys.exit(f"{sys.argv[1]} is too large for a floppy disk")
    with open(sys.argv[2], "wb") as file:
        file.write(image.ljust(SECTORS * SECTOR, b"\0"))


main()
