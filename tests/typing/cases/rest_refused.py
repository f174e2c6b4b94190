# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What type checkers refuse of clients over HTTP/JSON."""

from __future__ import annotations

import httpx

from longrunning import AsyncOperationsClient, HttpBinding, OperationsClient
from longrunning.rest import AsyncRestTransport, OperationsBindings, RestTransport


def of_the_wrong_colour(sync: httpx.Client, aio: httpx.AsyncClient) -> None:
    OperationsClient.from_url("https://h", http_client=aio)  # E: arg-type | ArgumentType
    AsyncOperationsClient.from_url("https://h", http_client=sync)  # E: arg-type | ArgumentType
    RestTransport("https://h", http_client=aio)  # E: arg-type | ArgumentType
    OperationsClient(AsyncRestTransport("https://h"))  # E: arg-type | ArgumentType
    AsyncOperationsClient(RestTransport("https://h"))  # E: arg-type | ArgumentType


def of_the_wrong_kind() -> None:
    OperationsClient.from_url(80)  # E: arg-type | ArgumentType
    OperationsClient.from_url("https://h", bindings="/v1")  # E: arg-type | ArgumentType
    OperationsBindings(get=())  # E: call-arg | CallIssue
    OperationsBindings.under().get = (HttpBinding(verb="GET", path="/x"),)  # E: misc | AttributeAccessIssue
