"""Lets every process of this repository's virtual environment find the compiler, anvil and ape's data folder.

Run once by set-up with the environment's own Python. It writes a start-up hook into the environment, so `ape` and
`plimsoll` work the same with and without `source .venv/bin/activate`, and without ape's folder in the home directory.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

HOOK = '''\
"""Start-up hook of the Plimsoll repository, written by `make setup`."""

import os
import sys

_environment = sys.prefix
_root = os.path.dirname(_environment)
_programs = os.path.join(_environment, "bin")
os.environ.setdefault("APE_DATA_FOLDER", os.path.join(_root, ".ape"))
os.environ["SOLCX_BINARY_PATH"] = os.path.join(_root, "tools", "solc")
_path = os.environ.get("PATH", os.defpath)
if _path.split(os.pathsep)[0] != _programs:
    os.environ["PATH"] = _programs + os.pathsep + _path
'''


def main() -> None:
    packages = Path(sysconfig.get_paths()["purelib"])
    (packages / "_plimsoll_environment.py").write_text(HOOK, encoding="utf-8")
    (packages / "plimsoll_environment.pth").write_text("import _plimsoll_environment\n", encoding="utf-8")


if __name__ == "__main__":
    main()
