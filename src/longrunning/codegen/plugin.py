# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""``protoc-gen-longrunning``: the plugin of protoc and buf, and the same as a function.

The protocol is that of plugin.proto: a request on standard input, a response on standard output. What is wrong with the
.proto files or with the options is an error within the response, which compilers print; what is wrong with the request
itself is a line on standard error and exit code 1. There is never a traceback.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

from .. import __version__
from ._classes import output_path
from ._module import render
from ._plan import plan
from ._reading import read_parameter
from .errors import CodegenError, InputError, SourceError
from .findings import Finding
from .model import Model
from .options import Options

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["generate", "include_folders", "main", "modules"]

PROGRAM: Final = "protoc-gen-longrunning"
MINIMUM_EDITION: Final = 998  # proto2
MAXIMUM_EDITION: Final = 1001  # 2024


def modules(model: Model, options: Options) -> dict[str, str]:
    """Writes the modules of a model.

    Args:
        model: The API.
        options: What to write.

    Returns:
        Path and text of each module, for every requested file that has long-running methods.

    Raises:
        SourceError: What the files say stands in the way; everything that is wrong is in it.
        CodegenError: Two files would have one module.
    """
    found: list[Finding] = []
    written: dict[str, str] = {}
    sources: dict[str, str] = {}
    for file in model.requested:
        if file.package == "google.longrunning":
            continue  # the interface itself
        try:
            planned = plan(model, file, options)
        except SourceError as error:
            found += error.findings
            continue
        if planned is None:
            continue
        path = output_path(file.path)
        if path in written:
            raise CodegenError(f"{file.path}: {path} is written for {sources[path]} already: rename one of them")
        written[path], sources[path] = render(planned, options, __version__), file.path
    if found:
        raise SourceError(tuple(found))
    return written


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Answers a request of a compiler. What is wrong with its files or options is the ``error`` of the response.

    Raises:
        InputError: The request holds what no compiler writes.
    """
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS,
        minimum_edition=MINIMUM_EDITION,
        maximum_edition=MAXIMUM_EDITION,
    )
    try:
        options = Options.parse(read_parameter(request))
        for name, content in modules(Model.from_request(request), options).items():
            response.file.add(name=name, content=content)
    except InputError:
        raise
    except CodegenError as error:
        response.error = str(error)
    return response


# -- the program ----------------------------------------------------------------------------------------------------

_USAGE: Final = f"""\
{PROGRAM} writes typed clients and servicers for long-running methods. Compilers run it:

    protoc -I. $({PROGRAM} --include) --python_out=gen --pyi_out=gen --longrunning_out=gen library.proto

or, in buf.gen.yaml: plugins: [{{local: {PROGRAM}, out: gen}}]

  --include   print import options for protoc: where google/longrunning/operations.proto is, and google/api
  --version   print the version
  --help      print this
"""


def main() -> NoReturn:
    """Runs the plugin, and ends the process."""
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # whoever asked does not wait for the answer
        code = 1
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    match arguments:
        case []:
            return _answer()
        case ["--include"]:
            sys.stdout.write(" ".join(f"-I{folder}" for folder in include_folders()) + "\n")
        case ["--version"]:
            sys.stdout.write(f"{PROGRAM} {__version__}\n")
        case ["--help" | "-h"]:
            sys.stdout.write(_USAGE)
        case _:
            return _complain(f"unknown arguments {' '.join(arguments)}; options come from the compiler; see --help", 2)
    return 0


def _answer() -> int:
    if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison] (closed before the start)
        return _complain("protoc or buf is to run this, and to write a request to its standard input; see --help", 2)
    data = sys.stdin.buffer.read()
    request = CodeGeneratorRequest()
    try:
        if not data:
            raise InputError("standard input is empty: protoc or buf is to write a request to it; see --help")
        try:
            request.ParseFromString(data)
        except Exception as error:  # DecodeError, and more from the pure Python runtime
            raise InputError(f"standard input is no CodeGeneratorRequest: {error}") from error
        response = generate(request)
    except InputError as error:
        return _complain(str(error), 1)
    except Exception as error:  # noqa: BLE001 (a traceback would help nobody who only wrote a .proto)
        response = CodeGeneratorResponse(error=f"internal error of {PROGRAM}: {type(error).__name__}: {error}")
    sys.stdout.buffer.write(response.SerializeToString(deterministic=True))
    sys.stdout.buffer.flush()
    return 0


def _complain(message: str, code: int) -> int:
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison] (closed before the start)
        sys.stderr.write(f"{PROGRAM}: {' '.join(message.split())}\n")
    return code


def include_folders() -> list[Path]:
    """Import roots for compilers.

    Returns:
        The one with ``google/longrunning/operations.proto``, which googleapis-common-protos installs under a name that no
        .proto imports; and the one with all else that package brings: ``google/api``, ``google/rpc``, ``google/type``.
    """
    from importlib.util import find_spec
    from pathlib import Path

    folders = [Path(__file__).parent / "include"]
    found = find_spec("google.api")
    for place in (found.submodule_search_locations if found is not None else None) or ():
        if Path(place, "annotations.proto").is_file():
            folders.append(Path(place).parents[1])
            break
    return folders
