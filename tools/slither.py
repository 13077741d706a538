"""Compares what slither finds with what docs/slither.md answers. Usage: make slither

The document has a heading per detector and below it lines `* answer: ` with the places in backquotes, each as
Contract.function or Contract.variable. The exit code is 1 when slither finds something that is not answered, or when an
answer has nothing left to answer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "slither.md"
REPORT = ROOT / "build" / "slither" / "report.json"

Finding = tuple[str, str]


def place(element: dict[str, Any]) -> str:
    """Contract.function or Contract.function.variable, without line numbers, which move."""
    names = [element["name"]]
    parent = element.get("type_specific_fields", {}).get("parent")
    while parent and parent["type"] in ("contract", "function"):
        names.append(parent["name"])
        parent = parent.get("type_specific_fields", {}).get("parent")
    return ".".join(reversed(names))


def findings(report: dict[str, Any]) -> set[Finding]:
    """(detector, place) of every finding; a place with several findings of one detector counts once."""
    detectors = report["results"].get("detectors", [])
    return {(item["check"], place(item["elements"][0])) for item in detectors if item["elements"]}


def answered(document: str) -> set[Finding]:
    """(detector, place) of everything that the document answers."""
    found = set()
    for section in re.split(r"^## ", document, flags=re.MULTILINE)[1:]:
        detector, _, body = section.partition("\n")
        for item in re.split(r"^\* ", body, flags=re.MULTILINE)[1:]:
            found |= {(detector.strip(), name) for name in re.findall(r"`([\w.]+)`", item.rpartition("— ")[2])}
    return found


def run() -> dict[str, Any]:
    """Runs slither, which has forge compile the contracts."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.unlink(missing_ok=True)
    programs = Path(sys.executable).parent
    path = os.pathsep.join([str(programs), str(ROOT / ".venv" / "bin"), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        [str(programs / "slither"), ".", "--config-file", "slither.config.json", "--json", str(REPORT)],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "FOUNDRY_PROFILE": "slither"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not REPORT.is_file():
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    report: dict[str, Any] = json.loads(REPORT.read_text(encoding="utf-8"))
    if not report["success"]:
        raise SystemExit(str(report["error"]))
    return report


def main() -> int:
    current = findings(run())
    known = answered(DOCUMENT.read_text(encoding="utf-8"))
    for detector, name in sorted(current - known):
        print(f"not answered: {detector}: {name}")
    for detector, name in sorted(known - current):
        print(f"nothing left to answer: {detector}: {name}")
    print(f"{len(current)} findings, {len(current & known)} answered in docs/slither.md")
    return 1 if current ^ known else 0


if __name__ == "__main__":
    sys.exit(main())
