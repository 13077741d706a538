"""A YAML file as plain text values that remember their lines.

Every scalar stays text: no number passes through a float on its way to the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plimsoll.errors import PlimsollError

__all__ = ["Document", "ParameterError"]


class ParameterError(PlimsollError, ValueError):
    """Parameters are missing, malformed, or break an inequality; one line for each."""


@dataclass(frozen=True, slots=True)
class Document:
    """`data` holds mappings, lists and text; `lines` the line of each dotted path."""

    path: Path
    data: dict[str, Any]
    lines: dict[str, int]

    @classmethod
    def read(cls, path: Path) -> Document:
        """The file at `path`.

        :raises ParameterError: it is missing, is no YAML, or names a key twice.
        """
        try:
            text = path.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except FileNotFoundError:
            raise ParameterError(f"{path} does not exist; see deployments/ for the networks that have a file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ParameterError(f"{path} cannot be read: {error}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)
            raise ParameterError(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
        if not isinstance(root, yaml.MappingNode):
            raise ParameterError(f"{path} is empty or no mapping; begin with `network: …`")
        lines: dict[str, int] = {}
        return cls(path, _plain(root, "", path, lines), lines)

    def with_values(self, overrides: Mapping[str, Any]) -> Document:
        """A copy in which the values at dotted paths are others, such as `{"tokens.USDC.decimals": "18"}`.

        A value of None removes the path. New leaves may be added below what exists.

        :raises ParameterError: a path leads nowhere.
        """
        data = _copy(self.data)
        for dotted, value in overrides.items():
            *folders, name = dotted.split(".")
            place = data
            for folder in folders:
                if not isinstance(place, dict) or folder not in place:
                    raise ParameterError(f"{self.path} has no {dotted}: {folder!r} is missing")
                place = place[folder]
            if value is None:
                place.pop(name, None)
            else:
                place[name] = _copy(value)
        return Document(self.path, data, self.lines)

    def where(self, dotted: str) -> str:
        """`file:line` of a path, or of the nearest mapping around it."""
        path = dotted
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return f"{self.path}:{self.lines.get(path, 1)}"


def _plain(node: yaml.Node, at: str, path: Path, lines: dict[str, int]) -> Any:
    if at:
        lines[at] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{at}.{i}", path, lines) for i, item in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ParameterError(f"{path}:{line}: a key must be a word")
        if key.value in found:
            raise ParameterError(f"{path}:{line}: {key.value} is there twice; remove one")
        inner = f"{at}.{key.value}" if at else key.value
        found[key.value] = _plain(value, inner, path, lines)
        lines[inner] = line
    return found


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
