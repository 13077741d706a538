"""An ape account and provider serve as our sender and client."""

from __future__ import annotations

from collections.abc import Iterator

import ape
import pytest
from ape.api import ProviderAPI
from tests.support.probe import probe

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.ape_adapter import ApeSender, rpc_from_ape, sender_from_ape
from plimsoll.chain.contract import deploy
from plimsoll.chain.errors import ContractRevert
from plimsoll.chain.signer import UnlockedSender

TARGET = "0x" + "11" * 20


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with Anvil(accounts=2) as running:
        yield running


@pytest.fixture(scope="module")
def provider(anvil: Anvil) -> Iterator[ProviderAPI]:
    settings = {"host": anvil.url}
    with ape.networks.parse_network_choice("ethereum:local:foundry", provider_settings=settings) as connected:
        yield connected


def test_the_client_talks_to_the_node_of_ape(anvil: Anvil, provider: ProviderAPI) -> None:
    anvil.mine()
    rpc = rpc_from_ape(provider)
    assert rpc.address == anvil.url
    assert rpc.request("eth_blockNumber") == anvil.rpc.request("eth_blockNumber")


def test_an_account_that_the_node_holds_sends_through_it(anvil: Anvil, provider: ProviderAPI) -> None:
    account = ape.accounts.test_accounts[0]
    sender = sender_from_ape(account, provider)
    assert isinstance(sender, UnlockedSender)
    assert sender.address == anvil.accounts[0]
    assert sender_from_ape(ape.accounts[TARGET], provider).address == TARGET


def test_an_account_that_the_node_does_not_hold_signs_in_ape(anvil: Anvil, provider: ProviderAPI) -> None:
    account = ape.accounts.test_accounts[len(anvil.accounts)]
    anvil.set_balance(str(account.address), 10**20)
    sender = sender_from_ape(account, provider)
    assert isinstance(sender, ApeSender)
    contract = deploy(probe(), 5, 1, sender=sender)
    receipt = contract.transact("store", 7, -1, "note", value=3)
    assert receipt.sender == receipt.event("Stored")["who"] == sender.address
    assert anvil.rpc.request("eth_getBalance", [contract.address, "latest"]) == "0x3"
    with pytest.raises(ContractRevert, match=r"TooSmall\(given=0, least=1\)"):
        contract.transact("store", 0, 1, "")
    with pytest.raises(ContractRevert, match=r"TooSmall\(given=0, least=1\)"):
        contract.transact("store", 0, 1, "", gas=200_000)
