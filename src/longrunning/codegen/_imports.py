# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Imports as values: what a module needs is added to them, and they know how it is called and written."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from ._classes import PythonClass
from ._layout import string, wrapped
from ._names import Names, is_plain

__all__ = ["Expression", "Imports", "Modules"]

# Those of the standard library that generated modules import. What else is in it depends on the version of Python.
_STANDARD: Final = frozenset({"abc", "datetime", "importlib", "typing"})


@final
@dataclass(frozen=True, slots=True)
class Expression:
    """A type in generated code.

    Attributes:
        value: Evaluates to the class.
        annotation: What type checkers are told.
    """

    value: str
    annotation: str


@final
class Imports:
    """The ``from … import …`` lines of one block."""

    def __init__(self) -> None:
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._modules: set[str] = set()

    def name(self, module: str, name: str) -> str:
        """Imports a name; returns it."""
        self._names[module].add(name)
        return name

    def module(self, module: str, alias: str) -> None:
        """Imports a module under a name."""
        package, _, base = module.rpartition(".")
        renamed = "" if alias == base else f" as {alias}"
        if package:
            self._names[package].add(base + renamed)
        else:
            self._modules.add(base + renamed)

    def lines(self, indent: int = 0) -> list[str]:
        """The block, the standard library first."""
        standard: list[str] = []
        others = [f"{' ' * indent}import {module}" for module in sorted(self._modules)]
        for module in sorted(self._names):
            lines = _from(module, sorted(self._names[module], key=_rank), indent)
            (standard if module in _STANDARD else others).extend(lines)
        return [*standard, *([""] if standard and others else []), *others]

    def __bool__(self) -> bool:
        return bool(self._names or self._modules)


def _from(module: str, names: list[str], indent: int) -> list[str]:
    head = f"from {module} import "
    if len(lines := wrapped(head, names, "", indent)) == 1:
        return lines
    return wrapped(f"{head}(", names, ")", indent, explode=True)


def _rank(name: str) -> tuple[int, str]:
    """CONSTANTS, Classes, the rest: the order of isort."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


@final
class Modules:
    """The modules that message classes come from, each with a name of its own."""

    def __init__(self, classes: Iterable[PythonClass], taken: Iterable[str]) -> None:
        names = Names((*taken, "dict"))
        classes = tuple(classes)
        modules = {cls.module for cls in classes}
        self._aliases = {module: names.take(alias) for module, alias in _aliases(sorted(modules)).items()}
        self.dynamic: Final = [module for module in self._aliases if not all(map(is_plain, module.split(".")))]
        # A .proto may call a message `_Hidden`: to type checkers that is private to the module of protoc.
        parts = (part for cls in classes for part in (*cls.module.split("."), *cls.names))
        self.private: Final = any(part.startswith("_") for part in parts)

    def add_to(self, imports: Imports) -> None:
        """Imports those that a statement can import."""
        for module, alias in self._aliases.items():
            if module not in self.dynamic:
                imports.module(module, alias)

    def assignments(self) -> list[str]:
        """Imports those whose name no statement can hold, as in ``acme/import/v1``: there is no type for these."""
        return [f"{self._aliases[module]}: Any = import_module({string(module)})" for module in self.dynamic]

    def alias(self, module: str) -> str:
        """What a module is called."""
        return self._aliases[module]

    def expression(self, cls: PythonClass) -> Expression:
        """How a class is reached."""
        value, typed = self._aliases[cls.module], cls.module not in self.dynamic
        for name in cls.names:
            if is_plain(name):
                value = f"{value}.{name}"
            else:  # `None`, `class`
                value, typed = f"getattr({value}, {string(name)})", False
        return Expression(value, value if typed else "Any")


def _aliases(modules: list[str]) -> dict[str, str]:
    """As many of the last parts of each as it takes to tell it from the others."""
    found: dict[str, str] = {}
    for module in modules:
        parts = module.split(".")
        alias = ""
        for count in range(1, len(parts) + 1):
            alias = "_".join(parts[-count:])
            if sum("_".join(other.split(".")[-count:]) == alias for other in modules) == 1:
                break
        alias = re.sub(r"\W", "_", alias)
        found[module] = alias if is_plain(alias) else f"module_{alias}"
    return found
