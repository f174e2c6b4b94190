# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""TLS, tokens, and two tenants who cannot see each other's operations.

    python -m examples.tenants

=============  =====================================================================================================
`server`       an `Authorizer` that reads the token of a call, and says which tenant's operations it may see
`certificate`  a certificate made at the start, for a server on the loopback interface
`__main__`     what the tenants see, and what they do not
=============  =====================================================================================================
"""
