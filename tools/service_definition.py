"""Service definitions (contracts/NAME.service.xml): reads them, checks them, resolves their types.

A definition is checked in two steps: against contracts/service.xsd, then against what a schema cannot say (names that
are not there or stand twice, circles, words that C++ keeps for itself). Findings are collected, never raised: read()
returns all of them at once, each with file and line.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

import service_doors

NAMESPACE = "urn:nuraghe:service:1"
Q = "{%s}" % NAMESPACE

# Built-in field types: C++ type, XML Schema type (None: written out by the template), initial value in C++.
BUILT_IN = {
    "string": ("std::string", "xsd:string", "{}"),
    "boolean": ("bool", "xsd:boolean", " = false"),
    "int": ("std::int32_t", "xsd:int", " = 0"),
    "long": ("std::int64_t", "xsd:long", " = 0"),
    "double": ("double", "xsd:double", " = 0"),
    "bytes": ("nuraghe::Bytes", "xsd:long", "{}"),
    "time": ("nuraghe::TimePoint", "xsd:dateTime", "{}"),
    "duration": ("nuraghe::Duration", "xsd:duration", "{}"),
    "any": ("nuraghe::xml::DocumentPtr", None, "{}"),
    "epr": ("nuraghe::contracts::Epr", "wsa:EndpointReferenceType", "{}"),
}

CPP_KEYWORDS = set(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class
    co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default
    delete do double dynamic_cast else enum explicit export extern false final float for friend goto if inline int long
    mutable namespace new noexcept not not_eq nullptr operator or or_eq override private protected public register
    reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq""".split()
)
# Members of the skeleton and the client that a method of the same name would hide.
SKELETON_MEMBERS = set(
    """name open on_start on_request on_reply on_timer on_job run_job on_rollback answer fail operations
    workflow_operations is_read_only originator""".split()
)
# Who may call a method from outside; contracts/operation.hpp says what each means.
ACCESS = ("viewer", "operator", "owner", "site", "controller", "internal")
RESERVED_TYPES = {"Skeleton", "Client"}


@dataclass
class Finding:
    file: str
    line: int
    sentence: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.sentence}"


@dataclass
class Field:
    name: str
    type: str
    optional: bool
    list: bool
    number: int
    doc: str
    line: int
    target: "Enum | Struct | None" = None  # of a type that is not built in
    target_service: "Service | None" = None

    @property
    def cpp_name(self):
        return cpp_name(self.name) if self.name != "fields" else "fields_"

    @property
    def kind(self):
        """'enum', 'struct' or the name of a built-in type."""
        return self.type if self.target is None else self.target.kind


@dataclass
class Enum:
    name: str
    doc: str
    line: int
    values: list  # of (name, doc, line)
    kind = "enum"


@dataclass
class Struct:
    name: str  # in C++ and, for a type, in XML
    doc: str
    line: int
    fields: list
    kind = "struct"
    element: str = ""  # of a message: the local name of its element; empty for a type
    storable: bool = True  # nothing in it is `any`: it can be stored as a row

    def holds(self, kind):
        """True when a field of that built-in type stands in it, at any depth."""
        return any(
            f.kind == kind or (f.kind == "struct" and f.target is not self and f.target.holds(kind))
            for f in self.fields
        )

    def foreign_services(self):
        """The services whose namespaces its XML form needs beside its own, in order of their names."""
        found = {}
        self._collect_foreign(found, set())
        return [found[name] for name in sorted(found)]

    def _collect_foreign(self, found, seen):
        if id(self) in seen:
            return
        seen.add(id(self))
        for f in self.fields:
            if f.kind == "struct":
                found[f.target_service.name] = f.target_service
                f.target._collect_foreign(found, seen)


@dataclass
class Method:
    name: str
    by: str
    one_way: bool
    read_only: bool
    doc: str
    line: int
    request: Struct
    response: Struct | None
    access: str  # who may call it: a word of ACCESS
    rest: "service_doors.Rest | None"
    faults: list  # words of service_doors.FAULT_CODES
    states: list  # words of an enum …State
    creates: bool
    rest_body: str
    rest_answer: str

    @property
    def cpp_name(self):
        return cpp_name(self.name)

    @property
    def summary(self):
        """The first sentence of its documentation; without one its name, in words."""
        end = re.search(r"[.;:](?= [A-Z]|$)|[.;:] ", self.doc)
        text = self.doc[:end.start()] if end else self.doc
        return text or self.name.replace("_", " ").capitalize()


@dataclass
class Service:
    name: str
    namespace: str
    title: str
    doc: str
    file: str
    line: int
    imports: dict  # prefix → (service name, line)
    enums: list
    types: list
    methods: list
    instance: str  # in REST paths, the parameter that says which instance of the service is meant; empty: there is one
    topics: list
    resources: list
    services: dict = field(default_factory=dict)  # prefix → Service

    @property
    def port_type(self):
        return self.name.upper()

    @property
    def messages(self):
        return [m for method in self.methods for m in (method.request, method.response) if m is not None]

    @property
    def structs(self):
        """Types, each after those that it holds, then messages."""
        return self.ordered + self.messages

    @property
    def uses_epr(self):
        return any(f.type == "epr" for s in self.types + self.messages for f in s.fields)

    @property
    def imported(self):
        """Imported services in order of their names."""
        return [self.services[p] for p in sorted(self.services, key=lambda p: self.services[p].name)]


def cpp_name(name):
    return name + "_" if name in CPP_KEYWORDS else name


def pascal(name):
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def constant(name):
    return "k" + pascal(name)


def text_of(element):
    """The documentation of an element: one string, blanks folded."""
    child = element.find(Q + "documentation")
    return " ".join((child.text or "").split()) if child is not None else ""


def yes(element, attribute):
    return element.get(attribute) == "yes"


class Reader:
    """Reads a set of definitions that may import one another."""

    def __init__(self, schema_path):
        self.schema = etree.XMLSchema(etree.parse(str(schema_path)))
        self.findings = []
        self.services = {}  # name → Service
        self.doors = service_doors.DoorChecks(self, Q)

    def find(self, file, line, sentence):
        finding = Finding(file, line, sentence)
        if str(finding) not in map(str, self.findings):
            self.findings.append(finding)

    def read(self, paths):
        for path in paths:
            self.read_file(path)
        for service in list(self.services.values()):
            self.resolve_imports(service)
        self.check_import_circles()
        for service in self.services.values():
            self.resolve_types(service)
            self.check_names(service)
            self.order_types(service)
        if not self.findings:
            self.doors.check(self.services)
        if not self.findings:
            for service in self.services.values():
                for struct in service.structs:
                    struct.storable = not struct.holds("any")
        self.findings.sort(key=lambda f: (f.file, f.line, f.sentence))
        return self.services

    # ---- one file ----

    def read_file(self, path):
        file = str(path)
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        try:
            root = etree.parse(file, parser).getroot()
        except OSError as error:
            self.find(file, 1, f"the file cannot be read: {error}")
            return
        except etree.XMLSyntaxError as error:
            for entry in error.error_log:
                self.find(file, entry.line, f"the file is not well-formed XML: {entry.message}")
            return
        if root.tag != Q + "service":
            self.find(file, root.sourceline, f"the document element must be service of {NAMESPACE}, not {root.tag}")
            return
        if not self.schema.validate(root):
            for entry in self.schema.error_log:
                self.find(file, entry.line, entry.message.replace(Q, "").rstrip("."))
        service = self.service_of(root, file)
        expected = Path(file).name.removesuffix(".service.xml")
        if service.name != expected:
            self.find(file, root.sourceline, f"the service is named '{service.name}' but its file '{expected}'; "
                      "both names must be equal")
        for other in self.services.values():
            if other.namespace == service.namespace:
                self.find(file, root.sourceline, f"the namespace {service.namespace} is that of {other.file} already")
        self.services[service.name] = service

    def service_of(self, root, file):
        service = Service(root.get("name", ""), root.get("namespace", ""), root.get("title", ""), text_of(root), file,
                          root.sourceline, {}, [], [], [], root.get("instance", ""),
                          self.doors.topics_of(root, text_of), self.doors.resources_of(root, text_of))
        for item in root.findall(Q + "import"):
            prefix = item.get("prefix", "")
            if prefix in service.imports:
                self.find(file, item.sourceline, f"the prefix '{prefix}' stands for "
                          f"'{service.imports[prefix][0]}' already (line {service.imports[prefix][1]})")
                continue
            service.imports[prefix] = (item.get("service", ""), item.sourceline)
        for item in root.findall(Q + "enum"):
            values = [(v.get("name", ""), text_of(v), v.sourceline) for v in item.findall(Q + "value")]
            service.enums.append(Enum(item.get("name", ""), text_of(item), item.sourceline, values))
        for item in root.findall(Q + "type"):
            service.types.append(Struct(item.get("name", ""), text_of(item), item.sourceline,
                                        self.fields_of(item, file)))
        for item in root.findall(Q + "method"):
            service.methods.append(self.method_of(item, file))
        return service

    def fields_of(self, parent, file):
        fields = []
        if parent is None:
            return fields
        for position, item in enumerate(parent.findall(Q + "field"), 1):
            number = item.get("number", str(position))
            f = Field(item.get("name", ""), item.get("type", ""), yes(item, "optional"), yes(item, "list"),
                      int(number) if number.isdigit() else 0, text_of(item), item.sourceline)
            for other in fields:
                if other.name == f.name:
                    self.find(file, f.line, f"the field '{f.name}' stands here twice (line {other.line}); "
                              "for several values write list=\"yes\" once")
                elif other.number == f.number:
                    self.find(file, f.line, f"the field '{f.name}' has the number {f.number} of '{other.name}' "
                              f"(line {other.line}); give it one that was never used")
            if f.list and f.optional:
                self.find(file, f.line, f"the field '{f.name}' is a list and optional; a list may be empty: "
                          "leave optional out")
            fields.append(f)
        return fields

    def method_of(self, item, file):
        name = item.get("name", "")
        one_way = yes(item, "one-way")
        output = item.find(Q + "output")
        if one_way and output is not None:
            self.find(file, output.sourceline, f"the method '{name}' is one-way and cannot have an output; "
                      "leave out one of both")
        access = self.access_of(item, name, file)
        request = Struct(pascal(name) + "Request", f"What {name} is asked with.", item.sourceline,
                         self.fields_of(item.find(Q + "input"), file), element=name)
        response = None
        if not one_way:
            response = Struct(pascal(name) + "Response", f"What {name} answers.", item.sourceline,
                              self.fields_of(output, file), element=name + "Response")
        return Method(name, item.get("by", "service"), one_way, yes(item, "read-only"), text_of(item),
                      item.sourceline, request, response, access, self.doors.rest_of(item),
                      item.get("faults", "").split(), item.get("states", "").split(), yes(item, "creates"),
                      item.get("rest-body", ""), item.get("rest-answer", ""))

    def access_of(self, item, name, file):
        """There is no default: a method that nobody thought about would be open to somebody."""
        access = item.get("access", "")
        if access not in ACCESS:
            said = f"has the unknown access '{access}'" if access else "does not say who may call it"
            self.find(file, item.sourceline, f"the method '{name}' {said}; write access=\"…\" with one of "
                      + ", ".join(ACCESS))
        elif access == "viewer" and not yes(item, "read-only") and not yes(item, "own"):
            self.find(file, item.sourceline, f"the method '{name}' changes something and lets viewers call it; give it "
                      "another access, read-only=\"yes\" if it changes nothing, or own=\"yes\" if it changes only what is the "
                      "caller's own")
        return access

    # ---- across definitions ----

    def resolve_imports(self, service):
        for prefix, (name, line) in service.imports.items():
            if name == service.name:
                self.find(service.file, line, "the service imports itself; its own types need no prefix")
            elif name not in self.services:
                known = ", ".join(sorted(self.services)) or "none"
                self.find(service.file, line, f"there is no definition of the service '{name}' (known: {known})")
            else:
                service.services[prefix] = self.services[name]

    def check_import_circles(self):
        def visit(service, way):
            for other in service.imported:
                if other.name in way:
                    circle = way[way.index(other.name):] + [other.name]
                    if service.name == max(circle):
                        line = next(ln for name, ln in service.imports.values() if name == other.name)
                        self.find(service.file, line, "the services import one another in a circle: "
                                  + " → ".join(circle) + "; move the shared types into one of them")
                else:
                    visit(other, way + [other.name])

        for service in self.services.values():
            visit(service, [service.name])

    def resolve_types(self, service):
        for struct in service.types + service.messages:
            for f in struct.fields:
                if f.type in BUILT_IN:
                    continue
                prefix, _, name = f.type.rpartition(":")
                if prefix and prefix not in service.imports:
                    self.find(service.file, f.line, f"the prefix '{prefix}' of the type '{f.type}' is not imported; "
                              f"add <import prefix=\"{prefix}\" service=\"…\"/>")
                    continue
                owner = service.services.get(prefix) if prefix else service
                if owner is None:
                    continue  # the import itself was reported
                found = [t for t in owner.enums + owner.types if t.name == name]
                if not found:
                    own = ", ".join(sorted(t.name for t in owner.enums + owner.types)) or "none"
                    self.find(service.file, f.line, f"the field '{f.name}' has an unknown type '{f.type}'; built in: "
                              f"{', '.join(BUILT_IN)}; of {owner.name}: {own}")
                    continue
                f.target, f.target_service = found[0], owner

    def check_names(self, service):
        made = {}  # C++ type name → line
        for item in service.enums + service.types + service.messages:
            if item.name in RESERVED_TYPES:
                self.find(service.file, item.line, f"the name '{item.name}' is made by the generator; choose another")
            elif item.name in made:
                self.find(service.file, item.line, f"the name '{item.name}' is used already (line {made[item.name]})")
            else:
                made[item.name] = item.line
        methods = {}
        for method in service.methods:
            if method.name in methods:
                self.find(service.file, method.line, f"the method '{method.name}' is defined already "
                          f"(line {methods[method.name]})")
            methods.setdefault(method.name, method.line)
            if method.name in SKELETON_MEMBERS:
                self.find(service.file, method.line, f"the method name '{method.name}' is a member of every skeleton; "
                          "choose another")
        elements = {m.element: m for m in service.messages}
        for method in service.methods:
            if elements.get(method.name) is not method.request and method.name.endswith("Response"):
                self.find(service.file, method.line, f"the method '{method.name}' has the name of another's answer")
        for enum in service.enums:
            constants = {}
            for name, _, line in enum.values:
                if constant(name) in constants:
                    self.find(service.file, line, f"the value '{name}' of {enum.name} is the same word as the value of "
                              f"line {constants[constant(name)]}")
                constants.setdefault(constant(name), line)

    def order_types(self, service):
        ordered, state = [], {}

        def visit(struct, way):
            if state.get(id(struct)) == "done":
                return
            if id(struct) in state:
                names = [s.name for s in way]
                circle = names[names.index(struct.name):] + [struct.name]
                self.find(service.file, struct.line, "the types hold one another in a circle: " + " → ".join(circle))
                return
            state[id(struct)] = "open"
            for f in struct.fields:
                if f.kind == "struct" and f.target_service is service:
                    if f.target is struct and f.list:
                        continue  # a tree: a vector of itself is well-formed C++
                    visit(f.target, way + [struct])
            state[id(struct)] = "done"
            ordered.append(struct)

        for struct in service.types:
            visit(struct, [])
        service.ordered = ordered
