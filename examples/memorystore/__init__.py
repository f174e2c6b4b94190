# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Memorystore for Redis: a server that plays it, a typed client, and the client of google-cloud-redis.

    python -m examples.memorystore

Where to look:

=============  =====================================================================================================
`api`          the long-running methods, declared: all a client needs to be typed
`client`       what this is about: starting, watching, cancelling, listing operations, each of them typed
`curl`         the same server over HTTP, by hand: each RPC, and what is typed for it
`rest`         the typed client over HTTP: from a URL instead of a channel, and otherwise the same
`official`     the clients of google-cloud-redis, sync and async, gRPC and REST, unmodified, against the same server
`crash`        what clients see of a server that is killed and started again: a pause
`handlers`     CreateInstance and DeleteInstance, as functions that become durable operations
`instances`    what the service itself keeps: changing it twice is as good as once
`server`       the server, on SQLite, over gRPC and HTTP, in a process of its own; `process` starts and kills it
`screen`       rich output in a terminal, plain lines elsewhere; ends the demo when something is not as it should be
=============  =====================================================================================================
"""
