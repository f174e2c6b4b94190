# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What docstrings say about a method."""

from __future__ import annotations

from ._imports import Expression
from ._layout import safe
from .model import Method

__all__ = ["contents", "described"]


def described(method: Method) -> str:
    """What the .proto says about a method, as it can stand in a docstring."""
    text = safe(method.comment.text) or f"Starts ``{method.path}``."
    return f"{text}\n\nDeprecated." if method.deprecated else text


def contents(response: Expression, metadata: Expression) -> str:
    """What an operation of it holds, in a sentence."""
    result, progress = _shown(response), _shown(metadata)
    if result is None and progress is None:
        return "What operations hold is not declared: the registry finds the types."
    if result is None:
        return f"The metadata is {progress}; the response is not declared."
    if progress is None:
        return f"The response is {result}; the metadata is not declared."
    return f"The response is {result}, the metadata {progress}."


def _shown(part: Expression) -> str | None:
    return None if " | " in part.annotation else f"``{part.value}``"
