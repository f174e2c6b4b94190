# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
r"""The filter of ListOperations: the part of AIP-160 that operations need.

Logic: ``AND``, ``OR``, ``NOT``, ``-`` and parentheses. ``OR`` binds tighter than ``AND``, and comparisons side by side are
joined by AND. ``NOT`` and ``-`` negate one comparison or one pair of parentheses.

Comparisons: a field, a comparator, a literal.

* ``= != < <= > >=``. Literals are ``true``, numbers, ``20s``, RFC 3339 times, names or numbers of enum values, and text, which
  needs quotes, single or double, where it holds other characters than letters, digits and ``_ . : / @ * + % ~ -``. A ``*`` in
  text stands for anything, ``\*`` for itself; other escapes are ``\\ \" \' \n \r \t``.
* ``:`` asks whether a repeated field has an element, a map a key, a message a field; for anything else it is ``=``.
  ``field:*`` asks whether it is set: there, and for fields without presence not the default.
* ``.`` goes into messages, maps and ``Struct``; into repeated fields only with ``:``, which asks for any element.

Fields:

* ``done``, ``name``; ``create_time``, ``update_time``; ``start_time`` and ``end_time``, which are absent at first.
* ``error``, ``error.code`` (a number, or a name such as ``NOT_FOUND``), ``error.message``, ``error.details``.
* ``metadata`` and ``response``, their ``@type`` (the type URL, or the type's full name), and paths into their messages. A
  nested ``Any`` is entered, one in that is not.

Names are written as in the proto, or as in JSON; names that are not words in quotes.

What is absent fulfils no comparison, and a payload of another type, of an unknown type, or that does not decode, has no fields.
``!=`` is the negation of ``=``: what is absent is unequal to everything.

A literal alone (global text search), functions, and values in parentheses are not supported.
"""

from ._compile import Filter, parse
from ._conditions import Condition, ConditionField, ConditionOperator, Filterable
from ._error import FilterError
from ._limits import FilterLimits
from ._schema import Schema

__all__ = [
    "Condition",
    "ConditionField",
    "ConditionOperator",
    "Filter",
    "FilterError",
    "FilterLimits",
    "Filterable",
    "Schema",
    "parse",
]
