"""Deploys the protocol for fuzzing on an Anvil of its own, funds the actors and the pools, and keeps the state on disk.

The deployment is that of `plimsoll.deploy.deploy`. Whatever the parameter file names on a real network (tokens, feeds,
sequencer, owner) is replaced by mocks and by the deployer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from plimsoll import deploy as deploy_package
from plimsoll.chain.abi import checksum
from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import Artifact, Artifacts, compile_contracts, repository_root
from plimsoll.chain.contract import Contract
from plimsoll.chain.contract import deploy as create
from plimsoll.chain.signer import Sender
from plimsoll.deploy.book import Book
from plimsoll.deploy.create import create_address
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import Deployment, PoolHandles, deployed_contracts
from plimsoll.deploy.document import Document
from plimsoll.deploy.parameters import Parameters
from plimsoll.deploy.structs import native
from plimsoll.fuzz.driver import FuzzError
from plimsoll.fuzz.state import ChainState, load_state, save_state, slim
from plimsoll.model.words import AccountId

__all__ = ["Actors", "Prepared", "Setting", "prepare"]

DAY = 86_400
START = 1_750_000_000
"""Time of the first block."""
DEPLOYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
"""First account of Anvil."""
ETHER = 10**18
ETHER_EACH = 10_000 * ETHER
TOKENS_EACH = 10**9
"""Whole tokens of every kind that every actor has."""
NO_LIMIT = (1 << 256) - 1
SECONDARY = {"max_age": "10 min", "max_deviation": "3 %", "timeout": "20 min"}
GRACE = "10 min"
WHY = "of the fuzzed world"
GAS_LIMIT = 10**12
CACHE = Path("build", "fuzz")
ANY_SIZE = ("--disable-code-size-limit",)
"""Changed contracts may be larger than a chain allows."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a world is made of.

    :param path: parameter file; None: `deployments/local.yaml` of the repository.
    :param settlement_decimals: decimals of every settlement token; None: as in the file.
    :param token_contracts: mock that stands for a token, by its name in the file: `{"USDC": "HookToken"}`. Its
        constructor takes name, symbol and decimals.
    :param overrides: other values at dotted paths of the file, see `Document.with_values`.
    :param secondary: whether each asset with a feed has a settable feed that it is compared with.
    :param sequencer: whether there is an uptime feed, settable too.
    """

    path: Path | None = None
    settlement_decimals: int | None = None
    token_contracts: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    traders: int = 4
    lps: int = 2
    keepers: int = 2
    secondary: bool = False
    sequencer: bool = False

    @property
    def mocks(self) -> tuple[str, ...]:
        """Contracts that the deployer creates before all others: stand-ins of tokens, then the uptime feed."""
        return (*self.token_contracts.values(), *(("MockSequencerFeed",) if self.sequencer else ()))

    @property
    def actors(self) -> Actors:
        """Who acts."""
        return Actors(
            owner=DEPLOYER,
            guardian=_address("guardian"),
            thief=_address("thief"),
            traders=tuple(_address(f"trader {index}") for index in range(self.traders)),
            lps=tuple(_address(f"lp {index}") for index in range(self.lps)),
            keepers=tuple(_address(f"keeper {index}") for index in range(self.keepers)),
        )

    def parameters(self, root: Path) -> Parameters:
        """The parameters that it is deployed with.

        :raises ParameterError: the file or an override is wrong.
        """
        path = self.path if self.path is not None else root / "deployments" / "local.yaml"
        document = Document.read(path)
        tokens, assets = document.data.get("tokens", {}), document.data.get("assets", {})
        overrides: dict[str, Any] = {"roles": {"guardian": _address("guardian")}, "sequencer": None}
        if self.sequencer:
            feed = create_address(DEPLOYER, len(self.token_contracts))
            overrides["sequencer"] = {"feed": feed, "grace": {"value": GRACE, "why": WHY}}
        overrides |= {f"tokens.{name}.address": None for name in tokens}
        overrides |= {f"assets.{name}.{key}": None for name in assets for key in ("feed", "secondary")}
        if self.secondary:
            fed = [name for name, asset in assets.items() if asset.get("kind") == "chainlink"]
            for nonce, name in enumerate(fed, len(self.mocks)):
                terms = {key: {"value": value, "why": WHY} for key, value in SECONDARY.items()}
                overrides[f"assets.{name}.secondary"] = {"feed": create_address(DEPLOYER, nonce), **terms}
        for nonce, name in enumerate(self.token_contracts):
            overrides[f"tokens.{name}.address"] = create_address(DEPLOYER, nonce)
        if self.settlement_decimals is not None:
            settlements = {pool["settlement"] for pool in document.data.get("pools", {}).values()}
            overrides |= {f"tokens.{name}.decimals": str(self.settlement_decimals) for name in settlements}
        return Parameters.of(document.with_values(overrides | dict(self.overrides)))


@dataclass(frozen=True, slots=True)
class Actors:
    """Addresses by role. Each has ether, every token, and lets the Clearinghouse take them.

    The owner deployed everything; the LPs' capital is in the pools; the thief is nobody's friend.
    """

    owner: str
    guardian: str
    thief: str
    traders: tuple[str, ...]
    lps: tuple[str, ...]
    keepers: tuple[str, ...]

    @property
    def everybody(self) -> tuple[str, ...]:
        """All of them."""
        return (self.owner, self.guardian, self.thief, *self.traders, *self.lps, *self.keepers)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A deployed and funded system as a state, and what is needed to talk to it."""

    state: ChainState
    parameters: Parameters
    book: Book
    artifacts: Artifacts


def prepare(setting: Setting, *, cached: bool = True, changed: Mapping[str, Artifact] | None = None) -> Prepared:
    """The state for a setting: from disk if it is there, otherwise made in about two seconds and put there.

    :param changed: contracts to deploy instead of those of the same name.
    :raises ParameterError: the parameters are wrong.
    """
    root = repository_root()
    parameters = setting.parameters(root)
    artifacts = _artifacts(root, setting)
    if changed:
        artifacts = replace(artifacts, contracts={**artifacts.contracts, **changed})
    folder = root / CACHE / _key(setting, parameters, artifacts)
    known = load_state(folder) if cached else None
    if known is None:
        dump, book = _build(setting, parameters, artifacts, ANY_SIZE if changed else ())
        known = dump, {"book": book.model_dump(mode="json")}
        save_state(folder, *known)
    state = ChainState.of(known[0], parameters.chain_id)
    return Prepared(state, parameters, Book.model_validate(known[1]["book"]), artifacts)


def _artifacts(root: Path, setting: Setting) -> Artifacts:
    found = deployed_contracts(root)
    names = set(setting.mocks) | ({"MockAggregator"} if setting.secondary else set())
    if not names:
        return found
    only = [f"contracts/mocks/{name}.sol" for name in sorted(names)]
    more = compile_contracts(root, only=only, quiet=True)
    return Artifacts(root, {**more.contracts, **found.contracts}, found.warnings)


def _key(setting: Setting, parameters: Parameters, artifacts: Artifacts) -> str:
    """Changes with everything that decides the state."""
    digest = hashlib.sha256(parameters.configuration_hash.encode())
    digest.update(repr((sorted(setting.token_contracts.items()), setting.actors)).encode())
    for artifact in artifacts:
        digest.update(artifact.name.encode() + artifact.bytecode)
    own = Path(__file__).resolve()
    for source in (*sorted(Path(str(deploy_package.__file__)).parent.glob("*.py")), own, own.with_name("state.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _build(
    setting: Setting, parameters: Parameters, artifacts: Artifacts, extra: Sequence[str] = ()
) -> tuple[bytes, Book]:
    chain = parameters.chain_id
    with Anvil(
        chain_id=chain, timestamp=START, base_fee=0, gas_price=0, gas_limit=GAS_LIMIT, block_interval=1, extra=extra
    ) as anvil:
        sender = anvil.sender(0)
        # Their addresses follow from their order.
        minted = []
        for name, contract in setting.token_contracts.items():
            token = parameters.tokens[name]
            artifact = artifacts.artifact(contract)
            # What a mock takes beyond name, symbol and decimals says how it misbehaves: not yet.
            more = (0,) * (len(_inputs(artifact.abi)) - 3)
            made = create(artifact, token.name, name, token.decimals, *more, sender=sender)
            minted.append((made, TOKENS_EACH * 10**token.decimals))
        if setting.sequencer:
            create(artifacts.artifact("MockSequencerFeed"), START - DAY, sender=sender)
        _secondaries(parameters, artifacts, sender)
        for made, amount in minted:
            made.transact("mint", DEPLOYER, amount)
        deployment = deploy(sender, parameters, artifacts=artifacts)
        _fund(anvil, deployment, setting.actors)
        for name in deployment.pools:
            _provide(anvil, deployment, setting.actors, name)
        _publish(anvil, deployment)
        # Gas was paid for meanwhile.
        for actor in setting.actors.everybody:
            anvil.set_balance(actor, ETHER_EACH)
        dump = bytes.fromhex(str(anvil.rpc.request("anvil_dumpState"))[2:])
        return slim(dump), deployment.book


def _inputs(abi: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    """Parameters of a constructor."""
    found: Sequence[Any] = next((item["inputs"] for item in abi if item["type"] == "constructor"), ())
    return found


def _secondaries(parameters: Parameters, artifacts: Artifacts, sender: Sender) -> None:
    """A settable feed with the listing price for each asset that has a secondary source."""
    fed = [(asset, asset.secondary) for asset in parameters.assets.values() if asset.secondary is not None]
    made = [create(artifacts.artifact("MockAggregator"), asset.feed_decimals, sender=sender) for asset, _ in fed]
    for (asset, secondary), feed in zip(fed, made, strict=True):
        if feed.address != secondary.feed:
            raise FuzzError(f"a secondary feed is at {feed.address}, not at {secondary.feed}")
        feed.transact("push", asset.price.value // 10 ** (18 - asset.feed_decimals), START)


def _fund(anvil: Anvil, deployment: Deployment, actors: Actors) -> None:
    for actor in actors.everybody:
        anvil.set_balance(actor, ETHER_EACH)
        for name, token in deployment.tokens.items():
            amount = TOKENS_EACH * 10 ** deployment.parameters.tokens[name].decimals
            token.transact("mint", actor, amount, sender=actor)
            token.transact("approve", deployment.clearinghouse.address, NO_LIMIT, sender=actor)


def _provide(anvil: Anvil, deployment: Deployment, actors: Actors, name: str) -> None:
    """The LPs bring the capital that the pool is made for, in equal parts, and have shares for it."""
    pool: PoolHandles = deployment.pools[name]
    if not actors.lps:
        return
    part = native(deployment.parameters.pools[name].reference_nav.value, pool.decimals) // len(actors.lps)
    for lp in actors.lps:
        pool.lp.transact("requestDeposit", part, lp, lp, sender=lp)
    due = int(pool.lp.call("strikeTime", pool.lp.call("currentEpoch")))
    anvil.advance(max(due - anvil.now(), 1))
    _publish(anvil, deployment)
    keeper = actors.keepers[0] if actors.keepers else actors.owner
    pool.lp.transact("strike", AccountId(keeper, pool.id, 0).to_bytes(), sender=keeper)
    for lp in actors.lps:
        pool.lp.transact("deposit(uint256,address,address)", part, lp, lp, sender=lp)


def _publish(anvil: Anvil, deployment: Deployment) -> None:
    """Every settable feed publishes its price, each at the time of the next block."""
    for name, feed in deployment.feeds.items():
        asset = deployment.parameters.assets[name]
        time = anvil.now() + 1
        anvil.set_next_timestamp(time)
        Contract.transact(feed, "push", asset.price.value // 10 ** (18 - asset.feed_decimals), time, sender=DEPLOYER)


def _address(role: str) -> str:
    return checksum("0x" + keccak(text=f"plimsoll {role}")[12:].hex())
