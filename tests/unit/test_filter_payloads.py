# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Paths below metadata and response: real messages, other messages, and what is no message at all."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.cloud.redis_v1 import types as redis
from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, struct_pb2, type_pb2, wrappers_pb2
from google.rpc import error_details_pb2, status_pb2

from example.library.v1 import library_pb2
from longrunning.registry import TypeRegistry
from longrunning.server.filtering import FilterError, FilterLimits, Schema, parse
from tests.unit.builders import (
    CREATE,
    DYNAMIC,
    GENERATED,
    Instance,
    Metadata,
    U,
    any_of,
    message_class,
    nested_any,
    raw,
)
from tests.unit.filter_builders import (
    ALL,
    ANY,
    LIBRARY,
    REGISTRY,
    Record,
    failed,
    matches,
    packed,
    running,
    schema,
    succeeded,
    timestamp,
)

IMPORTING = running(library_pb2.ImportBooksMetadata(total=200, done=100, percent=50))
CREATING = running(
    library_pb2.OperationMetadata(target="shelves/1", verb="create", create_time=timestamp("2024-01-31T12:00:00Z", 5))
)
IMPORTED = succeeded(library_pb2.ImportBooksResponse(shelf=library_pb2.Shelf(name="shelves/1", book_count=7)))
INSTANCE = succeeded(
    Instance(
        name="projects/p/instances/i",
        labels={"env": "prod", "a.b": "c", "": "empty"},
        tier=redis.Instance.Tier.STANDARD_HA,
        port=6379,
        auth_enabled=True,
        create_time=timestamp("2024-01-31T12:00:00Z"),
        server_ca_certs=[redis.TlsCertificate(cert="x"), redis.TlsCertificate(cert="y")],
        maintenance_policy=redis.MaintenancePolicy(description="none"),
    )
)


@pytest.mark.parametrize(
    ("text", "importing", "creating"),
    [
        ("metadata:*", True, True),
        ("metadata.percent = 50", True, False),
        ("metadata.percent = 50.0", True, False),
        ('metadata.percent = "50"', True, False),
        ("metadata.percent != 50", False, True),
        ("NOT metadata.percent = 50", False, True),
        ("metadata.percent >= 50", True, False),
        ("metadata.percent > 49.5", True, False),
        ("metadata.percent < 5e1", False, False),
        ("NOT metadata.percent < 5e1", True, True),
        ("metadata.percent > -1", True, False),
        ("metadata.percent < 99999999999999999999999", True, False),
        ("metadata.done = 100", True, False),
        ("metadata.done:100", True, False),
        ("metadata.verb = create", False, True),
        ("metadata.verb = cre*", False, True),
        ("metadata.verb != create", True, False),
        ("metadata.verb > creat", False, True),
        ("metadata.verb:*", False, True),
        ("metadata:verb", False, True),
        ("metadata:percent", True, False),
        ("metadata.target = shelves/1 AND metadata.verb = create", False, True),
        ("metadata.create_time > 2024-01-31T12:00:00Z", False, True),
        ("metadata.create_time = 2024-01-31T12:00:00.000000005Z", False, True),
        ("metadata.createTime < 2024-01-31T12:00:00.000000006Z", False, True),
        ("metadata.create_time:*", False, True),
        ("-metadata.create_time:*", True, False),
        ("metadata.@type = example.library.v1.OperationMetadata", False, True),
        ("metadata.@type = type.googleapis.com/example.library.v1.OperationMetadata", False, True),
        ('metadata."@type" = "*.OperationMetadata"', False, True),
        ("metadata.@type != example.library.v1.OperationMetadata", True, False),
        ("metadata.@type:example.library.v1.ImportBooksMetadata", True, False),
        ("metadata.@type:*", True, True),
        ("metadata.@type = OperationMetadata", False, False),
        ("response:*", False, False),
        ("response.@type:*", False, False),
        ("response.@type != x", True, True),
        ("error:*", False, False),
    ],
)
def test_metadata(text: str, importing: bool, creating: bool) -> None:
    """Metadata of two methods is told apart by its fields and by its type; what a type does not have, is absent (FILT-2)."""
    assert (matches(text, IMPORTING), matches(text, CREATING)) == (importing, creating)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("response.name = projects/*", True),
        ("response.port = 6379", True),
        ("response.labels:env", True),
        ("response.labels:e*", True),
        ("response.labels:nothing", False),
        ("response.labels:*", True),
        ("response.labels.env = prod", True),
        ("response.labels.env:prod", True),
        ("response.labels.env:*", True),
        ("response.labels.env != prod", False),
        ("response.labels.nothing = prod", False),
        ("response.labels.nothing != prod", True),
        ("response.labels.nothing = ''", False),
        ("response.labels.nothing:*", False),
        ('response.labels."a.b" = c', True),
        ("response.labels.'' = empty", True),
        ("response.labels.a.b = c", None),
        ("response.tier = STANDARD_HA", True),
        ("response.tier = 3", True),
        ("response.tier = BASIC", False),
        ("response.tier != BASIC", True),
        ("response.tier = 77", False),
        ("response.tier:*", True),
        ("response.state:*", False),
        ("response.state = STATE_UNSPECIFIED", True),
        ("response.auth_enabled = true", True),
        ("response.authEnabled = false", False),
        ("response.authEnabled > false", None),
        ("response.create_time = 2024-01-31T12:00:00Z", True),
        ("response.server_ca_certs:*", True),
        ("response.server_ca_certs.cert:x", True),
        ("response.serverCaCerts.cert:y", True),
        ("response.server_ca_certs.cert:z", False),
        ("response.server_ca_certs.cert:*", True),
        ("response.server_ca_certs:cert", True),
        ("response.server_ca_certs:serial_number", False),
        ("response.server_ca_certs.cert = x", None),
        ("response.server_ca_certs.0.cert:x", None),
        ("response.persistence_config:*", False),
        ("response.persistence_config.persistence_mode = 0", False),
        ("response.maintenance_policy:*", True),
        ("response.maintenance_policy:description", True),
        ("response.maintenance_policy:update_time", False),
        ("response.maintenance_policy.description = none", True),
        ("response.maintenance_policy.description = 'none' AND response.port < 7e3", True),
        ("response.shelf.name = x", False),
        ("response.shelf.name != x", True),
    ],
)
def test_response(text: str, yes: bool | None) -> None:
    """Maps, enums, times, repeated fields and messages of a proto-plus type behave as AIP-160 says (FILT-2)."""
    if yes is None:
        with pytest.raises(FilterError):
            parse(text, ALL)
    else:
        assert matches(text, INSTANCE) is yes
        # where nothing is declared, the registry tells the type
        assert matches(text, INSTANCE, schema(registry=TypeRegistry(Instance))) is yes


def test_defaults() -> None:
    """A field without presence has its default, and is not there for ":*"; a message that is not set is absent (FILT-2)."""
    record = succeeded(library_pb2.ImportBooksResponse())
    assert matches("response.imported = 0", record)
    assert not matches("response.imported != 0", record)
    assert not matches("response.imported:*", record)
    assert not matches("response.shelf.book_count = 0", record)
    assert matches("response.shelf.book_count != 0", record)
    assert not matches("response:shelf", record)
    empty = succeeded(library_pb2.ImportBooksResponse(shelf=library_pb2.Shelf()))
    assert matches("response.shelf.book_count = 0 response:shelf", empty)
    assert matches("response.shelf.book_count = 7", IMPORTED)


def test_presence() -> None:
    """A field that tracks presence is absent while it is not set, whatever its default, and there when it is (FILT-2)."""
    animal = message_class(GENERATED, "longrunning_unit_zoo.Animal")
    types = schema((animal,), (animal,), GENERATED)
    for message, there in ((animal(), False), (animal(weight=0), True)):
        record = running(message)
        assert matches("metadata.weight = 0", record, types) is there
        assert matches("metadata.weight != 0", record, types) is not there
        assert matches("metadata.weight:*", record, types) is there
        assert matches("metadata.weight < 1", record, types) is there


def test_64_bits() -> None:
    """Integers of 64 bits are compared exactly, with each other and with floats (FILT-2)."""
    animal = message_class(DYNAMIC, "dynamic_zoo.Animal")
    types = schema((), (animal,), DYNAMIC)
    record = running(animal(weight=2**53 + 1, chip_number=2**64 - 1))
    assert matches("metadata.weight = 9007199254740993", record, types)
    assert not matches("metadata.weight = 9007199254740992", record, types)
    assert matches("metadata.weight > 9007199254740992.0", record, types)
    assert matches("metadata.chipNumber = 18446744073709551615", record, types)
    assert matches("metadata.chip_number < 18446744073709551616", record, types)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("response.kind = TYPE_STRING", True),
        ("response.number > 4", True),
        ("response.oneof_index = 0", True),
        ("response.packed = false", True),
        ("response.options.value.@type:google.protobuf.BoolValue", True),
        ("response.options.value.value:true", True),
        ("response.options.value.value:1", False),
        ("response.options.value.none:x", False),
        ("response.options.name:deprecated", True),
        ("response.options.value:*", True),
    ],
)
def test_any_inside(text: str, yes: bool) -> None:
    """An Any inside a message is entered if its type is known, through repeated fields as well (FILT-2)."""
    option = type_pb2.Option(name="deprecated", value=any_of(wrappers_pb2.BoolValue(value=True)))
    field = type_pb2.Field(kind=type_pb2.Field.TYPE_STRING, number=5, options=[option])
    assert matches(text, succeeded(field), schema((type_pb2.Field,), ())) is yes


def test_any_in_any() -> None:
    """One Any is entered, the Any in that is not; its type can still be asked (FILT-2)."""
    inner = type_pb2.Option(name="inner", value=any_of(wrappers_pb2.BoolValue(value=True)))
    outer = type_pb2.Option(name="outer", value=any_of(inner))
    types = schema((type_pb2.Option,), ())
    record = succeeded(outer)
    assert matches("response.value.name = inner", record, types)
    assert matches("response.value.value.@type = google.protobuf.BoolValue", record, types)
    assert not matches("response.value.value.value = true", record, types)
    assert not matches("response.value.value.@type = x", record, types)
    with pytest.raises(FilterError, match="'@type' is a string"):
        parse("response.value.@type.x = 1", types)
    empty = succeeded(type_pb2.Option(value=any_pb2.Any()))
    assert matches("response.value:* AND response.value.@type != ''", empty, types)
    deep = succeeded(nested_any(500))
    assert not matches("response.value.value.value.reason = R", deep, ANY)
    assert not matches("response:reason", deep, ANY)


STRUCT = struct_pb2.Struct()
STRUCT.update(
    {"s": "text", "n": 4.5, "b": True, "z": None, "o": {"k": {"deep": 1}}, "l": [1, "two", {"k": 3}, [4]], "e": []}
)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("response.s = text", True),
        ("response.s = te*", True),
        ("response.s != text", False),
        ("response.s > tex", True),
        ("response.s > 5", True),
        ("response.n = 4.5", True),
        ('response.n = "4.5"', True),
        ("response.n < 5", True),
        ("response.n < five", False),
        ("response.n = text", False),
        ("response.b = true", True),
        ("response.b = 1", False),
        ("response.b > false", False),
        ("response.b >= true", False),
        ("response.z = null", True),
        ("response.z:*", True),
        ("response.z = 0", False),
        ("response:s", True),
        ("response:nothing", False),
        ("response.nothing = 1", False),
        ("response.nothing != 1", True),
        ("response.s.further = 1", False),
        ("response.o:k", True),
        ("response.o:x", False),
        ("response.o = k", False),
        ("response.o.k.deep = 1", True),
        ("response.o.k:deep", True),
        ("response.l:1", True),
        ("response.l:two", True),
        ("response.l:t*", True),
        ("response.l:4", True),
        ("response.l.k:3", True),
        ("response.l.k:4", False),
        ("response.l = 1", False),
        ("response.l.k = 3", False),
        ("response.l:*", True),
        ("response.e:*", True),
        ("response.e:1", False),
    ],
)
def test_struct(text: str, yes: bool) -> None:
    """In a Struct any path is legal, and values have the types they have (FILT-2)."""
    record = succeeded(STRUCT)
    assert matches(text, record, schema((struct_pb2.Struct,), ())) is yes
    assert matches(text, record, ANY) is yes
    held = struct_pb2.Value(struct_value=STRUCT)
    assert matches(text, succeeded(held), ANY) is yes


@pytest.mark.parametrize("kind", [wrappers_pb2.FloatValue, wrappers_pb2.DoubleValue])
def test_floats(kind: Any) -> None:
    """0.1 is 0.1, in 32 bits as in 64, and NaN compares with nothing (FILT-2)."""
    record, types = running(kind(value=0.1)), schema((), (kind,))
    for text in ("= 0.1", ":0.1", "<= .1", ">= 1e-1", "< 1", "< 1e39", "> -1", "!= 0.2", ":*"):
        assert matches(f"metadata.value {text}", record, types), text
    for text in ("!= 0.1", "> 0.1", "< 0.1", "= 0.2"):
        assert not matches(f"metadata.value {text}", record, types), text
    odd = running(kind(value=math.nan))
    assert not matches("metadata.value < 1 OR metadata.value > 0 OR metadata.value = 0", odd, types)
    for text in ("NaN", "1e999", "0x1", "1_0", "", "٣"):
        with pytest.raises(FilterError, match="expected a number"):
            parse(f'metadata.value = "{text}"', types)


def test_single_values_in_messages() -> None:
    """Wrapped scalars, durations and times inside messages are values, absent while not set (FILT-2)."""
    redis_config = redis.Instance(maintenance_schedule=redis.MaintenanceSchedule(can_reschedule=True))
    assert matches("response.maintenance_schedule.can_reschedule = true", succeeded(redis_config))
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1, nanos=500_000_000))
    types = schema((), (error_details_pb2.RetryInfo,))
    record = running(retry)
    for text in ("= 1.5s", ":1.5s", "> 1.499999999s", "< 2s", "!= 1s", ">= -3.5s", ":*"):
        assert matches(f"metadata.retry_delay {text}", record, types), text
        absent = running(error_details_pb2.RetryInfo())
        assert matches(f"metadata.retry_delay {text}", absent, types) is text.startswith("!="), text
    for text in ("1.5", "1.5m", "s", "1.s", "1.0000000001s", "1e3s"):
        with pytest.raises(FilterError, match="expected seconds such as 20s"):
            parse(f"metadata.retry_delay > {text}", types)


def test_wrappers() -> None:
    """A field of a wrapper type is compared as the scalar in it, and absent while not set (FILT-2)."""
    odd = odd_type()
    types = schema((), (odd,), TypeRegistry())
    record = running(
        odd(
            flag={"value": False},
            text={"value": "x"},
            by_number={7: "seven"},
            by_flag={True: 1},
            extra={"k": {"deep": 5}},
            item={"number_value": 5},
        )
    )
    assert matches("metadata.flag = false", record, types)
    assert matches("metadata.flag:*", record, types)
    assert matches("metadata.text = x* AND metadata.text > w", record, types)
    assert matches("metadata.by_number.7 = seven", record, types)
    assert matches("metadata.by_number:7 AND NOT metadata.by_number:8", record, types)
    assert matches("metadata.by_flag.true = 1", record, types)
    assert matches("metadata.by_flag.true:* AND NOT metadata.by_flag.false:*", record, types)
    assert matches("metadata.extra:k AND metadata.extra.k.deep = 5 AND metadata.extra.k:deep", record, types)
    assert not matches("metadata.extra:x OR metadata.extra = k OR metadata.extra.k = 5", record, types)
    assert matches("metadata.item = 5 AND metadata.item < 6 AND metadata.item:*", record, types)
    assert not matches("metadata.by_number.99999999999999999999 = seven", record, types)
    with pytest.raises(FilterError, match="are integers"):
        parse(f"metadata.by_number.{'9' * 5_000} = x", types, limits=FilterLimits(length=6_000))
    absent = running(odd())
    assert not matches("metadata.flag = false", absent, types)
    assert matches("metadata.flag != false AND -metadata.flag:*", absent, types)
    for text, says in (
        ("metadata.by_number.x = 1", "the keys of 'by_number' are integers; got 'x'"),
        ("metadata.by_flag.1 = 1", "the keys of 'by_flag' are booleans; got '1'"),
        ("metadata.by_number:x", "expected a number"),
        ("metadata.flag.value = true", "'flag' is a boolean and has no field 'value'"),
        ("metadata.text.x = 1", "has no field 'x'"),
        ("metadata.data = x", "'data' is bytes: '=' does not apply, :* does"),
        ("metadata.data:x", "'data' is bytes"),
    ):
        with pytest.raises(FilterError, match=says.replace("*", r"\*")):
            parse(text, types)
    assert matches("metadata.data:*", running(odd(data=b"x")), types)
    assert not matches("metadata.data:*", running(odd()), types)


def odd_type() -> Any:
    """A type with wrappers, bytes, JSON, and maps whose keys are no strings."""
    from tests.unit.builders import add_message, file_set, proto_file

    file = proto_file("odd.proto", "odd", needs=("google/protobuf/struct.proto", "google/protobuf/wrappers.proto"))
    message = add_message(
        file,
        "Odd",
        flag=".google.protobuf.BoolValue",
        text=".google.protobuf.StringValue",
        data="bytes",
        by_number="repeated .odd.Odd.ByNumberEntry",
        by_flag="repeated .odd.Odd.ByFlagEntry",
        extra=".google.protobuf.Struct",
        item=".google.protobuf.Value",
    )
    for name, key, value in (("ByNumberEntry", 5, 9), ("ByFlagEntry", 8, 5)):
        entry: Any = message.nested_type.add(name=name)
        entry.field.add(name="key", number=1, label=1, type=key)
        entry.field.add(name="value", number=2, label=1, type=value)
        entry.options.map_entry = True
    return message_class(TypeRegistry.from_file_descriptor_set(file_set(file)), "odd.Odd")


# -- types that are not what was expected -----------------------------------------------------------------------


def test_agreement() -> None:
    """A literal that fits no declared type is refused where they agree what the field is, else it does not match (FILT-2)."""
    importing, creating = LIBRARY
    # `done` is an integer in one type, and no field of the other
    with pytest.raises(FilterError, match="'done' is an integer"):
        parse("metadata.done = abc", schema((), (importing, creating)))
    # an integer here, a boolean there
    both = schema((), (importing, type_pb2.Field, _operation_like()))
    assert matches("metadata.done = 100", IMPORTING, both)
    assert not matches("metadata.done = true", IMPORTING, both)
    assert matches("metadata.done != true", IMPORTING, both)
    assert not matches("metadata.done = abc", IMPORTING, both)


def _operation_like() -> Any:
    from google.longrunning import operations_proto_pb2

    return operations_proto_pb2.Operation


def test_other_types() -> None:
    """A payload of a type that was not declared is looked into if it is known, and has no such field if not (FILT-2)."""
    types = schema((), (library_pb2.ImportBooksMetadata,))
    assert not matches("metadata.percent = 50", CREATING, types)
    assert matches("metadata.percent = 50", IMPORTING, types)
    moved = running(raw(U + "no.Such", library_pb2.ImportBooksMetadata(percent=50).SerializeToString()))
    assert not matches("metadata.percent = 50", moved, types)
    assert matches("metadata.percent != 50 AND metadata:* AND metadata.@type = no.Such", moved, types)
    with pytest.raises(FilterError, match=r"'example\.library\.v1\.ImportBooksMetadata' has no field 'verb'"):
        parse("metadata.verb = create", types)
    # declared: any type; then the registry's types count
    for open_types in (ANY, schema((), (any_pb2.Any,)), schema((), (any_pb2.Any, library_pb2.ImportBooksMetadata))):
        assert matches("metadata.verb = create", CREATING, open_types)
        assert not matches("metadata.verb = create", IMPORTING, open_types)
        assert not matches("metadata.no_such.thing = create", CREATING, open_types)
        assert not matches("metadata.verb.thing = create", CREATING, open_types)
        assert not matches("metadata.percent = create", IMPORTING, open_types)


@pytest.mark.parametrize(
    ("url", "fields", "name", "whole"),
    [
        (U + "example.library.v1.Shelf", True, True, True),
        ("types.example.com/example.library.v1.Shelf", True, True, True),
        ("evil.example.com/example.library.v1.Shelf", False, False, True),
        ("example.library.v1.Shelf", False, True, True),
        ("/example.library.v1.Shelf", False, False, True),
    ],
)
def test_urls(url: str, fields: bool, name: bool, whole: bool) -> None:
    """Only a URL the registry trusts names a type; as text, any can be compared (FILT-2, TYPE-6)."""
    record = succeeded(raw(url, library_pb2.Shelf(theme="x").SerializeToString()))
    assert matches("response.theme = x", record, ANY) is fields
    assert matches("response.@type = example.library.v1.Shelf", record, ANY) is name
    assert matches(f'response.@type = "{url}"', record, ANY) is whole


@pytest.mark.parametrize(
    "record",
    [
        Record(metadata=None, result=None),
        Record(metadata=b"", result=b""),
        Record(metadata=b"\xff\xff", result=b"\xff\xff"),
        Record(metadata=b"\x0a\x05ab", result=b"\x0a\x05ab"),
        Record(metadata=b"\x0a\x02\xff\xfe", result=b"\x0a\x02\xff\xfe"),
        Record(metadata=packed(raw("")), result=packed(raw(""))),
        Record(metadata=packed(raw("", b"x")), result=packed(raw("", b"x"))),
    ],
    ids=repr,
)
def test_no_payload(record: Record) -> None:
    """What is no Any, or names no type, is absent, and nothing is raised (FILT-2, TYPE-2)."""
    for field in ("metadata", "response"):
        for text in ("{}:*", "{}.x = 1", "{}.@type:*", "{}:x", "{}.@type = ''"):
            assert not matches(text.format(field), record, ANY)
            assert matches("NOT " + text.format(field), record, ANY)


def test_corrupt_payload() -> None:
    """A payload that does not decode has its type, and no fields (FILT-2)."""
    for data in (b"\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"):
        record = succeeded(raw(U + "example.library.v1.Shelf", data))
        assert matches("response:* AND response.@type = example.library.v1.Shelf", record, ANY)
        assert not matches("response.theme = x", record, ANY)
        assert matches("response.theme != x AND -response.theme:*", record, ANY)
    # proto2 does not insist on UTF-8, and hands out bytes
    animal = message_class(GENERATED, "longrunning_unit_zoo.Animal")
    record = succeeded(raw(U + "longrunning_unit_zoo.Animal", b"\x0a\x02\xff\xfe"))
    types = schema((animal,), (), GENERATED)
    for text in ("= x", "> x", "< x", "= *x*", "= *"):
        assert not matches(f"response.name {text}", record, types)
    # of several, the others count
    several = schema((descriptor_pb2.FileDescriptorProto,), ())
    data = b"\x1a\x02\xff\xfe\x1a\x02ab"
    record = succeeded(raw(U + "google.protobuf.FileDescriptorProto", data))
    assert matches("response.dependency:a*", record, several) is _decodes(data)
    assert not matches("response.dependency:b*", record, several)
    strict = message_class(GENERATED, "longrunning_unit_zoo.Strict")
    record = succeeded(raw(U + "longrunning_unit_zoo.Strict"))
    assert not matches("response.must = x", record, schema((strict,), (), GENERATED))


def _decodes(data: bytes) -> bool:
    """Whether the runtime takes strings that are not UTF-8; pure Python does not, even in proto2."""
    try:
        descriptor_pb2.FileDescriptorProto.FromString(data)
    except Exception:  # noqa: BLE001 (DecodeError or UnicodeDecodeError)
        return False
    return True


def test_registry_conflict() -> None:
    """A type about which the registry contradicts itself is not known (FILT-2)."""
    from google.protobuf import descriptor_pool

    from tests.unit.builders import add_message, file_set, proto_file

    pools: list[TypeRegistry] = []
    for kind in ("string", "int64"):
        file = proto_file("conflict.proto", "conflict")
        add_message(file, "Thing", x=kind)
        pool = descriptor_pool.DescriptorPool()
        for one in descriptor_pb2.FileDescriptorSet.FromString(file_set(file)).file:
            pool.AddSerializedFile(one.SerializeToString())
        pools.append(TypeRegistry.from_pool(pool))
    types = schema((), (), pools[0] | pools[1])
    record = running(raw(U + "conflict.Thing", b"\x0a\x011"))
    assert not matches("metadata.x = 1", record, types)
    assert matches("metadata.@type = conflict.Thing", record, types)


def test_error_is_no_response() -> None:
    """The error of a failed operation is never taken for a response (FILT-2)."""
    record = failed(5, "gone")
    assert not matches("response:*", record, ANY)
    assert not matches("response.message = gone", record, schema((status_pb2.Status,), ()))
    strange = Record(done=True, code=5, result=packed(library_pb2.Shelf(name="x")))
    assert not matches("response:* OR response.name = x", strange, ANY)


def test_schema_of_methods() -> None:
    """A schema is made from the methods of a server, with all the types each may have (FILT-2)."""
    method = CREATE.or_types(response=library_pb2.Shelf, metadata=library_pb2.OperationMetadata)
    types = Schema.of_methods([method, CREATE], REGISTRY)
    assert {kind.cls for kind in types.responses} == {Instance, library_pb2.Shelf}
    assert matches("response.port = 6379", INSTANCE, types)
    assert matches("metadata.verb = create", CREATING, types)
    assert matches("metadata.statusDetail = x", running(Metadata(status_detail="x")), types)
    with pytest.raises(FilterError, match="none of the 2 types of response has a field 'percent'"):
        parse("response.percent = 1", types)
    empty = Schema.of_methods([], REGISTRY)
    assert not parse("response.anything = 1", empty).matches(INSTANCE)
