"""A pytest plugin that keeps every case which a test of the maths compares with the specification.

The file `build/mutants/maths.json` gets, by harness and function, call data and what the specification says to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.support.harness import Case, Harness, word

from plimsoll.chain.errors import Revert

CASES = Path("build", "mutants", "maths.json")
MOST = 10_000
"""Cases of one function that are kept, spread over all of them."""

_found: dict[str, dict[str, str]] = {}
_check = Harness.check


def _recorded(self: Harness, fn: str, mirror: Callable[..., Any], cases: Iterable[Case]) -> list[Any]:
    listed = list(cases)
    results = _check(self, fn, mirror, listed)
    function = self.contract.function(fn)
    kept = _found.setdefault(fn, {})
    for case, result in zip(listed, results, strict=True):
        if not isinstance(result, Revert):
            data = function.selector + b"".join(map(word, case))
            kept[data.hex()] = _words(mirror(*case)).hex()
    return results


def _words(value: Any) -> bytes:
    values = value if isinstance(value, tuple) else (value,)
    return b"".join((int(one) % 2**256).to_bytes(32, "big") for one in values)


def pytest_configure(config: pytest.Config) -> None:
    del config
    Harness.check = _recorded  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    del session
    thinned = {}
    for fn, cases in sorted(_found.items()):
        step = max(len(cases) // MOST, 1)
        thinned[fn] = sorted(cases.items())[::step]
    CASES.parent.mkdir(parents=True, exist_ok=True)
    CASES.write_text(json.dumps(thinned), encoding="utf-8")
