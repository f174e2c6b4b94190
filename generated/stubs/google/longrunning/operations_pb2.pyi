# Generated from protos/google/longrunning/operations.proto by mypy-protobuf (make generate). Do not edit.
from google.longrunning.operations_proto_pb2 import *
