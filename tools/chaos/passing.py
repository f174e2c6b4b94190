# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A store that passes every call on to another one: to be derived from, by those that let something go wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from longrunning.server import OperationStore

__all__ = ["PassingStore"]


class PassingStore:
    """An `OperationStore` that does what the one inside it does.

    Attributes:
        inner: The store inside it.
    """

    def __init__(self, inner: OperationStore) -> None:
        self.inner = inner


def _passed_on(name: str) -> Callable[..., Any]:
    def call(self: PassingStore, *arguments: Any, **named: Any) -> Any:
        return getattr(self.inner, name)(*arguments, **named)

    return call


for _name in [name for name in vars(OperationStore) if not name.startswith("_")]:
    setattr(PassingStore, _name, _passed_on(_name))  # there to be seen: a server looks whether its store has them all
