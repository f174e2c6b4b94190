# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The options of the plugin, and what they change in the output."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning.codegen import (
    Api,
    CodegenError,
    Generate,
    Incomplete,
    Location,
    Messages,
    OptionError,
    Options,
    Streaming,
    Unannotated,
)
from tests.codegen.compiling import Sources, service, starts

BARE = "  rpc Bare(Request) returns (google.longrunning.Operation);"
STREAM = "  rpc Watch(Request) returns (stream google.longrunning.Operation);"


def text(sources: Sources, options: str = "") -> str:
    """The one module that is generated."""
    answer = sources.generated(options)
    assert answer.error == ""
    (file,) = answer.file
    return file.content


def defined(source: str) -> list[str]:
    """The classes of a module."""
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]


def test_defaults() -> None:
    """No option at all is every option at its default (GEN-4)."""
    assert Options.parse("") == Options.parse(" , ,") == Options()


def test_all_options() -> None:
    """Every option is read, with spaces around it too (GEN-4)."""
    parameter = (
        "generate=clients, api = async,messages=proto-plus,unannotated=error,incomplete=untyped,streaming=skip,"
        "pb2=acme/v1:acme.gen.v1,pb2=:gen,proto_plus=google/cloud/redis/v1/:google.cloud.redis_v1.types"
    )
    assert Options.parse(parameter) == Options(
        generate=Generate.CLIENTS,
        api=Api.ASYNC,
        messages=Messages.PROTO_PLUS,
        unannotated=Unannotated.ERROR,
        incomplete=Incomplete.UNTYPED,
        streaming=Streaming.SKIP,
        locations=(
            Location(prefix="acme/v1", module="acme.gen.v1", messages=Messages.PB2),
            Location(prefix="", module="gen", messages=Messages.PB2),
            Location(
                prefix="google/cloud/redis/v1", module="google.cloud.redis_v1.types", messages=Messages.PROTO_PLUS
            ),
        ),
    )


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("sync", "unknown option 'sync'; there are: generate, api, messages, unannotated, incomplete, streaming, pb2, proto_plus"),
        ("Api=sync", "unknown option 'Api'"),
        ("=", "unknown option ''"),
        ("api", "option 'api' needs a value: both or sync or async"),
        ("api=", "option 'api' is both or sync or async; got ''"),
        ("api=threads", "option 'api' is both or sync or async; got 'threads'"),
        ("api=sync,api=sync", "option 'api' is given twice"),
        ("pb2=acme", "option 'pb2' is FOLDER:MODULE, as in pb2=acme/v1:acme.gen.v1; got 'acme'"),
        ("pb2=acme:", "option 'pb2': '' is no Python module"),
        ("pb2=acme:a-b", "option 'pb2': 'a-b' is no Python module"),
        ("proto_plus=a/../b:c", "option 'proto_plus': 'a/../b' is no folder of .proto files"),
        ("pb2=a:b,proto_plus=a/:c", "two options say where the messages of 'a' are"),
    ],
)  # fmt: skip
def test_options_that_are_none(parameter: str, says: str) -> None:
    """An unknown option, a second one and a wrong value are errors that say what there is (GEN-4)."""
    with pytest.raises(OptionError, match=re.escape(says)):
        Options.parse(parameter)
    assert says in service(starts()).generated(parameter).error


@given(st.text(alphabet=st.sampled_from("=:,/. abpi2_-")) | st.text())
def test_any_text(parameter: str) -> None:
    """Whatever the text, options or an OptionError come of it (GEN-4)."""
    try:
        Options.parse(parameter)
    except CodegenError as error:
        assert isinstance(error, OptionError)  # noqa: PT017


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ("", ["ThingsLro", "AsyncThingsLro", "SyncThingsLroServicer", "ThingsLroServicer"]),
        ("generate=clients", ["ThingsLro", "AsyncThingsLro"]),
        ("generate=clients,api=sync", ["ThingsLro"]),
        ("generate=clients,api=async", ["AsyncThingsLro"]),
        ("generate=servicers", ["SyncThingsLroServicer", "ThingsLroServicer"]),
        ("generate=servicers,api=async", ["ThingsLroServicer"]),
        ("api=sync", ["ThingsLro", "SyncThingsLroServicer"]),
    ],
)
def test_which_classes(options: str, classes: list[str]) -> None:
    """Clients, servicers or both, sync, async or both; what is not written is not imported (GEN-3)."""
    source = text(service(starts()), options)
    assert defined(source) == classes
    assert ("OperationsClient" in source) == any(not name.endswith("Servicer") for name in classes)
    assert ("longrunning.server" in source) == any(name.endswith("Servicer") for name in classes)
    assert ("AsyncOperationHandle" in source) == ("AsyncThingsLro" in classes)
    exported = ast.literal_eval(source.partition("__all__ = ")[2].partition("]")[0] + "]")
    assert set(exported) == {"MAKE", "TYPES", *classes}
    assert exported == sorted(exported, key=lambda name: (not name.isupper(), name))


def test_no_annotation() -> None:
    """A method without operation_info stays, untyped; or is left out; or is an error at its place (GEN-2)."""
    both = service(starts(), BARE)
    source = text(both)
    assert "response_type=any_pb2.Any" in source
    assert ") -> OperationHandle[Message | UnknownPayload, Message | UnknownPayload]:" in source
    assert text(both, "unannotated=untyped") == source
    assert "Bare" not in text(both, "unannotated=skip")
    assert list(service(BARE).generated("unannotated=skip").file) == []
    assert both.generated("unannotated=error").error == (
        "acme/v1/a.proto:10:3: Things.Bare has no google.longrunning.operation_info: annotate it (AIP-151), "
        "or pass the option unannotated=untyped or unannotated=skip"
    )


def test_half_an_annotation() -> None:
    """Where operation_info lacks a type it is an error at its place, or untyped (GEN-2)."""
    half = service(starts(metadata=""))
    assert half.generated().error == (
        "acme/v1/a.proto:7:5: operation_info of Things.Make has no metadata_type: name a message, google.protobuf.Any if it "
        "can be any (AIP-151), or pass the option incomplete=untyped"
    )
    source = text(half, "incomplete=untyped")
    assert "response_type=a_pb2.Thing" in source
    assert "metadata_type=any_pb2.Any" in source
    empty = service(starts(response="", metadata=""))
    assert len(empty.generated().error.splitlines()) == 2


def test_streams_of_operations() -> None:
    """A method that returns operations and streams is an error at its place, or is left out (GEN-4)."""
    both = service(starts(), STREAM)
    assert both.generated().error == (
        "acme/v1/a.proto:10:3: Things.Watch returns operations and streams: make it unary (AIP-151), "
        "or pass the option streaming=skip to leave such methods out"
    )
    assert "Watch" not in text(both, "streaming=skip")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("", "from acme.v1 import a_pb2"),
        ("pb2=acme/v1:gen.one", "from gen.one import a_pb2"),
        ("pb2=acme:gen", "from gen.v1 import a_pb2"),
        ("pb2=acme:gen,pb2=acme/v1:other", "from other import a_pb2"),
        ("pb2=:gen", "from gen.acme.v1 import a_pb2"),
        ("pb2=acme/v1/a.proto:some.module", "from some import module"),
        ("pb2=acme/v:gen", "from acme.v1 import a_pb2"),
        ("messages=proto-plus", "from acme_v1 import types"),
        ("proto_plus=acme/v1:acme.types", "from acme import types"),
        ("messages=proto-plus,pb2=acme:gen", "from gen.v1 import a_pb2"),
    ],
)
def test_where_messages_are(options: str, line: str) -> None:
    """Folders of protos map to packages; the longest prefix wins; what is installed stays where it is (GEN-3)."""
    source = text(service(starts(response="google.protobuf.Empty")), options)
    assert line in source.splitlines()
    assert "from google.protobuf import empty_pb2" in source.splitlines()
