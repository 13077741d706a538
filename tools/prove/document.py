"""The table of the section "Proofs" in docs/verification.md."""

from __future__ import annotations

from tools.prove.properties import ROOT, Property, all_properties
from tools.prove.records import Records

DOCUMENT = ROOT / "docs" / "verification.md"
START, END = "<!-- proofs: start -->", "<!-- proofs: end -->"
LONGEST = 140


def wrapped(text: str, width: int = LONGEST) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def entry(item: Property, seconds: float | None) -> list[str]:
    """One property as a list item: name, statement, bound, seconds."""
    end = f"{seconds:.1f} s" if seconds is not None else f"open: {item.open}" if item.open else "no run on record"
    return wrapped(f"* `{item.name}`: {item.statement}. *Bound:* {item.bound}. *{end}*")


def table(records: Records) -> list[str]:
    """All properties by contract, with the time of their proof; the others are open, or have no run on record."""
    lines: list[str] = []
    contract = ""
    for item in all_properties():
        if item.contract != contract:
            contract = item.contract
            lines += ["", f"### {contract}", ""]
        lines += entry(item, records.seconds(item))
    return [*lines, ""]


def write_document(records: Records) -> None:
    """Replaces what stands between the two marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = text.partition(START + "\n")
    _, _, tail = rest.partition(END + "\n")
    found = [records.seconds(item) for item in all_properties()]
    proved = [seconds for seconds in found if seconds is not None]
    count = f"{len(proved)} of {len(found)} properties have a proof on record"
    summary = ["", f"{count}: {sum(proved):.0f} s in all, on two cores that had other work too."]
    block = "\n".join([*summary, *table(records)])
    DOCUMENT.write_text(f"{head}{START}\n{block}\n{END}\n{tail}", encoding="utf-8")
