"""Keeps secrets out of whatever is written: addresses of nodes lose all but their host, known secrets their text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["HIDDEN", "Redactor", "redacted", "shown_url"]

HIDDEN = "***"
URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://[^\s\"'<>\\),;]+", re.IGNORECASE)
DSN_SECRET = re.compile(r"\b(password|passfile|sslkey|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)
BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
SECRET_KEY = re.compile(
    r"(^|_|-)(password|passphrase|secret|private_?key|api_?key|(access|auth|api)_?token|authorization|mnemonic)$", re.I
)
SHORTEST = 4
"""Shorter secrets are not replaced in text: they would eat ordinary words."""


def shown_url(url: str) -> str:
    """Where something is, without user, password, path or query of a web address; databases keep their name.

    A text that is no URL is shown as it is: paths of sockets and files hold no secrets.
    """
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"{url.partition('://')[0]}://{HIDDEN}"
    if ":" in host:
        host = f"[{host}]"
    name = parts.path if parts.scheme in ("postgresql", "postgres") else ""
    return f"{parts.scheme}://{host}{f':{port}' if port is not None else ''}{name}"


class Redactor:
    """Replaces secrets in text and in trees of plain values.

    Any URL is cut down to its host, and each secret that `learn` was told is hidden wherever it appears.
    """

    def __init__(self) -> None:
        self._secrets: list[str] = []

    def learn(self, secret: str | bytes) -> None:
        """From now on this is hidden; bytes in hexadecimal, with and without 0x, in upper and lower case."""
        texts = {secret.hex(), secret.hex().upper()} if isinstance(secret, bytes) else _forms(secret)
        for text in texts:
            if len(text) >= SHORTEST and text not in self._secrets:
                self._secrets.append(text)
        # The longest first: one secret may be part of another.
        self._secrets.sort(key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        if "://" in text:
            text = URL.sub(lambda found: _cut(found.group(0)), text)
        if "=" in text:
            text = DSN_SECRET.sub(lambda found: f"{found.group(1)}={HIDDEN}", text)
        return BEARER.sub(lambda found: f"{found.group(1)} {HIDDEN}", text)

    def value(self, value: Any) -> Any:
        """A tree of plain values without secrets; keys that are called like a secret lose their value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                key: HIDDEN if item and isinstance(key, str) and SECRET_KEY.search(key) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return value


def redacted(value: Any) -> Any:
    """A tree of plain values whose URLs are cut down to their hosts."""
    return Redactor().value(value)


def _cut(url: str) -> str:
    kept = url.rstrip(".:")
    return shown_url(kept) + url[len(kept) :]


def _forms(secret: str) -> set[str]:
    secret = secret.strip()
    if re.fullmatch(r"(0[xX])?[0-9a-fA-F]{64}", secret):
        digits = secret[-64:]
        return {digits, digits.lower(), digits.upper()}
    return {secret}
