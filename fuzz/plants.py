# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Bugs to plant, so that the fuzzer can show that it would find them. No input of the corpus meets one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fuzz.typings import GOOGLE
from longrunning import _json, _source, _types, registry
from longrunning._any import split_type_url
from longrunning.codegen import _layout


def replace(owner: Any, name: str, value: object) -> None:
    """Replaces something that exists: a plant that no longer takes must not go unnoticed."""
    getattr(owner, name)
    setattr(owner, name, value)


def trusting() -> None:
    """The type check takes every URL with a trusted host somewhere in it, such as one that only ends in it."""

    def split(type_url: str, allowed_prefixes: Iterable[str] = (GOOGLE,)) -> str:
        for prefix in allowed_prefixes:
            if prefix in type_url:
                return split_type_url(GOOGLE + type_url.rpartition("/")[2])
        return split_type_url(type_url)

    replace(registry, "split_type_url", split)


def unchecked() -> None:
    """Typed access decodes payloads of a leaf name it knows, whatever their package."""

    class Careless(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            leaf = key.rpartition(".")[2]
            return next((decoder for url, decoder in self.items() if url.rpartition(".")[2] == leaf), default)

    made = _types.FieldTypes.__init__

    def init(self: _types.FieldTypes, kinds: Any, *, any_type: bool = False) -> None:
        made(self, kinds, any_type=any_type)
        self.decoders = Careless(self.decoders)

    replace(_types.FieldTypes, "__init__", init)


def deep() -> None:
    """Nothing counts the levels of nested payloads, and a RecursionError gets out."""

    def render(type_url: str, value: bytes, find: Any) -> dict[str, Any]:
        kind = find(type_url)
        if kind is None or kind.full_name != "google.protobuf.Any":
            return guarded(type_url, value, find)
        inner = kind.pb_class.FromString(value)
        return {"@type": type_url, "value": render(inner.type_url, inner.value, find)}

    guarded = _json.any_to_json
    replace(_json, "any_to_json", render)
    replace(_source, "any_to_json", render)


def injected() -> None:
    """Comments become docstrings as they are, so that three quotes end one."""

    def unescaped(line: str) -> str:
        return line

    replace(_layout, "_docstring_line", unescaped)


PLANTS: dict[str, Callable[[], None]] = {
    "trusting": trusting,
    "unchecked": unchecked,
    "deep": deep,
    "injected": injected,
}
