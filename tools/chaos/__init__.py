# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Kills a server of operations again and again, and checks that nothing it acknowledged is lost, or done twice.

``run.py`` is the parent: it starts a server process for each life (``zygote.py``), plays its clients (``clients.py``), and says
in the end what came of it (``verdict.py``). ``life.py`` is the server, ``killing.py`` how it comes to its end at a point of
``points.py``: by a store and handlers that stop there, and without anything to that end in the package.
"""
