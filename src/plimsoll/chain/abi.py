"""ABI codecs prepared once per function, error and event, so that a call costs microseconds.

Values: integers are `int`, `bytesN` and `bytes` are `bytes` (hex text with 0x is accepted going in), addresses are
checksummed text (anything with an `.address` is accepted going in), structs are named tuples (a mapping, a dataclass
or a sequence is accepted going in), arrays are lists.
Encoding is eth_abi's; decoding is done here because named tuples and checksums need a walk over the types anyway.
"""

from __future__ import annotations

import dataclasses
import keyword
import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from eth_abi.exceptions import EncodingError, ParseError
from eth_abi.registry import registry
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from plimsoll.chain.errors import AbiError

__all__ = ["Abi", "AbiEntry", "Codec", "ErrorAbi", "EventAbi", "FunctionAbi", "address_of", "checksum", "tuple_codec"]

TYPE_PATTERN = re.compile(r"(uint|int|bytes|bool|address|string)(\d*)$")

Abi = Sequence[Mapping[str, Any]]


@lru_cache(maxsize=65536)
def checksum(address: str) -> str:
    """The checksummed form of a hex address in any case."""
    return str(to_checksum_address(address))


def address_of(value: object) -> str:
    """The address meant by text, 20 bytes, or an object with `.address` (a contract, a sender)."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes):
        text = "0x" + value.hex()
    else:
        text = getattr(value, "address", None) or ""
    if not isinstance(text, str) or not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise AbiError(f"{value!r} is not an address; give 0x and 40 hex digits, or an object with .address")
    return checksum(text)


@dataclass(frozen=True, slots=True)
class Codec:
    """One ABI type. `size` is the number of bytes in the head (32 for dynamic types, whose head is an offset)."""

    canonical: str
    size: int
    dynamic: bool
    prepare: Callable[[Any], Any]
    decode: Callable[[bytes, int], Any]


def make_codec(param: Mapping[str, Any]) -> Codec:
    """The codec of one ABI parameter (`type`, and `components` for structs)."""
    kind: str = param["type"]
    if kind.endswith("]"):
        base, _, length = kind[:-1].rpartition("[")
        return _array_codec(make_codec({**param, "type": base}), int(length) if length else None)
    if kind == "tuple":
        components = param["components"]
        return tuple_codec(components, _struct_name(param))
    match = TYPE_PATTERN.match(kind)
    if match is None:
        raise AbiError(f"ABI type {kind!r} is not supported")
    stem, width = match.groups()
    return _leaf_codec(kind, stem, int(width) if width else 0)


def tuple_codec(components: Sequence[Mapping[str, Any]], name: str) -> Codec:
    """The codec of a struct or of an argument list; decodes to a named tuple if any component has a name."""
    parts = [make_codec(component) for component in components]
    names = [str(component.get("name") or "") for component in components]
    record = _record_type(name, names) if any(names) else tuple
    canonical = "(" + ",".join(part.canonical for part in parts) + ")"
    dynamic = any(part.dynamic for part in parts)
    steps = []
    offset = 0
    for part in parts:
        steps.append((offset, part.dynamic, part.decode))
        offset += part.size
    prepares = [part.prepare for part in parts]

    def prepare(value: Any) -> tuple[Any, ...]:
        items = _fields_in_order(value, names, name)
        if len(items) != len(prepares):
            raise AbiError(f"{name or 'tuple'} takes {len(prepares)} values {canonical}, {len(items)} given")
        return tuple(function(item) for function, item in zip(prepares, items, strict=True))

    def decode(data: bytes, base: int) -> Any:
        values = [
            function(data, base + _offset(data, base + at)) if is_dynamic else function(data, base + at)
            for at, is_dynamic, function in steps
        ]
        return record(values) if record is tuple else record(*values)

    return Codec(canonical, 32 if dynamic else offset, dynamic, prepare, decode)


def _array_codec(item: Codec, length: int | None) -> Codec:
    canonical = f"{item.canonical}[{'' if length is None else length}]"
    dynamic = length is None or item.dynamic
    step = item.size
    decode_item = item.decode

    def prepare(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
            raise AbiError(f"{value!r} is not a list for {canonical}")
        items = [item.prepare(element) for element in value]
        if length is not None and len(items) != length:
            raise AbiError(f"{canonical} takes {length} elements, {len(items)} given")
        return items

    def decode(data: bytes, base: int) -> list[Any]:
        count = length
        if count is None:
            count = _offset(data, base)
            base += 32
        if base + count * step > len(data):
            raise AbiError(f"{count} elements of {item.canonical} do not fit into {len(data)} bytes")
        if item.dynamic:
            return [decode_item(data, base + _offset(data, base + 32 * i)) for i in range(count)]
        return [decode_item(data, base + step * i) for i in range(count)]

    return Codec(canonical, 32 if dynamic else step * (length or 0), dynamic, prepare, decode)


def _leaf_codec(kind: str, stem: str, width: int) -> Codec:
    if stem in ("uint", "int"):
        return _integer_codec(stem, width or 256)
    if stem == "bool":
        return Codec(kind, 32, False, lambda value: value, _decode_bool)
    if stem == "address":
        return Codec(kind, 32, False, address_of, _decode_address)
    if stem == "string":
        return Codec(kind, 32, True, lambda value: value, lambda data, at: _decode_bytes(data, at).decode("utf-8"))
    if stem == "bytes" and not width:
        return Codec(kind, 32, True, lambda value: _to_bytes(value, kind), _decode_bytes)

    def prepare(value: Any) -> bytes:
        raw = _to_bytes(value, kind)
        if len(raw) != width:
            raise AbiError(f"{kind} takes exactly {width} bytes, {len(raw)} given")
        return raw

    def decode(data: bytes, at: int) -> bytes:
        word = _word(data, at)
        if any(word[width:]):
            raise AbiError(f"word 0x{word.hex()} is not a {kind}")
        return word[:width]

    return Codec(kind, 32, False, prepare, decode)


def _integer_codec(stem: str, bits: int) -> Codec:
    signed = stem == "int"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def decode(data: bytes, at: int) -> int:
        word = data[at : at + 32]
        value = int.from_bytes(word, "big", signed=signed)
        if len(word) != 32 or not low <= value <= high:
            raise AbiError(f"bytes 0x{word.hex()} are not a {stem}{bits}")
        return value

    return Codec(f"{stem}{bits}", 32, False, lambda value: value, decode)


def _word(data: bytes, at: int) -> bytes:
    word = data[at : at + 32]
    if len(word) != 32:
        raise AbiError(f"the returned {len(data)} bytes are too short for the ABI; is it the right contract?")
    return word


def _offset(data: bytes, at: int) -> int:
    value = int.from_bytes(_word(data, at), "big")
    if value > len(data):
        raise AbiError(f"offset or length {value} exceeds the {len(data)} bytes returned; is it the right contract?")
    return value


def _decode_bool(data: bytes, at: int) -> bool:
    value = int.from_bytes(_word(data, at), "big")
    if value > 1:
        raise AbiError(f"word {value:#x} is not a bool")
    return value == 1


def _decode_address(data: bytes, at: int) -> str:
    word = _word(data, at)
    if any(word[:12]):
        raise AbiError(f"word 0x{word.hex()} is not an address")
    return checksum("0x" + word[12:].hex())


def _decode_bytes(data: bytes, at: int) -> bytes:
    length = _offset(data, at)
    raw = data[at + 32 : at + 32 + length]
    if len(raw) != length:
        raise AbiError(f"{length} bytes announced, {len(raw)} returned")
    return raw


def _to_bytes(value: Any, kind: str) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise AbiError(f"{value!r} is not {kind}; give bytes or hex text starting with 0x")


def _fields_in_order(value: Any, names: list[str], struct: str) -> Sequence[Any]:
    if isinstance(value, Mapping):
        missing = [name for name in names if name not in value]
        unknown = [str(key) for key in value if key not in names]
        if missing or unknown:
            raise AbiError(f"fields of {struct or 'tuple'}: missing {missing}, unknown {unknown}; it has {names}")
        return [value[name] for name in names]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields_in_order({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, names, struct)
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise AbiError(f"{value!r} is not a {struct or 'tuple'}; give a mapping or a sequence of {names}")
    return value


def _struct_name(param: Mapping[str, Any]) -> str:
    internal = str(param.get("internalType") or "")
    match = re.match(r"struct (?:\w+\.)*(\w+)", internal)
    return match.group(1) if match else str(param.get("name") or "Struct")


def _record_type(name: str, names: list[str]) -> Any:
    """A named tuple type; names that Python forbids get an underscore at the end, unnamed fields are `_0`, `_1`, …"""
    fields = [part.lstrip("_") for part in names]
    fields = [part + "_" if keyword.iskeyword(part) else part for part in fields]
    title = "".join(ch for ch in name if ch.isalnum()) or "Result"
    return namedtuple(title if title[0].isalpha() else "Result", fields, rename=True)


@dataclass(frozen=True, slots=True)
class AbiEntry:
    """What functions, errors and events share."""

    name: str
    signature: str
    selector: bytes
    inputs: Codec
    input_names: tuple[str, ...]

    def arguments(self, data: bytes) -> dict[str, Any]:
        """Decodes an argument list (without selector) into name → value."""
        return dict(zip(self.input_names, self.inputs.decode(data, 0), strict=True))


class ErrorAbi(AbiEntry):
    """A custom error; `selector` is its first four bytes."""

    __slots__ = ()

    @staticmethod
    def of(item: Mapping[str, Any]) -> ErrorAbi:
        """From an ABI item of type `error`."""
        codec, signature, names = _inputs(item)
        return ErrorAbi(item["name"], signature, keccak(text=signature)[:4], codec, names)


@dataclass(frozen=True, slots=True)
class EventAbi(AbiEntry):
    """An event; `selector` is topic 0. Indexed strings, bytes, arrays and structs come back as their 32-byte hash."""

    indexed: tuple[bool, ...]
    topics: tuple[Codec, ...]
    body: Codec

    @staticmethod
    def of(item: Mapping[str, Any]) -> EventAbi:
        """From an ABI item of type `event`."""
        codec, signature, names = _inputs(item)
        indexed = tuple(bool(param["indexed"]) for param in item["inputs"])
        hashed = make_codec({"type": "bytes32"})
        topics = []
        for param, is_topic in zip(item["inputs"], indexed, strict=True):
            if is_topic:
                topic = make_codec(param)
                reference = topic.dynamic or param["type"].endswith("]") or param["type"].startswith("tuple")
                topics.append(hashed if reference else topic)
        body = tuple_codec([{**p, "name": ""} for p, i in zip(item["inputs"], indexed, strict=True) if not i], "Body")
        return EventAbi(item["name"], signature, keccak(text=signature), codec, names, indexed, tuple(topics), body)

    def decode(self, topics: Sequence[str], data: bytes) -> dict[str, Any]:
        """Arguments of one log in declaration order."""
        heads = iter([c.decode(bytes.fromhex(t[2:]), 0) for c, t in zip(self.topics, topics[1:], strict=True)])
        rest = iter(self.body.decode(data, 0))
        flags = zip(self.input_names, self.indexed, strict=True)
        return {name: next(heads) if is_topic else next(rest) for name, is_topic in flags}


@dataclass(frozen=True, slots=True)
class FunctionAbi(AbiEntry):
    """A function (or the constructor, with an empty selector)."""

    encoder: Callable[[Any], bytes]
    outputs: Codec
    output_count: int
    payable: bool
    prefix: str

    @staticmethod
    def of(item: Mapping[str, Any]) -> FunctionAbi:
        """From an ABI item of type `function` or `constructor`."""
        codec, signature, names = _inputs(item)
        name = item.get("name", "constructor")
        selector = b"" if item["type"] == "constructor" else keccak(text=signature)[:4]
        outputs = item.get("outputs", [])
        return FunctionAbi(
            name,
            signature,
            selector,
            codec,
            names,
            cast("Callable[[Any], bytes]", registry.get_encoder(codec.canonical)) if names else lambda _: b"",
            tuple_codec(outputs, f"{name}Result"),
            len(outputs),
            item.get("stateMutability") == "payable",
            "0x" + selector.hex(),
        )

    def encode(self, args: Sequence[Any]) -> str:
        """Call data as hex text with 0x (constructor: arguments only)."""
        try:
            return self.prefix + self.encoder(self.inputs.prepare(args)).hex()
        except (AbiError, EncodingError, ParseError) as error:
            raise AbiError(f"{self.signature}: {error}") from None

    def decode(self, data: bytes) -> Any:
        """Nothing: None; one value: the value; several: a named tuple (a plain tuple if none has a name)."""
        if self.output_count == 0:
            return None
        values = self.outputs.decode(data, 0)
        return values[0] if self.output_count == 1 else values


def _inputs(item: Mapping[str, Any]) -> tuple[Codec, str, tuple[str, ...]]:
    params = item.get("inputs", [])
    codec = tuple_codec([{**param, "name": ""} for param in params], "")
    names = tuple(str(param.get("name") or f"arg{i}") for i, param in enumerate(params))
    return codec, item.get("name", "constructor") + codec.canonical, names
