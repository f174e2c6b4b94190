# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The testing kit: a scripted server, fake clocks, a client and a server in one process, a network that fails.

It is what the tests of this package are made of. A *script* is a sequence of steps, and each poll of an operation consumes
one of them::

    from longrunning.testing import ScriptedOperations, operations_pair, pending, succeeded, unavailable

    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(times=2), unavailable(), succeeded(ImportBooksResponse(imported=3)))
    with operations_pair(scripted) as pair:
        handle = pair.client.start(IMPORT_BOOKS, ImportBooksRequest(parent="shelves/1"))
        assert handle.result().imported == 3
    assert scripted.rpcs() == ["ImportBooks", "WaitOperation"] + 3 * ["GetOperation"]  # WaitOperation was refused

Steps:

==========================  =========================================================================================
`pending`                   not done yet
`succeeded`                 done, with a response
`failed`, `cancelled`       done, with an error
`no_result`                 done, with neither
`malformed`                 not done, with a result
`raw`                       any operation, any bytes
`rpc_error`, `unavailable`  the RPC fails
`delayed`, `late`           the same step, answered later, or answered with what was true when it was asked
==========================  =========================================================================================

Payloads that are no messages, such as corrupt bytes or a type URL nobody may trust, are written as
``UnknownPayload("type.googleapis.com/example.Type", b"…")``.

`FaultyProxy` stands between a client and a server and cuts, refuses, delays and drops. For pytest there are fixtures: see
`longrunning.testing.pytest_plugin`.

Servers and pairs need the extra ``grpc``; the rest does not.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true

if TYPE_CHECKING:
    from ._clock import AsyncFakeClock, FakeClock
    from ._operations import RecordedCall, ScriptedOperations, WaitSupport
    from ._pair import AsyncOperationsPair, OperationsPair, async_operations_pair, operations_pair
    from ._proxy import FaultyProxy
    from ._relay import ProxyStatistics
    from ._server import ScriptedServer
    from ._server_aio import AsyncScriptedServer
    from ._steps import (
        Gate,
        Step,
        cancelled,
        delayed,
        failed,
        late,
        malformed,
        no_result,
        pending,
        raw,
        rpc_error,
        succeeded,
        unavailable,
    )

__all__ = [
    "AsyncFakeClock",
    "AsyncOperationsPair",
    "AsyncScriptedServer",
    "FakeClock",
    "FaultyProxy",
    "Gate",
    "OperationsPair",
    "ProxyStatistics",
    "RecordedCall",
    "ScriptedOperations",
    "ScriptedServer",
    "Step",
    "WaitSupport",
    "async_operations_pair",
    "cancelled",
    "delayed",
    "failed",
    "late",
    "malformed",
    "no_result",
    "operations_pair",
    "pending",
    "raw",
    "rpc_error",
    "succeeded",
    "unavailable",
]

# Loaded when it is asked for: the pytest plugin is imported by every run of pytest where this package is installed, and
# what needs grpc is not for everybody.
_HOME = {
    "AsyncFakeClock": "_clock",
    "AsyncOperationsPair": "_pair",
    "AsyncScriptedServer": "_server_aio",
    "FakeClock": "_clock",
    "FaultyProxy": "_proxy",
    "Gate": "_steps",
    "OperationsPair": "_pair",
    "ProxyStatistics": "_relay",
    "RecordedCall": "_operations",
    "ScriptedOperations": "_operations",
    "ScriptedServer": "_server",
    "Step": "_steps",
    "WaitSupport": "_operations",
    "async_operations_pair": "_pair",
    "cancelled": "_steps",
    "delayed": "_steps",
    "failed": "_steps",
    "late": "_steps",
    "malformed": "_steps",
    "no_result": "_steps",
    "operations_pair": "_pair",
    "pending": "_steps",
    "raw": "_steps",
    "rpc_error": "_steps",
    "succeeded": "_steps",
    "unavailable": "_steps",
}


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
