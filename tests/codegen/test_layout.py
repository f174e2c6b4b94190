# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The text of generated modules: literals, docstrings, names."""

from __future__ import annotations

import ast
import inspect
import keyword
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longrunning.codegen._classes import PythonClass, module_of, output_path
from longrunning.codegen._imports import Imports, Modules
from longrunning.codegen._layout import docstring, safe, string, wrapped
from longrunning.codegen._names import Names, constant_name, is_plain, method_name
from tests.codegen.compiling import BIN, Sources, service, starts

# Text as comments have it, and as nobody writes it.
AWKWARD: Final = st.text(alphabet=st.sampled_from("\"'\\\n \tab{}%#\x00\r\x0c\x85\u2028\u202e\ufeffé🎉N"), max_size=40)
TEXT: Final = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60) | AWKWARD


@given(TEXT)
def test_string(text: str) -> None:
    """A literal is the text, on one line, in characters that show (GEN-3)."""
    literal = string(text)
    assert ast.literal_eval(literal) == text
    assert literal.splitlines() == [literal]


@given(TEXT.filter(lambda text: text.strip()), st.sampled_from([0, 4, 8]))
def test_docstring(text: str, indent: int) -> None:
    """A docstring says what the text says, whatever is in it (GEN-3)."""
    text = tidy(text)
    lines = ["class C:" if indent else "", *docstring(safe(text), indent)]
    if indent == 8:
        lines.insert(1, "    def f(self): ")
    module = ast.parse("\n".join(lines) + "\n")
    node: ast.AST = module
    while indent and not isinstance(node, ast.ClassDef if indent == 4 else ast.FunctionDef):
        node = next(iter(ast.iter_child_nodes(node)))
    assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    expected = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    found = inspect.cleandoc(ast.get_docstring(node, clean=False) or "")
    # Formatters want a blank between a quotation mark and the end.
    assert found.removesuffix(" ") == inspect.cleandoc(expected)


@settings(max_examples=25, deadline=None)
@given(st.lists(AWKWARD.filter(lambda text: text.strip()), min_size=40, max_size=60), st.sampled_from([88, 120]))
def test_formatters_leave_docstrings_and_literals_alone(texts: list[str], width: int) -> None:
    """What is written is what a formatter would have written (GEN-3)."""
    parts: list[str] = []
    for number, text in enumerate(texts):
        # As the generator has it: the text of somebody else, then words of ours.
        parts += [
            f"class C{number}:",
            *docstring(f"{safe(tidy(text))}\n\nThe end.", 4),
            "",
            f"    x = {string(text)}",
            "",
            "",
        ]
    source = "\n".join(parts).rstrip("\n") + "\n"
    command: list[str | Path] = [BIN / "ruff", "format", "--isolated", "--no-cache", "--line-length", str(width), "-"]
    done = subprocess.run(command, input=source.encode(), capture_output=True, check=True)
    assert done.stdout.decode() == source


def tidy(text: str) -> str:
    """As comments are, once they are read."""
    from longrunning.codegen._sources import _tidy  # pyright: ignore[reportPrivateUsage]

    return _tidy(text).strip() or "x"


def test_lines_that_are_too_long() -> None:
    """What does not fit on a line has a line for each part, with a comma after every one (GEN-3)."""
    assert lines("f(", ["a", "b"], ")") == ["f(a, b)"]
    assert lines("f(", ["a", "b"], ")", 4, explode=True) == ["    f(", "        a,", "        b,", "    )"]
    assert lines("f(", ["a" * 84, "b"], ")") == ["f(", "    " + "a" * 84 + ",", "    b,", ")"]
    assert lines("f(", ["a" * 85], ")") == ["f(" + "a" * 85 + ")"]
    assert lines("f(", ["a" * 86], ")") == ["f(", "    " + "a" * 86 + ",", ")"]
    assert lines("f(", ["g(\n    x,\n)"], ")") == ["f(", "    g(", "        x,", "    ),", ")"]
    assert lines("f(", [], ")", explode=True) == ["f()"]


def lines(*arguments: Any, **options: Any) -> list[str]:
    """The lines, one by one."""
    return "\n".join(wrapped(*arguments, **options)).split("\n")


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rpc", "method", "constant"),
    [
        ("CreateInstance", "create_instance", "CREATE_INSTANCE"),
        ("CreateDBInstance", "create_db_instance", "CREATE_DB_INSTANCE"),
        ("GetIAMPolicy", "get_iam_policy", "GET_IAM_POLICY"),
        ("ExportV1Beta1", "export_v1_beta1", "EXPORT_V1_BETA1"),
        ("createShelf", "create_shelf", "CREATE_SHELF"),
        ("create_shelf", "create_shelf", "CREATE_SHELF"),
        ("Import", "import_", "IMPORT"),
        ("class", "class_", "CLASS"),
        ("None", "none", "NONE"),
        ("Match", "match", "MATCH"),
        ("_Private", "private", "PRIVATE"),
        ("__init__", "init__", "INIT"),
        ("_1", "rpc_1", "RPC_1"),
        ("_", "rpc_", "RPC"),
        ("A", "a", "A"),
    ],
)
def test_names(rpc: str, method: str, constant: str) -> None:
    """RPCs become names of Python, none of them a keyword or private (GEN-3)."""
    assert (method_name(rpc), constant_name(rpc)) == (method, constant)


@given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True))
def test_any_name(rpc: str) -> None:
    """Whatever a .proto calls an RPC, Python can call it something (GEN-3)."""
    for name in (method_name(rpc), constant_name(rpc)):
        assert name.isascii()
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert not name.startswith("_")


def test_names_that_are_taken() -> None:
    """The first wish that is free is granted; otherwise the last, longer (GEN-3)."""
    names = Names({"a"})
    assert [names.take("a"), names.take("a", "b"), names.take("a", "b")] == ["a_", "b", "b_"]


@pytest.mark.parametrize(
    ("path", "module", "output"),
    [
        ("a/b/c.proto", "a.b.c_pb2", "a/b/c_lro.py"),
        ("import.proto", "import_pb2", "import_lro.py"),
        ("google/cloud/run/v2/k8s.min.proto", "google.cloud.run.v2.k8s.min_pb2", "google/cloud/run/v2/k8s/min_lro.py"),
        ("with-dash/my-file.proto", "with_dash.my_file_pb2", "with_dash/my_file_lro.py"),
        ("a/b.protodevel", "a.b_pb2", "a/b_lro.py"),
        ("a/b", "a.b_pb2", "a/b_lro.py"),
    ],
)
def test_modules(path: str, module: str, output: str) -> None:
    """A module lies where protoc puts that of the messages (GEN-3)."""
    assert (module_of(path), output_path(path)) == (module, output)


def test_modules_of_one_name() -> None:
    """Modules of one name are told apart by the packages before them (GEN-3)."""
    classes = [PythonClass(module, ("M",)) for module in ("a.v1.x_pb2", "a.v2.x_pb2", "b.v2.x_pb2", "a.y_pb2", "x_pb2")]
    modules = Modules(classes, {"y_pb2"})
    assert [modules.alias(cls.module) for cls in classes] == ["v1_x_pb2", "a_v2_x_pb2", "b_v2_x_pb2", "y_pb2_", "x_pb2"]
    imports = Imports()
    modules.add_to(imports)
    assert imports.lines() == [
        "import x_pb2",
        "from a import y_pb2 as y_pb2_",
        "from a.v1 import x_pb2 as v1_x_pb2",
        "from a.v2 import x_pb2 as a_v2_x_pb2",
        "from b.v2 import x_pb2 as b_v2_x_pb2",
    ]


def test_modules_that_no_statement_imports() -> None:
    """A module whose name is no name of Python is imported by a call, without types (GEN-3)."""
    ligature = "\N{LATIN SMALL LIGATURE FI}le_pb2"  # Python reads file_pb2
    assert not is_plain(ligature)
    assert is_plain("größe_pb2")
    keyword_module, digits = PythonClass("a.import.x_pb2", ("M",)), PythonClass("2020.x_pb2", ("None", "N"))
    modules = Modules([keyword_module, digits], ())
    assert modules.assignments() == [
        'module_2020_x_pb2: Any = import_module("2020.x_pb2")',
        'import_x_pb2: Any = import_module("a.import.x_pb2")',
    ]
    assert modules.expression(keyword_module).value == "import_x_pb2.M"
    assert modules.expression(digits).value == 'getattr(module_2020_x_pb2, "None").N'
    assert modules.expression(digits).annotation == "Any"


def test_names_are_stable() -> None:
    """The names of a method do not change when methods or services are added after it (GEN-3)."""
    before = service(starts("Make")).generated().file[0].content
    added = service(starts("Make"), starts("MakeMore")).texts["acme/v1/a.proto"]
    added += "\nservice AsyncThings {\n" + starts("Make") + "\n}\nservice SyncThings {\n" + starts("Make") + "\n}\n"
    after = Sources({"acme/v1/a.proto": added}).generated().file[0].content
    assert set(exported(before)) <= set(exported(after))
    assert {"ASYNC_THINGS_MAKE", "AsyncThingsLro_", "AsyncAsyncThingsLro"} & set(exported(after))
    for name, about in services(before).items():
        assert services(after)[name] == about


def services(source: str) -> dict[str, str]:
    """Which service each class of a module is about."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return {node.name: (ast.get_docstring(node) or "").partition("``")[2].partition("``")[0] for node in classes}


def exported(source: str) -> list[str]:
    """The names a module exports."""
    names: list[str] = ast.literal_eval(source.partition("__all__ = ")[2].partition("]")[0] + "]")
    return names
