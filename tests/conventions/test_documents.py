"""Links between the documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conventions.repository import ROOT, text_files

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return CODE.sub("", text)


def anchors(path: Path) -> set[str]:
    """Anchors of a document's headings, made as code forges make them."""
    found: set[str] = set()
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.*?)\s*$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(anchor)
    return found


def broken_links(name: str, text: str) -> list[str]:
    broken = []
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        if not path.exists():
            broken.append(f"{name}: {target} does not exist")
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            broken.append(f"{name}: {target} names no heading")
    return broken


def test_relative_links_resolve() -> None:
    documents = [(name, text) for name, text in text_files() if name.endswith(".md")]
    assert documents
    assert [problem for name, text in documents for problem in broken_links(name, text)] == []


def test_the_check_finds_broken_links() -> None:
    text = "[a](missing.md) [b](CONTRIBUTING.md#no-such-heading) [c](CONTRIBUTING.md) `[d](code.md)`"
    assert broken_links("CHANGELOG.md", text) == [
        "CHANGELOG.md: missing.md does not exist",
        "CHANGELOG.md: CONTRIBUTING.md#no-such-heading names no heading",
    ]
