"""Tidies `package-lock.json` after `npm install`, so that one lock serves every platform.

* Download addresses are taken out: a lock pins names, versions and hashes, the registry is the user's own choice.
* npm leaves out optional platform packages that it could not look up while locking, and `npm ci` then refuses the lock.
  They are added here, exact version and platform, without a hash; npm skips them on every other platform, and where the
  package of a platform is missing, set-up falls back to the program on PATH (see `tools/setup.sh`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "package-lock.json"
NODE_OS = {"darwin": "darwin", "linux": "linux", "win32": "win32"}
NODE_CPU = {"arm64": "arm64", "amd64": "x64"}


def platform_entry(name: str, version: str, license_name: str) -> dict[str, Any]:
    """Lock entry of the platform package `@scope/tool-os-cpu`."""
    tool, os_name, cpu = name.rpartition("/")[2].rsplit("-", 2)
    suffix = ".exe" if os_name == "win32" else ""
    return {
        "version": version,
        "cpu": [NODE_CPU[cpu]],
        "dev": True,
        "license": license_name,
        "optional": True,
        "os": [NODE_OS[os_name]],
        "bin": {tool: f"bin/{tool}{suffix}"},
        "engines": {"node": ">=20"},
    }


def tidy(lock: dict[str, Any]) -> dict[str, Any]:
    """The lock without addresses and with every platform package, in npm's own order."""
    packages: dict[str, dict[str, Any]] = lock["packages"]
    for entry in list(packages.values()):
        entry.pop("resolved", None)
        entry.pop("funding", None)
    for path, entry in list(packages.items()):
        if not path.startswith("node_modules/@foundry-rs/"):
            continue
        for name, version in entry.get("optionalDependencies", {}).items():
            packages.setdefault(f"node_modules/{name}", platform_entry(name, version, entry["license"]))
    root = packages.pop("")
    lock["packages"] = {"": root, **{path: packages[path] for path in sorted(packages)}}
    return lock


def main() -> None:
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    LOCK.write_text(json.dumps(tidy(lock), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
