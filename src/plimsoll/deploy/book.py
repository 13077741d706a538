"""The written addresses of a deployment: `deployments/<network>.addresses.json`.

Saved after every step that lands, so that an interrupted deployment can be completed. A book knows its chain by the
hash of the block on which the deployment began: another local chain with the same chain id is told apart.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from plimsoll.errors import PlimsollError

__all__ = ["Book", "BookError", "Creation", "Entry", "book_path"]


class BookError(PlimsollError):
    """The address book is damaged, or belongs to another chain or configuration."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Entry(Model):
    """One contract: the name of the compiled one whose interface it has, where it is, and keccak-256 of its code."""

    contract: str
    address: str
    block: int
    code_hash: str
    mock: bool = False
    """Whether it is a test double that anybody can mint or set."""


class Creation(Model):
    """A contract whose creation was about to be sent; after an interruption its address tells whether it landed."""

    name: str
    contract: str
    nonce: int
    address: str
    mock: bool = False


class Book(Model):
    """Addresses by name: `clearinghouse`, `order_book`, `hub`, `token:USDC`, `feed:ETH`, `pool:majors`, …"""

    version: Literal[1] = 1
    network: str
    chain_id: int
    first_block: int
    first_block_hash: str
    deployer: str
    configuration: str
    """Hash of the parameters; of the last attempt while `complete` is false."""
    complete: bool = False
    contracts: dict[str, Entry] = {}
    steps: list[str] = []
    """Payments that were made once and are not to be repeated."""
    order_book_nonce: int | None = None
    """Number of the deployer's transaction that creates the OrderBook, whose address the others are built for."""
    creation: Creation | None = None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The book in a file, None where there is none.

        :raises BookError: the file is damaged.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise BookError(f"{path} is no address book ({reason}); restore it, or move it away") from None

    def write(self, path: Path) -> None:
        """Saves the book so that a reader sees either the old or the whole new one."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def book_path(parameters_path: Path) -> Path:
    """Where the addresses of a parameters file are written: beside it."""
    return parameters_path.with_name(f"{parameters_path.stem}.addresses.json")
