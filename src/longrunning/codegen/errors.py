# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the input of the generator.

One tree::

    CodegenError
    ├── InputError      no descriptor set or request, or one that no compiler wrote
    ├── OptionError     an option that does not exist, or has no such value
    └── SourceError     the .proto files say something that no code can be generated for (``findings``)

The messages are for whoever wrote the .proto or called the compiler: they say what to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .findings import Finding

__all__ = ["CodegenError", "InputError", "OptionError", "SourceError"]


class CodegenError(Exception):
    """The root: catch this to catch everything that `longrunning.codegen` raises on its own account."""


class InputError(CodegenError, ValueError):
    """The bytes are no descriptor set or no request, or hold what no compiler writes."""


class OptionError(CodegenError, ValueError):
    """An option does not exist, is given twice, or has no such value."""


class SourceError(CodegenError):
    """No code can be generated for what the .proto files say.

    Attributes:
        findings: What is wrong, in the order of the files; the text of the error is one line for each.
    """

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(f"{finding.position}: {finding.message}" for finding in findings))
        self.findings = findings
