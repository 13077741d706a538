"""An OrderBook between a mock Clearinghouse and a mock OracleHub, whose answers a test decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import compile_contracts
from plimsoll.chain.contract import Contract, deploy
from plimsoll.chain.receipt import Event, Receipt
from plimsoll.chain.signer import UnlockedSender

__all__ = [
    "ASSET",
    "CLOCK_SKEW",
    "FEE",
    "MARKET",
    "NO_LIMIT",
    "RESULTS",
    "RULES",
    "START",
    "WAD",
    "Desk",
    "Order",
    "account_of",
    "desk",
    "error_data",
]

START = 1_700_000_000
WAD = 10**18
FEE = 2 * 10**17
NO_LIMIT = (1 << 256) - 1
SOURCES = ("contracts/OrderBook.sol", "contracts/mocks/MockClearinghouse.sol", "contracts/mocks/MockOracleHub.sol")
MARKET = 1 << 8 | 3
ASSET = 7
# asset, settlementDelay, cancelMargin, execWindow, latency, minKeeperFee
RULES = (ASSET, 10, 4, 30, 6, 10**17)
CLOCK_SKEW = 2
RESULTS = (
    "Filled",
    "Cancelled",
    "Expired",
    "NotPending",
    "NotHead",
    "NoPriceYet",
    "NotFirstPrice",
    "PriceFailed",
    "PriceInvalid",
    "Refused",
    "StillOpen",
)


def account_of(owner: str, sub: int = 0, pool: int = 1) -> bytes:
    """The account id of an owner."""
    return bytes.fromhex(owner[2:]) + pool.to_bytes(2, "big") + sub.to_bytes(10, "big")


def error_data(signature: str, *args: Any) -> bytes:
    """Revert data of a custom error with static arguments."""
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(kinds.split(",") if kinds else [], args)


@dataclass(frozen=True, slots=True)
class Order:
    """A placed order, fields as in the contract's struct."""

    account: bytes
    market: int
    id: int
    placed_at: int
    size_delta: int
    limit_price: int
    expiry: int
    keeper_fee: int
    reduce_only: bool
    client_id: bytes

    @classmethod
    def of(cls, placed: Event) -> Order:
        """From its event alone, as a keeper learns it."""
        return cls(
            account=placed["account"],
            market=placed["market"],
            id=placed["id"],
            placed_at=placed["placedAt"],
            size_delta=placed["sizeDelta"],
            limit_price=placed["limitPrice"],
            expiry=placed["expiry"],
            keeper_fee=placed["keeperFee"],
            reduce_only=placed["reduceOnly"],
            client_id=placed["clientId"],
        )


@dataclass(frozen=True, slots=True)
class Desk:
    """The contracts and who uses them."""

    anvil: Anvil
    book: Contract
    house: Contract
    hub: Contract
    owner: UnlockedSender
    trader: UnlockedSender
    keeper: UnlockedSender
    outsider: UnlockedSender

    @property
    def account(self) -> bytes:
        return account_of(self.trader.address)

    @property
    def keeper_account(self) -> bytes:
        return account_of(self.keeper.address)

    def at(self, time: int) -> None:
        """The next transaction happens at this time."""
        self.anvil.set_next_timestamp(time)

    def try_place(
        self,
        *,
        account: bytes | None = None,
        market: int = MARKET,
        size: int = WAD,
        limit: int = NO_LIMIT,
        life: int = 600,
        fee: int = FEE,
        reduce_only: bool = False,
        client_id: bytes = bytes(32),
        after: int = 1,
        sender: UnlockedSender | None = None,
    ) -> Receipt:
        """Places an order `after` seconds from the latest block, to expire `life` seconds later."""
        time = self.anvil.now() + after
        self.at(time)
        args = (account or self.account, market, size, limit, time + life, fee, reduce_only, client_id)
        return self.book.transact("placeOrder", *args, sender=sender or self.trader)

    def place(self, **options: Any) -> Order:
        """Places an order and reads it from its event."""
        return Order.of(self.try_place(**options).event("OrderPlaced"))

    def price(self, time: int, *, price: int = 2_000 * WAD, flags: int = 0, asset: int = ASSET) -> None:
        """Adds a price to the hub's list; it is visible from `time` on."""
        self.hub.transact("push", asset, price, time, flags)

    def run(
        self,
        *orders: Order,
        time: int | None = None,
        fn: str = "executeOrders",
        hints: tuple[bytes, ...] = (),
        keeper: bytes | None = None,
        value: int = 0,
        gas: int | None = None,
        sender: UnlockedSender | None = None,
    ) -> tuple[list[str], Receipt]:
        """Executes (or expires) a batch at `time` and names the result of each item, and gives the receipt."""
        hints = hints or (b"",) * len(orders)
        items = [(astuple(order), hint) for order, hint in zip(orders, hints, strict=True)]
        args = (items, keeper or self.keeper_account)
        sender = sender or self.keeper
        time = time if time is not None else self.anvil.now() + 1
        with self.anvil.snapshot():
            # A receipt has no return values: the same batch at the same time tells them.
            self.anvil.advance(time - self.anvil.now())
            results = self.book.call(fn, *args, sender=sender, value=value)
        self.at(time)
        receipt = self.book.transact(fn, *args, sender=sender, value=value, gas=gas)
        return [RESULTS[result] for result in results], receipt

    def fee_of(self, account: bytes) -> int:
        """Fees that an account has got back or earned."""
        return int(self.house.call("feesOf", account))

    def pending(self, account: bytes | None = None) -> tuple[int, int]:
        """Newest id and number of pending orders."""
        last, count = self.book.call("pending", account or self.account, MARKET)
        return last, count

    def fill_fails(self, mode: int, data: bytes = b"", account: bytes | None = None) -> None:
        """Fills of an account end by `MockClearinghouse.Mode` from now on."""
        self.house.transact("setMode", account or self.account, mode, data)

    def hub_fails(self, mode: int, data: bytes = b"") -> None:
        """The hub answers by `MockOracleHub.Mode` from now on."""
        self.hub.transact("setMode", mode, data)


@contextmanager
def desk() -> Iterator[Desk]:
    """Deploys everything on a node of its own, where each block is one second after the one before."""
    artifacts = compile_contracts(only=SOURCES, quiet=True)
    with Anvil(timestamp=START, block_interval=1) as anvil:
        owner = anvil.sender(0)
        hub = deploy(artifacts.artifact("MockOracleHub"), sender=owner)
        nonce = int(anvil.rpc.request("eth_getTransactionCount", [owner.address, "latest"]), 16)
        # RLP of (address, nonce) for a nonce of one byte.
        created = keccak(b"\xd6\x94" + bytes.fromhex(owner.address[2:]) + bytes([nonce + 1]))[12:]
        house = deploy(artifacts.artifact("MockClearinghouse"), created, sender=owner)
        book = deploy(artifacts.artifact("OrderBook"), house, hub, CLOCK_SKEW, owner, sender=owner, events=house.events)
        assert book.address.lower() == "0x" + created.hex()
        book.transact("setMarket", MARKET, RULES)
        yield Desk(anvil, book, house, hub, owner, anvil.sender(1), anvil.sender(2), anvil.sender(3))
