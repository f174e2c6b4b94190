# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A service made from a proto of its own (protos/example/library/v1), with long-running methods and an ordinary one.

    python -m examples.library

Where to look:

=============  =====================================================================================================
`service`      the servicer: long-running methods as functions in threads, on the generated base, and an ordinary one
`__main__`     a server on ``grpc.server``, and the generated client, without ``async``
=============  =====================================================================================================

``library_lro.py`` is what ``protoc-gen-longrunning`` makes of that proto (docs/generator.md); ``make generate`` writes it.
"""
