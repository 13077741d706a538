"""Calls, transactions, reverts, events and deployment against a real node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_utils.crypto import keccak
from tests.support.probe import ProbeArtifact, probe

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.contract import Contract, batch_call, deploy, explain_failure
from plimsoll.chain.errors import (
    AbiError,
    BareRevert,
    ContractRevert,
    EvmHalt,
    NotAContract,
    Panic,
    Revert,
    RpcError,
    SignerError,
    StringRevert,
    TransactionNotMined,
    UnknownRevert,
)
from plimsoll.chain.receipt import ErrorRegistry, EventRegistry, Receipt
from plimsoll.chain.signer import UnlockedSender

START = 1_700_000_000
ACCOUNT = b"\xab" * 32


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with Anvil(timestamp=START, block_interval=1) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(anvil: Anvil) -> Contract:
    return deploy(probe(), 100, 1, sender=anvil.sender(), errors=ErrorRegistry(probe("Inner").abi))


@pytest.fixture
def contract(anvil: Anvil, deployed: Contract) -> Iterator[Contract]:
    with anvil.snapshot():
        yield deployed


def test_deploy_returns_the_contract_and_its_receipt(anvil: Anvil, contract: Contract) -> None:
    assert contract.call("value") == 100
    assert contract.receipt is not None
    assert contract.receipt.contract_address == contract.address
    assert anvil.accounts[0] == contract.receipt.sender


def test_a_refusing_constructor_is_decoded(anvil: Anvil) -> None:
    with anvil.snapshot(), pytest.raises(ContractRevert, match=r"^TooSmall\(given=1, least=2\)$"):
        deploy(probe(), 1, 2, sender=anvil.sender())


@pytest.mark.parametrize(("code", "message"), [(b"", "interface or abstract"), ("0x60__$ab$__", "libraries")])
def test_code_that_cannot_be_deployed_is_refused(anvil: Anvil, code: Any, message: str) -> None:
    with pytest.raises(AbiError, match=message):
        deploy(ProbeArtifact("Thing", [], code), sender=anvil.sender())


CASES: list[tuple[str, tuple[Any, ...], type[Revert], str]] = [
    ("store", (0, 1, ""), ContractRevert, "TooSmall(given=0, least=1)"),
    ("nothing", (), ContractRevert, "Nothing()"),
    ("bubble", (-5, 7), ContractRevert, "InsufficientMargin(equity=-5, required=7)"),
    ("text", (), StringRevert, 'Error("plain text")'),
    ("bare", (), BareRevert, "reverted without data"),
    ("divide", (1, 0), Panic, "Panic(0x12): division or modulo by zero"),
    ("pick", ([1], 1), Panic, "Panic(0x32): array index out of bounds"),
    ("burn", (), EvmHalt, "execution halted"),
    ("spin", (), EvmHalt, "execution halted"),
    ("raw", (b"\x01\x02\x03\x04\x05",), UnknownRevert, "unknown error 0x01020304 (data 0x0102030405)"),
    ("raw", (b"\x01\x02",), UnknownRevert, "unknown error 0x0102 (data 0x0102)"),
    ("raw", (keccak(text="TooSmall(uint256,uint256)")[:4],), UnknownRevert, "unknown error"),
    ("onlyAt", (5,), ContractRevert, "TooSmall(given=17000"),
]


# An estimate of endless work ends as the node pleases.
@pytest.mark.parametrize(
    ("way", "fn", "args", "kind", "text"),
    [
        (way, *case)
        for way in ("call", "transact", "estimate")
        for case in CASES
        if (way, case[0]) != ("estimate", "spin")
    ],
)
def test_reverts_are_decoded_alike_in_every_way(
    anvil: Anvil, contract: Contract, way: str, fn: str, args: tuple[Any, ...], kind: type[Revert], text: str
) -> None:
    sender = anvil.sender(default_gas=None if way == "estimate" else 1_000_000)
    with pytest.raises(Revert) as caught:
        contract.call(fn, *args) if way == "call" else contract.transact(fn, *args, sender=sender)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(text)
    assert (caught.value.tx_hash is not None) == (way == "transact")


def test_a_custom_error_carries_name_arguments_signature_and_data(contract: Contract) -> None:
    with pytest.raises(ContractRevert) as caught:
        contract.call("bubbleNamed", ACCOUNT, "why")
    error = caught.value
    assert (error.name, error.signature) == ("Named", "Named(bytes32,address,string,bool)")
    assert error.arguments == {"account": ACCOUNT, "who": contract.address, "text": "why", "flag": True}
    assert error.values == (ACCOUNT, contract.address, "why", True)
    assert error.selector == keccak(text=error.signature)[:4] == error.data[:4]
    assert str(error) == f"Named(account=0x{ACCOUNT.hex()}, who={contract.address}, text=why, flag=True)"


def test_an_error_of_an_unknown_contract_stays_unknown(anvil: Anvil, contract: Contract) -> None:
    alone = Contract(anvil.rpc, contract.address, contract.abi)
    with pytest.raises(UnknownRevert, match="add its ABI to the ErrorRegistry") as caught:
        alone.call("bubble", -5, 7)
    assert caught.value.data[4:] == (-5).to_bytes(32, "big", signed=True) + (7).to_bytes(32, "big")


class NoTraces:
    """The client of a node that has no trace methods, or whose traces leave out what a reverted call returned."""

    def __init__(self, anvil: Anvil, *, empty_traces: bool = False) -> None:
        self._rpc = anvil.rpc
        self._empty_traces = empty_traces

    def request(self, method: str, params: Any = ()) -> Any:
        if method == "trace_transaction" and self._empty_traces:
            return [{**frame, "result": None} for frame in self._rpc.request(method, params)]
        if method in ("trace_transaction", "debug_traceTransaction"):
            raise RpcError(-32601, "method not found")
        return self._rpc.request(method, params)


@pytest.mark.parametrize("empty_traces", [False, True])
@pytest.mark.parametrize(("fn", "args", "kind", "text"), [case for case in CASES if case[0] != "spin"])
def test_without_traces_the_reason_comes_from_a_call_at_the_block(
    anvil: Anvil,
    contract: Contract,
    fn: str,
    args: tuple[Any, ...],
    kind: type[Revert],
    text: str,
    empty_traces: bool,
) -> None:
    receipt = anvil.sender(default_gas=1_000_000).send(contract.address, contract.encode(fn, *args))
    rpc = NoTraces(anvil, empty_traces=empty_traces)
    error = explain_failure(rpc, receipt, contract.errors)  # type: ignore[arg-type]
    assert type(error) is kind
    assert str(error).startswith(text)
    assert error.tx_hash == receipt.tx_hash


def test_a_failure_that_nothing_explains_is_still_a_revert(anvil: Anvil, contract: Contract) -> None:
    receipt = contract.transact("store", 1, 2, "fine")
    error = explain_failure(NoTraces(anvil), receipt, contract.errors)  # type: ignore[arg-type]
    assert type(error) is Revert
    assert "does not tell" in str(error)


def test_events_are_decoded_with_their_place(anvil: Anvil, contract: Contract) -> None:
    receipt = contract.transact("store", 7, -9, "note", value=5)
    stored, pinged = receipt.events
    who = anvil.accounts[0]
    assert stored.name == "Stored"
    assert stored.args == {"id": 7, "who": who, "value": -9, "note": "note"}
    assert (stored.address, stored.log_index, stored.tx_hash) == (contract.address, 0, receipt.tx_hash)
    assert pinged.args == {"tag": keccak(text="note"), "arg1": anvil.now()}
    assert (pinged.log_index, pinged.block_number) == (1, receipt.block_number)
    assert receipt.event("Stored")["value"] == -9
    with pytest.raises(AbiError, match=r"0 events Missing .*\['Stored', 'Pinged'\]"):
        receipt.event("Missing")
    assert receipt.gas_used > 21_000
    assert receipt.succeeded


def test_indexed_reference_types_come_back_as_hashes(contract: Contract) -> None:
    leg = {"id": 1, "size": -2, "owner": contract}
    args = contract.transact("emitHashed", "text", [3, 4], leg).event("Hashed").args
    encoded = (1).to_bytes(32, "big") + (-2).to_bytes(32, "big", signed=True) + bytes(12)
    assert args["text"] == keccak(text="text")
    assert args["list"] == keccak((3).to_bytes(32, "big") + (4).to_bytes(32, "big"))
    assert args["leg"] == keccak(encoded + bytes.fromhex(contract.address[2:]))
    assert args["copy"] == (1, -2, contract.address)
    assert args["copy"].owner == contract.address


def test_logs_of_another_shape_do_not_pass_for_ours(contract: Contract) -> None:
    log = contract.transact("store", 1, 2, "note").logs[0]
    foreign = {**log, "address": "0x" + "55" * 20, "data": "0x00"}
    assert contract.events.decode(foreign) is None
    assert contract.events.decode({**log, "topics": [*log["topics"], "0x" + "00" * 32]}) is None
    assert contract.events.decode({**log, "topics": []}) is None
    assert EventRegistry().decode_all([log]) == []
    with pytest.raises(AbiError, match="does not fit Stored"):
        contract.events.decode({**log, "data": "0x00"})


def test_several_results_come_by_name(contract: Contract) -> None:
    state = contract.call("state", sender="0x" + "66" * 20)
    assert (state.current, state.sender) == (100, "0x" + "66" * 20)
    assert contract.call("state") == (100, state.time, "0x" + "00" * 20)
    assert contract.call("small", 255, -7, "0x01020304", True) == (255, -7, b"\x01\x02\x03\x04", True)


def test_structs_and_nested_arrays_travel_both_ways(contract: Contract) -> None:
    order = {"account": ACCOUNT, "leg": (1, -2, contract), "times": [3, 4], "note": "ü"}
    result = contract.call("echoMany", [order, order], [[b"", b"12"], ["0x3456", b"7" * 40]])
    assert result.list[1].leg.size == -2
    assert result.list[0] == (ACCOUNT, (1, -2, contract.address), [3, 4], "ü")
    assert result[1] == [[b"", b"12"], [b"4V", b"7" * 40]]
    assert result.from_ == 7


def test_overloads_by_count_and_by_signature(contract: Contract) -> None:
    assert contract.call("deposit", ACCOUNT, 5, contract) == contract.address
    assert contract.call("deposit(bytes32,uint256)", ACCOUNT, 5) == 5
    assert contract.call("deposit(address,uint256)", contract, 5) == (contract.address, 5)
    with pytest.raises(AbiError, match=r"overloaded; .*deposit\(bytes32,uint256\)"):
        contract.encode("deposit", ACCOUNT, 5)


def test_mistakes_in_names_and_addresses_are_explained(anvil: Anvil, contract: Contract) -> None:
    with pytest.raises(AbiError, match="Probe has no function stor; did you mean store"):
        contract.call("stor")
    nowhere = Contract(anvil.rpc, "0x" + "77" * 20, contract.abi, name="Probe")
    with pytest.raises(NotAContract, match="is it deployed"):
        nowhere.call("value")
    with pytest.raises(SignerError, match="nobody sends to Probe"):
        nowhere.transact("store", 1, 1, "")
    wrong = Contract(
        anvil.rpc,
        contract.address,
        [
            {
                **probe().abi[-2],
                "name": "value",
                "type": "function",
                "inputs": [],
                "outputs": [{"type": "string", "name": ""}],
            }
        ],
        name="Wrong",
    )
    with pytest.raises(AbiError, match=r"Wrong\.value\(\): .*right contract"):
        wrong.call("value")


def test_failures_that_are_not_reverts_pass_through(anvil: Anvil, contract: Contract) -> None:
    with pytest.raises(RpcError, match="Insufficient funds"):
        contract.transact("store", 1, 1, "", value=10**30)
    with pytest.raises(RpcError, match="intrinsic gas too low"):
        contract.transact("store", 1, 1, "", gas=100)


def test_batches_of_calls_hold_errors_in_place(contract: Contract) -> None:
    results = batch_call([(contract, "value", ()), (contract, "bubble", (-1, 2)), (contract, "divide", (7, 2))])
    assert results[0::2] == [100, 3]
    assert str(results[1]) == "InsufficientMargin(equity=-1, required=2)"
    nowhere = Contract(contract.rpc, "0x" + "77" * 20, contract.abi)
    assert isinstance(batch_call([(nowhere, "value", ())])[0], NotAContract)
    assert batch_call([]) == []


def test_sharing_a_selector_is_refused() -> None:
    registry = ErrorRegistry([{"type": "error", "name": "burn", "inputs": [{"type": "uint256", "name": "a"}]}])
    clash = [{"type": "error", "name": "collate_propagate_storage", "inputs": [{"type": "bytes16", "name": "a"}]}]
    with pytest.raises(AbiError, match="share a selector"):
        registry.add(clash)


def test_mining_by_command() -> None:
    with Anvil(automine=False, timestamp=START) as anvil:
        by_hand = UnlockedSender(anvil.rpc, anvil.accounts[0], timeout=0.1)
        created = by_hand.submit(None, "0x" + probe().bytecode.hex() + (b"\0" * 31 + b"\1").hex() * 2)
        with pytest.raises(TransactionNotMined, match="mine a block"):
            by_hand.send("0x" + "11" * 20, value=1)
        anvil.mine()
        address = Receipt.of(anvil.rpc.request("eth_getTransactionReceipt", [created])).contract_address
        assert address is not None
        contract = Contract(anvil.rpc, address, probe().abi, sender=by_hand)
        hashes = [contract.submit("store", i, 1, "") for i in (1, 0, 2)]
        assert contract.receipt_of(hashes[0]) is None
        anvil.mine()
        receipts = [contract.receipt_of(hashes[i]) for i in (0, 2)]
        assert [receipt.event("Stored")["id"] for receipt in receipts if receipt is not None] == [1, 2]
        with pytest.raises(ContractRevert, match=r"TooSmall\(given=0, least=1\)") as caught:
            contract.receipt_of(hashes[1])
        assert caught.value.tx_hash == hashes[1]
