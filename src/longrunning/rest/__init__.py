# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Long-running operations over HTTP/JSON (extra ``rest``): transports for clients, an application for servers.

Names are loaded when they are first used: the client needs httpx, and the server does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._asgi import asgi_app
    from ._asgi_limits import HttpLimits
    from ._bindings import OperationsBindings
    from ._httpx_async import AsyncRestTransport
    from ._httpx_sync import RestTransport

__all__ = ["AsyncRestTransport", "HttpLimits", "OperationsBindings", "RestTransport", "asgi_app"]

_HOME: Final = {
    "AsyncRestTransport": "_httpx_async",
    "HttpLimits": "_asgi_limits",
    "OperationsBindings": "_bindings",
    "RestTransport": "_httpx_sync",
    "asgi_app": "_asgi",
}
# What is missing where this is not installed: the extra, and what needs it.
_EXTRAS: Final = {"httpx": ("rest", "the REST client"), "starlette": ("rest", "serving operations over HTTP")}


if not TYPE_CHECKING:  # otherwise type checkers would take every misspelt name for one that exists

    def __getattr__(name: str) -> Any:
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        from ..errors import MissingExtraError

        try:
            value = getattr(importlib.import_module(f".{home}", __name__), name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in _EXTRAS:
                raise
            raise MissingExtraError(*_EXTRAS[missing]) from error
        globals()[name] = value  # the next access does not come here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
