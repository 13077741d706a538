"""`multicall` and `depositWithPermit`."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from tests.support.core import change
from tests.support.protocol import NO_LIMIT, Protocol
from tests.support.reverts import reverts_with

from plimsoll.model.words import AccountId
from plimsoll.units import WAD

KEY = "0x" + "5e" * 32


def signed_permit(p: Protocol, token: str, amount: int, deadline: int, **changes: Any) -> tuple[int, bytes, bytes]:
    """v, r, s of a permit to the Clearinghouse, or with some fields otherwise."""
    signer = Account.from_key(KEY)
    contract = p.tokens[token]
    fields = ("fields", "name", "version", "chainId", "verifyingContract", "salt", "extensions")
    domain = dict(zip(fields, contract.call("eip712Domain"), strict=True))
    value = {
        "owner": signer.address,
        "spender": p.clearinghouse.address,
        "value": amount,
        "nonce": contract.call("nonces", signer.address),
        "deadline": deadline,
    } | changes
    types = [("owner", "address"), ("spender", "address"), ("value", "uint256")]
    types += [("nonce", "uint256"), ("deadline", "uint256")]
    message = encode_typed_data(
        domain_data={key: domain[key] for key in ("name", "version", "chainId", "verifyingContract")},
        message_types={"Permit": [{"name": name, "type": kind} for name, kind in types]},
        message_data=value,
    )
    done = signer.sign_message(message)
    return done.v, done.r.to_bytes(32, "big"), done.s.to_bytes(32, "big")


@pytest.fixture
def holder(protocol: Protocol) -> str:
    """Somebody with a key, some tokens and ether."""
    address: str = Account.from_key(KEY).address
    protocol.anvil.set_balance(address, 10**20)
    for token in ("USDC", "WETH"):
        protocol.mint(token, address, 100)
    return address


def test_deposit_with_permit_needs_no_approval(protocol: Protocol, holder: str) -> None:
    """INV-31."""
    p = protocol
    account, usdc = p.account(holder), p.tokens["USDC"].address
    sign = signed_permit(p, "USDC", 60 * 10**6, p.now() + 100)
    arguments = (account, usdc, 60 * 10**6, p.now() + 100, *sign)
    with change(p, holder) as seen:
        p.clearinghouse.transact("depositWithPermit", *arguments, sender=holder)
    assert seen.terms == {"held": 60 * WAD, "positive_cash": 60 * WAD}
    assert seen.wallets == {("USDC", holder): -60 * 10**6, ("USDC", p.clearinghouse.address): 60 * 10**6}
    assert p.tokens["USDC"].call("allowance", holder, p.clearinghouse.address) == 0
    with reverts_with("ERC20InsufficientAllowance", p.clearinghouse.address, 0, 60 * 10**6):
        p.clearinghouse.transact("depositWithPermit", *arguments, sender=holder)


def test_a_permit_that_somebody_sent_first_does_no_harm(protocol: Protocol, holder: str) -> None:
    p = protocol
    usdc = p.tokens["USDC"].address
    deadline = p.now() + 100
    sign = signed_permit(p, "USDC", 10**6, deadline)
    p.tokens["USDC"].transact("permit", holder, p.clearinghouse.address, 10**6, deadline, *sign, sender=p.attacker)
    arguments = (p.account(holder), usdc, 10**6, deadline, *sign)
    p.clearinghouse.transact("depositWithPermit", *arguments, sender=holder)
    assert p.account_word(p.account(holder)).raw_cash == WAD


@pytest.mark.parametrize("fault", ["deadline", "value", "spender", "sender"])
def test_a_bad_permit_leaves_only_the_allowance_that_is_there(protocol: Protocol, holder: str, fault: str) -> None:
    """INV-31."""
    p = protocol
    usdc, deadline = p.tokens["USDC"].address, p.now() + 100
    changes: dict[str, Any] = {"value": {"value": 1}, "spender": {"spender": p.attacker}}.get(fault, {})
    if fault == "deadline":
        deadline = p.now() - 1
    sign = signed_permit(p, "USDC", 10**6, deadline, **changes)
    sender = p.attacker if fault == "sender" else holder
    account = p.account(sender)
    with reverts_with("ERC20InsufficientAllowance", p.clearinghouse.address, 0, 10**6):
        p.clearinghouse.transact("depositWithPermit", account, usdc, 10**6, deadline, *sign, sender=sender)


def test_permit_of_what_is_no_token(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    for token in (p.lp, p.clearinghouse.address, p.hub.address):
        with reverts_with("UnknownToken", 1, token):
            p.clearinghouse.call("depositWithPermit", account, token, 1, 0, 27, bytes(32), bytes(32), sender=p.trader)
    with reverts_with("ZeroAmount"):
        p.clearinghouse.call(
            "depositWithPermit", account, p.tokens["USDC"].address, 0, 0, 27, bytes(32), bytes(32), sender=p.trader
        )


# ── multicall ──────────────────────────────────────────────────────────────


def data(p: Protocol, fn: str, *args: Any) -> bytes:
    """Call data for `multicall`."""
    return bytes.fromhex(p.clearinghouse.encode(fn, *args)[2:])


def test_multicall_does_everything_in_order_as_the_caller(protocol: Protocol, holder: str) -> None:
    p = protocol
    one, two = p.account(holder), p.account(holder, sub=1)
    usdc = p.tokens["USDC"].address
    deadline = p.now() + 100
    sign = signed_permit(p, "USDC", 50 * 10**6, deadline)
    calls = [
        data(p, "depositWithPermit", one, usdc, 50 * 10**6, deadline, *sign),
        data(p, "transfer", one, two, usdc, 20 * 10**6),
        data(p, "withdraw", one, usdc, 5 * 10**6, p.attacker),
        data(p, "poolNav", 1),
        data(p, "liquidate", [one, two], one),
    ]
    results = p.clearinghouse.call("multicall", calls, sender=holder)
    assert results[:3] == [b"", b"", b""]
    assert int.from_bytes(results[3], "big") == p.nav()
    assert results[4] == encode(["uint256[]"], [[0, 0]])
    with change(p, holder, p.attacker) as seen:
        receipt = p.clearinghouse.transact("multicall", calls, sender=holder)
    assert seen.terms == {"held": 45 * WAD, "positive_cash": 45 * WAD}
    assert seen.wallets[("USDC", p.attacker)] == 5 * 10**6
    assert [e.name for e in receipt.events if e.name in {"Deposited", "Transferred", "Withdrawn"}] == [
        "Deposited",
        "Transferred",
        "Withdrawn",
    ]
    assert receipt.event("Withdrawn")["to"] == p.attacker


def test_one_failure_undoes_all(protocol: Protocol) -> None:
    p = protocol
    account, usdc = p.account(p.trader), p.tokens["USDC"].address
    p.deposit(account, 10)
    stolen = AccountId(p.other_trader, 1, 0).to_bytes()
    calls = [data(p, "withdraw", account, usdc, 10**6, p.trader), data(p, "withdraw", stolen, usdc, 1, p.trader)]
    with change(p, p.trader) as seen, reverts_with("NotAccountOwner", stolen, p.trader):
        p.clearinghouse.transact("multicall", calls, sender=p.trader)
    assert (seen.terms, seen.wallets) == ({}, {})


def test_multicall_nests_and_keeps_the_lock_between_calls_only(protocol: Protocol) -> None:
    p = protocol
    account, usdc = p.account(p.trader), p.tokens["USDC"].address
    p.deposit(account, 10)
    inner = [data(p, "withdraw", account, usdc, 10**6, p.trader), data(p, "isLocked")]
    results = p.clearinghouse.call("multicall", [data(p, "multicall", inner)], sender=p.trader)
    assert encode(["bytes[]"], [[b"", bytes(32)]]) == results[0]
    with reverts_with("NotPeer", p.trader):
        p.clearinghouse.call("multicall", [data(p, "lock")], sender=p.trader)


def test_multicall_gives_no_rights(protocol: Protocol) -> None:
    p = protocol
    for sender in (p.attacker, p.trader):
        with reverts_with("NotOwner", sender):
            p.clearinghouse.call("multicall", [data(p, "setGuardian", sender)], sender=sender)
    with reverts_with("NotLocked"):
        p.clearinghouse.call("multicall", [data(p, "lpDeposit", 1, p.trader, 1)], sender=p.attacker)
    assert NO_LIMIT == 2**256 - 1
