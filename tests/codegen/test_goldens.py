# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Our own odd protos, and the very text that becomes of them: under every compiler, formatted, typed, importable.

``python -m tests.codegen.renew`` writes ``expected/`` again.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from longrunning import __version__
from tests.codegen.compiling import (
    BIN,
    GRPC_TOOLS,
    PROTOC,
    PROTOS,
    ROOT,
    buf,
    mypy,
    plugin_arguments,
    protoc,
    pyright,
    run,
    script,
    written,
)

EXPECTED: Final = Path(__file__).parent / "expected"
FILES: Final = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
GOLDENS: Final = {
    path.relative_to(EXPECTED).as_posix().removesuffix(".txt"): path for path in sorted(EXPECTED.rglob("*.txt"))
}
# Looks at everything that was generated, in a process of its own: the protos are registered once only.
IMPORT_ALL: Final = """
import importlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
from google.protobuf import descriptor_pool
from longrunning import LroMethod
from longrunning.errors import DescriptorError

def names(pattern):
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in sorted(root.rglob(pattern))]

for name in names("*_pb2.py"):
    importlib.import_module(name)
modules = names("*_lro.py")
for name in modules:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(set(module.__all__)) and all(hasattr(module, one) for one in module.__all__)
    for method in vars(module).values():
        if isinstance(method, LroMethod):
            service, _, rpc = method.path[1:].partition("/")
            descriptor = descriptor_pool.Default().FindServiceByName(service).methods_by_name[rpc]
            try:
                assert LroMethod.from_descriptor(descriptor) == method, method
            except DescriptorError as error:
                print(error)
print(len(modules), "modules")
"""


def normal(text: str) -> str:
    """Without the version, which changes with every release."""
    return text.replace(f"protoc-gen-longrunning {__version__} from", "protoc-gen-longrunning VERSION from", 1)


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What protoc and our plugin make of all protos, with the modules of protoc and the stubs of mypy-protobuf."""
    out = tmp_path_factory.mktemp("generated")
    stubs = script(tmp_path_factory.mktemp("mypy"), "protoc-gen-mypy", [str(BIN / "protoc-gen-mypy")])
    arguments = [
        f"--python_out={out}",
        f"--plugin=protoc-gen-mypy={stubs}",
        f"--mypy_out=quiet:{out}",
        *plugin_arguments(tmp_path_factory.mktemp("plugin"), out),
    ]
    protoc(arguments, roots=[PROTOS], files=FILES).demand()
    return out


def test_protoc(generated: Path) -> None:
    """Every odd form, keyword, path, comment and edition becomes the text that was committed (GEN-2, GEN-3, GEN-4)."""
    texts = {path: normal(text) for path, text in written(generated).items()}
    assert list(texts) == list(GOLDENS)
    for path, text in texts.items():
        assert text == GOLDENS[path].read_text(encoding="utf-8"), path


def test_grpc_tools(generated: Path, tmp_path: Path) -> None:
    """The protoc of grpcio-tools hands over the same, and gets the same (GEN-4)."""
    out = tmp_path / "out"
    out.mkdir()
    protoc(plugin_arguments(tmp_path, out), roots=[PROTOS], files=FILES, compiler=GRPC_TOOLS).demand()
    assert written(out) == written(generated)


def test_buf(generated: Path, tmp_path: Path) -> None:
    """buf, which has its own compiler, gets the same (GEN-4)."""
    out = tmp_path / "out"
    buf(tmp_path, out, PROTOS).demand()
    assert written(out) == written(generated)


def test_twice(generated: Path, tmp_path: Path) -> None:
    """A second run gives the same bytes, whatever the order of the files and the seed of hashes (GEN-3)."""
    out = tmp_path / "out"
    out.mkdir()
    program = script(
        tmp_path, "protoc-gen-longrunning", ["env", "PYTHONHASHSEED=7", sys.executable, "-m", "longrunning.codegen"]
    )
    arguments = [f"--plugin=protoc-gen-longrunning={program}", f"--longrunning_out={out}"]
    protoc(arguments, roots=[PROTOS], files=reversed(FILES)).demand()
    assert written(out) == written(generated)


def test_one_file_at_a_time(generated: Path, tmp_path: Path) -> None:
    """What is written for a file does not depend on which others are compiled with it, as far as its types are (GEN-3)."""
    out = tmp_path / "out"
    out.mkdir()
    for file in ("acme/words/v1/words.proto", "acme/words/v1/comments.proto", "acme/dialects/proto2.proto"):
        protoc(plugin_arguments(tmp_path, out), roots=[PROTOS], files=[file], compiler=PROTOC).demand()
    alone = written(out)
    assert len(alone) == 3
    assert alone.items() <= written(generated).items()


@pytest.mark.parametrize("width", [88, 100, 120, 200])
def test_formatted(generated: Path, width: int) -> None:
    """A formatter leaves the output alone, at its default line length and at longer ones (GEN-3)."""
    command: list[str | Path] = [
        BIN / "ruff",
        "format",
        "--isolated",
        "--no-cache",
        "--check",
        "--line-length",
        str(width),
    ]
    answer = run([*command, *sorted(generated.rglob("*_lro.py"))])
    assert answer.code == 0, answer.out


def test_imports(generated: Path) -> None:
    """Every module imports, and its methods are those the runtime reads from the same annotations (GEN-1, GEN-2)."""
    answer = run([sys.executable, "-W", "error", "-c", IMPORT_ALL, generated])
    answer.demand()
    *others, count = answer.out.splitlines()
    assert count == f"{len(GOLDENS)} modules"
    # Although the process has the `Job` of nopackage.proto as well, `Job` of a package is not ambiguous.
    assert len(others) == 1
    assert "Unannotated has no google.longrunning.operation_info" in others[0]


def test_mypy(generated: Path) -> None:
    """Under --strict mypy finds nothing in the output, nor in what it imports (GEN-3)."""
    assert mypy(generated, sorted(generated.rglob("*_lro.py")), ROOT / "build" / "codegen" / "mypy") == []


def test_pyright(generated: Path) -> None:
    """In strict mode pyright finds nothing in the output (GEN-3)."""
    assert pyright(generated, sorted(generated.rglob("*_lro.py"))) == []


def test_comments(generated: Path) -> None:
    """A docstring says what the comment says, character by character, but for internal comments (GEN-3)."""
    module = ast.parse((generated / "acme/words/v1/comments_lro.py").read_text(encoding="utf-8"))
    client = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "CommentsLro")
    docstrings = {node.name: ast.get_docstring(node) or "" for node in client.body if isinstance(node, ast.FunctionDef)}
    about = ast.get_docstring(client) or ""
    assert '"Quoted" at the start, a back\\slash in it, and three quotes: """.' in about
    assert "internal" not in about
    assert '    indented = "code"\n\n*   A list, whose lines\n    go on.\nEnds in a backslash \\' in about
    assert "detached" not in about
    assert docstrings["quoted"].startswith('"Only a quotation."\n\nArgs:')
    assert docstrings["ends_quoted"].startswith('Ends in "quotes"\n\nArgs:')
    assert docstrings["ends_in_backslash"].startswith("Ends in a backslash \\\n\nArgs:")
    assert 'asterisks, """" four quotes and \\d+\\.\\d{2}.' in docstrings["block"]
    assert "ünïcode: ≤ 3 µs “and” 🎉." in docstrings["trailing"]
    assert docstrings["escapes"].startswith(
        "\\N{DEGREE SIGN}  \\x41 %s {braces} `code` [Note][acme.words.v1.Note]\n   a   tab\n\nArgs:"
    )
    assert docstrings["internal"].startswith("Starts ``/acme.words.v1.Comments/Internal``.")


def test_without_long_running_methods() -> None:
    """A file without long-running methods becomes no module (GEN-2)."""
    assert "acme/quiet/quiet.proto" in FILES
    assert not [path for path in GOLDENS if "quiet" in path]


def test_include_folders() -> None:
    """The operations.proto that the package brings is the vendored one, byte for byte (GEN-4)."""
    name = "google/longrunning/operations.proto"
    ours = ROOT / "src" / "longrunning" / "codegen" / "include" / name
    assert ours.read_bytes() == (ROOT / "protos" / name).read_bytes()


def test_stubs_of_protoc(tmp_path: Path) -> None:
    """With the stubs that protoc itself writes the output is typed as well (GEN-3)."""
    out = tmp_path / "out"
    out.mkdir()
    # What protoc writes for messages called `None` is no Python.
    files = [file for file in FILES if not file.endswith("words.proto")]
    arguments = [f"--python_out={out}", f"--pyi_out={out}", *plugin_arguments(tmp_path, out)]
    protoc(arguments, roots=[PROTOS], files=files).demand()
    modules = sorted(out.rglob("*_lro.py"))
    ours = [line for line in mypy(out, modules, ROOT / "build" / "codegen" / "mypy-protoc") if "_lro.py" in line]
    assert ours == []
    assert pyright(out, modules) == []


def test_run_as_a_module() -> None:
    """The plugin says its version, as a program and as a module (GEN-4)."""
    done = subprocess.run([sys.executable, "-m", "longrunning.codegen", "--version"], capture_output=True, check=True)
    assert done.stdout.decode() == f"protoc-gen-longrunning {__version__}\n"
