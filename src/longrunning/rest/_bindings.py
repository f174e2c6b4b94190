# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Where the five methods of ``google.longrunning.Operations`` are found over HTTP (operations.proto, ``google.api.http``)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, final

from .._http import path_template
from ..method import HttpBinding

__all__ = ["DEFAULT_BINDINGS", "OperationsBindings"]

Bindings = tuple[HttpBinding, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsBindings:
    """How each RPC is sent: of several bindings the first one whose path fits the name.

    Usually made by `under`, and changed by `dataclasses.replace` where a service has paths of its own. The path of each
    binds ``name``, and nothing else; a list may also have one that binds nothing, for the empty name.

    Attributes:
        get: Of GetOperation.
        list: Of ListOperations; ``name`` is the parent.
        cancel: Of CancelOperation.
        delete: Of DeleteOperation.
        wait: Of WaitOperation; none for a server that is known not to have it.
    """

    get: Bindings
    list: Bindings
    cancel: Bindings
    delete: Bindings
    wait: Bindings = ()

    def __post_init__(self) -> None:
        """Refuses what could not be sent."""
        for field in fields(self):
            rpc: Bindings = getattr(self, field.name)
            if not rpc and field.name != "wait":
                raise ValueError(f"{field.name} has no binding")
            for binding in rpc:
                bound = path_template(binding.path).fields
                if bound != ("name",) and (bound or field.name != "list"):
                    raise ValueError(f"the path of {field.name} binds 'name' and nothing else; got {binding.path!r}")

    @classmethod
    def under(cls, prefix: str = "/v1") -> OperationsBindings:
        """The usual bindings, under the version of an API.

        ``GET /v1/{name}``, ``DELETE /v1/{name}``, ``POST /v1/{name}:cancel``, ``POST /v1/{name}:wait``, and for lists ``GET
        /v1/{parent}/operations``, or ``GET /v1/operations`` without a parent (or with the parent ``operations``, which is what
        the default mapping of operations.proto calls it).

        Args:
            prefix: Such as ``/v1beta1``.

        Raises:
            ValueError: It is not the beginning of a path.
        """

        def binding(verb: str, path: str, body: str = "") -> HttpBinding:
            return HttpBinding(verb=verb, path=prefix + path, body=body)

        return cls(
            get=(binding("GET", "/{name=**}"),),
            list=(
                binding("GET", "/{name=operations}"),
                binding("GET", "/{name=**}/operations"),
                binding("GET", "/operations"),
            ),
            cancel=(binding("POST", "/{name=**}:cancel", "*"),),
            delete=(binding("DELETE", "/{name=**}"),),
            wait=(binding("POST", "/{name=**}:wait", "*"),),
        )


DEFAULT_BINDINGS: Final = OperationsBindings.under()
