# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The cases of google-api-core's own `test_path_template`, read from its source distribution, on our templates and requests.

What they do by position (``/v1/*``) is done here by name, because `google.api.http` binds fields; and what they write without
its slash at the front gets one.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from urllib.parse import unquote

import pytest
from google.api_core import rest_helpers
from google.protobuf import empty_pb2, json_format

from longrunning import HttpBinding, LroMethod, TypeRegistry
from longrunning._http import PathTemplate
from longrunning._types import types_for
from longrunning.rest._requests import HttpRequest, start_request
from tests.interop.api_core_suite import NotFetchedError, fetch

pytestmark = pytest.mark.timeout(300)  # a download

flatten_query_params: Any = vars(rest_helpers)["flatten_query_params"]
TYPES = types_for(None, TypeRegistry())


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    """Their test module, imported and not run."""
    try:
        path = Path(fetch()) / "tests" / "unit" / "test_path_template.py"
    except NotFetchedError as error:
        pytest.skip(str(error))
    spec = importlib.util.spec_from_file_location("their_test_path_template", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(theirs: ModuleType, *tests: str) -> list[list[Any]]:
    """The parameters of some of their tests."""
    return [list(case) for test in tests for mark in getattr(theirs, test).pytestmark for case in mark.args[1]]


def expanded(template: str, args: list[str], kwargs: dict[str, str]) -> str:
    """A template with these values, decoded again."""
    numbers = itertools.count()
    named = re.sub(
        r"(?<=/)\*\*?(?=/|$)(?![^{]*})", lambda found: f"{{p{next(numbers)}={found[0]}}}", f"/{template.lstrip('/')}"
    )
    values = {f"p{index}": value for index, value in enumerate(args)} | kwargs
    return unquote(PathTemplate(named).expand(values))


def sent(message: Any, binding: list[str]) -> HttpRequest:
    """The request of a method with this binding."""
    verb, path, body = binding
    method = LroMethod(
        path="/a.B/C",
        request_type=cast("Any", type(message)),
        response_type=empty_pb2.Empty,
        metadata_type=empty_pb2.Empty,
        http=HttpBinding(verb=verb.upper(), path=path, body=body),
    )
    return start_request(method, message, TYPES)


def text_of(document: dict[str, Any], path: str) -> str:
    """The value of a field path; empty where there is none."""
    value: Any = document
    for part in path.split("."):
        value = cast("dict[str, Any]", value).get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def filled(document: dict[str, Any], binding: list[str]) -> str:
    """The path of a binding for the fields of a request that is no message."""
    template = PathTemplate(binding[1])
    return template.expand({field: text_of(document, field) for field in template.fields})


def first(bindings: list[list[str]], make: Callable[[list[str]], Any]) -> tuple[str, Any] | None:
    """Of several bindings what the first one that fits makes; ``None`` if none does."""
    for binding in bindings:
        try:
            return binding[0], make(binding)
        except ValueError:
            continue
    return None


def test_expand(theirs: ModuleType) -> None:
    """What they expand, ours expands to the same, but for the encoding that their next function adds (interop)."""
    found = cases(theirs, "test_expand_success")
    found += [
        [template, [], kwargs, path] for template, kwargs, path in cases(theirs, "test_valid_dot_containing_names")
    ]
    found += [
        ["/v3/{name=projects/*/monitoredResourceDescriptors/**}", [], {"name": name}, path]
        for name, path in cases(theirs, "test_path_traversal_dots_validation_double_star_valid")
    ]
    assert len(found) >= 25
    for template, args, kwargs, path in found:
        assert expanded(template, args, kwargs) == f"/{path.lstrip('/')}"


def test_refuse(theirs: ModuleType) -> None:
    """What they refuse (values that are missing, or that lead elsewhere) is refused (interop)."""
    found = cases(
        theirs,
        "test_expanded_failure",
        "test_path_traversal_dots_validation_star",
        "test_path_traversal_dots_validation_bare_double_star",
        "test_path_traversal_multiple_positional_wildcards",
    )
    found += [
        ["/v3/{name=projects/*/monitoredResourceDescriptors/**}", [], {"name": name}, ""]
        for name in theirs.test_path_traversal_dots_validation_double_star_invalid.pytestmark[0].args[1]
    ]
    found += [
        ["/v1/{name=projects/*/locations/*/buckets/**}", [], {"name": name}, ""]
        for name, _ in cases(theirs, "test_path_traversal_mixed_subtemplate")
    ]
    assert len(found) >= 30
    for template, args, kwargs, _ in found:
        with pytest.raises(ValueError, match=r"empty|no path can carry"):
            expanded(template, args, kwargs)


POSITIVE = (
    "test_transcode_base_case",
    "test_transcode_subfields",
    "test_transcode_with_wildcard",
    "test_transcode_with_body",
    "test_transcode_with_additional_bindings",
)


def test_transcode_messages(theirs: ModuleType) -> None:
    """Messages are divided into path, query and body as they divide them (interop)."""
    count = 0
    for bindings, message, _, (verb, path, body, query) in cases(theirs, *POSITIVE):
        if message is None:
            continue
        count += 1
        found = first(bindings, partial(sent, message))
        try:
            expected = flatten_query_params(json_format.MessageToDict(query), strict=True)
        except ValueError:  # a list of messages, which their next function does not take either
            assert found is None
            continue
        assert found is not None
        request: HttpRequest = found[1]
        assert (found[0], request.path, list(request.query)) == (verb, path, expected)
        if body is not None:
            assert json.loads(request.body or b"") == json_format.MessageToDict(body)
    assert count >= 15


def test_transcode_documents(theirs: ModuleType) -> None:
    """Paths are encoded, and chosen among bindings, as they do it (interop)."""
    count = 0
    for bindings, message, document, (verb, path, _, _) in cases(theirs, *POSITIVE):
        if message is not None:
            continue
        count += 1
        fitting = [binding for binding in bindings if binding[2] in ("", "*") or binding[2] in document]
        assert first(fitting, partial(filled, document)) == (verb, path)
    assert count >= 20


def test_transcode_fails(theirs: ModuleType) -> None:
    """What they cannot send, ours cannot (interop)."""
    found = cases(theirs, "test_transcode_fails")
    assert len(found) >= 10
    for bindings, message, document in found:
        if message is not None:
            assert first(bindings, partial(sent, message)) is None
        else:
            assert first(bindings, partial(filled, document)) is None
