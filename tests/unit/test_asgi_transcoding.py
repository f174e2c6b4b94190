# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Path, query and body to a request message: what clients send comes out as it went in, and what is wrong is named."""

from __future__ import annotations

import importlib
import json
import math
from typing import Any, cast
from urllib.parse import quote, urlencode

import pytest
from google.cloud.redis_v1 import CreateInstanceRequest, Instance
from google.protobuf import duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from example.library.v1 import library_pb2
from longrunning import HttpBinding, LroMethod, TypeRegistry
from longrunning._any import message_type
from longrunning._pb import operations_pb2
from longrunning._types import types_for
from longrunning.rest._asgi_bodies import parsed
from longrunning.rest._asgi_paths import PathTable, normalized
from longrunning.rest._asgi_queries import read_query
from longrunning.rest._asgi_transcoding import Transcoder
from longrunning.rest._requests import UnsendableError, start_request
from longrunning.server._refusal import Refusal
from longrunning.status import Code
from tests.unit.builders import DYNAMIC, U, any_of, raw, same

auth_pb2: Any = importlib.import_module("google.api.auth_pb2")  # which have no types
distribution_pb2: Any = importlib.import_module("google.api.distribution_pb2")

TYPES = types_for(None, TypeRegistry())
ANIMAL: Any = cast("Any", DYNAMIC.find("dynamic_zoo.Animal")).cls
DYNAMIC_TYPES = types_for(None, DYNAMIC)


def transcoder(cls: Any, verb: str, path: str, body: str = "", types: Any = TYPES) -> Transcoder:
    """What makes the requests of a binding."""
    return Transcoder(message_type(cls), HttpBinding(verb=verb, path=path, body=body), types.find_url)


def received(made: Transcoder, path: str, query: str = "", body: bytes | None = None) -> Any:
    """The message that a request stands for."""
    table = PathTable[Transcoder]()
    table.add(made.pattern, made)
    found = table.find(normalized(path.encode()))
    assert found is not None, path
    _, parameters = read_query(query.encode(), own=made.names, reply=frozenset(), most=100)
    return made.message(found[1], parameters, parsed(body) if body else None)


def refused(*request: Any, **options: Any) -> str:
    """The message of the refusal of a request."""
    with pytest.raises(Refusal) as caught:
        received(*request, **options)
    assert caught.value.status.code is Code.INVALID_ARGUMENT
    return caught.value.status.message


def there_and_back(message: Any, verb: str, path: str, body: str = "", types: Any = TYPES) -> Any:
    """What the server makes of the request that our client makes of a message."""
    kind: Any = cast("Any", type(message))
    binding = HttpBinding(verb=verb, path=path, body=body)
    method = LroMethod(
        path="/a.B/C", request_type=kind, response_type=empty_pb2.Empty, metadata_type=empty_pb2.Empty, http=binding
    )
    sent = start_request(method, message, types)
    query = urlencode(sent.query, quote_via=quote)
    return received(transcoder(kind, verb, path, body, types), sent.path, query, sent.body)


# -- what clients send --------------------------------------------------------------------------------------------

RULE = auth_pb2.AuthenticationRule(
    selector="a/parent",
    allow_without_credential=True,
    oauth=auth_pb2.OAuthRequirements(canonical_scopes="first/last"),
    requirements=[auth_pb2.AuthRequirement(provider_id="p")],
)
PLAIN = auth_pb2.AuthenticationRule(
    selector="a/parent", allow_without_credential=True, oauth=auth_pb2.OAuthRequirements(canonical_scopes="x")
)
NUMBERS = distribution_pb2.Distribution(
    count=2**60, mean=0.1, bucket_counts=[1, 2**40], range=distribution_pb2.Distribution.Range(min=-1.5, max=1e300)
)
TIMES = operations_pb2.WaitOperationRequest(name="x", timeout=duration_pb2.Duration(seconds=3, nanos=5))


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
        (NUMBERS, "POST", "/v1/numbers", "*"),
        (NUMBERS, "GET", "/v1/numbers", ""),
        (NUMBERS, "GET", "/v1/{count}", ""),
        (TIMES, "GET", "/v1/{name}", ""),
        (TIMES, "POST", "/v1/{name}", "*"),
        (
            library_pb2.CreateShelfRequest(shelf_id="7", shelf=library_pb2.Shelf(theme="ü/&=? #")),
            "POST",
            "/v1/shelves",
            "shelf",
        ),
        (
            library_pb2.CreateShelfRequest(shelf=library_pb2.Shelf(name="shelves/1")),
            "PATCH",
            "/v1/{shelf.name=shelves/*}",
            "shelf",
        ),
        (library_pb2.DeleteShelfRequest(name="shelves/a:b"), "DELETE", "/v1/{name=shelves/*}", ""),
        (empty_pb2.Empty(), "POST", "/v1/x", "*"),
        (empty_pb2.Empty(), "GET", "/v1/x", ""),
    ],
)
def test_our_client(message: Any, verb: str, path: str, body: str) -> None:
    """What our client makes of a message and a binding is that message to the server (REST-1)."""
    assert same(there_and_back(message, verb, path, body), message)


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
RULES = st.builds(
    auth_pb2.AuthenticationRule,
    selector=st.one_of(TEXT, st.sampled_from(["a/b", "a/b/c", "a", "a:do", "%2F"])),
    allow_without_credential=st.booleans(),
    oauth=st.one_of(st.none(), st.builds(auth_pb2.OAuthRequirements, canonical_scopes=TEXT)),
)
PATHS = ("/v1/x", "/v1/{selector}", "/v1/{selector=a/*}:do", "/v1/{oauth.canonical_scopes=**}", "/v1/{selector=**}/y")


@given(RULES, st.sampled_from(PATHS), st.sampled_from(["", "*", "oauth"]))
def test_any_message_of_our_client(message: Any, path: str, body: str) -> None:
    """Whatever is in a message: what our client can send, the server receives (REST-1)."""
    try:
        come = there_and_back(message, "POST", path, body)
    except UnsendableError:
        return
    # JSON and URLs know no difference between a message that is not there and one without anything in it.
    for rule in (come, message):
        if not rule.oauth.canonical_scopes:
            rule.ClearField("oauth")
    assert same(come, message)


def test_proto_plus() -> None:
    """A method of a proto-plus class gets its requests as that class (REST-1)."""
    request = CreateInstanceRequest(
        parent="projects/p/locations/l", instance_id="i", instance=Instance(memory_size_gb=4)
    )
    path = "/v1/{parent=projects/*/locations/*}/instances"
    come = there_and_back(request, "POST", path, "instance")
    assert isinstance(come, CreateInstanceRequest)
    assert come == request


# -- payloads within a request ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        any_of(error_details_pb2.ErrorInfo(reason="R")),
        any_of(duration_pb2.Duration(seconds=1)),
        any_of(empty_pb2.Empty()),
        raw(U + "no.Such", b"\x08\x01"),
        raw("types.example.com/standard/id", b"\xff"),
        any_of(status_pb2.Status(code=3, details=[raw(U + "no.Such", b"\x08\x01")])),
    ],
)
def test_payloads(payload: Any) -> None:
    """A payload within a request comes as it was packed, also one of a type that nobody here knows (JSON-2, REST-1)."""
    status = status_pb2.Status(code=3, message="m", details=[payload])
    assert same(there_and_back(status, "POST", "/v1/statuses", "*"), status)
    animal = ANIMAL(name="cat")
    animal.tag.type_url, animal.tag.value = payload.type_url, payload.value
    animal.tags.add()
    assert same(there_and_back(animal, "POST", "/v1/animals", "*", DYNAMIC_TYPES), animal)


def test_a_payload_of_unknown_type() -> None:
    """A payload that names its fields is refused where its type is not known: there is no way to read it (REST-2)."""
    body = json.dumps({"details": [{"@type": U + "no.Such", "x": 1}]}).encode()
    assert "no.Such" in refused(transcoder(status_pb2.Status, "POST", "/v1/s", "*"), "/v1/s", body=body)


@pytest.mark.parametrize(
    "body",
    [
        {"@type": U + "google.rpc.Status", "code": 3},
        {"details": [{"@type": U + "google.rpc.ErrorInfo", "reson": "R"}]},
        {"details": [{"@type": U + "google.rpc.ErrorInfo", "@bytes": "?"}]},
        {"details": [{"@type": "", "value": ""}]},
        {"details": [{"@type": 7}]},
        {"details": [{"reason": "R"}]},
        {"details": {"@type": U + "google.rpc.ErrorInfo"}},
        {"detail": [{"@type": U + "google.rpc.ErrorInfo"}]},
    ],
)
def test_payloads_that_are_none(body: Any) -> None:
    """A payload that is malformed, or misspelt, is refused as the rest of a request is (REST-2)."""
    made = transcoder(status_pb2.Status, "POST", "/v1/s", "*")
    assert refused(made, "/v1/s", body=json.dumps(body).encode())


# -- the query string ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selector=a%2Fb&allowWithoutCredential=true", {"selector": "a/b", "allow_without_credential": True}),
        ("allow_without_credential=true&oauth.canonical_scopes=x", {"allow_without_credential": True, "oauth": {"canonical_scopes": "x"}}),
        ("oauth.canonicalScopes=", {"oauth": {}}),
        ("selector=a+b%2B", {"selector": "a b+"}),
        ("selector=%C3%BC", {"selector": "ü"}),
        ("allowWithoutCredential=false", {}),
    ],
)  # fmt: skip
def test_queries(query: str, message: Any) -> None:
    """Fields in the query string go by either of their names, and by path where they are nested (REST-1)."""
    made = transcoder(auth_pb2.AuthenticationRule, "GET", "/v1/rules")
    assert same(received(made, "/v1/rules", query), auth_pb2.AuthenticationRule(**message))


def test_all_kinds_of_values() -> None:
    """A URL writes numbers, enums, bytes, times and lists as text (REST-1)."""
    made = transcoder(distribution_pb2.Distribution, "GET", "/v1/d")
    come = received(made, "/v1/d", "count=-9223372036854775808&mean=NaN&bucketCounts=1&bucket_counts=2&range.min=-1e-3")
    assert (come.count, list(come.bucket_counts), come.range.min) == (-(2**63), [1, 2], -0.001)
    assert math.isnan(come.mean)
    wait = received(transcoder(operations_pb2.WaitOperationRequest, "GET", "/v1/w"), "/v1/w", "timeout=1.5s")
    assert wait.timeout == duration_pb2.Duration(seconds=1, nanos=500_000_000)
    animal = received(
        transcoder(ANIMAL, "GET", "/v1/a", types=DYNAMIC_TYPES),
        "/v1/a",
        "kind=DOG&chipNumber=18446744073709551615&weight=-1",
    )
    assert (animal.kind, animal.chip_number, animal.weight) == (2, 2**64 - 1, -1)
    assert (
        received(
            transcoder(ANIMAL, "GET", "/v1/a", types=DYNAMIC_TYPES), "/v1/a", "kind=1&child.child.name=x"
        ).child.child.name
        == "x"
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("nosuch=1", "nosuch: there is no such query parameter"),
        ("oauth.nosuch=1", "oauth.nosuch: there is no such field"),
        ("selector.x=1", "selector.x: there is no such field"),
        ("=1", "there is no such query parameter"),
        (".=1", "there is no such query parameter"),
        ("oauth=1", "oauth: a OAuthRequirements cannot be written into a URL"),
        ("requirements=1", "requirements: a AuthRequirement cannot"),
        ("requirements.provider_id=1", "requirements.provider_id: there is no such field"),
        ("allowWithoutCredential=yes", "allowWithoutCredential: 'yes' is no value"),
        ("allowWithoutCredential=True", "'True' is no value"),
        ("allowWithoutCredential=1", "'1' is no value"),
        ("selector=a&selector=b", "selector: it is given twice, and differently"),
        ("%ff=1", "the query string cannot be read"),
        ("selector=%ff", "no UTF-8"),
        ("&".join(f"selector=a{number}" for number in range(101)), "more than 100 parameters"),
        ("x\u202e=1", "'x\\u202e'"),
    ],
)
def test_wrong_queries(query: str, said: str) -> None:
    """A query parameter that is unknown, or has no such value, is refused by name (REST-2)."""
    made = transcoder(auth_pb2.AuthenticationRule, "GET", "/v1/rules")
    assert said in refused(made, "/v1/rules", quote(query, safe="=&+%."))


@pytest.mark.parametrize(
    "query",
    ["count=1.5", "count=1_0", "count=%D9%A1", "count=", "count=9223372036854775808", "mean=1_0", "mean=nan", "mean=", "mean=0x1",
     "count=1e3", "bucketCounts=x", "range=1", "exemplars=1", "count=" + "9" * 5000],
)  # fmt: skip
def test_wrong_numbers(query: str) -> None:
    """Numbers are those of JSON: nothing else that Python takes for one (REST-2)."""
    assert refused(transcoder(distribution_pb2.Distribution, "GET", "/v1/d"), "/v1/d", query)


# -- the body -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"[]", b'"x"', b"1", b"null", b"{", b'{"uri":1}', b'{"count":"x"}', b'{"count":1.5}', b'{"nosuch":1}', b'{"uri":"a","uri":"b"}',
     b'{"uri":"a","fail_at":1,"failAt":1}', b'{"count":1e99}', b'{"count":NaN}', b"\xff", b'{"uri":"\\ud800"}', b'{"uri":{}}',
     b'{"count":' + b"9" * 400 + b"}", b"{" * 101 + b"}" * 101, b'{"a":' * 50_000, b"[" * 100_000, b'{"uri":[]}', b'{"uri":' + b"[" * 99 + b"]" * 99 + b"}"],
    ids=lambda body: repr(body[:40]),
)  # fmt: skip
def test_wrong_bodies(body: bytes) -> None:
    """A body that is no JSON object, an ambiguous one, or not of the request, is refused (JSON-3, REST-2)."""
    made = transcoder(library_pb2.ImportBooksRequest, "POST", "/v1/{parent=shelves/*}/books:import", "*")
    assert refused(made, "/v1/shelves/1/books:import", body=body)


def test_values_given_twice() -> None:
    """A value in the path and in the body is one value, or a mistake (REST-2)."""
    made = transcoder(library_pb2.ImportBooksRequest, "POST", "/v1/{parent=shelves/*}/books:import", "*")
    path = "/v1/shelves/1/books:import"
    assert received(made, path, body=b'{"parent":"shelves/1"}').parent == "shelves/1"
    assert "parent: it is given twice" in refused(made, path, body=b'{"parent":"shelves/2"}')
    assert "no such query parameter" in refused(made, path, "uri=x")
    nested = transcoder(library_pb2.CreateShelfRequest, "PATCH", "/v1/{shelf.name=shelves/*}", "shelf")
    assert received(nested, "/v1/shelves/1", body=b'{"name":"shelves/1","theme":"t"}').shelf.theme == "t"
    assert "shelf.name: it is given twice" in refused(nested, "/v1/shelves/1", body=b'{"name":"shelves/2"}')
    assert "no such query parameter" in refused(nested, "/v1/shelves/1", "shelf.theme=x")
    assert "lies within" in refused(
        transcoder(auth_pb2.AuthenticationRule, "POST", "/v1/{oauth.canonical_scopes}", "*"),
        "/v1/x",
        body=b'{"oauth":1}',
    )


def test_both_names_of_a_field() -> None:
    """A field that is there by both of its names is refused, above all where the path binds it (REST-2)."""
    made = transcoder(library_pb2.CreateShelfRequest, "POST", "/v1/{shelf_id}", "*")
    for body in ({"shelf_id": "1", "shelfId": "2"}, {"shelf_id": "1", "shelfId": "1"}):
        assert "both of its names" in refused(made, "/v1/1", body=json.dumps(body).encode())
    nested = transcoder(auth_pb2.AuthenticationRule, "POST", "/v1/{oauth.canonical_scopes}", "*")
    both = {"oauth": {"canonical_scopes": "x", "canonicalScopes": "y"}}
    assert "both of its names" in refused(nested, "/v1/x", body=json.dumps(both).encode())


def test_a_required_field() -> None:
    """A request without a field that proto2 demands is refused, and not stored (REST-2)."""
    strict: Any = cast("Any", DYNAMIC.find("dynamic_zoo.Strict")).cls
    made = transcoder(strict, "POST", "/v1/s", "*")
    assert "required" in refused(made, "/v1/s", body=b"{}")
    assert received(made, "/v1/s", body=b'{"must":"x"}').must == "x"


# -- bindings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "path", "body", "said"),
    [
        (library_pb2.ImportBooksRequest, "/v1/{nosuch}", "*", "nosuch"),
        (library_pb2.ImportBooksRequest, "/v1/{parent.x}", "*", "parent.x"),
        (library_pb2.CreateShelfRequest, "/v1/{shelf}", "*", "shelf"),
        (library_pb2.CreateShelfRequest, "/v1/x", "nosuch", "nosuch"),
        (library_pb2.CreateShelfRequest, "/v1/x", "shelf_id", "shelf_id"),
        (auth_pb2.AuthenticationRule, "/v1/x", "requirements", "requirements"),
        (distribution_pb2.Distribution, "/v1/{bucket_counts}", "*", "bucket_counts"),
        (wrappers_pb2.StringValue, "/v1/x", "*", "StringValue"),
        (timestamp_pb2.Timestamp, "/v1/x", "", "Timestamp"),
        (field_mask_pb2.FieldMask, "/v1/x", "", "FieldMask"),
        (struct_pb2.Struct, "/v1/x", "*", "Struct"),
    ],
)
def test_bindings_that_do_not_fit(cls: Any, path: str, body: str, said: str) -> None:
    """A binding that does not fit its request message is refused before anybody calls it (REST-1)."""
    with pytest.raises(ValueError, match=said):
        transcoder(cls, "POST", path, body)
