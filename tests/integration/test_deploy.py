"""Deployment: idempotent, resumable, recorded; mocks only on local chains; refuses what does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.senders import DyingSender, RemoteRpc

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import NodeUnavailable
from plimsoll.chain.signer import KeySender
from plimsoll.deploy.book import Book, BookError
from plimsoll.deploy.create import DeployError
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import Deployment, deployed_contracts, open_deployment
from plimsoll.deploy.document import ParameterError
from plimsoll.deploy.parameters import Parameters
from plimsoll.deploy.verify import verify

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "deployments" / "local.yaml"
EXAMPLE = ROOT / "deployments" / "sepolia.example.yaml"
SEPOLIA = 11155111
# The second of the well-known accounts that every development node holds.
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture
def anvil(chain: Anvil) -> Iterator[Anvil]:
    with chain.snapshot():
        yield chain


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the local parameters, whose address book may be written beside it."""
    path = tmp_path / "local.yaml"
    path.write_text(LOCAL.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def sent(anvil: Anvil, address: str) -> int:
    return int(anvil.rpc.request("eth_getTransactionCount", [address, "latest"]), 16)


def test_a_local_chain_gets_everything(anvil: Anvil, file: Path) -> None:
    book = file.with_suffix(".addresses.json")
    said: list[str] = []
    done = deploy(anvil.sender(0), Parameters.load(file), book=book, progress=said.append)
    assert verify(done) == []
    kept = Book.read(book)
    assert kept is not None
    assert kept == done.book
    assert kept.complete
    assert kept.configuration == done.parameters.configuration_hash
    assert {name for name, entry in kept.contracts.items() if entry.mock} == {
        *(f"token:{name}" for name in ("USDC", "WETH", "WBTC")),
        *(f"feed:{name}" for name in ("ETH", "BTC", "SOL")),
    }
    assert all(any(name in line for line in said) for name in kept.contracts)
    for pool in done.pools.values():
        asset = done.parameters.pools[pool.name]
        assert done.clearinghouse.call("poolNav", pool.id) == asset.liquidity.seed.value
        assert pool.lp.call("totalSupply") == asset.liquidity.seed.value
    assert done.market("ETH") == 256
    assert done.market("BTC", "majors") == 257
    assert done.market_name(512) == ("longtail", "SOL")


def test_the_second_run_sends_nothing(anvil: Anvil, file: Path) -> None:
    book = file.with_suffix(".addresses.json")
    first = deploy(anvil.sender(0), Parameters.load(file), book=book)
    text, count = book.read_text(), sent(anvil, anvil.accounts[0])
    second = deploy(anvil.sender(0), Parameters.load(file), book=book)
    assert sent(anvil, anvil.accounts[0]) == count
    assert book.read_text() == text
    assert second.clearinghouse.address == first.clearinghouse.address
    opened = open_deployment(anvil.rpc, file)
    assert opened.order_book.address == first.order_book.address
    assert opened.lens.call("CLEARINGHOUSE") == first.clearinghouse.address


@pytest.mark.parametrize("landed", [False, True], ids=["lost before sending", "landed without an answer"])
def test_a_run_that_dies_at_every_step_is_completed(anvil: Anvil, file: Path, landed: bool) -> None:
    """Each attempt gets one transaction further; the last finds everything done exactly once."""
    artifacts, book, parameters = deployed_contracts(), file.with_suffix(".addresses.json"), Parameters.load(file)
    with anvil.snapshot():
        deploy(anvil.sender(0), parameters, artifacts=artifacts)
        needed = sent(anvil, anvil.accounts[0])
    for _ in range(needed + 1):
        sender = DyingSender(anvil.sender(0), 0 if landed else 1, landed)
        try:
            done = deploy(sender, parameters, book=book, artifacts=artifacts)
            break
        except NodeUnavailable:
            assert sender.sent == 1
            interrupted = Book.read(book)
            assert interrupted is not None
            assert not interrupted.complete
    else:
        pytest.fail(f"{needed + 1} attempts did not complete {needed} transactions")
    assert sent(anvil, anvil.accounts[0]) == needed, "no transaction more than without interruptions"
    assert verify(done) == []
    money = done.tokens["USDC"].call("balanceOf", done.clearinghouse.address)
    owed = sum(p.liquidity.seed.value + p.insurance.value for p in parameters.pools.values())
    assert money == owed // 10**12, "nothing was paid twice"


def test_an_interrupted_deployment_cannot_be_opened(anvil: Anvil, file: Path) -> None:
    with pytest.raises(BookError, match=r"does not exist: nothing is deployed yet; run `plimsoll deploy` first"):
        open_deployment(anvil.rpc, file)
    with pytest.raises(NodeUnavailable):
        deploy(
            DyingSender(anvil.sender(0), 20, False),
            Parameters.load(file),
            book=file.with_suffix(".addresses.json"),
        )
    with pytest.raises(BookError, match="was interrupted; run `plimsoll deploy` again"):
        open_deployment(anvil.rpc, file)
    with pytest.raises(BookError, match=f"was begun by {anvil.accounts[0]}; send from there"):
        deploy(anvil.sender(1), Parameters.load(file), book=file.with_suffix(".addresses.json"))


def test_the_core_is_made_again_when_the_deployer_sent_something_else(anvil: Anvil, file: Path) -> None:
    book = file.with_suffix(".addresses.json")
    parameters = Parameters.load(file)
    with pytest.raises(NodeUnavailable):
        deploy(DyingSender(anvil.sender(0), 9, False), parameters, book=book)
    before = Book.read(book)
    assert before is not None
    assert "liquidation_module" in before.contracts
    assert "clearinghouse" not in before.contracts
    anvil.sender(0).send(anvil.accounts[3], value=1)
    said: list[str] = []
    done = deploy(anvil.sender(0), parameters, book=book, progress=said.append)
    assert any("core contracts are created again" in line for line in said)
    assert done.book.contracts["liquidation_module"].address != before.contracts["liquidation_module"].address
    assert done.book.contracts["hub"].address == before.contracts["hub"].address
    assert verify(done) == []


def test_a_book_of_another_local_chain_is_replaced(file: Path) -> None:
    book = file.with_suffix(".addresses.json")
    parameters = Parameters.load(file)
    with Anvil(timestamp=1_700_000_000) as first:
        deploy(first.sender(0), parameters, book=book)
    with Anvil(timestamp=1_710_000_000) as second:
        with pytest.raises(BookError, match="belongs to another chain"):
            open_deployment(second.rpc, file)
        said: list[str] = []
        done = deploy(second.sender(0), parameters, book=book, progress=said.append)
        assert any("another local chain; starting anew" in line for line in said)
        assert verify(done) == []


def test_changed_parameters_are_not_applied(anvil: Anvil, file: Path) -> None:
    book = file.with_suffix(".addresses.json")
    deploy(anvil.sender(0), Parameters.load(file), book=book)
    count = sent(anvil, anvil.accounts[0])
    changed = Parameters.load(file, {"pools.majors.markets.ETH.taker_fee.value": "6 bp"})
    with pytest.raises(BookError, match="has changed since it was deployed"):
        deploy(anvil.sender(0), changed, book=book)
    assert sent(anvil, anvil.accounts[0]) == count
    anew = deploy(anvil.sender(0), changed, book=book, fresh=True)
    assert verify(anew) == []


def test_violated_inequalities_stop_it_before_anything_is_sent(anvil: Anvil) -> None:
    parameters = Parameters.load(LOCAL, {"pools.majors.markets.ETH.penalty.value": "2 %"})
    with pytest.raises(ParameterError, match="penalty < maintenance_margin does not hold"):
        deploy(anvil.sender(0), parameters)
    assert sent(anvil, anvil.accounts[0]) == 0


def test_another_chain_is_refused(anvil: Anvil) -> None:
    with pytest.raises(ParameterError, match=r"are for chain 11155111, the node at .* runs chain 31337"):
        deploy(anvil.sender(0), Parameters.load(EXAMPLE))
    assert sent(anvil, anvil.accounts[0]) == 0


# ── elsewhere than on a local chain ────────────────────────────────────────


@pytest.fixture(scope="module")
def remote_chain() -> Iterator[Anvil]:
    with Anvil(chain_id=SEPOLIA) as anvil:
        yield anvil


@pytest.fixture
def remote(remote_chain: Anvil) -> Iterator[tuple[Anvil, RemoteRpc]]:
    with remote_chain.snapshot():
        yield remote_chain, RemoteRpc(remote_chain.rpc.transport)


def world(anvil: Anvil) -> tuple[Deployment, dict[str, Any]]:
    """Tokens and feeds that somebody else deployed, and the overrides that name them."""
    local = deploy(anvil.sender(0), Parameters.load(LOCAL, {"chain_id": str(SEPOLIA)}))
    addresses = {f"tokens.{name}.address": token.address for name, token in local.tokens.items()}
    return local, addresses | {f"assets.{name}.feed": feed.address for name, feed in local.feeds.items()}


def test_mocks_are_refused_elsewhere(remote: tuple[Anvil, RemoteRpc]) -> None:
    anvil, rpc = remote
    sender = KeySender(rpc, KEY)
    with pytest.raises(ParameterError) as caught:
        deploy(sender, Parameters.load(EXAMPLE))
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert "sepolia.example.yaml:" in lines[0]
    assert "tokens.USDC.address is missing; mocks are for local chains only" in lines[0]
    assert sent(anvil, sender.address) == 0


def test_a_signed_deployment_with_named_contracts(remote: tuple[Anvil, RemoteRpc], tmp_path: Path) -> None:
    anvil, rpc = remote
    local, named = world(anvil)
    sender = KeySender(rpc, KEY)
    owner, guardian = anvil.accounts[7], anvil.accounts[8]
    roles = {"owner": owner, "guardian": guardian}
    parameters = Parameters.load(EXAMPLE, {**named, "roles": roles})
    book = tmp_path / "sepolia.addresses.json"
    with pytest.raises(DeployError, match=r"has 0 USDC and needs 10 for the dead deposit of pool majors; send it"):
        deploy(sender, parameters, book=book)
    local.tokens["USDC"].transact("mint", sender.address, 20_000_000)
    done = deploy(sender, parameters, book=book)
    assert not any(entry.mock for entry in done.book.contracts.values())
    assert done.tokens["USDC"].address == local.tokens["USDC"].address
    found = verify(done)
    assert {item.what for item in found} == {"owner"}
    assert {item.where for item in found} == {"clearinghouse", "hub", "order_book", "pool:majors", "pool:longtail"}
    done.clearinghouse.transact("takeOwnership", sender=owner)
    for contract in (done.hub, done.order_book, *(pool.lp for pool in done.pools.values())):
        contract.transact("acceptOwnership", sender=owner)
    assert verify(done) == []
    count = sent(anvil, sender.address)
    deploy(sender, parameters, book=book)
    assert sent(anvil, sender.address) == count, "a run after the handover needs nothing of the owner"


def test_a_book_of_another_chain_is_refused_elsewhere(remote: tuple[Anvil, RemoteRpc], tmp_path: Path) -> None:
    anvil, rpc = remote
    local, named = world(anvil)
    sender = KeySender(rpc, KEY)
    local.tokens["USDC"].transact("mint", sender.address, 20_000_000)
    parameters = Parameters.load(EXAMPLE, named)
    book = tmp_path / "sepolia.addresses.json"
    done = deploy(sender, parameters, book=book)
    with pytest.raises(BookError, match="a fresh deployment over an existing one is for local chains"):
        deploy(sender, parameters, book=book, fresh=True)
    done.book.first_block_hash = "0x" + "12" * 32
    done.book.write(book)
    with pytest.raises(BookError, match="was written on another chain"):
        deploy(sender, parameters, book=book)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"tokens.WETH.address": "0x" + "12" * 20}, "token:WETH: there is no contract at"),
        ({"tokens.WETH.decimals": "8"}, "token:WETH: the contract at .* has 18 decimals, the file says 8"),
        ({"assets.BTC.feed_decimals": "18"}, "feed:BTC: the contract at .* has 8 decimals, the file says 18"),
    ],
)
def test_a_wrong_contract_is_told(remote: tuple[Anvil, RemoteRpc], overrides: dict[str, Any], message: str) -> None:
    anvil, rpc = remote
    _, named = world(anvil)
    sender = KeySender(rpc, KEY)
    with pytest.raises(DeployError, match=message):
        deploy(sender, Parameters.load(EXAMPLE, {**named, **overrides}))
    assert sent(anvil, sender.address) == 0
