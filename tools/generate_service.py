#!/usr/bin/python3
"""Makes WSDL, XSD and C++ from service definitions (contracts/NAME.service.xml); docs/contracts.md describes both.

  generate_service.py [--code DIR] [--contracts DIR] [--embed FILE --common DIR] [--catalogue FILE] DEFINITION...

  --code DIR       writes NAME.hpp and NAME.cpp of every definition there
  --contracts DIR  writes NAME.wsdl, NAME.xsd and openapi.json there; with --common also copies of its *.xsd and *.wsdl, folders kept
  --embed FILE     writes a C++ source that holds all texts of the contracts folder
  --common DIR     the folder of the hand-written schemas
  --known FILE     another definition, which the others may import; nothing is made of it but its XSD (may be repeated)
  --reference DIR  writes the reference page NAME.md of every definition there
  --title TEXT     what openapi.json is titled; without it the only service's title, or Nuraghe
  --catalogue FILE writes a C++ source that holds the table of all operations (contracts/operation.hpp)
  --catalogue-function NAME  the function of nuraghe::contracts that answers it; without it: all_services

Definitions may import one another: all that do are given together. The output depends on the input alone, and a file
is only touched when its content changes. Exit codes: 0 done; 1 a definition is wrong, every finding is on standard
error as file:line: sentence; 2 usage.
"""

import argparse
import re
import sys
from pathlib import Path

import jinja2
from xml.sax.saxutils import escape, quoteattr

import openapi
import service_definition as definition

TOOLS = Path(__file__).resolve().parent


def write_if_changed(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        path.write_text(content, encoding="utf-8")


# ---- C++ as the templates need it ----

def base_type(f, service):
    """The C++ type of one value of a field."""
    if f.target is None:
        return definition.BUILT_IN[f.type][0]
    if f.target_service is service:
        return f.target.name
    return f"nuraghe::contracts::{f.target_service.name}::{f.target.name}"


def member(f, service):
    """The member declaration of a field. Each has an initial value: designated initialisers may leave it out."""
    one = base_type(f, service)
    if f.list:
        return f"std::vector<{one}> {f.cpp_name}{{}};"
    if f.optional:
        return f"std::optional<{one}> {f.cpp_name}{{}};"
    initial = definition.BUILT_IN[f.type][2] if f.target is None else "{}"
    if f.kind == "enum":
        initial = " = " + one + "::" + definition.constant(f.target.values[0][0])
    return f"{one} {f.cpp_name}{initial};"


def comment(text, indent=0, width=120):
    """Lines of a C++ comment, folded; empty without a text."""
    lines, line = [], ""
    room = width - indent - 3
    for word in text.split():
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        lines.append(line)
    return "".join(" " * indent + "// " + item.rstrip("\\") + "\n" for item in lines)


def write_call(f, value):
    """The statement that writes one value of a field."""
    if f.kind == "struct":
        return f'write_xml({value}, element.append_element(kNamespace, "{f.name}"));'
    if f.kind == "enum":
        return f'wire::write(element, kNamespace, "{f.name}", to_string({value}));'
    return f'wire::write(element, kNamespace, "{f.name}", {value});'


def shape_name(f, service):
    """The table of the type of a field that is not built in."""
    name = f"k{f.target.name}"
    return name if f.target_service is service else f"nuraghe::contracts::{f.target_service.name}::shape::{name}"


def cpp_string(text):
    """A C++ string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def xsd_type(f, service):
    if f.target is None:
        return definition.BUILT_IN[f.type][1]
    return ("tns" if f.target_service is service else f.target_service.name) + ":" + f.target.name


def type_words(f, service):
    """A field's type for the reference page, with a link where it has one."""
    if f.target is None:
        words = f.type
    else:
        page = "" if f.target_service is service else f.target_service.name + ".md"
        words = f"[{f.target.name}]({page}#{f.target.name.lower()})"
    return ("list of " if f.list else "") + words + (", optional" if f.optional else "")


def markdown(text):
    """Text within a cell of a table."""
    return text.replace("|", "\\|")


def environment():
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TOOLS / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    env.filters.update(x=escape, attr=quoteattr, constant=definition.constant, pascal=definition.pascal,
                       comment=comment, cpp_string=cpp_string, md=markdown)
    env.globals.update(base_type=base_type, member=member, write_call=write_call, xsd_type=xsd_type,
                       shape_name=shape_name,
                       type_words=type_words)
    return env


# ---- outputs ----

def render(env, template, **values):
    return env.get_template(template).render(**values)


def lifecycle_of(resource):
    """As wsrf::lifecycle_of: what does something with a resource and asks for its key first."""
    if resource.destroy_method is None:
        return []
    return [m for m in resource.destroy_service.methods
            if not m.read_only and not m.one_way and m.access not in ("internal", "controller") and m.request.fields
            and m.request.fields[0].name == resource.destroy_input and m.request.fields[0].type == "string"
            and not m.request.fields[0].list]


# Groups that take members in, as src/wsrf/address.cpp has them.
MEMBERSHIPS = {("vhf", "PhysicalHost")}


def resource_descriptions(env, service, origin):
    """The WSDL of each kind of resource, of all of a kind and of a member's entry: vcf-cluster.wsdl, vcf-cluster-group.wsdl."""
    made = {}
    for resource in service.resources:
        stem = service.name + "-" + re.sub(r"(?<!^)(?=[A-Z])", "-", resource.name).lower()
        membership = (service.name, resource.name) in MEMBERSHIPS
        for part in ("resource", "group", "entry") if membership else ("resource", "group"):
            made[stem + ("" if part == "resource" else "-" + part) + ".wsdl"] = render(
                env, "resource.wsdl.j2", service=service, resource=resource, origin=origin, part=part,
                membership=membership, lifecycle=lifecycle_of(resource))
    return made


def embedded_files(common, made):
    """(path, text) of all that the contracts folder holds: made and hand-written, sorted by path."""
    files = dict(made)
    if common is not None:
        for path in sorted([*common.rglob("*.xsd"), *common.rglob("*.wsdl")]):
            files[path.relative_to(common).as_posix()] = path.read_text(encoding="utf-8")
    return sorted(files.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path)
    parser.add_argument("--contracts", type=Path)
    parser.add_argument("--embed", type=Path)
    parser.add_argument("--common", type=Path)
    parser.add_argument("--catalogue", type=Path)
    parser.add_argument("--known", type=Path, action="append", default=[])
    parser.add_argument("--title", default="")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--catalogue-function", default="all_services")
    parser.add_argument("definitions", nargs="*", type=Path)
    arguments = parser.parse_args()

    reader = definition.Reader(TOOLS.parent / "contracts" / "service.xsd")
    services = reader.read(sorted([*arguments.definitions, *arguments.known]))
    if reader.findings:
        for finding in reader.findings:
            print(finding, file=sys.stderr)
        return 1

    env = environment()
    made = {}
    known = {str(path) for path in arguments.known}
    for name in [s.name for s in services.values() if s.file in known]:
        service = services.pop(name)
        made[name + ".xsd"] = render(env, "service.xsd.j2", service=service, origin=Path(service.file).name)
    for service in services.values():
        origin = Path(service.file).name
        made[service.name + ".wsdl"] = render(env, "service.wsdl.j2", service=service, origin=origin)
        made[service.name + ".xsd"] = render(env, "service.xsd.j2", service=service, origin=origin)
        made.update(resource_descriptions(env, service, origin))
        if arguments.code:
            for suffix in ("hpp", "cpp"):
                write_if_changed(arguments.code / f"{service.name}.{suffix}",
                                 render(env, f"service.{suffix}.j2", service=service, origin=origin))
        if arguments.reference:
            write_if_changed(arguments.reference / f"{service.name}.md",
                             render(env, "reference.md.j2", service=service, origin=origin))
    ordered = [services[name] for name in sorted(services)]
    made["openapi.json"] = openapi.document(
        ordered, arguments.title or (ordered[0].title if len(ordered) == 1 else "Nuraghe"))
    files = embedded_files(arguments.common, made)
    if arguments.contracts:
        for name, text in files:
            write_if_changed(arguments.contracts / name, text)
    if arguments.embed:
        write_if_changed(arguments.embed, render(env, "embedded.cpp.j2", files=files))
    if arguments.catalogue:
        write_if_changed(arguments.catalogue, render(env, "catalogue.cpp.j2", services=ordered,
                                                      function=arguments.catalogue_function))
    return 0


if __name__ == "__main__":
    sys.exit(main())
