# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The commands and their options. What they do is imported when they do it: ``--help`` must be quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from .. import __version__
from ._exits import Exit
from ._options import Link, Pace, Sources, endpoint, header, operation_names, seconds, sendable
from ._process import Work, perform

__all__ = ["app"]

_EPILOG: Final = """
\b
Exit codes:
  0  ok
  1  the operation failed, the server refused the request, or something was found (lint, breaking)
  2  the command line, or what it names, cannot be used
  3  the wait ended, the operation goes on
  4  the server does not know the operation
  5  the operation was cancelled
  6  the server does not answer
"""
RPC_TIMEOUT: Final = "10s"
TIMEOUT: Final = "15m"  # of PollPolicy
_GOES_ON: Final = "interrupted; what was waited for goes on"

app: Final = typer.Typer(
    name="longrunning",
    help="Get, list, wait for, watch, cancel, delete and decode long-running operations (google.longrunning, AIP-151); "
    "inspect, lint and compare the APIs that return them.",
    epilog=_EPILOG,
    add_completion=False,  # it goes by environment variables
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich is slow to load
)

Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of operations, as the server gave them.")]
Endpoint = Annotated[
    str,
    typer.Option("--endpoint", "-e", metavar="HOST:PORT", help="The server; or its URL, https://..., for HTTP/JSON."),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Plain text: no TLS.")]
Ca = Annotated[
    Path | None, typer.Option("--ca", metavar="FILE", help="Certificates (PEM) to trust, instead of the usual ones.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="KEY=VALUE", help="Send a header with every request; repeatable."),
]
RpcTimeout = Annotated[
    str,
    typer.Option("--rpc-timeout", metavar="TIME", help="Longest time that one request may take."),
]
DescriptorSets = Annotated[
    list[Path] | None,
    typer.Option("--descriptor-set", metavar="FILE", help="Types: a FileDescriptorSet (buf build -o); repeatable."),
]
Modules = Annotated[
    list[str] | None,
    typer.Option("--import", metavar="MODULE", help="Types: a Python module that has them; repeatable."),
]
Reflect = Annotated[bool, typer.Option("--reflect", help="Types: ask the server (gRPC server reflection).")]
Descriptors = Annotated[
    Path, typer.Argument(metavar="DESCRIPTORS", help="The descriptors of the API, with imports; '-': standard input.")
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON, a document on each line.")]
Timeout = Annotated[
    str, typer.Option("--timeout", "-t", metavar="TIME", help="How long to wait: 30, 5m, 2h; 'none' is for ever.")
]
Interval = Annotated[
    str | None,
    typer.Option("--interval", metavar="TIME", help="Time between requests: 1 s at first and 5 s later, unless given."),
]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        typer.echo(f"longrunning {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(Exit.USAGE)


@app.command()
def get(
    names: Names,
    *,
    server: Endpoint,
    insecure: Insecure = False,
    ca: Ca = None,
    headers: Headers = None,
    rpc_timeout: RpcTimeout = RPC_TIMEOUT,
    descriptor_sets: DescriptorSets = None,
    modules: Modules = None,
    reflect: Reflect = False,
    json: Json = False,
) -> None:
    """Show operations as they are now."""

    def command() -> Work:
        link = _link(server, insecure, ca, headers, rpc_timeout)
        from . import _asking, _output

        return _asking.get(
            operation_names(names), link, _sources(modules, descriptor_sets, reflect), _output.Output(as_json=json)
        )

    raise typer.Exit(perform(command))


@app.command(name="list")
def list_(
    *,
    server: Endpoint,
    insecure: Insecure = False,
    ca: Ca = None,
    headers: Headers = None,
    rpc_timeout: RpcTimeout = RPC_TIMEOUT,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What they are under: projects/p/locations/l", show_default=False)
    ] = "",
    filter_: Annotated[
        str,
        typer.Option(
            "--filter", metavar="FILTER", help="Only those, in the server's dialect of AIP-160.", show_default=False
        ),
    ] = "",
    page_size: Annotated[
        int, typer.Option(metavar="N", help="At most that many a page; 0 is the server's choice.", min=0, max=2**31 - 1)
    ] = 0,
    page_token: Annotated[
        str, typer.Option(metavar="TOKEN", help="Start where an earlier page ended.", show_default=False)
    ] = "",
    all_pages: Annotated[bool, typer.Option("--all", help="All pages; otherwise one.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Ask for what can be reached where not everything can.")
    ] = False,
    descriptor_sets: DescriptorSets = None,
    modules: Modules = None,
    reflect: Reflect = False,
    json: Json = False,
) -> None:
    """List operations, a page of them or all."""

    def command() -> Work:
        link = _link(server, insecure, ca, headers, rpc_timeout)
        from ..client import ListQuery
        from . import _asking, _output

        query = ListQuery(
            name=sendable(name, "NAME"), filter=sendable(filter_, "--filter"), page_size=page_size,
            page_token=sendable(page_token, "--page-token"), return_partial_success=partial,
        )  # fmt: skip
        sources = _sources(modules, descriptor_sets, reflect)
        return _asking.list_operations(query, link, sources, _output.Output(as_json=json), all_pages=all_pages)

    raise typer.Exit(perform(command))


@app.command()
def wait(
    names: Names,
    *,
    server: Endpoint,
    insecure: Insecure = False,
    ca: Ca = None,
    headers: Headers = None,
    rpc_timeout: RpcTimeout = RPC_TIMEOUT,
    timeout: Timeout = TIMEOUT,
    interval: Interval = None,
    descriptor_sets: DescriptorSets = None,
    modules: Modules = None,
    reflect: Reflect = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Json = False,
) -> None:
    """Wait until operations are done, then show them.

    Progress is shown on a terminal, or written to standard error, a line for each change. Ctrl-C ends the wait, not the operations.
    """

    def command() -> Work:
        link = _link(server, insecure, ca, headers, rpc_timeout)
        pace = _pace(timeout, interval, progress=not quiet)
        from . import _following, _output

        sources, output = _sources(modules, descriptor_sets, reflect), _output.Output(as_json=json)
        return _following.follow(operation_names(names), link, sources, pace, output, each=False, quiet=quiet)

    raise typer.Exit(perform(command, _GOES_ON))


@app.command()
def watch(
    names: Names,
    *,
    server: Endpoint,
    insecure: Insecure = False,
    ca: Ca = None,
    headers: Headers = None,
    rpc_timeout: RpcTimeout = RPC_TIMEOUT,
    timeout: Timeout = TIMEOUT,
    interval: Interval = None,
    descriptor_sets: DescriptorSets = None,
    modules: Modules = None,
    reflect: Reflect = False,
    json: Json = False,
) -> None:
    """Show every change of operations until they are done.

    With --json each snapshot is a document. Ctrl-C ends the watch, not the operations.
    """

    def command() -> Work:
        link = _link(server, insecure, ca, headers, rpc_timeout)
        pace = _pace(timeout, interval)
        from . import _following, _output

        sources, output = _sources(modules, descriptor_sets, reflect), _output.Output(as_json=json)
        return _following.follow(operation_names(names), link, sources, pace, output, each=True)

    raise typer.Exit(perform(command, _GOES_ON))


@app.command()
def cancel(
    names: Names,
    *,
    server: Endpoint,
    insecure: Insecure = False,
    ca: Ca = None,
    headers: Headers = None,
    rpc_timeout: RpcTimeout = RPC_TIMEOUT,
    json: Json = False,
) -> None:
    """Ask the server to cancel operations.

    A request: an operation may still succeed. `wait` tells what became of it.
    """

    def command() -> Work:
        link = _link(server, insecure, ca, headers, rpc_timeout)
        from . import _asking, _output

        return _asking.cancel(operation_names(names), link, _output.Output(as_json=json))

    raise typer.Exit(perform(command))


@app.command()
def delete(
    names: Names,
    *,
    server: Endpoint,
    insecure: Insecure = False,
    ca: Ca = None,
    headers: Headers = None,
    rpc_timeout: RpcTimeout = RPC_TIMEOUT,
    json: Json = False,
) -> None:
    """Tell the server that nobody is interested in operations any more.

    It forgets them. That does not cancel them.
    """

    def command() -> Work:
        link = _link(server, insecure, ca, headers, rpc_timeout)
        from . import _asking, _output

        return _asking.delete(operation_names(names), link, _output.Output(as_json=json))

    raise typer.Exit(perform(command))


@app.command()
def decode(
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="By default, or if it is '-': standard input.")
    ] = None,
    descriptor_sets: DescriptorSets = None,
    modules: Modules = None,
    json: Json = False,
) -> None:
    """Show an operation, or a list of them, from a file.

    In binary form or JSON: an Operation, a ListOperationsResponse, or JSON documents line by line.
    """

    def command() -> Work:
        from . import _decode, _output

        path = None if file is None or str(file) == "-" else file
        return _decode.decode(path, _sources(modules, descriptor_sets), _output.Output(as_json=json))

    raise typer.Exit(perform(command))


@app.command()
def inspect(descriptors: Descriptors, *, json: Json = False) -> None:
    """Show which methods of an API return which operations.

    DESCRIPTORS is a FileDescriptorSet: buf build -o FILE, or protoc --include_imports --include_source_info
    --descriptor_set_out=FILE. '-' is standard input.
    """

    def command() -> Work:
        from . import _codegen, _output

        return _codegen.inspect(descriptors, _output.Output(as_json=json))

    raise typer.Exit(perform(command))


@app.command()
def lint(
    descriptors: Descriptors,
    *,
    paths: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="PATH", help="Only this folder of .proto files, or file; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Look for what AIP-151 and AIP-4210 object to in long-running methods.

    Exits with 1 if there is anything. A comment at a method or service switches a rule off, as it does for Google's linter:
    (-- api-linter: core::0151::lro-metadata-type=disabled --)
    """

    def command() -> Work:
        from . import _codegen, _output

        return _codegen.lint(descriptors, _output.Output(as_json=json), paths or ())

    raise typer.Exit(perform(command))


@app.command()
def breaking(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Descriptors that clients know.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Descriptors that are to replace them.")],
    *,
    json: Json = False,
) -> None:
    """Look for changes of response and metadata types, which `buf breaking` does not see.

    Exits with 1 if there are any.
    """

    def command() -> Work:
        from . import _codegen, _output

        return _codegen.breaking(old, new, _output.Output(as_json=json))

    raise typer.Exit(perform(command))


def _link(server: str, insecure: bool, ca: Path | None, headers: list[str] | None, rpc_timeout: str) -> Link:  # noqa: FBT001 (the options, in order)
    return Link(
        endpoint=endpoint(server),
        insecure=insecure,
        ca=ca,
        headers=tuple(map(header, headers or ())),
        rpc_timeout=seconds(rpc_timeout, "--rpc-timeout", least=0.001),
    )


def _sources(modules: list[str] | None, descriptor_sets: list[Path] | None, reflect: bool = False) -> Sources:  # noqa: FBT001, FBT002
    return Sources(modules=tuple(modules or ()), descriptor_sets=tuple(descriptor_sets or ()), reflect=reflect)


def _pace(timeout: str, interval: str | None, *, progress: bool = True) -> Pace:
    return Pace(
        progress=progress,
        timeout=None if timeout.strip().lower() == "none" else seconds(timeout, "--timeout"),
        interval=None if interval is None else seconds(interval, "--interval", least=0.001),
    )
