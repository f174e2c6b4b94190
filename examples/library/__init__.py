# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A service made from a proto of its own (protos/example/library/v1), with long-running methods and an ordinary one.

    python -m examples.library

Where to look:

=============  =====================================================================================================
`api`          the long-running methods, declared: server and clients share it
`service`      the handlers, as ordinary functions in threads, and the servicer with the method that is not long-running
`__main__`     a server on ``grpc.server``, and a client without ``async``
=============  =====================================================================================================
"""
