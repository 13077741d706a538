"""A deployed system, and the command `plimsoll keeper` in this process, for tests of what operators use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from plimsoll.chain.anvil import Anvil
from plimsoll.commands.keeper import command
from plimsoll.deploy.book import book_path
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import Deployment
from plimsoll.deploy.parameters import Parameters

ROOT = Path(__file__).resolve().parents[3]
# The second account of anvil's well-known mnemonic; worthless anywhere else.
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

Run = tuple[int, str, str]


@dataclass(frozen=True)
class Site:
    """A deployed system and a folder for the keeper's files."""

    anvil: Anvil
    deployment: Deployment
    path: Path

    @property
    def database(self) -> Path:
        return self.path.with_name("keeper.sqlite")

    def options(self, *more: str) -> list[str]:
        return ["--network", str(self.path), "--rpc", self.anvil.url, "--db", str(self.database), *more]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For `site` only."""
    path = tmp_path_factory.mktemp("network") / "local.yaml"
    shutil.copy(ROOT / "deployments" / "local.yaml", path)
    with Anvil(block_interval=1) as anvil:
        yield Site(anvil, deploy(anvil.sender(0), Parameters.load(path), book=book_path(path)), path)


@pytest.fixture
def site(opened: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("KEEPER_KEY", KEY)
    book = book_path(opened.path).read_bytes()
    with opened.anvil.snapshot():
        yield opened
    book_path(opened.path).write_bytes(book)
    for file in opened.path.parent.glob("keeper.sqlite*"):
        file.unlink()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    def call(*arguments: str) -> Run:
        """Exit code, standard output, standard error."""
        capsys.readouterr()
        code = 0
        try:
            command.main(list(arguments), standalone_mode=False)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
