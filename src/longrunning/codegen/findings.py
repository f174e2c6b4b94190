# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be said about the long-running methods of an API: `lint`, by AIP-151 and AIP-4210.

Rules that Google's own linter has too carry its names, and the comment that switches a rule off there does so here::

    // (-- api-linter: core::0151::lro-metadata-type=disabled --)
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final

from ._reachable import reachable
from .model import File, Kind, Message, Method, Model, OperationInfo, Position, Service

__all__ = ["Finding", "Rule", "lint"]


class Rule(enum.Enum):
    """What a finding is about. The value is its name."""

    # What no code can be generated for.
    UNRESOLVED_TYPE = "unresolved-type"
    """A name means no message of the files at hand."""
    AMBIGUOUS_TYPE = "ambiguous-type"
    """A name means several messages."""
    MALFORMED_ANNOTATION = "malformed-annotation"
    """``operation_info`` or ``google.api.http`` does not say what it has to."""

    # What AIP-151 and AIP-4210 object to; these names are those of Google's linter.
    OPERATION_INFO = "operation-info"
    """A long-running method has no ``operation_info``."""
    RESPONSE_TYPE = "lro-response-type"
    """The response type is missing, or is Empty although there is more to return one day."""
    METADATA_TYPE = "lro-metadata-type"
    """The metadata type is missing, or is Empty, which can never say anything."""
    RESPONSE_REACHABLE = "lro-response-reachable"
    """The file does not import the response type."""
    METADATA_REACHABLE = "lro-metadata-reachable"
    """The file does not import the metadata type."""
    RESPONSE_UNARY = "response-unary"
    """A method returns operations, and streams."""

    # What operations.proto asks for.
    TYPE_QUALIFIED = "lro-type-qualified"
    """A type of another package has to be named in full."""

    @property
    def is_error(self) -> bool:
        """Whether no code can be generated because of it."""
        return self in {Rule.UNRESOLVED_TYPE, Rule.AMBIGUOUS_TYPE, Rule.MALFORMED_ANNOTATION}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to be said about a method.

    Attributes:
        rule: What it is about.
        message: What is wrong, and what to change; one line.
        position: Where.
        method: Path of the method, ``/package.Service/Method``.
    """

    rule: Rule
    message: str
    position: Position
    method: str

    def __str__(self) -> str:
        """``file:line:column: warning: message [rule]``."""
        level = "error" if self.rule.is_error else "warning"
        return f"{self.position}: {level}: {self.message} [{self.rule.value}]"


_EMPTY: Final = "google.protobuf.Empty"
# Of the standard methods, those that never have anything to return (AIP-135, AIP-235).
_NOTHING_TO_RETURN: Final = ("Delete", "BatchDelete")
_DISABLED: Final = re.compile(r"api-linter:\s*core::(?:0151::)?([\w-]+)\s*=\s*disabled")


def lint(model: Model) -> tuple[Finding, ...]:
    """Looks for what AIP-151 and AIP-4210 object to.

    Args:
        model: The API. Comments that switch rules off are seen only where the descriptors were written with source info.

    Returns:
        The findings, those of the model among them, in the order of the files; of files that are to be generated only.
    """
    imports = {file.path: file.imports for file in model.files}
    own = {file.path for file in model.requested}
    found = [finding for finding in model.findings if finding.position.path in own]
    for file in model.requested:
        seen = reachable(file.path, imports)
        for service in file.services:
            for method in service.methods:
                disabled = set(_DISABLED.findall(f"{service.comment.raw}\n{method.comment.raw}"))
                found += [item for item in _findings(file, service, method, seen) if item.rule.value not in disabled]
    order = {file.path: number for number, file in enumerate(model.files)}
    return tuple(sorted(found, key=lambda item: (order[item.position.path], item.position, item.rule.value)))


def _findings(file: File, service: Service, method: Method, seen: frozenset[str]) -> Iterator[Finding]:
    path, name = method.path, f"{service.name}.{method.name}"
    if method.kind is Kind.STREAMS:
        yield Finding(
            rule=Rule.RESPONSE_UNARY,
            message=f"{name} streams; a method that returns an operation is unary (AIP-151)",
            position=method.position,
            method=path,
        )
    if method.kind is not Kind.STARTS:
        return
    info = method.operation
    if info is None:
        yield Finding(
            rule=Rule.OPERATION_INFO,
            message=f"{name} returns an operation but has no google.longrunning.operation_info: "
            "nobody knows what it holds (AIP-151)",
            position=method.position,
            method=path,
        )
        return
    yield from _about_types(file, method, info, name)
    for rule, field, type_name in (
        (Rule.RESPONSE_REACHABLE, "response_type", info.response),
        (Rule.METADATA_REACHABLE, "metadata_type", info.metadata),
    ):
        message = type_name.message
        if message is not None and message.path not in seen and not _always_there(message):
            yield Finding(
                rule=rule,
                message=f"{field} {type_name.written!r} of {name} is defined in {message.path}, which is not imported: "
                "generators that look at imports only do not find it (AIP-4210)",
                position=info.position,
                method=path,
            )


def _about_types(file: File, method: Method, info: OperationInfo, name: str) -> Iterator[Finding]:
    missing: Iterable[tuple[Rule, str, str]] = (
        (Rule.RESPONSE_TYPE, "response_type", info.response.written),
        (Rule.METADATA_TYPE, "metadata_type", info.metadata.written),
    )
    for rule, field, written in missing:
        if not written:
            yield Finding(
                rule=rule,
                message=f"operation_info of {name} has no {field} (AIP-151)",
                position=info.position,
                method=method.path,
            )
    if _is(info.response.message, _EMPTY) and not method.name.startswith(_NOTHING_TO_RETURN):
        yield Finding(
            rule=Rule.RESPONSE_TYPE,
            message=f"the response of {name} is {_EMPTY}, which can never hold anything: "
            "an empty message of its own could (AIP-151); only Delete methods return nothing for good (AIP-135)",
            position=info.position,
            method=method.path,
        )
    if _is(info.metadata.message, _EMPTY):
        yield Finding(
            rule=Rule.METADATA_TYPE,
            message=f"the metadata of {name} is {_EMPTY}, which can never tell anything: "
            "an empty message of its own could (AIP-151)",
            position=info.position,
            method=method.path,
        )
    for field, type_name in (("response_type", info.response), ("metadata_type", info.metadata)):
        message = type_name.message
        if message is None or message.package == file.package:
            continue
        if type_name.written.removeprefix(".") != message.full_name:
            yield Finding(
                rule=Rule.TYPE_QUALIFIED,
                message=f"{field} {type_name.written!r} of {name} is of another package: name it in full, "
                f"{message.full_name!r}, as operations.proto demands",
                position=info.position,
                method=method.path,
            )


def _is(message: Message | None, full_name: str) -> bool:
    return message is not None and message.full_name == full_name


def _always_there(message: Message) -> bool:
    """Whether generators know the type without being told: it comes with protobuf."""
    return message.package == "google.protobuf"
