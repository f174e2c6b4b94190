# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is written for a file: which methods, under which names, with which types.

Names are stable: those of one method do not depend on the options, nor on what is declared after it; but for a
``resume_x``, which gives way to an RPC that is called so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from ._classes import PythonClass, find_class
from ._imports import Expression, Modules
from ._names import Names, constant_name, is_plain, method_name
from ._prose import contents, described
from .errors import SourceError
from .findings import Finding, Rule
from .model import File, HttpRule, Kind, Message, Method, Model, Service, TypeName
from .options import Incomplete, Options, Streaming, Unannotated

__all__ = ["ANY", "Plan", "PlannedMethod", "PlannedService", "plan"]

ANY: Final = Message(full_name="google.protobuf.Any", package="google.protobuf", path="google/protobuf/any.proto")

# Names that a generated module uses, and names that annotations in its classes use.
_IN_MODULE: Final = frozenset({
    "ABC", "TYPES", "TYPE_CHECKING", "Any", "AsyncOperationContext", "AsyncOperationHandle", "AsyncOperationsClient", "Final",
    "HttpBinding", "LroMethod", "Message", "Metadata", "OperationContext", "OperationHandle", "OperationsClient", "OperationsServer",
    "TypeRegistry", "UnknownPayload", "abstractmethod", "annotations", "float", "getattr", "import_module", "str", "timedelta",
})  # fmt: skip
_IN_CLASS: Final = frozenset({"operations", "operations_server"})
_VERBS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH"})  # those that HttpBinding knows


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMethod:
    """A method to be written.

    Attributes:
        method: The method.
        constant: Name of its `LroMethod`.
        name: Name of what starts it.
        resume: Name of what takes hold of its operations.
        handler: Name of what serves it; not that of an RPC.
        rpc: Whether a class can have a method that is called as the RPC is.
        request: Its request.
        response: Its response.
        metadata: Its metadata.
        http: Its HTTP binding, if it is one that the runtime knows.
        about: What docstrings say about it: what the .proto does.
        contents: What they say about its operations.
    """

    method: Method
    constant: str
    name: str
    resume: str
    handler: str
    rpc: bool
    request: Expression
    response: Expression
    metadata: Expression
    http: HttpRule | None
    about: str
    contents: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedService:
    """A service to be written, and what its classes are called."""

    service: Service
    client: str
    async_client: str
    servicer: str
    sync_servicer: str
    methods: tuple[PlannedMethod, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is written for a file.

    Attributes:
        file: The file.
        services: Its services with long-running methods.
        registered: The classes of the registry.
        modules: What is imported for messages.
    """

    file: File
    services: tuple[PlannedService, ...]
    registered: tuple[Expression, ...]
    modules: Modules


def plan(model: Model, file: File, options: Options) -> Plan | None:
    """Plans one file; ``None`` where it has nothing to write.

    Raises:
        SourceError: No code can be generated.
    """
    problems = [finding for finding in model.findings if finding.position.path == file.path]
    chosen = [(service, _chosen(service, options, problems)) for service in file.services]
    if problems:
        raise SourceError(tuple(sorted(problems, key=lambda finding: finding.position)))
    chosen = [(service, methods) for service, methods in chosen if methods]
    if not chosen:
        return None
    types = {method.path: _types(method) for _, methods in chosen for method in methods}
    messages = {message.full_name: message for three in types.values() for message in three}
    classes = {name: find_class(message, options) for name, message in messages.items()}
    return _named(file, chosen, types, classes)


def _named(
    file: File,
    chosen: list[tuple[Service, tuple[Method, ...]]],
    types: dict[str, tuple[Message, Message, Message]],
    classes: dict[str, PythonClass],
) -> Plan:
    constants = Names(_IN_MODULE)
    names = {
        method.path: constants.take(constant_name(method.name), constant_name(f"{service.name}_{method.name}"))
        for service in file.services
        for method in service.long_running
    }
    # Service by service: what is added later gives way to what was there.
    called = {service.name: _class_names(service.name, constants) for service in file.services}
    modules = Modules(classes.values(), constants.taken)
    expressions = {name: modules.expression(cls) for name, cls in classes.items()}
    aliases = frozenset(modules.alias(cls.module) for cls in classes.values())
    services = tuple(
        PlannedService(
            service=service,
            client=called[service.name][0],
            async_client=called[service.name][1],
            servicer=called[service.name][2],
            sync_servicer=called[service.name][3],
            methods=_named_methods(service, methods, names, types, expressions, aliases),
        )
        for service, methods in chosen
    )
    named = {message.full_name for _, *both in types.values() for message in both if not _is_static(message)}
    registered = tuple(expressions[name] for name in sorted(named))
    return Plan(file=file, services=services, registered=registered, modules=modules)


def _class_names(service: str, names: Names) -> tuple[str, str, str, str]:
    """Of its clients, sync and async, and of its servicers, async and sync."""
    client = names.take(f"{service}Lro")
    async_client = names.take(f"Async{client}")
    servicer = names.take(f"{service}LroServicer")
    return client, async_client, servicer, names.take(f"Sync{servicer}")


def _named_methods(
    service: Service,
    methods: tuple[Method, ...],
    constants: dict[str, str],
    types: dict[str, tuple[Message, Message, Message]],
    expressions: dict[str, Expression],
    aliases: frozenset[str],
) -> tuple[PlannedMethod, ...]:
    taken = _IN_MODULE | _IN_CLASS | aliases
    names = Names(taken)
    # All that start operations first: they keep their names whatever else there is.
    starts = {method.path: names.take(method_name(method.name)) for method in service.long_running}
    resumes = {path: names.take(f"resume_{name}") for path, name in starts.items()}
    # A servicer has a method for every RPC as well.
    rpcs = frozenset(method.name for method in service.methods)
    names = Names(taken | rpcs)
    handlers = {method.path: names.take(method_name(method.name)) for method in service.long_running}
    planned: list[PlannedMethod] = []
    for method in methods:
        names_of = [message.full_name for message in types[method.path]]
        request = expressions[names_of[0]]
        response, metadata = (_payload(name, expressions[name]) for name in names_of[1:])
        planned.append(
            PlannedMethod(
                method=method,
                constant=constants[method.path],
                name=starts[method.path],
                resume=resumes[method.path],
                handler=handlers[method.path],
                # grpc's own generator writes `def class`, which nobody can import; and Python has plans for two underscores.
                rpc=is_plain(method.name) and method.name not in taken and not method.name.startswith("__"),
                request=request,
                response=response,
                metadata=metadata,
                http=method.http if method.http is not None and method.http.verb in _VERBS else None,
                about=described(method),
                contents=contents(response, metadata),
            )
        )
    return tuple(planned)


def _payload(name: str, found: Expression) -> Expression:
    """As the type of a payload, Any says that it is not known: what comes is whatever the registry of the client finds."""
    return Expression(found.value, "Message | UnknownPayload") if name == ANY.full_name else found


def _is_static(message: Message) -> bool:
    """Whether every registry has it."""
    return message.package in {"google.protobuf", "google.rpc", "google.longrunning"}


def _types(method: Method) -> tuple[Message, Message, Message]:
    """Request, response and metadata of a method without problems."""
    assert method.request is not None
    info = method.operation
    if info is None:
        return method.request, ANY, ANY
    return method.request, info.response.message or ANY, info.metadata.message or ANY


# -- what to do with methods that say too little ------------------------------------------------------------------


def _chosen(service: Service, options: Options, problems: list[Finding]) -> tuple[Method, ...]:
    """The methods of a service that are to be written; what stands in the way is added to the problems."""
    chosen: list[Method] = []
    for method in service.methods:
        if method.kind is Kind.STREAMS and options.streaming is Streaming.ERROR:
            problems.append(_streams(service, method))
        if method.kind is not Kind.STARTS or (method.operation is None and options.unannotated is Unannotated.SKIP):
            continue
        problems += _lacks(service, method, options)
        chosen.append(method)
    return tuple(chosen)


def _streams(service: Service, method: Method) -> Finding:
    return Finding(
        rule=Rule.RESPONSE_UNARY,
        message=f"{service.name}.{method.name} returns operations and streams: make it unary (AIP-151), "
        "or pass the option streaming=skip to leave such methods out",
        position=method.position,
        method=method.path,
    )


def _lacks(service: Service, method: Method, options: Options) -> list[Finding]:
    name, info = f"{service.name}.{method.name}", method.operation
    if info is None:
        if options.unannotated is not Unannotated.ERROR:
            return []
        return [
            Finding(
                rule=Rule.OPERATION_INFO,
                message=f"{name} has no google.longrunning.operation_info: annotate it (AIP-151), "
                "or pass the option unannotated=untyped or unannotated=skip",
                position=method.position,
                method=method.path,
            )
        ]
    if options.incomplete is Incomplete.UNTYPED:
        return []
    fields: tuple[tuple[Rule, str, TypeName], ...] = (
        (Rule.RESPONSE_TYPE, "response_type", info.response),
        (Rule.METADATA_TYPE, "metadata_type", info.metadata),
    )
    return [
        Finding(
            rule=rule,
            message=f"operation_info of {name} has no {field}: name a message, google.protobuf.Any if it can be any (AIP-151), "
            "or pass the option incomplete=untyped",
            position=info.position,
            method=method.path,
        )
        for rule, field, type_name in fields
        if not type_name.written
    ]
