# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`LoopThread`: an async context manager entered on an event loop of its own, for programs without one."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractAsyncContextManager, suppress
from typing import cast, final

__all__ = ["LoopThread"]


@final
class LoopThread:
    """Enters an async context manager on a new thread, and leaves it there."""

    def __init__(self, entered: AbstractAsyncContextManager[object]) -> None:
        """Starts the thread; returns when it has been entered.

        Raises:
            BaseException: What entering it raised.
        """
        self._manager = entered
        self._ready = threading.Event()
        self._entered = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="longrunning-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if not self._entered:
            self._thread.join()
            raise cast("BaseException", self._error)  # without one it would have been entered

    def end(self) -> BaseException | None:
        """Leaves it, and waits for that; what leaving raised."""
        if self._loop is not None and self._end is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        return self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 (raised again on the thread that waits for it)
            self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with self._manager:
            self._entered = True
            self._ready.set()
            await self._end.wait()
