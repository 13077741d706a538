"""The pictures of a replay, drawn with Matplotlib's Agg canvas. Here, and only here, integers become floats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from statistics import median

from matplotlib import dates as mdates
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from plimsoll.risk.records import LiquidationRecord, MarketSample, ReplayReport

__all__ = ["Picture", "draw"]

WAD = 10**18
# Colours that stay apart for every kind of colour blindness (Okabe and Ito).
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
INK, FAINT = "#1f2933", "#d9dee3"
DPI = 110
WIDTH = 11.0
HEALTH_FLOOR, HEALTH_CEILING = 0.1, 100.0
QUANTILES = (0, 5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True)
class Picture:
    """One PNG: its file name without ending, a title, and a sentence that says how to read it."""

    name: str
    title: str
    caption: str
    png: bytes


def draw(report: ReplayReport) -> list[Picture]:
    """All pictures, in the order in which the page shows them."""
    drawings: tuple[tuple[str, str, str, Callable[[ReplayReport], Figure]], ...] = (
        (
            "price_and_funding",
            "Price and funding rate",
            "Top: the oracle's price. Bottom: the funding rate; above zero longs pay shorts.",
            price_and_funding,
        ),
        (
            "open_interest_and_skew",
            "Open interest and skew",
            "Longs above zero, shorts below, valued at the oracle's price. The line is the difference, "
            "which the pool holds against the traders.",
            open_interest_and_skew,
        ),
        (
            "pool_nav_and_insurance",
            "Pool value and insurance",
            "Top: what the pool's shares are worth together. Bottom: what insurance holds.",
            nav_and_insurance,
        ),
        (
            "liquidations_over_price",
            "Liquidations over price",
            "Each mark is a position that a liquidation closed, fully or in part, at the price at which it happened; "
            "its area grows with the value closed.",
            liquidations_over_price,
        ),
        (
            "health",
            "Distribution of health",
            "Health is equity divided by the maintenance requirement; below 1 an account is liquidated. "
            "The bands hold the middle half and nine tenths of the accounts.",
            health,
        ),
        (
            "gas_per_action",
            "Gas per action",
            "Box: the middle half of the transactions. Whiskers: smallest and largest. "
            "The number in front is the median, the one in brackets the count.",
            gas_per_action,
        ),
        (
            "keeper_latency",
            "Latency of the keeper",
            "From the keeper's first look at the block with the price to the hand-over of the transaction, for each "
            "account that it sent to be liquidated, by the clock of the machine that ran the replay.",
            keeper_latency,
        ),
    )
    return [Picture(name, title, caption, png_of(plot(report))) for name, title, caption, plot in drawings]


def price_and_funding(report: ReplayReport) -> Figure:
    markets = by_market(report.market_samples)
    figure, axes = grid(2, len(markets), 5.2, (1.6, 1.0))
    for column, (market, samples) in enumerate(markets.items()):
        top, bottom = axes[0][column], axes[1][column]
        times = moments(sample.time for sample in samples)
        top.plot(times, [real(sample.price) for sample in samples], color=INK, linewidth=1.3)
        rates = [real(sample.funding_rate) * 100 for sample in samples]
        bottom.axhline(0, color=INK, linewidth=0.7)
        bottom.plot(times, rates, color=PURPLE, linewidth=1.3)
        bottom.fill_between(times, rates, color=PURPLE, alpha=0.2, linewidth=0)
        top.set_title(market)
        top.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        if column == 0:
            top.set_ylabel("price ($)")
            bottom.set_ylabel("funding (% per day)")
        time_axis(bottom)
    return figure


def open_interest_and_skew(report: ReplayReport) -> Figure:
    markets = by_market(report.market_samples)
    figure, axes = grid(1, len(markets), 3.9)
    for column, (market, samples) in enumerate(markets.items()):
        axis = axes[0][column]
        times = moments(sample.time for sample in samples)
        longs = [real(sample.long_size * sample.price // WAD) for sample in samples]
        shorts = [-real(sample.short_size * sample.price // WAD) for sample in samples]
        skews = [long + short for long, short in zip(longs, shorts, strict=True)]
        axis.fill_between(times, longs, color=BLUE, alpha=0.55, linewidth=0, label="long")
        axis.fill_between(times, shorts, color=ORANGE, alpha=0.65, linewidth=0, label="short")
        axis.plot(times, skews, color=INK, linewidth=1.3, label="skew (long − short)")
        axis.axhline(0, color=INK, linewidth=0.7)
        axis.set_title(market)
        unit = money_axis(axis, [*longs, *shorts])
        axis.set_ylabel(f"open interest ({unit})")
        time_axis(axis)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def nav_and_insurance(report: ReplayReport) -> Figure:
    pools = list(dict.fromkeys(sample.pool for sample in report.pool_samples))
    figure, axes = grid(2, len(pools), 5.0)
    for column, pool in enumerate(pools):
        samples = [sample for sample in report.pool_samples if sample.pool == pool]
        times = moments(sample.time for sample in samples)
        rows = (
            ("pool value", BLUE, [real(sample.nav) for sample in samples]),
            ("insurance", GREEN, [real(sample.insurance) for sample in samples]),
        )
        for row, (name, colour, values) in enumerate(rows):
            axis = axes[row][column]
            axis.plot(times, values, color=colour, linewidth=1.6)
            if min(values) <= 0:
                axis.axhline(0, color=RED, linewidth=0.8)
            unit = money_axis(axis, values)
            axis.set_ylabel(f"{name} ({unit})")
        axes[0][column].set_title(f"pool {pool}")
        time_axis(axes[1][column])
    return figure


def liquidations_over_price(report: ReplayReport) -> Figure:
    markets = by_market(report.market_samples)
    figure, axes = grid(1, len(markets), 4.2)
    largest = max((part.notional for record in report.liquidations for part in record.closed), default=1) or 1
    kinds = ((True, RED, "o", "closed fully"), (False, BLUE, "^", "closed in part"))
    for column, (market, samples) in enumerate(markets.items()):
        axis = axes[0][column]
        times = moments(sample.time for sample in samples)
        axis.plot(times, [real(sample.price) for sample in samples], color="#8a949e", linewidth=1.0, zorder=1)
        counts = []
        for full, colour, marker, label in kinds:
            marks = closed_in(report.liquidations, market, full)
            axis.scatter(
                moments(time for time, _, _ in marks),
                [real(price) for _, price, _ in marks],
                s=[10 + 110 * notional / largest for _, _, notional in marks],
                color=colour,
                marker=marker,
                alpha=0.6,
                edgecolors="white",
                linewidths=0.5,
                label=label,
                zorder=2 if full else 3,
            )
            counts.append(len(marks))
        axis.set_title(f"{market}: {counts[0]} fully, {counts[1]} in part")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        if column == 0:
            axis.set_ylabel("price ($)")
        time_axis(axis)
    handles, labels = axes[0][0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([60])
    return figure


def health(report: ReplayReport) -> Figure:
    figure, axes = grid(2, 1, 5.2, (2.4, 1.0))
    top, bottom = axes[0][0], axes[1][0]
    samples = [sample for sample in report.health_samples if sample.healths]
    if not samples:
        nothing(top, "no account had a position")
    else:
        times = moments(sample.time for sample in samples)
        ranked = [sorted(sample.healths) for sample in samples]
        lines = {
            percent: [
                min(max(real(row[percent * (len(row) - 1) // 100]), HEALTH_FLOOR), HEALTH_CEILING) for row in ranked
            ]
            for percent in QUANTILES
        }
        top.fill_between(times, lines[5], lines[95], color=SKY, alpha=0.35, linewidth=0, label="5 % to 95 %")
        top.fill_between(times, lines[25], lines[75], color=BLUE, alpha=0.4, linewidth=0, label="25 % to 75 %")
        top.plot(times, lines[50], color=BLUE, linewidth=1.6, label="median")
        top.plot(times, lines[0], color=INK, linewidth=0.9, label="worst account")
        top.axhline(1, color=RED, linewidth=1.3, linestyle="--", label="liquidation line")
        top.set_yscale("log")
        top.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        top.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        top.yaxis.set_minor_formatter(NullFormatter())
        top.legend(loc="upper right", ncols=5, frameon=True, framealpha=0.9, edgecolor="none")
        low, high = top.get_ylim()
        top.set_ylim(low, high * 1.8)
    top.set_ylabel("health")
    times = moments(sample.time for sample in report.health_samples)
    counts = [len(sample.healths) for sample in report.health_samples]
    bottom.step(times, counts, where="post", color=INK, linewidth=1.2)
    bottom.set_ylim(0, max([*counts, 1]) * 1.1)
    bottom.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    bottom.set_ylabel("accounts with\na position")
    time_axis(bottom)
    return figure


def gas_per_action(report: ReplayReport) -> Figure:
    uses = sorted((use for use in report.gas if use.used), key=lambda use: median(use.used))
    figure, axes = grid(1, 1, 1.4 + 0.42 * max(len(uses), 1))
    axis = axes[0][0]
    if not uses:
        nothing(axis, "no transaction was measured")
        return figure
    ink = {"color": INK, "linewidth": 1.0}
    axis.boxplot(
        [[used / 1_000 for used in use.used] for use in uses],
        orientation="horizontal",
        whis=(0, 100),
        widths=0.55,
        patch_artist=True,
        boxprops={"facecolor": SKY, "edgecolor": INK, "linewidth": 0.8},
        medianprops={"color": RED, "linewidth": 2.0},
        whiskerprops=ink,
        capprops=ink,
    )
    names = [f"{use.action}   {median(use.used) / 1_000:,.0f}k   ({len(use.used):,})" for use in uses]
    axis.set_yticks(range(1, len(uses) + 1), names)
    axis.set_xlim(left=0)
    axis.set_xlabel("gas (thousands)")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.grid(visible=False, axis="y")
    return figure


def keeper_latency(report: ReplayReport) -> Figure:
    figure, axes = grid(1, 1, 3.2)
    axis = axes[0][0]
    if not report.keeper_seconds:
        nothing(axis, "nobody was sent to be liquidated")
        return figure
    ranked = sorted(report.keeper_seconds)
    shares = [100 * (at + 1) / len(ranked) for at in range(len(ranked))]
    axis.step([seconds * 1_000 for seconds in ranked], shares, where="post", color=BLUE, linewidth=1.6)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_ylim(0, 102)
    axis.set_xlabel("milliseconds")
    axis.set_ylabel("% of accounts")
    return figure


def by_market(samples: Iterable[MarketSample]) -> dict[str, list[MarketSample]]:
    found: dict[str, list[MarketSample]] = {}
    for sample in samples:
        found.setdefault(sample.market, []).append(sample)
    return found


def closed_in(records: Sequence[LiquidationRecord], market: str, full: bool) -> list[tuple[int, int, int]]:
    """(time, price, notional) of what liquidations closed in a market, full ones or partial ones."""
    return [
        (record.time, part.price, part.notional)
        for record in records
        if record.full is full
        for part in record.closed
        if part.market == market
    ]


def grid(
    rows: int, columns: int, height: float, ratios: Sequence[float] | None = None
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of `rows` × `columns` axes in the house style; columns share their time axis."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    columns = max(columns, 1)
    axes = figure.subplots(rows, columns, squeeze=False, sharex="col", height_ratios=ratios)
    for axis in axes.flat:
        axis.grid(color=FAINT, linewidth=0.7)
        axis.set_axisbelow(True)
        axis.tick_params(colors=INK, labelsize=9)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color("#8a949e")
    return figure, [list(row) for row in axes]


def time_axis(axis: Axes) -> None:
    locator = mdates.AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axis.set_xlabel("time (UTC)")


def money_axis(axis: Axes, values: Sequence[float]) -> str:
    """Scales the money of an axis so that its labels are short; returns the unit for its label."""
    largest = max((abs(value) for value in values), default=0.0)
    scale, unit = next(((s, u) for s, u in ((1e9, "$bn"), (1e6, "$M"), (1e3, "$k")) if largest >= s), (1.0, "$"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:,.6g}".replace("-", "−")))
    return unit


def nothing(axis: Axes, text: str) -> None:
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color="#5f6b76", fontsize=12)
    axis.set_yticks([])


def moments(times: Iterable[int]) -> list[float]:
    """Times as Matplotlib counts them: days since 1970, UTC."""
    return [time / 86_400 for time in times]


def real(wad: int) -> float:
    return wad / WAD


def png_of(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
