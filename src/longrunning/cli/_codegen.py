# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""inspect, lint and breaking: what descriptor sets say about long-running methods. No server is asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from ..codegen import Change, Comment, Finding, HttpRule, InputError, Kind, Method, Model, Position, TypeName
from ..codegen import breaking as find_changes
from ..codegen import lint as find_findings
from ._exits import CliError, Exit, complain, printable
from ._output import Output
from ._types import read_file

if TYPE_CHECKING:
    from ..codegen import File, Service
    from ._show import Line

__all__ = ["breaking", "inspect", "lint"]


def inspect(descriptors: Path, output: Output) -> Exit:
    """Shows which method returns which operation."""
    model = _read(descriptors)
    if output.as_json:
        output.document(_document(model))
        return Exit.OK
    lines = list(_table(model))
    output.lines(lines)
    if not lines:
        complain(f"{descriptors}: no method returns a long-running operation")
    for finding in model.findings:
        complain(str(finding))
    return Exit.OK


def lint(descriptors: Path, output: Output, paths: Sequence[str]) -> Exit:
    """Shows what AIP-151 and AIP-4210 object to."""
    found = [item for item in find_findings(_read(descriptors)) if _is_wanted(item.position.path, paths)]
    for finding in found:
        if output.as_json:
            output.document(_finding(finding))
        else:
            output.lines([[(printable(str(finding)), "bad" if finding.rule.is_error else "running")]])
    return Exit.FAILED if found else Exit.OK


def breaking(old: Path, new: Path, output: Output) -> Exit:
    """Shows which types of operations changed."""
    found = find_changes(_read(old), _read(new))
    for change in found:
        if output.as_json:
            output.document(_change(change))
        else:
            output.lines([[(printable(str(change)), "bad")]])
    return Exit.FAILED if found else Exit.OK


def _read(path: Path) -> Model:
    standard_input = str(path) == "-"
    data = _read_input() if standard_input else read_file(path)
    try:
        return Model.from_descriptor_set(data)
    except InputError as error:
        raise CliError(Exit.USAGE, f"{'standard input' if standard_input else path}: {error}") from error


def _read_input() -> bytes:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] (closed before the program started)
        return b""
    return sys.stdin.buffer.read()


def _is_wanted(path: str, wanted: Sequence[str]) -> bool:
    folders = [folder.strip("/") for folder in wanted]
    return not folders or any(path == folder or path.startswith(f"{folder}/") for folder in folders)


# -- the table ------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class _Row:
    method: str
    response: str
    metadata: str
    http: str


def _table(model: Model) -> Iterator[Line]:
    first = True
    for file in model.files:
        for service in file.long_running:
            if not first:
                yield []
            first = False
            yield from _service_lines(file, service)
    if model.mixin and not first:
        yield []
        yield [("google.longrunning.Operations", "name"), ("  over HTTP", "dim")]
        width = max(len(name) for name, _ in model.mixin)
        for name, rule in model.mixin:
            yield [(f"  {name:<{width}}  {printable(_http(rule))}", "")]


def _service_lines(file: File, service: Service) -> Iterator[Line]:
    yield [(service.full_name, "name"), (f"  {printable(str(service.position))}", "dim")]
    rows = [_row(file, method) for method in service.long_running]
    rows.insert(0, _Row("METHOD", "RESPONSE", "METADATA", "HTTP"))
    widths = [max(len(cell) for cell in column) for column in zip(*map(_cells, rows), strict=True)]
    for number, row in enumerate(rows):
        cells = [f"{cell:<{width}}  " for cell, width in zip(_cells(row), widths, strict=True)]
        cells[3] = cells[3].rstrip()
        cells[2] = cells[2] if cells[3] else cells[2].rstrip()
        if number == 0:
            yield [(f"  {''.join(cells)}".rstrip(), "key")]
        else:
            yield [(f"  {cells[0]}", ""), ("".join(cells[1:3]), "type"), (cells[3], "dim")]


def _cells(row: _Row) -> tuple[str, ...]:
    return row.method, row.response, row.metadata, row.http


def _row(file: File, method: Method) -> _Row:
    info = method.operation
    return _Row(
        method=method.name,
        response="(not declared)" if info is None else _short(file, info.response),
        metadata="(not declared)" if info is None else _short(file, info.metadata),
        http="" if method.http is None else printable(_http(method.http)),
    )


def _short(file: File, type_name: TypeName) -> str:
    """The name within the package; what does not resolve, as it is written."""
    message = type_name.message
    if message is None:
        return f"{printable(type_name.written)} (not found)" if type_name.written else "(not declared)"
    return ".".join(message.names) if message.package == file.package else message.full_name


def _http(rule: HttpRule) -> str:
    return f"{rule.verb} {rule.path}"


# -- JSON -----------------------------------------------------------------------------------------------------------


def _document(model: Model) -> dict[str, Any]:
    return {
        "files": [
            {
                "path": file.path,
                "package": file.package,
                "edition": file.edition,
                "services": [_service(service) for service in file.services],
            }
            for file in model.files
            if file.services
        ],
        "findings": [_finding(finding) for finding in model.findings],
        "operations": [{"method": name, "http": _rule(rule)} for name, rule in model.mixin],
    }


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.full_name,
        **_declared(service.comment, service.position, deprecated=service.deprecated),
        "methods": [_method(method) for method in service.methods],
    }


def _method(method: Method) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": method.name,
        "path": method.path,
        "kind": method.kind.value,
        "request": None if method.request is None else method.request.full_name,
        "response": None if method.response is None else method.response.full_name,
        **_declared(method.comment, method.position, deprecated=method.deprecated),
    }
    if method.client_streaming or method.server_streaming:
        document["streaming"] = {"client": method.client_streaming, "server": method.server_streaming}
    if method.operation is not None and method.kind is not Kind.ORDINARY:
        document["operation"] = {
            "response": _type(method.operation.response),
            "metadata": _type(method.operation.metadata),
            "position": _position(method.operation.position),
        }
    if method.http is not None:
        document["http"] = _rule(method.http)
    return document


def _declared(comment: Comment, position: Position, *, deprecated: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"position": _position(position)}
    if comment.text:
        document["comment"] = comment.text
    if deprecated:
        document["deprecated"] = True
    return document


def _position(position: Position) -> dict[str, Any]:
    place = {"line": position.line, "column": position.column} if position.line else {}
    return {"path": position.path, **place}


def _type(type_name: TypeName) -> dict[str, Any]:
    message = type_name.message
    found = {} if message is None else {"name": message.full_name, "path": message.path}
    return {"written": type_name.written, **found}


def _rule(rule: HttpRule) -> dict[str, Any]:
    document: dict[str, Any] = {"verb": rule.verb, "path": rule.path}
    if rule.body:
        document["body"] = rule.body
    if rule.response_body:
        document["responseBody"] = rule.response_body
    if rule.additional:
        document["additional"] = [_rule(item) for item in rule.additional]
    return document


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "level": "error" if finding.rule.is_error else "warning",
        "rule": finding.rule.value,
        "method": finding.method,
        "message": finding.message,
        "position": _position(finding.position),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "method": change.method,
        "old": change.old,
        "new": change.new,
        "message": change.message,
        "position": _position(change.position),
    }
