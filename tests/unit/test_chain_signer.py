"""Unlocked accounts and local keys send alike; keys are never shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from eth_account import Account
from tests.support.probe import probe

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.contract import deploy
from plimsoll.chain.errors import ContractRevert, NodeUnavailable, RpcError, SignerError
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import DEV_GAS, KeySender, Sender, UnlockedSender

KEY = "0x" + "5a" * 32
TARGET = "0x" + "11" * 20


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil() as running:
        yield running


@pytest.fixture
def anvil(chain: Anvil) -> Iterator[Anvil]:
    with chain.snapshot():
        chain.set_balance(Account.from_key(KEY).address, 10**20)
        yield chain


def transaction(rpc: Rpc, tx_hash: str) -> dict[str, Any]:
    found: dict[str, Any] = rpc.request("eth_getTransactionByHash", [tx_hash])
    return found


class Recording(Rpc):
    """Passes requests on, remembers their methods, and lets a test answer instead of the node."""

    def __init__(self, rpc: Rpc) -> None:
        super().__init__(rpc.transport)
        self.methods: list[str] = []
        self.faults: dict[str, list[Exception | None]] = {}
        self.after = False

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        self.methods.append(method)
        queue = self.faults.get(method)
        fault = queue.pop(0) if queue else None
        if fault is not None and not self.after:
            raise fault
        answer = super().request(method, params)
        if fault is not None:
            raise fault
        return answer


def senders(anvil: Anvil) -> list[Sender]:
    return [UnlockedSender(anvil.rpc, anvil.accounts[0]), KeySender(anvil.rpc, KEY)]


@pytest.mark.parametrize("index", [0, 1])
def test_both_kinds_deploy_transact_and_fail_alike(anvil: Anvil, index: int) -> None:
    sender = senders(anvil)[index]
    contract = deploy(probe(), 5, 1, sender=sender)
    receipt = contract.transact("store", 7, -1, "note", value=3)
    assert receipt.sender == sender.address
    assert receipt.event("Stored")["who"] == sender.address
    assert anvil.rpc.request("eth_getBalance", [contract.address, "latest"]) == "0x3"
    with pytest.raises(ContractRevert, match=r"TooSmall\(given=0, least=1\)"):
        contract.transact("store", 0, 1, "")
    tx_hash = sender.submit(TARGET, value=1)
    assert transaction(anvil.rpc, tx_hash)["value"] == "0x1"


def test_unlocked_accounts_use_a_fixed_gas_limit_unless_told(anvil: Anvil) -> None:
    def gas_of(sender: UnlockedSender, gas: int | None = None) -> int:
        return int(transaction(anvil.rpc, sender.submit(TARGET, gas=gas))["gas"], 16)

    assert gas_of(anvil.sender()) == DEV_GAS
    assert gas_of(anvil.sender(), 70_000) == 70_000
    assert gas_of(anvil.sender(default_gas=50_000)) == 50_000
    assert gas_of(anvil.sender(default_gas=None)) == 21_000 * 125 // 100


def test_a_transaction_that_the_node_lost_is_sent_again(anvil: Anvil) -> None:
    class Losing(Recording):
        """Forgets the first transaction instead of handing it over."""

        def request(self, method: str, params: Sequence[Any] = ()) -> Any:
            if method == "eth_sendTransaction" and method not in self.methods:
                self.methods.append(method)
                return "0x" + "ee" * 32
            return super().request(method, params)

    rpc = Losing(anvil.rpc)
    receipt = UnlockedSender(rpc, anvil.accounts[1]).send(TARGET, value=4)
    assert receipt.succeeded
    assert rpc.methods.count("eth_sendTransaction") == 2
    assert anvil.rpc.request("eth_getBalance", [TARGET, "latest"]) == "0x4"


def test_a_key_counts_its_nonces_and_asks_once(anvil: Anvil) -> None:
    rpc = Recording(anvil.rpc)
    sender = KeySender(rpc, KEY)
    hashes = [sender.submit(TARGET, value=i) for i in range(3)]
    assert [int(transaction(anvil.rpc, h)["nonce"], 16) for h in hashes] == [0, 1, 2]
    assert rpc.methods.count("eth_getTransactionCount") == 1
    assert rpc.methods.count("eth_chainId") == 1


def test_a_key_sends_fee_fields_of_eip_1559(anvil: Anvil) -> None:
    base_fee = 40 * 10**9
    anvil.set_base_fee(base_fee)
    anvil.mine()
    sent = transaction(anvil.rpc, KeySender(anvil.rpc, KEY, tip=7).submit(TARGET, gas=30_000))
    fields = {key: int(sent[key], 16) for key in ("type", "chainId", "gas", "maxFeePerGas", "maxPriorityFeePerGas")}
    assert fields == {
        "type": 2,
        "chainId": 31337,
        "gas": 30_000,
        "maxFeePerGas": 2 * base_fee + 7,
        "maxPriorityFeePerGas": 7,
    }
    with pytest.raises(SignerError, match="below the base fee"):
        KeySender(anvil.rpc, KEY, max_fee=1).submit(TARGET)


def test_a_used_nonce_is_fetched_again(anvil: Anvil) -> None:
    first, second = KeySender(anvil.rpc, KEY), KeySender(anvil.rpc, KEY)
    first.submit(TARGET)
    second.submit(TARGET, value=1)
    assert int(transaction(anvil.rpc, first.submit(TARGET))["nonce"], 16) == 2


def test_a_transaction_accepted_before_the_connection_broke_is_not_sent_twice(anvil: Anvil) -> None:
    rpc = Recording(anvil.rpc)
    sender = KeySender(rpc, KEY)
    rpc.after = True
    rpc.faults["eth_sendRawTransaction"] = [RpcError(-32000, "already known")]
    tx_hash = sender.submit(TARGET, value=9)
    assert transaction(anvil.rpc, tx_hash)["value"] == "0x9"
    assert int(transaction(anvil.rpc, sender.submit(TARGET))["nonce"], 16) == 1
    assert rpc.request("eth_getBalance", [TARGET, "latest"]) == "0x9"


def test_after_a_broken_connection_the_nonce_is_asked_again(anvil: Anvil) -> None:
    rpc = Recording(anvil.rpc)
    sender = KeySender(rpc, KEY)
    rpc.faults["eth_sendRawTransaction"] = [NodeUnavailable("there", "gone", "start it", sent=True)]
    with pytest.raises(NodeUnavailable):
        sender.submit(TARGET)
    assert int(transaction(anvil.rpc, sender.submit(TARGET))["nonce"], 16) == 0
    assert rpc.methods.count("eth_getTransactionCount") == 2


def test_other_refusals_are_raised_and_do_not_burn_a_nonce(anvil: Anvil) -> None:
    sender = KeySender(anvil.rpc, KEY)
    with pytest.raises(RpcError, match="Insufficient funds"):
        sender.submit(TARGET, value=10**21, gas=21_000)
    assert int(transaction(anvil.rpc, sender.submit(TARGET))["nonce"], 16) == 0


@pytest.mark.parametrize("key", [KEY, KEY[2:], bytes.fromhex(KEY[2:]), Account.from_key(KEY)])
def test_keys_come_in_every_usual_form_and_are_not_shown(anvil: Anvil, key: Any) -> None:
    sender = KeySender(anvil.rpc, key)
    assert sender.address == Account.from_key(KEY).address
    assert "5a5a" not in f"{sender!r} {sender}".lower()


@pytest.mark.parametrize("key", ["0x5a5a5a", "5a" * 33, "zz" * 32, b"\x5a" * 31, "0x" + "00" * 32])
def test_a_bad_key_is_refused_without_showing_it(anvil: Anvil, key: str | bytes) -> None:
    with pytest.raises(SignerError, match="not 32 bytes") as caught:
        KeySender(anvil.rpc, key)
    assert "5a5a" not in str(caught.value)
    assert caught.value.__suppress_context__
