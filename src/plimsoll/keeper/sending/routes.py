"""Where raw transactions are handed over: one public node, a private one, or all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.sending.answers import Answer, Verdict, classify, combine
from plimsoll.keeper.sending.ports import UNREADABLE, Node

__all__ = ["MULTI", "PRIVATE", "PUBLIC", "Routes"]

PUBLIC, PRIVATE, MULTI = "public", "private", "multi"


class Routes:
    """Named routes to nodes.

    :param public: gives the nodes that take public transactions at the moment, the best first.
    :param private: nodes that keep transactions to themselves until they are in a block.
    :param order: routes in turn: a transaction that did not land by the first goes by the next as well when it is
        handed over again.
    :raises ConfigurationError: a route is unknown, or leads nowhere.
    """

    def __init__(
        self,
        public: Sequence[Node] | Callable[[], Sequence[Node]],
        private: Sequence[Node] = (),
        order: Sequence[str] = (PUBLIC,),
    ) -> None:
        self._public = public if callable(public) else lambda: public
        self._private = tuple(private)
        self._order = tuple(order)
        for route in self._order:
            if route not in (PUBLIC, PRIVATE, MULTI):
                raise ConfigurationError(f"route {route!r} is unknown; name public, private or multi")
            if route == PRIVATE and not self._private:
                raise ConfigurationError("the route private has no node; set the address of a private node")
        if not self._order:
            raise ConfigurationError("there is no route; name public, private or multi")
        self.counts: dict[str, int] = {}

    async def send(self, raw: bytes, route: str | None = None, attempt: int = 0) -> Answer:
        """Hands a transaction over, by a route or by those whose turn has come after so many attempts."""
        chosen = [route] if route is not None else list(self._order[: attempt + 1])
        nodes: list[Node] = []
        for name in chosen:
            for node in self._nodes(name):
                if node not in nodes:
                    nodes.append(node)
        if not nodes:
            return Answer(Verdict.UNREACHED, f"no node takes transactions by the route {', '.join(chosen)}")
        answers = await asyncio.gather(*(_hand_over(node, raw) for node in nodes))
        answer = combine(answers)
        self.counts[answer.verdict.name.lower()] = self.counts.get(answer.verdict.name.lower(), 0) + 1
        return answer

    def status(self) -> Mapping[str, int]:
        """Number of answers by verdict."""
        return dict(self.counts)

    def _nodes(self, route: str) -> Sequence[Node]:
        if route == PRIVATE:
            return self._private
        public = list(self._public())
        return public if route == MULTI else public[:1]


async def _hand_over(node: Node, raw: bytes) -> Answer:
    try:
        return classify(await node.request("eth_sendRawTransaction", ["0x" + raw.hex()]))
    except UNREADABLE as error:
        return classify(error)
