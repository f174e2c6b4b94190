# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the sync twin of an async module: ``_client_async.py`` becomes ``_client_sync.py``.

What changes:

* ``async def``, ``async with``, ``async for`` and ``await`` lose their keyword.
* Names: ``AsyncFoo`` is ``Foo``, ``foo_async`` is ``foo_sync``, ``grpc.aio`` is ``grpc``, and those in ``NAMES``.
* Types: ``Awaitable[X]`` is ``X``, ``Coroutine[A, B, X]`` is ``X``, ``AsyncGenerator[X, Y]`` is ``Generator[X, Y, None]``.
* Docstrings and comments speak of the sync names: ``await handle.result()`` is ``handle.result()``.
* Lines from ``# async-only: begin`` to ``# async-only: end`` are left out.
* ``# sync-only: | code`` becomes ``code``, in its place.

What colours cannot hide (locks, sleeping, tasks) is not translated: both import it by the same names
from a pair of small modules written by hand, ``_io_async`` and ``_io_sync``. ruff formats the output and
drops the imports it no longer needs. ``unasyncd`` was tried: it pins an old rich, and cannot rename by
pattern or leave blocks out.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import libcst as cst

ROOT = Path(__file__).resolve().parent.parent
RUFF = Path(sys.executable).with_name("ruff")
SOURCES = (
    *(f"src/longrunning/client/_{name}_async.py" for name in ("adopted", "session", "handle", "client", "grpc")),
    "src/longrunning/rest/_httpx_async.py",
)

NAMES = {
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AioRpcError": "RpcError",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "aiter": "iter",
    "aiter_raw": "iter_raw",
    "anext": "next",
    "asynccontextmanager": "contextmanager",
}
PATTERNS = [
    *((re.compile(rf"\b{name}\b"), twin) for name, twin in NAMES.items()),
    (re.compile(r"\b(_*)Async(?=[A-Z])"), r"\1"),
    (re.compile(r"_async\b"), "_sync"),
]
PROSE = [
    (re.compile(r"\b([Aa])n async (?=[^aeiou\s])"), r"\1 "),
    (re.compile(r"\basync (?=\w)"), ""),
    (re.compile(r"\bawait (?=\w+[.(\[`])"), ""),
    (re.compile(r"\bgrpc\.aio\b"), "grpc"),
]
FIXES = "F401,F811,I001,RUF022,RUF100,TC005"  # what may be left over: imports, the order of __all__, noqa comments


def rename(text: str) -> str:
    """Gives every name in a piece of text its sync twin."""
    for pattern, twin in PATTERNS:
        text = pattern.sub(twin, text)
    return text


def reword(text: str) -> str:
    """Does the same for a comment or docstring, and takes the keywords out."""
    for pattern, twin in PROSE:
        text = pattern.sub(twin, text)
    return rename(text)


class Twin(cst.CSTTransformer):
    """Translates one module."""

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        return updated_node.with_changes(asynchronous=None)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.With:
        return updated_node.with_changes(asynchronous=None)

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.For:
        return updated_node.with_changes(asynchronous=None)

    def leave_CompFor(self, original_node: cst.CompFor, updated_node: cst.CompFor) -> cst.CompFor:
        return updated_node.with_changes(asynchronous=None)

    def leave_Await(self, original_node: cst.Await, updated_node: cst.Await) -> cst.BaseExpression:
        inner = updated_node.expression
        if isinstance(inner, cst.Call | cst.Name | cst.Attribute | cst.Subscript):
            return inner  # parentheses around the await are not needed around these
        return inner.with_changes(lpar=[*updated_node.lpar, *inner.lpar], rpar=[*inner.rpar, *updated_node.rpar])

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return updated_node.with_changes(value=rename(updated_node.value))

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        match updated_node:
            case cst.Attribute(value=cst.Name(value="grpc"), attr=cst.Name(value="aio")):
                return updated_node.value
            case _:
                return updated_node

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> cst.BaseExpression:
        match original_node.value, updated_node.slice:
            case cst.Name(value="Awaitable" | "Coroutine"), (*_, cst.SubscriptElement(slice=cst.Index(value=result))):
                return result
            case cst.Name(value="AsyncGenerator"), (*_,):
                returns = cst.SubscriptElement(slice=cst.Index(value=cst.Name("None")))
                return updated_node.with_changes(slice=[*updated_node.slice, returns])
            case _:
                return updated_node

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        return updated_node.with_changes(value=rename(updated_node.value))

    def leave_Expr(self, original_node: cst.Expr, updated_node: cst.Expr) -> cst.Expr:
        if isinstance(updated_node.value, cst.SimpleString):  # a docstring
            return updated_node.with_changes(
                value=updated_node.value.with_changes(value=reword(updated_node.value.value))
            )
        return updated_node

    def leave_Comment(self, original_node: cst.Comment, updated_node: cst.Comment) -> cst.Comment:
        return updated_node.with_changes(value=reword(updated_node.value))


def apply_markers(source: str) -> str:
    """Leaves out what is async only, and puts in what is sync only."""
    lines: list[str] = []
    skipping = False
    for number, line in enumerate(source.splitlines(), 1):
        marker = line.strip()
        if marker in {"# async-only: begin", "# async-only: end"}:
            if skipping == marker.endswith("begin"):
                sys.exit(f"unasync: line {number}: `{marker}` without its partner")
            skipping = not skipping
        elif not skipping:
            lines.append(re.sub(r"# sync-only: \| ?", "", line))
    if skipping:
        sys.exit("unasync: `# async-only: begin` without its partner")
    return "\n".join(lines) + "\n"


def ruff(text: str, twin: Path, *arguments: str) -> str:
    """Pipes text through ruff with the configuration that holds for the twin's place."""
    command = [str(RUFF), *arguments, "--no-cache", "--stdin-filename", str(twin), "-"]
    return subprocess.run(command, input=text, cwd=ROOT, text=True, check=True, stdout=subprocess.PIPE).stdout


def translate(source: str, name: str, twin: Path) -> str:
    """Returns the sync twin of the module ``name`` with this source."""
    code = cst.parse_module(apply_markers(source)).visit(Twin()).code
    note = f"# Generated from {name} by tools/unasync.py (make unasync). Do not edit.\n"
    spdx = re.match(r"(# SPDX-.*\n)*", code)
    head = spdx.end() if spdx else 0
    code = ruff(code[:head] + note + code[head:], twin, "check", "--quiet", "--fix-only", "--fixable", FIXES)
    return ruff(code, twin, "format", "--quiet")


def main() -> int:
    """Translates or, with ``--check``, compares."""
    parser = argparse.ArgumentParser(description="write the sync twins of async modules")
    parser.add_argument(
        "sources", nargs="*", default=SOURCES, help="modules named *_async.py; those of the client if none is given"
    )
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    arguments = parser.parse_args()
    stale = 0
    for name in arguments.sources:
        source = ROOT / name
        twin = source.with_name(rename(source.name.removesuffix(".py")) + ".py")
        text = translate(source.read_text(encoding="utf-8"), source.name, twin)
        if twin.exists() and twin.read_text(encoding="utf-8") == text:
            continue
        if arguments.check:
            stale += 1
            print(f"unasync: {twin.relative_to(ROOT)} is stale, run `make unasync`", file=sys.stderr)
        else:
            twin.write_text(text, encoding="utf-8")
            print(f"unasync: wrote {twin.relative_to(ROOT)}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
