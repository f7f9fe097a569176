#!/usr/bin/python3
"""Makes systemd units out of one template, tools/templates/unit.service.j2: of nuraghed and vhcd, which virtual hosts outlive,
and (new_service.py) of the programs of services.

  generate_units.py --prefix PREFIX --out FOLDER

writes nuraghed.service, vhcd.service and nuraghe.conf (sysusers.d: whose they are) for programs in PREFIX/bin.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import generate_service

SYSUSERS = """# Whose nuraghed and vhcd are: systemd-sysusers makes it. Virtual hosts outlive a start, so it is no user of a moment.
u nuraghe - "Nuraghe" /var/lib/nuraghe
m nuraghe kvm
"""


@dataclass
class Unit:
    name: str
    title: str
    program: str  # path
    state: str  # below /var/lib
    options: str = ""  # unless the environment file has others
    has_hosts: bool = False  # it starts virtual hosts, which outlive it
    after_nuraghed: bool = False
    documentation: str = "/usr/share/doc/nuraghe/units.md"

    @property
    def environment(self):
        return f"/etc/default/{self.name}"


def own_units(prefix):
    documentation = f"{prefix}/share/doc/nuraghe/units.md"
    return [
        Unit("nuraghed", "Nuraghe's daemon: virtual clusters", f"{prefix}/bin/nuraghed", "nuraghe", has_hosts=True,
             documentation=documentation),
        Unit("vhcd", "Virtual Host Controller of this machine (Nuraghe)", f"{prefix}/bin/vhcd", "vhcd", has_hosts=True,
             after_nuraghed=True, documentation=documentation),
    ]


def unit_of_service(service):
    """Of a service's program; its project's install puts the prefix in the place of /usr."""
    return Unit(service.name, f"{service.title} (a service of Nuraghe)", f"/usr/bin/{service.name}", service.name,
                options="--listen 127.0.0.1:0", after_nuraghed=True)


def render(unit):
    return generate_service.environment().get_template("unit.service.j2").render(unit=unit)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for unit in own_units(arguments.prefix):
        generate_service.write_if_changed(arguments.out / f"{unit.name}.service", render(unit))
    generate_service.write_if_changed(arguments.out / "nuraghe.conf", SYSUSERS)


if __name__ == "__main__":
    main()
