# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The smallest service: one function becomes a durable operation.

python -m examples.smallest
"""
