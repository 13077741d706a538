"""Headers, the exact next base fee, and blooms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.chain.anvil import Anvil
from plimsoll.keeper.node.errors import BadAnswerError
from plimsoll.keeper.node.headers import Header, bloom_has, bloom_of, next_base_fee

HEADER = Header(7, "0x" + "ab" * 32, "0x" + "cd" * 32, 1_750_000_000, 10**9, 15_000_000, 30_000_000, bytes(256))


def test_a_header_is_read_from_the_answer_of_a_node() -> None:
    raw = {
        "number": "0x7",
        "hash": "0x" + "AB" * 32,
        "parentHash": "0x" + "cd" * 32,
        "timestamp": hex(1_750_000_000),
        "baseFeePerGas": hex(10**9),
        "gasUsed": hex(15_000_000),
        "gasLimit": hex(30_000_000),
        "logsBloom": "0x" + "00" * 256,
    }
    assert Header.of(raw) == HEADER
    assert Header.of({**raw, "baseFeePerGas": None}).base_fee == 0
    wrong = ({"hash": None}, {"hash": "0x12"}, {"logsBloom": "0x00"}, {"number": "seven"}, {"timestamp": 5})
    for part in wrong:
        with pytest.raises(BadAnswerError):
            Header.of({**raw, **part})
    with pytest.raises(BadAnswerError):
        Header.of({})


@pytest.mark.parametrize(
    ("used", "base", "after"),
    [
        (15_000_000, 10**9, 10**9),
        (30_000_000, 10**9, 1_125_000_000),
        (0, 10**9, 875_000_000),
        (15_000_001, 7, 8),
        (14_999_999, 7, 7),
        (30_000_000, 0, 1),
        (0, 7, 7),
        (0, 8, 7),
    ],
)
def test_the_next_base_fee_at_its_edges(used: int, base: int, after: int) -> None:
    assert next_base_fee(replace(HEADER, gas_used=used, base_fee=base)) == after


@given(st.integers(0, 10**14), st.integers(0, 60_000_000), st.integers(2, 60_000_000))
def test_the_base_fee_never_moves_by_more_than_an_eighth(base: int, used: int, limit: int) -> None:
    after = next_base_fee(replace(HEADER, base_fee=base, gas_used=min(used, limit // 2 * 2), gas_limit=limit))
    assert base - base // 8 - 1 <= after <= base + max(base // 8, 1)


def test_the_next_base_fee_is_the_one_of_a_real_chain() -> None:
    with Anvil(base_fee=10**9, gas_limit=300_000) as anvil:
        sender = anvil.sender(0)
        anvil.set_automine(False)
        for count in (0, 1, 5, 9, 14, 3, 0, 0, 8, 7, 14):
            for _ in range(count):
                sender.submit(anvil.accounts[1], value=1, gas=21_000)
            anvil.mine()
        raw = [anvil.rpc.request("eth_getBlockByNumber", [hex(n), False]) for n in range(1, 12)]
        headers = [Header.of(block) for block in raw]
        assert max(h.gas_used for h in headers) > 150_000
        assert [next_base_fee(h) for h in headers[:-1]] == [h.base_fee for h in headers[1:]]


def test_a_bloom_knows_what_was_put_into_it() -> None:
    items = [bytes([n]) * 20 for n in range(20)]
    bloom = bloom_of(items[:10])
    assert all(bloom_has(bloom, item) for item in items[:10])
    assert not any(bloom_has(bloom, item) for item in items[10:])
    # of the Ethereum tests: the bits of an address
    assert bloom_of([bytes.fromhex("095e7baea6a6c7c4c2dfeb977efac326af552d87")]).bit_count() == 3
