# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Memorystore for Redis: a server that plays it, a typed client, and the client of google-cloud-redis.

    python -m examples.memorystore

Where to look:

=============  =====================================================================================================
`api`          the long-running methods, declared: all a client needs to be typed
`client`       what this is about: starting, watching, cancelling, listing operations, each of them typed
`official`     the clients of google-cloud-redis, sync and async, unmodified, against the same server
`crash`        what a client sees of a server that is killed and started again: a pause
`handlers`     CreateInstance and DeleteInstance, as functions that become durable operations
`instances`    what the service itself keeps: changing it twice is as good as once
`server`       the server, on SQLite, in a process of its own; `process` starts, kills and starts it again
`screen`       rich output in a terminal, plain lines elsewhere; ends the demo when something is not as it should be
=============  =====================================================================================================
"""
