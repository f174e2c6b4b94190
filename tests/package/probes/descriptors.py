# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Prints the descriptors of the files that are vendored, as this environment's googleapis-common-protos has them."""

import base64
import importlib
import json
import sys

from google.protobuf import descriptor_pb2

descriptors: dict[str, str] = {}
for name in sys.argv[1:]:
    module = name.removesuffix(".proto").replace("/", ".") + "_pb2"
    file = importlib.import_module(module.replace("operations_pb2", "operations_proto_pb2")).DESCRIPTOR
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    descriptors[proto.name] = base64.b64encode(proto.SerializeToString()).decode()
print(json.dumps(descriptors))
