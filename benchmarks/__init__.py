# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks side by side with google-api-core and with the limit: ``python -m benchmarks``."""
