# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A service over HTTP and JSON, and the curl lines that use it."""
