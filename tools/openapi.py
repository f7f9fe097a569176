"""The OpenAPI 3.1 document of all REST routes, made from service definitions.

Every type is a schema, every route an operation with its parameters, body, answers and problems (RFC 9457), its access
and states as x-nuraghe-access and x-nuraghe-states, and examples that validate against their schemas. The document
depends on the definitions alone.
"""

import json

from service_doors import DOOR_FAULTS, QUERY_VERBS
from service_definition import pascal

# As net::http_status has it; a contract test compares both.
STATUS = {"invalid": 400, "denied": 403, "not-found": 404, "conflict": 409, "exhausted": 503, "unavailable": 503,
          "timeout": 504, "unsupported": 501, "cancelled": 409, "corrupt": 500, "internal": 500}
REASON = {400: "The request is wrong; repeating it cannot succeed", 401: "There is no token, or it is not valid",
          403: "The caller may not do this", 404: "What was named does not exist",
          409: "The state does not allow it, somebody else was first, or it was cancelled",
          412: "The entity tag is another now", 500: "It failed for good",
          501: "This driver, build or host cannot do it",
          503: "A resource or limit is used up, or a peer does not answer now", 504: "It was not done within its time"}

SIMPLE = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int": {"type": "integer", "format": "int32", "minimum": -2**31, "maximum": 2**31 - 1},
    "long": {"type": "integer", "format": "int64"},
    "double": {"anyOf": [{"type": "number", "format": "double"}, {"type": "string", "enum": ["INF", "-INF", "NaN"]}]},
    "bytes": {"type": "integer", "format": "int64", "description": "A number of bytes."},
    "time": {"type": "string", "format": "date-time"},
    "duration": {"type": "string", "format": "duration"},
    "any": {"type": "string", "description": "One XML element, as text."},
    "epr": {"$ref": "#/components/schemas/EndpointReference"},
}
EXAMPLES = {"string": "text", "boolean": True, "int": 2, "long": 4096, "double": 0.5, "bytes": 1073741824,
            "time": "2030-01-31T12:00:00.000000Z", "duration": "PT90S", "any": "<element xmlns=\"urn:example\"/>",
            "epr": {"address": "http://localhost/services/vhf/hosts/vh-1"}}
# What a string of this name looks like.
NAMED_EXAMPLES = {"id": "c-1", "cluster": "c-1", "host": "vh-1", "name": "example", "vo": "physics",
                  "physical_host": "host-1", "address": "http://localhost/services/host-1", "digest": "sha256:4f53cda1",
                  "subnet": "10.7.0.0/24", "site": "here", "driver": "qemu", "image": "debian@sha256:4f53cda1"}
PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457): what happened, to what, why and what to do next.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for people."},
        "instance": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string", "enum": sorted(STATUS)},
        "context": {"type": "array", "items": {"type": "string"},
                    "description": "What was being done, outermost first."},
        "trace_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
}


def schema_name(service, struct):
    return pascal(service.name) + struct.name


def value_schema(f):
    """The schema of one value of a field."""
    if f.target is None:
        return dict(SIMPLE[f.type])
    return {"$ref": "#/components/schemas/" + schema_name(f.target_service, f.target)}


def field_schema(f):
    schema = value_schema(f)
    if f.list:
        schema = {"type": "array", "items": schema}
    if f.doc:
        schema["description"] = f.doc
    return schema


def object_schema(fields, doc, is_closed):
    """Of some fields. Closed: it is read here, and whatever else stands in it is refused; a list may be missing then."""
    schema = {"type": "object"}
    if doc:
        schema["description"] = doc
    schema["properties"] = {f.name: field_schema(f) for f in fields}
    required = [f.name for f in fields if not f.optional and not (f.list and is_closed)]
    if required:
        schema["required"] = required
    if is_closed:
        schema["additionalProperties"] = False
    return schema


def example_of(f, depth=0):
    if f.kind == "enum":
        one = f.target.values[0][0]
    elif f.kind == "struct":
        one = object_example(f.target.fields, depth + 1)
    elif f.type == "string":
        one = NAMED_EXAMPLES.get(f.name, EXAMPLES["string"])
    else:
        one = EXAMPLES[f.type]
    return [one] if f.list else one


def object_example(fields, depth=0):
    """Lists of structures stay empty below the first level: a type may hold itself."""
    values = {}
    for f in fields:
        if f.optional:
            continue
        values[f.name] = [] if f.list and depth > 0 and f.kind == "struct" else example_of(f, depth)
    return values


class Document:
    def __init__(self, services):
        self.services = services
        self.read_types = set()  # ids of the types that stand in a request
        self.used = {}  # schema name → (service, type)

    # ---- schemas ----

    def collect(self, fields, is_read):
        for f in fields:
            if f.target is None:
                continue
            name = schema_name(f.target_service, f.target)
            is_new = name not in self.used or (is_read and id(f.target) not in self.read_types)
            self.used[name] = (f.target_service, f.target)
            if is_read:
                self.read_types.add(id(f.target))
            if is_new and f.kind == "struct":
                self.collect(f.target.fields, is_read)

    def schemas(self):
        made = {"Problem": PROBLEM, "EndpointReference": {
            "type": "object", "description": "The address of a service or resource (WS-Addressing 1.0).",
            "properties": {"address": {"type": "string", "format": "uri-reference"}}, "required": ["address"],
            "additionalProperties": False}}
        for name, (_, target) in sorted(self.used.items()):
            if target.kind == "enum":
                made[name] = {"type": "string", "enum": [v[0] for v in target.values]}
                words = [f"{v[0]}: {v[1]}" for v in target.values if v[1]]
                text = " ".join([target.doc, *words]).strip()
                if text:
                    made[name]["description"] = text
            else:
                made[name] = object_schema(target.fields, target.doc, id(target) in self.read_types)
        return made

    # ---- operations ----

    def parameters_of(self, service, method):
        rest = method.rest
        fields = {f.name: f for f in method.request.fields}
        parameters = []
        for name in rest.parameters:
            if name == service.instance:
                parameters.append({"name": name, "in": "path", "required": True, "schema": {"type": "string"},
                                   "description": f"Which {service.title} is meant."})
                continue
            parameters.append(self.parameter(fields[name], "path"))
        if rest.verb in QUERY_VERBS:
            parameters += [self.parameter(f, "query") for f in method.request.fields if f.name not in rest.parameters]
        if self.list_field(method) is not None:
            parameters += self.list_parameters(method, {p["name"] for p in parameters})
        shared = {"GET": ["IfNoneMatch"], "POST": ["IfMatch", "IdempotencyKey", "Prefer"],
                  "PUT": ["IfMatch", "IdempotencyKey", "Prefer"], "PATCH": ["IfMatch", "IdempotencyKey", "Prefer"],
                  "DELETE": ["IfMatch", "IdempotencyKey", "Prefer"]}[rest.verb]
        return parameters + [{"$ref": f"#/components/parameters/{name}"} for name in ["TraceParent", *shared]]

    @staticmethod
    def parameter(f, place):
        schema = value_schema(f)
        parameter = {"name": f.name, "in": place, "required": place == "path" or not (f.optional or f.list)}
        if f.doc:
            parameter["description"] = f.doc
        if f.list:
            schema = {"type": "array", "items": schema}
            parameter["style"] = "form"
            parameter["explode"] = True
        parameter["schema"] = schema
        return parameter

    @staticmethod
    def answer_fields(method):
        if method.rest.answer:
            return method.response.fields[0].target.fields
        return method.response.fields

    def list_field(self, method):
        """The only field of an answer that is nothing but a list."""
        if method.response is None or not method.read_only:
            return None
        fields = self.answer_fields(method)
        return fields[0] if len(fields) == 1 and fields[0].list else None

    def list_parameters(self, method, taken):
        items = self.list_field(method)
        fields = items.target.fields if items.kind == "struct" else []
        parameters = [{"$ref": "#/components/parameters/Cursor"}]
        if "limit" not in taken:
            parameters.insert(0, {"$ref": "#/components/parameters/Limit"})
        for f in fields:
            is_simple = not f.list and f.kind not in ("struct", "any", "epr")
            if is_simple and f.name not in taken and f.name not in ("limit", "cursor"):
                parameters.append({"name": f.name, "in": "query", "required": False, "style": "form", "explode": True,
                                   "description": f"Only items whose {f.name} is this, or one of these.",
                                   "schema": {"type": "array", "items": value_schema(f)}})
        return parameters

    def body_of(self, method):
        rest = method.rest
        if rest.verb in QUERY_VERBS:
            return None
        if rest.body:
            f = next(f for f in method.request.fields if f.name == rest.body)
            content = {"schema": value_schema(f), "example": object_example(f.target.fields)}
            return {"required": True, "content": {"application/json": content}}
        fields = [f for f in method.request.fields if f.name not in rest.parameters]
        if not fields:
            return None
        content = {"schema": object_schema(fields, "", True), "example": object_example(fields)}
        return {"required": any(not f.optional and not f.list for f in fields),
                "content": {"application/json": content}}

    def responses_of(self, method):
        responses = {}
        if method.one_way:
            responses["202"] = {"description": "It was taken; there is no answer."}
        else:
            fields = self.answer_fields(method)
            status = "201" if method.creates else ("200" if fields else "204")
            answer = {"description": {"201": "Made; Location says where it is.", "200": "Done.",
                                      "204": "Done; there is nothing to say."}[status]}
            headers = {}
            if method.creates:
                headers["Location"] = {"$ref": "#/components/headers/Location"}
            if method.rest.verb == "GET":
                headers["ETag"] = {"$ref": "#/components/headers/ETag"}
            if self.list_field(method) is not None:
                headers["Link"] = {"$ref": "#/components/headers/Link"}
            if headers:
                answer["headers"] = headers
            if fields:
                schema = value_schema(method.response.fields[0]) if method.rest.answer else object_schema(fields, "", False)
                answer["content"] = {"application/json": {"schema": schema, "example": object_example(fields)}}
            responses[status] = answer
            if method.rest.verb == "GET":
                responses["304"] = {"description": "It is as If-None-Match has it."}
            else:
                responses["202"] = {"description": "It goes on (Prefer: respond-async); Location says where to look.",
                                    "headers": {"Location": {"$ref": "#/components/headers/Location"}}}
        statuses = {STATUS[code] for code in [*DOOR_FAULTS, *method.faults]} | {401, 500}
        if method.rest.verb != "GET":
            statuses.add(412)
        for status in sorted(statuses):
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        return dict(sorted(responses.items()))

    def operation(self, service, method, operation_id):
        made = {"operationId": operation_id, "tags": [service.name], "summary": method.summary}
        if method.doc and method.doc.rstrip(".") != method.summary:
            made["description"] = method.doc
        made["parameters"] = self.parameters_of(service, method)
        body = self.body_of(method)
        if body:
            made["requestBody"] = body
        made["responses"] = self.responses_of(method)
        made["x-nuraghe-access"] = method.access
        made["x-nuraghe-faults"] = sorted({*DOOR_FAULTS, *method.faults})
        if method.states:
            made["x-nuraghe-states"] = method.states
        made["x-nuraghe-operation"] = f"{service.name}:{method.name}"
        return made

    def paths(self):
        exposed = [(s, m) for s in self.services for m in s.methods if m.rest is not None]
        names = [m.name for _, m in exposed]
        paths = {}
        for service, method in exposed:
            if method.rest.verb not in QUERY_VERBS:
                self.collect([f for f in method.request.fields if f.name not in method.rest.parameters], True)
            else:
                self.collect(method.request.fields, True)
            if method.response is not None:
                self.collect(method.response.fields, False)
            operation_id = method.name if names.count(method.name) == 1 else f"{service.name}_{method.name}"
            paths.setdefault(method.rest.path, {})[method.rest.verb.lower()] = self.operation(service, method, operation_id)
        return self.with_one_name_per_place(paths)

    @staticmethod
    def with_one_name_per_place(paths):
        """Routes that differ by names of parameters only are one path in OpenAPI: the first one's names are taken."""
        import re
        shapes = {}
        merged = {}
        for path in sorted(paths):
            shape = re.sub(r"\{[^}]*\}", "{}", path)
            first = shapes.setdefault(shape, path)
            ours, theirs = re.findall(r"\{([^}]*)\}", path), re.findall(r"\{([^}]*)\}", first)
            for verb, operation in paths[path].items():
                for parameter in operation["parameters"]:
                    if parameter.get("in") == "path" and parameter["name"] in ours:
                        parameter["name"] = theirs[ours.index(parameter["name"])]
                merged.setdefault(first, {})[verb] = operation
        return merged

    def make(self, title):
        paths = self.paths()
        return {
            "openapi": "3.1.0",
            "info": {"title": title, "version": "1",
                     "description": "Made from the service definitions. Fields stand under their own names; an unknown, "
                     "missing or repeated one is refused by its path."},
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}],
            "tags": [{"name": s.name, "description": f"{s.title}. {s.doc}".strip()} for s in self.services
                     if any(m.rest is not None for m in s.methods)],
            "paths": paths,
            "components": {"schemas": self.schemas(), "parameters": PARAMETERS, "headers": HEADERS,
                           "responses": {f"Problem{status}": {
                               "description": REASON[status],
                               "content": {"application/problem+json": {
                                   "schema": {"$ref": "#/components/schemas/Problem"}}}} for status in sorted(REASON)},
                           "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        }


def header(name, description, schema=None):
    return {"name": name, "in": "header", "required": False, "description": description,
            "schema": schema or {"type": "string"}}


PARAMETERS = {
    "TraceParent": header("traceparent", "The caller's place in a trace (W3C Trace Context)."),
    "IfMatch": header("If-Match", "Only if what is changed still has this entity tag."),
    "IfNoneMatch": header("If-None-Match", "304 if it still has this entity tag."),
    "IdempotencyKey": header("Idempotency-Key", "The same key again, by the same caller, is answered as the first time.",
                             {"type": "string", "minLength": 1, "maxLength": 255}),
    "Prefer": header("Prefer", "respond-async: answer 202 once it is at work."),
    "Limit": {"name": "limit", "in": "query", "required": False, "description": "At most so many items.",
              "schema": {"type": "integer", "minimum": 1}},
    "Cursor": {"name": "cursor", "in": "query", "required": False,
               "description": "Of the Link rel=\"next\" of another page: goes on behind it.", "schema": {"type": "string"}},
}
HEADERS = {
    "Location": {"description": "Where it is found.", "schema": {"type": "string", "format": "uri-reference"}},
    "ETag": {"description": "The entity tag of this state.", "schema": {"type": "string"}},
    "Link": {"description": "rel=\"next\": the next page; without it this is the last.", "schema": {"type": "string"}},
}


def document(services, title="Nuraghe"):
    """The document's text; services in the order of their names."""
    return json.dumps(Document(services).make(title), ensure_ascii=False, indent=1) + "\n"
