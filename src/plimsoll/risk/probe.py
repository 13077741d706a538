"""What the Lens says: health of the accounts that can be below the line, solvency and value of the pools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.chain.contract import Contract
from plimsoll.chain.errors import RpcError
from plimsoll.deploy.deployment import Deployment
from plimsoll.risk.setting import ReplayError

__all__ = ["Health", "PoolReading", "Probe"]

PAGE = 250
CALL_GAS = hex(2_000_000_000)
SIGN = 1 << 255


@dataclass(frozen=True, slots=True)
class Health:
    """equity^M, MM (both WAD) and the newest publish time used."""

    equity: int
    required: int
    newest: int


@dataclass(frozen=True, slots=True)
class PoolReading:
    """Solvency bitmap and `PoolView` of a pool."""

    solvency: int
    view: Any


class Probe:
    """Asks the Lens, in one round trip each. Solvency needs all `accounts` that can ever be written."""

    def __init__(self, deployment: Deployment, accounts: Iterable[bytes]) -> None:
        if deployment.lens is None:
            raise ReplayError("the deployment has no Lens; it is needed to see who can be liquidated")
        self._lens: Contract = deployment.lens
        self._rpc = deployment.rpc
        self._view = self._lens.function("pool")
        self._health = self._lens.encode("healthBatch", [])[:10]
        self._pools: dict[str, tuple[str, str]] = {}
        everybody = list(accounts)
        for name, pool in deployment.pools.items():
            own = [account for account in everybody if int.from_bytes(account[20:22], "big") == pool.id]
            self._pools[name] = self._lens.encode("solvency", pool.id, own), self._lens.encode("pool", pool.id)

    def health(self, accounts: Sequence[bytes]) -> dict[bytes, Health]:
        """Health of accounts, at the latest block."""
        pages = [accounts[start : start + PAGE] for start in range(0, len(accounts), PAGE)]
        data = [f"{self._health}{32:064x}{len(page):064x}{b''.join(page).hex()}" for page in pages]
        found: dict[bytes, Health] = {}
        for page, answer in zip(pages, self._ask(data), strict=True):
            found |= zip(page, _healths(answer, len(page)), strict=True)
        return found

    def pools(self) -> dict[str, PoolReading]:
        """Solvency and value of all pools, at the latest block."""
        answers = iter(self._ask([data for pair in self._pools.values() for data in pair]))
        found = {}
        for name in self._pools:
            bitmap, view = next(answers), next(answers)
            found[name] = PoolReading(int(bitmap, 16), self._view.decode(bytes.fromhex(view[2:])))
        return found

    def _ask(self, calls: Iterable[str]) -> list[str]:
        requests: list[tuple[str, list[Any]]] = [
            ("eth_call", [{"to": self._lens.address, "data": data, "gas": CALL_GAS}, "latest"]) for data in calls
        ]
        answers: list[Any] = self._rpc.batch(requests) if requests else []
        for answer in answers:
            if isinstance(answer, RpcError):
                raise self._lens.errors.from_rpc(answer) or answer
        return answers


def _healths(answer: str, count: int) -> Sequence[Health]:
    """Three arrays of `count` words, each behind its length: decoded by place, which is many times faster."""
    words = bytes.fromhex(answer[2:])

    def column(number: int) -> list[int]:
        start = int.from_bytes(words[32 * number : 32 * number + 32], "big") + 32
        return [int.from_bytes(words[start + 32 * i : start + 32 * i + 32], "big") for i in range(count)]

    equities = [value - 2 * SIGN if value & SIGN else value for value in column(0)]
    return [Health(*row) for row in zip(equities, column(1), column(2), strict=True)]
