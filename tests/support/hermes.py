"""A price service that speaks the HTTP interface of Pyth's Hermes (version 2), with prices that a test gives it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

__all__ = ["Hermes"]


class Hermes:
    """Serves on 127.0.0.1 while it is open; `prices` are (publish time, previous time, price, confidence, update)."""

    def __init__(self) -> None:
        self.prices: dict[str, list[tuple[int, int, int, int, bytes]]] = {}
        self.answer: Any = None
        """What is answered instead, if set."""
        self.requests = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    def publish(
        self, feed_id: bytes, time: int, price: int, update: bytes, *, previous: int | None = None, conf: int = 10**6
    ) -> None:
        """A price in units of 1e-8."""
        before = time - 1 if previous is None else previous
        self.prices.setdefault(feed_id.hex(), []).append((time, before, price, conf, update))

    async def __aenter__(self) -> Hermes:
        app = web.Application()
        app.router.add_get("/v2/updates/price/{when}", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.answer is not None:
            return web.json_response(self.answer)
        wanted, when = request.query["ids[]"], request.match_info["when"]
        known = sorted(self.prices.get(wanted, []))
        if when != "latest":
            known = [one for one in known if one[0] >= int(when)][:1]
        if not known:
            return web.json_response({"error": "no price"}, status=404)
        time, previous, price, conf, update = known[-1]
        quote = {"price": str(price), "conf": str(conf), "expo": -8, "publish_time": time}
        parsed = [{"id": wanted, "price": quote, "metadata": {"prev_publish_time": previous}}]
        return web.json_response({"binary": {"encoding": "hex", "data": [update.hex()]}, "parsed": parsed})
