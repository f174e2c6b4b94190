# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: it describes what is served, and a tester that knows nothing else finds no fault by it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from google.cloud.redis_v1 import CreateInstanceRequest, Instance, OperationMetadata
from google.protobuf import any_pb2, descriptor_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.rpc import status_pb2

from example.library.v1 import library_pb2
from longrunning import HttpBinding, LroMethod, TypeRegistry
from longrunning.rest import OperationsBindings, asgi_app
from longrunning.server import NamePattern
from tests.pair.asgi_serving import DELETE, bound, site
from tests.pair.serving import handled
from tests.unit.builders import add_message, file_set, proto_file


def run(playing: Coroutine[Any, Any, None], seconds: float = 60) -> None:
    """Plays a scenario; one that hangs fails."""
    asyncio.run(asyncio.wait_for(playing, seconds))


def described(register: Any = None, **options: Any) -> Any:
    """The document of a server; `app` are arguments of `asgi_app`."""
    found: list[Any] = []

    async def scenario() -> None:
        async with site(*([register] if register else []), **options) as here:
            found.append((await here.get("/openapi.json")).ok)

    run(scenario())
    return found[0]


def references(value: Any) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(value, dict):
        items: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        if isinstance(items.get("$ref"), str):
            yield items["$ref"]
        for item in items.values():
            yield from references(item)
    elif isinstance(value, list):
        several: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        for item in several:
            yield from references(item)


def no_methods(server: Any) -> None:
    """Registers nothing."""


async def nothing(request: Any, context: Any) -> Any:
    """A handler."""
    return None


def _request() -> Any:
    needs = ("protobuf/any", "protobuf/struct", "protobuf/timestamp", "protobuf/wrappers", "rpc/status")
    file = proto_file("openapi.proto", "openapi", needs=tuple(f"google/{name}.proto" for name in needs))
    add_message(file, "Inner", book_count="int32", data="bytes")
    request = add_message(
        file, "Request", fields="string", count="int64", inner=".openapi.Inner", inners="repeated .openapi.Inner",
        struct=".google.protobuf.Struct", value=".google.protobuf.Value", list=".google.protobuf.ListValue", any=".google.protobuf.Any",
        wrapped=".google.protobuf.BytesValue", time=".google.protobuf.Timestamp", by_name="repeated .openapi.Request.ByNameEntry",
        sizes="repeated double", kinds=".google.rpc.Status",
    )  # fmt: skip
    entry = request.nested_type.add(name="ByNameEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, label=1, type=9)
    files: list[Any] = []
    for module in (any_pb2, struct_pb2, timestamp_pb2, wrappers_pb2, status_pb2):
        files.append(descriptor_pb2.FileDescriptorProto())
        module.DESCRIPTOR.CopyToProto(files[-1])
    kind = TypeRegistry.from_file_descriptor_set(file_set(*files, file)).find("openapi.Request")
    assert kind is not None
    return kind.cls


REQUEST: Any = _request()


def test_paths() -> None:
    """Every binding is in the document, with the parameters of its path, and every reference leads somewhere (REST-1)."""
    document = described()
    operations = {
        f"{verb} {path}": operation["operationId"]
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    }
    assert operations == {
        "get /v1/shelves/{shelf}/operations": "ListOperations",
        "get /v1/shelves/{shelf}/operations/{operation}": "GetOperation",
        "delete /v1/shelves/{shelf}/operations/{operation}": "DeleteOperation",
        "post /v1/shelves/{shelf}/operations/{operation}:cancel": "CancelOperation",
        "post /v1/shelves/{shelf}/operations/{operation}:wait": "WaitOperation",
        "post /v1/shelves/{shelves_id}/books:import": "Library_ImportBooks",
        "post /v1/shelves": "Library_CreateShelf",
        "delete /v1/shelves/{shelves_id}": "Library_DeleteShelf",
    }
    for path, item in document["paths"].items():
        for operation in item.values():
            of_path = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
            assert of_path == re.findall(r"\{(\w+)\}", path)
    for reference in references(document):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_requests_and_replies() -> None:
    """Requests have their body and their query parameters, and replies the types of the method's payloads (REST-1)."""
    document = described()
    create = document["paths"]["/v1/shelves"]["post"]
    assert [parameter["name"] for parameter in create["parameters"]] == ["$alt", "fields", "prettyPrint", "shelfId"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    assert body["$ref"] == "#/components/schemas/example.library.v1.Shelf"
    schemas = document["components"]["schemas"]
    assert schemas["example.library.v1.Shelf"]["properties"]["bookCount"]["format"] == "int32"
    reply = create["responses"]["200"]["content"]["application/json"]["schema"]
    payloads = reply["allOf"][1]["properties"]
    assert payloads["response"]["allOf"][0]["$ref"].endswith("example.library.v1.Shelf")
    url = payloads["metadata"]["allOf"][1]["properties"]["@type"]["const"]
    assert url == "type.googleapis.com/example.library.v1.OperationMetadata"
    assert schemas["example.library.v1.OperationMetadata"]["properties"]["createTime"]["format"] == "date-time"
    assert create["responses"]["default"]["$ref"] == "#/components/responses/Error"


def test_names_without_a_parent() -> None:
    """The paths of the document are those of the names that operations have here (REST-1)."""
    document = described(handled(DELETE, nothing), names=NamePattern("operations/{operation}"), app={"prefix": "/x"})
    assert list(document["paths"])[:2] == ["/x/operations", "/x/operations/{operation}"]


def test_bindings_nobody_can_reach() -> None:
    """A binding that no operation of this server could have is not described (REST-1)."""
    get = HttpBinding(verb="GET", path="/v1/{name=jobs/*}")
    bindings = OperationsBindings(
        get=(get,), list=(get,), cancel=(get,), delete=(HttpBinding(verb="DELETE", path="/o/{name=**}"),)
    )
    with pytest.raises(ValueError, match="one HTTP binding"):
        asgi_app(bound(), bindings=bindings)
    other = HttpBinding(verb="GET", path="/v1/jobs/{name}")
    post = HttpBinding(verb="POST", path="/v1/{name=jobs/*}:cancel", body="*")
    fitting = OperationsBindings(
        get=(get,), list=(other,), cancel=(post,), delete=(HttpBinding(verb="DELETE", path="/o/{name=**}"),)
    )
    document = described(no_methods, app={"bindings": fitting})
    assert list(document["paths"]) == ["/o/shelves/{shelf}/operations/{operation}"]


def test_one_name_for_each() -> None:
    """No two operations have one operationId, and no two paths differ in the names of their parameters only (REST-1)."""

    def method(path: str, request: Any, binding: HttpBinding) -> Any:
        return LroMethod(
            path=path, request_type=request, response_type=empty_pb2.Empty, metadata_type=empty_pb2.Empty, http=binding
        )

    def register(server: Any) -> None:
        for package in ("a.v1", "a.v2"):
            binding = HttpBinding(verb="POST", path=f"/{package}/{{parent=shelves/*}}/books:import", body="*")
            handled(method(f"/{package}.Library/ImportBooks", library_pb2.ImportBooksRequest, binding), nothing)(server)
        create = library_pb2.CreateShelfRequest
        for verb, path in (("PUT", "/v1/shelves/{shelf_id}"), ("PATCH", "/v1/{shelf.name=shelves/*}")):
            binding = HttpBinding(verb=verb, path=path, body="shelf")
            handled(method(f"/a.v1.Library/{verb}", create, binding), nothing, parent="shelves/1")(server)

    usual = OperationsBindings.under("/v1")
    twice = dataclasses.replace(usual, get=(*usual.get, HttpBinding(verb="GET", path="/v2/{name=**}")))
    document = described(register, app={"bindings": twice})
    identifiers = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(identifiers)) == len(identifiers)
    assert {"GetOperation", "GetOperation_2", "Library_ImportBooks", "a_v2_Library_ImportBooks"} <= set(identifiers)
    assert set(document["paths"]["/v1/shelves/{shelf_id}"]) == {"put", "patch"}
    shapes = [re.sub(r"{[^}]*}", "{}", path) for path in document["paths"]]
    assert len(set(shapes)) == len(shapes)
    for path, item in document["paths"].items():
        for operation in item.values():
            of_path = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
            assert of_path == re.findall(r"\{(\w+)\}", path)


def test_query_parameters() -> None:
    """What is described as a query parameter is taken, by the name that is described, and what is not taken is not there (REST-2)."""
    method = LroMethod(
        path="/a.B/C",
        request_type=REQUEST,
        response_type=empty_pb2.Empty,
        metadata_type=empty_pb2.Empty,
        http=HttpBinding(verb="PUT", path="/v1/x"),
    )
    values = {"date-time": "2020-01-01T00:00:00Z", "base64": "YQ", "number": "1", "integer": "1", "string": "1"}

    async def scenario() -> None:
        async with site(handled(method, nothing, parent="shelves/1")) as here:
            described = (await here.get("/openapi.json")).ok["paths"]["/v1/x"]["put"]["parameters"]
            names = [parameter["name"] for parameter in described if parameter["name"] not in {"$alt", "prettyPrint"}]
            assert names == [
                "$fields",
                "fields",
                "count",
                "inner.bookCount",
                "inner.data",
                "wrapped",
                "time",
                "sizes",
                "kinds.code",
                "kinds.message",
            ]
            for parameter in described:
                schema = parameter["schema"]
                schema = schema.get("items", schema)
                schema = schema.get("anyOf", [schema])[0]
                kind = schema.get("format", schema.get("contentEncoding", schema.get("type")))
                value = schema.get("enum", [values.get(kind, values.get(schema.get("type"), "true"))])[0]
                value = "name" if parameter["name"] == "$fields" else value
                reply = await here.ask("PUT", "/v1/x", params={parameter["name"]: value})
                assert reply.status == 200, (parameter, reply)
            for refused in (
                "struct",
                "value",
                "list",
                "any",
                "any.typeUrl",
                "any.value",
                "byName",
                "inners",
                "inners.data",
            ):
                assert (await here.ask("PUT", "/v1/x", params={refused: "x"})).problem == (400, "INVALID_ARGUMENT")

    run(scenario())


def test_all_kinds_of_fields() -> None:
    """Messages that hold each other, maps, enums, oneofs, times and payloads are described, each once (REST-1)."""
    method = LroMethod(
        path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
        request_type=CreateInstanceRequest,
        response_type=Instance,
        metadata_type=OperationMetadata,
        http=HttpBinding(verb="POST", path="/v1/{parent=projects/*/locations/*}/instances", body="instance"),
    )
    untyped = LroMethod(
        path="/a.B/C",
        request_type=library_pb2.DeleteShelfRequest,
        response_type=any_pb2.Any,
        metadata_type=struct_pb2.Struct,
        http=HttpBinding(verb="GET", path="/v1/{name=**}:go"),
    ).or_types(response=empty_pb2.Empty, metadata=library_pb2.Shelf)

    def register(server: Any) -> None:
        handled(method, nothing)(server)
        handled(untyped, nothing, parent="projects/p/locations/l")(server)

    names = NamePattern("projects/{project}/locations/{location}/operations/{operation}")
    document = described(register, names=names)
    path = "/v1/projects/{projects_id}/locations/{locations_id}/instances"
    assert [item["name"] for item in document["paths"][path]["post"]["parameters"]][2:] == [
        "$alt",
        "fields",
        "prettyPrint",
        "instanceId",
    ]
    instance = document["components"]["schemas"]["google.cloud.redis.v1.Instance"]["properties"]
    assert instance["labels"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert instance["state"]["anyOf"][0]["enum"][:3] == ["STATE_UNSPECIFIED", "CREATING", "READY"]
    assert instance["nodes"]["items"] == {"$ref": "#/components/schemas/google.cloud.redis.v1.NodeInfo"}
    assert "google.cloud.redis.v1.MaintenancePolicy" in document["components"]["schemas"]
    reply = document["paths"]["/v1/{name}:go"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert len(reply["allOf"][1]["properties"]["response"]["anyOf"]) == 2
    json.dumps(document, allow_nan=False)


def test_it_grows() -> None:
    """A method that is registered later is in the document that is asked for later (REST-1)."""

    async def scenario() -> None:
        async with site(no_methods, app={"title": "Library", "version": "v7"}) as here:
            first = (await here.get("/openapi.json")).ok
            assert first["info"] == {"title": "Library", "version": "v7"}
            handled(DELETE, nothing)(here.server)
            second = (await here.get("/openapi.json")).ok
            assert set(second["paths"]) - set(first["paths"]) == {"/v1/shelves/{shelves_id}"}

    run(scenario())


def test_another_place_or_none() -> None:
    """The document may be elsewhere, or nowhere (REST-1)."""

    async def scenario() -> None:
        async with site(app={"openapi_path": "/v1/openapi"}) as here:
            assert (await here.get("/v1/openapi")).ok["openapi"] == "3.1.0"
            assert (await here.get("/openapi.json")).problem == (404, "NOT_FOUND")
        async with site(app={"openapi_path": None}) as here:
            assert (await here.get("/openapi.json")).problem == (404, "NOT_FOUND")

    run(scenario())
