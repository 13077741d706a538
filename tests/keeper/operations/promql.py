"""Reads expressions of PromQL as far as dashboard and alerts use the language, and refuses everything else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<duration>\d+(?:ms|[smhdw]))
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<op>=~|!~|!=|==|<=|>=|[-+*/<>=(){}\[\],])
    )""",
    re.VERBOSE,
)
AGGREGATIONS = frozenset({"sum", "count", "min", "max", "avg"})
RANGED = frozenset({"rate", "increase", "delta"})
FUNCTIONS = RANGED | {"histogram_quantile"}
BINARY = ("or", "and", "unless", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/")


class PromqlError(ValueError):
    """It is no expression, or one of a kind that is not known here."""


@dataclass(frozen=True)
class Selector:
    """A metric with its matchers: label, operator, value."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    ranged: bool


@dataclass
class Expression:
    """What an expression asks for: its selectors, and the labels it groups by."""

    selectors: list[Selector] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


def parse(text: str) -> Expression:
    """The whole text as one expression.

    :raises PromqlError: it is none.
    """
    reader = _Reader(text)
    reader.expression()
    if reader.peek() is not None:
        raise PromqlError(f"unexpected {reader.peek()} in {text}")
    return reader.found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at = text, list[tuple[str, str]](), 0
        self.found = Expression()
        place = 0
        while place < len(text.rstrip()):
            match = TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise PromqlError(f"cannot read {text[place:]!r}")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            place = match.end()

    def peek(self) -> tuple[str, str] | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, value: str | None = None, kind: str | None = None) -> str:
        token = self.peek()
        if token is None or (value is not None and token[1] != value) or (kind is not None and token[0] != kind):
            raise PromqlError(f"expected {value or kind}, found {token} in {self.text}")
        self.at += 1
        return token[1]

    def is_next(self, *values: str) -> bool:
        token = self.peek()
        return token is not None and token[0] != "string" and token[1] in values

    def expression(self) -> bool:
        """Reads one; whether it is a range of samples."""
        ranged = self.operand()
        while self.is_next(*BINARY):
            self.take()
            if ranged or self.operand():
                raise PromqlError(f"a range has no value to compare in {self.text}")
        return ranged

    def operand(self) -> bool:
        if self.is_next("("):
            self.take("(")
            ranged = self.expression()
            self.take(")")
            return ranged
        token = self.peek()
        if token is not None and token[0] == "number":
            self.take()
            return False
        name = self.take(kind="name")
        if name in AGGREGATIONS:
            self.aggregation()
            return False
        if self.is_next("("):
            return self.call(name)
        return self.selector(name)

    def aggregation(self) -> None:
        grouped = self.grouping()
        self.take("(")
        if self.expression():
            raise PromqlError(f"a range cannot be summed up in {self.text}")
        self.take(")")
        if not grouped:
            self.grouping()

    def grouping(self) -> bool:
        if not self.is_next("by", "without"):
            return False
        self.take()
        self.take("(")
        while not self.is_next(")"):
            self.found.groups.append(self.take(kind="name"))
            if not self.is_next(")"):
                self.take(",")
        self.take(")")
        return True

    def call(self, name: str) -> bool:
        if name not in FUNCTIONS:
            raise PromqlError(f"{name} is no known function in {self.text}")
        self.take("(")
        if name == "histogram_quantile":
            self.take(kind="number")
            self.take(",")
        if self.expression() != (name in RANGED):
            raise PromqlError(f"{name} is given the wrong kind of value in {self.text}")
        self.take(")")
        return False

    def selector(self, name: str) -> bool:
        matchers = []
        if self.is_next("{"):
            self.take("{")
            while not self.is_next("}"):
                label = self.take(kind="name")
                operator = self.take(kind="op")
                if operator not in ("=", "!=", "=~", "!~"):
                    raise PromqlError(f"{operator} matches no label in {self.text}")
                matchers.append((label, operator, self.take(kind="string")[1:-1]))
                if not self.is_next("}"):
                    self.take(",")
            self.take("}")
        ranged = self.is_next("[")
        if ranged:
            self.take("[")
            self.take(kind="duration")
            self.take("]")
        self.found.selectors.append(Selector(name, tuple(matchers), ranged))
        return ranged
