"""The codecs agree with eth_abi in both directions and refuse what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from eth_abi.abi import decode as eth_abi_decode
from eth_abi.abi import encode as eth_abi_encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.probe import probe

from plimsoll.chain.abi import Codec, ErrorAbi, EventAbi, FunctionAbi, make_codec, tuple_codec
from plimsoll.chain.errors import AbiError

ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
LEAVES = [
    "uint256",
    "uint8",
    "uint120",
    "int256",
    "int104",
    "int8",
    "bool",
    "address",
    "bytes32",
    "bytes4",
    "bytes",
    "string",
]


def parameters() -> st.SearchStrategy[dict[str, Any]]:
    """ABI parameters: leaves, arrays and structs, nested."""

    def grow(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        arrays = st.builds(lambda p, n: {**p, "type": p["type"] + n}, children, st.sampled_from(["[]", "[1]", "[3]"]))
        structs = st.lists(children, min_size=1, max_size=4).map(
            lambda parts: {
                "type": "tuple",
                "internalType": "struct Some.Thing",
                "components": [{**part, "name": f"f{i}"} for i, part in enumerate(parts)],
            }
        )
        return arrays | structs

    return st.recursive(st.sampled_from(LEAVES).map(lambda kind: {"type": kind}), grow, max_leaves=6)


def values(parameter: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a parameter, boundaries included."""
    kind: str = parameter["type"]
    if kind.endswith("]"):
        base, _, length = kind[:-1].rpartition("[")
        low, high = (int(length), int(length)) if length else (0, 3)
        return st.lists(values({**parameter, "type": base}), min_size=low, max_size=high)
    if kind == "tuple":
        return st.tuples(*[values(part) for part in parameter["components"]])
    if kind.startswith("uint"):
        top = (1 << int(kind[4:])) - 1
        return st.integers(0, top) | st.sampled_from([0, top])
    if kind.startswith("int"):
        half = 1 << (int(kind[3:]) - 1)
        return st.integers(-half, half - 1) | st.sampled_from([-half, -1, half - 1])
    if kind == "bool":
        return st.booleans()
    if kind == "address":
        return st.sampled_from([ADDRESS, "0x" + "00" * 20])
    if kind == "string":
        return st.text(max_size=40)
    size = int(kind[5:]) if kind != "bytes" else None
    return st.binary(min_size=size or 0, max_size=size or 70)


def plain(value: Any) -> Any:
    """Named tuples and lists as nested tuples, addresses in lower case: the form in which eth_abi answers compare."""
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    return value.lower() if value == ADDRESS else value


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_codecs_agree_with_eth_abi(data: st.DataObject) -> None:
    params = data.draw(st.lists(parameters(), min_size=1, max_size=4))
    args = [data.draw(values(param)) for param in params]
    codec = tuple_codec(params, "")
    kinds = [make_codec(param).canonical for param in params]
    expected = eth_abi_encode(kinds, args)
    function = FunctionAbi.of({"type": "constructor", "inputs": params})
    assert function.encode(args) == "0x" + expected.hex()
    assert plain(codec.decode(expected, 0)) == plain(args)
    assert plain(eth_abi_decode(kinds, expected)) == plain(args)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_shortened_data_never_decodes(data: st.DataObject) -> None:
    param = data.draw(parameters())
    codec = tuple_codec([param], "")
    kind = make_codec(param).canonical
    encoded = eth_abi_encode([kind], [data.draw(values(param))])
    with pytest.raises(AbiError):
        codec.decode(encoded[: len(encoded) // 2 - 1 if len(encoded) > 32 else 31], 0)


def leaf(kind: str) -> Codec:
    return make_codec({"type": kind})


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("uint8", (256).to_bytes(32, "big")),
        ("int8", (128).to_bytes(32, "big")),
        ("bool", (2).to_bytes(32, "big")),
        ("address", b"\x01" * 32),
        ("bytes4", b"\x01" * 32),
    ],
)
def test_words_out_of_range_do_not_decode(kind: str, word: bytes) -> None:
    with pytest.raises(AbiError, match="not a"):
        leaf(kind).decode(word, 0)


def test_huge_announced_lengths_do_not_decode() -> None:
    codec = tuple_codec([{"type": "uint256[]"}], "")
    with pytest.raises(AbiError):
        codec.decode((32).to_bytes(32, "big") + (2**255).to_bytes(32, "big"), 0)


@dataclass(frozen=True, slots=True)
class Leg:
    id: int
    size: int
    owner: str


def test_structs_go_in_as_mapping_dataclass_or_sequence() -> None:
    echo = FunctionAbi.of(next(item for item in probe().abi if item.get("name") == "echo"))
    shapes: list[Any] = [
        {
            "account": "0x" + "ab" * 32,
            "leg": {"id": 1, "size": -2, "owner": ADDRESS.lower()},
            "times": [3],
            "note": "n",
        },
        (b"\xab" * 32, Leg(1, -2, ADDRESS), (3,), "n"),
        [b"\xab" * 32, (1, -2, ADDRESS), [3], "n"],
    ]
    encoded = {echo.encode([shape]) for shape in shapes}
    assert len(encoded) == 1
    order = echo.decode(bytes.fromhex(encoded.pop()[10:]))
    assert (order.account, order.leg.size, order.leg.owner, order.times) == (b"\xab" * 32, -2, ADDRESS, [3])


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("uint256", -1, "uint256"),
        ("uint256", 1.0, "float"),
        ("uint8", 256, "8 bits"),
        ("bytes32", b"short", "exactly 32 bytes, 5 given"),
        ("bytes32", "0xzz", "hex text"),
        ("address", "0x12", "not an address"),
        ("uint256[2]", [1], "2 elements, 1 given"),
        ("uint256[]", 5, "not a list"),
        ("bool", 1, "bool"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kind: str, value: Any, message: str) -> None:
    function = FunctionAbi.of({"type": "function", "name": "set", "inputs": [{"type": kind, "name": "x"}]})
    with pytest.raises(AbiError, match=message) as caught:
        function.encode([value])
    assert str(caught.value).startswith(f"set({kind}): ")


def test_wrong_counts_and_fields_are_refused() -> None:
    leg = {"type": "tuple", "components": [{"type": "uint256", "name": "id"}, {"type": "bool", "name": "up"}]}
    function = FunctionAbi.of({"type": "function", "name": "set", "inputs": [leg]})
    with pytest.raises(AbiError, match=r"missing \['up'\], unknown \['down'\]"):
        function.encode([{"id": 1, "down": True}])
    with pytest.raises(AbiError, match="2 values"):
        function.encode([(1,)])
    with pytest.raises(AbiError, match="1 values"):
        function.encode([])


def test_signatures_and_selectors() -> None:
    items = {item.get("name"): item for item in probe().abi}
    assert FunctionAbi.of(items["echo"]).signature == "echo((bytes32,(uint256,int256,address),uint64[],string))"
    transfer = {"type": "function", "name": "transfer", "inputs": [{"type": "address"}, {"type": "uint256"}]}
    assert FunctionAbi.of(transfer).prefix == "0xa9059cbb"
    assert ErrorAbi.of({"type": "error", "name": "Error", "inputs": [{"type": "string"}]}).selector.hex() == "08c379a0"
    event = {
        "type": "event",
        "name": "Transfer",
        "inputs": [{"type": k, "indexed": i} for k, i in (("address", True), ("address", True), ("uint256", False))],
    }
    topic = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert EventAbi.of(event).selector.hex() == topic


def test_names_that_python_forbids_stay_reachable() -> None:
    outputs = [{"type": "uint8", "name": "from"}, {"type": "uint8", "name": "_to"}, {"type": "uint8", "name": ""}]
    function = FunctionAbi.of({"type": "function", "name": "pair", "inputs": [], "outputs": outputs})
    result = function.decode(b"".join(i.to_bytes(32, "big") for i in (1, 2, 3)))
    assert (result.from_, result.to, result[2]) == (1, 2, 3)
