# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Long-running methods of ``.proto`` files: their model, and the code that is generated from it.

========================  ==============================================================================================
`longrunning.codegen.…`
========================  ==============================================================================================
``model``                 which method returns which response and metadata, for generators in any language
``findings``              what AIP-151 and AIP-4210 object to
``changes``               what breaks between two versions and ``buf breaking`` does not see
``options``               the options of the plugin
``plugin``                ``protoc-gen-longrunning``, as a program and as functions
``errors``                what can be wrong
========================  ==============================================================================================

Laws of this package:

1. It reads descriptors and writes text. It imports nothing else of `longrunning` but its version, no grpc, and no module
   that was generated from a .proto but those of protobuf itself; the runtime is named in strings.
2. Equal input gives equal bytes: nothing depends on the environment, on the time, or on what is installed.
3. Whatever it is given, it raises `CodegenError` or nothing. What a .proto can be blamed for has its file, line and column.
4. Names are loaded when they are first used: a plugin is a process for every directory.

Example:
    model = Model.from_descriptor_set(Path("library.binpb").read_bytes())
    for file, service, method in model.long_running():
        if method.operation is not None:
            print(method.path, method.operation.response.message, method.operation.metadata.message)
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true

if TYPE_CHECKING:
    from .changes import Change, ChangeKind, breaking
    from .errors import CodegenError, InputError, OptionError, SourceError
    from .findings import Finding, Rule, lint
    from .model import (
        Comment,
        File,
        HttpRule,
        Kind,
        Message,
        Method,
        Model,
        OperationInfo,
        Position,
        Service,
        TypeName,
    )
    from .options import Api, Generate, Incomplete, Location, Messages, Options, Streaming, Unannotated
    from .plugin import generate, modules

__all__ = [
    "Api",
    "Change",
    "ChangeKind",
    "CodegenError",
    "Comment",
    "File",
    "Finding",
    "Generate",
    "HttpRule",
    "Incomplete",
    "InputError",
    "Kind",
    "Location",
    "Message",
    "Messages",
    "Method",
    "Model",
    "OperationInfo",
    "OptionError",
    "Options",
    "Position",
    "Rule",
    "Service",
    "SourceError",
    "Streaming",
    "TypeName",
    "Unannotated",
    "breaking",
    "generate",
    "lint",
    "modules",
]

_HOME = {
    **dict.fromkeys(("Change", "ChangeKind", "breaking"), "changes"),
    **dict.fromkeys(("CodegenError", "InputError", "OptionError", "SourceError"), "errors"),
    **dict.fromkeys(("Finding", "Rule", "lint"), "findings"),
    **dict.fromkeys(
        (
            "Comment", "File", "HttpRule", "Kind", "Message", "Method", "Model", "OperationInfo", "Position", "Service",
            "TypeName",
        ),
        "model",
    ),
    **dict.fromkeys(
        ("Api", "Generate", "Incomplete", "Location", "Messages", "Options", "Streaming", "Unannotated"), "options"
    ),
    **dict.fromkeys(("generate", "modules"), "plugin"),
}  # fmt: skip


if not TYPE_CHECKING:  # otherwise type checkers would take every misspelt name for one that exists

    def __getattr__(name):
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f".{home}", __name__), name)
        globals()[name] = value  # the next access does not come here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
