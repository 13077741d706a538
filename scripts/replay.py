"""`ape run replay …`: the same as `plimsoll replay …`, on a chain of its own whatever ape is connected to."""

from __future__ import annotations

from plimsoll.commands.replay import command as cli

__all__ = ["cli"]
