# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Breaks the core on purpose, one line at a time, and sees the tests fail: ``python tools/mutants.py [WORD ...]``.

Each mutant is one fault somebody could make, in the place where it would be made. It is applied to a copy of ``src``,
never to the working tree, and the tests of that module run against the copy. A mutant that no test notices is
an error; so is one whose line is no longer there: then say here what that line has become.

With words, only the mutants run in whose file or description one of them occurs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
AT_ONCE = 2
TESTS = {  # module -> the test files that prove it (of tests/unit, or with their folder), the quickest to fail first
    "_any.py": ("test_any.py", "test_registry.py"),
    "_document.py": ("test_operation_json.py",),
    "_json.py": ("test_operation_json.py",),
    "_polling.py": ("test_polling.py",),
    "_types.py": ("test_operation.py",),
    "names.py": ("test_names.py",),
    "operation.py": ("test_operation.py", "test_operation_json.py"),
    "registry.py": ("test_registry.py",),
    "status.py": ("test_status.py",),
    "_lifecycle.py": ("test_lifecycle.py",),
    "server/_pagetokens.py": ("test_page_tokens.py",),
    "server/_service.py": ("pair/test_server_request_ids.py", "pair/test_server_auth.py"),
    "server/_worker.py": ("pair/test_server_leases.py",),
    "server/storage/_sqlite_jobs.py": ("contract/test_store_leases.py", "contract/test_store_starting.py"),
    "server/storage/_sqlite_schema.py": ("contract/test_store_starting.py",),
    "server/storage/_sqlite_writer.py": ("contract/test_sqlite_writing.py",),
    "codegen/_layout.py": ("codegen/test_layout.py",),
    "codegen/_names.py": ("codegen/test_layout.py",),
    "codegen/_plan.py": ("codegen/test_options.py", "codegen/test_layout.py"),
    "codegen/_reading.py": ("codegen/test_model.py",),
    "codegen/_servicers.py": ("codegen/test_runs.py",),
    "codegen/_sources.py": ("codegen/test_model.py",),
    "codegen/_symbols.py": ("codegen/test_resolving.py",),
    "codegen/_wire.py": ("codegen/test_model.py",),
    "codegen/changes.py": ("codegen/test_lint.py",),
    "codegen/findings.py": ("codegen/test_lint.py",),
    "codegen/options.py": ("codegen/test_options.py",),
    "codegen/plugin.py": ("codegen/test_plugin.py",),
    "method.py": ("test_method.py",),
    "_http.py": ("test_http.py",),
    "rest/_asgi_bodies.py": ("pair/test_asgi_bodies.py",),
    "rest/_asgi_documents.py": ("test_asgi_documents.py",),
    "rest/_asgi_errors.py": ("test_asgi_errors.py",),
    "rest/_asgi_paths.py": ("test_asgi_paths.py",),
    "rest/_asgi_queries.py": ("test_asgi_queries.py",),
    "rest/_asgi_replies.py": ("test_asgi_replies.py",),
    "rest/_asgi_transcoding.py": ("test_asgi_documents.py", "test_asgi_transcoding.py"),
    "rest/_bindings.py": ("test_rest_requests.py",),
    "rest/_replies.py": ("test_rest_replies.py",),
    "rest/_requests.py": ("test_rest_requests.py",),
}
CHAOS = ("pair/test_chaos.py",)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Attributes:
        file: Module of the package.
        fault: What goes wrong for users.
        before: The code as it is; it occurs exactly once in the file.
        after: The code with the fault.
        tests: The test files that are to notice; by default those of the module.
    """

    file: str
    fault: str
    before: str
    after: str
    tests: tuple[str, ...] = ()

    @property
    def noticed_by(self) -> tuple[str, ...]:
        """The test files to run."""
        return self.tests or TESTS[self.file]


MUTANTS = (
    # -- types (TYPE) -------------------------------------------------------------------------------------------
    Mutant(
        "_any.py", "a type URL of any host is trusted (TYPE-6)",
        "elif prefix + slash not in allowed_prefixes:",
        "elif not prefix:",
    ),
    Mutant(
        "_any.py", "a type name may go on after its end: a newline, NUL, a space (TYPE-6)",
        "elif _FULL_NAME.fullmatch(name) is None:",
        "elif _FULL_NAME.match(name) is None:",
    ),
    Mutant(
        "_any.py", "a payload of unknown type loses its bytes when it is packed again (TYPE-3)",
        "return any_pb2.Any(type_url=self.type_url, value=self.value)",
        "return any_pb2.Any(type_url=self.type_url)",
    ),
    Mutant(
        "registry.py", "types are compared by their leaf names (TYPE-8)",
        "if actual != kind.full_name:",
        'if actual.rpartition(".")[2] != kind.full_name.rpartition(".")[2]:',
    ),
    Mutant(
        "registry.py", "of two registries the right one wins (TYPE-8)",
        "both._types.setdefault(kind.full_name, mine or kind)",
        "both._types[kind.full_name] = kind",
    ),
    Mutant(
        "registry.py", "two different types under one name go unnoticed (TYPE-8)",
        "demand_equal(mine.descriptor, kind.descriptor)\n            return",
        "return",
    ),
    # -- documents and JSON (JSON) --------------------------------------------------------------------------------
    Mutant(
        "_document.py", "a key may appear twice in one object (JSON-3)",
        "if len(result) != len(pairs):",
        "if len(result) > len(pairs):",
    ),
    Mutant(
        "_document.py", "an escaped lone surrogate gets in (JSON-3)",
        'if "\\\\u" in text or not text.isascii():',
        "if not text.isascii():",
    ),
    Mutant(
        "_document.py", "a hundred levels of arrays are not counted (JSON-3)",
        'if text.count("{") + text.count("[") > MAX_NESTING:',
        'if text.count("{") > MAX_NESTING:',
    ),
    Mutant(
        "_json.py", "JSON is written that is too deep to be read again (TYPE-7)",
        "if depth_of(root) > MAX_NESTING - 5:",
        "if depth_of(root) > 9 * MAX_NESTING:",
    ),
    Mutant(
        "_json.py", "a field nobody knows fails the payload (JSON-2)",
        "ignore_unknown_fields=True",
        "ignore_unknown_fields=False",
    ),
    Mutant(
        "_json.py", "the payloads inside a payload change places (JSON-1)",
        "work.extend((child, index) for child in reversed(nested))",
        "work.extend((child, index) for child in nested)",
    ),
    # -- snapshots (SNAP) -------------------------------------------------------------------------------------------
    Mutant(
        "operation.py", "an operation that is not done has a result (SNAP-3)",
        "if proto is not None and proto.done:",
        "if proto is not None:",
    ),
    Mutant(
        "operation.py", "metadata is decoded without looking at its type (TYPE-1)",
        "decoder = self._types.metadata.decoders.get(payload.type_url)",
        "decoder = next(iter(self._types.metadata.decoders.values()), None)",
    ),
    Mutant(
        "operation.py", "a cancelled operation counts as failed (SNAP-1)",
        "raise (OperationCancelledError if error.code == Code.CANCELLED else OperationError)(error, self)",
        "raise OperationError(error, self)",
    ),
    Mutant(
        "operation.py", "a delete without a response is no result (SNAP-2)",
        "if empty is not None:",
        "if empty is not None and not self.done:",
    ),
    Mutant(
        "operation.py", "the snapshot can be changed through the message it hands out (SNAP-5)",
        "copy.CopyFrom(self._message())\n        return copy",
        "return self._message()",
    ),
    Mutant(
        "operation.py", "the snapshot changes with the message it was made from (SNAP-5)",
        "copy.CopyFrom(proto)",
        "copy = proto",
    ),
    Mutant(
        "operation.py", "a payload error does not say which operation (TYPE-1)",
        "return type(error)(error.problem, operation=self, field=field,",
        "return type(error)(error.problem, field=field,",
    ),
    Mutant(
        "_types.py", "a payload that does not decode cannot be read at all (TYPE-2)",
        "except PayloadDecodeError:\n                pass",
        "except UnicodeError:\n                pass",
    ),
    Mutant(
        "status.py", "an unknown code is replaced (SNAP-4)",
        "return _CODES.get(number, number)",
        "return _CODES.get(number, Code.UNKNOWN)",
    ),
    Mutant(
        "status.py", "a status changes with the details it was made from (SNAP-5)",
        "tuple(_own_copy(detail) for detail in self.details)",
        "tuple(self.details)",
    ),
    Mutant(
        "names.py", "slashes in the routing header are escaped (WAIT-10)",
        "quote(name, safe='/')",
        "quote(name, safe='')",
    ),
    Mutant(
        "names.py", "two routing headers go out (WAIT-10)",
        "for key, value in metadata if key.lower() != ROUTING_HEADER)",
        "for key, value in metadata)",
    ),
    # -- the poll machine (WAIT) --------------------------------------------------------------------------------------
    Mutant(
        "_polling.py", "a sleep goes on beyond the deadline (WAIT-3)",
        "Sleep(delay if state.deadline is None else min(delay, state.deadline - now))",
        "Sleep(delay)",
    ),
    Mutant(
        "_polling.py", "a wait gives up without its last poll (WAIT-3)",
        "if state.final:",
        "if state.final or _is_over(state, now):",
    ),
    Mutant(
        "_polling.py", "the last poll takes as long as it likes (WAIT-3)",
        "Poll(policy.final_poll_timeout, shared=False)",
        "Poll(policy.retry.rpc_timeout, shared=False)",
    ),
    Mutant(
        "_polling.py", "a passing fault ends the wait (WAIT-6)",
        "code in policy.retry.codes",
        "code in ()",
    ),
    Mutant(
        "_polling.py", "jitter makes delays longer than the maximum (WAIT-1)",
        "return delay * (1.0 - jitter * random)",
        "return delay * (1.0 + jitter * random)",
    ),
    Mutant(
        "_polling.py", "intervals grow without end (WAIT-1)",
        "min(state.interval * policy.multiplier, policy.maximum)",
        "state.interval * policy.multiplier",
    ),
    Mutant(
        "_polling.py", "a late reply turns done back (SNAP-6)",
        "if mine.done:",
        "if mine.done and theirs.done:",
    ),
    Mutant(
        "_polling.py", "an older reply replaces a newer one (SNAP-6)",
        "theirs_asked >= mine_asked",
        "theirs_asked < mine_asked",
    ),
    # -- the server (SRV, RUN, PAGE) --------------------------------------------------------------------------------
    Mutant(
        "_lifecycle.py", "whoever held an earlier lease may write (RUN-1)",
        "return None if fence == standing.fence else",
        "return None if fence is not None else",
    ),
    Mutant(
        "_lifecycle.py", "an operation is taken from a worker that is alive (RUN-1)",
        "standing.lease_expires is not None and standing.lease_expires <= now",
        "standing.lease_expires is not None",
    ),
    Mutant(
        "_lifecycle.py", "a shutdown in good order costs an attempt (RUN-3, RUN-4)",
        "return self.attempts - self.releases >= self.max_attempts",
        "return self.attempts >= self.max_attempts",
    ),
    Mutant(
        "server/_pagetokens.py", "a page token holds for any filter and any caller (PAGE-1, AUTH-3)",
        "for part in bound_to]",
        "for part in bound_to[:1]]",
    ),
    Mutant(
        "server/_pagetokens.py", "two lists have the same page tokens (PAGE-1)",
        'len(part).to_bytes(8, "big") + part for part in parts',
        "part for part in parts",
    ),
    Mutant(
        "server/_pagetokens.py", "a key that was rotated out of first place is forgotten (SRV-11)",
        "for key in self._keys:",
        "for key in self._keys[:1]:",
    ),
    Mutant(
        "server/_service.py", "another request under the same id gets the operation of the first (SRV-7)",
        "if created.request_hash != fingerprint:",
        "if not created.request_hash:",
    ),
    Mutant(
        "server/_service.py", "anybody may delete what only others may see (AUTH-3)",
        "self._store.delete(call.name, scope)",
        "self._store.delete(call.name, None)",
    ),
    Mutant(
        "server/_worker.py", "a store that is away for a moment fails the operation (RUN-2)",
        "if error is holding.unwritten:",
        "if error is None:",
        ("pair/test_server_store_faults.py",),
    ),
    Mutant(
        "server/_worker.py", "a handler goes on when its lease is found lost (RUN-1)",
        "if name not in alive:",
        "if name not in alive and holding.lost:",
    ),
    Mutant(
        "server/storage/_sqlite_jobs.py", "late writes of a zombie count (RUN-1)",
        '_HELD: Final = "name = ? and fence = ? and',
        '_HELD: Final = "name = ? and ? > 0 and',
        CHAOS,
    ),
    Mutant(
        "server/storage/_sqlite_jobs.py", "the lease of a takeover has the number of the one before (RUN-1)",
        "set fence = fence + 1, attempts",
        "set fence = fence, attempts",
        CHAOS,
    ),
    Mutant(
        "server/storage/_sqlite_jobs.py", "an attempt that takes over does not get the checkpoint (RUN-2)",
        "checkpoint = ifnull(?, checkpoint), update_time",
        "checkpoint = ifnull(checkpoint, ?), update_time",
        CHAOS,
    ),
    Mutant(
        "server/storage/_sqlite_jobs.py", "an operation is taken from a worker that is alive (RUN-1)",
        "(lease_expires is null or lease_expires <= ?)",
        "(lease_expires is null or ? > 0)",
    ),
    Mutant(
        "server/storage/_sqlite_schema.py", "a request that is sent again makes another operation (SRV-7)",
        "create unique index by_request on",
        "create index by_request on",
        CHAOS,
    ),
    Mutant(
        "server/storage/_sqlite_writer.py", "what could not be written is acknowledged (RUN-2)",
        "asked.outcome = (False, _failure(error))",
        "asked.outcome = asked.outcome if asked.outcome[0] else (False, _failure(error))",
    ),
    Mutant(
        "server/storage/_sqlite_writer.py", "what is written is acknowledged before it is on the disk (RUN-2)",
        'connection.execute("commit")',
        '_answer(batch)\n            time.sleep(0.01)\n            connection.execute("commit")',
        CHAOS,
    ),
    # -- the generator (GEN) ----------------------------------------------------------------------------------------
    Mutant(
        "method.py", "whatever else a process has loaded makes a name ambiguous (GEN-1)",
        "found = _seen(found, service.file) or found",
        "pass",
    ),
    Mutant(
        "codegen/_symbols.py", "names are not looked up in the packages around (GEN-1)",
        "for depth in range(len(scopes), 0, -1))]",
        "for depth in range(len(scopes), len(scopes) - 1, -1))]",
    ),
    Mutant(
        "codegen/_symbols.py", "a leading dot does not make a name absolute (GEN-1)",
        'if name.startswith("."):\n        return [name[1:]]',
        'name = name.removeprefix(".")',
    ),
    Mutant(
        "codegen/_wire.py", "an annotation that comes in parts loses all but the first (GEN-1)",
        'return b"".join(parts) if parts else None',
        "return parts[0] if parts else None",
    ),
    Mutant(
        "codegen/_reading.py", "a file may be called as no compiler would, and is written there (GEN-4)",
        'if any(part in {"", ".", ".."} for part in path.split("/")):',
        'if path == "..":',
    ),
    Mutant(
        "codegen/_sources.py", "internal comments are published (GEN-3)",
        "return Comment(text=_tidy(_public(raw)), raw=raw,",
        "return Comment(text=_tidy(raw), raw=raw,",
    ),
    Mutant(
        "codegen/_layout.py", "backslashes of a comment escape what follows (GEN-3)",
        'text = text.replace("\\\\", "\\\\\\\\").replace(\'"""\', \'\\\\"\\\\"\\\\"\')',
        'text = text.replace(\'"""\', \'\\\\"\\\\"\\\\"\')',
    ),
    Mutant(
        "codegen/_names.py", "a keyword is a name of a method (GEN-3)",
        'return f"{name}_" if keyword.iskeyword(name) else name',
        "return name",
    ),
    Mutant(
        "codegen/_plan.py", "a service that is added later takes the names of others (GEN-3)",
        "called = {service.name: _class_names(service.name, constants) for service in file.services}",
        "called = {service.name: _class_names(service.name, constants) for service in reversed(file.services)}",
        ("codegen/test_layout.py",),
    ),
    Mutant(
        "codegen/_servicers.py", "what was registered before is registered again (GEN-3)",
        '"            if method.path not in operations_server.methods:",',
        '"            if method.path:",',
    ),
    Mutant(
        "codegen/options.py", "an option may be given twice (GEN-4)",
        "elif key in values:",
        "elif key in values and not value:",
    ),
    Mutant(
        "codegen/plugin.py", "editions are not declared (GEN-4)",
        "maximum_edition=MAXIMUM_EDITION,",
        "maximum_edition=MINIMUM_EDITION,",
    ),
    Mutant(
        "codegen/changes.py", "a type that is written differently is another one (GEN-5)",
        'return type_name.written.removeprefix(".") if type_name.message is None else type_name.message.full_name',
        "return type_name.written",
    ),
    Mutant(
        "codegen/findings.py", "a rule that is switched off goes on (GEN-5)",
        "if item.rule.value not in disabled]",
        "if item.rule.value]",
    ),
    # -- serving over HTTP (REST) ---------------------------------------------------------------------------------
    Mutant(
        "rest/_asgi_paths.py", "dot segments are let through (REST-2)",
        'if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):',
        'if "/./" in path:',
    ),
    Mutant(
        "rest/_asgi_paths.py", "an escaped slash parts segments of a name (REST-1)",
        'return _SLASH.join(unquote(part, errors="strict") for part in text.split(_SLASH))',
        'return unquote(text, errors="strict")',
    ),
    Mutant(
        "rest/_asgi_transcoding.py", "a misspelt field of a request is ignored (REST-2)",
        "ParseDict(given, message, ignore_unknown_fields=False,",
        "ParseDict(given, message, ignore_unknown_fields=True,",
    ),
    Mutant(
        "rest/_asgi_transcoding.py", "of a value in the path and another in the body, that of the body counts (REST-2)",
        "elif target[key] != value:",
        "elif not key:",
    ),
    Mutant(
        "rest/_asgi_transcoding.py", "a start is acknowledged that no worker can read (REST-2)",
        "return message if depth_of(fields) < _SHALLOW else self._read(message.SerializeToString())",
        "return message",
    ),
    Mutant(
        "rest/_asgi_documents.py", "a request may come as bytes, in the form of a payload (REST-2)",
        "        if descriptor.full_name == _ANY:\n",
        "        if descriptor.full_name == _ANY or value.keys() == _OPAQUE:\n",
    ),
    Mutant(
        "rest/_asgi_documents.py", "bytes lose what is no base64 (REST-2)",
        "elif field.type == field.TYPE_BYTES and _BASE64.fullmatch(value) is None:",
        "elif field.type == field.TYPE_BYTES and not value.isprintable():",
    ),
    Mutant(
        "rest/_asgi_errors.py", "a code that is none breaks the answer (REST-2)",
        "code = status.code if isinstance(status.code, Code) and status.code is not Code.OK else Code.UNKNOWN",
        "code = Code(status.code)",
    ),
    Mutant(
        "rest/_asgi_errors.py", "a Retry-After is rounded down (WAIT-8)",
        "seconds = delay.seconds + (delay.nanos > 0)",
        "seconds = delay.seconds",
    ),
    Mutant(
        "rest/_asgi_bodies.py", "a length beside parts counts: a start goes without its body (REST-2)",
        'length = None if b"transfer-encoding" in headers else headers.get(b"content-length")',
        'length = headers.get(b"content-length")',
    ),
    Mutant(
        "rest/_asgi_bodies.py", "the last part of a body may be of any size (REST-2)",
        "if len(body) + len(part) > limit:",
        "if len(body) > limit:",
    ),
    Mutant(
        "rest/_asgi_bodies.py", "bodies are not counted together (REST-2)",
        "if size > 0 and self._buffered + size > self._limits.max_buffered_bytes:",
        "if size > self._limits.max_buffered_bytes:",
    ),
    # -- asking over HTTP (REST) ----------------------------------------------------------------------------------
    Mutant(
        "_http.py", "a name with dot segments leads to another path (REST-1)",
        'if "." in value and not {".", ".."}.isdisjoint(value.split("/")):',
        'if value in {".", ".."}:',
    ),
    Mutant(
        "_http.py", "a value is put into a path as it is (REST-1)",
        'path.append(quote(value, safe="/"))',
        "path.append(value)",
    ),
    Mutant(
        "_http.py", "a Retry-After without a zone is read in that of this machine (WAIT-8)",
        "read.replace(tzinfo=dt.UTC)",
        "read",
    ),
    Mutant(
        "_http.py", "a 504 of a proxy ends a wait (WAIT-6)",
        "504: Code.DEADLINE_EXCEEDED,",
        "504: Code.INTERNAL,",
    ),
    Mutant(
        "rest/_replies.py", "a gzip bomb is decompressed, and measured afterwards (REST-2)",
        "chunk = self._gzip.decompress(chunk, self._limit - self._size + 1)",
        "chunk = self._gzip.decompress(chunk)",
    ),
    Mutant(
        "rest/_replies.py", "what follows a gzip is collected without end (REST-2)",
        "if self._gzip.unused_data:",
        "if self._gzip.unused_data is None:",
    ),
    Mutant(
        "rest/_replies.py", "Retry-After does not count where there is a RetryInfo (WAIT-8)",
        "retry_after=max(",
        "retry_after=status.retry_delay or max(",
    ),
    Mutant(
        "rest/_replies.py", "a 404 of the service about an operation means that there is no WaitOperation (WAIT-5)",
        "if error is None or (not status.details and _is_no_route(status)):",
        "if error is not None:",
    ),
    Mutant(
        "rest/_replies.py", "a redirect shows the keys that it echoes (REST-1)",
        'where = _TAIL.sub("", reply.headers.get("location", ""))',
        'where = reply.headers.get("location", "")',
    ),
    Mutant(
        "rest/_requests.py", "a field that the path binds is sent twice (REST-1)",
        "document = _without(document, found.place)",
        "_without(document, found.place)",
    ),
    Mutant(
        "rest/_requests.py", "a list under a parent that no path can carry becomes a list of everything (REST-1)",
        "if name and not template.fields:",
        "if name is None and not template.fields:",
    ),
    Mutant(
        "rest/_bindings.py", "a binding that would lose the name is accepted (REST-1)",
        'if bound != ("name",) and (bound or field.name != "list"):',
        'if bound not in {("name",), ()}:',
    ),
    Mutant(
        "rest/_httpx_errors.py", "a wait ends when a server over HTTP/2 closes its connection (WAIT-6, WAIT-12)",
        'case httpx.LocalProtocolError() if "header" in text.lower():',
        "case httpx.LocalProtocolError():",
        tests=("pair/test_rest_connecting.py",),
    ),
    Mutant(
        "rest/_httpx_errors.py", "a header of the caller's says where a request ends (REST-1)",
        "taken = {key for key, _ in ours} | _FRAMING",
        "taken = {key for key, _ in ours}",
        tests=("pair/test_rest_client.py::test_where_a_request_ends",),
    ),
    Mutant(
        "rest/_httpx_async.py", "a redirect is followed where the HTTP client says so (REST-1)",
        "send(request, stream=True, follow_redirects=False)",
        "send(request, stream=True)",
        tests=("pair/test_rest_faults.py::test_redirects_are_not_followed",),
    ),
    Mutant(
        "rest/_httpx_async.py", "WaitOperations are never counted off again (WAIT-5)",
        "            self._waits.release()\n",
        "            pass\n",
        tests=("pair/test_rest_connections.py::test_one_wait_after_the_other",),
    ),
    Mutant(
        "rest/_httpx_async.py", "closing a client closes the HTTP client that it was given (REST-1)",
        "if self._own:",
        "if self._client:",
        tests=("pair/test_rest_faults.py::test_a_given_http_client_stays_open",),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant.

    Attributes:
        caught: Whether the tests noticed.
        how: The test that noticed, or what is wrong.
        seconds: How long it took.
    """

    caught: bool
    how: str
    seconds: float = 0.0


def run_tests(package: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Runs tests against a copy of the package."""
    files = [f"tests/{name}" if "/" in name else f"tests/unit/{name}" for name in tests]
    options = ["-x", "-q", "--tb=no", "--timeout=60", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, *files]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)


def copy_of_src(folder: Path) -> Path:
    """Copies the package."""
    shutil.copytree(SRC, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def try_out(mutant: Mutant) -> Outcome:
    """Applies a mutant to a copy of its own, and runs the tests."""
    text = (SRC / "longrunning" / mutant.file).read_text(encoding="utf-8")
    if (count := text.count(mutant.before)) != 1:
        return Outcome(caught=False, how=f"its line occurs {count} times in {mutant.file}, not once: {mutant.before!r}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        package = copy_of_src(Path(name, "src"))
        (package / "longrunning" / mutant.file).write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
        done = run_tests(package, mutant.noticed_by)
    seconds = time.monotonic() - start
    if done.returncode == 0:
        return Outcome(caught=False, how="SURVIVED: no test noticed", seconds=seconds)
    failed = re.search(r"^FAILED \S+::([^\s\[]+)", done.stdout, re.MULTILINE)
    if done.returncode != 1 or failed is None:  # such as an error while a test file was imported
        return Outcome(
            caught=False, how=f"the tests did not run:\n{done.stdout[-1000:]}{done.stderr[-1000:]}", seconds=seconds
        )
    return Outcome(caught=True, how=failed[1], seconds=seconds)


def check_baseline(mutants: Iterable[Mutant]) -> None:
    """The tests must pass, and run against the copy, or it means nothing that they fail."""
    with tempfile.TemporaryDirectory() as name:
        package = copy_of_src(Path(name, "src"))
        program = "import longrunning; print(longrunning.__file__)"
        environment = {**os.environ, "PYTHONPATH": str(package)}
        command = [sys.executable, "-c", program]
        where = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        if not where.startswith(str(package)):
            sys.exit(f"mutants: the tests would import {where.strip()}, not the copy")
        done = run_tests(package, sorted({test for mutant in mutants for test in mutant.noticed_by}))
    if done.returncode != 0:
        sys.exit(f"mutants: the tests fail without any mutant\n{done.stdout[-3000:]}{done.stderr[-1000:]}")


def main() -> int:
    """Tries them all out."""
    parser = argparse.ArgumentParser(prog="python tools/mutants.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("word", nargs="*", help="run only the mutants with one of these words in file or description")
    words: list[str] = parser.parse_args().word
    chosen = [each for each in MUTANTS if not words or any(word in f"{each.file} {each.fault}" for word in words)]
    if not chosen:
        sys.exit("mutants: none has such a word")
    check_baseline(chosen)
    files, width = (
        max(len(text) for text in texts) for texts in zip(*((m.file, m.fault) for m in chosen), strict=True)
    )
    lost = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, outcome in zip(chosen, pool.map(try_out, chosen), strict=True):
            lost += not outcome.caught
            word = "caught" if outcome.caught else "LOST  "
            print(
                f"{word}  {mutant.file:<{files}}  {mutant.fault:<{width}}  {outcome.seconds:4.1f} s  {outcome.how}",
                flush=True,
            )
    print(f"mutants: {len(chosen) - lost} of {len(chosen)} caught")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
