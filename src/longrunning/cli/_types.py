# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The types of payloads: from modules, from descriptor sets, from the server itself."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from ..errors import DescriptorError, RegistryConflictError
from ..registry import TypeRegistry
from ._exits import CliError, Exit
from ._options import Sources

__all__ = ["read_file", "registry_of"]


def registry_of(sources: Sources) -> TypeRegistry:
    """The registry that the options ask for, but for what the server tells (`--reflect`).

    Raises:
        CliError: A module or a descriptor set cannot be used.
    """
    registry = TypeRegistry()
    for module in sources.modules:
        registry = _and(registry, _from_module(module), f"--import {module}")
    for path in sources.descriptor_sets:
        registry = _and(registry, _from_descriptor_set(path), f"--descriptor-set {path}")
    return registry


def read_file(path: Path, option: str = "") -> bytes:
    """The content of a file.

    Raises:
        CliError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CliError(Exit.USAGE, f"{option} {path}: {reason}".lstrip()) from error


def _and(registry: TypeRegistry, other: TypeRegistry, option: str) -> TypeRegistry:
    try:
        return registry | other
    except RegistryConflictError as error:
        raise CliError(Exit.USAGE, f"{option}: {error}") from error


def _from_module(name: str) -> TypeRegistry:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)  # last: a file lying around must not stand in for an installed module
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # somebody else's module can raise anything
        raise CliError(Exit.USAGE, f"--import {name}: {type(error).__name__}: {error}") from error
    try:
        return TypeRegistry.from_modules(module)
    except ValueError as error:
        raise CliError(Exit.USAGE, f"--import {name}: {error}") from error


def _from_descriptor_set(path: Path) -> TypeRegistry:
    try:
        return TypeRegistry.from_file_descriptor_set(read_file(path, "--descriptor-set"))
    except DescriptorError as error:
        raise CliError(Exit.USAGE, f"--descriptor-set {path}: {error}") from error
