"""Plimsoll: an on-chain margin protocol and the Python tooling that deploys, keeps, replays and tests it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
