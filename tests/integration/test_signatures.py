"""INV-31: the signatures of the protocol, which are the ERC-2612 permits of its tokens and LP tokens."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract

KEY = "0x" + "31" * 32
HOLDER: str = Account.from_key(KEY).address
TYPES = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


def token_of(p: Protocol, name: str) -> Contract:
    """A settlement token, or the LP token of a pool."""
    return p.tokens[name] if name in p.tokens else p.pools[name].lp


def signed(p: Protocol, token: Contract, values: dict[str, Any], domain: dict[str, Any]) -> tuple[Any, ...]:
    """Arguments of `permit` with the signature of `values` in a domain that differs by `domain`."""
    names = ("fields", "name", "version", "chainId", "verifyingContract", "salt", "extensions")
    own = dict(zip(names, token.call("eip712Domain"), strict=True))
    used = {key: own[key] for key in ("name", "version", "chainId", "verifyingContract")} | domain
    message = {"owner": HOLDER, "nonce": token.call("nonces", HOLDER)} | values
    signature = Account.sign_typed_data(KEY, used, TYPES, message)
    parts = (part.to_bytes(32, "big") for part in (signature.r, signature.s))
    return (HOLDER, values["spender"], values["value"], values["deadline"], signature.v, *parts)


@pytest.mark.parametrize("name", ["USDC", "majors", "longtail"])
def test_a_permit_succeeds_once(protocol: Protocol, name: str) -> None:
    """INV-31: the same signature is refused the second time, also when its allowance was used up."""
    p, token = protocol, token_of(protocol, name)
    arguments = signed(p, token, {"spender": p.trader, "value": 7, "deadline": p.now() + 100}, {})
    token.transact("permit", *arguments, sender=p.attacker)
    assert token.call("allowance", HOLDER, p.trader) == 7
    with reverts_with("ERC2612InvalidSigner", ...):
        token.transact("permit", *arguments, sender=p.attacker)
    assert token.call("nonces", HOLDER) == 1


@pytest.mark.parametrize("name", ["USDC", "majors"])
@pytest.mark.parametrize("bound", ["chainId", "verifyingContract", "nonce", "spender", "value", "deadline"])
def test_a_permit_is_bound(protocol: Protocol, name: str, bound: str) -> None:
    """INV-31: to its chain, its contract, its nonce, and everything that it allows."""
    p, token = protocol, token_of(protocol, name)
    values = {"spender": p.trader, "value": 7, "deadline": p.now() + 100}
    other = token_of(p, "majors" if name == "USDC" else "longtail").address
    domain = {"chainId": {"chainId": 1}, "verifyingContract": {"verifyingContract": other}}.get(bound, {})
    arguments = list(signed(p, token, values | ({"nonce": 1} if bound == "nonce" else {}), domain))
    if bound in values:
        index = ("owner", "spender", "value", "deadline").index(bound)
        arguments[index] = p.attacker if bound == "spender" else arguments[index] + 1
    with reverts_with("ERC2612InvalidSigner", ...):
        token.transact("permit", *arguments, sender=p.attacker)
    assert token.call("nonces", HOLDER) == 0


@pytest.mark.parametrize("name", ["USDC", "majors"])
def test_a_permit_ends_at_its_deadline(protocol: Protocol, name: str) -> None:
    """INV-31: in the second of the deadline it is good, one later it is not."""
    p, token = protocol, token_of(protocol, name)
    deadline = p.now() + 10
    arguments = signed(p, token, {"spender": p.trader, "value": 7, "deadline": deadline}, {})
    for late in (True, False):
        with p.snapshot():
            p.anvil.set_next_timestamp(deadline + late)
            if late:
                with reverts_with("ERC2612ExpiredSignature", deadline):
                    token.transact("permit", *arguments, sender=p.attacker)
            else:
                token.transact("permit", *arguments, sender=p.attacker)
                assert token.call("allowance", HOLDER, p.trader) == 7
