# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Typed doors to protobuf modules of other packages. Nothing here registers a descriptor."""
