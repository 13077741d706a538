"""The root of every error that the package raises on purpose."""

from __future__ import annotations

__all__ = ["PlimsollError"]


class PlimsollError(Exception):
    """Something went wrong that a user can be told in one sentence: what it was and how to put it right."""
