# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""From RPCs to HTTP requests, beside google-api-core's `transcode` and `flatten_query_params`."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from typing import Any, cast

import pytest
from google.api_core import path_template, rest_helpers
from google.cloud.redis_v1 import CreateInstanceRequest, Instance, UpdateInstanceRequest
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2, field_mask_pb2, json_format, struct_pb2
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from longrunning import HttpBinding, LroMethod, TypeRegistry
from longrunning._types import types_for
from longrunning.client import ListQuery
from longrunning.rest import OperationsBindings
from longrunning.rest._requests import (
    HttpRequest,
    UnsendableError,
    list_request,
    operation_request,
    start_request,
    wait_request,
)

auth_pb2: Any = importlib.import_module("google.api.auth_pb2")  # which have no types
distribution_pb2: Any = importlib.import_module("google.api.distribution_pb2")
attribute_context_pb2: Any = importlib.import_module("google.rpc.context.attribute_context_pb2")
ENCODES = "encode" in inspect.signature(vars(path_template)["get_field"]).parameters
transcode: Any = vars(path_template)["transcode"]
flatten_query_params: Any = vars(rest_helpers)["flatten_query_params"]

TYPES = types_for(None, TypeRegistry())
DEFAULT = OperationsBindings.under()
TYPE_URL = "type.googleapis.com/"


def started(message: Any, verb: str, path: str, body: str = "", types: Any = TYPES) -> HttpRequest:
    """The HTTP request of a method with this binding."""
    kind = cast("Any", type(message))
    method = LroMethod(
        path="/a.B/C",
        request_type=kind,
        response_type=empty_pb2.Empty,
        metadata_type=empty_pb2.Empty,
        http=HttpBinding(verb=verb, path=path, body=body),
    )
    return start_request(method, message, types)


def transcoded(message: Any, verb: str, path: str, body: str = "") -> HttpRequest:
    """The same by google-api-core."""
    option = {"method": verb.lower(), "uri": path, **({"body": body} if body else {})}
    found = transcode([option], message=message)
    query = flatten_query_params(json_format.MessageToDict(found["query_params"]), strict=True)
    sent = json_format.MessageToDict(found["body"]) if "body" in found else None
    data = None if sent is None else json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
    return HttpRequest(verb, found["uri"], tuple((key, str(value)) for key, value in query), data)


def rule(**fields: Any) -> Any:
    """A message with a text, a flag, a message and a list of messages."""
    return auth_pb2.AuthenticationRule(**fields)


RULE = rule(
    selector="a/parent",
    allow_without_credential=True,
    oauth=auth_pb2.OAuthRequirements(canonical_scopes="first/last"),
    requirements=[auth_pb2.AuthRequirement(provider_id="p")],
)
PLAIN = rule(selector="a/parent", allow_without_credential=True, oauth=auth_pb2.OAuthRequirements(canonical_scopes="x"))
NUMBERS = distribution_pb2.Distribution(
    count=2**60, mean=0.1, bucket_counts=[1, 2**40], range=distribution_pb2.Distribution.Range(min=-1.5, max=1e300)
)


@pytest.mark.parametrize(
    ("message", "verb", "path", "body"),
    [
        (PLAIN, "GET", "/v1/rules", ""),
        (PLAIN, "GET", "/v1/{selector=a/*}", ""),
        (PLAIN, "DELETE", "/v1/{selector=**}", ""),
        (PLAIN, "GET", "/v1/{selector=a/*}/{oauth.canonical_scopes}", ""),
        (RULE, "POST", "/v1/rules", "*"),
        (RULE, "POST", "/v1/{selector=a/*}/b/{oauth.canonical_scopes=**}", "*"),
        (PLAIN, "PATCH", "/v1/{selector=a/*}", "oauth"),
        (PLAIN, "PUT", "/v1/{oauth.canonical_scopes}", "oauth"),
        (rule(selector="s"), "POST", "/v1/{selector}:verb", "oauth"),
        (NUMBERS, "POST", "/v1/numbers", "*"),
        (NUMBERS, "GET", "/v1/numbers", ""),
        (NUMBERS, "GET", "/v1/{count}", ""),
        (
            operations_pb2.WaitOperationRequest(name="x", timeout=duration_pb2.Duration(nanos=5)),
            "GET",
            "/v1/{name}",
            "",
        ),
    ],
)
def test_like_api_core(message: Any, verb: str, path: str, body: str) -> None:
    """Path, query and body are what google-api-core makes of message and binding (REST-1)."""
    assert started(message, verb, path, body) == transcoded(message, verb, path, body)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=6)
RULES = st.builds(
    rule,
    selector=st.one_of(TEXT, st.sampled_from(["a/b", "a/b/c", "a"])),
    allow_without_credential=st.booleans(),
    oauth=st.one_of(st.none(), st.builds(auth_pb2.OAuthRequirements, canonical_scopes=TEXT)),
)
PATHS = ("/v1/x", "/v1/{selector}", "/v1/{selector=a/*}:do", "/v1/{oauth.canonical_scopes=**}", "/v1/{selector=**}/y")


@pytest.mark.skipif(not ENCODES, reason="this google-api-core is older than its own encoding of paths")
@given(RULES, st.sampled_from(PATHS), st.sampled_from(["", "*", "oauth"]))
def test_any_message_like_api_core(message: Any, path: str, body: str) -> None:
    """Whatever is in a message, it is sent as by google-api-core, or refused as there (REST-1)."""
    try:
        theirs = transcoded(message, "POST", path, body)
    except ValueError:
        with pytest.raises(UnsendableError):
            started(message, "POST", path, body)
        return
    bound = (message.selector, message.oauth.canonical_scopes)
    if any({".", ".."} & set(text.split("/")) for text in bound):
        return  # of these they let some pass
    assert started(message, "POST", path, body) == theirs


@pytest.mark.parametrize(
    ("message", "path", "body"),
    [
        (rule(), "/v1/{selector}", "*"),
        (rule(selector="a/b"), "/v1/{selector}", "*"),
        (rule(selector="b/c"), "/v1/{selector=a/*}", "*"),
        (rule(selector=".."), "/v1/{selector}", "*"),
        (rule(selector="a"), "/v1/{none}", "*"),
        (rule(selector="a"), "/v1/{oauth}", "*"),
        (rule(selector="a"), "/v1/{selector.more}", "*"),
        (RULE, "/v1/{requirements}", "*"),
        (RULE, "/v1/{requirements.provider_id}", "*"),
        (RULE, "/v1/x", "none"),
        (RULE, "/v1/x", ""),  # a list of messages
        (Instance(labels={"a": "b"}), "/v1/x", ""),  # a map
        (struct_pb2.Value(number_value=1), "/v1/x", "*"),
        (operations_pb2.Operation(metadata=any_pb2.Any(type_url="x/y")), "/v1/x", ""),
        (
            operations_pb2.WaitOperationRequest(name="x", timeout=duration_pb2.Duration(seconds=2**60)),
            "/v1/{name}",
            "*",
        ),
    ],
)
def test_unsendable(message: Any, path: str, body: str) -> None:
    """What path, query or JSON cannot hold is refused before anything is sent (REST-1)."""
    with pytest.raises(UnsendableError):
        started(message, "POST", path, body)


def test_broken_template() -> None:
    """A binding that is none is an error of whoever declared it (REST-1)."""
    with pytest.raises(ValueError, match="path template") as caught:
        started(rule(selector="a"), "POST", "/v1/{selector", "*")
    assert not isinstance(caught.value, UnsendableError)


def test_proto_plus() -> None:
    """A proto-plus request goes out like the message underneath, as the client of google-cloud-redis sends it (REST-1)."""
    request = CreateInstanceRequest(
        parent="projects/p/locations/l", instance_id="cache", instance=Instance(memory_size_gb=1, labels={"a": "b"})
    )
    sent = started(request, "POST", "/v1/{parent=projects/*/locations/*}/instances", "instance")
    assert sent.path == "/v1/projects/p/locations/l/instances"
    assert sent.query == (("instanceId", "cache"),)
    assert json.loads(sent.body or b"") == {"memorySizeGb": 1, "labels": {"a": "b"}}


def test_update() -> None:
    """A mask is one text, a field of the body that the path binds is not sent twice (REST-1)."""
    request = UpdateInstanceRequest(
        update_mask=field_mask_pb2.FieldMask(paths=["memory_size_gb", "display_name"]),
        instance=Instance(name="projects/p/locations/l/instances/i", memory_size_gb=2),
    )
    sent = started(request, "PATCH", "/v1/{instance.name=projects/*/locations/*/instances/*}", "instance")
    assert sent == HttpRequest(
        "PATCH",
        "/v1/projects/p/locations/l/instances/i",
        (("updateMask", "memorySizeGb,displayName"),),
        b'{"memorySizeGb":2}',
    )


def test_path_scalars() -> None:
    """Numbers and flags go into a path as they go into JSON (REST-1)."""
    message = attribute_context_pb2.AttributeContext.Peer(port=80, ip="10.0.0.1")
    assert started(message, "GET", "/v1/{ip}/{port}").path == "/v1/10.0.0.1/80"
    assert (
        started(rule(selector="a", allow_without_credential=True), "GET", "/{allow_without_credential}").path == "/true"
    )


def test_repeated_in_query() -> None:
    """A repeated field is a parameter that is repeated (REST-1)."""
    message = operations_pb2.Operation(error=status_pb2.Status(code=3, message="a&b=c"))
    assert started(message, "GET", "/v1/x").query == (("error.code", "3"), ("error.message", "a&b=c"))
    assert started(NUMBERS, "GET", "/v1/x").query[-2:] == (("bucketCounts", "1"), ("bucketCounts", str(2**40)))


@pytest.mark.parametrize(
    ("field", "sent"),
    [("oauth", b"{}"), ("requirements", b"[]"), ("selector", b"null")],
)
def test_empty_body(field: str, sent: bytes) -> None:
    """A body field that is not set is sent as an empty one (REST-1)."""
    assert started(rule(allow_without_credential=True), "POST", "/v1/x", field).body == sent


def test_payloads_in_requests() -> None:
    """An Any in a request is written by the type that method or registry know, otherwise as its bytes (JSON-2, REST-1)."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason="R"))
    unknown = any_pb2.Any(type_url=f"{TYPE_URL}example.Unknown", value=b"\x08\x01")
    message = status_pb2.Status(code=5, details=[info, unknown])
    assert json.loads(started(message, "POST", "/v1/x", "*").body or b"") == {
        "code": 5,
        "details": [
            {"@type": f"{TYPE_URL}google.rpc.ErrorInfo", "reason": "R"},
            {"@type": f"{TYPE_URL}example.Unknown", "@bytes": "CAE="},
        ],
    }


# -- the Operations service -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["operations/1", "projects/p/locations/l/operations/o", "batches/7", "x"])
def test_default_bindings(name: str) -> None:
    """The five methods go where the seeds of AIP-151 have them, whatever the name looks like (REST-1, SNAP-7)."""
    assert operation_request(DEFAULT.get, name) == HttpRequest("GET", f"/v1/{name}")
    assert operation_request(DEFAULT.delete, name) == HttpRequest("DELETE", f"/v1/{name}")
    assert operation_request(DEFAULT.cancel, name) == HttpRequest("POST", f"/v1/{name}:cancel", (), b"{}")
    assert wait_request(DEFAULT.wait, name, None) == HttpRequest("POST", f"/v1/{name}:wait", (), b"{}")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (30.0, "30s"),
        (0.1, "0.1s"),
        (1e-9, "0.000000001s"),
        (2.5, "2.5s"),
        (1e300, "315360000s"),
        (100.0, "100s"),
    ],
)
def test_wait_timeout(seconds: float, text: str) -> None:
    """The time of a WaitOperation is a Duration in JSON, ten years at most (REST-1, WAIT-5)."""
    body = wait_request(DEFAULT.wait, "operations/1", seconds).body
    assert json.loads(body or b"") == {"timeout": text}
    json_format.Parse(body or b"", operations_pb2.WaitOperationRequest())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("", "/v1/operations"),
        ("operations", "/v1/operations"),
        ("projects/p/locations/l", "/v1/projects/p/locations/l/operations"),
        ("a b", "/v1/a%20b/operations"),
    ],
)
def test_lists(name: str, path: str) -> None:
    """A list goes to the collection under its parent, or to the one at the top (REST-1, CTRL-4)."""
    assert list_request(DEFAULT.list, ListQuery(name=name)) == HttpRequest("GET", path)


def test_list_fields() -> None:
    """Filter, page and partial success are parameters, those that are not set are left out (REST-1, CTRL-4)."""
    query = ListQuery(name="p", filter='done = true AND name = "a&b"', page_size=7, page_token="t+/=")
    sent = list_request(DEFAULT.list, query)
    assert sent.query == (("filter", 'done = true AND name = "a&b"'), ("pageSize", "7"), ("pageToken", "t+/="))
    partial = dataclasses.replace(query, return_partial_success=True, filter="", page_size=0, page_token="")
    assert list_request(DEFAULT.list, partial).query == (("returnPartialSuccess", "true"),)


@pytest.mark.parametrize("name", ["..", "a/../b", "operations/."])
def test_unsendable_names(name: str) -> None:
    """A name that would lead elsewhere is refused; that of a list does not become a list of everything (REST-1)."""
    with pytest.raises(UnsendableError, match="no path can carry"):
        operation_request(DEFAULT.get, name)
    with pytest.raises(UnsendableError, match="no path can carry"):
        list_request(DEFAULT.list, ListQuery(name=name))


def test_other_prefix() -> None:
    """Bindings may be those of another version (REST-1)."""
    bindings = OperationsBindings.under("/compute/v1beta1")
    assert operation_request(bindings.get, "operations/1").path == "/compute/v1beta1/operations/1"
    assert list_request(bindings.list, ListQuery(name="")).path == "/compute/v1beta1/operations"


def test_own_bindings() -> None:
    """Of several bindings the first one that the name fits is taken; a service may have paths of its own (REST-1)."""
    bindings = dataclasses.replace(
        DEFAULT,
        get=(
            HttpBinding(verb="GET", path="/a/{name=operations/*}"),
            HttpBinding(verb="POST", path="/b/{name=**}:get", body="*"),
        ),
    )
    assert operation_request(bindings.get, "operations/1") == HttpRequest("GET", "/a/operations/1")
    assert operation_request(bindings.get, "x/operations/1") == HttpRequest("POST", "/b/x/operations/1:get", (), b"{}")
    assert wait_request((HttpBinding(verb="GET", path="/w/{name=**}"),), "x", 3) == HttpRequest(
        "GET", "/w/x", (("timeout", "3s"),)
    )


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("get", "/v1/operations"),
        ("cancel", "/v1/{id}:cancel"),
        ("delete", "/v1/{name}/{id}"),
        ("list", "/v1/{parent}/operations"),
        ("wait", "/v1/{name"),
    ],
)
def test_wrong_bindings(field: str, path: str) -> None:
    """A binding that could not carry the name, or is none, is refused where it is made (REST-1)."""
    with pytest.raises(ValueError, match=r"binds|variable"):
        dataclasses.replace(DEFAULT, **{field: (HttpBinding(verb="GET", path=path),)})


@pytest.mark.parametrize("field", ["get", "list", "cancel", "delete"])
def test_missing_bindings(field: str) -> None:
    """Only WaitOperation may be without a binding (REST-1, WAIT-5)."""
    with pytest.raises(ValueError, match="no binding"):
        dataclasses.replace(DEFAULT, **{field: ()})
    assert dataclasses.replace(DEFAULT, wait=()).wait == ()


@pytest.mark.parametrize("prefix", ["v1", "/v1/", "/v1?x", "/{x}"])
def test_wrong_prefix(prefix: str) -> None:
    """A prefix is the beginning of a path (REST-1)."""
    with pytest.raises(ValueError, match=r"path|binds"):
        OperationsBindings.under(prefix)
