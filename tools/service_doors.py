"""What the doors need to know of a service: REST routes, faults, states, WS-Resources, topics of notification.

Read with the rest of a definition by service_definition.Reader, and checked here after all types are resolved, for a
resource or a route may name what another definition has. Findings are collected in the reader, as all others.
"""

import re
from dataclasses import dataclass, field

# The words of base/result.hpp, without "internal": a defect of Nuraghe is no fault that a service declares.
FAULT_CODES = ("invalid", "not-found", "conflict", "denied", "exhausted", "unavailable", "timeout", "cancelled",
               "unsupported", "corrupt")
# Faults that every method has, for the doors themselves answer them.
DOOR_FAULTS = ("invalid", "denied", "unavailable", "timeout")
VERBS = ("GET", "PUT", "POST", "PATCH", "DELETE")
# Verbs without a body: what is not in the path is a query parameter.
QUERY_VERBS = ("GET", "DELETE")
# Types whose value is one word or number: they can stand in a path or a query.
PLAIN = {"string", "boolean", "int", "long", "double", "bytes", "time", "duration", "enum"}
SEGMENT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*|\{[a-z][a-z0-9_]*\}")


@dataclass
class Rest:
    verb: str
    path: str
    body: str = ""  # the input field whose content is the JSON body
    answer: str = ""  # the output field whose content is the JSON answer
    location: str = ""  # where what was made is found: "/images/{image.name}"

    @property
    def parameters(self):
        """Names of the fields in the path, in its order."""
        return re.findall(r"\{([^}]*)\}", self.path)

    @property
    def shape(self):
        """The path as a router sees it: names of parameters do not tell two routes apart."""
        return re.sub(r"\{[^}]*\}", "{}", self.path)


@dataclass
class Topic:
    name: str
    doc: str
    line: int


@dataclass
class Property:
    name: str  # PascalCase
    field: object  # of the resource's type
    set: object = None  # Method
    set_service: object = None
    set_key: str = ""  # the input field of set that is the key


@dataclass
class Resource:
    name: str
    path: str
    type_name: str
    key: str
    get: str
    list: str
    destroy: str
    doc: str
    line: int
    overrides: dict = field(default_factory=dict)  # field → (name, set, hidden, line)
    # Resolved:
    type: object = None
    get_method: object = None
    get_input: str = ""
    get_output: str = ""
    list_method: object = None
    list_output: str = ""  # "cluster", or "catalogue/image" through one type
    destroy_method: object = None
    destroy_service: object = None
    destroy_input: str = ""
    properties: list = field(default_factory=list)


def pascal(name):
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


class DoorChecks:
    """Reads and checks the doors' part of all definitions for a service_definition.Reader."""

    def __init__(self, reader, q):
        self.reader = reader
        self.q = q

    def find(self, service, line, sentence):
        self.reader.find(service.file, line, sentence)

    # ---- reading ----

    def rest_of(self, item):
        text = item.get("rest")
        if text is None:
            return None
        verb, _, path = text.strip().partition(" ")
        return Rest(verb, path.strip(), item.get("rest-body", ""), item.get("rest-answer", ""))

    def topics_of(self, root, text_of):
        return [Topic(t.get("name", ""), text_of(t), t.sourceline) for t in root.findall(self.q + "topic")]

    def resources_of(self, root, text_of):
        resources = []
        for item in root.findall(self.q + "resource"):
            resource = Resource(*(item.get(a, "") for a in ("name", "path", "type", "key", "get", "list", "destroy")),
                                text_of(item), item.sourceline)
            for p in item.findall(self.q + "property"):
                resource.overrides.setdefault(p.get("field", ""), []).append(
                    (p.get("name", ""), p.get("set", ""), p.get("hidden") == "yes", p.sourceline))
            resources.append(resource)
        return resources

    # ---- checking ----

    def check(self, services):
        self.services = services
        for service in services.values():
            for method in service.methods:
                self.check_faults(service, method)
                self.check_states(service, method)
                self.check_rest(service, method)
            self.check_topics(service)
            for resource in service.resources:
                self.check_resource(service, resource)
            self.check_resource_names(service)
        self.check_routes()
        for service in services.values():
            for method in service.methods:
                if method.creates and method.rest is not None:
                    self.find_location(service, method)

    def check_faults(self, service, method):
        if method.one_way and method.faults:
            self.find(service, method.line, f"the method '{method.name}' is one-way and cannot have faults")
        for code in method.faults:
            if code not in FAULT_CODES:
                self.find(service, method.line, f"the method '{method.name}' has the unknown fault '{code}'; "
                          f"there are {', '.join(FAULT_CODES)}")
            elif method.faults.count(code) > 1:
                self.find(service, method.line, f"the method '{method.name}' has the fault '{code}' twice")

    def check_states(self, service, method):
        if not method.states:
            return
        for word in method.states:
            if method.states.count(word) > 1:
                self.find(service, method.line, f"the method '{method.name}' has the state '{word}' twice")
        enums = self.state_enums(service, set())
        if any(set(method.states) <= words for _, words in enums):
            return
        known = "; ".join(f"{name}: {', '.join(sorted(words))}" for name, words in enums) or "none"
        self.find(service, method.line, f"the states '{' '.join(method.states)}' of the method '{method.name}' are not "
                  f"words of one enum that is named …State, here or in an imported service ({known})")

    def state_enums(self, service, seen):
        """(name, words) of every enum of states that the service sees, also through what it imports."""
        if service.name in seen:
            return []
        seen.add(service.name)
        found = [(e.name, {v[0] for v in e.values}) for e in service.enums if e.name.endswith("State")]
        for other in service.imported:
            found += self.state_enums(other, seen)
        return found

    def check_rest(self, service, method):
        rest, name = method.rest, method.name

        def wrong(sentence):
            self.find(service, method.line, f"the method '{name}' {sentence}")

        if rest is None:
            for attribute, used in (("rest-body", method.rest_body), ("rest-answer", method.rest_answer),
                                    ("creates", method.creates)):
                if used:
                    wrong(f"has {attribute} and no rest; it says something about a REST route")
            return
        if rest.verb not in VERBS:
            return wrong(f"has the unknown REST verb '{rest.verb}'; write rest=\"VERB /path\" with one of "
                         + ", ".join(VERBS))
        parts = rest.path.split("/")
        if parts[0] or len(parts) < 2 or not all(SEGMENT.fullmatch(part) for part in parts[1:]):
            return wrong(f"has the REST path '{rest.path}'; a path is /word/{{field}}/…, words in small letters with -")
        if rest.verb == "GET" and not method.read_only:
            wrong("answers GET and may change something; give it another verb, or read-only=\"yes\" if it changes nothing")
        if rest.verb not in ("GET", "POST") and method.read_only:
            wrong(f"is read-only and has the verb {rest.verb}; use GET, or POST for what asks with a body")
        if method.one_way and rest.verb != "POST":
            wrong(f"is one-way and has the verb {rest.verb}; use POST")
        if method.creates and rest.verb not in ("POST", "PUT"):
            wrong(f"creates something and has the verb {rest.verb}; use POST or PUT")
        if method.access in ("controller", "internal"):
            wrong(f"has a REST route and the access {method.access}: only what people may call has one")
        self.check_path_fields(service, method, wrong)
        self.check_bodies(service, method, wrong)

    def check_path_fields(self, service, method, wrong):
        rest = method.rest
        fields = {f.name: f for f in method.request.fields}
        parameters = [p for p in rest.parameters if p != service.instance]
        for name in sorted(set(parameters)):
            if rest.parameters.count(name) > 1:
                wrong(f"has {{{name}}} twice in its REST path")
            elif name not in fields:
                wrong(f"has {{{name}}} in its REST path and no such input field; "
                      f"it has {', '.join(fields) or 'none'}")
            elif fields[name].list or fields[name].optional or fields[name].kind not in PLAIN:
                wrong(f"has {{{name}}} in its REST path; only one value of a simple type that is always there can "
                      "stand in a path")
        if service.instance:
            if service.instance not in rest.parameters:
                wrong(f"lacks {{{service.instance}}} in its REST path: it says which instance of the service is meant")
            if service.instance in fields:
                wrong(f"has the input field '{service.instance}', which its REST path needs for the service's instance")
        if rest.verb in QUERY_VERBS:
            for f in method.request.fields:
                if f.name not in parameters and f.kind not in PLAIN:
                    wrong(f"has the input field '{f.name}' of the type {f.type}, which cannot be a query parameter of "
                          f"{rest.verb}; use POST")

    def check_bodies(self, service, method, wrong):
        rest = method.rest
        rest_fields = [f for f in method.request.fields if f.name not in rest.parameters]
        if rest.body:
            if rest.verb in QUERY_VERBS:
                wrong(f"has rest-body and the verb {rest.verb}, which has no body")
            elif [f.name for f in rest_fields] != [rest.body] or rest_fields[0].kind != "struct" or \
                    rest_fields[0].list or rest_fields[0].optional:
                wrong(f"has rest-body=\"{rest.body}\"; it must be the only input field beside the path's, one value of a "
                      "type")
        if rest.answer:
            fields = method.response.fields if method.response else []
            if [f.name for f in fields] != [rest.answer] or fields[0].kind != "struct" or fields[0].list or \
                    fields[0].optional:
                wrong(f"has rest-answer=\"{rest.answer}\"; it must be the only output field, one value of a type")

    def check_routes(self):
        routes = {}
        for service in sorted(self.services.values(), key=lambda s: s.file):
            for method in service.methods:
                if method.rest is None:
                    continue
                key = (method.rest.verb, method.rest.shape)
                if key in routes:
                    other, its = routes[key]
                    self.find(service, method.line, f"the method '{method.name}' has the REST route {method.rest.verb} "
                              f"{method.rest.path} of '{its.name}' ({other.file}:{its.line})")
                routes.setdefault(key, (service, method))

    def find_location(self, service, method):
        """Where what the method makes is found: GET of its path and one more parameter, which its answer or its
        input has."""
        wanted = method.rest.shape + "/{}"
        for other in sorted(self.services.values(), key=lambda s: s.file):
            for get in other.methods:
                if get.rest is None or get.rest.verb != "GET" or get.rest.shape != wanted:
                    continue
                last = get.rest.parameters[-1]
                # By which the resource itself is known: NAME:VERSION, where NAME alone may soon be another one.
                keys = [resource.key for resource in other.resources if resource.get == get.name]
                source = next(filter(None, (self.source_in(method.response, key) for key in keys)), "") or (
                    self.source_in(method.response, last) or self.source_in(method.request, last))
                if source:
                    head = get.rest.path[:-len("{" + last + "}")]
                    for theirs, ours in zip(get.rest.parameters, method.rest.parameters):
                        head = head.replace("{" + theirs + "}", "{" + ours + "}")
                    method.rest.location = f"{head}{{{source}}}"
                    return
        self.find(service, method.line, f"the method '{method.name}' creates something, but there is no GET "
                  f"{method.rest.path}/{{x}} whose x its answer or its input holds: nobody could find what it made")

    @staticmethod
    def source_in(struct, name):
        """The path to a plain field of the name that is always there; "": there is none."""
        fields = struct.fields if struct else []
        if any(f.name == name and not f.list and f.kind in PLAIN for f in fields):
            return name
        for f in fields:
            if f.kind == "struct" and not f.list and not f.optional and any(
                    g.name == name and not g.list and g.kind in PLAIN for g in f.target.fields):
                return f"{f.name}.{name}"
        return ""

    def check_topics(self, service):
        lines = {}
        for topic in service.topics:
            if topic.name in lines:
                self.find(service, topic.line, f"the topic '{topic.name}' stands here twice (line {lines[topic.name]})")
            lines.setdefault(topic.name, topic.line)

    # ---- resources ----

    def check_resource(self, service, resource):
        def wrong(sentence, line=resource.line):
            self.find(service, line, f"the resource '{resource.name}' {sentence}")

        found = [t for t in service.types if t.name == resource.type_name]
        if not found:
            own = ", ".join(t.name for t in service.types) or "none"
            return wrong(f"is of the unknown type '{resource.type_name}'; this service has {own}")
        resource.type = found[0]
        key = next((f for f in resource.type.fields if f.name == resource.key), None)
        if key is None or key.list or key.optional or key.kind not in PLAIN:
            return wrong(f"has the key '{resource.key}', which is no field of {resource.type_name} of a simple type "
                         "that is always there")
        self.resolve_get(service, resource, wrong)
        self.resolve_list(service, resource, wrong)
        if resource.destroy:
            self.resolve_destroy(service, resource, wrong)
        self.resolve_properties(service, resource, wrong)

    def method_named(self, service, word, wrong, what, line=None):
        """(service, method) of 'METHOD' or 'SERVICE:METHOD'; (None, None) after a finding."""
        more = {} if line is None else {"line": line}
        prefix, _, name = word.rpartition(":")
        owner = self.services.get(prefix) if prefix else service
        if owner is None:
            wrong(f"has {what}=\"{word}\" and there is no definition of the service '{prefix}'", **more)
            return None, None
        method = next((m for m in owner.methods if m.name == name), None)
        if method is None:
            wrong(f"has {what}=\"{word}\" and {owner.name} has no such method", **more)
            return None, None
        return owner, method

    @staticmethod
    def sole_required(method):
        """The name of the only input field that must be given, when it is one value of a simple type; else empty."""
        needed = [f for f in method.request.fields if not f.optional and not f.list]
        return needed[0].name if len(needed) == 1 and needed[0].kind in PLAIN else ""

    def resolve_get(self, service, resource, wrong):
        _, method = self.method_named(service, resource.get, wrong, "get")
        if method is None:
            return
        given = self.sole_required(method)
        outputs = [f for f in (method.response.fields if method.response else [])
                   if f.target is resource.type and not f.list and not f.optional]
        if not method.read_only or not given or len(outputs) != 1:
            wrong(f"has get=\"{resource.get}\", which must be read-only, ask for one value (the key) and answer one "
                  f"{resource.type_name}")
            return
        resource.get_method, resource.get_input, resource.get_output = method, given, outputs[0].name

    def resolve_list(self, service, resource, wrong):
        _, method = self.method_named(service, resource.list, wrong, "list")
        if method is None:
            return
        found = []
        for f in method.response.fields if method.response else []:
            if f.target is resource.type and f.list:
                found.append(f.name)
            elif f.kind == "struct" and not f.list and not f.optional:
                found += [f"{f.name}/{g.name}" for g in f.target.fields if g.target is resource.type and g.list]
        needed = [f.name for f in method.request.fields if not f.optional and not f.list]
        if not method.read_only or needed or len(found) != 1:
            wrong(f"has list=\"{resource.list}\", which must be read-only, need no input and answer one list of "
                  f"{resource.type_name}")
            return
        resource.list_method, resource.list_output = method, found[0]

    def resolve_destroy(self, service, resource, wrong):
        owner, method = self.method_named(service, resource.destroy, wrong, "destroy")
        if method is None:
            return
        given = self.sole_required(method)
        if method.read_only or method.one_way or not given:
            wrong(f"has destroy=\"{resource.destroy}\", which must change something, answer, and ask for one value "
                  "(the key)")
            return
        resource.destroy_service, resource.destroy_method, resource.destroy_input = owner, method, given

    def resolve_properties(self, service, resource, wrong):
        fields = {f.name: f for f in resource.type.fields}
        for name, said in resource.overrides.items():
            if name not in fields:
                wrong(f"has a property of the field '{name}', which {resource.type_name} has not", line=said[0][3])
            if len(said) > 1:
                wrong(f"has two properties of the field '{name}' (line {said[0][3]})", line=said[1][3])
        names = {}
        for f in resource.type.fields:
            name, setter, hidden, line = resource.overrides.get(f.name, [("", "", False, resource.line)])[0]
            if hidden and (name or setter):
                wrong(f"hides the field '{f.name}' and says more of it", line=line)
            if hidden:
                continue
            item = Property(name or pascal(f.name), f)
            if item.name in names:
                wrong(f"has the property '{item.name}' for the fields '{names[item.name]}' and '{f.name}'", line=line)
            names[item.name] = f.name
            if setter:
                item.set_service, item.set, item.set_key = self.setter_of(service, resource, f, setter, line, wrong)
            resource.properties.append(item)

    def setter_of(self, service, resource, f, setter, line, wrong):
        owner, method = self.method_named(service, setter, wrong, "set", line)
        if method is None:
            return None, None, ""
        inputs = {g.name: g for g in method.request.fields}
        value = inputs.get(f.name)
        others = [g for g in method.request.fields if g is not value and not g.optional and not g.list]
        fits = value is not None and value.kind == f.kind and value.target is f.target and value.list == f.list
        if method.read_only or method.one_way or not fits or len(others) != 1 or others[0].kind not in PLAIN:
            wrong(f"has set=\"{setter}\" for '{f.name}', which must change something, answer, and ask for the key and "
                  f"for '{f.name}' of the same type", line=line)
            return None, None, ""
        return owner, method, others[0].name

    def check_resource_names(self, service):
        names, paths, properties = {}, {}, {}
        for resource in service.resources:
            for what, value, seen in (("name", resource.name, names), ("path", resource.path, paths)):
                if value in seen:
                    self.find(service, resource.line, f"the resource '{resource.name}' has the {what} '{value}' of "
                              f"another (line {seen[value]})")
                seen.setdefault(value, resource.line)
            for p in resource.properties:
                form = (p.field.type, p.field.target_service.name if p.field.target_service else "")
                before = properties.setdefault(p.name, (form, resource.name))
                if before[0] != form:
                    self.find(service, resource.line, f"the property '{p.name}' of '{resource.name}' is of another type "
                              f"than that of '{before[1]}': in one namespace both are one element; give one of them "
                              "another name with <property>")
