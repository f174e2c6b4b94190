# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A local buf plugin that lets ``grpc_tools.protoc`` write the Python code.

buf compiles the protos and hands their descriptors over; protoc's own generators write the output, so
it equals that of ``python -m grpc_tools.protoc``. buf's built-in python plugin is no substitute: it
embeds json names into the descriptors. Usage in buf.gen.yaml: ``local: [python, tools/protoc_plugin.py, python]``;
the environment of that python decides which compiler writes.
"""

# grpc_tools is in .venv-gen only, where this runs; the checkers look at .venv.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from grpc_tools import protoc  # pyright: ignore[reportMissingTypeStubs]


def camel_case(name: str) -> str:
    """Returns the json name that a field of this name has by default."""
    head, *tail = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in tail)


def drop_default_json_names(message: DescriptorProto) -> None:
    """Takes out what a compiler adds for plugins: embedded, it would be a difference to the .proto's own descriptor."""
    for field in (*message.field, *message.extension):
        if field.json_name == camel_case(field.name):
            field.ClearField("json_name")
    for nested in message.nested_type:
        drop_default_json_names(nested)


def generate(request: CodeGeneratorRequest, generator: str) -> CodeGeneratorResponse:
    """Runs ``protoc --<generator>_out`` over the files of the request."""
    for file in request.proto_file:
        for message in file.message_type:
            drop_default_json_names(message)
        for extension in file.extension:
            extension.ClearField("json_name")
    response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    with tempfile.TemporaryDirectory() as folder:
        descriptors = Path(folder, "descriptors.binpb")
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        out = Path(folder, "out")
        out.mkdir()
        arguments = ["protoc", f"--descriptor_set_in={descriptors}", f"--{generator}_out={out}"]
        if protoc.main([*arguments, *request.file_to_generate]) != 0:
            response.error = f"protoc --{generator}_out failed, see its message above"
            return response
        for path in sorted(path for path in out.rglob("*") if path.is_file()):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text(encoding="utf-8"))
    return response


if __name__ == "__main__":
    answer = generate(CodeGeneratorRequest.FromString(sys.stdin.buffer.read()), sys.argv[1])
    sys.stdout.buffer.write(answer.SerializeToString())
