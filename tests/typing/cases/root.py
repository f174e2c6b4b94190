# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The names of the package root, which are loaded lazily: type checkers see each as what it is."""

from __future__ import annotations

from typing import Literal, assert_type

import longrunning
from longrunning import (
    DEFAULT,
    AsyncOperationHandle,
    AsyncOperationsClient,
    Code,
    HttpBinding,
    LongRunningError,
    LroMethod,
    Operation,
    OperationCancelledError,
    OperationError,
    OperationHandle,
    OperationsClient,
    OperationState,
    PayloadError,
    PollingError,
    PollPolicy,
    RetryPolicy,
    RpcError,
    StartError,
    Status,
    TypeRegistry,
    UnknownPayload,
    WaitTimeoutError,
    client,
    errors,
    method,
    operation,
    policy,
    registry,
    status,
)

assert_type(longrunning.__version__, str)
assert_type(longrunning.Code.OK, Literal[Code.OK])
assert_type(longrunning.OperationState.RUNNING, Literal[OperationState.RUNNING])
assert_type(longrunning.PollPolicy(), PollPolicy)
assert_type(longrunning.RetryPolicy(), RetryPolicy)
assert_type(longrunning.TypeRegistry(), TypeRegistry)
assert_type(longrunning.Status(0), Status)
assert_type(longrunning.UnknownPayload(""), UnknownPayload)
assert_type(longrunning.HttpBinding(verb="GET", path="/"), HttpBinding)
defaults: list[policy.Default] = [longrunning.DEFAULT, policy.DEFAULT, DEFAULT]

# What is at home in a module is the very class of the root.
classes: list[tuple[type[object], type[object]]] = [
    (longrunning.AsyncOperationHandle, AsyncOperationHandle),
    (longrunning.OperationHandle, OperationHandle),
    (longrunning.LroMethod, LroMethod),
    (longrunning.Operation, Operation),
]
asynchronous: type[client.AsyncOperationsClient] = longrunning.AsyncOperationsClient
synchronous: type[client.OperationsClient] = longrunning.OperationsClient
again: tuple[type[AsyncOperationsClient], type[OperationsClient]] = (asynchronous, synchronous)
state: type[operation.OperationState] = longrunning.OperationState
binding: type[method.HttpBinding] = longrunning.HttpBinding
types: type[registry.TypeRegistry] = longrunning.TypeRegistry
code: type[status.Code] = longrunning.Code
tree: list[type[LongRunningError]] = [
    longrunning.OperationCancelledError,
    longrunning.OperationError,
    longrunning.PayloadError,
    longrunning.PollingError,
    longrunning.RpcError,
    longrunning.StartError,
    longrunning.WaitTimeoutError,
]
wait_timeout: type[errors.WaitTimeoutError] = WaitTimeoutError
start: type[errors.RpcError] = StartError
polling: type[errors.RpcError] = PollingError
rpc: type[errors.RpcError] = RpcError
payload: type[errors.PayloadError] = PayloadError
failed: type[errors.OperationError] = OperationError
cancelled: type[errors.OperationError] = OperationCancelledError
names: list[str] = [*longrunning.__all__, *dir(longrunning)]
