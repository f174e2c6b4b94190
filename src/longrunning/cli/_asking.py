# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The commands that send one request after the other: get, cancel, delete, list. Each returns the exit code."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable

from ..client import ListQuery
from ._connect import Server, connect
from ._exits import CliError, Exit, Verdict, about, complain, printable
from ._options import Link, Sources
from ._output import Output

__all__ = ["cancel", "delete", "get", "list_operations", "remedy"]


def remedy(server: Server) -> str:
    """What would make unknown types known, or why that did not help."""
    if server.link.is_url:
        return "--descriptor-set or --import brings types"
    if server.reflected is None:
        return "--descriptor-set, --import or --reflect brings types"
    return f"the server's reflection: {server.reflected.fault or 'it does not know them either'}"


async def get(names: list[str], link: Link, sources: Sources, output: Output) -> Exit:
    """Shows operations."""
    async with connect(link, sources) as server:

        async def act(name: str) -> None:
            output.operation(await server.client.get(name), server.registry)

        code = await _each(names, link, act)
        output.hint(remedy(server))
        return code


async def cancel(names: list[str], link: Link, output: Output) -> Exit:
    """Asks for operations to be cancelled."""
    async with connect(link, Sources()) as server:

        async def act(name: str) -> None:
            await server.client.cancel(name)
            if output.as_json:
                output.document({"name": name, "cancelRequested": True})
            else:
                output.lines([[("cancel requested  ", ""), (printable(name), "name")]])

        return await _each(names, link, act)


async def delete(names: list[str], link: Link, output: Output) -> Exit:
    """Deletes operations."""
    async with connect(link, Sources()) as server:

        async def act(name: str) -> None:
            await server.client.delete(name)
            if output.as_json:
                output.document({"name": name, "deleted": True})
            else:
                output.lines([[("deleted  ", ""), (printable(name), "name")]])

        return await _each(names, link, act)


async def _each(names: list[str], link: Link, act: Callable[[str], Awaitable[None]]) -> Exit:
    """Does something with one operation after the other. A server that does not answer is asked no more."""
    verdict = Verdict()
    for name in names:
        try:
            with about(name, link.endpoint):
                await act(name)
        except CliError as error:
            verdict.fail(error)
            if error.code is Exit.UNREACHABLE:
                break
    return verdict.code


async def list_operations(query: ListQuery, link: Link, sources: Sources, output: Output, *, all_pages: bool) -> Exit:
    """Shows the operations under a parent, page by page."""
    async with connect(link, sources) as server:
        pager = server.client.list(
            query.name, filter=query.filter, page_size=query.page_size, page_token=query.page_token,
            return_partial_success=query.return_partial_success,
        )  # fmt: skip
        shown = 0
        with about(query.name, link.endpoint):
            async for page in pager.pages():
                output.page(page, server.registry)
                shown += len(page)
                for place in page.unreachable:
                    complain(f"unreachable, so its operations are not listed: {place}")
                if page.next_page_token and not all_pages:
                    complain(f"there is more: --page-token {shlex.quote(page.next_page_token)}, or --all")
                    break
        if not shown:
            complain(f"no operations under {query.name}" if query.name else "no operations")
        output.hint(remedy(server))
    return Exit.OK
