"""Numbers and times as a narrow screen shows them. For display only."""

from __future__ import annotations

from plimsoll.units import WAD, format_units

__all__ = ["age", "count", "distance", "ether", "fee", "margin", "money", "short_hash"]

GWEI = 10**9
PPM = 10**6


def count(number: int) -> str:
    """`1,460,000`"""
    return f"{number:,}"


def age(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2 h`, `5 d`"""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def ether(wei: int) -> str:
    """Five significant places at most, cut toward zero; tiny amounts in gwei."""
    if wei and abs(wei) < 10**13:
        return f"{_cut(wei, 9, 3)} gwei"
    return f"{_cut(wei, 18, 5)} ETH"


def fee(wei: int) -> str:
    """Per gas: `12.3 gwei`."""
    return f"{_cut(wei, 9, 3)} gwei"


def money(wad: int) -> str:
    """`$1,234.56`, cut toward zero."""
    sign, cents = ("-" if wad < 0 else ""), abs(wad) * 100 // WAD
    return f"{sign}${cents // 100:,}.{cents % 100:02d}"


def distance(ppm: int) -> str:
    """`1.25 %`, cut toward zero."""
    sign, hundredths = ("-" if ppm < 0 else ""), abs(ppm) // 100
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d} %"


def margin(below_ppm: int) -> str:
    """`<1.05` of 1 050 000 ppm."""
    return f"<{format_units(below_ppm, 6)}"


def short_hash(text: str) -> str:
    """`0x1234…cdef`"""
    return text if len(text) <= 13 else f"{text[:6]}…{text[-4:]}"


def _cut(value: int, decimals: int, places: int) -> str:
    whole = abs(value) // 10 ** (decimals - places)
    text = format_units(whole, places)
    return f"-{text}" if value < 0 and whole else text
