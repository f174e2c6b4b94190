# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What AIP-151 and AIP-4210 object to, and what changes break clients."""

from __future__ import annotations

import pytest

from longrunning.codegen import ChangeKind, Model, Rule, breaking, lint
from tests.codegen.compiling import HEADER, Sources, service, starts

EMPTY = "google.protobuf.Empty"
OTHER = 'syntax = "proto3"; package acme; message Outer {}'
MORE = "message Request {} message Thing {} message Meta {}"


def found(sources: Sources) -> list[tuple[Rule, int]]:
    """Rules and lines."""
    return [(finding.rule, finding.position.line) for finding in lint(sources.model())]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (starts(), []),
        (starts("DeleteThing", response=EMPTY), []),
        (starts("BatchDeleteThings", response=EMPTY), []),
        (starts(response="google.protobuf.Any", metadata="google.protobuf.Struct"), []),
        (starts(response=".acme.v1.Thing", metadata="acme.v1.Meta"), []),
        (starts(response=EMPTY), [(Rule.RESPONSE_TYPE, 7)]),
        (starts("DeleteThing", response=EMPTY, metadata=EMPTY), [(Rule.METADATA_TYPE, 7)]),
        (starts(response=""), [(Rule.RESPONSE_TYPE, 7)]),
        (starts(metadata=""), [(Rule.METADATA_TYPE, 7)]),
        (starts(response="", metadata=""), [(Rule.METADATA_TYPE, 7), (Rule.RESPONSE_TYPE, 7)]),
        (starts(response="Thang"), [(Rule.UNRESOLVED_TYPE, 7)]),
        ("rpc Make(Request) returns (google.longrunning.Operation);", [(Rule.OPERATION_INFO, 6)]),
        ("rpc Make(Request) returns (stream google.longrunning.Operation);", [(Rule.RESPONSE_UNARY, 6)]),
        ("rpc Make(stream Request) returns (google.longrunning.Operation);", [(Rule.RESPONSE_UNARY, 6)]),
        ("rpc Get(google.longrunning.GetOperationRequest) returns (google.longrunning.Operation);", []),
        ("rpc Get(Request) returns (Thing);", []),
    ],
)
def test_findings(method: str, expected: list[tuple[Rule, int]]) -> None:
    """A missing annotation or type, an Empty that should not be one, and streaming are found (GEN-5)."""
    assert found(service(method)) == expected


def test_unreachable_types() -> None:
    """A type that the file does not import is found, though it resolves; one that every runtime has is not (GEN-5)."""
    texts = {**service(starts(response="acme.Outer", metadata="acme.Outer")).texts, "acme/outer.proto": OTHER}
    findings = lint(Sources(texts).model())
    assert [finding.rule for finding in findings] == [Rule.METADATA_REACHABLE, Rule.RESPONSE_REACHABLE]
    assert findings[1].message == (
        "response_type 'acme.Outer' of Things.Make is defined in acme/outer.proto, which is not imported: "
        "generators that look at imports only do not find it (AIP-4210)"
    )
    indirectly = 'syntax = "proto3"; package between; import public "acme/outer.proto";'
    imported = texts["acme/v1/a.proto"].replace("import", 'import "between.proto";\nimport', 1)
    assert found(Sources({**texts, "acme/v1/a.proto": imported, "between.proto": indirectly})) == []


def test_types_of_outer_scopes() -> None:
    """A type of another package that is not named in full is found: operations.proto demands it (GEN-5)."""
    imported = service(starts(response="Outer", metadata=".acme.Outer")).texts["acme/v1/a.proto"]
    imported = imported.replace("import", 'import "acme/outer.proto";\nimport', 1)
    findings = lint(Sources({"acme/v1/a.proto": imported, "acme/outer.proto": OTHER}).model())
    assert [finding.rule for finding in findings] == [Rule.TYPE_QUALIFIED]
    assert "name it in full, 'acme.Outer'" in findings[0].message


@pytest.mark.parametrize("place", ["method", "service"])
def test_disabled_rules(place: str) -> None:
    """The comment that switches a rule off for Google's linter does so here (GEN-5)."""
    comment = "// Makes it.\n// (-- api-linter: core::0151::lro-response-type=disabled\n//     aip.dev/not-precedent: so. --)\n"
    method = starts(response=EMPTY, metadata=EMPTY)
    body = f"service Things {{\n{method}\n}}\n{MORE}"
    text = HEADER + (comment + body if place == "service" else body.replace(method, comment + method))
    assert [rule for rule, _ in found(Sources({"a.proto": text}))] == [Rule.METADATA_TYPE]


def test_lines() -> None:
    """A finding reads like what compilers say, with its level and rule (GEN-5)."""
    warning, error = lint(service(starts(response=EMPTY), starts("Other", response="No")).model())
    assert str(warning) == (
        "acme/v1/a.proto:7:5: warning: the response of Things.Make is google.protobuf.Empty, which can never hold anything: "
        "an empty message of its own could (AIP-151); only Delete methods return nothing for good (AIP-135) "
        "[lro-response-type]"
    )
    assert str(error).startswith("acme/v1/a.proto:11:5: error: response_type 'No' of Things.Other is no message")
    assert str(error).endswith("[unresolved-type]")


def test_only_requested_files() -> None:
    """Files that are only imported are not looked at (GEN-5)."""
    texts = {
        **service(starts(response=EMPTY)).texts,
        "b.proto": HEADER.replace("acme.v1", "b").replace("import", 'import "acme/v1/a.proto";\nimport', 1),
    }
    assert lint(Model.from_request(Sources(texts).request(only=["b.proto"]))) == ()
    assert len(lint(Sources(texts).model())) == 1


# -- changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (starts(), starts(), []),
        (starts(), starts(response=".acme.v1.Thing", metadata="v1.Meta"), []),
        (starts(), starts(response="Meta"), [(ChangeKind.RESPONSE_TYPE, "acme.v1.Thing", "acme.v1.Meta")]),
        (starts(), starts(metadata="Thing"), [(ChangeKind.METADATA_TYPE, "acme.v1.Meta", "acme.v1.Thing")]),
        (
            starts(),
            starts(response="Meta", metadata="Thing"),
            [
                (ChangeKind.RESPONSE_TYPE, "acme.v1.Thing", "acme.v1.Meta"),
                (ChangeKind.METADATA_TYPE, "acme.v1.Meta", "acme.v1.Thing"),
            ],
        ),
        (
            starts(),
            starts(response="google.protobuf.Any"),
            [(ChangeKind.RESPONSE_TYPE, "acme.v1.Thing", "google.protobuf.Any")],
        ),
        (starts(), starts(metadata=""), [(ChangeKind.METADATA_TYPE, "acme.v1.Meta", "")]),
        (starts(response="google.protobuf.Any"), starts(), []),
        (starts(metadata=""), starts(), []),
        (
            starts(),
            "rpc Make(Request) returns (google.longrunning.Operation);",
            [(ChangeKind.OPERATION_INFO, "acme.v1.Thing", "")],
        ),
        ("rpc Make(Request) returns (google.longrunning.Operation);", starts(), []),
        (starts(), "rpc Make(Request) returns (Thing);", []),
        (starts(), starts("Other"), []),
        (starts(), starts(response="Thang"), [(ChangeKind.RESPONSE_TYPE, "acme.v1.Thing", "Thang")]),
        (starts(response="Thang"), starts(response="Thang"), []),
    ],
)
def test_changes(old: str, new: str, expected: list[tuple[ChangeKind, str, str]]) -> None:
    """A response or metadata type that changed is breaking, however it is written; what buf sees is buf's (GEN-5)."""
    changes = breaking(service(old).model(), service(new).model())
    assert [(change.kind, change.old, change.new) for change in changes] == expected


def test_messages_of_changes() -> None:
    """A change says what was and what is, and where (GEN-5)."""
    (response,) = breaking(service(starts()).model(), service(starts(response="Meta")).model())
    assert str(response) == (
        "acme/v1/a.proto:7:5: the response of Things.Make was acme.v1.Thing and is acme.v1.Meta [response-type]"
    )
    (metadata,) = breaking(service(starts()).model(), service(starts(metadata="")).model())
    assert metadata.message == "the metadata of Things.Make was acme.v1.Meta and is undeclared"
    gone = service("rpc Make(Request) returns (google.longrunning.Operation);")
    (annotation,) = breaking(service(starts()).model(), gone.model())
    assert str(annotation) == (
        "acme/v1/a.proto:6:1: Things.Make had an operation_info (response acme.v1.Thing) and has none any more "
        "[operation-info]"
    )


def test_a_type_that_moved() -> None:
    """A type that only moved to another file of its package is the same (GEN-5)."""
    old = service(starts())
    text = (
        old.texts["acme/v1/a.proto"].replace("message Thing {}\n", "").replace("import", 'import "b.proto";\nimport', 1)
    )
    new = Sources({"acme/v1/a.proto": text, "b.proto": 'syntax = "proto3"; package acme.v1; message Thing {}'})
    assert breaking(old.model(), new.model()) == ()
