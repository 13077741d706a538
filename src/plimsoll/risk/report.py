"""The report of a replay: `summary.json`, and an HTML page whose pictures are also files under `plots/`.

`summary.json` (and `--json`, which prints the same) is written so that nothing is lost:

* counts, blocks, steps, gas and times are JSON integers; `seconds` is the only number that is not one
* money and prices are strings of decimal units of the settlement asset, exact to the last of 18 decimals: `"-12.5"`
* `wad` repeats every amount of money as a string of its WAD integer, because many readers of JSON round above 2^53
* `wind_down.residue_wei` is a JSON integer, and `invariants` maps each id to true or false
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from plimsoll.errors import PlimsollError
from plimsoll.risk.prices import WAD, PriceSeries, utc
from plimsoll.risk.records import (
    ClosedPosition,
    GasUse,
    HealthSample,
    InvariantRecord,
    LiquidationRecord,
    MarketSample,
    OrderCounts,
    PoolResult,
    PoolSample,
    PriceRange,
    ReplayReport,
    WindDown,
)

__all__ = [
    "MAX_BLOCKS_UNHEALTHY",
    "ClosedPosition",
    "GasUse",
    "HealthSample",
    "InvariantRecord",
    "LiquidationRecord",
    "MarketSample",
    "OrderCounts",
    "PoolResult",
    "PoolSample",
    "PriceRange",
    "ReplayReport",
    "ReportError",
    "WindDown",
    "decimal_units",
    "failures",
    "price_range",
    "summary_json",
    "to_summary",
    "write_report",
]

MAX_BLOCKS_UNHEALTHY = 2


class ReportError(PlimsollError):
    """The report cannot be written where it was asked for."""


def price_range(series: PriceSeries) -> PriceRange:
    """What the report says about the prices of one symbol."""
    bars = series.bars
    return PriceRange(
        symbol=series.symbol,
        source=Path(series.source).name,
        bars=len(bars),
        gaps=len(series.gaps),
        start_time=bars[0].time,
        end_time=bars[-1].time + series.interval,
        first=bars[0].open,
        lowest=min(bar.low for bar in bars),
        highest=max(bar.high for bar in bars),
        last=bars[-1].close,
    )


def failures(report: ReplayReport) -> list[str]:
    """Why the replay did not pass, a sentence each; empty when it passed."""
    found = [
        f"{record.id} failed at step {record.at_step}: worst slack {record.worst_slack:,} {record.unit}"
        for record in report.invariants
        if not record.ok
    ]
    if not report.invariants:
        found.append("no invariant was checked")
    if report.wind_down.stuck:
        found.append(f"{len(report.wind_down.stuck)} could not leave: {', '.join(report.wind_down.stuck[:5])}")
    if report.max_blocks_unhealthy > MAX_BLOCKS_UNHEALTHY:
        blocks = report.max_blocks_unhealthy
        found.append(f"an account stayed liquidatable for {blocks} blocks, at most {MAX_BLOCKS_UNHEALTHY} are allowed")
    return found


def to_summary(report: ReplayReport) -> dict[str, object]:
    """The content of `summary.json`; the module's text says how numbers are written."""
    full = sum(record.full for record in report.liquidations)
    money = {
        "bad_debt": report.bad_debt,
        "traders_pnl": report.traders_pnl,
        "keeper_reward": report.keeper_reward,
    }
    spans = {
        "insurance": (sum(p.insurance_start for p in report.pools), sum(p.insurance_end for p in report.pools)),
        "pool_nav": (sum(p.nav_start for p in report.pools), sum(p.nav_end for p in report.pools)),
    }
    reasons = failures(report)
    return {
        "passed": not reasons,
        "failures": reasons,
        "seed": report.seed,
        "threshold_bps": report.threshold_bps,
        "prices": {item.symbol: prices_summary(item) for item in report.prices},
        "steps": report.steps,
        "blocks": report.blocks,
        "accounts": report.accounts,
        "lps": report.lps,
        "orders": {
            "placed": report.orders.placed,
            "filled": report.orders.filled,
            "cancelled": report.orders.cancelled,
            "expired": report.orders.expired,
        },
        "liquidations": {"total": len(report.liquidations), "partial": len(report.liquidations) - full, "full": full},
        "collateral_sales": report.collateral_sales,
        "deleveragings": report.deleveragings,
        **{name: decimal_units(value) for name, value in money.items()},
        **{name: start_end(start, end, decimal_units) for name, (start, end) in spans.items()},
        "pools": {
            pool.pool: {
                "nav": start_end(pool.nav_start, pool.nav_end, decimal_units),
                "insurance": start_end(pool.insurance_start, pool.insurance_end, decimal_units),
            }
            for pool in report.pools
        },
        "wad": {
            **{name: str(value) for name, value in money.items()},
            **{name: start_end(start, end, str) for name, (start, end) in spans.items()},
        },
        "keeper_gas": report.keeper_gas,
        "max_blocks_unhealthy": report.max_blocks_unhealthy,
        "keeper_latency_ms": latency(report.keeper_seconds),
        "invariants": {record.id: record.ok for record in report.invariants},
        "worst_slack": {
            record.id: {"slack": str(record.worst_slack), "unit": record.unit, "at_step": record.at_step}
            for record in report.invariants
        },
        "wind_down": {
            "residue_wei": report.wind_down.residue_wei,
            "stuck": len(report.wind_down.stuck),
            "stuck_names": list(report.wind_down.stuck),
        },
        "seconds": round(report.seconds, 1),
    }


def latency(seconds: Sequence[float]) -> dict[str, float | int]:
    """Distribution of the keeper's latency, milliseconds to a tenth; only the count when there is none."""
    ranked = sorted(seconds)
    found: dict[str, float | int] = {"count": len(ranked)}
    if ranked:
        for name, percent in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)):
            found[name] = round(ranked[percent * (len(ranked) - 1) // 100] * 1_000, 1)
    return found


def start_end(start: int, end: int, text: Callable[[int], str]) -> dict[str, str]:
    return {"start": text(start), "end": text(end)}


def prices_summary(item: PriceRange) -> dict[str, object]:
    return {
        "source": item.source,
        "bars": item.bars,
        "gaps": item.gaps,
        "start": utc(item.start_time),
        "end": utc(item.end_time),
        "first": decimal_units(item.first),
        "lowest": decimal_units(item.lowest),
        "highest": decimal_units(item.highest),
        "last": decimal_units(item.last),
    }


def summary_json(report: ReplayReport) -> str:
    """`summary.json` as text, with a newline at its end."""
    return json.dumps(to_summary(report), indent=2, ensure_ascii=False) + "\n"


def write_report(data: ReplayReport, directory: str | Path) -> None:
    """Writes `summary.json`, `index.html` and `plots/*.png` into `directory`, which is made if need be."""
    from plimsoll.risk.plots import draw  # Matplotlib takes long to load and only a written report needs it

    folder = Path(directory)
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text(summary_json(data), encoding="utf-8")
        pictures = draw(data)
        for picture in pictures:
            (folder / "plots" / f"{picture.name}.png").write_bytes(picture.png)
        page = (
            environment()
            .get_template("report.html.j2")
            .render(
                report=data,
                summary=to_summary(data),
                failures=failures(data),
                pictures=[(picture, b64encode(picture.png).decode("ascii")) for picture in pictures],
                market_names=list(dict.fromkeys(sample.market for sample in data.market_samples)),
            )
        )
        (folder / "index.html").write_text(page, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportError(
            f"cannot write the report to {folder} ({reason}); give a folder that can be written"
        ) from None


def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("plimsoll.risk"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(money=money_text, amount=amount_text, utc=utc, health=health_text)
    return made


def decimal_units(wad: int) -> str:
    """A WAD integer as exact decimal text without needless zeros: `-12.5`, `0`, `0.000000000000000001`."""
    whole, rest = divmod(abs(wad), WAD)
    text = f"{whole}.{rest:018d}".rstrip("0").rstrip(".")
    return f"-{text}" if wad < 0 else text


def money_text(wad: int) -> str:
    """Money for people, rounded to cents: `−$1,234.50`. An amount that cents cannot show is `<$0.01`."""
    cents = (abs(wad) * 100 + WAD // 2) // WAD
    sign = "−" if wad < 0 else ""
    return f"{sign}${cents // 100:,}.{cents % 100:02d}" if cents or not wad else f"{sign}<$0.01"


def amount_text(wad: int) -> str:
    """A size or price for people: six significant digits, or every digit before the point."""
    whole, rest = divmod(abs(wad), WAD)
    decimals = max(0, 6 - len(str(whole)))
    text = f"{whole:,}"
    if decimals and (shown := f"{rest:018d}"[:decimals].rstrip("0")):
        text = f"{text}.{shown}"
    return f"−{text}" if wad < 0 else text


def health_text(wad: int) -> str:
    """Health with three decimals, rounded down, so that what is below 1 never shows as 1."""
    thousandths = wad * 1_000 // WAD
    sign = "−" if thousandths < 0 else ""
    return f"{sign}{abs(thousandths) // 1_000}.{abs(thousandths) % 1_000:03d}"
