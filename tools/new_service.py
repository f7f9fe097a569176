#!/usr/bin/python3
"""Makes the project of a service that is defined outside of Nuraghe's tree; docs/services.md tells what to do with it.

  new_service.py [--folder FOLDER] [--nuraghe BUILD] DEFINITION.service.xml

FOLDER (default: the service's name, here) must not exist. It gets the definition, one handler per method to be written,
a CMake project, the systemd unit. BUILD is the built tree of Nuraghe that it is built
against. Exit codes: 0 done; 1 the definition is wrong (each finding as file:line: sentence) or the folder is there; 2
usage.
"""

import argparse
import shutil
import sys
from pathlib import Path

import generate_service
import generate_units
import service_definition as definition

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "CMakeLists.txt.j2": "CMakeLists.txt",
    "README.md.j2": "README.md",
    "main.cpp.j2": "src/main.cpp",
    "service.hpp.j2": "src/{0}_service.hpp",
    "service.cpp.j2": "src/{0}_service.cpp",
}


def read(path):
    """The service of a definition, or None after every finding was printed."""
    reader = definition.Reader(ROOT / "contracts" / "service.xsd")
    known = sorted((ROOT / "contracts").glob("*.service.xml"))
    services = reader.read([*known, path])
    findings = [str(finding) for finding in reader.findings]
    own = [s for s in services.values() if s.file == str(path)]
    if own and own[0].name in {p.name.removesuffix(".service.xml") for p in known}:
        # All else that was found follows from that.
        findings = [f"{path}:{own[0].line}: '{own[0].name}' is the name of a service of Nuraghe; choose another"]
    for service in own if not findings else []:
        if any(m.by == "workflow" for m in service.methods):
            line = next(m.line for m in service.methods if m.by == "workflow")
            findings.append(f"{path}:{line}: a workflow answers this method: nuraghed runs workflows, a program of its own "
                            "does not; leave by=\"workflow\" out")
    for finding in findings:
        print(finding, file=sys.stderr)
    return own[0] if own and not findings else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--nuraghe", type=Path, default=ROOT / "build")
    parser.add_argument("definition", type=Path)
    arguments = parser.parse_args()
    service = read(arguments.definition)
    if service is None:
        return 1
    folder = arguments.folder or Path(service.name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        print(f"{folder} is there already; name another folder, or remove it", file=sys.stderr)
        return 1
    shutil.copyfile(arguments.definition, folder / arguments.definition.name)
    env = generate_service.environment()
    for template, name in FILES.items():
        text = env.get_template("project/" + template).render(
            service=service, origin=arguments.definition.name, nuraghe=arguments.nuraghe.resolve())
        generate_service.write_if_changed(folder / name.format(service.name), text)
    generate_service.write_if_changed(folder / "packaging" / f"{service.name}.service",
                                      generate_units.render(generate_units.unit_of_service(service)))
    print(f"{folder}: the service {service.name}; its handlers are to be written in src/{service.name}_service.cpp, "
          "README.md tells how to build and run it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
