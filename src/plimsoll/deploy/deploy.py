"""The one deploy function: scripts, the command line, tests and replays all use it.

It looks at what the chain has and sends only what is missing, so running it twice is safe, and running it after an
interruption completes the deployment. It never changes a parameter that is set: that is for governance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plimsoll.chain.artifacts import Artifacts
from plimsoll.chain.contract import Contract
from plimsoll.chain.signer import Sender
from plimsoll.deploy.book import Book, BookError
from plimsoll.deploy.checks import check
from plimsoll.deploy.configure import Configurator
from plimsoll.deploy.create import Creator, DeployError, create_address
from plimsoll.deploy.deployment import Deployment, block_hash, chain_id, deployed_contracts, handles, is_local
from plimsoll.deploy.parameters import ParameterError, Parameters
from plimsoll.deploy.structs import pool_terms

__all__ = ["DeployError", "deploy", "missing_addresses"]

CORE = ("solvency_module", "liquidation_module", "admin_module", "clearinghouse", "order_book")


def deploy(
    sender: Sender,
    parameters: Parameters,
    *,
    book: Path | None = None,
    fresh: bool = False,
    artifacts: Artifacts | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Deployment:
    """Deploys the system, or completes what an earlier run left.

    :param sender: the deployer, who becomes owner; a named other owner is offered every ownership at the end.
    :param book: file of the addresses; None keeps them in memory only.
    :param fresh: on a local chain, ignores the book and deploys another system.
    :raises ParameterError: parameters break an inequality, or are not for this chain: nothing was sent.
    :raises BookError: the book belongs to another chain or other parameters: nothing was sent.
    :raises DeployError: something outside is missing (a contract at a given address, tokens for the seed).
    """
    check(parameters)
    local = is_local(sender.rpc)
    _fits_chain(sender, parameters, local)
    compiled = artifacts if artifacts is not None else deployed_contracts()
    if fresh and not local:
        raise BookError("a fresh deployment over an existing one is for local chains; move the address book away")
    known = None if book is None or fresh else Book.read(book)
    if known is not None and block_hash(sender.rpc, known.first_block) != known.first_block_hash:
        if not local:
            raise BookError(
                f"{book} was written on another chain than the one at {sender.rpc.address}: its block "
                f"{known.first_block} is another one; name the right node, or move the file away to deploy anew"
            )
        progress(f"{book} belongs to another local chain; starting anew")
        known = None
    if known is not None and known.complete and known.configuration != parameters.configuration_hash:
        hint = "run it with --fresh for another system" if local else "change live parameters through governance"
        raise BookError(
            f"{parameters.source.path} has changed since it was deployed, and deploy changes nothing that is set; "
            f"{hint}, "
            "or see the differences with `plimsoll verify`"
        )
    if known is not None and not known.complete and known.deployer != sender.address:
        raise BookError(f"the deployment in {book} was begun by {known.deployer}; send from there to complete it")
    current = known if known is not None else _new_book(sender, parameters)
    current.configuration = parameters.configuration_hash
    creator = Creator(sender, current, compiled, book, progress)
    creator.adopt()
    contracts = _create_all(creator, parameters, sender.address)
    Configurator(creator, parameters, contracts).run()
    if not current.complete:
        current.complete = True
        creator.save()
    return handles(sender.rpc, parameters, current, compiled, sender)


def missing_addresses(parameters: Parameters) -> list[str]:
    """What a network without mocks must name, one line each."""
    source = parameters.source
    paths = [f"tokens.{name}.address" for name, token in parameters.tokens.items() if token.address is None]
    paths += [
        f"assets.{name}.feed"
        for name, asset in parameters.assets.items()
        if asset.kind == "chainlink" and asset.feed is None
    ]
    if parameters.pyth is None and any(asset.kind == "pyth" for asset in parameters.assets.values()):
        paths.append("pyth")
    return [
        f"{source.where(path)}: {path} is missing; mocks are for local chains only, name the contract" for path in paths
    ]


def _fits_chain(sender: Sender, parameters: Parameters, local: bool) -> None:
    here = chain_id(sender.rpc)
    if here != parameters.chain_id:
        raise ParameterError(
            f"{parameters.source.where('chain_id')}: the parameters are for chain {parameters.chain_id}, the node at "
            f"{sender.rpc.address} runs chain {here}; name another file or another node"
        )
    if local:
        return
    missing = missing_addresses(parameters)
    fixed = [f"assets.{name}.kind" for name, asset in parameters.assets.items() if asset.kind == "fixed"]
    missing += [f"{parameters.source.where(at)}: {at}: fixed prices are for local chains only" for at in fixed]
    if missing:
        raise ParameterError("\n".join(missing))


def _new_book(sender: Sender, parameters: Parameters) -> Book:
    block = sender.rpc.request("eth_getBlockByNumber", ["latest", False])
    return Book(
        network=parameters.network,
        chain_id=parameters.chain_id,
        first_block=int(block["number"], 16),
        first_block_hash=block["hash"],
        deployer=sender.address,
        configuration=parameters.configuration_hash,
    )


def _create_all(creator: Creator, parameters: Parameters, owner: str) -> Mapping[str, Contract]:
    found: dict[str, Contract] = {}
    for name, token in parameters.tokens.items():
        key = f"token:{name}"
        if token.address is not None:
            found[key] = creator.use(key, "MockToken", token.address, token.decimals)
        else:
            arguments = {"name_": token.name, "symbol_": name, "decimals_": token.decimals}
            found[key] = creator.create(key, "MockToken", arguments, mock=True)
    for name, asset in parameters.assets.items():
        key = f"feed:{name}"
        if asset.kind == "chainlink" and asset.feed is not None:
            found[key] = creator.use(key, "MockAggregator", asset.feed, asset.feed_decimals)
        elif asset.kind == "chainlink":
            found[key] = creator.create(key, "MockAggregator", {"decimals_": asset.feed_decimals}, mock=True)
    found["hub"] = creator.create("hub", "OracleHub", {"owner_": owner})
    found |= _create_core(creator, parameters, found["hub"].address, owner)
    found |= _create_lens(creator, found)
    for name, pool in parameters.pools.items():
        arguments = {
            "clearinghouse": found["clearinghouse"].address,
            "pool": pool.id,
            "asset_": found[f"token:{pool.settlement}"].address,
            "owner_": owner,
            "name_": pool.liquidity.name,
            "symbol_": pool.liquidity.symbol,
            "terms": pool_terms(pool.liquidity, parameters.tokens[pool.settlement].decimals),
        }
        found[f"pool:{name}"] = creator.create(f"pool:{name}", "LiquidityPool", arguments)
    arguments = {"hub": found["hub"].address, "clearinghouse": found["clearinghouse"].address}
    found["keeper_relay"] = creator.create("keeper_relay", "KeeperRelay", arguments)
    return found


def _create_lens(creator: Creator, found: Mapping[str, Contract]) -> dict[str, Contract]:
    shared = {
        "hub": found["hub"].address,
        "orderBook": found["order_book"].address,
        "clearinghouse": found["clearinghouse"].address,
    }
    views = creator.create("lens_views", "LensViews", shared)
    arguments = shared | {
        "views": views.address,
        "liquidationModule": found["liquidation_module"].address,
        "solvencyModule": found["solvency_module"].address,
    }
    return {"lens_views": views, "lens": creator.create("lens", "Lens", arguments)}


def _create_core(creator: Creator, parameters: Parameters, hub: str, owner: str) -> dict[str, Contract]:
    """The contracts that know each other by immutable addresses.

    The OrderBook comes last; the deployer's transaction number tells its address in advance.
    """
    book = creator.book
    waiting = [name for name in CORE if name not in book.contracts]
    if waiting and book.order_book_nonce is not None and creator.nonce() + len(waiting) - 1 != book.order_book_nonce:
        creator.progress("the deployer sent other transactions meanwhile: the core contracts are created again")
        creator.forget([*CORE])
        waiting, book.order_book_nonce = [*CORE], None
    if waiting and book.order_book_nonce is None:
        book.order_book_nonce = creator.nonce() + len(waiting) - 1
        creator.save()
    assert book.order_book_nonce is not None
    order_book = create_address(book.deployer, book.order_book_nonce)
    shared = {"hub": hub, "orderBook": order_book}
    solvency = creator.create("solvency_module", "SolvencyModule", shared)
    arguments: dict[str, Any] = shared | {"solvencyModule": solvency.address}
    modules = {
        "solvency_module": solvency,
        "liquidation_module": creator.create("liquidation_module", "LiquidationModule", arguments),
        "admin_module": creator.create("admin_module", "AdminModule", shared),
    }
    arguments = shared | {
        "liquidationModule": modules["liquidation_module"].address,
        "solvencyModule": modules["solvency_module"].address,
        "adminModule": modules["admin_module"].address,
        "initialOwner": owner,
    }
    clearinghouse = creator.create("clearinghouse", "Clearinghouse", arguments)
    arguments = {
        "clearinghouse": clearinghouse.address,
        "hub": hub,
        "clockSkew": parameters.clock_skew.value,
        "owner_": owner,
    }
    created = creator.create("order_book", "OrderBook", arguments)
    if created.address != order_book or clearinghouse.call("ORDER_BOOK") != created.address:
        raise DeployError(f"the OrderBook is at {created.address}, the Clearinghouse was built for {order_book}")
    return modules | {"clearinghouse": clearinghouse, "order_book": created}
