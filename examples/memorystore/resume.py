# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Two short programs that share a resume token and nothing else: ``start`` prints one, ``finish`` reads it and waits.

Run as ``python -m examples.memorystore.resume start ADDRESS INSTANCE`` and ``… finish ADDRESS``.
"""

from __future__ import annotations

import sys

import grpc

from longrunning import OperationsClient, PollPolicy

from .api import CHANNEL_OPTIONS, CREATE_INSTANCE, new_instance


def start(client: OperationsClient, instance_id: str) -> str:
    """Starts a creation and waits for nothing; returns what it takes to go on."""
    return client.start(CREATE_INSTANCE, new_instance(instance_id)).resume_token


def finish(client: OperationsClient, token: str) -> str:
    """Waits for the creation, whoever started it; returns the name of the instance."""
    instance = client.resume(token, CREATE_INSTANCE).result()
    return str(instance.name)


def main() -> None:
    """One of the two, on the server at the given address."""
    part, address, *rest = sys.argv[1:]
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        client = OperationsClient(channel, policy=PollPolicy(timeout=20))
        print(start(client, rest[0]) if part == "start" else finish(client, sys.stdin.read().strip()))


if __name__ == "__main__":
    main()
